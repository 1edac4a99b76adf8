/* kernels_math.c - what a run and its environment ask of the kernels. */
#include "run_impl.h"

#include <formats/fail.h>
#include <stdlib.h>
#include <string.h>
#include <varanalyze/kernels.h>

static const char *const orders[VR_ORDERS] = {"fixed", "threads", "atomic", "shuffled", "exact"};

const char *vr_order_name(vr_order order)
{
    return (unsigned)order < VR_ORDERS ? orders[order] : "?";
}

vr_status vr_order_parse(vr_order *out, const char *name)
{
    for (int i = 0; i < VR_ORDERS; i++)
        if (strcmp(name, orders[i]) == 0) {
            *out = (vr_order)i;
            return VR_OK;
        }
    return vr_fail(VR_ERROR_ARGUMENT, "'%s' is no order of kernels; one of fixed, threads, atomic, shuffled, exact",
                   name);
}

/* What the run was told, or the environment says; `otherwise` where neither does. */
static const char *word_of(const char *told, const char *variable, const char *otherwise)
{
    const char *word = told ? told : getenv(variable);
    return word && *word ? word : otherwise;
}

static vr_status read_precision(vr_math *out)
{
    const char *text = word_of(NULL, "VR_ROUNDING_PRECISION", NULL);
    if (!text)
        return VR_OK;
    char *end;
    const long bits = strtol(text, &end, 10);
    if (end == text || *end || bits < 1 || bits > 53)
        return vr_fail(VR_ERROR_ARGUMENT, "VR_ROUNDING_PRECISION=%s: not a number of bits from 1 to 53", text);
    out->rounding.precision = (uint8_t)bits;
    return VR_OK;
}

static vr_status read_bits(vr_math *out)
{
    const char *text = word_of(NULL, "VR_ROUNDING_BITS", "stream");
    out->rounding.operands = strcmp(text, "operands") == 0;
    if (out->rounding.operands || strcmp(text, "stream") == 0)
        return VR_OK;
    return vr_fail(VR_ERROR_ARGUMENT, "VR_ROUNDING_BITS=%s: one of stream, operands", text);
}

static vr_status read_words(vr_math *out, const vr_run *run)
{
    const char *kernels = word_of(run ? run->kernels : NULL, "VR_KERNELS", "fixed"),
               *rounding = word_of(run ? run->rounding : NULL, "VR_ROUNDING", "nearest");
    if (vr_order_parse(&out->order, kernels) != VR_OK)
        return vr_fail(VR_ERROR_ARGUMENT, "VR_KERNELS=%s: one of fixed, threads, atomic, shuffled, exact", kernels);
    if (vr_rounding_parse(&out->rounding.mode, rounding) != VR_OK)
        return vr_fail(VR_ERROR_ARGUMENT, "VR_ROUNDING=%s: one of nearest, sr, ud, up, down, zero, rr, pb, mca",
                       rounding);
    vr_status status = read_precision(out);
    return status == VR_OK ? read_bits(out) : status;
}

static void tell(const vr_math *math, vr_run *run)
{
    if (!run || !run->queue || vr_run_is_forked(run))
        return;
    pthread_mutex_lock(&run->lock);
    if (math->rounding.precision)
        vr_run_tell(run, "rounding_precision", json_integer(math->rounding.precision));
    if (math->rounding.operands)
        vr_run_tell(run, "rounding_bits", json_string("operands"));
    pthread_mutex_unlock(&run->lock);
}

vr_status vr_math_read(vr_math *out, vr_run *run)
{
    vr_math math = {0};
    *out = math;
    const vr_status status = read_words(&math, run);
    if (status != VR_OK)
        return status;
    if (math.order == VR_ORDER_SHUFFLED)
        math.order_key = vr_run_seed(run, "kernels");
    if (vr_rounding_is_random(math.rounding.mode))
        math.rounding.key = vr_run_seed(run, "rounding");
    tell(&math, run);
    *out = math;
    return VR_OK;
}

/* Places of a window along one dimension. */
static vr_status places_of(int64_t *out, int64_t size, int64_t window, int64_t stride, int64_t pad, int64_t dilation)
{
    int64_t padded, span;
    if (size < 0 || window < 0 || pad < 0)
        return vr_fail(VR_ERROR_SHAPE, "conv2d: a size is negative");
    if (stride < 1 || dilation < 1)
        return vr_fail(VR_ERROR_SHAPE, "conv2d: strides and dilations are 1 or more");
    if (window > 0 && __builtin_mul_overflow(dilation, window - 1, &span))
        return vr_fail(VR_ERROR_SHAPE, "conv2d: a window's size overflows");
    if (__builtin_mul_overflow(pad, 2, &padded) || __builtin_add_overflow(padded, size, &padded))
        return vr_fail(VR_ERROR_SHAPE, "conv2d: a padded size overflows");
    *out = window > 0 && span < padded ? (padded - span - 1) / stride + 1 : 0;
    return VR_OK;
}

vr_status vr_conv2d_size(int64_t *out_h, int64_t *out_w, const vr_conv2d *s)
{
    vr_status status = places_of(out_h, s->h, s->kh, s->stride_h, s->pad_h, s->dilation_h);
    return status == VR_OK ? places_of(out_w, s->w, s->kw, s->stride_w, s->pad_w, s->dilation_w) : status;
}
