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

static inline void fuzz_read(vr_trace *trace)
{
    vr_trace_record record;
    fuzz_read_tables(trace);
    for (uint64_t i = 0; i < vr_trace_get_info(trace)->record_count && i < 1000; i++)
        if (vr_trace_read_records(trace, i, 1, &record) == VR_OK)
            fuzz_read_payload(trace, &record);
}

#endif
