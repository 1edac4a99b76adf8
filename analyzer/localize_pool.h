/* localize_pool.h - several programs at once, each watched over by a keeper (run_keeper.h), on cores of its own. */
#ifndef VA_LOCALIZE_POOL_H
#define VA_LOCALIZE_POOL_H

#include "run_cores.h"
#include "run_keeper.h"
#include "run_scratch.h"

typedef struct va_seat {
    pid_t keeper; /* 0: free */
    char *folder; /* of the run; the owner of the pool removes it */
    char **words, **variables, **environment;
    va_keeper_report *report; /* shared with the keeper */
    cpu_set_t cores;
    bool pinned;
} va_seat;

typedef struct va_pool {
    const va_scratch *scratch;
    const char *directory;  /* where programs run */
    const sigset_t *before; /* of va_drive_block_signals */
    sigset_t signals;
    va_seat *seats;
    va_keeper_report *reports;
    uint32_t jobs, running;
    bool stopping;
    int signal; /* that has stopped it; 0: none */
} va_pool;

/* `out` has scratch, directory and before. Fails with VR_ERROR_MEMORY. */
vr_status va_pool_open(va_pool *out, const va_cores *cores, uint32_t jobs);

/* Kills what is running. */
void va_pool_close(va_pool *pool);

/* Starts a program on a free seat: `words` and `variables`, NULL at the end, are taken over, also on failure; it is
 * killed after `timeout` seconds, 0: never. What it writes goes to "out" and "err" in `folder`. Fails with VR_ERROR_IO,
 * VR_ERROR_MEMORY. */
vr_status va_pool_start(va_pool *pool, va_seat *seat, const char *folder, char **words, char **variables,
                        double timeout);

/* Waits until a program ends, a signal comes, or a quarter of a second has passed. NULL: no program has ended. A seat
 * is free then, and its report holds. A first signal tells programs to end, a second one kills them. */
va_seat *va_pool_wait(va_pool *pool);

/* Kills what is running; va_pool_wait returns the seats as they end. */
void va_pool_stop(va_pool *pool, int signal);

#endif
