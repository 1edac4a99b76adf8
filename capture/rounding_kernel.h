/* rounding_kernel.h - the array functions of rounding, compiled once for each instruction set (see libtrace/isa.h). */
#ifndef VR_ROUNDING_KERNEL_H
#define VR_ROUNDING_KERNEL_H

#include <varanalyze/rounding.h>

/* n operations; a, b, c and out as the operation has them, of f32 or f64, unaligned; out may be one of the others. */
typedef struct vr_rounding_call {
    vr_rounding_mode mode;
    vr_operation op;
    int t;
    bool operands;
    uint64_t key, position;
    const void *a, *b, *c;
    void *out;
    size_t n;
} vr_rounding_call;

/* The same for n conversions to a narrow float type, by sr or, if `nearest`, to nearest. */
typedef struct vr_narrow_call {
    vr_dtype to;
    bool nearest, operands;
    uint64_t key, position;
    const float *in;
    void *out;
    size_t n;
} vr_narrow_call;

/* The floating-point environment is the default one. */
typedef struct vr_rounding_kernels {
    const char *name;
    void (*f32)(const vr_rounding_call *call);
    void (*f64)(const vr_rounding_call *call);
    void (*narrow)(const vr_narrow_call *call);
} vr_rounding_kernels;

/* Those of a name, NULL when the machine or the build has none: for tests and benchmarks. */
const vr_rounding_kernels *vr_rounding_kernels_named(const char *name);

/* The library's choice (VR_ISA). */
const vr_rounding_kernels *vr_rounding_kernels_best(void);

#endif
