/* Evaluations from the call that records them to the calls that read them, from every kind of file. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <hdf5.h>
#include <libtrace/journal.h>
#include <scratch.h>
#include <varanalyze/archive.h>
#include <varanalyze/capture.h>
#include <varanalyze/evaluation.h>

enum { N = 5, CLASSES = 3 };

static const uint64_t ids[N] = {7, UINT64_MAX, 3, 0, 1u << 31};
static const int32_t labels[N] = {0, 1, 2, 0, 1}, predictions[N] = {0, 2, 2, -1, 1}, young[N] = {1, 0, 1, 1, -5};
static const float losses[N] = {0.5f, 2, 0.25f, NAN, INFINITY};
static const double set_loss = 0.6875;
static double probabilities[N][CLASSES];

static vr_evaluation full_evaluation(void)
{
    static const char *const values[] = {"no", "yes", NULL}, *const *const all_values[] = {values, NULL};
    static const char *const names[] = {"young", "label again"};
    static const int32_t *const groups[] = {young, labels};
    for (int i = 0; i < N; i++)
        for (int c = 0; c < CLASSES; c++)
            probabilities[i][c] = i == 3 ? NAN : (i + 1) / 8. + c;
    return (vr_evaluation){.version = VR_EVALUATION_VERSION,
                           .name = "test",
                           .count = N,
                           .classes = CLASSES,
                           .ids = ids,
                           .labels = labels,
                           .predictions = predictions,
                           .probabilities = probabilities,
                           .probabilities_type = VR_F64,
                           .losses = losses,
                           .loss = &set_loss,
                           .group_count = 2,
                           .group_names = names,
                           .groups = groups,
                           .group_values = all_values};
}

/* Only what is needed. */
static vr_evaluation small_evaluation(void)
{
    return (vr_evaluation){VR_EVALUATION_VERSION, .name = "small", .count = N, .labels = labels, .predictions = labels};
}

static vr_run *open_run(const char *path, const char *filter, const char *perturb)
{
    vr_run *run;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.trace = path;
    options.filter = filter;
    options.perturb = perturb;
    assert_int_equal(vr_run_open(&run, &options), VR_OK);
    return run;
}

static vr_trace *open_trace(const char *path)
{
    vr_trace *trace;
    if (vr_trace_open(&trace, path) != VR_OK)
        fail_msg("%s", vr_error());
    return trace;
}

static uint64_t evaluations_of(vr_trace *trace, const vr_evaluation_info **all)
{
    uint64_t count;
    if (vr_trace_evaluations(trace, all, &count) != VR_OK)
        fail_msg("%s", vr_error());
    return count;
}

static void same(const void *a, const void *b, size_t size)
{
    assert_memory_equal(a, b, size);
}

/* Every stretch of every column. */
static void holds_full(vr_trace *trace, const vr_evaluation_info *e)
{
    uint64_t id[N];
    int32_t integer[N];
    double real[N * CLASSES];
    for (int64_t first = 0; first <= N; first++)
        for (int64_t n = 0; n <= N - first; n++) {
            assert_int_equal(vr_evaluation_ids(trace, e, first, n, id), VR_OK);
            same(id, ids + first, (size_t)n * sizeof *id);
            assert_int_equal(vr_evaluation_labels(trace, e, first, n, integer), VR_OK);
            same(integer, labels + first, (size_t)n * sizeof *integer);
            assert_int_equal(vr_evaluation_predictions(trace, e, first, n, integer), VR_OK);
            same(integer, predictions + first, (size_t)n * sizeof *integer);
            assert_int_equal(vr_evaluation_group(trace, e, 0, first, n, integer), VR_OK);
            same(integer, young + first, (size_t)n * sizeof *integer);
            assert_int_equal(vr_evaluation_probabilities(trace, e, first, n, real), VR_OK);
            same(real, probabilities[first], (size_t)n * sizeof probabilities[0]);
            assert_int_equal(vr_evaluation_losses(trace, e, first, n, real), VR_OK);
            for (int64_t i = 0; i < n; i++)
                assert_true(real[i] == losses[first + i] || (isnan(real[i]) && isnan(losses[first + i])));
        }
}

static void is_full(vr_trace *trace, const vr_evaluation_info *e, uint64_t step)
{
    assert_string_equal(e->name, "test");
    assert_true(e->step == step && e->count == N && e->classes == CLASSES && e->has_loss && e->loss == set_loss);
    assert_true(e->probabilities_type == VR_F64 && e->losses_type == VR_F32 && e->group_count == 2);
    assert_string_equal(e->groups[0].name, "young");
    assert_string_equal(e->groups[1].name, "label again");
    assert_int_equal(e->groups[0].value_count, 2);
    assert_string_equal(e->groups[0].values[0], "no");
    assert_string_equal(e->groups[0].values[1], "yes");
    assert_true(!e->groups[1].values && !e->groups[1].value_count);
    holds_full(trace, e);
}

static void is_small(vr_trace *trace, const vr_evaluation_info *e)
{
    uint64_t id[N];
    double real[N];
    int32_t integer[N];
    assert_string_equal(e->name, "small");
    assert_true(e->count == N && e->classes == 0 && !e->has_loss && isnan(e->loss) && e->group_count == 0);
    assert_true(!e->probabilities_type && !e->losses_type && !e->probabilities.level && !e->losses.level);
    assert_int_equal(vr_evaluation_ids(trace, e, 0, N, id), VR_OK);
    for (uint64_t i = 0; i < N; i++)
        assert_int_equal(id[i], i);
    assert_int_equal(vr_evaluation_probabilities(trace, e, 0, 1, real), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_evaluation_losses(trace, e, 0, 1, real), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_evaluation_group(trace, e, 0, 0, 1, integer), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_evaluation_labels(trace, e, 3, 3, integer), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_evaluation_ids(trace, e, -1, 1, id), VR_ERROR_ARGUMENT);
}

/* Two sets in two steps and the setup, among other records. */
static void record_some(vr_run *run)
{
    const vr_evaluation full = full_evaluation(), small = small_evaluation();
    assert_int_equal(vr_record_evaluation(run, &small), VR_OK);
    for (int step = 1; step <= 2; step++) {
        assert_int_equal(vr_run_step(run, (uint32_t)step + 4), VR_OK);
        assert_int_equal(vr_metric(run, "loss", step, NULL), VR_OK);
        assert_int_equal(vr_record_evaluation(run, &full), VR_OK);
        assert_int_equal(vr_metric(run, "accuracy", step, NULL), VR_OK);
    }
}

static void has_some(const char *path)
{
    vr_trace *trace = open_trace(path);
    const vr_evaluation_info *all, *again;
    assert_int_equal(evaluations_of(trace, &all), 3);
    is_small(trace, &all[0]);
    is_full(trace, &all[1], 1);
    is_full(trace, &all[2], 2);
    assert_int_equal(all[2].epoch, 6);
    assert_true(vr_digest_equal(all[1].predictions.digest, all[2].predictions.digest));
    assert_int_equal(evaluations_of(trace, &again), 3);
    assert_ptr_equal(all, again);
    vr_trace_close(trace);
}

/* ---- the kinds of file ---- */

static void test_every_kind_of_file(void **state)
{
    (void)state;
    const char *path = scratch_path("kinds.h5"), *archive = scratch_path("kinds.tar");
    char *member = NULL;
    vr_run *run = open_run(path, NULL, NULL);
    record_some(run);
    has_some(path); /* the journal of a run that goes on */
    copy_file(scratch_path("left.h5.journal"), scratch_path("kinds.h5.journal"));
    assert_int_equal(vr_run_close(run), VR_OK);
    has_some(path);
    has_some(scratch_path("left.h5")); /* one that was killed */

    vr_trace *left = open_trace(scratch_path("left.h5"));
    assert_int_equal(vr_trace_write(left, scratch_path("recovered.h5")), VR_OK);
    vr_trace_close(left);
    has_some(scratch_path("recovered.h5"));

    const vr_addition file = {path, "a.h5"};
    assert_int_equal(vr_archive_append(archive, &file, 1, VR_TAKEN_NUMBER, false, &member, NULL), VR_OK);
    free(member);
    has_some(scratch_path("kinds.tar:a.h5"));
}

static void test_no_evaluations(void **state)
{
    (void)state;
    const vr_evaluation_info *all;
    const char *path = scratch_path("none.h5");
    vr_run *run = open_run(path, NULL, NULL);
    assert_int_equal(vr_metric(run, "loss", 1, NULL), VR_OK);
    assert_int_equal(vr_run_close(run), VR_OK);
    vr_trace *trace = open_trace(path);
    assert_int_equal(evaluations_of(trace, &all), 0);
    vr_trace_close(trace);
}

static void test_no_samples(void **state)
{
    (void)state;
    const vr_evaluation_info *all;
    const char *path = scratch_path("empty.h5");
    vr_run *run = open_run(path, NULL, NULL);
    assert_int_equal(vr_record_evaluation(run, &(vr_evaluation){VR_EVALUATION_VERSION, .name = "nobody"}), VR_OK);
    assert_int_equal(vr_run_close(run), VR_OK);
    vr_trace *trace = open_trace(path);
    assert_int_equal(evaluations_of(trace, &all), 1);
    assert_int_equal(all[0].count, 0);
    assert_int_equal(vr_evaluation_ids(trace, &all[0], 0, 0, NULL), VR_OK);
    vr_trace_close(trace);
}

/* A file without its list of evaluations, as older writers made them; and lists that are wrong. */
static void replace_list(const char *path, const uint64_t *numbers, hsize_t count)
{
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0 && H5Ldelete(file, "evaluations", H5P_DEFAULT) >= 0);
    if (numbers) { /* NULL: none */
        const hid_t space = H5Screate_simple(1, &count, NULL);
        const hid_t set =
            H5Dcreate2(file, "evaluations", H5T_NATIVE_UINT64, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        assert_true(H5Dwrite(set, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers) >= 0);
        H5Dclose(set);
        H5Sclose(space);
    }
    H5Fclose(file);
}

static void test_list_of_evaluations(void **state)
{
    (void)state;
    const char *path = scratch_path("list.h5");
    vr_run *run = open_run(path, NULL, NULL);
    record_some(run);
    assert_int_equal(vr_run_close(run), VR_OK);
    replace_list(path, (const uint64_t[]){1, 0}, 2);
    static const struct {
        uint64_t numbers[4];
        hsize_t count;
        bool fine;
        uint64_t evaluations;
    } cases[] = {{{0, 1, 2, 3}, 4, true, 1}, {{0, 1, 3}, 3, true, 0}, {{4}, 1, true, 0},
                 {{1, 0}, 2, false, 0},      {{0, 0}, 2, false, 0},   {{1000}, 1, false, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const vr_evaluation_info *all;
        uint64_t count;
        replace_list(path, cases[i].numbers, cases[i].count);
        vr_trace *trace = open_trace(path);
        assert_int_equal(vr_trace_evaluations(trace, &all, &count), cases[i].fine ? VR_OK : VR_ERROR_FORMAT);
        assert_int_equal(count, cases[i].evaluations);
        vr_trace_close(trace);
    }
    replace_list(path, NULL, 0);
    has_some(path);
}

/* What vr_record made of an evaluation before there were classes: whole in a step that is. */
static void test_evaluations_of_older_writers(void **state)
{
    (void)state;
    static const int64_t old_ids[N] = {4, 3, 2, 1, -1};
    const vr_evaluation_info *all;
    uint64_t id[N];
    const char *path = scratch_path("older.h5");
    vr_run *run = open_run(path, "evaluation:*=full", NULL);
    for (uint32_t step = 0; step < 3; step++) {
        if (step > 0)
            assert_int_equal(vr_run_step(run, step), VR_OK);
        vr_record(run, VR_EVALUATION, "test", "ids", VR_TENSOR(VR_I64, old_ids, N), NULL);
        vr_record(run, VR_EVALUATION, "test", "labels", VR_TENSOR(VR_I32, labels, N), NULL);
        if (step != 1)
            vr_record(run, VR_EVALUATION, "test", "predictions", VR_TENSOR(VR_I32, predictions, N), NULL);
    }
    copy_file(scratch_path("broken.h5.journal"), scratch_path("older.h5.journal"));
    assert_int_equal(vr_run_close(run), VR_OK);
    vr_trace *trace = open_trace(path);
    assert_int_equal(evaluations_of(trace, &all), 2);
    assert_true(all[0].step == 0 && all[1].step == 2);
    assert_int_equal(vr_evaluation_ids(trace, &all[1], 0, N, id), VR_OK);
    assert_true(id[0] == 4 && id[4] == UINT64_MAX);
    vr_trace_close(trace);
    trace = open_trace(scratch_path("broken.h5")); /* broke off in step 2 */
    assert_int_equal(evaluations_of(trace, &all), 1);
    vr_trace_close(trace);
}

/* Wherever the journal is cut off, whole evaluations are read, all that were, and nothing else. */
static void test_cut_off_anywhere(void **state)
{
    (void)state;
    const char *path = scratch_path("cut.h5"), *cut = scratch_path("cut-off.h5");
    vr_journal_header header;
    size_t size;
    vr_run *run = open_run(path, NULL, NULL);
    record_some(run);
    uint8_t *bytes = load_file(scratch_path("cut.h5.journal"), &size);
    assert_int_equal(vr_run_close(run), VR_OK);
    memcpy(&header, bytes, sizeof header);
    assert_true(header.tail == 0 && header.head < size);
    uint64_t before = 0;
    for (size_t end = 0; end <= header.head; end += 8) {
        const vr_evaluation_info *all;
        save_file(scratch_path("cut-off.h5.journal"), bytes, VR_JOURNAL_PAGE + end);
        vr_trace *trace = open_trace(cut);
        const uint64_t count = evaluations_of(trace, &all);
        assert_true(count == before || count == before + 1);
        for (uint64_t i = 1; i < count; i++)
            is_full(trace, &all[i], i);
        before = count;
        vr_trace_close(trace);
    }
    assert_int_equal(before, 3);
    free(bytes);
}

/* ---- what stands beside them ---- */

typedef struct worker {
    vr_run *run;
    const char *name;
} worker;

static void *record_many(void *argument)
{
    const worker *w = argument;
    vr_evaluation e = full_evaluation();
    e.name = w->name;
    for (int i = 0; i < 100; i++)
        if (vr_record_evaluation(w->run, &e) != VR_OK || vr_metric(w->run, w->name, i, NULL) != VR_OK)
            return argument;
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    static const char *const names[THREADS] = {"test", "validation", "test", "train"};
    const vr_evaluation_info *all;
    const char *path = scratch_path("threads.h5");
    pthread_t threads[THREADS];
    worker workers[THREADS];
    vr_run *run = open_run(path, NULL, NULL);
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){run, names[i]};
        assert_int_equal(pthread_create(&threads[i], NULL, record_many, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(vr_run_close(run), VR_OK);
    vr_trace *trace = open_trace(path);
    assert_int_equal(evaluations_of(trace, &all), 400);
    for (int i = 0; i < 400; i++) {
        assert_int_equal(all[i].group_count, 2);
        holds_full(trace, &all[i]);
    }
    vr_trace_close(trace);
}

static uint64_t count_with(const char *filter, const char *level)
{
    const vr_evaluation_info *all;
    const char *path = scratch_path("filtered.h5");
    setenv("VR_LEVEL", level, 1);
    vr_run *run = open_run(path, filter, NULL);
    record_some(run);
    unsetenv("VR_LEVEL");
    assert_int_equal(vr_run_close(run), VR_OK);
    vr_trace *trace = open_trace(path);
    const uint64_t count = evaluations_of(trace, &all);
    vr_trace_close(trace);
    return count;
}

/* All or nothing, and nothing only where a rule says so of the phase. */
static void test_filters(void **state)
{
    (void)state;
    assert_int_equal(count_with(NULL, "hash"), 3);
    assert_int_equal(count_with("*=off", "stats"), 3);
    assert_int_equal(count_with("test=hash/7", "stats"), 3);
    assert_int_equal(count_with("evaluation:*=hash", "stats"), 3);
    assert_int_equal(count_with("evaluation:test=off", "stats"), 1);
    assert_int_equal(count_with("evaluation:test=full/2", "stats"), 2); /* step 2 */
    assert_int_equal(count_with(NULL, "off"), 0);
}

static void test_never_perturbed(void **state)
{
    (void)state;
    const char *path = scratch_path("perturbed.h5");
    vr_run *run = open_run(path, NULL, "*=bit:2");
    record_some(run);
    assert_int_equal(vr_run_close(run), VR_OK);
    has_some(path);
}

/* ---- what is refused ---- */

static void refuse(vr_run *run, const vr_evaluation *e, const char *words)
{
    assert_int_equal(vr_record_evaluation(run, e), VR_ERROR_ARGUMENT);
    assert_message(words);
}

#define REFUSE(words, ...)                                                                                             \
    do {                                                                                                               \
        vr_evaluation e = full_evaluation();                                                                           \
        __VA_ARGS__;                                                                                                   \
        refuse(run, &e, words);                                                                                        \
    } while (0)

static void test_refused_as_a_whole(void **state)
{
    (void)state;
    static const uint64_t twice[N] = {5, 9, 1, 9, 2};
    static const int32_t high[N] = {0, 0, 3, 0, 0}, low[N] = {0, -1, 0, 0, 0}, lower[N] = {0, -2, 0, 0, 0};
    const char *const equal_names[] = {"young", "young"}, *const no_name[] = {"young", NULL};
    const char *const bad_name[] = {"a", "b/c"}, *const bad_text[] = {"a", "\xff"},
                      *const bad_values[] = {"\x01", NULL};
    const char *const *const values[] = {bad_values, NULL};
    const char *const bad_input[] = {""};
    char *long_name = calloc(1, 301);
    const char *const long_names[] = {memset(long_name, 'n', 300), "b"};
    const char *path = scratch_path("refused.h5");
    vr_run *run = open_run(path, NULL, NULL);
    REFUSE("version", e.version = 0);
    REFUSE("version", e.version = VR_EVALUATION_VERSION + 1);
    REFUSE("the id 9", e.ids = twice);
    REFUSE("label 2 is 3", e.labels = high);
    REFUSE("label 1 is -1", e.labels = low);
    REFUSE("prediction 2 is 3", e.predictions = high);
    REFUSE("prediction 1 is -2", e.predictions = lower);
    REFUSE("classes", e.classes = 0);
    REFUSE("f32 or f64", e.probabilities_type = VR_F16);
    REFUSE("f32 or f64", e.losses_type = VR_I32);
    REFUSE("two groups", e.group_names = equal_names);
    REFUSE("group 1", e.group_names = no_name);
    REFUSE("group 0", e.groups = NULL);
    REFUSE("too long", e.group_names = long_names);
    REFUSE("'/'", e.group_names = bad_name);
    REFUSE("UTF-8", e.group_names = bad_text);
    REFUSE("UTF-8", e.group_values = values);
    REFUSE("layer", e.name = "");
    REFUSE("UTF-8", e.name = "\n");
    REFUSE("input", e.inputs = bad_input; e.input_count = 1);
    assert_int_equal(vr_run_close(run), VR_OK);
    vr_trace *trace = open_trace(path);
    assert_int_equal(vr_trace_get_info(trace)->record_count, 0);
    vr_trace_close(trace);
    free(long_name);
}

/* Without a number of classes nothing is known of what labels may be. */
static void test_labels_of_no_classes(void **state)
{
    (void)state;
    static const int32_t any[N] = {-7, INT32_MAX, INT32_MIN, 0, 1};
    vr_run *run = open_run(scratch_path("any.h5"), NULL, NULL);
    vr_evaluation e = small_evaluation();
    e.labels = e.predictions = any;
    assert_int_equal(vr_record_evaluation(run, &e), VR_OK);
    assert_int_equal(vr_run_close(run), VR_OK);
}

/* Records that someone made by hand and that are no evaluation are records all the same. */
static void test_records_that_are_no_evaluation(void **state)
{
    (void)state;
    static const float reals[N];
    const int64_t classes = -1;
    const vr_evaluation_info *all;
    const char *path = scratch_path("by-hand.h5");
    vr_run *run = open_run(path, "evaluation:*=full", NULL);
    vr_record(run, VR_EVALUATION, "a", "predictions", VR_TENSOR(VR_I32, labels, N), NULL); /* no ids before it */
    vr_record(run, VR_EVALUATION, "b", "ids", VR_TENSOR(VR_U64, ids, N), NULL);
    vr_record(run, VR_EVALUATION, "b", "labels", VR_TENSOR(VR_I32, labels, N), NULL);
    vr_record(run, VR_EVALUATION, "b", "predictions", VR_TENSOR(VR_I32, labels, N - 1), NULL); /* too few */
    vr_record(run, VR_EVALUATION, "b", "classes", VR_SCALAR(VR_I64, &classes), NULL);
    vr_record(run, VR_EVALUATION, "c", "ids", VR_TENSOR(VR_U64, ids, N), NULL);
    vr_record(run, VR_EVALUATION, "c", "labels", VR_TENSOR(VR_F32, reals, N), NULL); /* of another type */
    vr_record(run, VR_EVALUATION, "c", "predictions", VR_TENSOR(VR_I32, labels, N), NULL);
    vr_record(run, VR_EVALUATION, "c", "group:x", VR_TENSOR(VR_F32, reals, N), NULL);
    vr_record(run, VR_EVALUATION, "c", "classes", VR_TENSOR(VR_I64, ids, N), NULL);
    assert_int_equal(vr_run_close(run), VR_OK);
    vr_trace *trace = open_trace(path);
    assert_int_equal(vr_trace_get_info(trace)->record_count, 10);
    assert_int_equal(evaluations_of(trace, &all), 0);
    vr_trace_close(trace);
}

/* One without its last column, in a step that was finished; and one whose columns stand in two steps. */
static void test_evaluations_that_are_not_whole(void **state)
{
    (void)state;
    const int64_t classes = CLASSES;
    const vr_evaluation_info *all;
    const char *path = scratch_path("parts.h5");
    vr_run *run = open_run(path, "evaluation:*=full", NULL);
    for (int split = 0; split < 2; split++) {
        vr_record(run, VR_EVALUATION, "a", "ids", VR_TENSOR(VR_U64, ids, N), NULL);
        vr_record(run, VR_EVALUATION, "a", "labels", VR_TENSOR(VR_I32, labels, N), NULL);
        vr_record(run, VR_EVALUATION, "a", "predictions", VR_TENSOR(VR_I32, predictions, N), NULL);
        vr_run_step(run, 0);
        if (split)
            vr_record(run, VR_EVALUATION, "a", "classes", VR_SCALAR(VR_I64, &classes), NULL);
    }
    vr_run_step(run, 0);
    assert_int_equal(vr_run_close(run), VR_OK);
    vr_trace *trace = open_trace(path);
    assert_int_equal(vr_trace_get_info(trace)->record_count, 7);
    assert_int_equal(evaluations_of(trace, &all), 0);
    vr_trace_close(trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_of_file),
        cmocka_unit_test(test_no_evaluations),
        cmocka_unit_test(test_no_samples),
        cmocka_unit_test(test_list_of_evaluations),
        cmocka_unit_test(test_evaluations_of_older_writers),
        cmocka_unit_test(test_cut_off_anywhere),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_never_perturbed),
        cmocka_unit_test(test_refused_as_a_whole),
        cmocka_unit_test(test_labels_of_no_classes),
        cmocka_unit_test(test_records_that_are_no_evaluation),
        cmocka_unit_test(test_evaluations_that_are_not_whole),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
