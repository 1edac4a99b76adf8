/* What was found, for programs. */
#include "cost.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A figure that is not defined is null. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *interval(const va_interval *ratio)
{
    char text[VA_DOUBT_TEXT];
    return json_pack("{s:o, s:o, s:o, s:i, s:s, s:s}", "ratio", number(ratio->estimate), "low", number(ratio->low),
                     "high", number(ratio->high), "pairs", ratio->n, "method", ratio->method, "doubts",
                     va_doubt_text(text, ratio));
}

static json_t *pairs_of(const va_cost_row *row, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const va_cost_values *v = &row->pairs[i];
        json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:o}", "base_median", number(v->base_median), "median",
                                              number(v->cost_median), "base_mean", number(v->base_mean), "mean",
                                              number(v->cost_mean)));
    }
    return list;
}

static json_t *row_json(const va_cost_row *row, size_t pairs)
{
    json_t *out = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o}", "kind",
                            va_cost_kind_name(row->kind), "unit", row->kind == VA_COST_MEMORY ? "bytes" : "seconds",
                            "base_median", number(row->middle.base_median), "median", number(row->middle.cost_median),
                            "base_mean", number(row->middle.base_mean), "mean", number(row->middle.cost_mean),
                            "by_median", interval(&row->by_median), "by_mean", interval(&row->by_mean), "outliers",
                            (json_int_t)row->outliers, "zeros", (json_int_t)row->zeros, "pairs", pairs_of(row, pairs));
    if (out && row->phase)
        json_object_set_new(out, "phase", json_string(vr_phase_name(row->phase)));
    if (out && row->layer)
        json_object_set_new(out, "layer", va_json_path(row->layer));
    return out;
}

static json_t *side_json(const va_cost_side *side)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "steps", (json_int_t)side->steps, "outliers", (json_int_t)side->outliers,
                     "backwards", (json_int_t)side->backwards, "unfinished", (json_int_t)side->unfinished);
}

static json_t *comparison_json(const va_cost *cost, const va_cost_comparison *c, const va_cost_runs *runs)
{
    json_t *rows = json_array(), *pairs = json_array();
    for (size_t i = 0; i < c->row_count; i++)
        json_array_append_new(rows, row_json(&c->rows[i], c->pair_count));
    for (size_t i = 0; i < c->pair_count; i++)
        json_array_append_new(pairs, json_pack("[o, o]", va_json_path(runs->runs[c->pairs[i].base].name),
                                               va_json_path(runs->runs[c->pairs[i].cost].name)));
    return json_pack("{s:o, s:o, s:o, s:I, s:[I, I], s:[I, I], s:o, s:o, s:o}", "base",
                     va_json_path(cost->conditions[c->base].name), "condition",
                     va_json_path(cost->conditions[c->cost].name), "pairs", pairs, "unpaired", (json_int_t)c->unpaired,
                     "steps", (json_int_t)c->least_steps, (json_int_t)c->most_steps, "warmup",
                     (json_int_t)c->least_warmup, (json_int_t)c->most_warmup, "base_side", side_json(&c->base_side),
                     "side", side_json(&c->cost_side), "rows", rows);
}

json_t *va_cost_json(const va_cost *cost, const va_cost_runs *runs)
{
    json_t *comparisons = json_array(), *warnings = json_array();
    for (size_t i = 0; i < cost->comparison_count; i++)
        json_array_append_new(comparisons, comparison_json(cost, &cost->comparisons[i], runs));
    for (size_t i = 0; i < cost->warning_count; i++)
        json_array_append_new(warnings, va_json_path(cost->warnings[i]));
    return json_pack("{s:f, s:s*, s:o, s:o, s:o}", "confidence", cost->confidence, "clock", cost->clock,
                     "resolution_ns", number(cost->resolution_ns), "comparisons", comparisons, "warnings", warnings);
}

/* ---- CSV ---- */

static void print_number(FILE *out, double value)
{
    if (isfinite(value))
        fprintf(out, ",%.9g", value);
    else
        fputc(',', out);
}

static void print_interval(FILE *out, const va_interval *ratio)
{
    print_number(out, ratio->estimate);
    print_number(out, ratio->low);
    print_number(out, ratio->high);
}

static void print_row(FILE *out, const va_cost *cost, const va_cost_comparison *c, const va_cost_row *row)
{
    va_csv_text(out, cost->conditions[c->base].name);
    fputc(',', out);
    va_csv_text(out, cost->conditions[c->cost].name);
    fprintf(out, ",%s,%s,", va_cost_kind_name(row->kind), row->phase ? vr_phase_name(row->phase) : "");
    va_csv_text(out, row->layer ? row->layer : "");
    fprintf(out, ",%d", row->by_median.n);
    print_number(out, row->middle.base_median);
    print_number(out, row->middle.cost_median);
    print_interval(out, &row->by_median);
    print_number(out, row->middle.base_mean);
    print_number(out, row->middle.cost_mean);
    print_interval(out, &row->by_mean);
    fprintf(out, ",%zu,%s\n", row->outliers, row->kind == VA_COST_MEMORY ? "bytes" : "seconds");
}

void va_cost_csv(FILE *out, const va_cost *cost)
{
    fputs("base,condition,kind,phase,layer,pairs,base_median,median,ratio_of_medians,low,high,base_mean,mean,"
          "ratio_of_means,mean_low,mean_high,outliers,unit\n",
          out);
    for (size_t i = 0; i < cost->comparison_count; i++)
        for (size_t j = 0; j < cost->comparisons[i].row_count; j++)
            print_row(out, cost, &cost->comparisons[i], &cost->comparisons[i].rows[j]);
}
