#include "check_narrow.h"

#include "operations.h"

#include <math.h>
#include <mpfr.h>
#include <stdio.h>
#include <string.h>
#include <varanalyze/random.h>

/* What sr did against what it had to do: how often it went up, the expected number, and its variance. */
typedef struct tally {
    double ups, expected, variance;
} tally;

/* How numbers of a type are rounded. */
typedef struct format {
    int bits, emin, emax; /* as MPFR has them: of 0.1xxx 2^e */
} format;

static format format_of(int type, int t)
{
    format f = type == VR_F16   ? (format){11, -23, 16}
               : type == VR_F32 ? (format){24, -148, 128}
                                : (format){53, -1073, 1024};
    f.bits = t > 0 && t < f.bits ? t : f.bits;
    return f;
}

static void widest_range(void)
{
    mpfr_set_emin(mpfr_get_emin_min());
    mpfr_set_emax(mpfr_get_emax_max());
}

/* An exact number, of more than enough bits, rounded to a format once. A number of t bits keeps its place in the
 * subnormal range: there it has as many as the type's grid allows, and not more than t. */
static double rounded(mpfr_t exact, format f, mpfr_rnd_t to)
{
    mpfr_t r;
    if (mpfr_zero_p(exact) || !mpfr_number_p(exact))
        return mpfr_get_d(exact, MPFR_RNDN);
    const long above = mpfr_get_exp(exact) - f.emin + 1; /* bits between the leading one and the least number's */
    if (above < 1) { /* less than the least number, of which it is more, or less, than half */
        mpfr_t least;
        mpfr_init2(least, 53);
        mpfr_set_ui_2exp(least, 1, f.emin - 1, MPFR_RNDN);
        const double size = mpfr_get_d(least, MPFR_RNDN), sign = mpfr_signbit(exact) ? -1 : 1;
        mpfr_div_2ui(least, least, 1, MPFR_RNDN);
        const bool up = to == MPFR_RNDN ? mpfr_cmpabs(exact, least) > 0 : (to == MPFR_RNDU) == (sign > 0);
        mpfr_clear(least);
        return copysign(up && to != MPFR_RNDZ ? size : 0, sign);
    }
    mpfr_init2(r, above < f.bits ? above : f.bits); /* MPFR 4 has precision 1 */
    mpfr_set(r, exact, to);
    const double sign = mpfr_signbit(r) ? -1 : 1;
    double out = mpfr_get_d(r, MPFR_RNDN);
    if (mpfr_get_exp(r) > f.emax) {
        const bool inward = to == MPFR_RNDZ || (to == MPFR_RNDU && sign < 0) || (to == MPFR_RNDD && sign > 0);
        out = inward ? sign * (ldexp(1, f.emax) - ldexp(1, f.emax - f.bits)) : sign * INFINITY;
    }
    mpfr_clear(r);
    return out;
}

static bool is_same(double x, double y)
{
    return (isnan(x) && isnan(y)) || (x == y && signbit(x) == signbit(y));
}

/* The number of the format next to x, away from zero or toward it. */
static double neighbour(double x, format f, bool out)
{
    if (x == 0)
        return ldexp(1, f.emin - 1);
    int exponent;
    const double size = frexp(fabs(x), &exponent);
    if (!out && size == 0.5)
        exponent--;
    const int last = exponent - f.bits, least = f.emin - 1;
    const double step = ldexp(1, last < least ? least : last);
    return copysign(out ? fabs(x) + step : fabs(x) - step, x);
}

static bool is_exact(mpfr_t exact, double x)
{
    return mpfr_number_p(exact) && mpfr_cmp_d(exact, x) == 0;
}

/* sr's probability of the upper neighbour. */
static void note_probability(tally *t, mpfr_t exact, double low, double high, double got)
{
    mpfr_t share;
    mpfr_init2(share, 53);
    mpfr_sub_d(share, exact, low, MPFR_RNDN);
    const double p = mpfr_get_d(share, MPFR_RNDN) / (high - low);
    mpfr_clear(share);
    t->ups += got == high;
    t->expected += p;
    t->variance += p * (1 - p);
}

/* Whether `got` is what an exact result may become. `stays`: exact ones do, in ud as well. */
static bool is_right(const vr_rounding *r, mpfr_t exact, format f, bool stays, double got, tally *t)
{
    const double nearest = rounded(exact, f, MPFR_RNDN), low = rounded(exact, f, MPFR_RNDD),
                 high = rounded(exact, f, MPFR_RNDU);
    if (!mpfr_number_p(exact) || (stays && is_exact(exact, nearest)))
        return is_same(got, nearest);
    switch (r->mode) {
    case VR_ROUND_NEAREST:
        return is_same(got, nearest);
    case VR_ROUND_UP:
        return is_same(got, high);
    case VR_ROUND_DOWN:
        return is_same(got, low);
    case VR_ROUND_ZERO:
        return is_same(got, mpfr_signbit(exact) ? high : low);
    case VR_ROUND_UD:
        if (isinf(nearest))
            return got == nearest;
        if (nearest == 0)
            return fabs(got) == neighbour(0, f, true);
        if (fabs(neighbour(nearest, f, true)) >= ldexp(1, f.emax))
            return got == neighbour(nearest, f, false);
        return got == neighbour(nearest, f, true) || got == neighbour(nearest, f, false);
    case VR_ROUND_SR:
        if (isinf(nearest))
            return got == nearest;
        if (got == low && low == high)
            return true;
        if (isfinite(low) && isfinite(high) && low != high)
            note_probability(t, exact, low, high, got);
        return got == low || got == high;
    default: /* half a unit of the t-th bit, and the rounding */
        return isinf(nearest) || isinf(got) || fabs(got - nearest) <= 2 * fabs(neighbour(nearest, f, true) - nearest);
    }
}

/* Of n independent draws the number that went up has this mean and variance; six deviations are less likely than 2 in
 * 10^9 (normal approximation), so of the hundreds of seeds and functions tried none should show them. */
static bool is_fair(const tally *t, const char *name)
{
    if (fabs(t->ups - t->expected) <= 6 * sqrt(t->variance) + 1)
        return true;
    printf("%s: %g of the results went up, not %g +- %g\n", name, t->ups, t->expected, sqrt(t->variance));
    return false;
}

/* ---- half ---- */

static double from_half(uint16_t code)
{
    const double sign = code >> 15 ? -1 : 1;
    const int exponent = code >> 10 & 31, fraction = code & 1023;
    if (exponent == 31)
        return fraction ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}

static void compute(mpfr_t r, vr_operation op, const double x[3])
{
    mpfr_t a, b, c;
    mpfr_inits2(53, a, b, c, (mpfr_ptr)0);
    mpfr_set_d(a, x[0], MPFR_RNDN);
    mpfr_set_d(b, x[1], MPFR_RNDN);
    mpfr_set_d(c, x[2], MPFR_RNDN);
    switch (op) {
    case VR_ADD:
        mpfr_add(r, a, b, MPFR_RNDN);
        break;
    case VR_SUB:
        mpfr_sub(r, a, b, MPFR_RNDN);
        break;
    case VR_MUL:
        mpfr_mul(r, a, b, MPFR_RNDN);
        break;
    case VR_DIV:
        mpfr_div(r, a, b, MPFR_RNDN);
        break;
    case VR_SQRT:
        mpfr_sqrt(r, a, MPFR_RNDN);
        break;
    default:
        mpfr_fma(r, a, b, c, MPFR_RNDN);
    }
    mpfr_clears(a, b, c, (mpfr_ptr)0);
}

/* A zero that operands of different signs add up to is -0 in mode down. */
static bool is_zero_sum(const vr_rounding *r, mpfr_t exact, double got)
{
    return r->mode == VR_ROUND_DOWN && mpfr_zero_p(exact) && got == 0;
}

static bool check_half(const half_entry *entry, const vr_rounding *r, const uint16_t codes[3], uint16_t got, tally *t)
{
    const double x[3] = {from_half(codes[0]), from_half(codes[1]), from_half(codes[2])};
    mpfr_t exact;
    mpfr_init2(exact, 200); /* quotients and roots of 11 bits are never so near to where rounding changes */
    compute(exact, (vr_operation)entry->op, x);
    const double value = from_half(got);
    const int operands = entry->op == VR_SQRT ? 1 : entry->op == VR_FMA ? 3 : 2;
    bool is_plain = false; /* an infinite operand: the plain operation's result in every mode */
    for (int i = 0; i < operands; i++)
        is_plain |= isinf(x[i]) != 0;
    const bool right =
        is_plain ? is_same(value, mpfr_get_d(exact, MPFR_RNDN))
                 : is_right(r, exact, format_of(VR_F16, r->precision), false, value, t) || is_zero_sum(r, exact, value);
    if (!right)
        mpfr_printf("%s: %s(%a, %a, %a) = %a, of %.20Rg\n", vr_rounding_name(r->mode), entry->name, x[0], x[1], x[2],
                    value, exact);
    mpfr_clear(exact);
    return right;
}

unsigned check_halves(const vr_rounding *r, size_t count)
{
    static uint16_t operands[3][ROUND_TO], out[ROUND_TO];
    unsigned wrong = 0;
    widest_range();
    for (size_t e = 0; e < half_entry_count; e++) {
        vr_random random = vr_random_stream(vr_derive_seed(1, "halves"), e);
        tally t = {0}, later = {0}; /* the same operands have the same word, and half has few: only the first count */
        unsigned here = 0;
        for (size_t done = 0; done < count && here < 5; done += ROUND_TO) {
            for (size_t i = 0; i < 3 * ROUND_TO; i++)
                operands[i / ROUND_TO][i % ROUND_TO] = (uint16_t)vr_random_u32(&random);
            half_entries[e].function(operands[0], operands[1], operands[2], out, ROUND_TO);
            for (size_t i = 0; i < ROUND_TO && here < 5; i++)
                here +=
                    !check_half(&half_entries[e], r, (const uint16_t[]){operands[0][i], operands[1][i], operands[2][i]},
                                out[i], done == 0 ? &t : &later);
        }
        wrong += here > 0 || !is_fair(&t, half_entries[e].name);
    }
    return wrong;
}

/* ---- conversions and comparisons ---- */

typedef union number {
    double f64;
    float f32;
    int64_t i64;
    uint64_t u64;
    int32_t i32;
} number;

static size_t size_of(int type)
{
    return type == VR_F32 || type == VR_I32 ? 4 : type == VR_F16 ? 2 : 8;
}

static double draw_value(vr_random *random, int to)
{
    const double sign = vr_random_u32(random) & 1 ? -1 : 1;
    switch (vr_random_u32(random) % 6) {
    case 0:
        return vr_value_f64(vr_random_u64(random));
    case 1:
        return sign * (double)(vr_random_u32(random) % 4096);
    case 2: /* near the least numbers of the type */
        return sign *
               ldexp(1 + vr_random_uniform(random), format_of(to, 0).emin + (int)(vr_random_u32(random) % 6) - 3);
    case 3: /* and near the largest */
        return sign * ldexp(2 - ldexp(vr_random_uniform(random), -10), format_of(to, 0).emax - 1);
    case 4:
        return sign * (vr_random_u32(random) & 1 ? 0 : INFINITY);
    default:
        return sign * ldexp(1 + vr_random_uniform(random), (int)(vr_random_u32(random) % 24) - 12);
    }
}

static number draw_number(vr_random *random, int from, int to)
{
    number x = {0};
    const uint64_t bits = vr_random_u64(random) >> vr_random_u32(random) % 64;
    if (from == VR_F64)
        x.f64 = draw_value(random, to);
    else if (from == VR_F32)
        x.f32 = (float)draw_value(random, to);
    else if (from == VR_I32)
        x.i32 = (int32_t)(bits & 1 ? -(int64_t)(bits >> 33) : (int64_t)(bits >> 33));
    else if (from == VR_I64)
        x.i64 = bits & 1 ? -(int64_t)(bits >> 1) : (int64_t)(bits >> 1);
    else
        x.u64 = bits;
    return x;
}

static void set_exact(mpfr_t exact, int from, number x)
{
    mpfr_init2(exact, 64);
    if (from == VR_F64 || from == VR_F32)
        mpfr_set_d(exact, from == VR_F64 ? x.f64 : (double)x.f32, MPFR_RNDN);
    else if (from == VR_U64)
        mpfr_set_uj(exact, x.u64, MPFR_RNDN);
    else
        mpfr_set_sj(exact, from == VR_I64 ? x.i64 : x.i32, MPFR_RNDN);
}

static double value_of(int type, const void *values, size_t i)
{
    return type == VR_F64   ? ((const double *)values)[i]
           : type == VR_F32 ? (double)((const float *)values)[i]
                            : from_half(((const uint16_t *)values)[i]);
}

/* sr from f32 is the library's own, to the word. */
static bool is_of_library(const conversion_entry *entry, const vr_rounding *r, number x, double got)
{
    if (entry->from != VR_F32 || r->mode != VR_ROUND_SR || r->precision != 0)
        return true;
    const uint32_t word = vr_narrow_word_f32(VR_F16, x.f32, r->key);
    return is_same(got, from_half((uint16_t)vr_sr_narrow_f32(VR_F16, x.f32, word)));
}

static bool check_conversion(const conversion_entry *entry, const vr_rounding *r, number x, double got, tally *t)
{
    mpfr_t exact;
    set_exact(exact, entry->from, x);
    if (isnan(mpfr_get_d(exact, MPFR_RNDN)) && isnan(got)) {
        mpfr_clear(exact);
        return true;
    }
    const bool right =
        is_right(r, exact, format_of(entry->to, r->precision), true, got, t) && is_of_library(entry, r, x, got);
    if (!right)
        mpfr_printf("%s: %s(%.20Rg) = %a\n", vr_rounding_name(r->mode), entry->name, exact, got);
    mpfr_clear(exact);
    return right;
}

/* x as a comparison may take it: the least and the largest. */
static void range_of(const vr_rounding *r, int type, number x, double range[2])
{
    const double value = type == VR_F64 ? x.f64 : (double)x.f32;
    const format own = format_of(type, 0), f = format_of(type, r->precision);
    mpfr_t exact;
    range[0] = range[1] = value;
    if (f.bits == own.bits || isnan(value))
        return;
    set_exact(exact, type, x);
    const double low = rounded(exact, f, MPFR_RNDD), high = rounded(exact, f, MPFR_RNDU),
                 nearest = rounded(exact, f, MPFR_RNDN);
    if (r->mode == VR_ROUND_NEAREST || (isinf(nearest) && (r->mode == VR_ROUND_SR || r->mode == VR_ROUND_UD)))
        range[0] = range[1] = nearest;
    else if (r->mode == VR_ROUND_UP || r->mode == VR_ROUND_DOWN)
        range[0] = range[1] = r->mode == VR_ROUND_UP ? high : low;
    else if (r->mode == VR_ROUND_ZERO)
        range[0] = range[1] = value < 0 ? high : low;
    else if (r->mode == VR_ROUND_SR) {
        range[0] = low;
        range[1] = high;
    } else if (r->mode == VR_ROUND_UD && low != high) {
        range[0] = nearest - 2 * fabs(neighbour(nearest, f, true) - nearest);
        range[1] = nearest + 2 * fabs(neighbour(nearest, f, true) - nearest);
    } else if (r->mode > VR_ROUND_RR) {
        range[0] = -INFINITY;
        range[1] = INFINITY;
    }
    mpfr_clear(exact);
}

static bool check_comparison(const conversion_entry *entry, const vr_rounding *r, number x, number y, int got)
{
    double a[2], b[2];
    range_of(r, entry->from, x, a);
    range_of(r, entry->from, y, b);
    if (!conversion_has_nan && (isnan(a[0]) || isnan(b[0])))
        return true;
    const bool right = got < 0   ? a[0] < b[1]
                       : got > 0 ? a[1] > b[0]
                                 : (a[0] <= b[1] && b[0] <= a[1]) || isnan(a[0]) || isnan(b[0]);
    if (!right)
        printf("%s: %s([%a, %a], [%a, %a]) = %d\n", vr_rounding_name(r->mode), entry->name, a[0], a[1], b[0], b[1],
               got);
    return right;
}

static bool check_at(const conversion_entry *entry, const vr_rounding *r, const void *a, const void *b, const void *out,
                     size_t i, tally *t)
{
    const size_t size = size_of(entry->from);
    number x = {0}, y = {0};
    memcpy(&x, (const char *)a + i * size, size);
    memcpy(&y, (const char *)b + i * size, size);
    return entry->compares ? check_comparison(entry, r, x, y, ((const int *)out)[i])
                           : check_conversion(entry, r, x, value_of(entry->to, out, i), t);
}

unsigned check_conversions(const vr_rounding *r, size_t count)
{
    static number a[ROUND_TO], b[ROUND_TO], out[ROUND_TO];
    unsigned wrong = 0;
    widest_range();
    for (size_t e = 0; e < conversion_entry_count; e++) {
        const conversion_entry *entry = &conversion_entries[e];
        const size_t size = size_of(entry->from);
        vr_random random = vr_random_stream(vr_derive_seed(1, "conversions"), e);
        tally t = {0};
        unsigned here = 0;
        for (size_t done = 0; done < count && here < 5; done += ROUND_TO) {
            for (size_t i = 0; i < ROUND_TO; i++) {
                const number x = draw_number(&random, entry->from, entry->to);
                const number y = i % 3 ? draw_number(&random, entry->from, entry->to) : x;
                memcpy((char *)a + i * size, &x, size);
                memcpy((char *)b + i * size, &y, size);
            }
            entry->function(a, b, NULL, out, ROUND_TO);
            for (size_t i = 0; i < ROUND_TO && here < 5; i++)
                here += !check_at(entry, r, a, b, out, i, &t);
        }
        wrong += here > 0 || !is_fair(&t, entry->name);
    }
    return wrong;
}
