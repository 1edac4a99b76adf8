/* run_render.h - what 'varanalyze run' says at its end: how the runs of a campaign went. */
#ifndef VA_RUN_RENDER_H
#define VA_RUN_RENDER_H

#include "campaign.h"
#include "command.h"

/* Of the runs of a condition that are done. */
typedef struct va_condition_sum {
    uint64_t done, failed;
    double median, least, most; /* seconds, of those that went well; 0: there are none */
} va_condition_sum;

/* Sums of each condition: an array of the caller's. */
vr_status va_ledger_sum(va_condition_sum **out, const va_ledger *ledger);

/* `archive`: its path. */
vr_status va_ledger_print(FILE *out, const va_ledger *ledger, const char *archive, va_format format);

#endif
