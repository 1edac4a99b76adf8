/* Files by themselves, compressed ones and members of archives, by what a user calls them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <scratch.h>
#include <varanalyze/capture.h>
#include <varanalyze/source.h>

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void shell(const char *format, ...)
{
    char command[1024];
    int used = snprintf(command, sizeof command, "cd %s && ", scratch_folder);
    va_list args;
    va_start(args, format);
    vsnprintf(command + used, sizeof command - (size_t)used, format, args);
    va_end(args);
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

static void record(const char *path, uint32_t steps)
{
    vr_run *run;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.trace = path;
    assert_int_equal(vr_run_open(&run, &options), VR_OK);
    for (uint32_t i = 0; i < steps; i++) {
        vr_run_step(run, 0);
        assert_int_equal(vr_metric(run, "loss", i, NULL), VR_OK);
    }
    assert_int_equal(vr_run_close(run), VR_OK);
}

/* Two traces, a text and an empty file, alone and in archives made by tar and by the library. */
static int make_files(void **state)
{
    if (scratch_setup(state) != 0)
        return -1;
    assert_int_equal(chdir(scratch_folder), 0);
    record("run1.h5", 1);
    record("run2.h5", 2);
    shell("mkdir deep && cp run1.h5 deep/run3.hdf5 && echo text >note.txt && : >empty.h5");
    shell("cp run2.h5 odd:name.h5 && cp run1.h5 'run[1].h5' && ln -s run1.h5 link.h5");
    shell("tar -cf foreign.tar ./run1.h5 run2.h5 deep note.txt empty.h5 link.h5 'run[1].h5'");
    shell("gzip -c foreign.tar >foreign.tgz && gzip -c run2.h5 >run2.h5.gz && tar -cf text.tar note.txt");
    shell("cp foreign.tar misnamed.h5 && head -c 300 foreign.tgz >cut.tgz && tar -cf none.tar -T /dev/null");
    shell("tar -cf packed.tar foreign.tar run2.h5.gz && mkdir BZhang && cp run1.h5 BZhang && tar -cf BZh.tar "
          "BZhang/run1.h5");
    shell("tar -cf dotted.tar --transform 's,^,.//,' run1.h5 && tar -rf dotted.tar --transform 's,^,././/,' deep");
    const vr_addition files[] = {{"run1.h5", "run1.h5"}, {"run2.h5", "b/run2.h5"}, {"note.txt", "note.txt"}};
    assert_int_equal(vr_archive_append("own.tar", files, 3, VR_TAKEN_REFUSE, true, NULL, NULL), VR_OK);
    return 0;
}

/* Opens `name` and finds the bytes of the file `as` there. */
static void reads(const char *name, const char *as)
{
    vr_source source;
    size_t size;
    uint8_t *expected = load_file(as, &size);
    if (vr_source_open(&source, name, NULL) != VR_OK)
        fail_msg("%s", vr_error());
    assert_string_equal(source.name, name);
    assert_int_equal(source.size, size);
    uint8_t *bytes = malloc(size);
    assert_int_equal(pread(source.fd, bytes, size, (off_t)source.offset), size);
    assert_memory_equal(bytes, expected, size);
    free(bytes);
    free(expected);
    vr_source_close(&source);
    assert_null(source.name);
    vr_source_close(&source);
}

static void is_refused(const char *name, vr_status expected, const char *words)
{
    vr_source source;
    const vr_status status = vr_source_open(&source, name, NULL);
    if (status != expected)
        fail_msg("%s: status %d, not %d (looking for \"%s\")", name, status, expected, words);
    assert_null(source.name);
    assert_message(words);
}

static void test_all_forms_read(void **state)
{
    (void)state;
    reads("run1.h5", "run1.h5");
    reads(scratch_path("run1.h5"), "run1.h5");
    reads("run2.h5.gz", "run2.h5");
    reads("foreign.tar:run1.h5", "run1.h5");
    reads("foreign.tar:./run1.h5", "run1.h5");
    reads("foreign.tar:deep/run3.hdf5", "run1.h5");
    reads("foreign.tgz:run2.h5", "run2.h5");
    reads("misnamed.h5:run2.h5", "run2.h5");
    reads("own.tar:b/run2.h5", "run2.h5");
    reads("own.tar:note.txt", "note.txt");
    reads("dotted.tar:run1.h5", "run1.h5");
    reads("dotted.tar:.//deep/run3.hdf5", "run1.h5");
}

static void test_names_with_colons(void **state)
{
    (void)state;
    reads("odd:name.h5", "run2.h5");
    shell("cp foreign.tar a && cp own.tar a:b.tar && cp note.txt a:b.tar:run1.h5");
    reads("a:b.tar:run1.h5", "note.txt");
    shell("rm a:b.tar:run1.h5");
    is_refused("a:b.tar:run1.h5", VR_ERROR_ARGUMENT, "b.tar:run1.h5"); /* of the archive a: the shortest */
    reads("./a:run1.h5", "run1.h5");
    shell("rm a");
    reads("a:b.tar:run1.h5", "run1.h5");
}

static void test_what_is_refused(void **state)
{
    (void)state;
    is_refused("nowhere.h5", VR_ERROR_IO, "nowhere.h5: No such file");
    is_refused("nowhere.tar:run1.h5", VR_ERROR_IO, "nowhere.tar:run1.h5: No such file");
    is_refused("deep", VR_ERROR_FORMAT, "deep: is a directory");
    is_refused("empty.h5", VR_ERROR_FORMAT, "empty.h5: the file is empty");
    is_refused("foreign.tar", VR_ERROR_FORMAT, "name a member");
    is_refused("foreign.tgz", VR_ERROR_FORMAT, "name a member");
    is_refused("foreign.tar:empty.h5", VR_ERROR_FORMAT, "foreign.tar:empty.h5: the file is empty");
    is_refused("foreign.tar:deep/", VR_ERROR_FORMAT, "foreign.tar:deep/: a directory");
    is_refused("foreign.tar:link.h5", VR_ERROR_FORMAT, "link");
    is_refused("foreign.tar:run3.h5", VR_ERROR_ARGUMENT, "run3.h5");
    is_refused("foreign.tar:", VR_ERROR_ARGUMENT, "foreign.tar");
    is_refused("note.txt:run1.h5", VR_ERROR_FORMAT, "note.txt");
    is_refused("packed.tar:foreign.tar", VR_ERROR_FORMAT, "an archive within the archive");
    is_refused("packed.tar:run2.h5.gz", VR_ERROR_FORMAT, "compressed with gzip within the archive");
    shell("mkfifo pipe");
    is_refused("pipe", VR_ERROR_FORMAT, "not a regular file");
}

static void test_sparse_members(void **state)
{
    (void)state;
    shell("truncate -s 10M sparse.h5 && echo end >>sparse.h5 && tar --sparse -cf sparse.tar sparse.h5 run1.h5");
    is_refused("sparse.tar:sparse.h5", VR_ERROR_FORMAT, "sparse");
    reads("sparse.tar:run1.h5", "run1.h5");
}

/* The names, each with a space behind it. */
static void names_are(const char *argument, const char *expected)
{
    char **names, all[1024] = "";
    uint64_t count;
    vr_archive *archive;
    if (vr_source_names(&names, &count, &archive, argument, NULL) != VR_OK)
        fail_msg("%s", vr_error());
    for (uint64_t i = 0; i < count; i++)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s ", names[i]);
    assert_string_equal(all, expected);
    vr_source_names_free(names, count);
    vr_archive_close(archive);
}

static void names_fail(const char *argument, vr_status expected, const char *words)
{
    char **names;
    uint64_t count;
    vr_archive *archive;
    assert_int_equal(vr_source_names(&names, &count, &archive, argument, NULL), expected);
    assert_null(names);
    assert_null(archive);
    assert_message(words);
}

static void test_names(void **state)
{
    (void)state;
    names_are("run1.h5", "run1.h5 ");
    names_are("run[1].h5", "run[1].h5 "); /* as written */
    names_are("run[12].h5", "run1.h5 run2.h5 ");
    names_are("run2.h5*", "run2.h5 run2.h5.gz ");
    names_are("nowhere.h5", "nowhere.h5 ");
    names_are("run2.h5.gz", "run2.h5.gz ");
    names_are("foreign.tar:nowhere", "foreign.tar:nowhere ");
    names_are("foreign.tar:note.txt", "foreign.tar:note.txt ");
    names_are("foreign.tar:*.hdf5", "foreign.tar:deep/run3.hdf5 ");
    names_are("foreign.tar:./run*", "foreign.tar:run1.h5 foreign.tar:run2.h5 foreign.tar:run[1].h5 ");
    names_are("foreign.tar:run[1].h5", "foreign.tar:run[1].h5 ");
    names_are("dotted.tar", "dotted.tar:run1.h5 dotted.tar:deep/run3.hdf5 ");
    names_are("dotted.tar:run*", "dotted.tar:run1.h5 "); /* whatever dots and slashes a name begins with */
    names_are("dotted.tar:././/deep/*", "dotted.tar:deep/run3.hdf5 ");
    names_are("own.tar:*", "own.tar:run1.h5 own.tar:b/run2.h5 "); /* not note.txt */
    names_are("own.tar:no*", "own.tar:note.txt ");
    names_are("own.tar", "own.tar:run1.h5 own.tar:b/run2.h5 ");
    names_are("foreign.tgz", "foreign.tgz:run1.h5 foreign.tgz:run2.h5 foreign.tgz:deep/run3.hdf5 foreign.tgz:empty.h5 "
                             "foreign.tgz:run[1].h5 ");
    names_fail("deep", VR_ERROR_FORMAT, "deep: is a directory");
    names_fail("cut.tgz", VR_ERROR_FORMAT, "cut.tgz: damaged");
    names_fail("none.tar", VR_ERROR_ARGUMENT, "none.tar: an archive without members");
    names_fail("text.tar", VR_ERROR_ARGUMENT, "text.tar: no member");
    names_fail("own.tar:*.zip", VR_ERROR_ARGUMENT, "own.tar: no member matches '*.zip'");
    names_fail("nowhere*", VR_ERROR_ARGUMENT, "nowhere*: no file matches");
    names_fail("note.txt:*", VR_ERROR_FORMAT, "note.txt");
}

static void count_calls(void *context, const char *name, uint64_t done, uint64_t total)
{
    (void)name, (void)done, (void)total;
    ++*(int *)context;
}

static void test_kept_archives_are_decompressed_once(void **state)
{
    (void)state;
    char **names;
    uint64_t count;
    vr_archive *archive;
    vr_source source;
    int calls = 0;
    vr_archive_options options = VR_ARCHIVE_OPTIONS_INIT;
    options.progress = count_calls;
    options.context = &calls;
    assert_int_equal(vr_source_names(&names, &count, &archive, "foreign.tgz:run*", &options), VR_OK);
    assert_true(calls > 0);
    calls = 0;
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(vr_source_open(&source, names[i], &options), VR_OK);
        vr_source_close(&source);
    }
    assert_int_equal(calls, 0);
    vr_source_names_free(names, count);
    vr_archive_close(archive);
}

/* A source outlives the handle by which its archive was kept. */
static void test_sources_hold_their_archive(void **state)
{
    (void)state;
    vr_archive *archive;
    vr_source source;
    char byte;
    assert_int_equal(vr_archive_open(&archive, "foreign.tgz", NULL), VR_OK);
    assert_int_equal(vr_source_open(&source, "foreign.tgz:note.txt", NULL), VR_OK);
    vr_archive_close(archive);
    assert_int_equal(pread(source.fd, &byte, 1, (off_t)source.offset), 1);
    assert_int_equal(byte, 't');
    vr_source_close(&source);
}

static void has_steps(const char *name, uint64_t steps)
{
    vr_trace *trace;
    if (vr_trace_open(&trace, name) != VR_OK)
        fail_msg("%s", vr_error());
    const vr_trace_info *info = vr_trace_get_info(trace);
    assert_string_equal(info->path, name);
    assert_int_equal(info->step_count, steps + 1);
    assert_int_equal(info->record_count, steps);
    vr_trace_record record;
    for (uint64_t i = 0; i < steps; i++)
        assert_int_equal(vr_trace_read_records(trace, i, 1, &record), VR_OK);
    vr_trace_close(trace);
}

/* What is open already is read; it is the trace's then, whether it is one or not. */
static void test_open_sources(void **state)
{
    (void)state;
    vr_source source;
    vr_trace *trace;
    assert_int_equal(vr_source_open(&source, "run2.h5.gz", NULL), VR_OK);
    assert_int_equal(vr_trace_open_source(&trace, &source), VR_OK);
    assert_null(source.name);
    assert_string_equal(vr_trace_get_info(trace)->path, "run2.h5.gz");
    assert_int_equal(vr_trace_get_info(trace)->record_count, 2);
    vr_trace_close(trace);
    assert_int_equal(vr_source_open(&source, "note.txt", NULL), VR_OK);
    assert_int_equal(vr_trace_open_source(&trace, &source), VR_ERROR_FORMAT);
    assert_null(source.name);
}

static void test_traces(void **state)
{
    (void)state;
    struct stat file;
    vr_trace *trace;
    has_steps("run1.h5", 1);
    has_steps("run2.h5.gz", 2);
    has_steps("foreign.tar:run1.h5", 1);
    has_steps("BZh.tar:BZhang/run1.h5", 1); /* begins as bzip2 data do, nearly */
    has_steps("foreign.tgz:run2.h5", 2);
    has_steps("own.tar:b/run2.h5", 2);
    assert_int_equal(vr_trace_open(&trace, "own.tar:run1.h5"), VR_OK);
    assert_int_equal(stat("run1.h5", &file), 0);
    assert_int_equal(vr_trace_get_info(trace)->file_bytes, file.st_size);
    vr_trace_close(trace);
    assert_int_equal(vr_trace_open(&trace, "own.tar:note.txt"), VR_ERROR_FORMAT);
    assert_message("own.tar:note.txt: not an HDF5 file: it starts with \"text\\x0a\"");
}

static void test_journals(void **state)
{
    (void)state;
    vr_run *run;
    vr_trace *trace;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.trace = "live.h5";
    assert_int_equal(vr_run_open(&run, &options), VR_OK);
    vr_run_step(run, 0);
    assert_int_equal(vr_metric(run, "loss", 1, NULL), VR_OK);
    shell("cp live.h5.journal dead.h5.journal && tar -cf journals.tar note.txt dead.h5.journal note.txt");
    shell("gzip -k dead.h5.journal && cut_off=$(($(stat -c %%s dead.h5.journal) - 4096)) && "
          "head -c $cut_off dead.h5.journal >cut.journal && tar -rf journals.tar cut.journal note.txt");
    assert_int_equal(vr_trace_open(&trace, "live.h5"), VR_OK);
    assert_true(vr_trace_get_info(trace)->live);
    vr_trace_close(trace);
    has_steps("dead.h5", 1);
    has_steps("dead.h5.journal.gz", 1);
    has_steps("journals.tar:dead.h5.journal", 1);
    has_steps("journals.tar:cut.journal", 1);
    assert_int_equal(vr_trace_open(&trace, "journals.tar:dead.h5.journal"), VR_OK);
    assert_false(vr_trace_get_info(trace)->live);
    assert_true(vr_trace_get_info(trace)->journal);
    vr_trace_close(trace);
    assert_int_equal(vr_run_close(run), VR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_forms_read),
        cmocka_unit_test(test_names_with_colons),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_sparse_members),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_kept_archives_are_decompressed_once),
        cmocka_unit_test(test_sources_hold_their_archive),
        cmocka_unit_test(test_traces),
        cmocka_unit_test(test_open_sources),
        cmocka_unit_test(test_journals),
    };
    return cmocka_run_group_tests(tests, make_files, scratch_teardown);
}
