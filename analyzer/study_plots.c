#include "study_plots.h"

#include "plot.h"

#include <errno.h>
#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MOST_TICKS  40  /* classes or groups that are named below an axis */
#define MOST_POINTS 120 /* of a curve */

/* Colours that can be told apart by the colour-blind: Okabe and Ito (2008), the darker first. */
static const char *const colors[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"};
static const int shapes[] = {7, 5, 9, 13, 11, 15, 6};

#define COLORS (sizeof colors / sizeof *colors)

static const char *color_of(int condition)
{
    return colors[(size_t)condition % COLORS];
}

static int shape_of(int condition)
{
    return shapes[(size_t)condition % COLORS];
}

/* ---- parts of pictures ---- */

static void write_name(FILE *out, const va_report *report, int condition)
{
    va_plot_text(out, report->study->conditions[condition].name);
}

/* Conditions below the axis, from 0. */
static void set_condition_tics(FILE *out, const va_report *report)
{
    const int n = report->study->condition_count;
    int longest = 0;
    fputs("set xtics (", out);
    for (int c = 0; c < n; c++) {
        const int length = (int)strlen(report->study->conditions[c].name);
        longest = length > longest ? length : longest;
        fputs(c ? ", " : "", out);
        write_name(out, report, c);
        fprintf(out, " %d", c);
    }
    fprintf(out, ")%s\nset xrange [-0.6:%g]\n", n * longest > 44 ? " rotate by 30 right" : "", n - 0.4);
}

static void set_style(FILE *out)
{
    fputs("set datafile missing 'NaN'\nset border 3\nset tics nomirror out\nset grid ytics linecolor '#d0d0d0'\n"
          "set bars 0.6\nset lmargin 12\n",
          out);
}

/* From 0 to a little above the largest. */
static void set_from_zero(FILE *out, double largest)
{
    fprintf(out, "set yrange [0:%g]\n", largest > 0 && isfinite(largest) ? 1.12 * largest : 1);
}

/* Where a run's point stands beside its condition: spread over the width by its number. */
static double beside(int r, int n)
{
    return n > 1 ? 0.36 * ((double)r / (n - 1) - 0.5) : 0;
}

/* A number of each run of each condition, and the condition's mean with its interval. */
typedef struct panel {
    const va_report *report;
    const char *label;
    double scale;
    const double *values[64]; /* by condition; NULL: none */
    int counts[64];
    va_section section;
    va_metric metric; /* of the mean */
    bool from_zero;
} panel;

static double largest_of(const panel *p)
{
    double largest = 0;
    for (int c = 0; c < p->report->study->condition_count; c++) {
        const va_figure *f = va_report_find(p->report, p->section, c, "", p->metric);
        for (int r = 0; p->values[c] && r < p->counts[c]; r++)
            largest = fmax(largest, p->scale * p->values[c][r]);
        if (f && isfinite(f->interval.high))
            largest = fmax(largest, p->scale * f->interval.high);
    }
    return largest;
}

static void write_panel_data(FILE *out, const panel *p)
{
    const int n = p->report->study->condition_count;
    for (int c = 0; c < n; c++) {
        fprintf(out, "$runs%d << END\n", c);
        for (int r = 0; p->values[c] && r < p->counts[c]; r++)
            if (isfinite(p->values[c][r]))
                fprintf(out, "%g %.10g\n", c - 0.12 + beside(r, p->counts[c]), p->scale * p->values[c][r]);
        fputs("NaN NaN\nEND\n", out);
    }
    fputs("$means << END\n", out);
    for (int c = 0; c < n; c++) {
        const va_figure *f = va_report_find(p->report, p->section, c, "", p->metric);
        const va_interval *x = f ? &f->interval : NULL;
        if (x && isfinite(x->estimate))
            fprintf(out, "%g %.10g %.10g %.10g\n", p->values[c] ? c + 0.22 : (double)c, p->scale * x->estimate,
                    p->scale * (isfinite(x->low) ? x->low : x->estimate),
                    p->scale * (isfinite(x->high) ? x->high : x->estimate));
    }
    fputs("NaN NaN NaN NaN\nEND\n", out);
}

/* Points of runs in the condition's colour, and the mean with its interval beside them, black. */
static void write_panel(FILE *out, const panel *p)
{
    set_condition_tics(out, p->report);
    fputs("set ylabel ", out);
    va_plot_text(out, p->label);
    fputc('\n', out);
    if (p->from_zero)
        set_from_zero(out, largest_of(p));
    else
        fputs("set yrange [*:*]\nset offsets 0, 0, graph 0.05, graph 0.05\n", out);
    write_panel_data(out, p);
    fputs("plot ", out);
    for (int c = 0; c < p->report->study->condition_count; c++)
        fprintf(out, "$runs%d with points pointtype %d pointsize 0.75 linecolor '%s' notitle, ", c, shape_of(c),
                color_of(c));
    fputs("$means with yerrorbars pointtype 2 pointsize 0.9 linewidth 1.6 linecolor 'black' notitle\nset offsets\n",
          out);
}

static bool panel_has_values(const panel *p)
{
    for (int c = 0; c < p->report->study->condition_count; c++)
        for (int r = 0; p->values[c] && r < p->counts[c]; r++)
            if (isfinite(p->values[c][r]))
                return true;
    return false;
}

/* ---- the pictures ---- */

typedef struct picture {
    const char *name;
    int width, height;
    bool (*has)(const va_report *report);
    void (*draw)(FILE *out, const va_report *report);
} picture;

static panel new_panel(const va_report *report, const char *label, double scale, va_section section, va_metric metric)
{
    panel p = {.report = report, .label = label, .scale = scale, .section = section, .metric = metric};
    for (int c = 0; c < report->study->condition_count; c++)
        p.counts[c] = report->conditions[c].metrics->replicas;
    return p;
}

static bool has_accuracy(const va_report *report)
{
    for (int c = 0; c < report->study->condition_count; c++)
        if (report->conditions[c].metrics->samples > 0)
            return va_report_wants(report, VA_ACCURACY);
    return false;
}

static void draw_accuracy(FILE *out, const va_report *report)
{
    panel accuracy = new_panel(report, "accuracy, %", 100, VA_ACCURACY, VA_M_ACCURACY),
          spread = new_panel(report, "its standard deviation, points", 100, VA_ACCURACY, VA_M_SD);
    for (int c = 0; c < report->study->condition_count; c++)
        accuracy.values[c] = report->conditions[c].metrics->accuracy;
    spread.from_zero = true;
    fputs("set multiplot layout 1,2\nset title 'each run; mean and its interval'\n", out);
    write_panel(out, &accuracy);
    fputs("set title 'standard deviation and its interval'\n", out);
    write_panel(out, &spread);
    fputs("unset multiplot\n", out);
}

static bool has_churn(const va_report *report)
{
    for (int c = 0; c < report->study->condition_count; c++)
        if (report->conditions[c].churn->pair_count > 0 && report->conditions[c].churn->samples > 0)
            return va_report_wants(report, VA_CHURN);
    return false;
}

static void draw_churn(FILE *out, const va_report *report)
{
    panel p = new_panel(report, "churn, % of samples", 100, VA_CHURN, VA_M_CHURN);
    for (int c = 0; c < report->study->condition_count; c++)
        p.values[c] = report->conditions[c].churn->pair_count ? report->conditions[c].churn->with_others : NULL;
    p.from_zero = true;
    fputs("set title 'each run against all others of its condition; mean and its interval'\n", out);
    write_panel(out, &p);
}

static panel weights_panel(const va_report *report, const char *label, int kind, va_metric metric)
{
    panel p = new_panel(report, label, 1, VA_WEIGHTS, metric);
    for (int c = 0; c < report->study->condition_count; c++)
        p.values[c] = p.counts[c] > 1 ? report->conditions[c].weights_with_others[kind] : NULL;
    p.from_zero = true;
    return p;
}

static bool has_weights(const va_report *report)
{
    const panel p = weights_panel(report, "", 0, VA_M_L2);
    return panel_has_values(&p);
}

static void draw_weights(FILE *out, const va_report *report)
{
    const panel apart = weights_panel(report, "L2 distance", 0, VA_M_L2),
                normalized = weights_panel(report, "L2 distance of unit vectors", 1, VA_M_L2_NORMALIZED);
    fputs("set multiplot layout 1,2\nset title 'weights as they are'\n", out);
    write_panel(out, &apart);
    fputs("set title 'weights normalized'\n", out);
    write_panel(out, &normalized);
    fputs("unset multiplot\n", out);
}

/* ---- classes and groups: conditions side by side at each item ---- */

/* Items of a section, in the order of their first figures. */
typedef struct items {
    const char *names[512];
    int count;
} items;

static void list_items(items *out, const va_report *report, va_section section, va_metric metric)
{
    out->count = 0;
    for (size_t i = 0; i < report->count; i++) {
        const va_figure *f = &report->figures[i];
        bool known = f->section != section || f->metric != metric || f->detail;
        for (int k = 0; k < out->count && !known; k++)
            known = strcmp(out->names[k], f->item) == 0;
        if (!known && out->count < 512)
            out->names[out->count++] = f->item;
    }
}

static void set_item_tics(FILE *out, const items *all, bool named)
{
    fprintf(out, "set xrange [-0.6:%g]\n", all->count - 0.4);
    if (all->count > MOST_TICKS) {
        fputs("set xtics auto norotate\n", out);
        return;
    }
    fputs("set xtics (", out);
    for (int k = 0; k < all->count; k++) {
        const bool is_class = strncmp(all->names[k], "class ", 6) == 0;
        fputs(k ? ", " : "", out);
        va_plot_text(out, named ? all->names[k] + (is_class ? 6 : 0) : "");
        fprintf(out, " %d", k);
    }
    fputs(all->count > 4 && strncmp(all->names[0], "class ", 6) != 0 ? ") rotate by 30 right\n" : ") norotate\n", out);
}

/* A condition's figures of all items, beside those of the others. */
static double write_items(FILE *out, const va_report *report, const items *all, va_section section, int condition,
                          va_metric metric)
{
    const int n = report->study->condition_count;
    double largest = 0;
    fprintf(out, "$items%d << END\n", condition);
    for (int k = 0; k < all->count; k++) {
        const va_figure *f = va_report_find(report, section, condition, all->names[k], metric);
        if (!f || !isfinite(f->interval.estimate))
            continue;
        const double x = k + (n > 1 ? 0.6 * ((double)condition / (n - 1) - 0.5) : 0), at = 100 * f->interval.estimate,
                     low = isfinite(f->interval.low) ? 100 * f->interval.low : at,
                     high = isfinite(f->interval.high) ? 100 * f->interval.high : at;
        fprintf(out, "%g %.10g %.10g %.10g\n", x, at, low, high);
        largest = fmax(largest, high);
    }
    fputs("NaN NaN NaN NaN\nEND\n", out);
    return largest;
}

static void write_items_panel(FILE *out, const va_report *report, const items *all, va_section section,
                              va_metric metric, bool named)
{
    const int n = report->study->condition_count;
    double largest = 0;
    for (int c = 0; c < n; c++)
        largest = fmax(largest, write_items(out, report, all, section, c, metric));
    set_item_tics(out, all, named);
    set_from_zero(out, largest);
    for (int c = 0; c < n; c++) {
        fprintf(out, "%s$items%d with yerrorbars pointtype %d pointsize 0.7 linewidth 1.4 linecolor '%s' title ",
                c ? ", " : "plot ", c, shape_of(c), color_of(c));
        write_name(out, report, c);
    }
    fputc('\n', out);
}

static bool has_items(const va_report *report, va_section section, va_metric metric)
{
    for (size_t i = 0; i < report->count; i++)
        if (report->figures[i].section == section && report->figures[i].metric == metric &&
            isfinite(report->figures[i].interval.estimate))
            return true;
    return false;
}

static bool has_classes(const va_report *report)
{
    return has_items(report, VA_CLASSES, VA_M_SD);
}

static void draw_classes(FILE *out, const va_report *report)
{
    items *all = malloc(sizeof *all);
    if (!all)
        return;
    list_items(all, report, VA_CLASSES, VA_M_SD);
    fputs("set key outside top center horizontal\nset xlabel 'class'\n"
          "set ylabel 'standard deviation of its accuracy, points'\n",
          out);
    write_items_panel(out, report, all, VA_CLASSES, VA_M_SD, true);
    free(all);
}

static bool has_groups(const va_report *report)
{
    return has_items(report, VA_GROUPS, VA_M_FPR) || has_items(report, VA_GROUPS, VA_M_FNR);
}

static void draw_groups(FILE *out, const va_report *report)
{
    static const struct {
        va_metric metric;
        const char *label;
    } panels[] = {{VA_M_FPR, "false positives, %"},
                  {VA_M_FPR_SD, "sd of false positives, points"},
                  {VA_M_FNR, "false negatives, %"},
                  {VA_M_FNR_SD, "sd of false negatives, points"}};
    items *all = malloc(sizeof *all);
    if (!all)
        return;
    list_items(all, report, VA_GROUPS, VA_M_FPR);
    fputs("unset lmargin\nset multiplot layout 2,2 margins 0.12,0.98,0.22,0.92 spacing 0.1,0.06\n"
          "set key at screen 0.5,0.985 center top horizontal maxrows 1\n",
          out);
    for (int i = 0; i < 4; i++) {
        fprintf(out, "set ylabel '%s'\n%s", panels[i].label, i == 1 ? "unset key\n" : "");
        write_items_panel(out, report, all, VA_GROUPS, panels[i].metric, i >= 2);
    }
    fputs("unset multiplot\n", out);
    free(all);
}

/* ---- curves ---- */

static bool has_curve(const va_report *report, va_curve_kind kind)
{
    for (int c = 0; c < report->study->condition_count; c++)
        if (report->conditions[c].curves[kind].what)
            return true;
    return false;
}

static bool has_curves(const va_report *report)
{
    return has_curve(report, VA_CURVE_LOSS) || has_curve(report, VA_CURVE_TEST_ACCURACY) ||
           has_curve(report, VA_CURVE_DISTANCE);
}

/* How many neighbouring points are drawn as one. */
static size_t points_together(const va_curve *curve)
{
    return (curve->count + MOST_POINTS - 1) / MOST_POINTS;
}

/* Step, mean, least and most of the runs; of several steps the means of these. */
static void write_curve(FILE *out, const va_curve *curve, int condition, double scale)
{
    const size_t together = points_together(curve);
    fprintf(out, "$curve%d << END\n", condition);
    for (size_t first = 0; first < curve->count; first += together) {
        double t = 0, mean = 0, least = 0, most = 0, n = 0;
        for (size_t i = first; i < first + together && i < curve->count; i++) {
            const va_curve_point *p = &curve->points[i];
            if (p->spread.n == 0)
                continue;
            t += p->t;
            mean += scale * p->spread.mean;
            least += scale * p->spread.min;
            most += scale * p->spread.max;
            n++;
        }
        if (n > 0)
            fprintf(out, "%g %.10g %.10g %.10g\n", t / n, mean / n, least / n, most / n);
    }
    fputs("NaN NaN NaN NaN\nEND\n", out);
}

/* About four numbers below an axis from 0 to `last`: 1, 2 or 5 times a power of ten apart. */
static double tic_distance(double last)
{
    const double power = pow(10, floor(log10(fmax(last, 1) / 4))), times = last / 4 / power;
    return fmax(1, power * (times < 1.5 ? 1 : times < 3.5 ? 2 : times < 7.5 ? 5 : 10));
}

/* The axis of steps, which also says how many of them are one point. */
static void set_steps(FILE *out, const va_report *report, va_curve_kind kind)
{
    double last = 1;
    size_t together = 1;
    for (int c = 0; c < report->study->condition_count; c++) {
        const va_curve *curve = &report->conditions[c].curves[kind];
        const size_t here = points_together(curve);
        last = curve->count ? fmax(last, curve->points[curve->count - 1].t) : last;
        together = here > together ? here : together;
    }
    fprintf(out, "set xrange [0:%g]\nset xtics %g\n", last, tic_distance(last));
    if (together > 1)
        fprintf(out, "set xlabel 'step (a point: the mean of %zu)'\n", together);
    else
        fputs("set xlabel 'step'\n", out);
}

static void draw_curve(FILE *out, const va_report *report, va_curve_kind kind, const char *label, double scale)
{
    const char *before = "plot ";
    if (!has_curve(report, kind))
        return;
    for (int c = 0; c < report->study->condition_count; c++)
        write_curve(out, &report->conditions[c].curves[kind], c, scale);
    set_steps(out, report, kind);
    fprintf(out, "set ylabel '%s'\n", label);
    for (int pass = 0; pass < 2; pass++)
        for (int c = 0; c < report->study->condition_count; c++) {
            if (!report->conditions[c].curves[kind].what)
                continue;
            const bool single = report->conditions[c].curves[kind].count == 1; /* a line through it would be none */
            fprintf(out,
                    pass && single ? "%s$curve%d using 1:2 with points pointtype 7 pointsize 0.8 linecolor '%s' title "
                    : pass         ? "%s$curve%d using 1:2 with lines linewidth 1.8 linecolor '%s' title "
                    : single       ? "%s$curve%d using 1:2:3:4 with yerrorbars pointtype 0 linecolor '%s' notitle"
                             : "%s$curve%d using 1:3:4 with filledcurves fillstyle transparent solid 0.18 noborder "
                               "linecolor '%s' notitle",
                    before, c, color_of(c));
            if (pass)
                write_name(out, report, c);
            before = ", ";
        }
    fputc('\n', out);
}

static void draw_curves(FILE *out, const va_report *report)
{
    const int panels = has_curve(report, VA_CURVE_LOSS) + has_curve(report, VA_CURVE_TEST_ACCURACY) +
                       has_curve(report, VA_CURVE_DISTANCE);
    fprintf(out, "set multiplot layout 1,%d\nset key top right\n", panels);
    fputs("set title 'mean of the runs, and their range'\n", out);
    draw_curve(out, report, VA_CURVE_LOSS, "training loss", 1);
    fputs("set key bottom right\n", out);
    draw_curve(out, report, VA_CURVE_TEST_ACCURACY, "accuracy, %", 100);
    fputs("set key center right\nset title 'mean of the pairs, and their range'\n", out);
    draw_curve(out, report, VA_CURVE_DISTANCE, "L2 distance of the weights", 1);
    fputs("unset multiplot\n", out);
}

/* ---- files ---- */

static const picture pictures[] = {
    {"accuracy", 1080, 440, has_accuracy, draw_accuracy}, {"churn", 720, 440, has_churn, draw_churn},
    {"weights", 1080, 440, has_weights, draw_weights},    {"classes", 960, 480, has_classes, draw_classes},
    {"groups", 1100, 860, has_groups, draw_groups},       {"curves", 1300, 440, has_curves, draw_curves},
};

static vr_status draw(const picture *what, const va_report *report, const char *folder, const char *suffix)
{
    char *path;
    va_plot plot;
    if (asprintf(&path, "%s/%s.%s", folder, what->name, suffix) < 0)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    vr_status status = va_plot_open(&plot, path, what->width, what->height);
    if (status == VR_OK) {
        set_style(plot.script);
        what->draw(plot.script, report);
        status = va_plot_close(&plot, true);
    }
    free(path);
    return status;
}

vr_status va_study_plots(const va_report *report, const char *folder, const char *suffix)
{
    vr_status status = VR_OK;
    if (report->study->condition_count > 64)
        return vr_fail(VR_ERROR_ARGUMENT, "--plots: %d conditions are too many to be drawn: at most 64",
                       report->study->condition_count);
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return vr_fail_errno(errno, "%s: cannot make the folder", folder);
    for (size_t i = 0; status == VR_OK && i < sizeof pictures / sizeof *pictures; i++)
        if (pictures[i].has(report))
            status = draw(&pictures[i], report, folder, suffix);
    return status;
}
