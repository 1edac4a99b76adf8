/* kernels_exact.h - sums without any error: a fixed-point number as wide as every double and every product of two. */
#ifndef VR_KERNELS_EXACT_H
#define VR_KERNELS_EXACT_H

#include <stdbool.h>
#include <stdint.h>

#define VR_LONG_LIMBS 138

/* Limb i counts in 2^(32 i - 2176): the least product is 2^-2148, 2^63 of the largest stay below 2^2112. */
typedef struct vr_long {
    int64_t limbs[VR_LONG_LIMBS];
    uint32_t adds; /* since the last carry */
    bool nan, plus, minus;
} vr_long;

/* Adds a b, exactly; a b is NaN or an infinity as IEEE 754 has it. */
void vr_long_add(vr_long *sum, double a, double b);

#define VR_LONG_SHIFT 64

/* The sum as high + low 2^-shift: high is the nearest number of `bits` bits (24: f32, 53: f64), the largest finite one
 * instead of infinity; low the rest, in as many bits, truncated and the last bit set where it was inexact ("round to
 * odd"), so that high + low 2^-shift lies as the sum does to all numbers of that type and to the middles between them.
 * shift is 0, or VR_LONG_SHIFT where low could be too small for the type. A sum that is NaN or an infinity: high is,
 * low is 0. 0 is +0. */
void vr_long_read(double *high, double *low, int *shift, vr_long *sum, int bits);

#endif
