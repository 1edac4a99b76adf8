/* Why an operation differs, as far as the traces tell: what the two runs were that differs, which samples they saw, and
 * what the values show. */
#include "command.h"
#include "diff.h"

#include <formats/fail.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* printf to a new string; NULL without memory. */
__attribute__((format(printf, 1, 2))) static char *text(const char *format, ...)
{
    char *out = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&out, format, args) < 0)
        out = NULL;
    va_end(args);
    return out;
}

/* ---- what the runs were ---- */

/* Differs in every pair of runs and explains nothing. */
static bool is_incidental(const char *path)
{
    static const char *const paths[] = {"program.pid", "program.started", "replica", "vary",
                                        "level",       "clock",           "load",    "memory"};
    if (strncmp(path, "environment.VR_", 15) == 0) /* what these say stands in the run by itself */
        return true;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (strcmp(path, paths[i]) == 0)
            return true;
    return false;
}

static bool holds(const json_t *array, const json_t *value)
{
    size_t i;
    const json_t *element;
    json_array_foreach (array, i, element)
        if (json_equal(element, value))
            return true;
    return false;
}

/* The words of `all`, or only those that `other` lacks, in one string. */
static json_t *joined(const json_t *all, const json_t *other)
{
    char *out = NULL;
    size_t size, i;
    const json_t *word;
    FILE *stream = open_memstream(&out, &size);
    if (!stream)
        return NULL;
    const char *space = "";
    json_array_foreach (all, i, word)
        if (json_is_string(word) && !(other && holds(other, word))) {
            fprintf(stream, "%s%s", space, json_string_value(word));
            space = " ";
        }
    fclose(stream);
    json_t *value = json_string(out ? out : "");
    free(out);
    return value;
}

/* A value as a condition shows it; of the list of libraries, only what the other run does not have. */
static json_t *shown(const json_t *value, const json_t *other, const char *path)
{
    if (!value)
        return json_null();
    if (json_is_array(value))
        return joined(value, strcmp(path, "libraries.loaded") == 0 ? other : NULL);
    return json_deep_copy(value);
}

static void compare_values(json_t *out, const char *path, const json_t *a, const json_t *b);

static void compare_key(json_t *out, const char *path, const char *key, const json_t *a, const json_t *b)
{
    char *inner = *path ? text("%s.%s", path, key) : strdup(key);
    if (inner)
        compare_values(out, inner, json_object_get(a, key), json_object_get(b, key));
    free(inner);
}

static void compare_values(json_t *out, const char *path, const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;
    if (is_incidental(path) || (a && b && json_equal(a, b)))
        return;
    if (!json_is_object(a) && !json_is_object(b)) {
        json_array_append_new(
            out, json_pack("{s:s, s:o, s:o}", "name", path, "a", shown(a, b, path), "b", shown(b, a, path)));
        return;
    }
    json_object_foreach ((json_t *)a, key, value)
        compare_key(out, path, key, a, b);
    json_object_foreach ((json_t *)b, key, value)
        if (!json_object_get(a, key))
            compare_key(out, path, key, a, b);
}

json_t *va_conditions(const json_t *a, const json_t *b)
{
    json_t *out = json_array();
    if (out)
        compare_values(out, "", a, b);
    return out;
}

static bool starts_with(const char *s, const char *start)
{
    return strncmp(s, start, strlen(start)) == 0;
}

/* What a person calls a condition. */
static void print_name(FILE *out, const char *path)
{
    static const struct {
        const char *path, *name;
    } names[] = {{"host.cpu", "the CPU"},
                 {"host.name", "the machine"},
                 {"host.kernel", "the system's kernel"},
                 {"host.cpus", "the number of CPUs"},
                 {"libraries.varanalyze", "the version of the capture library"},
                 {"libraries.varanalyze_compiler", "the compiler of the capture library"},
                 {"program.digest", "the build of the program"},
                 {"program.command", "the command"},
                 {"libraries.loaded", "a library"},
                 {"libraries.libc", "libc"},
                 {"kernels", "the kernel mode"},
                 {"rounding", "the rounding mode"},
                 {"rounding_precision", "the precision of rounding"},
                 {"rounding_bits", "the source of rounding's random bits"},
                 {"perturb", "the perturbation"},
                 {"threads", "the number of threads"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(path, names[i].path) == 0) {
            fputs(names[i].name, out);
            return;
        }
    const char *dot = strchr(path, '.');
    if (starts_with(path, "seeds."))
        fprintf(out, "the seed \"%s\"", dot + 1);
    else if (starts_with(path, "notes."))
        fprintf(out, "the note \"%s\"", dot + 1);
    else if (starts_with(path, "environment."))
        fprintf(out, "%s", dot + 1);
    else
        fprintf(out, "the %s", path);
}

static void print_value(FILE *out, const json_t *value)
{
    if (json_is_string(value))
        fprintf(out, "\"%.60s%s\"", json_string_value(value), strlen(json_string_value(value)) > 60 ? "..." : "");
    else if (json_is_integer(value))
        fprintf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else
        fputs(json_is_null(value) ? "nothing" : "another value", out);
}

static void print_condition(FILE *out, const json_t *condition)
{
    print_name(out, json_string_value(json_object_get(condition, "name")));
    fputs(" differs (", out);
    print_value(out, json_object_get(condition, "a"));
    fputs(" and ", out);
    print_value(out, json_object_get(condition, "b"));
    fputc(')', out);
}

/* The conditions whose path begins with one of `starts` (NULL ends it), in its order, as one sentence; NULL when there
 * are none. */
static char *sentence(const json_t *conditions, const char *const *starts)
{
    char *out = NULL;
    size_t size, i;
    const json_t *condition;
    FILE *stream = open_memstream(&out, &size);
    if (!stream)
        return NULL;
    const char *between = "";
    for (; *starts; starts++)
        json_array_foreach (conditions, i, condition)
            if (starts_with(json_string_value(json_object_get(condition, "name")), *starts)) {
                fputs(between, stream);
                print_condition(stream, condition);
                between = "; ";
            }
    fclose(stream);
    if (out && *out)
        return out;
    free(out);
    return NULL;
}

/* ---- causes ---- */

static char *seed_sentence(const va_diff *diff, const char *purpose)
{
    char path[300];
    snprintf(path, sizeof path, "seeds.%s", purpose);
    return sentence(diff->conditions, (const char *const[]){path, NULL});
}

static bool is_zero(vr_digest d)
{
    return d.hi == 0 && d.lo == 0;
}

/* Samples: the same in another order, or others. */
static void explain_input(const va_diff *diff, va_finding *f)
{
    char *seed = seed_sentence(diff, f->seed ? f->seed : "order");
    const char *because = seed ? seed : "what drew the order was not recorded";
    const bool known = !is_zero(f->rows[0]) && !is_zero(f->rows[1]);
    f->certainty = VA_CAUSE_KNOWN;
    if (f->rows_same_step)
        f->cause = text("the input order: the same %" PRId64 " rows in another order; %s",
                        f->site[0]->rank ? f->site[0]->shape[0] : 1, because);
    else if (known && vr_digest_equal(f->rows[0], f->rows[1]))
        f->cause = text("the input order: over epoch %u the same rows in another order; %s", f->rows_epoch, because);
    else if (f->seed)
        f->cause = seed ? strdup(seed) : NULL;
    else {
        f->certainty = VA_CAUSE_LIKELY;
        f->cause = text("other samples, or not all recorded: the rows recorded over epoch %u are not the same%s%s",
                        f->rows_epoch, seed ? "; " : "", seed ? seed : "");
    }
    free(seed);
}

static bool fixes_order(const char *kernels)
{
    return !kernels || strcmp(kernels, "fixed") == 0 || strcmp(kernels, "exact") == 0;
}

/* An operation on equal inputs: whatever differs between the runs, the most telling first. */
static void explain_operation(const va_diff *diff, va_finding *f)
{
    static const char *const telling[] = {"notes.",     "perturb",       "kernels",        "rounding",
                                          "threads",    "seeds.perturb", "seeds.kernels",  "seeds.rounding",
                                          "libraries.", "host.cpu",      "program.digest", "environment.",
                                          NULL};
    static const char *const weak[] = {"seed", "host.", "program.command", NULL};
    const char *kernels[2];
    for (int run = 0; run < 2; run++)
        kernels[run] = json_string_value(json_object_get(diff->run[run], "kernels"));
    f->certainty = VA_CAUSE_LIKELY;
    f->cause = sentence(diff->conditions, telling);
    if (!f->cause && (!fixes_order(kernels[0]) || !fixes_order(kernels[1])))
        f->cause = text("kernel mode \"%s\" does not fix the order of summation",
                        fixes_order(kernels[0]) ? kernels[1] : kernels[0]);
    if (!f->cause)
        f->cause = sentence(diff->conditions, weak);
    if (!f->cause) {
        f->certainty = VA_CAUSE_UNKNOWN;
        f->cause = strdup("nothing recorded differs between the runs: an operation that does not repeat, or a fault");
    }
}

static void explain_source(const va_diff *diff, va_finding *f)
{
    static const char *const seeds[] = {"seeds.init", "seeds.", "seed", NULL};
    f->certainty = f->seed ? VA_CAUSE_KNOWN : VA_CAUSE_LIKELY;
    f->cause = f->seed ? seed_sentence(diff, f->seed) : sentence(diff->conditions, seeds);
    if (!f->cause)
        explain_operation(diff, f);
}

static void explain_gap(const va_diff *diff, va_finding *f)
{
    const va_entity *e = &diff->entities[f->entity];
    f->certainty = VA_CAUSE_UNKNOWN;
    if (f->other_inputs)
        f->cause = text("first difference seen here; the two runs compute %s/%s from other inputs", e->layer, e->name);
    else if (f->missing)
        f->cause =
            text("first difference seen here; the cause lies between this record and its input %s, which was not "
                 "recorded%s",
                 f->missing, starts_with(f->missing, "seed:") ? "" : " (or not with both runs)");
    else
        f->cause =
            text("first difference seen here; its inputs were not named, so the cause lies between this record and "
                 "the last equal ones before it");
}

/* ---- evidence ---- */

/* The element's bits in both runs differ in these; -1 when they could not be read. */
static int differing_bits(const va_diff *diff, const va_finding *f, int64_t index, double value[2], int *highest)
{
    uint8_t bytes[2][8] = {{0}};
    const size_t size = vr_dtype_size(f->site[0]->dtype);
    int count = 0;
    for (int run = 0; run < 2; run++) {
        if (vr_trace_read_values(diff->trace[run], &f->record[run], index, 1, bytes[run]) != VR_OK)
            return -1;
        vr_to_f64(&value[run], bytes[run], f->site[0]->dtype, 1);
    }
    for (size_t i = 0; i < size * 8; i++)
        if ((bytes[0][i / 8] ^ bytes[1][i / 8]) >> i % 8 & 1) {
            count++;
            *highest = (int)i;
        }
    return count;
}

static void print_values(FILE *out, const va_diff *diff, const va_finding *f)
{
    vr_comparison c;
    double value[2];
    char index[VA_SHAPE_TEXT];
    int highest = 0;
    const vr_trace_record *const pair[2] = {&f->record[0], &f->record[1]};
    const vr_tolerance bits = VR_TOLERANCE_INIT;
    if (va_compare_records(&c, diff->trace, pair, &bits) != VR_OK || c.first < 0)
        return;
    fprintf(out, "%" PRId64 " of %" PRId64 " elements differ, max |a-b| %.3g, max %" PRIu64 " ulp, first at %s",
            c.count - c.equal, c.count, c.max_abs, c.max_ulp, va_index_text(index, f->site[0], c.first));
    const int count = differing_bits(diff, f, c.first, value, &highest);
    if (count >= 0)
        fprintf(out, " (%.9g and %.9g)", value[0], value[1]);
    if (count == 1 && c.count - c.equal == 1)
        fprintf(out, ": one bit, number %d", highest);
    if (c.nan_mismatch)
        fprintf(out, "; %" PRId64 " NaN in one run only", c.nan_mismatch);
    if (c.inf_mismatch)
        fprintf(out, "; %" PRId64 " infinite in one run only, or of other sign", c.inf_mismatch);
}

static void print_chunks(FILE *out, const va_diff *diff, const va_finding *f)
{
    const int64_t n = vr_site_chunks(f->site[0]);
    vr_digest *chunks[2] = {malloc((size_t)n * sizeof **chunks), malloc((size_t)n * sizeof **chunks)};
    int64_t different = 0, first = -1;
    if (chunks[0] && chunks[1] && vr_trace_read_chunks(diff->trace[0], &f->record[0], chunks[0]) == VR_OK &&
        vr_trace_read_chunks(diff->trace[1], &f->record[1], chunks[1]) == VR_OK)
        for (int64_t i = 0; i < n; i++)
            if (!vr_digest_equal(chunks[0][i], chunks[1][i])) {
                different++;
                first = first < 0 ? i : first;
            }
    if (first >= 0) {
        const int64_t per_chunk = VR_CHUNK_BYTES / (int64_t)vr_dtype_size(f->site[0]->dtype);
        const int64_t end = (first + 1) * per_chunk < f->site[0]->count ? (first + 1) * per_chunk : f->site[0]->count;
        fprintf(out, "%" PRId64 " of %" PRId64 " chunks differ, first elements %" PRId64 " to %" PRId64, different, n,
                first * per_chunk, end - 1);
    }
    free(chunks[0]);
    free(chunks[1]);
}

static void print_counts(FILE *out, const va_finding *f)
{
    const vr_stats *a = &f->record[0].stats, *b = &f->record[1].stats;
    if (a->nan != b->nan)
        fprintf(out, "%" PRIu64 " and %" PRIu64 " NaN", a->nan, b->nan);
    else if (a->pos_inf + a->neg_inf != b->pos_inf + b->neg_inf)
        fprintf(out, "%" PRIu64 " and %" PRIu64 " infinities", a->pos_inf + a->neg_inf, b->pos_inf + b->neg_inf);
    else if (a->absmax != b->absmax)
        fprintf(out, "largest magnitude %.9g and %.9g", a->absmax, b->absmax);
}

static char *evidence(const va_diff *diff, const va_finding *f)
{
    char *out = NULL;
    size_t size;
    FILE *stream = open_memstream(&out, &size);
    if (!stream)
        return NULL;
    uint8_t level = f->record[0].level < f->record[1].level ? f->record[0].level : f->record[1].level;
    if (!va_same_kind(f->site[0], f->site[1]))
        level = VR_LEVEL_HASH;
    if (level == VR_LEVEL_FULL)
        print_values(stream, diff, f);
    else if (level >= VR_LEVEL_CHUNKS && vr_site_chunks(f->site[0]) > 1)
        print_chunks(stream, diff, f);
    else if (level >= VR_LEVEL_STATS)
        print_counts(stream, f);
    fclose(stream);
    if (out && *out)
        return out;
    free(out);
    return NULL;
}

vr_status va_diff_explain(va_diff *diff)
{
    for (size_t i = 0; i < diff->finding_count; i++) {
        va_finding *f = &diff->findings[i];
        const vr_phase phase = diff->entities[f->entity].phase;
        if (f->class == VA_UNEXPLAINED)
            explain_gap(diff, f);
        else if (!va_same_kind(f->site[0], f->site[1])) {
            f->certainty = VA_CAUSE_KNOWN;
            f->cause = strdup("the two runs make it of another type or shape");
        } else if (phase == VR_INPUT)
            explain_input(diff, f);
        else if (f->seed || f->site[0]->input_count == 0)
            explain_source(diff, f);
        else
            explain_operation(diff, f);
        if (!f->cause)
            return vr_fail(VR_ERROR_MEMORY, "out of memory");
        f->evidence = evidence(diff, f);
    }
    return VR_OK;
}
