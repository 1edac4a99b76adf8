#include "study_plots.h"
#include "study_render.h"

#include <errno.h>
#include <formats/fail.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: varanalyze study [options] RUN|ARCHIVE...\n"
    "\n"
    "Says how far apart trained models land: of the runs of each condition, the mean and spread of accuracy and loss,\n"
    "churn (samples on which two runs disagree), distance of the weights, and the same by class and group; how two\n"
    "conditions differ, and which source of randomness the spread comes from. Every figure has an interval.\n"
    "\n"
    "Conditions are found from what the traces say was varied: ALGO+IMPL (initialization, order and kernels), ALGO,\n"
    "IMPL (kernels), Control (nothing). Control has to be bit-identical; if it is not, that is said first.\n"
    "\n"
    "Each file may be compressed, a member of a tar archive (runs.tar:run1.h5), or a pattern for either.\n"
    "\n"
    "conditions:\n"
    "      --condition NAME=GLOB    runs whose file name matches are a condition of that name; may be repeated\n"
    "      --by WHAT                vary (the default), name (the file's, without the number at its end), or a place "
    "in\n"
    "                               what a run says of itself: kernels, threads, host.name, notes.data, ...\n"
    "      --compare A,B            compare these two (default: all against the first; runs that are bit-identical "
    "are\n"
    "                               one run, and compared with none)\n"
    "\n"
    "evaluations:\n"
    "      --set NAME               evaluations of this set of samples (default: test, or the only one)\n"
    "      --step N[:M]             the last evaluation at these steps (default: of all)\n"
    "      --epoch N                the last evaluation of this epoch\n"
    "\n"
    "figures:\n"
    "      --confidence C           of intervals (0.95)\n"
    "      --within POINTS          precision of accuracy for which the runs needed are told (0.1)\n"
    "      --flips N                samples listed of those that flip (20)\n"
    "      --seed N                 of permutation tests with too many arrangements to try all (1)\n"
    "\n"
    "output:\n"
    "      --section LIST           also these tables: runs, accuracy, churn, weights, classes, groups, flips,\n"
    "                               calibration, compare, variance, needed, curves; of data, only these\n"
    "  -a, --all                    also all tables\n"
    "      --plots DIR              draw pictures into DIR (needs gnuplot)\n"
    "      --plot-format FORMAT     svg (default), png or pdf\n"
    "  -f, --format text|json|csv   csv: a row for each figure (default text)\n"
    "  -o, --output FILE            write to FILE instead of standard output ('-')\n"
    "  -h, --help                   this text\n"
    "\n"
    "exit status: 0 done, 1 runs in which nothing varies are not bit-identical, 2 trouble, or a run could not be read\n"
    "\n"
    "examples:\n"
    "  varanalyze study runs.tar\n"
    "  varanalyze study --section classes,groups --plots figures runs.tar\n"
    "  varanalyze study --condition old='old-*' --condition new='new-*' --compare new,old *.h5\n"
    "  varanalyze study --by notes.data -f csv -o study.csv runs.tar\n";

/* Options without a letter. */
enum { CONDITION = 256, BY, COMPARE, SET, STEP, EPOCH, CONFIDENCE, WITHIN, FLIPS, SEED, SECTION, PLOTS, PLOT_FORMAT };

static const struct option long_options[] = {
    {"condition", required_argument, NULL, CONDITION},
    {"by", required_argument, NULL, BY},
    {"compare", required_argument, NULL, COMPARE},
    {"set", required_argument, NULL, SET},
    {"step", required_argument, NULL, STEP},
    {"epoch", required_argument, NULL, EPOCH},
    {"confidence", required_argument, NULL, CONFIDENCE},
    {"within", required_argument, NULL, WITHIN},
    {"flips", required_argument, NULL, FLIPS},
    {"seed", required_argument, NULL, SEED},
    {"section", required_argument, NULL, SECTION},
    {"all", no_argument, NULL, 'a'},
    {"plots", required_argument, NULL, PLOTS},
    {"plot-format", required_argument, NULL, PLOT_FORMAT},
    {"format", required_argument, NULL, 'f'},
    {"output", required_argument, NULL, 'o'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

typedef struct settings {
    va_study_choice choice;
    va_report_options report;
    unsigned sections; /* asked for */
    char **named;      /* arguments of --condition; as many as there are arguments fit */
    size_t named_count;
    va_format format;
    const char *output, *plots, *plot_format;
} settings;

#define ALL_SECTIONS ((1u << VA_SECTIONS) - 1)

/* ---- options ---- */

static vr_status parse_condition(settings *s)
{
    const char *equals = strchr(optarg, '=');
    if (!equals || equals == optarg || !equals[1])
        return vr_fail(VR_ERROR_ARGUMENT, "--condition '%s' is not NAME=GLOB", optarg);
    s->named[s->named_count++] = optarg;
    return VR_OK;
}

static vr_status parse_whole(uint64_t *out, const char *name, uint64_t most)
{
    char *end;
    errno = 0;
    *out = strtoull(optarg, &end, 10);
    if (errno || *end || end == optarg || strchr(optarg, '-') || *out > most)
        return vr_fail(VR_ERROR_ARGUMENT, "--%s '%s' is not a whole number from 0 to %llu", name, optarg,
                       (unsigned long long)most);
    return VR_OK;
}

/* A number between two others, which it is not itself. */
static vr_status parse_between(double *out, const char *name, double least, double most)
{
    char *end;
    *out = strtod(optarg, &end);
    if (*end || end == optarg || !(*out > least && *out < most))
        return vr_fail(VR_ERROR_ARGUMENT, "--%s '%s' is not a number between %g and %g", name, optarg, least, most);
    return VR_OK;
}

static vr_status parse_sections(settings *s)
{
    vr_status status = VR_OK;
    for (const char *at = optarg; status == VR_OK && *at;) {
        va_section section = VA_CONTROL;
        const size_t length = strcspn(at, ",");
        status = va_section_parse(&section, at, length);
        s->sections |= 1u << section;
        at += length + (at[length] == ',');
    }
    if (status == VR_OK && s->sections == 0)
        return vr_fail(VR_ERROR_ARGUMENT, "--section: which?");
    return status;
}

static vr_status parse_plot_format(settings *s)
{
    s->plot_format = optarg;
    if (strcmp(optarg, "svg") == 0 || strcmp(optarg, "png") == 0 || strcmp(optarg, "pdf") == 0)
        return VR_OK;
    return vr_fail(VR_ERROR_ARGUMENT, "--plot-format '%s' is not svg, png or pdf", optarg);
}

static vr_status parse_compare(settings *s)
{
    const char *comma = strchr(optarg, ',');
    s->report.compare = optarg;
    if (comma && comma != optarg && comma[1])
        return VR_OK;
    return vr_fail(VR_ERROR_ARGUMENT, "--compare '%s' is not A,B", optarg);
}

static vr_status parse_number(settings *s, int option)
{
    uint64_t number = 0;
    vr_status status;
    switch (option) {
    case EPOCH:
        status = parse_whole(&number, "epoch", UINT32_MAX);
        s->choice.epoch = (int64_t)number;
        return status;
    case FLIPS:
        status = parse_whole(&number, "flips", 1000000000);
        s->report.flips = (size_t)number;
        return status;
    case SEED:
        return parse_whole(&s->report.seed, "seed", UINT64_MAX);
    case CONFIDENCE:
        return parse_between(&s->report.confidence, "confidence", 0, 1);
    default:
        status = parse_between(&s->report.within, "within", 0, 100);
        s->report.within /= 100;
        return status;
    }
}

static vr_status parse_option(settings *s, int option)
{
    switch (option) {
    case CONDITION:
        return parse_condition(s);
    case BY:
        s->choice.by = optarg;
        return VR_OK;
    case COMPARE:
        return parse_compare(s);
    case SET:
        s->choice.set = optarg;
        return VR_OK;
    case STEP:
        return va_steps_parse(&s->choice.first_step, &s->choice.last_step, optarg);
    case SECTION:
        return parse_sections(s);
    case 'a':
        s->sections = ALL_SECTIONS;
        return VR_OK;
    case PLOTS:
        s->plots = optarg;
        return VR_OK;
    case PLOT_FORMAT:
        return parse_plot_format(s);
    case 'f':
        return va_format_parse(&s->format, optarg);
    case 'o':
        s->output = optarg;
        return VR_OK;
    default:
        return parse_number(s, option);
    }
}

/* What is computed: of data what was asked for; a text has a summary of all but the curves, which take reading every
 * record. */
static unsigned sections_of(const settings *s)
{
    if (s->plots)
        return ALL_SECTIONS;
    if (s->format != VA_TEXT)
        return s->sections ? s->sections : ALL_SECTIONS;
    return s->sections | (ALL_SECTIONS & ~(1u << VA_CURVES));
}

/* ---- the command ---- */

static vr_status render(const va_report *report, const settings *s)
{
    va_output out;
    const vr_status status = va_output_open(&out, s->output);
    if (status != VR_OK)
        return status;
    if (s->format == VA_JSON)
        va_print_json(out.stream, va_study_json(report));
    else if (s->format == VA_CSV)
        va_study_csv(out.stream, report);
    else
        va_study_text(out.stream, report, s->sections, out.color);
    return va_output_close(&out, true);
}

static vr_status study_runs(char *const *operands, int count, const settings *s, int *result)
{
    va_study *study;
    va_report *report = NULL;
    vr_status status = va_study_open(&study, operands, count, &s->choice);
    if (status != VR_OK)
        return status;
    status = va_report_make(&report, study, &s->report);
    if (status == VR_OK)
        status = render(report, s);
    if (status == VR_OK && s->plots)
        status = va_study_plots(report, s->plots, s->plot_format);
    if (status == VR_OK)
        *result = study->unreadable ? VA_TROUBLE : report->control_differs ? VA_DIFFERENT : VA_SAME;
    va_report_free(report);
    va_study_close(study);
    return status;
}

static int run_on(char *const *operands, int count, settings *s)
{
    int result = VA_TROUBLE;
    s->choice.named = s->named;
    s->choice.named_count = s->named_count;
    s->report.sections = sections_of(s);
    return study_runs(operands, count, s, &result) == VR_OK ? result : va_trouble();
}

static int parse_and_run(int argc, char **argv, settings *s)
{
    for (int c; (c = getopt_long(argc, argv, "af:o:h", long_options, NULL)) != -1;) {
        if (c == 'h')
            return va_help(&va_cmd_study);
        if (c == '?')
            return va_misuse(&va_cmd_study, NULL);
        if (parse_option(s, c) != VR_OK)
            return va_misuse(&va_cmd_study, "%s", vr_error());
    }
    if (optind == argc)
        return va_misuse(&va_cmd_study, "name runs, or an archive of them");
    if (s->choice.by && s->named_count)
        return va_misuse(&va_cmd_study, "--by and --condition exclude each other");
    return run_on(argv + optind, argc - optind, s);
}

static int run(int argc, char **argv)
{
    settings s = {.choice = VA_STUDY_CHOICE_INIT, .report = VA_REPORT_OPTIONS_INIT, .plot_format = "svg"};
    s.named = calloc((size_t)argc + 1, sizeof *s.named);
    if (!s.named)
        return vr_fail(VR_ERROR_MEMORY, "out of memory"), va_trouble();
    const int result = parse_and_run(argc, argv, &s);
    free(s.named);
    return result;
}

const va_command va_cmd_study = {"study", "how far apart trained models land, and why", usage, run};
