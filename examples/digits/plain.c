#include "plain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- sums ---- */

vr_status plain_matmul(vr_math *math, float *out, const float *a, const float *b, const float *bias, vr_matmul shape)
{
    (void)math;
    const int64_t m = shape.m, n = shape.n, terms = shape.k;
    const int64_t a_row = shape.transpose_a ? 1 : terms, a_term = shape.transpose_a ? m : 1;
    const int64_t b_term = shape.transpose_b ? 1 : n, b_column = shape.transpose_b ? terms : 1;
#pragma omp parallel for
    for (int64_t i = 0; i < m; i++) {
        float *row = out + i * n;
        for (int64_t j = 0; j < n; j++)
            row[j] = bias ? bias[j] : 0;
        for (int64_t k = 0; k < terms; k++)
            for (int64_t j = 0; j < n; j++)
                row[j] += a[i * a_row + k * a_term] * b[k * b_term + j * b_column];
    }
    return VR_OK;
}

vr_status plain_sum_rows(vr_math *math, float *out, const float *x, int64_t rows, int64_t k)
{
    (void)math;
    memset(out, 0, (size_t)k * sizeof *out);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < k; j++)
            out[j] += x[i * k + j];
    return VR_OK;
}

vr_status plain_softmax(vr_math *math, float *out, const float *x, int64_t rows, int64_t n)
{
    (void)math;
    for (int64_t i = 0; i < rows; i++) {
        const float *in = x + i * n;
        float *e = out + i * n, largest = in[0], sum = 0;
        for (int64_t k = 1; k < n; k++)
            largest = in[k] > largest ? in[k] : largest;
        for (int64_t k = 0; k < n; k++)
            sum += e[k] = expf(in[k] - largest);
        for (int64_t k = 0; k < n; k++)
            e[k] /= sum;
    }
    return VR_OK;
}

/* ---- convolutions ---- */

/* sums[k] += x[c] w[c][k] */
static void add_products(float *sums, const float *x, const float *w, int64_t channels, int64_t count)
{
    for (int64_t c = 0; c < channels; c++)
        for (int64_t k = 0; k < count; k++)
            sums[k] += x[c] * w[c * count + k];
}

static bool is_inside(const vr_conv2d *s, int64_t y, int64_t x)
{
    return y >= 0 && y < s->h && x >= 0 && x < s->w;
}

vr_status plain_conv2d_forward(vr_math *math, float *out, const float *in, const float *weight, const float *bias,
                               const vr_conv2d *s)
{
    (void)math;
#pragma omp parallel for
    for (int64_t at = 0; at < s->n * s->h * s->w; at++) {
        const int64_t image = at / (s->h * s->w), y = at / s->w % s->h, x = at % s->w;
        float *sums = out + at * s->k;
        for (int64_t k = 0; k < s->k; k++)
            sums[k] = bias ? bias[k] : 0;
        for (int64_t tap = 0; tap < s->kh * s->kw; tap++) {
            const int64_t from_y = y - s->pad_h + tap / s->kw, from_x = x - s->pad_w + tap % s->kw;
            if (is_inside(s, from_y, from_x))
                add_products(sums, in + ((image * s->h + from_y) * s->w + from_x) * s->c, weight + tap * s->c * s->k,
                             s->c, s->k);
        }
    }
    return VR_OK;
}

/* weight[tap][c][k] as [tap][k][c]; NULL: out of memory. */
static float *transposed(const float *weight, const vr_conv2d *s)
{
    const int64_t taps = s->kh * s->kw;
    float *out = malloc((size_t)(taps * s->c * s->k) * sizeof *out);
    for (int64_t tap = 0; tap < taps && out; tap++)
        for (int64_t c = 0; c < s->c; c++)
            for (int64_t k = 0; k < s->k; k++)
                out[(tap * s->k + k) * s->c + c] = weight[(tap * s->c + c) * s->k + k];
    return out;
}

vr_status plain_conv2d_backward_input(vr_math *math, float *din, const float *dout, const float *weight,
                                      const vr_conv2d *s)
{
    (void)math;
    float *turned = transposed(weight, s);
    if (!turned)
        return VR_ERROR_MEMORY;
#pragma omp parallel for
    for (int64_t at = 0; at < s->n * s->h * s->w; at++) {
        const int64_t image = at / (s->h * s->w), y = at / s->w % s->h, x = at % s->w;
        float *sums = din + at * s->c;
        memset(sums, 0, (size_t)s->c * sizeof *sums);
        for (int64_t tap = 0; tap < s->kh * s->kw; tap++) {
            const int64_t from_y = y + s->pad_h - tap / s->kw, from_x = x + s->pad_w - tap % s->kw;
            if (is_inside(s, from_y, from_x))
                add_products(sums, dout + ((image * s->h + from_y) * s->w + from_x) * s->k, turned + tap * s->k * s->c,
                             s->k, s->c);
        }
    }
    free(turned);
    return VR_OK;
}

vr_status plain_conv2d_backward_weight(vr_math *math, float *dweight, const float *in, const float *dout,
                                       const vr_conv2d *s)
{
    (void)math;
#pragma omp parallel for
    for (int64_t row = 0; row < s->kh * s->kw * s->c; row++) {
        const int64_t tap = row / s->c, c = row % s->c;
        float *sums = dweight + row * s->k;
        memset(sums, 0, (size_t)s->k * sizeof *sums);
        for (int64_t at = 0; at < s->n * s->h * s->w; at++) {
            const int64_t image = at / (s->h * s->w);
            const int64_t y = at / s->w % s->h - s->pad_h + tap / s->kw, x = at % s->w - s->pad_w + tap % s->kw;
            if (is_inside(s, y, x))
                add_products(sums, in + ((image * s->h + y) * s->w + x) * s->c + c, dout + at * s->k, 1, s->k);
        }
    }
    return VR_OK;
}
