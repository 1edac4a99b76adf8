/* entries.h - writes the functions of the tables (table.h): the arithmetic of arithmetic.c, widened. */
#ifndef VRCC_ENTRIES_H
#define VRCC_ENTRIES_H

#include "operation.h"

/* The function of arithmetic.c for an operation in the mode VRCC_SR or VRCC_UD (`fine`: the
 * one that says where that holds), NULL where it has none. */
LLVMValueRef vrcc_arithmetic_find(const vrcc_arithmetic *arithmetic, vr_operation op, bool is_f64, enum vrcc_body body,
                                  bool fma, bool fine);

/* The function of a table for an operation on `lanes` lanes, written into e->module under `name`: for VRCC_SR or
 * VRCC_UD, or calls of the runtime. Of e only arithmetic, module and has_fma are looked at. */
LLVMValueRef vrcc_write_entry(const vrcc_emitter *e, const char *name, vr_operation op, LLVMTypeRef type,
                              unsigned lanes, enum vrcc_body body);

/* A function to be inlined that has the arithmetic of SR itself: f(site, body, entry, a, b, c) computes it where body
 * is VRCC_SR, and else, and where that does not hold, what entry, the table's function, does. */
LLVMValueRef vrcc_inline_entry(const vrcc_emitter *e, vr_operation op, LLVMTypeRef type);

#endif
