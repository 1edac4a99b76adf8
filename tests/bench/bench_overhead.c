/* bench_overhead - what recording costs a training: the digits example with VR_TRACE against without.
 *
 * Of each level, pairs of runs one after the other, by turns with and without the trace first; the median of the pairs'
 * ratios of wall time, and between which values half of them lie. The same of processor time, which other programs
 * disturb less but which counts what the writer's thread does on a core that would have been idle. OMP_WAIT_POLICY and
 * the like are left as they are.
 */
#include "bench.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const char usage[] =
    "usage: bench_overhead [--quick] [-n PAIRS] [-e EPOCHS]\n"
    "\n"
    "Train the digits example with 2 threads for EPOCHS epochs (default 6), recorded and not, PAIRS times\n"
    "(default 11) at each level. --quick: 3 pairs of 2 epochs.\n";

#define MAX_PAIRS    101
#define GOAL_PERCENT 5.0 /* of wall time, at level stats */

typedef struct cost {
    double wall, cpu;
} cost;

typedef struct row {
    const char *level;
    double wall[MAX_PAIRS], cpu[MAX_PAIRS]; /* with / without */
    double bytes;                           /* of the trace */
} row;

static row rows[] = {{.level = "hash"}, {.level = "stats"}, {.level = "chunks"}, {.level = "full"}};

#define ROWS (sizeof rows / sizeof *rows)

static char path[BENCH_PATH + 16];
static const char *epochs = "6";
static double plain[ROWS * MAX_PAIRS]; /* wall seconds of the runs without a trace */
static int plain_count;

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + 1e-6 * (double)t.tv_usec;
}

/* Trains once; level NULL: nothing is recorded. */
static bool train(cost *out, const char *level)
{
    const double start = bench_seconds();
    const pid_t child = fork();
    if (child == 0) {
        unsetenv("VR_TRACE");
        if (level) {
            setenv("VR_TRACE", path, 1);
            setenv("VR_LEVEL", level, 1);
        }
        execl(DIGITS, "digits", "--epochs", epochs, "--threads", "2", "--quiet", (char *)NULL);
        _exit(127);
    }
    int status;
    struct rusage used;
    if (child < 0 || wait4(child, &status, 0, &used) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fputs("bench_overhead: the digits example failed\n", stderr);
        return false;
    }
    *out = (cost){bench_seconds() - start, seconds_of(used.ru_utime) + seconds_of(used.ru_stime)};
    return true;
}

static bool take_pair(row *r, int pair)
{
    cost with, without;
    const bool first = pair % 2 == 0;
    if ((first && !train(&with, r->level)) || !train(&without, NULL) || (!first && !train(&with, r->level)))
        return false;
    struct stat file;
    if (stat(path, &file) != 0)
        return false;
    r->bytes = (double)file.st_size;
    r->wall[pair] = with.wall / without.wall;
    r->cpu[pair] = with.cpu / without.cpu;
    plain[plain_count++] = without.wall;
    return unlink(path) == 0;
}

static double percent(double ratio)
{
    return 100 * (ratio - 1);
}

static void print_rows(int pairs)
{
    const double without = bench_median(plain, plain_count);
    printf("digits --epochs %s --threads 2: %.2f s without a trace; more with one, median of %d pairs [half lie "
           "within]\n\n",
           epochs, without, pairs);
    printf("%-8s %10s %-20s %10s %-20s %10s\n", "level", "wall, %", "", "cpu, %", "", "trace, MB");
    for (size_t i = 0; i < ROWS; i++) {
        row *r = &rows[i];
        const double wall = percent(bench_median(r->wall, pairs)), cpu = percent(bench_median(r->cpu, pairs));
        const int low = pairs / 4, high = pairs - 1 - pairs / 4;
        printf("%-8s %10.1f [%6.1f, %6.1f]     %10.1f [%6.1f, %6.1f]     %10.1f", r->level, wall, percent(r->wall[low]),
               percent(r->wall[high]), cpu, percent(r->cpu[low]), percent(r->cpu[high]), 1e-6 * r->bytes);
        if (strcmp(r->level, "stats") == 0)
            printf("  goal at most %.0f %% of wall time  %s", GOAL_PERCENT, bench_verdict(wall <= GOAL_PERCENT));
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    int pairs = 11;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            pairs = 3;
            epochs = "2";
        } else if (strcmp(argv[i], "-n") == 0 && i + 1 < argc)
            pairs = atoi(argv[++i]);
        else if (strcmp(argv[i], "-e") == 0 && i + 1 < argc)
            epochs = argv[++i];
        else
            return fputs(usage, stderr), 2;
    }
    if (pairs < 1 || pairs > MAX_PAIRS)
        return fputs(usage, stderr), 2;
    char directory[BENCH_PATH];
    if (!bench_make_directory(directory))
        return 1;
    snprintf(path, sizeof path, "%s/run.h5", directory);
    bench_print_load();
    cost warm;
    bool fine = train(&warm, NULL);
    for (int pair = 0; fine && pair < pairs; pair++)
        for (size_t i = 0; fine && i < ROWS; i++)
            fine = take_pair(&rows[i], pair);
    bench_remove_directory(directory);
    if (fine)
        print_rows(pairs);
    return fine ? 0 : 1;
}
