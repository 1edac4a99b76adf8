#include "command.h"
#include "guard.h"

#include <formats/fail.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: varanalyze recover [options] FILE...\n"
    "\n"
    "Completes the trace of a run that was killed: FILE.journal, which the run left, becomes FILE, an HDF5 file\n"
    "with every step that was finished and what was recorded of the last one. Reading a trace does not need\n"
    "this: info and diff read the journal where FILE does not exist. An existing FILE is not replaced.\n"
    "\n"
    "options:\n"
    "  -f, --force   replace an existing FILE\n"
    "  -h, --help    this text\n"
    "\n"
    "exit status: 0 done, 2 trouble\n"
    "\n"
    "examples:\n"
    "  varanalyze recover run1.h5\n";

/* `path` without the journal's suffix. */
static char *trace_path(const char *path)
{
    char *out = strdup(path);
    const size_t length = strlen(path), suffix = strlen(".journal");
    if (out && length > suffix && strcmp(path + length - suffix, ".journal") == 0)
        out[length - suffix] = 0;
    return out;
}

static vr_status write_recovered(const char *journal, const char *path)
{
    vr_trace *trace;
    va_guard_file(journal);
    vr_status status = vr_trace_open(&trace, journal);
    if (status != VR_OK)
        return status;
    if (vr_trace_get_info(trace)->live)
        status = vr_fail(VR_ERROR_IO, "%s: the run is still writing it", journal);
    if (status == VR_OK)
        status = vr_trace_write(trace, path);
    if (status == VR_OK) {
        const vr_trace_info *info = vr_trace_get_info(trace);
        printf("%s: ", path);
        va_print_count(stdout, info->record_count, "record");
        fputs(" in ", stdout);
        va_print_count(stdout, info->step_count, "step");
        fputs("\n", stdout);
        unlink(journal);
    }
    vr_trace_close(trace);
    return status;
}

static vr_status recover(const char *argument, bool force)
{
    char *path = trace_path(argument), *journal = NULL;
    vr_status status;
    if (!path || asprintf(&journal, "%s.journal", path) < 0) {
        journal = NULL;
        status = vr_fail(VR_ERROR_MEMORY, "%s: out of memory", argument);
    } else if (access(journal, F_OK) != 0)
        status = vr_fail(VR_ERROR_IO, "%s: there is no %s to recover it from", path, journal);
    else if (!force && access(path, F_OK) == 0)
        status = vr_fail(VR_ERROR_IO, "%s: exists already, from an earlier run; move it away, or use --force", path);
    else
        status = write_recovered(journal, path);
    free(path);
    free(journal);
    return status;
}

static int run(int argc, char **argv)
{
    static const struct option options[] = {
        {"force", no_argument, NULL, 'f'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    bool force = false;
    for (int c; (c = getopt_long(argc, argv, "fh", options, NULL)) != -1;) {
        if (c == 'h')
            return va_help(&va_cmd_recover);
        if (c != 'f')
            return va_misuse(&va_cmd_recover, NULL);
        force = true;
    }
    if (optind == argc)
        return va_misuse(&va_cmd_recover, "name the trace to recover");
    int result = VA_SAME;
    for (int i = optind; i < argc; i++)
        if (recover(argv[i], force) != VR_OK)
            result = va_trouble();
    return va_finish(result);
}

const va_command va_cmd_recover = {"recover", "complete the trace of a run that was killed", usage, run};
