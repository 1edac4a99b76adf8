/* tensor.h - a view of a tensor that somebody else owns.
 *
 * A view is an element type, a shape, strides and a pointer; it owns nothing and copies nothing, so slices and
 * transposed tensors are recorded as they lie in memory. Logical order is row-major over the shape, whatever the
 * strides.
 *
 *     vr_tensor out = VR_TENSOR(VR_F32, activations, batch, channels, height, width);
 */
#ifndef VARANALYZE_TENSOR_H
#define VARANALYZE_TENSOR_H

#include <stdint.h>
#include <varanalyze/dtype.h>

#ifdef __cplusplus
#include <initializer_list>
extern "C" {
#endif

#define VR_MAX_RANK 8

typedef struct vr_tensor {
    const void *data;
    vr_dtype dtype;
    int rank;                     /* 0 (a scalar) to VR_MAX_RANK */
    int64_t shape[VR_MAX_RANK];   /* elements; 0 makes the tensor empty */
    int64_t strides[VR_MAX_RANK]; /* in elements, may be 0 or negative */
} vr_tensor;

/* A row-major, contiguous view. A rank that does not fit makes a view that vr_tensor_check refuses. */
VR_API vr_tensor vr_tensor_of(vr_dtype dtype, const void *data, int rank, const int64_t *shape);

/* The view with dimensions `a` and `b` exchanged; no data moves. */
VR_API vr_tensor vr_tensor_transpose(vr_tensor tensor, int a, int b);

/* Whether a view can be read: a known type, a rank up to VR_MAX_RANK, no negative size, data unless empty, and a size
 * in bytes and an extent of strides that do not overflow. Fails with VR_ERROR_SHAPE or VR_ERROR_ARGUMENT. */
VR_API vr_status vr_tensor_check(const vr_tensor *tensor);

/* Number of elements of a checked view: the product of the shape, 1 for a scalar. */
VR_API int64_t vr_tensor_count(const vr_tensor *tensor);

/* Whether the elements of a checked view lie in row-major order without gaps. */
VR_API bool vr_tensor_is_contiguous(const vr_tensor *tensor);

/* Copies elements [first, first + count) of a checked view, in logical order, to `out`. */
VR_API void vr_tensor_pack(void *out, const vr_tensor *tensor, int64_t first, int64_t count);

#ifdef __cplusplus
}
static inline vr_tensor vr_tensor_list(vr_dtype dtype, const void *data, std::initializer_list<int64_t> shape)
{
    return vr_tensor_of(dtype, data, (int)shape.size(), shape.begin());
}
#define VR_TENSOR(dtype, data, ...) vr_tensor_list(dtype, data, {__VA_ARGS__})
#else
/* VR_TENSOR(dtype, data, size, ...): a contiguous view of one or more dimensions. */
#define VR_TENSOR(dtype, data, ...)                                                                                    \
    vr_tensor_of(dtype, data, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]){__VA_ARGS__})
#endif

/* A view of one value. */
#define VR_SCALAR(dtype, data) vr_tensor_of(dtype, data, 0, NULL)

#endif
