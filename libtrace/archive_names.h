/* archive_names.h - under which names files are added to an archive. */
#ifndef VR_ARCHIVE_NAMES_H
#define VR_ARCHIVE_NAMES_H

#include "archive_impl.h"

/* Whether a member of this name can be written anywhere below a folder: relative, without empty, "." and ".."
 * components, except for leading "./". */
bool vr_name_is_inside(const char *name);

/* The names of `count` files in `archive`: `*out`, an array of as many strings, freed by vr_names_free. Fails with
 * VR_ERROR_ARGUMENT (not allowed, or taken), VR_ERROR_MEMORY. */
vr_status vr_names_choose(char ***out, vr_archive *archive, const vr_addition *files, uint64_t count, vr_taken taken);

/* NULL is fine. */
void vr_names_free(char **names, uint64_t count);

#endif
