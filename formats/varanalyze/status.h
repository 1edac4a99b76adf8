/* status.h - how every call says that it failed.
 *
 * A call that can fail returns a vr_status: VR_OK, or a negative code. The code says what kind of failure it was; the
 * message, kept for each thread, names the file, the object and what to do about it.
 *
 *     if (vr_trace_open(&trace, path) != VR_OK)
 *         fprintf(stderr, "%s\n", vr_error());
 */
#ifndef VARANALYZE_STATUS_H
#define VARANALYZE_STATUS_H

#if defined(__GNUC__)
#define VR_API __attribute__((visibility("default")))
#else
#define VR_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum vr_status {
    VR_OK = 0,
    VR_ERROR_ARGUMENT = -1,    /* the caller's words are off */
    VR_ERROR_MEMORY = -2,      /* no memory */
    VR_ERROR_IO = -3,          /* the system refused: no such file, no permission, a full disk */
    VR_ERROR_FORMAT = -4,      /* not the kind of file it should be, or a damaged one */
    VR_ERROR_VERSION = -5,     /* written by a newer version */
    VR_ERROR_SHAPE = -6,       /* shapes, ranks or types do not fit, or a size overflows */
    VR_ERROR_UNSUPPORTED = -7, /* a valid request that this build cannot serve */
    VR_ERROR_INCOMPLETE = -8,  /* done in part: the message says from where on something is missing */
} vr_status;

/* The message of this thread's last failure, "" before the first. Valid until this thread's next failing call. */
VR_API const char *vr_error(void);

#ifdef __cplusplus
}
#endif
#endif
