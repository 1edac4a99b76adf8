/* An HDF5 file inside a larger file reads as it does by itself; nothing around it is looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <formats/hdf5_file.h>
#include <scratch.h>

enum { ROWS = 3000, FILL = 0xa5 };

static int values[ROWS];

/* A file with a contiguous and a chunked, compressed dataset behind a user block, and links to what lies elsewhere. */
static void make_hdf5(const char *path, hsize_t user_block)
{
    const hid_t create = H5Pcreate(H5P_FILE_CREATE), chunked = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_userblock(create, user_block);
    H5Pset_chunk(chunked, 1, &(hsize_t){100});
    H5Pset_deflate(chunked, 1);
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, create, H5P_DEFAULT);
    const hid_t space = H5Screate_simple(1, &(hsize_t){ROWS}, NULL);
    const hid_t plain = H5Dcreate2(file, "plain", H5T_NATIVE_INT, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t packed = H5Dcreate2(file, "packed", H5T_NATIVE_INT, space, H5P_DEFAULT, chunked, H5P_DEFAULT);
    assert_true(H5Dwrite(plain, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    assert_true(H5Dwrite(packed, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    assert_true(H5Lcreate_external("other.h5", "/plain", file, "elsewhere", H5P_DEFAULT, H5P_DEFAULT) >= 0);
    H5Dclose(plain);
    H5Dclose(packed);
    H5Sclose(space);
    H5Pclose(create);
    H5Pclose(chunked);
    assert_true(H5Fclose(file) >= 0);
}

static int make_files(void **state)
{
    for (int i = 0; i < ROWS; i++)
        values[i] = i * 7 - 5;
    if (scratch_setup(state) != 0)
        return -1;
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    make_hdf5(scratch_path("file.h5"), 0);
    make_hdf5(scratch_path("other.h5"), 0);
    make_hdf5(scratch_path("user.h5"), 2048);
    return 0;
}

/* A file of `before` bytes, those of `inner` and `after` bytes; its descriptor, and the size of the inner one. */
static int embed(const char *inner, size_t before, size_t after, uint64_t *size)
{
    size_t n;
    uint8_t *bytes = load_file(scratch_path("%s", inner), &n), *all = malloc(before + n + after);
    memset(all, FILL, before + n + after);
    memcpy(all + before, bytes, n);
    save_file(scratch_path("outer"), all, before + n + after);
    free(bytes);
    free(all);
    *size = n;
    const int fd = open(scratch_path("outer"), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void has_values(hid_t file, const char *name)
{
    int read[ROWS];
    const hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    assert_true(set >= 0);
    assert_true(H5Dread(set, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, read) >= 0);
    assert_memory_equal(read, values, sizeof read);
    H5Dclose(set);
}

static hid_t open_inner(int fd, uint64_t offset, uint64_t size)
{
    hid_t file;
    if (vr_h5_open(&file, fd, offset, size, "inner") != VR_OK)
        fail_msg("%s", vr_error());
    return file;
}

static void reads_within(const char *inner, size_t before, size_t after)
{
    uint64_t size;
    const int fd = embed(inner, before, after, &size);
    const hid_t file = open_inner(fd, before, size);
    has_values(file, "plain");
    has_values(file, "packed");
    assert_true(H5Fclose(file) >= 0);
    close(fd);
}

static void test_anywhere(void **state)
{
    (void)state;
    reads_within("file.h5", 0, 0);
    reads_within("file.h5", 512, 1024);
    reads_within("file.h5", 4097, 0);
    reads_within("file.h5", 1, 1);
}

static void test_user_block(void **state)
{
    (void)state;
    reads_within("user.h5", 0, 0);
    reads_within("user.h5", 777, 5);
}

static void test_nothing_is_written(void **state)
{
    (void)state;
    uint64_t size;
    const int fd = embed("file.h5", 512, 512, &size);
    const hid_t file = open_inner(fd, 512, size);
    assert_true(H5Gcreate2(file, "new", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT) < 0);
    const hid_t set = H5Dopen2(file, "plain", H5P_DEFAULT);
    assert_true(H5Dwrite(set, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0);
    H5Dclose(set);
    const hid_t access = H5Fget_access_plist(file);
    assert_true(H5Fopen("inner", H5F_ACC_RDWR, access) < 0);
    assert_true(H5Fopen(scratch_path("other.h5"), H5F_ACC_RDONLY, access) < 0);
    H5Pclose(access);
    assert_true(H5Fclose(file) >= 0);
    close(fd);
}

static void test_external_links_lead_nowhere(void **state)
{
    (void)state;
    uint64_t size;
    const int fd = embed("file.h5", 0, 0, &size);
    const hid_t file = open_inner(fd, 0, size);
    assert_int_equal(chdir(scratch_path(".")), 0);
    assert_true(H5Dopen2(file, "elsewhere", H5P_DEFAULT) < 0);
    assert_true(H5Fclose(file) >= 0);
    close(fd);
}

/* The library keeps one file open for two users of the same bytes: each may close its descriptor when it likes. */
static void test_two_users(void **state)
{
    (void)state;
    uint64_t size;
    const int first = embed("file.h5", 512, 0, &size), second = open(scratch_path("outer"), O_RDONLY | O_CLOEXEC);
    const hid_t a = open_inner(first, 512, size), b = open_inner(second, 512, size);
    has_values(a, "plain");
    assert_true(H5Fclose(a) >= 0);
    close(first);
    has_values(b, "packed");
    has_values(b, "plain");
    assert_true(H5Fclose(b) >= 0);
    close(second);
}

static void is_refused(const char *inner, uint64_t offset, uint64_t size, const char *words)
{
    hid_t file = 5;
    const int fd = open(scratch_path("%s", inner), O_RDONLY | O_CLOEXEC);
    assert_int_equal(vr_h5_open(&file, fd, offset, size, "inner"), VR_ERROR_FORMAT);
    assert_true(file < 0);
    assert_message("inner: ");
    assert_message(words);
    close(fd);
}

static void test_cut_off(void **state)
{
    (void)state;
    uint64_t size;
    close(embed("file.h5", 512, 4096, &size));
    is_refused("outer", 512, size / 2, "damaged or cut-off HDF5 file: ");
    is_refused("outer", 512, size - 1, "damaged or cut-off HDF5 file: ");
    is_refused("outer", 512, 8, "damaged or cut-off HDF5 file: ");
    is_refused("outer", 512, 7, "not an HDF5 file: it starts with \"\\x89HDF\\x0d\\x0a\\x1a\"");
}

static void test_other_files(void **state)
{
    (void)state;
    uint64_t size;
    save_file(scratch_path("picture"), "\xff\xd8\xff\xe0\0\x10JFIF", 10);
    is_refused("picture", 0, 10, "not an HDF5 file: it is a JPEG image");
    is_refused("picture", 0, 0, "not an HDF5 file: it starts with \"\"");
    is_refused("picture", 6, 4, "it starts with \"JFIF\"");
    close(embed("file.h5", 100, 0, &size)); /* no place for a superblock */
    is_refused("outer", 0, size + 100, "not an HDF5 file: it starts with \"\\xa5");
}

static void test_quiet(void **state)
{
    (void)state;
    const vr_h5_quiet quiet = vr_h5_quiet_begin();
    assert_true(H5Fopen(scratch_path("nowhere.h5"), H5F_ACC_RDONLY, H5P_DEFAULT) < 0);
    assert_non_null(strstr(vr_h5_reason(), "nowhere.h5"));
    vr_h5_quiet_end(quiet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_anywhere),           cmocka_unit_test(test_user_block),
        cmocka_unit_test(test_nothing_is_written), cmocka_unit_test(test_external_links_lead_nowhere),
        cmocka_unit_test(test_two_users),          cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_other_files),        cmocka_unit_test(test_quiet),
    };
    return cmocka_run_group_tests(tests, make_files, scratch_teardown);
}
