/* What differs between two HDF5 files, as text, JSON and CSV. */
#include "command.h"
#include "hdf5_diff.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define MOST_TYPE  60 /* bytes of a type where it is not what differs */
#define MOST_WIDTH 48 /* of the table's first column; longer paths make their lines longer */

static const struct {
    unsigned reason;
    const char *name;
} reason_names[] = {
    {VA_H5_ONE_SIDED, "one-sided"}, {VA_H5_OTHER_KIND, "kind"},     {VA_H5_OTHER_TYPE, "type"},
    {VA_H5_OTHER_SHAPE, "shape"},   {VA_H5_OTHER_VALUES, "values"}, {VA_H5_OTHER_TARGET, "target"},
};
#define REASONS (sizeof reason_names / sizeof *reason_names)

static bool has_statistics(const va_h5_finding *f)
{
    return f->values && f->values->has_statistics;
}

/* ||a - b|| / max(||a||, ||b||) */
static double relative_l2(const vr_comparison *c)
{
    const double norm = fmax(c->a_l2, c->b_l2);
    return norm > 0 ? c->diff_l2 / norm : c->diff_l2;
}

/* ---- text ---- */

static void print_text(FILE *out, const char *text)
{
    va_print_text(out, text, SIZE_MAX);
}

/* "3 of 12 objects differ" */
static void print_share(FILE *out, uint64_t part, uint64_t all, const char *noun)
{
    char text[VA_COUNT_TEXT];
    fprintf(out, "%s of ", va_count_text(text, part));
    va_print_count(out, all, noun);
    fputs(part == 1 || all == 1 ? " differs" : " differ", out);
}

/* ", 3 of 12 objects differ, 1 object only in a.h5", the first without its comma. */
static bool print_tally(FILE *out, const va_h5_diff *d, const va_h5_tally *tally, const char *noun, bool first)
{
    if (tally->compared) {
        fputs(first ? "" : ", ", out);
        print_share(out, tally->different, tally->compared, noun);
        first = false;
    }
    for (int s = 0; s < 2; s++)
        if (tally->only[s]) {
            fputs(first ? "" : ", ", out);
            va_print_count(out, tally->only[s], noun);
            fprintf(out, " only in %s", d->names[s]);
            first = false;
        }
    return first;
}

static void print_verdict(FILE *out, const va_h5_diff *d, bool color)
{
    const char *bold = color ? "\033[1m" : "", *plain = color ? "\033[0m" : "";
    if (va_h5_diff_is_same(d)) {
        fprintf(out, "%sthe same%s%s: ", bold, d->unequal ? " within the tolerance" : "", plain);
        va_print_count(out, d->objects.compared, "object");
        fputs(d->attributes.compared ? ", " : "", out);
        if (d->attributes.compared)
            va_print_count(out, d->attributes.compared, "attribute");
        fputs(", ", out);
        va_print_count(out, d->elements, "element");
        if (d->unequal) {
            char text[VA_COUNT_TEXT];
            fprintf(out, ", %s of them not equal", va_count_text(text, d->unequal));
        }
        fputc('\n', out);
        return;
    }
    fprintf(out, "%sdifferent%s: ", bold, plain);
    print_tally(out, d, &d->attributes, "attribute", print_tally(out, d, &d->objects, "object", true));
    fputc('\n', out);
}

static void print_coordinates(FILE *out, const va_h5_finding *f)
{
    for (int i = 0; i < f->rank; i++)
        fprintf(out, "%c%" PRIu64, i ? ',' : '[', (uint64_t)f->first[i]);
    if (f->rank)
        fputc(']', out);
}

static void print_values(FILE *out, const va_h5_finding *f)
{
    const va_h5_result *v = f->values;
    fputs("    ", out);
    if (v->count > 1) {
        print_share(out, v->different, v->count, "element");
        fputs(", the first at ", out);
    }
    print_coordinates(out, f);
    print_text(out, v->member);
    fputs(f->rank || v->member[0] ? ": " : "", out);
    print_text(out, v->value[0]);
    fputs(" and ", out);
    print_text(out, v->value[1]);
    if (v->numeric) {
        fprintf(out, "; max |a-b| %.3g, relative %.3g", v->max_abs, v->max_rel);
        if (v->max_ulp && (double)v->max_ulp != v->max_abs) /* of integers they are the same */
            fprintf(out, ", %" PRIu64 " ulp", v->max_ulp);
        if (v->nan_mismatch)
            fprintf(out, "; %" PRIu64 " NaN on one side only", v->nan_mismatch);
    }
    fputc('\n', out);
}

static void print_path(FILE *out, const va_h5_finding *f)
{
    print_text(out, f->path[0] ? f->path[0] : f->path[1]);
    if (f->path[0] && f->path[1] && strcmp(f->path[0], f->path[1]) != 0) {
        fputs(" and ", out);
        print_text(out, f->path[1]);
    }
}

/* "    type: f32 against f64" */
static void print_both(FILE *out, const char *what, char *const texts[2])
{
    fprintf(out, "    %s ", what);
    print_text(out, texts[0]);
    fputs(" against ", out);
    print_text(out, texts[1]);
    fputc('\n', out);
}

static void print_note(FILE *out, const char *before, const char *note)
{
    fputs(before, out);
    print_text(out, note);
    fputc('\n', out);
}

static void print_finding(FILE *out, const va_h5_diff *d, const va_h5_finding *f)
{
    const int side = f->kind[0] ? 0 : 1;
    const char *kind = va_h5_kind_name(f->kind[side]);
    print_path(out, f);
    if (f->reasons & VA_H5_ONE_SIDED) {
        fprintf(out, "  %s only in %s%s\n", kind, d->names[side],
                f->kind[side] == VA_H5_GROUP ? ", with all that is in it" : "");
        return;
    }
    if (f->reasons & VA_H5_OTHER_KIND)
        fprintf(out, "  %s in %s, %s in %s\n", kind, d->names[0], va_h5_kind_name(f->kind[1]), d->names[1]);
    else if (f->values) {
        fprintf(out, "  %s, ", kind);
        va_print_text(out, f->type[0], MOST_TYPE);
        fprintf(out, "%s%s%s\n", strlen(f->type[0]) > MOST_TYPE ? "..." : "", f->rank ? " " : "",
                f->rank ? f->shape[0] : "");
    } else
        fprintf(out, "  %s\n", kind);
    if (f->reasons & VA_H5_OTHER_TYPE)
        print_both(out, "type:", f->type);
    if (f->reasons & VA_H5_OTHER_TYPE && f->note)
        print_note(out, "    at ", f->note);
    if (f->reasons & VA_H5_OTHER_SHAPE)
        print_both(out, "shape:", f->shape);
    if (f->reasons & VA_H5_OTHER_TARGET)
        print_both(out, "leads to", f->target);
    if (f->reasons & VA_H5_OTHER_VALUES)
        print_values(out, f);
    if (f->note && !(f->reasons & VA_H5_OTHER_TYPE))
        print_note(out, "    of types not quite the same: ", f->note);
}

static void print_findings(FILE *out, const va_h5_diff *d, bool all)
{
    uint64_t shown = 0, hidden = d->left_out;
    for (size_t i = 0; i < d->count; i++) {
        if (!d->findings[i].reasons)
            continue;
        if (shown == VA_H5_DIFF_SHOWN && !all) {
            hidden++;
            continue;
        }
        if (shown++ == 0)
            fputc('\n', out);
        print_finding(out, d, &d->findings[i]);
    }
    if (hidden)
        fprintf(out, "and %" PRIu64 " more (--all)\n", hidden);
}

/* Values that are the same though their types are not quite. */
static void print_notes(FILE *out, const va_h5_diff *d, bool all)
{
    uint64_t shown = 0, hidden = 0;
    for (size_t i = 0; i < d->count; i++) {
        const va_h5_finding *f = &d->findings[i];
        if (f->reasons || !f->note)
            continue;
        if (shown == VA_H5_DIFF_SHOWN && !all) {
            hidden++;
            continue;
        }
        if (shown++ == 0)
            fputs("\nthe same values, in types not quite the same\n", out);
        print_path(out, f);
        fprintf(out, "  %s", va_h5_kind_name(f->kind[0]));
        print_note(out, ": ", f->note);
    }
    if (hidden)
        fprintf(out, "and %" PRIu64 " more (--all)\n", hidden);
}

static void print_statistics(FILE *out, const va_h5_diff *d)
{
    int width = 4;
    bool any = false;
    for (size_t i = 0; i < d->count; i++)
        if (has_statistics(&d->findings[i])) {
            const int length = (int)strlen(d->findings[i].path[0]);
            width = length > width ? length : width;
            width = width < MOST_WIDTH ? width : MOST_WIDTH;
            any = true;
        }
    if (!any)
        return;
    fprintf(out, "\n%-*s  %10s  %10s  %9s  %9s  %9s  %9s  %11s  %9s\n", width, "path", "elements", "differ",
            "max |a-b|", "mean", "max rel", "l2 rel", "cosine", "max ulp");
    for (size_t i = 0; i < d->count; i++) {
        const va_h5_finding *f = &d->findings[i];
        if (!has_statistics(f))
            continue;
        const vr_comparison *c = &f->values->statistics;
        const int used = (int)va_print_text(out, f->path[0], SIZE_MAX);
        fprintf(out, "%*s  %10" PRIu64 "  %10" PRIu64 "  %9.3g  %9.3g  %9.3g  %9.3g  %11.8g  %9" PRIu64 "\n",
                used < width ? width - used : 0, "", f->values->count, f->values->different, c->max_abs, c->mean_abs,
                c->max_rel, relative_l2(c), c->cosine, c->max_ulp);
    }
    fputs("mean: of |a-b|; l2 rel: ||a-b|| / max(||a||, ||b||)\n", out);
}

void va_h5_diff_text(FILE *out, const va_h5_diff *d, const va_h5_diff_options *options, bool color)
{
    print_verdict(out, d, color);
    print_findings(out, d, !options->most);
    print_notes(out, d, !options->most);
    print_statistics(out, d);
    if (d->stopped)
        fputs("\nstopped where --stop says: there may be more\n", out);
}

/* ---- JSON ---- */

static json_t *real_json(double value)
{
    return isfinite(value) ? json_real(value) : json_string(isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
}

static json_t *count_json(uint64_t value)
{
    return value <= INT64_MAX ? json_integer((json_int_t)value) : json_real((double)value);
}

static json_t *text_json(const char *text)
{
    return text ? va_json_path(text) : json_null();
}

static json_t *statistics_json(const vr_comparison *c)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:o}", "max_abs", real_json(c->max_abs),
        "mean_abs", real_json(c->mean_abs), "max_rel", real_json(c->max_rel), "mean_rel", real_json(c->mean_rel),
        "diff_l2", real_json(c->diff_l2), "a_l2", real_json(c->a_l2), "b_l2", real_json(c->b_l2), "relative_l2",
        real_json(relative_l2(c)), "cosine", real_json(c->cosine), "nan_both", (json_int_t)c->nan_both, "inf_mismatch",
        (json_int_t)c->inf_mismatch, "sign_flips", (json_int_t)c->sign_flips, "max_ulp", count_json(c->max_ulp));
}

static json_t *values_json(const va_h5_finding *f)
{
    const va_h5_result *v = f->values;
    if (!v)
        return json_null();
    json_t *out = json_pack("{s:o, s:o, s:o}", "elements", count_json(v->count), "different", count_json(v->different),
                            "unequal", count_json(v->unequal));
    if (v->first >= 0) {
        json_t *first = json_array();
        for (int i = 0; i < f->rank; i++)
            json_array_append_new(first, count_json(f->first[i]));
        json_object_set_new(out, "first", first);
        json_object_set_new(out, "member", text_json(v->member));
        json_object_set_new(out, "value_a", text_json(v->value[0]));
        json_object_set_new(out, "value_b", text_json(v->value[1]));
    }
    if (v->numeric) {
        json_object_set_new(out, "nan_mismatch", count_json(v->nan_mismatch));
        json_object_set_new(out, "max_abs", real_json(v->max_abs));
        json_object_set_new(out, "max_rel", real_json(v->max_rel));
        json_object_set_new(out, "max_ulp", count_json(v->max_ulp));
    }
    if (v->has_statistics)
        json_object_set_new(out, "statistics", statistics_json(&v->statistics));
    return out;
}

static json_t *reasons_json(const va_h5_finding *f)
{
    json_t *out = json_array();
    for (size_t i = 0; i < REASONS; i++)
        if (f->reasons & reason_names[i].reason)
            json_array_append_new(out, json_string(reason_names[i].name));
    return out;
}

static json_t *side_json(const va_h5_finding *f, int s)
{
    if (!f->kind[s])
        return json_null();
    return json_pack("{s:o, s:s, s:o, s:o, s:o}", "path", text_json(f->path[s]), "kind", va_h5_kind_name(f->kind[s]),
                     "type", text_json(f->type[s]), "shape", text_json(f->shape[s]), "target", text_json(f->target[s]));
}

static json_t *tally_json(const va_h5_tally *t)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "compared", count_json(t->compared), "different", count_json(t->different),
                     "only_a", count_json(t->only[0]), "only_b", count_json(t->only[1]));
}

json_t *va_h5_diff_json(const va_h5_diff *d)
{
    json_t *findings = json_array();
    for (size_t i = 0; i < d->count; i++) {
        const va_h5_finding *f = &d->findings[i];
        json_array_append_new(findings,
                              json_pack("{s:o, s:o, s:o, s:o, s:o}", "reasons", reasons_json(f), "a", side_json(f, 0),
                                        "b", side_json(f, 1), "note", text_json(f->note), "values", values_json(f)));
    }
    return json_pack("{s:b, s:o, s:o, s:b, s:o, s:o, s:o, s:o}", "same", va_h5_diff_is_same(d), "a",
                     text_json(d->names[0]), "b", text_json(d->names[1]), "stopped", d->stopped, "objects",
                     tally_json(&d->objects), "attributes", tally_json(&d->attributes), "elements",
                     json_pack("{s:o, s:o, s:o}", "compared", count_json(d->elements), "different",
                               count_json(d->different), "unequal", count_json(d->unequal)),
                     "findings", findings);
}

/* ---- CSV ---- */

void va_h5_diff_csv_header(FILE *out)
{
    fputs("file_a,file_b,path_a,path_b,kind_a,kind_b,reasons,type_a,type_b,shape_a,shape_b,elements,different,unequal,"
          "first,member,value_a,value_b,nan_mismatch,max_abs,max_rel,max_ulp,mean_abs,relative_l2,cosine\n",
          out);
}

static void print_field(FILE *out, const char *text)
{
    fputc(',', out);
    if (text)
        va_csv_text(out, text);
}

/* "type+shape" */
static void print_csv_reasons(FILE *out, const va_h5_finding *f)
{
    const char *between = "";
    fputc(',', out);
    for (size_t i = 0; i < REASONS; i++)
        if (f->reasons & reason_names[i].reason) {
            fprintf(out, "%s%s", between, reason_names[i].name);
            between = "+";
        }
}

static void print_real(FILE *out, double value)
{
    if (isnan(value))
        fputs(",nan", out);
    else
        fprintf(out, ",%.17g", value);
}

static void print_csv_values(FILE *out, const va_h5_finding *f)
{
    const va_h5_result *v = f->values;
    if (!v) {
        fputs(",,,,,,,,,,,,,,", out);
        return;
    }
    fprintf(out, ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",", v->count, v->different, v->unequal);
    for (int i = 0; i < f->rank; i++)
        fprintf(out, "%s%" PRIu64, i ? " " : "", (uint64_t)f->first[i]);
    print_field(out, v->first >= 0 ? v->member : NULL);
    print_field(out, v->first >= 0 ? v->value[0] : NULL);
    print_field(out, v->first >= 0 ? v->value[1] : NULL);
    if (v->numeric)
        fprintf(out, ",%" PRIu64 ",%.17g,%.17g,%" PRIu64, v->nan_mismatch, v->max_abs, v->max_rel, v->max_ulp);
    else
        fputs(",,,,", out);
    if (!v->has_statistics) {
        fputs(",,,", out);
        return;
    }
    print_real(out, v->statistics.mean_abs);
    print_real(out, relative_l2(&v->statistics));
    print_real(out, v->statistics.cosine);
}

void va_h5_diff_csv(FILE *out, const va_h5_diff *d)
{
    for (size_t i = 0; i < d->count; i++) {
        const va_h5_finding *f = &d->findings[i];
        va_csv_text(out, d->names[0]);
        print_field(out, d->names[1]);
        for (int s = 0; s < 2; s++)
            print_field(out, f->path[s]);
        for (int s = 0; s < 2; s++)
            print_field(out, f->kind[s] ? va_h5_kind_name(f->kind[s]) : NULL);
        print_csv_reasons(out, f);
        for (int s = 0; s < 2; s++)
            print_field(out, f->type[s] ? f->type[s] : f->target[s]);
        for (int s = 0; s < 2; s++)
            print_field(out, f->shape[s]);
        print_csv_values(out, f);
        fputc('\n', out);
    }
}
