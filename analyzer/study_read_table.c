/* What the runs of a condition predicted, read and joined (study_read.h). */
#include "guard.h"
#include "study_calibration.h"
#include "study_read.h"

#include <formats/fail.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

/* ---- columns ---- */

#define CACHED       64 /* columns */
#define MOST_COLUMNS 4098

/* Columns that runs have in common are read once: equal digests are equal columns. */
struct va_column_cache {
    struct {
        vr_digest digest;
        int64_t count;
        size_t size;
        void *values;
    } columns[CACHED];
    int count;
};

/* A flipped bit in a trace is no prediction: values have to be those that the run digested. */
static vr_status check_values(const va_study_run *run, const vr_trace_record *record, const void *values)
{
    const vr_site *site = &vr_trace_sites(run->trace)[record->site];
    const vr_tensor tensor = vr_tensor_of(site->dtype, values, site->rank, site->shape);
    vr_digest digest;
    const vr_status status = vr_digest_tensor(&digest, &tensor);
    if (status != VR_OK || vr_digest_equal(digest, record->digest))
        return status;
    return vr_fail(VR_ERROR_FORMAT,
                   "%s: damaged trace: the values of %s/%s are not those that its digest is of: leave the run out",
                   run->path, site->layer, site->name);
}

static void *find_column(const struct va_column_cache *cache, const vr_trace_record *record, int64_t count, size_t size)
{
    for (int i = 0; i < cache->count; i++)
        if (cache->columns[i].count == count && cache->columns[i].size == size &&
            vr_digest_equal(cache->columns[i].digest, record->digest))
            return cache->columns[i].values;
    return NULL;
}

/* A column of a run, from the cache, where it stays, or `*scratch`, which the caller frees. */
static vr_status read_column(void **out, void **scratch, va_study *study, const va_study_run *run,
                             const vr_trace_record *record, size_t size)
{
    struct va_column_cache *cache = study->cache;
    const int64_t count = run->evaluation->count;
    *out = find_column(cache, record, count, size);
    if (*out)
        return VR_OK;
    *out = malloc((size_t)count * size + 1);
    const bool keep = cache->count < CACHED;
    if (!*out)
        return no_memory();
    if (keep) {
        cache->columns[cache->count].digest = record->digest;
        cache->columns[cache->count].count = count;
        cache->columns[cache->count].size = size;
        cache->columns[cache->count++].values = *out;
    } else {
        *scratch = *out;
    }
    vr_status status = vr_trace_read_values(run->trace, record, 0, count, *out);
    if (status == VR_OK)
        status = check_values(run, record, *out);
    if (status != VR_OK && keep) {
        free(*out);
        cache->count--;
    }
    return status;
}

struct va_column_cache *va_column_cache_new(void)
{
    return calloc(1, sizeof(struct va_column_cache));
}

void va_column_cache_free(struct va_column_cache *cache)
{
    for (int i = 0; cache && i < cache->count; i++)
        free(cache->columns[i].values);
    free(cache);
}

/* ---- tables ---- */

/* Of a run's groups the one of that name; -1: none. */
static int find_group(const vr_evaluation_info *evaluation, const char *name)
{
    for (uint32_t g = 0; g < evaluation->group_count; g++)
        if (strcmp(evaluation->groups[g].name, name) == 0)
            return (int)g;
    return -1;
}

/* Groups of the first run that all others have. */
static vr_status common_groups(uint32_t **columns, int *count, va_study *study, int condition)
{
    const vr_evaluation_info *first = va_study_replica(study, condition, 0)->evaluation;
    *columns = calloc(first->group_count + 1, sizeof **columns);
    *count = 0;
    if (!*columns)
        return no_memory();
    for (uint32_t g = 0; g < first->group_count; g++) {
        const va_study_run *without = NULL;
        for (int r = 1; r < study->conditions[condition].count && !without; r++)
            if (find_group(va_study_replica(study, condition, r)->evaluation, first->groups[g].name) < 0)
                without = va_study_replica(study, condition, r);
        if (without)
            va_study_note(study, "%s: group '%s' is left out: %s has none", study->conditions[condition].name,
                          first->groups[g].name, without->path);
        else
            (*columns)[(*count)++] = g;
    }
    return VR_OK;
}

/* The runs of a condition are of one task. */
static vr_status check_classes(const va_study *study, int condition, int *classes)
{
    const va_study_run *first = NULL;
    *classes = 0;
    for (int r = 0; r < study->conditions[condition].count; r++) {
        const va_study_run *run = va_study_replica(study, condition, r);
        if (run->evaluation->classes == 0)
            continue;
        if (!first)
            first = run;
        if (run->evaluation->classes != first->evaluation->classes)
            return vr_fail(VR_ERROR_ARGUMENT,
                           "%s has %" PRId64 " classes, %s %" PRId64
                           ": no replicas of one condition; keep them apart with --condition",
                           first->path, first->evaluation->classes, run->path, run->evaluation->classes);
        if (run->evaluation->classes > VA_MOST_CLASSES)
            return vr_fail(VR_ERROR_ARGUMENT, "%s: %" PRId64 " classes, at most %d can be studied", run->path,
                           run->evaluation->classes, VA_MOST_CLASSES);
        *classes = (int)run->evaluation->classes;
    }
    return VR_OK;
}

#define BLOCK_BYTES (1 << 20) /* of probabilities at a time */

static vr_status read_confidences(float *out, const va_study_run *run, const int32_t *predictions)
{
    const vr_evaluation_info *e = run->evaluation;
    const size_t width = (size_t)e->classes, size = vr_dtype_size(e->probabilities_type);
    const int64_t rows = width * size >= BLOCK_BYTES ? 1 : (int64_t)(BLOCK_BYTES / (width * size));
    void *raw = malloc((size_t)rows * width * size);
    float *values = malloc((size_t)rows * width * sizeof *values);
    vr_status status = raw && values ? VR_OK : no_memory();
    for (int64_t first = 0; status == VR_OK && first < e->count; first += rows) {
        const int64_t n = e->count - first < rows ? e->count - first : rows;
        status = vr_evaluation_probabilities(run->trace, e, first, n, raw);
        if (status != VR_OK)
            break;
        vr_to_f32(values, raw, e->probabilities_type, (size_t)n * width);
        va_confidences_of(out + first, values, predictions + first, (size_t)n, (int)width);
    }
    free(raw);
    free(values);
    return status;
}

/* The loss of the set; where the program did not say, the mean over its samples. */
static vr_status read_loss(double *out, const va_study_run *run)
{
    const vr_evaluation_info *e = run->evaluation;
    *out = e->loss;
    if (e->has_loss || !e->losses_type || e->count == 0)
        return VR_OK;
    double *losses = malloc((size_t)e->count * sizeof *losses), sum = 0;
    vr_status status = losses ? vr_evaluation_losses(run->trace, e, 0, e->count, losses) : no_memory();
    for (int64_t i = 0; status == VR_OK && i < e->count; i++)
        sum += losses[i];
    *out = sum / (double)e->count;
    free(losses);
    return status;
}

/* What is read of one run: arrays of the cache, and those that are not. */
typedef struct reading {
    va_replica replica;
    void *predictions, *confidences, *groups;
    void *scratch[MOST_COLUMNS];
    int scratch_count;
} reading;

static void free_reading(reading *r)
{
    for (int i = 0; i < r->scratch_count; i++)
        free(r->scratch[i]);
    free(r->predictions);
    free(r->confidences);
    free(r->groups);
}

static vr_status column(reading *r, const void **out, va_study *study, const va_study_run *run,
                        const vr_trace_record *record, size_t size)
{
    void *values = NULL, *scratch = NULL;
    if (r->scratch_count == MOST_COLUMNS)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: more than %d groups", run->path, MOST_COLUMNS - 2);
    const vr_status status = read_column(&values, &scratch, study, run, record, size);
    r->scratch[r->scratch_count++] = scratch;
    *out = values;
    return status;
}

static vr_status read_groups(reading *r, va_study *study, int condition, const va_study_run *run,
                             const uint32_t *columns, int count)
{
    const vr_evaluation_info *first = va_study_replica(study, condition, 0)->evaluation;
    const int32_t **groups = calloc((size_t)count + 1, sizeof *groups);
    vr_status status = groups ? VR_OK : no_memory();
    r->groups = groups;
    for (int c = 0; status == VR_OK && c < count; c++) {
        const int g = find_group(run->evaluation, first->groups[columns[c]].name);
        const void *values;
        status = column(r, &values, study, run, &run->evaluation->groups[g].record, sizeof(int32_t));
        groups[c] = values;
    }
    r->replica.groups = groups;
    return status;
}

static vr_status read_replica(reading *r, va_study *study, int condition, const va_study_run *run,
                              const uint32_t *columns, int count)
{
    const vr_evaluation_info *e = run->evaluation;
    *r = (reading){.replica = {.name = run->path, .count = (size_t)e->count}};
    va_guard_file(run->path);
    vr_status status = read_loss(&r->replica.loss, run);
    if (status == VR_OK)
        status = column(r, (const void **)&r->replica.ids, study, run, &e->ids, sizeof(uint64_t));
    if (status == VR_OK)
        status = column(r, (const void **)&r->replica.labels, study, run, &e->labels, sizeof(int32_t));
    if (status == VR_OK)
        status = read_groups(r, study, condition, run, columns, count);
    if (status != VR_OK)
        return status;
    int32_t *predictions = r->predictions = malloc((size_t)e->count * sizeof *predictions + 1);
    float *confidences = r->confidences =
        e->probabilities_type ? malloc((size_t)e->count * sizeof *confidences + 1) : NULL;
    if (!predictions || (e->probabilities_type && !confidences))
        return no_memory();
    status = vr_evaluation_predictions(run->trace, e, 0, e->count, predictions);
    if (status == VR_OK)
        status = check_values(run, &e->predictions, predictions);
    if (status == VR_OK && confidences)
        status = read_confidences(confidences, run, predictions);
    r->replica.predictions = predictions;
    r->replica.confidences = confidences;
    return status;
}

static vr_status add_replica(va_table *table, va_study *study, int condition, int replica, const uint32_t *columns,
                             int count)
{
    reading r = {0};
    vr_status status = read_replica(&r, study, condition, va_study_replica(study, condition, replica), columns, count);
    if (status == VR_OK)
        status = va_table_add(table, &r.replica);
    free_reading(&r);
    return status;
}

static void note_samples(va_study *study, int condition, const va_table *table)
{
    size_t most = 0;
    for (int r = 0; r < table->replicas; r++)
        most = table->rows[r].given > most ? table->rows[r].given : most;
    if (most > table->samples)
        va_study_note(study,
                      "%s: the runs were not evaluated on the same samples: %zu that all have count, of up to %zu",
                      study->conditions[condition].name, table->samples, most);
}

vr_status va_study_table(va_table **out, uint32_t **columns, va_study *study, int condition)
{
    int classes, count = 0;
    *columns = NULL;
    *out = NULL;
    vr_status status = check_classes(study, condition, &classes);
    if (status == VR_OK)
        status = common_groups(columns, &count, study, condition);
    if (status == VR_OK)
        status = va_table_new(out, classes, count);
    for (int r = 0; status == VR_OK && r < study->conditions[condition].count; r++)
        status = add_replica(*out, study, condition, r, *columns, count);
    if (status == VR_OK) {
        note_samples(study, condition, *out);
        return VR_OK;
    }
    va_table_free(*out);
    free(*columns);
    *out = NULL;
    *columns = NULL;
    return status;
}
