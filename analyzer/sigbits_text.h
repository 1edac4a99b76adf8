/* sigbits_text.h - how bits are written, in tables and in JSON. */
#ifndef VA_SIGBITS_TEXT_H
#define VA_SIGBITS_TEXT_H

#include "command.h"
#include "sigbits_tensor.h"

/* "17.3"; "17" of whole bits; "23+": the type has no more; "-": unknown. */
#define VA_BITS_TEXT 16
const char *va_bits_text(char out[VA_BITS_TEXT], double bits, int digits, bool whole);

/* A number, or null where there is none. */
json_t *va_json_number(double value);

/* A number as a CSV field, empty where there is none. */
void va_csv_number(FILE *out, double value);

/* Who is held against whom, how sure the figures are, and whether the runs are enough for that: lines of text, members
 * of a JSON object. `run` is the name of a reference that is a run; `noun`: of the samples, "run". */
void va_bits_head_text(FILE *out, const va_bits_options *options, double exact, const char *run, int samples,
                       const char *noun, bool general);
void va_bits_head_json(json_t *object, const va_bits_options *options, double exact, const char *run, int samples,
                       bool general);

/* What is to be said of counts, as "3 constant, 1 saturated"; "" when nothing is. */
#define VA_BITS_NOTES 256
const char *va_bits_notes(char out[VA_BITS_NOTES], const va_tally *counts, bool general);

#endif
