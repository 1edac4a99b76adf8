/* The functions of operations_ir.sh, on arrays. */
#include "operations.h"

enum { ADD, SUB, MUL, DIV, SQRT, FMA };

#define ON_ARRAYS(name, size, width)                                                                                   \
    extern void name(const void *a, const void *b, const void *c, void *out);                                          \
    static void name##_array(const void *a, const void *b, const void *c, void *out, size_t n)                         \
    {                                                                                                                  \
        for (size_t i = 0; i < n; i += (width)) {                                                                      \
            const size_t at = i * (size);                                                                              \
            name((const char *)a + at, (const char *)b + at, (const char *)c + at, (char *)out + at);                  \
        }                                                                                                              \
    }

/* each(name of the operation, number, name of the type, is f64, lanes, kind) */
#define OF_TYPE(each, name, op, type, is_f64, kind)                                                                    \
    each(name, op, type, is_f64, 2, kind) each(name, op, type, is_f64, 3, kind) each(name, op, type, is_f64, 4, kind)  \
        each(name, op, type, is_f64, 5, kind) each(name, op, type, is_f64, 6, kind)                                    \
            each(name, op, type, is_f64, 7, kind) each(name, op, type, is_f64, 8, kind)                                \
                each(name, op, type, is_f64, 16, kind)
#define VECTORS(each, name, op, kind) OF_TYPE(each, name, op, f32, false, kind) OF_TYPE(each, name, op, f64, true, kind)
#define SCALARS(each, name, op, kind) each(name, op, f32, false, 1, kind) each(name, op, f64, true, 1, kind)
#define STRICT(each, name, op)                                                                                         \
    SCALARS(each, strict_##name, op, EACH)                                                                             \
    each(strict_##name, op, f32, false, 3, EACH) each(strict_##name, op, f64, true, 3, EACH)                           \
        each(strict_##name, op, f32, false, 4, EACH) each(strict_##name, op, f64, true, 4, EACH)

#define ALL(each)                                                                                                      \
    SCALARS(each, fma, FMA, EACH)                                                                                      \
    SCALARS(each, sqrt, SQRT, EACH)                                                                                    \
    VECTORS(each, fma, FMA, EACH)                                                                                      \
    VECTORS(each, sqrt, SQRT, EACH)                                                                                    \
    VECTORS(each, ordered_fadd, ADD, ORDERED)                                                                          \
    VECTORS(each, ordered_fmul, MUL, ORDERED)                                                                          \
    VECTORS(each, pairs_fadd, ADD, PAIRS)                                                                              \
    VECTORS(each, pairs_fmul, MUL, PAIRS)                                                                              \
    STRICT(each, fadd, ADD)                                                                                            \
    STRICT(each, fsub, SUB)                                                                                            \
    STRICT(each, fmul, MUL)                                                                                            \
    STRICT(each, fdiv, DIV)                                                                                            \
    STRICT(each, sqrt, SQRT)                                                                                           \
    STRICT(each, fma, FMA)

#define FUNCTION(name, op, type, is_f64, lanes, kind) ON_ARRAYS(ir_##name##_##type##_##lanes, (is_f64) ? 8 : 4, lanes)
ALL(FUNCTION)
ON_ARRAYS(ir_atomic_fadd_f32, 4, 1)
ON_ARRAYS(ir_atomic_fadd_f64, 8, 1)
ON_ARRAYS(ir_atomic_fsub_f32, 4, 1)
ON_ARRAYS(ir_atomic_fsub_f64, 8, 1)

#define ENTRY(name, op, type, is_f64, lanes, kind)                                                                     \
    {#name "_" #type "_" #lanes, op, is_f64, false, ir_##name##_##type##_##lanes##_array, kind, lanes},
const operation_entry ir_entries[] = {
    ALL(ENTRY){"atomic_fadd_f32", ADD, false, false, ir_atomic_fadd_f32_array, ATOMIC, 1},
    {"atomic_fadd_f64", ADD, true, false, ir_atomic_fadd_f64_array, ATOMIC, 1},
    {"atomic_fsub_f32", SUB, false, false, ir_atomic_fsub_f32_array, ATOMIC, 1},
    {"atomic_fsub_f64", SUB, true, false, ir_atomic_fsub_f64_array, ATOMIC, 1},
};
const size_t ir_entry_count = sizeof ir_entries / sizeof *ir_entries;

#define HALVES(each, name, op) each(name, op, 1) each(name, op, 3) each(name, op, 8)
#define ALL_HALVES(each)                                                                                               \
    HALVES(each, fadd, ADD)                                                                                            \
    HALVES(each, fsub, SUB)                                                                                            \
    HALVES(each, fmul, MUL)                                                                                            \
    HALVES(each, fdiv, DIV)                                                                                            \
    HALVES(each, sqrt, SQRT)                                                                                           \
    HALVES(each, fma, FMA)
#define HALF_FUNCTION(name, op, lanes) ON_ARRAYS(ir_##name##_f16_##lanes, 2, lanes)
ALL_HALVES(HALF_FUNCTION)
#define HALF_ENTRY(name, op, lanes) {#name "_f16_" #lanes, op, ir_##name##_f16_##lanes##_array},
const half_entry half_entries[] = {ALL_HALVES(HALF_ENTRY)};
const size_t half_entry_count = sizeof half_entries / sizeof *half_entries;
