#include "instrument.h"

#include "operation.h"
#include "places.h"
#include "recurrences.h"
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Operations that wait for each other are inlined, up to so many a function: a call, and what it spills, would wait
 * too. */
#define MOST_INLINED 10

/* Of the target that a function is compiled for. */
static bool has_fma(LLVMValueRef function)
{
    const char *triple = LLVMGetTarget(LLVMGetGlobalParent(function));
    if (strncmp(triple, "aarch64", 7) == 0 || strncmp(triple, "arm64", 5) == 0)
        return true;
    return vrcc_has_feature(function, "fma");
}

/* Where nothing fuses, llvm.fmuladd is a product and a sum. */
static void split_multiply_adds(LLVMValueRef function)
{
    const LLVMBuilderRef builder = LLVMCreateBuilderInContext(LLVMGetTypeContext(LLVMTypeOf(function)));
    LLVMValueRef next;
    for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(function); block; block = LLVMGetNextBasicBlock(block)) {
        for (LLVMValueRef at = LLVMGetFirstInstruction(block); at; at = next) {
            unsigned place;
            next = LLVMGetNextInstruction(at);
            if (!vrcc_places_marked(at, &place) || vrcc_classify(at).kind != VRCC_MULTIPLY_ADD)
                continue;
            LLVMPositionBuilderBefore(builder, at);
            const LLVMValueRef product = LLVMBuildFMul(builder, LLVMGetOperand(at, 0), LLVMGetOperand(at, 1), "");
            const LLVMValueRef sum = LLVMBuildFAdd(builder, product, LLVMGetOperand(at, 2), "");
            vrcc_places_mark(product, place);
            vrcc_places_mark(sum, place);
            LLVMReplaceAllUsesWith(at, sum);
            LLVMInstructionEraseFromParent(at);
        }
    }
    LLVMDisposeBuilder(builder);
}

typedef struct found_site {
    LLVMValueRef instruction;
    vrcc_site site;
    unsigned place;
} found_site;

static size_t find_sites(LLVMValueRef function, found_site *out)
{
    size_t count = 0;
    for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(function); block; block = LLVMGetNextBasicBlock(block)) {
        for (LLVMValueRef at = LLVMGetFirstInstruction(block); at; at = LLVMGetNextInstruction(at)) {
            unsigned place;
            if (!vrcc_places_marked(at, &place))
                continue;
            if (out)
                out[count] = (found_site){at, vrcc_classify(at), place};
            count++;
        }
    }
    return count;
}

/* Flags are not in LLVM's C API before version 18, but in its text in all. */
static bool may_reassociate(LLVMValueRef instruction)
{
    char *text = LLVMPrintValueToString(instruction);
    const bool may = strstr(text, " reassoc ") || strstr(text, " fast ");
    LLVMDisposeMessage(text);
    return may;
}

/* The lower (part 0) or upper half of a vector. */
static LLVMValueRef half_of(const vrcc_emitter *e, LLVMValueRef vector, unsigned lanes, unsigned part)
{
    const LLVMTypeRef i32 = LLVMInt32TypeInContext(e->arithmetic->context);
    LLVMValueRef mask[VRCC_MAX_LANES];
    for (unsigned i = 0; i < lanes / 2; i++)
        mask[i] = LLVMConstInt(i32, part * (lanes / 2) + i, false);
    return LLVMBuildShuffleVector(e->builder, vector, LLVMGetUndef(LLVMTypeOf(vector)),
                                  LLVMConstVector(mask, lanes / 2), "");
}

static LLVMValueRef lane_of(const vrcc_emitter *e, LLVMValueRef vector, unsigned lane)
{
    const LLVMTypeRef i32 = LLVMInt32TypeInContext(e->arithmetic->context);
    return LLVMBuildExtractElement(e->builder, vector, LLVMConstInt(i32, lane, false), "");
}

/* Halves are combined where the program allows it, as the plain code does, and lanes one after the other else. */
static LLVMValueRef emit_reduction(vrcc_emitter *e, LLVMValueRef instruction, vrcc_site site)
{
    LLVMValueRef start = LLVMGetOperand(instruction, 0), vector = LLVMGetOperand(instruction, 1);
    unsigned lanes = site.lanes;
    const bool pairs = may_reassociate(instruction);
    for (; pairs && lanes > 1 && lanes % 2 == 0; lanes /= 2) {
        const LLVMValueRef x[3] = {half_of(e, vector, lanes, 0), half_of(e, vector, lanes, 1)};
        vector = vrcc_emit_operation(e, site.op, site.type, lanes / 2, x);
    }
    LLVMBool lost;
    const double neutral = site.op == VR_ADD ? 0 : 1;
    const bool is_neutral = LLVMIsAConstantFP(start) && LLVMConstRealGetDouble(start, &lost) == neutral;
    LLVMValueRef sum = is_neutral ? lane_of(e, vector, 0) : start;
    for (unsigned lane = is_neutral; lane < lanes; lane++) {
        const LLVMValueRef x[3] = {sum, lane_of(e, vector, lane)};
        sum = vrcc_emit_operation(e, site.op, site.type, 0, x);
    }
    return sum;
}

static LLVMValueRef emit_site(vrcc_emitter *e, const found_site *found)
{
    const vrcc_site site = found->site;
    if (site.kind == VRCC_REDUCTION)
        return emit_reduction(e, found->instruction, site);
    if (site.kind == VRCC_CONVERSION)
        return vrcc_emit_conversion(e, site, LLVMGetOperand(found->instruction, 0));
    if (site.kind == VRCC_ATOMIC)
        return vrcc_emit_atomic(e, site, LLVMGetOperand(found->instruction, 0), LLVMGetOperand(found->instruction, 1));
    LLVMValueRef x[3] = {NULL, NULL, NULL};
    const int operands = vrcc_operand_count(site.op);
    for (int i = 0; i < operands; i++)
        x[i] = LLVMGetOperand(found->instruction, (unsigned)i);
    return vrcc_emit_operation(e, site.op, site.type, site.lanes, x);
}

/* A fused multiply-add that no library is asked for any more, a square root whose error number a program may look at.
 */
static void replace(vrcc_emitter *e, const found_site *found)
{
    LLVMPositionBuilderBefore(e->builder, found->instruction);
    const LLVMValueRef value = emit_site(e, found);
    LLVMReplaceAllUsesWith(found->instruction, value);
    if (!found->site.has_errno && !LLVMIsAInvokeInst(found->instruction))
        LLVMInstructionEraseFromParent(found->instruction);
    else if (LLVMIsACallInst(found->instruction))
        LLVMSetTailCall(found->instruction, false); /* its result is not what is returned any more */
}

static void replace_operands(vrcc_emitter *e, const found_site *found)
{
    LLVMPositionBuilderBefore(e->builder, found->instruction);
    LLVMValueRef x[2] = {LLVMGetOperand(found->instruction, 0), LLVMGetOperand(found->instruction, 1)};
    vrcc_emit_compared(e, found->site, x);
    LLVMSetOperand(found->instruction, 0, x[0]);
    LLVMSetOperand(found->instruction, 1, x[1]);
}

/* What would let the code generator change the arithmetic that was put in. */
static void remove_unsafe_attributes(LLVMValueRef function)
{
    static const char *const names[] = {"unsafe-fp-math",     "no-infs-fp-math",         "no-nans-fp-math",
                                        "less-precise-fpmad", "no-signed-zeros-fp-math", "approx-func-fp-math",
                                        "denormal-fp-math",   "denormal-fp-math-f32",    "reciprocal-estimates"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        LLVMRemoveStringAttributeAtIndex(function, LLVMAttributeFunctionIndex, names[i], (unsigned)strlen(names[i]));
}

bool vrcc_instrument(const vrcc_arithmetic *arithmetic, LLVMValueRef function, LLVMValueRef record, bool inlines)
{
    if (!has_fma(function))
        split_multiply_adds(function);
    const size_t count = find_sites(function, NULL);
    found_site *sites = calloc(count + 1, sizeof *sites);
    if (!sites)
        abort();
    vrcc_recurrences recurrences;
    vrcc_recurrences_find(&recurrences, function, inlines ? MOST_INLINED : 0);
    find_sites(function, sites);
    vrcc_emitter e = {.arithmetic = arithmetic, .function = function, .record = record};
    e.module = LLVMGetGlobalParent(function);
    e.has_fma = has_fma(function);
    e.builder = LLVMCreateBuilderInContext(arithmetic->context);
    remove_unsafe_attributes(function);
    for (size_t i = 0; i < count; i++) {
        e.inlines = vrcc_is_recurrence(&recurrences, sites[i].instruction);
        e.place = vrcc_places_pointer(e.module, sites[i].place);
        if (sites[i].site.kind == VRCC_COMPARISON)
            replace_operands(&e, &sites[i]);
        else
            replace(&e, &sites[i]);
    }
    LLVMDisposeBuilder(e.builder);
    const bool inlined = recurrences.count > 0;
    vrcc_recurrences_free(&recurrences);
    free(sites);
    return inlined;
}
