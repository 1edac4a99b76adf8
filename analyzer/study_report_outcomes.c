/* What the runs of a condition predicted: how well, how much alike, for which classes and groups (study_report.h). */
#include "study_calibration.h"
#include "study_report.h"

#include <formats/fail.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

static double confidence_of(const va_report *report)
{
    return report->options.confidence;
}

/* ---- accuracy and loss ---- */

static vr_status add_loss(const va_place *place, const va_condition_report *c)
{
    va_report *report = place->report;
    const int n = c->table->replicas;
    const vr_evaluation_info *first = va_study_replica(report->study, place->condition, 0)->evaluation;
    double *loss = calloc((size_t)n + 1, sizeof *loss);
    if (!loss)
        return no_memory();
    for (int r = 0; r < n; r++)
        loss[r] = c->table->rows[r].loss;
    if (c->metrics->loss_spread.n > 0 || first->has_loss || first->losses_type) {
        va_figure *f = va_add(place, VA_M_LOSS, va_mean_interval(loss, (size_t)n, confidence_of(report)), "%s", "");
        if (c->metrics->loss_spread.excluded)
            va_add_note(report, f, "not finite, or not recorded, in %d of %d runs", c->metrics->loss_spread.excluded,
                        n);
        va_add(place, VA_M_LOSS_SD, va_sd_interval(loss, (size_t)n, confidence_of(report)), "%s", "");
    }
    free(loss);
    return VR_OK;
}

static vr_status add_accuracy(va_report *report, int condition)
{
    const va_place place = {report, VA_ACCURACY, condition, -1};
    const va_condition_report *c = &report->conditions[condition];
    const va_metrics *m = c->metrics;
    const size_t n = (size_t)m->replicas;
    va_figure *f = va_add(&place, VA_M_ACCURACY, va_mean_interval(m->accuracy, n, confidence_of(report)), "%s", "");
    if (m->outside)
        va_add_note(report, f, "%zu predictions name no class, and are wrong", m->outside);
    else if (m->samples == 0)
        va_add_note(report, f, "no samples that all runs have");
    f = va_add(&place, VA_M_SD, va_sd_interval(m->accuracy, n, confidence_of(report)), "%s", "");
    if (va_spread_lacks(&m->accuracy_spread))
        va_add_note(report, f, "%s", va_spread_lacks(&m->accuracy_spread));
    va_add(&place, VA_M_MIN, va_plain(m->accuracy_spread.min, m->replicas), "%s", "");
    va_add(&place, VA_M_MAX, va_plain(m->accuracy_spread.max, m->replicas), "%s", "");
    return add_loss(&place, c);
}

static void add_needed(va_report *report, int condition)
{
    const va_place place = {report, VA_NEEDED, condition, -1};
    const va_spread *s = &report->conditions[condition].metrics->accuracy_spread;
    const double confidence = confidence_of(report);
    const int for_mean = va_replicas_for_mean(s->sd, report->options.within, confidence);
    va_figure *f = va_add(&place, VA_M_FOR_MEAN, va_plain(for_mean ? for_mean : NAN, s->n), "%s", "");
    va_add_note(report, f, "mean accuracy within %g points, were the sd what it is here", 100 * report->options.within);
    f = va_add(&place, VA_M_FOR_SD, va_plain(va_replicas_for_sd(0.2, confidence), s->n), "%s", "");
    va_add_note(report, f, "sd at most 20%% above what is found, for values near the normal distribution");
}

/* ---- churn ---- */

static vr_status add_pairs_figure(const va_place *place, va_metric metric, const double *pairs, size_t n)
{
    double *with_others = calloc(n + 1, sizeof *with_others);
    if (!with_others)
        return no_memory();
    for (size_t a = 0; a < n; a++)
        for (size_t b = a + 1; b < n; b++) {
            with_others[a] += pairs[va_pair(a, b, n)] / (double)(n - 1);
            with_others[b] += pairs[va_pair(a, b, n)] / (double)(n - 1);
        }
    va_add(place, metric, va_pairs_interval(with_others, n > 1 ? pairs : NULL, n, 1, confidence_of(place->report)),
           "%s", "");
    free(with_others);
    return VR_OK;
}

static vr_status add_churn(va_report *report, int condition)
{
    const va_place place = {report, VA_CHURN, condition, -1};
    const va_condition_report *c = &report->conditions[condition];
    const va_churn *churn = c->churn;
    const size_t n = (size_t)churn->replicas;
    va_figure *f = va_add(
        &place, VA_M_CHURN,
        va_pairs_interval(churn->with_others, n > 1 ? churn->pairs : NULL, n, 1, confidence_of(report)), "%s", "");
    if (va_churn_lacks(churn))
        va_add_note(report, f, "%s", va_churn_lacks(churn));
    va_add(&place, VA_M_CHURN_SD, va_plain(churn->over_pairs.sd, churn->over_pairs.n), "%s", "");
    va_add(&place, VA_M_CHURN_MIN, va_plain(churn->over_pairs.min, churn->over_pairs.n), "%s", "");
    va_add(&place, VA_M_CHURN_MAX, va_plain(churn->over_pairs.max, churn->over_pairs.n), "%s", "");
    vr_status status = add_pairs_figure(&place, VA_M_ONE_CORRECT, churn->one_correct, n);
    if (status == VR_OK)
        status = add_pairs_figure(&place, VA_M_AMONG_CORRECT, churn->among_correct, n);
    const double samples = (double)churn->samples;
    f = va_add(&place, VA_M_FLIPPING, va_plain((double)c->flip_total / samples, (int)n), "%s", "");
    va_add_note(report, f, "%zu of %zu samples", c->flip_total, churn->samples);
    return status;
}

/* ---- classes ---- */

static void add_classes(va_report *report, int condition)
{
    const va_place place = {report, VA_CLASSES, condition, -1};
    const va_condition_report *c = &report->conditions[condition];
    const va_metrics *m = c->metrics;
    const size_t n = (size_t)m->replicas;
    for (int k = 0; k < m->classes; k++) {
        const double *values = &m->class_accuracy[(size_t)k * n];
        va_figure *f = va_add(&place, VA_M_SAMPLES, va_plain((double)m->class_samples[k], (int)n), "class %d", k);
        if (m->class_samples[k] == 0)
            va_add_note(report, f, "no samples");
        va_add(&place, VA_M_ACCURACY, va_mean_interval(values, n, confidence_of(report)), "class %d", k);
        va_add(&place, VA_M_SD, va_sd_interval(values, n, confidence_of(report)), "class %d", k);
        va_add(&place, VA_M_RATIO, va_sd_ratio_interval(values, m->accuracy, n, confidence_of(report)), "class %d", k);
        va_add(&place, VA_M_MIN, va_plain(m->class_spread[k].min, (int)n), "class %d", k);
        va_add(&place, VA_M_MAX, va_plain(m->class_spread[k].max, (int)n), "class %d", k);
        va_add(&place, VA_M_CHURN,
               va_pairs_interval(&c->churn->class_with_others[(size_t)k * n], NULL, n, 1, confidence_of(report)),
               "class %d", k);
    }
}

/* ---- groups ---- */

static const va_metric fpr_metrics[] = {VA_M_FPR, VA_M_FPR_SD, VA_M_FPR_MIN, VA_M_FPR_MAX};
static const va_metric fnr_metrics[] = {VA_M_FNR, VA_M_FNR_SD, VA_M_FNR_MIN, VA_M_FNR_MAX};

static void add_rate(const va_place *place, const va_metric metric[4], const double *values, const va_spread *spread,
                     size_t n, const char *item)
{
    const double confidence = confidence_of(place->report);
    va_figure *f = va_add(place, metric[0], va_mean_interval(values, n, confidence), "%s", item);
    if (spread->n == 0)
        va_add_note(place->report, f, "no samples to err on");
    va_add(place, metric[1], va_sd_interval(values, n, confidence), "%s", item);
    va_add(place, metric[2], va_plain(spread->min, spread->n), "%s", item);
    va_add(place, metric[3], va_plain(spread->max, spread->n), "%s", item);
}

/* The mean of a rate over the classes that have one, run by run. */
static double *mean_over_classes(const va_group *group, size_t n, bool fnr)
{
    double *mean = calloc(n + 1, sizeof *mean);
    for (size_t r = 0; mean && r < n; r++) {
        int classes = 0;
        for (int i = 0; i < group->rate_count; i++) {
            const double rate = (fnr ? group->rates[i].fnr : group->rates[i].fpr)[r];
            mean[r] += isnan(rate) ? 0 : rate;
            classes += !isnan(rate);
        }
        mean[r] = classes ? mean[r] / classes : NAN;
    }
    return mean;
}

static void add_mean_rates(const va_place *place, const va_group *group, size_t n, const char *item)
{
    for (int fnr = 0; fnr < 2; fnr++) {
        double *mean = mean_over_classes(group, n, fnr);
        if (mean) {
            const va_spread spread = va_spread_of(mean, n);
            add_rate(place, fnr ? fnr_metrics : fpr_metrics, mean, &spread, n, item);
        }
        place->report->out_of_memory |= !mean;
        free(mean);
    }
}

static void add_class_rates(const va_place *place, const va_group *group, size_t n, const char *name)
{
    va_report *report = place->report;
    const size_t first = report->count;
    for (int i = 0; i < group->rate_count; i++) {
        char item[VA_GROUP_TEXT + 32];
        const va_rate *rate = &group->rates[i];
        snprintf(item, sizeof item, "%s, class %d", name, rate->positive);
        add_rate(place, fpr_metrics, rate->fpr, &rate->fpr_spread, n, item);
        add_rate(place, fnr_metrics, rate->fnr, &rate->fnr_spread, n, item);
    }
    for (size_t i = first; i < report->count; i++)
        report->figures[i].detail = true;
}

/* Of two classes, the rates are those of the second; of more, each against the rest, and their mean. */
static void add_group(const va_place *place, const va_condition_report *c, const va_group *group)
{
    char name[VA_GROUP_TEXT];
    va_report *report = place->report;
    const size_t n = (size_t)c->groups->replicas;
    va_group_text(name, report, place->condition, group);
    va_add(place, VA_M_SAMPLES, va_plain((double)group->samples, (int)n), "%s", name);
    va_add(place, VA_M_ACCURACY, va_mean_interval(group->accuracy, n, confidence_of(report)), "%s", name);
    va_add(place, VA_M_SD, va_sd_interval(group->accuracy, n, confidence_of(report)), "%s", name);
    va_add(place, VA_M_RATIO, va_sd_ratio_interval(group->accuracy, c->metrics->accuracy, n, confidence_of(report)),
           "%s", name);
    va_add(place, VA_M_MIN, va_plain(group->accuracy_spread.min, (int)n), "%s", name);
    va_add(place, VA_M_MAX, va_plain(group->accuracy_spread.max, (int)n), "%s", name);
    add_mean_rates(place, group, n, name);
    if (group->rate_count > 1)
        add_class_rates(place, group, n, name);
}

static void add_groups(va_report *report, int condition)
{
    const va_place place = {report, VA_GROUPS, condition, -1};
    const va_condition_report *c = &report->conditions[condition];
    for (size_t g = 0; c->groups && g < c->groups->count; g++)
        add_group(&place, c, &c->groups->groups[g]);
}

/* ---- samples ---- */

static void add_flips(va_report *report, int condition)
{
    const va_place place = {report, VA_FLIPS, condition, -1};
    const va_condition_report *c = &report->conditions[condition];
    const int n = c->metrics->replicas;
    for (size_t i = 0; i < c->flip_count; i++) {
        const va_flip *flip = &c->flips[i];
        va_figure *f = va_add(&place, VA_M_DISSENT, va_plain(flip->dissent, n), "sample %" PRIu64, flip->id);
        va_add_note(report, f, "label %d, mostly %d%s", flip->label, flip->majority,
                    flip->tied ? " (others as often)" : "");
        va_add(&place, VA_M_CORRECT, va_plain(flip->correct, n), "sample %" PRIu64, flip->id);
        va_add(&place, VA_M_ENTROPY, va_plain(flip->entropy, n), "sample %" PRIu64, flip->id);
        va_add(&place, VA_M_DISAGREE, va_plain(flip->disagree, n), "sample %" PRIu64, flip->id);
        if (flip->confidence.n) {
            va_add(&place, VA_M_CONFIDENCE, va_plain(flip->confidence.mean, flip->confidence.n), "sample %" PRIu64,
                   flip->id);
        }
    }
}

/* ---- runs ---- */

static void add_runs(va_report *report, int condition)
{
    const va_place place = {report, VA_RUNS, condition, -1};
    const va_condition_report *c = &report->conditions[condition];
    for (int r = 0; r < c->metrics->replicas; r++) {
        const va_study_run *run = va_study_replica(report->study, condition, r);
        va_add(&place, VA_M_ACCURACY, va_plain(c->metrics->accuracy[r], 1), "%s", run->path);
        va_add(&place, VA_M_LOSS, va_plain(c->table->rows[r].loss, 1), "%s", run->path);
        va_add(&place, VA_M_CHURN, va_plain(c->churn->with_others[r], c->metrics->replicas - 1), "%s", run->path);
    }
}

/* ---- together ---- */

static vr_status compute(va_report *report, int condition)
{
    va_condition_report *c = &report->conditions[condition];
    vr_status status = va_metrics_of(&c->metrics, c->table);
    if (status == VR_OK)
        status = va_churn_of(&c->churn, c->table);
    if (status == VR_OK && c->table->columns > 0)
        status = va_groups_of(&c->groups, c->table);
    if (status == VR_OK)
        status = va_flips_of(&c->flips, &c->flip_count, &c->flip_total, c->table, report->options.flips);
    return status;
}

vr_status va_report_outcomes(va_report *report, int condition)
{
    vr_status status = compute(report, condition);
    if (status == VR_OK && va_report_wants(report, VA_RUNS))
        add_runs(report, condition);
    if (status == VR_OK && va_report_wants(report, VA_ACCURACY))
        status = add_accuracy(report, condition);
    if (status == VR_OK && va_report_wants(report, VA_CHURN))
        status = add_churn(report, condition);
    if (status == VR_OK && va_report_wants(report, VA_CLASSES))
        add_classes(report, condition);
    if (status == VR_OK && va_report_wants(report, VA_GROUPS))
        add_groups(report, condition);
    if (status == VR_OK && va_report_wants(report, VA_FLIPS))
        add_flips(report, condition);
    if (status == VR_OK && va_report_wants(report, VA_NEEDED))
        add_needed(report, condition);
    return status;
}

/* ---- calibration ---- */

enum { ECE, ADAPTIVE, MCE, CONFIDENCE, CONFIDENCE_SD, CALIBRATIONS };

static const va_metric calibration_metrics[CALIBRATIONS] = {VA_M_ECE, VA_M_ECE_ADAPTIVE, VA_M_MCE, VA_M_CONFIDENCE,
                                                            VA_M_CONFIDENCE_SD};

/* values[metric * replicas + r], NaN where a replica has no probabilities; `*unusable` samples had none in 0..1. */
static vr_status calibrate(double *values, size_t *unusable, const va_table *table)
{
    vr_status status = VR_OK;
    size_t left_out = 0;
    const int n = table->replicas;
#pragma omp parallel for schedule(dynamic) reduction(+ : left_out)
    for (int r = 0; r < n; r++) {
        va_calibration *of = malloc(sizeof *of);
        const bool known = of && table->rows[r].confidences;
        const vr_status mine = !of     ? VR_ERROR_MEMORY
                               : known ? va_calibration_of(of, table->rows[r].confidences, table->labels,
                                                           table->rows[r].predictions, table->samples, VA_BINS)
                                       : VR_OK;
        const double of_run[CALIBRATIONS] = {known ? of->ece : NAN, known ? of->adaptive_ece : NAN,
                                             known ? of->mce : NAN, known ? of->confidence : NAN,
                                             known ? of->confidence_sd : NAN};
        for (int i = 0; i < CALIBRATIONS; i++)
            values[i * n + r] = of_run[i];
        left_out += known ? of->unusable : 0;
        if (mine != VR_OK)
#pragma omp critical(va_calibrate)
            status = mine;
        free(of);
    }
    *unusable = left_out;
    return status == VR_OK ? VR_OK : no_memory();
}

vr_status va_report_calibration(va_report *report, int condition)
{
    const va_place place = {report, VA_CALIBRATION, condition, -1};
    const va_table *table = report->conditions[condition].table;
    const size_t n = (size_t)table->replicas;
    bool any = false;
    for (size_t r = 0; r < n; r++)
        any |= table->rows[r].confidences != NULL;
    double *values = any ? calloc(CALIBRATIONS * n, sizeof *values) : NULL;
    size_t unusable = 0;
    if (!any)
        return VR_OK;
    const vr_status status = values ? calibrate(values, &unusable, table) : no_memory();
    for (int i = 0; status == VR_OK && i < CALIBRATIONS; i++) {
        va_figure *f = va_add(&place, calibration_metrics[i],
                              va_mean_interval(values + (size_t)i * n, n, confidence_of(report)), "%s", "");
        if (i == ECE && unusable)
            va_add_note(report, f, "%zu predictions without a confidence between 0 and 1 left out", unusable);
    }
    free(values);
    return status;
}
