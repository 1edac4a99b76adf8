/* The queue between a program and its trace: full, slow, shared by threads, forked, and cut off by limits and full
 * disks.
 *
 * The writer's system call is this program's own, so that a test can hold the writer back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <libtrace/journal.h>
#include <pthread.h>
#include <sched.h>
#include <scratch.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <varanalyze/capture.h>

#define RING    65536
#define THREADS 4

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool shut, waited;
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.shut) {
        gate.waited = true;
        pthread_cond_broadcast(&gate.changed);
        pthread_cond_wait(&gate.changed, &gate.lock);
    }
    pthread_mutex_unlock(&gate.lock);
    return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

static void set_gate(bool shut)
{
    pthread_mutex_lock(&gate.lock);
    gate.shut = shut;
    gate.waited = false;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

/* Waits until the writer stands at the gate. */
static void wait_for_writer(void)
{
    pthread_mutex_lock(&gate.lock);
    while (!gate.waited)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static vr_run *begin(const char *path, const char *level)
{
    vr_run *run;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.trace = path;
    options.level = level;
    options.queue_bytes = RING;
    if (vr_run_open(&run, &options) != VR_OK)
        fail_msg("%s", vr_error());
    return run;
}

/* Values of tensor `number` of a thread. */
static vr_tensor fill(float *values, int64_t count, uint32_t thread, uint32_t number)
{
    for (int64_t i = 0; i < count; i++)
        values[i] = (float)(thread * 1000003u + number * 101u + (uint32_t)i);
    return VR_TENSOR(VR_F32, values, count);
}

static vr_trace *open_trace(const char *path)
{
    vr_trace *trace;
    if (vr_trace_open(&trace, path) != VR_OK)
        fail_msg("%s", vr_error());
    return trace;
}

/* Record `index` of the trace is tensor `number` of a thread, its values too. */
static void check_full(vr_trace *trace, const vr_trace_record *record, uint32_t thread, uint32_t number)
{
    const int64_t count = vr_trace_sites(trace)[record->site].count;
    float *expected = malloc((size_t)count * sizeof *expected), *held = malloc((size_t)count * sizeof *held);
    const vr_tensor tensor = fill(expected, count, thread, number);
    vr_digest digest;
    assert_int_equal(vr_digest_tensor(&digest, &tensor), VR_OK);
    assert_true(vr_digest_equal(digest, record->digest));
    assert_int_equal(vr_trace_read_values(trace, record, 0, count, held), VR_OK);
    assert_memory_equal(held, expected, (size_t)count * sizeof *held);
    free(expected);
    free(held);
}

static void test_much_more_than_the_queue_holds(void **state)
{
    (void)state;
    enum { COUNT = 400, VALUES = 20000 }; /* 32 MB through 64 KiB, each tensor larger than the queue */
    static float values[VALUES];
    const char *path = scratch_path("much.h5");
    vr_run *run = begin(path, "full");
    for (uint32_t i = 0; i < COUNT; i++)
        assert_int_equal(vr_record(run, VR_FORWARD, "a", "t", fill(values, VALUES, 0, i), NULL), VR_OK);
    assert_int_equal(vr_run_close(run), VR_OK);
    vr_trace *trace = open_trace(path);
    assert_int_equal(vr_trace_get_info(trace)->record_count, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        vr_trace_record record;
        assert_int_equal(vr_trace_read_records(trace, i, 1, &record), VR_OK);
        check_full(trace, &record, 0, i);
    }
    vr_trace_close(trace);
}

struct task {
    vr_run *run;
    uint32_t thread, count;
    _Atomic uint32_t done;
    vr_status status;
};

/* Records `count` tensors of 300 values in this thread's name. */
static void *record_many(void *argument)
{
    struct task *task = argument;
    float values[300];
    char name[16];
    snprintf(name, sizeof name, "t%u", task->thread);
    for (; task->done < task->count && task->status == VR_OK; task->done++)
        task->status = vr_record(task->run, VR_FORWARD, "a", name, fill(values, 300, task->thread, task->done), NULL);
    return NULL;
}

/* Waits until a record more would not fit into the ring of a journal: its program waits, or is about to. */
static void wait_until_full(const char *journal, struct task *task)
{
    uint64_t pending = 0;
    while (pending + 2048 < RING) {
        vr_journal *now;
        vr_source file;
        assert_true(task->done < task->count);
        assert_int_equal(vr_source_open(&file, journal, NULL), VR_OK);
        assert_int_equal(vr_journal_open(&now, &file), VR_OK);
        pending = now->header.head - now->header.tail;
        vr_journal_close(now);
        vr_source_close(&file);
        sched_yield();
    }
    assert_true(pending <= RING);
}

static void test_slow_writer_makes_the_caller_wait(void **state)
{
    (void)state;
    const char *path = scratch_path("slow.h5");
    struct task task = {.run = begin(path, "full"), .count = 200}; /* 200 x 1.4 KB: four times the queue */
    pthread_t id;
    set_gate(true);
    assert_int_equal(pthread_create(&id, NULL, record_many, &task), 0);
    wait_for_writer();
    wait_until_full(scratch_path("slow.h5.journal"), &task);
    assert_true(task.done < 60);
    set_gate(false);
    pthread_join(id, NULL);
    assert_int_equal(task.status, VR_OK);
    assert_int_equal(vr_run_close(task.run), VR_OK);
    vr_trace *trace = open_trace(path);
    assert_int_equal(vr_trace_get_info(trace)->record_count, 200);
    assert_false(vr_trace_get_info(trace)->incomplete);
    vr_trace_close(trace);
}

static void test_four_threads_at_once(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    const char *path = scratch_path("threads.h5");
    vr_run *run = begin(path, "full");
    struct task tasks[THREADS] = {0};
    pthread_t ids[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        tasks[i].run = run, tasks[i].thread = i, tasks[i].count = COUNT;
        assert_int_equal(pthread_create(&ids[i], NULL, record_many, &tasks[i]), 0);
    }
    for (uint32_t step = 1; step <= 50; step++)
        assert_int_equal(vr_run_step(run, 0), VR_OK);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(ids[i], NULL);
        assert_int_equal(tasks[i].status, VR_OK);
    }
    assert_int_equal(vr_run_close(run), VR_OK);

    vr_trace *trace = open_trace(path);
    uint32_t next[THREADS] = {0}; /* each thread's records stand in its order */
    assert_int_equal(vr_trace_get_info(trace)->record_count, THREADS * COUNT);
    for (uint64_t i = 0; i < THREADS * COUNT; i++) {
        vr_trace_record record;
        assert_int_equal(vr_trace_read_records(trace, i, 1, &record), VR_OK);
        const uint32_t thread = (uint32_t)(vr_trace_sites(trace)[record.site].name[1] - '0');
        assert_true(thread < THREADS && record.thread <= THREADS);
        check_full(trace, &record, thread, next[thread]++);
    }
    vr_trace_close(trace);
}

/* Runs `body` in a child process, which a hang ends; its exit status. */
static int in_child(void (*body)(void *), void *argument)
{
    int status;
    const pid_t child = fork();
    if (child == 0) {
        alarm(60);
        body(argument);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void check(bool condition, int line)
{
    if (condition)
        return;
    fprintf(stderr, "line %d: %s\n", line, vr_error());
    _exit(1);
}

#define CHECK(condition) check(condition, __LINE__)

/* All that a forked child can ask of its parent's run. */
static void use_in_child(void *argument)
{
    vr_run *run = argument;
    const float value = 7;
    uint32_t order[4];
    CHECK(vr_record(run, VR_FORWARD, "child", "t", VR_SCALAR(VR_F32, &value), NULL) == VR_ERROR_INCOMPLETE);
    CHECK(vr_metric(run, "child", 1, NULL) == VR_ERROR_INCOMPLETE);
    CHECK(vr_run_step(run, 9) == VR_ERROR_INCOMPLETE);
    CHECK(vr_run_note(run, "child", "was here") == VR_ERROR_INCOMPLETE);
    CHECK(vr_run_order(run, 0, 4, order) == VR_ERROR_INCOMPLETE && order[0] < 4);
    CHECK(vr_run_seed(run, "init") == vr_run_seed(NULL, "init"));
    CHECK(!vr_run_is_recording(run));
    vr_mark(run);
    CHECK(vr_run_close(run) == VR_ERROR_INCOMPLETE);
}

static void test_forked_child_harms_nothing(void **state)
{
    (void)state;
    const char *path = scratch_path("forked.h5");
    struct task task = {.run = begin(path, "full"), .count = 100};
    record_many(&task);
    assert_int_equal(in_child(use_in_child, task.run), 0);
    task.count = 300;
    record_many(&task);
    assert_int_equal(task.status, VR_OK);
    assert_int_equal(vr_run_close(task.run), VR_OK);
    vr_trace *trace = open_trace(path);
    assert_int_equal(vr_trace_get_info(trace)->record_count, 300);
    assert_int_equal(vr_trace_get_info(trace)->step_count, 1);
    assert_true(vr_trace_get_info(trace)->closed);
    assert_null(strstr(vr_trace_get_info(trace)->run, "was here"));
    vr_trace_close(trace);
}

/* The child's copy of the run's lock is held by a thread that it does not have. */
static void test_fork_while_another_thread_records(void **state)
{
    (void)state;
    const char *path = scratch_path("forked-thread.h5");
    struct task task = {.run = begin(path, "full"), .count = 200};
    pthread_t id;
    set_gate(true);
    assert_int_equal(pthread_create(&id, NULL, record_many, &task), 0);
    wait_for_writer();
    wait_until_full(scratch_path("forked-thread.h5.journal"), &task);
    const int status = in_child(use_in_child, task.run);
    set_gate(false);
    pthread_join(id, NULL);
    assert_int_equal(status, 0);
    assert_int_equal(vr_run_close(task.run), VR_OK);
    vr_trace *trace = open_trace(path);
    assert_int_equal(vr_trace_get_info(trace)->record_count, 200);
    vr_trace_close(trace);
}

static void limit_files(rlim_t bytes)
{
    const struct rlimit limit = {bytes, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void note_failure(uint64_t step)
{
    FILE *out = fopen(scratch_path("failed-at"), "w");
    CHECK(out && fprintf(out, "%llu\n", (unsigned long long)step) > 0 && fclose(out) == 0);
}

/* Records steps of ten records until the trace fails, and ten steps more, as if nothing had happened; then closes, with
 * files of at most `close_limit` bytes. */
static void train_until_full(const char *path, const char *level, rlim_t close_limit, vr_status closes)
{
    float values[300];
    char words[64];
    uint64_t failed = 0;
    vr_run *run;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.trace = path;
    options.level = level;
    options.queue_bytes = RING;
    CHECK(vr_run_open(&run, &options) == VR_OK);
    for (uint64_t step = 0; failed == 0 || step < failed + 10; step++) {
        CHECK(step < 100000);
        vr_status status = step ? vr_run_step(run, 0) : VR_OK;
        for (uint32_t i = 0; i < 10; i++)
            if (vr_record(run, VR_FORWARD, "a", "t", fill(values, 300, (uint32_t)step, i), NULL) != VR_OK)
                status = VR_ERROR_INCOMPLETE;
        CHECK(failed == 0 || status == VR_ERROR_INCOMPLETE);
        if (status != VR_OK && failed == 0)
            failed = step;
        CHECK(vr_run_is_recording(run) == (failed == 0));
    }
    note_failure(failed);
    limit_files(close_limit);
    CHECK(vr_run_close(run) == closes);
    snprintf(words, sizeof words, "incomplete from step %llu on", (unsigned long long)failed);
    CHECK(strstr(vr_error(), closes == VR_ERROR_INCOMPLETE ? words : "what was recorded stays in"));
}

/* The trace holds whole all steps before the one that failed, and says why it has no more. */
static void check_incomplete(const char *path, const char *reason, bool full)
{
    unsigned long long failed;
    FILE *file = fopen(scratch_path("failed-at"), "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%llu", &failed), 1);
    fclose(file);
    vr_trace *trace = open_trace(path);
    const vr_trace_info *info = vr_trace_get_info(trace);
    assert_true(info->incomplete);
    assert_false(info->closed);
    assert_int_equal(info->incomplete_step, failed);
    assert_string_equal(info->incomplete_reason, reason);
    assert_true(info->step_count >= failed);
    for (uint64_t i = 0; i < failed * 10; i++) {
        vr_trace_record record;
        assert_int_equal(vr_trace_read_records(trace, i, 1, &record), VR_OK);
        assert_int_equal(record.step, i / 10);
        if (full)
            check_full(trace, &record, (uint32_t)(i / 10), (uint32_t)(i % 10));
    }
    vr_trace_close(trace);
}

static void train_under_limit(void *path)
{
    limit_files(3 << 20);
    train_until_full(path, "hash", 3 << 20,
                     VR_ERROR_INCOMPLETE); /* the folded trace is smaller than the journal: it fits */
}

static void test_limit_on_file_sizes(void **state)
{
    (void)state;
    const char *path = scratch_path("limited.h5");
    assert_int_equal(in_child(train_under_limit, (void *)path), 0);
    assert_exists(scratch_path("limited.h5.journal"), 0);
    check_incomplete(path, "File too large", false);
}

static void train_under_narrow_limit(void *path)
{
    limit_files(300000);
    train_until_full(path, "full", 100000, VR_ERROR_IO);
}

static void test_limit_that_the_fold_does_not_fit(void **state)
{
    (void)state;
    const char *path = scratch_path("narrow.h5");
    assert_int_equal(in_child(train_under_narrow_limit, (void *)path), 0);
    assert_exists(path, 0);
    assert_exists(scratch_path("narrow.h5.journal"), 1);
    check_incomplete(path, "File too large", true);
}

static void open_under_tiny_limit(void *path)
{
    vr_run *run;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    const float value = 1;
    options.trace = path;
    limit_files(30000);
    CHECK(vr_run_open(&run, &options) == VR_ERROR_IO);
    CHECK(strstr(vr_error(), "no room"));
    CHECK(vr_record(run, VR_FORWARD, "a", "t", VR_SCALAR(VR_F32, &value), NULL) == VR_OK);
    CHECK(vr_run_close(run) == VR_OK);
}

static void test_limit_that_the_queue_does_not_fit(void **state)
{
    (void)state;
    const char *path = scratch_path("tiny.h5");
    assert_int_equal(in_child(open_under_tiny_limit, (void *)path), 0);
    assert_exists(scratch_path("tiny.h5.journal"), 0);
}

static void train_on_full_disk(void *path)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s", (const char *)path);
    *strrchr(folder, '/') = 0;
    if ((unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 || mount("small", folder, "tmpfs", 0, "size=600k") != 0)
        _exit(77);
    train_until_full(path, "full", RLIM_INFINITY, VR_ERROR_IO);
    check_incomplete(path, "No space left on device", true); /* the file system ends with this process */
}

static void test_full_file_system(void **state)
{
    (void)state;
    assert_int_equal(mkdir(scratch_path("small"), 0777), 0);
    const int status = in_child(train_on_full_disk, (void *)scratch_path("small/full.h5"));
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("no small file system can be mounted here\n");
        skip();
    }
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_much_more_than_the_queue_holds),
        cmocka_unit_test(test_slow_writer_makes_the_caller_wait),
        cmocka_unit_test(test_four_threads_at_once),
        cmocka_unit_test(test_forked_child_harms_nothing),
        cmocka_unit_test(test_fork_while_another_thread_records),
        cmocka_unit_test(test_limit_on_file_sizes),
        cmocka_unit_test(test_limit_that_the_fold_does_not_fit),
        cmocka_unit_test(test_limit_that_the_queue_does_not_fit),
        cmocka_unit_test(test_full_file_system),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
