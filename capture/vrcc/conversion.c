/* Conversions, comparisons and atomic operations: rare, and so calls of the runtime in every body. */
#include "operation.h"

static LLVMContextRef context_of(const vrcc_emitter *e)
{
    return e->arithmetic->context;
}

static LLVMValueRef i32(const vrcc_emitter *e, unsigned value)
{
    return LLVMConstInt(LLVMInt32TypeInContext(context_of(e)), value, false);
}

vr_dtype vrcc_dtype_of(LLVMTypeRef element)
{
    switch (LLVMGetTypeKind(element)) {
    case LLVMHalfTypeKind:
        return VR_F16;
    case LLVMBFloatTypeKind:
        return VR_BF16;
    case LLVMFloatTypeKind:
        return VR_F32;
    default:
        return VR_F64;
    }
}

/* name(place, ..., x), of type `result`. */
static LLVMValueRef call_runtime(const vrcc_emitter *e, const char *name, LLVMTypeRef result, LLVMValueRef *arguments,
                                 unsigned count)
{
    LLVMTypeRef types[6];
    for (unsigned i = 0; i < count; i++)
        types[i] = LLVMTypeOf(arguments[i]);
    const LLVMValueRef function = vrcc_runtime_function(e, name, result, types, count);
    return LLVMBuildCall2(e->builder, LLVMGlobalGetValueType(function), function, arguments, count, "");
}

/* bfloat is the upper half of f32. Processors that convert take subnormal numbers for zero, so it is done by hand. */
LLVMValueRef vrcc_from_f32(const vrcc_emitter *e, LLVMValueRef x, LLVMTypeRef to)
{
    const LLVMContextRef context = context_of(e);
    if (LLVMGetTypeKind(to) != LLVMBFloatTypeKind)
        return LLVMBuildFPTrunc(e->builder, x, to, "");
    const LLVMValueRef bits = LLVMBuildBitCast(e->builder, x, LLVMInt32TypeInContext(context), "");
    const LLVMValueRef upper = LLVMBuildLShr(e->builder, bits, i32(e, 16), "");
    return LLVMBuildBitCast(e->builder, LLVMBuildTrunc(e->builder, upper, LLVMInt16TypeInContext(context), ""), to, "");
}

LLVMValueRef vrcc_to_f32(const vrcc_emitter *e, LLVMValueRef x)
{
    const LLVMContextRef context = context_of(e);
    const LLVMTypeRef f32 = LLVMFloatTypeInContext(context);
    if (LLVMGetTypeKind(LLVMTypeOf(x)) != LLVMBFloatTypeKind)
        return LLVMBuildFPExt(e->builder, x, f32, "");
    const LLVMValueRef bits = LLVMBuildBitCast(e->builder, x, LLVMInt16TypeInContext(context), "");
    const LLVMValueRef wide = LLVMBuildZExt(e->builder, bits, LLVMInt32TypeInContext(context), "");
    return LLVMBuildBitCast(e->builder, LLVMBuildShl(e->builder, wide, i32(e, 16), ""), f32, "");
}

/* f64 holds every number of the others, so these are exact; by way of f32, since libraries differ in how half and f64
 * are converted into each other. */
static LLVMValueRef narrowed(const vrcc_emitter *e, LLVMValueRef x, LLVMTypeRef to)
{
    if (LLVMGetTypeKind(to) == LLVMDoubleTypeKind)
        return x;
    const LLVMTypeRef f32 = LLVMFloatTypeInContext(context_of(e));
    const LLVMValueRef single = LLVMBuildFPTrunc(e->builder, x, f32, "");
    return to == f32 ? single : vrcc_from_f32(e, single, to);
}

static LLVMValueRef widened(const vrcc_emitter *e, LLVMValueRef x, LLVMTypeRef from)
{
    if (LLVMGetTypeKind(from) == LLVMDoubleTypeKind)
        return x;
    const LLVMValueRef single = vrcc_is_narrow(from) ? vrcc_to_f32(e, x) : x;
    return LLVMBuildFPExt(e->builder, single, LLVMDoubleTypeInContext(context_of(e)), "");
}

static LLVMValueRef convert_integer(const vrcc_emitter *e, vrcc_site site, LLVMValueRef x)
{
    const LLVMTypeRef i64 = LLVMInt64TypeInContext(context_of(e)), f64 = LLVMDoubleTypeInContext(context_of(e));
    const LLVMValueRef wide =
        site.is_unsigned ? LLVMBuildZExt(e->builder, x, i64, "") : LLVMBuildSExt(e->builder, x, i64, "");
    LLVMValueRef arguments[] = {e->place, i32(e, site.is_unsigned), i32(e, vrcc_dtype_of(site.type)), wide};
    return narrowed(e, call_runtime(e, "vrcc_convert_integer", f64, arguments, 4), site.type);
}

static LLVMValueRef convert_floating(const vrcc_emitter *e, vrcc_site site, LLVMValueRef x)
{
    const LLVMTypeRef f64 = LLVMDoubleTypeInContext(context_of(e));
    LLVMValueRef arguments[] = {e->place, i32(e, vrcc_dtype_of(site.from)), i32(e, vrcc_dtype_of(site.type)),
                                widened(e, x, site.from)};
    return narrowed(e, call_runtime(e, "vrcc_convert", f64, arguments, 4), site.type);
}

LLVMValueRef vrcc_emit_conversion(vrcc_emitter *e, vrcc_site site, LLVMValueRef x)
{
    const bool is_integer = LLVMGetTypeKind(site.from) == LLVMIntegerTypeKind;
    LLVMValueRef (*const convert)(const vrcc_emitter *, vrcc_site, LLVMValueRef) =
        is_integer ? convert_integer : convert_floating;
    if (site.lanes == 0)
        return convert(e, site, x);
    LLVMValueRef out = LLVMGetUndef(LLVMVectorType(site.type, site.lanes));
    for (unsigned lane = 0; lane < site.lanes; lane++) {
        const LLVMValueRef one = convert(e, site, LLVMBuildExtractElement(e->builder, x, i32(e, lane), ""));
        out = LLVMBuildInsertElement(e->builder, out, one, i32(e, lane), "");
    }
    return out;
}

/* counted: of the two operands of a comparison, one is. */
static LLVMValueRef compared(const vrcc_emitter *e, vrcc_site site, LLVMValueRef x, bool counted)
{
    const LLVMTypeRef f64 = LLVMDoubleTypeInContext(context_of(e));
    LLVMValueRef arguments[] = {e->place, i32(e, vrcc_dtype_of(site.type)), i32(e, counted), widened(e, x, site.type)};
    return narrowed(e, call_runtime(e, "vrcc_compared", f64, arguments, 4), site.type);
}

void vrcc_emit_compared(vrcc_emitter *e, vrcc_site site, LLVMValueRef x[2])
{
    for (int i = 0; i < 2; i++) {
        LLVMValueRef out = site.lanes == 0 ? compared(e, site, x[i], i == 0) : x[i];
        for (unsigned lane = 0; lane < site.lanes; lane++) {
            const LLVMValueRef one = LLVMBuildExtractElement(e->builder, x[i], i32(e, lane), "");
            out = LLVMBuildInsertElement(e->builder, out, compared(e, site, one, i == 0), i32(e, lane), "");
        }
        x[i] = out;
    }
}

LLVMValueRef vrcc_emit_atomic(vrcc_emitter *e, vrcc_site site, LLVMValueRef address, LLVMValueRef x)
{
    const bool is_f64 = LLVMGetTypeKind(site.type) == LLVMDoubleTypeKind;
    const LLVMTypeRef pointer = LLVMPointerType(LLVMInt8TypeInContext(context_of(e)), 0);
    LLVMValueRef arguments[] = {e->place, i32(e, site.op), LLVMBuildBitCast(e->builder, address, pointer, ""), x};
    return call_runtime(e, is_f64 ? "vrcc_atomic_f64" : "vrcc_atomic_f32", site.type, arguments, 4);
}
