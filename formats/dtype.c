#include <varanalyze/dtype.h>

#include "fail.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define F64_MANTISSA 52
#define F64_BIAS     1023
#define F64_SIGN     (UINT64_C(1) << 63)
#define F64_INFINITY (UINT64_C(0x7ff) << F64_MANTISSA)
#define F64_QUIET    (UINT64_C(1) << (F64_MANTISSA - 1))

/* A binary float narrower than f64: sign, exponent, mantissa. Without infinity, all ones is the only NaN. */
struct format {
    int exponent, mantissa;
    bool has_infinity;
};

static const struct format f32 = {8, 23, true};
static const struct format f16 = {5, 10, true};
static const struct format bf16 = {8, 7, true};
static const struct format f8e4m3 = {4, 3, false};
static const struct format f8e5m2 = {5, 2, true};

static const struct {
    const char *name;
    size_t size;
} types[] = {
    [0] = {"?", 0},          [VR_F64] = {"f64", 8},       [VR_F32] = {"f32", 4},       [VR_F16] = {"f16", 2},
    [VR_BF16] = {"bf16", 2}, [VR_F8E4M3] = {"f8e4m3", 1}, [VR_F8E5M2] = {"f8e5m2", 1}, [VR_I8] = {"i8", 1},
    [VR_I16] = {"i16", 2},   [VR_I32] = {"i32", 4},       [VR_I64] = {"i64", 8},       [VR_U8] = {"u8", 1},
    [VR_U16] = {"u16", 2},   [VR_U32] = {"u32", 4},       [VR_U64] = {"u64", 8},       [VR_BOOL] = {"bool", 1},
};

/* The row of `types`, 0 for a value that is no type: it may come from a file. */
static unsigned type_row(vr_dtype dtype)
{
    return (unsigned)dtype <= VR_DTYPE_LAST ? (unsigned)dtype : 0;
}

size_t vr_dtype_size(vr_dtype dtype)
{
    return types[type_row(dtype)].size;
}

const char *vr_dtype_name(vr_dtype dtype)
{
    return types[type_row(dtype)].name;
}

vr_status vr_dtype_parse(vr_dtype *out, const char *name)
{
    for (unsigned row = VR_F64; row <= VR_DTYPE_LAST; row++) {
        if (strcmp(name, types[row].name) == 0) {
            *out = (vr_dtype)row;
            return VR_OK;
        }
    }
    return vr_fail(VR_ERROR_ARGUMENT,
                   "no element type \"%s\"; use one of f64, f32, f16, bf16, f8e4m3, f8e5m2, i8, i16, i32, i64, u8, "
                   "u16, u32, u64, bool",
                   name);
}

bool vr_dtype_is_float(vr_dtype dtype)
{
    return dtype >= VR_F64 && dtype <= VR_F8E5M2;
}

/* Elements go through memcpy: the caller's objects have types of their own. */
static inline uint16_t load16(const void *in, size_t i)
{
    uint16_t code;
    memcpy(&code, (const char *)in + i * sizeof code, sizeof code);
    return code;
}

static inline uint32_t load32(const void *in, size_t i)
{
    uint32_t code;
    memcpy(&code, (const char *)in + i * sizeof code, sizeof code);
    return code;
}

static inline uint64_t load64(const void *in, size_t i)
{
    uint64_t code;
    memcpy(&code, (const char *)in + i * sizeof code, sizeof code);
    return code;
}

static inline void store16(void *out, size_t i, uint16_t code)
{
    memcpy((char *)out + i * sizeof code, &code, sizeof code);
}

static inline void store32(void *out, size_t i, uint32_t code)
{
    memcpy((char *)out + i * sizeof code, &code, sizeof code);
}

static inline void store64(void *out, size_t i, uint64_t code)
{
    memcpy((char *)out + i * sizeof code, &code, sizeof code);
}

static inline uint64_t quiet64(uint64_t bits)
{
    return (bits & ~F64_SIGN) > F64_INFINITY ? bits | F64_QUIET : bits;
}

static inline uint32_t quiet32(uint32_t bits)
{
    return (bits & 0x7fffffff) > 0x7f800000 ? bits | 0x00400000 : bits;
}

static inline int bias(struct format f)
{
    return (1 << (f.exponent - 1)) - 1;
}

static inline uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline double value_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The code above the largest finite one: Inf, or the NaN of a format without. */
static inline uint32_t overflow_code(struct format f)
{
    const uint32_t infinity = ((UINT32_C(1) << f.exponent) - 1) << f.mantissa;
    return f.has_infinity ? infinity : infinity | ((UINT32_C(1) << f.mantissa) - 1);
}

/* The value of a narrow float. Nothing here rounds or meets a subnormal double, so the caller's rounding mode and
 * flush-to-zero do not matter. */
static inline double decode(uint32_t code, struct format f)
{
    const uint64_t sign = (uint64_t)(code >> (f.exponent + f.mantissa)) << 63;
    const uint32_t magnitude = code & ((UINT32_C(1) << (f.exponent + f.mantissa)) - 1);
    const uint64_t wide = (uint64_t)magnitude << (F64_MANTISSA - f.mantissa);
    const double smallest = value_of((uint64_t)(F64_BIAS + 1 - bias(f) - f.mantissa) << F64_MANTISSA);

    const uint64_t normal = wide + ((uint64_t)(F64_BIAS - bias(f)) << F64_MANTISSA);
    const uint64_t subnormal = bits_of((double)(int32_t)magnitude * smallest);
    const uint64_t finite = magnitude >> f.mantissa ? normal : subnormal;
    const bool is_finite = magnitude < overflow_code(f);
    return value_of(sign | (is_finite ? finite : quiet64(wide | F64_INFINITY)));
}

/* bits / 2^shift to nearest, ties to even; 0 < shift < 64. */
static inline uint64_t round_shift(uint64_t bits, int shift)
{
    const uint64_t below_half = (UINT64_C(1) << (shift - 1)) - 1;
    return (bits + below_half + (bits >> shift & 1)) >> shift;
}

/* The narrow float nearest to a double, ties to even, in integers only: a carry out of the mantissa raises the
 * exponent, as it should, up to the overflow code. */
static inline uint32_t encode(double value, struct format f)
{
    const int shift = F64_MANTISSA - f.mantissa;
    const int smallest_exponent = F64_BIAS + 1 - bias(f);
    const uint64_t bits = bits_of(value);
    const uint64_t magnitude = bits & ~F64_SIGN;
    const uint32_t sign = (uint32_t)(bits >> 63) << (f.exponent + f.mantissa);
    const int exponent = (int)(magnitude >> F64_MANTISSA);

    if (magnitude > F64_INFINITY) {
        const uint32_t payload = (uint32_t)(quiet64(magnitude) >> shift) & ((UINT32_C(1) << f.mantissa) - 1);
        return sign | overflow_code(f) | payload;
    }
    if (exponent < smallest_exponent) {
        const int drop = smallest_exponent - exponent;
        const uint64_t significand = (magnitude & (F64_QUIET * 2 - 1)) | F64_QUIET * 2;
        return drop > f.mantissa + 1 ? sign : sign | (uint32_t)round_shift(significand, shift + drop);
    }
    const uint64_t code = round_shift(magnitude, shift) - ((uint64_t)(F64_BIAS - bias(f)) << f.mantissa);
    return sign | (code < overflow_code(f) ? (uint32_t)code : overflow_code(f));
}

/* The integer of `bits` bits nearest to zero from `value`; saturates, NaN gives 0. */
static inline int64_t to_signed(double value, int bits)
{
    const int64_t max = INT64_MAX >> (64 - bits);
    const double limit = (double)(UINT64_C(1) << (bits - 1));
    if (isnan(value))
        return 0;
    if (value >= limit)
        return max;
    return value > -limit ? (int64_t)value : -max - 1;
}

static inline uint64_t to_unsigned(double value, int bits)
{
    const double limit = 2 * (double)(UINT64_C(1) << (bits - 1));
    if (!(value > 0))
        return 0;
    return value < limit ? (uint64_t)value : UINT64_MAX >> (64 - bits);
}

void vr_to_f64(double *out, const void *in, vr_dtype dtype, size_t n)
{
    const uint8_t *bytes = in;
    switch (dtype) {
    case VR_F64:
        for (size_t i = 0; i < n; i++)
            store64(out, i, quiet64(load64(in, i)));
        break;
    case VR_F32:
        for (size_t i = 0; i < n; i++)
            out[i] = decode(load32(in, i), f32);
        break;
    case VR_F16:
        for (size_t i = 0; i < n; i++)
            out[i] = decode(load16(in, i), f16);
        break;
    case VR_BF16:
        for (size_t i = 0; i < n; i++)
            out[i] = decode(load16(in, i), bf16);
        break;
    case VR_F8E4M3:
        for (size_t i = 0; i < n; i++)
            out[i] = decode(bytes[i], f8e4m3);
        break;
    case VR_F8E5M2:
        for (size_t i = 0; i < n; i++)
            out[i] = decode(bytes[i], f8e5m2);
        break;
    case VR_I8:
        for (size_t i = 0; i < n; i++)
            out[i] = (int8_t)bytes[i];
        break;
    case VR_I16:
        for (size_t i = 0; i < n; i++)
            out[i] = (int16_t)load16(in, i);
        break;
    case VR_I32:
        for (size_t i = 0; i < n; i++)
            out[i] = (int32_t)load32(in, i);
        break;
    case VR_I64:
        for (size_t i = 0; i < n; i++)
            out[i] = (double)(int64_t)load64(in, i);
        break;
    case VR_U8:
        for (size_t i = 0; i < n; i++)
            out[i] = bytes[i];
        break;
    case VR_U16:
        for (size_t i = 0; i < n; i++)
            out[i] = load16(in, i);
        break;
    case VR_U32:
        for (size_t i = 0; i < n; i++)
            out[i] = load32(in, i);
        break;
    case VR_U64:
        for (size_t i = 0; i < n; i++)
            out[i] = (double)load64(in, i);
        break;
    case VR_BOOL:
        for (size_t i = 0; i < n; i++)
            out[i] = bytes[i] != 0;
        break;
    }
}

void vr_from_f64(void *out, vr_dtype dtype, const double *in, size_t n)
{
    uint8_t *bytes = out;
    switch (dtype) {
    case VR_F64:
        for (size_t i = 0; i < n; i++)
            store64(out, i, quiet64(load64(in, i)));
        break;
    case VR_F32:
        for (size_t i = 0; i < n; i++)
            store32(out, i, encode(in[i], f32));
        break;
    case VR_F16:
        for (size_t i = 0; i < n; i++)
            store16(out, i, (uint16_t)encode(in[i], f16));
        break;
    case VR_BF16:
        for (size_t i = 0; i < n; i++)
            store16(out, i, (uint16_t)encode(in[i], bf16));
        break;
    case VR_F8E4M3:
        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)encode(in[i], f8e4m3);
        break;
    case VR_F8E5M2:
        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)encode(in[i], f8e5m2);
        break;
    case VR_I8:
        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)to_signed(in[i], 8);
        break;
    case VR_I16:
        for (size_t i = 0; i < n; i++)
            store16(out, i, (uint16_t)to_signed(in[i], 16));
        break;
    case VR_I32:
        for (size_t i = 0; i < n; i++)
            store32(out, i, (uint32_t)to_signed(in[i], 32));
        break;
    case VR_I64:
        for (size_t i = 0; i < n; i++)
            store64(out, i, (uint64_t)to_signed(in[i], 64));
        break;
    case VR_U8:
        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)to_unsigned(in[i], 8);
        break;
    case VR_U16:
        for (size_t i = 0; i < n; i++)
            store16(out, i, (uint16_t)to_unsigned(in[i], 16));
        break;
    case VR_U32:
        for (size_t i = 0; i < n; i++)
            store32(out, i, (uint32_t)to_unsigned(in[i], 32));
        break;
    case VR_U64:
        for (size_t i = 0; i < n; i++)
            store64(out, i, to_unsigned(in[i], 64));
        break;
    case VR_BOOL: /* by the bits: with denormals-are-zero, in[i] != 0 misses the subnormals */
        for (size_t i = 0; i < n; i++)
            bytes[i] = (bits_of(in[i]) & ~F64_SIGN) != 0;
        break;
    }
}

#define BLOCK 512 /* doubles on the stack between the two halves of a conversion */

void vr_to_f32(float *out, const void *in, vr_dtype dtype, size_t n)
{
    switch (dtype) {
    case VR_F32:
        for (size_t i = 0; i < n; i++)
            store32(out, i, quiet32(load32(in, i)));
        return;
    case VR_I64: /* through f64 it would be rounded twice */
        for (size_t i = 0; i < n; i++)
            out[i] = (float)(int64_t)load64(in, i);
        return;
    case VR_U64:
        for (size_t i = 0; i < n; i++)
            out[i] = (float)load64(in, i);
        return;
    default:
        break;
    }
    double block[BLOCK];
    const size_t size = vr_dtype_size(dtype);
    for (size_t begin = 0; begin < n; begin += BLOCK) {
        const size_t length = n - begin < BLOCK ? n - begin : BLOCK;
        vr_to_f64(block, (const char *)in + begin * size, dtype, length);
        vr_from_f64(out + begin, VR_F32, block, length);
    }
}

void vr_from_f32(void *out, vr_dtype dtype, const float *in, size_t n)
{
    double block[BLOCK];
    const size_t size = vr_dtype_size(dtype);
    for (size_t begin = 0; begin < n; begin += BLOCK) {
        const size_t length = n - begin < BLOCK ? n - begin : BLOCK;
        vr_to_f64(block, in + begin, VR_F32, length);
        vr_from_f64((char *)out + begin * size, dtype, block, length);
    }
}
