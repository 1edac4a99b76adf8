/* Kernels whose operations are rounded as they are told. */
#include "kernels_problem.h"

static const char *const isas[] = {"baseline", "avx2", "avx512"};

#if VR_REAL_BITS == 32
#define STREAM_WORD vr_stream_word
typedef uint32_t word;
#else
#define STREAM_WORD vr_stream_word64
typedef uint64_t word;
#endif

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

/* ---- the definition of `fixed`, word by word ---- */

static real rounded(const vr_rounding *how, vr_operation op, real a, real b, uint64_t key, uint64_t position)
{
    const word w = how->operands ? NAME(vr_operand_word)(op, a, b, 0, how->key) : STREAM_WORD(key, position);
    if (op == VR_MUL)
        return NAME(vr_core_mul)(how->mode, how->precision, a, b, w);
    return NAME(vr_core_add)(how->mode, how->precision, a, b, w);
}

/* Element e of E: bias, then blocks of 256 terms; term k has word 2 k E + e for its product, (2 k + 1) E + e for its
 * addition, or that of the block it begins. */
static real fixed_element(const problem *p, const vr_rounding *how, uint64_t key, int64_t e)
{
    const vr_matmul *s = &p->product;
    const int64_t i = e / s->n, j = e % s->n;
    const uint64_t all = (uint64_t)(s->m * s->n);
    real total = p->first[j], block = 0;
    for (int64_t k = 0; k < s->k; k++) {
        const uint64_t position = 2 * (uint64_t)k * all + (uint64_t)e;
        const real product = rounded(how, VR_MUL, p->a[i * s->k + k], p->b[k * s->n + j], key, position);
        const bool begins = k % 256 == 0, ends = k % 256 == 255 || k == s->k - 1;
        block = begins ? product : rounded(how, VR_ADD, block, product, key, position + all);
        const uint64_t first = 2 * (uint64_t)(k / 256 * 256) * all + (uint64_t)e;
        if (ends)
            total = rounded(how, VR_ADD, total, block, key, first + all);
    }
    return total;
}

static void check_definition(problem *p, vr_rounding how)
{
    vr_math math = {.rounding = how, .calls = 5};
    vr_random random = vr_random_stream(how.key, 5);
    const uint64_t key = vr_random_u64(&random);
    assert_int_equal(solve(p, &math), VR_OK);
    for (int64_t e = 0; e < p->out_count; e++)
        assert_same_bits(p->out[e], fixed_element(p, &how, key, e), vr_rounding_name(how.mode), e);
}

static void test_definition(void **state)
{
    (void)state;
    problem square = {.name = "matmul", .kind = MATMUL, .product = {9, 37, 270, false, false}, .bias = true};
    problem tall = {.name = "matmul", .kind = MATMUL, .product = {71, 3, 261, false, false}, .bias = true};
    problem *const both[] = {&square, &tall};
    for (int i = 0; i < 2; i++)
        for (int how = EVEN; how <= WIDE; how++) {
            make_problem(both[i], 50, (drawn)how);
            for (int mode = 0; mode < VR_ROUND_MODES; mode++)
                for (int bits = 0; bits < 4; bits++)
                    check_definition(both[i], (vr_rounding){.mode = (vr_rounding_mode)mode,
                                                            .operands = bits & 1,
                                                            .precision = bits & 2 ? 11 : 0,
                                                            .key = 77});
            free_problem(both[i]);
        }
}

/* Positions beyond 2^32 within a row of lanes: as sums of columns reach them, with a million columns or more. */
static void test_far_positions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof isas / sizeof *isas; i++) {
        if (!vr_kernels_named(isas[i]))
            continue;
        NAME(vr_inner_use)(isas[i]);
        const uint64_t starts[] = {0, (UINT64_C(1) << 32) - 30, (UINT64_C(1) << 31) - 30, UINT64_C(5) << 33};
        for (int s = 0; s < 4; s++) {
            const vr_rounding how = {.mode = VR_ROUND_SR, .key = 12};
            const places at = {.position = starts[s], .lane = 1, .term = 100, .sum = 50};
            real a[64], b[64], out[64];
            vr_random random = vr_random_stream(1, 2);
            for (int j = 0; j < 64; j++) {
                a[j] = draw(&random, EVEN);
                b[j] = draw(&random, EVEN);
            }
            NAME(vr_inner_best)()->columns_rounded(out, a, b, 64, NULL, 1, 64, &how, &at);
            for (int j = 0; j < 64; j++) {
                const word w = STREAM_WORD(how.key, starts[s] + (uint64_t)j);
                assert_same_bits(out[j], NAME(vr_core_mul)(VR_ROUND_SR, 0, a[j], b[j], w), isas[i], j);
            }
        }
    }
    NAME(vr_inner_use)(vr_isa_name());
}

/* ---- what it means ---- */

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
            const int scale = trial % 3 == 2 ? (sizeof(real) == 4 ? -90 : -560) : 0;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest_is_plain), cmocka_unit_test(test_definition),
        cmocka_unit_test(test_far_positions),    cmocka_unit_test(test_sr_is_unbiased),
        cmocka_unit_test(test_calls_and_keys),   cmocka_unit_test(test_exact_directed),
        cmocka_unit_test(test_exact_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
