#include "info_evaluations.h"

#include <formats/fail.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static vr_status count_correct(int64_t *out, vr_trace *trace, const vr_evaluation_info *info)
{
    enum { BLOCK = 8192 };
    int32_t labels[BLOCK], predictions[BLOCK];
    vr_status status = VR_OK;
    *out = 0;
    for (int64_t first = 0; status == VR_OK && first < info->count; first += BLOCK) {
        const int64_t left = info->count - first, n = left < BLOCK ? left : BLOCK;
        status = vr_evaluation_labels(trace, info, first, n, labels);
        if (status == VR_OK)
            status = vr_evaluation_predictions(trace, info, first, n, predictions);
        for (int64_t i = 0; status == VR_OK && i < n; i++)
            *out += labels[i] == predictions[i];
    }
    return status;
}

vr_status va_evaluations_read(va_evaluations *out, vr_trace *trace)
{
    const vr_evaluation_info *all;
    *out = (va_evaluations){0};
    vr_status status = vr_trace_evaluations(trace, &all, &out->count);
    if (status != VR_OK)
        return status;
    out->all = calloc(out->count + 1, sizeof *out->all);
    if (!out->all)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    for (uint64_t i = 0; status == VR_OK && i < out->count; i++) {
        out->all[i].info = &all[i];
        status = count_correct(&out->all[i].correct, trace, &all[i]);
    }
    if (status != VR_OK)
        va_evaluations_free(out);
    return status;
}

void va_evaluations_free(va_evaluations *evaluations)
{
    free(evaluations->all);
    *evaluations = (va_evaluations){0};
}

static double accuracy(const va_evaluation *of)
{
    return (double)of->correct / (double)of->info->count;
}

/* ---- text ---- */

/* "10", "?" where the run did not say. */
static const char *classes_text(char out[VA_COUNT_TEXT], const vr_evaluation_info *info)
{
    return info->classes ? va_count_text(out, (uint64_t)info->classes) : "?";
}

/* A number, or "-" where there is none. */
static void print_number(FILE *out, int width, double value, bool has)
{
    if (has)
        fprintf(out, "  %*.4f", width, value);
    else
        fprintf(out, "  %*s", width, "-");
}

static void print_columns(FILE *out, const vr_evaluation_info *info)
{
    const char *between = "  ";
    if (info->probabilities_type) {
        fprintf(out, "%sprobabilities", between);
        between = ", ";
    }
    if (info->losses_type) {
        fprintf(out, "%slosses", between);
        between = ", ";
    }
    for (uint32_t i = 0; i < info->group_count; i++) {
        fprintf(out, "%s%s", between, info->groups[i].name);
        between = ", ";
    }
    fputc('\n', out);
}

static void print_row(FILE *out, const va_evaluation *of, int width, uint64_t number)
{
    char count[VA_COUNT_TEXT], samples[VA_COUNT_TEXT], classes[VA_COUNT_TEXT];
    const vr_evaluation_info *info = of->info;
    fprintf(out, "%-*s", width, info->name);
    if (number)
        fprintf(out, "  %5s", va_count_text(count, number));
    fprintf(out, "  %8" PRIu64 "  %5u  %8s  %7s", info->step, info->epoch,
            va_count_text(samples, (uint64_t)info->count), classes_text(classes, info));
    print_number(out, 8, accuracy(of), info->count > 0);
    print_number(out, 8, info->loss, info->has_loss);
    print_columns(out, info);
}

/* A set of samples: how often it was used, and last where. */
typedef struct sample_set {
    const char *name;
    uint64_t count, last;
} sample_set;

/* The sets, at most one an evaluation, in the order of their first; how many there are. */
static uint64_t list_sets(sample_set *sets, const va_evaluations *in)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < in->count; i++) {
        uint64_t s = 0;
        while (s < count && sets[s].name != in->all[i].info->name) /* the trace has each name once */
            s++;
        if (s == count)
            sets[count++] = (sample_set){.name = in->all[i].info->name};
        sets[s].count++;
        sets[s].last = i;
    }
    return count;
}

static void print_sets(FILE *out, const va_evaluations *evaluations, int width)
{
    sample_set *sets = malloc(evaluations->count * sizeof *sets);
    const uint64_t count = sets ? list_sets(sets, evaluations) : 0;
    for (uint64_t s = 0; s < count; s++)
        print_row(out, &evaluations->all[sets[s].last], width, sets[s].count);
    free(sets);
}

void va_evaluations_print(FILE *out, const va_evaluations *evaluations, bool each)
{
    int width = 10;
    for (uint64_t i = 0; i < evaluations->count; i++) {
        const size_t length = strlen(evaluations->all[i].info->name);
        width = length > (size_t)width && length < 48 ? (int)length : width;
    }
    if (evaluations->count == 0)
        return;
    fprintf(out, "\n%-*s%s  %8s  %5s  %8s  %7s  %8s  %8s  %s\n", width, "evaluation", each ? "" : "  times",
            each ? "step" : "last at", "epoch", "samples", "classes", "accuracy", "loss", "also");
    if (!each)
        print_sets(out, evaluations, width);
    for (uint64_t i = 0; each && i < evaluations->count; i++)
        print_row(out, &evaluations->all[i], width, 0);
}

/* ---- JSON and CSV ---- */

static const char *type_text(vr_dtype type)
{
    return type ? vr_dtype_name(type) : "";
}

void va_evaluations_csv(FILE *out, const va_evaluations *evaluations, const char *path, bool header)
{
    if (header)
        fputs("path,set,step,epoch,samples,classes,correct,accuracy,loss,probabilities,losses,groups\n", out);
    for (uint64_t i = 0; i < evaluations->count; i++) {
        const va_evaluation *of = &evaluations->all[i];
        const vr_evaluation_info *info = of->info;
        va_csv_text(out, path);
        fputc(',', out);
        va_csv_text(out, info->name);
        fprintf(out, ",%" PRIu64 ",%u,%" PRId64 ",%" PRId64 ",%" PRId64 ",", info->step, info->epoch, info->count,
                info->classes, of->correct);
        if (info->count)
            fprintf(out, "%.17g", accuracy(of));
        fputc(',', out);
        if (info->has_loss)
            fprintf(out, "%.17g", info->loss);
        fprintf(out, ",%s,%s,%u\n", type_text(info->probabilities_type), type_text(info->losses_type),
                info->group_count);
    }
}

static json_t *type_json(vr_dtype type)
{
    return type ? json_string(vr_dtype_name(type)) : json_null();
}

/* null where it is not a finite number, which JSON has no word for. */
static json_t *number_json(double value, bool has)
{
    return has && isfinite(value) ? json_real(value) : json_null();
}

static json_t *groups_json(const vr_evaluation_info *info)
{
    json_t *out = json_array();
    for (uint32_t i = 0; i < info->group_count; i++) {
        json_t *values = json_array();
        for (uint32_t v = 0; v < info->groups[i].value_count; v++)
            json_array_append_new(values, json_string(info->groups[i].values[v]));
        json_array_append_new(out, json_pack("{s:s, s:o}", "name", info->groups[i].name, "values", values));
    }
    return out;
}

json_t *va_evaluations_json(const va_evaluations *evaluations)
{
    json_t *out = json_array();
    for (uint64_t i = 0; i < evaluations->count; i++) {
        const va_evaluation *of = &evaluations->all[i];
        const vr_evaluation_info *info = of->info;
        json_array_append_new(
            out, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "set", info->name, "step",
                           (json_int_t)info->step, "epoch", (json_int_t)info->epoch, "samples", (json_int_t)info->count,
                           "classes", (json_int_t)info->classes, "correct", (json_int_t)of->correct, "accuracy",
                           number_json(accuracy(of), info->count > 0), "loss", number_json(info->loss, info->has_loss),
                           "probabilities", type_json(info->probabilities_type), "losses", type_json(info->losses_type),
                           "groups", groups_json(info)));
    }
    return out;
}
