#include "run_progress.h"

#include "command.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define DRAW_SECONDS 0.2
#define COLUMNS      80 /* where the terminal does not say */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void va_run_progress_begin(va_run_progress *out, const va_ledger *ledger, uint64_t due, bool verbose)
{
    *out = (va_run_progress){
        .ledger = ledger, .due = due, .start = now(), .is_terminal = isatty(STDERR_FILENO), .verbose = verbose};
}

const char *va_duration_text(char out[VA_DURATION_TEXT], double seconds)
{
    const long s = seconds < 1e9 ? (long)(seconds + 0.5) : 1000000000L;
    if (s < 90)
        snprintf(out, VA_DURATION_TEXT, "about %ld s", s < 1 ? 1 : s);
    else if (s < 90 * 60)
        snprintf(out, VA_DURATION_TEXT, "about %ld min", (s + 30) / 60);
    else if (s < 48 * 3600)
        snprintf(out, VA_DURATION_TEXT, "about %ld h %ld min", s / 3600, s % 3600 / 60);
    else
        snprintf(out, VA_DURATION_TEXT, "about %ld days", (s + 43200) / 86400);
    return out;
}

void va_run_progress_clear(va_run_progress *progress)
{
    if (progress->is_drawn)
        fputs("\r\033[K", stderr);
    progress->is_drawn = false;
}

void va_run_progress_add(va_run_progress *progress, va_task task, const va_outcome *outcome)
{
    char name[VA_RUN_NAME], text[VA_OUTCOME_TEXT];
    progress->done++;
    if (!progress->verbose)
        return;
    va_run_progress_clear(progress);
    fprintf(stderr, "%s: %s, %.3g s", va_run_name(name, progress->ledger->campaign, task),
            va_outcome_text(text, outcome), outcome->seconds);
    if (!va_outcome_is_ok(outcome) && *outcome->error_line) {
        fputs(": ", stderr);
        va_print_text(stderr, outcome->error_line, SIZE_MAX);
    }
    fputc('\n', stderr);
}

static int columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : COLUMNS;
}

static void print_conditions(FILE *out, const va_ledger *ledger, uint64_t *done, uint64_t *failed)
{
    const va_outcome *at = ledger->outcomes;
    *done = *failed = 0;
    for (size_t i = 0; i < ledger->campaign->condition_count; i++) {
        const va_condition *condition = &ledger->campaign->conditions[i];
        uint32_t here = 0;
        for (uint32_t r = 0; r < condition->count; r++, at++) {
            here += at->done;
            *failed += at->done && !va_outcome_is_ok(at);
        }
        *done += here;
        if (ledger->campaign->condition_count > 1)
            fprintf(out, "%s %u/%u  ", condition->name, here, condition->count);
    }
}

void va_run_progress_draw(va_run_progress *progress)
{
    const double time = now();
    if (!progress->is_terminal || time - progress->drawn < DRAW_SECONDS)
        return;
    char *conditions = NULL, left[VA_DURATION_TEXT] = "", failures[32] = "", line[256];
    size_t bytes;
    uint64_t done, failed;
    FILE *stream = open_memstream(&conditions, &bytes);
    if (!stream)
        return;
    print_conditions(stream, progress->ledger, &done, &failed);
    fclose(stream);
    const double each = progress->done ? (time - progress->start) / (double)progress->done : 0;
    if (failed)
        snprintf(failures, sizeof failures, "%llu failed  ", (unsigned long long)failed);
    if (progress->done && progress->done < progress->due)
        va_duration_text(left, each * (double)(progress->due - progress->done));
    const int room = columns() - 1, total = snprintf(NULL, 0, "%llu", (unsigned long long)progress->ledger->count);
    const int rest = room - 2 * total - 5 - (int)(strlen(failures) + strlen(left)) - 5;
    const int length = snprintf(line, sizeof line, "[%*llu/%llu] %.*s%s%s%s", total, (unsigned long long)done,
                                (unsigned long long)progress->ledger->count, rest > 0 ? rest : 0,
                                conditions ? conditions : "", failures, left, *left ? " left" : "");
    fprintf(stderr, "\r%.*s\033[K", length < room ? length : room, line);
    progress->drawn = time;
    progress->is_drawn = true;
    free(conditions);
}
