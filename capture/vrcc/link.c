#include "link.h"

#include "objects.h"

#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* ---- what is linked ---- */

/* What the compiler itself adds: its startup code and runtime, which compute nothing of the program's. */
static bool is_of_compiler(const char *path)
{
    static const char *const names[] = {"[SMrg]crt1.o", "grcrt1.o",      "gcrt0.o",     "crt[01in].o", "crtbegin*.o",
                                        "crtend*.o",    "crtfastmath.o", "*clang_rt.*", "liborc_rt*",  "rcrt1.o"};
    const char *slash = strrchr(path, '/');
    for (size_t i = 0; slash && i < sizeof names / sizeof *names; i++)
        if (fnmatch(names[i], slash + 1, 0) == 0)
            return true;
    return false;
}

/* The system's libraries are what they are. */
static bool is_of_system(const char *path)
{
    static const char *const places[] = {"/lib*", "/usr/lib*", "/usr/local/lib*", "/usr/*-*-*/lib*"};
    char real[PATH_MAX];
    if (!realpath(path, real))
        return false;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (fnmatch(places[i], real, FNM_PATHNAME | FNM_LEADING_DIR) == 0)
            return true;
    return false;
}

/* The toolkit's own libraries, whose arithmetic measures and is to stay as it is. */
static bool is_of_toolkit(const char *path)
{
    static const char *const names[] = {"libvrcapture.*", "libvrtrace.*", "libvrfault.*"};
    const char *slash = strrchr(path, '/');
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (fnmatch(names[i], slash ? slash + 1 : path, 0) == 0)
            return true;
    return false;
}

/* Options of ld whose value is a word of its own, as far as the value could be taken for a file. */
static bool takes_value(const char *option)
{
    static const char *const options[] = {"-o",   "-m", "-z", "-e",          "-soname", "-h",
                                          "-T",   "-L", "-l", "-plugin",     "-rpath",  "-dynamic-linker",
                                          "-Map", "-u", "-y", "-rpath-link", "-R",      "-version-script"};
    const char *name = begins(option, "--") ? option + 1 : option;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        if (strcmp(name, options[i]) == 0)
            return true;
    return false;
}

/* The text of option "-X", joined or the next word, which *at then is. NULL for another option. */
static const char *value_at(const vrcc_command *job, size_t *at, char letter)
{
    const char *word = job->words[*at];
    if (word[0] != '-' || word[1] != letter)
        return NULL;
    return word[2] ? word + 2 : *at + 1 < job->count ? job->words[++*at] : NULL;
}

/* ---- what is not instrumented ---- */

typedef struct speaker {
    const vrcc_jobs *jobs;
    const char *temporary;
} speaker;

static const char *source_of(const vrcc_jobs *jobs, const char *object, bool *is_said)
{
    for (size_t i = 0; i < jobs->count; i++) {
        const vrcc_command *job = &jobs->list[i];
        const char *output = vrcc_command_value(job, "-o");
        if (!output || strcmp(output, object) != 0)
            continue;
        *is_said = vrcc_is_bitcode(job) || vrcc_is_foreign(job);
        return job->words[job->count - 1];
    }
    return object;
}

/* Objects that were made just now have names that say nothing. */
static void say_object(void *context, const char *name)
{
    const speaker *by = context;
    bool is_said = false;
    if (begins(name, by->temporary))
        name = source_of(by->jobs, name, &is_said);
    if (!is_said)
        fprintf(stderr, "vrcc: warning: %s: not compiled by vrcc: its arithmetic rounds to nearest\n", name);
}

static void check_file(const char *path, speaker *by)
{
    if (!is_of_compiler(path) && !is_of_system(path) && !is_of_toolkit(path))
        vrcc_objects_check(path, say_object, by);
}

/* -lNAME, or -l:FILE, in the first directory that has it. */
static void check_library(const vrcc_command *job, const char *name, bool is_static, speaker *by)
{
    const bool is_file = *name == ':';
    for (size_t i = 1; i < job->count; i++) {
        const char *directory = value_at(job, &i, 'L');
        for (int is_archive = is_static; directory && is_archive < (is_file ? 1 + is_static : 2); is_archive++) {
            char path[PATH_MAX];
            const int length =
                is_file ? snprintf(path, sizeof path, "%s/%s", directory, name + 1)
                        : snprintf(path, sizeof path, "%s/lib%s.%s", directory, name, is_archive ? "a" : "so");
            if (length < 0 || length >= (int)sizeof path || access(path, R_OK) != 0)
                continue;
            check_file(path, by);
            return;
        }
    }
}

/* Whether libraries behind this option are static ones; unchanged by others. */
static bool is_static_behind(const char *option, bool before)
{
    static const char *const statics[] = {"-static", "-Bstatic", "-dn", "-non_shared"};
    static const char *const dynamics[] = {"-Bdynamic", "-dy", "-call_shared"};
    for (size_t i = 0; i < sizeof statics / sizeof *statics; i++)
        if (strcmp(option, statics[i]) == 0)
            return true;
    for (size_t i = 0; i < sizeof dynamics / sizeof *dynamics; i++)
        if (strcmp(option, dynamics[i]) == 0)
            return false;
    return before;
}

static void check_inputs(const vrcc_command *job, speaker *by)
{
    bool is_static = false;
    for (size_t i = 1; i < job->count; i++) {
        const char *library = value_at(job, &i, 'l'), *word = job->words[i];
        is_static = is_static_behind(word, is_static);
        if (library)
            check_library(job, library, is_static, by);
        else if (takes_value(word))
            i++;
        else if (*word != '-')
            check_file(word, by);
    }
}

/* ---- the runtime ---- */

/* Libraries that the compiler adds at the end; the runtime needs them itself. */
static bool is_standard(const char *library)
{
    static const char *const names[] = {"c",      "m",   "gcc",     "gcc_s",  "gcc_eh",
                                        "stdc++", "c++", "pthread", "unwind", "atomic"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(library, names[i]) == 0)
            return true;
    return false;
}

/* Behind all that may need it. */
static size_t place_of_runtime(const vrcc_command *job)
{
    size_t place = 0;
    for (size_t i = 1; i < job->count; i++) {
        const char *library = value_at(job, &i, 'l'), *word = job->words[i];
        if (!library && takes_value(word))
            i++;
        else if (library ? !is_standard(library) : *word != '-' && !is_of_compiler(word))
            place = i + 1;
    }
    return place ? place : job->count;
}

/* Whether something that is linked is for another machine than the runtime. */
static bool is_elsewhere(const vrcc_command *job, const char *runtime)
{
    const unsigned own = vrcc_objects_machine(runtime);
    unsigned machine = 0;
    for (size_t i = 1; i < job->count && !machine; i++) {
        if (takes_value(job->words[i]))
            i++;
        else if (*job->words[i] != '-')
            machine = vrcc_objects_machine(job->words[i]);
    }
    return own && machine && machine != own;
}

/* Where clang knows no linker it asks gcc to find one, which has these options for it. */
static void add_runtime(vrcc_command *with, const char *runtime)
{
    const char *const of_ld[] = {runtime, "--push-state", "--as-needed", "-lm", "--pop-state"};
    const char *const of_gcc[] = {runtime, "-Wl,--push-state", "-Wl,--as-needed", "-lm", "-Wl,--pop-state"};
    const char *slash = strrchr(with->words[0], '/'), *name = slash ? slash + 1 : with->words[0];
    const char *const *added = begins(name, "gcc") || begins(name, "g++") ? of_gcc : of_ld;
    for (size_t i = 0, place = place_of_runtime(with); i < sizeof of_ld / sizeof *of_ld; i++)
        vrcc_command_insert(with, place + i, added[i]);
}

int vrcc_link(const vrcc_command *job, const vrcc_jobs *jobs, const vrcc_options *options, const char *temporary)
{
    speaker by = {jobs, temporary};
    char runtime[PATH_MAX + sizeof "/libvrcc.a"];
    snprintf(runtime, sizeof runtime, "%s/libvrcc.a", options->directory);
    if (!options->quiet)
        check_inputs(job, &by);
    vrcc_command with = vrcc_command_copy(job);
    if (is_elsewhere(job, runtime)) {
        if (!options->quiet)
            fputs("vrcc: warning: no runtime for this machine: what is instrumented cannot be linked\n", stderr);
    } else if (!vrcc_command_has(job, "-r") && !vrcc_command_has(job, "--relocatable"))
        add_runtime(&with, runtime);
    const int code = vrcc_command_run(&with);
    vrcc_command_free(&with);
    return code;
}
