/* operation.h - writes one rounded operation. */
#ifndef VRCC_OPERATION_H
#define VRCC_OPERATION_H

#include "instrument.h"

#define VRCC_MAX_LANES 1024

/* Where in which function operations are written. */
typedef struct vrcc_emitter {
    const vrcc_arithmetic *arithmetic;
    LLVMModuleRef module;
    LLVMValueRef function;
    LLVMValueRef record; /* the function's; NULL: it has none, and only the body of calls */
    LLVMValueRef place;  /* of what is written next */
    LLVMBuilderRef builder;
    bool has_fma;
    bool inlines;       /* what is written next is to be inlined, for SR */
    LLVMValueRef body;  /* what the record says where the function begins, loaded when first needed */
    LLVMValueRef table; /* likewise: the table of that body */
} vrcc_emitter;

int vrcc_operand_count(vr_operation op);

/* What a function of the runtime is handed: the elements' type, as vr_dtype has it. */
vr_dtype vrcc_dtype_of(LLVMTypeRef element);

/* A builder where a function begins; what it writes is of no line. */
LLVMBuilderRef vrcc_entry_builder(const vrcc_emitter *e, LLVMValueRef function);

/* A function of the runtime, declared in e->module when it is not yet. */
LLVMValueRef vrcc_runtime_function(const vrcc_emitter *e, const char *name, LLVMTypeRef result, LLVMTypeRef *parameters,
                                   unsigned count);

/* The operation on x[0] ... where the builder stands: scalars (lanes 0) or vectors of `type`. */
LLVMValueRef vrcc_emit_operation(vrcc_emitter *e, vr_operation op, LLVMTypeRef type, unsigned lanes,
                                 const LLVMValueRef x[3]);

/* What only the runtime does: conversions of x, comparisons (x[0] and x[1] are brought to the precision that the
 * environment says), operations on what is at an address, which give what was there before. */
LLVMValueRef vrcc_emit_conversion(vrcc_emitter *e, vrcc_site site, LLVMValueRef x);
void vrcc_emit_compared(vrcc_emitter *e, vrcc_site site, LLVMValueRef x[2]);
LLVMValueRef vrcc_emit_atomic(vrcc_emitter *e, vrcc_site site, LLVMValueRef address, LLVMValueRef x);

/* half or bfloat of an f32 that is a number of theirs, and back. */
LLVMValueRef vrcc_from_f32(const vrcc_emitter *e, LLVMValueRef x, LLVMTypeRef to);
LLVMValueRef vrcc_to_f32(const vrcc_emitter *e, LLVMValueRef x);

#endif
