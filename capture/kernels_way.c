/* kernels_way.c - how a call of a kernel computes: single additions, atomic ones, random orders, and the last rounding
 * of exact sums.
 */
#include "kernels_impl.h"

#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <varanalyze/random.h>

#if VR_REAL_BITS == 32
#define WORD vr_stream_word
#else
#define WORD vr_stream_word64
#endif

extern const NAME(vr_inner) NAME(vr_inner_baseline);
#ifdef __x86_64__
extern const NAME(vr_inner) NAME(vr_inner_avx2), NAME(vr_inner_avx512);
#endif

static const NAME(vr_inner) *const known[] = {
    &NAME(vr_inner_baseline),
#ifdef __x86_64__
    &NAME(vr_inner_avx2),
    &NAME(vr_inner_avx512),
#endif
};

static const NAME(vr_inner) * _Atomic used;

bool NAME(vr_inner_use)(const char *name)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i]->name, name) == 0) {
            used = known[i];
            return true;
        }
    return false;
}

const NAME(vr_inner) * NAME(vr_inner_best)(void)
{
    if (!used)
        NAME(vr_inner_use)(vr_isa_name());
    return used;
}

static uint64_t derived(uint64_t key, uint64_t index)
{
    vr_random random = vr_random_stream(key, index);
    return vr_random_u64(&random);
}

way NAME(vr_way_begin)(vr_math *math)
{
    vr_math plain = {0}, *m = math ? math : &plain;
    way w = {.order = m->order, .how = m->rounding, .inner = NAME(vr_inner_best)()};
    w.rounded = m->rounding.mode != VR_ROUND_NEAREST || m->rounding.precision;
    w.pieces = m->order == VR_ORDER_THREADS ? omp_get_max_threads() : 1;
    if (w.rounded && !m->rounding.operands)
        w.how.key = derived(m->rounding.key, m->calls);
    if (m->order == VR_ORDER_SHUFFLED)
        w.order_key = derived(m->order_key, m->calls);
    m->calls++;
    return w;
}

way NAME(vr_way_step)(const way *call, uint64_t step)
{
    way w = *call;
    if (w.rounded && !w.how.operands)
        w.how.key = derived(w.how.key, step);
    if (w.order == VR_ORDER_SHUFFLED)
        w.order_key = derived(w.order_key, step);
    return w;
}

static bits_t word_of(const vr_rounding *how, vr_operation op, real a, real b, uint64_t position)
{
    return how->operands ? NAME(vr_operand_word)(op, a, b, 0, how->key) : WORD(how->key, position);
}

static real rounded(const vr_rounding *how, vr_operation op, real a, real b, uint64_t position)
{
    return NAME(vr_core)(how->mode, op, how->precision, a, b, 0, word_of(how, op, a, b, position));
}

real NAME(vr_add_at)(const way *w, real a, real b, uint64_t position)
{
    return w->rounded ? rounded(&w->how, VR_ADD, a, b, position) : a + b;
}

static void map_nearest(vr_operation op, real *out, const real *a, const real *b, int64_t step, int64_t n)
{
#define CASE(name, expression)                                                                                         \
    case name:                                                                                                         \
        for (int64_t i = 0; i < n; i++)                                                                                \
            out[i] = expression;                                                                                       \
        break
    switch (op) {
        CASE(VR_ADD, a[i] + b[i * step]);
        CASE(VR_SUB, a[i] - b[i * step]);
        CASE(VR_MUL, a[i] * b[i * step]);
        CASE(VR_DIV, a[i] / b[i * step]);
    default:
        for (int64_t i = 0; i < n; i++)
            out[i] = (real)sqrt((double)a[i]); /* of f32 too: twice the precision and two bits are enough */
    }
#undef CASE
}

void NAME(vr_map)(const way *w, vr_operation op, real *out, const real *a, const real *b, int b_step, int64_t n,
                  uint64_t position)
{
    if (!w->rounded)
        map_nearest(op, out, a, b, b_step, n);
    else
        for (int64_t i = 0; i < n; i++)
            out[i] = rounded(&w->how, op, a[i], b[i * b_step], position + (uint64_t)i);
}

void NAME(vr_add_atomic)(const way *w, real *to, real term, uint64_t position)
{
    bits_t *bits = (bits_t *)(void *)to, old = __atomic_load_n(bits, __ATOMIC_RELAXED), new;
    do {
        real sum;
        memcpy(&sum, &old, sizeof sum);
        sum = NAME(vr_add_at)(w, sum, term, position);
        memcpy(&new, &sum, sizeof new);
    } while (!__atomic_compare_exchange_n(bits, &old, new, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
}

vr_status NAME(vr_check_order)(const way *w, int64_t n)
{
    if (w->order == VR_ORDER_SHUFFLED && n > UINT32_MAX)
        return vr_fail(VR_ERROR_SHAPE, "kernels: a sum of %lld terms is too long for a random order (2^32 - 1)",
                       (long long)n);
    return VR_OK;
}

vr_status NAME(vr_order_make)(uint32_t **out, const way *w, uint64_t number, int64_t n)
{
    *out = NULL;
    const vr_status status = NAME(vr_check_order)(w, n);
    if (status != VR_OK)
        return status;
    *out = malloc(((size_t)n + !n) * sizeof **out);
    if (!*out)
        return vr_fail(VR_ERROR_MEMORY, "kernels: no memory for a random order of %lld terms", (long long)n);
    vr_random random = vr_random_stream(w->order_key, number);
    vr_random_permutation(&random, *out, (size_t)n);
    return VR_OK;
}

/* high + low 2^-shift, high being the nearest number, rounded once. Random words are of high's bits. */
static real round_pair(const way *w, real high, real low, int shift, uint64_t position)
{
    if (!w->rounded)
        return shift ? high : high + low;
    const vr_rounding_mode mode = w->how.mode >= VR_ROUND_RR ? VR_ROUND_RR : w->how.mode;
    const bits_t word = word_of(&w->how, VR_ADD, high, 0, position);
    if (shift)
        return NAME(vr_core_fma)(mode, w->how.precision, low, (real)0x1p-64, high, word);
    return NAME(vr_core_add)(mode, w->how.precision, high, low, word);
}

_Static_assert(VR_LONG_SHIFT == 64, "round_pair scales by 2^-64");

double NAME(vr_sketch_error)(double size, int64_t terms, int64_t parts)
{
    /* f32: a column of BLOCK terms in double is off by less than BLOCK u size; what was added to it since, by terms in
     * u^2. f64: a column is off by (BLOCK u)^2 size, each part added since by as much again times u / BLOCK, and where
     * products underflow, by a few of the smallest subnormals a term. Twice that covers the rounding of the sizes. */
    const double most = BLOCK + 8 + (double)parts;
    if (sizeof(real) == 4)
        return 2 * (BLOCK + 8) * 0x1p-53 * size;
    return 4 * most * most * 0x1p-106 * size + (double)terms * 0x1p-1070;
}

bool NAME(vr_round_sketch)(real *out, const way *w, double high, double low, double error, uint64_t position)
{
    const double least = sizeof(real) == 4 ? 0x1p-80 : 0x1p-900, most = sizeof(real) == 4 ? 0x1p120 : 0x1p1000;
    double sum = high, rest = 0;
#if VR_REAL_BITS == 32
    if (error == 0 || !isfinite(high)) { /* no sum overflows and no product underflows in double */
        *out = without_payload(round_pair(w, isfinite(high) ? 0 : (float)high, 0, 0, position));
        return true;
    }
#endif
    add_pair(&sum, &rest, low, 0);
    if (!(fabs(sum) >= least && fabs(sum) <= most && error <= fabs(sum)) || w->how.mode >= VR_ROUND_RR)
        return false;
#if VR_REAL_BITS == 32
    const double slack = error + fabs(sum) * 0x1p-52, a = sum - slack, b = sum + slack;
    const float nearest = (float)a, below = (float)(a - (double)nearest), above = (float)(b - (double)nearest);
    if (nearest != (float)b)
        return false;
#else
    const double slack = error + fabs(rest) * 0x1p-50, nearest = sum, below = rest - slack, above = rest + slack;
    if (nearest + below != nearest || nearest + above != nearest)
        return false;
#endif
    *out = round_pair(w, nearest, below, 0, position);
    return *out == round_pair(w, nearest, above, 0, position);
}

real NAME(vr_round_long)(const way *w, vr_long *sum, uint64_t position)
{
    double high, low;
    int shift;
    vr_long_read(&high, &low, &shift, sum, SIGNIFICAND);
    return without_payload(round_pair(w, (real)high, (real)low, shift, position));
}

vr_status NAME(vr_check_sizes)(const char *kernel, int count, const int64_t *sizes)
{
    int64_t product = sizeof(real);
    bool fits = true;
    for (int i = 0; i < count; i++) {
        if (sizes[i] < 0)
            return vr_fail(VR_ERROR_SHAPE, "%s: a size is negative: %lld", kernel, (long long)sizes[i]);
        fits = fits && !__builtin_mul_overflow(product, sizes[i] ? sizes[i] : 1, &product);
    }
    return fits ? VR_OK : vr_fail(VR_ERROR_SHAPE, "%s: a tensor's size overflows", kernel);
}
