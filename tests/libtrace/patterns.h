/* patterns.h - pairs of tensors that differ in one way or another, and tolerances: what comparisons are tested with. */
#ifndef VR_TEST_PATTERNS_H
#define VR_TEST_PATTERNS_H

#include <float.h>
#include <math.h>
#include <string.h>
#include <varanalyze/compare.h>
#include <varanalyze/random.h>

/* How the second tensor differs from the first. */
enum pattern { EQUAL, RARE, NEAR, CODES, SPECIAL, PATTERNS };

static inline void put(void *elements, size_t i, size_t size, uint64_t code)
{
    memcpy((char *)elements + i * size, &code, size);
}

/* Codes of zeros, subnormals, ones, the largest values, infinities and NaNs, of either sign, are among these of any
 * type. */
static inline uint64_t special_code(vr_random *random, vr_dtype dtype)
{
    static const double values[] = {0, 1, 0x1p-1074, 0x1p-149, 0x1p-24, 0x1p-9, INFINITY, NAN, 448, 65504, FLT_MAX};
    const uint64_t sign = UINT64_C(1) << (8 * vr_dtype_size(dtype) - 1);
    uint64_t code = 0;
    vr_from_f64(&code, dtype, &values[vr_random_below(random, sizeof values / sizeof *values)], 1);
    return code ^ (vr_random_below(random, 2) ? sign : 0) ^ (vr_random_below(random, 8) == 0);
}

static inline void fill(void *a, void *b, vr_dtype dtype, size_t n, enum pattern pattern)
{
    const size_t size = vr_dtype_size(dtype);
    vr_random random = vr_random_stream(vr_derive_seed(1, vr_dtype_name(dtype)), n * PATTERNS + pattern);
    for (size_t i = 0; i < n; i++) {
        const double value = 200 * vr_random_uniform(&random) - 100;
        uint64_t x = 0;
        vr_from_f64(&x, dtype, &value, 1);
        if (pattern == CODES)
            x = vr_random_u64(&random);
        if (pattern == SPECIAL)
            x = special_code(&random, dtype);
        uint64_t y = x;
        if (pattern == NEAR || (pattern == RARE && vr_random_below(&random, 97) == 0))
            y ^= vr_random_below(&random, 8);
        if (pattern == CODES && vr_random_below(&random, 4) != 0)
            y = vr_random_u64(&random);
        if (pattern == SPECIAL && vr_random_below(&random, 4) != 0)
            y = special_code(&random, dtype);
        put(a, i, size, x);
        put(b, i, size, y);
    }
}

static const vr_tolerance tolerances[] = {
    VR_TOLERANCE_INIT,     {0.5, -1, -1, false}, {-1, 0.01, -1, false}, {-1, -1, 2, false}, {-1, -1, -1, true},
    {1e-3, 1e-3, 1, true}, {0, 0, 0, false},     {-1, 0, -1, false},    {-1, 2, -1, false}, {-1, -1, INT64_MAX, false},
};
#define TOLERANCES (sizeof tolerances / sizeof *tolerances)

#endif
