#include "localize_runs.h"

#include "run_environment.h"
#include "run_keeper.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static char *replace(const char *word, const char *folder)
{
    char *out = NULL;
    size_t bytes;
    FILE *stream = open_memstream(&out, &bytes);
    if (!stream)
        return NULL;
    for (const char *at = word; *at;) {
        const bool is_place = at[0] == '{' && at[1] == '}';
        if (is_place)
            fputs(folder, stream);
        else
            fputc(*at, stream);
        at += is_place ? 2 : 1;
    }
    return fclose(stream) == 0 ? out : NULL;
}

char **va_localize_words(const va_localize_task *task, const char *folder)
{
    size_t count = 0;
    while (task->program.command[count])
        count++;
    char **words = calloc(count + 1, sizeof *words);
    for (size_t i = 0; words && i < count; i++) {
        words[i] = replace(task->program.command[i], folder);
        if (!words[i]) {
            va_strings_free(words);
            return NULL;
        }
    }
    return words;
}

/* Adds a variable, or replaces the one of that name, in a list that has room. */
__attribute__((format(printf, 2, 3))) static bool put(char **list, const char *format, ...)
{
    char *variable;
    va_list args;
    va_start(args, format);
    const int made = vasprintf(&variable, format, args);
    va_end(args);
    if (made < 0)
        return false;
    const size_t name = strcspn(variable, "=") + 1;
    while (*list && strncmp(*list, variable, name) != 0)
        list++;
    free(*list);
    *list = variable;
    return true;
}

/* Takes a variable, "NAME=", out of a list that has it. */
static void take_out(char **list, const char *name)
{
    while (*list && strncmp(*list, name, strlen(name)) != 0)
        list++;
    free(*list);
    for (; *list; list++)
        list[0] = list[1];
}

/* Room for so many more; frees the list on failure. */
static char **with_room(char **list, size_t more)
{
    size_t count = 0;
    while (list && list[count])
        count++;
    char **grown = list ? reallocarray(list, count + more + 1, sizeof *list) : NULL;
    if (!grown) {
        va_strings_free(list);
        return NULL;
    }
    memset(grown + count, 0, (more + 1) * sizeof *grown);
    return grown;
}

uint64_t va_localize_seed(const va_localize_task *task, uint32_t sample, bool replicas)
{
    return replicas ? task->program.seed : task->program.seed + sample;
}

char **va_localize_variables(const va_localize_task *task, const char *folder, va_run_kind kind, uint32_t sample,
                             bool replicas)
{
    char *trace;
    if (asprintf(&trace, "%s/" VA_TRACE_FOLDER "/%%r.h5", folder) < 0)
        return NULL;
    char **list = with_room(va_run_variables(&task->program, (va_task){0, sample + 1}, trace), 5);
    free(trace);
    bool fine = list && put(list, "VR_SEED=%llu", (unsigned long long)va_localize_seed(task, sample, replicas)) &&
                put(list, "VR_LOCALIZE_FOLDER=%s", folder);
    if (fine && (kind == VA_RUN_REFERENCE || kind == VA_RUN_COUNT))
        fine = put(list, "VR_ROUNDING=nearest");
    if (fine && (kind == VA_RUN_COUNT || kind == VA_RUN_NOISY))
        fine = put(list, "VR_ROUNDING_COUNT=%s/counts/%%p", folder);
    if (fine && !replicas && (kind == VA_RUN_NOISY || kind == VA_RUN_TRIAL)) {
        take_out(list, "VR_VARY="); /* VR_SEED alone, which the report names, says what noise there is */
        take_out(list, "VR_REPLICA=");
    }
    if (fine && kind == VA_RUN_TRIAL)
        fine = put(list, "VR_ROUNDING_ONLY=@%s/only", folder);
    if (fine)
        return list;
    va_strings_free(list);
    return NULL;
}

char **va_check_words(const va_localize_task *task)
{
    char **words = calloc(4, sizeof *words);
    if (words && put(&words[0], "%s", "sh") && put(&words[1], "%s", "-c") && put(&words[2], "%s", task->check))
        return words;
    va_strings_free(words);
    return NULL;
}

char **va_check_variables(const va_localize_task *task, const char *reference, const char *folder)
{
    size_t count = 0;
    while (task->program.variables[count])
        count++;
    char **list = calloc(count + 4, sizeof *list);
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < count; i++)
        fine = put(list, "%s", task->program.variables[i]);
    if (fine && put(list, "VR_REFERENCE_FOLDER=%s", reference) && put(list, "VR_LOCALIZE_FOLDER=%s", folder))
        return list;
    va_strings_free(list);
    return NULL;
}
