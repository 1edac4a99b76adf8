/* link.h - the linker's turn. */
#ifndef VRCC_LINK_H
#define VRCC_LINK_H

#include "jobs.h"
#include "options.h"

/* Does a linker's job with the runtime added, unless the output is to be linked again. Says which of its inputs are not
 * instrumented; objects in `temporary` were made by one of `jobs`, and are called by its source. The exit code. */
int vrcc_link(const vrcc_command *job, const vrcc_jobs *jobs, const vrcc_options *options, const char *temporary);

#endif
