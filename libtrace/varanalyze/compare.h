/* compare.h - how far apart two tensors of one type and shape are, element by element.
 *
 * ULP distance is the number of representable values between two floats in the total order -Inf < ... < -0 = +0 < ... <
 * +Inf of their type, so it is defined across zero (-0 and +0 are 0 apart, the smallest subnormals of both signs 2).
 * For integers and bool it is the absolute difference. Elements that are NaN on one or both sides enter only the
 * counts.
 */
#ifndef VARANALYZE_COMPARE_H
#define VARANALYZE_COMPARE_H

#include <varanalyze/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* When two elements count as the same beyond equal bits: any of the conditions that is set holds. The absolute and the
 * relative one hold of finite elements only. */
typedef struct vr_tolerance {
    double absolute; /* |a - b| <= absolute; unset: negative */
    double relative; /* |a - b| <= relative * max(|a|, |b|); unset: negative */
    int64_t ulp;     /* ULP distance <= ulp; unset: negative */
    bool nan_equal;  /* any NaN equals any NaN */
} vr_tolerance;

/* Nothing but equal bits is the same. */
#define VR_TOLERANCE_INIT                                                                                              \
    {                                                                                                                  \
        -1.0, -1.0, -1, false                                                                                          \
    }

#define VR_ULP_BINS 65

typedef struct vr_comparison {
    int64_t count;        /* elements compared */
    int64_t equal;        /* of equal bits */
    int64_t within;       /* equal bits, or within the tolerance */
    int64_t first;        /* row-major index of the first element not within the tolerance; -1: none */
    int64_t nan_mismatch; /* NaN on one side only */
    int64_t nan_both;     /* NaN on both sides */
    int64_t inf_mismatch; /* infinite on one side only (and no NaN on the other), or of other sign */
    int64_t sign_flips;   /* both neither zero nor NaN, and of other sign */
    double max_abs;       /* max |a - b| over pairs of finite elements */
    double mean_abs;      /* here and in mean_rel, equal infinities count as 0 apart */
    double max_rel;       /* max |a - b| / max(|a|, |b|), 0 where both are 0; pairs of finite elements */
    double mean_rel;
    double diff_l2;                /* sqrt(sum (a - b)^2) over pairs of finite elements */
    double a_l2, b_l2;             /* over the same pairs */
    double cosine;                 /* sum(a b) / (a_l2 b_l2); 1 if both norms are 0, 0 if one is */
    uint64_t max_ulp;              /* over pairs without NaN */
    int64_t ulp_bins[VR_ULP_BINS]; /* [0]: distance 0; [k]: 2^(k-1) <= distance < 2^k */
} vr_comparison;

/* Compares any two views of the same type, rank and shape; the strides may differ. `tolerance` may be NULL. Sums are in
 * double precision, in the same fixed order as vr_stats: neither threads nor instruction set change a bit. Differences
 * of i64 and u64 are those of the integers, rounded to double; their ULP distance is exact. A difference or a square
 * too large for a double gives Inf, and the cosine is then NaN. Fails with VR_ERROR_SHAPE, VR_ERROR_MEMORY or as
 * vr_tensor_check.
 */
VR_API vr_status vr_compare(vr_comparison *out, const vr_tensor *a, const vr_tensor *b, const vr_tolerance *tolerance);

/* What the elements that differ tell by themselves: a small part of a vr_comparison, at the speed of memory where few
 * do. */
typedef struct vr_difference {
    int64_t count;        /* elements compared */
    int64_t unequal;      /* not of equal bits */
    int64_t different;    /* of these, not within the tolerance */
    int64_t first;        /* index of the first that is different; -1: none */
    int64_t nan_mismatch; /* NaN on one side only */
    double max_abs;       /* max |a - b| over pairs of finite elements */
    double max_rel;       /* max |a - b| / max(|a|, |b|) over pairs of finite elements, 0 where both are 0 */
    uint64_t max_ulp;     /* over pairs without NaN */
} vr_difference;

/* Compares n elements that lie one after the other on each side, in the calling thread, with results equal to those of
 * vr_compare. `tolerance` may be NULL. Fails with VR_ERROR_ARGUMENT when `dtype` is no element type. */
VR_API vr_status vr_differ(vr_difference *out, const void *a, const void *b, vr_dtype dtype, size_t n,
                           const vr_tolerance *tolerance);

/* Two comparisons of consecutive parts as one: `b`'s elements follow `a`'s. */
VR_API vr_comparison vr_comparison_merge(const vr_comparison *a, const vr_comparison *b);

#ifdef __cplusplus
}
#endif
#endif
