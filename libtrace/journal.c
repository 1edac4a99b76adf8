#include "journal.h"

#include "fail.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_STATIC_LINKING_ONLY /* for a state on the stack */
#include <xxhash.h>

#define WINDOW 1048576

uint64_t vr_frame_check(uint32_t type, uint64_t position, const void *head, size_t head_size, const void *body,
                        size_t body_size)
{
    const uint64_t seed = position ^ (uint64_t)type << 56;
    if (body_size == 0)
        return XXH3_64bits_withSeed(head, head_size, seed);
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_64bits_reset_withSeed(&state, seed);
    XXH3_64bits_update(&state, head, head_size);
    XXH3_64bits_update(&state, body, body_size);
    return XXH3_64bits_digest(&state);
}

/* Bytes read at `offset` of the journal: fewer than asked at its end, -1 on failure. */
static ssize_t read_at(const vr_source *file, void *out, size_t size, uint64_t offset)
{
    const uint64_t left = file->archive ? offset < file->size ? file->size - offset : 0 : UINT64_MAX;
    return vr_read_whole(file->fd, out, size < left ? size : left, file->offset + offset);
}

/* The journal's size now: a file by itself may be growing. */
static vr_status measure(const vr_source *file, uint64_t *size)
{
    struct stat now;
    *size = file->size;
    if (file->archive)
        return VR_OK;
    if (fstat(file->fd, &now) != 0)
        return vr_fail_errno(errno, "%s", file->name);
    *size = (uint64_t)now.st_size;
    return VR_OK;
}

/* Whether a run holds its lock on it; one in an archive is nobody's any more. */
static bool is_locked(const vr_source *file)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    return !file->archive && fcntl(file->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static vr_status check_header(const vr_journal *journal)
{
    const vr_journal_header *header = &journal->header;
    if (memcmp(header->magic, VR_JOURNAL_MAGIC, sizeof header->magic) != 0)
        return vr_fail(VR_ERROR_FORMAT, "%s: not the journal of a run", journal->file->name);
    if (header->version != VR_JOURNAL_VERSION)
        return vr_fail(VR_ERROR_VERSION,
                       "%s: journal of version %u, this program reads version %d; use a newer varanalyze",
                       journal->file->name, header->version, VR_JOURNAL_VERSION);
    if (header->ring_bytes < VR_JOURNAL_MIN_RING || header->ring_bytes % VR_JOURNAL_PAGE != 0 ||
        header->ring_bytes > VR_JOURNAL_MAX_RING || header->head < header->tail ||
        header->head - header->tail > header->ring_bytes)
        return vr_fail(VR_ERROR_FORMAT, "%s: damaged journal: the header contradicts itself", journal->file->name);
    return VR_OK;
}

/* Copies what the ring holds beyond the log. While the run lasts, the writer moves bytes on meanwhile: the tail as it
 * is after the copy tells which bytes of the ring were still in their place. */
static vr_status copy_ring(vr_journal *journal)
{
    const uint64_t ring_bytes = journal->header.ring_bytes, base = VR_JOURNAL_PAGE + ring_bytes;
    vr_journal_header now;
    uint64_t size;
    vr_status status = measure(journal->file, &size);
    if (status != VR_OK)
        return status;
    const uint64_t behind = size > VR_JOURNAL_PAGE ? size - VR_JOURNAL_PAGE : 0;
    const uint64_t there = behind < ring_bytes ? behind : ring_bytes; /* of the ring */
    journal->ring = malloc(there + 1);
    if (!journal->ring)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", journal->file->name);
    const ssize_t n = read_at(journal->file, journal->ring, there, VR_JOURNAL_PAGE);
    if (n < 0 || read_at(journal->file, &now, sizeof now, 0) != (ssize_t)sizeof now)
        return vr_fail_errno(errno, "%s: cannot read", journal->file->name);
    if ((uint64_t)n < there)
        return vr_fail(VR_ERROR_FORMAT, "%s: the journal was cut off while it was read", journal->file->name);
    status = measure(journal->file, &journal->file_bytes);
    if (status != VR_OK)
        return status;
    journal->tail = now.tail < journal->header.tail ? journal->header.tail : now.tail;
    journal->end = journal->header.head < journal->tail ? journal->tail : journal->header.head;
    const uint64_t log_bytes = journal->file_bytes > base ? journal->file_bytes - base : 0;
    if (log_bytes < journal->tail) /* cut off: what the ring holds is not reached any more */
        journal->tail = journal->end = log_bytes;
    else if (journal->end > there && there < ring_bytes) /* cut off within the ring, and there is no log yet */
        journal->end = there;
    return VR_OK;
}

static vr_status read_header(vr_journal *journal)
{
    const char *name = journal->file->name;
    journal->buffer = malloc(WINDOW);
    if (!journal->buffer)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", name);
    journal->live = is_locked(journal->file);
    const ssize_t n = read_at(journal->file, &journal->header, sizeof journal->header, 0);
    if (n < 0)
        return vr_fail_errno(errno, "%s: cannot read", name);
    if ((size_t)n < sizeof journal->header)
        return vr_fail(VR_ERROR_FORMAT, "%s: the journal is cut off within its header: nothing can be read", name);
    return check_header(journal);
}

vr_status vr_journal_open(vr_journal **out, const vr_source *file)
{
    vr_journal *journal = calloc(1, sizeof *journal);
    if (!journal)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", file->name);
    journal->file = file;
    vr_status status = read_header(journal);
    if (status == VR_OK)
        status = copy_ring(journal);
    if (status != VR_OK) {
        vr_journal_close(journal);
        return status;
    }
    *out = journal;
    return VR_OK;
}

void vr_journal_close(vr_journal *journal)
{
    if (!journal)
        return;
    free(journal->ring);
    free(journal->buffer);
    free(journal);
}

/* Makes the window hold the log from `position` on; at least one byte of it, or fails. */
static vr_status fill_window(vr_journal *journal, uint64_t position)
{
    if (position >= journal->at && position < journal->at + journal->filled)
        return VR_OK;
    uint64_t size = journal->tail - position;
    if (size > WINDOW)
        size = WINDOW;
    const uint64_t base = VR_JOURNAL_PAGE + journal->header.ring_bytes;
    const ssize_t n = read_at(journal->file, journal->buffer, size, base + position);
    if (n < 0)
        return vr_fail_errno(errno, "%s: cannot read", journal->file->name);
    if (n == 0)
        return vr_fail(VR_ERROR_FORMAT, "%s: the journal was cut off while it was read", journal->file->name);
    journal->at = position;
    journal->filled = (uint64_t)n;
    return VR_OK;
}

static void read_ring(const vr_journal *journal, uint64_t position, uint8_t *out, size_t size)
{
    const uint64_t start = position % journal->header.ring_bytes, room = journal->header.ring_bytes - start;
    const size_t first = size < room ? size : room;
    memcpy(out, journal->ring + start, first);
    memcpy(out + first, journal->ring, size - first);
}

vr_status vr_journal_read(vr_journal *journal, uint64_t position, void *out, size_t size)
{
    if (position > journal->end || size > journal->end - position)
        return vr_fail(VR_ERROR_FORMAT, "%s: the journal ends within a frame", journal->file->name);
    uint8_t *to = out;
    while (size > 0 && position < journal->tail) {
        const vr_status status = fill_window(journal, position);
        if (status != VR_OK)
            return status;
        const uint64_t left = journal->at + journal->filled - position;
        const size_t n = size < left ? size : left;
        memcpy(to, journal->buffer + (position - journal->at), n);
        to += n;
        position += n;
        size -= n;
    }
    if (size > 0)
        read_ring(journal, position, to, size);
    return VR_OK;
}
