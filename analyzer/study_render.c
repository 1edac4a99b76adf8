/* A study's report as text (study_render.h). */
#include "study_render.h"
#include "study_grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NOTEWORTHY 0.05 /* p below which a class or group is named */
#define MOST_NAMED 10   /* of these, in a comparison */

/* ---- head ---- */

static void print_control(FILE *out, const va_report *report, bool color)
{
    const char *bold = color && report->control_differs ? "\033[1m" : "", *plain = bold[0] ? "\033[0m" : "";
    for (const char *line = report->control; line && *line;) {
        const size_t length = strcspn(line, "\n");
        fputs(line == report->control ? bold : "", out);
        va_print_text(out, line, length);
        fprintf(out, "%s\n", line == report->control ? plain : "");
        line += length + (line[length] == '\n');
    }
}

static void print_head(FILE *out, const va_report *report)
{
    const va_study *study = report->study;
    char text[VA_COUNT_TEXT];
    size_t least = SIZE_MAX, most = 0;
    int classes = 0;
    for (int c = 0; c < study->condition_count; c++) {
        const va_metrics *m = report->conditions[c].metrics;
        least = m->samples < least ? m->samples : least;
        most = m->samples > most ? m->samples : most;
        classes = m->classes > classes ? m->classes : classes;
    }
    va_print_count(out, study->run_count, "run");
    fputs(" in ", out);
    va_print_count(out, (uint64_t)study->condition_count, "condition");
    fputs(", evaluated on '", out);
    va_print_text(out, study->set, SIZE_MAX);
    fprintf(out, "': %s", va_count_text(text, least));
    if (most > least)
        fprintf(out, " to %s", va_count_text(text, most));
    fprintf(out, " samples, %d classes; intervals: %g%%, over runs\n", classes, 100 * report->options.confidence);
}

/* ---- the table of conditions ---- */

static const struct {
    va_section section;
    va_metric metric;
} overview[] = {{VA_ACCURACY, VA_M_ACCURACY}, {VA_ACCURACY, VA_M_SD}, {VA_ACCURACY, VA_M_LOSS},
                {VA_CHURN, VA_M_CHURN},       {VA_WEIGHTS, VA_M_L2},  {VA_CALIBRATION, VA_M_ECE}};

#define OVERVIEW (sizeof overview / sizeof *overview)

static bool has_any(const va_report *report, size_t column)
{
    for (int c = 0; c < report->study->condition_count; c++)
        if (va_report_find(report, overview[column].section, c, "", overview[column].metric))
            return true;
    return false;
}

static void print_overview(FILE *out, const va_report *report)
{
    const va_study *study = report->study;
    va_grid grid = va_grid_new(3 + OVERVIEW);
    va_grid_put(&grid, 0, 0, "condition");
    va_grid_put(&grid, 0, 1, "runs");
    va_grid_put(&grid, 0, 2, "varied");
    size_t columns = 3;
    for (int c = 0; c < study->condition_count; c++) {
        char count[VA_COUNT_TEXT];
        va_grid_row(&grid);
        va_grid_put(&grid, (size_t)c + 1, 0, study->conditions[c].name);
        va_grid_put(&grid, (size_t)c + 1, 1, va_count_text(count, (uint64_t)study->conditions[c].count));
        va_grid_put(&grid, (size_t)c + 1, 2, study->conditions[c].varied[0] ? study->conditions[c].varied : "-");
    }
    for (size_t i = 0; i < OVERVIEW; i++) {
        if (!has_any(report, i))
            continue;
        va_grid_put(&grid, 0, columns, va_metric_head(overview[i].metric));
        for (int c = 0; c < study->condition_count; c++)
            va_grid_figure(&grid, (size_t)c + 1, columns,
                           va_report_find(report, overview[i].section, c, "", overview[i].metric));
        columns++;
    }
    if (!grid.failed)
        grid.right[1] = true;
    fputc('\n', out);
    va_grid_print(out, &grid, "");
    va_grid_free(&grid);
}

/* ---- what is noteworthy ---- */

static void begin_line(FILE *out, bool *any)
{
    if (!*any)
        fputs("\nnoteworthy\n", out);
    *any = true;
    fputs("  ", out);
}

static void print_name(FILE *out, const va_report *report, int condition)
{
    va_print_text(out, report->study->conditions[condition].name, SIZE_MAX);
}

static const va_figure *next_of(const va_figure *f, const va_figure *end, va_metric metric)
{
    for (const va_figure *at = f; at < end && at->section == f->section && at->condition == f->condition &&
                                  at->against == f->against && strcmp(at->item, f->item) == 0;
         at++)
        if (at->metric == metric)
            return at;
    return NULL;
}

static void print_p(FILE *out, const va_figure *p, const char *after)
{
    char text[VA_FIGURE_TEXT];
    if (!p || !isfinite(p->interval.estimate))
        return;
    va_figure_text(text, p);
    fprintf(out, text[0] == '<' ? ", p < %s%s" : ", p = %s%s", text + (text[0] == '<'), after);
}

/* Two conditions: mean and spread of accuracy. */
static void print_comparison(FILE *out, const va_report *report, const va_figure *f, bool *any)
{
    const va_figure *end = report->figures + report->count, *p = next_of(f, end, VA_M_P),
                    *sds = next_of(f, end, VA_M_SD_RATIO), *p_sd = next_of(f, end, VA_M_P_SD);
    char text[VA_FIGURE_TEXT];
    begin_line(out, any);
    print_name(out, report, f->condition);
    fputs(" against ", out);
    print_name(out, report, f->against);
    fprintf(out, ": accuracy differs by %s points", va_figure_text(text, f));
    print_p(out, p, "");
    if (sds && isfinite(sds->interval.estimate)) {
        fprintf(out, "; its sd is %s times as large", va_figure_text(text, sds));
        print_p(out, p_sd, "");
    }
    fputc('\n', out);
}

/* A class or group that differs, unless enough of this comparison have been named. */
static void print_differing(FILE *out, const va_figure *f, const va_figure *holm, size_t *named, bool *any)
{
    char text[VA_FIGURE_TEXT];
    if (++*named > MOST_NAMED) {
        if (*named == MOST_NAMED + 1) {
            begin_line(out, any);
            fputs("  and more (--section compare)\n", out);
        }
        return;
    }
    begin_line(out, any);
    fputs("  ", out);
    va_print_text(out, f->item, SIZE_MAX);
    fprintf(out, ": differs by %s points", va_figure_text(text, f));
    print_p(out, holm, " (Holm)");
    fputc('\n', out);
}

static void print_comparisons(FILE *out, const va_report *report, bool *any)
{
    const va_figure *end = report->figures + report->count;
    size_t named = 0;
    for (const va_figure *f = report->figures; f < end; f++) {
        if (f->section != VA_COMPARE || f->metric != VA_M_DIFFERENCE)
            continue;
        const va_figure *holm = next_of(f, end, VA_M_P_HOLM);
        if (!holm) { /* of the whole, which comes first */
            print_comparison(out, report, f, any);
            named = 0;
        } else if (holm->interval.estimate < NOTEWORTHY) {
            print_differing(out, f, holm, &named, any);
        }
    }
}

/* Of all items of a section the one with the largest ratio of its spread to that of accuracy, if that is above 1 with
 * the confidence of the intervals. */
static const va_figure *most_spread(const va_report *report, va_section section, int condition)
{
    const va_figure *most = NULL;
    for (size_t i = 0; i < report->count; i++) {
        const va_figure *f = &report->figures[i];
        if (f->section == section && f->condition == condition && f->metric == VA_M_RATIO && f->interval.low > 1 &&
            f->interval.estimate > (most ? most->interval.estimate : 1))
            most = f;
    }
    return most;
}

static void print_most_spread(FILE *out, const va_report *report, va_section section, int condition, bool *any)
{
    const va_figure *most = most_spread(report, section, condition);
    char text[VA_FIGURE_TEXT];
    if (!most)
        return;
    const va_figure *sd = va_report_find(report, section, condition, most->item, VA_M_SD);
    begin_line(out, any);
    print_name(out, report, condition);
    fputs(": ", out);
    va_print_text(out, most->item, SIZE_MAX);
    fprintf(out, " varies most of all %s: sd %s points", va_section_name(section), sd ? va_figure_text(text, sd) : "-");
    fprintf(out, ", %s times that of accuracy\n", va_figure_text(text, most));
}

static void print_flips(FILE *out, const va_report *report, int condition, bool *any)
{
    const va_condition_report *c = &report->conditions[condition];
    if (c->flip_total == 0)
        return;
    begin_line(out, any);
    print_name(out, report, condition);
    fprintf(out, ": %zu of %zu samples flip", c->flip_total, c->metrics->samples);
    if (c->flip_count)
        fprintf(out, ", most of all sample %llu (label %d, %d of %d runs say %d)", (unsigned long long)c->flips[0].id,
                c->flips[0].label, c->metrics->replicas - c->flips[0].dissent, c->metrics->replicas,
                c->flips[0].majority);
    fputc('\n', out);
}

static void print_shares(FILE *out, const va_report *report, bool *any)
{
    const char *separator = ": ";
    for (size_t i = 0; i < report->count; i++) {
        const va_figure *f = &report->figures[i];
        char text[VA_FIGURE_TEXT];
        if (f->section != VA_VARIANCE || f->metric != VA_M_SHARE || !(f->interval.estimate > 0))
            continue;
        if (separator[0] == ':') {
            begin_line(out, any);
            fputs("the variance of accuracy comes from", out);
        }
        fputs(separator, out);
        va_print_text(out, f->item, SIZE_MAX);
        fprintf(out, " %s%%", va_figure_text(text, f));
        separator = ", ";
    }
    if (separator[0] == ',')
        fputs(" (intervals: --section variance)\n", out);
}

static void print_noteworthy(FILE *out, const va_report *report)
{
    bool any = false;
    print_comparisons(out, report, &any);
    print_shares(out, report, &any);
    for (int c = 0; c < report->study->condition_count; c++) {
        print_most_spread(out, report, VA_CLASSES, c, &any);
        print_most_spread(out, report, VA_GROUPS, c, &any);
        if (va_report_wants(report, VA_FLIPS))
            print_flips(out, report, c, &any);
    }
}

static void print_notes(FILE *out, const va_report *report)
{
    const va_study *study = report->study;
    for (size_t i = 0; i < study->note_count; i++) {
        fputs(i ? "" : "\n", out);
        fputs("note: ", out);
        va_print_text(out, study->notes[i], SIZE_MAX);
        fputc('\n', out);
    }
    if (study->left_count) {
        fputs("\nleft out: ", out);
        va_print_count(out, study->left_count, "run");
        fputc('\n', out);
    }
    for (size_t i = 0; i < study->left_count; i++) {
        fputs("  ", out);
        va_print_text(out, study->left_out[i].path, SIZE_MAX);
        fputs(": ", out);
        va_print_text(out, study->left_out[i].why, SIZE_MAX);
        fputc('\n', out);
    }
}

/* ---- sections ---- */

enum { CONDITION, ITEM, METRICS };

/* Columns of a section: those metrics that it has, in their order. */
typedef struct shown {
    int of[VA_METRICS]; /* column; -1: none */
    size_t count;       /* of all */
    bool items, notes;
} shown;

static shown find_columns(const va_report *report, va_section section)
{
    shown out = {.count = METRICS};
    for (int m = 0; m < VA_METRICS; m++)
        out.of[m] = -1;
    for (size_t i = 0; i < report->count; i++) {
        const va_figure *f = &report->figures[i];
        if (f->section != section || f->detail)
            continue;
        out.items |= f->item[0] != 0;
        out.notes |= f->note != NULL;
        if (out.of[f->metric] < 0)
            out.of[f->metric] = (int)out.count++;
    }
    return out;
}

static void put_place(va_grid *grid, size_t row, const va_report *report, const va_figure *f)
{
    char *name = NULL;
    if (f->condition < 0)
        va_grid_put(grid, row, CONDITION, "all");
    else if (f->against < 0)
        va_grid_put(grid, row, CONDITION, report->study->conditions[f->condition].name);
    else if (asprintf(&name, "%s against %s", report->study->conditions[f->condition].name,
                      report->study->conditions[f->against].name) >= 0)
        va_grid_put(grid, row, CONDITION, name);
    free(name);
    va_grid_put(grid, row, ITEM, f->item);
}

/* A row for each item of each condition; what there is to say of it stands last. */
static void fill_grid(va_grid *grid, const va_report *report, va_section section, const shown *columns)
{
    const va_figure *before = NULL;
    size_t row = 0;
    for (size_t i = 0; i < report->count; i++) {
        const va_figure *f = &report->figures[i];
        if (f->section != section || f->detail)
            continue;
        if (!before || before->condition != f->condition || before->against != f->against ||
            strcmp(before->item, f->item) != 0) {
            row = va_grid_row(grid);
            put_place(grid, row, report, f);
        }
        before = f;
        va_grid_figure(grid, row, (size_t)columns->of[f->metric], f);
        if (f->note)
            va_grid_append(grid, row, columns->count, f->note);
    }
}

static void print_section(FILE *out, const va_report *report, va_section section)
{
    const shown columns = find_columns(report, section);
    if (columns.count == METRICS)
        return;
    va_grid grid = va_grid_new(columns.count + 1);
    va_grid_put(&grid, 0, CONDITION, "condition");
    va_grid_put(&grid, 0, ITEM, columns.items ? "of" : "");
    for (int m = 0; m < VA_METRICS; m++)
        if (columns.of[m] >= 0)
            va_grid_put(&grid, 0, (size_t)columns.of[m], va_metric_head((va_metric)m));
    fill_grid(&grid, report, section, &columns);
    fprintf(out, "\n%s\n", va_section_name(section));
    va_grid_print(out, &grid, "  ");
    va_grid_free(&grid);
}

void va_study_text(FILE *out, const va_report *report, unsigned sections, bool color)
{
    print_control(out, report, color);
    print_head(out, report);
    print_overview(out, report);
    print_noteworthy(out, report);
    for (int s = 0; s < VA_SECTIONS; s++)
        if (sections >> s & 1)
            print_section(out, report, (va_section)s);
    print_notes(out, report);
}
