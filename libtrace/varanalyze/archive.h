/* archive.h - many files in one tar archive, read in place.
 *
 * Any tar archive can be read. One that this library wrote or added to also carries manifests: members that hold the
 * name, place, size and digest of each other member. With them a member is found without reading the archive from its
 * start, and damage is found to the byte. docs/archive-format.md describes them.
 *
 * A compressed archive (gzip, zstd, xz, lz4, bzip2) is decompressed when it is opened, to memory or, above a limit, to
 * a nameless file in $TMPDIR. It can be read, but not added to.
 */
#ifndef VARANALYZE_ARCHIVE_H
#define VARANALYZE_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>
#include <varanalyze/digest.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vr_archive vr_archive;

typedef struct vr_member {
    const char *name;
    char type;             /* as in tar: '0' regular file, '1' and '2' links, '5' directory, ... */
    bool sparse;           /* its contents cannot be read in place */
    bool has_digest;       /* it stands in a manifest */
    uint64_t offset, size; /* of the contents, in the file behind vr_archive_fd */
    vr_digest digest;      /* of the contents, as vr_digest_tensor of so many u8 */
    int64_t mtime;         /* seconds since 1970 */
    uint32_t mode;         /* permission bits */
} vr_member;

/* Called while an archive is decompressed or written, with bytes done and bytes in all. */
typedef void (*vr_archive_progress)(void *context, const char *name, uint64_t done, uint64_t total);

typedef struct vr_archive_options {
    uint64_t memory_limit; /* a decompressed archive above this goes to a file */
    vr_archive_progress progress;
    void *context;
} vr_archive_options;

#define VR_ARCHIVE_OPTIONS_INIT                                                                                        \
    {                                                                                                                  \
        (uint64_t)128 << 20, NULL, NULL                                                                                \
    }

/* Opens an archive for reading; `options` may be NULL. While an archive is open anywhere in the process, opening the
 * same file again shares what was read and decompressed. Fails with VR_ERROR_IO (not there, a directory, a FIFO),
 * VR_ERROR_FORMAT (no tar archive, a damaged one), VR_ERROR_MEMORY. */
VR_API vr_status vr_archive_open(vr_archive **out, const char *path, const vr_archive_options *options);

/* NULL is fine. */
VR_API void vr_archive_close(vr_archive *archive);

/* The member of that name, the last one if there are several; `name` may differ by leading "./". Members made by the
 * archive itself (manifests) are not found. `out->name` belongs to the archive. Fails with VR_ERROR_ARGUMENT when there
 * is none (the message names similar ones), VR_ERROR_FORMAT. */
VR_API vr_status vr_archive_find(vr_archive *archive, const char *name, vr_member *out);

/* All members in the archive's order, one that a later one of the same name replaces left out, manifests left out. The
 * array belongs to the archive. Fails with VR_ERROR_FORMAT, VR_ERROR_MEMORY. */
VR_API vr_status vr_archive_members(vr_archive *archive, const vr_member **out, uint64_t *count);

/* The uncompressed archive's bytes: members' offsets count from its start. The descriptor belongs to the archive. */
VR_API int vr_archive_fd(const vr_archive *archive);

/* A file to be added. */
typedef struct vr_addition {
    const char *path; /* read from here */
    const char *name; /* stored under this name: relative, without "..", UTF-8 without control characters */
} vr_addition;

typedef enum vr_taken {
    VR_TAKEN_REFUSE,  /* a name that is there already is an error; nothing is added */
    VR_TAKEN_REPLACE, /* the new member hides the old one */
    VR_TAKEN_NUMBER,  /* "run.h5" becomes "run-2.h5", the first number that is free */
} vr_taken;

/* Adds files to an archive, all or none, and makes the archive when there is none (`create`: it must not be there).
 * Safe against other processes that do the same, which wait, and against a crash at any moment: the archive then holds
 * what it held before, or all of the new members too. The new members' names are given to `added`, if it is not NULL:
 * `count` strings, the caller's to free. An archive by others is given a manifest of all its members, also where
 * `count` is 0. Contents of 4096 bytes and more begin at a multiple of 4096.
 * Fails with VR_ERROR_IO (a full disk; the archive is as it was), VR_ERROR_ARGUMENT (a name is taken or not allowed),
 * VR_ERROR_UNSUPPORTED (a compressed archive), VR_ERROR_FORMAT (no tar archive, a damaged one, another behind it).
 * `options` may be NULL.
 */
VR_API vr_status vr_archive_append(const char *path, const vr_addition *files, uint64_t count, vr_taken taken,
                                   bool create, char **added, const vr_archive_options *options);

/* Called for each thing that is wrong; `member` is "" for the archive itself. */
typedef void (*vr_archive_report)(void *context, const char *member, const char *what);

/* Reads all of an archive and holds every byte of it against its manifests: contents, headers and padding of members,
 * and the manifests themselves. `*bad` is how many members are wrong (manifests, and the archive itself, count as
 * members), `*unknown` how many stand in no manifest that is whole. Names and words of reports are as in the archive:
 * control characters too. Fails only where the archive could not be read; `options` may be NULL. */
VR_API vr_status vr_archive_verify(vr_archive *archive, vr_archive_report report, void *context, uint64_t *bad,
                                   uint64_t *unknown, const vr_archive_options *options);

/* Writes a member below `directory` (which must exist) under its own name, making folders as needed; written aside,
 * then renamed. Never leaves `directory`: absolute names, "..", and links in the way are refused with VR_ERROR_FORMAT;
 * links, devices and sparse members are not extracted (VR_ERROR_UNSUPPORTED). An existing file is kept, and the call
 * fails with VR_ERROR_ARGUMENT, unless `overwrite`. */
VR_API vr_status vr_archive_extract(vr_archive *archive, const vr_member *member, const char *directory,
                                    bool overwrite);

#ifdef __cplusplus
}
#endif
#endif
