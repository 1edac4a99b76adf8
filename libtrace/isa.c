#include "isa.h"

#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DECLARE(isa)                                                                                                   \
    vr_digest vr_digest_##isa(const void *bytes, size_t size);                                                         \
    void vr_stats_##isa(vr_stats *out, const void *elements, vr_dtype dtype, size_t n);                                \
    void vr_compare_##isa(vr_comparison *out, const void *a, const void *b, vr_dtype dtype, size_t n,                  \
                          const vr_tolerance *tolerance);                                                              \
    void vr_differ_##isa(vr_difference *out, const void *a, const void *b, vr_dtype dtype, size_t n,                   \
                         const vr_tolerance *tolerance);                                                               \
    void vr_project_##isa(double *sums, const void *elements, vr_dtype dtype, size_t n, uint32_t k, uint64_t key,      \
                          uint64_t block);
#define KERNELS(isa)                                                                                                   \
    {                                                                                                                  \
#isa, vr_digest_##isa, vr_stats_##isa, vr_compare_##isa, vr_differ_##isa, vr_project_##isa                     \
    }

DECLARE(baseline)

static bool has_baseline(void)
{
    return true;
}

#ifdef __x86_64__
#include <cpuid.h>

DECLARE(avx2)
DECLARE(avx512)

/* The features of x86-64-v3 and v4 (x86-64 psABI). Not every compiler's __builtin_cpu_supports knows those of v3 that
 * are asked of cpuid; that the system saves the registers follows from the others. */
static bool has_avx2(void)
{
    unsigned a, b, c = 0, d, extended = 0;
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") && __get_cpuid(1, &a, &b, &c, &d) && c & bit_F16C && c & bit_MOVBE &&
           __get_cpuid(0x80000001, &a, &b, &extended, &d) && extended & bit_LZCNT;
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}
#endif

/* From the worst to the best. */
static const struct {
    bool (*has)(void);
    vr_kernels kernels;
} known[] = {
    {has_baseline, KERNELS(baseline)},
#ifdef __x86_64__
    {has_avx2, KERNELS(avx2)},
    {has_avx512, KERNELS(avx512)},
#endif
};

#define KNOWN (sizeof known / sizeof *known)

const vr_kernels *vr_kernels_named(const char *name)
{
    for (size_t i = 0; i < KNOWN; i++)
        if (strcmp(known[i].kernels.name, name) == 0)
            return known[i].has() ? &known[i].kernels : NULL;
    return NULL;
}

static const vr_kernels *best;

static void choose(void)
{
    const char *wanted = getenv("VR_ISA");
    best = wanted ? vr_kernels_named(wanted) : NULL;
    for (size_t i = KNOWN; !best && i-- > 0;)
        if (known[i].has())
            best = &known[i].kernels;
}

const vr_kernels *vr_kernels_best(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, choose);
    return best;
}

const char *vr_isa_name(void)
{
    return vr_kernels_best()->name;
}

bool vr_isa_is_available(const char *name)
{
    return vr_kernels_named(name) != NULL;
}

/* Bytes from which threads save more than they cost: microseconds where they spin between parallel regions, more than a
 * small tensor takes where they sleep. */
#define PARALLEL_BYTES_SPINNING (256 << 10)
#define PARALLEL_BYTES_SLEEPING (4 << 20)

static uint64_t parallel_bytes = PARALLEL_BYTES_SPINNING;
static atomic_bool is_child;

static void note_child(void)
{
    is_child = true;
}

/* At load time, since the fork may come before the first tensor. */
__attribute__((constructor)) static void prepare(void)
{
    const char *policy = getenv("OMP_WAIT_POLICY");
    if (policy && strcasecmp(policy, "passive") == 0)
        parallel_bytes = PARALLEL_BYTES_SLEEPING;
    pthread_atfork(NULL, NULL, note_child);
}

void vr_allow_threads(void)
{
    is_child = false;
}

bool vr_worth_threads(uint64_t bytes)
{
    return bytes >= parallel_bytes && !is_child && omp_get_max_threads() > 1 && !omp_in_parallel();
}
