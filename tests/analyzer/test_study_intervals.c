/* Intervals, tests, decompositions and fits against what R 4.2 gives for the same values (t.test, var.test's quantiles,
 * binom.test, prop.test, wilcox.test, p.adjust, anova(lm), lm, quantile; formulas without a function of R written out
 * in it), or against values worked by hand. */
#include "study_scene.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <study_bootstrap.h>
#include <study_interval.h>
#include <study_tests.h>

#include <cmocka.h>

#define NEAR      1e-12
#define LENGTH(x) (sizeof(x) / sizeof *(x))

static const double a[] = {91.2, 90.8, 91.5, 91.1, 90.9, 91.3, 91.0, 91.4, 90.7, 91.6};
static const double b[] = {90.1, 91.9, 90.5, 91.7, 89.8, 92.2, 90.9, 91.3, 90.2, 92.0};

static void check_interval(const char *name, va_interval of, double estimate, double low, double high)
{
    char what[128];
    const double values[] = {of.estimate, of.low, of.high}, expected[] = {estimate, low, high};
    static const char *const ends[] = {"estimate", "low", "high"};
    for (int i = 0; i < 3; i++) {
        snprintf(what, sizeof what, "%s: %s", name, ends[i]);
        study_assert_near(what, values[i], expected[i], NEAR);
    }
}

/* ---- intervals ---- */

static void test_means(void **state)
{
    (void)state;
    double c[10];
    for (int i = 0; i < 10; i++)
        c[i] = b[i] + 0.3;
    check_interval("mean", va_mean_interval(a, 10, 0.95), 91.15, 90.933414941033192, 91.36658505896682);
    check_interval("difference", va_difference_interval(a, 10, c, 10, 0.95), -0.21, -0.85589192943790771,
                   0.43589192943792027);
    const double cost[] = {2.1, 2.4, 1.9, 2.2, 2.05}, base[] = {1, 1.1, 0.95, 1.05, 1};
    check_interval("cost", va_cost_ratio_interval(cost, base, 5, 0.95), 2.0845437668259459, 2.0027773306673615,
                   2.1696484423283158);
}

static void test_deviations(void **state)
{
    (void)state;
    check_interval("Bonett", va_sd_interval(a, 10, 0.95), 0.30276503540974814, 0.22154624141223084,
                   0.51462284147753101);
    const va_interval five = va_sd_interval(a, 5, 0.95);
    check_interval("chi-squared", five, 0.27386127875258304, 0.16407936762632505, 0.78695562051535073);
    assert_int_equal(five.doubts, VA_DOUBT_UNCHECKED);
    check_interval("ratio", va_sd_ratio_interval(a, b, 10, 0.95), 0.34468478888200832, 0.21247685707008312,
                   0.55915550203873399);
    check_interval("comparison", va_sd_comparison_interval(a, 10, b, 10, 0.95), 0.34468478888200832,
                   0.21797534655464632, 0.54505064707787787);
}

static void test_pairs(void **state)
{
    (void)state;
    const double pairs[] = {0.1, 0.2, 0.3, 0.15, 0.25, 0.2}, others[] = {0.2, 0.5 / 3, 0.55 / 3, 0.25};
    const va_interval churn = va_pairs_interval(others, pairs, 4, 1, 0.95);
    check_interval("churn", churn, 0.2, 0.087986654458631922, 0.39314312334422868);
    assert_int_equal(churn.doubts, VA_DOUBT_FEW);
    check_interval("without pairs", va_pairs_interval(others, NULL, 4, INFINITY, 0.95), 0.2, 0.084686706906075576,
                   0.47232914658451941);
}

static void test_proportions(void **state)
{
    (void)state;
    check_interval("Clopper-Pearson", va_proportion_interval(3, 20, 0.95), 0.15, 0.032070937185463728,
                   0.37892682654531396);
    check_interval("none of 10", va_proportion_interval(0, 10, 0.95), 0, 0, 0.30849710781876083);
    check_interval("all of 10", va_proportion_interval(10, 10, 0.95), 1, 1 - 0.30849710781876083, 1);
    check_interval("Wilson", va_wilson_interval(3, 20, 0.95), 0.15, 0.052368745896216609, 0.36041886474075691);
    check_interval("no trials", va_proportion_interval(0, 0, 0.95), NAN, NAN, NAN);
}

/* What is not defined says so, and what is a point says what it is worth. */
static void test_doubts(void **state)
{
    (void)state;
    const double one[] = {1}, equal[] = {2, 2, 2}, out[] = {1, 1.1, 0.9, 1.05, 0.95, 1, 1.02, 0.98, 9},
                 some[] = {1, NAN, 2};
    char text[VA_DOUBT_TEXT];
    const va_interval none = va_mean_interval(one, 0, 0.95), lone = va_mean_interval(one, 1, 0.95);
    check_interval("no values", none, NAN, NAN, NAN);
    check_interval("one value", lone, 1, NAN, NAN);
    assert_int_equal(lone.doubts, VA_DOUBT_UNDEFINED);
    check_interval("sd of one", va_sd_interval(one, 1, 0.95), NAN, NAN, NAN);
    const va_interval constant = va_sd_interval(equal, 3, 0.95);
    check_interval("equal", constant, 0, 0, 0);
    assert_int_equal(constant.doubts, VA_DOUBT_CONSTANT);
    assert_true(strstr(va_doubt_text(text, &constant), "all values are equal"));
    const va_interval heavy = va_sd_interval(out, 9, 0.95);
    assert_int_equal(heavy.doubts, VA_DOUBT_HEAVY | VA_DOUBT_UNCHECKED);
    assert_true(strstr(va_doubt_text(text, &heavy), "not trustworthy at n = 9: a value lies far out"));
    assert_int_equal(va_mean_interval(some, 3, 0.95).doubts, VA_DOUBT_EXCLUDED);
    assert_int_equal(va_mean_interval(some, 3, 0.95).n, 2);
    const double but_one[] = {0.1, 0.1, 0.1, 0.1, 0.1, 0.7};
    const va_interval ratio = va_sd_ratio_interval(a, but_one, 6, 0.95);
    assert_true(isnan(ratio.low) && ratio.doubts & VA_DOUBT_UNDEFINED && ratio.estimate > 0);
    check_interval("ratio to a constant", va_sd_ratio_interval(out, equal, 3, 0.95), NAN, NAN, NAN);
    check_interval("churn of two", va_pairs_interval((double[]){0.1, 0.1}, (double[]){0.1}, 2, 1, 0.95), 0.1, NAN, NAN);
    const double zeros[10] = {0};
    const va_interval control = va_pairs_interval(zeros, NULL, 5, 1, 0.95);
    check_interval("control", control, 0, 0, 0);
    assert_int_equal(control.doubts, VA_DOUBT_CONSTANT);
    const va_interval fine = va_mean_interval(a, 10, 0.95);
    assert_string_equal(va_doubt_text(text, &fine), "");
}

static void test_replicas_needed(void **state)
{
    (void)state;
    assert_int_equal(va_replicas_for_mean(1, 0.5, 0.95), 18);
    assert_int_equal(va_replicas_for_mean(2, 0.2, 0.95), 387);
    assert_int_equal(va_replicas_for_mean(0, 0.1, 0.95), 2);
    assert_int_equal(va_replicas_for_mean(1, 0, 0.95), 0);
    assert_int_equal(va_replicas_for_sd(0.25, 0.95), 49);
    assert_int_equal(va_replicas_for_sd(0.5, 0.95), 18);
    assert_int_equal(va_replicas_for_sd(-1, 0.95), 0);
    study_assert_near("chi-squared", va_chi_squared_quantile(0.025, 10), 3.2469727802368414, NEAR);
    study_assert_near("of many", va_chi_squared_quantile(0.025, 65610), 64901.912942706353, 1e-6);
    study_assert_near("of very many", va_chi_squared_quantile(0.975, 590490), 592621.84344606858, 1e-6);
}

/* ---- bootstrap ---- */

/* Two replicas 0 and 1: draws have means 0, 1/2, 1 with 1/4, 1/2, 1/4. */
static void test_bootstrap(void **state)
{
    (void)state;
    const double two[] = {0, 1}, same[] = {3, 3, 3};
    va_interval percentile, again, bca;
    const va_bootstrap of_mean = {va_draw_mean, two, 2, 0, 1, 0.4};
    assert_int_equal(va_bootstrap_run(&percentile, &bca, &of_mean), VR_OK);
    check_interval("two", percentile, 0.5, 0.5, 0.5); /* 0.3 and 0.7 are within the middle half */
    const va_bootstrap of_sd = {va_draw_sd, a, 10, 0, 7, 0.95};
    assert_int_equal(va_bootstrap_run(&percentile, &bca, &of_sd), VR_OK);
    assert_int_equal(va_bootstrap_run(&again, NULL, &of_sd), VR_OK);
    assert_true(percentile.low == again.low && percentile.high == again.high);
    assert_true(percentile.doubts & VA_DOUBT_FEW);
    assert_true(percentile.low < percentile.estimate && percentile.estimate < percentile.high);
    assert_true(bca.low > percentile.low && bca.high > percentile.high); /* that of the draws is biased downwards */
    const va_bootstrap constant = {va_draw_mean, same, 3, 100, 7, 0.95};
    assert_int_equal(va_bootstrap_run(&percentile, &bca, &constant), VR_OK);
    assert_true(bca.low == 3 && bca.high == 3 && bca.doubts & VA_DOUBT_CONSTANT);
    assert_int_equal(va_bootstrap_run(&percentile, NULL, &(va_bootstrap){va_draw_mean, two, 1, 0, 1, 0.95}),
                     VR_ERROR_ARGUMENT);
}

/* Draw (0, 0, 2) of three replicas: pairs (0, 2) twice; (1, 1, 1): none. */
static void test_statistics(void **state)
{
    (void)state;
    const double pairs[] = {0.1, 0.2, 0.4}, over[] = {2, 4, 6}, under[] = {1, 1, 2};
    const va_draw_pairs of = {pairs, 3};
    const va_draw_ratio ratio = {over, under};
    study_assert_near("pairs", va_draw_mean_over_pairs(&of, (int[]){0, 0, 2}, 3), 0.2, NEAR);
    study_assert_near("pairs", va_draw_mean_over_pairs(&of, (int[]){2, 1, 0}, 3), 0.7 / 3, NEAR);
    study_assert_near("no pairs", va_draw_mean_over_pairs(&of, (int[]){1, 1, 1}, 3), NAN, 0);
    study_assert_near("ratio", va_draw_ratio_of_sums(&ratio, (int[]){0, 0, 2}, 3), 10 / 4.0, NEAR);
    study_assert_near("sd", va_draw_sd(over, (int[]){0, 1, 2}, 3), 2, NEAR);
}

/* ---- tests ---- */

static void check_test(const char *name, const va_test *of, double statistic, double p)
{
    char what[128];
    snprintf(what, sizeof what, "%s: statistic", name);
    study_assert_near(what, of->statistic, statistic, NEAR);
    snprintf(what, sizeof what, "%s: p", name);
    study_assert_near(what, of->p, p, 1e-11);
}

static void test_of_means(void **state)
{
    (void)state;
    double c[10];
    va_test out;
    for (int i = 0; i < 10; i++)
        c[i] = b[i] + 0.3;
    out = va_welch_test(a, 10, c, 10);
    check_test("Welch", &out, -0.71475629461368817, 0.48950809478599067);
    study_assert_near("df", out.df1, 11.108771042868671, NEAR);
    const double x[] = {1, 2, 3, 4, 10}, y[] = {5, 6, 7, 8, 12},
                 d[] = {1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30},
                 e[] = {0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29};
    assert_int_equal(va_permutation_test(&out, x, 5, y, 5, 1), VR_OK);
    check_test("permutation", &out, -3.6, 34 / 252.0); /* 0.13492063492063491 */
    assert_true(out.exact);
    for (int i = 0; i < 10; i++)
        c[i] = b[i] + 0.05;
    assert_int_equal(va_rank_sum_test(&out, a, 10, c, 10), VR_OK);
    check_test("rank sum", &out, 50, 1);
    assert_int_equal(va_rank_sum_test(&out, x, 5, y, 5), VR_OK);
    check_test("rank sum", &out, 4, 0.09523809523809523); /* 2 * 12 / 252 */
    assert_int_equal(va_signed_rank_test(&out, d, e, 9), VR_OK);
    check_test("signed rank", &out, 40, 0.0390625);
    out = va_mcnemar_test(3, 12);
    check_test("McNemar", &out, -9, 0.03515625);
    out = va_mcnemar_test(0, 6);
    check_test("McNemar", &out, -6, 0.03125);
    out = va_mcnemar_test(0, 0);
    check_test("McNemar of nothing", &out, 0, 1);
}

/* Ties: 1 1 against 1 2 2. Of C(5, 2) = 10 ways, rank sums (ranks 2 2 2 4.5 4.5) are 4 in 3, 6.5 in 6, 9 in 1; seen 4:
 * 2 * 3 / 10. Differences 1, 1, -1: ranks 2 each; sums 0, 2, 4, 6 in 1, 3, 3, 1 of 8; seen 4: 2 * 4 / 8. */
static void test_ties(void **state)
{
    (void)state;
    va_test out;
    assert_int_equal(va_rank_sum_test(&out, (double[]){1, 1}, 2, (double[]){1, 2, 2}, 3), VR_OK);
    check_test("ties", &out, 1, 0.6);
    assert_int_equal(va_signed_rank_test(&out, (double[]){2, 2, 1, 5}, (double[]){1, 1, 2, 5}, 4), VR_OK);
    check_test("signed ties", &out, 4, 1);
    assert_int_equal(out.excluded, 1);
    assert_int_equal(va_permutation_test(&out, (double[]){1, 1}, 2, (double[]){1, 1}, 2, 1), VR_OK);
    check_test("all equal", &out, 0, 1);
    assert_int_equal(va_rank_sum_test(&out, a, 0, b, 10), VR_OK);
    check_test("nothing", &out, NAN, NAN);
}

/* Too many arrangements for all: what is drawn is near what the normal distribution gives, and the same again. */
static void test_many_values(void **state)
{
    (void)state;
    enum { MANY = 60 };
    double x[MANY], y[MANY];
    va_test drawn, again, ranks;
    for (int i = 0; i < MANY; i++) {
        x[i] = i % 30 + 0.25 * (i % 7);
        y[i] = i % 30 + 0.25 * (i % 5) + 3;
    }
    assert_int_equal(va_permutation_test(&drawn, x, MANY, y, MANY, 3), VR_OK);
    assert_int_equal(va_permutation_test(&again, x, MANY, y, MANY, 3), VR_OK);
    assert_true(!drawn.exact && drawn.p == again.p);
    /* 100,000 draws: a standard error of sqrt(p (1 - p) / 100000), 0.001; Welch's p is off by less than 0.003 here */
    assert_true(fabs(drawn.p - va_welch_test(x, MANY, y, MANY).p) < 0.008);
    assert_int_equal(va_rank_sum_test(&ranks, x, MANY, y, MANY), VR_OK);
    assert_true(!ranks.exact && fabs(ranks.p - drawn.p) < 0.05);
}

static void test_of_variances(void **state)
{
    (void)state;
    double twice[5];
    for (int i = 0; i < 5; i++)
        twice[i] = 2 * a[i];
    const double *const values[] = {a, b, twice};
    const size_t counts[] = {10, 10, 5};
    va_test out;
    assert_int_equal(va_brown_forsythe_test(&out, values, counts, 2), VR_OK);
    check_test("Brown-Forsythe", &out, 16.914017341040449, 0.00065354469514603052);
    assert_int_equal(va_brown_forsythe_test(&out, values, counts, 3), VR_OK);
    check_test("Brown-Forsythe", &out, 8.2906950672645721, 0.0020724921765137034);
    assert_true(out.df1 == 2 && out.df2 == 22);
    const double still[] = {1, 1, 1, 1}, swing[] = {1, 3, 1, 3};
    assert_int_equal(va_brown_forsythe_test(&out, (const double *const[]){still, still}, (size_t[]){4, 4}, 2), VR_OK);
    check_test("constant", &out, NAN, NAN);
    assert_int_equal(va_brown_forsythe_test(&out, (const double *const[]){still, swing}, (size_t[]){4, 4}, 2), VR_OK);
    check_test("control against a swing", &out, INFINITY, 0);
    assert_int_equal(va_brown_forsythe_test(&out, (const double *const[]){still, a}, (size_t[]){1, 10}, 2), VR_OK);
    check_test("one condition", &out, NAN, NAN);
}

static void test_corrections(void **state)
{
    (void)state;
    double holm[] = {0.01, 0.04, NAN, 0.03, 0.005, 0.5}, hochberg[] = {0.01, 0.04, NAN, 0.03, 0.005, 0.5};
    static const double expected[][6] = {{0.04, 0.09, NAN, 0.09, 0.025, 0.5}, {0.025, 0.05, NAN, 0.05, 0.025, 0.5}};
    assert_int_equal(va_holm(holm, 6), VR_OK);
    assert_int_equal(va_benjamini_hochberg(hochberg, 6), VR_OK);
    for (int i = 0; i < 6; i++) {
        study_assert_near("Holm", holm[i], expected[0][i], NEAR);
        study_assert_near("Benjamini-Hochberg", hochberg[i], expected[1][i], NEAR);
    }
    assert_int_equal(va_holm(NULL, 0), VR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_means),       cmocka_unit_test(test_deviations),  cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_proportions), cmocka_unit_test(test_doubts),      cmocka_unit_test(test_replicas_needed),
        cmocka_unit_test(test_bootstrap),   cmocka_unit_test(test_statistics),  cmocka_unit_test(test_of_means),
        cmocka_unit_test(test_ties),        cmocka_unit_test(test_many_values), cmocka_unit_test(test_of_variances),
        cmocka_unit_test(test_corrections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
