#include "classify.h"

#include <string.h>

#define STRICT        "llvm.experimental.constrained."
#define LENGTH(array) (sizeof(array) / sizeof *(array))

bool vrcc_is_wanted(const vrcc_site *site, unsigned groups)
{
    return site->kind >= VRCC_OPERATION && site->kind <= VRCC_COMPARISON && (site->group & groups) != 0;
}

bool vrcc_is_narrow(LLVMTypeRef element)
{
    const LLVMTypeKind kind = LLVMGetTypeKind(element);
    return kind == LLVMHalfTypeKind || kind == LLVMBFloatTypeKind;
}

bool vrcc_is_type(LLVMTypeRef element)
{
    const LLVMTypeKind kind = LLVMGetTypeKind(element);
    return kind == LLVMFloatTypeKind || kind == LLVMDoubleTypeKind || vrcc_is_narrow(element);
}

static const char too_wide[] = "a type wider than f64",
                  no_length[] = "a vector whose length is not known when it is compiled";

static bool is_floating(LLVMTypeRef type)
{
    switch (LLVMGetTypeKind(type)) {
    case LLVMHalfTypeKind:
    case LLVMBFloatTypeKind:
    case LLVMFloatTypeKind:
    case LLVMDoubleTypeKind:
    case LLVMX86_FP80TypeKind:
    case LLVMFP128TypeKind:
    case LLVMPPC_FP128TypeKind:
        return true;
    case LLVMVectorTypeKind:
    case LLVMScalableVectorTypeKind:
    case LLVMArrayTypeKind:
        return is_floating(LLVMGetElementType(type));
    case LLVMStructTypeKind:
        for (unsigned i = 0; i < LLVMCountStructElementTypes(type); i++)
            if (is_floating(LLVMStructGetTypeAtIndex(type, i)))
                return true;
        return false;
    default:
        return false;
    }
}

static vrcc_site left_alone(const char *reason)
{
    return (vrcc_site){.kind = VRCC_LEFT_ALONE, .group = VRCC_ARITHMETIC, .reason = reason};
}

static vrcc_site on_library(const char *name)
{
    return (vrcc_site){.kind = VRCC_LIBRARY_CALL, .group = VRCC_ARITHMETIC, .reason = name};
}

/* An operation on a type, if that is one of ours. */
static vrcc_site on_type(vrcc_kind kind, vr_operation op, LLVMTypeRef type)
{
    vrcc_site site = {.kind = kind, .group = VRCC_ARITHMETIC, .op = op, .type = type};
    if (LLVMGetTypeKind(type) == LLVMScalableVectorTypeKind)
        return left_alone(no_length);
    if (LLVMGetTypeKind(type) == LLVMVectorTypeKind) {
        site.lanes = LLVMGetVectorSize(type);
        site.type = LLVMGetElementType(type);
    }
    return vrcc_is_type(site.type) ? site : left_alone(too_wide);
}

/* ---- conversions and comparisons ---- */

static LLVMTypeRef element_of(LLVMTypeRef type)
{
    const LLVMTypeKind kind = LLVMGetTypeKind(type);
    return kind == LLVMVectorTypeKind || kind == LLVMScalableVectorTypeKind ? LLVMGetElementType(type) : type;
}

static vrcc_site left_conversion(const char *reason)
{
    return (vrcc_site){.kind = VRCC_LEFT_ALONE, .group = VRCC_CONVERSIONS, .reason = reason};
}

static unsigned precision_of(LLVMTypeRef element)
{
    switch (LLVMGetTypeKind(element)) {
    case LLVMHalfTypeKind:
        return 11;
    case LLVMBFloatTypeKind:
        return 8;
    case LLVMFloatTypeKind:
        return 24;
    default:
        return 53;
    }
}

/* From `from` to a floating-point type; those that are always exact do not count. */
static vrcc_site on_conversion(LLVMTypeRef from, LLVMTypeRef to, bool is_unsigned)
{
    vrcc_site site = {.kind = VRCC_CONVERSION, .group = VRCC_CONVERSIONS, .type = element_of(to)};
    site.from = element_of(from);
    site.is_unsigned = is_unsigned;
    if (LLVMGetTypeKind(to) == LLVMScalableVectorTypeKind)
        return left_conversion(no_length);
    site.lanes = LLVMGetTypeKind(to) == LLVMVectorTypeKind ? LLVMGetVectorSize(to) : 0;
    const bool is_integer = LLVMGetTypeKind(site.from) == LLVMIntegerTypeKind;
    const unsigned width = is_integer ? LLVMGetIntTypeWidth(site.from) : 0;
    if (!vrcc_is_type(site.type))
        return width <= 64 ? (vrcc_site){0} : left_conversion(too_wide);
    if (is_integer && width - !is_unsigned <= precision_of(site.type))
        return (vrcc_site){0};
    if (is_integer)
        return width <= 64 ? site : left_conversion("an integer of more than 64 bits");
    return vrcc_is_type(site.from) ? site : left_conversion(too_wide);
}

static vrcc_site on_comparison(LLVMTypeRef type)
{
    vrcc_site site = on_type(VRCC_COMPARISON, VR_SUB, type);
    site.group = VRCC_COMPARISONS;
    return site;
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

typedef struct named {
    const char *name;
    vrcc_kind kind;
    vr_operation op;
} named;

/* Intrinsics by the beginning of their names. */
static const named intrinsics[] = {
    {"llvm.fma.", VRCC_OPERATION, VR_FMA},
    {"llvm.fmuladd.", VRCC_MULTIPLY_ADD, VR_FMA},
    {"llvm.sqrt.", VRCC_OPERATION, VR_SQRT},
    {"llvm.vector.reduce.fadd.", VRCC_REDUCTION, VR_ADD},
    {"llvm.vector.reduce.fmul.", VRCC_REDUCTION, VR_MUL},
    {STRICT "fadd.", VRCC_OPERATION, VR_ADD},
    {STRICT "fsub.", VRCC_OPERATION, VR_SUB},
    {STRICT "fmul.", VRCC_OPERATION, VR_MUL},
    {STRICT "fdiv.", VRCC_OPERATION, VR_DIV},
    {STRICT "sqrt.", VRCC_OPERATION, VR_SQRT},
    {STRICT "fma.", VRCC_OPERATION, VR_FMA},
    {STRICT "fmuladd.", VRCC_MULTIPLY_ADD, VR_FMA},
};

/* Conversions and comparisons in strict floating-point arithmetic. */
static vrcc_site classify_strict(LLVMValueRef call, const char *name)
{
    if (!begins(name, STRICT))
        return (vrcc_site){0};
    const char *what = name + sizeof STRICT - 1;
    const LLVMTypeRef operand = LLVMTypeOf(LLVMGetOperand(call, 0));
    if (begins(what, "fcmp"))
        return on_comparison(operand);
    if (begins(what, "fptrunc.") || begins(what, "sitofp.") || begins(what, "uitofp."))
        return on_conversion(operand, LLVMTypeOf(call), *what == 'u');
    return (vrcc_site){0};
}

/* Intrinsics that give a floating-point number without rounding, or by a conversion. */
static const char *const exact_intrinsics[] = {
    "abs",
    "copysign",
    "floor",
    "ceil",
    "trunc",
    "rint",
    "nearbyint",
    "round",
    "min",
    "max",
    "canon",
    "load",
    "store",
    "gather",
    "expand",
    "compress",
    "shuf",
    "perm",
    "blend",
    "cvt",
    "convert",
    "fpto",
    "tofp",
    "fpext",
    "insert",
    "extract",
    "reverse",
    "splice",
    "lane",
    "ssa.copy",
    "cmp",
    "frexp",
    "fixup",
    "getexp",
    "getmant",
    "vp.select",
    "vp.merge",
    "expect",
    "launder",
    "movnt",
    "frem",
    "interleave",
    "mask.mov",
    "ptest",
    "movmsk",
    "va_",
    "memcpy",
    "memset",
    "lifetime",
    "dbg.",
    "assume",
    "prefetch",
    "pshuf",
    "vector.reduce.f",
    "arithmetic.fence",
    "fptrunc",
    "ldexp",
    "rndscale",
    "fpclass",
};

/* What the compiler's intrinsics for mathematical functions become is a call of the library. */
static const char *const library_intrinsics[] = {"sin.",   "cos.",  "tan.",  "asin.",  "acos.",  "atan.", "atan2.",
                                                 "sinh.",  "cosh.", "tanh.", "pow.",   "powi.",  "exp.",  "exp2.",
                                                 "exp10.", "log.",  "log2.", "log10.", "sincos."};

static const char *const library_functions[] = {
    "sin",       "cos",       "tan",      "asin",     "acos",     "atan",     "atan2",    "sinh",     "cosh",
    "tanh",      "asinh",     "acosh",    "atanh",    "exp",      "exp2",     "exp10",    "expm1",    "log",
    "log2",      "log10",     "log1p",    "pow",      "cbrt",     "hypot",    "erf",      "erfc",     "lgamma",
    "tgamma",    "sincos",    "fdim",     "cexp",     "clog",     "cpow",     "csqrt",    "csin",     "ccos",
    "cabs",      "carg",      "ctan",     "csinh",    "ccosh",    "ctanh",    "j0",       "j1",       "jn",
    "y0",        "y1",        "yn",       "pow10",    "gamma",    "__muldc3", "__mulsc3", "__divdc3", "__divsc3",
    "__powidf2", "__powisf2", "__mulxc3", "__divxc3", "__multc3", "__divtc3"};

/* Libraries of functions on vectors: glibc's and Intel's. */
static const char *const library_prefixes[] = {"_ZGV", "__svml_", "__sleef_", "Sleef_", "amd_v"};

/* "sinf" and "sinl" too, and what glibc calls them under -ffinite-math-only. */
static bool is_library_function(const char *name)
{
    for (size_t i = 0; i < LENGTH(library_prefixes); i++)
        if (begins(name, library_prefixes[i]))
            return true;
    for (size_t i = 0; i < LENGTH(library_functions); i++) {
        const size_t length = strlen(library_functions[i]);
        const char *plain = begins(name, "__") && !begins(library_functions[i], "__") ? name + 2 : name;
        if (strncmp(plain, library_functions[i], length) != 0)
            continue;
        const char *rest = plain + length + (plain[length] == 'f' || plain[length] == 'l');
        if (!*rest || strcmp(rest, "_finite") == 0)
            return true;
    }
    return false;
}

/* Arithmetic of one processor whose name has a part that says otherwise: x86's in a rounding mode of its own
 * ("round"), SVE's with one lane of an operand. */
static bool is_arithmetic_intrinsic(const char *name)
{
    static const struct {
        const char *processor, *operation;
    } parts[] = {{"llvm.x86.", ".add."},    {"llvm.x86.", ".sub."},      {"llvm.x86.", ".mul."},
                 {"llvm.x86.", ".div."},    {"llvm.x86.", ".sqrt."},     {"llvm.x86.", ".scalef."},
                 {"llvm.aarch64.", "mul."}, {"llvm.aarch64.sve.", "ml"}, {"llvm.aarch64.sve.", "dot."}};
    for (size_t i = 0; i < LENGTH(parts); i++)
        if (begins(name, parts[i].processor) && strstr(name, parts[i].operation))
            return true;
    return false;
}

static bool is_exact_intrinsic(const char *name)
{
    if (is_arithmetic_intrinsic(name))
        return false;
    for (size_t i = 0; i < LENGTH(exact_intrinsics); i++)
        if (strstr(name, exact_intrinsics[i]))
            return true;
    return false;
}

static bool takes_floating(LLVMValueRef call)
{
    for (unsigned i = 0; i < LLVMGetNumArgOperands(call); i++)
        if (is_floating(LLVMTypeOf(LLVMGetOperand(call, i))))
            return true;
    return false;
}

/* Conversions that LLVM has no instruction for: with a mask or a rounding mode, or to half in integers. */
static bool is_narrowing_intrinsic(const char *name)
{
    static const char *const parts[] = {"cvtpd2ps",  "cvtsd2ss", "cvtps2ph", "cvtqq2p",       "cvtuqq2p",    "cvtdq2ps",
                                        "cvtudq2ps", "cvtsi2s",  "cvtusi2s", "cvtne2ps2bf16", "cvtneps2bf16"};
    for (size_t i = 0; i < LENGTH(parts) && begins(name, "llvm.x86."); i++)
        if (strstr(name, parts[i]))
            return true;
    return begins(name, "llvm.convert.to.fp16.");
}

static vrcc_site classify_intrinsic(LLVMValueRef call, const char *name)
{
    for (size_t i = 0; i < LENGTH(intrinsics); i++) {
        if (!begins(name, intrinsics[i].name))
            continue;
        const bool reduces = intrinsics[i].kind == VRCC_REDUCTION;
        return on_type(intrinsics[i].kind, intrinsics[i].op, LLVMTypeOf(LLVMGetOperand(call, reduces ? 1 : 0)));
    }
    if (is_narrowing_intrinsic(name))
        return left_conversion("an intrinsic of one processor");
    const vrcc_site strict = classify_strict(call, name);
    if (strict.kind != VRCC_NO_ARITHMETIC || is_exact_intrinsic(name) || !is_floating(LLVMTypeOf(call)))
        return strict;
    const char *what = name + (begins(name, STRICT) ? sizeof STRICT - 1 : sizeof "llvm." - 1);
    for (size_t i = 0; i < LENGTH(library_intrinsics); i++)
        if (begins(what, library_intrinsics[i]))
            return on_library(name);
    return takes_floating(call) ? left_alone("an intrinsic that is no operation of LLVM's") : (vrcc_site){0};
}

static vrcc_site classify_named(LLVMValueRef call, const char *name)
{
    static const named roots[] = {{"sqrt", VRCC_OPERATION, VR_SQRT},  {"sqrtf", VRCC_OPERATION, VR_SQRT},
                                  {"fma", VRCC_OPERATION, VR_FMA},    {"fmaf", VRCC_OPERATION, VR_FMA},
                                  {"sqrtl", VRCC_OPERATION, VR_SQRT}, {"fmal", VRCC_OPERATION, VR_FMA}};
    const unsigned count = LLVMGetNumArgOperands(call);
    for (size_t i = 0; i < LENGTH(roots); i++) {
        if (strcmp(name, roots[i].name) != 0 || count != (roots[i].op == VR_FMA ? 3u : 1u))
            continue;
        vrcc_site site = on_type(roots[i].kind, roots[i].op, LLVMTypeOf(call));
        site.has_errno = site.op == VR_SQRT;
        return site;
    }
    return is_library_function(name) ? on_library(name) : (vrcc_site){0};
}

/* Assembler without instructions only keeps the compiler from knowing a value. */
static vrcc_site classify_assembler(LLVMValueRef call)
{
    char *text = LLVMPrintValueToString(call);
    const char *at = strstr(text, " asm ");
    const char *begin = at ? strchr(at, '"') : NULL;
    const bool empty = begin && begin[1] == '"';
    LLVMDisposeMessage(text);
    return !empty && (is_floating(LLVMTypeOf(call)) || takes_floating(call)) ? left_alone("assembler") : (vrcc_site){0};
}

static vrcc_site classify_call(LLVMValueRef call)
{
    const LLVMValueRef callee = LLVMGetCalledValue(call);
    if (LLVMIsAInlineAsm(callee))
        return classify_assembler(call);
    if (!LLVMIsAFunction(callee) || !LLVMIsDeclaration(callee))
        return (vrcc_site){0};
    size_t length;
    const char *name = LLVMGetValueName2(callee, &length);
    return LLVMGetIntrinsicID(callee) ? classify_intrinsic(call, name) : classify_named(call, name);
}

static vrcc_site classify_atomic(LLVMValueRef instruction)
{
    const LLVMAtomicRMWBinOp op = LLVMGetAtomicRMWBinOp(instruction);
    if (op != LLVMAtomicRMWBinOpFAdd && op != LLVMAtomicRMWBinOpFSub)
        return (vrcc_site){0};
    if (LLVMGetPointerAddressSpace(LLVMTypeOf(LLVMGetOperand(instruction, 0))) != 0)
        return left_alone("an atomic operation in another address space");
    const vrcc_site site =
        on_type(VRCC_ATOMIC, op == LLVMAtomicRMWBinOpFAdd ? VR_ADD : VR_SUB, LLVMTypeOf(instruction));
    return site.kind == VRCC_ATOMIC && (site.lanes > 0 || vrcc_is_narrow(site.type))
               ? left_alone("an atomic operation on half, bfloat or a vector")
               : site;
}

vrcc_site vrcc_classify(LLVMValueRef instruction)
{
    const LLVMTypeRef type = LLVMTypeOf(instruction);
    switch (LLVMGetInstructionOpcode(instruction)) {
    case LLVMFAdd:
        return on_type(VRCC_OPERATION, VR_ADD, type);
    case LLVMFSub:
        return on_type(VRCC_OPERATION, VR_SUB, type);
    case LLVMFMul:
        return on_type(VRCC_OPERATION, VR_MUL, type);
    case LLVMFDiv:
        return on_type(VRCC_OPERATION, VR_DIV, type);
    case LLVMFPTrunc:
    case LLVMSIToFP:
        return on_conversion(LLVMTypeOf(LLVMGetOperand(instruction, 0)), type, false);
    case LLVMUIToFP:
        return on_conversion(LLVMTypeOf(LLVMGetOperand(instruction, 0)), type, true);
    case LLVMFCmp:
        return on_comparison(LLVMTypeOf(LLVMGetOperand(instruction, 0)));
    case LLVMAtomicRMW:
        return classify_atomic(instruction);
    case LLVMCall:
    case LLVMInvoke:
        return classify_call(instruction);
    default:
        return (vrcc_site){0};
    }
}
