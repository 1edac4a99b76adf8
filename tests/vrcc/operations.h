/* operations.h - arithmetic on arrays as a program might write it, compiled by vrcc; check_operations.c and its friends
 * know what is right. */
#ifndef VRCC_TEST_OPERATIONS_H
#define VRCC_TEST_OPERATIONS_H

#include <stdbool.h>
#include <stddef.h>

#define ROUND_TO 1680 /* n is a multiple of all widths */

typedef void array_function(const void *a, const void *b, const void *c, void *out, size_t n);

typedef enum operation_kind {
    EACH,    /* of elements; `split`: a * b + c as a product and a sum */
    ORDERED, /* a reduction of `lanes` elements of a, from one of b on; the result in the place of the first */
    PAIRS,   /* the same by halves, as long as there are any */
    ATOMIC,  /* on c, which the result shows */
} operation_kind;

typedef struct operation_entry {
    const char *name;
    int op;      /* vr_operation */
    bool is_f64; /* else f32 */
    bool split;
    array_function *function;
    operation_kind kind;
    unsigned lanes;
} operation_entry;

extern const operation_entry operation_entries[]; /* operations.c */
extern const size_t operation_entry_count;
extern const operation_entry ir_entries[]; /* operations_ir.c */
extern const size_t ir_entry_count;

/* Operations on half, in bits. */
typedef struct half_entry {
    const char *name;
    int op;
    array_function *function;
} half_entry;

extern const half_entry half_entries[];
extern const size_t half_entry_count;

/* conversions.c: from a type to another, and comparisons of which the results are -1, 0 or 1; types as in vr_dtype. */
typedef struct conversion_entry {
    const char *name;
    int from, to; /* to: that of the operands where it is a comparison */
    bool compares;
    array_function *function;
} conversion_entry;

extern const conversion_entry conversion_entries[];
extern const size_t conversion_entry_count;
extern const bool conversion_has_nan; /* else a comparison of NaN gives anything */

#endif
