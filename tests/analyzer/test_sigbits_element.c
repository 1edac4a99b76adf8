/* The figures of one element against the formulas written down naively in 400 bits (MPFR), quantiles included, for
 * samples of every kind; and against numbers computed by hand. */
#include <sigbits_element.h>

#include <math.h>
#include <mpfr.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <varanalyze/random.h>

#include <cmocka.h>

#define BITS       400
#define MOST       64 /* samples */
#define WITHIN     1e-9
#define ROUND      MPFR_RNDN
#define ITERATIONS 80 /* of a bisection: more than the bits a result needs */

/* ---- the oracle ---- */

/* P(chi-squared of k degrees of freedom < x). */
static double chi2_below(double k, double x)
{
    mpfr_t a, half, upper, whole;
    mpfr_inits2(BITS, a, half, upper, whole, (mpfr_ptr)NULL);
    mpfr_set_d(a, k / 2, ROUND);
    mpfr_set_d(half, x / 2, ROUND);
    mpfr_gamma_inc(upper, a, half, ROUND);
    mpfr_gamma(whole, a, ROUND);
    mpfr_div(upper, upper, whole, ROUND);
    mpfr_ui_sub(upper, 1, upper, ROUND);
    const double below = mpfr_get_d(upper, ROUND);
    mpfr_clears(a, half, upper, whole, (mpfr_ptr)NULL);
    return below;
}

/* P(standard normal < x). */
static double normal_below(double unused, double x)
{
    (void)unused;
    mpfr_t t;
    mpfr_init2(t, BITS);
    mpfr_set_d(t, 2, ROUND);
    mpfr_sqrt(t, t, ROUND);
    mpfr_d_div(t, -x, t, ROUND);
    mpfr_erfc(t, t, ROUND);
    const double below = mpfr_get_d(t, ROUND) / 2;
    mpfr_clear(t);
    return below;
}

static double invert(double (*below)(double, double), double parameter, double p, double low, double high)
{
    for (int i = 0; i < ITERATIONS; i++) {
        const double middle = (low + high) / 2;
        if (below(parameter, middle) < p)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Quantiles take long and are asked for again and again. */
static double quantile(double (*below)(double, double), double parameter, double p)
{
    static struct {
        double (*below)(double, double);
        double parameter, p, value;
    } known[64];
    int i = 0;
    while (i < 63 && known[i].below && (known[i].below != below || known[i].parameter != parameter || known[i].p != p))
        i++;
    if (known[i].below != below || known[i].parameter != parameter || known[i].p != p) {
        known[i].below = below;
        known[i].parameter = parameter;
        known[i].p = p;
        known[i].value = invert(below, parameter, p, 0, 200);
    }
    return known[i].value;
}

typedef struct oracle {
    double significant, contributing, bias;
    int general, general_contributing;
} oracle;

typedef struct numbers {
    mpfr_t x[MOST], y[MOST], z[MOST], t;
} numbers;

static void mean_of(mpfr_t out, mpfr_t *x, int n)
{
    mpfr_set_zero(out, 1);
    for (int i = 0; i < n; i++)
        mpfr_add(out, out, x[i], ROUND);
    mpfr_div_ui(out, out, (unsigned long)n, ROUND);
}

/* floor(log2|y|), 0 of 0. */
static long binade(mpfr_t y)
{
    return mpfr_zero_p(y) ? 0 : mpfr_get_exp(y) - 1;
}

/* Errors of the samples, each against its reference; how many. */
static int take_errors(numbers *e, const va_bits_options *o, const double *x, int n, double reference, long *unit)
{
    const bool pairs = o->reference == VA_BITS_PAIRS, halves = o->reference == VA_BITS_HALVES;
    const int errors = pairs || halves ? n / 2 : n;
    mpfr_t all[MOST];
    for (int i = 0; i < n; i++) {
        mpfr_init2(all[i], BITS);
        mpfr_set_d(all[i], x[i], ROUND);
    }
    for (int i = 0; i < errors; i++) {
        mpfr_set(e->x[i], all[pairs ? 2 * i : i], ROUND);
        if (o->reference == VA_BITS_MEAN)
            mean_of(e->y[i], all, n);
        else if (pairs || halves)
            mpfr_set(e->y[i], all[pairs ? 2 * i + 1 : i + errors], ROUND);
        else
            mpfr_set_d(e->y[i], reference, ROUND);
    }
    mean_of(e->t, e->y, errors);
    *unit = o->absolute ? binade(e->t) : 0;
    for (int i = 0; i < errors; i++) {
        mpfr_sub(e->z[i], e->x[i], e->y[i], ROUND);
        if (!o->absolute && !mpfr_zero_p(e->z[i]))
            mpfr_div(e->z[i], e->z[i], e->y[i], ROUND);
    }
    for (int i = 0; i < n; i++)
        mpfr_clear(all[i]);
    return errors;
}

/* log2 of the standard deviation, or of the largest error; `*is_zero`: both are 0. */
static double log2_sigma(numbers *e, int n, bool *is_zero)
{
    mpfr_t sum, largest, d;
    mpfr_inits2(BITS, sum, largest, d, (mpfr_ptr)NULL);
    mean_of(e->t, e->z, n);
    mpfr_set_zero(sum, 1);
    mpfr_set_zero(largest, 1);
    bool same = true;
    for (int i = 0; i < n; i++) {
        mpfr_sub(d, e->z[i], e->t, ROUND);
        mpfr_sqr(d, d, ROUND);
        mpfr_add(sum, sum, d, ROUND);
        mpfr_abs(d, e->z[i], ROUND);
        mpfr_max(largest, largest, d, ROUND);
        same = same && mpfr_equal_p(e->z[i], e->z[0]);
    }
    mpfr_div_ui(sum, sum, (unsigned long)n, ROUND);
    mpfr_sqrt(sum, sum, ROUND);
    if (same) /* the mean of equal numbers need not be them */
        mpfr_set(sum, largest, ROUND);
    *is_zero = mpfr_zero_p(sum);
    if (!*is_zero)
        mpfr_log2(sum, sum, ROUND);
    const double result = mpfr_get_d(sum, ROUND);
    mpfr_clears(sum, largest, d, (mpfr_ptr)NULL);
    return result;
}

/* The largest k in 0..m for which every error passes, and every smaller one down to `from`. */
static int largest_k(numbers *e, int n, int from, int digits, long unit, bool (*passes)(numbers *, int, long))
{
    for (int k = from; k <= digits; k++)
        for (int i = 0; i < n; i++)
            if (!passes(e, i, k - unit))
                return k > 0 ? k - 1 : 0;
    return digits;
}

/* |Z_i| <= 2^-k */
static bool is_within(numbers *e, int i, long k)
{
    mpfr_abs(e->t, e->z[i], ROUND);
    return mpfr_cmp_ui_2exp(e->t, 1, -k) <= 0;
}

/* floor(2^k |Z_i|) is even */
static bool is_bit_zero(numbers *e, int i, long k)
{
    mpfr_abs(e->t, e->z[i], ROUND);
    mpfr_mul_2si(e->t, e->t, k, ROUND);
    mpfr_floor(e->t, e->t);
    mpfr_div_2ui(e->t, e->t, 1, ROUND);
    return mpfr_integer_p(e->t);
}

static oracle ask(const va_bits_options *o, int digits, const double *x, int n, double reference)
{
    numbers e;
    long unit;
    bool is_zero;
    oracle out = {.bias = NAN};
    mpfr_init2(e.t, BITS);
    for (int i = 0; i < MOST; i++)
        mpfr_inits2(BITS, e.x[i], e.y[i], e.z[i], (mpfr_ptr)NULL);
    const int errors = take_errors(&e, o, x, n, reference, &unit);
    const double chi2 = quantile(chi2_below, errors - 1, (1 - o->confidence) / 2);
    const double normal = quantile(normal_below, 0, (o->significant + 1) / 2);
    const double spread = 0.5 * log2((errors - 1) / chi2), sigma = log2_sigma(&e, errors, &is_zero);
    const double bits = is_zero ? digits : (double)unit - sigma;
    out.significant = bits - (spread + log2(normal));
    out.contributing = bits - (spread + log2(o->contributing - 0.5) + log2(2 * sqrt(2 * M_PI)));
    out.general = largest_k(&e, errors, 0, digits, unit, is_within);
    out.general_contributing = largest_k(&e, errors, 1, digits, unit, is_bit_zero);
    if (o->reference != VA_BITS_MEAN) {
        mean_of(e.t, e.z, errors);
        mpfr_abs(e.t, e.t, ROUND);
        out.bias = digits;
        if (!mpfr_zero_p(e.t)) {
            mpfr_log2(e.t, e.t, ROUND);
            out.bias = fmin((double)unit - mpfr_get_d(e.t, ROUND), digits);
        }
    }
    for (int i = 0; i < MOST; i++)
        mpfr_clears(e.x[i], e.y[i], e.z[i], (mpfr_ptr)NULL);
    mpfr_clear(e.t);
    return out;
}

/* ---- agreement ---- */

static void assert_near(double value, double expected, int digits, bool flagged)
{
    if (isnan(expected)) {
        assert_true(isnan(value));
        return;
    }
    assert_int_equal(flagged, expected > digits);
    if (!(fabs(value - fmin(expected, digits)) <= WITHIN))
        fail_msg("%.15g is not %.15g", value, expected);
}

static void assert_agrees(const va_bits *b, const oracle *expected, int digits)
{
    assert_near(b->significant, expected->significant, digits, b->flags & VA_BITS_SATURATED);
    assert_near(b->contributing, expected->contributing, digits, b->contributing == digits);
    assert_int_equal(b->general, expected->general);
    assert_int_equal(b->general_contributing, expected->general_contributing);
    assert_int_equal((b->flags & VA_BITS_SATURATED_GENERAL) != 0, expected->general == digits);
    if (isnan(expected->bias))
        assert_true(isnan(b->bias));
    else
        assert_true(fabs(b->bias - expected->bias) <= WITHIN);
}

static void check(const va_bits_options *o, int digits, const double *x, int n, double reference)
{
    va_bits_rule rule;
    va_bits one, many;
    double scratch[5 * MOST];
    assert_int_equal(va_bits_rule_make(&rule, o, n, digits), VR_OK);
    const oracle expected = ask(o, digits, x, n, reference);
    va_bits_of(&one, &rule, x, 1, reference, scratch);
    assert_agrees(&one, &expected, digits);
    va_bits_of_block(&many, &rule, x, 1, &reference, 1, scratch);
    assert_agrees(&many, &expected, digits);
    assert_int_equal(one.flags, many.flags);
}

/* Against each kind of reference, with both errors. */
static void check_all(int digits, const double *x, int n, double reference)
{
    for (int kind = VA_BITS_MEAN; kind <= VA_BITS_HALVES; kind++)
        for (int absolute = 0; absolute < 2; absolute++) {
            va_bits_options o = VA_BITS_OPTIONS_INIT;
            o.reference = (va_bits_reference)kind;
            o.absolute = absolute;
            if (n >= va_bits_least_samples(o.reference))
                check(&o, digits, x, n, reference);
        }
}

static vr_random stream(uint64_t index)
{
    return vr_random_stream(vr_derive_seed(7, "test"), index);
}

static double uniform(vr_random *random, double low, double high)
{
    return low + (high - low) * vr_random_uniform(random);
}

static void test_spread(void **state)
{
    (void)state;
    static const int counts[] = {2, 3, 4, 5, 8, 17, 32, 64};
    for (uint64_t trial = 0; trial < 60; trial++) {
        vr_random random = stream(trial);
        double x[MOST];
        const int n = counts[trial % 8];
        const double middle = ldexp(uniform(&random, 1, 2), (int)(trial % 41) - 20) * (trial % 3 ? 1 : -1);
        const double spread = ldexp(fabs(middle), -(int)(trial % 30) - 2);
        for (int i = 0; i < n; i++)
            x[i] = middle + uniform(&random, -spread, spread);
        check_all(52, x, n, middle * (1 + ldexp(1, -(int)(trial % 20) - 3)));
        for (int i = 0; i < n; i++)
            x[i] = (float)x[i];
        check_all(23, x, n, (float)middle);
    }
}

/* Samples of both signs, whose mean may be far below them. */
static void test_mixed_signs(void **state)
{
    (void)state;
    for (uint64_t trial = 0; trial < 60; trial++) {
        vr_random random = stream(100 + trial);
        double x[MOST];
        const int n = 4 + 2 * (int)(trial % 15);
        for (int i = 0; i < n; i++)
            x[i] = uniform(&random, -4, 4);
        if (trial % 3 == 0) /* a mean of 1e-12 of them */
            for (int i = 0; i + 1 < n; i += 2)
                x[i + 1] = -x[i] * (1 + uniform(&random, 0, 1e-12));
        check_all(52, x, n, uniform(&random, -4, 4));
    }
}

/* Zeros among others, as behind a ReLU: their relative error is exactly 1. */
static void test_zeros(void **state)
{
    (void)state;
    for (uint64_t trial = 0; trial < 60; trial++) {
        vr_random random = stream(200 + trial);
        double x[MOST];
        const int n = 4 + 2 * (int)(trial % 15);
        for (int i = 0; i < n; i++)
            x[i] = i % 4 == 2 ? 0 : uniform(&random, 0.5, 1);
        const va_bits_options mean = VA_BITS_OPTIONS_INIT, exact = {VA_BITS_EXACT, false, 0.95, 0.51, 0.95};
        check(&mean, 52, x, n, 0);
        check(&exact, 52, x, n, uniform(&random, 0.01, 2));
        x[0] = 2 * (x[1] + x[3]); /* a reference of which this is a multiple */
        check(&exact, 52, x, n, x[1] + x[3]);
    }
}

/* Powers of two, where the general method's limits are met exactly. */
static void test_limits(void **state)
{
    (void)state;
    for (int k = 0; k <= 52; k++) {
        check_all(52, (double[]){1, 1, 1, 1 + ldexp(1, -k)}, 4, 1);
        check_all(23, (double[]){4, 4, 4 - ldexp(1, -k), 4 + ldexp(1, -k)}, 4, 4);
        check_all(10, (double[]){3, 3, 3 + ldexp(3, -k), 3}, 4, 3);
    }
    check_all(52, (double[]){1, 3}, 2, 1);
    check_all(52, (double[]){8, 16, 24, 40}, 4, 4); /* whole errors: their bits behind the point are zeros */
}

static void test_one_ulp(void **state)
{
    (void)state;
    static const double middles[] = {1, 1.3, 1.9999, 3, -0.7, 1e-20, 1e300, 5e-324 * 4};
    for (size_t i = 0; i < sizeof middles / sizeof *middles; i++) {
        const double m = middles[i];
        double x[8] = {m, m, m, nextafter(m, 2 * m), m, m, nextafter(m, 2 * m), m};
        check_all(52, x, 8, m);
        x[0] = nextafter(m, 0);
        if (m != 1) /* its lower neighbour is in another binade */
            check_all(52, x, 8, m);
        float f = (float)(m == 1e300 ? 1e30 : m == 5e-324 * 4 ? 1e-40 : m);
        for (int j = 0; j < 8; j++)
            x[j] = j == 3 ? nextafterf(f, 2 * f) : f;
        check_all(23, x, 8, f);
    }
}

static void test_constant(void **state)
{
    (void)state;
    check_all(52, (double[]){0.1, 0.1, 0.1, 0.1}, 4, 0.1);
    check_all(52, (double[]){0.1, 0.1, 0.1, 0.1}, 4, 0.1001);
    check_all(23, (double[]){-7, -7, -7, -7, -7, -7}, 6, -7);
    check_all(23, (double[]){0, 0, 0, 0}, 4, 0);
}

/* Beyond the range in which squares of samples can be summed. */
static void test_extreme(void **state)
{
    (void)state;
    check_all(52, (double[]){1e300, 1.1e300, 0.9e300, 1.05e300}, 4, 1e300);
    check_all(52, (double[]){1.7e308, 1.6e308, 1.7e308, 1.65e308}, 4, 1.7e308);
    check_all(52, (double[]){1e-300, 1.1e-300, 0.9e-300, 1.05e-300}, 4, 1e-300);
    check_all(52, (double[]){1.7e308, -1.6e308, 1.7e308, -1.65e308}, 4, 1.7e308);
    const va_bits_options absolute = {VA_BITS_EXACT, true, 0.95, 0.51, 0.95};
    check(&absolute, 52, (double[]){1.7e308, -1.6e308, 1.1e308, -1.65e308}, 4, 0); /* differences overflow */
}

static void test_probabilities(void **state)
{
    (void)state;
    const double x[6] = {1, 1.001, 0.9995, 1.0003, 0.99991, 1.0002};
    static const double levels[] = {0.5, 0.9, 0.95, 0.99, 0.999};
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 5; j++) {
            const va_bits_options o = {
                .significant = levels[i], .contributing = 0.501 + levels[j] / 3, .confidence = levels[j]};
            check(&o, 52, x, 6, 0);
        }
}

/* ---- by hand ---- */

static va_bits bits_of(va_bits_options o, int digits, const double *x, int n, double reference)
{
    va_bits_rule rule;
    va_bits out;
    double scratch[2 * MOST];
    assert_int_equal(va_bits_rule_make(&rule, &o, n, digits), VR_OK);
    va_bits_of(&out, &rule, x, 1, reference, scratch);
    return out;
}

/* n = 4, c = p = .95: chi2 = 0.21579528, F^-1(.975) = 1.95996398, so 0.5 log2(3/chi2) + log2(F^-1) = 1.89861 + 0.97083
 * = 2.86944. A bias of 2^-10 without spread: 10 - 2.87. One ulp on one of four: sigma = 2^-52 sqrt(3)/4, -log2 = 52 +
 * 1.20752. */
static void test_by_hand(void **state)
{
    (void)state;
    const va_bits_options exact = {VA_BITS_EXACT, false, 0.95, 0.51, 0.95};
    const double biased[4] = {1 + 0x1p-10, 1 + 0x1p-10, 1 + 0x1p-10, 1 + 0x1p-10};
    va_bits b = bits_of(exact, 52, biased, 4, 1);
    assert_true(fabs(b.significant - 7.13056) < 1e-5);
    assert_true(b.bias == 10 && b.general == 10);
    assert_int_equal(b.flags, VA_BITS_CONSTANT);
    b = bits_of(exact, 52, (double[]){1, 1, 1, 1 + 0x1p-52}, 4, 1);
    assert_true(fabs(b.significant - 50.33808) < 1e-5);
    assert_int_equal(b.flags & (VA_BITS_CONSTANT | VA_BITS_SATURATED), 0);
    b = bits_of(exact, 52, (double[]){biased[0], biased[0], biased[0], biased[0] + 0x1p-52}, 4, 1);
    assert_true(fabs(b.significant - 50.33808) < 1e-5);
    assert_true(fabs(b.bias - 10) < 1e-9 && b.general == 9);
    b = bits_of(exact, 23, (double[]){1, 1, 1, 1 + 0x1p-52}, 4, 1);
    assert_true(b.significant == 23 && b.flags & VA_BITS_SATURATED);
}

static void test_no_figure(void **state)
{
    (void)state;
    const va_bits_options mean = VA_BITS_OPTIONS_INIT, exact = {VA_BITS_EXACT, false, 0.95, 0.51, 0.95};
    va_bits_options absolute = exact, pairs = mean;
    absolute.absolute = true;
    pairs.reference = VA_BITS_PAIRS;
    const double inf = INFINITY;
    assert_int_equal(bits_of(mean, 23, (double[]){1, NAN, 1}, 3, 0).flags,
                     VA_BITS_NONFINITE | VA_BITS_NONFINITE_DIFFERS);
    assert_int_equal(bits_of(mean, 23, (double[]){inf, inf, inf}, 3, 0).flags, VA_BITS_NONFINITE);
    assert_int_equal(bits_of(mean, 23, (double[]){NAN, NAN, NAN}, 3, 0).flags, VA_BITS_NONFINITE);
    assert_int_equal(bits_of(mean, 23, (double[]){inf, -inf, inf}, 3, 0).flags,
                     VA_BITS_NONFINITE | VA_BITS_NONFINITE_DIFFERS);
    assert_int_equal(bits_of(exact, 23, (double[]){inf, inf, inf}, 3, 1).flags,
                     VA_BITS_NONFINITE | VA_BITS_NONFINITE_DIFFERS);
    assert_int_equal(bits_of(exact, 23, (double[]){1, 1, 2}, 3, inf).flags,
                     VA_BITS_NONFINITE | VA_BITS_NONFINITE_DIFFERS);
    assert_int_equal(bits_of(exact, 23, (double[]){1, 0, 2}, 3, 0).flags, VA_BITS_ZERO_REFERENCE);
    assert_int_equal(bits_of(mean, 23, (double[]){1, -1}, 2, 0).flags, VA_BITS_ZERO_REFERENCE);
    assert_int_equal(bits_of(pairs, 23, (double[]){1, 1, 1, 0}, 4, 0).flags, VA_BITS_ZERO_REFERENCE);
    assert_int_equal(bits_of(pairs, 23, (double[]){1, 1, 0, 0}, 4, 0).flags & VA_BITS_NO_FIGURE, 0);
    assert_int_equal(bits_of(pairs, 23, (double[]){1, 1, 1, 1, NAN}, 5, 0).flags & VA_BITS_NO_FIGURE, 0);
    assert_int_equal(bits_of(exact, 23, (double[]){0, 0, 0}, 3, 0).flags & VA_BITS_NO_FIGURE, 0);
    assert_int_equal(bits_of(absolute, 23, (double[]){1, 0, 2}, 3, 0).flags & VA_BITS_NO_FIGURE, 0);
    assert_int_equal(bits_of(absolute, 52, (double[]){1e300, 2e300, 3e300}, 3, 1e-280).flags, VA_BITS_ZERO_REFERENCE);
    const va_bits b = bits_of(mean, 23, (double[]){1, -1}, 2, 0);
    assert_true(isnan(b.significant) && isnan(b.contributing) && isnan(b.bias) && b.general == 0);
}

static void test_rule(void **state)
{
    (void)state;
    va_bits_rule rule;
    va_bits_options o = VA_BITS_OPTIONS_INIT;
    assert_int_equal(va_bits_rule_make(&rule, &o, 1, 23), VR_ERROR_ARGUMENT);
    assert_int_equal(va_bits_rule_make(&rule, &o, 2, 23), VR_OK);
    o.reference = VA_BITS_HALVES;
    assert_int_equal(va_bits_rule_make(&rule, &o, 3, 23), VR_ERROR_ARGUMENT);
    assert_int_equal(va_bits_rule_make(&rule, &o, 4, 23), VR_OK);
    assert_int_equal(rule.errors, 2);
    static const va_bits_options odd[] = {{VA_BITS_MEAN, false, 0, 0.51, 0.95},   {VA_BITS_MEAN, false, 1, 0.51, 0.95},
                                          {VA_BITS_MEAN, false, 0.95, 0.5, 0.95}, {VA_BITS_MEAN, false, 0.95, 1, 0.95},
                                          {VA_BITS_MEAN, false, 0.95, 0.51, 0},   {VA_BITS_MEAN, false, 0.95, 0.51, 1},
                                          {VA_BITS_MEAN, false, NAN, 0.51, 0.95}};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        assert_int_equal(va_bits_rule_make(&rule, &odd[i], 10, 23), VR_ERROR_ARGUMENT);
    const va_bits_options edge[] = {{VA_BITS_MEAN, false, 1e-300, 0.51, 0.95},
                                    {VA_BITS_MEAN, false, 0.95, 0.51, 1 - 0x1p-53}};
    assert_int_equal(va_bits_rule_make(&rule, &edge[0], 10, 23), VR_ERROR_ARGUMENT);
    assert_int_equal(va_bits_rule_make(&rule, &edge[1], 200000, 23), VR_ERROR_ARGUMENT); /* no quantile found */
}

static void test_digits(void **state)
{
    (void)state;
    static const struct {
        vr_dtype dtype;
        int digits;
    } types[] = {{VR_F64, 52}, {VR_F32, 23}, {VR_F16, 10}, {VR_BF16, 7}, {VR_F8E4M3, 3}, {VR_F8E5M2, 2}, {VR_I32, 0}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        assert_int_equal(va_bits_digits(types[i].dtype), types[i].digits);
}

static void test_bernoulli(void **state)
{
    (void)state;
    assert_true(va_bits_least_trials(0.99, 0.95) == 299);
    assert_true(va_bits_least_trials(0.95, 0.95) == 59);
    assert_true(va_bits_least_trials(0.9, 0.95) == 29);
    /* as many successes as are needed vouch for the probability, and one fewer does not */
    assert_true(va_bits_bernoulli(59, 59, 0.95) >= 0.95 && va_bits_bernoulli(58, 58, 0.95) < 0.95);
    /* 9 of 10: 11/14 - 1.6448536 sqrt(11 * 3 / 14^3) = 0.785714 - 0.180382 */
    assert_true(fabs(va_bits_bernoulli(9, 10, 0.95) - 0.605333) < 1e-6);
    assert_true(va_bits_bernoulli(0, 10, 0.95) >= 0 && va_bits_bernoulli(0, 10, 0.95) < 0.1);
}

static void test_within(void **state)
{
    (void)state;
    const va_bits_options exact = {VA_BITS_EXACT, false, 0.95, 0.51, 0.95};
    va_bits_rule rule;
    double scratch[8];
    const double x[4] = {1, 1 + 0x1p-4, 1 - 0x1p-5, 1 + 0x1p-3};
    assert_int_equal(va_bits_rule_make(&rule, &exact, 4, 23), VR_OK);
    assert_int_equal(va_bits_within(&rule, x, 1, 1, 3, scratch), 4);
    assert_int_equal(va_bits_within(&rule, x, 1, 1, 4, scratch), 3);
    assert_int_equal(va_bits_within(&rule, x, 1, 1, 6, scratch), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spread),        cmocka_unit_test(test_mixed_signs), cmocka_unit_test(test_zeros),
        cmocka_unit_test(test_limits),        cmocka_unit_test(test_one_ulp),     cmocka_unit_test(test_constant),
        cmocka_unit_test(test_extreme),       cmocka_unit_test(test_by_hand),     cmocka_unit_test(test_no_figure),
        cmocka_unit_test(test_probabilities), cmocka_unit_test(test_rule),        cmocka_unit_test(test_digits),
        cmocka_unit_test(test_bernoulli),     cmocka_unit_test(test_within),

    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
