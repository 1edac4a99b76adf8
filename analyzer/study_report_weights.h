/* study_report_weights.h - the distances of one weight between runs, from what their traces hold of it. */
#ifndef VA_STUDY_REPORT_WEIGHTS_H
#define VA_STUDY_REPORT_WEIGHTS_H

#include "study_distance.h"
#include "study_read.h"

#include <varanalyze/projection.h>

/* The runs, and what became of the tensors measured so far. Zeros, but for the first two. */
typedef struct va_weight_rows {
    int runs;
    const va_study_run **of; /* [runs] */
    double *error2;          /* [pairs]: squares of the standard errors of squared distances; NULL: not wanted */
    bool differ;             /* some digests differ */
    bool without_norms;      /* some tensors are recorded by digest alone; their norms count as 0 */
    uint64_t estimated;      /* tensors with projections only */
    int64_t projected;       /* numbers in the smallest projection; 0: there is none */
} va_weight_rows;

/* Adds a tensor, weight[r] of run r, to `d`: exactly where its values are there or all digests are equal, else as
 * projections tell. `*known` false: neither. Fails as reading does. */
vr_status va_weight_measure(va_distances *d, va_weight_rows *rows, const vr_weight_info *const *weight, bool *known);

#endif
