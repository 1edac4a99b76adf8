/* Kernels without memory: whichever allocation fails, the call does, with a message, and nothing is lost or overrun. */
#include "kernels_problem.h"

#include <formats/fail.h>
#include <stdatomic.h>

static atomic_int left = -1; /* allocations of the library until one fails; negative: none does */

static bool fails(void)
{
    return left >= 0 && atomic_fetch_sub(&left, 1) == 0;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

static problem problems[] = {PROBLEMS};

#define COUNT (sizeof problems / sizeof *problems)

enum { ROWS = 300, CHANNELS = 40 };

/* Batch normalization and softmax, numbered behind the problems. */
enum { NORMAL = COUNT, NORMAL_BACK, SOFT, SOFT_BACK, ALL };

static vr_status solve_any(size_t i, vr_math *math)
{
    static real x[ROWS * CHANNELS], out[ROWS * CHANNELS], dx[ROWS * CHANNELS];
    static real gamma[CHANNELS], mean[CHANNELS], inverse[CHANNELS], dgamma[CHANNELS], dbeta[CHANNELS];
    const vr_batchnorm shape = {ROWS, CHANNELS, 1e-5, 0.1};
    switch (i) {
    case NORMAL:
        return NAME(vr_batchnorm_forward)(math, out, mean, inverse, NULL, NULL, x, gamma, gamma, &shape);
    case NORMAL_BACK:
        return NAME(vr_batchnorm_backward)(math, dx, dgamma, dbeta, out, x, gamma, mean, inverse, &shape);
    case SOFT:
        return NAME(vr_softmax)(math, out, x, ROWS, CHANNELS);
    case SOFT_BACK:
        return NAME(vr_softmax_backward)(math, dx, x, out, ROWS, CHANNELS);
    default:
        return solve(&problems[i], math);
    }
}

static const char *name_of(size_t i)
{
    return i < COUNT ? problems[i].name : "normalization or softmax";
}

/* Fails each allocation in turn; how many there were. */
static int fail_each(size_t i, vr_order order)
{
    for (int number = 0;; number++) {
        vr_math math = {.order = order};
        vr_fail(VR_ERROR_ARGUMENT, "none yet");
        left = number;
        const vr_status status = solve_any(i, &math);
        const bool failed = left < 0;
        left = -1;
        if (!failed) {
            assert_int_equal(status, VR_OK);
            return number;
        }
        if (status != VR_ERROR_MEMORY || !strstr(vr_error(), "no memory"))
            fail_msg("%s, %s: allocation %d failed, and the status was %d: %s", name_of(i), vr_order_name(order),
                     number, status, vr_error());
    }
}

static void test_every_allocation(void **state)
{
    (void)state;
    int total = 0;
    for (size_t i = 0; i < COUNT; i++)
        make_problem(&problems[i], 100 + i, EVEN);
    for (int threads = 1; threads <= 3; threads += 2)
        for (size_t i = 0; i < ALL; i++)
            for (int order = 0; order < VR_ORDERS; order++) {
                omp_set_num_threads(threads);
                total += fail_each(i, (vr_order)order);
            }
    assert_true(total > 500); /* else not all were seen */
    for (size_t i = 0; i < COUNT; i++)
        free_problem(&problems[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
