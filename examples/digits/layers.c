#include "layers.h"

#include <math.h>
#include <string.h>

/* Elements below which a loop is not worth handing to other threads. */
enum { FEW_ELEMENTS = 1 << 14 };

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
