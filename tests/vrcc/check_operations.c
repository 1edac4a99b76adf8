/* check_operations [PAIRS]: holds the operations of operations.c, compiled by vrcc, against rounding.h for the mode,
 * precision and seed of the environment, bit by bit, for so many operands each (default 48 Ki); and those of a mode
 * that leaves only two answers against MPFR's neighbours, for some. Those of operations_ir.c likewise; half,
 * conversions and comparisons by check_narrow.c. */
#include "check_narrow.h"
#include "operations.h"

#include <inttypes.h>
#include <math.h>
#include <mpfr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <varanalyze/random.h>
#include <varanalyze/rounding.h>

#define BLOCK     (ROUND_TO * 2)
#define MPFR_EACH 37 /* of so many one is held against MPFR, which is slow */

static const double specials[] = {
    0.0,
    1.0,
    2.0,
    3.0,
    0.5,
    0.1,
    1e-3,
    1e3,
    1e10,
    1e-10,
    0x1p-24,
    0x1p-53,
    0x1p24,
    0x1p53,
    0x1.fffffep0,
    0x1.8p0,
    0x1p-126,
    0x1p-149,
    0x1p-150,
    0x1.fffffep127,
    0x1p127,
    0x1p-101,
    0x1p97,
    0x1p-110,
    0x1.000002p-101,
    0x1p-1022,
    0x1p-1074,
    0x1p1023,
    0x1.fffffffffffffp1023,
    0x1p-900,
    0x1p990,
    0x1p-960,
    0x1p-1060,
    0x1.fffffffffffffp0,
    INFINITY,
    NAN,
};
#define SPECIALS (sizeof specials / sizeof *specials)

static vr_rounding rounding;

/* Random bits, numbers near 1, near each other, and specials with either sign. */
static double draw(vr_random *random, bool is_f64, double other)
{
    const uint32_t kind = vr_random_u32(random) % 8;
    const double sign = vr_random_u32(random) & 1 ? -1 : 1;
    if (kind == 0)
        return sign * specials[vr_random_below(random, SPECIALS)];
    if (kind == 1)
        return is_f64 ? vr_value_f64(vr_random_u64(random)) : (double)vr_value_f32(vr_random_u32(random));
    if (kind == 2)
        return sign * other * (1 + vr_random_uniform(random) * 0x1p-20);
    if (kind == 3)
        return sign * (double)(vr_random_u32(random) % 1024) / 8;
    return sign * ldexp(1 + vr_random_uniform(random), (int)(vr_random_u32(random) % 40) - 20);
}

static void fill(vr_random *random, bool is_f64, void *a, void *b, void *c)
{
    for (size_t i = 0; i < BLOCK; i++) {
        const double x = draw(random, is_f64, 1), y = draw(random, is_f64, x), z = draw(random, is_f64, -x * y);
        if (is_f64) {
            ((double *)a)[i] = x;
            ((double *)b)[i] = y;
            ((double *)c)[i] = z;
        } else {
            ((float *)a)[i] = (float)x;
            ((float *)b)[i] = (float)y;
            ((float *)c)[i] = (float)z;
        }
    }
}

static float expected_f32(vr_operation op, bool split, float a, float b, float c)
{
    const vr_rounding *r = &rounding;
    switch (op) {
    case VR_ADD:
        return vr_round_add_f32(r, NULL, a, b);
    case VR_SUB:
        return vr_round_sub_f32(r, NULL, a, b);
    case VR_MUL:
        return vr_round_mul_f32(r, NULL, a, b);
    case VR_DIV:
        return vr_round_div_f32(r, NULL, a, b);
    case VR_SQRT:
        return vr_round_sqrt_f32(r, NULL, a);
    default:
        return split ? vr_round_add_f32(r, NULL, vr_round_mul_f32(r, NULL, a, b), c)
                     : vr_round_fma_f32(r, NULL, a, b, c);
    }
}

static double expected_f64(vr_operation op, bool split, double a, double b, double c)
{
    const vr_rounding *r = &rounding;
    switch (op) {
    case VR_ADD:
        return vr_round_add_f64(r, NULL, a, b);
    case VR_SUB:
        return vr_round_sub_f64(r, NULL, a, b);
    case VR_MUL:
        return vr_round_mul_f64(r, NULL, a, b);
    case VR_DIV:
        return vr_round_div_f64(r, NULL, a, b);
    case VR_SQRT:
        return vr_round_sqrt_f64(r, NULL, a);
    default:
        return split ? vr_round_add_f64(r, NULL, vr_round_mul_f64(r, NULL, a, b), c)
                     : vr_round_fma_f64(r, NULL, a, b, c);
    }
}

/* ---- MPFR ---- */

static int compute(mpfr_t r, vr_operation op, mpfr_t a, mpfr_t b, mpfr_t c, mpfr_rnd_t to)
{
    switch (op) {
    case VR_ADD:
        return mpfr_add(r, a, b, to);
    case VR_SUB:
        return mpfr_sub(r, a, b, to);
    case VR_MUL:
        return mpfr_mul(r, a, b, to);
    case VR_DIV:
        return mpfr_div(r, a, b, to);
    case VR_SQRT:
        return mpfr_sqrt(r, a, to);
    default:
        return mpfr_fma(r, a, b, c, to);
    }
}

/* The exact result rounded down (to = MPFR_RNDD) or up in the type, subnormal numbers included. */
static double neighbour(vr_operation op, bool is_f64, double a, double b, double c, mpfr_rnd_t to)
{
    mpfr_t x, y, z, r;
    mpfr_inits2(53, x, y, z, (mpfr_ptr)0);
    mpfr_init2(r, is_f64 ? 53 : 24);
    mpfr_set_emin(is_f64 ? -1073 : -148);
    mpfr_set_emax(is_f64 ? 1024 : 128);
    const mpfr_exp_t least = mpfr_get_emin(), most = mpfr_get_emax();
    mpfr_set_emin(mpfr_get_emin_min());
    mpfr_set_emax(mpfr_get_emax_max());
    mpfr_set_d(x, a, MPFR_RNDN);
    mpfr_set_d(y, b, MPFR_RNDN);
    mpfr_set_d(z, c, MPFR_RNDN);
    mpfr_set_emin(least);
    mpfr_set_emax(most);
    int inexact = compute(r, op, x, y, z, to);
    inexact = mpfr_subnormalize(r, inexact, to);
    const double out = mpfr_get_d(r, to);
    mpfr_clears(x, y, z, r, (mpfr_ptr)0);
    return out;
}

/* sr: a neighbour of the exact result, or an infinity where MPFR has the largest number (rounding.h). */
static bool is_neighbour(vr_operation op, bool is_f64, double a, double b, double c, double got)
{
    const double low = neighbour(op, is_f64, a, b, c, MPFR_RNDD), high = neighbour(op, is_f64, a, b, c, MPFR_RNDU);
    if (isnan(low) || isnan(got))
        return isnan(low) && isnan(got);
    return got == low || got == high;
}

/* ---- */

static void say(const operation_entry *entry, double a, double b, double c, double got, double wanted)
{
    printf("%s: %s(%a, %a, %a) = %a, not %a\n", vr_rounding_name(rounding.mode), entry->name, a, b, c, got, wanted);
}

/* Compilers exchange operands; in these two modes each operand has a noise of its own. */
static bool is_commuted(const operation_entry *entry, double a, double b, double c, double got)
{
    if (rounding.mode != VR_ROUND_PB && rounding.mode != VR_ROUND_MCA)
        return false;
    const vr_operation op = (vr_operation)entry->op;
    if (op != VR_ADD && op != VR_MUL && op != VR_FMA)
        return false;
    return got == (entry->is_f64 ? expected_f64(op, entry->split, b, a, c)
                                 : expected_f32(op, entry->split, (float)b, (float)a, (float)c));
}

static bool check_one(const operation_entry *entry, double a, double b, double c, double got, bool with_mpfr)
{
    double wanted;
    bool same;
    if (entry->is_f64) {
        wanted = expected_f64((vr_operation)entry->op, entry->split, a, b, c);
        same = vr_bits_f64(wanted) == vr_bits_f64(got);
    } else {
        wanted = expected_f32((vr_operation)entry->op, entry->split, (float)a, (float)b, (float)c);
        same = vr_bits_f32((float)wanted) == vr_bits_f32((float)got);
    }
    if (!same && !(isnan(wanted) && isnan(got)) && !is_commuted(entry, a, b, c, got)) {
        say(entry, a, b, c, got, wanted);
        return false;
    }
    if (with_mpfr && !entry->split && rounding.mode == VR_ROUND_SR && rounding.precision == 0 &&
        !is_neighbour((vr_operation)entry->op, entry->is_f64, a, b, c, got)) {
        say(entry, a, b, c, got, NAN);
        return false;
    }
    return true;
}

static double at(const void *values, bool is_f64, size_t i)
{
    return is_f64 ? ((const double *)values)[i] : (double)((const float *)values)[i];
}

/* One operation of a reduction, of a scalar in memory, or of an element. */
static double combined(const operation_entry *entry, double x, double y)
{
    const vr_operation op = (vr_operation)entry->op;
    return entry->is_f64 ? expected_f64(op, false, x, y, 0) : (double)expected_f32(op, false, (float)x, (float)y, 0);
}

/* Elements from x[0] on, by halves as long as there are two of them; then `start` and what is left in order. A start
 * that is a variable is always added. */
static double reduced(const operation_entry *entry, double *x, double start)
{
    unsigned lanes = entry->lanes;
    for (; entry->kind == PAIRS && lanes > 1 && lanes % 2 == 0; lanes /= 2)
        for (unsigned i = 0; i < lanes / 2; i++)
            x[i] = combined(entry, x[i], x[i + lanes / 2]);
    for (unsigned i = 0; i < lanes; i++)
        start = combined(entry, start, x[i]);
    return start;
}

static bool is_same(const operation_entry *entry, double x, double y)
{
    if (isnan(x) || isnan(y))
        return isnan(x) && isnan(y);
    return entry->is_f64 ? vr_bits_f64(x) == vr_bits_f64(y) : vr_bits_f32((float)x) == vr_bits_f32((float)y);
}

static bool check_group(const operation_entry *entry, const void *a, const void *b, const void *c, const void *out,
                        size_t i)
{
    double x[16], wanted;
    for (unsigned lane = 0; lane < entry->lanes; lane++)
        x[lane] = at(a, entry->is_f64, i + lane);
    if (entry->kind == ATOMIC)
        wanted = combined(entry, at(c, entry->is_f64, i), x[0]);
    else
        wanted = reduced(entry, x, at(b, entry->is_f64, i));
    const double got = at(out, entry->is_f64, i);
    if (is_same(entry, got, wanted))
        return true;
    say(entry, at(a, entry->is_f64, i), at(b, entry->is_f64, i), at(c, entry->is_f64, i), got, wanted);
    return false;
}

static unsigned check_block(const operation_entry *entry, const void *a, const void *b, const void *c, const void *out,
                            size_t done)
{
    unsigned wrong = 0;
    if (entry->kind != EACH) {
        for (size_t i = 0; i < BLOCK && wrong < 5; i += entry->lanes)
            wrong += !check_group(entry, a, b, c, out, i);
        return wrong;
    }
    for (size_t i = 0; i < BLOCK && wrong < 5; i++)
        wrong += !check_one(entry, at(a, entry->is_f64, i), at(b, entry->is_f64, i), at(c, entry->is_f64, i),
                            at(out, entry->is_f64, i), (done + i) % MPFR_EACH == 0);
    return wrong;
}

static unsigned check_entry(const operation_entry *entry, size_t pairs, uint64_t index)
{
    static double a[BLOCK], b[BLOCK], c[BLOCK], before[BLOCK], out[BLOCK];
    vr_random random = vr_random_stream(vr_derive_seed(1, "operations"), index);
    unsigned wrong = 0;
    for (size_t done = 0; done < pairs && wrong < 5; done += BLOCK) {
        fill(&random, entry->is_f64, a, b, c);
        memcpy(before, c, sizeof c);
        entry->function(a, b, c, out, BLOCK);
        wrong += check_block(entry, a, b, before, out, done);
    }
    return wrong;
}

static unsigned check_entries(const operation_entry *entries, size_t count, size_t pairs)
{
    unsigned wrong = 0;
    for (size_t i = 0; i < count; i++)
        if (entries[i].kind == EACH || (rounding.mode != VR_ROUND_PB && rounding.mode != VR_ROUND_MCA))
            wrong += check_entry(&entries[i], pairs, i);
    return wrong;
}

static bool read_rounding(void)
{
    const char *mode = getenv("VR_ROUNDING"), *seed = getenv("VR_SEED"), *t = getenv("VR_ROUNDING_PRECISION");
    rounding.operands = true;
    rounding.key = vr_derive_seed(seed ? strtoull(seed, NULL, 0) : 1, "rounding");
    rounding.precision = (uint8_t)(t ? atoi(t) : 0);
    return !mode || vr_rounding_parse(&rounding.mode, mode) == VR_OK;
}

int main(int argc, char **argv)
{
    const size_t pairs = argc > 1 ? strtoull(argv[1], NULL, 0) : 48 << 10;
    if (!read_rounding()) {
        fprintf(stderr, "%s\n", vr_error());
        return 2;
    }
    unsigned wrong = check_entries(operation_entries, operation_entry_count, pairs);
    wrong += check_entries(ir_entries, ir_entry_count, pairs / 2);
    if (rounding.mode <= VR_ROUND_RR)
        wrong += check_halves(&rounding, pairs);
    wrong += check_conversions(&rounding, pairs);
    printf("%s: %zu functions, %u wrong\n", vr_rounding_name(rounding.mode),
           operation_entry_count + ir_entry_count + half_entry_count + conversion_entry_count, wrong);
    return wrong != 0;
}
