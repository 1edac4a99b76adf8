#include "entries.h"

#include "table.h"
#include "widen.h"

#include <stdio.h>
#include <string.h>

#define MAX_NAME 64

static const char *const names[VRCC_OPERATIONS] = {"add", "sub", "mul", "div", "sqrt", "fma"};

/* a - b is a + (-b), as it is in the words that are drawn for it. */
LLVMValueRef vrcc_arithmetic_find(const vrcc_arithmetic *arithmetic, vr_operation op, bool is_f64, enum vrcc_body body,
                                  bool fma, bool fine)
{
    char name[MAX_NAME];
    snprintf(name, sizeof name, "vrcc_%s_%s_%s%s%s", names[op == VR_SUB ? VR_ADD : op], is_f64 ? "f64" : "f32",
             body == VRCC_SR ? "sr" : "ud", fine ? "_fine" : "", fma ? "_fma" : "");
    return LLVMGetNamedFunction(fma ? arithmetic->fma : arithmetic->plain, name);
}

static LLVMContextRef context_of(const vrcc_emitter *e)
{
    return e->arithmetic->context;
}

static LLVMValueRef i32(const vrcc_emitter *e, unsigned value)
{
    return LLVMConstInt(LLVMInt32TypeInContext(context_of(e)), value, false);
}

static LLVMTypeRef bytes_pointer(const vrcc_emitter *e)
{
    return LLVMPointerType(LLVMInt8TypeInContext(context_of(e)), 0);
}

static bool is_f64(LLVMTypeRef type)
{
    return LLVMGetTypeKind(type) == LLVMDoubleTypeKind;
}

static const char *const of_target[] = {"target-cpu", "target-features", "tune-cpu", "min-legal-vector-width",
                                        "prefer-vector-width"};

static LLVMAttributeRef target_attribute(const vrcc_emitter *e, size_t i)
{
    return LLVMGetStringAttributeAtIndex(e->function, LLVMAttributeFunctionIndex, of_target[i],
                                         (unsigned)strlen(of_target[i]));
}

static LLVMBasicBlockRef add_block(const vrcc_emitter *e, LLVMValueRef function)
{
    return LLVMAppendBasicBlockInContext(context_of(e), function, "");
}

static LLVMValueRef call(LLVMBuilderRef builder, LLVMValueRef function, LLVMValueRef *arguments, unsigned count)
{
    return LLVMBuildCall2(builder, LLVMGlobalGetValueType(function), function, arguments, count, "");
}

/* ---- calls of the runtime ---- */

static LLVMValueRef pointer_at(const vrcc_emitter *e, LLVMBuilderRef builder, LLVMValueRef memory, size_t offset,
                               LLVMTypeRef type)
{
    LLVMValueRef index = LLVMConstInt(LLVMInt64TypeInContext(context_of(e)), offset, false);
    const LLVMValueRef at = LLVMBuildGEP2(builder, LLVMInt8TypeInContext(context_of(e)), memory, &index, 1, "");
    return LLVMBuildBitCast(builder, at, LLVMPointerType(type, 0), "");
}

/* Room for vectors that are handed over in memory. */
static LLVMValueRef make_scratch(const vrcc_emitter *e, LLVMBuilderRef builder, size_t bytes)
{
    const LLVMTypeRef type = LLVMArrayType(LLVMInt8TypeInContext(context_of(e)), (unsigned)bytes);
    const LLVMValueRef memory = LLVMBuildAlloca(builder, type, "");
    LLVMSetAlignment(memory, sizeof(double));
    return LLVMBuildBitCast(builder, memory, bytes_pointer(e), "");
}

/* name(head, operation, lanes, memory): the operands one after the other in memory, the result in the first's place. */
static LLVMValueRef call_on_memory(const vrcc_emitter *e, LLVMBuilderRef builder, const char *name, LLVMValueRef head,
                                   vr_operation op, LLVMTypeRef element, unsigned lanes, const LLVMValueRef x[3])
{
    const LLVMTypeRef vector = LLVMVectorType(element, lanes);
    const size_t size = is_f64(element) ? sizeof(double) : sizeof(float);
    const unsigned operands = (unsigned)vrcc_operand_count(op);
    const LLVMValueRef memory = make_scratch(e, builder, operands * lanes * size);
    for (unsigned i = 0; i < operands; i++) {
        const LLVMValueRef at = pointer_at(e, builder, memory, (size_t)i * lanes * size, vector);
        LLVMSetAlignment(LLVMBuildStore(builder, x[i], at), sizeof(double));
    }
    LLVMValueRef arguments[] = {head, i32(e, op), i32(e, lanes), memory};
    LLVMTypeRef types[] = {LLVMTypeOf(head), LLVMTypeOf(arguments[1]), LLVMTypeOf(arguments[2]), bytes_pointer(e)};
    const LLVMTypeRef nothing = LLVMVoidTypeInContext(context_of(e));
    call(builder, vrcc_runtime_function(e, name, nothing, types, 4), arguments, 4);
    const LLVMValueRef result = LLVMBuildLoad2(builder, vector, pointer_at(e, builder, memory, 0, vector), "");
    LLVMSetAlignment(result, sizeof(double));
    return result;
}

/* name(head, operation, a, b, c) */
static LLVMValueRef call_on_scalars(const vrcc_emitter *e, LLVMBuilderRef builder, const char *name, LLVMValueRef head,
                                    vr_operation op, LLVMTypeRef type, const LLVMValueRef x[3])
{
    LLVMValueRef arguments[5] = {head, i32(e, op)};
    LLVMTypeRef types[5] = {LLVMTypeOf(head), LLVMTypeOf(arguments[1]), type, type, type};
    for (int i = 0; i < 3; i++)
        arguments[2 + i] = i < vrcc_operand_count(op) ? x[i] : LLVMConstNull(type);
    return call(builder, vrcc_runtime_function(e, name, type, types, 5), arguments, 5);
}

/* vrcc_call_f32(site, ...) and the like, or vrcc_slow_f32(mode, ...). */
static LLVMValueRef call_runtime(const vrcc_emitter *e, LLVMBuilderRef builder, enum vrcc_body body, LLVMValueRef site,
                                 vr_operation op, LLVMTypeRef type, unsigned lanes, const LLVMValueRef x[3])
{
    char name[MAX_NAME];
    snprintf(name, sizeof name, "vrcc_%s_%s%s", body == VRCC_CALLS ? "call" : "slow", lanes > 1 ? "lanes_" : "",
             is_f64(type) ? "f64" : "f32");
    const LLVMValueRef mode = i32(e, body == VRCC_SR ? VR_ROUND_SR : VR_ROUND_UD);
    const LLVMValueRef head = body == VRCC_CALLS ? site : mode;
    return lanes > 1 ? call_on_memory(e, builder, name, head, op, type, lanes, x)
                     : call_on_scalars(e, builder, name, head, op, type, x);
}

/* ---- the arithmetic ---- */

/* vrcc_keys[op], which never changes. */
static LLVMValueRef load_keys(const vrcc_emitter *e, LLVMBuilderRef builder, vr_operation op)
{
    const LLVMContextRef context = context_of(e);
    const LLVMTypeRef i64 = LLVMInt64TypeInContext(context), array = LLVMArrayType(i64, VRCC_OPERATIONS);
    LLVMValueRef global = LLVMGetNamedGlobal(e->module, "vrcc_keys");
    if (!global) {
        global = LLVMAddGlobal(e->module, array, "vrcc_keys");
        LLVMSetVisibility(global, LLVMHiddenVisibility);
    }
    LLVMValueRef index[] = {i32(e, 0), i32(e, op == VR_SUB ? VR_ADD : op)};
    const LLVMValueRef at = LLVMBuildInBoundsGEP2(builder, array, global, index, 2, "");
    const LLVMValueRef keys = LLVMBuildLoad2(builder, i64, at, "");
    const LLVMMetadataRef empty = LLVMMDNodeInContext2(context, NULL, 0);
    LLVMSetMetadata(keys, LLVMGetMDKindIDInContext(context, "invariant.load", 14), LLVMMetadataAsValue(context, empty));
    return keys;
}

static LLVMValueRef all_lanes(const vrcc_emitter *e, LLVMBuilderRef builder, LLVMValueRef condition, unsigned lanes)
{
    if (lanes <= 1)
        return condition;
    const LLVMTypeRef bits = LLVMIntTypeInContext(context_of(e), lanes);
    const LLVMValueRef mask = LLVMBuildBitCast(builder, condition, bits, "");
    return LLVMBuildICmp(builder, LLVMIntEQ, mask, LLVMConstAllOnes(bits), "");
}

/* The second way is the one hardly ever taken. */
static void weigh_branch(const vrcc_emitter *e, LLVMValueRef branch)
{
    const LLVMContextRef context = context_of(e);
    LLVMMetadataRef parts[] = {LLVMMDStringInContext2(context, "branch_weights", 14),
                               LLVMValueAsMetadata(i32(e, 1u << 20)), LLVMValueAsMetadata(i32(e, 1))};
    const LLVMMetadataRef node = LLVMMDNodeInContext2(context, parts, 3);
    LLVMSetMetadata(branch, LLVMGetMDKindIDInContext(context, "prof", 4), LLVMMetadataAsValue(context, node));
}

/* What arithmetic.c computes, and a branch to where it is taken if it holds in all lanes, else to `slow`. */
static LLVMValueRef write_arithmetic(const vrcc_emitter *e, LLVMBuilderRef builder, vr_operation op, LLVMTypeRef type,
                                     unsigned lanes, enum vrcc_body body, const LLVMValueRef x[3],
                                     LLVMBasicBlockRef fine, LLVMBasicBlockRef slow)
{
    LLVMValueRef arguments[4], written[2]; /* the value, and whether that is fine */
    const unsigned count = (unsigned)vrcc_operand_count(op);
    for (unsigned i = 0; i < count; i++)
        arguments[i] = x[i];
    if (op == VR_SUB)
        arguments[1] = LLVMBuildFNeg(builder, x[1], "");
    arguments[count] = load_keys(e, builder, op);
    for (int i = 0; i < 2; i++) {
        const LLVMValueRef source = vrcc_arithmetic_find(e->arithmetic, op, is_f64(type), body, e->has_fma, i == 1);
        written[i] = vrcc_widen(builder, e->module, source, arguments, lanes > 1 ? lanes : 0);
    }
    weigh_branch(e, LLVMBuildCondBr(builder, all_lanes(e, builder, written[1], lanes), fine, slow));
    return written[0];
}

static void add_attribute(const vrcc_emitter *e, LLVMValueRef function, const char *name)
{
    const unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(context_of(e), kind, 0));
}

/* What a function is inlined into must not lose the width of vectors that it may use. */
static void copy_target(const vrcc_emitter *e, LLVMValueRef to)
{
    for (size_t i = 0; i < sizeof of_target / sizeof *of_target; i++)
        if (target_attribute(e, i))
            LLVMAddAttributeAtIndex(to, LLVMAttributeFunctionIndex, target_attribute(e, i));
}

static LLVMValueRef add_function(const vrcc_emitter *e, const char *name, LLVMTypeRef type)
{
    const LLVMValueRef function = LLVMAddFunction(e->module, name, type);
    LLVMSetLinkage(function, LLVMInternalLinkage);
    add_attribute(e, function, "nounwind");
    return function;
}

/* What arithmetic.c does not hold for, apart from it, so that it needs no stack. */
static LLVMValueRef write_calls(const vrcc_emitter *e, const char *name, vr_operation op, LLVMTypeRef type,
                                unsigned lanes, enum vrcc_body body)
{
    const LLVMValueRef function = add_function(e, name, vrcc_entry_type(context_of(e), op, type, lanes));
    const LLVMBuilderRef builder = LLVMCreateBuilderInContext(context_of(e));
    LLVMValueRef x[3] = {NULL, NULL, NULL};
    for (int i = 0; i < vrcc_operand_count(op); i++)
        x[i] = LLVMGetParam(function, 1 + (unsigned)i);
    add_attribute(e, function, "noinline");
    LLVMPositionBuilderAtEnd(builder, add_block(e, function));
    LLVMBuildRet(builder, call_runtime(e, builder, body, LLVMGetParam(function, 0), op, type, lanes, x));
    LLVMDisposeBuilder(builder);
    return function;
}

LLVMValueRef vrcc_write_entry(const vrcc_emitter *e, const char *name, vr_operation op, LLVMTypeRef type,
                              unsigned lanes, enum vrcc_body body)
{
    if (body == VRCC_CALLS)
        return write_calls(e, name, op, type, lanes, body);
    char slow_name[2 * MAX_NAME];
    snprintf(slow_name, sizeof slow_name, "%s_slow", name);
    const LLVMValueRef otherwise = write_calls(e, slow_name, op, type, lanes, body);
    const LLVMValueRef function = add_function(e, name, vrcc_entry_type(context_of(e), op, type, lanes));
    const LLVMBuilderRef builder = LLVMCreateBuilderInContext(context_of(e));
    const unsigned operands = (unsigned)vrcc_operand_count(op);
    LLVMValueRef all[4];
    LLVMGetParams(function, all);
    const LLVMBasicBlockRef begin = add_block(e, function), fine = add_block(e, function),
                            slow = add_block(e, function);
    LLVMPositionBuilderAtEnd(builder, begin);
    const LLVMValueRef value = write_arithmetic(e, builder, op, type, lanes, body, all + 1, fine, slow);
    LLVMPositionBuilderAtEnd(builder, fine);
    LLVMBuildRet(builder, value);
    LLVMPositionBuilderAtEnd(builder, slow);
    const LLVMValueRef result = call(builder, otherwise, all, 1 + operands);
    LLVMSetTailCall(result, true);
    LLVMBuildRet(builder, result);
    LLVMDisposeBuilder(builder);
    return function;
}

/* (site, body, entry, operands...) */
static LLVMTypeRef inline_type(const vrcc_emitter *e, vr_operation op, LLVMTypeRef type)
{
    LLVMTypeRef types[6] = {bytes_pointer(e), LLVMInt8TypeInContext(context_of(e)), bytes_pointer(e), type, type, type};
    return LLVMFunctionType(type, types, 3 + (unsigned)vrcc_operand_count(op), false);
}

static LLVMValueRef call_given(const vrcc_emitter *e, LLVMBuilderRef builder, vr_operation op, LLVMTypeRef type,
                               const LLVMValueRef *parameters)
{
    const LLVMTypeRef function = vrcc_entry_type(context_of(e), op, type, 1);
    LLVMValueRef arguments[4] = {parameters[0]};
    for (int i = 0; i < vrcc_operand_count(op); i++)
        arguments[1 + i] = parameters[3 + i];
    const LLVMValueRef entry = LLVMBuildBitCast(builder, parameters[2], LLVMPointerType(function, 0), "");
    return LLVMBuildCall2(builder, function, entry, arguments, 1 + (unsigned)vrcc_operand_count(op), "");
}

LLVMValueRef vrcc_inline_entry(const vrcc_emitter *e, vr_operation op, LLVMTypeRef type)
{
    char name[2 * MAX_NAME]; /* functions of a module may be compiled for different targets */
    snprintf(name, sizeof name, "vrcc.%s.%s.%p.%p", names[op], is_f64(type) ? "f64" : "f32",
             (void *)target_attribute(e, 1), (void *)target_attribute(e, 3));
    LLVMValueRef function = LLVMGetNamedFunction(e->module, name), all[6];
    if (function)
        return function;
    function = add_function(e, name, inline_type(e, op, type));
    add_attribute(e, function, "alwaysinline");
    copy_target(e, function);
    LLVMGetParams(function, all);
    const LLVMBuilderRef builder = LLVMCreateBuilderInContext(context_of(e));
    const LLVMBasicBlockRef begin = add_block(e, function), sr = add_block(e, function), calls = add_block(e, function),
                            end = add_block(e, function);
    LLVMPositionBuilderAtEnd(builder, begin);
    const LLVMValueRef is_sr =
        LLVMBuildICmp(builder, LLVMIntEQ, all[1], LLVMConstInt(LLVMTypeOf(all[1]), VRCC_SR, false), "");
    LLVMBuildCondBr(builder, is_sr, sr, calls);
    LLVMPositionBuilderAtEnd(builder, sr);
    LLVMValueRef values[2] = {write_arithmetic(e, builder, op, type, 1, VRCC_SR, all + 3, end, calls)};
    LLVMPositionBuilderAtEnd(builder, calls);
    values[1] = call_given(e, builder, op, type, all);
    LLVMBuildBr(builder, end);
    LLVMPositionBuilderAtEnd(builder, end);
    const LLVMValueRef result = LLVMBuildPhi(builder, type, "");
    LLVMBasicBlockRef from[] = {sr, calls};
    LLVMAddIncoming(result, values, from, 2);
    LLVMBuildRet(builder, result);
    LLVMDisposeBuilder(builder);
    return function;
}
