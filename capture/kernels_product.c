/* kernels_product.c - products of matrices, by tiles.
 *
 * Terms are taken in ranges of so many blocks that b's part of them stays in the cache, packed once for all; of each
 * row block, a is packed, and all tiles of it are added block by block. Which tile is whose, and how large, does not
 * show in the bits: element (i, j) adds its blocks of BLOCK terms in order.
 *
 * Words: of e = i out_row + j out_column of E elements, term k takes 2 k E + e for its product and (2 k + 1) E + e for
 * its addition.
 */
#include "kernels_product.h"

#include <formats/fail.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS = 96,              /* of a row block: a multiple of every tile's */
    GROUP = 256,            /* columns of a task, where there are enough tasks */
    PACKED_BYTES = 4 << 20, /* of b at a time */
};

/* What becomes of a tile: it begins or adds to the sums, or to those of all threads. (Exact tiles add to sketches.) */
typedef enum sink_kind { SINK_BEGIN, SINK_ADD, SINK_ATOMIC } sink_kind;

/* A product over a range of terms, and where its sums go. */
typedef struct task {
    const way *w;
    const product *of;
    const uint32_t *order;
    real *sums;                           /* as out */
    double *high, *low, *a_most, *b_size; /* exact: [m][n]; [m] max |a|, [n] sum |b| */
    int rows, columns;                    /* of a tile */
    int threads;
    int64_t terms, panels; /* terms of a block; tiles side by side */
    void *b;               /* packed: [block of the range][panel][terms][columns] */
    void *a;               /* for each thread: [ROWS][STRIDE] */
} task;

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t up_to(int64_t n, int64_t step)
{
    return (n + step - 1) / step * step;
}

static bool is_exact(const task *t)
{
    return t->w->order == VR_ORDER_EXACT;
}

static size_t packed_size(const task *t)
{
    return is_exact(t) ? sizeof(double) : sizeof(real);
}

/* Bytes of a packed panel of one block of terms. */
static size_t panel_size(const task *t)
{
    return (size_t)(t->terms * t->columns) * packed_size(t);
}

static void widen(double *out, const real *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = (double)from[i];
}

/* Columns of one panel and block of b, from term `first` on. */
static void pack_panel(const task *t, void *out, int64_t panel, int64_t first, int64_t n)
{
    const int64_t index = panel * t->columns, count = least(t->columns, t->of->n - index);
    if (!is_exact(t)) {
        NAME(vr_pack_columns)(out, t->columns, &t->of->b, t->order, index, count, first, n);
        return;
    }
    real narrow[BLOCK * MOST_COLUMNS];
    double *wide = out;
    NAME(vr_pack_columns)(narrow, t->columns, &t->of->b, t->order, index, count, first, n);
    widen(wide, narrow, n * t->columns);
    for (int64_t k = 0; k < n; k++)
        for (int64_t j = 0; j < count; j++)
            t->b_size[index + j] += __builtin_fabs(wide[k * t->columns + j]);
}

/* Rows of a from `index` on, for a task that begins with panel `panel`: the first notes how large they are. */
static void pack_rows(const task *t, void *out, int64_t index, int64_t count, int64_t panel, int64_t first, int64_t n)
{
    if (!is_exact(t)) {
        NAME(vr_pack_rows)(out, &t->of->a, t->order, index, count, first, n);
        return;
    }
    real narrow[STRIDE];
    for (int64_t i = 0; i < count; i++) {
        double *wide = (double *)out + i * STRIDE, most = 0;
        NAME(vr_pack_rows)(narrow, &t->of->a, t->order, index + i, 1, first, n);
        widen(wide, narrow, n);
        for (int64_t k = 0; k < n; k++)
            most = !(__builtin_fabs(wide[k]) <= most) ? __builtin_fabs(wide[k]) : most;
        if (panel == 0 && !(most <= t->a_most[index + i]))
            t->a_most[index + i] = most;
    }
}

static void add_sketches(const task *t, const double *a, const double *b, int64_t i, int64_t count, int64_t j,
                         int64_t width, int64_t n)
{
    double high[MOST_ROWS * MOST_COLUMNS], low[MOST_ROWS * MOST_COLUMNS];
    t->w->inner->tile_exact(high, low, a, b, n);
    for (int64_t r = 0; r < count; r++)
        for (int64_t c = 0; c < width; c++) {
            const int64_t at = (i + r) * t->of->n + j + c;
            add_pair(&t->high[at], &t->low[at], high[r * t->columns + c], low[r * t->columns + c]);
        }
}

static uint64_t word_of(const task *t, int64_t i, int64_t j, int64_t term)
{
    const uint64_t all = (uint64_t)t->of->m * (uint64_t)t->of->n;
    return 2 * (uint64_t)term * all + (uint64_t)(i * t->of->out_row + j * t->of->out_column);
}

static void make_tile(const task *t, real *out, const real *a, const real *b, int64_t i, int64_t j, int64_t first,
                      int64_t n)
{
    const uint64_t all = (uint64_t)t->of->m * (uint64_t)t->of->n;
    if (!t->w->rounded) {
        t->w->inner->tile(out, a, b, n);
        return;
    }
    const places at = {.position = word_of(t, i, j, first),
                       .row = (uint64_t)t->of->out_row,
                       .lane = (uint64_t)t->of->out_column,
                       .term = 2 * all,
                       .sum = all};
    t->w->inner->tile_rounded(out, a, b, n, &t->w->how, &at);
}

/* The sums of a row of a tile. */
static void put_row(const task *t, real *to, const real *part, int64_t n, sink_kind sink, uint64_t word)
{
    const int64_t step = t->of->out_column;
    if (sink == SINK_BEGIN)
        for (int64_t c = 0; c < n; c++)
            to[c * step] = part[c];
    else if (sink == SINK_ATOMIC)
        for (int64_t c = 0; c < n; c++)
            NAME(vr_add_atomic)(t->w, &to[c * step], part[c], word + (uint64_t)(c * step));
    else if (t->w->rounded)
        for (int64_t c = 0; c < n; c++)
            to[c * step] = NAME(vr_add_at)(t->w, to[c * step], part[c], word + (uint64_t)(c * step));
    else
        for (int64_t c = 0; c < n; c++)
            to[c * step] += part[c];
}

/* Adds the product of packed rows and a packed panel of one block of terms. */
static void add_tile(const task *t, const real *a, const real *b, int64_t i, int64_t count, int64_t j, int64_t first,
                     int64_t n, sink_kind sink)
{
    real part[MOST_ROWS * MOST_COLUMNS];
    const int64_t width = least(t->columns, t->of->n - j);
    const uint64_t all = (uint64_t)t->of->m * (uint64_t)t->of->n;
    make_tile(t, part, a, b, i, j, first, n);
    for (int64_t r = 0; r < count; r++)
        put_row(t, t->sums + (i + r) * t->of->out_row + j * t->of->out_column, part + r * t->columns, width, sink,
                word_of(t, i + r, j, first) + all);
}

/* A row block times panels [panel, end) of one block of terms; `packed` are the panels. `backward`: the last first. */
static void add_rows(const task *t, const char *a, const char *packed, int64_t i, int64_t count, int64_t panel,
                     int64_t end, int64_t first, int64_t n, sink_kind sink, bool backward)
{
    const size_t size = packed_size(t), panel_bytes = panel_size(t);
    const int64_t tiles = (count - 1) / t->rows + 1, all = (end - panel) * tiles;
    for (int64_t done = 0; done < all; done++) {
        const int64_t tile = backward ? all - 1 - done : done, p = tile / tiles, r = tile % tiles * t->rows;
        const int64_t rows = least(t->rows, count - r), j = (panel + p) * t->columns;
        const void *a_at = a + (size_t)(r * STRIDE) * size, *b_at = packed + (size_t)p * panel_bytes;
        if (is_exact(t))
            add_sketches(t, a_at, b_at, i + r, rows, j, least(t->columns, t->of->n - j), n);
        else
            add_tile(t, a_at, b_at, i + r, rows, j, first, n, sink);
    }
}

/* How rows and panels are shared out: enough tasks for all threads. */
typedef struct grid {
    int64_t rows, panels, row_blocks, groups;
} grid;

static grid grid_of(const task *t)
{
    const int64_t tiles = (t->of->m - 1) / t->rows + 1, wanted = t->threads > 1 ? 4 * t->threads : 1;
    grid g = {.rows = up_to(least(ROWS, t->of->m), t->rows), .panels = t->panels};
    while (g.rows > t->rows && (tiles * t->rows - 1) / g.rows + 1 < wanted)
        g.rows = up_to(g.rows / 2, t->rows);
    g.row_blocks = (t->of->m - 1) / g.rows + 1;
    while (g.panels * t->columns > GROUP && g.row_blocks * ((t->panels - 1) / g.panels + 1) < wanted)
        g.panels = (g.panels + 1) / 2;
    g.groups = (t->panels - 1) / g.panels + 1;
    return g;
}

/* Of the team that works on this product, which may be one thread of another team. */
static int thread_of(const task *t)
{
    return t->threads > 1 ? omp_get_thread_num() : 0;
}

static char *rows_of_thread(const task *t)
{
    return (char *)t->a + (size_t)thread_of(t) * ROWS * STRIDE * packed_size(t);
}

/* All blocks of terms [first, end) for one row block and group of panels. `begun`: the sums have a first term. */
static void add_blocks(const task *t, const grid *g, int64_t number, int64_t first, int64_t end, bool begun)
{
    const int64_t i = number / g->groups * g->rows, count = least(g->rows, t->of->m - i);
    const int64_t panel = number % g->groups * g->panels, last = least(panel + g->panels, t->panels);
    const size_t panel_bytes = panel_size(t);
    const char *b = (const char *)t->b + (size_t)panel * panel_bytes;
    char *a = rows_of_thread(t);
    for (int64_t k = first; k < end; k += t->terms, b += (size_t)t->panels * panel_bytes) {
        const int64_t n = least(t->terms, end - k);
        const sink_kind sink = begun || k > first ? SINK_ADD : SINK_BEGIN;
        pack_rows(t, a, i, count, panel, k, n);
        add_rows(t, a, b, i, count, panel, last, k, n, sink, false);
    }
}

/* Terms [first, end), few enough for b to be packed as a whole. One team of threads, or one thread in a team. */
static void add_range(const task *t, const grid *g, int64_t first, int64_t end, bool begun)
{
    const int64_t blocks = (end - first - 1) / t->terms + 1;
    const size_t panel_bytes = panel_size(t);
#pragma omp parallel num_threads(t->threads) if (t->threads > 1)
    {
        const vr_float_env outer = vr_float_enter();
#pragma omp for schedule(static)
        for (int64_t panel = 0; panel < t->panels; panel++)
            for (int64_t block = 0; block < blocks; block++) {
                const int64_t k = first + block * t->terms;
                pack_panel(t, (char *)t->b + (size_t)(block * t->panels + panel) * panel_bytes, panel, k,
                           least(t->terms, end - k));
            }
#pragma omp for schedule(dynamic, 1)
        for (int64_t i = 0; i < g->row_blocks * g->groups; i++)
            add_blocks(t, g, i, first, end, begun);
        vr_float_leave(outer);
    }
}

static bool allocate(task *t, int64_t blocks)
{
    const size_t row_bytes = (size_t)t->threads * ROWS * STRIDE * packed_size(t);
    t->b = aligned_alloc(64, (size_t)up_to((int64_t)((size_t)(blocks * t->panels) * panel_size(t)), 64));
    t->a = aligned_alloc(64, row_bytes);
    if (t->a) /* the rows of a tile beyond the last are computed too, if not used */
        memset(t->a, 0, row_bytes);
    return t->a && t->b;
}

/* Terms [first, end) added to the sums, which have a first term if `begun`. */
static bool add_terms(task *t, int64_t first, int64_t end, bool begun)
{
    const int64_t block_bytes = t->panels * (int64_t)panel_size(t);
    const int64_t most = PACKED_BYTES / block_bytes > 1 ? PACKED_BYTES / block_bytes : 1;
    const int64_t blocks = least(most, (end - first - 1) / t->terms + 1);
    const bool ready = allocate(t, blocks);
    const grid g = grid_of(t);
    for (int64_t k = first; ready && k < end; k += blocks * t->terms) {
        add_range(t, &g, k, least(end, k + blocks * t->terms), begun);
        begun = true;
    }
    free(t->a);
    free(t->b);
    return ready;
}

static task task_of(const way *w, const product *of, int threads)
{
    task t = {.w = w, .of = of, .sums = of->out, .threads = threads, .terms = least(BLOCK, of->k)};
    t.rows = w->order == VR_ORDER_EXACT ? w->inner->exact_rows : w->inner->rows;
    t.columns = w->order == VR_ORDER_EXACT ? w->inner->exact_columns : w->inner->columns;
    t.panels = (of->n - 1) / t.columns + 1;
    return t;
}

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "kernels: no memory for the parts of a product");
}

/* Each element is the bias, or 0. */
static void begin_sums(const product *of)
{
    for (int64_t i = 0; i < of->m; i++)
        for (int64_t j = 0; j < of->n; j++)
            of->out[i * of->out_row + j * of->out_column] =
                of->bias ? of->bias[i * of->bias_row + j * of->bias_column] : 0;
}

static void end_sums(const product *of, int threads)
{
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int64_t i = 0; i < of->m; i++)
        for (int64_t j = 0; j < of->n; j++) {
            real *at = &of->out[i * of->out_row + j * of->out_column];
            *at = without_payload(*at);
        }
}

static vr_status multiply_in_order(const way *w, const product *of, const uint32_t *order, int threads)
{
    task t = task_of(w, of, threads);
    t.order = order;
    if (of->bias)
        begin_sums(of);
    if (!add_terms(&t, 0, of->k, of->bias != NULL))
        return no_memory();
    end_sums(of, threads);
    return VR_OK;
}

/* Adds what each thread has, the first first. `sums`: [pieces][m n], as out. */
static void add_pieces(const way *w, const product *of, const real *sums, int64_t pieces, int threads)
{
    const uint64_t all = (uint64_t)of->m * (uint64_t)of->n;
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        const vr_float_env outer = vr_float_enter();
#pragma omp for
        for (int64_t i = 0; i < of->m; i++)
            for (int64_t j = 0; j < of->n; j++) {
                const uint64_t e = (uint64_t)(i * of->out_row + j * of->out_column);
                real sum = of->bias ? of->bias[i * of->bias_row + j * of->bias_column] : sums[e];
                for (int64_t p = of->bias ? 0 : 1; p < pieces; p++) {
                    const uint64_t first = (uint64_t)piece_start(of->k, pieces, p);
                    sum = NAME(vr_add_at)(w, sum, sums[(uint64_t)p * all + e], (2 * first + 1) * all + e);
                }
                of->out[e] = without_payload(sum);
            }
        vr_float_leave(outer);
    }
}

/* Each thread its piece of the terms, for all elements. */
static vr_status multiply_by_threads(const way *w, const product *of, int threads)
{
    const int64_t pieces = least(w->pieces, of->k), all = of->m * of->n;
    int64_t bytes;
    if (__builtin_mul_overflow(all * (int64_t)sizeof(real), pieces, &bytes))
        return no_memory();
    real *sums = malloc((size_t)bytes);
    if (!sums)
        return no_memory();
    bool fine = true;
#pragma omp parallel for schedule(static, 1) num_threads(threads) if (threads > 1) reduction(&& : fine)
    for (int64_t p = 0; p < pieces; p++) {
        const vr_float_env outer = vr_float_enter();
        task t = task_of(w, of, 1);
        t.sums = sums + p * all;
        fine = fine && add_terms(&t, piece_start(of->k, pieces, p), piece_start(of->k, pieces, p + 1), false);
        vr_float_leave(outer);
    }
    if (fine)
        add_pieces(w, of, sums, pieces, threads);
    free(sums);
    return fine ? VR_OK : no_memory();
}

/* One task of few terms: packs both factors for itself. Every second thread goes backward, so that two that keep pace
 * with each other meet in the middle of a block: where, and so who adds first, is up to chance. */
static void add_piece(const task *t, const grid *g, int64_t number, int64_t pieces)
{
    const int64_t place = number / pieces, first = piece_start(t->of->k, pieces, number % pieces),
                  n = piece_start(t->of->k, pieces, number % pieces + 1) - first;
    const int64_t i = place / g->groups * g->rows, count = least(g->rows, t->of->m - i);
    const int64_t panel = place % g->groups * g->panels, last = least(panel + g->panels, t->panels);
    const size_t panel_bytes = panel_size(t);
    char *b = (char *)t->b + (size_t)(thread_of(t) * t->panels) * panel_bytes, *a = rows_of_thread(t);
    for (int64_t p = panel; p < last; p++)
        pack_panel(t, b + (size_t)(p - panel) * panel_bytes, p, first, n);
    pack_rows(t, a, i, count, panel, first, n);
    add_rows(t, a, b, i, count, panel, last, first, n, SINK_ATOMIC, thread_of(t) % 2);
}

static vr_status multiply_atomically(const way *w, const product *of, int threads)
{
    task t = task_of(w, of, threads);
    const int64_t pieces = atomic_pieces(of->k, 16, BLOCK);
    const grid g = grid_of(&t);
    const bool ready = allocate(&t, threads);
    if (ready) {
        begin_sums(of);
#pragma omp parallel num_threads(threads) if (threads > 1)
        {
            const vr_float_env outer = vr_float_enter();
#pragma omp barrier /* nobody begins before all are there */
#pragma omp for schedule(static, 1)
            for (int64_t i = 0; i < g.row_blocks * g.groups * pieces; i++)
                add_piece(&t, &g, i, pieces);
            vr_float_leave(outer);
        }
        end_sums(of, threads);
    }
    free(t.a);
    free(t.b);
    return ready ? VR_OK : no_memory();
}

static real multiply_long(const way *w, const product *of, int64_t i, int64_t j)
{
    vr_long sum = {.adds = 0};
    if (of->bias)
        vr_long_add(&sum, (double)of->bias[i * of->bias_row + j * of->bias_column], 1);
    for (int64_t k = 0; k < of->k; k++)
        vr_long_add(&sum, (double)NAME(vr_element)(&of->a, i, k), (double)NAME(vr_element)(&of->b, j, k));
    return NAME(vr_round_long)(w, &sum, (uint64_t)(i * of->out_row + j * of->out_column));
}

static void round_element(const task *t, int64_t i, int64_t j)
{
    const product *of = t->of;
    const int64_t e = i * of->out_row + j * of->out_column, at = i * of->n + j;
    double high = t->high[at], low = t->low[at], size = t->a_most[i] * t->b_size[j];
    if (of->bias) {
        const double bias = (double)of->bias[i * of->bias_row + j * of->bias_column];
        add_pair(&high, &low, bias, 0);
        size += __builtin_fabs(bias);
    }
    const double error = NAME(vr_sketch_error)(size, of->k, of->k / BLOCK + 2);
    real sum;
    if (!NAME(vr_round_sketch)(&sum, t->w, high, low, error, (uint64_t)e))
        sum = multiply_long(t->w, of, i, j);
    of->out[e] = sum;
}

static vr_status multiply_exactly(const way *w, const product *of, int threads)
{
    task t = task_of(w, of, threads);
    const size_t all = (size_t)(of->m * of->n);
    double *room = all < SIZE_MAX / 32 ? calloc(2 * all + (size_t)(of->m + of->n), sizeof *room) : NULL;
    if (!room)
        return no_memory();
    t.high = room;
    t.low = room + all;
    t.a_most = t.low + all;
    t.b_size = t.a_most + of->m;
    const bool fine = add_terms(&t, 0, of->k, true);
    if (fine) {
#pragma omp parallel num_threads(threads) if (threads > 1)
        {
            const vr_float_env outer = vr_float_enter();
#pragma omp for schedule(dynamic, 4)
            for (int64_t i = 0; i < of->m; i++)
                for (int64_t j = 0; j < of->n; j++)
                    round_element(&t, i, j);
            vr_float_leave(outer);
        }
    }
    free(room);
    return fine ? VR_OK : no_memory();
}

/* Vectors lie along the columns: better more of those than of rows, if they are few. Not where the factors of a product
 * are not treated alike: pb and mca, whose noise is that of the first or the second. */
static product turned(const way *w, const product *of)
{
    product out = *of;
    const bool alike = !w->rounded || w->how.mode < VR_ROUND_PB;
    if (alike && of->n < w->inner->columns / 2 && of->m > of->n) {
        out.a = of->b;
        out.b = of->a;
        out.m = of->n;
        out.n = of->m;
        out.out_row = of->out_column;
        out.out_column = of->out_row;
        out.bias_row = of->bias_column;
        out.bias_column = of->bias_row;
    }
    return out;
}

vr_status NAME(vr_product)(const way *w, const product *given)
{
    const product of = turned(w, given);
    if (of.m == 0 || of.n == 0)
        return VR_OK;
    if (of.k == 0) {
        begin_sums(&of);
        end_sums(&of, 1);
        return VR_OK;
    }
    const double products = (double)of.m * (double)of.n * (double)of.k;
    const int threads = team(w, products < 0x1p60 ? (uint64_t)products : UINT64_MAX);
    uint32_t *order = NULL;
    vr_status status;
    const vr_float_env outer = vr_float_enter();
    switch (w->order) {
    case VR_ORDER_THREADS:
        status = multiply_by_threads(w, &of, threads);
        break;
    case VR_ORDER_ATOMIC:
        status = multiply_atomically(w, &of, threads);
        break;
    case VR_ORDER_EXACT:
        status = multiply_exactly(w, &of, threads);
        break;
    default:
        status = w->order == VR_ORDER_SHUFFLED ? NAME(vr_order_make)(&order, w, 0, of.k) : VR_OK;
        if (status == VR_OK)
            status = multiply_in_order(w, &of, order, threads);
        free(order);
    }
    vr_float_leave(outer);
    return status;
}

vr_status NAME(vr_matmul)(vr_math *math, real *out, const real *a, const real *b, const real *bias, vr_matmul shape)
{
    const int64_t m = shape.m, n = shape.n, k = shape.k;
    const way w = NAME(vr_way_begin)(math);
    const product of = {.out = out,
                        .bias = bias,
                        .m = m,
                        .n = n,
                        .k = k,
                        .a = {.data = a, .row = shape.transpose_a ? 1 : k, .step = shape.transpose_a ? m : 1},
                        .b = {.data = b, .row = shape.transpose_b ? k : 1, .step = shape.transpose_b ? 1 : n},
                        .out_row = n,
                        .out_column = 1,
                        .bias_column = 1};
    vr_status status = NAME(vr_check_sizes)("matmul", 2, (const int64_t[]){m, n});
    if (status == VR_OK)
        status = NAME(vr_check_sizes)("matmul", 2, (const int64_t[]){m, k});
    if (status == VR_OK)
        status = NAME(vr_check_sizes)("matmul", 2, (const int64_t[]){k, n});
    return status == VR_OK ? NAME(vr_product)(&w, &of) : status;
}
