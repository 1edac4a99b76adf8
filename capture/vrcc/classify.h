/* classify.h - which instructions are arithmetic, and what becomes of each. */
#ifndef VRCC_CLASSIFY_H
#define VRCC_CLASSIFY_H

#include <llvm-c/Core.h>
#include <stdbool.h>
#include <varanalyze/rounding.h>

typedef enum vrcc_kind {
    VRCC_NO_ARITHMETIC, /* or arithmetic that never rounds: a negation, a remainder, a comparison */
    VRCC_OPERATION,     /* `op` on the first operands */
    VRCC_MULTIPLY_ADD,  /* llvm.fmuladd: an fma where the target has one, else a product and a sum */
    VRCC_REDUCTION,     /* `op` over operand 0 and all lanes of operand 1 */
    VRCC_ATOMIC,        /* `op` on a number in memory and operand 1; the value is what was there before */
    VRCC_CONVERSION,    /* of operand 0, of type `from` */
    VRCC_COMPARISON,    /* of the first two operands */
    VRCC_LEFT_ALONE,    /* arithmetic that is not instrumented; `reason` says why */
    VRCC_LIBRARY_CALL,  /* of a mathematical function, which rounds as its library does; `reason` is its name */
} vrcc_kind;

/* What a user asks for together. */
typedef enum vrcc_group { VRCC_ARITHMETIC = 1, VRCC_CONVERSIONS = 2, VRCC_COMPARISONS = 4 } vrcc_group;

typedef struct vrcc_site {
    vrcc_kind kind;
    vrcc_group group; /* of what is not VRCC_NO_ARITHMETIC */
    vr_operation op;
    const char *reason; /* static, or the module's */
    LLVMTypeRef type;   /* of an element */
    LLVMTypeRef from;   /* of a conversion: a floating-point type, or an integer's */
    unsigned lanes;     /* 0: a scalar */
    bool is_unsigned;   /* the integer */
    bool has_errno;     /* a call that may set errno stays, its result unused */
} vrcc_site;

vrcc_site vrcc_classify(LLVMValueRef instruction);

/* Whether an operation is one that can be instrumented, and of one of these groups. */
bool vrcc_is_wanted(const vrcc_site *site, unsigned groups);

/* Whether arithmetic on a type is instrumented, and whether it is narrower than f32. */
bool vrcc_is_type(LLVMTypeRef element);
bool vrcc_is_narrow(LLVMTypeRef element);

#endif
