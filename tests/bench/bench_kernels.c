/* bench_kernels - what the choice of an order costs: each kernel in each order, beside the same loop as the compiler
 * vectorizes it, with an OpenMP reduction, and beside OpenBLAS where there was one when this was built.
 *
 * Rows are timed once in each round, so that a noisy machine hits all alike; medians over the rounds.
 */
#include "bench.h"

#include <math.h>
#include <omp.h>
#include <varanalyze/kernels.h>
#include <varanalyze/random.h>

#ifdef HAS_OPENBLAS
#include <cblas.h>
void openblas_set_num_threads(int threads);
#endif

static const char usage[] =
    "usage: bench_kernels [--quick] [-n ROUNDS]\n"
    "\n"
    "Time the kernels in every order, with one thread and two: GFLOP/s, and times as multiples of the order\n"
    "`threads`. --quick leaves the large shapes out.\n";

#define MOST_ROUNDS 51
#define MOST_ROWS   160
#define SECONDS     0.02 /* a row takes at least, in each round */

typedef enum shape_kind { KIND_DOT, KIND_MATMUL, KIND_CONV, KIND_CONV_INPUT, KIND_CONV_WEIGHT } shape_kind;
typedef enum peer_kind { PEER_NONE, PEER_LOOP, PEER_OPENBLAS } peer_kind;

typedef struct shape {
    const char *name;
    shape_kind kind;
    bool large;
    int64_t m, n, k; /* of a dot product: k */
    vr_conv2d conv;
} shape;

static const shape shapes[] = {
    {"dot 4096", KIND_DOT, false, 1, 1, 4096, {0}},
    {"dot 2^20", KIND_DOT, false, 1, 1, 1 << 20, {0}},
    {"matmul 256^3", KIND_MATMUL, false, 256, 256, 256, {0}},
    {"matmul 64x96x1024", KIND_MATMUL, false, 64, 96, 1024, {0}},
    {"matmul 1024^3", KIND_MATMUL, true, 1024, 1024, 1024, {0}},
    {"conv 32x8x8x32->64", KIND_CONV, false, 0, 0, 0, {32, 8, 8, 32, 64, 3, 3, 1, 1, 1, 1, 1, 1}},
    {"conv 8x56x56x64->64", KIND_CONV, true, 0, 0, 0, {8, 56, 56, 64, 64, 3, 3, 1, 1, 1, 1, 1, 1}},
    {"its gradient, input", KIND_CONV_INPUT, true, 0, 0, 0, {8, 56, 56, 64, 64, 3, 3, 1, 1, 1, 1, 1, 1}},
    {"its gradient, weight", KIND_CONV_WEIGHT, true, 0, 0, 0, {8, 56, 56, 64, 64, 3, 3, 1, 1, 1, 1, 1, 1}},
};

#define SHAPES (sizeof shapes / sizeof *shapes)

typedef struct row {
    const shape *shape;
    const char *what;
    peer_kind peer;
    vr_math math;
    int threads, repeats;
    double seconds[MOST_ROUNDS], median;
} row;

static row rows[MOST_ROWS];
static int row_count;
static float *a, *b, *out;
static volatile float sink;

#ifdef __x86_64__
#define CLONES __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define CLONES
#endif

CLONES static float dot_part(const float *x, const float *y, int64_t n)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

static float dot_loop(int64_t n, int threads)
{
    float sum = 0;
#pragma omp parallel for num_threads(threads) if (threads > 1 && n > 65536) reduction(+ : sum)
    for (int t = 0; t < threads; t++)
        sum += dot_part(a + n / threads * t, b + n / threads * t, n / threads);
    return sum;
}

CLONES static void matmul_rows(float *c, const float *x, int64_t first, int64_t end, const shape *s)
{
    for (int64_t i = first; i < end; i++) {
        float *restrict sum = c + i * s->n;
        for (int64_t j = 0; j < s->n; j++)
            sum[j] = 0;
        for (int64_t k = 0; k < s->k; k++)
            for (int64_t j = 0; j < s->n; j++)
                sum[j] += x[i * s->k + k] * b[k * s->n + j];
    }
}

static void matmul_loop(const shape *s, int threads)
{
#pragma omp parallel for num_threads(threads) if (threads > 1)
    for (int t = 0; t < threads; t++)
        matmul_rows(out, a, s->m / threads * t, s->m / threads * (t + 1), s);
}

static void run_openblas(const row *r)
{
#ifdef HAS_OPENBLAS
    const shape *s = r->shape;
    if (s->kind == KIND_DOT)
        sink = cblas_sdot((int)s->k, a, 1, b, 1);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)s->m, (int)s->n, (int)s->k, 1, a, (int)s->k, b,
                    (int)s->n, 0, out, (int)s->n);
#else
    (void)r;
#endif
}

static void run_kernel(row *r)
{
    const shape *s = r->shape;
    switch (s->kind) {
    case KIND_DOT:
        vr_dot_f32(&r->math, out, a, b, s->k);
        sink = *out;
        break;
    case KIND_MATMUL:
        vr_matmul_f32(&r->math, out, a, b, NULL, (vr_matmul){.m = s->m, .n = s->n, .k = s->k});
        break;
    case KIND_CONV:
        vr_conv2d_forward_f32(&r->math, out, a, b, NULL, &s->conv);
        break;
    case KIND_CONV_INPUT:
        vr_conv2d_backward_input_f32(&r->math, out, a, b, &s->conv);
        break;
    case KIND_CONV_WEIGHT:
        vr_conv2d_backward_weight_f32(&r->math, out, a, a, &s->conv);
        break;
    }
}

static void run(row *r)
{
    if (r->peer == PEER_OPENBLAS)
        run_openblas(r);
    else if (r->peer == PEER_LOOP && r->shape->kind == KIND_DOT)
        sink = dot_loop(r->shape->k, r->threads);
    else if (r->peer == PEER_LOOP)
        matmul_loop(r->shape, r->threads);
    else
        run_kernel(r);
}

static double flops(const shape *s)
{
    const vr_conv2d *c = &s->conv;
    if (s->kind <= KIND_MATMUL)
        return 2.0 * (double)s->m * (double)s->n * (double)s->k;
    return 2.0 * (double)(c->n * c->h * c->w * c->k) * (double)(c->kh * c->kw * c->c);
}

static void set_threads(int threads)
{
    omp_set_num_threads(threads);
#ifdef HAS_OPENBLAS
    openblas_set_num_threads(threads);
#endif
}

/* One thread is timed by its own processor time, so that other processes cost it less. */
static double now(int threads)
{
    struct timespec t;
    clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double time_once(row *r)
{
    const double start = now(r->threads);
    for (int i = 0; i < r->repeats; i++)
        run(r);
    return (now(r->threads) - start) / r->repeats;
}

static void add_row(const shape *s, const char *what, peer_kind peer, vr_math math, int threads)
{
    row *r = &rows[row_count++];
    *r = (row){.shape = s, .what = what, .peer = peer, .math = math, .threads = threads, .repeats = 1};
    set_threads(threads);
    const double once = fmin(time_once(r), time_once(r));
    r->repeats = once > SECONDS ? 1 : (int)(SECONDS / fmax(once, 1e-7)) + 1;
}

static void add_rows(const shape *s, int threads)
{
    static const vr_order orders[] = {VR_ORDER_THREADS, VR_ORDER_FIXED, VR_ORDER_EXACT, VR_ORDER_SHUFFLED,
                                      VR_ORDER_ATOMIC};
    const vr_rounding sr = {.mode = VR_ROUND_SR, .key = 1}, ud = {.mode = VR_ROUND_UD, .key = 1};
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++)
        add_row(s, vr_order_name(orders[i]), PEER_NONE, (vr_math){.order = orders[i], .order_key = 1}, threads);
    if (s->kind <= KIND_MATMUL)
        add_row(s, "plain loop", PEER_LOOP, (vr_math){.order = VR_ORDER_FIXED}, threads);
#ifdef HAS_OPENBLAS
    if (s->kind <= KIND_MATMUL)
        add_row(s, "OpenBLAS", PEER_OPENBLAS, (vr_math){.order = VR_ORDER_FIXED}, threads);
#endif
    if (!s->large) {
        add_row(s, "fixed, sr", PEER_NONE, (vr_math){.rounding = sr}, threads);
        add_row(s, "fixed, ud", PEER_NONE, (vr_math){.rounding = ud}, threads);
    }
}

static bool allocate(void)
{
    const size_t n = (size_t)1 << 21;
    a = malloc(n * sizeof *a);
    b = malloc(n * sizeof *b);
    out = malloc(n * sizeof *out);
    if (!a || !b || !out)
        return false;
    vr_random random = vr_random_stream(1, 0);
    for (size_t i = 0; i < n; i++) {
        a[i] = (float)(vr_random_uniform(&random) - 0.5);
        b[i] = (float)(vr_random_uniform(&random) - 0.5);
        out[i] = 0;
    }
    return true;
}

static const row *peer_of(const row *r, const char *what)
{
    for (int i = 0; i < row_count; i++)
        if (rows[i].shape == r->shape && rows[i].threads == r->threads && strcmp(rows[i].what, what) == 0)
            return &rows[i];
    return NULL;
}

static void print_ratio(const row *r, const char *what)
{
    const row *other = peer_of(r, what);
    if (other)
        printf(" %10.2f", r->median / other->median);
    else
        printf(" %10s", "-");
}

static void print_rows(void)
{
    printf("%-22s %7s  %-11s %9s %10s %10s %10s\n", "f32", "threads", "", "GFLOP/s", "/threads", "/loop", "/OpenBLAS");
    for (int i = 0; i < row_count; i++) {
        const row *r = &rows[i];
        printf("%-22s %7d  %-11s %9.3f", r->shape->name, r->threads, r->what, 1e-9 * flops(r->shape) / r->median);
        print_ratio(r, "threads");
        print_ratio(r, "plain loop");
        print_ratio(r, "OpenBLAS");
        putchar('\n');
    }
}

static void print_goals(void)
{
    printf("\ngoal: fixed takes at most 1.3 times as long as threads, and as the plain loop\n");
    for (int i = 0; i < row_count; i++)
        if (strcmp(rows[i].what, "fixed") == 0 && rows[i].shape->kind <= KIND_MATMUL) {
            const double by_threads = rows[i].median / peer_of(&rows[i], "threads")->median,
                         by_loop = rows[i].median / peer_of(&rows[i], "plain loop")->median;
            printf("  %-22s %d  %.2f, %.2f  %s\n", rows[i].shape->name, rows[i].threads, by_threads, by_loop,
                   bench_verdict(by_threads <= 1.3 && by_loop <= 1.3));
        }
}

int main(int argc, char **argv)
{
    bool quick;
    int rounds;
    if (!bench_options(argc, argv, usage, MOST_ROUNDS, &quick, &rounds))
        return 2;
    if (!allocate()) {
        fputs("bench_kernels: out of memory\n", stderr);
        return 1;
    }
    for (size_t i = 0; i < SHAPES; i++)
        for (int threads = 1; threads <= 2 && (!quick || !shapes[i].large); threads++)
            add_rows(&shapes[i], threads);
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < row_count; i++) {
            set_threads(rows[i].threads);
            rows[i].seconds[round] = time_once(&rows[i]);
        }
    for (int i = 0; i < row_count; i++)
        rows[i].median = bench_median(rows[i].seconds, rounds);
    print_rows();
    print_goals();
    bench_print_load();
}
