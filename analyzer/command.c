#include "command.h"
#include "guard.h"
#include "sources.h"

#include <errno.h>
#include <formats/fail.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int va_trouble(void)
{
    va_progress_clear();
    fputs("varanalyze: ", stderr);
    va_print_text(stderr, vr_error(), SIZE_MAX);
    fputc('\n', stderr);
    return VA_TROUBLE;
}

int va_misuse(const va_command *command, const char *format, ...)
{
    if (format) {
        va_list args;
        va_start(args, format);
        fprintf(stderr, "varanalyze %s: ", command->name);
        vfprintf(stderr, format, args);
        fputc('\n', stderr);
        va_end(args);
    }
    fprintf(stderr, "see 'varanalyze help %s'\n", command->name);
    return VA_TROUBLE;
}

int va_finish(int result)
{
    va_output out = {.stream = stdout};
    return va_output_close(&out, true) == VR_OK ? result : va_trouble();
}

int va_help(const va_command *command)
{
    fputs(command->usage, stdout);
    return va_finish(VA_SAME);
}

vr_status va_format_parse(va_format *out, const char *name)
{
    static const char *const names[] = {"text", "json", "csv"};
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (va_format)i;
            return VR_OK;
        }
    return vr_fail(VR_ERROR_ARGUMENT, "no format is called '%s': text, json or csv", name);
}

vr_status va_number_parse(uint64_t *out, const char *option, const char *text, uint64_t least, uint64_t most)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    if (errno || *text < '0' || *text > '9' || *end || *out < least || *out > most)
        return vr_fail(VR_ERROR_ARGUMENT, "--%s: '%s' is not a number from %llu to %llu", option, text,
                       (unsigned long long)least, (unsigned long long)most);
    return VR_OK;
}

vr_status va_steps_parse(uint64_t *first_step, uint64_t *last_step, const char *text)
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
    *first_step = first;
    *last_step = last;
    return VR_OK;
}

static bool wants_color(void)
{
    const char *none = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(none && *none) && term && strcmp(term, "dumb") != 0;
}

vr_status va_output_open(va_output *out, const char *path)
{
    *out = (va_output){.stream = stdout};
    if (!path || strcmp(path, "-") == 0) {
        out->color = wants_color();
        return VR_OK;
    }
    out->path = path;
    struct stat file;
    const bool in_place = stat(path, &file) == 0 && !S_ISREG(file.st_mode); /* a device, a pipe */
    if (!in_place && asprintf(&out->aside, "%s.%ld.part", path, (long)getpid()) < 0) {
        out->aside = NULL;
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", path);
    }
    va_guard_temporary(out->aside);
    out->stream = fopen(in_place ? path : out->aside, "we");
    if (!out->stream) {
        const vr_status status = vr_fail_errno(errno, "%s: cannot create", path);
        free(out->aside);
        out->aside = NULL;
        return status;
    }
    return VR_OK;
}

vr_status va_output_close(va_output *out, bool keep)
{
    const char *name = out->path ? out->path : "standard output";
    bool fine = !ferror(out->stream) && fflush(out->stream) == 0;
    int error = errno;
    if (out->path && fclose(out->stream) != 0 && fine) {
        fine = false;
        error = errno;
    }
    if (fine && keep && out->aside && rename(out->aside, out->path) != 0) {
        fine = false;
        error = errno;
    }
    if (!(fine && keep) && out->aside)
        unlink(out->aside);
    va_guard_temporary(NULL);
    free(out->aside);
    return fine ? VR_OK : vr_fail_errno(error, "%s: cannot write", name);
}

size_t va_print_text(FILE *out, const char *text, size_t most)
{
    size_t printed = 0;
    for (size_t i = 0; i < most && text[i]; i++) {
        const unsigned char c = (unsigned char)text[i], next = (unsigned char)text[i + 1];
        const bool is_control = c < 0x20 || c == 0x7f || (c == 0xc2 && next >= 0x80 && next < 0xa0);
        printed += (size_t)fprintf(out, c == '\n' ? "\\n" : is_control ? "\\x%02x" : "%c", c);
    }
    return printed;
}

void va_csv_text(FILE *out, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

const char *va_shape_text(char out[VA_SHAPE_TEXT], const vr_site *site)
{
    int used = snprintf(out, VA_SHAPE_TEXT, "[");
    for (int i = 0; i < site->rank; i++)
        used += snprintf(out + used, VA_SHAPE_TEXT - (size_t)used, "%s%" PRId64, i ? "," : "", site->shape[i]);
    snprintf(out + used, VA_SHAPE_TEXT - (size_t)used, "]");
    return out;
}

const char *va_index_text(char out[VA_SHAPE_TEXT], const vr_site *site, int64_t index)
{
    vr_site place = *site;
    for (int i = site->rank - 1; i >= 0; i--) {
        place.shape[i] = index % site->shape[i];
        index /= site->shape[i];
    }
    return va_shape_text(out, &place);
}

const char *va_count_text(char out[VA_COUNT_TEXT], uint64_t count)
{
    char digits[24];
    const int n = snprintf(digits, sizeof digits, "%" PRIu64, count);
    char *to = out;
    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = 0;
    return out;
}

void va_print_count(FILE *out, uint64_t count, const char *noun)
{
    char text[VA_COUNT_TEXT];
    fprintf(out, "%s %s%s", va_count_text(text, count), noun, count == 1 ? "" : "s");
}

void va_print_broken(FILE *out, const vr_trace_info *info)
{
    if (info->incomplete)
        fprintf(out, "%s is incomplete from step %" PRIu64 " on: %s\n", info->path, info->incomplete_step,
                info->incomplete_reason);
    else if (!info->closed)
        fprintf(out, "%s %s\n", info->path,
                info->live ? "is still being written" : "broke off: the run was not closed");
}

json_t *va_json_path(const char *path)
{
    json_t *text = json_string(path);
    if (text)
        return text;
    char *copy = strdup(path);
    for (char *c = copy; c && *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    text = json_string(copy ? copy : "");
    free(copy);
    return text;
}

void va_print_json(FILE *out, json_t *value)
{
    json_dumpf(value, out, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    fputc('\n', out);
    json_decref(value);
}
