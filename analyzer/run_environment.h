/* run_environment.h - what a run of a campaign is told: its environment variables.
 *
 * A run sees the environment that varanalyze was started in, but of the variables that say how a program runs (VR_*,
 * OMP_*, GOMP_*, KMP_*) only those of the campaign: those it sets for each run, and those that were set when it began.
 */
#ifndef VA_RUN_ENVIRONMENT_H
#define VA_RUN_ENVIRONMENT_H

#include "campaign.h"

#include <stdio.h>

/* Makes the campaign's variables from the environment and from `given`, "NAME=VALUE" each, which win. Says on standard
 * error which of the environment are not used since the campaign sets them. Fails with VR_ERROR_ARGUMENT. */
vr_status va_variables_choose(va_campaign *campaign, char *const *given, size_t count);

/* Says on standard error where the environment differs from that of a campaign that is to go on. */
void va_variables_compare(const va_campaign *campaign);

/* Whether the campaign's variables have the name. */
bool va_variables_have(const va_campaign *campaign, const char *name);

/* The variables that are set for a run, NULL at the end, for va_strings_free; `trace`: VR_TRACE. NULL when there is no
 * memory. */
char **va_run_variables(const va_campaign *campaign, va_task task, const char *trace);

/* The run's whole environment; its strings belong to `set` and to the environment. NULL when there is no memory. */
char **va_run_environment(char *const *set);

/* Whether the command can be run where the campaign runs; fails with VR_ERROR_IO when it is not found. */
vr_status va_command_check(const va_campaign *campaign);

/* A word as a shell reads it back. */
void va_print_word(FILE *out, const char *word);

/* The run as a line for a shell: "cd DIR && env -u NAME NAME=VALUE ... command". */
void va_run_print(FILE *out, const va_campaign *campaign, char *const *set);

#endif
