/* The array functions: checks, the stream's position, the floating-point environment; the work is the kernels'. */
#include "rounding_kernel.h"

#include <fail.h>
#include <isa.h>
#include <string.h>

extern const vr_rounding_kernels vr_rounding_kernels_baseline;
#ifdef __x86_64__
extern const vr_rounding_kernels vr_rounding_kernels_avx2, vr_rounding_kernels_avx512;
#endif

static const vr_rounding_kernels *const known[] = {
    &vr_rounding_kernels_baseline,
#ifdef __x86_64__
    &vr_rounding_kernels_avx2,
    &vr_rounding_kernels_avx512,
#endif
};

static const vr_rounding_kernels *find(const char *name)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i]->name, name) == 0)
            return known[i];
    return NULL;
}

const vr_rounding_kernels *vr_rounding_kernels_named(const char *name)
{
    return vr_isa_is_available(name) ? find(name) : NULL;
}

const vr_rounding_kernels *vr_rounding_kernels_best(void)
{
    static const vr_rounding_kernels *_Atomic best;
    if (!best)
        best = find(vr_isa_name());
    return best;
}

/* Elements from a position to the next one at which the keys change, see vr_block_keys. */
static size_t until_next_block(uint64_t position, uint64_t words_per_element, size_t n)
{
    const uint64_t block = (UINT64_C(1) << 32) / words_per_element, left = block - position % block;
    return left < n ? (size_t)left : n;
}

static void run(vr_rounding_call call, vr_dtype dtype)
{
    const vr_rounding_kernels *kernels = vr_rounding_kernels_best();
    const bool is_f32 = dtype == VR_F32;
    const size_t size = is_f32 ? sizeof(float) : sizeof(double), n = call.n;
    const vr_float_env outer = vr_float_enter();
    for (size_t done = 0; done < n; done += call.n) {
        call.n = call.operands ? n : until_next_block(call.position, is_f32 ? 1 : 2, n - done);
        (is_f32 ? kernels->f32 : kernels->f64)(&call);
        call.position += call.n;
        call.a = (const char *)call.a + call.n * size;
        call.b = call.b ? (const char *)call.b + call.n * size : NULL;
        call.c = call.c ? (const char *)call.c + call.n * size : NULL;
        call.out = (char *)call.out + call.n * size;
    }
    vr_float_leave(outer);
}

static void run_stream(vr_rounding_call call, vr_dtype dtype, vr_stream *stream)
{
    call.key = stream->key;
    call.position = stream->position;
    run(call, dtype);
    stream->position += call.n;
}

#define DEFINE_ONE(type, bits, ways, name, MODE, OP)                                                                   \
    void vr_##ways##_##name##_f##bits(const type *a, type *out, size_t n, vr_stream *stream)                           \
    {                                                                                                                  \
        run_stream((vr_rounding_call){.mode = MODE, .op = OP, .a = a, .out = out, .n = n}, VR_F##bits, stream);        \
    }                                                                                                                  \
    void vr_##ways##_##name##_f##bits##_operands(const type *a, type *out, size_t n, uint64_t key)                     \
    {                                                                                                                  \
        run((vr_rounding_call){.mode = MODE, .op = OP, .operands = true, .key = key, .a = a, .out = out, .n = n},      \
            VR_F##bits);                                                                                               \
    }

#define DEFINE_TWO(type, bits, ways, name, MODE, OP)                                                                   \
    void vr_##ways##_##name##_f##bits(const type *a, const type *b, type *out, size_t n, vr_stream *stream)            \
    {                                                                                                                  \
        run_stream((vr_rounding_call){.mode = MODE, .op = OP, .a = a, .b = b, .out = out, .n = n}, VR_F##bits,         \
                   stream);                                                                                            \
    }                                                                                                                  \
    void vr_##ways##_##name##_f##bits##_operands(const type *a, const type *b, type *out, size_t n, uint64_t key)      \
    {                                                                                                                  \
        const vr_rounding_call call = {                                                                                \
            .mode = MODE, .op = OP, .operands = true, .key = key, .a = a, .b = b, .out = out, .n = n};                 \
        run(call, VR_F##bits);                                                                                         \
    }

#define DEFINE_THREE(type, bits, ways, name, MODE, OP)                                                                 \
    void vr_##ways##_##name##_f##bits(const type *a, const type *b, const type *c, type *out, size_t n,                \
                                      vr_stream *stream)                                                               \
    {                                                                                                                  \
        run_stream((vr_rounding_call){.mode = MODE, .op = OP, .a = a, .b = b, .c = c, .out = out, .n = n}, VR_F##bits, \
                   stream);                                                                                            \
    }                                                                                                                  \
    void vr_##ways##_##name##_f##bits##_operands(const type *a, const type *b, const type *c, type *out, size_t n,     \
                                                 uint64_t key)                                                         \
    {                                                                                                                  \
        const vr_rounding_call call = {                                                                                \
            .mode = MODE, .op = OP, .operands = true, .key = key, .a = a, .b = b, .c = c, .out = out, .n = n};         \
        run(call, VR_F##bits);                                                                                         \
    }

#define DEFINE_ALL(type, bits, ways, MODE)                                                                             \
    DEFINE_TWO(type, bits, ways, add, MODE, VR_ADD)                                                                    \
    DEFINE_TWO(type, bits, ways, sub, MODE, VR_SUB)                                                                    \
    DEFINE_TWO(type, bits, ways, mul, MODE, VR_MUL)                                                                    \
    DEFINE_TWO(type, bits, ways, div, MODE, VR_DIV)                                                                    \
    DEFINE_ONE(type, bits, ways, sqrt, MODE, VR_SQRT)                                                                  \
    DEFINE_THREE(type, bits, ways, fma, MODE, VR_FMA)

DEFINE_ALL(float, 32, sr, VR_ROUND_SR)
DEFINE_ALL(float, 32, ud, VR_ROUND_UD)
DEFINE_ALL(double, 64, sr, VR_ROUND_SR)
DEFINE_ALL(double, 64, ud, VR_ROUND_UD)

vr_status vr_round_array(const vr_rounding *r, vr_stream *stream, vr_operation op, vr_dtype dtype, void *out,
                         const void *a, const void *b, const void *c, size_t n)
{
    if ((unsigned)r->mode >= VR_ROUND_MODES)
        return vr_fail(VR_ERROR_ARGUMENT, "rounding: no mode %d", (int)r->mode);
    if ((unsigned)op >= VR_OPERATIONS)
        return vr_fail(VR_ERROR_ARGUMENT, "rounding: no operation %d", (int)op);
    if (dtype != VR_F32 && dtype != VR_F64)
        return vr_fail(VR_ERROR_ARGUMENT, "rounding: arrays of %s; use f32 or f64", vr_dtype_name(dtype));
    if (n > 0 && (!out || !a || (op != VR_SQRT && !b) || (op == VR_FMA && !c)))
        return vr_fail(VR_ERROR_ARGUMENT, "rounding: an operand or the result is NULL");
    const bool draws = vr_rounding_is_random(r->mode);
    if (draws && !r->operands && !stream)
        return vr_fail(VR_ERROR_ARGUMENT, "rounding: mode %s without a stream; give one, or set operands",
                       vr_rounding_name(r->mode));
    vr_rounding_call call = {r->mode, op, r->precision, r->operands, r->key, 0, a, b, c, out, n};
    call.operands |= !draws;
    if (call.operands)
        run(call, dtype);
    else
        run_stream(call, dtype, stream);
    return VR_OK;
}

static vr_status run_narrow(vr_narrow_call call)
{
    if (call.to != VR_BF16 && call.to != VR_F16 && call.to != VR_F8E4M3 && call.to != VR_F8E5M2)
        return vr_fail(VR_ERROR_ARGUMENT, "rounding to %s; use bf16, f16, f8e4m3 or f8e5m2", vr_dtype_name(call.to));
    const vr_rounding_kernels *kernels = vr_rounding_kernels_best();
    const size_t size = vr_dtype_size(call.to), n = call.n;
    const vr_float_env outer = vr_float_enter();
    for (size_t done = 0; done < n; done += call.n) {
        call.n = call.operands ? n : until_next_block(call.position, 1, n - done);
        kernels->narrow(&call);
        call.position += call.n;
        call.in += call.n;
        call.out = (char *)call.out + call.n * size;
    }
    vr_float_leave(outer);
    return VR_OK;
}

vr_status vr_sr_from_f32(void *out, vr_dtype dtype, const float *in, size_t n, vr_stream *stream)
{
    const vr_status status = run_narrow(
        (vr_narrow_call){.to = dtype, .key = stream->key, .position = stream->position, .in = in, .out = out, .n = n});
    stream->position += status == VR_OK ? n : 0;
    return status;
}

vr_status vr_sr_from_f32_operands(void *out, vr_dtype dtype, const float *in, size_t n, uint64_t key)
{
    return run_narrow((vr_narrow_call){.to = dtype, .operands = true, .key = key, .in = in, .out = out, .n = n});
}

vr_status vr_nearest_from_f32(void *out, vr_dtype dtype, const float *in, size_t n)
{
    return run_narrow((vr_narrow_call){.to = dtype, .nearest = true, .operands = true, .in = in, .out = out, .n = n});
}
