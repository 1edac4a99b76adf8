#include "cost_impl.h"

#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COARSE 0.01 /* part of a time that a tick of the clock may be, before it is said */

const char *va_cost_kind_name(va_cost_kind kind)
{
    static const char *const names[VA_COST_KINDS] = {"wall time",      "processor time", "peak memory", "step",
                                                     "all operations", "phase",          "layer",       "operation"};
    return names[kind];
}

static void free_comparison(va_cost_comparison *c)
{
    for (size_t i = 0; i < c->row_count; i++) {
        free(c->rows[i].layer);
        free(c->rows[i].pairs);
    }
    free(c->rows);
    free(c->pairs);
}

void va_cost_free(va_cost *cost)
{
    if (!cost)
        return;
    for (size_t i = 0; i < cost->condition_count; i++) {
        free(cost->conditions[i].name);
        free(cost->conditions[i].runs);
    }
    for (size_t i = 0; i < cost->comparison_count; i++)
        free_comparison(&cost->comparisons[i]);
    for (size_t i = 0; i < cost->warning_count; i++)
        free(cost->warnings[i]);
    free(cost->conditions);
    free(cost->comparisons);
    free(cost->warnings);
    free(cost->clock);
    free(cost);
}

/* The coarsest of the runs' clocks; another on the other side is warned of. */
static vr_status find_clock(va_cost *cost, const va_cost_runs *runs)
{
    const char *found = NULL;
    cost->resolution_ns = NAN;
    for (size_t i = 0; i < runs->count; i++) {
        const json_t *clock = json_object_get(runs->runs[i].said, "clock");
        const char *source = json_string_value(json_object_get(clock, "source"));
        const json_t *resolution = json_object_get(clock, "resolution_ns");
        const double ns = json_is_integer(resolution) ? (double)json_integer_value(resolution) : NAN;
        if (!source || (found && !(ns > cost->resolution_ns) && !(isnan(cost->resolution_ns) && !isnan(ns))))
            continue;
        found = source;
        cost->resolution_ns = ns;
    }
    if (!found)
        return VR_OK;
    const int made = isnan(cost->resolution_ns)
                         ? asprintf(&cost->clock, "%.80s, resolution not recorded", found)
                         : asprintf(&cost->clock, "%.80s, resolution %.0f ns", found, cost->resolution_ns);
    if (made < 0)
        cost->clock = NULL;
    return made < 0 ? vr_fail(VR_ERROR_MEMORY, "out of memory") : VR_OK;
}

static vr_status check_steps(const va_cost *cost, const va_cost_comparison *c, const va_cost_runs *runs,
                             const va_cost_options *options)
{
    if (va_cost_headline(c))
        return VR_OK;
    const va_cost_run *first = &runs->runs[c->pairs[0].base];
    if (c->without_steps && options->warmup > 0)
        return vr_fail(VR_ERROR_ARGUMENT,
                       "%s: no step is left when the first %lld are: give a smaller --warmup, or longer runs",
                       first->name, (long long)options->warmup);
    if (c->without_steps)
        return vr_fail(VR_ERROR_ARGUMENT,
                       "%s: no finished step that both runs of a pair have: the program must call vr_run_step for each "
                       "step",
                       first->name);
    return vr_fail(VR_ERROR_ARGUMENT,
                   "'%s' and '%s' have no times to compare: no run of one of them left a trace, and no campaign timed "
                   "both; use 'varanalyze cost --run'",
                   cost->conditions[c->base].name, cost->conditions[c->cost].name);
}

/* "layer fc1"; cut where it is long. */
#define ROW_TEXT 96
static const char *row_text(char out[ROW_TEXT], const va_cost_row *row)
{
    const char *phase = row->phase ? vr_phase_name(row->phase) : NULL;
    snprintf(out, ROW_TEXT, "%s%s%s%s%.60s", va_cost_kind_name(row->kind), phase ? " " : "", phase ? phase : "",
             row->layer ? " " : "", row->layer ? row->layer : "");
    return out;
}

/* Times that are too short for the clock; of many, the shortest. */
static void check_ticks(va_cost *cost, const va_cost_comparison *c)
{
    char text[ROW_TEXT];
    const va_cost_row *worst = NULL;
    size_t coarse = 0;
    for (size_t i = 0; i < c->row_count; i++) {
        const va_cost_row *row = &c->rows[i];
        if (row->zeros)
            va_cost_warn(cost, "%s: 0 in %zu of %zu pairs, below the clock's resolution: these are left out",
                         row_text(text, row), row->zeros, c->pair_count);
        if (row->zeros || !(row->coarse > COARSE))
            continue;
        coarse++;
        worst = !worst || row->coarse > worst->coarse ? row : worst;
    }
    if (worst)
        va_cost_warn(cost, "the clock is coarse for %zu of %zu rows: a tick is %.3g times %s", coarse, c->row_count,
                     worst->coarse, row_text(text, worst));
}

/* What the times themselves say against themselves. */
static void check_times(va_cost *cost, const va_cost_comparison *c)
{
    const char *base = cost->conditions[c->base].name, *other = cost->conditions[c->cost].name;
    const uint64_t backwards = c->base_side.backwards + c->cost_side.backwards;
    if (c->unequal)
        va_cost_warn(cost,
                     "'%s' and '%s': in %zu of %zu pairs one run has steps that the other has not: only common "
                     "ones are compared",
                     base, other, c->unequal, c->pair_count);
    if (c->without_steps)
        va_cost_warn(cost,
                     "'%s' and '%s': %zu of %zu pairs have no step to compare, and are left out of what is told "
                     "by step",
                     base, other, c->without_steps, c->pair_count);
    if (backwards)
        va_cost_warn(cost, "'%s' and '%s': the clock went backwards in %llu steps or operations, which are left out",
                     base, other, (unsigned long long)backwards);
    check_ticks(cost, c);
}

static vr_status compute(va_cost *cost, const va_cost_runs *runs, const va_cost_options *options)
{
    vr_status status = va_cost_conditions_find(cost, runs);
    if (status == VR_OK)
        status = va_cost_conditions_choose(cost, runs, options);
    if (status == VR_OK)
        status = find_clock(cost, runs);
    for (size_t i = 0; i < cost->comparison_count && status == VR_OK; i++) {
        va_cost_comparison *c = &cost->comparisons[i];
        status = va_cost_pairs_find(c, cost, runs, options->skip);
        if (status == VR_OK)
            status = va_cost_rows_find(c, cost, runs, options);
        if (status == VR_OK)
            status = check_steps(cost, c, runs, options);
        if (status != VR_OK)
            break;
        va_cost_pairs_check(cost, c, runs);
        check_times(cost, c);
    }
    if (status == VR_OK)
        va_cost_runs_check(cost, runs);
    return status;
}

vr_status va_cost_compute(va_cost **out, const va_cost_runs *runs, const va_cost_options *options)
{
    va_cost *cost = calloc(1, sizeof *cost);
    if (!cost)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    cost->confidence = options->confidence;
    const vr_status status = compute(cost, runs, options);
    if (status != VR_OK) {
        va_cost_free(cost);
        return status;
    }
    *out = cost;
    return VR_OK;
}

const va_cost_row *va_cost_headline(const va_cost_comparison *c)
{
    static const va_cost_kind kinds[] = {VA_COST_STEP, VA_COST_WALL};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (size_t i = 0; i < c->row_count; i++)
            if (c->rows[i].kind == kinds[k] && c->rows[i].base_runs && c->rows[i].cost_runs)
                return &c->rows[i];
    return NULL;
}

double va_cost_reach(const va_interval *interval)
{
    if (!(interval->low > 0) || !(interval->high >= interval->low) || isinf(interval->high))
        return INFINITY;
    return sqrt(interval->high / interval->low) - 1;
}
