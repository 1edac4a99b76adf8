/* info_evaluations.h - what `varanalyze info` says of a trace's evaluations. */
#ifndef VA_INFO_EVALUATIONS_H
#define VA_INFO_EVALUATIONS_H

#include "command.h"

#include <varanalyze/evaluation.h>

typedef struct va_evaluation {
    const vr_evaluation_info *info;
    int64_t correct;
} va_evaluation;

typedef struct va_evaluations {
    va_evaluation *all;
    uint64_t count;
} va_evaluations;

/* Counts the correct predictions of all evaluations of a trace, which has to stay open. Fails as vr_trace_evaluations.
 */
vr_status va_evaluations_read(va_evaluations *out, vr_trace *trace);
void va_evaluations_free(va_evaluations *evaluations);

/* A line for each set, with the last of its evaluations; or, where `each`, a line for each evaluation. Nothing where
 * there are none. */
void va_evaluations_print(FILE *out, const va_evaluations *evaluations, bool each);

/* Rows of one evaluation each. */
void va_evaluations_csv(FILE *out, const va_evaluations *evaluations, const char *path, bool header);

json_t *va_evaluations_json(const va_evaluations *evaluations);

#endif
