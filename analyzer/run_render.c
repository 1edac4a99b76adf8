#include "run_render.h"

#include "campaign_json.h"

#include <formats/fail.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FAILURES_MOST 20 /* that are listed as text */

static va_condition_sum sum_of(const va_outcome *outcomes, uint32_t count, double *seconds)
{
    va_condition_sum sum = {0};
    uint64_t n = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum.done += outcomes[i].done;
        sum.failed += outcomes[i].done && !va_outcome_is_ok(&outcomes[i]);
        if (va_outcome_is_ok(&outcomes[i]))
            seconds[n++] = outcomes[i].seconds;
    }
    gsl_sort(seconds, 1, n);
    if (n) {
        sum.median = gsl_stats_median_from_sorted_data(seconds, 1, n);
        sum.least = seconds[0];
        sum.most = seconds[n - 1];
    }
    return sum;
}

vr_status va_ledger_sum(va_condition_sum **out, const va_ledger *ledger)
{
    const va_campaign *campaign = ledger->campaign;
    const va_outcome *at = ledger->outcomes;
    va_condition_sum *sums = calloc(campaign->condition_count, sizeof *sums);
    double *seconds = malloc((ledger->count + 1) * sizeof *seconds);
    for (size_t i = 0; sums && seconds && i < campaign->condition_count; i++) {
        sums[i] = sum_of(at, campaign->conditions[i].count, seconds);
        at += campaign->conditions[i].count;
    }
    free(seconds);
    if (!sums || !seconds) {
        free(sums);
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    }
    *out = sums;
    return VR_OK;
}

/* ---- text ---- */

static int name_width(const va_campaign *campaign)
{
    size_t width = strlen("condition");
    for (size_t i = 0; i < campaign->condition_count; i++)
        if (strlen(campaign->conditions[i].name) > width)
            width = strlen(campaign->conditions[i].name);
    return (int)width;
}

static void table_text(FILE *out, const va_campaign *campaign, const va_condition_sum *sums)
{
    const int width = name_width(campaign);
    fprintf(out, "%-*s  %8s  %8s  %8s  %s\n", width, "condition", "runs", "ok", "failed",
            "seconds: median [least, most]");
    for (size_t i = 0; i < campaign->condition_count; i++) {
        const va_condition_sum *s = &sums[i];
        fprintf(out, "%-*s  %8u  %8" PRIu64 "  %8" PRIu64 "  ", width, campaign->conditions[i].name,
                campaign->conditions[i].count, s->done - s->failed, s->failed);
        if (s->done > s->failed)
            fprintf(out, "%.3g [%.3g, %.3g]\n", s->median, s->least, s->most);
        else
            fputs("-\n", out);
    }
}

static void failure_text(FILE *out, const va_campaign *campaign, va_task task, const va_outcome *outcome)
{
    char name[VA_RUN_NAME], text[VA_OUTCOME_TEXT];
    fprintf(out, "%s: %s", va_run_name(name, campaign, task), va_outcome_text(text, outcome));
    if (*outcome->error_line) {
        fputs(": ", out);
        va_print_text(out, outcome->error_line, SIZE_MAX);
    }
    fputc('\n', out);
}

/* Calls `each` for the runs that are done, in the order of the ledger. */
static void visit(const va_ledger *ledger, void (*each)(void *context, va_task task, const va_outcome *outcome),
                  void *context)
{
    const va_outcome *at = ledger->outcomes;
    for (uint32_t i = 0; i < ledger->campaign->condition_count; i++)
        for (uint32_t r = 1; r <= ledger->campaign->conditions[i].count; r++, at++)
            if (at->done)
                each(context, (va_task){i, r}, at);
}

typedef struct printer {
    FILE *out;
    const va_campaign *campaign;
    uint64_t failures, notes;
    json_t *runs;
} printer;

static void print_failure(void *context, va_task task, const va_outcome *outcome)
{
    printer *p = context;
    if (!va_outcome_is_ok(outcome) && p->failures++ < FAILURES_MOST)
        failure_text(p->out, p->campaign, task, outcome);
}

static void print_note(void *context, va_task task, const va_outcome *outcome)
{
    printer *p = context;
    char name[VA_RUN_NAME];
    if (!*outcome->note || p->notes++ >= FAILURES_MOST)
        return;
    if (p->notes == 1)
        fputs("\nnotes:\n", p->out);
    fprintf(p->out, "%s: ", va_run_name(name, p->campaign, task));
    va_print_text(p->out, outcome->note, SIZE_MAX);
    fputc('\n', p->out);
}

static void print_text(FILE *out, const va_ledger *ledger, const char *archive, const va_condition_sum *sums)
{
    char count[VA_COUNT_TEXT];
    uint64_t done = 0, failed = 0, silent = 0;
    for (size_t i = 0; i < ledger->campaign->condition_count; i++) {
        done += sums[i].done;
        failed += sums[i].failed;
    }
    for (uint64_t i = 0; i < ledger->count; i++)
        silent += ledger->outcomes[i].done && ledger->outcomes[i].traces == 0;
    va_print_text(out, archive, SIZE_MAX);
    fprintf(out, ": %s of ", va_count_text(count, done));
    va_print_count(out, ledger->count, "run");
    fprintf(out, " done, %s failed\n\n", va_count_text(count, failed));
    table_text(out, ledger->campaign, sums);
    if (failed)
        fputs("\nfailed:\n", out);
    printer p = {.out = out, .campaign = ledger->campaign};
    visit(ledger, print_failure, &p);
    if (p.failures > FAILURES_MOST)
        fprintf(out, "and %" PRIu64 " more; --format csv lists all\n", p.failures - FAILURES_MOST);
    visit(ledger, print_note, &p);
    if (p.notes > FAILURES_MOST)
        fprintf(out, "and %" PRIu64 " more, in the runs' records\n", p.notes - FAILURES_MOST);
    if (silent) {
        fputc('\n', out);
        va_print_count(out, silent, "run");
        fputs(" left no trace: does the program call vr_run_open?\n", out);
    }
}

/* ---- CSV, JSON ---- */

static void print_row(void *context, va_task task, const va_outcome *o)
{
    const printer *p = context;
    char name[VA_RUN_NAME], status[16] = "", signal[16] = "";
    if (o->signal)
        snprintf(signal, sizeof signal, "%d", o->signal);
    else
        snprintf(status, sizeof status, "%d", o->exit_code);
    fprintf(p->out, "%s,%s,%u,%d,%s,%s,%d,%u,%s,%.6f,%.6f,%.6f,%" PRIu64 ",%u,", va_run_name(name, p->campaign, task),
            p->campaign->conditions[task.condition].name, task.replica, va_outcome_is_ok(o), status, signal,
            o->timed_out, o->tries, o->started, o->seconds, o->user_seconds, o->system_seconds, o->peak_bytes,
            o->traces);
    va_csv_text(p->out, o->error_line);
    fputc('\n', p->out);
}

static void print_csv(FILE *out, const va_ledger *ledger)
{
    printer p = {.out = out, .campaign = ledger->campaign};
    fputs("run,condition,replica,ok,exit_status,signal,timed_out,tries,started,seconds,user_seconds,system_seconds,"
          "peak_bytes,traces,error_line\n",
          out);
    visit(ledger, print_row, &p);
}

static void add_json(void *context, va_task task, const va_outcome *o)
{
    const printer *p = context;
    char name[VA_RUN_NAME];
    json_array_append_new(
        p->runs,
        json_pack("{s:s, s:s, s:I, s:b, s:o, s:o, s:b, s:I, s:s, s:f, s:f, s:f, s:I, s:I, s:o}", "run",
                  va_run_name(name, p->campaign, task), "condition", p->campaign->conditions[task.condition].name,
                  "replica", (json_int_t)task.replica, "ok", va_outcome_is_ok(o), "exit_status",
                  o->signal ? json_null() : json_integer(o->exit_code), "signal",
                  o->signal ? json_integer(o->signal) : json_null(), "timed_out", o->timed_out, "tries",
                  (json_int_t)o->tries, "started", o->started, "seconds", o->seconds, "user_seconds", o->user_seconds,
                  "system_seconds", o->system_seconds, "peak_bytes", (json_int_t)o->peak_bytes, "traces",
                  (json_int_t)o->traces, "error_line", va_json_path(o->error_line)));
}

static json_t *condition_json(const va_condition *condition, const va_condition_sum *s)
{
    const bool any = s->done > s->failed;
    return json_pack("{s:s, s:o, s:I, s:I, s:I, s:o, s:o, s:o}", "name", condition->name, "vary",
                     va_list_to_json(condition->vary), "runs", (json_int_t)condition->count, "ok",
                     (json_int_t)(s->done - s->failed), "failed", (json_int_t)s->failed, "median_seconds",
                     any ? json_real(s->median) : json_null(), "least_seconds", any ? json_real(s->least) : json_null(),
                     "most_seconds", any ? json_real(s->most) : json_null());
}

static void print_json(FILE *out, const va_ledger *ledger, const char *archive, const va_condition_sum *sums)
{
    printer p = {.campaign = ledger->campaign, .runs = json_array()};
    json_t *conditions = json_array();
    for (size_t i = 0; i < ledger->campaign->condition_count; i++)
        json_array_append_new(conditions, condition_json(&ledger->campaign->conditions[i], &sums[i]));
    visit(ledger, add_json, &p);
    json_t *json =
        json_pack("{s:o, s:o, s:o}", "archive", va_json_path(archive), "conditions", conditions, "runs", p.runs);
    va_print_json(out, json);
}

vr_status va_ledger_print(FILE *out, const va_ledger *ledger, const char *archive, va_format format)
{
    va_condition_sum *sums;
    const vr_status status = va_ledger_sum(&sums, ledger);
    if (status != VR_OK)
        return status;
    if (format == VA_JSON)
        print_json(out, ledger, archive, sums);
    else if (format == VA_CSV)
        print_csv(out, ledger);
    else
        print_text(out, ledger, archive, sums);
    free(sums);
    return VR_OK;
}
