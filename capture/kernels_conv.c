/* kernels_conv.c - 2-D convolutions, as products of patches with weights or gradients. */
#include "kernels_product.h"

#include <formats/fail.h>
#include <stdlib.h>

/* The output, and whether all tensors' sizes can be counted. */
static vr_status check(const vr_conv2d *s, int64_t *out_h, int64_t *out_w)
{
    vr_status status = vr_conv2d_size(out_h, out_w, s);
    if (status == VR_OK)
        status = NAME(vr_check_sizes)("conv2d", 4, (const int64_t[]){s->n, s->h, s->w, s->c});
    if (status == VR_OK)
        status = NAME(vr_check_sizes)("conv2d", 4, (const int64_t[]){s->kh, s->kw, s->c, s->k});
    if (status == VR_OK)
        status = NAME(vr_check_sizes)("conv2d", 4, (const int64_t[]){s->n, *out_h, *out_w, s->k});
    return status;
}

static patches of_input(const vr_conv2d *s, int64_t out_h, int64_t out_w)
{
    return (patches){s->h,        s->w,      s->c,      s->kh,         s->kw,         out_h, out_w, s->stride_h,
                     s->stride_w, -s->pad_h, -s->pad_w, s->dilation_h, s->dilation_w, 1,     1};
}

/* What each pixel of the input went to: pixel y of it was seen by output (y + pad - ky dilation) / stride. */
static patches of_output(const vr_conv2d *s, int64_t out_h, int64_t out_w)
{
    return (patches){out_h, out_w,    s->k,     s->kh,          s->kw,          s->h,        s->w,       1,
                     1,     s->pad_h, s->pad_w, -s->dilation_h, -s->dilation_w, s->stride_h, s->stride_w};
}

vr_status NAME(vr_conv2d_forward)(vr_math *math, real *out, const real *in, const real *weight, const real *bias,
                                  const vr_conv2d *shape)
{
    int64_t out_h, out_w;
    const way w = NAME(vr_way_begin)(math);
    const vr_status status = check(shape, &out_h, &out_w);
    if (status != VR_OK)
        return status;
    const patches seen = of_input(shape, out_h, out_w);
    const int64_t pixels = shape->n * out_h * out_w, k = shape->k;
    const product of = {.out = out,
                        .bias = bias,
                        .m = pixels,
                        .n = k,
                        .k = shape->kh * shape->kw * shape->c,
                        .a = {.data = in, .seen = &seen},
                        .b = {.data = weight, .row = 1, .step = k},
                        .out_row = k,
                        .out_column = 1,
                        .bias_column = 1};
    return NAME(vr_product)(&w, &of);
}

/* weight[tap][c][k] as [tap][k][c] */
static void exchange_channels(real *out, const real *weight, const vr_conv2d *s)
{
    for (int64_t tap = 0; tap < s->kh * s->kw; tap++)
        for (int64_t k = 0; k < s->k; k++)
            for (int64_t c = 0; c < s->c; c++)
                out[(tap * s->k + k) * s->c + c] = weight[(tap * s->c + c) * s->k + k];
}

vr_status NAME(vr_conv2d_backward_input)(vr_math *math, real *din, const real *dout, const real *weight,
                                         const vr_conv2d *shape)
{
    int64_t out_h, out_w;
    const way w = NAME(vr_way_begin)(math);
    vr_status status = check(shape, &out_h, &out_w);
    if (status != VR_OK)
        return status;
    const int64_t c = shape->c, k = shape->kh * shape->kw * shape->k;
    real *exchanged = malloc((size_t)(k * c) * sizeof *exchanged + 1);
    if (!exchanged)
        return vr_fail(VR_ERROR_MEMORY, "conv2d: no memory for the weights");
    exchange_channels(exchanged, weight, shape);
    const patches seen = of_output(shape, out_h, out_w);
    const product of = {.out = din,
                        .m = shape->n * shape->h * shape->w,
                        .n = c,
                        .k = k,
                        .a = {.data = dout, .seen = &seen},
                        .b = {.data = exchanged, .row = 1, .step = c},
                        .out_row = c,
                        .out_column = 1};
    status = NAME(vr_product)(&w, &of);
    free(exchanged);
    return status;
}

/* Patches have their channels side by side, so that they are the factor along which vectors lie. */
vr_status NAME(vr_conv2d_backward_weight)(vr_math *math, real *dweight, const real *in, const real *dout,
                                          const vr_conv2d *shape)
{
    int64_t out_h, out_w;
    const way w = NAME(vr_way_begin)(math);
    const vr_status status = check(shape, &out_h, &out_w);
    if (status != VR_OK)
        return status;
    const patches seen = of_input(shape, out_h, out_w);
    const int64_t k = shape->k;
    const product of = {.out = dweight,
                        .m = k,
                        .n = shape->kh * shape->kw * shape->c,
                        .k = shape->n * out_h * out_w,
                        .a = {.data = dout, .row = 1, .step = k},
                        .b = {.data = in, .seen = &seen, .pixels_are_terms = true},
                        .out_row = 1,
                        .out_column = k};
    return NAME(vr_product)(&w, &of);
}
