/* localize.h - finds the functions, and their lines, whose rounding makes the result of a program unstable.
 *
 * The program is compiled by vrcc. It is run without noise (the reference), run once more to be counted, and then again
 * and again with the arithmetic of some functions rounded at random, as VR_ROUNDING_ONLY says, until the plan
 * (localize_plan.h) knows enough. What is done stands in a folder (localize_folder.h), from which a search that was
 * interrupted goes on.
 */
#ifndef VA_LOCALIZE_H
#define VA_LOCALIZE_H

#include "localize_folder.h"
#include "localize_plan.h"
#include "run_cores.h"

#include <signal.h>

typedef struct va_localize_options {
    const va_localize_task *task;
    const va_cores *cores;
    const sigset_t *before; /* of va_drive_block_signals */
    uint32_t jobs;          /* programs at once */
    uint32_t samples;       /* runs of a set that is taken for stable */
    double at_least;        /* bits; negative: half of the precision */
    bool lines, verbose;
} va_localize_options;

/* Searches. `*verdict`: VA_STABLE, VA_UNSTABLE, or VA_UNKNOWN when a signal, `*signal`, has stopped it. Fails with
 * VR_ERROR_ARGUMENT (the program is not deterministic by itself; is not compiled by vrcc; does not end as it should),
 * VR_ERROR_FORMAT (there is nothing to compare), VR_ERROR_IO, VR_ERROR_MEMORY. */
vr_status va_localize(va_localized *out, va_verdict *verdict, int *signal, va_localize_folder *folder,
                      const va_localize_options *options);

/* What is searched, how, and what has come of it: what a report needs. */
typedef struct va_localize_report {
    const va_localize_folder *folder;
    const va_localize_options *options;
    const va_localized *localized;
    bool unstable;
} va_localize_report;

/* In three formats (localize_render.c); csv: a row for each function. */
void va_localize_text(FILE *out, const va_localize_report *report);
json_t *va_localize_json(const va_localize_report *report);
void va_localize_csv(FILE *out, const va_localize_report *report);

/* Draws what each function leaves, alone and without it, as `path` (localize_plot.c); see plot.h for how it fails. */
vr_status va_localize_plot(const va_localize_report *report, const char *path);

#endif
