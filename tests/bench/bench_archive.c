/* bench_archive - archives of 1,000,000 members of 512 bytes: how long it takes to make one, to list it, to find a
 * member of it.
 *
 * One archive is made by a single vr_archive_append, so that it has a manifest; the other one is the same without it,
 * as GNU tar would write it. Both lie in the page cache. Each figure is of an archive that is opened afresh; of the one
 * without a manifest, the first time it is opened is apart from the others, which have the index beside it.
 */
#include "bench.h"

#include <varanalyze/archive.h>

#include <formats/tar.h>

#include <fcntl.h>

static const char usage[] =
    "usage: bench_archive [--quick] [-n ROUNDS]\n"
    "\n"
    "Make, list and search archives of 1,000,000 members, ROUNDS times (default 5), and print the medians.\n"
    "--quick: 100,000 members, 3 rounds. Takes 2.6 GB in TMPDIR (or /tmp).\n";

#define MAX_ROUNDS   101
#define NAME         32
#define GOAL_MEMBERS 2.0
#define GOAL_FIND    0.05

static char directory[BENCH_PATH];
static int members = 1000000;

typedef struct times {
    const char *name, *file;
    double open_find[MAX_ROUNDS], list[MAX_ROUNDS], verify[MAX_ROUNDS];
} times;

static times kinds[] = {{.name = "with a manifest", .file = "ours.tar"}, {.name = "by others", .file = "theirs.tar"}};

static bool failed(void)
{
    fprintf(stderr, "bench_archive: %s\n", vr_error());
    return false;
}

static void path_of(char out[BENCH_PATH + NAME], const char *file)
{
    snprintf(out, BENCH_PATH + NAME, "%s/%s", directory, file);
}

static bool make_small(const char *path)
{
    char bytes[512];
    memset(bytes, 'x', sizeof bytes);
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    const bool fine = fd >= 0 && write(fd, bytes, sizeof bytes) == sizeof bytes;
    if (fd >= 0)
        close(fd);
    return fine;
}

/* All members in one change; the seconds it takes. */
static bool make_ours(double *seconds)
{
    char small[BENCH_PATH + NAME], path[BENCH_PATH + NAME];
    path_of(small, "small");
    path_of(path, kinds[0].file);
    vr_addition *files = malloc((size_t)members * sizeof *files);
    char(*names)[NAME] = malloc((size_t)members * sizeof *names);
    bool fine = files && names && make_small(small);
    for (int i = 0; fine && i < members; i++) {
        snprintf(names[i], NAME, "runs/run-%07d.h5", i);
        files[i] = (vr_addition){small, names[i]};
    }
    const double start = bench_seconds();
    if (fine && vr_archive_append(path, files, (uint64_t)members, VR_TAKEN_REFUSE, true, NULL, NULL) != VR_OK)
        fine = failed();
    *seconds = bench_seconds() - start;
    free(names);
    free(files);
    return fine;
}

static bool make_theirs(void)
{
    char path[BENCH_PATH + NAME], name[NAME], data[512];
    path_of(path, kinds[1].file);
    FILE *file = fopen(path, "wb");
    bool fine = file != NULL;
    memset(data, 'x', sizeof data);
    for (int i = 0; fine && i < members; i++) {
        void *header = NULL;
        size_t bytes = 0;
        snprintf(name, NAME, "runs/run-%07d.h5", i);
        const vr_tar_member member = {.name = name, .mode = 0644, .size = sizeof data};
        fine = vr_tar_header(&header, &bytes, &member, 0, VR_TAR_BLOCK) == VR_OK &&
               fwrite(header, 1, bytes, file) == bytes && fwrite(data, 1, sizeof data, file) == sizeof data;
        free(header);
    }
    memset(data, 0, sizeof data);
    fine = fine && fwrite(data, 1, sizeof data, file) == sizeof data && fwrite(data, 1, sizeof data, file) > 0;
    return file && fclose(file) == 0 && fine;
}

/* Opens the archive and finds one member. */
static bool find(const char *path, int number, double *seconds)
{
    char name[NAME];
    vr_archive *archive;
    vr_member member;
    snprintf(name, sizeof name, "runs/run-%07d.h5", number);
    const double start = bench_seconds();
    if (vr_archive_open(&archive, path, NULL) != VR_OK)
        return failed();
    const bool fine = vr_archive_find(archive, name, &member) == VR_OK;
    *seconds = bench_seconds() - start;
    vr_archive_close(archive);
    return fine || failed();
}

static bool list(const char *path, double *seconds)
{
    vr_archive *archive;
    const vr_member *all;
    uint64_t count;
    const double start = bench_seconds();
    if (vr_archive_open(&archive, path, NULL) != VR_OK)
        return failed();
    const bool fine = vr_archive_members(archive, &all, &count) == VR_OK && count == (uint64_t)members;
    *seconds = bench_seconds() - start;
    vr_archive_close(archive);
    return fine || failed();
}

static bool verify(const char *path, double *seconds)
{
    vr_archive *archive;
    uint64_t bad, unknown;
    const double start = bench_seconds();
    if (vr_archive_open(&archive, path, NULL) != VR_OK)
        return failed();
    const bool fine = vr_archive_verify(archive, NULL, NULL, &bad, &unknown, NULL) == VR_OK && bad == 0;
    *seconds = bench_seconds() - start;
    vr_archive_close(archive);
    return fine || failed();
}

static bool take_round(int round)
{
    for (int i = 0; i < 2; i++) {
        char path[BENCH_PATH + NAME];
        path_of(path, kinds[i].file);
        if (!find(path, (int)((long long)members * (2 * round + 1) / (2 * MAX_ROUNDS)), &kinds[i].open_find[round]) ||
            !list(path, &kinds[i].list[round]) || !verify(path, &kinds[i].verify[round]))
            return false;
    }
    return true;
}

static void print_rows(int rounds, double making, double first)
{
    printf("archives of %d members of 512 bytes, median of %d rounds\n\n", members, rounds);
    printf("%-34s %10.3f s\n", "made by one change", making);
    printf("%-34s %10.3f s\n", "by others: the first open and find", first);
    for (int i = 0; i < 2; i++) {
        const double open_find = bench_median(kinds[i].open_find, rounds), all = bench_median(kinds[i].list, rounds);
        printf("%s\n", kinds[i].name);
        printf("%-34s %10.3f ms  goal under %.0f ms  %s\n", "  open and find", 1e3 * open_find, 1e3 * GOAL_FIND,
               bench_verdict(open_find < GOAL_FIND));
        printf("%-34s %10.3f s   goal under %.0f s   %s\n", "  open and list", all, GOAL_MEMBERS,
               bench_verdict(all < GOAL_MEMBERS));
        printf("%-34s %10.3f s\n", "  open and verify", bench_median(kinds[i].verify, rounds));
    }
}

int main(int argc, char **argv)
{
    int rounds;
    bool quick;
    if (!bench_options(argc, argv, usage, MAX_ROUNDS, &quick, &rounds))
        return 2;
    if (quick)
        members = 100000;
    if (!bench_make_directory(directory))
        return 1;
    bench_print_load();
    double making = 0, first = 0;
    char theirs[BENCH_PATH + NAME];
    path_of(theirs, kinds[1].file);
    bool fine = make_ours(&making) && make_theirs() && find(theirs, members / 2, &first);
    for (int round = 0; fine && round < rounds; round++)
        fine = take_round(round);
    bench_remove_directory(directory);
    if (fine)
        print_rows(rounds, making, first);
    return fine ? 0 : 1;
}
