/* The oracle is MPFR: the value of a code is built from the specification's fields, a rounding is MPFR's with the
 * format's precision and exponent range, subnormals included. */
#include <varanalyze/dtype.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <mpfr.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

/* Figures of IEEE 754-2019 table 3.5, of bfloat16, and of OFP8 1.0 tables 1 and 2. */
struct oracle {
    vr_dtype dtype;
    int exponent_bits, mantissa_bits, bias;
    double largest, smallest;
    bool has_infinity;
};

static const struct oracle oracles[] = {
    {VR_F32, 8, 23, 127, 0x1.fffffep127, 0x1p-149, true}, {VR_F16, 5, 10, 15, 65504, 0x1p-24, true},
    {VR_BF16, 8, 7, 127, 0x1.fep127, 0x1p-133, true},     {VR_F8E4M3, 4, 3, 7, 448, 0x1p-9, false},
    {VR_F8E5M2, 5, 2, 15, 57344, 0x1p-16, true},
};

#define ORACLES (sizeof oracles / sizeof *oracles)
#define NARROW  1 /* the first oracle of a type small enough to try every code */

static uint64_t bits64(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double from_bits64(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits32(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint64_t next_random(void)
{
    static uint64_t state = 1; /* splitmix64 (Steele, Lea & Flood 2014) */
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void put_code(void *element, uint64_t code, size_t size)
{
    const uint8_t code8 = (uint8_t)code;
    const uint16_t code16 = (uint16_t)code;
    const uint32_t code32 = (uint32_t)code;
    const void *const codes[] = {[1] = &code8, [2] = &code16, [4] = &code32, [8] = &code};
    memcpy(element, codes[size], size);
}

static uint32_t get_code(const void *element, size_t size)
{
    uint8_t code8;
    uint16_t code16;
    uint32_t code32;
    if (size == 1)
        return memcpy(&code8, element, size), code8;
    if (size == 2)
        return memcpy(&code16, element, size), code16;
    return memcpy(&code32, element, size), code32;
}

static uint32_t encode64(vr_dtype dtype, double value)
{
    uint64_t element;
    vr_from_f64(&element, dtype, &value, 1);
    return get_code(&element, vr_dtype_size(dtype));
}

static uint32_t encode32(vr_dtype dtype, float value)
{
    uint64_t element;
    vr_from_f32(&element, dtype, &value, 1);
    return get_code(&element, vr_dtype_size(dtype));
}

static double decode64(vr_dtype dtype, uint32_t code)
{
    uint64_t element;
    double value;
    put_code(&element, code, vr_dtype_size(dtype));
    vr_to_f64(&value, &element, dtype, 1);
    return value;
}

static float decode32(vr_dtype dtype, uint32_t code)
{
    uint64_t element;
    float value;
    put_code(&element, code, vr_dtype_size(dtype));
    vr_to_f32(&value, &element, dtype, 1);
    return value;
}

static uint32_t mantissa_of(const struct oracle *o, uint32_t code)
{
    return code & ((1u << o->mantissa_bits) - 1);
}

static uint32_t exponent_of(const struct oracle *o, uint32_t code)
{
    return code >> o->mantissa_bits & ((1u << o->exponent_bits) - 1);
}

static bool sign_of(const struct oracle *o, uint32_t code)
{
    return code >> (o->exponent_bits + o->mantissa_bits) & 1;
}

/* What the specification says a code is worth. */
static double oracle_value(const struct oracle *o, uint32_t code)
{
    const uint32_t mantissa = mantissa_of(o, code), exponent = exponent_of(o, code);
    const uint32_t top = (1u << o->exponent_bits) - 1, ones = (1u << o->mantissa_bits) - 1;
    double value;
    if (exponent == top && o->has_infinity)
        value = mantissa == 0 ? INFINITY : NAN;
    else if (exponent == top && mantissa == ones)
        value = NAN;
    else if (exponent == 0)
        value = ldexp(mantissa, 1 - o->bias - o->mantissa_bits);
    else
        value = ldexp(1 + ldexp(mantissa, -o->mantissa_bits), (int)exponent - o->bias);
    return sign_of(o, code) ? -value : value;
}

/* `value` rounded to the format by MPFR. */
static double oracle_round(const struct oracle *o, double value)
{
    mpfr_t rounded;
    mpfr_set_emax(ilogb(o->largest) + 1);
    mpfr_set_emin(ilogb(o->smallest) + 1);
    mpfr_init2(rounded, o->mantissa_bits + 1);
    const int inexact = mpfr_set_d(rounded, value, MPFR_RNDN);
    mpfr_subnormalize(rounded, inexact, MPFR_RNDN);
    const double result = mpfr_get_d(rounded, MPFR_RNDN);
    mpfr_clear(rounded);
    return fabs(result) > o->largest && !o->has_infinity ? NAN : result;
}

/* Whether a code is worth `expected`, signs of zeros and infinities included. */
static bool is_worth(const struct oracle *o, uint32_t code, double expected)
{
    const double value = oracle_value(o, code);
    return isnan(expected) ? isnan(value) : value == expected && signbit(value) == signbit(expected);
}

static void test_names_and_sizes(void **state)
{
    (void)state;
    static const struct {
        vr_dtype dtype;
        const char *name;
        size_t size;
        bool is_float;
    } known[] = {
        {1, "f64", 8, true},    {2, "f32", 4, true},    {3, "f16", 2, true},    {4, "bf16", 2, true},
        {5, "f8e4m3", 1, true}, {6, "f8e5m2", 1, true}, {7, "i8", 1, false},    {8, "i16", 2, false},
        {9, "i32", 4, false},   {10, "i64", 8, false},  {11, "u8", 1, false},   {12, "u16", 2, false},
        {13, "u32", 4, false},  {14, "u64", 8, false},  {15, "bool", 1, false},
    };
    assert_int_equal(VR_DTYPE_LAST, 15);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        vr_dtype parsed = VR_BOOL;
        assert_string_equal(vr_dtype_name(known[i].dtype), known[i].name);
        assert_int_equal(vr_dtype_size(known[i].dtype), known[i].size);
        assert_int_equal(vr_dtype_is_float(known[i].dtype), known[i].is_float);
        assert_int_equal(vr_dtype_parse(&parsed, known[i].name), VR_OK);
        assert_int_equal(parsed, known[i].dtype);
    }
    static const int strangers[] = {0, 16, -1, 255, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++) {
        assert_string_equal(vr_dtype_name((vr_dtype)strangers[i]), "?");
        assert_int_equal(vr_dtype_size((vr_dtype)strangers[i]), 0);
        assert_false(vr_dtype_is_float((vr_dtype)strangers[i]));
    }
}

static void test_unknown_name(void **state)
{
    (void)state;
    static const char *const names[] = {"", "?", "f", "f641", "F64", "float", " f32"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        vr_dtype parsed = VR_I8;
        assert_int_equal(vr_dtype_parse(&parsed, names[i]), VR_ERROR_ARGUMENT);
        assert_int_equal(parsed, VR_I8);
        assert_non_null(strstr(vr_error(), "bf16"));
    }
}

static void test_every_code_decodes(void **state)
{
    (void)state;
    for (size_t k = NARROW; k < ORACLES; k++) {
        const struct oracle *o = &oracles[k];
        double largest = 0, smallest = INFINITY;
        for (uint32_t code = 0; code < 1u << (8 * vr_dtype_size(o->dtype)); code++) {
            const double expected = oracle_value(o, code), value = decode64(o->dtype, code);
            const float narrow = decode32(o->dtype, code);
            if (isnan(expected)) {
                assert_true(isnan(value) && isnan(narrow));
                continue;
            }
            assert_int_equal(bits64(value), bits64(expected));
            assert_int_equal(bits32(narrow), bits32((float)expected));
            assert_int_equal(encode64(o->dtype, value), code);
            assert_int_equal(encode32(o->dtype, narrow), code);
            largest = isfinite(value) && value > largest ? value : largest;
            smallest = value > 0 && value < smallest ? value : smallest;
        }
        assert_true(largest == o->largest && smallest == o->smallest);
    }
}

/* `value`, its neighbours among doubles, and their negatives. */
static void check_rounding(const struct oracle *o, double value)
{
    const double near[] = {value, nextafter(value, 0), nextafter(value, INFINITY)};
    for (size_t i = 0; i < 3; i++) {
        assert_true(is_worth(o, encode64(o->dtype, near[i]), oracle_round(o, near[i])));
        assert_true(is_worth(o, encode64(o->dtype, -near[i]), oracle_round(o, -near[i])));
    }
}

static void check_rounding_f32(const struct oracle *o, double value)
{
    const float single = (float)value;
    const float near[] = {single, nextafterf(single, 0), nextafterf(single, INFINITY)};
    assert_true(single == value); /* every boundary is a float, or the test would miss it */
    for (size_t i = 0; i < 3; i++) {
        assert_true(is_worth(o, encode32(o->dtype, near[i]), oracle_round(o, near[i])));
        assert_true(is_worth(o, encode32(o->dtype, -near[i]), oracle_round(o, -near[i])));
    }
}

static void test_every_boundary_rounds(void **state)
{
    (void)state;
    for (size_t k = NARROW; k < ORACLES; k++) {
        const struct oracle *o = &oracles[k];
        uint32_t code = 0;
        for (; oracle_value(o, code) < o->largest; code++) {
            const double low = oracle_value(o, code), high = oracle_value(o, code + 1);
            check_rounding(o, low);
            check_rounding(o, low / 2 + high / 2);
            check_rounding_f32(o, low);
            check_rounding_f32(o, low / 2 + high / 2);
        }
        const double step = o->largest - oracle_value(o, code - 1);
        check_rounding(o, o->largest);
        check_rounding(o, o->largest + step / 2);
        check_rounding(o, o->largest + step);
        check_rounding_f32(o, o->largest + step / 2);
        check_rounding(o, 0x1p300);
        check_rounding(o, 0x1.fffffffffffffp1023);
        check_rounding(o, 0x1p-1022);
    }
}

static void test_overflow(void **state)
{
    (void)state;
    assert_int_equal(encode64(VR_F16, 65519.999), 0x7bff);
    assert_int_equal(encode64(VR_F16, 65520), 0x7c00);
    assert_int_equal(encode64(VR_BF16, -INFINITY), 0xff80);
    assert_int_equal(encode64(VR_F8E5M2, 61439.999), 0x7b);
    assert_int_equal(encode64(VR_F8E5M2, 61440), 0x7c);
    assert_int_equal(encode64(VR_F8E4M3, 464), 0x7e); /* a tie, to the even 448 */
    assert_int_equal(encode64(VR_F8E4M3, nextafter(464, 500)), 0x7f);
    assert_int_equal(encode64(VR_F8E4M3, 480), 0x7f);
    assert_int_equal(encode64(VR_F8E4M3, -1e300), 0xff);
    assert_int_equal(encode64(VR_F8E4M3, INFINITY), 0x7f);
    assert_int_equal(encode32(VR_F8E4M3, -INFINITY), 0xff);
    assert_int_equal(encode64(VR_F32, 0x1.fffffefffffffp127), 0x7f7fffff);
    assert_int_equal(encode64(VR_F32, 0x1.ffffffp127), 0x7f800000);
}

static void test_random_f64_to_f32(void **state)
{
    (void)state;
    const struct oracle *o = &oracles[0];
    for (int i = 0; i < 100000; i++) {
        const uint32_t code = (uint32_t)next_random() & 0x7fffffff;
        const double low = oracle_value(o, code);
        if (!(low < o->largest))
            continue;
        check_rounding(o, low);
        check_rounding(o, low / 2 + oracle_value(o, code + 1) / 2);
        assert_int_equal(bits64(decode64(VR_F32, code)), bits64(low));
        assert_int_equal(bits32(decode32(VR_F32, code)), code);
    }
    for (int i = 0; i < 100000; i++) {
        const double value = from_bits64(next_random());
        if (!isnan(value))
            assert_true(is_worth(o, encode64(VR_F32, value), oracle_round(o, value)));
    }
    for (uint32_t code = 0; code < 2000; code++) /* subnormals, and the step to zero */
        check_rounding(o, ldexp(code, -150));
}

/* A NaN's code: the sign, all of the exponent, the mantissa's bits from the top, the quiet bit set. */
static void test_nan_payloads(void **state)
{
    (void)state;
    for (size_t k = 0; k < ORACLES; k++) {
        const struct oracle *o = &oracles[k];
        const int shift = 52 - o->mantissa_bits;
        const uint32_t quiet = 1u << (o->mantissa_bits - 1), ones = (1u << o->mantissa_bits) - 1;
        for (uint32_t mantissa = 0; mantissa <= ones; mantissa += o->mantissa_bits > 20 ? 4099 : 1) {
            for (uint32_t sign = 0; sign < 2; sign++) {
                const uint32_t top = (sign << o->exponent_bits | ((1u << o->exponent_bits) - 1)) << o->mantissa_bits;
                const uint64_t wide = (uint64_t)sign << 63 | UINT64_C(0x7ff) << 52;
                const uint32_t code = top | (o->has_infinity ? mantissa | quiet : ones);
                const uint64_t low = UINT64_C(1) << (shift - 1) | 1; /* bits that do not fit */

                assert_int_equal(encode64(o->dtype, from_bits64(wide | (uint64_t)mantissa << shift | low)), code);
                if (mantissa == 0 || (!o->has_infinity && mantissa != ones))
                    continue;
                const uint64_t decoded = wide | (uint64_t)(mantissa | quiet) << shift;
                assert_int_equal(bits64(decode64(o->dtype, top | mantissa)), decoded);
                assert_int_equal(bits32(decode32(o->dtype, top | mantissa)),
                                 sign << 31 | 0xffu << 23 | (mantissa | quiet) << (23 - o->mantissa_bits));
                assert_int_equal(encode32(o->dtype, decode32(o->dtype, top | mantissa)), code);
            }
        }
    }
}

static void test_f64_is_copied(void **state)
{
    (void)state;
    static const uint64_t cases[][2] = {
        {0, 0},
        {UINT64_C(1) << 63, UINT64_C(1) << 63},
        {1, 1},
        {0x7ff0000000000000, 0x7ff0000000000000},
        {0x7ff0000000000001, 0x7ff8000000000001},
        {0xfff4000000000123, 0xfffc000000000123},
        {0xfff8000000000000, 0xfff8000000000000},
        {0x3ff123456789abcd, 0x3ff123456789abcd},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double in, to, from;
        memcpy(&in, &cases[i][0], sizeof in);
        vr_to_f64(&to, &in, VR_F64, 1);
        vr_from_f64(&from, VR_F64, &in, 1);
        assert_int_equal(bits64(to), cases[i][1]);
        assert_int_equal(bits64(from), cases[i][1]);
    }
}

/* Whole numbers of 64 bits near every power of two, with a tail that a float or a double has to round. */
static void test_integers_to_floats(void **state)
{
    (void)state;
    mpfr_t wide, narrow;
    mpfr_set_emin(-1100);
    mpfr_set_emax(1100);
    mpfr_inits2(53, wide, (mpfr_ptr)NULL);
    mpfr_inits2(24, narrow, (mpfr_ptr)NULL);
    for (int i = 0; i < 64 * 2000; i++) {
        const uint64_t random = next_random() & next_random() & next_random();
        const uint64_t value = (i % 2 ? random : next_random() | UINT64_C(1) << 63) >> (i / 2 % 64);
        const int64_t whole = i % 4 < 2 ? (int64_t)value : (int64_t)(0 - value);
        double f64;
        float f32;

        mpfr_set_uj(wide, value, MPFR_RNDN);
        mpfr_set_uj(narrow, value, MPFR_RNDN);
        vr_to_f64(&f64, &value, VR_U64, 1);
        vr_to_f32(&f32, &value, VR_U64, 1);
        assert_true(f64 == mpfr_get_d(wide, MPFR_RNDN) && f32 == mpfr_get_flt(narrow, MPFR_RNDN));

        mpfr_set_sj(wide, whole, MPFR_RNDN);
        mpfr_set_sj(narrow, whole, MPFR_RNDN);
        vr_to_f64(&f64, &whole, VR_I64, 1);
        vr_to_f32(&f32, &whole, VR_I64, 1);
        assert_true(f64 == mpfr_get_d(wide, MPFR_RNDN) && f32 == mpfr_get_flt(narrow, MPFR_RNDN));

        const uint32_t value32 = (uint32_t)value;
        mpfr_set_uj(narrow, value32, MPFR_RNDN);
        vr_to_f64(&f64, &value32, VR_U32, 1);
        vr_to_f32(&f32, &value32, VR_U32, 1);
        assert_true(f64 == value32 && f32 == mpfr_get_flt(narrow, MPFR_RNDN));

        const int32_t whole32 = (int32_t)whole;
        mpfr_set_sj(narrow, whole32, MPFR_RNDN);
        vr_to_f64(&f64, &whole32, VR_I32, 1);
        vr_to_f32(&f32, &whole32, VR_I32, 1);
        assert_true(f64 == whole32 && f32 == mpfr_get_flt(narrow, MPFR_RNDN));
    }
    mpfr_clears(wide, narrow, (mpfr_ptr)NULL);

    for (int value = -32768; value <= 65535; value++) {
        const vr_dtype types[] = {VR_I8, VR_U8, VR_I16, VR_U16};
        const int decoded[] = {(int8_t)value, (uint8_t)value, (int16_t)value, (uint16_t)value};
        for (size_t k = 0; k < 4; k++) {
            assert_true(decode64(types[k], (uint32_t)value) == decoded[k]);
            assert_true(decode32(types[k], (uint32_t)value) == (float)decoded[k]);
        }
    }
}

/* mpfr_get_sj and mpfr_get_uj truncate, saturate, and give 0 for NaN: the contract, for 64 bits. */
static void check_to_integers(double value)
{
    static const vr_dtype signed_types[] = {VR_I8, VR_I16, VR_I32, VR_I64};
    static const vr_dtype unsigned_types[] = {VR_U8, VR_U16, VR_U32, VR_U64};
    mpfr_t exact;
    mpfr_set_emin(-1100);
    mpfr_set_emax(1100);
    mpfr_init2(exact, 53);
    mpfr_set_d(exact, value, MPFR_RNDN);
    const int64_t whole = mpfr_get_sj(exact, MPFR_RNDZ);
    const uint64_t natural = mpfr_get_uj(exact, MPFR_RNDZ);
    mpfr_clear(exact);
    const float single = (float)value;
    for (size_t k = 0; k < 4; k++) {
        const size_t size = (size_t)1 << k;
        const int64_t max = INT64_MAX >> (64 - 8 * size), min = -max - 1;
        const uint64_t umax = UINT64_MAX >> (64 - 8 * size);
        const int64_t clamped = whole < min ? min : whole > max ? max : whole;
        const uint64_t uclamped = natural > umax ? umax : natural;
        uint64_t element;
        uint8_t expected[8];

        vr_from_f64(&element, signed_types[k], &value, 1);
        put_code(expected, (uint64_t)clamped, size);
        assert_memory_equal(&element, expected, size);

        vr_from_f64(&element, unsigned_types[k], &value, 1);
        put_code(expected, uclamped, size);
        assert_memory_equal(&element, expected, size);

        if (single == value || isnan(value)) {
            uint64_t other;
            vr_from_f32(&other, unsigned_types[k], &single, 1);
            assert_memory_equal(&other, &element, size);
        }
    }
}

static void test_floats_to_integers(void **state)
{
    (void)state;
    check_to_integers(NAN);
    check_to_integers(INFINITY);
    check_to_integers(-INFINITY);
    for (int power = -2; power <= 65; power++) {
        for (int step = -4; step <= 4; step++) {
            const double near = ldexp(1, power) + step / 2.0;
            const double cases[] = {near, nextafter(near, 0), nextafter(near, INFINITY)};
            for (size_t i = 0; i < 3; i++) {
                check_to_integers(cases[i]);
                check_to_integers(-cases[i]);
            }
        }
    }
    for (int i = 0; i < 20000; i++)
        check_to_integers(from_bits64(next_random()));
}

static void test_bool(void **state)
{
    (void)state;
    static const double values[] = {0, -0.0, 1, -1, 0.25, 0x1p-1074, INFINITY, NAN};
    static const uint8_t expected[] = {0, 0, 1, 1, 1, 1, 1, 1};
    uint8_t out[8];
    vr_from_f64(out, VR_BOOL, values, 8);
    assert_memory_equal(out, expected, 8);
    assert_int_equal(encode32(VR_BOOL, -0.0f), 0);
    assert_int_equal(encode32(VR_BOOL, 0x1p-149f), 1);
    for (uint32_t byte = 0; byte < 256; byte++) {
        assert_true(decode64(VR_BOOL, byte) == (byte != 0));
        assert_true(decode32(VR_BOOL, byte) == (byte != 0));
    }
}

/* Many elements at once: each as if alone, nothing written past the last. */
static void test_bulk(void **state)
{
    (void)state;
    enum { MOST = 1537 };
    static const size_t lengths[] = {0, 1, 2, 7, 511, 512, 513, 1024, MOST};
    static double wide[MOST + 1], in[MOST];
    static float single[MOST + 1], in32[MOST];
    static uint8_t elements[8 * MOST + 1];
    for (size_t i = 0; i < MOST; i++) {
        in[i] = ldexp((double)(int64_t)next_random(), (int)(next_random() % 80) - 100);
        in32[i] = (float)in[i];
    }
    for (vr_dtype dtype = VR_F64; dtype <= VR_DTYPE_LAST; dtype++) {
        const size_t size = vr_dtype_size(dtype);
        for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
            const size_t n = lengths[k];
            uint8_t alone[8];
            elements[n * size] = 0xa5;
            vr_from_f32(elements, dtype, in32, n);
            assert_int_equal(elements[n * size], 0xa5);
            for (size_t i = 0; i < n; i++) {
                vr_from_f32(alone, dtype, &in32[i], 1);
                assert_memory_equal(elements + i * size, alone, size);
            }
            vr_from_f64(elements, dtype, in, n);
            assert_int_equal(elements[n * size], 0xa5);
            for (size_t i = 0; i < n; i++) {
                vr_from_f64(alone, dtype, &in[i], 1);
                assert_memory_equal(elements + i * size, alone, size);
            }
            wide[n] = 0.5;
            single[n] = 0.5f;
            vr_to_f64(wide, elements, dtype, n);
            vr_to_f32(single, elements, dtype, n);
            assert_true(wide[n] == 0.5 && single[n] == 0.5f);
            for (size_t i = 0; i < n; i++) {
                double one;
                float one32;
                vr_to_f64(&one, elements + i * size, dtype, 1);
                vr_to_f32(&one32, elements + i * size, dtype, 1);
                assert_memory_equal(&wide[i], &one, sizeof one);
                assert_memory_equal(&single[i], &one32, sizeof one32);
            }
        }
    }
}

/* A training process may run with subnormals off: its tensors must not change on the way to the file. */
static void test_flush_to_zero(void **state)
{
    (void)state;
#if defined(__SSE2__)
    const double values[] = {0x1p-149, 0x1.8p-140, -0x1p-127, 0x1p-1074};
    const uint32_t codes[] = {1, 0x300, 0x80400000, 0};
    float decoded[4];
    uint32_t encoded[4], copied[4];
    double wide[4];
    uint8_t truth[4];
    const unsigned csr = _mm_getcsr();
    _mm_setcsr(csr | 0x8040); /* flush to zero, denormals are zero */
    vr_from_f64(encoded, VR_F32, values, 4);
    vr_from_f64(truth, VR_BOOL, values, 4);
    vr_to_f64(wide, codes, VR_F32, 4);
    vr_to_f32(decoded, codes, VR_F32, 4);
    vr_from_f32(copied, VR_F32, decoded, 4);
    _mm_setcsr(csr);
    assert_memory_equal(encoded, codes, sizeof codes);
    assert_memory_equal(copied, codes, sizeof codes);
    for (size_t i = 0; i < 3; i++)
        assert_true(wide[i] == values[i]);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(truth[i], 1);
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_sizes),
        cmocka_unit_test(test_unknown_name),
        cmocka_unit_test(test_every_code_decodes),
        cmocka_unit_test(test_every_boundary_rounds),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_random_f64_to_f32),
        cmocka_unit_test(test_nan_payloads),
        cmocka_unit_test(test_f64_is_copied),
        cmocka_unit_test(test_integers_to_floats),
        cmocka_unit_test(test_floats_to_integers),
        cmocka_unit_test(test_bool),
        cmocka_unit_test(test_bulk),
        cmocka_unit_test(test_flush_to_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
