#include "study_bootstrap.h"

#include "study_churn.h"

#include <formats/fail.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_sort_double.h>
#include <gsl/gsl_statistics_double.h>
#include <isa.h>
#include <math.h>
#include <stdlib.h>
#include <varanalyze/random.h>

#define MOST_LOST 0.05 /* share of draws without a figure that passes without a doubt */

/* ---- statistics ---- */

double va_draw_mean(const void *values, const int *draw, int n)
{
    const double *x = values;
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += x[draw[i]];
    return sum / n;
}

double va_draw_sd(const void *values, const int *draw, int n)
{
    const double *x = values, mean = va_draw_mean(values, draw, n);
    double squares = 0;
    for (int i = 0; i < n; i++)
        squares += (x[draw[i]] - mean) * (x[draw[i]] - mean);
    return n > 1 ? sqrt(squares / (n - 1)) : NAN;
}

double va_draw_mean_over_pairs(const void *pairs, const int *draw, int n)
{
    const va_draw_pairs *of = pairs;
    double sum = 0;
    int count = 0;
    for (int i = 0; i < n; i++)
        for (int k = i + 1; k < n; k++) {
            const int a = draw[i] < draw[k] ? draw[i] : draw[k], b = draw[i] < draw[k] ? draw[k] : draw[i];
            if (a == b)
                continue;
            sum += of->pairs[va_pair((size_t)a, (size_t)b, (size_t)of->replicas)];
            count++;
        }
    return count > 0 ? sum / count : NAN;
}

double va_draw_ratio_of_sums(const void *ratio, const int *draw, int n)
{
    const va_draw_ratio *of = ratio;
    double over = 0, under = 0;
    for (int i = 0; i < n; i++) {
        over += of->over[draw[i]];
        under += of->under[draw[i]];
    }
    return over / under;
}

/* ---- draws ---- */

/* figures[b] of draw b; false without memory. */
static bool draw_all(double *figures, const va_bootstrap *b, int draws)
{
    const uint64_t key = vr_derive_seed(b->seed, "bootstrap");
    bool fine = true;
#pragma omp parallel reduction(&& : fine) if (vr_worth_threads((uint64_t)draws * (uint64_t)b->n * sizeof(double)))
    {
        int *draw = calloc((size_t)b->n, sizeof *draw);
        fine = draw != NULL;
#pragma omp for schedule(static)
        for (int k = 0; k < draws; k++) {
            vr_random random = vr_random_stream(key, (uint64_t)k);
            for (int i = 0; fine && i < b->n; i++)
                draw[i] = (int)vr_random_below(&random, (uint64_t)b->n);
            figures[k] = fine ? b->statistic(b->context, draw, b->n) : NAN;
        }
        free(draw);
    }
    return fine;
}

/* Sorts the draws that have a figure to the front; how many. */
static size_t sort_figures(double *figures, size_t draws)
{
    size_t kept = 0;
    for (size_t k = 0; k < draws; k++)
        if (isfinite(figures[k]))
            figures[kept++] = figures[k];
    gsl_sort(figures, 1, kept);
    return kept;
}

/* Acceleration: sum (m - j_i)^3 / (6 (sum (m - j_i)^2)^1.5) of the jackknife's j_i with mean m; NaN: not defined. */
static double acceleration(const va_bootstrap *b, double *figures, int *draw)
{
    double mean = 0, second = 0, third = 0;
    for (int left = 0; left < b->n; left++) {
        for (int i = 0; i < b->n - 1; i++)
            draw[i] = i < left ? i : i + 1;
        figures[left] = b->statistic(b->context, draw, b->n - 1);
        mean += figures[left] / b->n;
    }
    for (int i = 0; i < b->n; i++) {
        second += pow(mean - figures[i], 2);
        third += pow(mean - figures[i], 3);
    }
    return second > 0 ? third / (6 * pow(second, 1.5)) : NAN;
}

/* The share of draws below the estimate, those that equal it counting half: draws of few replicas have ties. */
static double share_below(const double *sorted, size_t count, double estimate)
{
    double below = 0;
    for (size_t k = 0; k < count; k++)
        below += sorted[k] < estimate ? 1 : sorted[k] == estimate ? 0.5 : 0;
    return below / (double)count;
}

/* Efron's alpha_1 for the normal quantile z of alpha: Phi(z0 + (z0 + z) / (1 - a (z0 + z))). */
static double corrected(double bias, double a, double z)
{
    return gsl_cdf_ugaussian_P(bias + (bias + z) / (1 - a * (bias + z)));
}

static void set_bca(va_interval *out, const double *sorted, size_t count, double a)
{
    const double bias = gsl_cdf_ugaussian_Pinv(share_below(sorted, count, out->estimate));
    const double z = gsl_cdf_ugaussian_Qinv((1 - out->confidence) / 2);
    const double low = corrected(bias, a, -z), high = corrected(bias, a, z);
    if (!(low >= 0 && low <= high && high <= 1) || fabs(a) * (fabs(bias) + z) >= 1) {
        out->doubts |= VA_DOUBT_ATOMS | VA_DOUBT_UNDEFINED;
        return;
    }
    out->low = gsl_stats_quantile_from_sorted_data(sorted, 1, count, low);
    out->high = gsl_stats_quantile_from_sorted_data(sorted, 1, count, high);
}

static void set_percentile(va_interval *out, const double *sorted, size_t count)
{
    const double tail = (1 - out->confidence) / 2;
    out->low = gsl_stats_quantile_from_sorted_data(sorted, 1, count, tail);
    out->high = gsl_stats_quantile_from_sorted_data(sorted, 1, count, 1 - tail);
}

/* ---- the interval ---- */

#define ENOUGH 30 /* replicas from which it covers about as it says */

static va_interval start(const va_bootstrap *b, double estimate, const char *method)
{
    return (va_interval){estimate, NAN, NAN, b->confidence, b->n, method, b->n < ENOUGH ? VA_DOUBT_FEW : 0};
}

static void set_intervals(va_interval *percentile, va_interval *bca, double *figures, size_t draws, double a)
{
    const size_t kept = sort_figures(figures, draws);
    unsigned doubts = (double)kept < (1 - MOST_LOST) * (double)draws ? VA_DOUBT_ATOMS : 0;
    if (kept == 0 || isnan(percentile->estimate))
        doubts |= VA_DOUBT_UNDEFINED;
    else if (figures[0] == figures[kept - 1])
        doubts |= VA_DOUBT_CONSTANT;
    percentile->doubts |= doubts;
    bca->doubts |= doubts;
    if (doubts & VA_DOUBT_UNDEFINED)
        return;
    set_percentile(percentile, figures, kept);
    if (doubts & VA_DOUBT_CONSTANT)
        set_percentile(bca, figures, kept);
    else
        set_bca(bca, figures, kept, a);
}

static vr_status check(const va_bootstrap *b)
{
    if (b->n < 2 || b->draws < 0 || !(b->confidence > 0 && b->confidence < 1))
        return vr_fail(VR_ERROR_ARGUMENT, "bootstrap of %d replicas, %d draws, confidence %g: two replicas at least",
                       b->n, b->draws, b->confidence);
    return VR_OK;
}

vr_status va_bootstrap_run(va_interval *percentile, va_interval *bca, const va_bootstrap *b)
{
    const vr_status status = check(b);
    if (status != VR_OK)
        return status;
    gsl_set_error_handler_off();
    const int draws = b->draws ? b->draws : VA_DRAWS;
    double *figures = calloc((size_t)draws, sizeof *figures), *jackknife = calloc((size_t)b->n, sizeof *jackknife);
    int *draw = calloc((size_t)b->n, sizeof *draw);
    const bool fine = figures && jackknife && draw && draw_all(figures, b, draws);
    if (fine) {
        for (int i = 0; i < b->n; i++)
            draw[i] = i;
        const double estimate = b->statistic(b->context, draw, b->n);
        va_interval plain = start(b, estimate, "bootstrap, percentile"), better = start(b, estimate, "bootstrap, BCa");
        set_intervals(&plain, &better, figures, (size_t)draws, acceleration(b, jackknife, draw));
        if (percentile)
            *percentile = plain;
        if (bca)
            *bca = better;
    }
    free(figures);
    free(jackknife);
    free(draw);
    return fine ? VR_OK : vr_fail(VR_ERROR_MEMORY, "out of memory for the bootstrap of %d replicas", b->n);
}
