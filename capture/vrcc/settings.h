/* settings.h - what the environment says to the runtime, and what the runtimes of a process know of each other.
 *
 * A program and each shared library compiled with vrcc have a runtime of their own, which none of the others can see by
 * its symbols. Each has a note in its file that leads to its vrcc_state, so that the last one to end can report for
 * all.
 */
#ifndef VRCC_SETTINGS_H
#define VRCC_SETTINGS_H

#include "items.h"
#include "runtime.h"

#include <varanalyze/rounding.h>

#define VRCC_STATE_VERSION 1

typedef struct vrcc_state {
    uint32_t version; /* of this structure; those of others are not looked at */
    bool is_ended;
    vr_rounding rounding;
    uint64_t stream_key; /* of the threads' streams; each file that is loaded has others */
    vrcc_items only, exclude;
    bool has_only;
    bool counting;
    const char *count_path; /* NULL: standard error */
    vrcc_place *placed;     /* those that were decided */
} vrcc_state;

extern vrcc_state vrcc_self;

/* How an operation at a place rounds; it is counted as enum vrcc_count or vr_operation says. */
vr_rounding vrcc_rounding_at(vrcc_place *place, int counted_as);

/* The stream of the thread. */
vr_stream *vrcc_stream(void);

/* Says that this thread is the process's first, as far as can be known; sees to it that a process that is forked has
 * streams and counts of its own. */
void vrcc_first_thread(void);
void vrcc_watch_forks(void);

/* Reads the environment, the first time. Ends the program with a message where that cannot be understood. */
void vrcc_settings_read(void);

const char *vrcc_mode_name(vr_rounding_mode mode);

/* A number for the file that this runtime is a part of, by its name: 0 for the program, others for libraries. */
uint64_t vrcc_own_number(void);

/* Keeps the library that this runtime is a part of until the program ends. */
void vrcc_keep_loaded(void);

/* Calls `each` for the runtimes of all files that are loaded. */
void vrcc_each_state(void (*each)(void *context, vrcc_state *state), void *context);

/* Sets all counts to 0. */
void vrcc_forget_counts(void);

/* What was executed, and which items of VR_ROUNDING_ONLY were not; once, when the last runtime ends. */
void vrcc_end(void);

#endif
