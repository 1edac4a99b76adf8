/* rounding_narrow.h - from f32 to bf16, f16, f8e4m3 and f8e5m2, inlined. Included by rounding.h. */
#include <varanalyze/rounding.h>

#ifndef VARANALYZE_ROUNDING_NARROW_H
#define VARANALYZE_ROUNDING_NARROW_H

/* A float format narrower than f32: bits of the mantissa, the f32 exponent field of its least normal number, the code
 * above its largest finite number. */
typedef struct vr_narrow {
    uint32_t mantissa, least, over, sign;
} vr_narrow;

VR_ROUNDING_PART vr_narrow vr_narrow_of(vr_dtype to)
{
    const vr_narrow bf16 = {7, 1, 0x7f80, 15}, f16 = {10, 113, 0x7c00, 15};
    const vr_narrow f8e4m3 = {3, 121, 0x7f, 7}, f8e5m2 = {2, 113, 0x7c, 7};
    return to == VR_BF16 ? bf16 : to == VR_F16 ? f16 : to == VR_F8E4M3 ? f8e4m3 : f8e5m2;
}

/* significand / 2^drop, rounded by `draw`, of drop bits and uniform, or to nearest; drop <= 32. */
VR_ROUNDING_PART uint32_t vr_shift_round(uint32_t significand, uint32_t drop, uint32_t draw, bool nearest)
{
    const uint32_t whole = (uint32_t)((uint64_t)significand >> drop);
    const uint64_t fraction = significand - ((uint64_t)whole << drop), half = (UINT64_C(1) << drop) >> 1;
    const bool up_nearest = (fraction > half) | ((fraction == half) & (whole & 1));
    const bool up_random = fraction + draw >= UINT64_C(1) << drop;
    return whole + (nearest ? up_nearest : up_random);
}

/* The code of x in `to`: to nearest, or by the word. */
VR_ROUNDING_PART uint32_t vr_narrow_code(vr_dtype to, float x, uint32_t word, bool nearest)
{
    const vr_narrow f = vr_narrow_of(to);
    const uint32_t bits = vr_bits_f32(x), size = bits & UINT32_C(0x7fffffff), field = size >> 23;
    const uint32_t normal_drop = 23 - f.mantissa, sign = (bits >> 31) << f.sign;
    const bool small = field < f.least;
    const uint32_t effective = field > 1 ? field : 1; /* of a subnormal f32 */
    const uint32_t below = small ? f.least - effective : 0,
                   far = normal_drop + below > 32 ? normal_drop + below - 32 : 0;
    const uint32_t subnormal = (size & UINT32_C(0x7fffff)) | (field > 0 ? UINT32_C(0x800000) : 0);
    const uint32_t significand = small ? (far < 24 ? subnormal >> far : 0) : size, drop = normal_drop + below - far;
    const uint32_t rounded = vr_shift_round(significand, drop, word >> (32 - drop), nearest);
    const uint32_t rebias = small ? 0 : (f.least - 1) << f.mantissa;
    const uint32_t code = rounded - rebias;
    const uint32_t payload =
        (bits >> normal_drop | UINT32_C(1) << (f.mantissa - 1)) & ((UINT32_C(1) << f.mantissa) - 1);
    return sign | (size > UINT32_C(0x7f800000) ? f.over | payload : code < f.over ? code : f.over);
}

VR_ROUNDING_INLINE uint32_t vr_nearest_narrow_f32(vr_dtype to, float x)
{
    return vr_narrow_code(to, x, 0, true);
}

VR_ROUNDING_INLINE uint32_t vr_sr_narrow_f32(vr_dtype to, float x, uint32_t word)
{
    const vr_narrow f = vr_narrow_of(to);
    const uint32_t mask = (UINT32_C(1) << f.sign) - 1, nearest = vr_narrow_code(to, x, 0, true);
    return (nearest & mask) >= f.over ? nearest : vr_narrow_code(to, x, word, false);
}

VR_ROUNDING_INLINE uint32_t vr_narrow_word_f32(vr_dtype to, float x, uint64_t key)
{
    const unsigned op = VR_OPERATIONS + (unsigned)to;
    return vr_finish32(vr_operands32(op, vr_bits_f32(x), 0, 0), vr_operand_keys(op, key));
}

#endif
