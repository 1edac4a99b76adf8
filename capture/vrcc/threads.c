/* The streams of threads. A thread that the program itself starts (pthread_create, whose calls vrcc hands to
 * vrcc_thread_create) has its stream from its creator's and from how many that one had created before: from the path by
 * which it came to be, whatever the others are doing at the time. A thread of OpenMP's outermost team has it from its
 * number there. Threads of other origin take theirs as they come. */
#include "settings.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* What a thread begins with, and what its children get. */
typedef struct origin {
    uint64_t path; /* 0: the first thread's, or not known */
    uint64_t children;
    bool is_known, has_stream;
    vr_stream stream;
} origin;

static _Thread_local origin own;
static uint64_t strangers;
static uint64_t teams[4]; /* bits of the numbers in a team that have a stream */

/* Where there is OpenMP. */
extern int omp_get_level(void) __attribute__((weak));
extern int omp_get_thread_num(void) __attribute__((weak));

enum origin_kind { BY_CREATION = 1, IN_TEAM, STRANGER, BY_FORK };

static uint64_t path_of(uint64_t parent, enum origin_kind kind, uint64_t number)
{
    return vr_mix64(vr_mix64(parent + (uint64_t)kind * VR_PAIR_STEP) + (number + 1) * VR_BLOCK_STEP);
}

/* A thread's number in the outermost team; that is a name for one thread only, so the second to have it has none. */
static bool is_first_in_team(int number)
{
    const int word = number / 64;
    if (number < 1 || word >= (int)(sizeof teams / sizeof *teams))
        return false;
    const uint64_t bit = UINT64_C(1) << (number % 64);
    return (__atomic_fetch_or(&teams[word], bit, __ATOMIC_RELAXED) & bit) == 0;
}

/* The path of a thread that no instrumented code has created. The first of a process has path 0, and is the one that
 * runs the constructors. */
static uint64_t found_path(void)
{
    const bool in_team = omp_get_level && omp_get_thread_num && omp_get_level() == 1;
    const int number = in_team ? omp_get_thread_num() : 0;
    if (is_first_in_team(number))
        return path_of(0, IN_TEAM, (uint64_t)number);
    return path_of(0, STRANGER, __atomic_fetch_add(&strangers, 1, __ATOMIC_RELAXED));
}

static origin *known_own(void)
{
    if (!own.is_known) {
        own.path = found_path();
        own.is_known = true;
    }
    return &own;
}

void vrcc_first_thread(void)
{
    own.is_known = true;
}

vr_stream *vrcc_stream(void)
{
    if (!own.has_stream) {
        own.stream = vr_stream_at(vrcc_self.stream_key, known_own()->path);
        own.has_stream = true;
    }
    return &own.stream;
}

/* ---- threads that are created ---- */

typedef struct beginning {
    void *(*routine)(void *);
    void *argument;
    uint64_t path;
} beginning;

static void *begin(void *context)
{
    const beginning b = *(beginning *)context;
    free(context);
    own.path = b.path;
    own.is_known = true;
    return b.routine(b.argument);
}

int vrcc_thread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*routine)(void *), void *argument)
{
    beginning *b = malloc(sizeof *b);
    if (!b)
        return EAGAIN;
    origin *parent = known_own();
    *b = (beginning){routine, argument, path_of(parent->path, BY_CREATION, parent->children)};
    const int error = pthread_create(thread, attributes, begin, b);
    if (error)
        free(b);
    else
        parent->children++;
    return error;
}

/* ---- processes: parent and child go on with different streams ---- */

static uint64_t forks;

static void before_fork(void)
{
    __atomic_fetch_add(&forks, 1, __ATOMIC_RELAXED);
}

static void in_child(void)
{
    own.path = path_of(known_own()->path, BY_FORK, forks);
    own.children = 0;
    own.has_stream = false;
    vrcc_forget_counts();
}

void vrcc_watch_forks(void)
{
    pthread_atfork(before_fork, NULL, in_child);
}
