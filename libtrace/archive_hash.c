#include "archive_hash.h"

#include "fail.h"
#include "io.h"
#include "isa.h"
#include "tar.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void vr_content_begin(vr_content *content)
{
    XXH3_INITSTATE(&content->state);
    XXH3_128bits_reset(&content->state);
    content->first = vr_kernels_best()->digest("", 0);
    content->chunks = 0;
}

void vr_content_add(vr_content *content, const void *bytes, size_t size)
{
    const vr_kernels *kernels = vr_kernels_best();
    for (size_t at = 0; at < size; at += VR_CHUNK_BYTES) {
        XXH128_canonical_t canonical;
        const size_t left = size - at, chunk = left < VR_CHUNK_BYTES ? left : VR_CHUNK_BYTES;
        const vr_digest digest = kernels->digest((const char *)bytes + at, chunk);
        XXH128_canonicalFromHash(&canonical, (XXH128_hash_t){.high64 = digest.hi, .low64 = digest.lo});
        XXH3_128bits_update(&content->state, &canonical, sizeof canonical);
        if (content->chunks++ == 0)
            content->first = digest;
    }
}

vr_digest vr_content_end(const vr_content *content)
{
    if (content->chunks <= 1)
        return content->first;
    const XXH128_hash_t all = XXH3_128bits_digest(&content->state);
    return (vr_digest){all.high64, all.low64};
}

vr_status vr_read_at(int fd, void *out, size_t size, uint64_t offset, const char *name)
{
    const ssize_t n = vr_read_whole(fd, out, size, offset);
    if (n < 0)
        return vr_fail_errno(errno, "%s: cannot read", name);
    return (size_t)n == size ? VR_OK : vr_fail(VR_ERROR_IO, "%s: became shorter while it was read", name);
}

vr_status vr_write_at(int fd, const void *bytes, size_t size, uint64_t offset, const char *name)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = pwrite(fd, (const char *)bytes + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return vr_fail_errno(n < 0 ? errno : ENOSPC, "%s: cannot write", name);
        done += (size_t)n;
    }
    return VR_OK;
}

uint64_t vr_frame_digest(const void *header, size_t header_bytes, const void *padding, size_t padding_bytes)
{
    if (padding_bytes == 0)
        return XXH3_64bits(header, header_bytes);
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, header, header_bytes);
    XXH3_64bits_update(&state, padding, padding_bytes);
    return XXH3_64bits_digest(&state);
}

static vr_status hash_contents(vr_digest *out, int fd, const vr_member *member, void *piece, const char *name)
{
    vr_content content;
    vr_content_begin(&content);
    for (uint64_t done = 0; done < member->size;) {
        const uint64_t left = member->size - done;
        const size_t now = left < VR_PIECE ? (size_t)left : VR_PIECE;
        const vr_status status = vr_read_at(fd, piece, now, member->offset + done, name);
        if (status != VR_OK)
            return status;
        vr_content_add(&content, piece, now);
        done += now;
    }
    *out = vr_content_end(&content);
    return VR_OK;
}

static vr_status hash_frame(uint64_t *out, int fd, const vr_entry *entry, uint64_t end, const char *name)
{
    const vr_member *member = &entry->member;
    const size_t header = (size_t)(member->offset - entry->start);
    const size_t padding = (size_t)(end - member->offset - member->size);
    char *bytes = malloc(header + padding + 1);
    if (!bytes)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", name);
    vr_status status = vr_read_at(fd, bytes, header, entry->start, name);
    if (status == VR_OK)
        status = vr_read_at(fd, bytes + header, padding, member->offset + member->size, name);
    if (status == VR_OK)
        *out = vr_frame_digest(bytes, header, bytes + header, padding);
    free(bytes);
    return status;
}

vr_status vr_hash_entry(vr_digest *digest, uint64_t *frame, int fd, const vr_entry *entry, uint64_t limit, void *piece,
                        const char *name)
{
    const vr_member *member = &entry->member;
    const uint64_t whole = vr_tar_round(member->offset + member->size), end = whole < limit ? whole : limit;
    if (end - entry->start > VR_PIECE || member->size > VR_CHUNK_BYTES) {
        const vr_status status = hash_contents(digest, fd, member, piece, name);
        return status != VR_OK ? status : hash_frame(frame, fd, entry, end, name);
    }
    const vr_status status = vr_read_at(fd, piece, (size_t)(end - entry->start), entry->start, name);
    if (status != VR_OK)
        return status;
    const size_t header = (size_t)(member->offset - entry->start);
    const char *contents = (const char *)piece + header, *padding = contents + member->size;
    *digest = vr_kernels_best()->digest(contents, (size_t)member->size);
    *frame = vr_frame_digest(piece, header, padding, (size_t)(end - member->offset - member->size));
    return VR_OK;
}
