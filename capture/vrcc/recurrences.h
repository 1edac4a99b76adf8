/* recurrences.h - which operations of a function wait for their own results of the turn of a loop before. */
#ifndef VRCC_RECURRENCES_H
#define VRCC_RECURRENCES_H

#include <llvm-c/Core.h>
#include <stdbool.h>
#include <stddef.h>

/* The instructions, sorted. */
typedef struct vrcc_recurrences {
    LLVMValueRef *list;
    size_t count, room;
} vrcc_recurrences;

/* Scalar operations in a chain of a few from a value at the head of a loop to the same value's next: a sum that is
 * added to; and what few others a block has beside them. At most `most` in all. */
void vrcc_recurrences_find(vrcc_recurrences *out, LLVMValueRef function, size_t most);

bool vrcc_is_recurrence(const vrcc_recurrences *recurrences, LLVMValueRef instruction);

void vrcc_recurrences_free(vrcc_recurrences *recurrences);

#endif
