/* hdf5_data_impl.h - what is known of two datasets before their elements are compared. */
#ifndef VA_HDF5_DATA_IMPL_H
#define VA_HDF5_DATA_IMPL_H

#include "hdf5_data.h"
#include "hdf5_raw.h"

typedef struct va_h5_set {
    const va_h5_side *in;
    hid_t type, space, plist;
    H5D_layout_t layout;
    uint64_t stored; /* bytes in the file */
    bool elsewhere;  /* the elements lie in other files */
    bool whole_only; /* chunks that reach past the end of the dataset are not filtered */
} va_h5_set;

/* Coordinates of the chunks that either of two sparse datasets holds, in row-major order. */
typedef struct va_chunk_list {
    hsize_t *starts; /* count * rank */
    uint64_t count, at;
} va_chunk_list;

typedef struct va_h5_pair {
    va_h5_set sides[2];
    const va_h5_options *options;
    va_plan *plan;
    int rank;
    uint64_t count; /* elements of each */
    hsize_t dims[H5S_MAX_RANK], chunk[H5S_MAX_RANK];
    bool chunked;          /* both, with equal chunks */
    bool by_bytes;         /* boxes are compared as `raw` says; else as the library reads them */
    vr_h5_chunk places[2]; /* of contiguous datasets */
    va_raw raw;
    va_boxes boxes;
    bool listed; /* only the boxes of these chunks; what is in no chunk of either file is all alike */
    va_chunk_list list;
} va_h5_pair;

/* Finds out how two datasets can be compared. va_h5_pair_close in any case. */
vr_status va_h5_pair_open(va_h5_pair *pair, const va_h5_side *a, const va_h5_side *b, const va_h5_options *options);
void va_h5_pair_close(va_h5_pair *pair);

/* Notes what is read from here on, for the guard. */
void va_h5_pair_reading(const va_h5_pair *pair, int side);

/* VR_ERROR_FORMAT, with the names of file and dataset. */
vr_status va_h5_pair_damaged(const va_h5_pair *pair, int side, const char *what);

vr_status va_h5_pair_no_memory(const va_h5_pair *pair);

#endif
