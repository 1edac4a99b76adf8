/* What a run records is what a reader reads, from the closed trace, from the journal, and from the trace recovered from
 * it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <scratch.h>
#include <sys/wait.h>
#include <varanalyze/capture.h>

#define STEPS      3 /* the setup and two more */
#define MOST_MADE  48
#define POOL_BYTES 262144

/* A tensor that is recorded in each step. */
typedef struct made {
    vr_phase phase;
    vr_level level;
    const char *layer, *name;
    vr_tensor tensor;
    const char *const *inputs;
    size_t input_count;
} made;

static _Alignas(64) uint8_t pool[POOL_BYTES];
static made all[MOST_MADE];
static size_t made_count;
static char dtype_layers[VR_DTYPE_LAST + 1][16];

static const char *const two_inputs[] = {"batch/x", "weight:fc/w"};
static const char *const seed_input[] = {"seed:init"};
static const char rules[] = "hash*=hash,stats*=stats,chunks*=chunks,sample*=sample,full*=full";

static void make(vr_phase phase, vr_level level, const char *layer, const char *name, vr_tensor tensor,
                 const char *const *inputs, size_t input_count)
{
    assert_true(made_count < MOST_MADE);
    all[made_count++] = (made){phase, level, layer, name, tensor, inputs, input_count};
}

static vr_tensor reversed(vr_tensor tensor)
{
    tensor.data = (const char *)tensor.data + (tensor.shape[0] - 1) * (int64_t)vr_dtype_size(tensor.dtype);
    tensor.strides[0] = -1;
    return tensor;
}

static int make_all(void **state)
{
    uint32_t word = 12345;
    for (size_t i = 0; i < sizeof pool; i++)
        pool[i] = (uint8_t)((word = word * 1664525 + 1013904223) >> 24);
    for (int dtype = 1; dtype <= VR_DTYPE_LAST; dtype++) {
        snprintf(dtype_layers[dtype], sizeof dtype_layers[dtype], "full/%s", vr_dtype_name((vr_dtype)dtype));
        make(VR_FORWARD, VR_LEVEL_FULL, dtype_layers[dtype], "t", VR_TENSOR((vr_dtype)dtype, pool, 5, 7), NULL, 0);
    }
    make(VR_WEIGHT, VR_LEVEL_HASH, "hash", "w", VR_TENSOR(VR_F32, pool, 100), seed_input, 1);
    make(VR_GRADIENT, VR_LEVEL_STATS, "stats", "g", VR_TENSOR(VR_F64, pool, 3, 5, 7), two_inputs, 2);
    make(VR_INPUT, VR_LEVEL_STATS, "stats", "x", VR_TENSOR(VR_U8, pool, 4, 50), NULL, 0);
    make(VR_BACKWARD, VR_LEVEL_CHUNKS, "chunks", "big", VR_TENSOR(VR_F32, pool, 40000), NULL, 0);
    make(VR_BACKWARD, VR_LEVEL_CHUNKS, "chunks", "one", VR_TENSOR(VR_I64, pool, 8192), NULL, 0);
    make(VR_OPTIMIZER, VR_LEVEL_SAMPLE, "sample", "m", VR_TENSOR(VR_I16, pool, 90000), NULL, 0);
    make(VR_OPTIMIZER, VR_LEVEL_SAMPLE, "sample", "few", VR_TENSOR(VR_F32, pool, 9), NULL, 0);
    make(VR_FORWARD, VR_LEVEL_FULL, "full", "large", VR_TENSOR(VR_F64, pool, 20000), two_inputs, 2);
    make(VR_FORWARD, VR_LEVEL_FULL, "full", "transposed", vr_tensor_transpose(VR_TENSOR(VR_F32, pool, 120, 200), 0, 1),
         NULL, 0);
    make(VR_FORWARD, VR_LEVEL_SAMPLE, "sample", "transposed",
         vr_tensor_transpose(VR_TENSOR(VR_U16, pool, 4, 6, 30), 0, 2), NULL, 0);
    make(VR_FORWARD, VR_LEVEL_FULL, "full", "reversed", reversed(VR_TENSOR(VR_I32, pool, 33)), NULL, 0);
    make(VR_FORWARD, VR_LEVEL_FULL, "full", "scalar", VR_SCALAR(VR_F64, pool + 8), NULL, 0);
    make(VR_FORWARD, VR_LEVEL_FULL, "full", "empty", VR_TENSOR(VR_F32, NULL, 4, 0, 3), NULL, 0);
    make(VR_FORWARD, VR_LEVEL_SAMPLE, "sample", "empty", VR_TENSOR(VR_F32, NULL, 0), NULL, 0);
    make(VR_FORWARD, VR_LEVEL_FULL, "full/\xc3\xa9/caf\xc3\xa9", "rank 8",
         VR_TENSOR(VR_U8, pool, 1, 2, 1, 3, 1, 2, 1, 5), NULL, 0);
    return scratch_setup(state);
}

/* The steps of a run, but for its end. */
static void record_steps(vr_run *run)
{
    for (uint32_t step = 0; step < STEPS; step++) {
        if (step > 0)
            assert_int_equal(vr_run_step(run, step + 10), VR_OK);
        for (size_t i = 0; i < made_count; i++)
            assert_int_equal(vr_record_inputs(run, all[i].phase, all[i].layer, all[i].name, all[i].tensor,
                                              all[i].inputs, all[i].input_count),
                             VR_OK);
    }
}

static vr_run *begin(const char *path, size_t queue_bytes)
{
    vr_run *run;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.trace = path;
    options.filter = rules;
    options.queue_bytes = queue_bytes;
    assert_int_equal(vr_run_open(&run, &options), VR_OK);
    return run;
}

static void record_closed(const char *path)
{
    vr_run *run = begin(path, 65536);
    record_steps(run);
    assert_int_equal(vr_run_close(run), VR_OK);
}

/* A run that ends without a word, in a process of its own. */
static void record_left(const char *path)
{
    const pid_t child = fork();
    if (child == 0) {
        record_steps(begin(path, 65536));
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static vr_trace *open_trace(const char *path)
{
    vr_trace *trace;
    if (vr_trace_open(&trace, path) != VR_OK)
        fail_msg("%s", vr_error());
    return trace;
}

static void check_site(const vr_trace *trace, const vr_site *site, const made *expected)
{
    assert_int_equal(site->phase, expected->phase);
    assert_int_equal(site->dtype, expected->tensor.dtype);
    assert_int_equal(site->rank, expected->tensor.rank);
    assert_memory_equal(site->shape, expected->tensor.shape, sizeof(int64_t) * (size_t)site->rank);
    assert_int_equal(site->count, vr_tensor_count(&expected->tensor));
    assert_string_equal(site->layer, expected->layer);
    assert_string_equal(site->name, expected->name);
    assert_ptr_equal(site->layer, vr_trace_name(trace, site->layer_id));
    assert_ptr_equal(site->name, vr_trace_name(trace, site->name_id));
    assert_int_equal(site->input_count, expected->input_count);
    for (uint32_t i = 0; i < site->input_count; i++)
        assert_string_equal(vr_trace_name(trace, site->inputs[i]), expected->inputs[i]);
}

static void check_chunks(vr_trace *trace, const vr_trace_record *record, const vr_digest *chunks, int64_t count)
{
    vr_digest held[8];
    assert_int_equal(vr_site_chunks(&vr_trace_sites(trace)[record->site]), count);
    assert_true(count <= 8);
    assert_int_equal(vr_trace_read_chunks(trace, record, held), VR_OK);
    assert_memory_equal(held, chunks, (size_t)count * sizeof *held);
}

/* The values that a record holds, in pieces of 1000. */
static void *read_values(vr_trace *trace, const vr_trace_record *record, int64_t count, size_t size)
{
    uint8_t *values = malloc((size_t)count * size + 1);
    assert_non_null(values);
    for (int64_t first = 0; first < count; first += 1000) {
        const int64_t n = count - first < 1000 ? count - first : 1000;
        assert_int_equal(vr_trace_read_values(trace, record, first, n, values + (size_t)first * size), VR_OK);
    }
    assert_int_equal(vr_trace_read_values(trace, record, 0, count + 1, values), VR_ERROR_ARGUMENT);
    return values;
}

static void check_full(vr_trace *trace, const vr_trace_record *record, const vr_tensor *tensor)
{
    const int64_t count = vr_tensor_count(tensor);
    const size_t size = vr_dtype_size(tensor->dtype);
    uint8_t *values = read_values(trace, record, count, size), *packed = malloc((size_t)count * size + 1);
    assert_non_null(packed);
    vr_tensor_pack(packed, tensor, 0, count);
    assert_memory_equal(values, packed, (size_t)count * size);
    free(values);
    free(packed);
}

static void check_sample(vr_trace *trace, const vr_trace_record *record, const vr_tensor *tensor)
{
    const int64_t count = vr_tensor_count(tensor), kept = count < 64 ? count : 64;
    const size_t size = vr_dtype_size(tensor->dtype);
    int64_t positions[64];
    assert_int_equal(record->sample, kept);
    vr_sample_positions(positions, kept, count);
    uint8_t *values = read_values(trace, record, kept, size);
    for (int64_t i = 0; i < kept; i++) {
        uint8_t value[8];
        vr_tensor_pack(value, tensor, positions[i], 1);
        assert_memory_equal(values + (size_t)i * size, value, size);
    }
    free(values);
}

static void check_record(vr_trace *trace, const vr_trace_record *record, const made *expected)
{
    vr_digest digest, chunks[8], rows = {0, 0};
    vr_stats stats = {0};
    const bool has_stats = expected->level >= VR_LEVEL_STATS;
    assert_int_equal(vr_measure(&digest, has_stats ? &stats : NULL, chunks, &expected->tensor), VR_OK);
    if (expected->phase == VR_INPUT)
        assert_int_equal(vr_digest_rows(&rows, &expected->tensor), VR_OK);
    assert_int_equal(record->level, expected->level);
    assert_memory_equal(&record->digest, &digest, sizeof digest);
    assert_memory_equal(&record->rows, &rows, sizeof rows);
    assert_memory_equal(&record->stats, &stats, sizeof stats);
    assert_int_equal(record->thread, 0);
    check_site(trace, &vr_trace_sites(trace)[record->site], expected);
    if (expected->level >= VR_LEVEL_CHUNKS)
        check_chunks(trace, record, chunks, vr_chunk_count(&expected->tensor));
    else
        assert_int_equal(vr_trace_read_chunks(trace, record, chunks), VR_ERROR_ARGUMENT);
    if (expected->level == VR_LEVEL_FULL)
        check_full(trace, record, &expected->tensor);
    else if (expected->level == VR_LEVEL_SAMPLE)
        check_sample(trace, record, &expected->tensor);
    else
        assert_int_equal(vr_trace_read_values(trace, record, 0, 0, NULL), VR_ERROR_ARGUMENT);
}

static vr_trace_record *read_all(vr_trace *trace)
{
    const uint64_t count = vr_trace_get_info(trace)->record_count;
    vr_trace_record *records = calloc(count + 1, sizeof *records);
    assert_non_null(records);
    assert_int_equal(vr_trace_read_records(trace, 0, count, records), VR_OK);
    return records;
}

static void check_steps(const vr_trace *trace, bool closed)
{
    const vr_step *steps = vr_trace_steps(trace);
    assert_int_equal(vr_trace_get_info(trace)->step_count, STEPS);
    for (uint32_t i = 0; i < STEPS; i++) {
        assert_int_equal(steps[i].step, i);
        assert_int_equal(steps[i].epoch, i ? i + 10 : 0);
        assert_int_equal(steps[i].first, i * made_count);
        assert_int_equal(steps[i].count, made_count);
        assert_int_equal(steps[i].finished, closed || i + 1 < STEPS);
        assert_true(steps[i].start_ns <= steps[i].end_ns);
        assert_true(i == 0 || steps[i].start_ns == steps[i - 1].end_ns);
    }
}

/* Everything record_steps recorded, and nothing else. */
static void check_trace(vr_trace *trace, bool closed)
{
    const vr_trace_info *info = vr_trace_get_info(trace);
    assert_int_equal(info->closed, closed);
    assert_false(info->incomplete || info->live);
    assert_int_equal(info->damaged_bytes, 0);
    assert_string_equal(info->incomplete_reason, "");
    assert_int_equal(info->record_count, STEPS * made_count);
    assert_int_equal(info->site_count, made_count);
    check_steps(trace, closed);
    vr_trace_record *records = read_all(trace);
    for (uint64_t i = 0; i < info->record_count; i++) {
        assert_int_equal(records[i].step, i / made_count);
        assert_int_equal(records[i].epoch, i / made_count ? i / made_count + 10 : 0);
        check_record(trace, &records[i], &all[i % made_count]);
    }
    free(records);
}

static void test_closed_run_reads_back(void **state)
{
    (void)state;
    const char *path = scratch_path("closed.h5");
    record_closed(path);
    vr_trace *trace = open_trace(path);
    assert_false(vr_trace_get_info(trace)->journal);
    assert_string_equal(vr_trace_get_info(trace)->path, path);
    check_trace(trace, true);
    vr_trace_close(trace);
    assert_exists(scratch_path("closed.h5.journal"), 0);
}

static void test_left_journal_reads_back(void **state)
{
    (void)state;
    const char *path = scratch_path("left.h5");
    record_left(path);
    assert_exists(path, 0);
    vr_trace *trace = open_trace(path);
    assert_true(vr_trace_get_info(trace)->journal);
    check_trace(trace, false);
    vr_trace_close(trace);
}

static void test_written_journal_is_the_same_trace(void **state)
{
    (void)state;
    const char *path = scratch_path("recovered.h5");
    record_left(path);
    vr_trace *journal = open_trace(path);
    assert_int_equal(vr_trace_write(journal, path), VR_OK);
    vr_trace *written = open_trace(path);
    assert_false(vr_trace_get_info(written)->journal);
    check_trace(written, false);
    assert_string_equal(vr_trace_get_info(written)->run, vr_trace_get_info(journal)->run);
    vr_trace_record *before = read_all(journal), *after = read_all(written);
    assert_memory_equal(before, after, STEPS * made_count * sizeof *before);
    assert_memory_equal(vr_trace_steps(journal), vr_trace_steps(written), STEPS * sizeof(vr_step));
    free(before);
    free(after);
    vr_trace_close(journal);
    vr_trace_close(written);
}

static void test_live_run_can_be_read(void **state)
{
    (void)state;
    const char *path = scratch_path("live.h5");
    vr_run *run = begin(path, 65536);
    record_steps(run);
    vr_trace *trace = open_trace(path);
    assert_true(vr_trace_get_info(trace)->live);
    assert_int_equal(vr_trace_get_info(trace)->record_count, STEPS * made_count);
    assert_int_equal(vr_run_close(run), VR_OK);
    vr_trace_record *records = read_all(trace); /* its journal is gone, but still open */
    check_record(trace, &records[0], &all[0]);
    free(records);
    vr_trace_close(trace);
}

static void test_empty_run_reads_back(void **state)
{
    (void)state;
    const char *path = scratch_path("empty-run.h5");
    vr_run *run = begin(path, 0);
    assert_int_equal(vr_run_close(run), VR_OK);
    vr_trace *trace = open_trace(path);
    const vr_trace_info *info = vr_trace_get_info(trace);
    assert_int_equal(info->record_count + info->site_count + info->payload_bytes, 0);
    assert_int_equal(info->step_count, 1);
    assert_int_equal(vr_trace_read_records(trace, 0, 0, NULL), VR_OK);
    vr_trace_close(trace);
}

static void test_records_past_the_end_are_refused(void **state)
{
    (void)state;
    const char *path = scratch_path("past.h5");
    vr_trace_record record;
    record_closed(path);
    vr_trace *trace = open_trace(path);
    const uint64_t count = vr_trace_get_info(trace)->record_count;
    assert_int_equal(vr_trace_read_records(trace, count - 1, 1, &record), VR_OK);
    assert_int_equal(vr_trace_read_records(trace, count, 1, &record), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_trace_read_records(trace, 1, UINT64_MAX, &record), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_trace_read_records(trace, UINT64_MAX, 1, &record), VR_ERROR_ARGUMENT);
    vr_trace_close(trace);
}

static void test_write_that_fails_leaves_nothing(void **state)
{
    (void)state;
    const char *path = scratch_path("source.h5");
    record_closed(path);
    vr_trace *trace = open_trace(path);
    assert_int_equal(vr_trace_write(trace, scratch_path("no-such-folder/x.h5")), VR_ERROR_IO);
    assert_message("no-such-folder/x.h5");
    const char *folder = scratch_path("folder");
    assert_int_equal(mkdir(folder, 0777), 0);
    assert_int_equal(vr_trace_write(trace, folder), VR_ERROR_IO); /* a file does not replace a folder */
    assert_message(folder);
    assert_exists(scratch_path("folder.%ld.part", (long)getpid()), 0);
    vr_trace_close(trace);
}

static void test_phase_names(void **state)
{
    (void)state;
    for (int i = 1; i <= VR_PHASE_LAST; i++) {
        vr_phase phase;
        assert_int_equal(vr_phase_parse(&phase, vr_phase_name((vr_phase)i)), VR_OK);
        assert_int_equal(phase, i);
    }
    assert_string_equal(vr_phase_name(VR_GRADIENT), "gradient");
    assert_string_equal(vr_phase_name((vr_phase)0), "?");
    assert_string_equal(vr_phase_name((vr_phase)(VR_PHASE_LAST + 1)), "?");
    assert_string_equal(vr_phase_name((vr_phase)-1), "?");
}

static void test_level_names(void **state)
{
    (void)state;
    for (int i = 1; i <= VR_LEVEL_FULL; i++) {
        vr_level level;
        assert_int_equal(vr_level_parse(&level, vr_level_name((vr_level)i)), VR_OK);
        assert_int_equal(level, i);
    }
    assert_string_equal(vr_level_name(VR_LEVEL_OFF), "off");
    assert_string_equal(vr_level_name((vr_level)0), "?");
    assert_string_equal(vr_level_name((vr_level)(VR_LEVEL_FULL + 1)), "?");
}

static void test_unknown_names_are_refused(void **state)
{
    (void)state;
    static const char *const words[] = {"", "?", "Forward", "forward ", "fullest"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        vr_phase phase;
        vr_level level;
        assert_int_equal(vr_phase_parse(&phase, words[i]), VR_ERROR_ARGUMENT);
        assert_int_equal(vr_level_parse(&level, words[i]), VR_ERROR_ARGUMENT);
        assert_message(words[i]);
    }
}

static void test_sample_positions_ascend_in_range(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 2, 63, 64, 65, 1000, 90000, (int64_t)1 << 40, INT64_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int64_t n = sizes[i], k = n < 64 ? n : 64;
        int64_t positions[64], again[64];
        vr_sample_positions(positions, k, n);
        vr_sample_positions(again, k, n);
        assert_memory_equal(positions, again, (size_t)k * sizeof *positions);
        for (int64_t j = 0; j < k; j++) {
            assert_true(positions[j] >= (int64_t)((__int128)n * j / k));
            assert_true(positions[j] < (int64_t)((__int128)n * (j + 1) / k));
        }
    }
}

static void test_sample_of_all_is_all(void **state)
{
    (void)state;
    int64_t positions[500];
    vr_sample_positions(positions, 500, 500);
    for (int64_t i = 0; i < 500; i++)
        assert_int_equal(positions[i], i);
}

static void test_close_of_nothing(void **state)
{
    (void)state;
    vr_trace_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed_run_reads_back),
        cmocka_unit_test(test_left_journal_reads_back),
        cmocka_unit_test(test_written_journal_is_the_same_trace),
        cmocka_unit_test(test_live_run_can_be_read),
        cmocka_unit_test(test_empty_run_reads_back),
        cmocka_unit_test(test_records_past_the_end_are_refused),
        cmocka_unit_test(test_write_that_fails_leaves_nothing),
        cmocka_unit_test(test_phase_names),
        cmocka_unit_test(test_level_names),
        cmocka_unit_test(test_unknown_names_are_refused),
        cmocka_unit_test(test_sample_positions_ascend_in_range),
        cmocka_unit_test(test_sample_of_all_is_all),
        cmocka_unit_test(test_close_of_nothing),
    };
    return cmocka_run_group_tests(tests, make_all, scratch_teardown);
}
