/* Which runs belong to which condition, and which condition the others are held against. */
#include "cost_impl.h"

#include <fnmatch.h>
#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

/* ---- conditions ---- */

static bool is_same_condition(const va_cost_run *a, const va_cost_run *b)
{
    if (strcmp(a->condition ? a->condition : "", b->condition ? b->condition : "") != 0)
        return false;
    for (int i = 0; i < VA_COST_SETTINGS; i++)
        if (strcmp(a->settings[i], b->settings[i]) != 0)
            return false;
    return true;
}

static va_cost_condition *add_condition(va_cost *cost)
{
    va_cost_condition *all = realloc(cost->conditions, (cost->condition_count + 1) * sizeof *all);
    if (!all)
        return NULL;
    cost->conditions = all;
    all[cost->condition_count] = (va_cost_condition){0};
    return &all[cost->condition_count++];
}

static vr_status add_run(va_cost_condition *condition, size_t run)
{
    size_t *all = realloc(condition->runs, (condition->count + 1) * sizeof *all);
    if (!all)
        return no_memory();
    condition->runs = all;
    all[condition->count++] = run;
    return VR_OK;
}

static vr_status place_run(va_cost *cost, const va_cost_runs *runs, size_t run)
{
    for (size_t i = 0; i < cost->condition_count; i++)
        if (is_same_condition(&runs->runs[cost->conditions[i].runs[0]], &runs->runs[run]))
            return add_run(&cost->conditions[i], run);
    va_cost_condition *added = add_condition(cost);
    return added ? add_run(added, run) : no_memory();
}

/* ---- their names ---- */

/* Whether the conditions, or those that a campaign calls alike, differ in a setting. */
static bool tells_apart(const va_cost *cost, const va_cost_runs *runs, const char *name, int setting)
{
    const char *first = NULL;
    for (size_t i = 0; i < cost->condition_count; i++) {
        const va_cost_run *run = &runs->runs[cost->conditions[i].runs[0]];
        if (strcmp(run->condition ? run->condition : "", name) != 0)
            continue;
        if (first && strcmp(first, run->settings[setting]) != 0)
            return true;
        first = run->settings[setting];
    }
    return false;
}

/* What a run does that is told to do nothing else. */
static bool is_usual(int setting, const char *value)
{
    return !*value || (setting == VA_SET_ROUNDING && strcmp(value, "nearest") == 0);
}

/* Words for what tells a condition from others of its name: "fixed", "threads, sr". */
static void write_settings(FILE *out, const va_cost *cost, const va_cost_runs *runs, const va_cost_run *run, bool usual)
{
    static const char *const words[VA_COST_SETTINGS][2] = {
        [VA_SET_KERNELS] = {"", ""},         [VA_SET_ROUNDING] = {"", ""},   [VA_SET_PRECISION] = {"precision ", ""},
        [VA_SET_BITS] = {"bits ", ""},       [VA_SET_VARY] = {"vary ", ""},  [VA_SET_PERTURB] = {"perturb ", ""},
        [VA_SET_THREADS] = {"", " threads"}, [VA_SET_LEVEL] = {"level ", ""}};
    const char *between = "";
    for (int i = 0; i < VA_COST_SETTINGS; i++) {
        const char *value = run->settings[i];
        if (!tells_apart(cost, runs, run->condition ? run->condition : "", i) || (!usual && is_usual(i, value)))
            continue;
        fprintf(out, "%s%s%s%s", between, words[i][0], *value ? value : "none", words[i][1]);
        between = ", ";
    }
}

/* The caller's; NULL: no memory. What is usual is named only where nothing else is. */
static char *settings_text(const va_cost *cost, const va_cost_runs *runs, const va_cost_run *run)
{
    for (int usual = 0; usual < 2; usual++) {
        char *text = NULL;
        size_t bytes = 0;
        FILE *stream = open_memstream(&text, &bytes);
        if (!stream)
            return NULL;
        write_settings(stream, cost, runs, run, usual);
        if (fclose(stream) != 0 || bytes || usual)
            return text;
        free(text);
    }
    return NULL;
}

static vr_status name_condition(va_cost_condition *condition, const va_cost *cost, const va_cost_runs *runs)
{
    const va_cost_run *run = &runs->runs[condition->runs[0]];
    char *settings = settings_text(cost, runs, run);
    if (!settings)
        return no_memory();
    int made;
    if (run->condition)
        made = asprintf(&condition->name, "%s%s%s%s", run->condition, *settings ? " (" : "", settings,
                        *settings ? ")" : "");
    else
        made = asprintf(&condition->name, "%s", *settings ? settings : "all runs");
    free(settings);
    if (made < 0)
        condition->name = NULL;
    return condition->name ? VR_OK : no_memory();
}

vr_status va_cost_conditions_find(va_cost *cost, const va_cost_runs *runs)
{
    vr_status status = VR_OK;
    for (size_t i = 0; i < runs->count && status == VR_OK; i++)
        status = place_run(cost, runs, i);
    for (size_t i = 0; i < cost->condition_count && status == VR_OK; i++)
        status = name_condition(&cost->conditions[i], cost, runs);
    return status;
}

/* ---- the choice ---- */

/* Smaller: less is held fixed, less is asked of a step. Modes of a program's own come last. */
static int rank_of(const va_cost_run *run)
{
    static const char *const modes[] = {"threads", "atomic", "fixed", "", "shuffled", "exact"};
    const int modes_count = sizeof modes / sizeof *modes;
    int mode = 0;
    while (mode < modes_count && strcmp(run->settings[VA_SET_KERNELS], modes[mode]) != 0)
        mode++;
    const char *rounding = run->settings[VA_SET_ROUNDING];
    const bool rounds = *rounding && strcmp(rounding, "nearest") != 0;
    vr_level level = VR_LEVEL_OFF;
    if (*run->settings[VA_SET_LEVEL])
        vr_level_parse(&level, run->settings[VA_SET_LEVEL]);
    return (rounds ? 1000 : 0) + mode * 100 + (*run->settings[VA_SET_PRECISION] ? 50 : 0) + (int)level;
}

static vr_status find_base(size_t *out, const va_cost *cost, const va_cost_runs *runs)
{
    int least = -1;
    size_t alike = 0;
    for (size_t i = 0; i < cost->condition_count; i++) {
        const int rank = rank_of(&runs->runs[cost->conditions[i].runs[0]]);
        alike = least < 0 || rank < least ? 1 : alike + (rank == least);
        if (least < 0 || rank < least) {
            least = rank;
            *out = i;
        }
    }
    if (alike < 2)
        return VR_OK;
    return vr_fail(VR_ERROR_ARGUMENT,
                   "%zu conditions could be the base, '%s' the first: their kernels and rounding are the same; name it "
                   "with --base",
                   alike, cost->conditions[*out].name);
}

/* A condition of the runs whose names match; the caller has seen that none is called so. */
static vr_status make_condition(size_t *out, va_cost *cost, const va_cost_runs *runs, const char *glob)
{
    va_cost_condition *made = NULL;
    vr_status status = VR_OK;
    for (size_t i = 0; i < runs->count && status == VR_OK; i++) {
        if (fnmatch(glob, runs->runs[i].name, 0) != 0)
            continue;
        if (!made && (made = add_condition(cost)))
            made->name = strdup(glob);
        status = made && made->name ? add_run(made, i) : no_memory();
    }
    if (status == VR_OK && !made)
        return vr_fail(VR_ERROR_ARGUMENT, "no condition is called '%s', and no run's name matches it; there is '%s'%s",
                       glob, cost->conditions[0].name, cost->condition_count > 1 ? ", and others" : "");
    *out = cost->condition_count - 1;
    return status;
}

static vr_status find_named(size_t *out, va_cost *cost, const va_cost_runs *runs, const char *name)
{
    for (size_t i = 0; i < cost->condition_count; i++)
        if (strcmp(cost->conditions[i].name, name) == 0) {
            *out = i;
            return VR_OK;
        }
    return make_condition(out, cost, runs, name);
}

static vr_status add_comparison(va_cost *cost, size_t base, size_t against)
{
    va_cost_comparison *all = realloc(cost->comparisons, (cost->comparison_count + 1) * sizeof *all);
    if (!all)
        return no_memory();
    cost->comparisons = all;
    all[cost->comparison_count++] = (va_cost_comparison){.base = base, .cost = against};
    return VR_OK;
}

/* A run cannot be held against itself. */
static vr_status check_apart(const va_cost *cost, const va_cost_runs *runs, size_t base, size_t against)
{
    const va_cost_condition *a = &cost->conditions[base], *b = &cost->conditions[against];
    for (size_t i = 0; i < a->count; i++)
        for (size_t j = 0; j < b->count; j++)
            if (a->runs[i] == b->runs[j])
                return vr_fail(VR_ERROR_ARGUMENT, "%s: is on both sides, '%s' and '%s'; name sides that differ",
                               runs->runs[a->runs[i]].name, a->name, b->name);
    return VR_OK;
}

static vr_status choose_named(va_cost *cost, const va_cost_runs *runs, const va_cost_options *options, size_t base)
{
    vr_status status = VR_OK;
    for (size_t i = 0; i < options->against_count && status == VR_OK; i++) {
        size_t against;
        status = find_named(&against, cost, runs, options->against[i]);
        if (status == VR_OK)
            status = check_apart(cost, runs, base, against);
        if (status == VR_OK)
            status = add_comparison(cost, base, against);
    }
    return status;
}

/* Of a base that is made of several conditions, what is left of others is no condition. */
static bool is_apart(const va_cost *cost, const va_cost_runs *runs, size_t base, size_t other)
{
    return other != base && check_apart(cost, runs, base, other) == VR_OK;
}

static vr_status refuse_single(const va_cost *cost, const va_cost_runs *runs)
{
    const va_cost_run *run = &runs->runs[0];
    return vr_fail(VR_ERROR_ARGUMENT,
                   "all runs are of one condition%s%s (kernels %s, rounding %s): add runs of another, or name the "
                   "sides with --base and --against",
                   run->condition ? " " : "", run->condition ? cost->conditions[0].name : "",
                   *run->settings[VA_SET_KERNELS] ? run->settings[VA_SET_KERNELS] : "unknown",
                   *run->settings[VA_SET_ROUNDING] ? run->settings[VA_SET_ROUNDING] : "unknown");
}

vr_status va_cost_conditions_choose(va_cost *cost, const va_cost_runs *runs, const va_cost_options *options)
{
    const size_t found = cost->condition_count;
    size_t base = 0;
    if (found == 0)
        return vr_fail(VR_ERROR_ARGUMENT,
                       "no run ended well: %zu failed; 'varanalyze run --resume ARCHIVE "
                       "--retry-failed' does them again",
                       runs->failed);
    if (found < 2 && !options->base && !options->against_count)
        return refuse_single(cost, runs);
    vr_status status = options->base ? find_named(&base, cost, runs, options->base) : find_base(&base, cost, runs);
    if (status == VR_OK && options->against_count)
        return choose_named(cost, runs, options, base);
    for (size_t i = 0; i < found && status == VR_OK; i++)
        if (is_apart(cost, runs, base, i))
            status = add_comparison(cost, base, i);
    if (status == VR_OK && cost->comparison_count == 0)
        return vr_fail(VR_ERROR_ARGUMENT, "nothing is left to be held against '%s': name the other side with --against",
                       cost->conditions[base].name);
    return status;
}
