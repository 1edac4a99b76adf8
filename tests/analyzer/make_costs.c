/* make_costs - writes the traces and campaigns of the golden runs of 'varanalyze cost' into the folder it is given: all
 * of their times are made up.
 */
#include "timed.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <varanalyze/archive.h>

/* A layer's time in a run: what it takes with `threads`, times `percent`, a drift that run r and its partner share, and
 * a wobble; the first step is slow, and one step of run 3 is far out. */
typedef struct made {
    int run;
    int percent[TIMED_LAYERS];
    int zero_at;      /* the record that takes no time; -1: none */
    int backwards_at; /* step in which the clock goes backwards; 0: none */
} made;

static uint64_t take(const void *context, int step, int record)
{
    static const uint64_t usual[TIMED_LAYERS] = {400000, 250000, 350000};
    const made *m = context;
    if (record == m->zero_at)
        return 0;
    uint64_t ns = usual[record] / 100 * (uint64_t)m->percent[record] / 100 * (uint64_t)(100 + 3 * m->run);
    ns += (uint64_t)((step * 7 + m->run * 3 + record) % 5) * 2000;
    if (m->backwards_at == step && record == 1)
        return (uint64_t)-1000;
    return step == 1 ? 5 * ns : m->run == 3 && step == 8 && record == 0 ? ns + 3000000 : ns;
}

static int64_t last(const void *context, int step)
{
    const made *m = context;
    int64_t sum = 1000;
    for (int i = 0; i < TIMED_LAYERS; i++)
        sum += (int64_t)take(context, step, i);
    return m->backwards_at == step ? -500 : sum;
}

typedef struct condition {
    const char *name; /* of the file, a number follows */
    const char *kernels, *hour, *cpu, *rounding;
    int runs, steps;
    made made;
    double load;
    int64_t resolution, peak;
    bool is_first_only;
} condition;

#define USUAL                                                                                                          \
    {                                                                                                                  \
        0, {100, 100, 100}, -1, 0                                                                                      \
    }
#define FIXED                                                                                                          \
    {                                                                                                                  \
        0, {150, 120, 110}, -1, 0                                                                                      \
    }
#define MIB(n) ((int64_t)(n) << 20)

static const condition conditions[] = {
    {.name = "threads", .kernels = "threads", .hour = "12", .runs = 4, .steps = 20, .made = USUAL, .peak = MIB(12)},
    {.name = "fixed", .kernels = "fixed", .hour = "12", .runs = 4, .steps = 20, .made = FIXED, .peak = MIB(9)},
    {.name = "sr",
     .kernels = "threads",
     .hour = "12",
     .rounding = "sr",
     .runs = 4,
     .steps = 20,
     .made = {0, {1000, 900, 800}, -1, 0}},
    {.name = "later",
     .kernels = "fixed",
     .hour = "13",
     .cpu = "another processor",
     .runs = 3,
     .steps = 20,
     .made = FIXED,
     .load = 5},
    {.name = "one-threads", .kernels = "threads", .hour = "12", .runs = 2, .steps = 1, .made = USUAL},
    {.name = "one-fixed", .kernels = "fixed", .hour = "12", .runs = 2, .steps = 1, .made = FIXED},
    {.name = "none-fixed", .kernels = "fixed", .hour = "12", .runs = 1, .steps = 0, .made = FIXED},
    {.name = "backwards",
     .kernels = "fixed",
     .hour = "12",
     .runs = 2,
     .steps = 20,
     .made = {0, {150, 120, 110}, -1, 5}},
    {.name = "zero", .kernels = "fixed", .hour = "12", .runs = 2, .steps = 20, .made = {0, {150, 120, 110}, 2, 0}},
    {.name = "short", .kernels = "fixed", .hour = "12", .runs = 2, .steps = 6, .made = FIXED},
    {.name = "lacking", .kernels = "fixed", .hour = "12", .runs = 2, .steps = 20, .made = FIXED, .is_first_only = true},
    {.name = "coarse", .kernels = "fixed", .hour = "12", .runs = 2, .steps = 20, .made = FIXED, .resolution = 4000000},
};

/* Run r of a condition begins in minute r, so that conditions of the same hour take turns. */
static void write_condition(const condition *c)
{
    for (int run = 1; run <= c->runs; run++) {
        char path[64], started[32];
        made m = c->made;
        m.run = run;
        snprintf(path, sizeof path, "%s-%d.h5", c->name, run);
        snprintf(started, sizeof started, "2026-01-01T%s:%02d:00Z", c->hour, run);
        timed_write(path, &(timed){.kernels = c->kernels,
                                   .rounding = c->rounding,
                                   .started = started,
                                   .cpu = c->cpu,
                                   .load = c->load,
                                   .peak_bytes = c->peak,
                                   .resolution = c->resolution,
                                   .steps = c->steps,
                                   .is_first_only = c->is_first_only,
                                   .takes = take,
                                   .lasts = m.backwards_at ? last : NULL,
                                   .context = &m});
    }
}

/* ---- campaigns ---- */

static void need(bool fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "make_costs: %s: %s\n", what, vr_error());
        exit(2);
    }
}

static void write_json(const char *path, json_t *json)
{
    need(json && json_dump_file(json, path, JSON_INDENT(2)) == 0, path);
    json_decref(json);
}

static void add(const char *archive, const char *path, const char *member, bool create)
{
    const vr_addition file = {path, member};
    need(vr_archive_append(archive, &file, 1, VR_TAKEN_REFUSE, create, NULL, NULL) == VR_OK, member);
}

static json_t *condition_json(const char *name, const char *variable, const char *value, int runs)
{
    return json_pack("{s:s, s:[], s:i, s:b, s:{s:s}}", "name", name, "vary", "runs", runs, "own_runs", 0, "environment",
                     variable, value);
}

static json_t *campaign_json(int runs)
{
    return json_pack("{s:s, s:i, s:[s], s:s, s:[o, o], s:i, s:s, s:[], s:s, s:s, s:s, s:s, s:{}, s:i, s:f}", "format",
                     "varanalyze campaign", "version", 1, "command", "./train", "directory", "/", "conditions",
                     condition_json("loose", "VR_KERNELS", "threads", runs),
                     condition_json("strict", "VR_KERNELS", "fixed", runs), "runs", runs, "seed", "1", "hold",
                     "kernels", "shuffled", "rounding", "sr", "level", "hash", "filter", "", "environment", "threads",
                     2, "timeout", 0.0);
}

static json_t *record_json(const char *called, int replica, int status, bool has_trace)
{
    const bool strict = *called == 's';
    char name[32], started[32];
    snprintf(name, sizeof name, "%s-%04d.h5", called, replica);
    snprintf(started, sizeof started, "2026-01-01T12:%02d:%02dZ", replica, strict ? 30 : 0);
    const double seconds = (strict ? 1.25 : 1.0) * (1 + 0.05 * replica) + (strict ? 0.01 : 0) * (replica % 2);
    json_t *traces = json_array();
    if (has_trace)
        json_array_append_new(traces, json_string(name));
    return json_pack("{s:s, s:i, s:s, s:i, s:b, s:i, s:n, s:b, s:i, s:i, s:s, s:f, s:f, s:f, s:I, s:i, s:i, s:s, s:s, "
                     "s:b, s:o}",
                     "format", "varanalyze campaign run", "version", 1, "condition", called, "replica", replica, "ok",
                     status == 0, "exit_status", status, "signal", "timed_out", 0, "tries", 1, "left_running", 0,
                     "started", started, "seconds", seconds, "user_seconds", 1.5 * seconds, "system_seconds", 0.05,
                     "peak_bytes", (json_int_t)(strict ? MIB(20) : MIB(25)), "output_bytes", 0, "error_bytes", 0,
                     "error_line", "", "note", "", "recovered", 0, "traces", traces);
}

/* Replica 3 of `strict` failed; with traces, those of the conditions above. */
static void write_campaign(const char *archive, int runs, bool has_traces)
{
    static const char *const names[] = {"loose", "strict"}, *const traces[] = {"threads", "fixed"};
    write_json("part.json", campaign_json(runs));
    add(archive, "part.json", "campaign.json", true);
    for (int run = 1; run <= runs; run++)
        for (int c = 0; c < 2; c++) {
            char member[64], trace[64];
            snprintf(member, sizeof member, "%s-%04d.json", names[c], run);
            write_json("part.json", record_json(names[c], run, c == 1 && run == 3, has_traces));
            add(archive, "part.json", member, false);
            snprintf(member, sizeof member, "%s-%04d.h5", names[c], run);
            snprintf(trace, sizeof trace, "%s-%d.h5", traces[c], run);
            if (has_traces)
                add(archive, trace, member, false);
        }
    unlink("part.json");
}

int main(int argc, char **argv)
{
    if (argc != 2 || chdir(argv[1]) != 0) {
        fputs("usage: make_costs FOLDER\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++)
        write_condition(&conditions[i]);
    write_campaign("campaign.tar", 4, true);
    write_campaign("whole.tar", 5, false);
    write_campaign("single.tar", 1, false);
    return 0;
}
