/* sigbits_columns.h - the bits of numbers that a program prints: one sample a line, one scalar a column. */
#ifndef VA_SIGBITS_COLUMNS_H
#define VA_SIGBITS_COLUMNS_H

#include "sigbits_element.h"

#include <jansson.h>
#include <stdio.h>

typedef struct va_column {
    va_bits bits;
    double mean, least, most; /* of the samples */
    int within, bits_within;  /* so many errors are within 2^-bits_within: the bits of CNH, rounded down */
} va_column;

typedef struct va_columns {
    va_bits_options options;
    double exact;
    bool general;
    vr_dtype dtype;  /* whose precision the samples have */
    double at_least; /* bits asked for; negative: none */
    int samples;
    size_t count, too_few; /* columns; of these, with fewer bits */
    va_column *columns;
} va_columns;

/* Reads lines of as many numbers each, separated by blanks or commas, to the end; empty lines do not count. What is to
 * be done with them stands in `out`: options, exact, general, dtype, at_least. `name` is the file's in messages. Fails
 * with VR_ERROR_FORMAT (no number; another number of columns; the message has the line), VR_ERROR_ARGUMENT (too few
 * samples), VR_ERROR_IO, VR_ERROR_MEMORY. */
vr_status va_columns_read(va_columns *out, FILE *in, const char *name);
void va_columns_free(va_columns *columns);

void va_columns_text(FILE *out, const va_columns *columns);
json_t *va_columns_json(const va_columns *columns);
void va_columns_csv(FILE *out, const va_columns *columns);

#endif
