/* An evaluation: checked as a whole, then recorded column by column. libtrace/evaluation.c puts it together again. */
#include "run_impl.h"

#include <formats/fail.h>
#include <libtrace/trace_impl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <varanalyze/evaluation.h>

#define MAX_NAME     255
#define MOST_COLUMNS 7    /* but the groups */
#define MAX_VALUES   4096 /* bytes of the names of a group column's values */

/* ---- what is refused ---- */

static int by_number(const void *x, const void *y)
{
    const uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return (a > b) - (a < b);
}

static vr_status check_ids(const vr_evaluation *e)
{
    size_t i = 1;
    while (i < e->count && e->ids[i - 1] < e->ids[i])
        i++;
    if (i >= e->count)
        return VR_OK;
    uint64_t *sorted = malloc(e->count * sizeof *sorted);
    if (!sorted)
        return vr_fail(VR_ERROR_MEMORY, "evaluation %s: out of memory", e->name);
    memcpy(sorted, e->ids, e->count * sizeof *sorted);
    qsort(sorted, e->count, sizeof *sorted, by_number);
    for (i = 1; i < e->count && sorted[i - 1] != sorted[i];)
        i++;
    const uint64_t twice = sorted[i - 1];
    free(sorted);
    return i == e->count ? VR_OK
                         : vr_fail(VR_ERROR_ARGUMENT, "evaluation %s: two samples have the id %llu", e->name,
                                   (unsigned long long)twice);
}

/* Whether all are in least .. classes-1; what is not said is not checked. */
static vr_status check_classes(const vr_evaluation *e, const char *what, const int32_t *values, int64_t least)
{
    for (size_t i = 0; e->classes && i < e->count; i++)
        if (values[i] < least || values[i] >= (int64_t)e->classes)
            return vr_fail(VR_ERROR_ARGUMENT, "evaluation %s: %s %zu is %d, of %zu classes", e->name, what, i,
                           values[i], e->classes);
    return VR_OK;
}

static vr_status check_values(const vr_evaluation *e, size_t group)
{
    const char *const *values = e->group_values ? e->group_values[group] : NULL;
    size_t bytes = 0;
    for (; values && *values; values++) {
        bytes += strlen(*values) + 1;
        if (!vr_name_is_text(*values, strlen(*values)) || bytes > MAX_VALUES)
            return vr_fail(VR_ERROR_ARGUMENT,
                           "evaluation %s: the names of group %s's values are not UTF-8 without control characters of "
                           "at most %d bytes",
                           e->name, e->group_names[group], MAX_VALUES);
    }
    return VR_OK;
}

static vr_status check_groups(const vr_evaluation *e)
{
    vr_status status = VR_OK;
    for (size_t i = 0; status == VR_OK && i < e->group_count; i++) {
        if (!e->group_names || !e->groups || !e->group_names[i] || (e->count && !e->groups[i]))
            return vr_fail(VR_ERROR_ARGUMENT, "evaluation %s: group %zu lacks its name or its values", e->name, i);
        if (strlen(e->group_names[i]) > MAX_NAME - strlen(VR_GROUP_PREFIX))
            return vr_fail(VR_ERROR_ARGUMENT, "evaluation %s: the name of group %zu is too long", e->name, i);
        for (size_t j = 0; j < i; j++)
            if (strcmp(e->group_names[i], e->group_names[j]) == 0)
                return vr_fail(VR_ERROR_ARGUMENT, "evaluation %s: two groups are called %s", e->name,
                               e->group_names[i]);
        status = check_values(e, i);
    }
    return status;
}

static bool is_real(vr_dtype type)
{
    return type == 0 || type == VR_F32 || type == VR_F64;
}

static vr_status check(const vr_evaluation *e)
{
    if (e->version != VR_EVALUATION_VERSION)
        return vr_fail(VR_ERROR_ARGUMENT, "evaluation of version %u; initialize it with VR_EVALUATION_INIT",
                       e->version);
    if (!e->name || (e->count && (!e->labels || !e->predictions)) || (e->probabilities && !e->classes))
        return vr_fail(VR_ERROR_ARGUMENT,
                       "evaluation: name, labels and predictions are needed, and classes with probabilities");
    if (!is_real(e->probabilities_type) || !is_real(e->losses_type))
        return vr_fail(VR_ERROR_ARGUMENT, "evaluation %s: probabilities and losses are f32 or f64", e->name);
    vr_status status = e->ids ? check_ids(e) : VR_OK;
    if (status == VR_OK)
        status = check_classes(e, "label", e->labels, 0);
    if (status == VR_OK)
        status = check_classes(e, "prediction", e->predictions, -1);
    return status == VR_OK ? check_groups(e) : status;
}

/* ---- what is recorded ---- */

typedef struct column {
    char name[MAX_NAME + 1];
    vr_tensor tensor;
} column;

typedef struct columns {
    column *all;
    size_t count;
    uint64_t *ids; /* where the program gave none */
    int64_t classes;
} columns;

static void add(columns *to, const char *prefix, const char *name, vr_tensor tensor)
{
    column *next = &to->all[to->count++];
    snprintf(next->name, sizeof next->name, "%s%s", prefix, name);
    next->tensor = tensor;
}

static vr_status number_samples(columns *to, const vr_evaluation *e)
{
    to->all = malloc((MOST_COLUMNS + e->group_count) * sizeof *to->all);
    to->ids = e->ids ? NULL : malloc((e->count + 1) * sizeof *to->ids);
    if (!to->all || (!e->ids && !to->ids))
        return vr_fail(VR_ERROR_MEMORY, "evaluation %s: out of memory", e->name);
    for (size_t i = 0; to->ids && i < e->count; i++)
        to->ids[i] = i;
    return VR_OK;
}

/* The number of classes stands last: an evaluation that has it is whole. */
static vr_status list_columns(columns *to, const vr_evaluation *e)
{
    const int64_t n = (int64_t)e->count;
    const vr_status status = number_samples(to, e);
    if (status != VR_OK)
        return status;
    to->classes = (int64_t)e->classes;
    add(to, "ids", "", VR_TENSOR(VR_U64, e->ids ? e->ids : to->ids, n));
    add(to, "labels", "", VR_TENSOR(VR_I32, e->labels, n));
    add(to, "predictions", "", VR_TENSOR(VR_I32, e->predictions, n));
    if (e->probabilities)
        add(to, "probabilities", "",
            VR_TENSOR(e->probabilities_type ? e->probabilities_type : VR_F32, e->probabilities, n, to->classes));
    if (e->losses)
        add(to, "losses", "", VR_TENSOR(e->losses_type ? e->losses_type : VR_F32, e->losses, n));
    if (e->loss)
        add(to, "loss", "", VR_SCALAR(VR_F64, e->loss));
    for (size_t i = 0; i < e->group_count; i++)
        add(to, VR_GROUP_PREFIX, e->group_names[i], VR_TENSOR(VR_I32, e->groups[i], n));
    add(to, "classes", "", VR_SCALAR(VR_I64, &to->classes));
    return VR_OK;
}

static json_t *values_json(const char *const *values)
{
    json_t *out = json_array();
    for (; values && *values; values++)
        json_array_append_new(out, json_string(*values));
    return out;
}

/* Tells the trace the names of a group's values, unless it knows them. */
static void tell_values(vr_run *run, const char *set, const char *group, const char *const *values)
{
    json_t *names = values_json(values), *known = json_object_get(run->groups, set);
    if (!known)
        json_object_set_new(run->groups, set, known = json_object());
    if (!json_equal(json_object_get(known, group), names)) {
        vr_run_tell(run, "evaluations", json_pack("{s:{s:{s:O}}}", set, "groups", group, names));
        json_object_set(known, group, names);
    }
    json_decref(names);
}

static void tell_groups(vr_run *run, const vr_evaluation *e)
{
    pthread_mutex_lock(&run->lock);
    for (size_t i = 0; e->group_values && i < e->group_count; i++)
        if (e->group_values[i])
            tell_values(run, e->name, e->group_names[i], e->group_values[i]);
    pthread_mutex_unlock(&run->lock);
}

static vr_site_key key_of(const vr_evaluation *e, const column *of)
{
    return (vr_site_key){VR_EVALUATION, e->name, of->name, &of->tensor, e->inputs, e->input_count};
}

/* All columns are checked before the first is recorded. */
static vr_status record_columns(vr_run *run, const vr_evaluation *e, const columns *from)
{
    vr_status status = VR_OK;
    for (size_t i = 0; status == VR_OK && i < from->count; i++) {
        const vr_site_key key = key_of(e, &from->all[i]);
        status = vr_record_check(&key);
    }
    if (status != VR_OK)
        return status;
    pthread_mutex_lock(&run->evaluating);
    tell_groups(run, e);
    for (size_t i = 0; status == VR_OK && i < from->count; i++) {
        const vr_site_key key = key_of(e, &from->all[i]);
        status = vr_record_tensor(run, &key, &(vr_manner){.least = VR_LEVEL_FULL});
    }
    pthread_mutex_unlock(&run->evaluating);
    return status;
}

vr_status vr_record_evaluation(vr_run *run, const vr_evaluation *evaluation)
{
    if (!run || !run->queue)
        return VR_OK;
    if (vr_run_is_forked(run))
        return vr_run_incomplete(run);
    vr_status status = check(evaluation);
    if (status != VR_OK)
        return status;
    columns all = {.count = 0};
    status = list_columns(&all, evaluation);
    if (status == VR_OK)
        status = record_columns(run, evaluation, &all);
    free(all.all);
    free(all.ids);
    return status;
}
