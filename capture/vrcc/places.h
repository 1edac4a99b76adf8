/* places.h - where in the source each operation of a module stands, whatever functions the compiler has put it into.
 *
 * A place is a line of a function of the source (vrcc_place of runtime.h). The instructions that are to be instrumented
 * bear the number of theirs as metadata, which goes with them wherever they are copied to.
 */
#ifndef VRCC_PLACES_H
#define VRCC_PLACES_H

#include "items.h"

#include <llvm-c/Core.h>

typedef struct vrcc_places vrcc_places;

/* No memory ends the program, here and below. `file`: what was compiled, for functions without debug information. */
vrcc_places *vrcc_places_new(LLVMModuleRef module, const char *file);
void vrcc_places_free(vrcc_places *places);

/* The number of an instruction's place. An instruction that has none of its own (an optimizer made it) is taken to
 * stand where what it takes, or what takes it, does. */
unsigned vrcc_places_find(vrcc_places *places, LLVMValueRef instruction);

/* Where a place is: the number of its function of the source, and the line, 0 where that is not known. */
typedef struct vrcc_located {
    uint32_t source, line;
} vrcc_located;

vrcc_located vrcc_places_at(const vrcc_places *places, unsigned place);
size_t vrcc_places_count(const vrcc_places *places);

/* A function of the source, by its number; its text is the table's. */
vrcc_source vrcc_places_source(const vrcc_places *places, size_t source);
size_t vrcc_places_source_count(const vrcc_places *places);

/* Gives an instruction its number, or takes it away again. */
void vrcc_places_mark(LLVMValueRef instruction, unsigned place);
void vrcc_places_unmark(LLVMValueRef instruction);

/* The number of an instruction; false where it has none. */
bool vrcc_places_marked(LLVMValueRef instruction, unsigned *place);

/* Puts all places into the module, as runtime.h has them. */
void vrcc_places_write(const vrcc_places *places, LLVMModuleRef module);

/* A place of the module, or of one that declares its places, as a pointer to bytes; place 0 stands for all of them. */
LLVMValueRef vrcc_places_pointer(LLVMModuleRef module, unsigned place);

#endif
