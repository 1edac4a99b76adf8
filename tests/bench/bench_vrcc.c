/* bench_vrcc [--quick] [-n ROUNDS]: what rounding otherwise costs. Compiles vrcc_kernels.c with clang -O3 and with vrcc
 * -O3, for several instruction sets; runs both in turns, one thread; prints the ratio of their times, the median over
 * the rounds, to nearest, with sr and with ud. Then the same for the time that compiling takes: the kernels, which are
 * loops of arithmetic and nothing else, a C++ program, and a file of one line. */
#include "bench.h"

#include <sys/wait.h>

#define MOST_ROUNDS 25
#define MOST_NAMES  40

static const char usage[] = "usage: bench_vrcc [--quick] [-n ROUNDS]\n";

typedef struct kernel {
    char name[160];
    double plain, ratios[3][MOST_ROUNDS];
} kernel;

static const char *const modes[] = {"nearest", "sr", "ud"};
static const struct {
    const char *name, *flags;
    double axpy_goal;
} targets[] = {{"baseline", "-O3", 0},
               {"avx2", "-O3 -march=x86-64-v3", 25},
               {"avx512", "-O3 -march=x86-64-v4 -mprefer-vector-width=512", 15}};

/* Reads "NAME SECONDS" lines of a program into the kernels: as the plain time, or as a ratio to it. */
static bool measure(const char *command, kernel *kernels, int *count, int mode, int round)
{
    FILE *out = popen(command, "r");
    char line[160];
    int i = 0;
    for (; out && i < MOST_NAMES && fgets(line, sizeof line, out); i++) {
        char *space = strrchr(line, ' ');
        if (!space)
            break;
        *space = '\0';
        snprintf(kernels[i].name, sizeof kernels[i].name, "%s", line);
        const double took = atof(space + 1);
        if (mode < 0)
            kernels[i].plain = took;
        else
            kernels[i].ratios[mode][round] = took / kernels[i].plain;
    }
    *count = i;
    return out && pclose(out) == 0 && i > 0;
}

/* 15 for what waits for each result, 40 for the vectorized dot product, the target's for y += a x; ud never dearer. */
static void print_kernel(kernel *k, int rounds, double axpy_goal)
{
    double medians[3];
    for (int mode = 0; mode < 3; mode++)
        medians[mode] = bench_median(k->ratios[mode], rounds);
    double goal = 0;
    if (strncmp(k->name, "harmonic", 8) == 0 || strncmp(k->name, "dot ", 4) == 0)
        goal = 15;
    else if (strncmp(k->name, "dot-vector", 10) == 0)
        goal = axpy_goal > 0 ? 40 : 0;
    else if (strncmp(k->name, "axpy f32", 8) == 0)
        goal = axpy_goal;
    printf("  %-22s %8.2f %8.2f %8.2f", k->name, medians[0], medians[1], medians[2]);
    if (goal > 0)
        printf("   sr at most %2.0f, ud at most sr: %s", goal,
               bench_verdict(medians[1] <= goal && medians[2] <= medians[1]));
    putchar('\n');
}

static double run(const char *command)
{
    const double begin = bench_seconds();
    return system(command) == 0 ? bench_seconds() - begin : -1;
}

static bool build(const char *compiler, const char *flags, const char *output)
{
    char command[BENCH_PATH * 2];
    snprintf(command, sizeof command, "%s %s -w -o %s " KERNELS " -lm", compiler, flags, output);
    return run(command) >= 0;
}

/* What -c of a file takes, by vrcc in the measure of clang. */
static bool bench_compile(const char *flags, const char *name, const char *source, const char *directory, int rounds)
{
    static const char *const compilers[] = {CLANG, VRCC};
    double ratios[MOST_ROUNDS], took[2];
    for (int round = 0; round < rounds; round++) {
        for (int i = 0; i < 2; i++) {
            char command[BENCH_PATH * 2];
            snprintf(command, sizeof command, "%s %s -w -c -o %s/object.o %s", compilers[i], flags, directory, source);
            took[i] = run(command);
            if (took[i] < 0)
                return false;
        }
        ratios[round] = took[1] / took[0];
    }
    const double median = bench_median(ratios, rounds);
    printf("  compiling %-18s %5.2f   at most 2: %s\n", name, median, bench_verdict(median <= 2));
    return true;
}

/* main, and no arithmetic. */
static bool write_tiny(const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return false;
    fputs("#include <stdio.h>\nint main(void) { return puts(\"hello\") < 0; }\n", file);
    return fclose(file) == 0;
}

static bool bench_compiling(const char *flags, const char *directory, int rounds)
{
    char tiny[BENCH_PATH + 16];
    snprintf(tiny, sizeof tiny, "%s/tiny.c", directory);
    return write_tiny(tiny) && bench_compile(flags, "kernels", KERNELS, directory, rounds) &&
           bench_compile(flags, "a C++ program", PROGRAM, directory, rounds) &&
           bench_compile(flags, "a file of a line", tiny, directory, rounds);
}

static bool bench_target(size_t target, const char *directory, int rounds)
{
    static kernel kernels[MOST_NAMES];
    char plain[BENCH_PATH + 16], other[BENCH_PATH + 16], command[BENCH_PATH + 64];
    int count = 0;
    snprintf(plain, sizeof plain, "%s/plain", directory);
    snprintf(other, sizeof other, "%s/vrcc", directory);
    if (!build(CLANG, targets[target].flags, plain) || !build(VRCC, targets[target].flags, other))
        return false;
    for (int round = 0; round < rounds; round++) {
        if (!measure(plain, kernels, &count, -1, round))
            return false;
        for (int mode = 0; mode < 3; mode++) {
            snprintf(command, sizeof command, "VR_ROUNDING=%s %s", modes[mode], other);
            if (!measure(command, kernels, &count, mode, round))
                return false;
        }
    }
    printf("\n%s (%s): time by clang's\n  %-22s %8s %8s %8s\n", targets[target].name, targets[target].flags, "",
           modes[0], modes[1], modes[2]);
    for (int i = 0; i < count; i++)
        print_kernel(&kernels[i], rounds, targets[target].axpy_goal);
    return bench_compiling(targets[target].flags, directory, rounds);
}

int main(int argc, char **argv)
{
    bool quick;
    int rounds;
    char directory[BENCH_PATH];
    if (!bench_options(argc, argv, usage, MOST_ROUNDS, &quick, &rounds) || !bench_make_directory(directory))
        return 2;
    bench_print_load();
    bool fine = true;
    for (size_t i = 0; i < sizeof targets / sizeof *targets && fine; i++) {
        if (i == 1 && !__builtin_cpu_supports("avx2"))
            continue;
        if (i == 2 && !__builtin_cpu_supports("avx512dq"))
            continue;
        fine = bench_target(i, directory, rounds);
    }
    bench_remove_directory(directory);
    return fine ? 0 : 2;
}
