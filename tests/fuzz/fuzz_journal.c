/* Journals: the input is laid out as a journal, with the checks of its frames made right, so that it gets past them.
 *
 * Byte 0 says how: bit 0: a header of the input's own follows; bit 1: the rest is the stream as it is, else it is
 * frames, each a byte of type, a u16 of size and the payload; bit 2: the stream stands in the log, not in the queue;
 * bit 3: the file is cut off, at a u32 that follows; bit 4: the trace is also written, and read again. */
#include <fuzz/fuzz_trace.h>

#include <libtrace/journal.h>

#define MOST_STREAM (VR_JOURNAL_MIN_RING - 4096)

enum { OWN_HEADER = 1, RAW = 2, IN_LOG = 4, CUT = 8, WRITE = 16 };

typedef struct bytes {
    const uint8_t *at;
    size_t left;
} bytes;

/* The next bytes of the input, as far as there are any. */
static void take(bytes *from, void *out, size_t size)
{
    const size_t n = size < from->left ? size : from->left;
    memset(out, 0, size);
    if (n > 0)
        memcpy(out, from->at, n);
    from->at += n;
    from->left -= n;
}

/* The rest of the input as frames with right checks; the size of the stream. */
static size_t make_frames(uint8_t *stream, bytes *from)
{
    size_t size = 0;
    while (from->left > 0) {
        uint8_t type;
        uint16_t length;
        take(from, &type, sizeof type);
        take(from, &length, sizeof length);
        const size_t payload = length < from->left ? length : from->left;
        const size_t whole = sizeof(vr_frame) + (payload + 7) / 8 * 8;
        if (whole > MOST_STREAM - size)
            break;
        const vr_frame frame = {(uint32_t)payload, type, vr_frame_check(type, size, from->at, payload, NULL, 0)};
        memcpy(stream + size, &frame, sizeof frame);
        take(from, stream + size + sizeof frame, payload);
        size += whole;
    }
    return size;
}

static size_t make_stream(uint8_t *stream, bytes *from, uint8_t mode)
{
    if (!(mode & RAW))
        return make_frames(stream, from);
    const size_t size = from->left < MOST_STREAM ? from->left : MOST_STREAM;
    take(from, stream, size);
    return size;
}

static int lay_out(char path[64], bytes *from, uint8_t mode)
{
    vr_journal_header header = {.version = VR_JOURNAL_VERSION, .ring_bytes = VR_JOURNAL_MIN_RING};
    uint32_t cut = UINT32_MAX;
    uint8_t own[sizeof header] = {0}, *stream = calloc(1, VR_JOURNAL_MIN_RING);
    require(stream != NULL);
    if (mode & OWN_HEADER)
        take(from, own, sizeof own);
    if (mode & CUT)
        take(from, &cut, sizeof cut);
    const size_t size = make_stream(stream, from, mode);
    memcpy(header.magic, VR_JOURNAL_MAGIC, sizeof header.magic);
    header.head = size;
    header.tail = mode & IN_LOG ? size : 0;
    if (mode & OWN_HEADER)
        memcpy(&header, own, sizeof header);
    const off_t at = VR_JOURNAL_PAGE + (mode & IN_LOG ? VR_JOURNAL_MIN_RING : 0);
    const int fd = fuzz_file(path, &header, sizeof header);
    require(ftruncate(fd, VR_JOURNAL_PAGE + VR_JOURNAL_MIN_RING) == 0);
    require(pwrite(fd, stream, size, at) == (ssize_t)size);
    if (cut < VR_JOURNAL_PAGE + 2 * VR_JOURNAL_MIN_RING)
        require(ftruncate(fd, cut) == 0);
    free(stream);
    return fd;
}

static void same_records(vr_trace *a, vr_trace *b)
{
    const uint64_t count = vr_trace_get_info(a)->record_count;
    vr_trace_record x, y;
    require(vr_trace_get_info(b)->record_count == count);
    for (uint64_t i = 0; i < count; i++) {
        require(vr_trace_read_records(a, i, 1, &x) == VR_OK && vr_trace_read_records(b, i, 1, &y) == VR_OK);
        require(memcmp(&x, &y, sizeof x) == 0);
    }
}

static void same_evaluations(vr_trace *a, vr_trace *b)
{
    const vr_evaluation_info *of_a, *of_b;
    uint64_t in_a, in_b;
    const vr_status status = vr_trace_evaluations(a, &of_a, &in_a);
    require(vr_trace_evaluations(b, &of_b, &in_b) == status && in_a == in_b);
    for (uint64_t i = 0; i < in_a; i++)
        require(strcmp(of_a[i].name, of_b[i].name) == 0 && of_a[i].step == of_b[i].step &&
                of_a[i].group_count == of_b[i].group_count);
}

/* What can be written can be read again, and is the same. */
static void write_again(vr_trace *trace)
{
    char path[64];
    vr_trace *written;
    snprintf(path, sizeof path, "/tmp/fuzz-journal-%ld.h5", (long)getpid());
    if (vr_trace_write(trace, path) != VR_OK)
        return;
    require(vr_trace_open(&written, path) == VR_OK);
    same_records(trace, written);
    same_evaluations(trace, written);
    vr_trace_close(written);
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    bytes from = {data, size};
    uint8_t mode;
    take(&from, &mode, sizeof mode);
    const int fd = lay_out(path, &from, mode);
    vr_trace *trace = fuzz_open(path);
    if (trace) {
        const vr_trace_info *info = vr_trace_get_info(trace);
        require(!info->journal || info->payload_bytes <= info->file_bytes);
        fuzz_read(trace);
        if (mode & WRITE)
            write_again(trace);
    }
    vr_trace_close(trace);
    close(fd);
    return 0;
}
