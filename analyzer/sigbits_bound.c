/* What statistics say of bits, where there are no values.
 *
 * Of runs a_1 ... a_n of N elements each, with their mean a:
 * V = 1/n sum ||a_j - a||^2 = 1/n^2 sum_{i<j} ||a_i - a_j||^2.
 * Each ||a_i - a_j||^2 >= N (mean_i - mean_j)^2 + (sqrt(m2_i) - sqrt(m2_j))^2, the parts along the mean and across it
 * being orthogonal. So V >= N var(mean) + var(sqrt(m2)), variances over runs, divided by n.
 * And ||a||^2 = 1/n sum ||a_j||^2 - V.
 * Both together bound sigma = sqrt(V) / ||a|| from below, and the bits from above.
 */
#include "sigbits.h"

#include <math.h>

/* The sums behind the statistics are in double precision, up to 512 terms one after the other: so much of sigma may be
 * their rounding. */
#define ROUNDING 0x1p-43

/* Squares of smaller norms are subnormal, or nearly. */
#define LEAST_SQUARE 0x1p-900

/* Of values about the first, so that large ones which are near each other lose nothing. */
typedef struct variance {
    double first, sum, squares;
} variance;

static double finish(const variance *v, int n)
{
    const double mean = v->sum / n, result = v->squares / n - mean * mean;
    return result > 0 ? result : 0;
}

static void add(variance *v, int i, double value)
{
    if (i == 0)
        v->first = value;
    const double d = value - v->first;
    v->sum += d;
    v->squares += d * d;
}

static bool is_finite(const vr_stats *s)
{
    return s->nan + s->pos_inf + s->neg_inf == 0;
}

double va_bits_bound(const va_bits_rule *rule, const vr_trace_record *const *records, const vr_trace_record *reference,
                     double exact)
{
    variance mean = {0}, spread = {0};
    double norms = 0;
    const int n = rule->samples;
    const va_bits_reference kind = rule->options.reference;
    if (rule->options.absolute || va_bits_halves_samples(kind))
        return NAN;
    for (int i = 0; i < n; i++) {
        const vr_stats *s = &records[i]->stats;
        if (records[i]->level < VR_LEVEL_STATS || !is_finite(s))
            return NAN;
        add(&mean, i, s->mean);
        add(&spread, i, sqrt(s->m2));
        norms += s->l2 * s->l2 / n;
    }
    if (reference && (reference->level < VR_LEVEL_STATS || !is_finite(&reference->stats)))
        return NAN;
    const double count = (double)records[0]->stats.count, least = count * finish(&mean, n) + finish(&spread, n);
    const double norm = kind == VA_BITS_EXACT ? count * exact * exact
                        : reference           ? reference->stats.l2 * reference->stats.l2
                                              : norms - least;
    const double sigma = sqrt(least / norm) - ROUNDING;
    if (!(sigma > 0 && isfinite(sigma) && norms > LEAST_SQUARE))
        return NAN;
    return fmin(-log2(sigma) - rule->significant_less, rule->digits);
}
