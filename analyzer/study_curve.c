#include "study_curve.h"

#include <formats/fail.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_fit.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LEAST 3   /* values of a fit */
#define ALIKE 0.5 /* correlation of neighbours from which there is a doubt */

vr_status va_curve_spread(va_spread *out, const double *const *values, int replicas, size_t steps)
{
    double *of_step = calloc((size_t)replicas + 1, sizeof *of_step);
    if (!of_step)
        return vr_fail(VR_ERROR_MEMORY, "out of memory for the curves of %d replicas", replicas);
    for (size_t i = 0; i < steps; i++) {
        for (int r = 0; r < replicas; r++)
            of_step[r] = values[r][i];
        out[i] = va_spread_of(of_step, (size_t)replicas);
    }
    free(of_step);
    return VR_OK;
}

static bool is_same(double a, double b)
{
    return (isnan(a) && isnan(b)) || memcmp(&a, &b, sizeof a) == 0;
}

size_t va_curve_parting(const double *const *values, int replicas, size_t steps, int *replica)
{
    for (size_t i = 0; i < steps; i++)
        for (int r = 1; r < replicas; r++)
            if (!is_same(values[0][i], values[r][i])) {
                if (replica)
                    *replica = r;
                return i;
            }
    return steps;
}

/* ---- growth ---- */

/* The points of a line. */
typedef struct points {
    double *x, *y;
    size_t n;
} points;

static bool is_usable(double t, double delta, va_growth_kind kind)
{
    return delta > 0 && isfinite(delta) && isfinite(t) && (kind == VA_GROWTH_EXPONENTIAL || t > 0);
}

static void find_range(va_growth *out, const double *delta, size_t count, double saturation)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        if (isfinite(delta[i]))
            largest = fmax(largest, delta[i]);
    out->first = 0;
    while (out->first + 1 < count && !(delta[out->first] > 0))
        out->first++;
    out->last = out->first;
    while (out->last + 1 < count && !(isfinite(delta[out->last]) && delta[out->last] >= saturation * largest))
        out->last++;
}

static void take_points(points *p, va_growth *out, const double *t, const double *delta)
{
    for (size_t i = out->first; i <= out->last; i++) {
        if (!is_usable(t[i], delta[i], out->kind)) {
            out->skipped++;
            continue;
        }
        p->x[p->n] = out->kind == VA_GROWTH_POWER ? log(t[i]) : t[i];
        p->y[p->n++] = log(delta[i]);
    }
}

/* Leaves the residuals in y. */
static void take_residuals(va_growth *out, points *p)
{
    double squares = 0, neighbours = 0;
    for (size_t i = 0; i < p->n; i++) {
        p->y[i] -= out->intercept + out->rate.estimate * p->x[i];
        squares += p->y[i] * p->y[i];
        neighbours += i > 0 ? p->y[i] * p->y[i - 1] : 0;
    }
    out->residual = sqrt(squares / (double)(p->n - 2));
    out->correlation = squares > 0 ? neighbours / squares : 0;
}

static vr_status fit_line(va_growth *out, points *p, double confidence)
{
    const double n = (double)p->n, total = p->n ? gsl_stats_tss(p->y, 1, p->n) : 0;
    double slope, cov00, cov01, variance, squares;
    gsl_fit_linear(p->x, 1, p->y, 1, p->n, &out->intercept, &slope, &cov00, &cov01, &variance, &squares);
    if (!isfinite(slope) || !isfinite(variance))
        return vr_fail(VR_ERROR_ARGUMENT, "no growth can be fitted: all values are at one step");
    out->rate = (va_interval){.estimate = slope, .confidence = confidence, .n = (int)p->n, .method = "least squares"};
    out->r2 = total > 0 ? 1 - squares / total : NAN;
    out->doubling = M_LN2 / slope;
    take_residuals(out, p);
    const double alike = fmin(fmax(out->correlation, 0), 0.99), share = (1 - alike) / (1 + alike);
    const double margin = gsl_cdf_tdist_Qinv((1 - confidence) / 2, fmax(n * share - 2, 1)) * sqrt(variance / share);
    out->rate.low = slope - margin;
    out->rate.high = slope + margin;
    out->rate.doubts = out->correlation >= ALIKE ? VA_DOUBT_DEPENDENT : 0;
    return VR_OK;
}

vr_status va_growth_fit(va_growth *out, const double *t, const double *delta, size_t count, va_growth_kind kind,
                        double saturation, double confidence)
{
    *out = (va_growth){.kind = kind};
    points p = {calloc(count + 1, sizeof *p.x), calloc(count + 1, sizeof *p.y), 0};
    vr_status status = VR_OK;
    gsl_set_error_handler_off();
    if (!p.x || !p.y)
        status = vr_fail(VR_ERROR_MEMORY, "out of memory for the growth over %zu steps", count);
    else if (count > 0) {
        find_range(out, delta, count, saturation);
        take_points(&p, out, t, delta);
    }
    if (status == VR_OK && p.n < LEAST)
        status = vr_fail(VR_ERROR_ARGUMENT,
                         "%zu values above 0 before saturation: no growth can be fitted to fewer than %d", p.n, LEAST);
    if (status == VR_OK)
        status = fit_line(out, &p, confidence);
    free(p.x);
    free(p.y);
    return status;
}
