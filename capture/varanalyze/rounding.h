/* rounding.h - arithmetic that rounds as it is told: to nearest, stochastically, up or down at random, directed, or
 * with Monte Carlo arithmetic's noise; for f32 and f64, and from f32 to bf16, f16 and the two f8 formats.
 *
 *     vr_rounding r = {.mode = VR_ROUND_SR, .key = vr_derive_seed(seed, "rounding")};
 *     vr_stream bits = vr_stream_at(r.key, 0);
 *     float s = vr_round_add_f32(&r, &bits, a, b);           // one operation
 *     vr_sr_add_f32(a, b, out, n, &bits);                    // n of them, vector code
 *
 * With r = x op y exactly, lo <= r <= hi its neighbours in the type (at precision t: among the numbers of t bits, whose
 * exponents are the type's):
 *
 *     nearest       the nearer of the two, ties to even
 *     sr            hi with probability (r - lo)/(hi - lo), else lo (Fasi and Mikaitis, 2021): unbiased; exact r never
 *                   moves. The probability of leaving the nearer of the two is rounded down to a multiple of 2^-31
 *                   (f32) or 2^-52 (f64)
 *     ud            the nearest, moved to the next number away from zero or toward it, with probability 1/2 each;
 *                   exact results too
 *     up            hi
 *     down          lo
 *     zero          the one nearer zero
 *     rr, pb, mca   Monte Carlo arithmetic (Parker 1997; Verificarlo): inexact(x) = x + 2^(e - t + 1) xi, where e =
 *                   floor(log2|x|), xi uniform in (-1/2, 1/2). rr: inexact(r) unless r is a number of t bits; pb: r
 *                   of inexact operands; mca: both, and exact r too. Rounded to nearest in the type (24 or 53 bits).
 *                   NaN, Inf and zeros take no noise. f32 is computed in f64, f64 in pairs of doubles
 *
 * Special values, in every mode:
 *
 *     NaN, Inf      operands that are NaN or Inf, x / 0 and the root of a negative number give what the plain operation
 *                   gives, payload and all
 *     zero          an exact zero has the sign that IEEE 754 gives it: in mode down, x - x is -0, else +0. What is
 *                   rounded to zero keeps the sign of r. ud of a zero, whatever its sign, is the least subnormal,
 *                   plus or minus
 *     subnormal     a grid as any other: its quantum is 2^-149 or 2^-1074, and sr has the right probability there too
 *     overflow      r whose nearest number is Inf is Inf in nearest, sr and ud; in rr, pb and mca it is so with its
 *                   noise; directed toward zero it is the largest finite number (of t bits). Where the nearest is the
 *                   largest finite number and r lies beyond it, sr gives Inf with the probability of the number that
 *                   would come next; ud always steps inward
 *
 * ud moves exact results as well: a program that relies on exact operations (integers kept in floats, a random number
 * generator in floating point) breaks under it.
 *
 * Random bits. A stream's word i depends on the stream's key and on i alone, so that any part of it may be drawn by any
 * thread; an f32 operation takes one word of 32 bits, an f64 operation one of 64 (of a sequence of its own: the same
 * position gives other bits). Operands: the word is a hash of key, operation and the operands' bits, so that the same
 * operation on the same operands rounds the same way, in whatever order and by whatever thread it is done; a + b and
 * b + a take the same word, as do products, and a - b takes that of a + (-b). Neither is for cryptography.
 *
 * All is computed in the default floating-point environment: the array functions enter it, whatever the caller's; the
 * scalar ones take it as given (to nearest, no flush to zero). Every instruction set gives the same bits, and so do
 * scalar and array functions (NaN payloads of two NaN operands excepted, where a compiler may exchange them). Programs
 * compiled with -ffast-math, or a part of it, get the functions from the library, where that option cannot reach them;
 * but one that is linked with it starts with subnormals flushed to zero (gcc), which scalar functions take as given.
 */
#ifndef VARANALYZE_ROUNDING_H
#define VARANALYZE_ROUNDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <varanalyze/dtype.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum vr_rounding_mode {
    VR_ROUND_NEAREST,
    VR_ROUND_SR,
    VR_ROUND_UD,
    VR_ROUND_UP,
    VR_ROUND_DOWN,
    VR_ROUND_ZERO,
    VR_ROUND_RR,
    VR_ROUND_PB,
    VR_ROUND_MCA,
} vr_rounding_mode;

#define VR_ROUND_MODES 9

typedef enum vr_operation { VR_ADD, VR_SUB, VR_MUL, VR_DIV, VR_SQRT, VR_FMA } vr_operation;

#define VR_OPERATIONS 6

typedef struct vr_rounding {
    vr_rounding_mode mode;
    uint8_t precision; /* t: bits kept, the leading one too; 0, and what is above the type's own: the type's (24, 53) */
    bool operands;     /* random bits from the operands and the key, not from a stream */
    uint64_t key;      /* of the operands' hash */
} vr_rounding;

/* A stream of random words, and the position of the next one. */
typedef struct vr_stream {
    uint64_t key, position;
} vr_stream;

/* "nearest", "sr", "ud", "up", "down", "zero", "rr", "pb", "mca"; "?" for none of them. Static storage. */
VR_API const char *vr_rounding_name(vr_rounding_mode mode);

/* The mode of that name. Fails with VR_ERROR_ARGUMENT. */
VR_API vr_status vr_rounding_parse(vr_rounding_mode *out, const char *name);

/* Whether a mode draws random bits: all but nearest, up, down and zero. */
VR_API bool vr_rounding_is_random(vr_rounding_mode mode);

/* One operation. Modes that are not random leave the stream as it is; so does r->operands, and `stream` may then be
 * NULL. Else the position moves on by one. fma is a * b + c, rounded once. */
VR_API float vr_round_add_f32(const vr_rounding *r, vr_stream *stream, float a, float b);
VR_API float vr_round_sub_f32(const vr_rounding *r, vr_stream *stream, float a, float b);
VR_API float vr_round_mul_f32(const vr_rounding *r, vr_stream *stream, float a, float b);
VR_API float vr_round_div_f32(const vr_rounding *r, vr_stream *stream, float a, float b);
VR_API float vr_round_sqrt_f32(const vr_rounding *r, vr_stream *stream, float a);
VR_API float vr_round_fma_f32(const vr_rounding *r, vr_stream *stream, float a, float b, float c);
VR_API double vr_round_add_f64(const vr_rounding *r, vr_stream *stream, double a, double b);
VR_API double vr_round_sub_f64(const vr_rounding *r, vr_stream *stream, double a, double b);
VR_API double vr_round_mul_f64(const vr_rounding *r, vr_stream *stream, double a, double b);
VR_API double vr_round_div_f64(const vr_rounding *r, vr_stream *stream, double a, double b);
VR_API double vr_round_sqrt_f64(const vr_rounding *r, vr_stream *stream, double a);
VR_API double vr_round_fma_f64(const vr_rounding *r, vr_stream *stream, double a, double b, double c);

/* The random words. Stream (key): word `position`, of 32 bits for an f32 operation and of 64 for an f64 one. */
VR_API uint32_t vr_stream_word(uint64_t key, uint64_t position);
VR_API uint64_t vr_stream_word64(uint64_t key, uint64_t position);

/* Substream `index` of a key, at its beginning; different indices of a key are different streams. */
VR_API vr_stream vr_stream_at(uint64_t key, uint64_t index);

/* The word of an operation on given operands; b and c are ignored where the operation has none. */
VR_API uint32_t vr_operand_word_f32(vr_operation op, float a, float b, float c, uint64_t key);
VR_API uint64_t vr_operand_word_f64(vr_operation op, double a, double b, double c, uint64_t key);

/* The same operations with the random word given: the definition that everything else is held to. t: the precision, 0
 * for the type's own. Inlined, so that a constant mode and precision fold. */
VR_API float vr_core_add_f32(vr_rounding_mode mode, int t, float a, float b, uint32_t word);
VR_API float vr_core_sub_f32(vr_rounding_mode mode, int t, float a, float b, uint32_t word);
VR_API float vr_core_mul_f32(vr_rounding_mode mode, int t, float a, float b, uint32_t word);
VR_API float vr_core_div_f32(vr_rounding_mode mode, int t, float a, float b, uint32_t word);
VR_API float vr_core_sqrt_f32(vr_rounding_mode mode, int t, float a, uint32_t word);
VR_API float vr_core_fma_f32(vr_rounding_mode mode, int t, float a, float b, float c, uint32_t word);
VR_API double vr_core_add_f64(vr_rounding_mode mode, int t, double a, double b, uint64_t word);
VR_API double vr_core_sub_f64(vr_rounding_mode mode, int t, double a, double b, uint64_t word);
VR_API double vr_core_mul_f64(vr_rounding_mode mode, int t, double a, double b, uint64_t word);
VR_API double vr_core_div_f64(vr_rounding_mode mode, int t, double a, double b, uint64_t word);
VR_API double vr_core_sqrt_f64(vr_rounding_mode mode, int t, double a, uint64_t word);
VR_API double vr_core_fma_f64(vr_rounding_mode mode, int t, double a, double b, double c, uint64_t word);

/* Any f64 operation, mode and precision, and any operands: what the f64 functions above call where the result or an
 * error term would come near the ends of the range, for less than 53 bits, and for Monte Carlo arithmetic. */
VR_API double vr_core_wide_f64(vr_rounding_mode mode, vr_operation op, int t, double a, double b, double c,
                               uint64_t word);

/* The code of x in VR_BF16, VR_F16, VR_F8E4M3 or VR_F8E5M2: as vr_from_f32 gives it, and by sr (see vr_sr_from_f32).
 * The probability is exact where no more than 32 bits are dropped, else rounded down to a multiple of 2^-32. */
VR_API uint32_t vr_nearest_narrow_f32(vr_dtype to, float x);
VR_API uint32_t vr_sr_narrow_f32(vr_dtype to, float x, uint32_t word);

/* The word of such a conversion, from its operand. */
VR_API uint32_t vr_narrow_word_f32(vr_dtype to, float x, uint64_t key);

#ifdef __cplusplus
}
#endif

#include <varanalyze/rounding_arrays.h>

#if !defined(VR_ROUNDING_CALLS) &&                                                                                     \
    (defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) ||                        \
     defined(__NO_SIGNED_ZEROS__) || defined(__ROUNDING_MATH__) || (__FINITE_MATH_ONLY__ + 0) || !defined(__GNUC__) || \
     (__FLT_EVAL_METHOD__ + 0))
#define VR_ROUNDING_CALLS /* arithmetic is not what is written: nothing is inlined */
#endif
#ifndef VR_ROUNDING_CALLS
#if defined(__clang__) && defined(__x86_64__) && !defined(VR_ROUNDING_STRICT)
#define VR_ROUNDING_PRECISE /* the options that -ffast-math is made of have no macros there */
#pragma float_control(precise, on, push)
#endif
#include <varanalyze/rounding_words.h>

#include <varanalyze/rounding_core.h>

#include <varanalyze/rounding_narrow.h>

#include <varanalyze/rounding_user.h>
#ifdef VR_ROUNDING_PRECISE
#pragma float_control(pop)
#endif
#endif

#endif
