/* The loops over a block of elements against the definition of one, and both where limits are met exactly. */
#include <sigbits_element.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <varanalyze/random.h>

#include <cmocka.h>

static vr_random stream(uint64_t index)
{
    return vr_random_stream(vr_derive_seed(7, "test"), index);
}

static double uniform(vr_random *random, double low, double high)
{
    return low + (high - low) * vr_random_uniform(random);
}

/* Means that no binary number is, of errors that are whole or a power of two nevertheless: n x / sum - 1. Neither is it
 * in the 400 bits of the oracle in test_sigbits_element.c, so by hand. */
static void test_limits_by_hand(void **state)
{
    (void)state;
    static const struct {
        double x[7];
        int n, general, contributing;
    } cases[] = {
        {{2, -2, -1, -2, 2, -1, 1}, 7, 0, 52},   /* sum -1 */
        {{-2, 1, -3, -3, -1, 4, 3}, 7, 0, 52},   /* sum -1 */
        {{0.7, -0.7, 0.7, -0.7, 0.7}, 5, 0, 52}, /* 4 and -6 */
        {{1, 1, 0}, 3, 0, 0},                    /* 1/2, 1/2, -1 */
        {{1, 1, 2}, 3, 1, 0},                    /* -1/4, -1/4, 1/2 */
        {{7, 7, 10}, 3, 2, 1},                   /* -1/8, -1/8, 1/4 */
        {{45, 45, 51, 51, 48, 48, 47}, 7, 3, 3}, /* at most 22/335 */
    };
    const va_bits_options mean = VA_BITS_OPTIONS_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        va_bits_rule rule;
        va_bits one, many;
        double scratch[5 * 7];
        assert_int_equal(va_bits_rule_make(&rule, &mean, cases[i].n, 52), VR_OK);
        va_bits_of(&one, &rule, cases[i].x, 1, 0, scratch);
        va_bits_of_block(&many, &rule, cases[i].x, 1, NULL, 1, scratch);
        assert_int_equal(one.general, cases[i].general);
        assert_int_equal(one.general_contributing, cases[i].contributing);
        assert_int_equal(many.general, cases[i].general);
        assert_int_equal(many.general_contributing, cases[i].contributing);
    }
}

#define COUNT 1000

/* The loops over a block against the definition, element by element, odd ones among them. */
static void test_blocks(void **state)
{
    (void)state;
    static double x[32 * COUNT], y[COUNT];
    static va_bits block[COUNT];
    for (int kind = VA_BITS_MEAN; kind <= VA_BITS_HALVES; kind++)
        for (int absolute = 0; absolute < 2; absolute++) {
            const va_bits_options o = {(va_bits_reference)kind, absolute, 0.95, 0.51, 0.95};
            va_bits_rule rule;
            vr_random random = stream(1000 + (uint64_t)kind);
            assert_int_equal(va_bits_rule_make(&rule, &o, 32, 23), VR_OK);
            for (int j = 0; j < COUNT; j++) {
                const double middle = uniform(&random, -2, 2), spread = ldexp(1, -(j % 40));
                y[j] = middle;
                for (int i = 0; i < 32; i++)
                    x[i * COUNT + j] = j % 50 == 7    ? 0
                                       : j % 50 == 8  ? (i == 3 ? NAN : 1)
                                       : j % 50 == 9  ? INFINITY
                                       : j % 50 == 10 ? middle
                                       : j % 50 == 11 ? (i % 2 ? -middle : middle * (1 + 1e-9 * uniform(&random, 0, 1)))
                                                      : middle + spread * uniform(&random, -1, 1);
            }
            double *scratch = malloc(va_bits_scratch(&rule, COUNT) * sizeof *scratch);
            va_bits_of_block(block, &rule, x, COUNT, y, COUNT, scratch);
            for (int j = 0; j < COUNT; j++) {
                va_bits one;
                va_bits_of(&one, &rule, x + j, COUNT, kind == VA_BITS_RUN ? y[j] : y[0], scratch);
                assert_int_equal(one.flags, block[j].flags);
                assert_int_equal(one.general, block[j].general);
                assert_int_equal(one.general_contributing, block[j].general_contributing);
                assert_true(isnan(one.significant) ? isnan(block[j].significant)
                                                   : fabs(one.significant - block[j].significant) < 1e-11);
                assert_true(isnan(one.contributing) ? isnan(block[j].contributing)
                                                    : fabs(one.contributing - block[j].contributing) < 1e-11);
                assert_true(isnan(one.bias) ? isnan(block[j].bias) : fabs(one.bias - block[j].bias) < 1e-9);
            }
            free(scratch);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits_by_hand),
        cmocka_unit_test(test_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
