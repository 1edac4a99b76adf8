/* Programs that are killed while they add to an archive: it holds whole changes only, and all that were finished. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "archive_scene.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <varanalyze/random.h>

#define CRASHES 100
#define ROUNDS  10 /* crashes of one archive */

/* Change `turn` adds so many files; file `i` of them is file_of(turn, i). */
static uint64_t files_of(uint32_t turn)
{
    return 1 + turn % 4;
}

static uint32_t file_of(uint32_t turn, uint64_t i)
{
    return (turn + (uint32_t)i * 3) % SIZES;
}

/* Makes one change after the other, saying which are finished, until it is killed. */
static void append_forever(const char *path, uint32_t turn, int pipe_end)
{
    for (;; turn++) {
        vr_addition files[4];
        char names[4][32], paths[4][512];
        for (uint64_t i = 0; i < files_of(turn); i++) {
            snprintf(names[i], sizeof names[i], "t%u/%u", turn, (unsigned)i);
            snprintf(paths[i], sizeof paths[i], "%s", scratch_path("f%u", file_of(turn, i)));
            files[i] = (vr_addition){paths[i], names[i]};
        }
        if (vr_archive_append(path, files, files_of(turn), VR_TAKEN_REFUSE, false, NULL, NULL) != VR_OK)
            _exit(1);
        if (write(pipe_end, &turn, sizeof turn) != sizeof turn)
            _exit(2);
    }
}

static void wait_us(uint64_t us)
{
    const struct timespec time = {(time_t)(us / 1000000), (long)(us % 1000000 * 1000)};
    nanosleep(&time, NULL);
}

/* The changes up to `finished` are there, and perhaps the next one; how many are. */
static uint32_t check_members(const char *path, uint32_t finished)
{
    const vr_member *members;
    uint64_t count, at = 0;
    uint32_t turn = 0;
    vr_archive *archive = open_archive(path);
    assert_int_equal(vr_archive_members(archive, &members, &count), VR_OK);
    for (; at < count; turn++)
        for (uint64_t i = 0; i < files_of(turn); i++, at++) {
            char name[32];
            const uint32_t file = file_of(turn, i);
            snprintf(name, sizeof name, "t%u/%u", turn, (unsigned)i);
            assert_true(at < count);
            assert_string_equal(members[at].name, name);
            if (turn + 1 >= finished)
                assert_contents(archive, &members[at], sizes[file], file);
        }
    vr_archive_close(archive);
    assert_in_range(turn, finished, finished + 1);
    return turn;
}

/* Lets a child work from change `turn` on, and kills it `delay` later; how many changes there are then. */
static uint32_t crash(const char *path, uint32_t turn, uint64_t delay)
{
    int ends[2], status;
    uint32_t finished = turn, said;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0)
        append_forever(path, turn, ends[1]);
    close(ends[1]);
    wait_us(delay);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    while (read(ends[0], &said, sizeof said) == sizeof said)
        finished = said + 1;
    close(ends[0]);
    if (access(path, F_OK) != 0) {
        assert_int_equal(finished, 0);
        return 0;
    }
    const uint32_t there = check_members(path, finished);
    assert_clean(path);
    shell("tar tf '%s' >list", path);
    return there;
}

static void test_killed(void **state)
{
    (void)state;
    const char *given = getenv("CRASH_SEED");
    const uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    vr_random random = vr_random_stream(vr_derive_seed(seed, "archive"), 0);
    uint32_t turn = 0, all = 0;
    print_message("CRASH_SEED=%llu\n", (unsigned long long)seed);
    for (uint32_t i = 0; i < SIZES; i++)
        make_file(scratch_path("f%u", i), sizes[i], i);
    const char *path = NULL;
    for (int i = 0; i < CRASHES; i++) {
        if (i % ROUNDS == 0) {
            if (path)
                unlink(path);
            all += turn;
            turn = 0;
            path = lasting_path(numbered("crash", i));
        }
        turn = crash(path, turn, vr_random_below(&random, 80000));
    }
    print_message("%u changes\n", all + turn);
    assert_true(all + turn > CRASHES / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_killed)};
    return cmocka_run_group_tests(tests, make_files, scratch_teardown);
}
