/* A program compiled with -ffast-math: the functions come from the library, and give the same bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <varanalyze/rounding.h>

#ifndef VR_ROUNDING_CALLS
#error "inlined in spite of -ffast-math"
#endif

#define COUNT 2000

static void test_same_bits(void **state)
{
    (void)state;
    static float a[COUNT], b[COUNT], out[COUNT], one[COUNT];
    static double c[COUNT], wide[COUNT], single[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        a[i] = (float)vr_stream_word(1, i) * 1e-30f;
        b[i] = (float)vr_stream_word(2, i) * 1e-28f;
        c[i] = (double)vr_stream_word64(2, i) * 1e-300;
    }
    const vr_rounding r = {VR_ROUND_SR, 0, false, 0};
    vr_stream s = vr_stream_at(4, 4), t = s;
    vr_sr_add_f32(a, b, out, COUNT, &s);
    vr_sr_mul_f64(c, c, wide, COUNT, &s);
    for (int i = 0; i < COUNT; i++)
        one[i] = vr_round_add_f32(&r, &t, a[i], b[i]);
    for (int i = 0; i < COUNT; i++)
        single[i] = vr_round_mul_f64(&r, &t, c[i], c[i]);
    assert_memory_equal(one, out, sizeof out);
    assert_memory_equal(single, wide, sizeof wide);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
