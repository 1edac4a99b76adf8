#include "sigbits.h"
#include "sigbits_text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define SHOWN_VALUES 8 /* of a worst element, as text */

static va_bits_figure figure_of(const va_sigbits *all, bool contributing)
{
    if (all->options.general)
        return contributing ? VA_FIGURE_GENERAL_CONTRIBUTING : VA_FIGURE_GENERAL;
    return contributing ? VA_FIGURE_CONTRIBUTING : VA_FIGURE_SIGNIFICANT;
}

/* "conv1", or "metric/loss". */
static void name_row(char *out, size_t size, const char *layer, const char *name)
{
    snprintf(out, size, "%s%s%s", layer, name ? "/" : "", name ? name : "");
}

#define ROW_NAME 1024

/* ---- text ---- */

static size_t width_of(const va_sigbits *all)
{
    size_t width = 5;
    for (size_t i = 0; i < all->row_count; i++) {
        const va_sigbits_row *r = &all->rows[i];
        const size_t length = strlen(r->layer) + (r->name ? strlen(r->name) + 1 : 0);
        width = length > width ? length : width;
    }
    return width;
}

static const char *bound_text(char out[VA_BITS_TEXT], double bound)
{
    if (isnan(bound))
        snprintf(out, VA_BITS_TEXT, "-");
    else
        snprintf(out, VA_BITS_TEXT, "<=%.1f", bound);
    return out;
}

static const char *point_text(char out[VA_BITS_TEXT], const va_bits_point *p, int digits, bool whole)
{
    return p->is_bound ? bound_text(out, p->bits) : va_bits_text(out, p->bits, digits, whole);
}

static void print_counts(FILE *out, const va_sigbits *all, const va_sigbits_row *r)
{
    char notes[VA_BITS_NOTES], text[VA_COUNT_TEXT];
    const char *between = "  ";
    if (*va_bits_notes(notes, &r->counts, all->options.general)) {
        fprintf(out, "  %s", notes);
        between = ", ";
    }
    if (r->bounded) {
        fprintf(out, "%s%s %s without values: at most %.1f bits", between, va_count_text(text, r->bounded),
                r->bounded == 1 ? "tensor" : "tensors", r->bound);
        between = ", ";
    }
    if (r->unknown) {
        fprintf(out, "%s%s %s of unknown bits", between, va_count_text(text, r->unknown),
                r->unknown == 1 ? "tensor" : "tensors");
        between = ", ";
    }
    if (r->too_few) {
        fprintf(out, "%s%s %s too few bits", between, va_count_text(text, r->too_few),
                r->too_few == 1 ? "tensor has" : "tensors have");
        between = ", ";
    }
    if (r->incomplete)
        fprintf(out, "%s%s %s from fewer runs (%d at least)", between, va_count_text(text, r->incomplete),
                r->incomplete == 1 ? "tensor" : "tensors", r->fewest_runs);
    fputc('\n', out);
}

static void print_row(FILE *out, const va_sigbits *all, const va_sigbits_row *r, int width)
{
    char name[ROW_NAME], tensors[VA_COUNT_TEXT], elements[VA_COUNT_TEXT], text[8][VA_BITS_TEXT];
    const va_bits_summary *s = &r->figures[figure_of(all, false)], *c = &r->figures[figure_of(all, true)];
    const bool bound = isnan(s->median), whole = all->options.general;
    name_row(name, sizeof name, r->layer, r->name);
    if (all->options.by == VA_BY_STEP)
        fprintf(out, "%8" PRIu64 "  ", r->step);
    fprintf(out, "%-*s  %-10s  %7s  %10s  %6s  %6s  %6s  %6s", width, name, vr_phase_name(r->phase),
            va_count_text(tensors, r->tensors), va_count_text(elements, r->counts.elements),
            bound ? bound_text(text[0], r->bound) : va_bits_text(text[0], s->median, r->digits, whole),
            va_bits_text(text[1], s->low, r->digits, whole), va_bits_text(text[2], s->least, r->digits, whole),
            va_bits_text(text[3], c->median, r->digits, whole));
    if (all->options.bits.reference != VA_BITS_MEAN)
        fprintf(out, "  %6s", va_bits_text(text[4], r->figures[VA_FIGURE_BIAS].median, r->digits, false));
    if (all->options.by != VA_BY_STEP)
        fprintf(out, "  %6s  %6s", point_text(text[5], &r->first, r->digits, whole),
                point_text(text[6], &r->last, r->digits, whole));
    print_counts(out, all, r);
}

static void print_rows(FILE *out, const va_sigbits *all, bool color)
{
    const char *bold = color ? "\033[1m" : "", *plain = color ? "\033[0m" : "";
    const int width = (int)width_of(all);
    char quantile[16];
    snprintf(quantile, sizeof quantile, "%g%%", 100 * all->options.quantile);
    fprintf(out, "\n%s", bold);
    if (all->options.by == VA_BY_STEP)
        fprintf(out, "%8s  ", "step");
    fprintf(out, "%-*s  %-10s  %7s  %10s  %6s  %6s  %6s  %6s", width, "layer", "phase", "tensors", "elements", "median",
            quantile, "least", "contr.");
    if (all->options.bits.reference != VA_BITS_MEAN)
        fprintf(out, "  %6s", "bias");
    if (all->options.by != VA_BY_STEP)
        fprintf(out, "  %6s  %6s", "first", "last");
    fprintf(out, "  notes%s\n", plain);
    for (size_t i = 0; i < all->row_count; i++)
        print_row(out, all, &all->rows[i], width);
    fprintf(out, "median, %s, least: quantiles of the elements' significant bits; contr.: contributing bits, median",
            quantile);
    fputs(all->options.bits.reference != VA_BITS_MEAN ? "; bias: bits of the mean error, median\n" : "\n", out);
    fputs(all->options.by != VA_BY_STEP ? "first, last: medians at the first and last step; " : "", out);
    fputs("+: no more in the type; <=: bound on the tensor as a whole\n", out);
}

static void print_worst(FILE *out, const va_sigbits *all)
{
    if (all->worst.room == 0)
        return;
    fputs(all->worst.count ? "\nelements with the fewest bits\n" : "\nno element varies\n", out);
    for (size_t i = 0; i < all->worst.count; i++) {
        const va_worst *w = &all->worst.items[i];
        char index[VA_SHAPE_TEXT], bits[VA_BITS_TEXT];
        const int digits = va_bits_digits(w->site->dtype);
        const double figure = all->options.general ? w->bits.general : w->bits.significant;
        fprintf(out, "  %5s  %s %s/%s%s", va_bits_text(bits, figure, digits, all->options.general),
                vr_phase_name(w->site->phase), w->site->layer, w->site->name, va_index_text(index, w->site, w->index));
        fprintf(out, " at step %" PRIu64 " (epoch %u):", w->step, w->epoch);
        for (int k = 0; k < w->count && k < SHOWN_VALUES; k++)
            fprintf(out, " %.9g", w->values[k]);
        if (w->count > SHOWN_VALUES)
            fprintf(out, " and %d more", w->count - SHOWN_VALUES);
        fputc('\n', out);
    }
}

/* What is not in the rows. */
static void print_left_out(FILE *out, const va_sigbits *all)
{
    char text[VA_COUNT_TEXT];
    if (all->unpaired)
        fputs("the last run has no other one, and is left out\n", out);
    if (all->integers) {
        fputs("left out: ", out);
        va_print_count(out, all->integers, "tensor");
        fputs(" of integers or truth values, which have no significant bits; ", out);
        if (all->integers_differ)
            fprintf(out, "%s %s between runs\n", va_count_text(text, all->integers_differ),
                    all->integers_differ == 1 ? "differs" : "differ");
        else
            fputs("none differs between runs\n", out);
    }
    if (all->lonely) {
        fputs("left out: ", out);
        va_print_count(out, all->lonely, "tensor");
        fprintf(out, " that fewer than %d runs have alike\n", va_bits_least_samples(all->options.bits.reference));
    }
    if (all->unreferenced) {
        fputs("left out: ", out);
        va_print_count(out, all->unreferenced, "tensor");
        fputs(" that the reference does not have alike\n", out);
    }
}

static void print_verdict(FILE *out, const va_sigbits *all)
{
    const va_sigbits_options *o = &all->options;
    char text[VA_COUNT_TEXT];
    if (o->at_least < 0)
        return;
    if (all->too_few) {
        const va_entity *e = &all->entities[all->first_too_few];
        fprintf(out, "\ntoo few bits: %s of ", va_count_text(text, all->too_few));
        va_print_count(out, all->tensors, "tensor");
        fprintf(out, " %s fewer than %g bits in more than %g%% of the elements, ", all->too_few == 1 ? "has" : "have",
                o->at_least, 100 * o->quantile);
        fprintf(out, "the first %s %s/%s at step %" PRIu64 "\n", vr_phase_name(e->phase), e->layer, e->name,
                all->first_too_few_step);
    } else {
        fputs("\nenough bits: none of ", out);
        va_print_count(out, all->tensors, "tensor");
        fprintf(out, " has fewer than %g bits in more than %g%% of the elements\n", o->at_least, 100 * o->quantile);
    }
    if (all->unjudged) {
        va_print_count(out, all->unjudged, "tensor");
        fputs(all->unjudged == 1 ? " has no values to tell by\n" : " have no values to tell by\n", out);
    }
}

static const char *reference_name(const va_sigbits *all)
{
    return all->options.reference ? vr_trace_get_info(all->options.reference)->path : NULL;
}

void va_sigbits_text(FILE *out, const va_sigbits *all, bool color)
{
    const va_sigbits_options *o = &all->options;
    va_bits_head_text(out, &o->bits, o->exact, reference_name(all), all->runs, "run", o->general);
    print_rows(out, all, color);
    print_left_out(out, all);
    for (int i = 0; i < all->runs; i++) /* that do not hold all they should */
        va_print_broken(out, vr_trace_get_info(all->traces[i]));
    print_worst(out, all);
    print_verdict(out, all);
}

/* ---- JSON ---- */

static const char *const figure_names[VA_FIGURES] = {"significant", "contributing", "general", "general_contributing",
                                                     "bias"};

static json_t *summary_json(const va_bits_summary *s)
{
    return json_pack("{s:o, s:o, s:o}", "median", va_json_number(s->median), "quantile", va_json_number(s->low),
                     "least", va_json_number(s->least));
}

static json_t *point_json(const va_bits_point *p)
{
    return json_pack("{s:I, s:o, s:b}", "step", (json_int_t)p->step, "bits", va_json_number(p->bits), "bound",
                     p->is_bound);
}

static json_t *name_json(const char *name)
{
    return name ? json_string(name) : json_null();
}

static json_t *row_json(const va_sigbits *all, const va_sigbits_row *r)
{
    const va_tally *t = &r->counts;
    json_t *row =
        json_pack("{s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:i}", "phase", vr_phase_name(r->phase),
                  "layer", r->layer, "name", name_json(r->name), "tensors", (json_int_t)r->tensors, "equal",
                  (json_int_t)r->equal, "bounded", (json_int_t)r->bounded, "unknown", (json_int_t)r->unknown, "too_few",
                  (json_int_t)r->too_few, "incomplete", (json_int_t)r->incomplete, "fewest_runs", r->fewest_runs,
                  "most_runs", r->most_runs, "digits", r->digits);
    for (int i = 0; i < VA_FIGURES; i++)
        json_object_set_new(row, figure_names[i], summary_json(&r->figures[i]));
    json_object_set_new(row, "bound", va_json_number(r->bound));
    json_object_set_new(row, "elements", json_integer((json_int_t)t->elements));
    json_object_set_new(row, "constant", json_integer((json_int_t)t->constant));
    json_object_set_new(row, "saturated", json_integer((json_int_t)t->saturated));
    json_object_set_new(row, "saturated_general", json_integer((json_int_t)t->saturated_general));
    json_object_set_new(row, "nonfinite", json_integer((json_int_t)t->nonfinite));
    json_object_set_new(row, "nonfinite_differs", json_integer((json_int_t)t->nonfinite_differs));
    json_object_set_new(row, "zero_reference", json_integer((json_int_t)t->zero_reference));
    if (all->options.by == VA_BY_STEP) {
        json_object_set_new(row, "step", json_integer((json_int_t)r->step));
        json_object_set_new(row, "epoch", json_integer(r->epoch));
    } else {
        json_object_set_new(row, "first", point_json(&r->first));
        json_object_set_new(row, "last", point_json(&r->last));
    }
    return row;
}

static json_t *worst_json(const va_worst *w)
{
    json_t *values = json_array();
    for (int i = 0; i < w->count; i++)
        json_array_append_new(values, json_real(w->values[i]));
    json_t *item = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o, s:o}", "phase", vr_phase_name(w->site->phase),
                             "layer", w->site->layer, "name", w->site->name, "dtype", vr_dtype_name(w->site->dtype),
                             "step", (json_int_t)w->step, "epoch", (json_int_t)w->epoch, "index", (json_int_t)w->index,
                             "values", values, "reference", va_json_number(w->reference));
    json_object_set_new(item, "significant", va_json_number(w->bits.significant));
    json_object_set_new(item, "contributing", va_json_number(w->bits.contributing));
    json_object_set_new(item, "general", json_integer(w->bits.general));
    json_object_set_new(item, "general_contributing", json_integer(w->bits.general_contributing));
    json_object_set_new(item, "bias", va_json_number(w->bits.bias));
    json_object_set_new(item, "within", json_integer(w->within));
    json_object_set_new(item, "within_bits", json_integer(w->bits_within));
    return item;
}

json_t *va_sigbits_json(const va_sigbits *all)
{
    json_t *out = json_object(), *runs = json_array(), *rows = json_array(), *worst = json_array();
    const va_sigbits_options *o = &all->options;
    for (int i = 0; i < all->runs; i++)
        json_array_append_new(runs, va_json_path(vr_trace_get_info(all->traces[i])->path));
    for (size_t i = 0; i < all->row_count; i++)
        json_array_append_new(rows, row_json(all, &all->rows[i]));
    for (size_t i = 0; i < all->worst.count; i++)
        json_array_append_new(worst, worst_json(&all->worst.items[i]));
    va_bits_head_json(out, &o->bits, o->exact, reference_name(all), all->runs, o->general);
    json_object_set_new(out, "runs", runs);
    json_object_set_new(out, "quantile", json_real(o->quantile));
    json_object_set_new(out, "tensors", json_integer((json_int_t)all->tensors));
    json_object_set_new(out, "integers", json_integer((json_int_t)all->integers));
    json_object_set_new(out, "integers_differ", json_integer((json_int_t)all->integers_differ));
    json_object_set_new(out, "in_too_few_runs", json_integer((json_int_t)all->lonely));
    json_object_set_new(out, "without_reference", json_integer((json_int_t)all->unreferenced));
    json_object_set_new(out, "at_least", o->at_least < 0 ? json_null() : json_real(o->at_least));
    json_object_set_new(out, "too_few", json_integer((json_int_t)all->too_few));
    json_object_set_new(out, "unjudged", json_integer((json_int_t)all->unjudged));
    json_object_set_new(out, "rows", rows);
    json_object_set_new(out, "worst", worst);
    return out;
}

/* ---- CSV ---- */

static void csv_row(FILE *out, const va_sigbits *all, const va_sigbits_row *r)
{
    const va_tally *t = &r->counts;
    if (all->options.by == VA_BY_STEP)
        fprintf(out, "%" PRIu64 ",%u,", r->step, r->epoch);
    va_csv_text(out, r->layer);
    fputc(',', out);
    va_csv_text(out, r->name ? r->name : "");
    fprintf(out, ",%s,%" PRIu64 ",%" PRIu64, vr_phase_name(r->phase), r->tensors, t->elements);
    for (int i = 0; i < VA_FIGURES; i++) {
        va_csv_number(out, r->figures[i].median);
        va_csv_number(out, r->figures[i].low);
        va_csv_number(out, r->figures[i].least);
    }
    va_csv_number(out, r->bound);
    if (all->options.by != VA_BY_STEP) {
        va_csv_number(out, r->first.bits);
        va_csv_number(out, r->last.bits);
    }
    fprintf(out, ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%d,%d\n",
            t->constant, t->saturated, t->nonfinite, t->nonfinite_differs, t->zero_reference, r->bounded, r->unknown,
            r->fewest_runs, r->most_runs);
}

void va_sigbits_csv(FILE *out, const va_sigbits *all)
{
    const bool by_step = all->options.by == VA_BY_STEP;
    fprintf(out, "%slayer,name,phase,tensors,elements", by_step ? "step,epoch," : "");
    for (int i = 0; i < VA_FIGURES; i++)
        fprintf(out, ",%s,%s_quantile,%s_least", figure_names[i], figure_names[i], figure_names[i]);
    fprintf(out,
            ",bound%s,constant,saturated,nonfinite,nonfinite_differs,zero_reference,bounded,unknown,fewest_runs,"
            "most_runs\n",
            by_step ? "" : ",first,last");
    for (size_t i = 0; i < all->row_count; i++)
        csv_row(out, all, &all->rows[i]);
}
