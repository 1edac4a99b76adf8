/* Kernels whose operations are rounded as they are told. */
#include "kernels_problem.h"

static problem problems[] = {PROBLEMS};

#define COUNT (sizeof problems / sizeof *problems)

/* To nearest in full precision, asked for as a rounding: another path, the same bits. */
static void test_nearest_is_plain(void **state)
{
    (void)state;
    const vr_order orders[] = {VR_ORDER_FIXED, VR_ORDER_THREADS, VR_ORDER_SHUFFLED, VR_ORDER_EXACT};
    for (size_t i = 0; i < COUNT; i++)
        for (int o = 0; o < 4; o++) {
            vr_math plain = {.order = orders[o], .order_key = 6}, told = plain;
            told.rounding.precision = SIGNIFICAND;
            omp_set_num_threads(3);
            make_problem(&problems[i], 40 + i, (drawn)(i % 3));
            assert_int_equal(solve(&problems[i], &plain), VR_OK);
            const vr_digest wanted = digest_of(&problems[i]);
            assert_int_equal(solve(&problems[i], &told), VR_OK);
            if (!vr_digest_equal(digest_of(&problems[i]), wanted))
                fail_msg("%s, %s: other bits", problems[i].name, vr_order_name(orders[o]));
            free_problem(&problems[i]);
        }
}

/* One result of a call by each of `calls` calls: their mean less the exact sum, in standard errors. */
static double bias_of(problem *p, vr_math math, int calls)
{
    term terms[600];
    mpfr_t sum;
    mpfr_init2(sum, EXACT_BITS);
    const double size = add_exactly(sum, terms, list_terms(p, 0, terms));
    double mean = 0, squares = 0;
    for (int i = 0; i < calls; i++) {
        assert_int_equal(solve(p, &math), VR_OK);
        mpfr_t off;
        mpfr_init2(off, EXACT_BITS);
        mpfr_d_sub(off, (double)p->out[0], sum, MPFR_RNDN);
        const double error = mpfr_get_d(off, MPFR_RNDN) / (size * UNIT);
        mpfr_clear(off);
        assert_true(fabs(error) <= 1200); /* 2 u for each of 600 roundings, of partial sums of at most `size` */
        mean += error / calls;
        squares += error * error / calls;
    }
    mpfr_clear(sum);
    return fabs(mean) / sqrt(fmax(squares - mean * mean, 1e-30) / calls);
}

/* Stochastic rounding has no bias: every rounding's error has mean 0 whatever went before, and the sum is linear in all
 * of them, so the mean of independent calls is normal about the exact sum. Beyond 5 standard errors: 6e-7. To nearest
 * the same sum is off by more. */
static void test_sr_is_unbiased(void **state)
{
    (void)state;
    const vr_order orders[] = {VR_ORDER_FIXED, VR_ORDER_THREADS, VR_ORDER_ATOMIC, VR_ORDER_SHUFFLED, VR_ORDER_EXACT};
    problem sums[] = {{.name = "dot", .kind = DOT, .n = 300},
                      {.name = "matmul", .kind = MATMUL, .product = {1, 1, 290, false, false}, .bias = true},
                      {.name = "sum_rows", .kind = SUM_ROWS, .n = 1, .rows = 301}};
    for (int i = 0; i < 3; i++)
        for (int o = 0; o < VR_ORDERS; o++) {
            const vr_rounding sr = {.mode = VR_ROUND_SR, .key = 31};
            make_problem(&sums[i], 60, EVEN);
            const double off = bias_of(&sums[i], (vr_math){orders[o], 3, sr, 0}, 800);
            if (!(off <= 5))
                fail_msg("%s, %s: the mean is %g standard errors off", sums[i].name, vr_order_name(orders[o]), off);
            free_problem(&sums[i]);
        }
}

/* Stream: every call is another; operands: the same again. Two keys differ in both. */
static void test_calls_and_keys(void **state)
{
    (void)state;
    problem p = {.name = "matmul", .kind = MATMUL, .product = {20, 20, 30, false, false}};
    make_problem(&p, 70, EVEN);
    for (int operands = 0; operands < 2; operands++) {
        vr_math math = {.rounding = {.mode = VR_ROUND_SR, .operands = operands, .key = 1}};
        assert_int_equal(solve(&p, &math), VR_OK);
        const vr_digest first = digest_of(&p);
        assert_int_equal(solve(&p, &math), VR_OK);
        assert_int_equal(vr_digest_equal(digest_of(&p), first), operands);
        math.rounding.key = 2;
        math.calls = 0;
        assert_int_equal(solve(&p, &math), VR_OK);
        assert_false(vr_digest_equal(digest_of(&p), first));
    }
    free_problem(&p);
}

static real exact_dot(const real *a, const real *b, int64_t n, vr_rounding how, uint64_t call)
{
    vr_math math = {.order = VR_ORDER_EXACT, .rounding = how, .calls = call};
    real out;
    assert_int_equal(NAME(vr_dot)(&math, &out, a, b, n), VR_OK);
    return out;
}

/* Directed modes give the bounds of the exact value, by MPFR, for sums that cancel and for tiny ones. */
static void test_exact_directed(void **state)
{
    (void)state;
    const struct {
        vr_rounding_mode mode;
        mpfr_rnd_t wanted;
    } modes[] = {{VR_ROUND_UP, MPFR_RNDU}, {VR_ROUND_DOWN, MPFR_RNDD}, {VR_ROUND_ZERO, MPFR_RNDZ}};
    vr_random random = vr_random_stream(81, 0);
    mpfr_t sum;
    mpfr_init2(sum, EXACT_BITS);
    for (int trial = 0; trial < 6000; trial++) {
        real a[20], b[20];
        term terms[20];
        for (int i = 0; i < 20; i++) {
            const int exponent = trial % 3 ? (int)vr_random_below(&random, 30) : trial % 2 ? -SIGNIFICAND * 3 : -70;
            const int tiny = sizeof(real) == 4 ? -90 : -560, small = sizeof(real) == 4 ? -77 : -530;
            const int scale = trial % 3 == 2 ? (trial % 2 ? tiny : small) : 0; /* the sum, or what is cut off it */
            a[i] = (real)ldexp((double)draw(&random, EVEN), exponent + scale);
            b[i] = (real)ldexp((double)draw(&random, EVEN), scale);
            if (i > 12) {
                a[i] = -a[i - 10];
                b[i] = b[i - 10];
            }
            terms[i] = (term){a[i], b[i]};
        }
        add_exactly(sum, terms, 20);
        for (int m = 0; m < 3; m++)
            assert_same_bits(exact_dot(a, b, 20, (vr_rounding){.mode = modes[m].mode}, 0),
                             rounded_mpfr(sum, modes[m].wanted), vr_rounding_name(modes[m].mode), trial);
        const real noisy = exact_dot(a, b, 20, (vr_rounding){.mode = VR_ROUND_RR, .key = 1}, 0);
        for (vr_rounding_mode mode = VR_ROUND_PB; mode <= VR_ROUND_MCA; mode++) /* no operands to be inexact */
            assert_same_bits(exact_dot(a, b, 20, (vr_rounding){.mode = mode, .key = 1}, 0), noisy, "mca", trial);
    }
    mpfr_clear(sum);
}

/* How often calls give `upper`, else `lower`: as often as `share` says, within 5 standard errors. */
static void check_share(const char *what, const real *a, const real *b, int64_t n, vr_rounding how, real lower,
                        real upper, double share)
{
    const int calls = 6000;
    int up = 0;
    for (int i = 0; i < calls; i++) {
        const real out = exact_dot(a, b, n, how, (uint64_t)i);
        if (out != lower && out != upper)
            fail_msg("%s: %a is neither %a nor %a", what, (double)out, (double)lower, (double)upper);
        up += out == upper;
    }
    const double off = fabs(up - share * calls), error = sqrt(calls * share * (1 - share));
    if (!(off <= 5 * error))
        fail_msg("%s: %d of %d, not %g", what, up, calls, share * calls);
}

static void test_exact_shares(void **state)
{
    (void)state;
    const real ones[] = {1, 1, 1}, u = (real)UNIT, tiny = (real)TINIEST;
    const vr_rounding sr = {.mode = VR_ROUND_SR, .key = 4}, ud = {.mode = VR_ROUND_UD, .key = 4};
    const real quarter[] = {1, u / 2, 0}, far[] = {1 + 2 * u, u, u / 4}, below[] = {1, -u / 4, 0},
               halves[] = {tiny, tiny}, one[] = {1, 0};
    const real half[] = {(real)0.25, (real)0.5};
    check_share("1 + u/2", quarter, ones, 3, sr, 1, 1 + 2 * u, 0.25);
    check_share("1 + 2u + 5/4 u", far, ones, 3, sr, 1 + 2 * u, 1 + 4 * u, 0.625);
    check_share("1 - u/4", below, ones, 3, sr, 1 - u, 1, 0.75);
    check_share("3/4 of the least", halves, half, 2, sr, 0, tiny, 0.75);
    check_share("1, ud", one, ones, 2, ud, 1 - u, 1 + 2 * u, 0.5);
    const real exact[] = {1, 2, 3};
    for (int i = 0; i < 200; i++)
        assert_same_bits(exact_dot(exact, ones, 3, sr, (uint64_t)i), 6, "exact", i);
}

/* What is cut off may be far below the least number, what is there beyond the largest. */
static void test_exact_ends(void **state)
{
    (void)state;
    const real u = (real)UNIT, tiny = (real)TINIEST, max = LARGEST, inf = (real)INFINITY;
    const struct {
        real a[2], b[2], up, down, zero;
    } cases[] = {{{1, tiny}, {1, tiny}, 1 + 2 * u, 1, 1},     {{1, tiny}, {1, -tiny}, 1, 1 - u, 1 - u},
                 {{-1, tiny}, {1, tiny}, -1 + u, -1, -1 + u}, {{tiny, tiny}, {tiny, 0}, tiny, 0, 0},
                 {{max, max}, {1, 1}, inf, max, max},         {{max, max}, {-1, -1}, -max, -inf, -max},
                 {{max, tiny}, {1, tiny}, inf, max, max}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const real *a = cases[i].a, *b = cases[i].b;
        assert_same_bits(exact_dot(a, b, 2, (vr_rounding){.mode = VR_ROUND_UP}, 0), cases[i].up, "up", (int64_t)i);
        assert_same_bits(exact_dot(a, b, 2, (vr_rounding){.mode = VR_ROUND_DOWN}, 0), cases[i].down, "down",
                         (int64_t)i);
        assert_same_bits(exact_dot(a, b, 2, (vr_rounding){.mode = VR_ROUND_ZERO}, 0), cases[i].zero, "zero",
                         (int64_t)i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest_is_plain), cmocka_unit_test(test_sr_is_unbiased),
        cmocka_unit_test(test_calls_and_keys),   cmocka_unit_test(test_exact_directed),
        cmocka_unit_test(test_exact_shares),     cmocka_unit_test(test_exact_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
