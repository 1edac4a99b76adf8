#include "study_report.h"

#include "grow.h"

#include <formats/fail.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const section_names[VA_SECTIONS] = {
    [VA_CONTROL] = "control",         [VA_RUNS] = "runs",       [VA_ACCURACY] = "accuracy", [VA_CHURN] = "churn",
    [VA_WEIGHTS] = "weights",         [VA_CLASSES] = "classes", [VA_GROUPS] = "groups",     [VA_FLIPS] = "flips",
    [VA_CALIBRATION] = "calibration", [VA_COMPARE] = "compare", [VA_VARIANCE] = "variance", [VA_NEEDED] = "needed",
    [VA_CURVES] = "curves",
};

static const struct {
    const char *name, *head;
    va_kind kind;
} metrics[VA_METRICS] = {
    [VA_M_ACCURACY] = {"accuracy", "accuracy, %", VA_SHARE},
    [VA_M_SD] = {"accuracy_sd", "sd, points", VA_POINTS},
    [VA_M_MIN] = {"accuracy_min", "lowest, %", VA_SHARE},
    [VA_M_MAX] = {"accuracy_max", "highest, %", VA_SHARE},
    [VA_M_LOSS] = {"loss", "loss", VA_NUMBER},
    [VA_M_LOSS_SD] = {"loss_sd", "its sd", VA_NUMBER},
    [VA_M_CHURN] = {"churn", "churn, %", VA_SHARE},
    [VA_M_CHURN_SD] = {"churn_pairs_sd", "sd of pairs", VA_POINTS},
    [VA_M_CHURN_MIN] = {"churn_pairs_min", "least", VA_SHARE},
    [VA_M_CHURN_MAX] = {"churn_pairs_max", "most", VA_SHARE},
    [VA_M_ONE_CORRECT] = {"one_correct", "one right, %", VA_SHARE},
    [VA_M_AMONG_CORRECT] = {"churn_among_correct", "of what one gets right, %", VA_SHARE},
    [VA_M_FLIPPING] = {"flipping", "samples that flip, %", VA_SHARE},
    [VA_M_L2] = {"l2", "L2 apart", VA_NUMBER},
    [VA_M_L2_SD] = {"l2_pairs_sd", "sd of pairs", VA_NUMBER},
    [VA_M_L2_NORMALIZED] = {"l2_normalized", "normalized", VA_NUMBER},
    [VA_M_COSINE] = {"cosine", "cosine", VA_NUMBER},
    [VA_M_NORM] = {"norm", "norm", VA_NUMBER},
    [VA_M_SAMPLES] = {"samples", "samples", VA_WHOLE},
    [VA_M_RATIO] = {"sd_ratio_to_overall", "sd / overall sd", VA_NUMBER},
    [VA_M_FPR] = {"fpr", "FPR, %", VA_SHARE},
    [VA_M_FPR_SD] = {"fpr_sd", "its sd", VA_POINTS},
    [VA_M_FPR_MIN] = {"fpr_min", "lowest FPR", VA_SHARE},
    [VA_M_FPR_MAX] = {"fpr_max", "highest FPR", VA_SHARE},
    [VA_M_FNR] = {"fnr", "FNR, %", VA_SHARE},
    [VA_M_FNR_SD] = {"fnr_sd", "its sd", VA_POINTS},
    [VA_M_FNR_MIN] = {"fnr_min", "lowest FNR", VA_SHARE},
    [VA_M_FNR_MAX] = {"fnr_max", "highest FNR", VA_SHARE},
    [VA_M_DISSENT] = {"dissent", "dissent", VA_WHOLE},
    [VA_M_CORRECT] = {"correct", "right", VA_WHOLE},
    [VA_M_ENTROPY] = {"entropy", "entropy, bits", VA_NUMBER},
    [VA_M_DISAGREE] = {"disagree", "pairs, %", VA_SHARE},
    [VA_M_ECE] = {"ece", "ECE, %", VA_SHARE},
    [VA_M_ECE_ADAPTIVE] = {"ece_adaptive", "adaptive ECE, %", VA_SHARE},
    [VA_M_MCE] = {"mce", "MCE, %", VA_SHARE},
    [VA_M_CONFIDENCE] = {"confidence", "confidence, %", VA_SHARE},
    [VA_M_CONFIDENCE_SD] = {"confidence_sample_sd", "sd over samples", VA_POINTS},
    [VA_M_DIFFERENCE] = {"difference", "difference", VA_POINTS},
    [VA_M_P] = {"p", "p", VA_PROBABILITY},
    [VA_M_P_HOLM] = {"p_holm", "p (Holm)", VA_PROBABILITY},
    [VA_M_SD_RATIO] = {"sd_ratio", "ratio of sds", VA_NUMBER},
    [VA_M_P_SD] = {"p_sd", "p of that", VA_PROBABILITY},
    [VA_M_VARIANCE] = {"variance", "variance", VA_NUMBER},
    [VA_M_SHARE] = {"share", "share, %", VA_SHARE},
    [VA_M_FOR_MEAN] = {"runs_for_mean", "runs for the mean", VA_WHOLE},
    [VA_M_FOR_SD] = {"runs_for_sd", "runs for the sd", VA_WHOLE},
    [VA_M_PARTING] = {"parting_step", "first differ at step", VA_WHOLE},
    [VA_M_RATE] = {"growth_rate", "growth a step", VA_NUMBER},
    [VA_M_EXPONENT] = {"growth_exponent", "exponent", VA_NUMBER},
    [VA_M_IDENTICAL] = {"identical", "bit-identical", VA_WHOLE},
};

/* Ranges and spreads over pairs, which would make tables too wide. */
static const bool is_detail[VA_METRICS] = {
    [VA_M_MIN] = true,       [VA_M_MAX] = true,     [VA_M_CHURN_SD] = true, [VA_M_CHURN_MIN] = true,
    [VA_M_CHURN_MAX] = true, [VA_M_L2_SD] = true,   [VA_M_FPR_MIN] = true,  [VA_M_FPR_MAX] = true,
    [VA_M_FNR_MIN] = true,   [VA_M_FNR_MAX] = true,
};

const char *va_section_name(va_section section)
{
    return section_names[section];
}

vr_status va_section_parse(va_section *out, const char *name, size_t length)
{
    char known[256] = "";
    for (int s = 0; s < VA_SECTIONS; s++) {
        const size_t used = strlen(known);
        if (strlen(section_names[s]) == length && strncmp(section_names[s], name, length) == 0) {
            *out = (va_section)s;
            return VR_OK;
        }
        snprintf(known + used, sizeof known - used, "%s%s", s ? ", " : "", section_names[s]);
    }
    return vr_fail(VR_ERROR_ARGUMENT, "no section is called '%.*s': %s", (int)length, name, known);
}

const char *va_metric_name(va_metric metric)
{
    return metrics[metric].name;
}

const char *va_metric_head(va_metric metric)
{
    return metrics[metric].head;
}

va_kind va_metric_kind(va_metric metric)
{
    return metrics[metric].kind;
}

/* ---- figures ---- */

/* What is a share of a whole lies between 0 and 1, whatever a method says that does not know. */
static va_interval within_bounds(va_interval interval, va_kind kind)
{
    if (kind == VA_SHARE && interval.low < 0)
        interval.low = 0;
    if (kind == VA_SHARE && interval.high > 1)
        interval.high = 1;
    return interval;
}

va_figure *va_add(const va_place *place, va_metric metric, va_interval interval, const char *format, ...)
{
    va_report *report = place->report;
    char *item;
    va_list args;
    va_start(args, format);
    const int length = vasprintf(&item, format, args);
    va_end(args);
    va_figure *figures =
        length < 0 ? NULL : va_one_more(report->figures, report->count, &report->room, sizeof *figures);
    if (!figures) {
        if (length >= 0)
            free(item);
        report->out_of_memory = true;
        return NULL;
    }
    report->figures = figures;
    figures[report->count] = (va_figure){.section = place->section,
                                         .condition = place->condition,
                                         .against = place->against,
                                         .item = item,
                                         .metric = metric,
                                         .interval = within_bounds(interval, metrics[metric].kind),
                                         .detail = is_detail[metric]};
    return &figures[report->count++];
}

void va_add_note(va_report *report, va_figure *figure, const char *format, ...)
{
    char *note;
    va_list args;
    va_start(args, format);
    const int length = vasprintf(&note, format, args);
    va_end(args);
    report->out_of_memory |= length < 0;
    if (length < 0)
        return;
    free(figure ? figure->note : note);
    if (figure)
        figure->note = note;
}

va_interval va_plain(double value, int n)
{
    return (va_interval){.estimate = value, .low = NAN, .high = NAN, .n = n, .method = ""};
}

bool va_report_wants(const va_report *report, va_section section)
{
    return report->options.sections >> section & 1;
}

const va_figure *va_report_find(const va_report *report, va_section section, int condition, const char *item,
                                va_metric metric)
{
    for (size_t i = 0; i < report->count; i++) {
        const va_figure *f = &report->figures[i];
        if (f->section == section && f->condition == condition && f->metric == metric && strcmp(f->item, item) == 0)
            return f;
    }
    return NULL;
}

const char *va_group_text(char out[VA_GROUP_TEXT], const va_report *report, int condition, const va_group *group)
{
    const vr_evaluation_info *first = va_study_replica(report->study, condition, 0)->evaluation;
    const vr_group_info *column = &first->groups[report->conditions[condition].columns[group->column]];
    if (group->value >= 0 && (uint32_t)group->value < column->value_count)
        snprintf(out, VA_GROUP_TEXT, "%s = %s", column->name, column->values[group->value]);
    else
        snprintf(out, VA_GROUP_TEXT, "%s = %d", column->name, group->value);
    return out;
}

/* ---- the whole ---- */

static vr_status report_condition(va_report *report, int condition)
{
    va_condition_report *c = &report->conditions[condition];
    vr_status status = va_study_table(&c->table, &c->columns, report->study, condition);
    if (status == VR_OK)
        status = va_report_outcomes(report, condition);
    if (status == VR_OK && va_report_wants(report, VA_CALIBRATION))
        status = va_report_calibration(report, condition);
    va_table_free(c->table);
    c->table = NULL;
    if (status == VR_OK && va_report_wants(report, VA_WEIGHTS))
        status = va_report_weights(report, condition);
    if (status == VR_OK && va_report_wants(report, VA_CURVES))
        status = va_report_curves(report, condition);
    return status;
}

static vr_status fill(va_report *report)
{
    report->conditions = calloc((size_t)report->study->condition_count + 1, sizeof *report->conditions);
    vr_status status = report->conditions ? va_report_control(report) : vr_fail(VR_ERROR_MEMORY, "out of memory");
    for (int c = 0; status == VR_OK && c < report->study->condition_count; c++)
        status = report_condition(report, c);
    if (status == VR_OK && va_report_wants(report, VA_COMPARE))
        status = va_report_compare(report);
    if (status == VR_OK && va_report_wants(report, VA_VARIANCE))
        status = va_report_variance(report);
    if (status == VR_OK && report->out_of_memory)
        status = vr_fail(VR_ERROR_MEMORY, "out of memory");
    return status;
}

vr_status va_report_make(va_report **out, va_study *study, const va_report_options *options)
{
    va_report *report = calloc(1, sizeof *report);
    if (!report)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    report->study = study;
    report->options = *options;
    const vr_status status = fill(report);
    if (status == VR_OK)
        *out = report;
    else
        va_report_free(report);
    return status;
}

static void free_condition(va_condition_report *c)
{
    va_table_free(c->table);
    va_metrics_free(c->metrics);
    va_churn_free(c->churn);
    va_groups_free(c->groups);
    free(c->columns);
    free(c->flips);
    free(c->weight_pairs);
    for (int i = 0; i < 3; i++)
        free(c->weights_with_others[i]);
    for (int i = 0; i < VA_CURVES_KINDS; i++)
        free(c->curves[i].points);
}

void va_report_free(va_report *report)
{
    if (!report)
        return;
    for (int c = 0; report->conditions && c < report->study->condition_count; c++)
        free_condition(&report->conditions[c]);
    for (size_t i = 0; i < report->count; i++) {
        free(report->figures[i].item);
        free(report->figures[i].note);
    }
    free(report->figures);
    free(report->conditions);
    free(report->control);
    free(report);
}
