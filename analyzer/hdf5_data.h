/* hdf5_data.h - the elements of two datasets compared: past the library, by threads, where layout and type allow. */
#ifndef VA_HDF5_DATA_H
#define VA_HDF5_DATA_H

#include "hdf5_values.h"

#include <varanalyze/source.h>

/* A dataset and the bytes its file lies in. */
typedef struct va_h5_side {
    hid_t dataset;
    const vr_source *source;
    const char *path; /* in the file, for messages */
} va_h5_side;

/* Compares two datasets of equal extent. Memory is bounded whatever their size. Fails with VR_ERROR_SHAPE as
 * va_plan_open, VR_ERROR_FORMAT (a damaged chunk, a filter that is not there: the message names file and object),
 * VR_ERROR_IO, VR_ERROR_MEMORY. */
vr_status va_h5_compare_data(va_h5_result *out, const va_h5_side *a, const va_h5_side *b, const va_h5_options *options);

#endif
