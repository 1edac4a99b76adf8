/* Whether runs in which nothing varies are the same, and where they part if not (study_report.h). */
#include "agree.h"
#include "guard.h"
#include "study_report_parting.h"

#include <formats/fail.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <varanalyze/projection.h>

/* In what a run differs from another, by digests. */
typedef enum likeness {
    ALIKE,
    OTHER_SAMPLES,
    OTHER_PREDICTIONS,
    OTHER_PROBABILITIES,
    OTHER_LOSS,
    OTHER_WEIGHTS
} likeness;

/* Two runs of a condition that differ, and how. */
typedef struct odd_pair {
    int first, other;
    likeness how;
} odd_pair;

/* What only one of two runs recorded makes no difference. */
static bool same_losses(const vr_evaluation_info *a, const vr_evaluation_info *b)
{
    if (a->has_loss && b->has_loss && a->loss != b->loss && !(isnan(a->loss) && isnan(b->loss)))
        return false;
    return !a->losses_type || !b->losses_type || vr_digest_equal(a->losses.digest, b->losses.digest);
}

static likeness compare_evaluations(const vr_evaluation_info *a, const vr_evaluation_info *b)
{
    if (a->count != b->count || !vr_digest_equal(a->ids.digest, b->ids.digest))
        return OTHER_SAMPLES;
    if (!vr_digest_equal(a->predictions.digest, b->predictions.digest))
        return OTHER_PREDICTIONS;
    if (a->probabilities_type && b->probabilities_type &&
        !vr_digest_equal(a->probabilities.digest, b->probabilities.digest))
        return OTHER_PROBABILITIES;
    return same_losses(a, b) ? ALIKE : OTHER_LOSS;
}

static likeness compare_weights(const vr_weight_info *a, uint64_t count, const vr_weight_info *b, uint64_t others)
{
    if (count != others)
        return OTHER_WEIGHTS;
    for (uint64_t i = 0; i < count; i++)
        if (!vr_digest_equal(a[i].record.digest, b[i].record.digest) || !va_same_kind(a[i].site, b[i].site))
            return OTHER_WEIGHTS;
    return ALIKE;
}

/* The first run that does not predict as the first does, or has other weights than the first that has any. */
static vr_status find_odd(odd_pair *out, const va_study *study, int condition)
{
    const vr_weight_info *weights = NULL;
    uint64_t count = 0;
    int with_weights = 0;
    vr_status status = VR_OK;
    *out = (odd_pair){0};
    for (int r = 0; status == VR_OK && out->how == ALIKE && r < study->conditions[condition].count; r++) {
        const va_study_run *run = va_study_replica(study, condition, r);
        const vr_weight_info *mine;
        uint64_t of_mine;
        *out =
            (odd_pair){0, r, compare_evaluations(va_study_replica(study, condition, 0)->evaluation, run->evaluation)};
        va_guard_file(run->path);
        status = vr_trace_weights(run->trace, &mine, &of_mine);
        if (status != VR_OK || of_mine == 0)
            continue;
        if (count == 0) {
            weights = mine;
            count = of_mine;
            with_weights = r;
        } else if (out->how == ALIKE) {
            *out = (odd_pair){with_weights, r, compare_weights(weights, count, mine, of_mine)};
        }
    }
    return status;
}

/* Whether run r predicts as an earlier one of its condition and ends with the same weights. */
static vr_status find_twin(bool *out, const va_study *study, int condition, int r)
{
    const va_study_run *run = va_study_replica(study, condition, r);
    const vr_weight_info *mine, *others;
    uint64_t of_mine, of_others;
    vr_status status = vr_trace_weights(run->trace, &mine, &of_mine);
    *out = false;
    for (int i = 0; status == VR_OK && of_mine > 0 && !*out && i < r; i++) {
        const va_study_run *earlier = va_study_replica(study, condition, i);
        if (compare_evaluations(earlier->evaluation, run->evaluation) != ALIKE)
            continue;
        status = vr_trace_weights(earlier->trace, &others, &of_others);
        *out = status == VR_OK && compare_weights(others, of_others, mine, of_mine) == ALIKE;
    }
    return status;
}

/* Runs of one seed, as two campaigns that were put together have them, are no independent replicas. */
static vr_status note_twins(va_study *study, int condition)
{
    const va_study_condition *c = &study->conditions[condition];
    int twins = 0;
    vr_status status = VR_OK;
    for (int r = 1; status == VR_OK && r < c->count; r++) {
        bool twin;
        status = find_twin(&twin, study, condition, r);
        twins += status == VR_OK && twin;
    }
    if (twins)
        va_study_note(study,
                      "%s: %d of %d runs are bit-identical to another (the same seeds?), and counted as if they were "
                      "independent",
                      c->name, twins, c->count);
    return status;
}

/* Where two runs parted and why, as diff says. */
static vr_status write_parting(FILE *out, const va_study_run *a, const va_study_run *b)
{
    va_diff *diff;
    const va_diff_options options = VA_DIFF_OPTIONS_INIT;
    const vr_status status = va_diff_run(&diff, a->trace, b->trace, &options);
    if (status != VR_OK)
        return status;
    if (diff->any) {
        const va_entity *e = &diff->entities[diff->first_entity];
        if (diff->first_step)
            fprintf(out, "  they part at step %" PRIu64 " (epoch %u), %s %s/%s\n", diff->first_step, diff->first_epoch,
                    vr_phase_name(e->phase), e->layer, e->name);
        else
            fprintf(out, "  they part in the setup, %s %s/%s\n", vr_phase_name(e->phase), e->layer, e->name);
    } else {
        fputs("  nothing that both recorded differs\n", out);
    }
    if (diff->finding_count && diff->findings[0].cause)
        fprintf(out, "  %s: %s\n", diff->findings[0].certainty == VA_CAUSE_UNKNOWN ? "cause unknown" : "likely cause",
                diff->findings[0].cause);
    fprintf(out, "  see: varanalyze diff %s %s\n", a->path, b->path);
    va_diff_free(diff);
    return VR_OK;
}

static vr_status write_odd(FILE *out, const va_report *report, int condition, const odd_pair *odd)
{
    static const char *const words[] = {[OTHER_SAMPLES] = "evaluated other samples, or in another order, than",
                                        [OTHER_PREDICTIONS] = "predicts otherwise than",
                                        [OTHER_PROBABILITIES] = "gives other probabilities than",
                                        [OTHER_LOSS] = "has another loss than",
                                        [OTHER_WEIGHTS] = "ended with other weights than"};
    const va_study_run *a = va_study_replica(report->study, condition, odd->first),
                       *b = va_study_replica(report->study, condition, odd->other);
    fprintf(out, "%s: NOT bit-identical, though nothing varies: %s %s %s\n", report->study->conditions[condition].name,
            b->path, words[odd->how], a->path);
    return write_parting(out, a, b);
}

/* How many runs of a condition recorded weights. */
static vr_status count_weighed(int *out, const va_study *study, int condition)
{
    vr_status status = VR_OK;
    *out = 0;
    for (int r = 0; status == VR_OK && r < study->conditions[condition].count; r++) {
        const vr_weight_info *weights;
        uint64_t count = 0;
        status = vr_trace_weights(va_study_replica(study, condition, r)->trace, &weights, &count);
        *out += status == VR_OK && count > 0;
    }
    return status;
}

static vr_status write_alike(FILE *out, const va_report *report, int condition)
{
    const va_study_condition *c = &report->study->conditions[condition];
    int weighed;
    if (c->count < 2) {
        fprintf(out, "%s: one run: there is none to hold it against\n", c->name);
        return VR_OK;
    }
    const vr_status status = count_weighed(&weighed, report->study, condition);
    fprintf(out, "%s: bit-identical: predictions%s of all %d runs are the same", c->name,
            weighed == c->count ? " and weights"
            : weighed           ? ""
                                : " (no weights were recorded)",
            c->count);
    if (weighed == 1)
        fputs("; one run alone recorded weights", out);
    else if (weighed && weighed < c->count)
        fprintf(out, ", and weights of the %d that recorded them", weighed);
    fputc('\n', out);
    return status;
}

/* Puts what is said of one condition to what was said of others, differences first. */
static bool add_lines(va_report *report, const char *lines, bool first)
{
    char *both;
    const char *before = report->control ? report->control : "";
    if (asprintf(&both, "%s%s", first ? lines : before, first ? before : lines) < 0)
        return false;
    free(report->control);
    report->control = both;
    return true;
}

static vr_status report_control(va_report *report, int condition, const odd_pair *odd)
{
    const va_place place = {report, VA_CONTROL, condition, -1};
    const va_study_condition *c = &report->study->conditions[condition];
    const bool alike = odd->how == ALIKE;
    char *lines = NULL;
    size_t size;
    FILE *out = open_memstream(&lines, &size);
    if (!out)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    vr_status status = alike ? write_alike(out, report, condition) : write_odd(out, report, condition, odd);
    if ((fclose(out) != 0 || !lines || !add_lines(report, lines, !alike)) && status == VR_OK)
        status = vr_fail(VR_ERROR_MEMORY, "out of memory");
    report->control_differs |= !alike;
    va_figure *f = va_add(&place, VA_M_IDENTICAL, va_plain(c->count > 1 ? alike : NAN, c->count), "%s", "");
    if (status == VR_OK)
        va_add_note(report, f, "%.*s", (int)strcspn(lines, "\n"), lines);
    free(lines);
    return status;
}

vr_status va_report_control(va_report *report)
{
    vr_status status = VR_OK;
    for (int c = 0; status == VR_OK && c < report->study->condition_count; c++) {
        const va_study_condition *condition = &report->study->conditions[c];
        odd_pair odd;
        status = find_odd(&odd, report->study, c);
        report->conditions[c].identical = odd.how == ALIKE && condition->count > 1;
        if (status == VR_OK && condition->control)
            status = report_control(report, c, &odd);
        else if (status == VR_OK && report->conditions[c].identical)
            va_study_note(report->study, "%s: all runs are bit-identical, though %s should vary", condition->name,
                          condition->varied);
        else if (status == VR_OK && condition->count > 1)
            status = note_twins(report->study, c);
    }
    return status;
}

/* ---- where runs part ---- */

static const va_parting *first_parting(const va_agreement *all)
{
    const va_parting *first = NULL;
    for (int r = 0; r < all->runs; r++)
        if (all->partings[r].parted && (!first || all->partings[r].step < first->step))
            first = &all->partings[r];
    return first;
}

static void add_parting(va_report *report, int condition, const va_agreement *all)
{
    const va_place place = {report, VA_CURVES, condition, -1};
    const va_parting *first = first_parting(all);
    va_figure *f = va_add(&place, VA_M_PARTING, va_plain(first ? (double)first->step : NAN, all->runs), "%s", "");
    if (first) {
        const va_entity *e = &all->entities[first->entity];
        va_add_note(report, f, "%s%s %s/%s", first->step ? "" : "in the setup: ", vr_phase_name(e->phase), e->layer,
                    e->name);
    } else {
        va_add_note(report, f, "they never differ in what was recorded");
    }
}

vr_status va_report_parting(va_report *report, int condition)
{
    const va_study_condition *c = &report->study->conditions[condition];
    const va_diff_options options = VA_DIFF_OPTIONS_INIT;
    va_agreement *all;
    if (c->count < 2)
        return VR_OK;
    vr_trace **traces = calloc((size_t)c->count, sizeof(vr_trace *));
    if (!traces)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    for (int r = 0; r < c->count; r++)
        traces[r] = va_study_replica(report->study, condition, r)->trace;
    const vr_status status = va_agree_run(&all, traces, c->count, &options);
    if (status == VR_OK) {
        add_parting(report, condition, all);
        va_agree_free(all);
    }
    free(traces);
    return status;
}
