/* agree.h - three or more runs at once: which agree with each other, and where each parts from the rest. */
#ifndef VA_AGREE_H
#define VA_AGREE_H

#include "diff.h"

/* Where a run first differs from what most of the runs have; of a tie, from the group of the first run. */
typedef struct va_parting {
    bool parted;
    uint64_t step;
    uint32_t epoch, entity;
} va_parting;

typedef struct va_agreement {
    int runs;
    vr_trace *const *traces;
    int *group;  /* [runs]: runs of one group are the same in everything; groups are numbered from 0 by first run */
    int *before; /* [runs]: the groups before a row splits them */
    int groups;
    int odd;              /* the one run that differs from all others, which agree; -1: there is no such run */
    va_parting *partings; /* [runs] */
    uint64_t compared;    /* records that all runs have */
    uint64_t agreed;      /* of these, the same in all */
    uint64_t *missing;    /* [runs]: records that another run has and this one lacks */
    const va_entity *entities;
    va_pairing *pairing;
} va_agreement;

/* Compares by digest, type and shape; only `layer`, `phase` and steps of the options count. The traces must outlive the
 * result. */
vr_status va_agree_run(va_agreement **out, vr_trace *const *traces, int runs, const va_diff_options *options);
void va_agree_free(va_agreement *agreement);

void va_agree_text(FILE *out, const va_agreement *agreement, bool color);
json_t *va_agree_json(const va_agreement *agreement);
void va_agree_csv(FILE *out, const va_agreement *agreement);

#endif
