/* options.h - what is said to vrcc itself: options that begin with --vr-, on the command line and in VRCC_FLAGS. */
#ifndef VRCC_OPTIONS_H
#define VRCC_OPTIONS_H

#include "command.h"
#include "rewrite.h"

typedef struct vrcc_options {
    const char *only, *exclude; /* lists of items (items.h); NULL: none given */
    unsigned groups;            /* vrcc_group: what is instrumented */
    bool is_json;               /* the report is */
    const char *report;         /* a file that reports are added to, "-" for standard error; NULL: none */
    bool quiet;                 /* no word about objects that are not instrumented */
    bool help, version;
    vrcc_command words; /* all others: clang's */
    vrcc_command own;
    char directory[4096]; /* where the runtime is */
} vrcc_options;

/* Fails with a message in vr_error(). */
bool vrcc_options_read(vrcc_options *out, int argc, char **argv);

/* Prints the usage; 0. */
int vrcc_options_help(void);
void vrcc_options_free(vrcc_options *options);

/* Removes a directory and the files in it; "" is none. */
void vrcc_remove_directory(const char *path);

#endif
