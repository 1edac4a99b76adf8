/* bench_sigbits - the time and the memory `varanalyze sigbits` takes for many runs of one large tensor.
 *
 * 32 runs of one tensor of 1,000,000 f32 at level full, in one archive, in the page cache: 128 MB. What must move: each
 * byte once, from the page cache to the processor. Beside it, in the same rounds: the archive read with pread in blocks
 * of 1 MiB, by as many threads. Memory: that of 4 and of 64 runs, each in a file of its own.
 */
#include "bench.h"

#include <varanalyze/capture.h>

#include <fcntl.h>
#include <omp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const char usage[] =
    "usage: bench_sigbits [--quick] [-n ROUNDS]\n"
    "\n"
    "Measure 32 runs of one tensor of 1,000,000 f32, ROUNDS times (default 5), and print the medians.\n"
    "--quick: 100,000 elements, 3 rounds. Takes 700 MB in TMPDIR (or /tmp).\n";

#define MAX_ROUNDS 101
#define RUNS       32
#define MANY_RUNS  64
#define FEW_RUNS   4
#define NAME       48
#define BLOCK      (1 << 20)

#define GOAL_RATE   1e9 /* bytes a second */
#define GOAL_GROWTH 1.5 /* peak memory of 64 runs against 4 */

static char directory[BENCH_PATH];
static size_t elements = 1000000;
static volatile char sink;

/* What the runs of an archive hold. */
typedef enum recipe { JITTER, UNRELATED, RECIPES } recipe;

static const char *const archives[RECIPES] = {"jitter.tar", "unrelated.tar"};

typedef struct row {
    const char *name;
    recipe archive;
    const char *option, *value;
    bool goal;
    double seconds[MAX_ROUNDS], mib[MAX_ROUNDS];
} row;

static row rows[] = {
    {.name = "against the mean", .archive = JITTER, .option = "--method", .value = "cnh", .goal = true},
    {.name = "against a number", .archive = JITTER, .option = "--reference", .value = "1.25", .goal = true},
    {.name = "two by two", .archive = JITTER, .option = "--reference", .value = "pairs"},
    {.name = "runs that have nothing in common", .archive = UNRELATED, .option = "--method", .value = "cnh"},
};

#define ROWS (sizeof rows / sizeof *rows)

static void path_of(char out[BENCH_PATH + NAME], const char *file)
{
    snprintf(out, BENCH_PATH + NAME, "%s/%s", directory, file);
}

static uint32_t draw(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

/* Near a value that all runs share, some ulps off; or anything between -1 and 1. */
static void fill(float *values, recipe how, uint32_t run)
{
    uint32_t state = run * 2654435761u + 12345;
    for (size_t i = 0; i < elements; i++) {
        const uint32_t drawn = draw(&state);
        if (how == JITTER)
            values[i] = (1.0f + (float)(i % 1000) / 2000) * (1.0f + (float)(drawn >> 28) * 0x1p-22f);
        else
            values[i] = (float)(int32_t)drawn * 0x1p-31f;
    }
}

/* Into an archive, or for a NULL one, a file of its own. */
static bool make_run(const char *archive, const char *file, recipe how, uint32_t number, float *values)
{
    char trace[BENCH_PATH + NAME], into[BENCH_PATH + NAME];
    vr_run *run;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    path_of(trace, file);
    path_of(into, archive ? archive : "");
    options.trace = trace;
    options.archive = archive ? into : "";
    options.level = "full";
    fill(values, how, number);
    vr_status status = vr_run_open(&run, &options);
    if (status == VR_OK)
        status = vr_run_step(run, 0);
    if (status == VR_OK)
        status = vr_record(run, VR_FORWARD, "layer", "out", VR_TENSOR(VR_F32, values, (int64_t)elements), NULL);
    const vr_status closed = vr_run_close(run);
    if (status == VR_OK && closed == VR_OK)
        return true;
    fprintf(stderr, "bench_sigbits: %s\n", vr_error());
    return false;
}

static bool make_runs(void)
{
    float *values = malloc(elements * sizeof *values);
    bool fine = values != NULL;
    for (int how = 0; how < RECIPES; how++)
        for (uint32_t run = 0; fine && run < RUNS; run++)
            fine = make_run(archives[how], "run.h5", (recipe)how, run, values);
    for (uint32_t run = 0; fine && run < MANY_RUNS; run++) {
        char name[NAME];
        snprintf(name, sizeof name, "run-%02u.h5", run);
        fine = make_run(NULL, name, JITTER, run, values);
    }
    free(values);
    return fine;
}

/* Runs the program once, its output thrown away; negative when it fails. */
static double run_program(char *const *words, double *mib)
{
    const double start = bench_seconds();
    const pid_t child = fork();
    if (child == 0) {
        const int null = open("/dev/null", O_WRONLY);
        dup2(null, STDOUT_FILENO);
        execv(VARANALYZE, words);
        _exit(127);
    }
    int status;
    struct rusage used;
    if (child < 0 || wait4(child, &status, 0, &used) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "bench_sigbits: varanalyze did not end as it should\n");
        return -1;
    }
    *mib = (double)used.ru_maxrss / 1024;
    return bench_seconds() - start;
}

static bool measure(row *r, int round)
{
    char archive[BENCH_PATH + NAME];
    path_of(archive, archives[r->archive]);
    char *const words[] = {"varanalyze", "sigbits", (char *)r->option, (char *)r->value, archive, NULL};
    r->seconds[round] = run_program(words, &r->mib[round]);
    return r->seconds[round] >= 0;
}

/* Seconds to read an archive; its size. */
static double read_archive(const char *file, uint64_t *bytes)
{
    char path[BENCH_PATH + NAME];
    struct stat info;
    path_of(path, file);
    const double start = bench_seconds();
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool fine = fd >= 0 && fstat(fd, &info) == 0;
    *bytes = fine ? (uint64_t)info.st_size : 0;
#pragma omp parallel reduction(&& : fine)
    {
        char *block = malloc(BLOCK);
        fine = block != NULL;
#pragma omp for
        for (uint64_t i = 0; i < *bytes / BLOCK; i++) {
            fine = fine && pread(fd, block, BLOCK, (off_t)(i * BLOCK)) == BLOCK;
            sink = block ? block[0] : 0;
        }
        free(block);
    }
    if (fd >= 0)
        close(fd);
    return fine ? bench_seconds() - start : -1;
}

static double peak_of(int runs)
{
    static char names[MANY_RUNS][BENCH_PATH + NAME];
    char *words[MANY_RUNS + 3] = {"varanalyze", "sigbits"};
    double mib = 0;
    for (int i = 0; i < runs; i++) {
        char name[NAME];
        snprintf(name, sizeof name, "run-%02d.h5", i);
        path_of(names[i], name);
        words[i + 2] = names[i];
    }
    return run_program(words, &mib) < 0 ? -1 : mib;
}

static void print_rows(int rounds, double *reading, uint64_t bytes)
{
    const double read = bench_median(reading, rounds);
    printf("varanalyze sigbits of %d runs of %zu f32 in an archive, %d threads, median of %d rounds [least, most]\n\n",
           RUNS, elements, omp_get_max_threads(), rounds);
    printf("%-34s %7s %-18s %7s %10s\n", "", "s", "", "GB/s", "peak, MiB");
    printf("%-34s %7.3f [%6.3f, %6.3f]   %7.2f\n", "pread of the same bytes", read, reading[0], reading[rounds - 1],
           (double)bytes / read / 1e9);
    for (size_t i = 0; i < ROWS; i++) {
        row *r = &rows[i];
        const double seconds = bench_median(r->seconds, rounds), rate = (double)bytes / seconds;
        printf("%-34s %7.3f [%6.3f, %6.3f]   %7.2f %10.1f", r->name, seconds, r->seconds[0], r->seconds[rounds - 1],
               rate / 1e9, bench_median(r->mib, rounds));
        if (r->goal)
            printf("  goal %.0f GB/s  %s", GOAL_RATE / 1e9, bench_verdict(rate >= GOAL_RATE));
        printf("\n");
    }
}

static bool print_memory(void)
{
    const double few = peak_of(FEW_RUNS), many = peak_of(MANY_RUNS);
    if (few < 0 || many < 0)
        return false;
    printf("\npeak memory: %.1f MiB of %d runs, %.1f of %d; goal at most %.1f times as much  %s\n", few, FEW_RUNS, many,
           MANY_RUNS, GOAL_GROWTH, bench_verdict(many <= GOAL_GROWTH * few));
    return true;
}

int main(int argc, char **argv)
{
    static double reading[MAX_ROUNDS];
    int rounds;
    bool quick;
    uint64_t bytes = 0;
    if (!bench_options(argc, argv, usage, MAX_ROUNDS, &quick, &rounds))
        return 2;
    if (quick)
        elements = 100000;
    if (!bench_make_directory(directory))
        return 1;
    bench_print_load();
    bool fine = make_runs();
    for (int round = 0; fine && round < rounds; round++) {
        reading[round] = read_archive(archives[JITTER], &bytes);
        fine = reading[round] >= 0;
        for (size_t i = 0; fine && i < ROWS; i++)
            fine = measure(&rows[i], round);
    }
    if (fine) {
        print_rows(rounds, reading, bytes);
        fine = print_memory();
    }
    bench_remove_directory(directory);
    return fine ? 0 : 1;
}
