#include <varanalyze/idx.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <zlib.h>

struct bytes {
    unsigned char *at;
    size_t size;
};

static const struct {
    unsigned char code;
    vr_dtype dtype;
    size_t size;
} types[] = {
    {0x08, VR_U8, 1}, {0x09, VR_I8, 1}, {0x0b, VR_I16, 2}, {0x0c, VR_I32, 4}, {0x0d, VR_F32, 4}, {0x0e, VR_F64, 8},
};

static struct bytes bytes_copy(const void *from, size_t size)
{
    struct bytes copy = {malloc(size + 1), size};
    assert_non_null(copy.at);
    if (size > 0)
        memcpy(copy.at, from, size);
    return copy;
}

static void bytes_append(struct bytes *bytes, const void *from, size_t size)
{
    bytes->at = realloc(bytes->at, bytes->size + size + 1);
    assert_non_null(bytes->at);
    if (size > 0)
        memcpy(bytes->at + bytes->size, from, size);
    bytes->size += size;
}

static struct bytes gzip(const void *from, size_t size)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    struct bytes out = {NULL, deflateBound(&stream, size)};
    out.at = malloc(out.size);
    assert_non_null(out.at);
    stream.next_in = (Bytef *)from;
    stream.avail_in = (uInt)size;
    stream.next_out = out.at;
    stream.avail_out = (uInt)out.size;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out.size = stream.total_out;
    deflateEnd(&stream);
    return out;
}

/* An IDX header. */
static struct bytes header(unsigned char type, int rank, const uint32_t *shape)
{
    struct bytes out = bytes_copy((unsigned char[]){0, 0, type, (unsigned char)rank}, 4);
    for (int i = 0; i < rank; i++) {
        const unsigned char size[] = {shape[i] >> 24 & 255, shape[i] >> 16 & 255, shape[i] >> 8 & 255, shape[i] & 255};
        bytes_append(&out, size, sizeof size);
    }
    return out;
}

/* 2 x 3 of i16: 0x0102, 0x0304... */
static struct bytes small_file(void)
{
    struct bytes file = header(0x0b, 2, (uint32_t[]){2, 3});
    for (unsigned char byte = 1; byte <= 12; byte++)
        bytes_append(&file, &byte, 1);
    return file;
}

static void check_small(const vr_idx *array)
{
    const int16_t expected[] = {0x0102, 0x0304, 0x0506, 0x0708, 0x090a, 0x0b0c};
    assert_int_equal(array->dtype, VR_I16);
    assert_int_equal(array->rank, 2);
    assert_int_equal(array->shape[0], 2);
    assert_int_equal(array->shape[1], 3);
    assert_int_equal(array->count, 6);
    assert_memory_equal(array->data, expected, sizeof expected);
}

static void parse_fails(struct bytes file, vr_status expected, const char *words)
{
    vr_idx array;
    memset(&array, 0x55, sizeof array);
    /* its own block, so that a read past the end is seen by the address sanitizer */
    unsigned char *exact = malloc(file.size);
    if (file.size > 0)
        memcpy(exact, file.at, file.size);
    assert_int_equal(vr_idx_parse(&array, exact, file.size, "some.idx"), expected);
    free(exact);
    assert_null(array.data);
    assert_int_equal(array.rank, 0);
    assert_int_equal(array.count, 0);
    assert_int_equal(strncmp(vr_error(), "some.idx: ", 10), 0);
    if (!strstr(vr_error(), words))
        fail_msg("\"%s\" does not say \"%s\"", vr_error(), words);
}

static void parse_fails_and_free(struct bytes file, vr_status expected, const char *words)
{
    parse_fails(file, expected, words);
    free(file.at);
}

static void write_file(char *path, struct bytes file)
{
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, file.at, file.size), file.size);
    close(fd);
}

static void test_every_type(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        const size_t size = types[k].size;
        struct bytes file = header(types[k].code, 1, (uint32_t[]){3});
        unsigned char values[24];
        for (size_t i = 0; i < 3 * size; i++)
            values[i] = (unsigned char)(0x80 + 37 * i);
        bytes_append(&file, values, 3 * size);
        vr_idx array;
        assert_int_equal(vr_idx_parse(&array, file.at, file.size, "x"), VR_OK);
        assert_int_equal(array.dtype, types[k].dtype);
        assert_int_equal(array.count, 3);
        for (size_t i = 0; i < 3; i++) { /* the machine's order, checked by value */
            uint64_t big = 0, got = 0;
            for (size_t b = 0; b < size; b++)
                big = big << 8 | values[i * size + b];
            const char *element = (const char *)array.data + i * size;
            uint8_t got8;
            uint16_t got16;
            uint32_t got32;
            if (size == 1)
                got = (memcpy(&got8, element, size), got8);
            else if (size == 2)
                got = (memcpy(&got16, element, size), got16);
            else if (size == 4)
                got = (memcpy(&got32, element, size), got32);
            else
                memcpy(&got, element, size);
            assert_int_equal(got, big);
        }
        vr_idx_free(&array);
        free(file.at);
    }
}

static void test_float_values(void **state)
{
    (void)state;
    static const unsigned char file[] = {0, 0, 0x0d, 1, 0, 0, 0, 2, 0x3f, 0xc0, 0, 0, 0xc0, 0x49, 0x0f, 0xdb};
    vr_idx array;
    assert_int_equal(vr_idx_parse(&array, file, sizeof file, "x"), VR_OK);
    const float *values = array.data;
    assert_true(values[0] == 1.5f && values[1] == -0x1.921fb6p1f);
    vr_idx_free(&array);
}

static void test_every_rank(void **state)
{
    (void)state;
    static const uint32_t shape[] = {2, 1, 3, 1, 1, 2, 2, 1};
    for (int rank = 1; rank <= VR_IDX_MAX_RANK; rank++) {
        int64_t count = 1;
        struct bytes file = header(0x08, rank, shape);
        for (int i = 0; i < rank; i++)
            count *= shape[i];
        for (int64_t i = 0; i < count; i++)
            bytes_append(&file, &(unsigned char){(unsigned char)i}, 1);
        vr_idx array;
        assert_int_equal(vr_idx_parse(&array, file.at, file.size, "x"), VR_OK);
        assert_int_equal(array.rank, rank);
        assert_int_equal(array.count, count);
        for (int i = 0; i < VR_IDX_MAX_RANK; i++)
            assert_int_equal(array.shape[i], i < rank ? shape[i] : 0);
        for (int64_t i = 0; i < count; i++)
            assert_int_equal(((uint8_t *)array.data)[i], i);
        vr_idx_free(&array);
        free(file.at);
    }
}

static void test_empty_dimension(void **state)
{
    (void)state;
    static const uint32_t shapes[][3] = {{0, 28, 28}, {28, 0, 28}, {UINT32_MAX, UINT32_MAX, 0}};
    for (size_t k = 0; k < 3; k++) {
        struct bytes file = header(0x0e, 3, shapes[k]);
        vr_idx array;
        assert_int_equal(vr_idx_parse(&array, file.at, file.size, "x"), VR_OK);
        assert_int_equal(array.count, 0);
        assert_int_equal(array.shape[2], shapes[k][2]);
        vr_idx_free(&array);
        assert_null(array.data);
        bytes_append(&file, "", 1);
        parse_fails_and_free(file, VR_ERROR_FORMAT, "goes on after the 0 bytes");
    }
    vr_idx_free(NULL);
}

static void test_gzip(void **state)
{
    (void)state;
    struct bytes file = small_file(), packed = gzip(file.at, file.size);
    vr_idx array;
    assert_int_equal(vr_idx_parse(&array, packed.at, packed.size, "x"), VR_OK);
    check_small(&array);
    vr_idx_free(&array);
    free(packed.at);

    for (size_t cut = 0; cut <= file.size; cut++) { /* members may end anywhere, in the header too */
        struct bytes first = gzip(file.at, cut), second = gzip(file.at + cut, file.size - cut);
        bytes_append(&first, second.at, second.size);
        assert_int_equal(vr_idx_parse(&array, first.at, first.size, "x"), VR_OK);
        check_small(&array);
        vr_idx_free(&array);
        free(first.at);
        free(second.at);
    }
    free(file.at);
}

/* More than every buffer, through a file, plain and in two gzip members. */
static void test_large_file(void **state)
{
    (void)state;
    const uint32_t count = 300001;
    struct bytes file = header(0x0c, 1, &count);
    file.at = realloc(file.at, file.size + 4 * (size_t)count);
    assert_non_null(file.at);
    uint32_t random = 1;
    for (uint32_t i = 0; i < count; i++) {
        random = random * 1664525 + 1013904223;
        const unsigned char element[] = {random >> 24, random >> 16 & 255, random >> 8 & 255, random & 255};
        memcpy(file.at + file.size + 4 * (size_t)i, element, 4);
    }
    file.size += 4 * (size_t)count;
    struct bytes packed = gzip(file.at, 700000), second = gzip(file.at + 700000, file.size - 700000);
    bytes_append(&packed, second.at, second.size);
    const struct bytes files[] = {file, packed};
    for (size_t k = 0; k < 2; k++) {
        char path[] = "/tmp/test_idx_XXXXXX";
        write_file(path, files[k]);
        vr_idx array;
        assert_int_equal(vr_idx_read(&array, path), VR_OK);
        unlink(path);
        assert_int_equal(array.count, count);
        random = 1;
        for (uint32_t i = 0; i < count; i++) {
            random = random * 1664525 + 1013904223;
            assert_int_equal(((uint32_t *)array.data)[i], random);
        }
        vr_idx_free(&array);
        free(files[k].at);
    }
    free(second.at);
}

static void test_digits(void **state)
{
    (void)state;
    vr_idx images, labels;
    assert_int_equal(vr_idx_read(&images, EXAMPLES_DATA "/images-idx3-ubyte"), VR_OK);
    assert_int_equal(vr_idx_read(&labels, EXAMPLES_DATA "/labels-idx1-ubyte"), VR_OK);
    assert_int_equal(images.dtype, VR_U8);
    assert_int_equal(images.rank, 3);
    assert_int_equal(images.shape[0], 1797);
    assert_int_equal(images.shape[1], 8);
    assert_int_equal(images.shape[2], 8);
    assert_int_equal(images.count, 1797 * 64);
    assert_int_equal(labels.rank, 1);
    assert_int_equal(labels.count, 1797);
    static const uint8_t row[] = {0, 0, 5, 13, 9, 1, 0, 0};
    assert_memory_equal(images.data, row, sizeof row);
    for (int i = 0; i < 10; i++)
        assert_int_equal(((uint8_t *)labels.data)[i], i);
    for (int64_t i = 0; i < images.count; i++)
        assert_in_range(((uint8_t *)images.data)[i], 0, 16);
    vr_idx_free(&images);
    vr_idx_free(&labels);
}

static void test_short_at_every_byte(void **state)
{
    (void)state;
    struct bytes file = small_file();
    for (size_t size = 0; size < file.size; size++) {
        const char *words = size == 0 ? "empty" : size < 12 ? "ends inside its IDX header" : "ends after";
        parse_fails((struct bytes){file.at, size}, VR_ERROR_FORMAT, words);
        struct bytes packed = gzip(file.at, size);
        parse_fails_and_free(packed, VR_ERROR_FORMAT, words);
    }
    bytes_append(&file, "", 1);
    parse_fails(file, VR_ERROR_FORMAT, "goes on after the 12 bytes");
    parse_fails_and_free(gzip(file.at, file.size), VR_ERROR_FORMAT, "goes on after the 12 bytes");
    free(file.at);
}

static void test_other_kinds_of_file(void **state)
{
    (void)state;
    static const struct {
        const char *start, *words;
    } kinds[] = {
        {"PK\3\4rest", "not an IDX file (starts with \"PK\\x03\\x04\"); was a zip meant?"},
        {"BZh9rest", "not an IDX file (starts with \"BZh9\"); was bzip2 meant?"},
        {"\375"
         "7zXZrest",
         "was xz meant?"},
        {"\x28\xb5\x2f\xfdrest", "was zstd meant?"},
        {"\x89HDF\r\n", "not an IDX file (starts with \"\\x89HDF\")"},
        {"\"\\ab", "not an IDX file (starts with \"\\x22\\x5cab\")"},
        {"a", "not an IDX file (starts with \"a\")"},
        {"\x1f", "not an IDX file (starts with \"\\x1f\")"},
    };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        parse_fails((struct bytes){(unsigned char *)kinds[k].start, strlen(kinds[k].start)}, VR_ERROR_FORMAT,
                    kinds[k].words);
    unsigned char second_byte[] = {0, 1, 8, 1, 0, 0, 0, 0};
    parse_fails((struct bytes){second_byte, 8}, VR_ERROR_FORMAT, "not an IDX file");

    struct bytes file = small_file(), once = gzip(file.at, file.size), twice = gzip(once.at, once.size);
    parse_fails_and_free(twice, VR_ERROR_FORMAT, "compressed twice");
    free(once.at);
    free(file.at);
}

static void test_malformed_headers(void **state)
{
    (void)state;
    for (int code = 0; code < 256; code++) {
        struct bytes file = header((unsigned char)code, 1, (uint32_t[]){0});
        vr_idx array;
        bool known = false;
        for (size_t k = 0; k < sizeof types / sizeof *types; k++)
            known = known || types[k].code == code;
        if (known) {
            assert_int_equal(vr_idx_parse(&array, file.at, file.size, "x"), VR_OK);
            vr_idx_free(&array);
        } else {
            parse_fails(file, VR_ERROR_FORMAT, "unknown IDX type");
        }
        free(file.at);
    }
    static const uint32_t ones[255];
    for (int rank = 0; rank < 256; rank++) {
        if (rank < 1 || rank > VR_IDX_MAX_RANK)
            parse_fails_and_free(header(0x08, rank, ones), VR_ERROR_FORMAT, "only ranks 1 to 8");
    }
}

static void test_overflow(void **state)
{
    (void)state;
    static const struct {
        unsigned char type;
        int rank;
        uint32_t shape[8];
        vr_status status;
    } cases[] = {
        {0x08, 2, {UINT32_MAX, UINT32_MAX}, VR_ERROR_SHAPE},
        {0x0e, 2, {0x40000000, 0x40000000}, VR_ERROR_SHAPE}, /* 2^60 elements, 2^63 bytes */
        {0x0e, 2, {0x40000000, 0x3fffffff}, VR_ERROR_FORMAT},
        {0x08, 2, {0x80000000, 0xffffffff}, VR_ERROR_FORMAT},
        {0x08, 2, {0xffffffff, 0x80000001}, VR_ERROR_SHAPE},
        {0x08, 4, {0x10000, 0x10000, 0x10000, 0x10000}, VR_ERROR_SHAPE}, /* 2^64: wraps to 0 */
        {0x08, 8, {0x8000, 0x8000, 0x8000, 0x8000, 0x8000, 2, 2, 2}, VR_ERROR_SHAPE},
        {0x08, 1, {UINT32_MAX}, VR_ERROR_FORMAT},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        parse_fails_and_free(header(cases[k].type, cases[k].rank, cases[k].shape), cases[k].status,
                             cases[k].status == VR_ERROR_SHAPE ? "multiply to more" : "ends after 0 of");
}

static void test_damaged_gzip(void **state)
{
    (void)state;
    struct bytes file = small_file(), packed = gzip(file.at, file.size);
    for (size_t size = 2; size < packed.size; size++)
        parse_fails((struct bytes){packed.at, size}, VR_ERROR_FORMAT, "the gzip stream is cut short");
    for (size_t i = packed.size - 8; i < packed.size; i++) { /* the CRC, the length */
        packed.at[i] ^= 1;
        parse_fails(packed, VR_ERROR_FORMAT, i < packed.size - 4 ? "incorrect data check" : "incorrect length check");
        packed.at[i] ^= 1;
    }
    packed.at[2] = 7;
    parse_fails(packed, VR_ERROR_FORMAT, "unknown compression method");
    packed.at[2] = 8;

    static const unsigned char tails[][2] = {{0, 0}, {0x1f, 0}, {'a', 'b'}};
    for (size_t k = 0; k < 3; k++) {
        for (size_t size = 1; size <= 2; size++) {
            struct bytes longer = bytes_copy(packed.at, packed.size);
            bytes_append(&longer, tails[k], size);
            parse_fails_and_free(longer, VR_ERROR_FORMAT, "followed by other bytes");
        }
    }
    struct bytes members = bytes_copy(packed.at, packed.size);
    bytes_append(&members, packed.at, packed.size);
    parse_fails(members, VR_ERROR_FORMAT, "goes on after");
    members.size -= 20;
    parse_fails_and_free(members, VR_ERROR_FORMAT, "");
    free(packed.at);
    free(file.at);
}

/* 64 MiB of zeros behind a header of 12 bytes of elements. Refused by its beginning alone, so nothing of it is kept. */
static void test_gzip_bomb(void **state)
{
    (void)state;
    struct bytes file = small_file();
    const size_t zeros = (size_t)64 << 20, size = file.size;
    file.at = realloc(file.at, size + zeros);
    assert_non_null(file.at);
    memset(file.at + size, 0, zeros);
    struct bytes packed = gzip(file.at, size + zeros);
    assert_true(packed.size < 100000);
    parse_fails((struct bytes){packed.at, 1000}, VR_ERROR_FORMAT, "goes on after the 12 bytes");
    parse_fails_and_free(packed, VR_ERROR_FORMAT, "goes on after the 12 bytes");
    free(file.at);
}

static void test_files_that_cannot_be_read(void **state)
{
    (void)state;
    vr_idx array;
    memset(&array, 0x55, sizeof array);
    assert_int_equal(vr_idx_read(&array, "/nonexistent/x.idx"), VR_ERROR_IO);
    assert_string_equal(vr_error(), "/nonexistent/x.idx: cannot open: No such file or directory");
    assert_null(array.data);
    memset(&array, 0x55, sizeof array);
    assert_int_equal(vr_idx_read(&array, EXAMPLES_DATA), VR_ERROR_IO);
    assert_non_null(strstr(vr_error(), "Is a directory"));
    assert_null(array.data);

    char path[] = "/tmp/test_idx_XXXXXX";
    write_file(path, (struct bytes){NULL, 0});
    assert_int_equal(vr_idx_read(&array, path), VR_ERROR_FORMAT);
    assert_non_null(strstr(vr_error(), "empty"));
    unlink(path);
    assert_int_equal(vr_idx_read(&array, "/dev/zero"), VR_ERROR_FORMAT); /* endless: must stop at the header */
    assert_non_null(strstr(vr_error(), "unknown IDX type 0x00"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_float_values),
        cmocka_unit_test(test_every_rank),
        cmocka_unit_test(test_empty_dimension),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_large_file),
        cmocka_unit_test(test_digits),
        cmocka_unit_test(test_short_at_every_byte),
        cmocka_unit_test(test_other_kinds_of_file),
        cmocka_unit_test(test_malformed_headers),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_damaged_gzip),
        cmocka_unit_test(test_gzip_bomb),
        cmocka_unit_test(test_files_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
