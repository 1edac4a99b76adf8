/* A picture of the ratios: a row for each row of the text, a colour for each condition. */
#include "cost.h"
#include "plot.h"

#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROW_PIXELS 22
#define MOST_ROWS  80 /* a picture of more is none */
#define MARGIN     150
#define WIDTH      900
#define DODGE      0.7 /* part of a row that its conditions share */

#define CONDITION_PIXELS 8 /* of a row, for each condition */

/* Okabe and Ito's, which people who see fewer colours can tell apart. */
static const char *const colors[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"};
#define COLORS (sizeof colors / sizeof *colors)

/* The rows of the picture: those that any comparison has a ratio for. */
typedef struct axis {
    const va_cost_row *rows[MOST_ROWS];
    size_t count;
} axis;

static bool is_same_row(const va_cost_row *a, const va_cost_row *b)
{
    return a->kind == b->kind && a->phase == b->phase && (!a->layer) == (!b->layer) &&
           (!a->layer || strcmp(a->layer, b->layer) == 0);
}

static bool find_place(size_t *out, const axis *rows, const va_cost_row *row)
{
    for (*out = 0; *out < rows->count; ++*out)
        if (is_same_row(rows->rows[*out], row))
            return true;
    return false;
}

/* In the order of the text: whole runs, the step, phases, layers, operations; of a table, what stands there. */
static axis find_axis(const va_cost *cost, bool table)
{
    axis out = {.count = 0};
    size_t place;
    for (int kind = 0; kind < VA_COST_KINDS; kind++)
        for (size_t i = 0; i < cost->comparison_count; i++)
            for (size_t j = 0; j < cost->comparisons[i].row_count; j++) {
                const va_cost_row *row = &cost->comparisons[i].rows[j];
                if ((int)row->kind == kind && (!table || va_cost_is_in_table(row)) && !isnan(row->by_median.estimate) &&
                    out.count < MOST_ROWS && !find_place(&place, &out, row))
                    out.rows[out.count++] = row;
            }
    return out;
}

static void write_label(FILE *out, const va_cost_row *row)
{
    char *text;
    if (row->kind < VA_COST_PHASE) {
        va_plot_text(out, va_cost_kind_name(row->kind));
        return;
    }
    if (asprintf(&text, "%s%s%s%.40s", row->kind == VA_COST_PHASE ? "phase " : "",
                 row->phase ? vr_phase_name(row->phase) : "", row->phase && row->layer ? " " : "",
                 row->layer ? row->layer : "") < 0)
        return;
    va_plot_text(out, text);
    free(text);
}

/* Ratio, low, high, height. */
static void write_points(FILE *out, const va_cost *cost, size_t number, const axis *rows)
{
    const va_cost_comparison *c = &cost->comparisons[number];
    const double part = DODGE / (double)cost->comparison_count;
    const double shift = part * ((double)number - (double)(cost->comparison_count - 1) / 2);
    fprintf(out, "$points%zu << END\n", number);
    size_t place;
    for (size_t j = 0; j < c->row_count; j++) {
        const va_interval *ratio = &c->rows[j].by_median;
        if (isnan(ratio->estimate) || !find_place(&place, rows, &c->rows[j]))
            continue;
        const bool has = isfinite(ratio->low) && isfinite(ratio->high);
        fprintf(out, "%.6g %.6g %.6g %.4f\n", ratio->estimate, has ? ratio->low : ratio->estimate,
                has ? ratio->high : ratio->estimate, (double)place + shift);
    }
    fputs("END\n", out);
}

/* Tics of an axis that may span a few percent, or powers of ten. */
static const struct {
    double from; /* most / least */
    const char *tics;
} scales[] = {
    {1000, "0.0001, 0.001, 0.01, 0.1, 1, 10, 100, 1000, 10000, 100000"},
    {30, "0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000"},
    {4, "0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 1.5, 2, 3, 4, 5, 7, 10, 15, 20, 30"},
    {1.8, "0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4"},
    {1.2, "0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8"},
    {0, "0.82, 0.84, 0.86, 0.88, 0.9, 0.92, 0.94, 0.96, 0.98, 1, 1.02, 1.04, 1.06, 1.08, 1.1, 1.12, 1.14, 1.16, 1.18"}};

/* Every ratio, and of the intervals what is no farther than twice the extremes of these: one that says nothing would
 * leave no room for the others. */
static void write_range(FILE *out, const va_cost *cost, const axis *rows)
{
    double least = 1, most = 1, low = 1, high = 1;
    size_t place, tics = 0;
    for (size_t i = 0; i < cost->comparison_count; i++)
        for (size_t j = 0; j < cost->comparisons[i].row_count; j++) {
            const va_cost_row *row = &cost->comparisons[i].rows[j];
            const va_interval *ratio = &row->by_median;
            if (!find_place(&place, rows, row))
                continue;
            least = fmin(least, ratio->estimate);
            most = fmax(most, ratio->estimate);
            low = fmin(low, ratio->low);
            high = fmax(high, ratio->high);
        }
    low = fmax(low, least / 2);
    high = fmin(high, most * 2);
    while (high / low < scales[tics].from)
        tics++;
    fprintf(out, "set logscale x\nset xrange [%.6g:%.6g]\nset xtics (%s)\n", low / 1.05, high * 1.05,
            scales[tics].tics);
}

static void write_ytics(FILE *out, const axis *rows)
{
    fprintf(out, "set yrange [%zu.5:-0.5]\nset ytics (", rows->count - 1);
    for (size_t i = 0; i < rows->count; i++) {
        fputs(i ? ", " : "", out);
        write_label(out, rows->rows[i]);
        fprintf(out, " %zu", i);
    }
    fputs(")\n", out);
}

/* A thin line between kinds of rows, or where there are several conditions between all, and one where both sides cost
 * the same. */
static void write_lines(FILE *out, const axis *rows, bool all)
{
    fputs("set arrow from 1, graph 0 to 1, graph 1 nohead linecolor rgb '#888888' linewidth 1\n", out);
    for (size_t i = 1; i < rows->count; i++)
        if (all || (rows->rows[i]->kind != rows->rows[i - 1]->kind && rows->rows[i]->kind >= VA_COST_STEP))
            fprintf(out, "set arrow from graph 0, first %zu.5 to graph 1, first %zu.5 nohead linecolor rgb '#dddddd'\n",
                    i - 1, i - 1);
}

/* What is drawn of each condition: a colour, and where these come round again another mark. */
static void write_plots(FILE *out, const va_cost *cost)
{
    static const int marks[] = {7, 5, 9, 13};
    for (size_t i = 0; i < cost->comparison_count; i++) {
        fprintf(out, "%s $points%zu using 1:4:2:3 with xerrorbars linecolor rgb '%s' linewidth 1.5 pointtype %d title ",
                i ? ", \\\n    " : "plot", i, colors[i % COLORS], marks[i / COLORS % (sizeof marks / sizeof *marks)]);
        va_plot_text(out, cost->conditions[cost->comparisons[i].cost].name);
    }
    fputc('\n', out);
}

static void write_picture(FILE *out, const va_cost *cost, const axis *rows)
{
    char *label;
    for (size_t i = 0; i < cost->comparison_count; i++)
        write_points(out, cost, i, rows);
    if (asprintf(&label, "multiple of %.40s, with its %g%% interval", cost->conditions[cost->comparisons[0].base].name,
                 100 * cost->confidence) >= 0) {
        fputs("set xlabel ", out);
        va_plot_text(out, label);
        fputc('\n', out);
        free(label);
    }
    write_range(out, cost, rows);
    write_ytics(out, rows);
    write_lines(out, rows, cost->comparison_count > 2);
    fputs("set grid xtics linecolor rgb '#e8e8e8'\nset key outside top center horizontal samplen 2 width 2\n"
          "set tics out nomirror\nset border 3\nset pointsize 0.6\n",
          out);
    write_plots(out, cost);
}

vr_status va_cost_plot(const va_cost *cost, const char *path, bool table)
{
    const axis rows = find_axis(cost, table);
    va_plot plot;
    if (rows.count == 0)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: there is no ratio to draw", path);
    const double row_pixels = fmax(ROW_PIXELS, CONDITION_PIXELS * (double)cost->comparison_count);
    const vr_status status = va_plot_open(&plot, path, WIDTH, MARGIN + (int)(row_pixels * (double)rows.count));
    if (status != VR_OK)
        return status;
    write_picture(plot.script, cost, &rows);
    return va_plot_close(&plot, true);
}
