#include "request.h"

#include <formats/fail.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put(FILE *file, const char *word)
{
    fputs(word, file);
    fputc('\0', file);
}

/* What is said to vrcc ends with an empty word. */
vr_status vrcc_request_write(const char *path, const vrcc_options *options, const vrcc_command *job,
                             const char *bitcode)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return vr_fail(VR_ERROR_IO, "%s: cannot be written: %m", path);
    put(file, options->directory);
    put(file, bitcode);
    for (size_t i = 0; i < options->own.count; i++)
        put(file, options->own.words[i]);
    put(file, "");
    for (size_t i = 0; i < job->count; i++)
        put(file, job->words[i]);
    const bool failed = ferror(file) != 0;
    return fclose(file) != 0 || failed ? vr_fail(VR_ERROR_IO, "%s: cannot be written", path) : VR_OK;
}

/* The next word, in a buffer that getdelim keeps; NULL at the end. */
static const char *get(FILE *file, char **word, size_t *room)
{
    return getdelim(word, room, '\0', file) < 0 ? NULL : *word;
}

static bool read_words(vrcc_request *out, vrcc_command *own, FILE *file)
{
    char *word = NULL, directory[sizeof out->options.directory];
    size_t room = 0;
    const bool has_directory = get(file, &word, &room) && strlen(word) < sizeof directory;
    if (has_directory)
        strcpy(directory, word);
    out->bitcode = has_directory && get(file, &word, &room) ? strdup(word) : NULL;
    vrcc_command_add(own, "vrcc");
    while (out->bitcode && get(file, &word, &room) && *word)
        vrcc_command_add(own, word);
    while (out->bitcode && get(file, &word, &room))
        vrcc_command_add(&out->job, word);
    free(word);
    if (out->job.count == 0 || !vrcc_options_read(&out->options, (int)own->count, own->words))
        return false;
    strcpy(out->options.directory, directory);
    return true;
}

vr_status vrcc_request_read(vrcc_request *out, const char *path)
{
    vrcc_command own = {0};
    *out = (vrcc_request){.bitcode = NULL};
    FILE *file = fopen(path, "r");
    if (!file)
        return vr_fail(VR_ERROR_IO, "%s: cannot be read: %m", path);
    const bool complete = read_words(out, &own, file);
    fclose(file);
    vrcc_command_free(&own);
    return complete ? VR_OK : vr_fail(VR_ERROR_FORMAT, "%s: not a request of this vrcc", path);
}

void vrcc_request_free(vrcc_request *request)
{
    vrcc_options_free(&request->options);
    vrcc_command_free(&request->job);
    free(request->bitcode);
    *request = (vrcc_request){.bitcode = NULL};
}
