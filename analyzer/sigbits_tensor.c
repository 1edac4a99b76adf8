#include "sigbits_tensor.h"

#include <formats/fail.h>
#include <libtrace/isa.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* Samples are read in strips, the same elements of all runs, by the thread that uses them: few enough to stay in its
 * cache, and to take no more for many runs than for few. Within a strip, tiles are converted to doubles. */
#define STRIPS_BYTES ((size_t)32 << 20) /* all threads together */
#define STRIP_BYTES  ((size_t)2 << 20)
#define SLICE_BYTES  ((size_t)1 << 10) /* of a run, at least, however many there are */
#define TILE_BYTES   ((size_t)256 << 10)
#define TILE_LEAST   16

/* What one thread works with. */
typedef struct worker {
    char *raw;             /* [samples][strip] of the element type */
    double *x, *reference; /* [samples][tile], [tile] */
    double *scratch;
    va_bits *bits; /* [tile] */
    va_tally tally;
    va_worst_list worst;
    vr_status status;
} worker;

typedef struct job {
    const va_samples *samples;
    const va_bits_rule *rule;
    const va_sink *sink;
    int64_t *positions; /* of level sample, else NULL */
    size_t size;        /* of an element */
    int64_t strip;      /* elements */
    size_t tile;
    int threads;
    worker *workers;
    vr_status status; /* the first failure, and its message */
    char error[1024];
} job;

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

/* ---- reading ---- */

/* The value of a scalar, from its statistics. */
static double scalar_of(const vr_stats *stats)
{
    return stats->nan       ? (double)NAN
           : stats->pos_inf ? (double)INFINITY
           : stats->neg_inf ? -(double)INFINITY
                            : stats->min;
}

/* Values [first, first + n) of one run, of its element type. */
static vr_status read_raw(const job *w, vr_trace *trace, const vr_trace_record *record, int64_t first, int64_t n,
                          char *out)
{
    if (w->samples->kind != VA_SAMPLES_SOME || record->level == VR_LEVEL_SAMPLE)
        return vr_trace_read_values(trace, record, first, n, out);
    vr_status status = VR_OK;
    for (int64_t i = 0; status == VR_OK && i < n; i++)
        status = vr_trace_read_values(trace, record, w->positions[first + i], 1, out + (size_t)i * w->size);
    return status;
}

static vr_status read_strip(const job *w, const worker *own, int64_t first, int64_t n)
{
    const va_samples *s = w->samples;
    vr_status status = VR_OK;
    for (int i = 0; status == VR_OK && i < s->count; i++)
        status = read_raw(w, s->traces[i], s->records[i], first, n, own->raw + (size_t)(i * w->strip) * w->size);
    if (status == VR_OK && s->reference)
        status = read_raw(w, s->reference, s->reference_record, first, n,
                          own->raw + (size_t)(s->count * w->strip) * w->size);
    return status;
}

/* ---- figures ---- */

/* n values as doubles; of the usual type, by a loop that the compiler vectorizes. */
static void load_values(double *out, const char *raw, vr_dtype dtype, size_t n)
{
    const float *values = (const float *)raw;
    if (dtype != VR_F32)
        vr_to_f64(out, raw, dtype, n);
    else
        for (size_t i = 0; i < n; i++)
            out[i] = values[i];
}

/* Elements [at, at + n) of the strip as doubles. */
static void load_tile(const job *w, const worker *own, int64_t at, size_t n)
{
    const va_samples *s = w->samples;
    for (int i = 0; i < s->count; i++)
        load_values(own->x + (size_t)i * w->tile, own->raw + (size_t)(i * w->strip + at) * w->size, s->site->dtype, n);
    if (s->reference)
        load_values(own->reference, own->raw + (size_t)(s->count * w->strip + at) * w->size, s->site->dtype, n);
}

static vr_status take_tile(const job *w, worker *own, int64_t first, size_t n)
{
    const va_sink *sink = w->sink;
    va_bits_of_block(own->bits, w->rule, own->x, w->tile, own->reference, n, own->scratch);
    vr_status status = va_tally_add(&own->tally, own->bits, n, sink->wanted);
    for (size_t j = 0; sink->map && j < n; j++) {
        const va_bits *b = &own->bits[j];
        sink->map[first + (int64_t)j] = b->flags & VA_BITS_NO_FIGURE ? NAN
                                        : sink->general              ? (float)b->general
                                                                     : (float)b->significant;
    }
    if (status == VR_OK && sink->worst) {
        const va_worst like = {
            .site = w->samples->site, .step = sink->step, .order = sink->order, .epoch = sink->epoch, .index = first};
        status =
            va_worst_offer(&own->worst, &like, own->bits, w->rule, own->x, w->tile, own->reference, n, w->positions);
    }
    return status;
}

static vr_status take_strip(const job *w, worker *own, int64_t first)
{
    const int64_t left = w->samples->values - first, n = left < w->strip ? left : w->strip;
    vr_status status = read_strip(w, own, first, n);
    for (int64_t at = 0; status == VR_OK && at < n; at += (int64_t)w->tile) {
        const size_t count = (size_t)(n - at) < w->tile ? (size_t)(n - at) : w->tile;
        load_tile(w, own, at, count);
        status = take_tile(w, own, first + at, count);
    }
    return status;
}

static vr_status take_scalar(const job *w, worker *own)
{
    const va_samples *s = w->samples;
    for (int i = 0; i < s->count; i++)
        own->x[(size_t)i * w->tile] = scalar_of(&s->records[i]->stats);
    if (s->reference)
        own->reference[0] = scalar_of(&s->reference_record->stats);
    return take_tile(w, own, 0, 1);
}

/* Messages belong to threads: that of the first failure is kept for the caller's. */
static void note_failure(job *w, vr_status status)
{
#pragma omp critical(sigbits_failure)
    if (w->status == VR_OK) {
        w->status = status;
        strncpy(w->error, vr_error(), sizeof w->error - 1);
    }
}

static void run_job(job *w)
{
    const int64_t strips = w->samples->values == 0 ? 0 : (w->samples->values - 1) / w->strip + 1;
#pragma omp parallel for schedule(dynamic) num_threads(w->threads) if (w->threads > 1)
    for (int64_t i = 0; i < strips; i++) {
        worker *own = &w->workers[omp_get_thread_num()];
        if (own->status != VR_OK)
            continue;
        const vr_float_env outer = vr_float_enter();
        own->status = w->samples->kind == VA_SAMPLES_SCALAR ? take_scalar(w, own) : take_strip(w, own, i * w->strip);
        vr_float_leave(outer);
        if (own->status != VR_OK)
            note_failure(w, own->status);
    }
}

/* ---- memory ---- */

/* How the tensor is cut, so that memory depends on neither its size nor the number of runs. */
static void plan(job *w)
{
    const va_samples *s = w->samples;
    const size_t rows = (size_t)s->count + (s->reference ? 1 : 0);
    const uint64_t bytes = rows * (uint64_t)s->values * w->size;
    w->threads = vr_worth_threads(bytes) ? omp_get_max_threads() : 1;
    size_t strip = STRIPS_BYTES / (size_t)w->threads;
    strip = (strip < STRIP_BYTES ? strip : STRIP_BYTES) / rows;
    strip = (strip > SLICE_BYTES ? strip : SLICE_BYTES) / w->size;
    w->strip = s->values < (int64_t)strip ? s->values : (int64_t)strip;
    w->strip = w->strip > 0 ? w->strip : 1;
    const size_t tile = TILE_BYTES / (rows * sizeof(double)) / TILE_LEAST * TILE_LEAST;
    w->tile = tile > TILE_LEAST ? tile : TILE_LEAST;
    w->tile = (int64_t)w->tile < w->strip ? w->tile : (size_t)w->strip;
}

static vr_status open_worker(const job *w, worker *own)
{
    const va_samples *s = w->samples;
    const size_t rows = (size_t)s->count + (s->reference ? 1 : 0);
    own->raw = malloc(rows * (size_t)w->strip * w->size);
    own->x = malloc((size_t)s->count * w->tile * sizeof *own->x);
    own->reference = malloc(w->tile * sizeof *own->reference);
    own->scratch = malloc(va_bits_scratch(w->rule, w->tile) * sizeof *own->scratch);
    own->bits = malloc(w->tile * sizeof *own->bits);
    if (!own->raw || !own->x || !own->reference || !own->scratch || !own->bits)
        return no_memory();
    own->reference[0] = s->exact;
    return w->sink->worst ? va_worst_open(&own->worst, w->sink->worst->room, w->sink->worst->general) : VR_OK;
}

static void close_worker(worker *own)
{
    free(own->raw);
    free(own->x);
    free(own->reference);
    free(own->scratch);
    free(own->bits);
    va_tally_free(&own->tally);
    va_worst_close(&own->worst);
}

static vr_status place_samples(job *w)
{
    if (w->samples->kind != VA_SAMPLES_SOME)
        return VR_OK;
    w->positions = malloc(((size_t)w->samples->values + 1) * sizeof *w->positions);
    if (!w->positions)
        return no_memory();
    vr_sample_positions(w->positions, w->samples->values, w->samples->site->count);
    return VR_OK;
}

vr_status va_samples_measure(const va_samples *samples, const va_bits_rule *rule, const va_sink *sink)
{
    job w = {.samples = samples, .rule = rule, .sink = sink, .size = vr_dtype_size(samples->site->dtype)};
    plan(&w);
    w.workers = calloc((size_t)w.threads, sizeof *w.workers);
    vr_status status = w.workers ? place_samples(&w) : no_memory();
    for (int i = 0; status == VR_OK && i < w.threads; i++)
        status = open_worker(&w, &w.workers[i]);
    if (status == VR_OK) {
        run_job(&w);
        status = w.status == VR_OK ? VR_OK : vr_fail(w.status, "%s", w.error);
    }
    for (int i = 0; w.workers && i < w.threads; i++) {
        if (status == VR_OK)
            status = va_tally_merge(sink->tally, &w.workers[i].tally);
        if (status == VR_OK && sink->worst)
            va_worst_merge(sink->worst, &w.workers[i].worst);
        close_worker(&w.workers[i]);
    }
    free(w.workers);
    free(w.positions);
    return status;
}
