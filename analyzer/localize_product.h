/* localize_product.h - what a run produces, and how many bits of it are those of the run without noise.
 *
 * A product is what the run wrote to standard output, or files that it left in its folder: text, in which numbers are
 * held against numbers and what stands between them has to be the same; a trace (NAME.h5), tensor by tensor; or, where
 * an element type is given, an array of such elements.
 *
 * Bits are those of va_bits_of_error, the general method of sigbits_element.h. Of text, the precision is what is
 * printed: the bits of the most decimal digits that a number has, 52 at most, 52 where all are integers.
 * Two numbers that differ by one unit of the last place that is printed count as equal: so printing can part what is
 * the same but for the last bit.
 */
#ifndef VA_LOCALIZE_PRODUCT_H
#define VA_LOCALIZE_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <varanalyze/dtype.h>

typedef struct va_product_rule {
    char *const *patterns; /* globs in the run's folder, NULL at the end; none: standard output, the file "out" */
    bool raw;              /* files are arrays of `dtype` */
    vr_dtype dtype;
    double floor; /* a number below it counts as one of its size; 0: none does */
} va_product_rule;

/* How near a run is to the reference. */
typedef struct va_kept {
    double bits;   /* the least of all numbers that differ; where none does, their precision */
    int digits;    /* the precision where that is */
    double share;  /* the least of bits over precision: 1, all are the same */
    char why[200]; /* what else differs, or the number that has the least share; "": nothing does */
} va_kept;

typedef struct va_products va_products;

/* Reads the products of the run that is the reference; `rule` outlives them. Fails with VR_ERROR_FORMAT (no file
 * matches; no number in any; not a trace), VR_ERROR_IO, VR_ERROR_MEMORY. */
vr_status va_products_open(va_products **out, const char *folder, const va_product_rule *rule);
void va_products_close(va_products *products);

/* Holds the products of the run in `folder` against the reference. What cannot be read is no bits, and the reason.
 * Fails with VR_ERROR_MEMORY alone. */
vr_status va_products_compare(va_kept *out, va_products *reference, const char *folder);

#endif
