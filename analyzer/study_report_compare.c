/* Two conditions against each other (study_report.h). */
#include "study_report.h"
#include "study_tests.h"

#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_EXACT 64 /* figures a comparison up to which each has a permutation test; above, Welch's */

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

/* One thing that both conditions have: values[side][replica]. */
typedef struct item {
    const char *name;
    const double *values[2];
    double p;
} item;

typedef struct comparison {
    va_place place;
    size_t n[2];
    item *items; /* of classes or groups, tested together */
    size_t count;
    char (*names)[VA_GROUP_TEXT + 64];
} comparison;

static vr_status test_mean(va_test *out, const comparison *c, const item *x, bool exact)
{
    if (exact)
        return va_permutation_test(out, x->values[0], c->n[0], x->values[1], c->n[1], c->place.report->options.seed);
    *out = va_welch_test(x->values[0], c->n[0], x->values[1], c->n[1]);
    return VR_OK;
}

static va_interval test_interval(const va_test *test)
{
    va_interval p = va_plain(test->p, (int)(test->n + test->m));
    p.method = test->name;
    return p;
}

/* Mean and spread of one thing that is tested by itself. */
static vr_status compare_whole(const comparison *c, const item *x)
{
    va_report *report = c->place.report;
    va_test mean, spread = {.name = "Brown-Forsythe", .p = NAN};
    const bool enough = c->n[0] > 2 && c->n[1] > 2; /* two values are always equally far from their median */
    vr_status status = test_mean(&mean, c, x, true);
    if (status == VR_OK && enough)
        status = va_brown_forsythe_test(&spread, (const double *const[]){x->values[0], x->values[1]}, c->n, 2);
    if (status != VR_OK)
        return status;
    va_add(&c->place, VA_M_DIFFERENCE,
           va_difference_interval(x->values[0], c->n[0], x->values[1], c->n[1], report->options.confidence), "%s",
           x->name);
    va_figure *f = va_add(&c->place, VA_M_P, test_interval(&mean), "%s", x->name);
    va_add_note(report, f, "%s%s", mean.name, mean.exact ? ", exact" : "");
    va_add(&c->place, VA_M_SD_RATIO,
           va_sd_comparison_interval(x->values[0], c->n[0], x->values[1], c->n[1], report->options.confidence), "%s",
           x->name);
    f = va_add(&c->place, VA_M_P_SD, test_interval(&spread), "%s", x->name);
    va_add_note(report, f, "%s%s", spread.name, enough ? "" : " needs three runs of each");
    return VR_OK;
}

/* Means of all items, their p-values corrected for how many there are. */
static vr_status compare_items(comparison *c)
{
    va_report *report = c->place.report;
    const bool exact = c->count <= MOST_EXACT && c->n[0] + c->n[1] <= 40;
    double *p = calloc(c->count + 1, sizeof *p);
    const char *name = "";
    vr_status status = p ? VR_OK : no_memory();
    for (size_t i = 0; status == VR_OK && i < c->count; i++) {
        va_test test;
        status = test_mean(&test, c, &c->items[i], exact);
        p[i] = c->items[i].p = status == VR_OK ? test.p : NAN;
        name = status == VR_OK ? test.name : name;
    }
    if (status == VR_OK)
        status = va_holm(p, c->count);
    for (size_t i = 0; status == VR_OK && i < c->count; i++) {
        const item *x = &c->items[i];
        va_add(&c->place, VA_M_DIFFERENCE,
               va_difference_interval(x->values[0], c->n[0], x->values[1], c->n[1], report->options.confidence), "%s",
               x->name);
        va_add(&c->place, VA_M_P, va_plain(x->p, (int)(c->n[0] + c->n[1])), "%s", x->name);
        va_figure *f = va_add(&c->place, VA_M_P_HOLM, va_plain(p[i], (int)(c->n[0] + c->n[1])), "%s", x->name);
        va_add_note(report, f, "%s, corrected for %zu", name, c->count);
    }
    free(p);
    return status;
}

/* ---- what is compared ---- */

static vr_status compare_classes(comparison *c, const va_metrics *a, const va_metrics *b)
{
    const int classes = a->classes < b->classes ? a->classes : b->classes;
    c->items = calloc((size_t)classes + 1, sizeof *c->items);
    c->names = calloc((size_t)classes + 1, sizeof *c->names);
    c->count = 0;
    vr_status status = c->items && c->names ? VR_OK : no_memory();
    for (int k = 0; status == VR_OK && k < classes; k++) {
        snprintf(c->names[k], sizeof c->names[k], "class %d", k);
        c->items[c->count++] = (item){
            c->names[k], {&a->class_accuracy[(size_t)k * c->n[0]], &b->class_accuracy[(size_t)k * c->n[1]]}, NAN};
    }
    if (status == VR_OK)
        status = compare_items(c);
    free(c->items);
    free(c->names);
    return status;
}

static const va_group *same_group(const va_report *report, int condition, const char *name)
{
    const va_groups *all = report->conditions[condition].groups;
    for (size_t g = 0; all && g < all->count; g++) {
        char other[VA_GROUP_TEXT];
        if (strcmp(va_group_text(other, report, condition, &all->groups[g]), name) == 0)
            return &all->groups[g];
    }
    return NULL;
}

static void add_item(comparison *c, const char *what, const char *name, const double *a, const double *b)
{
    snprintf(c->names[c->count], sizeof c->names[c->count], "%s%s", name, what);
    c->items[c->count] = (item){c->names[c->count], {a, b}, NAN};
    c->count++;
}

/* A group's accuracy, and where there are two classes FPR and FNR. */
static void add_group_items(comparison *c, const va_group *a, const va_group *b, const char *name)
{
    add_item(c, "", name, a->accuracy, b->accuracy);
    if (a->rate_count == 1 && b->rate_count == 1) {
        add_item(c, ", FPR", name, a->rates[0].fpr, b->rates[0].fpr);
        add_item(c, ", FNR", name, a->rates[0].fnr, b->rates[0].fnr);
    }
}

static vr_status compare_groups(comparison *c)
{
    const va_report *report = c->place.report;
    const va_groups *all = report->conditions[c->place.condition].groups;
    if (!all || !report->conditions[c->place.against].groups)
        return VR_OK;
    c->items = calloc(3 * all->count + 1, sizeof *c->items);
    c->names = calloc(3 * all->count + 1, sizeof *c->names);
    c->count = 0;
    vr_status status = c->items && c->names ? VR_OK : no_memory();
    for (size_t g = 0; status == VR_OK && g < all->count; g++) {
        char name[VA_GROUP_TEXT];
        va_group_text(name, report, c->place.condition, &all->groups[g]);
        const va_group *other = same_group(report, c->place.against, name);
        if (other)
            add_group_items(c, &all->groups[g], other, name);
    }
    if (status == VR_OK)
        status = compare_items(c);
    free(c->items);
    free(c->names);
    return status;
}

/* As far as counts tell: as many samples, and as many of each class. */
static bool same_samples(const va_metrics *a, const va_metrics *b)
{
    return a->samples == b->samples && a->classes == b->classes &&
           memcmp(a->class_samples, b->class_samples, (size_t)a->classes * sizeof *a->class_samples) == 0;
}

static vr_status compare(va_report *report, int condition, int against)
{
    const va_condition_report *a = &report->conditions[condition], *b = &report->conditions[against];
    comparison c = {.place = {report, VA_COMPARE, condition, against},
                    .n = {(size_t)a->metrics->replicas, (size_t)b->metrics->replicas}};
    if (!same_samples(a->metrics, b->metrics))
        va_study_note(report->study,
                      "%s against %s: evaluated on other samples (%zu and %zu), which may be what differs",
                      report->study->conditions[condition].name, report->study->conditions[against].name,
                      a->metrics->samples, b->metrics->samples);
    vr_status status =
        compare_whole(&c, &(item){.name = "accuracy", .values = {a->metrics->accuracy, b->metrics->accuracy}});
    if (status == VR_OK)
        status = compare_classes(&c, a->metrics, b->metrics);
    if (status == VR_OK)
        status = compare_groups(&c);
    return status;
}

/* ---- which conditions ---- */

static int find_condition(const va_study *study, const char *name, size_t length)
{
    for (int c = 0; c < study->condition_count; c++)
        if (strlen(study->conditions[c].name) == length && strncmp(study->conditions[c].name, name, length) == 0)
            return c;
    return -1;
}

static vr_status compare_named(va_report *report, const char *names)
{
    const char *comma = strchr(names, ',');
    const int a = find_condition(report->study, names, (size_t)(comma - names)),
              b = find_condition(report->study, comma + 1, strlen(comma + 1));
    if (a >= 0 && a == b)
        return vr_fail(VR_ERROR_ARGUMENT, "--compare %s: that is one condition", names);
    if (a >= 0 && b >= 0)
        return compare(report, a, b);
    char known[256] = "";
    for (int c = 0; c < report->study->condition_count; c++) {
        const size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", c ? ", " : "", report->study->conditions[c].name);
    }
    return vr_fail(VR_ERROR_ARGUMENT, "--compare %s: the conditions are %s", names, known);
}

/* Runs of the same bits are one run many times over: tests would take them for many. */
static bool is_comparable(const va_report *report, int condition)
{
    return !report->conditions[condition].identical && report->study->conditions[condition].count > 1;
}

vr_status va_report_compare(va_report *report)
{
    vr_status status = VR_OK;
    int base = -1;
    if (report->options.compare)
        return compare_named(report, report->options.compare);
    for (int c = 0; status == VR_OK && c < report->study->condition_count; c++) {
        if (!is_comparable(report, c))
            continue;
        if (base < 0)
            base = c;
        else
            status = compare(report, c, base);
    }
    return status;
}
