/* instrument.h - puts other arithmetic in the place of a function's. */
#ifndef VRCC_INSTRUMENT_H
#define VRCC_INSTRUMENT_H

#include "classify.h"
#include "runtime.h"

#include <varanalyze/status.h>

/* arithmetic.c as bitcode, for targets with and without a fused multiply-add. */
typedef struct vrcc_arithmetic {
    LLVMContextRef context;
    LLVMModuleRef plain, fma;
} vrcc_arithmetic;

/* Reads NAME.bc and NAME-fma.bc. Fails with VR_ERROR_IO or VR_ERROR_FORMAT: a file is not there, is
 * not bitcode of this version, or holds what cannot be widened. */
vr_status vrcc_arithmetic_load(vrcc_arithmetic *out, LLVMContextRef context, const char *name);

void vrcc_arithmetic_free(vrcc_arithmetic *arithmetic);

/* Replaces those operations of `function` that bear a place (places.h) by calls through the table of the body that
 * `record`, its vrcc_function, says (NULL: always that of calls, which name the place to the runtime); `inlines`: some
 * as calls of functions of the module that are to be inlined (the pass always-inline does it). Whether any is. */
bool vrcc_instrument(const vrcc_arithmetic *arithmetic, LLVMValueRef function, LLVMValueRef record, bool inlines);

#endif
