/* Large tensors and many runs: the same result for any number of threads, in memory that does not grow with the runs.
 */
#include "scene.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <omp.h>
#include <scratch.h>
#include <sigbits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define SIZE 300000
#define FEW  4
#define MANY 64

/* In KiB: what may be known of each file, and what two runs of the same program differ by. */
#define FILE_KIB   64
#define SPREAD_KIB 2048

static double value_at(int side, int i)
{
    return (1 + ldexp(1, -3 - (i % 18)) * ((side * 7 + i) % 5)) * (i % 1000 == 5 && side == 1 ? -1 : 1);
}

static void large(vr_run *run, int side)
{
    static float values[SIZE];
    for (int i = 0; i < SIZE; i++)
        values[i] = (float)value_at(side, i);
    vr_run_step(run, 0);
    vr_record(run, VR_FORWARD, "a", "out", VR_TENSOR(VR_F32, values, SIZE), NULL);
}

static char *json_text(vr_trace *const *traces, int runs, int threads)
{
    va_sigbits_options options = VA_SIGBITS_OPTIONS_INIT;
    va_sigbits *all;
    options.worst = 200; /* many elements have as few bits as each other */
    omp_set_num_threads(threads);
    assert_int_equal(va_sigbits_run(&all, traces, runs, &options), VR_OK);
    json_t *json = va_sigbits_json(all);
    char *text = json_dumps(json, JSON_REAL_PRECISION(17));
    assert_int_equal(all->worst.count, 200);
    json_decref(json);
    va_sigbits_free(all);
    return text;
}

static void test_threads(void **state)
{
    (void)state;
    vr_trace *traces[5];
    for (int i = 0; i < 5; i++)
        traces[i] = scene_tell("full", large, i);
    char *one = json_text(traces, 5, 1);
    for (int threads = 2; threads <= 4; threads++) {
        char *more = json_text(traces, 5, threads);
        assert_string_equal(one, more);
        free(more);
    }
    free(one);
    for (int i = 0; i < 5; i++)
        vr_trace_close(traces[i]);
}

/* Of the program, on so many runs. */
static long peak_kib(int count)
{
    static char names[MANY][24];
    char *words[MANY + 3] = {"varanalyze", "sigbits"};
    for (int i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "run-%d.h5", i);
        words[i + 2] = names[i];
    }
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        if (chdir(scratch_folder) != 0 || !freopen("/dev/null", "w", stdout))
            _exit(127);
        execv(VARANALYZE, words);
        _exit(127);
    }
    int status;
    struct rusage used;
    assert_int_equal(wait4(child, &status, 0, &used), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return used.ru_maxrss;
}

static void test_memory(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* which keep what is freed */
#endif
    vr_trace *traces[2] = {scene_tell("full", large, 0), scene_tell("full", large, 1)};
    for (int i = 0; i < MANY; i++)
        assert_int_equal(vr_trace_write(traces[i % 2], scratch_path("run-%d.h5", i)), VR_OK);
    const long few = peak_kib(FEW), many = peak_kib(MANY);
    if (many > few + (MANY - FEW) * FILE_KIB + SPREAD_KIB)
        fail_msg("%ld KiB of %d runs, %ld of %d", few, FEW, many, MANY);
    for (int i = 0; i < 2; i++)
        vr_trace_close(traces[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads), cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
