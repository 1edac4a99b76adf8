/* cost.h - what one condition costs over another: time and memory of pairs of runs.
 *
 * Runs are sorted into conditions by what they say was set; one condition is the base, and run i of another is paired
 * with run i of it. Of a run's steps, those of the warm-up are left out; the median and the mean of the others are what
 * a pair compares, for the whole step and for each phase, layer and operation in it. A row is the ratio of these over
 * all pairs, with its interval: pairs, not steps, are what varies independently.
 *
 *     va_cost_runs runs = {0};
 *     va_cost *cost;
 *     vr_status status = va_cost_runs_add(&runs, "runs.tar");
 *     if (status == VR_OK)
 *         status = va_cost_compute(&cost, &runs, &(va_cost_options)VA_COST_OPTIONS_INIT);
 */
#ifndef VA_COST_H
#define VA_COST_H

#include "command.h"
#include "cost_times.h"
#include "sources.h"
#include "study_interval.h"

/* What a run says was set, and conditions are told apart by. */
typedef enum va_cost_setting {
    VA_SET_KERNELS,
    VA_SET_ROUNDING,
    VA_SET_PRECISION,
    VA_SET_BITS,
    VA_SET_VARY,
    VA_SET_PERTURB,
    VA_SET_THREADS,
    VA_SET_LEVEL,
} va_cost_setting;

#define VA_COST_SETTINGS 8

typedef struct va_cost_run {
    char *name;      /* of its trace, or "runs.tar:fixed-0001" */
    char *trace;     /* NULL: it left none */
    char *archive;   /* the campaign's; NULL: it is of none */
    char *condition; /* the campaign's name for it; NULL */
    uint32_t replica;
    uint64_t device,
        file; /* of its trace, or the campaign's archive, by whatever name; 0: neither is a file of its own */
    char *settings[VA_COST_SETTINGS];
    json_t *said;           /* what the run was (docs/trace-format.md); NULL: it left no trace */
    double started;         /* seconds since 1970; NaN: not known, as of those below */
    double wall, processor; /* seconds of the whole run */
    double memory;          /* bytes, at most */
    bool is_broken;         /* it broke off, or something could not be recorded */
} va_cost_run;

/* Start with zeros. */
typedef struct va_cost_runs {
    va_cost_run *runs;
    size_t count;
    va_sources sources; /* of what is in no campaign */
    size_t failed;      /* runs of campaigns that did not end well, and are left out */
    size_t several;     /* runs of campaigns that left several traces, and have no steps here */
} va_cost_runs;

/* Adds the runs that an operand names: a trace, a pattern, an archive; of a campaign's archive all that ended well,
 * with or without a trace. Fails as vr_trace_open and vr_source_names do. */
vr_status va_cost_runs_add(va_cost_runs *runs, const char *operand);
void va_cost_runs_free(va_cost_runs *runs);

typedef struct va_cost_condition {
    char *name;
    size_t *runs; /* indexes, in the order in which they began */
    size_t count;
} va_cost_condition;

typedef struct va_cost_pair {
    size_t base, cost; /* runs */
} va_cost_pair;

typedef enum va_cost_kind {
    VA_COST_WALL,      /* of a whole run, as are the next two */
    VA_COST_PROCESSOR, /* user and system */
    VA_COST_MEMORY,
    VA_COST_STEP,       /* from its beginning to that of the next, with what recording takes */
    VA_COST_OPERATIONS, /* all that was recorded in a step, without what recording takes; added over threads */
    VA_COST_PHASE,
    VA_COST_LAYER,
    VA_COST_OPERATION, /* a layer's in a phase */
} va_cost_kind;

#define VA_COST_KINDS 8

const char *va_cost_kind_name(va_cost_kind kind); /* "wall time", ..., "phase", "layer", "operation" */

/* Of a pair: NaN where a side has none. Seconds; bytes. */
typedef struct va_cost_values {
    double base_median, cost_median, base_mean, cost_mean;
} va_cost_values;

typedef struct va_cost_row {
    va_cost_kind kind;
    vr_phase phase; /* of VA_COST_PHASE and VA_COST_OPERATION */
    char *layer;    /* of VA_COST_LAYER and VA_COST_OPERATION; else NULL */
    va_cost_values *pairs;
    va_cost_values middle;       /* medians over the pairs of the medians, means over the pairs of the means */
    va_interval by_median;       /* of the ratio of the medians */
    va_interval by_mean;         /* of the means */
    size_t base_runs, cost_runs; /* that have a value */
    size_t zeros;                /* pairs left out because a time is 0: below the clock's resolution */
    size_t outliers;             /* pairs: see va_outliers_find */
    double coarse;               /* a tick of the clock as part of the time; NaN: not known */
} va_cost_row;

typedef struct va_cost_side {
    uint64_t steps;      /* used */
    uint64_t outliers;   /* of these, by their time */
    uint64_t backwards;  /* steps, and operations, in which the clock went backwards: left out */
    uint64_t unfinished; /* steps: left out */
} va_cost_side;

typedef struct va_cost_comparison {
    size_t base, cost; /* conditions */
    va_cost_pair *pairs;
    size_t pair_count;
    size_t unpaired; /* runs of either side without a partner */
    va_cost_row *rows;
    size_t row_count;
    va_cost_side base_side, cost_side;
    uint64_t least_steps, most_steps;   /* that a pair was compared by */
    uint64_t least_warmup, most_warmup; /* steps left out at the beginning */
    size_t unequal;       /* pairs of which a side has steps that the other has not: only common ones are compared */
    size_t without_steps; /* pairs that have traces but no step to compare */
} va_cost_comparison;

typedef struct va_cost {
    va_cost_condition *conditions;
    size_t condition_count;
    va_cost_comparison *comparisons;
    size_t comparison_count;
    char *clock; /* "CLOCK_MONOTONIC, resolution 1 ns"; NULL: not known */
    double resolution_ns;
    char **warnings;
    size_t warning_count;
    double confidence;
} va_cost;

#define VA_COST_AGAINST_MOST 64

typedef struct va_cost_options {
    const char *base; /* name of a condition, or a glob for names of runs; NULL: by what was set */
    const char *against[VA_COST_AGAINST_MOST]; /* the same; none: all other conditions */
    size_t against_count;
    int64_t warmup; /* steps left out at the beginning; -1: by va_cost_warmup */
    uint32_t skip;  /* runs of each condition left out at the beginning */
    double confidence;
    bool operations; /* rows for these, too */
} va_cost_options;

#define VA_COST_OPTIONS_INIT                                                                                           \
    {                                                                                                                  \
        .warmup = -1, .confidence = 0.95                                                                               \
    }

/* Fails with VR_ERROR_ARGUMENT where there is nothing to compare: fewer than two conditions, no base, no steps. */
vr_status va_cost_compute(va_cost **out, const va_cost_runs *runs, const va_cost_options *options);
void va_cost_free(va_cost *cost);

/* The row that stands for a comparison: the step's, or without traces the wall time's; NULL: there is none. */
const va_cost_row *va_cost_headline(const va_cost_comparison *comparison);

/* How far the interval reaches from its middle, as part of it: sqrt(high / low) - 1; infinite: there is none. */
double va_cost_reach(const va_interval *interval);

/* ---- output ---- */

void va_cost_text(FILE *out, const va_cost *cost, const va_cost_runs *runs, bool color);
void va_cost_csv(FILE *out, const va_cost *cost);
json_t *va_cost_json(const va_cost *cost, const va_cost_runs *runs);

/* Layers in rows, conditions in columns. */
void va_cost_table(FILE *out, const va_cost *cost, bool color);
bool va_cost_is_in_table(const va_cost_row *row);

/* Ratios and their intervals, a row for each row of the text or the table. Fails as va_plot_open does. */
vr_status va_cost_plot(const va_cost *cost, const char *path, bool table);

#endif
