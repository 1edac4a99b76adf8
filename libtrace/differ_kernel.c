/* differ_kernel.c - which of two runs of elements differ, compiled once for each instruction set (VR_ISA, see isa.h).
 *
 * Equal bytes are passed over at the speed of memory, a block at a time. In a block where few elements differ they are
 * taken one by one from a mask of its bytes; where many do, all of its elements go through the same arithmetic in a
 * loop that the compiler vectorizes.
 */
#ifdef __SSE2__
#include <immintrin.h>
#endif

#define WIDTH 8 /* of no vector here */
#include "kernel_elements.h"

#define GROUP_BYTES  64
#define BLOCK_GROUPS 16
#define BLOCK_BYTES  (BLOCK_GROUPS * GROUP_BYTES)

void KERNEL(differ, VR_ISA)(vr_difference *out, const void *a, const void *b, vr_dtype dtype, size_t n,
                            const vr_tolerance *tolerance);

typedef struct pairs {
    const char *a, *b;
    vr_dtype dtype;
    bool tolerant;
    vr_tolerance tolerance;
} pairs;

/* The maxima are bits of doubles that are not negative, and so in the order of integers. */
typedef struct tally {
    uint64_t unequal, different, nan_mismatch, max_abs, max_rel, max_ulp;
} tally;

/* Bit i: the i-th bytes of two groups differ. */
INLINE uint64_t differing_bytes(const char *a, const char *b)
{
#if defined(__AVX512BW__)
    return _mm512_cmpneq_epi8_mask(_mm512_loadu_si512(a), _mm512_loadu_si512(b));
#elif defined(__AVX2__)
    uint64_t equal = 0;
    for (int i = 0; i < 2; i++) {
        const __m256i x = _mm256_loadu_si256((const __m256i *)a + i), y = _mm256_loadu_si256((const __m256i *)b + i);
        equal |= (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(x, y)) << 32 * i;
    }
    return ~equal;
#elif defined(__SSE2__)
    uint64_t equal = 0;
    for (int i = 0; i < 4; i++) {
        const __m128i x = _mm_loadu_si128((const __m128i *)a + i), y = _mm_loadu_si128((const __m128i *)b + i);
        equal |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, y)) << 16 * i;
    }
    return ~equal;
#else
    uint64_t differ = 0;
    for (int i = 0; i < GROUP_BYTES; i++)
        differ |= (uint64_t)(a[i] != b[i]) << i;
    return differ;
#endif
}

/* The bits of element i, from zero for unsigned types and with their sign for signed ones. */
INLINE uint64_t code_at(const char *elements, size_t i, vr_dtype dtype)
{
    const char *at = elements + i * size_of(dtype);
    switch (size_of(dtype)) {
    case 1:
        return is_signed(dtype) ? (uint64_t)(int8_t)LOAD(int8_t, at) : LOAD(uint8_t, at);
    case 2:
        return is_signed(dtype) ? (uint64_t)LOAD(int16_t, at) : LOAD(uint16_t, at);
    case 4:
        return is_signed(dtype) ? (uint64_t)LOAD(int32_t, at) : LOAD(uint32_t, at);
    default:
        return LOAD(uint64_t, at);
    }
}

INLINE double value_of(uint64_t code, vr_dtype dtype)
{
    double value;
    switch (dtype) {
    case VR_F64:
        memcpy(&value, &code, sizeof value);
        return value;
    case VR_F32: {
        const uint32_t bits = (uint32_t)code;
        return LOAD(float, &bits);
    }
    case VR_BF16: {
        const uint32_t bits = (uint32_t)code << 16;
        return LOAD(float, &bits);
    }
    case VR_F16:
    case VR_F8E4M3:
    case VR_F8E5M2:
        vr_to_f64(&value, &code, dtype, 1);
        return value;
    case VR_I8:
    case VR_I16:
    case VR_I32:
    case VR_I64:
        return (double)(int64_t)code;
    case VR_BOOL:
        return code != 0;
    default:
        return (double)code;
    }
}

/* Values between two codes; see key in compare_kernel.c. */
INLINE uint64_t distance_of(uint64_t u, uint64_t v, vr_dtype dtype)
{
    const unsigned shift = 64 - 8 * (unsigned)size_of(dtype);
    uint64_t x = u, y = v;
    if (is_float(dtype)) {
        const uint64_t p = u << shift, q = v << shift, sign_p = (uint64_t)((int64_t)p >> 63),
                       sign_q = (uint64_t)((int64_t)q >> 63);
        x = ((p & INT64_MAX) >> shift ^ sign_p) - sign_p;
        y = ((q & INT64_MAX) >> shift ^ sign_q) - sign_q;
    } else if (dtype == VR_BOOL) {
        x = u != 0;
        y = v != 0;
    } else if (dtype == VR_U64) {
        x ^= (uint64_t)INT64_MIN;
        y ^= (uint64_t)INT64_MIN;
    }
    return (int64_t)x > (int64_t)y ? x - y : y - x;
}

INLINE uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

INLINE uint64_t larger(uint64_t x, uint64_t y)
{
    return (int64_t)x > (int64_t)y ? x : y;
}

/* Adds a pair of elements; 1 when they are not the same. No branch, so that a loop of it is a loop of vectors. */
INLINE uint64_t add_pair(tally *t, const pairs *c, size_t i)
{
    const uint64_t u = code_at(c->a, i, c->dtype), v = code_at(c->b, i, c->dtype);
    const double x = value_of(u, c->dtype), y = value_of(v, c->dtype);
    const uint64_t nan_x = x != x, nan_y = y != y, number = 1 & ~(nan_x | nan_y), unequal = u != v;
    const double size_x = fabs(x), size_y = fabs(y), largest = size_x > size_y ? size_x : size_y;
    const uint64_t finite = number & (largest < INFINITY);
    const uint64_t distance = distance_of(u, v, c->dtype) & -number;
    const double apart = is_wide_integer(c->dtype) ? (double)distance : fabs(x - y);
    const double relative = apart / (largest > 0 ? largest : 1);
    uint64_t different = unequal;
    if (c->tolerant) {
        const uint64_t close = finite & ((apart <= c->tolerance.absolute) | (apart <= c->tolerance.relative * largest));
        const uint64_t near = number & (c->tolerance.ulp >= 0) & (distance <= (uint64_t)c->tolerance.ulp);
        different &= ~(close | near | (nan_x & nan_y & c->tolerance.nan_equal));
    }
    t->unequal += unequal;
    t->different += different;
    t->nan_mismatch += nan_x ^ nan_y;
    t->max_abs = larger(bits_of(apart) & -finite, t->max_abs);
    t->max_rel = larger(bits_of(relative) & -finite, t->max_rel);
    t->max_ulp = distance > t->max_ulp ? distance : t->max_ulp;
    return different;
}

/* Elements [i, end), all of them; returns how many are not the same. */
INLINE uint64_t add_dense(tally *t, const pairs *c, size_t i, size_t end)
{
    tally local = *t;
    const uint64_t before = local.different;
    for (; i < end; i++)
        add_pair(&local, c, i);
    *t = local;
    return local.different - before;
}

/* Those of a group's elements that a byte of `mask` belongs to; i is the index of the group's first. */
INLINE uint64_t add_sparse(tally *t, const pairs *c, size_t i, uint64_t mask)
{
    const unsigned size = (unsigned)size_of(c->dtype);
    uint64_t different = 0;
    while (mask) {
        const unsigned k = (unsigned)__builtin_ctzll(mask) / size;
        different += add_pair(t, c, i + k);
        mask &= k * size + size == GROUP_BYTES ? 0 : ~(uint64_t)0 << (k * size + size);
    }
    return different;
}

/* The block of elements from i on; returns how many are not the same. */
INLINE uint64_t add_block(tally *t, const pairs *c, size_t i)
{
    const size_t size = size_of(c->dtype), group = GROUP_BYTES / size;
    const char *a = c->a + i * size, *b = c->b + i * size;
    uint64_t masks[BLOCK_GROUPS], any = 0, bytes = 0, different = 0;
    for (size_t g = 0; g < BLOCK_GROUPS; g++)
        any |= masks[g] = differing_bytes(a + g * GROUP_BYTES, b + g * GROUP_BYTES);
    if (!any)
        return 0;
    for (size_t g = 0; g < BLOCK_GROUPS; g++)
        bytes += (uint64_t)__builtin_popcountll(masks[g]);
    if (bytes > BLOCK_BYTES / 16)
        return add_dense(t, c, i, i + BLOCK_BYTES / size);
    for (size_t g = 0; g < BLOCK_GROUPS; g++)
        different += add_sparse(t, c, i + g * group, masks[g]);
    return different;
}

/* The first of elements [i, end) that are not the same; there is one. */
INLINE int64_t find_first(const pairs *c, size_t i)
{
    tally unused = {0};
    while (!add_pair(&unused, c, i))
        i++;
    return (int64_t)i;
}

INLINE void differ(vr_difference *out, const pairs *c, size_t n)
{
    const size_t block = BLOCK_BYTES / size_of(c->dtype);
    tally t = {0};
    int64_t first = -1;
    size_t i = 0;
    for (; i + block <= n; i += block)
        if (add_block(&t, c, i) && first < 0)
            first = find_first(c, i);
    if (add_dense(&t, c, i, n) && first < 0)
        first = find_first(c, i);
    *out = (vr_difference){
        .count = (int64_t)n,
        .unequal = (int64_t)t.unequal,
        .different = (int64_t)t.different,
        .first = first,
        .nan_mismatch = (int64_t)t.nan_mismatch,
        .max_abs = LOAD(double, &t.max_abs),
        .max_rel = LOAD(double, &t.max_rel),
        .max_ulp = t.max_ulp,
    };
}

void KERNEL(differ, VR_ISA)(vr_difference *out, const void *a, const void *b, vr_dtype dtype, size_t n,
                            const vr_tolerance *tolerance)
{
    vr_tolerance bounds;
    const bool tolerant = read_tolerance(&bounds, tolerance);
#define CASE(type)                                                                                                     \
    case type:                                                                                                         \
        if (tolerant)                                                                                                  \
            differ(out, &(pairs){a, b, type, true, bounds}, n);                                                        \
        else                                                                                                           \
            differ(out, &(pairs){a, b, type, false, bounds}, n);                                                       \
        break
    switch (dtype) {
        EACH_DTYPE(CASE)
    }
}
