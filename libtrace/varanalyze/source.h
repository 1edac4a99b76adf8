/* source.h - a file wherever it lies: a path, a compressed file, or a member of a tar archive.
 *
 *     run1.h5                    a file
 *     run1.h5.zst                one compressed with gzip, zstd, xz, lz4 or bzip2, decompressed when it is opened
 *     runs.tar:run1.h5           a member of an archive, read in place
 *     runs.tar.gz:run1.h5        the same of a compressed one, decompressed when it is opened
 *
 * A path that exists as it is written is always the file, colons or not. Otherwise the shortest prefix before a colon
 * that is a file is the archive.
 */
#ifndef VARANALYZE_SOURCE_H
#define VARANALYZE_SOURCE_H

#include <varanalyze/archive.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes [offset, offset + size) of `fd`. All of it belongs to the source. */
typedef struct vr_source {
    char *name; /* as it was asked for */
    int fd;
    uint64_t offset, size;
    vr_archive *archive; /* NULL: a file by itself */
} vr_source;

/* Fails with VR_ERROR_IO (no such file), VR_ERROR_FORMAT (a directory, an empty file, a FIFO, a sparse member, a
 * compressed one or an archive within the archive, an archive named without a member), VR_ERROR_ARGUMENT (no such
 * member), VR_ERROR_MEMORY; `out` is then empty. */
VR_API vr_status vr_source_open(vr_source *out, const char *name, const vr_archive_options *options);

/* Empties the source; an empty one is fine. */
VR_API void vr_source_close(vr_source *source);

/* What a user names, as names of single files: a file gives itself; an archive gives all its members that end in ".h5"
 * or ".hdf5", in its order; "runs.tar:GLOB" those members that match (a '*' matches '/' too), or, where any of these
 * end so, these alone; a path that is no file but a glob pattern gives the files that match, sorted. An archive without
 * such members, or a glob that nothing matches, fails with VR_ERROR_ARGUMENT; a file that cannot be read, as in
 * vr_source_open. `*out`, an array of `*count` strings, is freed with vr_source_names_free. As long as `keep`, which
 * may be NULL, is open, an archive it names is not decompressed again. */
VR_API vr_status vr_source_names(char ***out, uint64_t *count, vr_archive **keep, const char *argument,
                                 const vr_archive_options *options);
VR_API void vr_source_names_free(char **names, uint64_t count);

#ifdef __cplusplus
}
#endif
#endif
