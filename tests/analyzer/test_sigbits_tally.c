/* Quantiles of many elements against those of the sorted figures. */
#include <math.h>
#include <setjmp.h>
#include <sigbits_tally.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <varanalyze/random.h>

#include <cmocka.h>

#define COUNT 5000

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The bins are 1/32 of a bit wide. */
static void assert_bits(double value, double expected)
{
    if (!(fabs(value - expected) <= 1.0 / 64 + 1e-12))
        fail_msg("%g is not %g", value, expected);
}

static void test_quantiles(void **state)
{
    (void)state;
    static double sorted[COUNT];
    static va_tally whole, parts[3];
    vr_random random = vr_random_stream(1, 2);
    for (int i = 0; i < COUNT; i++) {
        sorted[i] = 60 * vr_random_uniform(&random) - 30;
        const va_bits bits = {.significant = sorted[i], .contributing = sorted[i] + 1, .bias = NAN, .general = i % 20};
        assert_int_equal(va_tally_add(&parts[i % 3], &bits, 1, 0), VR_OK);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(va_tally_merge(&whole, &parts[2 - i]), VR_OK);
    qsort(sorted, COUNT, sizeof *sorted, by_value);
    for (int percent = 1; percent < 100; percent++)
        assert_bits(va_tally_quantile(&whole, VA_FIGURE_SIGNIFICANT, percent / 100.0),
                    sorted[percent * COUNT / 100 - 1]);
    assert_true(va_tally_quantile(&whole, VA_FIGURE_SIGNIFICANT, 0) == sorted[0]);
    assert_true(va_tally_quantile(&whole, VA_FIGURE_SIGNIFICANT, 1) == sorted[COUNT - 1]);
    assert_true(va_tally_quantile(&whole, VA_FIGURE_GENERAL, 0.5) == 9);
    assert_true(isnan(va_tally_quantile(&whole, VA_FIGURE_BIAS, 0.5)));
    va_tally_clear(&whole);
    assert_true(isnan(va_tally_quantile(&whole, VA_FIGURE_SIGNIFICANT, 0.5)));
    const va_bits far = {.significant = -1000, .contributing = 1000, .bias = NAN};
    assert_int_equal(va_tally_add(&whole, &far, 1, 0), VR_OK);
    assert_true(va_tally_quantile(&whole, VA_FIGURE_SIGNIFICANT, 0.5) == -1000);
    va_tally_free(&whole);
    for (int i = 0; i < 3; i++)
        va_tally_free(&parts[i]);
}

static void test_counts(void **state)
{
    (void)state;
    va_tally t = {0};
    const va_bits bits[] = {
        {.significant = 5, .general = 9, .flags = VA_BITS_CONSTANT},
        {.significant = 23, .general = 23, .flags = VA_BITS_SATURATED | VA_BITS_SATURATED_GENERAL},
        {.significant = NAN, .flags = VA_BITS_NONFINITE},
        {.significant = NAN, .flags = VA_BITS_NONFINITE | VA_BITS_NONFINITE_DIFFERS},
        {.significant = NAN, .flags = VA_BITS_ZERO_REFERENCE},
    };
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
        assert_int_equal(va_tally_add_same(&t, &bits[i], i + 1, 6), VR_OK);
    assert_int_equal(t.elements, 15);
    assert_int_equal(t.constant, 1);
    assert_int_equal(t.saturated, 2);
    assert_int_equal(t.saturated_general, 2);
    assert_int_equal(t.nonfinite, 7);
    assert_int_equal(t.nonfinite_differs, 4);
    assert_int_equal(t.zero_reference, 5);
    assert_int_equal(t.below, 1 + 4 + 5);
    assert_int_equal(t.below_general, 4 + 5);
    assert_int_equal(t.figures[VA_FIGURE_SIGNIFICANT].count, 3);
    va_tally_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_quantiles), cmocka_unit_test(test_counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
