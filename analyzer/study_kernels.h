/* study_kernels.h - the inner loops of churn and weight distances, compiled once for each instruction set.
 *
 * Which one is used libtrace decides (isa.h): every instruction set gives the same bits.
 */
#ifndef VA_STUDY_KERNELS_H
#define VA_STUDY_KERNELS_H

#include <stddef.h>
#include <stdint.h>
#include <varanalyze/dtype.h>

#define VA_DISTANCE_BLOCK 512 /* elements: a tile of rows stays in the first-level cache */
#define VA_DISTANCE_TILE  4   /* rows are a multiple of it */

typedef struct va_study_kernels {
    const char *name;
    /* How many of n codes of 1, 2 or 4 bytes differ. */
    uint64_t (*differ)(const void *a, const void *b, size_t width, size_t n);
    /* Bits that are set in both. */
    uint64_t (*both)(const uint64_t *a, const uint64_t *b, size_t words);
    /* Adds |row_a - row_b|^2 of `replicas` rows of VA_DISTANCE_BLOCK doubles each to squared[va_pair], and |row|^2 to
     * norm2. There are rows up to a multiple of VA_DISTANCE_TILE; those past `replicas` are read and do not count. Sums
     * are of 8 lanes, element i in lane i % 8, added as a tree. */
    void (*distances)(double *squared, double *norm2, const double *rows, int replicas);
    /* n elements of VR_F32 or VR_F64 as doubles. */
    void (*widen)(double *out, const void *from, vr_dtype dtype, size_t n);
} va_study_kernels;

/* The best that this machine runs. */
const va_study_kernels *va_study_kernels_best(void);

/* Of a name; NULL: the machine or the build has none. */
const va_study_kernels *va_study_kernels_named(const char *name);

#endif
