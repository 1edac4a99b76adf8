#include "cmd_cost.h"

#include "guard.h"
#include "plot.h"

#include <errno.h>
#include <formats/fail.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: varanalyze cost [options] TRACE|ARCHIVE...\n"
    "       varanalyze cost --run [options] [--] COMMAND [ARGUMENT...]\n"
    "       varanalyze cost --kernels [options]\n"
    "\n"
    "Says what determinism costs: the time of a step, of its phases and layers, of the whole run, and its memory, "
    "under\n"
    "one condition as a multiple of another, the base, with an interval. Which run is of which condition is found "
    "from\n"
    "what it says was set (kernels, rounding, threads, ...), or from the conditions of a campaign; the base is the\n"
    "condition that fixes least. Runs are compared in pairs, and should have taken turns.\n"
    "\n"
    "--run measures by itself: it runs a program under the conditions in turn until the interval is as narrow as "
    "asked.\n"
    "A program that leaves no trace is timed as a whole. --kernels measures the kernels of the library so.\n"
    "\n"
    "options:\n"
    "      --base NAME|GLOB         the condition that is 1, or the runs whose names match\n"
    "      --against NAME|GLOB      what is held against it (default: all other conditions); may be repeated\n"
    "  -b, --by layer|operation     rows for phases and layers (default), or for each layer in each phase, too\n"
    "      --warmup N               steps left out at the beginning of each run (default: a tenth, 1 to 10)\n"
    "      --skip N                 runs of each condition left out at the beginning (default 0; with --run 1)\n"
    "      --confidence C           of the intervals (default 0.95)\n"
    "  -f, --format text|json|csv   (default text)\n"
    "  -o, --output FILE            write to FILE instead of standard output ('-')\n"
    "      --plot FILE              draw the ratios (.svg, .png, .pdf; needs gnuplot)\n"
    "  -h, --help                   this text\n"
    "\n"
    "of --run and --kernels:\n"
    "  -c, --condition NAME:VARIABLE=VALUE[,VARIABLE=VALUE...]\n"
    "                               a condition, the first is the base; NAME:LIST as of 'varanalyze run' too; at "
    "least\n"
    "                               two (default: threads:VR_KERNELS=threads and fixed:VR_KERNELS=fixed)\n"
    "      --precision P            go on until every interval is within P of its middle (default 2%)\n"
    "      --most N                 but for at most N pairs (default 100; with --kernels 10)\n"
    "      --keep ARCHIVE           keep the runs there; those that are there already count\n"
    "      --seed N                 of the runs, and of their order (default 1)\n"
    "      --timeout SECONDS        end a run that takes longer\n"
    "  -v, --verbose                a line for each run that ends, and for each look at the interval\n"
    "\n"
    "of --kernels:\n"
    "      --size N                 the kernels do work for N times a small layer (default 1)\n"
    "      --steps N                calls of each kernel in a run (default 10)\n"
    "\n"
    "exit status: 0 done, 1 the interval stayed wider than --precision, 2 trouble\n"
    "\n"
    "examples:\n"
    "  varanalyze cost runs.tar\n"
    "  varanalyze cost --base 'threads-*.h5' --against 'fixed-*.h5' *.h5\n"
    "  varanalyze cost --run --precision 1% -- ./digits --epochs 2\n"
    "  varanalyze cost --run -c one:OMP_NUM_THREADS=1 -c two:OMP_NUM_THREADS=2 -- ./train\n"
    "  varanalyze cost --kernels --plot kernels.svg\n";

enum {
    BASE = 256,
    AGAINST,
    WARMUP,
    SKIP,
    CONFIDENCE,
    PLOT,
    RUN,
    KERNELS,
    PRECISION, /* from here on of --run alone */
    MOST,
    KEEP,
    SEED,
    TIMEOUT,
    SIZE,
    STEPS,
};

static const struct option long_options[] = {
    {"base", required_argument, NULL, BASE},
    {"against", required_argument, NULL, AGAINST},
    {"by", required_argument, NULL, 'b'},
    {"warmup", required_argument, NULL, WARMUP},
    {"skip", required_argument, NULL, SKIP},
    {"confidence", required_argument, NULL, CONFIDENCE},
    {"format", required_argument, NULL, 'f'},
    {"output", required_argument, NULL, 'o'},
    {"plot", required_argument, NULL, PLOT},
    {"help", no_argument, NULL, 'h'},
    {"run", no_argument, NULL, RUN},
    {"kernels", no_argument, NULL, KERNELS},
    {"condition", required_argument, NULL, 'c'},
    {"precision", required_argument, NULL, PRECISION},
    {"most", required_argument, NULL, MOST},
    {"keep", required_argument, NULL, KEEP},
    {"seed", required_argument, NULL, SEED},
    {"timeout", required_argument, NULL, TIMEOUT},
    {"verbose", no_argument, NULL, 'v'},
    {"size", required_argument, NULL, SIZE},
    {"steps", required_argument, NULL, STEPS},
    {NULL, 0, NULL, 0},
};

/* ---- options ---- */

static vr_status parse_count(uint64_t *out, const char *name, uint64_t least, uint64_t most)
{
    char *end;
    errno = 0;
    *out = strtoull(optarg, &end, 10);
    if (errno || *optarg < '0' || *optarg > '9' || *end || *out < least || *out > most)
        return vr_fail(VR_ERROR_ARGUMENT, "--%s '%s' is not a whole number from %llu to %llu", name, optarg,
                       (unsigned long long)least, (unsigned long long)most);
    return VR_OK;
}

/* "0.02" or "2%". */
static vr_status parse_precision(va_cost_settings *s)
{
    char *end;
    s->precision = strtod(optarg, &end);
    if (end != optarg && strcmp(end, "%") == 0) {
        s->precision /= 100;
        end++;
    }
    if (end == optarg || *end || !(s->precision > 0 && s->precision <= 1))
        return vr_fail(VR_ERROR_ARGUMENT, "--precision '%s' is not a share such as 2%% or 0.02", optarg);
    return VR_OK;
}

static vr_status parse_real(double *out, const char *name, double below)
{
    char *end;
    *out = strtod(optarg, &end);
    if (end == optarg || *end || !(*out > 0 && *out < below))
        return vr_fail(VR_ERROR_ARGUMENT, "--%s '%s' is not a number above 0 and below %g", name, optarg, below);
    return VR_OK;
}

static vr_status parse_by(va_cost_settings *s)
{
    s->cost.operations = strcmp(optarg, "operation") == 0;
    if (s->cost.operations || strcmp(optarg, "layer") == 0)
        return VR_OK;
    return vr_fail(VR_ERROR_ARGUMENT, "--by '%s' is not layer or operation", optarg);
}

static vr_status add_against(va_cost_settings *s)
{
    if (s->cost.against_count == VA_COST_AGAINST_MOST)
        return vr_fail(VR_ERROR_ARGUMENT, "--against: at most %d times", VA_COST_AGAINST_MOST);
    s->cost.against[s->cost.against_count++] = optarg;
    return VR_OK;
}

static vr_status add_condition(va_cost_settings *s)
{
    char **words = realloc(s->conditions.words, (s->conditions.count + 1) * sizeof *words);
    if (!words)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    s->conditions.words = words;
    words[s->conditions.count++] = optarg;
    return VR_OK;
}

static vr_status parse_for_run(va_cost_settings *s, int option)
{
    switch (option) {
    case 'c':
        s->for_run = "--condition";
        return add_condition(s);
    case 'v':
        s->for_run = "--verbose";
        s->verbose = true;
        return VR_OK;
    case PRECISION:
        s->for_run = "--precision";
        return parse_precision(s);
    case MOST:
        s->for_run = "--most";
        return parse_count(&s->most, "most", 2, 10000);
    case KEEP:
        s->for_run = "--keep";
        s->keep = optarg;
        return VR_OK;
    case SEED:
        s->for_run = "--seed";
        return parse_count(&s->seed, "seed", 0, UINT64_MAX);
    case TIMEOUT:
        s->for_run = "--timeout";
        return parse_real(&s->timeout, "timeout", 1e9);
    case SIZE:
        s->for_run = "--size";
        return parse_count(&s->size, "size", 1, 4096);
    default:
        s->for_run = "--steps";
        return parse_count(&s->steps, "steps", 1, 100000);
    }
}

static vr_status parse_whole(int64_t *out, const char *name)
{
    uint64_t count = 0;
    const vr_status status = parse_count(&count, name, 0, 1000000);
    *out = (int64_t)count;
    return status;
}

static vr_status parse_option(va_cost_settings *s, int option)
{
    int64_t skip;
    vr_status status;
    switch (option) {
    case BASE:
        s->cost.base = optarg;
        return VR_OK;
    case AGAINST:
        return add_against(s);
    case 'b':
        return parse_by(s);
    case WARMUP:
        return parse_whole(&s->cost.warmup, "warmup");
    case SKIP:
        status = parse_whole(&skip, "skip");
        s->cost.skip = (uint32_t)skip;
        s->skip_given = true;
        return status;
    case CONFIDENCE:
        return parse_real(&s->cost.confidence, "confidence", 1);
    case 'f':
        return va_format_parse(&s->format, optarg);
    case 'o':
        s->output = optarg;
        return VR_OK;
    case PLOT:
        s->plot = optarg;
        return va_plot_check(optarg);
    case RUN:
        s->run = true;
        return VR_OK;
    case KERNELS:
        s->kernels = true;
        return VR_OK;
    default:
        return parse_for_run(s, option);
    }
}

static vr_status check_settings(const va_cost_settings *s)
{
    if (s->run && s->kernels)
        return vr_fail(VR_ERROR_ARGUMENT, "--kernels has a command of its own: no --run with it");
    if (!s->run && !s->kernels && s->for_run)
        return vr_fail(VR_ERROR_ARGUMENT, "%s is for --run", s->for_run);
    if ((s->size || s->steps) && !s->kernels)
        return vr_fail(VR_ERROR_ARGUMENT, "--size and --steps are for --kernels");
    if (s->kernels && s->operand_count)
        return vr_fail(VR_ERROR_ARGUMENT, "--kernels runs a program of its own, and reads no files");
    if (s->run && (!s->operand_count || !*s->operands[0]))
        return vr_fail(VR_ERROR_ARGUMENT, "name the command to run");
    if ((s->run || s->kernels) && s->conditions.count == 1)
        return vr_fail(VR_ERROR_ARGUMENT, "one condition has nothing to be held against: give two or more");
    if (!s->run && !s->kernels && !s->operand_count)
        return vr_fail(VR_ERROR_ARGUMENT, "name traces or archives, or give --run and a command");
    return VR_OK;
}

/* ---- output ---- */

/* The last word of --run. */
static void print_told(FILE *out, const va_cost_told *told)
{
    if (isfinite(told->reach))
        fprintf(out,
                "%llu pairs: the interval is within %.3g%% of its middle, %s than the %.3g%% that were asked for\n",
                (unsigned long long)told->pairs, 100 * told->reach,
                told->reach <= told->precision ? "no wider" : "wider", 100 * told->precision);
    else
        fprintf(out, "%llu pairs: no interval\n", (unsigned long long)told->pairs);
}

static void print_text(FILE *out, const va_cost *cost, const va_cost_runs *runs, const va_cost_settings *s,
                       const va_cost_told *told, bool color)
{
    if (s->kernels)
        va_cost_table(out, cost, color);
    else
        va_cost_text(out, cost, runs, color);
    if (told)
        print_told(out, told);
}

static json_t *to_json(const va_cost *cost, const va_cost_runs *runs, const va_cost_told *told)
{
    json_t *json = va_cost_json(cost, runs);
    if (json && told) {
        json_object_set_new(json, "precision", json_real(told->precision));
        json_object_set_new(json, "reached", json_boolean(told->reach <= told->precision));
    }
    return json;
}

vr_status va_cost_render(const va_cost *cost, const va_cost_runs *runs, const va_cost_settings *s,
                         const va_cost_told *told)
{
    va_output out;
    vr_status status = va_output_open(&out, s->output);
    if (status != VR_OK)
        return status;
    if (s->format == VA_JSON) {
        json_t *json = to_json(cost, runs, told);
        va_print_json(out.stream, json);
    } else if (s->format == VA_CSV) {
        va_cost_csv(out.stream, cost);
    } else {
        print_text(out.stream, cost, runs, s, told, out.color);
    }
    status = va_output_close(&out, true);
    return status == VR_OK && s->plot ? va_cost_plot(cost, s->plot, s->kernels) : status;
}

/* ---- traces ---- */

static const va_cost_settings *asked; /* passed through va_guard_run */

static int compare_traces(int count, char **operands)
{
    va_cost_runs runs = {0};
    va_cost *cost = NULL;
    vr_status status = VR_OK;
    for (int i = 0; i < count && status == VR_OK; i++)
        status = va_cost_runs_add(&runs, operands[i]);
    if (status == VR_OK)
        status = va_cost_compute(&cost, &runs, &asked->cost);
    if (status == VR_OK)
        status = va_cost_render(cost, &runs, asked, NULL);
    va_cost_free(cost);
    va_cost_runs_free(&runs);
    return status == VR_OK ? VA_SAME : va_trouble();
}

/* Whether a command follows, whose options are its own. */
static bool names_command(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--run") == 0)
            return true;
    return false;
}

static int run(int argc, char **argv)
{
    va_cost_settings s = {.cost = VA_COST_OPTIONS_INIT, .precision = 0.02, .seed = 1};
    const char *letters = names_command(argc, argv) ? "+b:f:o:hc:v" : "b:f:o:hc:v";
    int result = -1;
    for (int c; result < 0 && (c = getopt_long(argc, argv, letters, long_options, NULL)) != -1;) {
        if (c == 'h')
            result = va_help(&va_cmd_cost);
        else if (c == '?')
            result = va_misuse(&va_cmd_cost, NULL);
        else if (parse_option(&s, c) != VR_OK)
            result = va_misuse(&va_cmd_cost, "%s", vr_error());
    }
    s.operands = argv + optind;
    s.operand_count = argc - optind;
    asked = &s;
    if (result < 0 && check_settings(&s) != VR_OK)
        result = va_misuse(&va_cmd_cost, "%s", vr_error());
    if (result < 0)
        result = s.run || s.kernels ? va_cost_measure(&s) : va_guard_run(compare_traces, s.operand_count, s.operands);
    free(s.conditions.words);
    return result;
}

const va_command va_cmd_cost = {"cost", "what determinism costs in time and memory", usage, run};
