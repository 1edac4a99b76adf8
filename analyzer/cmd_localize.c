#include "command.h"
#include "localize.h"
#include "plot.h"
#include "run_driver.h"
#include "run_environment.h"
#include "sigbits_element.h"

#include <errno.h>
#include <formats/fail.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOBS_MOST    1024
#define SAMPLES_MOST 1000

static const char usage[] =
    "usage: varanalyze localize [options] [--] COMMAND [ARGUMENT...]\n"
    "       varanalyze localize [options] --resume FOLDER\n"
    "\n"
    "Finds the source functions, and their lines, whose rounding noise makes the result of a program unstable. The\n"
    "program is compiled by vrcc; it is run with the arithmetic of some functions rounded at random, then of fewer,\n"
    "until none can be left out (delta debugging). Several causes are all found, also those that are none alone. A\n"
    "search that was interrupted goes on where it was, with the same command or --resume.\n"
    "\n"
    "what is compared with the run without noise (default: the numbers in standard output):\n"
    "      --output GLOB            files in the folder of the run instead: text, traces (.h5), or, with --type,\n"
    "                               arrays; '{}' in the command stands for that folder; may be repeated\n"
    "      --type TYPE              files are arrays of f64, f32, f16, bf16, f8e4m3 or f8e5m2\n"
    "      --check COMMAND          a command for a shell that ends with 0 (stable) or 1 (unstable) instead; it finds\n"
    "                               the folders in VR_LOCALIZE_FOLDER (the run's) and VR_REFERENCE_FOLDER; standard\n"
    "                               output is the file 'out' there\n"
    "      --at-least BITS          a run with fewer significant bits in any number is unstable (default: half of\n"
    "                               those of the type, or of the digits that are printed)\n"
    "      --floor X                a number smaller than X counts as one of that size\n"
    "\n"
    "noise:\n"
    "      --rounding MODE          sr (default), ud or another mode of vrcc\n"
    "      --seed N                 the seed of the first run of a set (default 1)\n"
    "      --samples N              a set is stable when so many runs are, each with another seed (default 5)\n"
    "      --env NAME=VALUE         set a variable for the program; may be repeated\n"
    "\n"
    "the search:\n"
    "      --level function|line    search functions only, or then their lines (default line)\n"
    "      --folder FOLDER          where it keeps what is done (default localize.d)\n"
    "      --resume FOLDER          go on with the search there\n"
    "  -j, --jobs N                 programs at once, each on its own share of the cores (default: one a core)\n"
    "      --timeout SECONDS        a run that takes longer is unstable (default: 10 times what the program takes\n"
    "                               when its operations are counted, and at least 60 s)\n"
    "  -v, --verbose                a line for each run\n"
    "\n"
    "the report:\n"
    "  -f, --format text|json|csv   csv: a row for each function found (default text)\n"
    "  -o, --report FILE            write to FILE instead of standard output ('-')\n"
    "      --plot FILE              draw the bits that each function leaves (.svg, .png, .pdf; needs gnuplot)\n"
    "  -h, --help                   this text\n"
    "\n"
    "exit status: 0 stable, 1 unstable, and the functions were found, 2 trouble\n"
    "\n"
    "examples:\n"
    "  varanalyze localize ./solver input.txt\n"
    "  varanalyze localize --output result.bin --type f32 --at-least 12 -- ./solver -o {}/result.bin\n"
    "  varanalyze localize --check 'cmp $VR_REFERENCE_FOLDER/out $VR_LOCALIZE_FOLDER/out' ./solver input.txt\n"
    "  varanalyze localize --resume localize.d --format json\n";

typedef struct settings {
    const char *folder, *resume, *check, *type, *rounding, *report, *plot;
    char **outputs, **variables; /* of the command line, as many as arguments */
    size_t output_count, variable_count;
    char **command;
    uint64_t seed, samples, jobs;
    double at_least, floor, timeout;
    va_format format;
    bool functions_only, verbose, help;
    const char *defines; /* the last option that says what is searched */
} settings;

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

/* ---- the command line ---- */

static vr_status parse_real(double *out, const char *option, const char *text)
{
    char *end;
    *out = strtod(text, &end);
    if (end == text || *end || !isfinite(*out) || *out <= 0)
        return vr_fail(VR_ERROR_ARGUMENT, "--%s: '%s' is not a number above 0", option, text);
    return VR_OK;
}

static vr_status parse_type(const char **out, const char *text)
{
    vr_dtype dtype;
    const vr_status status = vr_dtype_parse(&dtype, text);
    *out = text;
    if (status == VR_OK && va_bits_digits(dtype) == 0)
        return vr_fail(VR_ERROR_ARGUMENT, "--type: '%s' is no type of floating-point numbers", text);
    return status;
}

static vr_status parse_rounding(const char **out, const char *text)
{
    if (!*text || text[strspn(text, VA_WORD_BYTES)] || strcmp(text, "nearest") == 0)
        return vr_fail(VR_ERROR_ARGUMENT, "--rounding: '%s' is no mode with noise: sr, ud, ...", text);
    *out = text;
    return VR_OK;
}

static vr_status parse_level(bool *functions_only, const char *text)
{
    *functions_only = strcmp(text, "function") == 0;
    if (*functions_only || strcmp(text, "line") == 0)
        return VR_OK;
    return vr_fail(VR_ERROR_ARGUMENT, "--level: '%s' is neither function nor line", text);
}

static vr_status add_variable(settings *s, char *text)
{
    if (strncmp(text, "VR_ROUNDING_ONLY=", 17) == 0 || strncmp(text, "VR_ROUNDING_COUNT=", 18) == 0)
        return vr_fail(VR_ERROR_ARGUMENT, "--env %.*s: the search sets it; VR_ROUNDING_EXCLUDE leaves functions out",
                       (int)strcspn(text, "="), text);
    s->variables[s->variable_count++] = text;
    return VR_OK;
}

enum { OUTPUT = 256, TYPE, CHECK, FLOOR, ROUNDING, SEED, ENV, TIMEOUT, AT_LEAST, SAMPLES, LEVEL, FOLDER, RESUME, PLOT };

/* What is searched. */
static vr_status set_definition(settings *s, int option, char *text)
{
    switch (option) {
    case OUTPUT:
        s->outputs[s->output_count++] = text;
        return VR_OK;
    case TYPE:
        return parse_type(&s->type, text);
    case CHECK:
        s->check = text;
        return VR_OK;
    case FLOOR:
        return parse_real(&s->floor, "floor", text);
    case ROUNDING:
        return parse_rounding(&s->rounding, text);
    case SEED:
        return va_number_parse(&s->seed, "seed", text, 0, UINT64_MAX - SAMPLES_MOST);
    case TIMEOUT:
        return parse_real(&s->timeout, "timeout", text);
    default:
        return add_variable(s, text);
    }
}

/* How, and what is said of it. */
static vr_status set_manner(settings *s, int option, char *text)
{
    switch (option) {
    case AT_LEAST:
        return parse_real(&s->at_least, "at-least", text);
    case SAMPLES:
        return va_number_parse(&s->samples, "samples", text, 1, SAMPLES_MOST);
    case LEVEL:
        return parse_level(&s->functions_only, text);
    case FOLDER:
        s->folder = text;
        return VR_OK;
    case RESUME:
        s->resume = text;
        return VR_OK;
    case 'j':
        return va_number_parse(&s->jobs, "jobs", text, 0, JOBS_MOST);
    case 'f':
        return va_format_parse(&s->format, text);
    case 'o':
        s->report = text;
        return VR_OK;
    case PLOT:
        s->plot = text;
        return va_plot_check(text);
    case 'v':
        s->verbose = true;
        return VR_OK;
    default:
        s->help = true;
        return VR_OK;
    }
}

static vr_status check(const settings *s)
{
    if (s->resume && (s->folder || s->defines || *s->command))
        return vr_fail(VR_ERROR_ARGUMENT, "--resume takes the search as it stands in the folder: no %s%s with it",
                       s->folder    ? "--folder"
                       : s->defines ? "--"
                                    : "command",
                       !s->folder && s->defines ? s->defines : "");
    if (!s->resume && (!*s->command || !**s->command))
        return vr_fail(VR_ERROR_ARGUMENT, "name the command to run");
    if (s->check && (s->output_count || s->type || s->floor > 0 || s->at_least >= 0))
        return vr_fail(VR_ERROR_ARGUMENT, "--check decides by itself: no --output, --type, --floor or --at-least");
    if (s->type && !s->output_count)
        return vr_fail(VR_ERROR_ARGUMENT, "--type is of files: name them by --output");
    return VR_OK;
}

static vr_status read_options(settings *s, int argc, char **argv)
{
    static const struct option options[] = {{"output", required_argument, NULL, OUTPUT},
                                            {"type", required_argument, NULL, TYPE},
                                            {"check", required_argument, NULL, CHECK},
                                            {"floor", required_argument, NULL, FLOOR},
                                            {"rounding", required_argument, NULL, ROUNDING},
                                            {"seed", required_argument, NULL, SEED},
                                            {"env", required_argument, NULL, ENV},
                                            {"timeout", required_argument, NULL, TIMEOUT},
                                            {"at-least", required_argument, NULL, AT_LEAST},
                                            {"samples", required_argument, NULL, SAMPLES},
                                            {"level", required_argument, NULL, LEVEL},
                                            {"folder", required_argument, NULL, FOLDER},
                                            {"resume", required_argument, NULL, RESUME},
                                            {"jobs", required_argument, NULL, 'j'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {"format", required_argument, NULL, 'f'},
                                            {"report", required_argument, NULL, 'o'},
                                            {"plot", required_argument, NULL, PLOT},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    *s = (settings){.seed = 1, .samples = 5, .at_least = -1};
    s->outputs = calloc((size_t)argc + 1, sizeof *s->outputs);
    s->variables = calloc((size_t)argc + 1, sizeof *s->variables);
    if (!s->outputs || !s->variables)
        return no_memory();
    int index = -1;
    for (int c; (c = getopt_long(argc, argv, "+j:vf:o:h", options, &index)) != -1;) {
        if (c == '?')
            return vr_fail(VR_ERROR_ARGUMENT, "%s", "");
        const bool defines = c >= OUTPUT && c <= TIMEOUT;
        const vr_status status = defines ? set_definition(s, c, optarg) : set_manner(s, c, optarg);
        if (status != VR_OK || s->help)
            return status;
        if (defines)
            s->defines = options[index].name;
    }
    s->command = argv + optind;
    return check(s);
}

/* ---- the task ---- */

static bool copy(char **out, const char *text)
{
    *out = strdup(text);
    return *out != NULL;
}

/* NULL at the end; NULL when there is no memory. */
static char **copy_list(char *const *list)
{
    size_t count = 0;
    while (list[count])
        count++;
    char **out = calloc(count + 1, sizeof *out);
    for (size_t i = 0; out && i < count; i++)
        if (!copy(&out[i], list[i])) {
            va_strings_free(out);
            return NULL;
        }
    return out;
}

static vr_status copy_texts(va_localize_task *out, const settings *s)
{
    va_campaign *program = &out->program;
    program->directory = getcwd(NULL, 0);
    if (!program->directory)
        return vr_fail_errno(errno, "the working directory");
    program->command = copy_list(s->command);
    out->outputs = copy_list(s->outputs);
    const bool fine = program->command && out->outputs && copy(&program->hold, "") &&
                      copy(&program->kernels, "fixed") && copy(&program->rounding, s->rounding ? s->rounding : "sr") &&
                      copy(&program->level, "") && copy(&program->filter, "") &&
                      copy(&out->check, s->check ? s->check : "") && copy(&out->type, s->type ? s->type : "");
    return fine ? VR_OK : no_memory();
}

/* What the command line defines; of --resume, nothing. */
static vr_status make_task(va_localize_task *out, const settings *s, const va_cores *cores)
{
    *out = (va_localize_task){.program = {.seed = s->seed, .timeout = s->timeout}, .floor = s->floor};
    if (s->resume)
        return VR_OK;
    vr_status status = copy_texts(out, s);
    if (status == VR_OK)
        status = va_campaign_add(&out->program, "run", strlen("run"), "rounding", 0);
    if (status == VR_OK)
        status = va_campaign_set_runs(&out->program, 1);
    if (status == VR_OK)
        status = va_variables_choose(&out->program, s->variables, s->variable_count);
    if (status == VR_OK && !va_variables_have(&out->program, "OMP_NUM_THREADS"))
        out->program.threads = va_cores_share(cores, (uint32_t)s->jobs);
    return status == VR_OK ? va_command_check(&out->program) : status;
}

/* ---- the report ---- */

static vr_status print(const va_localize_report *report, const settings *s)
{
    va_output out;
    vr_status status = va_output_open(&out, s->report);
    if (status != VR_OK)
        return status;
    if (s->format == VA_JSON) {
        json_t *json = va_localize_json(report);
        status = json ? VR_OK : no_memory();
        if (json)
            va_print_json(out.stream, json);
    } else if (s->format == VA_CSV) {
        va_localize_csv(out.stream, report);
    } else {
        va_localize_text(out.stream, report);
    }
    const vr_status closed = va_output_close(&out, status == VR_OK);
    return status == VR_OK ? closed : status;
}

static vr_status tell(const va_localize_report *report, const settings *s)
{
    const vr_status status = print(report, s);
    if (status != VR_OK || !s->plot)
        return status;
    if (report->unstable)
        return va_localize_plot(report, s->plot);
    fprintf(stderr, "varanalyze: %s: not drawn, there is no function to show\n", s->plot);
    return VR_OK;
}

static void say_how_to_resume(const va_localize_folder *folder, const char *path)
{
    fputs("varanalyze: interrupted after ", stderr);
    va_print_count(stderr, folder->journal.runs, "run");
    fputs("; go on with: varanalyze localize --resume ", stderr);
    va_print_word(stderr, path);
    fputc('\n', stderr);
}

/* ---- the command ---- */

static int search(const settings *s, const va_localize_options *options, va_localize_folder *folder, int *signal)
{
    va_localized localized = {0};
    va_verdict verdict;
    vr_status status = va_localize(&localized, &verdict, signal, folder, options);
    if (status == VR_OK && verdict != VA_UNKNOWN && !*signal) {
        const va_localize_report report = {folder, options, &localized, verdict == VA_UNSTABLE};
        status = tell(&report, s);
    }
    va_localized_free(&localized);
    if (status != VR_OK)
        return va_trouble();
    return verdict == VA_UNSTABLE ? VA_DIFFERENT : VA_SAME;
}

static int conduct(const settings *s, const va_cores *cores)
{
    va_localize_task task;
    va_localize_folder folder = {0};
    sigset_t before;
    int signal = 0, result = VA_TROUBLE;
    const char *path = s->resume ? s->resume : s->folder ? s->folder : "localize.d";
    vr_status status = make_task(&task, s, cores);
    const va_localize_options options = {.task = &task,
                                         .cores = cores,
                                         .before = &before,
                                         .jobs = (uint32_t)s->jobs,
                                         .samples = (uint32_t)s->samples,
                                         .at_least = s->at_least,
                                         .lines = !s->functions_only,
                                         .verbose = s->verbose};
    va_drive_block_signals(&before);
    if (status == VR_OK)
        status = va_localize_folder_open(&folder, path, &task);
    result = status == VR_OK ? search(s, &options, &folder, &signal) : va_trouble();
    if (signal)
        say_how_to_resume(&folder, path);
    va_localize_folder_close(&folder);
    va_localize_task_free(&task);
    if (signal)
        return va_drive_end_by(signal, &before);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return result;
}

static int run(int argc, char **argv)
{
    settings s;
    va_cores cores;
    int result;
    if (read_options(&s, argc, argv) != VR_OK) {
        result = va_misuse(&va_cmd_localize, *vr_error() ? "%s" : NULL, vr_error());
    } else if (s.help) {
        result = va_help(&va_cmd_localize);
    } else {
        va_drive_open_standard();
        va_cores_read(&cores);
        if (s.jobs == 0)
            s.jobs = cores.count ? cores.count : (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
        result = conduct(&s, &cores);
    }
    free(s.outputs);
    free(s.variables);
    return result;
}

const va_command va_cmd_localize = {"localize", "find the functions whose rounding makes a result unstable", usage,
                                    run};
