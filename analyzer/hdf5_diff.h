/* hdf5_diff.h - two HDF5 files compared object by object: what only one has, and what differs in kind, type, shape,
 * value or attributes.
 *
 * Not compared are: maximal sizes, layouts, chunks, filters, fill values, the order of creation, times, and whether a
 * type is a named one. A difference in byte order, in the padding or size of strings, or in the order or numbers of an
 * enumeration's or compound's members is none of values, and only noted.
 */
#ifndef VA_HDF5_DIFF_H
#define VA_HDF5_DIFF_H

#include "hdf5_values.h"
#include "hdf5_walk.h"

#include <jansson.h>
#include <stdio.h>
#include <varanalyze/source.h>

typedef struct va_h5_diff_options {
    va_h5_options values; /* `stop` is after so many differing elements and objects of the whole file */
    va_h5_filter filter;
    bool no_attributes;
    uint64_t most; /* differing objects to be kept; 0: all. What there is to say of more takes memory for each */
} va_h5_diff_options;

#define VA_H5_DIFF_SHOWN 20 /* differing objects, as text without --all */

#define VA_H5_DIFF_OPTIONS_INIT                                                                                        \
    {                                                                                                                  \
        .values.tolerance = VR_TOLERANCE_INIT                                                                          \
    }

/* In what a pair differs. */
enum {
    VA_H5_ONE_SIDED = 1,
    VA_H5_OTHER_KIND = 2,
    VA_H5_OTHER_TYPE = 4,
    VA_H5_OTHER_SHAPE = 8,
    VA_H5_OTHER_VALUES = 16,
    VA_H5_OTHER_TARGET = 32, /* of a link */
};

/* A pair of objects or attributes of which there is something to say. Texts are NULL where there is nothing. */
typedef struct va_h5_finding {
    unsigned reasons; /* 0: the same; there is a note, or statistics */
    va_h5_kind kind[2];
    char *path[2];
    char *type[2], *shape[2], *target[2];
    char *note;           /* of types: in which member they differ, or how though values can be compared */
    va_h5_result *values; /* NULL: not compared */
    int rank;
    hsize_t *first; /* coordinates of values->first */
} va_h5_finding;

typedef struct va_h5_tally {
    uint64_t compared;  /* pairs */
    uint64_t different; /* of these */
    uint64_t only[2];
} va_h5_tally;

typedef struct va_h5_diff {
    const char *names[2];
    va_h5_tally objects, attributes;
    uint64_t elements, different, unequal; /* as in va_h5_result, of all pairs */
    bool stopped;                          /* at options.values.stop: there may be more */
    va_h5_finding *findings;
    size_t count, room;
    uint64_t kept, left_out; /* differing objects among the findings, and beyond options.most */
} va_h5_diff;

/* Compares two open files, whose sources must outlive the result. Fails with VR_ERROR_FORMAT (the message names file
 * and object), VR_ERROR_ARGUMENT (--map names what is not there; the filter selects nothing), VR_ERROR_UNSUPPORTED,
 * VR_ERROR_IO, VR_ERROR_MEMORY. */
vr_status va_h5_diff_run(va_h5_diff **out, const hid_t files[2], const vr_source *const sources[2],
                         const va_h5_diff_options *options);
void va_h5_diff_free(va_h5_diff *diff);

/* Whether nothing at all differs, beyond the tolerance. */
bool va_h5_diff_is_same(const va_h5_diff *diff);

/* The result on `out`, in three formats (hdf5_render.c); csv: a row for each differing object and attribute. */
void va_h5_diff_text(FILE *out, const va_h5_diff *diff, const va_h5_diff_options *options, bool color);
json_t *va_h5_diff_json(const va_h5_diff *diff);
void va_h5_diff_csv_header(FILE *out);
void va_h5_diff_csv(FILE *out, const va_h5_diff *diff);

#endif
