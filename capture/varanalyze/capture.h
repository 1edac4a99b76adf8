/* capture.h - records a training run, so that it can be compared with another.
 *
 *     vr_run *run;
 *     vr_run_open(&run, NULL);                              // VR_TRACE=run1.h5 and friends say what to do
 *     init_weights(&net, vr_run_seed(run, "init"));
 *     for (unsigned epoch = 0; epoch < epochs; epoch++) {
 *         vr_run_order(run, epoch, n, order);               // the epoch's permutation of the samples
 *         for (size_t i = 0; i < n; i += batch) {
 *             vr_run_step(run, epoch);                      // one more step begins, the one before is finished
 *             ...
 *             vr_record(run, VR_FORWARD, "conv1", "out", VR_TENSOR(VR_F32, out, batch, 16, 8, 8),
 *                       "batch/x", "conv1/weight", NULL);
 *         }
 *     }
 *     vr_run_close(run);
 *
 * What a run records. A record is a tensor's digest and statistics (and more, by level), with the step, the phase, the
 * layer, the tensor's name and the names of the tensors it was computed from. From those names `varanalyze diff`
 * tells the operation that was the first to differ from those that only carried a difference on; so name all inputs.
 *
 * Naming inputs: "layer/name", or "phase:layer/name" where two phases use the same name ("gradient:conv1/weight"). It
 * means the latest record of that name before this one in the same step; for weights and optimizer state, also in the
 * step just before; for "order/permutation", in the epoch. "seed:PURPOSE" names a seed of vr_run_seed. Layers and names
 * may not be empty or longer than 255 bytes; a layer may contain '/', a name may not.
 *
 * Records before the first vr_run_step belong to step 0, the setup. Training steps count from 1.
 *
 * When nothing is to be recorded (no VR_TRACE, no VR_ARCHIVE), or the trace could not be opened, the run still hands
 * out seeds and orders, and recording does nothing. Every call takes a NULL run: seeds and orders are then those of
 * seed 1, nothing else is done. A failure of the trace never stops the program: after one, recording does nothing, the
 * trace says from which step on it is incomplete, and so does vr_run_close.
 *
 * Environment (options set in code win):
 *     VR_TRACE=PATH       where the trace goes; %p becomes the process id, %r the MPI rank
 *     VR_ARCHIVE=PATH     a tar archive that the trace is moved into when the run is closed, made when it is not there;
 *                         %p and %r as above. The member's name is the last part of VR_TRACE, or run.h5; where that is
 *                         taken, run-2.h5 and so on. Any number of processes may name the same archive
 *     VR_LEVEL=LEVEL      hash, stats (default), chunks, sample, full
 *     VR_FILTER=RULES     level by layer, phase and step; see vr_run_options.filter
 *     VR_FINAL=LEVEL      of the weights that training leaves, or rules; see vr_run_options.final
 *     VR_PROJECTION=K     numbers that a projection has (default 1024); a power of two from 64 to 16384
 *     VR_SEED=N           the seed all others are derived from (default 1)
 *     VR_VARY=LIST        which purposes take another seed in each replica: init,order,... (default none)
 *     VR_REPLICA=N        number of this replica (default: drawn from the system when VR_VARY is not empty)
 *     VR_KERNELS, VR_ROUNDING   kernel and rounding modes, recorded with the run; for programs that compute with
 *                         kernels.h, which also knows VR_ROUNDING_PRECISION and VR_ROUNDING_BITS
 *     VR_PERTURB=RULES    noise put into tensors as they are recorded; see "Perturbation"
 *     VR_QUEUE=BYTES      size of the queue to the writer thread, with suffix k or M
 *     VR_ENV=NAMES        further environment variables to keep with the run (OMP_*, GOMP_*, KMP_* and VR_* always are)
 *
 * Perturbation, for programs whose kernels cannot be replaced: VR_PERTURB is a list of rules, separated by commas,
 * [PHASE:]LAYER[/NAME]=CHANGE[:SHARE][@STEP[-STEP]], the first that matches a tensor decides. LAYER is a glob for the
 * layer, or for "layer/name". SHARE of the elements, drawn one by one, are changed (default 1), in those steps (default
 * all). With e = floor(log2|x|) an element x becomes, rounded to nearest in its type,
 *     bit:B     x + 2^(e - B) or x - 2^(e - B): noise at bit B behind the leading one; bit:23 is an ulp of f32
 *     noise:T   x + 2^(e - T + 1) xi, xi uniform in (-1/2, 1/2): Monte Carlo arithmetic's inexact(x) at T bits
 *     sum:N     the sum of N terms that add up to x, taken in a random order in f32 (of f64: in f64): what another
 *               order of summation in the layer does to its output
 * The program's own memory is changed when it is recorded, whether or not there is a trace, so what follows computes
 * with it; the trace holds what it became. Memory that cannot be written is left alone, and the call fails with
 * VR_ERROR_UNSUPPORTED. Zeros, NaN, infinities, integers, metrics and evaluations are never changed, and nothing
 * becomes infinite. The noise follows the seed for "perturb", by tensor and by the number of the record call.
 *
 * Threads: every call may come from any thread. Crash: see docs/trace-format.md; whatever was recorded when the process
 * died, by SIGKILL too, is in the trace. A later run on the same path keeps such a trace as PATH.journal.old. While a
 * run lasts whose trace goes into an archive, that is ARCHIVE.HOST.PID.N.h5.journal, beside the archive.
 */
#ifndef VARANALYZE_CAPTURE_H
#define VARANALYZE_CAPTURE_H

#include <varanalyze/tensor.h>
#include <varanalyze/trace.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vr_run vr_run;

/* Options: zero or NULL leaves the choice to the environment, then to the default. */
typedef struct vr_run_options {
    unsigned version;   /* VR_RUN_OPTIONS_VERSION */
    const char *trace;  /* path of the trace; "" records nothing whatever the environment says */
    const char *level;  /* as VR_LEVEL */
    const char *filter; /* rules "[phase:]LAYER=level[/every]", comma-separated, the first that matches a record
                           decides: "conv*=full/100,gradient:*=hash,debug*=off". LAYER is a glob; every n: steps n, 2n,
                           ... and the setup. A level "projection" is stats and a projection, see
                           varanalyze/projection.h. Evaluations are always full; only a rule that names their
                           phase leaves them out, or level off: "evaluation:train=off" */
    const uint64_t *seed;
    const char *vary;
    const uint64_t *replica;
    const char
        *kernels; /* as VR_KERNELS: fixed (default), threads, atomic, shuffled, exact, or a name of the program's own */
    const char *rounding;    /* as VR_ROUNDING: nearest (default), sr, ud, or a name of the program's own */
    const char *environment; /* as VR_ENV: comma-separated names, '*' at the end of a name allowed */
    size_t queue_bytes;      /* default 8 MiB, at least 64 KiB */
    uint32_t sample_values;  /* values kept of a tensor at level sample; default 64 */
    const char *archive;     /* as VR_ARCHIVE; "" for none whatever the environment says */
    const char *perturb;     /* as VR_PERTURB; "" for none */
    const char *final;   /* as VR_FINAL: a level, or rules "LAYER=level" as of the filter, for vr_record_final; default
                            projection. No less than the filter gives these weights */
    uint32_t projection; /* as VR_PROJECTION */
} vr_run_options;

#define VR_RUN_OPTIONS_VERSION 4 /* 3, without the last two, is taken as well */
#define VR_RUN_OPTIONS_INIT                                                                                            \
    {                                                                                                                  \
        .version = VR_RUN_OPTIONS_VERSION                                                                              \
    }

/* Begins a run. `*out` is a usable run even when this fails: one that records nothing; it is NULL only with
 * VR_ERROR_MEMORY. Fails with VR_ERROR_ARGUMENT (an option or variable is malformed) or VR_ERROR_IO (the trace cannot
 * be created). */
VR_API vr_status vr_run_open(vr_run **out, const vr_run_options *options);

/* Ends the run, completes the trace and frees the run. An existing file of the trace's name is replaced only now.
 * VR_ERROR_INCOMPLETE: something could not be recorded; the message says from which step on. VR_ERROR_IO: the trace
 * could not be completed and stays as PATH.journal, which varanalyze reads all the same; or it could not be put into
 * the archive and stays beside it. The message says where it is. */
VR_API vr_status vr_run_close(vr_run *run);

/* The same, and gives the name of the trace as vr_trace_open takes it: its path, or "runs.tar:run-2.h5". `*trace` is
 * the caller's to free, NULL when nothing was recorded. */
VR_API vr_status vr_run_finish(vr_run *run, char **trace);

/* Whether records go anywhere. */
VR_API bool vr_run_is_recording(const vr_run *run);

/* The name that the trace will have, NULL when nothing is recorded: its path, or "runs.tar:run.h5", to which the
 * archive adds a number when that is taken; vr_run_finish gives the final one. Belongs to the run. */
VR_API const char *vr_run_trace(const vr_run *run);

/* The seed for a purpose ("init", "order", "dropout", ...): derived from the run's seed, and from the replica's number
 * where VR_VARY names the purpose. Kept with the trace. */
VR_API uint64_t vr_run_seed(vr_run *run, const char *purpose);

/* Writes the permutation of 0..n-1 for `epoch` to `order`, from the seed for "order"; records it as input
 * "order/permutation". */
VR_API vr_status vr_run_order(vr_run *run, uint32_t epoch, size_t n, uint32_t *order);

/* Finishes the current step and begins the next. A finished step survives any crash. */
VR_API vr_status vr_run_step(vr_run *run, uint32_t epoch);

/* Records a tensor; the list of names of its inputs ends with NULL. The values are copied or consumed before the call
 * returns. The time since this thread's previous call to the library counts as the operation's duration. */
VR_API vr_status vr_record(vr_run *run, vr_phase phase, const char *layer, const char *name, vr_tensor tensor, ...)
#if defined(__GNUC__)
    __attribute__((sentinel))
#endif
    ;

/* The same with the names in an array. */
VR_API vr_status vr_record_inputs(vr_run *run, vr_phase phase, const char *layer, const char *name, vr_tensor tensor,
                                  const char *const *inputs, size_t input_count);

/* Records a number under phase metric, layer "metric": loss, accuracy, learning rate. The value is always kept. */
VR_API vr_status vr_metric(vr_run *run, const char *name, double value, ...)
#if defined(__GNUC__)
    __attribute__((sentinel))
#endif
    ;

/* Restarts this thread's clock: what follows, up to the next record, is the operation's duration. */
VR_API void vr_mark(vr_run *run);

/* Records a weight as training leaves it, once for each before the run is closed: under phase weight, at the level that
 * VR_FINAL says for its layer. By default that is its digest, its statistics and its projection, from which the
 * distances of runs' weights are estimated, see varanalyze/projection.h; `name` then has at most 244 bytes. */
VR_API vr_status vr_record_final(vr_run *run, const char *layer, const char *name, vr_tensor tensor);

/* What a model said of `count` samples. Only `version`, `name`, `count`, `labels` and `predictions` are needed. */
typedef struct vr_evaluation {
    unsigned version; /* VR_EVALUATION_VERSION */
    const char *name; /* of the set: "test", "validation" */
    size_t count;
    size_t classes;              /* 0: not said, and then labels and predictions are not checked */
    const uint64_t *ids;         /* [count], by which runs are joined; no two the same. NULL: 0 .. count-1 */
    const int32_t *labels;       /* [count], in 0 .. classes-1 */
    const int32_t *predictions;  /* [count], in 0 .. classes-1, or -1: none */
    const void *probabilities;   /* [count][classes], or NULL; any values, NaN too */
    vr_dtype probabilities_type; /* VR_F32, which 0 stands for, or VR_F64 */
    const void *losses;          /* [count], each sample's, or NULL; any values, NaN too */
    vr_dtype losses_type;        /* as above */
    const double *loss;          /* of the whole set, or NULL */
    size_t group_count;
    const char *const *group_names;         /* [group_count]: columns such as "male", "young" */
    const int32_t *const *groups;           /* [group_count][count] */
    const char *const *const *group_values; /* [group_count], or NULL: names of the values 0, 1, ..., ended by NULL; an
                                               entry NULL: none. At most 4096 bytes a column */
    const char *const *inputs;              /* names of the tensors it was computed from, as for vr_record */
    size_t input_count;
} vr_evaluation;

#define VR_EVALUATION_VERSION 1
#define VR_EVALUATION_INIT                                                                                             \
    {                                                                                                                  \
        .version = VR_EVALUATION_VERSION                                                                               \
    }

/* Records an evaluation, all of it or, with VR_ERROR_ARGUMENT, nothing: under phase evaluation, layer `name`, tensors
 * "ids", "labels", "predictions", "probabilities", "losses", "loss", "group:NAME" and "classes", all with their values
 * whatever the level. No step may begin meanwhile. varanalyze/evaluation.h reads it. */
VR_API vr_status vr_record_evaluation(vr_run *run, const vr_evaluation *evaluation);

/* Keeps a word of the program's own with the run: a data set's name, a fault that was injected. `varanalyze diff` names
 * notes that differ. */
VR_API vr_status vr_run_note(vr_run *run, const char *key, const char *value);

#ifdef __cplusplus
}
#endif
#endif
