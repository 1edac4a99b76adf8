/* Every operation, type and mode against MPFR, which rounds correctly to any number of bits, subnormals included. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <mpfr.h>

#include "rounding_cases.h"

typedef struct problem {
    bool is_f32;
    vr_operation op;
    int t;
    double a, b, c;
} problem;

static int full(bool is_f32)
{
    return is_f32 ? 24 : 53;
}

static void set_range(bool is_f32)
{
    mpfr_set_emin(is_f32 ? -148 : -1073);
    mpfr_set_emax(is_f32 ? 128 : 1024);
}

static void set_whole_range(void)
{
    mpfr_set_emin(mpfr_get_emin_min());
    mpfr_set_emax(mpfr_get_emax_max());
}

static int operate(mpfr_t out, const problem *p, mpfr_rnd_t way)
{
    mpfr_t a, b, c;
    mpfr_inits2(53, a, b, c, (mpfr_ptr)NULL);
    set_whole_range();
    mpfr_set_d(a, p->a, MPFR_RNDN);
    mpfr_set_d(b, p->b, MPFR_RNDN);
    mpfr_set_d(c, p->c, MPFR_RNDN);
    int side = 0;
    switch (p->op) {
    case VR_ADD:
        side = mpfr_add(out, a, b, way);
        break;
    case VR_SUB:
        side = mpfr_sub(out, a, b, way);
        break;
    case VR_MUL:
        side = mpfr_mul(out, a, b, way);
        break;
    case VR_DIV:
        side = mpfr_div(out, a, b, way);
        break;
    case VR_SQRT:
        side = mpfr_sqrt(out, a, way);
        break;
    case VR_FMA:
        side = mpfr_fma(out, a, b, c, way);
        break;
    }
    mpfr_clears(a, b, c, (mpfr_ptr)NULL);
    return side;
}

/* The correctly rounded result of t bits in the type's range. */
static double oracle(const problem *p, mpfr_rnd_t way)
{
    mpfr_t r;
    mpfr_init2(r, p->t);
    int side = operate(r, p, way);
    set_range(p->is_f32);
    side = mpfr_check_range(r, side, way);
    mpfr_subnormalize(r, side, way);
    const double value = mpfr_get_d(r, MPFR_RNDN);
    mpfr_clear(r);
    set_whole_range();
    return value;
}

static bool is_regular(const problem *p)
{
    if (!isfinite(p->a) || !isfinite(p->b) || !isfinite(p->c))
        return false;
    return p->op == VR_DIV ? p->b != 0 : p->op != VR_SQRT || p->a >= 0;
}

static bool is_same(double x, double y)
{
    return x == y && signbit(x) == signbit(y);
}

static void fail_with(const problem *p, vr_rounding_mode mode, uint64_t word, double got, double wanted)
{
    fail_msg("%s op %d mode %s t %d word %016llx: a %a b %a c %a gives %a, not %a", p->is_f32 ? "f32" : "f64", p->op,
             vr_rounding_name(mode), p->t, (unsigned long long)word, p->a, p->b, p->c, got, wanted);
}

static double run(const problem *p, vr_rounding_mode mode, uint64_t word)
{
    return core(p->is_f32, mode, p->op, p->t, p->a, p->b, p->c, word);
}

static void check(const problem *p, vr_rounding_mode mode, uint64_t word, double wanted)
{
    const double got = run(p, mode, word);
    if (!is_same(got, wanted))
        fail_with(p, mode, word, got, wanted);
}

/* The moves that sr makes, in units of its resolution: |r - nearest| / (hi - lo), from 400 bits of r. */
static uint64_t moves(const problem *p, double nearest, double lo, double hi)
{
    mpfr_t r, gap;
    mpfr_inits2(400, r, gap, (mpfr_ptr)NULL);
    operate(r, p, MPFR_RNDZ);
    mpfr_sub_d(r, r, nearest, MPFR_RNDN);
    mpfr_set_d(gap, isinf(hi) ? ldexp(1, p->is_f32 ? 127 : 1023) : hi, MPFR_RNDN);
    mpfr_mul_ui(gap, gap, isinf(hi) ? 2 : 1, MPFR_RNDN);
    if (isinf(lo)) {
        mpfr_set_d(gap, ldexp(1, p->is_f32 ? 127 : 1023), MPFR_RNDN);
        mpfr_mul_ui(gap, gap, 2, MPFR_RNDN);
        mpfr_add_d(gap, gap, hi, MPFR_RNDN);
    } else
        mpfr_sub_d(gap, gap, lo, MPFR_RNDN);
    mpfr_div(r, r, gap, MPFR_RNDN);
    mpfr_mul_2ui(r, r, p->is_f32 ? 31 : 52, MPFR_RNDN);
    mpfr_abs(r, r, MPFR_RNDN);
    const uint64_t count = mpfr_get_uj(r, MPFR_RNDZ);
    mpfr_clears(r, gap, (mpfr_ptr)NULL);
    return count;
}

/* sr leaves the nearest for the neighbour on the other side of r for exactly the first so many draws: the probability,
 * without sampling. e may be off by 2^-52 of itself, and so may the number of draws by one. */
static void check_sr(const problem *p, double nearest, double lo, double hi)
{
    const int unused = p->is_f32 ? 33 : 12;
    if (lo == hi || isinf(nearest)) {
        for (int i = 0; i < 3; i++)
            check(p, VR_ROUND_SR, i == 0 ? 0 : i == 1 ? UINT64_MAX : next_random(), nearest);
        return;
    }
    const double other = nearest == lo ? hi : lo;
    const uint64_t count = moves(p, nearest, lo, hi);
    if (count >= 2)
        check(p, VR_ROUND_SR, (count - 2) << unused, other);
    check(p, VR_ROUND_SR, (count + 1) << unused, nearest);
    check(p, VR_ROUND_SR, UINT64_MAX, nearest);
    const double any = run(p, VR_ROUND_SR, next_random());
    assert_true(is_same(any, nearest) || is_same(any, other));
}

/* No number of t bits lies between x and y, and both are such numbers. */
static bool are_neighbours(const problem *p, double x, double y)
{
    const double lo = x < y ? x : y, hi = x < y ? y : x;
    double got[2];
    for (int up = 0; up < 2; up++) {
        const mpfr_rnd_t way = up ? MPFR_RNDU : MPFR_RNDD;
        mpfr_t middle, r;
        mpfr_init2(middle, 60);
        mpfr_init2(r, p->t);
        set_whole_range();
        mpfr_set_d(middle, lo, MPFR_RNDN);
        mpfr_add_d(middle, middle, hi, MPFR_RNDN);
        mpfr_div_2ui(middle, middle, 1, MPFR_RNDN);
        int side = mpfr_set(r, middle, way);
        set_range(p->is_f32);
        side = mpfr_check_range(r, side, way);
        mpfr_subnormalize(r, side, way);
        got[up] = mpfr_get_d(r, MPFR_RNDN);
        mpfr_clears(middle, r, (mpfr_ptr)NULL);
        set_whole_range();
    }
    return got[0] == lo && got[1] == hi;
}

/* The upper bit of the word decides; the largest number steps inward. */
static void check_ud(const problem *p, double nearest)
{
    const double least = p->is_f32 ? 0x1p-149 : 0x1p-1074;
    for (int out = 0; out < 2; out++) {
        const uint64_t word = next_random() << 1 >> 1 | (uint64_t)out << 63;
        const double got = run(p, VR_ROUND_UD, word);
        bool fine;
        if (isinf(nearest))
            fine = got == nearest;
        else if (nearest == 0)
            fine = got == (out ? least : -least);
        else {
            const bool moved_out = fabs(got) > fabs(nearest);
            const bool is_last = isinf(run(&(problem){p->is_f32, VR_ADD, p->t, nearest, nearest * ldexp(1, -p->t), 0},
                                           nearest > 0 ? VR_ROUND_UP : VR_ROUND_DOWN, 0));
            fine = isfinite(got) && are_neighbours(p, got, nearest) && moved_out == (out && !is_last);
            fine &= signbit(got) == signbit(nearest);
        }
        if (!fine)
            fail_with(p, VR_ROUND_UD, word, got, nearest);
    }
}

static void check_problem(const problem *p)
{
    if (!is_regular(p))
        return;
    const double nearest = oracle(p, MPFR_RNDN), hi = oracle(p, MPFR_RNDU), lo = oracle(p, MPFR_RNDD);
    const uint64_t word = next_random();
    check(p, VR_ROUND_NEAREST, word, nearest);
    check(p, VR_ROUND_UP, word, hi);
    check(p, VR_ROUND_DOWN, word, lo);
    check(p, VR_ROUND_ZERO, word, oracle(p, MPFR_RNDZ));
    check_sr(p, nearest, lo, hi);
    check_ud(p, nearest);
}

/* The inline functions where they apply, and the function for all cases, agree. */
static void check_wide(const problem *p)
{
    for (int mode = 0; mode < VR_ROUND_MODES && !p->is_f32; mode++) {
        const uint64_t word = next_random();
        const double x = run(p, (vr_rounding_mode)mode, word);
        const double y = vr_core_wide_f64((vr_rounding_mode)mode, p->op, p->t, p->a, p->b, p->c, word);
        if (is_regular(p) && !is_same(x, y))
            fail_with(p, (vr_rounding_mode)mode, word, x, y);
    }
}

static void test_specials(void **state)
{
    (void)state;
    for (int is_f32 = 0; is_f32 < 2; is_f32++) {
        const int precisions[] = {full(is_f32), 1, 2, full(is_f32) - 1};
        for (int i = 0; i < SPECIALS * SPECIALS; i++)
            for (int op = 0; op < VR_OPERATIONS; op++)
                for (int k = 0; k < 4; k++) {
                    const double c = special(is_f32, (int)(next_random() % SPECIALS));
                    const problem p = {is_f32,
                                       (vr_operation)op,
                                       precisions[k],
                                       special(is_f32, i % SPECIALS),
                                       special(is_f32, i / SPECIALS),
                                       c};
                    check_problem(&p);
                    check_wide(&p);
                }
    }
}

static void test_random_operands(void **state)
{
    (void)state;
    for (int i = 0; i < 60000; i++) {
        const bool is_f32 = next_random() % 2;
        const int bits = full(is_f32), t = next_random() % 2 ? bits : 1 + (int)(next_random() % (unsigned)bits);
        problem p = {is_f32,
                     (vr_operation)(next_random() % VR_OPERATIONS),
                     t,
                     any_number(is_f32),
                     any_number(is_f32),
                     any_number(is_f32)};
        if (p.op == VR_SQRT)
            p.a = fabs(p.a);
        if (p.op == VR_FMA && next_random() % 4 == 0) /* cancellation */
            p.c = is_f32 ? (double)(float)(-p.a * p.b) : -p.a * p.b;
        if (!isfinite(p.c))
            p.c = 1;
        check_problem(&p);
        check_wide(&p);
    }
}

/* Quotients, roots and products whose result is near a tie or near a power of two. */
static void test_near_ties(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        const bool is_f32 = next_random() % 2;
        const int bits = full(is_f32), t = 2 + (int)(next_random() % (unsigned)(bits - 2));
        const double x = ldexp(floor(ldexp(1 + (double)(next_random() >> 11) * 0x1p-53, t)) + 0.5, -t);
        const double ulp = ldexp(1, 1 - bits), y = x * (1 + ulp * ((double)(next_random() % 3) - 1));
        const double a = is_f32 ? (double)(float)y : y, b = ldexp(1 + 2 * ulp * (double)(next_random() % 8), -3);
        check_problem(&(problem){is_f32, VR_ADD, t, a, ldexp(b, -90), 0});
        check_problem(&(problem){is_f32, VR_SUB, t, a, ldexp(b, -90), 0});
        check_problem(&(problem){is_f32, VR_SUB, bits, 1, ldexp(b, -(int)(next_random() % 60)), 0});
        check_problem(&(problem){is_f32, VR_FMA, t, a, 1, ldexp(b, -100)});
        check_problem(&(problem){is_f32, VR_DIV, t, a, 1 + ulp, 0});
        check_problem(&(problem){is_f32, VR_SQRT, t, a, 0, 0});
    }
}

/* a b + c within a tie by little more than the last bit of what is rounded to odd on the way, and then some that it
 * drops: an odd number must stay, and not become the tie. */
static void test_fma_near_ties(void **state)
{
    (void)state;
    for (int i = 0; i < 20000; i++) {
        const bool is_f32 = i % 2;
        const int bits = full(is_f32);
        const double last = is_f32 ? 0x1p-28 : 0x1p-53, x = 1 + (double)(next_random() >> 11) * 0x1p-53;
        const double side = next_random() % 2 ? -last : last, sign = next_random() % 2 ? -1 : 1;
        const double a = is_f32 ? (double)(float)x : x, b = (1 + side) / a;
        const double c = sign * (1 + ldexp((double)(next_random() % 4), 1 - bits));
        check_problem(&(problem){is_f32, VR_FMA, bits, ldexp(a, -bits), is_f32 ? (double)(float)b : b, c});
    }
}

static void assert_same_bits(double got, double wanted)
{
    assert_memory_equal(&got, &wanted, sizeof got);
}

/* NaN with its payload, Inf, division by zero, roots of negative numbers: as the plain operation. */
static void test_not_finite(void **state)
{
    (void)state;
    const double values[] = {NAN, -NAN, INFINITY, -INFINITY, 0.0, -0.0, 1.5, -2.5};
    for (int i = 0; i < 64 * VR_ROUND_MODES; i++) {
        const vr_rounding_mode mode = (vr_rounding_mode)(i / 64);
        const double a = values[i % 8], b = values[i / 8 % 8];
        volatile double x = a, y = b;
        const uint64_t word = next_random();
        if (!(isnan(a) && isnan(b))) {
            if (!isfinite(a) || !isfinite(b)) {
                assert_same_bits(core(false, mode, VR_ADD, 0, a, b, 0, word), x + y);
                assert_same_bits(core(false, mode, VR_SUB, 0, a, b, 0, word), x - y);
                assert_same_bits(core(false, mode, VR_MUL, 0, a, b, 0, word), x * y);
                assert_same_bits(core(true, mode, VR_ADD, 0, a, b, 0, word), (float)x + (float)y);
                assert_same_bits(core(true, mode, VR_SUB, 0, a, b, 0, word), (float)x - (float)y);
                assert_same_bits(core(true, mode, VR_MUL, 0, a, b, 0, word), (float)x * (float)y);
            }
            if (!isfinite(a) || !isfinite(b) || b == 0) {
                assert_same_bits(core(false, mode, VR_DIV, 0, a, b, 0, word), x / y);
                assert_same_bits(core(true, mode, VR_DIV, 0, a, b, 0, word), (float)x / (float)y);
            }
        }
        if (!isfinite(a) || a < 0) {
            const double root = core(false, mode, VR_SQRT, 0, a, 0, 0, word);
            assert_true(isnan(root) ? !(a >= 0) : root == INFINITY);
            assert_int_equal(isnan(core(true, mode, VR_SQRT, 0, a, 0, 0, word)), isnan(root));
            assert_true(isnan(core(true, mode, VR_FMA, 0, a, 0, 1, word)) == !isfinite(a));
            assert_true(isnan(core(false, mode, VR_FMA, 0, a, 0, 1, word)) == !isfinite(a));
        }
    }
}

static void test_payload(void **state)
{
    (void)state;
    const uint32_t bits = 0xffc12345;
    float x;
    memcpy(&x, &bits, sizeof x);
    for (int mode = 0; mode < VR_ROUND_MODES; mode++)
        for (int op = 0; op < VR_OPERATIONS; op++) {
            const float y = vr_core_f32((vr_rounding_mode)mode, (vr_operation)op, 0, x, 2, 3, 77);
            assert_memory_equal(&x, &y, sizeof x);
            const float z = vr_core_f32((vr_rounding_mode)mode, (vr_operation)op, 0, 2, op == VR_SQRT ? 1 : x, 3, 77);
            if (op != VR_SQRT)
                assert_memory_equal(&x, &z, sizeof x);
        }
}

/* The NaN of a negative number's root is the same one in all modes. */
static void test_negative_roots(void **state)
{
    (void)state;
    for (int mode = 0; mode < VR_ROUND_MODES; mode++)
        for (int is_f32 = 0; is_f32 < 2; is_f32++)
            for (double a = -0x1p-140; a > -1e38; a *= 0x1p20)
                for (uint64_t word = 0; word <= 1; word++)
                    assert_same_bits(core(is_f32, (vr_rounding_mode)mode, VR_SQRT, 0, a, 0, 0, word << 63),
                                     core(is_f32, VR_ROUND_NEAREST, VR_SQRT, 0, a, 0, 0, 0));
}

/* Where the numbers cancel, the noise is what is left: uniform in (-1/2, 1/2), and symmetric to the last bit. */
static void test_noise(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        const uint64_t word = next_random();
        const uint32_t narrow = (uint32_t)(word >> 32);
        const double first = ((double)(int32_t)vr_further_word(narrow, 1) + 0.5) * 0x1p-32;
        const double second = ((double)(int32_t)vr_further_word(narrow, 2) + 0.5) * 0x1p-32;
        assert_true(core(true, VR_ROUND_PB, VR_ADD, 1, 1, -1, 0, word) == (float)(first + second));
        const double wide = core(false, VR_ROUND_PB, VR_ADD, 1, 1, -1, 0, word);
        const double least[2] = {ldexp((double)(int64_t)(vr_mix64(word + VR_PAIR_STEP) >> 11), 1) + 1 - 0x1p53,
                                 ldexp((double)(int64_t)(vr_mix64(word + 2 * VR_PAIR_STEP) >> 11), 1) + 1 - 0x1p53};
        assert_true(wide == (least[0] + least[1]) * 0x1p-54);
    }
}

static void test_names(void **state)
{
    (void)state;
    for (int i = 0; i < VR_ROUND_MODES; i++) {
        vr_rounding_mode mode = VR_ROUND_NEAREST;
        assert_int_equal(vr_rounding_parse(&mode, vr_rounding_name((vr_rounding_mode)i)), VR_OK);
        assert_int_equal(mode, i);
    }
    vr_rounding_mode mode = VR_ROUND_UD;
    assert_int_equal(vr_rounding_parse(&mode, "stochastic"), VR_ERROR_ARGUMENT);
    assert_int_equal(mode, VR_ROUND_UD);
    assert_non_null(strstr(vr_error(), "stochastic"));
    assert_string_equal(vr_rounding_name((vr_rounding_mode)VR_ROUND_MODES), "?");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        /* static: no vector code before can_run */
        cmocka_unit_test(test_specials),      cmocka_unit_test(test_random_operands), cmocka_unit_test(test_near_ties),
        cmocka_unit_test(test_not_finite),    cmocka_unit_test(test_payload),         cmocka_unit_test(test_names),
        cmocka_unit_test(test_fma_near_ties), cmocka_unit_test(test_negative_roots),  cmocka_unit_test(test_noise),
    };
    if (!can_run())
        return SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
