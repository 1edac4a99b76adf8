/* The weights that training leaves: what is recorded of them, and how far those of two runs are apart. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <scratch.h>
#include <varanalyze/capture.h>
#include <varanalyze/projection.h>
#include <varanalyze/random.h>

enum { N = 20000, SMALL = 10, STEPS = 4 };

typedef struct weights {
    float big[N], small[SMALL];
} weights;

/* A run's weights: a common part, and one of its own of about 1/4 of it. */
static void make(weights *out, uint64_t run)
{
    vr_random common = vr_random_stream(1, 0), own = vr_random_stream(2, run);
    for (int i = 0; i < N; i++)
        out->big[i] = (float)(vr_random_uniform(&common) - 0.5 + (vr_random_uniform(&own) - 0.5) / 4);
    for (int i = 0; i < SMALL; i++)
        out->small[i] = (float)(i + (vr_random_uniform(&own) - 0.5) / 4);
}

static void record_weights(vr_run *run, const weights *w)
{
    vr_record(run, VR_WEIGHT, "fc", "weight", VR_TENSOR(VR_F32, w->big, N / 100, 100), NULL);
    vr_record(run, VR_WEIGHT, "fc", "bias", VR_TENSOR(VR_F32, w->small, SMALL), NULL);
}

static void record_final(vr_run *run, const weights *w)
{
    assert_int_equal(vr_record_final(run, "fc", "weight", VR_TENSOR(VR_F32, w->big, N / 100, 100)), VR_OK);
    assert_int_equal(vr_record_final(run, "fc", "bias", VR_TENSOR(VR_F32, w->small, SMALL)), VR_OK);
}

/* Weights recorded as they change, and as they are left if `final`. */
static vr_trace *train(const char *path, vr_run_options options, const weights *w, bool final)
{
    vr_run *run;
    vr_trace *trace = NULL;
    options.trace = path;
    if (vr_run_open(&run, &options) != VR_OK)
        fail_msg("%s", vr_error());
    record_weights(run, w);
    for (uint32_t step = 1; step <= STEPS; step++) {
        vr_run_step(run, step / 2);
        vr_metric(run, "loss", step, NULL);
        record_weights(run, w);
    }
    if (final)
        record_final(run, w);
    if (vr_run_close(run) != VR_OK || vr_trace_open(&trace, path) != VR_OK)
        fail_msg("%s", vr_error());
    return trace;
}

static const vr_weight_info *weights_of(vr_trace *trace, uint64_t expected)
{
    const vr_weight_info *all;
    uint64_t count;
    assert_int_equal(vr_trace_weights(trace, &all, &count), VR_OK);
    assert_int_equal(count, expected);
    return all;
}

/* Checks what is known of the two weights. */
static const vr_weight_info *expect(vr_trace *trace, vr_level level, int64_t big, int64_t small)
{
    const vr_weight_info *all = weights_of(trace, 2);
    assert_string_equal(all[0].site->name, "weight");
    assert_string_equal(all[1].site->name, "bias");
    for (int i = 0; i < 2; i++) {
        assert_string_equal(all[i].site->layer, "fc");
        assert_true(all[i].step == STEPS && all[i].epoch == STEPS / 2);
        assert_int_equal(all[i].record.level, level);
        assert_int_equal(all[i].projected, i ? small : big);
    }
    return all;
}

#define OPTIONS(...)                                                                                                   \
    (vr_run_options)                                                                                                   \
    {                                                                                                                  \
        .version = VR_RUN_OPTIONS_VERSION, __VA_ARGS__                                                                 \
    }

static void test_levels(void **state)
{
    (void)state;
    static const struct {
        const char *level, *filter, *final;
        vr_level expected;
        int64_t big, small;
    } cases[] = {
        {NULL, NULL, NULL, VR_LEVEL_STATS, 1024, SMALL},
        {NULL, "*=off", NULL, VR_LEVEL_STATS, 1024, SMALL},
        {NULL, "weight:*=hash/4", "projection", VR_LEVEL_STATS, 1024, SMALL},
        {"full", NULL, NULL, VR_LEVEL_FULL, 1024, SMALL},
        {NULL, NULL, "full", VR_LEVEL_FULL, 0, 0},
        {"hash", NULL, "hash", VR_LEVEL_HASH, 0, 0},
        {"chunks", NULL, "off", VR_LEVEL_CHUNKS, 0, 0}, /* that of the last update */
        {NULL, NULL, "nothing=full", VR_LEVEL_STATS, 1024, SMALL},
        {NULL, NULL, "weight:f*=sample", VR_LEVEL_SAMPLE, 0, 0},
    };
    static weights w;
    make(&w, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const vr_run_options options =
            OPTIONS(.level = cases[i].level, .filter = cases[i].filter, .final = cases[i].final);
        vr_trace *trace = train(scratch_path("levels.h5"), options, &w, true);
        expect(trace, cases[i].expected, cases[i].big, cases[i].small);
        vr_trace_close(trace);
    }
}

/* The projection is that of the weights, under the key of their name. */
static void test_projection_is_the_weights(void **state)
{
    (void)state;
    static weights w;
    double expected[256], got[256];
    const vr_tensor tensor = VR_TENSOR(VR_F32, w.big, N);
    make(&w, 0);
    vr_trace *trace = train(scratch_path("same.h5"), OPTIONS(.projection = 256), &w, true);
    const vr_weight_info *all = expect(trace, VR_LEVEL_STATS, 256, SMALL);
    assert_int_equal(vr_project(expected, &tensor, 256, vr_projection_key("fc", "weight")), VR_OK);
    assert_int_equal(vr_weight_projection(trace, &all[0], got), VR_OK);
    assert_memory_equal(got, expected, sizeof got);
    assert_int_equal(vr_weight_projection(trace, &all[1], got), VR_OK);
    for (int i = 0; i < SMALL; i++)
        assert_true(got[i] == w.small[i]);
    vr_trace_close(trace);
}

/* By a rule of the filter, as they change; and the last of a run that never said which is. */
static void test_projections_while_training(void **state)
{
    (void)state;
    static weights w;
    double numbers[64];
    make(&w, 0);
    setenv("VR_PROJECTION", "64", 1);
    vr_trace *trace = train(scratch_path("rule.h5"), OPTIONS(.filter = "weight:*=projection/2"), &w, false);
    const vr_weight_info *all = expect(trace, VR_LEVEL_STATS, 64, SMALL);
    assert_int_equal(vr_weight_projection(trace, &all[0], numbers), VR_OK);
    assert_int_equal(vr_trace_get_info(trace)->record_count, 3 * 4 + STEPS); /* setup, 2, 4; the losses */
    vr_trace_close(trace);

    trace = train(scratch_path("older.h5"), OPTIONS(.filter = "weight:fc=projection/3"), &w, false);
    all = weights_of(trace, 2);
    assert_true(all[0].step == 3 && all[0].projected == 64);
    vr_trace_close(trace);
    unsetenv("VR_PROJECTION");

    trace = train(scratch_path("plain.h5"), OPTIONS(.level = "full"), &w, false);
    all = expect(trace, VR_LEVEL_FULL, 0, 0);
    assert_int_equal(vr_weight_projection(trace, &all[0], numbers), VR_ERROR_ARGUMENT);
    assert_message("fc/weight");
    vr_trace_close(trace);
}

/* A projection that is older than what its weight became is not that weight's. */
static void test_stale_projection(void **state)
{
    (void)state;
    static weights w;
    vr_run *run;
    vr_trace *trace;
    const char *path = scratch_path("stale.h5");
    const vr_run_options options = OPTIONS(.trace = path);
    make(&w, 0);
    assert_int_equal(vr_run_open(&run, &options), VR_OK);
    record_final(run, &w);
    vr_run_step(run, 0);
    record_weights(run, &w);
    record_final(run, &w);
    record_weights(run, &w);
    assert_int_equal(vr_run_close(run), VR_OK);
    assert_int_equal(vr_trace_open(&trace, path), VR_OK);
    const vr_weight_info *all = weights_of(trace, 2);
    assert_true(all[0].step == 1 && all[0].projected == 0 && all[0].projection.level == 0);
    vr_trace_close(trace);
}

static void test_no_weights(void **state)
{
    (void)state;
    vr_run *run;
    vr_trace *trace;
    const char *path = scratch_path("none.h5");
    const vr_run_options options = OPTIONS(.trace = path);
    assert_int_equal(vr_run_open(&run, &options), VR_OK);
    vr_metric(run, "loss", 1, NULL);
    assert_int_equal(vr_run_close(run), VR_OK);
    assert_int_equal(vr_trace_open(&trace, path), VR_OK);
    weights_of(trace, 0);
    vr_trace_close(trace);
}

/* ---- distances of runs ---- */

enum { RUNS = 12 };

static double true_square(const weights *a, const weights *b)
{
    double sum = 0;
    for (int i = 0; i < N; i++)
        sum += ((double)a->big[i] - b->big[i]) * ((double)a->big[i] - b->big[i]);
    return sum;
}

/* Of all pairs of 12 runs: the estimate of the large weight's squared distance within 5 of its standard errors (4.4 %
 * of it; a normal one would leave 5 in 66 pairs with a chance of 4e-5), that of the small one exact, the cosine alike.
 */
static void test_distances_of_runs(void **state)
{
    (void)state;
    static weights all[RUNS];
    static double numbers[RUNS][VR_PROJECTION_DEFAULT];
    double norms[RUNS];
    for (int r = 0; r < RUNS; r++) {
        make(&all[r], (uint64_t)r);
        vr_trace *trace = train(scratch_path("run-%d.h5", r), OPTIONS(.trace = NULL), &all[r], true);
        const vr_weight_info *info = weights_of(trace, 2);
        norms[r] = info[0].record.stats.l2;
        assert_int_equal(vr_weight_projection(trace, &info[0], numbers[r]), VR_OK);
        vr_trace_close(trace);
    }
    for (int a = 0; a < RUNS; a++)
        for (int b = 0; b < a; b++) {
            const double square = true_square(&all[a], &all[b]), e = sqrt(2. / 1024 * (1 + 12. / 1024));
            const vr_distance got = vr_projection_distance(numbers[a], numbers[b], VR_PROJECTION_DEFAULT, N);
            assert_true(fabs(got.squared - square) < 5 * e * square);
            assert_true(fabs(got.error - e * got.squared) < 1e-9 * square);
            const vr_cosine cosine = vr_distance_cosine(got, norms[a], norms[b]);
            const double exact = (norms[a] * norms[a] + norms[b] * norms[b] - square) / (2 * norms[a] * norms[b]);
            assert_true(fabs(cosine.cosine - exact) < 5 * e * square / (2 * norms[a] * norms[b]));
        }
}

/* ---- options ---- */

static void refused(vr_run_options options, const char *words)
{
    vr_run *run;
    assert_int_equal(vr_run_open(&run, &options), VR_ERROR_ARGUMENT);
    assert_message(words);
    vr_run_close(run);
}

static void test_malformed_options(void **state)
{
    (void)state;
    refused(OPTIONS(.final = "fuller"), "fuller");
    refused(OPTIONS(.final = "fc=full/2"), "steps");
    refused(OPTIONS(.final = "fc=full,"), "rule");
    refused(OPTIONS(.projection = 100), "100");
    setenv("VR_PROJECTION", "64k", 1);
    refused(OPTIONS(.trace = ""), "64k");
    setenv("VR_PROJECTION", "32768", 1);
    refused(OPTIONS(.trace = ""), "32768");
    unsetenv("VR_PROJECTION");
    setenv("VR_FINAL", "all", 1);
    refused(OPTIONS(.trace = ""), "all");
    unsetenv("VR_FINAL");
}

/* A program that was compiled when options ended with `perturb`: what lies behind them is not looked at, as a sanitizer
 * would tell. */
static vr_status open_short(vr_run **run, unsigned version, const uint64_t *seed)
{
    const size_t size = offsetof(vr_run_options, final);
    const vr_run_options options = {.version = version, .seed = seed};
    void *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, &options, size);
    const vr_status status = vr_run_open(run, copy);
    free(copy);
    return status;
}

static void test_options_of_version_3(void **state)
{
    (void)state;
    const uint64_t seed = 42;
    vr_run *run;
    assert_int_equal(open_short(&run, 3, &seed), VR_OK);
    assert_int_equal(vr_run_seed(run, "init"), vr_derive_seed(42, "init"));
    assert_int_equal(vr_run_close(run), VR_OK);
    for (unsigned version = 0; version < 7; version++) {
        if (version == 3 || version == VR_RUN_OPTIONS_VERSION)
            continue;
        assert_int_equal(open_short(&run, version, &seed), VR_ERROR_ARGUMENT);
        assert_message("VR_RUN_OPTIONS_INIT");
        vr_run_close(run);
    }
}

static void test_without_a_trace(void **state)
{
    (void)state;
    static weights w;
    vr_run *run;
    assert_int_equal(vr_run_open(&run, NULL), VR_OK);
    record_final(run, &w);
    record_final(NULL, &w);
    assert_int_equal(vr_run_close(run), VR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_projection_is_the_weights),
        cmocka_unit_test(test_projections_while_training),
        cmocka_unit_test(test_stale_projection),
        cmocka_unit_test(test_no_weights),
        cmocka_unit_test(test_distances_of_runs),
        cmocka_unit_test(test_malformed_options),
        cmocka_unit_test(test_options_of_version_3),
        cmocka_unit_test(test_without_a_trace),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
