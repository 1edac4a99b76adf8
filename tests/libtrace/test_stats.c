#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fenv.h>
#include <float.h>
#include <isa.h>
#include <math.h>
#include <mpfr.h>
#include <omp.h>
#include <varanalyze/digest.h>

#define LARGE ((6 << 20) + 24) /* bytes, enough for several threads */

static const int thread_counts[] = {1, 2, 3, 8};
static const char *const isas[] = {"baseline", "avx2", "avx512"};
static unsigned char *bytes;

static uint64_t seed = 1;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static double least_normal(vr_dtype dtype)
{
    switch (dtype) {
    case VR_F64:
        return DBL_MIN;
    case VR_F32:
    case VR_BF16:
        return 0x1p-126;
    case VR_F16:
    case VR_F8E5M2:
        return 0x1p-14;
    case VR_F8E4M3:
        return 0x1p-6;
    default:
        return 0;
    }
}

static void count_one(vr_stats *s, double x, vr_dtype dtype)
{
    s->count++;
    s->nan += isnan(x) != 0;
    s->pos_inf += x == INFINITY;
    s->neg_inf += x == -INFINITY;
    s->zero += x == 0;
    s->subnormal += x != 0 && fabs(x) < least_normal(dtype);
}

static double tree_of_lanes(const double *lane, int first, int step)
{
    return step == 16 ? lane[first]
                      : tree_of_lanes(lane, first, 2 * step) + tree_of_lanes(lane, first + step, 2 * step);
}

/* digest.h's definition for one chunk, an element at a time. */
static vr_stats reference_chunk(const double *x, size_t n, vr_dtype dtype)
{
    vr_stats s = {0};
    double sums[16] = {0}, squares[16] = {0}, finite = 0;
    for (size_t i = 0; i < n; i++) {
        count_one(&s, x[i], dtype);
        if (!isfinite(x[i]))
            continue;
        const bool first = finite++ == 0;
        if (first || x[i] < s.min || (x[i] == s.min && signbit(x[i])))
            s.min = x[i];
        if (first || x[i] > s.max || (x[i] == s.max && !signbit(x[i])))
            s.max = x[i];
        s.absmax = fabs(x[i]) > s.absmax ? fabs(x[i]) : s.absmax;
        sums[i % 16] += x[i];
    }
    if (finite == 0)
        return s;
    s.mean = tree_of_lanes(sums, 0, 1) / finite;
    for (size_t i = 0; i < n; i++)
        if (isfinite(x[i]))
            squares[i % 16] += (x[i] - s.mean) * (x[i] - s.mean);
    s.m2 = tree_of_lanes(squares, 0, 1);
    return s;
}

static double finite_count(const vr_stats *s)
{
    return (double)(s->count - s->nan - s->pos_inf - s->neg_inf);
}

static vr_stats reference_merge(vr_stats a, vr_stats b)
{
    const double n_a = finite_count(&a), n_b = finite_count(&b), n = n_a + n_b, d = b.mean - a.mean;
    vr_stats s = n_b == 0 ? a : b;
    if (n_a > 0 && n_b > 0) {
        s.min = a.min < b.min || (a.min == b.min && signbit(a.min)) ? a.min : b.min;
        s.max = a.max > b.max || (a.max == b.max && !signbit(a.max)) ? a.max : b.max;
        s.absmax = a.absmax > b.absmax ? a.absmax : b.absmax;
        s.mean = a.mean + d * (n_b / n);
        s.m2 = a.m2 + b.m2 + d * d * (n_a * (n_b / n));
    }
    s.count = a.count + b.count;
    s.nan = a.nan + b.nan;
    s.pos_inf = a.pos_inf + b.pos_inf;
    s.neg_inf = a.neg_inf + b.neg_inf;
    s.zero = a.zero + b.zero;
    s.subnormal = a.subnormal + b.subnormal;
    return s;
}

static vr_stats reference_tree(const double *x, size_t n, vr_dtype dtype)
{
    const size_t per_chunk = VR_CHUNK_BYTES / vr_dtype_size(dtype), chunks = (n + per_chunk - 1) / per_chunk;
    if (chunks <= 1)
        return reference_chunk(x, n, dtype);
    size_t left = 1;
    while (2 * left < chunks)
        left *= 2;
    left *= per_chunk;
    return reference_merge(reference_tree(x, left, dtype), reference_tree(x + left, n - left, dtype));
}

static vr_stats reference(const double *x, size_t n, vr_dtype dtype)
{
    vr_stats s = reference_tree(x, n, dtype);
    s.l2 = sqrt(s.m2 + finite_count(&s) * (s.mean * s.mean));
    return s;
}

/* Bit for bit, but that one NaN is as good as another: those of overflowing sums. */
static void assert_stats(const vr_stats *got, const vr_stats *wanted, vr_dtype dtype, size_t n, const char *how)
{
    const double *a = &got->min, *b = &wanted->min;
    bool same = memcmp(got, wanted, offsetof(vr_stats, min)) == 0;
    for (size_t i = 0; i < 6; i++)
        same &= memcmp(&a[i], &b[i], sizeof *a) == 0 || (isnan(a[i]) && isnan(b[i]));
    if (same)
        return;
    const vr_stats *both[] = {got, wanted};
    for (int i = 0; i < 2; i++)
        print_error("%s n=%zu %s: count %llu nan %llu +inf %llu -inf %llu zero %llu sub %llu %a %a %a %a %a %a\n",
                    vr_dtype_name(dtype), n, i ? "wanted" : how, (unsigned long long)both[i]->count,
                    (unsigned long long)both[i]->nan, (unsigned long long)both[i]->pos_inf,
                    (unsigned long long)both[i]->neg_inf, (unsigned long long)both[i]->zero,
                    (unsigned long long)both[i]->subnormal, both[i]->min, both[i]->max, both[i]->absmax, both[i]->mean,
                    both[i]->m2, both[i]->l2);
    fail_msg("statistics differ");
}

/* The library's statistics for every number of threads and, of one chunk, every kernel. `data` may be unaligned. */
static vr_stats check(const void *data, vr_dtype dtype, size_t n)
{
    double *x = malloc((n + 1) * sizeof *x);
    vr_to_f64(x, data, dtype, n);
    const vr_stats wanted = reference(x, n, dtype);
    const vr_tensor tensor = VR_TENSOR(dtype, data, (int64_t)n);
    for (size_t t = 0; t < sizeof thread_counts / sizeof *thread_counts; t++) {
        vr_stats got;
        vr_digest digest;
        omp_set_num_threads(thread_counts[t]);
        assert_int_equal(vr_measure(&digest, &got, NULL, &tensor), VR_OK);
        assert_stats(&got, &wanted, dtype, n, "vr_measure");
    }
    if (n * vr_dtype_size(dtype) <= VR_CHUNK_BYTES)
        for (size_t k = 0; k < sizeof isas / sizeof *isas; k++) {
            const vr_kernels *kernels = vr_kernels_named(isas[k]);
            vr_stats got;
            if (!kernels)
                continue;
            kernels->stats(&got, data, dtype, n);
            got.l2 = wanted.l2;
            assert_stats(&got, &wanted, dtype, n, isas[k]);
        }
    free(x);
    return wanted;
}

static int make_bytes(void **state)
{
    (void)state;
    bytes = malloc(LARGE);
    return bytes ? 0 : -1;
}

static int free_bytes(void **state)
{
    (void)state;
    free(bytes);
    mpfr_free_cache();
    return 0;
}

static void fill_with_codes(void)
{
    for (size_t i = 0; i < LARGE / 8; i++) {
        const uint64_t word = next_random();
        memcpy(bytes + 8 * i, &word, 8);
    }
}

/* Values of the size of activations, some zero. */
static void fill_with_values(vr_dtype dtype)
{
    double block[512];
    const size_t size = vr_dtype_size(dtype), n = LARGE / size;
    for (size_t at = 0; at < n; at += 512) {
        const size_t count = n - at < 512 ? n - at : 512;
        for (size_t i = 0; i < count; i++)
            block[i] = (double)(int64_t)next_random() * (vr_dtype_is_float(dtype) ? 0x1p-62 : 0x1p-57);
        if (next_random() % 2)
            block[0] = 0;
        vr_from_f64(bytes + at * size, dtype, block, count);
    }
}

static void check_sizes(vr_dtype dtype)
{
    const size_t chunk = VR_CHUNK_BYTES / vr_dtype_size(dtype);
    const size_t sizes[] = {0,
                            1,
                            2,
                            7,
                            15,
                            16,
                            17,
                            31,
                            32,
                            33,
                            63,
                            64,
                            1000,
                            chunk - 1,
                            chunk,
                            chunk + 1,
                            2 * chunk - 5,
                            2 * chunk,
                            3 * chunk,
                            5 * chunk + 3,
                            17 * chunk + 1,
                            LARGE / vr_dtype_size(dtype)};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        check(bytes, dtype, sizes[i]);
    check(bytes + 1, dtype, 1001);
    check(bytes + 1, dtype, chunk);
}

/* Any codes, so NaN and Inf of floats too, and values alone, for each type. */
static void all_types(void **state)
{
    (void)state;
    for (vr_dtype dtype = VR_F64; dtype <= VR_DTYPE_LAST; dtype++) {
        fill_with_codes();
        check_sizes(dtype);
        fill_with_values(dtype);
        check_sizes(dtype);
    }
}

/* One element at each place of a chunk that is otherwise of another value: every path of tails and masks sees it. */
static void check_places(vr_dtype dtype, const void *filling, const void *single)
{
    const size_t size = vr_dtype_size(dtype), n = 77;
    for (size_t place = 0; place <= n; place++) {
        for (size_t i = 0; i < n; i++)
            memcpy(bytes + i * size, i == place ? single : filling, size);
        check(bytes, dtype, n);
    }
}

static void special_floats(void **state)
{
    (void)state;
    static const uint32_t f32[] = {0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007fffff, 0x807fffff,
                                   0x00800000, 0x80800000, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000,
                                   0x7f800001, 0xff800001, 0x7fc00000, 0xffffffff, 0x3f800000, 0xbf800000};
    static const uint64_t f64[] = {0,
                                   UINT64_C(1) << 63,
                                   1,
                                   0x800fffffffffffff,
                                   0x0010000000000000,
                                   0x7fefffffffffffff,
                                   0xffefffffffffffff,
                                   0x7ff0000000000000,
                                   0xfff0000000000000,
                                   0x7ff0000000000001,
                                   0xffffffffffffffff,
                                   0x3ff0000000000000,
                                   0xbff0000000000000};
    for (size_t i = 0; i < sizeof f32 / sizeof *f32; i++)
        for (size_t k = 0; k < sizeof f32 / sizeof *f32; k++)
            check_places(VR_F32, &f32[i], &f32[k]);
    for (size_t i = 0; i < sizeof f64 / sizeof *f64; i++)
        for (size_t k = 0; k < sizeof f64 / sizeof *f64; k++)
            check_places(VR_F64, &f64[i], &f64[k]);
}

static void special_integers(void **state)
{
    (void)state;
    const vr_dtype types[] = {VR_I8, VR_I16, VR_I32, VR_I64, VR_U8, VR_U16, VR_U32, VR_U64, VR_BOOL};
    const uint64_t codes[] = {0,
                              1,
                              2,
                              UINT64_MAX,
                              0x80,
                              0x7f,
                              0x8000,
                              0x7fff,
                              0x80000000,
                              0x7fffffff,
                              UINT64_C(1) << 63,
                              INT64_MAX,
                              (UINT64_C(1) << 53) + 1};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
        for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
            for (size_t k = 0; k < sizeof codes / sizeof *codes; k++)
                check_places(types[t], &codes[i], &codes[k]);
}

/* Every code of the small float types, all of them at once and each against the rest of a chunk. */
static void all_codes(void **state)
{
    (void)state;
    for (size_t i = 0; i < 65536; i++)
        ((uint16_t *)bytes)[i] = (uint16_t)i;
    vr_stats s = check(bytes, VR_F16, 65536);
    assert_int_equal(s.nan, 2 * 1023);
    assert_int_equal(s.pos_inf, 1);
    assert_int_equal(s.subnormal, 2 * 1023);
    assert_int_equal(s.zero, 2);
    assert_true(s.max == 65504 && s.min == -65504);
    s = check(bytes, VR_BF16, 65536);
    assert_int_equal(s.nan, 2 * 127);
    assert_int_equal(s.neg_inf, 1);
    assert_int_equal(s.subnormal, 2 * 127);

    for (size_t i = 0; i < 256; i++)
        bytes[i] = (unsigned char)i;
    s = check(bytes, VR_F8E4M3, 256);
    assert_int_equal(s.nan, 2);
    assert_int_equal(s.pos_inf + s.neg_inf, 0);
    assert_int_equal(s.subnormal, 14);
    assert_true(s.max == 448 && s.min == -448);
    s = check(bytes, VR_F8E5M2, 256);
    assert_int_equal(s.nan, 6);
    assert_int_equal(s.pos_inf, 1);
    assert_int_equal(s.subnormal, 6);
    assert_true(s.max == 57344);
    for (int code = 0; code < 256; code++) {
        const unsigned char c = (unsigned char)code, one = 0x38, minus_one = 0xb8;
        check_places(VR_F8E4M3, &one, &c);
        check_places(VR_F8E4M3, &c, &minus_one);
        check_places(VR_F8E5M2, &c, &one);
    }
}

/* Each code in every lane of both halves of the first pass, the masked one and the tail. */
static void each_f16(void **state)
{
    (void)state;
    uint16_t *codes = (uint16_t *)bytes;
    for (uint32_t first = 0; first < 65536; first += 64) {
        for (uint32_t i = 0; i < 64; i++)
            codes[i] = (uint16_t)(first + i);
        check(codes, VR_F16, 63);
        check(codes, VR_BF16, 63);
    }
}

static void constants(void **state)
{
    (void)state;
    float *f = (float *)bytes;
    const float exact[] = {0.0f, -0.0f, 1.0f, -3.5f, 0x1p-149f, 0x1.8p100f, FLT_MIN};
    for (size_t k = 0; k < sizeof exact / sizeof *exact; k++)
        for (size_t n = 1; n < LARGE / 4; n = 3 * n + 1) {
            for (size_t i = 0; i < n; i++)
                f[i] = exact[k];
            const vr_stats s = check(f, VR_F32, n);
            assert_true(s.m2 == 0); /* few bits: the sums are exact */
            assert_true(s.mean == (double)exact[k]);
        }
    for (size_t i = 0; i < LARGE / 4; i++)
        f[i] = NAN;
    const vr_stats none = check(f, VR_F32, LARGE / 4);
    assert_int_equal(none.nan, none.count);
    assert_true(none.min == 0 && none.max == 0 && none.absmax == 0 && none.mean == 0 && none.m2 == 0 && none.l2 == 0);
    for (size_t i = 0; i < 100000; i++)
        f[i] = INFINITY;
    check(f, VR_F32, LARGE / 4); /* Chunks without finite elements beside others of NaN, and one finite element */
    f[300000] = 2;
    const vr_stats one = check(f, VR_F32, LARGE / 4);
    assert_true(one.min == 2 && one.max == 2 && one.mean == 2 && one.m2 == 0 && one.l2 == 2);
}

/* Chunks of nothing but what is counted apart: the counters' limits. */
static void full_counters(void **state)
{
    (void)state;
    for (vr_dtype dtype = VR_F64; dtype <= VR_DTYPE_LAST; dtype++) {
        const size_t size = vr_dtype_size(dtype), n = VR_CHUNK_BYTES / size;
        memset(bytes, 0, VR_CHUNK_BYTES);
        assert_int_equal(check(bytes, dtype, n).zero, n);
        for (size_t i = 0; i < n; i++)
            bytes[i * size] = 1;
        const vr_stats s = check(bytes, dtype, n);
        assert_int_equal(s.subnormal, vr_dtype_is_float(dtype) ? n : 0);
    }
}

/* -0 < +0, within a chunk and from chunk to chunk. */
static void signed_zeros(void **state)
{
    (void)state;
    float *f = (float *)bytes;
    const size_t n = 2 * VR_CHUNK_BYTES / 4;
    for (int sign = 0; sign < 2; sign++) {
        for (size_t i = 0; i < n; i++)
            f[i] = (i < n / 2) == sign ? 0.0f : -0.0f;
        const vr_stats s = check(f, VR_F32, n);
        assert_true(signbit(s.min) && !signbit(s.max) && !signbit(s.mean));
    }
}

static void strides(void **state)
{
    (void)state;
    fill_with_values(VR_F32);
    const vr_tensor whole = VR_TENSOR(VR_F32, bytes, 1024, 1536);
    const vr_tensor turned = vr_tensor_transpose(whole, 0, 1);
    float *packed = malloc(1024 * 1536 * sizeof *packed);
    vr_tensor_pack(packed, &turned, 0, 1024 * 1536);
    const vr_stats wanted = check(packed, VR_F32, 1024 * 1536);
    for (size_t t = 0; t < sizeof thread_counts / sizeof *thread_counts; t++) {
        vr_stats got;
        vr_digest digest;
        omp_set_num_threads(thread_counts[t]);
        assert_int_equal(vr_measure(&digest, &got, NULL, &turned), VR_OK);
        assert_stats(&got, &wanted, VR_F32, 1024 * 1536, "transposed");
    }
    free(packed);
}

/* u = 2^-53, x_i finite, A = max |x_i|, chunks of k elements, h = the height of the tree of chunks; terms in u^2 left
 * out.
 *
 * A chunk's mean: k / 16 additions in a lane, 4 in the tree, a division: off by at most (k / 16 + 5) u A. A merge adds
 * to the worse of its two at most: d (|d| <= 2 A) u 2 A, its weight 2 u 2 A, their product u 2 A, the sum u A: 9 u A.
 * So E = (k / 16 + 5 + 9 h) u A for the mean.
 *
 * A chunk's m2, with the mean off by e: sum (x - mean)^2 + k e^2, each term relatively off by 3 u, the sum by (k / 16 +
 * 4) u: at most (k / 16 + 7) u k 4 A^2. A merge adds two of these relative roundings, and d d (n_a n_b / n), d off by 2
 * E + u 2 A, its square by 8 A E + 8 u A^2, four more roundings of at most 4 A^2: with n_a n_b / n <= n / 4, n (2 A E +
 * 6 u A^2), and 2 u of the rest (4 n A^2): 8 u n A^2. So F = (k / 4 + 28 + 14 h) u n A^2 + 2 h n A E for m2.
 */
static void accuracy(void **state)
{
    (void)state;
    const vr_dtype types[] = {VR_F64, VR_F32, VR_F16};
    for (size_t t = 0; t < 3; t++)
        for (int offset = 0; offset < 2; offset++) {
            const size_t size = vr_dtype_size(types[t]), n = 37 * VR_CHUNK_BYTES / size + 11;
            double *x = malloc(n * sizeof *x);
            for (size_t i = 0; i < n; i++)
                x[i] = 1000 * offset + (double)(int64_t)next_random() * 0x1p-63;
            vr_from_f64(bytes, types[t], x, n);
            vr_to_f64(x, bytes, types[t], n);
            const vr_stats s = check(bytes, types[t], n);

            mpfr_t mean, m2, d;
            mpfr_inits2(300, mean, m2, d, (mpfr_ptr)NULL);
            mpfr_set_zero(mean, 1);
            mpfr_set_zero(m2, 1);
            for (size_t i = 0; i < n; i++)
                mpfr_add_d(mean, mean, x[i], MPFR_RNDN);
            mpfr_div_ui(mean, mean, n, MPFR_RNDN);
            for (size_t i = 0; i < n; i++) {
                mpfr_d_sub(d, x[i], mean, MPFR_RNDN);
                mpfr_sqr(d, d, MPFR_RNDN);
                mpfr_add(m2, m2, d, MPFR_RNDN);
            }
            const double u = 0x1p-53, A = s.absmax, k = VR_CHUNK_BYTES / (double)size, h = 6;
            const double E = (k / 16 + 5 + 9 * h) * u * A;
            const double F = (k / 4 + 28 + 14 * h) * u * (double)n * A * A + 2 * h * (double)n * A * E;
            mpfr_sub_d(mean, mean, s.mean, MPFR_RNDN);
            mpfr_sub_d(m2, m2, s.m2, MPFR_RNDN);
            assert_true(fabs(mpfr_get_d(mean, MPFR_RNDN)) <= E);
            assert_true(fabs(mpfr_get_d(m2, MPFR_RNDN)) <= F);
            mpfr_clears(mean, m2, d, (mpfr_ptr)NULL);
            free(x);
        }
}

/* The caller's rounding, flushing of subnormals and traps neither matter nor change. */
static void environment(void **state)
{
    (void)state;
    const vr_tensor tensor = VR_TENSOR(VR_F32, bytes, LARGE / 4);
    vr_stats wanted, got;
    vr_digest digest;
    fill_with_codes();
    omp_set_num_threads(2);
    assert_int_equal(vr_measure(&digest, &wanted, NULL, &tensor), VR_OK);
    fesetround(FE_UPWARD);
#ifdef __x86_64__
    __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | 0x8040); /* flush to zero, subnormals are zero */
#endif
    feenableexcept(FE_INVALID);
    const vr_status status = vr_measure(&digest, &got, NULL, &tensor);
    const int rounding = fegetround(), traps = fegetexcept();
    fesetenv(FE_DFL_ENV);
    assert_int_equal(status, VR_OK);
    assert_int_equal(rounding, FE_UPWARD);
    assert_int_equal(traps, FE_INVALID);
    assert_stats(&got, &wanted, VR_F32, LARGE / 4, "environment");
}

/* Merging the statistics of two halves gives those of the whole where the tree splits there; the counts always. */
static void merging(void **state)
{
    (void)state;
    fill_with_values(VR_F32);
    const size_t chunk = VR_CHUNK_BYTES / 4, n = 7 * chunk + 3;
    const vr_stats a = check(bytes, VR_F32, 4 * chunk), b = check(bytes + 4 * VR_CHUNK_BYTES, VR_F32, n - 4 * chunk);
    const vr_stats whole = check(bytes, VR_F32, n), merged = vr_stats_merge(&a, &b), none = {0};
    assert_stats(&merged, &whole, VR_F32, n, "merged");
    const vr_stats left = vr_stats_merge(&none, &a), right = vr_stats_merge(&a, &none);
    assert_stats(&left, &a, VR_F32, n, "empty first");
    assert_stats(&right, &a, VR_F32, n, "empty second");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_types), cmocka_unit_test(special_floats), cmocka_unit_test(special_integers),
        cmocka_unit_test(all_codes), cmocka_unit_test(each_f16),       cmocka_unit_test(constants),
        cmocka_unit_test(strides),   cmocka_unit_test(accuracy),       cmocka_unit_test(environment),
        cmocka_unit_test(merging),   cmocka_unit_test(full_counters),  cmocka_unit_test(signed_zeros),
    };
    return cmocka_run_group_tests(tests, make_bytes, free_bytes);
}
