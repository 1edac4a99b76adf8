/* localize_folder.h - what a search is of, and the folder that it keeps.
 *
 * FOLDER holds localize.json (what is searched, so that a folder of another search is refused), counts.tsv (what the
 * program executes), reference/ (what it produces without noise), runs.jsonl (localize_journal.h) and, while runs are
 * under way, runs.scratch/. Nothing of a run is kept but its line in runs.jsonl.
 */
#ifndef VA_LOCALIZE_FOLDER_H
#define VA_LOCALIZE_FOLDER_H

#include "campaign.h"
#include "localize_journal.h"
#include "localize_sites.h"
#include "run_scratch.h"

/* What is searched; all strings are its own. Zeros are an empty one. */
typedef struct va_localize_task {
    va_campaign program; /* command, directory, variables, seed, rounding, threads, timeout; one condition */
    char **outputs;      /* globs, NULL at the end */
    char *check;         /* command for a shell; "": none */
    char *type;          /* name of an element type; "": none */
    double floor;
} va_localize_task;

void va_localize_task_free(va_localize_task *task);

typedef struct va_localize_folder {
    char *path; /* absolute */
    va_scratch scratch;
    va_journal journal;
    va_counted counted; /* empty until the reference is done */
} va_localize_folder;

/* Opens `path`, which is made when it is not there, for `task`; or, where that has no command, reads it there. Threads
 * of a search that goes on are those it began with. Fails with VR_ERROR_ARGUMENT (another search's; of something else),
 * VR_ERROR_IO, VR_ERROR_FORMAT, VR_ERROR_VERSION, VR_ERROR_MEMORY. */
vr_status va_localize_folder_open(va_localize_folder *out, const char *path, va_localize_task *task);
void va_localize_folder_close(va_localize_folder *folder);

/* The reference is done: its folder becomes "reference", and what is counted stands in counts.tsv. */
vr_status va_localize_folder_settle(va_localize_folder *folder, const char *reference_folder,
                                    const va_reference *reference);

/* The path of something in the folder; the caller's. NULL when there is no memory. */
char *va_localize_path(const va_localize_folder *folder, const char *name);

#endif
