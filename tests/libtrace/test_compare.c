/* The oracle goes over the elements one by one: values from vr_to_f64, sums in long double, ULP distances from __int128
 * or, for types of 8 and 16 bits, from the sorted list of all their values. */
#include "isa.h"
#include "patterns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <omp.h>

#define MAX_COUNT (5 * VR_CHUNK_BYTES)

static const vr_tolerance none = VR_TOLERANCE_INIT;

/* What stands in a vr_comparison, with sums in place of what is made from them. */
typedef struct expected {
    vr_comparison counts;
    long double abs, rel, diff, a, b, ab, ab_size;
} expected;

static uint64_t code_at(const void *elements, size_t i, size_t size)
{
    uint64_t code = 0;
    memcpy(&code, (const char *)elements + i * size, size);
    return code; /* little-endian, as all machines this runs on */
}

static __int128 rank_of(uint64_t code, vr_dtype dtype)
{
    const int bits = 8 * (int)vr_dtype_size(dtype);
    const __int128 sign = (__int128)1 << (bits - 1);
    if (dtype == VR_BOOL)
        return code != 0;
    if (vr_dtype_is_float(dtype))
        return code & (uint64_t)sign ? -(__int128)(code ^ (uint64_t)sign) : (__int128)code;
    const bool is_signed = dtype >= VR_I8 && dtype <= VR_I64;
    return is_signed && code & (uint64_t)sign ? (__int128)code - 2 * sign : (__int128)code;
}

static void expect_distance(vr_comparison *c, uint64_t distance)
{
    int bin = 0;
    while (bin < 64 && distance >> bin != 0)
        bin++;
    c->ulp_bins[bin]++;
    c->max_ulp = distance > c->max_ulp ? distance : c->max_ulp;
}

static bool expect_pair(expected *e, uint64_t u, uint64_t v, vr_dtype dtype, const vr_tolerance *tolerance)
{
    double x, y;
    bool within = u == v;
    vr_to_f64(&x, &u, dtype, 1);
    vr_to_f64(&y, &v, dtype, 1);
    e->counts.equal += u == v;
    if (isnan(x) || isnan(y)) {
        const bool both = isnan(x) && isnan(y);
        e->counts.nan_both += both;
        e->counts.nan_mismatch += !both;
        return within || (both && tolerance->nan_equal);
    }
    const __int128 apart = rank_of(u, dtype) - rank_of(v, dtype);
    const uint64_t distance = (uint64_t)(apart < 0 ? -apart : apart);
    expect_distance(&e->counts, distance);
    within |= tolerance->ulp >= 0 && distance <= (uint64_t)tolerance->ulp;
    e->counts.sign_flips += (x < 0 && y > 0) || (x > 0 && y < 0);
    e->counts.inf_mismatch += (isinf(x) || isinf(y)) && x != y;
    if (isinf(x) || isinf(y))
        return within;

    const bool is_wide = dtype == VR_I64 || dtype == VR_U64;
    const double difference = is_wide ? (double)distance : fabs(x - y), larger = fmax(fabs(x), fabs(y));
    const double relative = larger == 0 ? 0 : difference / larger;
    within |= tolerance->absolute >= 0 && difference <= tolerance->absolute;
    within |= tolerance->relative >= 0 && difference <= tolerance->relative * larger;
    e->counts.max_abs = fmax(e->counts.max_abs, difference);
    e->counts.max_rel = fmax(e->counts.max_rel, relative);
    e->abs += difference;
    e->rel += relative;
    e->diff += (long double)difference * difference;
    e->a += (long double)x * x;
    e->b += (long double)y * y;
    e->ab += (long double)x * y;
    e->ab_size += fabsl((long double)x * y);
    return within;
}

static expected expect(const void *a, const void *b, vr_dtype dtype, size_t n, const vr_tolerance *tolerance)
{
    const size_t size = vr_dtype_size(dtype);
    expected e = {.counts = {.count = (int64_t)n, .first = -1}};
    for (size_t i = 0; i < n; i++) {
        const bool within = expect_pair(&e, code_at(a, i, size), code_at(b, i, size), dtype, tolerance);
        e.counts.within += within;
        if (!within && e.counts.first < 0)
            e.counts.first = (int64_t)i;
    }
    return e;
}

/* `got` is a sum, or the root or the mean of one. With u = 2^-53, a sum of n terms in any order is off by at most
 * (n - 1) u times the sum of the terms' sizes to first order (Higham 2002, 4.2), each product by u, and a root or
 * quotient by u again; the long double's own error is 2^-11 of that. 4 in place of 1 covers both and the second order.
 */
static double bound(size_t n)
{
    return ((double)n + 4) * 0x1.01p-53;
}

static void assert_near(double got, long double wanted, double error)
{
    if (!(fabsl(got - wanted) <= error))
        fail_msg("got %.17g, wanted %.17Lg +- %g", got, wanted, error);
}

static void assert_values(const vr_comparison *got, const expected *e)
{
    const size_t n = (size_t)got->count;
    const double r = bound(n);
    const long double measured = got->count - got->nan_mismatch - got->nan_both - got->inf_mismatch;
    const long double pairs = measured > 0 ? measured : 1, norms = sqrtl(e->a) * sqrtl(e->b);
    if (!(fmaxl(fmaxl(e->a, e->b), e->diff) <= DBL_MAX && fminl(e->a, e->b) >= DBL_MIN))
        return; /* overflow has its own test; the relative error of a product that underflows is not u */
    assert_near(got->mean_abs, e->abs / pairs, r * (double)(e->abs / pairs));
    assert_near(got->mean_rel, e->rel / pairs, r * (double)(e->rel / pairs));
    assert_near(got->diff_l2, sqrtl(e->diff), r * (double)sqrtl(e->diff) + 0x1p-511);
    assert_near(got->a_l2, sqrtl(e->a), r * (double)sqrtl(e->a));
    assert_near(got->b_l2, sqrtl(e->b), r * (double)sqrtl(e->b));
    /* The products are at most the norms (Cauchy), so three sums' errors: */
    assert_near(got->cosine, e->ab / norms, 3 * r);
}

static void assert_counts(const vr_comparison *got, const vr_comparison *wanted)
{
    assert_int_equal(got->count, wanted->count);
    assert_int_equal(got->equal, wanted->equal);
    assert_int_equal(got->within, wanted->within);
    assert_int_equal(got->first, wanted->first);
    assert_int_equal(got->nan_mismatch, wanted->nan_mismatch);
    assert_int_equal(got->nan_both, wanted->nan_both);
    assert_int_equal(got->inf_mismatch, wanted->inf_mismatch);
    assert_int_equal(got->sign_flips, wanted->sign_flips);
    assert_int_equal(got->max_ulp, wanted->max_ulp);
    assert_memory_equal(got->ulp_bins, wanted->ulp_bins, sizeof got->ulp_bins);
    assert_true(got->max_abs == wanted->max_abs);
    assert_true(got->max_rel == wanted->max_rel);
}

static void assert_same_bits(const vr_comparison *a, const vr_comparison *b)
{
    assert_memory_equal(a, b, sizeof *a); /* no padding: all fields are of 8 bytes */
}

static vr_comparison compare(const void *a, const void *b, vr_dtype dtype, size_t n, const vr_tolerance *tolerance)
{
    const vr_tensor x = VR_TENSOR(dtype, a, (int64_t)n), y = VR_TENSOR(dtype, b, (int64_t)n);
    vr_comparison c;
    assert_int_equal(vr_compare(&c, &x, &y, tolerance), VR_OK);
    return c;
}

static char first_buffer[MAX_COUNT], second_buffer[MAX_COUNT];

static void test_against_oracle(void **state)
{
    (void)state;
    size_t round = 0;
    for (vr_dtype dtype = VR_F64; dtype <= VR_DTYPE_LAST; dtype++) {
        const size_t chunk = VR_CHUNK_BYTES / vr_dtype_size(dtype);
        const size_t sizes[] = {0, 1, 15, 16, 17, 63, 64, 65, 1000, chunk - 1, chunk, chunk + 1, 4 * chunk + 33};
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (enum pattern pattern = EQUAL; pattern < PATTERNS; pattern++) {
                fill(first_buffer, second_buffer, dtype, sizes[s], pattern);
                for (size_t t = 0; t < (sizes[s] > 1000 ? 3 : TOLERANCES); t++) {
                    const vr_tolerance *tolerance = &tolerances[sizes[s] > 1000 ? round++ % TOLERANCES : t];
                    const expected e = expect(first_buffer, second_buffer, dtype, sizes[s], tolerance);
                    const vr_comparison c = compare(first_buffer, second_buffer, dtype, sizes[s], tolerance);
                    assert_counts(&c, &e.counts);
                    assert_values(&c, &e);
                }
            }
    }
}

static void test_every_instruction_set(void **state)
{
    (void)state;
    static const char *const names[] = {"avx2", "avx512"};
    const vr_kernels *baseline = vr_kernels_named("baseline");
    for (vr_dtype dtype = VR_F64; dtype <= VR_DTYPE_LAST; dtype++) {
        const size_t chunk = VR_CHUNK_BYTES / vr_dtype_size(dtype);
        const size_t sizes[] = {0, 1, 15, 16, 17, 31, 65, chunk - 1, chunk};
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (enum pattern pattern = EQUAL; pattern < PATTERNS; pattern++) {
                fill(first_buffer, second_buffer, dtype, sizes[s], pattern);
                for (size_t t = 0; t < TOLERANCES; t += 5) {
                    vr_comparison wanted, got;
                    baseline->compare(&wanted, first_buffer, second_buffer, dtype, sizes[s], &tolerances[t]);
                    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
                        const vr_kernels *kernels = vr_kernels_named(names[i]);
                        if (!kernels)
                            continue;
                        kernels->compare(&got, first_buffer, second_buffer, dtype, sizes[s], &tolerances[t]);
                        assert_same_bits(&wanted, &got);
                    }
                }
            }
    }
}

static double sum_of_chunks(double (*term)(double, double), const double *a, const double *b, size_t n)
{
    const size_t chunk = VR_CHUNK_BYTES / sizeof(double), chunks = (n + chunk - 1) / chunk;
    if (chunks > 1) {
        size_t left = 1;
        while (2 * left < chunks)
            left *= 2;
        return sum_of_chunks(term, a, b, left * chunk) +
               sum_of_chunks(term, a + left * chunk, b + left * chunk, n - left * chunk);
    }
    double lanes[16] = {0};
    for (size_t i = 0; i < n; i++)
        lanes[i % 16] += term(a[i], b[i]);
    for (size_t half = 8; half > 0; half /= 2)
        for (size_t l = 0; l < half; l++)
            lanes[l] += lanes[l + half];
    return lanes[0];
}

static double relative_term(double a, double b)
{
    return a == 0 && b == 0 ? 0 : fabs(a - b) / fmax(fabs(a), fabs(b));
}

static double square_term(double a, double b)
{
    return (a - b) * (a - b);
}

static double norm_term(double a, double b)
{
    (void)b;
    return a * a;
}

/* 69 chunks and a bit: five parts for threads, the last not whole. */
#define LARGE (69 * VR_CHUNK_BYTES / sizeof(double) + 11)

static void test_order_of_sums(void **state)
{
    (void)state;
    double *a = malloc(LARGE * sizeof *a), *b = malloc(LARGE * sizeof *b);
    assert_true(a && b);
    fill(a, b, VR_F64, LARGE, NEAR);
    for (size_t i = 0; i < LARGE; i += 3)
        b[i] = 1.25 * a[i];
    const vr_comparison c = compare(a, b, VR_F64, LARGE, NULL);
    assert_true(c.mean_rel == sum_of_chunks(relative_term, a, b, LARGE) / (double)LARGE);
    assert_true(c.diff_l2 == sqrt(sum_of_chunks(square_term, a, b, LARGE)));
    assert_true(c.a_l2 == sqrt(sum_of_chunks(norm_term, a, b, LARGE)));
    assert_true(c.b_l2 == sqrt(sum_of_chunks(norm_term, b, a, LARGE)));
    free(a);
    free(b);
}

static void test_any_number_of_threads(void **state)
{
    (void)state;
    static const int threads[] = {2, 3, 8};
    const int most = omp_get_max_threads();
    const int64_t rows = 700, columns = (int64_t)LARGE / rows;
    double *a = malloc(LARGE * sizeof *a), *b = malloc(LARGE * sizeof *b);
    assert_true(a && b);
    for (enum pattern pattern = EQUAL; pattern < PATTERNS; pattern++) {
        fill(a, b, VR_F64, LARGE, pattern);
        const vr_tensor x = VR_TENSOR(VR_F64, a, rows, columns), y = VR_TENSOR(VR_F64, b, rows, columns);
        const vr_tensor xt = vr_tensor_transpose(x, 0, 1), yt = vr_tensor_transpose(y, 0, 1);
        vr_comparison straight, turned, got;
        omp_set_num_threads(1);
        assert_int_equal(vr_compare(&straight, &x, &y, NULL), VR_OK);
        assert_int_equal(vr_compare(&turned, &xt, &yt, NULL), VR_OK);
        for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
            omp_set_num_threads(threads[t]);
            assert_int_equal(vr_compare(&got, &x, &y, NULL), VR_OK);
            assert_same_bits(&got, &straight);
            assert_int_equal(vr_compare(&got, &xt, &yt, NULL), VR_OK);
            assert_same_bits(&got, &turned);
        }
        vr_comparison inside[2];
#pragma omp parallel for num_threads(2)
        for (int i = 0; i < 2; i++)
            vr_compare(&inside[i], &x, &y, NULL);
        assert_same_bits(&inside[0], &straight);
        assert_same_bits(&inside[1], &straight);
    }
    omp_set_num_threads(most);
    free(a);
    free(b);
}

static void test_strides_do_not_matter(void **state)
{
    (void)state;
    enum { ROWS = 211, COLUMNS = 307 };
    for (vr_dtype dtype = VR_F64; dtype <= VR_DTYPE_LAST; dtype++) {
        const size_t size = vr_dtype_size(dtype);
        if (ROWS * COLUMNS * size > MAX_COUNT)
            continue;
        static char turned[MAX_COUNT];
        fill(first_buffer, second_buffer, dtype, ROWS * COLUMNS, RARE);
        for (size_t row = 0; row < ROWS; row++)
            for (size_t column = 0; column < COLUMNS; column++)
                memcpy(turned + (column * ROWS + row) * size, second_buffer + (row * COLUMNS + column) * size, size);
        const vr_comparison wanted = compare(first_buffer, second_buffer, dtype, ROWS * COLUMNS, NULL);
        const vr_tensor a = VR_TENSOR(dtype, first_buffer, ROWS, COLUMNS);
        const vr_tensor b = vr_tensor_transpose(VR_TENSOR(dtype, turned, COLUMNS, ROWS), 0, 1);
        vr_comparison got;
        assert_int_equal(vr_compare(&got, &a, &b, NULL), VR_OK);
        assert_same_bits(&got, &wanted);
    }
}

/* Position of every code among the different values of its type, NaNs apart. */
typedef struct ranked {
    double value;
    uint32_t code;
} ranked;

static int by_value(const void *a, const void *b)
{
    const double x = ((const ranked *)a)->value, y = ((const ranked *)b)->value;
    return (x > y) - (x < y);
}

static void rank_codes(int64_t *ranks, vr_dtype dtype)
{
    static ranked all[65536];
    const uint32_t codes = 1U << (8 * vr_dtype_size(dtype));
    size_t n = 0;
    for (uint32_t code = 0; code < codes; code++) {
        vr_to_f64(&all[n].value, &code, dtype, 1);
        all[n].code = code;
        ranks[code] = -1;
        n += !isnan(all[n].value);
    }
    qsort(all, n, sizeof *all, by_value);
    int64_t rank = 0;
    for (size_t i = 0; i < n; i++) {
        rank += i > 0 && all[i].value > all[i - 1].value;
        ranks[all[i].code] = rank;
    }
}

static void assert_distance(uint32_t u, uint32_t v, vr_dtype dtype, const int64_t *ranks)
{
    const vr_comparison c = compare(&u, &v, dtype, 1, NULL);
    const bool measured = ranks[u] >= 0 && ranks[v] >= 0;
    assert_int_equal(c.max_ulp, measured ? llabs(ranks[u] - ranks[v]) : 0);
    assert_int_equal(c.nan_both + c.nan_mismatch, !measured);
}

static void test_distances_of_f8(void **state)
{
    (void)state;
    static int64_t ranks[256];
    for (vr_dtype dtype = VR_F8E4M3; dtype <= VR_F8E5M2; dtype++) {
        rank_codes(ranks, dtype);
        for (uint32_t u = 0; u < 256; u++)
            for (uint32_t v = 0; v < 256; v++)
                assert_distance(u, v, dtype, ranks);
    }
}

/* Every code against neighbours, its negative, and others a few strides away. */
static void test_distances_of_16_bits(void **state)
{
    (void)state;
    static const uint32_t steps[] = {1, 2, 0x8000, 0x8001, 12345, 40000};
    static int64_t ranks[65536];
    for (vr_dtype dtype = VR_F16; dtype <= VR_BF16; dtype++) {
        rank_codes(ranks, dtype);
        for (uint32_t u = 0; u < 65536; u++)
            for (size_t s = 0; s < sizeof steps / sizeof *steps; s++)
                assert_distance(u, (u + steps[s]) & 0xffff, dtype, ranks);
    }
}

static vr_comparison compare_f64(double a, double b, const vr_tolerance *tolerance)
{
    return compare(&a, &b, VR_F64, 1, tolerance);
}

static void test_zeros_and_neighbours(void **state)
{
    (void)state;
    vr_comparison c = compare_f64(0.0, -0.0, NULL);
    assert_int_equal(c.max_ulp, 0);
    assert_int_equal(c.ulp_bins[0], 1);
    assert_int_equal(c.equal, 0);
    assert_int_equal(c.first, 0);
    assert_int_equal(c.sign_flips, 0);
    assert_true(c.cosine == 1);
    assert_int_equal(compare_f64(0.0, -0.0, &(vr_tolerance){-1, 0, -1, false}).within, 1);
    assert_int_equal(compare_f64(0.0, -0.0, &(vr_tolerance){-1, -1, 0, false}).within, 1);
    assert_int_equal(compare_f64(0x1p-1074, -0x1p-1074, NULL).max_ulp, 2);
    assert_int_equal(compare_f64(0x1p-1074, -0x1p-1074, NULL).sign_flips, 1);
    assert_int_equal(compare_f64(1, nextafter(1, 2), NULL).max_ulp, 1);
    assert_int_equal(compare_f64(DBL_MAX, INFINITY, NULL).max_ulp, 1);
    assert_true(compare_f64(0, 3, NULL).cosine == 0);
}

static void test_equal_tensors_have_cosine_1(void **state)
{
    (void)state;
    for (double x = 0.1; x < 10; x += 0.1) {
        const double pair[] = {x, 1}, opposite[] = {-x, -1};
        assert_true(compare(pair, pair, VR_F64, 2, NULL).cosine == 1);
        assert_true(compare(pair, opposite, VR_F64, 2, NULL).cosine == -1);
    }
}

static void test_infinities(void **state)
{
    (void)state;
    const vr_tolerance wide = {INFINITY, 1, -1, true};
    vr_comparison c = compare_f64(INFINITY, INFINITY, NULL);
    assert_int_equal(c.equal - c.inf_mismatch, 1);
    assert_true(c.mean_abs == 0 && c.a_l2 == 0);
    c = compare_f64(INFINITY, -INFINITY, &wide);
    assert_int_equal(c.inf_mismatch, 1);
    assert_int_equal(c.sign_flips, 1);
    assert_int_equal(c.within, 0);
    assert_int_equal(c.max_ulp, 2 * UINT64_C(0x7ff0000000000000));
    assert_int_equal(c.ulp_bins[64], 1);
    assert_true(c.mean_abs == 0);
    c = compare_f64(INFINITY, 1, &wide);
    assert_int_equal(c.inf_mismatch - c.within, 1);
    c = compare_f64(INFINITY, NAN, &wide);
    assert_int_equal(c.inf_mismatch, 0);
    assert_int_equal(c.nan_mismatch, 1);
}

static void test_nans(void **state)
{
    (void)state;
    const uint64_t codes[] = {0x7ff8000000000000, 0x7ff8000000000001, 0xfff8000000000000};
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < 3; j++) {
            vr_comparison c = compare(&codes[i], &codes[j], VR_F64, 1, NULL);
            assert_int_equal(c.nan_both, 1);
            assert_int_equal(c.equal, i == j);
            assert_int_equal(c.within, i == j);
            assert_int_equal(c.sign_flips, 0);
            assert_int_equal(c.ulp_bins[0], 0);
            c = compare(&codes[i], &codes[j], VR_F64, 1, &(vr_tolerance){-1, -1, -1, true});
            assert_int_equal(c.within, 1);
        }
    const vr_comparison c = compare_f64(NAN, 1, &(vr_tolerance){INFINITY, INFINITY, INT64_MAX, true});
    assert_int_equal(c.nan_mismatch, 1);
    assert_int_equal(c.within, 0);
}

static void test_extremes(void **state)
{
    (void)state;
    const int64_t low = INT64_MIN, high = INT64_MAX;
    vr_comparison c = compare(&low, &high, VR_I64, 1, NULL);
    assert_int_equal(c.max_ulp, UINT64_MAX);
    assert_int_equal(c.ulp_bins[64], 1);
    assert_int_equal(c.sign_flips, 1);
    assert_true(c.max_abs == 0x1p64 && c.max_rel == 2);
    c = compare(&low, &high, VR_U64, 1, NULL); /* 2^63 and 2^63 - 1 */
    assert_int_equal(c.max_ulp, 1);
    assert_int_equal(c.sign_flips, 0);
    assert_true(c.max_abs == 1);
    assert_int_equal(compare(&low, &high, VR_U64, 1, &(vr_tolerance){0, -1, -1, false}).within, 0);
    assert_int_equal(compare(&low, &high, VR_U64, 1, &(vr_tolerance){1, -1, -1, false}).within, 1);
    c = compare_f64(DBL_MAX, -DBL_MAX, NULL); /* beyond a double */
    assert_true(isinf(c.max_abs) && isinf(c.max_rel) && isinf(c.diff_l2) && isnan(c.cosine));
    assert_int_equal(c.inf_mismatch, 0);
    const uint8_t truth = 1, other = 2;
    c = compare(&truth, &other, VR_BOOL, 1, NULL);
    assert_int_equal(c.max_ulp, 0);
    assert_int_equal(c.equal, 0);
    assert_true(c.max_abs == 0);
}

static void test_merge(void **state)
{
    (void)state;
    const size_t n = 3000, cuts[] = {0, 1, 1500, 2999, 3000};
    for (vr_dtype dtype = VR_F64; dtype <= VR_DTYPE_LAST; dtype++)
        for (enum pattern pattern = EQUAL; pattern < PATTERNS; pattern++)
            for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
                const size_t cut = cuts[i], skip = cut * vr_dtype_size(dtype);
                fill(first_buffer, second_buffer, dtype, n, pattern);
                const vr_comparison a = compare(first_buffer, second_buffer, dtype, cut, NULL);
                const vr_comparison b = compare(first_buffer + skip, second_buffer + skip, dtype, n - cut, NULL);
                const vr_comparison merged = vr_comparison_merge(&a, &b);
                const expected e = expect(first_buffer, second_buffer, dtype, n, &none);
                assert_counts(&merged, &e.counts);
                assert_values(&merged, &e);
            }
}

static void assert_refused(const vr_tensor *a, const vr_tensor *b, const char *words)
{
    vr_comparison c;
    assert_int_equal(vr_compare(&c, a, b, NULL), VR_ERROR_SHAPE);
    assert_non_null(strstr(vr_error(), words));
}

static void test_mismatches_are_refused(void **state)
{
    (void)state;
    static const float data[24];
    const vr_tensor a = VR_TENSOR(VR_F32, data, 2, 3), turned = VR_TENSOR(VR_F32, data, 3, 2);
    const vr_tensor flat = VR_TENSOR(VR_F32, data, 6), typed = VR_TENSOR(VR_I32, data, 2, 3);
    const vr_tensor negative = VR_TENSOR(VR_F32, data, -1, 3);
    assert_refused(&a, &turned, "f32 [2, 3] cannot be compared with f32 [3, 2]");
    assert_refused(&a, &flat, "f32 [2, 3] cannot be compared with f32 [6]");
    assert_refused(&a, &typed, "f32 [2, 3] cannot be compared with i32 [2, 3]");
    assert_refused(&a, &negative, "negative");
    assert_refused(&negative, &a, "negative");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_oracle),
        cmocka_unit_test(test_every_instruction_set),
        cmocka_unit_test(test_order_of_sums),
        cmocka_unit_test(test_any_number_of_threads),
        cmocka_unit_test(test_strides_do_not_matter),
        cmocka_unit_test(test_distances_of_f8),
        cmocka_unit_test(test_distances_of_16_bits),
        cmocka_unit_test(test_zeros_and_neighbours),
        cmocka_unit_test(test_equal_tensors_have_cosine_1),
        cmocka_unit_test(test_infinities),
        cmocka_unit_test(test_nans),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_mismatches_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
