#include "command.h"
#include "guard.h"
#include "info_evaluations.h"
#include "sources.h"

#include <formats/fail.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: varanalyze info [options] FILE...\n"
    "\n"
    "Says what a run was, what it recorded and whether the trace is complete. FILE is a trace; where it does not\n"
    "exist but FILE.journal does (the run was killed, or still goes on), that is read. FILE may be compressed, a\n"
    "member of a tar archive (runs.tar:run1.h5), or a pattern for either; an archive alone means all its *.h5.\n"
    "\n"
    "options:\n"
    "  -e, --evaluations            a line for each evaluation, and nothing else\n"
    "  -f, --format text|json|csv   csv: a row for each site, or evaluation (default text)\n"
    "  -o, --output FILE            write to FILE instead of standard output ('-')\n"
    "  -h, --help                   this text\n"
    "\n"
    "exit status: 0 read, 2 trouble\n"
    "\n"
    "examples:\n"
    "  varanalyze info run1.h5\n"
    "  varanalyze info --format json run1.h5 | jq .run.seeds\n"
    "  varanalyze info --evaluations --format csv runs.tar > evaluations.csv\n"
    "  varanalyze info 'runs.tar:seed-1*'\n";

/* What is to be shown. */
typedef struct view {
    va_format format;
    bool evaluations;
} view;

/* What a site has in the trace. */
typedef struct site_use {
    uint64_t records, duration_ns;
    uint8_t level;
} site_use;

/* A trace and what was counted in it. */
typedef struct contents {
    vr_trace *trace;
    json_t *run;
    site_use *uses;
    va_evaluations evaluations;
} contents;

static vr_status count_uses(vr_trace *trace, site_use *uses)
{
    enum { BLOCK = 4096 };
    const uint64_t n = vr_trace_get_info(trace)->record_count;
    vr_trace_record *records = malloc(BLOCK * sizeof *records);
    vr_status status = records ? VR_OK : vr_fail(VR_ERROR_MEMORY, "out of memory");
    for (uint64_t first = 0; status == VR_OK && first < n; first += BLOCK) {
        const uint64_t count = n - first < BLOCK ? n - first : BLOCK;
        status = vr_trace_read_records(trace, first, count, records);
        for (uint64_t i = 0; status == VR_OK && i < count; i++) {
            site_use *use = &uses[records[i].site];
            use->records++;
            use->duration_ns += records[i].duration_ns;
            if (records[i].level > use->level)
                use->level = records[i].level;
        }
    }
    free(records);
    return status;
}

/* ---- text ---- */

static void print_state(FILE *out, const vr_trace_info *info)
{
    if (info->incomplete)
        fprintf(out, "incomplete from step %" PRIu64 " on: %s", info->incomplete_step, info->incomplete_reason);
    else if (info->live)
        fputs("the run still goes on", out);
    else if (!info->closed)
        fputs("the run broke off: what it had recorded is here", out);
    else
        fputs("complete", out);
    if (info->damaged_bytes)
        fprintf(out, "; %" PRIu64 " bytes at the end could not be read", info->damaged_bytes);
}

static void print_string(FILE *out, const char *label, const json_t *value)
{
    if (json_is_string(value))
        fprintf(out, "  %-11s %s\n", label, json_string_value(value));
    else if (json_is_integer(value))
        fprintf(out, "  %-11s %" JSON_INTEGER_FORMAT "\n", label, json_integer_value(value));
}

static void print_words(FILE *out, const char *label, const json_t *words, const char *between)
{
    size_t i;
    const json_t *word;
    if (json_array_size(words) == 0)
        return;
    fprintf(out, "  %-11s ", label);
    json_array_foreach (words, i, word)
        fprintf(out, "%s%s", i ? between : "", json_string_value(word) ? json_string_value(word) : "?");
    fputc('\n', out);
}

static void print_map(FILE *out, const char *label, const json_t *map)
{
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)map, key, value) {
        fprintf(out, "  %-11s %s = %s\n", label, key, json_string_value(value) ? json_string_value(value) : "?");
        label = "";
    }
}

static void print_run(FILE *out, const json_t *run)
{
    const json_t *program = json_object_get(run, "program"), *host = json_object_get(run, "host");
    fputs("run\n", out);
    print_words(out, "command", json_object_get(program, "command"), " ");
    print_string(out, "started", json_object_get(program, "started"));
    print_string(out, "seed", json_object_get(run, "seed"));
    print_map(out, "seeds", json_object_get(run, "seeds"));
    print_words(out, "varies", json_object_get(run, "vary"), ", ");
    print_string(out, "replica", json_object_get(run, "replica"));
    print_string(out, "kernels", json_object_get(run, "kernels"));
    print_string(out, "rounding", json_object_get(run, "rounding"));
    print_string(out, "precision", json_object_get(run, "rounding_precision"));
    print_string(out, "bits", json_object_get(run, "rounding_bits"));
    print_string(out, "perturb", json_object_get(run, "perturb"));
    print_string(out, "threads", json_object_get(run, "threads"));
    print_map(out, "notes", json_object_get(run, "notes"));
    print_string(out, "host", json_object_get(host, "name"));
    print_string(out, "cpu", json_object_get(host, "cpu"));
    print_map(out, "environment", json_object_get(run, "environment"));
}

static void print_sites(FILE *out, const vr_trace *trace, const site_use *uses)
{
    char shape[VA_SHAPE_TEXT], count[VA_COUNT_TEXT];
    size_t width = 5;
    const vr_site *sites = vr_trace_sites(trace);
    const uint64_t n = vr_trace_get_info(trace)->site_count;
    for (uint64_t i = 0; i < n; i++) {
        const size_t length = strlen(sites[i].layer) + 1 + strlen(sites[i].name);
        width = length > width && length < 48 ? length : width;
    }
    fprintf(out, "\n%-10s  %-*s  %-7s  %-18s  %-6s  %10s  %12s\n", "phase", (int)width, "layer/name", "type", "shape",
            "level", "records", "time/record");
    for (uint64_t i = 0; i < n; i++) {
        const site_use *use = &uses[i];
        fprintf(out, "%-10s  %s/%-*s  %-7s  %-18s  %-6s  %10s  %9.1f us\n", vr_phase_name(sites[i].phase),
                sites[i].layer, (int)(width - strlen(sites[i].layer) - 1 < 48 ? width - strlen(sites[i].layer) - 1 : 0),
                sites[i].name, vr_dtype_name(sites[i].dtype), va_shape_text(shape, &sites[i]),
                vr_level_name((vr_level)use->level), va_count_text(count, use->records),
                use->records ? (double)use->duration_ns / (double)use->records / 1e3 : 0.0);
    }
}

static void print_text(FILE *out, const contents *of)
{
    const vr_trace_info *info = vr_trace_get_info(of->trace);
    const vr_step *steps = vr_trace_steps(of->trace);
    const vr_step *last = info->step_count ? &steps[info->step_count - 1] : NULL;
    fprintf(out, "%s: ", info->path);
    print_state(out, info);
    fputs("\n\nsize\n  ", out);
    va_print_count(out, info->record_count, "record");
    fputs(" of ", out);
    va_print_count(out, info->site_count, "tensor");
    fputs(" in ", out);
    va_print_count(out, info->step_count, "step");
    if (last)
        fprintf(out, ", the last: step %" PRIu64 " (epoch %u)%s", last->step, last->epoch,
                last->finished ? "" : ", not finished");
    fputs("\n  ", out);
    va_print_count(out, info->file_bytes, "byte");
    fputs(", of these ", out);
    va_print_count(out, info->payload_bytes, "byte");
    fputs(" of values and chunk digests\n", out);
    if (last)
        fprintf(out, "  %.3f s\n", (double)last->end_ns / 1e9);
    fputc('\n', out);
    print_run(out, of->run);
    va_evaluations_print(out, &of->evaluations, false);
    print_sites(out, of->trace, of->uses);
}

/* ---- JSON and CSV ---- */

static json_t *site_json(const vr_trace *trace, const vr_site *site, const site_use *use)
{
    json_t *shape = json_array(), *inputs = json_array();
    for (int i = 0; i < site->rank; i++)
        json_array_append_new(shape, json_integer(site->shape[i]));
    for (uint32_t i = 0; i < site->input_count; i++)
        json_array_append_new(inputs, json_string(vr_trace_name(trace, site->inputs[i])));
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:I, s:I}", "phase", vr_phase_name(site->phase), "layer",
                     site->layer, "name", site->name, "dtype", vr_dtype_name(site->dtype), "shape", shape, "inputs",
                     inputs, "level", vr_level_name((vr_level)use->level), "records", (json_int_t)use->records,
                     "duration_ns", (json_int_t)use->duration_ns);
}

static json_t *trace_json(const contents *of)
{
    const vr_trace_info *info = vr_trace_get_info(of->trace);
    json_t *sites = json_array();
    for (uint64_t i = 0; i < info->site_count; i++)
        json_array_append_new(sites, site_json(of->trace, &vr_trace_sites(of->trace)[i], &of->uses[i]));
    json_t *out =
        json_pack("{s:o, s:b, s:b, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:O, s:o, s:o}", "path", va_json_path(info->path),
                  "closed", info->closed, "live", info->live, "journal", info->journal, "incomplete", info->incomplete,
                  "records", (json_int_t)info->record_count, "steps", (json_int_t)info->step_count, "payload_bytes",
                  (json_int_t)info->payload_bytes, "file_bytes", (json_int_t)info->file_bytes, "damaged_bytes",
                  (json_int_t)info->damaged_bytes, "run", of->run, "evaluations", va_evaluations_json(&of->evaluations),
                  "sites", sites);
    if (out && info->incomplete) {
        json_object_set_new(out, "incomplete_step", json_integer((json_int_t)info->incomplete_step));
        json_object_set_new(out, "incomplete_reason", json_string(info->incomplete_reason));
    }
    return out;
}

static void print_csv(FILE *out, const vr_trace *trace, const site_use *uses, bool header)
{
    char shape[VA_SHAPE_TEXT];
    if (header)
        fputs("path,phase,layer,name,dtype,shape,level,records,duration_ns\n", out);
    for (uint64_t i = 0; i < vr_trace_get_info(trace)->site_count; i++) {
        const vr_site *site = &vr_trace_sites(trace)[i];
        va_csv_text(out, vr_trace_get_info(trace)->path);
        fprintf(out, ",%s,", vr_phase_name(site->phase));
        va_csv_text(out, site->layer);
        fputc(',', out);
        va_csv_text(out, site->name);
        fprintf(out, ",%s,", vr_dtype_name(site->dtype));
        va_csv_text(out, va_shape_text(shape, site));
        fprintf(out, ",%s,%" PRIu64 ",%" PRIu64 "\n", vr_level_name((vr_level)uses[i].level), uses[i].records,
                uses[i].duration_ns);
    }
}

/* ---- the command ---- */

static void print_json(FILE *out, const contents *of, bool evaluations)
{
    json_t *json = evaluations ? json_pack("{s:o, s:o}", "path", va_json_path(vr_trace_get_info(of->trace)->path),
                                           "evaluations", va_evaluations_json(&of->evaluations))
                               : trace_json(of);
    va_print_json(out, json);
}

static void print_evaluations(FILE *out, const contents *of)
{
    const vr_trace_info *info = vr_trace_get_info(of->trace);
    fprintf(out, "%s: ", info->path);
    va_print_count(out, of->evaluations.count, "evaluation");
    fputc('\n', out);
    va_evaluations_print(out, &of->evaluations, true);
}

static void print(FILE *out, const contents *of, const view *how, bool first)
{
    if (how->format == VA_JSON)
        print_json(out, of, how->evaluations);
    else if (how->format == VA_CSV && how->evaluations)
        va_evaluations_csv(out, &of->evaluations, vr_trace_get_info(of->trace)->path, first);
    else if (how->format == VA_CSV)
        print_csv(out, of->trace, of->uses, first);
    else {
        if (!first)
            fputc('\n', out);
        how->evaluations ? print_evaluations(out, of) : print_text(out, of);
    }
}

static vr_status show(FILE *out, const char *path, const view *how, bool first)
{
    contents of = {0};
    va_guard_file(path);
    vr_status status = vr_trace_open(&of.trace, path);
    if (status != VR_OK)
        return status;
    of.uses = calloc(vr_trace_get_info(of.trace)->site_count + 1, sizeof *of.uses);
    of.run = json_loads(vr_trace_get_info(of.trace)->run, 0, NULL);
    status = of.uses && of.run ? VR_OK : vr_fail(VR_ERROR_MEMORY, "out of memory");
    if (status == VR_OK && !how->evaluations)
        status = count_uses(of.trace, of.uses);
    if (status == VR_OK)
        status = va_evaluations_read(&of.evaluations, of.trace);
    if (status == VR_OK)
        print(out, &of, how, first);
    va_evaluations_free(&of.evaluations);
    json_decref(of.run);
    free(of.uses);
    vr_trace_close(of.trace);
    return status;
}

static int show_all(char *const *operands, int count, const char *path, const view *how)
{
    va_output out;
    va_sources sources = {0};
    uint64_t shown = 0;
    int result = VA_SAME;
    if (va_output_open(&out, path) != VR_OK)
        return va_trouble();
    for (int i = 0; i < count; i++) {
        if (va_sources_add(&sources, operands[i]) != VR_OK)
            result = va_trouble();
        for (; shown < sources.count; shown++)
            if (show(out.stream, sources.names[shown], how, shown == 0) != VR_OK)
                result = va_trouble();
    }
    va_sources_close(&sources);
    return va_output_close(&out, result == VA_SAME) == VR_OK ? result : va_trouble();
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'},
                                            {"evaluations", no_argument, NULL, 'e'},
                                            {"format", required_argument, NULL, 'f'},
                                            {"output", required_argument, NULL, 'o'},
                                            {NULL, 0, NULL, 0}};
    view how = {.format = VA_TEXT};
    const char *path = NULL;
    for (int c; (c = getopt_long(argc, argv, "ef:o:h", options, NULL)) != -1;)
        if (c == 'f') {
            if (va_format_parse(&how.format, optarg) != VR_OK)
                return va_misuse(&va_cmd_info, "%s", vr_error());
        } else if (c == 'e')
            how.evaluations = true;
        else if (c == 'o')
            path = optarg;
        else if (c == 'h')
            return va_help(&va_cmd_info);
        else
            return va_misuse(&va_cmd_info, NULL);
    if (optind == argc)
        return va_misuse(&va_cmd_info, "name a trace");
    return show_all(argv + optind, argc - optind, path, &how);
}

const va_command va_cmd_info = {"info", "what a run was, its layers, records, size and completeness", usage, run};
