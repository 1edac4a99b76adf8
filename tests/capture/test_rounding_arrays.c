/* The array functions give the bits of the functions for one element: any length, alignment and instruction set, in
 * place, across the boundaries of the stream, whatever the caller's floating-point environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fenv.h>

#include "rounding_cases.h"
#include <capture/rounding_kernel.h>

#define MOST 4099 /* elements */

static const char *const isas[] = {"baseline", "avx2", "avx512"};
static float a32[MOST], b32[MOST], c32[MOST];
static double a64[MOST], b64[MOST], c64[MOST];

/* `rare`: all but a few are of moderate size, so that vector code is what does them. */
static void fill(bool rare)
{
    for (int i = 0; i < MOST; i++) {
        const bool odd = !rare || next_random() % 64 == 0;
        const double one = 1 + (double)(next_random() >> 11) * 0x1p-53,
                     two = (double)(next_random() >> 11) * 0x1p-50 - 4;
        a64[i] = odd ? any_number(false) : ldexp(one, (int)(next_random() % 60) - 30);
        b64[i] = odd ? any_number(false) : two;
        c64[i] = odd ? any_number(false) : ldexp(two, (int)(next_random() % 100) - 50);
        a32[i] = (float)(odd ? any_number(true) : a64[i]);
        b32[i] = (float)(odd ? any_number(true) : b64[i]);
        c32[i] = (float)(odd ? any_number(true) : c64[i]);
        if (next_random() % 16 == 0)
            a64[i] = a32[i] = next_random() % 2 ? 0.0f : -0.0f;
        if (next_random() % 16 == 0)
            b64[i] = b32[i] = next_random() % 8 ? 0.0f : NAN;
    }
}

/* NaNs by their being NaN: of two, either payload may be kept. */
static bool is_same(const void *x, const void *y, bool is_f32)
{
    if (is_f32)
        return memcmp(x, y, sizeof(float)) == 0 || (isnan(*(const float *)x) && isnan(*(const float *)y));
    return memcmp(x, y, sizeof(double)) == 0 || (isnan(*(const double *)x) && isnan(*(const double *)y));
}

static void check_call(const vr_rounding_call *call, bool is_f32, const char *isa)
{
    for (size_t i = 0; i < call->n; i++) {
        bool fine;
        if (is_f32) {
            const float *a = call->a, *b = call->b, *c = call->c, *out = call->out;
            const uint32_t word = call->operands ? vr_operand_word_f32(call->op, a[i], b[i], c[i], call->key)
                                                 : vr_stream_word(call->key, call->position + i);
            const float wanted = vr_core_f32(call->mode, call->op, call->t, a[i], b[i], c[i], word);
            fine = is_same(&out[i], &wanted, true);
        } else {
            const double *a = call->a, *b = call->b, *c = call->c, *out = call->out;
            const uint64_t word = call->operands ? vr_operand_word_f64(call->op, a[i], b[i], c[i], call->key)
                                                 : vr_stream_word64(call->key, call->position + i);
            const double wanted = vr_core_f64(call->mode, call->op, call->t, a[i], b[i], c[i], word);
            fine = is_same(&out[i], &wanted, false);
        }
        if (!fine)
            fail_msg("%s %s op %d mode %d t %d operands %d: element %zu of %zu", isa, is_f32 ? "f32" : "f64", call->op,
                     call->mode, call->t, call->operands, i, call->n);
    }
}

static void check_kernels(vr_rounding_mode mode, vr_operation op, int t, bool operands, size_t begin, size_t n)
{
    static float out32[MOST];
    static double out64[MOST];
    for (size_t k = 0; k < sizeof isas / sizeof *isas; k++) {
        const vr_rounding_kernels *kernels = vr_rounding_kernels_named(isas[k]);
        if (!kernels)
            continue;
        vr_rounding_call call = {mode,
                                 op,
                                 t,
                                 operands,
                                 next_random(),
                                 next_random() % (1u << 30),
                                 a32 + begin,
                                 b32 + begin,
                                 c32 + begin,
                                 out32 + begin % 5,
                                 n};
        kernels->f32(&call);
        check_call(&call, true, isas[k]);
        call = (vr_rounding_call){mode,
                                  op,
                                  t,
                                  operands,
                                  next_random(),
                                  next_random() % (1u << 30),
                                  a64 + begin,
                                  b64 + begin,
                                  c64 + begin,
                                  out64 + begin % 5,
                                  n};
        kernels->f64(&call);
        check_call(&call, false, isas[k]);
    }
}

static void test_lengths(void **state)
{
    (void)state;
    fill(true);
    for (size_t n = 0; n <= 130; n++)
        for (int op = 0; op < VR_OPERATIONS; op++)
            for (int way = 0; way < 4; way++)
                check_kernels(way % 2 ? VR_ROUND_UD : VR_ROUND_SR, (vr_operation)op, 0, way / 2, n % 9, n);
}

static void test_modes(void **state)
{
    (void)state;
    for (int rare = 0; rare < 2; rare++) {
        fill(rare);
        for (int mode = 0; mode < VR_ROUND_MODES; mode++)
            for (int op = 0; op < VR_OPERATIONS; op++)
                for (int operands = 0; operands < 2; operands++) {
                    check_kernels((vr_rounding_mode)mode, (vr_operation)op, 0, operands, 1, 600);
                    check_kernels((vr_rounding_mode)mode, (vr_operation)op, 11, operands, 700, 300);
                }
    }
}

/* Inf, NaN with a sign and a payload, and zeros in every pair of places: bit for bit, save where both operands are NaN.
 * Enough of each that whole vectors hold nothing else. */
static void check_not_finite(vr_rounding_mode mode, vr_operation op, const vr_rounding_kernels *kernels)
{
    enum { SIDE = 10, N = 64 };
    const double values[SIDE] = {
        INFINITY, -INFINITY, __builtin_nan("0x1234560000000"), -__builtin_nan("0x123460000000"), 0, -0.0, 1.5, -3,
        FLT_MAX,  -FLT_MIN};
    static float x32[3][N], out32[N];
    static double x64[3][N], out64[N];
    vr_rounding_call call = {.mode = mode, .op = op, .key = 5, .n = N};
    for (int pair = 0; pair < SIDE * SIDE; pair++) {
        const double a = values[pair / SIDE], b = values[pair % SIDE];
        for (int i = 0; i < N; i++) {
            x32[0][i] = (float)(x64[0][i] = a);
            x32[1][i] = (float)(x64[1][i] = b);
            x32[2][i] = (float)(x64[2][i] = 2);
        }
        call.a = x32[0], call.b = x32[1], call.c = x32[2], call.out = out32;
        kernels->f32(&call);
        call.a = x64[0], call.b = x64[1], call.c = x64[2], call.out = out64;
        kernels->f64(&call);
        for (uint64_t i = 0; i < N; i++) {
            const float narrow = vr_core_f32(mode, op, 0, x32[0][i], x32[1][i], 2, vr_stream_word(5, i));
            const double wide = vr_core_f64(mode, op, 0, a, b, 2, vr_stream_word64(5, i));
            const bool either = isnan(a) && isnan(b);
            if (either ? !isnan(out32[i]) : memcmp(&narrow, &out32[i], sizeof narrow) != 0)
                fail_msg("%s f32 op %d mode %d: %a, %a gives %a, not %a", kernels->name, op, mode, a, b,
                         (double)out32[i], (double)narrow);
            if (either ? !isnan(out64[i]) : memcmp(&wide, &out64[i], sizeof wide) != 0)
                fail_msg("%s f64 op %d mode %d: %a, %a gives %a, not %a", kernels->name, op, mode, a, b, out64[i],
                         wide);
        }
    }
}

static void test_not_finite(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof isas / sizeof *isas; k++)
        for (int mode = 0; mode < VR_ROUND_MODES && vr_rounding_kernels_named(isas[k]); mode++)
            for (int op = 0; op < VR_OPERATIONS; op++)
                check_not_finite((vr_rounding_mode)mode, (vr_operation)op, vr_rounding_kernels_named(isas[k]));
}

/* Products whose error terms are no numbers of the type, between those of moderate size and subnormals: what vector
 * code would make of them is wrong for one in thousands. */
static void test_small_products(void **state)
{
    (void)state;
    for (int round = 0; round < 32; round++) {
        for (int i = 0; i < MOST; i++) {
            const double x = 1 + (double)(next_random() >> 11) * 0x1p-53,
                         y = 1 + (double)(next_random() >> 11) * 0x1p-53;
            a32[i] = (float)ldexp(x, -57);
            b32[i] = (float)ldexp(y, -57 - round % 4);
            a64[i] = ldexp(x, -505);
            b64[i] = ldexp(y, -505 - round % 4);
        }
        check_kernels(VR_ROUND_SR, VR_MUL, 0, false, 0, MOST - 5);
    }
}

/* Both of the functions for one element, and the general one for arrays, through the public interface. */
static void test_public(void **state)
{
    (void)state;
    fill(true);
    static float out[MOST];
    static double wide[MOST];
    for (int mode = 0; mode < VR_ROUND_MODES; mode++)
        for (int operands = 0; operands < 2; operands++) {
            const vr_rounding r = {(vr_rounding_mode)mode, 0, operands, 99};
            const bool draws = vr_rounding_is_random(r.mode) && !operands;
            vr_stream stream = vr_stream_at(7, 3), one = stream;
            assert_int_equal(vr_round_array(&r, &stream, VR_FMA, VR_F32, out, a32, b32, c32, MOST), VR_OK);
            assert_int_equal(vr_round_array(&r, &stream, VR_SUB, VR_F64, wide, a64, b64, NULL, MOST), VR_OK);
            assert_int_equal(stream.position, draws ? 2 * MOST : 0);
            for (int i = 0; i < MOST; i++) {
                const float wanted = vr_round_fma_f32(&r, &one, a32[i], b32[i], c32[i]);
                assert_true(is_same(&out[i], &wanted, true));
            }
            for (int i = 0; i < MOST; i++) {
                const double wanted = vr_round_sub_f64(&r, &one, a64[i], b64[i]);
                assert_true(is_same(&wide[i], &wanted, false));
            }
            assert_int_equal(one.position, stream.position);
        }
}

static void test_named_functions(void **state)
{
    (void)state;
    fill(true);
    static float out[MOST];
    static double wide[MOST];
    vr_stream stream = vr_stream_at(1, 2), one = stream;
    vr_ud_mul_f32(a32, b32, out, MOST, &stream);
    vr_sr_div_f64(a64, b64, wide, MOST, &stream);
    for (int i = 0; i < MOST; i++) {
        const float wanted = vr_core_mul_f32(VR_ROUND_UD, 0, a32[i], b32[i], vr_stream_word(one.key, (uint64_t)i));
        const double quotient =
            vr_core_div_f64(VR_ROUND_SR, 0, a64[i], b64[i], vr_stream_word64(one.key, MOST + (uint64_t)i));
        assert_true(is_same(&out[i], &wanted, true) && is_same(&wide[i], &quotient, false));
    }
    vr_sr_sqrt_f32_operands(a32, out, MOST, 5);
    vr_ud_fma_f64_operands(a64, b64, c64, wide, MOST, 5);
    for (int i = 0; i < MOST; i++) {
        const float wanted = vr_core_sqrt_f32(VR_ROUND_SR, 0, a32[i], vr_operand_word_f32(VR_SQRT, a32[i], 0, 0, 5));
        const double fused = vr_core_fma_f64(VR_ROUND_UD, 0, a64[i], b64[i], c64[i],
                                             vr_operand_word_f64(VR_FMA, a64[i], b64[i], c64[i], 5));
        assert_true(is_same(&out[i], &wanted, true) && is_same(&wide[i], &fused, false));
    }
}

static void test_in_place(void **state)
{
    (void)state;
    fill(false);
    for (int op = 0; op < VR_OPERATIONS; op++) {
        const vr_rounding r = {VR_ROUND_SR, 0, false, 0};
        static float apart[MOST], first[MOST], second[MOST];
        static double wide[MOST], third[MOST];
        vr_stream s[4] = {{1, 5}, {1, 5}, {1, 5}, {1, 5}};
        memcpy(first, a32, sizeof first);
        memcpy(second, b32, sizeof second);
        memcpy(third, c64, sizeof third);
        assert_int_equal(vr_round_array(&r, &s[0], (vr_operation)op, VR_F32, apart, a32, b32, c32, MOST), VR_OK);
        assert_int_equal(vr_round_array(&r, &s[1], (vr_operation)op, VR_F32, first, first, b32, c32, MOST), VR_OK);
        assert_int_equal(vr_round_array(&r, &s[2], (vr_operation)op, VR_F32, second, a32, second, c32, MOST), VR_OK);
        assert_memory_equal(apart, first, sizeof apart);
        assert_memory_equal(apart, second, sizeof apart);
        s[0] = s[3];
        assert_int_equal(vr_round_array(&r, &s[0], (vr_operation)op, VR_F64, wide, a64, b64, c64, MOST), VR_OK);
        assert_int_equal(vr_round_array(&r, &s[3], (vr_operation)op, VR_F64, third, a64, b64, third, MOST), VR_OK);
        assert_memory_equal(wide, third, sizeof wide);
    }
}

/* Where the keys change, every 2^32 words; and a range in two calls is the range in one. */
static void test_boundaries(void **state)
{
    (void)state;
    fill(true);
    static float out[MOST];
    static double wide[MOST];
    const uint64_t starts[] = {(1ull << 32) - 1000, (1ull << 31) - 1000, UINT64_MAX - 1000,
                               (1ull << 63) - 1000, 5ull << 40,          3};
    for (size_t k = 0; k < sizeof starts / sizeof *starts; k++) {
        vr_stream s = {77, starts[k]}, t = s;
        vr_sr_add_f32(a32, b32, out, 100, &s);
        vr_sr_add_f32(a32 + 100, b32 + 100, out + 100, MOST - 100, &s);
        vr_ud_add_f64(a64, b64, wide, MOST, &t);
        assert_int_equal(s.position, starts[k] + MOST);
        assert_int_equal(t.position, starts[k] + MOST);
        for (uint64_t i = 0; i < MOST; i++) {
            const float wanted = vr_core_add_f32(VR_ROUND_SR, 0, a32[i], b32[i], vr_stream_word(77, starts[k] + i));
            const double sum = vr_core_add_f64(VR_ROUND_UD, 0, a64[i], b64[i], vr_stream_word64(77, starts[k] + i));
            assert_true(is_same(&out[i], &wanted, true) && is_same(&wide[i], &sum, false));
        }
    }
}

/* Rounding upward, flushing subnormals: the arrays do not see it, and the caller has it back. */
static void test_environment(void **state)
{
    (void)state;
    fill(false);
    static double wanted[MOST], got[MOST];
    vr_stream s = {3, 0}, t = s;
    vr_sr_mul_f64(a64, b64, wanted, MOST, &s);
    fesetround(FE_UPWARD);
#ifdef __SSE2__
    _mm_setcsr(_mm_getcsr() | 0x8040);
#endif
    vr_sr_mul_f64(a64, b64, got, MOST, &t);
    const int way = fegetround();
#ifdef __SSE2__
    _mm_setcsr(_mm_getcsr() & ~0x8040u);
#endif
    fesetround(FE_TONEAREST);
    assert_int_equal(way, FE_UPWARD);
    assert_memory_equal(got, wanted, sizeof got);
}

static void test_errors(void **state)
{
    (void)state;
    vr_stream s = {0, 0};
    vr_rounding r = {VR_ROUND_SR, 0, false, 0};
    float x = 1;
    assert_int_equal(vr_round_array(&r, &s, VR_ADD, VR_BF16, &x, &x, &x, NULL, 1), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_round_array(&r, &s, (vr_operation)VR_OPERATIONS, VR_F32, &x, &x, &x, &x, 1), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_round_array(&r, &s, VR_ADD, VR_F32, &x, &x, NULL, NULL, 1), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_round_array(&r, &s, VR_FMA, VR_F32, &x, &x, &x, NULL, 1), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_round_array(&r, NULL, VR_ADD, VR_F32, &x, &x, &x, NULL, 1), VR_ERROR_ARGUMENT);
    r.mode = (vr_rounding_mode)VR_ROUND_MODES;
    assert_int_equal(vr_round_array(&r, &s, VR_ADD, VR_F32, &x, &x, &x, NULL, 1), VR_ERROR_ARGUMENT);
    r = (vr_rounding){VR_ROUND_NEAREST, 0, false, 0};
    assert_int_equal(vr_round_array(&r, NULL, VR_SQRT, VR_F32, &x, &x, NULL, NULL, 1), VR_OK);
    assert_int_equal(vr_round_array(&r, NULL, VR_ADD, VR_F64, NULL, NULL, NULL, NULL, 0), VR_OK);
    assert_int_equal(s.position, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),         cmocka_unit_test(test_modes),    cmocka_unit_test(test_public),
        cmocka_unit_test(test_named_functions), cmocka_unit_test(test_in_place), cmocka_unit_test(test_boundaries),
        cmocka_unit_test(test_environment),     cmocka_unit_test(test_errors),   cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_small_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
