/* direct.h - the common command line, one source to one object, without asking clang first what it would do. */
#ifndef VRCC_DIRECT_H
#define VRCC_DIRECT_H

#include "compile.h"

/* Compiles by the clang command line `clang`, when that is -c with one source and options that are known to mean
 * nothing but how it is compiled; then *code is the exit code. Otherwise nothing is done and the result is false. */
bool vrcc_compile_directly(int *code, const vrcc_command *clang, const vrcc_options *options, const char *temporary);

#endif
