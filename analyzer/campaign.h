/* campaign.h - many runs of one command: conditions, replicas of each, and how far they are.
 *
 * A condition names the purposes that vary from replica to replica (VR_VARY), or variables that it sets; its replicas
 * are numbered from 1. Replica
 * r of one condition has the same number as replica r of any other, so that conditions can be compared in pairs. Round
 * r is replica r of every condition, in an order drawn from the campaign's seed: what drifts on the machine meanwhile
 * meets all conditions alike.
 */
#ifndef VA_CAMPAIGN_H
#define VA_CAMPAIGN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <varanalyze/status.h>

#define VA_CAMPAIGN_FORMAT  "varanalyze campaign"
#define VA_CAMPAIGN_VERSION 1
#define VA_CAMPAIGN_MEMBER  "campaign.json"

#define VA_RUNS_MOST      1000000 /* of a campaign */
#define VA_CONDITION_MOST 64      /* bytes of a condition's name */

/* What names are made of: of conditions, purposes, modes and traces. */
#define VA_WORD_BYTES "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

typedef struct va_condition {
    char *name;       /* "algo"; "run" where the user named none */
    char *vary;       /* purposes, comma-separated, without repeats; "" for none */
    uint32_t count;   /* replicas */
    bool own_count;   /* it was given with the condition: the campaign's number does not change it */
    char **variables; /* "NAME=VALUE" that it sets beyond what the campaign does, NULL at the end; NULL: none */
} va_condition;

/* What defines a campaign; all strings are its own. Zeros are an empty one. */
typedef struct va_campaign {
    char **command;   /* NULL at the end */
    char *directory;  /* where it runs: absolute */
    char *hold;       /* purposes that must not vary */
    char *kernels;    /* VR_KERNELS where "kernels" varies */
    char *rounding;   /* VR_ROUNDING where "rounding" varies */
    char *level;      /* VR_LEVEL, "": not set */
    char *filter;     /* VR_FILTER, "": not set */
    char **variables; /* "NAME=VALUE" of further environment variables, sorted, NULL at the end */
    uint64_t seed;    /* VR_SEED */
    uint32_t runs;    /* replicas of conditions without a number of their own */
    uint32_t threads; /* OMP_NUM_THREADS; 0: not set by the campaign */
    double timeout;   /* seconds a run may take; 0: any */
    va_condition *conditions;
    size_t condition_count;
} va_campaign;

void va_campaign_free(va_campaign *campaign);

/* Frees a list with NULL at its end, and its strings. */
void va_strings_free(char **strings);

/* A list of purposes, as the user gave it: "all" becomes the known ones without those of `hold`. Fails with
 * VR_ERROR_ARGUMENT when a word is malformed or stands in `hold` too. The string is the caller's. */
vr_status va_purposes_parse(char **out, const char *list, const char *hold);

/* Whether a comma-separated list has the word. */
bool va_list_has(const char *list, const char *word);

/* A word of a list that is no known purpose, NULL: there is none. The word ends where the next ',' stands. */
const char *va_purposes_unknown(const char *list);

/* Adds the condition "NAME:LIST" or "NAME:LIST:N"; or "NAME:VARIABLE=VALUE[,VARIABLE=VALUE...]", where nothing varies
 * and those variables are set, modes (VR_KERNELS...) too; a word without '=' belongs to the value before it. Fails with
 * VR_ERROR_ARGUMENT. */
vr_status va_campaign_add_condition(va_campaign *campaign, const char *text);

/* Sets the variables of a condition that has none, "VARIABLE=VALUE[,VARIABLE=VALUE...]". Fails with VR_ERROR_ARGUMENT,
 * also where a variable is one that every run of a campaign has of its own. */
vr_status va_condition_set(va_condition *condition, const char *list);

/* Adds a condition by its parts. */
vr_status va_campaign_add(va_campaign *campaign, const char *name, size_t name_bytes, const char *vary, uint32_t count);

/* Conditions without a number of their own get `runs` replicas. Fails with VR_ERROR_ARGUMENT (too many). */
vr_status va_campaign_set_runs(va_campaign *campaign, uint32_t runs);

/* All runs of all conditions. */
uint64_t va_campaign_total(const va_campaign *campaign);

/* One run of it. */
typedef struct va_task {
    uint32_t condition, replica; /* replica: from 1 */
} va_task;

/* All runs in the order in which they are begun; the caller's array of va_campaign_total() entries. */
vr_status va_campaign_order(va_task **out, const va_campaign *campaign);

/* The name of a run, "algo-0001": of its members in the archive without what follows the dot. */
#define VA_RUN_NAME (VA_CONDITION_MOST + 16)
const char *va_run_name(char out[VA_RUN_NAME], const va_campaign *campaign, va_task task);

/* How a run ended. */
typedef struct va_outcome {
    bool done, timed_out;
    int exit_code;    /* -1: a signal ended it */
    int signal;       /* 0: it ended by itself */
    uint32_t tries;   /* the last of which this is */
    uint32_t left;    /* processes it had left running, which were ended */
    uint32_t traces;  /* in the archive */
    bool recovered;   /* a trace was completed from what a killed run left */
    char started[32]; /* UTC, ISO 8601 */
    double seconds, user_seconds, system_seconds;
    uint64_t peak_bytes;      /* resident memory of its largest process */
    uint64_t output_bytes[2]; /* kept of standard output and standard error */
    char error_line[200];     /* the last line of standard error */
    char note[200];           /* what of its trace or output is missing, and why */
} va_outcome;

bool va_outcome_is_ok(const va_outcome *outcome);

/* Adds to the note, as far as there is room. */
void va_outcome_note(va_outcome *outcome, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "ok", "exit status 3", "killed by signal 11 (Segmentation fault)", "timed out". */
#define VA_OUTCOME_TEXT 96
const char *va_outcome_text(char out[VA_OUTCOME_TEXT], const va_outcome *outcome);

/* How far a campaign is: an outcome for each run, conditions one after the other, replicas ascending. */
typedef struct va_ledger {
    const va_campaign *campaign;
    va_outcome *outcomes;
    uint64_t count;
} va_ledger;

vr_status va_ledger_open(va_ledger *out, const va_campaign *campaign);
void va_ledger_close(va_ledger *ledger);
va_outcome *va_ledger_at(const va_ledger *ledger, va_task task);

#endif
