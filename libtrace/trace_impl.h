/* trace_impl.h - a trace in memory, whatever kind of file it came from. */
#ifndef VR_TRACE_IMPL_H
#define VR_TRACE_IMPL_H

#include "journal.h"

#include <jansson.h>
#include <varanalyze/trace.h>

/* Where records and payload are read from. */
typedef struct vr_trace_source {
    vr_status (*records)(vr_trace *trace, uint64_t first, uint64_t count, vr_trace_record *out);
    vr_status (*payload)(vr_trace *trace, uint64_t offset, uint64_t bytes, void *out);
    void (*close)(vr_trace *trace);
} vr_trace_source;

struct vr_trace {
    vr_trace_info info;
    vr_source file;
    char *path, *run;
    char reason[128]; /* storage of info.incomplete_reason */
    char **names;
    vr_site *sites;
    vr_step *steps;
    uint64_t name_room, site_room, step_room;
    const vr_trace_source *source;
    void *state; /* of the source */

    uint64_t *evaluated; /* numbers of the records of phase evaluation, ascending; NULL: not looked for yet */
    uint64_t evaluated_count, evaluated_room;
    struct vr_evaluations *evaluations; /* NULL: not read yet, as the weights */
    struct vr_weight_info *weights;
    uint64_t weight_count;
};

/* `array`, grown by doubling when `count` elements fill its room; NULL when there is no memory (the array stays). */
void *vr_with_room(void *array, uint64_t count, uint64_t *room, size_t size);

/* What the readers fill a trace with; everything is checked here, once. */
vr_status vr_trace_add_name(vr_trace *trace, const char *text, size_t length);
vr_status vr_trace_add_site(vr_trace *trace, const vr_site_row *row, const uint32_t *inputs);
vr_status vr_trace_add_step(vr_trace *trace, const vr_step *step);
vr_status vr_trace_set_run(vr_trace *trace, const json_t *run);

/* Merges a JSON object, key by key, into `run`. */
vr_status vr_trace_merge_run(const vr_trace *trace, json_t *run, const char *json, size_t length);

/* The two kinds of file. `trace` has its path and file and nothing else yet. */
vr_status vr_trace_load_journal(vr_trace *trace);
vr_status vr_trace_load_hdf5(vr_trace *trace);

/* Bytes a record takes in the payload, its chunk digests first. */
uint64_t vr_record_payload_bytes(const vr_site *site, const vr_trace_record *record);

/* Lists a record of phase evaluation, while the trace is loaded. */
vr_status vr_trace_add_evaluated(vr_trace *trace, uint64_t number);

/* Finds the records of phase evaluation, where the file did not list them. */
vr_status vr_trace_find_evaluated(vr_trace *trace);

void vr_evaluations_free(struct vr_evaluations *all);

/* Whether there is such a step, and the run got to its end. */
bool vr_trace_step_is_finished(const vr_trace *trace, uint64_t step);

/* Where the values begin in a record's payload. */
uint64_t vr_record_values_offset(const vr_site *site, const vr_trace_record *record);

#endif
