/* How far apart the weights of a condition's runs are (study_report.h). */
#include "study_report_weights.h"

#include "guard.h"
#include "study_report.h"

#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The runs of a condition that have weights, and each weight in each of them. */
typedef struct weights {
    va_weight_rows rows;
    uint64_t tensors;
    const vr_weight_info **weight; /* [tensors][runs] */
    va_distances *sum;
    char unknown[256]; /* a tensor whose distance is not known; "": all are */
} weights;

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

static void free_weights(weights *w)
{
    free(w->rows.of);
    free(w->weight);
    free(w->rows.error2);
    va_distances_free(w->sum);
}

/* ---- which weights ---- */

static const vr_weight_info *find(const vr_weight_info *all, uint64_t count, const vr_site *like, uint64_t guess)
{
    for (uint64_t i = 0; i < count; i++) {
        const vr_weight_info *w = &all[(guess + i) % count];
        if (strcmp(w->site->layer, like->layer) == 0 && strcmp(w->site->name, like->name) == 0)
            return w;
    }
    return NULL;
}

static bool same_shape(const vr_site *a, const vr_site *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape) == 0;
}

static vr_status other_model(const va_study_run *a, const va_study_run *b, const vr_site *site)
{
    return vr_fail(VR_ERROR_ARGUMENT,
                   "%s and %s are of different models (weight %s/%s): no replicas of one condition; keep them apart "
                   "with --condition",
                   a->path, b->path, site->layer, site->name);
}

/* Each weight of the first run in run r. */
static vr_status align(weights *w, int r)
{
    const vr_weight_info *first, *mine;
    uint64_t count, of_mine;
    vr_status status = vr_trace_weights(w->rows.of[0]->trace, &first, &count);
    if (status == VR_OK)
        status = vr_trace_weights(w->rows.of[r]->trace, &mine, &of_mine);
    if (status != VR_OK)
        return status;
    if (of_mine > count)
        for (uint64_t t = 0; t < of_mine; t++)
            if (!find(first, count, mine[t].site, t))
                return other_model(w->rows.of[0], w->rows.of[r], mine[t].site);
    for (uint64_t t = 0; t < count; t++) {
        const vr_weight_info *same = find(mine, of_mine, first[t].site, t);
        if (!same || !same_shape(same->site, first[t].site))
            return other_model(w->rows.of[0], w->rows.of[r], first[t].site);
        w->weight[t * (uint64_t)w->rows.runs + (uint64_t)r] = same;
    }
    return VR_OK;
}

/* Runs without weights are left out of this. */
static vr_status collect_runs(weights *w, va_study *study, int condition)
{
    const va_study_condition *c = &study->conditions[condition];
    vr_status status = VR_OK;
    w->rows.of = calloc((size_t)c->count + 1, sizeof *w->rows.of);
    if (!w->rows.of)
        return no_memory();
    for (int r = 0; status == VR_OK && r < c->count; r++) {
        const va_study_run *run = va_study_replica(study, condition, r);
        const vr_weight_info *all;
        uint64_t count;
        va_guard_file(run->path);
        status = vr_trace_weights(run->trace, &all, &count);
        if (status != VR_OK || count == 0)
            continue;
        w->tensors = w->rows.runs ? w->tensors : count;
        w->rows.of[w->rows.runs++] = run;
    }
    if (status == VR_OK && w->rows.runs < c->count)
        va_study_note(study, "%s: %d of %d runs recorded no weights, and have no distances", c->name,
                      c->count - w->rows.runs, c->count);
    return status;
}

static vr_status collect(weights *w, va_study *study, int condition)
{
    vr_status status = collect_runs(w, study, condition);
    if (status != VR_OK || w->rows.runs == 0)
        return status;
    w->weight = calloc(w->tensors * (uint64_t)w->rows.runs, sizeof *w->weight);
    status = w->weight ? va_distances_new(&w->sum, w->rows.runs) : no_memory();
    if (status == VR_OK)
        w->rows.error2 = calloc(w->sum->pair_count + 1, sizeof *w->rows.error2);
    if (status == VR_OK && !w->rows.error2)
        status = no_memory();
    for (int r = 0; status == VR_OK && r < w->rows.runs; r++)
        status = align(w, r);
    return status;
}

/* ---- distances of a tensor ---- */

static bool all_equal(const vr_weight_info *const *of, int runs)
{
    for (int r = 1; r < runs; r++)
        if (!vr_digest_equal(of[r]->record.digest, of[0]->record.digest))
            return false;
    return true;
}

static bool all_full(const vr_weight_info *const *of, int runs)
{
    for (int r = 0; r < runs; r++)
        if (of[r]->record.level != VR_LEVEL_FULL)
            return false;
    return true;
}

static bool all_projected(const vr_weight_info *const *of, int runs)
{
    for (int r = 0; r < runs; r++)
        if (of[r]->projected == 0 || of[r]->projected != of[0]->projected || of[r]->record.level < VR_LEVEL_STATS)
            return false;
    return true;
}

/* Norms as the statistics have them, which a record of a digest alone has not. */
static void take_norms(va_distances *d, va_weight_rows *rows, const vr_weight_info *const *of)
{
    for (int r = 0; r < d->replicas; r++) {
        const vr_stats *s = &of[r]->record.stats;
        const bool finite = s->nan + s->pos_inf + s->neg_inf == 0;
        d->norm2[r] = finite ? s->l2 * s->l2 : NAN;
        rows->without_norms |= of[r]->record.level < VR_LEVEL_STATS;
    }
    d->elements += (uint64_t)of[0]->site->count;
}

typedef struct source {
    const va_weight_rows *rows;
    const vr_weight_info *const *of;
    vr_dtype dtype; /* in the traces */
    bool wide;      /* becomes f64 */
} source;

static vr_status read_values(void *context, int replica, uint64_t first, size_t n, void *to)
{
    const source *from = context;
    _Alignas(64) char raw[VA_DISTANCE_READ * sizeof(double)];
    const bool as_it_is = from->dtype == VR_F32 || from->dtype == VR_F64;
    const vr_status status = vr_trace_read_values(from->rows->of[replica]->trace, &from->of[replica]->record,
                                                  (int64_t)first, (int64_t)n, as_it_is ? to : raw);
    if (status != VR_OK || as_it_is)
        return status;
    if (from->wide)
        vr_to_f64(to, raw, from->dtype, n);
    else
        vr_to_f32(to, raw, from->dtype, n);
    return VR_OK;
}

static vr_status add_values(va_distances *d, const va_weight_rows *rows, const vr_weight_info *const *of)
{
    const vr_dtype dtype = of[0]->site->dtype;
    source from = {rows, of, dtype, dtype != VR_F32 && (dtype == VR_F64 || !vr_dtype_is_float(dtype))};
    va_guard_file(rows->of[0]->path);
    return va_distances_add(d, &(va_weights){.dtype = from.wide ? VR_F64 : VR_F32,
                                             .count = (uint64_t)of[0]->site->count,
                                             .read = read_values,
                                             .context = &from});
}

static vr_status add_projections(va_distances *d, va_weight_rows *rows, const vr_weight_info *const *of)
{
    const size_t n = (size_t)of[0]->projected;
    double *all = calloc((size_t)rows->runs * n, sizeof *all);
    vr_status status = all ? VR_OK : no_memory();
    for (int r = 0; status == VR_OK && r < rows->runs; r++)
        status = vr_weight_projection(rows->of[r]->trace, of[r], all + (size_t)r * n);
    for (int a = 0; status == VR_OK && a < rows->runs; a++)
        for (int b = a + 1; b < rows->runs; b++) {
            const vr_distance apart =
                vr_projection_distance(all + (size_t)a * n, all + (size_t)b * n, (int64_t)n, of[0]->site->count);
            const size_t pair = va_pair((size_t)a, (size_t)b, (size_t)rows->runs);
            d->squared[pair] = apart.squared;
            if (rows->error2)
                rows->error2[pair] += apart.error * apart.error;
        }
    free(all);
    if ((int64_t)n < of[0]->site->count) {
        rows->estimated++;
        rows->projected = rows->projected == 0 || (int64_t)n < rows->projected ? (int64_t)n : rows->projected;
    }
    take_norms(d, rows, of);
    return status;
}

vr_status va_weight_measure(va_distances *d, va_weight_rows *rows, const vr_weight_info *const *of, bool *known)
{
    *known = true;
    if (all_equal(of, rows->runs)) {
        take_norms(d, rows, of);
        return VR_OK;
    }
    rows->differ = true;
    if (all_full(of, rows->runs))
        return add_values(d, rows, of);
    *known = all_projected(of, rows->runs);
    return *known ? add_projections(d, rows, of) : VR_OK;
}

/* ---- figures ---- */

static vr_status add_kind(const va_place *place, const va_distances *d, va_distance_kind kind, va_metric metric,
                          const char *item, double **keep)
{
    const size_t n = (size_t)d->replicas;
    double *with_others = calloc(n + 1, sizeof *with_others);
    double *pairs = calloc(d->pair_count + 1, sizeof *pairs);
    if (!with_others || !pairs) {
        free(with_others);
        free(pairs);
        return no_memory();
    }
    va_distances_with_others(with_others, d, kind);
    for (int a = 0, k = 0; a < d->replicas; a++)
        for (int b = a + 1; b < d->replicas; b++, k++)
            pairs[k] = kind == VA_DISTANCE_L2 ? va_distance(d, a, b) : va_distance_normalized(d, a, b);
    va_add(place, metric,
           va_pairs_interval(with_others, n > 1 ? pairs : NULL, n, INFINITY, place->report->options.confidence), "%s",
           item);
    if (keep)
        *keep = with_others;
    else
        free(with_others);
    free(pairs);
    return VR_OK;
}

/* The interval is that of 1 - cosine, which is not negative. */
static vr_status add_cosine(const va_place *place, const va_distances *d, double **keep)
{
    const size_t n = (size_t)d->replicas;
    double *with_others = calloc(n + 1, sizeof *with_others);
    if (!with_others)
        return no_memory();
    va_distances_with_others(with_others, d, VA_DISTANCE_COSINE);
    for (size_t r = 0; r < n; r++)
        with_others[r] = 1 - with_others[r];
    const va_interval apart = va_pairs_interval(with_others, NULL, n, 2, place->report->options.confidence);
    va_interval cosine = apart;
    cosine.estimate = 1 - apart.estimate;
    cosine.low = 1 - apart.high;
    cosine.high = 1 - apart.low;
    va_add(place, VA_M_COSINE, cosine, "%s", "");
    *keep = with_others;
    return VR_OK;
}

static void note_error(va_report *report, const weights *w)
{
    double largest = 0;
    for (size_t k = 0; k < w->sum->pair_count; k++)
        if (w->sum->squared[k] > 0)
            largest = fmax(largest, sqrt(w->rows.error2[k]) / (2 * w->sum->squared[k]));
    va_figure *f = report->count ? &report->figures[report->count - 1] : NULL;
    if (w->rows.estimated)
        va_add_note(report, f,
                    "%llu of %llu tensors estimated from projections to %lld numbers: a distance has a standard error "
                    "of up to %.2g%%",
                    (unsigned long long)w->rows.estimated, (unsigned long long)w->tensors, (long long)w->rows.projected,
                    100 * largest);
}

/* What takes norms: distances of unit vectors, cosines. */
static vr_status add_directions(va_report *report, int condition, const weights *w)
{
    const va_place place = {report, VA_WEIGHTS, condition, -1};
    va_condition_report *c = &report->conditions[condition];
    vr_status status = add_kind(&place, w->sum, VA_DISTANCE_NORMALIZED, VA_M_L2_NORMALIZED, "",
                                &c->weights_with_others[VA_DISTANCE_NORMALIZED]);
    if (status == VR_OK)
        status = add_cosine(&place, w->sum, &c->weights_with_others[VA_DISTANCE_COSINE]);
    double *norms = calloc((size_t)w->rows.runs, sizeof *norms);
    for (int r = 0; norms && r < w->rows.runs; r++)
        norms[r] = sqrt(w->sum->norm2[r]);
    if (norms)
        va_add(&place, VA_M_NORM, va_mean_interval(norms, (size_t)w->rows.runs, report->options.confidence), "%s", "");
    free(norms);
    return norms ? status : no_memory();
}

static vr_status add_total(va_report *report, int condition, const weights *w)
{
    const va_place place = {report, VA_WEIGHTS, condition, -1};
    va_condition_report *c = &report->conditions[condition];
    va_distance_summary summary;
    vr_status status = add_kind(&place, w->sum, VA_DISTANCE_L2, VA_M_L2, "", &c->weights_with_others[VA_DISTANCE_L2]);
    note_error(report, w);
    if (status == VR_OK)
        status = va_distances_summary(&summary, w->sum);
    if (status != VR_OK)
        return status;
    va_add(&place, VA_M_L2_SD, va_plain(summary.l2.sd, summary.l2.n), "%s", "");
    if (!w->rows.without_norms)
        return add_directions(report, condition, w);
    va_study_note(report->study, "%s: no cosines of the weights: of some there is a digest alone, and no norm",
                  report->study->conditions[condition].name);
    return VR_OK;
}

/* Weights of the same bits are 0 apart, whether or not the norms were recorded. */
static void add_equal(va_report *report, int condition, const weights *w)
{
    const va_place place = {report, VA_WEIGHTS, condition, -1};
    const struct {
        va_metric metric;
        double value;
    } figures[] = {{VA_M_L2, 0}, {VA_M_L2_SD, 0}, {VA_M_L2_NORMALIZED, 0}, {VA_M_COSINE, 1}};
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        va_figure *f = va_add(&place, figures[i].metric,
                              va_plain(w->rows.runs > 1 ? figures[i].value : NAN, w->rows.runs), "%s", "");
        if (i == 0)
            va_add_note(report, f, w->rows.runs > 1 ? "the same bits in all runs" : "one run");
    }
    va_condition_report *c = &report->conditions[condition];
    c->weights_with_others[VA_DISTANCE_L2] = calloc((size_t)w->rows.runs, sizeof(double));
    c->weights_with_others[VA_DISTANCE_NORMALIZED] = calloc((size_t)w->rows.runs, sizeof(double));
}

static vr_status measure_all(va_report *report, int condition, weights *w)
{
    const va_place place = {report, VA_WEIGHTS, condition, -1};
    vr_status status = VR_OK;
    for (uint64_t t = 0; status == VR_OK && t < w->tensors; t++) {
        const vr_weight_info *const *of = &w->weight[t * (uint64_t)w->rows.runs];
        va_distances *d;
        bool known = false;
        status = va_distances_new(&d, w->rows.runs);
        if (status != VR_OK)
            break;
        status = va_weight_measure(d, &w->rows, of, &known);
        if (status == VR_OK && !known && !w->unknown[0])
            snprintf(w->unknown, sizeof w->unknown, "%s/%s", of[0]->site->layer, of[0]->site->name);
        char item[512];
        snprintf(item, sizeof item, "%s/%s", of[0]->site->layer, of[0]->site->name);
        if (status == VR_OK && known) {
            va_distances_merge(w->sum, d);
            status = add_kind(&place, d, VA_DISTANCE_L2, VA_M_L2, item, NULL);
        }
        va_distances_free(d);
    }
    return status;
}

vr_status va_report_weights(va_report *report, int condition)
{
    weights w = {0};
    vr_status status = collect(&w, report->study, condition);
    if (status == VR_OK && w.rows.runs > 0)
        status = measure_all(report, condition, &w);
    if (status == VR_OK && w.rows.runs > 0 && w.unknown[0])
        va_study_note(report->study, "%s: no distance of the weights: of %s there is neither projection nor value",
                      report->study->conditions[condition].name, w.unknown);
    else if (status == VR_OK && w.rows.runs > 0 && !w.rows.differ)
        add_equal(report, condition, &w);
    else if (status == VR_OK && w.rows.runs > 0)
        status = add_total(report, condition, &w);
    free_weights(&w);
    return status;
}
