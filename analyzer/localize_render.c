#include "localize.h"

#include "command.h"
#include "localize_runs.h"
#include "run_environment.h"
#include "sigbits_element.h"
#include "sigbits_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CONFIDENCE 0.95 /* that a set that is taken for stable is so as often as is said */

/* ---- what is told of a set ---- */

static const va_counted_function *function_at(const va_localize_report *r, uint32_t function)
{
    return &r->folder->counted.functions[function];
}

static const va_counted_site *site_at(const va_localize_report *r, uint32_t site)
{
    return &r->folder->counted.sites[site];
}

/* What rounding does: "leaves 3.1 of 52 bits", "makes the run fail". */
static void print_effect(FILE *out, const va_localize_report *r, const va_kept *kept)
{
    char text[VA_BITS_TEXT];
    const bool checked = *r->options->task->check;
    if (kept->share >= 1)
        fputs(checked ? "passes the check" : "leaves all bits", out);
    else if (kept->digits > 0 && (kept->bits > 0 || !*kept->why))
        fprintf(out, "leaves %s of %d bits", va_bits_text(text, kept->bits, kept->digits, false), kept->digits);
    else if (kept->digits > 0)
        fputs("leaves no bits", out);
    else
        fputs(checked ? "does not pass" : "makes the run fail", out);
}

static void print_reason(FILE *out, const va_kept *kept)
{
    if (kept->share >= 1 || !*kept->why)
        return;
    fputs(" (", out);
    va_print_text(out, kept->why, SIZE_MAX);
    fputc(')', out);
}

/* Of a column: "3.1", "all", "0", "passes", "fails"; "-" where there is no run. */
static void print_cell(FILE *out, const va_figure *figure)
{
    char text[VA_BITS_TEXT] = "-";
    const va_kept *kept = &figure->least;
    if (figure->runs && kept->share >= 1)
        snprintf(text, sizeof text, kept->digits > 0 ? "all" : "passes");
    else if (figure->runs && kept->digits > 0)
        va_bits_text(text, kept->bits, kept->digits, false);
    else if (figure->runs)
        snprintf(text, sizeof text, "fails");
    fprintf(out, "  %8s", text);
}

static int compare_numbers(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* "file.c:12-14, 20" of the lines found that are a function's, or of all that it executes. */
static void print_lines(FILE *out, const va_localize_report *r, const va_found *found, uint32_t function)
{
    const va_counted_function *f = function_at(r, function);
    uint64_t *lines = malloc((f->count + 1) * sizeof *lines);
    size_t count = 0;
    for (size_t i = 0; lines && i < found->line_count; i++)
        for (size_t j = 0; j < found->lines[i].count; j++) {
            const uint64_t line = site_at(r, found->lines[i].sites[j])->line;
            for (size_t k = 0; k < f->count; k++) /* a line may be of several functions */
                if (site_at(r, (uint32_t)(f->first + k))->line == line &&
                    strcmp(site_at(r, found->lines[i].sites[j])->file, f->file) == 0 && count < f->count)
                    lines[count++] = line;
        }
    for (size_t k = 0; lines && !found->line_count && k < f->count; k++)
        lines[count++] = site_at(r, (uint32_t)(f->first + k))->line;
    va_print_text(out, f->file, SIZE_MAX);
    if (count)
        qsort(lines, count, sizeof *lines, compare_numbers);
    for (size_t i = 0; i < count;) {
        size_t last = i;
        while (last + 1 < count && lines[last + 1] <= lines[last] + 1)
            last++;
        fprintf(out, lines[last] > lines[i] ? "%s%" PRIu64 "-%" PRIu64 : "%s%" PRIu64, i ? ", " : ":", lines[i],
                lines[last]);
        i = last + 1;
    }
    free(lines);
}

static void print_function(FILE *out, const va_localize_report *r, const va_found *found, uint32_t function)
{
    fputc('`', out);
    va_print_text(out, function_at(r, function)->name, SIZE_MAX);
    fputs("` (", out);
    print_lines(out, r, found, function);
    fputc(')', out);
}

/* ---- text ---- */

static void print_threshold(FILE *out, const va_localize_report *r)
{
    if (r->options->at_least >= 0)
        fprintf(out, "fewer than %g bits", r->options->at_least);
    else if (*r->options->task->check)
        fputs("what the check rejects", out);
    else
        fputs("fewer than half of the bits", out);
}

static void print_head(FILE *out, const va_localize_report *r)
{
    const va_counted *counted = &r->folder->counted;
    uint64_t operations = 0;
    for (size_t i = 0; i < counted->function_count; i++)
        operations += counted->functions[i].operations;
    va_print_count(out, counted->function_count, "function");
    fputs(" with ", out);
    va_print_count(out, operations, "operation");
    fprintf(out, ", rounded by %s in ", r->options->task->program.rounding);
    va_print_count(out, r->folder->journal.runs, "run");
    fputs("; unstable: ", out);
    print_threshold(out, r);
    fputc('\n', out);
}

static void print_stable(FILE *out, const va_localize_report *r)
{
    const va_figure *all = &r->localized->all;
    fputs("stable: rounding in all functions ", out);
    print_effect(out, r, &all->least);
    fprintf(out, " in the worst of %u runs", all->runs);
    print_reason(out, &all->least);
    fprintf(out, "\n(with confidence %g, at least %.0f%% of such runs are stable)\n", CONFIDENCE,
            100 * va_bits_bernoulli((int)all->runs, (int)all->runs, CONFIDENCE));
}

static void print_table(FILE *out, const va_localize_report *r)
{
    size_t width = 8;
    for (size_t i = 0; i < r->localized->count; i++)
        for (size_t j = 0; j < r->localized->found[i].count; j++) {
            const size_t name = strlen(function_at(r, r->localized->found[i].functions[j].function)->name);
            width = name > width ? name : width;
        }
    width = width > 40 ? 40 : width;
    fprintf(out, "\n%-*s  %8s  %8s  %16s  where\n", (int)width + 5, "bits left by rounding", "alone", "without",
            "operations");
    for (size_t i = 0; i < r->localized->count; i++) {
        const va_found *found = &r->localized->found[i];
        for (size_t j = 0; j < found->count; j++) {
            const va_counted_function *f = function_at(r, found->functions[j].function);
            char count[VA_COUNT_TEXT];
            if (j == 0)
                fprintf(out, "%3zu  ", i + 1);
            else
                fputs("  +  ", out);
            const size_t printed = va_print_text(out, f->name, width);
            fprintf(out, "%*s", (int)(printed < width ? width - printed : 0), "");
            print_cell(out, &found->functions[j].alone);
            print_cell(out, &found->functions[j].without);
            fprintf(out, "  %16s  ", va_count_text(count, f->operations));
            print_lines(out, r, found, found->functions[j].function);
            fputc('\n', out);
        }
    }
}

/* The variables that repeat a run of what was found, for a shell. */
static void print_repeat(FILE *out, const va_localize_report *r, const va_found *found)
{
    char *items = NULL;
    size_t bytes;
    FILE *stream = open_memstream(&items, &bytes);
    if (!stream)
        return;
    for (size_t i = 0; i < found->count; i++) {
        fputs(i ? "," : "", stream);
        va_site_item(stream, function_at(r, found->functions[i].function), 0);
    }
    if (fclose(stream) == 0) {
        const va_localize_task *task = r->options->task;
        const bool replicas = r->folder->journal.reference.traces;
        fprintf(out, "    VR_ROUNDING=%s VR_SEED=%" PRIu64 " ", task->program.rounding,
                va_localize_seed(task, found->sample, replicas));
        if (replicas)
            fprintf(out, "VR_VARY=rounding VR_REPLICA=%u ", found->sample + 1);
        for (char **at = task->program.variables; *at; at++) {
            const char *value = strchr(*at, '=') + 1; /* in quotes as a whole it would be a command for a shell */
            fprintf(out, "%.*s", (int)(value - *at), *at);
            va_print_word(out, value);
            fputc(' ', out);
        }
        fputs("VR_ROUNDING_ONLY=", out);
        va_print_word(out, items);
        fputc('\n', out);
    }
    free(items);
}

static void print_verdict(FILE *out, const va_localize_report *r, const va_found *found)
{
    fputs("\nrounding in ", out);
    for (size_t i = 0; i < found->count; i++) {
        fputs(i == 0 ? "" : i + 1 < found->count ? ", " : " and ", out);
        print_function(out, r, found, found->functions[i].function);
    }
    fputs(found->count > 1 ? " together " : " alone ", out);
    print_effect(out, r, &found->together.least);
    print_reason(out, &found->together.least);
    fprintf(out, "; %u of %u runs are unstable\n", found->together.unstable, found->together.runs);
    print_repeat(out, r, found);
}

static void print_rest(FILE *out, const va_localize_report *r)
{
    if (r->localized->rest.runs == 0)
        return;
    fputs("\nrounding in all other functions ", out);
    print_effect(out, r, &r->localized->rest.least);
    fprintf(out, " in the worst of %u runs: stable\n", r->localized->rest.runs);
}

void va_localize_text(FILE *out, const va_localize_report *r)
{
    print_head(out, r);
    if (!r->unstable) {
        print_stable(out, r);
        return;
    }
    fputs("unstable: rounding in all functions ", out);
    print_effect(out, r, &r->localized->all.least);
    print_reason(out, &r->localized->all.least);
    fputc('\n', out);
    print_table(out, r);
    for (size_t i = 0; i < r->localized->count; i++)
        print_verdict(out, r, &r->localized->found[i]);
    print_rest(out, r);
}

/* ---- JSON ---- */

static json_t *figure_to_json(const va_figure *figure)
{
    const va_kept *kept = &figure->least;
    if (figure->runs == 0)
        return json_null();
    return json_pack("{s:I, s:I, s:o, s:o, s:f, s:s}", "runs", (json_int_t)figure->runs, "unstable",
                     (json_int_t)figure->unstable, "bits", kept->digits > 0 ? json_real(kept->bits) : json_null(), "of",
                     kept->digits > 0 ? json_integer(kept->digits) : json_null(), "share", kept->share, "why",
                     kept->why);
}

static json_t *lines_to_json(const va_localize_report *r, const va_found_lines *lines)
{
    json_t *list = json_array();
    for (size_t i = 0; i < lines->count; i++) {
        const va_counted_site *site = site_at(r, lines->sites[i]);
        json_array_append_new(
            list, json_pack("{s:o, s:I}", "file", va_json_path(site->file), "line", (json_int_t)site->line));
    }
    return json_pack("{s:o, s:o}", "lines", list, "together", figure_to_json(&lines->together));
}

static json_t *found_to_json(const va_localize_report *r, const va_found *found)
{
    json_t *functions = json_array(), *lines = json_array();
    for (size_t i = 0; i < found->count; i++) {
        const va_found_function *f = &found->functions[i];
        const va_counted_function *counted = function_at(r, f->function);
        json_array_append_new(functions,
                              json_pack("{s:o, s:o, s:I, s:o, s:o}", "function", va_json_path(counted->name), "file",
                                        va_json_path(counted->file), "operations", (json_int_t)counted->operations,
                                        "alone", figure_to_json(&f->alone), "without", figure_to_json(&f->without)));
    }
    for (size_t i = 0; i < found->line_count; i++)
        json_array_append_new(lines, lines_to_json(r, &found->lines[i]));
    const bool replicas = r->folder->journal.reference.traces;
    const unsigned long long seed = va_localize_seed(r->options->task, found->sample, replicas);
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "functions", functions, "together", figure_to_json(&found->together),
                     "lines", lines, "seed", json_sprintf("%llu", seed), "replica",
                     replicas ? json_integer((json_int_t)found->sample + 1) : json_null());
}

json_t *va_localize_json(const va_localize_report *r)
{
    json_t *found = json_array();
    const va_localize_task *task = r->options->task;
    for (size_t i = 0; i < r->localized->count; i++)
        json_array_append_new(found, found_to_json(r, &r->localized->found[i]));
    return json_pack("{s:b, s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:o}", "stable", !r->unstable, "rounding",
                     task->program.rounding, "functions", (json_int_t)r->folder->counted.function_count, "samples",
                     (json_int_t)r->options->samples, "runs", (json_int_t)r->folder->journal.runs, "at_least",
                     r->options->at_least < 0 ? json_null() : json_real(r->options->at_least), "all",
                     figure_to_json(&r->localized->all), "rest", figure_to_json(&r->localized->rest), "found", found);
}

/* ---- CSV ---- */

static void csv_figure(FILE *out, const va_figure *figure)
{
    const bool known = figure->runs && figure->least.digits > 0;
    va_csv_number(out, known ? figure->least.bits : (double)NAN);
    fprintf(out, ",%u,%u", figure->unstable, figure->runs);
}

void va_localize_csv(FILE *out, const va_localize_report *r)
{
    fputs("set,file,function,operations,alone_bits,alone_unstable,alone_runs,without_bits,without_unstable,"
          "without_runs,together_bits,together_unstable,together_runs,where\n",
          out);
    for (size_t i = 0; i < r->localized->count; i++)
        for (size_t j = 0; j < r->localized->found[i].count; j++) {
            const va_found *found = &r->localized->found[i];
            const va_counted_function *f = function_at(r, found->functions[j].function);
            char *where = NULL;
            size_t bytes;
            FILE *stream = open_memstream(&where, &bytes);
            if (stream) {
                print_lines(stream, r, found, found->functions[j].function);
                fclose(stream);
            }
            fprintf(out, "%zu,", i + 1);
            va_csv_text(out, f->file);
            fputc(',', out);
            va_csv_text(out, f->name);
            fprintf(out, ",%" PRIu64, f->operations);
            csv_figure(out, &found->functions[j].alone);
            csv_figure(out, &found->functions[j].without);
            csv_figure(out, &found->together);
            fputc(',', out);
            va_csv_text(out, where ? where : "");
            fputc('\n', out);
            free(where);
        }
}
