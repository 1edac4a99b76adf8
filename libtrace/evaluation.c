/* Evaluations put together from their columns, which are records of phase evaluation. */
#include <varanalyze/evaluation.h>

#include "fail.h"
#include "trace_impl.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK       4096
#define MOST_VALUES 65536 /* names of a group column's values */

/* An evaluation that may still lack something. */
typedef struct draft {
    vr_evaluation_info info;
    bool sealed, broken;
} draft;

typedef struct group_entry {
    uint64_t draft;
    vr_group_info info;
} group_entry;

/* What the infos point to. */
struct vr_evaluations {
    vr_evaluation_info *all;
    uint64_t count;
    vr_group_info *groups;
    const char ***values; /* of each site that is a group column */
    uint64_t site_count;
    json_t *run; /* holds the values' names */
};

typedef struct reading {
    vr_trace *trace;
    uint64_t *open; /* by layer: the number of its last draft plus 1 */
    draft *drafts;
    group_entry *groups;
    uint64_t draft_count, draft_room, group_count, group_room;
} reading;

static vr_status no_memory(const vr_trace *trace)
{
    return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", trace->path);
}

/* ---- where they are ---- */

static bool has_evaluations(const vr_trace *trace)
{
    for (uint64_t i = 0; i < trace->info.site_count; i++)
        if (trace->sites[i].phase == VR_EVALUATION)
            return true;
    return false;
}

vr_status vr_trace_add_evaluated(vr_trace *trace, uint64_t number)
{
    uint64_t *grown = vr_with_room(trace->evaluated, trace->evaluated_count, &trace->evaluated_room, sizeof *grown);
    if (!grown)
        return no_memory(trace);
    trace->evaluated = grown;
    trace->evaluated[trace->evaluated_count++] = number;
    return VR_OK;
}

static vr_status list_block(vr_trace *trace, uint64_t first, const vr_trace_record *block, uint64_t n)
{
    vr_status status = VR_OK;
    for (uint64_t i = 0; status == VR_OK && i < n; i++)
        if (trace->sites[block[i].site].phase == VR_EVALUATION)
            status = vr_trace_add_evaluated(trace, first + i);
    return status;
}

vr_status vr_trace_find_evaluated(vr_trace *trace)
{
    if (trace->evaluated)
        return VR_OK;
    const uint64_t count = has_evaluations(trace) ? trace->info.record_count : 0;
    trace->evaluated = malloc(sizeof *trace->evaluated);
    trace->evaluated_room = 1;
    vr_trace_record *block = malloc(BLOCK * sizeof *block);
    vr_status status = trace->evaluated && block ? VR_OK : no_memory(trace);
    for (uint64_t first = 0; status == VR_OK && first < count; first += BLOCK) {
        const uint64_t n = count - first < BLOCK ? count - first : BLOCK;
        status = vr_trace_read_records(trace, first, n, block);
        if (status == VR_OK)
            status = list_block(trace, first, block, n);
    }
    free(block);
    if (status != VR_OK) {
        free(trace->evaluated);
        trace->evaluated = NULL;
        trace->evaluated_count = 0;
    }
    return status;
}

/* ---- what they hold ---- */

static bool is_column(const vr_site *site, const vr_trace_record *record, vr_dtype dtype, int64_t count)
{
    return record->level == VR_LEVEL_FULL && site->dtype == dtype && site->rank == 1 && site->count == count;
}

static bool is_ids(const vr_site *site, const vr_trace_record *record)
{
    return strcmp(site->name, "ids") == 0 && (is_column(site, record, VR_U64, site->count) ||
                                              is_column(site, record, VR_I64, site->count)); /* older writers' */
}

static bool is_real(const vr_site *site)
{
    return site->dtype == VR_F32 || site->dtype == VR_F64;
}

static vr_status begin(reading *in, const vr_trace_record *record)
{
    const vr_site *site = &in->trace->sites[record->site];
    draft *drafts = vr_with_room(in->drafts, in->draft_count, &in->draft_room, sizeof *drafts);
    if (!drafts)
        return no_memory(in->trace);
    in->drafts = drafts;
    drafts[in->draft_count++] = (draft){.info = {.name = site->layer,
                                                 .step = record->step,
                                                 .epoch = record->epoch,
                                                 .count = site->count,
                                                 .loss = NAN,
                                                 .ids = *record}};
    in->open[site->layer_id] = in->draft_count;
    return VR_OK;
}

static vr_status add_group(reading *in, draft *to, const vr_site *site, const vr_trace_record *record)
{
    if (!is_column(site, record, VR_I32, to->info.count)) {
        to->broken = true;
        return VR_OK;
    }
    group_entry *groups = vr_with_room(in->groups, in->group_count, &in->group_room, sizeof *groups);
    if (!groups)
        return no_memory(in->trace);
    in->groups = groups;
    groups[in->group_count++] =
        (group_entry){(uint64_t)(to - in->drafts), {.name = site->name + strlen(VR_GROUP_PREFIX), .record = *record}};
    to->info.group_count++;
    return VR_OK;
}

static void add_integers(draft *to, vr_trace_record *column, const vr_site *site, const vr_trace_record *record)
{
    *column = *record;
    to->broken |= !is_column(site, record, VR_I32, to->info.count);
}

static void add_reals(draft *to, vr_trace_record *column, vr_dtype *type, int rank, const vr_site *site,
                      const vr_trace_record *record)
{
    *column = *record;
    *type = site->dtype;
    to->broken |=
        record->level != VR_LEVEL_FULL || !is_real(site) || site->rank != rank || site->shape[0] != to->info.count;
}

/* A number by itself. */
static vr_status read_scalar(reading *in, draft *to, vr_dtype dtype, const vr_trace_record *record, void *out)
{
    const vr_site *site = &in->trace->sites[record->site];
    if (record->level == VR_LEVEL_FULL && site->dtype == dtype && site->rank == 0)
        return vr_trace_read_values(in->trace, record, 0, 1, out);
    to->broken = true;
    return VR_OK;
}

static vr_status add_column(reading *in, draft *to, const vr_trace_record *record)
{
    const vr_site *site = &in->trace->sites[record->site];
    vr_evaluation_info *info = &to->info;
    if (strcmp(site->name, "labels") == 0)
        add_integers(to, &info->labels, site, record);
    else if (strcmp(site->name, "predictions") == 0)
        add_integers(to, &info->predictions, site, record);
    else if (strcmp(site->name, "probabilities") == 0)
        add_reals(to, &info->probabilities, &info->probabilities_type, 2, site, record);
    else if (strcmp(site->name, "losses") == 0)
        add_reals(to, &info->losses, &info->losses_type, 1, site, record);
    else if (strncmp(site->name, VR_GROUP_PREFIX, strlen(VR_GROUP_PREFIX)) == 0)
        return add_group(in, to, site, record);
    else if (strcmp(site->name, "loss") == 0) {
        info->has_loss = true;
        return read_scalar(in, to, VR_F64, record, &info->loss);
    } else if (strcmp(site->name, "classes") == 0) { /* the last */
        to->sealed = true;
        in->open[site->layer_id] = 0;
        return read_scalar(in, to, VR_I64, record, &info->classes);
    }
    return VR_OK;
}

static vr_status take(reading *in, const vr_trace_record *record)
{
    const vr_site *site = &in->trace->sites[record->site];
    if (is_ids(site, record))
        return begin(in, record);
    const uint64_t open = in->open[site->layer_id];
    draft *to = open ? &in->drafts[open - 1] : NULL;
    return to && to->info.step == record->step ? add_column(in, to, record) : VR_OK;
}

static vr_status take_all(reading *in)
{
    vr_trace *trace = in->trace;
    vr_trace_record record;
    vr_status status = VR_OK;
    for (uint64_t i = 0; status == VR_OK && i < trace->evaluated_count; i++) {
        const uint64_t number = trace->evaluated[i];
        if (number >= trace->info.record_count || (i > 0 && number <= trace->evaluated[i - 1]))
            return vr_fail(VR_ERROR_FORMAT, "%s: damaged trace: /evaluations lists record %llu out of its place",
                           trace->path, (unsigned long long)number);
        status = vr_trace_read_records(trace, number, 1, &record);
        if (status == VR_OK && trace->sites[record.site].phase == VR_EVALUATION)
            status = take(in, &record);
    }
    return status;
}

/* Whether all of it was recorded. Older writers, whose ids are signed, put no number of classes last: theirs are whole
 * in a step that is. */
static bool is_whole(const vr_trace *trace, draft *d)
{
    const vr_trace_info *info = &trace->info;
    const bool wide = d->info.probabilities.level;
    const int64_t width = wide ? trace->sites[d->info.probabilities.site].shape[1] : 0;
    if (d->broken || (wide && width == 0) || !d->info.labels.level || !d->info.predictions.level || d->info.classes < 0)
        return false;
    if (width && d->info.classes && width != d->info.classes)
        return false;
    d->info.classes = width ? width : d->info.classes;
    const bool older = trace->sites[d->info.ids.site].dtype == VR_I64;
    return d->sealed || (older && vr_trace_step_is_finished(trace, d->info.step) &&
                         !(info->incomplete && d->info.step >= info->incomplete_step));
}

/* ---- the list that users see ---- */

/* The names of a group column's values, once for each site. */
static vr_status name_values(struct vr_evaluations *all, const vr_trace *trace, vr_group_info *group)
{
    const uint32_t number = group->record.site;
    const vr_site *site = &trace->sites[number];
    const json_t *set = json_object_get(json_object_get(all->run, "evaluations"), site->layer);
    const json_t *names = json_object_get(json_object_get(set, "groups"), group->name);
    const size_t count = json_array_size(names) < MOST_VALUES ? json_array_size(names) : MOST_VALUES;
    if (count == 0)
        return VR_OK;
    if (!all->values[number]) {
        const char **values = all->values[number] = malloc(count * sizeof *values);
        if (!values)
            return no_memory(trace);
        for (size_t i = 0; i < count; i++) {
            const char *value = json_string_value(json_array_get(names, i));
            values[i] = value ? value : "";
        }
    }
    group->values = all->values[number];
    group->value_count = (uint32_t)count;
    return VR_OK;
}

/* Puts the groups behind one another, those of an evaluation together, and those of no whole one at the end. */
static vr_status place_groups(struct vr_evaluations *all, reading *in, const uint64_t *place)
{
    vr_status status = VR_OK;
    vr_group_info *next = all->groups;
    for (uint64_t i = 0; i < all->count; i++) {
        all->all[i].groups = next;
        next += all->all[i].group_count;
        all->all[i].group_count = 0;
    }
    for (uint64_t i = 0; status == VR_OK && i < in->group_count; i++) {
        const uint64_t to = place[in->groups[i].draft];
        if (to == UINT64_MAX)
            continue;
        vr_evaluation_info *info = &all->all[to];
        vr_group_info *group = &((vr_group_info *)info->groups)[info->group_count++];
        *group = in->groups[i].info;
        status = name_values(all, in->trace, group);
    }
    return status;
}

static vr_status publish(struct vr_evaluations *all, reading *in)
{
    uint64_t *place = malloc((in->draft_count + 1) * sizeof *place);
    all->all = malloc((in->draft_count + 1) * sizeof *all->all);
    all->groups = calloc(in->group_count + 1, sizeof *all->groups);
    all->site_count = in->trace->info.site_count;
    all->values = calloc(all->site_count + 1, sizeof *all->values);
    all->run = json_loads(in->trace->info.run, 0, NULL);
    if (!place || !all->all || !all->groups || !all->values || !all->run) {
        free(place);
        return no_memory(in->trace);
    }
    for (uint64_t i = 0; i < in->draft_count; i++) {
        place[i] = UINT64_MAX;
        if (is_whole(in->trace, &in->drafts[i])) {
            place[i] = all->count;
            all->all[all->count++] = in->drafts[i].info;
        }
    }
    const vr_status status = place_groups(all, in, place);
    free(place);
    return status;
}

void vr_evaluations_free(struct vr_evaluations *all)
{
    if (!all)
        return;
    for (uint64_t i = 0; all->values && i < all->site_count; i++)
        free(all->values[i]);
    free(all->values);
    free(all->groups);
    free(all->all);
    json_decref(all->run);
    free(all);
}

static vr_status read_evaluations(vr_trace *trace)
{
    reading in = {.trace = trace};
    struct vr_evaluations *all = calloc(1, sizeof *all);
    in.open = calloc(trace->info.name_count + 1, sizeof *in.open);
    vr_status status = all && in.open ? vr_trace_find_evaluated(trace) : no_memory(trace);
    if (status == VR_OK)
        status = take_all(&in);
    if (status == VR_OK)
        status = publish(all, &in);
    if (status == VR_OK)
        trace->evaluations = all;
    else
        vr_evaluations_free(all);
    free(in.open);
    free(in.drafts);
    free(in.groups);
    return status;
}

vr_status vr_trace_evaluations(vr_trace *trace, const vr_evaluation_info **out, uint64_t *count)
{
    const vr_status status = trace->evaluations ? VR_OK : read_evaluations(trace);
    *out = status == VR_OK ? trace->evaluations->all : NULL;
    *count = status == VR_OK ? trace->evaluations->count : 0;
    return status;
}

/* ---- rows ---- */

static vr_status no_column(const vr_trace *trace, const vr_evaluation_info *evaluation, const char *column)
{
    return vr_fail(VR_ERROR_ARGUMENT, "%s: the evaluation '%s' of step %llu has no %s", trace->path, evaluation->name,
                   (unsigned long long)evaluation->step, column);
}

vr_status vr_evaluation_ids(vr_trace *trace, const vr_evaluation_info *evaluation, int64_t first, int64_t count,
                            uint64_t *out)
{
    return vr_trace_read_values(trace, &evaluation->ids, first, count, out);
}

vr_status vr_evaluation_labels(vr_trace *trace, const vr_evaluation_info *evaluation, int64_t first, int64_t count,
                               int32_t *out)
{
    return vr_trace_read_values(trace, &evaluation->labels, first, count, out);
}

vr_status vr_evaluation_predictions(vr_trace *trace, const vr_evaluation_info *evaluation, int64_t first, int64_t count,
                                    int32_t *out)
{
    return vr_trace_read_values(trace, &evaluation->predictions, first, count, out);
}

vr_status vr_evaluation_group(vr_trace *trace, const vr_evaluation_info *evaluation, uint32_t group, int64_t first,
                              int64_t count, int32_t *out)
{
    if (group >= evaluation->group_count)
        return no_column(trace, evaluation, "such group");
    return vr_trace_read_values(trace, &evaluation->groups[group].record, first, count, out);
}

vr_status vr_evaluation_probabilities(vr_trace *trace, const vr_evaluation_info *evaluation, int64_t first,
                                      int64_t count, void *out)
{
    const int64_t width = evaluation->classes;
    if (!evaluation->probabilities_type)
        return no_column(trace, evaluation, "probabilities");
    if (first < 0 || count < 0 || first > evaluation->count || count > evaluation->count - first)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: the evaluation '%s' has %lld samples", trace->path, evaluation->name,
                       (long long)evaluation->count);
    return vr_trace_read_values(trace, &evaluation->probabilities, first * width, count * width, out);
}

vr_status vr_evaluation_losses(vr_trace *trace, const vr_evaluation_info *evaluation, int64_t first, int64_t count,
                               double *out)
{
    if (!evaluation->losses_type)
        return no_column(trace, evaluation, "losses");
    const vr_status status = vr_trace_read_values(trace, &evaluation->losses, first, count, out);
    if (status != VR_OK || evaluation->losses_type == VR_F64)
        return status;
    const float *floats = (const float *)out; /* in the first half of the room */
    for (int64_t i = count; i-- > 0;) {
        float value;
        memcpy(&value, &floats[i], sizeof value);
        out[i] = value;
    }
    return VR_OK;
}
