/* study_table.h - what replicas of one condition predicted, joined by sample id.
 *
 * A replica is one training run and its evaluation. Replicas may have evaluated their samples in different orders, and
 * not all of them: the table holds the samples that all have, in the order of their ids. Nothing here reads files.
 */
#ifndef VA_STUDY_TABLE_H
#define VA_STUDY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <varanalyze/status.h>

#define VA_MOST_CLASSES  (1 << 20)
#define VA_MOST_REPLICAS 10000

/* One evaluation, as arrays of `count` samples; they need not outlive the call that they are given to. */
typedef struct va_replica {
    const char *name; /* for messages */
    size_t count;
    const uint64_t *ids; /* the join key: no two are the same */
    const int32_t *labels;
    const int32_t *predictions;
    const float *confidences;     /* of each prediction; NULL: not known (see study_calibration.h) */
    const int32_t *const *groups; /* [columns][count] */
    double loss;                  /* of the evaluation as a whole; NaN: it was NaN, or was not recorded */
} va_replica;

/* What the table keeps of a replica, in the table's order. */
typedef struct va_row {
    int32_t *predictions; /* [samples] */
    float *confidences;   /* [samples]; NULL: not known */
    size_t given;         /* samples that the replica came with; given - samples were left out */
    double loss;
} va_row;

typedef struct va_table {
    int replicas, classes, columns;
    size_t samples;   /* that all replicas have; may be 0 */
    uint64_t *ids;    /* [samples], ascending */
    int32_t *labels;  /* [samples], in 0..classes-1 */
    int32_t **groups; /* [columns][samples] */
    va_row *rows;     /* [replicas] */
    size_t room;      /* for rows */
    bool grows;       /* the number of classes was not given */
} va_table;

/* A table without replicas. `classes` 0: as many as labels and predictions name. Fails with VR_ERROR_ARGUMENT or
 * VR_ERROR_MEMORY. */
vr_status va_table_new(va_table **out, int classes, int columns);

/* Adds a replica; a failure leaves the table as it was. A prediction outside 0..classes-1 is a prediction as any other,
 * and wrong. Fails with VR_ERROR_ARGUMENT when an id occurs twice, a label is outside 0..classes-1, or a sample has
 * another label or group than in the replicas before: these saw other data. */
vr_status va_table_add(va_table *table, const va_replica *replica);

void va_table_free(va_table *table);

#endif
