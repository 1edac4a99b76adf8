#include "places.h"
#include "runtime.h"

#include <stdlib.h>
#include <string.h>

/* Names that the source cannot have. */
#define PLACES  "vrcc.places"
#define SOURCES "vrcc.sources"
#define KIND    "vrcc.place"

/* ---- the instructions' numbers ---- */

static unsigned kind_of(LLVMContextRef context)
{
    return LLVMGetMDKindIDInContext(context, KIND, sizeof KIND - 1);
}

static LLVMContextRef context_of(LLVMValueRef value)
{
    return LLVMGetTypeContext(LLVMTypeOf(value));
}

void vrcc_places_mark(LLVMValueRef instruction, unsigned place)
{
    const LLVMContextRef context = context_of(instruction);
    LLVMMetadataRef number = LLVMValueAsMetadata(LLVMConstInt(LLVMInt32TypeInContext(context), place, false));
    const LLVMMetadataRef node = LLVMMDNodeInContext2(context, &number, 1);
    LLVMSetMetadata(instruction, kind_of(context), LLVMMetadataAsValue(context, node));
}

void vrcc_places_unmark(LLVMValueRef instruction)
{
    LLVMSetMetadata(instruction, kind_of(context_of(instruction)), NULL);
}

bool vrcc_places_marked(LLVMValueRef instruction, unsigned *place)
{
    const LLVMValueRef node =
        LLVMHasMetadata(instruction) ? LLVMGetMetadata(instruction, kind_of(context_of(instruction))) : NULL;
    if (!node)
        return false;
    LLVMValueRef number;
    LLVMGetMDNodeOperands(node, &number);
    *place = (unsigned)LLVMConstIntGetZExtValue(number);
    return true;
}

/* ---- the table ---- */

static LLVMTypeRef pointer_type(LLVMContextRef context)
{
    return LLVMPointerType(LLVMInt8TypeInContext(context), 0);
}

/* vrcc_source of items.h */
static LLVMTypeRef source_type(LLVMContextRef context)
{
    LLVMTypeRef parts[] = {pointer_type(context), pointer_type(context), pointer_type(context)};
    return LLVMStructTypeInContext(context, parts, 3, false);
}

/* vrcc_place of runtime.h */
static LLVMTypeRef place_type(LLVMContextRef context)
{
    const LLVMTypeRef pointer = pointer_type(context);
    LLVMTypeRef parts[] = {pointer, pointer, pointer, LLVMInt32TypeInContext(context), LLVMInt8TypeInContext(context)};
    return LLVMStructTypeInContext(context, parts, 5, false);
}

/* Element `index` of an array that is a global variable. */
static LLVMValueRef element_at(LLVMValueRef array, size_t index)
{
    const LLVMContextRef context = context_of(array);
    const LLVMTypeRef i64 = LLVMInt64TypeInContext(context);
    LLVMValueRef indices[] = {LLVMConstInt(i64, 0, false), LLVMConstInt(i64, index, false)};
    return LLVMConstBitCast(LLVMConstInBoundsGEP2(LLVMGlobalGetValueType(array), array, indices, 2),
                            pointer_type(context));
}

static LLVMValueRef text_constant(LLVMModuleRef module, const char *text)
{
    const LLVMContextRef context = LLVMGetModuleContext(module);
    if (!text)
        return LLVMConstNull(pointer_type(context));
    const LLVMValueRef bytes = LLVMConstStringInContext(context, text, (unsigned)strlen(text), false);
    const LLVMValueRef global = LLVMAddGlobal(module, LLVMTypeOf(bytes), "");
    LLVMSetInitializer(global, bytes);
    LLVMSetLinkage(global, LLVMPrivateLinkage);
    LLVMSetGlobalConstant(global, true);
    LLVMSetUnnamedAddress(global, LLVMGlobalUnnamedAddr);
    return LLVMConstBitCast(global, pointer_type(context));
}

static LLVMValueRef make_array(LLVMModuleRef module, const char *name, LLVMTypeRef type, LLVMValueRef *values,
                               size_t count)
{
    const LLVMValueRef array = LLVMAddGlobal(module, LLVMArrayType(type, (unsigned)count), name);
    LLVMSetInitializer(array, values ? LLVMConstArray(type, values, (unsigned)count)
                                     : LLVMConstNull(LLVMArrayType(type, (unsigned)count)));
    LLVMSetLinkage(array, LLVMInternalLinkage);
    return array;
}

static LLVMValueRef write_sources(const vrcc_places *places, LLVMModuleRef module)
{
    const LLVMContextRef context = LLVMGetModuleContext(module);
    const size_t count = vrcc_places_source_count(places);
    LLVMValueRef *values = calloc(count, sizeof(LLVMValueRef));
    if (!values)
        abort();
    for (size_t i = 0; i < count; i++) {
        const vrcc_source s = vrcc_places_source(places, i);
        LLVMValueRef parts[] = {text_constant(module, s.symbol), text_constant(module, s.name),
                                text_constant(module, s.file)};
        values[i] = LLVMConstStructInContext(context, parts, 3, false);
    }
    const LLVMValueRef array = make_array(module, SOURCES, source_type(context), values, count);
    LLVMSetGlobalConstant(array, true);
    free(values);
    return array;
}

void vrcc_places_write(const vrcc_places *places, LLVMModuleRef module)
{
    const LLVMContextRef context = LLVMGetModuleContext(module);
    const size_t count = vrcc_places_count(places);
    if (count == 0)
        return;
    const LLVMValueRef sources = write_sources(places, module);
    const LLVMTypeRef i64 = LLVMInt64TypeInContext(context), row = LLVMArrayType(i64, VRCC_COUNTS);
    const LLVMValueRef counts = make_array(module, "vrcc.counts", row, NULL, count);
    LLVMValueRef *values = calloc(count, sizeof(LLVMValueRef));
    if (!values)
        abort();
    for (unsigned i = 0; i < count; i++) {
        const vrcc_located at = vrcc_places_at(places, i);
        LLVMValueRef parts[] = {element_at(sources, at.source), element_at(counts, i),
                                LLVMConstNull(pointer_type(context)),
                                LLVMConstInt(LLVMInt32TypeInContext(context), at.line, false),
                                LLVMConstNull(LLVMInt8TypeInContext(context))};
        values[i] = LLVMConstStructInContext(context, parts, 5, false);
    }
    make_array(module, PLACES, place_type(context), values, count);
    free(values);
}

LLVMValueRef vrcc_places_pointer(LLVMModuleRef module, unsigned place)
{
    return element_at(LLVMGetNamedGlobal(module, PLACES), place);
}
