/* Conditions, pairs and ratios of traces whose times are given, against values worked by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cost.h"
#include "scratch.h"
#include "timed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define T975_1 12.706204736174698 /* the 97.5% quantile of Student's t with 1, with 2 degrees of freedom */
#define T975_2 4.302652729911275

static void assert_near(double value, double expected, double most)
{
    if (!(fabs(value - expected) <= most))
        fail_msg("%.17g is not %.17g", value, expected);
}

/* ---- runs ---- */

/* Times of the three records, the same in each step from `from` on; before, 100 times as long. */
typedef struct plan {
    uint64_t ns[TIMED_LAYERS];
    int from;
} plan;

static uint64_t take(const void *context, int step, int record)
{
    const plan *p = context;
    return p->ns[record] * (step < p->from ? 100 : 1);
}

typedef struct made {
    const char *name, *kernels;
    int minute, steps;
    plan plan;
} made;

static const char *write_run(const made *m)
{
    char started[32];
    const char *out = scratch_path("%s.h5", m->name);
    snprintf(started, sizeof started, "2026-01-01T12:%02d:00Z", m->minute);
    timed_write(
        out,
        &(timed){.kernels = m->kernels, .started = started, .steps = m->steps, .takes = take, .context = &m->plan});
    return out;
}

static void add(va_cost_runs *runs, const made *m)
{
    assert_int_equal(va_cost_runs_add(runs, write_run(m)), VR_OK);
}

static const va_cost_row *find(const va_cost_comparison *c, va_cost_kind kind, vr_phase phase, const char *layer)
{
    for (size_t i = 0; i < c->row_count; i++) {
        const va_cost_row *row = &c->rows[i];
        if (row->kind == kind && row->phase == phase && (!layer || strcmp(row->layer, layer) == 0))
            return row;
    }
    fail_msg("no row of kind %d", (int)kind);
    return NULL;
}

static void close_all(va_cost *cost, va_cost_runs *runs)
{
    va_cost_free(cost);
    va_cost_runs_free(runs);
}

static va_cost *compute(const va_cost_runs *runs, const va_cost_options *options)
{
    va_cost *cost = NULL;
    if (va_cost_compute(&cost, runs, options) != VR_OK)
        fail_msg("%s", vr_error());
    return cost;
}

/* ---- tests ---- */

static void test_series(void **state)
{
    (void)state;
    const made m = {"series", "fixed", 0, 3, {{100, 20, 3}, 2}};
    va_cost_series series;
    vr_trace *trace;
    assert_int_equal(vr_trace_open(&trace, write_run(&m)), VR_OK);
    assert_int_equal(va_cost_series_read(&series, trace), VR_OK);
    vr_trace_close(trace);
    assert_int_equal(series.count, 3); /* without the setup */
    assert_int_equal(series.operation_count, 3);
    assert_int_equal(series.backwards + series.unfinished, 0);
    assert_true(series.steps[0] == 1 && series.steps[2] == 3);
    assert_true(series.ns[0] == 12300 + 1000 && series.ns[1] == 123 + 1000 && series.ns[2] == 1123);
    assert_int_equal(series.operations[1].phase, VR_GRADIENT);
    assert_string_equal(series.operations[1].layer, "conv1");
    assert_true(series.operations[1].ns[0] == 2000 && series.operations[1].ns[2] == 20);
    assert_string_equal(series.operations[2].layer, "fc1");
    va_cost_series_free(&series);
}

/* Two pairs, times of a step 10,000 and 12,000, 20,000 and 30,000 ns with what is beside: ratios 1.2 and 1.5. */
static void test_ratios(void **state)
{
    (void)state;
    va_cost_runs runs = {0};
    add(&runs, &(made){"f1", "fixed", 2, 12, {{6000, 4000, 1000}, 3}});
    add(&runs, &(made){"t2", "threads", 3, 12, {{8000, 6000, 5000}, 3}});
    add(&runs, &(made){"t1", "threads", 1, 12, {{4000, 3000, 2000}, 3}});
    add(&runs, &(made){"f2", "fixed", 4, 12, {{9000, 6000, 14000}, 3}});
    va_cost_options options = VA_COST_OPTIONS_INIT;
    options.warmup = 2;
    options.operations = true;
    va_cost *cost = compute(&runs, &options);
    assert_int_equal(cost->comparison_count, 1);
    assert_int_equal(cost->warning_count, 0);
    const va_cost_comparison *c = &cost->comparisons[0];
    assert_string_equal(cost->conditions[c->base].name, "threads");
    assert_string_equal(cost->conditions[c->cost].name, "fixed");
    assert_int_equal(c->pair_count, 2);
    assert_non_null(strstr(runs.runs[c->pairs[0].base].name, "/t1.h5")); /* in the order in which they began */
    assert_non_null(strstr(runs.runs[c->pairs[0].cost].name, "/f1.h5"));
    assert_true(c->least_steps == 10 && c->most_steps == 10 && c->least_warmup == 2);

    const va_cost_row *step = find(c, VA_COST_STEP, 0, NULL);
    const double half = T975_1 * log(1.5 / 1.2) / 2; /* sd / sqrt(2) of two values is half their difference */
    assert_ptr_equal(step, va_cost_headline(c));
    assert_near(step->by_median.estimate, sqrt(1.2 * 1.5), 1e-12);
    assert_near(step->by_median.low, sqrt(1.2 * 1.5) * exp(-half), 1e-9);
    assert_near(step->by_median.high, sqrt(1.2 * 1.5) * exp(half), 1e-9);
    assert_near(step->middle.base_median, 15e-6, 1e-15); /* between 10 and 20 us */
    assert_near(step->middle.cost_mean, 21e-6, 1e-15);

    assert_near(find(c, VA_COST_PHASE, VR_FORWARD, NULL)->by_median.estimate, sqrt(7000.0 / 6000 * 23000 / 13000),
                1e-12);
    assert_near(find(c, VA_COST_LAYER, 0, "conv1")->by_median.estimate, sqrt(10000.0 / 7000 * 15000 / 14000), 1e-12);
    assert_near(find(c, VA_COST_OPERATION, VR_FORWARD, "fc1")->by_median.estimate, sqrt(0.5 * 14 / 5), 1e-12);
    assert_near(find(c, VA_COST_OPERATIONS, 0, NULL)->by_median.estimate, sqrt(11.0 / 9 * 29 / 19), 1e-12);
    close_all(cost, &runs);
}

/* One step of 12 is slow and counted: the median is that of the 11 others, the mean is not. MAD is 0, the mean distance
 * 297 / 12, and 3.5 * 1.2533 times that, 108.6, is less than 297: an outlier. */
static void test_median_and_mean(void **state)
{
    (void)state;
    va_cost_runs runs = {0};
    add(&runs, &(made){"t1", "threads", 1, 12, {{1000, 1000, 1000}, 0}});
    add(&runs, &(made){"f1", "fixed", 2, 12, {{1000, 1000, 1000}, 2}});
    va_cost_options options = VA_COST_OPTIONS_INIT;
    options.warmup = 0;
    va_cost *cost = compute(&runs, &options);
    const va_cost_row *step = va_cost_headline(&cost->comparisons[0]);
    assert_true(step->by_median.estimate == 1 && isnan(step->by_median.low)); /* one pair: no interval */
    assert_near(step->by_mean.estimate, (301000.0 + 11 * 4000) / 12 / 4000, 1e-12);
    assert_int_equal(cost->comparisons[0].cost_side.outliers, 1);
    assert_int_equal(cost->comparisons[0].base_side.outliers, 0);
    close_all(cost, &runs);
}

/* 12 steps against 5: the first of 5 common ones is left out. */
static void test_unequal_steps(void **state)
{
    (void)state;
    va_cost_runs runs = {0};
    add(&runs, &(made){"t1", "threads", 1, 12, {{500, 300, 200}, 2}});
    add(&runs, &(made){"f1", "fixed", 2, 5, {{1500, 300, 200}, 2}});
    va_cost *cost = compute(&runs, &(va_cost_options)VA_COST_OPTIONS_INIT);
    const va_cost_comparison *c = &cost->comparisons[0];
    assert_true(c->unequal == 1 && c->most_steps == 4 && c->most_warmup == 1);
    assert_near(va_cost_headline(c)->by_median.estimate, 1.5, 1e-12);
    assert_int_equal(cost->warning_count, 1);
    assert_non_null(strstr(cost->warnings[0], "only common ones"));
    close_all(cost, &runs);
}

/* The run that is left over is told, and so is that one side came first. */
static void test_runs_that_did_not_take_turns(void **state)
{
    (void)state;
    va_cost_runs runs = {0};
    const plan p = {{500, 300, 200}, 2};
    add(&runs, &(made){"t1", "threads", 1, 4, p});
    add(&runs, &(made){"t2", "threads", 2, 4, p});
    add(&runs, &(made){"t3", "threads", 3, 4, p});
    add(&runs, &(made){"f1", "fixed", 4, 4, p});
    add(&runs, &(made){"f2", "fixed", 5, 4, p});
    va_cost *cost = compute(&runs, &(va_cost_options)VA_COST_OPTIONS_INIT);
    assert_int_equal(cost->comparisons[0].unpaired, 1);
    assert_int_equal(cost->warning_count, 2);
    assert_non_null(strstr(cost->warnings[0], "all runs of 'threads' were done before those of 'fixed'"));
    assert_non_null(strstr(cost->warnings[1], "1 run of 'threads' and 'fixed' without a partner"));
    const va_interval *ratio = &va_cost_headline(&cost->comparisons[0])->by_median;
    assert_true(ratio->estimate == 1 && ratio->low == 1 && ratio->high == 1);
    close_all(cost, &runs);
}

/* threads before atomic before fixed before what else there is. */
static void test_which_is_the_base(void **state)
{
    (void)state;
    const char *const kernels[] = {"exact", "fixed", "atomic", "threads"};
    va_cost_runs runs = {0};
    for (int i = 0; i < 4; i++) {
        char name[8];
        snprintf(name, sizeof name, "b%d", i);
        add(&runs, &(made){name, kernels[i], 1, 3, {{500, 300, 200}, 0}});
        va_cost *cost = NULL;
        if (i == 0)
            assert_int_equal(va_cost_compute(&cost, &runs, &(va_cost_options)VA_COST_OPTIONS_INIT), VR_ERROR_ARGUMENT);
        else
            cost = compute(&runs, &(va_cost_options)VA_COST_OPTIONS_INIT);
        if (cost) {
            assert_int_equal(cost->comparison_count, i);
            assert_string_equal(cost->conditions[cost->comparisons[0].base].name, kernels[i]);
        }
        va_cost_free(cost);
    }
    va_cost_options options = VA_COST_OPTIONS_INIT;
    options.base = "exact";
    options.against[options.against_count++] = "*b[12].h5"; /* of two conditions, in the order they were named */
    va_cost *cost = compute(&runs, &options);
    assert_string_equal(cost->conditions[cost->comparisons[0].cost].name, "*b[12].h5");
    assert_int_equal(cost->conditions[cost->comparisons[0].cost].count, 2);
    assert_int_equal(cost->comparisons[0].unpaired, 1);
    close_all(cost, &runs);
}

/* A run by two names is one run, and makes one pair. */
static void test_a_run_by_two_names(void **state)
{
    (void)state;
    char again[4096];
    const made m = {"n1", "threads", 1, 3, {{500, 300, 200}, 0}};
    va_cost_runs runs = {0};
    const char *path = write_run(&m), *slash = strrchr(path, '/');
    snprintf(again, sizeof again, "%.*s/.%s", (int)(slash - path), path, slash);
    assert_int_equal(va_cost_runs_add(&runs, path), VR_OK);
    assert_int_equal(va_cost_runs_add(&runs, again), VR_OK);
    assert_int_equal(runs.count, 1);
    va_cost_runs_free(&runs);
}

/* The coarsest clock is told, whichever run is named first. */
static void test_clocks_that_differ(void **state)
{
    (void)state;
    const plan p = {{500, 300, 200}, 0};
    const int64_t resolutions[] = {4, 4000000, 1};
    for (int first = 0; first < 3; first++) {
        va_cost_runs runs = {0};
        for (int i = 0; i < 3; i++) {
            const int run = (first + i) % 3;
            const char *path = scratch_path("c%d-%d.h5", first, run);
            timed_write(path, &(timed){.kernels = run ? "fixed" : "threads",
                                       .started = "2026-01-01T12:00:00Z",
                                       .steps = 3,
                                       .resolution = resolutions[run],
                                       .takes = take,
                                       .context = &p});
            assert_int_equal(va_cost_runs_add(&runs, path), VR_OK);
        }
        va_cost *cost = compute(&runs, &(va_cost_options)VA_COST_OPTIONS_INIT);
        assert_true(cost->resolution_ns == 4000000);
        assert_non_null(strstr(cost->clock, "resolution 4000000 ns"));
        close_all(cost, &runs);
    }
}

/* Runs of campaigns, made up: two conditions of one, and one of another. */
static void add_replica(va_cost_runs *runs, const char *archive, const char *condition, uint32_t replica, double wall)
{
    va_cost_run *all = realloc(runs->runs, (runs->count + 1) * sizeof *all);
    assert_non_null(all);
    runs->runs = all;
    va_cost_run *run = &all[runs->count++];
    *run = (va_cost_run){.archive = strdup(archive), .condition = strdup(condition), .replica = replica, .wall = wall};
    run->started = run->processor = run->memory = NAN;
    assert_true(asprintf(&run->name, "%s:%s-%u", archive, condition, replica) > 0);
    for (int i = 0; i < VA_COST_SETTINGS; i++)
        run->settings[i] = strdup("");
}

static void test_campaigns(void **state)
{
    (void)state;
    va_cost_runs runs = {0};
    va_cost *cost = NULL;
    for (uint32_t i = 1; i <= 3; i++) {
        add_replica(&runs, "x.tar", "a", i, 1);
        add_replica(&runs, "x.tar", "b", i, 2);
        add_replica(&runs, "x.tar", "c", i, 3);
        add_replica(&runs, "y.tar", "d", i + 7, 5);
    }
    va_cost_options options = VA_COST_OPTIONS_INIT;
    options.base = "a";
    options.against[options.against_count++] = "d"; /* of another campaign: no partner by number, but in order */
    cost = compute(&runs, &options);
    assert_true(cost->comparisons[0].pair_count == 3 && cost->comparisons[0].unpaired == 0);
    assert_near(va_cost_headline(&cost->comparisons[0])->by_median.estimate, 5, 1e-12);
    va_cost_free(cost);
    cost = NULL;
    options.against[0] = "x.tar:[bc]-*"; /* each run of a would have two partners */
    assert_int_equal(va_cost_compute(&cost, &runs, &options), VR_ERROR_ARGUMENT);
    assert_non_null(strstr(vr_error(), "both x.tar:b-1 and x.tar:c-1"));
    va_cost_runs_free(&runs);
}

/* Figures with more digits than their cells hold, as only damaged files have. */
static void test_figures_that_are_huge(void **state)
{
    (void)state;
    va_cost_runs runs = {0};
    for (uint32_t i = 1; i <= 3; i++) {
        add_replica(&runs, "x.tar", "a", i, 1);
        add_replica(&runs, "x.tar", "b", i, 1e250);
    }
    va_cost_options options = VA_COST_OPTIONS_INIT;
    options.base = "a";
    va_cost *cost = compute(&runs, &options);
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    va_cost_text(out, cost, &runs, false);
    assert_int_equal(fclose(out), 0);
    assert_non_null(strstr(text, "1.000 s      1e+250 s  1e+250 [1e+250, 1e+250]"));
    free(text);
    close_all(cost, &runs);
}

static void test_reach(void **state)
{
    (void)state;
    const va_interval ratio = {.estimate = 1, .low = 1 / 1.02, .high = 1.02}, none = {.low = NAN, .high = NAN},
                      open = {.estimate = 1, .low = 0, .high = 2}, wide = {.estimate = 1, .low = 0.1, .high = INFINITY};
    assert_near(va_cost_reach(&ratio), 0.02, 1e-12);
    assert_true(isinf(va_cost_reach(&none)) && isinf(va_cost_reach(&open)) && isinf(va_cost_reach(&wide)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_series),
        cmocka_unit_test(test_ratios),
        cmocka_unit_test(test_median_and_mean),
        cmocka_unit_test(test_unequal_steps),
        cmocka_unit_test(test_runs_that_did_not_take_turns),
        cmocka_unit_test(test_which_is_the_base),
        cmocka_unit_test(test_a_run_by_two_names),
        cmocka_unit_test(test_clocks_that_differ),
        cmocka_unit_test(test_campaigns),
        cmocka_unit_test(test_figures_that_are_huge),
        cmocka_unit_test(test_reach),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
