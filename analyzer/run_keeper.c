#include "run_keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <formats/fail.h>
#include <formats/io.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <varanalyze/trace.h>

#define LOOK_MS      100 /* between looks at the time and at the outputs */
#define STOP_SECONDS 5   /* from SIGTERM to SIGKILL */
#define TOLD_MS      200 /* for a signal to get to the keeper that has got to the command */
#define LEFT_MS      50  /* for what a run leaves behind to end by itself, as the end of a pipeline does */
#define LEFT_SECONDS 1   /* and from SIGTERM to SIGKILL after that */

typedef struct keeper {
    const va_keeper_task *task;
    va_keeper_report *report;
    pid_t main; /* the command */
    sigset_t signals;
    struct sigaction before[2]; /* what SIGINT and SIGTERM did */
    bool ended, childless, discard;
    double kill_at; /* 0: nobody has been told to stop */
    double started;
    int outputs[2];
    bool cut[2]; /* there was more */
} keeper;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- the run's processes ---- */

static void become_command(const keeper *k, pid_t parent)
{
    const va_keeper_task *task = k->task;
    const int nothing = open("/dev/null", O_RDONLY);
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(127);
    sigaction(SIGINT, &k->before[0], NULL);
    sigaction(SIGTERM, &k->before[1], NULL);
    dup2(nothing, STDIN_FILENO);
    dup2(k->outputs[0], STDOUT_FILENO);
    dup2(k->outputs[1], STDERR_FILENO);
    if (nothing > STDERR_FILENO)
        close(nothing);
    k->report->no_directory = chdir(task->directory) != 0;
    if (!k->report->no_directory) {
        sigprocmask(SIG_SETMASK, task->mask, NULL);
        environ = (char **)task->environment;
        execvp(task->command[0], task->command);
    }
    k->report->start_error = errno;
    _exit(127);
}

static void reap(keeper *k)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        va_outcome *outcome = &k->report->outcome;
        if (pid != k->main)
            continue;
        k->ended = true;
        outcome->seconds = now() - k->started;
        outcome->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        outcome->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    k->childless = pid < 0 && errno == ECHILD;
}

/* Whether a process is a child of this one that has not ended. */
static bool is_child(const char *number)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%.20s/stat", number);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[size > 0 ? size : 0] = 0;
    const char *after = strrchr(text, ')'); /* "12 (a name) S 1 ..." */
    char state;
    long parent;
    return after && sscanf(after + 1, " %c %ld", &state, &parent) == 2 && state != 'Z' && parent == (long)getpid();
}

/* Signals all children; how many. What has lost its parent is a child of the keeper's, in whatever session it is. */
static uint32_t signal_children(int signal)
{
    uint32_t count = 0;
    DIR *processes = opendir("/proc");
    for (struct dirent *entry; processes && (entry = readdir(processes));)
        if (*entry->d_name >= '1' && *entry->d_name <= '9' && is_child(entry->d_name))
            count += kill((pid_t)strtol(entry->d_name, NULL, 10), signal) == 0;
    if (processes)
        closedir(processes);
    return count;
}

static int wait_ms(const keeper *k, long ms)
{
    return sigtimedwait(&k->signals, NULL, &(struct timespec){ms / 1000, ms % 1000 * 1000000});
}

/* Who ends all processes of a job at once, as batch systems do, may reach the command first: then it is the campaign
 * that ends, and not the run that failed. */
static void look_for_stop(keeper *k)
{
    const va_outcome *outcome = &k->report->outcome;
    const double until = now() + TOLD_MS / 1e3;
    while (outcome->signal && !outcome->timed_out && !k->discard && now() < until) {
        const int signal = wait_ms(k, TOLD_MS);
        k->discard = signal == SIGTERM || signal == SIGINT;
    }
}

/* Ends what the command has left running. */
static void end_rest(keeper *k)
{
    const bool at_once = k->kill_at > 0;
    reap(k);
    for (const double until = now() + LEFT_MS / 1e3; !k->childless && !at_once && now() < until; reap(k))
        wait_ms(k, LEFT_MS);
    if (!k->childless && !at_once)
        k->report->outcome.left = signal_children(SIGTERM);
    for (const double start = now(); !k->childless; reap(k)) {
        if (at_once || now() > start + LEFT_SECONDS)
            signal_children(SIGKILL);
        if (wait_ms(k, 10) == SIGINT)
            k->discard = true;
    }
}

/* ---- time and outputs ---- */

/* Signals the command and its group, which it may not have made yet. */
static void signal_group(const keeper *k, int signal)
{
    if (kill(-k->main, signal) != 0)
        kill(k->main, signal);
}

static void stop(keeper *k, bool kill_now)
{
    if (kill_now)
        k->kill_at = now();
    else if (k->kill_at == 0)
        k->kill_at = now() + STOP_SECONDS;
    signal_group(k, kill_now ? SIGKILL : SIGTERM);
}

/* What is appended after this lies behind the cut; how much that is, nobody knows. */
static void bound_outputs(keeper *k)
{
    for (int i = 0; i < 2; i++) {
        struct stat file;
        if (fstat(k->outputs[i], &file) != 0 || (uint64_t)file.st_size <= VA_OUTPUT_MOST)
            continue;
        k->cut[i] = ftruncate(k->outputs[i], (off_t)VA_OUTPUT_MOST) == 0 || k->cut[i];
    }
}

static void watch(keeper *k)
{
    while (!k->ended) {
        const int signal = wait_ms(k, LOOK_MS);
        reap(k);
        bound_outputs(k);
        if (k->ended)
            return;
        if (signal == SIGTERM || signal == SIGINT) {
            k->discard = true;
            stop(k, signal == SIGINT);
        } else if (k->kill_at > 0 && now() > k->kill_at) {
            signal_group(k, SIGKILL);
        } else if (k->kill_at == 0 && k->task->timeout > 0 && now() > k->started + k->task->timeout) {
            k->report->outcome.timed_out = true;
            stop(k, false);
        }
    }
}

/* Text without what a terminal would obey, control characters of one byte or two (U+0080 to U+009F): '?' in their
 * place, and in that of all that is not ASCII where it is not UTF-8. `out` has room for `length` bytes and a zero. */
static void put_plain(char *out, const char *text, size_t length)
{
    json_t *utf8 = json_stringn(text, length);
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)text[i];
        const bool is_long = utf8 && c == 0xc2 && (unsigned char)text[i + 1] < 0xa0;
        *out++ = is_long || c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8) ? '?' : (char)c;
        i += is_long;
    }
    *out = 0;
    json_decref(utf8);
}

/* The last line that is not empty, as plain text. */
static void keep_last_line(char *out, size_t room, int fd, uint64_t size)
{
    char text[4096];
    const uint64_t from = size > sizeof text ? size - sizeof text : 0;
    ssize_t end = vr_read_whole(fd, text, (size_t)(size - from), from);
    while (end > 0 && (text[end - 1] == '\n' || text[end - 1] == '\r' || text[end - 1] == ' '))
        end--;
    ssize_t begin = end > 0 ? end : 0;
    while (begin > 0 && text[begin - 1] != '\n')
        begin--;
    size_t length = end > begin ? (size_t)(end - begin) : 0;
    if (length >= room)
        length = room - 1;
    for (int i = 0; i < 3 && length > 0 && begin + (ssize_t)length < end; i++) /* whole characters */
        length -= (text[begin + (ssize_t)length] & 0xc0) == 0x80;
    put_plain(out, text + begin, length);
}

static void measure_outputs(keeper *k)
{
    va_outcome *outcome = &k->report->outcome;
    bound_outputs(k);
    for (int i = 0; i < 2; i++) {
        struct stat file = {0};
        fstat(k->outputs[i], &file);
        outcome->output_bytes[i] = (uint64_t)file.st_size;
        if (k->cut[i])
            va_outcome_note(outcome, "standard %s was cut at 64 MiB", i ? "error" : "output");
        if (i == 1)
            keep_last_line(outcome->error_line, sizeof outcome->error_line, k->outputs[1], (uint64_t)file.st_size);
    }
}

static void measure_usage(va_outcome *outcome)
{
    struct rusage used;
    getrusage(RUSAGE_CHILDREN, &used);
    outcome->user_seconds = (double)used.ru_utime.tv_sec + (double)used.ru_utime.tv_usec / 1e6;
    outcome->system_seconds = (double)used.ru_stime.tv_sec + (double)used.ru_stime.tv_usec / 1e6;
    outcome->peak_bytes = (uint64_t)used.ru_maxrss * 1024;
}

/* ---- traces ---- */

/* A journal that is no whole one leaves no trace; a full disk is no reason to lose one. */
static void note_failure(keeper *k, vr_status status)
{
    if (status == VR_ERROR_IO || status == VR_ERROR_MEMORY) {
        snprintf(k->report->trouble, sizeof k->report->trouble, "%s", vr_error());
        return;
    }
    const char *why = strstr(vr_error(), ": "); /* behind the path, which is gone soon */
    va_outcome_note(&k->report->outcome, "no trace could be made of what the run left%s", why ? why : "");
}

/* Completes the trace whose journal is at `path`, as vr_run_close would have; beside a trace that is there, under
 * another name. */
static void recover(keeper *k, const char *path)
{
    vr_trace *trace;
    char target[4096 + 64];
    const int stem = (int)(strlen(path) - strlen(".h5.journal"));
    snprintf(target, sizeof target, "%.*s.h5", stem, path);
    for (int i = 2; access(target, F_OK) == 0; i++)
        snprintf(target, sizeof target, "%.*s-%d.h5", stem, path, i);
    vr_status status = vr_trace_open(&trace, path);
    if (status == VR_OK) {
        status = vr_trace_write(trace, target);
        vr_trace_close(trace);
    }
    if (status == VR_OK)
        k->report->outcome.recovered = true;
    else
        note_failure(k, status);
}

static void recover_all(keeper *k)
{
    char *traces, *path;
    if (asprintf(&traces, "%s/" VA_TRACE_FOLDER, k->task->folder) < 0)
        return;
    DIR *folder = opendir(traces);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        if (fnmatch("?*.h5.journal", entry->d_name, 0) != 0 || asprintf(&path, "%s/%s", traces, entry->d_name) < 0)
            continue;
        recover(k, path);
        unlink(path);
        free(path);
    }
    if (folder)
        closedir(folder);
    free(traces);
}

/* ---- the keeper ---- */

static int open_output(va_keeper_report *report, const va_keeper_task *task, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", task->folder, name) < 0)
        return -1;
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) {
        vr_fail_errno(errno, "%s: cannot create", path);
        snprintf(report->trouble, sizeof report->trouble, "%s", vr_error());
    }
    free(path);
    return fd;
}

/* Signals are waited for, also those that whoever started varanalyze ignores. */
static void prepare(keeper *k)
{
    const struct sigaction usual = {.sa_handler = SIG_DFL};
    sigemptyset(&k->signals);
    for (const int *s = (const int[]){SIGCHLD, SIGINT, SIGTERM, 0}; *s; s++)
        sigaddset(&k->signals, *s);
    sigprocmask(SIG_BLOCK, &k->signals, NULL);
    sigaction(SIGINT, &usual, &k->before[0]);
    sigaction(SIGTERM, &usual, &k->before[1]);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (k->task->cores)
        sched_setaffinity(0, sizeof *k->task->cores, k->task->cores);
}

static bool start(keeper *k)
{
    va_outcome *outcome = &k->report->outcome;
    const time_t wall = time(NULL);
    struct tm utc;
    strftime(outcome->started, sizeof outcome->started, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&wall, &utc));
    for (int i = 0; i < 2; i++)
        if ((k->outputs[i] = open_output(k->report, k->task, i ? "err" : "out")) < 0)
            return false;
    const pid_t self = getpid();
    k->started = now();
    k->main = fork();
    if (k->main == 0)
        become_command(k, self);
    return k->main > 0;
}

static void keep(va_keeper_report *report, const va_keeper_task *task, pid_t driver)
{
    keeper k = {.task = task, .report = report};
    setpgid(0, 0); /* Ctrl-C is for the driver */
    prctl(PR_SET_PDEATHSIG, SIGINT);
    prepare(&k);
    if (getppid() != driver)
        _exit(1);
    if (!start(&k)) {
        report->start_error = *report->trouble ? 0 : errno;
    } else {
        watch(&k);
        look_for_stop(&k);
        end_rest(&k);
        measure_usage(&report->outcome);
        measure_outputs(&k);
        if (!k.discard)
            recover_all(&k);
    }
    report->outcome.done = true;
    report->finished = !k.discard;
    _exit(0);
}

pid_t va_keeper_start(va_keeper_report *report, const va_keeper_task *task)
{
    const pid_t driver = getpid();
    *report = (va_keeper_report){0};
    const pid_t child = fork();
    if (child == 0)
        keep(report, task, driver);
    return child;
}
