/* kernels.h - the kernels of a network, with the order of their sums under control.
 *
 *     vr_math math;
 *     vr_math_read(&math, run);                             // VR_KERNELS=shuffled VR_ROUNDING=sr and friends
 *     vr_matmul_f32(&math, out, in, weight, bias, (vr_matmul){.m = batch, .n = 10, .k = 64});
 *
 * Every kernel exists for float and, with the same contract, for double: read f64 for f32 below.
 *
 * Orders. A sum of terms t[0] .. t[K-1], after a first term where there is one (a bias; what is there already), is
 *
 *     fixed     the same bits for any number of threads and any instruction set. Terms are added in order in blocks,
 *               the blocks' sums in order: see "Blocks"
 *     threads   cut into as many pieces as omp_get_max_threads() says, as even as can be, longer ones first; each added
 *               as by `fixed`, after the first term the pieces in order. Repeats for the same number of threads
 *     atomic    short pieces, dealt out to the threads, which add each to the output by atomic additions when it is
 *               done, as the fast kernels of GPUs do: with two threads or more, runs differ. It begins with 0 where
 *               there is no first term
 *     shuffled  as `fixed`, the terms in a random order. The order is drawn from order_key and the number of the call:
 *               any number of threads gives the same bits, another key gives others. One order a call for matmul,
 *               conv, sum_rows and batchnorm; each row its own for softmax and scatter_add
 *     exact     the exact sum of the exact products, rounded once: no order, thread or instruction set can change it
 *
 * A product is rounded before it is added, never fused. No input may overlap an output. NaN results are the quiet NaN
 * without sign and payload; whether there is one depends on the order only where partial sums overflow.
 *
 * Blocks. Sums along columns (matmul, conv, sum_rows, batchnorm, scatter_add): blocks of 256 terms, in order. Sums
 * along contiguous elements (sum, dot, softmax): blocks of 16,384 terms; term i of a block in lane i mod 64, each lane
 * in order, then l + (l + 32), l + (l + 16), ... , + 1; lanes without terms are left out. A first term, then the
 * blocks, are added in order. No addition of 0 begins a sum (but see atomic); the sum of no terms is +0, or the first
 * term.
 *
 * Exact. "Rounded once" is to nearest, or as the rounding mode says: up, down and zero give the bound of the exact
 * value, sr its two neighbours with the right probabilities (up to 2^-23 f32, 2^-52 f64), ud the nearest moved by one
 * ulp; of rr, pb and mca, rr. NaN where a term is NaN or infinities of both signs meet, else infinity where a term is.
 * Sums that are 0 are +0 (ud: the least number of either sign). Intermediate overflow cannot happen. A kernel of
 * several steps rounds each sum once; its other steps are single operations, rounded one by one as written below.
 *
 * Rounding. With another mode than nearest, or a precision, every multiplication and addition above (`exact`: the last
 * rounding) and every other operation named below is rounded so. A random bit is a function of key, number of the call,
 * output element and term (rounding.operands: of key and operands alone), never of threads; so `fixed` and `shuffled`
 * give the same bits for any number of threads. `exact` with operands: a function of key and nearest value. What
 * depends on threads in `threads` and `atomic` is the order of additions.
 *
 * Threads: OpenMP, where there is enough to do, never within a parallel region or in a forked child (as everywhere in
 * the library); the number of pieces of `threads` is the same there.
 *
 * Failures: VR_ERROR_SHAPE (a negative size, or one that overflows; 2^32 terms or more of a sum that is `shuffled`,
 * 2^32 indices or more) and VR_ERROR_ARGUMENT, before anything is written; VR_ERROR_MEMORY, after which outputs are of
 * no use. `threads` takes room for the outputs of matmul and conv as many times as there are threads, `exact` for two
 * doubles each, `shuffled` of sum, dot and softmax for a copy of the inputs.
 */
#ifndef VARANALYZE_KERNELS_H
#define VARANALYZE_KERNELS_H

#include <stdint.h>
#include <varanalyze/capture.h>
#include <varanalyze/rounding.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum vr_order { VR_ORDER_FIXED, VR_ORDER_THREADS, VR_ORDER_ATOMIC, VR_ORDER_SHUFFLED, VR_ORDER_EXACT } vr_order;

#define VR_ORDERS 5

/* How kernels compute. Made by vr_math_read or by hand; {0} is fixed and nearest. One thread at a time uses one; every
 * kernel counts its call. A NULL math is {0}. */
typedef struct vr_math {
    vr_order order;
    uint64_t order_key;   /* shuffled: the orders are drawn from it */
    vr_rounding rounding; /* its key: of all random bits */
    uint64_t calls;       /* so far: every call has orders and random bits of its own */
} vr_math;

/* "fixed", "threads", ... */
VR_API const char *vr_order_name(vr_order order);

/* Fails with VR_ERROR_ARGUMENT, naming the words it knows. */
VR_API vr_status vr_order_parse(vr_order *out, const char *name);

/* From a run: VR_KERNELS and VR_ROUNDING as its options or the environment gave them, VR_ROUNDING_PRECISION=t (1 to 53
 * bits kept; default all) and VR_ROUNDING_BITS=stream|operands. The run is asked for its seeds "kernels" and "rounding"
 * only where they are used: by shuffled, by random rounding. Precision and bits other than the default are kept with
 * the trace. NULL run: all from the environment, seeds as of seed 1. Fails with VR_ERROR_ARGUMENT; *out is {0} then. */
VR_API vr_status vr_math_read(vr_math *out, vr_run *run);

/* out[m][n] = (bias[n] +) sum over k of a[m][k] b[k][n], row-major; a given as [k][m], b as [n][k] where transposed. */
typedef struct vr_matmul {
    int64_t m, n, k;
    bool transpose_a, transpose_b;
} vr_matmul;

/* A 2-D convolution: in[n][h][w][c], weight[kh][kw][c][k], out[n][out_h][out_w][k];
 *
 *     out[n][y][x][k] = (bias[k] +) sum over (ky, kx, c) of in[n][y sh - ph + ky dh][x sw - pw + kx dw][c]
 * weight[ky][kx][c][k]
 *
 * `in` is padded with zeros, which are terms as all others. Strides and dilations are 1 or more. */
typedef struct vr_conv2d {
    int64_t n, h, w, c, k, kh, kw;
    int64_t stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
} vr_conv2d;

/* The size of out: (h + 2 ph - dh (kh - 1) - 1) / sh + 1; 0 where the window does not fit. Fails with VR_ERROR_SHAPE.
 */
VR_API vr_status vr_conv2d_size(int64_t *out_h, int64_t *out_w, const vr_conv2d *shape);

/* x[rows][channels]: of images, rows is n h w. */
typedef struct vr_batchnorm {
    int64_t rows, channels;
    double epsilon, momentum; /* both are rounded to the type to nearest */
} vr_batchnorm;

#define VR_KERNELS_OF(real, type)                                                                                      \
    /* out[0] = sum over i of x[i]; of a[i] b[i]. */                                                                   \
    VR_API vr_status vr_sum_##type(vr_math *math, real *out, const real *x, int64_t n);                                \
    VR_API vr_status vr_dot_##type(vr_math *math, real *out, const real *a, const real *b, int64_t n);                 \
                                                                                                                       \
    /* out[k] = sum over i of x[i][k]: the gradient of a bias. */                                                      \
    VR_API vr_status vr_sum_rows_##type(vr_math *math, real *out, const real *x, int64_t rows, int64_t k);             \
                                                                                                                       \
    /* `bias` may be NULL. */                                                                                          \
    VR_API vr_status vr_matmul_##type(vr_math *math, real *out, const real *a, const real *b, const real *bias,        \
                                      vr_matmul shape);                                                                \
                                                                                                                       \
    /* Terms in order of (ky, kx, c); of the gradient by `in`, of (ky, kx, k), places where the window misses `dout`   \
     * being zeros; of the gradient by `weight`, of (n, y, x). `bias` may be NULL. */                                  \
    VR_API vr_status vr_conv2d_forward_##type(vr_math *math, real *out, const real *in, const real *weight,            \
                                              const real *bias, const vr_conv2d *shape);                               \
    VR_API vr_status vr_conv2d_backward_input_##type(vr_math *math, real *din, const real *dout, const real *weight,   \
                                                     const vr_conv2d *shape);                                          \
    VR_API vr_status vr_conv2d_backward_weight_##type(vr_math *math, real *dweight, const real *in, const real *dout,  \
                                                      const vr_conv2d *shape);                                         \
                                                                                                                       \
    /* For training: mean = sum(x) / rows, d = x - mean, v = sum(d d) / rows, inverse = 1 / sqrt(v + epsilon),         \
     * out = (d inverse) gamma + beta. `mean` and `inverse` [channels] are for the gradient. With u = sum(d d) /       \
     * max(rows - 1, 1): running_mean += momentum (mean - running_mean), running_variance += momentum (u -             \
     * running_variance); both NULL: not wanted. No rows: mean 0, v 0, nothing added to what runs. */                  \
    VR_API vr_status vr_batchnorm_forward_##type(vr_math *math, real *out, real *mean, real *inverse,                  \
                                                 real *running_mean, real *running_variance, const real *x,            \
                                                 const real *gamma, const real *beta, const vr_batchnorm *shape);      \
                                                                                                                       \
    /* For use: inverse = 1 / sqrt(variance + epsilon), out = ((x - mean) inverse) gamma + beta. */                    \
    VR_API vr_status vr_batchnorm_infer_##type(vr_math *math, real *out, const real *x, const real *gamma,             \
                                               const real *beta, const real *mean, const real *variance,               \
                                               const vr_batchnorm *shape);                                             \
                                                                                                                       \
    /* z = (x - mean) inverse, dbeta = sum(dout), dgamma = sum(dout z),                                                \
     * dx = ((dout - dbeta / rows) - z (dgamma / rows)) (gamma inverse). */                                            \
    VR_API vr_status vr_batchnorm_backward_##type(vr_math *math, real *dx, real *dgamma, real *dbeta,                  \
                                                  const real *dout, const real *x, const real *gamma,                  \
                                                  const real *mean, const real *inverse, const vr_batchnorm *shape);   \
                                                                                                                       \
    /* Of each row of x[rows][n]: e = exp(x - max(x)), out = e / sum(e); dx = out (dout - sum(dout out)). exp is the   \
     * library's own, the same bits everywhere, off by less than 0.51 (f32) or 1 ulp (f64). */                         \
    VR_API vr_status vr_softmax_##type(vr_math *math, real *out, const real *x, int64_t rows, int64_t n);              \
    VR_API vr_status vr_softmax_backward_##type(vr_math *math, real *dx, const real *dout, const real *out,            \
                                                int64_t rows, int64_t n);                                              \
                                                                                                                       \
    /* out[index[i]][j] += src[i][j], i in order; out[rows][k], src[count][k]. An index outside 0 .. rows - 1 is       \
     * VR_ERROR_ARGUMENT. Rows that no index names are left as they are. */                                            \
    VR_API vr_status vr_scatter_add_##type(vr_math *math, real *out, int64_t rows, const real *src,                    \
                                           const int64_t *index, int64_t count, int64_t k);

VR_KERNELS_OF(float, f32)
VR_KERNELS_OF(double, f64)

#ifdef __cplusplus
}
#endif
#endif
