#include "agree.h"
#include "command.h"

#include <errno.h>
#include <formats/fail.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: varanalyze diff [options] A B [C...]\n"
    "\n"
    "Says whether runs are the same and, if not, which operation was the first to differ and why. Digests and\n"
    "statistics suffice; where both traces hold values, these are compared too. The runs may come from other\n"
    "processes, machines or builds. Of three or more runs: which agree, and where each parts from the rest.\n"
    "\n"
    "An origin is a record that differs though the inputs of its operation are recorded and equal; a propagated\n"
    "one has an input that differs too. Where inputs were not recorded, diff says so and claims no more.\n"
    "\n"
    "options:\n"
    "  -a, --all                    list every differing record\n"
    "  -l, --layer GLOB             only layers whose name matches\n"
    "  -p, --phase PHASE            only input, forward, backward, gradient, weight, optimizer, metric or evaluation\n"
    "  -s, --step N[:M]             only step N, or N to M (either may be left out with ':'); 0 is the setup\n"
    "  -t, --tolerance LIST         what still counts as the same: abs=X, rel=X, ulp=N, nan (any NaN equals any);\n"
    "                               one of them is enough; needs values (level full)\n"
    "  -f, --format text|json|csv   csv: a row for each layer and phase (default text)\n"
    "  -o, --output FILE            write to FILE instead of standard output ('-')\n"
    "  -q, --quiet                  print nothing; stop at the first difference\n"
    "  -h, --help                   this text\n"
    "\n"
    "exit status: 0 the same (or within tolerance), 1 different, 2 trouble\n"
    "\n"
    "examples:\n"
    "  varanalyze diff run1.h5 run2.h5\n"
    "  varanalyze diff --layer 'conv*' --phase forward run1.h5 run2.h5\n"
    "  varanalyze diff --tolerance rel=1e-5,ulp=4 run1.h5 run2.h5\n"
    "  varanalyze diff -q run1.h5 run2.h5 && echo the same\n"
    "  varanalyze diff replica*.h5\n";

typedef struct settings {
    va_diff_options diff;
    va_format format;
    const char *output;
    bool quiet;
} settings;

static vr_status parse_tolerance(settings *s, char *list)
{
    for (char *word; (word = strsep(&list, ","));) {
        char *value = strchr(word, '='), *end = NULL;
        errno = 0;
        const double number = value ? strtod(value + 1, &end) : 0;
        const bool fine = value && end != value + 1 && !*end && !errno && number >= 0 && isfinite(number);
        if (fine && strncmp(word, "abs=", 4) == 0)
            s->diff.tolerance.absolute = number;
        else if (fine && strncmp(word, "rel=", 4) == 0)
            s->diff.tolerance.relative = number;
        else if (fine && strncmp(word, "ulp=", 4) == 0 && number < 9e18 && floor(number) == number)
            s->diff.tolerance.ulp = (int64_t)number;
        else if (strcmp(word, "nan") == 0)
            s->diff.tolerance.nan_equal = true;
        else
            return vr_fail(VR_ERROR_ARGUMENT, "tolerance '%s' is not abs=X, rel=X, ulp=N or nan", word);
    }
    s->diff.has_tolerance = true;
    return VR_OK;
}

static vr_status parse_steps(settings *s, const char *text)
{
    char *end;
    errno = 0;
    const bool has_first = *text != ':';
    const uint64_t first = has_first ? strtoull(text, &end, 10) : 0;
    if (!has_first)
        end = (char *)text;
    const bool first_fine = !errno && (!has_first || end != text) && *text != '-';
    uint64_t last = first;
    if (*end == ':') {
        const char *from = end + 1;
        last = *from ? strtoull(from, &end, 10) : UINT64_MAX;
        if (!*from)
            end = (char *)from;
    }
    if (!first_fine || *end || errno || strchr(text, '-') || last < first)
        return vr_fail(VR_ERROR_ARGUMENT, "steps '%s' are not N, N:M, N: or :M", text);
    s->diff.first_step = first;
    s->diff.last_step = last;
    return VR_OK;
}

static vr_status parse_option(settings *s, int option)
{
    switch (option) {
    case 'a':
        s->diff.all = true;
        return VR_OK;
    case 'l':
        s->diff.layer = optarg;
        return VR_OK;
    case 'p':
        return vr_phase_parse(&s->diff.phase, optarg);
    case 's':
        return parse_steps(s, optarg);
    case 't':
        return parse_tolerance(s, optarg);
    case 'f':
        return va_format_parse(&s->format, optarg);
    case 'o':
        s->output = optarg;
        return VR_OK;
    default:
        s->quiet = s->diff.stop_at_first = true;
        return VR_OK;
    }
}

static vr_status render_two(va_output *out, const va_diff *diff, const settings *s)
{
    if (s->format == VA_JSON) {
        json_t *json = va_diff_json(diff);
        va_print_json(out->stream, json);
        json_decref(json);
    } else if (s->format == VA_CSV)
        va_diff_csv(out->stream, diff);
    else
        va_diff_text(out->stream, diff, &s->diff, out->color);
    return va_output_close(out, true);
}

/* A selection of nothing is a slip of the pen: it must not pass for equality. */
static vr_status check_selection(const settings *s, bool empty)
{
    const va_diff_options *o = &s->diff;
    if (!empty || (!o->layer && !o->phase && o->first_step == 0 && o->last_step == UINT64_MAX))
        return VR_OK;
    return vr_fail(VR_ERROR_ARGUMENT, "no record is selected by the layer, phase and steps that were asked for");
}

static vr_status diff_two(vr_trace *const *traces, const settings *s, bool *same)
{
    va_diff *diff;
    vr_status status = va_diff_run(&diff, traces[0], traces[1], &s->diff);
    if (status != VR_OK)
        return status;
    *same = va_diff_is_same(diff);
    status = check_selection(s, !diff->compared && !diff->one_sided[0] && !diff->one_sided[1]);
    va_output out;
    if (status == VR_OK && !s->quiet && (status = va_output_open(&out, s->output)) == VR_OK)
        status = render_two(&out, diff, s);
    va_diff_free(diff);
    return status;
}

static vr_status render_many(va_output *out, const va_agreement *all, const settings *s)
{
    if (s->format == VA_JSON) {
        json_t *json = va_agree_json(all);
        va_print_json(out->stream, json);
        json_decref(json);
    } else if (s->format == VA_CSV)
        va_agree_csv(out->stream, all);
    else
        va_agree_text(out->stream, all, out->color);
    return va_output_close(out, true);
}

static vr_status diff_many(vr_trace *const *traces, int runs, const settings *s, bool *same)
{
    if (s->diff.has_tolerance)
        return vr_fail(VR_ERROR_ARGUMENT, "a tolerance is for two runs: compare them by twos");
    va_agreement *all;
    vr_status status = va_agree_run(&all, traces, runs, &s->diff);
    if (status != VR_OK)
        return status;
    *same = all->groups == 1;
    status = check_selection(s, !all->compared && *same);
    va_output out;
    if (status == VR_OK && !s->quiet && (status = va_output_open(&out, s->output)) == VR_OK)
        status = render_many(&out, all, s);
    va_agree_free(all);
    return status;
}

static int diff_all(char **paths, int runs, const settings *s)
{
    vr_trace **traces = calloc((size_t)runs, sizeof *traces);
    bool same = false;
    vr_status status = traces ? VR_OK : vr_fail(VR_ERROR_MEMORY, "out of memory");
    for (int i = 0; status == VR_OK && i < runs; i++)
        status = vr_trace_open(&traces[i], paths[i]);
    if (status == VR_OK)
        status = runs == 2 ? diff_two(traces, s, &same) : diff_many(traces, runs, s, &same);
    const int result = status == VR_OK ? (same ? VA_SAME : VA_DIFFERENT) : va_trouble();
    for (int i = 0; traces && i < runs; i++)
        vr_trace_close(traces[i]);
    free(traces);
    return result;
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {{"all", no_argument, NULL, 'a'},
                                            {"layer", required_argument, NULL, 'l'},
                                            {"phase", required_argument, NULL, 'p'},
                                            {"step", required_argument, NULL, 's'},
                                            {"tolerance", required_argument, NULL, 't'},
                                            {"format", required_argument, NULL, 'f'},
                                            {"output", required_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {NULL, 0, NULL, 0}};
    settings s = {.diff = VA_DIFF_OPTIONS_INIT};
    for (int c; (c = getopt_long(argc, argv, "al:p:s:t:f:o:qh", options, NULL)) != -1;) {
        if (c == '?')
            return va_misuse(&va_cmd_diff, NULL);
        if (c == 'h')
            return va_help(&va_cmd_diff);
        if (parse_option(&s, c) != VR_OK)
            return va_misuse(&va_cmd_diff, "%s", vr_error());
    }
    if (argc - optind < 2)
        return va_misuse(&va_cmd_diff, "name at least two traces");
    return diff_all(argv + optind, argc - optind, &s);
}

const va_command va_cmd_diff = {"diff", "whether runs are the same, where they part and why", usage, run};
