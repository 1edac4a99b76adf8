/* kernels_impl.h - what the kernels of one element type share; compiled once for each (VR_REAL_BITS 32 or 64). */
#ifndef VR_KERNELS_IMPL_H
#define VR_KERNELS_IMPL_H

#include "kernels_exact.h"

#include <isa.h>
#include <omp.h>
#include <stdbool.h>
#include <varanalyze/kernels.h>

#if VR_REAL_BITS == 32
typedef float real;
typedef uint32_t bits_t;
#define NAME_(x)    x##_f32
#define SIGNIFICAND 24
#elif VR_REAL_BITS == 64
typedef double real;
typedef uint64_t bits_t;
#define NAME_(x)    x##_f64
#define SIGNIFICAND 53
#else
#error "VR_REAL_BITS is 32 or 64"
#endif
#define NAME(x) NAME_(x)

#define INLINE static inline __attribute__((always_inline))

enum {
    BLOCK = 256,          /* terms of a sum along columns */
    LANES = 64,           /* of a sum along contiguous elements */
    LINE = LANES * BLOCK, /* terms of a block of it */
    STRIDE = BLOCK + 16,  /* between the rows of a packed block: not a power of two, for the cache */
    MOST_ROWS = 16,
    MOST_COLUMNS = 64, /* of a tile */
};

/* Where the random word of a term is: lane (the column, mostly) l of row r, term k take position + r row + l lane + k
 * term for the product, `sum` further on for the addition. A block's first term, which is not added to anything within
 * it, leaves that word to the addition of the block. */
typedef struct places {
    uint64_t position, row, lane, term, sum;
} places;

/* Sums as exact as fast code makes them: the sum of terms is high + low, off by at most a small multiple of size. */
typedef struct sketch {
    double *high, *low, *size; /* size: of the sums of magnitudes */
} sketch;

/* The inner loops, one set an instruction set. All sums begin with their first term; there is one at least.
 *
 * A tile is rows x columns sums of products: a[row][STRIDE] (terms contiguous), b[term][columns]. Sums of columns are
 * those of a[i][0..n) (times b[i][0..n) unless NULL), i = order[0], order[1], ... (0, 1, ... when NULL). */
typedef struct NAME(vr_inner) {
    const char *name;
    int rows, columns;             /* of a tile */
    int exact_rows, exact_columns; /* of an exact one */
    void (*tile)(real *out, const real *a, const real *b, int64_t terms);
    void (*tile_rounded)(real *out, const real *a, const real *b, int64_t terms, const vr_rounding *how,
                         const places *at);
    /* `low` is set to 0 where a double alone holds the sum (f32). */
    void (*tile_exact)(double *high, double *low, const double *a, const double *b, int64_t terms);
    void (*columns_of)(real *out, const real *a, const real *b, int64_t stride, const uint32_t *order, int64_t terms,
                       int64_t n);
    void (*columns_rounded)(real *out, const real *a, const real *b, int64_t stride, const uint32_t *order,
                            int64_t terms, int64_t n, const vr_rounding *how, const places *at);
    void (*columns_exact)(const sketch *out, const real *a, const real *b, int64_t stride, const uint32_t *order,
                          int64_t terms, int64_t n);
} NAME(vr_inner);

/* The best of this machine; for tests: those of a name, which the machine must have, from now on. */
const NAME(vr_inner) * NAME(vr_inner_best)(void);
bool NAME(vr_inner_use)(const char *name);

/* How one call, or one step of it, computes. */
typedef struct way {
    vr_order order;
    bool rounded;    /* other than to nearest in full precision */
    vr_rounding how; /* key: of this call's random bits */
    uint64_t order_key;
    int pieces; /* that a sum is cut into, for its order `threads`; else 1 */
    const NAME(vr_inner) * inner;
} way;

/* Counts the call. */
way NAME(vr_way_begin)(vr_math *math);

/* The same for step 1, 2, ... of a call that has several sums: with random bits and orders of their own. */
way NAME(vr_way_step)(const way *call, uint64_t step);

/* a + b as the way has it, with the random word at a position. */
real NAME(vr_add_at)(const way *w, real a, real b, uint64_t position);

/* a op b of n elements (b's one element if b_step is 0), element i with the word at position + i. `out` may be a or b.
 */
void NAME(vr_map)(const way *w, vr_operation op, real *out, const real *a, const real *b, int b_step, int64_t n,
                  uint64_t position);

/* Adds to what other threads add to as well. */
void NAME(vr_add_atomic)(const way *w, real *to, real term, uint64_t position);

/* Whether sums of n terms can have the way's order: a random one, of 2^32 or more, is refused. */
vr_status NAME(vr_check_order)(const way *w, int64_t n);

/* A random order of 0 .. n - 1, the caller's to free; number: of the row it is for. */
vr_status NAME(vr_order_make)(uint32_t **out, const way *w, uint64_t number, int64_t n);

/* high + low, off by at most `error`, rounded as the way has it; false where that is too far off to tell. */
bool NAME(vr_round_sketch)(real *out, const way *w, double high, double low, double error, uint64_t position);

/* The error of a sketch of so many terms, which `parts` sketches of at most BLOCK terms each were added to. */
double NAME(vr_sketch_error)(double size, int64_t terms, int64_t parts);

/* An exact sum, rounded as the way has it. */
real NAME(vr_round_long)(const way *w, vr_long *sum, uint64_t position);

/* high + low += a + b, off by the error of the sum of the low parts. */
INLINE void add_pair(double *high, double *low, double a, double b)
{
    const double s = *high + a, d = s - *high;
    *low += ((*high - (s - d)) + (a - d)) + b;
    *high = s;
}

/* Terms [piece_start(p), piece_start(p + 1)) are those of piece p. */
INLINE int64_t piece_start(int64_t n, int64_t pieces, int64_t p)
{
    return n / pieces * p + (p < n % pieces ? p : n % pieces);
}

/* The one NaN that kernels give. */
INLINE real without_payload(real x)
{
    return x == x ? x : (real)__builtin_nan("");
}

/* Pieces of a sum in the order `atomic`, `wanted` or, where one would have more than `most` terms, more: enough that
 * threads meet, not so many that they do nothing else. */
INLINE int64_t atomic_pieces(int64_t n, int64_t wanted, int64_t most)
{
    const int64_t each = (n - 1) / wanted + 1, terms = each < 8 ? 8 : each < most ? each : most;
    return (n - 1) / terms + 1;
}

/* Threads for a sum of so many bytes. `atomic` is there to race, not to be fast: for small sums as well. */
INLINE int team(const way *w, uint64_t bytes)
{
    const bool races = w->order == VR_ORDER_ATOMIC && bytes >= 4096;
    return vr_worth_threads(races ? UINT64_MAX : bytes) ? omp_get_max_threads() : 1;
}

/* Contiguous sums: out[i] = sum over k of a[i][k] (b[i][k]), [rows][n]; b may be NULL. */
vr_status NAME(vr_lines)(const way *w, real *out, const real *a, const real *b, int64_t rows, int64_t n);

/* Sums of columns: out[j] = (first[j] +) sum over i of a[i][j] (b[i][j]), [rows][n]; first and b may be NULL; first may
 * be out. */
vr_status NAME(vr_columns)(const way *w, real *out, const real *first, const real *a, const real *b, int64_t rows,
                           int64_t n);

/* Sizes that are not negative; the product of those that are not 0, in bytes of reals, does not overflow. */
vr_status NAME(vr_check_sizes)(const char *kernel, int count, const int64_t *sizes);

#endif
