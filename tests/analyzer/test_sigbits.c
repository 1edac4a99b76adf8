/* The walk over runs: which records make which rows, from values, samples, statistics and digests. The figures of one
 * element are held against the formulas in test_sigbits_element.c; here against va_bits_of. */
#include "scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <sigbits.h>
#include <stdlib.h>
#include <string.h>
#include <varanalyze/random.h>

#define RUNS  8
#define STEPS 3
#define ROWS  6
#define WIDTH 7
#define SIZE  (ROWS * WIDTH)

typedef struct runs {
    vr_trace *traces[40];
    int count;
} runs;

static runs tell(const char *level, void (*what)(vr_run *run, int side), int count)
{
    runs out = {.count = count};
    for (int i = 0; i < count; i++)
        out.traces[i] = scene_tell(level, what, i);
    return out;
}

static void done(runs *r)
{
    for (int i = 0; i < r->count; i++)
        vr_trace_close(r->traces[i]);
}

static va_sigbits *analyse(const runs *r, const va_sigbits_options *options)
{
    static const va_sigbits_options defaults = VA_SIGBITS_OPTIONS_INIT;
    va_sigbits *all;
    if (va_sigbits_run(&all, r->traces, r->count, options ? options : &defaults) != VR_OK)
        fail_msg("%s", vr_error());
    return all;
}

static const va_sigbits_row *row_of(const va_sigbits *all, const char *layer, uint64_t step)
{
    for (size_t i = 0; i < all->row_count; i++)
        if (strcmp(all->rows[i].layer, layer) == 0 && (all->options.by != VA_BY_STEP || all->rows[i].step == step))
            return &all->rows[i];
    fail_msg("no row of %s", layer);
    return NULL;
}

/* ---- values ---- */

/* Element i of run `side` in a step: a middle of its own, and a jitter of 2^-4 to 2^-17 of it; element 3 never moves.
 */
static float value_at(int side, int step, int i)
{
    vr_random random = vr_random_stream(vr_derive_seed((uint64_t)side, "test"), (uint64_t)(step * SIZE + i));
    const double middle = 1 + i / 10.0, jitter = i == 3 ? 0 : ldexp(vr_random_uniform(&random), -4 - i / 3);
    return (float)(middle * (1 + jitter));
}

static void record(vr_run *run, const char *layer, int side, int step)
{
    float values[SIZE];
    for (int i = 0; i < SIZE; i++)
        values[i] = value_at(side, step, i);
    assert_int_equal(vr_record(run, VR_FORWARD, layer, "out", VR_TENSOR(VR_F32, values, ROWS, WIDTH), NULL), VR_OK);
}

static void steps_of(vr_run *run, int side)
{
    for (int step = 1; step <= STEPS; step++) {
        vr_run_step(run, 0);
        record(run, "a", side, step);
        if (step != 2)
            record(run, "b", side, step + 10);
        const int32_t labels[2] = {side, step};
        vr_record(run, VR_INPUT, "a", "labels", VR_TENSOR(VR_I32, labels, 2), NULL);
        vr_metric(run, "loss", value_at(side, step, 5), NULL);
        vr_metric(run, "rate", 0.25, NULL);
    }
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Significant bits of the elements of one step. */
static void bits_of_elements(double out[SIZE], int step, int samples)
{
    va_bits_rule rule;
    va_bits bits;
    double x[RUNS], scratch[2 * RUNS];
    const va_bits_options options = VA_BITS_OPTIONS_INIT;
    assert_int_equal(va_bits_rule_make(&rule, &options, samples, 23), VR_OK);
    for (int i = 0; i < SIZE; i++) {
        for (int side = 0; side < samples; side++)
            x[side] = value_at(side, step, i);
        va_bits_of(&bits, &rule, x, 1, 0, scratch);
        out[i] = bits.significant;
    }
}

/* The same, sorted. */
static void expected_bits(double out[SIZE], int step, int samples)
{
    bits_of_elements(out, step, samples);
    qsort(out, SIZE, sizeof *out, by_value);
}

/* The bins are 1/32 of a bit wide. */
static void assert_bits(double value, double expected)
{
    if (!(fabs(value - expected) <= 1.0 / 64 + 1e-12))
        fail_msg("%g is not %g", value, expected);
}

static void test_steps(void **state)
{
    (void)state;
    runs r = tell("full", steps_of, RUNS);
    va_sigbits_options options = VA_SIGBITS_OPTIONS_INIT;
    options.by = VA_BY_STEP;
    va_sigbits *all = analyse(&r, &options);
    for (int step = 1; step <= STEPS; step++) {
        double expected[SIZE];
        const va_sigbits_row *row = row_of(all, "a", (uint64_t)step);
        const va_bits_summary *s = &row->figures[VA_FIGURE_SIGNIFICANT];
        expected_bits(expected, step, RUNS);
        assert_bits(s->median, expected[SIZE / 2 - 1]);
        assert_bits(s->low, expected[2]); /* ceil(0.05 * 42) = 3, from 1 */
        assert_true(fabs(s->least - expected[0]) < 1e-9);
        assert_int_equal(row->counts.elements, SIZE);
        assert_int_equal(row->counts.constant, 1);
        assert_int_equal(row->tensors, 1);
        assert_int_equal(row->fewest_runs, RUNS);
    }
    assert_int_equal(all->row_count, 3 + 2 + 3 + 3);
    assert_int_equal(all->integers, 3);
    assert_int_equal(all->integers_differ, 3);
    va_sigbits_free(all);
    done(&r);
}

static void test_layers(void **state)
{
    (void)state;
    runs r = tell("full", steps_of, RUNS);
    va_sigbits *all = analyse(&r, NULL);
    double first[SIZE], last[SIZE], least = INFINITY, expected[SIZE];
    expected_bits(first, 1, RUNS);
    expected_bits(last, 3, RUNS);
    for (int step = 1; step <= STEPS; step++) {
        expected_bits(expected, step, RUNS);
        least = fmin(least, expected[0]);
    }
    const va_sigbits_row *a = row_of(all, "a", 0), *b = row_of(all, "b", 0), *loss = row_of(all, "metric", 0);
    assert_int_equal(all->row_count, 4);
    assert_true(fabs(a->figures[VA_FIGURE_SIGNIFICANT].least - least) < 1e-9);
    assert_int_equal(a->first.step, 1);
    assert_int_equal(a->last.step, 3);
    assert_bits(a->first.bits, first[SIZE / 2 - 1]);
    assert_bits(a->last.bits, last[SIZE / 2 - 1]);
    assert_int_equal(a->counts.elements, 3 * SIZE);
    assert_int_equal(b->tensors, 2);
    assert_string_equal(loss->name, "loss");
    assert_int_equal(loss->counts.elements, 3);
    assert_string_equal(all->rows[3].name, "rate");
    assert_int_equal(all->rows[3].equal, 3);
    assert_int_equal(all->rows[3].digits, 52);
    va_sigbits_free(all);
    done(&r);
}

static void test_selection(void **state)
{
    (void)state;
    runs r = tell("full", steps_of, 3);
    va_sigbits_options options = VA_SIGBITS_OPTIONS_INIT;
    options.layer = "[ab]";
    options.phase = VR_FORWARD;
    options.first_step = 2;
    va_sigbits *all = analyse(&r, &options);
    assert_int_equal(all->row_count, 2);
    assert_int_equal(row_of(all, "a", 0)->tensors, 2);
    assert_int_equal(row_of(all, "b", 0)->tensors, 1);
    assert_int_equal(all->integers, 0);
    va_sigbits_free(all);
    done(&r);
}

/* ---- samples, statistics, digests ---- */

static void one_step(vr_run *run, int side)
{
    vr_run_step(run, 0);
    record(run, "a", side, 1);
}

/* A run at level sample and one at level full have the sample's positions in common. */
static void test_sample(void **state)
{
    (void)state;
    runs r = {.count = 4};
    for (int i = 0; i < 4; i++)
        r.traces[i] = scene_tell(i == 1 ? "full" : "sample", one_step, i);
    va_sigbits *all = analyse(&r, NULL);
    assert_int_equal(row_of(all, "a", 0)->counts.elements, SIZE); /* of 64 values that were to be kept */
    double expected[SIZE];
    expected_bits(expected, 1, 4);
    assert_true(fabs(row_of(all, "a", 0)->figures[VA_FIGURE_SIGNIFICANT].least - expected[0]) < 1e-9);
    va_sigbits_free(all);
    done(&r);
}

#define LARGE 10000

static double large_at(int side, int i)
{
    return 1 + ldexp(1, -3 - (i % 18)) * ((side * 7 + i) % 5);
}

static void large(vr_run *run, int side)
{
    static float values[LARGE];
    for (int i = 0; i < LARGE; i++)
        values[i] = (float)large_at(side, i);
    vr_run_step(run, 0);
    vr_record(run, VR_FORWARD, "a", "out", VR_TENSOR(VR_F32, values, LARGE), NULL);
}

static void test_large_sample(void **state)
{
    (void)state;
    runs r = {.count = 4};
    int64_t positions[64];
    for (int i = 0; i < 4; i++)
        r.traces[i] = scene_tell(i == 1 ? "full" : "sample", large, i);
    va_sigbits_options options = VA_SIGBITS_OPTIONS_INIT;
    options.worst = 5;
    va_sigbits *all = analyse(&r, &options);
    vr_sample_positions(positions, 64, LARGE);
    assert_int_equal(row_of(all, "a", 0)->counts.elements, 64);
    assert_int_equal(all->worst.count, 5);
    for (size_t i = 0; i < all->worst.count; i++) {
        const va_worst *w = &all->worst.items[i];
        bool sampled = false;
        for (int k = 0; k < 64; k++)
            sampled = sampled || positions[k] == w->index;
        assert_true(sampled);
        for (int side = 0; side < 4; side++)
            assert_true(w->values[side] == (float)large_at(side, (int)w->index));
    }
    va_sigbits_free(all);
    done(&r);
}

/* What the bound bounds: the bits of the tensor by the Euclidean norm, from the values. */
static double norm_bits(int samples)
{
    va_bits_rule rule;
    double variance = 0, norm = 0;
    const va_bits_options options = VA_BITS_OPTIONS_INIT;
    assert_int_equal(va_bits_rule_make(&rule, &options, samples, 23), VR_OK);
    for (int i = 0; i < SIZE; i++) {
        double mean = 0;
        for (int side = 0; side < samples; side++)
            mean += value_at(side, 1, i) / samples;
        for (int side = 0; side < samples; side++)
            variance += pow(value_at(side, 1, i) - mean, 2) / samples;
        norm += mean * mean;
    }
    return -log2(sqrt(variance / norm)) - rule.significant_less;
}

static void test_bound(void **state)
{
    (void)state;
    for (int count = 2; count <= RUNS; count *= 2) {
        runs r = tell("stats", one_step, count);
        va_sigbits *all = analyse(&r, NULL);
        const va_sigbits_row *row = row_of(all, "a", 0);
        assert_int_equal(row->bounded, 1);
        assert_int_equal(row->counts.elements, 0);
        assert_true(isnan(row->figures[VA_FIGURE_SIGNIFICANT].median));
        assert_true(row->bound >= norm_bits(count));
        assert_true(row->bound < norm_bits(count) + 6);
        assert_true(row->first.is_bound && row->first.bits == row->bound);
        va_sigbits_free(all);
        done(&r);
    }
}

static void shifted(vr_run *run, int side)
{
    double values[4];
    for (int i = 0; i < 4; i++)
        values[i] = 8 + side;
    vr_run_step(run, 0);
    vr_record(run, VR_FORWARD, "a", "out", VR_TENSOR(VR_F64, values, 4), NULL);
}

/* All elements 8 in one run and 9 in the other: the bound is what they have. sigma = 0.5 / 8.5, n = 2: chi2 =
 * .00098207, 0.5 log2(1/chi2) + log2(1.95996) = 4.99591 + 0.97083. */
static void test_tight_bound(void **state)
{
    (void)state;
    runs r = tell("stats", shifted, 2);
    va_sigbits *all = analyse(&r, NULL);
    assert_true(fabs(row_of(all, "a", 0)->bound - (log2(17) - 5.96674)) < 1e-4);
    va_sigbits_free(all);
    done(&r);
}

static void barely_shifted(vr_run *run, int side)
{
    double values[4];
    for (int i = 0; i < 4; i++)
        values[i] = 8 + side * 0x1p-38;
    vr_run_step(run, 0);
    vr_record(run, VR_FORWARD, "a", "out", VR_TENSOR(VR_F64, values, 4), NULL);
}

/* sigma = 2^-39 / 8, half of which may be the rounding of statistics; the same brackets. */
static void test_rounding_of_statistics(void **state)
{
    (void)state;
    runs r = tell("stats", barely_shifted, 2);
    va_sigbits *all = analyse(&r, NULL);
    assert_true(fabs(row_of(all, "a", 0)->bound - (43 - 5.96674)) < 1e-4);
    va_sigbits_free(all);
    done(&r);
}

static void test_hashes(void **state)
{
    (void)state;
    runs r = tell("hash", one_step, 3);
    va_sigbits *all = analyse(&r, NULL);
    assert_int_equal(row_of(all, "a", 0)->unknown, 1);
    assert_int_equal(row_of(all, "a", 0)->incomplete, 0);
    assert_int_equal(row_of(all, "a", 0)->fewest_runs, 3);
    va_sigbits_free(all);
    done(&r);
    r = (runs){.count = 3};
    for (int i = 0; i < 3; i++)
        r.traces[i] = scene_tell(i ? "hash" : "full", one_step, 0);
    all = analyse(&r, NULL);
    assert_int_equal(row_of(all, "a", 0)->equal, 1);
    assert_int_equal(row_of(all, "a", 0)->counts.constant, SIZE);
    va_sigbits_free(all);
    done(&r);
}

/* ---- gaps ---- */

static void with_gaps(vr_run *run, int side)
{
    static const float none[4] = {1, 2, 3, 4};
    vr_run_step(run, 0);
    record(run, "a", side, 1);
    if (side != 2)
        record(run, "gap", side, 1);
    if (side == 0)
        record(run, "alone", side, 1);
    if (side == 1)
        vr_record(run, VR_FORWARD, "shape", "out", VR_TENSOR(VR_F32, none, 4), NULL);
    else
        record(run, "shape", side, 1);
    if (side < 2)
        record(run, "tie", side, 1);
    else
        vr_record(run, VR_FORWARD, "tie", "out", VR_TENSOR(VR_F32, none, 4), NULL);
}

static void test_gaps(void **state)
{
    (void)state;
    runs r = tell("full", with_gaps, 4);
    va_sigbits *all = analyse(&r, NULL);
    assert_int_equal(row_of(all, "a", 0)->incomplete, 0);
    assert_int_equal(row_of(all, "gap", 0)->incomplete, 1);
    assert_int_equal(row_of(all, "gap", 0)->fewest_runs, 3);
    assert_int_equal(row_of(all, "shape", 0)->most_runs, 3);
    assert_int_equal(row_of(all, "shape", 0)->counts.elements, SIZE);
    assert_int_equal(row_of(all, "tie", 0)->counts.elements, SIZE);
    assert_int_equal(row_of(all, "tie", 0)->fewest_runs, 2);
    assert_int_equal(all->lonely, 1);
    assert_int_equal(all->tensors, 4);
    va_sigbits_free(all);

    va_sigbits_options options = VA_SIGBITS_OPTIONS_INIT;
    options.bits.reference = VA_BITS_PAIRS; /* of the pair 2, 3 one is missing: too few are left */
    all = analyse(&r, &options);
    assert_int_equal(all->lonely, 4);
    assert_int_equal(row_of(all, "a", 0)->fewest_runs, 4);
    va_sigbits_free(all);
    done(&r);
}

/* ---- references ---- */

static void assert_same_least(const va_sigbits *all, const va_bits_options *options, const int *sides, int n, int other)
{
    va_bits_rule rule;
    double least = INFINITY, bias = INFINITY, x[RUNS], scratch[2 * RUNS];
    assert_int_equal(va_bits_rule_make(&rule, options, n, 23), VR_OK);
    for (int i = 0; i < SIZE; i++) {
        va_bits bits;
        for (int k = 0; k < n; k++)
            x[k] = value_at(sides[k], 1, i);
        va_bits_of(&bits, &rule, x, 1, other < 0 ? 1.5 : value_at(other, 1, i), scratch);
        least = fmin(least, bits.significant);
        bias = fmin(bias, bits.bias);
    }
    assert_true(fabs(row_of(all, "a", 0)->figures[VA_FIGURE_SIGNIFICANT].least - least) < 1e-9);
    assert_true(fabs(row_of(all, "a", 0)->figures[VA_FIGURE_BIAS].least - bias) < 1e-9);
}

static void test_references(void **state)
{
    (void)state;
    runs r = tell("full", one_step, 7);
    va_sigbits_options options = VA_SIGBITS_OPTIONS_INIT;
    static const int all_sides[] = {0, 1, 2, 3, 4, 5, 6};
    for (int kind = VA_BITS_EXACT; kind <= VA_BITS_HALVES; kind++) {
        options.bits.reference = (va_bits_reference)kind;
        options.exact = 1.5;
        options.reference = kind == VA_BITS_RUN ? r.traces[6] : NULL;
        const runs samples = {.count = kind == VA_BITS_RUN ? 6 : 7};
        runs some = samples;
        memcpy(some.traces, r.traces, sizeof some.traces);
        va_sigbits *all = analyse(&some, &options);
        const bool halved = kind == VA_BITS_PAIRS || kind == VA_BITS_HALVES;
        assert_int_equal(all->unpaired, halved);
        assert_same_least(all, &options.bits, all_sides, halved ? 6 : some.count, kind == VA_BITS_RUN ? 6 : -1);
        va_sigbits_free(all);
    }
    done(&r);
}

static void test_too_few_runs(void **state)
{
    (void)state;
    runs r = tell("stats", one_step, 3);
    va_sigbits_options options = VA_SIGBITS_OPTIONS_INIT;
    va_sigbits *all;
    assert_int_equal(va_sigbits_run(&all, r.traces, 1, &options), VR_ERROR_ARGUMENT);
    options.bits.reference = VA_BITS_HALVES;
    assert_int_equal(va_sigbits_run(&all, r.traces, 3, &options), VR_ERROR_ARGUMENT);
    done(&r);
}

/* ---- what is asked for ---- */

static void test_at_least(void **state)
{
    (void)state;
    runs r = tell("full", one_step, RUNS);
    double expected[SIZE];
    expected_bits(expected, 1, RUNS);
    for (int below = 0; below < SIZE - 1; below++) {
        va_sigbits_options options = VA_SIGBITS_OPTIONS_INIT;
        options.at_least = (expected[below] + expected[below + 1]) / 2; /* below + 1 elements have fewer bits */
        options.quantile = 0.5;
        if (options.at_least < 0 || expected[below] == expected[below + 1])
            continue;
        va_sigbits *all = analyse(&r, &options);
        assert_int_equal(all->too_few, below + 1 > SIZE / 2);
        va_sigbits_free(all);
    }
    done(&r);
}

static void odd_values(vr_run *run, int side)
{
    float values[6] = {1, side == 1 ? NAN : 2, INFINITY, side ? 1.0f : -1.0f, 0, 3 + (float)side * 0x1p-20f};
    vr_run_step(run, 0);
    vr_record(run, VR_FORWARD, "a", "out", VR_TENSOR(VR_F32, values, 6), NULL);
}

static void test_odd_values(void **state)
{
    (void)state;
    runs r = tell("full", odd_values, 2);
    va_sigbits_options options = VA_SIGBITS_OPTIONS_INIT;
    options.at_least = 1;
    options.quantile = 0.3;
    va_sigbits *all = analyse(&r, &options);
    const va_tally *t = &row_of(all, "a", 0)->counts;
    assert_int_equal(t->elements, 6);
    assert_int_equal(t->nonfinite, 2);
    assert_int_equal(t->nonfinite_differs, 1);
    assert_int_equal(t->zero_reference, 1);
    assert_int_equal(t->constant, 2);
    assert_int_equal(all->too_few, 1); /* two of six elements: what is not finite in some runs, and what has mean 0 */
    va_sigbits_free(all);
    options.quantile = 0.34;
    all = analyse(&r, &options);
    assert_int_equal(all->too_few, 0);
    va_sigbits_free(all);
    done(&r);
}

static void test_map(void **state)
{
    (void)state;
    runs r = tell("full", steps_of, 4);
    va_sigbits_options options = VA_SIGBITS_OPTIONS_INIT;
    options.map = "forward:a/out@2";
    va_sigbits *all = analyse(&r, &options);
    assert_int_equal(all->map.step, 2);
    assert_int_equal(all->map.site->count, SIZE);
    double expected[SIZE];
    bits_of_elements(expected, 2, 4);
    for (int i = 0; i < SIZE; i++)
        assert_true(fabs((double)all->map.bits[i] - expected[i]) < 1e-5);
    va_sigbits_free(all);
    static const char *const odd[] = {"a", "/out", "a/", "b/out@2", "weight:a/out", "a/labels", "a/out@2x", "a/out@9"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        options.map = odd[i];
        assert_int_equal(va_sigbits_run(&all, r.traces, r.count, &options), VR_ERROR_ARGUMENT);
    }
    done(&r);
}

static void test_many_runs(void **state)
{
    (void)state;
    runs r = tell("full", one_step, 40);
    va_sigbits *all = analyse(&r, NULL);
    assert_int_equal(row_of(all, "a", 0)->fewest_runs, 40);
    va_sigbits_free(all);
    done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),        cmocka_unit_test(test_layers),
        cmocka_unit_test(test_selection),    cmocka_unit_test(test_sample),
        cmocka_unit_test(test_large_sample), cmocka_unit_test(test_bound),
        cmocka_unit_test(test_tight_bound),  cmocka_unit_test(test_rounding_of_statistics),
        cmocka_unit_test(test_hashes),       cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_references),   cmocka_unit_test(test_too_few_runs),
        cmocka_unit_test(test_at_least),     cmocka_unit_test(test_odd_values),
        cmocka_unit_test(test_map),          cmocka_unit_test(test_many_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
