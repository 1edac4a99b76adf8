#include "operations.h"

#include <math.h>

enum { ADD, SUB, MUL, DIV, SQRT, FMA };

/* FUSES: whether a * b + c is one operation with these options. It is where the compiler asks for it and the target has
 * it; -ffast-math leaves that to the code generator, which vrcc's arithmetic must not reach. */
#define VECTOR(type, lanes) __attribute__((ext_vector_type(lanes), aligned(sizeof(type)))) type

/* Vectors as the source has them. Odd widths lie in memory as wider ones do, so they are put together by hand. */
#define ON_VECTORS(name, type, lanes, expression)                                                                      \
    static void name(const void *a, const void *b, const void *c, void *out, size_t n)                                 \
    {                                                                                                                  \
        typedef VECTOR(type, lanes) vector;                                                                            \
        for (size_t i = 0; i < n; i += lanes) {                                                                        \
            vector x, y, z, r;                                                                                         \
            for (int lane = 0; lane < lanes; lane++) {                                                                 \
                x[lane] = ((const type *)a)[i + lane];                                                                 \
                y[lane] = ((const type *)b)[i + lane];                                                                 \
                z[lane] = ((const type *)c)[i + lane];                                                                 \
            }                                                                                                          \
            r = expression;                                                                                            \
            (void)z;                                                                                                   \
            for (int lane = 0; lane < lanes; lane++)                                                                   \
                ((type *)out)[i + lane] = r[lane];                                                                     \
        }                                                                                                              \
    }

/* A loop, of which the compiler makes what it likes. */
#define ON_SCALARS(name, type, expression)                                                                             \
    static void name(const void *a, const void *b, const void *c, void *out, size_t n)                                 \
    {                                                                                                                  \
        for (size_t i = 0; i < n; i++) {                                                                               \
            const type x = ((const type *)a)[i], y = ((const type *)b)[i], z = ((const type *)c)[i];                   \
            (void)y, (void)z;                                                                                          \
            ((type *)out)[i] = expression;                                                                             \
        }                                                                                                              \
    }

#define WIDTHS(name, type, expression)                                                                                 \
    ON_SCALARS(name##_1, type, expression)                                                                             \
    ON_VECTORS(name##_2, type, 2, expression)                                                                          \
    ON_VECTORS(name##_3, type, 3, expression)                                                                          \
    ON_VECTORS(name##_4, type, 4, expression)                                                                          \
    ON_VECTORS(name##_5, type, 5, expression)                                                                          \
    ON_VECTORS(name##_7, type, 7, expression)                                                                          \
    ON_VECTORS(name##_8, type, 8, expression)                                                                          \
    ON_VECTORS(name##_16, type, 16, expression)

#define TYPES(name, expression)                                                                                        \
    WIDTHS(name##_f32, float, expression)                                                                              \
    WIDTHS(name##_f64, double, expression)

TYPES(add, x + y)
TYPES(sub, x - y)
TYPES(mul, x *y)
TYPES(div, x / y)
TYPES(muladd, x *y + z)
ON_SCALARS(sqrt_f32, float, sqrtf(x))
ON_SCALARS(sqrt_f64, double, sqrt(x))
ON_SCALARS(fma_f32, float, fmaf(x, y, z))
ON_SCALARS(fma_f64, double, fma(x, y, z))

#define ENTRY(name, op, is_f64, split)                                                                                 \
    {                                                                                                                  \
#name, op, is_f64, split, name, EACH, 1                                                                        \
    }
#define ENTRIES_OF(name, op, is_f64, split)                                                                            \
    ENTRY(name##_1, op, is_f64, split), ENTRY(name##_2, op, is_f64, split), ENTRY(name##_3, op, is_f64, split),        \
        ENTRY(name##_4, op, is_f64, split), ENTRY(name##_5, op, is_f64, split), ENTRY(name##_7, op, is_f64, split),    \
        ENTRY(name##_8, op, is_f64, split), ENTRY(name##_16, op, is_f64, split)
#define ENTRIES(name, op, split) ENTRIES_OF(name##_f32, op, false, split), ENTRIES_OF(name##_f64, op, true, split)

const operation_entry operation_entries[] = {
    ENTRIES(add, ADD, false),           ENTRIES(sub, SUB, false),          ENTRIES(mul, MUL, false),
    ENTRIES(div, DIV, false),           ENTRIES(muladd, FMA, !FUSES),      ENTRY(sqrt_f32, SQRT, false, false),
    ENTRY(sqrt_f64, SQRT, true, false), ENTRY(fma_f32, FMA, false, false), ENTRY(fma_f64, FMA, true, false),
};
const size_t operation_entry_count = sizeof operation_entries / sizeof *operation_entries;
