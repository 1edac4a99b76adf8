/* plain.h - the sums of a network as loops of C, in place of the library's kernels: for a compiler that rounds what it
 * compiles, such as vrcc. Compile everything here with DIGITS_PLAIN:
 *
 *     vrcc -O3 -fopenmp -DDIGITS_PLAIN ... -o digits *.c -lvrcapture -lvrtrace -lm
 *     VR_TRACE=noisy1.h5 VR_ROUNDING=sr VR_VARY=rounding VR_REPLICA=1 ./digits --epochs 1
 *     VR_TRACE=noisy2.h5 VR_ROUNDING=sr VR_VARY=rounding VR_REPLICA=2 ./digits --epochs 1
 *     varanalyze sigbits noisy1.h5 noisy2.h5
 *
 * Arguments and results are those of varanalyze/kernels.h; but terms are added one by one in their order, without
 * blocks, zeros around an image are no terms, exp is libm's, and `math` is not looked at: VR_KERNELS means nothing
 * here. The same bits for any number of threads. The gradient by a convolution's input fails with VR_ERROR_MEMORY,
 * nothing else fails.
 */
#ifndef DIGITS_PLAIN_H
#define DIGITS_PLAIN_H

#include <varanalyze/kernels.h>

vr_status plain_matmul(vr_math *math, float *out, const float *a, const float *b, const float *bias, vr_matmul shape);
vr_status plain_sum_rows(vr_math *math, float *out, const float *x, int64_t rows, int64_t k);
vr_status plain_softmax(vr_math *math, float *out, const float *x, int64_t rows, int64_t n);

/* Of stride and dilation 1, and as large as their input. */
vr_status plain_conv2d_forward(vr_math *math, float *out, const float *in, const float *weight, const float *bias,
                               const vr_conv2d *shape);
vr_status plain_conv2d_backward_input(vr_math *math, float *din, const float *dout, const float *weight,
                                      const vr_conv2d *shape);
vr_status plain_conv2d_backward_weight(vr_math *math, float *dweight, const float *in, const float *dout,
                                       const vr_conv2d *shape);

#ifdef DIGITS_PLAIN
#define vr_matmul_f32                 plain_matmul
#define vr_sum_rows_f32               plain_sum_rows
#define vr_softmax_f32                plain_softmax
#define vr_conv2d_forward_f32         plain_conv2d_forward
#define vr_conv2d_backward_input_f32  plain_conv2d_backward_input
#define vr_conv2d_backward_weight_f32 plain_conv2d_backward_weight
#endif

#endif
