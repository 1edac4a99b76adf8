#include <varanalyze/tensor.h>

#include "fail.h"

#include <string.h>

vr_tensor vr_tensor_of(vr_dtype dtype, const void *data, int rank, const int64_t *shape)
{
    vr_tensor tensor = {.data = data, .dtype = dtype, .rank = rank};
    if (rank < 0 || rank > VR_MAX_RANK)
        return tensor;
    int64_t stride = 1;
    for (int d = rank - 1; d >= 0; d--) {
        tensor.shape[d] = shape[d];
        tensor.strides[d] = stride;
        if (__builtin_mul_overflow(stride, shape[d], &stride))
            stride = 0; /* the check fails on the shape, or the tensor is empty */
    }
    return tensor;
}

vr_tensor vr_tensor_transpose(vr_tensor tensor, int a, int b)
{
    if (a < 0 || b < 0 || a >= tensor.rank || b >= tensor.rank || tensor.rank > VR_MAX_RANK) {
        tensor.rank = -1; /* refused by the check */
        return tensor;
    }
    const int64_t size = tensor.shape[a], stride = tensor.strides[a];
    tensor.shape[a] = tensor.shape[b];
    tensor.strides[a] = tensor.strides[b];
    tensor.shape[b] = size;
    tensor.strides[b] = stride;
    return tensor;
}

/* Whether the bytes of all elements, and those from the first to the last in memory, can be counted. */
static bool sizes_fit(const vr_tensor *tensor)
{
    int64_t bytes = (int64_t)vr_dtype_size(tensor->dtype), extent = bytes;
    for (int d = 0; d < tensor->rank; d++) {
        int64_t step, reach;
        if (__builtin_mul_overflow(bytes, tensor->shape[d], &bytes) ||
            __builtin_mul_overflow(tensor->strides[d], (int64_t)vr_dtype_size(tensor->dtype), &step) ||
            __builtin_sub_overflow(0, step < 0 ? step : 0, &reach) || /* INT64_MIN has no negative */
            __builtin_mul_overflow(step < 0 ? reach : step, tensor->shape[d] - 1, &reach) ||
            __builtin_add_overflow(extent, reach, &extent))
            return false;
    }
    return true;
}

vr_status vr_tensor_check(const vr_tensor *tensor)
{
    if (vr_dtype_size(tensor->dtype) == 0)
        return vr_fail(VR_ERROR_ARGUMENT, "unknown element type %d", (int)tensor->dtype);
    if (tensor->rank < 0 || tensor->rank > VR_MAX_RANK)
        return vr_fail(VR_ERROR_SHAPE, "a tensor of rank %d; at most %d dimensions are supported", tensor->rank,
                       VR_MAX_RANK);
    bool empty = false;
    for (int d = 0; d < tensor->rank; d++) {
        if (tensor->shape[d] < 0)
            return vr_fail(VR_ERROR_SHAPE, "dimension %d has the negative size %lld", d, (long long)tensor->shape[d]);
        empty |= tensor->shape[d] == 0;
    }
    if (empty)
        return VR_OK;
    if (!tensor->data)
        return vr_fail(VR_ERROR_ARGUMENT, "a tensor that is not empty has no data");
    if (!sizes_fit(tensor))
        return vr_fail(VR_ERROR_SHAPE, "the tensor's size in bytes overflows");
    return VR_OK;
}

int64_t vr_tensor_count(const vr_tensor *tensor)
{
    int64_t count = 1;
    for (int d = 0; d < tensor->rank; d++)
        if (tensor->shape[d] == 0)
            return 0;
    for (int d = 0; d < tensor->rank; d++)
        count *= tensor->shape[d];
    return count;
}

bool vr_tensor_is_contiguous(const vr_tensor *tensor)
{
    int64_t stride = 1;
    if (vr_tensor_count(tensor) == 0)
        return true;
    for (int d = tensor->rank - 1; d >= 0; d--) {
        if (tensor->shape[d] != 1 && tensor->strides[d] != stride)
            return false;
        stride *= tensor->shape[d];
    }
    return true;
}

/* Copies n elements of `size` bytes that are `step` bytes apart. */
static void gather(char *out, const char *from, int64_t step, int64_t n, size_t size)
{
#define GATHER(bytes)                                                                                                  \
    for (int64_t i = 0; i < n; i++)                                                                                    \
    memcpy(out + i * bytes, from + i * step, bytes)
    if (step == (int64_t)size)
        memcpy(out, from, (size_t)n * size);
    else if (size == 1)
        GATHER(1);
    else if (size == 2)
        GATHER(2);
    else if (size == 4)
        GATHER(4);
    else
        GATHER(8);
}

void vr_tensor_pack(void *out, const vr_tensor *tensor, int64_t first, int64_t count)
{
    const int64_t size = (int64_t)vr_dtype_size(tensor->dtype);
    int64_t index[VR_MAX_RANK], offset = 0;
    if (count <= 0)
        return;
    for (int d = tensor->rank - 1; d >= 0; d--) {
        index[d] = first % tensor->shape[d];
        first /= tensor->shape[d];
        offset += index[d] * tensor->strides[d];
    }
    const int inner = tensor->rank - 1;
    const int64_t length = inner < 0 ? 1 : tensor->shape[inner], stride = inner < 0 ? 1 : tensor->strides[inner];
    int64_t at = inner < 0 ? 0 : index[inner];
    for (char *to = out;;) {
        const int64_t n = length - at < count ? length - at : count;
        gather(to, (const char *)tensor->data + offset * size, stride * size, n, (size_t)size);
        count -= n;
        if (count == 0)
            return;
        to += n * size;
        offset -= at * stride; /* to the row's first element, then to the next row's */
        at = 0;
        int d = inner - 1;
        for (offset += tensor->strides[d]; ++index[d] == tensor->shape[d]; offset += tensor->strides[d]) {
            offset -= tensor->shape[d] * tensor->strides[d];
            index[d--] = 0;
        }
    }
}
