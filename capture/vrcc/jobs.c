#include "jobs.h"

#include <formats/fail.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool ends(const char *text, const char *with)
{
    const size_t length = strlen(text), tail = strlen(with);
    return length >= tail && strcmp(text + length - tail, with) == 0;
}

static bool is_compiler(const vrcc_command *job)
{
    return job->count > 1 && strcmp(job->words[1], "-cc1") == 0;
}

/* What -fembed-bitcode makes code of is done already, and says so in its own job. */
static bool ends_in_code(const vrcc_command *job)
{
    if (!is_compiler(job) || (!vrcc_command_has(job, "-emit-obj") && !vrcc_command_has(job, "-S")))
        return false;
    return !vrcc_command_has(job, "-disable-llvm-passes") || !vrcc_command_has(job, "-fembed-bitcode=all");
}

/* Objects carry their mark in a section of ELF, and the runtime's records have pointers of 64 bits. */
static bool is_for_us(const char *triple)
{
    static const char *const processors[] = {"x86_64-",      "aarch64-",  "riscv64-",
                                             "powerpc64le-", "mips64el-", "loongarch64-"};
    static const char *const others[] = {"windows", "darwin", "macos", "apple", "msvc", "cygwin",
                                         "mingw",   "uefi",   "x32",   "ilp32", "wasm", "n32"};
    bool is = false;
    for (size_t i = 0; i < sizeof processors / sizeof *processors; i++)
        is |= begins(triple, processors[i]);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        is &= !strstr(triple, others[i]);
    return is;
}

bool vrcc_is_compilation(const vrcc_command *job)
{
    const char *triple = vrcc_command_value(job, "-triple");
    return ends_in_code(job) && (!triple || is_for_us(triple));
}

bool vrcc_is_foreign(const vrcc_command *job)
{
    return ends_in_code(job) && !vrcc_is_compilation(job);
}

bool vrcc_is_bitcode(const vrcc_command *job)
{
    return is_compiler(job) && !vrcc_command_has(job, "-disable-llvm-passes") &&
           (vrcc_command_has(job, "-emit-llvm-bc") || vrcc_command_has(job, "-emit-llvm"));
}

bool vrcc_is_link(const vrcc_command *job)
{
    const char *name = strrchr(job->words[0], '/');
    name = name ? name + 1 : job->words[0];
    if (job->count > 1 && begins(job->words[1], "-cc1"))
        return false;
    return begins(name, "ld") || ends(name, "ld") || strstr(name, "ld.") || begins(name, "gcc") ||
           begins(name, "g++") || strstr(name, "-ld");
}

/* One word in quotes, a backslash before what would end it; the text behind it, NULL when it has no end. */
static const char *read_word(const char *text, char **word)
{
    size_t length = 0;
    for (const char *at = text + 1; *at && *at != '"'; at++, length++)
        at += *at == '\\' && at[1];
    char *out = malloc(length + 1);
    if (!out)
        abort();
    length = 0;
    for (text++; *text && *text != '"'; text++) {
        if (*text == '\\' && text[1])
            text++;
        out[length++] = *text;
    }
    out[length] = '\0';
    *word = out;
    return *text ? text + 1 : NULL;
}

static vr_status add_job(vrcc_jobs *jobs, const char *line)
{
    vrcc_command *list = realloc(jobs->list, (jobs->count + 1) * sizeof *list);
    if (!list)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    jobs->list = list;
    vrcc_command *job = &jobs->list[jobs->count++];
    *job = (vrcc_command){0};
    while (line && *line) {
        line += strspn(line, " ");
        if (*line != '"')
            return *line ? vr_fail(VR_ERROR_FORMAT, "clang -### printed a command without quotes") : VR_OK;
        char *word;
        line = read_word(line, &word);
        vrcc_command_add(job, word);
        free(word);
    }
    return line ? VR_OK : vr_fail(VR_ERROR_FORMAT, "clang -### printed a command without an end");
}

static bool is_heading(const char *line)
{
    static const char *const words[] = {
        "Target: ",           "Thread model: ", "InstalledDir: ",       "Found ",
        "Selected ",          "Candidate ",     "Configuration file: ", "System configuration",
        "User configuration", "Build config: "};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (begins(line, words[i]))
            return true;
    return !*line || strstr(line, "clang version ");
}

/* A line of clang's own words: kept. */
static vr_status add_line(char **text, const char *line)
{
    char *longer = NULL;
    if (asprintf(&longer, "%s%s\n", *text ? *text : "", line) < 0)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    free(*text);
    *text = longer;
    return VR_OK;
}

static vr_status read_line(vrcc_jobs *out, const char *line)
{
    if (begins(line, " \""))
        return add_job(out, line);
    if (strcmp(line, " (in-process)") == 0)
        return VR_OK;
    return add_line(is_heading(line) ? &out->headings : &out->messages, line);
}

/* A command goes on behind the end of a line that is within a word. */
static size_t line_length(const char *text)
{
    bool quoted = false;
    if (!begins(text, " \""))
        return strcspn(text, "\n");
    size_t length = 0;
    for (; text[length] && (quoted || text[length] != '\n'); length++) {
        if (text[length] == '"')
            quoted = !quoted;
        else if (text[length] == '\\' && text[length + 1])
            length++;
    }
    return length;
}

vr_status vrcc_jobs_parse(vrcc_jobs *out, const char *text)
{
    vr_status status = VR_OK;
    while (*text && status == VR_OK) {
        const size_t length = line_length(text);
        char *line = strndup(text, length);
        if (!line)
            return vr_fail(VR_ERROR_MEMORY, "out of memory");
        status = read_line(out, line);
        free(line);
        text += length + (text[length] == '\n');
    }
    return status;
}

/* The program in quotes, of the rest what needs them. */
void vrcc_job_put(const vrcc_command *job)
{
    for (size_t i = 0; i < job->count; i++) {
        const bool quotes = i == 0 || strpbrk(job->words[i], " \"\\$");
        fputs(quotes ? " \"" : " ", stderr);
        for (const char *at = job->words[i]; *at; at++) {
            if (quotes && strchr("\"\\$", *at))
                putc('\\', stderr);
            putc(*at, stderr);
        }
        if (quotes)
            putc('"', stderr);
    }
    putc('\n', stderr);
}

void vrcc_jobs_free(vrcc_jobs *jobs)
{
    free(jobs->headings);
    for (size_t i = 0; i < jobs->count; i++)
        vrcc_command_free(&jobs->list[i]);
    free(jobs->list);
    free(jobs->messages);
    *jobs = (vrcc_jobs){0};
}
