/* study_interval.h - intervals for what a few replicas say, each with the doubts that go with it.
 *
 * Every interval is equal-tailed: it misses on either side with (1 - confidence) / 2. docs/study-statistics.md has the
 * methods, their sources, and in what share of simulated studies they cover.
 */
#ifndef VA_STUDY_INTERVAL_H
#define VA_STUDY_INTERVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <varanalyze/status.h>

/* Why an interval may not cover as often as it says. Without a doubt it does where its assumptions hold. */
enum {
    VA_DOUBT_UNDEFINED = 1, /* there is no interval, and perhaps no estimate: too few values */
    VA_DOUBT_CONSTANT = 2,  /* all values are equal: the interval is a point, which says nothing of rarer differences */
    VA_DOUBT_HEAVY = 4,     /* a value lies far out (Grubbs' test, 1%): no method covers an sd with such tails */
    VA_DOUBT_FEW = 8,       /* too few for the method to have been found to cover */
    VA_DOUBT_UNCHECKED = 16, /* rests on a distribution near the normal, which so few values cannot show */
    VA_DOUBT_ATOMS = 32,     /* bootstrap: many draws gave no or the same figure */
    VA_DOUBT_DEPENDENT = 64, /* neighbours in a series are alike: fewer independent values than there are values */
    VA_DOUBT_EXCLUDED = 128, /* values that are not finite were left out */
};

typedef struct va_interval {
    double estimate, low, high; /* NaN: not defined */
    double confidence;
    int n;              /* values that it rests on */
    const char *method; /* "Student t" */
    unsigned doubts;
} va_interval;

/* "not trustworthy at n = 10: a value lies far out; ...", "" without doubts (VA_DOUBT_UNCHECKED alone is an "assumes").
 * Returns `out`. */
#define VA_DOUBT_TEXT 512
const char *va_doubt_text(char out[VA_DOUBT_TEXT], const va_interval *interval);

/* In what follows `confidence` is above 0 and below 1, and values that are not finite are left out (pairwise where two
 * belong together), which VA_DOUBT_EXCLUDED says. Calls turn off the error handler of GSL. */

/* Of the mean: Student's t. */
va_interval va_mean_interval(const double *values, size_t n, double confidence);

/* Of the standard deviation. */
va_interval va_sd_interval(const double *values, size_t n, double confidence);

/* Of sd(part) / sd(whole), from paired values: part[i] and whole[i] are of one replica. */
va_interval va_sd_ratio_interval(const double *part, const double *whole, size_t n, double confidence);

/* Of the mean over pairs of replicas of something not negative (churn, distances, 1 - cosine), from each replica's mean
 * with all others and, unless it is NULL, from the pairs (see va_pair): without these it is wider. `most`: what it
 * cannot exceed (churn: 1), or INFINITY. */
va_interval va_pairs_interval(const double *with_others, const double *pairs, size_t replicas, double most,
                              double confidence);

/* Of the ratio between two costs, cost[i] and base[i] measured one beside the other: Student's t of log(cost / base),
 * that is of the geometric mean of the ratios. Pairs with a value not above 0 are left out. */
va_interval va_cost_ratio_interval(const double *cost, const double *base, size_t n, double confidence);

/* Of mean(a) - mean(b), of independent values with variances of their own: Welch. */
va_interval va_difference_interval(const double *a, size_t n, const double *b, size_t m, double confidence);

/* Of sd(a) / sd(b), independent. */
va_interval va_sd_comparison_interval(const double *a, size_t n, const double *b, size_t m, double confidence);

/* Of a probability, from independent trials. Exact (Clopper and Pearson 1934): covers at least as often as it says; and
 * Wilson's score interval (1927), which covers about as often. */
va_interval va_proportion_interval(size_t successes, size_t trials, double confidence);
va_interval va_wilson_interval(size_t successes, size_t trials, double confidence);

/* Replicas needed, so that the interval of the mean is +-`half_width` given a standard deviation: the least n with
 * t_{n-1} sd / sqrt(n) <= half_width; and so that the upper end of that of a standard deviation is at most (1 +
 * `share`) of it, the values being normal: sqrt((n-1) / chi2_{n-1}) <= 1 + share (Greenwood and Sandomire, JASA 45,
 * 1950). 0: no number up to 1,000,000 does, or an argument is off. */
int va_replicas_for_mean(double sd, double half_width, double confidence);
int va_replicas_for_sd(double share, double confidence);

/* The value below which a chi-squared variable of `df` degrees of freedom is with probability p. From 10,000 of them on
 * by the cube root of Wilson and Hilferty (PNAS 17, 1931), to 1e-6 of it: GSL's own is wrong from about 60,000. */
double va_chi_squared_quantile(double p, double df);

#endif
