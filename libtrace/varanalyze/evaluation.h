/* evaluation.h - what a model said of a set of samples, as a trace holds it.
 *
 * An evaluation is a few records of phase evaluation, one a column, all with their values; vr_record_evaluation of
 * capture.h makes them, docs/trace-format.md says how they are told from one another. Here they are put together
 * again, and rows are read by their place without reading the rest.
 *
 *     const vr_evaluation_info *all;
 *     uint64_t count;
 *     if (vr_trace_evaluations(trace, &all, &count) == VR_OK && count > 0) {
 *         const vr_evaluation_info *last = &all[count - 1];
 *         int32_t *predictions = malloc((size_t)last->count * sizeof *predictions);
 *         vr_evaluation_predictions(trace, last, 0, last->count, predictions);
 *         ...
 *     }
 *
 * Samples stand in the order in which the run recorded them. Join runs by the ids: no two of an evaluation are the same
 * where vr_record_evaluation made it; a reader that relies on that checks it.
 */
#ifndef VARANALYZE_EVALUATION_H
#define VARANALYZE_EVALUATION_H

#include <varanalyze/trace.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VR_GROUP_PREFIX "group:" /* and a column's name: the name of the record that holds it */

/* A column that puts each sample into a group. */
typedef struct vr_group_info {
    const char *name;          /* "male" */
    const char *const *values; /* names of the values 0, 1, ...; NULL where the run named none */
    uint32_t value_count;      /* of these */
    vr_trace_record record;
} vr_group_info;

/* An evaluation. The records hold the columns' digests: where two are equal, so are the columns, in the same order. */
typedef struct vr_evaluation_info {
    const char *name; /* of the set: "test", "validation" */
    uint64_t step;    /* after which it was made; 0: before training */
    uint32_t epoch;
    int64_t count;               /* samples */
    int64_t classes;             /* labels and predictions are in 0 .. classes-1; 0: the run did not say */
    double loss;                 /* of the set, as the run computed it; NaN: it did not say, or it is one */
    bool has_loss;               /* it did say */
    vr_dtype probabilities_type; /* VR_F32 or VR_F64; 0: there are none */
    vr_dtype losses_type;        /* the same of the samples' losses */
    uint32_t group_count;
    const vr_group_info *groups;
    vr_trace_record ids, labels, predictions;
    vr_trace_record probabilities, losses; /* of level 0 where there are none */
} vr_evaluation_info;

/* All whole evaluations in the order they were begun. `*out` belongs to the trace. What the run left unfinished when it
 * broke off is not among them. Fails as vr_trace_read_records and vr_trace_read_values, or with VR_ERROR_MEMORY. */
VR_API vr_status vr_trace_evaluations(vr_trace *trace, const vr_evaluation_info **out, uint64_t *count);

/* Read samples [first, first + count) of a column into `out`. Fail with VR_ERROR_ARGUMENT (past the end, no such
 * column) or as vr_trace_read_values, and may be called by several threads as that may. */
VR_API vr_status vr_evaluation_ids(vr_trace *trace, const vr_evaluation_info *evaluation, int64_t first, int64_t count,
                                   uint64_t *out);
VR_API vr_status vr_evaluation_labels(vr_trace *trace, const vr_evaluation_info *evaluation, int64_t first,
                                      int64_t count, int32_t *out);

/* -1, or any other number outside of 0 .. classes-1: the model said nothing. */
VR_API vr_status vr_evaluation_predictions(vr_trace *trace, const vr_evaluation_info *evaluation, int64_t first,
                                           int64_t count, int32_t *out);
VR_API vr_status vr_evaluation_group(vr_trace *trace, const vr_evaluation_info *evaluation, uint32_t group,
                                     int64_t first, int64_t count, int32_t *out);

/* [count][classes], row-major, in the evaluation's probabilities_type. Any value may stand there, NaN too. */
VR_API vr_status vr_evaluation_probabilities(vr_trace *trace, const vr_evaluation_info *evaluation, int64_t first,
                                             int64_t count, void *out);

/* Each sample's loss, as a double. Any value may stand there, NaN too. */
VR_API vr_status vr_evaluation_losses(vr_trace *trace, const vr_evaluation_info *evaluation, int64_t first,
                                      int64_t count, double *out);

#ifdef __cplusplus
}
#endif
#endif
