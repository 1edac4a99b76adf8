#define XXH_STATIC_LINKING_ONLY /* XXH3_state_t on the stack */
#include <xxhash.h>

#include <varanalyze/digest.h>

#include "fail.h"
#include "isa.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "chunks are hashed as they lie in memory");

/* Chunks that a thread takes at a time, a power of two (few, so that each thread gets those it has just computed);
 * groups whose results are kept until they are added in order. */
#define GROUP 2
#define ROUND 4096

/* A tensor to be measured: whether with statistics, and where its elements are. */
typedef struct source {
    const vr_tensor *tensor;
    const vr_kernels *kernels;
    int64_t chunks, groups;
    size_t size, bytes; /* of an element, of all */
    bool contiguous, stats;
} source;

/* Statistics (all but l2) of parts in their tree: the nodes that are complete, the largest first. */
typedef struct tree {
    vr_stats nodes[64];
    int depth;
    int64_t parts;
} tree;

typedef struct group {
    int chunks;
    vr_digest digests[GROUP];
    vr_stats stats;
} group;

/* The groups so far. */
typedef struct summary {
    XXH3_state_t state;
    vr_digest *digests; /* where the next go, or NULL */
    tree stats;
} summary;

static double least(double a, double b)
{
    return a < b || (a == b && signbit(a)) ? a : b;
}

/* vr_stats_merge but for l2. */
static vr_stats merge(const vr_stats *a, const vr_stats *b)
{
    vr_stats out = {
        .count = a->count + b->count,
        .nan = a->nan + b->nan,
        .pos_inf = a->pos_inf + b->pos_inf,
        .neg_inf = a->neg_inf + b->neg_inf,
        .zero = a->zero + b->zero,
        .subnormal = a->subnormal + b->subnormal,
    };
    const double n_a = (double)(a->count - a->nan - a->pos_inf - a->neg_inf);
    const double n_b = (double)(b->count - b->nan - b->pos_inf - b->neg_inf);
    const vr_stats *only = n_b == 0 ? a : n_a == 0 ? b : NULL;
    if (only) {
        out.min = only->min;
        out.max = only->max;
        out.absmax = only->absmax;
        out.mean = only->mean;
        out.m2 = only->m2;
        return out;
    }
    const double d = b->mean - a->mean, share = n_b / (n_a + n_b);
    out.min = least(a->min, b->min);
    out.max = -least(-a->max, -b->max);
    out.absmax = fmax(a->absmax, b->absmax);
    out.mean = a->mean + d * share;
    out.m2 = a->m2 + b->m2 + d * d * (n_a * share);
    return out;
}

static void set_l2(vr_stats *stats)
{
    const double n = (double)(stats->count - stats->nan - stats->pos_inf - stats->neg_inf);
    stats->l2 = sqrt(stats->m2 + n * (stats->mean * stats->mean));
}

vr_stats vr_stats_merge(const vr_stats *a, const vr_stats *b)
{
    vr_stats out = merge(a, b);
    set_l2(&out);
    return out;
}

static void tree_add(tree *to, const vr_stats *part)
{
    vr_stats node = *part;
    for (int64_t k = to->parts++; k & 1; k >>= 1)
        node = merge(&to->nodes[--to->depth], &node);
    to->nodes[to->depth++] = node;
}

static vr_stats tree_end(tree *of)
{
    vr_stats root = of->nodes[--of->depth];
    while (of->depth > 0)
        root = merge(&of->nodes[--of->depth], &root);
    return root;
}

static vr_digest measure_bytes(vr_stats *stats, const source *from, const void *bytes, size_t size)
{
    if (from->stats)
        from->kernels->stats(stats, bytes, from->tensor->dtype, size / from->size);
    return from->kernels->digest(bytes, size);
}

/* Not inlined, so that only strided tensors need this much of the stack. */
static __attribute__((noinline)) vr_digest measure_packed(vr_stats *stats, const source *from, size_t at, size_t size)
{
    _Alignas(64) char packed[VR_CHUNK_BYTES];
    vr_tensor_pack(packed, from->tensor, (int64_t)(at / from->size), (int64_t)(size / from->size));
    return measure_bytes(stats, from, packed, size);
}

static vr_digest measure_chunk(vr_stats *stats, const source *from, int64_t number)
{
    const size_t at = (size_t)number * VR_CHUNK_BYTES, left = from->bytes - at;
    const size_t size = left < VR_CHUNK_BYTES ? left : VR_CHUNK_BYTES;
    if (size == 0)
        return measure_bytes(stats, from, "", 0); /* without data */
    if (from->contiguous)
        return measure_bytes(stats, from, (const char *)from->tensor->data + at, size);
    return measure_packed(stats, from, at, size);
}

static void measure_group(group *out, const source *from, int64_t number)
{
    const int64_t first = number * GROUP, left = from->chunks - first;
    tree stats = {.depth = 0};
    out->chunks = left < GROUP ? (int)left : GROUP;
    for (int i = 0; i < out->chunks; i++) {
        vr_stats chunk;
        out->digests[i] = measure_chunk(&chunk, from, first + i);
        if (from->stats)
            tree_add(&stats, &chunk);
    }
    if (from->stats)
        out->stats = tree_end(&stats);
}

static void add_group(summary *to, const source *from, const group *part)
{
    XXH128_canonical_t canonical[GROUP];
    for (int i = 0; i < part->chunks; i++) {
        const vr_digest digest = part->digests[i];
        XXH128_canonicalFromHash(&canonical[i], (XXH128_hash_t){.high64 = digest.hi, .low64 = digest.lo});
        if (to->digests)
            *to->digests++ = digest;
    }
    XXH3_128bits_update(&to->state, canonical, (size_t)part->chunks * sizeof *canonical);
    if (from->stats)
        tree_add(&to->stats, &part->stats);
}

static void measure_serially(summary *to, const source *from)
{
    group part;
    for (int64_t i = 0; i < from->groups; i++) {
        measure_group(&part, from, i);
        add_group(to, from, &part);
    }
}

static void measure_round(group *out, const source *from, int64_t first, int64_t count)
{
#pragma omp parallel
    {
        const vr_float_env outer = vr_float_enter();
#pragma omp for schedule(static)
        for (int64_t i = 0; i < count; i++)
            measure_group(&out[i], from, first + i);
        vr_float_leave(outer);
    }
}

static vr_status measure_by_threads(summary *to, const source *from)
{
    group *round = malloc((size_t)(from->groups < ROUND ? from->groups : ROUND) * sizeof *round);
    if (!round)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    for (int64_t first = 0; first < from->groups; first += ROUND) {
        const int64_t left = from->groups - first, count = left < ROUND ? left : ROUND;
        measure_round(round, from, first, count);
        for (int64_t i = 0; i < count; i++)
            add_group(to, from, &round[i]);
    }
    free(round);
    return VR_OK;
}

static vr_status measure_many(vr_digest *digest, vr_stats *stats, vr_digest *digests, const source *from)
{
    vr_status status = VR_OK;
    summary total;
    total.digests = digests;
    total.stats.depth = 0;
    total.stats.parts = 0;
    XXH3_128bits_reset(&total.state);
    if (vr_worth_threads(from->bytes))
        status = measure_by_threads(&total, from);
    else
        measure_serially(&total, from);
    if (status != VR_OK)
        return status;
    const XXH128_hash_t hash = XXH3_128bits_digest(&total.state);
    *digest = (vr_digest){hash.high64, hash.low64};
    if (from->stats)
        *stats = tree_end(&total.stats);
    return VR_OK;
}

static source source_of(const vr_tensor *tensor, bool stats)
{
    source from = {tensor, .kernels = vr_kernels_best(), .chunks = vr_chunk_count(tensor), .stats = stats};
    from.groups = (from.chunks + GROUP - 1) / GROUP;
    from.size = vr_dtype_size(tensor->dtype);
    from.bytes = from.size * (size_t)vr_tensor_count(tensor);
    from.contiguous = vr_tensor_is_contiguous(tensor);
    return from;
}

int64_t vr_chunk_count(const vr_tensor *tensor)
{
    const uint64_t bytes = vr_dtype_size(tensor->dtype) * (uint64_t)vr_tensor_count(tensor);
    return bytes == 0 ? 1 : (int64_t)((bytes + VR_CHUNK_BYTES - 1) / VR_CHUNK_BYTES);
}

vr_status vr_measure(vr_digest *digest, vr_stats *stats, vr_digest *chunks, const vr_tensor *tensor)
{
    vr_status status = vr_tensor_check(tensor);
    if (status != VR_OK)
        return status;

    const source from = source_of(tensor, stats);
    const vr_float_env outer = vr_float_enter();
    if (from.chunks > 1)
        status = measure_many(digest, stats, chunks, &from);
    else
        *digest = measure_chunk(stats, &from, 0);
    if (stats && status == VR_OK)
        set_l2(stats);
    vr_float_leave(outer);
    if (chunks && from.chunks == 1)
        *chunks = *digest;
    return status;
}

vr_status vr_digest_tensor(vr_digest *out, const vr_tensor *tensor)
{
    return vr_measure(out, NULL, NULL, tensor);
}

/* The digest of `size` bytes of elements from byte `at` on, whatever the strides. */
static vr_digest digest_packed(const source *from, size_t at, size_t size)
{
    _Alignas(64) char packed[VR_CHUNK_BYTES];
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    for (size_t done = 0, n; done < size; done += n) {
        n = size - done < VR_CHUNK_BYTES ? size - done : VR_CHUNK_BYTES;
        vr_tensor_pack(packed, from->tensor, (int64_t)((at + done) / from->size), (int64_t)(n / from->size));
        XXH3_128bits_update(&state, packed, n);
    }
    const XXH128_hash_t hash = XXH3_128bits_digest(&state);
    return (vr_digest){hash.high64, hash.low64};
}

static vr_digest digest_row(const source *from, size_t at, size_t size)
{
    if (from->contiguous)
        return from->kernels->digest((const char *)from->tensor->data + at, size);
    return digest_packed(from, at, size);
}

vr_status vr_digest_rows(vr_digest *out, const vr_tensor *tensor)
{
    const vr_status status = vr_tensor_check(tensor);
    if (status != VR_OK)
        return status;

    const source from = source_of(tensor, false);
    const int64_t rows = tensor->rank > 0 ? tensor->shape[0] : 1;
    const size_t row_bytes = rows > 0 ? from.bytes / (size_t)rows : 0;
    if (row_bytes == 0) {
        const vr_digest row = from.kernels->digest("", 0);
        const unsigned __int128 sum = ((unsigned __int128)row.hi << 64 | row.lo) * (uint64_t)rows;
        *out = (vr_digest){(uint64_t)(sum >> 64), (uint64_t)sum};
        return VR_OK;
    }
    *out = (vr_digest){0, 0};
    if (!vr_worth_threads(from.bytes)) {
        for (int64_t row = 0; row < rows; row++)
            *out = vr_digest_add(*out, digest_row(&from, (size_t)row * row_bytes, row_bytes));
        return VR_OK;
    }
#pragma omp parallel
    {
        vr_digest sum = {0, 0};
#pragma omp for
        for (int64_t row = 0; row < rows; row++)
            sum = vr_digest_add(sum, digest_row(&from, (size_t)row * row_bytes, row_bytes));
#pragma omp critical(vr_rows)
        *out = vr_digest_add(*out, sum);
    }
    return VR_OK;
}

void vr_digest_hex(char out[33], vr_digest digest)
{
    snprintf(out, 33, "%016llx%016llx", (unsigned long long)digest.hi, (unsigned long long)digest.lo);
}
