/* trace.h - what a run left behind, and how to read it.
 *
 * A trace is a table of records in the order they were made, grouped by step. What records share (phase, layer, name,
 * type, shape, inputs) stands once, in a table of sites; a record names its site. See docs/trace-format.md.
 *
 *     vr_trace *trace;
 *     if (vr_trace_open(&trace, "run1.h5") == VR_OK) {
 *         const vr_trace_info *info = vr_trace_get_info(trace);
 *         ...
 *         vr_trace_close(trace);
 *     }
 */
#ifndef VARANALYZE_TRACE_H
#define VARANALYZE_TRACE_H

#include <varanalyze/digest.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What part of a training step a record belongs to. The values stand in files. */
typedef enum vr_phase {
    VR_INPUT = 1, /* samples, labels, the order */
    VR_FORWARD,
    VR_BACKWARD, /* gradients of activations */
    VR_GRADIENT, /* gradients of weights */
    VR_WEIGHT,
    VR_OPTIMIZER, /* momenta and the like */
    VR_METRIC,
    VR_EVALUATION,
} vr_phase;

#define VR_PHASE_LAST VR_EVALUATION

VR_API const char *vr_phase_name(vr_phase phase); /* "forward"; "?" for none of the above */
VR_API vr_status vr_phase_parse(vr_phase *out, const char *name);

/* How much a record holds; each level holds what those before it hold. The values stand in files. */
typedef enum vr_level {
    VR_LEVEL_OFF = 1, /* never in a file */
    VR_LEVEL_HASH,    /* the digest */
    VR_LEVEL_STATS,   /* and the statistics */
    VR_LEVEL_CHUNKS,  /* and the digest of each chunk */
    VR_LEVEL_SAMPLE,  /* and some values, at positions that depend on the number of elements only */
    VR_LEVEL_FULL,    /* and all values (no sample) */
} vr_level;

VR_API const char *vr_level_name(vr_level level);
VR_API vr_status vr_level_parse(vr_level *out, const char *name);

/* What all records of one tensor share. */
typedef struct vr_site {
    vr_phase phase;
    vr_dtype dtype;
    int rank;
    int64_t shape[VR_MAX_RANK];
    int64_t count; /* elements */
    const char *layer, *name;
    const uint32_t *inputs; /* indexes for vr_trace_name: "[phase:]layer/name" or "seed:purpose" */
    uint32_t input_count;
    uint32_t layer_id, name_id; /* indexes for vr_trace_name */
} vr_site;

/* One row of the table of records; also its layout on disk. */
typedef struct vr_trace_record {
    uint64_t step;
    uint32_t epoch;
    uint32_t site;
    vr_digest digest;
    vr_digest rows;       /* multiset of rows, of phase input; else 0 */
    vr_stats stats;       /* zeros at level hash */
    uint64_t start_ns;    /* since the run began */
    uint64_t duration_ns; /* of the operation, without the capture's own time */
    uint64_t payload;     /* where its chunk digests, then its values, begin in the payload, in bytes */
    uint32_t thread;      /* number of the thread in the run, by first call */
    uint16_t sample;      /* number of values at level sample */
    uint8_t level;
    uint8_t reserved;
} vr_trace_record;

/* One step: records [first, first + count). Step 0 is the setup. */
typedef struct vr_step {
    uint64_t step;
    uint64_t first, count;
    uint64_t start_ns, end_ns;
    uint32_t epoch;
    uint32_t finished; /* 0: the run broke off in this step */
} vr_step;

typedef struct vr_trace_info {
    const char *path;
    const char *run; /* JSON object: what the run was; see docs/trace-format.md */
    uint64_t record_count, step_count, site_count, name_count, payload_bytes;
    uint64_t file_bytes;
    bool closed;     /* the run ended by vr_run_close */
    bool live;       /* the run is still being written */
    bool journal;    /* read from the journal of a run that was not closed */
    bool incomplete; /* something could not be recorded, from `incomplete_step` on */
    uint64_t incomplete_step;
    const char *incomplete_reason; /* "No space left on device"; "" when complete */
    uint64_t damaged_bytes;        /* bytes at the end of a journal that could not be read */
} vr_trace_info;

typedef struct vr_trace vr_trace;

/* Opens a trace: an HDF5 file, a journal, or, where PATH does not exist, PATH.journal, left by a run that was killed or
 * is still running. Nothing is written. Fails with VR_ERROR_IO, VR_ERROR_FORMAT, VR_ERROR_VERSION or VR_ERROR_MEMORY.
 */
VR_API vr_status vr_trace_open(vr_trace **out, const char *path);

/* The same of a file that is open already, by varanalyze/source.h; `source` is taken over, also on failure, and left
 * empty. */
struct vr_source;
VR_API vr_status vr_trace_open_source(vr_trace **out, struct vr_source *source);

/* Closes and frees. NULL is fine. */
VR_API void vr_trace_close(vr_trace *trace);

/* All of these belong to the trace. Indexes are below the counts of vr_trace_info. */
VR_API const vr_trace_info *vr_trace_get_info(const vr_trace *trace);
VR_API const vr_step *vr_trace_steps(const vr_trace *trace);
VR_API const vr_site *vr_trace_sites(const vr_trace *trace);
VR_API const char *vr_trace_name(const vr_trace *trace, uint32_t name);

/* Reads records [first, first + count) into `out`. The site, level, step and payload range of every record are checked.
 * Fails with VR_ERROR_ARGUMENT (past the end), VR_ERROR_IO or VR_ERROR_FORMAT. */
VR_API vr_status vr_trace_read_records(vr_trace *trace, uint64_t first, uint64_t count, vr_trace_record *out);

/* Reads the chunk digests of a record of level chunks or above: vr_site_chunks() entries of the caller's. */
VR_API vr_status vr_trace_read_chunks(vr_trace *trace, const vr_trace_record *record, vr_digest *out);

/* Reads values [first, first + count) of a record of level full, in row-major order; or, of level sample, of its
 * record->sample values. `out` takes count elements of the site's type. Several threads may call this at once, of the
 * same or of different traces, as long as none calls anything else of them. */
VR_API vr_status vr_trace_read_values(vr_trace *trace, const vr_trace_record *record, int64_t first, int64_t count,
                                      void *out);

/* Chunks of a tensor of that site, at least 1. */
VR_API int64_t vr_site_chunks(const vr_site *site);

/* The k positions, ascending, that level sample keeps of a tensor of n elements (k <= n): of each of k equal parts, one
 * position drawn from the stream (seed 0, "sample", n). */
VR_API void vr_sample_positions(int64_t *out, int64_t k, int64_t n);

/* Writes a trace as an HDF5 file: aside, then renamed to `path`. Nothing is left on failure. */
VR_API vr_status vr_trace_write(vr_trace *trace, const char *path);

#ifdef __cplusplus
}
#endif
#endif
