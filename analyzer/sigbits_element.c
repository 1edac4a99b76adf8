#include "sigbits_element.h"

#include <float.h>
#include <formats/fail.h>
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <math.h>
#include <string.h>

/* ---- the rule ---- */

int va_bits_digits(vr_dtype dtype)
{
    switch (dtype) {
    case VR_F64:
        return 52;
    case VR_F32:
        return 23;
    case VR_F16:
        return 10;
    case VR_BF16:
        return 7;
    case VR_F8E4M3:
        return 3;
    case VR_F8E5M2:
        return 2;
    default:
        return 0;
    }
}

bool va_bits_halves_samples(va_bits_reference reference)
{
    return reference == VA_BITS_PAIRS || reference == VA_BITS_HALVES;
}

int va_bits_least_samples(va_bits_reference reference)
{
    return va_bits_halves_samples(reference) ? 4 : 2;
}

vr_status va_bits_rule_make(va_bits_rule *out, const va_bits_options *options, int samples, int digits)
{
    const double p = options->significant, q = options->contributing, c = options->confidence;
    if (!(p > 0 && p < 1))
        return vr_fail(VR_ERROR_ARGUMENT, "probability %g of significant bits is not between 0 and 1", p);
    if (!(q > 0.5 && q < 1))
        return vr_fail(VR_ERROR_ARGUMENT, "probability %g of contributing bits is not between 0.5 and 1", q);
    if (!(c > 0 && c < 1))
        return vr_fail(VR_ERROR_ARGUMENT, "confidence %g is not between 0 and 1", c);
    if (samples < va_bits_least_samples(options->reference))
        return vr_fail(VR_ERROR_ARGUMENT, "%d samples are too few: %d at least", samples,
                       va_bits_least_samples(options->reference));
    const int n = va_bits_halves_samples(options->reference) ? samples / 2 : samples;
    gsl_set_error_handler_off(); /* it would end the program; what fails is NaN */
    const double deviation = 0.5 * log2((n - 1) / gsl_cdf_chisq_Pinv((1 - c) / 2, n - 1));
    *out = (va_bits_rule){
        .options = *options,
        .samples = va_bits_halves_samples(options->reference) ? 2 * n : samples,
        .errors = n,
        .digits = digits,
        .significant_less = deviation + log2(gsl_cdf_ugaussian_Qinv((1 - p) / 2)),
        .contributing_less = deviation + log2(q - 0.5) + log2(2 * sqrt(2 * M_PI)),
    };
    if (isfinite(out->significant_less) && isfinite(out->contributing_less))
        return VR_OK;
    return vr_fail(VR_ERROR_ARGUMENT, "probability %g with confidence %g is too near to 0 or 1 for %d samples", p, c,
                   samples);
}

double va_bits_bernoulli(int successes, int trials, double confidence)
{
    const double s = successes, n = trials;
    if (successes == trials)
        return pow(1 - confidence, 1 / n);
    const double bound =
        (s + 2) / (n + 4) - gsl_cdf_ugaussian_Pinv(confidence) * sqrt((s + 2) * (n - s + 2) / pow(n + 4, 3));
    return fmin(fmax(bound, 0), 1);
}

double va_bits_least_trials(double probability, double confidence)
{
    return ceil(log1p(-confidence) / log(probability));
}

/* ---- figures ---- */

/* What the figures are made of, in units in which e is 1: for the relative error the errors over |Y|, for the absolute
 * one over 2^(e-1). */
typedef struct errors {
    double deviation; /* sigma */
    double mean;      /* of Z */
    double largest;   /* max|Z| */
    double fraction;  /* the largest fractional part of |Z| */
    bool constant;
} errors;

static int clamp(int k, int least, int most)
{
    return k < least ? least : k > most ? most : k;
}

/* The largest k in 0..m with z <= 2^-k. */
static int bits_within(double z, int digits)
{
    int exponent;
    if (z == 0)
        return digits;
    const bool power_of_two = frexp(z, &exponent) == 0.5; /* z = f 2^exponent, f in [1/2, 1) */
    return clamp((power_of_two ? 1 : 0) - exponent, 0, digits);
}

/* The largest k in 0..m such that the first k bits behind the point of z, below 1, are zero. */
static int zero_bits(double z, int digits)
{
    int exponent;
    if (z == 0)
        return digits;
    frexp(z, &exponent);
    return clamp(-exponent, 0, digits);
}

static void take_errors(va_bits *out, const va_bits_rule *rule, const errors *z)
{
    const double sigma = z->deviation > 0 ? z->deviation : z->largest;
    const double bits = sigma > 0 ? -log2(sigma) : rule->digits, bias = fabs(z->mean);
    *out = (va_bits){.flags = z->constant ? VA_BITS_CONSTANT : 0, .bias = NAN};
    out->significant = fmin(bits - rule->significant_less, rule->digits);
    out->contributing = fmin(bits - rule->contributing_less, rule->digits);
    if (bits - rule->significant_less > rule->digits)
        out->flags |= VA_BITS_SATURATED;
    if (rule->options.reference != VA_BITS_MEAN)
        out->bias = bias > 0 && -log2(bias) < rule->digits ? -log2(bias) : rule->digits;
    out->general = bits_within(z->largest, rule->digits);
    out->general_contributing = zero_bits(z->fraction, rule->digits);
    if (out->general == rule->digits)
        out->flags |= VA_BITS_SATURATED_GENERAL;
}

static void take_nothing(va_bits *out, unsigned flags)
{
    *out = (va_bits){.significant = NAN, .contributing = NAN, .bias = NAN, .flags = flags};
}

/* ---- the definition ---- */

/* A number as the sum of two. */
typedef struct twofold {
    double high, low;
} twofold;

/* a + b (Knuth's TwoSum, then renormalized). */
static twofold add(twofold a, double b)
{
    const double high = a.high + b, shadow = high - a.high;
    const double low = a.low + ((a.high - (high - shadow)) + (b - shadow)), sum = high + low;
    return (twofold){sum, low - (sum - high)};
}

/* An error, a / b. Of its second part, what is so small against 1 or the first one comes from the rounding of the mean
 * (4/3, say) and would put errors that are a power of two, or whole, beside it. */
static twofold divide(twofold a, twofold b)
{
    const double high = a.high / b.high;
    const double low = (fma(-high, b.high, a.high) + (a.low - high * b.low)) / b.high;
    const double sum = high + low, rest = low - (sum - high);
    return (twofold){sum, fabs(rest) < 0x1p-98 * fmax(fabs(sum), 1) ? 0 : rest};
}

/* What of a number of 0 and more lies behind the point. */
static double fraction_of(twofold z)
{
    const double fraction = z.high - floor(z.high) + z.low;
    return fraction - floor(fraction); /* the parts may stand for a whole number that neither of them is */
}

/* Z_i - Z_0, times a power of two; of its parts, since their difference may overflow. */
static double from_first(const twofold *z, int i, double unit)
{
    return (z[i].high * unit - z[0].high * unit) + (z[i].low * unit - z[0].low * unit);
}

/* Z is kept in two doubles each: where all samples are far from their references, but by nearly as much (a mean that
 * has another sign, say), the spread lies below the rounding of the error itself. */
static void sum_up(errors *out, const twofold *z, int n)
{
    twofold largest = {0, 0};
    *out = (errors){.constant = true};
    for (int i = 0; i < n; i++) {
        const twofold size = {fabs(z[i].high), z[i].high < 0 ? -z[i].low : z[i].low};
        out->fraction = fmax(out->fraction, fraction_of(size));
        if (size.high > largest.high || (size.high == largest.high && size.low > largest.low))
            largest = size;
        out->constant = out->constant && z[i].high == z[0].high && z[i].low == z[0].low;
    }
    if (largest.high == 0)
        return;
    /* a hair above a power of two is above it */
    out->largest = largest.low > 0 ? nextafter(largest.high, INFINITY) : largest.high;
    int exponent; /* squares of what is scaled by it neither overflow nor all underflow */
    frexp(out->largest, &exponent);
    const double unit = ldexp(1, clamp(-exponent, -1000, 1000));
    twofold total = {0, 0};
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++) {
        total = add(add(total, z[i].high * unit), z[i].low * unit);
        sum += from_first(z, i, unit);
    }
    const double shift = sum / n;
    for (int i = 0; i < n; i++) {
        const double d = from_first(z, i, unit) - shift;
        squares += d * d;
    }
    out->deviation = out->constant ? 0 : sqrt(squares / n) / unit;
    out->mean = total.high / n / unit;
}

/* The mean of samples times `scale`, far more exactly than the samples are: its own rounding must not pass for a
 * spread of samples that are an ulp apart, nor for a reference near 0. */
static twofold mean_of(const double *x, size_t stride, int n, double scale)
{
    twofold sum = {0, 0};
    for (int i = 0; i < n; i++)
        sum = add(sum, x[(size_t)i * stride] * scale);
    const double high = sum.high / n, rest = fma(-high, n, sum.high) + sum.low;
    return (twofold){high, rest / n};
}

/* floor(log2|y|); 0 of 0. */
static int binade(twofold y)
{
    int exponent;
    if (y.high == 0)
        return 0;
    const bool below = fabs(frexp(y.high, &exponent)) == 0.5 && y.low != 0 && signbit(y.low) != signbit(y.high);
    return exponent - 1 - (below ? 1 : 0);
}

/* A power of two that makes samples so small that their sum cannot overflow, or so large that their mean is no
 * subnormal number; 1 of all others. */
static double common_scale(const double *x, size_t stride, int n, double y)
{
    double largest = fabs(y);
    for (int i = 0; i < n; i++) {
        const double size = fabs(x[(size_t)i * stride]);
        largest = size > largest ? size : largest;
    }
    return largest > 0x1p900 ? 0x1p-200 : largest < 0x1p-800 ? 0x1p200 : 1;
}

/* Errors of the samples against one reference, both times `scale`, over `unit`; false where a relative error has no
 * meaning. */
static bool against_one(twofold *z, const va_bits_rule *rule, const double *x, size_t stride, twofold y, double scale)
{
    const bool absolute = rule->options.absolute;
    const twofold unit = absolute ? (twofold){y.high == 0 ? scale : ldexp(1, binade(y)), 0} : y;
    for (int i = 0; i < rule->samples; i++) {
        const twofold d = add((twofold){-y.high, -y.low}, x[(size_t)i * stride] * scale);
        z[i] = d.high == 0 ? (twofold){0, 0} : divide(d, unit);
        if (!isfinite(z[i].high) || !isfinite(z[i].low))
            return false;
    }
    return true;
}

/* Errors of samples against other samples. */
static bool against_others(twofold *z, const va_bits_rule *rule, const double *x, size_t stride)
{
    const bool pairs = rule->options.reference == VA_BITS_PAIRS;
    const size_t n = (size_t)rule->errors, step = pairs ? 2 : 1, other = pairs ? 1 : n;
    const double scale = common_scale(x, stride, rule->samples, 0);
    const twofold mean = mean_of(x + other * stride, step * stride, rule->errors, scale);
    const double unit = mean.high == 0 ? scale : ldexp(1, binade(mean));
    for (size_t i = 0; i < n; i++) {
        const double y = x[(i * step + other) * stride] * scale;
        const twofold d = add((twofold){-y, 0}, x[i * step * stride] * scale);
        z[i] = d.high == 0 ? (twofold){0, 0} : divide(d, (twofold){rule->options.absolute ? unit : y, 0});
        if (!isfinite(z[i].high) || !isfinite(z[i].low))
            return false;
    }
    return true;
}

/* `y` is NULL unless there is one reference. */
static unsigned check_finite(const va_bits_rule *rule, const double *x, size_t stride, const double *y)
{
    bool finite = !y || isfinite(*y);
    for (int i = 0; i < rule->samples; i++)
        finite = finite && isfinite(x[(size_t)i * stride]);
    if (finite)
        return 0;
    for (int i = 0; i < rule->samples; i++) {
        const double a = x[(size_t)i * stride], b = y ? *y : x[0];
        if (!(a == b || (isnan(a) && isnan(b))))
            return VA_BITS_NONFINITE | VA_BITS_NONFINITE_DIFFERS;
    }
    return VA_BITS_NONFINITE;
}

/* Z, in the units of `errors`; the flags of an element without. */
static unsigned errors_of(twofold *z, const va_bits_rule *rule, const double *x, size_t stride, double y)
{
    const va_bits_reference reference = rule->options.reference;
    const bool one = reference == VA_BITS_EXACT || reference == VA_BITS_RUN;
    const unsigned flags = check_finite(rule, x, stride, one ? &y : NULL);
    if (flags)
        return flags;
    bool fine;
    if (va_bits_halves_samples(reference))
        fine = against_others(z, rule, x, stride);
    else {
        const double scale = common_scale(x, stride, rule->samples, one ? y : 0);
        if (one && y != 0 && fabs(y * scale) < DBL_MIN)
            return VA_BITS_ZERO_REFERENCE; /* a sample is 2^1700 times as large */
        const twofold middle = one ? (twofold){y * scale, 0} : mean_of(x, stride, rule->samples, scale);
        fine = against_one(z, rule, x, stride, middle, scale);
    }
    return fine ? 0 : VA_BITS_ZERO_REFERENCE;
}

void va_bits_of(va_bits *out, const va_bits_rule *rule, const double *x, size_t stride, double y, double *scratch)
{
    errors summed;
    twofold *z = (twofold *)scratch;
    const unsigned flags = errors_of(z, rule, x, stride, y);
    if (flags) {
        take_nothing(out, flags);
        return;
    }
    sum_up(&summed, z, rule->errors);
    take_errors(out, rule, &summed);
}

void va_bits_of_nothing(va_bits *out, const va_bits_rule *rule)
{
    take_errors(out, rule, &(errors){.constant = true});
}

int va_bits_within(const va_bits_rule *rule, const double *x, size_t stride, double y, int k, double *scratch)
{
    int within = 0;
    twofold *z = (twofold *)scratch;
    if (errors_of(z, rule, x, stride, y))
        return 0;
    for (int i = 0; i < rule->errors; i++)
        within += fabs(z[i].high) <= ldexp(1, -k);
    return within;
}

double va_bits_of_error(double x, double y, int digits)
{
    const va_bits_rule rule = {.options = {.reference = VA_BITS_EXACT}, .samples = 1, .errors = 1, .digits = digits};
    twofold z;
    const unsigned flags = errors_of(&z, &rule, &x, 1, y);
    if (flags)
        return flags == VA_BITS_NONFINITE ? digits : 0;
    return z.high == 0 ? digits : fmin(fmax(-log2(fabs(z.high)), 0), digits);
}

/* ---- blocks ---- */

/* Of each element: the sum of x - x_0, its mean, the sum of squares about that, and max|x - Y|. */
typedef struct moments {
    double *sum, *squares, *largest;
} moments;

static void take_moments(const moments *m, const va_bits_rule *rule, const double *x, size_t stride, const double *y,
                         size_t count)
{
    const size_t n = (size_t)rule->samples;
    const bool mean = rule->options.reference == VA_BITS_MEAN, exact = rule->options.reference == VA_BITS_EXACT;
    memset(m->sum, 0, count * sizeof *m->sum);
    memset(m->squares, 0, count * sizeof *m->squares);
    memset(m->largest, 0, count * sizeof *m->largest);
    for (size_t i = 1; i < n; i++)
        for (size_t j = 0; j < count; j++)
            m->sum[j] += x[i * stride + j] - x[j];
    for (size_t j = 0; j < count; j++)
        m->sum[j] /= (double)n;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < count; j++) {
            const double d = x[i * stride + j] - x[j] - m->sum[j], size = fabs(d);
            m->squares[j] += d * d;
            m->largest[j] = size > m->largest[j] ? size : m->largest[j];
        }
    if (!mean)
        memset(m->largest, 0, count * sizeof *m->largest);
    for (size_t i = 0; i < n && !mean; i++)
        for (size_t j = 0; j < count; j++) {
            const double size = fabs(x[i * stride + j] - (exact ? y[0] : y[j]));
            m->largest[j] = size > m->largest[j] ? size : m->largest[j];
        }
}

#define NEAR 0x1p-30 /* of limits, on whose side a number may be by rounding */

/* Whether a part of an error, below 1, is next to a power of two, which limits the bits it leaves. */
static bool is_near_limit(double z)
{
    int exponent;
    const double fraction = frexp(z, &exponent);
    return z > 0 && (fraction < 0.5 + NEAR || fraction > 1 - NEAR);
}

/* The largest fractional part of the errors of an element, over `unit`; NaN where one is so near a whole number that
 * rounding may have put it on the other side. */
static double largest_fraction(const double *x, size_t stride, int n, double reference, double unit)
{
    double largest = 0;
    for (int i = 0; i < n; i++) {
        const double size = fabs(x[(size_t)i * stride] - reference) / unit, fraction = size - floor(size);
        if (fraction != 0 && (fraction < NEAR || fraction > 1 - NEAR))
            return NAN;
        largest = fraction > largest ? fraction : largest;
    }
    return largest;
}

/* The figures of element j, whose samples begin at x, from its moments; false where these are not good enough:
 * something is not finite, a square may have left the range, there is no spread, the reference is small against the
 * errors, so that its own rounding would show, or an error is so near a limit that this decides on which side. */
static bool from_moments(va_bits *out, const va_bits_rule *rule, const moments *m, const double *x, size_t stride,
                         const double *y, size_t j)
{
    const bool mean = rule->options.reference == VA_BITS_MEAN;
    const double shift = m->sum[j], squares = m->squares[j];
    const double reference = mean ? *x + shift : *y, bias = mean ? 0 : (*x - reference) + shift;
    if (!(squares > 0x1p-900 && squares < 0x1p900 && m->largest[j] < fabs(reference) * 0x1p10 && isfinite(shift)))
        return false;
    const double rest = mean ? shift - (reference - *x) : 0;
    const double unit = rule->options.absolute ? ldexp(1, binade((twofold){reference, rest})) : fabs(reference);
    errors z = {
        .deviation = sqrt(squares / rule->samples) / unit,
        .mean = bias / unit,
        .largest = m->largest[j] / unit,
    };
    z.fraction = z.largest < 1 ? z.largest : largest_fraction(x, stride, rule->samples, reference, unit);
    if (isnan(z.fraction) || (mean && is_near_limit(z.fraction)))
        return false;
    take_errors(out, rule, &z);
    return true;
}

size_t va_bits_scratch(const va_bits_rule *rule, size_t count)
{
    return 3 * count + 2 * (size_t)rule->samples;
}

void va_bits_of_block(va_bits *out, const va_bits_rule *rule, const double *x, size_t stride, const double *y,
                      size_t count, double *scratch)
{
    const va_bits_reference reference = rule->options.reference;
    const moments m = {scratch, scratch + count, scratch + 2 * count};
    const bool by_moments = !va_bits_halves_samples(reference);
    if (by_moments)
        take_moments(&m, rule, x, stride, y, count);
    for (size_t j = 0; j < count; j++) {
        const double *own = reference == VA_BITS_RUN ? &y[j] : y;
        if (!by_moments || !from_moments(&out[j], rule, &m, x + j, stride, own, j))
            va_bits_of(&out[j], rule, x + j, stride, own ? *own : 0, scratch + 3 * count);
    }
}
