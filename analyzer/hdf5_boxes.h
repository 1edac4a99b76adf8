/* hdf5_boxes.h - a dataset cut into boxes of bounded size, each of them one run of bytes within its chunk.
 *
 * A contiguous dataset counts as one chunk. Boxes come chunk by chunk, in row-major order of the chunks and of the
 * boxes in each. They cover every element once.
 */
#ifndef VA_HDF5_BOXES_H
#define VA_HDF5_BOXES_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct va_box {
    hsize_t chunk[H5S_MAX_RANK]; /* coordinates of its chunk's first element */
    hsize_t start[H5S_MAX_RANK]; /* of its own */
    hsize_t count[H5S_MAX_RANK]; /* elements in each dimension, none of them outside the dataset */
    uint64_t offset;             /* of its first element in the chunk, in elements */
    uint64_t span;     /* elements from the first to behind the last, those outside the dataset between them too */
    uint64_t elements; /* product of `count` */
} va_box;

typedef struct va_boxes {
    int rank;
    hsize_t dims[H5S_MAX_RANK];  /* of the dataset, all at least 1 */
    hsize_t chunk[H5S_MAX_RANK]; /* of a chunk, all at least 1 */
    hsize_t most[H5S_MAX_RANK];  /* of a box */
    va_box next;
    bool done;
} va_boxes;

/* `chunk` NULL: contiguous. A box has at most `most` elements, at least 1. */
void va_boxes_begin(va_boxes *boxes, int rank, const hsize_t *dims, const hsize_t *chunk, uint64_t most);

/* The next box; false when there are no more. */
bool va_boxes_next(va_boxes *boxes, va_box *out);

/* Leaves out what comes before the chunk at these coordinates. */
void va_boxes_seek(va_boxes *boxes, const hsize_t *chunk);

/* Elements of a box that lie one after the other in the chunk are a run. All runs of a box have this length. */
uint64_t va_box_run_length(const va_boxes *boxes, const va_box *box);

/* Where run `number` begins, in elements behind the box's first in the chunk; runs are in row-major order. */
uint64_t va_box_run(const va_boxes *boxes, const va_box *box, uint64_t number);

/* The row-major index in the dataset of the element that lies `offset` elements behind the box's first in the chunk. */
int64_t va_box_index(const va_boxes *boxes, const va_box *box, uint64_t offset);

#endif
