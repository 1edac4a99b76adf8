/* localize_child.c - a program as vrcc makes them, as far as 'varanalyze localize' can see:
 *
 *   localize_child FUNCTIONS [CAUSE...]
 *
 * It has so many functions f0, f1..., all in mock.c, function i on lines 10 i + 1 to 10 i + 3, and obeys VR_ROUNDING,
 * VR_SEED, VR_ROUNDING_ONLY=@FILE and VR_ROUNDING_COUNT=PATH. A cause is "A" or "A+B..." (functions whose second lines,
 * all rounded, spoil the result), with "/N": in one of N seeds only, and "=WHAT": crash, hang, exit, text, nan or files
 * instead of a wrong number. Words before the number: "log=FILE", a byte is appended to it for each run; "sleep=MS";
 * "out=FILE", "raw=FILE": where the numbers go, the second as f32; "drifts": the result differs from run to run anyhow;
 * "deaf": it rounds whatever VR_ROUNDING_ONLY says; "uncounted": nothing is counted.
 */
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FUNCTIONS_MOST 10000

static long functions;
static bool rounded[FUNCTIONS_MOST][3];
static const char *out_path, *raw_path;
static bool drifts, deaf, uncounted;

static void log_run(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0 || write(fd, "x", 1) != 1)
        exit(3);
    close(fd);
}

/* One item of VR_ROUNDING_ONLY: FILE:FUNCTION or FILE:LINE. */
static void choose(const char *item)
{
    const char *colon = strchr(item, ':');
    char file[64], *end;
    if (!colon || colon - item >= (long)sizeof file)
        exit(3);
    snprintf(file, sizeof file, "%.*s", (int)(colon - item), item);
    if (strcmp(file, "mock.c") != 0)
        return;
    const bool is_function = colon[1] == 'f';
    const long number = strtol(colon + 1 + is_function, &end, 10), i = is_function ? number : (number - 1) / 10;
    if (*end || i < 0 || i >= functions)
        exit(3);
    for (int k = 0; k < 3; k++)
        if (is_function || number == 10 * i + k + 1)
            rounded[i][k] = true;
}

static void read_only(void)
{
    const char *mode = getenv("VR_ROUNDING"), *only = getenv("VR_ROUNDING_ONLY");
    char line[256];
    if (!mode || strcmp(mode, "nearest") == 0)
        return;
    if (!only || deaf) {
        memset(rounded, true, sizeof rounded);
        return;
    }
    FILE *file = *only == '@' ? fopen(only + 1, "r") : NULL;
    if (!file)
        exit(3);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        choose(line);
    }
    fclose(file);
}

static void write_counts(void)
{
    const char *template = getenv("VR_ROUNDING_COUNT");
    char path[4096], part[4100];
    if (!template || uncounted)
        return;
    const char *place = strstr(template, "%p");
    snprintf(path, sizeof path, "%.*s%ld%s", (int)(place ? place - template : (long)strlen(template)), template,
             (long)getpid(), place ? place + 2 : "");
    snprintf(part, sizeof part, "%s.t", path);
    FILE *file = fopen(part, "w");
    if (!file)
        exit(3);
    fputs("file\tline\tfunction\tadd\tsub\tmul\tdiv\tsqrt\tfma\n", file);
    for (long i = 0; i < functions; i++)
        for (int k = 0; k < 3; k++)
            fprintf(file, "mock.c\t%ld\tf%ld\t%ld\t0\t%d\t0\t0\t0\n", 10 * i + k + 1, i, 1 + i * 7 % 13, k + 1);
    fclose(file);
    rename(part, path);
}

/* Whether a cause applies, and what it does: "" a wrong number. */
static const char *effect_of(const char *cause)
{
    const char *seed = getenv("VR_SEED");
    bool all = true;
    char *end;
    for (;; cause = end + 1) {
        const long i = strtol(cause, &end, 10);
        all = all && i >= 0 && i < functions && rounded[i][1];
        if (*end != '+')
            break;
    }
    if (*end == '/') {
        const long every = strtol(end + 1, &end, 10);
        all = all && seed && strtol(seed, NULL, 10) % every == 0;
    }
    return !all ? NULL : *end == '=' ? end + 1 : "";
}

static void read_word(const char *word)
{
    if (strncmp(word, "log=", 4) == 0)
        log_run(word + 4);
    else if (strncmp(word, "sleep=", 6) == 0)
        nanosleep(&(struct timespec){0, strtol(word + 6, NULL, 10) * 1000000}, NULL);
    else if (strncmp(word, "out=", 4) == 0)
        out_path = word + 4;
    else if (strncmp(word, "raw=", 4) == 0)
        raw_path = word + 4;
    drifts = drifts || strcmp(word, "drifts") == 0;
    deaf = deaf || strcmp(word, "deaf") == 0;
    uncounted = uncounted || strcmp(word, "uncounted") == 0;
}

static double apply(const char *effect, double result)
{
    if (strcmp(effect, "crash") == 0) {
        signal(SIGSEGV, SIG_DFL); /* sanitizers would make it an exit */
        raise(SIGSEGV);
    }
    while (strcmp(effect, "hang") == 0)
        sleep(1);
    if (strcmp(effect, "exit") == 0) {
        fputs("the solver did not converge\n", stderr);
        exit(4);
    }
    if (strcmp(effect, "text") == 0)
        puts("warning: 3 steps were rejected");
    if (strcmp(effect, "files") == 0 && out_path)
        out_path = NULL;
    return strcmp(effect, "nan") == 0 ? NAN : *effect ? result : result * (1 + 0x1p-10);
}

static void write_raw(double result)
{
    const float values[3] = {1, (float)result, -1};
    FILE *file = fopen(raw_path, "wb");
    if (!file || fwrite(values, sizeof *values, 3, file) != 3 || fclose(file) != 0)
        exit(3);
}

int main(int argc, char **argv)
{
    double result = 1.0 / 3;
    int at = 1;
    while (at < argc && (*argv[at] < '0' || *argv[at] > '9'))
        read_word(argv[at++]);
    functions = at < argc ? strtol(argv[at++], NULL, 10) : 0;
    if (functions < 1 || functions > FUNCTIONS_MOST)
        return 3;
    read_only();
    write_counts();
    for (; at < argc; at++) {
        const char *effect = effect_of(argv[at]);
        if (effect)
            result = apply(effect, result);
    }
    for (long i = 0; i < functions; i++) /* what any rounding does */
        result *= rounded[i][0] ? 1 + 0x1p-50 : 1;
    if (drifts)
        result *= 1 + getpid() * 0x1p-44; /* a little: runs without noise have to be the same */
    if (raw_path)
        write_raw(result);
    FILE *out = out_path ? fopen(out_path, "w") : stdout;
    if (!out)
        return 3;
    fprintf(out, "result: %.17g after %ld functions\n", result, functions);
    return fclose(out) == 0 ? 0 : 3;
}
