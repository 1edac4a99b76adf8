/* sigbits_tensor.h - the bits of one tensor, element by element, from the runs that recorded it. */
#ifndef VA_SIGBITS_TENSOR_H
#define VA_SIGBITS_TENSOR_H

#include "sigbits_tally.h"

#include <varanalyze/trace.h>

/* One of the elements with the fewest bits. */
typedef struct va_worst {
    va_bits bits;
    const vr_site *site;
    uint64_t step, order; /* order: of its tensor among all */
    uint32_t epoch;
    int64_t index;           /* row-major, in the tensor */
    int count;               /* samples */
    double *values;          /* [count] */
    double reference;        /* mean, number or other run's; of pairs and halves NaN */
    int within, bits_within; /* of the errors, so many are within 2^-bits_within: the bits of CNH, rounded down */
} va_worst;

typedef struct va_worst_list {
    bool general; /* by the figure of the general method */
    size_t room, count;
    va_worst *items; /* [room], from the least bits on */
} va_worst_list;

vr_status va_worst_open(va_worst_list *out, size_t room, bool general);
void va_worst_close(va_worst_list *list);

/* What is known of the values of a tensor. */
typedef enum va_samples_kind {
    VA_SAMPLES_ALL,    /* every value */
    VA_SAMPLES_SOME,   /* those of level sample, at the same positions in each run */
    VA_SAMPLES_SCALAR, /* the one value there is, from the statistics */
} va_samples_kind;

/* The samples of one tensor: `count` runs, whose records are of one type and shape. */
typedef struct va_samples {
    va_samples_kind kind;
    int count;
    vr_trace *const *traces;
    const vr_trace_record *const *records;
    vr_trace *reference; /* of VA_BITS_RUN; else NULL */
    const vr_trace_record *reference_record;
    double exact; /* of VA_BITS_EXACT */
    const vr_site *site;
    int64_t values; /* of each run */
} va_samples;

/* Where figures go. */
typedef struct va_sink {
    va_tally *tally;
    va_worst_list *worst; /* or NULL */
    float *map;           /* [values], the figure of each; NaN: none; or NULL */
    bool general;         /* the map shows the general method's */
    double wanted;        /* of va_tally_add */
    uint64_t step, order;
    uint32_t epoch;
} va_sink;

/* Adds the figures of all values to the sink, block by block, with up to omp_get_max_threads() threads; the result does
 * not depend on how many. Fails as vr_trace_read_values, or with VR_ERROR_MEMORY. */
vr_status va_samples_measure(const va_samples *samples, const va_bits_rule *rule, const va_sink *sink);

/* Offers `count` elements to the list, their figures, samples and references as for va_bits_of_block: those that vary
 * and have a figure. `like` says whose they are; they begin at its index, which counts in `positions` unless that is
 * NULL. Fails with VR_ERROR_MEMORY. */
vr_status va_worst_offer(va_worst_list *list, const va_worst *like, const va_bits *bits, const va_bits_rule *rule,
                         const double *x, size_t stride, const double *y, size_t count, const int64_t *positions);

/* Moves to the list what belongs there of another one. */
void va_worst_merge(va_worst_list *list, va_worst_list *other);

#endif
