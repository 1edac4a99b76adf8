/* What was found, for people. */
#include "cost.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_TEXT 32
#define RATIO_TEXT 64
#define NAME_MOST  60
#define WIDE       2   /* high / low of an interval */
#define HUGE_SHOWN 1e6 /* from here on with an exponent: more digits than a cell holds */

/* ---- figures ---- */

/* "1.234 ms", "12.34 MiB". */
static const char *value_text(char out[VALUE_TEXT], va_cost_kind kind, double value)
{
    static const struct {
        double unit;
        const char *name;
    } times[] = {{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {0, "ns"}},
      sizes[] = {{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}, {0, "B"}}, *unit;
    if (isnan(value)) {
        snprintf(out, VALUE_TEXT, "-");
        return out;
    }
    unit = kind == VA_COST_MEMORY ? sizes : times;
    while (value < unit->unit)
        unit++;
    const double scale = unit->unit > 0 ? unit->unit : kind == VA_COST_MEMORY ? 1 : 1e-9, shown = value / scale;
    const int decimals = shown >= 1000 || shown == 0 ? 0 : shown >= 100 ? 1 : shown >= 10 ? 2 : 3;
    if (shown >= HUGE_SHOWN)
        snprintf(out, VALUE_TEXT, "%.3g %s", shown, unit->name);
    else
        snprintf(out, VALUE_TEXT, "%.*f %s", decimals, shown, unit->name);
    return out;
}

/* As many decimals as are meant where the interval is narrow, three figures where it is wide. */
static int print_ratio(char *out, size_t size, double ratio, bool is_wide)
{
    return is_wide || ratio >= HUGE_SHOWN ? snprintf(out, size, "%.3g", ratio)
                                          : snprintf(out, size, "%.*f",
                                                     ratio >= 100  ? 1
                                                     : ratio >= 10 ? 2
                                                                   : 3,
                                                     ratio);
}

/* "1.234 [1.201, 1.268]"; without an interval "1.234"; "-": there is no ratio. */
static const char *ratio_text(char out[RATIO_TEXT], const va_interval *ratio)
{
    const bool is_wide = ratio->high > WIDE * ratio->low || ratio->estimate < 0.1;
    const double ends[] = {ratio->low, ratio->high};
    if (isnan(ratio->estimate)) {
        snprintf(out, RATIO_TEXT, "-");
        return out;
    }
    int at = print_ratio(out, RATIO_TEXT, ratio->estimate, is_wide);
    for (int i = 0; i < 2 && !isnan(ratio->low); i++) {
        at += snprintf(out + at, RATIO_TEXT - (size_t)at, i ? ", " : " [");
        at += print_ratio(out + at, RATIO_TEXT - (size_t)at, ends[i], is_wide);
    }
    if (!isnan(ratio->low))
        snprintf(out + at, RATIO_TEXT - (size_t)at, "]");
    return out;
}

static bool has_mean(const va_cost_row *row)
{
    return row->kind > VA_COST_MEMORY;
}

/* ---- a comparison ---- */

static void print_range(FILE *out, uint64_t least, uint64_t most)
{
    char text[VA_COUNT_TEXT];
    if (least != most)
        fprintf(out, "%s to ", va_count_text(text, least));
    va_print_count(out, most, "step");
}

static void print_heading(FILE *out, const va_cost *cost, const va_cost_comparison *c)
{
    va_print_text(out, cost->conditions[c->cost].name, NAME_MOST);
    fputs(" against ", out);
    va_print_text(out, cost->conditions[c->base].name, NAME_MOST);
    fputs(": ", out);
    va_print_count(out, c->pair_count, "pair");
    fputs(" of runs", out);
    if (c->most_steps) {
        fputs(", ", out);
        print_range(out, c->least_steps, c->most_steps);
        fputs(" of each", out);
    }
    fputs("\n\n", out);
}

static void print_cell(FILE *out, const char *text, size_t most, int width)
{
    const size_t printed = va_print_text(out, text, most);
    fprintf(out, "%*s", printed < (size_t)width ? width - (int)printed : 0, "");
}

/* Indented under a line with the kind's name, where there may be several of it. */
static void print_name(FILE *out, const va_cost_row *row, const va_cost_row *before, int width)
{
    if (row->kind < VA_COST_PHASE) {
        print_cell(out, va_cost_kind_name(row->kind), SIZE_MAX, width);
        return;
    }
    if (!before || before->kind != row->kind)
        fprintf(out, "%s\n", va_cost_kind_name(row->kind));
    size_t printed = 2;
    fputs("  ", out);
    if (row->phase)
        printed += (size_t)fprintf(out, "%s%s", vr_phase_name(row->phase), row->layer ? " " : "");
    if (row->layer)
        printed += va_print_text(out, row->layer, NAME_MOST);
    fprintf(out, "%*s", printed < (size_t)width ? width - (int)printed : 0, "");
}

static int name_width(const va_cost_comparison *c)
{
    size_t width = 16;
    for (size_t i = 0; i < c->row_count; i++) {
        const va_cost_row *row = &c->rows[i];
        const size_t layer = row->layer ? strnlen(row->layer, NAME_MOST) : 0;
        const size_t phase = row->phase ? strlen(vr_phase_name(row->phase)) + 1 : 0;
        width = layer + phase + 4 > width ? layer + phase + 4 : width;
    }
    return (int)width;
}

static void print_row(FILE *out, const va_cost_row *row, const va_cost_row *before, int width)
{
    char base[VALUE_TEXT], other[VALUE_TEXT], ratio[RATIO_TEXT], mean[RATIO_TEXT];
    print_name(out, row, before, width);
    fprintf(out, "%12s  %12s", value_text(base, row->kind, row->middle.base_median),
            value_text(other, row->kind, row->middle.cost_median));
    if (has_mean(row))
        fprintf(out, "  %-24s  %s\n", ratio_text(ratio, &row->by_median), ratio_text(mean, &row->by_mean));
    else
        fprintf(out, "  %s\n", ratio_text(ratio, &row->by_median));
}

/* A column's heading; a name that is longer is cut. */
static void print_title(FILE *out, const char *name)
{
    char cut[13];
    snprintf(cut, sizeof cut, "%s", name);
    fprintf(out, "%*s", 12 - (int)strlen(cut), "");
    va_print_text(out, cut, SIZE_MAX);
}

static void print_rows(FILE *out, const va_cost *cost, const va_cost_comparison *c, bool color)
{
    const int width = name_width(c);
    fprintf(out, "%s%*s", color ? "\033[1m" : "", width, "");
    print_title(out, cost->conditions[c->base].name);
    fputs("  ", out);
    print_title(out, cost->conditions[c->cost].name);
    fprintf(out, "  %s%s\n", c->most_steps ? "ratio of medians          ratio of means" : "ratio",
            color ? "\033[0m" : "");
    for (size_t i = 0; i < c->row_count; i++)
        print_row(out, &c->rows[i], i ? &c->rows[i - 1] : NULL, width);
}

/* ---- notes ---- */

static void print_side(FILE *out, const char *name, const va_cost_side *side)
{
    char text[VA_COUNT_TEXT];
    fprintf(out, "%s of ", va_count_text(text, side->outliers));
    va_print_count(out, side->steps, "step");
    fputs(" of ", out);
    va_print_text(out, name, NAME_MOST);
}

/* Those of the pairs whose ratio is an outlier: which runs they are. */
static void print_pair_outliers(FILE *out, const va_cost_comparison *c, const va_cost_row *row,
                                const va_cost_runs *runs)
{
    const size_t n = c->pair_count;
    double *logs = malloc(n * sizeof *logs), *scratch = malloc(n * sizeof *scratch);
    bool *is_outlier = malloc(n * sizeof *is_outlier);
    for (size_t i = 0; logs && i < n; i++) {
        const va_cost_values *v = &row->pairs[i];
        logs[i] = v->base_median > 0 && v->cost_median > 0 ? log(v->cost_median / v->base_median) : NAN;
    }
    if (logs && scratch && is_outlier && va_outliers_find(is_outlier, logs, n, scratch) > 0)
        for (size_t i = 0; i < n; i++)
            if (is_outlier[i]) {
                fputs("  ", out);
                va_print_text(out, runs->runs[c->pairs[i].base].name, SIZE_MAX);
                fputs(" and ", out);
                va_print_text(out, runs->runs[c->pairs[i].cost].name, SIZE_MAX);
                fprintf(out, ": %.3f\n", exp(logs[i]));
            }
    free(logs);
    free(scratch);
    free(is_outlier);
}

static void print_outliers(FILE *out, const va_cost *cost, const va_cost_comparison *c, const va_cost_runs *runs)
{
    const va_cost_row *row = va_cost_headline(c);
    fputs("outliers: ", out);
    if (c->most_steps) {
        print_side(out, cost->conditions[c->base].name, &c->base_side);
        fputs(", ", out);
        print_side(out, cost->conditions[c->cost].name, &c->cost_side);
        fputs(", ", out);
    }
    fprintf(out, "%zu of ", row ? row->outliers : 0);
    va_print_count(out, c->pair_count, "pair");
    fputc('\n', out);
    if (row)
        print_pair_outliers(out, c, row, runs);
}

static void print_warmup(FILE *out, const va_cost_comparison *c)
{
    if (!c->most_steps)
        return;
    fputs("warm-up: ", out);
    print_range(out, c->least_warmup, c->most_warmup);
    fputs(" at the beginning of each run left out\n", out);
}

static void print_doubts(FILE *out, const va_cost_comparison *c)
{
    const va_cost_row *row = va_cost_headline(c);
    char text[VA_DOUBT_TEXT];
    if (c->pair_count == 1)
        fputs("one run a side: a ratio without an interval, which says nothing of how far another pair would be off\n",
              out);
    else if (row && *va_doubt_text(text, &row->by_median))
        fprintf(out, "interval: %s\n", text);
}

static void print_end(FILE *out, const va_cost *cost, bool by_step)
{
    fprintf(out, "ratio: geometric mean over pairs of runs, with its %g%% interval (Student's t of the logarithms)%s\n",
            100 * cost->confidence, by_step ? ";\n  medians and means are over a run's steps" : "");
    fputs("outliers are those of a modified z-score above 3.5, and counted in all figures\n", out);
    fprintf(out, "clock: %s\n", cost->clock ? cost->clock : "that of the campaign, CLOCK_MONOTONIC");
    for (size_t i = 0; i < cost->warning_count; i++) {
        fputs("warning: ", out);
        va_print_text(out, cost->warnings[i], SIZE_MAX);
        fputc('\n', out);
    }
}

static bool is_by_step(const va_cost *cost)
{
    for (size_t i = 0; i < cost->comparison_count; i++)
        if (cost->comparisons[i].most_steps)
            return true;
    return false;
}

void va_cost_text(FILE *out, const va_cost *cost, const va_cost_runs *runs, bool color)
{
    for (size_t i = 0; i < cost->comparison_count; i++) {
        const va_cost_comparison *c = &cost->comparisons[i];
        print_heading(out, cost, c);
        print_rows(out, cost, c, color);
        fputc('\n', out);
        print_warmup(out, c);
        print_outliers(out, cost, c, runs);
        print_doubts(out, c);
        fputc('\n', out);
    }
    print_end(out, cost, is_by_step(cost));
}

/* ---- operations against conditions ---- */

static const va_cost_row *find_row(const va_cost_comparison *c, const va_cost_row *like)
{
    for (size_t i = 0; i < c->row_count; i++) {
        const va_cost_row *row = &c->rows[i];
        if (row->kind == like->kind && row->phase == like->phase && (!row->layer) == (!like->layer) &&
            (!row->layer || strcmp(row->layer, like->layer) == 0))
            return row;
    }
    return NULL;
}

bool va_cost_is_in_table(const va_cost_row *row)
{
    return row->kind == VA_COST_LAYER;
}

#define BLOCK 4 /* conditions side by side */
#define CELL  22

static bool is_last(const va_cost *cost, size_t first, size_t comparison)
{
    return comparison + 1 == cost->comparison_count || comparison + 1 == first + BLOCK;
}

static void print_table_row(FILE *out, const va_cost *cost, const va_cost_row *row, size_t first, int width)
{
    char value[VALUE_TEXT], ratio[RATIO_TEXT];
    fputs("  ", out);
    print_cell(out, row->layer, NAME_MOST, width);
    fprintf(out, "%12s", value_text(value, row->kind, row->middle.base_median));
    for (size_t i = first; i < cost->comparison_count && i < first + BLOCK; i++) {
        const va_cost_row *there = find_row(&cost->comparisons[i], row);
        ratio_text(ratio, there ? &there->by_median : &(va_interval){.estimate = NAN});
        fprintf(out, "  %-*s", is_last(cost, first, i) ? 0 : CELL, ratio);
    }
    fputc('\n', out);
}

static void print_block(FILE *out, const va_cost *cost, size_t first, bool color)
{
    const va_cost_comparison *c = &cost->comparisons[0];
    const int width = name_width(c);
    fprintf(out, "%s  %*s%12s", color ? "\033[1m" : "", width, "", cost->conditions[c->base].name);
    for (size_t i = first; i < cost->comparison_count && i < first + BLOCK; i++)
        fprintf(out, "  %-*s", is_last(cost, first, i) ? 0 : CELL, cost->conditions[cost->comparisons[i].cost].name);
    fprintf(out, "%s\n", color ? "\033[0m" : "");
    for (size_t i = 0; i < c->row_count; i++)
        if (va_cost_is_in_table(&c->rows[i]))
            print_table_row(out, cost, &c->rows[i], first, width);
    fputc('\n', out);
}

void va_cost_table(FILE *out, const va_cost *cost, bool color)
{
    const va_cost_comparison *first = &cost->comparisons[0];
    fprintf(out,
            "times of a call with %s, and how many times as long others take: ", cost->conditions[first->base].name);
    va_print_count(out, first->pair_count, "pair");
    fputs(" of runs, ", out);
    print_range(out, first->least_steps, first->most_steps);
    fputs(" of each\n\n", out);
    for (size_t i = 0; i < cost->comparison_count; i += BLOCK)
        print_block(out, cost, i, color);
    print_warmup(out, first);
    print_end(out, cost, true);
}
