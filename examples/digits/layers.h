/* layers.h - the layers of a small network that sum nothing over inputs, in f32; those that do are the library's
 * (varanalyze/kernels.h).
 *
 * Activations are [n][h][w][c]. Nothing here depends on the number of threads nor on the width of vectors. Of libm only
 * expf and logf are called, for the cross-entropy. No two arguments may overlap unless it is said.
 *
 * A d before a name is the gradient of the loss by what the name means.
 */
#ifndef DIGITS_LAYERS_H
#define DIGITS_LAYERS_H

#include <stdint.h>

/* out = max(in, 0), NaN where `in` is; the gradient passes where `out` is not <= 0. Both may work in place. */
void relu_forward(float *out, const float *in, int64_t count);
void relu_backward(float *din, const float *dout, const float *out, int64_t count);

/* The maximum of each 2x2 window: in[n][h][w][c] to out[n][h/2][w/2][c]; an odd last row or column belongs to no
 * window. Of equal values the first in row-major order is the maximum, and alone gets the gradient; a NaN beats any
 * number. */
void maxpool_forward(float *out, const float *in, int64_t n, int64_t h, int64_t w, int64_t c);
void maxpool_backward(float *din, const float *dout, const float *in, int64_t n, int64_t h, int64_t w, int64_t c);

/* loss[n] = log(sum over k of exp(in[n][k] - m)) - (in[n][label] - m), m the row's maximum, of softmax's inputs. */
void cross_entropy_forward(float *loss, const float *in, const int32_t *labels, int64_t n, int64_t k);

/* The gradient of the mean loss by softmax's inputs: din[n][k] = (probabilities[n][k] - (k == label)) / n. */
void cross_entropy_backward(float *din, const float *probabilities, const int32_t *labels, int64_t n, int64_t k);

#endif
