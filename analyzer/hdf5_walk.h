/* hdf5_walk.h - the objects of two HDF5 files, paired by their paths.
 *
 * Groups are gone through side by side, in the order of their names; what a group of one file holds that the other's
 * does not is met there. Soft, external and user-defined links are met as links, and not followed. A pair of objects
 * that has been met before, by other hard links, is not met again. Memory is for the groups on the way down and for
 * which pairs were met.
 */
#ifndef VA_HDF5_WALK_H
#define VA_HDF5_WALK_H

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>
#include <varanalyze/status.h>

typedef enum va_h5_kind {
    VA_H5_NOTHING,
    VA_H5_GROUP,
    VA_H5_DATASET,
    VA_H5_DATATYPE,
    VA_H5_SOFT_LINK,
    VA_H5_EXTERNAL_LINK,
    VA_H5_USER_LINK,
    VA_H5_ATTRIBUTE,
    VA_H5_UNKNOWN, /* of a newer library */
} va_h5_kind;

/* "group", "dataset", "soft link"... */
const char *va_h5_kind_name(va_h5_kind kind);

/* Which paths are compared. Patterns are globs of the whole path, a '*' matches '/' too; one that matches a group is
 * meant of all below, too. An attribute is "/path@name". */
typedef struct va_h5_filter {
    char **include, **exclude; /* no `include`: everything */
    size_t include_count, exclude_count;
    char **map; /* "OLD=NEW": OLD of the first file is paired with NEW of the second */
    size_t map_count;
} va_h5_filter;

/* One side of a pair. */
typedef struct va_h5_object {
    va_h5_kind kind;
    const char *path;
    hid_t id;           /* of an object, open; -1 of a link */
    const char *target; /* of a link: what it says */
} va_h5_object;

/* Called for each pair; one side may be VA_H5_NOTHING. `selected`: by the filter; when not, some of its attributes may
 * be. Anything but VR_OK ends the walk, which returns it. */
typedef vr_status (*va_h5_visit)(void *context, const va_h5_object pair[2], bool selected);

/* Goes through two open files, called `names` in messages. Fails with VR_ERROR_FORMAT (damaged; groups nested deeper
 * than 1000), VR_ERROR_ARGUMENT (what is to be mapped is not there, or not OLD=NEW), VR_ERROR_MEMORY. */
vr_status va_h5_walk(const hid_t files[2], const char *const names[2], const va_h5_filter *filter, va_h5_visit visit,
                     void *context);

/* Whether `path`, in an object that is `selected` or not, is selected. */
bool va_h5_selected(const va_h5_filter *filter, const char *path, bool selected);

/* Whether `path` is left out, and all below it. */
bool va_h5_excluded(const va_h5_filter *filter, const char *path);

/* Names in the order of strcmp, the caller's to empty. */
typedef struct va_h5_names {
    char **names;
    size_t count, room;
} va_h5_names;

vr_status va_h5_add_name(va_h5_names *names, const char *name);
void va_h5_sort_names(va_h5_names *names);
void va_h5_free_names(va_h5_names *names);

#endif
