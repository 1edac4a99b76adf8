/* kernels_lines.c - sums along contiguous elements: sum, dot, and the rows of a softmax.
 *
 * A row is cut into pieces (by its order), a piece into blocks of LINE terms, and those into LANES lanes, which are the
 * columns of a sum of columns. Words: term k of a row of n takes two of the 2 n from 2 n row on; a block's product
 * words come LANES at a time, followed by those of the additions, so that lanes lie side by side.
 */
#include "kernels_impl.h"

#include <formats/fail.h>
#include <stdlib.h>
#include <string.h>

typedef struct lines {
    const way *w;
    const real *a, *b;
    int64_t rows, n;
    int64_t pieces, blocks; /* of a row, of a piece: some of the last may be empty */
} lines;

/* Terms [*first, result) of a row are block `number` of it. */
static int64_t block_end(const lines *of, int64_t number, int64_t *first)
{
    const int64_t piece = number / of->blocks, end = piece_start(of->n, of->pieces, piece + 1);
    *first = piece_start(of->n, of->pieces, piece) + number % of->blocks * LINE;
    return end - *first > LINE ? *first + LINE : end > *first ? end : *first;
}

static void add_lanes(const way *w, real *s, int64_t lanes, uint64_t position)
{
    for (int64_t half = LANES / 2; half; half /= 2)
        if (lanes == LANES && !w->rounded)
            for (int64_t l = 0; l < half; l++)
                s[l] += s[l + half];
        else
            for (int64_t l = 0; l < half && l + half < lanes; l++)
                s[l] = NAME(vr_add_at)(w, s[l], s[l + half], position + (uint64_t)(l + half));
}

static void sum_columns(const lines *of, real *out, int64_t first, int64_t terms, int64_t n, uint64_t position)
{
    const way *w = of->w;
    const real *a = of->a + first, *b = of->b ? of->b + first : NULL;
    const places at = {.position = position, .lane = 1, .term = 2 * LANES, .sum = (uint64_t)n};
    if (w->rounded)
        w->inner->columns_rounded(out, a, b, LANES, NULL, terms, n, &w->how, &at);
    else
        w->inner->columns_of(out, a, b, LANES, NULL, terms, n);
}

/* Where the words are that the first terms of a block leave over. */
static uint64_t spare_words(uint64_t position, int64_t n)
{
    return position + (uint64_t)(n < LANES ? n : LANES);
}

static real sum_block(const lines *of, int64_t first, int64_t n, uint64_t position)
{
    real s[LANES], rest[LANES];
    const int64_t terms = n / LANES, tail = n % LANES, after = terms * LANES;
    if (terms)
        sum_columns(of, s, first, terms, LANES, position);
    if (tail)
        sum_columns(of, terms ? rest : s, first + after, 1, tail, position + 2 * (uint64_t)after);
    for (int64_t l = 0; terms && l < tail; l++)
        s[l] = NAME(vr_add_at)(of->w, s[l], rest[l], position + (uint64_t)(2 * after + tail + l));
    add_lanes(of->w, s, terms ? LANES : tail, spare_words(position, n));
    return s[0];
}

static uint64_t position_of(const lines *of, int64_t row, int64_t first)
{
    return 2 * ((uint64_t)row * (uint64_t)of->n + (uint64_t)first);
}

/* Block `number` of all rows together. */
static real sum_numbered(const lines *of, int64_t number)
{
    const int64_t each = of->pieces * of->blocks, row = number / each;
    int64_t first;
    const int64_t end = block_end(of, number % each, &first);
    return end > first ? sum_block(of, row * of->n + first, end - first, position_of(of, row, first)) : 0;
}

/* The blocks of a row in order, then the pieces. */
static real add_blocks(const lines *of, const real *blocks, int64_t row)
{
    real total = 0, piece = 0;
    for (int64_t i = 0; i < of->pieces * of->blocks; i++) {
        int64_t first;
        const int64_t end = block_end(of, i, &first);
        const uint64_t word = spare_words(position_of(of, row, first), end - first);
        if (i % of->blocks == 0)
            piece = blocks[i];
        else if (end > first)
            piece = NAME(vr_add_at)(of->w, piece, blocks[i], word);
        if ((i + 1) % of->blocks == 0) {
            const int64_t start = piece_start(of->n, of->pieces, i / of->blocks),
                          next = piece_start(of->n, of->pieces, i / of->blocks + 1);
            const uint64_t at = spare_words(position_of(of, row, start), next - start);
            total = i < of->blocks ? piece : NAME(vr_add_at)(of->w, total, piece, at);
        }
    }
    return without_payload(total);
}

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "kernels: no memory for the parts of a sum");
}

/* Small sums, for which anything else would take longer. */
static void sum_alone(const lines *of, real *out)
{
    const vr_float_env outer = vr_float_enter();
    for (int64_t row = 0; row < of->rows; row++)
        out[row] = without_payload(sum_numbered(of, row));
    vr_float_leave(outer);
}

static vr_status sum_in_order(const lines *of, real *out, int threads)
{
    const int64_t each = of->pieces * of->blocks, all = of->rows * each;
    if (each == 1 && threads == 1) {
        sum_alone(of, out);
        return VR_OK;
    }
    real *blocks = malloc((size_t)all * sizeof *blocks);
    if (!blocks)
        return no_memory();
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        const vr_float_env outer = vr_float_enter();
#pragma omp for
        for (int64_t i = 0; i < all; i++)
            blocks[i] = sum_numbered(of, i);
#pragma omp for
        for (int64_t row = 0; row < of->rows; row++)
            out[row] = add_blocks(of, blocks + row * each, row);
        vr_float_leave(outer);
    }
    free(blocks);
    return VR_OK;
}

/* Small pieces, added by whoever is done with one. */
static vr_status sum_atomically(const lines *of, real *out, int threads)
{
    memset(out, 0, (size_t)of->rows * sizeof *out);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        const vr_float_env outer = vr_float_enter();
#pragma omp barrier /* nobody begins before all are there */
#pragma omp for schedule(static, 1)
        for (int64_t i = 0; i < of->rows * of->pieces; i++) {
            const int64_t row = i / of->pieces, first = piece_start(of->n, of->pieces, i % of->pieces);
            const int64_t n = piece_start(of->n, of->pieces, i % of->pieces + 1) - first;
            NAME(vr_add_atomic)(of->w, &out[row], sum_numbered(of, i), spare_words(position_of(of, row, first), n));
        }
#pragma omp for
        for (int64_t row = 0; row < of->rows; row++)
            out[row] = without_payload(out[row]);
        vr_float_leave(outer);
    }
    return VR_OK;
}

static void sketch_block(const lines *of, sketch *to, int64_t first, int64_t n)
{
    double high[LANES], low[LANES], size[LANES];
    const sketch lanes = {high, low, size};
    for (int64_t done = 0; done < n;) {
        const int64_t width = n - done < LANES ? n - done : LANES, terms = (n - done) / width;
        const real *a = of->a + first + done, *b = of->b ? of->b + first + done : NULL;
        of->w->inner->columns_exact(&lanes, a, b, LANES, NULL, terms, width);
        for (int64_t l = 0; l < width; l++) {
            add_pair(to->high, to->low, high[l], low[l]);
            *to->size += size[l];
        }
        done += terms * width;
    }
}

static real sum_long(const lines *of, int64_t row)
{
    vr_long sum = {.adds = 0};
    for (int64_t k = row * of->n; k < (row + 1) * of->n; k++)
        vr_long_add(&sum, (double)of->a[k], of->b ? (double)of->b[k] : 1);
    return NAME(vr_round_long)(of->w, &sum, (uint64_t)row);
}

static vr_status sum_exactly(const lines *of, real *out, int threads)
{
    const int64_t each = of->blocks, all = of->rows * each;
    double *parts = calloc((size_t)all, 3 * sizeof *parts);
    if (!parts)
        return no_memory();
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        const vr_float_env outer = vr_float_enter();
#pragma omp for
        for (int64_t i = 0; i < all; i++) {
            sketch to = {&parts[3 * i], &parts[3 * i + 1], &parts[3 * i + 2]};
            int64_t first;
            const int64_t end = block_end(of, i % each, &first);
            sketch_block(of, &to, i / each * of->n + first, end - first);
        }
#pragma omp for schedule(dynamic, 1)
        for (int64_t row = 0; row < of->rows; row++) {
            double high = 0, low = 0, size = 0;
            for (int64_t i = row * each; i < (row + 1) * each; i++) {
                add_pair(&high, &low, parts[3 * i], parts[3 * i + 1]);
                size += parts[3 * i + 2];
            }
            const double error = NAME(vr_sketch_error)(size, of->n, 2 * LANES * each);
            if (!NAME(vr_round_sketch)(&out[row], of->w, high, low, error, (uint64_t)row))
                out[row] = sum_long(of, row);
        }
        vr_float_leave(outer);
    }
    free(parts);
    return VR_OK;
}

static void gather(real *out, const real *from, const uint32_t *order, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = from[order[i]];
}

/* The same sums of the rows, each in an order of its own. */
static vr_status sum_shuffled(const lines *of, real *out, int threads)
{
    const size_t bytes = (size_t)(of->rows * of->n) * sizeof(real);
    vr_status status = NAME(vr_check_order)(of->w, of->n);
    if (status != VR_OK)
        return status;
    real *a = malloc(bytes), *b = of->b ? malloc(bytes) : NULL;
    status = a && (b || !of->b) ? VR_OK : no_memory();
    for (int64_t row = 0; status == VR_OK && row < of->rows; row++) {
        uint32_t *order;
        status = NAME(vr_order_make)(&order, of->w, (uint64_t)row, of->n);
        if (status == VR_OK)
            gather(a + row * of->n, of->a + row * of->n, order, of->n);
        if (status == VR_OK && b)
            gather(b + row * of->n, of->b + row * of->n, order, of->n);
        free(order);
    }
    lines shuffled = *of;
    shuffled.a = a;
    shuffled.b = b;
    if (status == VR_OK)
        status = sum_in_order(&shuffled, out, threads);
    free(a);
    free(b);
    return status;
}

static int64_t pieces_of(const way *w, int64_t n)
{
    if (w->order == VR_ORDER_ATOMIC)
        return atomic_pieces(n, 32, 1024);
    return w->pieces < n ? w->pieces : n;
}

vr_status NAME(vr_lines)(const way *w, real *out, const real *a, const real *b, int64_t rows, int64_t n)
{
    if (n == 0) /* sums of no terms */
        memset(out, 0, (size_t)rows * sizeof *out);
    if (n == 0 || rows == 0)
        return VR_OK;
    lines of = {w, a, b, rows, n, pieces_of(w, n), 1};
    of.blocks = ((n - 1) / of.pieces) / LINE + 1;
    const int threads = team(w, (uint64_t)(rows * n) * sizeof *a);
    switch (w->order) {
    case VR_ORDER_EXACT:
        return sum_exactly(&of, out, threads);
    case VR_ORDER_ATOMIC:
        return sum_atomically(&of, out, threads);
    case VR_ORDER_SHUFFLED:
        return sum_shuffled(&of, out, threads);
    default:
        return sum_in_order(&of, out, threads);
    }
}

vr_status NAME(vr_sum)(vr_math *math, real *out, const real *x, int64_t n)
{
    const way w = NAME(vr_way_begin)(math);
    const vr_status status = NAME(vr_check_sizes)("sum", 1, &n);
    return status == VR_OK ? NAME(vr_lines)(&w, out, x, NULL, 1, n) : status;
}

vr_status NAME(vr_dot)(vr_math *math, real *out, const real *a, const real *b, int64_t n)
{
    const way w = NAME(vr_way_begin)(math);
    const vr_status status = NAME(vr_check_sizes)("dot", 1, &n);
    return status == VR_OK ? NAME(vr_lines)(&w, out, a, b, 1, n) : status;
}
