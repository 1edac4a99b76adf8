#include <varanalyze/projection.h>
#include <varanalyze/random.h>

#include "fail.h"
#include "isa.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Elements whose sums are made by one thread, a multiple of every block's; segments whose sums are held at a time. */
#define SEGMENT 262144
#define ROUND   64
#define PIECE   8192 /* elements of a strided tensor that are packed at a time; a multiple of every block's too */

#define QUIET_NAN 0x7ff8000000000000

bool vr_projection_is_size(uint64_t k)
{
    return k >= VR_PROJECTION_LEAST && k <= VR_PROJECTION_MOST && (k & (k - 1)) == 0;
}

int64_t vr_projection_count(int64_t n, uint32_t k)
{
    return n < k ? n : k;
}

uint64_t vr_projection_key(const char *layer, const char *name)
{
    const uint64_t seed = vr_derive_seed(0, "projection");
    char *path = NULL;
    if (asprintf(&path, "%s/%s", layer, name) < 0)
        return seed;
    const uint64_t key = vr_derive_seed(seed, path);
    free(path);
    return key;
}

/* What is projected. */
typedef struct source {
    const vr_tensor *tensor;
    const vr_kernels *kernels;
    int64_t count, segments;
    size_t size; /* bytes of an element */
    uint32_t k;
    uint64_t key;
    bool contiguous;
} source;

/* Not inlined, so that only strided tensors need this much of the stack. */
static __attribute__((noinline)) void add_packed(double *sums, const source *from, int64_t first, int64_t n)
{
    _Alignas(64) char packed[PIECE * sizeof(double)];
    for (int64_t done = 0; done < n; done += PIECE) {
        const int64_t length = n - done < PIECE ? n - done : PIECE;
        vr_tensor_pack(packed, from->tensor, first + done, length);
        from->kernels->project(sums, packed, from->tensor->dtype, (size_t)length, from->k, from->key,
                               (uint64_t)(first + done) / (from->k / 4));
    }
}

/* The sums of one segment. */
static void sum_segment(double *sums, const source *from, int64_t number)
{
    const int64_t first = number * SEGMENT, left = from->count - first, n = left < SEGMENT ? left : SEGMENT;
    memset(sums, 0, from->k * sizeof *sums);
    if (from->contiguous)
        from->kernels->project(sums, (const char *)from->tensor->data + (size_t)first * from->size, from->tensor->dtype,
                               (size_t)n, from->k, from->key, (uint64_t)first / (from->k / 4));
    else
        add_packed(sums, from, first, n);
}

/* Segments [first, first + count), each into its own sums. */
static void sum_round(double *sums, const source *from, int64_t first, int64_t count)
{
    const bool parallel = count > 1 && vr_worth_threads((uint64_t)count * SEGMENT * from->size);
#pragma omp parallel if (parallel)
    {
        const vr_float_env outer = vr_float_enter();
#pragma omp for schedule(static)
        for (int64_t i = 0; i < count; i++)
            sum_segment(sums + (size_t)i * from->k, from, first + i);
        vr_float_leave(outer);
    }
}

/* The segments' sums, added in their order. */
static vr_status sum_all(double *out, const source *from)
{
    const uint32_t k = from->k;
    const int64_t most = from->segments < ROUND ? from->segments : ROUND;
    double *sums = malloc((size_t)most * k * sizeof *sums);
    if (!sums)
        return vr_fail(VR_ERROR_MEMORY, "projection: out of memory");
    memset(out, 0, k * sizeof *out);
    for (int64_t first = 0; first < from->segments; first += most) {
        const int64_t left = from->segments - first, count = left < most ? left : most;
        sum_round(sums, from, first, count);
        for (int64_t i = 0; i < count; i++)
            for (uint32_t j = 0; j < k; j++)
                out[j] += sums[(size_t)i * k + j];
    }
    free(sums);
    for (uint32_t j = 0; j < k; j++)
        out[j] *= 0.5; /* 1 / sqrt(4 parts) */
    return VR_OK;
}

/* The elements themselves: there are at most as many as the largest projection has numbers. */
static void copy(double *out, const vr_tensor *tensor, int64_t n)
{
    _Alignas(64) char packed[PIECE * sizeof(double)];
    for (int64_t first = 0; first < n; first += PIECE) {
        const int64_t length = n - first < PIECE ? n - first : PIECE;
        vr_tensor_pack(packed, tensor, first, length);
        vr_to_f64(out + first, packed, tensor->dtype, (size_t)length);
    }
}

vr_status vr_project(double *out, const vr_tensor *tensor, uint32_t k, uint64_t key)
{
    static const uint64_t nan = QUIET_NAN;
    vr_status status = vr_tensor_check(tensor);
    if (status != VR_OK)
        return status;
    if (!vr_projection_is_size(k))
        return vr_fail(VR_ERROR_ARGUMENT, "projection: %u is no power of two from %d to %d", k, VR_PROJECTION_LEAST,
                       VR_PROJECTION_MOST);
    source from = {tensor, vr_kernels_best(), .count = vr_tensor_count(tensor), .k = k, .key = key};
    from.segments = from.count / SEGMENT + (from.count % SEGMENT != 0);
    from.size = vr_dtype_size(tensor->dtype);
    from.contiguous = vr_tensor_is_contiguous(tensor);
    const int64_t numbers = vr_projection_count(from.count, k);
    const vr_float_env outer = vr_float_enter();
    if (from.count > k)
        status = sum_all(out, &from);
    else
        copy(out, tensor, from.count);
    for (int64_t i = 0; status == VR_OK && i < numbers; i++)
        if (isnan(out[i]))
            memcpy(&out[i], &nan, sizeof nan);
    vr_float_leave(outer);
    return status;
}

vr_distance vr_projection_distance(const double *a, const double *b, int64_t count, int64_t n)
{
    vr_distance out = {0, 0};
    for (int64_t i = 0; i < count; i++)
        out.squared += (a[i] - b[i]) * (a[i] - b[i]);
    if (count < n)
        out.error = out.squared * sqrt(2 / (double)count * (1 + 12 / (double)count));
    return out;
}

vr_cosine vr_distance_cosine(vr_distance distance, double a, double b)
{
    return (vr_cosine){(a * a + b * b - distance.squared) / (2 * a * b), distance.error / (2 * a * b)};
}

/* |x/a - y/b|^2 = 2 - 2 cos, and with 2 - 2 cos = (|x - y|^2 - (a - b)^2) / (a b) nothing cancels where both are close.
 */
vr_distance vr_distance_normalized(vr_distance distance, double a, double b)
{
    return (vr_distance){(distance.squared - (a - b) * (a - b)) / (a * b), distance.error / (a * b)};
}
