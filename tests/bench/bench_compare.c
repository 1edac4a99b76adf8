/* bench_compare: vr_compare of two tensors of 256 MiB in GB/s of both inputs together, beside two limits on the same
 * bytes: memcmp, and a sum of |a - b| over doubles. The medians of rounds that take every measurement in turn.
 *
 *     OMP_WAIT_POLICY=passive bench_compare [rounds]
 */
#include <varanalyze/compare.h>
#include <varanalyze/random.h>

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BYTES      ((size_t)256 << 20)
#define MAX_ROUNDS 101

enum { EQUAL, SPARSE, DIFFERENT, PATTERNS };
enum { MEMCMP, PLAIN_SUM, ONE_THREAD, TWO_THREADS, COLUMNS };

static volatile double sink; /* keeps what is measured */

static const char *const pattern_names[PATTERNS] = {"equal", "1% one ulp off", "all differ"};
static const vr_dtype dtypes[] = {VR_F64, VR_F32, VR_BF16};
#define DTYPES (sizeof dtypes / sizeof *dtypes)

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* Values of about a normal distribution's size; one ULP off is one more in the code. */
static void fill(char *a, char *b, vr_dtype dtype, int pattern)
{
    const size_t size = vr_dtype_size(dtype), n = BYTES / size;
    vr_random random = vr_random_stream(vr_derive_seed(1, "bench_compare"), (uint64_t)pattern);
    for (size_t i = 0; i < n; i++) {
        const double x = 4 * vr_random_uniform(&random) - 2;
        const double y = pattern == DIFFERENT ? x * (1 + 1e-2 * (1 + vr_random_uniform(&random))) : x;
        vr_from_f64(a + i * size, dtype, &x, 1);
        vr_from_f64(b + i * size, dtype, &y, 1);
        if (pattern == SPARSE && vr_random_below(&random, 100) == 0)
            b[i * size] ^= 1;
    }
}

static double plain_sum(const double *a, const double *b, size_t n)
{
    double lanes[16] = {0};
    for (size_t i = 0; i < n; i += 16)
        for (size_t l = 0; l < 16; l++)
            lanes[l] += fabs(a[i + l] - b[i + l]);
    double sum = 0;
    for (size_t l = 0; l < 16; l++)
        sum += lanes[l];
    return sum;
}

/* Takes one measurement. memcmp would stop at the first difference: it compares `a` with its copy. */
static double measure(int column, const char *a, const char *b, const char *copy, vr_dtype dtype)
{
    const vr_tensor x = VR_TENSOR(dtype, a, (int64_t)(BYTES / vr_dtype_size(dtype)));
    const vr_tensor y = VR_TENSOR(dtype, b, (int64_t)(BYTES / vr_dtype_size(dtype)));
    vr_comparison result;
    omp_set_num_threads(column == TWO_THREADS ? 2 : 1);
    const double start = seconds();
    if (column == MEMCMP)
        sink = memcmp(a, copy, BYTES);
    else if (column == PLAIN_SUM)
        sink = plain_sum((const double *)a, (const double *)b, BYTES / sizeof(double));
    else if (vr_compare(&result, &x, &y, NULL) != VR_OK)
        exit(1);
    else
        sink = result.mean_abs;
    return seconds() - start;
}

int main(int argc, char **argv)
{
    const int rounds = argc > 1 ? atoi(argv[1]) : 11;
    char *a = aligned_alloc(4096, BYTES), *b = aligned_alloc(4096, BYTES), *copy = aligned_alloc(4096, BYTES);
    if (!a || !b || !copy || rounds < 1 || rounds > MAX_ROUNDS)
        return 1;
    printf("two tensors of 256 MiB, GB/s of both, median of %d\n", rounds);
    printf("%-6s %-16s %10s %10s %10s %10s\n", "type", "b is", "memcmp", "sum|a-b|", "1 thread", "2 threads");
    for (size_t t = 0; t < DTYPES; t++)
        for (int pattern = 0; pattern < PATTERNS; pattern++) {
            double taken[COLUMNS][MAX_ROUNDS];
            fill(a, b, dtypes[t], pattern);
            memcpy(copy, a, BYTES);
            for (int round = -1; round < rounds; round++) /* the first only warms up */
                for (int column = 0; column < COLUMNS; column++)
                    taken[column][round < 0 ? 0 : round] = measure(column, a, b, copy, dtypes[t]);
            printf("%-6s %-16s", vr_dtype_name(dtypes[t]), pattern_names[pattern]);
            for (int column = 0; column < COLUMNS; column++)
                printf(" %10.1f", 2e-9 * (double)BYTES / median(taken[column], rounds));
            printf("\n");
            fflush(stdout);
        }
    free(a);
    free(b);
    free(copy);
    return 0;
}
