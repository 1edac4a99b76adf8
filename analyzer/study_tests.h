/* study_tests.h - tests between conditions. All are two-sided; p is NaN where there is no test.
 *
 * Values that are not finite are left out (`excluded`). Exact: p is a sum over all arrangements, ties included, not an
 * approximation.
 */
#ifndef VA_STUDY_TESTS_H
#define VA_STUDY_TESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <varanalyze/status.h>

typedef struct va_test {
    const char *name;
    double statistic, p;
    double df1, df2; /* NaN: it has none */
    size_t n, m;     /* values used: of the first, and of the second condition; of the groups: all, groups */
    size_t excluded;
    bool exact;
} va_test;

/* Whether a and b have the same mean, against all ways to divide their values between them; statistic: mean(a) -
 * mean(b). Exact up to VA_MOST_ARRANGEMENTS of them (10 against 10 has 184,756); above, from `draws` seeded ones, p =
 * (hits + 1) / (draws + 1) (Phipson and Smyth 2010). */
#define VA_MOST_ARRANGEMENTS 2000000
#define VA_PERMUTATIONS      100000
vr_status va_permutation_test(va_test *out, const double *a, size_t n, const double *b, size_t m, uint64_t seed);

/* Wilcoxon's rank sums of a; exact where n + m is at most VA_MOST_RANKS. Ties have middle ranks. Above: normal,
 * corrected for ties and continuity. Statistic: Mann and Whitney's U of a. */
#define VA_MOST_RANKS 100
vr_status va_rank_sum_test(va_test *out, const double *a, size_t n, const double *b, size_t m);

/* Wilcoxon's signed ranks of a[i] - b[i]; zeros are left out, and counted in `excluded`. Exact up to VA_MOST_RANKS
 * pairs.
 * Statistic: the sum of the ranks above 0. */
vr_status va_signed_rank_test(va_test *out, const double *a, const double *b, size_t n);

/* McNemar's exact test: samples that only the first, and only the second of two replicas gets right. */
va_test va_mcnemar_test(size_t only_first, size_t only_second);

/* Student's t of two conditions whose variances differ (Welch 1947). */
va_test va_welch_test(const double *a, size_t n, const double *b, size_t m);

/* Whether `groups` conditions have the same variance: the F test of |x - median of its condition| (Brown and Forsythe,
 * JASA 69, 1974). values[g] has counts[g] values; conditions with fewer than two that are finite are left out, and `m`
 * is the number of those that are not. Where these distances do not vary within conditions, F is infinite and p 0, or
 * (all values of each condition are equal) there is no test. */
vr_status va_brown_forsythe_test(va_test *out, const double *const *values, const size_t *counts, size_t groups);

/* Adjusted p-values in place of `p`, for as many tests as are not NaN: of Holm (1979), which keeps the probability of
 * any false claim, and of Benjamini and Hochberg (1995), which keeps the expected share of false ones. */
vr_status va_holm(double *p, size_t n);
vr_status va_benjamini_hochberg(double *p, size_t n);

#endif
