#include "bodies.h"

#include <formats/fail.h>
#include <llvm-c/BitReader.h>
#include <llvm-c/BitWriter.h>
#include <llvm-c/Comdat.h>
#include <llvm-c/Error.h>
#include <llvm-c/Linker.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *name_of(LLVMValueRef value)
{
    size_t length;
    return LLVMGetValueName2(value, &length);
}

static char *body_name(const char *function, const char *body)
{
    char *name = NULL;
    if (asprintf(&name, "%s.vrcc.%s", function, body) < 0)
        abort();
    return name;
}

/* ---- symbols that have to be seen from the modules in which bodies are made ---- */

typedef struct local_symbol {
    LLVMValueRef value;
    LLVMLinkage linkage;
    bool unnamed;
} local_symbol;

typedef struct local_symbols {
    local_symbol *list;
    size_t count;
} local_symbols;

static bool is_local(LLVMValueRef value)
{
    const LLVMLinkage linkage = LLVMGetLinkage(value);
    return linkage == LLVMInternalLinkage || linkage == LLVMPrivateLinkage;
}

static void publish(local_symbols *symbols, LLVMValueRef value)
{
    if (!is_local(value))
        return;
    size_t length;
    LLVMGetValueName2(value, &length);
    symbols->list[symbols->count] = (local_symbol){value, LLVMGetLinkage(value), length == 0};
    if (length == 0) {
        char name[40];
        snprintf(name, sizeof name, "vrcc.local.%zu", symbols->count);
        LLVMSetValueName2(value, name, strlen(name));
    }
    symbols->count++;
    LLVMSetLinkage(value, LLVMExternalLinkage);
    LLVMSetVisibility(value, LLVMHiddenVisibility);
}

static local_symbols publish_all(LLVMModuleRef module)
{
    size_t most = 0;
    for (LLVMValueRef g = LLVMGetFirstGlobal(module); g; g = LLVMGetNextGlobal(g))
        most++;
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f))
        most++;
    for (LLVMValueRef a = LLVMGetFirstGlobalAlias(module); a; a = LLVMGetNextGlobalAlias(a))
        most++;
    local_symbols symbols = {.list = calloc(most + 1, sizeof(local_symbol))};
    if (!symbols.list)
        abort();
    for (LLVMValueRef g = LLVMGetFirstGlobal(module); g; g = LLVMGetNextGlobal(g))
        publish(&symbols, g);
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f))
        publish(&symbols, f);
    for (LLVMValueRef a = LLVMGetFirstGlobalAlias(module); a; a = LLVMGetNextGlobalAlias(a))
        publish(&symbols, a);
    return symbols;
}

static void withdraw_all(local_symbols *symbols)
{
    for (size_t i = 0; i < symbols->count; i++) {
        const local_symbol *s = &symbols->list[i];
        LLVMSetVisibility(s->value, LLVMDefaultVisibility);
        LLVMSetLinkage(s->value, s->linkage);
        if (s->unnamed)
            LLVMSetValueName2(s->value, "", 0);
    }
    free(symbols->list);
}

/* ---- the module in which bodies are made: theirs, and declarations of all else ---- */

static void copy_attributes(LLVMValueRef to, LLVMValueRef from)
{
    const unsigned parameters = LLVMCountParams(from);
    for (unsigned index = 0; index <= parameters + 1; index++) {
        const LLVMAttributeIndex at = index == parameters + 1 ? (LLVMAttributeIndex)LLVMAttributeFunctionIndex : index;
        const unsigned count = LLVMGetAttributeCountAtIndex(from, at);
        LLVMAttributeRef *list = calloc(count + 1, sizeof(LLVMAttributeRef));
        if (!list)
            abort();
        LLVMGetAttributesAtIndex(from, at, list);
        for (unsigned i = 0; i < count; i++)
            LLVMAddAttributeAtIndex(to, at, list[i]);
        free(list);
    }
    LLVMSetFunctionCallConv(to, LLVMGetFunctionCallConv(from));
}

/* A declaration in a function's place, under its name. */
static void declare_in_place(LLVMModuleRef module, LLVMValueRef function, const char *new_name)
{
    char *name = strdup(name_of(function));
    const LLVMValueRef declaration = LLVMAddFunction(module, "", LLVMGlobalGetValueType(function));
    copy_attributes(declaration, function);
    LLVMSetVisibility(declaration, LLVMGetVisibility(function));
    LLVMReplaceAllUsesWith(function, declaration);
    if (new_name)
        LLVMSetValueName2(function, new_name, strlen(new_name));
    else
        LLVMDeleteFunction(function);
    LLVMSetValueName2(declaration, name, strlen(name));
    free(name);
}

static void declare_globals(LLVMModuleRef module)
{
    LLVMValueRef next;
    for (LLVMValueRef g = LLVMGetFirstGlobal(module); g; g = next) {
        next = LLVMGetNextGlobal(g);
        if (LLVMGetLinkage(g) == LLVMAppendingLinkage) {
            LLVMDeleteGlobal(g);
            continue;
        }
        if (LLVMIsDeclaration(g))
            continue;
        LLVMSetInitializer(g, NULL);
        LLVMSetComdat(g, NULL);
        LLVMSetLinkage(g, LLVMExternalLinkage);
        LLVMGlobalClearMetadata(g);
    }
}

static LLVMValueRef declare_object(LLVMModuleRef module, LLVMTypeRef type)
{
    return LLVMGetTypeKind(type) == LLVMFunctionTypeKind ? LLVMAddFunction(module, "", type)
                                                         : LLVMAddGlobal(module, type, "");
}

static void declare_alias(LLVMModuleRef module, LLVMValueRef alias)
{
    const LLVMValueRef declaration = declare_object(module, LLVMGlobalGetValueType(alias));
    char *name = strdup(name_of(alias));
    LLVMSetVisibility(declaration, LLVMGetVisibility(alias));
    LLVMReplaceAllUsesWith(alias, declaration);
    LLVMSetValueName2(alias, "", 0);
    LLVMSetVisibility(alias, LLVMDefaultVisibility);
    LLVMSetLinkage(alias, LLVMInternalLinkage);
    LLVMSetValueName2(declaration, name, strlen(name));
    free(name);
}

/* LLVM's C API cannot remove an alias, so it becomes one that nobody sees. */
static void declare_aliases(LLVMModuleRef module)
{
    for (LLVMValueRef a = LLVMGetFirstGlobalAlias(module); a; a = LLVMGetNextGlobalAlias(a))
        declare_alias(module, a);
    LLVMValueRef next;
    for (LLVMValueRef f = LLVMGetFirstGlobalIFunc(module); f; f = next) {
        next = LLVMGetNextGlobalIFunc(f);
        declare_alias(module, f);
        LLVMEraseGlobalIFunc(f);
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The same module with structure types of its own, which is what the linker expects: where the two modules share types,
 * it confuses those that look alike. */
static vr_status read_again(LLVMModuleRef *out, LLVMModuleRef module)
{
    const LLVMMemoryBufferRef bitcode = LLVMWriteBitcodeToMemoryBuffer(module);
    const bool failed = LLVMParseBitcodeInContext2(LLVMGetModuleContext(module), bitcode, out);
    LLVMDisposeMemoryBuffer(bitcode);
    return failed ? vr_fail(VR_ERROR_UNSUPPORTED, "the instrumented functions are malformed") : VR_OK;
}

/* LLVM 14's own copy still uses the ifuncs of the module that it is a copy of. */
static vr_status copy_module(LLVMModuleRef *out, LLVMModuleRef module)
{
    if (LLVMGetFirstGlobalIFunc(module))
        return read_again(out, module);
    *out = LLVMCloneModule(module);
    return VR_OK;
}

/* A copy of `module` with the bodies that are to be instrumented, and nothing else that is defined. */
static vr_status copy_bodies(LLVMModuleRef *out, LLVMModuleRef module, const vrcc_bodies *bodies, size_t count)
{
    const vr_status status = copy_module(out, module);
    if (status != VR_OK)
        return status;
    const LLVMModuleRef copy = *out;
    const char **names = calloc(count, sizeof *names);
    if (!names)
        abort();
    for (size_t i = 0; i < count; i++)
        names[i] = name_of(bodies[i].function);
    qsort(names, count, sizeof *names, by_name);
    LLVMSetModuleInlineAsm2(copy, "", 0);
    declare_aliases(copy);
    declare_globals(copy);
    LLVMValueRef next;
    for (LLVMValueRef f = LLVMGetFirstFunction(copy); f; f = next) {
        next = LLVMGetNextFunction(f);
        const char *name = name_of(f);
        if (!LLVMIsDeclaration(f) && !bsearch(&name, names, count, sizeof *names, by_name))
            declare_in_place(copy, f, NULL);
    }
    free(names);
    return VR_OK;
}

/* ---- the rounded bodies ---- */

/* globaldce takes away the aliases that nobody sees, which point to declarations: where there is debug information,
 * LLVM reads no module that has such. */
static vr_status run_passes(LLVMModuleRef module, bool inlined)
{
    const LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    const LLVMErrorRef error = LLVMRunPasses(module, inlined ? "always-inline,globaldce" : "globaldce", NULL, options);
    LLVMDisposePassBuilderOptions(options);
    if (!error)
        return VR_OK;
    char *message = LLVMGetErrorMessage(error);
    const vr_status status = vr_fail(VR_ERROR_UNSUPPORTED, "inlining operations: %s", message);
    LLVMDisposeErrorMessage(message);
    return status;
}

static vr_status make_rounded(LLVMModuleRef module, LLVMModuleRef copy, const vrcc_arithmetic *arithmetic,
                              vrcc_bodies *bodies, size_t count, bool inlines)
{
    bool inlined = false;
    const LLVMTypeRef pointer = LLVMPointerType(LLVMInt8TypeInContext(arithmetic->context), 0);
    for (size_t i = 0; i < count; i++) {
        const LLVMValueRef function = LLVMGetNamedFunction(copy, name_of(bodies[i].function));
        const LLVMValueRef record = LLVMGetNamedGlobal(copy, name_of(bodies[i].record));
        char *name = body_name(name_of(bodies[i].function), "rounded");
        declare_in_place(copy, function, name);
        free(name);
        LLVMSetComdat(function, NULL);
        LLVMSetLinkage(function, LLVMExternalLinkage);
        LLVMSetVisibility(function, LLVMHiddenVisibility);
        bodies[i].inlined = vrcc_instrument(arithmetic, function, LLVMConstBitCast(record, pointer), inlines);
        inlined |= bodies[i].inlined;
    }
    vr_status status = run_passes(copy, inlined);
    LLVMModuleRef separate = NULL;
    if (status == VR_OK)
        status = read_again(&separate, copy);
    if (status == VR_OK && LLVMLinkModules2(module, separate))
        status = vr_fail(VR_ERROR_UNSUPPORTED, "linking the instrumented functions failed");
    return status;
}

/* ---- the choice ---- */

/* Hands the arguments on to a body, and its result back. */
static void write_forward(LLVMBuilderRef builder, LLVMValueRef function, LLVMValueRef body)
{
    const unsigned count = LLVMCountParams(function);
    LLVMValueRef *arguments = calloc(count + 1, sizeof(LLVMValueRef));
    if (!arguments)
        abort();
    LLVMGetParams(function, arguments);
    const LLVMTypeRef type = LLVMGlobalGetValueType(function);
    const LLVMValueRef same = LLVMConstBitCast(body, LLVMTypeOf(function)); /* linking may have renamed a structure */
    const LLVMValueRef result = LLVMBuildCall2(builder, type, same, arguments, count, "");
    free(arguments);
    LLVMSetInstructionCallConv(result, LLVMGetFunctionCallConv(function));
    LLVMSetTailCall(result, true);
    for (unsigned index = 0; index <= count; index++) {
        const unsigned attributes = LLVMGetAttributeCountAtIndex(function, index);
        LLVMAttributeRef *list = calloc(attributes + 1, sizeof(LLVMAttributeRef));
        if (!list)
            abort();
        LLVMGetAttributesAtIndex(function, index, list);
        for (unsigned i = 0; i < attributes; i++)
            LLVMAddCallSiteAttribute(result, index, list[i]);
        free(list);
    }
    if (LLVMGetTypeKind(LLVMGetReturnType(type)) == LLVMVoidTypeKind)
        LLVMBuildRetVoid(builder);
    else
        LLVMBuildRet(builder, result);
}

static LLVMValueRef declare_decide(LLVMModuleRef module)
{
    LLVMValueRef function = LLVMGetNamedFunction(module, "vrcc_decide");
    if (function)
        return function;
    const LLVMContextRef context = LLVMGetModuleContext(module);
    LLVMTypeRef pointer = LLVMPointerType(LLVMInt8TypeInContext(context), 0);
    function =
        LLVMAddFunction(module, "vrcc_decide", LLVMFunctionType(LLVMInt8TypeInContext(context), &pointer, 1, false));
    LLVMSetVisibility(function, LLVMHiddenVisibility);
    return function;
}

static LLVMValueRef load_body(LLVMBuilderRef builder, LLVMValueRef record, LLVMTypeRef i8)
{
    const LLVMValueRef first = LLVMConstBitCast(record, LLVMPointerType(i8, 0));
    const LLVMValueRef load = LLVMBuildLoad2(builder, i8, first, "");
    LLVMSetOrdering(load, LLVMAtomicOrderingAcquire);
    LLVMSetAlignment(load, 1);
    return load;
}

/* Chooses by a number between the plain body, the rounded one, and a decision yet to be made. */
static void write_switch(LLVMBuilderRef builder, LLVMValueRef value, LLVMBasicBlockRef plain, LLVMBasicBlockRef rounded,
                         LLVMBasicBlockRef undecided)
{
    const LLVMTypeRef i8 = LLVMTypeOf(value);
    const LLVMValueRef choice = LLVMBuildSwitch(builder, value, rounded, 2);
    LLVMAddCase(choice, LLVMConstInt(i8, VRCC_PLAIN, false), plain);
    if (undecided)
        LLVMAddCase(choice, LLVMConstInt(i8, VRCC_UNDECIDED, false), undecided);
}

static void write_choice(LLVMModuleRef module, LLVMValueRef function, LLVMValueRef record, const LLVMValueRef bodies[2])
{
    const LLVMContextRef context = LLVMGetModuleContext(module);
    const LLVMTypeRef i8 = LLVMInt8TypeInContext(context);
    const LLVMBuilderRef builder = LLVMCreateBuilderInContext(context);
    LLVMBasicBlockRef blocks[4]; /* the beginning, to decide, and a body each */
    for (int i = 0; i < 4; i++)
        blocks[i] = LLVMAppendBasicBlockInContext(context, function, "");
    for (int i = 0; i < 2; i++) {
        LLVMPositionBuilderAtEnd(builder, blocks[2 + i]);
        write_forward(builder, function, bodies[i]);
    }
    LLVMPositionBuilderAtEnd(builder, blocks[0]);
    write_switch(builder, load_body(builder, record, i8), blocks[2], blocks[3], blocks[1]);
    LLVMPositionBuilderAtEnd(builder, blocks[1]);
    LLVMValueRef argument = LLVMConstBitCast(record, LLVMPointerType(i8, 0));
    const LLVMValueRef decide = declare_decide(module);
    const LLVMTypeRef type = LLVMGlobalGetValueType(decide);
    write_switch(builder, LLVMBuildCall2(builder, type, decide, &argument, 1, ""), blocks[2], blocks[3], NULL);
    LLVMDisposeBuilder(builder);
}

/* `function`, the plain body from now on, leaves its name and all that is seen from outside to one that chooses. */
static LLVMValueRef make_chooser(LLVMModuleRef module, LLVMValueRef function)
{
    char *name = strdup(name_of(function)), *plain = body_name(name_of(function), "plain");
    const LLVMValueRef chooser = LLVMAddFunction(module, "", LLVMGlobalGetValueType(function));
    copy_attributes(chooser, function);
    LLVMSetLinkage(chooser, LLVMGetLinkage(function));
    LLVMSetVisibility(chooser, LLVMGetVisibility(function));
    LLVMSetUnnamedAddress(chooser, LLVMGetUnnamedAddress(function));
    LLVMSetComdat(chooser, LLVMGetComdat(function));
    LLVMSetAlignment(chooser, LLVMGetAlignment(function));
    if (LLVMGetSection(function))
        LLVMSetSection(chooser, LLVMGetSection(function));
    LLVMReplaceAllUsesWith(function, chooser);
    LLVMSetValueName2(function, plain, strlen(plain));
    LLVMSetValueName2(chooser, name, strlen(name));
    LLVMSetLinkage(function, LLVMInternalLinkage);
    LLVMSetVisibility(function, LLVMDefaultVisibility);
    free(plain);
    free(name);
    return chooser;
}

static void hide(LLVMValueRef value, LLVMComdatRef comdat)
{
    LLVMSetVisibility(value, LLVMDefaultVisibility);
    LLVMSetLinkage(value, LLVMInternalLinkage);
    LLVMSetComdat(value, comdat);
}

static void set_attribute(LLVMValueRef function, const char *name, bool set)
{
    const unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    const LLVMContextRef context = LLVMGetModuleContext(LLVMGetGlobalParent(function));
    LLVMRemoveEnumAttributeAtIndex(function, LLVMAttributeFunctionIndex, kind);
    if (set)
        LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(context, kind, 0));
}

/* Code for a body of calls is generated the quick way: that takes half as long, and it runs no slower. */
static void generate_quickly(LLVMValueRef function)
{
    static const char *const against[] = {"alwaysinline", "inlinehint", "optsize", "minsize"};
    for (size_t i = 0; i < sizeof against / sizeof *against; i++)
        set_attribute(function, against[i], false);
    set_attribute(function, "noinline", true);
    set_attribute(function, "optnone", true);
}

static void finish(LLVMModuleRef module, const vrcc_bodies *b)
{
    const LLVMComdatRef comdat = LLVMGetComdat(b->function);
    const LLVMValueRef chooser = make_chooser(module, b->function);
    char *name = body_name(name_of(chooser), "rounded");
    const LLVMValueRef bodies[2] = {b->function, LLVMGetNamedFunction(module, name)};
    free(name);
    hide(bodies[1], comdat);
    if (!b->inlined)
        generate_quickly(bodies[1]);
    hide(b->record, comdat);
    write_choice(module, chooser, b->record, bodies);
}

vr_status vrcc_make_bodies(LLVMModuleRef module, const vrcc_arithmetic *arithmetic, vrcc_bodies *bodies, size_t count,
                           bool inlines)
{
    if (count == 0)
        return VR_OK;
    local_symbols symbols = publish_all(module);
    LLVMModuleRef copy;
    vr_status status = copy_bodies(&copy, module, bodies, count);
    if (status == VR_OK) {
        status = make_rounded(module, copy, arithmetic, bodies, count, inlines);
        LLVMDisposeModule(copy);
    }
    withdraw_all(&symbols);
    for (size_t i = 0; i < count && status == VR_OK; i++)
        finish(module, &bodies[i]);
    return status;
}
