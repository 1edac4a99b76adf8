#include "compile.h"

#include "request.h"

#include <formats/fail.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const vrcc_places_words[VRCC_PLACES_WORDS] = {
    "-debug-info-kind=line-tables-only", "-fdebug-info-for-profiling", "-mllvm", "-enable-npm-pgo-inline-deferral=0"};

/* Functions and lines of the source, which rewrite.c removes again. In C++ the functions' symbols as well, which an
 * option for profiles brings; that would change what is inlined, were it not told to leave that alone. */
static void add_places(vrcc_command *front, const vrcc_command *job)
{
    const char *language = vrcc_command_value(job, "-x");
    if (vrcc_command_begins(job, "-debug-info-kind=") || !language || strcmp(language, "ir") == 0)
        return;
    const bool has_profile = vrcc_command_begins(job, "-fprofile");
    for (size_t i = 0; i < (strstr(language, "++") && !has_profile ? VRCC_PLACES_WORDS : 1); i++)
        vrcc_command_insert(front, 2 + i, vrcc_places_words[i]);
}

/* The optimizer's part: bitcode in the place of the job's output. Dependency files and messages come from here. */
static vrcc_command front_command(const vrcc_command *job, const char *bitcode)
{
    vrcc_command front = vrcc_command_copy(job);
    const char *action = vrcc_command_has(job, "-emit-obj") ? "-emit-obj" : "-S";
    vrcc_command_set(&front, vrcc_command_find(&front, action), "-emit-llvm-bc");
    add_places(&front, job);
    vrcc_command_insert(&front, 2, "-emit-llvm-uselists"); /* so that the plain code comes out as without vrcc */
    vrcc_command_set(&front, vrcc_command_find(&front, "-o") + 1, bitcode);
    return front;
}

void vrcc_remove_output(const char *path)
{
    struct stat info;
    if (path && lstat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, W_OK) == 0)
        unlink(path);
}

/* What belongs to reading sources, with the number of words of each option. */
static const struct {
    const char *option;
    size_t words;
} of_sources[] = {{"-dependency-file", 2},
                  {"-MT", 2},
                  {"-MQ", 2},
                  {"-MP", 1},
                  {"-MG", 1},
                  {"-sys-header-deps", 1},
                  {"-include", 2},
                  {"-include-pch", 2},
                  {"-opt-record-file", 2},
                  {"-serialize-diagnostic-file", 2},
                  {"-H", 1},
                  {"-header-include-file", 2}};

static void remove_source_options(vrcc_command *command)
{
    for (size_t i = 0; i < sizeof of_sources / sizeof *of_sources; i++)
        for (size_t at; (at = vrcc_command_find(command, of_sources[i].option)) < command->count;)
            vrcc_command_remove(command, at, of_sources[i].words);
    for (size_t i = command->count; i-- > 1;)
        if (strncmp(command->words[i], "-Rpass", 6) == 0 || strncmp(command->words[i], "-ftime-trace", 12) == 0)
            vrcc_command_remove(command, i, 1);
}

/* The code generator's part, with the options of the whole; it loads the pass, which rewrites the bitcode first. */
static vrcc_command back_command(const vrcc_command *job, const char *bitcode, const char *pass)
{
    vrcc_command back = vrcc_command_copy(job);
    remove_source_options(&back);
    const size_t language = vrcc_command_find(&back, "-x");
    vrcc_command_set(&back, language + 1, "ir");
    vrcc_command_set(&back, back.count - 1, bitcode);
    vrcc_command_insert(&back, 2, "-disable-llvm-passes");
    vrcc_command_insert(&back, 3, "-load");
    vrcc_command_insert(&back, 4, pass);
    vrcc_command_insert(&back, 5, "-Wno-unknown-warning-option"); /* it was said */
    return back;
}

int vrcc_compile_bitcode(const vrcc_command *job, const vrcc_options *options, const char *bitcode)
{
    char request[PATH_MAX + sizeof ".request"], pass[sizeof options->directory + sizeof "/pass.so"];
    snprintf(request, sizeof request, "%s.request", bitcode);
    snprintf(pass, sizeof pass, "%s/pass.so", options->directory);
    if (access(pass, R_OK) != 0) {
        fprintf(stderr, "vrcc: error: %s: cannot be read; is vrcc installed whole?\n", pass);
        return 1;
    }
    if (vrcc_request_write(request, options, job, bitcode) != VR_OK) {
        fprintf(stderr, "vrcc: error: %s\n", vr_error());
        return 1;
    }
    vrcc_command back = back_command(job, bitcode, pass);
    setenv(VRCC_REQUEST, request, 1);
    const int code = vrcc_command_run(&back);
    unsetenv(VRCC_REQUEST);
    unlink(request);
    vrcc_command_free(&back);
    return code;
}

int vrcc_compile(const vrcc_command *job, const vrcc_options *options, const char *temporary)
{
    char bitcode[PATH_MAX];
    snprintf(bitcode, sizeof bitcode, "%s/vrcc.bc", temporary);
    vrcc_command front = front_command(job, bitcode);
    int code = vrcc_command_run(&front);
    if (code == 0)
        code = vrcc_compile_bitcode(job, options, bitcode);
    unlink(bitcode);
    vrcc_command_free(&front);
    return code;
}
