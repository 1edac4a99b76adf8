/* sigbits_tally.h - the bits of many elements summed up: quantiles, the least, and what is to be said of them. */
#ifndef VA_SIGBITS_TALLY_H
#define VA_SIGBITS_TALLY_H

#include "sigbits_element.h"

#include <stdint.h>

/* Which of an element's figures. */
typedef enum va_bits_figure {
    VA_FIGURE_SIGNIFICANT, /* CNH */
    VA_FIGURE_CONTRIBUTING,
    VA_FIGURE_GENERAL,
    VA_FIGURE_GENERAL_CONTRIBUTING,
    VA_FIGURE_BIAS,
    VA_FIGURES
} va_bits_figure;

/* A distribution of bits in bins of 1/32, from -128 to 64, what lies outside in the last bin on its side; the bins that
 * are in use alone take memory. */
typedef struct va_spectrum {
    uint64_t count;
    double least, most;
    int first, room; /* bins [first, first + room) are there */
    uint64_t *bins;
} va_spectrum;

typedef struct va_tally {
    va_spectrum figures[VA_FIGURES];
    uint64_t elements; /* those without a figure included */
    uint64_t constant, saturated, saturated_general;
    uint64_t nonfinite, nonfinite_differs, zero_reference;
    uint64_t below, below_general; /* fewer bits than asked for; an element without a figure that differs has none */
} va_tally;

/* Adds the figures of `count` elements; `wanted` is what `below` counts against. Fails with VR_ERROR_MEMORY. */
vr_status va_tally_add(va_tally *tally, const va_bits *bits, size_t count, double wanted);

/* The same of so many elements with the same figures. */
vr_status va_tally_add_same(va_tally *tally, const va_bits *bits, uint64_t count, double wanted);

/* Adds what another tally holds. The order does not matter. Fails with VR_ERROR_MEMORY. */
vr_status va_tally_merge(va_tally *tally, const va_tally *other);

/* Empties the tally, but keeps its memory; frees that. */
void va_tally_clear(va_tally *tally);
void va_tally_free(va_tally *tally);

/* The figure that a part q of the elements with a figure does not exceed (0: the least, 1: the most), to 1/64 of a bit
 * and never outside of what there is; NaN when there is none. */
double va_tally_quantile(const va_tally *tally, va_bits_figure figure, double q);

#endif
