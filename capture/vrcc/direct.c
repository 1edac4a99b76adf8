#include "direct.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool is_one_of(const char *word, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(word, list[i]) == 0)
            return true;
    return false;
}

static bool begins_with_one_of(const char *word, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (begins(word, list[i]))
            return true;
    return false;
}

/* Options that are one word; by their beginnings, but not those of the second list, which make further files, name them
 * by the output, or end in something other than an object. */
static const char *const plain[] = {"-O",    "-I",    "-D",    "-U",        "-W",
                                    "-w",    "-std=", "-ansi", "-pedantic", "-pthread",
                                    "-pipe", "-f",    "-m",    "-nostdinc", "--driver-mode=g++"};
static const char *const not_plain[] = {"-Wa,",
                                        "-Wl,",
                                        "-Wp,",
                                        "-fauto-profile",
                                        "-fcoverage",
                                        "-fcrash",
                                        "-fcreate-profile",
                                        "-fcs-profile",
                                        "-fembed",
                                        "-femit",
                                        "-flto",
                                        "-fmodule",
                                        "-fno-integrated",
                                        "-fopenmp-targets",
                                        "-foffload",
                                        "-foptimization-record",
                                        "-fpass-plugin",
                                        "-fplugin",
                                        "-fprebuilt",
                                        "-fprofile",
                                        "-fproc-stat",
                                        "-fsave-optimization",
                                        "-fsplit",
                                        "-fstack-usage",
                                        "-fsyntax-only",
                                        "-ftest-coverage",
                                        "-fthin",
                                        "-ftime",
                                        "-gsplit",
                                        "-gen-",
                                        "-mllvm",
                                        "-Mg",
                                        "-m32",
                                        "-mx32"};

/* Of debug information, those that bring functions and lines. */
static const char *const debugging[] = {"-g",        "-g1",      "-g2", "-g3", "-ggdb", "-gline-tables-only",
                                        "-gdwarf-4", "-gdwarf-5"};

/* Options whose value may be the next word. */
static const char *const with_value[] = {"-o",  "-I",  "-D",  "-U",       "-isystem",  "-iquote",
                                         "-MF", "-MT", "-MQ", "-include", "-idirafter"};
static const char *const of_dependencies[] = {"-MD", "-MMD", "-MP"};

static bool is_source(const char *word)
{
    static const char *const ends[] = {".c", ".cc", ".cpp", ".cxx", ".c++", ".C"};
    const char *dot = strrchr(word, '.');
    return *word != '-' && *word != '@' && dot && !strchr(dot, '/') && is_one_of(dot, ends, LENGTH(ends));
}

/* What is known of a command line. */
typedef struct line {
    const char *source, *output;
    bool has_places; /* debug information is wanted */
    bool compiles;   /* -c */
} line;

/* Whether all of it is known; -MD names its file and target by -o where nothing else does. */
static bool read_line(line *out, const vrcc_command *clang)
{
    bool depends = false, file = false, target = false;
    *out = (line){NULL, NULL, false, false};
    for (size_t i = 1; i < clang->count; i++) {
        const char *word = clang->words[i];
        if (strcmp(word, "-c") == 0)
            out->compiles = true;
        else if (is_one_of(word, with_value, LENGTH(with_value)) && i + 1 < clang->count) {
            file |= strcmp(word, "-MF") == 0;
            target |= strcmp(word, "-MT") == 0 || strcmp(word, "-MQ") == 0;
            i++;
            out->output = strcmp(word, "-o") == 0 ? clang->words[i] : out->output;
        } else if (is_one_of(word, of_dependencies, LENGTH(of_dependencies)))
            depends = true;
        else if (is_one_of(word, debugging, LENGTH(debugging)))
            out->has_places = true;
        else if (is_source(word) && !out->source)
            out->source = word;
        else if (!begins_with_one_of(word, plain, LENGTH(plain)) ||
                 begins_with_one_of(word, not_plain, LENGTH(not_plain)))
            return false;
    }
    return out->compiles && out->source && (!depends || (file && target));
}

/* How many of vrcc_places_words are needed. */
static size_t count_places_words(const line *known, const vrcc_command *clang)
{
    const bool is_c =
        strcmp(strrchr(known->source, '.'), ".c") == 0 && !vrcc_command_begins(clang, "--driver-mode=g++");
    return known->has_places ? 0 : is_c ? 1 : VRCC_PLACES_WORDS;
}

/* clang as it is, but that the compiler proper ends in bitcode, which is what the last two options tell it. */
static vrcc_command front_command(const vrcc_command *clang, const line *known, const char *bitcode)
{
    vrcc_command front = vrcc_command_copy(clang);
    const char *const added[] = {"-o", bitcode, "-Xclang", "-emit-llvm-bc", "-Xclang", "-emit-llvm-uselists"};
    if (isatty(STDERR_FILENO))
        vrcc_command_insert(&front, 1, "-fcolor-diagnostics");
    for (size_t i = 0; i < LENGTH(added); i++)
        vrcc_command_add(&front, added[i]);
    for (size_t i = 0; i < count_places_words(known, clang); i++) {
        vrcc_command_add(&front, "-Xclang");
        vrcc_command_add(&front, vrcc_places_words[i]);
    }
    return front;
}

static char *read_text(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "r");
    if (!file)
        return NULL;
    if (getdelim(&text, &size, '\0', file) < 0) {
        free(text);
        text = NULL;
    }
    fclose(file);
    return text;
}

/* Where clang would have put the object. */
static void write_output(char out[PATH_MAX], const line *known)
{
    const char *slash = strrchr(known->source, '/'), *name = slash ? slash + 1 : known->source;
    if (known->output)
        snprintf(out, PATH_MAX, "%s", known->output);
    else
        snprintf(out, PATH_MAX, "%.*s.o", (int)(strrchr(name, '.') - name), name);
}

/* The job that clang did, by its own log, as it would have been without what front_command added. */
static bool read_job(vrcc_command *job, vrcc_jobs *jobs, const char *log, const char *output, size_t places_words)
{
    char *text = read_text(log);
    const char *begin = text ? strstr(text, "\n \"") : NULL;
    const bool parsed = begin && vrcc_jobs_parse(jobs, begin + 1) == VR_OK && jobs->count == 1;
    free(text);
    if (!parsed)
        return false;
    *job = vrcc_command_copy(&jobs->list[0]);
    static const char *const added[] = {"-emit-llvm-bc", "-emit-llvm-uselists"};
    for (size_t i = 0; i < LENGTH(added); i++)
        vrcc_command_remove(job, vrcc_command_find(job, added[i]), 1);
    vrcc_command_remove(job, vrcc_command_find(job, vrcc_places_words[0]), places_words);
    if (vrcc_command_value(job, "-o"))
        vrcc_command_set(job, vrcc_command_find(job, "-o") + 1, output);
    return vrcc_is_compilation(job) && vrcc_command_value(job, "-o");
}

bool vrcc_compile_directly(int *code, const vrcc_command *clang, const vrcc_options *options, const char *temporary)
{
    line known;
    if (getenv("CC_PRINT_OPTIONS") || getenv("CCC_OVERRIDE_OPTIONS") || !read_line(&known, clang))
        return false;
    char bitcode[PATH_MAX], log[PATH_MAX], output[PATH_MAX];
    write_output(output, &known);
    snprintf(bitcode, sizeof bitcode, "%s/vrcc.bc", temporary);
    snprintf(log, sizeof log, "%s/options", temporary);
    setenv("CC_PRINT_OPTIONS", "1", 1);
    setenv("CC_PRINT_OPTIONS_FILE", log, 1);
    vrcc_command front = front_command(clang, &known, bitcode), job = {0};
    vrcc_jobs jobs = {0};
    *code = vrcc_command_run(&front);
    unsetenv("CC_PRINT_OPTIONS");
    unsetenv("CC_PRINT_OPTIONS_FILE");
    const bool done = *code != 0 || read_job(&job, &jobs, log, output, count_places_words(&known, clang));
    if (*code == 0 && done)
        *code = vrcc_compile_bitcode(&job, options, bitcode);
    if (*code != 0)
        vrcc_remove_output(output);
    vrcc_command_free(&front);
    vrcc_command_free(&job);
    vrcc_jobs_free(&jobs);
    return done;
}
