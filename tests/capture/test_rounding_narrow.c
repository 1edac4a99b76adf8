/* From f32 to the narrow float types: nearest as vr_from_f32, sr between the two neighbours with the right probability.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rounding_cases.h"
#include <capture/rounding_kernel.h>

static const char *const isas[] = {"baseline", "avx2", "avx512"};
static const vr_dtype types[] = {VR_BF16, VR_F16, VR_F8E4M3, VR_F8E5M2};
#define TYPES 4

static bool is_half(vr_dtype type)
{
    return type == VR_BF16 || type == VR_F16;
}

static float value_of(vr_dtype type, uint32_t code)
{
    const uint16_t half = (uint16_t)code;
    const uint8_t byte = (uint8_t)code;
    float x;
    vr_to_f32(&x, is_half(type) ? (const void *)&half : &byte, type, 1);
    return x;
}

static uint32_t code_of(vr_dtype type, float x)
{
    uint16_t half;
    uint8_t byte;
    vr_from_f32(is_half(type) ? (void *)&half : &byte, type, &x, 1);
    return is_half(type) ? half : byte;
}

/* Every code is exact; every 1,009th float, and all beside a code or halfway between two, go to nearest as there. */
static void test_nearest(void **state)
{
    (void)state;
    for (int k = 0; k < TYPES; k++) {
        const vr_dtype type = types[k];
        for (uint32_t code = 0; code < (is_half(type) ? 65536u : 256u); code++) {
            const float x = value_of(type, code), next = value_of(type, code + 1), middle = x + (next - x) / 2;
            assert_int_equal(vr_nearest_narrow_f32(type, x), code_of(type, x));
            if (isnan(x))
                continue;
            for (uint32_t i = 0; i < 4; i++)
                assert_int_equal(vr_sr_narrow_f32(type, x, i < 2 ? -i : (uint32_t)next_random()), code);
            const float beside[] = {nextafterf(x, 1), nextafterf(x, -1), middle, nextafterf(middle, 9),
                                    nextafterf(middle, -9)};
            for (int i = 0; i < 5; i++)
                assert_int_equal(vr_nearest_narrow_f32(type, beside[i]), code_of(type, beside[i]));
        }
        for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 100003) {
            const uint32_t low = (uint32_t)bits;
            float x;
            memcpy(&x, &low, sizeof x);
            assert_int_equal(vr_nearest_narrow_f32(type, x), code_of(type, x));
        }
    }
}

/* The codes around x by its magnitude, found from the values of all codes; whether there is one above. */
static uint32_t below(vr_dtype type, float size)
{
    uint32_t lo = 0, hi = is_half(type) ? 0x7fff : 0x7f;
    while (hi - lo > 1) { /* NaNs, behind the numbers, are above everything */
        const uint32_t middle = (lo + hi) / 2;
        if (value_of(type, middle) <= size)
            lo = middle;
        else
            hi = middle;
    }
    return lo;
}

/* The value of a code, or what it would be beyond the largest finite one. */
static double grid_value(vr_dtype type, uint32_t code)
{
    const float x = value_of(type, code);
    if (isfinite(x))
        return x;
    return 2.0 * value_of(type, code - 1) - value_of(type, code - 2);
}

/* Draws that go up are exactly those of 2^32 that the distance asks for, but for one where more than 32 bits fall off.
 */
static void check_sr(vr_dtype type, float x)
{
    const float size = fabsf(x);
    const uint32_t lo = below(type, size), nearest = vr_nearest_narrow_f32(type, size);
    const uint32_t sign = signbit(x) ? (is_half(type) ? 0x8000 : 0x80) : 0;
    if (!isfinite(value_of(type, nearest))) {
        assert_int_equal(vr_sr_narrow_f32(type, x, (uint32_t)next_random()), sign | nearest);
        return;
    }
    const double p = (size - (double)value_of(type, lo)) / (grid_value(type, lo + 1) - value_of(type, lo));
    const uint64_t up = (uint64_t)floor(p * 0x1p32), first = (UINT64_C(1) << 32) - up;
    if (up > 0) {
        assert_int_equal(vr_sr_narrow_f32(type, x, UINT32_MAX), sign | (lo + 1));
        assert_int_equal(vr_sr_narrow_f32(type, x, (uint32_t)first), sign | (lo + 1));
    }
    assert_int_equal(vr_sr_narrow_f32(type, x, (uint32_t)first - 1), sign | lo);
    assert_int_equal(vr_sr_narrow_f32(type, x, 0), sign | lo);
}

static void test_sr(void **state)
{
    (void)state;
    for (int k = 0; k < TYPES; k++) {
        const float most = value_of(types[k], vr_nearest_narrow_f32(types[k], INFINITY) - 1);
        for (int i = 0; i < 30000; i++) {
            const float any = (float)any_number(true),
                        moderate = ldexpf((float)(next_random() >> 40), (int)(next_random() % 50) - 48);
            const float large = most * (1 + 0.1f * (float)(next_random() >> 40) * 0x1p-24f);
            check_sr(types[k], any);
            check_sr(types[k], moderate);
            check_sr(types[k], -large);
        }
    }
}

static void test_not_finite(void **state)
{
    (void)state;
    for (int k = 0; k < TYPES; k++)
        for (int i = 0; i < 100; i++) {
            uint32_t bits = (uint32_t)next_random() | 0x7f800000;
            bits = i == 0 ? 0x7f800000 : i == 1 ? 0xff800000 : bits;
            float x;
            memcpy(&x, &bits, sizeof x);
            assert_int_equal(vr_sr_narrow_f32(types[k], x, (uint32_t)next_random()), code_of(types[k], x));
        }
}

/* Arrays are the function for one element, on every instruction set; the public calls move the stream on. */
static void test_arrays(void **state)
{
    (void)state;
    enum { N = 1003 };
    static float in[N];
    static uint16_t halves[N];
    static uint8_t bytes[N];
    for (int i = 0; i < N; i++)
        in[i] = (float)any_number(true);
    for (int k = 0; k < TYPES; k++)
        for (size_t isa = 0; isa < sizeof isas / sizeof *isas; isa++)
            for (int way = 0; way < 3; way++) {
                const vr_rounding_kernels *kernels = vr_rounding_kernels_named(isas[isa]);
                const vr_narrow_call call = {
                    types[k], way == 2, way == 1, 5, 7, in, is_half(types[k]) ? (void *)halves : bytes, N};
                if (!kernels)
                    continue;
                kernels->narrow(&call);
                for (uint64_t i = 0; i < N; i++) {
                    const uint32_t word = way == 1 ? vr_narrow_word_f32(types[k], in[i], 5) : vr_stream_word(5, 7 + i);
                    const uint32_t wanted =
                        way == 2 ? code_of(types[k], in[i]) : vr_sr_narrow_f32(types[k], in[i], word);
                    assert_int_equal(is_half(types[k]) ? halves[i] : bytes[i], wanted);
                }
            }
    vr_stream stream = {5, (1ull << 32) - 500};
    assert_int_equal(vr_sr_from_f32(halves, VR_F16, in, N, &stream), VR_OK);
    assert_true(stream.position == (1ull << 32) - 500 + N);
    for (uint64_t i = 0; i < N; i++)
        assert_int_equal(halves[i], vr_sr_narrow_f32(VR_F16, in[i], vr_stream_word(5, (1ull << 32) - 500 + i)));
    assert_int_equal(vr_sr_from_f32(halves, VR_F32, in, N, &stream), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_sr_from_f32_operands(halves, VR_I8, in, N, 1), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_nearest_from_f32(halves, VR_F64, in, N), VR_ERROR_ARGUMENT);
}

/* The mean of many draws, within five standard deviations: in stream mode for one value, by operands over keys. */
static void test_unbiased(void **state)
{
    (void)state;
    const float values[] = {1.2345f, 3e-6f, 447.0f, 0.0019f};
    for (int k = 0; k < TYPES; k++)
        for (int v = 0; v < 4; v++) {
            enum { N = 1 << 20 };
            const float x = values[v], lo = value_of(types[k], below(types[k], x));
            const double gap = grid_value(types[k], below(types[k], x) + 1) - lo, p = (x - lo) / gap;
            uint64_t up[2] = {0};
            for (uint64_t i = 0; i < N; i++) {
                up[0] += value_of(types[k], vr_sr_narrow_f32(types[k], x, vr_stream_word(9, i))) > lo;
                up[1] += value_of(types[k], vr_sr_narrow_f32(types[k], x, vr_narrow_word_f32(types[k], x, i))) > lo;
            }
            for (int way = 0; way < 2; way++)
                assert_true(fabs((double)up[way] - N * p) <= 5 * sqrt(N * p * (1 - p)) + 1);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest), cmocka_unit_test(test_sr),       cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_arrays),  cmocka_unit_test(test_unbiased),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
