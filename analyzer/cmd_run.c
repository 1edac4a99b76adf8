#include "cmd_run.h"

#include "archive_files.h"
#include "campaign_archive.h"
#include "campaign_json.h"
#include "run_driver.h"
#include "run_environment.h"
#include "run_render.h"

#include <errno.h>
#include <formats/fail.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
    "usage: varanalyze run [options] -n N -o ARCHIVE [--] COMMAND [ARGUMENT...]\n"
    "       varanalyze run [options] --resume ARCHIVE\n"
    "\n"
    "Runs a program that records N times, and puts the trace, output, exit status, time and memory of each run into\n"
    "one tar archive. A campaign that was interrupted, in whatever way, goes on where it was: with the same command,\n"
    "or with --resume from any folder. A run that crashes is kept as it is, with the part of its trace that there is.\n"
    "\n"
    "what varies (purposes: init, order, shift, dropout, augmentation, kernels, rounding, perturb, or the program's\n"
    "own; all):\n"
    "      --vary LIST              purposes that take another seed in each run (default: none)\n"
    "      --condition NAME:LIST[:N]  in place of --vary: several conditions, of N runs each, taking turns;\n"
    "                               may be repeated; NAME:VARIABLE=VALUE[,...]: one that sets variables, such as\n"
    "                               VR_KERNELS=threads, and varies nothing\n"
    "      --hold LIST              purposes that must not vary; 'all' leaves them out\n"
    "      --seed N                 the seed all others are derived from (default 1)\n"
    "      --kernels MODE           how kernels vary (default shuffled; else threads, atomic, ...)\n"
    "      --rounding MODE          how rounding varies (default sr; else ud, ...)\n"
    "      --env NAME=VALUE         set a variable for the runs; may be repeated\n"
    "\n"
    "what is recorded:\n"
    "      --level LEVEL            hash, stats (default), chunks, sample or full\n"
    "      --filter RULES           level by layer, phase and step, as VR_FILTER\n"
    "\n"
    "how it is run:\n"
    "  -n, --runs N                 runs of each condition; to add to a campaign, a larger number than it has\n"
    "  -o, --output ARCHIVE         the archive, made when it is not there\n"
    "      --resume ARCHIVE         go on with the campaign in it; with -n, add runs\n"
    "  -j, --jobs N                 runs at once, each on its own share of the cores (default 1; 0: one a core)\n"
    "      --timeout SECONDS        end a run that takes longer\n"
    "      --retry N                try a run that fails up to N times more\n"
    "      --retry-failed           do runs that have failed again, in place of those\n"
    "      --dry-run                print the runs that are due as lines for a shell\n"
    "  -v, --verbose                a line for each run that ends\n"
    "  -f, --format text|json|csv   of the summary (default text)\n"
    "      --report FILE            write the summary to FILE instead of standard output ('-')\n"
    "  -h, --help                   this text\n"
    "\n"
    "exit status: 0 all runs ended with status 0; 1 some failed; 2 trouble\n"
    "\n"
    "examples:\n"
    "  varanalyze run -n 20 --vary init,order -o runs.tar ./digits --epochs 5\n"
    "  varanalyze run -n 50 --condition algo:init,order --condition impl:kernels -j 4 -o runs.tar ./digits\n"
    "  varanalyze run --resume runs.tar\n"
    "  varanalyze diff runs.tar:run-0001.h5 runs.tar:run-0002.h5\n";

/* A campaign on its way. */
typedef struct session {
    const va_run_settings *settings;
    va_cores cores;
    va_campaign campaign;
    va_ledger ledger;
    va_task *tasks;
    bool is_new, is_changed; /* against what stands in the archive */
    bool is_begun;           /* it stands there now */
} session;

static void close_session(session *s)
{
    free(s->tasks);
    va_ledger_close(&s->ledger);
    va_campaign_free(&s->campaign);
}

/* ---- what is to be run ---- */

/* The programs replace these in VR_TRACE. */
static vr_status check_place(const char *archive)
{
    char *place;
    vr_status status = va_archive_place(&place, archive);
    if (status != VR_OK)
        return status;
    if (strstr(place, "%p") || strstr(place, "%r"))
        status = vr_fail(VR_ERROR_ARGUMENT, "%s: traces cannot be written below a path with '%%p' or '%%r'", place);
    free(place);
    return status;
}

static bool names_folder(const char *path)
{
    struct stat there;
    const size_t length = strlen(path);
    return (length > 0 && path[length - 1] == '/') || (stat(path, &there) == 0 && S_ISDIR(there.st_mode));
}

/* The summary's place; neither file need be there yet. */
static vr_status check_report(const va_run_settings *settings)
{
    char *archive = NULL, *report;
    if (!settings->report || strcmp(settings->report, "-") == 0)
        return VR_OK;
    if (names_folder(settings->report))
        return vr_fail(VR_ERROR_ARGUMENT, "--report %s: that is a folder; name a file in it", settings->report);
    vr_status status = va_archive_place(&report, settings->report);
    if (status != VR_OK)
        return status == VR_ERROR_ARGUMENT ? VR_OK : status; /* a device or a pipe is fine */
    status = va_archive_place(&archive, settings->archive);
    if (status == VR_OK && strcmp(archive, report) == 0)
        status =
            vr_fail(VR_ERROR_ARGUMENT, "--report %s: that is the archive; it takes the summary, and -o the archive",
                    settings->report);
    free(archive);
    free(report);
    return status;
}

/* Before anything is made. */
static vr_status check_places(const va_run_settings *settings)
{
    const vr_status status = check_place(settings->archive);
    return status == VR_OK ? check_report(settings) : status;
}

static void say_unknown(const va_campaign *campaign)
{
    for (size_t i = 0; i < campaign->condition_count; i++) {
        const char *word = va_purposes_unknown(campaign->conditions[i].vary);
        if (word)
            fprintf(stderr, "varanalyze: '%.*s' is none of the usual purposes: taken for one of the program's own\n",
                    (int)strcspn(word, ","), word);
    }
}

/* Of a campaign that is there: runs that are added. */
static vr_status settle_numbers(session *s)
{
    va_campaign *campaign = &s->campaign;
    const uint32_t runs = (uint32_t)s->settings->runs;
    bool all_counted = true;
    for (size_t i = 0; i < campaign->condition_count; i++)
        all_counted = all_counted && campaign->conditions[i].own_count;
    if (runs && all_counted)
        return vr_fail(VR_ERROR_ARGUMENT,
                       "%s: all conditions have numbers of their own; to add runs, give the whole command line again, "
                       "with larger ones",
                       s->settings->archive);
    if (runs && runs < campaign->runs)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: the campaign has %u runs, here it is %u: there can only be more",
                       s->settings->archive, campaign->runs, runs);
    if (runs > campaign->runs) {
        s->is_changed = true;
        return va_campaign_set_runs(campaign, runs);
    }
    return VR_OK;
}

/* The command line defines a campaign; the archive has one as well, if it is there. */
static vr_status settle_defined(session *s)
{
    const char *archive = s->settings->archive;
    va_campaign there;
    struct stat file;
    vr_status status = va_run_settings_campaign(&s->campaign, s->settings, &s->cores);
    if (status != VR_OK)
        return status;
    s->is_new = lstat(archive, &file) != 0;
    if (s->is_new) {
        say_unknown(&s->campaign);
        return va_refuse_compressed(archive);
    }
    status = va_campaign_read(&there, archive);
    if (status == VR_OK)
        status = va_campaign_agrees(&there, &s->campaign, archive);
    if (status == VR_OK) {
        s->campaign.threads = there.threads;
        s->campaign.timeout = there.timeout;
        s->is_changed = va_campaign_total(&s->campaign) > va_campaign_total(&there);
    }
    va_campaign_free(&there);
    return status;
}

static vr_status settle(session *s)
{
    const va_run_settings *settings = s->settings;
    vr_status status;
    if (!settings->resume) {
        status = settle_defined(s);
    } else {
        status = va_campaign_read(&s->campaign, settings->archive);
        if (status == VR_OK)
            status = settle_numbers(s);
        if (status == VR_OK)
            va_variables_compare(&s->campaign);
    }
    if (status == VR_OK)
        status = va_command_check(&s->campaign);
    if (status == VR_OK)
        status = va_ledger_open(&s->ledger, &s->campaign);
    if (status == VR_OK)
        status = va_campaign_order(&s->tasks, &s->campaign);
    return status == VR_OK && !s->is_new ? va_ledger_read(&s->ledger, settings->archive) : status;
}

static va_drive drive_of(const session *s)
{
    const va_run_settings *settings = s->settings;
    return (va_drive){.campaign = &s->campaign,
                      .archive = settings->archive,
                      .cores = &s->cores,
                      .jobs = (uint32_t)settings->jobs,
                      .retries = (uint32_t)settings->retries,
                      .retry_failed = settings->retry_failed,
                      .verbose = settings->verbose,
                      .timeout = settings->timeout > 0 ? settings->timeout : s->campaign.timeout};
}

/* ---- dry run ---- */

static vr_status print_task(const session *s, va_task task, const char *folder)
{
    char name[VA_RUN_NAME], *trace = NULL, **set = NULL;
    va_run_name(name, &s->campaign, task);
    if (asprintf(&trace, "%s/%s.h5", folder, name) >= 0) {
        set = va_run_variables(&s->campaign, task, trace);
        free(trace);
    }
    if (!set)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    va_run_print(stdout, &s->campaign, set);
    va_strings_free(set);
    return VR_OK;
}

static int rehearse(session *s)
{
    char *place = NULL;
    const va_drive drive = drive_of(s);
    vr_status status = check_places(s->settings);
    if (status == VR_OK)
        status = settle(s);
    if (status == VR_OK)
        status = va_archive_place(&place, s->settings->archive);
    if (status != VR_OK)
        return va_trouble();
    *strrchr(place, '/') = 0;
    for (uint64_t i = 0; i < s->ledger.count && status == VR_OK; i++)
        if (va_drive_is_due(&drive, va_ledger_at(&s->ledger, s->tasks[i])))
            status = print_task(s, s->tasks[i], place);
    free(place);
    return status == VR_OK ? va_finish(VA_SAME) : va_trouble();
}

/* ---- the campaign ---- */

static uint64_t count_done(const va_ledger *ledger)
{
    uint64_t done = 0;
    for (uint64_t i = 0; i < ledger->count; i++)
        done += ledger->outcomes[i].done;
    return done;
}

static void say_how_to_resume(const session *s, const char *why)
{
    fprintf(stderr, "varanalyze: %s%llu of ", why, (unsigned long long)count_done(&s->ledger));
    va_print_count(stderr, s->ledger.count, "run");
    fputs(" done; go on with: varanalyze run --resume ", stderr);
    va_print_word(stderr, s->settings->archive);
    fputc('\n', stderr);
}

static int summarize(const session *s)
{
    va_output out;
    int result = VA_SAME;
    for (uint64_t i = 0; i < s->ledger.count; i++)
        if (!va_outcome_is_ok(&s->ledger.outcomes[i]))
            result = VA_DIFFERENT;
    if (va_output_open(&out, s->settings->report) != VR_OK)
        return va_trouble();
    const vr_status status = va_ledger_print(out.stream, &s->ledger, s->settings->archive, s->settings->format);
    const vr_status closed = va_output_close(&out, status == VR_OK);
    return status == VR_OK && closed == VR_OK ? result : va_trouble();
}

static void say_cores(const session *s)
{
    const uint32_t share = va_cores_share(&s->cores, (uint32_t)s->settings->jobs);
    if (s->campaign.threads && s->campaign.threads != share)
        fprintf(stderr, "varanalyze: a run has %u of the cores, and as many threads as the campaign began with: %u\n",
                share, s->campaign.threads);
}

/* Settled, and with a scratch folder of its own. */
static vr_status conduct(session *s, const va_scratch *scratch, const sigset_t *before, int *signal)
{
    va_drive drive = drive_of(s);
    drive.scratch = scratch;
    drive.before = before;
    if (s->is_new || s->is_changed) {
        const vr_status status = va_campaign_write(&s->campaign, s->settings->archive, scratch, s->is_new);
        if (status != VR_OK)
            return status;
    }
    s->is_begun = true;
    if (va_drive_count_due(&drive, &s->ledger) > 0) {
        say_cores(s);
        if (access(s->settings->archive, W_OK) != 0)
            return vr_fail_errno(errno, "%s: runs cannot be added to it", s->settings->archive);
    }
    return va_drive_run(&drive, &s->ledger, s->tasks, signal);
}

static int run_campaign(session *s)
{
    va_scratch scratch = {0};
    sigset_t before;
    int signal = 0;
    vr_status status = check_places(s->settings);
    if (status == VR_OK)
        status = va_scratch_open(&scratch, s->settings->archive);
    if (status == VR_OK)
        status = settle(s);
    va_drive_block_signals(&before);
    if (status == VR_OK)
        status = conduct(s, &scratch, &before, &signal);
    va_scratch_close(&scratch);
    if (status != VR_OK)
        va_trouble();
    if (s->is_begun && (status != VR_OK || signal))
        say_how_to_resume(s, status != VR_OK ? "" : "interrupted: ");
    if (signal)
        return va_drive_end_by(signal, &before);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return status == VR_OK ? summarize(s) : VA_TROUBLE;
}

static int run(int argc, char **argv)
{
    va_run_settings settings;
    session s = {.settings = &settings};
    int result;
    if (va_run_settings_read(&settings, argc, argv) != VR_OK) {
        result = va_misuse(&va_cmd_run, *vr_error() ? "%s" : NULL, vr_error());
    } else if (settings.help) {
        result = va_help(&va_cmd_run);
    } else {
        va_drive_open_standard();
        va_cores_read(&s.cores);
        if (settings.jobs == 0)
            settings.jobs = s.cores.count ? s.cores.count : (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
        result = settings.dry_run ? rehearse(&s) : run_campaign(&s);
    }
    close_session(&s);
    va_run_settings_free(&settings);
    return result;
}

const va_command va_cmd_run = {"run", "run a program many times, its traces into one archive", usage, run};
