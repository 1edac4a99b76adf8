/* study_read.h - the runs of a study: what each predicted, and which condition it is a replica of.
 *
 * A condition is what was varied. Traces say that themselves (VR_VARY, VR_KERNELS): names are those of Zhuang et al.,
 * MLSys 2022. ALGO: initialization and order vary, and what else of the algorithm does; IMPL: the kernels; ALGO+IMPL:
 * both; Control: nothing. Sets of purposes that the study has no name for are called by their purposes.
 */
#ifndef VA_STUDY_READ_H
#define VA_STUDY_READ_H

#include "sources.h"
#include "study_table.h"

#include <jansson.h>
#include <varanalyze/evaluation.h>

/* Which runs and evaluations, as the user asked. */
typedef struct va_study_choice {
    const char *set;                /* name of the samples; NULL: "test", or the only one there is */
    uint64_t first_step, last_step; /* evaluations after these; the last of them counts */
    int64_t epoch;                  /* -1: any */
    const char *by;     /* "vary", "name", or a place in what a run says of itself, "host.name"; NULL: vary */
    char *const *named; /* "NAME=GLOB": the conditions, in place of `by` */
    size_t named_count;
} va_study_choice;

#define VA_STUDY_CHOICE_INIT                                                                                           \
    {                                                                                                                  \
        .last_step = UINT64_MAX, .epoch = -1                                                                           \
    }

typedef struct va_study_run {
    char *path;
    vr_trace *trace;
    json_t *about; /* what the run was */
    const vr_evaluation_info *evaluation;
    char *label; /* of its condition, as far as it alone can tell; see study_conditions.c */
} va_study_run;

typedef struct va_left_out {
    char *path, *why;
    bool unreadable;
} va_left_out;

typedef struct va_study_condition {
    char *name;
    char *varied; /* "init, order, kernels"; "" for nothing */
    bool control; /* nothing varies, so that all replicas should be the same */
    int *runs;    /* [count], of va_study.runs */
    int count;
} va_study_condition;

typedef struct va_study {
    va_sources sources;
    va_study_run *runs;
    size_t run_count, run_room;
    va_left_out *left_out;
    size_t left_count, left_room;
    size_t unreadable;
    va_study_condition *conditions;
    int condition_count;
    char **notes; /* what a reader of the results has to know */
    size_t note_count, note_room;
    char *set;                     /* of samples */
    struct va_column_cache *cache; /* of columns */
} va_study;

/* Opens all runs that the operands name (sources.h), chooses the evaluation of each and puts it into a condition. A run
 * that cannot be read, has no such evaluation or belongs nowhere is left out, and listed. Fails with VR_ERROR_ARGUMENT
 * (nothing is left, no such set), VR_ERROR_MEMORY or, where there are too many files, VR_ERROR_IO. */
vr_status va_study_open(va_study **out, char *const *operands, int count, const va_study_choice *choice);
void va_study_close(va_study *study);

/* The evaluations of a condition, joined. Columns of the table are the groups of its first run that all others have, as
 * `*columns` lists them: indexes of that run's groups; free it. Fails with VR_ERROR_ARGUMENT where runs have other
 * classes, labels or groups, naming two of them. */
vr_status va_study_table(va_table **out, uint32_t **columns, va_study *study, int condition);

/* The run that a replica of a condition is. */
const va_study_run *va_study_replica(const va_study *study, int condition, int replica);

/* Adds a note; without memory for it, nothing. */
void va_study_note(va_study *study, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Lists the run as left out and closes it; the runs after it move up. */
vr_status va_study_leave_out(va_study *study, size_t run, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- study_read_table.c ---- */

/* Columns that runs have in common are read once. NULL without memory. */
struct va_column_cache *va_column_cache_new(void);
void va_column_cache_free(struct va_column_cache *cache);

/* ---- study_conditions.c ---- */

/* Labels a run; NULL in `run->label`: it belongs nowhere, and *why says why. */
vr_status va_study_label(va_study_run *run, const va_study_choice *choice, const char **why);

/* Makes the conditions of labelled runs. */
vr_status va_study_group(va_study *study, const va_study_choice *choice);

#endif
