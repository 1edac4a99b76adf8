/* A trace read from a journal: the run was killed, its disk was full, or it still goes on. One pass over the frames
 * indexes records and payload; whatever follows the first frame that is cut off or fails its check is left out. */
#include "trace_impl.h"

#include "fail.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct piece {
    uint64_t offset, bytes; /* of the payload */
    uint64_t position;      /* in the stream */
} piece;

typedef struct contents {
    vr_journal *journal;
    uint64_t *records; /* position in the stream of each record */
    uint64_t record_room;
    piece *pieces; /* by offset, without gaps */
    uint64_t piece_count, piece_room;
    json_t *run;
    vr_step step;
    uint8_t *frame;
    size_t frame_room;
} contents;

static vr_status no_memory(const vr_trace *trace)
{
    return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", trace->path);
}

static vr_status add_record(vr_trace *trace, contents *all, uint64_t position)
{
    uint64_t *records = vr_with_room(all->records, trace->info.record_count, &all->record_room, sizeof *records);
    if (!records)
        return no_memory(trace);
    all->records = records;
    records[trace->info.record_count++] = position;
    all->step.count++;
    uint32_t site;
    memcpy(&site, all->frame + offsetof(vr_trace_record, site), sizeof site);
    const bool evaluated = site < trace->info.site_count && trace->sites[site].phase == VR_EVALUATION;
    return evaluated ? vr_trace_add_evaluated(trace, trace->info.record_count - 1) : VR_OK;
}

static vr_status add_piece(vr_trace *trace, contents *all, uint64_t offset, uint64_t bytes, uint64_t position)
{
    if (offset != trace->info.payload_bytes)
        return vr_fail(VR_ERROR_FORMAT, "%s: damaged journal: the payload has a gap", trace->path);
    if (bytes == 0)
        return VR_OK;
    piece *pieces = vr_with_room(all->pieces, all->piece_count, &all->piece_room, sizeof *pieces);
    if (!pieces)
        return no_memory(trace);
    all->pieces = pieces;
    pieces[all->piece_count++] = (piece){offset, bytes, position};
    trace->info.payload_bytes += bytes;
    return VR_OK;
}

static vr_status add_site(vr_trace *trace, const uint8_t *payload, size_t size)
{
    vr_site_row row;
    uint32_t *inputs;
    if (size < sizeof row)
        return vr_fail(VR_ERROR_FORMAT, "%s: damaged journal: a site is too short", trace->path);
    memcpy(&row, payload, sizeof row);
    if (row.input_count != (size - sizeof row) / sizeof *inputs)
        return vr_fail(VR_ERROR_FORMAT, "%s: damaged journal: a site's inputs are cut off", trace->path);
    inputs = malloc(size);
    if (!inputs)
        return no_memory(trace);
    memcpy(inputs, payload + sizeof row, size - sizeof row);
    const vr_status status = vr_trace_add_site(trace, &row, inputs);
    free(inputs);
    return status;
}

/* Ends the current step. Steps stand in the trace when they have ended, so the first is step 0. */
static vr_status end_step(vr_trace *trace, contents *all, uint64_t end_ns, bool finished)
{
    all->step.end_ns = end_ns;
    all->step.finished = finished;
    return vr_trace_add_step(trace, &all->step);
}

static vr_status begin_step(vr_trace *trace, contents *all, const uint8_t *payload)
{
    vr_frame_step next;
    memcpy(&next, payload, sizeof next);
    const vr_status status = end_step(trace, all, next.start_ns, true);
    all->step =
        (vr_step){.step = next.step, .first = trace->info.record_count, .start_ns = next.start_ns, .epoch = next.epoch};
    return status;
}

static vr_status end_run(vr_trace *trace, contents *all, const uint8_t *payload)
{
    uint64_t end_ns;
    memcpy(&end_ns, payload, sizeof end_ns);
    trace->info.closed = true;
    return end_step(trace, all, end_ns, true);
}

static vr_status add_frame(vr_trace *trace, contents *all, const vr_frame *frame, uint64_t position)
{
    static const size_t least[] = {[VR_FRAME_STEP] = sizeof(vr_frame_step),
                                   [VR_FRAME_PAYLOAD] = sizeof(uint64_t),
                                   [VR_FRAME_RECORD] = sizeof(vr_trace_record),
                                   [VR_FRAME_END] = sizeof(uint64_t)};
    if (frame->size < least[frame->type])
        return vr_fail(VR_ERROR_FORMAT, "%s: damaged journal: a frame is too short", trace->path);
    uint64_t offset;
    switch (frame->type) {
    case VR_FRAME_RUN:
        return vr_trace_merge_run(trace, all->run, (const char *)all->frame, frame->size);
    case VR_FRAME_NAME:
        return vr_trace_add_name(trace, (const char *)all->frame, frame->size);
    case VR_FRAME_SITE:
        return add_site(trace, all->frame, frame->size);
    case VR_FRAME_STEP:
        return begin_step(trace, all, all->frame);
    case VR_FRAME_PAYLOAD:
        memcpy(&offset, all->frame, sizeof offset);
        return add_piece(trace, all, offset, frame->size - sizeof offset, position + sizeof *frame + sizeof offset);
    case VR_FRAME_RECORD:
        return add_record(trace, all, position + sizeof *frame);
    case VR_FRAME_END:
        return end_run(trace, all, all->frame);
    default:
        return vr_fail(VR_ERROR_FORMAT, "%s: damaged journal: frame of unknown type %u", trace->path, frame->type);
    }
}

/* Reads the frame at `position`. False where the stream is cut off or damaged: the readable part ends there. */
static bool read_frame(contents *all, vr_frame *frame, uint64_t position)
{
    vr_journal *journal = all->journal;
    if (vr_journal_read(journal, position, frame, sizeof *frame) != VR_OK || frame->type < VR_FRAME_RUN ||
        frame->type > VR_FRAME_END || frame->size > vr_frame_limit(journal->header.ring_bytes) ||
        frame->size > all->frame_room ||
        vr_journal_read(journal, position + sizeof *frame, all->frame, frame->size) != VR_OK)
        return false;
    return frame->check == vr_frame_check(frame->type, position, all->frame, frame->size, NULL, 0);
}

static vr_status scan(vr_trace *trace, contents *all)
{
    uint64_t position = 0;
    vr_frame frame;
    vr_status status = VR_OK;
    while (status == VR_OK && !trace->info.closed && position < all->journal->end &&
           read_frame(all, &frame, position)) {
        status = add_frame(trace, all, &frame, position);
        position += sizeof frame + (frame.size + 7u) / 8 * 8;
    }
    const uint64_t head = all->journal->header.head, end = head > all->journal->end ? head : all->journal->end;
    if (status == VR_OK && position < end) /* damaged, or cut off */
        trace->info.damaged_bytes = end - position;
    if (status == VR_OK && !trace->info.closed)
        status = end_step(trace, all, all->step.start_ns, false);
    return status == VR_OK ? vr_trace_set_run(trace, all->run) : status;
}

static vr_status read_records(vr_trace *trace, uint64_t first, uint64_t count, vr_trace_record *out)
{
    contents *all = trace->state;
    for (uint64_t i = 0; i < count; i++) {
        const vr_status status = vr_journal_read(all->journal, all->records[first + i], &out[i], sizeof out[i]);
        if (status != VR_OK)
            return status;
    }
    return VR_OK;
}

/* Index of the last piece that begins at or before `offset`, -1 when none does. */
static int64_t find_piece(const contents *all, uint64_t offset)
{
    int64_t low = -1, high = (int64_t)all->piece_count;
    while (high - low > 1) {
        const int64_t middle = low + (high - low) / 2;
        if (all->pieces[middle].offset <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* A journal is read through a window, which one thread at a time may move. */
static pthread_mutex_t window = PTHREAD_MUTEX_INITIALIZER;

static vr_status read_payload(vr_trace *trace, uint64_t offset, uint64_t bytes, void *out)
{
    contents *all = trace->state;
    uint8_t *to = out;
    for (int64_t i = find_piece(all, offset); bytes > 0; i++) {
        const piece *at = i >= 0 && i < (int64_t)all->piece_count ? &all->pieces[i] : NULL;
        if (!at || offset < at->offset || offset - at->offset >= at->bytes)
            return vr_fail(VR_ERROR_FORMAT, "%s: damaged journal: a record's payload is missing", trace->path);
        const uint64_t skip = offset - at->offset, left = at->bytes - skip, n = bytes < left ? bytes : left;
        pthread_mutex_lock(&window);
        const vr_status status = vr_journal_read(all->journal, at->position + skip, to, n);
        pthread_mutex_unlock(&window);
        if (status != VR_OK)
            return status;
        to += n;
        offset += n;
        bytes -= n;
    }
    return VR_OK;
}

static void close_journal(vr_trace *trace)
{
    contents *all = trace->state;
    vr_journal_close(all->journal);
    json_decref(all->run);
    free(all->records);
    free(all->pieces);
    free(all->frame);
    free(all);
}

vr_status vr_trace_load_journal(vr_trace *trace)
{
    static const vr_trace_source source = {read_records, read_payload, close_journal};
    contents *all = calloc(1, sizeof *all);
    if (!all)
        return no_memory(trace);
    trace->state = all;
    trace->source = &source;
    all->run = json_object();
    const vr_status status = vr_journal_open(&all->journal, &trace->file);
    if (status != VR_OK)
        return status;
    const vr_journal_header *header = &all->journal->header;
    all->frame_room = vr_frame_limit(header->ring_bytes);
    all->frame = malloc(all->frame_room);
    if (!all->frame || !all->run)
        return no_memory(trace);
    trace->info.file_bytes = all->journal->file_bytes;
    trace->info.journal = true;
    trace->info.live = all->journal->live;
    trace->info.incomplete = header->incomplete != 0;
    trace->info.incomplete_step = header->incomplete_step;
    trace->info.incomplete_reason = header->incomplete ? strerrordesc_np(header->error) : "";
    if (!trace->info.incomplete_reason)
        trace->info.incomplete_reason = "unknown error";
    return scan(trace, all);
}
