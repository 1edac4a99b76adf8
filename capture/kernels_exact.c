#include "kernels_exact.h"

#include <math.h>
#include <string.h>

#define LOWEST    (-2176) /* the exponent of limb 0 */
#define LIMB      ((INT64_C(1) << 32) - 1)
#define MOST_ADDS (1u << 28) /* each adds less than 2^34 to a limb */

typedef unsigned __int128 u128;

/* |x| = significand 2^exponent, x finite. */
static uint64_t significand_of(double x, int *exponent)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    const int biased = (int)(bits >> 52 & 0x7ff);
    const uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    *exponent = (biased ? biased : 1) - 1075;
    return biased ? fraction | UINT64_C(1) << 52 : fraction;
}

/* All limbs but the last between 0 and 2^32 - 1; the last has the sign. */
static void carry(vr_long *sum)
{
    for (int i = 0; i + 1 < VR_LONG_LIMBS; i++) {
        sum->limbs[i + 1] += sum->limbs[i] >> 32;
        sum->limbs[i] &= LIMB;
    }
    sum->adds = 0;
}

void vr_long_add(vr_long *sum, double a, double b)
{
    const double product = a * b;
    if (!isfinite(a) || !isfinite(b)) {
        sum->nan |= isnan(product);
        sum->plus |= product > 0;
        sum->minus |= product < 0;
        return;
    }
    int e, f;
    u128 magnitude = (u128)significand_of(a, &e) * significand_of(b, &f);
    const int at = e + f - LOWEST;
    const int64_t sign = signbit(a) != signbit(b) ? -1 : 1;
    for (int64_t *limb = &sum->limbs[at / 32]; magnitude; magnitude >>= 32, limb++) {
        const uint64_t piece = (uint64_t)((uint32_t)magnitude) << at % 32;
        limb[0] += sign * (int64_t)(piece & LIMB);
        limb[1] += sign * (int64_t)(piece >> 32);
    }
    if (++sum->adds == MOST_ADDS)
        carry(sum);
}

/* Carries and makes the number positive; whether it was negative. */
static bool make_positive(vr_long *sum)
{
    carry(sum);
    const bool negative = sum->limbs[VR_LONG_LIMBS - 1] < 0;
    for (int i = 0; negative && i < VR_LONG_LIMBS; i++)
        sum->limbs[i] = -sum->limbs[i];
    if (negative)
        carry(sum);
    return negative;
}

/* Bits [at, at + 64) of a positive number; bits below bit 0 are 0. */
static uint64_t bits_at(const vr_long *sum, int at)
{
    uint64_t out = 0;
    for (int i = 0; i < VR_LONG_LIMBS; i++) {
        const int shift = 32 * i - at;
        if (shift > -32 && shift < 64)
            out |= shift >= 0 ? (uint64_t)sum->limbs[i] << shift : (uint64_t)sum->limbs[i] >> -shift;
    }
    return out;
}

static bool any_below(const vr_long *sum, int at)
{
    for (int i = 0; 32 * i < at; i++)
        if (32 * i + 32 <= at ? sum->limbs[i] : sum->limbs[i] & ((INT64_C(1) << (at - 32 * i)) - 1))
            return true;
    return false;
}

/* Leading bit of a positive number, -1 of 0. */
static int leading_bit(const vr_long *sum)
{
    for (int i = VR_LONG_LIMBS; i-- > 0;)
        if (sum->limbs[i])
            return 32 * i + 63 - __builtin_clzll((unsigned long long)sum->limbs[i]);
    return -1;
}

/* The number times 2^shift in `bits` bits: nearest, ties to even, or to odd. */
static double extract(const vr_long *sum, int bits, int shift, bool odd)
{
    vr_long positive = *sum;
    const bool negative = make_positive(&positive);
    const int least = (bits == 24 ? -149 : -1074) - shift - LOWEST, top = leading_bit(&positive);
    const int last = top - bits + 1 > least ? top - bits + 1 : least;
    if (top < 0)
        return 0;
    uint64_t value = top < last ? 0 : bits_at(&positive, last);
    const bool half = bits_at(&positive, last - 1) & 1, more = any_below(&positive, last - 1);
    if (odd)
        value |= half || more;
    else
        value += half && (more || value & 1);
    const double magnitude = ldexp((double)value, last + LOWEST + shift);
    return negative ? -magnitude : magnitude;
}

void vr_long_read(double *high, double *low, int *shift, vr_long *sum, int bits)
{
    const double largest = bits == 24 ? 0x1.fffffep127 : 0x1.fffffffffffffp1023;
    *low = 0;
    *shift = 0;
    if (sum->nan || (sum->plus && sum->minus)) {
        *high = NAN;
    } else if (sum->plus || sum->minus) {
        *high = sum->plus ? INFINITY : -INFINITY;
    } else {
        *high = extract(sum, bits, 0, false);
        if (fabs(*high) > largest)
            *high = copysign(largest, *high);
        vr_long_add(sum, -*high, 1);
        *shift = fabs(*high) < (bits == 24 ? 0x1p-80 : 0x1p-900) ? VR_LONG_SHIFT : 0;
        *low = extract(sum, bits, *shift, true);
        if (fabs(*low) > largest)
            *low = copysign(largest, *low);
    }
}
