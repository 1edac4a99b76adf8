/* bench.h - what the benchmarks of programs and files share: a clock, medians, a directory that goes away. */
#ifndef VR_BENCH_H
#define VR_BENCH_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BENCH_PATH 4096

static inline double bench_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline int bench_by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the values: [0] is the least. */
static inline double bench_median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, bench_by_value);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static inline const char *bench_verdict(bool fine)
{
    return fine ? "PASS" : "FAIL";
}

/* The three load averages, so that a figure can be judged by what else was running. */
static inline void bench_print_load(void)
{
    double load[3];
    if (getloadavg(load, 3) == 3)
        printf("load average %.1f %.1f %.1f on %ld cores\n", load[0], load[1], load[2], sysconf(_SC_NPROCESSORS_ONLN));
}

/* Reads "--quick" and "-n ROUNDS" of at most `most`; prints the usage when there is anything else. */
static inline bool bench_options(int argc, char **argv, const char *usage, int most, bool *quick, int *rounds)
{
    *quick = false;
    *rounds = 0;
    bool fine = true;
    for (int i = 1; i < argc && fine; i++) {
        if (strcmp(argv[i], "--quick") == 0)
            *quick = true;
        else if (strcmp(argv[i], "-n") == 0 && i + 1 < argc)
            fine = (*rounds = atoi(argv[++i])) >= 1;
        else
            fine = false;
    }
    if (*rounds == 0)
        *rounds = *quick ? 3 : 5;
    if (!fine || *rounds > most)
        fputs(usage, stderr);
    return fine && *rounds <= most;
}

/* A directory of its own in TMPDIR (or /tmp), where the traces go. */
static inline bool bench_make_directory(char out[BENCH_PATH])
{
    const char *base = getenv("TMPDIR");
    snprintf(out, BENCH_PATH, "%s/varanalyze-bench-XXXXXX", base && *base ? base : "/tmp");
    if (mkdtemp(out))
        return true;
    perror(out);
    return false;
}

/* Removes the directory and the files in it. */
static inline void bench_remove_directory(const char *path)
{
    DIR *all = opendir(path);
    for (struct dirent *entry; all && (entry = readdir(all));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(all), entry->d_name, 0);
    if (all)
        closedir(all);
    rmdir(path);
}

#endif
