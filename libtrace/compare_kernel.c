/* compare_kernel.c - comparison of one chunk, compiled once for each instruction set (VR_ISA, see isa.h).
 *
 * A plain group of elements, of equal bits and finite values, only feeds the norms; runs of them go at the speed of
 * memory. Any other feeds all sums, and is set aside for loops that compare bits, which the compiler vectorizes. Sums
 * are the 16 lanes of digest.h, so every vector width adds in the same order; that of counts and maxima does not
 * matter.
 *
 * An infinite element has ULP distances, but is within no absolute or relative tolerance. A difference or a square too
 * large for a double is Inf.
 */
#ifdef __SSE2__
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define WIDTH 8
#elif defined(__AVX2__)
#define WIDTH 4
#else
#define WIDTH 2
#endif
#include "kernel_elements.h"

#define GROUP_BYTES 64   /* at least, and a row of LANES elements */
#define ASIDE_BYTES 4096 /* so that all that is set aside stays in the first-level cache */
#define TABLES      8    /* of the histogram: an increment need not wait for the one before */

#define NOINLINE static __attribute__((noinline))

void KERNEL(compare, VR_ISA)(vr_comparison *out, const void *a, const void *b, vr_dtype dtype, size_t n,
                             const vr_tolerance *tolerance);

typedef struct sums {
    f64w abs[PARTS], rel[PARTS], diff[PARTS]; /* |a - b|, relative, squared */
    f64w a[PARTS], b[PARTS], ab[PARTS];       /* a a, b b, a b */
    f64w max_abs, max_rel;
} sums;

/* Elements whose bits are still to be compared: groups of consecutive ones, each from an index `at`. */
typedef struct aside {
    _Alignas(64) char a[ASIDE_BYTES], b[ASIDE_BYTES], distance[ASIDE_BYTES];
    uint8_t close[ASIDE_BYTES]; /* 1: within the absolute or relative tolerance */
    uint32_t at[ASIDE_BYTES / GROUP_BYTES];
    size_t n;
} aside;

typedef struct tally {
    uint64_t differ, outside, nan_mismatch, nan_both, inf_mismatch, sign_flips, max_ulp;
    int64_t first;
    uint32_t bins[TABLES][VR_ULP_BINS]; /* those of distance 0 are not all counted */
} tally;

typedef struct chunk {
    const char *a, *b;
    vr_dtype dtype;
    bool tolerant; /* any tolerance is set */
    vr_tolerance tolerance;
} chunk;

INLINE size_t group_of(vr_dtype dtype)
{
    return LANES * size_of(dtype) > GROUP_BYTES ? LANES : GROUP_BYTES / size_of(dtype);
}

/* Exact for codes of finite values; those above give at least 65536, or NaN. */
INLINE f32w from_f16(u16w code)
{
#if defined(__AVX512F__)
    return (f32w)_mm256_cvtph_ps((__m128i)code);
#elif defined(__AVX2__)
    return (f32w)_mm_cvtph_ps(_mm_cvtsi64_si128((int64_t)code));
#else
    const u32w x = CONVERT(code, u32w);
    return (f32w)((x & 0x7fff) << 13 | (x & 0x8000) << 16) * 0x1p112f;
#endif
}

/* WIDTH elements as doubles. */
INLINE f64w load(const void *at, vr_dtype dtype)
{
    switch (dtype) {
    case VR_F64:
        return LOAD(f64w, at);
    case VR_F32:
        return CONVERT(LOAD(f32w, at), f64w);
    case VR_F16:
        return CONVERT(from_f16(LOAD(u16w, at)), f64w);
    case VR_BF16:
        return CONVERT((f32w)(CONVERT(LOAD(u16w, at), u32w) << 16), f64w);
    case VR_F8E4M3: { /* as f16 it lacks 8 of the exponent's bias */
        const u16w x = CONVERT(LOAD(u8w, at), u16w);
        return CONVERT(from_f16((x & 0x7f) << 7 | (x & 0x80) << 8) * 256.0f, f64w);
    }
    case VR_F8E5M2:
        return CONVERT(from_f16(CONVERT(LOAD(u8w, at), u16w) << 8), f64w);
    case VR_I8:
        return CONVERT(CONVERT(LOAD(i8w, at), i32w), f64w);
    case VR_I16:
        return CONVERT(CONVERT(LOAD(i16w, at), i32w), f64w);
    case VR_I32:
        return CONVERT(LOAD(i32w, at), f64w);
    case VR_I64:
        return from_u64(LOAD(u64w, at) ^ 0x8000000000000000, 0x1p63);
    case VR_U8:
        return CONVERT((i32w)CONVERT(LOAD(u8w, at), u32w), f64w);
    case VR_U16:
        return CONVERT((i32w)CONVERT(LOAD(u16w, at), u32w), f64w);
    case VR_U32:
        return (f64w)(CONVERT(LOAD(u32w, at), u64w) | 0x4330000000000000) - 0x1p52;
    case VR_U64:
        return from_u64(LOAD(u64w, at), 0);
    case VR_BOOL:
        return CONVERT((i32w)(CONVERT(LOAD(u8w, at), u32w) != 0) & 1, f64w);
    }
    __builtin_unreachable();
}

INLINE f64w absolute(f64w x)
{
    return (f64w)((u64w)x & INT64_MAX);
}

/* x where `mask`, else 0. */
INLINE f64w keep(f64w x, i64w mask)
{
    return (f64w)((i64w)x & mask);
}

INLINE f64w larger(f64w x, f64w y)
{
#if defined(__AVX512F__)
    return (f64w)_mm512_max_pd((__m512d)x, (__m512d)y);
#elif defined(__AVX2__)
    return (f64w)_mm256_max_pd((__m256d)x, (__m256d)y);
#elif defined(__SSE2__)
    return (f64w)_mm_max_pd((__m128d)x, (__m128d)y);
#else
    return (f64w)(((i64w)x & (x > y)) | ((i64w)y & ~(x > y)));
#endif
}

INLINE bool any(u64w bits)
{
#if defined(__AVX512F__)
    return _mm512_test_epi64_mask((__m512i)bits, (__m512i)bits) != 0;
#elif defined(__AVX2__)
    return !_mm256_testz_si256((__m256i)bits, (__m256i)bits);
#else
    return (bits[0] | bits[1]) != 0;
#endif
}

/* Not 0 where the elements of a vector have other bits or are not finite. */
#define DEFINE_ODD(N)                                                                                                  \
    typedef __attribute__((vector_size(8 * WIDTH))) int##N##_t codes##N;                                               \
    INLINE u64w odd##N(const char *a, const char *b, int##N##_t special)                                               \
    {                                                                                                                  \
        const codes##N x = LOAD(codes##N, a), y = LOAD(codes##N, b);                                                   \
        const u64w differ = (u64w)(x ^ y);                                                                             \
        return special ? differ | (u64w)((x & INT##N##_MAX) >= special) : differ;                                      \
    }

DEFINE_ODD(8)
DEFINE_ODD(16)
DEFINE_ODD(32)
DEFINE_ODD(64)

INLINE u64w odd(const char *a, const char *b, vr_dtype dtype)
{
    const uint64_t special = layout_of(dtype).special;
    switch (size_of(dtype)) {
    case 1:
        return odd8(a, b, (int8_t)special);
    case 2:
        return odd16(a, b, (int16_t)special);
    case 4:
        return odd32(a, b, (int32_t)special);
    default:
        return odd64(a, b, (int64_t)special);
    }
}

INLINE bool is_plain(const char *a, const char *b, vr_dtype dtype)
{
    u64w bits = {0};
    for (size_t at = 0; at < group_of(dtype) * size_of(dtype); at += sizeof bits)
        bits |= odd(a + at, b + at, dtype);
    return !any(bits);
}

/* Adds the plain groups from element i on; returns the index after them. Up to the first group that is not,
 * `leading`, the three sums are one. */
INLINE size_t add_plain(sums *s, const chunk *c, size_t i, size_t end, bool leading)
{
    const size_t size = size_of(c->dtype), group = group_of(c->dtype);
    sums lanes = *s;
    for (; i < end && is_plain(c->a + i * size, c->b + i * size, c->dtype); i += group)
        for (size_t k = 0; k < group / WIDTH; k++) {
            const f64w x = load(c->a + (i + k * WIDTH) * size, c->dtype), square = x * x;
            lanes.a[k % PARTS] += square;
            if (!leading) {
                lanes.b[k % PARTS] += square;
                lanes.ab[k % PARTS] += square;
            }
        }
    for (size_t k = 0; k < PARTS; k++) {
        s->a[k] = lanes.a[k];
        s->b[k] = leading ? lanes.a[k] : lanes.b[k];
        s->ab[k] = leading ? lanes.a[k] : lanes.ab[k];
    }
    return i;
}

/* |a - b| of WIDTH pairs of 64-bit integers, rounded once. */
INLINE f64w integers_apart(const char *a, const char *b, vr_dtype dtype)
{
    const u64w sign = (u64w){0} + (dtype == VR_I64 ? (uint64_t)INT64_MIN : 0);
    const u64w u = LOAD(u64w, a) ^ sign, v = LOAD(u64w, b) ^ sign, behind = (u64w)(u < v);
    return from_u64(((u - v) ^ behind) - behind, 0);
}

/* Adds WIDTH pairs to one part of each sum; says which are within the absolute or relative tolerance. */
INLINE i64w add_pairs(sums *s, size_t part, const char *a, const char *b, const chunk *c)
{
    f64w x = load(a, c->dtype), y = load(b, c->dtype);
    i64w finite = ~(i64w){0};
    if (is_float(c->dtype)) {
        finite = (absolute(x) < finite_limit(c->dtype)) & (absolute(y) < finite_limit(c->dtype));
        x = keep(x, finite);
        y = keep(y, finite);
    }
    const f64w difference = is_wide_integer(c->dtype) ? integers_apart(a, b, c->dtype) : absolute(x - y);
    const f64w largest = larger(absolute(x), absolute(y));
    const f64w relative = difference / (largest + keep((f64w){0} + 1, largest == 0));
    s->abs[part] += difference;
    s->rel[part] += relative;
    s->diff[part] += difference * difference;
    s->a[part] += x * x;
    s->b[part] += y * y;
    s->ab[part] += x * y;
    s->max_abs = larger(difference, s->max_abs);
    s->max_rel = larger(relative, s->max_rel);
    return finite & ((difference <= c->tolerance.absolute) | (difference <= c->tolerance.relative * largest));
}

/* Adds groups from element i on and sets them aside, the first and then as long as there is room and they are not
 * plain; returns the index after them. */
INLINE size_t add_odd(sums *s, aside *rest, const chunk *c, size_t i, size_t end)
{
    const size_t size = size_of(c->dtype), group = group_of(c->dtype), room = ASIDE_BYTES / size;
    sums lanes = *s;
    do {
        const char *a = c->a + i * size, *b = c->b + i * size;
        for (size_t k = 0; k < group / WIDTH; k++) {
            const size_t at = k * WIDTH * size;
            const i64w close = add_pairs(&lanes, k % PARTS, a + at, b + at, c);
            if (c->tolerant) {
                const u8w bytes = CONVERT(close & 1, u8w);
                memcpy(rest->close + rest->n + k * WIDTH, &bytes, sizeof bytes);
            }
        }
        memcpy(rest->a + rest->n * size, a, group * size);
        memcpy(rest->b + rest->n * size, b, group * size);
        rest->at[rest->n / group] = (uint32_t)i;
        rest->n += group;
        i += group;
    } while (i < end && rest->n < room && !is_plain(c->a + i * size, c->b + i * size, c->dtype));
    *s = lanes;
    return i;
}

/* Compares the bits of the n elements set aside from `from` on, and leaves their ULP distances. Keys are signed
 * integers in the order of the values, and 1 apart where these are neighbours. */
#define DEFINE_SCAN(N, counter)                                                                                        \
    typedef uint##N##_t code##N __attribute__((may_alias));                                                            \
    INLINE int##N##_t key##N(uint##N##_t u, vr_dtype dtype)                                                            \
    {                                                                                                                  \
        const uint##N##_t negative = (uint##N##_t)((int##N##_t)u >> (N - 1));                                          \
        if (is_float(dtype))                                                                                           \
            return (int##N##_t)((u ^ (negative & INT##N##_MAX)) - negative);                                           \
        if (dtype == VR_BOOL)                                                                                          \
            return u != 0;                                                                                             \
        return (int##N##_t)(is_signed(dtype) ? u : u ^ (uint##N##_t)INT##N##_MIN);                                     \
    }                                                                                                                  \
    INLINE uint64_t scan##N(tally *t, aside *rest, size_t from, size_t n, const chunk *c)                              \
    {                                                                                                                  \
        const code##N *a = (const code##N *)rest->a + from, *b = (const code##N *)rest->b + from;                      \
        code##N *distances = (code##N *)rest->distance + from;                                                         \
        const uint8_t *close = rest->close + from;                                                                     \
        const bool real = is_float(c->dtype), has_sign = real || is_signed(c->dtype);                                  \
        const bool nan_equal = c->tolerance.nan_equal, has_ulp = c->tolerance.ulp >= 0;                                \
        const uint##N##_t max_code = UINT##N##_MAX, sign = (uint##N##_t)INT##N##_MIN;                                  \
        const uint##N##_t ulp = (uint64_t)c->tolerance.ulp < max_code ? (uint##N##_t)c->tolerance.ulp : max_code;      \
        const uint##N##_t special = (uint##N##_t)layout_of(c->dtype).special;                                          \
        const uint##N##_t last = c->dtype == VR_F8E4M3 ? (uint##N##_t)(special - 1) : special; /* before the NaNs */   \
        uint##N##_t max = 0;                                                                                           \
        counter differ = 0, outside = 0, nan_one = 0, nan_both = 0, inf = 0, flips = 0;                                \
        for (size_t i = 0; i < n; i++) {                                                                               \
            const uint##N##_t u = a[i], v = b[i];                                                                      \
            const uint##N##_t p = real ? (uint##N##_t)(u & ~sign) : u, q = real ? (uint##N##_t)(v & ~sign) : v;        \
            const uint##N##_t nan_u = real & (p > last), nan_v = real & (q > last), number = 1 ^ (nan_u | nan_v);      \
            const int##N##_t x = key##N(u, c->dtype), y = key##N(v, c->dtype);                                         \
            const uint##N##_t ahead = (uint##N##_t)x - (uint##N##_t)y;                                                 \
            const uint##N##_t apart = x > y ? ahead : (uint##N##_t) - ahead;                                           \
            const uint##N##_t distance = apart & (uint##N##_t) - number, other = u != v;                               \
            distances[i] = distance;                                                                                   \
            max = distance > max ? distance : max;                                                                     \
            differ += other;                                                                                           \
            nan_both += nan_u & nan_v;                                                                                 \
            nan_one += nan_u ^ nan_v;                                                                                  \
            if (real)                                                                                                  \
                inf += number & other & ((uint##N##_t)(p == special) | (uint##N##_t)(q == special));                   \
            if (has_sign)                                                                                              \
                flips += number & ((u ^ v) >> (N - 1)) & (uint##N##_t)(p != 0) & (uint##N##_t)(q != 0);                \
            if (c->tolerant) {                                                                                         \
                const uint##N##_t near = has_ulp & (distance <= ulp);                                                  \
                outside += other & !close[i] & !(number & near) & !(nan_equal & nan_u & nan_v);                        \
            }                                                                                                          \
        }                                                                                                              \
        t->max_ulp = max > t->max_ulp ? max : t->max_ulp;                                                              \
        t->differ += differ;                                                                                           \
        t->nan_both += nan_both;                                                                                       \
        t->nan_mismatch += nan_one;                                                                                    \
        t->inf_mismatch += inf;                                                                                        \
        t->sign_flips += flips;                                                                                        \
        t->outside += c->tolerant ? outside : differ;                                                                  \
        return c->tolerant ? outside : differ;                                                                         \
    }                                                                                                                  \
    INLINE void count_bins##N(tally *t, const aside *rest)                                                             \
    {                                                                                                                  \
        const code##N *distances = (const code##N *)rest->distance;                                                    \
        for (size_t i = 0; i < rest->n; i += TABLES)                                                                   \
            for (size_t k = 0; k < TABLES; k++)                                                                        \
                t->bins[k][bin_of(distances[i + k])]++;                                                                \
    }

INLINE size_t bin_of(uint64_t distance)
{
    return distance ? 64 - (size_t)__builtin_clzll(distance) : 0;
}

DEFINE_SCAN(8, uint16_t)
DEFINE_SCAN(16, uint16_t)
DEFINE_SCAN(32, uint32_t)
DEFINE_SCAN(64, uint64_t)

/* Returns how many are not within the tolerance. */
INLINE uint64_t scan(tally *t, aside *rest, size_t from, size_t n, const chunk *c)
{
    switch (size_of(c->dtype)) {
    case 1:
        return scan8(t, rest, from, n, c);
    case 2:
        return scan16(t, rest, from, n, c);
    case 4:
        return scan32(t, rest, from, n, c);
    default:
        return scan64(t, rest, from, n, c);
    }
}

INLINE void count_bins(tally *t, const aside *rest, vr_dtype dtype)
{
    if (size_of(dtype) == 1)
        count_bins8(t, rest);
    else if (size_of(dtype) == 2)
        count_bins16(t, rest);
    else if (size_of(dtype) == 4)
        count_bins32(t, rest);
    else
        count_bins64(t, rest);
}

/* The index of the first element set aside that is not within the tolerance; there is one. Called once a chunk, and
 * therefore compiled once for all types. */
NOINLINE int64_t find_first(aside *rest, const chunk *c)
{
    const size_t group = group_of(c->dtype);
    tally unused = {0};
    size_t i = 0;
    while (scan(&unused, rest, i, 1, c) == 0)
        i++;
    return (int64_t)(rest->at[i / group] + i % group);
}

INLINE void compare_aside(tally *t, aside *rest, const chunk *c)
{
    const uint64_t outside = scan(t, rest, 0, rest->n, c);
    count_bins(t, rest, c->dtype);
    if (outside && t->first < 0)
        t->first = find_first(rest, c);
    rest->n = 0;
}

INLINE double total(const f64w *parts)
{
    double lanes[LANES];
    memcpy(lanes, parts, sizeof lanes);
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t l = 0; l < half; l++)
            lanes[l] += lanes[l + half];
    return lanes[0];
}

INLINE double max_of(f64w x)
{
    double max = 0;
    for (size_t l = 0; l < WIDTH; l++)
        max = x[l] > max ? x[l] : max;
    return max;
}

static void set_counts(vr_comparison *out, const tally *t, size_t n)
{
    out->count = (int64_t)n;
    out->equal = (int64_t)(n - t->differ);
    out->within = (int64_t)(n - t->outside);
    out->first = t->first;
    out->nan_mismatch = (int64_t)t->nan_mismatch;
    out->nan_both = (int64_t)t->nan_both;
    out->inf_mismatch = (int64_t)t->inf_mismatch;
    out->sign_flips = (int64_t)t->sign_flips;
    out->max_ulp = t->max_ulp;
    out->ulp_bins[0] = (int64_t)(n - t->nan_mismatch - t->nan_both);
    for (size_t bin = 1; bin < VR_ULP_BINS; bin++) {
        out->ulp_bins[bin] = 0;
        for (size_t k = 0; k < TABLES; k++)
            out->ulp_bins[bin] += t->bins[k][bin];
        out->ulp_bins[0] -= out->ulp_bins[bin];
    }
}

static void set_sums(vr_comparison *out, const sums *s)
{
    out->max_abs = max_of(s->max_abs);
    out->mean_abs = total(s->abs);
    out->max_rel = max_of(s->max_rel);
    out->mean_rel = total(s->rel);
    out->diff_l2 = total(s->diff);
    out->a_l2 = total(s->a);
    out->b_l2 = total(s->b);
    out->cosine = total(s->ab);
}

/* The last elements fill a group up with zeros: these add nothing, and counts are of elements that differ. For all
 * types, as find_first. */
NOINLINE void compare_last(sums *s, aside *rest, const chunk *c, size_t from, size_t n)
{
    const size_t size = size_of(c->dtype), group = group_of(c->dtype);
    char a[LANES * sizeof(double)] = {0}, b[LANES * sizeof(double)] = {0};
    const chunk last = {a, b, c->dtype, c->tolerant, c->tolerance};
    memcpy(a, c->a + from * size, (n - from) * size);
    memcpy(b, c->b + from * size, (n - from) * size);
    add_odd(s, rest, &last, 0, group);
    rest->at[rest->n / group - 1] = (uint32_t)from;
}

INLINE void compare(vr_comparison *out, const chunk *c, size_t n)
{
    const size_t group = group_of(c->dtype), room = ASIDE_BYTES / size_of(c->dtype), whole = n - n % group;
    sums s = {0};
    tally t = {.first = -1};
    aside rest;
    rest.n = 0;
    size_t i = add_plain(&s, c, 0, whole, true);
    while (i < n) {
        if (i < whole) {
            i = add_odd(&s, &rest, c, i, whole);
            i = add_plain(&s, c, i, whole, false);
        } else {
            compare_last(&s, &rest, c, whole, n);
            i = n;
        }
        if (rest.n == room || i == n)
            compare_aside(&t, &rest, c);
    }
    set_counts(out, &t, n);
    set_sums(out, &s);
}

void KERNEL(compare, VR_ISA)(vr_comparison *out, const void *a, const void *b, vr_dtype dtype, size_t n,
                             const vr_tolerance *tolerance)
{
    vr_tolerance bounds;
    const bool tolerant = read_tolerance(&bounds, tolerance);
#define CASE(type)                                                                                                     \
    case type:                                                                                                         \
        if (tolerant)                                                                                                  \
            compare(out, &(chunk){a, b, type, true, bounds}, n);                                                       \
        else                                                                                                           \
            compare(out, &(chunk){a, b, type, false, bounds}, n);                                                      \
        break
    switch (dtype) {
        EACH_DTYPE(CASE)
    }
}
