#include "campaign_json.h"

#include <formats/fail.h>
#include <stdlib.h>
#include <string.h>

/* ---- to JSON ---- */

json_t *va_bytes_to_json(const char *text)
{
    json_t *string = json_string(text);
    if (string)
        return string;
    const size_t length = strlen(text);
    char *hex = malloc(2 * length + 1);
    for (size_t i = 0; hex && i < length; i++)
        sprintf(hex + 2 * i, "%02x", (unsigned char)text[i]);
    json_t *json = hex ? json_pack("{s:s#}", "hex", hex, (int)(2 * length)) : NULL;
    free(hex);
    return json;
}

json_t *va_list_to_json(const char *list)
{
    json_t *words = json_array();
    for (const char *at = list; *at; at += strspn(at, ",")) {
        const size_t length = strcspn(at, ",");
        json_array_append_new(words, json_stringn(at, length));
        at += length;
    }
    return words;
}

json_t *va_variables_to_json(char *const *variables)
{
    json_t *object = json_object();
    for (char *const *at = variables; at && *at; at++) {
        const char *equals = strchr(*at, '=');
        char *name = equals ? strndup(*at, (size_t)(equals - *at)) : NULL;
        if (name)
            json_object_set_new(object, name, va_bytes_to_json(equals + 1));
        free(name);
    }
    return object;
}

static json_t *command_to_json(char *const *command)
{
    json_t *words = json_array();
    for (char *const *at = command; at && *at; at++)
        json_array_append_new(words, va_bytes_to_json(*at));
    return words;
}

static json_t *conditions_to_json(const va_campaign *campaign)
{
    json_t *list = json_array();
    for (size_t i = 0; i < campaign->condition_count; i++) {
        const va_condition *c = &campaign->conditions[i];
        json_t *condition = json_pack("{s:s, s:o, s:I, s:b}", "name", c->name, "vary", va_list_to_json(c->vary), "runs",
                                      (json_int_t)c->count, "own_runs", c->own_count);
        if (c->variables)
            json_object_set_new(condition, "environment", va_variables_to_json(c->variables));
        json_array_append_new(list, condition);
    }
    return list;
}

json_t *va_campaign_to_json(const va_campaign *c)
{
    return json_pack("{s:s, s:i, s:o, s:o, s:o, s:I, s:o, s:o, s:s, s:s, s:s, s:s, s:o, s:I, s:f}", "format",
                     VA_CAMPAIGN_FORMAT, "version", VA_CAMPAIGN_VERSION, "command", command_to_json(c->command),
                     "directory", va_bytes_to_json(c->directory), "conditions", conditions_to_json(c), "runs",
                     (json_int_t)c->runs, "seed", json_sprintf("%llu", (unsigned long long)c->seed), "hold",
                     va_list_to_json(c->hold), "kernels", c->kernels, "rounding", c->rounding, "level", c->level,
                     "filter", c->filter, "environment", va_variables_to_json(c->variables), "threads",
                     (json_int_t)c->threads, "timeout", c->timeout);
}

/* Text that was made here or cleaned of what is no text; should it not be UTF-8 all the same, it is left out. */
static json_t *words_to_json(const char *text)
{
    json_t *string = json_string(text);
    return string ? string : json_string("");
}

json_t *va_outcome_to_json(const va_campaign *campaign, va_task task, const va_outcome *o)
{
    return json_pack("{s:s, s:i, s:s, s:I, s:b, s:o, s:o, s:b, s:I, s:I, s:s, s:f, s:f, s:f, s:I, s:I, s:I, s:o, s:o, "
                     "s:b}",
                     "format", VA_CAMPAIGN_FORMAT " run", "version", VA_CAMPAIGN_VERSION, "condition",
                     campaign->conditions[task.condition].name, "replica", (json_int_t)task.replica, "ok",
                     va_outcome_is_ok(o), "exit_status", o->signal ? json_null() : json_integer(o->exit_code), "signal",
                     o->signal ? json_integer(o->signal) : json_null(), "timed_out", o->timed_out, "tries",
                     (json_int_t)o->tries, "left_running", (json_int_t)o->left, "started", o->started, "seconds",
                     o->seconds, "user_seconds", o->user_seconds, "system_seconds", o->system_seconds, "peak_bytes",
                     (json_int_t)o->peak_bytes, "output_bytes", (json_int_t)o->output_bytes[0], "error_bytes",
                     (json_int_t)o->output_bytes[1], "error_line", words_to_json(o->error_line), "note",
                     words_to_json(o->note), "recovered", o->recovered);
}

/* ---- from JSON ---- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *va_bytes_from_json(const json_t *json)
{
    if (json_is_string(json))
        return strlen(json_string_value(json)) == json_string_length(json) ? strdup(json_string_value(json)) : NULL;
    const char *hex = json_string_value(json_object_get(json, "hex"));
    const size_t length = hex ? strlen(hex) / 2 : 0;
    char *out = hex && strlen(hex) == 2 * length ? malloc(length + 1) : NULL;
    for (size_t i = 0; out && i < length; i++) {
        const int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
        if (high < 0 || low < 0 || high + low == 0) {
            free(out);
            return NULL;
        }
        out[i] = (char)(high << 4 | low);
    }
    if (out)
        out[length] = 0;
    return out;
}

/* The words of an array, comma-separated. */
static char *list_from_json(const json_t *json)
{
    size_t i, bytes;
    const json_t *word;
    char *out = NULL;
    FILE *stream = json_is_array(json) ? open_memstream(&out, &bytes) : NULL;
    if (!stream)
        return NULL;
    bool fine = true;
    json_array_foreach (json, i, word) {
        fine = fine && json_is_string(word);
        fprintf(stream, "%s%s", i ? "," : "", fine ? json_string_value(word) : "");
    }
    if (fclose(stream) != 0 || !fine) {
        free(out);
        return NULL;
    }
    return out;
}

static bool read_command(va_campaign *out, const json_t *json)
{
    size_t i;
    const json_t *word;
    out->command = calloc(json_array_size(json) + 1, sizeof *out->command);
    json_array_foreach (json, i, word) {
        if (!out->command || !(out->command[i] = va_bytes_from_json(word)))
            return false;
    }
    return out->command && json_array_size(json) > 0;
}

/* "NAME=VALUE" each, NULL at the end; the caller's, also when it is malformed. */
static bool read_variables(char ***out, json_t *json)
{
    size_t count = 0;
    const char *name;
    json_t *value;
    *out = calloc(json_object_size(json) + 1, sizeof **out);
    if (!*out || !json_is_object(json))
        return false;
    json_object_foreach (json, name, value) {
        char *text = va_bytes_from_json(value);
        const bool fine = text && *name && !strchr(name, '=') && asprintf(&(*out)[count], "%s=%s", name, text) >= 0;
        free(text);
        if (!fine) {
            (*out)[count] = NULL;
            return false;
        }
        count++;
    }
    return true;
}

static bool read_conditions(va_campaign *out, const json_t *json)
{
    size_t i;
    json_t *entry;
    json_array_foreach (json, i, entry) {
        const char *name;
        json_t *vary, *environment = json_object_get(entry, "environment");
        json_int_t runs;
        int own;
        if (json_unpack(entry, "{s:s, s:o, s:I, s:b}", "name", &name, "vary", &vary, "runs", &runs, "own_runs", &own) !=
                0 ||
            runs < 1 || runs > VA_RUNS_MOST)
            return false;
        char *list = list_from_json(vary), *text = NULL;
        const bool fine = list && asprintf(&text, "%s:%s:%lld", name, list, (long long)runs) >= 0 &&
                          va_campaign_add_condition(out, text) == VR_OK;
        free(list);
        free(text);
        if (!fine || (environment && !read_variables(&out->conditions[i].variables, environment)))
            return false;
        out->conditions[i].own_count = own;
    }
    return out->condition_count > 0 && va_campaign_total(out) <= VA_RUNS_MOST;
}

static bool read_numbers(va_campaign *out, const json_t *json)
{
    const char *seed;
    json_int_t runs, threads;
    if (json_unpack((json_t *)json, "{s:s, s:I, s:I, s:F}", "seed", &seed, "runs", &runs, "threads", &threads,
                    "timeout", &out->timeout) != 0)
        return false;
    out->seed = strtoull(seed, NULL, 10);
    out->runs = (uint32_t)runs;
    out->threads = (uint32_t)threads;
    return *seed && seed[strspn(seed, "0123456789")] == 0 && runs >= 1 && runs <= VA_RUNS_MOST && threads >= 0 &&
           threads < 1 << 20 && out->timeout >= 0;
}

static bool read_campaign(va_campaign *out, const json_t *json)
{
    const struct {
        const char *key;
        char **text;
    } texts[] = {{"directory", &out->directory},
                 {"kernels", &out->kernels},
                 {"rounding", &out->rounding},
                 {"level", &out->level},
                 {"filter", &out->filter}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!(*texts[i].text = va_bytes_from_json(json_object_get(json, texts[i].key))))
            return false;
    out->hold = list_from_json(json_object_get(json, "hold"));
    return out->hold && *out->directory == '/' && read_numbers(out, json) &&
           read_command(out, json_object_get(json, "command")) &&
           read_variables(&out->variables, json_object_get(json, "environment")) &&
           read_conditions(out, json_object_get(json, "conditions"));
}

vr_status va_campaign_from_json(va_campaign *out, const json_t *json, const char *archive)
{
    *out = (va_campaign){0};
    const char *format = json_string_value(json_object_get(json, "format"));
    const json_int_t version = json_integer_value(json_object_get(json, "version"));
    if (!format || strcmp(format, VA_CAMPAIGN_FORMAT) != 0)
        return vr_fail(VR_ERROR_FORMAT, "%s:" VA_CAMPAIGN_MEMBER ": does not define a campaign", archive);
    if (version > VA_CAMPAIGN_VERSION)
        return vr_fail(VR_ERROR_VERSION,
                       "%s: campaign of version %lld, this program knows version %d; use a newer varanalyze", archive,
                       (long long)version, VA_CAMPAIGN_VERSION);
    if (version >= 1 && read_campaign(out, json))
        return VR_OK;
    va_campaign_free(out);
    return vr_fail(VR_ERROR_FORMAT, "%s:" VA_CAMPAIGN_MEMBER ": malformed", archive);
}

bool va_outcome_from_json(va_outcome *out, const json_t *json)
{
    const char *started, *error_line, *note;
    json_int_t tries, left, peak, output, error;
    int timed_out, recovered;
    json_t *status, *signal, *traces;
    if (json_unpack((json_t *)json, "{s:o, s:o, s:b, s:I, s:I, s:s, s:F, s:F, s:F, s:I, s:I, s:I, s:s, s:o, s:s, s:b}",
                    "exit_status", &status, "signal", &signal, "timed_out", &timed_out, "tries", &tries, "left_running",
                    &left, "started", &started, "seconds", &out->seconds, "user_seconds", &out->user_seconds,
                    "system_seconds", &out->system_seconds, "peak_bytes", &peak, "output_bytes", &output, "error_bytes",
                    &error, "error_line", &error_line, "traces", &traces, "note", &note, "recovered", &recovered) != 0)
        return false;
    if (strlen(started) >= sizeof out->started || started[strspn(started, "0123456789-:.+TZ")])
        return false;
    out->done = true;
    out->timed_out = timed_out;
    out->recovered = recovered;
    out->signal = (int)json_integer_value(signal);
    out->exit_code = json_is_integer(status) ? (int)json_integer_value(status) : -1;
    out->tries = (uint32_t)tries;
    out->left = (uint32_t)left;
    out->traces = (uint32_t)json_array_size(traces);
    out->peak_bytes = (uint64_t)peak;
    out->output_bytes[0] = (uint64_t)output;
    out->output_bytes[1] = (uint64_t)error;
    snprintf(out->started, sizeof out->started, "%s", started);
    snprintf(out->error_line, sizeof out->error_line, "%s", error_line);
    snprintf(out->note, sizeof out->note, "%s", note);
    return true;
}

/* ---- comparison ---- */

static vr_status differs(const char *archive, const char *key, const json_t *there, const json_t *here)
{
    char *a = json_dumps(there, JSON_COMPACT | JSON_ENCODE_ANY), *b = json_dumps(here, JSON_COMPACT | JSON_ENCODE_ANY);
    vr_fail(VR_ERROR_ARGUMENT, "%s: holds another campaign: its %s is %.300s, here it is %.300s; name another archive",
            archive, key, a ? a : "?", b ? b : "?");
    free(a);
    free(b);
    return VR_ERROR_ARGUMENT;
}

static bool have_same_variables(const va_condition *a, const va_condition *b)
{
    json_t *one = va_variables_to_json(a->variables), *other = va_variables_to_json(b->variables);
    const bool same = json_equal(one, other);
    json_decref(one);
    json_decref(other);
    return same;
}

static vr_status compare_conditions(const va_campaign *there, const va_campaign *wanted, const char *archive)
{
    bool same = there->condition_count == wanted->condition_count;
    for (size_t i = 0; same && i < there->condition_count; i++)
        same = strcmp(there->conditions[i].name, wanted->conditions[i].name) == 0 &&
               strcmp(there->conditions[i].vary, wanted->conditions[i].vary) == 0 &&
               have_same_variables(&there->conditions[i], &wanted->conditions[i]);
    if (!same) {
        json_t *a = conditions_to_json(there), *b = conditions_to_json(wanted);
        differs(archive, "list of conditions", a, b);
        json_decref(a);
        json_decref(b);
        return VR_ERROR_ARGUMENT;
    }
    for (size_t i = 0; i < there->condition_count; i++)
        if (wanted->conditions[i].count < there->conditions[i].count)
            return vr_fail(VR_ERROR_ARGUMENT,
                           "%s: the campaign has %u runs of '%s', here it is %u: there can only be more", archive,
                           there->conditions[i].count, there->conditions[i].name, wanted->conditions[i].count);
    return VR_OK;
}

vr_status va_campaign_agrees(const va_campaign *there, const va_campaign *wanted, const char *archive)
{
    static const char *const keys[] = {"command",  "directory", "seed",   "hold",       "kernels",
                                       "rounding", "level",     "filter", "environment"};
    json_t *a = va_campaign_to_json(there), *b = va_campaign_to_json(wanted);
    vr_status status = a && b ? VR_OK : vr_fail(VR_ERROR_MEMORY, "%s: out of memory", archive);
    for (size_t i = 0; status == VR_OK && i < sizeof keys / sizeof *keys; i++)
        if (!json_equal(json_object_get(a, keys[i]), json_object_get(b, keys[i])))
            status = differs(archive, keys[i], json_object_get(a, keys[i]), json_object_get(b, keys[i]));
    json_decref(a);
    json_decref(b);
    return status == VR_OK ? compare_conditions(there, wanted, archive) : status;
}
