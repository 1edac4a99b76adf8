/* rewrite.h - gives the functions of a module their further bodies.
 *
 * Each function with arithmetic becomes a few instructions that look at its record (runtime.h) and go on in one of its
 * bodies. The plain one is left exactly as the compiler made it, so that a program that rounds to nearest computes the
 * same bits as without vrcc, at hardly any cost. The others are made in modules of their own, in which alone
 * passes run, and are then linked in.
 */
#ifndef VRCC_REWRITE_H
#define VRCC_REWRITE_H

#include "instrument.h"
#include "items.h"

#include <stdio.h>

typedef struct vrcc_choice {
    vrcc_items only, exclude; /* of what is instrumented at all */
    bool has_only;
    unsigned groups; /* vrcc_group */
    bool is_json;    /* the report is */
    bool strips;     /* debug information is only there for vrcc */
    bool inlines;    /* some arithmetic is inlined; else (no optimization wanted) all is calls */
} vrcc_choice;

/* Instruments `module`, compiled from `file`; writes what was found and done to `report`, when that is not NULL. Fails
 * with VR_ERROR_UNSUPPORTED: LLVM finds the outcome malformed. */
vr_status vrcc_rewrite(LLVMModuleRef module, const vrcc_arithmetic *arithmetic, vrcc_choice *choice, const char *file,
                       FILE *report);

#endif
