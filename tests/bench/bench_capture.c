/* bench_capture - how many records a second the capture takes, and what a record takes on the disk.
 *
 * Tensors of 256 f32 (1 KiB), named with three inputs, in steps of 100; medians of rounds that take every row in turn.
 * Beside them, in the same rounds, what the same bytes cost at the least: memcpy, vr_measure alone, and write(2).
 * The processor time of a record (all threads, the close included) depends less on what else runs on the machine.
 */
#include "bench.h"

#include <varanalyze/capture.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

static const char usage[] =
    "usage: bench_capture [--quick] [-n ROUNDS]\n"
    "\n"
    "Record 1,000,000 tensors of 1 KiB at each level, ROUNDS times (default 5), and print the medians.\n"
    "--quick: 100,000 tensors, 3 rounds. Takes up to 3 GB in TMPDIR (or /tmp).\n";

#define MAX_ROUNDS  101
#define STEP        100 /* records of a step: one of each tensor */
#define ELEMENTS    256
#define NAME        48
#define FRAME_BYTES 192 /* a record and its frame in the journal */
#define BLOCK       (1 << 20)

#define GOAL_RATE  300e3 /* records/s at level stats, the close included */
#define GOAL_BYTES 220   /* of a record at level stats */

static float tensors[STEP][ELEMENTS];
static char layers[STEP][NAME], inputs[STEP][3][NAME];
static char directory[BENCH_PATH], path[BENCH_PATH + 16];
static int records = 1000000;
static volatile double sink;

typedef struct row {
    const char *name;
    bool (*run)(struct row *row);
    const char *level; /* NULL: nothing is recorded */
    int threads;
    double seconds, closing, bytes;                  /* of this round; bytes: of the file */
    double rate[MAX_ROUNDS], whole_rate[MAX_ROUNDS]; /* records/s without and with the close */
    double cpu[MAX_ROUNDS]; /* processor time of all threads, the close included, in us a record */
} row;

static void name_tensors(void)
{
    for (int i = 0; i < STEP; i++) {
        const int before = (i + STEP - 1) % STEP;
        snprintf(layers[i], NAME, "block%d", i);
        snprintf(inputs[i][0], NAME, "forward:block%d/out", before);
        snprintf(inputs[i][1], NAME, "weight:block%d/weight", i);
        snprintf(inputs[i][2], NAME, "weight:block%d/bias", i);
        for (int k = 0; k < ELEMENTS; k++)
            tensors[i][k] = (float)random() / (float)RAND_MAX - 0.5f;
    }
}

typedef struct worker {
    vr_run *run;
    int records;
    bool steps; /* begins the steps */
    bool fine;
} worker;

static void *record_all(void *argument)
{
    worker *w = argument;
    w->fine = true;
    for (int i = 0; w->fine && i < w->records; i++) {
        const int t = i % STEP;
        if (t == 0 && w->steps)
            w->fine = vr_run_step(w->run, 0) == VR_OK;
        w->fine = w->fine && vr_record(w->run, VR_FORWARD, layers[t], "out", VR_TENSOR(VR_F32, tensors[t], ELEMENTS),
                                       inputs[t][0], inputs[t][1], inputs[t][2], NULL) == VR_OK;
    }
    return NULL;
}

/* The threads share the run; the first of them begins the steps. */
static bool record_by_threads(vr_run *run, int threads)
{
    pthread_t ids[8];
    worker workers[8];
    bool fine = true;
    for (int i = 0; i < threads; i++) {
        workers[i] = (worker){run, records / threads, i == 0, false};
        if (i > 0)
            fine = fine && pthread_create(&ids[i], NULL, record_all, &workers[i]) == 0;
    }
    record_all(&workers[0]);
    for (int i = 0; fine && i < threads; i++) {
        if (i > 0)
            pthread_join(ids[i], NULL);
        fine = workers[i].fine;
    }
    return fine;
}

static bool run_capture(row *r)
{
    vr_run *run;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.trace = path;
    options.level = r->level;
    if (vr_run_open(&run, &options) != VR_OK)
        return false;
    const double start = bench_seconds();
    const bool fine = record_by_threads(run, r->threads);
    const double end = bench_seconds();
    if (vr_run_close(run) != VR_OK || !fine)
        return false;
    r->seconds = end - start;
    r->closing = bench_seconds() - end;
    struct stat file;
    if (stat(path, &file) != 0)
        return false;
    r->bytes = (double)file.st_size / records;
    return unlink(path) == 0;
}

static bool run_memcpy(row *r)
{
    static float copies[STEP][ELEMENTS];
    const double start = bench_seconds();
    for (int i = 0; i < records; i++) {
        memcpy(copies[i % STEP], tensors[i % STEP], sizeof *copies);
        __asm__ volatile("" ::"r"(copies) : "memory");
    }
    r->seconds = bench_seconds() - start;
    return true;
}

static bool run_measure(row *r)
{
    const double start = bench_seconds();
    for (int i = 0; i < records; i++) {
        const vr_tensor tensor = VR_TENSOR(VR_F32, tensors[i % STEP], ELEMENTS);
        vr_digest digest;
        vr_stats stats;
        if (vr_measure(&digest, &stats, NULL, &tensor) != VR_OK)
            return false;
        sink = stats.m2 + (double)digest.lo;
    }
    r->seconds = bench_seconds() - start;
    return true;
}

static bool write_bytes(row *r, uint64_t bytes, bool sync)
{
    static char block[BLOCK];
    const double start = bench_seconds();
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool fine = fd >= 0;
    for (uint64_t done = 0; fine && done < bytes; done += BLOCK) {
        const size_t n = bytes - done < BLOCK ? bytes - done : BLOCK;
        fine = write(fd, block, n) == (ssize_t)n;
    }
    fine = fine && (!sync || fsync(fd) == 0);
    fine = fd >= 0 && close(fd) == 0 && fine;
    r->seconds = bench_seconds() - start;
    unlink(path);
    return fine;
}

static bool run_write(row *r)
{
    return write_bytes(r, (uint64_t)records * FRAME_BYTES, false);
}

static bool run_write_sync(row *r)
{
    return write_bytes(r, (uint64_t)records * sizeof(vr_trace_record), true);
}

static row rows[] = {
    {.name = "hash", .run = run_capture, .level = "hash", .threads = 1},
    {.name = "stats", .run = run_capture, .level = "stats", .threads = 1},
    {.name = "stats, 2 threads", .run = run_capture, .level = "stats", .threads = 2},
    {.name = "chunks", .run = run_capture, .level = "chunks", .threads = 1},
    {.name = "sample", .run = run_capture, .level = "sample", .threads = 1},
    {.name = "full", .run = run_capture, .level = "full", .threads = 1},
    {.name = "memcpy of 1 KiB", .run = run_memcpy},
    {.name = "vr_measure alone", .run = run_measure},
    {.name = "write(2) of 192 B", .run = run_write},
    {.name = "write(2) of 176 B, fsync", .run = run_write_sync},
};

#define ROWS (sizeof rows / sizeof *rows)

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool take_round(int round)
{
    for (size_t i = 0; i < ROWS; i++) {
        row *r = &rows[i];
        const double start = cpu_seconds();
        if (!r->run(r)) {
            fprintf(stderr, "bench_capture: %s: %s\n", r->name, r->level ? vr_error() : "failed");
            return false;
        }
        r->cpu[round] = 1e6 * (cpu_seconds() - start) / records;
        r->rate[round] = records / r->seconds;
        r->whole_rate[round] = records / (r->seconds + r->closing);
    }
    return true;
}

static void print_rows(int rounds)
{
    printf("%d tensors of 1 KiB, median of %d rounds [least, most]\n\n", records, rounds);
    printf("%-25s %9s %12s %12s %-24s %9s\n", "", "cpu us", "records/s", "with close", "", "B/record");
    for (size_t i = 0; i < ROWS; i++) {
        row *r = &rows[i];
        printf("%-25s %9.2f %12.0f", r->name, bench_median(r->cpu, rounds), bench_median(r->rate, rounds));
        const double whole = bench_median(r->whole_rate, rounds); /* sorts them */
        if (r->level)
            printf(" %12.0f [%9.0f, %9.0f]   %9.1f", whole, r->whole_rate[0], r->whole_rate[rounds - 1], r->bytes);
        printf("\n");
    }
    const row *stats = &rows[1];
    const double rate = bench_median(rows[1].whole_rate, rounds);
    printf("\n%-44s %10.0f  goal at least %.0f  %s\n", "records/s at level stats, with the close", rate, GOAL_RATE,
           bench_verdict(rate >= GOAL_RATE));
    printf("%-44s %10.1f  goal at most %d      %s\n", "bytes a record on disk at level stats", stats->bytes, GOAL_BYTES,
           bench_verdict(stats->bytes <= GOAL_BYTES));
}

int main(int argc, char **argv)
{
    int rounds;
    bool quick;
    if (!bench_options(argc, argv, usage, MAX_ROUNDS, &quick, &rounds))
        return 2;
    if (quick)
        records = 100000;
    if (!bench_make_directory(directory))
        return 1;
    snprintf(path, sizeof path, "%s/run.h5", directory);
    name_tensors();
    bench_print_load();
    bool fine = true;
    for (int round = 0; fine && round < rounds; round++)
        fine = take_round(round);
    bench_remove_directory(directory);
    if (fine)
        print_rows(rounds);
    return fine ? 0 : 1;
}
