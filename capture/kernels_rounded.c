/* kernels_rounded.c - the sums of kernels_inner.c with every product and sum rounded as it is told, compiled for each
 * instruction set (VR_ISA) and element type.
 *
 * The loops are those over the lanes of one term; modes that are common are constants in them, so that they become
 * vector code. The definition of every operation is that of rounding.h.
 */
#include "kernels_isa.h"

enum { MOST_LANES = 64 };

_Static_assert(TILE_COLUMNS <= (int)MOST_LANES && (int)LANES <= (int)MOST_LANES, "a row of a tile is one row of lanes");

/* What the operations of a loop have in common; all but key are constants in the common cases. */
typedef struct arithmetic {
    vr_rounding_mode mode;
    int t;
    bool operands;
    uint64_t key;
} arithmetic;

/* Lanes that share the keys of rounding_words.h: their positions differ in the lower half only. */
INLINE bool are_near(uint64_t position, uint64_t lane, int n)
{
    const uint64_t last = position + lane * (uint64_t)(n - 1);
    return (position << (VR_REAL_BITS / 64)) >> 32 == (last << (VR_REAL_BITS / 64)) >> 32 && last >= position;
}

/* The words at position + lane j. */
INLINE void fill_words(bits_t *words, uint64_t key, uint64_t position, uint64_t lane, int n)
{
#if VR_REAL_BITS == 32
    const uint64_t keys = vr_block_keys(key, position);
    if (are_near(position, lane, n))
        for (int j = 0; j < n; j++)
            words[j] = vr_mix32(((uint32_t)position + (uint32_t)lane * (uint32_t)j) * VR_WORD_STEP + (uint32_t)keys,
                                (uint32_t)(keys >> 32));
    else
        for (int j = 0; j < n; j++)
            words[j] = vr_stream_word(key, position + lane * (uint64_t)j);
#else
    const uint64_t keys = vr_block_keys64(key, position);
    const uint32_t first = (uint32_t)(position << 1) * VR_WORD_STEP + (uint32_t)keys;
    if (are_near(position, lane, n))
        for (int j = 0; j < n; j++) {
            const uint32_t x = first + 2 * (uint32_t)lane * (uint32_t)j * VR_WORD_STEP;
            const uint64_t low = vr_mix32(x, (uint32_t)(keys >> 32));
            words[j] = low | (uint64_t)vr_mix32(x + VR_WORD_STEP, (uint32_t)(keys >> 32)) << 32;
        }
    else
        for (int j = 0; j < n; j++)
            words[j] = vr_stream_word64(key, position + lane * (uint64_t)j);
#endif
}

INLINE bits_t word_of(const arithmetic *how, vr_operation op, real a, real b, const bits_t *words, int j)
{
    return how->operands ? NAME(vr_operand_word)(op, a, b, 0, how->key) : words[j];
}

/* out[j] = a[j a_step] b[j] or a[j] + b[j], one by one. */
INLINE void each_product(real *out, const real *a, int a_step, const real *b, int n, const arithmetic *how,
                         const bits_t *words)
{
    for (int j = 0; j < n; j++) {
        const bits_t word = word_of(how, VR_MUL, a[j * a_step], b[j], words, j);
        out[j] = NAME(vr_core_mul)(how->mode, how->t, a[j * a_step], b[j], word);
    }
}

INLINE void each_sum(real *out, const real *a, const real *b, int n, const arithmetic *how, const bits_t *words)
{
    for (int j = 0; j < n; j++)
        out[j] = NAME(vr_core_add)(how->mode, how->t, a[j], b[j], word_of(how, VR_ADD, a[j], b[j], words, j));
}

#if VR_REAL_BITS == 32
/* s + e stochastically rounded, as vr_choose does it in double, for 2^-63 <= |s| < 2^124 or s + e = 0; else `outside`
 * is set. With x = |e| 2^31 / gap and k the upper 31 bits of the word: (k + 1) 2^-31 <= |e| / gap iff k < floor(x). */
INLINE float moved(float s, float e, uint32_t word, uint32_t *outside)
{
    const uint32_t bits = vr_bits_f32(s), size = bits & INT32_MAX, inward = (bits ^ vr_bits_f32(e)) >> 31;
    const uint32_t exponent = (bits - inward) & UINT32_C(0x7f800000); /* of the gap, but for 150 */
    const float x = __builtin_fabsf(e) * vr_value_f32((UINT32_C(308) << 23) - exponent);
    const int32_t limit = (int32_t)(x < 0x1p31f ? x : 0);
    *outside |= (size - (UINT32_C(64) << 23) >= UINT32_C(187) << 23) & (size != 0);
    return vr_value_f32(bits + ((int32_t)(word >> 1) < limit ? 1 - 2 * inward : 0));
}

/* All lanes as if they were in the middle of the range; all again where one is not. */
INLINE void products(float *out, const float *a, int a_step, const float *b, int n, const arithmetic *how,
                     const bits_t *words)
{
    uint32_t outside = how->mode != VR_ROUND_SR || how->t != 0;
    for (int j = 0; j < n && how->mode == VR_ROUND_SR && !how->t; j++) {
        const float x = a[j * a_step], y = b[j], s = x * y;
#if VR_HAS_FMA
        const float e = __builtin_fmaf(x, y, -s);
#else
        const float e = (float)((double)x * (double)y - (double)s);
#endif
        outside |= (s == 0) & (x != 0) & (y != 0);
        out[j] = moved(s, e, word_of(how, VR_MUL, x, y, words, j), &outside);
    }
    if (outside)
        each_product(out, a, a_step, b, n, how, words);
}

INLINE void sums(float *out, const float *a, const float *b, int n, const arithmetic *how, const bits_t *words)
{
    float total[MOST_LANES]; /* out may be a */
    uint32_t outside = how->mode != VR_ROUND_SR || how->t != 0;
    for (int j = 0; j < n && how->mode == VR_ROUND_SR && !how->t; j++) {
        const float s = a[j] + b[j], t = s - a[j], e = (a[j] - (s - t)) + (b[j] - t);
        total[j] = moved(s, e, word_of(how, VR_ADD, a[j], b[j], words, j), &outside);
    }
    if (outside)
        each_sum(out, a, b, n, how, words);
    else
        memcpy(out, total, (size_t)n * sizeof *out);
}
#else
/* All lanes as if they were in the middle of the range (rounding_core.h); all again where one is not. */
INLINE void products(double *out, const double *a, int a_step, const double *b, int n, const arithmetic *how,
                     const bits_t *words)
{
    uint64_t outside = how->t != 0;
    for (int j = 0; j < n && !how->t; j++) {
        const double x = a[j * a_step], y = b[j], s = x * y;
        const vr_exact r = {s, vr_product_error(x, y, s)};
        const bool small = VR_HAS_FMA | ((__builtin_fabs(x) < 0x1p990) & (__builtin_fabs(y) < 0x1p990));
        const bool zero = vr_is_plain_zero(how->mode, s) & ((x == 0) | (y == 0));
        outside |= !(small & (vr_is_middle(s) | zero));
        out[j] = vr_choose_f64(how->mode, r, word_of(how, VR_MUL, x, y, words, j));
    }
    if (outside)
        each_product(out, a, a_step, b, n, how, words);
}

INLINE void sums(double *out, const double *a, const double *b, int n, const arithmetic *how, const bits_t *words)
{
    double total[MOST_LANES]; /* out may be a */
    uint64_t outside = how->t != 0;
    for (int j = 0; j < n && !how->t; j++) {
        const vr_exact r = vr_two_sum(a[j], b[j]);
        outside |= !(vr_is_middle(r.s) | vr_is_plain_zero(how->mode, r.s));
        total[j] = vr_choose_f64(how->mode, r, word_of(how, VR_ADD, a[j], b[j], words, j));
    }
    if (outside)
        each_sum(out, a, b, n, how, words);
    else
        memcpy(out, total, (size_t)n * sizeof *out);
}
#endif

/* s[j] += a[j a_step] b[j], or = for the first term; b NULL: no product. */
INLINE void add_term(real *s, const real *a, int a_step, const real *b, int n, bool first, const arithmetic *how,
                     uint64_t position, const places *at)
{
    bits_t words[MOST_LANES];
    real product[MOST_LANES];
    if (b) {
        if (!how->operands)
            fill_words(words, how->key, position, at->lane, n);
        products(first ? s : product, a, a_step, b, n, how, words);
    } else if (first) {
        memcpy(s, a, (size_t)n * sizeof *s);
    }
    if (first)
        return;
    if (!how->operands)
        fill_words(words, how->key, position + at->sum, at->lane, n);
    sums(s, s, b ? product : a, n, how, words);
}

INLINE void tile_with(real *out, const real *a, const real *b, int64_t terms, arithmetic how, const places *at)
{
    for (int r = 0; r < TILE_ROWS; r++)
        for (int64_t k = 0; k < terms; k++)
            add_term(out + r * TILE_COLUMNS, a + r * STRIDE + k, 0, b + k * TILE_COLUMNS, TILE_COLUMNS, k == 0, &how,
                     at->position + (uint64_t)r * at->row + (uint64_t)k * at->term, at);
}

INLINE void columns_with(real *out, const real *a, const real *b, int64_t stride, const uint32_t *order, int64_t terms,
                         int64_t n, arithmetic how, const places *at)
{
    for (int64_t c = 0; c < n; c += MOST_LANES) {
        const int width = n - c < MOST_LANES ? (int)(n - c) : MOST_LANES;
        for (int64_t k = 0; k < terms; k++) {
            const int64_t row = (order ? order[k] : k) * stride + c;
            add_term(out + c, a + row, 1, b ? b + row : NULL, width, k == 0, &how,
                     at->position + (uint64_t)c * at->lane + (uint64_t)k * at->term, at);
        }
    }
}

/* CALL(arithmetic) with constants in it where they are common. f32 in any mode that is not Monte Carlo arithmetic would
 * be vector code; these are worth their size. */
#define WITH_CONSTANTS(how, CALL)                                                                                      \
    do {                                                                                                               \
        const bool full = (how)->precision == 0 || (how)->precision >= SIGNIFICAND;                                    \
        if (full && (how)->mode == VR_ROUND_SR && !(how)->operands)                                                    \
            CALL(((arithmetic){VR_ROUND_SR, 0, false, (how)->key}));                                                   \
        else if (full && (how)->mode == VR_ROUND_SR)                                                                   \
            CALL(((arithmetic){VR_ROUND_SR, 0, true, (how)->key}));                                                    \
        else if (full && (how)->mode == VR_ROUND_UD && !(how)->operands)                                               \
            CALL(((arithmetic){VR_ROUND_UD, 0, false, (how)->key}));                                                   \
        else if (full && (how)->mode == VR_ROUND_UD)                                                                   \
            CALL(((arithmetic){VR_ROUND_UD, 0, true, (how)->key}));                                                    \
        else                                                                                                           \
            CALL(((arithmetic){(how)->mode, (how)->precision ? (how)->precision : SIGNIFICAND, (how)->operands,        \
                               (how)->key}));                                                                          \
    } while (0)

void KERNEL(tile_rounded)(real *out, const real *a, const real *b, int64_t terms, const vr_rounding *how,
                          const places *at)
{
#define CALL(constants) tile_with(out, a, b, terms, constants, at)
    WITH_CONSTANTS(how, CALL);
#undef CALL
}

void KERNEL(columns_rounded)(real *out, const real *a, const real *b, int64_t stride, const uint32_t *order,
                             int64_t terms, int64_t n, const vr_rounding *how, const places *at)
{
#define PRODUCTS(constants) columns_with(out, a, b, stride, order, terms, n, constants, at)
#define SUMS(constants)     columns_with(out, a, NULL, stride, order, terms, n, constants, at)
    if (b)
        WITH_CONSTANTS(how, PRODUCTS);
    else
        WITH_CONSTANTS(how, SUMS);
#undef PRODUCTS
#undef SUMS
}
