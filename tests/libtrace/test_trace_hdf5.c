/* Files that are no trace, and traces that somebody has tampered with: a clean error that names the file, or success.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <hdf5.h>
#include <libtrace/journal.h>
#include <scratch.h>
#include <varanalyze/capture.h>

static const char *const datasets[] = {"run", "names", "sites", "inputs", "steps", "records", "payload"};
#define DATASETS (sizeof datasets / sizeof *datasets)

enum { TYPE_CHANGED, TWO_DIMENSIONS, SCALAR, NO_DIMENSIONS, CLAIMS_MUCH, GROUP, KINDS };

static float values[600];

/* A good trace of three steps, with a record of each level in each. */
static void record_good(const char *path)
{
    vr_run *run;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.trace = path;
    options.filter = "hash=hash,stats=stats,chunks=chunks,sample=sample,full=full";
    options.queue_bytes = 65536;
    assert_int_equal(vr_run_open(&run, &options), VR_OK);
    for (uint32_t step = 0; step < 3; step++) {
        if (step > 0)
            vr_run_step(run, 0);
        for (int level = VR_LEVEL_HASH; level <= VR_LEVEL_FULL; level++)
            assert_int_equal(vr_record(run, VR_FORWARD, vr_level_name((vr_level)level), "t",
                                       VR_TENSOR(VR_F32, values, 20, 30), "batch/x", NULL),
                             VR_OK);
    }
    assert_int_equal(vr_run_close(run), VR_OK);
}

static int make_good(void **state)
{
    for (int i = 0; i < 600; i++)
        values[i] = (float)i / 7;
    if (scratch_setup(state) != 0)
        return -1;
    record_good(scratch_path("good.h5"));
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return 0;
}

static const char *copy_good(void)
{
    const char *path = scratch_path("damaged.h5");
    copy_file(path, scratch_path("good.h5"));
    return path;
}

static void open_fails(const char *path, vr_status expected, const char *words)
{
    vr_trace *trace = NULL;
    const vr_status status = vr_trace_open(&trace, path);
    if (status != expected)
        fail_msg("%s: status %d, not %d (looking for \"%s\")", path, status, expected, words);
    assert_null(trace);
    assert_message(path);
    assert_message(words);
}

/* Reads all that a trace has; the first failure. */
static vr_status read_everything(const char *path)
{
    vr_trace *trace;
    vr_trace_record record;
    vr_digest chunk;
    float read[600];
    vr_status status = vr_trace_open(&trace, path);
    if (status != VR_OK)
        return status;
    for (uint64_t i = 0; status == VR_OK && i < vr_trace_get_info(trace)->record_count; i++) {
        status = vr_trace_read_records(trace, i, 1, &record);
        if (status == VR_OK && record.level >= VR_LEVEL_CHUNKS)
            status = vr_trace_read_chunks(trace, &record, &chunk);
        if (status == VR_OK && record.level >= VR_LEVEL_SAMPLE)
            status = vr_trace_read_values(trace, &record, 0, record.level == VR_LEVEL_FULL ? 600 : record.sample, read);
    }
    vr_trace_close(trace);
    return status;
}

static void read_fails(const char *path, vr_status expected, const char *words)
{
    const vr_status status = read_everything(path);
    if (status != expected)
        fail_msg("%s: status %d, not %d (looking for \"%s\")", path, status, expected, words);
    assert_message(path);
    assert_message(words);
}

static void fails_with_bytes(const char *name, const void *bytes, size_t size, const char *words)
{
    const char *path = scratch_path("%s", name);
    save_file(path, bytes, size);
    open_fails(path, VR_ERROR_FORMAT, words);
}

/* What records of level full hold: `expected`, or zeros for NULL. */
static void assert_values(const char *path, const float *expected)
{
    static const float zeros[600];
    vr_trace *trace;
    vr_trace_record record;
    float read[600];
    uint64_t full = 0;
    assert_int_equal(vr_trace_open(&trace, path), VR_OK);
    for (uint64_t i = 0; i < vr_trace_get_info(trace)->record_count; i++) {
        assert_int_equal(vr_trace_read_records(trace, i, 1, &record), VR_OK);
        if (record.level != VR_LEVEL_FULL)
            continue;
        full++;
        assert_int_equal(vr_trace_read_values(trace, &record, 0, 600, read), VR_OK);
        assert_memory_equal(read, expected ? expected : zeros, sizeof read);
        assert_int_equal(vr_trace_read_values(trace, &record, 300, 2, read), VR_OK);
        assert_memory_equal(read, (expected ? expected : zeros) + 300, 2 * sizeof *read);
    }
    assert_int_equal(full, 3);
    vr_trace_close(trace);
}

static void test_good_trace_reads(void **state)
{
    (void)state;
    assert_int_equal(read_everything(scratch_path("good.h5")), VR_OK);
    assert_values(scratch_path("good.h5"), values);
}

static void test_missing_file(void **state)
{
    (void)state;
    open_fails(scratch_path("nowhere.h5"), VR_ERROR_IO, "No such file");
}

static void test_directory(void **state)
{
    (void)state;
    open_fails(scratch_folder, VR_ERROR_FORMAT, "is a directory");
}

static void test_fifo(void **state)
{
    (void)state;
    const char *path = scratch_path("fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    open_fails(path, VR_ERROR_FORMAT, "not a regular file"); /* and does not wait for a writer */
}

static void test_other_kinds_of_files(void **state)
{
    (void)state;
    fails_with_bytes("empty", "", 0, "empty");
    fails_with_bytes("photo.jpg", "\xff\xd8\xff\xe0\0\x10JFIF", 10, "JPEG");
    fails_with_bytes("archive.zip", "PK\3\4\x14\0\0\0", 8, "zip");
    fails_with_bytes("one-byte", "x", 1, "not an HDF5 file");
    fails_with_bytes("binary", "\1\2\3\xfe\xff%s%n", 9, "starts with");
    fails_with_bytes("magic-only", "\x89HDF\r\n\x1a\n", 8, "HDF5");
    fails_with_bytes("journal-magic-only", VR_JOURNAL_MAGIC, 8, "cut off");
}

static void test_hdf5_that_is_no_trace(void **state)
{
    (void)state;
    const char *path = scratch_path("other.h5");
    H5Fclose(H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
    open_fails(path, VR_ERROR_FORMAT, "not a trace");
}

static void set_number(const char *path, const char *attribute, uint64_t value)
{
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    const hid_t at = H5Aopen(file, attribute, H5P_DEFAULT);
    assert_true(H5Awrite(at, H5T_NATIVE_UINT64, &value) >= 0);
    H5Aclose(at);
    H5Fclose(file);
}

static void test_newer_version(void **state)
{
    (void)state;
    const char *path = copy_good();
    set_number(path, "version", 2);
    open_fails(path, VR_ERROR_VERSION, "newer");
}

static void test_each_attribute_missing(void **state)
{
    (void)state;
    static const char *const attributes[] = {"format",     "version",         "closed",
                                             "incomplete", "incomplete_step", "damaged_bytes"};
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
        const char *path = copy_good();
        const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
        assert_true(H5Adelete(file, attributes[i]) >= 0);
        H5Fclose(file);
        open_fails(path, VR_ERROR_FORMAT, "trace");
    }
}

static void test_reason_of_incompleteness_missing(void **state)
{
    (void)state;
    const char *path = copy_good();
    set_number(path, "incomplete", 1);
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    H5Adelete(file, "incomplete_reason");
    H5Fclose(file);
    open_fails(path, VR_ERROR_FORMAT, "incomplete_reason");
}

static void test_each_dataset_missing(void **state)
{
    (void)state;
    for (size_t i = 0; i < DATASETS; i++) {
        const char *path = copy_good();
        const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
        assert_true(H5Ldelete(file, datasets[i], H5P_DEFAULT) >= 0);
        H5Fclose(file);
        open_fails(path, VR_ERROR_FORMAT, datasets[i]);
    }
}

static hid_t space_of_kind(int kind, hsize_t rows)
{
    switch (kind) {
    case TWO_DIMENSIONS:
        return H5Screate_simple(2, (hsize_t[]){rows, 1}, NULL);
    case SCALAR:
        return H5Screate(H5S_SCALAR);
    case NO_DIMENSIONS:
        return H5Screate(H5S_NULL);
    default:
        return H5Screate_simple(1, &(hsize_t){kind == CLAIMS_MUCH ? (hsize_t)1 << 40 : rows}, NULL);
    }
}

/* Puts something else in a dataset's place; of no kind (KINDS), the same, but nothing is stored. */
static void replace(const char *path, const char *name, int kind)
{
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), old = H5Dopen2(file, name, H5P_DEFAULT);
    const hid_t space = H5Dget_space(old), own = H5Dget_type(old);
    const hid_t type = kind == TYPE_CHANGED ? H5Tcopy(H5T_NATIVE_DOUBLE) : H5Tcopy(own);
    const hid_t other = space_of_kind(kind, (hsize_t)H5Sget_simple_extent_npoints(space));
    H5Dclose(old);
    H5Ldelete(file, name, H5P_DEFAULT);
    const hid_t made = kind == GROUP ? H5Gcreate2(file, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)
                                     : H5Dcreate2(file, name, type, other, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(made >= 0);
    H5Oclose(made);
    H5Sclose(other);
    H5Sclose(space);
    H5Tclose(type);
    H5Tclose(own);
    H5Fclose(file);
}

static void test_each_dataset_replaced(void **state)
{
    (void)state;
    for (size_t i = 0; i < DATASETS; i++)
        for (int kind = 0; kind < KINDS; kind++) {
            const char *path = copy_good();
            replace(path, datasets[i], kind);
            open_fails(path, VR_ERROR_FORMAT, datasets[i]);
        }
}

static void test_names_of_variable_length(void **state)
{
    (void)state;
    const char *path = copy_good();
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), type = H5Tcopy(H5T_C_S1);
    const hid_t space = H5Screate_simple(1, &(hsize_t){3}, NULL);
    H5Tset_size(type, H5T_VARIABLE);
    H5Ldelete(file, "names", H5P_DEFAULT);
    H5Dclose(H5Dcreate2(file, "names", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    H5Sclose(space);
    H5Tclose(type);
    H5Fclose(file);
    open_fails(path, VR_ERROR_FORMAT, "names");
}

/* As h5repack -f GZIP=1 leaves them. */
static void test_compressed_datasets_read(void **state)
{
    (void)state;
    const char *path = copy_good();
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    for (size_t i = 0; i < DATASETS; i++) {
        const hid_t old = H5Dopen2(file, datasets[i], H5P_DEFAULT), type = H5Dget_type(old), space = H5Dget_space(old);
        const hsize_t rows = (hsize_t)H5Sget_simple_extent_npoints(space);
        const hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
        void *bytes = malloc(rows * H5Tget_size(type));
        assert_true(H5Dread(old, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) >= 0);
        H5Pset_chunk(plist, 1, &rows);
        H5Pset_deflate(plist, 1);
        H5Ldelete(file, datasets[i], H5P_DEFAULT);
        const hid_t made = H5Dcreate2(file, datasets[i], type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
        assert_true(H5Dwrite(made, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) >= 0);
        free(bytes);
        H5Dclose(made);
        H5Pclose(plist);
        H5Sclose(space);
        H5Tclose(type);
        H5Dclose(old);
    }
    H5Fclose(file);
    assert_int_equal(read_everything(path), VR_OK);
    assert_values(path, values);
}

/* As h5jam leaves it. Behind a user block the library knows a place even for data that is not stored. */
static void test_user_block(void **state)
{
    (void)state;
    const char *path = scratch_path("block.h5");
    size_t size;
    uint8_t *good = load_file(scratch_path("good.h5"), &size), *bytes = calloc(1, size + 512);
    assert_non_null(bytes);
    memcpy(bytes + 512, good, size);
    save_file(path, bytes, size + 512);
    free(bytes);
    free(good);
    assert_values(path, values);
    replace(path, "payload", KINDS);
    assert_values(path, NULL);
}

static void test_payload_in_another_file(void **state)
{
    (void)state;
    const char *path = copy_good();
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), old = H5Dopen2(file, "payload", H5P_DEFAULT);
    const hid_t space = H5Dget_space(old), plist = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(plist, scratch_path("good.h5"), 0, H5F_UNLIMITED);
    H5Dclose(old);
    H5Ldelete(file, "payload", H5P_DEFAULT);
    const hid_t made = H5Dcreate2(file, "payload", H5T_NATIVE_UINT8, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    assert_true(made >= 0);
    H5Dclose(made);
    H5Pclose(plist);
    H5Sclose(space);
    H5Fclose(file);
    open_fails(path, VR_ERROR_FORMAT, "payload");
}

/* Bytes `at` to `at + size` of row `row` of a dataset become `bytes`. */
static void change_row(const char *path, const char *name, hsize_t row, size_t at, const void *bytes, size_t size)
{
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), set = H5Dopen2(file, name, H5P_DEFAULT);
    const hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    const size_t row_size = H5Tget_size(type);
    uint8_t *rows = malloc((size_t)H5Sget_simple_extent_npoints(space) * row_size);
    assert_true(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows) >= 0);
    memcpy(rows + row * row_size + at, bytes, size);
    assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows) >= 0);
    free(rows);
    H5Sclose(space);
    H5Tclose(type);
    H5Dclose(set);
    H5Fclose(file);
}

struct change {
    size_t at, size;
    uint64_t value[2];
};

#define CHANGE(type, member, ...)                                                                                      \
    {                                                                                                                  \
        offsetof(type, member), sizeof((type *)0)->member,                                                             \
        {                                                                                                              \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    }

static void test_malformed_sites(void **state)
{
    (void)state;
    static const struct change changes[] = {
        CHANGE(vr_site_row, phase, 0),
        CHANGE(vr_site_row, phase, VR_PHASE_LAST + 1),
        CHANGE(vr_site_row, dtype, 0),
        CHANGE(vr_site_row, dtype, VR_DTYPE_LAST + 1),
        CHANGE(vr_site_row, rank, VR_MAX_RANK + 1),
        CHANGE(vr_site_row, rank, 255),
        CHANGE(vr_site_row, shape[0], UINT64_MAX),
        CHANGE(vr_site_row, shape[1], (uint64_t)INT64_MIN),
        CHANGE(vr_site_row, shape[0], (uint64_t)1 << 62),
        CHANGE(vr_site_row, shape[0], INT64_MAX),
        CHANGE(vr_site_row, layer, 1000),
        CHANGE(vr_site_row, name, UINT32_MAX),
        CHANGE(vr_site_row, input_first, 1000),
        CHANGE(vr_site_row, input_count, UINT32_MAX),
        CHANGE(vr_site_row, input_first, UINT32_MAX),
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const char *path = copy_good();
        change_row(path, "sites", 2, changes[i].at, changes[i].value, changes[i].size);
        open_fails(path, VR_ERROR_FORMAT, "site");
    }
}

static void test_input_that_names_nothing(void **state)
{
    (void)state;
    const char *path = copy_good();
    change_row(path, "inputs", 1, 0, &(uint32_t){1000}, 4);
    open_fails(path, VR_ERROR_FORMAT, "site");
}

static void test_names_that_are_no_text(void **state)
{
    (void)state;
    static const char *const names[] = {"\x1b[", "\xff", "\x7f", "\n"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *path = copy_good();
        change_row(path, "names", 0, 0, names[i], strlen(names[i]));
        open_fails(path, VR_ERROR_FORMAT, "name");
    }
}

static void test_run_that_is_no_object(void **state)
{
    (void)state;
    static const char *const texts[] = {"[]", "{", "x", "\xff"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *path = copy_good();
        change_row(path, "run", 0, 0, texts[i], strlen(texts[i]) + 1);
        open_fails(path, VR_ERROR_FORMAT, "JSON");
    }
}

static void test_steps_that_do_not_chain(void **state)
{
    (void)state;
    static const struct change changes[] = {
        CHANGE(vr_step, first, 4),          CHANGE(vr_step, first, 6),          CHANGE(vr_step, count, 4),
        CHANGE(vr_step, count, UINT64_MAX), CHANGE(vr_step, first, UINT64_MAX), CHANGE(vr_step, step, 0),
        CHANGE(vr_step, step, 2),
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const char *path = copy_good();
        change_row(path, "steps", 1, changes[i].at, changes[i].value, changes[i].size);
        open_fails(path, VR_ERROR_FORMAT, "step");
    }
}

static void test_steps_that_do_not_cover_the_records(void **state)
{
    (void)state;
    static const uint64_t counts[] = {0, 4, 6, UINT64_MAX - 10};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const char *path = copy_good();
        change_row(path, "steps", 2, offsetof(vr_step, count), &counts[i], sizeof counts[i]);
        open_fails(path, VR_ERROR_FORMAT, "steps");
    }
}

static void test_malformed_records(void **state)
{
    (void)state;
    static const struct change changes[] = {
        CHANGE(vr_trace_record, site, 5),
        CHANGE(vr_trace_record, site, UINT32_MAX),
        CHANGE(vr_trace_record, level, 0),
        CHANGE(vr_trace_record, level, VR_LEVEL_OFF),
        CHANGE(vr_trace_record, level, VR_LEVEL_FULL + 1),
        CHANGE(vr_trace_record, payload, 1 << 20),
        CHANGE(vr_trace_record, payload, UINT64_MAX),
        CHANGE(vr_trace_record, payload, UINT64_MAX - 2415),
        CHANGE(vr_trace_record, step, 0),
        CHANGE(vr_trace_record, step, 2),
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const char *path = copy_good();
        change_row(path, "records", 9, changes[i].at, changes[i].value, changes[i].size); /* the full one of step 1 */
        read_fails(path, VR_ERROR_FORMAT, "record 9");
    }
}

static void test_sample_larger_than_the_tensor(void **state)
{
    (void)state;
    const char *path = copy_good();
    change_row(path, "records", 3, offsetof(vr_trace_record, sample), &(uint16_t){601}, 2);
    read_fails(path, VR_ERROR_FORMAT, "record 3");
}

static void test_level_above_what_the_payload_holds(void **state)
{
    (void)state;
    const char *path = copy_good();
    change_row(path, "records", 13, offsetof(vr_trace_record, level), &(uint8_t){VR_LEVEL_FULL}, 1);
    change_row(path, "records", 13, offsetof(vr_trace_record, payload), &(uint64_t){7000}, 8);
    read_fails(path, VR_ERROR_FORMAT, "record 13");
}

static void test_cut_off_file(void **state)
{
    (void)state;
    const char *path = copy_good();
    size_t size;
    free(load_file(path, &size));
    for (size_t length = size; length-- > 0;) {
        if (length % 97 != 0 && length > 600 && length + 600 < size)
            continue;
        assert_int_equal(truncate(path, (off_t)length), 0);
        assert_true(read_everything(path) < 0);
        assert_message(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_trace_reads),
        cmocka_unit_test(test_missing_file),
        cmocka_unit_test(test_directory),
        cmocka_unit_test(test_fifo),
        cmocka_unit_test(test_other_kinds_of_files),
        cmocka_unit_test(test_hdf5_that_is_no_trace),
        cmocka_unit_test(test_newer_version),
        cmocka_unit_test(test_each_attribute_missing),
        cmocka_unit_test(test_reason_of_incompleteness_missing),
        cmocka_unit_test(test_each_dataset_missing),
        cmocka_unit_test(test_each_dataset_replaced),
        cmocka_unit_test(test_names_of_variable_length),
        cmocka_unit_test(test_compressed_datasets_read),
        cmocka_unit_test(test_user_block),
        cmocka_unit_test(test_payload_in_another_file),
        cmocka_unit_test(test_malformed_sites),
        cmocka_unit_test(test_input_that_names_nothing),
        cmocka_unit_test(test_names_that_are_no_text),
        cmocka_unit_test(test_run_that_is_no_object),
        cmocka_unit_test(test_steps_that_do_not_chain),
        cmocka_unit_test(test_steps_that_do_not_cover_the_records),
        cmocka_unit_test(test_malformed_records),
        cmocka_unit_test(test_sample_larger_than_the_tensor),
        cmocka_unit_test(test_level_above_what_the_payload_holds),
        cmocka_unit_test(test_cut_off_file),
    };
    return cmocka_run_group_tests(tests, make_good, scratch_teardown);
}
