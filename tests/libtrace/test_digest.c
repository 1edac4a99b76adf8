#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <isa.h>
#include <omp.h>
#include <varanalyze/digest.h>
#include <xxhash.h>

#define LARGE (33 * 1048576 + 5) /* bytes, enough for several threads */

static const int thread_counts[] = {1, 2, 3, 8};
static const char *const isas[] = {"baseline", "avx2", "avx512"};
static unsigned char *bytes;

static int make_bytes(void **state)
{
    (void)state;
    bytes = malloc(LARGE);
    if (!bytes)
        return -1;
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (unsigned char)(i * 7 + 3 + (i >> 16));
    return 0;
}

static int free_bytes(void **state)
{
    (void)state;
    free(bytes);
    return 0;
}

static vr_digest plain(const void *data, size_t size)
{
    const XXH128_hash_t hash = XXH3_128bits(data, size);
    return (vr_digest){hash.high64, hash.low64};
}

/* The definition, by the shared library. */
static vr_digest reference(vr_digest *chunks, const char *data, size_t size)
{
    const size_t count = size == 0 ? 1 : (size + VR_CHUNK_BYTES - 1) / VR_CHUNK_BYTES;
    XXH128_canonical_t *canonical = malloc(count * sizeof *canonical);
    for (size_t i = 0; i < count; i++) {
        const size_t left = size - i * VR_CHUNK_BYTES;
        const XXH128_hash_t hash =
            XXH3_128bits(data + i * VR_CHUNK_BYTES, left < VR_CHUNK_BYTES ? left : VR_CHUNK_BYTES);
        XXH128_canonicalFromHash(&canonical[i], hash);
        chunks[i] = (vr_digest){hash.high64, hash.low64};
    }
    const vr_digest digest = count == 1 ? chunks[0] : plain(canonical, count * sizeof *canonical);
    free(canonical);
    return digest;
}

static void assert_digests(vr_digest a, vr_digest b)
{
    assert_true(vr_digest_equal(a, b));
}

/* Digest and chunk digests of a tensor whose elements in order are `data`. */
static void check_tensor(const vr_tensor *tensor, const void *data)
{
    const size_t size = (size_t)vr_tensor_count(tensor) * vr_dtype_size(tensor->dtype);
    const size_t count = (size_t)vr_chunk_count(tensor);
    vr_digest *wanted = malloc(count * sizeof *wanted), *chunks = malloc(count * sizeof *chunks);
    const vr_digest total = reference(wanted, data, size);
    for (size_t t = 0; t < sizeof thread_counts / sizeof *thread_counts; t++) {
        vr_digest digest = {0, 0}, measured = {0, 0};
        vr_stats stats;
        memset(chunks, 0, count * sizeof *chunks);
        omp_set_num_threads(thread_counts[t]);
        assert_int_equal(vr_digest_tensor(&digest, tensor), VR_OK);
        assert_int_equal(vr_measure(&measured, &stats, chunks, tensor), VR_OK);
        assert_digests(digest, total);
        assert_digests(measured, total);
        assert_memory_equal(chunks, wanted, count * sizeof *chunks);
    }
    free(wanted);
    free(chunks);
}

static void sizes(void **state)
{
    (void)state;
    const size_t around[] = {0, VR_CHUNK_BYTES, 2 * VR_CHUNK_BYTES, 16 * VR_CHUNK_BYTES, 17 * VR_CHUNK_BYTES, 4 << 20};
    for (size_t i = 0; i < sizeof around / sizeof *around; i++)
        for (int d = around[i] == 0 ? 0 : -1; d <= 1; d++) {
            const int64_t size = (int64_t)around[i] + d;
            const vr_tensor tensor = VR_TENSOR(VR_U8, bytes, size);
            assert_int_equal(vr_chunk_count(&tensor), size == 0 ? 1 : (size + VR_CHUNK_BYTES - 1) / VR_CHUNK_BYTES);
            check_tensor(&tensor, bytes);
        }
    const vr_tensor large = VR_TENSOR(VR_U8, bytes, LARGE);
    check_tensor(&large, bytes);
    const vr_tensor empty = VR_TENSOR(VR_F32, NULL, 3, 0);
    check_tensor(&empty, bytes);
}

static void instruction_sets(void **state)
{
    (void)state;
    const size_t edges[] = {16, 128, 240, 1024, 4096, VR_CHUNK_BYTES, 1000003};
    for (size_t k = 0; k < sizeof isas / sizeof *isas; k++) {
        const vr_kernels *kernels = vr_kernels_named(isas[k]);
        if (!kernels) {
            print_message("%s: not on this machine\n", isas[k]);
            continue;
        }
        assert_string_equal(kernels->name, isas[k]);
        for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
            for (size_t n = edges[i] - 2; n < edges[i] + 3; n++)
                assert_digests(kernels->digest(bytes + 1, n), plain(bytes + 1, n));
    }
    assert_null(vr_kernels_named("avx1024"));
    assert_ptr_equal(vr_kernels_best(), vr_kernels_named(vr_kernels_best()->name));
}

/* Each view against the same elements laid out in order. */
static void strides(void **state)
{
    (void)state;
    char *packed = malloc(LARGE);
    const vr_tensor whole = VR_TENSOR(VR_F32, bytes, 300, 7, 1000);
    vr_tensor views[6];
    for (size_t i = 0; i < 6; i++)
        views[i] = whole;
    views[0] = vr_tensor_transpose(whole, 0, 2);
    views[1] = vr_tensor_transpose(whole, 1, 2);
    views[2].shape[2] = 999;
    views[3].strides[0] = 0;
    views[4].data = (const float *)whole.data + 300 * 7000 - 1;
    views[5].data = (const float *)whole.data + 6 * 1000;
    views[5].strides[1] = -1000;
    for (int d = 0; d < 3; d++)
        views[4].strides[d] = -whole.strides[d];
    for (size_t i = 0; i < 6; i++) {
        assert_false(vr_tensor_is_contiguous(&views[i]));
        vr_tensor_pack(packed, &views[i], 0, vr_tensor_count(&views[i]));
        check_tensor(&views[i], packed);
    }
    vr_tensor small = VR_TENSOR(VR_F64, bytes, 10, 10);
    small = vr_tensor_transpose(small, 0, 1);
    vr_tensor_pack(packed, &small, 0, 100);
    check_tensor(&small, packed);
    free(packed);
}

static void failures(void **state)
{
    (void)state;
    vr_digest digest;
    vr_stats stats;
    const int64_t big = INT64_C(1) << 40;
    const vr_tensor overflow = VR_TENSOR(VR_F32, bytes, big, big), unknown = VR_TENSOR((vr_dtype)99, bytes, 1);
    assert_int_equal(vr_digest_tensor(&digest, &overflow), VR_ERROR_SHAPE);
    assert_int_equal(vr_measure(&digest, &stats, NULL, &overflow), VR_ERROR_SHAPE);
    assert_int_equal(vr_digest_rows(&digest, &overflow), VR_ERROR_SHAPE);
    assert_int_equal(vr_digest_tensor(&digest, &unknown), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_digest_rows(&digest, &unknown), VR_ERROR_ARGUMENT);
}

static vr_digest rows_of(const vr_tensor *tensor)
{
    vr_digest digest = {0, 0};
    assert_int_equal(vr_digest_rows(&digest, tensor), VR_OK);
    return digest;
}

static vr_digest sum_of_rows(const unsigned char *data, size_t rows, size_t row_bytes)
{
    vr_digest sum = {0, 0};
    for (size_t i = 0; i < rows; i++)
        sum = vr_digest_add(sum, plain(data + i * row_bytes, row_bytes));
    return sum;
}

static void rows(void **state)
{
    (void)state;
    const size_t row_bytes[] = {4, 400, VR_CHUNK_BYTES, VR_CHUNK_BYTES + 4, 400000};
    for (size_t i = 0; i < sizeof row_bytes / sizeof *row_bytes; i++) {
        const int64_t count = 83, width = (int64_t)row_bytes[i] / 4;
        vr_tensor t = VR_TENSOR(VR_F32, bytes, count, width);
        const vr_digest wanted = sum_of_rows(bytes, (size_t)count, row_bytes[i]);
        for (size_t k = 0; k < sizeof thread_counts / sizeof *thread_counts; k++) {
            omp_set_num_threads(thread_counts[k]);
            assert_digests(rows_of(&t), wanted);
            vr_tensor reversed = t; /* the same rows in another order */
            reversed.data = (const float *)t.data + (count - 1) * width;
            reversed.strides[0] = -width;
            assert_digests(rows_of(&reversed), wanted);
        }
        vr_tensor head = t, tail = t;
        head.shape[0] = 30;
        tail.shape[0] = count - 30;
        tail.data = (const float *)t.data + 30 * width;
        assert_digests(vr_digest_add(rows_of(&head), rows_of(&tail)), wanted);
    }
    const vr_tensor scalar = VR_SCALAR(VR_F64, bytes);
    assert_digests(rows_of(&scalar), plain(bytes, 8));
    const vr_tensor none = VR_TENSOR(VR_F64, bytes, 0, 3), hollow = VR_TENSOR(VR_F64, bytes, 5, 0);
    assert_digests(rows_of(&none), (vr_digest){0, 0});
    assert_digests(rows_of(&hollow), sum_of_rows(bytes, 5, 0));
}

static void hexadecimal(void **state)
{
    (void)state;
    char text[33];
    vr_digest_hex(text, (vr_digest){0x0123456789abcdef, 0x00fedcba98765432});
    assert_string_equal(text, "0123456789abcdef00fedcba98765432");
}

/* From xxhsum -H2 of each 64 KiB piece, and of their digests as bytes where there is more than one. */
static void vectors(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        bool counting; /* bytes i, else i * 7 + 3, modulo 256 */
        const char *digest;
    } table[] = {
        {0, false, "99aa06d3014798d86001c324468d497f"},      {256, true, "f1f8a93f50849ac39408a4433b952d71"},
        {65536, false, "6a2504ac37f3b3b35d03b43b14c75500"},  {65537, false, "daf56feff48d7c46bf74e5f86f794376"},
        {200000, false, "124289711165108048c5a3f453b0d9f1"},
    };
    unsigned char *data = malloc(200000);
    for (size_t k = 0; k < sizeof table / sizeof *table; k++) {
        for (size_t i = 0; i < table[k].size; i++)
            data[i] = (unsigned char)(table[k].counting ? i : i * 7 + 3);
        const vr_tensor t = VR_TENSOR(VR_U8, data, (int64_t)table[k].size);
        vr_digest digest;
        char text[33];
        assert_int_equal(vr_digest_tensor(&digest, &t), VR_OK);
        vr_digest_hex(text, digest);
        assert_string_equal(text, table[k].digest);
    }
    free(data);
}

/* More than threads keep results of at a time: one chunk again and again. */
static void very_large(void **state)
{
    (void)state;
    enum { CHUNKS = 16 * 1024 + 40 };
    vr_tensor t = VR_TENSOR(VR_F32, bytes, CHUNKS, VR_CHUNK_BYTES / 4);
    t.strides[0] = 0;
    XXH128_canonical_t *canonical = malloc(CHUNKS * sizeof *canonical);
    for (size_t i = 0; i < CHUNKS; i++)
        XXH128_canonicalFromHash(&canonical[i], XXH3_128bits(bytes, VR_CHUNK_BYTES));
    vr_digest digest[2];
    vr_stats stats[2];
    for (int i = 0; i < 2; i++) {
        omp_set_num_threads(i + 1);
        assert_int_equal(vr_measure(&digest[i], &stats[i], NULL, &t), VR_OK);
        assert_digests(digest[i], plain(canonical, CHUNKS * sizeof *canonical));
    }
    assert_memory_equal(&stats[0], &stats[1], sizeof stats[0]);
    free(canonical);
}

/* Calls from within a parallel region stay in their thread and give the same. */
static void nested(void **state)
{
    (void)state;
    const vr_tensor large = VR_TENSOR(VR_U8, bytes, LARGE);
    vr_digest wanted, got[4];
    assert_int_equal(vr_digest_tensor(&wanted, &large), VR_OK);
#pragma omp parallel for num_threads(4)
    for (int i = 0; i < 4; i++)
        vr_digest_tensor(&got[i], &large);
    for (int i = 0; i < 4; i++)
        assert_digests(got[i], wanted);
}

/* A forked child has none of the OpenMP threads that the parent started: it must not wait for them. */
static void forked(void **state)
{
    (void)state;
    const vr_tensor large = VR_TENSOR(VR_U8, bytes, LARGE);
    vr_digest wanted;
    omp_set_num_threads(2);
    assert_int_equal(vr_digest_tensor(&wanted, &large), VR_OK);
    const pid_t child = fork();
    if (child == 0) {
        vr_digest got;
        alarm(60);
        _exit(vr_digest_tensor(&got, &large) == VR_OK && vr_digest_equal(got, wanted) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),      cmocka_unit_test(instruction_sets),
        cmocka_unit_test(strides),    cmocka_unit_test(failures),
        cmocka_unit_test(rows),       cmocka_unit_test(hexadecimal),
        cmocka_unit_test(vectors),    cmocka_unit_test(nested),
        cmocka_unit_test(very_large), cmocka_unit_test(forked),
    };
    return cmocka_run_group_tests(tests, make_bytes, free_bytes);
}
