#include "database.h"

#include <formats/fail.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void put_text(FILE *file, const char *text)
{
    putc('"', file);
    for (; *text; text++) {
        if ((unsigned char)*text < ' ') {
            fprintf(file, "\\u%04x", (unsigned)(unsigned char)*text);
            continue;
        }
        if (*text == '"' || *text == '\\')
            putc('\\', file);
        putc(*text, file);
    }
    putc('"', file);
}

static bool is_source(const vrcc_jobs *jobs, const char *word)
{
    for (size_t i = 0; i < jobs->count; i++)
        if (vrcc_is_compilation(&jobs->list[i]) && strcmp(jobs->list[i].words[jobs->list[i].count - 1], word) == 0)
            return true;
    return false;
}

/* The options that tell how a source is compiled, without those that name files to be written. */
static void put_options(FILE *file, const vrcc_command *words, const vrcc_jobs *jobs)
{
    static const char *const with_value[] = {"-MJ", "-MF", "-MT", "-MQ", "-o"};
    static const char *const alone[] = {"-MD", "-MMD", "-MP", "-MG"};
    for (size_t i = 0; i < words->count; i++) {
        const char *word = words->words[i];
        bool skip = is_source(jobs, word);
        for (size_t k = 0; k < sizeof alone / sizeof *alone; k++)
            skip |= strcmp(word, alone[k]) == 0;
        for (size_t k = 0; k < sizeof with_value / sizeof *with_value; k++) {
            if (strncmp(word, with_value[k], strlen(with_value[k])) != 0)
                continue;
            i += strcmp(word, with_value[k]) == 0;
            skip = true;
        }
        if (!skip) {
            fputs(", ", file);
            put_text(file, word);
        }
    }
}

static void put_entry(FILE *file, const char *directory, const vrcc_command *job, const vrcc_command *words,
                      const vrcc_jobs *jobs)
{
    const char *source = job->words[job->count - 1], *output = vrcc_command_value(job, "-o"),
               *language = vrcc_command_value(job, "-x");
    fputs("{ \"directory\": ", file);
    put_text(file, directory);
    fputs(", \"file\": ", file);
    put_text(file, source);
    fputs(", \"output\": ", file);
    put_text(file, output ? output : "-");
    fputs(", \"arguments\": [", file);
    put_text(file, job->words[0]);
    if (language) {
        fputs(", \"-x\", ", file);
        put_text(file, language);
    }
    fputs(", ", file);
    put_text(file, source);
    put_options(file, words, jobs);
    fputs("]},\n", file);
}

vr_status vrcc_write_database(const vrcc_command *words, const vrcc_jobs *jobs)
{
    char directory[PATH_MAX];
    const char *path = vrcc_command_value(words, "-MJ");
    for (size_t i = 0; i < words->count && !path; i++)
        if (strncmp(words->words[i], "-MJ", 3) == 0)
            path = words->words[i] + 3;
    if (!path || !*path)
        return VR_OK;
    FILE *file = getcwd(directory, sizeof directory) ? fopen(path, "w") : NULL;
    if (!file)
        return vr_fail(VR_ERROR_IO, "%s: cannot be written: %m", path);
    for (size_t i = 0; i < jobs->count; i++)
        if (vrcc_is_compilation(&jobs->list[i]))
            put_entry(file, directory, &jobs->list[i], words, jobs);
    const bool failed = ferror(file);
    return fclose(file) != 0 || failed ? vr_fail(VR_ERROR_IO, "%s: cannot be written: %m", path) : VR_OK;
}
