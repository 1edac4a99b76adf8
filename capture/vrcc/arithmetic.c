/* arithmetic.c - what vrcc puts in the place of an operation: compiled to LLVM's bitcode, in which the pass widens each
 * function to the vectors that a program has, and inlines it.
 *
 * There are two functions for an operation. The first gives what vr_core_* of rounding.h gives for the word of these
 * operands; the second (..._fine) says where that holds: for all but NaN, infinities and what is near the ends of the
 * range, which the runtime computes (vrcc_slow_f32 and vrcc_slow_f64). Nothing may branch or call: widen.c refuses it.
 * `keys` is vr_operand_keys of the operation. What is chosen between is there before the random word is, since in a
 * chain of operations that is what takes longest.
 */
#include <stdint.h>
#define vr_core_wide_f64 vrcc_unused_wide_f64
#include <varanalyze/rounding.h>

#ifdef __FMA__
#define NAMED(op, type, mode) vrcc_##op##_##type##_##mode##_fma
#else
#define NAMED(op, type, mode) vrcc_##op##_##type##_##mode
#endif
#define FINE(op, type, mode) NAMED(op, type, mode##_fine)

#define SIGN32 UINT32_C(0x80000000)
#define LOW32  UINT32_C(0x0d000000) /* 2^-101: below, an error or its scaling may not be a normal number */
#define HIGH32 UINT32_C(0x70000000) /* 2^97 */
#define LAST32 UINT32_C(0x7f7fffff)
#define LAST64 UINT64_C(0x7fefffffffffffff)

/* ---- random words ---- */

VR_ROUNDING_PART uint32_t word32(vr_operation op, float a, float b, float c, uint64_t keys)
{
    const uint32_t x = vr_operands32(op, vr_bits_f32(a), vr_bits_f32(b), vr_bits_f32(c));
    return vr_finish32(x, keys);
}

VR_ROUNDING_PART uint64_t word64(vr_operation op, double a, double b, double c, uint64_t keys)
{
    return vr_finish64(vr_operands64(op, vr_bits_f64(a), vr_bits_f64(b), vr_bits_f64(c)), keys);
}

/* vr_round_odd, without its branch. */
VR_ROUNDING_PART double odd(vr_exact r)
{
    const uint64_t bits = vr_bits_f64(r.s), inward = (bits ^ vr_bits_f64(r.e)) >> 63;
    const uint64_t even = ~bits & 1, inexact = (r.e < 0) | (r.e > 0);
    return vr_value_f64(bits + (even & inexact) * (1 - 2 * inward));
}

/* ---- f32 ---- */

VR_ROUNDING_PART _Bool is_below32(float s, uint32_t end)
{
    return (vr_bits_f32(s) & ~SIGN32) < end;
}

VR_ROUNDING_PART _Bool is_within32(float s)
{
    return (vr_bits_f32(s) & ~SIGN32) - LOW32 < HIGH32 - LOW32;
}

/* Whether the numbers next to s are as far inward as outward, or it does not matter: else the distance would have to
 * wait for the sign of e. */
VR_ROUNDING_PART _Bool is_even32(float s, double e)
{
    return ((vr_bits_f32(s) & UINT32_C(0x7fffff)) != 0) | (e == 0);
}

/* s or the number next to it: that, where the upper 31 bits of the word are less than `least`, which is |e| 2^31 / gap
 * without its fraction. inward: all ones, or 0. A choice here
 * would become a branch that nobody can predict. */
VR_ROUNDING_PART float moved32(float s, uint32_t inward, int32_t least, uint32_t word)
{
    const uint32_t moves = ((word >> 1) - (uint32_t)least) >> 31;
    return vr_value_f32(vr_bits_f32(s) + ((moves ^ inward) - inward));
}

VR_ROUNDING_PART float stochastic32(float s, float e, uint32_t word)
{
    const uint32_t inward = (uint32_t)((int32_t)(vr_bits_f32(s) ^ vr_bits_f32(e)) >> 31);
    const uint32_t exponent = vr_bits_f32(s) & UINT32_C(0x7f800000);
    const float scale = vr_value_f32((UINT32_C(254) << 23) - exponent), scaled = e * 18014398509481984.0f * scale;
    return moved32(s, inward, (int32_t)__builtin_fabsf(scaled), word); /* 2^54 of 2^(54 - exponent) */
}

/* The same where e takes an f64. */
VR_ROUNDING_PART float stochastic32_wide(float s, double e, uint32_t word)
{
    const uint32_t inward = (uint32_t)((int32_t)(vr_bits_f32(s) ^ (uint32_t)(vr_bits_f64(e) >> 32)) >> 31);
    const uint32_t exponent = vr_bits_f32(s) & UINT32_C(0x7f800000);
    const uint64_t upper = UINT32_C(0x4b400000) - (exponent >> 3); /* 1023 + 127 + 54, in the place of an exponent */
    return moved32(s, inward, (int32_t)__builtin_fabs(e * vr_value_f64(upper << 32)), word);
}

VR_ROUNDING_PART float up_or_down32(float s, uint32_t word)
{
    const uint32_t bits = vr_bits_f32(s);
    const _Bool zero = (bits & ~SIGN32) == 0;
    const uint32_t in = zero ? SIGN32 | 1 : bits - 1, to_out = zero ? SIGN32 : 2; /* modulo 2^32 */
    return vr_value_f32(in + ((uint32_t)((int32_t)word >> 31) & to_out));
}

VR_ROUNDING_PART float sum_error32(float a, float b)
{
    const float s = a + b, virtual_b = s - a;
    return (a - (s - virtual_b)) + (b - virtual_b);
}

float NAMED(add, f32, sr)(float a, float b, uint64_t keys)
{
    return stochastic32(a + b, sum_error32(a, b), word32(VR_ADD, a, b, 0, keys));
}

_Bool FINE(add, f32, sr)(float a, float b, uint64_t keys)
{
    (void)keys;
    return is_below32(a + b, HIGH32) & is_even32(a + b, sum_error32(a, b));
}

VR_ROUNDING_PART float product_error32(float a, float b)
{
#if VR_HAS_FMA
    return __builtin_fmaf(a, b, -(a * b));
#else
    return (float)((double)a * b - a * b);
#endif
}

float NAMED(mul, f32, sr)(float a, float b, uint64_t keys)
{
    return stochastic32(a * b, product_error32(a, b), word32(VR_MUL, a, b, 0, keys));
}

_Bool FINE(mul, f32, sr)(float a, float b, uint64_t keys)
{
    (void)keys;
    const _Bool zero = is_below32(a * b, HIGH32) & ((a == 0) | (b == 0));
    return (is_within32(a * b) & is_even32(a * b, product_error32(a, b))) | zero;
}

VR_ROUNDING_PART double quotient_error32(float a, float b)
{
    return (a - (double)(a / b) * b) / b;
}

float NAMED(div, f32, sr)(float a, float b, uint64_t keys)
{
    return stochastic32_wide(a / b, quotient_error32(a, b), word32(VR_DIV, a, b, 0, keys));
}

_Bool FINE(div, f32, sr)(float a, float b, uint64_t keys)
{
    (void)keys;
    const _Bool even = is_even32(a / b, quotient_error32(a, b));
    return (is_within32(a / b) & even) | ((a == 0) & is_within32(b));
}

VR_ROUNDING_PART double root_error32(float a)
{
    const double root = __builtin_sqrt(a), s = (float)root;
    return (a - s * s) / (s + root);
}

float NAMED(sqrt, f32, sr)(float a, uint64_t keys)
{
    return stochastic32_wide((float)__builtin_sqrt(a), root_error32(a), word32(VR_SQRT, a, 0, 0, keys));
}

_Bool FINE(sqrt, f32, sr)(float a, uint64_t keys)
{
    (void)keys;
    return (a > 0) & (a <= __FLT_MAX__) & is_even32((float)__builtin_sqrt(a), root_error32(a));
}

VR_ROUNDING_PART float nearest_fma32(float a, float b, float c)
{
#if VR_HAS_FMA
    return __builtin_fmaf(a, b, c);
#else
    return (float)odd(vr_two_sum((double)a * b, c));
#endif
}

VR_ROUNDING_PART double fma_error32(float a, float b, float c)
{
    const vr_exact wide = vr_two_sum((double)a * b, c);
    return (wide.s - nearest_fma32(a, b, c)) + wide.e;
}

float NAMED(fma, f32, sr)(float a, float b, float c, uint64_t keys)
{
    return stochastic32_wide(nearest_fma32(a, b, c), fma_error32(a, b, c), word32(VR_FMA, a, b, c, keys));
}

_Bool FINE(fma, f32, sr)(float a, float b, float c, uint64_t keys)
{
    (void)keys;
    const float s = nearest_fma32(a, b, c);
    return (is_within32(s) & is_even32(s, fma_error32(a, b, c))) | ((double)a * b + c == 0);
}

float NAMED(add, f32, ud)(float a, float b, uint64_t keys)
{
    return up_or_down32(a + b, word32(VR_ADD, a, b, 0, keys));
}

_Bool FINE(add, f32, ud)(float a, float b, uint64_t keys)
{
    (void)keys;
    return is_below32(a + b, LAST32);
}

float NAMED(mul, f32, ud)(float a, float b, uint64_t keys)
{
    return up_or_down32(a * b, word32(VR_MUL, a, b, 0, keys));
}

_Bool FINE(mul, f32, ud)(float a, float b, uint64_t keys)
{
    (void)keys;
    return is_below32(a * b, LAST32);
}

float NAMED(div, f32, ud)(float a, float b, uint64_t keys)
{
    return up_or_down32(a / b, word32(VR_DIV, a, b, 0, keys));
}

_Bool FINE(div, f32, ud)(float a, float b, uint64_t keys)
{
    (void)keys;
    return is_below32(a / b, LAST32) & is_below32(b, LAST32);
}

float NAMED(sqrt, f32, ud)(float a, uint64_t keys)
{
    return up_or_down32(__builtin_sqrtf(a), word32(VR_SQRT, a, 0, 0, keys));
}

_Bool FINE(sqrt, f32, ud)(float a, uint64_t keys)
{
    (void)keys;
    return (a >= 0) & (a <= __FLT_MAX__);
}

float NAMED(fma, f32, ud)(float a, float b, float c, uint64_t keys)
{
    return up_or_down32(nearest_fma32(a, b, c), word32(VR_FMA, a, b, c, keys));
}

_Bool FINE(fma, f32, ud)(float a, float b, float c, uint64_t keys)
{
    (void)keys;
    return is_below32(nearest_fma32(a, b, c), LAST32);
}

/* ---- f64 ---- */

/* vr_is_middle and vr_is_split, for vectors by comparisons that they have. */
VR_ROUNDING_PART _Bool is_middle64(double x)
{
#ifdef VRCC_VECTORS
    const double size = __builtin_fabs(x);
    return (size >= 0x1p-900) & (size < 0x1p990);
#else
    return vr_is_middle(x) != 0;
#endif
}

VR_ROUNDING_PART _Bool is_split64(double x)
{
#ifdef VRCC_VECTORS
    return __builtin_fabs(x) < 0x1p990;
#else
    return vr_is_split(x) != 0;
#endif
}

VR_ROUNDING_PART _Bool is_zero64(double x)
{
#ifdef VRCC_VECTORS
    return x == 0;
#else
    return (vr_bits_f64(x) & INT64_MAX) == 0;
#endif
}

VR_ROUNDING_PART _Bool is_below64(double s, uint64_t end)
{
    return (vr_bits_f64(s) & INT64_MAX) < end;
}

/* vr_choose_f64 for SR; the choice is among f64 where it would go by other registers else. */
VR_ROUNDING_PART double stochastic64(vr_exact r, uint64_t word)
{
#ifdef VRCC_VECTORS
    return vr_choose_f64(VR_ROUND_SR, r, word);
#else
    const uint64_t bits = vr_bits_f64(r.s), inward = (bits ^ vr_bits_f64(r.e)) >> 63;
    const uint64_t exponent = (bits - inward) & (UINT64_C(0x7ff) << 52);
    const double other = vr_value_f64(bits + 1 - 2 * inward);
    const double draw = vr_value_f64(word >> 12 | UINT64_C(1023) << 52) - (1 - VR_2_M52);
    return draw <= __builtin_fabs(r.e) * vr_value_f64((UINT64_C(2098) << 52) - exponent) ? other : r.s;
#endif
}

VR_ROUNDING_PART double up_or_down64(double s, uint64_t word)
{
    const uint64_t bits = vr_bits_f64(s), sign = UINT64_C(1) << 63;
    const _Bool zero = (bits & ~sign) == 0;
    const uint64_t in = zero ? sign | 1 : bits - 1, to_out = zero ? sign : 2; /* modulo 2^64 */
    return vr_value_f64(in + ((uint64_t)((int64_t)word >> 63) & to_out));
}

double NAMED(add, f64, sr)(double a, double b, uint64_t keys)
{
    return stochastic64(vr_two_sum(a, b), word64(VR_ADD, a, b, 0, keys));
}

_Bool FINE(add, f64, sr)(double a, double b, uint64_t keys)
{
    (void)keys;
    return is_middle64(a + b) | is_zero64(a + b);
}

VR_ROUNDING_PART vr_exact product64(double a, double b)
{
    vr_exact r;
    r.s = a * b;
    r.e = vr_product_error(a, b, r.s);
    return r;
}

double NAMED(mul, f64, sr)(double a, double b, uint64_t keys)
{
    return stochastic64(product64(a, b), word64(VR_MUL, a, b, 0, keys));
}

_Bool FINE(mul, f64, sr)(double a, double b, uint64_t keys)
{
    (void)keys;
    const double s = a * b;
#if VR_HAS_FMA
    return is_middle64(s) | (is_zero64(s) & (is_zero64(a) | is_zero64(b)));
#else
    return is_split64(a) & is_split64(b) & (is_middle64(s) | is_zero64(a) | is_zero64(b));
#endif
}

VR_ROUNDING_PART vr_exact quotient64(double a, double b)
{
    vr_exact r;
    r.s = a / b;
    r.e = vr_remainder_f64(a, r.s, b) / b;
    return r;
}

double NAMED(div, f64, sr)(double a, double b, uint64_t keys)
{
    return stochastic64(quotient64(a, b), word64(VR_DIV, a, b, 0, keys));
}

_Bool FINE(div, f64, sr)(double a, double b, uint64_t keys)
{
    (void)keys;
    const _Bool middle = is_middle64(a) & is_middle64(a / b);
    return is_middle64(b) & (is_zero64(a) | middle);
}

VR_ROUNDING_PART vr_exact root64(double a)
{
    vr_exact r;
    r.s = __builtin_sqrt(a);
    r.e = vr_remainder_f64(a, r.s, r.s) / (2 * r.s);
    return r;
}

double NAMED(sqrt, f64, sr)(double a, uint64_t keys)
{
    return stochastic64(root64(a), word64(VR_SQRT, a, 0, 0, keys));
}

_Bool FINE(sqrt, f64, sr)(double a, uint64_t keys)
{
    (void)keys;
    return is_middle64(a) & (a > 0);
}

/* vr_fma_error, without its branch where there is no fused multiply-add. */
VR_ROUNDING_PART vr_exact fma64(double a, double b, double c)
{
    const double p = a * b;
    const vr_exact low = vr_two_sum(c, vr_product_error(a, b, p)), high = vr_two_sum(p, low.s);
    vr_exact r;
#if VR_HAS_FMA
    r.s = __builtin_fma(a, b, c);
#else
    const double sum = high.s + odd(vr_two_sum(high.e, low.e)), other = p + c;
    r.s = p == 0 ? other : sum;
#endif
    r.e = ((high.s - r.s) + high.e) + low.e;
    return r;
}

double NAMED(fma, f64, sr)(double a, double b, double c, uint64_t keys)
{
    return stochastic64(fma64(a, b, c), word64(VR_FMA, a, b, c, keys));
}

_Bool FINE(fma, f64, sr)(double a, double b, double c, uint64_t keys)
{
    (void)keys;
    const double p = a * b, s = fma64(a, b, c).s;
    const _Bool fine = is_split64(a) & is_split64(b) & is_split64(c) & (is_middle64(p) | is_zero64(a) | is_zero64(b));
    return fine & (is_middle64(s) | (is_zero64(p) & is_zero64(s)));
}

double NAMED(add, f64, ud)(double a, double b, uint64_t keys)
{
    return up_or_down64(a + b, word64(VR_ADD, a, b, 0, keys));
}

_Bool FINE(add, f64, ud)(double a, double b, uint64_t keys)
{
    (void)keys;
    return is_below64(a + b, LAST64);
}

double NAMED(mul, f64, ud)(double a, double b, uint64_t keys)
{
    return up_or_down64(a * b, word64(VR_MUL, a, b, 0, keys));
}

_Bool FINE(mul, f64, ud)(double a, double b, uint64_t keys)
{
    (void)keys;
    return is_below64(a * b, LAST64);
}

double NAMED(div, f64, ud)(double a, double b, uint64_t keys)
{
    return up_or_down64(a / b, word64(VR_DIV, a, b, 0, keys));
}

_Bool FINE(div, f64, ud)(double a, double b, uint64_t keys)
{
    (void)keys;
    return is_below64(a / b, LAST64) & is_below64(b, LAST64);
}

double NAMED(sqrt, f64, ud)(double a, uint64_t keys)
{
    return up_or_down64(__builtin_sqrt(a), word64(VR_SQRT, a, 0, 0, keys));
}

_Bool FINE(sqrt, f64, ud)(double a, uint64_t keys)
{
    (void)keys;
    return (a >= 0) & (a <= __DBL_MAX__);
}

double NAMED(fma, f64, ud)(double a, double b, double c, uint64_t keys)
{
    return up_or_down64(fma64(a, b, c).s, word64(VR_FMA, a, b, c, keys));
}

_Bool FINE(fma, f64, ud)(double a, double b, double c, uint64_t keys)
{
    (void)keys;
    const double s = fma64(a, b, c).s;
#if VR_HAS_FMA
    return is_below64(s, LAST64);
#else
    return is_split64(a) & is_split64(b) & is_split64(c) & is_middle64(a * b) & is_middle64(s);
#endif
}
