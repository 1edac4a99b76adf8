/* run_driver.h - does the runs of a campaign that are not done. */
#ifndef VA_RUN_DRIVER_H
#define VA_RUN_DRIVER_H

#include "campaign.h"
#include "run_cores.h"
#include "run_scratch.h"

#include <signal.h>

/* Blocks the signals that va_drive_run waits for, which are those that are not ignored; `*before`: what was blocked. */
void va_drive_block_signals(sigset_t *before);

/* These signals and SIGCHLD; not what is ignored, as nohup has it. */
void va_drive_signals(sigset_t *out);

/* Ends the process as the signal would have ended it; 128 + signal where it is blocked. */
int va_drive_end_by(int signal, const sigset_t *before);

/* Files that are opened later do not take the place of a closed standard input or output. */
void va_drive_open_standard(void);

typedef struct va_drive {
    const va_campaign *campaign;
    const char *archive;
    const va_scratch *scratch;
    const va_cores *cores;
    uint32_t jobs;     /* runs at once */
    uint32_t retries;  /* further tries of a run that fails */
    bool retry_failed; /* runs that have failed are due, too */
    bool verbose;
    double timeout;         /* of a run, in seconds; 0: none */
    const sigset_t *before; /* of va_drive_block_signals: as signals are in a run */
} va_drive;

/* Whether a run is to be done. */
bool va_drive_is_due(const va_drive *drive, const va_outcome *outcome);

/* How many runs of the ledger are. */
uint64_t va_drive_count_due(const va_drive *drive, const va_ledger *ledger);

/* Does what is due, `jobs` at once, in the order of `tasks`, a campaign's; each goes to the archive and the ledger when
 * it ends. A signal (SIGINT, SIGTERM, SIGHUP, SIGQUIT) ends it: `*signal` is its number, else 0; runs that are under
 * way are given up, at once with a second signal. A failure does the same: VR_ERROR_IO (the command cannot be started,
 * the archive or the scratch folder cannot be written), VR_ERROR_MEMORY. */
vr_status va_drive_run(const va_drive *drive, va_ledger *ledger, const va_task *tasks, int *signal);

#endif
