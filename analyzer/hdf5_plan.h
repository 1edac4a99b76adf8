/* hdf5_plan.h - the inside of a plan: a tree of nodes that follows both types, with the place of each part in an
 * element of either side. */
#ifndef VA_HDF5_PLAN_H
#define VA_HDF5_PLAN_H

#include "hdf5_values.h"

typedef enum va_node_kind {
    VA_NODE_NUMBER, /* of one type in memory */
    VA_NODE_MIXED,  /* numbers of two types, or too wide for a dtype: compared as long doubles, which hold them exactly
                     */
    VA_NODE_BYTES,  /* opaque, bit field, time, a number that fits nothing the machine has */
    VA_NODE_ENUM,   /* by name */
    VA_NODE_STRING, /* of fixed size or variable */
    VA_NODE_COMPOUND, /* members: children */
    VA_NODE_ARRAY,    /* elements: one child */
    VA_NODE_SEQUENCE, /* variable length, elements: one child */
    VA_NODE_OBJECT,   /* an object reference */
    VA_NODE_REGION,   /* a region reference */
} va_node_kind;

/* A value of an enumeration; equal names of both sides have one `id`. */
typedef struct va_enumerator {
    uint64_t value;
    uint32_t id;
    char *name;
} va_enumerator;

/* What one side's enumeration says, sorted by value. */
typedef struct va_enumeration {
    va_enumerator *values;
    uint32_t count;
    bool big_endian, is_signed;
} va_enumeration;

typedef struct va_node {
    va_node_kind kind;
    bool bitwise;              /* equal bytes are equal values */
    char *name;                /* of a member, or NULL */
    size_t offset[2], size[2]; /* bytes in memory; the offset is that in the compound */
    hid_t type[2];             /* in memory */
    vr_dtype dtype[2];         /* numbers; 0: long double */
    bool variable[2];          /* strings */
    H5T_str_t pad[2];          /* strings of fixed size */
    va_enumeration enumeration[2];
    int rank; /* arrays */
    hsize_t dims[H5S_MAX_RANK];
    uint64_t length;
    struct va_node *children;
    size_t child_count;
} va_node;

struct va_plan {
    va_node root;
    va_h5_options options;
    bool has_variable, has_references, has_numbers;
};

/* A number as it is in memory: hdf5_number.c. */
#define VA_NUMBER_TEXT 48

/* Whether two numbers of one dtype are the same within the tolerance; adds to the result what sets them apart when
 * their bits differ, and then sets `unequal`. As vr_compare has it. */
bool va_same_number(va_h5_result *result, const vr_tolerance *tolerance, vr_dtype dtype, const void *a, const void *b,
                    bool *unequal);

/* The same of any two numbers; equal when their values are, NaNs when they are of the same payload, and of two floats
 * zeros of the same sign. */
bool va_same_mixed(va_h5_result *result, const vr_tolerance *tolerance, const vr_dtype dtype[2], const void *a,
                   const void *b, bool *unequal);

/* As a double, rounded when it has to be. */
double va_number_f64(vr_dtype dtype, const void *at);

/* With the fewest digits that tell it from its neighbours; a NaN other than the usual one with its bits. */
void va_number_text(char out[VA_NUMBER_TEXT], vr_dtype dtype, const void *at);

/* The native type that holds every value of a file's number type, its dtype (0: long double) and its id, to be closed.
 * Negative when there is none. */
hid_t va_number_type(hid_t file, vr_dtype *dtype);

/* Whether two number types are one up to byte order and padding. */
bool va_same_number_type(hid_t a, hid_t b);

/* A string in an element. */
typedef struct va_string {
    const char *bytes;
    size_t length;
} va_string;

va_string va_string_at(const va_node *node, int side, const void *element);

/* Reads the tables of both sides of an enumeration, whose types and sizes are known. */
vr_status va_enum_read(va_node *node, const hid_t files[2]);

/* The number an element is; what it is called there, or NULL; whether two have one name, or none and one number. */
uint64_t va_enum_value(const va_node *node, int side, const void *element);
const va_enumerator *va_enum_find(const va_enumeration *table, uint64_t value);
bool va_enum_same(const va_node *node, const void *a, const void *b);

/* Where a reference leads: the path of an object in the file, "" where it has none, NULL where it leads nowhere; and
 * the selected region, "" of object references. */
typedef struct va_reference {
    char *path, *region;
} va_reference;

va_reference va_reference_open(const va_node *node, hid_t file, const void *element);
void va_reference_close(va_reference *reference);

/* An element of a node as text, strings and bytes from `skip` on. */
void va_node_text(const va_node *node, int side, hid_t file, const void *element, size_t skip, char out[VA_H5_VALUE]);

#endif
