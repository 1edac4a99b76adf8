/* The operations that rounding.h does not have: conversions, numbers that are to be compared, and arithmetic in types
 * narrower than f32. All is an exact result, as a sum of two f64, that is rounded once to the type's own numbers. */
#define vr_core_wide_f64 vrcc_wide_f64
#define VR_ROUNDING_STRICT
#include "settings.h"

#include <math.h>

/* The numbers of t bits of a type; t 0, or more than it has: its own. */
static vr_grid grid_of(vr_dtype type, int t)
{
    static const vr_grid grids[] = {[VR_F64] = {53, 1, INFINITY}, /* its subnormal numbers: see rounded() */
                                    [VR_F32] = {24, 1023 - 149, 0x1p128},
                                    [VR_F16] = {11, 1023 - 24, 0x1p16},
                                    [VR_BF16] = {8, 1023 - 133, 0x1p128}};
    vr_grid grid = grids[type];
    grid.t = t > 0 && t < grid.t ? t : grid.t;
    return grid;
}

/* The number of the grid that is nearest to r, and the rest. One beyond the range counts as the first that is. */
static vr_exact nearest(vr_exact r, vr_grid grid)
{
    const vr_exact near = vr_to_grid(r, grid);
    if (fabs(near.s) < grid.limit)
        return near;
    return (vr_exact){copysign(grid.limit, near.s), -copysign(1, near.s)};
}

static double on_grid(vr_rounding_mode mode, vr_exact r, vr_grid grid, uint32_t word)
{
    const double draw = ((double)(int32_t)(word >> 1) + 1) * VR_2_M31,
                 value = vr_choose(mode, nearest(r, grid), grid, draw, (word >> 31) != 0);
    return fabs(value) < grid.limit ? value : copysign(INFINITY, value);
}

/* ---- conversions ---- */

/* r, finite, in a type. What is a number of t bits stays as it is in every mode. An operand has no noise of its own: in
 * Monte Carlo arithmetic pb is to nearest, mca is rr. */
static double converted(const vr_rounding *rounding, vr_dtype to, vr_exact r, uint32_t word)
{
    const vr_grid grid = grid_of(to, rounding->precision), own = grid_of(to, 0);
    const vr_exact near = nearest(r, grid);
    if (near.e == 0)
        return near.s;
    if (rounding->mode < VR_ROUND_RR)
        return on_grid(rounding->mode, r, grid, word);
    if (rounding->mode == VR_ROUND_PB)
        return on_grid(VR_ROUND_NEAREST, r, own, word);
    return on_grid(VR_ROUND_NEAREST, (vr_exact){vr_inexact(r.s, grid.t, word), 0}, own, word);
}

/* The word of a conversion; from f32, the library's. */
static uint32_t conversion_word(const vr_rounding *r, vr_dtype from, vr_dtype to, uint64_t bits)
{
    if (!vr_rounding_is_random(r->mode))
        return 0;
    if (!r->operands) {
        vr_stream *stream = vrcc_stream();
        return vr_stream_word(stream->key, stream->position++);
    }
    const unsigned op = VR_OPERATIONS + (unsigned)to;
    if (from == VR_F32)
        return vr_narrow_word_f32(to, (float)vr_value_f64(bits), r->key);
    return (uint32_t)(vr_finish64(vr_operands64(op, bits, 0, 0), vr_operand_keys(op, r->key)) >> 32);
}

/* The library's own conversion, of f32 by sr at full precision. */
static double narrowed_f32(vr_dtype to, float x, uint32_t word)
{
    const uint32_t code = vr_sr_narrow_f32(to, x, word);
    const uint32_t size = code & 0x7fff;
    const float sign = code >> 15 ? -1 : 1;
    if (to == VR_BF16)
        return vr_value_f32(code << 16);
    if (size >= 0x7c00)
        return size > 0x7c00 ? NAN : sign * INFINITY;
    return sign * (size < 0x400 ? size * 0x1p-24f : vr_value_f32((size << 13) + (UINT32_C(112) << 23)));
}

double vrcc_convert(vrcc_place *place, int from, int to, double x)
{
    const vr_rounding r = vrcc_rounding_at(place, VRCC_COUNT_CONVERSION);
    if (!isfinite(x))
        return x;
    const uint32_t word = conversion_word(&r, (vr_dtype)from, (vr_dtype)to, vr_bits_f64(x));
    if (from == VR_F32 && r.mode == VR_ROUND_SR && (r.precision == 0 || r.precision >= grid_of((vr_dtype)to, 0).t))
        return narrowed_f32((vr_dtype)to, (float)x, word);
    return converted(&r, (vr_dtype)to, (vr_exact){x, 0}, word);
}

/* An integer is a sum of two numbers, neither of which is near the ends of f64's range. */
double vrcc_convert_integer(vrcc_place *place, int is_unsigned, int to, int64_t x)
{
    const vr_rounding r = vrcc_rounding_at(place, VRCC_COUNT_CONVERSION);
    const double upper = is_unsigned ? (double)(uint32_t)((uint64_t)x >> 32) : (double)(int32_t)(x >> 32);
    const vr_exact sum = vr_two_sum(upper * 0x1p32, (double)(uint32_t)x);
    if (sum.s == 0)
        return 0;
    return converted(&r, (vr_dtype)to, sum, conversion_word(&r, VR_I64, (vr_dtype)to, (uint64_t)x));
}

/* ---- comparisons ---- */

/* A number of its type at fewer bits. In pb and mca operands are inexact, in rr they are not. */
double vrcc_compared(vrcc_place *place, int type, int counted, double x)
{
    const vr_rounding r =
        counted ? vrcc_rounding_at(place, VRCC_COUNT_COMPARISON) : vrcc_rounding_at(place, VRCC_COUNT_NONE);
    const vr_grid own = grid_of((vr_dtype)type, 0), grid = grid_of((vr_dtype)type, r.precision);
    if (grid.t == own.t || r.mode == VR_ROUND_RR || !isfinite(x) || x == 0)
        return x;
    const unsigned op = VR_OPERATIONS + VR_DTYPE_LAST + 1;
    uint64_t word = 0;
    if (vr_rounding_is_random(r.mode)) {
        vr_stream *stream = r.operands ? NULL : vrcc_stream();
        word = stream ? vr_stream_word64(stream->key, stream->position++)
                      : vr_finish64(vr_operands64(op, vr_bits_f64(x), 0, 0), vr_operand_keys(op, r.key));
    }
    if (r.mode > VR_ROUND_RR)
        return on_grid(VR_ROUND_NEAREST, (vr_exact){vr_inexact(x, grid.t, (uint32_t)word), 0}, own, 0);
    if (type == VR_F64) { /* its range has ends of its own */
        const bool is_exact = vr_core_f64(VR_ROUND_NEAREST, VR_ADD, r.precision, x, 0, 0, 0) == x;
        return is_exact ? x : vr_core_f64(r.mode, VR_ADD, r.precision, x, 0, 0, word);
    }
    return converted(&r, (vr_dtype)type, (vr_exact){x, 0}, (uint32_t)(word >> 32));
}

/* ---- arithmetic in half and bfloat ---- */

/* s + e of an operation on such numbers: sums and products are exact in f64 or have an exact error; quotients and
 * roots are taken at 24 bits, so that the remainder is exact. */
static vr_exact exact_result(vr_operation op, double a, double b, double c)
{
    const vr_grid f32 = {24, 1, INFINITY};
    vr_exact r = {0, 0};
    switch (op) {
    case VR_ADD:
        return vr_two_sum(a, b);
    case VR_SUB:
        return vr_two_sum(a, -b);
    case VR_MUL:
        r.s = a * b;
        return r;
    case VR_DIV:
        r.s = vr_to_grid((vr_exact){a / b, 0}, f32).s;
        r.e = (a - r.s * b) / b;
        return r;
    case VR_SQRT:
        r.s = vr_to_grid((vr_exact){sqrt(a), 0}, f32).s;
        r.e = a > 0 ? (a - r.s * r.s) / (r.s + sqrt(a)) : 0;
        return r;
    default:
        return vr_two_sum(a * b, c);
    }
}

static bool is_regular(vr_operation op, float a, float b, float c)
{
    if (op == VR_SQRT)
        return a >= 0 && isfinite(a);
    return isfinite(a) && isfinite(b) && (op != VR_FMA || isfinite(c)) && (op != VR_DIV || b != 0);
}

/* As vr_monte_carlo_f32 has it. */
static double monte_carlo(const vr_rounding *r, vr_operation op, vr_dtype type, const double x[3], uint32_t word)
{
    const vr_grid own = grid_of(type, 0), grid = grid_of(type, r->precision);
    const vr_exact exact = exact_result(op, x[0], x[1], x[2]);
    double y[3];
    for (uint32_t i = 0; i < 3; i++)
        y[i] = r->mode == VR_ROUND_RR ? x[i] : vr_inexact(x[i], grid.t, vr_further_word(word, i + 1));
    const vr_exact wide = exact_result(op, y[0], y[1], y[2]);
    const double value = wide.s + wide.e;
    const bool noisy = r->mode == VR_ROUND_MCA || (r->mode == VR_ROUND_RR && nearest(exact, grid).e != 0);
    const double inexact = noisy ? vr_inexact(value, grid.t, vr_further_word(word, 0)) : value;
    return on_grid(VR_ROUND_NEAREST, (vr_exact){inexact, 0}, own, 0);
}

float vrcc_call_narrow(vrcc_place *place, int operation, int type, float a, float b, float c)
{
    const vr_rounding r = vrcc_rounding_at(place, operation);
    const vr_operation op = (vr_operation)operation;
    const vr_rounding_mode sign_mode = r.mode == VR_ROUND_DOWN ? VR_ROUND_DOWN : VR_ROUND_NEAREST;
    const float plain = vr_core_f32(sign_mode, op, 0, a, b, c, 0);
    if (!is_regular(op, a, b, c))
        return plain;
    const uint32_t word = vr_draw_f32(&r, r.operands ? NULL : vrcc_stream(), op, a, b, c);
    if (r.mode >= VR_ROUND_RR)
        return (float)monte_carlo(&r, op, (vr_dtype)type, (const double[]){a, b, c}, word);
    vr_exact exact = exact_result(op, a, b, c);
    if (exact.s == 0)
        exact.s = plain; /* the zero's sign */
    return (float)on_grid(r.mode, exact, grid_of((vr_dtype)type, r.precision), word);
}
