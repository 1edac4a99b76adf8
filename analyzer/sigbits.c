#include "sigbits_walk.h"

#include "diff.h"
#include "grow.h"

#include <fnmatch.h>
#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

/* ---- rows ---- */

/* Whether a tensor shares its row with no other of its layer. */
static bool has_own_row(const va_sigbits *all, const va_entity *e)
{
    return all->options.by == VA_BY_TENSOR || e->phase == VR_METRIC;
}

/* Whether the tensors of two entities share a row. */
static bool belong_together(const va_bits_walk *w, const va_entity *a, const va_entity *b)
{
    const bool by_name = has_own_row(w->all, a);
    return a->phase == b->phase && strcmp(a->layer, b->layer) == 0 && (!by_name || strcmp(a->name, b->name) == 0);
}

va_bits_group *va_bits_group_of(va_bits_walk *w, uint32_t entity)
{
    const va_entity *e = &w->all->entities[entity];
    for (size_t i = 0; w->group_of[entity] == UINT32_MAX && i < w->group_count; i++)
        if (belong_together(w, e, &w->all->entities[w->groups[i].entity]))
            w->group_of[entity] = (uint32_t)i;
    if (w->group_of[entity] == UINT32_MAX) {
        va_bits_group *groups = va_one_more(w->groups, w->group_count, &w->group_room, sizeof *groups);
        if (!groups)
            return NULL;
        w->groups = groups;
        w->group_of[entity] = (uint32_t)w->group_count;
        const va_bits_point nothing = {.bits = NAN};
        groups[w->group_count++] = (va_bits_group){
            .entity = entity,
            .all = {.bound = NAN},
            .step = {.bound = NAN},
            .first = nothing,
            .last = nothing,
        };
    }
    return &w->groups[w->group_of[entity]];
}

static vr_status merge(va_bits_part *part, const va_bits_part *other)
{
    part->tensors += other->tensors;
    part->bounded += other->bounded;
    part->unknown += other->unknown;
    part->equal += other->equal;
    part->too_few += other->too_few;
    part->incomplete += other->incomplete;
    if (other->fewest_runs && (!part->fewest_runs || other->fewest_runs < part->fewest_runs))
        part->fewest_runs = other->fewest_runs;
    part->most_runs = part->most_runs > other->most_runs ? part->most_runs : other->most_runs;
    part->bound = fmin(part->bound, other->bound); /* of a number and a NaN, the number */
    part->digits = part->digits > other->digits ? part->digits : other->digits;
    return va_tally_merge(&part->tally, &other->tally);
}

static void clear(va_bits_part *part)
{
    va_tally tally = part->tally;
    va_tally_clear(&tally);
    *part = (va_bits_part){.tally = tally, .bound = NAN};
}

static va_bits_point point_of(const va_sigbits *all, const va_bits_part *part, uint64_t step)
{
    const va_bits_figure figure = all->options.general ? VA_FIGURE_GENERAL : VA_FIGURE_SIGNIFICANT;
    const double median = va_tally_quantile(&part->tally, figure, 0.5);
    if (isnan(median))
        return (va_bits_point){step, part->bound, !isnan(part->bound)};
    return (va_bits_point){step, median, false};
}

static vr_status add_row(va_bits_walk *w, const va_bits_group *group, const va_bits_part *part)
{
    va_sigbits *all = w->all;
    va_sigbits_row *rows = va_one_more(all->rows, all->row_count, &all->row_room, sizeof *rows);
    if (!rows)
        return no_memory();
    all->rows = rows;
    const va_entity *e = &all->entities[group->entity];
    va_sigbits_row *row = &rows[all->row_count++];
    *row = (va_sigbits_row){
        .phase = e->phase,
        .layer = e->layer,
        .name = has_own_row(all, e) ? e->name : NULL,
        .step = w->step,
        .epoch = w->epoch,
        .tensors = part->tensors,
        .bounded = part->bounded,
        .unknown = part->unknown,
        .equal = part->equal,
        .too_few = part->too_few,
        .incomplete = part->incomplete,
        .fewest_runs = part->fewest_runs,
        .most_runs = part->most_runs,
        .bound = part->bound,
        .counts = part->tally,
        .digits = part->digits,
        .first = group->first,
        .last = group->last,
    };
    for (int i = 0; i < VA_FIGURES; i++) {
        row->figures[i].median = va_tally_quantile(&part->tally, (va_bits_figure)i, 0.5);
        row->figures[i].low = va_tally_quantile(&part->tally, (va_bits_figure)i, all->options.quantile);
        row->figures[i].least = va_tally_quantile(&part->tally, (va_bits_figure)i, 0);
        row->counts.figures[i] = (va_spectrum){0};
    }
    return VR_OK;
}

static vr_status add_point(va_bits_group *group, va_bits_point point)
{
    va_bits_point *points = va_one_more(group->points, group->point_count, &group->point_room, sizeof *points);
    if (!points)
        return no_memory();
    group->points = points;
    points[group->point_count++] = point;
    return VR_OK;
}

/* What the step that ends here adds. */
static vr_status end_step(va_bits_walk *w)
{
    va_sigbits *all = w->all;
    vr_status status = VR_OK;
    for (size_t i = 0; status == VR_OK && i < w->group_count; i++) {
        va_bits_group *group = &w->groups[i];
        if (group->step.tensors == 0)
            continue;
        const va_bits_point point = point_of(all, &group->step, w->step);
        if (all->options.by == VA_BY_STEP) {
            group->first = group->last = point;
            status = add_row(w, group, &group->step);
        } else {
            group->first = group->all.tensors == 0 ? point : group->first;
            group->last = point;
            status = merge(&group->all, &group->step);
        }
        if (status == VR_OK && all->options.points)
            status = add_point(group, point);
        clear(&group->step);
    }
    return status;
}

/* ---- the walk ---- */

static bool is_selected(const va_bits_walk *w, const va_batch *batch, uint32_t entity)
{
    const va_sigbits_options *o = &w->all->options;
    const va_entity *e = &w->all->entities[entity];
    return batch->step >= o->first_step && batch->step <= o->last_step && (!o->phase || o->phase == e->phase) &&
           (!o->layer || fnmatch(o->layer, e->layer, 0) == 0);
}

static vr_status take_batch(va_bits_walk *w, const va_batch *batch)
{
    const size_t width = (size_t)w->width;
    vr_status status = VR_OK;
    if (batch->first)
        status = end_step(w);
    w->step = batch->step;
    w->epoch = batch->epoch;
    for (size_t row = 0; status == VR_OK && row < batch->rows; row++)
        if (is_selected(w, batch, batch->entity[row]))
            status = va_bits_take(w, batch->entity[row], &batch->records[row * width]);
    return status;
}

/* The points of all groups; they are the result's then. */
static vr_status hand_over_points(va_bits_walk *w)
{
    va_sigbits *all = w->all;
    all->series = calloc(w->group_count + 1, sizeof *all->series);
    if (!all->series)
        return no_memory();
    for (size_t i = 0; i < w->group_count; i++) {
        va_bits_group *group = &w->groups[i];
        const va_entity *e = &all->entities[group->entity];
        all->series[all->series_count++] = (va_bits_series){e->phase, e->layer, has_own_row(all, e) ? e->name : NULL,
                                                            group->points, group->point_count};
        group->points = NULL;
    }
    return VR_OK;
}

static vr_status walk(va_bits_walk *w)
{
    const va_batch *batch = NULL;
    vr_status status = VR_OK;
    while (status == VR_OK && (status = va_pairing_next(w->all->pairing, &batch)) == VR_OK && batch)
        status = take_batch(w, batch);
    if (status == VR_OK)
        status = end_step(w);
    for (size_t i = 0; status == VR_OK && w->all->options.by != VA_BY_STEP && i < w->group_count; i++)
        status = add_row(w, &w->groups[i], &w->groups[i].all);
    return status == VR_OK ? hand_over_points(w) : status;
}

static void close_walk(va_bits_walk *w)
{
    for (size_t i = 0; i < w->group_count; i++) {
        va_tally_free(&w->groups[i].all.tally);
        va_tally_free(&w->groups[i].step.tally);
        free(w->groups[i].points);
    }
    free(w->groups);
    free(w->group_of);
    free(w->traces);
    free(w->use);
    free(w->chosen_traces);
    free(w->chosen_records);
    free(w->map_layer);
}

/* The walk is over the runs and, last, the reference, where that is a run. */
static vr_status open_walk(va_bits_walk *w)
{
    va_sigbits *all = w->all;
    const va_sigbits_options *o = &all->options;
    const size_t width = (size_t)all->runs + (o->reference ? 1 : 0);
    w->width = (int)width;
    w->traces = calloc(width, sizeof *w->traces);
    w->use = calloc(width, sizeof *w->use);
    w->chosen_traces = calloc(width, sizeof *w->chosen_traces);
    w->chosen_records = calloc(width, sizeof *w->chosen_records);
    if (!w->traces || !w->use || !w->chosen_traces || !w->chosen_records)
        return no_memory();
    memcpy(w->traces, all->traces, (size_t)all->runs * sizeof *w->traces);
    if (o->reference)
        w->traces[all->runs] = o->reference;
    vr_status status = va_check_ranks(w->traces, w->width);
    if (status == VR_OK)
        status = va_pairing_open(&all->pairing, w->traces, w->width);
    if (status != VR_OK)
        return status;
    all->entities = va_pairing_entities(all->pairing);
    const size_t entities = va_pairing_entity_count(all->pairing);
    w->group_of = malloc((entities + 1) * sizeof *w->group_of);
    if (!w->group_of)
        return no_memory();
    memset(w->group_of, 0xff, entities * sizeof *w->group_of);
    status = va_worst_open(&all->worst, o->worst, o->general);
    return status == VR_OK && o->map ? va_bits_map_find(w, o->map) : status;
}

static vr_status check_result(const va_sigbits *all)
{
    if (all->options.map && !all->map.site)
        return vr_fail(VR_ERROR_ARGUMENT,
                       "'%s' is not among the selected tensors of floats that all runs hold in full (level full)",
                       all->options.map);
    return VR_OK;
}

/* The rule of all runs together says whether the options make sense. */
static vr_status check_options(va_sigbits *all)
{
    const va_bits_options *o = &all->options.bits;
    va_bits_rule rule;
    const bool halved = va_bits_halves_samples(o->reference);
    if (all->runs < va_bits_least_samples(o->reference))
        return vr_fail(VR_ERROR_ARGUMENT, "%d %s too few: name at least %d%s", all->runs,
                       all->runs == 1 ? "run is" : "runs are", va_bits_least_samples(o->reference),
                       halved ? ", half of which are the reference" : ", and more for figures to be relied on");
    const vr_status status = va_bits_rule_make(&rule, o, all->runs, 23);
    if (status != VR_OK)
        return status;
    all->unpaired = halved ? all->runs % 2 : 0;
    return VR_OK;
}

vr_status va_sigbits_run(va_sigbits **out, vr_trace *const *traces, int runs, const va_sigbits_options *options)
{
    va_sigbits *all = calloc(1, sizeof *all);
    if (!all)
        return no_memory();
    *all = (va_sigbits){.options = *options, .runs = runs, .traces = traces};
    va_bits_walk w = {.all = all};
    vr_status status = check_options(all);
    if (status == VR_OK)
        status = open_walk(&w);
    if (status == VR_OK)
        status = walk(&w);
    if (status == VR_OK)
        status = check_result(all);
    close_walk(&w);
    if (status != VR_OK) {
        va_sigbits_free(all);
        return status;
    }
    *out = all;
    return VR_OK;
}

void va_sigbits_free(va_sigbits *all)
{
    if (!all)
        return;
    va_worst_close(&all->worst);
    va_pairing_close(all->pairing);
    free(all->rows);
    for (size_t i = 0; i < all->series_count; i++)
        free(all->series[i].points);
    free(all->series);
    free(all->map.bits);
    free(all);
}
