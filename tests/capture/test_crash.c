/* Runs that are killed at any time: what they had finished is in the trace, and is what they recorded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <scratch.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <varanalyze/capture.h>
#include <varanalyze/random.h>

#define CHILDREN 100
#define LAYERS   5
#define THREADS  3
#define MOST     20000 /* floats of a tensor */
#define OPENED   UINT32_MAX
#define CLOSING  (UINT32_MAX - 1)

static const char *const layers[LAYERS] = {"hash", "stats", "chunks", "sample", "full"};
static const int64_t sizes[LAYERS] = {2000, 500, MOST, 900, 1500};

/* Tensor `layer` of thread `thread` in a step: told by these three alone. */
static vr_tensor fill(float *values, uint64_t step, unsigned thread, unsigned layer)
{
    uint32_t word = (uint32_t)step * 2654435761u + thread * 40503u + layer * 97u + 1;
    for (int64_t i = 0; i < sizes[layer]; i++)
        values[i] = (float)(int32_t)(word = word * 1664525 + 1013904223) * 0x1p-31f;
    return VR_TENSOR(VR_F32, values, sizes[layer]);
}

static void record_layers(vr_run *run, uint64_t step, unsigned thread)
{
    static _Thread_local float values[MOST];
    char name[16];
    snprintf(name, sizeof name, "t%u", thread);
    for (unsigned layer = 0; layer < LAYERS; layer++)
        if (vr_record(run, VR_FORWARD, layers[layer], name, fill(values, step, thread, layer), "seed:init", NULL) !=
            VR_OK)
            _exit(3);
}

struct worker {
    vr_run *run;
    unsigned thread;
    const uint64_t *step;
    pthread_barrier_t *barrier;
};

static void *work(void *argument)
{
    const struct worker *worker = argument;
    for (;;) {
        pthread_barrier_wait(worker->barrier);
        record_layers(worker->run, *worker->step, worker->thread);
        pthread_barrier_wait(worker->barrier);
    }
    return NULL;
}

static void say(int pipe_end, uint32_t word)
{
    if (write(pipe_end, &word, sizeof word) != sizeof word)
        _exit(4);
}

/* Records as fast as it can, and says which steps are finished. With `last`: closes after that step. */
static void train(const char *path, int pipe_end, unsigned threads, uint64_t last)
{
    vr_run *run;
    pthread_barrier_t barrier;
    pthread_t ids[THREADS];
    struct worker workers[THREADS];
    uint64_t step = 0;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.trace = path;
    options.filter = "hash=hash,stats=stats,chunks=chunks,sample=sample,full=full";
    options.queue_bytes = 131072;
    if (vr_run_open(&run, &options) != VR_OK)
        _exit(2);
    say(pipe_end, OPENED);
    pthread_barrier_init(&barrier, NULL, threads);
    for (unsigned i = 1; i < threads; i++) {
        workers[i] = (struct worker){run, i, &step, &barrier};
        pthread_create(&ids[i], NULL, work, &workers[i]);
    }
    for (; step <= last; step++) {
        if (step > 0 && vr_run_step(run, (uint32_t)step) != VR_OK)
            _exit(3);
        if (step > 0)
            say(pipe_end, (uint32_t)step - 1);
        pthread_barrier_wait(&barrier);
        record_layers(run, step, 0);
        pthread_barrier_wait(&barrier);
    }
    say(pipe_end, CLOSING);
    vr_run_close(run);
    _exit(0);
}

/* What a child said before it died. */
struct heard {
    bool opened, closing;
    int64_t finished; /* the last step; -1: none */
};

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Takes what has come through the pipe; false at its end. */
static bool listen(int pipe_end, struct heard *heard)
{
    uint32_t words[1024];
    const ssize_t n = read(pipe_end, words, sizeof words);
    for (ssize_t i = 0; i < n / (ssize_t)sizeof *words; i++)
        if (words[i] == OPENED)
            heard->opened = true;
        else if (words[i] == CLOSING)
            heard->closing = true;
        else
            heard->finished = words[i];
    return n > 0;
}

/* Kills the child `delay` after it has opened its run, or, with `at_close`, after it began to close it. */
static struct heard kill_in_time(pid_t child, int pipe_end, int64_t delay, bool at_close)
{
    struct heard heard = {.finished = -1};
    struct pollfd poll_for = {.fd = pipe_end, .events = POLLIN};
    int64_t deadline = INT64_MAX;
    while (now_us() < deadline) {
        const int64_t left = deadline == INT64_MAX ? 1000000 : deadline - now_us();
        const struct timespec timeout = {left / 1000000, left % 1000000 * 1000};
        if (left > 0 && ppoll(&poll_for, 1, &timeout, NULL) > 0 && !listen(pipe_end, &heard))
            break;
        if (deadline == INT64_MAX && (at_close ? heard.closing : heard.opened))
            deadline = now_us() + delay;
    }
    kill(child, SIGKILL);
    while (listen(pipe_end, &heard))
        ;
    return heard;
}

static unsigned layer_number(const char *name)
{
    unsigned layer = 0;
    while (layer < LAYERS && strcmp(layers[layer], name) != 0)
        layer++;
    assert_true(layer < LAYERS);
    return layer;
}

static void check_payload(vr_trace *trace, const vr_trace_record *record, const vr_digest *chunks, const float *values)
{
    static float held[MOST];
    vr_digest held_chunks[2];
    if (record->level >= VR_LEVEL_CHUNKS) {
        const size_t count = (size_t)vr_site_chunks(&vr_trace_sites(trace)[record->site]);
        assert_int_equal(vr_trace_read_chunks(trace, record, held_chunks), VR_OK);
        assert_memory_equal(held_chunks, chunks, count * sizeof *chunks);
    }
    if (record->level == VR_LEVEL_FULL) {
        const int64_t count = vr_trace_sites(trace)[record->site].count;
        assert_int_equal(vr_trace_read_values(trace, record, 0, count, held), VR_OK);
        assert_memory_equal(held, values, (size_t)count * sizeof *held);
    }
}

/* A record is what was recorded; gives its bit among those of its step. */
static unsigned check_record(vr_trace *trace, const vr_trace_record *record)
{
    static float values[MOST];
    vr_digest digest, chunks[2];
    vr_stats stats = {0};
    const vr_site *site = &vr_trace_sites(trace)[record->site];
    const unsigned thread = (unsigned)(site->name[1] - '0'), layer = layer_number(site->layer);
    const vr_tensor tensor = fill(values, record->step, thread, layer);
    assert_true(thread < THREADS);
    assert_int_equal(record->level, VR_LEVEL_HASH + layer);
    assert_int_equal(vr_measure(&digest, record->level >= VR_LEVEL_STATS ? &stats : NULL, chunks, &tensor), VR_OK);
    assert_true(vr_digest_equal(digest, record->digest));
    assert_memory_equal(&stats, &record->stats, sizeof stats);
    check_payload(trace, record, chunks, values);
    return 1u << (thread * LAYERS + layer);
}

/* The trace has every step up to `last` whole, and no record of any step that is not what was recorded. */
static void check_trace(vr_trace *trace, unsigned threads, int64_t last)
{
    const vr_trace_info *info = vr_trace_get_info(trace);
    assert_false(info->incomplete);
    assert_true((int64_t)info->step_count > last);
    for (uint64_t i = 0; i < info->step_count; i++) {
        const vr_step *step = &vr_trace_steps(trace)[i];
        unsigned seen = 0;
        assert_int_equal(step->step, i);
        for (uint64_t j = 0; j < step->count; j++) {
            vr_trace_record record;
            assert_int_equal(vr_trace_read_records(trace, step->first + j, 1, &record), VR_OK);
            const unsigned bit = check_record(trace, &record);
            assert_false(seen & bit);
            seen |= bit;
        }
        if ((int64_t)i <= last || step->finished)
            assert_int_equal(seen, (1u << threads * LAYERS) - 1);
        assert_true((int64_t)i > last || step->finished);
    }
}

static vr_trace *open_trace(const char *path)
{
    vr_trace *trace;
    if (vr_trace_open(&trace, path) != VR_OK)
        fail_msg("%s", vr_error());
    return trace;
}

/* Runs a child, kills it, and checks what is left, as it is and as vr_trace_write recovers it. */
static struct heard crash(unsigned number, unsigned threads, int64_t delay, uint64_t last)
{
    const char *path = scratch_path("crash%u.h5", number), *recovered = scratch_path("recovered.h5");
    const bool at_close = last < UINT32_MAX;
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        train(path, ends[1], threads, last);
    }
    close(ends[1]);
    const struct heard heard = kill_in_time(child, ends[0], delay, at_close);
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || (at_close && WEXITSTATUS(status) == 0));
    assert_true(heard.opened);

    vr_trace *trace = open_trace(path);
    check_trace(trace, threads, heard.finished);
    assert_int_equal(vr_trace_write(trace, recovered), VR_OK);
    vr_trace *again = open_trace(recovered);
    assert_int_equal(vr_trace_get_info(again)->record_count, vr_trace_get_info(trace)->record_count);
    check_trace(again, threads, heard.finished);
    if (at_close)
        assert_int_equal(vr_trace_get_info(trace)->record_count, (last + 1) * threads * LAYERS);
    vr_trace_close(again);
    vr_trace_close(trace);
    return heard;
}

static vr_random draw_times(const char *purpose)
{
    const char *given = getenv("CRASH_SEED");
    const uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)now_us();
    print_message("CRASH_SEED=%llu\n", (unsigned long long)seed);
    return vr_random_stream(vr_derive_seed(seed, purpose), 0);
}

static void test_killed_while_recording(void **state)
{
    (void)state;
    vr_random random = draw_times("recording");
    int64_t steps = 0;
    for (unsigned i = 0; i < CHILDREN; i++)
        steps +=
            crash(i, i % 3 == 0 ? THREADS : 1, 1000 + (int64_t)vr_random_below(&random, 59000), UINT32_MAX).finished +
            1;
    print_message("%lld finished steps\n", (long long)steps);
    assert_true(steps > CHILDREN);
}

static void test_killed_while_closing(void **state)
{
    (void)state;
    vr_random random = draw_times("closing");
    for (unsigned i = 0; i < CHILDREN / 4; i++)
        crash(CHILDREN + i, 1, (int64_t)vr_random_below(&random, 8000), 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_while_recording),
        cmocka_unit_test(test_killed_while_closing),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
