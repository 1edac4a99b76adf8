/* random.h - counter-based random numbers: a stream is (seed, purpose, index), so no draw depends on the order of
 * threads.
 *
 * Philox4x32-10 (Salmon, Moraes, Dror and Shaw, SC 2011; Random123). The key is the 64-bit derived seed of (seed,
 * purpose), the counter is (block number, index). Block b of a stream gives words 4b to 4b + 3.
 */
#ifndef VARANALYZE_RANDOM_H
#define VARANALYZE_RANDOM_H

#include <stddef.h>
#include <stdint.h>
#include <varanalyze/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A stream and the position in it. Copy it to keep a position; any thread may have its own. */
typedef struct vr_random {
    uint64_t key, index, block;
    uint32_t words[4];
    int left; /* words of this block not yet drawn */
} vr_random;

/* The seed for a purpose: XXH3-64 of the purpose's bytes with `seed`. */
VR_API uint64_t vr_derive_seed(uint64_t seed, const char *purpose);

/* Stream `index` of the derived seed `key`. */
VR_API vr_random vr_random_stream(uint64_t key, uint64_t index);

VR_API uint32_t vr_random_u32(vr_random *random);
VR_API uint64_t vr_random_u64(vr_random *random); /* the first word drawn is the low half */

/* Uniform in [0, 1), a multiple of 2^-53. */
VR_API double vr_random_uniform(vr_random *random);

/* Uniform in 0..n-1 without bias (Lemire, ACM TOMACS 2019); n > 0. */
VR_API uint64_t vr_random_below(vr_random *random, uint64_t n);

/* A uniform permutation of 0..n-1 (Fisher-Yates from the end: j = below(i + 1) for i = n-1 .. 1). */
VR_API void vr_random_permutation(vr_random *random, uint32_t *out, size_t n);

#ifdef __cplusplus
}
#endif
#endif
