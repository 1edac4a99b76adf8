/* study_distance.h - how far apart the weights of replicas are, for all pairs, in one pass over the weights.
 *
 * Differences are taken and squared in double precision element by element, so that equal weights are exactly 0 apart
 * and near ones lose nothing, as they would if |a - b|^2 were had from |a|^2 + |b|^2 - 2 ab. The sum of N squares is
 * off by at most (170 + N / 2^20) 2^-53 of itself, 2.2e-14 for 25 million weights: 3 roundings of a square, 64 of a
 * lane, 3 of 8 lanes, 32 of a block, 64 of a round, one a round; half of that of the distance.
 *
 * Cosine and unit-normalized distance follow from D = |a - b|^2 and the norms: with G = D - (|a| - |b|)^2,
 * |a/|a| - b/|b||^2 = G / (|a||b|) and cos = 1 - G / (2 |a||b|). Here G is a difference; where b is nearly a multiple
 * of a the normalized distance is off by up to 1e-13 D / (|a||b|) in its square, and a negative G counts as 0.
 */
#ifndef VA_STUDY_DISTANCE_H
#define VA_STUDY_DISTANCE_H

#include "study_metrics.h"

#include <varanalyze/dtype.h>

/* One tensor of all replicas: VR_F32 or VR_F64, `count` elements each. Where `rows` is NULL, `read` gives `n` elements
 * of a replica from element `first` on; it is called from several threads at once, at most VA_DISTANCE_READ elements at
 * a time, and from aligned places. */
#define VA_DISTANCE_READ 16384
typedef struct va_weights {
    vr_dtype dtype;
    uint64_t count;
    const void *const *rows; /* [replicas] */
    vr_status (*read)(void *context, int replica, uint64_t first, size_t n, void *to);
    void *context;
} va_weights;

/* Sums over the tensors added. A replica with an element that is not finite, or of f64 so large that its square is not,
 * has no distances: they are NaN. */
typedef struct va_distances {
    int replicas;
    uint64_t elements;
    size_t pair_count; /* R (R - 1) / 2 */
    double *squared;   /* [pair_count], see va_pair: |a - b|^2 where both norms are finite */
    double *norm2;     /* [replicas]: |a|^2; not finite: see above */
} va_distances;

vr_status va_distances_new(va_distances **out, int replicas);

/* Adds a tensor. Uses up to omp_get_max_threads() threads; the result depends neither on how many nor on the
 * instruction set. Fails as `read`, or with VR_ERROR_ARGUMENT, VR_ERROR_MEMORY; what was added is then not to be used.
 */
vr_status va_distances_add(va_distances *distances, const va_weights *weights);

/* Adds the sums of another of as many replicas, for instance those of a layer to those of all. */
void va_distances_merge(va_distances *distances, const va_distances *other);
void va_distances_free(va_distances *distances);

double va_distance(const va_distances *d, int a, int b);            /* |a - b| */
double va_distance_normalized(const va_distances *d, int a, int b); /* NaN also where a norm is 0 */
double va_cosine(const va_distances *d, int a, int b);              /* the same */

typedef struct va_distance_summary {
    va_spread l2, normalized, cosine; /* over pairs; excluded: NaN */
} va_distance_summary;

vr_status va_distances_summary(va_distance_summary *out, const va_distances *distances);

/* `kind` of every pair as the mean of each replica with all others: what va_pairs_interval takes. */
typedef enum va_distance_kind { VA_DISTANCE_L2, VA_DISTANCE_NORMALIZED, VA_DISTANCE_COSINE } va_distance_kind;
void va_distances_with_others(double *out, const va_distances *distances, va_distance_kind kind);

#endif
