/* From pairs of runs to the rows of a comparison. */
#include "cost_impl.h"
#include "guard.h"

#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BASE, COST };

/* The steps that a pair is compared by: those that both have, without the warm-up. */
typedef struct view {
    va_cost_series series[2];
    size_t *at[2]; /* where step i of the view stands in each series */
    size_t count;
    double *values, *scratch; /* count each */
} view;

typedef struct making {
    va_cost_comparison *out;
    const va_cost_runs *runs;
    const va_cost_options *options;
    size_t pair; /* that is looked at */
} making;

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

/* ---- a pair's steps ---- */

static void close_view(view *v)
{
    for (int side = 0; side < 2; side++) {
        va_cost_series_free(&v->series[side]);
        free(v->at[side]);
    }
    free(v->values);
    free(v->scratch);
}

static vr_status read_side(va_cost_series *out, const va_cost_run *run)
{
    vr_trace *trace;
    va_guard_file(run->trace);
    vr_status status = vr_trace_open(&trace, run->trace);
    if (status != VR_OK)
        return status;
    status = va_cost_series_read(out, trace);
    vr_trace_close(trace);
    return status;
}

static vr_status open_view(view *out, const va_cost_run *base, const va_cost_run *cost)
{
    *out = (view){0};
    vr_status status = read_side(&out->series[BASE], base);
    if (status == VR_OK)
        status = read_side(&out->series[COST], cost);
    if (status != VR_OK)
        return status;
    const va_cost_series *a = &out->series[BASE], *b = &out->series[COST];
    const size_t room = (a->count < b->count ? a->count : b->count) + 1;
    out->at[BASE] = malloc(room * sizeof *out->at[BASE]);
    out->at[COST] = malloc(room * sizeof *out->at[COST]);
    out->values = malloc(room * sizeof *out->values);
    out->scratch = malloc(room * sizeof *out->scratch);
    if (!out->at[BASE] || !out->at[COST] || !out->values || !out->scratch)
        return no_memory();
    for (size_t i = 0, j = 0; i < a->count && j < b->count;) {
        if (a->steps[i] == b->steps[j]) {
            out->at[BASE][out->count] = i;
            out->at[COST][out->count++] = j;
        }
        const uint64_t here = a->steps[i], there = b->steps[j];
        i += here <= there;
        j += there <= here;
    }
    return VR_OK;
}

/* Leaves out the first steps; their number. */
static size_t warm_up(view *v, int64_t asked)
{
    const size_t warmup = asked < 0 ? va_cost_warmup(v->count) : (uint64_t)asked < v->count ? (size_t)asked : v->count;
    for (int side = 0; side < 2; side++)
        memmove(v->at[side], v->at[side] + warmup, (v->count - warmup) * sizeof *v->at[side]);
    v->count -= warmup;
    return warmup;
}

/* ---- rows ---- */

static bool is_same_name(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static const va_cost_values no_values = {NAN, NAN, NAN, NAN};

static va_cost_row *make_row(va_cost_comparison *out, va_cost_kind kind, vr_phase phase, const char *layer)
{
    va_cost_row *all = realloc(out->rows, (out->row_count + 1) * sizeof *all);
    if (!all)
        return NULL;
    out->rows = all;
    va_cost_row *row = &all[out->row_count];
    *row = (va_cost_row){.kind = kind, .phase = phase, .layer = layer ? strdup(layer) : NULL};
    row->pairs = malloc((out->pair_count + 1) * sizeof *row->pairs);
    if (!row->pairs || (layer && !row->layer)) {
        free(row->pairs);
        free(row->layer);
        return NULL;
    }
    for (size_t i = 0; i < out->pair_count; i++)
        row->pairs[i] = no_values;
    out->row_count++;
    return row;
}

/* Where a pair's values of that row go; NULL: no memory. */
static va_cost_values *find_values(const making *m, va_cost_kind kind, vr_phase phase, const char *layer)
{
    for (size_t i = 0; i < m->out->row_count; i++) {
        va_cost_row *row = &m->out->rows[i];
        if (row->kind == kind && row->phase == phase && is_same_name(row->layer, layer))
            return &row->pairs[m->pair];
    }
    va_cost_row *made = make_row(m->out, kind, phase, layer);
    return made ? &made->pairs[m->pair] : NULL;
}

static vr_status set_values(const making *m, va_cost_kind kind, vr_phase phase, const char *layer, int side,
                            va_cost_summary summary, double unit)
{
    if (summary.count == 0)
        return VR_OK;
    va_cost_values *values = find_values(m, kind, phase, layer);
    if (!values)
        return no_memory();
    *(side == BASE ? &values->base_median : &values->cost_median) = summary.median * unit;
    *(side == BASE ? &values->base_mean : &values->cost_mean) = summary.mean * unit;
    return VR_OK;
}

/* ---- values ---- */

static vr_status take_whole(const making *m, const va_cost_run *run, int side)
{
    const double values[] = {run->wall, run->processor, run->memory};
    for (int kind = VA_COST_WALL; kind <= VA_COST_MEMORY; kind++) {
        const va_cost_summary one = {!isnan(values[kind]), values[kind], values[kind], 0};
        const vr_status status = set_values(m, (va_cost_kind)kind, 0, NULL, side, one, 1);
        if (status != VR_OK)
            return status;
    }
    return VR_OK;
}

/* The times of all operations of a phase (0: any) and a layer (NULL: any), added step by step. */
static va_cost_summary add_up(view *v, int side, vr_phase phase, const char *layer)
{
    const va_cost_series *series = &v->series[side];
    for (size_t i = 0; i < v->count; i++)
        v->values[i] = -1; /* there was none */
    for (size_t o = 0; o < series->operation_count; o++) {
        const va_cost_operation *operation = &series->operations[o];
        if ((phase && operation->phase != phase) || (layer && strcmp(operation->layer, layer) != 0))
            continue;
        for (size_t i = 0; i < v->count; i++) {
            const double ns = operation->ns[v->at[side][i]];
            if (!(ns < 0))
                v->values[i] = (v->values[i] < 0 ? 0 : v->values[i]) + ns;
        }
    }
    for (size_t i = 0; i < v->count; i++)
        if (v->values[i] < 0)
            v->values[i] = NAN;
    return va_cost_summarize(v->values, v->count, v->scratch);
}

static vr_status take_sum(const making *m, view *v, int side, va_cost_kind kind, vr_phase phase, const char *layer)
{
    return set_values(m, kind, phase, layer, side, add_up(v, side, phase, layer), 1e-9);
}

static vr_status take_steps(const making *m, view *v, int side)
{
    const va_cost_series *series = &v->series[side];
    va_cost_side *told = side == BASE ? &m->out->base_side : &m->out->cost_side;
    for (size_t i = 0; i < v->count; i++)
        v->values[i] = series->ns[v->at[side][i]];
    const va_cost_summary summary = va_cost_summarize(v->values, v->count, v->scratch);
    told->steps += summary.count;
    told->outliers += summary.outliers;
    told->backwards += series->backwards;
    told->unfinished += series->unfinished;
    return set_values(m, VA_COST_STEP, 0, NULL, side, summary, 1e-9);
}

static vr_status take_operations(const making *m, view *v, int side)
{
    const va_cost_series *series = &v->series[side];
    vr_status status = take_sum(m, v, side, VA_COST_OPERATIONS, 0, NULL);
    for (int phase = 1; phase <= (int)VR_PHASE_LAST && status == VR_OK; phase++)
        status = take_sum(m, v, side, VA_COST_PHASE, (vr_phase)phase, NULL);
    for (size_t i = 0; i < series->operation_count && status == VR_OK; i++) {
        const va_cost_operation *o = &series->operations[i];
        bool is_first = true;
        for (size_t j = 0; j < i; j++)
            is_first = is_first && strcmp(series->operations[j].layer, o->layer) != 0;
        if (is_first)
            status = take_sum(m, v, side, VA_COST_LAYER, 0, o->layer);
        if (status == VR_OK && m->options->operations)
            status = take_sum(m, v, side, VA_COST_OPERATION, o->phase, o->layer);
    }
    return status;
}

/* ---- pairs ---- */

static void note_steps(va_cost_comparison *out, const view *v, size_t warmup)
{
    const bool is_first = out->most_steps == 0;
    out->least_steps = is_first || v->count < out->least_steps ? v->count : out->least_steps;
    out->most_steps = v->count > out->most_steps ? v->count : out->most_steps;
    out->least_warmup = is_first || warmup < out->least_warmup ? warmup : out->least_warmup;
    out->most_warmup = warmup > out->most_warmup ? warmup : out->most_warmup;
}

static vr_status take_view(const making *m, view *v)
{
    const size_t common = v->count;
    m->out->unequal += v->series[BASE].count != common || v->series[COST].count != common;
    const size_t warmup = warm_up(v, m->options->warmup);
    if (v->count == 0) {
        m->out->without_steps++;
        return VR_OK;
    }
    note_steps(m->out, v, warmup);
    vr_status status = VR_OK;
    for (int side = 0; side < 2 && status == VR_OK; side++) {
        status = take_steps(m, v, side);
        if (status == VR_OK)
            status = take_operations(m, v, side);
    }
    return status;
}

static vr_status take_pair(const making *m)
{
    const va_cost_pair *pair = &m->out->pairs[m->pair];
    const va_cost_run *base = &m->runs->runs[pair->base], *cost = &m->runs->runs[pair->cost];
    vr_status status = take_whole(m, base, BASE);
    if (status == VR_OK)
        status = take_whole(m, cost, COST);
    if (status != VR_OK || !base->trace || !cost->trace)
        return status;
    view v;
    status = open_view(&v, base, cost);
    if (status == VR_OK)
        status = take_view(m, &v);
    close_view(&v);
    return status;
}

/* ---- what the rows say ---- */

/* Arrays of one value a pair. */
typedef struct columns {
    double *base, *cost, *scratch;
} columns;

static void take_column(const columns *c, const va_cost_row *row, size_t pairs, bool mean)
{
    for (size_t i = 0; i < pairs; i++) {
        c->base[i] = mean ? row->pairs[i].base_mean : row->pairs[i].base_median;
        c->cost[i] = mean ? row->pairs[i].cost_mean : row->pairs[i].cost_median;
    }
}

static size_t count_numbers(const double *values, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += !isnan(values[i]);
    return n;
}

static double mean_of(const double *values, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += isnan(values[i]) ? 0 : values[i];
    const size_t n = count_numbers(values, count);
    return n ? sum / (double)n : NAN;
}

static double median_of(const double *values, size_t count, double *scratch)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(values[i]))
            scratch[n++] = values[i];
    return va_median(scratch, n);
}

static void judge_row(va_cost_row *row, const columns *c, size_t pairs, const va_cost *cost)
{
    take_column(c, row, pairs, true);
    row->middle.base_mean = mean_of(c->base, pairs);
    row->middle.cost_mean = mean_of(c->cost, pairs);
    row->by_mean = va_cost_ratio_interval(c->cost, c->base, pairs, cost->confidence);
    take_column(c, row, pairs, false);
    row->middle.base_median = median_of(c->base, pairs, c->scratch);
    row->middle.cost_median = median_of(c->cost, pairs, c->scratch);
    row->by_median = va_cost_ratio_interval(c->cost, c->base, pairs, cost->confidence);
    row->base_runs = count_numbers(c->base, pairs);
    row->cost_runs = count_numbers(c->cost, pairs);
    row->coarse = row->kind == VA_COST_MEMORY || row->kind == VA_COST_PROCESSOR || !(cost->resolution_ns > 0)
                      ? NAN
                      : cost->resolution_ns * 1e-9 / fmin(row->middle.base_median, row->middle.cost_median);
    for (size_t i = 0; i < pairs; i++) {
        const bool fine = c->base[i] > 0 && c->cost[i] > 0;
        row->zeros += !fine && !isnan(c->base[i]) && !isnan(c->cost[i]);
        c->base[i] = fine ? log(c->cost[i] / c->base[i]) : NAN;
    }
    row->outliers = va_outliers_find(NULL, c->base, pairs, c->scratch);
}

/* By kind, each kind in the order it came in. */
static void sort_rows(va_cost_comparison *out)
{
    for (size_t i = 1; i < out->row_count; i++) {
        const va_cost_row row = out->rows[i];
        size_t at = i;
        for (; at > 0 && out->rows[at - 1].kind > row.kind; at--)
            out->rows[at] = out->rows[at - 1];
        out->rows[at] = row;
    }
}

static vr_status judge_rows(va_cost_comparison *out, const va_cost *cost)
{
    const size_t n = out->pair_count;
    const columns c = {malloc(n * sizeof(double)), malloc(n * sizeof(double)), malloc(n * sizeof(double))};
    const bool fine = c.base && c.cost && c.scratch;
    for (size_t i = 0; fine && i < out->row_count; i++)
        judge_row(&out->rows[i], &c, n, cost);
    free(c.base);
    free(c.cost);
    free(c.scratch);
    return fine ? VR_OK : no_memory();
}

vr_status va_cost_rows_find(va_cost_comparison *out, const va_cost *cost, const va_cost_runs *runs,
                            const va_cost_options *options)
{
    making m = {out, runs, options, 0};
    for (; m.pair < out->pair_count; m.pair++) {
        const vr_status status = take_pair(&m);
        if (status != VR_OK)
            return status;
    }
    sort_rows(out);
    return judge_rows(out, cost);
}
