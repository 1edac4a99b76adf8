/* hdf5_values.h - elements of any HDF5 type, compared in memory.
 *
 * A plan says how to compare elements of two types: numbers by value within the tolerance; strings as text up to their
 * padding; enumerations by name; opaque and bit fields by their bytes; compounds member by member (paired by name),
 * arrays and variable-length sequences element by element (a different length is a difference); object references by
 * the path they lead to, region references by path and selection.
 */
#ifndef VA_HDF5_VALUES_H
#define VA_HDF5_VALUES_H

#include <hdf5.h>
#include <stdint.h>
#include <varanalyze/compare.h>

typedef struct va_h5_options {
    vr_tolerance tolerance;
    bool convert;    /* compare numbers of different types by value */
    bool statistics; /* a vr_comparison of each numeric dataset */
    bool follow;     /* read external and virtual datasets, whose data lies in other files */
    uint64_t stop;   /* after so many differing elements and objects; 0: never */
} va_h5_options;

#define VA_H5_VALUE 80 /* bytes of a value as text, cut with "..." */

/* What came of comparing the elements of one dataset or attribute; add to it part by part. Begin with
 * VA_H5_RESULT_INIT. */
typedef struct va_h5_result {
    uint64_t count;             /* elements compared */
    uint64_t different;         /* of these not the same, or not within the tolerance */
    uint64_t unequal;           /* of other bits or bytes; at least `different` */
    int64_t first;              /* row-major index of the first that is different; -1: none */
    char member[VA_H5_VALUE];   /* where in that element: "", ".x", ".pos[2].y" */
    char value[2][VA_H5_VALUE]; /* both values there */
    bool numeric;               /* the elements are numbers, or have some in them: what follows is of these */
    uint64_t nan_mismatch;      /* NaN on one side only */
    double max_abs, max_rel;    /* over differing pairs of finite numbers, as in vr_comparison */
    uint64_t max_ulp;           /* over differing pairs without NaN, of one type; integers: the difference */
    bool has_statistics;
    vr_comparison statistics;
} va_h5_result;

#define VA_H5_RESULT_INIT                                                                                              \
    {                                                                                                                  \
        .first = -1                                                                                                    \
    }

typedef struct va_plan va_plan;

/* A plan for elements of the file types `a` and `b`, `options` copied. Numbers can be compared when they are of one
 * type up to byte order, any two when options->convert; compounds with members of the same names, in any order; arrays
 * of one shape; strings, enumerations and variable-length sequences whatever their sizes. Fails with VR_ERROR_SHAPE
 * otherwise (the message says what differs: "f32 against f64"), VR_ERROR_UNSUPPORTED (elements of above 1 GiB, types
 * nested deeper than 64), VR_ERROR_FORMAT, VR_ERROR_MEMORY. */
vr_status va_plan_open(va_plan **out, hid_t a, hid_t b, const va_h5_options *options);
void va_plan_close(va_plan *plan);

/* The type to read side 0 or 1 as, in memory; belongs to the plan. */
hid_t va_plan_type(const va_plan *plan, int side);

/* Both sides are numbers of this one type in memory, so that vr_compare would do: else 0. */
vr_dtype va_plan_dtype(const va_plan *plan);

/* Elements hold pointers to memory that H5Dvlen_reclaim has to free. */
bool va_plan_has_variable(const va_plan *plan);

/* Comparing calls the library, to follow references: not from several threads at once. */
bool va_plan_has_references(const va_plan *plan);

/* Compares n elements, the first of which has the row-major index `index`, and adds to `result`. `files` are any
 * objects of the two files, for references. Stops early when result->different reaches options->stop. */
void va_plan_compare(const va_plan *plan, va_h5_result *result, const hid_t files[2], const void *a, const void *b,
                     uint64_t n, int64_t index);

/* An element of side 0 or 1 as text: numbers with as many digits as tell them apart, strings quoted. */
void va_plan_text(const va_plan *plan, int side, hid_t file, const void *element, char out[VA_H5_VALUE]);

/* A type in words: "f32", "i16, big-endian", "string of 8", "compound {x: f32, y: f32}". Cut to `size`. */
void va_h5_type_text(char *out, size_t size, hid_t type);

#endif
