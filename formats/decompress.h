/* decompress.h - compressed files made plain: gzip, zstd, xz, lz4, bzip2, by libarchive. */
#ifndef VR_DECOMPRESS_H
#define VR_DECOMPRESS_H

#include <stddef.h>
#include <stdint.h>
#include <varanalyze/status.h>

/* Called every so often with the bytes of the compressed file read so far and its size. */
typedef void (*vr_progress)(void *context, const char *name, uint64_t done, uint64_t total);

#define VR_COMPRESSION_BYTES 16 /* so many bytes of a file tell */

/* "gzip", "zstd", "xz", "lz4", "bzip2" by the first bytes of a file; NULL for none of these. */
VR_API const char *vr_compression(const void *start, size_t bytes);

/* Decompresses `fd` (all of it, read from its offset 0; it stays the caller's) into memory, and into a nameless file in
 * $TMPDIR (/tmp) once that passes `limit` bytes. Zeros behind the data, as tapes have them, are left out, but not
 * behind zstd, whose own program refuses them. `*out` is a descriptor of the result, the caller's to close, `*size` its
 * length, never 0. `progress` may be NULL. Fails with VR_ERROR_FORMAT (damaged, cut off, or nothing comes out),
 * VR_ERROR_IO (no room), VR_ERROR_UNSUPPORTED (this libarchive lacks the compression); nothing is left then. */
VR_API vr_status vr_decompress(int *out, uint64_t *size, int fd, const char *name, uint64_t limit, vr_progress progress,
                               void *context);

/* The first bytes of what `fd` decompresses to: `*bytes` says how many are wanted, then how many there are. Fails as
 * vr_decompress. */
VR_API vr_status vr_decompress_start(void *out, size_t *bytes, int fd, const char *name);

#endif
