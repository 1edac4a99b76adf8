/* The header's words as the plainest loops there are, held to the kernels bit for bit: lanes, blocks, pieces, and the
 * steps of kernels that have several.
 */
#include "kernels_problem.h"

enum { BLOCK_TERMS = 256, LINE_TERMS = 16384, LINE_LANES = 64, ROWS = 530, CHANNELS = 70, ALL = ROWS * CHANNELS };

static real product_of(const term *t)
{
    return t->a * t->b; /* by 1, where there is no product */
}

/* Term i of a block in lane i mod 64, each lane in order; then halves upon halves, lanes without terms left out. */
static real add_line(const term *terms, int64_t n)
{
    real lanes[LINE_LANES];
    const int64_t used = n < LINE_LANES ? n : LINE_LANES;
    for (int64_t i = 0; i < n; i++)
        lanes[i % LINE_LANES] = i < LINE_LANES ? product_of(&terms[i]) : lanes[i % LINE_LANES] + product_of(&terms[i]);
    for (int64_t half = 32; half > 0; half /= 2)
        for (int64_t l = 0; l < half && l + half < used; l++)
            lanes[l] += lanes[l + half];
    return lanes[0];
}

static real add_column(const term *terms, int64_t n)
{
    real sum = product_of(terms);
    for (int64_t i = 1; i < n; i++)
        sum += product_of(&terms[i]);
    return sum;
}

/* The blocks in order, after a first term if `first` is not NULL. */
static real add_blocks(const term *terms, int64_t n, bool along, const real *first)
{
    const int64_t size = along ? LINE_TERMS : BLOCK_TERMS;
    real sum = first ? *first : 0;
    for (int64_t i = 0; i < n; i += size) {
        const int64_t count = n - i < size ? n - i : size;
        const real block = along ? add_line(terms + i, count) : add_column(terms + i, count);
        sum = i || first ? sum + block : block;
    }
    return sum;
}

/* As many pieces as threads, as even as can be, larger ones first. */
static real add_pieces(const term *terms, int64_t n, bool along, const real *first, int threads)
{
    const int64_t pieces = threads < n ? threads : n;
    real sum = first ? *first : 0;
    for (int64_t p = 0, start = 0; p < pieces; p++) {
        const int64_t count = n / pieces + (p < n % pieces);
        const real piece = add_blocks(terms + start, count, along, NULL);
        sum = p || first ? sum + piece : piece;
        start += count;
    }
    return sum;
}

static real add_as(vr_order order, int threads, const term *terms, int64_t n, bool along, const real *first)
{
    if (order == VR_ORDER_FIXED)
        return add_blocks(terms, n, along, first);
    if (order == VR_ORDER_THREADS)
        return add_pieces(terms, n, along, first, threads);
    mpfr_t sum;
    mpfr_init2(sum, EXACT_BITS);
    add_exactly(sum, terms, n);
    if (first)
        mpfr_add_d(sum, sum, (double)*first, MPFR_RNDN);
    const real out = rounded_mpfr(sum, MPFR_RNDN);
    mpfr_clear(sum);
    return out;
}

static const vr_order orders[] = {VR_ORDER_FIXED, VR_ORDER_THREADS, VR_ORDER_EXACT};
static const int thread_counts[] = {1, 3, 8};

/* The output's gradient that tap (ky, kx) took to input pixel (y, x), 0 where the window missed. */
static real taken(const problem *p, int64_t image, int64_t y, int64_t x, int64_t tap, int64_t k)
{
    const vr_conv2d *s = &p->conv;
    const int64_t down = y + s->pad_h - tap / s->kw * s->dilation_h, right = x + s->pad_w - tap % s->kw * s->dilation_w;
    if (down < 0 || right < 0 || down % s->stride_h || right % s->stride_w)
        return 0;
    const int64_t row = down / s->stride_h, column = right / s->stride_w;
    return row < p->out_h && column < p->out_w ? p->a[((image * p->out_h + row) * p->out_w + column) * s->k + k] : 0;
}

/* Terms as the header has them: of a gradient by `in`, in order of (ky, kx, k), zeros too. */
static int64_t list_in_order(const problem *p, int64_t e, term *terms)
{
    const vr_conv2d *s = &p->conv;
    if (p->kind != CONV_INPUT)
        return list_terms(p, e, terms);
    const int64_t pixel = e / s->c, image = pixel / (s->h * s->w), y = pixel / s->w % s->h, x = pixel % s->w;
    int64_t count = 0;
    for (int64_t tap = 0; tap < s->kh * s->kw; tap++)
        for (int64_t k = 0; k < s->k; k++)
            terms[count++] = (term){taken(p, image, y, x, tap, k), p->b[(tap * s->c + e % s->c) * s->k + k]};
    return count;
}

static void check_problem(const problem *p, vr_order order, int threads)
{
    vr_math math = {.order = order};
    const bool along = p->kind == SUM || p->kind == DOT, begins = p->bias || p->kind == SCATTER;
    term *terms = malloc((size_t)(p->a_count + p->b_count + 2) * sizeof *terms);
    assert_non_null(terms);
    omp_set_num_threads(threads);
    assert_int_equal(solve(p, &math), VR_OK);
    for (int64_t e = 0; e<p->out_count; e += p->out_count> 300 ? p->out_count / 61 : 1) {
        const int64_t n = list_in_order(p, e, terms) - begins;
        if (n > 0)
            assert_same_bits(p->out[e], add_as(order, threads, terms + begins, n, along, begins ? &terms[0].a : NULL),
                             p->name, e);
    }
    free(terms);
}

static void test_sums(void **state)
{
    (void)state;
    problem problems[] = {
        PROBLEMS,
        {.name = "sum of 3 blocks", .kind = SUM, .n = 2 * LINE_TERMS + 5},
        {.name = "scatter_add, deep", .kind = SCATTER, .n = 3000, .rows = 2, .product = {0, 3, 0, false, false}},
        {.name = "matmul, deep", .kind = MATMUL, .product = {7, 19, 1100, false, true}, .bias = true},
        {.name = "matmul, beyond the cache", .kind = MATMUL, .product = {3, 530, 2300, false, false}}};
    for (size_t i = 0; i < sizeof problems / sizeof *problems; i++) {
        make_problem(&problems[i], 90 + i, EVEN);
        for (int o = 0; o < 3; o++)
            for (int t = 0; t < 3; t++)
                check_problem(&problems[i], orders[o], thread_counts[t]);
        free_problem(&problems[i]);
    }
}

/* ---- kernels of several steps ---- */

typedef struct layer {
    real x[ALL], dout[ALL], gamma[CHANNELS], beta[CHANNELS];
    real out[ALL], mean[CHANNELS], inverse[CHANNELS], running_mean[CHANNELS], running_variance[CHANNELS];
    real dx[ALL], dgamma[CHANNELS], dbeta[CHANNELS];
} layer;

static const vr_batchnorm shape = {ROWS, CHANNELS, 1e-3, 0.2};

static layer *net;

static int make(void **state)
{
    (void)state;
    vr_random random = vr_random_stream(12, 0);
    net = calloc(1, sizeof *net);
    for (int i = 0; net && i < ALL; i++) {
        net->x[i] = 3 * draw(&random, EVEN) + 1;
        net->dout[i] = draw(&random, EVEN);
    }
    for (int j = 0; net && j < CHANNELS; j++) {
        net->gamma[j] = 1 + draw(&random, EVEN);
        net->beta[j] = draw(&random, EVEN);
    }
    return net ? 0 : -1;
}

static int unmake(void **state)
{
    (void)state;
    free(net);
    return 0;
}

static real root(real x)
{
    return (real)sqrt((double)x); /* of f32 too: twice the precision and two bits are enough */
}

static void check_forward(vr_order order, int threads, int j)
{
    const real rows = ROWS, momentum = (real)shape.momentum;
    term terms[ROWS];
    for (int i = 0; i < ROWS; i++)
        terms[i] = (term){net->x[i * CHANNELS + j], 1};
    const real mean = add_as(order, threads, terms, ROWS, false, NULL) / rows;
    for (int i = 0; i < ROWS; i++)
        terms[i].a = terms[i].b = net->x[i * CHANNELS + j] - mean;
    const real squares = add_as(order, threads, terms, ROWS, false, NULL);
    const real inverse = 1 / root(squares / rows + (real)shape.epsilon);
    assert_same_bits(net->mean[j], mean, "mean", j);
    assert_same_bits(net->inverse[j], inverse, "inverse", j);
    assert_same_bits(net->running_mean[j], 2 + momentum * (mean - 2), "running mean", j);
    assert_same_bits(net->running_variance[j], 3 + momentum * (squares / (rows - 1) - 3), "running variance", j);
    for (int i = 0; i < ROWS; i++)
        assert_same_bits(net->out[i * CHANNELS + j], (terms[i].a * inverse) * net->gamma[j] + net->beta[j], "out", i);
}

static void check_backward(vr_order order, int threads, int j)
{
    const real rows = ROWS, inverse = net->inverse[j];
    term terms[ROWS], ones[ROWS];
    for (int i = 0; i < ROWS; i++) {
        const int at = i * CHANNELS + j;
        terms[i] = (term){net->dout[at], (net->x[at] - net->mean[j]) * inverse};
        ones[i] = (term){net->dout[at], 1};
    }
    const real dbeta = add_as(order, threads, ones, ROWS, false, NULL),
               dgamma = add_as(order, threads, terms, ROWS, false, NULL);
    assert_same_bits(net->dbeta[j], dbeta, "dbeta", j);
    assert_same_bits(net->dgamma[j], dgamma, "dgamma", j);
    for (int i = 0; i < ROWS; i++) {
        const real dx = ((terms[i].a - dbeta / rows) - terms[i].b * (dgamma / rows)) * (net->gamma[j] * inverse);
        assert_same_bits(net->dx[i * CHANNELS + j], dx, "dx", i);
    }
}

static void test_batchnorm(void **state)
{
    (void)state;
    for (int o = 0; o < 3; o++)
        for (int t = 0; t < 3; t++) {
            vr_math math = {.order = orders[o]};
            omp_set_num_threads(thread_counts[t]);
            for (int j = 0; j < CHANNELS; j++) {
                net->running_mean[j] = 2;
                net->running_variance[j] = 3;
            }
            NAME(vr_batchnorm_forward)
            (&math, net->out, net->mean, net->inverse, net->running_mean, net->running_variance, net->x, net->gamma,
             net->beta, &shape);
            NAME(vr_batchnorm_backward)
            (&math, net->dx, net->dgamma, net->dbeta, net->dout, net->x, net->gamma, net->mean, net->inverse, &shape);
            for (int j = 0; j < CHANNELS; j += 3) {
                check_forward(orders[o], thread_counts[t], j);
                check_backward(orders[o], thread_counts[t], j);
            }
        }
}

/* dx = out (dout - sum(dout out)), of rows of a few and of many lanes. */
static void test_softmax_backward(void **state)
{
    (void)state;
    const int sizes[] = {1, 5, 64, 100, 20000};
    term *terms = malloc(ALL * sizeof *terms);
    assert_non_null(terms);
    for (int o = 0; o < 3; o++)
        for (int s = 0; s < 5; s++) {
            vr_math math = {.order = orders[o]};
            const int n = sizes[s], rows = ALL / n;
            omp_set_num_threads(3);
            NAME(vr_softmax_backward)(&math, net->dx, net->dout, net->x, rows, n);
            for (int row = 0; row < rows; row += 1 + rows / 20) {
                const real *dout = net->dout + row * n, *out = net->x + row * n;
                for (int j = 0; j < n; j++)
                    terms[j] = (term){dout[j], out[j]};
                const real sum = add_as(orders[o], 3, terms, n, true, NULL);
                for (int j = 0; j < n; j++)
                    assert_same_bits(net->dx[row * n + j], (dout[j] - sum) * out[j], "dx", j);
            }
        }
    free(terms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_batchnorm),
        cmocka_unit_test(test_softmax_backward),
    };
    return cmocka_run_group_tests(tests, make, unmake);
}
