/* cmd_diff.h - what the two halves of `varanalyze diff` share: one for traces, one for any other HDF5 files. */
#ifndef VA_CMD_DIFF_H
#define VA_CMD_DIFF_H

#include "command.h"
#include "diff.h"
#include "hdf5_diff.h"

typedef struct va_diff_settings {
    va_diff_options diff;       /* traces */
    va_h5_diff_options objects; /* any other files; its tolerance is that of `diff` */
    va_format format;
    const char *output;
    bool quiet;
    bool hdf5;              /* traces are files like others */
    const char *for_traces; /* an option that was given and is for traces only, or NULL; likewise below */
    const char *for_objects;
} va_diff_settings;

/* Reads the options; the filter's lists have room for argc words. 0; 'h' when help was asked for; '?' when something is
 * wrong that getopt has said, -1 when vr_error() says it. */
int va_diff_parse(va_diff_settings *settings, int argc, char **argv);

/* A file to be compared. */
typedef struct va_diff_input {
    vr_source source;
    hid_t file;    /* -1: read as a trace */
    bool is_trace; /* by its format attribute, or a journal */
} va_diff_input;

/* Opens the file behind a name and finds out what it is; one that is not a trace, or any with `hdf5`, is open for the
 * HDF5 library too. The source of a run that was killed, whose journal is left, is empty. Fails with VR_ERROR_IO,
 * VR_ERROR_FORMAT (not HDF5). */
vr_status va_diff_input_open(va_diff_input *out, const char *name, bool hdf5);
void va_diff_input_close(va_diff_input *input);

/* Compares the first of `count` files, which are not traces, with each of the others; whether all are the same. */
vr_status va_diff_objects(const va_diff_input *inputs, int count, const va_diff_settings *settings, bool *same);

#endif
