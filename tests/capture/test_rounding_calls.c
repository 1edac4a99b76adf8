/* A program compiled with -ffast-math, or with some of what it consists of: the functions come from the library, or the
 * option is turned off for them, and they give the same bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <varanalyze/rounding.h>

#if !defined(VR_ROUNDING_CALLS) && !defined(VR_ROUNDING_PRECISE)
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

/* Directed rounding to fewer bits adds and subtracts a large number, and divides by what stays the same. */
static void test_fewer_bits(void **state)
{
    (void)state;
    static float a[COUNT], b[COUNT], out[COUNT], one[COUNT];
    static double c[COUNT], d[COUNT], wide[COUNT], single[COUNT];
    for (uint32_t i = 0; i < COUNT; i++) {
        a[i] = (float)vr_stream_word(1, i), b[i] = 3;
        c[i] = (double)vr_stream_word64(2, i), d[i] = 7;
    }
    const vr_rounding fewer = {VR_ROUND_UP, 11, false, 0}, full = {VR_ROUND_UP, 0, false, 0};
    assert_int_equal(vr_round_array(&fewer, NULL, VR_DIV, VR_F32, out, a, b, NULL, COUNT), VR_OK);
    assert_int_equal(vr_round_array(&full, NULL, VR_DIV, VR_F64, wide, c, d, NULL, COUNT), VR_OK);
    for (int i = 0; i < COUNT; i++) {
        one[i] = vr_core_div_f32(VR_ROUND_UP, 11, a[i], 3, 0);
        single[i] = vr_core_div_f64(VR_ROUND_UP, 0, c[i], 7, 0);
    }
    assert_memory_equal(one, out, sizeof out);
    assert_memory_equal(single, wide, sizeof wide);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits), cmocka_unit_test(test_fewer_bits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
