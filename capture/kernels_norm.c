/* kernels_norm.c - batch normalization and softmax. Every operation of theirs is one step of the call, with random bits
 * and orders of its own; elements are numbered in memory order.
 */
#include "kernels_impl.h"

#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PART = 256 };

/* A call of several steps, the next of which is `step`. */
typedef struct steps {
    way call;
    uint64_t step;
    int threads;
} steps;

static way next_step(steps *s)
{
    return NAME(vr_way_step)(&s->call, ++s->step);
}

/* out[row][j] = a[row][j] op b, b being [rows][n] (b_row = n, b_step = 1), one for each column (0, 1) or row (1, 0), or
 * one for all (0, 0). */
static void apply(steps *s, vr_operation op, real *out, const real *a, const real *b, int64_t b_row, int b_step,
                  int64_t rows, int64_t n)
{
    const way w = next_step(s);
#pragma omp parallel num_threads(s->threads) if (s->threads > 1)
    {
        const vr_float_env outer = vr_float_enter();
#pragma omp for
        for (int64_t row = 0; row < rows; row++)
            NAME(vr_map)(&w, op, out + row * n, a + row * n, b + row * b_row, b_step, n, (uint64_t)row * (uint64_t)n);
        vr_float_leave(outer);
    }
}

static void by_column(steps *s, vr_operation op, real *out, const real *a, const real *b, const vr_batchnorm *of)
{
    apply(s, op, out, a, b, 0, 1, of->rows, of->channels);
}

static void by_one(steps *s, vr_operation op, real *out, const real *a, real b, int64_t n)
{
    apply(s, op, out, a, &b, 0, 0, 1, n);
}

/* `status`: of the sizes; becomes that of the order of sums of so many terms as well. */
static steps begin(vr_math *math, vr_status *status, int64_t sums, int64_t terms)
{
    steps s = {.call = NAME(vr_way_begin)(math)};
    if (*status == VR_OK)
        *status = NAME(vr_check_order)(&s.call, sums ? terms : 0);
    s.threads = *status == VR_OK ? team(&s.call, (uint64_t)(sums * terms) * sizeof(real)) : 1;
    return s;
}

static void without_payloads(real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = without_payload(x[i]);
}

/* out = 1 / sqrt(variance + epsilon) */
static void invert(steps *s, real *out, const real *variance, const vr_batchnorm *of)
{
    const real one = 1;
    by_one(s, VR_ADD, out, variance, (real)of->epsilon, of->channels);
    by_one(s, VR_SQRT, out, out, 0, of->channels);
    const way w = next_step(s);
    for (int64_t j = 0; j < of->channels; j++)
        NAME(vr_map)(&w, VR_DIV, &out[j], &one, &out[j], 0, 1, (uint64_t)j);
}

/* running += momentum (now - running); `now` is overwritten. */
static void follow(steps *s, real *running, real *now, const vr_batchnorm *of)
{
    apply(s, VR_SUB, now, now, running, 0, 1, 1, of->channels);
    by_one(s, VR_MUL, now, now, (real)of->momentum, of->channels);
    apply(s, VR_ADD, running, running, now, 0, 1, 1, of->channels);
    without_payloads(running, of->channels);
}

/* out = (out inverse) gamma + beta, out being x - mean. */
static void scale(steps *s, real *out, const real *inverse, const real *gamma, const real *beta, const vr_batchnorm *of)
{
    by_column(s, VR_MUL, out, out, inverse, of);
    by_column(s, VR_MUL, out, out, gamma, of);
    by_column(s, VR_ADD, out, out, beta, of);
    without_payloads(out, of->rows * of->channels);
}

/* `of` times `count` reals and one more, unless the status is a failure already; the caller's to free. */
static real *room_for(vr_status *status, size_t of, int64_t count, const char *kernel)
{
    real *room = *status == VR_OK ? malloc((of * (size_t)count + 1) * sizeof *room) : NULL;
    if (*status == VR_OK && !room)
        *status = vr_fail(VR_ERROR_MEMORY, "%s: no memory for %lld sums", kernel, (long long)count);
    return room;
}

static vr_status check(const vr_batchnorm *of)
{
    return NAME(vr_check_sizes)("batchnorm", 2, (const int64_t[]){of->rows, of->channels});
}

/* Mean, out = x - mean, squares = sum(out out). */
static vr_status measure(steps *s, real *out, real *mean, real *squares, const real *x, const vr_batchnorm *of)
{
    way w = next_step(s);
    vr_status status = NAME(vr_columns)(&w, mean, NULL, x, NULL, of->rows, of->channels);
    if (status != VR_OK)
        return status;
    by_one(s, VR_DIV, mean, mean, of->rows ? (real)of->rows : 1, of->channels);
    by_column(s, VR_SUB, out, x, mean, of);
    w = next_step(s);
    return NAME(vr_columns)(&w, squares, NULL, out, out, of->rows, of->channels);
}

/* What runs follows mean and squares / (rows - 1); `now` is room for one of them. */
static void follow_both(steps *s, real *running_mean, real *running_variance, const real *mean, const real *squares,
                        real *now, const vr_batchnorm *of)
{
    memcpy(now, mean, (size_t)of->channels * sizeof *now);
    follow(s, running_mean, now, of);
    by_one(s, VR_DIV, now, squares, of->rows > 1 ? (real)(of->rows - 1) : 1, of->channels);
    follow(s, running_variance, now, of);
}

vr_status NAME(vr_batchnorm_forward)(vr_math *math, real *out, real *mean, real *inverse, real *running_mean,
                                     real *running_variance, const real *x, const real *gamma, const real *beta,
                                     const vr_batchnorm *shape)
{
    vr_status status = check(shape);
    steps s = begin(math, &status, shape->channels, shape->rows);
    real *room = room_for(&status, 2, shape->channels, "batchnorm");
    real *squares = room, *now = room ? room + shape->channels : NULL;
    if (status == VR_OK)
        status = measure(&s, out, mean, squares, x, shape);
    if (status == VR_OK) {
        const vr_float_env outer = vr_float_enter();
        by_one(&s, VR_DIV, now, squares, shape->rows ? (real)shape->rows : 1, shape->channels);
        invert(&s, inverse, now, shape);
        if (running_mean && running_variance && shape->rows)
            follow_both(&s, running_mean, running_variance, mean, squares, now, shape);
        scale(&s, out, inverse, gamma, beta, shape);
        without_payloads(mean, shape->channels);
        without_payloads(inverse, shape->channels);
        vr_float_leave(outer);
    }
    free(room);
    return status;
}

vr_status NAME(vr_batchnorm_infer)(vr_math *math, real *out, const real *x, const real *gamma, const real *beta,
                                   const real *mean, const real *variance, const vr_batchnorm *shape)
{
    vr_status status = check(shape);
    steps s = begin(math, &status, shape->rows, shape->channels);
    real *inverse = status == VR_OK ? malloc(((size_t)shape->channels + 1) * sizeof *inverse) : NULL;
    if (status == VR_OK && !inverse)
        status = vr_fail(VR_ERROR_MEMORY, "batchnorm: no memory for %lld channels", (long long)shape->channels);
    if (status == VR_OK) {
        const vr_float_env outer = vr_float_enter();
        invert(&s, inverse, variance, shape);
        by_column(&s, VR_SUB, out, x, mean, shape);
        scale(&s, out, inverse, gamma, beta, shape);
        vr_float_leave(outer);
    }
    free(inverse);
    return status;
}

/* dx = (dout - mean) - dx, for columns [c, c + n) of a row. */
static void centre_part(const way *first, const way *second, real *dx, const real *dout, const real *mean, int64_t n,
                        uint64_t position)
{
    real d[PART];
    NAME(vr_map)(first, VR_SUB, d, dout, mean, 1, n, position);
    NAME(vr_map)(second, VR_SUB, dx, d, dx, 1, n, position);
}

static void centre(steps *s, real *dx, const real *dout, const real *mean, const vr_batchnorm *of)
{
    const way first = next_step(s), second = next_step(s);
    const int64_t n = of->channels;
#pragma omp parallel num_threads(s->threads) if (s->threads > 1)
    {
        const vr_float_env outer = vr_float_enter();
#pragma omp for
        for (int64_t row = 0; row < of->rows; row++)
            for (int64_t c = 0; c < n; c += PART) {
                const int64_t i = row * n + c;
                centre_part(&first, &second, dx + i, dout + i, mean + c, n - c < PART ? n - c : PART, (uint64_t)i);
            }
        vr_float_leave(outer);
    }
}

/* dx holds z; becomes ((dout - dbeta / rows) - z (dgamma / rows)) (gamma inverse). room: [3][channels] */
static void combine(steps *s, real *dx, const real *dout, const real *dgamma, const real *dbeta, const real *gamma,
                    const real *inverse, real *room, const vr_batchnorm *of)
{
    real *dgamma_mean = room, *dbeta_mean = room + of->channels, *factor = room + 2 * of->channels;
    const real rows = of->rows ? (real)of->rows : 1;
    by_one(s, VR_DIV, dgamma_mean, dgamma, rows, of->channels);
    by_one(s, VR_DIV, dbeta_mean, dbeta, rows, of->channels);
    apply(s, VR_MUL, factor, gamma, inverse, 0, 1, 1, of->channels);
    by_column(s, VR_MUL, dx, dx, dgamma_mean, of);
    centre(s, dx, dout, dbeta_mean, of);
    by_column(s, VR_MUL, dx, dx, factor, of);
    without_payloads(dx, of->rows * of->channels);
}

vr_status NAME(vr_batchnorm_backward)(vr_math *math, real *dx, real *dgamma, real *dbeta, const real *dout,
                                      const real *x, const real *gamma, const real *mean, const real *inverse,
                                      const vr_batchnorm *shape)
{
    vr_status status = check(shape);
    steps s = begin(math, &status, shape->channels, shape->rows);
    real *room = room_for(&status, 3, shape->channels, "batchnorm");
    if (status != VR_OK)
        return status;
    const vr_float_env outer = vr_float_enter();
    by_column(&s, VR_SUB, dx, x, mean, shape);
    by_column(&s, VR_MUL, dx, dx, inverse, shape);
    way w = next_step(&s);
    status = NAME(vr_columns)(&w, dbeta, NULL, dout, NULL, shape->rows, shape->channels);
    w = next_step(&s);
    if (status == VR_OK)
        status = NAME(vr_columns)(&w, dgamma, NULL, dout, dx, shape->rows, shape->channels);
    if (status == VR_OK)
        combine(&s, dx, dout, dgamma, dbeta, gamma, inverse, room, shape);
    vr_float_leave(outer);
    free(room);
    return status;
}

/* exp(x) as high + low, high being off by less than 1 ulp where it is normal. x is not above 0 but by Monte Carlo
 * arithmetic's noise, which knows no bounds at low precision. With k = round(x / ln 2), r = x - k ln 2, |r| <= 0.347:
 * 2^k (1 + r + r^2 (1/2 + ... + r^11 / 13!)), the rest of the series below 2^-57.
 */
static void exponential(double *high, double *low, double x)
{
    static const double inverse[] = {0x1p-1,
                                     0x1.5555555555555p-3,
                                     0x1.5555555555555p-5,
                                     0x1.1111111111111p-7,
                                     0x1.6c16c16c16c17p-10,
                                     0x1.a01a01a01a01ap-13,
                                     0x1.a01a01a01a01ap-16,
                                     0x1.71de3a556c734p-19,
                                     0x1.27e4fb7789f5cp-22,
                                     0x1.ae64567f544e4p-26,
                                     0x1.1eed8eff8d898p-29,
                                     0x1.6124613a86d09p-33};   /* 1 / 2! .. 1 / 13! */
    const double within = x < -800 ? -800 : x > 800 ? 800 : x; /* 0, infinite as well; NaN stays */
    const double k = (within * 0x1.71547652b82fep0 + 0x1.8p52) - 0x1.8p52;
    const double upper = within - k * 0x1.62e42feep-1, lower = k * 0x1.a39ef35793c76p-33, r = upper - lower;
    double series = inverse[11];
    for (int i = 10; i >= 0; i--)
        series = inverse[i] + r * series;
    const double p = r + (r * r * series + ((upper - r) - lower)), one = 1 + p;
    const double scale = x == x ? ldexp(1, (int)k / 2) : x, again = x == x ? ldexp(1, (int)k - (int)k / 2) : x;
    *high = one * scale * again;
    *low = (p - (one - 1)) * scale * again;
}

static real rounded_exponential(const way *w, real x, uint64_t position)
{
    double high, low;
    exponential(&high, &low, (double)x);
    const real nearest = (real)high;
    if (!w->rounded || isinf(nearest))
        return nearest;
    return NAME(vr_add_at)(w, nearest, (real)((high - (double)nearest) + low), position);
}

/* out = exp(x - max(x)) of a row. */
static void exponentials(const way *difference, const way *exponents, real *out, const real *x, int64_t n,
                         uint64_t position)
{
    real most = x[0];
    for (int64_t j = 1; j < n; j++)
        most = x[j] > most ? x[j] : most;
    NAME(vr_map)(difference, VR_SUB, out, x, &most, 0, n, position);
    for (int64_t j = 0; j < n; j++)
        out[j] = rounded_exponential(exponents, out[j], position + (uint64_t)j);
}

static vr_status check_rows(int64_t rows, int64_t n)
{
    return NAME(vr_check_sizes)("softmax", 2, (const int64_t[]){rows, n});
}

vr_status NAME(vr_softmax)(vr_math *math, real *out, const real *x, int64_t rows, int64_t n)
{
    vr_status status = check_rows(rows, n);
    steps s = begin(math, &status, rows, n);
    if (status != VR_OK || rows == 0 || n == 0)
        return status;
    real *sums = room_for(&status, 1, rows, "softmax");
    if (status != VR_OK)
        return status;
    const way difference = next_step(&s), exponents = next_step(&s), sum = next_step(&s);
#pragma omp parallel num_threads(s.threads) if (s.threads > 1)
    {
        const vr_float_env outer = vr_float_enter();
#pragma omp for
        for (int64_t row = 0; row < rows; row++)
            exponentials(&difference, &exponents, out + row * n, x + row * n, n, (uint64_t)row * (uint64_t)n);
        vr_float_leave(outer);
    }
    status = NAME(vr_lines)(&sum, sums, out, NULL, rows, n);
    if (status == VR_OK)
        apply(&s, VR_DIV, out, out, sums, 1, 0, rows, n);
    without_payloads(out, rows * n);
    free(sums);
    return status;
}

vr_status NAME(vr_softmax_backward)(vr_math *math, real *dx, const real *dout, const real *out, int64_t rows, int64_t n)
{
    vr_status status = check_rows(rows, n);
    steps s = begin(math, &status, rows, n);
    if (status != VR_OK || rows == 0 || n == 0)
        return status;
    real *sums = room_for(&status, 1, rows, "softmax");
    if (status != VR_OK)
        return status;
    const way sum = next_step(&s);
    status = NAME(vr_lines)(&sum, sums, dout, out, rows, n);
    if (status == VR_OK) {
        apply(&s, VR_SUB, dx, dout, sums, 1, 0, rows, n);
        apply(&s, VR_MUL, dx, dx, out, n, 1, rows, n);
        without_payloads(dx, rows * n);
    }
    free(sums);
    return status;
}
