/* bodies.h - several bodies of a function, and the choice between them. */
#ifndef VRCC_BODIES_H
#define VRCC_BODIES_H

#include "instrument.h"

/* A function of the module, and its record there. */
typedef struct vrcc_bodies {
    LLVMValueRef function, record;
    bool inlined; /* set here: the rounded body has arithmetic of its own */
} vrcc_bodies;

/* Gives `count` functions a second body, whose operations are called through tables (table.h; `inlines`: some have the
 * arithmetic of SR inlined); the function itself, under its old name, then chooses. Fails with VR_ERROR_UNSUPPORTED,
 * LLVM's words in the message. */
vr_status vrcc_make_bodies(LLVMModuleRef module, const vrcc_arithmetic *arithmetic, vrcc_bodies *bodies, size_t count,
                           bool inlines);

#endif
