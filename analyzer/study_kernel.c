/* study_kernel.c - the loops of study_kernels.h, compiled once for each instruction set (VR_ISA). */
#include "study_churn.h"
#include "study_kernels.h"

#include <string.h>

#define NAME_(op, isa) va_##op##_##isa
#define NAME(op, isa)  NAME_(op, isa)
#define INLINE         static inline __attribute__((always_inline))

uint64_t NAME(differ, VR_ISA)(const void *a, const void *b, size_t width, size_t n);
uint64_t NAME(both, VR_ISA)(const uint64_t *a, const uint64_t *b, size_t words);
void NAME(distances, VR_ISA)(double *squared, double *norm2, const double *rows, int replicas);
void NAME(widen, VR_ISA)(double *out, const void *from, vr_dtype dtype, size_t n);

/* ---- churn ---- */

#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#elif defined(__AVX2__)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif

/* A lane counts its differences, -1 each, until it might overflow. */
#define DEFINE_DIFFER(name, type, signed_type, most)                                                                   \
    INLINE uint64_t name(const void *a, const void *b, size_t n)                                                       \
    {                                                                                                                  \
        typedef type vector __attribute__((vector_size(VECTOR_BYTES)));                                                \
        typedef signed_type mask __attribute__((vector_size(VECTOR_BYTES)));                                           \
        enum { LANES = VECTOR_BYTES / sizeof(type) };                                                                  \
        const type *x = a, *y = b;                                                                                     \
        uint64_t sum = 0;                                                                                              \
        size_t i = 0;                                                                                                  \
        while (n - i >= LANES) {                                                                                       \
            const size_t steps = (n - i) / LANES < (most) ? (n - i) / LANES : (most);                                  \
            mask count = {0};                                                                                          \
            for (size_t k = 0; k < steps; k++, i += LANES) {                                                           \
                vector u, v;                                                                                           \
                memcpy(&u, x + i, sizeof u);                                                                           \
                memcpy(&v, y + i, sizeof v);                                                                           \
                count += u != v;                                                                                       \
            }                                                                                                          \
            for (size_t l = 0; l < LANES; l++)                                                                         \
                sum += (uint64_t)(-(int64_t)count[l]);                                                                 \
        }                                                                                                              \
        for (; i < n; i++)                                                                                             \
            sum += x[i] != y[i];                                                                                       \
        return sum;                                                                                                    \
    }

DEFINE_DIFFER(differ8, uint8_t, int8_t, INT8_MAX)
DEFINE_DIFFER(differ16, uint16_t, int16_t, INT16_MAX)
DEFINE_DIFFER(differ32, uint32_t, int32_t, INT32_MAX)

uint64_t NAME(differ, VR_ISA)(const void *a, const void *b, size_t width, size_t n)
{
    return width == 1 ? differ8(a, b, n) : width == 2 ? differ16(a, b, n) : differ32(a, b, n);
}

uint64_t NAME(both, VR_ISA)(const uint64_t *a, const uint64_t *b, size_t words)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < words; i++)
        sum += (uint64_t)__builtin_popcountll(a[i] & b[i]);
    return sum;
}

/* ---- distances ---- */

#define LANES 8
#if defined(__AVX512F__)
#define WIDTH 8
#elif defined(__AVX2__)
#define WIDTH 4
#else
#define WIDTH 2
#endif
#define TALL VA_DISTANCE_TILE /* rows of a tile, and its columns: their sums fit into 16 registers */
#define WIDE 2

typedef double f64w __attribute__((vector_size(WIDTH * sizeof(double))));

INLINE f64w load(const double *at)
{
    f64w x;
    memcpy(&x, at, sizeof x);
    return x;
}

INLINE double add_lanes(double lanes[LANES])
{
    for (size_t half = LANES / 2; half > 0; half /= 2)
        for (size_t l = 0; l < half; l++)
            lanes[l] += lanes[l + half];
    return lanes[0];
}

/* |a_p - b_q|^2 of TALL rows and WIDE others. Lanes are taken WIDTH at a time: the sums stay in registers, and each
 * lane's is in the same order whatever WIDTH is. */
INLINE void tile(double out[TALL][WIDE], const double *a, const double *b)
{
    double lanes[TALL][WIDE][LANES];
    for (size_t part = 0; part < LANES; part += WIDTH) {
        f64w sum[TALL][WIDE] = {0};
        for (size_t i = part; i < VA_DISTANCE_BLOCK; i += LANES)
            for (size_t p = 0; p < TALL; p++)
                for (size_t q = 0; q < WIDE; q++) {
                    const f64w d = load(a + p * VA_DISTANCE_BLOCK + i) - load(b + q * VA_DISTANCE_BLOCK + i);
                    sum[p][q] += d * d;
                }
        for (size_t p = 0; p < TALL; p++)
            for (size_t q = 0; q < WIDE; q++)
                memcpy(&lanes[p][q][part], &sum[p][q], sizeof sum[p][q]);
    }
    for (size_t p = 0; p < TALL; p++)
        for (size_t q = 0; q < WIDE; q++)
            out[p][q] = add_lanes(lanes[p][q]);
}

INLINE double square(const double *row)
{
    double lanes[LANES] = {0};
    for (size_t i = 0; i < VA_DISTANCE_BLOCK; i += LANES)
        for (size_t l = 0; l < LANES; l++)
            lanes[l] += row[i + l] * row[i + l];
    return add_lanes(lanes);
}

void NAME(distances, VR_ISA)(double *squared, double *norm2, const double *rows, int replicas)
{
    const size_t n = (size_t)replicas;
    for (size_t a = 0; a < n; a += TALL)
        for (size_t b = a; b < n; b += WIDE) {
            double sums[TALL][WIDE];
            tile(sums, rows + a * VA_DISTANCE_BLOCK, rows + b * VA_DISTANCE_BLOCK);
            for (size_t p = a; p < a + TALL; p++)
                for (size_t q = b; q < b + WIDE; q++)
                    if (p < q && q < n)
                        squared[va_pair(p, q, n)] += sums[p - a][q - b];
        }
    for (size_t a = 0; a < n; a++)
        norm2[a] += square(rows + a * VA_DISTANCE_BLOCK);
}

void NAME(widen, VR_ISA)(double *out, const void *from, vr_dtype dtype, size_t n)
{
    const float *narrow = from;
    if (dtype == VR_F64)
        memcpy(out, from, n * sizeof *out);
    else
        for (size_t i = 0; i < n; i++)
            out[i] = (double)narrow[i];
}
