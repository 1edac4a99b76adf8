#include "sigbits_columns.h"

#include "sigbits_text.h"

#include <errno.h>
#include <formats/fail.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SEPARATORS " \t,;\r\n"

/* Samples row by row, as they come. */
typedef struct table {
    double *values;
    size_t count, room, columns;
    uint64_t line;
} table;

static vr_status no_memory(const char *name)
{
    return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", name);
}

static vr_status add_value(table *t, const char *name, double value)
{
    if (t->count == t->room) {
        const size_t room = t->room ? t->room * 2 : 256;
        double *values = realloc(t->values, room * sizeof *values);
        if (!values)
            return no_memory(name);
        t->values = values;
        t->room = room;
    }
    t->values[t->count++] = value;
    return VR_OK;
}

/* Whether commas of a line leave out a number: what is behind it would pass for the column before. */
static bool leaves_out(const char *line)
{
    bool number = false, any = false;
    for (; *line; line++) {
        const bool comma = *line == ',' || *line == ';';
        if (comma && !number)
            return true;
        any = any || comma;
        number = comma ? false : number || !strchr(SEPARATORS, *line);
    }
    return any && !number;
}

/* The numbers of a line; their words are cut out of it. */
static vr_status take_line(table *t, const char *name, char *line, size_t length)
{
    size_t found = 0;
    if (strlen(line) != length)
        return vr_fail(VR_ERROR_FORMAT, "%s: line %llu: binary data, not numbers", name, (unsigned long long)t->line);
    if (leaves_out(line))
        return vr_fail(VR_ERROR_FORMAT, "%s: line %llu: no number beside a comma", name, (unsigned long long)t->line);
    for (char *word, *rest = line; (word = strsep(&rest, SEPARATORS));) {
        char *end;
        if (!*word)
            continue;
        const double value = strtod(word, &end);
        if (*end)
            return vr_fail(VR_ERROR_FORMAT, "%s: line %llu: '%.40s' is not a number", name, (unsigned long long)t->line,
                           word);
        const vr_status status = add_value(t, name, value);
        if (status != VR_OK)
            return status;
        found++;
    }
    if (found && t->columns && found != t->columns)
        return vr_fail(VR_ERROR_FORMAT, "%s: line %llu has %zu numbers, those before it %zu", name,
                       (unsigned long long)t->line, found, t->columns);
    t->columns = found ? found : t->columns;
    return VR_OK;
}

static vr_status read_table(table *t, FILE *in, const char *name)
{
    char *line = NULL;
    size_t room = 0;
    vr_status status = VR_OK;
    for (ssize_t length; status == VR_OK && (length = getline(&line, &room, in)) >= 0;) {
        t->line++;
        status = take_line(t, name, line, (size_t)length);
    }
    if (status == VR_OK && ferror(in))
        status = vr_fail_errno(errno, "%s: cannot read", name);
    free(line);
    return status;
}

static void sum_up(va_column *out, const double *x, size_t stride, int n)
{
    out->least = out->most = x[0];
    for (int i = 0; i < n; i++) {
        const double value = x[(size_t)i * stride];
        out->mean += value / n;
        out->least = fmin(out->least, value);
        out->most = fmax(out->most, value);
    }
    out->mean = isnan(out->mean) ? (double)NAN : out->mean; /* without a sign */
}

static vr_status measure(va_columns *all, const table *t, const char *name)
{
    va_bits_rule rule;
    if (t->count / t->columns > INT_MAX)
        return vr_fail(VR_ERROR_UNSUPPORTED, "%s: too many lines", name);
    all->samples = (int)(t->count / t->columns);
    const int least = va_bits_least_samples(all->options.reference);
    if (all->samples < least)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: %d %s of numbers: %d at least, one for each run", name, all->samples,
                       all->samples == 1 ? "line" : "lines", least);
    const vr_status status = va_bits_rule_make(&rule, &all->options, all->samples, va_bits_digits(all->dtype));
    if (status != VR_OK)
        return status;
    double *scratch = malloc(2 * (size_t)all->samples * sizeof *scratch);
    all->columns = calloc(t->columns, sizeof *all->columns);
    all->count = t->columns;
    for (size_t j = 0; scratch && all->columns && j < all->count; j++) {
        va_column *column = &all->columns[j];
        va_bits_of(&column->bits, &rule, t->values + j, t->columns, all->exact, scratch);
        sum_up(column, t->values + j, t->columns, all->samples);
        const bool known = !(column->bits.flags & VA_BITS_NO_FIGURE);
        column->bits_within = known ? (int)floor(column->bits.significant) : 0;
        column->within = va_bits_within(&rule, t->values + j, t->columns, all->exact, column->bits_within, scratch);
        const double figure = all->general ? column->bits.general : column->bits.significant;
        const bool differs = column->bits.flags & (VA_BITS_NONFINITE_DIFFERS | VA_BITS_ZERO_REFERENCE);
        all->too_few += differs || (known && figure < all->at_least);
    }
    free(scratch);
    return scratch && all->columns ? VR_OK : no_memory(name);
}

vr_status va_columns_read(va_columns *out, FILE *in, const char *name)
{
    table t = {0};
    vr_status status = read_table(&t, in, name);
    if (status == VR_OK && t.count == 0)
        status = vr_fail(VR_ERROR_FORMAT, "%s: no numbers", name);
    if (status == VR_OK)
        status = measure(out, &t, name);
    free(t.values);
    if (status != VR_OK)
        va_columns_free(out);
    return status;
}

void va_columns_free(va_columns *columns)
{
    free(columns->columns);
    columns->columns = NULL;
    columns->count = 0;
}

/* ---- output ---- */

static int errors_of(const va_columns *all)
{
    return va_bits_halves_samples(all->options.reference) ? all->samples / 2 : all->samples;
}

static double vouched(const va_columns *all, const va_column *c)
{
    return va_bits_bernoulli(c->within, errors_of(all), all->options.confidence);
}

static const char *flag_text(unsigned flags, bool general)
{
    if (flags & VA_BITS_NONFINITE_DIFFERS)
        return "some samples are not finite: no bits";
    if (flags & VA_BITS_NONFINITE)
        return "no sample is finite";
    if (flags & VA_BITS_ZERO_REFERENCE)
        return "the reference is 0, or next to it: no relative error; try --absolute";
    if (flags & VA_BITS_CONSTANT)
        return "constant: zero variance";
    return flags & (general ? VA_BITS_SATURATED_GENERAL : VA_BITS_SATURATED) ? "saturated" : "";
}

void va_columns_text(FILE *out, const va_columns *all)
{
    const int digits = va_bits_digits(all->dtype);
    const bool bias = all->options.reference != VA_BITS_MEAN;
    va_bits_head_text(out, &all->options, all->exact, NULL, all->samples, "sample", all->general);
    fprintf(out, "\n%6s  %16s  %11s  %6s  %7s%s  %s\n", "column", "mean", "significant", "contr.", "general",
            bias ? "    bias" : "", "of the errors");
    for (size_t j = 0; j < all->count; j++) {
        const va_column *c = &all->columns[j];
        const bool known = !(c->bits.flags & VA_BITS_NO_FIGURE);
        char text[3][VA_BITS_TEXT];
        fprintf(out, "%6zu  %16.9g  %11s  %6s  %7s", j + 1, c->mean,
                va_bits_text(text[0], c->bits.significant, digits, false),
                va_bits_text(text[1], c->bits.contributing, digits, false),
                va_bits_text(text[2], known ? c->bits.general : NAN, digits, true));
        if (bias)
            fprintf(out, "  %6s", va_bits_text(text[0], c->bits.bias, digits, false));
        if (known)
            fprintf(out, "  %d within 2^%d: probability %.3f at least", c->within, -c->bits_within, vouched(all, c));
        const char *flags = flag_text(c->bits.flags, all->general);
        fprintf(out, "%s%s\n", *flags ? known ? "; " : "  " : "", flags);
    }
    if (all->at_least >= 0)
        fprintf(out, "\n%zu of %zu %s with fewer than %g bits\n", all->too_few, all->count,
                all->count == 1 ? "column" : "columns", all->at_least);
}

json_t *va_columns_json(const va_columns *all)
{
    json_t *out = json_object(), *columns = json_array();
    for (size_t j = 0; j < all->count; j++) {
        const va_column *c = &all->columns[j];
        const unsigned flags = c->bits.flags;
        const bool known = !(flags & VA_BITS_NO_FIGURE);
        json_t *item =
            json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:b, s:b, s:b}", "mean", va_json_number(c->mean),
                      "least", va_json_number(c->least), "most", va_json_number(c->most), "significant",
                      va_json_number(c->bits.significant), "contributing", va_json_number(c->bits.contributing), "bias",
                      va_json_number(c->bits.bias), "constant", flags & VA_BITS_CONSTANT, "saturated",
                      flags & VA_BITS_SATURATED, "saturated_general", flags & VA_BITS_SATURATED_GENERAL, "nonfinite",
                      flags & VA_BITS_NONFINITE, "zero_reference", flags & VA_BITS_ZERO_REFERENCE);
        json_object_set_new(item, "general", known ? json_integer(c->bits.general) : json_null());
        json_object_set_new(item, "general_contributing",
                            known ? json_integer(c->bits.general_contributing) : json_null());
        json_object_set_new(item, "within", known ? json_integer(c->within) : json_null());
        json_object_set_new(item, "within_bits", known ? json_integer(c->bits_within) : json_null());
        json_object_set_new(item, "within_probability", known ? json_real(vouched(all, c)) : json_null());
        json_array_append_new(columns, item);
    }
    va_bits_head_json(out, &all->options, all->exact, NULL, all->samples, all->general);
    json_object_set_new(out, "dtype", json_string(vr_dtype_name(all->dtype)));
    json_object_set_new(out, "at_least", all->at_least < 0 ? json_null() : json_real(all->at_least));
    json_object_set_new(out, "too_few", json_integer((json_int_t)all->too_few));
    json_object_set_new(out, "columns", columns);
    return out;
}

void va_columns_csv(FILE *out, const va_columns *all)
{
    fputs("column,mean,least,most,significant,contributing,bias,general,general_contributing,within,within_bits,"
          "constant,saturated,nonfinite,zero_reference\n",
          out);
    for (size_t j = 0; j < all->count; j++) {
        const va_column *c = &all->columns[j];
        const unsigned flags = c->bits.flags;
        const double numbers[] = {c->mean, c->least, c->most, c->bits.significant, c->bits.contributing, c->bits.bias};
        fprintf(out, "%zu", j + 1);
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
            va_csv_number(out, numbers[i]);
        if (flags & VA_BITS_NO_FIGURE)
            fputs(",,,,", out);
        else
            fprintf(out, ",%d,%d,%d,%d", c->bits.general, c->bits.general_contributing, c->within, c->bits_within);
        fprintf(out, ",%d,%d,%d,%d\n", (flags & VA_BITS_CONSTANT) != 0, (flags & VA_BITS_SATURATED) != 0,
                (flags & VA_BITS_NONFINITE) != 0, (flags & VA_BITS_ZERO_REFERENCE) != 0);
    }
}
