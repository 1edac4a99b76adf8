/* study_bootstrap.h - intervals of any statistic of the replicas, by drawing replicas with replacement.
 *
 * Draw b takes stream b of Philox, so the result is the same for a seed whatever the number of threads. The percentile
 * interval is the quantiles of the draws (type 7 of Hyndman and Fan 1996, as GSL and R have it); BCa corrects for bias
 * and for a spread that changes with the value, from the jackknife (Efron, JASA 82, 1987). With few replicas both are
 * too short: of the standard deviation of 10 normal values they hold the truth in 79% and 82% of studies in place of
 * 95%. Use study_interval.h where it has an interval; this is for statistics that it has none for, and to see.
 */
#ifndef VA_STUDY_BOOTSTRAP_H
#define VA_STUDY_BOOTSTRAP_H

#include "study_interval.h"

#include <stdint.h>

#define VA_DRAWS 4000

/* The statistic of replicas draw[0..n-1], indices of 0..n-1 or (jackknife, n - 1 of them) without one; NaN: not defined
 * for this draw. Called from several threads at once. */
typedef double (*va_statistic)(const void *context, const int *draw, int n);

typedef struct va_bootstrap {
    va_statistic statistic;
    const void *context;
    int n;     /* replicas */
    int draws; /* 0: VA_DRAWS */
    uint64_t seed;
    double confidence;
} va_bootstrap;

/* Either may be NULL. Draws without a figure are left out; with more than 1 in 20 of them, or where BCa's correction is
 * not defined, VA_DOUBT_ATOMS. Fails with VR_ERROR_ARGUMENT or VR_ERROR_MEMORY. */
vr_status va_bootstrap_run(va_interval *percentile, va_interval *bca, const va_bootstrap *bootstrap);

/* Statistics: of `double[]` the mean and the standard deviation; of va_draw_pairs the mean over pairs, a replica drawn
 * twice not being a pair with itself (NaN: only one replica was drawn); of va_draw_ratio the ratio of sums. */
typedef struct va_draw_pairs {
    const double *pairs; /* see va_pair */
    int replicas;
} va_draw_pairs;

typedef struct va_draw_ratio {
    const double *over, *under;
} va_draw_ratio;

double va_draw_mean(const void *values, const int *draw, int n);
double va_draw_sd(const void *values, const int *draw, int n);
double va_draw_mean_over_pairs(const void *pairs, const int *draw, int n);
double va_draw_ratio_of_sums(const void *ratio, const int *draw, int n);

#endif
