/* What a run and its environment make of the kernels, and what the trace then says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <scratch.h>
#include <varanalyze/kernels.h>
#include <varanalyze/random.h>

static int clear(void **state)
{
    (void)state;
    scratch_clear_environment();
    return 0;
}

static vr_run *open_at(const char *path)
{
    vr_run *run;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.trace = path;
    if (vr_run_open(&run, &options) != VR_OK)
        fail_msg("%s", vr_error());
    return run;
}

/* What the trace says of its run; the caller's to release. */
static json_t *close_and_read(vr_run *run, const char *path)
{
    vr_trace *trace;
    assert_int_equal(vr_run_close(run), VR_OK);
    if (vr_trace_open(&trace, path) != VR_OK)
        fail_msg("%s", vr_error());
    json_t *what = json_loads(vr_trace_get_info(trace)->run, 0, NULL);
    vr_trace_close(trace);
    assert_non_null(what);
    return what;
}

static void test_default(void **state)
{
    (void)state;
    const char *path = scratch_path("default.h5");
    vr_run *run = open_at(path);
    vr_math math;
    assert_int_equal(vr_math_read(&math, run), VR_OK);
    assert_int_equal(math.order, VR_ORDER_FIXED);
    assert_int_equal(math.rounding.mode, VR_ROUND_NEAREST);
    assert_int_equal(math.rounding.precision, 0);
    assert_int_equal(math.calls, 0);
    json_t *what = close_and_read(run, path);
    assert_int_equal(json_object_size(json_object_get(what, "seeds")), 0);
    assert_null(json_object_get(what, "rounding_precision"));
    assert_null(json_object_get(what, "rounding_bits"));
    json_decref(what);
}

static void test_environment(void **state)
{
    (void)state;
    const char *path = scratch_path("environment.h5");
    setenv("VR_KERNELS", "shuffled", 1);
    setenv("VR_ROUNDING", "sr", 1);
    setenv("VR_ROUNDING_PRECISION", "11", 1);
    setenv("VR_ROUNDING_BITS", "operands", 1);
    setenv("VR_SEED", "3", 1);
    vr_run *run = open_at(path);
    vr_math math;
    assert_int_equal(vr_math_read(&math, run), VR_OK);
    assert_int_equal(math.order, VR_ORDER_SHUFFLED);
    assert_int_equal(math.rounding.mode, VR_ROUND_SR);
    assert_int_equal(math.rounding.precision, 11);
    assert_true(math.rounding.operands);
    assert_true(math.order_key == vr_derive_seed(3, "kernels"));
    assert_true(math.rounding.key == vr_derive_seed(3, "rounding"));
    json_t *what = close_and_read(run, path);
    assert_int_equal(json_object_size(json_object_get(what, "seeds")), 2);
    assert_int_equal(json_integer_value(json_object_get(what, "rounding_precision")), 11);
    assert_string_equal(json_string_value(json_object_get(what, "rounding_bits")), "operands");
    json_decref(what);
}

/* The run's own word goes before the environment's; without a run, the environment and seed 1 it is. */
static void test_options_and_no_run(void **state)
{
    (void)state;
    vr_run *run;
    vr_math math;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.trace = "";
    options.kernels = "exact";
    options.rounding = "down";
    setenv("VR_KERNELS", "threads", 1);
    setenv("VR_ROUNDING", "ud", 1);
    assert_int_equal(vr_run_open(&run, &options), VR_OK);
    assert_int_equal(vr_math_read(&math, run), VR_OK);
    assert_int_equal(math.order, VR_ORDER_EXACT);
    assert_int_equal(math.rounding.mode, VR_ROUND_DOWN);
    vr_run_close(run);
    assert_int_equal(vr_math_read(&math, NULL), VR_OK);
    assert_int_equal(math.order, VR_ORDER_THREADS);
    assert_int_equal(math.rounding.mode, VR_ROUND_UD);
    assert_true(math.rounding.key == vr_derive_seed(1, "rounding"));
}

static void test_unknown_words(void **state)
{
    (void)state;
    static const char *const wrong[][3] = {
        {"VR_KERNELS", "quick", "VR_KERNELS=quick: one of fixed, threads, atomic, shuffled, exact"},
        {"VR_ROUNDING", "random", "VR_ROUNDING=random: one of nearest, sr, ud, up, down, zero, rr, pb, mca"},
        {"VR_ROUNDING_PRECISION", "54", "VR_ROUNDING_PRECISION=54: not a number of bits from 1 to 53"},
        {"VR_ROUNDING_PRECISION", "8x", "VR_ROUNDING_PRECISION=8x: not a number"},
        {"VR_ROUNDING_PRECISION", "0", "VR_ROUNDING_PRECISION=0: not a number"},
        {"VR_ROUNDING_BITS", "some", "VR_ROUNDING_BITS=some: one of stream, operands"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        vr_math math = {.order = VR_ORDER_EXACT};
        clear(NULL);
        setenv(wrong[i][0], wrong[i][1], 1);
        assert_int_equal(vr_math_read(&math, NULL), VR_ERROR_ARGUMENT);
        assert_message(wrong[i][2]);
        assert_int_equal(math.order, VR_ORDER_FIXED);
    }
}

static void test_names(void **state)
{
    (void)state;
    for (int i = 0; i < VR_ORDERS; i++) {
        vr_order order = VR_ORDER_FIXED;
        assert_int_equal(vr_order_parse(&order, vr_order_name((vr_order)i)), VR_OK);
        assert_int_equal(order, i);
    }
    vr_order order;
    assert_int_equal(vr_order_parse(&order, "Fixed"), VR_ERROR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_default, clear),
        cmocka_unit_test_setup(test_environment, clear),
        cmocka_unit_test_setup(test_options_and_no_run, clear),
        cmocka_unit_test_setup(test_unknown_words, clear),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
