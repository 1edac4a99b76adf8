/* Campaigns that are interrupted and killed at any moment: at the end every run is done, once, and none outlives them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "campaign_archive.h"
#include "scratch.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <varanalyze/random.h>
#include <varanalyze/source.h>
#include <varanalyze/trace.h>

#define REPLICAS 100 /* of each of two conditions */
#define JOBS     2
#define CRASHES  (2 * REPLICAS / 20)
#define KILLS    15 /* of the campaign that is killed over and over */

static void wait_ms(uint64_t ms)
{
    nanosleep(&(struct timespec){(time_t)(ms / 1000), (long)(ms % 1000 * 1000000)}, NULL);
}

/* Runs `varanalyze run`, its output in files. */
static pid_t start(const char *archive, bool resume, const char *replicas, const char *log, const char *ms)
{
    const pid_t child = fork();
    if (child)
        return child;
    signal(SIGINT, SIG_DFL); /* a shell that has started this aside lets it ignore it */
    freopen(scratch_path("said"), "w", stdout);
    freopen(scratch_path("complained"), "w", stderr);
    if (resume)
        execl(VARANALYZE, "varanalyze", "run", "-j", "2", "--resume", archive, NULL);
    execl(VARANALYZE, "varanalyze", "run", "-j", "2", "-n", replicas, "--condition", "one:init", "--condition",
          "two:order,init", "--env", "VR_QUEUE=64k", "-o", archive, "--", CAMPAIGN_CHILD, log, ms, NULL);
    _exit(126);
}

static int status_of(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* Nobody holds the log any more, soon. */
static void assert_no_runs(const char *log)
{
    const int fd = open(log, O_RDONLY | O_CREAT, 0600);
    int tries = 500;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0 && tries-- > 0)
        wait_ms(10);
    close(fd);
    assert_true(tries >= 0);
}

static unsigned count_lines(const char *path)
{
    unsigned lines = 0;
    FILE *log = fopen(path, "r");
    for (int c; log && (c = getc(log)) != EOF;)
        lines += c == '\n';
    if (log)
        fclose(log);
    return lines;
}

static bool has_ended(pid_t child)
{
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == child;
}

/* Waits until so many runs have been begun, or the campaign is at its end. */
static void wait_for_runs(pid_t child, const char *log, unsigned count)
{
    while (count_lines(log) < count && !has_ended(child))
        wait_ms(2);
}

/* How often each run was begun: [condition][replica - 1]. */
typedef struct begun {
    unsigned times[2][REPLICAS];
} begun;

static void read_log(begun *out, const char *path)
{
    char vary[64];
    unsigned replica;
    FILE *log = fopen(path, "r");
    *out = (begun){0};
    if (!log)
        return;
    while (fscanf(log, "%63s %u", vary, &replica) == 2) {
        assert_in_range(replica, 1, REPLICAS);
        out->times[strcmp(vary, "init") != 0][replica - 1]++;
    }
    fclose(log);
}

static void assert_sound(const char *path)
{
    vr_archive *archive;
    uint64_t bad, unknown;
    assert_int_equal(vr_archive_open(&archive, path, NULL), VR_OK);
    assert_int_equal(vr_archive_verify(archive, NULL, NULL, &bad, &unknown, NULL), VR_OK);
    assert_int_equal(bad, 0);
    assert_int_equal(unknown, 0);
    vr_archive_close(archive);
}

/* What a campaign had done, and begun, at one time. */
typedef struct moment {
    bool done[2][REPLICAS];
    uint64_t count;
    begun log;
} moment;

/* Looks at what is left of a campaign: what was done before still is, and was not begun again. */
static void look(moment *at, const char *archive, const char *log)
{
    va_campaign campaign;
    va_ledger ledger;
    const moment before = *at;
    assert_no_runs(log);
    read_log(&at->log, log);
    if (access(archive, F_OK) != 0) {
        assert_int_equal(before.count, 0);
        return;
    }
    assert_sound(archive);
    assert_int_equal(va_campaign_read(&campaign, archive), VR_OK);
    assert_int_equal(va_ledger_open(&ledger, &campaign), VR_OK);
    assert_int_equal(va_ledger_read(&ledger, archive), VR_OK);
    at->count = 0;
    for (uint32_t c = 0; c < 2; c++)
        for (uint32_t r = 1; r <= campaign.conditions[c].count; r++) {
            const bool was_done = before.done[c][r - 1];
            at->done[c][r - 1] = va_ledger_at(&ledger, (va_task){c, r})->done;
            at->count += at->done[c][r - 1];
            assert_true(at->done[c][r - 1] || !was_done);
            assert_true(at->log.times[c][r - 1] >= at->done[c][r - 1]);
            if (was_done)
                assert_int_equal(at->log.times[c][r - 1], before.log.times[c][r - 1]);
        }
    va_ledger_close(&ledger);
    va_campaign_free(&campaign);
}

/* A run's trace: whole, or, of one that killed itself, the two steps it made. */
static void assert_trace(const char *archive, const char *name, bool killed)
{
    char path[600];
    vr_source source;
    vr_trace *trace;
    snprintf(path, sizeof path, "%s:%s.h5", archive, name);
    assert_int_equal(vr_source_open(&source, path, NULL), VR_OK);
    assert_int_equal(vr_trace_open_source(&trace, &source), VR_OK);
    const vr_trace_info *info = vr_trace_get_info(trace);
    assert_int_equal(info->closed, !killed);
    assert_int_equal(info->record_count, killed ? 2 : 4);
    vr_trace_close(trace);
}

static uint64_t count_members(const char *path)
{
    vr_archive *archive;
    const vr_member *members;
    uint64_t count;
    assert_int_equal(vr_archive_open(&archive, path, NULL), VR_OK);
    assert_int_equal(vr_archive_members(archive, &members, &count), VR_OK);
    vr_archive_close(archive);
    return count;
}

/* All runs are done and are what they should be. */
static void assert_complete(const char *archive, uint32_t replicas)
{
    va_campaign campaign;
    va_ledger ledger;
    char name[VA_RUN_NAME];
    assert_int_equal(va_campaign_read(&campaign, archive), VR_OK);
    assert_int_equal(va_ledger_open(&ledger, &campaign), VR_OK);
    assert_int_equal(va_ledger_read(&ledger, archive), VR_OK);
    assert_int_equal(ledger.count, 2 * replicas);
    for (uint32_t c = 0; c < 2; c++)
        for (uint32_t r = 1; r <= replicas; r++) {
            const va_outcome *outcome = va_ledger_at(&ledger, (va_task){c, r});
            const bool killed = r % 40 == 20, failed = r % 40 == 0;
            assert_true(outcome->done);
            assert_int_equal(outcome->signal, killed ? SIGKILL : 0);
            assert_int_equal(outcome->exit_code, killed ? -1 : failed ? 3 : 0);
            assert_int_equal(outcome->traces, 1);
            assert_int_equal(outcome->recovered, killed);
            assert_int_equal(outcome->tries, 1);
            assert_string_equal(outcome->error_line, failed ? "out of luck" : "");
            assert_trace(archive, va_run_name(name, &campaign, (va_task){c, r}), killed);
        }
    assert_int_equal(count_members(archive), 1 + 4 * 2 * replicas); /* campaign.json; json, out, err, h5 */
    va_ledger_close(&ledger);
    va_campaign_free(&campaign);
}

static void assert_said(const char *file, const char *words)
{
    size_t size;
    uint8_t *text = load_file(scratch_path("%s", file), &size);
    text[size] = 0;
    if (!strstr((char *)text, words))
        fail_msg("\"%s\" does not say \"%s\"", (char *)text, words);
    free(text);
}

/* Begun runs in all, of which each interruption can have repeated as many as were under way. */
static void assert_few_repeated(const moment *at, uint64_t interruptions)
{
    uint64_t begun_runs = 0;
    for (int c = 0; c < 2; c++)
        for (int r = 0; r < REPLICAS; r++)
            begun_runs += at->log.times[c][r];
    assert_in_range(begun_runs, at->count, at->count + JOBS * interruptions);
}

static void test_interrupted_twice(void **state)
{
    (void)state;
    char archive[512], log[512];
    moment at = {0};
    snprintf(archive, sizeof archive, "%s", scratch_path("twice.tar"));
    snprintf(log, sizeof log, "%s", scratch_path("twice.log"));
    pid_t child = start(archive, false, "100", log, "4");
    wait_for_runs(child, log, 60);
    kill(child, SIGINT);
    int status = status_of(child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    assert_said("complained", "interrupted: ");
    assert_said("complained", "go on with: varanalyze run --resume ");
    assert_exists(scratch_path("twice.tar.scratch"), 0);
    look(&at, archive, log);
    assert_in_range(at.count, 1, 2 * REPLICAS - 1);
    const uint64_t first = at.count;

    child = start(archive, true, NULL, NULL, NULL);
    wait_for_runs(child, log, 130);
    kill(child, SIGKILL);
    status = status_of(child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    look(&at, archive, log);
    assert_in_range(at.count, first, 2 * REPLICAS - 1);

    status = status_of(start(archive, true, NULL, NULL, NULL));
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    look(&at, archive, log);
    assert_int_equal(at.count, 2 * REPLICAS);
    assert_few_repeated(&at, 2);
    assert_complete(archive, REPLICAS);
    char words[64];
    snprintf(words, sizeof words, "200 of 200 runs done, %d failed", CRASHES);
    assert_said("said", words);
    assert_exists(scratch_path("twice.tar.scratch"), 0);
}

static void test_killed_at_random(void **state)
{
    (void)state;
    const char *given = getenv("CRASH_SEED");
    const uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    vr_random random = vr_random_stream(vr_derive_seed(seed, "campaign"), 0);
    char archive[512], log[512];
    moment at = {0};
    print_message("CRASH_SEED=%llu\n", (unsigned long long)seed);
    snprintf(archive, sizeof archive, "%s", scratch_path("random.tar"));
    snprintf(log, sizeof log, "%s", scratch_path("random.log"));
    for (int i = 0; i < KILLS; i++) {
        const pid_t child = start(archive, false, "40", log, "4");
        wait_for_runs(child, log, count_lines(log) + (unsigned)vr_random_below(&random, 5));
        wait_ms(vr_random_below(&random, 30));
        kill(child, vr_random_below(&random, 3) ? SIGKILL : SIGTERM);
        status_of(child);
        look(&at, archive, log);
    }
    print_message("%llu runs done by campaigns that were killed\n", (unsigned long long)at.count);
    const int status = status_of(start(archive, false, "40", log, "4"));
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    look(&at, archive, log);
    assert_int_equal(at.count, 80);
    assert_few_repeated(&at, KILLS);
    assert_complete(archive, 40);
    assert_exists(scratch_path("random.tar.scratch"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interrupted_twice),
        cmocka_unit_test(test_killed_at_random),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
