#include "localize_text.h"

#include "grow.h"
#include "sigbits_element.h"

#include <ctype.h>
#include <formats/fail.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PRECISION 52
#define NUMBER    '\1' /* stands for one among the words */

/* ---- reading ---- */

/* What the text of a number says of its precision. */
typedef struct shape {
    size_t length;   /* 0: no number */
    int digits;      /* significant decimal digits; 0: an integer, or what is no decimal number */
    double exponent; /* of 10, of the last place */
} shape;

static bool is_wordy(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || (unsigned char)c >= 0x80;
}

static shape form_of_word(const char *at)
{
    static const char *const words[] = {"infinity", "inf", "nan"};
    for (int i = 0; i < 3; i++) {
        const size_t length = strlen(words[i]);
        if (strncasecmp(at, words[i], length) == 0 && !is_wordy(at[length]))
            return (shape){.length = length};
    }
    return (shape){0};
}

/* Of a decimal number without a sign. */
static shape form_of_decimal(const char *at)
{
    const char *from = at;
    int digits = 0, places = 0;
    bool point = false, any = false;
    for (; isdigit((unsigned char)*at) || (*at == '.' && !point); at++) {
        point = point || *at == '.';
        if (*at == '.')
            continue;
        any = true;
        places += point;
        digits += digits > 0 || *at != '0';
    }
    if (!any)
        return (shape){0};
    shape out = {.exponent = -places};
    bool is_integer = !point;
    if (*at == 'e' || *at == 'E') {
        const char *exponent = at + 1 + (at[1] == '+' || at[1] == '-');
        if (isdigit((unsigned char)*exponent)) {
            out.exponent += strtod(at + 1, NULL);
            at = exponent + strspn(exponent, "0123456789");
            is_integer = false;
        }
    }
    out.length = (size_t)(at - from);
    out.digits = is_integer ? 0 : digits > 0 ? digits : 1;
    return out;
}

static shape form_of(const char *at)
{
    const size_t sign = *at == '-' || *at == '+';
    const char *number = at + sign;
    shape out;
    if (number[0] == '0' && (number[1] | 0x20) == 'x') {
        char *end;
        strtod(number, &end);
        out = (shape){.length = (size_t)(end - number)};
    } else {
        out = isalpha((unsigned char)*number) ? form_of_word(number) : form_of_decimal(number);
    }
    out.length += out.length ? sign : 0;
    return out;
}

static vr_status add_number(va_text *text, const char *at, const shape *form, uint64_t line)
{
    va_text_number *grown = va_one_more(text->numbers, text->count, &text->room, sizeof *grown);
    if (!grown)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    text->numbers = grown;
    text->numbers[text->count++] = (va_text_number){strtod(at, NULL), form->digits ? pow(10, form->exponent) : 0, line};
    return VR_OK;
}

/* `text` ends with a zero byte. */
static vr_status read_numbers(va_text *out, const char *text, int *digits)
{
    char *to = out->words;
    uint64_t line = 1;
    for (const char *at = text; *at;) {
        const shape form = at == text || !is_wordy(at[-1]) ? form_of(at) : (shape){0};
        if (form.length) {
            const vr_status status = add_number(out, at, &form, line);
            if (status != VR_OK)
                return status;
            *digits = form.digits > *digits ? form.digits : *digits;
            *to++ = NUMBER;
            at += form.length;
            continue;
        }
        line += *at == '\n';
        if (!isspace((unsigned char)*at))
            *to++ = *at;
        else if (to > out->words && to[-1] != ' ')
            *to++ = ' ';
        at++;
    }
    if (to > out->words && to[-1] == ' ')
        to--;
    *to = 0;
    return VR_OK;
}

vr_status va_text_read(va_text *out, const char *bytes, size_t length)
{
    int digits = 0;
    char *copy = malloc(length + 1);
    *out = (va_text){.words = malloc(length + 1)};
    vr_status status = VR_OK;
    for (size_t i = 0; copy && i < length; i++)
        copy[i] = bytes[i] && bytes[i] != NUMBER ? bytes[i] : ' ';
    if (copy && out->words) {
        copy[length] = 0;
        status = read_numbers(out, copy, &digits);
    } else {
        status = vr_fail(VR_ERROR_MEMORY, "out of memory");
    }
    free(copy);
    out->decimals = digits;
    if (status != VR_OK)
        va_text_free(out);
    return status;
}

void va_text_free(va_text *text)
{
    free(text->numbers);
    free(text->words);
    *text = (va_text){0};
}

/* ---- comparing ---- */

int va_text_digits(int decimals)
{
    return decimals ? (int)fmin(decimals * log2(10), PRECISION) : PRECISION;
}

bool va_kept_number(va_kept *kept, double bits, int digits)
{
    const double share = bits < digits ? bits / digits : 1;
    const bool least = share < kept->share;
    if (share < 1 && bits < kept->bits) {
        kept->bits = bits;
        kept->digits = digits;
    }
    kept->share = least ? share : kept->share;
    return least;
}

void va_kept_nothing(va_kept *kept, const char *format, ...)
{
    va_list args;
    if (kept->share == 0 && *kept->why)
        return;
    kept->bits = kept->share = 0;
    va_start(args, format);
    vsnprintf(kept->why, sizeof kept->why, format, args);
    va_end(args);
}

double va_bits_above(double x, double y, double floor, int digits)
{
    return fabs(y) < floor ? va_bits_of_error(floor + (x - y), floor, digits) : va_bits_of_error(x, y, digits);
}

/* A few words, with '#' for numbers. */
static const char *few_words(char out[41], const char *words)
{
    snprintf(out, 41, "%s", words);
    for (char *at = out; *at; at++)
        *at = *at == NUMBER ? '#' : *at;
    return out;
}

/* Which of the words it is that differ. */
static void tell_words(va_kept *kept, const char *a, const char *b, const char *name)
{
    char ours[41], theirs[41];
    size_t same = 0, from;
    while (a[same] && a[same] == b[same])
        same++;
    for (from = same; from > 0 && same - from < 20 && a[from - 1] != ' '; from--)
        ;
    va_kept_nothing(kept, "%s has other text: '%s' in place of '%s'", name, few_words(ours, b + from),
                    few_words(theirs, a + from));
}

void va_kept_tell(va_kept *kept, const char *where, double x, double y)
{
    char ours[32], theirs[32];
    for (int digits = 10; digits <= 17; digits += 7) {
        snprintf(ours, sizeof ours, "%.*g", digits, x);
        snprintf(theirs, sizeof theirs, "%.*g", digits, y);
        if (strcmp(ours, theirs) != 0)
            break;
    }
    snprintf(kept->why, sizeof kept->why, "%.120s: %s in place of %s", where, ours, theirs);
}

/* Numbers are printed rounded: to the same, or to neighbours. */
static bool prints_alike(const va_text_number *a, const va_text_number *b)
{
    return fabs(a->value - b->value) <= fmin(a->unit, b->unit) * (1 + 1e-9);
}

void va_text_compare(va_kept *kept, const va_text *reference, const va_text *text, double floor, const char *name)
{
    const int decimals = reference->decimals > text->decimals ? reference->decimals : text->decimals;
    const int digits = va_text_digits(decimals);
    char where[160];
    if (strcmp(reference->words, text->words) != 0) {
        tell_words(kept, reference->words, text->words, name);
        return;
    }
    for (size_t i = 0; i < reference->count; i++) { /* as many numbers in both, as their words are the same */
        const va_text_number *y = &reference->numbers[i], *x = &text->numbers[i];
        if (x->value == y->value || prints_alike(x, y))
            continue;
        if (va_kept_number(kept, va_bits_above(x->value, y->value, floor, digits), digits)) {
            snprintf(where, sizeof where, "%.100s, line %llu", name, (unsigned long long)x->line);
            va_kept_tell(kept, where, x->value, y->value);
        }
    }
}
