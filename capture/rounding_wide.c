/* f64 operations over the whole range and for every mode and precision: operands are brought near 1, the result is an
 * unevaluated sum of two doubles there, and is rounded to the grid that the type has at its true place. */
#define VR_ROUNDING_STRICT
#include <varanalyze/rounding.h>

#include <math.h>

#define FAR 400 /* powers of two apart: what is smaller only shows in which side of a number r lies */

/* (h + l) 2^k; |l| is at most half an ulp of h. */
typedef struct scaled {
    double h, l;
    int k;
} scaled;

static uint64_t further_word(uint64_t word, unsigned index)
{
    return vr_mix64(word + index * VR_PAIR_STEP);
}

/* 2^(e - t + 1) xi */
static double noise(double x, int t, uint64_t word)
{
    const vr_grid grid = {t, 1, 0};
    const double xi = ((double)(int64_t)(word >> 11 << 1 | 1) - 0x1p53) * 0x1p-54;
    return vr_quantum(vr_bits_f64(x), grid) * xi;
}

/* A sum whose l may have grown beyond half an ulp, which rounding an l that is right does not make it. */
static scaled settled(double h, double l, int k)
{
    const vr_grid grid = {VR_T_F64, 1, 0};
    if (2 * fabs(l) <= vr_quantum(vr_bits_f64(h), grid))
        return (scaled){h, l, k};
    const vr_exact sum = vr_two_sum(h, l);
    return (scaled){sum.s, sum.e, k};
}

static scaled add_noise(scaled x, int t, uint64_t word)
{
    return settled(x.h, x.l + noise(x.h, t, word), x.k);
}

static scaled normalized(double x)
{
    int k;
    const double h = frexp(x, &k);
    return (scaled){2 * h, 0, k - 1};
}

static scaled multiply(scaled x, scaled y)
{
    const double h = x.h * y.h;
    const double l = fma(x.h, y.h, -h) + (x.h * y.l + x.l * y.h + x.l * y.l);
    return settled(h, l, x.k + y.k);
}

static scaled divide(scaled x, scaled y)
{
    const double h = x.h / y.h;
    const double remainder = fma(-h, y.h, x.h) + (x.l - h * y.l);
    return settled(h, remainder / y.h, x.k - y.k);
}

static scaled square_root(scaled x)
{
    if (x.k % 2) {
        x.h *= 2;
        x.l *= 2;
        x.k--;
    }
    const double h = sqrt(x.h);
    const double remainder = fma(-h, h, x.h) + x.l;
    return settled(h, h > 0 ? remainder / (2 * h) : 0, x.k / 2);
}

static scaled shifted(scaled x, int k)
{
    const int by = x.k - k < -FAR ? -FAR : x.k - k;
    return (scaled){ldexp(x.h, by), ldexp(x.l, by), k};
}

/* h is nearest to x + y exactly when neither or only x has an l. */
static scaled add(scaled x, scaled y)
{
    if (x.h == 0 || y.h == 0)
        return x.h == 0 ? y : x;
    const int k = x.k > y.k ? x.k : y.k;
    const scaled a = shifted(x, k), b = shifted(y, k);
    const vr_exact low = vr_two_sum(b.h, a.l), high = vr_two_sum(a.h, low.s);
    const vr_exact middle = vr_two_sum(high.e, low.e + b.l), top = vr_two_sum(high.s, middle.s);
    vr_exact rest = vr_two_sum(top.e, middle.e);
    double h = top.s;
    const vr_grid grid = {VR_T_F64, 1, 0};
    if (2 * fabs(rest.s) == vr_quantum(vr_bits_f64(h), grid) && rest.e * rest.s > 0) { /* just past a tie */
        h += 2 * rest.s;
        rest.s = -rest.s;
    }
    return (scaled){h, rest.s + rest.e, k};
}

static scaled exact(vr_operation op, scaled a, scaled b, scaled c)
{
    switch (op) {
    case VR_ADD:
        return add(a, b);
    case VR_SUB:
        return add(a, (scaled){-b.h, -b.l, b.k});
    case VR_MUL:
        return multiply(a, b);
    case VR_DIV:
        return divide(a, b);
    case VR_SQRT:
        return square_root(a);
    case VR_FMA:
        return add(multiply(a, b), c);
    }
    __builtin_unreachable();
}

static double plain(vr_operation op, double a, double b, double c)
{
    switch (op) {
    case VR_ADD:
        return a + b;
    case VR_SUB:
        return a - b;
    case VR_MUL:
        return a * b;
    case VR_DIV:
        return a / b;
    case VR_SQRT:
        return sqrt(a);
    case VR_FMA:
        return fma(a, b, c);
    }
    __builtin_unreachable();
}

/* Whether r is a number, and not one of the special cases of IEEE 754. */
static bool is_regular(vr_operation op, double a, double b, double c)
{
    if (!isfinite(a) || !isfinite(b) || !isfinite(c))
        return false;
    return op == VR_DIV ? b != 0 : op != VR_SQRT || a >= 0;
}

/* The sum of these, which is 0, has the sign of its terms where they agree. */
static double exact_zero(vr_rounding_mode mode, vr_operation op, double a, double b, double c, uint64_t word)
{
    const double zero = plain(op, a, b, c);
    if (mode == VR_ROUND_UD)
        return word >> 63 ? 0x1p-1074 : -0x1p-1074;
    if (mode != VR_ROUND_DOWN || (op != VR_ADD && op != VR_SUB && op != VR_FMA))
        return zero;
    const bool first = op == VR_FMA ? signbit(a) != signbit(b) : signbit(a) != 0;
    const bool second = op == VR_FMA ? signbit(c) != 0 : (signbit(b) != 0) != (op == VR_SUB);
    return first || second ? -0.0 : 0.0;
}

/* Beyond the range any number is as good as another, so that k need not go far. */
static double choose(vr_rounding_mode mode, scaled x, int t, uint64_t word)
{
    const int k = x.k < -1200 ? -1200 : x.k > 1030 ? 1030 : x.k, least = 1023 - 1074 - k;
    const vr_grid grid = {t, least < 1 ? 1 : least, ldexp(1, 1024 - k)};
    vr_exact r = {x.h, x.l};
    r = vr_to_grid(r, grid);
    if (fabs(r.s) >= grid.limit) {
        r.s = copysign(grid.limit, r.s);
        r.e = -copysign(1, r.s);
    }
    const double draw = ((double)(word >> 12) + 1) * VR_2_M52;
    return ldexp(vr_choose(mode, r, grid, draw, word >> 63 != 0), k);
}

/* Whether x is a number of t bits. */
static bool is_representable(scaled x, int t)
{
    const vr_grid grid = {t, 1, INFINITY};
    const vr_exact r = {x.h, x.l};
    return x.l == 0 && vr_to_grid(r, grid).s == x.h;
}

double vr_core_wide_f64(vr_rounding_mode mode, vr_operation op, int t, double a, double b, double c, uint64_t word)
{
    const int bits = t <= 0 || t > VR_T_F64 ? VR_T_F64 : t;
    b = op == VR_SQRT ? 0 : b;
    c = op == VR_FMA ? c : 0;
    if (!is_regular(op, a, b, c))
        return plain(op, a, b, c);
    scaled x = normalized(a), y = normalized(b), z = normalized(c);
    if (mode == VR_ROUND_PB || mode == VR_ROUND_MCA) {
        x = x.h != 0 ? add_noise(x, bits, further_word(word, 1)) : x;
        y = y.h != 0 ? add_noise(y, bits, further_word(word, 2)) : y;
        z = z.h != 0 ? add_noise(z, bits, further_word(word, 3)) : z;
    }
    scaled r = exact(op, x, y, z);
    if (r.h == 0)
        return exact_zero(mode, op, a, b, c, word);
    if (!vr_is_monte_carlo(mode))
        return choose(mode, r, bits, word);
    if (mode == VR_ROUND_MCA || (mode == VR_ROUND_RR && !is_representable(r, bits)))
        r = add_noise(r, bits, further_word(word, 0));
    return choose(VR_ROUND_NEAREST, r, VR_T_F64, word);
}
