#include "fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char message[1024];

const char *vr_error(void)
{
    return message;
}

vr_status vr_fail(vr_status status, const char *format, ...)
{
    char text[sizeof message]; /* the arguments may point into the old message */
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(message, text, sizeof message);
    return status;
}

vr_status vr_fail_errno(int error, const char *format, ...)
{
    char text[768], buffer[128];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return vr_fail(VR_ERROR_IO, "%s: %s", text,
                   strerror_r(error, buffer, sizeof buffer)); /* GNU's, that returns the text */
}
