/* Which random word rounds which operation of a kernel: each one its own. */
#include "kernels_problem.h"

static const char *const isas[] = {"baseline", "avx2", "avx512"};

#if VR_REAL_BITS == 32
#define STREAM_WORD vr_stream_word
typedef uint32_t word;
#else
#define STREAM_WORD vr_stream_word64
typedef uint64_t word;
#endif

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

/* Where products are small, subnormal, or below the least number, or sums overflow: the fast loops have to notice. */
static void test_definition_at_the_ends(void **state)
{
    (void)state;
    const int exponents[][2] = {{-48, -480}, {-70, -530}, {-76, -540}, {64, 512}};
    for (int end = 0; end < 4; end++) {
        const int exponent = exponents[end][sizeof(real) == 8];
        problem p = {.name = "matmul", .kind = MATMUL, .product = {5, 19, 40, false, false}, .bias = true};
        make_problem(&p, 51, EVEN);
        for (int64_t i = 0; i < p.a_count; i++)
            p.a[i] = (real)ldexp((double)p.a[i], exponent);
        for (int64_t i = 0; i < p.b_count; i++)
            p.b[i] = (real)ldexp((double)p.b[i], exponent);
        for (int64_t j = 0; j < p.product.n; j++)
            p.first[j] = (real)ldexp((double)p.first[j], 2 * exponent);
        for (int mode = 0; mode < VR_ROUND_MODES; mode++)
            for (int operands = 0; operands < 2; operands++)
                check_definition(&p, (vr_rounding){.mode = (vr_rounding_mode)mode, .operands = operands, .key = 78});
        free_problem(&p);
    }
}

/* Blocks of 16,384 terms from word 2 first on, 64 at a time: their products' words, then their additions'. Those of the
 * first 64, which are added to nothing yet, are for the block itself (0) and for lane l + half (l + half). */
static real fixed_dot(const problem *p, const vr_rounding *how, uint64_t key)
{
    real total = 0, lanes[64];
    for (int64_t first = 0; first < p->n; first += 16384) {
        const int64_t n = p->n - first < 16384 ? p->n - first : 16384, used = n < 64 ? n : 64;
        const uint64_t start = 2 * (uint64_t)first, spare = start + (uint64_t)used;
        for (int64_t i = 0; i < n; i++) {
            const int64_t l = i % 64, width = n - (i - l) < 64 ? n - (i - l) : 64;
            const uint64_t at = start + 2 * (uint64_t)(i - l) + (uint64_t)l;
            const real x = rounded(how, VR_MUL, p->a[first + i], p->b[first + i], key, at);
            lanes[l] = i < 64 ? x : rounded(how, VR_ADD, lanes[l], x, key, at + (uint64_t)width);
        }
        for (int64_t half = 32; half; half /= 2)
            for (int64_t l = 0; l < half && l + half < used; l++)
                lanes[l] = rounded(how, VR_ADD, lanes[l], lanes[l + half], key, spare + (uint64_t)(l + half));
        total = first ? rounded(how, VR_ADD, total, lanes[0], key, spare) : lanes[0];
    }
    return total;
}

static void test_definition_of_dot(void **state)
{
    (void)state;
    const int64_t sizes[] = {37, 64, 165, 2 * 16384 + 229};
    for (int s = 0; s < 4; s++)
        for (int key = 0; key < 8; key++) {
            problem p = {.name = "dot", .kind = DOT, .n = sizes[s]};
            const vr_rounding how = {.mode = VR_ROUND_SR, .key = (uint64_t)key};
            vr_math math = {.rounding = how};
            vr_random random = vr_random_stream(how.key, 0);
            make_problem(&p, 30, EVEN);
            assert_int_equal(solve(&p, &math), VR_OK);
            assert_same_bits(p.out[0], fixed_dot(&p, &how, vr_random_u64(&random)), "dot", p.n);
            free_problem(&p);
        }
}

/* Column j of n: term k has word 2 k n + j for its product, (2 k + 1) n + j for its addition, or that of its block. */
static void test_definition_of_columns(void **state)
{
    (void)state;
    enum { TERMS = 600, COLUMNS = 300 };
    static real a[TERMS * COLUMNS], b[TERMS * COLUMNS], first[COLUMNS], out[COLUMNS];
    const vr_rounding how = {.mode = VR_ROUND_SR, .key = 10};
    vr_math math = {.rounding = how};
    vr_random random = vr_random_stream(9, 0);
    for (int i = 0; i < TERMS * COLUMNS; i++) {
        a[i] = draw(&random, EVEN);
        b[i] = draw(&random, EVEN);
        first[i % COLUMNS] = draw(&random, EVEN);
    }
    const way w = NAME(vr_way_begin)(&math);
    assert_int_equal(NAME(vr_columns)(&w, out, first, a, b, TERMS, COLUMNS), VR_OK);
    for (int64_t j = 0; j < COLUMNS; j++) {
        real total = first[j], block = 0;
        uint64_t begun = 0;
        for (int64_t k = 0; k < TERMS; k++) {
            const uint64_t at = (uint64_t)(2 * k * COLUMNS + j);
            const real x = rounded(&how, VR_MUL, a[k * COLUMNS + j], b[k * COLUMNS + j], w.how.key, at);
            block = k % 256 ? rounded(&how, VR_ADD, block, x, w.how.key, at + COLUMNS) : x;
            begun = k % 256 ? begun : at + COLUMNS;
            if (k % 256 == 255 || k == TERMS - 1)
                total = rounded(&how, VR_ADD, total, block, w.how.key, begun);
        }
        assert_same_bits(out[j], total, "column", j);
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
        const uint64_t starts[] = {0, (UINT64_C(1) << 32) - 30, (UINT64_C(1) << 31) - 30, UINT64_C(5) << 33,
                                   (UINT64_C(1) << 63) + 5};
        for (int s = 0; s < 5; s++) {
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

/* Every addition has a word of its own, that of a short piece too: 1 + u is 1 or 1 + 2 u, evenly, in the second of
 * three pieces, and with 2, 3 or, half of the time if it was 1 + 2 u, 3 + 4 u. 5 standard errors of 6000 calls: 6e-7.
 */
static void test_words_of_short_pieces(void **state)
{
    (void)state;
    const int calls = 6000;
    const real u = (real)UNIT;
    vr_math math = {.order = VR_ORDER_THREADS, .rounding = {.mode = VR_ROUND_SR, .key = 15}};
    omp_set_num_threads(3);
    for (int at = 1, half = 1; at < 40; at++) {
        real x[120] = {2}, out;
        int up = 0;
        half = at < 2 * half ? half : 2 * half;
        x[40 + at - half] = 1; /* the lane that lane `at` is added to */
        x[40 + at] = u;
        for (int i = 0; i < calls; i++) {
            assert_int_equal(NAME(vr_sum)(&math, &out, x, 120), VR_OK);
            assert_true(out == 3 || out == 3 + 4 * u);
            up += out != 3;
        }
        if (!(fabs(up - calls / 4.0) <= 5 * sqrt(calls * 3 / 16.0)))
            fail_msg("lane %d: %d of %d, not a quarter", at, up, calls);
    }
}

/* 1 + u + u in three pieces, by each kernel that cuts sums into pieces in its own way. */
static real add_three(int which, uint64_t call)
{
    const real u = (real)UNIT, far[24] = {[0] = 1, [8] = u, [16] = u}, near_[] = {1, u, u}, ones[] = {1, 1, 1};
    const int64_t zeros[2] = {0};
    vr_math math = {.order = which == 0 ? VR_ORDER_ATOMIC : VR_ORDER_THREADS,
                    .rounding = {.mode = VR_ROUND_SR, .key = 16},
                    .calls = call};
    real out = 1;
    omp_set_num_threads(which == 0 ? 1 : 3);
    if (which == 0) /* pieces of 8 */
        assert_int_equal(NAME(vr_sum)(&math, &out, far, 24), VR_OK);
    else if (which == 1)
        assert_int_equal(NAME(vr_sum)(&math, &out, near_, 3), VR_OK);
    else if (which == 2)
        assert_int_equal(NAME(vr_sum_rows)(&math, &out, near_, 3, 1), VR_OK);
    else if (which == 3)
        assert_int_equal(NAME(vr_matmul)(&math, &out, near_, ones, NULL, (vr_matmul){1, 1, 3, false, false}), VR_OK);
    else
        assert_int_equal(NAME(vr_scatter_add)(&math, &out, 1, near_ + 1, zeros, 2, 1), VR_OK);
    return out;
}

/* So has every addition of a piece: 1 + u + u stays 1 a quarter of the time. With one word for both it were half. */
static void test_words_of_pieces(void **state)
{
    (void)state;
    const int calls = 6000;
    for (int which = 0; which < 5; which++) {
        int ones = 0;
        for (int i = 0; i < calls; i++)
            ones += add_three(which, (uint64_t)i) == 1;
        if (!(fabs(ones - calls / 4.0) <= 5 * sqrt(calls * 3 / 16.0)))
            fail_msg("kernel %d: %d of %d, not a quarter", which, ones, calls);
    }
}

/* Steps of a call have orders and random bits of their own: with z = 1, dgamma is the sum of the same terms as dbeta.
 */
static void test_steps_differ(void **state)
{
    (void)state;
    const vr_math maths[] = {{.order = VR_ORDER_SHUFFLED, .order_key = 3},
                             {.order = VR_ORDER_SHUFFLED, .order_key = 3, .calls = 4},
                             {.rounding = {.mode = VR_ROUND_SR, .key = 3}},
                             {.order = VR_ORDER_EXACT, .rounding = {.mode = VR_ROUND_SR, .key = 3}}};
    real x[300 * 8], dout[300 * 8], dx[300 * 8], dgamma[8], dbeta[8];
    const real ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    vr_random random = vr_random_stream(5, 0);
    for (int i = 0; i < 300 * 8; i++) {
        x[i] = 2;
        dout[i] = draw(&random, EVEN);
    }
    for (int i = 0; i < 4; i++) {
        vr_math math = maths[i];
        assert_int_equal(NAME(vr_batchnorm_backward)(&math, dx, dgamma, dbeta, dout, x, ones, ones, ones,
                                                     &(vr_batchnorm){300, 8, 0, 0}),
                         VR_OK);
        assert_memory_not_equal(dgamma, dbeta, sizeof dgamma);
    }
}

/* Whether neighbours among n numbers differ somewhere: not so by chance for 39 sums of 30 terms or more, rounded by
 * words of their own. */
static bool vary(const real *x, int64_t step, int64_t n)
{
    return memcmp(x, x + step, (size_t)(n - step) * sizeof *x) != 0;
}

/* Equal sums of equal terms, one beside and one below the other, are rounded by words of their own. */
static void test_elements_differ(void **state)
{
    (void)state;
    enum { WIDE_ROW = 40, DEEP = 90 };
    static real alike[DEEP * WIDE_ROW], terms[WIDE_ROW * DEEP], ones[2 * DEEP], out[WIDE_ROW * WIDE_ROW];
    int64_t index[DEEP];
    vr_random random = vr_random_stream(7, 0);
    for (int k = 0; k < DEEP; k++) {
        const real x = draw(&random, EVEN) / 3; /* not a multiple of 2^-52, whose sums may be exact */
        for (int j = 0; j < WIDE_ROW; j++)
            alike[k * WIDE_ROW + j] = terms[j * DEEP + k] = x;
        ones[k] = ones[DEEP + k] = 1;
        index[k] = k >= DEEP / 2;
        if (index[k])
            memcpy(&alike[k * WIDE_ROW], &alike[(k - DEEP / 2) * WIDE_ROW], WIDE_ROW * sizeof *alike);
    }
    for (int order = VR_ORDERS - 1; order >= 0; order--) {
        vr_math math = {.order = (vr_order)order, .rounding = {.mode = VR_ROUND_SR, .key = 2}};
        const real large = order == VR_ORDER_EXACT ? (real)0x1p60 : 0; /* so that a fast sum does not do */
        for (int j = 0; j < WIDE_ROW; j++) {
            terms[j * DEEP] = alike[j] = alike[DEEP / 2 * WIDE_ROW + j] = large;
            terms[j * DEEP + 1] = alike[WIDE_ROW + j] = alike[(DEEP / 2 + 1) * WIDE_ROW + j] = -large;
        }
        NAME(vr_matmul)(&math, out, ones, alike, NULL, (vr_matmul){2, WIDE_ROW, DEEP, false, false});
        assert_true(vary(out, 1, WIDE_ROW) && vary(out, WIDE_ROW, 2 * WIDE_ROW));
        NAME(vr_sum_rows)(&math, out, alike, DEEP, WIDE_ROW);
        assert_true(vary(out, 1, WIDE_ROW));
        memset(out, 0, sizeof out);
        NAME(vr_scatter_add)(&math, out, 2, alike, index, DEEP, WIDE_ROW);
        assert_true(vary(out, 1, WIDE_ROW) && vary(out, WIDE_ROW, 2 * WIDE_ROW));
        const way w = NAME(vr_way_begin)(&math);
        NAME(vr_lines)(&w, out, terms, NULL, WIDE_ROW, DEEP);
        assert_true(vary(out, 1, WIDE_ROW));
    }
}

/* The same, rows having random orders of their own. */
static void test_rows_differ(void **state)
{
    (void)state;
    enum { SOURCES = 90, LONG = 40 };
    real terms[LONG * SOURCES], src[SOURCES], out[LONG];
    int64_t index[SOURCES];
    vr_random random = vr_random_stream(7, 0);
    for (int k = 0; k < SOURCES; k++) {
        index[k] = k >= SOURCES / 2;
        src[k] = index[k] ? src[k - SOURCES / 2] : draw(&random, EVEN) / 3;
        for (int j = 0; j < LONG; j++)
            terms[j * SOURCES + k] = src[k];
    }
    vr_math shuffled = {.order = VR_ORDER_SHUFFLED};
    const way w = NAME(vr_way_begin)(&shuffled);
    NAME(vr_lines)(&w, out, terms, NULL, LONG, SOURCES);
    assert_true(vary(out, 1, LONG));
    bool differs = false;
    for (int call = 0; call < 20; call++) { /* two orders of 45 terms may give the same sum now and then */
        out[0] = out[1] = 0;
        NAME(vr_scatter_add)(&shuffled, out, 2, src, index, SOURCES, 1);
        differs |= out[0] != out[1];
    }
    assert_true(differs);
}

/* A step's operation: its key is that of the call and of its number, its word that of the element. */
static real at_step(const vr_rounding *how, uint64_t call, uint64_t step, vr_operation op, real a, real b,
                    uint64_t position)
{
    vr_random random = vr_random_stream(call, step);
    const word w = STREAM_WORD(vr_random_u64(&random), position);
    switch (op) {
    case VR_SUB:
        return NAME(vr_core_sub)(how->mode, how->precision, a, b, w);
    case VR_MUL:
        return NAME(vr_core_mul)(how->mode, how->precision, a, b, w);
    default:
        return NAME(vr_core_div)(how->mode, how->precision, a, b, w);
    }
}

/* dx = ((dout - dbeta / rows) - z (dgamma / rows)) (gamma inverse), the sums being steps 3 and 4. */
static void test_words_of_steps(void **state)
{
    (void)state;
    enum { ROWS = 9, CHANNELS = 300 }; /* more than are done at a time */
    static real x[ROWS * CHANNELS], dout[ROWS * CHANNELS], dx[ROWS * CHANNELS], gamma_[CHANNELS], dgamma[CHANNELS],
        dbeta[CHANNELS];
    const vr_rounding how = {.mode = VR_ROUND_SR, .key = 8};
    vr_math math = {.rounding = how, .calls = 2};
    vr_random random = vr_random_stream(6, 0), key = vr_random_stream(how.key, 2);
    for (int i = 0; i < ROWS * CHANNELS; i++) {
        x[i] = draw(&random, EVEN);
        dout[i] = draw(&random, EVEN);
        gamma_[i % CHANNELS] = draw(&random, EVEN);
    }
    const real *mean = x + CHANNELS, *inverse = x + 2 * CHANNELS;
    const uint64_t call = vr_random_u64(&key);
    assert_int_equal(NAME(vr_batchnorm_backward)(&math, dx, dgamma, dbeta, dout, x, gamma_, mean, inverse,
                                                 &(vr_batchnorm){ROWS, CHANNELS, 0, 0}),
                     VR_OK);
    for (uint64_t i = 0, j = 0; i < ROWS * CHANNELS; j = ++i % CHANNELS) {
        const real d = at_step(&how, call, 1, VR_SUB, x[i], mean[j], i),
                   z = at_step(&how, call, 2, VR_MUL, d, inverse[j], i),
                   by_gamma = at_step(&how, call, 5, VR_DIV, dgamma[j], ROWS, j),
                   by_beta = at_step(&how, call, 6, VR_DIV, dbeta[j], ROWS, j),
                   factor = at_step(&how, call, 7, VR_MUL, gamma_[j], inverse[j], j),
                   along = at_step(&how, call, 8, VR_MUL, z, by_gamma, i),
                   centred = at_step(&how, call, 9, VR_SUB, dout[i], by_beta, i),
                   rest = at_step(&how, call, 10, VR_SUB, centred, along, i);
        assert_same_bits(dx[i], at_step(&how, call, 11, VR_MUL, rest, factor, i), "dx", (int64_t)i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition),        cmocka_unit_test(test_definition_at_the_ends),
        cmocka_unit_test(test_definition_of_dot), cmocka_unit_test(test_definition_of_columns),
        cmocka_unit_test(test_far_positions),     cmocka_unit_test(test_words_of_short_pieces),
        cmocka_unit_test(test_words_of_pieces),   cmocka_unit_test(test_steps_differ),
        cmocka_unit_test(test_elements_differ),   cmocka_unit_test(test_rows_differ),
        cmocka_unit_test(test_words_of_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
