#include "diff_inputs.h"
#include "grow.h"

#include <fnmatch.h>
#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES (1 << 20)

typedef struct walker {
    va_diff *diff;
    const va_diff_options *options;
    uint32_t *layer_of; /* [entity]: index in diff->layers, UINT32_MAX before the first */
    va_inputs *inputs;
    bool any; /* something has differed, selected or not */
    const va_batch *batch;
} walker;

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

/* ---- distance ---- */

vr_status va_compare_records(vr_comparison *out, vr_trace *const trace[2], const vr_trace_record *const record[2],
                             const vr_tolerance *tolerance)
{
    const vr_site *site = &vr_trace_sites(trace[0])[record[0]->site];
    const int64_t per_piece = PIECE_BYTES / (int64_t)vr_dtype_size(site->dtype);
    void *values[2] = {malloc(PIECE_BYTES), malloc(PIECE_BYTES)};
    vr_status status = values[0] && values[1] ? VR_OK : no_memory();
    for (int64_t first = 0; status == VR_OK && (first == 0 || first < site->count); first += per_piece) {
        const int64_t n = site->count - first < per_piece ? site->count - first : per_piece;
        vr_comparison part;
        for (int run = 0; status == VR_OK && run < 2; run++)
            status = vr_trace_read_values(trace[run], record[run], first, n, values[run]);
        const vr_tensor a = VR_TENSOR(site->dtype, values[0], n), b = VR_TENSOR(site->dtype, values[1], n);
        if (status == VR_OK)
            status = vr_compare(&part, &a, &b, tolerance);
        if (status == VR_OK)
            *out = first == 0 ? part : vr_comparison_merge(out, &part);
    }
    free(values[0]);
    free(values[1]);
    return status;
}

/* Unknown where squares overflow. */
static va_distance ratio(double difference, double larger, bool exact)
{
    const double relative = larger > 0 ? difference / larger : 0;
    return isfinite(relative) ? (va_distance){relative, exact} : (va_distance){-1, false};
}

static va_distance distance_of_stats(const vr_stats *a, const vr_stats *b)
{
    const double larger = fmax(a->l2, b->l2), mean = a->mean - b->mean, spread = sqrt(a->m2) - sqrt(b->m2);
    const double finite = (double)(a->count - a->nan - a->pos_inf - a->neg_inf);
    if (a->nan != b->nan || a->pos_inf != b->pos_inf || a->neg_inf != b->neg_inf)
        return (va_distance){INFINITY, true};
    return ratio(sqrt(finite * mean * mean + spread * spread), larger, false);
}

static va_distance distance_of_values(const vr_comparison *c)
{
    const double larger = fmax(c->a_l2, c->b_l2);
    if (c->nan_mismatch || c->inf_mismatch)
        return (va_distance){INFINITY, true};
    return ratio(c->diff_l2, larger, true);
}

bool va_same_kind(const vr_site *a, const vr_site *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape) == 0;
}

/* A metric: its value is its minimum. */
static bool is_known_scalar(const vr_site *site, const vr_trace_record *record)
{
    return site->dtype == VR_F64 && site->count == 1 && record->level >= VR_LEVEL_STATS &&
           record->stats.nan + record->stats.pos_inf + record->stats.neg_inf == 0;
}

static vr_status judge_scalars(const walker *w, const vr_trace_record *const pair[2], va_distance *distance,
                               bool *within)
{
    const vr_tensor a = VR_SCALAR(VR_F64, &pair[0]->stats.min), b = VR_SCALAR(VR_F64, &pair[1]->stats.min);
    vr_comparison c;
    const vr_status status = vr_compare(&c, &a, &b, &w->options->tolerance);
    if (status == VR_OK) {
        *distance = distance_of_values(&c);
        *within = w->options->has_tolerance && c.within == c.count;
    }
    return status;
}

/* How far apart a differing pair is, and whether that is within the tolerance. */
static vr_status judge(walker *w, const vr_trace_record *const pair[2], const vr_site *const site[2],
                       va_distance *distance, bool *within)
{
    *distance = (va_distance){-1, false};
    *within = false;
    if (!va_same_kind(site[0], site[1]))
        return VR_OK;
    if (pair[0]->level == VR_LEVEL_FULL && pair[1]->level == VR_LEVEL_FULL) {
        vr_comparison c;
        const vr_status status = va_compare_records(&c, w->diff->trace, pair, &w->options->tolerance);
        if (status != VR_OK)
            return status;
        *distance = distance_of_values(&c);
        *within = w->options->has_tolerance && c.within == c.count;
        return VR_OK;
    }
    if (is_known_scalar(site[0], pair[0]) && is_known_scalar(site[1], pair[1]))
        return judge_scalars(w, pair, distance, within);
    w->diff->without_values |= w->options->has_tolerance;
    if (pair[0]->level >= VR_LEVEL_STATS && pair[1]->level >= VR_LEVEL_STATS)
        *distance = distance_of_stats(&pair[0]->stats, &pair[1]->stats);
    return VR_OK;
}

/* ---- bookkeeping ---- */

static bool is_selected(const walker *w, const va_entity *e)
{
    const va_diff_options *o = w->options;
    return (!o->layer || fnmatch(o->layer, e->layer, 0) == 0) && (!o->phase || o->phase == e->phase) &&
           w->batch->step >= o->first_step && w->batch->step <= o->last_step;
}

static va_layer_summary *summary_of(walker *w, uint32_t entity)
{
    va_diff *diff = w->diff;
    const va_entity *e = &diff->entities[entity];
    for (size_t i = 0; w->layer_of[entity] == UINT32_MAX && i < diff->layer_count; i++)
        if (diff->layers[i].phase == e->phase && strcmp(diff->layers[i].layer, e->layer) == 0)
            w->layer_of[entity] = (uint32_t)i;
    if (w->layer_of[entity] == UINT32_MAX) {
        va_layer_summary *layers = va_one_more(diff->layers, diff->layer_count, &diff->layer_room, sizeof *layers);
        if (!layers)
            return NULL;
        diff->layers = layers;
        w->layer_of[entity] = (uint32_t)diff->layer_count;
        const va_distance none = {-1, false};
        layers[diff->layer_count++] =
            (va_layer_summary){.layer = e->layer, .phase = e->phase, .first = none, .largest = none, .last = none};
    }
    return &diff->layers[w->layer_of[entity]];
}

static void keep_larger(va_distance *kept, va_distance other)
{
    if (other.relative > kept->relative)
        *kept = other;
}

static void sum_up(va_layer_summary *layer, uint64_t step, va_distance distance)
{
    if (layer->different++ == 0)
        layer->first_step = step;
    if (step == layer->first_step)
        keep_larger(&layer->first, distance);
    if (step != layer->last_step)
        layer->last = (va_distance){-1, false};
    layer->last_step = step;
    keep_larger(&layer->last, distance);
    keep_larger(&layer->largest, distance);
}

static vr_status keep_difference(walker *w, uint32_t entity, va_class class, const bool in[2], va_distance distance)
{
    va_diff *diff = w->diff;
    if (!w->options->all)
        return VR_OK;
    va_difference *all = va_one_more(diff->differences, diff->difference_count, &diff->difference_room, sizeof *all);
    if (!all)
        return no_memory();
    diff->differences = all;
    all[diff->difference_count++] =
        (va_difference){class, entity, w->batch->step, w->batch->epoch, {in[0], in[1]}, distance};
    return VR_OK;
}

/* Two findings are one when the same operation differs for the same reason. */
static bool same_finding(const va_finding *a, const va_finding *b)
{
    return a->class == b->class && a->entity == b->entity && a->missing == b->missing && a->seed == b->seed;
}

static vr_status keep_finding(walker *w, const va_finding *why)
{
    va_diff *diff = w->diff;
    for (size_t i = 0; i < diff->finding_count; i++)
        if (same_finding(&diff->findings[i], why)) {
            diff->findings[i].count++;
            diff->findings[i].last_step = why->step;
            return VR_OK;
        }
    va_finding *all = va_one_more(diff->findings, diff->finding_count, &diff->finding_room, sizeof *all);
    if (!all)
        return no_memory();
    diff->findings = all;
    all[diff->finding_count++] = *why;
    return VR_OK;
}

/* Samples may come in another order: their rows are added up over the epoch in which they first differ. */
static void add_rows(walker *w, uint32_t entity, const vr_trace_record *const pair[2])
{
    va_diff *diff = w->diff;
    for (size_t i = 0; i < diff->finding_count; i++)
        if (diff->findings[i].entity == entity)
            for (int run = 0; run < 2; run++)
                if (pair[run] && pair[run]->epoch == diff->findings[i].rows_epoch)
                    diff->findings[i].rows[run] = vr_digest_add(diff->findings[i].rows[run], pair[run]->rows);
}

static void note_first(walker *w, uint32_t entity, va_class class)
{
    va_diff *diff = w->diff;
    if (diff->any)
        return;
    diff->any = true;
    diff->first_step = w->batch->step;
    diff->first_epoch = w->batch->epoch;
    diff->first_entity = entity;
    diff->first_class = class;
}

/* ---- rows ---- */

static vr_status take_one_sided(walker *w, uint32_t entity, const vr_trace_record *const pair[2])
{
    const bool in[2] = {pair[0] != NULL, pair[1] != NULL};
    va_layer_summary *layer = summary_of(w, entity);
    if (!layer)
        return no_memory();
    w->diff->one_sided[in[1]]++;
    layer->one_sided[in[1]]++;
    return keep_difference(w, entity, VA_ONE_SIDED, in, (va_distance){-1, false});
}

static vr_status take_different(walker *w, va_finding *why, const vr_trace_record *const pair[2], va_distance distance,
                                bool selected)
{
    va_diff *diff = w->diff;
    const vr_status status = va_inputs_classify(w->inputs, w->batch, pair[0]->site, why);
    const bool first = !w->any;
    w->any = true;
    if (status != VR_OK || !selected)
        return status;
    diff->different++;
    diff->origins += why->class == VA_ORIGIN;
    diff->propagated += why->class == VA_PROPAGATED;
    diff->unexplained += why->class == VA_UNEXPLAINED;
    const bool is_finding = why->class == VA_ORIGIN || (why->class == VA_UNEXPLAINED && first);
    note_first(w, why->entity, why->class);
    va_layer_summary *layer = summary_of(w, why->entity);
    if (!layer)
        return no_memory();
    sum_up(layer, w->batch->step, distance);
    const vr_status kept = is_finding ? keep_finding(w, why) : VR_OK;
    return kept == VR_OK ? keep_difference(w, why->entity, why->class, (bool[2]){true, true}, distance) : kept;
}

static va_finding finding_of(const walker *w, uint32_t entity, const vr_trace_record *const pair[2],
                             const vr_site *const site[2])
{
    return (va_finding){
        .entity = entity,
        .step = w->batch->step,
        .last_step = w->batch->step,
        .epoch = w->batch->epoch,
        .count = 1,
        .site = {site[0], site[1]},
        .record = {*pair[0], *pair[1]},
        .rows_epoch = pair[0]->epoch,
        .rows_same_step = site[0]->phase == VR_INPUT && vr_digest_equal(pair[0]->rows, pair[1]->rows),
    };
}

static vr_status take_pair(walker *w, uint32_t entity, const vr_trace_record *const pair[2], va_class *class,
                           bool selected)
{
    va_diff *diff = w->diff;
    const vr_site *const site[2] = {&vr_trace_sites(diff->trace[0])[pair[0]->site],
                                    &vr_trace_sites(diff->trace[1])[pair[1]->site]};
    *class = VA_EQUAL;
    if (selected) {
        va_layer_summary *layer = summary_of(w, entity);
        if (!layer)
            return no_memory();
        diff->compared++;
        layer->compared++;
    }
    if (vr_digest_equal(pair[0]->digest, pair[1]->digest) && va_same_kind(site[0], site[1]))
        return VR_OK;
    va_distance distance;
    bool within;
    vr_status status = judge(w, pair, site, &distance, &within);
    if (status == VR_OK && within)
        diff->within += selected;
    else if (status == VR_OK) {
        va_finding why = finding_of(w, entity, pair, site);
        status = take_different(w, &why, pair, distance, selected);
        *class = why.class;
    }
    return status;
}

static vr_status take_row(walker *w, size_t row)
{
    const uint32_t entity = w->batch->entity[row];
    const vr_trace_record *const *pair = &w->batch->records[row * 2];
    const bool selected = is_selected(w, &w->diff->entities[entity]);
    va_class class = VA_ONE_SIDED;
    vr_status status = VR_OK;
    if (pair[0] && pair[1])
        status = take_pair(w, entity, pair, &class, selected);
    else if (selected && w->batch->steps[0] && w->batch->steps[1])
        status = take_one_sided(w, entity, pair);
    if (w->diff->entities[entity].phase == VR_INPUT)
        add_rows(w, entity, pair);
    va_inputs_note(w->inputs, w->batch, entity, (pair[0] ? pair[0] : pair[1])->epoch, class);
    return status;
}

static void take_step(walker *w)
{
    va_diff *diff = w->diff;
    if (w->batch->step < w->options->first_step || w->batch->step > w->options->last_step)
        return;
    for (int run = 0; run < 2; run++)
        diff->steps[run] += w->batch->steps[run] != NULL;
    if (w->batch->steps[0] && w->batch->steps[1]) {
        diff->has_common = true;
        diff->last_common = w->batch->step;
    }
}

static vr_status walk(walker *w)
{
    vr_status status;
    while ((status = va_pairing_next(w->diff->pairing, &w->batch)) == VR_OK && w->batch) {
        if (w->batch->first)
            take_step(w);
        for (size_t row = 0; status == VR_OK && row < w->batch->rows; row++)
            status = take_row(w, row);
        if (status != VR_OK || (w->options->stop_at_first && w->diff->any))
            break;
    }
    return status;
}

static vr_status walk_all(va_diff *diff, const va_diff_options *options)
{
    const size_t entities = va_pairing_entity_count(diff->pairing);
    walker w = {.diff = diff, .options = options, .layer_of = malloc((entities + 1) * sizeof *w.layer_of)};
    vr_status status = w.layer_of ? va_inputs_open(&w.inputs, diff) : no_memory();
    if (status == VR_OK) {
        memset(w.layer_of, 0xff, (entities + 1) * sizeof *w.layer_of);
        status = walk(&w);
    }
    va_inputs_close(w.inputs);
    free(w.layer_of);
    return status;
}

/* The MPI rank of a trace, 0 without MPI. */
static json_int_t rank_of(const vr_trace *trace)
{
    json_t *run = json_loads(vr_trace_get_info(trace)->run, 0, NULL);
    const json_int_t rank = json_integer_value(json_object_get(json_object_get(run, "mpi"), "rank"));
    json_decref(run);
    return rank;
}

vr_status va_check_ranks(vr_trace *const *traces, int runs)
{
    for (int i = 1; i < runs; i++)
        if (rank_of(traces[i]) != rank_of(traces[0]))
            return vr_fail(VR_ERROR_ARGUMENT,
                           "%s is of MPI rank %lld, %s of rank %lld: compare traces of the same rank",
                           vr_trace_get_info(traces[0])->path, (long long)rank_of(traces[0]),
                           vr_trace_get_info(traces[i])->path, (long long)rank_of(traces[i]));
    return VR_OK;
}

vr_status va_diff_run(va_diff **out, vr_trace *a, vr_trace *b, const va_diff_options *options)
{
    va_diff *diff = calloc(1, sizeof *diff);
    if (!diff)
        return no_memory();
    diff->trace[0] = a;
    diff->trace[1] = b;
    for (int run = 0; run < 2; run++)
        diff->run[run] = json_loads(vr_trace_get_info(diff->trace[run])->run, 0, NULL);
    diff->conditions = va_conditions(diff->run[0], diff->run[1]);
    vr_status status = diff->run[0] && diff->run[1] && diff->conditions ? va_check_ranks(diff->trace, 2) : no_memory();
    if (status == VR_OK)
        status = va_pairing_open(&diff->pairing, diff->trace, 2);
    if (status == VR_OK) {
        diff->entities = va_pairing_entities(diff->pairing);
        status = walk_all(diff, options);
    }
    if (status == VR_OK)
        status = va_diff_explain(diff);
    if (status != VR_OK) {
        va_diff_free(diff);
        return status;
    }
    *out = diff;
    return VR_OK;
}

void va_diff_free(va_diff *diff)
{
    if (!diff)
        return;
    for (size_t i = 0; i < diff->finding_count; i++) {
        free(diff->findings[i].cause);
        free(diff->findings[i].evidence);
    }
    free(diff->findings);
    free(diff->differences);
    free(diff->layers);
    json_decref(diff->conditions);
    json_decref(diff->run[0]);
    json_decref(diff->run[1]);
    va_pairing_close(diff->pairing);
    free(diff);
}
