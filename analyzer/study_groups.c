/* study_groups.c - accuracy and error rates of the samples with one value in a column (study_metrics.h). */
#include "grow.h"
#include "study_metrics.h"

#include <formats/fail.h>
#include <math.h>
#include <string.h>

static vr_status out_of_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory for the groups of a condition");
}

/* ---- the values of a column ---- */

typedef struct values {
    int32_t values[VA_MOST_VALUES]; /* ascending */
    int count;
} values;

/* The place of a value, or where it would stand. */
static int place_of(const values *v, int32_t value)
{
    int low = 0, high = v->count;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (v->values[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static vr_status find_values(values *out, const va_table *table, int column)
{
    out->count = 0;
    for (size_t i = 0; i < table->samples; i++) {
        const int32_t value = table->groups[column][i];
        const int at = place_of(out, value);
        if (at < out->count && out->values[at] == value)
            continue;
        if (out->count == VA_MOST_VALUES)
            return vr_fail(VR_ERROR_ARGUMENT, "column %d has more than %d values: no groups; bin it first", column,
                           VA_MOST_VALUES);
        memmove(&out->values[at + 1], &out->values[at], (size_t)(out->count - at) * sizeof *out->values);
        out->values[at] = value;
        out->count++;
    }
    return VR_OK;
}

/* ---- one group ---- */

static void free_group(va_group *group)
{
    for (int i = 0; group->rates && i < group->rate_count; i++) {
        free(group->rates[i].fpr);
        free(group->rates[i].fnr);
    }
    free(group->rates);
    free(group->accuracy);
}

static vr_status new_group(va_group *out, const va_table *table, int column, int32_t value)
{
    const size_t replicas = (size_t)table->replicas;
    const int rates = table->classes == 2 ? 1 : table->classes;
    *out = (va_group){.column = column, .value = value, .rate_count = rates};
    out->accuracy = calloc(replicas + 1, sizeof *out->accuracy);
    out->rates = calloc((size_t)rates + 1, sizeof *out->rates);
    bool fine = out->accuracy && out->rates;
    for (int i = 0; fine && i < rates; i++) {
        out->rates[i].positive = table->classes == 2 ? 1 : i;
        out->rates[i].fpr = calloc(replicas + 1, sizeof *out->rates[i].fpr);
        out->rates[i].fnr = calloc(replicas + 1, sizeof *out->rates[i].fnr);
        fine = out->rates[i].fpr && out->rates[i].fnr;
    }
    if (fine)
        return VR_OK;
    free_group(out);
    return out_of_memory();
}

/* The rate whose positive class this is; NULL: none. */
static va_rate *rate_of(va_group *group, int32_t class, int classes)
{
    if (class < 0 || class >= classes || (classes == 2 && class == 0))
        return NULL;
    return &group->rates[classes == 2 ? 0 : class];
}

/* The groups of one column, and which of them each sample is in. */
typedef struct membership {
    va_group *groups;
    uint16_t *place; /* [samples] */
} membership;

static void count_samples(const membership *in, const va_table *table)
{
    for (size_t i = 0; i < table->samples; i++) {
        va_group *group = &in->groups[in->place[i]];
        va_rate *rate = rate_of(group, table->labels[i], table->classes);
        group->samples++;
        if (rate)
            rate->positives++;
    }
}

/* What replica r gets right, and its false positives and negatives: counts. */
static void count_errors(const membership *in, const va_table *table, int r)
{
    const int32_t *predictions = table->rows[r].predictions;
    for (size_t i = 0; i < table->samples; i++) {
        va_group *group = &in->groups[in->place[i]];
        if (predictions[i] == table->labels[i]) {
            group->accuracy[r]++;
            continue;
        }
        const va_rate *missed = rate_of(group, table->labels[i], table->classes);
        const va_rate *claimed = rate_of(group, predictions[i], table->classes);
        if (missed)
            missed->fnr[r]++;
        if (claimed)
            claimed->fpr[r]++;
    }
}

static void divide(double *counts, size_t replicas, size_t by)
{
    for (size_t r = 0; r < replicas; r++)
        counts[r] = by ? counts[r] / (double)by : NAN;
}

static void finish_group(va_group *group, size_t replicas)
{
    divide(group->accuracy, replicas, group->samples);
    group->accuracy_spread = va_spread_of(group->accuracy, replicas);
    for (int i = 0; i < group->rate_count; i++) {
        va_rate *rate = &group->rates[i];
        rate->negatives = group->samples - rate->positives;
        divide(rate->fpr, replicas, rate->negatives);
        divide(rate->fnr, replicas, rate->positives);
        rate->fpr_spread = va_spread_of(rate->fpr, replicas);
        rate->fnr_spread = va_spread_of(rate->fnr, replicas);
    }
}

/* ---- all groups ---- */

void va_groups_free(va_groups *groups)
{
    if (!groups)
        return;
    for (size_t i = 0; i < groups->count; i++)
        free_group(&groups->groups[i]);
    free(groups->groups);
    free(groups);
}

static vr_status add_group(va_groups *all, size_t *room, const va_table *table, int column, int32_t value)
{
    va_group *grown = va_one_more(all->groups, all->count, room, sizeof *grown);
    if (!grown)
        return out_of_memory();
    all->groups = grown;
    const vr_status status = new_group(&all->groups[all->count], table, column, value);
    all->count += status == VR_OK;
    return status;
}

static vr_status count_column(va_group *groups, const va_table *table, int index, const values *found)
{
    const membership in = {groups, calloc(table->samples + 1, sizeof *in.place)};
    if (!in.place)
        return out_of_memory();
    for (size_t i = 0; i < table->samples; i++)
        in.place[i] = (uint16_t)place_of(found, table->groups[index][i]);
    count_samples(&in, table);
    for (int r = 0; r < table->replicas; r++)
        count_errors(&in, table, r);
    free(in.place);
    for (int i = 0; i < found->count; i++)
        finish_group(&groups[i], (size_t)table->replicas);
    return VR_OK;
}

static vr_status add_column(va_groups *all, size_t *room, const va_table *table, int index)
{
    values found;
    const size_t before = all->count;
    vr_status status = find_values(&found, table, index);
    for (int i = 0; status == VR_OK && i < found.count; i++)
        status = add_group(all, room, table, index, found.values[i]);
    return status == VR_OK && found.count > 0 ? count_column(&all->groups[before], table, index, &found) : status;
}

static void set_ratios(va_groups *all, const va_spread *whole)
{
    for (size_t i = 0; i < all->count; i++)
        all->groups[i].ratio = whole->sd > 0 ? all->groups[i].accuracy_spread.sd / whole->sd : NAN;
}

vr_status va_groups_of(va_groups **out, const va_table *table)
{
    va_groups *all = calloc(1, sizeof *all);
    va_metrics *metrics = NULL;
    size_t room = 0;
    vr_status status = all ? va_metrics_of(&metrics, table) : out_of_memory();
    for (int column = 0; status == VR_OK && column < table->columns; column++)
        status = add_column(all, &room, table, column);
    if (status == VR_OK)
        set_ratios(all, &metrics->accuracy_spread);
    va_metrics_free(metrics);
    if (status != VR_OK) {
        va_groups_free(all);
        return status;
    }
    all->replicas = table->replicas;
    *out = all;
    return VR_OK;
}
