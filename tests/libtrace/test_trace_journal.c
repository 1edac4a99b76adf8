/* Journals that were cut off or damaged: what is wholly there is read, nothing is made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <libtrace/journal.h>
#include <scratch.h>
#include <sys/wait.h>
#include <varanalyze/capture.h>

#define RING     VR_JOURNAL_MIN_RING
#define LOG      (VR_JOURNAL_PAGE + RING)
#define PER_STEP 4
#define MOST     4096

/* The frames of a run that broke off, and what a reader makes of them when nothing is missing. */
typedef struct stream {
    uint8_t *bytes;
    uint64_t size;
    uint64_t needs[MOST], ends[MOST]; /* of each frame: without, and with its padding */
    uint32_t types[MOST];
    size_t frames;
    vr_trace_record records[MOST];
    uint64_t record_count;
} stream;

static stream small, large;
static float values[500];

static void record_steps(const char *path, uint32_t steps)
{
    vr_run *run;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.trace = path;
    options.filter = "full=full,sample=sample,chunks=chunks";
    options.queue_bytes = RING;
    if (vr_run_open(&run, &options) != VR_OK)
        _exit(1);
    for (uint32_t step = 0; step < steps; step++) {
        if (step > 0)
            vr_run_step(run, 0);
        values[0] = (float)step;
        vr_record(run, VR_FORWARD, "full", "t", VR_TENSOR(VR_F32, values, 100), "seed:init", NULL);
        vr_record(run, VR_FORWARD, "sample", "t", VR_TENSOR(VR_F32, values, 500), NULL);
        vr_record(run, VR_FORWARD, "chunks", "t", VR_TENSOR(VR_F32, values, 500), "full/t", NULL);
        vr_metric(run, "loss", step, "full/t", NULL);
    }
    _exit(0);
}

/* Finds the frames by their sizes, as libtrace/journal.h says they lie. */
static void find_frames(stream *s)
{
    for (uint64_t at = 0; at < s->size; s->frames++) {
        vr_frame frame;
        memcpy(&frame, s->bytes + at, sizeof frame);
        assert_true(s->frames < MOST);
        s->needs[s->frames] = at + sizeof frame + frame.size;
        at += sizeof frame + (frame.size + 7) / 8 * 8;
        assert_true(at <= s->size);
        s->ends[s->frames] = at;
        s->types[s->frames] = frame.type;
    }
}

static void make_stream(stream *s, const char *path, uint32_t steps)
{
    vr_journal *journal;
    vr_source file;
    int status;
    const pid_t child = fork();
    if (child == 0)
        record_steps(path, steps);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(vr_source_open(&file, scratch_path("%s.journal", strrchr(path, '/') + 1), NULL), VR_OK);
    assert_int_equal(vr_journal_open(&journal, &file), VR_OK);
    s->size = journal->end;
    s->bytes = malloc(s->size);
    assert_non_null(s->bytes);
    assert_int_equal(vr_journal_read(journal, 0, s->bytes, s->size), VR_OK);
    vr_journal_close(journal);
    vr_source_close(&file);
    find_frames(s);
    vr_trace *trace;
    assert_int_equal(vr_trace_open(&trace, path), VR_OK);
    s->record_count = vr_trace_get_info(trace)->record_count;
    assert_int_equal(s->record_count, steps * PER_STEP);
    assert_int_equal(vr_trace_read_records(trace, 0, s->record_count, s->records), VR_OK);
    vr_trace_close(trace);
}

static int make_streams(void **state)
{
    for (int i = 0; i < 500; i++)
        values[i] = (float)i;
    if (scratch_setup(state) != 0)
        return -1;
    make_stream(&small, scratch_path("small.h5"), 4);
    make_stream(&large, scratch_path("large.h5"), 120);
    return small.size < RING && large.size > 2 * RING ? 0 : -1;
}

static int free_streams(void **state)
{
    free(small.bytes);
    free(large.bytes);
    return scratch_teardown(state);
}

/* Lays a stream out as a journal whose writer had got to `tail`; the size of the file. */
static size_t lay_out(const char *path, const stream *s, uint64_t tail)
{
    uint8_t *file = calloc(1, LOG + tail);
    vr_journal_header header = {.magic = VR_JOURNAL_MAGIC, .version = VR_JOURNAL_VERSION, .ring_bytes = RING};
    assert_non_null(file);
    assert_true(s->size - tail <= RING);
    header.head = s->size;
    header.tail = tail;
    memcpy(header.magic, VR_JOURNAL_MAGIC, 8);
    memcpy(file, &header, sizeof header);
    for (uint64_t p = s->size < RING ? 0 : s->size - RING; p < s->size;
         p++) /* what has been moved is still there, too */
        file[VR_JOURNAL_PAGE + p % RING] = s->bytes[p];
    memcpy(file + LOG, s->bytes, tail);
    save_file(path, file, LOG + tail);
    free(file);
    return LOG + tail;
}

/* The trace holds exactly the frames that lie wholly in the first `size` bytes of the stream. */
static void check_prefix(vr_trace *trace, const stream *s, uint64_t size)
{
    const vr_trace_info *info = vr_trace_get_info(trace);
    uint64_t records = 0, finished = 0, read = 0;
    for (size_t i = 0; i < s->frames && s->needs[i] <= size; i++) {
        records += s->types[i] == VR_FRAME_RECORD;
        finished += s->types[i] == VR_FRAME_STEP;
        read = s->ends[i];
    }
    assert_int_equal(info->record_count, records);
    assert_int_equal(info->step_count, finished + 1);
    for (uint64_t i = 0; i <= finished; i++)
        assert_int_equal(vr_trace_steps(trace)[i].finished, i < finished);
    assert_false(info->closed);
    assert_int_equal(info->damaged_bytes, s->size - read);
}

static void check_records(vr_trace *trace, const stream *s)
{
    static vr_trace_record records[MOST];
    const uint64_t count = vr_trace_get_info(trace)->record_count;
    assert_true(count <= s->record_count);
    assert_int_equal(vr_trace_read_records(trace, 0, count, records), VR_OK);
    assert_memory_equal(records, s->records, count * sizeof *records);
}

/* The values of all records of level full are those that were recorded. */
static void check_values(vr_trace *trace, const stream *s)
{
    float read[100];
    for (uint64_t i = 0; i < vr_trace_get_info(trace)->record_count; i += PER_STEP) {
        assert_int_equal(vr_trace_read_values(trace, &s->records[i], 0, 100, read), VR_OK);
        assert_true(read[0] == (float)(i / PER_STEP));
        assert_memory_equal(read + 1, values + 1, sizeof read - sizeof *read);
    }
}

/* The bytes of the stream that a file of `length` bytes holds from its beginning on. */
static uint64_t held(const stream *s, uint64_t tail, size_t length)
{
    const uint64_t ring = length > VR_JOURNAL_PAGE ? length - VR_JOURNAL_PAGE : 0;
    if (length == LOG + tail)
        return s->size;
    if (length > LOG)
        return length - LOG;
    return tail > 0 ? 0 : ring < s->size ? ring : s->size;
}

/* Cuts a journal at every byte, from its end to its beginning. */
static void cut_everywhere(const stream *s, uint64_t tail)
{
    const char *path = scratch_path("cut.journal");
    for (size_t length = lay_out(path, s, tail); length > 0; length--) {
        vr_trace *trace;
        assert_int_equal(truncate(path, (off_t)length), 0);
        const vr_status status = vr_trace_open(&trace, path);
        if (length < sizeof(vr_journal_header)) {
            assert_int_equal(status, VR_ERROR_FORMAT);
            assert_message(path);
            continue;
        }
        assert_int_equal(status, VR_OK);
        check_prefix(trace, s, held(s, tail, length));
        check_records(trace, s);
        check_values(trace, s);
        vr_trace_close(trace);
    }
}

static void test_cut_with_all_in_the_queue(void **state)
{
    (void)state;
    cut_everywhere(&small, 0);
}

static void test_cut_with_all_in_the_log(void **state)
{
    (void)state;
    const char *path = scratch_path("cut-log.journal");
    const size_t size = lay_out(path, &small, small.size);
    for (size_t length = size; length >= LOG; length--) {
        vr_trace *trace;
        assert_int_equal(truncate(path, (off_t)length), 0);
        assert_int_equal(vr_trace_open(&trace, path), VR_OK);
        check_prefix(trace, &small, held(&small, small.size, length));
        check_records(trace, &small);
        vr_trace_close(trace);
    }
}

static void test_queue_that_wraps_around(void **state)
{
    (void)state;
    const uint64_t tails[] = {large.size - RING, large.size - RING + 1, large.size - 4000, RING, large.size};
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        if (large.size - tails[i] > RING)
            continue;
        const char *path = scratch_path("wrapped.journal");
        vr_trace *trace;
        lay_out(path, &large, tails[i]);
        assert_int_equal(vr_trace_open(&trace, path), VR_OK);
        check_prefix(trace, &large, large.size);
        check_records(trace, &large);
        check_values(trace, &large);
        vr_trace_close(trace);
    }
}

/* A byte changed: the trace does not open, or what it holds is true. */
static void open_flipped(const char *path, const stream *s)
{
    vr_trace *trace;
    if (vr_trace_open(&trace, path) != VR_OK) {
        assert_message(path);
        return;
    }
    check_records(trace, s);
    check_values(trace, s);
    vr_trace_close(trace);
}

/* Flips the bits of `mask` in byte `at` of a file, and back after the test. */
static void flip(int fd, off_t at, uint8_t mask)
{
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= mask;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

static void flip_range(const char *path, const stream *s, size_t from, size_t to, size_t step)
{
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (size_t at = from; at < to; at += step) {
        const uint8_t mask = (uint8_t)(at % 3 == 0 ? 0xff : 1u << at % 8);
        flip(fd, (off_t)at, mask);
        open_flipped(path, s);
        flip(fd, (off_t)at, mask);
    }
    close(fd);
}

static void test_flipped_byte_in_the_queue(void **state)
{
    (void)state;
    const char *path = scratch_path("flipped.journal");
    lay_out(path, &small, 0);
    flip_range(path, &small, VR_JOURNAL_PAGE, VR_JOURNAL_PAGE + small.size, 1);
    flip_range(path, &small, VR_JOURNAL_PAGE + small.size, LOG, 997);
}

static void test_flipped_byte_in_the_log(void **state)
{
    (void)state;
    const char *path = scratch_path("flipped.journal");
    const size_t size = lay_out(path, &small, small.size);
    flip_range(path, &small, LOG, size, 1);
}

static void test_flipped_byte_in_the_header(void **state)
{
    (void)state;
    const char *path = scratch_path("flipped.journal");
    const int fd = (lay_out(path, &small, small.size / 2), open(path, O_RDWR | O_CLOEXEC));
    assert_true(fd >= 0);
    for (off_t at = 0; at < (off_t)sizeof(vr_journal_header); at++)
        for (int bit = 0; bit < 8; bit++) {
            flip(fd, at, (uint8_t)(1 << bit));
            open_flipped(path, &small);
            flip(fd, at, (uint8_t)(1 << bit));
        }
    close(fd);
}

/* A frame whose type is damaged ends what can be read, and no more than that. */
static void test_damaged_type_loses_what_follows_only(void **state)
{
    (void)state;
    const char *path = scratch_path("type.journal");
    lay_out(path, &small, small.size);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (size_t i = 1; i < small.frames; i++)
        for (int byte = 0; byte < 4; byte++) {
            vr_trace *trace;
            const uint64_t at = small.ends[i - 1];
            const off_t type = (off_t)(LOG + at + offsetof(vr_frame, type)) + byte;
            flip(fd, type, 0x40);
            assert_int_equal(vr_trace_open(&trace, path), VR_OK);
            check_prefix(trace, &small, at);
            vr_trace_close(trace);
            flip(fd, type, 0x40);
        }
    close(fd);
}

/* Writes a journal of one frame with the right check. */
static void lay_out_frame(const char *path, uint32_t type, const void *payload, uint32_t size)
{
    uint8_t bytes[1024] = {0};
    stream s = {.bytes = bytes, .size = sizeof(vr_frame) + (size + 7) / 8 * 8};
    const vr_frame frame = {size, type, vr_frame_check(type, 0, payload, size, NULL, 0)};
    memcpy(bytes, &frame, sizeof frame);
    memcpy(bytes + sizeof frame, payload, size);
    lay_out(path, &s, 0);
}

static void frame_fails(uint32_t type, const void *payload, uint32_t size, const char *words)
{
    const char *path = scratch_path("frame.journal");
    vr_trace *trace;
    lay_out_frame(path, type, payload, size);
    assert_int_equal(vr_trace_open(&trace, path), VR_ERROR_FORMAT);
    assert_message(path);
    assert_message(words);
}

/* Frames that pass their check and yet make no sense. */
static void test_forged_frames(void **state)
{
    (void)state;
    const vr_site_row site = {.phase = VR_FORWARD, .dtype = VR_F32, .rank = 1, .shape = {4}};
    const vr_site_row inputs = {.phase = VR_FORWARD, .dtype = VR_F32, .input_count = 1u << 30};
    static const uint8_t zeros[256];
    frame_fails(VR_FRAME_RUN, "[]", 2, "JSON");
    frame_fails(VR_FRAME_NAME, "\x1b", 1, "name");
    frame_fails(VR_FRAME_SITE, &site, sizeof site, "site"); /* its names are not there */
    frame_fails(VR_FRAME_SITE, &site, sizeof site - 1, "site");
    frame_fails(VR_FRAME_SITE, &inputs, sizeof inputs, "inputs");
    frame_fails(VR_FRAME_STEP, zeros, sizeof(vr_frame_step) - 1, "short");
    frame_fails(VR_FRAME_STEP, zeros, sizeof(vr_frame_step), "step"); /* step 0 again */
    frame_fails(VR_FRAME_RECORD, zeros, sizeof(vr_trace_record) - 1, "short");
    frame_fails(VR_FRAME_PAYLOAD, zeros, 7, "short");
    frame_fails(VR_FRAME_PAYLOAD, &(uint64_t[]){UINT64_MAX - 1, 0}, 16, "payload");
    frame_fails(VR_FRAME_PAYLOAD, &(uint64_t[]){(uint64_t)1 << 60, 0}, 16, "payload"); /* claims what is nowhere */
    frame_fails(VR_FRAME_END, zeros, 7, "short");
}

static void test_header_that_contradicts_itself(void **state)
{
    (void)state;
    static const uint64_t rings[] = {0, 4096, RING + 1, RING - 4096, (uint64_t)1 << 33, UINT64_MAX / 4096 * 4096};
    const char *path = scratch_path("header.journal");
    vr_trace *trace;
    for (size_t i = 0; i < sizeof rings / sizeof *rings; i++) {
        lay_out(path, &small, 0);
        const int fd = open(path, O_RDWR | O_CLOEXEC);
        assert_int_equal(pwrite(fd, &rings[i], 8, offsetof(vr_journal_header, ring_bytes)), 8);
        close(fd);
        assert_int_equal(vr_trace_open(&trace, path), VR_ERROR_FORMAT);
        assert_message("header");
    }
}

static void test_newer_journal(void **state)
{
    (void)state;
    const char *path = scratch_path("newer.journal");
    vr_trace *trace;
    lay_out(path, &small, 0);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, &(uint32_t){2}, 4, offsetof(vr_journal_header, version)), 4);
    close(fd);
    assert_int_equal(vr_trace_open(&trace, path), VR_ERROR_VERSION);
    assert_message(path);
    assert_message("newer");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_with_all_in_the_queue),
        cmocka_unit_test(test_cut_with_all_in_the_log),
        cmocka_unit_test(test_queue_that_wraps_around),
        cmocka_unit_test(test_flipped_byte_in_the_queue),
        cmocka_unit_test(test_flipped_byte_in_the_log),
        cmocka_unit_test(test_flipped_byte_in_the_header),
        cmocka_unit_test(test_damaged_type_loses_what_follows_only),
        cmocka_unit_test(test_forged_frames),
        cmocka_unit_test(test_header_that_contradicts_itself),
        cmocka_unit_test(test_newer_journal),
    };
    return cmocka_run_group_tests(tests, make_streams, free_streams);
}
