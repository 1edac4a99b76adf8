/* fail.h - how the toolkit's own code reports a failure. */
#ifndef VR_FAIL_H
#define VR_FAIL_H

#include <varanalyze/status.h>

/* Sets this thread's message and returns `status`, so that a caller can write `return vr_fail(...)`. */
VR_API vr_status vr_fail(vr_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for a failed system call: appends ": " and the text of `error`, an errno value. */
VR_API vr_status vr_fail_errno(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
