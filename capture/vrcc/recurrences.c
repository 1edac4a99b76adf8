#include "recurrences.h"

#include "classify.h"

#include <stdlib.h>

#define MOST_DEEP       8 /* operations between a value and its next */
#define MOST_NEIGHBOURS 8
#define MOST_SEEN       64 /* values looked at for one phi: a body without loops in it may still be very large */

/* The search from a phi's incoming values back to it. */
typedef struct search {
    vrcc_recurrences *out;
    LLVMValueRef phi;
    unsigned seen;
} search;

static bool is_scalar(LLVMValueRef value)
{
    const LLVMTypeKind kind = LLVMGetTypeKind(LLVMTypeOf(value));
    return kind == LLVMFloatTypeKind || kind == LLVMDoubleTypeKind;
}

static void add(vrcc_recurrences *out, LLVMValueRef instruction)
{
    for (size_t i = 0; i < out->count; i++)
        if (out->list[i] == instruction)
            return;
    if (out->count < out->room)
        out->list[out->count++] = instruction;
}

/* Whether `value` is made from the phi by operations; those are added. */
static bool comes_back(search *s, LLVMValueRef value, unsigned depth)
{
    if (value == s->phi)
        return true;
    if (depth == MOST_DEEP || s->seen++ >= MOST_SEEN || !LLVMIsAInstruction(value) || !is_scalar(value))
        return false;
    const vrcc_site site = vrcc_classify(value);
    if (site.kind != VRCC_OPERATION && site.kind != VRCC_MULTIPLY_ADD)
        return false;
    bool found = false;
    for (unsigned i = 0; i < (unsigned)LLVMGetNumOperands(value) && !found; i++)
        found = comes_back(s, LLVMGetOperand(value, i), depth + 1);
    if (found)
        add(s->out, value);
    return found;
}

/* The few other scalar operations beside one: the value that goes round would be spilled for their calls. */
static void add_neighbours(vrcc_recurrences *out, LLVMBasicBlockRef block)
{
    LLVMValueRef found[MOST_NEIGHBOURS];
    size_t count = 0;
    for (LLVMValueRef at = LLVMGetFirstInstruction(block); at; at = LLVMGetNextInstruction(at)) {
        const vrcc_kind kind = vrcc_classify(at).kind;
        if (kind != VRCC_OPERATION && kind != VRCC_MULTIPLY_ADD)
            continue;
        if (count == MOST_NEIGHBOURS || !is_scalar(at))
            return;
        found[count++] = at;
    }
    for (size_t i = 0; i < count; i++)
        add(out, found[i]);
}

static int by_address(const void *a, const void *b)
{
    const LLVMValueRef x = *(const LLVMValueRef *)a, y = *(const LLVMValueRef *)b;
    return (x > y) - (x < y);
}

void vrcc_recurrences_find(vrcc_recurrences *out, LLVMValueRef function, size_t most)
{
    *out = (vrcc_recurrences){.list = calloc(most + 1, sizeof(LLVMValueRef)), .room = most};
    if (!out->list)
        abort();
    for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(function); block; block = LLVMGetNextBasicBlock(block)) {
        LLVMValueRef phi = LLVMGetFirstInstruction(block);
        for (; phi && LLVMIsAPHINode(phi) && out->count < most; phi = LLVMGetNextInstruction(phi)) {
            search s = {.out = out, .phi = phi};
            for (unsigned i = 0; is_scalar(phi) && i < LLVMCountIncoming(phi); i++)
                if (LLVMGetIncomingValue(phi, i) != phi)
                    comes_back(&s, LLVMGetIncomingValue(phi, i), 0);
        }
    }
    for (size_t i = 0, count = out->count; i < count; i++)
        add_neighbours(out, LLVMGetInstructionParent(out->list[i]));
    qsort(out->list, out->count, sizeof *out->list, by_address);
}

bool vrcc_is_recurrence(const vrcc_recurrences *recurrences, LLVMValueRef instruction)
{
    return bsearch(&instruction, recurrences->list, recurrences->count, sizeof *recurrences->list, by_address) != NULL;
}

void vrcc_recurrences_free(vrcc_recurrences *recurrences)
{
    free(recurrences->list);
    *recurrences = (vrcc_recurrences){0};
}
