/* localize_session.h - a search under way: what its programs are at, how they are started, and what they have shown. */
#ifndef VA_LOCALIZE_SESSION_H
#define VA_LOCALIZE_SESSION_H

#include "localize.h"
#include "localize_pool.h"
#include "localize_runs.h"

/* What a seat of the pool is at. */
typedef struct va_work {
    va_run_kind kind;
    bool checking; /* the check of a run that has ended */
    va_question question;
    double seconds; /* that the run took */
} va_work;

typedef struct va_session {
    va_localize_folder *folder;
    const va_localize_options *options;
    const va_localize_task *task;
    va_plan plan;
    va_pool pool;
    va_work *works;        /* one for each seat */
    va_products *products; /* of the reference; NULL where there is a check */
    va_product_rule rule;
    char *reference;   /* its folder */
    va_reference base; /* and how it went */
    va_localized localized;
    va_verdict verdict;
    uint64_t number; /* of the runs that were begun here */
    double drawn;
    bool is_terminal, is_drawn;
} va_session;

/* Draws a line on how far it is, if there is a terminal and it is time; takes it away. */
void va_session_draw(va_session *s);
void va_session_clear(va_session *s);

/* Whether a command decides what is stable. */
bool va_session_has_check(const va_session *s);

/* A seat that is free; there is one. */
va_seat *va_session_seat(const va_session *s);
va_work *va_session_work(const va_session *s, const va_seat *seat);

/* Starts a run on a free seat; `question` is taken over, also on failure, and NULL but of trials. */
vr_status va_session_start(va_session *s, va_seat *seat, va_run_kind kind, const va_question *question);

/* Whether the program that has ended on a seat could be run and watched, and had room for its files; fails with
 * VR_ERROR_IO. */
vr_status va_session_check(const va_session *s, const va_seat *seat);

/* What a run, or its check, that has ended says. `*checking`: it is being checked now. Fails with VR_ERROR_ARGUMENT
 * (the check itself fails), VR_ERROR_IO, VR_ERROR_MEMORY. */
vr_status va_session_judge(va_kept *out, bool *checking, va_session *s, va_seat *seat);

/* Puts a run of a set into the journal. */
vr_status va_session_keep(va_session *s, const va_work *at, const va_kept *kept);

/* Forgets what was on a seat, and removes its folder. */
void va_session_drop(va_session *s, va_seat *seat);

#endif
