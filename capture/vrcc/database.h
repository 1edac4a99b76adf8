/* database.h - clang's -MJ: a line of a compilation database for each source, which clang does not write when it is
 * only asked for its commands. */
#ifndef VRCC_DATABASE_H
#define VRCC_DATABASE_H

#include "jobs.h"

/* Writes what -MJ among `words`, clang's options, asks for. Fails with VR_ERROR_IO and VR_ERROR_MEMORY. */
vr_status vrcc_write_database(const vrcc_command *words, const vrcc_jobs *jobs);

#endif
