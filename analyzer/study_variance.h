/* study_variance.h - which source of randomness how much of the variance comes from.
 *
 * Two designs of a campaign answer that, and each has its own decomposition.
 *
 * 1. Conditions: each set S of sources (init, order, kernels, rounding) is a condition of its own, in which the sources
 * of S vary and the others are held. With v(T) the variance that is there only when all of T vary, Var(S) is the sum of
 * v(T) over the non-empty T within S, and v(T) the alternating sum of Var(U) over U within T (Moebius inversion). Var
 * of no source is that of Control. What is held stays at one value: the decomposition is that at this value.
 *
 * 2. Crossed levels: every level of a factor (say 5 seeds for init) with every level of the others, each cell repeated
 * or not. A random effects model: y = mean + the sum over the non-empty sets T of factors of an effect with variance
 * v(T) + error. Sums of squares of the cell means, with expected mean squares (Cornfield and Tukey 1956; Searle,
 * Casella and McCulloch, "Variance components", 1992). Cells of different sizes: the analysis of unweighted means, with
 * the harmonic mean of the sizes (same book, ch. 5); `balanced` says. An empty cell: refused.
 *
 * Components are unbiased, and therefore may be negative: then the source shows no variance. Intervals are those of a
 * combination of independent mean squares, normal values (Ting, Burdick, Graybill, Jeyaratnam and Lu 1990, modified
 * large sample), and so are doubtful where values are not near normal.
 */
#ifndef VA_STUDY_VARIANCE_H
#define VA_STUDY_VARIANCE_H

#include "study_interval.h"

#include <stdint.h>

#define VA_MOST_FACTORS 6
#define VA_MOST_TERMS   (1 << VA_MOST_FACTORS)

typedef struct va_component {
    unsigned factors; /* bit f: factor f is in it; 0: the error within cells (design 2), or Control (design 1) */
    double sum_of_squares, df, mean_square; /* design 1: df and variance of the condition itself */
    va_interval variance;                   /* its estimate may be negative, as may be the ends */
    double share;                           /* of the sum of the components not below 0; NaN: that is 0 */
    double f, p; /* design 2: F test against the mean square of what its expectation has else; NaN: none */
} va_component;

typedef struct va_variance {
    int factors;
    int count; /* of components */
    bool balanced;
    bool repeated; /* design 2: cells have several values, so that the error is apart from the highest interaction */
    double total;  /* sum of the components */
    va_component components[VA_MOST_TERMS];
} va_variance;

/* Design 1. values[S] has counts[S] values, S in 0..2^factors-1; every count is at least 2. Fails with
 * VR_ERROR_ARGUMENT. */
vr_status va_variance_of_conditions(va_variance *out, const double *const *values, const size_t *counts, int factors,
                                    double confidence);

/* Design 2. Value i has level levels[f][i] (any integer) of factor f; each factor has at least two. Fails with
 * VR_ERROR_ARGUMENT (an empty cell, a value that is not finite) or VR_ERROR_MEMORY. */
vr_status va_variance_of_levels(va_variance *out, const double *values, const int32_t *const *levels, size_t count,
                                int factors, double confidence);

#endif
