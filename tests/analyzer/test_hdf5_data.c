/* Two datasets of any layouts, compared by va_h5_compare_data and by reading both whole through the library and giving
 * them to vr_compare. */
#include "hdf5_data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scratch.h"

#include <fcntl.h>
#include <formats/hdf5_chunk.h>
#include <formats/hdf5_file.h>
#include <math.h>
#include <unistd.h>
#include <varanalyze/random.h>

#define MOST 20000

enum layout { CONTIGUOUS, COMPACT, CHUNKED, OTHER_CHUNKS, DEFLATE, SHUFFLE, CHECKSUM, ALL_FILTERS, NBIT, LAYOUTS };

static const va_h5_options plain = {.tolerance = VR_TOLERANCE_INIT};

static hid_t plist_of(enum layout layout, int rank, const hsize_t *dims)
{
    const hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t chunk[4];
    for (int d = 0; d < rank; d++)
        chunk[d] = (dims[d] + 2) / 3 + (layout == OTHER_CHUNKS && dims[d] > 1);
    if (layout == COMPACT)
        H5Pset_layout(plist, H5D_COMPACT);
    if (layout >= CHUNKED)
        H5Pset_chunk(plist, rank, chunk);
    if (layout == CHECKSUM)
        H5Pset_fletcher32(plist);
    if (layout == SHUFFLE || layout == ALL_FILTERS)
        H5Pset_shuffle(plist);
    if (layout == DEFLATE || layout == SHUFFLE || layout == ALL_FILTERS)
        H5Pset_deflate(plist, 4);
    if (layout == ALL_FILTERS)
        H5Pset_fletcher32(plist);
    if (layout == NBIT)
        H5Pset_nbit(plist);
    return plist;
}

static void write_file(const char *path, enum layout layout, hid_t type, hid_t memory, int rank, const hsize_t *dims,
                       const void *elements)
{
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t space = rank ? H5Screate_simple(rank, dims, NULL) : H5Screate(H5S_SCALAR);
    const hid_t plist = plist_of(layout, rank, dims);
    const hid_t set = H5Dcreate2(file, "x", type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    assert_true(set >= 0);
    if (elements)
        assert_true(H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, elements) >= 0);
    H5Dclose(set);
    H5Pclose(plist);
    H5Sclose(space);
    H5Fclose(file);
}

typedef struct opened {
    vr_source source;
    hid_t file;
    va_h5_side side;
} opened;

static void open_set(opened *o, const char *path)
{
    o->source = (vr_source){.name = (char *)path, .fd = open(path, O_RDONLY)};
    o->source.size = (uint64_t)lseek(o->source.fd, 0, SEEK_END);
    assert_int_equal(vr_h5_open(&o->file, o->source.fd, 0, o->source.size, path), VR_OK);
    o->side = (va_h5_side){H5Dopen2(o->file, "x", H5P_DEFAULT), &o->source, "/x"};
    assert_true(o->side.dataset >= 0);
}

static void close_set(opened *o)
{
    H5Dclose(o->side.dataset);
    assert_int_equal(H5Fget_obj_count(o->file, H5F_OBJ_ALL), 1);
    H5Fclose(o->file);
    close(o->source.fd);
}

static vr_status compare_files(va_h5_result *out, const char *a, const char *b, const va_h5_options *options)
{
    opened x, y;
    open_set(&x, a);
    open_set(&y, b);
    const vr_status status = va_h5_compare_data(out, &x.side, &y.side, options);
    close_set(&x);
    close_set(&y);
    return status;
}

static void assert_result(const va_h5_result *r, const void *a, const void *b, vr_dtype dtype, uint64_t n,
                          const va_h5_options *options)
{
    const vr_tensor x = vr_tensor_of(dtype, a, 1, (int64_t[]){(int64_t)n});
    const vr_tensor y = vr_tensor_of(dtype, b, 1, (int64_t[]){(int64_t)n});
    vr_comparison c;
    assert_int_equal(vr_compare(&c, &x, &y, &options->tolerance), VR_OK);
    assert_int_equal(r->count, n);
    assert_int_equal(r->different, c.count - c.within);
    assert_int_equal(r->unequal, c.count - c.equal);
    assert_int_equal(r->first, c.first);
    assert_int_equal(r->nan_mismatch, c.nan_mismatch);
    assert_true(r->max_abs == c.max_abs && r->max_rel == c.max_rel && r->max_ulp == c.max_ulp);
    assert_int_equal(r->has_statistics, options->statistics && n > 0);
    if (!r->has_statistics)
        return;
    assert_int_equal(r->statistics.count, c.count);
    assert_int_equal(r->statistics.within, c.within);
    assert_true(fabs(r->statistics.mean_abs - c.mean_abs) <= 1e-12 * c.mean_abs);
    assert_true(fabs(r->statistics.a_l2 - c.a_l2) <= 1e-12 * c.a_l2);
}

typedef struct number {
    hid_t file, memory;
    vr_dtype dtype;
} number;

static void fill(vr_random *random, const number *kind, void *a, void *b, uint64_t n, unsigned rarity)
{
    const size_t size = vr_dtype_size(kind->dtype);
    for (uint64_t i = 0; i < n; i++) {
        const double value = 200 * vr_random_uniform(random) - 100;
        uint64_t x = 0;
        vr_from_f64(&x, kind->dtype, &value, 1);
        memcpy((char *)a + i * size, &x, size);
        if (rarity && vr_random_below(random, rarity) == 0)
            x ^= 1 + vr_random_below(random, 3);
        memcpy((char *)b + i * size, &x, size);
    }
}

static void test_layouts_types_and_options(void **state)
{
    (void)state;
    const char *path_a = scratch_path("a.h5"), *path_b = scratch_path("b.h5");
    const number kinds[] = {
        {H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, VR_F32},  {H5T_IEEE_F32BE, H5T_NATIVE_FLOAT, VR_F32},
        {H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, VR_F64}, {H5T_STD_I16BE, H5T_NATIVE_INT16, VR_I16},
        {H5T_STD_U8LE, H5T_NATIVE_UINT8, VR_U8},     {H5T_STD_I64LE, H5T_NATIVE_INT64, VR_I64},
    };
    static char a[MOST * 8], b[MOST * 8];
    vr_random random = vr_random_stream(2, 0);
    for (int round = 0; round < 400; round++) {
        const number *kind = &kinds[vr_random_below(&random, sizeof kinds / sizeof *kinds)];
        const int rank = 1 + (int)vr_random_below(&random, 4);
        const enum layout layout = (enum layout)vr_random_below(&random, LAYOUTS);
        const enum layout other = vr_random_below(&random, 3) ? layout : (enum layout)vr_random_below(&random, LAYOUTS);
        const bool small = layout == COMPACT || other == COMPACT;
        hsize_t dims[4], n = 1;
        for (int d = 0; d < rank; d++)
            n *= dims[d] = 1 + vr_random_below(&random, rank == 1 ? (small ? 1000 : MOST) : small ? 5 : 11);
        static const unsigned rarities[] = {0, 1, 100, 5000};
        fill(&random, kind, a, b, n, rarities[vr_random_below(&random, 4)]);
        write_file(path_a, layout, kind->file, kind->memory, rank, dims, a);
        write_file(path_b, other, kind->file, kind->memory, rank, dims, b);
        va_h5_options options = plain;
        options.statistics = vr_random_below(&random, 2);
        if (vr_random_below(&random, 2))
            options.tolerance.ulp = (int64_t)vr_random_below(&random, 3);
        va_h5_result r;
        assert_int_equal(compare_files(&r, path_a, path_b, &options), VR_OK);
        assert_result(&r, a, b, kind->dtype, n, &options);
        assert_int_equal(*r.value[0] != 0, r.first >= 0);
    }
}

/* Larger than a box, a batch of boxes, and what one thread takes. */
static void test_large(void **state)
{
    (void)state;
    const char *path_a = scratch_path("a.h5"), *path_b = scratch_path("b.h5");
    const hsize_t n = (hsize_t)30 << 20, late = n - 5;
    float *a = calloc(n, sizeof *a);
    write_file(path_a, CONTIGUOUS, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 1, &n, a);
    a[late] = 1;
    a[7] = -2;
    write_file(path_b, CONTIGUOUS, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 1, &n, a);
    va_h5_result r;
    assert_int_equal(compare_files(&r, path_a, path_b, &plain), VR_OK);
    assert_int_equal(r.count, n);
    assert_int_equal(r.different, 2);
    assert_int_equal(r.first, 7);
    assert_true(r.max_abs == 2);
    assert_string_equal(r.value[1], "-2");
    va_h5_options stop = plain;
    stop.stop = 1;
    assert_int_equal(compare_files(&r, path_a, path_b, &stop), VR_OK);
    assert_true(r.different == 1 && r.count < n);
    free(a);
}

static void write_sparse(const char *path, const hsize_t *dims, const hsize_t *chunk, const hsize_t *at, double fill)
{
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t plist = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(2, dims, NULL);
    H5Pset_chunk(plist, 2, chunk);
    H5Pset_fill_value(plist, H5T_NATIVE_DOUBLE, &fill);
    const hid_t set = H5Dcreate2(file, "x", H5T_IEEE_F64LE, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    const double value = 3;
    if (at) {
        const hid_t one = H5Screate(H5S_SCALAR);
        H5Sselect_elements(space, H5S_SELECT_SET, 1, at);
        assert_true(H5Dwrite(set, H5T_NATIVE_DOUBLE, one, space, H5P_DEFAULT, &value) >= 0);
        H5Sclose(one);
    }
    H5Dclose(set);
    H5Sclose(space);
    H5Pclose(plist);
    H5Fclose(file);
}

/* Whether few chunks of many are there, or of few, or none, the elements in no chunk count. */
static void test_sparse(void **state)
{
    (void)state;
    const char *path_a = scratch_path("a.h5"), *path_b = scratch_path("b.h5");
    static const hsize_t extents[][2] = {{50, 70}, {(hsize_t)1 << 31, (hsize_t)1 << 20}};
    static const hsize_t at[] = {33, 61}, chunk[] = {10, 16};
    for (int i = 0; i < 2; i++) {
        const hsize_t *dims = extents[i], n = dims[0] * dims[1];
        va_h5_result r;
        write_sparse(path_a, dims, chunk, at, 0);
        write_sparse(path_b, dims, chunk, at, 0);
        assert_int_equal(compare_files(&r, path_a, path_b, &plain), VR_OK);
        assert_true(r.count == n && r.different == 0 && r.first == -1);
        write_sparse(path_b, dims, chunk, NULL, 0);
        assert_int_equal(compare_files(&r, path_a, path_b, &plain), VR_OK);
        assert_true(r.count == n && r.different == 1 && r.first == (int64_t)(33 * dims[1] + 61) && r.max_abs == 3);
        write_sparse(path_b, dims, chunk, at, 1);
        assert_int_equal(compare_files(&r, path_a, path_b, &plain), VR_OK);
        assert_true(r.count == n && r.different == n - 1 && r.first == 0);
        write_sparse(path_a, dims, chunk, NULL, 0);
        write_sparse(path_b, dims, chunk, NULL, 0);
        assert_int_equal(compare_files(&r, path_a, path_b, &plain), VR_OK);
        assert_true(r.count == n && r.different == 0);
    }
}

static void test_scalar_and_empty(void **state)
{
    (void)state;
    const char *path_a = scratch_path("a.h5"), *path_b = scratch_path("b.h5");
    va_h5_result r;
    write_file(path_a, CONTIGUOUS, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 0, NULL, &(double){1});
    write_file(path_b, CONTIGUOUS, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 0, NULL, &(double){1.5});
    assert_int_equal(compare_files(&r, path_a, path_b, &plain), VR_OK);
    assert_true(r.count == 1 && r.different == 1 && r.first == 0 && r.max_abs == 0.5);
    write_file(path_a, CONTIGUOUS, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 2, (hsize_t[]){3, 0}, NULL);
    assert_int_equal(compare_files(&r, path_a, path_b, &plain), VR_ERROR_SHAPE);
    write_file(path_b, CONTIGUOUS, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, 2, (hsize_t[]){3, 0}, NULL);
    assert_int_equal(compare_files(&r, path_a, path_b, &plain), VR_OK);
    assert_true(r.count == 0 && r.different == 0);
}

/* Behind a user block: stored or not, contiguous data is what its dataset says. */
static void test_user_block(void **state)
{
    (void)state;
    const char *paths[] = {scratch_path("a.h5"), scratch_path("b.h5")};
    const float fill = 7, elements[] = {7, 7, 7, 7};
    for (int i = 0; i < 2; i++) {
        const hid_t created = H5Pcreate(H5P_FILE_CREATE), plist = H5Pcreate(H5P_DATASET_CREATE);
        H5Pset_userblock(created, 512);
        H5Pset_fill_value(plist, H5T_NATIVE_FLOAT, &fill);
        const hid_t file = H5Fcreate(paths[i], H5F_ACC_TRUNC, created, H5P_DEFAULT);
        const hid_t space = H5Screate_simple(1, (hsize_t[]){4}, NULL);
        const hid_t set = H5Dcreate2(file, "x", H5T_IEEE_F32LE, space, H5P_DEFAULT, plist, H5P_DEFAULT);
        if (i)
            assert_true(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, elements) >= 0);
        H5Dclose(set);
        H5Sclose(space);
        H5Fclose(file);
        H5Pclose(plist);
        H5Pclose(created);
    }
    va_h5_result r;
    assert_int_equal(compare_files(&r, paths[0], paths[1], &plain), VR_OK);
    assert_true(r.count == 4 && r.unequal == 0);
    assert_int_equal(compare_files(&r, paths[1], paths[0], &plain), VR_OK);
    assert_true(r.count == 4 && r.unequal == 0);
}

static void write_virtual(const char *path, const char *source)
{
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t space = H5Screate_simple(1, (hsize_t[]){4}, NULL), plist = H5Pcreate(H5P_DATASET_CREATE);
    assert_true(H5Pset_virtual(plist, space, source, "x", space) >= 0);
    const hid_t set = H5Dcreate2(file, "x", H5T_IEEE_F32LE, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    assert_true(set >= 0);
    H5Dclose(set);
    H5Pclose(plist);
    H5Sclose(space);
    H5Fclose(file);
}

/* What a virtual dataset holds is in another file: that is read where it is wished, and else nothing is compared. */
static void test_virtual(void **state)
{
    (void)state;
    const char *paths[] = {scratch_path("a.h5"), scratch_path("b.h5")};
    const char *sources[] = {scratch_path("a-source.h5"), scratch_path("b-source.h5")};
    const float elements[][4] = {{1, 2, 3, 4}, {1, 2, 3, 5}};
    for (int i = 0; i < 2; i++) {
        write_file(sources[i], CONTIGUOUS, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 1, (hsize_t[]){4}, elements[i]);
        write_virtual(paths[i], sources[i]);
    }
    va_h5_options options = plain;
    va_h5_result r;
    assert_int_equal(compare_files(&r, paths[0], paths[1], &options), VR_ERROR_UNSUPPORTED);
    options.follow = true;
    vr_h5_follow(true);
    assert_int_equal(compare_files(&r, paths[0], paths[1], &options), VR_OK);
    assert_true(r.count == 4 && r.different == 1 && r.first == 3 && r.max_abs == 1);
    vr_h5_follow(false);
}

/* Differences of 64-bit integers are theirs, not those of the doubles next to them. */
static void test_wide_integers(void **state)
{
    (void)state;
    const char *path_a = scratch_path("a.h5"), *path_b = scratch_path("b.h5");
    const int64_t a[] = {INT64_MAX - 3, 5, INT64_MIN}, b[] = {INT64_MAX - 2, 5, INT64_MAX};
    const double bounds[] = {0, 1};
    for (enum layout layout = CONTIGUOUS; layout <= NBIT; layout += NBIT)
        for (int i = 0; i < 2; i++) {
            va_h5_options options = plain;
            va_h5_result r;
            options.tolerance.absolute = bounds[i];
            write_file(path_a, layout, H5T_STD_I64LE, H5T_NATIVE_INT64, 1, (hsize_t[]){3}, a);
            write_file(path_b, layout, H5T_STD_I64LE, H5T_NATIVE_INT64, 1, (hsize_t[]){3}, b);
            assert_int_equal(compare_files(&r, path_a, path_b, &options), VR_OK);
            assert_true(r.unequal == 2 && r.different == 2 - (uint64_t)i && r.max_abs == 0x1p64);
            assert_int_equal(r.max_ulp, UINT64_MAX);
        }
}

/* One byte of the compressed data is another: what is damaged is said, and nothing compared. */
static void test_damaged_chunk(void **state)
{
    (void)state;
    const char *path_a = scratch_path("a.h5"), *path_b = scratch_path("b.h5");
    const hsize_t n = 3000, start = 0;
    float *a = calloc(n, sizeof *a);
    for (hsize_t i = 0; i < n; i++)
        a[i] = (float)(i * 2654435761u % 1000);
    for (enum layout layout = DEFLATE; layout <= ALL_FILTERS; layout++) {
        write_file(path_a, layout, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 1, &n, a);
        write_file(path_b, layout, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, 1, &n, a);
        opened o;
        vr_h5_chunk chunk;
        open_set(&o, path_b);
        assert_int_equal(vr_h5_chunk_find(&chunk, o.side.dataset, &start), VR_OK);
        close_set(&o);
        const int fd = open(path_b, O_RDWR);
        unsigned char byte;
        const off_t at = (off_t)(chunk.offset + chunk.bytes / 2);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0xff;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        close(fd);
        va_h5_result r;
        assert_int_equal(compare_files(&r, path_a, path_b, &plain), VR_ERROR_FORMAT);
        assert_message("b.h5: /x: damaged");
    }
    free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts_types_and_options),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_sparse),
        cmocka_unit_test(test_scalar_and_empty),
        cmocka_unit_test(test_user_block),
        cmocka_unit_test(test_virtual),
        cmocka_unit_test(test_wide_integers),
        cmocka_unit_test(test_damaged_chunk),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
