/* run_impl.h - a run in memory. */
#ifndef VR_RUN_IMPL_H
#define VR_RUN_IMPL_H

#include "filter.h"
#include "perturb.h"
#include "queue.h"
#include "sites.h"

#include <jansson.h>
#include <pthread.h>
#include <varanalyze/capture.h>

struct vr_run {
    uint64_t number;        /* among the process's runs, from 1 */
    vr_queue *queue;        /* NULL: nothing is recorded */
    char *trace, *journal;  /* the files that are written */
    char *archive, *member; /* where the trace goes at the end; NULL: it stays */
    char *name;             /* what the program is told: the trace's, or "archive:member" */
    uint64_t seed, replica;
    char *vary, *kernels, *rounding, *perturb_rules;
    vr_filter filter, final; /* final: of vr_record_final */
    uint32_t projection;     /* numbers in one */
    vr_perturb perturb;
    uint64_t perturb_key;
    uint32_t sample_values;
    uint64_t start; /* of the clock, as all times below */

    pthread_mutex_t lock; /* guards what follows, and the putting of frames */
    vr_sites sites;
    uint64_t step, step_start;
    uint32_t epoch;
    uint64_t payload;                  /* bytes so far */
    uint32_t thread_count, site_count; /* site_count: told to the trace */
    _Atomic bool dropped;
    uint64_t dropped_step;
    json_t *seeds;  /* by purpose, as told to the trace */
    json_t *groups; /* the names of group columns' values, by evaluation, as told to the trace */

    pthread_mutex_t evaluating; /* the columns of two evaluations do not mix; taken before `lock` */
};

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t vr_clock(void);

/* This thread's number in the run, by first call; and when its last call to the library ended. Both with the run's
 * lock. */
uint32_t vr_thread_number(vr_run *run);
uint64_t vr_thread_mark(const vr_run *run);
void vr_thread_set_mark(const vr_run *run, uint64_t clock);

/* Whether this is a forked child of the program that records: its records go nowhere, and the lock may be held by a
 * thread that it does not have. */
bool vr_run_is_forked(const vr_run *run);

/* Whether a tensor handed to the run is looked at: to be recorded, or to be perturbed. */
bool vr_run_takes_tensors(const vr_run *run);

/* Puts a frame, under the run's lock; the first one dropped is noted in the trace. False: dropped. */
bool vr_run_put(vr_run *run, uint32_t type, const void *head, size_t head_size, const void *body, size_t body_size);

/* Merges {key: value} into what the trace says of the run, under the run's lock; takes the value. */
void vr_run_tell(vr_run *run, const char *key, json_t *value);

/* The failure of a run whose trace is incomplete. */
vr_status vr_run_incomplete(const vr_run *run);

/* Completes the trace of a run that records (finish.c); the run's name says where it is then. */
vr_status vr_trace_finish(vr_run *run);

/* What the options and the environment say (control.c). Fails with VR_ERROR_ARGUMENT or VR_ERROR_MEMORY. */
vr_status vr_control_read(vr_run *run, const vr_run_options *options);

/* In a program compiled with vrcc: tells what its arithmetic rounds with. That is the environment's to say, whatever
 * the options are. */
void vr_control_tell_vrcc(vr_run *run);

/* Machine, program, libraries and environment (host.c), told to the trace. `names`: further environment variables. */
void vr_host_tell(vr_run *run, const char *names);

/* The most memory that the process has had so far (host.c). */
void vr_host_tell_memory(vr_run *run);

/* The rank and the number of ranks an MPI launcher gave this process; false when there was none. */
bool vr_host_rank(long *rank, long *size);

/* How a tensor is recorded. */
typedef struct vr_manner {
    vr_level least;        /* at this level or above */
    bool unfiltered;       /* at level `least` whatever the filter says, and never perturbed */
    bool projection;       /* with a projection; where `unfiltered` */
    const uint32_t *epoch; /* NULL: the current one */
} vr_manner;

vr_status vr_record_tensor(vr_run *run, const vr_site_key *key, const vr_manner *manner);

/* Whether a tensor can be recorded, its names' characters too. Fails with VR_ERROR_ARGUMENT or VR_ERROR_SHAPE. */
vr_status vr_record_check(const vr_site_key *key);

/* Records the projection of a tensor that was just recorded (project.c). */
vr_status vr_record_projection(vr_run *run, const vr_site_key *key);

#endif
