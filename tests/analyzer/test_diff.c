#include "scene.h"

#include <diff.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define POKE(...) .poke = {.what = "forward:relu/out", .step = 3, .index = 5, __VA_ARGS__}
#define FLIP(...) POKE(.flip = 1u << 20, __VA_ARGS__)

/* Two traces and what diff makes of them. */
typedef struct pair {
    vr_trace *trace[2];
    va_diff *diff;
} pair;

static pair compare(vr_trace *a, vr_trace *b, const va_diff_options *options)
{
    static const va_diff_options defaults = VA_DIFF_OPTIONS_INIT;
    pair out = {{a, b}, NULL};
    assert_int_equal(va_diff_run(&out.diff, a, b, options ? options : &defaults), VR_OK);
    return out;
}

static pair compare_scenes(const scene *a, const scene *b, const va_diff_options *options)
{
    return compare(scene_open(a), scene_open(b), options);
}

static void done(pair *p)
{
    va_diff_free(p->diff);
    vr_trace_close(p->trace[0]);
    vr_trace_close(p->trace[1]);
}

static void assert_entity(const va_diff *d, uint32_t entity, const char *expected)
{
    char text[64];
    const va_entity *e = &d->entities[entity];
    snprintf(text, sizeof text, "%s:%s/%s", vr_phase_name(e->phase), e->layer, e->name);
    assert_string_equal(text, expected);
}

static void assert_finding(const va_diff *d, size_t i, va_class class, const char *what, uint64_t step, uint64_t count)
{
    assert_true(i < d->finding_count);
    assert_entity(d, d->findings[i].entity, what);
    assert_int_equal(d->findings[i].class, class);
    assert_int_equal(d->findings[i].step, step);
    assert_int_equal(d->findings[i].count, count);
}

static void assert_counts(const va_diff *d, uint64_t origins, uint64_t propagated, uint64_t unexplained)
{
    assert_int_equal(d->origins, origins);
    assert_int_equal(d->propagated, propagated);
    assert_int_equal(d->unexplained, unexplained);
    assert_int_equal(d->different, origins + propagated + unexplained);
}

static void assert_cause(const va_diff *d, size_t i, va_certainty certainty, const char *part)
{
    assert_int_equal(d->findings[i].certainty, certainty);
    assert_non_null(strstr(d->findings[i].cause, part));
}

static void test_same(void **state)
{
    (void)state;
    static const scene same[][2] = {{{.seed = 1}, {.seed = 1}},
                                    {{.options = {.level = "hash"}}, {.options = {.level = "full"}}},
                                    {{.seed = 1}, {.swapped = true}},
                                    {{.nameless = true}, {.seed = 1}},
                                    {{.threads = 1}, {.options = {.kernels = "atomic"}}}};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        pair p = compare_scenes(&same[i][0], &same[i][1], NULL);
        assert_true(va_diff_is_same(p.diff));
        assert_false(p.diff->any);
        assert_int_equal(p.diff->compared, 44);
        assert_counts(p.diff, 0, 0, 0);
        assert_int_equal(p.diff->finding_count, 0);
        done(&p);
    }
}

/* One bit of relu/out in step 3: what follows in that step and the next differs, and only relu/out is to blame. */
static void test_flip(void **state)
{
    (void)state;
    static const char *const after[] = {"forward:relu/out",    "forward:fc2/out",     "metric:metric/loss",
                                        "gradient:fc2/weight", "gradient:fc1/weight", "weight:fc1/weight",
                                        "weight:fc2/weight",   "forward:fc1/out",     "forward:relu/out",
                                        "forward:fc2/out",     "metric:metric/loss",  "gradient:fc2/weight",
                                        "gradient:fc1/weight", "weight:fc1/weight",   "weight:fc2/weight"};
    static const char *const levels[] = {"hash", "stats", "chunks", "sample", "full"};
    va_diff_options all = VA_DIFF_OPTIONS_INIT;
    all.all = true;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        const scene a = {.options = {.level = levels[i]}}, b = {.options = {.level = levels[i]}, FLIP()};
        pair p = compare_scenes(&a, &b, &all);
        const va_diff *d = p.diff;
        assert_false(va_diff_is_same(d));
        assert_counts(d, 1, 14, 0);
        assert_int_equal(d->finding_count, 1);
        assert_finding(d, 0, VA_ORIGIN, "forward:relu/out", 3, 1);
        assert_cause(d, 0, VA_CAUSE_UNKNOWN, "nothing recorded differs");
        assert_int_equal(d->first_step, 3);
        assert_int_equal(d->first_epoch, 1);
        assert_entity(d, d->first_entity, "forward:relu/out");
        assert_int_equal(d->difference_count, 15);
        for (size_t k = 0; k < d->difference_count; k++) {
            assert_entity(d, d->differences[k].entity, after[k]);
            assert_int_equal(d->differences[k].step, k < 7 ? 3 : 4);
            assert_int_equal(d->differences[k].class, k == 0 ? VA_ORIGIN : VA_PROPAGATED);
        }
        done(&p);
    }
}

static void test_seed(void **state)
{
    (void)state;
    pair p = compare_scenes(&(scene){0}, &(scene){.seed = 2}, NULL);
    assert_finding(p.diff, 0, VA_ORIGIN, "weight:fc1/weight", 0, 1);
    assert_cause(p.diff, 0, VA_CAUSE_KNOWN, "the seed \"init\" differs");
    assert_finding(p.diff, 1, VA_ORIGIN, "weight:fc2/weight", 0, 1);
    assert_finding(p.diff, 2, VA_ORIGIN, "input:order/permutation", 0, 2);
    assert_cause(p.diff, 2, VA_CAUSE_KNOWN, "the seed \"order\" differs");
    assert_counts(p.diff, 4, 40, 0);
    done(&p);
    p = compare_scenes(&(scene){0}, &(scene){.replica = "init"}, NULL);
    assert_counts(p.diff, 2, 32, 0);
    assert_cause(p.diff, 1, VA_CAUSE_KNOWN, "the seed \"init\" differs");
    done(&p);
}

static void test_drawn_order(void **state)
{
    (void)state;
    pair p = compare_scenes(&(scene){0}, &(scene){.replica = "order"}, NULL);
    assert_int_equal(p.diff->finding_count, 1);
    assert_finding(p.diff, 0, VA_ORIGIN, "input:order/permutation", 0, 2);
    assert_cause(p.diff, 0, VA_CAUSE_KNOWN, "the same 8 rows in another order; the seed \"order\" differs");
    assert_true(p.diff->findings[0].rows_same_step);
    done(&p);
}

/* Orders of the program's own, of which no record tells: what the rows say. */
static void test_told_order(void **state)
{
    (void)state;
    pair p = compare_scenes(&(scene){.order = SCENE_PLAIN}, &(scene){.order = SCENE_IN_BATCHES}, NULL);
    assert_finding(p.diff, 0, VA_ORIGIN, "input:batch/x", 1, 4);
    assert_true(p.diff->findings[0].rows_same_step);
    assert_cause(p.diff, 0, VA_CAUSE_KNOWN, "the same 4 rows in another order");
    done(&p);

    p = compare_scenes(&(scene){.order = SCENE_PLAIN}, &(scene){.order = SCENE_BACKWARDS}, NULL);
    assert_finding(p.diff, 0, VA_ORIGIN, "input:batch/x", 1, 4);
    assert_false(p.diff->findings[0].rows_same_step);
    assert_true(vr_digest_equal(p.diff->findings[0].rows[0], p.diff->findings[0].rows[1]));
    assert_cause(p.diff, 0, VA_CAUSE_KNOWN, "over epoch 0 the same rows in another order");
    done(&p);

    p = compare_scenes(&(scene){.order = SCENE_PLAIN}, &(scene){.order = SCENE_OTHERS}, NULL);
    assert_finding(p.diff, 0, VA_ORIGIN, "input:batch/x", 1, 4);
    assert_false(vr_digest_equal(p.diff->findings[0].rows[0], p.diff->findings[0].rows[1]));
    assert_cause(p.diff, 0, VA_CAUSE_LIKELY, "other samples");
    done(&p);
}

/* What the runs were that differs is named, the most telling first. */
static void test_conditions(void **state)
{
    (void)state;
    static const struct {
        scene b;
        const char *cause;
    } cases[] = {
        {{.options = {.kernels = "atomic"}, FLIP()}, "the kernel mode differs (\"fixed\" and \"atomic\")"},
        {{.options = {.rounding = "sr"}, FLIP()}, "the rounding mode differs (\"nearest\" and \"sr\")"},
        {{.threads = 4, FLIP()}, "the number of threads differs (2 and 4)"},
        {{.note = "faulty", FLIP()}, "the note \"data\" differs (nothing and \"faulty\")"},
        {{.note = "faulty", .threads = 4, FLIP()},
         "the note \"data\" differs (nothing and \"faulty\"); the number of threads"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pair p = compare_scenes(&(scene){0}, &cases[i].b, NULL);
        assert_counts(p.diff, 1, 14, 0);
        assert_cause(p.diff, 0, VA_CAUSE_LIKELY, cases[i].cause);
        done(&p);
    }
    pair p = compare_scenes(&(scene){.options = {.kernels = "atomic"}},
                            &(scene){.options = {.kernels = "atomic"}, FLIP()}, NULL);
    assert_cause(p.diff, 0, VA_CAUSE_LIKELY, "kernel mode \"atomic\" does not fix the order");
    assert_int_equal(json_array_size(p.diff->conditions), 0);
    done(&p);
}

/* Where inputs are not known to be equal, nothing is an origin. */
static void test_gaps(void **state)
{
    (void)state;
    pair p = compare_scenes(&(scene){.nameless = true}, &(scene){.nameless = true, FLIP()}, NULL);
    assert_counts(p.diff, 0, 0, 15);
    assert_int_equal(p.diff->finding_count, 1);
    assert_finding(p.diff, 0, VA_UNEXPLAINED, "forward:relu/out", 3, 1);
    assert_null(p.diff->findings[0].missing);
    done(&p);

    static const char without_fc1[] = "forward:fc1=off";
    p = compare_scenes(&(scene){.options = {.filter = without_fc1}},
                       &(scene){.options = {.filter = without_fc1}, FLIP()}, NULL);
    assert_int_equal(p.diff->finding_count, 1);
    assert_finding(p.diff, 0, VA_UNEXPLAINED, "forward:relu/out", 3, 1);
    assert_string_equal(p.diff->findings[0].missing, "fc1/out");
    assert_counts(p.diff, 0, 12, 2); /* relu/out of step 4 as well: its input was not recorded either */
    done(&p);

    p = compare_scenes(&(scene){0}, &(scene){.options = {.filter = without_fc1}, FLIP()}, NULL);
    assert_finding(p.diff, 0, VA_UNEXPLAINED, "forward:relu/out", 3, 1);
    assert_string_equal(p.diff->findings[0].missing, "fc1/out");
    assert_int_equal(p.diff->one_sided[0], 4);
    assert_int_equal(p.diff->one_sided[1], 0);
    done(&p);

    p = compare_scenes(&(scene){0}, &(scene){.other_names = true, FLIP()}, NULL);
    assert_finding(p.diff, 0, VA_UNEXPLAINED, "forward:relu/out", 3, 1);
    assert_true(p.diff->findings[0].other_inputs);
    assert_int_equal(p.diff->origins, 0);
    done(&p);
}

static void test_one_sided(void **state)
{
    (void)state;
    va_diff_options all = VA_DIFF_OPTIONS_INIT;
    all.all = true;
    pair p = compare_scenes(&(scene){.without = "relu"}, &(scene){0}, &all);
    assert_false(va_diff_is_same(p.diff));
    assert_counts(p.diff, 0, 0, 0);
    assert_int_equal(p.diff->one_sided[0], 0);
    assert_int_equal(p.diff->one_sided[1], 4);
    assert_int_equal(p.diff->difference_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_entity(p.diff, p.diff->differences[i].entity, "forward:relu/out");
        assert_int_equal(p.diff->differences[i].class, VA_ONE_SIDED);
        assert_false(p.diff->differences[i].in[0]);
        assert_true(p.diff->differences[i].in[1]);
    }
    done(&p);
}

static void test_shorter(void **state)
{
    (void)state;
    pair p = compare_scenes(&(scene){0}, &(scene){.steps = 3}, NULL);
    assert_false(va_diff_is_same(p.diff));
    assert_counts(p.diff, 0, 0, 0);
    assert_int_equal(p.diff->steps[0], 5);
    assert_int_equal(p.diff->steps[1], 4);
    assert_int_equal(p.diff->last_common, 3);
    assert_int_equal(p.diff->one_sided[0], 0); /* a step that only one run has is no gap in it */
    done(&p);
}

/* The same bytes in another shape are not the same. */
static void test_shape(void **state)
{
    (void)state;
    const scene full = {.options = {.level = "full"}}, wide = {.options = {.level = "full"}, .wide = true};
    va_diff_options loose = VA_DIFF_OPTIONS_INIT;
    loose.has_tolerance = true;
    loose.tolerance.absolute = 1e9;
    pair p = compare_scenes(&full, &wide, &loose);
    assert_finding(p.diff, 0, VA_ORIGIN, "forward:fc2/out", 1, 4);
    assert_int_equal(p.diff->different, p.diff->origins + p.diff->propagated);
    assert_int_equal(p.diff->within, 0);
    assert_true(vr_digest_equal(p.diff->findings[0].record[0].digest, p.diff->findings[0].record[1].digest));
    done(&p);
}

static const va_layer_summary *summary(const va_diff *d, vr_phase phase, const char *layer)
{
    for (size_t i = 0; i < d->layer_count; i++)
        if (d->layers[i].phase == phase && strcmp(d->layers[i].layer, layer) == 0)
            return &d->layers[i];
    return NULL;
}

static void test_nan(void **state)
{
    (void)state;
    pair p = compare_scenes(&(scene){0}, &(scene){POKE(.nan = 0x7fc00000)}, NULL);
    assert_counts(p.diff, 1, 14, 0);
    const va_layer_summary *relu = summary(p.diff, VR_FORWARD, "relu");
    assert_true(isinf(relu->first.relative) && relu->first.exact);
    assert_false(isinf(relu->last.relative));
    assert_int_equal(relu->first_step, 3);
    assert_int_equal(relu->last_step, 4);
    assert_int_equal(relu->compared, 4);
    assert_int_equal(relu->different, 2);
    assert_non_null(strstr(p.diff->findings[0].evidence, "NaN"));
    done(&p);
}

static void test_repeated(void **state)
{
    (void)state;
    pair p = compare_scenes(&(scene){.repeats = 3}, &(scene){.repeats = 3, FLIP(.repeat = 1)}, NULL);
    assert_finding(p.diff, 0, VA_ORIGIN, "forward:relu/out", 3, 2); /* the second, and the third after it */
    assert_int_equal(p.diff->finding_count, 1);
    assert_counts(p.diff, 2, 16, 0);
    done(&p);
    p = compare_scenes(&(scene){0}, &(scene){.repeats = 3}, NULL);
    assert_int_equal(p.diff->one_sided[1], 8);
    assert_counts(p.diff, 0, 0, 0);
    done(&p);
}

static void test_tolerance(void **state)
{
    (void)state;
    static const struct {
        vr_tolerance tolerance;
        uint32_t nan; /* 0: the last bit */
        bool same;
    } cases[] = {
        {{-1, -1, 1, false}, 0, true},          {{-1, -1, 0, false}, 0, false},
        {{1e-6, -1, -1, false}, 0, true},       {{1e-9, -1, -1, false}, 0, false},
        {{-1, 1e-6, -1, false}, 0, true},       {{-1, 1e-9, -1, false}, 0, false},
        {{1e-9, 1e-9, 1, false}, 0, true},      {{-1, -1, -1, true}, 0, false},
        {{-1, -1, -1, true}, 0x7fc00001, true}, {{1e9, 1, 1, false}, 0x7fc00001, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scene a = {.options = {.level = "full"}}, b = {.options = {.level = "full"}, POKE(.hidden = true, .flip = 1)};
        va_diff_options options = VA_DIFF_OPTIONS_INIT;
        options.has_tolerance = true;
        options.tolerance = cases[i].tolerance;
        if (cases[i].nan) {
            a.poke = b.poke;
            a.poke.flip = b.poke.flip = 0;
            a.poke.nan = 0x7fc00000;
            b.poke.nan = cases[i].nan;
        }
        pair p = compare_scenes(&a, &b, &options);
        assert_int_equal(va_diff_is_same(p.diff), cases[i].same);
        assert_int_equal(p.diff->within, cases[i].same);
        assert_int_equal(p.diff->different, !cases[i].same);
        assert_false(p.diff->without_values);
        done(&p);
    }
    va_diff_options options = VA_DIFF_OPTIONS_INIT;
    options.has_tolerance = true;
    options.tolerance.absolute = 1e9;
    pair p = compare_scenes(&(scene){0}, &(scene){FLIP()}, &options);
    assert_true(p.diff->without_values);
    assert_false(va_diff_is_same(p.diff));
    done(&p);
}

/* What is selected changes what is counted, not what it is called. */
static void test_selection(void **state)
{
    (void)state;
    static const struct {
        va_diff_options options;
        uint64_t compared, origins, propagated;
    } cases[] = {
        {{.layer = "relu", .last_step = UINT64_MAX}, 4, 1, 1},
        {{.layer = "fc*", .last_step = UINT64_MAX}, 26, 0, 11},
        {{.layer = "fc*", .phase = VR_FORWARD, .last_step = UINT64_MAX}, 8, 0, 3},
        {{.phase = VR_METRIC, .last_step = UINT64_MAX}, 4, 0, 2},
        {{.first_step = 4, .last_step = 4}, 10, 0, 8},
        {{.first_step = 3, .last_step = 3}, 10, 1, 6},
        {{.last_step = 2}, 24, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pair p = compare_scenes(&(scene){0}, &(scene){FLIP()}, &cases[i].options);
        assert_int_equal(p.diff->compared, cases[i].compared);
        assert_counts(p.diff, cases[i].origins, cases[i].propagated, 0);
        done(&p);
    }
    va_diff_options first = VA_DIFF_OPTIONS_INIT;
    first.stop_at_first = true;
    pair p = compare_scenes(&(scene){0}, &(scene){FLIP()}, &first);
    assert_in_range(p.diff->different, 1, 7); /* no step after the first that differs */
    assert_false(va_diff_is_same(p.diff));
    done(&p);
    p = compare_scenes(&(scene){0}, &(scene){.steps = 3}, &cases[6].options);
    assert_true(va_diff_is_same(p.diff));
    assert_int_equal(p.diff->steps[0], 3);
    done(&p);
}

static void test_ranks(void **state)
{
    (void)state;
    va_diff *diff = NULL;
    const va_diff_options options = VA_DIFF_OPTIONS_INIT;
    vr_trace *zero = scene_open(&(scene){.rank = 1}), *one = scene_open(&(scene){.rank = 2});
    assert_int_equal(va_diff_run(&diff, zero, one, &options), VR_ERROR_ARGUMENT);
    assert_non_null(strstr(vr_error(), "rank 1"));
    pair p = compare(one, scene_open(&(scene){.rank = 2}), NULL);
    assert_true(va_diff_is_same(p.diff));
    done(&p);
    vr_trace_close(zero);
}

/* The result as JSON holds what the result holds, and can be printed. */
static void test_json(void **state)
{
    (void)state;
    va_diff_options all = VA_DIFF_OPTIONS_INIT;
    all.all = true;
    pair p = compare_scenes(&(scene){0}, &(scene){POKE(.nan = 0x7fc00000), .without = "fc1"}, &all);
    json_t *json = va_diff_json(p.diff);
    assert_non_null(json);
    assert_int_equal(json_array_size(json_object_get(json, "layers")), p.diff->layer_count);
    assert_int_equal(json_array_size(json_object_get(json, "findings")), p.diff->finding_count);
    assert_int_equal(json_array_size(json_object_get(json, "differences")), p.diff->difference_count);
    char *text = json_dumps(json, 0);
    assert_non_null(text);
    free(text);
    json_decref(json);
    done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),        cmocka_unit_test(test_flip),       cmocka_unit_test(test_seed),
        cmocka_unit_test(test_drawn_order), cmocka_unit_test(test_told_order), cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_gaps),        cmocka_unit_test(test_one_sided),  cmocka_unit_test(test_shorter),
        cmocka_unit_test(test_shape),       cmocka_unit_test(test_nan),        cmocka_unit_test(test_repeated),
        cmocka_unit_test(test_tolerance),   cmocka_unit_test(test_selection),  cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
