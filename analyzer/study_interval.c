#include "study_interval.h"

#include "study_metrics.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_sort_double.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Values from which a method has been seen to cover (docs/study-statistics.md). */
#define BONETT        8  /* Bonett's interval; below, only the normal's own does */
#define BONETT_T      16 /* the same with the quantile of Student's t, which it needs from here on */
#define FEW_FOR_RATIO 5  /* jackknife of the log */
#define ENOUGH        30 /* so many show whether they are near the normal */

#define OUTLIER 0.01 /* level of Grubbs' test */

/* ---- doubts ---- */

static const struct {
    unsigned doubt;
    const char *text;
} texts[] = {
    {VA_DOUBT_UNDEFINED, "too few values"},
    {VA_DOUBT_CONSTANT, "all values are equal, which says nothing of rarer differences"},
    {VA_DOUBT_HEAVY, "a value lies far out, and with such tails it may not cover"},
    {VA_DOUBT_FEW, "too few for the method"},
    {VA_DOUBT_ATOMS, "many draws gave the same figure or none"},
    {VA_DOUBT_DEPENDENT, "neighbours in the series are alike"},
    {VA_DOUBT_EXCLUDED, "values that are not finite were left out"},
    {VA_DOUBT_UNCHECKED, "assumes values near the normal distribution, which so few cannot show"},
};

const char *va_doubt_text(char out[VA_DOUBT_TEXT], const va_interval *interval)
{
    const unsigned doubts = interval->doubts;
    size_t at = 0;
    out[0] = '\0';
    if (doubts & ~(unsigned)(VA_DOUBT_UNCHECKED | VA_DOUBT_EXCLUDED))
        at = (size_t)snprintf(out, VA_DOUBT_TEXT, "not trustworthy at n = %d", interval->n);
    const char *separator = at ? ": " : "";
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (doubts & texts[i].doubt) {
            at += (size_t)snprintf(out + at, VA_DOUBT_TEXT - at, "%s%s", separator, texts[i].text);
            separator = "; ";
        }
    return out;
}

/* ---- values ---- */

/* Values that are finite. */
typedef struct sample {
    double *x;
    size_t n;
    double mean, sd;
    double confidence;
    unsigned doubts;
} sample;

/* Whether the value farthest from the mean is too far for a normal one: Grubbs, Technometrics 11, 1969, two-sided. */
static bool has_outlier(const sample *s)
{
    const double n = (double)s->n;
    double farthest = 0;
    for (size_t i = 0; i < s->n; i++)
        farthest = fmax(farthest, fabs(s->x[i] - s->mean));
    if (s->n < 3 || !(s->sd > 0))
        return false;
    const double t = gsl_cdf_tdist_Qinv(OUTLIER / (2 * n), n - 2);
    return farthest / s->sd > (n - 1) / sqrt(n) * sqrt(t * t / (n - 2 + t * t));
}

static void describe(sample *s)
{
    const va_spread spread = va_spread_of(s->x, s->n);
    s->mean = spread.mean;
    s->sd = spread.sd;
    if (s->sd == 0)
        s->doubts |= VA_DOUBT_CONSTANT;
    if (has_outlier(s))
        s->doubts |= VA_DOUBT_HEAVY;
}

/* The finite ones of `values`; false without memory. Free x. */
static bool take(sample *out, const double *values, size_t n, double confidence)
{
    gsl_set_error_handler_off(); /* it would end the program; what fails is NaN */
    *out = (sample){.x = calloc(n + 1, sizeof *out->x), .confidence = confidence};
    for (size_t i = 0; out->x && i < n; i++)
        if (isfinite(values[i]))
            out->x[out->n++] = values[i];
        else
            out->doubts |= VA_DOUBT_EXCLUDED;
    if (out->x)
        describe(out);
    return out->x != NULL;
}

/* The same of log(over / under), of pairs that are both finite and above 0. */
static bool take_log_ratios(sample *out, const double *over, const double *under, size_t n, double confidence)
{
    gsl_set_error_handler_off();
    *out = (sample){.x = calloc(n + 1, sizeof *out->x), .confidence = confidence};
    for (size_t i = 0; out->x && i < n; i++)
        if (isfinite(over[i]) && isfinite(under[i]) && over[i] > 0 && under[i] > 0)
            out->x[out->n++] = log(over[i] / under[i]);
        else
            out->doubts |= VA_DOUBT_EXCLUDED;
    if (out->x)
        describe(out);
    return out->x != NULL;
}

static va_interval none_of(const sample *s, const char *method)
{
    return (va_interval){NAN, NAN, NAN, s->confidence, (int)s->n, method, s->doubts | VA_DOUBT_UNDEFINED};
}

static va_interval around(const sample *s, const char *method, double estimate, double margin)
{
    return (va_interval){estimate, estimate - margin, estimate + margin, s->confidence, (int)s->n, method, s->doubts};
}

static double t_quantile(double confidence, double df)
{
    return gsl_cdf_tdist_Qinv((1 - confidence) / 2, df);
}

/* ---- means ---- */

static va_interval mean_of(const sample *s)
{
    const double n = (double)s->n;
    if (s->n < 2) {
        va_interval out = none_of(s, "Student t");
        out.estimate = s->mean;
        return out;
    }
    return around(s, "Student t", s->mean, t_quantile(s->confidence, n - 1) * s->sd / sqrt(n));
}

va_interval va_mean_interval(const double *values, size_t n, double confidence)
{
    sample s;
    if (!take(&s, values, n, confidence))
        return none_of(&s, "Student t");
    const va_interval out = mean_of(&s);
    free(s.x);
    return out;
}

static va_interval exponential_of(va_interval of)
{
    of.estimate = exp(of.estimate);
    of.low = exp(of.low);
    of.high = exp(of.high);
    return of;
}

va_interval va_cost_ratio_interval(const double *cost, const double *base, size_t n, double confidence)
{
    sample s;
    if (!take_log_ratios(&s, cost, base, n, confidence))
        return none_of(&s, "Student t of log ratios");
    va_interval out = exponential_of(mean_of(&s));
    out.method = "Student t of log ratios";
    free(s.x);
    return out;
}

/* Welch's, with the degrees of freedom of Satterthwaite. */
static va_interval difference_of(const sample *a, const sample *b, const char *method)
{
    const double n = (double)a->n, m = (double)b->n, u = a->sd * a->sd / n, v = b->sd * b->sd / m;
    sample both = {.n = a->n < b->n ? a->n : b->n, .confidence = a->confidence, .doubts = a->doubts | b->doubts};
    if ((a->doubts & b->doubts & VA_DOUBT_CONSTANT) == 0)
        both.doubts &= ~(unsigned)VA_DOUBT_CONSTANT; /* one of them varies */
    va_interval out = none_of(&both, method);
    out.estimate = a->mean - b->mean;
    if (both.n < 2)
        return out;
    const double df = (u + v) * (u + v) / (u * u / (n - 1) + v * v / (m - 1));
    return around(&both, method, out.estimate, u + v > 0 ? t_quantile(a->confidence, df) * sqrt(u + v) : 0);
}

va_interval va_difference_interval(const double *a, size_t n, const double *b, size_t m, double confidence)
{
    sample x, y;
    const bool fine = take(&x, a, n, confidence), both = take(&y, b, m, confidence);
    const va_interval out = fine && both ? difference_of(&x, &y, "Welch") : none_of(&x, "Welch");
    free(x.x);
    free(y.x);
    return out;
}

/* ---- standard deviations ---- */

double va_chi_squared_quantile(double p, double df)
{
    if (df < 10000)
        return p < 0.5 ? gsl_cdf_chisq_Pinv(p, df) : gsl_cdf_chisq_Qinv(1 - p, df);
    const double share = 2 / (9 * df);
    return df * pow(1 - share + gsl_cdf_ugaussian_Pinv(p) * sqrt(share), 3);
}

/* Of normal values. */
static va_interval chi_squared(const sample *s)
{
    const double df = (double)s->n - 1, tail = (1 - s->confidence) / 2;
    return (va_interval){s->sd,
                         s->sd * sqrt(df / va_chi_squared_quantile(1 - tail, df)),
                         s->sd * sqrt(df / va_chi_squared_quantile(tail, df)),
                         s->confidence,
                         (int)s->n,
                         "chi-squared",
                         s->doubts | VA_DOUBT_UNCHECKED};
}

/* Bonett, "Approximate confidence interval for standard deviation of nonnormal distributions", Computational Statistics
 * & Data Analysis 50, 2006: exp(log(c s^2) -+ z c sqrt((g - (n-3)/n) / (n-1))), c = n / (n-z), g the kurtosis about a
 * mean trimmed by 1 / (2 sqrt(n-4)). Sorts the values. */
static va_interval bonett(sample *s)
{
    const double n = (double)s->n, z = gsl_cdf_ugaussian_Qinv((1 - s->confidence) / 2), c = n / (n - z);
    const double quantile = s->n < BONETT_T ? z : t_quantile(s->confidence, n - 1);
    gsl_sort(s->x, 1, s->n);
    const double middle = gsl_stats_trmean_from_sorted_data(fmin(0.5, 0.5 / sqrt(n - 4)), s->x, 1, s->n);
    double fourth = 0, second = (n - 1) * s->sd * s->sd;
    for (size_t i = 0; i < s->n; i++)
        fourth += pow(s->x[i] - middle, 4);
    const double kurtosis = n * fourth / (second * second);
    const double margin = quantile * c * sqrt((kurtosis - (n - 3) / n) / (n - 1));
    return (va_interval){s->sd,
                         s->sd * sqrt(c) * exp(-margin / 2),
                         s->sd * sqrt(c) * exp(margin / 2),
                         s->confidence,
                         (int)s->n,
                         "Bonett",
                         s->doubts | (s->n < ENOUGH ? VA_DOUBT_UNCHECKED : 0)};
}

static va_interval sd_of(sample *s)
{
    if (s->n < 2)
        return none_of(s, "chi-squared");
    if (s->sd == 0)
        return around(s, "none", 0, 0);
    /* z exceeds n where the confidence is extreme */
    return s->n < BONETT || gsl_cdf_ugaussian_Qinv((1 - s->confidence) / 2) > (double)s->n / 2 ? chi_squared(s)
                                                                                               : bonett(s);
}

va_interval va_sd_interval(const double *values, size_t n, double confidence)
{
    sample s;
    if (!take(&s, values, n, confidence))
        return none_of(&s, "Bonett");
    const va_interval out = sd_of(&s);
    free(s.x);
    return out;
}

/* The standard deviation of all but value i; of equal values exactly 0. */
static double sd_without(const double *x, size_t n, size_t i)
{
    double mean = 0, squares = 0, count = 0;
    for (size_t k = 0; k < n; k++) {
        if (k == i)
            continue;
        const double from_mean = x[k] - mean;
        mean += from_mean / ++count;
        squares += from_mean * (x[k] - mean);
    }
    return sqrt(squares / (count - 1));
}

/* Pseudo-values of log sd (Miller, "Jackknifing variances", Annals of Mathematical Statistics 39, 1968), in place of
 * the values; false where one is not finite: all values but one are equal. */
static bool make_pseudo(double *out, const sample *s)
{
    const double n = (double)s->n;
    bool fine = s->n > 2;
    for (size_t i = 0; i < s->n && fine; i++) {
        out[i] = n * log(s->sd) - (n - 1) * log(sd_without(s->x, s->n, i));
        fine = isfinite(out[i]);
    }
    return fine;
}

/* A sample of these values that has the doubts of the ones they come from. */
static sample pseudo_sample(double *x, const sample *of)
{
    const va_spread spread = va_spread_of(x, of->n);
    return (sample){x, of->n, spread.mean, spread.sd, of->confidence, of->doubts};
}

static unsigned doubts_of_ratio(size_t n)
{
    return (n < FEW_FOR_RATIO ? VA_DOUBT_FEW : 0) | (n < ENOUGH ? VA_DOUBT_UNCHECKED : 0);
}

/* Pairs of which both are finite. */
static bool take_pairs(sample *a, sample *b, const double *x, const double *y, size_t n, double confidence)
{
    double *both = calloc(2 * n + 1, sizeof *both);
    size_t kept = 0;
    for (size_t i = 0; both && i < n; i++)
        if (isfinite(x[i]) && isfinite(y[i])) {
            both[kept] = x[i];
            both[n + kept++] = y[i];
        }
    const bool one = take(a, both, kept, confidence), two = take(b, both ? both + n : NULL, kept, confidence);
    free(both);
    a->doubts |= kept < n ? VA_DOUBT_EXCLUDED : 0;
    return both && one && two;
}

static va_interval sd_ratio_of(sample *part, sample *whole)
{
    va_interval out = none_of(part, "jackknife of the log");
    out.estimate = whole->sd > 0 ? part->sd / whole->sd : NAN;
    out.doubts |= whole->doubts | doubts_of_ratio(part->n);
    double *pseudo = calloc(2 * part->n + 1, sizeof *pseudo);
    if (pseudo && make_pseudo(pseudo, part) && make_pseudo(pseudo + part->n, whole)) {
        for (size_t i = 0; i < part->n; i++)
            pseudo[i] -= pseudo[part->n + i];
        const sample s = pseudo_sample(pseudo, part);
        const double n = (double)s.n, margin = t_quantile(s.confidence, n - 1) * s.sd / sqrt(n);
        out.low = out.estimate * exp(-margin);
        out.high = out.estimate * exp(margin);
        out.doubts &= ~(unsigned)VA_DOUBT_UNDEFINED;
    }
    free(pseudo);
    return out;
}

va_interval va_sd_ratio_interval(const double *part, const double *whole, size_t n, double confidence)
{
    sample a, b;
    const bool fine = take_pairs(&a, &b, part, whole, n, confidence);
    const va_interval out = fine ? sd_ratio_of(&a, &b) : none_of(&a, "jackknife of the log");
    free(a.x);
    free(b.x);
    return out;
}

static va_interval sd_comparison_of(const sample *a, const sample *b)
{
    va_interval out = none_of(a->n < b->n ? a : b, "jackknife of the log");
    out.estimate = b->sd > 0 ? a->sd / b->sd : NAN;
    out.doubts = a->doubts | b->doubts | doubts_of_ratio((size_t)out.n) | VA_DOUBT_UNDEFINED;
    double *pseudo = calloc(a->n + b->n + 1, sizeof *pseudo);
    if (pseudo && make_pseudo(pseudo, a) && make_pseudo(pseudo + a->n, b)) {
        const sample x = pseudo_sample(pseudo, a), y = pseudo_sample(pseudo + a->n, b);
        const va_interval logs = difference_of(&x, &y, "jackknife of the log");
        const double margin = (logs.high - logs.low) / 2;
        out.low = out.estimate * exp(-margin);
        out.high = out.estimate * exp(margin);
        out.doubts &= ~(unsigned)VA_DOUBT_UNDEFINED;
    }
    free(pseudo);
    return out;
}

va_interval va_sd_comparison_interval(const double *a, size_t n, const double *b, size_t m, double confidence)
{
    sample x, y;
    const bool fine = take(&x, a, n, confidence), both = take(&y, b, m, confidence);
    const va_interval out = fine && both ? sd_comparison_of(&x, &y) : none_of(&x, "jackknife of the log");
    free(x.x);
    free(y.x);
    return out;
}
