/* digest.h - the identity and the statistics of a tensor, in one pass over its bytes.
 *
 * Digest: the elements, in row-major order, are cut into chunks of 64 KiB of bytes; each has an XXH3-128 digest (seed
 * 0). One chunk (an empty tensor is one empty chunk): its digest is the tensor's. More: the tensor's digest is the
 * XXH3-128 of the chunk digests, each in canonical (big-endian) form, in order. Equal digests mean equal bytes, up to a
 * collision chance of about n^2 / 2^129 for n tensors. Element type and shape are not part of the digest; compare them
 * apart.
 *
 * Statistics: see vr_stats. Neither depends on the strides, the number of threads or the instruction set.
 */
#ifndef VARANALYZE_DIGEST_H
#define VARANALYZE_DIGEST_H

#include <varanalyze/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VR_CHUNK_BYTES 65536

typedef struct vr_digest {
    uint64_t hi, lo; /* as XXH128_hash_t's high64, low64 */
} vr_digest;

/* Counts are of all elements; the values are over the finite ones, in double precision, and 0 where there are none.
 * The type's own subnormals are counted. Integers and bool have only finite values (bool: 0 and 1).
 * i64 and u64 are rounded to double first. min and max: -0 < +0.
 *
 * Of a chunk of n finite elements (the chunks of the digest), element i in lane i mod 16, each lane summed in order and
 * the lanes added as a tree (l + (l + 8), then + 4, + 2, + 1): mean = sum(x) / n, m2 = sum((x - mean)^2), the second in
 * a second pass over the chunk. Non-finite elements add 0. Chunks are merged by Chan, Golub and LeVeque (1983): with d
 * = mean_b - mean_a and n = n_a + n_b: mean = mean_a + d * (n_b / n), m2 = m2_a + m2_b + d * d * (n_a * (n_b / n)), in
 * a tree over the chunk numbers: the left child of a node of c chunks has the largest power of two below c. l2 =
 * sqrt(m2 + n * mean^2) of the whole.
 */
typedef struct vr_stats {
    uint64_t count, nan, pos_inf, neg_inf, zero, subnormal;
    double min, max, absmax, mean, m2, l2;
} vr_stats;

/* Number of chunks of a checked view, at least 1. */
VR_API int64_t vr_chunk_count(const vr_tensor *tensor);

/* One pass over `tensor` for whatever is asked: `digest` always, `stats` and `chunks` (vr_chunk_count(tensor) entries,
 * the caller's) unless NULL. Uses up to omp_get_max_threads() threads for large tensors. Fails as vr_tensor_check, or
 * with VR_ERROR_MEMORY. */
VR_API vr_status vr_measure(vr_digest *digest, vr_stats *stats, vr_digest *chunks, const vr_tensor *tensor);

/* The digest alone. */
VR_API vr_status vr_digest_tensor(vr_digest *out, const vr_tensor *tensor);

/* The multiset of rows (slices along the first dimension; a scalar is one row): the sum, modulo 2^128, of the XXH3-128
 * digests of each row's bytes, read as hi * 2^64 + lo. Equal for any order of the same rows, and the sum of two
 * batches' is that of both together. */
VR_API vr_status vr_digest_rows(vr_digest *out, const vr_tensor *tensor);

/* 32 lower-case hexadecimal digits, as xxhsum -H2 prints them, and a final 0. */
VR_API void vr_digest_hex(char out[33], vr_digest digest);

static inline bool vr_digest_equal(vr_digest a, vr_digest b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

/* a + b modulo 2^128. */
static inline vr_digest vr_digest_add(vr_digest a, vr_digest b)
{
    vr_digest sum = {a.hi + b.hi, a.lo + b.lo};
    sum.hi += sum.lo < a.lo;
    return sum;
}

/* The statistics of two disjoint parts together, by the merge above (l2 included). */
VR_API vr_stats vr_stats_merge(const vr_stats *a, const vr_stats *b);

#ifdef __cplusplus
}
#endif
#endif
