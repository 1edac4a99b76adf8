/* sigbits_element.h - how many bits of one value are real, from samples of it.
 *
 * Sohier, de Oliveira Castro, Fevotte, Lathuiliere, Petit and Jamond, "Confidence intervals for stochastic arithmetic",
 * ACM TOMS 47(2), 2021. docs/significant-bits.md has the formulas, what each figure means and where each misleads.
 *
 * Z_i is the error of sample X_i against a reference Y: X_i - Y (absolute) or (X_i - Y) / Y (relative), and sigma the
 * population standard deviation of Z, max|Z| where that is 0. e is 1 for the relative error, floor(log2|Y|) + 1 for the
 * absolute one (1 where Y is 0). m is the number of explicit mantissa bits of the element type.
 */
#ifndef VA_SIGBITS_ELEMENT_H
#define VA_SIGBITS_ELEMENT_H

#include <stddef.h>
#include <varanalyze/dtype.h>

/* What a sample is held against. */
typedef enum va_bits_reference {
    VA_BITS_MEAN,   /* the mean of all samples */
    VA_BITS_EXACT,  /* one number for all elements */
    VA_BITS_RUN,    /* the element of another run */
    VA_BITS_PAIRS,  /* samples 0, 2, 4... against 1, 3, 5... */
    VA_BITS_HALVES, /* the first half of the samples against the second */
} va_bits_reference;

typedef struct va_bits_options {
    va_bits_reference reference;
    bool absolute;
    double significant;  /* probability for significant bits; above 0, below 1 */
    double contributing; /* for contributing bits; above 1/2, below 1 */
    double confidence;   /* above 0, below 1 */
} va_bits_options;

#define VA_BITS_OPTIONS_INIT                                                                                           \
    {                                                                                                                  \
        .significant = 0.95, .contributing = 0.51, .confidence = 0.95                                                  \
    }

/* What depends on the number of samples and the type only. */
typedef struct va_bits_rule {
    va_bits_options options;
    int samples;              /* of an element that count: of pairs and halves an even number */
    int errors;               /* of these Z has: half as many for pairs and halves */
    int digits;               /* m */
    double significant_less;  /* CNH: 0.5 log2((errors-1)/chi2) + log2(F^-1((p+1)/2)) */
    double contributing_less; /* CNH: 0.5 log2((errors-1)/chi2) + log2(p-1/2) + log2(2 sqrt(2 pi)) */
} va_bits_rule;

/* Explicit mantissa bits of a float type: 52, 23, 10, 7, 3 (f8e4m3), 2 (f8e5m2); 0 of any other. */
int va_bits_digits(vr_dtype dtype);

/* Whether half of the samples are the reference of the others: pairs and halves. */
bool va_bits_halves_samples(va_bits_reference reference);

/* Fewest samples that a reference needs: 2, or 4 where they are halved. */
int va_bits_least_samples(va_bits_reference reference);

/* Fails with VR_ERROR_ARGUMENT: a probability or the confidence is out of its range, or so near to its end that
 * there is no quantile, or the samples are too few. Turns off the error handler of GSL. */
vr_status va_bits_rule_make(va_bits_rule *out, const va_bits_options *options, int samples, int digits);

enum {
    VA_BITS_CONSTANT = 1,           /* all samples (pairs: all errors) are the same: zero variance */
    VA_BITS_SATURATED = 2,          /* CNH: more bits than the type has; `significant` is cut to m */
    VA_BITS_SATURATED_GENERAL = 4,  /* the general method: m, and there may be more */
    VA_BITS_NONFINITE = 8,          /* a sample or the reference is NaN or infinite: no figure */
    VA_BITS_NONFINITE_DIFFERS = 16, /* and not all of them are the same */
    VA_BITS_ZERO_REFERENCE = 32,    /* an error against 0 (or so little that it overflows), not 0 itself: no figure */
    VA_BITS_NO_FIGURE = VA_BITS_NONFINITE | VA_BITS_ZERO_REFERENCE,
};

typedef struct va_bits {
    double significant, contributing; /* CNH, cut to m; NaN without a figure */
    double bias; /* -log2|mean of Z| + e - 1, cut to m; NaN without a figure, or against the mean */
    int general, general_contributing; /* the general method, 0 to m; 0 without a figure */
    unsigned flags;
} va_bits;

/* The definition: of `rule->samples` samples x[0], x[stride], ...; y is the reference of VA_BITS_EXACT and VA_BITS_RUN.
 * `scratch` takes twice as many doubles. */
void va_bits_of(va_bits *out, const va_bits_rule *rule, const double *x, size_t stride, double y, double *scratch);

/* The figures of errors that are all 0. */
void va_bits_of_nothing(va_bits *out, const va_bits_rule *rule);

/* The same as va_bits_of, of `count` elements: sample i of element j is x[i * stride + j]; its reference is y[j], or of
 * VA_BITS_EXACT y[0]. `scratch` takes va_bits_scratch(rule, count) doubles. Figures of the definition, up to rounding:
 * loops over elements which the compiler vectorizes; elements that need more care go to va_bits_of. */
void va_bits_of_block(va_bits *out, const va_bits_rule *rule, const double *x, size_t stride, const double *y,
                      size_t count, double *scratch);
size_t va_bits_scratch(const va_bits_rule *rule, size_t count);

/* How many of the errors are within 2^-(k-(e-1)): the successes of a Bernoulli trial for k bits. */
int va_bits_within(const va_bits_rule *rule, const double *x, size_t stride, double y, int k, double *scratch);

/* The bits that one sample has in common with a reference: -log2|Z| of the relative error, which the general method
 * rounds down; 0 to `digits`. 0 where the two differ and there is no error (something is not finite, or y is 0). */
double va_bits_of_error(double x, double y, int digits);

/* Lower bound, at `confidence`, of the probability of what succeeded in `successes` of `trials`: (1-c)^(1/n) when all
 * did, else (s+2)/(n+4) - F^-1(c) sqrt((s+2)(n-s+2)/(n+4)^3), cut to [0, 1]. */
double va_bits_bernoulli(int successes, int trials, double confidence);

/* Fewest trials, all successful, that vouch for a probability at a confidence: ceil(log(1-c) / log(p)). */
double va_bits_least_trials(double probability, double confidence);

#endif
