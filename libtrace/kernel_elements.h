/* kernel_elements.h - what the kernels share: vectors of WIDTH elements, and the element types as their bits are.
 *
 * Included once by each kernel, which defines WIDTH first: doubles in a vector, a divisor of LANES.
 */
#ifndef VR_KERNEL_ELEMENTS_H
#define VR_KERNEL_ELEMENTS_H

#include "isa.h"

#include <math.h>
#include <string.h>

#define LANES 16 /* of a sum, see digest.h */
#define PARTS (LANES / WIDTH)

#define INLINE           static inline __attribute__((always_inline))
#define VECTOR(type)     __attribute__((vector_size(WIDTH * sizeof(type)))) type
#define KERNEL_(op, isa) vr_##op##_##isa
#define KERNEL(op, isa)  KERNEL_(op, isa)

typedef VECTOR(double) f64w;
typedef VECTOR(float) f32w;
typedef VECTOR(int8_t) i8w;
typedef VECTOR(uint8_t) u8w;
typedef VECTOR(int16_t) i16w;
typedef VECTOR(uint16_t) u16w;
typedef VECTOR(int32_t) i32w;
typedef VECTOR(uint32_t) u32w;
typedef VECTOR(int64_t) i64w;
typedef VECTOR(uint64_t) u64w;

/* CASE(type); for every element type: the compiler makes a kernel of its own for each. */
#define EACH_DTYPE(CASE)                                                                                               \
    CASE(VR_F64);                                                                                                      \
    CASE(VR_F32);                                                                                                      \
    CASE(VR_F16);                                                                                                      \
    CASE(VR_BF16);                                                                                                     \
    CASE(VR_F8E4M3);                                                                                                   \
    CASE(VR_F8E5M2);                                                                                                   \
    CASE(VR_I8);                                                                                                       \
    CASE(VR_I16);                                                                                                      \
    CASE(VR_I32);                                                                                                      \
    CASE(VR_I64);                                                                                                      \
    CASE(VR_U8);                                                                                                       \
    CASE(VR_U16);                                                                                                      \
    CASE(VR_U32);                                                                                                      \
    CASE(VR_U64);                                                                                                      \
    CASE(VR_BOOL);

/* The positive codes of a float type without their sign: the smallest normal, the smallest that is not finite. */
typedef struct layout {
    uint64_t normal, special;
} layout;

INLINE layout layout_of(vr_dtype dtype)
{
    switch (dtype) {
    case VR_F64:
        return (layout){0x0010000000000000, 0x7ff0000000000000};
    case VR_F32:
        return (layout){0x00800000, 0x7f800000};
    case VR_F16:
        return (layout){0x0400, 0x7c00};
    case VR_BF16:
        return (layout){0x0080, 0x7f80};
    case VR_F8E4M3:
        return (layout){0x08, 0x7f};
    case VR_F8E5M2:
        return (layout){0x04, 0x7c};
    default:
        return (layout){0, 0};
    }
}

INLINE size_t size_of(vr_dtype dtype)
{
    switch (dtype) {
    case VR_F64:
    case VR_I64:
    case VR_U64:
        return 8;
    case VR_F32:
    case VR_I32:
    case VR_U32:
        return 4;
    case VR_F16:
    case VR_BF16:
    case VR_I16:
    case VR_U16:
        return 2;
    default:
        return 1;
    }
}

INLINE bool is_signed(vr_dtype dtype)
{
    return dtype == VR_I8 || dtype == VR_I16 || dtype == VR_I32 || dtype == VR_I64;
}

/* Integers that no double holds: their differences are taken of the integers. */
INLINE bool is_wide_integer(vr_dtype dtype)
{
    return dtype == VR_I64 || dtype == VR_U64;
}

INLINE bool is_float(vr_dtype dtype)
{
    return layout_of(dtype).special != 0;
}

/* Elements are finite below this value, as load() gives them. */
INLINE double finite_limit(vr_dtype dtype)
{
    switch (dtype) {
    case VR_F16:
    case VR_F8E5M2:
        return 65536;
    case VR_F8E4M3:
        return 480;
    default:
        return INFINITY;
    }
}

/* The tolerance as kernels use it, and whether there is any. */
INLINE bool read_tolerance(vr_tolerance *out, const vr_tolerance *tolerance)
{
    *out = *tolerance;
    if (!(out->relative >= 0))
        out->relative = -INFINITY; /* -1 would let 0 <= -1 * 0 */
    return out->absolute >= 0 || out->relative >= 0 || out->ulp >= 0 || out->nan_equal;
}

#define CONVERT(vector, type) __builtin_convertvector(vector, type)
#define LOAD(type, at)                                                                                                 \
    ({                                                                                                                 \
        type vector_;                                                                                                  \
        memcpy(&vector_, at, sizeof vector_);                                                                          \
        vector_;                                                                                                       \
    })

/* x rounded once: its halves are put in the significands of 2^84 and 2^52, and what that adds is taken off the upper
 * one. */
INLINE f64w from_u64(u64w x, double bias)
{
    const f64w high = (f64w)((x >> 32) | 0x4530000000000000), low = (f64w)((x & 0xffffffff) | 0x4330000000000000);
    return (high - (0x1p84 + 0x1p52 + bias)) + low;
}

#endif
