#include "report.h"

#include <stdlib.h>
#include <string.h>

/* What is not the instruction: metadata at its end. */
static char *text_of_instruction(LLVMValueRef instruction)
{
    char *text = LLVMPrintValueToString(instruction);
    const char *begin = text + strspn(text, " "), *equals = strstr(begin, " = ");
    if (*begin == '%' && equals)
        begin = equals + 3;
    const char *end = strstr(begin, ", !");
    char *out = strndup(begin, end ? (size_t)(end - begin) : strcspn(begin, "\n"));
    LLVMDisposeMessage(text);
    if (!out)
        abort();
    return out;
}

static void add_exception(vrcc_found *found, LLVMValueRef instruction, unsigned place, const char *reason,
                          bool is_library)
{
    if ((found->exception_count & (found->exception_count - 1)) == 0) {
        const size_t room = found->exception_count ? 2 * found->exception_count : 1;
        found->exceptions = realloc(found->exceptions, room * sizeof *found->exceptions);
    }
    char *copy = strdup(reason);
    if (!found->exceptions || !copy)
        abort();
    found->exceptions[found->exception_count++] =
        (vrcc_exception){place, is_library, copy, is_library ? NULL : text_of_instruction(instruction)};
}

static void count_kind(vrcc_tally *tally, const vrcc_site *site)
{
    tally->instrumented++;
    tally->in_vectors += site->lanes > 0;
    if (site->kind == VRCC_OPERATION)
        tally->operations[site->op]++;
    tally->multiply_add += site->kind == VRCC_MULTIPLY_ADD;
    tally->reductions += site->kind == VRCC_REDUCTION;
    tally->atomics += site->kind == VRCC_ATOMIC;
    tally->conversions += site->kind == VRCC_CONVERSION;
    tally->comparisons += site->kind == VRCC_COMPARISON;
}

/* The tally of the function of the source in which a place is. */
static vrcc_tally *tally_of(vrcc_found *found, unsigned place)
{
    const size_t source = vrcc_places_at(found->places, place).source, count = vrcc_places_source_count(found->places);
    if (count > found->source_count) {
        found->by_source = realloc(found->by_source, count * sizeof *found->by_source);
        if (!found->by_source)
            abort();
        memset(found->by_source + found->source_count, 0, (count - found->source_count) * sizeof *found->by_source);
        found->source_count = count;
    }
    return &found->by_source[source];
}

static void look_at(vrcc_found *found, LLVMValueRef instruction, vrcc_way way)
{
    const vrcc_site site = vrcc_classify(instruction);
    if (site.kind == VRCC_NO_ARITHMETIC)
        return;
    if ((site.group & found->groups) == 0) {
        if (site.group != VRCC_ARITHMETIC)
            found->unasked[site.group == VRCC_COMPARISONS]++;
        return;
    }
    unsigned marked;
    const unsigned place = vrcc_places_find(found->places, instruction);
    vrcc_tally *tally = tally_of(found, place);
    if (site.kind == VRCC_LIBRARY_CALL) {
        tally->library++;
        add_exception(found, instruction, place, site.reason, true);
    } else if (site.kind == VRCC_LEFT_ALONE) {
        tally->left++;
        add_exception(found, instruction, place, site.reason, false);
    } else if (!vrcc_places_marked(instruction, &marked)) {
        tally->left++;
        add_exception(found, instruction, place,
                      way == VRCC_NAKED ? "its function is written in assembler" : "excluded", false);
    } else
        count_kind(tally, &site);
}

static void add_tally(vrcc_tally *sum, const vrcc_tally *x)
{
    for (int op = 0; op < VR_OPERATIONS; op++)
        sum->operations[op] += x->operations[op];
    sum->multiply_add += x->multiply_add;
    sum->reductions += x->reductions;
    sum->atomics += x->atomics;
    sum->conversions += x->conversions;
    sum->comparisons += x->comparisons;
    sum->in_vectors += x->in_vectors;
    sum->instrumented += x->instrumented;
    sum->left += x->left;
    sum->library += x->library;
}

vrcc_found vrcc_report_find(LLVMModuleRef module, const vrcc_way *ways, unsigned groups, const char *file)
{
    vrcc_found found = {.file = file, .places = vrcc_places_new(module, file), .groups = groups};
    size_t i = 0;
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f)) {
        if (LLVMIsDeclaration(f) || LLVMGetLinkage(f) == LLVMAvailableExternallyLinkage)
            continue;
        const vrcc_way way = ways[i++];
        found.in_place_count += way == VRCC_IN_PLACE;
        for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(f); block; block = LLVMGetNextBasicBlock(block))
            for (LLVMValueRef at = LLVMGetFirstInstruction(block); at; at = LLVMGetNextInstruction(at))
                look_at(&found, at, way);
    }
    for (i = 0; i < found.source_count; i++)
        add_tally(&found.all, &found.by_source[i]);
    return found;
}

void vrcc_report_free(vrcc_found *found)
{
    for (size_t i = 0; i < found->exception_count; i++) {
        free(found->exceptions[i].reason);
        free(found->exceptions[i].instruction);
    }
    free(found->exceptions);
    free(found->by_source);
    vrcc_places_free(found->places);
    *found = (vrcc_found){0};
}

double vrcc_report_coverage(const vrcc_tally *tally)
{
    const unsigned all = tally->instrumented + tally->left;
    return all ? 100.0 * tally->instrumented / all : 100;
}
