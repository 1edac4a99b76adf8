/* journal.h - the file a run writes while it lasts: a log of frames behind a queue that itself lies in the file.
 *
 * [0, VR_JOURNAL_PAGE)   the header
 * then ring_bytes        the queue, a ring: byte p of the stream of frames stands at p % ring_bytes while tail <= p <
 * head then the log           byte p of the stream, p < tail
 *
 * The program maps the header and the ring (MAP_SHARED), so what it has put into the queue outlives it, SIGKILL
 * included; a thread of its own moves bytes from the ring to the log and advances `tail`. A frame is a vr_frame and its
 * payload, padded with zeros to 8 bytes. docs/trace-format.md has it byte for byte.
 */
#ifndef VR_JOURNAL_H
#define VR_JOURNAL_H

#include <stdatomic.h>
#include <stdint.h>
#include <varanalyze/source.h>
#include <varanalyze/trace.h>

#define VR_JOURNAL_MAGIC    "vr-jrnl\n"
#define VR_JOURNAL_VERSION  1
#define VR_JOURNAL_PAGE     4096
#define VR_JOURNAL_MIN_RING 65536
#define VR_JOURNAL_MAX_RING ((uint64_t)1 << 32)
#define VR_JOURNAL_SUFFIX   ".journal"

typedef struct vr_journal_header {
    char magic[8];
    uint32_t version;
    uint32_t reserved;
    uint64_t ring_bytes; /* a multiple of VR_JOURNAL_PAGE, at least VR_JOURNAL_MIN_RING */
    _Atomic uint64_t head, tail;
    _Atomic uint32_t incomplete; /* 1: frames were dropped, from incomplete_step on */
    int32_t error;               /* errno of the failed write, 0 when not incomplete */
    uint64_t incomplete_step;
} vr_journal_header;

typedef enum vr_frame_type {
    VR_FRAME_RUN = 1, /* a JSON object, merged into what the run was */
    VR_FRAME_NAME,    /* the bytes of a name; names are numbered from 0 */
    VR_FRAME_SITE,    /* a vr_site_row, then its inputs as u32; sites are numbered from 0 */
    VR_FRAME_STEP,    /* a vr_frame_step: this step begins, the one before is finished */
    VR_FRAME_PAYLOAD, /* u64 offset, then bytes of the payload from there on */
    VR_FRAME_RECORD,  /* a vr_trace_record; its payload stands before it */
    VR_FRAME_END,     /* u64 end_ns: the run was closed */
} vr_frame_type;

typedef struct vr_frame {
    uint32_t size; /* of the payload, without the padding */
    uint32_t type;
    uint64_t check; /* vr_frame_check of the payload */
} vr_frame;

typedef struct vr_frame_step {
    uint64_t step, start_ns;
    uint32_t epoch, reserved;
} vr_frame_step;

/* A site as files hold it; `input_first` counts in the list of all inputs (0 in a journal). */
typedef struct vr_site_row {
    uint8_t phase, dtype, rank, reserved;
    uint32_t layer, name, input_first, input_count, reserved2;
    int64_t shape[VR_MAX_RANK];
} vr_site_row;

_Static_assert(sizeof(vr_site_row) == 88 && sizeof(vr_trace_record) == 176, "rows stand in files: no padding");

/* The largest payload of a frame for a ring: pieces that leave the writer room to work. */
static inline size_t vr_frame_limit(uint64_t ring_bytes)
{
    const uint64_t quarter = ring_bytes / 4 - sizeof(vr_frame);
    return quarter < 1048576 ? quarter : 1048576;
}

/* XXH3-64 of the payload (`head`, then `body`), seeded with the frame's type and position in the stream, so that a
 * stale frame does not pass. */
VR_API uint64_t vr_frame_check(uint32_t type, uint64_t position, const void *head, size_t head_size, const void *body,
                               size_t body_size);

/* Whether a name is what a trace may hold: UTF-8 without control characters, so that it can be shown on any terminal.
 */
VR_API bool vr_name_is_text(const char *text, size_t length);

/* A journal open for reading. Its stream was readable in [0, end) when it was opened. */
typedef struct vr_journal {
    vr_journal_header header; /* as it was */
    const vr_source *file;
    bool live;       /* another process (or this one) is writing it */
    uint64_t end;    /* of the stream */
    uint64_t tail;   /* [tail, end) stands in `ring` */
    uint8_t *ring;   /* a copy */
    uint8_t *buffer; /* a window on the log */
    uint64_t at, filled;
    uint64_t file_bytes;
} vr_journal;

/* Opens a journal; `file` has to stay open, and where it is, as long as the journal is. Fails with VR_ERROR_IO,
 * VR_ERROR_FORMAT, VR_ERROR_VERSION or VR_ERROR_MEMORY. */
vr_status vr_journal_open(vr_journal **out, const vr_source *file);
void vr_journal_close(vr_journal *journal);

/* Reads bytes [position, position + size) of the stream. Fails with VR_ERROR_IO or VR_ERROR_FORMAT (past the end). */
vr_status vr_journal_read(vr_journal *journal, uint64_t position, void *out, size_t size);

#endif
