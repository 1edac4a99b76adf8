/* Decompositions of variance and fits of curves, against anova(lm) and lm of R 4.2 (what these do not give written out
 * in it) and values worked by hand. */
#include "study_scene.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <study_curve.h>
#include <study_variance.h>

#include <cmocka.h>

#define NEAR 1e-11

static void check_component(const va_component *of, double df, double mean_square, double variance, double f, double p)
{
    char what[64];
    const double values[] = {of->df, of->mean_square, of->variance.estimate, of->f, of->p},
                 expected[] = {df, mean_square, variance, f, p};
    static const char *const names[] = {"df", "mean square", "variance", "F", "p"};
    for (int i = 0; i < 5; i++) {
        snprintf(what, sizeof what, "component %u: %s", of->factors, names[i]);
        study_assert_near(what, values[i], expected[i], NEAR);
    }
}

/* ---- crossed levels ---- */

static void test_two_factors(void **state)
{
    (void)state;
    const double y[] = {10, 12, 14, 13, 20, 22, 11, 13, 19, 17, 24, 27};
    const int32_t first[] = {7, 7, 7, 7, 7, 7, -2, -2, -2, -2, -2, -2}, second[] = {1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3};
    va_variance out;
    assert_int_equal(va_variance_of_levels(&out, y, (const int32_t *const[]){first, second}, 12, 2, 0.95), VR_OK);
    assert_true(out.balanced && out.repeated && out.count == 4);
    const va_component *c = out.components;
    check_component(&c[0], 6, 13 / 6.0, 13 / 6.0, NAN, NAN);
    check_component(&c[1], 1, 100 / 3.0, 4.875, 8.1632653061224509, 0.1037785701035583);
    check_component(&c[2], 2, 283.16666666666663 / 2, (283.16666666666663 - 8.1666666666666667) / 8, 34.673469387755105,
                    0.028032036613272353);
    check_component(&c[3], 2, 49 / 12.0, 0.95833333333333326, 1.8846153846153846, 0.2316715184611472);
    study_assert_near("low", c[1].variance.low, -21.700131471785628, NEAR);
    study_assert_near("high", c[1].variance.high, 5656.3098535476356, NEAR);
    study_assert_near("error, low", c[0].variance.low, 0.89969287240450879, NEAR);
    study_assert_near("error, high", c[0].variance.high, 10.506372858013597, NEAR);
    study_assert_near("share", c[0].share + c[1].share + c[2].share + c[3].share, 1, NEAR);
}

/* One value a cell: the highest interaction and the error are one. A negative component stays negative. */
static void test_three_factors(void **state)
{
    (void)state;
    const double y[] = {5, 7, 6, 9, 12, 10, 4, 8, 9, 13, 11, 16};
    const int32_t a[] = {0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1}, b[] = {0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1},
                  c[] = {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2};
    va_variance out;
    assert_int_equal(va_variance_of_levels(&out, y, (const int32_t *const[]){a, b, c}, 12, 3, 0.95), VR_OK);
    assert_true(out.balanced && !out.repeated && out.count == 8);
    const va_component *v = out.components;
    assert_true(isnan(v[0].variance.estimate) && v[0].variance.doubts & VA_DOUBT_UNDEFINED);
    check_component(&v[1], 1, 12, 7 / 6.0, 2.4, 0.38579595239744008);
    study_assert_near("B", v[2].variance.estimate, 14, NEAR);
    study_assert_near("C", v[4].variance.estimate, 0.75, NEAR);
    check_component(&v[3], 1, 3, -1 / 12.0, 12 / 13.0, 0.43804851305098391);
    check_component(&v[7], 2, 3.25, 3.25, NAN, NAN);
    study_assert_near("negative ones have no share", v[1].share, (7 / 6.0) / (7 / 6.0 + 14 + 0.75 + 2 / 2.0 + 3.25),
                      NEAR); /* AC: (5.25 - 3.25) / 2; BC, AB: below 0 */
}

/* Cells of 1 and 2 values: their means are 1, 2, 4, 9, sizes 1, 2, 1, 2, harmonic mean 4/3. A: ((4+9) - (1+2))^2 / 4 =
 * 25, times 4/3; AB: (1 - 2 - 4 + 9)^2 / 4 = 4, times 4/3; within: 2 (1/2)^2 2 = 1 of 2. */
static void test_unbalanced(void **state)
{
    (void)state;
    const double y[] = {1, 1.5, 2.5, 4, 8.5, 9.5};
    const int32_t a[] = {0, 0, 0, 1, 1, 1}, b[] = {0, 1, 1, 0, 1, 1};
    const int32_t *const levels[] = {a, b};
    va_variance out;
    assert_int_equal(va_variance_of_levels(&out, y, levels, 6, 2, 0.95), VR_OK);
    assert_true(!out.balanced && out.repeated);
    check_component(&out.components[0], 2, 0.5, 0.5, NAN, NAN);
    study_assert_near("A", out.components[1].mean_square, 100 / 3.0, NEAR);
    study_assert_near("AB", out.components[3].mean_square, 16 / 3.0, NEAR);
    study_assert_near("variance of A", out.components[1].variance.estimate, 28 / (8 / 3.0), NEAR);
    study_assert_near("variance of AB", out.components[3].variance.estimate, (16 / 3.0 - 0.5) / (4 / 3.0), NEAR);
}

static void test_refused(void **state)
{
    (void)state;
    const double y[] = {1, 2, 3, 4}, bad[] = {1, NAN, 3, 4};
    const int32_t a[] = {0, 0, 1, 1}, b[] = {0, 1, 0, 1}, hole[] = {0, 1, 0, 0}, same[] = {5, 5, 5, 5};
    va_variance out;
    assert_int_equal(va_variance_of_levels(&out, y, (const int32_t *const[]){a, hole}, 4, 2, 0.95), VR_ERROR_ARGUMENT);
    assert_int_equal(va_variance_of_levels(&out, y, (const int32_t *const[]){a, same}, 4, 2, 0.95), VR_ERROR_ARGUMENT);
    assert_int_equal(va_variance_of_levels(&out, bad, (const int32_t *const[]){a, b}, 4, 2, 0.95), VR_ERROR_ARGUMENT);
    assert_int_equal(va_variance_of_levels(&out, y, (const int32_t *const[]){a, b}, 4, 0, 0.95), VR_ERROR_ARGUMENT);
    assert_int_equal(va_variance_of_levels(&out, y, (const int32_t *const[]){a}, 0, 1, 0.95), VR_ERROR_ARGUMENT);
    assert_int_equal(va_variance_of_conditions(&out, (const double *const[]){y, y}, (size_t[]){4, 1}, 1, 0.95),
                     VR_ERROR_ARGUMENT);
    assert_int_equal(va_variance_of_conditions(&out, (const double *const[]){y, bad}, (size_t[]){4, 4}, 1, 0.95),
                     VR_ERROR_ARGUMENT);
}

/* ---- conditions ---- */

/* Control all equal; init {0, 2}: 2; order {0, 4}: 8; both {0, 6}: 18, of which 18 - 2 - 8 = 8 come from both together.
 */
static void test_conditions(void **state)
{
    (void)state;
    const double control[] = {3, 3}, init[] = {0, 2}, order[] = {0, 4}, both[] = {0, 6};
    const double *const values[] = {control, init, order, both};
    va_variance out;
    assert_int_equal(va_variance_of_conditions(&out, values, (size_t[]){2, 2, 2, 2}, 2, 0.95), VR_OK);
    study_assert_near("control", out.components[0].variance.estimate, 0, 0);
    assert_true(out.components[0].variance.doubts & VA_DOUBT_CONSTANT);
    study_assert_near("init", out.components[1].variance.estimate, 2, NEAR);
    study_assert_near("order", out.components[2].variance.estimate, 8, NEAR);
    study_assert_near("interaction", out.components[3].variance.estimate, 8, NEAR);
    study_assert_near("total", out.total, 18, NEAR);
    study_assert_near("share", out.components[1].share, 2 / 18.0, NEAR);
    assert_true(out.components[1].variance.doubts == VA_DOUBT_UNCHECKED);
}

/* ---- curves ---- */

static void test_parting(void **state)
{
    (void)state;
    const double first[] = {1, NAN, 0.0, 4}, same[] = {1, -NAN, 0.0, 4}, other[] = {1, NAN, -0.0, 4};
    int replica = -1;
    assert_int_equal(va_curve_parting((const double *const[]){first, same}, 2, 4, &replica), 4);
    assert_int_equal(va_curve_parting((const double *const[]){first, same, other}, 3, 4, &replica), 2);
    assert_int_equal(replica, 2);
    assert_int_equal(va_curve_parting((const double *const[]){first}, 1, 4, NULL), 4);
    va_spread spread[4];
    assert_int_equal(va_curve_spread(spread, (const double *const[]){first, (const double[]){3, 2, 0, 4}}, 2, 4),
                     VR_OK);
    study_assert_near("mean", spread[0].mean, 2, NEAR);
    study_assert_near("sd", spread[0].sd, sqrt(2), NEAR);
    assert_int_equal(spread[1].excluded, 1);
}

static void test_growth(void **state)
{
    (void)state;
    const double logs[] = {-20, -19.1, -17.8, -17.2, -16, -14.9, -14.1, -12.9, -12.2, -11};
    double t[14] = {0}, delta[14] = {0};
    for (int i = 0; i < 14; i++) {
        t[i] = i - 2; /* two steps before they part, two after saturation */
        delta[i] = i < 2 ? 0 : i < 12 ? exp(logs[i - 2]) : exp(-11.0);
    }
    va_growth out;
    assert_int_equal(va_growth_fit(&out, t, delta, 14, VA_GROWTH_EXPONENTIAL, 1, 0.95), VR_OK);
    assert_true(out.first == 2 && out.last == 11 && out.skipped == 0);
    study_assert_near("rate", out.rate.estimate, 0.99515151515151568, NEAR);
    study_assert_near("intercept", out.intercept, -19.998181818181823, NEAR);
    study_assert_near("residual", out.residual, 0.13877166770481544, 1e-9);
    study_assert_near("r2", out.r2, 0.99811790698225411, NEAR);
    study_assert_near("correlation", out.correlation, -0.69402045633359288, 1e-9);
    study_assert_near("low", out.rate.low, 0.95991978953923263, NEAR);
    study_assert_near("high", out.rate.high, 1.0303832407637987, NEAR);
    assert_int_equal(out.rate.doubts, 0);
    delta[5] = NAN;
    assert_int_equal(va_growth_fit(&out, t, delta, 14, VA_GROWTH_EXPONENTIAL, 1, 0.95), VR_OK);
    assert_true(out.skipped == 1 && out.rate.n == 9);
    assert_int_equal(va_growth_fit(&out, t, delta, 4, VA_GROWTH_EXPONENTIAL, 1, 0.95), VR_ERROR_ARGUMENT);
    assert_int_equal(va_growth_fit(&out, t, (const double[14]){0}, 14, VA_GROWTH_EXPONENTIAL, 1, 0.95),
                     VR_ERROR_ARGUMENT);
    assert_int_equal(va_growth_fit(&out, t, delta, 0, VA_GROWTH_EXPONENTIAL, 1, 0.95), VR_ERROR_ARGUMENT);
}

/* A power of t, exactly; and values that wander about their line, which makes the interval wider. */
static void test_power_and_dependence(void **state)
{
    (void)state;
    enum { STEPS = 64 };
    double t[STEPS], delta[STEPS];
    for (int i = 0; i < STEPS; i++) {
        t[i] = i + 1;
        delta[i] = 3 * pow(t[i], 1.5);
    }
    va_growth out;
    assert_int_equal(va_growth_fit(&out, t, delta, STEPS, VA_GROWTH_POWER, 1, 0.95), VR_OK);
    study_assert_near("exponent", out.rate.estimate, 1.5, NEAR);
    study_assert_near("factor", out.intercept, log(3), NEAR);
    for (int i = 0; i < STEPS; i++)
        delta[i] = exp(0.1 * i + 0.2 * sin(i / 4.0));
    assert_int_equal(va_growth_fit(&out, t, delta, STEPS, VA_GROWTH_EXPONENTIAL, 1, 0.95), VR_OK);
    assert_true(out.rate.doubts & VA_DOUBT_DEPENDENT && out.correlation > 0.8);
    assert_true(out.rate.low < 0.1 && out.rate.high > 0.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_factors), cmocka_unit_test(test_three_factors),
        cmocka_unit_test(test_unbalanced),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_conditions),  cmocka_unit_test(test_parting),
        cmocka_unit_test(test_growth),      cmocka_unit_test(test_power_and_dependence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
