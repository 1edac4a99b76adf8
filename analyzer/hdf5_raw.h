/* hdf5_raw.h - boxes of two datasets compared from the bytes in the files, by threads that never call the HDF5 library.
 */
#ifndef VA_HDF5_RAW_H
#define VA_HDF5_RAW_H

#include "hdf5_boxes.h"

#include <formats/hdf5_chunk.h>
#include <varanalyze/compare.h>
#include <varanalyze/source.h>

/* Boxes of unfiltered data have at most so many bytes. A filtered chunk is decoded whole. */
#define VA_RAW_BOX ((uint64_t)4 << 20)

/* What lies in a file. */
typedef struct va_raw_side {
    const vr_source *source;
    vr_h5_pipeline pipeline;
    bool swapped; /* elements of dtype, in the other byte order */
} va_raw_side;

/* Two datasets of equal extent, layout and chunks, whose elements take `element` bytes in both files. */
typedef struct va_raw {
    va_raw_side sides[2];
    const va_boxes *boxes;
    size_t element;
    uint64_t chunk_bytes; /* of an unfiltered chunk; contiguous: of the dataset */
    bool filtered;
    vr_dtype dtype;  /* 0: only whether the bytes are equal can be told */
    bool same_types; /* equal bytes are equal elements */
    vr_tolerance tolerance;
    bool statistics;
} va_raw;

typedef enum va_raw_state {
    VA_RAW_COMPARED, /* `difference` says how */
    VA_RAW_UNKNOWN,  /* the bytes differ, and say no more; or there are none on one side or both */
    VA_RAW_DAMAGED_A,
    VA_RAW_DAMAGED_B,
    VA_RAW_NO_MEMORY,
} va_raw_state;

typedef struct va_raw_job {
    va_box box;
    vr_h5_chunk chunks[2]; /* contiguous: the dataset */
    va_raw_state state;
    vr_difference difference; /* `first` is the row-major index in the dataset */
    vr_comparison statistics; /* when they are wanted */
} va_raw_job;

/* Does n jobs, in parallel. Memory: about 200 MiB for any number of threads, and where that is more, six filtered
 * chunks. */
void va_raw_run(const va_raw *raw, va_raw_job *jobs, int n);

#endif
