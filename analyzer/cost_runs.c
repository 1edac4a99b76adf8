/* The runs that a user names: their traces, and what a campaign knows of them. */
#include "campaign_archive.h"
#include "cost.h"
#include "guard.h"
#include "run_environment.h"

#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <varanalyze/archive.h>

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

static void free_run(va_cost_run *run)
{
    free(run->name);
    free(run->trace);
    free(run->archive);
    free(run->condition);
    for (int i = 0; i < VA_COST_SETTINGS; i++)
        free(run->settings[i]);
    json_decref(run->said);
}

void va_cost_runs_free(va_cost_runs *runs)
{
    for (size_t i = 0; i < runs->count; i++)
        free_run(&runs->runs[i]);
    free(runs->runs);
    va_sources_close(&runs->sources);
    *runs = (va_cost_runs){0};
}

/* Notes which file it is that holds the run. */
static void take_file(va_cost_run *run, const char *path)
{
    struct stat file;
    if (stat(path, &file) != 0)
        return;
    run->device = file.st_dev;
    run->file = file.st_ino;
}

static bool is_same_run(const va_cost_run *a, const va_cost_run *b)
{
    if (a->file && a->file == b->file && a->device == b->device)
        return a->replica == b->replica &&
               strcmp(a->condition ? a->condition : "", b->condition ? b->condition : "") == 0;
    return a->trace && b->trace ? strcmp(a->trace, b->trace) == 0 : strcmp(a->name, b->name) == 0;
}

/* Takes the run over; one that is there already, since two patterns name it, is no second run. */
static vr_status push(va_cost_runs *runs, va_cost_run *run)
{
    for (size_t i = 0; run->name && i < runs->count; i++)
        if (is_same_run(&runs->runs[i], run)) {
            free_run(run);
            return VR_OK;
        }
    va_cost_run *all = realloc(runs->runs, (runs->count + 1) * sizeof *all);
    bool fine = all && run->name;
    if (all)
        runs->runs = all;
    for (int i = 0; i < VA_COST_SETTINGS; i++)
        fine = fine && run->settings[i];
    if (fine) {
        all[runs->count++] = *run;
        return VR_OK;
    }
    free_run(run);
    return no_memory();
}

/* Seconds since 1970; NaN: malformed. */
static double parse_time(const char *text)
{
    struct tm utc = {0};
    const char *end = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &utc) : NULL;
    if (!end)
        return NAN;
    const double fraction = *end == '.' ? strtod(end, NULL) : 0;
    return (double)timegm(&utc) + fraction;
}

/* ---- what a trace says ---- */

/* A string or number as text; "" where there is none. */
static char *text_of(const json_t *value)
{
    char *out = NULL, *text = NULL;
    size_t i;
    const json_t *word;
    if (json_is_string(value))
        return strdup(json_string_value(value));
    if (json_is_integer(value))
        return asprintf(&text, "%lld", (long long)json_integer_value(value)) >= 0 ? text : NULL;
    if (!json_is_array(value))
        return strdup("");
    size_t bytes;
    FILE *stream = open_memstream(&out, &bytes);
    json_array_foreach (value, i, word)
        if (stream && json_is_string(word))
            fprintf(stream, "%s%s", i ? "," : "", json_string_value(word));
    if (stream)
        fclose(stream);
    return out;
}

static void take_settings(va_cost_run *run)
{
    static const char *const keys[VA_COST_SETTINGS] = {
        "kernels", "rounding", "rounding_precision", "rounding_bits", "vary", "perturb", "threads", "level"};
    for (int i = 0; i < VA_COST_SETTINGS; i++) {
        free(run->settings[i]);
        run->settings[i] = text_of(json_object_get(run->said, keys[i]));
    }
}

/* Fills in what the trace tells. */
static vr_status read_said(va_cost_run *run)
{
    vr_trace *trace;
    va_guard_file(run->trace);
    const vr_status status = vr_trace_open(&trace, run->trace);
    if (status != VR_OK)
        return status;
    const vr_trace_info *info = vr_trace_get_info(trace);
    run->said = json_loads(info->run, 0, NULL);
    run->is_broken = !info->closed || info->incomplete;
    vr_trace_close(trace);
    if (!run->said)
        run->said = json_object();
    take_settings(run);
    const json_t *peak = json_object_get(json_object_get(run->said, "memory"), "peak_bytes");
    if (json_integer_value(peak) > 0)
        run->memory = (double)json_integer_value(peak);
    if (isnan(run->started))
        run->started = parse_time(json_string_value(json_object_get(json_object_get(run->said, "program"), "started")));
    return VR_OK;
}

static vr_status add_trace(va_cost_runs *runs, const char *name)
{
    va_cost_run run = {.name = strdup(name), .trace = strdup(name)};
    run.started = run.wall = run.processor = run.memory = NAN;
    take_file(&run, name);
    const vr_status status = run.trace ? read_said(&run) : no_memory();
    if (status != VR_OK) {
        free_run(&run);
        return status;
    }
    return push(runs, &run);
}

/* ---- what a campaign says ---- */

/* Of a run without a trace, what it was told. */
static vr_status take_variables(va_cost_run *run, const va_campaign *campaign, va_task task)
{
    static const char *const names[VA_COST_SETTINGS] = {"VR_KERNELS",       "VR_ROUNDING", "VR_ROUNDING_PRECISION",
                                                        "VR_ROUNDING_BITS", "VR_VARY",     "VR_PERTURB",
                                                        "OMP_NUM_THREADS",  "VR_LEVEL"};
    char **set = va_run_variables(campaign, task, "");
    if (!set)
        return no_memory();
    for (int i = 0; i < VA_COST_SETTINGS; i++) {
        const size_t length = strlen(names[i]);
        run->settings[i] = NULL;
        for (char **at = set; *at && !run->settings[i]; at++)
            if (strncmp(*at, names[i], length) == 0 && (*at)[length] == '=')
                run->settings[i] = strdup(*at + length + 1);
        if (!run->settings[i])
            run->settings[i] = strdup("");
    }
    va_strings_free(set);
    return VR_OK;
}

static vr_status add_replica(va_cost_runs *runs, const char *archive, const va_ledger *ledger, va_task task)
{
    const va_outcome *outcome = va_ledger_at(ledger, task);
    const char *condition = ledger->campaign->conditions[task.condition].name;
    char name[VA_RUN_NAME];
    va_run_name(name, ledger->campaign, task);
    va_cost_run run = {.archive = strdup(archive), .condition = strdup(condition), .replica = task.replica};
    take_file(&run, archive);
    run.started = parse_time(outcome->started);
    run.wall = outcome->seconds >= 0 ? outcome->seconds : NAN;
    run.processor = outcome->user_seconds + outcome->system_seconds;
    if (!(run.processor >= 0))
        run.processor = NAN;
    run.memory = outcome->peak_bytes ? (double)outcome->peak_bytes : NAN;
    if (asprintf(&run.name, "%s:%s", archive, name) < 0)
        run.name = NULL;
    if (outcome->traces == 1 && asprintf(&run.trace, "%s:%s.h5", archive, name) < 0)
        run.trace = NULL;
    vr_status status = run.name && run.archive && run.condition ? VR_OK : no_memory();
    if (status == VR_OK)
        status = run.trace ? read_said(&run) : take_variables(&run, ledger->campaign, task);
    if (status != VR_OK) {
        free_run(&run);
        return status;
    }
    return push(runs, &run);
}

static vr_status add_ledger(va_cost_runs *runs, const char *archive, const va_ledger *ledger)
{
    for (uint32_t c = 0; c < ledger->campaign->condition_count; c++)
        for (uint32_t r = 1; r <= ledger->campaign->conditions[c].count; r++) {
            const va_task task = {c, r};
            const va_outcome *outcome = va_ledger_at(ledger, task);
            runs->failed += outcome->done && !va_outcome_is_ok(outcome);
            runs->several += va_outcome_is_ok(outcome) && outcome->traces > 1;
            if (!va_outcome_is_ok(outcome))
                continue;
            const vr_status status = add_replica(runs, archive, ledger, task);
            if (status != VR_OK)
                return status;
        }
    return VR_OK;
}

static vr_status add_campaign(va_cost_runs *runs, const char *archive)
{
    va_campaign campaign;
    va_ledger ledger = {0};
    vr_status status = va_campaign_read(&campaign, archive);
    if (status == VR_OK)
        status = va_ledger_open(&ledger, &campaign);
    if (status == VR_OK)
        status = va_ledger_read(&ledger, archive);
    if (status == VR_OK)
        status = add_ledger(runs, archive, &ledger);
    va_ledger_close(&ledger);
    va_campaign_free(&campaign);
    return status;
}

/* Whether there is an archive with a campaign in it, which stays open with the other sources. */
static bool holds_campaign(va_cost_runs *runs, const char *operand)
{
    vr_archive *archive;
    vr_member member;
    struct stat file;
    if (stat(operand, &file) != 0 || !S_ISREG(file.st_mode) || vr_archive_open(&archive, operand, NULL) != VR_OK)
        return false;
    vr_archive **all = NULL;
    if (vr_archive_find(archive, VA_CAMPAIGN_MEMBER, &member) == VR_OK)
        all = realloc(runs->sources.archives, (runs->sources.archive_count + 1) * sizeof *all);
    if (!all) {
        vr_archive_close(archive);
        return false;
    }
    runs->sources.archives = all;
    all[runs->sources.archive_count++] = archive;
    return true;
}

vr_status va_cost_runs_add(va_cost_runs *runs, const char *operand)
{
    va_guard_file(operand);
    if (holds_campaign(runs, operand))
        return add_campaign(runs, operand);
    const uint64_t before = runs->sources.count;
    vr_status status = va_sources_add(&runs->sources, operand);
    for (uint64_t i = before; i < runs->sources.count && status == VR_OK; i++)
        status = add_trace(runs, runs->sources.names[i]);
    return status;
}
