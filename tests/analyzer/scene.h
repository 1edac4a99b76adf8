/* scene.h - a training run in miniature, for traces whose every byte is known.
 *
 * Two layers, fc1 and fc2, on eight samples in batches of four: two steps an epoch. What a tensor holds follows from
 * the bits of what it is computed from, as multiples of 1/16 from -8 to 7.9375: so the digests are the same on every
 * machine, the statistics are exact, and one bit changes everything computed from it.
 */
#ifndef SCENE_H
#define SCENE_H

#include <varanalyze/capture.h>

/* Which samples a batch holds. */
typedef enum scene_order {
    SCENE_DRAWN,      /* as vr_run_order says */
    SCENE_PLAIN,      /* 0 to 7, and no record says so, as of those below */
    SCENE_IN_BATCHES, /* each batch backwards */
    SCENE_BACKWARDS,  /* the epoch backwards */
    SCENE_OTHERS,     /* other samples */
} scene_order;

/* A change to one element of one record, made before anything is computed from it. */
typedef struct scene_poke {
    const char *what; /* "forward:relu/out"; NULL: none */
    uint64_t step;
    int repeat; /* which of the records of one name in the step */
    int index;
    uint32_t flip; /* bits to flip; 0: what the element becomes is `nan` */
    uint32_t nan;
    bool hidden; /* only the record shows it: what follows is computed as if nothing had happened */
} scene_poke;

typedef struct scene {
    uint64_t seed; /* 0: 1 */
    vr_run_options options;
    const char *replica; /* purposes that take another seed; NULL: none */
    int steps;           /* 0: 4 */
    scene_order order;
    scene_poke poke;
    const char *without; /* a layer that is not recorded */
    bool nameless;       /* no record names its inputs */
    bool wide;           /* fc2/out is [2,4] */
    bool swapped;        /* the gradients are recorded in the other order */
    bool other_names;    /* relu/out names another input */
    int repeats;         /* relu/out is recorded so many times a step; 0: 1 */
    const char *note;    /* of key "data" */
    int threads;         /* 0: 2 */
    int rank;            /* of two MPI ranks, counted from 1; 0: not under MPI */
    bool broken_off;     /* the process ends within the last step; what is left is PATH.journal */
} scene;

/* Writes the trace of a scene; ends the program when it cannot. The environment's say is taken away first. */
void scene_write(const char *path, const scene *what);

/* The trace of a scene, open and without a file; not of one that breaks off. */
vr_trace *scene_open(const scene *what);

/* The trace of whatever `tell` records, at `level`; `side` is passed on. */
vr_trace *scene_tell(const char *level, void (*tell)(vr_run *run, int side), int side);

#endif
