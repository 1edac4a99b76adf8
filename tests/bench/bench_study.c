/* bench_study - churn over all pairs of many replicas, and all pairwise distances of many weights, against what the
 * machine can do.
 *
 * Churn: 200 replicas of 50,000 samples and 1000 classes, from the joined table. What must be done: 19,900 pairs of
 * 50,000 codes of two bytes compared, twice 100 kB a pair; beside it the same bytes read by a plain sum of 64-bit
 * words, from blocks that the first-level cache holds. Distances: 50 replicas of 25,000,000 f32, each in a file of its
 * own in the page cache, read by pread. What must move: each byte once, 5 GB; what must be done: a subtraction, a
 * multiplication and an addition for each element of each pair, 92 billion. Beside it, in the same rounds: the same
 * files read by as many threads, and the same operations on values that stay in the first-level cache, in vectors of
 * the compiler's baseline.
 */
#include "bench.h"

#include <fcntl.h>
#include <isa.h>
#include <math.h>
#include <omp.h>
#include <study_churn.h>
#include <study_distance.h>
#include <sys/resource.h>
#include <varanalyze/random.h>

static const char usage[] = "usage: bench_study [--quick] [-n ROUNDS]\n"
                            "\n"
                            "Measure the churn of 200 replicas of 50,000 samples and the distances of 50 replicas of "
                            "25,000,000 f32, ROUNDS times\n"
                            "(default 5), and print the medians. --quick: 2,000,000 f32, 3 rounds. Takes 5 GB in "
                            "TMPDIR (or /tmp), 400 MB if quick,\n"
                            "and as much of the page cache.\n";

#define MAX_ROUNDS 101
#define REPLICAS   200
#define SAMPLES    50000
#define CLASSES    1000
#define RUNS       50
#define NAME       48
#define PIECE      (64 << 10)

#define GOAL_CHURN        2.0 /* seconds */
#define GOAL_CHURN_MIB    300
#define GOAL_DISTANCE     10.0
#define GOAL_DISTANCE_MIB 1024

static char directory[BENCH_PATH];
static uint64_t elements = 25000000;
static int files[RUNS];
static volatile double sink;

/* Of all threads: what it would take is this over their number, were nothing else running. */
static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double peak_mib(void)
{
    struct rusage usage_now;
    getrusage(RUSAGE_SELF, &usage_now);
    return (double)usage_now.ru_maxrss / 1024;
}

/* ---- churn ---- */

static va_table *make_table(void)
{
    static uint64_t ids[SAMPLES];
    static int32_t labels[SAMPLES], predictions[SAMPLES];
    va_table *table;
    vr_random random = vr_random_stream(1, 0);
    if (va_table_new(&table, CLASSES, 0) != VR_OK)
        return NULL;
    for (size_t i = 0; i < SAMPLES; i++) {
        ids[i] = i;
        labels[i] = (int32_t)vr_random_below(&random, CLASSES);
    }
    for (int r = 0; r < REPLICAS; r++) {
        for (size_t i = 0; i < SAMPLES; i++) {
            const uint32_t u = vr_random_u32(&random);
            predictions[i] = u % 4 ? labels[i] : (int32_t)(u / 4 % CLASSES);
        }
        if (va_table_add(table, &(va_replica){"r", SAMPLES, ids, labels, predictions, NULL, NULL, NAN}) != VR_OK)
            return NULL;
    }
    return table;
}

/* As many bytes as the pairs' codes have, read from 16 KiB again and again by as many threads. */
static double time_words(void)
{
    static uint64_t words[2048];
    const long passes = (long)REPLICAS * (REPLICAS - 1) / 2 * 2 * SAMPLES * 2 / (long)sizeof words;
    uint64_t sum = 0;
    const double start = bench_seconds();
#pragma omp parallel for reduction(+ : sum)
    for (long pass = 0; pass < passes; pass++) {
        const uint64_t *at = words;
        __asm__ volatile("" : "+r"(at)); /* so that every pass reads */
        for (size_t i = 0; i < 2048; i++)
            sum += at[i];
    }
    sink = (double)sum;
    return bench_seconds() - start;
}

static bool bench_churn(int rounds)
{
    double seconds[MAX_ROUNDS], processor[MAX_ROUNDS], words[MAX_ROUNDS];
    va_table *table = make_table();
    const double pairs = REPLICAS * (REPLICAS - 1) / 2.0;
    if (!table)
        return false;
    for (int round = 0; round < rounds; round++) {
        va_churn *churn;
        const double start = bench_seconds(), before = processor_seconds();
        if (va_churn_of(&churn, table) != VR_OK)
            return false;
        seconds[round] = bench_seconds() - start;
        processor[round] = processor_seconds() - before;
        sink = churn->mean;
        va_churn_free(churn);
        words[round] = time_words();
    }
    va_table_free(table);
    const double median = bench_median(seconds, rounds), mib = peak_mib();
    printf("churn: %d replicas, %d samples, %d classes, %d threads, %s\n", REPLICAS, SAMPLES, CLASSES,
           omp_get_max_threads(), vr_isa_name());
    printf("  all pairs                     %8.3f s   %.1f G comparisons/s   %s (at most %.0f s)\n", median,
           1e-9 * pairs * SAMPLES / median, bench_verdict(median <= GOAL_CHURN), GOAL_CHURN);
    printf("  its processor time            %8.3f s\n", bench_median(processor, rounds));
    printf("  the same bytes from the cache %8.3f s\n", bench_median(words, rounds));
    printf("  peak memory                   %8.0f MiB %s (at most %d)\n\n", mib, bench_verdict(mib <= GOAL_CHURN_MIB),
           GOAL_CHURN_MIB);
    return true;
}

/* ---- distances ---- */

static bool write_run(int run)
{
    char path[BENCH_PATH + NAME];
    static float piece[PIECE];
    snprintf(path, sizeof path, "%s/run%d.f32", directory, run);
    files[run] = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    vr_random random = vr_random_stream(2, (uint64_t)run);
    for (uint64_t at = 0; files[run] >= 0 && at < elements; at += PIECE) {
        const uint64_t n = elements - at < PIECE ? elements - at : PIECE;
        for (uint64_t i = 0; i < n; i += 16) /* new values would take longer than all that is measured */
            piece[i + vr_random_u32(&random) % 16] = (float)(vr_random_uniform(&random) - 0.5);
        if (write(files[run], piece, n * sizeof *piece) != (ssize_t)(n * sizeof *piece))
            return false;
    }
    return files[run] >= 0;
}

static vr_status read_run(void *context, int run, uint64_t first, size_t n, void *to)
{
    (void)context;
    const ssize_t size = (ssize_t)(n * sizeof(float));
    return pread(files[run], to, (size_t)size, (off_t)(first * sizeof(float))) == size ? VR_OK : VR_ERROR_IO;
}

static double time_reading(void)
{
    const double start = bench_seconds();
#pragma omp parallel
    {
        static _Thread_local float piece[VA_DISTANCE_READ];
#pragma omp for schedule(dynamic)
        for (uint64_t first = 0; first < elements; first += VA_DISTANCE_READ)
            for (int run = 0; run < RUNS; run++)
                read_run(NULL, run, first, elements - first < VA_DISTANCE_READ ? elements - first : VA_DISTANCE_READ,
                         piece);
    }
    return bench_seconds() - start;
}

/* d = a - b; sum += d d with all operands in registers, 8 vectors a step. */
#define DEFINE_ARITHMETIC(name, bytes, attributes)                                                                     \
    attributes static double name(long steps)                                                                          \
    {                                                                                                                  \
        typedef double vector __attribute__((vector_size(bytes)));                                                     \
        vector sum[8] = {0}, a = {1.5, 2.5}, b = {0.5, 0.25}, all = {0};                                               \
        for (long step = 0; step < steps; step++)                                                                      \
            for (size_t k = 0; k < 8; k++) {                                                                           \
                __asm__("" : "+x"(a)); /* so that every step computes */                                               \
                const vector d = a - b;                                                                                \
                sum[k] += d * d;                                                                                       \
            }                                                                                                          \
        for (size_t k = 0; k < 8; k++)                                                                                 \
            all += sum[k];                                                                                             \
        return all[0];                                                                                                 \
    }

DEFINE_ARITHMETIC(arithmetic_narrow, 16, )
#ifdef __x86_64__
DEFINE_ARITHMETIC(arithmetic_avx2, 32, __attribute__((target("avx2"))))
DEFINE_ARITHMETIC(arithmetic_avx512, 64, __attribute__((target("avx512f"))))
#else
#define arithmetic_avx2   arithmetic_narrow
#define arithmetic_avx512 arithmetic_narrow
#endif

/* As often as the pairs take it, in vectors as wide as the kernels'. */
static double time_arithmetic(void)
{
    const bool avx512 = strcmp(vr_isa_name(), "avx512") == 0, avx2 = strcmp(vr_isa_name(), "avx2") == 0;
    const int width = avx512 ? 8 : avx2 ? 4 : 2;
    const double all = (double)elements * RUNS * (RUNS - 1) / 2 / (8 * width);
    double sum = 0;
    const double start = bench_seconds();
#pragma omp parallel reduction(+ : sum)
    {
        const long steps = (long)(all / omp_get_num_threads());
        sum = avx512 ? arithmetic_avx512(steps) : avx2 ? arithmetic_avx2(steps) : arithmetic_narrow(steps);
    }
    sink = sum;
    return bench_seconds() - start;
}

static bool time_distances(double *seconds, double *processor)
{
    const va_weights weights = {.dtype = VR_F32, .count = elements, .read = read_run};
    va_distances *distances;
    const double start = bench_seconds(), before = processor_seconds();
    if (va_distances_new(&distances, RUNS) != VR_OK || va_distances_add(distances, &weights) != VR_OK)
        return false;
    *seconds = bench_seconds() - start;
    *processor = processor_seconds() - before;
    sink = va_distance(distances, 0, 1);
    va_distances_free(distances);
    return true;
}

static bool bench_distances(int rounds)
{
    double seconds[MAX_ROUNDS], processor[MAX_ROUNDS], reading[MAX_ROUNDS], arithmetic[MAX_ROUNDS];
    for (int run = 0; run < RUNS; run++)
        if (!write_run(run))
            return false;
    for (int round = 0; round < rounds; round++) {
        reading[round] = time_reading();
        if (!time_distances(&seconds[round], &processor[round]))
            return false;
        arithmetic[round] = time_arithmetic();
    }
    const double median = bench_median(seconds, rounds), mib = peak_mib(), bytes = 4.0 * RUNS * (double)elements;
    const double operations = 3.0 * RUNS * (RUNS - 1) / 2 * (double)elements;
    printf("distances: %d replicas, %.0f f32 each, %d threads, %s\n", RUNS, (double)elements, omp_get_max_threads(),
           vr_isa_name());
    printf("  all pairs                     %8.3f s   %.1f GB/s, %.1f G operations/s   %s (at most %.0f s)\n", median,
           1e-9 * bytes / median, 1e-9 * operations / median, bench_verdict(median <= GOAL_DISTANCE), GOAL_DISTANCE);
    printf("  its processor time            %8.3f s\n", bench_median(processor, rounds));
    printf("  reading the files alone       %8.3f s\n", bench_median(reading, rounds));
    printf("  the operations alone          %8.3f s\n", bench_median(arithmetic, rounds));
    printf("  peak memory                   %8.0f MiB %s (at most %d)\n", mib, bench_verdict(mib <= GOAL_DISTANCE_MIB),
           GOAL_DISTANCE_MIB);
    return true;
}

int main(int argc, char **argv)
{
    int rounds;
    bool quick;
    if (!bench_options(argc, argv, usage, MAX_ROUNDS, &quick, &rounds))
        return 2;
    if (quick)
        elements = 2000000;
    bool fine = bench_churn(rounds) && bench_make_directory(directory);
    if (fine) {
        fine = bench_distances(rounds);
        bench_remove_directory(directory);
    }
    bench_print_load();
    if (!fine)
        fputs("bench_study: failed; is there room for 5 GB in TMPDIR?\n", stderr);
    return fine ? 0 : 1;
}
