/* bench_study_command - the time and the memory `varanalyze study` takes, through the whole command.
 *
 * Outcomes: 200 runs of 50,000 samples and 1000 classes in an archive, the predictions of each; all 19,900 pairs of
 * churn. What must move: 40 MB of predictions, and once the ids and labels that all share. Weights: 50 runs of
 * 25,000,000 f32 in an archive, in the page cache; all 1,225 distances. What must move: 5 GB; what must be done: 92
 * billion additions and multiplications (bench_study holds the loops alone against the machine). Beside each, in the
 * same rounds: the archive read with pread in blocks of 1 MiB, by as many threads.
 */
#include "bench.h"

#include <varanalyze/capture.h>

#include <fcntl.h>
#include <omp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <varanalyze/random.h>

static const char usage[] =
    "usage: bench_study_command [--quick] [-n ROUNDS]\n"
    "\n"
    "Measure 200 runs of 50,000 samples and 50 runs of 25,000,000 weights, ROUNDS times (default 5), and print the\n"
    "medians. --quick: 2,000,000 weights, 3 rounds. Takes 5.2 GB in TMPDIR (or /tmp), 600 MB if quick.\n";

#define MAX_ROUNDS 101
#define NAME       48
#define BLOCK      (1 << 20)
#define SAMPLES    50000
#define CLASSES    1000

static char directory[BENCH_PATH];
static size_t elements = 25000000;
static volatile char sink;

typedef struct row {
    const char *name, *archive, *section;
    int runs;
    double goal_seconds, goal_mib;
    double seconds[MAX_ROUNDS], cpu[MAX_ROUNDS], mib[MAX_ROUNDS], reading[MAX_ROUNDS];
    uint64_t bytes;
} row;

static row rows[] = {
    {.name = "200 runs of 50,000 samples",
     .archive = "outcomes.tar",
     .section = "churn",
     .runs = 200,
     .goal_seconds = 2,
     .goal_mib = 300},
    {.name = "50 runs of weights",
     .archive = "weights.tar",
     .section = "weights",
     .runs = 50,
     .goal_seconds = 10,
     .goal_mib = 1024},
};

#define ROWS (sizeof rows / sizeof *rows)

static void path_of(char out[BENCH_PATH + NAME], const char *file)
{
    snprintf(out, BENCH_PATH + NAME, "%s/%s", directory, file);
}

/* ---- runs ---- */

static vr_status evaluate(vr_run *run, uint64_t number, size_t samples)
{
    static uint64_t ids[SAMPLES];
    static int32_t labels[SAMPLES], predictions[SAMPLES];
    vr_random shared = vr_random_stream(1, 0), own = vr_random_stream(1, number + 1);
    for (size_t i = 0; i < samples; i++) {
        const uint32_t drawn = vr_random_u32(&own);
        ids[i] = i;
        labels[i] = (int32_t)vr_random_below(&shared, CLASSES);
        predictions[i] = drawn % 4 ? labels[i] : (int32_t)(drawn / 4 % CLASSES);
    }
    return vr_record_evaluation(run, &(vr_evaluation){.version = VR_EVALUATION_VERSION,
                                                      .name = "test",
                                                      .count = samples,
                                                      .classes = CLASSES,
                                                      .ids = ids,
                                                      .labels = labels,
                                                      .predictions = predictions});
}

static vr_status record_weights(vr_run *run, uint64_t number, float *values)
{
    vr_random random = vr_random_stream(2, number);
    for (size_t i = 0; i < elements; i++)
        values[i] = (float)(int32_t)vr_random_u32(&random) * 0x1p-31f;
    return vr_record_final(run, "layer", "weight", VR_TENSOR(VR_F32, values, (int64_t)elements));
}

static bool make_run(const row *r, uint64_t number, float *values)
{
    char trace[BENCH_PATH + NAME], into[BENCH_PATH + NAME];
    vr_run *run;
    path_of(trace, "run.h5");
    path_of(into, r->archive);
    const vr_run_options options = {.version = VR_RUN_OPTIONS_VERSION,
                                    .trace = trace,
                                    .archive = into,
                                    .level = "hash",
                                    .vary = "init,order",
                                    .replica = &number,
                                    .final = "full"};
    vr_status status = vr_run_open(&run, &options);
    if (status == VR_OK)
        status = vr_run_step(run, 0);
    if (status == VR_OK)
        status = evaluate(run, number, values ? 10 : SAMPLES);
    if (status == VR_OK && values)
        status = record_weights(run, number, values);
    const vr_status closed = vr_run_close(run);
    if (status == VR_OK && closed == VR_OK)
        return true;
    fprintf(stderr, "bench_study_command: %s\n", vr_error());
    return false;
}

static bool make_runs(void)
{
    float *values = malloc(elements * sizeof *values);
    bool fine = values != NULL;
    for (size_t i = 0; i < ROWS; i++)
        for (int run = 0; fine && run < rows[i].runs; run++)
            fine = make_run(&rows[i], (uint64_t)run + 1, i ? values : NULL);
    free(values);
    return fine;
}

/* ---- measuring ---- */

/* Runs the program once, its output thrown away; negative when it fails. */
static double run_program(char *const *words, double *cpu, double *mib)
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
        fprintf(stderr, "bench_study_command: varanalyze did not end as it should\n");
        return -1;
    }
    *cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    *mib = (double)used.ru_maxrss / 1024;
    return bench_seconds() - start;
}

/* Seconds to read a file; its size. */
static double read_archive(const char *path, uint64_t *bytes)
{
    struct stat info;
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

static bool measure(row *r, int round)
{
    char archive[BENCH_PATH + NAME];
    path_of(archive, r->archive);
    char *const words[] = {"varanalyze", "study", "-f", "csv", "--section", (char *)r->section, archive, NULL};
    r->reading[round] = read_archive(archive, &r->bytes);
    r->seconds[round] = run_program(words, &r->cpu[round], &r->mib[round]);
    return r->reading[round] >= 0 && r->seconds[round] >= 0;
}

static void print_rows(int rounds)
{
    printf("varanalyze study of archives in the page cache, %d threads, median of %d rounds [least, most]; %zu "
           "weights\n\n",
           omp_get_max_threads(), rounds, elements);
    printf("%-28s %8s %-18s %10s %10s %10s\n", "", "s", "", "CPU, s", "pread, s", "peak, MiB");
    for (size_t i = 0; i < ROWS; i++) {
        row *r = &rows[i];
        const double seconds = bench_median(r->seconds, rounds), mib = bench_median(r->mib, rounds);
        printf("%-28s %8.3f [%7.3f, %7.3f] %10.3f %10.3f %10.1f  goal %g s, %g MiB  %s\n", r->name, seconds,
               r->seconds[0], r->seconds[rounds - 1], bench_median(r->cpu, rounds), bench_median(r->reading, rounds),
               mib, r->goal_seconds, r->goal_mib, bench_verdict(seconds < r->goal_seconds && mib < r->goal_mib));
    }
}

int main(int argc, char **argv)
{
    int rounds;
    bool quick;
    if (!bench_options(argc, argv, usage, MAX_ROUNDS, &quick, &rounds))
        return 2;
    if (quick)
        elements = 2000000;
    if (!bench_make_directory(directory))
        return 1;
    bool fine = make_runs();
    bench_print_load();
    for (int round = 0; fine && round < rounds; round++)
        for (size_t i = 0; fine && i < ROWS; i++)
            fine = measure(&rows[i], round);
    if (fine)
        print_rows(rounds);
    bench_remove_directory(directory);
    return fine ? 0 : 1;
}
