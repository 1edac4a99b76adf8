/* Distances of weights against exact sums (MPFR), for every instruction set, any number of threads, read and mapped;
 * what must be exact is. */
#include <isa.h>
#include <math.h>
#include <mpfr.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <study_churn.h>
#include <study_distance.h>
#include <study_kernels.h>
#include <varanalyze/random.h>

#include <formats/fail.h>

#include <cmocka.h>

#define BITS     400
#define REPLICAS 7
#define MOST     (VA_DISTANCE_READ * 70 + 333) /* more stretches than a round has, and an odd rest */
#define ROUND    MPFR_RNDN

static float *narrow[REPLICAS];
static double *wide[REPLICAS];

/* Replica 1 is replica 0; 2 is near it; 3 is twice it; 4 is its negative; others have nothing in common. */
static float value_of(int r, float base, float other)
{
    const float values[] = {base, base, base + 1e-6F * other, 2 * base, -base, other, other * base};
    return values[r];
}

static int setup(void **state)
{
    (void)state;
    for (int r = 0; r < REPLICAS; r++) {
        narrow[r] = calloc(MOST, sizeof **narrow);
        wide[r] = calloc(MOST, sizeof **wide);
        if (!narrow[r] || !wide[r])
            return 1;
    }
    vr_random random = vr_random_stream(3, 1);
    for (size_t i = 0; i < MOST; i++) {
        const float base = (float)(vr_random_uniform(&random) - 0.5), other = (float)(vr_random_uniform(&random) - 0.5);
        for (int r = 0; r < REPLICAS; r++) {
            narrow[r][i] = value_of(r, base, other);
            wide[r][i] = (double)narrow[r][i] * (1 + 0x1p-40);
        }
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int r = 0; r < REPLICAS; r++) {
        free(narrow[r]);
        free(wide[r]);
    }
    return 0;
}

static va_weights weights_of(vr_dtype dtype, uint64_t count)
{
    return (va_weights){.dtype = dtype,
                        .count = count,
                        .rows = dtype == VR_F32 ? (const void *const *)narrow : (const void *const *)wide};
}

static va_distances *distances_of(const va_weights *weights, int replicas)
{
    va_distances *out;
    assert_int_equal(va_distances_new(&out, replicas), VR_OK);
    assert_int_equal(va_distances_add(out, weights), VR_OK);
    return out;
}

/* ---- against exact sums ---- */

static double element(vr_dtype dtype, int r, size_t i)
{
    return r < 0 ? 0 : dtype == VR_F32 ? (double)narrow[r][i] : wide[r][i];
}

/* How far `value` is from the sum of (a - b)^2, as a share of it; b -1: 0. */
static double error_of(double value, vr_dtype dtype, uint64_t count, int a, int b)
{
    mpfr_t sum, d, y;
    mpfr_inits2(BITS, sum, d, y, (mpfr_ptr)NULL);
    mpfr_set_zero(sum, 1);
    for (size_t i = 0; i < count; i++) {
        mpfr_set_d(d, element(dtype, a, i), ROUND);
        mpfr_set_d(y, element(dtype, b, i), ROUND);
        mpfr_sub(d, d, y, ROUND);
        mpfr_fma(sum, d, d, sum, ROUND);
    }
    mpfr_d_sub(d, value, sum, ROUND);
    if (!mpfr_zero_p(sum))
        mpfr_div(d, d, sum, ROUND);
    const double error = fabs(mpfr_get_d(d, ROUND));
    mpfr_clears(sum, d, y, (mpfr_ptr)NULL);
    return error;
}

/* The bound of study_distance.h. */
static void check_exact(vr_dtype dtype, uint64_t count)
{
    const va_weights weights = weights_of(dtype, count);
    va_distances *d = distances_of(&weights, REPLICAS);
    const double bound = (170 + (double)count / (1 << 20)) * 0x1p-53;
    for (int a = 0; a < REPLICAS; a++) {
        assert_true(error_of(d->norm2[a], dtype, count, a, -1) <= bound);
        for (int b = a + 1; b < REPLICAS; b++)
            assert_true(error_of(d->squared[va_pair((size_t)a, (size_t)b, REPLICAS)], dtype, count, a, b) <= bound);
    }
    va_distances_free(d);
}

static void test_exact(void **state)
{
    (void)state;
    static const uint64_t counts[] = {0, 1, 7, 8, 511, 513, VA_DISTANCE_READ, 3 * VA_DISTANCE_READ + 5};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        check_exact(VR_F32, counts[i]);
        check_exact(VR_F64, counts[i]);
    }
}

static void test_known(void **state)
{
    (void)state;
    const va_weights weights = weights_of(VR_F32, MOST);
    va_distances *d = distances_of(&weights, REPLICAS);
    assert_true(va_distance(d, 0, 1) == 0 && va_distance_normalized(d, 0, 1) == 0 && va_cosine(d, 0, 1) == 1);
    assert_true(va_distance(d, 2, 2) == 0 && va_cosine(d, 2, 2) == 1);
    assert_true(va_distance(d, 0, 2) > 0 && va_distance(d, 0, 2) == va_distance(d, 2, 0));
    /* Powers of 2 change no rounding: the squared norm is that of the difference, or 4 times it. */
    assert_true(d->squared[va_pair(0, 3, REPLICAS)] == d->norm2[0]);
    assert_true(d->squared[va_pair(0, 4, REPLICAS)] == 4 * d->norm2[0]);
    assert_true(va_cosine(d, 0, 3) == 1 && va_cosine(d, 0, 4) == -1 && va_distance_normalized(d, 0, 4) == 2);
    /* Independent and uniform: cosines have a standard deviation of 1 / sqrt(N), here 1e-3. */
    assert_true(fabs(va_cosine(d, 0, 5)) < 5e-3);
    va_distances_free(d);
}

/* 3, 4 and 0, 5: |a - b| = sqrt(10), cosine 20 / 25, |a/5 - b/5| = sqrt(10) / 5; 0, 0 has no direction. */
static void test_by_hand(void **state)
{
    (void)state;
    const float a[] = {3, 4}, b[] = {0, 5}, zero[] = {0, 0};
    const void *const rows[] = {a, b, zero};
    const va_weights weights = {.dtype = VR_F32, .count = 2, .rows = rows};
    va_distances *d = distances_of(&weights, 3);
    assert_true(fabs(va_distance(d, 0, 1) - sqrt(10)) < 1e-15);
    assert_true(fabs(va_cosine(d, 0, 1) - 0.8) < 1e-15);
    assert_true(fabs(va_distance_normalized(d, 0, 1) - sqrt(0.4)) < 1e-15);
    assert_true(va_distance(d, 0, 2) == 5 && isnan(va_cosine(d, 0, 2)) && isnan(va_distance_normalized(d, 2, 2)));
    va_distance_summary summary;
    assert_int_equal(va_distances_summary(&summary, d), VR_OK);
    assert_int_equal(summary.l2.n, 3);
    assert_int_equal(summary.cosine.n, 1);
    assert_int_equal(summary.cosine.excluded, 2);
    double others[3];
    va_distances_with_others(others, d, VA_DISTANCE_L2);
    assert_true(others[2] == 5 && fabs(others[0] - (sqrt(10) + 5) / 2) < 1e-15);
    va_distances_free(d);
}

/* ---- the same bits ---- */

static bool is_same(const va_distances *a, const va_distances *b)
{
    return memcmp(a->squared, b->squared, a->pair_count * sizeof *a->squared) == 0 &&
           memcmp(a->norm2, b->norm2, (size_t)a->replicas * sizeof *a->norm2) == 0;
}

static vr_status read_narrow(void *context, int replica, uint64_t first, size_t n, void *to)
{
    assert_true(n <= VA_DISTANCE_READ && first % VA_DISTANCE_READ == 0 && first + n <= MOST);
    if (context && replica == 3 && first >= VA_DISTANCE_READ)
        return vr_fail(VR_ERROR_IO, "%s", (const char *)context);
    memcpy(to, narrow[replica] + first, n * sizeof **narrow);
    return VR_OK;
}

static void test_threads_and_reading(void **state)
{
    (void)state;
    const va_weights mapped = weights_of(VR_F32, MOST), read = {.dtype = VR_F32, .count = MOST, .read = read_narrow};
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    va_distances *one = distances_of(&mapped, REPLICAS);
    omp_set_num_threads(5);
    va_distances *many = distances_of(&mapped, REPLICAS), *other = distances_of(&read, REPLICAS);
    omp_set_num_threads(threads);
    assert_true(is_same(one, many));
    assert_true(is_same(one, other));
    va_distances_free(one);
    va_distances_free(many);
    va_distances_free(other);
}

static void test_instruction_sets(void **state)
{
    (void)state;
    enum { ROWS = 8, PAIRS = REPLICAS * (REPLICAS - 1) / 2 };
    static double rows[ROWS * VA_DISTANCE_BLOCK];
    double squared[2][PAIRS], norm2[2][REPLICAS];
    for (int r = 0; r < REPLICAS; r++)
        va_study_kernels_named("baseline")->widen(rows + r * VA_DISTANCE_BLOCK, narrow[r], VR_F32, VA_DISTANCE_BLOCK);
    for (int k = 0; k < 3; k++) {
        static const char *const isas[] = {"baseline", "avx2", "avx512"};
        const va_study_kernels *kernels = va_study_kernels_named(isas[k]);
        if (!kernels)
            continue;
        memset(squared[k > 0], 0, sizeof *squared);
        memset(norm2[k > 0], 0, sizeof *norm2);
        kernels->distances(squared[k > 0], norm2[k > 0], rows, REPLICAS);
        assert_memory_equal(squared[0], squared[k > 0], sizeof *squared);
        assert_memory_equal(norm2[0], norm2[k > 0], sizeof *norm2);
    }
}

static void test_layers_add_up(void **state)
{
    (void)state;
    const va_weights a = weights_of(VR_F32, 100), b = weights_of(VR_F64, 1000);
    va_distances *both = distances_of(&a, REPLICAS), *first = distances_of(&a, REPLICAS),
                 *second = distances_of(&b, REPLICAS);
    assert_int_equal(va_distances_add(both, &b), VR_OK);
    va_distances_merge(first, second);
    assert_true(is_same(both, first) && both->elements == 1100 && first->elements == 1100);
    va_distances_free(both);
    va_distances_free(first);
    va_distances_free(second);
}

/* ---- what goes wrong ---- */

static void test_not_finite(void **state)
{
    (void)state;
    const double a[] = {1, 2}, b[] = {1, NAN}, c[] = {INFINITY, 2}, large[] = {1e200, 0}, e[] = {1, 2};
    const void *const rows[] = {a, b, c, large, e};
    const va_weights weights = {.dtype = VR_F64, .count = 2, .rows = rows};
    va_distances *d = distances_of(&weights, 5);
    for (int r = 1; r <= 3; r++)
        assert_true(isnan(va_distance(d, 0, r)) && isnan(va_cosine(d, 0, r)) && isnan(va_distance(d, r, r)));
    assert_true(va_distance(d, 0, 4) == 0 && va_cosine(d, 0, 4) == 1);
    va_distance_summary summary;
    assert_int_equal(va_distances_summary(&summary, d), VR_OK);
    assert_int_equal(summary.l2.n, 1);
    assert_int_equal(summary.l2.excluded, 9);
    va_distances_free(d);
}

static void test_failures(void **state)
{
    (void)state;
    static char message[] = "run3.h5: conv/weight: gone";
    const va_weights gone = {.dtype = VR_F32, .count = MOST, .read = read_narrow, .context = message};
    const va_weights halves = {.dtype = VR_F16, .count = 1};
    va_distances *d;
    assert_int_equal(va_distances_new(&d, REPLICAS), VR_OK);
    assert_int_equal(va_distances_add(d, &gone), VR_ERROR_IO);
    assert_string_equal(vr_error(), message);
    assert_int_equal(va_distances_add(d, &halves), VR_ERROR_ARGUMENT);
    va_distances_free(d);
    assert_int_equal(va_distances_new(&d, 0), VR_ERROR_ARGUMENT);
    assert_int_equal(va_distances_new(&d, 1), VR_OK);
    assert_int_equal(d->pair_count, 0);
    va_distances_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_threads_and_reading),
        cmocka_unit_test(test_instruction_sets),
        cmocka_unit_test(test_layers_add_up),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
