#include "study_distance.h"

#include "study_churn.h"
#include "study_kernels.h"

#include <formats/fail.h>
#include <isa.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Stretches of VA_DISTANCE_READ elements are summed by themselves, ROUND of them at a time, and their sums added in
 * order, so that it does not matter which thread had which. */
#define ROUND 64

static vr_status out_of_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory for the distances of weights");
}

vr_status va_distances_new(va_distances **out, int replicas)
{
    if (replicas < 1 || replicas > VA_MOST_REPLICAS)
        return vr_fail(VR_ERROR_ARGUMENT, "%d replicas: 1 to %d", replicas, VA_MOST_REPLICAS);
    const size_t n = (size_t)replicas;
    va_distances *d = calloc(1, sizeof *d);
    if (!d)
        return out_of_memory();
    d->replicas = replicas;
    d->pair_count = n * (n - 1) / 2;
    d->squared = calloc(d->pair_count + 1, sizeof *d->squared);
    d->norm2 = calloc(n, sizeof *d->norm2);
    if (!d->squared || !d->norm2) {
        va_distances_free(d);
        return out_of_memory();
    }
    *out = d;
    return VR_OK;
}

void va_distances_free(va_distances *distances)
{
    if (!distances)
        return;
    free(distances->squared);
    free(distances->norm2);
    free(distances);
}

/* ---- adding a tensor ---- */

/* What a thread needs. */
typedef struct buffers {
    double *rows; /* [replicas, up to a multiple of VA_DISTANCE_TILE][VA_DISTANCE_BLOCK] */
    char *raw;    /* [replicas][VA_DISTANCE_READ] elements, where they are read */
} buffers;

/* Sums of one stretch: pairs, then norms. */
typedef struct job {
    const va_weights *weights;
    const va_study_kernels *kernels;
    size_t replicas, pairs;
    double *sums; /* [ROUND][pairs + replicas] */
    uint64_t stretches;
} job;

static vr_status read_rows(buffers *own, const job *work, uint64_t first, size_t n)
{
    const va_weights *weights = work->weights;
    const size_t size = vr_dtype_size(weights->dtype);
    vr_status status = VR_OK;
    for (size_t r = 0; !weights->rows && status == VR_OK && r < work->replicas; r++)
        status = weights->read(weights->context, (int)r, first, n, own->raw + r * VA_DISTANCE_READ * size);
    return status;
}

static void widen_rows(buffers *own, const job *work, uint64_t first, size_t at, size_t n)
{
    const va_weights *weights = work->weights;
    const size_t size = vr_dtype_size(weights->dtype);
    for (size_t r = 0; r < work->replicas; r++) {
        const char *from = weights->rows ? (const char *)weights->rows[r] + (first + at) * size
                                         : own->raw + (r * VA_DISTANCE_READ + at) * size;
        double *row = own->rows + r * VA_DISTANCE_BLOCK;
        work->kernels->widen(row, from, weights->dtype, n);
        memset(row + n, 0, (VA_DISTANCE_BLOCK - n) * sizeof *row);
    }
}

static vr_status add_stretch(buffers *own, const job *work, uint64_t stretch, double *sums)
{
    const uint64_t first = stretch * VA_DISTANCE_READ, left = work->weights->count - first;
    const size_t n = left < VA_DISTANCE_READ ? (size_t)left : VA_DISTANCE_READ;
    memset(sums, 0, (work->pairs + work->replicas) * sizeof *sums);
    const vr_status status = read_rows(own, work, first, n);
    for (size_t at = 0; status == VR_OK && at < n; at += VA_DISTANCE_BLOCK) {
        widen_rows(own, work, first, at, n - at < VA_DISTANCE_BLOCK ? n - at : VA_DISTANCE_BLOCK);
        work->kernels->distances(sums, sums + work->pairs, own->rows, (int)work->replicas);
    }
    return status;
}

static vr_status make_buffers(buffers *out, const job *work)
{
    const size_t rows = (work->replicas + VA_DISTANCE_TILE - 1) / VA_DISTANCE_TILE * VA_DISTANCE_TILE;
    const size_t size = vr_dtype_size(work->weights->dtype);
    out->rows = calloc(rows * VA_DISTANCE_BLOCK, sizeof *out->rows);
    out->raw = work->weights->rows ? NULL : reallocarray(NULL, work->replicas, VA_DISTANCE_READ * size);
    if (out->rows && (work->weights->rows || out->raw))
        return VR_OK;
    return out_of_memory();
}

static void free_buffers(buffers *own)
{
    free(own->rows);
    free(own->raw);
}

/* Where a failure of any thread ends up: messages belong to the thread that failed. */
typedef struct first_failure {
    vr_status status;
    char message[1024];
} first_failure;

static void note_failure(first_failure *failure, vr_status status)
{
#pragma omp critical(va_distance_failure)
    if (failure->status == VR_OK) {
        failure->status = status;
        snprintf(failure->message, sizeof failure->message, "%s", vr_error());
    }
}

/* The sums of up to ROUND stretches from `first` on. */
static void add_round(first_failure *failure, const job *work, uint64_t first, uint64_t count)
{
    const size_t figures = work->pairs + work->replicas;
#pragma omp parallel if (count > 1 && vr_worth_threads(UINT64_MAX))
    {
        const vr_float_env outer = vr_float_enter();
        buffers own;
        vr_status status = make_buffers(&own, work);
#pragma omp for schedule(dynamic)
        for (uint64_t i = 0; i < count; i++)
            if (status == VR_OK)
                status = add_stretch(&own, work, first + i, work->sums + i * figures);
        if (status != VR_OK)
            note_failure(failure, status);
        free_buffers(&own);
        vr_float_leave(outer);
    }
}

static vr_status add_rounds(va_distances *d, const job *work)
{
    first_failure failure = {.status = VR_OK};
    const size_t figures = work->pairs + work->replicas;
    for (uint64_t first = 0; failure.status == VR_OK && first < work->stretches; first += ROUND) {
        const uint64_t count = work->stretches - first < ROUND ? work->stretches - first : ROUND;
        add_round(&failure, work, first, count);
        for (uint64_t i = 1; i < count; i++)
            for (size_t k = 0; k < figures; k++)
                work->sums[k] += work->sums[i * figures + k];
        for (size_t k = 0; k < figures; k++)
            *(k < work->pairs ? &d->squared[k] : &d->norm2[k - work->pairs]) += work->sums[k];
    }
    return failure.status == VR_OK ? VR_OK : vr_fail(failure.status, "%s", failure.message);
}

vr_status va_distances_add(va_distances *d, const va_weights *weights)
{
    if (weights->dtype != VR_F32 && weights->dtype != VR_F64)
        return vr_fail(VR_ERROR_ARGUMENT, "distances of weights are of f32 or f64, not %s",
                       vr_dtype_name(weights->dtype));
    job work = {.weights = weights,
                .kernels = va_study_kernels_best(),
                .replicas = (size_t)d->replicas,
                .pairs = d->pair_count,
                .stretches = weights->count / VA_DISTANCE_READ + (weights->count % VA_DISTANCE_READ != 0)};
    work.sums = calloc(ROUND * (work.pairs + work.replicas), sizeof *work.sums);
    if (!work.sums)
        return out_of_memory();
    const vr_status status = add_rounds(d, &work);
    d->elements += weights->count;
    free(work.sums);
    return status;
}

void va_distances_merge(va_distances *d, const va_distances *other)
{
    d->elements += other->elements;
    for (size_t k = 0; k < d->pair_count; k++)
        d->squared[k] += other->squared[k];
    for (int r = 0; r < d->replicas; r++)
        d->norm2[r] += other->norm2[r];
}

/* ---- distances and cosines ---- */

static double squared(const va_distances *d, int a, int b)
{
    if (!isfinite(d->norm2[a]) || !isfinite(d->norm2[b]))
        return NAN;
    if (a == b)
        return 0;
    const size_t n = (size_t)d->replicas, x = (size_t)a, y = (size_t)b;
    return d->squared[a < b ? va_pair(x, y, n) : va_pair(y, x, n)];
}

/* |a/|a| - b/|b||^2, at most 4. */
static double squared_normalized(const va_distances *d, int a, int b)
{
    const double apart = squared(d, a, b), x = sqrt(d->norm2[a]), y = sqrt(d->norm2[b]);
    if (isnan(apart) || x == 0 || y == 0)
        return NAN;
    const double across = apart - (x - y) * (x - y);
    return fmin(fmax(across, 0) / x / y, 4);
}

double va_distance(const va_distances *d, int a, int b)
{
    return sqrt(squared(d, a, b));
}

double va_distance_normalized(const va_distances *d, int a, int b)
{
    return sqrt(squared_normalized(d, a, b));
}

double va_cosine(const va_distances *d, int a, int b)
{
    return 1 - squared_normalized(d, a, b) / 2;
}

static double of_kind(const va_distances *d, int a, int b, va_distance_kind kind)
{
    return kind == VA_DISTANCE_L2           ? va_distance(d, a, b)
           : kind == VA_DISTANCE_NORMALIZED ? va_distance_normalized(d, a, b)
                                            : va_cosine(d, a, b);
}

void va_distances_with_others(double *out, const va_distances *d, va_distance_kind kind)
{
    for (int a = 0; a < d->replicas; a++) {
        double sum = 0;
        for (int b = 0; b < d->replicas; b++)
            sum += a == b ? 0 : of_kind(d, a, b, kind);
        out[a] = d->replicas > 1 ? sum / (d->replicas - 1) : NAN;
    }
}

static va_spread spread_of_kind(const va_distances *d, double *values, va_distance_kind kind)
{
    size_t k = 0;
    for (int a = 0; a < d->replicas; a++)
        for (int b = a + 1; b < d->replicas; b++)
            values[k++] = of_kind(d, a, b, kind);
    return va_spread_of(values, k);
}

vr_status va_distances_summary(va_distance_summary *out, const va_distances *d)
{
    double *values = calloc(d->pair_count + 1, sizeof *values);
    if (!values)
        return out_of_memory();
    *out = (va_distance_summary){spread_of_kind(d, values, VA_DISTANCE_L2),
                                 spread_of_kind(d, values, VA_DISTANCE_NORMALIZED),
                                 spread_of_kind(d, values, VA_DISTANCE_COSINE)};
    free(values);
    return VR_OK;
}
