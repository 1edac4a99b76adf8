/* rounding_core.h - the operations of rounding.h, inlined. Included by it.
 *
 * Every operation gives s = RN(r), the plain result, and e = r - s, from an error-free transform (e is exact, or has
 * for quotients and roots a relative error of 2^-52 at most, and is 0 only where r = s). f32 operations do that in f64,
 * which holds all they need; none of their branches depends on values, so that compilers vectorize loops over them
 * (gcc: with -fno-trapping-math). f64 operations do it where neither s nor e comes near the ends of the range, and
 * leave the rest to vr_core_wide_f64.
 *
 * A user's compiler may contract products and sums. So no product that is rounded is added to anything here, save
 * where it is hidden.
 */
#include <varanalyze/rounding.h>

#ifndef VARANALYZE_ROUNDING_CORE_H
#define VARANALYZE_ROUNDING_CORE_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__FP_FAST_FMA)
#define VR_HAS_FMA 1
#else
#define VR_HAS_FMA 0
#endif

/* Not in hexadecimal, which C++ has from 2017 on. */
#define VR_2_M31 4.656612873077392578125e-10
#define VR_2_M32 2.3283064365386962890625e-10
#define VR_2_M52 2.220446049250313080847263336181640625e-16
#define VR_2_128 340282366920938463463374607431768211456.0
#define VR_2_52  4503599627370496.0

/* Numbers of t bits in f64: the exponent field of the least quantum, and the first number beyond the largest. */
typedef struct vr_grid {
    int t, least;
    double limit;
} vr_grid;

/* r = s + e */
typedef struct vr_exact {
    double s, e;
} vr_exact;

VR_ROUNDING_PART vr_exact vr_two_sum(double a, double b)
{
    vr_exact r;
    r.s = a + b;
    const double virtual_b = r.s - a;
    r.e = (a - (r.s - virtual_b)) + (b - virtual_b);
    return r;
}

/* A rounded product that no sum takes up. The library is compiled without contraction. */
VR_ROUNDING_PART double vr_product(double a, double b)
{
    double p = a * b;
#if !defined(VR_ROUNDING_STRICT) && defined(__x86_64__)
    __asm__("" : "+x"(p));
#elif !defined(VR_ROUNDING_STRICT) && defined(__aarch64__)
    __asm__("" : "+w"(p));
#elif !defined(VR_ROUNDING_STRICT)
    __asm__("" : "+m"(p));
#endif
    return p;
}

/* a b - p for p = RN(a b), exactly: fma, or Dekker's product (|a|, |b| < 2^990). */
VR_ROUNDING_PART double vr_product_error(double a, double b, double p)
{
#if VR_HAS_FMA
    return __builtin_fma(a, b, -p);
#else
    const double split = 134217729, wide_a = split * a, wide_b = split * b; /* 2^27 + 1 */
    const double a_high = wide_a - (wide_a - a), a_low = a - a_high;
    const double b_high = wide_b - (wide_b - b), b_low = b - b_high;
    return ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low;
#endif
}

/* s, or the number next to it toward e, whichever last bit is 1, unless e is 0: what rounds to fewer bits (two at
 * least) as s + e does (Boldo and Melquiond 2008). */
VR_ROUNDING_PART double vr_round_odd(vr_exact r)
{
    const uint64_t bits = vr_bits_f64(r.s), inward = (bits ^ vr_bits_f64(r.e)) >> 63;
    const uint64_t step = (~bits & 1) * (1 - 2 * inward);
    return __builtin_fabs(r.e) > 0 ? vr_value_f64(bits + step) : r.s;
}

/* The distance of the numbers of t bits in the binade of a number with these bits. */
VR_ROUNDING_PART double vr_quantum(uint64_t bits, vr_grid grid)
{
    const int64_t field = (int64_t)(bits >> 52 & 0x7ff) - (grid.t - 1);
    return vr_value_f64((uint64_t)(field < grid.least ? grid.least : field) << 52);
}

/* The same r from the number of t bits nearest to it. */
VR_ROUNDING_PART vr_exact vr_to_grid(vr_exact r, vr_grid grid)
{
    const double quantum = vr_quantum(vr_bits_f64(r.s), grid), whole = quantum * VR_2_52, size = __builtin_fabs(r.s);
    const double even = __builtin_copysign(size < whole ? (size + whole) - whole : size, r.s), rest = r.s - even;
    const bool past_tie = (2 * __builtin_fabs(rest) == quantum) & (rest * r.e > 0);
    vr_exact out;
    out.s = __builtin_copysign(past_tie ? even + 2 * rest : even, r.s);
    out.e = (past_tie ? -rest : rest) + r.e;
    return out;
}

/* s, a number of the grid, moved by one up or down, the least quantum from zero; inward at the end of the range. */
VR_ROUNDING_PART double vr_up_or_down(double s, vr_grid grid, bool out)
{
    const uint64_t bits = vr_bits_f64(s);
    const double size = __builtin_fabs(s), next = size + vr_quantum(bits, grid);
    const double before = size - vr_quantum(bits - 1, grid);
    const double moved = __builtin_copysign((out & (next < grid.limit)) ? next : before, s);
    const double from_zero = out ? next : -next;
    return s == 0 ? from_zero : size < grid.limit ? moved : s;
}

/* r rounded in a mode that is no Monte Carlo arithmetic; r.s is the nearest number of the grid. draw: uniform in
 * (0, 1], a multiple of what its mode resolves. */
VR_ROUNDING_PART double vr_choose(vr_rounding_mode mode, vr_exact r, vr_grid grid, double draw, bool out)
{
    if (mode == VR_ROUND_NEAREST)
        return r.s;
    if (mode == VR_ROUND_UD)
        return vr_up_or_down(r.s, grid, out);
    const uint64_t bits = vr_bits_f64(r.s), inward = (bits ^ vr_bits_f64(r.e)) >> 63;
    const double gap = vr_quantum(bits - inward, grid);
    const double per_gap = vr_value_f64((UINT64_C(2046) << 52) - vr_bits_f64(gap));
    bool move;
    if (mode == VR_ROUND_SR)
        move = (draw <= __builtin_fabs(r.e) * per_gap) & (__builtin_fabs(r.s) < grid.limit);
    else if (mode == VR_ROUND_UP)
        move = r.e > 0;
    else if (mode == VR_ROUND_DOWN)
        move = r.e < 0;
    else
        move = (inward != 0) & (__builtin_fabs(r.e) > 0);
    return __builtin_copysign(move ? r.s + __builtin_copysign(gap, r.e) : r.s, r.s);
}

/* inexact(x) at precision t; `word` is the noise's. */
VR_ROUNDING_PART double vr_inexact(double x, int t, uint32_t word)
{
    const vr_grid grid = {t, 1, 0};
    const double xi = ((double)(int32_t)word + 0.5) * VR_2_M32;
    const double noisy = x + vr_quantum(vr_bits_f64(x), grid) * xi;
    return ((x != 0) & (__builtin_fabs(x) < __builtin_inf())) ? noisy : x;
}

/* Further words from one. */
VR_ROUNDING_PART uint32_t vr_further_word(uint32_t word, uint32_t index)
{
    return vr_mix32(word + index * VR_WORD_STEP, UINT32_C(0x2545f491));
}

/* ---- f32 ---- */

#define VR_T_F32 24

VR_ROUNDING_PART bool vr_is_full_f32(int t)
{
    return t <= 0 || t >= VR_T_F32;
}

VR_ROUNDING_PART vr_grid vr_grid_f32(int t)
{
    const vr_grid grid = {vr_is_full_f32(t) ? VR_T_F32 : t, 1023 - 149, VR_2_128};
    return grid;
}

VR_ROUNDING_PART float vr_up_or_down_f32(float s, uint32_t word)
{
    const uint32_t bits = vr_bits_f32(s), size = bits & UINT32_C(0x7fffffff), sign = UINT32_C(0x80000000);
    const uint32_t out = (word >> 31) & (size < UINT32_C(0x7f7fffff));
    const uint32_t moved = bits + 2 * out - 1, from_zero = (~word & sign) | 1;
    return vr_value_f32(size == 0 ? from_zero : size < UINT32_C(0x7f800000) ? moved : bits);
}

/* s = RN(r) in f32, e = r - s. `regular`: the operands are finite, and r is a number; else s is the result. */
VR_ROUNDING_PART float vr_finish_f32(vr_rounding_mode mode, int t, float s, double e, bool regular, uint32_t word)
{
    const bool full = vr_is_full_f32(t);
    if (mode == VR_ROUND_NEAREST && full)
        return s;
    if (mode == VR_ROUND_UD && full)
        return regular ? vr_up_or_down_f32(s, word) : s;
    const vr_grid grid = vr_grid_f32(t);
    const bool over = __builtin_fabsf(s) > __FLT_MAX__;
    vr_exact r;
    r.s = over ? __builtin_copysign(grid.limit, (double)s) : (double)s;
    r.e = over ? -__builtin_copysign(1.0, (double)s) : e;
    if (!full)
        r = vr_to_grid(r, grid);
    const double draw = ((double)(int32_t)(word >> 1) + 1) * VR_2_M31;
    const float chosen = (float)vr_choose(mode, r, grid, draw, (word >> 31) != 0);
    return regular ? chosen : s;
}

/* Monte Carlo arithmetic: x is the operation in f64, of inexact operands in pb and mca. */
VR_ROUNDING_PART float vr_monte_carlo_f32(vr_rounding_mode mode, int t, float s, double e, double x, bool regular,
                                          uint32_t word)
{
    const vr_grid grid = vr_grid_f32(t);
    vr_exact r;
    r.s = s;
    r.e = e;
    const bool exact = (e == 0) & (vr_to_grid(r, grid).s == r.s);
    const bool noisy = mode == VR_ROUND_MCA || (mode == VR_ROUND_RR && !exact);
    const double y = noisy ? vr_inexact(x, grid.t, vr_further_word(word, 0)) : x;
    return regular ? (float)y : s;
}

/* An operand as Monte Carlo arithmetic takes it. */
VR_ROUNDING_PART double vr_operand_f32(vr_rounding_mode mode, int t, float x, uint32_t word, uint32_t index)
{
    return mode == VR_ROUND_RR ? (double)x : vr_inexact(x, vr_grid_f32(t).t, vr_further_word(word, index));
}

VR_ROUNDING_PART bool vr_is_monte_carlo(vr_rounding_mode mode)
{
    return mode >= VR_ROUND_RR;
}

VR_ROUNDING_PART int vr_is_finite(double x)
{
    return __builtin_fabs(x) < __builtin_inf();
}

VR_ROUNDING_INLINE float vr_core_add_f32(vr_rounding_mode mode, int t, float a, float b, uint32_t word)
{
    const vr_exact wide = vr_two_sum(a, b);
    const bool regular = vr_is_finite(wide.s) != 0,
               is_minus = (mode == VR_ROUND_DOWN) & (wide.s == 0) & (((vr_bits_f32(a) ^ vr_bits_f32(b)) >> 31) != 0);
    const float s = is_minus ? -0.0f : a + b;
    const double e = (wide.s - s) + wide.e;
    if (vr_is_monte_carlo(mode)) {
        const double x = vr_operand_f32(mode, t, a, word, 1), y = vr_operand_f32(mode, t, b, word, 2);
        return vr_monte_carlo_f32(mode, t, s, e, x + y, regular, word);
    }
    return vr_finish_f32(mode, t, s, e, regular, word);
}

VR_ROUNDING_INLINE float vr_core_sub_f32(vr_rounding_mode mode, int t, float a, float b, uint32_t word)
{
    const float s = a - b; /* as the plain operation for NaN, whose sign a negation would change */
    const float r = vr_core_add_f32(mode, t, a, -b, word);
    return s == s ? r : s;
}

VR_ROUNDING_INLINE float vr_core_mul_f32(vr_rounding_mode mode, int t, float a, float b, uint32_t word)
{
    const double p = (double)a * b; /* exact */
    const float s = a * b;
    const bool regular = vr_is_finite(p) != 0;
    if (vr_is_monte_carlo(mode)) {
        const double x = vr_operand_f32(mode, t, a, word, 1), y = vr_operand_f32(mode, t, b, word, 2);
        return vr_monte_carlo_f32(mode, t, s, p - s, vr_product(x, y), regular, word);
    }
    return vr_finish_f32(mode, t, s, p - s, regular, word);
}

VR_ROUNDING_INLINE float vr_core_div_f32(vr_rounding_mode mode, int t, float a, float b, uint32_t word)
{
    const float s = a / b;
    const double e = (a - (double)s * b) / b; /* the remainder is exact */
    const bool regular = (vr_is_finite(a) & vr_is_finite(b) & (b != 0)) != 0;
    if (vr_is_monte_carlo(mode)) {
        const double x = vr_operand_f32(mode, t, a, word, 1), y = vr_operand_f32(mode, t, b, word, 2);
        return vr_monte_carlo_f32(mode, t, s, e, x / y, regular, word);
    }
    return vr_finish_f32(mode, t, s, e, regular, word);
}

#ifdef __clang__ /* whose own intrinsics are static */
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wstatic-in-inline"
#endif

/* Without a call of the mathematical library for numbers below zero. */
VR_ROUNDING_PART double vr_root(double a)
{
#if defined(__SSE2__) && !defined(__NO_MATH_ERRNO__)
    return _mm_cvtsd_f64(_mm_sqrt_sd(_mm_setzero_pd(), _mm_set_sd(a)));
#else
    return __builtin_sqrt(a);
#endif
}

#ifdef __clang__
#pragma clang diagnostic pop
#endif

VR_ROUNDING_INLINE float vr_core_sqrt_f32(vr_rounding_mode mode, int t, float a, uint32_t word)
{
    const double root = vr_root(a);
    const float s = (float)root; /* rounding twice does no harm: 53 >= 2 * 24 + 2 (Figueroa 1995) */
    const double remainder = a - (double)s * s, sum = s + root;
    const double e = sum > 0 ? remainder / sum : 0;
    const bool regular = ((a >= 0) & vr_is_finite(a)) != 0;
    if (vr_is_monte_carlo(mode)) {
        const double x = vr_root(vr_operand_f32(mode, t, a, word, 1));
        return vr_monte_carlo_f32(mode, t, s, e, x, regular, word);
    }
    return vr_finish_f32(mode, t, s, e, regular, word);
}

VR_ROUNDING_INLINE float vr_core_fma_f32(vr_rounding_mode mode, int t, float a, float b, float c, uint32_t word)
{
    const double p = (double)a * b; /* exact */
    const vr_exact wide = vr_two_sum(p, c);
    const bool regular = vr_is_finite(wide.s) != 0, is_minus = (mode == VR_ROUND_DOWN) & (wide.s == 0) & (wide.e == 0) &
                                                               ((vr_bits_f64(p) ^ vr_bits_f64(c)) >> 63 != 0);
    const float s = is_minus ? -0.0f : (float)vr_round_odd(wide);
    const double e = (wide.s - s) + wide.e;
    if (vr_is_monte_carlo(mode)) {
        const double x = vr_operand_f32(mode, t, a, word, 1), y = vr_operand_f32(mode, t, b, word, 2);
        const double z = vr_operand_f32(mode, t, c, word, 3);
        return vr_monte_carlo_f32(mode, t, s, e, vr_product(x, y) + z, regular, word);
    }
    return vr_finish_f32(mode, t, s, e, regular, word);
}

/* ---- f64 ---- */

#define VR_T_F64 53

/* 2^-900 <= |x| < 2^990: no error term of it underflows, nothing computed with it overflows. */
VR_ROUNDING_PART int vr_is_middle(double x)
{
    const uint64_t size = vr_bits_f64(x) & INT64_MAX, low = UINT64_C(123) << 52, high = UINT64_C(2013) << 52;
    return size - low < high - low;
}

/* |x| < 2^990: its Dekker product does not overflow. */
VR_ROUNDING_PART int vr_is_split(double x)
{
    return (vr_bits_f64(x) & INT64_MAX) < UINT64_C(2013) << 52;
}

/* Zero, where nothing needs to be known but that it is exact. */
VR_ROUNDING_PART int vr_is_plain_zero(vr_rounding_mode mode, double s)
{
    return (s == 0) & (mode != VR_ROUND_UD) & (mode != VR_ROUND_DOWN);
}

/* r = s + e in the middle of the range, or exactly zero, to full precision. */
VR_ROUNDING_PART double vr_choose_f64(vr_rounding_mode mode, vr_exact r, uint64_t word)
{
    const uint64_t bits = vr_bits_f64(r.s);
    if (mode == VR_ROUND_UD)
        return vr_value_f64(bits + (word >> 63) * 2 - 1);
    const uint64_t inward = (bits ^ vr_bits_f64(r.e)) >> 63, exponent = UINT64_C(0x7ff) << 52;
    bool move;
    if (mode == VR_ROUND_SR) {
        const double per_gap = vr_value_f64((UINT64_C(2098) << 52) - ((bits - inward) & exponent));
        const double draw = vr_value_f64(word >> 12 | UINT64_C(1023) << 52) - (1 - VR_2_M52);
        move = draw <= __builtin_fabs(r.e) * per_gap;
    } else if (mode == VR_ROUND_UP)
        move = r.e > 0;
    else if (mode == VR_ROUND_DOWN)
        move = r.e < 0;
    else
        move = (inward != 0) & (__builtin_fabs(r.e) > 0);
    return vr_value_f64(move ? bits + 1 - 2 * inward : bits);
}

/* Whether an f64 operation has its result from its s and e alone. */
VR_ROUNDING_PART bool vr_is_full_f64(vr_rounding_mode mode, int t)
{
    return mode < VR_ROUND_RR && (t <= 0 || t >= VR_T_F64);
}

VR_ROUNDING_INLINE double vr_core_add_f64(vr_rounding_mode mode, int t, double a, double b, uint64_t word)
{
    const vr_exact r = vr_two_sum(a, b);
    if (mode == VR_ROUND_NEAREST && vr_is_full_f64(mode, t))
        return r.s;
    if (vr_is_full_f64(mode, t) && (vr_is_middle(r.s) | vr_is_plain_zero(mode, r.s)))
        return vr_choose_f64(mode, r, word);
    return vr_core_wide_f64(mode, VR_ADD, t, a, b, 0, word);
}

VR_ROUNDING_INLINE double vr_core_sub_f64(vr_rounding_mode mode, int t, double a, double b, uint64_t word)
{
    const vr_exact r = vr_two_sum(a, -b);
    if (mode == VR_ROUND_NEAREST && vr_is_full_f64(mode, t))
        return a - b;
    if (vr_is_full_f64(mode, t) && (vr_is_middle(r.s) | vr_is_plain_zero(mode, r.s)))
        return vr_choose_f64(mode, r, word);
    return vr_core_wide_f64(mode, VR_SUB, t, a, b, 0, word);
}

VR_ROUNDING_INLINE double vr_core_mul_f64(vr_rounding_mode mode, int t, double a, double b, uint64_t word)
{
    vr_exact r;
    r.s = a * b;
    if (mode == VR_ROUND_NEAREST && vr_is_full_f64(mode, t))
        return r.s;
    r.e = vr_product_error(a, b, r.s);
    const bool small = VR_HAS_FMA | (vr_is_split(a) & vr_is_split(b));
    const bool zero = vr_is_plain_zero(mode, r.s) & ((a == 0) | (b == 0));
    if (vr_is_full_f64(mode, t) && small & (vr_is_middle(r.s) | zero))
        return vr_choose_f64(mode, r, word);
    return vr_core_wide_f64(mode, VR_MUL, t, a, b, 0, word);
}

/* a - x y for x y near a, exactly. */
VR_ROUNDING_PART double vr_remainder_f64(double a, double x, double y)
{
#if VR_HAS_FMA
    return __builtin_fma(-x, y, a);
#else
    const double p = x * y;
    return (a - p) - vr_product_error(x, y, p);
#endif
}

VR_ROUNDING_INLINE double vr_core_div_f64(vr_rounding_mode mode, int t, double a, double b, uint64_t word)
{
    vr_exact r;
    r.s = a / b;
    if (mode == VR_ROUND_NEAREST && vr_is_full_f64(mode, t))
        return r.s;
    r.e = vr_remainder_f64(a, r.s, b) / b;
    const bool zero = vr_is_plain_zero(mode, r.s) & (a == 0);
    if (vr_is_full_f64(mode, t) && vr_is_middle(b) & (zero | (vr_is_middle(a) & vr_is_middle(r.s))))
        return vr_choose_f64(mode, r, word);
    return vr_core_wide_f64(mode, VR_DIV, t, a, b, 0, word);
}

VR_ROUNDING_INLINE double vr_core_sqrt_f64(vr_rounding_mode mode, int t, double a, uint64_t word)
{
    vr_exact r;
    r.s = vr_root(a);
    if (mode == VR_ROUND_NEAREST && vr_is_full_f64(mode, t))
        return r.s;
    r.e = vr_remainder_f64(a, r.s, r.s) / (2 * r.s);
    if (vr_is_full_f64(mode, t) && ((vr_is_middle(a) & (a > 0)) | vr_is_plain_zero(mode, a)))
        return vr_choose_f64(mode, r, word);
    return vr_core_wide_f64(mode, VR_SQRT, t, a, 0, 0, word);
}

/* a b + c for p = RN(a b) and e_p = a b - p: s and the error of fma (Boldo and Muller 2011, ErrFma). */
VR_ROUNDING_PART vr_exact vr_fma_error(double a, double b, double c, double p, double e_p)
{
    const vr_exact low = vr_two_sum(c, e_p), high = vr_two_sum(p, low.s);
    vr_exact r;
#if VR_HAS_FMA
    r.s = __builtin_fma(a, b, c);
#else
    (void)a, (void)b;
    r.s = p == 0 ? p + c : high.s + vr_round_odd(vr_two_sum(high.e, low.e)); /* a zero's sign */
#endif
    r.e = ((high.s - r.s) + high.e) + low.e;
    return r;
}

VR_ROUNDING_INLINE double vr_core_fma_f64(vr_rounding_mode mode, int t, double a, double b, double c, uint64_t word)
{
    const double p = vr_product(a, b);
    const bool fine = vr_is_split(a) & vr_is_split(b) & vr_is_split(c) & (vr_is_middle(p) | (a == 0) | (b == 0));
    const vr_exact r = vr_fma_error(a, b, c, p, vr_product_error(a, b, p));
    if (vr_is_full_f64(mode, t) && fine & (vr_is_middle(r.s) | ((p == 0) & vr_is_plain_zero(mode, r.s))))
        return mode == VR_ROUND_NEAREST ? r.s : vr_choose_f64(mode, r, word);
    return vr_core_wide_f64(mode, VR_FMA, t, a, b, c, word);
}

/* ---- any operation ---- */

VR_ROUNDING_PART float vr_core_f32(vr_rounding_mode mode, vr_operation op, int t, float a, float b, float c,
                                   uint32_t word)
{
    switch (op) {
    case VR_ADD:
        return vr_core_add_f32(mode, t, a, b, word);
    case VR_SUB:
        return vr_core_sub_f32(mode, t, a, b, word);
    case VR_MUL:
        return vr_core_mul_f32(mode, t, a, b, word);
    case VR_DIV:
        return vr_core_div_f32(mode, t, a, b, word);
    case VR_SQRT:
        return vr_core_sqrt_f32(mode, t, a, word);
    default:
        return vr_core_fma_f32(mode, t, a, b, c, word);
    }
}

VR_ROUNDING_PART double vr_core_f64(vr_rounding_mode mode, vr_operation op, int t, double a, double b, double c,
                                    uint64_t word)
{
    switch (op) {
    case VR_ADD:
        return vr_core_add_f64(mode, t, a, b, word);
    case VR_SUB:
        return vr_core_sub_f64(mode, t, a, b, word);
    case VR_MUL:
        return vr_core_mul_f64(mode, t, a, b, word);
    case VR_DIV:
        return vr_core_div_f64(mode, t, a, b, word);
    case VR_SQRT:
        return vr_core_sqrt_f64(mode, t, a, word);
    default:
        return vr_core_fma_f64(mode, t, a, b, c, word);
    }
}

#endif
