/* study_curve.h - training curves of several replicas, and how fast two of them part.
 */
#ifndef VA_STUDY_CURVE_H
#define VA_STUDY_CURVE_H

#include "study_interval.h"
#include "study_metrics.h"

/* values[r][i]: of replica r at step i. out[i]: their spread at that step. Fails with VR_ERROR_MEMORY. */
vr_status va_curve_spread(va_spread *out, const double *const *values, int replicas, size_t steps);

/* The first step at which not all replicas have the same bits (any NaN equals any NaN); `steps`: they never part. The
 * first replica that differs from replica 0 there: *replica, which may be NULL. */
size_t va_curve_parting(const double *const *values, int replicas, size_t steps, int *replica);

typedef enum va_growth_kind {
    VA_GROWTH_EXPONENTIAL, /* |delta| = c exp(rate t) */
    VA_GROWTH_POWER,       /* |delta| = c t^rate, t above 0 */
} va_growth_kind;

/* A line through log|delta| against t (or log t) by least squares: its slope with an interval, Student's t.
 * Neighbouring steps of a training run are alike, which would make it too short: the number of values is taken as n (1
 * - r) / (1 + r) with r the correlation of neighbouring residuals where that is above 0 (Bayley and Hammersley 1946),
 * and VA_DOUBT_DEPENDENT is set from r = 0.5. */
typedef struct va_growth {
    va_growth_kind kind;
    va_interval rate;   /* for a step of t; n: values used */
    double intercept;   /* log c */
    double residual;    /* standard deviation of log|delta| about the line */
    double r2;          /* share of the variance of log|delta| that the line takes */
    double correlation; /* of neighbouring residuals */
    double doubling;    /* log 2 / rate: steps in which an exponential one doubles */
    size_t first, last; /* indices of the values fitted, last included */
    size_t skipped;     /* of these: zero, or not finite */
} va_growth;

/* `delta[i]` at `t[i]`, ascending. Fitted is what comes from the first value above 0 until the first that reaches
 * `saturation` times the largest (included); 1: until the largest. Fails with VR_ERROR_ARGUMENT with fewer than three
 * values to fit. */
vr_status va_growth_fit(va_growth *out, const double *t, const double *delta, size_t count, va_growth_kind kind,
                        double saturation, double confidence);

#endif
