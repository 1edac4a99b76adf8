#include "localize_session.h"

#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <formats/fail.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LEAST_TIMEOUT 60    /* seconds that a run may take at least */
#define LEAST_ROOM    65536 /* bytes that are free after a run */
#define DRAW_SECONDS  0.2

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

bool va_session_has_check(const va_session *s)
{
    return *s->task->check != 0;
}

/* ---- what is said on the way ---- */

void va_session_clear(va_session *s)
{
    if (s->is_drawn)
        fputs("\r\033[K", stderr);
    s->is_drawn = false;
}

void va_session_draw(va_session *s)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    const double now = (double)time.tv_sec + (double)time.tv_nsec / 1e9;
    if (!s->is_terminal || now - s->drawn < DRAW_SECONDS)
        return;
    fprintf(stderr, "\r%llu runs done, %u under way: ", (unsigned long long)s->folder->journal.runs, s->pool.running);
    if (!s->localized.stage)
        fputs("the reference", stderr);
    else if (strcmp(s->localized.stage, "figures") == 0)
        fprintf(stderr, "figures of %zu found", s->localized.count);
    else
        fprintf(stderr, "searching %zu %s, %zu found", s->localized.left, s->localized.stage, s->localized.count);
    fputs("\033[K", stderr);
    s->drawn = now;
    s->is_drawn = true;
}

static void tell_trial(va_session *s, const va_trial *trial, size_t items)
{
    if (!s->options->verbose)
        return;
    va_session_clear(s);
    fprintf(stderr, "run %llu: %zu rounded, seed %llu: ", (unsigned long long)s->folder->journal.runs, items,
            (unsigned long long)va_localize_seed(s->task, trial->sample, s->base.traces));
    if (trial->kept.digits > 0)
        fprintf(stderr, "%.3g of %d bits, ", trial->kept.bits, trial->kept.digits);
    fputs(va_kept_enough(&s->plan, &trial->kept) ? "stable" : "unstable", stderr);
    if (*trial->kept.why) {
        fputs(" (", stderr);
        va_print_text(stderr, trial->kept.why, SIZE_MAX);
        fputc(')', stderr);
    }
    fputc('\n', stderr);
}

/* ---- starting ---- */

static vr_status make_folder(char **out, va_session *s, const char *name, const char *inner)
{
    char *path = NULL;
    vr_status status = *out ? VR_OK : va_scratch_folder(out, &s->folder->scratch, name);
    if (status != VR_OK)
        return status;
    if (asprintf(&path, "%s/%s", *out, inner) < 0)
        return no_memory();
    if (mkdir(path, 0777) != 0)
        status = vr_fail_errno(errno, "%s: cannot be made", path);
    free(path);
    return status;
}

static vr_status write_only(const va_session *s, const char *folder, const uint64_t *sites)
{
    char *path;
    if (asprintf(&path, "%s/only", folder) < 0)
        return no_memory();
    FILE *file = fopen(path, "we");
    vr_status status = VR_OK;
    if (file)
        va_sites_write(file, &s->folder->counted, sites);
    const bool fine = file && !ferror(file);
    if (!file || fclose(file) != 0 || !fine)
        status = vr_fail_errno(errno, "%s: cannot be written", path);
    free(path);
    return status;
}

static double timeout_of(const va_session *s)
{
    const double usual = 10 * s->base.seconds;
    if (s->task->program.timeout > 0)
        return s->task->program.timeout;
    return !s->base.done ? 0 : usual > LEAST_TIMEOUT ? usual : LEAST_TIMEOUT;
}

va_seat *va_session_seat(const va_session *s)
{
    for (uint32_t i = 0; i < s->pool.jobs; i++)
        if (s->pool.seats[i].keeper == 0)
            return &s->pool.seats[i];
    return NULL;
}

va_work *va_session_work(const va_session *s, const va_seat *seat)
{
    return &s->works[seat - s->pool.seats];
}

void va_session_drop(va_session *s, va_seat *seat)
{
    va_work *at = va_session_work(s, seat);
    if (seat->folder)
        va_scratch_remove(seat->folder);
    free(seat->folder);
    seat->folder = NULL;
    free(at->question.sites);
    *at = (va_work){0};
}

vr_status va_session_start(va_session *s, va_seat *seat, va_run_kind kind, const va_question *question)
{
    char name[32];
    va_work *at = va_session_work(s, seat);
    *at = question ? (va_work){.kind = kind, .question = *question} : (va_work){.kind = kind};
    snprintf(name, sizeof name, "run-%llu", (unsigned long long)++s->number);
    vr_status status = make_folder(&seat->folder, s, name, VA_TRACE_FOLDER);
    if (status == VR_OK && (kind == VA_RUN_COUNT || kind == VA_RUN_NOISY))
        status = make_folder(&seat->folder, s, name, "counts");
    if (status == VR_OK && kind == VA_RUN_TRIAL)
        status = write_only(s, seat->folder, question->sites);
    if (status == VR_OK)
        status = va_pool_start(&s->pool, seat, seat->folder, va_localize_words(s->task, seat->folder),
                               va_localize_variables(s->task, seat->folder, kind, at->question.sample, s->base.traces),
                               timeout_of(s));
    if (status != VR_OK)
        va_session_drop(s, seat);
    return status;
}

/* The check of the run that has ended on the seat. */
static vr_status start_check(va_session *s, va_seat *seat)
{
    char *folder = NULL;
    va_work *at = va_session_work(s, seat);
    vr_status status = make_folder(&seat->folder, s, "", "check");
    if (status == VR_OK && asprintf(&folder, "%s/check", seat->folder) < 0)
        status = no_memory();
    if (status == VR_OK)
        status = va_pool_start(&s->pool, seat, folder, va_check_words(s->task),
                               va_check_variables(s->task, s->reference, seat->folder), timeout_of(s));
    at->checking = status == VR_OK;
    free(folder);
    return status;
}

/* ---- ending ---- */

/* Where there is no room for another file, what the run has written may be cut off, and says nothing. */
static vr_status check_room(const va_seat *seat)
{
    static const char block[LEAST_ROOM];
    char *path;
    if (asprintf(&path, "%s/.room", seat->folder) < 0)
        return no_memory();
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    const ssize_t written = fd < 0 ? -1 : write(fd, block, sizeof block);
    vr_status status = VR_OK;
    if (written != (ssize_t)sizeof block)
        status = vr_fail_errno(written < 0 ? errno : ENOSPC, "%s: no room for what a run writes", seat->folder);
    if (fd >= 0)
        close(fd);
    unlink(path);
    free(path);
    return status;
}

/* What has gone wrong with a program in a way that is none of its results. */
vr_status va_session_check(const va_session *s, const va_seat *seat)
{
    const va_keeper_report *report = seat->report;
    if (!report->finished)
        return vr_fail(VR_ERROR_IO, "the process that watched over a run was killed; go on with the same command");
    if (report->start_error)
        return vr_fail_errno(report->start_error, "%s: cannot be %s",
                             report->no_directory ? s->pool.directory : s->task->program.command[0],
                             report->no_directory ? "entered" : "run");
    return *report->trouble ? vr_fail(VR_ERROR_IO, "%s", report->trouble) : check_room(seat);
}

static bool ended_otherwise(const va_session *s, const va_outcome *outcome)
{
    return outcome->timed_out || outcome->signal || outcome->exit_code != s->base.exit_code;
}

static va_kept kept_nothing(const va_outcome *outcome)
{
    char text[VA_OUTCOME_TEXT];
    va_kept kept = {0};
    const char *line = outcome->error_line;
    snprintf(kept.why, sizeof kept.why, "%s%s%.100s", va_outcome_text(text, outcome), *line ? ": " : "", line);
    return kept;
}

/* By the check, which has ended: 0 stable, 1 unstable. */
static vr_status judge_check(va_kept *out, const va_session *s, const va_outcome *outcome)
{
    if (outcome->timed_out || outcome->signal || outcome->exit_code > 1 || outcome->exit_code < 0) {
        char text[VA_OUTCOME_TEXT];
        return vr_fail(VR_ERROR_ARGUMENT, "the check '%.100s' failed, it is to end with status 0 or 1: %s%s%s",
                       s->task->check, va_outcome_text(text, outcome), *outcome->error_line ? ": " : "",
                       outcome->error_line);
    }
    *out = (va_kept){.share = outcome->exit_code == 0};
    if (outcome->exit_code)
        snprintf(out->why, sizeof out->why, "%s", outcome->error_line);
    return VR_OK;
}

vr_status va_session_keep(va_session *s, const va_work *at, const va_kept *kept)
{
    const va_trial trial = {at->question.set, at->question.sample, *kept, at->seconds};
    const vr_status status = va_journal_add(&s->folder->journal, &trial, at->question.items);
    if (status == VR_OK)
        tell_trial(s, &trial, at->question.items);
    return status;
}

vr_status va_session_judge(va_kept *out, bool *checking, va_session *s, va_seat *seat)
{
    va_work *at = va_session_work(s, seat);
    const va_outcome *outcome = &seat->report->outcome;
    *checking = false;
    if (at->checking)
        return judge_check(out, s, outcome);
    at->seconds = outcome->seconds;
    if (ended_otherwise(s, outcome)) {
        *out = kept_nothing(outcome);
        return VR_OK;
    }
    if (!va_session_has_check(s))
        return va_products_compare(out, s->products, seat->folder);
    *checking = true;
    return start_check(s, seat);
}
