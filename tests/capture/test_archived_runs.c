/* Runs whose traces go into an archive: many at once, failures, and what the program is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <scratch.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <varanalyze/archive.h>
#include <varanalyze/capture.h>

enum { PROCESSES = 6, ROUNDS = 3 };

static int clear(void **state)
{
    (void)state;
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

/* Records `value` once and closes the run. */
static vr_status record(vr_run *run, double value, char **trace)
{
    vr_run_step(run, 0);
    if (vr_metric(run, "loss", value, NULL) != VR_OK)
        return VR_ERROR_INCOMPLETE;
    return vr_run_finish(run, trace);
}

/* The value that a trace holds. */
static double value_in(const char *name)
{
    vr_trace *trace;
    vr_trace_record record;
    if (vr_trace_open(&trace, name) != VR_OK)
        fail_msg("%s", vr_error());
    assert_true(vr_trace_get_info(trace)->closed);
    assert_int_equal(vr_trace_get_info(trace)->record_count, 1);
    assert_int_equal(vr_trace_read_records(trace, 0, 1, &record), VR_OK);
    vr_trace_close(trace);
    return record.stats.min;
}

/* Files whose names begin so, in the folder. */
static int count_files(const char *start)
{
    int count = 0;
    DIR *folder = opendir(scratch_folder);
    for (const struct dirent *entry; (entry = readdir(folder));)
        count += strncmp(entry->d_name, start, strlen(start)) == 0;
    closedir(folder);
    return count;
}

static void test_names(void **state)
{
    (void)state;
    char *name;
    const char *archive = scratch_path("names.tar");
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.archive = archive;
    vr_run *run = open_run(&options);
    assert_string_equal(vr_run_trace(run), scratch_path("names.tar:run.h5"));
    assert_int_equal(record(run, 1, &name), VR_OK);
    assert_string_equal(name, scratch_path("names.tar:run.h5"));
    assert_true(value_in(name) == 1);
    free(name);
    options.trace = "somewhere/else/seed-1.h5";
    assert_int_equal(record(open_run(&options), 2, &name), VR_OK);
    assert_string_equal(name, scratch_path("names.tar:seed-1.h5"));
    free(name);
    assert_int_equal(record(open_run(&options), 3, &name), VR_OK);
    assert_string_equal(name, scratch_path("names.tar:seed-1-2.h5"));
    assert_true(value_in(name) == 3);
    free(name);
    assert_int_equal(count_files("names.tar"), 1);
}

static void test_environment(void **state)
{
    (void)state;
    char *name;
    setenv("VR_ARCHIVE", scratch_path("%%r.tar"), 1);
    setenv("VR_TRACE", "replica-%r.h5", 1);
    assert_int_equal(record(open_run(NULL), 1, &name), VR_OK);
    assert_string_equal(name, scratch_path("0.tar:replica-0.h5"));
    free(name);
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.archive = "";
    options.trace = scratch_path("plain.h5");
    assert_int_equal(record(open_run(&options), 1, &name), VR_OK);
    assert_string_equal(name, options.trace);
    assert_exists(options.trace, 1);
    free(name);
    options.archive = NULL;
    options.trace = "";
    vr_run *run = open_run(&options);
    assert_false(vr_run_is_recording(run));
    assert_int_equal(vr_run_finish(run, &name), VR_OK);
    assert_null(name);
}

static void refused(const char *archive, const char *trace, vr_status expected, const char *words)
{
    vr_run *run;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.archive = archive;
    options.trace = trace;
    assert_int_equal(vr_run_open(&run, &options), expected);
    assert_message(words);
    assert_false(vr_run_is_recording(run));
    assert_null(vr_run_trace(run));
    assert_int_equal(vr_run_close(run), VR_OK);
}

static void test_bad_names(void **state)
{
    (void)state;
    refused(scratch_folder, NULL, VR_ERROR_IO, "is a directory; name a file for the archive");
    refused(scratch_path("nowhere/runs.tar"), NULL, VR_ERROR_IO, "nowhere");
    refused(scratch_path("runs.tar"), "folder/", VR_ERROR_ARGUMENT, "VR_TRACE=folder/");
    refused(scratch_path("runs.tar"), "..", VR_ERROR_ARGUMENT, "VR_TRACE=..");
    refused(scratch_path("runs.tar"), "run\n1.h5", VR_ERROR_ARGUMENT, "control characters");
}

static void record_in_child(const char *archive, int number)
{
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.archive = archive;
    for (int i = 0; i < ROUNDS; i++)
        if (record(open_run(&options), number * ROUNDS + i, NULL) != VR_OK) {
            fprintf(stderr, "%s\n", vr_error());
            _exit(1);
        }
    _exit(0);
}

/* Each value that was recorded is in the archive once. */
static void test_many_at_once(void **state)
{
    (void)state;
    bool seen[PROCESSES * ROUNDS] = {false};
    for (int i = 0; i < PROCESSES; i++)
        if (fork() == 0)
            record_in_child(scratch_path("runs.tar"), i);
    for (int i = 0, status; i < PROCESSES; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    for (int i = 1; i <= PROCESSES * ROUNDS; i++) {
        const char *name = i == 1 ? scratch_path("runs.tar:run.h5") : scratch_path("runs.tar:run-%d.h5", i);
        const int value = (int)value_in(name);
        assert_false(seen[value]);
        seen[value] = true;
    }
    assert_int_equal(count_files("runs.tar"), 1);
    vr_archive *opened;
    uint64_t bad, unknown;
    if (vr_archive_open(&opened, scratch_path("runs.tar"), NULL) != VR_OK)
        fail_msg("%s", vr_error());
    assert_int_equal(vr_archive_verify(opened, NULL, NULL, &bad, &unknown, NULL), VR_OK);
    assert_int_equal(bad + unknown, 0);
    vr_archive_close(opened);
}

/* What cannot be put into the archive stays beside it, and the message says where. */
static void test_an_archive_that_is_none(void **state)
{
    (void)state;
    char *name;
    save_file(scratch_path("text.tar"), "not an archive at all\n", 22);
    setenv("VR_ARCHIVE", scratch_path("text.tar"), 1);
    assert_int_equal(record(open_run(NULL), 5, &name), VR_ERROR_FORMAT);
    assert_message("what was recorded stays in ");
    assert_non_null(name);
    assert_message(name);
    assert_true(value_in(name) == 5);
    free(name);
    assert_int_equal(count_files("text.tar"), 2);
}

static void record_on_a_full_disk(void)
{
    char *name;
    vr_run *run = open_run(NULL);
    const vr_status status = record(run, 7, &name);
    const bool told = name && strstr(vr_error(), "what was recorded stays in ") && strstr(vr_error(), name);
    _exit(status == VR_ERROR_IO && told ? 0 : 1);
}

/* A limit on file sizes, which the trace keeps and the archive does not, stands in for a full disk. */
static void test_no_room_in_the_archive(void **state)
{
    (void)state;
    enum { FULL = 3 << 20 };
    int status;
    uint64_t bad, unknown;
    vr_archive *archive;
    uint8_t *much = calloc(1, FULL);
    save_file(scratch_path("much"), much, FULL);
    free(much);
    const vr_addition file = {scratch_path("much"), "much"};
    assert_int_equal(vr_archive_append(scratch_path("full.tar"), &file, 1, VR_TAKEN_REFUSE, true, NULL, NULL), VR_OK);
    setenv("VR_ARCHIVE", scratch_path("full.tar"), 1);
    setenv("VR_QUEUE", "64k", 1);
    const pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){FULL, FULL});
        record_on_a_full_disk();
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(count_files("full.tar"), 2);
    assert_int_equal(vr_archive_open(&archive, scratch_path("full.tar"), NULL), VR_OK);
    assert_int_equal(vr_archive_verify(archive, NULL, NULL, &bad, &unknown, NULL), VR_OK);
    assert_int_equal(bad + unknown, 0);
    vr_archive_close(archive);
}

/* The journal of a run that was killed lies beside the archive. */
static void test_killed(void **state)
{
    (void)state;
    int status;
    setenv("VR_ARCHIVE", scratch_path("killed.tar"), 1);
    const pid_t child = fork();
    if (child == 0) {
        vr_run *run = open_run(NULL);
        vr_run_step(run, 0);
        vr_metric(run, "loss", 1, NULL);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(count_files("killed.tar"), 1);
    DIR *folder = opendir(scratch_folder);
    const struct dirent *entry;
    while ((entry = readdir(folder)) && strncmp(entry->d_name, "killed.tar", 10) != 0)
        ;
    assert_non_null(entry);
    vr_trace *trace;
    assert_int_equal(vr_trace_open(&trace, scratch_path("%s", entry->d_name)), VR_OK);
    assert_int_equal(vr_trace_get_info(trace)->record_count, 1);
    vr_trace_close(trace);
    closedir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_names, clear),
        cmocka_unit_test_setup(test_environment, clear),
        cmocka_unit_test_setup(test_bad_names, clear),
        cmocka_unit_test_setup(test_many_at_once, clear),
        cmocka_unit_test_setup(test_an_archive_that_is_none, clear),
        cmocka_unit_test_setup(test_no_room_in_the_archive, clear),
        cmocka_unit_test_setup(test_killed, clear),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
