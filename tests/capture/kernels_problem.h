/* kernels_problem.h - kernels as lists of terms: for each output, what is summed by the kernel's definition, so that
 * one oracle does for all. Compiled for one element type (VR_REAL_BITS), as the kernels are.
 */
#ifndef KERNELS_PROBLEM_H
#define KERNELS_PROBLEM_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <kernels_impl.h>
#include <mpfr.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <varanalyze/digest.h>
#include <varanalyze/random.h>

#define EXACT_BITS 4700 /* products of doubles span 2^-2148 .. 2^2048; room for carries */
#if VR_REAL_BITS == 32
#define UNIT    0x1p-24
#define TINIEST 0x1p-149
#define LARGEST ((real)0x1.fffffep127)
#define DTYPE   VR_F32
#else
#define UNIT    0x1p-53
#define TINIEST 0x1p-1074
#define LARGEST ((real)0x1.fffffffffffffp1023)
#define DTYPE   VR_F64
#endif

typedef enum kind {
    SUM,
    DOT,
    SUM_ROWS,
    MATMUL,
    CONV,
    CONV_INPUT,
    CONV_WEIGHT,
    SCATTER,
} kind;

typedef struct problem {
    const char *name;
    kind kind;
    int64_t n, rows; /* of sums: terms, rows; of scatter_add: sources, rows of out */
    vr_matmul product;
    vr_conv2d conv;
    bool bias;
    /* made: */
    int64_t a_count, b_count, out_count, out_h, out_w;
    real *a, *b, *first, *out;
    int64_t *index;
} problem;

typedef struct term {
    real a, b;
} term;

#define NO_CONV                                                                                                        \
    {                                                                                                                  \
        1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1                                                                          \
    }
#define CONVOLUTIONS(KIND)                                                                                             \
    {.name = #KIND " 3x3", .kind = KIND, .conv = {2, 6, 5, 7, 9, 3, 3, 1, 1, 1, 1, 1, 1}, .bias = KIND == CONV},       \
        {.name = #KIND " stride", .kind = KIND, .conv = {2, 9, 8, 3, 40, 3, 2, 2, 3, 1, 0, 1, 1}},                     \
        {.name = #KIND " dilation", .kind = KIND, .conv = {1, 11, 10, 35, 4, 3, 3, 2, 1, 2, 3, 2, 3}},                 \
        {.name = #KIND " 1x1", .kind = KIND, .conv = {3, 4, 4, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1}},                         \
        {.name = #KIND " pad", .kind = KIND, .conv = {1, 2, 2, 2, 3, 3, 3, 1, 1, 4, 4, 1, 1}},                         \
    {                                                                                                                  \
        .name = #KIND " large", .kind = KIND, .conv = {2, 12, 13, 20, 33, 3, 3, 1, 1, 1, 1, 1, 1},                     \
        .bias = KIND == CONV                                                                                           \
    }

#define PROBLEMS                                                                                                       \
    {.name = "sum of 1", .kind = SUM, .n = 1}, {.name = "sum", .kind = SUM, .n = 1000},                                \
        {.name = "sum, large", .kind = SUM, .n = 140001}, {.name = "dot of 37", .kind = DOT, .n = 37},                 \
        {.name = "dot", .kind = DOT, .n = 4097}, {.name = "dot, large", .kind = DOT, .n = 150013},                     \
        {.name = "sum_rows", .kind = SUM_ROWS, .n = 7, .rows = 300},                                                   \
        {.name = "sum_rows, wide", .kind = SUM_ROWS, .n = 611, .rows = 5},                                             \
        {.name = "sum_rows, large", .kind = SUM_ROWS, .n = 129, .rows = 1111},                                         \
        {.name = "matmul", .kind = MATMUL, .product = {19, 35, 300, false, false}, .bias = true},                      \
        {.name = "matmul, a'", .kind = MATMUL, .product = {23, 9, 70, true, false}},                                   \
        {.name = "matmul, b'", .kind = MATMUL, .product = {5, 66, 31, false, true}, .bias = true},                     \
        {.name = "matmul, a' b'", .kind = MATMUL, .product = {33, 34, 35, true, true}},                                \
        {.name = "matrix times vector", .kind = MATMUL, .product = {130, 1, 520, false, false}, .bias = true},         \
        {.name = "vector times matrix", .kind = MATMUL, .product = {1, 130, 520, false, false}, .bias = true},         \
        {.name = "outer product", .kind = MATMUL, .product = {17, 18, 1, false, false}},                               \
        {.name = "matmul, large", .kind = MATMUL, .product = {101, 67, 90, false, false}}, CONVOLUTIONS(CONV),         \
        CONVOLUTIONS(CONV_INPUT), CONVOLUTIONS(CONV_WEIGHT),                                                           \
        {.name = "scatter_add", .kind = SCATTER, .n = 500, .rows = 13, .product = {0, 5, 0, false, false}},            \
    {                                                                                                                  \
        .name = "scatter_add, large", .kind = SCATTER, .n = 900, .rows = 31, .product = { 0, 300, 0, false, false }    \
    }

/* How values are drawn: evenly in (-1, 1); of any exponent; so that most of a sum cancels. */
typedef enum drawn { EVEN, WIDE, CANCELLING } drawn;
#define DRAWN_LAST CANCELLING

static inline real draw(vr_random *random, drawn how)
{
    const double x = 2 * vr_random_uniform(random) - 1;
    const int most = sizeof(real) == 4 ? 120 : 1000;
    return (real)(how == WIDE ? ldexp(x, (int)vr_random_below(random, (uint64_t)(most)) - most / 2) : x);
}

static inline real *values(int64_t n, vr_random *random, drawn how)
{
    real *x = malloc(((size_t)n + 1) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = draw(random, how);
    for (int64_t i = n / 2; i < n && how == CANCELLING; i++) /* whatever has its opposite somewhere, nearly */
        x[i] = (real)((double)-x[vr_random_below(random, (uint64_t)(n / 2 + 1))] * (1 + UNIT * 4));
    return x;
}

static inline void count_values(problem *p)
{
    const vr_conv2d *c = &p->conv;
    p->a_count = p->b_count = p->n;
    p->out_count = 1;
    if (p->kind == SUM_ROWS) {
        p->a_count = p->n * p->rows;
        p->out_count = p->n;
    } else if (p->kind == MATMUL) {
        p->a_count = p->product.m * p->product.k;
        p->b_count = p->product.k * p->product.n;
        p->out_count = p->product.m * p->product.n;
    } else if (p->kind == SCATTER) {
        p->a_count = p->n * p->product.n;
        p->out_count = p->rows * p->product.n;
    } else if (p->kind >= CONV) {
        assert_int_equal(vr_conv2d_size(&p->out_h, &p->out_w, c), VR_OK);
        const int64_t in = c->n * c->h * c->w * c->c, weight = c->kh * c->kw * c->c * c->k,
                      out = c->n * p->out_h * p->out_w * c->k;
        p->a_count = p->kind == CONV_INPUT ? out : in;
        p->b_count = p->kind == CONV_WEIGHT ? out : weight;
        p->out_count = p->kind == CONV ? out : p->kind == CONV_INPUT ? in : weight;
    }
}

static inline void make_problem(problem *p, uint64_t seed, drawn how)
{
    vr_random random = vr_random_stream(seed, 0);
    count_values(p);
    p->a = values(p->a_count, &random, how);
    p->b = values(p->b_count, &random, how);
    p->first = values(p->out_count, &random, how);
    p->out = values(p->out_count, &random, how);
    p->index = malloc(((size_t)p->n + 1) * sizeof *p->index);
    for (int64_t i = 0; p->kind == SCATTER && i < p->n; i++)
        p->index[i] = (int64_t)vr_random_below(&random, (uint64_t)p->rows);
}

static inline void free_problem(problem *p)
{
    free(p->a);
    free(p->b);
    free(p->first);
    free(p->out);
    free(p->index);
}

static inline vr_status solve(const problem *p, vr_math *math)
{
    const real *bias = p->bias ? p->first : NULL;
    switch (p->kind) {
    case SUM:
        return NAME(vr_sum)(math, p->out, p->a, p->n);
    case DOT:
        return NAME(vr_dot)(math, p->out, p->a, p->b, p->n);
    case SUM_ROWS:
        return NAME(vr_sum_rows)(math, p->out, p->a, p->rows, p->n);
    case MATMUL:
        return NAME(vr_matmul)(math, p->out, p->a, p->b, bias, p->product);
    case CONV:
        return NAME(vr_conv2d_forward)(math, p->out, p->a, p->b, bias, &p->conv);
    case CONV_INPUT:
        return NAME(vr_conv2d_backward_input)(math, p->out, p->a, p->b, &p->conv);
    case CONV_WEIGHT:
        return NAME(vr_conv2d_backward_weight)(math, p->out, p->a, p->b, &p->conv);
    default:
        memcpy(p->out, p->first, (size_t)p->out_count * sizeof *p->out);
        return NAME(vr_scatter_add)(math, p->out, p->rows, p->a, p->index, p->n, p->product.n);
    }
}

/* in[n][y sh - ph + ky dh][x sw - pw + kx dw][c], 0 outside */
static inline real seen(const real *in, const vr_conv2d *s, int64_t n, int64_t y, int64_t x, int64_t ky, int64_t kx,
                        int64_t c)
{
    const int64_t row = y * s->stride_h - s->pad_h + ky * s->dilation_h,
                  column = x * s->stride_w - s->pad_w + kx * s->dilation_w;
    const bool inside = row >= 0 && row < s->h && column >= 0 && column < s->w;
    return inside ? in[((n * s->h + row) * s->w + column) * s->c + c] : 0;
}

static inline int64_t list_conv(const problem *p, int64_t e, term *terms)
{
    const vr_conv2d *s = &p->conv;
    int64_t count = 0;
    const int64_t k = e % s->k, x = e / s->k % p->out_w, y = e / s->k / p->out_w % p->out_h,
                  n = e / s->k / p->out_w / p->out_h;
    for (int64_t tap = 0; tap < s->kh * s->kw; tap++)
        for (int64_t c = 0; c < s->c; c++)
            terms[count++] =
                (term){seen(p->a, s, n, y, x, tap / s->kw, tap % s->kw, c), p->b[(tap * s->c + c) * s->k + k]};
    return count;
}

/* Gradients from the definition forward: din gets dout w for each place where the output saw that input, dw gets
 * in dout. */
static inline int64_t list_gradient(const problem *p, int64_t e, term *terms)
{
    const vr_conv2d *s = &p->conv;
    int64_t count = 0;
    for (int64_t place = 0; place < s->n * p->out_h * p->out_w; place++)
        for (int64_t tap = 0; tap < s->kh * s->kw; tap++) {
            const int64_t x = place % p->out_w, y = place / p->out_w % p->out_h, n = place / p->out_w / p->out_h;
            const int64_t row = y * s->stride_h - s->pad_h + tap / s->kw * s->dilation_h,
                          column = x * s->stride_w - s->pad_w + tap % s->kw * s->dilation_w;
            if (p->kind == CONV_INPUT && ((n * s->h + row) * s->w + column) == e / s->c && row >= 0 && row < s->h &&
                column >= 0 && column < s->w)
                for (int64_t k = 0; k < s->k; k++)
                    terms[count++] = (term){p->a[place * s->k + k], p->b[(tap * s->c + e % s->c) * s->k + k]};
            if (p->kind == CONV_WEIGHT && tap == e / s->k / s->c)
                terms[count++] = (term){seen(p->a, s, n, y, x, tap / s->kw, tap % s->kw, e / s->k % s->c),
                                        p->b[place * s->k + e % s->k]};
        }
    return count;
}

/* The terms of output e, a first one included, in the order of the definition. */
static inline int64_t list_terms(const problem *p, int64_t e, term *terms)
{
    const vr_matmul *s = &p->product;
    int64_t count = 0;
    if (p->bias)
        terms[count++] = (term){p->first[p->kind == CONV ? e % p->conv.k : e % s->n], 1};
    if (p->kind == SUM || p->kind == DOT)
        for (int64_t i = 0; i < p->n; i++)
            terms[count++] = (term){p->a[i], p->kind == DOT ? p->b[i] : 1};
    else if (p->kind == SUM_ROWS)
        for (int64_t i = 0; i < p->rows; i++)
            terms[count++] = (term){p->a[i * p->n + e], 1};
    else if (p->kind == MATMUL)
        for (int64_t k = 0, i = e / s->n, j = e % s->n; k < s->k; k++)
            terms[count++] = (term){p->a[s->transpose_a ? k * s->m + i : i * s->k + k],
                                    p->b[s->transpose_b ? j * s->k + k : k * s->n + j]};
    else if (p->kind == CONV)
        count += list_conv(p, e, terms + count);
    else if (p->kind != SCATTER)
        count += list_gradient(p, e, terms + count);
    else {
        terms[count++] = (term){p->first[e], 1};
        for (int64_t i = 0; i < p->n; i++)
            if (p->index[i] == e / s->n)
                terms[count++] = (term){p->a[i * s->n + e % s->n], 1};
    }
    return count;
}

/* The sum without any error, the sum of magnitudes. */
static inline double add_exactly(mpfr_t sum, const term *terms, int64_t n)
{
    double size = 0;
    mpfr_t product;
    mpfr_init2(product, 2 * 53);
    mpfr_set_zero(sum, 1);
    for (int64_t i = 0; i < n; i++) {
        mpfr_set_d(product, (double)terms[i].a, MPFR_RNDN);
        mpfr_mul_d(product, product, (double)terms[i].b, MPFR_RNDN);
        mpfr_add(sum, sum, product, MPFR_RNDN);
        size += fabs((double)terms[i].a * (double)terms[i].b);
    }
    mpfr_clear(product);
    return size;
}

static inline real rounded_mpfr(mpfr_t x, mpfr_rnd_t how)
{
#if VR_REAL_BITS == 32
    const real out = mpfr_get_flt(x, how);
#else
    const real out = mpfr_get_d(x, how);
#endif
    return mpfr_zero_p(x) ? 0 : out;
}

static inline void assert_same_bits(real got, real wanted, const char *name, int64_t e)
{
    if (memcmp(&got, &wanted, sizeof got) != 0)
        fail_msg("%s: [%lld] is %a, not %a", name, (long long)e, (double)got, (double)wanted);
}

static inline vr_digest digest_of(const problem *p)
{
    const vr_tensor tensor = VR_TENSOR(DTYPE, p->out, p->out_count);
    vr_digest digest;
    assert_int_equal(vr_digest_tensor(&digest, &tensor), VR_OK);
    return digest;
}

#endif
