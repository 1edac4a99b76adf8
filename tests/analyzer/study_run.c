#include "study_run.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <varanalyze/capture.h>

#define MOST 64 /* samples */

static void need(bool fine, const char *path)
{
    if (!fine) {
        fprintf(stderr, "study_run: %s: %s\n", path, vr_error());
        exit(2);
    }
}

static void evaluate(vr_run *run, const study_run *what)
{
    static const char *const values[] = {"no", "yes", NULL}, *const *const all_values[] = {values};
    uint64_t ids[MOST];
    int32_t labels[MOST], predictions[MOST], groups[MOST];
    float probabilities[MOST * 4];
    const char *texts = what->labels ? what->labels : "01201201";
    const size_t n = strlen(what->predictions), classes = (size_t)(what->classes ? what->classes : 3);
    for (size_t i = 0; i < n; i++) {
        const size_t at = what->backwards ? n - 1 - i : i;
        ids[i] = 100 + at;
        labels[i] = texts[at] - '0';
        predictions[i] = what->predictions[at] == '-' ? -1 : what->predictions[at] - '0';
        groups[i] = what->groups ? what->groups[at] - '0' : 0;
        if (what->probabilities)
            memcpy(probabilities + i * classes, what->probabilities + at * classes, classes * sizeof *probabilities);
    }
    need(vr_record_evaluation(run, &(vr_evaluation){.version = VR_EVALUATION_VERSION,
                                                    .name = what->set ? what->set : "test",
                                                    .count = n,
                                                    .classes = classes,
                                                    .ids = ids,
                                                    .labels = labels,
                                                    .predictions = predictions,
                                                    .probabilities = what->probabilities ? probabilities : NULL,
                                                    .loss = what->loss != 0 ? &what->loss : NULL,
                                                    .group_count = what->groups != NULL,
                                                    .group_names = (const char *const[]){"young"},
                                                    .groups = (const int32_t *const[]){groups},
                                                    .group_values = all_values}) == VR_OK,
         what->path);
}

static void write_run(const study_run *what)
{
    const uint64_t seed = what->seed ? what->seed : 1, replica = what->replica ? what->replica : 1;
    const vr_run_options options = {.version = VR_RUN_OPTIONS_VERSION,
                                    .trace = what->path,
                                    .level = "stats",
                                    .filter = what->history ? "weight:*=full" : "",
                                    .seed = &seed,
                                    .replica = &replica,
                                    .vary = what->vary ? what->vary : "",
                                    .kernels = what->kernels ? what->kernels : "fixed",
                                    .rounding = what->rounding ? what->rounding : "nearest",
                                    .environment = "",
                                    .final = what->level ? what->level : "full",
                                    .projection = 64};
    vr_run *run;
    need(vr_run_open(&run, &options) == VR_OK, what->path);
    if (what->note)
        vr_run_note(run, "data", what->note);
    for (int step = 0; step < (what->steps ? what->steps : 1); step++) {
        vr_run_step(run, (uint32_t)step);
        if (what->losses)
            vr_metric(run, "loss", what->losses[step], NULL);
        if (what->history) {
            const float weights[2] = {what->history[step], 1};
            vr_record(run, VR_WEIGHT, "fc", "weight", VR_TENSOR(VR_F32, weights, 2), NULL);
        }
    }
    if (what->predictions)
        evaluate(run, what);
    if (what->weights)
        need(vr_record_final(run, "fc", "weight", VR_TENSOR(VR_F32, what->weights, what->weight_count)) == VR_OK,
             what->path);
    if (what->broken_off) {
        vr_run_step(run, 9);
        _exit(0);
    }
    need(vr_run_close(run) == VR_OK, what->path);
}

void study_run_write(const study_run *what)
{
    int status = 0;
    if (!what->broken_off) {
        write_run(what);
        return;
    }
    const pid_t child = fork();
    if (child == 0)
        write_run(what);
    need(child > 0 && waitpid(child, &status, 0) == child && status == 0, what->path);
}

/* ---- the table ---- */

#define WEIGHTS(...) .weights = (const float[]){__VA_ARGS__}, .weight_count = 2
#define LOSSES(...)  .losses = (const double[]){__VA_ARGS__}, .steps = 4
#define YOUNG        .groups = "00110011"

/* Labels are 0 1 2 0 1 2 0 1. Of ALGO: 8, 7, 6 and 7 right of 8. */
static const study_run table[] = {
    {"study-broken.h5", .vary = "init,order", .replica = 9, .predictions = "00000000", YOUNG, .broken_off = true},
    {"algo-0001.h5", .vary = "init,order", .predictions = "01201201", YOUNG, .loss = 0.25, WEIGHTS(0, 0),
     LOSSES(2, 1.5, 1, 0.5)},
    {"algo-0002.h5", .vary = "init,order", .replica = 2, .predictions = "01201200", YOUNG, .loss = 0.5, WEIGHTS(3, 4),
     LOSSES(2.5, 1.75, 1, 0.5)},
    {"algo-0003.h5", .vary = "init,order", .replica = 3, .predictions = "02201100", .backwards = true, YOUNG,
     .loss = 0.75, WEIGHTS(0, 8), LOSSES(3, 2, 1.25, 0.5)},
    {"algo-0004.h5", .vary = "init,order", .replica = 4, .predictions = "01101201", YOUNG, .loss = 0.5, WEIGHTS(3, 4),
     LOSSES(2, 1.5, 1, 0.75)},
    {"impl-0001.h5", .vary = "kernels", .kernels = "atomic", .predictions = "01201201", YOUNG, .loss = 0.25,
     WEIGHTS(0, 1), LOSSES(2, 1.5, 1, 0.5)},
    {"impl-0002.h5", .vary = "kernels", .kernels = "atomic", .replica = 2, .predictions = "01201202", YOUNG,
     .loss = 0.5, WEIGHTS(0, 2), LOSSES(2, 1.5, 1, 0.5)},
    {"control-0001.h5", .predictions = "01201201", YOUNG, .loss = 0.25, WEIGHTS(0, 1), LOSSES(2, 1.5, 1, 0.5)},
    {"control-0002.h5", .predictions = "01201201", YOUNG, .loss = 0.25, WEIGHTS(0, 1), LOSSES(2, 1.5, 1, 0.5)},
    {"both-0001.h5", .vary = "init,order,kernels", .kernels = "atomic", .predictions = "01201201", YOUNG, .loss = 0.25,
     WEIGHTS(0, 1), LOSSES(2, 1.5, 1, 0.5)},
    {"both-0002.h5", .vary = "init,order,kernels", .kernels = "atomic", .replica = 2, .predictions = "00201221", YOUNG,
     .loss = 0.5, WEIGHTS(2, 1), LOSSES(2.25, 1.5, 1, 0.5)},
    {"grow-0001.h5", .vary = "order", .predictions = "01201201", WEIGHTS(0, 1),
     .history = (const float[]){0, 0, 0, 0, 0, 0}, .steps = 6},
    {"grow-0002.h5", .vary = "order", .replica = 2, .predictions = "01201201", WEIGHTS(32, 1),
     .history = (const float[]){1, 2, 4, 8, 16, 32}, .steps = 6},
    {"odd-predictions.h5", .predictions = "01201200", YOUNG, .loss = 0.25, WEIGHTS(0, 1), LOSSES(2, 1.75, 1, 0.5)},
    {"odd-weights.h5", .predictions = "01201201", YOUNG, .loss = 0.25, WEIGHTS(0, 1.5), LOSSES(2, 1.5, 1, 0.5)},
    {"odd-classes.h5", .classes = 4, .predictions = "01201203", YOUNG},
    {"odd-labels.h5", .labels = "01201202", .predictions = "01201201", YOUNG},
    {"odd-model.h5", .predictions = "01201201", YOUNG, .weights = (const float[]){1, 2, 3}, .weight_count = 3},
    {"odd-set.h5", .set = "validation", .predictions = "01201201", YOUNG},
    {"odd-nan.h5", .predictions = "0120120-", YOUNG, .loss = NAN, .level = "hash", WEIGHTS(5, 5)},
    {"odd-few.h5", .predictions = "012012", YOUNG, .loss = 0.5},
    {"odd-ungrouped.h5", .predictions = "01201201", .loss = 0.25},
    {"odd-loss.h5", .predictions = "01201201", YOUNG, .loss = 0.5},
    {"sure-0001.h5", .labels = "01", .predictions = "01", .probabilities = (const float[]){1, 0, 0, 0, 1, 0}},
    {"sure-0002.h5", .labels = "01", .predictions = "01", .probabilities = (const float[]){1, 0, 0, 0.25f, 0.75f, 0}},
    {"twin-0001.h5", .vary = "init,order", .replica = 2, .predictions = "01201200", YOUNG, .loss = 0.5, WEIGHTS(3, 4),
     LOSSES(2.5, 1.75, 1, 0.5)}, /* as algo-0002.h5 */
    {"odd-empty.h5", .vary = "init", .predictions = "", WEIGHTS(NAN, 1)},
    {"odd-wrong.h5", .vary = "init", .replica = 2, .predictions = "--------", WEIGHTS(NAN, 2)},
    {"odd-nothing.h5", .note = "no evaluation"},
};

/* Two classes with probabilities, and weights as projections. */
static void write_projected(void)
{
    static float weights[500];
    static const float probabilities[2][16] = {
        {0.75f, 0.25f, 0.125f, 0.875f, 0.5f, 0.5f, 0.25f, 0.75f, 1, 0, 0, 1, 0.625f, 0.375f, 0.25f, 0.75f},
        {0.75f, 0.25f, 0.875f, 0.125f, 0.5f, 0.5f, 0.25f, 0.75f, 1, 0, 0, 1, 0.375f, 0.625f, 0.25f, 0.75f}};
    for (int r = 0; r < 2; r++) {
        char path[32];
        snprintf(path, sizeof path, "projected-%d.h5", r + 1);
        for (int i = 0; i < 500; i++)
            weights[i] = (float)((i * 37 + r * (i % 7)) % 64) / 16;
        study_run_write(&(study_run){.path = path,
                                     .vary = "rounding",
                                     .rounding = "sr",
                                     .replica = (uint64_t)r + 1,
                                     .classes = 2,
                                     .labels = "01010101",
                                     .predictions = r ? "00010111" : "01010101",
                                     .groups = "00110011",
                                     .probabilities = probabilities[r],
                                     .weights = weights,
                                     .weight_count = 500,
                                     .level = "projection"});
    }
}

void study_runs_write(void)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        study_run_write(&table[i]);
    write_projected();
}
