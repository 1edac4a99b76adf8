#include "guard.h"

#include "command.h"

#include <hdf5.h>
#include <libtrace/isa.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Processor time that one step of the library may take. Most steps read some megabytes, and waiting for a slow disk or
 * network is no processor time. */
#define STEP_SECONDS 30

#define NAME_BYTES 1024

/* What the child tells the parent. It may die in the middle of writing here, so all strings keep their last zero. */
typedef struct page {
    atomic_ullong step; /* counted up */
    atomic_bool reading;
    char file[NAME_BYTES], object[NAME_BYTES], temporary[4 * NAME_BYTES];
} page;

static page *shared;
static uint64_t step_seconds = STEP_SECONDS;

static void put(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text ? text : "");
}

void va_guard_reading(const char *file, const char *object)
{
    if (!shared)
        return;
    atomic_fetch_add(&shared->step, 1);
    shared->reading = file != NULL;
    if (!file)
        return;
    put(shared->file, sizeof shared->file, file);
    put(shared->object, sizeof shared->object, object);
}

void va_guard_file(const char *file)
{
    va_guard_reading(file, NULL);
    va_guard_reading(NULL, NULL);
}

void va_guard_temporary(const char *path)
{
    if (shared)
        put(shared->temporary, sizeof shared->temporary, path);
}

/* So that a file which claims to hold what no machine could is out of memory in the library, not on the machine. */
static void limit_memory(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    const rlim_t half = (rlim_t)sysconf(_SC_PHYS_PAGES) / 2 * (rlim_t)sysconf(_SC_PAGESIZE);
    struct rlimit now;
    if (getrlimit(RLIMIT_DATA, &now) == 0 && now.rlim_cur > half) {
        now.rlim_cur = half;
        setrlimit(RLIMIT_DATA, &now);
    }
#endif
}

static uint64_t processor_seconds(pid_t child)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(child, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return 0;
    return (uint64_t)used.tv_sec;
}

/* Waits for the child, passes on the signals that are meant for it, and ends it when it hangs. */
static int watch(pid_t child, const sigset_t *signals, bool *hung)
{
    uint64_t step = 0, since = 0;
    int status;
    pid_t ended;
    while ((ended = waitpid(child, &status, WNOHANG)) == 0) {
        const int signal = sigtimedwait(signals, NULL, &(struct timespec){1, 0});
        if (signal > 0 && signal != SIGCHLD)
            kill(child, signal);
        const uint64_t used = processor_seconds(child), now = shared->step;
        if (now != step || !shared->reading) {
            step = now;
            since = used;
        } else if (used > since + step_seconds) {
            *hung = true;
            kill(child, SIGKILL);
        }
    }
    return ended == child ? status : -1;
}

static void print_place(void)
{
    fputs("varanalyze: ", stderr);
    va_print_text(stderr, *shared->file ? shared->file : "this command", sizeof shared->file);
    fputs(": ", stderr);
    if (*shared->object) {
        va_print_text(stderr, shared->object, sizeof shared->object);
        fputs(": ", stderr);
    }
}

/* Says what became of a child that a signal ended. A signal that a user or a pipe sends ends the parent as well. */
static int explain(int signal, bool hung)
{
    const bool is_crash = signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL ||
                          signal == SIGABRT || signal == SIGSYS || signal == SIGTRAP;
    if (*shared->temporary)
        unlink(shared->temporary);
    if (!is_crash && signal != SIGKILL) {
        struct sigaction fatal = {.sa_handler = SIG_DFL};
        sigset_t one;
        sigaction(signal, &fatal, NULL);
        sigemptyset(&one);
        sigaddset(&one, signal);
        sigprocmask(SIG_UNBLOCK, &one, NULL);
        raise(signal);
    }
    print_place();
    if (hung)
        fprintf(stderr, "the HDF5 library has not come back after %llu s: damaged, or made to do harm\n",
                (unsigned long long)step_seconds);
    else if (signal == SIGKILL)
        fputs("killed while this was read; was the machine out of memory?\n", stderr);
    else if (shared->reading)
        fprintf(stderr, "the HDF5 library crashed (%s): damaged, or made to do harm\n", strsignal(signal));
    else
        fprintf(stderr, "crashed (%s) after this was read: damaged, or a bug in varanalyze\n", strsignal(signal));
    return VA_TROUBLE;
}

static int supervise(pid_t child, const sigset_t *signals)
{
    bool hung = false;
    const int status = watch(child, signals, &hung);
    if (status != -1 && WIFEXITED(status))
        return WEXITSTATUS(status);
    return explain(status == -1 ? SIGKILL : WTERMSIG(status), hung);
}

/* VR_GUARD=off is for debuggers, VR_GUARD=SECONDS for filters that take their time. */
static bool is_wanted(void)
{
    const char *wish = getenv("VR_GUARD");
    char *end;
    const unsigned long long seconds = wish ? strtoull(wish, &end, 10) : 0;
    if (wish && *wish && !*end && seconds > 0)
        step_seconds = seconds;
    return !wish || strcmp(wish, "off") != 0;
}

int va_guard_run(int (*command)(int argc, char **argv), int argc, char **argv)
{
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || !is_wanted()) {
        shared = NULL;
        return command(argc, argv);
    }
    const struct sigaction usual = {.sa_handler = SIG_DFL};
    sigset_t signals, outer;
    sigaction(SIGCHLD, &usual, NULL); /* where it was ignored, there is no exit code to wait for */
    sigemptyset(&signals);
    for (const int *s = (const int[]){SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP, 0}; *s; s++)
        sigaddset(&signals, *s);
    sigprocmask(SIG_BLOCK, &signals, &outer);
    const pid_t parent = getpid(), child = fork();
    if (child > 0)
        return supervise(child, &signals);
    sigprocmask(SIG_SETMASK, &outer, NULL);
    if (child < 0) {
        shared = NULL;
        return command(argc, argv);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(VA_TROUBLE);
    limit_memory();
    vr_allow_threads();
    H5dont_atexit(); /* closing damaged files at the exit prints what nobody can use */
    exit(command(argc, argv));
}
