#include "widen.h"

#include <stdlib.h>

#define MAX_OPERANDS 4
#define MAX_LANES    1024

/* Where each value of the source went. A value that is the same in all lanes stays a scalar. */
typedef struct mapped {
    LLVMValueRef from, to;
    bool uniform;
} mapped;

typedef struct widening {
    LLVMBuilderRef builder;
    LLVMModuleRef module;
    unsigned lanes;
    mapped *values;
    size_t count;
} widening;

LLVMTypeRef vrcc_wide_type(LLVMTypeRef scalar, unsigned lanes)
{
    return lanes ? LLVMVectorType(scalar, lanes) : scalar;
}

static bool is_intrinsic_call(LLVMValueRef instruction)
{
    const LLVMValueRef callee = LLVMGetCalledValue(instruction);
    return LLVMIsAFunction(callee) && LLVMGetIntrinsicID(callee) != 0;
}

static bool can_widen_instruction(LLVMValueRef instruction)
{
    if (LLVMIsAUnaryOperator(instruction) || LLVMIsABinaryOperator(instruction) || LLVMIsACastInst(instruction))
        return true;
    switch (LLVMGetInstructionOpcode(instruction)) {
    case LLVMICmp:
    case LLVMFCmp:
    case LLVMSelect:
    case LLVMFreeze:
    case LLVMRet:
        return true;
    case LLVMCall:
        return is_intrinsic_call(instruction);
    default:
        return false;
    }
}

bool vrcc_can_widen(LLVMValueRef source)
{
    if (LLVMCountBasicBlocks(source) != 1)
        return false;
    LLVMValueRef at = LLVMGetFirstInstruction(LLVMGetEntryBasicBlock(source));
    for (; at; at = LLVMGetNextInstruction(at))
        if (!can_widen_instruction(at) || LLVMGetTypeKind(LLVMTypeOf(at)) == LLVMVectorTypeKind)
            return false;
    return true;
}

static LLVMValueRef splat(const widening *w, LLVMValueRef scalar)
{
    LLVMValueRef lanes[MAX_LANES];
    if (LLVMIsConstant(scalar)) {
        for (unsigned i = 0; i < w->lanes; i++)
            lanes[i] = scalar;
        return LLVMConstVector(lanes, w->lanes);
    }
    const LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(scalar), w->lanes);
    const LLVMTypeRef i32 = LLVMInt32TypeInContext(LLVMGetModuleContext(w->module));
    const LLVMValueRef none = LLVMGetUndef(type), mask = LLVMConstNull(LLVMVectorType(i32, w->lanes));
    const LLVMValueRef first = LLVMBuildInsertElement(w->builder, none, scalar, LLVMConstNull(i32), "");
    return LLVMBuildShuffleVector(w->builder, first, none, mask, "");
}

static mapped find(const widening *w, LLVMValueRef value)
{
    for (size_t i = w->count; i-- > 0;)
        if (w->values[i].from == value)
            return w->values[i];
    return (mapped){value, value, true}; /* a constant */
}

static void map(widening *w, LLVMValueRef from, LLVMValueRef to, bool uniform)
{
    w->values[w->count++] = (mapped){from, to, uniform};
}

static LLVMValueRef write_call(const widening *w, LLVMValueRef call, LLVMValueRef *operands, unsigned count,
                               bool scalar)
{
    const unsigned id = LLVMGetIntrinsicID(LLVMGetCalledValue(call));
    LLVMTypeRef type = vrcc_wide_type(LLVMTypeOf(call), scalar ? 0 : w->lanes);
    const LLVMValueRef function = LLVMGetIntrinsicDeclaration(w->module, id, &type, 1);
    return LLVMBuildCall2(w->builder, LLVMGlobalGetValueType(function), function, operands, count, "");
}

static LLVMValueRef write_instruction(const widening *w, LLVMValueRef from, LLVMValueRef *x, unsigned count,
                                      bool scalar)
{
    const LLVMOpcode opcode = LLVMGetInstructionOpcode(from);
    if (LLVMIsABinaryOperator(from))
        return LLVMBuildBinOp(w->builder, opcode, x[0], x[1], "");
    if (LLVMIsACastInst(from))
        return LLVMBuildCast(w->builder, opcode, x[0], vrcc_wide_type(LLVMTypeOf(from), scalar ? 0 : w->lanes), "");
    switch (opcode) {
    case LLVMFNeg:
        return LLVMBuildFNeg(w->builder, x[0], "");
    case LLVMICmp:
        return LLVMBuildICmp(w->builder, LLVMGetICmpPredicate(from), x[0], x[1], "");
    case LLVMFCmp:
        return LLVMBuildFCmp(w->builder, LLVMGetFCmpPredicate(from), x[0], x[1], "");
    case LLVMSelect:
        return LLVMBuildSelect(w->builder, x[0], x[1], x[2], "");
    case LLVMFreeze:
        return LLVMBuildFreeze(w->builder, x[0], "");
    default:
        return write_call(w, from, x, count, scalar);
    }
}

/* Whether an intrinsic's operand is a number that stays one: "is zero poison" and the like. */
static bool is_immediate(LLVMValueRef instruction, LLVMValueRef operand)
{
    return LLVMIsACallInst(instruction) && LLVMIsConstant(operand) && LLVMTypeOf(operand) != LLVMTypeOf(instruction);
}

static void widen_instruction(widening *w, LLVMValueRef from)
{
    LLVMValueRef operands[MAX_OPERANDS];
    mapped found[MAX_OPERANDS];
    const unsigned count = LLVMIsACallInst(from) ? LLVMGetNumArgOperands(from) : (unsigned)LLVMGetNumOperands(from);
    bool uniform = w->lanes == 0;
    if (!uniform) {
        uniform = true;
        for (unsigned i = 0; i < count; i++)
            uniform &= find(w, LLVMGetOperand(from, i)).uniform;
    }
    for (unsigned i = 0; i < count; i++) {
        found[i] = find(w, LLVMGetOperand(from, i));
        const bool is_scalar = uniform || !found[i].uniform || is_immediate(from, found[i].from);
        operands[i] = is_scalar ? found[i].to : splat(w, found[i].to);
    }
    map(w, from, write_instruction(w, from, operands, count, uniform), uniform);
}

static size_t count_instructions(LLVMBasicBlockRef block)
{
    size_t count = 0;
    for (LLVMValueRef at = LLVMGetFirstInstruction(block); at; at = LLVMGetNextInstruction(at))
        count++;
    return count;
}

LLVMValueRef vrcc_widen(LLVMBuilderRef builder, LLVMModuleRef module, LLVMValueRef source,
                        const LLVMValueRef *arguments, unsigned lanes)
{
    const LLVMBasicBlockRef block = LLVMGetEntryBasicBlock(source);
    const unsigned parameters = LLVMCountParams(source);
    widening w = {.builder = builder, .module = module, .lanes = lanes};
    w.values = calloc(count_instructions(block) + parameters, sizeof *w.values);
    if (!w.values || lanes > MAX_LANES)
        abort();
    for (unsigned i = 0; i < parameters; i++)
        map(&w, LLVMGetParam(source, i), arguments[i], lanes == 0 || i + 1 == parameters);
    LLVMValueRef at = LLVMGetFirstInstruction(block);
    for (; !LLVMIsAReturnInst(at); at = LLVMGetNextInstruction(at))
        widen_instruction(&w, at);
    const mapped result = find(&w, LLVMGetOperand(at, 0));
    const LLVMValueRef out = lanes && result.uniform ? splat(&w, result.to) : result.to;
    free(w.values);
    return out;
}
