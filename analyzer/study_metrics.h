/* study_metrics.h - how well the replicas of a condition do and how far apart they are: overall, by class, by group,
 * by sample.
 *
 * What is not defined is NaN, and the struct says why: a class without samples has samples 0, a spread of one value has
 * n 1. Nothing is NaN otherwise.
 */
#ifndef VA_STUDY_METRICS_H
#define VA_STUDY_METRICS_H

#include "study_table.h"

#include <stdbool.h>

/* Values of several replicas. Not a number and infinite are left out, and counted. */
typedef struct va_spread {
    int n;                 /* values used */
    int excluded;          /* left out */
    double mean, min, max; /* NaN: n is 0 */
    double sd;             /* with n - 1; NaN: n is below 2. Exactly 0 of equal values */
} va_spread;

va_spread va_spread_of(const double *values, size_t n);

/* Why there is no standard deviation; NULL: there is one. */
const char *va_spread_lacks(const va_spread *spread);

/* Share of correct predictions; of no samples none. */
typedef struct va_metrics {
    int replicas, classes;
    size_t samples;
    size_t outside;   /* predictions that name no class, over all replicas: wrong */
    double *accuracy; /* [replicas] */
    va_spread accuracy_spread;
    va_spread loss_spread;   /* excluded: a loss that is not finite, or not known */
    size_t *class_samples;   /* [classes] */
    double *class_accuracy;  /* [classes][replicas]; also called recall */
    va_spread *class_spread; /* [classes] */
    double *class_ratio; /* [classes]: the class's sd / that of accuracy; NaN where one is missing or the latter 0 */
} va_metrics;

vr_status va_metrics_of(va_metrics **out, const va_table *table);
void va_metrics_free(va_metrics *metrics);

/* Errors of one group for one class as the positive one against all others. With positives P and negatives N by the
 * labels: FPR = FP / (FP + TN) = FP / N, FNR = FN / (FN + TP) = FN / P. */
typedef struct va_rate {
    int positive; /* the class */
    size_t positives, negatives;
    double *fpr, *fnr; /* [replicas]; fpr NaN without negatives, fnr without positives */
    va_spread fpr_spread, fnr_spread;
} va_rate;

/* The samples with one value in one column. */
typedef struct va_group {
    int column;
    int32_t value;
    size_t samples;
    double *accuracy; /* [replicas] */
    va_spread accuracy_spread;
    double ratio; /* as class_ratio */
    va_rate *rates;
    int rate_count; /* two classes: 1, class 1 positive; more: one for each class, against the rest */
} va_group;

typedef struct va_groups {
    int replicas;
    va_group *groups; /* by column, then by value */
    size_t count;
} va_groups;

/* Fails with VR_ERROR_ARGUMENT when a column has more than VA_MOST_VALUES values: it is no group, but a measurement. */
#define VA_MOST_VALUES 256
vr_status va_groups_of(va_groups **out, const va_table *table);
void va_groups_free(va_groups *groups);

/* One sample over the replicas. */
typedef struct va_flip {
    uint64_t id;
    int32_t label;
    int32_t majority;     /* the most frequent prediction; of ties the smallest number */
    bool tied;            /* another is as frequent */
    int dissent;          /* replicas that predict anything else than `majority` */
    int distinct;         /* different predictions */
    int correct;          /* replicas that predict the label */
    double entropy;       /* of the predictions' frequencies, in bits; 0: all the same */
    double disagree;      /* share of the pairs of replicas that disagree: its part in churn; NaN of one replica */
    va_spread confidence; /* over replicas that have one */
} va_flip;

/* The samples on which not all replicas agree, at most `most` of them: most dissent first, then most entropy, then
 * smallest id. `*total`: how many there are. Free `*out`. */
vr_status va_flips_of(va_flip **out, size_t *count, size_t *total, const va_table *table, size_t most);

#endif
