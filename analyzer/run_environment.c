#include "run_environment.h"

#include "command.h"

#include <errno.h>
#include <formats/fail.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Variables that the campaign sets for each run, or that would take the trace elsewhere. */
static const char *const controlled[] = {"VR_SEED",     "VR_VARY",  "VR_REPLICA", "VR_KERNELS",
                                         "VR_ROUNDING", "VR_TRACE", "VR_ARCHIVE"};

static size_t name_bytes(const char *variable)
{
    return strcspn(variable, "=");
}

/* Of two variables, "NAME=VALUE" or "NAME". */
static bool has_same_name(const char *a, const char *b)
{
    return name_bytes(a) == name_bytes(b) && memcmp(a, b, name_bytes(a)) == 0;
}

static const char *find(char *const *variables, const char *like)
{
    for (char *const *at = variables; at && *at; at++)
        if (has_same_name(*at, like))
            return *at;
    return NULL;
}

/* Whether it says how a program runs. VR_GUARD is varanalyze's own. */
static bool matters(const char *variable)
{
    static const char *const families[] = {"VR_", "OMP_", "GOMP_", "KMP_"};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (strncmp(variable, families[i], strlen(families[i])) == 0)
            return !has_same_name(variable, "VR_GUARD") && strchr(variable, '=');
    return false;
}

static bool is_controlled(const va_campaign *campaign, const char *variable)
{
    for (size_t i = 0; i < sizeof controlled / sizeof *controlled; i++)
        if (has_same_name(variable, controlled[i]))
            return true;
    return (*campaign->level && has_same_name(variable, "VR_LEVEL")) ||
           (*campaign->filter && has_same_name(variable, "VR_FILTER"));
}

static void say_unused(const char *variable, const char *why)
{
    fputs("varanalyze: ", stderr);
    va_print_text(stderr, variable, SIZE_MAX);
    fprintf(stderr, " of the environment is not used: %s\n", why);
}

/* ---- the campaign's variables ---- */

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

/* Adds a variable, or replaces the one of that name; `list` has room. */
static vr_status put(char **list, const char *variable)
{
    char *copy = strdup(variable);
    if (!copy)
        return no_memory();
    for (; *list; list++)
        if (has_same_name(*list, variable)) {
            free(*list);
            break;
        }
    *list = copy;
    return VR_OK;
}

static vr_status put_given(va_campaign *campaign, const char *variable)
{
    const int name = (int)name_bytes(variable);
    if (name == 0 || !variable[name])
        return vr_fail(VR_ERROR_ARGUMENT, "--env %s: not NAME=VALUE", variable);
    json_t *text = json_stringn(variable, (size_t)name);
    json_decref(text);
    if (!text)
        return vr_fail(VR_ERROR_ARGUMENT, "--env %s: the name is not UTF-8", variable);
    if (is_controlled(campaign, variable))
        return vr_fail(VR_ERROR_ARGUMENT, "--env %.*s: the campaign sets it; use its own option", name, variable);
    return put(campaign->variables, variable);
}

static vr_status put_own(va_campaign *campaign, const char *variable)
{
    if (!matters(variable))
        return VR_OK;
    if (is_controlled(campaign, variable)) {
        say_unused(variable, "the campaign sets it");
        return VR_OK;
    }
    if (strncmp(variable, "VR_ROUNDING_", 12) == 0) {
        say_unused(variable, "it would change all runs; --env keeps it");
        return VR_OK;
    }
    return put(campaign->variables, variable);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

vr_status va_variables_choose(va_campaign *campaign, char *const *given, size_t count)
{
    size_t room = count + 1, used = 0;
    for (char **at = environ; at && *at; at++)
        room++;
    campaign->variables = calloc(room, sizeof *campaign->variables);
    if (!campaign->variables)
        return no_memory();
    vr_status status = VR_OK;
    for (char **at = environ; at && *at && status == VR_OK; at++)
        if (!given || !find(given, *at))
            status = put_own(campaign, *at);
    for (size_t i = 0; i < count && status == VR_OK; i++)
        status = put_given(campaign, given[i]);
    while (campaign->variables[used])
        used++;
    qsort(campaign->variables, used, sizeof *campaign->variables, by_text);
    return status;
}

void va_variables_compare(const va_campaign *campaign)
{
    for (char **at = environ; at && *at; at++) {
        const char *there = matters(*at) ? find(campaign->variables, *at) : *at;
        if (!there || strcmp(there, *at) != 0)
            say_unused(*at, "the campaign goes on as it began");
    }
}

bool va_variables_have(const va_campaign *campaign, const char *name)
{
    return find(campaign->variables, name) != NULL;
}

/* ---- a run's ---- */

/* Puts a text into a free place of a list, NULL when there is no memory. */
__attribute__((format(printf, 2, 3))) static bool put_text(char **place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (vasprintf(place, format, args) < 0)
        *place = NULL;
    va_end(args);
    return *place != NULL;
}

/* What the campaign itself sets, behind `*at`. */
static bool put_controls(char **at, const va_campaign *campaign, va_task task, const char *trace)
{
    const char *vary = campaign->conditions[task.condition].vary;
    const char *kernels = va_list_has(vary, "kernels") ? campaign->kernels : "fixed";
    const char *rounding = va_list_has(vary, "rounding") ? campaign->rounding : "nearest";
    return (!campaign->threads || put_text(at++, "OMP_NUM_THREADS=%u", campaign->threads)) &&
           put_text(at++, "VR_SEED=%llu", (unsigned long long)campaign->seed) &&
           (!*vary || put_text(at++, "VR_VARY=%s", vary)) && put_text(at++, "VR_REPLICA=%u", task.replica) &&
           put_text(at++, "VR_KERNELS=%s", kernels) && put_text(at++, "VR_ROUNDING=%s", rounding) &&
           (!*campaign->level || put_text(at++, "VR_LEVEL=%s", campaign->level)) &&
           (!*campaign->filter || put_text(at++, "VR_FILTER=%s", campaign->filter)) &&
           put_text(at++, "VR_TRACE=%s", trace);
}

char **va_run_variables(const va_campaign *campaign, va_task task, const char *trace)
{
    size_t count = 0;
    while (campaign->variables[count])
        count++;
    char *const *own = campaign->conditions[task.condition].variables;
    size_t own_count = 0;
    while (own && own[own_count])
        own_count++;
    char **out = calloc(count + own_count + 10, sizeof *out);
    bool fine = out != NULL;
    for (size_t i = 0; fine && i < count; i++)
        fine = (out[i] = strdup(campaign->variables[i])) != NULL;
    fine = fine && put_controls(out + count, campaign, task, trace);
    for (size_t i = 0; fine && i < own_count; i++)
        fine = put(out, own[i]) == VR_OK;
    if (fine)
        return out;
    va_strings_free(out);
    return NULL;
}

char **va_run_environment(char *const *set)
{
    size_t count = 0, room = 1;
    for (char **at = environ; at && *at; at++)
        room++;
    for (char *const *at = set; *at; at++)
        room++;
    char **out = calloc(room, sizeof *out);
    for (char **at = environ; out && at && *at; at++)
        if (!matters(*at) && !find(set, *at))
            out[count++] = *at;
    for (char *const *at = set; out && *at; at++)
        out[count++] = *at;
    return out;
}

/* ---- the command ---- */

static bool is_program(const char *directory, const char *folder, const char *name)
{
    char *path;
    struct stat file;
    const char *slash = *folder ? "/" : "";
    const int made = *name == '/' || *folder == '/' ? asprintf(&path, "%s%s%s", folder, slash, name)
                                                    : asprintf(&path, "%s/%s%s%s", directory, folder, slash, name);
    if (made < 0)
        return false;
    const bool is = stat(path, &file) == 0 && S_ISREG(file.st_mode) && access(path, X_OK) == 0;
    free(path);
    return is;
}

/* Whether a folder of the list, as PATH is one, has the program; an empty name is the working directory. */
static bool is_in_path(const char *directory, const char *list, const char *name)
{
    char *copy = strdup(list), *at = copy, *folder;
    bool found = false;
    while (copy && !found && (folder = strsep(&at, ":")))
        found = is_program(directory, folder, name);
    free(copy);
    return found;
}

vr_status va_command_check(const va_campaign *campaign)
{
    struct stat there;
    const char *name = campaign->command[0], *given = find(campaign->variables, "PATH");
    const char *path = given ? given + strlen("PATH=") : getenv("PATH");
    if (stat(campaign->directory, &there) != 0)
        return vr_fail_errno(errno, "%s: the campaign runs there", campaign->directory);
    if (strchr(name, '/') ? is_program(campaign->directory, "", name)
                          : *name && is_in_path(campaign->directory, path ? path : "/bin:/usr/bin", name))
        return VR_OK;
    return vr_fail(VR_ERROR_IO, "%s: no such program; it is looked for in %s", name,
                   strchr(name, '/') ? campaign->directory : "PATH");
}

void va_print_word(FILE *out, const char *word)
{
    if (*word && word[strspn(word, VA_WORD_BYTES "/=:,+%@")] == 0) {
        fputs(word, out);
        return;
    }
    fputc('\'', out);
    for (; *word; word++)
        if (*word == '\'')
            fputs("'\\''", out);
        else
            fputc(*word, out);
    fputc('\'', out);
}

void va_run_print(FILE *out, const va_campaign *campaign, char *const *set)
{
    fputs("cd ", out);
    va_print_word(out, campaign->directory);
    fputs(" && env", out);
    for (char **at = environ; at && *at; at++)
        if (matters(*at) && !find(set, *at)) {
            char *name = strndup(*at, name_bytes(*at));
            fputs(" -u ", out);
            va_print_word(out, name ? name : "");
            free(name);
        }
    for (char *const *at = set; *at; at++) {
        fputc(' ', out);
        va_print_word(out, *at);
    }
    if (strchr(campaign->command[0], '=')) /* env would take it for a variable */
        fputs(" sh -c 'exec \"$0\" \"$@\"'", out);
    for (char **at = campaign->command; *at; at++) {
        fputc(' ', out);
        va_print_word(out, *at);
    }
    fputc('\n', out);
}
