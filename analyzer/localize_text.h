/* localize_text.h - the numbers in a text, and what stands between them. */
#ifndef VA_LOCALIZE_TEXT_H
#define VA_LOCALIZE_TEXT_H

#include "localize_product.h"

typedef struct va_text_number {
    double value;
    double unit;   /* of the last place that is printed; 0: the number is exact, as an integer is */
    uint64_t line; /* from 1 */
} va_text_number;

typedef struct va_text {
    va_text_number *numbers;
    size_t count, room;
    int decimals; /* the most decimal digits that a number has; 0: all are integers */
    char *words;  /* the text: blanks made one, one byte that no text has for each number */
} va_text;

/* Finds the numbers in `length` bytes. A number begins where no letter, digit, '_' or '.' stands before it: decimal or
 * hexadecimal, with or without an exponent, or inf, nan. Fails with VR_ERROR_MEMORY. */
vr_status va_text_read(va_text *out, const char *bytes, size_t length);
void va_text_free(va_text *text);

/* The precision of numbers with so many digits, in bits. */
int va_text_digits(int decimals);

/* Adds to `kept` how near a text is to the reference. */
void va_text_compare(va_kept *kept, const va_text *reference, const va_text *text, double floor, const char *name);

/* Adds one number: the least is kept. True: it is the least so far. */
bool va_kept_number(va_kept *kept, double bits, int digits);

/* The number that has the least share: x in place of y. */
void va_kept_tell(va_kept *kept, const char *where, double x, double y);

/* No bits are kept, for a reason; the first one stays. */
void va_kept_nothing(va_kept *kept, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The bits of x against y where what is below `floor` counts as one of its size. */
double va_bits_above(double x, double y, double floor, int digits);

#endif
