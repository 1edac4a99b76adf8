#include "study_read.h"

#include "grow.h"
#include "guard.h"

#include <formats/fail.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

void va_study_note(va_study *study, const char *format, ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    const int length = vasprintf(&text, format, args);
    va_end(args);
    char **notes = length < 0 ? NULL : va_one_more(study->notes, study->note_count, &study->note_room, sizeof *notes);
    if (notes) {
        study->notes = notes;
        notes[study->note_count++] = text;
    } else if (length >= 0) {
        free(text);
    }
}

const va_study_run *va_study_replica(const va_study *study, int condition, int replica)
{
    return &study->runs[study->conditions[condition].runs[replica]];
}

/* ---- what is left out ---- */

/* Messages of the library begin with the path, which need not stand there twice. */
static const char *without_path(const char *message, const char *path)
{
    const size_t length = strlen(path);
    return strncmp(message, path, length) == 0 && strncmp(message + length, ": ", 2) == 0 ? message + length + 2
                                                                                          : message;
}

static vr_status list_left_out(va_study *study, const char *path, bool unreadable, const char *why)
{
    va_left_out *all = va_one_more(study->left_out, study->left_count, &study->left_room, sizeof *all);
    if (!all)
        return no_memory();
    study->left_out = all;
    va_left_out *out = &all[study->left_count++];
    *out = (va_left_out){strdup(path), strdup(without_path(why, path)), unreadable};
    study->unreadable += unreadable;
    return out->path && out->why ? VR_OK : no_memory();
}

static void close_run(va_study_run *run)
{
    vr_trace_close(run->trace);
    json_decref(run->about);
    free(run->path);
    free(run->label);
    *run = (va_study_run){0};
}

/* The runs after it move up. */
static void drop_run(va_study *study, size_t run)
{
    close_run(&study->runs[run]);
    study->run_count--;
    memmove(&study->runs[run], &study->runs[run + 1], (study->run_count - run) * sizeof *study->runs);
}

vr_status va_study_leave_out(va_study *study, size_t run, const char *format, ...)
{
    char why[256];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    const vr_status status = list_left_out(study, study->runs[run].path, false, why);
    drop_run(study, run);
    return status;
}

/* ---- opening ---- */

static bool is_known(const va_study *study, const char *path)
{
    for (size_t i = 0; i < study->run_count; i++)
        if (strcmp(study->runs[i].path, path) == 0)
            return true;
    return false;
}

static vr_status open_run(va_study *study, const char *path)
{
    if (is_known(study, path))
        return list_left_out(study, path, false, "named twice");
    va_study_run *runs = va_one_more(study->runs, study->run_count, &study->run_room, sizeof *runs);
    if (!runs)
        return no_memory();
    study->runs = runs;
    va_study_run *run = &runs[study->run_count];
    *run = (va_study_run){.path = strdup(path)};
    vr_status status = run->path ? va_trace_open(&run->trace, path, study->run_count) : no_memory();
    if (status == VR_OK) {
        study->run_count++;
        run->about = json_loads(vr_trace_get_info(run->trace)->run, 0, NULL);
        return run->about ? VR_OK : no_memory();
    }
    free(run->path);
    if (status == VR_ERROR_MEMORY || va_files_are_short(study->run_count))
        return status;
    return list_left_out(study, path, true, vr_error());
}

/* All runs of an operand. One that names none, or an archive that cannot be read, is listed as a run would be. */
static vr_status open_operand(va_study *study, const char *operand)
{
    uint64_t i = study->sources.count;
    vr_status status = va_sources_add(&study->sources, operand);
    if (status != VR_OK)
        return status == VR_ERROR_MEMORY ? status : list_left_out(study, operand, true, vr_error());
    for (; status == VR_OK && i < study->sources.count; i++)
        status = open_run(study, study->sources.names[i]);
    return status;
}

static vr_status open_runs(va_study *study, char *const *operands, int count)
{
    vr_status status = VR_OK;
    va_allow_files();
    for (int i = 0; status == VR_OK && i < count; i++)
        status = open_operand(study, operands[i]);
    return status;
}

/* A rank other than the first of a run under MPI saw a part of the samples. */
static vr_status keep_first_ranks(va_study *study)
{
    vr_status status = VR_OK;
    for (size_t i = study->run_count; status == VR_OK && i-- > 0;) {
        const json_int_t rank =
            json_integer_value(json_object_get(json_object_get(study->runs[i].about, "mpi"), "rank"));
        if (rank > 0)
            status = va_study_leave_out(study, i, "of MPI rank %lld; rank 0 of its run counts", (long long)rank);
    }
    return status;
}

/* Whether two traces are copies of one run's: no two runs take the same nanoseconds for every step. */
static bool is_copy(const va_study_run *a, const va_study_run *b)
{
    const uint64_t steps = vr_trace_get_info(a->trace)->step_count;
    if (steps == 0 || steps != vr_trace_get_info(b->trace)->step_count)
        return false;
    const vr_step *x = vr_trace_steps(a->trace), *y = vr_trace_steps(b->trace);
    for (uint64_t i = 0; i < steps; i++)
        if (x[i].start_ns != y[i].start_ns || x[i].end_ns != y[i].end_ns)
            return false;
    return json_equal(a->about, b->about);
}

/* A run under two names is one replica, and bit-identical to itself. */
static vr_status keep_one_of_copies(va_study *study)
{
    vr_status status = VR_OK;
    for (size_t i = study->run_count; status == VR_OK && i-- > 1;)
        for (size_t j = 0; j < i; j++)
            if (is_copy(&study->runs[j], &study->runs[i])) {
                status = va_study_leave_out(study, i, "a copy of %s", study->runs[j].path);
                break;
            }
    return status;
}

/* ---- which evaluation ---- */

/* "test", or the only set that there is. */
static vr_status choose_set(va_study *study, const va_study_choice *choice)
{
    const char *only = choice->set;
    bool several = false;
    for (size_t i = 0; !choice->set && i < study->run_count; i++) {
        const vr_evaluation_info *all;
        uint64_t count;
        if (vr_trace_evaluations(study->runs[i].trace, &all, &count) != VR_OK)
            continue; /* said when it is asked for its own */
        for (uint64_t e = 0; e < count; e++) {
            if (strcmp(all[e].name, "test") == 0) {
                study->set = strdup("test");
                return study->set ? VR_OK : no_memory();
            }
            several |= only && strcmp(only, all[e].name) != 0;
            only = all[e].name;
        }
    }
    if (several)
        return vr_fail(VR_ERROR_ARGUMENT, "the runs have evaluations of several sets of samples, none of them called "
                                          "'test': choose one with --set ('varanalyze info' lists them)");
    study->set = strdup(only ? only : "test");
    return study->set ? VR_OK : no_memory();
}

static const vr_evaluation_info *choose_evaluation(const vr_evaluation_info *all, uint64_t count, const char *set,
                                                   const va_study_choice *choice)
{
    for (uint64_t e = count; e-- > 0;)
        if (strcmp(all[e].name, set) == 0 && all[e].step >= choice->first_step && all[e].step <= choice->last_step &&
            (choice->epoch < 0 || all[e].epoch == (uint64_t)choice->epoch))
            return &all[e];
    return NULL;
}

static bool is_restricted(const va_study_choice *choice)
{
    return choice->first_step > 0 || choice->last_step < UINT64_MAX || choice->epoch >= 0;
}

static vr_status choose_of_run(va_study *study, size_t run, const va_study_choice *choice)
{
    const vr_evaluation_info *all;
    uint64_t count;
    va_guard_file(study->runs[run].path);
    vr_status status = vr_trace_evaluations(study->runs[run].trace, &all, &count);
    if (status == VR_ERROR_MEMORY)
        return status;
    if (status != VR_OK) {
        status = list_left_out(study, study->runs[run].path, true, vr_error());
        drop_run(study, run);
        return status;
    }
    study->runs[run].evaluation = choose_evaluation(all, count, study->set, choice);
    if (study->runs[run].evaluation)
        return VR_OK;
    return va_study_leave_out(study, run, count ? "no evaluation of '%s'%s" : "no evaluation", study->set,
                              is_restricted(choice) ? " at the step or epoch asked for" : "");
}

static vr_status choose_evaluations(va_study *study, const va_study_choice *choice)
{
    vr_status status = choose_set(study, choice);
    for (size_t i = study->run_count; status == VR_OK && i-- > 0;)
        status = choose_of_run(study, i, choice);
    return status;
}

/* ---- conditions ---- */

static vr_status label_runs(va_study *study, const va_study_choice *choice)
{
    vr_status status = VR_OK;
    for (size_t i = study->run_count; status == VR_OK && i-- > 0;) {
        const char *why;
        status = va_study_label(&study->runs[i], choice, &why);
        if (status == VR_OK && !study->runs[i].label)
            status = va_study_leave_out(study, i, "%s", why);
    }
    return status;
}

/* A run that broke off said nothing of the end; those that ended may have ended at different steps. */
static vr_status leave_out_broken(va_study *study)
{
    vr_status status = VR_OK;
    for (size_t i = study->run_count; status == VR_OK && i-- > 0;) {
        const vr_trace_info *info = vr_trace_get_info(study->runs[i].trace);
        const vr_evaluation_info *mine = study->runs[i].evaluation;
        uint64_t last = 0;
        for (size_t j = 0; j < study->run_count; j++)
            if (strcmp(study->runs[j].label, study->runs[i].label) == 0 && study->runs[j].evaluation->step > last)
                last = study->runs[j].evaluation->step;
        if (!info->closed && mine->step < last)
            status = va_study_leave_out(
                study, i, "broke off: last evaluated at step %" PRIu64 ", others of its condition at step %" PRIu64,
                mine->step, last);
    }
    return status;
}

static void note_steps(va_study *study)
{
    for (int c = 0; c < study->condition_count; c++) {
        uint64_t first = UINT64_MAX, last = 0;
        for (int r = 0; r < study->conditions[c].count; r++) {
            const uint64_t step = va_study_replica(study, c, r)->evaluation->step;
            first = step < first ? step : first;
            last = step > last ? step : last;
        }
        if (first < last)
            va_study_note(study, "%s: the runs were evaluated last at different steps, %" PRIu64 " to %" PRIu64,
                          study->conditions[c].name, first, last);
    }
}

static int by_path(const void *x, const void *y)
{
    return strcmp(((const va_study_run *)x)->path, ((const va_study_run *)y)->path);
}

static int by_left_out_path(const void *x, const void *y)
{
    return strcmp(((const va_left_out *)x)->path, ((const va_left_out *)y)->path);
}

static vr_status nothing_left(const va_study *study)
{
    if (study->left_count)
        return vr_fail(VR_ERROR_ARGUMENT, "no run is left to be studied: %zu left out, the first %s: %s",
                       study->left_count, study->left_out[0].path, study->left_out[0].why);
    return vr_fail(VR_ERROR_ARGUMENT, "no runs");
}

static vr_status fill(va_study *study, char *const *operands, int count, const va_study_choice *choice)
{
    vr_status status = open_runs(study, operands, count);
    if (status == VR_OK)
        status = keep_first_ranks(study);
    if (status == VR_OK)
        status = keep_one_of_copies(study);
    if (status == VR_OK)
        status = choose_evaluations(study, choice);
    if (status == VR_OK)
        status = label_runs(study, choice);
    if (status == VR_OK)
        status = leave_out_broken(study);
    if (status != VR_OK)
        return status;
    if (study->left_count)
        qsort(study->left_out, study->left_count, sizeof *study->left_out, by_left_out_path);
    if (study->run_count == 0)
        return nothing_left(study);
    qsort(study->runs, study->run_count, sizeof *study->runs, by_path); /* whatever order an archive has */
    status = va_study_group(study, choice);
    note_steps(study);
    return status;
}

/* ---- the whole ---- */

vr_status va_study_open(va_study **out, char *const *operands, int count, const va_study_choice *choice)
{
    va_study *study = calloc(1, sizeof *study);
    if (!study)
        return no_memory();
    study->cache = va_column_cache_new();
    const vr_status status = study->cache ? fill(study, operands, count, choice) : no_memory();
    if (status == VR_OK)
        *out = study;
    else
        va_study_close(study);
    return status;
}

void va_study_close(va_study *study)
{
    if (!study)
        return;
    for (size_t i = 0; i < study->run_count; i++)
        close_run(&study->runs[i]);
    for (size_t i = 0; i < study->left_count; i++) {
        free(study->left_out[i].path);
        free(study->left_out[i].why);
    }
    for (int c = 0; c < study->condition_count; c++) {
        free(study->conditions[c].name);
        free(study->conditions[c].varied);
        free(study->conditions[c].runs);
    }
    for (size_t i = 0; i < study->note_count; i++)
        free(study->notes[i]);
    va_column_cache_free(study->cache);
    va_sources_close(&study->sources);
    free(study->runs);
    free(study->left_out);
    free(study->conditions);
    free(study->notes);
    free(study->set);
    free(study);
}
