/* tar.h - uncompressed tar archives: the members in their order, where each one's bytes lie, and headers for new ones.
 *
 * Reads old (v7), ustar, GNU (long names, base-256 numbers) and pax (path, linkpath, size, mtime; global headers too).
 * Writes ustar, with a pax header before it where name, size or alignment ask for one. Sparse members are recognized,
 * not understood: what lies at their offset is not their contents.
 */
#ifndef VR_TAR_H
#define VR_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <varanalyze/status.h>

#define VR_TAR_BLOCK 512
#define VR_TAR_START (20 * VR_TAR_BLOCK + 1) /* more than an archive of tar's without members has */

typedef struct vr_tar_member {
    const char *name;    /* as stored; of a sparse member, its own name */
    const char *link;    /* where a link points; "" when it is none */
    char type;           /* '0' file (unknown types too), '1' hard link, '2' symbolic link, '5' directory, ... */
    bool sparse;         /* any of the GNU formats */
    uint32_t mode;       /* permission bits */
    int64_t mtime;       /* seconds since 1970, rounded down */
    uint64_t start;      /* offset of its first header block, with the pax or GNU headers that belong to it */
    uint64_t data, size; /* offset and bytes of the contents; the next member starts at the block after them */
} vr_tar_member;

typedef struct vr_tar vr_tar;

/* `offset` rounded up to a whole block. */
static inline uint64_t vr_tar_round(uint64_t offset)
{
    return (offset + VR_TAR_BLOCK - 1) & ~(uint64_t)(VR_TAR_BLOCK - 1);
}

/* Whether a file that begins with these bytes, VR_TAR_START of them or all, is a tar archive: with a header, or with no
 * member: nothing but the zeros that tar ends with. */
VR_API bool vr_tar_begins(const void *start, size_t bytes);

/* Reads the archive in the first `size` bytes of `fd`, which stays the caller's; `name` stands for it in messages.
 * Fails with VR_ERROR_MEMORY. */
vr_status vr_tar_open(vr_tar **out, int fd, uint64_t size, const char *name);

/* NULL is fine. */
void vr_tar_close(vr_tar *tar);

/* The next member into `out`, valid until the next call; at the end of the archive (two zero blocks, one zero block, or
 * the last byte) `*found` is false. Fails with VR_ERROR_FORMAT, naming file and offset, where a header is damaged or a
 * member reaches past the end of the file; with VR_ERROR_IO, VR_ERROR_MEMORY. */
vr_status vr_tar_next(vr_tar *tar, vr_tar_member *out, bool *found);

/* Where the archive ends: the offset of its end marker, once vr_tar_next has found no more. A new member may be written
 * there. */
uint64_t vr_tar_end(const vr_tar *tar);

/* To go on from a member that is known by other means: the next vr_tar_next reads the header at `offset`. */
void vr_tar_seek(vr_tar *tar, uint64_t offset);

/* The header blocks of a regular file that will stand at offset `at` (name, mode, mtime and size of `member`), padded
 * with a pax comment so that its contents begin at a multiple of `align` (a power of two, 512 to 1 MiB). `*out` is the
 * caller's to free, `*bytes` a multiple of 512. Fails with VR_ERROR_ARGUMENT (an empty name), VR_ERROR_MEMORY. */
vr_status vr_tar_header(void **out, size_t *bytes, const vr_tar_member *member, uint64_t at, uint64_t align);

#endif
