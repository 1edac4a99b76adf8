/* vrcc, vrc++: clang, whose programs round as the environment says. clang is asked what it would do (-###); its steps
 * are then done as they are, but between its optimizer and its code generator the arithmetic is exchanged. */
#include "database.h"
#include "direct.h"
#include "link.h"
#include "version.h"

#include <formats/fail.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char temporary[PATH_MAX];
static char *outer_tmpdir;

static volatile sig_atomic_t ended_by;

/* The step in progress is told; what is left in between goes when it has ended. */
static void note_signal(int number)
{
    ended_by = number;
    vrcc_command_signal(number);
}

/* Where clang would have its own, else beside the output. */
static bool make_temporary(void)
{
    const char *const places[] = {getenv("TMPDIR"), getenv("TMP"), getenv("TEMP"), "/tmp", "/var/tmp", "."};
    bool made = false;
    for (size_t i = 0; i < sizeof places / sizeof *places && !made; i++) {
        if (places[i] && *places[i])
            made = snprintf(temporary, sizeof temporary, "%s/vrcc-XXXXXX", places[i]) < (int)sizeof temporary &&
                   mkdtemp(temporary);
    }
    if (!made) {
        *temporary = '\0';
        perror("vrcc: no place for temporary files (TMPDIR names one)");
        return false;
    }
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (signal(signals[i], SIG_IGN) != SIG_IGN)
            signal(signals[i], note_signal);
    return true;
}

/* vrc++, and whatever else ends so, is the driver for C++. */
static bool is_plus_plus(const char *program)
{
    const size_t length = strlen(program);
    return length >= 2 && strcmp(program + length - 2, "++") == 0;
}

static vrcc_command clang_command(const char *program, const vrcc_command *words)
{
    vrcc_command command = {0};
    const char *clang = getenv("VRCC_CLANG");
    vrcc_command_add(&command, clang && *clang ? clang : VRCC_CLANG);
    if (is_plus_plus(program))
        vrcc_command_add(&command, "--driver-mode=g++");
    for (size_t i = 0; i < words->count; i++)
        vrcc_command_add(&command, words->words[i]);
    return command;
}

/* Bitcode goes on to where vrcc is not asked: to a linker that compiles, or to the user. */
static void say_left_alone(const vrcc_command *job)
{
    const char *why = vrcc_is_bitcode(job) ? "bitcode" : NULL;
    for (size_t i = 0; i < job->count && why; i++)
        if (strncmp(job->words[i], "-flto", strlen("-flto")) == 0)
            why = "-flto";
    if (vrcc_is_foreign(job))
        why = vrcc_command_value(job, "-triple");
    if (why)
        fprintf(stderr, "vrcc: warning: %s: %s: left alone, its arithmetic rounds to nearest\n",
                job->words[job->count - 1], why);
}

/* All jobs are tried but the linker's, which is not, once one has failed. */
static int do_jobs(vrcc_jobs *jobs, const vrcc_options *options)
{
    int result = vrcc_write_database(&options->words, jobs) == VR_OK ? 0 : 1;
    if (result)
        fprintf(stderr, "vrcc: error: %s\n", vr_error());
    for (size_t i = 0; i < jobs->count && !ended_by; i++) {
        vrcc_command *job = &jobs->list[i];
        int code;
        if (!options->quiet)
            say_left_alone(job);
        if (vrcc_command_has(&options->words, "-v"))
            vrcc_job_put(job);
        if (vrcc_is_compilation(job))
            code = vrcc_compile(job, options, temporary);
        else if (vrcc_is_link(job) && result != 0)
            continue;
        else if (vrcc_is_link(job))
            code = vrcc_link(job, jobs, options, temporary);
        else
            code = vrcc_command_run(job);
        if (code)
            vrcc_remove_output(vrcc_command_value(job, "-o"));
        result = result ? result : code;
    }
    return result;
}

static bool is_any(const vrcc_jobs *jobs, bool (*is)(const vrcc_command *))
{
    for (size_t i = 0; i < jobs->count; i++)
        if (is(&jobs->list[i]))
            return true;
    return false;
}

/* Ends as clang does; there is nothing here for vrcc. */
static int be_clang(const vrcc_command *clang)
{
    if (outer_tmpdir)
        setenv("TMPDIR", outer_tmpdir, 1);
    else
        unsetenv("TMPDIR");
    execvp(clang->words[0], clang->words);
    fprintf(stderr, "vrcc: %s: ", clang->words[0]);
    perror(NULL);
    return VRCC_NOT_STARTED;
}

/* What clang has to say about the command line. */
static void put_messages(const vrcc_jobs *jobs, const vrcc_command *clang)
{
    if (vrcc_command_has(clang, "-v") && jobs->headings)
        fputs(jobs->headings, stderr);
    if (jobs->messages)
        fputs(jobs->messages, stderr);
}

static int ask(char **text, const vrcc_command *clang)
{
    vrcc_command command = vrcc_command_copy(clang);
    vrcc_command_insert(&command, 1, "-###");
    if (isatty(STDERR_FILENO))
        vrcc_command_insert(&command, 1, "-fcolor-diagnostics");
    const int code = vrcc_command_capture(&command, text);
    vrcc_command_free(&command);
    return code;
}

/* Lets clang say what is wrong, as -### does not always with its exit code. Never a success: nothing would round. */
static int fail_as_clang(const vrcc_command *clang)
{
    const int code = vrcc_command_run(clang);
    return code ? code : 1;
}

static int ask_and_do(const vrcc_command *clang, const vrcc_options *options)
{
    vrcc_jobs jobs = {0};
    char *text = NULL;
    int code;
    if (vrcc_compile_directly(&code, clang, options, temporary))
        return code;
    code = vrcc_command_has(clang, "-###") ? 0 : ask(&text, clang);
    const vr_status status = text && code == 0 ? vrcc_jobs_parse(&jobs, text) : VR_OK;
    const bool ours = is_any(&jobs, vrcc_is_compilation) || is_any(&jobs, vrcc_is_link) ||
                      is_any(&jobs, vrcc_is_bitcode) || is_any(&jobs, vrcc_is_foreign);
    if (ended_by || status != VR_OK) {
        code = 1;
        if (status != VR_OK)
            fprintf(stderr, "vrcc: error: %s\n", vr_error());
    } else if (code == VRCC_NOT_STARTED) {
        /* it was said why */
    } else if (code != 0 || (jobs.messages && strstr(jobs.messages, "error: "))) {
        code = fail_as_clang(clang);
    } else if (ours) {
        put_messages(&jobs, clang);
        code = do_jobs(&jobs, options);
    } else {
        vrcc_remove_directory(temporary);
        code = be_clang(clang);
    }
    vrcc_jobs_free(&jobs);
    free(text);
    return code;
}

/* Everything that clang does not do by itself; TMPDIR is vrcc's own meanwhile. */
static int compile_and_link(const vrcc_command *clang, const vrcc_options *options)
{
    if (!make_temporary())
        return 1;
    const char *outer = getenv("TMPDIR");
    outer_tmpdir = outer ? strdup(outer) : NULL;
    setenv("TMPDIR", temporary, 1);
    const int code = ask_and_do(clang, options);
    vrcc_remove_directory(temporary);
    free(outer_tmpdir);
    return code;
}

int main(int argc, char **argv)
{
    vrcc_options options;
    if (!vrcc_options_read(&options, argc, argv)) {
        fprintf(stderr, "vrcc: %s\n", vr_error());
        return 1;
    }
    vrcc_command clang = clang_command(argv[0], &options.words);
    int code;
    if (options.help)
        code = vrcc_options_help();
    else if (options.version)
        code = vrcc_put_version(&options, clang.words[0]);
    else
        code = compile_and_link(&clang, &options);
    vrcc_command_free(&clang);
    vrcc_options_free(&options);
    if (ended_by) {
        signal(ended_by, SIG_DFL);
        raise(ended_by);
    }
    return code;
}
