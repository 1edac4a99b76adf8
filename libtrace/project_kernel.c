/* project_kernel.c - sums of elements with random signs (projection.h), compiled once for each instruction set (VR_ISA,
 * see isa.h).
 *
 * A block is made doubles with their signs once, and then added to the four parts, each time in two runs of neighbours
 * that a rotation leaves in order. Plain loops: the compiler vectorizes them; an element is only ever added to what
 * stands in its own place, so the order of a sum's terms is that of the blocks.
 */
#define WIDTH 8 /* of no vector here */
#include "kernel_elements.h"

#include <Random123/philox.h>

#define PARTS_OF_PROJECTION 4
#define MOST_PART           (VR_PROJECTION_MOST / PARTS_OF_PROJECTION)

void KERNEL(project, VR_ISA)(double *sums, const void *elements, vr_dtype dtype, size_t n, uint32_t k, uint64_t key,
                             uint64_t block);

/* The first `count` pairs of 64-bit numbers of a block's stream, as vr_random_u64 draws them. */
INLINE void draw(uint64_t *numbers, uint32_t count, uint64_t key, uint64_t block)
{
    const philox4x32_key_t split = {{(uint32_t)key, (uint32_t)(key >> 32)}};
    for (uint32_t i = 0; i < count; i++) {
        const philox4x32_ctr_t counter = {{i, 0, (uint32_t)block, (uint32_t)(block >> 32)}};
        const philox4x32_ctr_t words = philox4x32(counter, split);
        numbers[2 * i] = words.v[0] | (uint64_t)words.v[1] << 32;
        numbers[2 * i + 1] = words.v[2] | (uint64_t)words.v[3] << 32;
    }
}

/* The elements as doubles. */
INLINE void load(double *out, const void *elements, vr_dtype dtype, uint32_t n)
{
    const float *floats = elements;
    if (dtype == VR_F32)
        for (uint32_t i = 0; i < n; i++)
            out[i] = floats[i];
    else if (dtype == VR_F64)
        memcpy(out, elements, n * sizeof *out);
    else
        vr_to_f64(out, elements, dtype, n);
}

/* Changes the sign of x[i] where bit i is 1; of m elements, in groups of up to 64. */
INLINE void set_signs(double *x, const uint64_t *bits, uint32_t m)
{
    uint64_t word[64];
    for (uint32_t first = 0; first < m; first += 64) {
        const uint32_t n = m < 64 ? m : 64;
        const uint64_t signs = bits[first / 64];
        memcpy(word, x + first, n * sizeof *word);
        for (uint32_t i = 0; i < n; i++)
            word[i] ^= (signs << (63 - i)) & 0x8000000000000000;
        memcpy(x + first, word, n * sizeof *word);
    }
}

INLINE void add(double *restrict to, const double *restrict x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        to[i] += x[i];
}

/* Adds n elements, the first of block `block`, to the k sums of a projection. */
void KERNEL(project, VR_ISA)(double *sums, const void *elements, vr_dtype dtype, size_t n, uint32_t k, uint64_t key,
                             uint64_t block)
{
    const uint32_t m = k / PARTS_OF_PROJECTION, pairs = (1 + (m + 63) / 64 + 1) / 2;
    uint64_t numbers[MOST_PART / 64 + 2];
    double x[MOST_PART];
    for (size_t first = 0; first < n; first += m, block++) {
        const uint32_t length = n - first < m ? (uint32_t)(n - first) : m;
        draw(numbers, pairs, key, block);
        load(x, (const char *)elements + first * size_of(dtype), dtype, length);
        if (length < m)
            memset(x + length, 0, (m - length) * sizeof *x);
        set_signs(x, numbers + 1, m);
        for (int part = 0; part < PARTS_OF_PROJECTION; part++) {
            const uint32_t by = (uint32_t)(numbers[0] >> 16 * part) & (m - 1);
            double *const to = sums + (size_t)part * m;
            add(to + by, x, m - by);
            add(to, x + (m - by), by);
        }
    }
}
