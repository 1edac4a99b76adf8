/* cmd_run.h - the command line of 'varanalyze run'. */
#ifndef VA_CMD_RUN_H
#define VA_CMD_RUN_H

#include "campaign.h"
#include "command.h"
#include "run_cores.h"

#define VA_JOBS_MOST 1024

/* A list of words from the command line, which keeps them. */
typedef struct va_words {
    char **words;
    size_t count;
} va_words;

/* Zeros and NULL: not given. */
typedef struct va_run_settings {
    const char *archive;
    const char *vary, *hold, *kernels, *rounding, *level, *filter, *report;
    va_words conditions, variables;
    char **command; /* NULL at the end */
    uint64_t seed, runs, jobs, retries;
    double timeout;
    va_format format;
    bool resume, retry_failed, dry_run, verbose, help;
    const char *defines; /* the last option that says what the campaign is */
} va_run_settings;

/* Reads the command line; what cannot be fails with VR_ERROR_ARGUMENT, and "" as the message where getopt has said it.
 */
vr_status va_run_settings_read(va_run_settings *out, int argc, char **argv);
void va_run_settings_free(va_run_settings *settings);

/* The campaign that the settings define, to be run here. Fails with VR_ERROR_ARGUMENT, VR_ERROR_IO (no working
 * directory), VR_ERROR_MEMORY; `out` is then empty. */
vr_status va_run_settings_campaign(va_campaign *out, const va_run_settings *settings, const va_cores *cores);

#endif
