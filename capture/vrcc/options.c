#include "options.h"

#include <dirent.h>
#include <formats/fail.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: vrcc [--vr-OPTION]... CLANG'S OPTIONS AND FILES\n"
    "       vrc++ [--vr-OPTION]... CLANG++'S OPTIONS AND FILES\n"
    "\n"
    "Compiles C and C++ so that the program's floating-point arithmetic rounds as the environment says when it runs\n"
    "(VR_ROUNDING=nearest|sr|ud|up|down|zero|rr|pb|mca, VR_SEED=N). Everything but these options is clang's.\n"
    "\n"
    "  --vr-report[=FILE]         say what is instrumented and what is not, on standard error or at the end of FILE\n"
    "  --vr-report-format=FORMAT  text, or json (the default for FILE.json): a line for each source\n"
    "  --vr-instrument=GROUPS     arithmetic (the default), conversion, comparison, separated by commas\n"
    "  --vr-only=ITEMS            instrument only these, separated by commas: FUNCTION, FILE, FILE:FUNCTION,\n"
    "                             FILE:LINE or FILE:FIRST-LAST (names are globs); @PATH: a file with one a line\n"
    "  --vr-exclude=ITEMS         do not instrument these\n"
    "  --vr-quiet                 say nothing of objects that are linked and not instrumented\n"
    "  --vr-version               what a compiler's cache has to know: vrcc, its files, its clang, and VRCC_FLAGS\n"
    "  --vr-help                  this text\n"
    "\n"
    "VRCC_FLAGS may hold such options, too; VRCC_CLANG names the clang to drive (default " VRCC_CLANG ").\n"
    "\n"
    "examples:\n"
    "  vrcc -O3 -o solver solver.c -lm && VR_ROUNDING=sr VR_SEED=7 ./solver\n"
    "  make CC=vrcc CXX=vrc++\n"
    "  cmake -DCMAKE_C_COMPILER=vrcc -DCMAKE_CXX_COMPILER=vrc++ ..\n";

int vrcc_options_help(void)
{
    fputs(help, stdout);
    return 0;
}

/* The text behind "name=", NULL when the word is another option. */
static const char *value_of(const char *word, const char *name)
{
    const size_t length = strlen(name);
    return strncmp(word, name, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

/* Names of groups, separated by commas. */
static bool read_groups(unsigned *out, const char *text)
{
    static const struct {
        const char *name;
        unsigned group;
    } groups[] = {{"arithmetic", VRCC_ARITHMETIC}, {"conversion", VRCC_CONVERSIONS}, {"comparison", VRCC_COMPARISONS}};
    *out = 0;
    for (const char *at = text; *at;) {
        const size_t length = strcspn(at, ",");
        unsigned found = 0;
        for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
            if (strlen(groups[i].name) == length && strncmp(at, groups[i].name, length) == 0)
                found = groups[i].group;
        if (!found)
            return vr_fail(VR_ERROR_ARGUMENT, "--vr-instrument=%s: use arithmetic, conversion, comparison", text) ==
                   VR_OK;
        *out |= found;
        at += length + (at[length] == ',');
    }
    return true;
}

static bool read_format(bool *is_json, const char *text)
{
    *is_json = strcmp(text, "json") == 0;
    return *is_json || strcmp(text, "text") == 0 ||
           vr_fail(VR_ERROR_ARGUMENT, "--vr-report-format=%s: use text or json", text) == VR_OK;
}

static bool read_own(vrcc_options *out, const char *word)
{
    const struct {
        const char *name, **value;
    } globs[] = {{"--vr-only", &out->only}, {"--vr-exclude", &out->exclude}, {"--vr-report", &out->report}};
    for (size_t i = 0; i < sizeof globs / sizeof *globs; i++) {
        const char *value = value_of(word, globs[i].name);
        if (!value)
            continue;
        if (!*value)
            return vr_fail(VR_ERROR_ARGUMENT, "%s= needs a value", globs[i].name) == VR_OK;
        *globs[i].value = value;
        return true;
    }
    if (value_of(word, "--vr-instrument"))
        return read_groups(&out->groups, value_of(word, "--vr-instrument"));
    if (value_of(word, "--vr-report-format"))
        return read_format(&out->is_json, value_of(word, "--vr-report-format"));
    if (strcmp(word, "--vr-report") == 0)
        out->report = "-";
    else if (strcmp(word, "--vr-quiet") == 0)
        out->quiet = true;
    else if (strcmp(word, "--vr-version") == 0)
        out->version = true;
    else if (strcmp(word, "--vr-help") == 0)
        out->help = true;
    else
        return vr_fail(VR_ERROR_ARGUMENT, "no option %s; see vrcc --vr-help", word) == VR_OK;
    return true;
}

static bool is_own(const char *word)
{
    return strncmp(word, "--vr-", strlen("--vr-")) == 0;
}

/* Words of VRCC_FLAGS are separated by white space. */
static void add_flags(vrcc_command *own)
{
    const char *flags = getenv("VRCC_FLAGS");
    char *copy = flags ? strdup(flags) : NULL, *rest = NULL;
    for (char *word = copy ? strtok_r(copy, " \t\n", &rest) : NULL; word; word = strtok_r(NULL, " \t\n", &rest))
        vrcc_command_add(own, word);
    free(copy);
}

/* Relative to the program, so that an installed tree can be moved. */
static bool find_directory(vrcc_options *out)
{
    const ssize_t length = readlink("/proc/self/exe", out->directory, sizeof out->directory - 1);
    if (length < 0)
        return vr_fail(VR_ERROR_IO, "/proc/self/exe: cannot be read, so the runtime cannot be found") == VR_OK;
    out->directory[length] = '\0';
    char *slash = strrchr(out->directory, '/');
    if (!slash || (size_t)(slash - out->directory) + sizeof "/" VRCC_RUNTIME > sizeof out->directory)
        return vr_fail(VR_ERROR_IO, "the path of vrcc is too long") == VR_OK;
    strcpy(slash, "/" VRCC_RUNTIME);
    return true;
}

bool vrcc_options_read(vrcc_options *out, int argc, char **argv)
{
    *out = (vrcc_options){.groups = VRCC_ARITHMETIC};
    add_flags(&out->own);
    for (int i = 1; i < argc; i++)
        vrcc_command_add(is_own(argv[i]) ? &out->own : &out->words, argv[i]);
    bool has_format = false;
    for (size_t i = 0; i < out->own.count; i++)
        has_format |= value_of(out->own.words[i], "--vr-report-format") != NULL;
    for (size_t i = 0; i < out->own.count; i++)
        if (!read_own(out, out->own.words[i]))
            return false;
    const size_t length = out->report && !has_format ? strlen(out->report) : 0;
    out->is_json |= length >= 5 && strcmp(out->report + length - 5, ".json") == 0;
    return find_directory(out);
}

void vrcc_options_free(vrcc_options *options)
{
    vrcc_command_free(&options->words);
    vrcc_command_free(&options->own);
}

void vrcc_remove_directory(const char *path)
{
    DIR *all = *path ? opendir(path) : NULL;
    for (struct dirent *entry; all && (entry = readdir(all));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(all), entry->d_name, 0);
    if (all)
        closedir(all);
    if (*path)
        rmdir(path);
}
