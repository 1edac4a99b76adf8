/* table.h - the tables of precompiled operations that instrumented functions call through.
 *
 * libvrcc.a holds the arithmetic of arithmetic.c for every type and width of vectors that a register has, compiled for
 * each of a few instruction sets (library.c writes it). For each set there are three tables of functions, for SR, UD
 * and everything else (calls of the runtime); an instrumented function takes one where it begins, by its record's body
 * (runtime.h). So there is one rounded body whatever the mode, and compiling it costs little more than the plain one;
 * what the calls cost when the program runs is small beside the arithmetic itself.
 *
 * A function of a table: its operands are scalars or vectors of one type; the first argument is what the runtime is
 * told of the caller.
 */
#ifndef VRCC_TABLE_H
#define VRCC_TABLE_H

#include "operation.h"

#define VRCC_SHAPES  9 /* f32: 1, 2, 4, 8, 16 lanes; f64: 1, 2, 4, 8 */
#define VRCC_ENTRIES (VRCC_SHAPES * VRCC_OPERATIONS)
#define VRCC_TABLES  (VRCC_CALLS + 1) /* tables are found by enum vrcc_body */

/* The place in a table; lanes: a power of two that a register of some instruction set holds. */
unsigned vrcc_entry(vr_operation op, bool is_f64, unsigned lanes);

/* Whether a function is compiled for a processor that has a feature, by its name without a sign. */
bool vrcc_has_feature(LLVMValueRef function, const char *feature);

/* The type of a function of a table. */
LLVMTypeRef vrcc_entry_type(LLVMContextRef context, vr_operation op, LLVMTypeRef element, unsigned lanes);

/* vrcc_tables_NAME of the library: a pointer to a table for each body. Declared where it is not yet. */
LLVMValueRef vrcc_tables(LLVMModuleRef module, const char *name);

/* The operation by calls through the table of e->function: vectors are cut to what its registers hold. */
LLVMValueRef vrcc_emit_table_call(vrcc_emitter *e, vr_operation op, LLVMTypeRef type, unsigned lanes,
                                  const LLVMValueRef x[3]);

#endif
