/* localize_plan.h - what is to be known of a program, run by run: which functions make its result unstable, which of
 * their lines, and how much each does.
 *
 * Like the search (localize_search.h), the plan asks for runs and gives up at the first that is not done. It is begun
 * anew after each run; with guesses in place of results it says which runs will be wanted next, so that several can be
 * made at once.
 */
#ifndef VA_LOCALIZE_PLAN_H
#define VA_LOCALIZE_PLAN_H

#include "localize_journal.h"
#include "localize_search.h"
#include "localize_sites.h"

typedef struct va_plan {
    const va_counted *counted;
    const va_journal *journal;
    uint32_t samples; /* runs of a set that is taken for stable */
    double at_least;  /* bits that have to be left; negative: half of the precision */
    bool lines;       /* also search the lines of what is found */
} va_plan;

/* Runs of one set. */
typedef struct va_figure {
    uint32_t runs, unstable;
    va_kept least; /* of the run with the least share */
} va_figure;

typedef struct va_found_function {
    uint32_t function;
    va_figure alone, without; /* when only it is rounded; when all but it are */
} va_found_function;

/* Lines that are unstable together. */
typedef struct va_found_lines {
    uint32_t *sites; /* one of each line */
    size_t count;
    va_figure together;
} va_found_lines;

/* Functions that are unstable together: mostly one. */
typedef struct va_found {
    va_found_function *functions; /* fewest bits alone first */
    size_t count;
    va_figure together;
    uint32_t sample; /* a run in which they were unstable */
    va_found_lines *lines;
    size_t line_count;
} va_found;

/* Start with zeros. */
typedef struct va_localized {
    va_figure all, rest; /* all functions; all but those found */
    va_found *found;     /* fewest bits first */
    size_t count;
    const char *stage; /* of a plan that is not done: what is searched */
    size_t left;       /* and among how many */
} va_localized;

/* A run that is wanted. */
typedef struct va_question {
    vr_digest set;
    uint32_t sample;
    size_t items;    /* functions or lines */
    uint64_t *sites; /* the caller's */
} va_question;

/* VA_STABLE: the result is, and va_localized.all says how; VA_UNSTABLE: `out` is complete; VA_UNKNOWN: runs are wanted;
 * VA_STUCK: it fails with VR_ERROR_MEMORY, or VR_ERROR_ARGUMENT (unstable without any noise that was asked for). */
va_verdict va_plan_run(va_localized *out, const va_plan *plan);
void va_localized_free(va_localized *localized);

/* The runs that are wanted next, those that are wanted for certain first, `room` at most, and none of `busy`; then
 * those of which it depends on the result of others whether they are, while that is likely enough. `*out_count` of
 * them. Returns what va_plan_run does. */
va_verdict va_plan_next(va_question *out, size_t *out_count, size_t room, va_localized *localized, const va_plan *plan,
                        const va_question *busy, size_t busy_count);

/* Whether that is enough. */
bool va_kept_enough(const va_plan *plan, const va_kept *kept);

#endif
