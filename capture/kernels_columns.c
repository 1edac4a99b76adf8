/* kernels_columns.c - sums along columns: sum_rows, batch normalization, scatter_add.
 *
 * The rows are cut into pieces (by the order of the sum), pieces into blocks of BLOCK. Words: column j of term k takes
 * the words 2 k n + j for its product and (2 k + 1) n + j for its addition.
 */
#include "kernels_impl.h"

#include <formats/fail.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 256 }; /* of a task */

typedef struct columns {
    const way *w;
    real *out;
    const real *first, *a, *b;
    const uint32_t *order; /* of the rows, or NULL */
    int64_t rows, n;
    int64_t pieces, blocks; /* of the rows, of a piece */
    uint64_t position;
} columns;

/* Terms [*first, *first + result) are block `number`. */
static int64_t block_terms(const columns *of, int64_t number, int64_t *first)
{
    const int64_t piece = number / of->blocks, end = piece_start(of->rows, of->pieces, piece + 1);
    *first = piece_start(of->rows, of->pieces, piece) + number % of->blocks * BLOCK;
    return end - *first > BLOCK ? BLOCK : end > *first ? end - *first : 0;
}

static const real *rows_from(const columns *of, const real *x, int64_t first, int64_t column)
{
    return x ? x + (of->order ? 0 : first * of->n) + column : NULL;
}

static uint64_t word_of(const columns *of, int64_t term, int64_t column)
{
    return of->position + 2 * (uint64_t)term * (uint64_t)of->n + (uint64_t)column;
}

/* Columns [c, c + n) of terms [first, first + terms). */
static void sum_block(const columns *of, real *out, int64_t first, int64_t terms, int64_t c, int64_t n)
{
    const real *a = rows_from(of, of->a, first, c), *b = rows_from(of, of->b, first, c);
    const uint32_t *order = of->order ? of->order + first : NULL;
    const uint64_t step = (uint64_t)of->n;
    const places at = {.position = word_of(of, first, c), .lane = 1, .term = 2 * step, .sum = step};
    if (of->w->rounded)
        of->w->inner->columns_rounded(out, a, b, of->n, order, terms, n, &of->w->how, &at);
    else
        of->w->inner->columns_of(out, a, b, of->n, order, terms, n);
}

/* to[j] += part[j] for columns [c, c + n) of a block that begins with term `first`. */
static void add_parts(const columns *of, real *to, const real *part, int64_t first, int64_t c, int64_t n)
{
    const uint64_t word = word_of(of, first, c) + (uint64_t)of->n;
    if (!of->w->rounded)
        for (int64_t j = 0; j < n; j++)
            to[j] += part[j];
    else
        for (int64_t j = 0; j < n; j++)
            to[j] = NAME(vr_add_at)(of->w, to[j], part[j], word + (uint64_t)j);
}

/* A sum that grows: of the first term, or the first part. */
static void add_or_begin(const columns *of, bool *begun, real *to, const real *part, int64_t first, int64_t c,
                         int64_t n)
{
    if (*begun)
        add_parts(of, to, part, first, c, n);
    else
        memcpy(to, part, (size_t)n * sizeof *to);
    *begun = true;
}

static bool begin(const columns *of, real *total, int64_t c, int64_t n)
{
    if (of->first)
        memcpy(total, of->first + c, (size_t)n * sizeof *total);
    return of->first != NULL;
}

static void finish(const columns *of, const real *total, int64_t c, int64_t n)
{
    for (int64_t j = 0; j < n; j++)
        of->out[c + j] = without_payload(total[j]);
}

/* Columns [c, c + n), n at most COLUMNS: blocks in order, pieces in order. `parts`: the blocks' sums [blocks][of->n],
 * NULL where they are to be made. */
static void add_blocks(const columns *of, const real *parts, int64_t c, int64_t n)
{
    real total[COLUMNS], piece[COLUMNS], part[COLUMNS];
    bool begun = begin(of, total, c, n), in_piece = false;
    int64_t start = 0;
    for (int64_t i = 0; i < of->pieces * of->blocks; i++) {
        int64_t first;
        const int64_t terms = block_terms(of, i, &first);
        if (terms && !parts)
            sum_block(of, part, first, terms, c, n);
        if (of->w->order != VR_ORDER_THREADS) { /* one piece, no block of which is empty */
            add_or_begin(of, &begun, total, parts ? parts + i * of->n + c : part, first, c, n);
            continue;
        }
        in_piece &= i % of->blocks != 0;
        start = in_piece ? start : first;
        if (terms)
            add_or_begin(of, &in_piece, piece, parts ? parts + i * of->n + c : part, first, c, n);
        if ((i + 1) % of->blocks == 0)
            add_or_begin(of, &begun, total, piece, start, c, n);
    }
    finish(of, total, c, n);
}

static int64_t groups_of(int64_t n)
{
    return (n - 1) / COLUMNS + 1;
}

static int64_t group_size(int64_t n, int64_t group)
{
    return n - group * COLUMNS < COLUMNS ? n - group * COLUMNS : COLUMNS;
}

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "kernels: no memory for the parts of a sum");
}

/* All blocks first, by all threads; then their sums. */
static vr_status sum_in_order(const columns *of, int threads)
{
    const int64_t blocks = of->pieces * of->blocks, groups = groups_of(of->n);
    real *parts = malloc((size_t)(blocks * of->n) * sizeof *parts);
    if (!parts)
        return no_memory();
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        const vr_float_env outer = vr_float_enter();
#pragma omp for
        for (int64_t i = 0; i < blocks * groups; i++) {
            const int64_t block = i / groups, c = i % groups * COLUMNS;
            int64_t first;
            const int64_t terms = block_terms(of, block, &first);
            if (terms)
                sum_block(of, parts + block * of->n + c, first, terms, c, group_size(of->n, i % groups));
        }
#pragma omp for
        for (int64_t g = 0; g < groups; g++)
            add_blocks(of, parts, g * COLUMNS, group_size(of->n, g));
        vr_float_leave(outer);
    }
    free(parts);
    return VR_OK;
}

static void add_atomically(const columns *of, int64_t piece, int64_t c, int64_t n)
{
    real part[COLUMNS];
    const int64_t first = piece_start(of->rows, of->pieces, piece);
    sum_block(of, part, first, piece_start(of->rows, of->pieces, piece + 1) - first, c, n);
    const bool backward = omp_get_thread_num() % 2; /* so that threads meet, at a place that is up to chance */
    for (int64_t i = 0; i < n; i++) {
        const int64_t j = backward ? n - 1 - i : i;
        NAME(vr_add_atomic)(of->w, &of->out[c + j], part[j], word_of(of, first, c + j) + (uint64_t)of->n);
    }
}

static vr_status sum_atomically(const columns *of, int threads)
{
    const int64_t groups = groups_of(of->n);
    if (!of->first)
        memset(of->out, 0, (size_t)of->n * sizeof *of->out);
    else if (of->first != of->out)
        memcpy(of->out, of->first, (size_t)of->n * sizeof *of->out);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        const vr_float_env outer = vr_float_enter();
#pragma omp barrier /* nobody begins before all are there */
#pragma omp for schedule(static, 1)
        for (int64_t i = 0; i < of->pieces * groups; i++)
            add_atomically(of, i / groups, i % groups * COLUMNS, group_size(of->n, i % groups));
#pragma omp for
        for (int64_t j = 0; j < of->n; j++)
            of->out[j] = without_payload(of->out[j]);
        vr_float_leave(outer);
    }
    return VR_OK;
}

static real sum_long(const columns *of, int64_t column)
{
    vr_long sum = {.adds = 0};
    if (of->first)
        vr_long_add(&sum, (double)of->first[column], 1);
    for (int64_t k = 0; k < of->rows; k++) {
        const int64_t at = (of->order ? of->order[k] : k) * of->n + column;
        vr_long_add(&sum, (double)of->a[at], of->b ? (double)of->b[at] : 1);
    }
    return NAME(vr_round_long)(of->w, &sum, of->position + (uint64_t)column);
}

/* Sketches of columns [c, c + n) of some blocks, added up in to[j], j from 0. */
static void add_sketches(const columns *of, const sketch *to, int64_t block, int64_t end, int64_t c, int64_t n)
{
    double high[COLUMNS], low[COLUMNS], size[COLUMNS];
    const sketch part = {high, low, size};
    for (; block < end; block++) {
        const int64_t first = block * BLOCK, terms = of->rows - first < BLOCK ? of->rows - first : BLOCK;
        of->w->inner->columns_exact(&part, rows_from(of, of->a, first, c), rows_from(of, of->b, first, c), of->n,
                                    of->order ? of->order + first : NULL, terms, n);
        for (int64_t j = 0; j < n; j++) {
            add_pair(&to->high[j], &to->low[j], high[j], low[j]);
            to->size[j] += size[j];
        }
    }
}

static void round_columns(const columns *of, const sketch *sums, int64_t parts, int64_t c, int64_t n)
{
    for (int64_t j = 0; j < n; j++) {
        double high = sums->high[j], low = sums->low[j], size = sums->size[j];
        if (of->first) {
            add_pair(&high, &low, (double)of->first[c + j], 0);
            size += __builtin_fabs((double)of->first[c + j]);
        }
        const double error = NAME(vr_sketch_error)(size, of->rows, parts);
        const uint64_t word = of->position + (uint64_t)(c + j);
        real sum;
        if (!NAME(vr_round_sketch)(&sum, of->w, high, low, error, word))
            sum = sum_long(of, c + j);
        of->out[c + j] = sum;
    }
}

/* Blocks shared out evenly, in whatever way: the result is the same. */
static vr_status sum_exactly(const columns *of, int threads)
{
    const int64_t blocks = (of->rows - 1) / BLOCK + 1, groups = groups_of(of->n),
                  shares = threads < blocks ? threads : blocks;
    double *sums = calloc((size_t)(3 * shares * of->n), sizeof *sums);
    if (!sums)
        return no_memory();
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        const vr_float_env outer = vr_float_enter();
#pragma omp for
        for (int64_t i = 0; i < shares * groups; i++) {
            const int64_t share = i / groups, c = i % groups * COLUMNS;
            double *at = sums + 3 * share * of->n + c;
            const sketch to = {at, at + of->n, at + 2 * of->n};
            add_sketches(of, &to, piece_start(blocks, shares, share), piece_start(blocks, shares, share + 1), c,
                         group_size(of->n, i % groups));
        }
#pragma omp for schedule(dynamic, 1)
        for (int64_t g = 0; g < groups; g++) {
            const int64_t c = g * COLUMNS, n = group_size(of->n, g);
            const sketch to = {sums + c, sums + of->n + c, sums + 2 * of->n + c};
            for (int64_t share = 1; share < shares; share++)
                for (int64_t j = 0; j < n; j++) {
                    const double *at = sums + 3 * share * of->n + c + j;
                    add_pair(&to.high[j], &to.low[j], at[0], at[of->n]);
                    to.size[j] += at[2 * of->n];
                }
            round_columns(of, &to, blocks + shares + 1, c, n);
        }
        vr_float_leave(outer);
    }
    free(sums);
    return VR_OK;
}

static void choose_pieces(columns *of)
{
    of->pieces = of->w->pieces < of->rows ? of->w->pieces : of->rows;
    if (of->w->order == VR_ORDER_ATOMIC)
        of->pieces = atomic_pieces(of->rows, 32, BLOCK);
    of->blocks = (of->rows - 1) / of->pieces / BLOCK + 1;
}

vr_status NAME(vr_columns)(const way *w, real *out, const real *first, const real *a, const real *b, int64_t rows,
                           int64_t n)
{
    columns of = {.w = w, .out = out, .first = first, .a = a, .b = b, .rows = rows, .n = n};
    const int threads = team(w, (uint64_t)(rows * n) * sizeof *a);
    uint32_t *order = NULL;
    if (n == 0)
        return VR_OK;
    if (rows == 0) {
        memset(out, 0, first ? 0 : (size_t)n * sizeof *out);
        memmove(out, first ? first : out, (size_t)n * sizeof *out);
        return VR_OK;
    }
    choose_pieces(&of);
    if (w->order == VR_ORDER_EXACT)
        return sum_exactly(&of, threads);
    if (w->order == VR_ORDER_ATOMIC)
        return sum_atomically(&of, threads);
    vr_status status = w->order == VR_ORDER_SHUFFLED ? NAME(vr_order_make)(&order, w, 0, rows) : VR_OK;
    of.order = order;
    if (status == VR_OK)
        status = sum_in_order(&of, threads);
    free(order);
    return status;
}

vr_status NAME(vr_sum_rows)(vr_math *math, real *out, const real *x, int64_t rows, int64_t k)
{
    const way w = NAME(vr_way_begin)(math);
    const vr_status status = NAME(vr_check_sizes)("sum_rows", 2, (const int64_t[]){rows, k});
    return status == VR_OK ? NAME(vr_columns)(&w, out, NULL, x, NULL, rows, k) : status;
}

/* The sources of each row of out: those of row r are of[start[r]] .. of[start[r + 1] - 1], in order. */
typedef struct sources {
    int64_t *start;
    uint32_t *of;
} sources;

static vr_status sort_sources(sources *out, const int64_t *index, int64_t count, int64_t rows)
{
    *out = (sources){calloc((size_t)rows + 2, sizeof *out->start), malloc(((size_t)count + 1) * sizeof *out->of)};
    if (!out->start || !out->of)
        return vr_fail(VR_ERROR_MEMORY, "scatter_add: no memory for %lld indices", (long long)count);
    int64_t *next = out->start + 1; /* counts, then places, one row late */
    for (int64_t i = 0; i < count; i++)
        next[index[i] + 1]++;
    for (int64_t r = 0; r < rows; r++)
        next[r + 1] += next[r];
    for (int64_t i = 0; i < count; i++)
        out->of[next[index[i]]++] = (uint32_t)i;
    return VR_OK;
}

/* The sources of each row in a random order of their own. */
static vr_status shuffle_sources(const way *w, sources *by, int64_t count, int64_t rows)
{
    uint32_t *before = malloc((size_t)count * sizeof *before);
    vr_status status =
        before ? VR_OK : vr_fail(VR_ERROR_MEMORY, "scatter_add: no memory for %lld indices", (long long)count);
    if (before)
        memcpy(before, by->of, (size_t)count * sizeof *before);
    for (int64_t r = 0; status == VR_OK && r < rows; r++) {
        const int64_t first = by->start[r], n = by->start[r + 1] - first;
        uint32_t *order = NULL;
        if (n > 1)
            status = NAME(vr_order_make)(&order, w, (uint64_t)r, n);
        for (int64_t i = 0; order && i < n; i++)
            by->of[first + i] = before[first + order[i]];
        free(order);
    }
    free(before);
    return status;
}

/* One row of out. */
static void scatter_row(const way *w, real *out, const real *src, const uint32_t *order, int64_t n, int64_t k,
                        uint64_t position)
{
    columns of = {.w = w, .out = out, .first = out, .a = src, .order = order, .rows = n, .n = k, .position = position};
    choose_pieces(&of);
    for (int64_t g = 0; g < groups_of(k); g++) {
        const int64_t c = g * COLUMNS, width = group_size(k, g);
        if (w->order != VR_ORDER_EXACT) {
            add_blocks(&of, NULL, c, width);
            continue;
        }
        double high[COLUMNS] = {0}, low[COLUMNS] = {0}, size[COLUMNS] = {0};
        const sketch sums = {high, low, size};
        const int64_t blocks = (n - 1) / BLOCK + 1;
        add_sketches(&of, &sums, 0, blocks, c, width);
        round_columns(&of, &sums, blocks + 1, c, width);
    }
}

static void scatter_atomically(const way *w, real *out, const real *src, const int64_t *index, int64_t count, int64_t k,
                               int threads)
{
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        const vr_float_env outer = vr_float_enter();
#pragma omp barrier /* nobody begins before all are there */
#pragma omp for schedule(static, 1)
        for (int64_t i = 0; i < count; i++)
            for (int64_t j = 0; j < k; j++)
                NAME(vr_add_atomic)(w, &out[index[i] * k + j], src[i * k + j], (uint64_t)(i * k + j));
#pragma omp for
        for (int64_t i = 0; i < count; i++)
            for (int64_t j = 0; j < k; j++) {
                real *at = &out[index[i] * k + j], sum;
                __atomic_load(at, &sum, __ATOMIC_RELAXED);
                if (sum != sum) {
                    sum = without_payload(sum);
                    __atomic_store(at, &sum, __ATOMIC_RELAXED);
                }
            }
        vr_float_leave(outer);
    }
}

static void scatter_in_order(const way *w, real *out, int64_t rows, const real *src, const sources *by, int64_t k,
                             int threads)
{
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        const vr_float_env outer = vr_float_enter();
#pragma omp for schedule(dynamic, 16)
        for (int64_t r = 0; r < rows; r++) {
            const int64_t first = by->start[r], n = by->start[r + 1] - first;
            if (n > 0)
                scatter_row(w, out + r * k, src, by->of + first, n, k, 2 * (uint64_t)first * (uint64_t)k);
        }
        vr_float_leave(outer);
    }
}

static vr_status check_indices(const int64_t *index, int64_t count, int64_t rows)
{
    if (count > UINT32_MAX)
        return vr_fail(VR_ERROR_SHAPE, "scatter_add: %lld indices are more than 2^32 - 1", (long long)count);
    for (int64_t i = 0; i < count; i++)
        if (index[i] < 0 || index[i] >= rows)
            return vr_fail(VR_ERROR_ARGUMENT, "scatter_add: index[%lld] is %lld, not in 0..%lld", (long long)i,
                           (long long)index[i], (long long)rows - 1);
    return VR_OK;
}

vr_status NAME(vr_scatter_add)(vr_math *math, real *out, int64_t rows, const real *src, const int64_t *index,
                               int64_t count, int64_t k)
{
    const way w = NAME(vr_way_begin)(math);
    vr_status status = NAME(vr_check_sizes)("scatter_add", 2, (const int64_t[]){rows, k});
    if (status == VR_OK)
        status = NAME(vr_check_sizes)("scatter_add", 2, (const int64_t[]){count, k});
    if (status == VR_OK)
        status = check_indices(index, count, rows);
    if (status != VR_OK || count == 0 || k == 0)
        return status;
    const int threads = team(&w, (uint64_t)(count * k) * sizeof *src);
    if (w.order == VR_ORDER_ATOMIC) {
        scatter_atomically(&w, out, src, index, count, k, threads);
        return VR_OK;
    }
    sources by;
    status = sort_sources(&by, index, count, rows);
    if (status == VR_OK && w.order == VR_ORDER_SHUFFLED)
        status = shuffle_sources(&w, &by, count, rows);
    if (status == VR_OK)
        scatter_in_order(&w, out, rows, src, &by, k, threads);
    free(by.start);
    free(by.of);
    return status;
}
