/* run_keeper.h - one run of a campaign, watched over by a process of its own.
 *
 * The keeper starts the command in a session of its own, sees to its time and the size of its output, ends whatever the
 * command leaves running, also what has made itself a daemon, and completes the trace of a run that was killed. When
 * the process that started it dies, it ends the run at once: nothing of a campaign outlives it.
 *
 * A run's folder gets: out, err (what it wrote). Its traces are in the folder "trace" in it, of which alone the run is
 * told.
 */
#ifndef VA_RUN_KEEPER_H
#define VA_RUN_KEEPER_H

#include "campaign.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/types.h>

#define VA_TRACE_FOLDER "trace"
#define VA_OUTPUT_MOST  ((uint64_t)64 << 20) /* bytes kept of each of a run's two outputs */

typedef struct va_keeper_task {
    char *const *command, *const *environment; /* NULL at the end */
    const char *directory, *folder;
    const cpu_set_t *cores; /* NULL: any */
    double timeout;         /* seconds; 0: none */
    const sigset_t *mask;   /* signals that are blocked in the run */
} va_keeper_task;

/* What the keeper says, in memory that is shared with it. */
typedef struct va_keeper_report {
    atomic_bool finished; /* the run is over, and what follows holds */
    int start_error;      /* errno of a command that could not be started */
    bool no_directory;    /* since its directory could not be entered */
    char trouble[512];    /* why its outputs could not be made, or its trace not be completed that could be later: a
                             full disk; "": they could */
    va_outcome outcome;
} va_keeper_report;

/* Starts a run. The calling process has SIGINT, SIGTERM and SIGCHLD blocked, or ignores them. SIGTERM tells the keeper
 * to end the run, SIGINT to kill it; it is then not finished, unless it had ended by itself. -1, and errno, when there
 * can be no process. */
pid_t va_keeper_start(va_keeper_report *report, const va_keeper_task *task);

#endif
