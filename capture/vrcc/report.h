/* report.h - what vrcc instrumented of a file, and what not. */
#ifndef VRCC_REPORT_H
#define VRCC_REPORT_H

#include "classify.h"
#include "places.h"

#include <stdio.h>

/* How a function is instrumented. */
typedef enum vrcc_way {
    VRCC_WITHOUT,  /* there is nothing to do, or the function is not emitted here */
    VRCC_BODIES,   /* it has several bodies */
    VRCC_IN_PLACE, /* its only body calls the runtime: it cannot be copied (variable arguments, addresses of blocks) */
    VRCC_EXCLUDED, /* by the user, in all its places */
    VRCC_NAKED,    /* it is written in assembler */
} vrcc_way;

/* Operations of a function of the source: as instructions, so a vector's is one. */
typedef struct vrcc_tally {
    unsigned operations[VR_OPERATIONS], multiply_add, reductions, atomics, conversions, comparisons;
    unsigned in_vectors;    /* of all those */
    unsigned instrumented;  /* their sum */
    unsigned left, library; /* left alone; calls of libraries */
} vrcc_tally;

/* An instruction that is left alone, or a call of a library. */
typedef struct vrcc_exception {
    unsigned place;
    bool is_library;
    char *reason, *instruction; /* a library's function; NULL: a call says no more than that */
} vrcc_exception;

/* What a file's report says. */
typedef struct vrcc_found {
    const char *file;
    vrcc_places *places;
    vrcc_tally *by_source; /* of functions of the source, by their numbers */
    size_t source_count;
    vrcc_exception *exceptions;
    size_t exception_count;
    vrcc_tally all;
    unsigned groups;         /* that were asked for */
    unsigned unasked[2];     /* conversions and comparisons in groups that were not */
    unsigned in_place_count; /* functions that are instrumented in place */
} vrcc_found;

/* Looks at a module whose operations bear their places; `ways` of the functions that have bodies, in its order. No
 * memory ends the program. */
vrcc_found vrcc_report_find(LLVMModuleRef module, const vrcc_way *ways, unsigned groups, const char *file);
void vrcc_report_free(vrcc_found *found);

/* In percent, of all operations that were asked for. */
double vrcc_report_coverage(const vrcc_tally *tally);

/* For people; as one line of JSON. */
void vrcc_report_text(FILE *out, const vrcc_found *found);
void vrcc_report_json(FILE *out, const vrcc_found *found);

#endif
