/* jobs.h - what clang would do for a command line, by its own words: clang -### prints the commands it would run. */
#ifndef VRCC_JOBS_H
#define VRCC_JOBS_H

#include "command.h"

#include <varanalyze/status.h>

typedef struct vrcc_jobs {
    vrcc_command *list;
    size_t count;
    char *headings; /* what clang says of itself first, NULL without */
    char *messages; /* its warnings about the command line, NULL without */
} vrcc_jobs;

/* Whether a job is the compiler's own that ends in machine code, which is where vrcc comes in between. */
bool vrcc_is_compilation(const vrcc_command *job);

/* Whether it is the same for a target that vrcc has no runtime for: one that is not of 64 bits and ELF. */
bool vrcc_is_foreign(const vrcc_command *job);

/* Whether a job is the compiler's own that ends in bitcode. */
bool vrcc_is_bitcode(const vrcc_command *job);

/* Whether a job is a linker. */
bool vrcc_is_link(const vrcc_command *job);

/* Parses what -### printed: commands, clang's headings, and its messages. Fails with VR_ERROR_FORMAT and
 * VR_ERROR_MEMORY. */
vr_status vrcc_jobs_parse(vrcc_jobs *out, const char *text);

/* Writes a job to standard error as clang -v does, which CMake and libtool read. */
void vrcc_job_put(const vrcc_command *job);

void vrcc_jobs_free(vrcc_jobs *jobs);

#endif
