/* study_pairs.c - intervals of pairs and proportions, and how many replicas are needed (study_interval.h). */
#include "study_interval.h"

#include "study_metrics.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <math.h>

#define FEW_FOR_PAIRS 5 /* replicas from which the interval has been seen to cover (docs/study-statistics.md) */
#define MOST_NEEDED   1000000

/* ---- means over pairs of replicas ---- */

/* Variance of the mean over pairs. With w replica a's mean with all others, the jackknife's (Arvesen, Annals of
 * Mathematical Statistics 40, 1969) is 4 (R-1)^2 / (R (R-2)^2) s_w^2, which is too large: it takes what the pairs vary
 * beyond their replicas about twice (Efron and Stein, Annals of Statistics 9, 1981). The unbiased one, U^2 less the
 * mean of h(a,b) h(c,d) over four different replicas, is right on average, but with few replicas too small too often.
 * The mean of the two covers. */
static double variance_of_pairs(const double *with_others, const double *pairs, double mean, double spread, double n)
{
    const double jackknife = 4 * (n - 1) * (n - 1) / (n * (n - 2) * (n - 2)) * spread * spread;
    if (!pairs || n < 4)
        return jackknife;
    double degrees = 0, squares = 0;
    for (size_t a = 0; a < (size_t)n; a++)
        degrees += (n - 1) * (n - 1) * (with_others[a] - mean) * (with_others[a] - mean);
    for (size_t k = 0; k < (size_t)(n * (n - 1) / 2); k++)
        squares += 2 * (pairs[k] - mean) * (pairs[k] - mean);
    const double unbiased = (4 * degrees - 2 * squares) / (n * (n - 1) * (n - 2) * (n - 3));
    return (jackknife + fmax(unbiased, jackknife / 2)) / 2;
}

/* Student's t of log U, or where there is a `most` of log(U / (most - U)): neither goes beyond what U can be. */
va_interval va_pairs_interval(const double *with_others, const double *pairs, size_t replicas, double most,
                              double confidence)
{
    gsl_set_error_handler_off();
    const va_spread spread = va_spread_of(with_others, replicas);
    const double n = (double)replicas, mean = spread.mean;
    va_interval out = {
        spread.excluded ? NAN : mean, NAN, NAN, confidence, (int)replicas, "jackknife", VA_DOUBT_UNDEFINED};
    if (spread.excluded > 0 && replicas > 1) /* one replica has no others that a value could be of */
        out.doubts |= VA_DOUBT_EXCLUDED;
    if (replicas < 3 || spread.excluded > 0 || mean < 0 || mean > most)
        return out;
    const double variance = variance_of_pairs(with_others, pairs, mean, spread.sd, n);
    out.doubts = (replicas < FEW_FOR_PAIRS ? VA_DOUBT_FEW : 0) | (variance > 0 ? 0 : VA_DOUBT_CONSTANT);
    out.low = out.high = mean;
    if (!(variance > 0))
        return out;
    const double margin = gsl_cdf_tdist_Qinv((1 - confidence) / 2, n - 1) * sqrt(variance);
    const double odds = isinf(most) ? mean : mean / (most - mean);
    const double step = isinf(most) ? margin / mean : margin * most / (mean * (most - mean));
    out.low = isinf(most) ? odds * exp(-step) : most - most / (1 + odds * exp(-step));
    out.high = isinf(most) ? odds * exp(step) : most / (1 + exp(-step) / odds);
    return out;
}

/* ---- proportions ---- */

static va_interval of_trials(size_t successes, size_t trials, double confidence, const char *method)
{
    const double estimate = trials > 0 ? (double)successes / (double)trials : NAN;
    const bool fine = trials > 0 && successes <= trials && confidence > 0 && confidence < 1;
    gsl_set_error_handler_off();
    return (va_interval){estimate, NAN, NAN, confidence, (int)trials, method, fine ? 0 : VA_DOUBT_UNDEFINED};
}

va_interval va_proportion_interval(size_t successes, size_t trials, double confidence)
{
    va_interval out = of_trials(successes, trials, confidence, "Clopper-Pearson");
    const double k = (double)successes, n = (double)trials, tail = (1 - confidence) / 2;
    if (out.doubts)
        return out;
    out.low = successes == 0 ? 0 : gsl_cdf_beta_Pinv(tail, k, n - k + 1);
    out.high = successes == trials ? 1 : gsl_cdf_beta_Qinv(tail, k + 1, n - k);
    return out;
}

va_interval va_wilson_interval(size_t successes, size_t trials, double confidence)
{
    va_interval out = of_trials(successes, trials, confidence, "Wilson");
    const double n = (double)trials, p = out.estimate;
    if (out.doubts)
        return out;
    const double z = gsl_cdf_ugaussian_Qinv((1 - confidence) / 2), scale = 1 + z * z / n;
    const double middle = (p + z * z / (2 * n)) / scale;
    const double margin = z / scale * sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    out.low = successes == 0 ? 0 : fmax(middle - margin, 0);
    out.high = successes == trials ? 1 : fmin(middle + margin, 1);
    return out;
}

/* ---- replicas needed ---- */

/* How far the interval reaches with n replicas: of the mean in standard deviations, of the standard deviation in shares
 * of it. Both fall with n. */
static double reach_of_mean(double n, double tail)
{
    return gsl_cdf_tdist_Qinv(tail, n - 1) / sqrt(n);
}

static double reach_of_sd(double n, double tail)
{
    return sqrt((n - 1) / va_chi_squared_quantile(tail, n - 1)) - 1;
}

/* The least n from 2 on that reaches no farther than `most`. */
static int least(double (*reach)(double, double), double most, double confidence)
{
    const double tail = (1 - confidence) / 2;
    gsl_set_error_handler_off();
    if (!(most > 0) || !(confidence > 0 && confidence < 1) || !(reach(MOST_NEEDED, tail) <= most))
        return 0;
    int low = 1, high = MOST_NEEDED; /* low does not, high does */
    while (high - low > 1) {
        const int middle = low + (high - low) / 2;
        if (reach(middle, tail) <= most)
            high = middle;
        else
            low = middle;
    }
    return high;
}

int va_replicas_for_mean(double sd, double half_width, double confidence)
{
    if (sd == 0 && half_width >= 0)
        return 2;
    return least(reach_of_mean, half_width / sd, confidence);
}

int va_replicas_for_sd(double share, double confidence)
{
    return least(reach_of_sd, share, confidence);
}
