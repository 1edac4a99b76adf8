#include "run_driver.h"

#include "campaign_archive.h"
#include "run_environment.h"
#include "run_keeper.h"
#include "run_progress.h"

#include <errno.h>
#include <fcntl.h>
#include <formats/fail.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define DRAW_MS 250
#define TOLD_MS 200 /* for a signal to get to the driver that has got to a keeper */

/* A place for one run at a time, on cores of its own. */
typedef struct slot {
    pid_t keeper; /* 0: free */
    va_task task;
    uint32_t tries; /* of this run, so far */
    uint32_t again; /* tries it still has */
    char *folder;
    char **set, **environment;
} slot;

typedef struct driver {
    const va_drive *drive;
    va_ledger *ledger;
    const va_task *tasks;
    uint64_t next; /* of the tasks */
    slot *slots;
    va_keeper_report *reports; /* of the slots; shared with their keepers */
    uint32_t running;
    sigset_t signals;
    bool stopping;
    int signal;
    vr_status status;
    char *trouble; /* the message of the first failure */
    va_run_progress progress;
} driver;

bool va_drive_is_due(const va_drive *drive, const va_outcome *outcome)
{
    return !outcome->done || (drive->retry_failed && !va_outcome_is_ok(outcome));
}

uint64_t va_drive_count_due(const va_drive *drive, const va_ledger *ledger)
{
    uint64_t due = 0;
    for (uint64_t i = 0; i < ledger->count; i++)
        due += va_drive_is_due(drive, &ledger->outcomes[i]);
    return due;
}

/* ---- slots ---- */

static uint32_t number_of(const slot *at, const driver *d)
{
    return (uint32_t)(at - d->slots);
}

static void free_slot(slot *at)
{
    if (at->folder)
        va_scratch_remove(at->folder);
    va_strings_free(at->set);
    free(at->environment);
    free(at->folder);
    at->folder = NULL;
    at->set = at->environment = NULL;
    at->keeper = 0;
}

/* The scratch folder and the environment of a run. */
static vr_status prepare_slot(slot *at, const driver *d)
{
    char name[VA_RUN_NAME], traces[VA_RUN_NAME + sizeof "/" VA_TRACE_FOLDER], *trace = NULL, *folder = NULL;
    const va_campaign *campaign = d->drive->campaign;
    vr_status status = va_scratch_folder(&at->folder, d->drive->scratch, va_run_name(name, campaign, at->task));
    snprintf(traces, sizeof traces, "%s/" VA_TRACE_FOLDER, name);
    if (status == VR_OK)
        status = va_scratch_folder(&folder, d->drive->scratch, traces);
    free(folder);
    if (status != VR_OK)
        return status;
    if (asprintf(&trace, "%s/" VA_TRACE_FOLDER "/%%r.h5", at->folder) >= 0) { /* each MPI rank has its own */
        at->set = va_run_variables(campaign, at->task, trace);
        at->environment = at->set ? va_run_environment(at->set) : NULL;
        free(trace);
    }
    return at->environment ? VR_OK : vr_fail(VR_ERROR_MEMORY, "%s: out of memory", d->drive->archive);
}

static vr_status start(slot *at, driver *d)
{
    cpu_set_t cores;
    const bool pinned = va_cores_of(&cores, d->drive->cores, d->drive->jobs, number_of(at, d));
    vr_status status = prepare_slot(at, d);
    const va_keeper_task task = {.command = d->drive->campaign->command,
                                 .environment = at->environment,
                                 .directory = d->drive->campaign->directory,
                                 .folder = at->folder,
                                 .cores = pinned ? &cores : NULL,
                                 .timeout = d->drive->timeout,
                                 .mask = d->drive->before};
    if (status == VR_OK && (at->keeper = va_keeper_start(&d->reports[number_of(at, d)], &task)) < 0)
        status = vr_fail_errno(errno, "%s: no process could be made for a run", d->drive->archive);
    if (status != VR_OK) {
        free_slot(at);
        return status;
    }
    at->tries++;
    d->running++;
    return VR_OK;
}

/* ---- stopping ---- */

static void signal_keepers(const driver *d, int signal)
{
    for (uint32_t i = 0; i < d->drive->jobs; i++)
        if (d->slots[i].keeper > 0)
            kill(d->slots[i].keeper, signal);
}

/* No more runs are begun, and those that are under way end. */
static void stop(driver *d)
{
    signal_keepers(d, d->stopping ? SIGINT : SIGTERM);
    d->stopping = true;
}

static void fail(driver *d, vr_status status)
{
    if (d->status == VR_OK) {
        d->status = status;
        d->trouble = strdup(vr_error());
    }
    if (!d->stopping)
        stop(d);
}

/* ---- runs ---- */

static void begin_runs(driver *d)
{
    for (uint32_t i = 0; i < d->drive->jobs && !d->stopping; i++) {
        slot *at = &d->slots[i];
        while (d->next < d->ledger->count && !va_drive_is_due(d->drive, va_ledger_at(d->ledger, d->tasks[d->next])))
            d->next++;
        if (at->keeper || d->next == d->ledger->count)
            continue;
        at->task = d->tasks[d->next++];
        at->tries = va_ledger_at(d->ledger, at->task)->tries;
        at->again = d->drive->retries;
        const vr_status status = start(at, d);
        if (status != VR_OK)
            fail(d, status);
    }
}

static vr_status store(slot *at, const driver *d, va_outcome *outcome)
{
    va_outcome *place = va_ledger_at(d->ledger, at->task);
    const va_drive *drive = d->drive;
    outcome->tries = at->tries;
    const vr_status status = va_run_store(drive->campaign, drive->archive, at->task, outcome, at->folder, at->set,
                                          va_cores_to_json(drive->cores, drive->jobs, number_of(at, d)), place->done);
    if (status == VR_OK)
        *place = *outcome;
    return status;
}

static vr_status cannot_start(const driver *d, const va_keeper_report *report)
{
    return vr_fail_errno(report->start_error, "%s: cannot be %s",
                         report->no_directory ? d->drive->campaign->directory : d->drive->campaign->command[0],
                         report->no_directory ? "entered" : "run");
}

/* A keeper that somebody killed took its run along; what it had not yet finished to write is nothing to go by. */
static void judge_keeper(va_outcome *outcome, int status)
{
    const bool killed = WIFSIGNALED(status);
    va_outcome judged = {.done = true, .exit_code = -1, .signal = killed ? WTERMSIG(status) : SIGTERM};
    memcpy(judged.started, outcome->started, sizeof judged.started - 1);
    snprintf(judged.note, sizeof judged.note, "the process that watched over it was %s",
             killed ? "killed" : "told to end it");
    *outcome = judged;
}

static vr_status begin_again(driver *d, slot *at)
{
    at->again--;
    free_slot(at);
    return start(at, d);
}

/* A run is over. One that failed while the campaign is stopped may have done so for that reason: it is given up. */
static vr_status take_run(driver *d, slot *at, va_outcome *outcome)
{
    if (!va_outcome_is_ok(outcome) && d->stopping)
        return VR_OK;
    if (!va_outcome_is_ok(outcome) && at->again > 0)
        return begin_again(d, at);
    const vr_status status = store(at, d, outcome);
    if (status == VR_OK)
        va_run_progress_add(&d->progress, at->task, outcome);
    return status;
}

/* Who ends all processes of a job, as batch systems do, may reach a keeper first. */
static void look_for_signal(driver *d)
{
    sigset_t asked = d->signals;
    sigdelset(&asked, SIGCHLD);
    const int signal = sigtimedwait(&asked, NULL, &(struct timespec){0, TOLD_MS * 1000000});
    if (signal <= 0)
        return;
    d->signal = signal;
    stop(d);
}

/* A keeper has ended. */
static void end_run(driver *d, slot *at, int status)
{
    const va_keeper_report *report = &d->reports[number_of(at, d)];
    va_outcome outcome = report->outcome;
    vr_status result;
    at->keeper = 0;
    d->running--;
    if (!report->finished) {
        if (WIFEXITED(status) && !d->stopping)
            look_for_signal(d);
        judge_keeper(&outcome, status);
    }
    if (report->finished && report->start_error)
        result = cannot_start(d, report);
    else if (report->finished && *report->trouble)
        result = vr_fail(VR_ERROR_IO, "%s", report->trouble);
    else
        result = take_run(d, at, &outcome);
    if (!at->keeper) /* else it was begun again */
        free_slot(at);
    if (result != VR_OK)
        fail(d, result);
}

static void end_runs(driver *d)
{
    for (uint32_t i = 0; i < d->drive->jobs; i++) {
        int status;
        if (d->slots[i].keeper > 0 && waitpid(d->slots[i].keeper, &status, WNOHANG) == d->slots[i].keeper)
            end_run(d, &d->slots[i], status);
    }
}

/* ---- the driver ---- */

static void loop(driver *d)
{
    for (;;) {
        begin_runs(d);
        if (d->running == 0)
            return;
        va_run_progress_draw(&d->progress);
        const int signal = sigtimedwait(&d->signals, NULL, &(struct timespec){0, DRAW_MS * 1000000});
        if (signal > 0 && signal != SIGCHLD) {
            d->signal = signal;
            stop(d);
        }
        end_runs(d);
    }
}

static vr_status open_slots(driver *d)
{
    const uint32_t jobs = d->drive->jobs;
    d->slots = calloc(jobs, sizeof *d->slots);
    d->reports = mmap(NULL, jobs * sizeof *d->reports, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!d->slots || d->reports == MAP_FAILED)
        return vr_fail(VR_ERROR_MEMORY, "out of memory for %u runs at once", jobs);
    return VR_OK;
}

void va_drive_signals(sigset_t *out)
{
    sigemptyset(out);
    sigaddset(out, SIGCHLD);
    for (const int *s = (const int[]){SIGINT, SIGQUIT, SIGTERM, SIGHUP, 0}; *s; s++) {
        struct sigaction now;
        if (sigaction(*s, NULL, &now) == 0 && now.sa_handler != SIG_IGN)
            sigaddset(out, *s);
    }
}

void va_drive_block_signals(sigset_t *before)
{
    const struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t signals;
    sigaction(SIGCHLD, &usual, NULL); /* where it was ignored, there is no status to wait for */
    va_drive_signals(&signals);
    sigprocmask(SIG_BLOCK, &signals, before);
}

int va_drive_end_by(int signal, const sigset_t *before)
{
    fflush(NULL);
    sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    sigprocmask(SIG_SETMASK, before, NULL);
    raise(signal);
    return 128 + signal;
}

void va_drive_open_standard(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

vr_status va_drive_run(const va_drive *drive, va_ledger *ledger, const va_task *tasks, int *signal)
{
    driver d = {.drive = drive, .ledger = ledger, .tasks = tasks, .status = VR_OK};
    *signal = 0;
    d.status = open_slots(&d);
    if (d.status == VR_OK) {
        va_drive_signals(&d.signals);
        va_run_progress_begin(&d.progress, ledger, va_drive_count_due(drive, ledger), drive->verbose);
        loop(&d);
        va_run_progress_clear(&d.progress);
        *signal = d.signal;
        if (d.status != VR_OK)
            vr_fail(d.status, "%s", d.trouble ? d.trouble : "out of memory");
    }
    if (d.reports && d.reports != MAP_FAILED)
        munmap(d.reports, drive->jobs * sizeof *d.reports);
    free(d.slots);
    free(d.trouble);
    return d.status;
}
