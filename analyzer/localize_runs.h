/* localize_runs.h - what a program is told in a run of a search. */
#ifndef VA_LOCALIZE_RUNS_H
#define VA_LOCALIZE_RUNS_H

#include "localize_folder.h"

typedef enum va_run_kind {
    VA_RUN_REFERENCE,
    VA_RUN_COUNT, /* without noise, too; it leaves tables of what it executes in the folder "counts" */
    VA_RUN_NOISY, /* everything is rounded, and counted */
    VA_RUN_TRIAL, /* only what stands in the file "only" is rounded */
} va_run_kind;

/* The words of the command, '{}' in them the folder of the run; NULL at the end, the caller's. NULL when there is no
 * memory. */
char **va_localize_words(const va_localize_task *task, const char *folder);

/* The variables that are set; va_strings_free. `replicas`: the program takes its seed by VR_REPLICA, and VR_SEED
 * stays the same; else VR_SEED is the task's plus `sample`. NULL when there is no memory. */
char **va_localize_variables(const va_localize_task *task, const char *folder, va_run_kind kind, uint32_t sample,
                             bool replicas);

/* The seed of a run. */
uint64_t va_localize_seed(const va_localize_task *task, uint32_t sample, bool replicas);

/* The check as a command for a shell, and what it is told: where the reference and the run are. */
char **va_check_words(const va_localize_task *task);
char **va_check_variables(const va_localize_task *task, const char *reference, const char *folder);

#endif
