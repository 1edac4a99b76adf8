/* version.h - what the code that vrcc makes depends on besides sources and command line. */
#ifndef VRCC_VERSION_H
#define VRCC_VERSION_H

#include "options.h"

/* Prints it: the digest of vrcc and its files, the clang at `clang`, VRCC_FLAGS. The exit code. */
int vrcc_put_version(const vrcc_options *options, const char *clang);

#endif
