/* rounding_user.h - the functions of rounding.h that draw their random words, inlined. Included by it. */
#include <varanalyze/rounding.h>

#ifndef VARANALYZE_ROUNDING_USER_H
#define VARANALYZE_ROUNDING_USER_H

VR_ROUNDING_INLINE bool vr_rounding_is_random(vr_rounding_mode mode)
{
    return mode == VR_ROUND_SR || mode == VR_ROUND_UD || mode >= VR_ROUND_RR;
}

VR_ROUNDING_PART uint32_t vr_draw_f32(const vr_rounding *r, vr_stream *stream, vr_operation op, float a, float b,
                                      float c)
{
    if (!vr_rounding_is_random(r->mode))
        return 0;
    return r->operands ? vr_operand_word_f32(op, a, b, c, r->key) : vr_stream_word(stream->key, stream->position++);
}

VR_ROUNDING_PART uint64_t vr_draw_f64(const vr_rounding *r, vr_stream *stream, vr_operation op, double a, double b,
                                      double c)
{
    if (!vr_rounding_is_random(r->mode))
        return 0;
    return r->operands ? vr_operand_word_f64(op, a, b, c, r->key) : vr_stream_word64(stream->key, stream->position++);
}

VR_ROUNDING_INLINE float vr_round_add_f32(const vr_rounding *r, vr_stream *stream, float a, float b)
{
    return vr_core_add_f32(r->mode, r->precision, a, b, vr_draw_f32(r, stream, VR_ADD, a, b, 0));
}

VR_ROUNDING_INLINE float vr_round_sub_f32(const vr_rounding *r, vr_stream *stream, float a, float b)
{
    return vr_core_sub_f32(r->mode, r->precision, a, b, vr_draw_f32(r, stream, VR_SUB, a, b, 0));
}

VR_ROUNDING_INLINE float vr_round_mul_f32(const vr_rounding *r, vr_stream *stream, float a, float b)
{
    return vr_core_mul_f32(r->mode, r->precision, a, b, vr_draw_f32(r, stream, VR_MUL, a, b, 0));
}

VR_ROUNDING_INLINE float vr_round_div_f32(const vr_rounding *r, vr_stream *stream, float a, float b)
{
    return vr_core_div_f32(r->mode, r->precision, a, b, vr_draw_f32(r, stream, VR_DIV, a, b, 0));
}

VR_ROUNDING_INLINE float vr_round_sqrt_f32(const vr_rounding *r, vr_stream *stream, float a)
{
    return vr_core_sqrt_f32(r->mode, r->precision, a, vr_draw_f32(r, stream, VR_SQRT, a, 0, 0));
}

VR_ROUNDING_INLINE float vr_round_fma_f32(const vr_rounding *r, vr_stream *stream, float a, float b, float c)
{
    return vr_core_fma_f32(r->mode, r->precision, a, b, c, vr_draw_f32(r, stream, VR_FMA, a, b, c));
}

VR_ROUNDING_INLINE double vr_round_add_f64(const vr_rounding *r, vr_stream *stream, double a, double b)
{
    return vr_core_add_f64(r->mode, r->precision, a, b, vr_draw_f64(r, stream, VR_ADD, a, b, 0));
}

VR_ROUNDING_INLINE double vr_round_sub_f64(const vr_rounding *r, vr_stream *stream, double a, double b)
{
    return vr_core_sub_f64(r->mode, r->precision, a, b, vr_draw_f64(r, stream, VR_SUB, a, b, 0));
}

VR_ROUNDING_INLINE double vr_round_mul_f64(const vr_rounding *r, vr_stream *stream, double a, double b)
{
    return vr_core_mul_f64(r->mode, r->precision, a, b, vr_draw_f64(r, stream, VR_MUL, a, b, 0));
}

VR_ROUNDING_INLINE double vr_round_div_f64(const vr_rounding *r, vr_stream *stream, double a, double b)
{
    return vr_core_div_f64(r->mode, r->precision, a, b, vr_draw_f64(r, stream, VR_DIV, a, b, 0));
}

VR_ROUNDING_INLINE double vr_round_sqrt_f64(const vr_rounding *r, vr_stream *stream, double a)
{
    return vr_core_sqrt_f64(r->mode, r->precision, a, vr_draw_f64(r, stream, VR_SQRT, a, 0, 0));
}

VR_ROUNDING_INLINE double vr_round_fma_f64(const vr_rounding *r, vr_stream *stream, double a, double b, double c)
{
    return vr_core_fma_f64(r->mode, r->precision, a, b, c, vr_draw_f64(r, stream, VR_FMA, a, b, c));
}

#endif
