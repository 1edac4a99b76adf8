/* widen.h - a function of one lane, written out for vectors. */
#ifndef VRCC_WIDEN_H
#define VRCC_WIDEN_H

#include <llvm-c/Core.h>
#include <stdbool.h>

/* The type, or a vector of `lanes` of them where that is more than 0. */
LLVMTypeRef vrcc_wide_type(LLVMTypeRef scalar, unsigned lanes);

/* Whether vrcc_widen can write out `source`: one block of arithmetic, comparisons, conversions, selections and
 * intrinsics. */
bool vrcc_can_widen(LLVMValueRef source);

/* Writes what `source` computes where the builder stands, for scalars (lanes 0) or vectors, in `module`; the result.
 * All arguments are that wide but the last, which is the same for all lanes. No instruction has fast-math flags. */
LLVMValueRef vrcc_widen(LLVMBuilderRef builder, LLVMModuleRef module, LLVMValueRef source,
                        const LLVMValueRef *arguments, unsigned lanes);

#endif
