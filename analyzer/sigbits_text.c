#include "sigbits_text.h"

#include <math.h>
#include <string.h>

const char *va_bits_text(char out[VA_BITS_TEXT], double bits, int digits, bool whole)
{
    if (isnan(bits))
        snprintf(out, VA_BITS_TEXT, "-");
    else if (digits > 0 && bits >= digits)
        snprintf(out, VA_BITS_TEXT, "%d+", digits);
    else
        snprintf(out, VA_BITS_TEXT, whole ? "%.0f" : "%.1f", bits > -0.05 && bits < 0 ? 0 : bits);
    return out;
}

json_t *va_json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

void va_csv_number(FILE *out, double value)
{
    fputc(',', out);
    if (!isnan(value))
        fprintf(out, "%.10g", value);
}

static const char *const reference_names[] = {"mean", "exact", "run", "pairs", "halves"};

static int errors_of(const va_bits_options *o, int samples)
{
    return va_bits_halves_samples(o->reference) ? samples / 2 : samples;
}

static void print_reference(FILE *out, const va_bits_options *o, double exact, const char *run)
{
    switch (o->reference) {
    case VA_BITS_MEAN:
        fputs("their mean", out);
        break;
    case VA_BITS_EXACT:
        fprintf(out, "%.10g", exact);
        break;
    case VA_BITS_RUN:
        fputs(run, out);
        break;
    case VA_BITS_PAIRS:
        fputs("each other, two by two", out);
        break;
    case VA_BITS_HALVES:
        fputs("each other, half by half", out);
        break;
    }
}

void va_bits_head_text(FILE *out, const va_bits_options *o, double exact, const char *run, int samples,
                       const char *noun, bool general)
{
    const int errors = errors_of(o, samples);
    const double least = va_bits_least_trials(o->significant, o->confidence);
    va_print_count(out, (uint64_t)samples, noun);
    fputs(" against ", out);
    print_reference(out, o, exact, run);
    fprintf(out, ", %s error; ", o->absolute ? "absolute" : "relative");
    if (!general)
        fprintf(out, "CNH, probability %g (contributing %g), confidence %g\n", o->significant, o->contributing,
                o->confidence);
    else
        fprintf(out, "general method: probability %.3g, confidence %g\n",
                va_bits_bernoulli(errors, errors, o->confidence), o->confidence);
    if (errors >= least)
        return;
    fprintf(out, "note: %d errors are few: %.0f would vouch for probability %g whatever their distribution", errors,
            least, o->significant);
    fputs(general ? "\n" : "; CNH assumes a normal one\n", out);
}

void va_bits_head_json(json_t *object, const va_bits_options *o, double exact, const char *run, int samples,
                       bool general)
{
    const int errors = errors_of(o, samples);
    const double least = va_bits_least_trials(o->significant, o->confidence);
    json_object_set_new(object, "samples", json_integer(samples));
    json_object_set_new(object, "errors", json_integer(errors));
    json_object_set_new(object, "reference", json_string(reference_names[o->reference]));
    json_object_set_new(object, "exact", o->reference == VA_BITS_EXACT ? json_real(exact) : json_null());
    json_object_set_new(object, "run", run ? va_json_path(run) : json_null());
    json_object_set_new(object, "error", json_string(o->absolute ? "absolute" : "relative"));
    json_object_set_new(object, "method", json_string(general ? "general" : "cnh"));
    json_object_set_new(object, "probability", json_real(o->significant));
    json_object_set_new(object, "contributing_probability", json_real(o->contributing));
    json_object_set_new(object, "confidence", json_real(o->confidence));
    json_object_set_new(object, "least_trials", json_integer((json_int_t)least));
    json_object_set_new(object, "enough_trials", json_boolean(errors >= least));
    json_object_set_new(object, "general_probability", json_real(va_bits_bernoulli(errors, errors, o->confidence)));
}

static void note(char out[VA_BITS_NOTES], uint64_t count, const char *what)
{
    char text[VA_COUNT_TEXT];
    const size_t used = strlen(out);
    if (count)
        snprintf(out + used, VA_BITS_NOTES - used, "%s%s %s", used ? ", " : "", va_count_text(text, count), what);
}

const char *va_bits_notes(char out[VA_BITS_NOTES], const va_tally *t, bool general)
{
    out[0] = 0;
    note(out, t->constant, "constant");
    note(out, general ? t->saturated_general : t->saturated, "saturated");
    note(out, t->nonfinite - t->nonfinite_differs, "not finite in all runs");
    note(out, t->nonfinite_differs, "not finite in some runs");
    note(out, t->zero_reference, "against 0");
    return out;
}
