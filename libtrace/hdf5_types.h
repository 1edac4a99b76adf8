/* hdf5_types.h - the rows of a trace as HDF5 types. */
#ifndef VR_HDF5_TYPES_H
#define VR_HDF5_TYPES_H

#include "trace_impl.h"

#include <hdf5_file.h>

#define VR_TRACE_FORMAT  "varanalyze trace"
#define VR_TRACE_VERSION 1

/* New types, to be closed with H5Tclose; negative on failure. */
hid_t vr_h5_record_type(void);
hid_t vr_h5_step_type(void);
hid_t vr_h5_site_type(void);

#endif
