#include "study_tests.h"

#include "study_metrics.h"

#include <formats/fail.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_combination.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_sf_gamma.h>
#include <gsl/gsl_sort_double.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <varanalyze/random.h>

#define SAME 1e-12 /* of the sum of magnitudes: sums that differ by less are the same but for rounding */

static vr_status out_of_memory(const va_test *test)
{
    return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", test->name);
}

static va_test no_test(const char *name)
{
    gsl_set_error_handler_off(); /* it would end the program; what fails is NaN */
    return (va_test){.name = name, .statistic = NAN, .p = NAN, .df1 = NAN, .df2 = NAN};
}

static size_t take_finite(double *out, const double *values, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (isfinite(values[i]))
            out[kept++] = values[i];
    return kept;
}

/* The finite values of a, then those of b; NULL without memory. Sets what the test is of. */
static double *take_both(va_test *test, const double *a, size_t n, const double *b, size_t m)
{
    double *all = calloc(n + m + 1, sizeof *all);
    if (!all)
        return NULL;
    test->n = take_finite(all, a, n);
    test->m = take_finite(all + test->n, b, m);
    test->excluded = n + m - test->n - test->m;
    return all;
}

static double sum_of(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

/* ---- permutations ---- */

/* Values about their common mean: the difference of the means follows from the sum of the first n alone. */
typedef struct division {
    double *x;
    size_t n, all;
    double far; /* |sum| that is as far out as what was seen */
} division;

static division center(double *x, size_t n, size_t m)
{
    const double mean = sum_of(x, n + m) / (double)(n + m);
    double magnitude = 0;
    for (size_t i = 0; i < n + m; i++) {
        x[i] -= mean;
        magnitude += fabs(x[i]);
    }
    return (division){x, n, n + m, fabs(sum_of(x, n)) - SAME * magnitude};
}

static vr_status divide_all(va_test *test, const division *d)
{
    gsl_combination *chosen = gsl_combination_calloc(d->all, d->n);
    if (!chosen)
        return out_of_memory(test);
    uint64_t far = 0, all = 0;
    do {
        double sum = 0;
        for (size_t i = 0; i < d->n; i++)
            sum += d->x[gsl_combination_get(chosen, i)];
        far += fabs(sum) >= d->far;
        all++;
    } while (gsl_combination_next(chosen) == GSL_SUCCESS);
    gsl_combination_free(chosen);
    test->p = (double)far / (double)all;
    test->exact = true;
    return VR_OK;
}

/* The first n of a shuffle. */
static void divide_some(va_test *test, const division *d, uint64_t seed)
{
    vr_random random = vr_random_stream(vr_derive_seed(seed, "permutation test"), 0);
    uint64_t far = 0;
    for (int draw = 0; draw < VA_PERMUTATIONS; draw++) {
        double sum = 0;
        for (size_t i = 0; i < d->n; i++) {
            const size_t k = i + vr_random_below(&random, d->all - i);
            const double drawn = d->x[k];
            d->x[k] = d->x[i];
            d->x[i] = drawn;
            sum += drawn;
        }
        far += fabs(sum) >= d->far;
    }
    test->p = (double)(far + 1) / (VA_PERMUTATIONS + 1);
}

vr_status va_permutation_test(va_test *out, const double *a, size_t n, const double *b, size_t m, uint64_t seed)
{
    *out = no_test("permutation");
    double *all = take_both(out, a, n, b, m);
    if (!all)
        return out_of_memory(out);
    vr_status status = VR_OK;
    if (out->n > 0 && out->m > 0) {
        out->statistic = sum_of(all, out->n) / (double)out->n - sum_of(all + out->n, out->m) / (double)out->m;
        const division d = center(all, out->n, out->m);
        const double arrangements = gsl_sf_lnchoose((unsigned)(out->n + out->m), (unsigned)out->n);
        if (arrangements <= log(VA_MOST_ARRANGEMENTS))
            status = divide_all(out, &d);
        else
            divide_some(out, &d, seed);
    }
    free(all);
    return status;
}

/* ---- ranks ---- */

/* Twice the middle ranks of n values, so that they are whole numbers. Returns the sum of t^3 - t over ties of t. */
static double rank(size_t *out, const double *x, size_t *order, size_t n)
{
    double ties = 0;
    gsl_sort_index(order, x, 1, n);
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && x[order[to]] == x[order[from]];)
            to++;
        for (size_t i = from; i < to; i++)
            out[order[i]] = from + 1 + to;
        const double t = (double)(to - from);
        ties += t * t * t - t;
    }
    return ties;
}

static size_t sum_of_ranks(const size_t *ranks, size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ranks[i];
    return sum;
}

/* Twice the smaller tail of a distribution of weights over 0..most, `seen` included. */
static double two_tails(const double *weights, size_t most, size_t seen)
{
    double below = 0, above = 0, all = 0;
    for (size_t s = 0; s <= most; s++) {
        below += s <= seen ? weights[s] : 0;
        above += s >= seen ? weights[s] : 0;
        all += weights[s];
    }
    return fmin(2 * fmin(below, above) / all, 1);
}

/* Of a statistic that is about normal; corrected for continuity. */
static double normal_tails(double statistic, double mean, double variance)
{
    const double away = fmax(fabs(statistic - mean) - 0.5, 0);
    return variance > 0 ? 2 * gsl_cdf_ugaussian_Q(away / sqrt(variance)) : 1;
}

/* How many ways there are to take n of the ranks with each sum: ways[taken][sum]. */
static vr_status exact_rank_sum(va_test *test, const size_t *ranks, size_t seen)
{
    const size_t all = test->n + test->m, most = sum_of_ranks(ranks, all), width = most + 1;
    double *ways = calloc((test->n + 1) * width, sizeof *ways);
    if (!ways)
        return out_of_memory(test);
    ways[0] = 1;
    for (size_t i = 0; i < all; i++)
        for (size_t taken = i < test->n ? i + 1 : test->n; taken > 0; taken--)
            for (size_t sum = most + 1; sum-- > ranks[i];)
                ways[taken * width + sum] += ways[(taken - 1) * width + sum - ranks[i]];
    test->p = two_tails(ways + test->n * width, most, seen);
    test->exact = true;
    free(ways);
    return VR_OK;
}

static vr_status test_rank_sum(va_test *test, const double *x, size_t *ranks, size_t *order)
{
    const double n = (double)test->n, m = (double)test->m, all = n + m;
    const double ties = rank(ranks, x, order, test->n + test->m);
    const size_t seen = sum_of_ranks(ranks, test->n);
    test->statistic = (double)seen / 2 - n * (n + 1) / 2;
    if (test->n + test->m <= VA_MOST_RANKS)
        return exact_rank_sum(test, ranks, seen);
    test->p = normal_tails(test->statistic, n * m / 2, n * m / 12 * (all + 1 - ties / (all * (all - 1))));
    return VR_OK;
}

vr_status va_rank_sum_test(va_test *out, const double *a, size_t n, const double *b, size_t m)
{
    *out = no_test("Wilcoxon rank sum");
    double *all = take_both(out, a, n, b, m);
    size_t *ranks = calloc(n + m + 1, sizeof *ranks), *order = calloc(n + m + 1, sizeof *order);
    vr_status status = all && ranks && order ? VR_OK : out_of_memory(out);
    if (status == VR_OK && out->n > 0 && out->m > 0)
        status = test_rank_sum(out, all, ranks, order);
    free(all);
    free(ranks);
    free(order);
    return status;
}

/* Each rank is above 0 or not: ways[sum]. */
static vr_status exact_signed_rank(va_test *test, const size_t *ranks, size_t seen)
{
    const size_t most = sum_of_ranks(ranks, test->n);
    double *ways = calloc(most + 1, sizeof *ways);
    if (!ways)
        return out_of_memory(test);
    ways[0] = 1;
    for (size_t i = 0; i < test->n; i++)
        for (size_t sum = most + 1; sum-- > ranks[i];)
            ways[sum] += ways[sum - ranks[i]];
    test->p = two_tails(ways, most, seen);
    test->exact = true;
    free(ways);
    return VR_OK;
}

/* `x`: differences that are not 0; `work` has room for as many. */
static vr_status test_signed_rank(va_test *test, const double *x, double *work, size_t *ranks, size_t *order)
{
    const double n = (double)test->n;
    size_t seen = 0;
    for (size_t i = 0; i < test->n; i++)
        work[i] = fabs(x[i]);
    const double ties = rank(ranks, work, order, test->n);
    for (size_t i = 0; i < test->n; i++)
        seen += x[i] > 0 ? ranks[i] : 0;
    test->statistic = (double)seen / 2;
    if (test->n <= VA_MOST_RANKS)
        return exact_signed_rank(test, ranks, seen);
    test->p = normal_tails(test->statistic, n * (n + 1) / 4, n * (n + 1) * (2 * n + 1) / 24 - ties / 48);
    return VR_OK;
}

vr_status va_signed_rank_test(va_test *out, const double *a, const double *b, size_t n)
{
    *out = no_test("Wilcoxon signed rank");
    double *x = calloc(2 * n + 1, sizeof *x);
    size_t *ranks = calloc(n + 1, sizeof *ranks), *order = calloc(n + 1, sizeof *order);
    vr_status status = x && ranks && order ? VR_OK : out_of_memory(out);
    for (size_t i = 0; status == VR_OK && i < n; i++) {
        const double difference = a[i] - b[i];
        if (isfinite(difference) && difference != 0)
            x[out->n++] = difference;
    }
    out->m = out->n;
    out->excluded = n - out->n;
    if (status == VR_OK && out->n > 0)
        status = test_signed_rank(out, x, x + n, ranks, order);
    free(x);
    free(ranks);
    free(order);
    return status;
}

/* ---- counts, means ---- */

va_test va_mcnemar_test(size_t only_first, size_t only_second)
{
    va_test out = no_test("McNemar, exact");
    const size_t least = only_first < only_second ? only_first : only_second, all = only_first + only_second;
    out.statistic = (double)only_first - (double)only_second;
    out.n = only_first;
    out.m = only_second;
    out.exact = true;
    /* P(binomial(n, 1/2) <= k) as a beta distribution: binomials of GSL take 32 bits */
    out.p = 2 * least >= all ? 1 : fmin(2 * gsl_cdf_beta_Q(0.5, (double)least + 1, (double)(all - least)), 1);
    return out;
}

va_test va_welch_test(const double *a, size_t n, const double *b, size_t m)
{
    va_test out = no_test("Welch");
    const va_spread x = va_spread_of(a, n), y = va_spread_of(b, m);
    out.n = (size_t)x.n;
    out.m = (size_t)y.n;
    out.excluded = (size_t)(x.excluded + y.excluded);
    const double u = x.sd * x.sd / x.n, v = y.sd * y.sd / y.n;
    if (!(u + v > 0))
        return out;
    out.statistic = (x.mean - y.mean) / sqrt(u + v);
    out.df1 = (u + v) * (u + v) / (u * u / (x.n - 1) + v * v / (y.n - 1));
    out.p = 2 * gsl_cdf_tdist_Q(fabs(out.statistic), out.df1);
    return out;
}

/* ---- variances ---- */

/* Sums over the conditions taken so far, for the analysis of variance of z. */
typedef struct sums {
    double within, between, mean, count; /* between: sum of n (mean - mean of all so far)^2, updated */
} sums;

/* |x - median| in place of x. Sorts. */
static void take_distances(double *x, size_t n)
{
    gsl_sort(x, 1, n);
    const double median = gsl_stats_median_from_sorted_data(x, 1, n);
    for (size_t i = 0; i < n; i++)
        x[i] = fabs(x[i] - median);
}

static void add_condition(sums *s, const double *z, size_t n)
{
    const va_spread spread = va_spread_of(z, n);
    const double count = s->count + (double)n, apart = spread.mean - s->mean;
    s->within += spread.sd * spread.sd * (double)(n - 1);
    s->between += apart * apart * s->count * (double)n / count;
    s->mean += apart * (double)n / count;
    s->count = count;
}

vr_status va_brown_forsythe_test(va_test *out, const double *const *values, const size_t *counts, size_t groups)
{
    *out = no_test("Brown-Forsythe");
    sums s = {0};
    size_t most = 0;
    for (size_t g = 0; g < groups; g++)
        most = counts[g] > most ? counts[g] : most;
    double *z = calloc(most + 1, sizeof *z);
    if (!z)
        return out_of_memory(out);
    for (size_t g = 0; g < groups; g++) {
        const size_t n = take_finite(z, values[g], counts[g]);
        out->excluded += counts[g] - n;
        if (n < 2)
            continue;
        take_distances(z, n);
        add_condition(&s, z, n);
        out->n += n;
        out->m++;
    }
    free(z);
    if (out->m < 2)
        return VR_OK;
    out->df1 = (double)out->m - 1;
    out->df2 = (double)(out->n - out->m);
    if (s.within > 0 || s.between > 0) {
        out->statistic = s.within > 0 ? s.between / out->df1 / (s.within / out->df2) : INFINITY;
        out->p = s.within > 0 ? gsl_cdf_fdist_Q(out->statistic, out->df1, out->df2) : 0;
    }
    return VR_OK;
}

/* ---- many tests at once ---- */

typedef struct ranked {
    double p;
    size_t at;
} ranked;

static int by_p(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    return (x->p > y->p) - (x->p < y->p);
}

/* The tests that there are, by p; NULL without memory. */
static ranked *sort_tests(const double *p, size_t n, size_t *count)
{
    ranked *out = calloc(n + 1, sizeof *out);
    *count = 0;
    for (size_t i = 0; out && i < n; i++)
        if (!isnan(p[i]))
            out[(*count)++] = (ranked){p[i], i};
    if (out)
        qsort(out, *count, sizeof *out, by_p);
    return out;
}

vr_status va_holm(double *p, size_t n)
{
    size_t count;
    ranked *tests = sort_tests(p, n, &count);
    if (!tests)
        return vr_fail(VR_ERROR_MEMORY, "out of memory for the correction of %zu tests", n);
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        largest = fmax(largest, fmin(tests[i].p * (double)(count - i), 1));
        p[tests[i].at] = largest;
    }
    free(tests);
    return VR_OK;
}

vr_status va_benjamini_hochberg(double *p, size_t n)
{
    size_t count;
    ranked *tests = sort_tests(p, n, &count);
    if (!tests)
        return vr_fail(VR_ERROR_MEMORY, "out of memory for the correction of %zu tests", n);
    double least = 1;
    for (size_t i = count; i-- > 0;) {
        least = fmin(least, tests[i].p * (double)count / (double)(i + 1));
        p[tests[i].at] = least;
    }
    free(tests);
    return VR_OK;
}
