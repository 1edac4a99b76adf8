/* pairing.h - walks several traces side by side and pairs their records.
 *
 * Records are paired by step and by what they are (phase, layer, name); several of one kind in a step by their order.
 * Steps come in ascending order, a large step in several batches, so memory does not grow with the traces.
 */
#ifndef VA_PAIRING_H
#define VA_PAIRING_H

#include <varanalyze/trace.h>

/* Something that is recorded again and again: the same phase, layer and name. */
typedef struct va_entity {
    vr_phase phase;
    const char *layer, *name; /* belong to one of the traces */
} va_entity;

#define VA_NO_ENTITY UINT32_MAX

typedef struct va_pairing va_pairing;

/* One batch: rows of one step. Belongs to the pairing, valid until the next call. */
typedef struct va_batch {
    uint64_t step;
    uint32_t epoch;
    bool first; /* of its step */
    size_t rows;
    const uint32_t *entity; /* [rows] */
    /* [rows * runs]: the record of each run, NULL where a run has none. */
    const vr_trace_record *const *records;
    const vr_step *const *steps; /* [runs]: the step in each run, NULL where it has none */
} va_batch;

/* The traces stay the caller's. Fails with VR_ERROR_MEMORY. */
vr_status va_pairing_open(va_pairing **out, vr_trace *const *traces, int runs);
void va_pairing_close(va_pairing *pairing);

/* The next batch; `*out` is NULL after the last. Fails as vr_trace_read_records. */
vr_status va_pairing_next(va_pairing *pairing, const va_batch **out);

size_t va_pairing_entity_count(const va_pairing *pairing);
const va_entity *va_pairing_entities(const va_pairing *pairing);

/* The entity of a phase, layer and name ([0, length) of them); VA_NO_ENTITY when no trace has it. */
uint32_t va_pairing_find(const va_pairing *pairing, vr_phase phase, const char *layer, size_t layer_length,
                         const char *name);

#endif
