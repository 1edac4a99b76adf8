/* isa.h - the kernels, compiled once for each instruction set and chosen at run time in one place.
 *
 * Every instruction set gives the same bits. VR_ISA=baseline|avx2|avx512 in the environment holds the choice down to
 * one the machine has; anything else is ignored.
 */
#ifndef VR_ISA_H
#define VR_ISA_H

#include <fenv.h>
#include <varanalyze/compare.h>
#include <varanalyze/digest.h>
#include <varanalyze/projection.h>

#ifdef __SSE2__
#include <xmmintrin.h>
#endif

typedef struct vr_kernels {
    const char *name;
    /* XXH3-128, seed 0. */
    vr_digest (*digest)(const void *bytes, size_t size);
    /* Statistics of one chunk: n contiguous elements, at most VR_CHUNK_BYTES of them in bytes; all but l2. */
    void (*stats)(vr_stats *out, const void *elements, vr_dtype dtype, size_t n);
    /* Comparison of one chunk: n contiguous elements of each, at most VR_CHUNK_BYTES; `tolerance` is not NULL. The sums
     * are left for vr_compare to finish: means and diff_l2, a_l2, b_l2 without division or root, cosine as sum(a b). */
    void (*compare)(vr_comparison *out, const void *a, const void *b, vr_dtype dtype, size_t n,
                    const vr_tolerance *tolerance);
    /* vr_differ; `tolerance` is not NULL. */
    void (*differ)(vr_difference *out, const void *a, const void *b, vr_dtype dtype, size_t n,
                   const vr_tolerance *tolerance);
    /* Adds n contiguous elements, the first of block `block`, to the k sums of a projection (projection.h). */
    void (*project)(double *sums, const void *elements, vr_dtype dtype, size_t n, uint32_t k, uint64_t key,
                    uint64_t block);
} vr_kernels;

/* The best kernels this machine runs, decided at the first call. */
const vr_kernels *vr_kernels_best(void);

/* The kernels of a name, NULL when the machine or the build has none: for tests and benchmarks. */
const vr_kernels *vr_kernels_named(const char *name);

/* The name of the best kernels, and whether there are kernels of a name here: for other libraries' kernels. */
VR_API const char *vr_isa_name(void);
VR_API bool vr_isa_is_available(const char *name);

/* Whether so many bytes are worth a parallel region here: not for few, not within one, and never in a forked child,
 * whose OpenMP threads stayed with the parent: it would wait for them forever. */
VR_API bool vr_worth_threads(uint64_t bytes);

/* Called in a forked child by one that knows that its parent never ran a parallel region: this child may. */
VR_API void vr_allow_threads(void);

/* The caller may have other ideas about rounding, subnormals and traps; what is measured has none. Every thread enters
 * the default floating-point environment and leaves it again. */
#ifdef __SSE2__
typedef unsigned vr_float_env; /* all arithmetic is SSE's; fegetenv would save the x87 as well, which takes longer than
                                  a small tensor */

static inline vr_float_env vr_float_enter(void)
{
    const vr_float_env outer = _mm_getcsr();
    _mm_setcsr(0x1f80);
    return outer;
}

static inline void vr_float_leave(vr_float_env outer)
{
    _mm_setcsr(outer);
}
#else
typedef fenv_t vr_float_env;

static inline vr_float_env vr_float_enter(void)
{
    vr_float_env outer;
    fegetenv(&outer);
    fesetenv(FE_DFL_ENV);
    return outer;
}

static inline void vr_float_leave(vr_float_env outer)
{
    fesetenv(&outer);
}
#endif

#endif
