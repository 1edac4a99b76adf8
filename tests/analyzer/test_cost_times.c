/* Medians, means, outliers and warm-ups against values worked by hand, and the interval of a ratio by simulation. */
#include <cost.h>
#include <cost_times.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <varanalyze/random.h>

#include <cmocka.h>

static void assert_near(double value, double expected, double most)
{
    if (!(fabs(value - expected) <= most))
        fail_msg("%.17g is not %.17g", value, expected);
}

static va_cost_summary summarize(const double *values, size_t count)
{
    double copy[16], scratch[16];
    memcpy(copy, values, count * sizeof *values);
    return va_cost_summarize(copy, count, scratch);
}

static void test_summaries(void **state)
{
    (void)state;
    const double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2}, with_nan[] = {NAN, 5, NAN, 7}, nothing[] = {NAN, NAN};
    assert_true(summarize(odd, 3).median == 2 && summarize(odd, 3).mean == 2 && summarize(odd, 3).count == 3);
    assert_true(summarize(even, 4).median == 2.5 && summarize(even, 4).mean == 2.5);
    assert_true(summarize(with_nan, 4).median == 6 && summarize(with_nan, 4).mean == 6);
    assert_int_equal(summarize(with_nan, 4).count, 2);
    assert_true(isnan(summarize(nothing, 2).median) && isnan(summarize(nothing, 2).mean));
    assert_int_equal(summarize(nothing, 2).count, 0);
    assert_int_equal(summarize(nothing, 0).count, 0);
    const double one = 8;
    assert_true(summarize(&one, 1).median == 8 && summarize(&one, 1).mean == 8 && summarize(&one, 1).outliers == 0);
}

/* Of 1 2 3 4 100 the median is 3, the distances 2 1 0 1 97, MAD 1: the limit is 3.5 / 0.6745 = 5.19 from 3. */
static void test_outliers(void **state)
{
    (void)state;
    bool is[6];
    double scratch[6];
    const double far[] = {1, 2, 3, 4, 100}, near[] = {1, 2, 3, 4, 8.18}, past[] = {1, 2, 3, 4, 8.20};
    assert_int_equal(va_outliers_find(is, far, 5, scratch), 1);
    assert_true(is[4] && !is[0] && !is[1] && !is[2] && !is[3]);
    assert_int_equal(va_outliers_find(is, near, 5, scratch), 0);
    assert_int_equal(va_outliers_find(is, past, 5, scratch), 1);
    assert_true(summarize(far, 5).outliers == 1 && summarize(far, 5).mean == 22); /* told, and not left out */
    const double with_nan[] = {1, NAN, 2, 3, 4, 100};
    assert_int_equal(va_outliers_find(is, with_nan, 6, scratch), 1);
    assert_true(is[5] && !is[1]);
}

/* Four of 5 and one of 6: MAD is 0, the mean distance 1/5, the limit 3.5 * 1.2533 / 5 = 0.877 from 5. */
static void test_outliers_of_equal_values(void **state)
{
    (void)state;
    double scratch[5];
    const double equal[] = {5, 5, 5, 5, 5}, one_off[] = {5, 5, 5, 5, 6}, pair[] = {5, 5, 5, 6, 6};
    assert_int_equal(va_outliers_find(NULL, equal, 5, scratch), 0);
    assert_int_equal(va_outliers_find(NULL, one_off, 5, scratch), 1);
    assert_int_equal(va_outliers_find(NULL, pair, 5, scratch), 0); /* the limit is 1.75 */
    assert_int_equal(va_outliers_find(NULL, equal, 0, scratch), 0);
}

static void test_warmup(void **state)
{
    (void)state;
    const size_t counts[][2] = {{0, 0}, {1, 0}, {2, 1}, {10, 1}, {19, 1}, {20, 2}, {99, 9}, {100, 10}, {5000, 10}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        assert_int_equal(va_cost_warmup(counts[i][0]), counts[i][1]);
}

/* Logarithms 1, 2, 3: mean 2, standard deviation 1, t of 2 degrees at 97.5% is 4.302652729911275, so 2 +- 2.484. */
static void test_interval_by_hand(void **state)
{
    (void)state;
    const double base[] = {2, 2, 2}, cost[] = {2 * M_E, 2 * M_E * M_E, 2 * M_E * M_E * M_E};
    const va_interval ratio = va_cost_ratio_interval(cost, base, 3, 0.95);
    assert_near(log(ratio.estimate), 2, 1e-12);
    assert_near(log(ratio.low), 2 - 4.302652729911275 / sqrt(3), 1e-9);
    assert_near(log(ratio.high), 2 + 4.302652729911275 / sqrt(3), 1e-9);
    assert_near(va_cost_reach(&ratio), exp(4.302652729911275 / sqrt(3)) - 1, 1e-8);
    assert_int_equal(ratio.n, 3);
}

static void test_interval_of_what_is_none(void **state)
{
    (void)state;
    const double base[] = {2, 0, NAN, 4, 5}, cost[] = {3, 1, 1, 0, NAN};
    const va_interval one = va_cost_ratio_interval(cost, base, 5, 0.95); /* 3 / 2 is all that there is */
    assert_true(one.estimate == 1.5 && isnan(one.low) && isnan(one.high) && one.n == 1);
    assert_true(isinf(va_cost_reach(&one)));
    const va_interval none = va_cost_ratio_interval(cost + 1, base + 1, 4, 0.95);
    assert_true(isnan(none.estimate) && none.n == 0 && isinf(va_cost_reach(&none)));
    assert_true(isnan(va_cost_ratio_interval(cost, base, 0, 0.95).estimate));
    const double same[] = {2, 4, 8};
    const va_interval point = va_cost_ratio_interval(same, same, 3, 0.95);
    assert_true(point.estimate == 1 && point.low == 1 && point.high == 1 && va_cost_reach(&point) == 0);
}

/* ---- simulation ---- */

#define DATA_SETS 1000
#define STEPS     50

static double normal(vr_random *random)
{
    const double u = 1 - vr_random_uniform(random), v = vr_random_uniform(random);
    return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

/* A run's median step: log-normal steps of 5%, of which 1 in 20 takes twice to six times as long; what the run adds of
 * its own, 2%; and what it shares with its partner. */
static double measure_run(vr_random *random, double median, double shared)
{
    double steps[STEPS], scratch[STEPS];
    const double own = exp(0.02 * normal(random));
    for (int i = 0; i < STEPS; i++) {
        steps[i] = median * shared * own * exp(0.05 * normal(random));
        if (vr_random_uniform(random) < 0.05)
            steps[i] *= 2 + 4 * vr_random_uniform(random);
    }
    return va_cost_summarize(steps, STEPS, scratch).median;
}

/* Whether the interval from `pairs` pairs holds the ratio; a drift to twice the time meets both runs of a pair. */
static bool covers(uint64_t data_set, size_t pairs, double ratio)
{
    double base[16], cost[16];
    vr_random random = vr_random_stream(pairs, data_set);
    for (size_t i = 0; i < pairs; i++) {
        const double shared = 1 + (double)i / (double)pairs;
        base[i] = measure_run(&random, 1e-3, shared);
        cost[i] = measure_run(&random, ratio * 1e-3, shared);
    }
    const va_interval interval = va_cost_ratio_interval(cost, base, pairs, 0.95);
    return interval.low <= ratio && ratio <= interval.high;
}

/* Of 1,000 data sets, 950 +- 6.9 (one standard deviation of a binomial) are covered by an interval that is right: 930
 * to 970 is 2.9 of these to either side. */
static void test_coverage(void **state)
{
    (void)state;
    const size_t pairs[] = {5, 10};
    const double ratios[] = {1, 1.3};
    for (int p = 0; p < 2; p++)
        for (int r = 0; r < 2; r++) {
            int covered = 0;
            for (uint64_t i = 0; i < DATA_SETS; i++)
                covered += covers(i * 2 + (uint64_t)r, pairs[p], ratios[r]);
            print_message("%zu pairs, ratio %g: %d of %d covered\n", pairs[p], ratios[r], covered, DATA_SETS);
            assert_in_range(covered, 930, 970);
        }
}

/* Stopping as 'cost --run' does, at the first look (10 pairs, then each 5) at which the interval is narrow enough. What
 * the manual says of it: between 93% and 96%. 4,000 sequences: one standard deviation is 0.35%, so 92.5% to 96.5% is
 * more than 4 of them from 94%, and would tell an interval that covers 90%. */
static void test_coverage_of_stopping(void **state)
{
    (void)state;
    const double targets[] = {0.012, 0.009, 0.006}; /* as are reached after about 15, 25 and 50 pairs */
    for (int t = 0; t < 3; t++) {
        int covered = 0;
        for (uint64_t i = 0; i < 4000; i++) {
            double base[400], cost[400];
            va_interval interval = {0};
            vr_random random = vr_random_stream(77 + (uint64_t)t, i);
            size_t n = 0;
            do {
                for (size_t stop = n + (n ? 5 : 10); n < stop; n++) {
                    base[n] = exp(0.02 * normal(&random));
                    cost[n] = exp(0.01 * normal(&random));
                }
                interval = va_cost_ratio_interval(cost, base, n, 0.95);
            } while (va_cost_reach(&interval) > targets[t] && n < 395);
            covered += interval.low <= 1 && 1 <= interval.high;
        }
        print_message("to within %g%%: %d of 4000 covered\n", 100 * targets[t], covered);
        assert_in_range(covered, 3700, 3860);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_summaries),
        cmocka_unit_test(test_outliers),
        cmocka_unit_test(test_outliers_of_equal_values),
        cmocka_unit_test(test_warmup),
        cmocka_unit_test(test_interval_by_hand),
        cmocka_unit_test(test_interval_of_what_is_none),
        cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_coverage_of_stopping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
