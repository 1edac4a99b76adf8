/* compile.h - one source file on its way to an object. */
#ifndef VRCC_COMPILE_H
#define VRCC_COMPILE_H

#include "jobs.h"
#include "options.h"

/* Does a job of clang's (vrcc_is_compilation) with the arithmetic exchanged; `temporary` is a directory for files in
 * between. The exit code; messages are printed. */
int vrcc_compile(const vrcc_command *job, const vrcc_options *options, const char *temporary);

/* What has clang's compiler proper say which function and line of the source each instruction is of: the first word,
 * and in C++ all of them. */
#define VRCC_PLACES_WORDS 4
extern const char *const vrcc_places_words[VRCC_PLACES_WORDS];

/* The part of that behind the optimizer, which has written `bitcode`; the file is written over. */
int vrcc_compile_bitcode(const vrcc_command *job, const vrcc_options *options, const char *bitcode);

/* Removes what a step that failed was to write, if that is a file, as clang does: make would take an old one for it. */
void vrcc_remove_output(const char *path);

#endif
