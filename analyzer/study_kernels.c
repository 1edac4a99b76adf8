#include "study_kernels.h"

#include <isa.h>
#include <string.h>

#define DECLARE(isa)                                                                                                   \
    uint64_t va_differ_##isa(const void *a, const void *b, size_t width, size_t n);                                    \
    uint64_t va_both_##isa(const uint64_t *a, const uint64_t *b, size_t words);                                        \
    void va_distances_##isa(double *squared, double *norm2, const double *rows, int replicas);                         \
    void va_widen_##isa(double *out, const void *from, vr_dtype dtype, size_t n);
#define KERNELS(isa)                                                                                                   \
    {                                                                                                                  \
#isa, va_differ_##isa, va_both_##isa, va_distances_##isa, va_widen_##isa                                       \
    }

DECLARE(baseline)
#ifdef __x86_64__
DECLARE(avx2)
DECLARE(avx512)
#endif

static const va_study_kernels known[] = {
    KERNELS(baseline),
#ifdef __x86_64__
    KERNELS(avx2),
    KERNELS(avx512),
#endif
};

const va_study_kernels *va_study_kernels_named(const char *name)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0)
            return vr_isa_is_available(name) ? &known[i] : NULL;
    return NULL;
}

const va_study_kernels *va_study_kernels_best(void)
{
    const va_study_kernels *best = va_study_kernels_named(vr_isa_name());
    return best ? best : &known[0];
}
