#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <capture/filter.h>
#include <scratch.h>
#include <varanalyze/capture.h>

static void chooses(const char *rules, vr_phase phase, const char *layer, vr_level level, uint32_t every)
{
    vr_filter filter;
    assert_int_equal(vr_filter_parse(&filter, VR_LEVEL_STATS, rules), VR_OK);
    const vr_filter_rule chosen = vr_filter_choose(&filter, phase, layer);
    vr_filter_free(&filter);
    assert_int_equal(chosen.level, level);
    assert_int_equal(chosen.every, every);
}

static void test_no_rules(void **state)
{
    (void)state;
    chooses(NULL, VR_FORWARD, "conv1", VR_LEVEL_STATS, 1);
    chooses("", VR_FORWARD, "conv1", VR_LEVEL_STATS, 1);
}

static void test_layers_are_globs(void **state)
{
    (void)state;
    chooses("conv*=full", VR_FORWARD, "conv1", VR_LEVEL_FULL, 1);
    chooses("conv*=full", VR_FORWARD, "conv", VR_LEVEL_FULL, 1);
    chooses("conv*=full", VR_FORWARD, "deconv", VR_LEVEL_STATS, 1);
    chooses("conv[12]=hash", VR_FORWARD, "conv2", VR_LEVEL_HASH, 1);
    chooses("conv?=hash", VR_FORWARD, "conv12", VR_LEVEL_STATS, 1);
    chooses("block*weight=hash", VR_FORWARD, "block/1/weight", VR_LEVEL_HASH, 1); /* '*' takes '/' */
}

static void test_first_rule_that_matches_decides(void **state)
{
    (void)state;
    chooses("conv1=hash,conv*=full,*=off", VR_FORWARD, "conv1", VR_LEVEL_HASH, 1);
    chooses("conv1=hash,conv*=full,*=off", VR_FORWARD, "conv2", VR_LEVEL_FULL, 1);
    chooses("conv1=hash,conv*=full,*=off", VR_FORWARD, "fc", VR_LEVEL_OFF, 1);
}

static void test_phases(void **state)
{
    (void)state;
    chooses("gradient:*=hash", VR_GRADIENT, "conv1", VR_LEVEL_HASH, 1);
    chooses("gradient:*=hash", VR_WEIGHT, "conv1", VR_LEVEL_STATS, 1);
    chooses("*:conv1=hash", VR_WEIGHT, "conv1", VR_LEVEL_HASH, 1);
}

static void test_intervals(void **state)
{
    (void)state;
    chooses("conv*=full/100", VR_FORWARD, "conv1", VR_LEVEL_FULL, 100);
    chooses("conv*=full/4294967295", VR_FORWARD, "conv1", VR_LEVEL_FULL, UINT32_MAX);
}

static void test_malformed_rules_are_refused(void **state)
{
    (void)state;
    static const char *const rules[] = {
        "conv",         "=full",         ",",
        "conv=full,",   "conv=fullest",  "conv=",
        "conv=full/0",  "conv=full/",    "conv=full/x",
        "conv=full/-",  "x:conv=full",   "conv=full/2x",
        "conv=/2",      "forward:=full", "conv=full/4294967296",
        "conv=full/-1", "a=hash, conv",  "conv=full/ 2",
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        vr_filter filter;
        const vr_status status = vr_filter_parse(&filter, VR_LEVEL_STATS, rules[i]);
        if (status != VR_ERROR_ARGUMENT)
            fail_msg("'%s' is taken", rules[i]);
        assert_null(filter.rules);
        vr_filter_free(&filter);
    }
}

/* Records layer "a" once in each of steps 0 to 12 with those rules; a bit for each step that has it. */
static unsigned steps_recorded(const char *rules)
{
    const char *path = scratch_path("filtered.h5");
    vr_run *run;
    vr_trace *trace;
    vr_trace_record record;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.trace = path;
    options.filter = rules;
    assert_int_equal(vr_run_open(&run, &options), VR_OK);
    for (int step = 0; step <= 12; step++) {
        const float value = (float)step;
        if (step > 0)
            vr_run_step(run, 0);
        assert_int_equal(vr_record(run, VR_FORWARD, "a", "t", VR_SCALAR(VR_F32, &value), NULL), VR_OK);
    }
    assert_int_equal(vr_run_close(run), VR_OK);
    assert_int_equal(vr_trace_open(&trace, path), VR_OK);
    unsigned steps = 0;
    for (uint64_t i = 0; i < vr_trace_get_info(trace)->record_count; i++) {
        assert_int_equal(vr_trace_read_records(trace, i, 1, &record), VR_OK);
        steps |= 1u << record.step;
    }
    vr_trace_close(trace);
    return steps;
}

static void test_interval_takes_its_multiples_and_the_setup(void **state)
{
    (void)state;
    assert_int_equal(steps_recorded("a=hash/5"), 1 << 0 | 1 << 5 | 1 << 10);
    assert_int_equal(steps_recorded("a=hash/100"), 1 << 0);
    assert_int_equal(steps_recorded("a=hash"), (1 << 13) - 1);
}

static void test_off_records_nothing(void **state)
{
    (void)state;
    assert_int_equal(steps_recorded("a=off"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_rules),
        cmocka_unit_test(test_layers_are_globs),
        cmocka_unit_test(test_first_rule_that_matches_decides),
        cmocka_unit_test(test_phases),
        cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_malformed_rules_are_refused),
        cmocka_unit_test(test_interval_takes_its_multiples_and_the_setup),
        cmocka_unit_test(test_off_records_nothing),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
