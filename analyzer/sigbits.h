/* sigbits.h - how many bits of what runs recorded are real: significant and contributing bits of every tensor, by layer
 * and step, from two or more runs.
 *
 * Where the runs hold values, each element is judged by itself (sigbits_element.h). Where they hold statistics only,
 * these bound the bits of the tensor as a whole from above; where digests only, they say whether it is the same.
 */
#ifndef VA_SIGBITS_H
#define VA_SIGBITS_H

#include "pairing.h"
#include "sigbits_tensor.h"

#include <jansson.h>
#include <stdio.h>

/* What has a row of its own. Metrics always have one by name. */
typedef enum va_bits_by { VA_BY_LAYER, VA_BY_TENSOR, VA_BY_STEP } va_bits_by;

typedef struct va_sigbits_options {
    va_bits_options bits;
    double exact;        /* of VA_BITS_EXACT */
    vr_trace *reference; /* of VA_BITS_RUN; else NULL */
    const char *layer;   /* glob; NULL: all */
    vr_phase phase;      /* 0: all */
    uint64_t first_step, last_step;
    va_bits_by by;
    bool general;    /* judge, and show, by the general method in place of CNH */
    double quantile; /* the part of a tensor's elements that may have fewer bits than are asked for */
    double at_least; /* bits asked for; negative: none */
    size_t worst;    /* elements to be kept */
    bool points;     /* keep what a plot over steps needs */
    const char *map; /* "[PHASE:]LAYER/NAME[@STEP]": keep the bits of all elements of this tensor; NULL: none */
} va_sigbits_options;

#define VA_SIGBITS_OPTIONS_INIT                                                                                        \
    {                                                                                                                  \
        .bits = VA_BITS_OPTIONS_INIT, .last_step = UINT64_MAX, .quantile = 0.05, .at_least = -1                        \
    }

typedef struct va_bits_summary {
    double median, low, least; /* low: the quantile of the options; NaN: there is none */
} va_bits_summary;

/* At one step: the median, or where there are no values, the bound. */
typedef struct va_bits_point {
    uint64_t step;
    double bits; /* NaN: unknown */
    bool is_bound;
} va_bits_point;

typedef struct va_sigbits_row {
    vr_phase phase;
    const char *layer, *name; /* name NULL: all tensors of the layer */
    uint64_t step;            /* by step */
    uint32_t epoch;
    uint64_t tensors;           /* records: a tensor at a step is one */
    uint64_t bounded, unknown;  /* of these: known by a bound only; not known at all */
    uint64_t equal;             /* of these: the same in all runs by their digests */
    uint64_t too_few;           /* of these: fewer bits than asked for */
    uint64_t incomplete;        /* of these: not all runs have them alike, with values */
    int fewest_runs, most_runs; /* that a figure is from; pairs and halves: before they are halved */
    va_bits_summary figures[VA_FIGURES];
    double bound;    /* the least upper bound of a tensor's bits; NaN: none */
    va_tally counts; /* its spectra are empty */
    int digits;      /* m, the largest of the types */
    va_bits_point first, last;
} va_sigbits_row;

/* The points of a row by layer or tensor, step by step. */
typedef struct va_bits_series {
    vr_phase phase;
    const char *layer, *name;
    va_bits_point *points;
    size_t count;
} va_bits_series;

/* The bits of one tensor's elements. */
typedef struct va_bits_map {
    const vr_site *site; /* NULL: the tensor was not met */
    uint64_t step;
    uint32_t epoch;
    float *bits; /* [site->count]; NaN: none */
} va_bits_map;

typedef struct va_sigbits {
    va_sigbits_options options;
    int runs;
    vr_trace *const *traces;
    int unpaired;         /* a last run without another, of pairs and halves: left out */
    va_sigbits_row *rows; /* by first appearance; by step: in its order */
    size_t row_count, row_room;
    va_bits_series *series; /* a line of a plot each */
    size_t series_count;
    va_worst_list worst;
    va_bits_map map;
    uint64_t tensors;                   /* in the rows */
    uint64_t integers, integers_differ; /* left out, since bits say nothing of them */
    uint64_t lonely, unreferenced;      /* left out: fewer runs than needed have it; the reference has not */
    uint64_t too_few, unjudged;         /* hold against what is asked for: too few bits; not known */
    uint32_t first_too_few;             /* the first of these */
    uint64_t first_too_few_step;
    va_pairing *pairing;
    const va_entity *entities;
} va_sigbits;

/* The traces must outlive the result. Fails with VR_ERROR_ARGUMENT (too few runs, an odd probability, ranks that
 * differ, a map of what is not there) or as reading the traces does. */
vr_status va_sigbits_run(va_sigbits **out, vr_trace *const *traces, int runs, const va_sigbits_options *options);
void va_sigbits_free(va_sigbits *all);

/* Upper bound on the bits of a tensor as a whole, that is with the Euclidean norm in place of the magnitude, from the
 * statistics of `count` runs (sigbits_bound.c); against the mean, `exact`, or `reference` unless that is NULL. NaN:
 * there is none. */
double va_bits_bound(const va_bits_rule *rule, const vr_trace_record *const *records, const vr_trace_record *reference,
                     double exact);

/* The result in three formats (sigbits_render.c); csv: a row for each row. */
void va_sigbits_text(FILE *out, const va_sigbits *all, bool color);
json_t *va_sigbits_json(const va_sigbits *all);
void va_sigbits_csv(FILE *out, const va_sigbits *all);

/* Draws bits over steps, or the map if one was asked for, as `path` (sigbits_plot.c); see plot.h for how it fails. */
vr_status va_sigbits_plot(const va_sigbits *all, const char *path);

#endif
