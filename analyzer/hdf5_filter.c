/* Lists of names, and which paths are compared. */
#include "hdf5_walk.h"

#include <fnmatch.h>
#include <formats/fail.h>
#include <stdlib.h>
#include <string.h>

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "comparing two files: out of memory");
}

/* ---- names ---- */

vr_status va_h5_add_name(va_h5_names *names, const char *name)
{
    if (names->count == names->room) {
        const size_t room = names->room ? 2 * names->room : 16;
        char **grown = realloc(names->names, room * sizeof *grown);
        if (!grown)
            return no_memory();
        names->names = grown;
        names->room = room;
    }
    names->names[names->count] = strdup(name);
    return names->names[names->count++] ? VR_OK : no_memory();
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void va_h5_sort_names(va_h5_names *names)
{
    if (names->count)
        qsort(names->names, names->count, sizeof *names->names, compare_names);
}

void va_h5_free_names(va_h5_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names->names);
    *names = (va_h5_names){0};
}

/* ---- filters ---- */

static bool matches(char *const *patterns, size_t count, const char *path)
{
    for (size_t i = 0; i < count; i++)
        if (fnmatch(patterns[i], path, 0) == 0)
            return true;
    return false;
}

bool va_h5_excluded(const va_h5_filter *filter, const char *path)
{
    return matches(filter->exclude, filter->exclude_count, path);
}

bool va_h5_selected(const va_h5_filter *filter, const char *path, bool selected)
{
    return selected || matches(filter->include, filter->include_count, path);
}
