#include "operation.h"

#include "table.h"

#include <string.h>

int vrcc_operand_count(vr_operation op)
{
    return op == VR_SQRT ? 1 : op == VR_FMA ? 3 : 2;
}

static LLVMContextRef context_of(const vrcc_emitter *e)
{
    return e->arithmetic->context;
}

static LLVMValueRef i32(const vrcc_emitter *e, unsigned value)
{
    return LLVMConstInt(LLVMInt32TypeInContext(context_of(e)), value, false);
}

LLVMValueRef vrcc_runtime_function(const vrcc_emitter *e, const char *name, LLVMTypeRef result, LLVMTypeRef *parameters,
                                   unsigned count)
{
    LLVMValueRef function = LLVMGetNamedFunction(e->module, name);
    if (function)
        return function;
    function = LLVMAddFunction(e->module, name, LLVMFunctionType(result, parameters, count, false));
    LLVMSetVisibility(function, LLVMHiddenVisibility);
    const unsigned nounwind = LLVMGetEnumAttributeKindForName("nounwind", 8);
    LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(context_of(e), nounwind, 0));
    return function;
}

static LLVMValueRef call(LLVMBuilderRef builder, LLVMValueRef function, LLVMValueRef *arguments, unsigned count)
{
    return LLVMBuildCall2(builder, LLVMGlobalGetValueType(function), function, arguments, count, "");
}

LLVMBuilderRef vrcc_entry_builder(const vrcc_emitter *e, LLVMValueRef function)
{
    const LLVMBuilderRef builder = LLVMCreateBuilderInContext(context_of(e));
    const LLVMBasicBlockRef block = LLVMGetEntryBasicBlock(function);
    const LLVMValueRef first = LLVMGetFirstInstruction(block);
    if (first)
        LLVMPositionBuilderBefore(builder, first);
    else
        LLVMPositionBuilderAtEnd(builder, block);
    LLVMSetCurrentDebugLocation2(builder, NULL);
    return builder;
}

static LLVMTypeRef f32_of(const vrcc_emitter *e)
{
    return LLVMFloatTypeInContext(context_of(e));
}

/* Types narrower than f32 are handed over as f32, which holds them, and come back so. */
static LLVMValueRef emit_narrow(vrcc_emitter *e, vr_operation op, LLVMTypeRef type, const LLVMValueRef x[3])
{
    const LLVMTypeRef f32 = f32_of(e);
    LLVMValueRef arguments[6] = {e->place, i32(e, op), i32(e, vrcc_dtype_of(type))};
    LLVMTypeRef types[6] = {LLVMTypeOf(e->place), LLVMTypeOf(arguments[1]), LLVMTypeOf(arguments[2]), f32, f32, f32};
    for (int i = 0; i < 3; i++)
        arguments[3 + i] = i < vrcc_operand_count(op) ? vrcc_to_f32(e, x[i]) : LLVMConstNull(f32);
    const LLVMValueRef function = vrcc_runtime_function(e, "vrcc_call_narrow", f32, types, 6);
    return vrcc_from_f32(e, call(e->builder, function, arguments, 6), type);
}

static LLVMValueRef emit_narrow_lanes(vrcc_emitter *e, vr_operation op, LLVMTypeRef type, unsigned lanes,
                                      const LLVMValueRef x[3])
{
    if (lanes == 0)
        return emit_narrow(e, op, type, x);
    LLVMValueRef out = LLVMGetUndef(LLVMVectorType(type, lanes));
    for (unsigned lane = 0; lane < lanes; lane++) {
        LLVMValueRef one[3] = {NULL, NULL, NULL};
        for (int i = 0; i < vrcc_operand_count(op); i++)
            one[i] = LLVMBuildExtractElement(e->builder, x[i], i32(e, lane), "");
        out = LLVMBuildInsertElement(e->builder, out, emit_narrow(e, op, type, one), i32(e, lane), "");
    }
    return out;
}

LLVMValueRef vrcc_emit_operation(vrcc_emitter *e, vr_operation op, LLVMTypeRef type, unsigned lanes,
                                 const LLVMValueRef x[3])
{
    return vrcc_is_narrow(type) ? emit_narrow_lanes(e, op, type, lanes, x)
                                : vrcc_emit_table_call(e, op, type, lanes, x);
}
