/* kernels_isa.h - what an instruction set (VR_ISA) is to the inner loops of one element type. */
#ifndef VR_KERNELS_ISA_H
#define VR_KERNELS_ISA_H

#include "kernels_impl.h"

#include <string.h>

#if defined __AVX512F__
#define VECTOR_BYTES 64
#define TILE_ROWS    8
#elif defined __AVX2__
#define VECTOR_BYTES 32
#define TILE_ROWS    6
#else
#define VECTOR_BYTES 16
#define TILE_ROWS    4
#endif
#define TILE_COLUMNS (2 * VECTOR_BYTES / (int)sizeof(real))

#define KERNEL__(name, isa) NAME(vr_##name##_##isa)
#define KERNEL_(name, isa)  KERNEL__(name, isa)
#define KERNEL(name)        KERNEL_(name, VR_ISA)
#define UNROLL              _Pragma("GCC unroll 16")

void KERNEL(tile_rounded)(real *out, const real *a, const real *b, int64_t terms, const vr_rounding *how,
                          const places *at);
void KERNEL(columns_rounded)(real *out, const real *a, const real *b, int64_t stride, const uint32_t *order,
                             int64_t terms, int64_t n, const vr_rounding *how, const places *at);

#endif
