#include "archive_write.h"

#include "archive_hash.h"
#include "archive_manifest.h"
#include "fail.h"
#include "tar.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER    1048576
#define PAGE      4096    /* what a file system writes at once */
#define TAIL_MOST 1048576 /* zeros behind an archive that are put back when a change is undone */

static vr_status set_size(const vr_writer *writer, uint64_t size)
{
    int result;
    do
        result = ftruncate(writer->fd, (off_t)size);
    while (result != 0 && errno == EINTR);
    return result != 0 ? vr_fail_errno(errno, "%s: cannot change the file's size", writer->name) : VR_OK;
}

/* Whether the file has nothing but zeros behind the archive. */
static bool is_zero_behind(const vr_writer *writer, uint64_t size)
{
    if (size <= writer->begin || size - writer->begin > TAIL_MOST)
        return false;
    const size_t bytes = (size_t)(size - writer->begin);
    return vr_read_at(writer->fd, writer->buffer, bytes, writer->begin, writer->name) == VR_OK &&
           writer->buffer[0] == 0 && memcmp(writer->buffer, writer->buffer + 1, bytes - 1) == 0;
}

/* Says at the end of the lengthened file where the archive ends as long as the change lasts. */
static vr_status announce(const vr_writer *writer, uint64_t room)
{
    char block[VR_FOOTER_BYTES];
    const uint64_t end = vr_tar_round(writer->begin + VR_END_MARKER + VR_FOOTER_BYTES + room);
    const vr_footer footer = {.end = end, .commit = writer->begin};
    vr_footer_write(block, &footer);
    const vr_status status = set_size(writer, end + VR_END_MARKER);
    if (status != VR_OK)
        return status;
    return vr_write_at(writer->fd, block, sizeof block, end - VR_FOOTER_BYTES, writer->name);
}

vr_status vr_writer_begin(vr_writer *writer, int fd, const char *name, uint64_t end, uint64_t room)
{
    struct stat file;
    *writer = (vr_writer){.fd = fd, .name = name, .begin = end, .at = end};
    if (fstat(fd, &file) != 0)
        return vr_fail_errno(errno, "%s", name);
    writer->old_size = (uint64_t)file.st_size;
    writer->buffer = malloc(BUFFER);
    if (!writer->buffer)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", name);
    if (writer->old_size > end && !is_zero_behind(writer, writer->old_size))
        writer->old_size = end + VR_END_MARKER;
    writer->changed = true;
    vr_status status = set_size(writer, end + VR_END_MARKER);
    if (status == VR_OK)
        status = announce(writer, room);
    return status;
}

static vr_status flush(vr_writer *writer)
{
    const size_t used = writer->used;
    writer->used = 0;
    return vr_write_at(writer->fd, writer->buffer, used, writer->at - used, writer->name);
}

vr_status vr_writer_put(vr_writer *writer, const void *bytes, size_t size)
{
    const char *from = bytes;
    const uint64_t done = writer->at - writer->begin;
    if (done < VR_END_MARKER) {
        const size_t held = size < VR_END_MARKER - done ? size : (size_t)(VR_END_MARKER - done);
        memcpy(writer->first + done, from, held);
        writer->at += held;
        from += held;
        size -= held;
    }
    if (size > BUFFER - writer->used) {
        const vr_status status = flush(writer);
        if (status != VR_OK)
            return status;
    }
    if (size >= BUFFER) {
        writer->at += size;
        return vr_write_at(writer->fd, from, size, writer->at - size, writer->name);
    }
    memcpy(writer->buffer + writer->used, from, size);
    writer->used += size;
    writer->at += size;
    return VR_OK;
}

static vr_status synchronize(const vr_writer *writer)
{
    return fdatasync(writer->fd) != 0 ? vr_fail_errno(errno, "%s: cannot write", writer->name) : VR_OK;
}

/* Within a page, one call writes all or nothing, whatever happens to the process. Across two, which only archives by
 * others need, the first block comes last: until it is there, the archive ends before it. */
static vr_status write_first(const vr_writer *writer)
{
    const size_t half = VR_END_MARKER / 2;
    if (writer->begin % PAGE <= PAGE - VR_END_MARKER)
        return vr_write_at(writer->fd, writer->first, VR_END_MARKER, writer->begin, writer->name);
    const vr_status status = vr_write_at(writer->fd, writer->first + half, half, writer->begin + half, writer->name);
    return status != VR_OK ? status : vr_write_at(writer->fd, writer->first, half, writer->begin, writer->name);
}

vr_status vr_writer_commit(vr_writer *writer)
{
    static const char zeros[VR_END_MARKER];
    vr_status status = flush(writer);
    if (status == VR_OK)
        status = vr_write_at(writer->fd, zeros, sizeof zeros, writer->at, writer->name);
    if (status == VR_OK)
        status = set_size(writer, writer->at + VR_END_MARKER);
    if (status == VR_OK)
        status = synchronize(writer);
    if (status == VR_OK)
        status = write_first(writer);
    return status != VR_OK ? status : synchronize(writer);
}

void vr_writer_undo(vr_writer *writer)
{
    static const char zeros[VR_END_MARKER];
    char reason[1024]; /* of the failure, which is to be told */
    if (!writer->changed)
        return;
    snprintf(reason, sizeof reason, "%s", vr_error());
    vr_write_at(writer->fd, zeros, sizeof zeros, writer->begin, writer->name);
    set_size(writer, writer->begin + VR_END_MARKER);
    set_size(writer, writer->old_size);
    vr_fail(VR_ERROR_IO, "%s", reason);
}

void vr_writer_end(vr_writer *writer)
{
    free(writer->buffer);
    writer->buffer = NULL;
}
