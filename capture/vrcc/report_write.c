#include "report.h"

static const char *const names[VR_OPERATIONS] = {"add", "sub", "mul", "div", "sqrt", "fma"};

static vrcc_source source_at(const vrcc_found *found, unsigned place)
{
    return vrcc_places_source(found->places, vrcc_places_at(found->places, place).source);
}

static const char *shown_name(vrcc_source source)
{
    return source.name ? source.name : source.symbol;
}

/* Calls `each` for every kind that there is. */
static void each_kind(FILE *out, const vrcc_tally *t, void (*each)(FILE *out, const char *name, unsigned count))
{
    for (int op = 0; op < VR_OPERATIONS; op++)
        if (t->operations[op])
            each(out, names[op], t->operations[op]);
    const struct {
        const char *name;
        unsigned count;
    } others[] = {{"muladd", t->multiply_add},
                  {"reduction", t->reductions},
                  {"atomic", t->atomics},
                  {"conversion", t->conversions},
                  {"comparison", t->comparisons}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (others[i].count)
            each(out, others[i].name, others[i].count);
}

/* ---- text ---- */

static void print_kind(FILE *out, const char *name, unsigned count)
{
    fprintf(out, " %s %u", name, count);
}

static void list_functions(FILE *out, const vrcc_found *found)
{
    for (size_t i = 0; i < found->source_count; i++) {
        const vrcc_tally *t = &found->by_source[i];
        const vrcc_source source = vrcc_places_source(found->places, i);
        if (t->instrumented + t->left == 0)
            continue;
        fprintf(out, "  %s (%s):", shown_name(source), source.file);
        each_kind(out, t, print_kind);
        fputs(t->instrumented ? "" : " none", out);
        if (t->left)
            fprintf(out, ", left alone %u", t->left);
        fputc('\n', out);
    }
}

static void list_exceptions(FILE *out, const vrcc_found *found, bool library)
{
    for (size_t i = 0; i < found->exception_count; i++) {
        const vrcc_exception *e = &found->exceptions[i];
        if (e->is_library != library)
            continue;
        const vrcc_source source = source_at(found, e->place);
        const unsigned line = vrcc_places_at(found->places, e->place).line;
        fprintf(out, "  %s:%u: %s: %s", source.file, line, shown_name(source), e->reason);
        if (e->instruction)
            fprintf(out, ": %s", e->instruction);
        fputc('\n', out);
    }
}

void vrcc_report_text(FILE *out, const vrcc_found *found)
{
    const vrcc_tally *t = &found->all;
    const unsigned all = t->instrumented + t->left;
    fprintf(out, "%s: %u of %u operations instrumented (%.1f%%), %u of them on vectors, %u calls of libraries\n",
            found->file, t->instrumented, all, vrcc_report_coverage(t), t->in_vectors, t->library);
    if (found->unasked[0] || found->unasked[1])
        fprintf(out, "not asked for: %u conversions, %u comparisons\n", found->unasked[0], found->unasked[1]);
    if (all) {
        fputs("instrumented:", out);
        each_kind(out, t, print_kind);
        fputs("\nfunctions:\n", out);
        list_functions(out, found);
    }
    if (found->in_place_count)
        fprintf(out, "functions with one body, which calls: %u\n", found->in_place_count);
    if (t->left) {
        fputs("left alone:\n", out);
        list_exceptions(out, found, false);
    }
    if (t->library) {
        fputs("calls of libraries, which round as these do:\n", out);
        list_exceptions(out, found, true);
    }
}

/* ---- JSON ---- */

static void put_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c < 0x20)
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void put_kind(FILE *out, const char *name, unsigned count)
{
    fprintf(out, ",\"%s\":%u", name, count);
}

static void put_tally(FILE *out, const vrcc_tally *t)
{
    fprintf(out, "\"instrumented\":%u,\"left_alone\":%u,\"library_calls\":%u,\"coverage\":%.1f,\"on_vectors\":%u",
            t->instrumented, t->left, t->library, vrcc_report_coverage(t), t->in_vectors);
    each_kind(out, t, put_kind);
}

static void put_source(FILE *out, vrcc_source source)
{
    fputs("\"function\":", out);
    put_string(out, shown_name(source));
    fputs(",\"symbol\":", out);
    put_string(out, source.symbol);
    fputs(",\"file\":", out);
    put_string(out, source.file);
}

static void put_functions(FILE *out, const vrcc_found *found)
{
    const char *separator = "";
    fputs(",\"functions\":[", out);
    for (size_t i = 0; i < found->source_count; i++) {
        const vrcc_tally *t = &found->by_source[i];
        if (t->instrumented + t->left + t->library == 0)
            continue;
        fprintf(out, "%s{", separator);
        put_source(out, vrcc_places_source(found->places, i));
        fputc(',', out);
        put_tally(out, t);
        fputc('}', out);
        separator = ",";
    }
    fputc(']', out);
}

static void put_exceptions(FILE *out, const vrcc_found *found, bool library)
{
    const char *separator = "";
    fprintf(out, ",\"%s\":[", library ? "calls" : "exceptions");
    for (size_t i = 0; i < found->exception_count; i++) {
        const vrcc_exception *e = &found->exceptions[i];
        if (e->is_library != library)
            continue;
        fprintf(out, "%s{", separator);
        put_source(out, source_at(found, e->place));
        fprintf(out, ",\"line\":%u,\"%s\":", vrcc_places_at(found->places, e->place).line,
                library ? "callee" : "reason");
        put_string(out, e->reason);
        if (e->instruction) {
            fputs(",\"instruction\":", out);
            put_string(out, e->instruction);
        }
        fputc('}', out);
        separator = ",";
    }
    fputc(']', out);
}

void vrcc_report_json(FILE *out, const vrcc_found *found)
{
    fputs("{\"source\":", out);
    put_string(out, found->file);
    fputc(',', out);
    put_tally(out, &found->all);
    fprintf(out, ",\"unasked_conversions\":%u,\"unasked_comparisons\":%u,\"in_place\":%u", found->unasked[0],
            found->unasked[1], found->in_place_count);
    put_functions(out, found);
    put_exceptions(out, found, false);
    put_exceptions(out, found, true);
    fputs("}\n", out);
}
