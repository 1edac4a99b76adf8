/* archive_files.h - the files that 'varanalyze archive' is to put into an archive. */
#ifndef VA_ARCHIVE_FILES_H
#define VA_ARCHIVE_FILES_H

#include <varanalyze/archive.h>

typedef struct va_files {
    vr_addition *files; /* both names of each belong to it */
    uint64_t count;
} va_files;

/* Adds `operand`, as it stands in `directory` (NULL: here), or all that lies below it, sorted, when it is a directory;
 * links, devices and the archive itself are left out there, with a note on standard error. The name in the archive is
 * the operand's without "./"; one that is absolute or has ".." fails with VR_ERROR_ARGUMENT, a file that is not there
 * with VR_ERROR_IO. */
vr_status va_files_add(va_files *files, const char *directory, const char *operand, const char *archive);
void va_files_free(va_files *files);

/* Fails with VR_ERROR_UNSUPPORTED where the name is that of a compressed archive, to which nothing can be added. */
vr_status va_refuse_compressed(const char *archive);

#endif
