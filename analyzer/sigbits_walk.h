/* sigbits_walk.h - what the two halves of the analysis share: sigbits.c walks over the runs and keeps the rows,
 * sigbits_take.c judges one tensor. */
#ifndef VA_SIGBITS_WALK_H
#define VA_SIGBITS_WALK_H

#include "sigbits.h"

/* Tensors summed up; as the members of va_sigbits_row of the same names. */
typedef struct va_bits_part {
    va_tally tally;
    uint64_t tensors, bounded, unknown, equal, too_few, incomplete;
    int fewest_runs, most_runs;
    double bound;
    int digits;
} va_bits_part;

typedef struct va_bits_group {
    uint32_t entity;        /* the first of those that share the row */
    va_bits_part all, step; /* of the steps that have ended, of the current one */
    va_bits_point first, last;
    va_bits_point *points; /* of all steps, when a plot needs them */
    size_t point_count, point_room;
} va_bits_group;

typedef struct va_bits_walk {
    va_sigbits *all;
    int width; /* runs, and the reference when it is a run */
    vr_trace **traces;
    uint64_t step;
    uint32_t epoch;
    uint64_t order;     /* tensors so far */
    uint32_t *group_of; /* [entity]: index in groups, UINT32_MAX before the first */
    va_bits_group *groups;
    size_t group_count, group_room;
    va_bits_rule rule;        /* of the last tensor */
    bool *use;                /* [runs]: those whose record is a sample of the current tensor */
    vr_trace **chosen_traces; /* and these in order, without gaps */
    const vr_trace_record **chosen_records;
    int chosen;
    char *map_layer; /* what the map is of; NULL: no map */
    const char *map_name;
    vr_phase map_phase; /* 0: any */
    uint64_t map_step;  /* UINT64_MAX: the last that is selected */
} va_bits_walk;

/* The group of an entity; NULL without memory. */
va_bits_group *va_bits_group_of(va_bits_walk *walk, uint32_t entity);

/* Takes one tensor at one step: records[i] is that of run i, NULL where it has none. */
vr_status va_bits_take(va_bits_walk *walk, uint32_t entity, const vr_trace_record *const *records);

/* Reads "[PHASE:]LAYER/NAME[@STEP]". Fails with VR_ERROR_ARGUMENT. */
vr_status va_bits_map_find(va_bits_walk *walk, const char *what);

#endif
