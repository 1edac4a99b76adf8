/* Batch normalization and softmax, against their definitions in long double, and their gradients against differences of
 * those: a mistake in a formula cannot be in both.
 */
#include "kernels_problem.h"

enum { ROWS = 23, CHANNELS = 5, ALL = ROWS * CHANNELS };

static const vr_batchnorm shape = {ROWS, CHANNELS, 1e-5, 0.1};
static real x[ALL], dout[ALL], gamma_[CHANNELS], beta[CHANNELS];

static int fill(void **state)
{
    (void)state;
    vr_random random = vr_random_stream(8, 0);
    for (int i = 0; i < ALL; i++) {
        x[i] = 3 * draw(&random, EVEN) + (real)(i % CHANNELS);
        dout[i] = draw(&random, EVEN);
    }
    for (int j = 0; j < CHANNELS; j++) {
        gamma_[j] = 1 + draw(&random, EVEN) / 2;
        beta[j] = draw(&random, EVEN);
    }
    return 0;
}

static void assert_near(real got, long double wanted, double bound, const char *what, int at)
{
    if (!(fabsl((long double)got - wanted) <= (long double)bound))
        fail_msg("%s[%d] is %a, not %La: off by %Lg, more than %g", what, at, (double)got, wanted,
                 (long double)got - wanted, bound);
}

/* Mean, variance of a channel, in long double. */
static void moments(const long double *values, int channel, long double *mean, long double *variance)
{
    *mean = *variance = 0;
    for (int i = 0; i < ROWS; i++)
        *mean += values[i * CHANNELS + channel] / ROWS;
    for (int i = 0; i < ROWS; i++)
        *variance += powl(values[i * CHANNELS + channel] - *mean, 2) / ROWS;
}

static long double normalized(const long double *values, int at)
{
    long double mean, variance;
    moments(values, at % CHANNELS, &mean, &variance);
    return (values[at] - mean) / sqrtl(variance + (long double)(real)shape.epsilon);
}

static void widen(long double *out, const real *from, int n)
{
    for (int i = 0; i < n; i++)
        out[i] = from[i];
}

/* With A = max |x| of the channel, n rows: the mean is off by at most (n + 2) u A, d = x - mean by that and u |d|; the
 * variance, relatively, by (n + 4) u and by 2 (n + 2) u A / sqrt(v), to first order, the root and quotient by half of
 * it and 2 u. So out, of three more operations, is off by at most |gamma| inverse (n + 2) u A + |gamma z| ((n + 10) u +
 * (n + 2) u A inverse) + 2 u |beta|, which is below (n + 10) u (|gamma| (A inverse (1 + |z|) + |z|) + |beta|). */
static void check_normalized(const real *out, const long double *wide, long double A, int at)
{
    long double mean, variance;
    const int j = at % CHANNELS;
    moments(wide, j, &mean, &variance);
    const double inverse = 1 / sqrt((double)variance), z = fabs((double)normalized(wide, at));
    const double bound =
        (ROWS + 10) * UNIT * (fabs((double)gamma_[j]) * ((double)A * inverse * (1 + z) + z) + fabs((double)beta[j]));
    assert_near(out[at], normalized(wide, at) * gamma_[j] + beta[j], bound, "out", at);
}

static void test_batchnorm(void **state)
{
    (void)state;
    long double wide[ALL];
    widen(wide, x, ALL);
    for (int order = 0; order < VR_ORDERS; order++) {
        vr_math math = {.order = (vr_order)order, .order_key = 2};
        real out[ALL], mean[CHANNELS], inverse[CHANNELS], mean_now[CHANNELS] = {0}, variance_now[CHANNELS] = {1, 1, 1};
        assert_int_equal(
            NAME(vr_batchnorm_forward)(&math, out, mean, inverse, mean_now, variance_now, x, gamma_, beta, &shape),
            VR_OK);
        for (int i = 0; i < ALL; i++)
            check_normalized(out, wide, 8, i);
        for (int j = 0; j < CHANNELS; j++) {
            long double m, v;
            const double bound = (ROWS + 20) * UNIT * 100; /* of values below 8, variances below 10 and above 1 */
            moments(wide, j, &m, &v);
            assert_near(mean[j], m, bound, "mean", j);
            assert_near(inverse[j], 1 / sqrtl(v + 1e-5L), bound + 1e-9, "inverse", j);
            assert_near(mean_now[j], 0.1L * m, bound, "running mean", j);
            const long double before = j < 3 ? 0.9L : 0;
            assert_near(variance_now[j], before + 0.1L * v * ROWS / (ROWS - 1), bound, "running variance", j);
        }
    }
}

static void test_batchnorm_infer(void **state)
{
    (void)state;
    real out[ALL], mean[CHANNELS], variance[CHANNELS];
    for (int j = 0; j < CHANNELS; j++) {
        mean[j] = (real)j;
        variance[j] = 1 + (real)j / 2;
    }
    assert_int_equal(NAME(vr_batchnorm_infer)(NULL, out, x, gamma_, beta, mean, variance, &shape), VR_OK);
    for (int i = 0; i < ALL; i++) { /* seven operations on values below 8, results below 20 */
        const int j = i % CHANNELS;
        const long double z = ((long double)x[i] - mean[j]) / sqrtl((long double)variance[j] + (real)shape.epsilon);
        assert_near(out[i], z * gamma_[j] + beta[j], 7 * UNIT * 20, "out", i);
    }
}

/* Rows of one value, and none: nothing is divided by 0. */
static void test_batchnorm_few_rows(void **state)
{
    (void)state;
    const vr_batchnorm one = {1, 2, 0.25, 0.5}, none = {0, 2, 0.25, 0.5};
    const real two[] = {3, 5}, ones[] = {1, 1};
    real out[2] = {9, 9}, mean[2], inverse[2], mean_now[2] = {1, 1}, variance_now[2] = {1, 1};
    assert_int_equal(NAME(vr_batchnorm_forward)(NULL, out, mean, inverse, mean_now, variance_now, two, ones, two, &one),
                     VR_OK);
    assert_same_bits(out[1], 5, "out", 1);
    assert_same_bits(mean[1], 5, "mean", 1);
    assert_same_bits(inverse[1], 2, "inverse", 1);
    assert_same_bits(mean_now[1], 3, "running mean", 1);
    assert_same_bits(variance_now[1], (real)0.5, "running variance", 1);
    assert_int_equal(
        NAME(vr_batchnorm_forward)(NULL, out, mean, inverse, mean_now, variance_now, NULL, ones, two, &none), VR_OK);
    assert_same_bits(mean[1], 0, "mean", 1);
    assert_same_bits(inverse[1], 2, "inverse", 1);
    assert_same_bits(mean_now[1], 3, "running mean", 1);
    real dgamma[2], dbeta[2];
    assert_int_equal(NAME(vr_batchnorm_backward)(NULL, out, dgamma, dbeta, NULL, NULL, ones, mean, inverse, &none),
                     VR_OK);
    assert_same_bits(dgamma[1], 0, "dgamma", 1);
    assert_int_equal(NAME(vr_batchnorm_backward)(NULL, out, dgamma, dbeta, two, two, ones, two, ones, &one), VR_OK);
    assert_same_bits(out[0], 0, "dx", 0);
    assert_same_bits(dbeta[1], 5, "dbeta", 1);
}

/* Central differences in long double, h = 2^-18: off by h^2 times a third derivative (below 2^10 here, since gamma,
 * dout, 1 / deviation and z are small), and by 2^-63 / h times values below 2^8: in all below 2^-26 and 2^-37. */
#define STEP       0x1p-18L
#define DIFFERENCE 0x1p-24

typedef long double (*loss)(const long double *values);

static long double batchnorm_loss(const long double *values)
{
    long double sum = 0;
    for (int i = 0; i < ALL; i++)
        sum += dout[i] * (normalized(values, i) * gamma_[i % CHANNELS] + beta[i % CHANNELS]);
    return sum;
}

static long double softmax_loss(const long double *values)
{
    long double sum = 0;
    for (int row = 0; row < ROWS; row++) {
        long double all = 0;
        for (int j = 0; j < CHANNELS; j++)
            all += expl(values[row * CHANNELS + j]);
        for (int j = 0; j < CHANNELS; j++)
            sum += dout[row * CHANNELS + j] * expl(values[row * CHANNELS + j]) / all;
    }
    return sum;
}

/* Every gradient is the difference of the loss. `rounding`: how far the arithmetic of the type may be off. */
static void check_gradient(const real *gradient, loss of, double rounding)
{
    long double wide[ALL];
    widen(wide, x, ALL);
    for (int i = 0; i < ALL; i++) {
        wide[i] = x[i] + STEP;
        const long double above = of(wide);
        wide[i] = x[i] - STEP;
        assert_near(gradient[i], (above - of(wide)) / (2 * STEP), DIFFERENCE + rounding, "gradient", i);
        wide[i] = x[i];
    }
}

static void test_batchnorm_backward(void **state)
{
    (void)state;
    for (int order = 0; order < VR_ORDERS; order++) {
        vr_math math = {.order = (vr_order)order, .order_key = 2};
        real out[ALL], mean[CHANNELS], inverse[CHANNELS], dx[ALL], dgamma[CHANNELS], dbeta[CHANNELS];
        assert_int_equal(NAME(vr_batchnorm_forward)(&math, out, mean, inverse, NULL, NULL, x, gamma_, beta, &shape),
                         VR_OK);
        assert_int_equal(NAME(vr_batchnorm_backward)(&math, dx, dgamma, dbeta, dout, x, gamma_, mean, inverse, &shape),
                         VR_OK);
        check_gradient(dx, batchnorm_loss, 100 * (ROWS + 10) * UNIT);
        long double wide[ALL];
        widen(wide, x, ALL);
        for (int j = 0; j < CHANNELS; j++) {
            long double by_beta = 0, by_gamma = 0;
            for (int i = j; i < ALL; i += CHANNELS) {
                by_beta += dout[i];
                by_gamma += dout[i] * normalized(wide, i);
            }
            assert_near(dbeta[j], by_beta, ROWS * ROWS * UNIT, "dbeta", j);
            assert_near(dgamma[j], by_gamma, 100 * (ROWS + 10) * UNIT, "dgamma", j);
        }
    }
}

/* e = exp(d), d = x - max, is off relatively by u |d| from d and less than 2 u of its own; the sum, of n, by (n - 1) u
 * more, the quotient by u: together below (2 |d|max + n + 4) u, first order terms only, twice to be safe. */
static void test_softmax(void **state)
{
    (void)state;
    for (int order = 0; order < VR_ORDERS; order++) {
        vr_math math = {.order = (vr_order)order, .order_key = 2};
        real out[ALL], dx[ALL];
        assert_int_equal(NAME(vr_softmax)(&math, out, x, ROWS, CHANNELS), VR_OK);
        for (int row = 0; row < ROWS; row++) {
            long double sum = 0;
            for (int j = 0; j < CHANNELS; j++)
                sum += expl(x[row * CHANNELS + j]);
            for (int j = 0; j < CHANNELS; j++) {
                const long double wanted = expl(x[row * CHANNELS + j]) / sum;
                const double relative = 2 * (2 * 16 + CHANNELS + 4) * UNIT;
                assert_near(out[row * CHANNELS + j], wanted, relative * (double)wanted, "softmax", j);
            }
        }
        assert_int_equal(NAME(vr_softmax_backward)(&math, dx, dout, out, ROWS, CHANNELS), VR_OK);
        check_gradient(dx, softmax_loss, 100 * (CHANNELS + 10) * UNIT);
    }
}

/* Of two values so far apart that the sum is 1, the smaller one's softmax is exp itself: held to the bound of the
 * header by MPFR. */
static void test_exponential(void **state)
{
    (void)state;
    vr_random random = vr_random_stream(4, 0);
    const double from = sizeof(real) == 4 ? -17 : -38, to = sizeof(real) == 4 ? -87 : -708,
                 most = sizeof(real) == 4 ? 0.51 : 1;
    mpfr_t exact;
    mpfr_init2(exact, 200);
    for (int i = 0; i < 100000; i++) {
        const real pair[] = {0, (real)(from + (to - from) * vr_random_uniform(&random))};
        real out[2];
        NAME(vr_softmax)(NULL, out, pair, 1, 2);
        mpfr_set_d(exact, (double)pair[1], MPFR_RNDN);
        mpfr_exp(exact, exact, MPFR_RNDN);
        const double ulp = ldexp(2 * UNIT, (int)mpfr_get_exp(exact) - 1);
        mpfr_sub_d(exact, exact, (double)out[1], MPFR_RNDN);
        if (!(fabs(mpfr_get_d(exact, MPFR_RNDN)) <= most * ulp))
            fail_msg("exp(%a) is off by %g ulp", (double)pair[1], mpfr_get_d(exact, MPFR_RNDN) / ulp);
    }
    mpfr_clear(exact);
}

/* exp itself is rounded stochastically, not its nearest number: of f32, whose exp is known to twice the precision. The
 * sum is 1 but for a chance of 2^-20. */
static void test_exponential_is_unbiased(void **state)
{
    (void)state;
    const int calls = 4000;
    vr_math math = {.rounding = {.mode = VR_ROUND_SR, .key = 5}};
    for (int d = -30; d >= -33 && sizeof(real) == 4; d--) {
        const real pair[] = {0, (real)d};
        const long double exact = expl(d);
        const real lower = (real)exact > exact ? (real)nextafterf((float)exact, 0) : (real)exact;
        const double share = (double)((exact - lower) / (nextafterf((float)lower, 1) - lower));
        int up = 0;
        for (int i = 0; i < calls; i++) {
            real out[2];
            assert_int_equal(NAME(vr_softmax)(&math, out, pair, 1, 2), VR_OK);
            up += out[1] > lower;
        }
        assert_near((real)up, share * calls, 5 * sqrt(calls * share * (1 - share)), "share", d);
    }
}

static void test_softmax_special(void **state)
{
    (void)state;
    const real inf = (real)INFINITY, quiet = (real)NAN;
    const real rows[][3] = {{0, -inf, 0}, {inf, 0, 0}, {0, quiet, 0}, {-inf, -inf, -inf}, {LARGEST, -LARGEST, LARGEST}},
               wanted[][3] = {{(real)0.5, 0, (real)0.5},
                              {quiet, quiet, quiet},
                              {quiet, quiet, quiet},
                              {quiet, quiet, quiet},
                              {(real)0.5, 0, (real)0.5}};
    real out[5][3];
    assert_int_equal(NAME(vr_softmax)(NULL, out[0], rows[0], 5, 3), VR_OK);
    for (int i = 0; i < 15; i++)
        assert_same_bits(out[i / 3][i % 3], wanted[i / 3][i % 3], "softmax", i);
}

/* Noise of few bits makes some differences so large that their exponentials overflow: infinity, next to which the rest
 * of a row is 0, not NaN as well. */
static void test_softmax_overflow(void **state)
{
    (void)state;
    vr_math math = {.rounding = {.mode = VR_ROUND_MCA, .precision = 1, .key = 6}};
    const real most = sizeof(real) == 4 ? 200 : 1500, pair[] = {most, most};
    int zeros = 0;
    for (int i = 0; i < 2000; i++) {
        real out[2];
        assert_int_equal(NAME(vr_softmax)(&math, out, pair, 1, 2), VR_OK);
        zeros += isnan(out[0]) && out[1] == 0;
    }
    assert_in_range(zeros, 20, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batchnorm),
        cmocka_unit_test(test_batchnorm_infer),
        cmocka_unit_test(test_batchnorm_few_rows),
        cmocka_unit_test(test_batchnorm_backward),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_exponential),
        cmocka_unit_test(test_exponential_is_unbiased),
        cmocka_unit_test(test_softmax_special),
        cmocka_unit_test(test_softmax_overflow),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
