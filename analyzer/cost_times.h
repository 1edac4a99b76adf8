/* cost_times.h - the times of one run's steps, and what stands for many times. */
#ifndef VA_COST_TIMES_H
#define VA_COST_TIMES_H

#include <stddef.h>
#include <stdint.h>
#include <varanalyze/trace.h>

/* What a layer did in a phase. */
typedef struct va_cost_operation {
    vr_phase phase;
    char *layer;
    double *ns; /* by step, added over its records; below 0: there was none; NaN: the clock went backwards */
} va_cost_operation;

/* Of the finished steps of a run, the setup apart. */
typedef struct va_cost_series {
    size_t count;
    uint64_t *steps;               /* numbers, ascending */
    double *ns;                    /* from the beginning of the step to its end; NaN: the clock went backwards */
    va_cost_operation *operations; /* in order of their first record */
    size_t operation_count;
    uint64_t backwards;  /* steps and records */
    uint64_t unfinished; /* steps: left out */
} va_cost_series;

/* Fails with VR_ERROR_IO, VR_ERROR_FORMAT or VR_ERROR_MEMORY; `out` is then empty. */
vr_status va_cost_series_read(va_cost_series *out, vr_trace *trace);
void va_cost_series_free(va_cost_series *series);

/* Steps that are left out at the beginning of `count`, while caches fill and processors find their clock: a tenth, at
 * least 1 and at most 10; none of fewer than two. */
size_t va_cost_warmup(size_t count);

typedef struct va_cost_summary {
    size_t count;
    double median, mean; /* of all, outliers too; NaN: there are none */
    size_t outliers;
} va_cost_summary;

/* Values that are NaN are left out. `values` are reordered; `scratch`: room for `count`. */
va_cost_summary va_cost_summarize(double *values, size_t count, double *scratch);

/* The median of values that are no NaN, which are sorted; NaN: there are none. */
double va_median(double *values, size_t count);

/* How many of `count` values are outliers, and, unless `is_outlier` is NULL, which: those of a modified z-score,
 * 0.6745 |x - median| / MAD, above 3.5 (Iglewicz and Hoaglin 1993). Where more than half of the values are the same, so
 * that MAD is 0, |x - median| / (1.2533 times the mean of |x - median|). NaN is none. `scratch`: room for `count`. */
size_t va_outliers_find(bool *is_outlier, const double *values, size_t count, double *scratch);

#endif
