/* What vr_differ says stands in a vr_comparison too, which test_compare.c holds against an oracle of its own. */
#include "isa.h"
#include "patterns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fenv.h>

#define MAX_BYTES 300000

static char first_buffer[MAX_BYTES + 64], second_buffer[MAX_BYTES + 64];

/* max_abs and max_rel are over all pairs in both: equal ones add nothing. */
static void assert_agrees(const vr_difference *d, const void *a, const void *b, vr_dtype dtype, size_t n,
                          const vr_tolerance *tolerance)
{
    const vr_tensor x = vr_tensor_of(dtype, a, 1, (int64_t[]){(int64_t)n});
    const vr_tensor y = vr_tensor_of(dtype, b, 1, (int64_t[]){(int64_t)n});
    vr_comparison c;
    assert_int_equal(vr_compare(&c, &x, &y, tolerance), VR_OK);
    assert_int_equal(d->count, c.count);
    assert_int_equal(d->unequal, c.count - c.equal);
    assert_int_equal(d->different, c.count - c.within);
    assert_int_equal(d->first, c.first);
    assert_int_equal(d->nan_mismatch, c.nan_mismatch);
    assert_int_equal(d->max_ulp, c.max_ulp);
    assert_memory_equal(&d->max_abs, &c.max_abs, sizeof c.max_abs);
    assert_memory_equal(&d->max_rel, &c.max_rel, sizeof c.max_rel);
}

static void test_agrees_with_compare(void **state)
{
    (void)state;
    static const char *const names[] = {"baseline", "avx2", "avx512"};
    static const size_t sizes[] = {0, 1, 7, 127, 128, 1023, 1024, 1025, 5000, 37000};
    for (vr_dtype dtype = VR_F64; dtype <= VR_DTYPE_LAST; dtype++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (enum pattern pattern = EQUAL; pattern < PATTERNS; pattern++) {
                /* From an odd address on, as the contents of a file may lie. */
                char *a = first_buffer + 3, *b = second_buffer + 1;
                fill(a, b, dtype, sizes[s], pattern);
                for (size_t t = 0; t < TOLERANCES; t++)
                    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
                        const vr_kernels *kernels = vr_kernels_named(names[k]);
                        if (!kernels)
                            continue;
                        vr_difference d;
                        kernels->differ(&d, a, b, dtype, sizes[s], &tolerances[t]);
                        assert_agrees(&d, a, b, dtype, sizes[s], &tolerances[t]);
                    }
            }
}

static void test_one_difference_anywhere(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 2100; n += 349)
        for (size_t at = 0; at < n; at++) {
            vr_difference d;
            memset(first_buffer, 0x3f, n * sizeof(float));
            memset(second_buffer, 0x3f, n * sizeof(float));
            second_buffer[at * sizeof(float)] ^= 1;
            assert_int_equal(vr_differ(&d, first_buffer, second_buffer, VR_F32, n, NULL), VR_OK);
            assert_int_equal(d.unequal, 1);
            assert_int_equal(d.first, at);
            assert_int_equal(d.max_ulp, 1);
        }
}

/* The caller's rounding, and its wish to flush subnormals, are not the comparison's. */
static void test_any_floating_point_environment(void **state)
{
    (void)state;
    const double a = 0x1p-1074, b = 0;
    vr_difference d;
    fesetround(FE_UPWARD);
#ifdef __SSE2__
    const unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | 0x8040);
#endif
    assert_int_equal(vr_differ(&d, &a, &b, VR_F64, 1, NULL), VR_OK);
#ifdef __SSE2__
    _mm_setcsr(mode);
#endif
    fesetround(FE_TONEAREST);
    assert_true(d.max_abs == 0x1p-1074);
    assert_int_equal(d.max_ulp, 1);
}

static void test_no_element_type(void **state)
{
    (void)state;
    vr_difference d;
    assert_int_equal(vr_differ(&d, "", "", (vr_dtype)99, 0, NULL), VR_ERROR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_compare),
        cmocka_unit_test(test_one_difference_anywhere),
        cmocka_unit_test(test_any_floating_point_environment),
        cmocka_unit_test(test_no_element_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
