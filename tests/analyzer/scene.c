#include "scene.h"

#include <omp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAMPLES  8
#define BATCH    4
#define FEATURES 3
#define HIDDEN   4
#define CLASSES  2
#define LARGEST  16 /* elements of a tensor */

typedef struct values {
    float at[LARGEST];
    int count;
} values;

typedef struct play {
    const scene *what;
    vr_run *run;
    uint64_t step;
    int seen;        /* records of the name to be poked, in its step */
    values fc1, fc2; /* weights */
} play;

static void give_up(const char *path)
{
    fprintf(stderr, "scene: %s: %s\n", path, vr_error());
    exit(2);
}

static void check(const play *p, vr_status status)
{
    if (status != VR_OK)
        give_up(vr_run_trace(p->run));
}

/* FNV-1a. */
static uint32_t mix(uint32_t hash, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * 16777619u;
    return hash;
}

static values draw(uint32_t state, int count)
{
    values out = {.count = count};
    for (int i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        out.at[i] = (float)((int)(state >> 24) - 128) / 16;
    }
    return out;
}

/* What an operation makes of its inputs, the list of which ends with NULL. */
static values compute(const char *operation, int count, ...)
{
    uint32_t state = mix(2166136261u, operation, strlen(operation));
    va_list inputs;
    va_start(inputs, count);
    for (const values *in; (in = va_arg(inputs, const values *));)
        state = mix(state, in->at, (size_t)in->count * sizeof *in->at);
    va_end(inputs);
    return draw(state, count);
}

static bool is_left_out(const play *p, const char *layer)
{
    return p->what->without && strcmp(p->what->without, layer) == 0;
}

static void poke(play *p, vr_phase phase, const char *layer, const char *name, values *v)
{
    char what[64];
    snprintf(what, sizeof what, "%s:%s/%s", vr_phase_name(phase), layer, name);
    const scene_poke *change = &p->what->poke;
    if (!change->what || change->step != p->step || strcmp(change->what, what) != 0 || p->seen++ != change->repeat)
        return;
    uint32_t bits;
    memcpy(&bits, &v->at[change->index], sizeof bits);
    bits = change->flip ? bits ^ change->flip : change->nan;
    memcpy(&v->at[change->index], &bits, sizeof bits);
}

/* Records the values, poked where the scene says so, with the inputs in the list. */
static void record(play *p, vr_phase phase, const char *layer, const char *name, values *v, int rows,
                   const char *const *inputs)
{
    values shown = *v;
    size_t count = 0;
    while (inputs[count])
        count++;
    poke(p, phase, layer, name, &shown);
    if (!p->what->poke.hidden)
        *v = shown;
    if (!is_left_out(p, layer))
        check(p, vr_record_inputs(p->run, phase, layer, name, VR_TENSOR(VR_F32, shown.at, rows, v->count / rows),
                                  inputs, p->what->nameless ? 0 : count));
}

#define INPUTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void set_up(play *p)
{
    const uint64_t seed = vr_run_seed(p->run, "init");
    p->fc1 = draw((uint32_t)seed, FEATURES * HIDDEN);
    p->fc2 = draw((uint32_t)(seed >> 32), HIDDEN * CLASSES);
    record(p, VR_WEIGHT, "fc1", "weight", &p->fc1, FEATURES, INPUTS("seed:init"));
    record(p, VR_WEIGHT, "fc2", "weight", &p->fc2, HIDDEN, INPUTS("seed:init"));
    if (p->what->note)
        check(p, vr_run_note(p->run, "data", p->what->note));
}

static void choose_order(const play *p, uint32_t epoch, uint32_t order[SAMPLES])
{
    if (p->what->order == SCENE_DRAWN)
        check(p, vr_run_order(p->run, epoch, SAMPLES, order));
    for (uint32_t i = 0; i < SAMPLES && p->what->order != SCENE_DRAWN; i++)
        order[i] = p->what->order == SCENE_PLAIN        ? i
                   : p->what->order == SCENE_IN_BATCHES ? i / BATCH * BATCH + BATCH - 1 - i % BATCH
                   : p->what->order == SCENE_BACKWARDS  ? SAMPLES - 1 - i
                                                        : SAMPLES + i;
}

static void record_batch(play *p, const uint32_t samples[BATCH], values *x)
{
    int32_t labels[BATCH];
    const bool drawn = p->what->order == SCENE_DRAWN;
    *x = (values){.count = BATCH * FEATURES};
    for (int i = 0; i < BATCH; i++) {
        labels[i] = (int32_t)(samples[i] % CLASSES);
        for (int j = 0; j < FEATURES; j++)
            x->at[i * FEATURES + j] = (float)(samples[i] * FEATURES + (uint32_t)j) / 8;
    }
    record(p, VR_INPUT, "batch", "x", x, BATCH, drawn ? INPUTS("order/permutation") : INPUTS(NULL));
    if (!is_left_out(p, "batch"))
        check(p, vr_record_inputs(p->run, VR_INPUT, "batch", "y", VR_TENSOR(VR_I32, labels, BATCH),
                                  INPUTS("order/permutation"), drawn && !p->what->nameless));
}

static void train(play *p, const uint32_t samples[BATCH])
{
    values x, gradient1, gradient2;
    record_batch(p, samples, &x);
    values out1 = compute("fc1", BATCH * HIDDEN, &x, &p->fc1, NULL);
    record(p, VR_FORWARD, "fc1", "out", &out1, BATCH, INPUTS("batch/x", "weight:fc1/weight"));
    values relu = compute("relu", BATCH * HIDDEN, &out1, NULL);
    for (int i = 0; i < (p->what->repeats ? p->what->repeats : 1); i++)
        record(p, VR_FORWARD, "relu", "out", &relu, BATCH,
               p->what->other_names ? INPUTS("batch/x") : INPUTS("fc1/out"));
    values out2 = compute("fc2", BATCH * CLASSES, &relu, &p->fc2, NULL);
    record(p, VR_FORWARD, "fc2", "out", &out2, p->what->wide ? CLASSES : BATCH,
           INPUTS("relu/out", "weight:fc2/weight"));
    if (!is_left_out(p, "metric"))
        check(p, p->what->nameless ? vr_metric(p->run, "loss", (double)out2.at[0], NULL)
                                   : vr_metric(p->run, "loss", (double)out2.at[0], "fc2/out", "batch/y", NULL));
    if (p->what->broken_off && p->step == (uint64_t)p->what->steps)
        _exit(0);

    gradient1 = compute("gradient1", FEATURES * HIDDEN, &x, &out2, NULL);
    gradient2 = compute("gradient2", HIDDEN * CLASSES, &relu, &out2, NULL);
    for (int i = 0; i < 2; i++)
        if ((i == 0) == p->what->swapped)
            record(p, VR_GRADIENT, "fc1", "weight", &gradient1, FEATURES, INPUTS("batch/x", "fc2/out"));
        else
            record(p, VR_GRADIENT, "fc2", "weight", &gradient2, HIDDEN, INPUTS("relu/out", "fc2/out"));
    p->fc1 = compute("update1", p->fc1.count, &p->fc1, &gradient1, NULL);
    p->fc2 = compute("update2", p->fc2.count, &p->fc2, &gradient2, NULL);
    record(p, VR_WEIGHT, "fc1", "weight", &p->fc1, FEATURES, INPUTS("gradient:fc1/weight", "weight:fc1/weight"));
    record(p, VR_WEIGHT, "fc2", "weight", &p->fc2, HIDDEN, INPUTS("gradient:fc2/weight", "weight:fc2/weight"));
}

static void set_environment(const scene *what)
{
    static const char *const mine[] = {
        "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMI_SIZE", "PMIX_RANK", "PMIX_SIZE",
        "SLURM_PROCID",         "SLURM_NTASKS"};
    extern char **environ;
    for (char **variable = environ; *variable;) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*variable, "="), *variable);
        const bool told = strncmp(name, "VR_", 3) == 0 || strncmp(name, "OMP_", 4) == 0 ||
                          strncmp(name, "GOMP_", 5) == 0 || strncmp(name, "KMP_", 4) == 0;
        if (!told || unsetenv(name) != 0)
            variable++;
    }
    for (size_t i = 0; i < sizeof mine / sizeof *mine; i++)
        unsetenv(mine[i]);
    if (what->rank) {
        char rank[16];
        snprintf(rank, sizeof rank, "%d", what->rank - 1);
        setenv("OMPI_COMM_WORLD_RANK", rank, 1);
        setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
    }
    omp_set_num_threads(what->threads ? what->threads : 2);
}

static void run(const char *path, const scene *what)
{
    static const uint64_t one = 1;
    play p = {.what = what};
    vr_run_options options = what->options;
    options.version = VR_RUN_OPTIONS_VERSION;
    options.trace = path;
    options.queue_bytes = 65536;
    options.seed = what->seed ? &what->seed : &one;
    options.vary = what->replica;
    options.replica = &one;
    set_environment(what);
    if (vr_run_open(&p.run, &options) != VR_OK)
        give_up(path);
    set_up(&p);
    uint32_t order[SAMPLES];
    for (int i = 0; i < what->steps; i++) {
        const uint32_t epoch = (uint32_t)(i / 2);
        if (i % 2 == 0)
            choose_order(&p, epoch, order);
        check(&p, vr_run_step(p.run, epoch));
        p.step++;
        train(&p, order + i % 2 * BATCH);
    }
    if (vr_run_close(p.run) != VR_OK)
        give_up(path);
}

void scene_write(const char *path, const scene *what)
{
    scene whole = *what;
    whole.steps = what->steps ? what->steps : 4;
    if (!whole.broken_off) {
        run(path, &whole);
        return;
    }
    fflush(NULL);
    int status;
    const pid_t child = fork();
    if (child == 0)
        run(path, &whole);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "scene: %s: the run did not break off as it should\n", path);
        exit(2);
    }
}

/* A path for a trace that is opened and forgotten. */
static const char *scratch_path(void)
{
    static char path[256];
    static int number;
    const char *folder = getenv("TMPDIR");
    snprintf(path, sizeof path, "%s/scene-%ld-%d.h5", folder && *folder ? folder : "/tmp", (long)getpid(), number++);
    return path;
}

static vr_trace *open_and_forget(const char *path)
{
    vr_trace *trace;
    if (vr_trace_open(&trace, path) != VR_OK)
        give_up(path);
    unlink(path);
    return trace;
}

vr_trace *scene_open(const scene *what)
{
    const char *path = scratch_path();
    scene_write(path, what);
    return open_and_forget(path);
}

vr_trace *scene_tell(const char *level, void (*tell)(vr_run *run, int side), int side)
{
    const char *path = scratch_path();
    vr_run *run;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.trace = path;
    options.level = level;
    set_environment(&(scene){.steps = 0});
    if (vr_run_open(&run, &options) != VR_OK)
        give_up(path);
    tell(run, side);
    if (vr_run_close(run) != VR_OK)
        give_up(path);
    return open_and_forget(path);
}
