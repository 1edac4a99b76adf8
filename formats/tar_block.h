/* tar_block.h - a header block of a tar archive, as POSIX.1-1988 (ustar), GNU tar and the old tar lay it out. */
#ifndef VR_TAR_BLOCK_H
#define VR_TAR_BLOCK_H

#include "tar.h"

typedef struct vr_tar_block {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], check[8], type, link[100];
    char magic[8]; /* "ustar\0" "00": POSIX; "ustar  \0": GNU; else old */
    char uname[32], gname[32], major[8], minor[8];
    union {
        char prefix[155]; /* POSIX */
        struct {
            char atime[12], ctime[12], offset[12], longnames[4], unused, sparse[96];
            char extended; /* a block of more sparse entries follows */
            char realsize[12];
        } gnu;
    };
    char pad[12];
} vr_tar_block;

_Static_assert(sizeof(vr_tar_block) == VR_TAR_BLOCK && offsetof(vr_tar_block, gnu.extended) == 482,
               "blocks stand in files: no padding");

/* A block of sparse entries says in this byte whether another one follows. */
#define VR_TAR_MORE_SPARSE 504

/* The sum of a header's bytes, the checksum field read as spaces; `*with_signed`: of the same as signed bytes. */
static inline unsigned vr_tar_sum(const vr_tar_block *block, int *with_signed)
{
    const unsigned char *bytes = (const unsigned char *)block;
    unsigned sum = 8 * ' ', high = 0;
    for (int i = 0; i < VR_TAR_BLOCK; i++) {
        sum += bytes[i];
        high += bytes[i] >> 7;
    }
    for (size_t i = 0; i < sizeof block->check; i++) {
        sum -= (unsigned char)block->check[i];
        high -= (unsigned char)block->check[i] >> 7;
    }
    *with_signed = (int)sum - 256 * (int)high;
    return sum;
}

#endif
