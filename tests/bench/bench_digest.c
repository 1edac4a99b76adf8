/* bench_digest - the speed of digests, statistics and projections against what the memory and one hash call give.
 *
 * Tensors in memory, touched; every row is timed once in each round, so that a noisy machine hits all alike, and the
 * median over the rounds is printed.
 */
#include <isa.h>
#include <varanalyze/digest.h>
#include <varanalyze/projection.h>

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

static const char usage[] =
    "usage: bench_digest [-m MIB] [-n ROUNDS]\n"
    "\n"
    "Time digests, statistics and projections of tensors of MIB mebibytes each (default 1024; five of them are\n"
    "held), the median of ROUNDS rounds (default 7).\n";

#define MAX_ROUNDS    101
#define PATTERN_BYTES (1 << 20)

static const vr_dtype dtypes[] = {VR_F32, VR_F64, VR_BF16, VR_F16, VR_U8};
static void *data[VR_DTYPE_LAST + 1];
static size_t bytes = (size_t)1 << 30;
static volatile double sink;

typedef struct row {
    const char *name;
    void (*run)(const struct row *of);
    vr_dtype dtype;
    int threads;
    const char *isa; /* NULL: the library's choice */
    double seconds[MAX_ROUNDS];
} row;

#ifdef __x86_64__
#define WIDE __attribute__((target("avx2")))
#else
#define WIDE
#endif

/* A plain sum, eight vectors at a time: bound by the memory. */
#define DEFINE_SUM(name, type, attributes)                                                                             \
    attributes static double name(const type *x)                                                                       \
    {                                                                                                                  \
        typedef type vector __attribute__((vector_size(32)));                                                          \
        const vector *v = (const vector *)x;                                                                           \
        vector sum[8] = {0}, all = {0};                                                                                \
        for (size_t i = 0; i < bytes / sizeof *v; i += 8)                                                              \
            for (size_t k = 0; k < 8; k++)                                                                             \
                sum[k] += v[i + k];                                                                                    \
        for (size_t k = 0; k < 8; k++)                                                                                 \
            all += sum[k];                                                                                             \
        double total = 0;                                                                                              \
        for (size_t l = 0; l < sizeof all / sizeof(type); l++)                                                         \
            total += (double)all[l];                                                                                   \
        return total;                                                                                                  \
    }

DEFINE_SUM(sum_f32_narrow, float, )
DEFINE_SUM(sum_f64_narrow, double, )
DEFINE_SUM(sum_f32_wide, float, WIDE)
DEFINE_SUM(sum_f64_wide, double, WIDE)

static void run_sum(const row *of)
{
    const bool wide = vr_kernels_named("avx2") != NULL;
    if (of->dtype == VR_F32)
        sink = wide ? sum_f32_wide(data[VR_F32]) : sum_f32_narrow(data[VR_F32]);
    else
        sink = wide ? sum_f64_wide(data[VR_F64]) : sum_f64_narrow(data[VR_F64]);
}

static void run_xxh3_shared(const row *of)
{
    sink = (double)XXH3_128bits(data[of->dtype], bytes).low64;
}

static void run_xxh3_inlined(const row *of)
{
    const vr_kernels *kernels = of->isa ? vr_kernels_named(of->isa) : vr_kernels_best();
    sink = (double)kernels->digest(data[of->dtype], bytes).lo;
}

static vr_tensor tensor_of(const row *of)
{
    return VR_TENSOR(of->dtype, data[of->dtype], (int64_t)(bytes / vr_dtype_size(of->dtype)));
}

static void run_digest(const row *of)
{
    const vr_tensor tensor = tensor_of(of);
    vr_digest digest = {0, 0};
    vr_digest_tensor(&digest, &tensor);
    sink = (double)digest.lo;
}

static void run_measure(const row *of)
{
    const vr_tensor tensor = tensor_of(of);
    vr_digest digest;
    vr_stats stats = {0};
    vr_measure(&digest, &stats, NULL, &tensor);
    sink = stats.m2;
}

static void run_project(const row *of)
{
    static double numbers[VR_PROJECTION_DEFAULT];
    const vr_tensor tensor = tensor_of(of);
    vr_project(numbers, &tensor, VR_PROJECTION_DEFAULT, 1);
    sink = numbers[0];
}

/* What vr_measure does to each chunk, with the kernels of one instruction set. */
static void run_kernels(const row *of)
{
    const vr_kernels *kernels = vr_kernels_named(of->isa);
    for (size_t at = 0; at < bytes; at += VR_CHUNK_BYTES) {
        const char *chunk = (const char *)data[of->dtype] + at;
        vr_stats stats;
        sink = (double)kernels->digest(chunk, VR_CHUNK_BYTES).lo;
        kernels->stats(&stats, chunk, of->dtype, VR_CHUNK_BYTES / vr_dtype_size(of->dtype));
        sink = stats.m2;
    }
}

static row rows[] = {
    {"plain sum", run_sum, VR_F32, 1, NULL, {0}},
    {"plain sum", run_sum, VR_F64, 1, NULL, {0}},
    {"XXH3_128bits, shared library", run_xxh3_shared, VR_F32, 1, NULL, {0}},
    {"XXH3_128bits, inlined", run_xxh3_inlined, VR_F32, 1, NULL, {0}},
    {"vr_digest_tensor", run_digest, VR_F32, 1, NULL, {0}},
    {"vr_digest_tensor", run_digest, VR_F32, 2, NULL, {0}},
    {"vr_measure", run_measure, VR_F32, 1, NULL, {0}},
    {"vr_measure", run_measure, VR_F32, 2, NULL, {0}},
    {"vr_measure", run_measure, VR_F64, 1, NULL, {0}},
    {"vr_measure", run_measure, VR_BF16, 1, NULL, {0}},
    {"vr_measure", run_measure, VR_F16, 1, NULL, {0}},
    {"vr_measure", run_measure, VR_U8, 1, NULL, {0}},
    {"vr_project to 1024", run_project, VR_F32, 1, NULL, {0}},
    {"vr_project to 1024", run_project, VR_F32, 2, NULL, {0}},
    {"vr_project to 1024", run_project, VR_F64, 1, NULL, {0}},
    {"XXH3_128bits, inlined", run_xxh3_inlined, VR_F32, 1, "baseline", {0}},
    {"XXH3_128bits, inlined", run_xxh3_inlined, VR_F32, 1, "avx2", {0}},
    {"XXH3_128bits, inlined", run_xxh3_inlined, VR_F32, 1, "avx512", {0}},
    {"digest and stats", run_kernels, VR_F32, 1, "baseline", {0}},
    {"digest and stats", run_kernels, VR_F32, 1, "avx2", {0}},
    {"digest and stats", run_kernels, VR_F32, 1, "avx512", {0}},
    {"digest and stats", run_kernels, VR_BF16, 1, "baseline", {0}},
    {"digest and stats", run_kernels, VR_BF16, 1, "avx2", {0}},
    {"digest and stats", run_kernels, VR_BF16, 1, "avx512", {0}},
};

#define ROWS (sizeof rows / sizeof *rows)

/* Normal values (of u8: 0 to 255) by Box and Muller, over and over. */
static bool fill(vr_dtype dtype)
{
    static float values[PATTERN_BYTES];
    const size_t n = PATTERN_BYTES / vr_dtype_size(dtype);
    for (size_t i = 0; i < n; i++) {
        const double u = (double)(random() + 1) / 2147483648.0, v = (double)random() / 2147483648.0;
        values[i] = (float)(dtype == VR_U8 ? 256 * v : sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
    }
    char *at = data[dtype] = aligned_alloc(4096, bytes);
    if (!at)
        return false;
    vr_from_f32(at, dtype, values, n);
    for (size_t done = PATTERN_BYTES; done < bytes; done += PATTERN_BYTES)
        memcpy(at + done, at, PATTERN_BYTES);
    return true;
}

/* One thread is timed by its own processor time, so that other processes cost it less. */
static double now(int threads)
{
    struct timespec t;
    clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool can_run(const row *of)
{
    return !of->isa || vr_kernels_named(of->isa);
}

static void time_rows(int round)
{
    for (size_t r = 0; r < ROWS; r++) {
        if (!can_run(&rows[r]))
            continue;
        omp_set_num_threads(rows[r].threads);
        const double start = now(rows[r].threads);
        rows[r].run(&rows[r]);
        rows[r].seconds[round] = now(rows[r].threads) - start;
    }
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(row *of, int rounds)
{
    qsort(of->seconds, (size_t)rounds, sizeof *of->seconds, by_value);
    return of->seconds[rounds / 2];
}

static void print_rows(int rounds)
{
    double seconds[ROWS];
    printf("%-30s %-5s %-9s %7s %8s\n", "", "type", "isa", "threads", "GB/s");
    for (size_t r = 0; r < ROWS; r++) {
        if (!can_run(&rows[r]))
            continue;
        seconds[r] = median(&rows[r], rounds);
        printf("%-30s %-5s %-9s %7d %8.2f\n", rows[r].name, vr_dtype_name(rows[r].dtype),
               rows[r].isa ? rows[r].isa : "best", rows[r].threads, 1e-9 * (double)bytes / seconds[r]);
    }
    printf("\nspeed of vr_digest_tensor / XXH3_128bits, inlined   %.2f (at least 0.9)\n", seconds[3] / seconds[4]);
    printf("speed of vr_digest_tensor / XXH3_128bits, shared    %.2f\n", seconds[2] / seconds[4]);
    printf("time of vr_measure f32 / plain sum f32              %.2f (at most 1.6)\n", seconds[6] / seconds[0]);
    printf("time of vr_measure f64 / plain sum f64              %.2f\n", seconds[8] / seconds[1]);
}

int main(int argc, char **argv)
{
    int rounds = 7;
    for (int option; (option = getopt(argc, argv, "m:n:")) != -1;) {
        if (option == 'm')
            bytes = (size_t)strtoul(optarg, NULL, 10) << 20;
        else if (option == 'n')
            rounds = atoi(optarg);
        else
            return fputs(usage, stderr), 2;
    }
    if (bytes == 0 || rounds < 1 || rounds > MAX_ROUNDS)
        return fputs(usage, stderr), 2;
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (!fill(dtypes[i]))
            return fputs("bench_digest: out of memory; try -m 256\n", stderr), 1;
    for (int round = 0; round < rounds; round++)
        time_rows(round);
    print_rows(rounds);
}
