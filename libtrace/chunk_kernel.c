/* chunk_kernel.c - digest and statistics of one chunk, compiled once for each instruction set (VR_ISA, see isa.h).
 *
 * Sums are vectors of doubles that make up the 16 lanes of digest.h, so every vector width adds in the same order.
 * Extrema are of the elements' codes, as integers. Both take all elements for finite and none for tiny; a chunk whose
 * extrema tell otherwise is counted, and if need be done again with masks.
 *
 * Vectors are of 32 bytes even with AVX-512: on Zen 4, conversions of doubles are faster so, and the hash of what is
 * not in the cache.
 */
#define XXH_INLINE_ALL
#ifdef __AVX2__
#define XXH_VECTOR XXH_AVX2
#endif
#include <xxhash.h>

#ifdef __AVX2__
#include <immintrin.h>
#endif

#ifdef __AVX2__
#define WIDTH 4 /* doubles in a vector */
#else
#define WIDTH 2
#endif
#include "kernel_elements.h"

#define VECTOR_BYTES (8 * WIDTH)
#define STEP         (2 * LANES) /* elements, for a whole vector of the smallest */

vr_digest KERNEL(digest, VR_ISA)(const void *bytes, size_t size);
void KERNEL(stats, VR_ISA)(vr_stats *out, const void *elements, vr_dtype dtype, size_t n);

/* What the codes of the elements tell. Of floats, `magnitude` is twice the code: without its sign. */
typedef struct scan {
    uint64_t unsigned_max, magnitude_min;
    int64_t signed_min, signed_max;
    uint64_t zero, tiny; /* tiny: zero or subnormal */
    uint64_t special, pos_inf, neg_inf;
} scan;

INLINE uint64_t sign_of(vr_dtype dtype)
{
    return UINT64_C(1) << (8 * size_of(dtype) - 1);
}

/* Takes one more code into the extrema. */
INLINE void widen(scan *s, uint64_t code, uint64_t magnitude, int64_t low, int64_t high)
{
    s->unsigned_max = code > s->unsigned_max ? code : s->unsigned_max;
    s->magnitude_min = magnitude < s->magnitude_min ? magnitude : s->magnitude_min;
    s->signed_min = low < s->signed_min ? low : s->signed_min;
    s->signed_max = high > s->signed_max ? high : s->signed_max;
}

#define SELECT(N, mask, a, b) ((codes##N)(mask) & (a)) | (~(codes##N)(mask) & (b))

/* Element-wise extrema, by instruction or by selection; not every instruction set has all. */
#define native_min_u(N, a, b) (codes##N) _mm256_min_epu##N((__m256i)(a), (__m256i)(b))
#define native_max_u(N, a, b) (codes##N) _mm256_max_epu##N((__m256i)(a), (__m256i)(b))
#define native_min_s(N, a, b) (codes##N) _mm256_min_epi##N((__m256i)(a), (__m256i)(b))
#define native_max_s(N, a, b) (codes##N) _mm256_max_epi##N((__m256i)(a), (__m256i)(b))
#define select_min_u(N, a, b) SELECT(N, (a) < (b), a, b)
#define select_max_u(N, a, b) SELECT(N, (a) > (b), a, b)
#define select_min_s(N, a, b) SELECT(N, (ints##N)(a) < (ints##N)(b), a, b)
#define select_max_s(N, a, b) SELECT(N, (ints##N)(a) > (ints##N)(b), a, b)

/* For codes of N bits: accumulators of extrema, one step of them, and their end; the extrema of what is left or, if
 * `special`, of the finite elements only; and how many are 0 or, of magnitude, below `normal`. */
#define DEFINE_SCAN(N, how)                                                                                            \
    typedef uint##N##_t code##N __attribute__((aligned(1), may_alias));                                                \
    typedef uint##N##_t codes##N __attribute__((vector_size(VECTOR_BYTES)));                                           \
    typedef int##N##_t ints##N __attribute__((vector_size(VECTOR_BYTES)));                                             \
    typedef struct extrema##N {                                                                                        \
        codes##N unsigned_max, magnitude_min, signed_min, signed_max;                                                  \
    } extrema##N;                                                                                                      \
    INLINE extrema##N start##N(void)                                                                                   \
    {                                                                                                                  \
        const codes##N zero = {0}, sign = zero + (uint##N##_t)INT##N##_MIN;                                            \
        return (extrema##N){zero, ~zero, ~sign, sign};                                                                 \
    }                                                                                                                  \
    INLINE void step##N(extrema##N *e, const char *at, bool real)                                                      \
    {                                                                                                                  \
        const codes##N code = LOAD(codes##N, at), magnitude = real ? code + code : code;                               \
        e->unsigned_max = how##_max_u(N, e->unsigned_max, code);                                                       \
        e->magnitude_min = how##_min_u(N, e->magnitude_min, magnitude);                                                \
        e->signed_min = how##_min_s(N, e->signed_min, code);                                                           \
        e->signed_max = how##_max_s(N, e->signed_max, code);                                                           \
    }                                                                                                                  \
    INLINE void end##N(scan *s, const extrema##N *e)                                                                   \
    {                                                                                                                  \
        for (size_t k = 0; k < VECTOR_BYTES * 8 / N; k++)                                                              \
            widen(s, e->unsigned_max[k], e->magnitude_min[k], (int##N##_t)e->signed_min[k],                            \
                  (int##N##_t)e->signed_max[k]);                                                                       \
    }                                                                                                                  \
    INLINE void scan##N(scan *s, const code##N *x, size_t n, vr_dtype dtype, bool special)                             \
    {                                                                                                                  \
        const bool real = is_float(dtype);                                                                             \
        const uint##N##_t inf = (uint##N##_t)layout_of(dtype).special,                                                 \
                          minus_inf = (uint##N##_t)(inf + sign_of(dtype));                                             \
        for (size_t i = 0; i < n; i++) {                                                                               \
            const uint##N##_t magnitude = real ? (uint##N##_t)(x[i] + x[i]) : x[i];                                    \
            if (special && magnitude >= (uint##N##_t)(inf + inf)) {                                                    \
                s->special++;                                                                                          \
                s->pos_inf += x[i] == inf;                                                                             \
                s->neg_inf += x[i] == minus_inf;                                                                       \
            } else {                                                                                                   \
                widen(s, x[i], magnitude, (int##N##_t)x[i], (int##N##_t)x[i]);                                         \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    INLINE void count##N(scan *s, const code##N *x, size_t n, bool real, uint##N##_t normal)                           \
    {                                                                                                                  \
        enum { CODES = VECTOR_BYTES * 8 / N, MOST = 255 * CODES }; /* counters of 8 bits */                            \
        size_t i = 0;                                                                                                  \
        while (n - i >= CODES) {                                                                                       \
            const size_t end = i + (n - i < MOST ? (n - i) / CODES * CODES : MOST);                                    \
            codes##N zero = {0}, tiny = {0};                                                                           \
            for (; i < end; i += CODES) {                                                                              \
                const codes##N code = LOAD(codes##N, &x[i]), magnitude = real ? code + code : code;                    \
                zero -= (codes##N)(magnitude == 0);                                                                    \
                if (real)                                                                                              \
                    tiny -= (codes##N)(magnitude < normal);                                                            \
            }                                                                                                          \
            for (size_t k = 0; k < CODES; k++) {                                                                       \
                s->zero += zero[k];                                                                                    \
                s->tiny += real ? tiny[k] : zero[k];                                                                   \
            }                                                                                                          \
        }                                                                                                              \
        for (; i < n; i++) {                                                                                           \
            const uint##N##_t magnitude = (uint##N##_t)(real ? x[i] + x[i] : x[i]);                                    \
            s->zero += magnitude == 0;                                                                                 \
            s->tiny += magnitude < normal;                                                                             \
        }                                                                                                              \
    }

#ifdef __AVX2__
DEFINE_SCAN(8, native)
DEFINE_SCAN(16, native)
DEFINE_SCAN(32, native)
#else
DEFINE_SCAN(8, select)
DEFINE_SCAN(16, select)
DEFINE_SCAN(32, select)
#endif
#ifdef __AVX512VL__
DEFINE_SCAN(64, native)
#else
DEFINE_SCAN(64, select)
#endif

/* Conversions and widening loads of WIDTH elements, those that not every compiler makes one instruction of.
 * f32_from_f16 is exact for codes of finite values; those above give at least 65536, or NaN. */
#ifdef __AVX2__
typedef uint16_t f16s __attribute__((vector_size(16))); /* the lower half counts */
#define f64_from_f32(x)  ((f64w)_mm256_cvtps_pd((__m128)(x)))
#define f64_from_i32(x)  ((f64w)_mm256_cvtepi32_pd((__m128i)(x)))
#define f32_from_f16(x)  ((f32w)_mm_cvtph_ps((__m128i)(x)))
#define load_f16(at)     ((f16s)_mm_loadl_epi64((const __m128i *)(at)))
#define f16_from_u8(at)  ((f16s)_mm_cvtepu8_epi16(_mm_cvtsi32_si128(LOAD(int32_t, at))))
#define i32_from_i8(at)  ((i32w)_mm_cvtepi8_epi32(_mm_cvtsi32_si128(LOAD(int32_t, at))))
#define i32_from_u8(at)  ((i32w)_mm_cvtepu8_epi32(_mm_cvtsi32_si128(LOAD(int32_t, at))))
#define i32_from_i16(at) ((i32w)_mm_cvtepi16_epi32(_mm_loadl_epi64((const __m128i *)(at))))
#define i32_from_u16(at) ((i32w)_mm_cvtepu16_epi32(_mm_loadl_epi64((const __m128i *)(at))))
#else
typedef u16w f16s;
#define f64_from_f32(x)  CONVERT(x, f64w)
#define f64_from_i32(x)  CONVERT(x, f64w)
#define load_f16(at)     LOAD(u16w, at)
#define f16_from_u8(at)  CONVERT(LOAD(u8w, at), u16w)
#define i32_from_i8(at)  CONVERT(LOAD(i8w, at), i32w)
#define i32_from_u8(at)  CONVERT(LOAD(u8w, at), i32w)
#define i32_from_i16(at) CONVERT(LOAD(i16w, at), i32w)
#define i32_from_u16(at) CONVERT(LOAD(u16w, at), i32w)
INLINE f32w f32_from_f16(f16s code)
{
    const u32w x = CONVERT(code, u32w);
    return (f32w)((x & 0x7fff) << 13 | (x & 0x8000) << 16) * 0x1p112f;
}
#endif

/* WIDTH elements as doubles. */
INLINE f64w load(const void *at, vr_dtype dtype)
{
    switch (dtype) {
    case VR_F64:
        return LOAD(f64w, at);
    case VR_F32:
        return f64_from_f32(LOAD(f32w, at));
    case VR_F16:
        return f64_from_f32(f32_from_f16(load_f16(at)));
    case VR_BF16:
        return f64_from_f32((f32w)(i32_from_u16(at) << 16));
    case VR_F8E4M3: { /* as f16 it lacks 8 of the exponent's bias */
        const f16s x = f16_from_u8(at);
        return f64_from_f32(f32_from_f16((x & 0x7f) << 7 | (x & 0x80) << 8) * 256.0f);
    }
    case VR_F8E5M2:
        return f64_from_f32(f32_from_f16(f16_from_u8(at) << 8));
    case VR_I8:
        return f64_from_i32(i32_from_i8(at));
    case VR_I16:
        return f64_from_i32(i32_from_i16(at));
    case VR_I32:
        return f64_from_i32(LOAD(i32w, at));
    case VR_I64:
        return from_u64(LOAD(u64w, at) ^ 0x8000000000000000, 0x1p63);
    case VR_U8:
        return f64_from_i32(i32_from_u8(at));
    case VR_U16:
        return f64_from_i32(i32_from_u16(at));
    case VR_U32:
        return (f64w)(CONVERT(LOAD(u32w, at), u64w) | 0x4330000000000000) - 0x1p52;
    case VR_U64:
        return from_u64(LOAD(u64w, at), 0);
    case VR_BOOL:
        return f64_from_i32((i32w)(i32_from_u8(at) != 0) & 1);
    }
    __builtin_unreachable();
}

typedef struct sums {
    f64w part[PARTS];
} sums;

/* What is summed: the elements or, if `squares`, the squares of their distances from the mean. */
typedef struct term {
    vr_dtype dtype;
    bool squares, special;
    f64w minus_mean, one;
} term;

/* x - mean. On AVX2 x * 1 - mean, of the same value, for the multipliers' sake: adders are what is short. The compiler
 * may not know that it multiplies by 1, see opaque_one(). */
INLINE f64w distance(f64w x, term t)
{
#ifdef __AVX2__
    return (f64w)_mm256_fmadd_pd((__m256d)x, (__m256d)t.one, (__m256d)t.minus_mean);
#else
    return x + t.minus_mean;
#endif
}

INLINE f64w opaque_one(void)
{
    f64w one = (f64w){0} + 1.0;
#ifdef __AVX2__
    __asm__("" : "+x"(one));
#endif
    return one;
}

INLINE f64w term_of(const char *at, term t)
{
    const f64w x = load(at, t.dtype);
    f64w value = x;
    if (t.squares) {
        const f64w d = distance(x, t);
        value = d * d;
    }
    if (!t.special)
        return value;
    const f64w limit = (f64w){0} + finite_limit(t.dtype);
    return (f64w)((i64w)value & (i64w)(x < limit) & (i64w)(x > -limit));
}

INLINE void add(sums *s, const char *at, term t)
{
    for (size_t k = 0; k < PARTS; k++)
        s->part[k] += term_of(at + k * WIDTH * size_of(t.dtype), t);
}

/* Has the cache fetch a line of the chunk at `next` for every 128 bytes that are read of this one: half of it. A line
 * of each of 16 pages in turn, which is faster than page by page. There need not be a next chunk. */
INLINE void fetch(const char *next, size_t at)
{
    if (at % 128 == 0)
        __builtin_prefetch(next + at / 128 % 16 * 4096 + at / 2048 * 64, 0, 2);
}

/* Adds n elements, a multiple of LANES. */
INLINE void add_all(sums *s, const char *x, size_t n, term t, const char *next)
{
    const size_t size = size_of(t.dtype);
    sums lanes = *s;
    for (size_t at = 0; at < n * size; at += LANES * size) {
        fetch(next, at);
        add(&lanes, x + at, t);
    }
    *s = lanes;
}

/* Adds the last n < LANES elements and returns the sum of the lanes. */
INLINE double add_rest(const sums *s, const char *at, size_t n, term t)
{
    char padded[8 * LANES] = {0};
    double lane[LANES], last[LANES];
    sums terms = {0};
    memcpy(padded, at, n * size_of(t.dtype));
    add(&terms, padded, t);
    memcpy(lane, s, sizeof lane);
    memcpy(last, &terms, sizeof last);
    for (size_t l = 0; l < n; l++)
        lane[l] += last[l];
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t l = 0; l < half; l++)
            lane[l] += lane[l + half];
    return lane[0];
}

/* The first pass when all is finite: extrema and sums of n elements, a multiple of STEP, in one loop, since they use
 * different parts of the processor. */
#define DEFINE_FIRST_PASS(N)                                                                                           \
    INLINE void first_pass##N(scan *s, sums *sum, const char *x, size_t n, term t, const char *next)                   \
    {                                                                                                                  \
        const size_t size = N / 8;                                                                                     \
        const bool real = is_float(t.dtype);                                                                           \
        extrema##N extrema = start##N();                                                                               \
        sums lanes = {0};                                                                                              \
        for (size_t at = 0; at < n * size; at += STEP * size) {                                                        \
            fetch(next, at);                                                                                           \
            for (size_t k = 0; k < STEP * size; k += LANES * size)                                                     \
                add(&lanes, x + at + k, t);                                                                            \
            for (size_t k = 0; k < STEP * size; k += VECTOR_BYTES)                                                     \
                step##N(&extrema, x + at + k, real);                                                                   \
        }                                                                                                              \
        *sum = lanes;                                                                                                  \
        end##N(s, &extrema);                                                                                           \
    }

DEFINE_FIRST_PASS(8)
DEFINE_FIRST_PASS(16)
DEFINE_FIRST_PASS(32)
DEFINE_FIRST_PASS(64)

/* Whether extrema of all codes show an infinity or a NaN: positive ones are largest as signed integers, negative ones
 * as unsigned. */
INLINE bool has_special(const scan *s, vr_dtype dtype)
{
    const uint64_t special = layout_of(dtype).special;
    return is_float(dtype) && (s->signed_max >= (int64_t)special || s->unsigned_max >= (sign_of(dtype) | special));
}

INLINE double value_of(uint64_t code, vr_dtype dtype)
{
    char bytes[8 * WIDTH] = {0};
    memcpy(bytes, &code, size_of(dtype));
    return load(bytes, dtype)[0];
}

/* The least float is the largest unsigned code if that is negative, else the least magnitude; the greatest alike. */
INLINE void set_extrema(vr_stats *out, const scan *s, vr_dtype dtype)
{
    uint64_t min = s->magnitude_min, max = s->unsigned_max;
    if (is_signed(dtype)) {
        min = (uint64_t)s->signed_min;
        max = (uint64_t)s->signed_max;
    } else if (is_float(dtype)) {
        min = s->unsigned_max & sign_of(dtype) ? s->unsigned_max : s->magnitude_min / 2;
        max = s->signed_max >= 0 ? (uint64_t)s->signed_max : sign_of(dtype) | s->magnitude_min / 2;
    }
    out->min = value_of(min, dtype);
    out->max = value_of(max, dtype);
    out->absmax = fmax(fabs(out->min), fabs(out->max));
}

/* By size of the elements: N bits. */
#define BY_SIZE(dtype, call)                                                                                           \
    switch (size_of(dtype)) {                                                                                          \
    case 1:                                                                                                            \
        call(8);                                                                                                       \
        break;                                                                                                         \
    case 2:                                                                                                            \
        call(16);                                                                                                      \
        break;                                                                                                         \
    case 4:                                                                                                            \
        call(32);                                                                                                      \
        break;                                                                                                         \
    case 8:                                                                                                            \
        call(64);                                                                                                      \
        break;                                                                                                         \
    }

INLINE void count_tiny(scan *s, const char *x, size_t n, vr_dtype dtype)
{
    const bool real = is_float(dtype);
    const uint64_t normal = real ? 2 * layout_of(dtype).normal : 1;
    if (s->magnitude_min >= normal)
        return;
#define COUNT(N) count##N(s, (const code##N *)x, n, real, (uint##N##_t)normal)
    BY_SIZE(dtype, COUNT)
#undef COUNT
}

INLINE void set_counts(vr_stats *out, const scan *s, size_t n, vr_dtype dtype)
{
    const bool infinities = dtype != VR_F8E4M3;
    *out = (vr_stats){.count = n, .zero = s->zero, .subnormal = s->tiny - s->zero};
    out->pos_inf = infinities ? s->pos_inf : 0;
    out->neg_inf = infinities ? s->neg_inf : 0;
    out->nan = s->special - out->pos_inf - out->neg_inf;
}

/* Extrema, counts and sum. Without `special`, false when there are special elements after all. */
INLINE bool first_pass(scan *s, double *total, const char *x, size_t n, term t)
{
    const size_t size = size_of(t.dtype), whole = n - n % LANES, stepped = t.special ? 0 : n - n % STEP;
    const char *const next = x + n * size;
    sums sum = {0};
    *s = (scan){.magnitude_min = UINT64_MAX, .signed_min = INT64_MAX, .signed_max = INT64_MIN};
#define PASS(N)                                                                                                        \
    if (!t.special)                                                                                                    \
        first_pass##N(s, &sum, x, stepped, t, next);                                                                   \
    scan##N(s, (const code##N *)(x + stepped * size), n - stepped, t.dtype, t.special)
    BY_SIZE(t.dtype, PASS)
#undef PASS
    if (!t.special && has_special(s, t.dtype))
        return false;
    add_all(&sum, x + stepped * size, whole - stepped, t, next);
    *total = add_rest(&sum, x + whole * size, n - whole, t);
    return true;
}

INLINE double second_pass(const char *x, size_t n, term t)
{
    const size_t size = size_of(t.dtype), whole = n - n % LANES;
    sums sum = {0};
    add_all(&sum, x, whole, t, x + n * size + 2048);
    return add_rest(&sum, x + whole * size, n - whole, t);
}

INLINE bool measure(vr_stats *out, const char *x, size_t n, vr_dtype dtype, bool special)
{
    term t = {dtype, .special = special, .one = opaque_one()};
    scan s;
    double total;
    if (!first_pass(&s, &total, x, n, t))
        return false;
    count_tiny(&s, x, n, dtype);
    set_counts(out, &s, n, dtype);
    if (n == s.special)
        return true;
    set_extrema(out, &s, dtype);
    out->mean = total / (double)(n - s.special);
    t.squares = true;
    t.minus_mean = (f64w){0} - out->mean;
    out->m2 = second_pass(x, n, t);
    return true;
}

vr_digest KERNEL(digest, VR_ISA)(const void *bytes, size_t size)
{
    const XXH128_hash_t hash = XXH3_128bits(bytes, size);
    return (vr_digest){hash.high64, hash.low64};
}

void KERNEL(stats, VR_ISA)(vr_stats *out, const void *elements, vr_dtype dtype, size_t n)
{
#define CASE(type)                                                                                                     \
    case type:                                                                                                         \
        if (!measure(out, elements, n, type, false))                                                                   \
            measure(out, elements, n, type, true);                                                                     \
        break
    if (n == 0) {
        *out = (vr_stats){0};
        return;
    }
    switch (dtype) {
        EACH_DTYPE(CASE)
    }
}
