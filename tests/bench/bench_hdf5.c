/* varanalyze diff against h5diff, on the same files in turn, plain and in a tar archive; what h5diff has to read is in
 * the page cache for both. */
#include "bench.h"

#include <fcntl.h>
#include <hdf5.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define MOST_ROUNDS 9

static const char usage[] = "usage: bench_hdf5 [-n ROUNDS] [--quick]\n";

typedef struct scene {
    const char *name;
    bool differ, chunked, compressed, big_endian;
    double goal; /* times as fast as h5diff */
} scene;

static const scene scenes[] = {
    {"contiguous, 1% one ulp off", true, false, false, false, 20},
    {"contiguous, identical", false, false, false, false, 14},
    {"chunks of 1 MiB, 1% one ulp off", true, true, false, false, 10},
    {"chunks, shuffle + deflate 1, 1% off", true, true, true, false, 4},
    {"chunks, shuffle + deflate 1, identical", false, true, true, false, 0},
    {"contiguous, big-endian, 1% off", true, false, false, true, 0},
};

/* A linear congruential generator (Knuth's MMIX): fast, and mantissas that deflate cannot shorten. */
static uint64_t next(uint64_t *state)
{
    return *state = *state * 6364136223846793005u + 1442695040888963407u;
}

static bool write_file(const char *path, const scene *s, bool second, hsize_t n)
{
    float *x = malloc(n * sizeof *x);
    uint64_t values = 1, places = 7;
    for (hsize_t i = 0; x && i < n; i++) {
        x[i] = (float)(next(&values) >> 40) * 0x1p-24f;
        if (second && s->differ && (next(&places) >> 33) % 100 == 0) {
            uint32_t bits;
            memcpy(&bits, &x[i], sizeof bits);
            bits ^= 1;
            memcpy(&x[i], &bits, sizeof bits);
        }
    }
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t space = H5Screate_simple(1, &n, NULL), plist = H5Pcreate(H5P_DATASET_CREATE);
    if (s->chunked)
        H5Pset_chunk(plist, 1, (hsize_t[]){(1 << 20) / sizeof *x});
    if (s->compressed) {
        H5Pset_shuffle(plist);
        H5Pset_deflate(plist, 1);
    }
    const hid_t set =
        H5Dcreate2(file, "x", s->big_endian ? H5T_IEEE_F32BE : H5T_IEEE_F32LE, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    const bool fine = x && H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0;
    H5Dclose(set);
    H5Pclose(plist);
    H5Sclose(space);
    free(x);
    return H5Fclose(file) >= 0 && fine;
}

/* Runs a command; its exit status, 127 where there is no such program. */
static int run(const char *const *words, double *seconds, long *kib)
{
    const double start = bench_seconds();
    struct rusage used;
    int status = -1;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        const int nothing = open("/dev/null", O_WRONLY);
        if (nothing < 0 || dup2(nothing, STDOUT_FILENO) < 0)
            _exit(126);
        execvp(words[0], (char *const *)words);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &used) != child || !WIFEXITED(status))
        return -1;
    *seconds = bench_seconds() - start;
    *kib = used.ru_maxrss;
    return WEXITSTATUS(status);
}

typedef struct timing {
    double seconds[MOST_ROUNDS];
    long kib; /* most that a round took */
} timing;

static bool measure(timing *t, int round, const char *program, const char *command, const char *a, const char *b,
                    int wanted)
{
    const char *const words[] = {program, command ? command : a, command ? a : b, command ? b : NULL, NULL};
    long kib = 0;
    const int status = run(words, &t->seconds[round], &kib);
    t->kib = kib > t->kib ? kib : t->kib;
    if (status == wanted)
        return true;
    fprintf(stderr, "%s %s %s: exit status %d, not %d\n", program, a, b, status, wanted);
    return false;
}

typedef struct paths {
    char a[BENCH_PATH], b[BENCH_PATH], archive[BENCH_PATH], a_in[BENCH_PATH + 8], b_in[BENCH_PATH + 8];
} paths;

static bool measure_scene(const scene *s, const paths *p, int rounds)
{
    timing theirs = {0}, plain = {0}, archived = {0};
    const int wanted = s->differ;
    for (int i = 0; i < rounds; i++)
        if (!measure(&theirs, i, "h5diff", NULL, p->a, p->b, wanted) ||
            !measure(&plain, i, VARANALYZE, "diff", p->a, p->b, wanted) ||
            !measure(&archived, i, VARANALYZE, "diff", p->a_in, p->b_in, wanted))
            return false;
    const double h5diff = bench_median(theirs.seconds, rounds), ours = bench_median(plain.seconds, rounds);
    const double in_tar = bench_median(archived.seconds, rounds), ratio = h5diff / ours;
    printf("%-40s %7.3f %8.3f %8.3f %7.1f  %-12s %6.2f  %-12s %4ld MiB\n", s->name, h5diff, ours, in_tar, ratio,
           s->goal > 0 ? bench_verdict(ratio >= s->goal) : "", in_tar / ours, bench_verdict(in_tar / ours <= 1.05),
           plain.kib >> 10);
    return true;
}

/* How a file was written decides how large the pieces are that the page cache keeps it in, and with it the cost of
 * mapping them. So every file is dropped from the cache and read again, in the same way. */
static bool warm(const char *path)
{
    static char buffer[1 << 20];
    const int fd = open(path, O_RDONLY);
    ssize_t n = 0;
    bool fine = fd >= 0 && fsync(fd) == 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0;
    while (fine && (n = read(fd, buffer, sizeof buffer)) > 0) {
    }
    close(fd);
    return fine && n == 0;
}

static bool make_archive(const paths *p, const char *directory)
{
    double seconds;
    long kib;
    const char *const words[] = {VARANALYZE, "archive", "create", "-C", directory, p->archive, "a.h5", "b.h5", NULL};
    return run(words, &seconds, &kib) == 0;
}

static bool bench_scene(const scene *s, const char *directory, hsize_t n, int rounds)
{
    paths p;
    snprintf(p.a, sizeof p.a, "%.*s/a.h5", BENCH_PATH - 16, directory);
    snprintf(p.b, sizeof p.b, "%.*s/b.h5", BENCH_PATH - 16, directory);
    snprintf(p.archive, sizeof p.archive, "%.*s/files.tar", BENCH_PATH - 16, directory);
    snprintf(p.a_in, sizeof p.a_in, "%s:a.h5", p.archive);
    snprintf(p.b_in, sizeof p.b_in, "%s:b.h5", p.archive);
    const bool fine = write_file(p.a, s, false, n) && write_file(p.b, s, true, n) && make_archive(&p, directory) &&
                      warm(p.a) && warm(p.b) && warm(p.archive) && measure_scene(s, &p, rounds);
    unlink(p.archive);
    return fine;
}

int main(int argc, char **argv)
{
    int rounds;
    bool quick;
    if (!bench_options(argc, argv, usage, MOST_ROUNDS, &quick, &rounds))
        return 2;
    const hsize_t n = ((hsize_t)1 << (quick ? 26 : 30)) / sizeof(float);
    char directory[BENCH_PATH];
    if (!bench_make_directory(directory))
        return 2;
    printf("two files of %llu MiB of f32, seconds, medians of %d alternating rounds\n",
           (unsigned long long)(n * sizeof(float) >> 20), rounds);
    bench_print_load();
    printf("%-40s %7s %8s %8s %7s  %-12s %6s  %-12s %s\n", "", "h5diff", "diff", "in tar", "faster", "goal", "tar",
           "<= 1.05", "memory");
    bool fine = true;
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes && fine; i++)
        fine = bench_scene(&scenes[i], directory, n, rounds);
    bench_remove_directory(directory);
    return fine ? 0 : 2;
}
