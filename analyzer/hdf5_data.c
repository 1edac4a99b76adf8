#include "guard.h"
#include "hdf5_data_impl.h"

#include <formats/fail.h>
#include <formats/hdf5_file.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Boxes and bytes between two looks at options->stop: of small boxes enough that threads do not mostly wait for each
 * other. */
#define BATCH       4096
#define BATCH_BYTES ((uint64_t)256 << 20)

typedef struct comparison {
    va_h5_pair pair;
    bool same_fill; /* elements in no chunk of either file have been found to be equal */
    va_h5_result *out;
    va_raw_job *jobs; /* the first is the last of the batch before */
    int room;
} comparison;

static void free_elements(const va_h5_pair *pair, int i, void *elements, uint64_t n)
{
    if (elements && va_plan_has_variable(pair->plan)) {
        const hid_t space = H5Screate_simple(1, &(hsize_t){n}, NULL);
        H5Dvlen_reclaim(va_plan_type(pair->plan, i), space, H5P_DEFAULT, elements);
        H5Sclose(space);
    }
    free(elements);
}

/* Reads a box through the library; `*out` is freed with free_elements. */
static vr_status read_box(const va_h5_pair *pair, int i, const va_box *box, void **out)
{
    const va_h5_set *set = &pair->sides[i];
    const hid_t type = va_plan_type(pair->plan, i);
    *out = calloc(box->elements, H5Tget_size(type));
    if (!*out)
        return va_h5_pair_no_memory(pair);
    va_h5_pair_reading(pair, i);
    const hid_t space = H5Scopy(set->space), memory = H5Screate_simple(1, &(hsize_t){box->elements}, NULL);
    const bool selected =
        pair->rank == 0 || H5Sselect_hyperslab(space, H5S_SELECT_SET, box->start, NULL, box->count, NULL) >= 0;
    vr_status status = VR_OK;
    if (!selected || H5Dread(set->in->dataset, type, memory, space, H5P_DEFAULT, *out) < 0)
        status = vr_fail(VR_ERROR_FORMAT, "%s: %s: cannot be read: %s", set->in->source->name, set->in->path,
                         vr_h5_reason());
    H5Sclose(memory);
    H5Sclose(space);
    return status;
}

static vr_status read_both(const va_h5_pair *pair, const va_box *box, void *out[2])
{
    out[0] = out[1] = NULL;
    const vr_status status = read_box(pair, 0, box, &out[0]);
    return status == VR_OK ? read_box(pair, 1, box, &out[1]) : status;
}

static void free_both(const va_h5_pair *pair, void *elements[2], uint64_t n)
{
    free_elements(pair, 0, elements[0], n);
    free_elements(pair, 1, elements[1], n);
}

/* `next` is of a box that may come before others already added. */
static void add_result(va_h5_result *out, const va_h5_result *next)
{
    out->count += next->count;
    out->different += next->different;
    out->unequal += next->unequal;
    out->numeric |= next->numeric;
    out->nan_mismatch += next->nan_mismatch;
    out->max_abs = next->max_abs > out->max_abs ? next->max_abs : out->max_abs;
    out->max_rel = next->max_rel > out->max_rel ? next->max_rel : out->max_rel;
    out->max_ulp = next->max_ulp > out->max_ulp ? next->max_ulp : out->max_ulp;
    if (next->first < 0 || (out->first >= 0 && out->first < next->first))
        return;
    out->first = next->first;
    memcpy(out->member, next->member, sizeof out->member);
    memcpy(out->value, next->value, sizeof out->value);
}

static void add_statistics(va_h5_result *out, const vr_comparison *next)
{
    out->statistics = out->has_statistics ? vr_comparison_merge(&out->statistics, next) : *next;
    out->has_statistics = true;
}

static void add_job(const comparison *c, const va_raw_job *job)
{
    const vr_difference *d = &job->difference;
    const va_h5_result next = {
        .count = (uint64_t)d->count,
        .different = (uint64_t)d->different,
        .unequal = (uint64_t)d->unequal,
        .first = d->first,
        .numeric = c->pair.raw.dtype != 0,
        .nan_mismatch = (uint64_t)d->nan_mismatch,
        .max_abs = d->max_abs,
        .max_rel = d->max_rel,
        .max_ulp = d->max_ulp,
    };
    add_result(c->out, &next);
    if (c->pair.raw.statistics)
        add_statistics(c->out, &job->statistics);
}

/* The row-major index in the dataset of a box's element, by its row-major index in the box. */
static int64_t index_of(const va_h5_pair *pair, const va_box *box, uint64_t number)
{
    uint64_t index = 0, step = 1;
    for (int d = pair->rank - 1; d >= 0; d--) {
        index += (box->start[d] + number % box->count[d]) * step;
        number /= box->count[d];
        step *= pair->dims[d];
    }
    return (int64_t)index;
}

static vr_status compare_numbers(const comparison *c, va_raw_job *job, void *const elements[2])
{
    const va_raw *raw = &c->pair.raw;
    const int64_t n = (int64_t)job->box.elements;
    const vr_tensor a = vr_tensor_of(raw->dtype, elements[0], 1, &n), b = vr_tensor_of(raw->dtype, elements[1], 1, &n);
    vr_status status =
        vr_differ(&job->difference, elements[0], elements[1], raw->dtype, job->box.elements, &raw->tolerance);
    if (status == VR_OK && raw->statistics)
        status = vr_compare(&job->statistics, &a, &b, &raw->tolerance);
    if (job->difference.first >= 0)
        job->difference.first = index_of(&c->pair, &job->box, (uint64_t)job->difference.first);
    return status;
}

/* Compares elements of a box in memory by the plan. */
static va_h5_result compare_planned(const comparison *c, const va_box *box, void *const elements[2])
{
    const hid_t files[2] = {c->pair.sides[0].in->dataset, c->pair.sides[1].in->dataset};
    va_h5_result result = VA_H5_RESULT_INIT;
    va_plan_compare(c->pair.plan, &result, files, elements[0], elements[1], box->elements, 0);
    if (result.first >= 0)
        result.first = index_of(&c->pair, box, (uint64_t)result.first);
    return result;
}

/* Compares a box as the library reads it. */
static vr_status compare_read(const comparison *c, va_raw_job *job)
{
    void *elements[2];
    vr_status status = read_both(&c->pair, &job->box, elements);
    if (status == VR_OK && c->pair.raw.dtype) {
        status = compare_numbers(c, job, elements);
        if (status == VR_OK)
            add_job(c, job);
    } else if (status == VR_OK) {
        const va_h5_result next = compare_planned(c, &job->box, elements);
        add_result(c->out, &next);
        if (next.has_statistics)
            add_statistics(c->out, &next.statistics);
    }
    free_both(&c->pair, elements, job->box.elements);
    return status;
}

/* Compares one element of both. */
static vr_status compare_at(const comparison *c, const hsize_t *start, va_h5_result *out)
{
    va_box one = {.elements = 1};
    void *elements[2];
    for (int d = 0; d < c->pair.rank; d++) {
        one.start[d] = start[d];
        one.count[d] = 1;
    }
    const vr_status status = read_both(&c->pair, &one, elements);
    if (status == VR_OK)
        *out = compare_planned(c, &one, elements);
    free_both(&c->pair, elements, 1);
    return status;
}

static bool next_box(va_h5_pair *pair, va_box *out)
{
    va_chunk_list *list = &pair->list;
    if (!pair->listed)
        return va_boxes_next(&pair->boxes, out);
    if (list->at == list->count)
        return false;
    const hsize_t *at = list->starts + list->at * (uint64_t)pair->rank;
    const bool found = va_boxes_next(&pair->boxes, out);
    if (pair->boxes.done || memcmp(pair->boxes.next.chunk, at, (size_t)pair->rank * sizeof *at) != 0)
        if (++list->at < list->count)
            va_boxes_seek(&pair->boxes, at + pair->rank);
    return found;
}

static vr_status wrong_chunk(const va_h5_pair *pair, int i)
{
    char why[256];
    snprintf(why, sizeof why, "%s", vr_error());
    return va_h5_pair_damaged(pair, i, why);
}

static bool is_cut_off(const va_h5_pair *pair, const hsize_t *chunk)
{
    bool cut_off = false;
    for (int d = 0; d < pair->rank; d++)
        cut_off |= pair->dims[d] - chunk[d] < pair->chunk[d];
    return cut_off;
}

static vr_status find_chunks(const va_h5_pair *pair, va_raw_job *job, const va_raw_job *last)
{
    const size_t bytes = (size_t)pair->rank * sizeof *job->box.chunk;
    if (!pair->chunked)
        memcpy(job->chunks, pair->places, sizeof job->chunks);
    else if (last && memcmp(last->box.chunk, job->box.chunk, bytes) == 0)
        memcpy(job->chunks, last->chunks, sizeof job->chunks);
    else
        for (int i = 0; i < 2; i++) {
            va_h5_pair_reading(pair, i);
            if (vr_h5_chunk_find(&job->chunks[i], pair->sides[i].in->dataset, job->box.chunk) != VR_OK)
                return wrong_chunk(pair, i);
            if (pair->sides[i].whole_only && is_cut_off(pair, job->box.chunk))
                job->chunks[i].skipped = UINT32_MAX;
        }
    return VR_OK;
}

/* A box that is in no chunk of either file: all of its elements are the fill values. */
static vr_status compare_fill(comparison *c, va_raw_job *job)
{
    if (!c->same_fill) {
        va_h5_result one;
        const vr_status status = compare_at(c, job->box.start, &one);
        if (status != VR_OK)
            return status;
        c->same_fill = !one.unequal;
    }
    if (!c->same_fill || c->pair.raw.statistics)
        return compare_read(c, job);
    c->out->count += job->box.elements;
    return VR_OK;
}

/* Adds a box that the threads are done with to the result. */
static vr_status settle(comparison *c, va_raw_job *job)
{
    const char *const damage = "damaged data: a chunk is cut off, or fails its check";
    if (!c->pair.by_bytes)
        return compare_read(c, job);
    switch (job->state) {
    case VA_RAW_DAMAGED_A:
        return va_h5_pair_damaged(&c->pair, 0, damage);
    case VA_RAW_DAMAGED_B:
        return va_h5_pair_damaged(&c->pair, 1, damage);
    case VA_RAW_NO_MEMORY:
        return va_h5_pair_no_memory(&c->pair);
    case VA_RAW_UNKNOWN:
        return job->chunks[0].bytes || job->chunks[1].bytes ? compare_read(c, job) : compare_fill(c, job);
    default:
        add_job(c, job);
        return VR_OK;
    }
}

/* Room for one more job after the n of a batch. Most datasets are small, and should not pay for large ones. */
static bool make_room(comparison *c, int n)
{
    if (n + 1 < c->room)
        return true;
    const int room = c->room ? 2 * c->room : 4;
    va_raw_job *jobs = realloc(c->jobs, (size_t)room * sizeof *jobs);
    if (!jobs)
        return false;
    c->jobs = jobs;
    c->room = room;
    return true;
}

static vr_status fill_batch(comparison *c, bool first, int *count)
{
    vr_status status = VR_OK;
    uint64_t bytes = 0;
    int n = 0;
    while (status == VR_OK && n < BATCH && bytes < BATCH_BYTES) {
        if (!make_room(c, n))
            return va_h5_pair_no_memory(&c->pair);
        va_raw_job *job = &c->jobs[n + 1];
        if (!next_box(&c->pair, &job->box))
            break;
        if (c->pair.by_bytes)
            status = find_chunks(&c->pair, job, first && n == 0 ? NULL : job - 1);
        bytes += job->box.elements * c->pair.raw.element;
        n++;
    }
    *count = n;
    return status;
}

static bool is_enough(const comparison *c)
{
    const uint64_t stop = c->pair.options->stop;
    return stop && c->out->different >= stop;
}

static vr_status compare_boxes(comparison *c)
{
    int n = 0;
    vr_status status = fill_batch(c, true, &n);
    while (status == VR_OK && n > 0 && !is_enough(c)) {
        va_guard_reading(NULL, NULL);
        if (c->pair.by_bytes)
            va_raw_run(&c->pair.raw, c->jobs + 1, n);
        for (int i = 1; i <= n && status == VR_OK && !is_enough(c); i++)
            status = settle(c, &c->jobs[i]);
        c->jobs[0] = c->jobs[n];
        if (status == VR_OK)
            status = fill_batch(c, false, &n);
    }
    return status;
}

/* Elements in listed chunks; `gap` is the first chunk that is not listed. */
static uint64_t listed_elements(const va_h5_pair *pair, hsize_t *gap)
{
    const uint64_t rank = (uint64_t)pair->rank;
    uint64_t sum = 0;
    bool found = false;
    memset(gap, 0, rank * sizeof *gap);
    for (uint64_t i = 0; i < pair->list.count; i++) {
        const hsize_t *at = pair->list.starts + i * rank;
        uint64_t elements = 1;
        found = found || memcmp(at, gap, rank * sizeof *at) != 0;
        for (int d = pair->rank - 1; d >= 0; d--) {
            const hsize_t left = pair->dims[d] - at[d];
            elements *= left < pair->chunk[d] ? left : pair->chunk[d];
        }
        for (int d = pair->rank - 1; d >= 0 && !found; d--) {
            if ((gap[d] += pair->chunk[d]) < pair->dims[d])
                break;
            gap[d] = 0;
        }
        sum += elements;
    }
    return sum;
}

/* What is in no listed chunk: all of it is as one element of it. */
static vr_status compare_rest(comparison *c)
{
    hsize_t gap[H5S_MAX_RANK];
    const uint64_t rest = c->pair.count - listed_elements(&c->pair, gap);
    va_h5_result one;
    const vr_status status = compare_at(c, gap, &one);
    if (status != VR_OK)
        return status;
    one.count *= rest;
    one.different *= rest;
    one.unequal *= rest;
    one.nan_mismatch *= rest;
    add_result(c->out, &one);
    return VR_OK;
}

/* The values of the first difference as text, where only its index is known. */
static vr_status show_first(comparison *c)
{
    hsize_t start[H5S_MAX_RANK];
    uint64_t index = (uint64_t)c->out->first;
    va_h5_result one;
    if (c->out->first < 0 || *c->out->value[0])
        return VR_OK;
    for (int d = c->pair.rank - 1; d >= 0; d--) {
        start[d] = index % c->pair.dims[d];
        index /= c->pair.dims[d];
    }
    const vr_status status = compare_at(c, start, &one);
    if (status != VR_OK)
        return status;
    memcpy(c->out->member, one.member, sizeof one.member);
    memcpy(c->out->value, one.value, sizeof one.value);
    return VR_OK;
}

static vr_status compare_data(comparison *c, const va_h5_side *a, const va_h5_side *b, const va_h5_options *options)
{
    vr_status status = va_h5_pair_open(&c->pair, a, b, options);
    if (status != VR_OK || c->pair.count == 0)
        return status;
    status = compare_boxes(c);
    if (status == VR_OK && c->pair.listed && !is_enough(c))
        status = compare_rest(c);
    return status == VR_OK ? show_first(c) : status;
}

vr_status va_h5_compare_data(va_h5_result *out, const va_h5_side *a, const va_h5_side *b, const va_h5_options *options)
{
    *out = (va_h5_result)VA_H5_RESULT_INIT;
    comparison c = {.out = out};
    const vr_h5_quiet quiet = vr_h5_quiet_begin();
    const vr_status status = compare_data(&c, a, b, options);
    va_h5_pair_close(&c.pair);
    vr_h5_quiet_end(quiet);
    free(c.jobs);
    return status;
}
