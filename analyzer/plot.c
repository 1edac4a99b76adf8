#include "plot.h"

#include <errno.h>
#include <formats/fail.h>
#include <spawn.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    const char *suffix, *terminal;
    bool inches;
} formats[] = {{".svg", "svg noenhanced background rgb 'white'", false},
               {".png", "pngcairo noenhanced", false},
               {".pdf", "pdfcairo noenhanced", true}};

#define FORMATS (sizeof formats / sizeof *formats)

/* Index in `formats`; FORMATS: none of them. */
static size_t format_of(const char *path)
{
    const size_t length = strlen(path);
    size_t i = 0;
    while (i < FORMATS && (length <= 4 || strcasecmp(path + length - 4, formats[i].suffix) != 0))
        i++;
    return i;
}

vr_status va_plot_check(const char *path)
{
    if (format_of(path) < FORMATS)
        return VR_OK;
    return vr_fail(VR_ERROR_ARGUMENT, "%s: a picture's name ends in .svg, .png or .pdf", path);
}

vr_status va_plot_open(va_plot *out, const char *path, int width, int height)
{
    *out = (va_plot){.path = path};
    vr_status status = va_plot_check(path);
    if (status != VR_OK)
        return status;
    status = va_output_open(&out->picture, path);
    if (status != VR_OK)
        return status;
    out->script = tmpfile();
    if (!out->script) {
        status = vr_fail_errno(errno, "%s: cannot make a temporary file", path);
        va_output_close(&out->picture, false);
        return status;
    }
    const size_t format = format_of(path);
    fprintf(out->script, formats[format].inches ? "set terminal %s size %gin,%gin\n" : "set terminal %s size %g,%g\n",
            formats[format].terminal, formats[format].inches ? width / 96.0 : width,
            formats[format].inches ? height / 96.0 : height);
    return VR_OK;
}

void va_plot_text(FILE *script, const char *text)
{
    fputc('\'', script);
    for (; *text; text++)
        if (*text == '\'')
            fputs("''", script);
        else
            fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, script);
    fputc('\'', script);
}

/* The last line of what gnuplot had to say that is not empty, without what indents it. */
static void last_words(FILE *said, char *out, size_t size)
{
    char line[256];
    rewind(said);
    snprintf(out, size, "it did not say why");
    while (fgets(line, sizeof line, said)) {
        const char *words = line + strspn(line, " \t^");
        line[strcspn(line, "\n")] = 0;
        if (*words)
            snprintf(out, size, "%s", words);
    }
}

/* Runs gnuplot with these files as its standard streams; its wait status, or -1 and errno. */
static int run_gnuplot(FILE *in, FILE *out, FILE *said)
{
    extern char **environ;
    char *const words[] = {"gnuplot", "--default-settings", NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fileno(in), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fileno(out), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fileno(said), STDERR_FILENO);
    const int error = posix_spawnp(&child, "gnuplot", &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    errno = error;
    if (error)
        return -1;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}

static vr_status draw(va_plot *plot)
{
    char words[256];
    if (ferror(plot->script) || fflush(plot->script) != 0 || lseek(fileno(plot->script), 0, SEEK_SET) != 0)
        return vr_fail_errno(errno, "%s: cannot write a temporary file", plot->path);
    FILE *said = tmpfile();
    if (!said)
        return vr_fail_errno(errno, "%s: cannot make a temporary file", plot->path);
    vr_status status = VR_OK;
    const int result = run_gnuplot(plot->script, plot->picture.stream, said);
    if (result == -1 && errno == ENOENT)
        status = vr_fail(VR_ERROR_UNSUPPORTED, "%s: cannot be drawn: gnuplot is not installed", plot->path);
    else if (result == -1)
        status = vr_fail_errno(errno, "%s: cannot run gnuplot", plot->path);
    else if (result != 0) {
        last_words(said, words, sizeof words);
        status = vr_fail(VR_ERROR_IO, "%s: gnuplot failed: %s", plot->path, words);
    }
    fclose(said);
    return status;
}

vr_status va_plot_close(va_plot *plot, bool keep)
{
    const vr_status drawn = keep ? draw(plot) : VR_OK;
    fclose(plot->script);
    const vr_status closed = va_output_close(&plot->picture, keep && drawn == VR_OK);
    if (drawn == VR_OK && closed != VR_OK && keep)
        return closed;
    return drawn;
}
