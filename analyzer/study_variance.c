#include "study_variance.h"

#include "study_metrics.h"

#include <formats/fail.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_CELLS (1 << 20)

/* ---- combinations of mean squares ---- */

/* An estimate sum c_i m_i of independent mean squares. */
typedef struct combination {
    double estimate, below, above; /* squares of how far the ends are away */
    unsigned doubts;
} combination;

/* Adds c times mean square m. Its own interval goes from m - lower m to m + upper m; the squares add up (Ting et al.
 * 1990, without the terms of two mean squares, which leaves it a little wide). */
static void add_term(combination *to, double c, double m, double df, double confidence)
{
    const double tail = (1 - confidence) / 2;
    const double lower = (1 - df / va_chi_squared_quantile(1 - tail, df)) * c * m;
    const double upper = (df / va_chi_squared_quantile(tail, df) - 1) * c * m;
    to->estimate += c * m;
    to->below += c > 0 ? lower * lower : upper * upper;
    to->above += c > 0 ? upper * upper : lower * lower;
}

static va_interval interval_of(const combination *of, int n, double confidence)
{
    const unsigned constant = of->below > 0 ? 0 : VA_DOUBT_CONSTANT;
    return (va_interval){of->estimate,
                         of->estimate - sqrt(of->below),
                         of->estimate + sqrt(of->above),
                         confidence,
                         n,
                         "modified large sample",
                         VA_DOUBT_UNCHECKED | constant};
}

static double sign_of(unsigned set)
{
    return __builtin_popcount(set) % 2 ? -1 : 1;
}

static void set_shares(va_variance *out)
{
    double positive = 0;
    out->total = 0;
    for (int i = 0; i < out->count; i++)
        if (!isnan(out->components[i].variance.estimate)) {
            out->total += out->components[i].variance.estimate;
            positive += fmax(out->components[i].variance.estimate, 0);
        }
    for (int i = 0; i < out->count; i++)
        out->components[i].share = positive > 0 ? out->components[i].variance.estimate / positive : NAN;
}

static vr_status check(int factors, double confidence)
{
    gsl_set_error_handler_off();
    if (factors < 1 || factors > VA_MOST_FACTORS || !(confidence > 0 && confidence < 1))
        return vr_fail(VR_ERROR_ARGUMENT, "%d factors, confidence %g: 1 to %d factors", factors, confidence,
                       VA_MOST_FACTORS);
    return VR_OK;
}

/* ---- design 1: a condition for each set of sources ---- */

vr_status va_variance_of_conditions(va_variance *out, const double *const *values, const size_t *counts, int factors,
                                    double confidence)
{
    const vr_status status = check(factors, confidence);
    if (status != VR_OK)
        return status;
    *out = (va_variance){.factors = factors, .count = 1 << factors, .balanced = true, .repeated = true};
    int values_in_all = 0;
    for (int set = 0; set < out->count; set++) {
        const va_spread spread = va_spread_of(values[set], counts[set]);
        if (spread.n < 2 || spread.excluded)
            return vr_fail(VR_ERROR_ARGUMENT, "condition %d: %d finite and %d other values: two finite ones at least",
                           set, spread.n, spread.excluded);
        values_in_all += spread.n;
        out->balanced = out->balanced && counts[set] == counts[0];
        const double df = spread.n - 1, variance = spread.sd * spread.sd;
        out->components[set] = (va_component){.factors = (unsigned)set,
                                              .sum_of_squares = df * variance,
                                              .df = df,
                                              .mean_square = variance,
                                              .share = NAN,
                                              .f = NAN,
                                              .p = NAN};
    }
    for (unsigned set = 0; set < (unsigned)out->count; set++) {
        combination sum = {0};
        for (unsigned within = 0; within <= set; within++)
            if ((within & ~set) == 0)
                add_term(&sum, sign_of(set ^ within), out->components[within].mean_square, out->components[within].df,
                         confidence);
        out->components[set].variance = interval_of(&sum, values_in_all, confidence);
    }
    set_shares(out);
    return VR_OK;
}

/* ---- design 2: levels, crossed ---- */

/* The table of cells; the last factor's level moves fastest. */
typedef struct cells {
    int factors;
    size_t levels[VA_MOST_FACTORS], strides[VA_MOST_FACTORS], count;
    size_t *of; /* [values]: its cell */
    size_t *n;  /* [count] */
    double *mean, *effect;
    double within, harmonic; /* sum of squares within cells; mean of the numbers of values */
    size_t values;
} cells;

static void free_cells(cells *c)
{
    free(c->of);
    free(c->n);
    free(c->mean);
    free(c->effect);
}

static int by_number(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Numbers the levels of a factor from 0, and adds them to the cells' numbers. `sorted` has room for all values. */
static vr_status number_levels(cells *c, int factor, const int32_t *levels, int32_t *sorted)
{
    size_t found = 0;
    memcpy(sorted, levels, c->values * sizeof *sorted);
    qsort(sorted, c->values, sizeof *sorted, by_number);
    for (size_t i = 0; i < c->values; i++)
        if (i == 0 || sorted[i] != sorted[found - 1])
            sorted[found++] = sorted[i];
    if (found < 2)
        return vr_fail(VR_ERROR_ARGUMENT, "factor %d has %zu levels: two at least", factor, found);
    if (found > MOST_CELLS / c->count)
        return vr_fail(VR_ERROR_ARGUMENT, "the levels make more than %d cells", MOST_CELLS);
    c->levels[factor] = found;
    c->count *= found;
    for (size_t i = 0; i < c->values; i++) {
        const int32_t *at = bsearch(&levels[i], sorted, found, sizeof *sorted, by_number);
        c->of[i] = c->of[i] * found + (size_t)(at - sorted);
    }
    return VR_OK;
}

static vr_status out_of_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory for the decomposition of variance");
}

static vr_status find_cells(cells *c, const int32_t *const *levels)
{
    c->of = calloc(c->values + 1, sizeof *c->of);
    int32_t *sorted = calloc(c->values + 1, sizeof *sorted);
    vr_status status = c->of && sorted ? VR_OK : out_of_memory();
    for (int f = 0; status == VR_OK && f < c->factors; f++)
        status = number_levels(c, f, levels[f], sorted);
    free(sorted);
    size_t stride = 1;
    for (int f = c->factors; f-- > 0;) {
        c->strides[f] = stride;
        stride *= c->levels[f];
    }
    return status;
}

/* Means, squares within, and the harmonic mean of the sizes. */
static vr_status fill_cells(cells *c, const double *values, bool *balanced)
{
    double reciprocals = 0;
    for (size_t i = 0; i < c->values; i++) {
        const size_t cell = c->of[i];
        if (!isfinite(values[i]))
            return vr_fail(VR_ERROR_ARGUMENT, "value %zu is not finite", i);
        const double apart = values[i] - c->mean[cell];
        c->mean[cell] += apart / (double)++c->n[cell];
        c->within += apart * (values[i] - c->mean[cell]);
    }
    *balanced = true;
    for (size_t cell = 0; cell < c->count; cell++) {
        if (c->n[cell] == 0)
            return vr_fail(VR_ERROR_ARGUMENT, "a combination of levels has no run (cell %zu of %zu): no decomposition",
                           cell, c->count);
        reciprocals += 1 / (double)c->n[cell];
        *balanced = *balanced && c->n[cell] == c->n[0];
    }
    c->harmonic = (double)c->count / reciprocals;
    return VR_OK;
}

static vr_status make_cells(cells *c, const double *values, const int32_t *const *levels, bool *balanced)
{
    vr_status status = find_cells(c, levels);
    if (status != VR_OK)
        return status;
    c->n = calloc(c->count, sizeof *c->n);
    c->mean = calloc(c->count, sizeof *c->mean);
    c->effect = calloc(c->count, sizeof *c->effect);
    if (!c->n || !c->mean || !c->effect)
        return out_of_memory();
    return fill_cells(c, values, balanced);
}

/* Along factor f: the mean in place of each effect, or what is left of it. */
static void project(cells *c, int f, bool keep_mean)
{
    const size_t stride = c->strides[f], levels = c->levels[f];
    for (size_t first = 0; first < c->count; first++) {
        if (first / stride % levels != 0)
            continue;
        double mean = 0;
        for (size_t l = 0; l < levels; l++)
            mean += c->effect[first + l * stride] / (double)levels;
        for (size_t l = 0; l < levels; l++)
            c->effect[first + l * stride] = keep_mean ? mean : c->effect[first + l * stride] - mean;
    }
}

/* The effect of a set of factors in each cell: what is left along its factors of the means along the others. */
static void analyze(va_component *out, cells *c, unsigned set)
{
    *out = (va_component){.factors = set, .df = 1, .share = NAN, .f = NAN, .p = NAN};
    memcpy(c->effect, c->mean, c->count * sizeof *c->effect);
    for (int f = 0; f < c->factors; f++) {
        const bool within = set >> f & 1;
        project(c, f, !within);
        out->df *= within ? (double)c->levels[f] - 1 : 1;
    }
    for (size_t cell = 0; cell < c->count; cell++)
        out->sum_of_squares += c->harmonic * c->effect[cell] * c->effect[cell];
    out->mean_square = out->sum_of_squares / out->df;
}

/* How many values there are for each level of the set. */
static double values_of_level(const cells *c, unsigned set)
{
    double levels = 1;
    for (int f = 0; f < c->factors; f++)
        levels *= set >> f & 1 ? (double)c->levels[f] : 1;
    return c->harmonic * (double)c->count / levels;
}

/* F against `against`, the expectation of the mean square without the set's own variance; where that is a combination,
 * its degrees of freedom are Satterthwaite's. */
static void test_component(va_component *tested, double against, double squares_over_df)
{
    if (!(against > 0) || !(squares_over_df > 0))
        return;
    tested->f = tested->mean_square / against;
    tested->p = gsl_cdf_fdist_Q(tested->f, tested->df, against * against / squares_over_df);
}

/* The variance of a set: the alternating sum of the mean squares of the sets that hold it, over the values of a level;
 * that of the set of all factors has the error as the next one. */
static void estimate(va_variance *out, const cells *c, unsigned set, double confidence)
{
    const unsigned all = (unsigned)out->count - 1;
    const double scale = values_of_level(c, set);
    combination sum = {0};
    double against = 0, squares_over_df = 0;
    for (unsigned with = set; with <= all; with++) {
        const va_component *m = &out->components[with];
        if ((set & ~with) != 0)
            continue;
        add_term(&sum, sign_of(set ^ with) / scale, m->mean_square, m->df, confidence);
        against -= with == set ? 0 : sign_of(set ^ with) * m->mean_square;
        squares_over_df += with == set ? 0 : m->mean_square * m->mean_square / m->df;
    }
    const va_component *error = &out->components[0];
    if (set == all && out->repeated) {
        add_term(&sum, -1 / scale, error->mean_square, error->df, confidence);
        against = error->mean_square;
        squares_over_df = against * against / error->df;
    }
    out->components[set].variance = interval_of(&sum, (int)c->values, confidence);
    test_component(&out->components[set], against, squares_over_df);
}

static void set_error(va_variance *out, const cells *c, double confidence)
{
    va_component *error = &out->components[0];
    const double df = (double)(c->values - c->count);
    combination sum = {0};
    *error = (va_component){.sum_of_squares = c->within,
                            .df = df,
                            .mean_square = out->repeated ? c->within / df : NAN,
                            .share = NAN,
                            .f = NAN,
                            .p = NAN};
    if (out->repeated)
        add_term(&sum, 1, error->mean_square, df, confidence);
    error->variance = interval_of(&sum, (int)c->values, confidence);
    if (!out->repeated) {
        error->variance.estimate = error->variance.low = error->variance.high = NAN;
        error->variance.doubts = VA_DOUBT_UNDEFINED;
    }
}

vr_status va_variance_of_levels(va_variance *out, const double *values, const int32_t *const *levels, size_t count,
                                int factors, double confidence)
{
    vr_status status = check(factors, confidence);
    if (status != VR_OK)
        return status;
    cells c = {.factors = factors, .values = count, .count = 1};
    *out = (va_variance){.factors = factors, .count = 1 << factors};
    status = make_cells(&c, values, levels, &out->balanced);
    if (status == VR_OK) {
        out->repeated = c.values > c.count;
        set_error(out, &c, confidence);
        for (unsigned set = 1; set < (unsigned)out->count; set++)
            analyze(&out->components[set], &c, set);
        for (unsigned set = 1; set < (unsigned)out->count; set++)
            estimate(out, &c, set, confidence);
        set_shares(out);
    }
    free_cells(&c);
    return status;
}
