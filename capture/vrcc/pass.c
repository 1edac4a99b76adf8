/* pass.c - the part of vrcc that knows LLVM, as a shared library that clang's code generator loads (-load): when it is
 * loaded it rewrites the bitcode that clang is about to read. So there is no further process that has LLVM to load,
 * which takes longer than a small file takes to compile. VRCC_REQUEST names the file that says what is wanted. */
#include "request.h"

#include <fcntl.h>
#include <formats/fail.h>
#include <limits.h>
#include <llvm-c/BitReader.h>
#include <llvm-c/BitWriter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* clang keeps functions whole at -O0 and says so to all who come after. */
static bool is_optimized(const vrcc_command *job)
{
    const char *level = "0";
    for (size_t i = 2; i < job->count; i++)
        if (strncmp(job->words[i], "-O", 2) == 0)
            level = job->words[i] + 2;
    return strcmp(level, "0") != 0;
}

/* What LLVM would print, and then end the process. */
static void keep_message(LLVMDiagnosticInfoRef info, void *context)
{
    char **kept = context;
    LLVMDisposeMessage(*kept);
    *kept = LLVMGetDiagInfoDescription(info);
}

static vr_status read_module(LLVMModuleRef *out, LLVMContextRef context, const char *path)
{
    LLVMMemoryBufferRef buffer;
    char *message = NULL;
    if (LLVMCreateMemoryBufferWithContentsOfFile(path, &buffer, &message)) {
        const vr_status status = vr_fail(VR_ERROR_IO, "%s: %s", path, message);
        LLVMDisposeMessage(message);
        return status;
    }
    LLVMContextSetDiagnosticHandler(context, keep_message, &message);
    const bool failed = LLVMParseBitcodeInContext2(context, buffer, out);
    LLVMContextSetDiagnosticHandler(context, NULL, NULL);
    LLVMDisposeMemoryBuffer(buffer);
    const vr_status status =
        failed ? vr_fail(VR_ERROR_FORMAT, "%s: not bitcode of LLVM " VRCC_LLVM "; another clang was driven? (%s)", path,
                         message ? message : "")
               : VR_OK;
    LLVMDisposeMessage(message);
    return status;
}

/* A report is added in one write, so that those of a parallel make do not mix. */
static vr_status put_report(const char *path, const char *text, size_t size)
{
    const bool is_file = strcmp(path, "-") != 0;
    const int fd = is_file ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : STDERR_FILENO;
    if (fd < 0)
        return vr_fail(VR_ERROR_IO, "%s: cannot be written: %m", path);
    size_t done = 0;
    while (done < size) {
        const ssize_t put = write(fd, text + done, size - done);
        if (put < 0)
            break;
        done += (size_t)put;
    }
    const vr_status status = done < size ? vr_fail(VR_ERROR_IO, "%s: cannot be written: %m", path) : VR_OK;
    if (is_file)
        close(fd);
    return status;
}

static vr_status read_items(vrcc_items *out, const char *option, const char *text)
{
    const char *wrong = text ? vrcc_items_read(out, text) : NULL;
    return wrong ? vr_fail(VR_ERROR_ARGUMENT, "%s=%s: %s", option, text, wrong) : VR_OK;
}

static vr_status rewrite_with_report(LLVMModuleRef module, const vrcc_arithmetic *arithmetic, const char *report_path,
                                     vrcc_choice *choice, const char *file)
{
    if (!report_path)
        return vrcc_rewrite(module, arithmetic, choice, file, NULL);
    char *text = NULL;
    size_t size;
    FILE *report = open_memstream(&text, &size);
    if (!report)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", file);
    vr_status status = vrcc_rewrite(module, arithmetic, choice, file, report);
    if (fclose(report) != 0 && status == VR_OK)
        status = vr_fail(VR_ERROR_MEMORY, "%s: out of memory", file);
    if (status == VR_OK)
        status = put_report(report_path, text, size);
    free(text);
    return status;
}

/* Exchanges the arithmetic of a file of bitcode. */
static vr_status rewrite_file(const char *path, const vrcc_options *options, vrcc_choice *choice, const char *file)
{
    const LLVMContextRef context = LLVMContextCreate();
    vrcc_arithmetic arithmetic;
    LLVMModuleRef module = NULL;
    char name[PATH_MAX + sizeof "/arithmetic"];
    snprintf(name, sizeof name, "%s/arithmetic", options->directory);
    vr_status status = vrcc_arithmetic_load(&arithmetic, context, name);
    if (status == VR_OK)
        status = read_module(&module, context, path);
    if (status == VR_OK)
        status = rewrite_with_report(module, &arithmetic, options->report, choice, file);
    if (status == VR_OK && LLVMWriteBitcodeToFile(module, path) != 0)
        status = vr_fail(VR_ERROR_IO, "%s: cannot be written", path);
    if (module)
        LLVMDisposeModule(module);
    vrcc_arithmetic_free(&arithmetic);
    LLVMContextDispose(context);
    return status;
}

/* The same for what the options choose. */
static vr_status rewrite_chosen(const char *path, const vrcc_command *job, const vrcc_options *options)
{
    vrcc_choice choice = {.has_only = options->only != NULL, .groups = options->groups, .is_json = options->is_json};
    choice.inlines = is_optimized(job);
    const char *language = vrcc_command_value(job, "-x");
    choice.strips = !vrcc_command_begins(job, "-debug-info-kind=") && !(language && strcmp(language, "ir") == 0);
    vr_status status = read_items(&choice.only, "--vr-only", options->only);
    if (status == VR_OK)
        status = read_items(&choice.exclude, "--vr-exclude", options->exclude);
    if (status == VR_OK)
        status = rewrite_file(path, options, &choice, job->words[job->count - 1]);
    vrcc_items_free(&choice.only);
    vrcc_items_free(&choice.exclude);
    return status;
}

static vr_status do_request(const char *path)
{
    vrcc_request request;
    vr_status status = vrcc_request_read(&request, path);
    if (status == VR_OK)
        status = rewrite_chosen(request.bitcode, &request.job, &request.options);
    vrcc_request_free(&request);
    return status;
}

/* clang ends with the failure of a library that it loads as with its own. */
__attribute__((constructor)) static void rewrite(void)
{
    const char *path = getenv(VRCC_REQUEST);
    if (!path || do_request(path) == VR_OK)
        return;
    fprintf(stderr, "vrcc: error: %s\n", vr_error());
    _exit(1);
}
