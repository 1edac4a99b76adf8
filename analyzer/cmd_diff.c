#include "cmd_diff.h"
#include "agree.h"
#include "guard.h"
#include "sources.h"

#include <formats/fail.h>
#include <getopt.h>
#include <stdlib.h>

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
    "Any other HDF5 files (checkpoints of Keras, say) are compared object by object: what only one has, and what\n"
    "differs in type, shape, values or attributes. Of three or more files: the first with each of the others.\n"
    "\n"
    "Each file may be compressed, a member of a tar archive (runs.tar:run1.h5), or a pattern for either.\n"
    "\n"
    "options:\n"
    "  -a, --all                    list all that differs: every record, or every object\n"
    "  -t, --tolerance LIST         what still counts as the same: abs=X, rel=X, ulp=N, nan (any NaN equals any);\n"
    "                               one of them is enough; of traces, needs values (level full)\n"
    "      --abs X, --rel X, --ulp N, --nan-equal\n"
    "                               the same one by one: |a-b| at most X, at most X times the larger magnitude,\n"
    "                               at most N representable values apart\n"
    "  -f, --format text|json|csv   csv: a row for each layer and phase, or object that differs (default text)\n"
    "  -o, --output FILE            write to FILE instead of standard output ('-')\n"
    "  -q, --quiet                  print nothing; stop at the first difference\n"
    "  -h, --help                   this text\n"
    "\n"
    "of traces:\n"
    "  -l, --layer GLOB             only layers whose name matches\n"
    "  -p, --phase PHASE            only input, forward, backward, gradient, weight, optimizer, metric or evaluation\n"
    "  -s, --step N[:M]             only step N, or N to M (either may be left out with ':'); 0 is the setup\n"
    "\n"
    "of any other HDF5 files:\n"
    "      --include GLOB           only objects whose path matches, and all below ('*' matches '/', too);\n"
    "                               an attribute is /path@name; may be repeated\n"
    "      --exclude GLOB           not these, nor what is below; may be repeated\n"
    "      --no-attributes          only objects\n"
    "      --map OLD=NEW            OLD of the first file is paired with NEW of the other; may be repeated\n"
    "      --convert                compare numbers of different types by value\n"
    "      --follow                 read data that lies in other files (external and virtual datasets)\n"
    "      --stop N                 stop after N differing elements and objects\n"
    "  -S, --statistics             a table of how far apart the numbers of each object are\n"
    "      --hdf5                   compare traces, too, as files like any other\n"
    "\n"
    "exit status: 0 the same (or within tolerance), 1 different, 2 trouble\n"
    "\n"
    "examples:\n"
    "  varanalyze diff run1.h5 run2.h5\n"
    "  varanalyze diff --layer 'conv*' --phase forward run1.h5 run2.h5\n"
    "  varanalyze diff --tolerance rel=1e-5,ulp=4 run1.h5 run2.h5\n"
    "  varanalyze diff -q run1.h5 run2.h5 && echo the same\n"
    "  varanalyze diff replica*.h5\n"
    "  varanalyze diff model1.h5 model2.h5\n"
    "  varanalyze diff --rel 1e-5 --exclude '/optimizer*' ckpt.tar:epoch1.h5 ckpt.tar:epoch2.h5\n"
    "  varanalyze diff --map /dense_1=/dense_2 --convert a.h5 b.h5\n";

typedef va_diff_settings settings;

static vr_status render_two(va_output *out, const va_diff *diff, const settings *s)
{
    if (s->format == VA_JSON)
        va_print_json(out->stream, va_diff_json(diff));
    else if (s->format == VA_CSV)
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
    if (s->format == VA_JSON)
        va_print_json(out->stream, va_agree_json(all));
    else if (s->format == VA_CSV)
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

/* Compressed files stay decompressed: their sources go to the traces. */
static vr_status diff_traces(va_diff_input *inputs, char *const *names, int runs, const settings *s, bool *same)
{
    vr_trace **traces = calloc((size_t)runs, sizeof *traces);
    vr_status status = traces ? VR_OK : vr_fail(VR_ERROR_MEMORY, "out of memory");
    for (int i = 0; status == VR_OK && i < runs; i++) {
        va_guard_file(names[i]);
        status = inputs[i].source.name ? vr_trace_open_source(&traces[i], &inputs[i].source)
                                       : vr_trace_open(&traces[i], names[i]);
    }
    if (status == VR_OK)
        status = runs == 2 ? diff_two(traces, s, same) : diff_many(traces, runs, s, same);
    for (int i = 0; traces && i < runs; i++)
        vr_trace_close(traces[i]);
    free(traces);
    return status;
}

/* What all of them are: traces, or none; options for the other kind are refused. */
static vr_status check_kinds(const va_diff_input *inputs, char *const *names, int count, const settings *s,
                             bool *traces)
{
    int first[2] = {-1, -1};
    for (int i = count; i-- > 0;)
        first[inputs[i].is_trace && !(s->hdf5 && inputs[i].file >= 0)] = i;
    *traces = first[0] < 0;
    if (s->hdf5 && first[1] >= 0)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: the journal of a run, not an HDF5 file; 'varanalyze recover' makes one",
                       names[first[1]]);
    if (first[0] >= 0 && first[1] >= 0)
        return vr_fail(VR_ERROR_ARGUMENT, "%s is a trace and %s is not; --hdf5 compares both as files", names[first[1]],
                       names[first[0]]);
    if (*traces && s->for_objects)
        return vr_fail(VR_ERROR_ARGUMENT, "%s is not for traces, which these are; --hdf5 compares them as files",
                       s->for_objects);
    if (!*traces && s->for_traces)
        return vr_fail(VR_ERROR_ARGUMENT, "%s is for traces, which %s is not; --include selects objects", s->for_traces,
                       names[first[0]]);
    return VR_OK;
}

static vr_status diff_inputs(char *const *names, int count, const settings *s, bool *same)
{
    va_diff_input *inputs = calloc((size_t)count, sizeof *inputs);
    vr_status status = inputs ? VR_OK : vr_fail(VR_ERROR_MEMORY, "out of memory");
    bool traces = false;
    int opened = 0;
    for (; status == VR_OK && opened < count; opened += status == VR_OK)
        status = va_diff_input_open(&inputs[opened], names[opened], s->hdf5);
    if (status == VR_OK)
        status = check_kinds(inputs, names, count, s, &traces);
    if (status == VR_OK)
        status = traces ? diff_traces(inputs, names, count, s, same) : va_diff_objects(inputs, count, s, same);
    for (int i = 0; i < opened; i++)
        va_diff_input_close(&inputs[i]);
    free(inputs);
    return status;
}

static int diff_all(char *const *operands, int count, const settings *s)
{
    va_sources sources = {0};
    bool same = false;
    vr_status status = va_sources_open(&sources, operands, count);
    if (status == VR_OK && sources.count < 2)
        status = vr_fail(VR_ERROR_ARGUMENT, "%s: only one file to compare", operands[0]);
    if (status == VR_OK)
        status = diff_inputs(sources.names, (int)sources.count, s, &same);
    va_sources_close(&sources);
    return status == VR_OK ? (same ? VA_SAME : VA_DIFFERENT) : va_trouble();
}

static int parse_and_diff(int argc, char **argv, settings *s)
{
    const int stopped = va_diff_parse(s, argc, argv);
    if (stopped == 'h')
        return va_help(&va_cmd_diff);
    if (stopped)
        return va_misuse(&va_cmd_diff, stopped == '?' ? NULL : "%s", vr_error());
    if (argc == optind)
        return va_misuse(&va_cmd_diff, "name at least two files");
    return diff_all(argv + optind, argc - optind, s);
}

static int run(int argc, char **argv)
{
    settings s = {.diff = VA_DIFF_OPTIONS_INIT, .objects = VA_H5_DIFF_OPTIONS_INIT};
    char **words = calloc(3 * (size_t)argc, sizeof *words); /* room for the patterns, however many */
    if (!words) {
        vr_fail(VR_ERROR_MEMORY, "out of memory");
        return va_trouble();
    }
    s.objects.filter.include = words;
    s.objects.filter.exclude = words + argc;
    s.objects.filter.map = words + 2 * argc;
    const int result = parse_and_diff(argc, argv, &s);
    free(words);
    return result;
}

const va_command va_cmd_diff = {"diff", "whether runs are the same, where they part and why", usage, run};
