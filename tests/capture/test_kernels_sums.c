/* Every kernel that sums, against the exact sums of its terms, in all orders. */
#include "kernels_problem.h"

/* A sum of n terms of any order: each product is rounded once, and each term goes through at most n - 1 rounded
 * additions (atomic: n, beginning with 0), so the sum is off by at most g = (n + 1) u / (1 - (n + 1) u) times the sum
 * of magnitudes S (Higham, Accuracy and Stability, section 4.2). S itself, in double, is off by n 2^-53 S, and products
 * that underflow add at most a half of the least subnormal each. */
static double bound_of(int64_t n, double size)
{
    const double g = (double)(n + 1) * UNIT / (1 - (double)(n + 1) * UNIT);
    return g * size * (1 + 2 * (double)n * 0x1p-53) + (double)n * TINIEST;
}

static void check_output(const problem *p, vr_order order, int64_t e, const term *terms, int64_t n)
{
    mpfr_t sum;
    mpfr_init2(sum, EXACT_BITS);
    const double bound = bound_of(n, add_exactly(sum, terms, n));
    if (order == VR_ORDER_EXACT) {
        assert_same_bits(p->out[e], rounded_mpfr(sum, MPFR_RNDN), p->name, e);
    } else {
        mpfr_sub_d(sum, sum, (double)p->out[e], MPFR_RNDN);
        if (!(fabs(mpfr_get_d(sum, MPFR_RNDN)) <= bound))
            fail_msg("%s, %s: [%lld] is off by %g, not %g", p->name, vr_order_name(order), (long long)e,
                     mpfr_get_d(sum, MPFR_RNDN), bound);
    }
    mpfr_clear(sum);
}

/* All outputs of small problems; of large ones, some. */
static void check_all(problem *p, vr_order order)
{
    vr_math math = {.order = order, .order_key = 5};
    term *terms = malloc((size_t)(p->a_count + p->b_count + 2) * sizeof *terms);
    const int64_t step = p->out_count > 400 ? p->out_count / 97 : 1;
    assert_int_equal(solve(p, &math), VR_OK);
    assert_int_equal(math.calls, 1);
    for (int64_t e = 0; e < p->out_count; e += step)
        check_output(p, order, e, terms, list_terms(p, e, terms));
    free(terms);
}

static void test_accuracy(void **state)
{
    (void)state;
    problem problems[] = {PROBLEMS};
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
        for (int how = EVEN; how <= DRAWN_LAST; how++) {
            make_problem(&problems[i], 17 + i, (drawn)how);
            omp_set_num_threads(1 + (int)i % 4);
            for (int order = 0; order < VR_ORDERS; order++)
                check_all(&problems[i], (vr_order)order);
            free_problem(&problems[i]);
        }
}

/* The exact order on chosen terms: sum, dot with ones, columns and matmul must all give the same. */
static void check_exact(const char *name, const real *x, int64_t n, real wanted)
{
    vr_math math = {.order = VR_ORDER_EXACT};
    real ones[300], out;
    assert_true(n <= 300);
    for (int64_t i = 0; i < n; i++)
        ones[i] = 1;
    assert_int_equal(NAME(vr_sum)(&math, &out, x, n), VR_OK);
    assert_same_bits(out, wanted, name, 0);
    assert_int_equal(NAME(vr_dot)(&math, &out, x, ones, n), VR_OK);
    assert_same_bits(out, wanted, name, 1);
    assert_int_equal(NAME(vr_sum_rows)(&math, &out, x, n, 1), VR_OK);
    assert_same_bits(out, wanted, name, 2);
    assert_int_equal(NAME(vr_matmul)(&math, &out, x, ones, NULL, (vr_matmul){1, 1, n, false, false}), VR_OK);
    assert_same_bits(out, wanted, name, 3);
    const int64_t zeros[300] = {0};
    out = x[0];
    assert_int_equal(NAME(vr_scatter_add)(&math, &out, 1, x + 1, zeros, n - 1, 1), VR_OK);
    assert_same_bits(out, wanted, name, 4);
}

static void test_exact_by_hand(void **state)
{
    (void)state;
    const real u = (real)UNIT, tiny = (real)TINIEST, max = LARGEST;
    const real quiet = (real)NAN, inf = (real)INFINITY;
#define CHECK(wanted, ...)                                                                                             \
    check_exact(#__VA_ARGS__, (const real[]){__VA_ARGS__}, sizeof((real[]){__VA_ARGS__}) / sizeof(real), wanted)
    CHECK(1, 1, u);               /* a tie, to even */
    CHECK(1 + 2 * u, 1, u, tiny); /* just above it, by as little as there is */
    CHECK(1, 1, u, -tiny);
    CHECK(1 + 4 * u, 1 + 2 * u, u); /* a tie, to even, upward */
    CHECK(1 + 2 * u, 1 + 2 * u, u, -tiny);
    CHECK(1, 1, -u / 2); /* a tie below a power of two */
    CHECK(1 - u, 1, -u / 2, -tiny);
    CHECK(tiny, max, -max, tiny);
    CHECK(max, max, max, -max); /* overflows on the way */
    CHECK(-max, -max, -max, max);
    CHECK(inf, max, max);
    CHECK(max, max, max * u / 2, -tiny); /* just below the tie with 2^emax */
    CHECK(inf, max, max * u / 2 * (1 + 2 * u), max * u / 2 * u);
    CHECK(3 * tiny, tiny, tiny, tiny);
    CHECK(0, tiny, -tiny, 0);
    CHECK(0, -(real)0.0, -(real)0.0); /* zero is +0 */
    CHECK(quiet, 1, -quiet, 2);
    CHECK(quiet, inf, 1, -inf);
    CHECK(inf, inf, -max, -max);
    CHECK(-inf, -inf, max);
#undef CHECK
}

/* Products that overflow or underflow, whose sum does not. */
static void test_exact_products(void **state)
{
    (void)state;
    vr_math math = {.order = VR_ORDER_EXACT};
    const real big = LARGEST, tiny = (real)TINIEST;
    const real a[] = {big, big, tiny, tiny, 3, tiny}, b[] = {big, -big, tiny, tiny, 1, (real)0.5};
    real out;
    assert_int_equal(NAME(vr_dot)(&math, &out, a, b, 6), VR_OK);
    assert_same_bits(out, 3, "products", 0);
    assert_int_equal(NAME(vr_dot)(&math, &out, a + 2, b + 2, 2), VR_OK);
    assert_same_bits(out, 0, "products", 1);
    assert_int_equal(NAME(vr_dot)(&math, &out, a + 5, b + 5, 1), VR_OK); /* half of the least: a tie, to even */
    assert_same_bits(out, 0, "products", 2);
    const real c[] = {tiny, tiny}, d[] = {(real)0.5, tiny};
    assert_int_equal(NAME(vr_dot)(&math, &out, c, d, 2), VR_OK); /* and a little more */
    assert_same_bits(out, tiny, "products", 3);
    const real e[] = {(real)INFINITY, 1}, f[] = {0, 1};
    assert_int_equal(NAME(vr_dot)(&math, &out, e, f, 2), VR_OK);
    assert_same_bits(out, (real)NAN, "products", 4);
}

/* Random sums of few terms whose exponents lie anywhere, most of which cancel; permuted, and alone. */
static void test_exact_at_random(void **state)
{
    (void)state;
    vr_random random = vr_random_stream(11, 0);
    mpfr_t sum;
    mpfr_init2(sum, EXACT_BITS);
    for (int trial = 0; trial < 20000; trial++) {
        real x[40], y[40];
        term terms[40];
        uint32_t order[40];
        const int64_t n = 2 + (int64_t)vr_random_below(&random, 38);
        for (int64_t i = 0; i < n; i++) {
            uint64_t bits = vr_random_u64(&random);
            memcpy(&x[i], &bits, sizeof x[i]);
            x[i] = isfinite(x[i]) ? x[i] : 1;
            if (i && vr_random_below(&random, 3))
                x[i] = -x[vr_random_below(&random, (uint64_t)i)] * (real)(vr_random_below(&random, 2) ? 1 : 1 - UNIT);
            terms[i] = (term){x[i], 1};
        }
        add_exactly(sum, terms, n);
        vr_math math = {.order = VR_ORDER_EXACT};
        real out, permuted;
        NAME(vr_sum)(&math, &out, x, n);
        assert_same_bits(out, rounded_mpfr(sum, MPFR_RNDN), "random", trial);
        vr_random_permutation(&random, order, (size_t)n);
        for (int64_t i = 0; i < n; i++)
            y[i] = x[order[i]];
        NAME(vr_sum_rows)(&math, &permuted, y, n, 1);
        assert_same_bits(permuted, out, "permuted", trial);
    }
    mpfr_clear(sum);
}

/* The bound of a matrix product's error is of all blocks of terms: here the second is large, and cancels. */
static void test_exact_large_block(void **state)
{
    (void)state;
    enum { FIRST = 256, ALL = 300, HALF = (FIRST + ALL) / 2 };
    vr_random random = vr_random_stream(14, 0);
    for (int trial = 0; trial < 200; trial++) {
        vr_math math = {.order = VR_ORDER_EXACT};
        real a[ALL], b[ALL], wanted, out;
        for (int i = 0; i < ALL; i++) {
            a[i] = i < HALF ? draw(&random, EVEN) : -a[i - HALF + FIRST];
            b[i] = i < HALF ? draw(&random, EVEN) : b[i - HALF + FIRST];
            if (i >= FIRST && i < HALF)
                a[i] *= (real)ldexp(1, 2 * (i - FIRST) + 60);
        }
        assert_int_equal(NAME(vr_dot)(&math, &wanted, a, b, FIRST), VR_OK);
        assert_int_equal(NAME(vr_matmul)(&math, &out, a, b, NULL, (vr_matmul){1, 1, ALL, false, false}), VR_OK);
        assert_same_bits(out, wanted, "matmul", trial);
        assert_int_equal(NAME(vr_dot)(&math, &out, a, b, ALL), VR_OK);
        assert_same_bits(out, wanted, "dot", trial);
    }
}

/* NaN and infinities are what they are in a plain sum. */
static void test_special_values(void **state)
{
    (void)state;
    for (int order = 0; order < VR_ORDERS; order++) {
        vr_math math = {.order = (vr_order)order};
        real x[1000], out;
        for (int i = 0; i < 1000; i++)
            x[i] = 1;
        x[700] = (real)INFINITY;
        assert_int_equal(NAME(vr_sum)(&math, &out, x, 1000), VR_OK);
        assert_same_bits(out, (real)INFINITY, vr_order_name((vr_order)order), 0);
        x[20] = -(real)INFINITY;
        assert_int_equal(NAME(vr_sum)(&math, &out, x, 1000), VR_OK);
        assert_same_bits(out, (real)NAN, vr_order_name((vr_order)order), 1);
        x[20] = -(real)NAN;
        assert_int_equal(NAME(vr_sum_rows)(&math, &out, x, 1000, 1), VR_OK);
        assert_same_bits(out, (real)NAN, vr_order_name((vr_order)order), 2);
        assert_int_equal(NAME(vr_matmul)(&math, &out, x, x, NULL, (vr_matmul){1, 1, 1000, false, false}), VR_OK);
        assert_same_bits(out, (real)NAN, vr_order_name((vr_order)order), 3);
    }
}

/* One value that is not finite among zeros, in each factor, wherever a kernel looks first. */
static void test_special_among_zeros(void **state)
{
    (void)state;
    for (int order = 0; order < VR_ORDERS; order++)
        for (int which = 0; which < 6; which++) {
            vr_math math = {.order = (vr_order)order};
            real x[300] = {0}, zeros[40 * 300] = {0}, out[40];
            x[which / 2 * 149] = (real)(which % 2 ? NAN : INFINITY);
            NAME(vr_matmul)(&math, out, x, zeros, NULL, (vr_matmul){1, 40, 300, false, true});
            assert_same_bits(out[39], (real)NAN, vr_order_name((vr_order)order), which);
            NAME(vr_matmul)(&math, out, zeros, x, NULL, (vr_matmul){40, 1, 300, false, false});
            assert_same_bits(out[39], (real)NAN, vr_order_name((vr_order)order), which);
            NAME(vr_dot)(&math, out, zeros, x, 300);
            assert_same_bits(out[0], (real)NAN, vr_order_name((vr_order)order), which);
        }
}

static void test_empty(void **state)
{
    (void)state;
    for (int order = 0; order < VR_ORDERS; order++) {
        vr_math math = {.order = (vr_order)order};
        real out[9] = {7, 7, 7, 7, 7, 7, 7, 7, 7};
        const real bias[] = {1, 2, 3};
        const vr_conv2d none = {.n = 1, .h = 2, .w = 1, .c = 0, .k = 3, .kh = 1, .kw = 1, 1, 1, 0, 0, 1, 1},
                        no_room = {.n = 1, .h = 2, .w = 2, .c = 1, .k = 3, .kh = 3, .kw = 1, 1, 1, 0, 0, 1, 1};
        assert_int_equal(NAME(vr_sum)(&math, out, NULL, 0), VR_OK);
        assert_same_bits(out[0], 0, "sum", order);
        assert_int_equal(NAME(vr_sum_rows)(&math, out, NULL, 0, 3), VR_OK);
        assert_same_bits(out[2], 0, "sum_rows", order);
        assert_same_bits(out[3], 7, "sum_rows", order);
        assert_int_equal(NAME(vr_matmul)(&math, out, NULL, NULL, bias, (vr_matmul){2, 3, 0, false, false}), VR_OK);
        assert_same_bits(out[4], 2, "matmul", order);
        assert_int_equal(NAME(vr_matmul)(&math, out, NULL, NULL, bias, (vr_matmul){0, 3, 5, false, false}), VR_OK);
        assert_int_equal(NAME(vr_conv2d_forward)(&math, out, NULL, NULL, NULL, &none), VR_OK);
        assert_same_bits(out[4], 0, "conv", order);
        assert_int_equal(NAME(vr_conv2d_forward)(&math, NULL, bias, bias, NULL, &no_room), VR_OK);
        out[8] = 7;
        assert_int_equal(NAME(vr_conv2d_backward_weight)(&math, out, bias, NULL, &no_room), VR_OK);
        assert_same_bits(out[8], 0, "conv, weight", order);
        assert_int_equal(NAME(vr_scatter_add)(&math, out, 2, NULL, NULL, 0, 3), VR_OK);
        assert_same_bits(out[0], 0, "scatter_add", order);
    }
}

static void test_refused(void **state)
{
    (void)state;
    const int64_t huge = INT64_C(1) << 40, index[] = {0, 2, 1}, low[] = {0, -1};
    real out[6] = {7, 7, 7, 7, 7, 7};
    const real x[6] = {1};
    vr_conv2d conv = {1, 4, 4, 1, 1, 2, 2, 1, 1, 0, 0, 1, 1};
    assert_int_equal(NAME(vr_sum)(NULL, out, x, -1), VR_ERROR_SHAPE);
    assert_int_equal(NAME(vr_sum_rows)(NULL, out, x, huge, huge), VR_ERROR_SHAPE);
    assert_int_equal(NAME(vr_matmul)(NULL, out, x, x, NULL, (vr_matmul){huge, huge, 0, false, false}), VR_ERROR_SHAPE);
    assert_int_equal(NAME(vr_matmul)(NULL, out, x, x, NULL, (vr_matmul){1, -1, 1, false, false}), VR_ERROR_SHAPE);
    assert_int_equal(NAME(vr_softmax)(NULL, out, x, 2, -2), VR_ERROR_SHAPE);
    conv.stride_w = 0;
    assert_int_equal(NAME(vr_conv2d_forward)(NULL, out, x, x, NULL, &conv), VR_ERROR_SHAPE);
    conv.stride_w = 1;
    conv.pad_h = INT64_MAX / 2;
    assert_int_equal(NAME(vr_conv2d_forward)(NULL, out, x, x, NULL, &conv), VR_ERROR_SHAPE);
    conv.pad_h = 0;
    conv.dilation_w = INT64_MAX;
    conv.kw = 3;
    assert_int_equal(NAME(vr_conv2d_backward_input)(NULL, out, x, x, &conv), VR_ERROR_SHAPE);
    assert_int_equal(NAME(vr_scatter_add)(NULL, out, 2, x, index, 3, 2), VR_ERROR_ARGUMENT);
    assert_non_null(strstr(vr_error(), "index[1] is 2, not in 0..1"));
    assert_int_equal(NAME(vr_scatter_add)(NULL, out, 2, x, low, 2, 2), VR_ERROR_ARGUMENT);
    for (int i = 0; i < 6; i++)
        assert_same_bits(out[i], 7, "refused", i);
}

/* Random orders are of less than 2^32 terms: refused before a number is read or written. */
static void test_too_long_to_shuffle(void **state)
{
    (void)state;
    const int64_t long_ = INT64_C(1) << 32;
    const vr_batchnorm shape = {long_, 1, 0, 0};
    vr_math math = {.order = VR_ORDER_SHUFFLED};
    real one[1] = {7};
    assert_int_equal(NAME(vr_softmax)(&math, one, one, 1, long_), VR_ERROR_SHAPE);
    assert_int_equal(NAME(vr_softmax_backward)(&math, one, one, one, 1, long_), VR_ERROR_SHAPE);
    assert_int_equal(NAME(vr_batchnorm_forward)(&math, one, one, one, NULL, NULL, one, one, one, &shape),
                     VR_ERROR_SHAPE);
    assert_int_equal(NAME(vr_batchnorm_backward)(&math, one, one, one, one, one, one, one, one, &shape),
                     VR_ERROR_SHAPE);
    assert_int_equal(NAME(vr_sum_rows)(&math, one, one, long_, 1), VR_ERROR_SHAPE);
    assert_int_equal(NAME(vr_matmul)(&math, one, one, one, NULL, (vr_matmul){1, 1, long_, false, false}),
                     VR_ERROR_SHAPE);
    assert_int_equal(NAME(vr_sum)(&math, one, one, long_), VR_ERROR_SHAPE);
    assert_same_bits(one[0], 7, "one", 0);
}

/* A first term that is NaN has no payload either, with nothing to add to it. */
static void test_bias_alone(void **state)
{
    (void)state;
    const real bias[] = {-(real)NAN, 3};
    real out[4] = {0};
    assert_int_equal(NAME(vr_matmul)(NULL, out, NULL, NULL, bias, (vr_matmul){2, 2, 0, false, false}), VR_OK);
    assert_same_bits(out[2], (real)NAN, "bias", 2);
    assert_same_bits(out[3], 3, "bias", 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_exact_by_hand),
        cmocka_unit_test(test_exact_products),
        cmocka_unit_test(test_exact_at_random),
        cmocka_unit_test(test_special_values),
        cmocka_unit_test(test_exact_large_block),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_special_among_zeros),
        cmocka_unit_test(test_too_long_to_shuffle),
        cmocka_unit_test(test_bias_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
