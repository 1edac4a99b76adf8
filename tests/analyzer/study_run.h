/* study_run.h - traces of training runs for tests of `study`: predictions and weights written down, nothing trained. */
#ifndef STUDY_RUN_H
#define STUDY_RUN_H

#include <stdbool.h>
#include <stdint.h>

/* One run. Samples are numbered from 100; labels and predictions are a digit a sample, '-' for a prediction of -1. */
typedef struct study_run {
    const char *path;
    const char *vary, *kernels, *rounding; /* NULL: nothing, fixed, nearest */
    uint64_t seed, replica;                /* 0: 1 */
    const char *set;                       /* of samples; NULL: "test" */
    int classes;                           /* 0: 3 */
    const char *labels, *predictions;      /* NULL: none was evaluated; labels NULL: "01201201" */
    const char *groups;                    /* a digit a sample of the column "young", 0 no, 1 yes; NULL: none */
    bool backwards;                        /* samples stand in reverse order */
    const float *probabilities;            /* [samples][classes]; NULL: none */
    double loss;                           /* 0: not recorded */
    const float *weights;                  /* [weight_count]; NULL: none */
    int weight_count;
    const char *level;    /* of the final weights; NULL: full */
    const float *history; /* [steps]: the first weight after each step, in full; NULL: not recorded */
    const double *losses; /* of training, one a step; NULL: one step without */
    int steps;            /* of these */
    bool broken_off;      /* the process ends before the run does; what is left is PATH.journal */
    const char *note;     /* of key "data" */
} study_run;

/* Writes its trace; ends the program when it cannot. */
void study_run_write(const study_run *run);

/* The runs that transcripts and tests study, from a table of their own; writes all into the current folder. */
void study_runs_write(void);

#endif
