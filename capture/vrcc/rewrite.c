#include "rewrite.h"

#include "bodies.h"
#include "places.h"
#include "report.h"

#include <formats/fail.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/DebugInfo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- which functions ---- */

static bool has_attribute(LLVMValueRef function, const char *name)
{
    const unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    return LLVMGetEnumAttributeAtIndex(function, LLVMAttributeFunctionIndex, kind) != NULL;
}

/* Whether a value is the address of a block, or a constant made of one. */
static bool is_of_block(LLVMValueRef value)
{
    if (LLVMIsABlockAddress(value))
        return true;
    const int count = LLVMIsAConstantExpr(value) ? LLVMGetNumOperands(value) : 0;
    for (int i = 0; i < count; i++)
        if (is_of_block(LLVMGetOperand(value, (unsigned)i)))
            return true;
    return false;
}

static bool takes_address_of_block(LLVMValueRef instruction)
{
    for (unsigned i = 0, count = (unsigned)LLVMGetNumOperands(instruction); i < count; i++)
        if (is_of_block(LLVMGetOperand(instruction, i)))
            return true;
    return false;
}

static bool is_address_taken(LLVMBasicBlockRef block)
{
    for (LLVMUseRef use = LLVMGetFirstUse(LLVMBasicBlockAsValue(block)); use; use = LLVMGetNextUse(use))
        if (LLVMIsABlockAddress(LLVMGetUser(use)))
            return true;
    return false;
}

/* Whether the function knows, or is known by, addresses of blocks, which another body would not have. */
static bool has_block_addresses(LLVMValueRef function)
{
    for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(function); block; block = LLVMGetNextBasicBlock(block)) {
        const LLVMValueRef last = LLVMGetBasicBlockTerminator(block);
        if (is_address_taken(block) || (last && LLVMGetInstructionOpcode(last) == LLVMCallBr))
            return true;
        for (LLVMValueRef at = LLVMGetFirstInstruction(block); at; at = LLVMGetNextInstruction(at))
            if (takes_address_of_block(at))
                return true;
    }
    return false;
}

static bool is_chosen(vrcc_choice *choice, const vrcc_source *source, uint32_t line)
{
    if (choice->has_only && !vrcc_items_match(&choice->only, source, line))
        return false;
    return choice->exclude.count == 0 || !vrcc_items_match(&choice->exclude, source, line);
}

/* A function's places. */
typedef struct number_list {
    uint32_t *list;
    size_t count;
} number_list;

static void add_number(number_list *numbers, uint32_t number)
{
    if ((numbers->count & (numbers->count - 1)) == 0)
        numbers->list = realloc(numbers->list, (numbers->count ? 2 * numbers->count : 1) * sizeof *numbers->list);
    if (!numbers->list)
        abort();
    numbers->list[numbers->count++] = number;
}

static int by_number(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void sort_numbers(number_list *numbers)
{
    size_t count = 0;
    if (numbers->count > 0)
        qsort(numbers->list, numbers->count, sizeof *numbers->list, by_number);
    for (size_t i = 0; i < numbers->count; i++)
        if (i == 0 || numbers->list[i] != numbers->list[i - 1])
            numbers->list[count++] = numbers->list[i];
    numbers->count = count;
}

/* Gives each operation that is chosen its place. Whether there are any, chosen or not. */
static bool mark_operations(LLVMValueRef function, vrcc_choice *choice, vrcc_places *places, number_list *numbers)
{
    bool any = false;
    for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(function); block; block = LLVMGetNextBasicBlock(block)) {
        for (LLVMValueRef at = LLVMGetFirstInstruction(block); at; at = LLVMGetNextInstruction(at)) {
            const vrcc_site site = vrcc_classify(at);
            if (!vrcc_is_wanted(&site, choice->groups))
                continue;
            any = true;
            const unsigned number = vrcc_places_find(places, at);
            const vrcc_located where = vrcc_places_at(places, number);
            const vrcc_source source = vrcc_places_source(places, where.source);
            if (!is_chosen(choice, &source, where.line))
                continue;
            vrcc_places_mark(at, number);
            add_number(numbers, number);
        }
    }
    sort_numbers(numbers);
    return any;
}

static void unmark_operations(LLVMValueRef function)
{
    unsigned place;
    for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(function); block; block = LLVMGetNextBasicBlock(block))
        for (LLVMValueRef at = LLVMGetFirstInstruction(block); at; at = LLVMGetNextInstruction(at))
            if (vrcc_places_marked(at, &place))
                vrcc_places_unmark(at);
}

static vrcc_way choose_way(LLVMValueRef function, vrcc_choice *choice, vrcc_places *places, number_list *numbers)
{
    if (has_attribute(function, "naked"))
        return VRCC_NAKED;
    if (!mark_operations(function, choice, places, numbers))
        return VRCC_WITHOUT;
    if (numbers->count == 0)
        return VRCC_EXCLUDED;
    const bool varies = LLVMIsFunctionVarArg(LLVMGlobalGetValueType(function));
    return varies || has_block_addresses(function) ? VRCC_IN_PLACE : VRCC_BODIES;
}

static bool is_emitted(LLVMValueRef function)
{
    return !LLVMIsDeclaration(function) && LLVMGetLinkage(function) != LLVMAvailableExternallyLinkage;
}

/* ---- the module ---- */

/* vrcc_function of runtime.h */
static LLVMTypeRef record_type(LLVMContextRef context)
{
    const LLVMTypeRef pointer = LLVMPointerType(LLVMInt8TypeInContext(context), 0);
    LLVMTypeRef parts[] = {LLVMInt8TypeInContext(context), LLVMInt32TypeInContext(context), pointer, pointer};
    return LLVMStructTypeInContext(context, parts, 4, false);
}

static LLVMValueRef numbers_constant(LLVMModuleRef module, const number_list *numbers)
{
    const LLVMContextRef context = LLVMGetModuleContext(module);
    const LLVMTypeRef i32 = LLVMInt32TypeInContext(context);
    LLVMValueRef *values = calloc(numbers->count, sizeof(LLVMValueRef));
    if (!values)
        abort();
    for (size_t i = 0; i < numbers->count; i++)
        values[i] = LLVMConstInt(i32, numbers->list[i], false);
    const unsigned count = (unsigned)numbers->count;
    const LLVMValueRef global = LLVMAddGlobal(module, LLVMArrayType(i32, count), "");
    LLVMSetInitializer(global, LLVMConstArray(i32, values, count));
    LLVMSetLinkage(global, LLVMPrivateLinkage);
    LLVMSetGlobalConstant(global, true);
    free(values);
    return LLVMConstBitCast(global, LLVMPointerType(LLVMInt8TypeInContext(context), 0));
}

static LLVMValueRef make_record(LLVMModuleRef module, LLVMValueRef function, const number_list *numbers)
{
    const LLVMContextRef context = LLVMGetModuleContext(module);
    size_t length;
    const char *name = LLVMGetValueName2(function, &length);
    char *own = malloc(length + sizeof ".vrcc");
    if (!own)
        abort();
    sprintf(own, "%s.vrcc", name);
    const LLVMValueRef record = LLVMAddGlobal(module, record_type(context), own);
    free(own);
    LLVMValueRef parts[] = {LLVMConstNull(LLVMInt8TypeInContext(context)),
                            LLVMConstInt(LLVMInt32TypeInContext(context), numbers->count, false),
                            vrcc_places_pointer(module, 0), numbers_constant(module, numbers)};
    LLVMSetInitializer(record, LLVMConstStructInContext(context, parts, 4, false));
    LLVMSetVisibility(record, LLVMHiddenVisibility);
    return record;
}

/* The objects of a program that have this are known to be instrumented. */
static void mark(LLVMModuleRef module)
{
    const char *text = "\t.pushsection .vrcc,\"\",@progbits\n\t.asciz \"vrcc " VR_VERSION "\"\n\t.popsection\n";
    LLVMAppendModuleInlineAsm(module, text, strlen(text));
}

static vr_status verify(LLVMModuleRef module, const char *file)
{
    char *message = NULL;
    const bool broken = LLVMVerifyModule(module, LLVMReturnStatusAction, &message);
    const vr_status status =
        broken ? vr_fail(VR_ERROR_UNSUPPORTED, "%s: cannot be instrumented: %s", file, message) : VR_OK;
    LLVMDisposeMessage(message);
    return status;
}

static size_t count_emitted(LLVMModuleRef module)
{
    size_t count = 0;
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f))
        count += is_emitted(f);
    return count;
}

/* Threads have streams of their own, by who creates them. */
static void rename_thread_creation(LLVMModuleRef module)
{
    static const char name[] = "vrcc_thread_create";
    const LLVMValueRef create = LLVMGetNamedFunction(module, "pthread_create");
    if (!create || !LLVMIsDeclaration(create))
        return;
    LLVMSetValueName2(create, name, sizeof name - 1);
    LLVMSetVisibility(create, LLVMHiddenVisibility);
}

/* A function that is emitted, and what becomes of it. */
typedef struct found_function {
    LLVMValueRef function;
    vrcc_way way;
    number_list numbers;
} found_function;

static found_function *find_functions(LLVMModuleRef module, vrcc_choice *choice, vrcc_places *places, size_t count)
{
    found_function *found = calloc(count + 1, sizeof *found);
    if (!found)
        abort();
    size_t i = 0;
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f)) {
        if (!is_emitted(f))
            continue;
        found[i].function = f;
        found[i].way = choose_way(f, choice, places, &found[i].numbers);
        i++;
    }
    return found;
}

static void report_functions(FILE *report, LLVMModuleRef module, const found_function *functions, size_t count,
                             const vrcc_choice *choice, const char *file)
{
    vrcc_way *ways = calloc(count + 1, sizeof *ways);
    if (!ways)
        abort();
    for (size_t i = 0; i < count; i++)
        ways[i] = functions[i].way;
    vrcc_found found = vrcc_report_find(module, ways, choice->groups, file);
    if (choice->is_json)
        vrcc_report_json(report, &found);
    else
        vrcc_report_text(report, &found);
    vrcc_report_free(&found);
    free(ways);
}

static vr_status instrument_functions(LLVMModuleRef module, const vrcc_arithmetic *arithmetic,
                                      const found_function *found, size_t count, bool inlines)
{
    vrcc_bodies *bodies = calloc(count + 1, sizeof *bodies);
    size_t body_count = 0;
    if (!bodies)
        abort();
    for (size_t i = 0; i < count; i++) {
        if (found[i].way == VRCC_IN_PLACE)
            (void)vrcc_instrument(arithmetic, found[i].function, NULL, false);
        else if (found[i].way == VRCC_BODIES)
            bodies[body_count++] = (vrcc_bodies){.function = found[i].function,
                                                 .record = make_record(module, found[i].function, &found[i].numbers)};
    }
    const vr_status status = vrcc_make_bodies(module, arithmetic, bodies, body_count, inlines);
    for (size_t i = 0; i < count; i++)
        unmark_operations(found[i].function);
    free(bodies);
    return status;
}

vr_status vrcc_rewrite(LLVMModuleRef module, const vrcc_arithmetic *arithmetic, vrcc_choice *choice, const char *file,
                       FILE *report)
{
    const size_t count = count_emitted(module);
    vrcc_places *places = vrcc_places_new(module, file);
    found_function *found = find_functions(module, choice, places, count);
    if (report)
        report_functions(report, module, found, count, choice, file);
    if (choice->strips)
        LLVMStripModuleDebugInfo(module);
    mark(module);
    rename_thread_creation(module);
    vrcc_places_write(places, module);
    vr_status status = instrument_functions(module, arithmetic, found, count, choice->inlines);
    if (status == VR_OK)
        status = verify(module, file);
    for (size_t i = 0; i < count; i++)
        free(found[i].numbers.list);
    free(found);
    vrcc_places_free(places);
    return status;
}
