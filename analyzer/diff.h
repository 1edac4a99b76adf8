/* diff.h - two runs compared: whether they are the same, where they part first, and why.
 *
 * A pair of records is equal when type, shape and digest are. A differing pair is classed by the inputs its operation
 * names:
 * - origin: the inputs are recorded in both runs and equal (or the operation is a source: samples, or what the setup
 * makes);
 * - propagated: at least one input differs too;
 * - unexplained: an input was not recorded, so the cause may lie between this record and those. Only those that no
 * difference precedes are findings; after a first difference there is no telling.
 */
#ifndef VA_DIFF_H
#define VA_DIFF_H

#include "pairing.h"

#include <jansson.h>
#include <stdio.h>
#include <varanalyze/compare.h>

typedef enum va_class { VA_EQUAL, VA_ORIGIN, VA_PROPAGATED, VA_UNEXPLAINED, VA_ONE_SIDED } va_class;

typedef enum va_certainty { VA_CAUSE_KNOWN, VA_CAUSE_LIKELY, VA_CAUSE_UNKNOWN } va_certainty;

typedef struct va_diff_options {
    vr_tolerance tolerance;
    bool has_tolerance;
    const char *layer; /* glob; NULL: all */
    vr_phase phase;    /* 0: all */
    uint64_t first_step, last_step;
    bool all;           /* keep every differing record */
    bool stop_at_first; /* the verdict is enough */
} va_diff_options;

#define VA_DIFF_OPTIONS_INIT                                                                                           \
    {                                                                                                                  \
        .tolerance = VR_TOLERANCE_INIT, .last_step = UINT64_MAX                                                        \
    }

/* How far apart a pair is: relative to the larger norm. From values it is exact; from statistics it is a lower bound:
 * ||a-b||^2 >= n (mean_a - mean_b)^2 + (sqrt(m2_a) - sqrt(m2_b))^2. Negative: unknown. */
typedef struct va_distance {
    double relative;
    bool exact;
} va_distance;

/* An operation that differs, step after step for the same reason. */
typedef struct va_finding {
    va_class class; /* VA_ORIGIN or VA_UNEXPLAINED */
    uint32_t entity;
    uint64_t step, last_step; /* the first and the last time */
    uint32_t epoch;
    uint64_t count;
    const vr_site *site[2];
    vr_trace_record record[2]; /* of the first time */
    const char *missing;       /* unexplained: the input that was not recorded, or NULL when none was named */
    const char *seed;          /* purpose of a named seed that differs, or NULL */
    bool other_inputs;         /* the two runs name other inputs */
    vr_digest rows[2];         /* multisets of rows, added over `rows_epoch` */
    uint32_t rows_epoch;
    bool rows_same_step; /* the first pair has the same rows in another order */
    va_certainty certainty;
    char *cause;    /* a sentence without a stop */
    char *evidence; /* what the values or chunks show, or NULL */
} va_finding;

/* One differing record, kept with --all. */
typedef struct va_difference {
    va_class class;
    uint32_t entity;
    uint64_t step;
    uint32_t epoch;
    bool in[2]; /* one-sided: which run has it */
    va_distance distance;
} va_difference;

/* The records of one layer in one phase. */
typedef struct va_layer_summary {
    const char *layer;
    vr_phase phase;
    uint64_t compared, different, one_sided[2];
    uint64_t first_step;
    va_distance first, largest, last; /* of a step: the largest of its records */
    uint64_t last_step;
} va_layer_summary;

typedef struct va_diff {
    vr_trace *trace[2];
    const va_entity *entities;
    uint64_t compared, different, within; /* within: differ in bits, not beyond the tolerance */
    uint64_t origins, propagated, unexplained, one_sided[2];
    bool any; /* there is a first difference */
    uint64_t first_step;
    uint32_t first_epoch, first_entity;
    va_class first_class;
    uint64_t steps[2];    /* recorded */
    uint64_t last_common; /* the last step both have */
    bool has_common;
    bool without_values; /* a tolerance was asked for, but some pairs have no values to hold against it */
    va_finding *findings;
    size_t finding_count, finding_room;
    va_difference *differences;
    size_t difference_count, difference_room;
    va_layer_summary *layers;
    size_t layer_count, layer_room;
    json_t *conditions; /* array of {name, a, b}: what the two runs were that differs */
    json_t *run[2];
    va_pairing *pairing;
} va_diff;

/* Compares two traces, which must outlive the result. Fails with VR_ERROR_ARGUMENT (traces of different MPI ranks) or
 * as reading them does. */
vr_status va_diff_run(va_diff **out, vr_trace *a, vr_trace *b, const va_diff_options *options);
void va_diff_free(va_diff *diff);

/* Whether two sites are of one type and shape. */
bool va_same_kind(const vr_site *a, const vr_site *b);

/* Refuses traces of different MPI ranks, whose samples differ by design, with VR_ERROR_ARGUMENT. */
vr_status va_check_ranks(vr_trace *const *traces, int runs);

/* Fills in cause and evidence of every finding (diff_cause.c). */
vr_status va_diff_explain(va_diff *diff);

/* What differs between the runs as they describe themselves: array of {name, a, b} (diff_cause.c). NULL without memory.
 */
json_t *va_conditions(const json_t *a, const json_t *b);

/* Compares all values of a pair of level full, piece by piece. */
vr_status va_compare_records(vr_comparison *out, vr_trace *const trace[2], const vr_trace_record *const record[2],
                             const vr_tolerance *tolerance);

/* Whether nothing at all differs, beyond the tolerance. */
bool va_diff_is_same(const va_diff *diff);

/* The result on `out`, in three formats (diff_render.c); csv: a row for each layer and phase. */
void va_diff_text(FILE *out, const va_diff *diff, const va_diff_options *options, bool color);
json_t *va_diff_json(const va_diff *diff);
void va_diff_csv(FILE *out, const va_diff *diff);

#endif
