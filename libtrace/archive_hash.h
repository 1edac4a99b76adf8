/* archive_hash.h - digests of what lies in a file, and reading and writing at offsets. */
#ifndef VR_ARCHIVE_HASH_H
#define VR_ARCHIVE_HASH_H

#define XXH_STATIC_LINKING_ONLY /* for a state on the stack */
#include <xxhash.h>

#include "archive_list.h"

#define VR_PIECE (16 * VR_CHUNK_BYTES) /* bytes that are read and hashed at a time */

/* The digest of contents that come in pieces: as vr_digest_tensor of all of them as u8. */
typedef struct vr_content {
    XXH3_state_t state;
    vr_digest first;
    uint64_t chunks;
} vr_content;

void vr_content_begin(vr_content *content);

/* Each piece but the last is a multiple of VR_CHUNK_BYTES. */
void vr_content_add(vr_content *content, const void *bytes, size_t size);
vr_digest vr_content_end(const vr_content *content);

/* Reads all of [offset, offset + size) or fails with VR_ERROR_IO; `name` is the file's. */
vr_status vr_read_at(int fd, void *out, size_t size, uint64_t offset, const char *name);
vr_status vr_write_at(int fd, const void *bytes, size_t size, uint64_t offset, const char *name);

/* XXH3-64 of a member's frame: `header` and `padding` bytes. */
uint64_t vr_frame_digest(const void *header, size_t header_bytes, const void *padding, size_t padding_bytes);

/* The contents' digest and the frame of the member at `entry`, which reaches up to the next whole block or `limit`,
 * read from the file; `piece` is VR_PIECE bytes of scratch. Fails with VR_ERROR_IO, VR_ERROR_MEMORY. */
vr_status vr_hash_entry(vr_digest *digest, uint64_t *frame, int fd, const vr_entry *entry, uint64_t limit, void *piece,
                        const char *name);

#endif
