/* 'varanalyze cost --run': pairs of runs, until their ratio is known as well as asked. */
#include "archive_files.h"
#include "campaign_archive.h"
#include "campaign_json.h"
#include "cmd_cost.h"
#include "guard.h"
#include "run_driver.h"
#include "run_environment.h"

#include <errno.h>
#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_PAIRS 10 /* before the interval is looked at: stopping earlier makes it cover less often */
#define MORE_PAIRS  5  /* between looks */
#define WARMUP_RUNS 1  /* of each condition, which find caches cold */
#define MOST_PAIRS  100
#define MOST_KERNEL 10 /* there are many conditions */

#define KERNELS_PROGRAM "varanalyze-kernels"

/* Where the program of --kernels is, from where varanalyze is: as installed, and in a build folder. */
static const char *const places[] = {VA_BIN_TO_LIBEXEC "/" KERNELS_PROGRAM, KERNELS_PROGRAM};

static char *const kernel_conditions[] = {"threads:VR_KERNELS=threads",
                                          "atomic:VR_KERNELS=atomic",
                                          "fixed:VR_KERNELS=fixed",
                                          "shuffled:VR_KERNELS=shuffled",
                                          "exact:VR_KERNELS=exact",
                                          "sr:VR_KERNELS=threads,VR_ROUNDING=sr",
                                          "ud:VR_KERNELS=threads,VR_ROUNDING=ud",
                                          "up:VR_KERNELS=threads,VR_ROUNDING=up",
                                          "down:VR_KERNELS=threads,VR_ROUNDING=down",
                                          "zero:VR_KERNELS=threads,VR_ROUNDING=zero",
                                          "rr:VR_KERNELS=threads,VR_ROUNDING=rr",
                                          "pb:VR_KERNELS=threads,VR_ROUNDING=pb",
                                          "mca:VR_KERNELS=threads,VR_ROUNDING=mca"};
static char *const usual_conditions[] = {"threads:VR_KERNELS=threads", "fixed:VR_KERNELS=fixed"};

typedef struct session {
    va_cost_settings *settings;
    va_cores cores;
    va_campaign campaign;
    va_scratch scratch;
    char *folder; /* of an archive that is not kept; else NULL */
    char *archive;
    bool is_new;
    int signal;
    sigset_t before;
    va_cost_told *told; /* shared with the process that reads the traces */
    bool final;         /* the look is the last one: it prints */
} session;

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

/* ---- what is run ---- */

/* The program of --kernels; the caller's. */
static vr_status find_program(char **out)
{
    char here[4096], *path;
    const ssize_t length = readlink("/proc/self/exe", here, sizeof here - 1);
    here[length > 0 ? length : 0] = 0;
    char *slash = strrchr(here, '/');
    for (size_t i = 0; slash && i < sizeof places / sizeof *places; i++) {
        slash[1] = 0;
        if (asprintf(&path, "%s%s", here, places[i]) < 0)
            return no_memory();
        if (access(path, X_OK) == 0) {
            *out = path;
            return VR_OK;
        }
        free(path);
    }
    return vr_fail(VR_ERROR_IO, KERNELS_PROGRAM ": is neither beside varanalyze nor in " VA_BIN_TO_LIBEXEC
                                                " from there; it is installed with the capture library");
}

/* What --kernels runs, NULL at the end; words[0] is the caller's. */
static vr_status kernels_command(char *words[4], const va_cost_settings *s, char size[24], char steps[24])
{
    snprintf(size, 24, "%llu", (unsigned long long)(s->size ? s->size : 1));
    snprintf(steps, 24, "%llu", (unsigned long long)(s->steps ? s->steps : 10));
    words[1] = size;
    words[2] = steps;
    words[3] = NULL;
    return find_program(&words[0]);
}

static vr_status define(session *s, char **command)
{
    const va_cost_settings *settings = s->settings;
    va_words conditions = settings->conditions;
    if (!conditions.count)
        conditions =
            settings->kernels ? (va_words){(char **)kernel_conditions, 13} : (va_words){(char **)usual_conditions, 2};
    const va_run_settings run = {.archive = s->archive,
                                 .conditions = conditions,
                                 .command = command,
                                 .level = getenv("VR_LEVEL") ? NULL : "hash",
                                 .seed = settings->seed,
                                 .timeout = settings->timeout,
                                 .runs = 1,
                                 .jobs = 1};
    vr_status status = va_run_settings_campaign(&s->campaign, &run, &s->cores);
    for (size_t i = 0; i < s->campaign.condition_count && status == VR_OK; i++)
        if (s->campaign.conditions[i].own_count)
            status = vr_fail(VR_ERROR_ARGUMENT,
                             "condition '%s': no number of runs here; --precision and --most say "
                             "how many there are",
                             s->campaign.conditions[i].name);
    return status == VR_OK ? va_command_check(&s->campaign) : status;
}

static vr_status define_campaign(session *s)
{
    char *words[4] = {NULL}, size[24], steps[24];
    vr_status status = VR_OK;
    if (s->settings->kernels)
        status = kernels_command(words, s->settings, size, steps);
    if (status == VR_OK)
        status = define(s, s->settings->kernels ? words : s->settings->operands);
    free(words[0]);
    return status;
}

/* ---- where ---- */

static vr_status choose_archive(session *s)
{
    const char *folder = getenv("TMPDIR");
    if (s->settings->keep) {
        s->archive = strdup(s->settings->keep);
        return s->archive ? va_refuse_compressed(s->archive) : no_memory();
    }
    if (asprintf(&s->folder, "%s/varanalyze-cost-XXXXXX", folder && *folder ? folder : "/tmp") < 0) {
        s->folder = NULL;
        return no_memory();
    }
    if (!mkdtemp(s->folder)) {
        const vr_status status = vr_fail_errno(errno, "%s: cannot create; TMPDIR says where", s->folder);
        free(s->folder);
        s->folder = NULL;
        return status;
    }
    if (asprintf(&s->archive, "%s/runs.tar", s->folder) < 0) {
        s->archive = NULL;
        return no_memory();
    }
    return VR_OK;
}

/* Of an archive that is kept from before, how many pairs it has. */
static vr_status join_archive(session *s, uint32_t *runs)
{
    va_campaign there;
    struct stat file;
    s->is_new = lstat(s->archive, &file) != 0;
    if (s->is_new)
        return VR_OK;
    vr_status status = va_campaign_read(&there, s->archive);
    if (status != VR_OK)
        return status;
    *runs = there.runs > *runs ? there.runs : *runs;
    status = va_campaign_set_runs(&s->campaign, *runs);
    if (status == VR_OK)
        status = va_campaign_agrees(&there, &s->campaign, s->archive);
    va_campaign_free(&there);
    return status;
}

/* ---- runs ---- */

/* A run that fails makes the whole doubtful: it may have done less work. */
static vr_status check_ledger(const session *s, const va_ledger *ledger, const va_task *tasks)
{
    char name[VA_RUN_NAME], text[VA_OUTCOME_TEXT];
    for (uint64_t i = 0; i < ledger->count; i++) {
        const va_outcome *outcome = va_ledger_at(ledger, tasks[i]);
        if (outcome->done && !va_outcome_is_ok(outcome))
            return vr_fail(VR_ERROR_ARGUMENT,
                           "%s: %s%s%s; its time says nothing: make the command end with status 0%s%s%s",
                           va_run_name(name, &s->campaign, tasks[i]), va_outcome_text(text, outcome),
                           *outcome->error_line ? ": " : "", outcome->error_line,
                           s->folder ? "" : ", and do it again with 'varanalyze run --resume ",
                           s->folder ? "" : s->archive, s->folder ? "" : " --retry-failed'");
    }
    return VR_OK;
}

static vr_status drive(session *s, va_ledger *ledger)
{
    va_task *tasks = NULL;
    const va_drive how = {.campaign = &s->campaign,
                          .archive = s->archive,
                          .scratch = &s->scratch,
                          .cores = &s->cores,
                          .jobs = 1,
                          .verbose = s->settings->verbose,
                          .timeout = s->settings->timeout,
                          .before = &s->before};
    vr_status status = va_campaign_order(&tasks, &s->campaign);
    if (status == VR_OK)
        status = va_ledger_read(ledger, s->archive);
    if (status == VR_OK)
        status = check_ledger(s, ledger, tasks); /* of an archive that is kept from before */
    if (status == VR_OK)
        status = va_drive_run(&how, ledger, tasks, &s->signal);
    if (status == VR_OK && !s->signal)
        status = check_ledger(s, ledger, tasks);
    free(tasks);
    return status;
}

/* Until every condition has so many. */
static vr_status run_up_to(session *s, uint32_t runs)
{
    va_ledger ledger = {0};
    vr_status status = va_campaign_set_runs(&s->campaign, runs);
    if (status == VR_OK)
        status = va_campaign_write(&s->campaign, s->archive, &s->scratch, s->is_new);
    s->is_new = false;
    if (status == VR_OK)
        status = va_ledger_open(&ledger, &s->campaign);
    if (status == VR_OK)
        status = drive(s, &ledger);
    va_ledger_close(&ledger);
    return status;
}

/* ---- looks ---- */

static session *looked_at; /* passed through va_guard_run */

/* The widest interval that was asked for: of the headlines, or of the whole table; 0: that has no row. */
static double find_reach(const va_cost *cost, bool table)
{
    double reach = 0;
    for (size_t i = 0; i < cost->comparison_count; i++) {
        const va_cost_comparison *c = &cost->comparisons[i];
        if (!table)
            reach = fmax(reach, va_cost_reach(&va_cost_headline(c)->by_median));
        for (size_t j = 0; table && j < c->row_count; j++)
            if (va_cost_is_in_table(&c->rows[j]))
                reach = fmax(reach, va_cost_reach(&c->rows[j].by_median));
    }
    return reach;
}

/* An empty table has no interval that could be too wide. */
static vr_status check_table(const va_cost *cost)
{
    for (size_t i = 0; i < cost->comparison_count; i++) {
        const va_cost_comparison *c = &cost->comparisons[i];
        bool has_row = false;
        for (size_t j = 0; j < c->row_count; j++)
            has_row = has_row || va_cost_is_in_table(&c->rows[j]);
        if (!has_row)
            return vr_fail(VR_ERROR_ARGUMENT,
                           "no call of a kernel by '%s' and '%s' is left to compare: give a smaller --warmup or more "
                           "--steps, and record at VR_LEVEL=hash",
                           cost->conditions[c->base].name, cost->conditions[c->cost].name);
    }
    return VR_OK;
}

/* The first condition is the base, and those of a campaign are called as they were given. */
static va_cost_options choose_options(const session *s)
{
    va_cost_options options = s->settings->cost;
    if (!options.base)
        options.base = s->campaign.conditions[0].name;
    if (!s->settings->skip_given)
        options.skip = WARMUP_RUNS;
    return options;
}

/* An archive that is not kept is no name for a user. */
static void shorten_names(va_cost_runs *runs)
{
    for (size_t i = 0; i < runs->count; i++) {
        char *name = runs->runs[i].name;
        const char *colon = strrchr(name, ':');
        if (colon)
            memmove(name, colon + 1, strlen(colon + 1) + 1);
    }
}

static int look(int count, char **operands)
{
    const session *s = looked_at;
    va_cost_runs runs = {0};
    va_cost *cost = NULL;
    const va_cost_options options = choose_options(s);
    (void)count;
    vr_status status = va_cost_runs_add(&runs, operands[0]);
    if (s->folder)
        shorten_names(&runs);
    if (status == VR_OK)
        status = va_cost_compute(&cost, &runs, &options);
    if (status == VR_OK && s->settings->kernels)
        status = check_table(cost);
    if (status == VR_OK) {
        s->told->reach = find_reach(cost, s->settings->kernels);
        s->told->pairs = cost->comparisons[0].pair_count;
        if (s->final)
            status = va_cost_render(cost, &runs, s->settings, s->told);
    }
    va_cost_free(cost);
    va_cost_runs_free(&runs);
    return status == VR_OK ? VA_SAME : va_trouble();
}

/* In a process of its own, as commands that read traces are; and so the memory this takes is not counted as that of the
 * runs that are started later. */
static bool take_look(session *s)
{
    char *operands[] = {s->archive, NULL};
    looked_at = s;
    const bool fine = va_guard_run(look, 1, operands) == VA_SAME;
    if (fine && s->settings->verbose && !s->final)
        fprintf(stderr, "%llu pairs: within %.3g%%\n", (unsigned long long)s->told->pairs, 100 * s->told->reach);
    return fine;
}

/* ---- the measurement ---- */

/* False: it has ended in trouble that has been told. */
static bool measure(session *s, vr_status *status)
{
    const uint32_t skip = s->settings->skip_given ? s->settings->cost.skip : WARMUP_RUNS;
    const uint32_t most = (uint32_t)s->settings->most + skip;
    uint32_t runs = FIRST_PAIRS + skip < most ? FIRST_PAIRS + skip : most;
    *status = join_archive(s, &runs);
    if (*status == VR_OK && s->is_new) /* a command that fails does so at once */
        *status = run_up_to(s, 1);
    for (; *status == VR_OK && !s->signal; runs = runs + MORE_PAIRS < most ? runs + MORE_PAIRS : most) {
        *status = run_up_to(s, runs);
        if (*status != VR_OK || s->signal)
            return true;
        if (!take_look(s))
            return false;
        if (s->told->reach <= s->settings->precision || runs >= most)
            break;
    }
    s->final = true;
    return *status != VR_OK || s->signal || take_look(s);
}

static vr_status prepare(session *s)
{
    s->told = mmap(NULL, sizeof *s->told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (s->told == MAP_FAILED) {
        s->told = NULL;
        return no_memory();
    }
    s->told->precision = s->settings->precision;
    vr_status status = choose_archive(s);
    if (status == VR_OK)
        status = define_campaign(s);
    if (status == VR_OK)
        status = va_scratch_open(&s->scratch, s->archive);
    return status;
}

static void close_session(session *s)
{
    va_scratch_close(&s->scratch);
    va_campaign_free(&s->campaign);
    if (s->folder)
        va_scratch_remove(s->folder);
    if (s->told)
        munmap(s->told, sizeof *s->told);
    free(s->folder);
    free(s->archive);
}

int va_cost_measure(va_cost_settings *settings)
{
    session s = {.settings = settings};
    if (!settings->most)
        settings->most = settings->kernels ? MOST_KERNEL : MOST_PAIRS;
    va_drive_open_standard();
    va_cores_read(&s.cores);
    vr_status status = prepare(&s);
    va_drive_block_signals(&s.before);
    bool fine = status != VR_OK || measure(&s, &status);
    const bool reached = s.told && s.told->reach <= settings->precision;
    const int signal = s.signal;
    if (status != VR_OK)
        va_trouble();
    fine = fine && status == VR_OK;
    close_session(&s);
    if (signal)
        return va_drive_end_by(signal, &s.before);
    sigprocmask(SIG_SETMASK, &s.before, NULL);
    return !fine ? VA_TROUBLE : reached ? VA_SAME : VA_DIFFERENT;
}
