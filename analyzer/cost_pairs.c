/* Which run is held against which, and what else than the condition may make them differ. */
#include "cost_impl.h"

#include <formats/fail.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define BUSY                                                                                                           \
    1.25 /* load by processor above which others must be using the machine: the runs alone do not get there            \
          */

void va_cost_warn(va_cost *cost, const char *format, ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    const int made = vasprintf(&text, format, args);
    va_end(args);
    if (made < 0)
        return;
    bool is_there = false;
    for (size_t i = 0; i < cost->warning_count; i++)
        is_there = is_there || strcmp(cost->warnings[i], text) == 0;
    char **all = is_there ? NULL : realloc(cost->warnings, (cost->warning_count + 1) * sizeof *all);
    if (!all) {
        free(text);
        return;
    }
    cost->warnings = all;
    all[cost->warning_count++] = text;
}

/* ---- pairs ---- */

static vr_status add_pair(va_cost_comparison *out, size_t base, size_t cost)
{
    va_cost_pair *all = realloc(out->pairs, (out->pair_count + 1) * sizeof *all);
    if (!all)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    out->pairs = all;
    all[out->pair_count++] = (va_cost_pair){base, cost};
    return VR_OK;
}

/* Whether all runs are of campaigns, and some of both sides of the same: then replicas are partners. */
static bool are_of_campaigns(const va_cost_condition *base, const va_cost_condition *cost, const va_cost_runs *runs)
{
    bool is_shared = false;
    for (size_t i = 0; i < base->count; i++)
        for (size_t j = 0; j < cost->count; j++) {
            const char *a = runs->runs[base->runs[i]].archive, *b = runs->runs[cost->runs[j]].archive;
            if (!a || !b)
                return false;
            is_shared = is_shared || strcmp(a, b) == 0;
        }
    return is_shared;
}

static bool are_partners(const va_cost_run *a, const va_cost_run *b)
{
    return a->replica == b->replica && strcmp(a->archive, b->archive) == 0;
}

/* A side made by a pattern may have a replica of several conditions: as partners of one run these would be no
 * independent pairs. */
static vr_status check_replicas(const va_cost_condition *condition, const va_cost_runs *runs)
{
    for (size_t i = 1; i < condition->count; i++)
        for (size_t j = 0; j < i; j++) {
            const va_cost_run *a = &runs->runs[condition->runs[j]], *b = &runs->runs[condition->runs[i]];
            if (are_partners(a, b))
                return vr_fail(VR_ERROR_ARGUMENT,
                               "'%s' names both %s and %s, the same replica of two conditions: name one condition",
                               condition->name, a->name, b->name);
        }
    return VR_OK;
}

static vr_status pair_replicas(va_cost_comparison *out, const va_cost_condition *base, const va_cost_condition *cost,
                               const va_cost_runs *runs, uint32_t skip)
{
    vr_status status = check_replicas(base, runs);
    if (status == VR_OK)
        status = check_replicas(cost, runs);
    for (size_t i = 0; i < base->count; i++)
        for (size_t j = 0; j < cost->count && status == VR_OK; j++)
            if (are_partners(&runs->runs[base->runs[i]], &runs->runs[cost->runs[j]]) &&
                runs->runs[base->runs[i]].replica > skip)
                status = add_pair(out, base->runs[i], cost->runs[j]);
    return status;
}

/* Orders a condition's runs by their beginning; those of the same second stay as they were named. */
static void sort_runs(size_t *order, const va_cost_condition *condition, const va_cost_runs *runs)
{
    for (size_t i = 0; i < condition->count; i++) {
        const size_t run = condition->runs[i];
        size_t at = i;
        for (; at > 0 && runs->runs[order[at - 1]].started > runs->runs[run].started; at--)
            order[at] = order[at - 1];
        order[at] = run;
    }
}

static vr_status pair_in_order(va_cost_comparison *out, const va_cost_condition *base, const va_cost_condition *cost,
                               const va_cost_runs *runs, uint32_t skip)
{
    size_t *a = malloc((base->count + 1) * sizeof *a), *b = malloc((cost->count + 1) * sizeof *b);
    vr_status status = a && b ? VR_OK : vr_fail(VR_ERROR_MEMORY, "out of memory");
    if (status == VR_OK) {
        sort_runs(a, base, runs);
        sort_runs(b, cost, runs);
    }
    for (size_t i = skip; i < base->count && i < cost->count && status == VR_OK; i++)
        status = add_pair(out, a[i], b[i]);
    free(a);
    free(b);
    return status;
}

static size_t count_skipped(const va_cost_condition *condition, const va_cost_runs *runs, bool by_replica,
                            uint32_t skip)
{
    size_t skipped = 0;
    if (!by_replica)
        return skip < condition->count ? skip : condition->count;
    for (size_t i = 0; i < condition->count; i++)
        skipped += runs->runs[condition->runs[i]].replica <= skip;
    return skipped;
}

vr_status va_cost_pairs_find(va_cost_comparison *out, const va_cost *cost, const va_cost_runs *runs, uint32_t skip)
{
    const va_cost_condition *base = &cost->conditions[out->base], *other = &cost->conditions[out->cost];
    const bool by_replica = are_of_campaigns(base, other, runs);
    const vr_status status =
        by_replica ? pair_replicas(out, base, other, runs, skip) : pair_in_order(out, base, other, runs, skip);
    if (status != VR_OK)
        return status;
    out->unpaired = base->count + other->count - count_skipped(base, runs, by_replica, skip) -
                    count_skipped(other, runs, by_replica, skip) - 2 * out->pair_count;
    if (out->pair_count > 0)
        return VR_OK;
    if (skip)
        return vr_fail(VR_ERROR_ARGUMENT,
                       "no pair of runs of '%s' and '%s' is left when %u of each are: leave out fewer with --skip",
                       base->name, other->name, skip);
    return vr_fail(VR_ERROR_ARGUMENT,
                   "no run of '%s' has a partner in '%s': no replica ended well in both; run more of them with "
                   "'varanalyze run --resume ARCHIVE -n N'",
                   base->name, other->name);
}

/* ---- what else may differ ---- */

/* A value of what the run was by its path, as text; the caller's. "": there is none. */
static char *said_at(const va_cost_run *run, const char *object, const char *key)
{
    const json_t *in = object ? json_object_get(run->said, object) : run->said;
    const json_t *value = json_object_get(in, key);
    char *text = NULL;
    if (json_is_string(value))
        return strdup(json_string_value(value));
    if (json_is_integer(value) && asprintf(&text, "%lld", (long long)json_integer_value(value)) >= 0)
        return text;
    return strdup("");
}

static void check_key(va_cost *cost, const va_cost_comparison *c, const va_cost_runs *runs, const char *const path[3])
{
    size_t differ = 0;
    char *first[2] = {NULL, NULL};
    for (size_t i = 0; i < c->pair_count; i++) {
        char *a = said_at(&runs->runs[c->pairs[i].base], path[0], path[1]);
        char *b = said_at(&runs->runs[c->pairs[i].cost], path[0], path[1]);
        if (a && b && *a && *b && strcmp(a, b) != 0 && differ++ == 0) {
            first[0] = a;
            first[1] = b;
            continue;
        }
        free(a);
        free(b);
    }
    if (differ)
        va_cost_warn(cost, "%s is not the same on both sides in %zu of %zu pairs: %.80s against %.80s", path[2], differ,
                     c->pair_count, first[0], first[1]);
    free(first[0]);
    free(first[1]);
}

/* Whether all runs of one side began before all of the other. */
static void check_turns(va_cost *cost, const va_cost_comparison *c, const va_cost_runs *runs)
{
    double first[2] = {INFINITY, INFINITY}, last[2] = {-INFINITY, -INFINITY};
    for (size_t i = 0; i < c->pair_count; i++) {
        const double times[2] = {runs->runs[c->pairs[i].base].started, runs->runs[c->pairs[i].cost].started};
        for (int side = 0; side < 2; side++) {
            first[side] = fmin(first[side], times[side]);
            last[side] = fmax(last[side], times[side]);
        }
    }
    const char *base = cost->conditions[c->base].name, *other = cost->conditions[c->cost].name;
    const bool known = first[0] <= last[0] && first[1] <= last[1];
    if (known && c->pair_count > 1 && (last[0] < first[1] || last[1] < first[0]))
        va_cost_warn(cost,
                     "all runs of '%s' were done before those of '%s': what changed on the machine meanwhile counts as "
                     "cost; let them take turns ('varanalyze cost --run', or the conditions of one campaign)",
                     last[0] < first[1] ? base : other, last[0] < first[1] ? other : base);
}

static void check_broken(va_cost *cost, const va_cost_comparison *c, const va_cost_runs *runs)
{
    const char *first = NULL;
    size_t broken = 0;
    for (size_t i = 0; i < 2 * c->pair_count; i++) {
        const va_cost_run *run = &runs->runs[i % 2 ? c->pairs[i / 2].cost : c->pairs[i / 2].base];
        broken += run->is_broken;
        if (run->is_broken && !first)
            first = run->name;
    }
    if (broken)
        va_cost_warn(cost,
                     "%zu run%s broke off or %s incomplete, %s the first: only steps that both runs of a pair have "
                     "are compared",
                     broken, broken == 1 ? "" : "s", broken == 1 ? "is" : "are", first);
}

void va_cost_pairs_check(va_cost *cost, const va_cost_comparison *c, const va_cost_runs *runs)
{
    static const char *const keys[][3] = {
        {"host", "name", "the machine"},
        {"host", "cpu", "the CPU"},
        {"host", "cpus", "the number of processors"},
        {"host", "kernel", "the system's kernel"},
        {NULL, "threads", "the number of threads"},
        {NULL, "level", "the level of recording"},
        {NULL, "seed", "the seed"},
        {"program", "digest", "the build of the program"},
        {"libraries", "varanalyze", "the version of the capture library"},
        {"clock", "source", "the clock"},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        check_key(cost, c, runs, keys[i]);
    check_turns(cost, c, runs);
    check_broken(cost, c, runs);
    if (c->unpaired)
        va_cost_warn(cost, "%zu run%s of '%s' and '%s' without a partner %s left out", c->unpaired,
                     c->unpaired == 1 ? "" : "s", cost->conditions[c->base].name, cost->conditions[c->cost].name,
                     c->unpaired == 1 ? "is" : "are");
}

void va_cost_runs_check(va_cost *cost, const va_cost_runs *runs)
{
    double most = 0;
    size_t busy = 0;
    for (size_t i = 0; i < runs->count; i++) {
        const json_t *said = runs->runs[i].said;
        const double load = json_number_value(json_object_get(said, "load"));
        const json_int_t cpus = json_integer_value(json_object_get(json_object_get(said, "host"), "cpus"));
        busy += cpus > 0 && load > BUSY * (double)cpus;
        most = cpus > 0 ? fmax(most, load / (double)cpus) : most;
    }
    if (busy)
        va_cost_warn(cost, "the machine was busy when %zu of %zu runs began: load up to %.1f for each processor", busy,
                     runs->count, most);
    if (runs->several)
        va_cost_warn(cost, "%zu run%s left several traces, one a rank, and %s compared as a whole only", runs->several,
                     runs->several == 1 ? "" : "s", runs->several == 1 ? "is" : "are");
    if (runs->failed)
        va_cost_warn(cost, "%zu run%s failed and %s left out", runs->failed, runs->failed == 1 ? "" : "s",
                     runs->failed == 1 ? "is" : "are");
}
