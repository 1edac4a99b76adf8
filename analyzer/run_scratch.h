/* run_scratch.h - the folder beside a campaign's archive in which runs write what will become its members.
 *
 * ARCHIVE.scratch belongs to one campaign that is being run: it is locked, what a killed one left in it is removed, and
 * it goes when the campaign's runs are done.
 */
#ifndef VA_RUN_SCRATCH_H
#define VA_RUN_SCRATCH_H

#include <varanalyze/status.h>

typedef struct va_scratch {
    char *path; /* absolute */
    int lock;   /* held by the processes that watch over runs, too, and so until the last of these is gone */
} va_scratch;

/* Fails with VR_ERROR_IO: cannot be made, is another's, or another process runs the campaign. Where one was killed and
 * its runs are still being ended, waits for that. */
vr_status va_scratch_open(va_scratch *out, const char *archive);

/* Removes it. Zeros are fine. */
void va_scratch_close(va_scratch *scratch);

/* The absolute path of something in it; the caller's. NULL when there is no memory. */
char *va_scratch_path(const va_scratch *scratch, const char *name);

/* Makes an empty folder in it. The path is the caller's. */
vr_status va_scratch_folder(char **out, const va_scratch *scratch, const char *name);

/* Removes a file, or a folder with all that is in it. */
void va_scratch_remove(const char *path);

/* The absolute path of an archive that need not exist, links followed: so one archive has one scratch folder. Fails
 * with VR_ERROR_IO (no folder for it), VR_ERROR_ARGUMENT (no file's name). The string is the caller's. */
vr_status va_archive_place(char **out, const char *archive);

#endif
