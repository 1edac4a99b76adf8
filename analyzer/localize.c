#include "command.h"
#include "localize_session.h"

#include <dirent.h>
#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

/* ---- the reference ---- */

/* Waits for the one program that is running; false: a signal has come. */
static bool wait_for(va_session *s, va_seat *seat)
{
    while (va_pool_wait(&s->pool) != seat)
        va_session_draw(s);
    return !s->pool.signal;
}

static vr_status check_reference(const va_session *s, const va_outcome *outcome)
{
    char text[VA_OUTCOME_TEXT];
    if (!outcome->timed_out && !outcome->signal)
        return VR_OK;
    return vr_fail(VR_ERROR_ARGUMENT, "'%s' fails without any noise: %s%s%s", s->task->program.command[0],
                   va_outcome_text(text, outcome), *outcome->error_line ? ": " : "", outcome->error_line);
}

static bool left_traces(const char *folder)
{
    char *path;
    bool any = false;
    if (asprintf(&path, "%s/" VA_TRACE_FOLDER, folder) < 0)
        return false;
    DIR *traces = opendir(path);
    for (struct dirent *entry; traces && (entry = readdir(traces));)
        any = any || *entry->d_name != '.';
    if (traces)
        closedir(traces);
    free(path);
    return any;
}

/* Tables of one run, of as many processes as it had. */
static vr_status read_counts(va_counted *out, const char *folder)
{
    char *path, *table;
    vr_status status = VR_OK;
    if (asprintf(&path, "%s/counts", folder) < 0)
        return no_memory();
    DIR *counts = opendir(path);
    for (struct dirent *entry; status == VR_OK && counts && (entry = readdir(counts));) {
        if (entry->d_name[0] == '.' || entry->d_name[strspn(entry->d_name, "0123456789")])
            continue; /* half written by a process that was killed */
        if (asprintf(&table, "%s/%s", path, entry->d_name) < 0) {
            status = no_memory();
        } else {
            status = va_counted_add(out, table);
            free(table);
        }
    }
    if (counts)
        closedir(counts);
    free(path);
    return status == VR_OK ? va_counted_finish(out) : status;
}

/* What a run has executed that is not known yet. */
static vr_status join_counts(va_session *s, const char *folder)
{
    va_counted counted = {0};
    vr_status status = read_counts(&counted, folder);
    if (status == VR_OK)
        status = va_counted_join(&s->folder->counted, &counted);
    va_counted_free(&counted);
    if (status == VR_OK && s->folder->counted.site_count == 0)
        status = vr_fail(VR_ERROR_ARGUMENT,
                         "'%s' executes no operation that could be rounded: was it compiled by vrcc (CC=vrcc), all of "
                         "it that computes?",
                         s->task->program.command[0]);
    return status;
}

/* Waits until what runs on the seat, and its check, have ended: what that says. */
static vr_status judge_alone(va_kept *out, va_session *s, va_seat *seat)
{
    bool checking = false;
    vr_status status;
    do {
        if (!wait_for(s, seat))
            return VR_OK;
        status = va_session_check(s, seat);
        if (status == VR_OK)
            status = va_session_judge(out, &checking, s, seat);
    } while (status == VR_OK && checking);
    return status;
}

static vr_status refuse_drift(const va_kept *kept)
{
    return vr_fail(VR_ERROR_ARGUMENT,
                   "two runs without any noise differ (%s): the program is not deterministic by itself; have it print "
                   "no times or addresses, fix its seeds and threads (--env OMP_NUM_THREADS=1), or name what to "
                   "compare by --output or --check",
                   *kept->why ? kept->why : "too few bits agree");
}

static vr_status open_products(va_session *s, const char *folder)
{
    free(s->reference);
    s->reference = strdup(folder);
    if (!s->reference)
        return no_memory();
    return va_session_has_check(s) ? VR_OK : va_products_open(&s->products, folder, &s->rule);
}

static void tell_exit_code(const va_outcome *outcome)
{
    fprintf(stderr, "varanalyze: without any noise the program ends with exit status %d", outcome->exit_code);
    fputs(*outcome->error_line ? ": " : "", stderr);
    va_print_text(stderr, outcome->error_line, SIZE_MAX);
    fputs("; so must every run\n", stderr);
}

/* The first run; its folder is kept. */
static vr_status run_reference(va_session *s)
{
    va_seat *seat = va_session_seat(s);
    vr_status status = va_session_start(s, seat, VA_RUN_REFERENCE, NULL);
    if (status != VR_OK || !wait_for(s, seat))
        return status;
    const va_outcome *outcome = &seat->report->outcome;
    status = va_session_check(s, seat);
    if (status == VR_OK)
        status = check_reference(s, outcome);
    if (status == VR_OK && outcome->exit_code)
        tell_exit_code(outcome);
    s->base = (va_reference){false, outcome->exit_code, outcome->seconds, left_traces(seat->folder)};
    if (status == VR_OK)
        status = open_products(s, seat->folder);
    free(seat->folder);
    seat->folder = NULL;
    return status;
}

/* A run that counts: without noise it has to be as the reference; with all the noise there is it may execute more. */
static vr_status run_count(va_session *s, va_run_kind kind, va_kept *kept)
{
    va_seat *seat = va_session_seat(s);
    vr_status status = va_session_start(s, seat, kind, NULL);
    if (status == VR_OK)
        status = judge_alone(kept, s, seat);
    if (status == VR_OK && !s->pool.signal)
        status = join_counts(s, seat->folder);
    if (status == VR_OK && !s->pool.signal && kind == VA_RUN_COUNT && kept->share < 1)
        status = refuse_drift(kept);
    if (kind == VA_RUN_COUNT) { /* it calls for every operation, as runs with noise do */
        s->base.seconds = fmax(s->base.seconds, va_session_work(s, seat)->seconds);
        s->base.done = true;
    }
    va_session_drop(s, seat);
    return status;
}

/* Where the reference is from here on. */
static vr_status use_reference(va_session *s)
{
    char *path = va_localize_path(s->folder, "reference");
    va_products_close(s->products);
    s->products = NULL;
    const vr_status status = path ? open_products(s, path) : no_memory();
    free(path);
    return status;
}

/* The run with all the noise is one of the set of all functions. */
static vr_status keep_noisy(va_session *s, const va_kept *kept)
{
    va_work at = {.question = {.items = s->folder->counted.function_count}};
    at.question.sites = calloc(va_sites_words(&s->folder->counted), sizeof *at.question.sites);
    if (!at.question.sites)
        return no_memory();
    va_sites_add(at.question.sites, 0, s->folder->counted.site_count);
    at.question.set = va_sites_digest(&s->folder->counted, at.question.sites);
    free(at.question.sites);
    return va_session_keep(s, &at, kept);
}

static vr_status establish(va_session *s)
{
    va_kept kept, noisy;
    if (s->folder->journal.reference.done) {
        s->base = s->folder->journal.reference;
        return use_reference(s);
    }
    vr_status status = run_reference(s);
    if (status == VR_OK && !s->pool.signal)
        status = run_count(s, VA_RUN_COUNT, &kept);
    if (status == VR_OK && !s->pool.signal)
        status = run_count(s, VA_RUN_NOISY, &noisy);
    if (status != VR_OK || s->pool.signal)
        return status;
    status = va_localize_folder_settle(s->folder, s->reference, &s->base);
    if (status == VR_OK)
        status = use_reference(s);
    return status == VR_OK ? keep_noisy(s, &noisy) : status;
}

/* ---- the search ---- */

static vr_status end_trial(va_session *s, va_seat *seat)
{
    va_kept kept;
    bool checking;
    const vr_status status = va_session_judge(&kept, &checking, s, seat);
    return status == VR_OK && !checking ? va_session_keep(s, va_session_work(s, seat), &kept) : status;
}

/* Those that run. */
static size_t list_busy(const va_session *s, va_question *out)
{
    size_t count = 0;
    for (uint32_t i = 0; i < s->pool.jobs; i++)
        if (s->pool.seats[i].keeper != 0 && s->works[i].question.sites)
            out[count++] = s->works[i].question;
    return count;
}

/* Starts what the plan wants, as far as there is room. */
static vr_status start_wanted(va_session *s, va_question *busy, va_question *wanted)
{
    const size_t running = list_busy(s, busy);
    size_t count, started = 0;
    vr_status status = VR_OK;
    va_localized_free(&s->localized);
    s->verdict = va_plan_next(wanted, &count, s->pool.jobs - running, &s->localized, &s->plan, busy, running);
    if (s->verdict == VA_STUCK)
        status = VR_ERROR_ARGUMENT;
    for (; status == VR_OK && s->verdict == VA_UNKNOWN && started < count; started++)
        status = va_session_start(s, va_session_seat(s), VA_RUN_TRIAL, &wanted[started]);
    for (size_t i = started; i < count; i++)
        free(wanted[i].sites);
    return status;
}

/* What has ended; a run that failed while the search is stopped may have done so for that reason. */
static vr_status end(va_session *s, va_seat *seat)
{
    const bool doubtful = s->pool.stopping && (!seat->report->finished || !va_outcome_is_ok(&seat->report->outcome));
    vr_status status = VR_OK;
    if (!doubtful)
        status = va_session_check(s, seat);
    if (!doubtful && status == VR_OK && !(s->pool.stopping && va_session_has_check(s)))
        status = end_trial(s, seat);
    if (seat->keeper == 0) /* else it is being checked */
        va_session_drop(s, seat);
    return status;
}

static vr_status search(va_session *s, va_question *busy, va_question *wanted)
{
    vr_status status = VR_OK;
    while (status == VR_OK && !s->pool.signal) {
        status = start_wanted(s, busy, wanted);
        if (status != VR_OK || s->verdict != VA_UNKNOWN)
            break;
        va_session_draw(s);
        for (va_seat *seat = va_pool_wait(&s->pool); seat && status == VR_OK; seat = NULL)
            status = end(s, seat);
    }
    return status;
}

/* Ends what still runs: what was made in advance, or what a signal has told to end. */
static void stop(va_session *s)
{
    if (s->pool.running > 0 && !s->pool.stopping)
        va_pool_stop(&s->pool, SIGINT);
    while (s->pool.running > 0) {
        va_seat *seat = va_pool_wait(&s->pool);
        if (seat)
            va_session_drop(s, seat);
    }
}

static void close_session(va_session *s)
{
    stop(s);
    for (uint32_t i = 0; s->works && s->pool.seats && i < s->pool.jobs; i++)
        va_session_drop(s, &s->pool.seats[i]);
    va_pool_close(&s->pool);
    va_products_close(s->products);
    free(s->reference);
    free(s->works);
    va_session_clear(s);
}

static vr_status open_session(va_session *s)
{
    const va_localize_task *task = s->task;
    s->rule = (va_product_rule){.patterns = task->outputs, .raw = *task->type, .floor = task->floor};
    s->works = calloc(s->options->jobs, sizeof *s->works);
    if (!s->works)
        return no_memory();
    const vr_status status = *task->type ? vr_dtype_parse(&s->rule.dtype, task->type) : VR_OK;
    return status == VR_OK ? va_pool_open(&s->pool, s->options->cores, s->options->jobs) : status;
}

vr_status va_localize(va_localized *out, va_verdict *verdict, int *signal, va_localize_folder *folder,
                      const va_localize_options *options)
{
    va_session s = {
        .folder = folder,
        .options = options,
        .task = options->task,
        .plan = {&folder->counted, &folder->journal, options->samples, options->at_least, options->lines},
        .pool = {.scratch = &folder->scratch, .directory = options->task->program.directory, .before = options->before},
        .verdict = VA_UNKNOWN,
        .is_terminal = isatty(STDERR_FILENO)};
    va_question *busy = calloc(options->jobs, sizeof *busy), *wanted = calloc(options->jobs, sizeof *wanted);
    vr_status status = busy && wanted ? open_session(&s) : no_memory();
    if (status == VR_OK)
        status = establish(&s);
    if (status == VR_OK)
        status = search(&s, busy, wanted);
    *signal = s.pool.signal;
    *verdict = s.verdict;
    *out = s.localized;
    close_session(&s);
    free(busy);
    free(wanted);
    return status;
}
