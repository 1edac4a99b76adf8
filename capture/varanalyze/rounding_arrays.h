/* rounding_arrays.h - the operations of rounding.h on arrays, in vector code. Included by it.
 *
 * out[i] = a[i] op b[i] for i < n; out may be one of the operands, and must not overlap them otherwise. Arrays may be
 * aligned as any array of their type is. Element i takes word `position + i` of the stream, whose position then moves
 * on by n; or, in the functions that end in _operands, the word of its operands. The bits are those of the functions
 * for one operation, whatever the instruction set; any part of the arrays may be done by another thread with a copy of
 * the stream at its place.
 */
#ifndef VARANALYZE_ROUNDING_ARRAYS_H
#define VARANALYZE_ROUNDING_ARRAYS_H

#include <varanalyze/rounding.h>

#ifdef __cplusplus
extern "C" {
#endif

VR_API void vr_sr_add_f32(const float *a, const float *b, float *out, size_t n, vr_stream *stream);
VR_API void vr_sr_sub_f32(const float *a, const float *b, float *out, size_t n, vr_stream *stream);
VR_API void vr_sr_mul_f32(const float *a, const float *b, float *out, size_t n, vr_stream *stream);
VR_API void vr_sr_div_f32(const float *a, const float *b, float *out, size_t n, vr_stream *stream);
VR_API void vr_sr_sqrt_f32(const float *a, float *out, size_t n, vr_stream *stream);
VR_API void vr_sr_fma_f32(const float *a, const float *b, const float *c, float *out, size_t n, vr_stream *stream);
VR_API void vr_sr_add_f64(const double *a, const double *b, double *out, size_t n, vr_stream *stream);
VR_API void vr_sr_sub_f64(const double *a, const double *b, double *out, size_t n, vr_stream *stream);
VR_API void vr_sr_mul_f64(const double *a, const double *b, double *out, size_t n, vr_stream *stream);
VR_API void vr_sr_div_f64(const double *a, const double *b, double *out, size_t n, vr_stream *stream);
VR_API void vr_sr_sqrt_f64(const double *a, double *out, size_t n, vr_stream *stream);
VR_API void vr_sr_fma_f64(const double *a, const double *b, const double *c, double *out, size_t n, vr_stream *stream);

VR_API void vr_ud_add_f32(const float *a, const float *b, float *out, size_t n, vr_stream *stream);
VR_API void vr_ud_sub_f32(const float *a, const float *b, float *out, size_t n, vr_stream *stream);
VR_API void vr_ud_mul_f32(const float *a, const float *b, float *out, size_t n, vr_stream *stream);
VR_API void vr_ud_div_f32(const float *a, const float *b, float *out, size_t n, vr_stream *stream);
VR_API void vr_ud_sqrt_f32(const float *a, float *out, size_t n, vr_stream *stream);
VR_API void vr_ud_fma_f32(const float *a, const float *b, const float *c, float *out, size_t n, vr_stream *stream);
VR_API void vr_ud_add_f64(const double *a, const double *b, double *out, size_t n, vr_stream *stream);
VR_API void vr_ud_sub_f64(const double *a, const double *b, double *out, size_t n, vr_stream *stream);
VR_API void vr_ud_mul_f64(const double *a, const double *b, double *out, size_t n, vr_stream *stream);
VR_API void vr_ud_div_f64(const double *a, const double *b, double *out, size_t n, vr_stream *stream);
VR_API void vr_ud_sqrt_f64(const double *a, double *out, size_t n, vr_stream *stream);
VR_API void vr_ud_fma_f64(const double *a, const double *b, const double *c, double *out, size_t n, vr_stream *stream);

VR_API void vr_sr_add_f32_operands(const float *a, const float *b, float *out, size_t n, uint64_t key);
VR_API void vr_sr_sub_f32_operands(const float *a, const float *b, float *out, size_t n, uint64_t key);
VR_API void vr_sr_mul_f32_operands(const float *a, const float *b, float *out, size_t n, uint64_t key);
VR_API void vr_sr_div_f32_operands(const float *a, const float *b, float *out, size_t n, uint64_t key);
VR_API void vr_sr_sqrt_f32_operands(const float *a, float *out, size_t n, uint64_t key);
VR_API void vr_sr_fma_f32_operands(const float *a, const float *b, const float *c, float *out, size_t n, uint64_t key);
VR_API void vr_sr_add_f64_operands(const double *a, const double *b, double *out, size_t n, uint64_t key);
VR_API void vr_sr_sub_f64_operands(const double *a, const double *b, double *out, size_t n, uint64_t key);
VR_API void vr_sr_mul_f64_operands(const double *a, const double *b, double *out, size_t n, uint64_t key);
VR_API void vr_sr_div_f64_operands(const double *a, const double *b, double *out, size_t n, uint64_t key);
VR_API void vr_sr_sqrt_f64_operands(const double *a, double *out, size_t n, uint64_t key);
VR_API void vr_sr_fma_f64_operands(const double *a, const double *b, const double *c, double *out, size_t n,
                                   uint64_t key);

VR_API void vr_ud_add_f32_operands(const float *a, const float *b, float *out, size_t n, uint64_t key);
VR_API void vr_ud_sub_f32_operands(const float *a, const float *b, float *out, size_t n, uint64_t key);
VR_API void vr_ud_mul_f32_operands(const float *a, const float *b, float *out, size_t n, uint64_t key);
VR_API void vr_ud_div_f32_operands(const float *a, const float *b, float *out, size_t n, uint64_t key);
VR_API void vr_ud_sqrt_f32_operands(const float *a, float *out, size_t n, uint64_t key);
VR_API void vr_ud_fma_f32_operands(const float *a, const float *b, const float *c, float *out, size_t n, uint64_t key);
VR_API void vr_ud_add_f64_operands(const double *a, const double *b, double *out, size_t n, uint64_t key);
VR_API void vr_ud_sub_f64_operands(const double *a, const double *b, double *out, size_t n, uint64_t key);
VR_API void vr_ud_mul_f64_operands(const double *a, const double *b, double *out, size_t n, uint64_t key);
VR_API void vr_ud_div_f64_operands(const double *a, const double *b, double *out, size_t n, uint64_t key);
VR_API void vr_ud_sqrt_f64_operands(const double *a, double *out, size_t n, uint64_t key);
VR_API void vr_ud_fma_f64_operands(const double *a, const double *b, const double *c, double *out, size_t n,
                                   uint64_t key);

/* The same for any mode, operation, precision and source of bits. dtype: VR_F32 or VR_F64, of all four arrays; b and c
 * are ignored where the operation has none. `stream` may be NULL where none is drawn from; it moves on by n where one
 * is. Fails with VR_ERROR_ARGUMENT: no such mode or operation, another type, NULL where something is needed. */
VR_API vr_status vr_round_array(const vr_rounding *r, vr_stream *stream, vr_operation op, vr_dtype dtype, void *out,
                                const void *a, const void *b, const void *c, size_t n);

/* out[i] = in[i] in VR_BF16, VR_F16, VR_F8E4M3 or VR_F8E5M2, in the codes of dtype.h, by sr. What vr_from_f32 makes NaN
 * or Inf stays so; a finite number beyond the largest of the type may become what follows it, which is Inf, or the NaN
 * of f8e4m3. Fails with VR_ERROR_ARGUMENT for another type. */
VR_API vr_status vr_sr_from_f32(void *out, vr_dtype dtype, const float *in, size_t n, vr_stream *stream);
VR_API vr_status vr_sr_from_f32_operands(void *out, vr_dtype dtype, const float *in, size_t n, uint64_t key);

/* As vr_from_f32 does it, in vector code. */
VR_API vr_status vr_nearest_from_f32(void *out, vr_dtype dtype, const float *in, size_t n);

#ifdef __cplusplus
}
#endif
#endif
