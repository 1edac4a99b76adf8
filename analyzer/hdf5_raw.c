#include "hdf5_raw.h"

#include <formats/io.h>
#include <libtrace/isa.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY      ((uint64_t)192 << 20)
#define MAX_THREADS 16 /* more do not make memory faster */

/* Copying less than this costs less than mapping it. */
#define COPY_BYTES ((size_t)128 << 10)

/* Where maps begin in a file: the kernel maps large pieces of its page cache at once only where the addresses are
 * aligned as the pieces are. */
#define MAP_ALIGN ((uint64_t)2 << 20)

/* Bytes of a file in memory. */
typedef struct window {
    const char *bytes;
    void *map; /* NULL: in the worker's buffer */
    size_t length;
} window;

/* What a thread needs. */
typedef struct worker {
    vr_h5_decoder *decoders[2];
    char *copies[2];  /* COPY_BYTES each */
    char *scratch[2]; /* a box each: in the machine's byte order, or without what is outside the dataset */
} worker;

/* Bytes [at, at + bytes) of a side's file. */
static bool open_window(window *out, const va_raw_side *side, char *copy, uint64_t at, uint64_t bytes)
{
    *out = (window){.bytes = copy};
    if (at > side->source->size || bytes > side->source->size - at)
        return false;
    const uint64_t offset = side->source->offset + at;
    if (bytes <= COPY_BYTES)
        return vr_read_whole(side->source->fd, copy, bytes, offset) == (ssize_t)bytes;
    const uint64_t skip = offset % MAP_ALIGN;
    out->length = bytes + skip;
    out->map = mmap(NULL, out->length, PROT_READ, MAP_SHARED, side->source->fd, (off_t)(offset - skip));
    if (out->map == MAP_FAILED) {
        out->map = NULL;
        return false;
    }
    out->bytes = (const char *)out->map + skip;
    return true;
}

static void close_window(const window *w)
{
    if (w->map)
        munmap(w->map, w->length);
}

/* What has to be read of a side for a box: its part of the chunk, or all of a filtered one. */
static bool open_box(window *out, const va_raw *raw, const worker *own, const va_raw_job *job, int side)
{
    const vr_h5_chunk *chunk = &job->chunks[side];
    if (raw->filtered)
        return open_window(out, &raw->sides[side], own->copies[side], chunk->offset, chunk->bytes);
    return chunk->bytes == raw->chunk_bytes &&
           open_window(out, &raw->sides[side], own->copies[side], chunk->offset + job->box.offset * raw->element,
                       job->box.span * raw->element);
}

static bool is_identical(const va_raw *raw, const va_raw_job *job, const window w[2])
{
    if (!raw->same_types || raw->statistics)
        return false;
    if (!raw->filtered)
        return memcmp(w[0].bytes, w[1].bytes, job->box.span * raw->element) == 0;
    return job->chunks[0].bytes == job->chunks[1].bytes && job->chunks[0].skipped == job->chunks[1].skipped &&
           vr_h5_pipeline_equal(&raw->sides[0].pipeline, &raw->sides[1].pipeline) &&
           memcmp(w[0].bytes, w[1].bytes, job->chunks[0].bytes) == 0;
}

#define SWAP(N)                                                                                                        \
    for (uint64_t i = 0; i < n; i++) {                                                                                 \
        uint##N##_t x;                                                                                                 \
        memcpy(&x, in + i * sizeof x, sizeof x);                                                                       \
        x = __builtin_bswap##N(x);                                                                                     \
        memcpy(out + i * sizeof x, &x, sizeof x);                                                                      \
    }

/* Elements of 2, 4 or 8 bytes: those of one have no order. */
static void swap_bytes(char *out, const char *in, uint64_t n, size_t element)
{
    if (element == 2)
        SWAP(16)
    else if (element == 4)
        SWAP(32)
    else if (element == 8)
        SWAP(64)
}

/* The box's elements from its first on, `span` of them, as the machine reads them; NULL: damaged. */
static const char *elements_of(const va_raw *raw, worker *own, const va_raw_job *job, const window *w, int side)
{
    const char *elements = w->bytes;
    if (raw->filtered) {
        const char *chunk = vr_h5_decode(own->decoders[side], &raw->sides[side].pipeline, job->chunks[side].skipped,
                                         w->bytes, job->chunks[side].bytes);
        elements = chunk ? chunk + job->box.offset * raw->element : NULL;
    }
    if (!elements || !raw->sides[side].swapped)
        return elements;
    swap_bytes(own->scratch[side], elements, job->box.span, raw->element);
    return own->scratch[side];
}

static void add_difference(vr_difference *sum, const vr_difference *next)
{
    if (sum->first < 0)
        sum->first = next->first;
    sum->count += next->count;
    sum->unequal += next->unequal;
    sum->different += next->different;
    sum->nan_mismatch += next->nan_mismatch;
    sum->max_abs = next->max_abs > sum->max_abs ? next->max_abs : sum->max_abs;
    sum->max_rel = next->max_rel > sum->max_rel ? next->max_rel : sum->max_rel;
    sum->max_ulp = next->max_ulp > sum->max_ulp ? next->max_ulp : sum->max_ulp;
}

/* Compares the elements run by run; between runs lie those outside the dataset. */
static void compare_runs(const va_raw *raw, va_raw_job *job, const char *const elements[2])
{
    const uint64_t length = va_box_run_length(raw->boxes, &job->box), runs = job->box.elements / length;
    job->difference = (vr_difference){.first = -1};
    for (uint64_t i = 0; i < runs; i++) {
        const uint64_t from = va_box_run(raw->boxes, &job->box, i);
        vr_difference d;
        vr_differ(&d, elements[0] + from * raw->element, elements[1] + from * raw->element, raw->dtype, length,
                  &raw->tolerance);
        if (d.first >= 0)
            d.first = va_box_index(raw->boxes, &job->box, from + (uint64_t)d.first);
        add_difference(&job->difference, &d);
    }
}

/* Moves the runs together, into the scratch buffers unless there is but one. */
static const char *pack(const va_raw *raw, const va_raw_job *job, char *scratch, const char *elements)
{
    const uint64_t length = va_box_run_length(raw->boxes, &job->box), runs = job->box.elements / length;
    for (uint64_t i = 0; runs > 1 && i < runs; i++)
        memmove(scratch + i * length * raw->element, elements + va_box_run(raw->boxes, &job->box, i) * raw->element,
                length * raw->element);
    return runs > 1 ? scratch : elements;
}

static vr_status measure(const va_raw *raw, worker *own, va_raw_job *job, const char *const elements[2])
{
    const int64_t n = (int64_t)job->box.elements;
    const vr_tensor a = vr_tensor_of(raw->dtype, pack(raw, job, own->scratch[0], elements[0]), 1, &n);
    const vr_tensor b = vr_tensor_of(raw->dtype, pack(raw, job, own->scratch[1], elements[1]), 1, &n);
    return vr_compare(&job->statistics, &a, &b, &raw->tolerance);
}

static va_raw_state compare_box(const va_raw *raw, worker *own, va_raw_job *job, const window w[2])
{
    const char *elements[2];
    job->difference = (vr_difference){.count = (int64_t)job->box.elements, .first = -1};
    if ((raw->filtered || !raw->dtype) && is_identical(raw, job, w))
        return VA_RAW_COMPARED;
    if (!raw->dtype)
        return VA_RAW_UNKNOWN;
    for (int side = 0; side < 2; side++)
        if (!(elements[side] = elements_of(raw, own, job, &w[side], side)))
            return side ? VA_RAW_DAMAGED_B : VA_RAW_DAMAGED_A;
    compare_runs(raw, job, elements);
    return raw->statistics && measure(raw, own, job, elements) != VR_OK ? VA_RAW_NO_MEMORY : VA_RAW_COMPARED;
}

static void do_job(const va_raw *raw, worker *own, va_raw_job *job)
{
    window w[2] = {{0}, {0}};
    if (!job->chunks[0].bytes || !job->chunks[1].bytes)
        job->state = VA_RAW_UNKNOWN;
    else if (!open_box(&w[0], raw, own, job, 0))
        job->state = VA_RAW_DAMAGED_A;
    else if (!open_box(&w[1], raw, own, job, 1))
        job->state = VA_RAW_DAMAGED_B;
    else
        job->state = compare_box(raw, own, job, w);
    close_window(&w[0]);
    close_window(&w[1]);
}

static uint64_t box_bytes(const va_raw *raw)
{
    return raw->filtered ? raw->chunk_bytes : VA_RAW_BOX + raw->element;
}

static bool open_worker(worker *own, const va_raw *raw)
{
    const bool scratch = raw->statistics || raw->sides[0].swapped || raw->sides[1].swapped;
    bool fine = true;
    *own = (worker){0};
    for (int i = 0; i < 2; i++) {
        fine = fine && (own->copies[i] = malloc(COPY_BYTES));
        fine = fine && (!raw->filtered || (own->decoders[i] = vr_h5_decoder_new(raw->chunk_bytes)));
        fine = fine && (!scratch || (own->scratch[i] = malloc(box_bytes(raw))));
    }
    return fine;
}

static void close_worker(worker *own)
{
    for (int i = 0; i < 2; i++) {
        free(own->copies[i]);
        free(own->scratch[i]);
        vr_h5_decoder_free(own->decoders[i]);
    }
}

static int threads_for(const va_raw *raw, int jobs)
{
    const uint64_t each = box_bytes(raw) * 2 * (raw->filtered ? 3 : 1), fit = MEMORY / each;
    int threads = omp_get_max_threads();
    if (!vr_worth_threads((uint64_t)jobs * box_bytes(raw)))
        threads = 1;
    threads = threads > MAX_THREADS ? MAX_THREADS : threads;
    threads = threads > jobs ? jobs : threads;
    return (uint64_t)threads > fit ? (fit ? (int)fit : 1) : threads;
}

void va_raw_run(const va_raw *raw, va_raw_job *jobs, int n)
{
#pragma omp parallel num_threads(threads_for(raw, n))
    {
        worker own;
        const bool ready = open_worker(&own, raw);
#pragma omp for schedule(dynamic)
        for (int i = 0; i < n; i++)
            if (ready)
                do_job(raw, &own, &jobs[i]);
            else
                jobs[i].state = VA_RAW_NO_MEMORY;
        close_worker(&own);
    }
}
