/* library SCALARS VECTORS SET OUTPUT: writes the tables of table.h for an instruction set as bitcode, from that of
 * arithmetic.c, once compiled for scalars and once for vectors (files SCALARS.bc, SCALARS-fma.bc and so on). Part of
 * the build of vrcc; what it writes is compiled for that set and goes into libvrcc.a. */
#include "entries.h"
#include "table.h"

#include <formats/fail.h>
#include <llvm-c/Analysis.h>
#include <llvm-c/BitWriter.h>
#include <stdio.h>
#include <string.h>

typedef struct instruction_set {
    const char *name, *tables;
    unsigned bits;
    bool has_fma;
} instruction_set;

static const instruction_set sets[] = {{"base", "base", 128, false},
                                       {"base-fma", "base", 128, true},
                                       {"avx2", "avx2", 256, true},
                                       {"avx512", "avx512", 512, true}};

static const char *const modes[] = {[VRCC_SR] = "sr", [VRCC_UD] = "ud", [VRCC_CALLS] = "calls"};

/* A table: an array of functions, of which those too wide for the set are missing. e: for scalars and for vectors. */
static LLVMValueRef write_table(const vrcc_emitter e[2], unsigned bits, enum vrcc_body body)
{
    const LLVMContextRef context = e->arithmetic->context;
    const LLVMTypeRef pointer = LLVMPointerType(LLVMInt8TypeInContext(context), 0);
    const LLVMTypeRef types[] = {LLVMFloatTypeInContext(context), LLVMDoubleTypeInContext(context)};
    LLVMValueRef entries[VRCC_ENTRIES];
    for (unsigned i = 0; i < VRCC_ENTRIES; i++)
        entries[i] = LLVMConstNull(pointer);
    for (unsigned is_f64 = 0; is_f64 < 2; is_f64++) {
        for (unsigned lanes = 1; lanes * (is_f64 ? 64 : 32) <= bits; lanes *= 2) {
            for (int op = 0; op < VRCC_OPERATIONS; op++) {
                char name[64];
                snprintf(name, sizeof name, "vrcc_%s_%d_f%ux%u", modes[body], op, is_f64 ? 64 : 32, lanes);
                const LLVMValueRef function =
                    vrcc_write_entry(&e[lanes > 1], name, (vr_operation)op, types[is_f64], lanes, body);
                entries[vrcc_entry((vr_operation)op, is_f64, lanes)] = LLVMConstBitCast(function, pointer);
            }
        }
    }
    const LLVMValueRef all = LLVMConstArray(pointer, entries, VRCC_ENTRIES);
    const LLVMValueRef table = LLVMAddGlobal(e->module, LLVMTypeOf(all), "");
    LLVMSetInitializer(table, all);
    LLVMSetLinkage(table, LLVMInternalLinkage);
    LLVMSetGlobalConstant(table, true);
    return LLVMConstBitCast(table, LLVMPointerType(pointer, 0));
}

static void write_tables(const vrcc_emitter e[2], const instruction_set *set)
{
    LLVMValueRef tables[VRCC_TABLES];
    const LLVMValueRef calls = write_table(e, set->bits, VRCC_CALLS);
    for (int body = 0; body < VRCC_TABLES; body++)
        tables[body] = calls;
    for (int body = VRCC_SR; body <= VRCC_UD; body++)
        tables[body] = write_table(e, set->bits, (enum vrcc_body)body);
    LLVMSetInitializer(vrcc_tables(e->module, set->tables), LLVMConstArray(LLVMTypeOf(calls), tables, VRCC_TABLES));
}

static vr_status write_module(LLVMModuleRef module, const char *output)
{
    char *message = NULL;
    const bool broken = LLVMVerifyModule(module, LLVMReturnStatusAction, &message);
    const vr_status status = broken ? vr_fail(VR_ERROR_UNSUPPORTED, "%s: malformed: %s", output, message) : VR_OK;
    LLVMDisposeMessage(message);
    if (status == VR_OK && LLVMWriteBitcodeToFile(module, output) != 0)
        return vr_fail(VR_ERROR_IO, "%s: cannot be written", output);
    return status;
}

static vr_status write_library(const char *const names[2], const instruction_set *set, const char *output)
{
    const LLVMContextRef context = LLVMContextCreate();
    const LLVMModuleRef module = LLVMModuleCreateWithNameInContext("vrcc", context);
    vrcc_arithmetic arithmetic[2] = {{NULL, NULL, NULL}, {NULL, NULL, NULL}};
    vrcc_emitter e[2];
    vr_status status = VR_OK;
    for (int i = 0; i < 2 && status == VR_OK; i++) {
        status = vrcc_arithmetic_load(&arithmetic[i], context, names[i]);
        e[i] = (vrcc_emitter){.arithmetic = &arithmetic[i], .module = module, .has_fma = set->has_fma};
    }
    if (status == VR_OK) {
        LLVMSetTarget(module, LLVMGetTarget(arithmetic->plain));
        LLVMSetDataLayout(module, LLVMGetDataLayoutStr(arithmetic->plain));
        write_tables(e, set);
        status = write_module(module, output);
    }
    LLVMDisposeModule(module);
    for (int i = 0; i < 2; i++)
        vrcc_arithmetic_free(&arithmetic[i]);
    LLVMContextDispose(context);
    return status;
}

int main(int argc, char **argv)
{
    for (size_t i = 0; argc == 5 && i < sizeof sets / sizeof *sets; i++) {
        if (strcmp(argv[3], sets[i].name) != 0)
            continue;
        if (write_library((const char *const[]){argv[1], argv[2]}, &sets[i], argv[4]) == VR_OK)
            return 0;
        fprintf(stderr, "library: %s\n", vr_error());
        return 1;
    }
    fputs("usage: library SCALARS VECTORS base|base-fma|avx2|avx512 OUTPUT\n", stderr);
    return 2;
}
