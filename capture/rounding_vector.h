/* rounding_vector.h - vectors for rounding_kernel.c: of the instruction set it is compiled for, 32-bit or 64-bit lanes.
 */
#ifndef VR_ROUNDING_VECTOR_H
#define VR_ROUNDING_VECTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#define LANES32 (VECTOR_BYTES / 4)
#define LANES64 (VECTOR_BYTES / 8)

#define INLINE       static inline __attribute__((always_inline))
#define VECTOR(type) __attribute__((vector_size(VECTOR_BYTES))) type

typedef VECTOR(float) f32v;
typedef VECTOR(uint32_t) u32v;
typedef VECTOR(int32_t) i32v;
typedef VECTOR(double) f64v;
typedef VECTOR(uint64_t) u64v;
typedef VECTOR(int64_t) i64v;

#define SIGN32 UINT32_C(0x80000000)
#define SIGN64 UINT64_C(0x8000000000000000)

/* Not memcpy, which compilers cut into pieces that a load then has to wait for. */
typedef u32v unaligned __attribute__((aligned(1), may_alias));

INLINE u32v load(const void *at)
{
    return *(const unaligned *)at;
}

INLINE void store(void *at, u32v x)
{
    *(unaligned *)at = x;
}

/* Toward zero; what is out of range, and NaN, gives no positive number, or the largest. */
INLINE i32v truncated(f32v x)
{
#if defined(__AVX512F__)
    return (i32v)_mm512_cvttps_epi32((__m512)x);
#elif defined(__AVX2__)
    return (i32v)_mm256_cvttps_epi32((__m256)x);
#elif defined(__SSE2__)
    return (i32v)_mm_cvttps_epi32((__m128)x);
#else
    return __builtin_convertvector(x, i32v);
#endif
}

/* x + step where a < b, else x. */
INLINE u32v add_where_less32(u32v x, u32v step, i32v a, i32v b)
{
#if defined(__AVX512F__)
    return (u32v)_mm512_mask_add_epi32((__m512i)x, _mm512_cmplt_epi32_mask((__m512i)a, (__m512i)b), (__m512i)x,
                                       (__m512i)step);
#else
    return x + ((u32v)(a < b) & step);
#endif
}

/* x + step where a <= b, else x. */
INLINE u64v add_where_not_above64(u64v x, u64v step, f64v a, f64v b)
{
#if defined(__AVX512F__)
    return (u64v)_mm512_mask_add_epi64((__m512i)x, _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_LE_OQ), (__m512i)x,
                                       (__m512i)step);
#else
    return x + ((u64v)(a <= b) & step);
#endif
}

/* `other` where x is a zero, else `out`. */
INLINE u32v take_where_zero32(u32v out, u32v other, u32v x)
{
#if defined(__AVX512F__)
    const __mmask16 zero = _mm512_testn_epi32_mask((__m512i)x, _mm512_set1_epi32(INT32_MAX));
    return (u32v)_mm512_mask_mov_epi32((__m512i)out, zero, (__m512i)other);
#else
    const u32v zero = (u32v)((x & ~SIGN32) == 0);
    return (other & zero) | (out & ~zero);
#endif
}

INLINE u64v take_where_zero64(u64v out, u64v other, u64v x)
{
#if defined(__AVX512F__)
    const __mmask8 zero = _mm512_testn_epi64_mask((__m512i)x, _mm512_set1_epi64(INT64_MAX));
    return (u64v)_mm512_mask_mov_epi64((__m512i)out, zero, (__m512i)other);
#else
    const u64v zero = (u64v)((x & ~SIGN64) == 0);
    return (other & zero) | (out & ~zero);
#endif
}

/* Whether any lane is `width` or more. */
INLINE bool any_beyond32(u32v x, uint32_t width)
{
#if defined(__AVX512F__)
    return _mm512_cmpge_epu32_mask((__m512i)x, _mm512_set1_epi32((int)width)) != 0;
#elif defined(__AVX2__)
    return _mm256_movemask_epi8((__m256i)((i32v)(x ^ SIGN32) >= (i32v)((u32v){0} + (width ^ SIGN32)))) != 0;
#elif defined(__SSE2__)
    return _mm_movemask_epi8((__m128i)((i32v)(x ^ SIGN32) >= (i32v)((u32v){0} + (width ^ SIGN32)))) != 0;
#else
    bool any = false;
    for (int lane = 0; lane < LANES32; lane++)
        any |= x[lane] >= width;
    return any;
#endif
}

/* The same for multiples of 2^32. */
INLINE bool any_beyond64(u64v x, uint64_t width)
{
#if defined(__AVX512F__)
    return _mm512_cmpge_epu64_mask((__m512i)x, _mm512_set1_epi64((long long)width)) != 0;
#else
    const uint32_t upper = (uint32_t)(width >> 32);
    return any_beyond32((u32v)(x & ((uint64_t)UINT32_MAX << 32)), upper);
#endif
}

/* x where both a and b are not 0, else 0. */
INLINE u32v keep_nonzero32(u32v x, f32v a, f32v b)
{
#if defined(__AVX512F__)
    const __m512i digits = _mm512_set1_epi32(INT32_MAX);
    const __mmask16 nonzero =
        _mm512_mask_test_epi32_mask(_mm512_test_epi32_mask((__m512i)a, digits), (__m512i)b, digits);
    return (u32v)_mm512_maskz_mov_epi32(nonzero, (__m512i)x);
#else
    return x & (u32v)(a != 0) & (u32v)(b != 0);
#endif
}

INLINE u64v keep_nonzero64(u64v x, f64v a, f64v b)
{
#if defined(__AVX512F__)
    const __m512i digits = _mm512_set1_epi64(INT64_MAX);
    const __mmask8 nonzero =
        _mm512_mask_test_epi64_mask(_mm512_test_epi64_mask((__m512i)a, digits), (__m512i)b, digits);
    return (u64v)_mm512_maskz_mov_epi64(nonzero, (__m512i)x);
#else
    return x & (u64v)(a != 0) & (u64v)(b != 0);
#endif
}

/* x where y is finite and not 0, else 0. */
INLINE u64v keep_finite64(u64v x, f64v y)
{
#if defined(__AVX512F__)
    const __mmask8 other = _mm512_fpclass_pd_mask((__m512d)y, 0x9f); /* NaNs, infinities, zeros */
    return (u64v)_mm512_maskz_mov_epi64((__mmask8)~other, (__m512i)x);
#else
    return x & (u64v)(y != 0) & (u64v)(y - y == 0);
#endif
}

#if defined(__FMA__)
#define HAS_FMA true
INLINE f32v fma32(f32v a, f32v b, f32v c)
{
#if defined(__AVX512F__)
    return (f32v)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#else
    return (f32v)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#endif
}

INLINE f64v fma64(f64v a, f64v b, f64v c)
{
#if defined(__AVX512F__)
    return (f64v)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#else
    return (f64v)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#endif
}
#else
#define HAS_FMA false
#endif

INLINE f64v root64(f64v x)
{
#if defined(__AVX512F__)
    return (f64v)_mm512_sqrt_pd((__m512d)x);
#elif defined(__AVX2__)
    return (f64v)_mm256_sqrt_pd((__m256d)x);
#elif defined(__SSE2__)
    return (f64v)_mm_sqrt_pd((__m128d)x);
#else
    f64v out;
    for (int lane = 0; lane < LANES64; lane++)
        out[lane] = __builtin_sqrt(x[lane]);
    return out;
#endif
}

#endif
