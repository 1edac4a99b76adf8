/* runtime.c - which body a function has, and the arithmetic that is not inlined. */
#define vr_core_wide_f64 vrcc_wide_f64 /* a program may have the library as well */
#define VR_ROUNDING_STRICT
#include "runtime.h"

#include "settings.h"

#include <varanalyze/rounding.h>

#ifdef __SSE2__
#include <xmmintrin.h>
#endif

uint64_t vrcc_keys[VR_OPERATIONS];

/* ---- decisions: what several threads decide at a time is the same, and nobody waits, since a signal may come ---- */

static bool is_chosen(const vrcc_place *place)
{
    if (vrcc_self.has_only && !vrcc_items_match(&vrcc_self.only, place->source, place->line))
        return false;
    return vrcc_self.exclude.count == 0 || !vrcc_items_match(&vrcc_self.exclude, place->source, place->line);
}

static void remember(vrcc_place *place)
{
    vrcc_place *first = __atomic_load_n(&vrcc_self.placed, __ATOMIC_RELAXED);
    do
        place->next = first;
    while (!__atomic_compare_exchange_n(&vrcc_self.placed, &first, place, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

static bool decide_place(vrcc_place *place)
{
    uint8_t choice = __atomic_load_n(&place->choice, __ATOMIC_RELAXED);
    if (choice == VRCC_PLACE_UNDECIDED) {
        vrcc_settings_read();
        const uint8_t decided = is_chosen(place) ? VRCC_PLACE_CHOSEN : VRCC_PLACE_LEFT;
        if (__atomic_compare_exchange_n(&place->choice, &choice, decided, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            remember(place);
        choice = decided;
    }
    return choice == VRCC_PLACE_CHOSEN;
}

static uint8_t choose_body(uint32_t chosen, uint32_t count)
{
    const vr_rounding *r = &vrcc_self.rounding;
    if (chosen == 0)
        return VRCC_PLAIN;
    if (vrcc_self.counting)
        return VRCC_CALLS;
    if (r->mode == VR_ROUND_NEAREST && r->precision == 0)
        return VRCC_PLAIN;
    if (chosen < count || !r->operands || r->precision != 0)
        return VRCC_CALLS;
    return r->mode == VR_ROUND_SR ? VRCC_SR : r->mode == VR_ROUND_UD ? VRCC_UD : VRCC_CALLS;
}

/* A program linked with -ffast-math takes subnormal numbers for zero, which rounding.h does not. Threads inherit this.
 */
static void keep_subnormals(void)
{
#ifdef __SSE2__
    const unsigned flush_to_zero = 0x8000, denormals_are_zero = 0x40;
    if (vrcc_self.rounding.mode != VR_ROUND_NEAREST)
        _mm_setcsr(_mm_getcsr() & ~(flush_to_zero | denormals_are_zero));
#endif
}

uint8_t vrcc_decide(vrcc_function *function)
{
    vrcc_settings_read();
    keep_subnormals();
    uint32_t chosen = 0;
    for (uint32_t i = 0; i < function->count; i++)
        chosen += decide_place(&function->places[function->numbers[i]]);
    const uint8_t body = choose_body(chosen, function->count);
    __atomic_store_n(&function->body, body, __ATOMIC_RELEASE);
    return body;
}

/* Behind the constructor that a link with -ffast-math brings, which comes before all that is linked, so that the first
 * thread, and those that it starts, do not depend on who decides first. */
__attribute__((constructor)) static void begin(void)
{
    vrcc_settings_read();
    keep_subnormals();
}

VR_API const char *vr_vrcc_rounding(void);
const char *vr_vrcc_rounding(void)
{
    vrcc_settings_read();
    return vrcc_mode_name(vrcc_self.rounding.mode);
}

/* ---- words ---- */

static uint32_t word32(const vr_rounding *r, vr_operation op, float a, float b, float c)
{
    return vr_draw_f32(r, r->operands ? NULL : vrcc_stream(), op, a, b, c);
}

static uint64_t word64(const vr_rounding *r, vr_operation op, double a, double b, double c)
{
    return vr_draw_f64(r, r->operands ? NULL : vrcc_stream(), op, a, b, c);
}

static float rounded32(const vr_rounding *r, int op, float a, float b, float c)
{
    return vr_core_f32(r->mode, (vr_operation)op, r->precision, a, b, c, word32(r, (vr_operation)op, a, b, c));
}

static double rounded64(const vr_rounding *r, int op, double a, double b, double c)
{
    return vr_core_f64(r->mode, (vr_operation)op, r->precision, a, b, c, word64(r, (vr_operation)op, a, b, c));
}

/* ---- operations ---- */

float vrcc_slow_f32(int mode, int op, float a, float b, float c)
{
    const vr_rounding r = {.mode = (vr_rounding_mode)mode, .operands = true, .key = vrcc_self.rounding.key};
    return rounded32(&r, op, a, b, c);
}

double vrcc_slow_f64(int mode, int op, double a, double b, double c)
{
    const vr_rounding r = {.mode = (vr_rounding_mode)mode, .operands = true, .key = vrcc_self.rounding.key};
    return rounded64(&r, op, a, b, c);
}

vr_rounding vrcc_rounding_at(vrcc_place *place, int counted_as)
{
    if (!decide_place(place))
        return (vr_rounding){.mode = VR_ROUND_NEAREST, .operands = true};
    if (vrcc_self.counting && counted_as < VRCC_COUNTS)
        __atomic_fetch_add(&place->counts[counted_as], 1, __ATOMIC_RELAXED);
    return vrcc_self.rounding;
}

float vrcc_call_f32(vrcc_place *place, int op, float a, float b, float c)
{
    const vr_rounding r = vrcc_rounding_at(place, op);
    return rounded32(&r, op, a, b, c);
}

double vrcc_call_f64(vrcc_place *place, int op, double a, double b, double c)
{
    const vr_rounding r = vrcc_rounding_at(place, op);
    return rounded64(&r, op, a, b, c);
}

/* The place is counted once, however often the exchange has to be tried. */
float vrcc_atomic_f32(vrcc_place *place, int op, float *at, float x)
{
    const vr_rounding r = vrcc_rounding_at(place, op);
    float old, sum;
    __atomic_load(at, &old, __ATOMIC_RELAXED);
    do
        sum = rounded32(&r, op, old, x, 0);
    while (!__atomic_compare_exchange(at, &old, &sum, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    return old;
}

double vrcc_atomic_f64(vrcc_place *place, int op, double *at, double x)
{
    const vr_rounding r = vrcc_rounding_at(place, op);
    double old, sum;
    __atomic_load(at, &old, __ATOMIC_RELAXED);
    do
        sum = rounded64(&r, op, old, x, 0);
    while (!__atomic_compare_exchange(at, &old, &sum, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
    return old;
}

/* ---- vectors: operands one after the other, results in the place of the first ---- */

void vrcc_slow_lanes_f32(int mode, int op, int lanes, float *x)
{
    for (int i = 0; i < lanes; i++)
        x[i] = vrcc_slow_f32(mode, op, x[i], op == VR_SQRT ? 0 : x[lanes + i], op == VR_FMA ? x[2 * lanes + i] : 0);
}

void vrcc_slow_lanes_f64(int mode, int op, int lanes, double *x)
{
    for (int i = 0; i < lanes; i++)
        x[i] = vrcc_slow_f64(mode, op, x[i], op == VR_SQRT ? 0 : x[lanes + i], op == VR_FMA ? x[2 * lanes + i] : 0);
}

void vrcc_call_lanes_f32(vrcc_place *place, int op, int lanes, float *x)
{
    for (int i = 0; i < lanes; i++)
        x[i] = vrcc_call_f32(place, op, x[i], op == VR_SQRT ? 0 : x[lanes + i], op == VR_FMA ? x[2 * lanes + i] : 0);
}

void vrcc_call_lanes_f64(vrcc_place *place, int op, int lanes, double *x)
{
    for (int i = 0; i < lanes; i++)
        x[i] = vrcc_call_f64(place, op, x[i], op == VR_SQRT ? 0 : x[lanes + i], op == VR_FMA ? x[2 * lanes + i] : 0);
}
