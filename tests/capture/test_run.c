/* What options and environment make of a run, and what the calls that record put into its trace. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <scratch.h>
#include <varanalyze/capture.h>

static int clear(void **state)
{
    (void)state;
    static const char *const ranks[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"};
    for (size_t i = 0; i < sizeof ranks / sizeof *ranks; i++)
        unsetenv(ranks[i]);
    scratch_clear_environment();
    return 0;
}

static vr_run *open_run(const vr_run_options *options)
{
    vr_run *run;
    if (vr_run_open(&run, options) != VR_OK)
        fail_msg("%s", vr_error());
    return run;
}

static vr_run *open_at(const char *path)
{
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.trace = path;
    return open_run(&options);
}

static vr_trace *open_trace(const char *path)
{
    vr_trace *trace;
    if (vr_trace_open(&trace, path) != VR_OK)
        fail_msg("%s", vr_error());
    return trace;
}

static vr_trace *close_and_open(vr_run *run, const char *path)
{
    assert_int_equal(vr_run_close(run), VR_OK);
    return open_trace(path);
}

static vr_trace_record record_at(vr_trace *trace, uint64_t index)
{
    vr_trace_record record;
    assert_int_equal(vr_trace_read_records(trace, index, 1, &record), VR_OK);
    return record;
}

/* The word under a key, or a key of a key, of what the trace says of its run. */
static void says(const vr_trace *trace, const char *key, const char *inner, const char *word)
{
    json_t *run = json_loads(vr_trace_get_info(trace)->run, 0, NULL);
    const json_t *value = json_object_get(run, key);
    if (inner)
        value = json_object_get(value, inner);
    if (!json_is_string(value) || strcmp(json_string_value(value), word) != 0)
        fail_msg("%s.%s is not '%s' in %s", key, inner ? inner : "", word, vr_trace_get_info(trace)->run);
    json_decref(run);
}

/* A run that could not be opened, and is of use all the same. */
static void refused(const vr_run_options *options, const char *words)
{
    vr_run *run = NULL;
    const float value = 1;
    uint32_t order[5];
    const vr_status status = vr_run_open(&run, options);
    if (status != VR_ERROR_ARGUMENT)
        fail_msg("not refused: %s", words);
    assert_message(words);
    assert_non_null(run);
    assert_false(vr_run_is_recording(run));
    assert_null(vr_run_trace(run));
    assert_int_equal(vr_run_step(run, 0), VR_OK);
    assert_int_equal(vr_record(run, VR_FORWARD, "a", "t", VR_SCALAR(VR_F32, &value), NULL), VR_OK);
    assert_int_equal(vr_run_order(run, 0, 5, order), VR_OK);
    vr_run_seed(run, "init");
    assert_int_equal(vr_run_close(run), VR_OK);
}

static void test_options_win_over_the_environment(void **state)
{
    (void)state;
    const char *path = scratch_path("options.h5");
    const uint64_t seed = 42;
    const vr_run_options options = {.version = VR_RUN_OPTIONS_VERSION,
                                    .trace = path,
                                    .level = "hash",
                                    .seed = &seed,
                                    .kernels = "exact",
                                    .rounding = "sr",
                                    .filter = ""};
    setenv("VR_TRACE", scratch_path("environment.h5"), 1);
    setenv("VR_LEVEL", "full", 1);
    setenv("VR_SEED", "7", 1);
    setenv("VR_KERNELS", "atomic", 1);
    setenv("VR_ROUNDING", "ud", 1);
    setenv("VR_FILTER", "*=full", 1);
    vr_run *run = open_run(&options);
    assert_string_equal(vr_run_trace(run), path);
    assert_int_equal(vr_metric(run, "loss", 1, NULL), VR_OK);
    vr_trace *trace = close_and_open(run, path);
    says(trace, "seed", NULL, "42");
    says(trace, "kernels", NULL, "exact");
    says(trace, "rounding", NULL, "sr");
    says(trace, "level", NULL, "hash");
    says(trace, "environment", "VR_LEVEL", "full");
    assert_int_equal(record_at(trace, 0).level, VR_LEVEL_STATS); /* a metric's least */
    vr_trace_close(trace);
    assert_exists(scratch_path("environment.h5"), 0);
}

static void test_environment_alone(void **state)
{
    (void)state;
    const char *path = scratch_path("environment.h5");
    setenv("VR_TRACE", path, 1);
    setenv("VR_LEVEL", "full", 1);
    setenv("VR_SEED", "0x10", 1);
    setenv("VR_QUEUE", "128k", 1);
    setenv("VR_ENV", "SCRATCH_*,HOME_NOT", 1);
    setenv("SCRATCH_WORD", "kept", 1);
    vr_run *run = open_run(NULL);
    assert_true(vr_run_is_recording(run));
    vr_trace *trace = close_and_open(run, path);
    says(trace, "seed", NULL, "16");
    says(trace, "level", NULL, "full");
    says(trace, "environment", "SCRATCH_WORD", "kept");
    assert_null(strstr(vr_trace_get_info(trace)->run, "\"PATH\""));
    vr_trace_close(trace);
}

static void test_nothing_to_record(void **state)
{
    (void)state;
    const vr_run_options off = {.version = VR_RUN_OPTIONS_VERSION, .trace = ""};
    vr_run *run = open_run(NULL);
    assert_false(vr_run_is_recording(run));
    assert_null(vr_run_trace(run));
    assert_int_equal(vr_metric(run, "loss", 1, NULL), VR_OK);
    assert_int_equal(vr_run_close(run), VR_OK);
    setenv("VR_TRACE", scratch_path("nothing.h5"), 1);
    run = open_run(&off);
    assert_false(vr_run_is_recording(run));
    assert_int_equal(vr_run_close(run), VR_OK);
    assert_exists(scratch_path("nothing.h5"), 0);
    assert_exists(scratch_path("nothing.h5.journal"), 0);
}

static void test_malformed_variables(void **state)
{
    (void)state;
    static const char *const variables[][2] = {
        {"VR_LEVEL", "fullest"},
        {"VR_SEED", "x"},
        {"VR_SEED", "-1"},
        {"VR_SEED", "1 "},
        {"VR_SEED", "18446744073709551616"},
        {"VR_REPLICA", "two"},
        {"VR_FILTER", "conv"},
        {"VR_QUEUE", "8G"},
        {"VR_QUEUE", "-8"},
        {"VR_QUEUE", "k"},
        {"VR_QUEUE", "8Mx"},
        {"VR_QUEUE", "99999999999999"},
    };
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        scratch_clear_environment();
        setenv("VR_TRACE", scratch_path("malformed.h5"), 1);
        setenv(variables[i][0], variables[i][1], 1);
        refused(NULL, variables[i][1]);
        assert_exists(scratch_path("malformed.h5.journal"), 0);
    }
}

static void test_malformed_options(void **state)
{
    (void)state;
    refused(&(vr_run_options){.version = 1}, "version 1");
    refused(&(vr_run_options){.version = 0}, "VR_RUN_OPTIONS_INIT");
    refused(&(vr_run_options){.version = VR_RUN_OPTIONS_VERSION, .level = ""}, "level");
    refused(&(vr_run_options){.version = VR_RUN_OPTIONS_VERSION, .level = "all"}, "all");
    refused(&(vr_run_options){.version = VR_RUN_OPTIONS_VERSION, .filter = "a=b"}, "'b'");
    refused(&(vr_run_options){.version = VR_RUN_OPTIONS_VERSION, .sample_values = 65536}, "sample");
}

static void test_trace_that_cannot_be_created(void **state)
{
    (void)state;
    vr_run *run;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.trace = scratch_path("no-such-folder/x.h5");
    assert_int_equal(vr_run_open(&run, &options), VR_ERROR_IO);
    assert_message("no-such-folder");
    assert_false(vr_run_is_recording(run));
    assert_int_equal(vr_metric(run, "loss", 1, NULL), VR_OK);
    assert_int_equal(vr_run_close(run), VR_OK);
}

static void test_null_run(void **state)
{
    (void)state;
    const float value = 1;
    uint32_t order[3], same[3];
    vr_run *run = open_run(NULL);
    assert_int_equal(vr_run_order(NULL, 4, 3, order), VR_OK);
    assert_int_equal(vr_run_order(run, 4, 3, same), VR_OK);
    assert_memory_equal(order, same, sizeof order);
    assert_int_equal(vr_run_seed(NULL, "init"), vr_run_seed(run, "init"));
    assert_int_equal(vr_run_close(run), VR_OK);
    assert_int_equal(vr_record(NULL, VR_FORWARD, "a", "t", VR_SCALAR(VR_F32, &value), NULL), VR_OK);
    assert_int_equal(vr_record_inputs(NULL, VR_FORWARD, "a", "t", VR_SCALAR(VR_F32, &value), NULL, 0), VR_OK);
    assert_int_equal(vr_metric(NULL, "loss", 1, NULL), VR_OK);
    assert_int_equal(vr_record_evaluation(NULL, NULL), VR_OK);
    assert_int_equal(vr_run_note(NULL, "a", "b"), VR_OK);
    assert_int_equal(vr_run_step(NULL, 0), VR_OK);
    assert_false(vr_run_is_recording(NULL));
    assert_null(vr_run_trace(NULL));
    vr_mark(NULL);
    assert_int_equal(vr_run_close(NULL), VR_OK);
}

/* The seed for a purpose in a replica of a run that varies these. */
static uint64_t seed_of(const char *vary, uint64_t replica, uint64_t seed, const char *purpose)
{
    const vr_run_options options = {
        .version = VR_RUN_OPTIONS_VERSION, .vary = vary, .replica = &replica, .seed = &seed};
    vr_run *run = open_run(&options);
    const uint64_t derived = vr_run_seed(run, purpose);
    assert_int_equal(vr_run_seed(run, purpose), derived);
    assert_int_equal(vr_run_close(run), VR_OK);
    return derived;
}

static void test_seeds_by_purpose(void **state)
{
    (void)state;
    assert_true(seed_of("", 0, 1, "init") != seed_of("", 0, 1, "order"));
    assert_true(seed_of("", 0, 1, "init") != seed_of("", 0, 2, "init"));
    assert_true(seed_of("", 0, 1, "init") == seed_of("", 9, 1, "init"));
}

static void test_only_named_purposes_vary(void **state)
{
    (void)state;
    const char *const vary = "order,dropout";
    assert_true(seed_of(vary, 1, 1, "order") != seed_of(vary, 2, 1, "order"));
    assert_true(seed_of(vary, 1, 1, "dropout") != seed_of(vary, 2, 1, "dropout"));
    assert_true(seed_of(vary, 1, 1, "order") == seed_of(vary, 1, 1, "order"));
    assert_true(seed_of(vary, 1, 1, "init") == seed_of("", 0, 1, "init"));
    assert_true(seed_of(vary, 1, 1, "drop") == seed_of("", 0, 1, "drop"));
    assert_true(seed_of(vary, 1, 1, "order,dropout") != seed_of(vary, 1, 1, "order"));
}

static void test_replica_is_drawn_when_not_given(void **state)
{
    (void)state;
    setenv("VR_VARY", "init", 1);
    vr_run *a = open_run(NULL), *b = open_run(NULL);
    assert_true(vr_run_seed(a, "init") != vr_run_seed(b, "init"));
    assert_true(vr_run_seed(a, "order") == vr_run_seed(b, "order"));
    vr_run_close(a);
    vr_run_close(b);
    setenv("VR_REPLICA", "3", 1);
    a = open_run(NULL);
    assert_int_equal(vr_run_seed(a, "init"), seed_of("init", 3, 1, "init"));
    vr_run_close(a);
}

static void test_order_is_a_permutation_that_repeats(void **state)
{
    (void)state;
    enum { N = 1000 };
    uint32_t order[N], again[N], next[N];
    bool seen[N] = {false};
    const char *path = scratch_path("order.h5");
    vr_run *run = open_at(path);
    assert_int_equal(vr_run_order(run, 3, N, order), VR_OK);
    assert_int_equal(vr_run_order(run, 3, N, again), VR_OK);
    assert_int_equal(vr_run_order(run, 4, N, next), VR_OK);
    assert_memory_equal(order, again, sizeof order);
    assert_memory_not_equal(order, next, sizeof order);
    for (int i = 0; i < N; i++) {
        assert_true(order[i] < N && !seen[order[i]]);
        seen[order[i]] = true;
    }
    assert_int_equal(vr_run_order(run, 0, 0, order), VR_OK);
    vr_trace *trace = close_and_open(run, path);
    const vr_trace_record record = record_at(trace, 0);
    const vr_site *site = &vr_trace_sites(trace)[record.site];
    assert_int_equal(site->phase, VR_INPUT);
    assert_string_equal(site->layer, "order");
    assert_string_equal(site->name, "permutation");
    assert_string_equal(vr_trace_name(trace, site->inputs[0]), "seed:order");
    assert_int_equal(record.epoch, 3);
    vr_trace_close(trace);
}

static void test_path_with_process_and_rank(void **state)
{
    (void)state;
    char expected[64];
    setenv("OMPI_COMM_WORLD_RANK", "5", 1);
    setenv("OMPI_COMM_WORLD_SIZE", "8", 1);
    snprintf(expected, sizeof expected, "run-%ld-5-100%%.h5", (long)getpid());
    vr_run *run = open_at(scratch_path("run-%%p-%%r-100%%.h5"));
    assert_string_equal(vr_run_trace(run), scratch_path("%s", expected));
    assert_int_equal(vr_run_close(run), VR_OK);
    assert_exists(scratch_path("%s", expected), 1);
}

static void test_notes(void **state)
{
    (void)state;
    char long_text[4098];
    const char *path = scratch_path("notes.h5");
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    vr_run *run = open_at(path);
    assert_int_equal(vr_run_note(run, "data", "first"), VR_OK);
    assert_int_equal(vr_run_note(run, "data", "digits\n\"8x8\""), VR_OK);
    assert_int_equal(vr_run_note(run, "fault", ""), VR_OK);
    assert_int_equal(vr_run_note(run, NULL, "x"), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_run_note(run, "", "x"), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_run_note(run, "x", NULL), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_run_note(run, "x", "\xff"), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_run_note(run, "\xff", "x"), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_run_note(run, "x", long_text), VR_ERROR_ARGUMENT);
    vr_trace *trace = close_and_open(run, path);
    says(trace, "notes", "data", "digits\n\"8x8\"");
    says(trace, "notes", "fault", "");
    vr_trace_close(trace);
}

static void test_metrics_keep_their_value(void **state)
{
    (void)state;
    static const double values[] = {0.1, -0.0, INFINITY, -INFINITY, NAN};
    const char *path = scratch_path("metrics.h5");
    vr_run *run = open_at(path);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(vr_metric(run, "loss", values[i], "loss/out", NULL), VR_OK);
    vr_trace *trace = close_and_open(run, path);
    for (size_t i = 0; i < 5; i++) {
        const vr_trace_record record = record_at(trace, i);
        vr_digest digest;
        const vr_tensor tensor = VR_SCALAR(VR_F64, &values[i]);
        assert_int_equal(vr_digest_tensor(&digest, &tensor), VR_OK);
        assert_true(vr_digest_equal(digest, record.digest));
        assert_true(isfinite(values[i])
                        ? record.stats.min == values[i] && !signbit(record.stats.min) == !signbit(values[i])
                        : record.stats.nan + record.stats.pos_inf + record.stats.neg_inf == 1);
    }
    assert_int_equal(vr_trace_sites(trace)[0].phase, VR_METRIC);
    assert_string_equal(vr_trace_sites(trace)[0].layer, "metric");
    vr_trace_close(trace);
}

static void test_evaluation_with_groups(void **state)
{
    (void)state;
    static const char *const names[] = {"ids", "labels", "predictions", "probabilities", "group:male", "classes"};
    static const int32_t labels[] = {0, 1, 1}, predictions[] = {0, 1, 0}, male[] = {1, 0, 1};
    static const float probabilities[] = {.9f, .1f, .2f, .8f, .6f, .4f};
    const vr_evaluation evaluation = {.version = VR_EVALUATION_VERSION,
                                      .name = "test",
                                      .count = 3,
                                      .labels = labels,
                                      .predictions = predictions,
                                      .probabilities = probabilities,
                                      .classes = 2,
                                      .group_names = (const char *const[]){"male"},
                                      .groups = (const int32_t *const[]){male},
                                      .group_count = 1,
                                      .inputs = (const char *const[]){"fc/out"},
                                      .input_count = 1};
    const char *path = scratch_path("evaluation.h5");
    vr_run *run = open_at(path);
    assert_int_equal(vr_record_evaluation(run, &evaluation), VR_OK);
    vr_trace *trace = close_and_open(run, path);
    assert_int_equal(vr_trace_get_info(trace)->record_count, 6);
    for (uint64_t i = 0; i < 6; i++) {
        const vr_trace_record record = record_at(trace, i);
        const vr_site *site = &vr_trace_sites(trace)[record.site];
        assert_int_equal(record.level, VR_LEVEL_FULL);
        assert_string_equal(site->layer, "test");
        assert_string_equal(site->name, names[i]);
        assert_string_equal(vr_trace_name(trace, site->inputs[0]), "fc/out");
    }
    uint64_t ids[3];
    const vr_trace_record record = record_at(trace, 0);
    assert_int_equal(vr_trace_read_values(trace, &record, 0, 3, ids), VR_OK);
    assert_true(ids[0] == 0 && ids[1] == 1 && ids[2] == 2);
    vr_trace_close(trace);
}

static void test_evaluation_that_lacks_something(void **state)
{
    (void)state;
    static const int32_t labels[] = {0};
    static const float probabilities[] = {1};
    vr_run *run = open_at(scratch_path("lacking.h5"));
    vr_evaluation cases[] = {
        {.count = 1, .labels = labels, .predictions = labels},
        {.name = "test", .count = 1, .predictions = labels},
        {.name = "test", .count = 1, .labels = labels},
        {.name = "test", .count = 1, .labels = labels, .predictions = labels, .probabilities = probabilities},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cases[i].version = VR_EVALUATION_VERSION;
        assert_int_equal(vr_record_evaluation(run, &cases[i]), VR_ERROR_ARGUMENT);
        assert_message("are needed");
    }
    assert_int_equal(vr_run_close(run), VR_OK);
}

static void test_names_that_are_refused(void **state)
{
    (void)state;
    char longest[257], input[600];
    const float value = 1;
    const vr_tensor tensor = VR_SCALAR(VR_F32, &value);
    const char *path = scratch_path("names.h5");
    vr_run *run = open_at(path);
    memset(longest, 'n', 256);
    longest[256] = 0;
    static const char *const bad[] = {"", "a\nb", "\x1b[2J", "\x7f", "\xff\xfe", NULL};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(vr_record(run, VR_FORWARD, bad[i], "t", tensor, NULL), VR_ERROR_ARGUMENT);
        assert_int_equal(vr_record(run, VR_FORWARD, "a", bad[i], tensor, NULL), VR_ERROR_ARGUMENT);
        assert_int_equal(vr_record_inputs(run, VR_FORWARD, "a", "t", tensor, &bad[i], 1), VR_ERROR_ARGUMENT);
        assert_int_equal(vr_record_inputs(run, VR_FORWARD, "a", "t", tensor, &bad[i], 1), VR_ERROR_ARGUMENT);
    }
    assert_int_equal(vr_record(run, VR_FORWARD, longest, "t", tensor, NULL), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_record(run, VR_FORWARD, "a", longest, tensor, NULL), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_record(run, VR_FORWARD, "a", "b/c", tensor, NULL), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_record(run, (vr_phase)0, "a", "b", tensor, NULL), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_record(run, (vr_phase)9, "a", "b", tensor, NULL), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_record(run, VR_FORWARD, "a", "b", VR_TENSOR(VR_F32, &value, -1), NULL), VR_ERROR_SHAPE);
    assert_int_equal(vr_record(run, VR_FORWARD, "a", "b", VR_TENSOR(VR_F32, NULL, 1), NULL), VR_ERROR_ARGUMENT);
    longest[255] = 0;
    snprintf(input, sizeof input, "evaluation:%s/%s", longest, longest); /* the longest name there can be */
    assert_int_equal(vr_record(run, VR_EVALUATION, longest, longest, tensor, input, NULL), VR_OK);
    assert_int_equal(vr_record(run, VR_FORWARD, "a/b", "t", tensor, NULL), VR_OK);
    vr_trace *trace = close_and_open(run, path);
    assert_int_equal(vr_trace_get_info(trace)->record_count, 2);
    assert_string_equal(vr_trace_name(trace, vr_trace_sites(trace)[0].inputs[0]), input);
    vr_trace_close(trace);
}

static void test_steps_count_from_one_after_the_setup(void **state)
{
    (void)state;
    const char *path = scratch_path("steps.h5");
    vr_run *run = open_at(path);
    for (uint32_t step = 0; step < 4; step++) {
        if (step > 0)
            assert_int_equal(vr_run_step(run, 7), VR_OK);
        assert_int_equal(vr_metric(run, "loss", step, NULL), VR_OK);
    }
    vr_trace *trace = close_and_open(run, path);
    assert_int_equal(vr_trace_get_info(trace)->step_count, 4);
    for (uint64_t step = 0; step < 4; step++) {
        assert_int_equal(vr_trace_steps(trace)[step].step, step);
        assert_int_equal(vr_trace_steps(trace)[step].epoch, step ? 7 : 0);
        assert_int_equal(record_at(trace, step).step, step);
    }
    vr_trace_close(trace);
}

static void test_second_run_on_the_same_path(void **state)
{
    (void)state;
    const char *path = scratch_path("twice.h5");
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.trace = path;
    vr_run *first = open_at(path), *second;
    assert_int_equal(vr_run_open(&second, &options), VR_ERROR_IO);
    assert_message("another run");
    assert_int_equal(vr_run_close(second), VR_OK);
    assert_int_equal(vr_metric(first, "loss", 1, NULL), VR_OK);
    vr_trace *trace = close_and_open(first, path);
    assert_int_equal(vr_trace_get_info(trace)->record_count, 1);
    vr_trace_close(trace);
    assert_int_equal(vr_run_close(open_at(path)), VR_OK); /* now it may */
}

static void test_existing_trace_stays_until_close(void **state)
{
    (void)state;
    const char *path = scratch_path("existing.h5");
    vr_run *run = open_at(path);
    vr_metric(run, "loss", 1, NULL);
    assert_int_equal(vr_run_close(run), VR_OK);
    run = open_at(path);
    vr_trace *trace = open_trace(path);
    assert_int_equal(vr_trace_get_info(trace)->record_count, 1);
    vr_trace_close(trace);
    trace = close_and_open(run, path);
    assert_int_equal(vr_trace_get_info(trace)->record_count, 0);
    vr_trace_close(trace);
}

#define TEST(name) cmocka_unit_test_setup(name, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_options_win_over_the_environment),
        TEST(test_environment_alone),
        TEST(test_nothing_to_record),
        TEST(test_malformed_variables),
        TEST(test_malformed_options),
        TEST(test_trace_that_cannot_be_created),
        TEST(test_null_run),
        TEST(test_seeds_by_purpose),
        TEST(test_only_named_purposes_vary),
        TEST(test_replica_is_drawn_when_not_given),
        TEST(test_order_is_a_permutation_that_repeats),
        TEST(test_path_with_process_and_rank),
        TEST(test_notes),
        TEST(test_metrics_keep_their_value),
        TEST(test_evaluation_with_groups),
        TEST(test_evaluation_that_lacks_something),
        TEST(test_names_that_are_refused),
        TEST(test_steps_count_from_one_after_the_setup),
        TEST(test_second_run_on_the_same_path),
        TEST(test_existing_trace_stays_until_close),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
