#include "layers.h"

#include <math.h>
#include <string.h>

/* Products and sums, or elements, below which a loop is not worth handing to other threads. */
enum { FEW_PRODUCTS = 1 << 18, FEW_ELEMENTS = 1 << 14 };

/* sum[i] += a[j stride] b[j][i] for j = 0, 1, ...: the one loop that all matrix products here are made of. */
static inline void add_rows(float *restrict sum, const float *restrict a, int64_t stride, const float *restrict b,
                            int64_t rows, int64_t k)
{
    for (int64_t j = 0; j < rows; j++)
        for (int64_t i = 0; i < k; i++)
            sum[i] += a[j * stride] * b[j * k + i];
}

static inline void set_row(float *row, const float *from, int64_t k)
{
    for (int64_t i = 0; i < k; i++)
        row[i] = from ? from[i] : 0;
}

/* A row of the window, three columns of c channels, is contiguous in the image and in the weights alike. */
void conv_forward(float *out, const float *in, const float *weight, const float *bias, conv_shape s)
{
#pragma omp parallel for if (s.n * s.h * s.w * 9 * s.c * s.k >= FEW_PRODUCTS)
    for (int64_t row = 0; row < s.n * s.h; row++) {
        const int64_t y = row % s.h;
        for (int64_t x = 0; x < s.w; x++) {
            float *sum = out + (row * s.w + x) * s.k;
            const int64_t first = x > 0 ? x - 1 : 0, end = x + 2 < s.w ? x + 2 : s.w;
            set_row(sum, bias, s.k);
            for (int64_t ky = y > 0 ? 0 : 1; ky < 3 && y + ky - 1 < s.h; ky++) {
                const int64_t kx = first - (x - 1);
                add_rows(sum, in + ((row + ky - 1) * s.w + first) * s.c, 1, weight + (ky * 3 + kx) * s.c * s.k,
                         (end - first) * s.c, s.k);
            }
        }
    }
}

/* The convolution of dout with the weights turned by 180 degrees, channels in and out exchanged. */
void conv_backward_input(float *din, const float *dout, const float *weight, float *flipped, conv_shape s)
{
    for (int64_t tap = 0; tap < 9; tap++)
        for (int64_t c = 0; c < s.c; c++)
            for (int64_t k = 0; k < s.k; k++)
                flipped[((8 - tap) * s.k + k) * s.c + c] = weight[(tap * s.c + c) * s.k + k];
    conv_forward(din, dout, flipped, NULL, (conv_shape){s.n, s.h, s.w, s.k, s.c});
}

/* row = (ky, kx, c). Of the outputs, columns [first, end) and rows [top, bottom) see a pixel through that tap. */
void conv_backward_weight(float *dweight, const float *in, const float *dout, conv_shape s)
{
#pragma omp parallel for if (s.n * s.h * s.w * 9 * s.c * s.k >= FEW_PRODUCTS)
    for (int64_t row = 0; row < 9 * s.c; row++) {
        const int64_t ky = row / s.c / 3, kx = row / s.c % 3, c = row % s.c;
        const int64_t first = kx == 0, end = s.w - (kx == 2), top = ky == 0, bottom = s.h - (ky == 2);
        float *sum = dweight + row * s.k;
        set_row(sum, NULL, s.k);
        for (int64_t n = 0; n < s.n; n++)
            for (int64_t y = top; y < bottom; y++)
                add_rows(sum, in + ((n * s.h + y + ky - 1) * s.w + first + kx - 1) * s.c + c, s.c,
                         dout + ((n * s.h + y) * s.w + first) * s.k, end - first, s.k);
    }
}

void dense_forward(float *out, const float *in, const float *weight, const float *bias, int64_t n, int64_t c, int64_t k)
{
#pragma omp parallel for if (n * c * k >= FEW_PRODUCTS)
    for (int64_t row = 0; row < n; row++) {
        set_row(out + row * k, bias, k);
        add_rows(out + row * k, in + row * c, 1, weight, c, k);
    }
}

void dense_backward_input(float *din, const float *dout, const float *weight, float *transposed, int64_t n, int64_t c,
                          int64_t k)
{
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < c; j++)
            transposed[i * c + j] = weight[j * k + i];
    dense_forward(din, dout, transposed, NULL, n, k, c);
}

void dense_backward_weight(float *dweight, const float *in, const float *dout, int64_t n, int64_t c, int64_t k)
{
#pragma omp parallel for if (n * c * k >= FEW_PRODUCTS)
    for (int64_t row = 0; row < c; row++) {
        set_row(dweight + row * k, NULL, k);
        add_rows(dweight + row * k, in + row, c, dout, n, k);
    }
}

void bias_backward(float *dbias, const float *dout, int64_t rows, int64_t k)
{
    const float one = 1;
    set_row(dbias, NULL, k);
    add_rows(dbias, &one, 0, dout, rows, k);
}

void relu_forward(float *out, const float *in, int64_t count)
{
#pragma omp parallel for simd if (parallel : count >= FEW_ELEMENTS)
    for (int64_t i = 0; i < count; i++)
        out[i] = in[i] < 0 ? 0 : in[i];
}

void relu_backward(float *din, const float *dout, const float *out, int64_t count)
{
#pragma omp parallel for simd if (parallel : count >= FEW_ELEMENTS)
    for (int64_t i = 0; i < count; i++)
        din[i] = out[i] <= 0 ? 0 : dout[i];
}

/* Where in a window the maximum is: 0, right, down or down + right from `in`. */
static inline int64_t window_maximum(const float *in, int64_t right, int64_t down)
{
    const int64_t at[4] = {0, right, down, down + right};
    int64_t best = 0;
    for (int i = 1; i < 4; i++)
        best = in[at[i]] > in[best] || isnan(in[at[i]]) ? at[i] : best;
    return best;
}

/* row = (n, window's y) */
void maxpool_forward(float *out, const float *in, int64_t n, int64_t h, int64_t w, int64_t c)
{
#pragma omp parallel for if (n * h * w * c >= FEW_ELEMENTS)
    for (int64_t row = 0; row < n * (h / 2); row++) {
        const float *top = in + (row / (h / 2) * h + row % (h / 2) * 2) * w * c;
        for (int64_t x = 0; x < w / 2; x++)
            for (int64_t i = 0; i < c; i++) {
                const float *window = top + x * 2 * c + i;
                out[(row * (w / 2) + x) * c + i] = window[window_maximum(window, c, w * c)];
            }
    }
}

void maxpool_backward(float *din, const float *dout, const float *in, int64_t n, int64_t h, int64_t w, int64_t c)
{
#pragma omp parallel for if (n * h * w * c >= FEW_ELEMENTS)
    for (int64_t image = 0; image < n; image++) {
        memset(din + image * h * w * c, 0, (size_t)(h * w * c) * sizeof *din);
        for (int64_t y = 0; y < h / 2; y++)
            for (int64_t x = 0; x < w / 2; x++)
                for (int64_t i = 0; i < c; i++) {
                    const int64_t window = ((image * h + y * 2) * w + x * 2) * c + i;
                    din[window + window_maximum(in + window, c, w * c)] =
                        dout[((image * (h / 2) + y) * (w / 2) + x) * c + i];
                }
    }
}

static float row_maximum(const float *row, int64_t k)
{
    float maximum = row[0];
    for (int64_t i = 1; i < k; i++)
        maximum = row[i] > maximum ? row[i] : maximum;
    return maximum;
}

void softmax_forward(float *out, const float *in, int64_t n, int64_t k)
{
    for (int64_t row = 0; row < n; row++) {
        const float *x = in + row * k, maximum = row_maximum(x, k);
        float *p = out + row * k, sum = 0;
        for (int64_t i = 0; i < k; i++) {
            p[i] = expf(x[i] - maximum);
            sum += p[i];
        }
        for (int64_t i = 0; i < k; i++)
            p[i] /= sum;
    }
}

void cross_entropy_forward(float *loss, const float *in, const int32_t *labels, int64_t n, int64_t k)
{
    for (int64_t row = 0; row < n; row++) {
        const float *x = in + row * k, maximum = row_maximum(x, k);
        float sum = 0;
        for (int64_t i = 0; i < k; i++)
            sum += expf(x[i] - maximum);
        loss[row] = logf(sum) - (x[labels[row]] - maximum);
    }
}

void cross_entropy_backward(float *din, const float *probabilities, const int32_t *labels, int64_t n, int64_t k)
{
    for (int64_t row = 0; row < n; row++)
        for (int64_t i = 0; i < k; i++)
            din[row * k + i] = (probabilities[row * k + i] - (i == labels[row] ? 1.0F : 0.0F)) / (float)n;
}
