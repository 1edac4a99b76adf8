/* request.h - what vrcc asks of the pass (pass.c), which runs in another process: a file of words, each with a NUL. */
#ifndef VRCC_REQUEST_H
#define VRCC_REQUEST_H

#include "options.h"

#include <varanalyze/status.h>

#define VRCC_REQUEST "VRCC_REQUEST" /* the variable that names the file */

typedef struct vrcc_request {
    vrcc_options options; /* its directory and what is said to vrcc; not what is said to clang */
    vrcc_command job;     /* clang's compilation */
    char *bitcode;        /* the file to be rewritten */
} vrcc_request;

/* Fails with VR_ERROR_IO. */
vr_status vrcc_request_write(const char *path, const vrcc_options *options, const vrcc_command *job,
                             const char *bitcode);

/* Fails with VR_ERROR_IO or VR_ERROR_FORMAT. */
vr_status vrcc_request_read(vrcc_request *out, const char *path);

void vrcc_request_free(vrcc_request *request);

#endif
