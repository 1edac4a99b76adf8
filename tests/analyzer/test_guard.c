/* Commands that end in every way there is, under the guard. */
#include "command.h"
#include "guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scratch.h"

#include <fcntl.h>
#include <libtrace/isa.h>
#include <omp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

/* Runs a command under the guard, in a process of its own; what it prints on standard error goes to `said`. */
static pid_t start(int (*command)(int argc, char **argv), int argc, const char *said)
{
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    const int fd = open(said, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(fd, STDERR_FILENO);
    _exit(va_guard_run(command, argc, (char *[]){"test", NULL}));
}

static int status_of(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static int run(int (*command)(int argc, char **argv), int argc)
{
    const int status = status_of(start(command, argc, scratch_path("said")));
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void assert_said(const char *words)
{
    size_t size;
    uint8_t *text = load_file(scratch_path("said"), &size);
    text[size] = 0;
    if (!strstr((char *)text, words))
        fail_msg("\"%s\" does not say \"%s\"", (char *)text, words);
    free(text);
}

static int return_argc(int argc, char **argv)
{
    (void)argv;
    return argc;
}

static void test_exit_codes_pass(void **state)
{
    (void)state;
    for (int code = 0; code < 3; code++)
        assert_int_equal(run(return_argc, code), code);
}

static int die(int signal, char **argv)
{
    (void)argv;
    va_guard_reading("file.h5", "/weights");
    va_guard_temporary(scratch_path("half-written"));
    save_file(scratch_path("half-written"), "half", 4);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL); /* a sanitizer may have its own */
    raise(signal);
    return 0;
}

static void test_crashes_end_with_2(void **state)
{
    (void)state;
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        assert_int_equal(run(die, signals[i]), VA_TROUBLE);
        assert_said("varanalyze: file.h5: /weights: the HDF5 library crashed (");
        assert_said(strsignal(signals[i]));
        assert_exists(scratch_path("half-written"), 0);
    }
    assert_int_equal(run(die, SIGKILL), VA_TROUBLE);
    assert_said("varanalyze: file.h5: /weights: killed while this was read");
}

static void test_other_signals_end_the_parent_too(void **state)
{
    (void)state;
    static const int signals[] = {SIGPIPE, SIGTERM, SIGINT};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        const int status = status_of(start(die, signals[i], scratch_path("said")));
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
        assert_exists(scratch_path("half-written"), 0);
    }
}

static int spin(int argc, char **argv)
{
    (void)argc, (void)argv;
    va_guard_reading("file.h5", "/loop");
    while (clock() < 20 * CLOCKS_PER_SEC) {
    }
    return 0;
}

static void test_a_hang_ends(void **state)
{
    (void)state;
    setenv("VR_GUARD", "1", 1);
    assert_int_equal(run(spin, 0), VA_TROUBLE);
    unsetenv("VR_GUARD");
    assert_said("varanalyze: file.h5: /loop: the HDF5 library has not come back after 1 s");
}

static int spin_in_steps(int argc, char **argv)
{
    (void)argc, (void)argv;
    for (clock_t now = clock(); now < 2 * CLOCKS_PER_SEC; now = clock())
        va_guard_reading("file.h5", "/many");
    va_guard_reading(NULL, NULL);
    while (clock() < 4 * CLOCKS_PER_SEC) {
    }
    return 0;
}

static void test_long_is_not_hung(void **state)
{
    (void)state;
    setenv("VR_GUARD", "1", 1);
    assert_int_equal(run(spin_in_steps, 0), 0);
    unsetenv("VR_GUARD");
}

static int wait_for_signal(int argc, char **argv)
{
    (void)argc, (void)argv;
    save_file(scratch_path("ready"), "", 0);
    pause();
    return 0;
}

static void test_signals_are_passed_on(void **state)
{
    (void)state;
    const pid_t child = start(wait_for_signal, 0, scratch_path("said"));
    while (access(scratch_path("ready"), F_OK) != 0)
        usleep(1000);
    kill(child, SIGTERM);
    const int status = status_of(child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static int use_threads(int argc, char **argv)
{
    (void)argc, (void)argv;
    return omp_get_max_threads() > 1 && !vr_worth_threads(1 << 30);
}

static void test_the_child_may_use_threads(void **state)
{
    (void)state;
    assert_int_equal(run(use_threads, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit_codes_pass),
        cmocka_unit_test(test_crashes_end_with_2),
        cmocka_unit_test(test_other_signals_end_the_parent_too),
        cmocka_unit_test(test_a_hang_ends),
        cmocka_unit_test(test_long_is_not_hung),
        cmocka_unit_test(test_signals_are_passed_on),
        cmocka_unit_test(test_the_child_may_use_threads),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
