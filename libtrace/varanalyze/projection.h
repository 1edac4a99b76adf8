/* projection.h - how far two tensors are apart, from few numbers of each; and the weights that a run ended with.
 *
 * A projection is k numbers that stand for a tensor of n elements: P x, for a random matrix P that is the same for all
 * tensors of a name. P (x - y) = P x - P y, so two runs that never met can be compared by their projections alone.
 *
 * P. The elements x_0 .. x_(n-1), in row-major order, are cut into blocks of m = k/4. Each element gets a random sign;
 * each block, in each of four parts of the projection, a random rotation: element c of block b is added, with its
 * sign, to number (c + r_bp) mod m of part p = 0 .. 3. The sums are halved. Signs and rotations are random numbers of
 * Philox, by block (docs/trace-format.md). Where n <= k, the projection is the tensor itself, and what follows is
 * exact.
 *
 * Error. Let d = x - y, and D the sum of the squares of the numbers of P d. Two elements i, j of one block never meet
 * in a sum; two of different blocks meet in a part with probability 1/m, independently in the four. The signs make all
 * cross terms vanish on average, so E D = |d|^2, and of the squared cross terms only those of equal pairs are left: var
 * D = (4/k) (1 + 3/m) sum_(i<j) d_i^2 d_j^2 <= (2/k) (1 + 12/k) |d|^4, the sum over pairs in different blocks. So the
 * standard error of a squared distance, relative to it, is at most e(k) = sqrt((2/k) (1 + 12/k)), and that of a
 * distance about half of it: 4.4 % and 2.2 % at k = 1024. (Alon, Matias and Szegedy, JCSS 1999, for one sum; Charikar,
 * Chen and Farach-Colton, ICALP 2002, for sums of few elements each.) The error is over draws of P, which is drawn
 * once: equal differences d have equal errors. Errors are close to normal where many elements differ; where two
 * elements make up the distance, D is exact unless they meet.
 *
 * Equal tensors have projections equal to the bit, at distance 0. The sums are of doubles in a fixed order: no number
 * of threads and no instruction set changes a bit. NaN and infinities go into the sums by the rules of arithmetic (any
 * NaN becomes the one quiet NaN 0x7ff8000000000000), so the distance to a tensor that holds one is NaN or infinite: it
 * is never taken for a number. Elements that are not floats count as vr_to_f64 has them.
 */
#ifndef VARANALYZE_PROJECTION_H
#define VARANALYZE_PROJECTION_H

#include <varanalyze/trace.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VR_PROJECTION_LEAST   64
#define VR_PROJECTION_MOST    16384
#define VR_PROJECTION_DEFAULT 1024
#define VR_PROJECTION_PREFIX  "projection:" /* and a tensor's name: the name of the record that holds its projection */

/* Whether k is a power of two from VR_PROJECTION_LEAST to VR_PROJECTION_MOST. */
VR_API bool vr_projection_is_size(uint64_t k);

/* Numbers in the projection to k of a tensor of n elements: min(n, k). */
VR_API int64_t vr_projection_count(int64_t n, uint32_t k);

/* The key of the random numbers for a tensor's name: the seed for "LAYER/NAME", of the seed 0 for "projection". */
VR_API uint64_t vr_projection_key(const char *layer, const char *name);

/* Writes the vr_projection_count numbers of the projection to k. Uses up to omp_get_max_threads() threads for large
 * tensors. Fails with VR_ERROR_ARGUMENT (k), as vr_tensor_check, or with VR_ERROR_MEMORY. */
VR_API vr_status vr_project(double *out, const vr_tensor *tensor, uint32_t k, uint64_t key);

/* A squared distance, and its standard error, 0 where it is exact. Those of several tensors with different keys add up:
 * the squares, and the errors as sqrt(error_1^2 + error_2^2 + ...). A distance sqrt(squared) has the standard error
 * error / (2 sqrt(squared)). */
typedef struct vr_distance {
    double squared, error;
} vr_distance;

/* Of two projections with `count` numbers of tensors of n elements. The error is e(k) with the distance as estimated.
 */
VR_API vr_distance vr_projection_distance(const double *a, const double *b, int64_t count, int64_t n);

/* The cosine of the angle between two tensors of norms `a` and `b`, (a^2 + b^2 - squared) / (2 a b), and its standard
 * error. Norms are exact in a trace (the statistics' l2), so the error is small where
 * the tensors are close. Not held to -1 .. 1. NaN where a norm is 0. */
typedef struct vr_cosine {
    double cosine, error;
} vr_cosine;
VR_API vr_cosine vr_distance_cosine(vr_distance distance, double a, double b);

/* The distance of the two divided by their norms, squared = 2 - 2 cosine. May come out below 0, by about its error. */
VR_API vr_distance vr_distance_normalized(vr_distance distance, double a, double b);

/* ---- the weights of a trace ---- */

/* The last that a trace says of a weight. */
typedef struct vr_weight_info {
    const vr_site *site; /* layer, name, type, shape */
    uint64_t step;       /* in which it was recorded last */
    uint32_t epoch;
    vr_trace_record record;     /* digest; from level stats on, stats.l2 is the norm; at level full, the values */
    vr_trace_record projection; /* of this step and this weight; of level 0 where there is none */
    int64_t projected;          /* numbers in it; 0: there is none */
} vr_weight_info;

/* Each weight's last record, by layer and name, in the order in which these were first recorded. `*out` belongs to the
 * trace. Fails as vr_trace_read_records, or with VR_ERROR_MEMORY. */
VR_API vr_status vr_trace_weights(vr_trace *trace, const vr_weight_info **out, uint64_t *count);

/* Reads the `projected` numbers. Fails with VR_ERROR_ARGUMENT (there are none) or as vr_trace_read_values. The values
 * of a weight at level full are read with vr_trace_read_values(trace, &weight->record, ...). */
VR_API vr_status vr_weight_projection(vr_trace *trace, const vr_weight_info *weight, double *out);

#ifdef __cplusplus
}
#endif
#endif
