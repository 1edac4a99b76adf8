/* timed.h - traces whose times are given, not measured. */
#ifndef TIMED_H
#define TIMED_H

#include <varanalyze/capture.h>

#define TIMED_LAYERS 3

/* Each step records "conv1/out" (forward), "conv1/weight" (gradient) and "fc1/out" (forward), in this order. */
typedef struct timed {
    const char *kernels, *rounding, *level;
    const char *started; /* "2026-01-01T12:00:00Z" */
    const char *cpu;     /* NULL: "a processor" */
    int threads;         /* 0: 2 */
    double load;         /* of 2 processors */
    int64_t peak_bytes;  /* 0: not told */
    int64_t resolution;  /* ns, of the clock; 0: 1 */
    int steps;
    bool is_first_only; /* only conv1/out is recorded */
    /* Durations in ns of the three, of a step from 1. The step lasts for their sum and 1,000 ns more; `lasts`, where
     * given, says otherwise. */
    uint64_t (*takes)(const void *context, int step, int record);
    int64_t (*lasts)(const void *context, int step); /* below 0: the clock goes backwards */
    const void *context;
} timed;

/* Ends the program when it cannot. */
void timed_write(const char *path, const timed *what);

#endif
