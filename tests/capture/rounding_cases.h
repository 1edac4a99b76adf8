/* rounding_cases.h - what the tests of rounding share: any operation by its number, operands, random bits. */
#ifndef ROUNDING_CASES_H
#define ROUNDING_CASES_H

#include <float.h>
#include <isa.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <varanalyze/rounding.h>

/* Exit code of a test that was compiled for more than the machine has. */
#define SKIPPED 77

static inline bool can_run(void)
{
#if defined(__AVX512F__)
    return vr_isa_is_available("avx512");
#elif defined(__AVX2__)
    return vr_isa_is_available("avx2");
#else
    return true;
#endif
}

static uint64_t case_seed = 88172645463325252;

static inline uint64_t next_random(void)
{
    case_seed ^= case_seed << 13;
    case_seed ^= case_seed >> 7;
    case_seed ^= case_seed << 17;
    return case_seed * 0x2545f4914f6cdd1d;
}

/* Either type, by values of f64; the word's upper half for f32. */
static inline double core(bool is_f32, vr_rounding_mode mode, vr_operation op, int t, double a, double b, double c,
                          uint64_t word)
{
    if (is_f32)
        return vr_core_f32(mode, op, t, (float)a, (float)b, (float)c, (uint32_t)(word >> 32));
    return vr_core_f64(mode, op, t, a, b, c, word);
}

/* Numbers at and beside all borders of a type. */
#define SPECIALS 28

static inline double special(bool is_f32, int i)
{
    const double least = is_f32 ? 0x1p-149 : 0x1p-1074, normal = is_f32 ? 0x1p-126 : 0x1p-1022;
    const double ulp = is_f32 ? 0x1p-23 : 0x1p-52, most = is_f32 ? FLT_MAX : DBL_MAX;
    const double values[SPECIALS / 2] = {
        0,           least, 3 * least, normal - least, normal,           normal * (1 + ulp),         1, 1 + ulp,
        1 - ulp / 2, 3,     most,      most / 2 + ulp, most * (1 - ulp), is_f32 ? 0x1p-75 : 0x1p-537};
    const double x = i % 2 ? -values[i / 2] : values[i / 2];
    return is_f32 ? (double)(float)x : x;
}

/* A random number: any bits, small integers, powers of two, subnormals, beside 1, the largest, or of moderate size. */
static inline double any_number(bool is_f32)
{
    const int spread = is_f32 ? 300 : 2150;
    const double sign = next_random() % 2 ? -1 : 1;
    double x;
    switch (next_random() % 8) {
    case 0: {
        const uint64_t bits = next_random();
        memcpy(&x, &bits, sizeof x);
        if (is_f32) {
            float narrow;
            memcpy(&narrow, &bits, sizeof narrow);
            x = narrow;
        }
        break;
    }
    case 1:
        x = ldexp((double)(next_random() % 33), (int)(next_random() % 12) - 6);
        break;
    case 2:
        x = ldexp(1, (int)(next_random() % (unsigned)spread) - spread / 2 - (is_f32 ? 10 : 5));
        break;
    case 3:
        x = ldexp((double)(next_random() % 4096), is_f32 ? -149 : -1074);
        break;
    case 4:
        x = ldexp(1 + ldexp((double)(next_random() % 5) - 2, is_f32 ? -23 : -52), (int)(next_random() % 40) - 20);
        break;
    case 5:
        x = special(is_f32, (int)(next_random() % SPECIALS));
        break;
    default:
        x = ldexp((double)(next_random() >> 11), (int)(next_random() % 60) - 80);
    }
    x = isfinite(x) ? sign * x : 1.5;
    return is_f32 ? (double)(float)x : x;
}

#endif
