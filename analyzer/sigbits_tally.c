#include "sigbits_tally.h"

#include <float.h>
#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BINS_A_BIT = 32, LOWEST = -128 * BINS_A_BIT, HIGHEST = 64 * BINS_A_BIT - 1, MARGIN = BINS_A_BIT };

static int bin_of(double bits)
{
    const double above = bits * BINS_A_BIT - LOWEST;
    if (!(above > 0))
        return LOWEST;
    return above < HIGHEST - LOWEST ? LOWEST + (int)above : HIGHEST;
}

static bool has_room(const va_spectrum *s, int first, int last)
{
    return s->bins && first >= s->first && last < s->first + s->room;
}

/* Makes room for bins first..last, and some more, so that it does not happen often. */
static vr_status make_room(va_spectrum *s, int first, int last)
{
    int from = first - MARGIN, to = last + MARGIN;
    if (s->bins) {
        from = from < s->first ? from : s->first;
        to = to > s->first + s->room - 1 ? to : s->first + s->room - 1;
    }
    from = from < LOWEST ? LOWEST : from;
    to = to > HIGHEST ? HIGHEST : to;
    uint64_t *bins = calloc((size_t)(to - from + 1), sizeof *bins);
    if (!bins)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    if (s->bins)
        memcpy(bins + (s->first - from), s->bins, (size_t)s->room * sizeof *bins);
    free(s->bins);
    s->bins = bins;
    s->first = from;
    s->room = to - from + 1;
    return VR_OK;
}

static double figure_of(const va_bits *b, va_bits_figure figure)
{
    switch (figure) {
    case VA_FIGURE_SIGNIFICANT:
        return b->significant;
    case VA_FIGURE_CONTRIBUTING:
        return b->contributing;
    case VA_FIGURE_GENERAL:
        return b->general;
    case VA_FIGURE_GENERAL_CONTRIBUTING:
        return b->general_contributing;
    default:
        return b->bias;
    }
}

static bool has_figure(const va_bits *b, va_bits_figure figure)
{
    return !(b->flags & VA_BITS_NO_FIGURE) && !(figure == VA_FIGURE_BIAS && isnan(b->bias));
}

/* Adds one figure of the elements, `times` each. */
static vr_status add(va_spectrum *s, const va_bits *bits, size_t count, va_bits_figure figure, uint64_t times)
{
    double least = INFINITY, most = -INFINITY;
    uint64_t added = 0;
    for (size_t i = 0; i < count; i++) {
        const double value = figure_of(&bits[i], figure);
        const bool counts = has_figure(&bits[i], figure);
        least = counts && value < least ? value : least;
        most = counts && value > most ? value : most;
        added += counts;
    }
    if (added * times == 0)
        return VR_OK;
    const int first = bin_of(least), last = bin_of(most);
    const vr_status status = has_room(s, first, last) ? VR_OK : make_room(s, first, last);
    if (status != VR_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        if (has_figure(&bits[i], figure))
            s->bins[bin_of(figure_of(&bits[i], figure)) - s->first] += times;
    s->least = s->count == 0 || least < s->least ? least : s->least;
    s->most = s->count == 0 || most > s->most ? most : s->most;
    s->count += added * times;
    return VR_OK;
}

static void count_flags(va_tally *t, const va_bits *b, double wanted, uint64_t times)
{
    const unsigned flags = b->flags;
    const bool figure = !(flags & VA_BITS_NO_FIGURE),
               differs = flags & (VA_BITS_NONFINITE_DIFFERS | VA_BITS_ZERO_REFERENCE);
    t->elements += times;
    t->constant += flags & VA_BITS_CONSTANT ? times : 0;
    t->saturated += flags & VA_BITS_SATURATED ? times : 0;
    t->saturated_general += flags & VA_BITS_SATURATED_GENERAL ? times : 0;
    t->nonfinite += flags & VA_BITS_NONFINITE ? times : 0;
    t->nonfinite_differs += flags & VA_BITS_NONFINITE_DIFFERS ? times : 0;
    t->zero_reference += flags & VA_BITS_ZERO_REFERENCE ? times : 0;
    t->below += differs || (figure && b->significant < wanted) ? times : 0;
    t->below_general += differs || (figure && b->general < wanted) ? times : 0;
}

static vr_status add_all(va_tally *t, const va_bits *bits, size_t count, double wanted, uint64_t times)
{
    vr_status status = VR_OK;
    for (size_t i = 0; i < count; i++)
        count_flags(t, &bits[i], wanted, times);
    for (int i = 0; status == VR_OK && i < VA_FIGURES; i++)
        status = add(&t->figures[i], bits, count, (va_bits_figure)i, times);
    return status;
}

vr_status va_tally_add(va_tally *tally, const va_bits *bits, size_t count, double wanted)
{
    return add_all(tally, bits, count, wanted, 1);
}

vr_status va_tally_add_same(va_tally *tally, const va_bits *bits, uint64_t count, double wanted)
{
    return add_all(tally, bits, 1, wanted, count);
}

static vr_status merge(va_spectrum *s, const va_spectrum *other)
{
    if (other->count == 0)
        return VR_OK;
    const int first = bin_of(other->least), last = bin_of(other->most);
    const vr_status status = has_room(s, first, last) ? VR_OK : make_room(s, first, last);
    if (status != VR_OK)
        return status;
    s->least = s->count == 0 || other->least < s->least ? other->least : s->least;
    s->most = s->count == 0 || other->most > s->most ? other->most : s->most;
    s->count += other->count;
    for (int bin = first; bin <= last; bin++)
        s->bins[bin - s->first] += other->bins[bin - other->first];
    return VR_OK;
}

vr_status va_tally_merge(va_tally *t, const va_tally *other)
{
    t->elements += other->elements;
    t->constant += other->constant;
    t->saturated += other->saturated;
    t->saturated_general += other->saturated_general;
    t->nonfinite += other->nonfinite;
    t->nonfinite_differs += other->nonfinite_differs;
    t->zero_reference += other->zero_reference;
    t->below += other->below;
    t->below_general += other->below_general;
    vr_status status = VR_OK;
    for (int i = 0; status == VR_OK && i < VA_FIGURES; i++)
        status = merge(&t->figures[i], &other->figures[i]);
    return status;
}

void va_tally_clear(va_tally *tally)
{
    va_tally empty = {0};
    for (int i = 0; i < VA_FIGURES; i++) {
        va_spectrum *s = &tally->figures[i];
        if (s->count)
            memset(s->bins + (bin_of(s->least) - s->first), 0,
                   (size_t)(bin_of(s->most) - bin_of(s->least) + 1) * sizeof *s->bins);
        empty.figures[i] = (va_spectrum){.first = s->first, .room = s->room, .bins = s->bins};
    }
    *tally = empty;
}

void va_tally_free(va_tally *tally)
{
    for (int i = 0; i < VA_FIGURES; i++)
        free(tally->figures[i].bins);
    *tally = (va_tally){0};
}

double va_tally_quantile(const va_tally *tally, va_bits_figure figure, double q)
{
    const va_spectrum *s = &tally->figures[figure];
    if (s->count == 0)
        return NAN;
    /* Of the element that is asked for, from 1; 0.07 of 100 is 7, though not to a double. */
    const double rank = ceil(q * (double)s->count * (1 - 4 * DBL_EPSILON));
    if (rank <= 1)
        return s->least;
    if (rank >= (double)s->count)
        return s->most;
    uint64_t seen = 0;
    int bin = bin_of(s->least);
    for (; (double)(seen += s->bins[bin - s->first]) < rank;)
        bin++;
    const bool whole = figure == VA_FIGURE_GENERAL || figure == VA_FIGURE_GENERAL_CONTRIBUTING;
    const double bits = (bin + (whole ? 0 : 0.5)) / BINS_A_BIT;
    return bits < s->least ? s->least : bits > s->most ? s->most : bits;
}
