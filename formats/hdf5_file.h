/* hdf5_file.h - an HDF5 file opened for reading wherever its bytes lie, and the library's errors as messages. */
#ifndef VR_HDF5_FILE_H
#define VR_HDF5_FILE_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>
#include <varanalyze/status.h>

/* Opens the HDF5 file in bytes [offset, offset + size) of `fd`, which stays the caller's and has to stay open as long
 * as anything of the file is. Nothing outside these bytes is ever read, and no lock is taken. `*out` is closed with
 * H5Fclose. Fails with VR_ERROR_FORMAT: not an HDF5 file (the message says what it seems to be), a damaged or a cut-off
 * one. */
VR_API vr_status vr_h5_open(hid_t *out, int fd, uint64_t offset, uint64_t size, const char *name);

/* Whether the library may open the files that another names, as the sources of a virtual dataset: not until this says
 * so, for all files that vr_h5_open opens. A source that is not opened is to the library one that is full of fill
 * values. */
VR_API void vr_h5_follow(bool follow);

/* The library prints its errors by itself unless told not to: quiet between these two. */
typedef struct vr_h5_quiet {
    H5E_auto2_t report;
    void *data;
} vr_h5_quiet;

VR_API vr_h5_quiet vr_h5_quiet_begin(void);
VR_API void vr_h5_quiet_end(vr_h5_quiet quiet);

/* The library's own words for its last failure, innermost first. Static storage of the thread. */
VR_API const char *vr_h5_reason(void);

#endif
