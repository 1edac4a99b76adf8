/* sr is unbiased and ud fair: over 2^24 draws for the same operands, the result moves as often as it should, within
 * five standard deviations, for every operation, type, instruction set and source of bits. Monte Carlo arithmetic's
 * mean and variance are those of its formula. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "rounding_cases.h"
#include <capture/rounding_kernel.h>

#define DRAWS (1 << 24)
#define BLOCK 4096

static const char *const isas[] = {"baseline", "avx2", "avx512"};

/* One for each operation, with error terms of some size: a, b, c. */
static const double operands[VR_OPERATIONS][3] = {{1.3, 1e-3, 0},    {1.7, 1.3e-4, 0}, {1.1, 0.7, 0},
                                                  {1.234, 0.987, 0}, {0.8, 0, 0},      {1.21, 0.77, -0.33}};

/* Products at the quantum of subnormals, where the error of the product is none of the type's numbers. */
static const double tiny[2][3] = {{0x1.9p-538, 0x1.5p-538, 0}, {0x1.9p-76, 0x1.4p-75, 0}};

typedef struct trial {
    bool is_f32;
    vr_rounding_mode mode;
    vr_operation op;
    const double *x;
    double lo, p; /* p: the probability of more than lo */
} trial;

/* lo, and in sr (r - lo) / (hi - lo); in ud what is below the nearest. */
static trial prepare(bool is_f32, vr_rounding_mode mode, vr_operation op, const double *x)
{
    trial t = {is_f32, mode, op, x, 0, 0.5};
    const double a = x[0], b = x[1], c = x[2];
    t.lo = core(is_f32, VR_ROUND_DOWN, op, 0, a, b, c, 0);
    const double hi = core(is_f32, VR_ROUND_UP, op, 0, a, b, c, 0);
    if (mode == VR_ROUND_UD) {
        const double nearest = core(is_f32, VR_ROUND_NEAREST, op, 0, a, b, c, 0);
        t.lo = is_f32 ? (double)nextafterf((float)nearest, -INFINITY) : nextafter(nearest, -INFINITY);
        return t;
    }
    const long double la = is_f32 ? (float)a : a, lb = is_f32 ? (float)b : b, lc = is_f32 ? (float)c : c;
    const long double r = op == VR_ADD    ? la + lb
                          : op == VR_SUB  ? la - lb
                          : op == VR_MUL  ? la * lb
                          : op == VR_DIV  ? la / lb
                          : op == VR_SQRT ? sqrtl(la)
                                          : la * lb + lc;
    t.p = (double)((r - (long double)t.lo) / ((long double)hi - (long double)t.lo));
    return t;
}

/* p as the long double has it is off by 2^-12 in f64, whose r it rounds to 11 bits more than there are; in f32 by less
 * than shows. */
static void check_count(const trial *t, const char *path, uint64_t above)
{
    const double deviation = sqrt(DRAWS * t->p * (1 - t->p)),
                 slack = t->is_f32 || t->mode == VR_ROUND_UD ? 0 : DRAWS * 0x1p-12;
    const double excess = (double)above - DRAWS * t->p;
    if (fabs(excess) > 5 * deviation + slack)
        fail_msg("%s %s op %d %s: %.0f of %d, not %.0f", path, t->is_f32 ? "f32" : "f64", t->op,
                 vr_rounding_name(t->mode), (double)above, DRAWS, DRAWS * t->p);
}

static uint64_t count32(const float *out, float lo)
{
    uint32_t n = 0;
    for (int i = 0; i < BLOCK; i++)
        n += out[i] > lo;
    return n;
}

static uint64_t count64(const double *out, double lo)
{
    uint64_t n = 0;
    for (int i = 0; i < BLOCK; i++)
        n += out[i] > lo;
    return n;
}

static void sweep_arrays(const trial *t, const vr_rounding_kernels *kernels)
{
    static float x32[3][BLOCK], out32[BLOCK];
    static double x64[3][BLOCK], out64[BLOCK];
    for (int i = 0; i < BLOCK; i++)
        for (int k = 0; k < 3; k++)
            x32[k][i] = (float)(x64[k][i] = t->x[k]);
    vr_rounding_call call = {.mode = t->mode, .op = t->op, .key = next_random(), .n = BLOCK};
    call.a = t->is_f32 ? (const void *)x32[0] : x64[0];
    call.b = t->is_f32 ? (const void *)x32[1] : x64[1];
    call.c = t->is_f32 ? (const void *)x32[2] : x64[2];
    call.out = t->is_f32 ? (void *)out32 : out64;
    uint64_t above = 0;
    for (; call.position < DRAWS; call.position += BLOCK) {
        (t->is_f32 ? kernels->f32 : kernels->f64)(&call);
        above += t->is_f32 ? count32(out32, (float)t->lo) : count64(out64, t->lo);
    }
    check_count(t, kernels->name, above);
}

/* Operands' bits: the key is what varies. */
static void sweep_keys(const trial *t)
{
    const float a = (float)t->x[0], b = (float)t->x[1], c = (float)t->x[2];
    uint64_t above = 0;
    for (uint64_t key = 0; key < DRAWS; key++) {
        const uint64_t word = t->is_f32 ? (uint64_t)vr_operand_word_f32(t->op, a, b, c, key) << 32
                                        : vr_operand_word_f64(t->op, t->x[0], t->x[1], t->x[2], key);
        above += core(t->is_f32, t->mode, t->op, 0, t->x[0], t->x[1], t->x[2], word) > t->lo;
    }
    check_count(t, "operands", above);
}

static void test_arrays(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof isas / sizeof *isas; k++) {
        const vr_rounding_kernels *kernels = vr_rounding_kernels_named(isas[k]);
        for (int i = 0; i < 4 * VR_OPERATIONS && kernels; i++) {
            const vr_operation op = (vr_operation)(i / 4);
            const trial t = prepare(i % 2, i / 2 % 2 ? VR_ROUND_UD : VR_ROUND_SR, op, operands[op]);
            sweep_arrays(&t, kernels);
        }
    }
}

static void test_keys(void **state)
{
    (void)state;
    for (int i = 0; i < 4 * VR_OPERATIONS; i++) {
        const vr_operation op = (vr_operation)(i / 4);
        const trial t = prepare(i % 2, i / 2 % 2 ? VR_ROUND_UD : VR_ROUND_SR, op, operands[op]);
        sweep_keys(&t);
    }
}

static void test_subnormal(void **state)
{
    (void)state;
    for (int is_f32 = 0; is_f32 < 2; is_f32++) {
        const trial t = prepare(is_f32, VR_ROUND_SR, VR_MUL, tiny[is_f32]);
        assert_true(t.p > 0.01 && t.p < 0.99);
        sweep_arrays(&t, vr_rounding_kernels_best());
        sweep_keys(&t);
    }
}

/* Mean and variance of the error of n results; the mean of n has a standard deviation of sqrt(variance / n), and the
 * variance, of noise that is uniform or a sum of such, one below variance * sqrt(2 / n). */
static void check_noise(bool is_f32, vr_rounding_mode mode, vr_operation op, int t, const double *x, double variance)
{
    enum { N = 1 << 18 };
    const double r = vr_core_f64(VR_ROUND_NEAREST, op, 0, x[0], x[1], x[2], 0);
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < N; i++) {
        const double e = core(is_f32, mode, op, t, x[0], x[1], x[2], vr_stream_word64(t + 100, i)) - r;
        sum += e;
        squares += e * e;
    }
    const double rounding = is_f32 ? 0x1p-46 : 0; /* the square of half an ulp, more than rounding adds */
    if (fabs(sum / N) > 5 * sqrt((variance + rounding) / N) ||
        fabs(squares / N - variance) > 5 * variance * sqrt(2.0 / N) + rounding)
        fail_msg("f32 %d mode %d op %d t %d: mean %g, variance %g, not %g", is_f32, mode, op, t, sum / N, squares / N,
                 variance);
}

/* Noise of 2^(e - t + 1) xi has variance 2^(2 (e - t + 1)) / 12; an operand's goes through the operation by its
 * derivative. */
static double spread(double x, int t)
{
    return ldexp(1, 2 * (ilogb(x) - t + 1)) / 12;
}

static void test_monte_carlo(void **state)
{
    (void)state;
    static const double x[3] = {1.25, 0.8125, -3.5}, b = 0.8125, a = 1.25; /* no result beside a power of two */
    for (int is_f32 = 0; is_f32 < 2; is_f32++)
        for (int t = 8; t <= (is_f32 ? 14 : 40); t += 2) {
            const double na = spread(a, t), nb = spread(b, t), nc = spread(x[2], t);
            const double in[VR_OPERATIONS] = {na + nb,
                                              na + nb,
                                              b * b * na + a * a * nb,
                                              na / (b * b) + a * a / (b * b * b * b) * nb,
                                              na / (4 * a),
                                              b * b * na + a * a * nb + nc};
            for (int op = 0; op < VR_OPERATIONS; op++) {
                const double r = vr_core_f64(VR_ROUND_NEAREST, (vr_operation)op, 0, a, b, x[2], 0);
                check_noise(is_f32, VR_ROUND_PB, (vr_operation)op, t, x, in[op]);
                check_noise(is_f32, VR_ROUND_MCA, (vr_operation)op, t, x, in[op] + spread(r, t));
            }
            check_noise(is_f32, VR_ROUND_RR, VR_DIV, t, x, spread(a / b, t));
            check_noise(is_f32, VR_ROUND_RR, VR_MUL, t, x, 0); /* 1 + 2^-6: a number of t bits */
        }
}

/* At t = 53 the noise decides between the neighbours as sr does: the mean is r. */
static void test_full_precision(void **state)
{
    (void)state;
    for (int is_f32 = 0; is_f32 < 2; is_f32++)
        for (int op = 0; op < VR_OPERATIONS; op++) {
            const trial t = prepare(is_f32, VR_ROUND_SR, (vr_operation)op, operands[op]);
            uint64_t above = 0;
            for (uint64_t i = 0; i < DRAWS / 4; i++)
                above += core(is_f32, VR_ROUND_RR, (vr_operation)op, 0, t.x[0], t.x[1], t.x[2],
                              vr_stream_word64(3, i)) > t.lo;
            const double expected = t.p * DRAWS / 4;
            assert_true(fabs((double)above - expected) < 5 * sqrt(expected * (1 - t.p)) + DRAWS * 0x1p-13);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrays),      cmocka_unit_test(test_keys),           cmocka_unit_test(test_subnormal),
        cmocka_unit_test(test_monte_carlo), cmocka_unit_test(test_full_precision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
