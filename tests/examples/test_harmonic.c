/* The harmonic example, run as a user runs it: what it is there to show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUNS 4

/* The mean that a mode's line has; `options` are the program's. */
static double mean_of(const char *mode, const char *options)
{
    char command[512], line[256];
    snprintf(command, sizeof command, "%s %s", HARMONIC, options);
    FILE *out = popen(command, "r");
    assert_non_null(out);
    double mean = NAN, value;
    char name[256];
    while (fgets(line, sizeof line, out))
        if (sscanf(line, "%255s %lf", name, &value) == 2 && strcmp(name, mode) == 0)
            mean = value;
    assert_int_equal(pclose(out), 0);
    return mean;
}

/* It stagnates where 1/i is less than half an ulp: a fact of f32 arithmetic. */
static void test_nearest(void **state)
{
    (void)state;
    assert_true(fabs(mean_of("nearest", "--mode nearest") - 15.403683) < 5e-7);
    assert_true(fabs(mean_of("harmonic", "--mode nearest") - 16.695311) < 5e-7);
}

/* From i = 2^20 on a term is less than an ulp u of the sum, and moves it by u with probability 1/(i u): of variance at
 * most u/i a step. u is 2^-20 up to a sum of 16 (i = 5e6), then 2^-19: 2^-20 ln 4.8 + 2^-19 ln 2 = 2.8e-6 in all;
 * before, no more than u^2/4 a step, 2.4e-7. The standard deviation is below 0.00175, that of the mean of RUNS half of
 * it. */
static void test_sr(void **state)
{
    (void)state;
    const double bound = 5 * 0.00175 / sqrt(RUNS);
    assert_true(fabs(mean_of("sr", "--mode sr -r 4") - 16.695311) < bound);
    assert_true(fabs(mean_of("sr", "--mode sr -r 4 --seed 100") - 16.695311) < bound);
}

/* Up or down from the same place: no drift once it stagnates, and 1e7 steps of 2^-20 scatter by 0.0033. Half of the
 * terms' own ulps are noise too, smaller by far. */
static void test_ud(void **state)
{
    (void)state;
    assert_true(fabs(mean_of("ud", "--mode ud -r 4") - 15.403) < 5 * 0.0034 / sqrt(RUNS));
}

static void test_directed(void **state)
{
    (void)state;
    const double down = mean_of("down", "-n 100000 --mode down"), up = mean_of("up", "-n 100000 --mode up");
    const double exact = mean_of("harmonic", "-n 100000 --mode down");
    assert_true(down < exact && exact < up);
    assert_true(mean_of("zero", "-n 100000 --mode zero") == down);
}

static void test_files(void **state)
{
    (void)state;
    char folder[] = "/tmp/harmonic-XXXXXX", options[512], path[64], line[256];
    assert_non_null(mkdtemp(folder));
    snprintf(options, sizeof options, "-n 1000 -r 2 --csv %s/x.csv --plot %s/x.svg", folder, folder);
    assert_true(mean_of("sr", options) > 7);
    snprintf(path, sizeof path, "%s/x.csv", folder);
    FILE *csv = fopen(path, "r");
    assert_non_null(csv);
    assert_non_null(fgets(line, sizeof line, csv));
    assert_string_equal(line, "i,harmonic,nearest,sr,ud\n");
    long i = 0, last = 0;
    while (fgets(line, sizeof line, csv)) {
        assert_int_equal(sscanf(line, "%ld,", &i), 1);
        assert_true(i > last);
        last = i;
    }
    fclose(csv);
    assert_int_equal(last, 1000);
    unlink(path);
    struct stat picture;
    snprintf(path, sizeof path, "%s/x.svg", folder);
    assert_int_equal(stat(path, &picture), 0);
    assert_true(picture.st_size > 1000);
    unlink(path);
    rmdir(folder);
}

static void assert_trouble(const char *command)
{
    const int status = system(command);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 2);
}

/* What it cannot do, it says, also where nobody reads what it writes to gnuplot. */
static void test_cannot_write(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        assert_trouble("PATH=/nowhere " HARMONIC " -n 10 -r 1 --plot /nowhere/x.svg >/dev/null 2>&1");
    assert_trouble(HARMONIC " -n 10 -r 1 >/dev/full 2>/dev/null");
}

static void test_refused(void **state)
{
    (void)state;
    const char *const options[] = {
        "-n 0",           "-n x", "-r -1",      "--mode stochastic",          "--bits some",     "--plot x.jpg",
        "--precision 25", "rest", "--mode sr,", "--csv /nowhere/x.csv -n 10", "--plot 'x\n.svg'"};
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        char command[512];
        snprintf(command, sizeof command, "%s %s >/dev/null 2>&1", HARMONIC, options[i]);
        assert_trouble(command);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest),      cmocka_unit_test(test_sr),    cmocka_unit_test(test_ud),
        cmocka_unit_test(test_directed),     cmocka_unit_test(test_files), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cannot_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
