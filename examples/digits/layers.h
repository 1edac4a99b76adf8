/* layers.h - the layers of a small network, forward and backward, in f32.
 *
 * Activations are [n][h][w][c], weights [...][in][out]: what lies side by side are sums of their own, so that loops
 * over them become vector code without a sum being taken apart. Every element of every result, weight gradients too, is
 * one sum in one order, by one thread: the bits do not depend on the number of threads nor on the width of vectors,
 * given that products are not contracted into sums (-ffp-contract=off). Of libm only expf and logf are called, for
 * softmax and cross-entropy; theirs are the only bits that may differ between machines. No two arguments may overlap.
 *
 * A d before a name is the gradient of the loss by what the name means.
 */
#ifndef DIGITS_LAYERS_H
#define DIGITS_LAYERS_H

#include <stdint.h>

/* Convolution 3x3, stride 1, padded with one zero all around. */
typedef struct conv_shape {
    int64_t n, h, w; /* images, rows, columns */
    int64_t c, k;    /* channels in, channels out */
} conv_shape;

/* out[n][y][x][k] = bias[k] + sum over ky, kx, c of in[n][y + ky - 1][x + kx - 1][c] weight[ky][kx][c][k], summed in
 * this order. `bias` may be NULL: zeros. */
void conv_forward(float *out, const float *in, const float *weight, const float *bias, conv_shape s);

/* din[n][h][w][c] from dout[n][h][w][k]; `flipped` is room for as many floats as `weight` has. */
void conv_backward_input(float *din, const float *dout, const float *weight, float *flipped, conv_shape s);

/* dweight[3][3][c][k], summed over n, y, x in this order. */
void conv_backward_weight(float *dweight, const float *in, const float *dout, conv_shape s);

/* out[n][k] = bias[k] + sum over c of in[n][c] weight[c][k]. */
void dense_forward(float *out, const float *in, const float *weight, const float *bias, int64_t n, int64_t c,
                   int64_t k);

/* din[n][c] = sum over k of dout[n][k] weight[c][k]; `transposed` is room for c k floats. */
void dense_backward_input(float *din, const float *dout, const float *weight, float *transposed, int64_t n, int64_t c,
                          int64_t k);

/* dweight[c][k] = sum over n of in[n][c] dout[n][k]. */
void dense_backward_weight(float *dweight, const float *in, const float *dout, int64_t n, int64_t c, int64_t k);

/* dbias[k] = sum over rows of dout[row][k]; rows: samples, and of a convolution pixels too. */
void bias_backward(float *dbias, const float *dout, int64_t rows, int64_t k);

/* out = max(in, 0), NaN where `in` is; the gradient passes where `out` is not <= 0. Both may work in place. */
void relu_forward(float *out, const float *in, int64_t count);
void relu_backward(float *din, const float *dout, const float *out, int64_t count);

/* The maximum of each 2x2 window: in[n][h][w][c] to out[n][h/2][w/2][c]; an odd last row or column belongs to no
 * window. Of equal values the first in row-major order is the maximum, and alone gets the gradient; a NaN beats any
 * number. */
void maxpool_forward(float *out, const float *in, int64_t n, int64_t h, int64_t w, int64_t c);
void maxpool_backward(float *din, const float *dout, const float *in, int64_t n, int64_t h, int64_t w, int64_t c);

/* out[n][k] = exp(in[n][k] - m) / sum over k of the same, m the row's maximum. */
void softmax_forward(float *out, const float *in, int64_t n, int64_t k);

/* loss[n] = log(sum over k of exp(in[n][k] - m)) - (in[n][label] - m), of softmax's inputs. */
void cross_entropy_forward(float *loss, const float *in, const int32_t *labels, int64_t n, int64_t k);

/* The gradient of the mean loss by softmax's inputs: din[n][k] = (probabilities[n][k] - (k == label)) / n. */
void cross_entropy_backward(float *din, const float *probabilities, const int32_t *labels, int64_t n, int64_t k);

#endif
