/* hdf5_chunk.h - the bytes of a chunked dataset as they lie in the file, and what they hold.
 *
 * Decodes deflate (by libdeflate), shuffle and Fletcher32, in any thread: nothing here but vr_h5_chunk_find calls the
 * HDF5 library.
 */
#ifndef VR_HDF5_CHUNK_H
#define VR_HDF5_CHUNK_H

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <varanalyze/status.h>

typedef struct vr_h5_chunk {
    uint64_t offset, bytes; /* in the file that vr_h5_open was given, from its first byte; no bytes: not allocated */
    uint32_t skipped;       /* bit i: filter i of the pipeline was not applied */
} vr_h5_chunk;

/* Whether an object is in a file that vr_h5_open has opened. */
VR_API bool vr_h5_has_places(hid_t object);

/* Where the chunk at `start` (the coordinates of its first element) of a dataset that has places lies; of any other,
 * the chunk would be read to no good end. A search in the dataset's index; nothing of the chunk is read. Fails with
 * VR_ERROR_FORMAT, and a message without the names of file and object. */
VR_API vr_status vr_h5_chunk_find(vr_h5_chunk *out, hid_t dataset, const hsize_t *start);

#define VR_H5_FILTERS 8

typedef struct vr_h5_pipeline {
    int count;
    struct {
        H5Z_filter_t id;
        size_t element; /* of shuffle, in bytes */
    } filters[VR_H5_FILTERS];
} vr_h5_pipeline;

/* The filters of a dataset's creation properties; false when there is one that vr_h5_decode does not know. */
VR_API bool vr_h5_pipeline_read(vr_h5_pipeline *out, hid_t plist);

VR_API bool vr_h5_pipeline_equal(const vr_h5_pipeline *a, const vr_h5_pipeline *b);

/* Room for the decoding of one chunk after the other, of `size` bytes each. One a thread. */
typedef struct vr_h5_decoder vr_h5_decoder;

/* NULL: no memory. It holds about 2 * size bytes. */
VR_API vr_h5_decoder *vr_h5_decoder_new(size_t size);
VR_API void vr_h5_decoder_free(vr_h5_decoder *decoder);

/* The elements of a chunk of `bytes` raw bytes at `raw`: `size` bytes, in `raw` itself or in the decoder's memory until
 * its next use. NULL when the bytes are damaged: cut off, too long, or another checksum. */
VR_API const void *vr_h5_decode(vr_h5_decoder *decoder, const vr_h5_pipeline *pipeline, uint32_t skipped,
                                const void *raw, size_t bytes);

#endif
