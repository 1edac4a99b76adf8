#include "trace_impl.h"

#include "fail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <varanalyze/random.h>

static const char *const phase_names[VR_PHASE_LAST + 1] = {
    "?", "input", "forward", "backward", "gradient", "weight", "optimizer", "metric", "evaluation",
};

static const char *const level_names[VR_LEVEL_FULL + 1] = {"?", "off", "hash", "stats", "chunks", "sample", "full"};

/* Index of `name` in names[1..last], 0 when it is not there. */
static int find_word(const char *const *names, int last, const char *name)
{
    for (int i = 1; i <= last; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return 0;
}

const char *vr_phase_name(vr_phase phase)
{
    return phase_names[phase >= 1 && phase <= VR_PHASE_LAST ? phase : 0];
}

vr_status vr_phase_parse(vr_phase *out, const char *name)
{
    const int i = find_word(phase_names, VR_PHASE_LAST, name);
    if (!i)
        return vr_fail(VR_ERROR_ARGUMENT,
                       "no phase is called '%s': input, forward, backward, gradient, weight, optimizer, metric or "
                       "evaluation",
                       name);
    *out = (vr_phase)i;
    return VR_OK;
}

const char *vr_level_name(vr_level level)
{
    return level_names[level >= 1 && level <= VR_LEVEL_FULL ? level : 0];
}

vr_status vr_level_parse(vr_level *out, const char *name)
{
    const int i = find_word(level_names, VR_LEVEL_FULL, name);
    if (!i)
        return vr_fail(VR_ERROR_ARGUMENT, "no level is called '%s': off, hash, stats, chunks, sample or full", name);
    *out = (vr_level)i;
    return VR_OK;
}

void *vr_with_room(void *array, uint64_t count, uint64_t *room, size_t size)
{
    if (count < *room)
        return array;
    const uint64_t more = *room ? *room * 2 : 64;
    void *grown = more > SIZE_MAX / size ? NULL : realloc(array, more * size);
    if (grown)
        *room = more;
    return grown;
}

static vr_status no_memory(const vr_trace *trace)
{
    return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", trace->path);
}

bool vr_name_is_text(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    json_t *utf8 = json_stringn(text, length);
    json_decref(utf8);
    return utf8 != NULL;
}

vr_status vr_trace_add_name(vr_trace *trace, const char *text, size_t length)
{
    if (!vr_name_is_text(text, length) || trace->info.name_count == UINT32_MAX)
        return vr_fail(VR_ERROR_FORMAT, "%s: damaged trace: bad name %llu", trace->path,
                       (unsigned long long)trace->info.name_count);
    char **names = vr_with_room(trace->names, trace->info.name_count, &trace->name_room, sizeof *names);
    if (!names)
        return no_memory(trace);
    trace->names = names;
    char *name = strndup(text, length);
    if (!name)
        return no_memory(trace);
    trace->names[trace->info.name_count++] = name;
    return VR_OK;
}

static bool site_fits(const vr_trace *trace, const vr_site_row *row, const uint32_t *inputs)
{
    const uint64_t names = trace->info.name_count;
    if (row->phase < 1 || row->phase > VR_PHASE_LAST || !vr_dtype_size((vr_dtype)row->dtype) ||
        row->rank > VR_MAX_RANK || row->layer >= names || row->name >= names)
        return false;
    for (uint32_t i = 0; i < row->input_count; i++)
        if (inputs[i] >= names)
            return false;
    return true;
}

vr_status vr_trace_add_site(vr_trace *trace, const vr_site_row *row, const uint32_t *inputs)
{
    static const char nothing[1];
    vr_tensor view = vr_tensor_of((vr_dtype)row->dtype, nothing, row->rank, row->shape);
    if (!site_fits(trace, row, inputs) || vr_tensor_check(&view) != VR_OK)
        return vr_fail(VR_ERROR_FORMAT, "%s: damaged trace: site %llu is malformed", trace->path,
                       (unsigned long long)trace->info.site_count);
    vr_site *sites = vr_with_room(trace->sites, trace->info.site_count, &trace->site_room, sizeof *sites);
    if (!sites)
        return no_memory(trace);
    trace->sites = sites;
    uint32_t *own = malloc((row->input_count ? row->input_count : 1) * sizeof *own);
    if (!own)
        return no_memory(trace);
    memcpy(own, inputs, row->input_count * sizeof *own);
    vr_site *site = &trace->sites[trace->info.site_count++];
    *site = (vr_site){
        .phase = (vr_phase)row->phase,
        .dtype = (vr_dtype)row->dtype,
        .rank = row->rank,
        .count = vr_tensor_count(&view),
        .layer = trace->names[row->layer],
        .name = trace->names[row->name],
        .inputs = own,
        .input_count = row->input_count,
        .layer_id = row->layer,
        .name_id = row->name,
    };
    memcpy(site->shape, row->shape, sizeof site->shape);
    return VR_OK;
}

vr_status vr_trace_add_step(vr_trace *trace, const vr_step *step)
{
    const uint64_t n = trace->info.step_count;
    const vr_step *last = n ? &trace->steps[n - 1] : NULL;
    if (step->first != (last ? last->first + last->count : 0) || step->count > UINT64_MAX - step->first ||
        (last && step->step <= last->step))
        return vr_fail(VR_ERROR_FORMAT, "%s: damaged trace: step %llu does not follow the one before", trace->path,
                       (unsigned long long)step->step);
    vr_step *steps = vr_with_room(trace->steps, n, &trace->step_room, sizeof *steps);
    if (!steps)
        return no_memory(trace);
    trace->steps = steps;
    trace->steps[trace->info.step_count++] = *step;
    return VR_OK;
}

vr_status vr_trace_set_run(vr_trace *trace, const json_t *run)
{
    trace->run = json_dumps(run, JSON_INDENT(1) | JSON_SORT_KEYS);
    if (!trace->run)
        return no_memory(trace);
    trace->info.run = trace->run;
    return VR_OK;
}

vr_status vr_trace_merge_run(const vr_trace *trace, json_t *run, const char *json, size_t length)
{
    json_error_t error;
    json_t *patch = json_loadb(json, length, 0, &error);
    vr_status status = VR_OK;
    if (!json_is_object(patch))
        status = vr_fail(VR_ERROR_FORMAT, "%s: damaged trace: what the run was is not a JSON object: %s", trace->path,
                         patch ? "another kind of value" : error.text);
    else if (json_object_update_recursive(run, patch) != 0)
        status = no_memory(trace);
    json_decref(patch);
    return status;
}

int64_t vr_site_chunks(const vr_site *site)
{
    const int64_t per_chunk = VR_CHUNK_BYTES / (int64_t)vr_dtype_size(site->dtype);
    return site->count == 0 ? 1 : (site->count - 1) / per_chunk + 1;
}

uint64_t vr_record_values_offset(const vr_site *site, const vr_trace_record *record)
{
    return record->level >= VR_LEVEL_CHUNKS ? (uint64_t)vr_site_chunks(site) * sizeof(vr_digest) : 0;
}

uint64_t vr_record_payload_bytes(const vr_site *site, const vr_trace_record *record)
{
    const int64_t values = record->level == VR_LEVEL_FULL     ? site->count
                           : record->level == VR_LEVEL_SAMPLE ? record->sample
                                                              : 0;
    return vr_record_values_offset(site, record) + (uint64_t)values * vr_dtype_size(site->dtype);
}

void vr_sample_positions(int64_t *out, int64_t k, int64_t n)
{
    vr_random random = vr_random_stream(vr_derive_seed(0, "sample"), (uint64_t)n);
    for (int64_t i = 0; i < k; i++) {
        const int64_t from = (int64_t)((__int128)n * i / k), to = (int64_t)((__int128)n * (i + 1) / k);
        out[i] = from + (int64_t)vr_random_below(&random, (uint64_t)(to - from));
    }
}

/* What the file begins with says which kind it is. */
static vr_status load(vr_trace *trace)
{
    char start[8] = {0};
    const vr_source *file = &trace->file;
    trace->info.file_bytes = file->size;
    if (file->size >= sizeof start && pread(file->fd, start, sizeof start, (off_t)file->offset) < 0)
        return vr_fail_errno(errno, "%s: cannot read", file->name);
    if (memcmp(start, VR_JOURNAL_MAGIC, sizeof start) == 0)
        return vr_trace_load_journal(trace);
    return vr_trace_load_hdf5(trace);
}

/* `source` is taken over and left empty. */
static vr_status open_as(vr_trace **out, vr_source *source, const char *path)
{
    vr_trace *trace = calloc(1, sizeof *trace);
    if (!trace || !(trace->path = strdup(path))) {
        free(trace);
        vr_source_close(source);
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", path);
    }
    trace->file = *source;
    *source = (vr_source){.fd = -1};
    trace->info.path = trace->path;
    trace->info.run = "{}";
    trace->info.incomplete_reason = "";
    const vr_status status = load(trace);
    if (status != VR_OK) {
        vr_trace_close(trace);
        return status;
    }
    *out = trace;
    return VR_OK;
}

vr_status vr_trace_open(vr_trace **out, const char *path)
{
    vr_source source;
    char *journal;
    if (asprintf(&journal, "%s" VR_JOURNAL_SUFFIX, path) < 0)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", path);
    const bool left_over = access(path, F_OK) != 0 && access(journal, F_OK) == 0;
    const vr_status status = vr_source_open(&source, left_over ? journal : path, NULL);
    free(journal);
    return status == VR_OK ? open_as(out, &source, path) : status;
}

vr_status vr_trace_open_source(vr_trace **out, vr_source *source)
{
    char *path = strdup(source->name);
    const vr_status status =
        path ? open_as(out, source, path) : vr_fail(VR_ERROR_MEMORY, "%s: out of memory", source->name);
    vr_source_close(source);
    free(path);
    return status;
}

void vr_trace_close(vr_trace *trace)
{
    if (!trace)
        return;
    if (trace->source)
        trace->source->close(trace);
    vr_source_close(&trace->file);
    for (uint64_t i = 0; i < trace->info.name_count; i++)
        free(trace->names[i]);
    for (uint64_t i = 0; i < trace->info.site_count; i++)
        free((uint32_t *)trace->sites[i].inputs);
    free(trace->names);
    free(trace->sites);
    free(trace->steps);
    vr_evaluations_free(trace->evaluations);
    free(trace->evaluated);
    free(trace->weights);
    free(trace->run);
    free(trace->path);
    free(trace);
}

const vr_trace_info *vr_trace_get_info(const vr_trace *trace)
{
    return &trace->info;
}

const vr_step *vr_trace_steps(const vr_trace *trace)
{
    return trace->steps;
}

const vr_site *vr_trace_sites(const vr_trace *trace)
{
    return trace->sites;
}

const char *vr_trace_name(const vr_trace *trace, uint32_t name)
{
    return trace->names[name];
}

static bool record_fits(const vr_trace *trace, const vr_trace_record *record)
{
    if (record->site >= trace->info.site_count || record->level < VR_LEVEL_HASH || record->level > VR_LEVEL_FULL)
        return false;
    const vr_site *site = &trace->sites[record->site];
    if (record->level == VR_LEVEL_SAMPLE && record->sample > site->count)
        return false;
    const uint64_t bytes = vr_record_payload_bytes(site, record);
    return bytes == 0 ||
           (record->payload <= trace->info.payload_bytes && bytes <= trace->info.payload_bytes - record->payload);
}

/* The step that record `number` belongs to; there are records, so there are steps that cover them. */
static const vr_step *step_of(const vr_trace *trace, uint64_t number)
{
    uint64_t low = 0, high = trace->info.step_count;
    while (high - low > 1) {
        const uint64_t middle = low + (high - low) / 2;
        if (trace->steps[middle].first <= number)
            low = middle;
        else
            high = middle;
    }
    return &trace->steps[low];
}

bool vr_trace_step_is_finished(const vr_trace *trace, uint64_t step)
{
    uint64_t low = 0, high = trace->info.step_count;
    while (high - low > 1) {
        const uint64_t middle = low + (high - low) / 2;
        if (trace->steps[middle].step <= step)
            low = middle;
        else
            high = middle;
    }
    return high > 0 && trace->steps[low].step == step && trace->steps[low].finished;
}

vr_status vr_trace_read_records(vr_trace *trace, uint64_t first, uint64_t count, vr_trace_record *out)
{
    if (first > trace->info.record_count || count > trace->info.record_count - first)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: has no record %llu", trace->path,
                       (unsigned long long)(first + count - 1));
    if (count == 0)
        return VR_OK;
    const vr_status status = trace->source->records(trace, first, count, out);
    const vr_step *step = step_of(trace, first);
    for (uint64_t i = 0; status == VR_OK && i < count; i++) {
        while (first + i >= step->first + step->count)
            step++;
        if (out[i].step != step->step || !record_fits(trace, &out[i]))
            return vr_fail(VR_ERROR_FORMAT, "%s: damaged trace: record %llu is malformed", trace->path,
                           (unsigned long long)(first + i));
    }
    return status;
}

vr_status vr_trace_read_chunks(vr_trace *trace, const vr_trace_record *record, vr_digest *out)
{
    if (record->site >= trace->info.site_count || record->level < VR_LEVEL_CHUNKS)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: the record holds no chunk digests", trace->path);
    const vr_site *site = &trace->sites[record->site];
    return trace->source->payload(trace, record->payload, (uint64_t)vr_site_chunks(site) * sizeof *out, out);
}

vr_status vr_trace_read_values(vr_trace *trace, const vr_trace_record *record, int64_t first, int64_t count, void *out)
{
    if (record->site >= trace->info.site_count || record->level < VR_LEVEL_SAMPLE)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: the record holds no values", trace->path);
    const vr_site *site = &trace->sites[record->site];
    const int64_t held = record->level == VR_LEVEL_FULL ? site->count : record->sample;
    if (first < 0 || count < 0 || first > held || count > held - first)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: the record holds %lld values", trace->path, (long long)held);
    if (count == 0)
        return VR_OK;
    const uint64_t size = vr_dtype_size(site->dtype);
    return trace->source->payload(trace,
                                  record->payload + vr_record_values_offset(site, record) + (uint64_t)first * size,
                                  (uint64_t)count * size, out);
}
