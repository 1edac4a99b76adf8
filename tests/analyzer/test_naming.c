/* What the name of an input means, by capture.h, and what a trace's values tell of a finding. */
#include "scene.h"

#include <diff.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A line of a run: a step begins (no layer), or a record is made, of one value in each run. */
typedef struct line {
    vr_phase phase;
    const char *layer, *name;
    double value[2];
    const char *inputs[3];
} line;

#define STEP                                                                                                           \
    {                                                                                                                  \
        0, NULL, NULL, {0},                                                                                            \
        {                                                                                                              \
            NULL                                                                                                       \
        }                                                                                                              \
    }

static const line *lines;
static size_t line_count;

static void tell_lines(vr_run *run, int side)
{
    for (size_t i = 0; i < line_count; i++) {
        const line *l = &lines[i];
        size_t inputs = 0;
        while (inputs < 3 && l->inputs[inputs])
            inputs++;
        if (!l->layer)
            assert_int_equal(vr_run_step(run, 0), VR_OK);
        else
            assert_int_equal(vr_record_inputs(run, l->phase, l->layer, l->name, VR_SCALAR(VR_F64, &l->value[side]),
                                              l->inputs, inputs),
                             VR_OK);
    }
}

/* The class of the last record that differs; `missing` is the input of its finding that was not there. */
static va_class class_of_last(const line *of, size_t count, char *missing)
{
    va_diff *diff;
    va_diff_options options = VA_DIFF_OPTIONS_INIT;
    options.all = true;
    lines = of;
    line_count = count;
    vr_trace *a = scene_tell("stats", tell_lines, 0), *b = scene_tell("stats", tell_lines, 1);
    assert_int_equal(va_diff_run(&diff, a, b, &options), VR_OK);
    assert_true(diff->difference_count > 0);
    const va_difference *last = &diff->differences[diff->difference_count - 1];
    const va_class class = last->class;
    *missing = 0;
    for (size_t i = 0; i < diff->finding_count; i++)
        if (diff->findings[i].entity == last->entity && diff->findings[i].missing)
            strcpy(missing, diff->findings[i].missing);
    va_diff_free(diff);
    vr_trace_close(a);
    vr_trace_close(b);
    return class;
}

#define assert_last(class, gap, ...)                                                                                   \
    do {                                                                                                               \
        const line all[] = {__VA_ARGS__};                                                                              \
        char missing[64];                                                                                              \
        assert_int_equal(class_of_last(all, sizeof all / sizeof *all, missing), class);                                \
        assert_string_equal(missing, gap);                                                                             \
    } while (0)

#define EQUAL                                                                                                          \
    {                                                                                                                  \
        1, 1                                                                                                           \
    }
#define DIFFER                                                                                                         \
    {                                                                                                                  \
        1, 2                                                                                                           \
    }

static void test_phases(void **state)
{
    (void)state;
    /* Without a phase: the latest record of that layer and name, whatever its phase. */
    assert_last(VA_ORIGIN, "", STEP, {VR_FORWARD, "a", "x", DIFFER, {"seed:s"}}, {VR_BACKWARD, "a", "x", EQUAL, {NULL}},
                {VR_FORWARD, "b", "x", DIFFER, {"a/x"}});
    assert_last(VA_PROPAGATED, "", STEP, {VR_FORWARD, "a", "x", EQUAL, {NULL}}, {VR_BACKWARD, "a", "x", DIFFER, {NULL}},
                {VR_FORWARD, "b", "x", DIFFER, {"a/x"}});
    /* With one: of that phase. */
    assert_last(VA_PROPAGATED, "", STEP, {VR_FORWARD, "a", "x", DIFFER, {NULL}}, {VR_BACKWARD, "a", "x", EQUAL, {NULL}},
                {VR_FORWARD, "b", "x", DIFFER, {"forward:a/x"}});
    assert_last(VA_UNEXPLAINED, "gradient:a/x", STEP, {VR_FORWARD, "a", "x", EQUAL, {NULL}},
                {VR_FORWARD, "b", "x", DIFFER, {"gradient:a/x"}});
    /* A layer may contain slashes, and colons. */
    assert_last(VA_ORIGIN, "", STEP, {VR_FORWARD, "net/a:1", "x", EQUAL, {NULL}},
                {VR_FORWARD, "b", "x", DIFFER, {"net/a:1/x"}});
    assert_last(VA_ORIGIN, "", STEP, {VR_FORWARD, "net/a", "x", EQUAL, {NULL}},
                {VR_FORWARD, "b", "x", DIFFER, {"forward:net/a/x"}});
}

static void test_latest(void **state)
{
    (void)state;
    /* The latest before this one, not one after it. */
    assert_last(VA_ORIGIN, "", STEP, {VR_FORWARD, "a", "x", DIFFER, {NULL}}, {VR_FORWARD, "a", "x", EQUAL, {NULL}},
                {VR_FORWARD, "b", "x", DIFFER, {"a/x"}});
    assert_last(VA_PROPAGATED, "", STEP, {VR_FORWARD, "a", "x", EQUAL, {NULL}}, {VR_FORWARD, "a", "x", DIFFER, {NULL}},
                {VR_FORWARD, "b", "x", DIFFER, {"a/x"}});
    assert_last(VA_UNEXPLAINED, "a/x", STEP, {VR_FORWARD, "b", "x", DIFFER, {"a/x"}},
                {VR_FORWARD, "a", "x", EQUAL, {NULL}});
    /* Any input that differs carries the difference on, though another was not recorded. */
    assert_last(VA_PROPAGATED, "", STEP, {VR_FORWARD, "a", "x", DIFFER, {NULL}},
                {VR_FORWARD, "b", "x", DIFFER, {"c/x", "a/x"}});
}

static void test_steps(void **state)
{
    (void)state;
    /* Only weights and optimizer state carry over, and from the step just before. */
    static const struct {
        vr_phase phase;
        bool carries;
    } phases[] = {{VR_INPUT, false}, {VR_FORWARD, false},  {VR_BACKWARD, false}, {VR_GRADIENT, false},
                  {VR_WEIGHT, true}, {VR_OPTIMIZER, true}, {VR_METRIC, false},   {VR_EVALUATION, false}};
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
        const vr_phase phase = phases[i].phase;
        assert_last(phases[i].carries ? VA_ORIGIN : VA_UNEXPLAINED, phases[i].carries ? "" : "a/x", STEP,
                    {phase, "a", "x", EQUAL, {NULL}}, STEP, {VR_FORWARD, "b", "x", DIFFER, {"a/x"}});
        assert_last(VA_UNEXPLAINED, "a/x", STEP, {phase, "a", "x", EQUAL, {NULL}}, STEP, STEP,
                    {VR_FORWARD, "b", "x", DIFFER, {"a/x"}});
    }
    /* The setup is the step before the first. */
    assert_last(VA_ORIGIN, "", {VR_WEIGHT, "a", "x", EQUAL, {NULL}}, STEP, {VR_FORWARD, "b", "x", DIFFER, {"a/x"}});
    assert_last(VA_PROPAGATED, "", {VR_WEIGHT, "a", "x", DIFFER, {NULL}}, STEP,
                {VR_FORWARD, "b", "x", DIFFER, {"a/x"}});
    /* Not a record of its own name in its own step, but the one before. */
    assert_last(VA_ORIGIN, "", STEP, {VR_WEIGHT, "a", "x", EQUAL, {NULL}}, STEP,
                {VR_WEIGHT, "a", "x", DIFFER, {"a/x"}});
}

static void test_sources(void **state)
{
    (void)state;
    /* What comes in from outside needs no inputs; anything else without is unexplained. */
    assert_last(VA_ORIGIN, "", {VR_WEIGHT, "a", "x", DIFFER, {NULL}});
    assert_last(VA_ORIGIN, "", {VR_OPTIMIZER, "a", "x", DIFFER, {NULL}});
    assert_last(VA_UNEXPLAINED, "", {VR_FORWARD, "a", "x", DIFFER, {NULL}});
    assert_last(VA_ORIGIN, "", STEP, {VR_INPUT, "a", "x", DIFFER, {NULL}});
    assert_last(VA_UNEXPLAINED, "", STEP, {VR_WEIGHT, "a", "x", DIFFER, {NULL}});
    /* A seed that neither run drew is not known to be the same. */
    assert_last(VA_UNEXPLAINED, "seed:s", {VR_WEIGHT, "a", "x", DIFFER, {"seed:s"}});
}

/* ---- what values, chunks and statistics tell ---- */

enum { LARGE = 40000 }; /* f32: three chunks */

static void tell_large(vr_run *run, int side)
{
    float *values = calloc(LARGE, sizeof *values);
    values[20000] = side ? 1.5f : 1.0f;
    vr_record(run, VR_WEIGHT, "a", "x", VR_TENSOR(VR_F32, values, LARGE / 100, 100), NULL);
    free(values);
}

static void test_evidence(void **state)
{
    (void)state;
    static const struct {
        const char *level, *evidence;
    } cases[] = {{"stats", "largest magnitude 1 and 1.5"},
                 {"chunks", "1 of 3 chunks differ, first elements 16384 to 32767"},
                 {"full", "1 of 40000 elements differ, max |a-b| 0.5, max 4194304 ulp, first at [200,0] (1 and 1.5): "
                          "one bit, number 22"}};
    const va_diff_options options = VA_DIFF_OPTIONS_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        va_diff *diff;
        vr_trace *a = scene_tell(cases[i].level, tell_large, 0), *b = scene_tell(cases[i].level, tell_large, 1);
        assert_int_equal(va_diff_run(&diff, a, b, &options), VR_OK);
        assert_string_equal(diff->findings[0].evidence, cases[i].evidence);
        va_diff_free(diff);
        vr_trace_close(a);
        vr_trace_close(b);
    }
}

static double numbers[2][2];

static void tell_numbers(vr_run *run, int side)
{
    vr_record(run, VR_WEIGHT, "a", "x", VR_TENSOR(VR_F64, numbers[side], 2), NULL);
}

static va_distance distance_at(const char *level)
{
    va_diff *diff;
    va_diff_options options = VA_DIFF_OPTIONS_INIT;
    options.all = true;
    vr_trace *a = scene_tell(level, tell_numbers, 0), *b = scene_tell(level, tell_numbers, 1);
    assert_int_equal(va_diff_run(&diff, a, b, &options), VR_OK);
    const va_distance out = diff->differences[0].distance;
    json_t *json = va_diff_json(diff);
    assert_non_null(json_object_get(json_array_get(json_object_get(json, "differences"), 0), "distance"));
    json_decref(json);
    va_diff_free(diff);
    vr_trace_close(a);
    vr_trace_close(b);
    return out;
}

static void set_numbers(double a0, double a1, double b0, double b1)
{
    numbers[0][0] = a0;
    numbers[0][1] = a1;
    numbers[1][0] = b0;
    numbers[1][1] = b1;
}

/* ||(3,4) - (3,0)|| / ||(3,4)|| = 4/5; from mean and spread: sqrt(2 (3.5-1.5)^2 + (sqrt(0.5)-sqrt(4.5))^2) / 5 =
 * sqrt(10)/5. */
static void test_distance(void **state)
{
    (void)state;
    set_numbers(3, 4, 3, 0);
    va_distance d = distance_at("full");
    assert_true(d.exact);
    assert_float_equal(d.relative, 0.8, 1e-15);
    d = distance_at("stats");
    assert_false(d.exact);
    assert_float_equal(d.relative, sqrt(10) / 5, 1e-15);
    d = distance_at("hash");
    assert_true(d.relative < 0);
    set_numbers(0, 0, -0.0, 0);
    assert_float_equal(distance_at("full").relative, 0, 0);
    set_numbers(INFINITY, 1, 2, 1);
    assert_true(isinf(distance_at("stats").relative));
    assert_true(isinf(distance_at("full").relative));
}

/* Values whose squares are too large for a double: no distance, rather than one that is no number. */
static void test_overflow(void **state)
{
    (void)state;
    set_numbers(1e200, -1e200, 2e200, 1);
    assert_true(distance_at("stats").relative < 0);
    assert_true(distance_at("full").relative < 0);
}

/* ---- a step larger than a batch ---- */

enum { MANY = 9000, WHERE = 5000, ALONE = 10 };

static bool out_of_step;

static void tell_many(vr_run *run, int side)
{
    vr_run_step(run, 0);
    for (int i = 0; i < MANY; i++) {
        const double value = side && i == WHERE ? -1 : i;
        char layer[16], input[16];
        snprintf(layer, sizeof layer, "%d", i);
        snprintf(input, sizeof input, "%d/x", i - 1);
        const char *const inputs[] = {input};
        if (!(out_of_step && side && i == ALONE))
            vr_record_inputs(run, VR_FORWARD, layer, "x", VR_SCALAR(VR_F64, &value), inputs, i > 0);
    }
}

static void test_many(void **state)
{
    (void)state;
    const va_diff_options options = VA_DIFF_OPTIONS_INIT;
    for (int i = 0; i < 2; i++) {
        va_diff *diff;
        out_of_step = i;
        vr_trace *a = scene_tell("hash", tell_many, 0), *b = scene_tell("hash", tell_many, 1);
        assert_int_equal(va_diff_run(&diff, a, b, &options), VR_OK);
        assert_int_equal(diff->compared, MANY - i);
        assert_int_equal(diff->different, 1);
        assert_int_equal(diff->origins, 1);
        assert_string_equal(diff->entities[diff->findings[0].entity].layer, "5000");
        assert_int_equal(diff->one_sided[0], i);
        assert_int_equal(diff->one_sided[1], 0);
        assert_int_equal(diff->steps[0], 2);
        va_diff_free(diff);
        vr_trace_close(a);
        vr_trace_close(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phases),   cmocka_unit_test(test_latest),   cmocka_unit_test(test_steps),
        cmocka_unit_test(test_sources),  cmocka_unit_test(test_evidence), cmocka_unit_test(test_distance),
        cmocka_unit_test(test_overflow), cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
