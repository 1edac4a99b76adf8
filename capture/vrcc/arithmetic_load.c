#include "entries.h"
#include "widen.h"

#include <formats/fail.h>
#include <limits.h>
#include <llvm-c/BitReader.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static vr_status load_module(LLVMModuleRef *out, LLVMContextRef context, const char *name, const char *kind)
{
    char path[PATH_MAX];
    LLVMMemoryBufferRef buffer;
    char *message = NULL;
    snprintf(path, sizeof path, "%s%s.bc", name, kind);
    if (LLVMCreateMemoryBufferWithContentsOfFile(path, &buffer, &message)) {
        const vr_status status = vr_fail(VR_ERROR_IO, "%s: %s; is vrcc installed whole?", path, message);
        LLVMDisposeMessage(message);
        return status;
    }
    const bool failed = LLVMParseBitcodeInContext2(context, buffer, out);
    LLVMDisposeMemoryBuffer(buffer);
    return failed ? vr_fail(VR_ERROR_FORMAT, "%s: not bitcode of this LLVM; is vrcc installed whole?", path) : VR_OK;
}

static vr_status check(const vrcc_arithmetic *arithmetic, const char *name)
{
    for (int i = 0; i < VRCC_OPERATIONS * 16; i++) {
        const vr_operation op = (vr_operation)(i / 16);
        const LLVMValueRef function =
            vrcc_arithmetic_find(arithmetic, op, i & 1, i & 2 ? VRCC_SR : VRCC_UD, i & 4, i & 8);
        if (!function || !vrcc_can_widen(function))
            return vr_fail(VR_ERROR_FORMAT, "%s%s.bc: operation %d is missing or is not a straight line", name,
                           i & 4 ? "-fma" : "", op);
    }
    return VR_OK;
}

vr_status vrcc_arithmetic_load(vrcc_arithmetic *out, LLVMContextRef context, const char *name)
{
    *out = (vrcc_arithmetic){.context = context};
    vr_status status = load_module(&out->plain, context, name, "");
    if (status == VR_OK)
        status = load_module(&out->fma, context, name, "-fma");
    return status == VR_OK ? check(out, name) : status;
}

void vrcc_arithmetic_free(vrcc_arithmetic *arithmetic)
{
    if (arithmetic->plain)
        LLVMDisposeModule(arithmetic->plain);
    if (arithmetic->fma)
        LLVMDisposeModule(arithmetic->fma);
    *arithmetic = (vrcc_arithmetic){0};
}
