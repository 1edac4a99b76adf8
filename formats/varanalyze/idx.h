/* idx.h - reads IDX files, the format of MNIST and its kin.
 *
 * An IDX file is: two zero bytes, a type byte (0x08 u8, 0x09 i8, 0x0b i16, 0x0c i32, 0x0d f32, 0x0e f64), a byte with
 * the rank, rank sizes as big-endian u32, then the elements in row-major order, big-endian
 * (http://yann.lecun.com/exdb/mnist/). A file compressed with gzip is recognized by its content, not its name.
 */
#ifndef VARANALYZE_IDX_H
#define VARANALYZE_IDX_H

#include <stdint.h>
#include <varanalyze/dtype.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VR_IDX_MAX_RANK 8

/* An array read from an IDX file, in the machine's byte order. `data` belongs to the array. */
typedef struct vr_idx {
    vr_dtype dtype;
    int rank; /* 1 to VR_IDX_MAX_RANK */
    int64_t shape[VR_IDX_MAX_RANK];
    int64_t count; /* product of the shape */
    void *data;
} vr_idx;

/* Reads the whole of `path`. Fails with VR_ERROR_IO, VR_ERROR_FORMAT (the file is not IDX, its header is malformed, its
 * length is not what the header says, the gzip stream is damaged or followed by other bytes), VR_ERROR_SHAPE (the
 * sizes' product overflows) or VR_ERROR_MEMORY; `out` is then empty. */
VR_API vr_status vr_idx_read(vr_idx *out, const char *path);

/* The same from `size` bytes in memory; `name` stands for the path in messages. */
VR_API vr_status vr_idx_parse(vr_idx *out, const void *bytes, size_t size, const char *name);

/* Frees the data and empties the array. NULL and an empty array are fine. */
VR_API void vr_idx_free(vr_idx *array);

#ifdef __cplusplus
}
#endif
#endif
