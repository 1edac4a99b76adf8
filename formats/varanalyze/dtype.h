/* dtype.h - the element types of tensors, and exact conversion between them and f64 or f32.
 *
 * f16 is IEEE binary16, bf16 the upper half of a binary32. f8e4m3 and f8e5m2 are the two 8-bit formats of the Open
 * Compute Project's OFP8 specification (revision 1.0, 2023): f8e5m2 is IEEE-like; f8e4m3 has no infinity, its only NaNs
 * are 0x7f and 0xff, and its largest finite value is 448. bool is one byte: zero is false, anything else true. All are
 * in the byte order of the machine.
 */
#ifndef VARANALYZE_DTYPE_H
#define VARANALYZE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <varanalyze/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The values stand in files: they never change. */
typedef enum vr_dtype {
    VR_F64 = 1,
    VR_F32,
    VR_F16,
    VR_BF16,
    VR_F8E4M3,
    VR_F8E5M2,
    VR_I8,
    VR_I16,
    VR_I32,
    VR_I64,
    VR_U8,
    VR_U16,
    VR_U32,
    VR_U64,
    VR_BOOL,
} vr_dtype;

#define VR_DTYPE_LAST VR_BOOL

/* Bytes an element takes; 0 when `dtype` is none of the above. */
VR_API size_t vr_dtype_size(vr_dtype dtype);

/* "f64", "bf16", "f8e4m3", "bool"...; "?" when `dtype` is none of the above. Static storage. */
VR_API const char *vr_dtype_name(vr_dtype dtype);

/* The type of that name. Fails with VR_ERROR_ARGUMENT. */
VR_API vr_status vr_dtype_parse(vr_dtype *out, const char *name);

VR_API bool vr_dtype_is_float(vr_dtype dtype);

/* out[i] = in[i] as a double, i < n. Exact for every type but i64 and u64, which are rounded to nearest, ties to even.
 * A NaN stays a NaN (its payload's upper bits are kept, and it is made quiet); bool gives 0 or 1. */
VR_API void vr_to_f64(double *out, const void *in, vr_dtype dtype, size_t n);

/* out[i] = in[i] as a float: exact for f32, f16, bf16, f8, bool and integers of up to 16 bits, else rounded once to
 * nearest, ties to even. */
VR_API void vr_to_f32(float *out, const void *in, vr_dtype dtype, size_t n);

/* out[i] = in[i] in `dtype`, rounded once to nearest, ties to even; subnormals and the sign of zero are kept.
 * Too large for a float type: Inf (f8e4m3, which has none: NaN, as the specification's non-saturating mode). To an
 * integer type: truncated toward zero, saturated at the type's limits, NaN gives 0. To bool: NaN and all but zero are
 * true. */
VR_API void vr_from_f64(void *out, vr_dtype dtype, const double *in, size_t n);
VR_API void vr_from_f32(void *out, vr_dtype dtype, const float *in, size_t n);

#ifdef __cplusplus
}
#endif
#endif
