/* bench_diff - the time and the memory `varanalyze diff` takes for two traces of 1,000,000 records at level stats.
 *
 * The traces are made by the capture; the program is run on each pair by turns, the files in the page cache. Beside it,
 * in the same rounds: both files read with pread in blocks of 1 MiB (the records are all but a few kilobytes of them).
 */
#include "bench.h"

#include <varanalyze/capture.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

static const char usage[] =
    "usage: bench_diff [--quick] [-n ROUNDS]\n"
    "\n"
    "Compare pairs of traces of 1,000,000 records, ROUNDS times (default 5), and print the medians.\n"
    "--quick: 100,000 records, 3 rounds. Takes 1.1 GB in TMPDIR (or /tmp).\n";

#define MAX_ROUNDS 101
#define LAYERS     100 /* a record of each in a step */
#define ELEMENTS   16
#define NAME       48
#define BLOCK      (1 << 20)

#define GOAL_SECONDS 1.0
#define GOAL_MIB     300

static char directory[BENCH_PATH];
static int records = 1000000;
static volatile ssize_t sink;

/* What a trace is made of. */
typedef struct recipe {
    const char *file;
    bool one_step;
    int first_other; /* the layer from which on the values are others in every step */
    bool reversed;   /* the layers from last to first */
} recipe;

static const recipe recipes[] = {
    {"steps-a.h5", false, LAYERS, false},   {"steps-b.h5", false, LAYERS, false},
    {"half.h5", false, LAYERS / 2, false},  {"one-step-a.h5", true, LAYERS, false},
    {"one-step-b.h5", true, LAYERS, false}, {"one-step-reversed.h5", true, LAYERS, true},
};

typedef struct row {
    const char *name, *a, *b;
    int status; /* that diff must end with */
    bool goal;
    double seconds[MAX_ROUNDS], reading[MAX_ROUNDS], mib[MAX_ROUNDS];
} row;

static row rows[] = {
    {.name = "steps of 100, equal", .a = "steps-a.h5", .b = "steps-b.h5", .goal = true},
    {.name = "steps of 100, 50% differ", .a = "steps-a.h5", .b = "half.h5", .status = 1, .goal = true},
    {.name = "one step, equal", .a = "one-step-a.h5", .b = "one-step-b.h5", .goal = true},
    {.name = "one step, other order", .a = "one-step-a.h5", .b = "one-step-reversed.h5"},
};

#define ROWS    (sizeof rows / sizeof *rows)
#define RECIPES (sizeof recipes / sizeof *recipes)

static void path_of(char out[BENCH_PATH + NAME], const char *file)
{
    snprintf(out, BENCH_PATH + NAME, "%s/%s", directory, file);
}

/* Each layer's output is computed from that of the layer before and from two weights. */
static vr_status record_layer(vr_run *run, const recipe *how, int step, int layer)
{
    float values[ELEMENTS];
    char name[NAME], before[NAME], weight[NAME], bias[NAME];
    for (int k = 0; k < ELEMENTS; k++)
        values[k] = (float)(step + layer + k) + (layer >= how->first_other ? 0.25f : 0);
    snprintf(name, NAME, "block%d", layer);
    snprintf(weight, NAME, "weight:block%d/weight", layer);
    snprintf(bias, NAME, "weight:block%d/bias", layer);
    if (layer == 0)
        return vr_record(run, VR_INPUT, name, "out", VR_TENSOR(VR_F32, values, ELEMENTS), NULL);
    snprintf(before, NAME, "block%d/out", layer - 1);
    return vr_record(run, VR_FORWARD, name, "out", VR_TENSOR(VR_F32, values, ELEMENTS), before, weight, bias, NULL);
}

static bool make_trace(const recipe *how)
{
    char path[BENCH_PATH + NAME];
    const uint64_t seed = 1;
    vr_run *run;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    path_of(path, how->file);
    options.trace = path;
    options.level = "stats";
    options.seed = &seed;
    vr_status status = vr_run_open(&run, &options);
    for (int i = 0; status == VR_OK && i < records; i++) {
        const int step = i / LAYERS, layer = i % LAYERS;
        if (layer == 0 && (step == 0 || !how->one_step))
            status = vr_run_step(run, 0);
        if (status == VR_OK)
            status = record_layer(run, how, step, how->reversed ? LAYERS - 1 - layer : layer);
    }
    if (status != VR_OK) {
        fprintf(stderr, "bench_diff: %s\n", vr_error());
        vr_run_close(run);
        return false;
    }
    return vr_run_close(run) == VR_OK;
}

/* Runs the program once, its output thrown away. */
static bool run_diff(row *r, int round)
{
    char a[BENCH_PATH + NAME], b[BENCH_PATH + NAME];
    path_of(a, r->a);
    path_of(b, r->b);
    const double start = bench_seconds();
    const pid_t child = fork();
    if (child == 0) {
        const int null = open("/dev/null", O_WRONLY);
        dup2(null, STDOUT_FILENO);
        execl(VARANALYZE, "varanalyze", "diff", a, b, (char *)NULL);
        _exit(127);
    }
    int status;
    struct rusage used;
    if (child < 0 || wait4(child, &status, 0, &used) != child || !WIFEXITED(status) ||
        WEXITSTATUS(status) != r->status) {
        fprintf(stderr, "bench_diff: %s did not end as it should\n", r->name);
        return false;
    }
    r->seconds[round] = bench_seconds() - start;
    r->mib[round] = (double)used.ru_maxrss / 1024;
    return true;
}

static bool read_file(const char *file)
{
    static char block[BLOCK];
    char path[BENCH_PATH + NAME];
    path_of(path, file);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 1;
    for (off_t at = 0; n > 0; at += n) {
        n = pread(fd, block, sizeof block, at);
        sink = block[0];
    }
    if (fd >= 0)
        close(fd);
    return n == 0;
}

static bool take_round(int round)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (!run_diff(&rows[i], round))
            return false;
        const double start = bench_seconds();
        if (!read_file(rows[i].a) || !read_file(rows[i].b))
            return false;
        rows[i].reading[round] = bench_seconds() - start;
    }
    return true;
}

static void print_rows(int rounds)
{
    printf("varanalyze diff of two traces of %d records, median of %d rounds [least, most]\n\n", records, rounds);
    printf("%-26s %8s %-18s %10s %12s\n", "", "s", "", "pread, s", "peak, MiB");
    for (size_t i = 0; i < ROWS; i++) {
        row *r = &rows[i];
        const double seconds = bench_median(r->seconds, rounds), mib = bench_median(r->mib, rounds);
        printf("%-26s %8.3f [%6.3f, %6.3f]   %10.3f %12.1f", r->name, seconds, r->seconds[0], r->seconds[rounds - 1],
               bench_median(r->reading, rounds), mib);
        if (r->goal)
            printf("  goal under %.0f s, %d MiB  %s", GOAL_SECONDS, GOAL_MIB,
                   bench_verdict(seconds < GOAL_SECONDS && mib < GOAL_MIB));
        printf("\n");
    }
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
    bench_print_load();
    bool fine = true;
    for (size_t i = 0; fine && i < RECIPES; i++)
        fine = make_trace(&recipes[i]);
    for (int round = 0; fine && round < rounds; round++)
        fine = take_round(round);
    bench_remove_directory(directory);
    if (fine)
        print_rows(rounds);
    return fine ? 0 : 1;
}
