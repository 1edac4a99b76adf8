/* rounding_kernel.c - arrays of rounded operations, compiled once for each instruction set (VR_ISA). What each lane
 * gets is defined by the functions of rounding.h, which also redo a vector in which any lane is out of the ordinary.
 */
#define VR_ROUNDING_STRICT
#include "rounding_kernel.h"
#include "rounding_vector.h"

#define KERNELS_(isa) vr_rounding_kernels_##isa
#define KERNELS(isa)  KERNELS_(isa)
#define NAME_(isa)    #isa
#define NAME(isa)     NAME_(isa)

#define BLOCK    256 /* elements with words of their own on the stack */
#define NOINLINE static __attribute__((noinline))

extern const vr_rounding_kernels KERNELS(VR_ISA);

/* ---- random words ---- */

INLINE u32v mix32(u32v x, uint32_t key)
{
    x = (x ^ x >> 16) * UINT32_C(0x7feb352d);
    x = (x ^ key ^ x >> 15) * UINT32_C(0x846ca68b);
    return x ^ x >> 16;
}

/* The words of a stream within a block of 2^32, in steps of one vector: x is the counters' affine image. */
typedef struct counter {
    u32v x;
    uint32_t key;
} counter;

INLINE counter counter_at(uint64_t keys, uint32_t position)
{
    uint32_t x[LANES32];
    for (uint32_t lane = 0; lane < LANES32; lane++)
        x[lane] = (position + lane) * VR_WORD_STEP + (uint32_t)keys;
    return (counter){load(x), (uint32_t)(keys >> 32)};
}

INLINE u32v next_words(counter *c)
{
    const u32v words = mix32(c->x, c->key);
    c->x += LANES32 * VR_WORD_STEP;
    return words;
}

INLINE u32v share32(u32v x)
{
    x *= UINT32_C(0x21f0aaad);
    return x ^ x >> 15;
}

INLINE u64v share64(u64v x)
{
    x *= UINT64_C(0xe9846af9b1a615d);
    return x ^ x >> 29;
}

INLINE u32v pair32(u32v x, u32v y)
{
    const u32v sum = x + y;
    return x * y + (sum << 16 | sum >> 16);
}

INLINE u64v pair64(u64v x, u64v y)
{
    const u64v sum = x + y;
    return x * y + (sum << 32 | sum >> 32);
}

/* Of an addition, subtraction or multiplication. */
INLINE u32v operand_words32(vr_operation op, u32v a, u32v b, uint64_t keys)
{
    u32v x = pair32(share32(a), share32(op == VR_SUB ? b ^ SIGN32 : b));
    x = (x + (uint32_t)keys) * UINT32_C(0x7feb352d);
    x = (x ^ (uint32_t)(keys >> 32) ^ x >> 15) * UINT32_C(0x846ca68b);
    return x ^ x >> 16;
}

INLINE u64v operands64(vr_operation op, u64v a, u64v b, u64v c)
{
    const u64v x = share64(a), y = share64(op == VR_SUB ? b ^ SIGN64 : b), z = share64(c);
    if (op == VR_SQRT)
        return x ^ x >> 32;
    if (op == VR_DIV)
        return pair64(x, y << 27 | y >> 37);
    return op == VR_FMA ? pair64(pair64(x, y), z << 27 | z >> 37) : pair64(x, y);
}

INLINE u64v operand_words64(vr_operation op, u64v a, u64v b, u64v c, uint64_t keys)
{
    u64v x = (operands64(op, a, b, c) + keys) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ vr_rotate64(keys, 32) ^ x >> 29) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 32;
}

/* ---- f32, element by element as rounding.h has it, which compilers make 64-bit vectors of ---- */

INLINE void stream_words32(uint32_t words[BLOCK], uint64_t key, uint64_t position)
{
    counter c = counter_at(vr_block_keys(key, position), (uint32_t)position);
    for (size_t i = 0; i < BLOCK; i += LANES32)
        store(words + i, next_words(&c));
}

INLINE void plain32(const vr_rounding_call *call, vr_operation op, vr_rounding_mode mode, int t, bool operands)
{
    uint32_t words[BLOCK];
    float out[BLOCK];
    for (size_t begin = 0; begin < call->n; begin += BLOCK) {
        const size_t n = call->n - begin < BLOCK ? call->n - begin : BLOCK;
        const float *a = (const float *)call->a + begin;
        const float *b = op == VR_SQRT ? a : (const float *)call->b + begin;
        const float *c = op == VR_FMA ? (const float *)call->c + begin : a;
        if (!operands)
            stream_words32(words, call->key, call->position + begin);
        for (size_t i = 0; i < n; i++) {
            const uint32_t word = operands ? vr_operand_word_f32(op, a[i], b[i], c[i], call->key) : words[i];
            out[i] = vr_core_f32(mode, op, t, a[i], b[i], c[i], word);
        }
        memcpy((float *)call->out + begin, out, n * sizeof *out);
    }
}

INLINE void plain32_full(const vr_rounding_call *call, vr_operation op, vr_rounding_mode mode, bool operands)
{
    plain32(call, op, mode, 0, operands);
}

/* Of an addition, subtraction or multiplication. */
NOINLINE void singly32(const vr_rounding_call *call, vr_operation op, size_t begin, size_t n)
{
    const float *a = call->a, *b = call->b;
    float *out = call->out;
    for (size_t i = begin; i < begin + n; i++) {
        const uint32_t word = call->operands ? vr_operand_word_f32(op, a[i], b[i], 0, call->key)
                                             : vr_stream_word(call->key, call->position + i);
        out[i] = vr_core_f32(call->mode, op, 0, a[i], b[i], 0, word);
    }
}

/* ---- f32: addition and multiplication in 32-bit lanes ---- */

typedef struct exact32 {
    f32v s, e;
} exact32;

INLINE exact32 add32(f32v a, f32v b)
{
    const f32v s = a + b, virtual_b = s - a;
    return (exact32){s, (a - (s - virtual_b)) + (b - virtual_b)};
}

/* Not as a sum, which would turn the sign of b where it is NaN. */
INLINE exact32 subtract32(f32v a, f32v b)
{
    const f32v s = a - b, virtual_b = a - s;
    return (exact32){s, (a - (s + virtual_b)) + (virtual_b - b)};
}

INLINE exact32 multiply32(f32v a, f32v b)
{
#if HAS_FMA
    const f32v s = a * b;
    return (exact32){s, fma32(a, b, -s)};
#else
    exact32 r;
    r.s = a * b;
    for (int lane = 0; lane < LANES32; lane++) /* exact, and as a whole what the compiler makes vectors of */
        r.e[lane] = (float)((double)a[lane] * b[lane] - r.s[lane]);
    return r;
#endif
}

/* What vr_finish_f32 does in sr for 2^-101 <= |s| < 2^97, and for less where e is exact. */
INLINE u32v choose_sr32(exact32 r, u32v words)
{
    const u32v s = (u32v)r.s;
    const i32v inward = (i32v)(s ^ (u32v)r.e) >> 31;
    const u32v exponent = (s + (u32v)inward) & UINT32_C(0x7f800000);
    const f32v scale = (f32v)((UINT32_C(254) << 23) - exponent); /* 2^-exponent: 2^54 of 2^(54 - exponent) are in e */
    const f32v moves = r.e * 18014398509481984.0f * scale;
    const i32v least = truncated((f32v)((u32v)moves & ~SIGN32));
    return add_where_less32(s, (u32v)(inward | 1), (i32v)(words >> 1), least);
}

/* What vr_up_or_down_f32 does for |s| below the largest number. */
INLINE u32v choose_ud32(u32v s, u32v words)
{
    const u32v step = (u32v)((i32v)~words >> 31) | 1, from_zero = (~words & SIGN32) | 1;
    return take_where_zero32(s + step, from_zero, s);
}

#define LOW32      (UINT32_C(26) << 23)  /* 2^-101 */
#define HIGH32     (UINT32_C(224) << 23) /* 2^97 */
#define INFINITY32 UINT32_C(0x7f800000)
#define LAST32     UINT32_C(0x7f7fffff)

INLINE bool is_ordinary32(vr_operation op, vr_rounding_mode mode, f32v a, f32v b, f32v s)
{
    const u32v size = (u32v)s & ~SIGN32;
    if (mode == VR_ROUND_UD)
        return !any_beyond32(size, LAST32);
    if (op == VR_MUL)
        return !any_beyond32(keep_nonzero32(size - LOW32, a, b), HIGH32 - LOW32);
    return !any_beyond32(size - INFINITY32, HIGH32 - INFINITY32); /* the error of Inf and NaN is NaN: no move */
}

INLINE bool round32(u32v *out, vr_operation op, vr_rounding_mode mode, f32v a, f32v b, u32v words)
{
    const exact32 r = op == VR_MUL ? multiply32(a, b) : op == VR_SUB ? subtract32(a, b) : add32(a, b);
    *out = mode == VR_ROUND_UD ? choose_ud32((u32v)r.s, words) : choose_sr32(r, words);
    return is_ordinary32(op, mode, a, b, r.s);
}

INLINE u32v words32(vr_operation op, bool operands, u32v a, u32v b, uint64_t keys, counter *c)
{
    if (operands)
        return operand_words32(op, a, b, keys);
    return next_words(c);
}

/* Whole vectors from element i on, up to the end or the first that is out of the ordinary; returns the next element. */
INLINE size_t fast32(const vr_rounding_call *call, vr_operation op, vr_rounding_mode mode, bool operands, size_t i)
{
    const uint64_t keys = operands ? vr_operand_keys(op, call->key) : vr_block_keys(call->key, call->position);
    const float *a = call->a, *b = call->b;
    float *out = call->out;
    counter c = counter_at(keys, (uint32_t)(call->position + i));
    for (; i + LANES32 <= call->n; i += LANES32) {
        const u32v x = load(a + i), y = load(b + i);
        u32v rounded;
        if (!round32(&rounded, op, mode, (f32v)x, (f32v)y, words32(op, operands, x, y, keys, &c)))
            break;
        store(out + i, rounded);
    }
    return i;
}

/* All of it: what is no whole ordinary vector goes through the functions for one element. Called from outside the
 * loop above, in which it would cost the vector registers. */
INLINE void all32(const vr_rounding_call *call, vr_operation op, vr_rounding_mode mode, bool operands)
{
    for (size_t i = 0; (i = fast32(call, op, mode, operands, i)) < call->n;) {
        const size_t left = call->n - i, n = left < LANES32 ? left : LANES32;
        singly32(call, op, i, n);
        i += n;
    }
}

/* ---- f64 ---- */

typedef struct exact64 {
    f64v s, e;
} exact64;

INLINE exact64 add64(f64v a, f64v b)
{
    const f64v s = a + b, virtual_b = s - a;
    return (exact64){s, (a - (s - virtual_b)) + (b - virtual_b)};
}

INLINE exact64 subtract64(f64v a, f64v b)
{
    const f64v s = a - b, virtual_b = a - s;
    return (exact64){s, (a - (s + virtual_b)) + (virtual_b - b)};
}

INLINE f64v product_error64(f64v a, f64v b, f64v p)
{
#if HAS_FMA
    return fma64(a, b, -p);
#else
    const f64v split = (f64v){0} + 134217729, wide_a = split * a, wide_b = split * b;
    const f64v a_high = wide_a - (wide_a - a), a_low = a - a_high;
    const f64v b_high = wide_b - (wide_b - b), b_low = b - b_high;
    return ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low;
#endif
}

INLINE f64v remainder64(f64v a, f64v x, f64v y)
{
#if HAS_FMA
    return fma64(-x, y, a);
#else
    const f64v p = x * y;
    return (a - p) - product_error64(x, y, p);
#endif
}

#if !HAS_FMA
INLINE f64v round_odd64(exact64 r)
{
    const u64v bits = (u64v)r.s, inward = (bits ^ (u64v)r.e) >> 63;
    const u64v inexact = (u64v)(r.e < 0) | (u64v)(r.e > 0);
    return (f64v)(bits + (~bits & 1 & inexact) * (1 - 2 * inward));
}
#endif

INLINE exact64 fma_error64(f64v a, f64v b, f64v c)
{
    const f64v p = a * b;
    const exact64 low = add64(c, product_error64(a, b, p)), high = add64(p, low.s);
#if HAS_FMA
    const f64v s = fma64(a, b, c);
#else
    const u64v sum = (u64v)(high.s + round_odd64(add64(high.e, low.e)));
    const f64v s = (f64v)take_where_zero64(sum, (u64v)(p + c), (u64v)p); /* a zero's sign */
#endif
    return (exact64){s, ((high.s - s) + high.e) + low.e};
}

INLINE exact64 exact_of64(vr_operation op, f64v a, f64v b, f64v c)
{
    exact64 r;
    switch (op) {
    case VR_ADD:
        return add64(a, b);
    case VR_SUB:
        return subtract64(a, b);
    case VR_MUL:
        r.s = a * b;
        r.e = product_error64(a, b, r.s);
        return r;
    case VR_DIV:
        r.s = a / b;
        r.e = remainder64(a, r.s, b) / b;
        return r;
    case VR_SQRT:
        r.s = root64(a);
        r.e = remainder64(a, r.s, r.s) / (2 * r.s);
        return r;
    default:
        return fma_error64(a, b, c);
    }
}

#define LOW64      (UINT64_C(123) << 52)
#define HIGH64     (UINT64_C(2013) << 52)
#define LAST64     (UINT64_C(0x7fefffff) << 32)
#define INFINITY64 (UINT64_C(0x7ff) << 52)

/* |x| < 2^-900 or >= 2^990 in any lane, where both p and q are not 0 */
INLINE bool any_off_middle(f64v x, f64v p, f64v q)
{
    return any_beyond64(keep_nonzero64(((u64v)x & ~SIGN64) - LOW64, p, q), HIGH64 - LOW64);
}

INLINE bool any_large(f64v x)
{
    return any_beyond64((u64v)x & ~SIGN64, HIGH64);
}

/* The conditions of rounding_core.h. */
INLINE bool is_ordinary64(vr_operation op, vr_rounding_mode mode, f64v a, f64v b, f64v c, f64v s)
{
    if (mode == VR_ROUND_UD && op == VR_DIV && any_beyond64((u64v)b & ~SIGN64, INFINITY64))
        return false; /* x / Inf is 0 and stays */
    if (mode == VR_ROUND_UD && (HAS_FMA || op != VR_FMA))
        return !any_beyond64((u64v)s & ~SIGN64, LAST64);
    switch (op) {
    case VR_ADD:
    case VR_SUB:
        return !any_beyond64(keep_finite64(((u64v)s & ~SIGN64) - LOW64, s), HIGH64 - LOW64); /* as for f32 */
    case VR_MUL:
        return (HAS_FMA || !(any_large(a) || any_large(b))) && !any_off_middle(s, a, b);
    case VR_DIV: {
        const f64v one = (f64v){0} + 1;
        return !any_off_middle(b, one, one) && !any_off_middle(a, a, a) && !any_off_middle(s, a, a);
    }
    case VR_SQRT:
        return !any_beyond64(keep_nonzero64((u64v)a - LOW64, a, a), HIGH64 - LOW64);
    default: {
        const f64v p = a * b, either = (f64v)((u64v)p | (u64v)s);
        return !any_large(a) && !any_large(b) && !any_large(c) && !any_off_middle(p, a, b) &&
               !any_off_middle(s, either, either);
    }
    }
}

/* What vr_choose_f64 does. */
INLINE u64v choose_sr64(exact64 r, u64v words)
{
    const u64v s = (u64v)r.s;
    const u64v inward = (u64v)((i64v)(s ^ (u64v)r.e) >> 63);
    const f64v per_gap = (f64v)((UINT64_C(2098) << 52) - ((s + inward) & UINT64_C(0x7ff) << 52));
    const f64v draw = (f64v)(words >> 12 | UINT64_C(1023) << 52) - (1 - 0x1p-52);
    const f64v moves = (f64v)((u64v)(r.e * per_gap) & ~SIGN64);
    return add_where_not_above64(s, inward | 1, draw, moves);
}

INLINE u64v choose_ud64(u64v s, u64v words)
{
    const u64v step = (u64v)((i64v)~words >> 63) | 1, from_zero = (~words & SIGN64) | 1;
    return take_where_zero64(s + step, from_zero, s);
}

INLINE bool round64(u64v *out, vr_operation op, vr_rounding_mode mode, f64v a, f64v b, f64v c, u64v words)
{
    const exact64 r = exact_of64(op, a, b, c);
    *out = mode == VR_ROUND_UD ? choose_ud64((u64v)r.s, words) : choose_sr64(r, words);
    return is_ordinary64(op, mode, a, b, c, r.s);
}

INLINE u64v words64(vr_operation op, bool operands, u64v a, u64v b, u64v c, uint64_t keys, counter *stream)
{
    if (operands)
        return operand_words64(op, a, b, c, keys);
    return (u64v)next_words(stream);
}

/* As fast32. */
INLINE size_t fast64(const vr_rounding_call *call, vr_operation op, vr_rounding_mode mode, bool operands, size_t i)
{
    const uint64_t position = (call->position + i) << 1;
    const uint64_t keys = operands ? vr_operand_keys(op, call->key) : vr_block_keys64(call->key, call->position);
    const double *a = call->a, *b = op == VR_SQRT ? a : call->b, *c = op == VR_FMA ? call->c : a;
    double *out = call->out;
    counter stream = counter_at(keys, (uint32_t)position);
    for (; i + LANES64 <= call->n; i += LANES64) {
        const u64v x = (u64v)load(a + i), y = (u64v)load(b + i), z = (u64v)load(c + i);
        const u64v words = words64(op, operands, x, y, z, keys, &stream);
        u64v rounded;
        if (!round64(&rounded, op, mode, (f64v)x, (f64v)y, (f64v)z, words))
            break;
        store(out + i, (u32v)rounded);
    }
    return i;
}

INLINE void plain64(const vr_rounding_call *call, vr_operation op, int t, size_t begin, size_t n)
{
    const double *a = call->a, *b = op == VR_SQRT ? a : call->b, *c = op == VR_FMA ? call->c : a;
    double *out = call->out;
    for (size_t i = begin; i < begin + n; i++) {
        const uint64_t word = call->operands ? vr_operand_word_f64(op, a[i], b[i], c[i], call->key)
                                             : vr_stream_word64(call->key, call->position + i);
        out[i] = vr_core_f64(call->mode, op, t, a[i], b[i], c[i], word);
    }
}

NOINLINE void singly64(const vr_rounding_call *call, vr_operation op, size_t begin, size_t n)
{
    plain64(call, op, 0, begin, n);
}

INLINE void all64(const vr_rounding_call *call, vr_operation op, vr_rounding_mode mode, bool operands)
{
    for (size_t i = 0; (i = fast64(call, op, mode, operands, i)) < call->n;) {
        const size_t left = call->n - i, n = left < LANES64 ? left : LANES64;
        singly64(call, op, i, n);
        i += n;
    }
}

/* ---- dispatch ---- */

/* One loop for each mode, operation and source of bits. */
#define CASE(run, mode, op)                                                                                            \
    case op:                                                                                                           \
        if (call->operands)                                                                                            \
            run(call, op, mode, true);                                                                                 \
        else                                                                                                           \
            run(call, op, mode, false);                                                                                \
        break

#define DEFINE_MODE(name, mode)                                                                                        \
    NOINLINE void name##32(const vr_rounding_call *call)                                                               \
    {                                                                                                                  \
        switch (call->op) {                                                                                            \
            CASE(all32, mode, VR_ADD);                                                                                 \
            CASE(all32, mode, VR_SUB);                                                                                 \
            CASE(all32, mode, VR_MUL);                                                                                 \
            CASE(plain32_full, mode, VR_DIV);                                                                          \
            CASE(plain32_full, mode, VR_SQRT);                                                                         \
            CASE(plain32_full, mode, VR_FMA);                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    NOINLINE void name##64(const vr_rounding_call *call)                                                               \
    {                                                                                                                  \
        switch (call->op) {                                                                                            \
            CASE(all64, mode, VR_ADD);                                                                                 \
            CASE(all64, mode, VR_SUB);                                                                                 \
            CASE(all64, mode, VR_MUL);                                                                                 \
            CASE(all64, mode, VR_DIV);                                                                                 \
            CASE(all64, mode, VR_SQRT);                                                                                \
            CASE(all64, mode, VR_FMA);                                                                                 \
        }                                                                                                              \
    }

DEFINE_MODE(sr, VR_ROUND_SR)
DEFINE_MODE(ud, VR_ROUND_UD)

static void run32(const vr_rounding_call *call)
{
    if (vr_is_full_f32(call->t) && call->mode == VR_ROUND_SR)
        sr32(call);
    else if (vr_is_full_f32(call->t) && call->mode == VR_ROUND_UD)
        ud32(call);
    else
        plain32(call, call->op, call->mode, call->t, call->operands);
}

static void run64(const vr_rounding_call *call)
{
    if (vr_is_full_f64(call->mode, call->t) && call->mode == VR_ROUND_SR)
        sr64(call);
    else if (vr_is_full_f64(call->mode, call->t) && call->mode == VR_ROUND_UD)
        ud64(call);
    else
        plain64(call, call->op, call->t, 0, call->n);
}

/* ---- to narrow formats ---- */

INLINE void narrow_block(void *out, vr_dtype to, const float *in, const uint32_t *words, size_t n, bool nearest)
{
    uint16_t *halves = out;
    uint8_t *bytes = out;
    for (size_t i = 0; i < n; i++) {
        const uint32_t code = nearest ? vr_nearest_narrow_f32(to, in[i]) : vr_sr_narrow_f32(to, in[i], words[i]);
        if (to == VR_BF16 || to == VR_F16)
            halves[i] = (uint16_t)code;
        else
            bytes[i] = (uint8_t)code;
    }
}

INLINE void narrow_to(const vr_narrow_call *call, vr_dtype to, bool nearest)
{
    const size_t size = to == VR_BF16 || to == VR_F16 ? 2 : 1;
    uint32_t words[BLOCK];
    for (size_t begin = 0; begin < call->n; begin += BLOCK) {
        const size_t n = call->n - begin < BLOCK ? call->n - begin : BLOCK;
        const float *in = call->in + begin;
        if (!nearest && call->operands)
            for (size_t i = 0; i < n; i++)
                words[i] = vr_narrow_word_f32(to, in[i], call->key);
        else if (!nearest)
            stream_words32(words, call->key, call->position + begin);
        narrow_block((char *)call->out + begin * size, to, in, words, n, nearest);
    }
}

#define NARROW(to) call->nearest ? narrow_to(call, to, true) : narrow_to(call, to, false)

static void narrow(const vr_narrow_call *call)
{
    if (call->to == VR_BF16)
        NARROW(VR_BF16);
    else if (call->to == VR_F16)
        NARROW(VR_F16);
    else if (call->to == VR_F8E4M3)
        NARROW(VR_F8E4M3);
    else
        NARROW(VR_F8E5M2);
}

const vr_rounding_kernels KERNELS(VR_ISA) = {NAME(VR_ISA), run32, run64, narrow};
