/* hdf5_types.h - the rows of a trace as HDF5 types, and the library's errors as messages. */
#ifndef VR_HDF5_TYPES_H
#define VR_HDF5_TYPES_H

#include "trace_impl.h"

#include <hdf5.h>

#define VR_TRACE_FORMAT  "varanalyze trace"
#define VR_TRACE_VERSION 1

/* New types, to be closed with H5Tclose; negative on failure. */
hid_t vr_h5_record_type(void);
hid_t vr_h5_step_type(void);
hid_t vr_h5_site_type(void);

/* The library prints its errors by itself unless told not to: quiet between these two. */
typedef struct vr_h5_quiet {
    H5E_auto2_t report;
    void *data;
} vr_h5_quiet;

vr_h5_quiet vr_h5_quiet_begin(void);
void vr_h5_quiet_end(vr_h5_quiet quiet);

/* The library's own words for its last failure, innermost first. Static storage of the thread. */
const char *vr_h5_reason(void);

#endif
