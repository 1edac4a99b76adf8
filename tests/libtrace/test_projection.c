/* Projections against their definition, and the stated error against draws of the random matrix. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <isa.h>
#include <omp.h>
#include <varanalyze/projection.h>
#include <varanalyze/random.h>

static vr_status project(double *out, vr_tensor tensor, uint32_t k, uint64_t key)
{
    return vr_project(out, &tensor, k, key);
}

/* ---- the definition ---- */

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* As projection.h has it, an element at a time, with the order of sums of docs/trace-format.md. */
static void define(double *out, const double *x, int64_t n, uint32_t k, uint64_t key)
{
    const int64_t m = k / 4, segment = 262144;
    double *sums = calloc(k, sizeof *sums);
    assert_non_null(sums);
    memset(out, 0, k * sizeof *out);
    for (int64_t from = 0; from < n; from += segment) {
        memset(sums, 0, k * sizeof *sums);
        for (int64_t first = from; first < n && first < from + segment; first += m) {
            vr_random random = vr_random_stream(key, (uint64_t)(first / m));
            const uint64_t rotations = vr_random_u64(&random);
            uint64_t signs = 0;
            for (int64_t c = 0; c < m && first + c < n; c++) {
                signs = c % 64 ? signs >> 1 : vr_random_u64(&random);
                for (int64_t part = 0; part < 4; part++) {
                    const int64_t by = (int64_t)(rotations >> 16 * part & 0xffff);
                    double *sum = &sums[part * m + (c + by) % m];
                    *sum = signs & 1 ? *sum - x[first + c] : *sum + x[first + c];
                }
            }
        }
        for (uint32_t j = 0; j < k; j++)
            out[j] += sums[j];
    }
    for (uint32_t j = 0; j < k; j++)
        out[j] /= 2;
    free(sums);
}

static double *random_values(int64_t n, uint64_t seed)
{
    vr_random random = vr_random_stream(seed, 0);
    double *x = malloc((size_t)(n + 1) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = ldexp(vr_random_uniform(&random) - 0.5, (int)vr_random_below(&random, 8));
    return x;
}

static void same_bits(const double *a, const double *b, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (bits_of(a[i]) != bits_of(b[i]))
            fail_msg("number %lld is %a, not %a", (long long)i, a[i], b[i]);
}

/* Values of a type, and the same as doubles. */
static void *as_type(double *x, int64_t n, vr_dtype dtype)
{
    void *out = malloc((size_t)(n + 1) * 8);
    assert_non_null(out);
    vr_from_f64(out, dtype, x, (size_t)n);
    vr_to_f64(x, out, dtype, (size_t)n);
    return out;
}

static void check_definition(int64_t n, uint32_t k, vr_dtype dtype)
{
    double *x = random_values(n, 7), *expected = malloc(k * sizeof *expected), *got = malloc(k * sizeof *got);
    void *values = as_type(x, n, dtype);
    assert_true(expected && got);
    const vr_tensor tensor = VR_TENSOR(dtype, values, n);
    define(expected, x, n, k, 99);
    assert_int_equal(vr_project(got, &tensor, k, 99), VR_OK);
    same_bits(got, expected, k);
    free(values);
    free(x);
    free(expected);
    free(got);
}

static void test_definition(void **state)
{
    (void)state;
    static const int64_t counts[] = {65, 80, 257, 1000, 1025, 5000, 262144, 262145, 700001};
    for (uint32_t k = VR_PROJECTION_LEAST; k <= VR_PROJECTION_MOST; k *= 4)
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
            if (counts[i] > k)
                check_definition(counts[i], k, VR_F32);
    for (vr_dtype dtype = VR_F64; dtype <= VR_DTYPE_LAST; dtype++)
        check_definition(3001, 128, dtype);
}

/* No instruction set, no number of threads and no stride changes a bit. */
static void test_kernels_agree(void **state)
{
    (void)state;
    static const char *const names[] = {"baseline", "avx2", "avx512"};
    enum { N = 4321, K = 256 };
    double *x = random_values(N, 3), expected[K];
    define(expected, x, N, K, 5);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const vr_kernels *kernels = vr_kernels_named(names[i]);
        double sums[K] = {0};
        if (!kernels)
            continue;
        kernels->project(sums, x, VR_F64, N, K, 5, 0);
        for (int j = 0; j < K; j++)
            sums[j] /= 2;
        same_bits(sums, expected, K);
    }
    free(x);
}

static void test_threads_and_strides(void **state)
{
    (void)state;
    enum { ROWS = 1100, COLUMNS = 1024, N = ROWS * COLUMNS, K = 1024 };
    double *x = random_values(N, 11), *turned = malloc(N * sizeof *turned), one[K], many[K], strided[K];
    assert_non_null(turned);
    for (int64_t i = 0; i < ROWS; i++)
        for (int64_t j = 0; j < COLUMNS; j++)
            turned[j * ROWS + i] = x[i * COLUMNS + j];
    const vr_tensor tensor = VR_TENSOR(VR_F64, x, ROWS, COLUMNS);
    const vr_tensor view = vr_tensor_transpose(VR_TENSOR(VR_F64, turned, COLUMNS, ROWS), 0, 1);
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    assert_int_equal(vr_project(one, &tensor, K, 1), VR_OK);
    omp_set_num_threads(3);
    assert_int_equal(vr_project(many, &tensor, K, 1), VR_OK);
    assert_int_equal(vr_project(strided, &view, K, 1), VR_OK);
    omp_set_num_threads(threads);
    same_bits(one, many, K);
    same_bits(one, strided, K);
    free(x);
    free(turned);
}

/* ---- what is exact ---- */

static void test_small_tensors_are_their_own(void **state)
{
    (void)state;
    const float x[3] = {1.5f, -0.0f, 3e-45f}, y[3] = {1, 0, 0};
    double p[3], q[3];
    assert_int_equal(project(p, VR_TENSOR(VR_F32, x, 3), 64, 1), VR_OK);
    assert_int_equal(project(q, VR_TENSOR(VR_F32, y, 3), 64, 2), VR_OK);
    for (int i = 0; i < 3; i++)
        assert_true(p[i] == x[i]);
    const vr_distance distance = vr_projection_distance(p, q, 3, 3);
    assert_true(distance.squared == 0.25 + (double)x[2] * (double)x[2] && distance.error == 0);
    assert_int_equal(project(p, VR_TENSOR(VR_F32, NULL, 0), 64, 1), VR_OK); /* none to write */
    assert_int_equal(vr_projection_count(0, 64), 0);
    assert_int_equal(vr_projection_count(64, 64), 64);
    assert_int_equal(vr_projection_count(65, 64), 64);
}

/* Equal tensors: 0. One element that differs by d: |d|, whatever else there is. */
static void test_one_element(void **state)
{
    (void)state;
    enum { N = 100000, K = 1024 };
    double *x = random_values(N, 13), p[K], q[K];
    const vr_tensor tensor = VR_TENSOR(VR_F64, x, N);
    assert_int_equal(vr_project(p, &tensor, K, 1), VR_OK);
    assert_int_equal(vr_project(q, &tensor, K, 1), VR_OK);
    assert_true(vr_projection_distance(p, q, K, N).squared == 0);
    x[77777] += 1;
    assert_int_equal(vr_project(q, &tensor, K, 1), VR_OK);
    const vr_distance distance = vr_projection_distance(p, q, K, N);
    assert_true(fabs(distance.squared - 1) < 1e-12);
    assert_true(fabs(distance.error - sqrt(2 / 1024. * (1 + 12 / 1024.))) < 1e-12);
    free(x);
}

static void test_special_values(void **state)
{
    (void)state;
    enum { N = 1000, K = 64 };
    static const struct {
        double a, b;
        bool nan;
    } cases[] = {{NAN, 1, true}, {INFINITY, 1, false}, {-INFINITY, 1, false}, {INFINITY, -INFINITY, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double x[N] = {0}, p[K], zero[K] = {0};
        x[5] = cases[i].a;
        x[900] = cases[i].b;
        assert_int_equal(project(p, VR_TENSOR(VR_F64, x, N), K, 1), VR_OK);
        int nans = 0, infinities = 0;
        for (int j = 0; j < K; j++) {
            nans += isnan(p[j]) != 0;
            infinities += isinf(p[j]) != 0;
            if (isnan(p[j]))
                assert_int_equal(bits_of(p[j]), 0x7ff8000000000000);
        }
        assert_true(cases[i].nan ? nans == 4 : nans + infinities >= 4);
        assert_false(isfinite(vr_projection_distance(p, zero, K, N).squared));
    }
    double negative;
    const uint64_t signaling = 0xfff0000000000001;
    memcpy(&negative, &signaling, sizeof negative);
    assert_int_equal(project(&negative, VR_SCALAR(VR_F64, &negative), K, 1), VR_OK);
    assert_int_equal(bits_of(negative), 0x7ff8000000000000);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    const float x = 1;
    double out[1];
    static const uint32_t sizes[] = {0, 1, 32, 63, 100, 1000, 32768};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_int_equal(project(out, VR_SCALAR(VR_F32, &x), sizes[i], 1), VR_ERROR_ARGUMENT);
    assert_int_equal(project(out, VR_TENSOR(VR_F32, &x, -1), 64, 1), VR_ERROR_SHAPE);
}

/* ---- the error ---- */

/* Differences d of different kinds: all alike, a few large ones, a geometric decline, one block heavier than all
 * others. */
static double difference(int kind, int64_t i, vr_random *random)
{
    switch (kind) {
    case 0:
        return vr_random_uniform(random) - 0.5;
    case 1:
        return i % 500 == 0 ? 10 : 0.01;
    case 2:
        return pow(0.999, (double)i);
    default:
        return i < 40 ? 5 : 1;
    }
}

/* Over M keys, D / |d|^2 has mean 1 and variance v = (2/k)(1 + 12/k)(1 - sum_b S_b^2 / S^2), S_b being the blocks' sums
 * of squares: var D of projection.h with the sum over pairs in different blocks. The mean's standard error is sqrt(v /
 * M), that of the variance v sqrt((c - 1) / M), c being the kurtosis, taken from the draws. Within 5 of each. */
static void check_error(int kind, uint32_t k)
{
    enum { N = 5000, M = 2000 };
    double *d = malloc(N * sizeof *d), *p = malloc(k * sizeof *p), zero[1024] = {0}, energy = 0, blocks = 0;
    double sum = 0, second = 0, fourth = 0, ratios[M];
    vr_random random = vr_random_stream(17, (uint64_t)kind);
    assert_true(d && p && k <= 1024);
    for (int64_t i = 0; i < N; i += k / 4) {
        double block = 0;
        for (int64_t j = i; j < N && j < i + k / 4; j++) {
            d[j] = difference(kind, j, &random);
            block += d[j] * d[j];
        }
        energy += block;
        blocks += block * block;
    }
    for (uint64_t key = 0; key < M; key++) {
        assert_int_equal(project(p, VR_TENSOR(VR_F64, d, N), k, key), VR_OK);
        ratios[key] = vr_projection_distance(p, zero, k, N).squared / energy;
        sum += ratios[key] - 1;
    }
    for (int i = 0; i < M; i++) {
        const double square = (ratios[i] - 1) * (ratios[i] - 1);
        second += square / M;
        fourth += square * square / M;
    }
    const double v = 2. / k * (1 + 12. / k) * (1 - blocks / (energy * energy)), kurtosis = fourth / (second * second);
    if (fabs(sum / M) > 5 * sqrt(v / M))
        fail_msg("kind %d, k %u: the mean is off by %g, its standard error is %g", kind, k, sum / M, sqrt(v / M));
    if (fabs(second - v) > 5 * v * sqrt((kurtosis - 1) / M))
        fail_msg("kind %d, k %u: the variance is %g, not %g (kurtosis %g)", kind, k, second, v, kurtosis);
    free(d);
    free(p);
}

static void test_error_is_as_stated(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++)
        for (uint32_t k = 64; k <= 1024; k *= 4)
            check_error(kind, k);
}

/* Two elements that make up the distance are exact unless they meet, at 1/m in each part: of M keys at m = 16, a share
 * (15/16)^4 = 0.7725 is, within 5 sqrt(0.7725 0.2275 / M). */
static void test_two_elements(void **state)
{
    (void)state;
    enum { N = 1000, K = 64, M = 4000 };
    double d[N] = {0}, p[K], zero[K] = {0};
    int exact = 0;
    d[3] = d[700] = 1;
    for (uint64_t key = 0; key < M; key++) {
        assert_int_equal(project(p, VR_TENSOR(VR_F64, d, N), K, key), VR_OK);
        exact += vr_projection_distance(p, zero, K, N).squared == 2;
    }
    const double share = pow(15 / 16., 4);
    assert_true(fabs((double)exact / M - share) < 5 * sqrt(share * (1 - share) / M));
}

/* x = (3, 4), y = (4, 3): |x - y|^2 = 2, cos = 24/25, |x/5 - y/5|^2 = 2/25. With an error of 0.5: 0.01 and 0.02. */
static void test_cosines(void **state)
{
    (void)state;
    const vr_distance distance = {2, 0.5};
    const vr_cosine cosine = vr_distance_cosine(distance, 5, 5);
    assert_true(fabs(cosine.cosine - 0.96) < 1e-15 && fabs(cosine.error - 0.01) < 1e-15);
    const vr_distance normalized = vr_distance_normalized(distance, 5, 5);
    assert_true(fabs(normalized.squared - 0.08) < 1e-15 && fabs(normalized.error - 0.02) < 1e-15);
    /* (3, 4) and (6, 8): the same direction */
    assert_true(vr_distance_cosine((vr_distance){25, 0}, 5, 10).cosine == 1);
    assert_true(vr_distance_normalized((vr_distance){25, 0}, 5, 10).squared == 0);
    assert_true(isnan(vr_distance_cosine((vr_distance){0, 0}, 0, 0).cosine));
}

static void test_keys(void **state)
{
    (void)state;
    assert_int_equal(vr_projection_key("conv1", "weight"),
                     vr_derive_seed(vr_derive_seed(0, "projection"), "conv1/weight"));
    assert_int_not_equal(vr_projection_key("conv1", "weight"), vr_projection_key("conv2", "weight"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition),
        cmocka_unit_test(test_kernels_agree),
        cmocka_unit_test(test_threads_and_strides),
        cmocka_unit_test(test_small_tensors_are_their_own),
        cmocka_unit_test(test_one_element),
        cmocka_unit_test(test_special_values),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_error_is_as_stated),
        cmocka_unit_test(test_two_elements),
        cmocka_unit_test(test_cosines),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
