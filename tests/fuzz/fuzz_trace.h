/* fuzz_trace.h - what the fuzz targets of traces share: a file in memory, and reading all that a trace claims to hold.
 */
#ifndef VR_FUZZ_TRACE_H
#define VR_FUZZ_TRACE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <varanalyze/evaluation.h>
#include <varanalyze/projection.h>
#include <varanalyze/trace.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void require(int condition)
{
    if (!condition)
        abort();
}

/* A file of these bytes; `path` opens it as long as it is not closed. */
static inline int fuzz_file(char path[64], const void *data, size_t size)
{
    const int fd = memfd_create("input", MFD_CLOEXEC);
    require(fd >= 0 && (size == 0 || write(fd, data, size) == (ssize_t)size));
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static inline vr_trace *fuzz_open(const char *path)
{
    vr_trace *trace = NULL;
    if (vr_trace_open(&trace, path) == VR_OK)
        return trace;
    require(!trace && strncmp(vr_error(), path, strlen(path)) == 0);
    return NULL;
}

/* Calls for `size` bytes are bounded by the file, up to what compression may save. */
static inline void *fuzz_room(const vr_trace *trace, uint64_t size)
{
    require(size <= vr_trace_get_info(trace)->payload_bytes);
    void *room = malloc(size + 1);
    require(room != NULL);
    return room;
}

static inline void fuzz_read_payload(vr_trace *trace, const vr_trace_record *record)
{
    const vr_site *site = &vr_trace_sites(trace)[record->site];
    if (record->level >= VR_LEVEL_CHUNKS) {
        vr_digest *chunks = fuzz_room(trace, (uint64_t)vr_site_chunks(site) * sizeof *chunks);
        vr_trace_read_chunks(trace, record, chunks);
        free(chunks);
    }
    if (record->level >= VR_LEVEL_SAMPLE) {
        const int64_t held = record->level == VR_LEVEL_FULL ? site->count : record->sample;
        void *values = fuzz_room(trace, (uint64_t)held * vr_dtype_size(site->dtype));
        vr_trace_read_values(trace, record, 0, held, values);
        require(vr_trace_read_values(trace, record, held, 1, values) == VR_ERROR_ARGUMENT);
        free(values);
    }
}

static inline void fuzz_read_tables(const vr_trace *trace)
{
    const vr_trace_info *info = vr_trace_get_info(trace);
    uint64_t records = 0;
    size_t length = strlen(info->run) + strlen(info->incomplete_reason);
    for (uint64_t i = 0; i < info->name_count; i++)
        length += strlen(vr_trace_name(trace, (uint32_t)i));
    for (uint64_t i = 0; i < info->site_count; i++) {
        const vr_site *site = &vr_trace_sites(trace)[i];
        require(site->phase >= 1 && site->phase <= VR_PHASE_LAST && vr_dtype_size(site->dtype) > 0);
        require(site->rank >= 0 && site->rank <= VR_MAX_RANK && site->count >= 0);
        for (uint32_t j = 0; j < site->input_count; j++)
            length += strlen(vr_trace_name(trace, site->inputs[j]));
    }
    for (uint64_t i = 0; i < info->step_count; i++) {
        require(vr_trace_steps(trace)[i].first == records);
        records += vr_trace_steps(trace)[i].count;
    }
    require(records == info->record_count && length < SIZE_MAX);
}

static inline void fuzz_read_evaluation(vr_trace *trace, const vr_evaluation_info *e)
{
    const uint64_t rows = (uint64_t)e->count, width = (uint64_t)(e->classes > 1 ? e->classes : 1);
    uint64_t *out = fuzz_room(trace, rows * sizeof(int32_t)); /* labels and predictions stand there */
    int32_t *integers = (int32_t *)out;
    require(e->count >= 0 && e->classes >= 0);
    vr_evaluation_labels(trace, e, 0, e->count, integers);
    vr_evaluation_predictions(trace, e, 0, e->count, integers);
    for (uint32_t g = 0; g < e->group_count; g++) {
        vr_evaluation_group(trace, e, g, 0, e->count, integers);
        for (uint32_t v = 0; v < e->groups[g].value_count; v++)
            require(e->groups[g].values[v] != NULL);
    }
    require(vr_evaluation_labels(trace, e, e->count, 1, integers) == VR_ERROR_ARGUMENT);
    free(out);
    out = malloc(rows * sizeof *out + 1);
    require(out != NULL);
    vr_evaluation_ids(trace, e, 0, e->count, out);
    vr_evaluation_losses(trace, e, 0, e->count, (double *)out);
    free(out);
    if (e->probabilities_type) {
        out = fuzz_room(trace, rows * width * vr_dtype_size(e->probabilities_type));
        vr_evaluation_probabilities(trace, e, 0, e->count, out);
        free(out);
    }
}

static inline void fuzz_read_weight(vr_trace *trace, const vr_weight_info *weight)
{
    double *numbers = fuzz_room(trace, (uint64_t)weight->projected * sizeof *numbers);
    require(weight->record.level > 0 && weight->projected <= weight->site->count);
    require((vr_weight_projection(trace, weight, numbers) == VR_ERROR_ARGUMENT) == (weight->projected == 0));
    free(numbers);
}

/* The evaluations and the weights, by the calls that put them together. */
static inline void fuzz_read_results(vr_trace *trace)
{
    const vr_evaluation_info *evaluations;
    const vr_weight_info *weights;
    uint64_t count;
    if (vr_trace_evaluations(trace, &evaluations, &count) == VR_OK)
        for (uint64_t i = 0; i < count && i < 1000; i++)
            fuzz_read_evaluation(trace, &evaluations[i]);
    if (vr_trace_weights(trace, &weights, &count) == VR_OK)
        for (uint64_t i = 0; i < count && i < 1000; i++)
            fuzz_read_weight(trace, &weights[i]);
}

static inline void fuzz_read(vr_trace *trace)
{
    vr_trace_record record;
    fuzz_read_tables(trace);
    for (uint64_t i = 0; i < vr_trace_get_info(trace)->record_count && i < 1000; i++)
        if (vr_trace_read_records(trace, i, 1, &record) == VR_OK)
            fuzz_read_payload(trace, &record);
    fuzz_read_results(trace);
}

#endif
