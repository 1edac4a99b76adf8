/* A study's report as JSON and CSV (study_render.h). */
#include "sigbits_text.h"
#include "study_render.h"

#include <math.h>
#include <string.h>

static const char *condition_name(const va_report *report, int condition)
{
    return condition < 0 ? "" : report->study->conditions[condition].name;
}

/* ---- CSV ---- */

static void csv_note(FILE *out, const va_figure *f)
{
    char doubt[VA_DOUBT_TEXT], *both;
    va_doubt_text(doubt, &f->interval);
    if (asprintf(&both, "%s%s%s", f->note ? f->note : "", f->note && doubt[0] ? "; " : "", doubt) < 0)
        return;
    va_csv_text(out, both);
    free(both);
}

void va_study_csv(FILE *out, const va_report *report)
{
    fputs("section,condition,against,item,metric,estimate,low,high,n,note\n", out);
    for (size_t i = 0; i < report->count; i++) {
        const va_figure *f = &report->figures[i];
        fprintf(out, "%s,", va_section_name(f->section));
        va_csv_text(out, condition_name(report, f->condition));
        fputc(',', out);
        va_csv_text(out, condition_name(report, f->against));
        fputc(',', out);
        va_csv_text(out, f->item);
        fprintf(out, ",%s", va_metric_name(f->metric));
        va_csv_number(out, f->interval.estimate);
        va_csv_number(out, f->interval.low);
        va_csv_number(out, f->interval.high);
        fprintf(out, ",%d,", f->interval.n);
        csv_note(out, f);
        fputc('\n', out);
    }
}

/* ---- JSON ---- */

static json_t *text_json(const char *text)
{
    return text ? va_json_path(text) : json_null();
}

static json_t *doubts_json(const va_interval *interval)
{
    char text[VA_DOUBT_TEXT];
    va_doubt_text(text, interval);
    return text[0] ? json_string(text) : json_null();
}

static json_t *figure_json(const va_report *report, const va_figure *f)
{
    const va_interval *x = &f->interval;
    json_t *out = json_object();
    json_object_set_new(out, "condition",
                        f->condition < 0 ? json_null() : text_json(condition_name(report, f->condition)));
    if (f->against >= 0)
        json_object_set_new(out, "against", text_json(condition_name(report, f->against)));
    json_object_set_new(out, "item", text_json(f->item));
    json_object_set_new(out, "metric", json_string(va_metric_name(f->metric)));
    json_object_set_new(out, "estimate", va_json_number(x->estimate));
    json_object_set_new(out, "low", va_json_number(x->low));
    json_object_set_new(out, "high", va_json_number(x->high));
    json_object_set_new(out, "n", json_integer(x->n));
    json_object_set_new(out, "method", x->method && x->method[0] ? json_string(x->method) : json_null());
    json_object_set_new(out, "doubts", doubts_json(x));
    json_object_set_new(out, "note", text_json(f->note));
    return out;
}

static json_t *condition_json(const va_study *study, int condition)
{
    const va_study_condition *c = &study->conditions[condition];
    json_t *runs = json_array();
    for (int r = 0; r < c->count; r++)
        json_array_append_new(runs, va_json_path(va_study_replica(study, condition, r)->path));
    return json_pack("{s:o, s:o, s:b, s:o}", "name", va_json_path(c->name), "varied", va_json_path(c->varied),
                     "control", c->control, "runs", runs);
}

static json_t *left_out_json(const va_study *study)
{
    json_t *out = json_array();
    for (size_t i = 0; i < study->left_count; i++)
        json_array_append_new(out, json_pack("{s:o, s:o, s:b}", "path", va_json_path(study->left_out[i].path), "why",
                                             va_json_path(study->left_out[i].why), "unreadable",
                                             study->left_out[i].unreadable));
    return out;
}

json_t *va_study_json(const va_report *report)
{
    const va_study *study = report->study;
    json_t *out = json_object(), *conditions = json_array(), *notes = json_array(), *sections = json_object();
    for (int c = 0; c < study->condition_count; c++)
        json_array_append_new(conditions, condition_json(study, c));
    for (size_t i = 0; i < study->note_count; i++)
        json_array_append_new(notes, va_json_path(study->notes[i]));
    for (size_t i = 0; i < report->count; i++) {
        const char *name = va_section_name(report->figures[i].section);
        json_t *list = json_object_get(sections, name);
        if (!list) {
            list = json_array();
            json_object_set_new(sections, name, list);
        }
        json_array_append_new(list, figure_json(report, &report->figures[i]));
    }
    json_object_set_new(out, "set", va_json_path(study->set));
    json_object_set_new(out, "confidence", json_real(report->options.confidence));
    json_object_set_new(out, "seed", json_integer((json_int_t)report->options.seed));
    json_object_set_new(out, "control", text_json(report->control));
    json_object_set_new(out, "control_differs", json_boolean(report->control_differs));
    json_object_set_new(out, "conditions", conditions);
    json_object_set_new(out, "left_out", left_out_json(study));
    json_object_set_new(out, "notes", notes);
    json_object_set_new(out, "sections", sections);
    return out;
}
