/* Chunks written through the HDF5 library, found and decoded without it. */
#include "hdf5_chunk.h"
#include "hdf5_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scratch.h"

#include <fcntl.h>
#include <unistd.h>
#include <varanalyze/random.h>

enum { SHUFFLE = 1, DEFLATE = 2, CHECKSUM = 4, CHECKSUM_FIRST = 8, COMBINATIONS = 16 };

#define ROWS 7 /* chunks in each dimension */

static hid_t plist_of(int filters, const hsize_t chunk[2])
{
    const hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(plist, 2, chunk);
    if (filters & CHECKSUM_FIRST)
        H5Pset_fletcher32(plist);
    if (filters & SHUFFLE)
        H5Pset_shuffle(plist);
    if (filters & DEFLATE)
        H5Pset_deflate(plist, 1);
    if (filters & CHECKSUM)
        H5Pset_fletcher32(plist);
    return plist;
}

static void write_chunks(const char *path, hid_t type, int filters, const hsize_t chunk[2], const uint8_t *bytes)
{
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t space = H5Screate_simple(2, (hsize_t[]){ROWS * chunk[0], ROWS * chunk[1]}, NULL);
    const hid_t plist = plist_of(filters, chunk);
    const hid_t set = H5Dcreate2(file, "x", type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    assert_true(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes) >= 0);
    H5Dclose(set);
    H5Pclose(plist);
    H5Sclose(space);
    H5Fclose(file);
}

/* The bytes of the chunk at (row, column) of chunks. */
static void cut(uint8_t *out, const uint8_t *all, const hsize_t chunk[2], size_t element, hsize_t row, hsize_t column)
{
    const size_t line = ROWS * chunk[1] * element, part = chunk[1] * element;
    for (hsize_t i = 0; i < chunk[0]; i++)
        memcpy(out + i * part, all + (row * chunk[0] + i) * line + column * part, part);
}

/* No shorter or longer raw chunk may pass for one, and a flipped byte may not where there is a checksum. */
static void damage(vr_h5_decoder *decoder, const vr_h5_pipeline *pipeline, const vr_h5_chunk *chunk, uint8_t *raw,
                   vr_random *random, int filters)
{
    if (pipeline->count == 0)
        return;
    for (uint64_t cut_to = 0; cut_to < chunk->bytes; cut_to += 1 + vr_random_below(random, 40))
        assert_null(vr_h5_decode(decoder, pipeline, chunk->skipped, raw, cut_to));
    uint8_t *byte = &raw[vr_random_below(random, chunk->bytes)];
    *byte ^= 0x10;
    const void *decoded = vr_h5_decode(decoder, pipeline, chunk->skipped, raw, chunk->bytes);
    if (filters & CHECKSUM)
        assert_null(decoded);
    *byte ^= 0x10;
}

static void check_chunks(const char *path, int filters, const hsize_t chunk[2], size_t element, const uint8_t *bytes,
                         vr_random *random)
{
    const size_t size = chunk[0] * chunk[1] * element;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    hid_t file;
    assert_int_equal(vr_h5_open(&file, fd, 0, (uint64_t)lseek(fd, 0, SEEK_END), path), VR_OK);
    const hid_t set = H5Dopen2(file, "x", H5P_DEFAULT), plist = H5Dget_create_plist(set);
    vr_h5_decoder *decoder = vr_h5_decoder_new(size);
    vr_h5_pipeline pipeline;
    assert_true(vr_h5_pipeline_read(&pipeline, plist));
    uint8_t *wanted = malloc(size), *raw = malloc(2 * size + 100);
    for (hsize_t row = 0; row < ROWS; row++)
        for (hsize_t column = 0; column < ROWS; column++) {
            vr_h5_chunk place;
            assert_int_equal(vr_h5_chunk_find(&place, set, (hsize_t[]){row * chunk[0], column * chunk[1]}), VR_OK);
            assert_true(place.bytes > 0 && place.bytes <= 2 * size + 100);
            assert_int_equal(pread(fd, raw, place.bytes, (off_t)place.offset), place.bytes);
            const void *decoded = vr_h5_decode(decoder, &pipeline, place.skipped, raw, place.bytes);
            assert_non_null(decoded);
            cut(wanted, bytes, chunk, element, row, column);
            assert_memory_equal(decoded, wanted, size);
            damage(decoder, &pipeline, &place, raw, random, filters);
        }
    free(wanted);
    free(raw);
    vr_h5_decoder_free(decoder);
    H5Pclose(plist);
    H5Dclose(set);
    H5Fclose(file);
    close(fd);
}

/* The library does not apply a filter where that would lengthen a chunk, and says so in the chunk's mask: with random
 * bytes some are compressed and some are not. */
static void test_every_combination_of_filters(void **state)
{
    (void)state;
    static const size_t elements[] = {1, 2, 3, 4, 5, 8, 16};
    vr_random random = vr_random_stream(3, 0);
    for (int filters = 0; filters < COMBINATIONS; filters++)
        for (size_t e = 0; e < sizeof elements / sizeof *elements; e++) {
            const size_t element = elements[e];
            const hsize_t chunk[2] = {1 + vr_random_below(&random, 9), 1 + vr_random_below(&random, 30)};
            const size_t size = ROWS * ROWS * chunk[0] * chunk[1] * element;
            const char *path = scratch_path("chunks.h5");
            uint8_t *bytes = malloc(size);
            for (size_t i = 0; i < size; i++)
                bytes[i] = (uint8_t)vr_random_below(&random, i % 3 ? 256 : 4);
            const hid_t type = H5Tcreate(H5T_OPAQUE, element);
            write_chunks(path, type, filters, chunk, bytes);
            check_chunks(path, filters, chunk, element, bytes, &random);
            H5Tclose(type);
            free(bytes);
        }
}

/* A chunk whose mask says that a filter was left out. */
static void test_skipped_filter(void **state)
{
    (void)state;
    const hsize_t n = 64, start = 0;
    uint8_t bytes[64];
    for (int i = 0; i < 64; i++)
        bytes[i] = (uint8_t)(i * 37);
    const char *path = scratch_path("skipped.h5");
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t space = H5Screate_simple(1, &n, NULL), plist = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(plist, 1, &n);
    H5Pset_shuffle(plist);
    H5Pset_deflate(plist, 6);
    const hid_t set = H5Dcreate2(file, "x", H5T_STD_U8LE, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    assert_true(H5Dwrite_chunk(set, H5P_DEFAULT, 2, &start, sizeof bytes, bytes) >= 0);
    H5Dclose(set);
    H5Fclose(file);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    hid_t again;
    vr_h5_chunk place;
    assert_int_equal(vr_h5_open(&again, fd, 0, (uint64_t)lseek(fd, 0, SEEK_END), path), VR_OK);
    const hid_t reopened = H5Dopen2(again, "x", H5P_DEFAULT);
    assert_int_equal(vr_h5_chunk_find(&place, reopened, &start), VR_OK);
    assert_int_equal(place.skipped, 2);
    vr_h5_pipeline pipeline;
    assert_true(vr_h5_pipeline_read(&pipeline, plist));
    vr_h5_decoder *decoder = vr_h5_decoder_new(sizeof bytes);
    const void *decoded = vr_h5_decode(decoder, &pipeline, place.skipped, bytes, sizeof bytes);
    assert_non_null(decoded);
    assert_memory_equal(decoded, bytes, sizeof bytes);
    assert_null(vr_h5_decode(decoder, &pipeline, 0, bytes, sizeof bytes));
    vr_h5_decoder_free(decoder);
    H5Pclose(plist);
    H5Sclose(space);
    H5Dclose(reopened);
    H5Fclose(again);
    close(fd);
}

static void test_other_drivers_have_no_places(void **state)
{
    (void)state;
    const hsize_t chunk[2] = {1, 1};
    const uint8_t bytes[ROWS * ROWS] = {0};
    const char *path = scratch_path("plain.h5");
    write_chunks(path, H5T_STD_U8LE, 0, chunk, bytes);
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), set = H5Dopen2(file, "x", H5P_DEFAULT);
    assert_false(vr_h5_has_places(set));
    H5Dclose(set);
    H5Fclose(file);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    hid_t own;
    assert_int_equal(vr_h5_open(&own, fd, 0, (uint64_t)lseek(fd, 0, SEEK_END), path), VR_OK);
    assert_true(vr_h5_has_places(own));
    H5Fclose(own);
    close(fd);
}

static void test_unknown_filters(void **state)
{
    (void)state;
    const hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
    vr_h5_pipeline pipeline;
    H5Pset_chunk(plist, 1, (hsize_t[]){4});
    assert_true(vr_h5_pipeline_read(&pipeline, plist));
    H5Pset_nbit(plist);
    assert_false(vr_h5_pipeline_read(&pipeline, plist));
    H5Pclose(plist);
}

/* What is compressed and then filtered again has no length that is known. */
static void test_filters_behind_compression(void **state)
{
    (void)state;
    for (int again = 0; again < 2; again++) {
        const hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
        vr_h5_pipeline pipeline;
        H5Pset_chunk(plist, 1, (hsize_t[]){4});
        H5Pset_deflate(plist, 2);
        H5Pset_fletcher32(plist);
        assert_true(vr_h5_pipeline_read(&pipeline, plist));
        if (again)
            H5Pset_deflate(plist, 2);
        else
            H5Pset_shuffle(plist);
        assert_false(vr_h5_pipeline_read(&pipeline, plist));
        H5Pclose(plist);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_combination_of_filters), cmocka_unit_test(test_skipped_filter),
        cmocka_unit_test(test_other_drivers_have_no_places), cmocka_unit_test(test_unknown_filters),
        cmocka_unit_test(test_filters_behind_compression),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
