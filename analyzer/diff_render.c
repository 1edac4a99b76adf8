#include "command.h"
#include "diff.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define MOST_FINDINGS 10 /* shown as text without --all */

static const char *const class_names[] = {"equal", "origin", "propagated", "unexplained", "one-sided"};

bool va_diff_is_same(const va_diff *d)
{
    return !d->different && !d->one_sided[0] && !d->one_sided[1] && d->steps[0] == d->steps[1];
}

static const char *distance_text(char out[32], va_distance d)
{
    if (d.relative < 0)
        snprintf(out, 32, "-");
    else if (isinf(d.relative))
        snprintf(out, 32, "NaN/Inf");
    else
        snprintf(out, 32, "%s%.2g", d.exact ? "" : ">=", d.relative);
    return out;
}

/* ---- text ---- */

static void print_where(FILE *out, const va_diff *d, uint32_t entity, uint64_t step, uint32_t epoch)
{
    const va_entity *e = &d->entities[entity];
    if (step == 0)
        fputs("in the setup", out);
    else
        fprintf(out, "at step %" PRIu64 " (epoch %u)", step, epoch);
    fprintf(out, ", %s %s/%s", vr_phase_name(e->phase), e->layer, e->name);
}

static void print_verdict(FILE *out, const va_diff *d, bool color)
{
    const char *bold = color ? "\033[1m" : "", *plain = color ? "\033[0m" : "";
    char text[VA_COUNT_TEXT];
    if (va_diff_is_same(d)) {
        fprintf(out, "%sthe same%s%s: ", bold, d->within ? " within the tolerance" : "", plain);
        va_print_count(out, d->compared, "record");
        fputs(" in ", out);
        va_print_count(out, d->steps[0], "step");
        if (d->within)
            fprintf(out, ", %s with other bits\n", va_count_text(text, d->within));
        else
            fputs(", all digests equal\n", out);
        return;
    }
    fprintf(out, "%sdifferent%s: ", bold, plain);
    if (d->any) {
        fprintf(out, "%s of ", va_count_text(text, d->different));
        va_print_count(out, d->compared, "record");
        fputs(d->compared == 1 ? " differs, the first " : " differ, the first ", out);
        print_where(out, d, d->first_entity, d->first_step, d->first_epoch);
        fputc('\n', out);
    } else {
        fputs("what both have is the same (", out);
        va_print_count(out, d->compared, "record");
        fputs(")\n", out);
    }
}

static void print_length(FILE *out, const va_diff *d)
{
    for (int run = 0; run < 2; run++) {
        const vr_trace_info *info = vr_trace_get_info(d->trace[run]);
        if (d->steps[run] > d->steps[!run]) {
            va_print_count(out, d->steps[run] - d->steps[!run], "step");
            fprintf(out, " only in %s", info->path);
            if (d->has_common)
                fprintf(out, "; compared up to step %" PRIu64, d->last_common);
            fputc('\n', out);
        }
        va_print_broken(out, info);
        if (d->one_sided[run]) {
            va_print_count(out, d->one_sided[run], "record");
            fprintf(out, " only in %s\n", info->path);
        }
    }
    if (d->without_values)
        fputs("some records have no values in both traces to hold against the tolerance: they count as different\n",
              out);
}

static void print_inputs(FILE *out, const va_diff *d, const va_finding *f)
{
    const vr_site *site = f->site[0];
    if (site->input_count == 0 || f->class != VA_ORIGIN)
        return;
    fputs("      inputs: ", out);
    for (uint32_t i = 0; i < site->input_count; i++)
        fprintf(out, "%s%s", i ? ", " : "", vr_trace_name(d->trace[0], site->inputs[i]));
    fputs(f->seed ? "\n" : d->within ? " (equal, or within the tolerance)\n" : " (equal)\n", out);
}

static void print_head(FILE *out, const va_diff *d, const va_finding *f)
{
    const va_entity *e = &d->entities[f->entity];
    char shape[2][VA_SHAPE_TEXT];
    fprintf(out, "  %s %s/%s  %s %s", vr_phase_name(e->phase), e->layer, e->name, vr_dtype_name(f->site[0]->dtype),
            va_shape_text(shape[0], f->site[0]));
    if (f->site[0]->dtype != f->site[1]->dtype || strcmp(shape[0], va_shape_text(shape[1], f->site[1])) != 0)
        fprintf(out, " and %s %s", vr_dtype_name(f->site[1]->dtype), shape[1]);
    if (f->step == 0)
        fputs(", in the setup", out);
    else
        fprintf(out, ", step %" PRIu64 " (epoch %u)", f->step, f->epoch);
    if (f->count > 1)
        fprintf(out, ", and %" PRIu64 " more up to step %" PRIu64, f->count - 1, f->last_step);
    fputc('\n', out);
}

/* Whether two findings are told together: the same cause, at the same time. */
static bool belong_together(const va_finding *a, const va_finding *b)
{
    return a->class == b->class && a->step == b->step && a->certainty == b->certainty &&
           strcmp(a->cause, b->cause) == 0;
}

/* A finding and those that belong to it: their heads, then what they share. */
static void print_finding(FILE *out, const va_diff *d, size_t first)
{
    static const char *const certainty[] = {"cause", "likely cause", "cause unknown"};
    const va_finding *f = &d->findings[first];
    size_t members = 0;
    for (size_t i = first; i < d->finding_count; i++)
        if (belong_together(f, &d->findings[i])) {
            print_head(out, d, &d->findings[i]);
            members++;
        }
    if (members == 1)
        print_inputs(out, d, f);
    if (f->class == VA_UNEXPLAINED)
        fprintf(out, "      %s\n", f->cause);
    else
        fprintf(out, "      %s: %s\n", certainty[f->certainty], f->cause);
    if (members == 1 && f->evidence)
        fprintf(out, "      %s\n", f->evidence);
}

static bool is_told(const va_diff *d, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (belong_together(&d->findings[j], &d->findings[i]))
            return true;
    return false;
}

static void print_findings(FILE *out, const va_diff *d, va_class class, const char *title, bool all)
{
    size_t shown = 0, hidden = 0;
    for (size_t i = 0; i < d->finding_count; i++) {
        if (d->findings[i].class != class || is_told(d, i))
            continue;
        if (shown == MOST_FINDINGS && !all) {
            hidden++;
            continue;
        }
        if (shown++ == 0)
            fprintf(out, "\n%s\n", title);
        print_finding(out, d, i);
    }
    if (hidden)
        fprintf(out, "  and %zu more (--all)\n", hidden);
}

static void print_layers(FILE *out, const va_diff *d)
{
    size_t width = 5;
    bool bounded = false;
    for (size_t i = 0; i < d->layer_count; i++)
        width = strlen(d->layers[i].layer) > width ? strlen(d->layers[i].layer) : width;
    fprintf(out, "\n%-*s  %-10s  %9s  %9s  %8s  %10s  %9s  %9s  %9s\n", (int)width, "layer", "phase", "records",
            "differ", "one side", "first step", "there", "largest", "last");
    for (size_t i = 0; i < d->layer_count; i++) {
        const va_layer_summary *l = &d->layers[i];
        char records[VA_COUNT_TEXT], differ[VA_COUNT_TEXT], one_sided[VA_COUNT_TEXT], first[32] = "-", there[32],
                                                                                      largest[32], last[32];
        if (l->different)
            snprintf(first, sizeof first, "%" PRIu64, l->first_step);
        bounded |= l->largest.relative >= 0 && !l->largest.exact;
        fprintf(out, "%-*s  %-10s  %9s  %9s  %8s  %10s  %9s  %9s  %9s\n", (int)width, l->layer, vr_phase_name(l->phase),
                va_count_text(records, l->compared), va_count_text(differ, l->different),
                va_count_text(one_sided, l->one_sided[0] + l->one_sided[1]), first, distance_text(there, l->first),
                distance_text(largest, l->largest), distance_text(last, l->last));
    }
    fputs("there, largest, last: ||a-b|| / max(||a||, ||b||) at the first differing step, at most, at the last", out);
    fputs(bounded ? "; >= is a bound from statistics\n" : "\n", out);
}

static void print_differences(FILE *out, const va_diff *d)
{
    if (!d->difference_count)
        return;
    fprintf(out, "\n%8s  %-11s  %-10s  %9s  %s\n", "step", "class", "phase", "distance", "layer/name");
    for (size_t i = 0; i < d->difference_count; i++) {
        const va_difference *x = &d->differences[i];
        const va_entity *e = &d->entities[x->entity];
        char distance[32];
        fprintf(out, "%8" PRIu64 "  %-11s  %-10s  %9s  %s/%s%s\n", x->step, class_names[x->class],
                vr_phase_name(e->phase), distance_text(distance, x->distance), e->layer, e->name,
                x->class != VA_ONE_SIDED ? ""
                : x->in[0]               ? " (only in the first)"
                                         : " (only in the second)");
    }
}

void va_diff_text(FILE *out, const va_diff *d, const va_diff_options *options, bool color)
{
    print_verdict(out, d, color);
    print_length(out, d);
    print_findings(out, d, VA_ORIGIN, "origins", options->all);
    print_findings(out, d, VA_UNEXPLAINED, "unexplained", options->all);
    if (d->propagated || d->unexplained) {
        fputc('\n', out);
        va_print_count(out, d->propagated, "record");
        fputs(" propagated", out);
        if (d->unexplained) {
            fputs(", ", out);
            va_print_count(out, d->unexplained, "record");
            fputs(" of which the traces do not tell: inputs not named, or not recorded", out);
        }
        fputc('\n', out);
    }
    if (d->any || d->one_sided[0] || d->one_sided[1])
        print_layers(out, d);
    print_differences(out, d);
}

/* ---- JSON ---- */

static json_t *distance_json(va_distance x)
{
    if (x.relative < 0)
        return json_null();
    return json_pack("{s:o, s:b}", "relative_l2", isinf(x.relative) ? json_string("inf") : json_real(x.relative),
                     "exact", x.exact);
}

static json_t *entity_json(const va_diff *d, uint32_t entity)
{
    const va_entity *e = &d->entities[entity];
    return json_pack("{s:s, s:s, s:s}", "phase", vr_phase_name(e->phase), "layer", e->layer, "name", e->name);
}

static json_t *finding_json(const va_diff *d, const va_finding *f)
{
    static const char *const certainty[] = {"known", "likely", "unknown"};
    json_t *out = entity_json(d, f->entity), *inputs = json_array();
    char hex[33];
    for (uint32_t i = 0; i < f->site[0]->input_count; i++)
        json_array_append_new(inputs, json_string(vr_trace_name(d->trace[0], f->site[0]->inputs[i])));
    json_object_set_new(out, "class", json_string(class_names[f->class]));
    json_object_set_new(out, "step", json_integer((json_int_t)f->step));
    json_object_set_new(out, "epoch", json_integer(f->epoch));
    json_object_set_new(out, "count", json_integer((json_int_t)f->count));
    json_object_set_new(out, "last_step", json_integer((json_int_t)f->last_step));
    json_object_set_new(out, "inputs", inputs);
    json_object_set_new(out, "missing_input", f->missing ? json_string(f->missing) : json_null());
    json_object_set_new(out, "certainty", json_string(certainty[f->certainty]));
    json_object_set_new(out, "cause", json_string(f->cause));
    json_object_set_new(out, "evidence", f->evidence ? json_string(f->evidence) : json_null());
    vr_digest_hex(hex, f->record[0].digest);
    json_object_set_new(out, "digest_a", json_string(hex));
    vr_digest_hex(hex, f->record[1].digest);
    json_object_set_new(out, "digest_b", json_string(hex));
    return out;
}

static json_t *layer_json(const va_layer_summary *l)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "layer", l->layer, "phase",
                     vr_phase_name(l->phase), "records", (json_int_t)l->compared, "differ", (json_int_t)l->different,
                     "only_a", (json_int_t)l->one_sided[0], "only_b", (json_int_t)l->one_sided[1], "first_step",
                     l->different ? json_integer((json_int_t)l->first_step) : json_null(), "first_distance",
                     distance_json(l->first), "largest_distance", distance_json(l->largest), "last_distance",
                     distance_json(l->last));
}

static json_t *difference_json(const va_diff *d, const va_difference *x)
{
    json_t *out = entity_json(d, x->entity);
    json_object_set_new(out, "class", json_string(class_names[x->class]));
    json_object_set_new(out, "step", json_integer((json_int_t)x->step));
    json_object_set_new(out, "epoch", json_integer(x->epoch));
    json_object_set_new(out, "in_a", json_boolean(x->in[0]));
    json_object_set_new(out, "in_b", json_boolean(x->in[1]));
    json_object_set_new(out, "distance", distance_json(x->distance));
    return out;
}

static json_t *side_json(const va_diff *d, int run)
{
    const vr_trace_info *info = vr_trace_get_info(d->trace[run]);
    return json_pack("{s:o, s:I, s:I, s:b, s:b}", "path", va_json_path(info->path), "steps", (json_int_t)d->steps[run],
                     "only_here", (json_int_t)d->one_sided[run], "closed", info->closed, "incomplete",
                     info->incomplete);
}

json_t *va_diff_json(const va_diff *d)
{
    json_t *findings = json_array(), *layers = json_array(), *differences = json_array();
    for (size_t i = 0; i < d->finding_count; i++)
        json_array_append_new(findings, finding_json(d, &d->findings[i]));
    for (size_t i = 0; i < d->layer_count; i++)
        json_array_append_new(layers, layer_json(&d->layers[i]));
    for (size_t i = 0; i < d->difference_count; i++)
        json_array_append_new(differences, difference_json(d, &d->differences[i]));
    json_t *first = d->any ? entity_json(d, d->first_entity) : json_null();
    if (d->any) {
        json_object_set_new(first, "step", json_integer((json_int_t)d->first_step));
        json_object_set_new(first, "epoch", json_integer(d->first_epoch));
        json_object_set_new(first, "class", json_string(class_names[d->first_class]));
    }
    return json_pack("{s:b, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:O, s:o, s:o}", "same",
                     va_diff_is_same(d), "a", side_json(d, 0), "b", side_json(d, 1), "compared",
                     (json_int_t)d->compared, "different", (json_int_t)d->different, "within_tolerance",
                     (json_int_t)d->within, "origins", (json_int_t)d->origins, "propagated", (json_int_t)d->propagated,
                     "unexplained", (json_int_t)d->unexplained, "first", first, "findings", findings, "conditions",
                     d->conditions, "layers", layers, "differences", differences);
}

/* ---- CSV ---- */

static void print_csv_distance(FILE *out, va_distance x)
{
    if (x.relative < 0)
        fputs(",,", out);
    else
        fprintf(out, ",%.17g,%d", x.relative, x.exact);
}

void va_diff_csv(FILE *out, const va_diff *d)
{
    fputs(
        "layer,phase,records,differ,only_a,only_b,first_step,first_distance,first_exact,largest_distance,largest_exact,"
        "last_distance,last_exact\n",
        out);
    for (size_t i = 0; i < d->layer_count; i++) {
        const va_layer_summary *l = &d->layers[i];
        va_csv_text(out, l->layer);
        fprintf(out, ",%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",", vr_phase_name(l->phase), l->compared,
                l->different, l->one_sided[0], l->one_sided[1]);
        if (l->different)
            fprintf(out, "%" PRIu64, l->first_step);
        print_csv_distance(out, l->first);
        print_csv_distance(out, l->largest);
        print_csv_distance(out, l->last);
        fputc('\n', out);
    }
}
