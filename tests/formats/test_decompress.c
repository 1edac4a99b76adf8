/* Files as the compression programs write them come out as they went in; damaged ones are refused, at every length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>

#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <formats/decompress.h>
#include <scratch.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { LARGE = 700000, LIMIT = 1 << 20 };

/* Bytes that are compressed, but not to nothing. */
static int make_files(void **state)
{
    static uint8_t large[LARGE];
    uint32_t x = 1;
    if (scratch_setup(state) != 0)
        return -1;
    for (int i = 0; i < LARGE; i++) {
        x = x * 1664525 + 1013904223;
        large[i] = (uint8_t)(x >> 28);
    }
    save_file(scratch_path("large"), large, LARGE);
    save_file(scratch_path("small"), "one line\n", 9);
    save_file(scratch_path("nothing"), "", 0);
    return 0;
}

static bool has_program(const char *program)
{
    char command[64];
    snprintf(command, sizeof command, "command -v %s >/dev/null", program);
    return system(command) == 0;
}

static void need_program(const char *program)
{
    if (has_program(program))
        return;
    fprintf(stderr, "no %s here: its files are not tested\n", program);
    skip();
}

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void shell(const char *format, ...)
{
    char command[512];
    int used = snprintf(command, sizeof command, "cd %s && ", scratch_folder);
    va_list args;
    va_start(args, format);
    vsnprintf(command + used, sizeof command - (size_t)used, format, args);
    va_end(args);
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

static vr_status try(const char *name, uint64_t limit, int *out, uint64_t *size)
{
    const int fd = open(scratch_path("%s", name), O_RDONLY);
    assert_true(fd >= 0);
    const vr_status status = vr_decompress(out, size, fd, name, limit, NULL, NULL);
    close(fd);
    return status;
}

static void comes_out(const char *name, const char *as, uint64_t limit)
{
    int fd;
    uint64_t size;
    size_t expected;
    uint8_t *original = load_file(scratch_path("%s", as), &expected);
    if (try(name, limit, &fd, &size) != VR_OK)
        fail_msg("%s", vr_error());
    assert_int_equal(size, expected);
    uint8_t *bytes = malloc(size + 1);
    assert_int_equal(pread(fd, bytes, size + 1, 0), size);
    assert_memory_equal(bytes, original, size);
    close(fd);
    free(bytes);
    free(original);
}

static void is_refused(const char *name, vr_status expected, const char *words)
{
    int fd;
    uint64_t size;
    const vr_status status = try(name, LIMIT, &fd, &size);
    if (status != expected)
        fail_msg("%s: status %d, not %d (looking for \"%s\")", name, status, expected, words);
    assert_message(name);
    assert_message(words);
}

static void every_cut_is_refused(const char *name)
{
    size_t size;
    uint8_t *bytes = load_file(scratch_path("%s", name), &size);
    const size_t step = size > 200 ? size / 50 : 1;
    for (size_t n = 0; n < size; n += step) {
        save_file(scratch_path("cut"), bytes, n);
        is_refused("cut", VR_ERROR_FORMAT, "");
    }
    free(bytes);
}

/* Flips a bit `from_end` bytes before the end. */
static void flip(const char *name, const char *to, size_t from_end)
{
    size_t size;
    uint8_t *bytes = load_file(scratch_path("%s", name), &size);
    bytes[size - from_end] ^= 1;
    save_file(scratch_path("%s", to), bytes, size);
    free(bytes);
}

static void check_program(const char *program)
{
    need_program(program);
    shell("%s -c <large >large.z && %s -c <small >small.z && %s -c <nothing >nothing.z", program, program, program);
    comes_out("large.z", "large", LIMIT);
    comes_out("large.z", "large", LARGE);
    comes_out("large.z", "large", LARGE - 1);
    comes_out("large.z", "large", 0);
    comes_out("small.z", "small", LIMIT);
    is_refused("nothing.z", VR_ERROR_FORMAT, "nothing comes out");
    every_cut_is_refused("small.z");
    every_cut_is_refused("large.z");
    flip("large.z", "damaged.z", LARGE / 10);
    is_refused("damaged.z", VR_ERROR_FORMAT, "damaged");
    shell("cat small large small >both && cat small.z large.z small.z >both.z");
    comes_out("both.z", "both", LIMIT);
    shell("(cat small.z; head -c 600000 /dev/zero) >padded.z"); /* as tapes do */
    if (strcmp(program, "zstd") != 0)
        comes_out("padded.z", "small", LIMIT);
    shell("(cat small.z; head -c 600000 /dev/zero; echo and something else) >garbage.z");
    is_refused("garbage.z", VR_ERROR_FORMAT, "damaged");
    shell("(cat small.z; echo and something else) >garbage.z");
    is_refused("garbage.z", VR_ERROR_FORMAT, "damaged");
}

static void test_gzip(void **state)
{
    (void)state;
    check_program("gzip");
}

static void test_zstd(void **state)
{
    (void)state;
    check_program("zstd");
}

static void test_xz(void **state)
{
    (void)state;
    check_program("xz");
}

static void test_lz4(void **state)
{
    (void)state;
    check_program("lz4");
}

static void test_bzip2(void **state)
{
    (void)state;
    check_program("bzip2");
}

static void test_gzip_checksums(void **state)
{
    (void)state;
    need_program("gzip");
    shell("gzip -c <large >large.z");
    flip("large.z", "check.z", 6);
    is_refused("check.z", VR_ERROR_FORMAT, "damaged or cut-off gzip data: incorrect data check");
    flip("large.z", "length.z", 3);
    is_refused("length.z", VR_ERROR_FORMAT, "damaged or cut-off gzip data: incorrect length check");
}

/* What was compressed twice is decompressed once: what comes out is not looked at. */
static void test_one_layer(void **state)
{
    (void)state;
    need_program("gzip");
    shell("gzip -c <large >once.z && gzip -c <once.z >twice.z");
    comes_out("twice.z", "once.z", LIMIT);
}

static void test_other_files(void **state)
{
    (void)state;
    is_refused("small", VR_ERROR_FORMAT, "not a compressed file");
    is_refused("nothing", VR_ERROR_FORMAT, "not a compressed file");
    assert_null(vr_compression("BZ", 2));
    assert_null(vr_compression("BZhang/run1.h5\0\0", 16));
    assert_null(vr_compression("BZh9/1AY&SY.h5\0\0", 16));
    assert_string_equal(vr_compression("\x28\xb5\x2f\xfd", 4), "zstd");
}

static void test_start(void **state)
{
    (void)state;
    char start[100];
    need_program("gzip");
    shell("gzip -c <large >large.z && gzip -c <small >small.z");
    size_t bytes = sizeof start, size;
    uint8_t *original = load_file(scratch_path("large"), &size);
    int fd = open(scratch_path("large.z"), O_RDONLY);
    assert_int_equal(vr_decompress_start(start, &bytes, fd, "large.z"), VR_OK);
    assert_int_equal(bytes, sizeof start);
    assert_memory_equal(start, original, sizeof start);
    close(fd);
    free(original);
    fd = open(scratch_path("small.z"), O_RDONLY);
    assert_int_equal(vr_decompress_start(start, &bytes, fd, "small.z"), VR_OK);
    assert_int_equal(bytes, 9);
    close(fd);
}

static void count_progress(void *context, const char *name, uint64_t done, uint64_t total)
{
    uint64_t *last = context;
    assert_string_equal(name, "large.z");
    assert_true(done >= *last && done <= total);
    *last = done;
}

static void test_progress(void **state)
{
    (void)state;
    int out;
    uint64_t size, last = 0;
    struct stat info;
    need_program("gzip");
    shell("gzip -c <large >large.z");
    const int fd = open(scratch_path("large.z"), O_RDONLY);
    assert_int_equal(vr_decompress(&out, &size, fd, "large.z", LIMIT, count_progress, &last), VR_OK);
    assert_int_equal(fstat(fd, &info), 0);
    assert_int_equal(last, info.st_size);
    close(out);
    close(fd);
}

static int files_in(const char *folder)
{
    char command[300];
    int count = -1;
    snprintf(command, sizeof command, "find %s -type f | wc -l", folder);
    FILE *pipe = popen(command, "r");
    assert_int_equal(fscanf(pipe, "%d", &count), 1);
    pclose(pipe);
    return count;
}

/* A limit on file sizes stands in for a full disk. */
static void test_no_room(void **state)
{
    (void)state;
    int status;
    need_program("gzip");
    shell("gzip -c <large >large.z && mkdir room");
    const pid_t child = fork();
    if (child == 0) {
        int out;
        uint64_t size;
        signal(SIGXFSZ, SIG_IGN);
        setenv("TMPDIR", scratch_path("room"), 1);
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){100000, 100000});
        const bool refused = try("large.z", 50000, &out, &size) == VR_ERROR_IO;
        _exit(refused && strstr(vr_error(), "TMPDIR") && strstr(vr_error(), "large.z") ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(files_in(scratch_path("room")), 0);
    setenv("TMPDIR", scratch_path("nowhere"), 1);
    int out;
    uint64_t size;
    assert_int_equal(try("large.z", 50000, &out, &size), VR_ERROR_IO);
    assert_message("nowhere");
    comes_out("large.z", "large", LIMIT); /* in memory */
    unsetenv("TMPDIR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gzip),      cmocka_unit_test(test_zstd),        cmocka_unit_test(test_xz),
        cmocka_unit_test(test_lz4),       cmocka_unit_test(test_bzip2),       cmocka_unit_test(test_gzip_checksums),
        cmocka_unit_test(test_one_layer), cmocka_unit_test(test_other_files), cmocka_unit_test(test_start),
        cmocka_unit_test(test_progress),  cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, make_files, scratch_teardown);
}
