#include "cmd_run.h"
#include "run_environment.h"

#include <errno.h>
#include <formats/fail.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

static vr_status parse_seconds(double *out, const char *text)
{
    char *end;
    *out = strtod(text, &end);
    if (end == text || *end || !isfinite(*out) || *out <= 0)
        return vr_fail(VR_ERROR_ARGUMENT, "--timeout: '%s' is not a number of seconds above 0", text);
    return VR_OK;
}

/* The name of a mode, which may be the program's own. */
static vr_status parse_mode(const char **out, const char *option, const char *text)
{
    if (!*text || text[strspn(text, VA_WORD_BYTES)])
        return vr_fail(VR_ERROR_ARGUMENT, "--%s: '%s' is no name of a mode", option, text);
    *out = text;
    return VR_OK;
}

static vr_status parse_filter(const char **out, const char *text)
{
    json_t *utf8 = json_string(text);
    json_decref(utf8);
    *out = text;
    return utf8 ? VR_OK : vr_fail(VR_ERROR_ARGUMENT, "--filter: not UTF-8");
}

static vr_status parse_level(const char **out, const char *text)
{
    vr_level level;
    *out = text;
    return vr_level_parse(&level, text);
}

static vr_status add_word(va_words *list, char *word)
{
    char **words = realloc(list->words, (list->count + 2) * sizeof *words);
    if (!words)
        return no_memory();
    list->words = words;
    words[list->count++] = word;
    words[list->count] = NULL;
    return VR_OK;
}

static vr_status set_archive(va_run_settings *out, const char *path, bool resume)
{
    if (out->archive)
        return vr_fail(VR_ERROR_ARGUMENT, "the archive is named twice: --output begins a campaign or goes on with the "
                                          "same one, --resume goes on from the archive alone");
    out->archive = path;
    out->resume = resume;
    return VR_OK;
}

enum {
    VARY = 256,
    HOLD,
    CONDITION,
    SEED,
    KERNELS,
    ROUNDING,
    LEVEL,
    FILTER,
    ENV,
    TIMEOUT,
    RETRY,
    RETRY_FAILED,
    RESUME,
    DRY_RUN,
    REPORT,
};

/* What the campaign is. */
static vr_status set_definition(va_run_settings *out, int option, char *text)
{
    switch (option) {
    case VARY:
        out->vary = text;
        return VR_OK;
    case HOLD:
        out->hold = text;
        return VR_OK;
    case CONDITION:
        return add_word(&out->conditions, text);
    case SEED:
        return va_number_parse(&out->seed, "seed", text, 0, UINT64_MAX);
    case KERNELS:
        return parse_mode(&out->kernels, "kernels", text);
    case ROUNDING:
        return parse_mode(&out->rounding, "rounding", text);
    case LEVEL:
        return parse_level(&out->level, text);
    case FILTER:
        return parse_filter(&out->filter, text);
    default:
        return add_word(&out->variables, text);
    }
}

/* How it is run. */
static vr_status set_manner(va_run_settings *out, int option, const char *text)
{
    switch (option) {
    case 'n':
        return va_number_parse(&out->runs, "runs", text, 1, VA_RUNS_MOST);
    case 'o':
        return set_archive(out, text, false);
    case RESUME:
        return set_archive(out, text, true);
    case 'j':
        return va_number_parse(&out->jobs, "jobs", text, 0, VA_JOBS_MOST);
    case TIMEOUT:
        return parse_seconds(&out->timeout, text);
    case RETRY:
        return va_number_parse(&out->retries, "retry", text, 0, 1000);
    case 'f':
        return va_format_parse(&out->format, text);
    case REPORT:
        out->report = text;
        return VR_OK;
    case RETRY_FAILED:
        out->retry_failed = true;
        return VR_OK;
    case DRY_RUN:
        out->dry_run = true;
        return VR_OK;
    case 'v':
        out->verbose = true;
        return VR_OK;
    default:
        out->help = true;
        return VR_OK;
    }
}

static vr_status check(const va_run_settings *s)
{
    if (!s->archive)
        return vr_fail(VR_ERROR_ARGUMENT, "name the archive: -o ARCHIVE");
    if (s->resume && (s->defines || *s->command))
        return vr_fail(VR_ERROR_ARGUMENT, "--resume takes the campaign as it stands in the archive: no %s%s with it",
                       s->defines ? "--" : "command", s->defines ? s->defines : "");
    if (!s->resume && (!*s->command || !**s->command))
        return vr_fail(VR_ERROR_ARGUMENT, "name the command to run");
    if (s->vary && s->conditions.count)
        return vr_fail(VR_ERROR_ARGUMENT, "--vary is for a campaign of one condition; --condition names what varies");
    if (s->dry_run && s->format != VA_TEXT)
        return vr_fail(VR_ERROR_ARGUMENT, "--dry-run prints lines for a shell, in no other format");
    return VR_OK;
}

vr_status va_run_settings_read(va_run_settings *out, int argc, char **argv)
{
    static const struct option options[] = {{"runs", required_argument, NULL, 'n'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"resume", required_argument, NULL, RESUME},
                                            {"jobs", required_argument, NULL, 'j'},
                                            {"vary", required_argument, NULL, VARY},
                                            {"hold", required_argument, NULL, HOLD},
                                            {"condition", required_argument, NULL, CONDITION},
                                            {"seed", required_argument, NULL, SEED},
                                            {"kernels", required_argument, NULL, KERNELS},
                                            {"rounding", required_argument, NULL, ROUNDING},
                                            {"level", required_argument, NULL, LEVEL},
                                            {"filter", required_argument, NULL, FILTER},
                                            {"env", required_argument, NULL, ENV},
                                            {"timeout", required_argument, NULL, TIMEOUT},
                                            {"retry", required_argument, NULL, RETRY},
                                            {"retry-failed", no_argument, NULL, RETRY_FAILED},
                                            {"dry-run", no_argument, NULL, DRY_RUN},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {"format", required_argument, NULL, 'f'},
                                            {"report", required_argument, NULL, REPORT},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    *out = (va_run_settings){.seed = 1, .jobs = 1};
    int index = -1;
    for (int c; (c = getopt_long(argc, argv, "+n:o:j:vf:h", options, &index)) != -1;) {
        if (c == '?')
            return vr_fail(VR_ERROR_ARGUMENT, "%s", "");
        const bool defines = c >= VARY && c <= ENV;
        const vr_status status = defines ? set_definition(out, c, optarg) : set_manner(out, c, optarg);
        if (status != VR_OK || out->help)
            return status;
        if (defines)
            out->defines = options[index].name;
    }
    out->command = argv + optind;
    return check(out);
}

void va_run_settings_free(va_run_settings *settings)
{
    free(settings->conditions.words);
    free(settings->variables.words);
}

/* ---- the campaign ---- */

static bool copy(char **out, const char *text)
{
    *out = strdup(text);
    return *out != NULL;
}

static vr_status copy_command(va_campaign *out, char *const *command)
{
    size_t count = 0;
    while (command[count])
        count++;
    out->command = calloc(count + 1, sizeof *out->command);
    for (size_t i = 0; i < count; i++)
        if (!out->command || !copy(&out->command[i], command[i]))
            return no_memory();
    return out->command ? VR_OK : no_memory();
}

static vr_status copy_texts(va_campaign *out, const va_run_settings *s)
{
    out->directory = getcwd(NULL, 0);
    if (!out->directory)
        return vr_fail_errno(errno, "the working directory");
    if (!copy(&out->kernels, s->kernels ? s->kernels : "shuffled") ||
        !copy(&out->rounding, s->rounding ? s->rounding : "sr") || !copy(&out->level, s->level ? s->level : "") ||
        !copy(&out->filter, s->filter ? s->filter : ""))
        return no_memory();
    const vr_status status = va_purposes_parse(&out->hold, s->hold ? s->hold : "", "");
    return status == VR_OK ? copy_command(out, s->command) : status;
}

static vr_status add_conditions(va_campaign *out, const va_run_settings *s)
{
    vr_status status = VR_OK;
    if (!s->conditions.count)
        status = va_campaign_add(out, "run", strlen("run"), s->vary ? s->vary : "", 0);
    for (size_t i = 0; i < s->conditions.count && status == VR_OK; i++)
        status = va_campaign_add_condition(out, s->conditions.words[i]);
    bool all_counted = true;
    for (size_t i = 0; i < out->condition_count; i++)
        all_counted = all_counted && out->conditions[i].own_count;
    if (status == VR_OK && !s->runs && !all_counted)
        return vr_fail(VR_ERROR_ARGUMENT, "say how many runs: -n N");
    return status == VR_OK ? va_campaign_set_runs(out, s->runs ? (uint32_t)s->runs : 1) : status;
}

static bool any_varies(const va_campaign *campaign, const char *purpose)
{
    for (size_t i = 0; i < campaign->condition_count; i++)
        if (va_list_has(campaign->conditions[i].vary, purpose))
            return true;
    return false;
}

/* A mode is for where its purpose varies. */
static vr_status check_modes(const va_campaign *campaign, const va_run_settings *s)
{
    if (s->kernels && !any_varies(campaign, "kernels"))
        return vr_fail(VR_ERROR_ARGUMENT, "--kernels says how kernels vary, and no condition varies them");
    if (s->rounding && !any_varies(campaign, "rounding"))
        return vr_fail(VR_ERROR_ARGUMENT, "--rounding says how rounding varies, and no condition varies it");
    return VR_OK;
}

vr_status va_run_settings_campaign(va_campaign *out, const va_run_settings *s, const va_cores *cores)
{
    *out = (va_campaign){.seed = s->seed, .timeout = s->timeout};
    vr_status status = copy_texts(out, s);
    if (status == VR_OK)
        status = add_conditions(out, s);
    if (status == VR_OK)
        status = check_modes(out, s);
    if (status == VR_OK)
        status = va_variables_choose(out, s->variables.words, s->variables.count);
    if (status == VR_OK && !va_variables_have(out, "OMP_NUM_THREADS"))
        out->threads = va_cores_share(cores, (uint32_t)s->jobs);
    if (status != VR_OK)
        va_campaign_free(out);
    return status;
}
