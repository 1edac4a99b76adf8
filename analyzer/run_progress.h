/* run_progress.h - how far a campaign is, on standard error. */
#ifndef VA_RUN_PROGRESS_H
#define VA_RUN_PROGRESS_H

#include "campaign.h"

/* Start with va_run_progress_begin. */
typedef struct va_run_progress {
    const va_ledger *ledger;
    uint64_t due, done; /* in this session */
    double start, drawn;
    bool is_terminal, verbose, is_drawn;
} va_run_progress;

/* `due`: runs that are to be done now. `verbose`: a line for each that ends. */
void va_run_progress_begin(va_run_progress *out, const va_ledger *ledger, uint64_t due, bool verbose);

/* A run has ended. */
void va_run_progress_add(va_run_progress *progress, va_task task, const va_outcome *outcome);

/* Draws the line, if there is a terminal and it is time. */
void va_run_progress_draw(va_run_progress *progress);

/* Takes the line away. */
void va_run_progress_clear(va_run_progress *progress);

/* "about 40 s", "about 3 min", "about 2 h 10 min", "about 3 days". */
#define VA_DURATION_TEXT 48
const char *va_duration_text(char out[VA_DURATION_TEXT], double seconds);

#endif
