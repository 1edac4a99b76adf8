/* The report of a study from traces: conditions by what they say, figures worked by hand, and runs that do not belong.
 */
#include "study_run.h"
#include "study_scene.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <study_report.h>

#include <cmocka.h>

#include "scratch.h"

#define NEAR 1e-12

/* ---- names of conditions ---- */

typedef struct naming {
    const char *about;    /* what the runs say of themselves; '|' between two runs */
    const char *expected; /* names, ';' between */
} naming;

#define ABOUT(vary, kernels) "{\"seed\":\"1\",\"vary\":[" vary "],\"kernels\":\"" kernels "\",\"rounding\":\"nearest\"}"

static const naming namings[] = {
    {ABOUT("", "fixed"), "Control"},
    {ABOUT("", "shuffled"), "Control"}, /* by a seed that is held */
    {ABOUT("", "atomic"), "IMPL"},
    {ABOUT("\"kernels\"", "shuffled"), "IMPL"},
    {ABOUT("\"init\",\"order\"", "fixed"), "ALGO"},
    {ABOUT("\"order\",\"init\",\"shift\",\"dropout\"", "fixed"), "ALGO"},
    {ABOUT("\"init\",\"order\",\"kernels\"", "atomic"), "ALGO+IMPL"},
    {ABOUT("\"init\",\"order\"", "atomic"), "ALGO+IMPL"},
    {ABOUT("\"init\"", "fixed"), "init"},
    {ABOUT("\"init\",\"kernels\"", "atomic"), "init+kernels"},
    {ABOUT("\"rounding\"", "fixed"), "rounding"},
    {ABOUT("\"kernels\",\"rounding\"", "atomic"), "IMPL+rounding"},
    {ABOUT("\"init\",\"order\",\"rounding\"", "fixed"), "ALGO+rounding"},
    {ABOUT("\"crop\"", "fixed"), "crop"},
    {ABOUT("\"init\",\"order\",\"crop\"", "fixed"), "init+order+crop"},
    {"{\"seed\":\"1\",\"vary\":[]}|{\"seed\":\"2\",\"vary\":[]}", "seed"},
    {ABOUT("\"init\",\"order\"", "fixed") "|" ABOUT("\"init\",\"order\",\"shift\"", "fixed"),
     "init+order+shift;init+order"},
    {ABOUT("\"kernels\"", "atomic") "|" ABOUT("\"kernels\"", "shuffled"),
     "kernels (atomic, nearest);kernels (shuffled, nearest)"},
    {ABOUT("", "fixed") "|" ABOUT("\"init\",\"order\"", "fixed"), "ALGO;Control"},
    {"{\"seed\":\"1\",\"vary\":[],\"kernels\":\"threads\",\"threads\":2}|"
     "{\"seed\":\"1\",\"vary\":[],\"kernels\":\"threads\",\"threads\":4}",
     "threads"},
};

static va_study *study_of(const char *about, const va_study_choice *choice)
{
    va_study *study = calloc(1, sizeof *study);
    assert_non_null(study);
    study->runs = calloc(4, sizeof *study->runs);
    for (const char *at = about; *at;) {
        const char *why;
        const size_t length = strcspn(at, "|");
        va_study_run *run = &study->runs[study->run_count++];
        run->path = strdup("runs.tar:algo-0012.h5");
        run->about = json_loadb(at, length, 0, NULL);
        assert_non_null(run->about);
        assert_int_equal(va_study_label(run, choice, &why), VR_OK);
        at += length + (at[length] == '|');
    }
    return study;
}

static void test_names(void **state)
{
    (void)state;
    const va_study_choice choice = VA_STUDY_CHOICE_INIT;
    for (size_t i = 0; i < sizeof namings / sizeof *namings; i++) {
        char names[256] = "";
        va_study *study = study_of(namings[i].about, &choice);
        assert_int_equal(va_study_group(study, &choice), VR_OK);
        for (int c = 0; c < study->condition_count; c++) {
            const size_t used = strlen(names);
            snprintf(names + used, sizeof names - used, "%s%s", c ? ";" : "", study->conditions[c].name);
            assert_int_equal(study->conditions[c].control, strcmp(study->conditions[c].name, "Control") == 0);
        }
        assert_string_equal(names, namings[i].expected);
        va_study_close(study);
    }
}

/* A condition of the user's own may hold runs of several modes: then it is no Control. */
static void test_mixed_modes(void **state)
{
    (void)state;
    char *const named[] = {"all=*"};
    const va_study_choice choice = {.named = named, .named_count = 1};
    va_study *study = study_of("{\"vary\":[],\"kernels\":\"fixed\",\"rounding\":\"nearest\"}|"
                               "{\"vary\":[],\"kernels\":\"threads\",\"rounding\":\"sr\"}",
                               &choice);
    assert_int_equal(va_study_group(study, &choice), VR_OK);
    assert_int_equal(study->condition_count, 1);
    assert_string_equal(study->conditions[0].varied, "kernels, rounding");
    assert_false(study->conditions[0].control);
    va_study_close(study);
}

static void check_label(const char *about, va_study_choice choice, const char *expected)
{
    va_study *study = study_of(about, &choice);
    if (expected)
        assert_string_equal(study->runs[0].label, expected);
    else
        assert_null(study->runs[0].label);
    va_study_close(study);
}

static void check_name(const char *path, const char *expected)
{
    const va_study_choice choice = {.by = "name"};
    const char *why;
    va_study_run run = {.path = (char *)path};
    assert_int_equal(va_study_label(&run, &choice, &why), VR_OK);
    assert_string_equal(run.label, expected);
    free(run.label);
}

static void test_labels(void **state)
{
    (void)state;
    check_name("algo-0001.h5", "algo");
    check_name("folder-1/runs.tar:algo-0001.3.h5", "algo");
    check_name("runs/v1.2-0007.hdf5", "v1.2");
    check_name("v1.2.h5", "v1.2");
    check_name("run_12", "run");
    check_name("run12.h5", "run12");
    check_name("7.h5", "7");
    check_name(".h5", ".h5");
    static const char about[] = "{\"threads\":4,\"host\":{\"name\":\"a.b\"},\"vary\":[\"init\"]}";
    char *const named[] = {"x=beta*", "y=algo-00*", "z=*"}, *const whole[] = {"w=runs.tar:*"};
    check_label(about, (va_study_choice){.by = "name"}, "algo");
    check_label(about, (va_study_choice){.by = "threads"}, "4");
    check_label(about, (va_study_choice){.by = "host.name"}, "a.b");
    check_label(about, (va_study_choice){.by = "vary"}, "0000001 ? ? ");
    check_label(about, (va_study_choice){.by = "host.cpu"}, NULL);
    check_label(about, (va_study_choice){.by = "host"}, NULL);
    check_label(about, (va_study_choice){.named = named, .named_count = 3}, "y");
    check_label(about, (va_study_choice){.named = named, .named_count = 1}, NULL);
    check_label(about, (va_study_choice){.named = whole, .named_count = 1}, "w");
}

/* ---- reports of runs ---- */

typedef struct made {
    va_study *study;
    va_report *report;
} made;

static vr_status make(made *out, char *const *paths, int count, const va_study_choice *choice)
{
    const va_report_options options = VA_REPORT_OPTIONS_INIT;
    *out = (made){0};
    vr_status status = va_study_open(&out->study, paths, count, choice);
    if (status == VR_OK)
        status = va_report_make(&out->report, out->study, &options);
    return status;
}

static void unmake(made *m)
{
    va_report_free(m->report);
    va_study_close(m->study);
}

#define MAKE(m, ...) make(m, (char *[]){__VA_ARGS__}, (int)(sizeof(char *[]){__VA_ARGS__} / sizeof(char *)), &defaults)

static const va_study_choice defaults = VA_STUDY_CHOICE_INIT;

static const va_figure *figure(const made *m, va_section section, const char *condition, const char *item,
                               va_metric metric)
{
    int c = -1;
    for (int i = 0; i < m->study->condition_count; i++)
        if (strcmp(m->study->conditions[i].name, condition) == 0)
            c = i;
    const va_figure *f = va_report_find(m->report, section, c, item, metric);
    if (!f)
        fail_msg("no %s %s of '%s'", va_section_name(section), va_metric_name(metric), item);
    return f;
}

static void check(const made *m, va_section section, const char *item, va_metric metric, double expected)
{
    study_assert_near(va_metric_name(metric), figure(m, section, "ALGO", item, metric)->interval.estimate, expected,
                      NEAR);
}

/* Four runs of eight samples, labels 01201201; predictions and weights as study_run.c has them:
 *     01201201 (0,0), 01201200 (3,4), 02201100 (0,8), 01101201 (3,4). */
static void test_by_hand(void **state)
{
    (void)state;
    made m;
    assert_int_equal(MAKE(&m, "algo-*.h5"), VR_OK);
    assert_int_equal(m.study->run_count, 4);
    check(&m, VA_ACCURACY, "", VA_M_ACCURACY, (8 + 7 + 5 + 7) / 32.0);
    /* in eighths: mean 6.75, squares 1.5625 + 0.0625 + 3.0625 + 0.0625 = 4.75 */
    check(&m, VA_ACCURACY, "", VA_M_SD, sqrt(4.75 / 3) / 8);
    check(&m, VA_ACCURACY, "", VA_M_LOSS, 0.5);
    check(&m, VA_ACCURACY, "", VA_M_LOSS_SD, sqrt(0.125 / 3));
    /* pairs differ on 1 3 1 / 2 2 / 4 samples */
    check(&m, VA_CHURN, "", VA_M_CHURN, 13 / 6.0 / 8);
    check(&m, VA_CHURN, "", VA_M_CHURN_MAX, 4 / 8.0);
    /* samples 1, 2, 5 and 7 flip */
    check(&m, VA_CHURN, "", VA_M_FLIPPING, 4 / 8.0);
    /* |a - b|: 5 8 5 / 5 0 / 5; |a|: 0 5 8 5 */
    check(&m, VA_WEIGHTS, "", VA_M_L2, 28 / 6.0);
    check(&m, VA_WEIGHTS, "fc/weight", VA_M_L2, 28 / 6.0);
    /* class 2 (samples 2 and 5): 2, 2, 1 and 1 of 2; the other metrics of classes alike */
    check(&m, VA_CLASSES, "class 2", VA_M_ACCURACY, 0.75);
    check(&m, VA_CLASSES, "class 2", VA_M_SD, sqrt(1 / 12.0));
    check(&m, VA_CLASSES, "class 2", VA_M_SAMPLES, 2);
    /* young = yes (samples 2, 3, 6, 7): 4, 3, 3, 3 of 4 */
    check(&m, VA_GROUPS, "young = yes", VA_M_ACCURACY, 13 / 16.0);
    /* of class 1 there, sample 7 alone: missed by the second and third */
    check(&m, VA_GROUPS, "young = yes, class 1", VA_M_FNR, 0.5);
    /* the others are 2, 3 and 6: the fourth run takes 2 for it */
    check(&m, VA_GROUPS, "young = yes, class 1", VA_M_FPR, 1 / 12.0);
    check(&m, VA_CURVES, "training loss, step 1", VA_M_LOSS, 9.5 / 4);
    check(&m, VA_CURVES, "", VA_M_PARTING, 1);
    unmake(&m);
}

/* Two classes: the rates are those of class 1. Predictions 01010101 and 00010111 of labels 01010101. */
static void test_two_classes(void **state)
{
    (void)state;
    made m;
    assert_int_equal(MAKE(&m, "projected-*.h5"), VR_OK);
    /* young = no: samples 0, 1, 4, 5, of which 1 and 5 are positive; the second run misses 1 */
    const va_figure *f = figure(&m, VA_GROUPS, "rounding", "young = no", VA_M_FNR);
    study_assert_near("fnr", f->interval.estimate, 0.25, NEAR);
    f = figure(&m, VA_GROUPS, "rounding", "young = yes", VA_M_FPR); /* samples 2 and 6; the second run takes 6 for 1 */
    study_assert_near("fpr", f->interval.estimate, 0.25, NEAR);
    /* mean confidences: (.75 + .875 + .5 + .75 + 1 + 1 + .625 + .75) / 8 in both runs */
    f = figure(&m, VA_CALIBRATION, "rounding", "", VA_M_CONFIDENCE);
    study_assert_near("confidence", f->interval.estimate, 6.25 / 8, NEAR);
    f = figure(&m, VA_WEIGHTS, "rounding", "", VA_M_L2);
    assert_non_null(f->note);
    assert_non_null(strstr(f->note, "1 of 1 tensors estimated from projections to 64 numbers"));
    double squares = 0; /* the standard error of a squared distance is at most sqrt(2/64 (1 + 12/64)) = 0.193 of it */
    for (int i = 0; i < 500; i++) {
        const double apart = (i * 37 % 64 - (i * 37 + i % 7) % 64) / 16.0;
        squares += apart * apart;
    }
    assert_true(fabs(f->interval.estimate * f->interval.estimate / squares - 1) < 4 * 0.193);
    unmake(&m);
}

static void test_control(void **state)
{
    (void)state;
    made m;
    assert_int_equal(MAKE(&m, "control-*.h5"), VR_OK);
    assert_false(m.report->control_differs);
    assert_non_null(strstr(m.report->control, "bit-identical: predictions and weights of all 2 runs"));
    study_assert_near("sd", figure(&m, VA_ACCURACY, "Control", "", VA_M_SD)->interval.estimate, 0, 0);
    study_assert_near("churn", figure(&m, VA_CHURN, "Control", "", VA_M_CHURN)->interval.estimate, 0, 0);
    study_assert_near("l2", figure(&m, VA_WEIGHTS, "Control", "", VA_M_L2)->interval.estimate, 0, 0);
    unmake(&m);

    assert_int_equal(MAKE(&m, "control-*.h5", "odd-predictions.h5"), VR_OK);
    assert_true(m.report->control_differs);
    assert_non_null(strstr(m.report->control, "odd-predictions.h5 predicts otherwise than control-0001.h5"));
    assert_non_null(strstr(m.report->control, "they part at step 2 (epoch 1), metric metric/loss"));
    unmake(&m);

    /* A run without weights is no other run. */
    assert_int_equal(MAKE(&m, "control-*.h5", "odd-ungrouped.h5"), VR_OK);
    assert_false(m.report->control_differs);
    assert_non_null(strstr(m.report->control, "predictions of all 3 runs are the same, and weights of the 2 that"));
    unmake(&m);

    assert_int_equal(MAKE(&m, "control-0001.h5", "odd-ungrouped.h5"), VR_OK);
    assert_non_null(strstr(m.report->control, "predictions of all 2 runs are the same; one run alone recorded"));
    unmake(&m);

    assert_int_equal(MAKE(&m, "control-*.h5", "odd-loss.h5"), VR_OK);
    assert_true(m.report->control_differs);
    assert_non_null(strstr(m.report->control, "odd-loss.h5 has another loss than control-0001.h5"));
    unmake(&m);

    assert_int_equal(MAKE(&m, "sure-*.h5"), VR_OK);
    assert_true(m.report->control_differs);
    assert_non_null(strstr(m.report->control, "sure-0002.h5 gives other probabilities than sure-0001.h5"));
    unmake(&m);

    assert_int_equal(MAKE(&m, "control-*.h5", "odd-weights.h5"), VR_OK);
    assert_true(m.report->control_differs);
    assert_non_null(strstr(m.report->control, "odd-weights.h5 ended with other weights than control-0001.h5"));
    unmake(&m);
}

/* Four conditions are a design of two factors; 4 runs of ALGO have accuracies 8, 7, 5, 7 eighths, IMPL 8, 7, Control 8,
 * 8, both 8, 6: variances 19/12, 1/2, 0 and 2, in 64ths. */
static void test_design(void **state)
{
    (void)state;
    made m;
    assert_int_equal(MAKE(&m, "algo-*.h5", "impl-*.h5", "control-*.h5", "both-*.h5"), VR_OK);
    assert_int_equal(m.study->condition_count, 4);
    assert_string_equal(m.study->conditions[0].name, "ALGO+IMPL");
    assert_string_equal(m.study->conditions[3].name, "Control");
    study_assert_near("algo", figure(&m, VA_VARIANCE, "", "init+order", VA_M_VARIANCE)->interval.estimate,
                      19 / 12.0 / 64, NEAR);
    study_assert_near("impl", figure(&m, VA_VARIANCE, "", "kernels", VA_M_VARIANCE)->interval.estimate, 0.5 / 64, NEAR);
    study_assert_near("both", figure(&m, VA_VARIANCE, "", "init+order x kernels", VA_M_VARIANCE)->interval.estimate,
                      (2 - 19 / 12.0 - 0.5) / 64, NEAR);
    /* of ALGO and IMPL against ALGO+IMPL; Control is one run twice */
    size_t comparisons = 0;
    for (size_t i = 0; i < m.report->count; i++) {
        const va_figure *f = &m.report->figures[i];
        comparisons += f->section == VA_COMPARE && f->metric == VA_M_DIFFERENCE && strcmp(f->item, "accuracy") == 0;
        assert_true(f->section != VA_COMPARE || (f->condition != 3 && f->against == 0));
    }
    assert_int_equal(comparisons, 2);
    unmake(&m);
}

/* Weights 1, 2, 4, 8, 16 and 32 apart after steps 1 to 6: a factor of 2 a step, up to half of the largest. */
static void test_growth(void **state)
{
    (void)state;
    made m;
    assert_int_equal(MAKE(&m, "grow-*.h5"), VR_OK);
    const char *what = "distance of the weights";
    study_assert_near("step 4",
                      figure(&m, VA_CURVES, "order", "distance of the weights, step 4", VA_M_L2)->interval.estimate, 8,
                      NEAR);
    const va_figure *rate = figure(&m, VA_CURVES, "order", what, VA_M_RATE);
    study_assert_near("rate", rate->interval.estimate, log(2), NEAR);
    assert_non_null(strstr(rate->note, "steps 1 to 5"));
    study_assert_near("parting", figure(&m, VA_CURVES, "order", "", VA_M_PARTING)->interval.estimate, 1, 0);
    study_assert_near("at last", figure(&m, VA_WEIGHTS, "order", "", VA_M_L2)->interval.estimate, 32, NEAR);
    unmake(&m);
}

/* ---- what does not belong ---- */

static void check_left_out(const made *m, const char *path, const char *why, bool unreadable)
{
    for (size_t i = 0; i < m->study->left_count; i++)
        if (strcmp(m->study->left_out[i].path, path) == 0) {
            assert_non_null(strstr(m->study->left_out[i].why, why));
            assert_int_equal(m->study->left_out[i].unreadable, unreadable);
            return;
        }
    fail_msg("%s was not left out", path);
}

static void test_left_out(void **state)
{
    (void)state;
    made m;
    FILE *file = fopen("odd-text.h5", "w");
    assert_non_null(file);
    fputs("step,loss\n", file);
    fclose(file);
    assert_int_equal(
        MAKE(&m, "algo-*.h5", "algo-0001.h5", "study-broken.h5", "odd-nothing.h5", "odd-set.h5", "odd-text.h5"), VR_OK);
    assert_int_equal(m.study->left_count, 5);
    assert_int_equal(m.study->unreadable, 1);
    check_left_out(&m, "algo-0001.h5", "named twice", false);
    check_left_out(&m, "study-broken.h5", "broke off", false);
    check_left_out(&m, "odd-nothing.h5", "no evaluation", false);
    check_left_out(&m, "odd-set.h5", "no evaluation of 'test'", false);
    check_left_out(&m, "odd-text.h5", "", true);
    assert_int_equal(m.study->run_count, 4);
    unmake(&m);
}

/* The same run under another name is no other replica. */
static void test_copies(void **state)
{
    (void)state;
    made m;
    copy_file("copy-0001.h5", "algo-0002.h5");
    assert_int_equal(MAKE(&m, "algo-*.h5", "copy-*.h5", "./algo-0003.h5"), VR_OK);
    check_left_out(&m, "copy-0001.h5", "a copy of algo-0002.h5", false);
    check_left_out(&m, "./algo-0003.h5", "a copy of algo-0003.h5", false);
    check(&m, VA_CHURN, "", VA_M_CHURN, 13 / 6.0 / 8);
    unmake(&m);

    assert_int_equal(MAKE(&m, "control-0001.h5", "./control-0001.h5"), VR_OK);
    assert_true(isnan(figure(&m, VA_CONTROL, "Control", "", VA_M_IDENTICAL)->interval.estimate));
    unmake(&m);
}

static void check_refused(const char *a, const char *b, const char *why)
{
    made m;
    char *const paths[] = {(char *)a, (char *)b};
    assert_int_equal(make(&m, paths, 2, &defaults), VR_ERROR_ARGUMENT);
    if (!strstr(vr_error(), why))
        fail_msg("%s: not of %s", vr_error(), why);
    assert_true(strstr(vr_error(), a) || strstr(vr_error(), b));
    unmake(&m);
}

/* Turns one prediction of algo-0001.h5 into another; its digest stays. */
static void write_damaged(const char *path)
{
    static const int32_t predictions[8] = {0, 1, 2, 0, 1, 2, 0, 1}; /* the labels are the same, and stand before */
    static char bytes[1 << 20];
    FILE *file = fopen("algo-0001.h5", "rb");
    assert_non_null(file);
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    char *at = memmem(bytes, size, predictions, sizeof predictions);
    at = at ? memmem(at + 1, size - (size_t)(at + 1 - bytes), predictions, sizeof predictions) : NULL;
    assert_non_null(at);
    at[0] = 2;
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void test_damaged(void **state)
{
    (void)state;
    write_damaged("damaged.h5");
    made m;
    assert_int_equal(MAKE(&m, "damaged.h5", "algo-0002.h5"), VR_ERROR_FORMAT);
    assert_non_null(strstr(vr_error(), "damaged.h5: damaged trace: the values of test/predictions"));
    unmake(&m);
}

static void test_refused(void **state)
{
    (void)state;
    check_refused("control-0001.h5", "odd-classes.h5", "classes");
    check_refused("control-0001.h5", "odd-labels.h5", "other data");
    check_refused("control-0001.h5", "odd-model.h5", "different models");
    check_refused("odd-nothing.h5", "odd-nothing.h5", "no run is left");
}

/* One run: no spread, no churn, no distance, and nothing that stands for them. */
static void test_one_run(void **state)
{
    (void)state;
    made m;
    assert_int_equal(MAKE(&m, "algo-0002.h5"), VR_OK);
    check(&m, VA_ACCURACY, "", VA_M_ACCURACY, 7 / 8.0);
    check(&m, VA_ACCURACY, "", VA_M_SD, NAN);
    check(&m, VA_CHURN, "", VA_M_CHURN, NAN);
    check(&m, VA_WEIGHTS, "", VA_M_L2, NAN);
    assert_true(figure(&m, VA_ACCURACY, "ALGO", "", VA_M_SD)->interval.doubts & VA_DOUBT_UNDEFINED);
    unmake(&m);
}

static bool has_note(const made *m, const char *text)
{
    for (size_t i = 0; i < m->study->note_count; i++)
        if (strstr(m->study->notes[i], text))
            return true;
    return false;
}

/* Conditions that were evaluated on other samples are compared, and that is said. */
static void test_other_samples(void **state)
{
    (void)state;
    made m;
    char *const named[] = {"a=algo-*", "b=odd-*", "c=both-*"},
                *const paths[] = {"algo-*.h5", "odd-few.h5", "odd-nan.h5"}, *const alike[] = {"algo-*.h5", "both-*.h5"};
    const va_study_choice choice = {.named = named, .named_count = 3, .last_step = UINT64_MAX, .epoch = -1};
    assert_int_equal(make(&m, paths, 3, &choice), VR_OK);
    assert_true(has_note(&m, "b against a: evaluated on other samples (6 and 8)"));
    unmake(&m);

    assert_int_equal(make(&m, alike, 2, &choice), VR_OK);
    assert_false(has_note(&m, "other samples"));
    unmake(&m);
}

/* The same seeds in another process: another run, but no independent one. */
static void test_twins(void **state)
{
    (void)state;
    made m;
    assert_int_equal(MAKE(&m, "algo-*.h5", "twin-0001.h5"), VR_OK);
    assert_int_equal(m.study->run_count, 5);
    assert_true(has_note(&m, "ALGO: 1 of 5 runs are bit-identical to another"));
    unmake(&m);

    assert_int_equal(MAKE(&m, "algo-*.h5"), VR_OK);
    assert_false(has_note(&m, "bit-identical"));
    unmake(&m);
}

/* Fewer samples, no groups, no weights, a loss that is NaN, weights by digest alone. */
static void test_gaps(void **state)
{
    (void)state;
    made m;
    assert_int_equal(MAKE(&m, "control-*.h5", "odd-few.h5"), VR_OK);
    assert_true(has_note(&m, "6 that all have count, of up to 8"));
    assert_true(has_note(&m, "1 of 3 runs recorded no weights"));
    unmake(&m);

    assert_int_equal(MAKE(&m, "control-*.h5", "odd-ungrouped.h5"), VR_OK);
    assert_true(has_note(&m, "group 'young' is left out: odd-ungrouped.h5 has none"));
    unmake(&m);

    assert_int_equal(MAKE(&m, "control-*.h5", "odd-nan.h5"), VR_OK);
    const va_figure *loss = figure(&m, VA_ACCURACY, "Control", "", VA_M_LOSS);
    study_assert_near("loss", loss->interval.estimate, 0.25, NEAR);
    assert_non_null(strstr(loss->note, "in 1 of 3 runs"));
    assert_non_null(strstr(figure(&m, VA_ACCURACY, "Control", "", VA_M_ACCURACY)->note, "1 predictions name no class"));
    assert_true(has_note(&m, "no distance of the weights: of fc/weight there is neither projection nor value"));
    unmake(&m);
}

/* No samples in common, and weights that are no numbers: nothing is defined, and nothing is taken for a number. */
static void test_nothing_in_common(void **state)
{
    (void)state;
    made m;
    assert_int_equal(MAKE(&m, "odd-empty.h5", "odd-wrong.h5"), VR_OK);
    const va_figure *accuracy = figure(&m, VA_ACCURACY, "init", "", VA_M_ACCURACY);
    assert_true(isnan(accuracy->interval.estimate));
    assert_non_null(accuracy->note);
    assert_true(isnan(figure(&m, VA_CHURN, "init", "", VA_M_CHURN)->interval.estimate));
    assert_true(isnan(figure(&m, VA_WEIGHTS, "init", "", VA_M_L2)->interval.estimate));
    unmake(&m);

    assert_int_equal(MAKE(&m, "odd-wrong.h5"), VR_OK);
    study_assert_near("all wrong", figure(&m, VA_ACCURACY, "init", "", VA_M_ACCURACY)->interval.estimate, 0, 0);
    unmake(&m);
}

static int setup(void **state)
{
    const int result = scratch_setup(state);
    if (result == 0 && chdir(scratch_folder) == 0)
        study_runs_write();
    return result;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),    cmocka_unit_test(test_labels),        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_control),  cmocka_unit_test(test_two_classes),   cmocka_unit_test(test_design),
        cmocka_unit_test(test_left_out), cmocka_unit_test(test_refused),       cmocka_unit_test(test_one_run),
        cmocka_unit_test(test_gaps),     cmocka_unit_test(test_growth),        cmocka_unit_test(test_nothing_in_common),
        cmocka_unit_test(test_copies),   cmocka_unit_test(test_mixed_modes),   cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_twins),    cmocka_unit_test(test_other_samples),
    };
    return cmocka_run_group_tests(tests, setup, scratch_teardown);
}
