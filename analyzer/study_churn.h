/* study_churn.h - on how many samples two replicas of a condition disagree.
 *
 * The churn of two classifiers is the share of samples on which their predictions differ (Milani Fard, Cormier, Canini
 * and Gupta, "Launch and iterate: reducing prediction churn", NIPS 2016); that of a condition is the mean over all
 * pairs of replicas (Zhuang et al., MLSys 2022, whose script counts agreement in its place).
 *
 * Two replicas that both predict the label agree, so churn among samples that both get right is 0 by definition. What
 * can be asked is: of all samples, the share that exactly one of the two gets right; and of the samples that at least
 * one gets right, the share that the other gets wrong (1 less the Jaccard index of what they get right).
 *
 * Means over pairs, and of each replica with all others, come from the frequencies of predictions on each sample,
 * without pairs: with c_k replicas predicting k of R, R^2 - sum c_k^2 ordered pairs disagree. All are of integers, and
 * exact up to the last division. The pairs of one replica share it, so the spread over pairs is no error of the mean:
 * for that see va_pairs_interval.
 */
#ifndef VA_STUDY_CHURN_H
#define VA_STUDY_CHURN_H

#include "study_metrics.h"

typedef struct va_churn {
    int replicas, classes;
    size_t samples;
    double mean;               /* over pairs; NaN: fewer than two replicas, or no samples; see va_churn_lacks */
    double *with_others;       /* [replicas]: mean churn of the replica with all others */
    double *class_mean;        /* [classes]: of the samples of a class; NaN: there are none */
    double *class_with_others; /* [classes][replicas] */
    size_t *class_samples;     /* [classes] */
    size_t pair_count;         /* R (R - 1) / 2; here and below 0 without pairs */
    double *pairs;             /* [pair_count], see va_pair: share of samples on which the two differ */
    double *one_correct;       /* [pair_count]: share of samples that exactly one gets right */
    double *among_correct; /* [pair_count]: that over the samples that at least one gets right; NaN: there are none */
    va_spread over_pairs, one_correct_spread, among_correct_spread;
} va_churn;

/* Uses OpenMP; the result depends neither on threads nor on the instruction set. */
vr_status va_churn_of(va_churn **out, const va_table *table);
void va_churn_free(va_churn *churn);

/* Why there is no churn; NULL: there is. */
const char *va_churn_lacks(const va_churn *churn);

/* The place of the pair a < b of n among (0, 1), (0, 2)... (0, n-1), (1, 2)... */
static inline size_t va_pair(size_t a, size_t b, size_t n)
{
    return a * (2 * n - a - 1) / 2 + (b - a - 1);
}

#endif
