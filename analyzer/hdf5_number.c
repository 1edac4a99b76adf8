/* Numbers of HDF5 files as they are in memory: native types, and the small floats as their bits. */
#include "hdf5_plan.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(LDBL_MANT_DIG >= 64, "a long double has to hold every 64-bit integer");

typedef struct float_layout {
    size_t sign, exponent, exponent_bits, mantissa, mantissa_bits, bias;
    H5T_norm_t norm;
} float_layout;

static bool get_layout(hid_t type, float_layout *out)
{
    memset(out, 0, sizeof *out); /* compared as bytes */
    out->bias = H5Tget_ebias(type);
    out->norm = H5Tget_norm(type);
    return H5Tget_fields(type, &out->sign, &out->exponent, &out->exponent_bits, &out->mantissa, &out->mantissa_bits) >=
               0 &&
           out->exponent_bits < 32 && out->bias < 1u << 31;
}

/* The dtype a float type of a file is, bit for bit; 0: none. */
static vr_dtype float_dtype(hid_t file)
{
    static const struct {
        vr_dtype dtype;
        float_layout layout;
    } known[] = {
        {VR_F64, {63, 52, 11, 0, 52, 1023, H5T_NORM_IMPLIED}}, {VR_F32, {31, 23, 8, 0, 23, 127, H5T_NORM_IMPLIED}},
        {VR_F16, {15, 10, 5, 0, 10, 15, H5T_NORM_IMPLIED}},    {VR_BF16, {15, 7, 8, 0, 7, 127, H5T_NORM_IMPLIED}},
        {VR_F8E4M3, {7, 3, 4, 0, 3, 7, H5T_NORM_IMPLIED}},     {VR_F8E5M2, {7, 2, 5, 0, 2, 15, H5T_NORM_IMPLIED}},
    };
    float_layout layout;
    if (!get_layout(file, &layout) || H5Tget_offset(file) != 0)
        return 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const float_layout *k = &known[i].layout;
        if (H5Tget_size(file) == vr_dtype_size(known[i].dtype) && layout.sign == k->sign &&
            layout.exponent == k->exponent && layout.exponent_bits == k->exponent_bits &&
            layout.mantissa == k->mantissa && layout.mantissa_bits == k->mantissa_bits && layout.bias == k->bias &&
            layout.norm == k->norm)
            return known[i].dtype;
    }
    return 0;
}

/* Whether a binary format of so many digits and exponents (as in float.h) holds every value of a layout. */
static bool holds(int digits, int min_exp, int max_exp, const float_layout *x)
{
    const int64_t own = (int64_t)x->mantissa_bits + (x->norm == H5T_NORM_IMPLIED);
    const int64_t largest = ((int64_t)1 << x->exponent_bits) - 2 - (int64_t)x->bias;
    const int64_t lowest_bit = 1 - (int64_t)x->bias - (own - 1);
    return own <= digits && largest <= max_exp - 1 && lowest_bit >= min_exp - digits;
}

static hid_t float_type(hid_t file, vr_dtype *dtype)
{
    *dtype = float_dtype(file);
    if (*dtype == VR_F64 || *dtype == VR_F32)
        return H5Tcopy(*dtype == VR_F64 ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT);
    if (*dtype) {
        const hid_t bits = H5Tcopy(file);
        H5Tset_order(bits, H5Tget_order(H5T_NATIVE_DOUBLE));
        return bits;
    }
    float_layout layout;
    if (!get_layout(file, &layout))
        return -1;
    if (holds(FLT_MANT_DIG, FLT_MIN_EXP, FLT_MAX_EXP, &layout)) {
        *dtype = VR_F32;
        return H5Tcopy(H5T_NATIVE_FLOAT);
    }
    if (holds(DBL_MANT_DIG, DBL_MIN_EXP, DBL_MAX_EXP, &layout)) {
        *dtype = VR_F64;
        return H5Tcopy(H5T_NATIVE_DOUBLE);
    }
    return holds(LDBL_MANT_DIG, LDBL_MIN_EXP, LDBL_MAX_EXP, &layout) ? H5Tcopy(H5T_NATIVE_LDOUBLE) : -1;
}

hid_t va_number_type(hid_t file, vr_dtype *dtype)
{
    if (H5Tget_class(file) == H5T_FLOAT)
        return float_type(file, dtype);
    const bool is_signed = H5Tget_sign(file) != H5T_SGN_NONE;
    const size_t bits = H5Tget_precision(file);
    if (bits == 0 || bits > 64)
        return -1;
    const int step = bits <= 8 ? 0 : bits <= 16 ? 1 : bits <= 32 ? 2 : 3;
    const hid_t types[2][4] = {{H5T_NATIVE_UINT8, H5T_NATIVE_UINT16, H5T_NATIVE_UINT32, H5T_NATIVE_UINT64},
                               {H5T_NATIVE_INT8, H5T_NATIVE_INT16, H5T_NATIVE_INT32, H5T_NATIVE_INT64}};
    *dtype = (vr_dtype)((is_signed ? VR_I8 : VR_U8) + step);
    return H5Tcopy(types[is_signed][step]);
}

bool va_same_number_type(hid_t a, hid_t b)
{
    if (H5Tequal(a, b) > 0) /* also where a damaged layout makes no sense */
        return true;
    if (H5Tget_class(a) != H5Tget_class(b) || H5Tget_precision(a) != H5Tget_precision(b))
        return false;
    if (H5Tget_class(a) == H5T_INTEGER)
        return H5Tget_sign(a) == H5Tget_sign(b);
    float_layout x, y;
    return get_layout(a, &x) && get_layout(b, &y) && memcmp(&x, &y, sizeof x) == 0;
}

/* ---- values ---- */

static uint64_t load_bits(const void *at, size_t size)
{
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    switch (size) {
    case 1:
        memcpy(&u8, at, 1);
        return u8;
    case 2:
        memcpy(&u16, at, 2);
        return u16;
    case 4:
        memcpy(&u32, at, 4);
        return u32;
    default:
        memcpy(&u64, at, 8);
        return u64;
    }
}

static bool is_signed_integer(vr_dtype dtype)
{
    return dtype >= VR_I8 && dtype <= VR_I64;
}

static bool is_integer(vr_dtype dtype)
{
    return dtype >= VR_I8 && dtype <= VR_U64;
}

/* The bits of an integer, its sign extended. */
static uint64_t load_integer(const void *at, vr_dtype dtype)
{
    const size_t size = vr_dtype_size(dtype);
    const unsigned unused = 64 - 8 * (unsigned)size;
    const uint64_t bits = load_bits(at, size) << unused;
    return is_signed_integer(dtype) ? (uint64_t)((int64_t)bits >> unused) : bits >> unused;
}

double va_number_f64(vr_dtype dtype, const void *at)
{
    double value;
    if (dtype) {
        vr_to_f64(&value, at, dtype, 1);
        return value;
    }
    long double wide;
    memcpy(&wide, at, sizeof wide);
    return (double)wide;
}

static long double load_wide(vr_dtype dtype, const void *at)
{
    long double value;
    if (dtype == 0)
        memcpy(&value, at, sizeof value);
    else if (!is_integer(dtype))
        value = va_number_f64(dtype, at);
    else if (is_signed_integer(dtype))
        value = (long double)(int64_t)load_integer(at, dtype);
    else
        value = (long double)load_integer(at, dtype);
    return value;
}

/* Signed integers in the order of the values of a float type, 1 apart where these are neighbours. */
static int64_t float_key(uint64_t bits, size_t size)
{
    const uint64_t sign = (uint64_t)1 << (8 * size - 1), magnitude = bits & (sign - 1);
    return bits & sign ? -(int64_t)magnitude : (int64_t)magnitude;
}

static uint64_t distance_of(vr_dtype dtype, const void *a, const void *b)
{
    const size_t size = vr_dtype_size(dtype);
    if (!is_integer(dtype)) {
        const int64_t x = float_key(load_bits(a, size), size), y = float_key(load_bits(b, size), size);
        return x > y ? (uint64_t)x - (uint64_t)y : (uint64_t)y - (uint64_t)x;
    }
    const uint64_t x = load_integer(a, dtype), y = load_integer(b, dtype);
    const bool ahead = is_signed_integer(dtype) ? (int64_t)x > (int64_t)y : x > y;
    return ahead ? x - y : y - x;
}

/* Adds a pair of finite numbers; whether it is within the absolute or relative tolerance. */
static bool add_finite(va_h5_result *result, const vr_tolerance *t, long double difference, long double largest)
{
    const double relative = (double)(largest > 0 ? difference / largest : 0);
    if ((double)difference > result->max_abs)
        result->max_abs = (double)difference;
    if (relative > result->max_rel)
        result->max_rel = relative;
    return (t->absolute >= 0 && difference <= t->absolute) || (t->relative >= 0 && difference <= t->relative * largest);
}

bool va_same_number(va_h5_result *result, const vr_tolerance *tolerance, vr_dtype dtype, const void *a, const void *b,
                    bool *unequal)
{
    const size_t size = vr_dtype_size(dtype);
    if (load_bits(a, size) == load_bits(b, size))
        return true;
    *unequal = true;
    const double x = va_number_f64(dtype, a), y = va_number_f64(dtype, b);
    if (isnan(x) || isnan(y)) {
        result->nan_mismatch += isnan(x) != isnan(y);
        return isnan(x) && isnan(y) && tolerance->nan_equal;
    }
    const uint64_t distance = distance_of(dtype, a, b);
    if (distance > result->max_ulp)
        result->max_ulp = distance;
    bool within = tolerance->ulp >= 0 && distance <= (uint64_t)tolerance->ulp;
    if (isfinite(x) && isfinite(y)) {
        /* In doubles, as vr_compare; a difference too large for one is Inf, one of integers rounded once. */
        const double difference = is_integer(dtype) ? (double)distance : fabs(x - y);
        const double largest = fmax(fabs(x), fabs(y));
        const double relative = largest > 0 ? difference / largest : 0;
        result->max_abs = fmax(result->max_abs, difference);
        result->max_rel = fmax(result->max_rel, relative);
        within |= tolerance->absolute >= 0 && difference <= tolerance->absolute;
        within |= tolerance->relative >= 0 && difference <= tolerance->relative * largest;
    }
    return within;
}

/* What bytes of a long double are of its value; the rest is padding. */
#define WIDE_BYTES (LDBL_MANT_DIG == 64 ? 10 : sizeof(long double))

static bool same_bits(long double x, long double y)
{
    return memcmp(&x, &y, WIDE_BYTES) == 0;
}

/* The bits of a long double without its sign, in the order of the values: neighbours are 1 apart. */
static unsigned __int128 wide_magnitude(long double x)
{
    unsigned __int128 bits = 0;
    memcpy(&bits, &x, WIDE_BYTES);
    if (LDBL_MANT_DIG != 64)
        return bits & ~((unsigned __int128)1 << 127);
    const uint64_t significand = (uint64_t)bits & INT64_MAX; /* without the leading bit, which is not implied */
    return (bits >> 64 & 0x7fff) << 63 | significand;
}

static uint64_t wide_distance(long double x, long double y)
{
    const unsigned __int128 p = wide_magnitude(x), q = wide_magnitude(y);
    const bool together = !signbit(x) == !signbit(y);
    const unsigned __int128 distance = !together ? p + q : p > q ? p - q : q - p;
    return distance < UINT64_MAX ? (uint64_t)distance : UINT64_MAX;
}

bool va_same_mixed(va_h5_result *result, const vr_tolerance *tolerance, const vr_dtype dtype[2], const void *a,
                   const void *b, bool *unequal)
{
    const long double x = load_wide(dtype[0], a), y = load_wide(dtype[1], b);
    const bool integers[2] = {is_integer(dtype[0]), is_integer(dtype[1])};
    if (same_bits(x, y) || (x == y && (integers[0] || integers[1])))
        return true;
    *unequal = true;
    if (isnan(x) || isnan(y)) {
        result->nan_mismatch += isnan(x) != isnan(y);
        return isnan(x) && isnan(y) && tolerance->nan_equal;
    }
    const long double difference = fabsl(x - y);
    bool within = false;
    const bool wide = dtype[0] == 0 && dtype[1] == 0;
    if (wide || (integers[0] && integers[1])) {
        const uint64_t distance = wide ? wide_distance(x, y) : difference < 0x1p64L ? (uint64_t)difference : UINT64_MAX;
        if (distance > result->max_ulp)
            result->max_ulp = distance;
        within = tolerance->ulp >= 0 && distance <= (uint64_t)tolerance->ulp;
    }
    if (isfinite(x) && isfinite(y))
        within |= add_finite(result, tolerance, difference, fmaxl(fabsl(x), fabsl(y)));
    return within;
}

/* ---- text ---- */

static void nan_text(char out[VA_NUMBER_TEXT], vr_dtype dtype, const void *at)
{
    const double usual = NAN;
    uint8_t bits[16];
    if (dtype == 0) {
        snprintf(out, VA_NUMBER_TEXT, "NaN");
        return;
    }
    vr_from_f64(bits, dtype, &usual, 1);
    const size_t size = vr_dtype_size(dtype);
    const uint64_t own = load_bits(at, size);
    if (own == load_bits(bits, size))
        snprintf(out, VA_NUMBER_TEXT, "NaN");
    else
        snprintf(out, VA_NUMBER_TEXT, "NaN (0x%0*" PRIx64 ")", (int)(2 * size), own);
}

/* Whether the text reads as the very number. */
static bool reads_as(const char *text, vr_dtype dtype, const void *at)
{
    if (dtype == 0)
        return strtold(text, NULL) == load_wide(dtype, at);
    const double value = strtod(text, NULL);
    uint8_t bits[8];
    if (dtype == VR_F32) {
        const float single = strtof(text, NULL);
        return memcmp(&single, at, sizeof single) == 0;
    }
    vr_from_f64(bits, dtype, &value, 1);
    return memcmp(bits, at, vr_dtype_size(dtype)) == 0;
}

void va_number_text(char out[VA_NUMBER_TEXT], vr_dtype dtype, const void *at)
{
    if (is_signed_integer(dtype)) {
        snprintf(out, VA_NUMBER_TEXT, "%" PRId64, (int64_t)load_integer(at, dtype));
        return;
    }
    if (is_integer(dtype)) {
        snprintf(out, VA_NUMBER_TEXT, "%" PRIu64, load_integer(at, dtype));
        return;
    }
    const long double value = load_wide(dtype, at);
    if (isnan(value)) {
        nan_text(out, dtype, at);
        return;
    }
    int digits = 1;
    do
        snprintf(out, VA_NUMBER_TEXT, "%.*Lg", digits, value);
    while (!isinf(value) && !reads_as(out, dtype, at) && digits++ < LDBL_DECIMAL_DIG);
    if (fabsl(value) >= 1 && fabsl(value) < 1e9L) { /* 1200, not 1.2e+03 */
        const int whole = 1 + (int)floorl(log10l(fabsl(value)));
        snprintf(out, VA_NUMBER_TEXT, "%.*Lg", digits > whole ? digits : whole, value);
    }
}
