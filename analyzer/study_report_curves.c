/* Training curves of a condition's runs: loss, accuracy, distance of the weights, by step (study_report.h). */
#include "guard.h"
#include "info_evaluations.h"
#include "study_curve.h"
#include "study_report.h"
#include "study_report_parting.h"
#include "study_report_weights.h"

#include <formats/fail.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK       4096           /* records at a time */
#define MOST_POINTS 200            /* of a curve, as figures */
#define MOST_LINES  8              /* of these in a table */
#define MOST_STEPS  48             /* at which weights are compared */
#define MOST_BYTES  (256ull << 20) /* of records of weights */
#define SATURATION  0.5            /* growth is fitted up to this part of the largest distance */

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

/* A number by step. */
typedef struct series {
    uint64_t *steps;
    double *values;
    size_t count, room;
} series;

static bool add_value(series *s, uint64_t step, double value)
{
    if (s->count == s->room) {
        const size_t room = s->room ? 2 * s->room : 256;
        uint64_t *steps = realloc(s->steps, room * sizeof *steps);
        s->steps = steps ? steps : s->steps;
        double *values = realloc(s->values, room * sizeof *values);
        s->values = values ? values : s->values;
        if (!steps || !values)
            return false;
        s->room = room;
    }
    s->steps[s->count] = step;
    s->values[s->count++] = value;
    return true;
}

static void free_series(series *all, int count)
{
    for (int r = 0; all && r < count; r++) {
        free(all[r].steps);
        free(all[r].values);
    }
    free(all);
}

/* ---- records ---- */

typedef vr_status (*visitor)(void *context, const vr_site *site, const vr_trace_record *record);

/* Calls for every record. */
static vr_status visit(const va_study_run *run, visitor call, void *context)
{
    vr_trace *trace = run->trace;
    const uint64_t count = vr_trace_get_info(trace)->record_count;
    const vr_site *sites = vr_trace_sites(trace);
    vr_trace_record *block = malloc(BLOCK * sizeof *block);
    vr_status status = block ? VR_OK : no_memory();
    va_guard_file(run->path);
    for (uint64_t first = 0; status == VR_OK && first < count; first += BLOCK) {
        const uint64_t n = count - first < BLOCK ? count - first : BLOCK;
        status = vr_trace_read_records(trace, first, n, block);
        for (uint64_t i = 0; status == VR_OK && i < n; i++)
            status = call(context, &sites[block[i].site], &block[i]);
    }
    free(block);
    return status;
}

/* The value of a metric, which its statistics hold too. */
static double value_of(const vr_stats *stats)
{
    if (stats->nan)
        return NAN;
    if (stats->pos_inf || stats->neg_inf)
        return stats->pos_inf ? INFINITY : -INFINITY;
    return stats->mean;
}

static vr_status take_loss(void *context, const vr_site *site, const vr_trace_record *record)
{
    series *s = context;
    if (site->phase != VR_METRIC || site->count != 1 || strcmp(site->name, "loss") != 0 ||
        record->level < VR_LEVEL_STATS)
        return VR_OK;
    return add_value(s, record->step, value_of(&record->stats)) ? VR_OK : no_memory();
}

/* The accuracy of each evaluation of the set. */
static vr_status take_accuracy(series *out, const va_study_run *run, const char *set)
{
    va_evaluations all;
    va_guard_file(run->path);
    vr_status status = va_evaluations_read(&all, run->trace);
    if (status != VR_OK)
        return status;
    for (uint64_t i = 0; status == VR_OK && i < all.count; i++) {
        const vr_evaluation_info *info = all.all[i].info;
        if (strcmp(info->name, set) == 0 && info->count > 0 &&
            !add_value(out, info->step, (double)all.all[i].correct / (double)info->count))
            status = no_memory();
    }
    va_evaluations_free(&all);
    return status;
}

/* ---- curves ---- */

/* Steps that all runs have at the beginning, one after the other. */
static size_t common_steps(const series *all, int runs)
{
    size_t n = all[0].count;
    for (int r = 1; r < runs; r++) {
        size_t k = 0;
        while (k < n && k < all[r].count && all[r].steps[k] == all[0].steps[k])
            k++;
        n = k;
    }
    return n;
}

static vr_status make_curve(va_curve *out, const series *all, int runs, const char *what)
{
    const size_t n = common_steps(all, runs);
    const double **values = calloc((size_t)runs + 1, sizeof *values);
    va_spread *spreads = calloc(n + 1, sizeof *spreads);
    va_curve_point *points = calloc(n + 1, sizeof *points);
    vr_status status = values && spreads && points ? VR_OK : no_memory();
    for (int r = 0; status == VR_OK && r < runs; r++)
        values[r] = all[r].values;
    if (status == VR_OK && n > 0)
        status = va_curve_spread(spreads, values, runs, n);
    for (size_t i = 0; status == VR_OK && i < n; i++)
        points[i] = (va_curve_point){(double)all[0].steps[i], spreads[i]};
    free(values);
    free(spreads);
    if (status != VR_OK || n == 0) {
        free(points);
        return status;
    }
    *out = (va_curve){points, n, what};
    return VR_OK;
}

static void add_points(const va_place *place, const va_curve *curve, va_metric metric, va_metric sd)
{
    const size_t every = (curve->count + MOST_POINTS - 1) / MOST_POINTS,
                 shown = (curve->count + MOST_LINES - 1) / MOST_LINES;
    for (size_t i = 0; i < curve->count; i++) {
        const va_spread *s = &curve->points[i].spread;
        const bool last = i + 1 == curve->count, detail = !last && i % shown != 0;
        if (i % every != 0 && !last && detail)
            continue;
        va_figure *f = va_add(place, metric, va_plain(s->mean, s->n), "%s, step %.0f", curve->what, curve->points[i].t);
        if (f)
            f->detail = detail;
        if (s->excluded)
            va_add_note(place->report, f, "not finite in %d runs", s->excluded);
        f = sd == VA_METRICS
                ? NULL
                : va_add(place, sd, va_plain(s->sd, s->n), "%s, step %.0f", curve->what, curve->points[i].t);
        if (f)
            f->detail = detail;
    }
}

/* Mean |a - b| over pairs of runs, at each step. */
static void mean_apart(double *out, const series *all, int runs, size_t steps)
{
    for (size_t i = 0; i < steps; i++) {
        double sum = 0;
        for (int a = 0; a < runs; a++)
            for (int b = a + 1; b < runs; b++)
                sum += fabs(all[a].values[i] - all[b].values[i]);
        out[i] = sum / (0.5 * runs * (runs - 1));
    }
}

/* From step 1 on: 0 is the setup, which has no logarithm. */
static void add_growth(const va_place *place, const char *what, const double *t, const double *delta, size_t n)
{
    const size_t setup = n > 0 && t[0] == 0;
    static const struct {
        va_growth_kind kind;
        va_metric metric;
    } kinds[] = {{VA_GROWTH_EXPONENTIAL, VA_M_RATE}, {VA_GROWTH_POWER, VA_M_EXPONENT}};
    for (int k = 0; k < 2; k++) {
        va_growth g;
        if (va_growth_fit(&g, t + setup, delta + setup, n - setup, kinds[k].kind, SATURATION,
                          place->report->options.confidence) != VR_OK) {
            va_figure *none = va_add(place, kinds[k].metric, va_plain(NAN, (int)(n - setup)), "%s", what);
            va_add_note(place->report, none,
                        "no growth to be fitted: too few steps before half of the largest distance");
            continue;
        }
        va_figure *f = va_add(place, kinds[k].metric, g.rate, "%s", what);
        if (kinds[k].kind == VA_GROWTH_EXPONENTIAL)
            va_add_note(place->report, f, "steps %.0f to %.0f, r2 %.2f; doubles every %.3g steps", t[setup + g.first],
                        t[setup + g.last], g.r2, g.doubling);
        else
            va_add_note(place->report, f, "steps %.0f to %.0f, r2 %.2f; distance as step to that power",
                        t[setup + g.first], t[setup + g.last], g.r2);
    }
}

static vr_status grow_by_loss(const va_place *place, const series *all, int runs)
{
    const size_t n = common_steps(all, runs);
    double *t = calloc(n + 1, sizeof *t), *delta = calloc(n + 1, sizeof *delta);
    const vr_status status = t && delta ? VR_OK : no_memory();
    if (status == VR_OK && runs > 1 && n > 0) {
        for (size_t i = 0; i < n; i++)
            t[i] = (double)all[0].steps[i];
        mean_apart(delta, all, runs, n);
        add_growth(place, "difference of losses", t, delta, n);
    }
    free(t);
    free(delta);
    return status;
}

static vr_status report_loss(va_report *report, int condition)
{
    const va_place place = {report, VA_CURVES, condition, -1};
    const int runs = report->study->conditions[condition].count;
    va_curve *curve = &report->conditions[condition].curves[VA_CURVE_LOSS];
    series *all = calloc((size_t)runs, sizeof *all);
    vr_status status = all ? VR_OK : no_memory();
    for (int r = 0; status == VR_OK && r < runs; r++)
        status = visit(va_study_replica(report->study, condition, r), take_loss, &all[r]);
    if (status == VR_OK)
        status = make_curve(curve, all, runs, "training loss");
    if (status == VR_OK && curve->what)
        add_points(&place, curve, VA_M_LOSS, VA_M_LOSS_SD);
    if (status == VR_OK && curve->what)
        status = grow_by_loss(&place, all, runs);
    free_series(all, runs);
    return status;
}

static vr_status report_accuracy(va_report *report, int condition)
{
    const va_place place = {report, VA_CURVES, condition, -1};
    const int runs = report->study->conditions[condition].count;
    va_curve *curve = &report->conditions[condition].curves[VA_CURVE_TEST_ACCURACY];
    series *all = calloc((size_t)runs, sizeof *all);
    vr_status status = all ? VR_OK : no_memory();
    for (int r = 0; status == VR_OK && r < runs; r++)
        status = take_accuracy(&all[r], va_study_replica(report->study, condition, r), report->study->set);
    if (status == VR_OK)
        status = make_curve(curve, all, runs, "accuracy");
    if (status == VR_OK && curve->what)
        add_points(&place, curve, VA_M_ACCURACY, VA_M_SD);
    free_series(all, runs);
    return status;
}

/* ---- weights by step ---- */

/* The weights of the runs at some steps, from what was recorded of them on the way. */
typedef struct history {
    const vr_weight_info *weights; /* of the first run */
    uint64_t tensors;
    uint64_t steps[MOST_STEPS];
    size_t step_count;
    vr_weight_info *rows; /* [steps][tensors][runs] */
    int runs, run;        /* the one being read */
} history;

/* Steps of the first run at which its first weight stands with values or a projection. */
static vr_status take_step(void *context, const vr_site *site, const vr_trace_record *record)
{
    series *s = context;
    if (site->phase != VR_WEIGHT || record->level != VR_LEVEL_FULL ||
        (s->count > 0 && s->steps[s->count - 1] == record->step))
        return VR_OK;
    return add_value(s, record->step, 0) ? VR_OK : no_memory();
}

static int find_step(const history *h, uint64_t step)
{
    for (size_t i = 0; i < h->step_count; i++)
        if (h->steps[i] == step)
            return (int)i;
    return -1;
}

static vr_weight_info *row_of(const history *h, size_t step, uint64_t tensor)
{
    return &h->rows[(step * h->tensors + tensor) * (uint64_t)h->runs];
}

/* A weight, or its projection, which stands after it. */
static vr_status take_weight(void *context, const vr_site *site, const vr_trace_record *record)
{
    const history *h = context;
    const int step = site->phase == VR_WEIGHT ? find_step(h, record->step) : -1;
    const bool projection = strncmp(site->name, VR_PROJECTION_PREFIX, strlen(VR_PROJECTION_PREFIX)) == 0;
    const char *name = site->name + (projection ? strlen(VR_PROJECTION_PREFIX) : 0);
    if (step < 0)
        return VR_OK;
    for (uint64_t t = 0; t < h->tensors; t++) {
        const vr_site *like = h->weights[t].site;
        vr_weight_info *row = &row_of(h, (size_t)step, t)[h->run];
        if (strcmp(like->layer, site->layer) != 0 || strcmp(like->name, name) != 0)
            continue;
        if (projection) {
            row->projection = *record;
            row->projected = record->level == VR_LEVEL_FULL ? site->count : 0;
        } else if (site->count == like->count && site->dtype == like->dtype) {
            *row = (vr_weight_info){.site = site, .step = record->step, .record = *record};
        }
    }
    return VR_OK;
}

/* At most MOST_STEPS steps, evenly among those recorded, the first and the last included. */
static vr_status choose_steps(history *h, const va_study_run *first)
{
    series s = {0};
    vr_status status = visit(first, take_step, &s);
    const uint64_t room = MOST_BYTES / (h->tensors * (uint64_t)h->runs * sizeof *h->rows + 1);
    const size_t most = room < MOST_STEPS ? (size_t)room : MOST_STEPS, n = s.count < most ? s.count : most;
    for (size_t i = 0; status == VR_OK && i < n; i++)
        h->steps[h->step_count++] = s.steps[n > 1 ? i * (s.count - 1) / (n - 1) : 0];
    free(s.steps);
    free(s.values);
    return status;
}

/* The mean distance over pairs at a step, NaN where it is not known. */
static vr_status distance_at(va_spread *out, const history *h, const va_study_run **of, size_t step)
{
    va_weight_rows rows = {.runs = h->runs, .of = of};
    const vr_weight_info **tensor = calloc((size_t)h->runs + 1, sizeof *tensor);
    va_distances *sum = NULL, *d = NULL;
    vr_status status = tensor ? va_distances_new(&sum, h->runs) : no_memory();
    bool known = true;
    for (uint64_t t = 0; status == VR_OK && known && t < h->tensors; t++) {
        for (int r = 0; r < h->runs; r++) {
            tensor[r] = &row_of(h, step, t)[r];
            known &= tensor[r]->site != NULL;
        }
        if (known)
            status = va_distances_new(&d, h->runs);
        if (status == VR_OK && known)
            status = va_weight_measure(d, &rows, tensor, &known);
        if (status == VR_OK && known)
            va_distances_merge(sum, d);
        va_distances_free(d);
        d = NULL;
    }
    va_distance_summary summary;
    if (status == VR_OK)
        status = va_distances_summary(&summary, sum);
    if (status == VR_OK)
        *out = known ? summary.l2 : va_spread_of(NULL, 0);
    va_distances_free(sum);
    free(tensor);
    return status;
}

static vr_status measure_history(va_curve *curve, history *h, const va_study_run **of)
{
    va_curve_point *points = calloc(h->step_count + 1, sizeof *points);
    vr_status status = points ? VR_OK : no_memory();
    size_t n = 0;
    for (size_t i = 0; status == VR_OK && i < h->step_count; i++) {
        status = distance_at(&points[n].spread, h, of, i);
        points[n].t = (double)h->steps[i];
        n += status == VR_OK && points[n].spread.n > 0;
    }
    *curve = (va_curve){points, n, n > 0 ? "distance of the weights" : NULL};
    return status;
}

static vr_status read_history(history *h, const va_study_run **of)
{
    vr_status status = vr_trace_weights(of[0]->trace, &h->weights, &h->tensors);
    if (status == VR_OK)
        status = choose_steps(h, of[0]);
    h->rows = status == VR_OK && h->step_count > 2
                  ? calloc(h->step_count * h->tensors * (uint64_t)h->runs + 1, sizeof *h->rows)
                  : NULL;
    if (status == VR_OK && h->step_count > 2 && !h->rows)
        status = no_memory();
    for (h->run = 0; status == VR_OK && h->rows && h->run < h->runs; h->run++)
        status = visit(of[h->run], take_weight, h);
    return status;
}

static vr_status report_distance(va_report *report, int condition)
{
    const va_place place = {report, VA_CURVES, condition, -1};
    va_curve *curve = &report->conditions[condition].curves[VA_CURVE_DISTANCE];
    history h = {.runs = report->study->conditions[condition].count};
    const va_study_run **of = calloc((size_t)h.runs + 1, sizeof *of);
    double t[MOST_STEPS], apart[MOST_STEPS];
    for (int r = 0; of && r < h.runs; r++)
        of[r] = va_study_replica(report->study, condition, r);
    vr_status status = of ? read_history(&h, of) : no_memory();
    if (status == VR_OK && h.rows && h.runs > 1)
        status = measure_history(curve, &h, of);
    for (size_t i = 0; i < curve->count; i++) {
        t[i] = curve->points[i].t;
        apart[i] = curve->points[i].spread.mean;
    }
    if (status == VR_OK && curve->what) {
        add_points(&place, curve, VA_M_L2, VA_METRICS);
        add_growth(&place, curve->what, t, apart, curve->count);
    }
    free(h.rows);
    free(of);
    return status;
}

vr_status va_report_curves(va_report *report, int condition)
{
    vr_status status = va_report_parting(report, condition);
    if (status == VR_OK)
        status = report_distance(report, condition);
    if (status == VR_OK)
        status = report_loss(report, condition);
    if (status == VR_OK)
        status = report_accuracy(report, condition);
    return status;
}
