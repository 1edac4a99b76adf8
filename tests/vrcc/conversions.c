/* Conversions and comparisons on arrays, compiled by vrcc --vr-instrument=arithmetic,conversion,comparison. */
#include "operations.h"

#include <stdint.h>
#include <varanalyze/dtype.h>

#define CONVERT(name, source, target)                                                                                  \
    static void name(const void *a, const void *b, const void *c, void *out, size_t n)                                 \
    {                                                                                                                  \
        (void)b, (void)c;                                                                                              \
        for (size_t i = 0; i < n; i++)                                                                                 \
            ((target *)out)[i] = (target)((const source *)a)[i];                                                       \
    }

/* Written so that no compiler makes less than two comparisons of it. */
#define COMPARE(name, type)                                                                                            \
    static void name(const void *a, const void *b, const void *c, void *out, size_t n)                                 \
    {                                                                                                                  \
        (void)c;                                                                                                       \
        for (size_t i = 0; i < n; i++) {                                                                               \
            const type x = ((const type *)a)[i], y = ((const type *)b)[i];                                             \
            ((int *)out)[i] = x < y ? -1 : x > y ? 1 : 0;                                                              \
        }                                                                                                              \
    }

typedef __fp16 half;

CONVERT(f64_f32, double, float)
CONVERT(f32_f16, float, half)
CONVERT(i64_f64, int64_t, double)
CONVERT(i64_f32, int64_t, float)
CONVERT(u64_f64, uint64_t, double)
CONVERT(u64_f32, uint64_t, float)
CONVERT(i32_f32, int32_t, float)
COMPARE(compare_f32, float)
COMPARE(compare_f64, double)

const conversion_entry conversion_entries[] = {
    {"f64_f32", VR_F64, VR_F32, false, f64_f32},        {"f32_f16", VR_F32, VR_F16, false, f32_f16},
    {"i64_f64", VR_I64, VR_F64, false, i64_f64},        {"i64_f32", VR_I64, VR_F32, false, i64_f32},
    {"u64_f64", VR_U64, VR_F64, false, u64_f64},        {"u64_f32", VR_U64, VR_F32, false, u64_f32},
    {"i32_f32", VR_I32, VR_F32, false, i32_f32},        {"compare_f32", VR_F32, VR_F32, true, compare_f32},
    {"compare_f64", VR_F64, VR_F64, true, compare_f64},
};
const bool conversion_has_nan = !__FINITE_MATH_ONLY__;
const size_t conversion_entry_count = sizeof conversion_entries / sizeof *conversion_entries;
