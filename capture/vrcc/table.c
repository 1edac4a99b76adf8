#include "table.h"

#include "entries.h"

#include <stdio.h>
#include <string.h>

unsigned vrcc_entry(vr_operation op, bool is_f64, unsigned lanes)
{
    unsigned shape = is_f64 ? 5 : 0;
    for (; lanes > 1; lanes /= 2)
        shape++;
    return shape * VRCC_OPERATIONS + (unsigned)op;
}

static LLVMTypeRef bytes_pointer(LLVMContextRef context)
{
    return LLVMPointerType(LLVMInt8TypeInContext(context), 0);
}

LLVMTypeRef vrcc_entry_type(LLVMContextRef context, vr_operation op, LLVMTypeRef element, unsigned lanes)
{
    const LLVMTypeRef wide = lanes > 1 ? LLVMVectorType(element, lanes) : element;
    LLVMTypeRef types[4] = {bytes_pointer(context), wide, wide, wide};
    return LLVMFunctionType(wide, types, 1 + (unsigned)vrcc_operand_count(op), false);
}

LLVMValueRef vrcc_tables(LLVMModuleRef module, const char *name)
{
    char symbol[64];
    snprintf(symbol, sizeof symbol, "vrcc_tables_%s", name);
    LLVMValueRef global = LLVMGetNamedGlobal(module, symbol);
    if (global)
        return global;
    const LLVMTypeRef table = LLVMPointerType(bytes_pointer(LLVMGetModuleContext(module)), 0);
    global = LLVMAddGlobal(module, LLVMArrayType(table, VRCC_TABLES), symbol);
    LLVMSetVisibility(global, LLVMHiddenVisibility);
    LLVMSetGlobalConstant(global, true);
    return global;
}

/* ---- the instruction set of a function ---- */

bool vrcc_has_feature(LLVMValueRef function, const char *feature)
{
    const char *name = "target-features";
    const LLVMAttributeRef attribute =
        LLVMGetStringAttributeAtIndex(function, LLVMAttributeFunctionIndex, name, (unsigned)strlen(name));
    const size_t size = strlen(feature);
    unsigned length;
    const char *text = attribute ? LLVMGetStringAttributeValue(attribute, &length) : "";
    for (const char *at = text; (at = strstr(at, feature)); at += size)
        if (at > text && at[-1] == '+' && (at[size] == ',' || at[size] == '\0'))
            return true;
    return false;
}

static bool has_all(LLVMValueRef function, const char *const *features)
{
    for (; *features; features++)
        if (!vrcc_has_feature(function, *features))
            return false;
    return true;
}

/* What the library is compiled for, the best first. */
static const struct {
    const char *name, *features[8];
    unsigned bits; /* of a vector register */
} sets[] = {
    {"avx512", {"avx512f", "avx512vl", "avx512dq", "avx512bw", "avx2", "fma", NULL}, 512},
    {"avx2", {"avx2", "fma", NULL}, 256},
    {"base", {NULL}, 128},
};

static size_t set_of(LLVMValueRef function)
{
    size_t set = 0;
    while (!has_all(function, sets[set].features))
        set++;
    return set;
}

/* Else the code generator may take such vectors in halves, and hand them over so. */
static void allow_width(LLVMValueRef function, unsigned bits)
{
    const char *name = "min-legal-vector-width";
    const unsigned length = (unsigned)strlen(name);
    const LLVMAttributeRef attribute =
        LLVMGetStringAttributeAtIndex(function, LLVMAttributeFunctionIndex, name, length);
    unsigned size;
    unsigned least = 0;
    if (attribute && (sscanf(LLVMGetStringAttributeValue(attribute, &size), "%u", &least) != 1 || least >= bits))
        return;
    char value[16];
    snprintf(value, sizeof value, "%u", bits);
    LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex,
                            LLVMCreateStringAttribute(LLVMGetModuleContext(LLVMGetGlobalParent(function)), name, length,
                                                      value, (unsigned)strlen(value)));
}

/* ---- calls ---- */

static LLVMValueRef i32(const vrcc_emitter *e, unsigned value)
{
    return LLVMConstInt(LLVMInt32TypeInContext(e->arithmetic->context), value, false);
}

/* What the record says, loaded where the function begins; without a record there is only the body of calls. */
static LLVMValueRef load_body(const vrcc_emitter *e, LLVMBuilderRef builder)
{
    const LLVMTypeRef i8 = LLVMInt8TypeInContext(e->arithmetic->context);
    if (!e->record)
        return LLVMConstInt(i8, VRCC_CALLS, false);
    const LLVMValueRef body = LLVMBuildLoad2(builder, i8, e->record, "");
    LLVMSetOrdering(body, LLVMAtomicOrderingMonotonic);
    LLVMSetAlignment(body, 1);
    return body;
}

/* The table of the body that was decided on, taken where the function begins. */
static LLVMValueRef load_table(vrcc_emitter *e)
{
    if (e->table)
        return e->table;
    const LLVMContextRef context = e->arithmetic->context;
    const LLVMValueRef tables = vrcc_tables(e->module, sets[set_of(e->function)].name);
    const LLVMBuilderRef builder = vrcc_entry_builder(e, e->function);
    e->body = load_body(e, builder);
    LLVMValueRef index[] = {i32(e, 0), LLVMBuildZExt(builder, e->body, LLVMInt64TypeInContext(context), "")};
    const LLVMValueRef at = LLVMBuildInBoundsGEP2(builder, LLVMGlobalGetValueType(tables), tables, index, 2, "");
    e->table = LLVMBuildLoad2(builder, LLVMPointerType(bytes_pointer(context), 0), at, "");
    LLVMDisposeBuilder(builder);
    return e->table;
}

static LLVMValueRef call_inlined(vrcc_emitter *e, vr_operation op, LLVMTypeRef type, LLVMValueRef entry,
                                 const LLVMValueRef x[3])
{
    const LLVMValueRef function = vrcc_inline_entry(e, op, type);
    LLVMValueRef arguments[6] = {e->place, e->body, entry};
    for (int i = 0; i < vrcc_operand_count(op); i++)
        arguments[3 + i] = x[i];
    return LLVMBuildCall2(e->builder, LLVMGlobalGetValueType(function), function, arguments,
                          3 + (unsigned)vrcc_operand_count(op), "");
}

static LLVMValueRef call_entry(vrcc_emitter *e, vr_operation op, LLVMTypeRef type, unsigned lanes,
                               const LLVMValueRef x[3])
{
    const LLVMContextRef context = e->arithmetic->context;
    const bool is_f64 = LLVMGetTypeKind(type) == LLVMDoubleTypeKind;
    const LLVMTypeRef function_type = vrcc_entry_type(context, op, type, lanes);
    LLVMValueRef index = LLVMConstInt(LLVMInt64TypeInContext(context), vrcc_entry(op, is_f64, lanes), false);
    const LLVMValueRef at = LLVMBuildInBoundsGEP2(e->builder, bytes_pointer(context), load_table(e), &index, 1, "");
    const LLVMValueRef bytes = LLVMBuildLoad2(e->builder, bytes_pointer(context), at, "");
    if (e->inlines && lanes == 1)
        return call_inlined(e, op, type, bytes, x);
    const LLVMValueRef function = LLVMBuildBitCast(e->builder, bytes, LLVMPointerType(function_type, 0), "");
    const unsigned count = 1 + (unsigned)vrcc_operand_count(op);
    LLVMValueRef arguments[4] = {e->place};
    for (unsigned i = 1; i < count; i++)
        arguments[i] = x[i - 1];
    const LLVMValueRef result = LLVMBuildCall2(e->builder, function_type, function, arguments, count, "");
    const unsigned nounwind = LLVMGetEnumAttributeKindForName("nounwind", 8);
    LLVMAddCallSiteAttribute(result, LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(context, nounwind, 0));
    return result;
}

/* Lanes `first` ... of a vector; a scalar, when that is one. */
static LLVMValueRef take_lanes(const vrcc_emitter *e, LLVMValueRef vector, unsigned first, unsigned count)
{
    LLVMValueRef mask[VRCC_MAX_LANES];
    if (count == 1)
        return LLVMBuildExtractElement(e->builder, vector, i32(e, first), "");
    for (unsigned i = 0; i < count; i++)
        mask[i] = i32(e, first + i);
    const LLVMValueRef none = LLVMGetUndef(LLVMTypeOf(vector));
    return LLVMBuildShuffleVector(e->builder, vector, none, LLVMConstVector(mask, count), "");
}

/* `vector` with `part` in the place of its lanes from `first` on. */
static LLVMValueRef put_lanes(const vrcc_emitter *e, LLVMValueRef vector, LLVMValueRef part, unsigned first,
                              unsigned count)
{
    LLVMValueRef mask[VRCC_MAX_LANES];
    const unsigned lanes = LLVMGetVectorSize(LLVMTypeOf(vector));
    if (count == 1)
        return LLVMBuildInsertElement(e->builder, vector, part, i32(e, first), "");
    for (unsigned i = 0; i < lanes; i++)
        mask[i] = i < count ? i32(e, i) : LLVMGetUndef(LLVMInt32TypeInContext(e->arithmetic->context));
    const LLVMValueRef none = LLVMGetUndef(LLVMTypeOf(part));
    const LLVMValueRef wide = LLVMBuildShuffleVector(e->builder, part, none, LLVMConstVector(mask, lanes), "");
    for (unsigned i = 0; i < lanes; i++)
        mask[i] = i32(e, i >= first && i < first + count ? lanes + i - first : i);
    return LLVMBuildShuffleVector(e->builder, vector, wide, LLVMConstVector(mask, lanes), "");
}

LLVMValueRef vrcc_emit_table_call(vrcc_emitter *e, vr_operation op, LLVMTypeRef type, unsigned lanes,
                                  const LLVMValueRef x[3])
{
    const unsigned bits = LLVMGetTypeKind(type) == LLVMDoubleTypeKind ? 64 : 32;
    const unsigned most = sets[set_of(e->function)].bits / bits;
    if (lanes == 0)
        return call_entry(e, op, type, 1, x);
    LLVMValueRef out = LLVMGetUndef(LLVMVectorType(type, lanes));
    for (unsigned at = 0, count = most; at < lanes; at += count) {
        while (count > lanes - at)
            count /= 2;
        if (count * bits > 256)
            allow_width(e->function, count * bits);
        LLVMValueRef part[3] = {NULL, NULL, NULL};
        const bool is_whole = count == lanes && count > 1;
        for (int i = 0; i < vrcc_operand_count(op); i++)
            part[i] = is_whole ? x[i] : take_lanes(e, x[i], at, count);
        const LLVMValueRef result = call_entry(e, op, type, count, part);
        out = is_whole ? result : put_lanes(e, out, result, at, count);
    }
    return out;
}
