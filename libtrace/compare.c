#include <varanalyze/compare.h>

#include "fail.h"
#include "isa.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

/* A running comparison is a vr_comparison with sums in place of means, norms and cosine (see isa.h). The sums of chunks
 * are added in the tree of digest.h: a part is a run of 2^k chunks, a whole subtree, that one thread takes. */
#define PART_CHUNKS 16
#define MAX_PARTS   1024

typedef struct work {
    const vr_kernels *kernels;
    const vr_tensor *a, *b;
    bool a_packed, b_packed; /* contiguous as they lie */
    const vr_tolerance *tolerance;
    int64_t count, chunk; /* elements of the tensors, of a chunk */
} work;

/* Room for a chunk of each tensor; none is needed when both are contiguous. */
typedef struct buffers {
    char a[VR_CHUNK_BYTES], b[VR_CHUNK_BYTES];
} buffers;

/* Pairs that are 0 or more apart: all but those with a NaN or of an infinity and something else. */
static double measured(const vr_comparison *c)
{
    return (double)(c->count - c->nan_mismatch - c->nan_both - c->inf_mismatch);
}

/* Adds the running comparison of the elements that follow. */
static void append(vr_comparison *c, const vr_comparison *next)
{
    if (c->first < 0 && next->first >= 0)
        c->first = c->count + next->first;
    c->count += next->count;
    c->equal += next->equal;
    c->within += next->within;
    c->nan_mismatch += next->nan_mismatch;
    c->nan_both += next->nan_both;
    c->inf_mismatch += next->inf_mismatch;
    c->sign_flips += next->sign_flips;
    c->max_abs = fmax(c->max_abs, next->max_abs);
    c->mean_abs += next->mean_abs;
    c->max_rel = fmax(c->max_rel, next->max_rel);
    c->mean_rel += next->mean_rel;
    c->diff_l2 += next->diff_l2;
    c->a_l2 += next->a_l2;
    c->b_l2 += next->b_l2;
    c->cosine += next->cosine;
    c->max_ulp = c->max_ulp > next->max_ulp ? c->max_ulp : next->max_ulp;
    for (int bin = 0; bin < VR_ULP_BINS; bin++)
        c->ulp_bins[bin] += next->ulp_bins[bin];
}

/* NaN where a sum overflowed. Equal tensors give 1 exactly: sqrt(x) sqrt(x) need not be x. */
static double cosine_of(double a_squares, double b_squares, double products)
{
    if (a_squares == 0 || b_squares == 0)
        return a_squares == b_squares ? 1 : 0;
    const double norms = a_squares == b_squares ? a_squares : sqrt(a_squares) * sqrt(b_squares);
    const double cosine = products / norms;
    return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
}

static void finish(vr_comparison *c)
{
    const double n = fmax(measured(c), 1);
    c->cosine = cosine_of(c->a_l2, c->b_l2, c->cosine);
    c->mean_abs /= n;
    c->mean_rel /= n;
    c->diff_l2 = sqrt(c->diff_l2);
    c->a_l2 = sqrt(c->a_l2);
    c->b_l2 = sqrt(c->b_l2);
}

/* A finished comparison as a running one. */
static vr_comparison resume(const vr_comparison *finished)
{
    vr_comparison c = *finished;
    c.cosine *= c.a_l2 * c.b_l2;
    c.mean_abs *= measured(&c);
    c.mean_rel *= measured(&c);
    c.diff_l2 *= c.diff_l2;
    c.a_l2 *= c.a_l2;
    c.b_l2 *= c.b_l2;
    return c;
}

vr_comparison vr_comparison_merge(const vr_comparison *a, const vr_comparison *b)
{
    vr_comparison merged = resume(a);
    const vr_comparison next = resume(b);
    append(&merged, &next);
    finish(&merged);
    return merged;
}

/* Elements [first, first + n) of a tensor, packed in `buffer` unless they lie so. */
static const void *elements(const vr_tensor *tensor, bool packed, void *buffer, int64_t first, int64_t n)
{
    if (n == 0)
        return tensor->data; /* may be NULL */
    if (packed)
        return (const char *)tensor->data + first * (int64_t)vr_dtype_size(tensor->dtype);
    vr_tensor_pack(buffer, tensor, first, n);
    return buffer;
}

static void compare_chunk(vr_comparison *out, const work *task, buffers *packed, int64_t number)
{
    const int64_t first = number * task->chunk;
    const int64_t n = task->count - first < task->chunk ? task->count - first : task->chunk;
    const void *a = elements(task->a, task->a_packed, packed ? packed->a : NULL, first, n);
    const void *b = elements(task->b, task->b_packed, packed ? packed->b : NULL, first, n);
    task->kernels->compare(out, a, b, task->a->dtype, (size_t)n, task->tolerance);
}

/* Chunks [first, first + n), n > 0. */
static void compare_chunks(vr_comparison *out, const work *task, buffers *packed, int64_t first, int64_t n)
{
    if (n == 1) {
        compare_chunk(out, task, packed, first);
        return;
    }
    int64_t left = 1;
    while (2 * left < n)
        left *= 2;
    vr_comparison right;
    compare_chunks(out, task, packed, first, left);
    compare_chunks(&right, task, packed, first + left, n - left);
    append(out, &right);
}

/* The parts one after the other, but added as the tree that compare_chunks would go down. */
static void add_parts(vr_comparison *parts, int64_t n)
{
    for (int64_t step = 1; step < n; step *= 2)
        for (int64_t i = 0; i + step < n; i += 2 * step)
            append(&parts[i], &parts[i + step]);
}

static vr_status compare_all(vr_comparison *out, const work *task, int64_t chunks)
{
    int64_t length = PART_CHUNKS;
    while ((chunks - 1) / length >= MAX_PARTS)
        length *= 2;
    const int64_t n = (chunks - 1) / length + 1;
    const bool parallel = vr_worth_threads((uint64_t)chunks * VR_CHUNK_BYTES);
    const int threads = parallel ? omp_get_max_threads() : 1;
    const bool packed = task->a_packed && task->b_packed;
    vr_comparison *parts = malloc((size_t)n * sizeof *parts);
    buffers *room = packed ? NULL : malloc((size_t)threads * sizeof *room);
    const bool ready = parts && (packed || room);
    if (ready) {
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (parallel)
        for (int64_t i = 0; i < n; i++) {
            const vr_float_env outer = vr_float_enter();
            const int64_t rest = chunks - i * length;
            compare_chunks(&parts[i], task, room ? &room[omp_get_thread_num()] : NULL, i * length,
                           rest < length ? rest : length);
            vr_float_leave(outer);
        }
        const vr_float_env outer = vr_float_enter();
        add_parts(parts, n);
        finish(&parts[0]);
        vr_float_leave(outer);
        *out = parts[0];
    }
    free(room);
    free(parts);
    return ready ? VR_OK : vr_fail(VR_ERROR_MEMORY, "comparing two tensors: out of memory");
}

typedef struct shape_text {
    char text[VR_MAX_RANK * 21 + 3];
} shape_text;

/* "[2, 3]" */
static shape_text show_shape(const vr_tensor *tensor)
{
    shape_text out = {"["};
    int length = 1;
    for (int d = 0; d < tensor->rank; d++)
        length += sprintf(out.text + length, d ? ", %lld" : "%lld", (long long)tensor->shape[d]);
    out.text[length] = ']';
    return out;
}

static vr_status check(const vr_tensor *a, const vr_tensor *b)
{
    vr_status status = vr_tensor_check(a);
    if (status == VR_OK)
        status = vr_tensor_check(b);
    if (status != VR_OK)
        return status;
    bool same = a->dtype == b->dtype && a->rank == b->rank;
    for (int d = 0; same && d < a->rank; d++)
        same = a->shape[d] == b->shape[d];
    if (same)
        return VR_OK;
    return vr_fail(VR_ERROR_SHAPE, "%s %s cannot be compared with %s %s", vr_dtype_name(a->dtype), show_shape(a).text,
                   vr_dtype_name(b->dtype), show_shape(b).text);
}

vr_status vr_compare(vr_comparison *out, const vr_tensor *a, const vr_tensor *b, const vr_tolerance *tolerance)
{
    const vr_status status = check(a, b);
    if (status != VR_OK)
        return status;
    const vr_tolerance none = VR_TOLERANCE_INIT;
    const work task = {
        .kernels = vr_kernels_best(),
        .a = a,
        .b = b,
        .a_packed = vr_tensor_is_contiguous(a),
        .b_packed = vr_tensor_is_contiguous(b),
        .tolerance = tolerance ? tolerance : &none,
        .count = vr_tensor_count(a),
        .chunk = VR_CHUNK_BYTES / (int64_t)vr_dtype_size(a->dtype),
    };
    return compare_all(out, &task, vr_chunk_count(a));
}

vr_status vr_differ(vr_difference *out, const void *a, const void *b, vr_dtype dtype, size_t n,
                    const vr_tolerance *tolerance)
{
    const vr_tolerance none = VR_TOLERANCE_INIT;
    if (!vr_dtype_size(dtype))
        return vr_fail(VR_ERROR_ARGUMENT, "comparing elements: %d is no element type", (int)dtype);
    const vr_float_env outer = vr_float_enter();
    vr_kernels_best()->differ(out, a, b, dtype, n, tolerance ? tolerance : &none);
    vr_float_leave(outer);
    return VR_OK;
}
