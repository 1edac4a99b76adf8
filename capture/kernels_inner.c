/* kernels_inner.c - sums of products and of columns, compiled for each instruction set (VR_ISA) and element type.
 *
 * Every sum is added in its own order, term by term, so neither the width of vectors nor the size of tiles shows in the
 * bits. Exact sums are not those of the type: f32 are added in double, f64 in twice the precision (Ogita, Rump and
 * Oishi, SIAM J. Sci. Comput. 26, 2005: Dot2 and Sum2); their bits are nobody's business, their error bounds are.
 */
#include "kernels_isa.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

typedef real vec __attribute__((vector_size(VECTOR_BYTES)));
typedef double vec64 __attribute__((vector_size(VECTOR_BYTES)));
typedef int64_t bits64 __attribute__((vector_size(VECTOR_BYTES)));

enum {
    WIDTH = VECTOR_BYTES / sizeof(real),
    WIDTH64 = VECTOR_BYTES / sizeof(double),
    GROUP = 4 /* vectors of columns at a time */
};

#define ISA_NAME_(isa) #isa
#define ISA_NAME(isa)  ISA_NAME_(isa)
#define LOAD(type, at)                                                                                                 \
    ({                                                                                                                 \
        type vector_;                                                                                                  \
        memcpy(&vector_, at, sizeof vector_);                                                                          \
        vector_;                                                                                                       \
    })

/* out[r][c] = sum over k of a[r][k] b[k][c], `rows` rows of two vectors. */
#define DEFINE_TILE(name, type, vector, rows)                                                                          \
    static void name(type *out, const type *a, const type *b, int64_t terms)                                           \
    {                                                                                                                  \
        enum { width = VECTOR_BYTES / sizeof(type) };                                                                  \
        vector s[rows][2];                                                                                             \
        UNROLL for (int r = 0; r < rows; r++)                                                                          \
        {                                                                                                              \
            s[r][0] = a[r * STRIDE] * LOAD(vector, b);                                                                 \
            s[r][1] = a[r * STRIDE] * LOAD(vector, b + width);                                                         \
        }                                                                                                              \
        for (int64_t k = 1; k < terms; k++) {                                                                          \
            const vector b0 = LOAD(vector, b + k * 2 * width), b1 = LOAD(vector, b + (k * 2 + 1) * width);             \
            UNROLL for (int r = 0; r < rows; r++)                                                                      \
            {                                                                                                          \
                s[r][0] += a[r * STRIDE + k] * b0;                                                                     \
                s[r][1] += a[r * STRIDE + k] * b1;                                                                     \
            }                                                                                                          \
        }                                                                                                              \
        UNROLL for (int r = 0; r < rows; r++) memcpy(out + r * 2 * width, s[r], sizeof s[r]);                          \
    }

DEFINE_TILE(tile, real, vec, TILE_ROWS)

INLINE vec term_at(const real *a, const real *b, int64_t at)
{
    return b ? LOAD(vec, a + at) * LOAD(vec, b + at) : LOAD(vec, a + at);
}

/* Sums of `vectors` vectors of columns. */
INLINE void columns_group(real *out, const real *a, const real *b, int64_t stride, const uint32_t *order, int64_t terms,
                          int vectors)
{
    vec s[GROUP] = {0};
    for (int64_t k = 0; k < terms; k++) {
        const int64_t at = (order ? order[k] : k) * stride;
        if (k == 0)
            UNROLL for (int v = 0; v < vectors; v++) s[v] = term_at(a, b, at + v * WIDTH);
        else
            UNROLL for (int v = 0; v < vectors; v++) s[v] += term_at(a, b, at + v * WIDTH);
    }
    UNROLL for (int v = 0; v < vectors; v++) memcpy(out + v * WIDTH, &s[v], sizeof s[v]);
}

INLINE void column_sums(real *out, const real *a, const real *b, int64_t stride, const uint32_t *order, int64_t terms,
                        int64_t n)
{
    int64_t c = 0;
    for (; c + GROUP * WIDTH <= n; c += GROUP * WIDTH)
        columns_group(out + c, a + c, b ? b + c : NULL, stride, order, terms, GROUP);
    for (; c + WIDTH <= n; c += WIDTH)
        columns_group(out + c, a + c, b ? b + c : NULL, stride, order, terms, 1);
    for (; c < n; c++)
        for (int64_t k = 0; k < terms; k++) {
            const int64_t at = (order ? order[k] : k) * stride + c;
            const real x = b ? a[at] * b[at] : a[at];
            out[c] = k == 0 ? x : out[c] + x;
        }
}

static void columns_of(real *out, const real *a, const real *b, int64_t stride, const uint32_t *order, int64_t terms,
                       int64_t n)
{
    if (b)
        column_sums(out, a, b, stride, order, terms, n);
    else
        column_sums(out, a, NULL, stride, order, terms, n);
}

/* s + e = a + b (Knuth). */
#define TWO_SUM(type, s, e, a, b)                                                                                      \
    type s = a + b;                                                                                                    \
    type e;                                                                                                            \
    {                                                                                                                  \
        const type b_ = s - a;                                                                                         \
        e = (a - (s - b_)) + (b - b_);                                                                                 \
    }

#if VR_REAL_BITS == 32
DEFINE_TILE(tile_double, double, vec64, TILE_ROWS)

#define EXACT_ROWS    TILE_ROWS
#define EXACT_COLUMNS (2 * WIDTH64)

static void tile_exact(double *high, double *low, const double *a, const double *b, int64_t terms)
{
    tile_double(high, a, b, terms);
    memset(low, 0, (size_t)EXACT_ROWS * EXACT_COLUMNS * sizeof *low);
}

INLINE void exact_columns(const sketch *out, const float *a, const float *b, int64_t stride, const uint32_t *order,
                          int64_t terms, int64_t n)
{
    for (int64_t c = 0; c < n; c++)
        out->high[c] = out->low[c] = out->size[c] = 0;
    for (int64_t k = 0; k < terms; k++) {
        const int64_t at = (order ? order[k] : k) * stride;
        for (int64_t c = 0; c < n; c++) {
            const double x = b ? (double)a[at + c] * (double)b[at + c] : (double)a[at + c];
            out->high[c] += x;
            out->size[c] += __builtin_fabs(x);
        }
    }
}
#else
#define EXACT_ROWS    4
#define EXACT_COLUMNS (2 * WIDTH64)

/* p + e = a b, where neither overflows nor underflows. */
INLINE vec64 product_error(vec64 a, vec64 b, vec64 p)
{
#if defined __AVX512F__
    return (vec64)_mm512_fmsub_pd((__m512d)a, (__m512d)b, (__m512d)p);
#elif defined __AVX2__
    return (vec64)_mm256_fmsub_pd((__m256d)a, (__m256d)b, (__m256d)p);
#else /* Dekker's product, of halves by Veltkamp's splitting */
    const vec64 big_a = a * 0x1.0000002p27, big_b = b * 0x1.0000002p27;
    const vec64 a1 = big_a - (big_a - a), a2 = a - a1, b1 = big_b - (big_b - b), b2 = b - b1;
    return a2 * b2 - (((p - a1 * b1) - a2 * b1) - a1 * b2);
#endif
}

INLINE void add_product(vec64 *high, vec64 *low, vec64 a, vec64 b)
{
    const vec64 p = a * b, q = product_error(a, b, p);
    TWO_SUM(vec64, s, e, *high, p)
    *high = s;
    *low += e + q;
}

static void tile_exact(double *high, double *low, const double *a, const double *b, int64_t terms)
{
    vec64 h[EXACT_ROWS][2] = {0}, l[EXACT_ROWS][2] = {0};
    for (int64_t k = 0; k < terms; k++) {
        const vec64 b0 = LOAD(vec64, b + k * EXACT_COLUMNS), b1 = LOAD(vec64, b + k * EXACT_COLUMNS + WIDTH64);
        UNROLL for (int r = 0; r < EXACT_ROWS; r++)
        {
            const vec64 x = a[r * STRIDE + k] - (vec64){0};
            add_product(&h[r][0], &l[r][0], x, b0);
            add_product(&h[r][1], &l[r][1], x, b1);
        }
    }
    memcpy(high, h, sizeof h);
    memcpy(low, l, sizeof l);
}

/* One vector of columns, the last of which may stand for fewer. */
INLINE void exact_group(const sketch *out, const double *a, const double *b, int64_t stride, const uint32_t *order,
                        int64_t terms, size_t bytes)
{
    vec64 h = {0}, l = {0}, size = {0};
    for (int64_t k = 0; k < terms; k++) {
        const int64_t at = (order ? order[k] : k) * stride;
        vec64 x = {0}, y = {0};
        memcpy(&x, a + at, bytes);
        if (b) {
            memcpy(&y, b + at, bytes);
            add_product(&h, &l, x, y);
            x *= y;
        } else {
            TWO_SUM(vec64, s, e, h, x)
            h = s;
            l += e;
        }
        size += (vec64)((bits64)x & INT64_MAX);
    }
    memcpy(out->high, &h, bytes);
    memcpy(out->low, &l, bytes);
    memcpy(out->size, &size, bytes);
}

INLINE void exact_columns(const sketch *out, const double *a, const double *b, int64_t stride, const uint32_t *order,
                          int64_t terms, int64_t n)
{
    for (int64_t c = 0; c < n; c += WIDTH64) {
        const sketch at = {out->high + c, out->low + c, out->size + c};
        if (n - c >= WIDTH64)
            exact_group(&at, a + c, b ? b + c : NULL, stride, order, terms, sizeof(vec64));
        else
            exact_group(&at, a + c, b ? b + c : NULL, stride, order, terms, (size_t)(n - c) * sizeof(double));
    }
}
#endif

static void columns_exact(const sketch *out, const real *a, const real *b, int64_t stride, const uint32_t *order,
                          int64_t terms, int64_t n)
{
    if (b)
        exact_columns(out, a, b, stride, order, terms, n);
    else
        exact_columns(out, a, NULL, stride, order, terms, n);
}

extern const NAME(vr_inner) KERNEL(inner);

const NAME(vr_inner) KERNEL(inner) = {
    .name = ISA_NAME(VR_ISA),
    .rows = TILE_ROWS,
    .columns = TILE_COLUMNS,
    .exact_rows = EXACT_ROWS,
    .exact_columns = EXACT_COLUMNS,
    .tile = tile,
    .tile_rounded = KERNEL(tile_rounded),
    .tile_exact = tile_exact,
    .columns_of = columns_of,
    .columns_rounded = KERNEL(columns_rounded),
    .columns_exact = columns_exact,
};
