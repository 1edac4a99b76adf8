/* study_report.h - a study's results: figures, each with an interval and what there is to say against it.
 *
 * All of a study is one list of figures, section by section: tables, JSON, CSV and pictures are views of it. What a
 * figure means is said by its metric; sources of the definitions stand in study_metrics.h and its like.
 */
#ifndef VA_STUDY_REPORT_H
#define VA_STUDY_REPORT_H

#include "study_churn.h"
#include "study_interval.h"
#include "study_metrics.h"
#include "study_read.h"

typedef enum va_section {
    VA_CONTROL,
    VA_RUNS,
    VA_ACCURACY,
    VA_CHURN,
    VA_WEIGHTS,
    VA_CLASSES,
    VA_GROUPS,
    VA_FLIPS,
    VA_CALIBRATION,
    VA_COMPARE,
    VA_VARIANCE,
    VA_NEEDED,
    VA_CURVES,
    VA_SECTIONS
} va_section;

const char *va_section_name(va_section section); /* "classes" */

/* The section of that name. Fails with VR_ERROR_ARGUMENT, listing the names. */
vr_status va_section_parse(va_section *out, const char *name, size_t length);

/* How a figure is written: as percent, as points (differences of percent), ... */
typedef enum va_kind { VA_SHARE, VA_POINTS, VA_NUMBER, VA_WHOLE, VA_PROBABILITY } va_kind;

typedef enum va_metric {
    VA_M_ACCURACY,
    VA_M_SD,
    VA_M_MIN,
    VA_M_MAX,
    VA_M_LOSS,
    VA_M_LOSS_SD,
    VA_M_CHURN,
    VA_M_CHURN_SD,
    VA_M_CHURN_MIN,
    VA_M_CHURN_MAX,
    VA_M_ONE_CORRECT,
    VA_M_AMONG_CORRECT,
    VA_M_FLIPPING,
    VA_M_L2,
    VA_M_L2_SD,
    VA_M_L2_NORMALIZED,
    VA_M_COSINE,
    VA_M_NORM,
    VA_M_SAMPLES,
    VA_M_RATIO,
    VA_M_FPR,
    VA_M_FPR_SD,
    VA_M_FPR_MIN,
    VA_M_FPR_MAX,
    VA_M_FNR,
    VA_M_FNR_SD,
    VA_M_FNR_MIN,
    VA_M_FNR_MAX,
    VA_M_DISSENT,
    VA_M_CORRECT,
    VA_M_ENTROPY,
    VA_M_DISAGREE,
    VA_M_ECE,
    VA_M_ECE_ADAPTIVE,
    VA_M_MCE,
    VA_M_CONFIDENCE,
    VA_M_CONFIDENCE_SD,
    VA_M_DIFFERENCE,
    VA_M_P,
    VA_M_P_HOLM,
    VA_M_SD_RATIO,
    VA_M_P_SD,
    VA_M_VARIANCE,
    VA_M_SHARE,
    VA_M_FOR_MEAN,
    VA_M_FOR_SD,
    VA_M_PARTING,
    VA_M_RATE,
    VA_M_EXPONENT,
    VA_M_IDENTICAL,
    VA_METRICS
} va_metric;

const char *va_metric_name(va_metric metric); /* in data: "accuracy", "sd" */
const char *va_metric_head(va_metric metric); /* above a column: "sd, points" */
va_kind va_metric_kind(va_metric metric);

typedef struct va_figure {
    va_section section;
    int condition, against; /* indexes; -1: of none, compared with none */
    char *item;             /* "class 3", "male = yes, class 1", "conv1/weight"; "" for the whole */
    va_metric metric;
    va_interval interval; /* `low` NaN: it has none */
    char *note;           /* NULL where there is nothing to say */
    bool detail;          /* for data and pictures, not for tables */
} va_figure;

/* A point of a curve. */
typedef struct va_curve_point {
    double t;
    va_spread spread;
} va_curve_point;

typedef enum va_curve_kind { VA_CURVE_LOSS, VA_CURVE_TEST_ACCURACY, VA_CURVE_DISTANCE, VA_CURVES_KINDS } va_curve_kind;

typedef struct va_curve {
    va_curve_point *points;
    size_t count;
    const char *what; /* "training loss", "accuracy on test"; NULL: there is none */
} va_curve;

/* What figures are made of and pictures show, by condition. */
typedef struct va_condition_report {
    va_table *table; /* freed when the figures of one condition are made */
    uint32_t *columns;
    va_metrics *metrics;
    va_churn *churn;
    va_groups *groups;
    va_flip *flips;
    size_t flip_count, flip_total;
    double *weights_with_others[3]; /* [replicas], by va_distance_kind; NULL: not known */
    double *weight_pairs;           /* L2; [pairs] */
    va_curve curves[VA_CURVES_KINDS];
    bool identical; /* predictions and weights have the same bits in all runs */
} va_condition_report;

typedef struct va_report_options {
    double confidence;
    uint64_t seed;       /* of permutation tests */
    unsigned sections;   /* bit s: section s is wanted */
    size_t flips;        /* samples listed a condition */
    double within;       /* half-width, of accuracy, for which replicas needed are said */
    const char *compare; /* "A,B"; NULL: all against the first, but those of one bit-identical run */
} va_report_options;

#define VA_REPORT_OPTIONS_INIT                                                                                         \
    {                                                                                                                  \
        .confidence = 0.95, .seed = 1, .sections = (1u << VA_SECTIONS) - 1, .flips = 20, .within = 0.001               \
    }

typedef struct va_report {
    va_study *study;
    va_report_options options;
    va_figure *figures;
    size_t count, room;
    va_condition_report *conditions; /* [study->condition_count] */
    char *control;                   /* what there is to say of Control, in lines; NULL: there is none */
    bool control_differs;
    bool out_of_memory; /* a figure is missing for want of it */
} va_report;

/* The study stays the caller's and must outlive the report. Fails with VR_ERROR_ARGUMENT (runs of one condition that
 * are not of one task or model, --compare), VR_ERROR_MEMORY, or as reading the traces does. */
vr_status va_report_make(va_report **out, va_study *study, const va_report_options *options);
void va_report_free(va_report *report);

bool va_report_wants(const va_report *report, va_section section);

/* The first figure of these, NULL: there is none. */
const va_figure *va_report_find(const va_report *report, va_section section, int condition, const char *item,
                                va_metric metric);

/* ---- how figures are made ---- */

/* Which figures come next. */
typedef struct va_place {
    va_report *report;
    va_section section;
    int condition, against;
} va_place;

/* Adds a figure; `format` makes its item. Returns it, to be given a note, or NULL without memory, which the report
 * remembers. It is valid until the next. */
va_figure *va_add(const va_place *place, va_metric metric, va_interval interval, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Gives a figure, which may be NULL, a note. */
void va_add_note(va_report *report, va_figure *figure, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A number without an interval. */
va_interval va_plain(double value, int n);

vr_status va_report_control(va_report *report);                    /* study_report_control.c */
vr_status va_report_outcomes(va_report *report, int condition);    /* study_report_outcomes.c */
vr_status va_report_calibration(va_report *report, int condition); /* study_report_outcomes.c; needs the table */
vr_status va_report_weights(va_report *report, int condition);     /* study_report_weights.c */
vr_status va_report_compare(va_report *report);                    /* study_report_compare.c */
vr_status va_report_variance(va_report *report);                   /* study_report_variance.c */
vr_status va_report_curves(va_report *report, int condition);      /* study_report_curves.c */

/* "male = yes": a group's column and value. */
#define VA_GROUP_TEXT 160
const char *va_group_text(char out[VA_GROUP_TEXT], const va_report *report, int condition, const va_group *group);

#endif
