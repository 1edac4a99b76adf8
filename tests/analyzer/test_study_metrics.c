/* Metrics of small studies against values worked by hand, as fractions. */
#include "study_scene.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <study_calibration.h>
#include <study_churn.h>
#include <study_metrics.h>
#include <varanalyze/random.h>

#include <cmocka.h>

#define NEAR      1e-14
#define ROOT_2    1.4142135623730951
#define LENGTH(x) (sizeof(x) / sizeof *(x))

typedef struct small {
    const char *name;
    study_scene scene;
    size_t samples;
    double accuracy, sd, churn, one_correct, among_correct; /* the last two: means over pairs */
} small;

static const small smalls[] = {
    {"one replica", SCENE(2, TEXTS("abcd"), TEXTS("0101"), TEXTS("0100")), 4, 3 / 4.0, NAN, NAN, NAN, NAN},
    {"one replica and one sample", SCENE(2, TEXTS("a"), TEXTS("1"), TEXTS("1")), 1, 1, NAN, NAN, NAN, NAN},
    {"two the same", SCENE(2, TEXTS("abcd"), TEXTS("0101"), TEXTS("0101", "0101")), 4, 1, 0, 0, 0, 0},
    {"two differ once", SCENE(2, TEXTS("abcd"), TEXTS("0101"), TEXTS("0101", "0100")), 4, 7 / 8.0, ROOT_2 / 8, 1 / 4.0,
     1 / 4.0, 1 / 4.0},
    {"all wrong alike", SCENE(2, TEXTS("abcd"), TEXTS("0101"), TEXTS("1010", "1010")), 4, 0, 0, 0, 0, NAN},
    {"all wrong, not alike", SCENE(3, TEXTS("abcd"), TEXTS("0000"), TEXTS("1111", "2222")), 4, 0, 0, 1, 0, NAN},
    {"opposite", SCENE(2, TEXTS("abcd"), TEXTS("0101"), TEXTS("0101", "1010")), 4, 1 / 2.0, 1 / ROOT_2, 1, 1, 1},
    {"wrong in two ways", SCENE(3, TEXTS("abcd"), TEXTS("0012"), TEXTS("0102", "0212")), 4, 5 / 8.0, ROOT_2 / 8,
     1 / 2.0, 1 / 4.0, 1 / 3.0},
    {"three replicas", SCENE(2, TEXTS("ab"), TEXTS("01"), TEXTS("01", "00", "11")), 2, 2 / 3.0, 0.28867513459481287,
     2 / 3.0, 2 / 3.0, 2 / 3.0},
    {"one sample", SCENE(2, TEXTS("a"), TEXTS("1"), TEXTS("1", "0", "1")), 1, 2 / 3.0, 0.57735026918962573, 2 / 3.0,
     2 / 3.0, 2 / 3.0},
    {"no samples", SCENE(2, TEXTS(""), TEXTS(""), TEXTS("", "")), 0, NAN, NAN, NAN, NAN, NAN},
    {"no samples in common", SCENE(2, TEXTS("ab", "cd"), TEXTS("01"), TEXTS("01", "01")), 0, NAN, NAN, NAN, NAN, NAN},
    {"another order", SCENE(2, TEXTS("abcd", "dcba"), TEXTS("0111", "1110"), TEXTS("0110", "1100")), 4, 3 / 4.0, 0,
     1 / 2.0, 1 / 2.0, 1 / 2.0},
    {"another order, all alike", SCENE(2, TEXTS("abcd", "dbca"), TEXTS("0111", "1110"), TEXTS("0110", "0110")), 4,
     3 / 4.0, 0, 0, 0, 0},
    {"some samples in common", SCENE(2, TEXTS("abc", "bcd"), TEXTS("010", "100"), TEXTS("010", "110")), 2, 3 / 4.0,
     ROOT_2 / 4, 1 / 2.0, 1 / 2.0, 1 / 2.0},
    {"the last one has fewer",
     SCENE(2, TEXTS("abcd", "abcd", "db"), TEXTS("0101", "0101", "11"), TEXTS("0101", "1101", "10")), 2, 5 / 6.0,
     0.28867513459481287, 1 / 3.0, 1 / 3.0, 1 / 3.0},
    {"predicts no class", SCENE(2, TEXTS("ab"), TEXTS("01"), TEXTS("09", "01")), 2, 3 / 4.0, ROOT_2 / 4, 1 / 2.0,
     1 / 2.0, 1 / 2.0},
    {"no class in two ways", SCENE(2, TEXTS("ab"), TEXTS("01"), TEXTS("0-", "09")), 2, 1 / 2.0, 0, 1 / 2.0, 0, 0},
    {"as many classes as are named", SCENE(0, TEXTS("abc"), TEXTS("012"), TEXTS("015", "012")), 3, 5 / 6.0, ROOT_2 / 6,
     1 / 3.0, 1 / 3.0, 1 / 3.0},
    {"four replicas, two and two", SCENE(2, TEXTS("a"), TEXTS("0"), TEXTS("0", "0", "1", "1")), 1, 1 / 2.0,
     0.57735026918962573, 2 / 3.0, 2 / 3.0, 4 / 5.0},
    {"four replicas, none agree", SCENE(4, TEXTS("ab"), TEXTS("01"), TEXTS("01", "12", "23", "30")), 2, 1 / 4.0,
     1 / 2.0, 1, 1 / 2.0, 1},
    {"five replicas, one is out",
     SCENE(2, TEXTS("abcde"), TEXTS("00000"), TEXTS("00000", "00000", "00000", "00000", "11111")), 5, 4 / 5.0,
     0.44721359549995793, 2 / 5.0, 2 / 5.0, 2 / 5.0},
    {"one class only", SCENE(1, TEXTS("abc"), TEXTS("000"), TEXTS("000", "000")), 3, 1, 0, 0, 0, 0},
};

static void check_small(const small *of)
{
    char what[128];
    va_table *table = study_table(&of->scene);
    va_metrics *metrics;
    va_churn *churn;
    assert_int_equal(va_metrics_of(&metrics, table), VR_OK);
    assert_int_equal(va_churn_of(&churn, table), VR_OK);
    assert_int_equal(table->samples, of->samples);
    const struct {
        const char *what;
        double value, expected;
    } figures[] = {{"accuracy", metrics->accuracy_spread.mean, of->accuracy},
                   {"sd of accuracy", metrics->accuracy_spread.sd, of->sd},
                   {"churn", churn->mean, of->churn},
                   {"churn over pairs", churn->over_pairs.mean, of->churn},
                   {"one correct", churn->one_correct_spread.mean, of->one_correct},
                   {"among correct", churn->among_correct_spread.mean, of->among_correct}};
    for (size_t i = 0; i < LENGTH(figures); i++) {
        snprintf(what, sizeof what, "%s: %s", of->name, figures[i].what);
        study_assert_near(what, figures[i].value, figures[i].expected, NEAR);
    }
    assert_true((va_churn_lacks(churn) == NULL) == !isnan(of->churn));
    assert_true((va_spread_lacks(&metrics->accuracy_spread) == NULL) == !isnan(of->sd));
    va_metrics_free(metrics);
    va_churn_free(churn);
    va_table_free(table);
}

static void test_small_studies(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(smalls); i++)
        check_small(&smalls[i]);
}

/* ---- spreads ---- */

static void test_spreads(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double values[6];
        size_t n;
        va_spread expected;
    } cases[] = {
        {"nothing", {0}, 0, {0, 0, NAN, NAN, NAN, NAN}},
        {"one", {3}, 1, {1, 0, 3, 3, 3, NAN}},
        {"two", {1, 3}, 2, {2, 0, 2, 1, 3, ROOT_2}},
        {"equal, not exact in binary", {0.1, 0.1, 0.1, 0.1, 0.1, 0.1}, 6, {6, 0, 0.1, 0.1, 0.1, 0}},
        {"two to six", {2, 4, 4, 4, 5, 5}, 6, {6, 0, 4, 2, 5, 1.0954451150103321}}, /* sqrt(6 / 5) */
        {"NaN", {1, NAN, 3}, 3, {2, 1, 2, 1, 3, ROOT_2}},
        {"all NaN", {NAN, NAN}, 2, {0, 2, NAN, NAN, NAN, NAN}},
        {"infinite", {1, INFINITY, -INFINITY}, 3, {1, 2, 1, 1, 1, NAN}},
        {"far from 0", {1e9, 1e9 + 1, 1e9 + 2}, 3, {3, 0, 1e9 + 1, 1e9, 1e9 + 2, 1}},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const va_spread spread = va_spread_of(cases[i].values, cases[i].n), *expected = &cases[i].expected;
        assert_int_equal(spread.n, expected->n);
        assert_int_equal(spread.excluded, expected->excluded);
        study_assert_near(cases[i].name, spread.mean, expected->mean, NEAR);
        study_assert_near(cases[i].name, spread.min, expected->min, 0);
        study_assert_near(cases[i].name, spread.max, expected->max, 0);
        study_assert_near(cases[i].name, spread.sd, expected->sd, expected->sd == 0 ? 0 : NEAR);
    }
}

static void test_losses(void **state)
{
    (void)state;
    const double losses[] = {1, NAN, 2};
    va_table *table =
        study_table(&(study_scene)SCENE(2, TEXTS("a"), TEXTS("1"), TEXTS("1", "0", "1"), .losses = losses));
    va_metrics *metrics;
    assert_int_equal(va_metrics_of(&metrics, table), VR_OK);
    assert_int_equal(metrics->loss_spread.n, 2);
    assert_int_equal(metrics->loss_spread.excluded, 1);
    study_assert_near("loss", metrics->loss_spread.mean, 1.5, NEAR);
    study_assert_near("sd of loss", metrics->loss_spread.sd, 1 / ROOT_2, NEAR);
    va_metrics_free(metrics);
    va_table_free(table);
}

/* ---- classes ---- */

/* Labels 0 0 0 0 1 1; class 2 has no samples. Replica 0 gets 4 of 4 and 1 of 2 right, replica 1 3 of 4 and 1 of 2,
 * replica 2 2 of 4 and 1 of 2: the sd of class 0 is 1/4, of class 1 0, of all (5, 4, 3 of 6) 1/6. */
static void test_classes(void **state)
{
    (void)state;
    va_table *table = study_table(&(study_scene){
        .classes = 3, .ids = {"abcdef"}, .labels = {"000011"}, .predictions = {"000001", "000101", "001101"}});
    va_metrics *metrics;
    va_churn *churn;
    assert_int_equal(va_metrics_of(&metrics, table), VR_OK);
    assert_int_equal(va_churn_of(&churn, table), VR_OK);
    assert_int_equal(metrics->class_samples[0], 4);
    assert_int_equal(metrics->class_samples[2], 0);
    study_assert_near("sd", metrics->accuracy_spread.sd, 1 / 6.0, NEAR);
    study_assert_near("class 0", metrics->class_spread[0].mean, 3 / 4.0, NEAR);
    study_assert_near("class 0 of replica 2", metrics->class_accuracy[2], 1 / 2.0, NEAR);
    study_assert_near("sd of class 0", metrics->class_spread[0].sd, 1 / 4.0, NEAR);
    study_assert_near("ratio of class 0", metrics->class_ratio[0], 3 / 2.0, NEAR);
    study_assert_near("ratio of class 1", metrics->class_ratio[1], 0, 0);
    assert_int_equal(metrics->class_spread[2].n, 0);
    study_assert_near("class 2", metrics->class_spread[2].mean, NAN, 0);
    study_assert_near("ratio of class 2", metrics->class_ratio[2], NAN, 0);
    study_assert_near("churn of class 0", churn->class_mean[0], (1 + 2 + 1) / 12.0, NEAR);
    study_assert_near("churn of class 1", churn->class_mean[1], 0, 0);
    study_assert_near("churn of class 2", churn->class_mean[2], NAN, 0);
    study_assert_near("replica 1 with others, class 0", churn->class_with_others[1], (1 + 1) / 8.0, NEAR);
    study_assert_near("replica 0 with others", churn->with_others[0], (1 + 2) / 12.0, NEAR);
    study_assert_near("sd over pairs", churn->over_pairs.sd, 0.096225044864937631, NEAR); /* 1/6 1/3 1/6: sqrt(1/108) */
    va_metrics_free(metrics);
    va_churn_free(churn);
    va_table_free(table);
}

/* Replicas that are all equally good have no ratio. */
static void test_no_ratio(void **state)
{
    (void)state;
    va_table *table = study_table(&(study_scene)SCENE(2, TEXTS("ab"), TEXTS("01"), TEXTS("00", "11")));
    va_metrics *metrics;
    assert_int_equal(va_metrics_of(&metrics, table), VR_OK);
    study_assert_near("sd", metrics->accuracy_spread.sd, 0, 0);
    study_assert_near("sd of class 0", metrics->class_spread[0].sd, 1 / ROOT_2, NEAR);
    study_assert_near("ratio", metrics->class_ratio[0], NAN, 0);
    va_metrics_free(metrics);
    va_table_free(table);
}

/* ---- groups ---- */

/* Group x: labels 1 1 0 0 0; replica 0 predicts 1 0 1 0 0: FN 1 of 2, FP 1 of 3; replica 1 1 1 1 1 0: FN 0 of 2, FP 2
 * of 3. Group y: label 1 only: no FPR; replica 0 predicts 0, replica 1 1. */
static void test_groups(void **state)
{
    (void)state;
    va_table *table = study_table(
        &(study_scene)SCENE(2, TEXTS("abcdef"), TEXTS("110001"), TEXTS("101000", "111101"), .groups = TEXTS("xxxxxy")));
    va_groups *groups;
    assert_int_equal(va_groups_of(&groups, table), VR_OK);
    assert_int_equal(groups->count, 2);
    const va_group *x = &groups->groups[0], *y = &groups->groups[1];
    assert_int_equal(x->value, 'x');
    assert_int_equal(x->samples, 5);
    assert_int_equal(x->rate_count, 1);
    assert_int_equal(x->rates[0].positive, 1);
    assert_int_equal(x->rates[0].positives, 2);
    assert_int_equal(x->rates[0].negatives, 3);
    study_assert_near("accuracy", x->accuracy_spread.mean, 3 / 5.0, NEAR);
    study_assert_near("FPR of replica 0", x->rates[0].fpr[0], 1 / 3.0, NEAR);
    study_assert_near("FPR", x->rates[0].fpr_spread.mean, 1 / 2.0, NEAR);
    study_assert_near("sd of FPR", x->rates[0].fpr_spread.sd, ROOT_2 / 6, NEAR);
    study_assert_near("FNR", x->rates[0].fnr_spread.mean, 1 / 4.0, NEAR);
    study_assert_near("sd of FNR", x->rates[0].fnr_spread.sd, ROOT_2 / 4, NEAR);
    assert_int_equal(y->rates[0].fpr_spread.n, 0);
    study_assert_near("FPR without negatives", y->rates[0].fpr_spread.mean, NAN, 0);
    study_assert_near("FNR", y->rates[0].fnr_spread.mean, 1 / 2.0, NEAR);
    study_assert_near("sd of accuracy of y", y->accuracy_spread.sd, 1 / ROOT_2, NEAR);
    study_assert_near("ratio of y", y->ratio, (1 / ROOT_2) / (ROOT_2 / 12), NEAR); /* of all: 3 and 4 of 6 */
    va_groups_free(groups);
    va_table_free(table);
}

/* Labels 0 0 1 2, predictions 0 1 1 9: each class against the rest. 9 is no class: a miss of class 2, a claim of none.
 */
static void test_groups_of_many_classes(void **state)
{
    (void)state;
    va_table *table =
        study_table(&(study_scene)SCENE(3, TEXTS("abcd"), TEXTS("0012"), TEXTS("0119"), .groups = TEXTS("xxxx")));
    va_groups *groups;
    assert_int_equal(va_groups_of(&groups, table), VR_OK);
    const va_rate *rates = groups->groups[0].rates;
    assert_int_equal(groups->groups[0].rate_count, 3);
    study_assert_near("FNR of 0", rates[0].fnr[0], 1 / 2.0, NEAR);
    study_assert_near("FPR of 0", rates[0].fpr[0], 0, 0);
    study_assert_near("FNR of 1", rates[1].fnr[0], 0, 0);
    study_assert_near("FPR of 1", rates[1].fpr[0], 1 / 3.0, NEAR);
    study_assert_near("FNR of 2", rates[2].fnr[0], 1, 0);
    study_assert_near("FPR of 2", rates[2].fpr[0], 0, 0);
    study_assert_near("sd", rates[1].fpr_spread.sd, NAN, 0);
    va_groups_free(groups);
    va_table_free(table);
}

static void test_a_measurement_is_no_group(void **state)
{
    (void)state;
    enum { COUNT = VA_MOST_VALUES + 1 };
    uint64_t ids[COUNT];
    int32_t zeros[COUNT] = {0}, values[COUNT];
    const int32_t *columns[] = {values};
    for (int i = 0; i < COUNT; i++) {
        ids[i] = (uint64_t)i;
        values[i] = COUNT - i;
    }
    va_table *table;
    va_groups *groups = NULL;
    assert_int_equal(va_table_new(&table, 2, 1), VR_OK);
    assert_int_equal(va_table_add(table, &(va_replica){"r", COUNT, ids, zeros, zeros, NULL, columns, NAN}), VR_OK);
    assert_int_equal(va_groups_of(&groups, table), VR_ERROR_ARGUMENT);
    va_table_free(table);
}

/* ---- samples that flip ---- */

static void test_flips(void **state)
{
    (void)state;
    /* by sample: a all agree; b 3:1; c 2:2; d 2:1:1; e 2:2; f 1:1:1:1 */
    const study_scene scene = SCENE(4, TEXTS("fabcde", "abcdef", "abcdef", "edcbaf"), TEXTS("000000"),
                                    TEXTS("000012", "000101", "001002", "221103"));
    va_table *table = study_table(&scene);
    va_flip *flips;
    size_t count, total;
    assert_int_equal(va_flips_of(&flips, &count, &total, table, 4), VR_OK);
    assert_int_equal(total, 5);
    assert_int_equal(count, 4);
    static const struct {
        char id;
        int dissent, distinct, majority, correct;
        bool tied;
        double entropy, disagree;
    } expected[] = {{'f', 3, 4, 0, 1, true, 2, 1},
                    {'d', 2, 3, 1, 1, false, 1.5, 5 / 6.0},
                    {'c', 2, 2, 0, 2, true, 1, 4 / 6.0},
                    {'e', 2, 2, 0, 2, true, 1, 4 / 6.0},
                    {'b', 1, 2, 0, 3, false, 0.81127812445913283, 3 / 6.0}};
    for (size_t i = 0; i < total; i++) {
        assert_int_equal(flips[i].id, expected[i].id);
        assert_int_equal(flips[i].dissent, expected[i].dissent);
        assert_int_equal(flips[i].distinct, expected[i].distinct);
        assert_int_equal(flips[i].majority, expected[i].majority);
        assert_int_equal(flips[i].correct, expected[i].correct);
        assert_int_equal(flips[i].tied, expected[i].tied);
        study_assert_near("entropy", flips[i].entropy, expected[i].entropy, NEAR);
        study_assert_near("disagree", flips[i].disagree, expected[i].disagree, NEAR);
        assert_int_equal(flips[i].confidence.n, 0);
    }
    free(flips);
    va_table_free(table);
}

/* ---- calibration ---- */

typedef struct calibration_case {
    const char *name;
    float confidences[8];
    const char *correct; /* '1', '0' */
    int bins;
    size_t samples, unusable;
    double ece, adaptive, mce;
} calibration_case;

static const calibration_case calibrations[] = {
    {"nothing", {0}, "", 10, 0, 0, NAN, NAN, NAN},
    {"sure and right", {1, 1}, "11", 10, 2, 0, 0, 0, 0},
    {"sure and wrong", {1, 1}, "00", 10, 2, 0, 1, 1, 1},
    {"half and half", {0.5F, 0.5F}, "10", 10, 2, 0, 0, 0, 0},
    {"two bins", {0.25F, 0.25F, 0.75F, 0.75F}, "1011", 2, 4, 0, 0.25, 0.25, 0.25},
    {"an edge is of the bin below", {0.5F, 0.75F}, "01", 2, 2, 0, 0.375, 0.375, 0.5},
    {"one bin hides it", {0.25F, 0.75F}, "10", 1, 2, 0, 0, 0, 0},
    {"0 is in the first bin", {0, 0}, "00", 4, 2, 0, 0, 0, 0},
    {"by number the bins are others", {0.625F, 0.75F, 0.875F, 1}, "1011", 2, 4, 0, 0.0625, 0.125, 0.0625},
    {"equal ones stay together", {0.75F, 0.75F, 0.75F, 1}, "1110", 2, 4, 0, 0.0625, 0.4375, 0.0625},
    {"unusable", {NAN, 2, -0.5F, 0.5F}, "1111", 2, 1, 3, 0.5, 0.5, 0.5},
};

static void check_calibration(const calibration_case *of)
{
    static va_calibration out;
    const size_t n = strlen(of->correct);
    int32_t labels[8] = {0}, predictions[8];
    for (size_t i = 0; i < n; i++)
        predictions[i] = of->correct[i] == '1' ? 0 : 1;
    assert_int_equal(va_calibration_of(&out, of->confidences, labels, predictions, n, of->bins), VR_OK);
    assert_int_equal(out.samples, of->samples);
    assert_int_equal(out.unusable, of->unusable);
    study_assert_near(of->name, out.ece, of->ece, NEAR);
    study_assert_near(of->name, out.adaptive_ece, of->adaptive, NEAR);
    study_assert_near(of->name, out.mce, of->mce, NEAR);
}

static void test_calibration(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(calibrations); i++)
        check_calibration(&calibrations[i]);
    static va_calibration out;
    const float confidences[] = {0.25F, 0.75F, 1};
    const int32_t labels[] = {0, 1, 1}, predictions[] = {0, 1, 0};
    assert_int_equal(va_calibration_of(&out, confidences, labels, predictions, 3, 4), VR_OK);
    study_assert_near("confidence", out.confidence, 2 / 3.0, NEAR);
    study_assert_near("its sd", out.confidence_sd, 0.38188130791298669, NEAR); /* sqrt(7 / 48) */
    study_assert_near("accuracy", out.accuracy, 2 / 3.0, NEAR);
    study_assert_near("bin 1", out.bins[0].accuracy, 1, 0);
    study_assert_near("bin 2", out.bins[1].accuracy, NAN, 0);
    assert_int_equal(va_calibration_of(&out, confidences, labels, predictions, 3, 0), VR_ERROR_ARGUMENT);
}

static void test_confidences(void **state)
{
    (void)state;
    const float probabilities[] = {0.25F, 0.75F, 0.5F, 0.5F, 1, 0};
    const int32_t predictions[] = {1, -1, 2};
    float out[3];
    va_confidences_of(out, probabilities, predictions, 3, 2);
    assert_true(out[0] == 0.75F && isnan(out[1]) && isnan(out[2]));
}

/* ---- joining ---- */

static void test_refused(void **state)
{
    (void)state;
    static const study_scene refused[] = {
        SCENE(2, TEXTS("aa"), TEXTS("00"), TEXTS("00")),             /* an id twice */
        SCENE(2, TEXTS("aba"), TEXTS("000"), TEXTS("000")),          /* and not side by side */
        SCENE(2, TEXTS("ab"), TEXTS("02"), TEXTS("00")),             /* no such class */
        SCENE(2, TEXTS("ab"), TEXTS("0-"), TEXTS("00")),             /* nor this */
        SCENE(0, TEXTS("ab"), TEXTS("0-"), TEXTS("00")),             /* nor without a number of classes */
        SCENE(2, TEXTS("ab"), TEXTS("00", "01"), TEXTS("00", "00")), /* another label */
        SCENE(2, TEXTS("ab"), TEXTS("00"), TEXTS("00", "00"), .groups = TEXTS("xy", "xx")), /* another group */
        SCENE(2, TEXTS("ab", "cb"), TEXTS("01", "00"), TEXTS("00", "00")), /* another label of a common one */
    };
    for (size_t i = 0; i < LENGTH(refused); i++) {
        const study_scene *scene = &refused[i];
        va_table *table;
        int last = 0;
        while (scene->predictions[last + 1])
            last++;
        assert_int_equal(va_table_new(&table, scene->classes, scene->groups[0] ? 1 : 0), VR_OK);
        for (int r = 0; r < last; r++)
            assert_int_equal(study_add(table, scene, r), VR_OK);
        const size_t before = table->samples;
        assert_int_equal(study_add(table, scene, last), VR_ERROR_ARGUMENT);
        assert_int_equal(table->replicas, last);
        assert_int_equal(table->samples, before);
        va_table_free(table);
    }
    va_table *table;
    assert_int_equal(va_table_new(&table, -1, 0), VR_ERROR_ARGUMENT);
}

static void test_left_out(void **state)
{
    (void)state;
    const study_scene scene = SCENE(3, TEXTS("cab", "bcd", "zbc"), TEXTS("012", "200", "120"),
                                    TEXTS("012", "200", "120"), .groups = TEXTS("xyz", "zxx", "wzx"));
    va_table *table = study_table(&scene);
    assert_int_equal(table->samples, 2);
    assert_int_equal(table->ids[0], 'b');
    assert_int_equal(table->labels[0], 2);
    assert_int_equal(table->groups[0][1], 'x');
    for (int r = 0; r < 3; r++) {
        assert_int_equal(table->rows[r].given - table->samples, 1);
        assert_int_equal(table->rows[r].predictions[0], 2);
        assert_int_equal(table->rows[r].predictions[1], 0);
    }
    va_table_free(table);
}

/* Ids of 64 bits, shuffled: whoever has an id has the prediction that goes with it. */
static void test_many_ids(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    uint64_t ids[COUNT];
    int32_t labels[COUNT] = {0}, predictions[COUNT];
    uint32_t order[COUNT];
    va_table *table;
    assert_int_equal(va_table_new(&table, 7, 0), VR_OK);
    for (int r = 0; r < 3; r++) {
        vr_random random = vr_random_stream(1, (uint64_t)r);
        vr_random_permutation(&random, order, COUNT);
        for (size_t i = 0; i < COUNT; i++) {
            ids[i] = UINT64_C(0x9e3779b97f4a7c15) * order[i];
            predictions[i] = (int32_t)(ids[i] % 7);
        }
        const va_replica replica = {"r", COUNT, ids, labels, predictions, NULL, NULL, NAN};
        assert_int_equal(va_table_add(table, &replica), VR_OK);
    }
    assert_int_equal(table->samples, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(i == 0 || table->ids[i - 1] < table->ids[i]);
        for (int r = 0; r < 3; r++)
            assert_int_equal(table->rows[r].predictions[i], table->ids[i] % 7);
    }
    va_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_studies),
        cmocka_unit_test(test_spreads),
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_no_ratio),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_groups_of_many_classes),
        cmocka_unit_test(test_a_measurement_is_no_group),
        cmocka_unit_test(test_flips),
        cmocka_unit_test(test_calibration),
        cmocka_unit_test(test_confidences),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_many_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
