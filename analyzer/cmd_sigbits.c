#include "plot.h"
#include "sigbits.h"
#include "sigbits_columns.h"
#include "sources.h"

#include <errno.h>
#include <formats/fail.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char usage[] =
    "usage: varanalyze sigbits [options] RUN RUN...\n"
    "       varanalyze sigbits --stdin [options]\n"
    "\n"
    "Says how many bits of what runs recorded are real: of every tensor that two or more runs of the same program\n"
    "hold, the significant bits (which the runs agree on) and contributing bits (which still round the right way),\n"
    "element by element where there are values, by layer and step. Where there are statistics only, these bound the\n"
    "bits of the tensor as a whole from above.\n"
    "\n"
    "--stdin reads samples from standard input instead: one a line, in columns where there are several.\n"
    "\n"
    "Each file may be compressed, a member of a tar archive (runs.tar:run1.h5), or a pattern for either.\n"
    "\n"
    "options:\n"
    "  -r, --reference REFERENCE    what runs are held against: mean (of them all, the default), a number, the file\n"
    "                               of another run, pairs (1st against 2nd, 3rd against 4th...) or halves\n"
    "      --absolute               absolute error, in units of the reference's power of two (default: relative)\n"
    "  -m, --method cnh|general     cnh: the errors are normal (the default); general: no assumption, but what all\n"
    "                               runs keep to, which takes more runs\n"
    "      --probability P[,Q]      that P of significant (0.95) and Q of contributing (0.51) bits hold\n"
    "      --confidence C           in that statement (0.95)\n"
    "      --at-least BITS          exit with 1 when a tensor has fewer bits than that in too many elements\n"
    "  -f, --format text|json|csv   csv: a row for each row of the table (default text)\n"
    "  -o, --output FILE            write to FILE instead of standard output ('-')\n"
    "  -h, --help                   this text\n"
    "\n"
    "of runs:\n"
    "  -b, --by layer|tensor|step   what has a row: a layer and phase (the default), each tensor of it, or each layer\n"
    "                               and phase at each step\n"
    "      --quantile Q             the part of a tensor's elements that may have fewer bits than --at-least (0.05);\n"
    "                               also a column of the table\n"
    "  -w, --worst K                also the K elements with the fewest bits, and their values\n"
    "  -l, --layer GLOB             only layers whose name matches\n"
    "  -p, --phase PHASE            only input, forward, backward, gradient, weight, optimizer, metric or evaluation\n"
    "  -s, --step N[:M]             only step N, or N to M (either may be left out with ':'); 0 is the setup\n"
    "      --plot FILE              draw the bits of each layer over the steps (.svg, .png, .pdf; needs gnuplot)\n"
    "      --map [PHASE:]LAYER/NAME[@STEP]\n"
    "                               draw the bits of each element of this tensor instead (the last step, unless one\n"
    "                               is named)\n"
    "\n"
    "of standard input:\n"
    "      --dtype TYPE             the precision of the numbers: f64 (default), f32, f16, bf16, f8e4m3, f8e5m2\n"
    "\n"
    "exit status: 0 done, 1 a tensor has fewer bits than --at-least, 2 trouble\n"
    "\n"
    "examples:\n"
    "  varanalyze sigbits run*.h5\n"
    "  varanalyze sigbits --by step --layer 'conv*' --phase gradient runs.tar\n"
    "  varanalyze sigbits --reference exact.h5 --worst 10 run*.h5\n"
    "  varanalyze sigbits --at-least 10 --phase forward run*.h5 || echo 'too noisy'\n"
    "  varanalyze sigbits --map conv1/weight@100 --plot map.svg run*.h5\n"
    "  for i in $(seq 30); do ./program; done | varanalyze sigbits --stdin --dtype f32\n";

/* Options without a letter. */
enum { ABSOLUTE = 256, PROBABILITY, CONFIDENCE, AT_LEAST, QUANTILE, PLOT, MAP, STDIN, DTYPE };

static const struct option long_options[] = {
    {"reference", required_argument, NULL, 'r'},
    {"absolute", no_argument, NULL, ABSOLUTE},
    {"method", required_argument, NULL, 'm'},
    {"probability", required_argument, NULL, PROBABILITY},
    {"confidence", required_argument, NULL, CONFIDENCE},
    {"at-least", required_argument, NULL, AT_LEAST},
    {"quantile", required_argument, NULL, QUANTILE},
    {"format", required_argument, NULL, 'f'},
    {"output", required_argument, NULL, 'o'},
    {"help", no_argument, NULL, 'h'},
    {"by", required_argument, NULL, 'b'},
    {"worst", required_argument, NULL, 'w'},
    {"layer", required_argument, NULL, 'l'},
    {"phase", required_argument, NULL, 'p'},
    {"step", required_argument, NULL, 's'},
    {"plot", required_argument, NULL, PLOT},
    {"map", required_argument, NULL, MAP},
    {"stdin", no_argument, NULL, STDIN},
    {"dtype", required_argument, NULL, DTYPE},
    {NULL, 0, NULL, 0},
};

typedef struct settings {
    va_sigbits_options bits;
    va_format format;
    const char *output, *plot;
    const char *reference; /* name of a run, or NULL */
    bool from_stdin;
    vr_dtype dtype;
    const char *for_runs, *for_stdin; /* an option that was given and is for these only, or NULL */
} settings;

/* ---- options ---- */

/* All of `text`, up to `end`, as a finite number. */
static bool parse_number(double *out, const char *text, const char *end)
{
    char *stop;
    *out = strtod(text, &stop);
    return stop != text && stop == end && isfinite(*out);
}

static vr_status parse_part(double *out, const char *name)
{
    if (parse_number(out, optarg, optarg + strlen(optarg)) && *out >= 0)
        return VR_OK;
    return vr_fail(VR_ERROR_ARGUMENT, "--%s '%s' is not a number of 0 or more", name, optarg);
}

static vr_status parse_quantile(settings *s)
{
    s->for_runs = "--quantile";
    if (parse_number(&s->bits.quantile, optarg, optarg + strlen(optarg)) && s->bits.quantile >= 0 &&
        s->bits.quantile <= 1)
        return VR_OK;
    return vr_fail(VR_ERROR_ARGUMENT, "--quantile '%s' is not between 0 and 1", optarg);
}

static vr_status parse_probability(settings *s)
{
    const char *comma = strchr(optarg, ','), *end = optarg + strlen(optarg);
    if (parse_number(&s->bits.bits.significant, optarg, comma ? comma : end) &&
        (!comma || parse_number(&s->bits.bits.contributing, comma + 1, end)))
        return VR_OK;
    return vr_fail(VR_ERROR_ARGUMENT, "--probability '%s' is not P or P,Q", optarg);
}

/* A number is a number even where a file has that name: ./3 is the file. */
static vr_status parse_reference(settings *s)
{
    static const struct {
        const char *name;
        va_bits_reference reference;
    } words[] = {{"mean", VA_BITS_MEAN}, {"pairs", VA_BITS_PAIRS}, {"halves", VA_BITS_HALVES}};
    s->reference = NULL;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(optarg, words[i].name) == 0) {
            s->bits.bits.reference = words[i].reference;
            return VR_OK;
        }
    const bool is_number = parse_number(&s->bits.exact, optarg, optarg + strlen(optarg));
    s->bits.bits.reference = is_number ? VA_BITS_EXACT : VA_BITS_RUN;
    s->reference = is_number ? NULL : optarg;
    return VR_OK;
}

static vr_status parse_method(settings *s)
{
    s->bits.general = strcmp(optarg, "general") == 0;
    if (s->bits.general || strcmp(optarg, "cnh") == 0)
        return VR_OK;
    return vr_fail(VR_ERROR_ARGUMENT, "no method is called '%s': cnh or general", optarg);
}

static vr_status parse_by(settings *s)
{
    static const char *const names[] = {"layer", "tensor", "step"};
    s->for_runs = "--by";
    for (int i = 0; i < 3; i++)
        if (strcmp(optarg, names[i]) == 0) {
            s->bits.by = (va_bits_by)i;
            return VR_OK;
        }
    return vr_fail(VR_ERROR_ARGUMENT, "--by '%s' is not layer, tensor or step", optarg);
}

static vr_status parse_worst(settings *s)
{
    char *end;
    errno = 0;
    s->for_runs = "--worst";
    const unsigned long worst = strtoul(optarg, &end, 10);
    if (errno || *end || end == optarg || worst == 0 || worst > 1000 || strchr(optarg, '-'))
        return vr_fail(VR_ERROR_ARGUMENT, "--worst '%s' is not a whole number from 1 to 1000", optarg);
    s->bits.worst = worst;
    return VR_OK;
}

static vr_status parse_dtype(settings *s)
{
    s->for_stdin = "--dtype";
    const vr_status status = vr_dtype_parse(&s->dtype, optarg);
    if (status == VR_OK && !vr_dtype_is_float(s->dtype))
        return vr_fail(VR_ERROR_ARGUMENT, "--dtype %s: only floating-point types have significant bits", optarg);
    return status;
}

/* Options of runs alone. */
static vr_status parse_for_runs(settings *s, int option)
{
    switch (option) {
    case 'b':
        return parse_by(s);
    case QUANTILE:
        return parse_quantile(s);
    case 'w':
        return parse_worst(s);
    case 'l':
        s->for_runs = "--layer";
        s->bits.layer = optarg;
        return VR_OK;
    case 'p':
        s->for_runs = "--phase";
        return vr_phase_parse(&s->bits.phase, optarg);
    case 's':
        s->for_runs = "--step";
        return va_steps_parse(&s->bits.first_step, &s->bits.last_step, optarg);
    case PLOT:
        s->for_runs = "--plot";
        s->plot = optarg;
        return va_plot_check(optarg);
    default:
        s->for_runs = "--map";
        s->bits.map = optarg;
        return VR_OK;
    }
}

static vr_status parse_option(settings *s, int option)
{
    switch (option) {
    case 'r':
        return parse_reference(s);
    case ABSOLUTE:
        s->bits.bits.absolute = true;
        return VR_OK;
    case 'm':
        return parse_method(s);
    case PROBABILITY:
        return parse_probability(s);
    case CONFIDENCE:
        return parse_part(&s->bits.bits.confidence, "confidence");
    case AT_LEAST:
        return parse_part(&s->bits.at_least, "at-least");
    case 'f':
        return va_format_parse(&s->format, optarg);
    case 'o':
        s->output = optarg;
        return VR_OK;
    case STDIN:
        s->from_stdin = true;
        return VR_OK;
    case DTYPE:
        return parse_dtype(s);
    default:
        return parse_for_runs(s, option);
    }
}

static vr_status check_settings(const settings *s, int operands)
{
    if (s->from_stdin && operands)
        return vr_fail(VR_ERROR_ARGUMENT, "--stdin reads standard input, and no files");
    if (s->from_stdin && s->for_runs)
        return vr_fail(VR_ERROR_ARGUMENT, "%s is not for standard input", s->for_runs);
    if (s->from_stdin && s->reference)
        return vr_fail(VR_ERROR_ARGUMENT, "--reference '%s' is not mean, pairs, halves or a number", s->reference);
    if (!s->from_stdin && s->for_stdin)
        return vr_fail(VR_ERROR_ARGUMENT, "%s is for --stdin; runs know their types", s->for_stdin);
    if (s->bits.map && !s->plot)
        return vr_fail(VR_ERROR_ARGUMENT, "--map says what is drawn; --plot FILE where");
    if (!s->from_stdin && operands == 0)
        return vr_fail(VR_ERROR_ARGUMENT, "name at least two runs, or give --stdin");
    return VR_OK;
}

/* ---- runs ---- */

static vr_status render(const va_sigbits *all, const settings *s)
{
    va_output out;
    const vr_status status = va_output_open(&out, s->output);
    if (status != VR_OK)
        return status;
    if (s->format == VA_JSON)
        va_print_json(out.stream, va_sigbits_json(all));
    else if (s->format == VA_CSV)
        va_sigbits_csv(out.stream, all);
    else
        va_sigbits_text(out.stream, all, out.color);
    return va_output_close(&out, true);
}

/* Nothing selected is a slip of the pen: it must not pass for enough bits. */
static vr_status check_any(const va_sigbits *all)
{
    if (all->tensors)
        return VR_OK;
    if (all->integers || all->lonely || all->unreferenced)
        return vr_fail(VR_ERROR_ARGUMENT,
                       "no tensor of floats that enough runs have alike: %llu of integers, %llu in too few runs, %llu "
                       "the reference has not",
                       (unsigned long long)all->integers, (unsigned long long)all->lonely,
                       (unsigned long long)all->unreferenced);
    return vr_fail(VR_ERROR_ARGUMENT, "no record is selected by the layer, phase and steps that were asked for");
}

static vr_status analyse(vr_trace *const *traces, int runs, const settings *s, int *result)
{
    va_sigbits *all;
    va_sigbits_options options = s->bits;
    options.points = s->plot && !options.map;
    vr_status status = va_sigbits_run(&all, traces, runs, &options);
    if (status != VR_OK)
        return status;
    status = check_any(all);
    if (status == VR_OK)
        status = render(all, s);
    if (status == VR_OK && s->plot)
        status = va_sigbits_plot(all, s->plot);
    *result = all->too_few ? VA_DIFFERENT : VA_SAME;
    va_sigbits_free(all);
    return status;
}

/* Whether two names are of one file. */
static bool is_same_file(const char *a, const char *b)
{
    struct stat one, other;
    return strcmp(a, b) == 0 ||
           (stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino);
}

/* The reference, when it is a run, is none of the samples, whatever a pattern says. */
static vr_status open_runs(vr_trace **traces, int *runs, const va_sources *sources, settings *s)
{
    vr_status status = VR_OK;
    for (uint64_t i = 0; status == VR_OK && i < sources->count; i++)
        if (!s->reference || !is_same_file(sources->names[i], s->reference)) {
            status = va_trace_open(&traces[*runs], sources->names[i], (size_t)*runs);
            *runs += status == VR_OK;
        }
    return status == VR_OK && s->reference ? va_trace_open(&s->bits.reference, s->reference, (size_t)*runs) : status;
}

static int run_on_traces(char *const *operands, int count, settings *s)
{
    va_sources sources = {0};
    int runs = 0, result = VA_SAME;
    va_allow_files();
    vr_status status = va_sources_open(&sources, operands, count);
    vr_trace **traces = status == VR_OK ? calloc(sources.count + 1, sizeof(vr_trace *)) : NULL;
    if (status == VR_OK && !traces)
        status = vr_fail(VR_ERROR_MEMORY, "out of memory");
    if (status == VR_OK)
        status = open_runs(traces, &runs, &sources, s);
    if (status == VR_OK)
        status = analyse(traces, runs, s, &result);
    for (int i = 0; i < runs; i++)
        vr_trace_close(traces[i]);
    vr_trace_close(s->bits.reference);
    free(traces);
    va_sources_close(&sources);
    return status == VR_OK ? result : va_trouble();
}

/* ---- standard input ---- */

static int run_on_stdin(const settings *s)
{
    va_output out;
    va_columns columns = {
        .options = s->bits.bits,
        .exact = s->bits.exact,
        .general = s->bits.general,
        .dtype = s->dtype,
        .at_least = s->bits.at_least,
    };
    vr_status status = va_columns_read(&columns, stdin, "standard input");
    if (status == VR_OK)
        status = va_output_open(&out, s->output);
    if (status != VR_OK) {
        va_columns_free(&columns);
        return va_trouble();
    }
    if (s->format == VA_JSON)
        va_print_json(out.stream, va_columns_json(&columns));
    else if (s->format == VA_CSV)
        va_columns_csv(out.stream, &columns);
    else
        va_columns_text(out.stream, &columns);
    status = va_output_close(&out, true);
    const int result = columns.at_least >= 0 && columns.too_few ? VA_DIFFERENT : VA_SAME;
    va_columns_free(&columns);
    return status == VR_OK ? result : va_trouble();
}

static int run(int argc, char **argv)
{
    settings s = {.bits = VA_SIGBITS_OPTIONS_INIT, .dtype = VR_F64};
    for (int c; (c = getopt_long(argc, argv, "r:m:f:o:hb:w:l:p:s:", long_options, NULL)) != -1;) {
        if (c == 'h')
            return va_help(&va_cmd_sigbits);
        if (c == '?')
            return va_misuse(&va_cmd_sigbits, NULL);
        if (parse_option(&s, c) != VR_OK)
            return va_misuse(&va_cmd_sigbits, "%s", vr_error());
    }
    if (check_settings(&s, argc - optind) != VR_OK)
        return va_misuse(&va_cmd_sigbits, "%s", vr_error());
    return s.from_stdin ? run_on_stdin(&s) : run_on_traces(argv + optind, argc - optind, &s);
}

const va_command va_cmd_sigbits = {"sigbits", "how many bits of what runs recorded are real", usage, run};
