/* Campaigns in memory: conditions and purposes, the order of runs, JSON there and back, shares of cores. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "campaign_json.h"
#include "run_cores.h"
#include "run_environment.h"
#include "run_progress.h"
#include "run_render.h"
#include "scratch.h"

#include <math.h>

/* A campaign of the conditions, which end with NULL. */
static va_campaign make_campaign(uint32_t runs, ...)
{
    va_campaign campaign = {.seed = UINT64_MAX, .threads = 2, .timeout = 1.5};
    va_list conditions;
    campaign.command = calloc(3, sizeof *campaign.command);
    campaign.command[0] = strdup("./train");
    campaign.command[1] = strdup("\xff\x01 \"x\"\n");
    campaign.variables = calloc(3, sizeof *campaign.variables);
    campaign.variables[0] = strdup("A=");
    campaign.variables[1] = strdup("B=\xfe=1");
    campaign.directory = strdup("/a/\xc3\xa9/\x80");
    campaign.hold = strdup("dropout");
    campaign.kernels = strdup("shuffled");
    campaign.rounding = strdup("ud");
    campaign.level = strdup("full");
    campaign.filter = strdup("conv*=full/100");
    va_start(conditions, runs);
    for (const char *text; (text = va_arg(conditions, const char *));)
        assert_int_equal(va_campaign_add_condition(&campaign, text), VR_OK);
    va_end(conditions);
    assert_int_equal(va_campaign_set_runs(&campaign, runs), VR_OK);
    return campaign;
}

static void assert_purposes(const char *list, const char *hold, const char *expected)
{
    char *out;
    assert_int_equal(va_purposes_parse(&out, list, hold), VR_OK);
    assert_string_equal(out, expected);
    free(out);
}

static void test_purposes(void **state)
{
    (void)state;
    char *out;
    assert_purposes("", "", "");
    assert_purposes(" order,,init ,order", "", "order,init");
    assert_purposes("all", "", "init,order,shift,dropout,augmentation,kernels,rounding,perturb");
    assert_purposes("mine,all,init", "kernels,order", "mine,init,shift,dropout,augmentation,rounding,perturb");
    assert_purposes("init", "initial", "init");
    assert_int_equal(va_purposes_parse(&out, "init,order", "order"), VR_ERROR_ARGUMENT);
    assert_message("'order' is both to vary and to be held");
    assert_int_equal(va_purposes_parse(&out, "in:it", ""), VR_ERROR_ARGUMENT);
    assert_message("'in:it' is no purpose");
    assert_null(va_purposes_unknown("init,rounding,perturb"));
    assert_string_equal(va_purposes_unknown("init,ordr,x"), "ordr,x");
    assert_true(va_list_has("a,bc", "bc"));
    assert_false(va_list_has("a,bc", "b"));
}

static void test_conditions(void **state)
{
    (void)state;
    static const char *const bad[] = {"",         "algo",      ":init",      "a b:init",
                                      "-a:init",  ".a:init",   "a:init:",    "a:init:0",
                                      "a:init:x", "a:init:-1", "a:init:1:2", "a:init:99999999999"};
    va_campaign campaign = make_campaign(3, "algo:init,order", "impl:kernels:5", "none:", NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(va_campaign_add_condition(&campaign, bad[i]), VR_ERROR_ARGUMENT);
        assert_int_equal(campaign.condition_count, 3);
    }
    assert_int_equal(va_campaign_add_condition(&campaign, "algo:shift"), VR_ERROR_ARGUMENT);
    assert_message("two conditions are called 'algo'");
    assert_int_equal(va_campaign_add_condition(&campaign, "x:dropout"), VR_ERROR_ARGUMENT);
    assert_message("'dropout' is both to vary and to be held");
    assert_int_equal(va_campaign_total(&campaign), 11);
    assert_int_equal(va_campaign_set_runs(&campaign, 4), VR_OK);
    assert_int_equal(va_campaign_total(&campaign), 13);
    assert_int_equal(va_campaign_set_runs(&campaign, VA_RUNS_MOST), VR_ERROR_ARGUMENT);
    va_campaign_free(&campaign);
}

/* Every run once; round r before round r + 1; where a condition stands in its round is drawn: of 200 rounds of 4, each
 * place is taken by each condition 50 times on average, standard deviation sqrt(200 * 1/4 * 3/4) = 6.1; within 5 of
 * these. */
/* A ',' before what is no NAME= belongs to the value. */
static void test_conditions_with_variables(void **state)
{
    (void)state;
    va_campaign campaign = make_campaign(3, "plain:", "set:VR_KERNELS=fixed,OMP_PLACES={0:2},{2:2},B=a=b,C=", NULL);
    char *const *set = campaign.conditions[1].variables;
    assert_null(campaign.conditions[0].variables);
    assert_string_equal(set[0], "VR_KERNELS=fixed");
    assert_string_equal(set[1], "OMP_PLACES={0:2},{2:2}");
    assert_string_equal(set[2], "B=a=b");
    assert_string_equal(set[3], "C=");
    assert_null(set[4]);
    assert_string_equal(campaign.conditions[1].vary, "");
    const char *const malformed[] = {"x:init,A=1",         "a:=1",     "a:b c=1", "a:VR_SEED=1", "a:VR_TRACE=x",
                                     "a:B=1,VR_REPLICA=2", "a:B=\xff", "a=b",     "=b:C=1"};
    for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
        va_campaign other = {0};
        assert_int_equal(va_campaign_add_condition(&other, malformed[i]), VR_ERROR_ARGUMENT);
        va_campaign_free(&other);
    }
    va_campaign_free(&campaign);
}

/* They win over what the campaign sets. */
static void test_variables_of_conditions_in_runs(void **state)
{
    (void)state;
    va_campaign campaign = make_campaign(1, "set:VR_KERNELS=atomic,A=2,OMP_NUM_THREADS=7,NEW=x", NULL), back;
    json_t *json = va_campaign_to_json(&campaign);
    assert_int_equal(va_campaign_from_json(&back, json, "x.tar"), VR_OK);
    assert_int_equal(va_campaign_agrees(&campaign, &back, "x.tar"), VR_OK);
    char **set = va_run_variables(&back, (va_task){0, 1}, "t.h5");
    const char *const wanted[] = {"VR_KERNELS=atomic", "A=2", "OMP_NUM_THREADS=7", "NEW=x", "VR_ROUNDING=nearest"};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        int found = 0;
        for (char **at = set; *at; at++)
            found += strcmp(*at, wanted[i]) == 0;
        assert_int_equal(found, 1);
    }
    for (char **at = set; *at; at++)
        assert_true(strcmp(*at, "VR_KERNELS=fixed") != 0 && strcmp(*at, "A=") != 0 &&
                    strcmp(*at, "OMP_NUM_THREADS=2") != 0);
    va_strings_free(set);
    free(back.conditions[0].variables[0]);
    back.conditions[0].variables[0] = strdup("VR_KERNELS=fixed");
    assert_int_equal(va_campaign_agrees(&campaign, &back, "x.tar"), VR_ERROR_ARGUMENT);
    json_object_set_new(json_array_get(json_object_get(json, "conditions"), 0), "environment", json_pack("[s]", "A=1"));
    va_campaign_free(&back);
    assert_int_equal(va_campaign_from_json(&back, json, "x.tar"), VR_ERROR_FORMAT);
    json_decref(json);
    va_campaign_free(&campaign);
}

static void test_order(void **state)
{
    (void)state;
    va_campaign campaign = make_campaign(200, "a:", "b:init", "c:order", "d:shift", "e:kernels:10", NULL);
    unsigned places[4][4] = {0};
    va_task *tasks, *again;
    assert_int_equal(va_campaign_order(&tasks, &campaign), VR_OK);
    for (uint64_t i = 0; i < 810; i++) {
        const uint32_t round = i < 50 ? (uint32_t)(i / 5) + 1 : (uint32_t)((i - 50) / 4) + 11;
        assert_int_equal(tasks[i].replica, round);
        for (uint64_t j = i + 1; j < 810 && tasks[j].replica == round; j++)
            assert_int_not_equal(tasks[j].condition, tasks[i].condition);
        if (round > 10)
            places[tasks[i].condition][(i - 50) % 4]++;
    }
    for (int c = 0; c < 4; c++)
        for (int p = 0; p < 4; p++)
            assert_in_range(places[c][p], 190 / 4 - 31, 190 / 4 + 31);
    assert_int_equal(va_campaign_set_runs(&campaign, 201), VR_OK); /* what was there keeps its order */
    assert_int_equal(va_campaign_order(&again, &campaign), VR_OK);
    assert_memory_equal(again, tasks, 810 * sizeof *tasks);
    free(again);
    campaign.seed = 1; /* another seed, another order */
    assert_int_equal(va_campaign_order(&again, &campaign), VR_OK);
    assert_memory_not_equal(again, tasks, 810 * sizeof *tasks);
    free(tasks);
    free(again);
    va_campaign_free(&campaign);
}

static void test_definition_there_and_back(void **state)
{
    (void)state;
    va_campaign campaign = make_campaign(7, "algo:init,order", "impl:kernels:5", "none:", NULL), back;
    json_t *json = va_campaign_to_json(&campaign), *second;
    char *text = json_dumps(json, 0);
    json_t *read = json_loads(text, 0, NULL);
    assert_int_equal(va_campaign_from_json(&back, read, "x.tar"), VR_OK);
    assert_string_equal(back.command[1], campaign.command[1]);
    assert_null(back.command[2]);
    assert_string_equal(back.variables[1], "B=\xfe=1");
    assert_string_equal(back.directory, campaign.directory);
    assert_true(back.seed == UINT64_MAX && back.timeout == 1.5 && back.threads == 2 && back.runs == 7);
    assert_int_equal(back.conditions[1].count, 5);
    assert_true(back.conditions[1].own_count && !back.conditions[0].own_count);
    assert_int_equal(va_campaign_agrees(&back, &campaign, "x.tar"), VR_OK);
    second = va_campaign_to_json(&back);
    assert_true(json_equal(second, json));
    json_decref(second);
    json_decref(json);
    json_decref(read);
    free(text);
    va_campaign_free(&back);
    va_campaign_free(&campaign);
}

/* Each key missing, or of another type, is an error and not a crash. */
static void test_malformed_definitions(void **state)
{
    (void)state;
    va_campaign campaign = make_campaign(7, "algo:init,order", NULL), back;
    json_t *json = va_campaign_to_json(&campaign), *value;
    const char *key;
    json_object_foreach (json, key, value) {
        json_t *without = json_deep_copy(json), *other = json_deep_copy(json);
        json_object_del(without, key);
        json_object_set_new(other, key, json_pack("[[n]]"));
        assert_int_equal(va_campaign_from_json(&back, without, "x.tar"), VR_ERROR_FORMAT);
        assert_int_equal(va_campaign_from_json(&back, other, "x.tar"), VR_ERROR_FORMAT);
        json_decref(without);
        json_decref(other);
    }
    json_object_set_new(json, "seed", json_string("-1"));
    assert_int_equal(va_campaign_from_json(&back, json, "x.tar"), VR_ERROR_FORMAT);
    json_object_set_new(json, "version", json_integer(2));
    assert_int_equal(va_campaign_from_json(&back, json, "x.tar"), VR_ERROR_VERSION);
    json_decref(json);
    va_campaign_free(&campaign);
}

static void assert_differs(const va_campaign *there, const va_campaign *wanted, const char *words)
{
    assert_int_equal(va_campaign_agrees(there, wanted, "x.tar"), VR_ERROR_ARGUMENT);
    assert_message(words);
}

static void test_what_differs_is_named(void **state)
{
    (void)state;
    va_campaign a = make_campaign(7, "algo:init,order", "impl:kernels", NULL);
    va_campaign b = make_campaign(8, "algo:init,order", "impl:kernels", NULL);
    va_campaign c = make_campaign(7, "algo:init", "impl:kernels", NULL);
    assert_int_equal(va_campaign_agrees(&a, &b, "x.tar"), VR_OK);
    assert_differs(&b, &a, "the campaign has 8 runs of 'algo', here it is 7: there can only be more");
    assert_differs(&a, &c, "its list of conditions is [");
    b.seed = 3;
    assert_differs(&a, &b, "its seed is \"18446744073709551615\", here it is \"3\"");
    b.seed = a.seed;
    b.level[0] = 0;
    assert_differs(&a, &b, "its level is \"full\", here it is \"\"");
    b.level[0] = 'f';
    b.variables[1][2] = 'x';
    assert_differs(&a, &b, "its environment is {\"A\":\"\",\"B\":{\"hex\":\"fe3d31\"}}, here it is");
    va_campaign_free(&a);
    va_campaign_free(&b);
    va_campaign_free(&c);
}

static void test_outcomes_there_and_back(void **state)
{
    (void)state;
    va_campaign campaign = make_campaign(2, "algo:init", NULL);
    const va_outcome outcomes[] = {
        {.done = true,
         .exit_code = 3,
         .tries = 2,
         .left = 1,
         .seconds = 0.25,
         .started = "2026-01-02T03:04:05Z",
         .peak_bytes = 1 << 20,
         .output_bytes = {5, 6},
         .error_line = "caf\xc3\xa9",
         .note = "n"},
        {.done = true, .exit_code = -1, .signal = 9, .timed_out = true, .recovered = true, .traces = 2},
    };
    for (int i = 0; i < 2; i++) {
        va_outcome back = {0};
        json_t *json = va_outcome_to_json(&campaign, (va_task){0, 1}, &outcomes[i]);
        json_object_set_new(json, "traces", i ? json_pack("[s, s]", "a", "b") : json_array());
        assert_true(va_outcome_from_json(&back, json));
        assert_memory_equal(&back, &outcomes[i], sizeof back);
        json_object_set_new(json, "started", json_string(i ? "2026,\n" : "2026-01-02T03:04:05.12345678901Z"));
        assert_false(va_outcome_from_json(&back, json));
        json_object_set_new(json, "started", json_string(""));
        assert_true(va_outcome_from_json(&back, json));
        json_object_del(json, "seconds");
        assert_false(va_outcome_from_json(&back, json));
        json_decref(json);
    }
    va_campaign_free(&campaign);
}

static void test_how_runs_end(void **state)
{
    (void)state;
    char text[VA_OUTCOME_TEXT];
    const va_outcome ok = {.done = true}, failed = {.done = true, .exit_code = 3},
                     killed = {.done = true, .exit_code = -1, .signal = 11}, late = {.done = true, .timed_out = true};
    assert_true(va_outcome_is_ok(&ok));
    assert_false(va_outcome_is_ok(&failed) || va_outcome_is_ok(&killed) || va_outcome_is_ok(&late));
    assert_false(va_outcome_is_ok(&(va_outcome){0}));
    assert_string_equal(va_outcome_text(text, &ok), "ok");
    assert_string_equal(va_outcome_text(text, &failed), "exit status 3");
    assert_string_equal(va_outcome_text(text, &killed), "killed by signal 11 (Segmentation fault)");
    assert_string_equal(va_outcome_text(text, &late), "timed out");
}

/* Slots of the same size, on cores that are theirs alone while there are enough. */
static void test_shares_of_cores(void **state)
{
    (void)state;
    va_cores cores = {.count = 12};
    for (int i = 0; i < 12; i++)
        cores.numbers[i] = 2 * i + 1;
    for (uint32_t jobs = 1; jobs <= 30; jobs++) {
        const uint32_t share = va_cores_share(&cores, jobs);
        unsigned used[32] = {0};
        assert_int_equal(share, jobs > 12 ? 1 : 12 / jobs);
        for (uint32_t slot = 0; slot < jobs; slot++) {
            cpu_set_t set;
            assert_true(va_cores_of(&set, &cores, jobs, slot));
            assert_int_equal(CPU_COUNT(&set), share);
            for (int i = 0; i < 32; i++)
                used[i] += CPU_ISSET(i, &set) != 0;
        }
        for (int i = 0; i < 12; i++)
            assert_true(used[cores.numbers[i]] <= (jobs + 11) / 12);
        for (int i = 0; i < 32; i += 2)
            assert_int_equal(used[i], 0);
    }
    cpu_set_t set;
    cores.count = 0;
    assert_false(va_cores_of(&set, &cores, 2, 1));
    assert_int_equal(va_cores_share(&cores, 2), 1);
}

static bool has(char *const *variables, const char *wanted)
{
    for (; *variables; variables++)
        if (strcmp(*variables, wanted) == 0)
            return true;
    return false;
}

static void test_environment_of_a_run(void **state)
{
    (void)state;
    va_campaign campaign = make_campaign(3, "k:kernels,init", "r:rounding", NULL);
    setenv("VR_REPLICA", "99", 1);
    setenv("OMP_DYNAMIC", "true", 1);
    setenv("VR_GUARD", "off", 1);
    char **set = va_run_variables(&campaign, (va_task){0, 2}, "/t.h5"), **all = va_run_environment(set);
    static const char *const there[] = {"VR_REPLICA=2",
                                        "VR_VARY=kernels,init",
                                        "VR_KERNELS=shuffled",
                                        "VR_ROUNDING=nearest",
                                        "VR_TRACE=/t.h5",
                                        "VR_LEVEL=full",
                                        "OMP_NUM_THREADS=2",
                                        "A=",
                                        "VR_SEED=18446744073709551615",
                                        "VR_GUARD=off"};
    for (size_t i = 0; i < sizeof there / sizeof *there; i++)
        assert_true(has(all, there[i]));
    assert_false(has(all, "VR_REPLICA=99") || has(all, "OMP_DYNAMIC=true"));
    free(all);
    va_strings_free(set);
    set = va_run_variables(&campaign, (va_task){1, 1}, "/t.h5");
    assert_true(has(set, "VR_KERNELS=fixed") && has(set, "VR_ROUNDING=ud"));
    va_strings_free(set);
    va_campaign_free(&campaign);
    scratch_clear_environment();
    unsetenv("OMP_DYNAMIC");
}

static void test_sums(void **state)
{
    (void)state;
    va_campaign campaign = make_campaign(4, "a:", "b:", NULL);
    va_condition_sum *sums;
    va_ledger ledger;
    assert_int_equal(va_ledger_open(&ledger, &campaign), VR_OK);
    const double seconds[] = {4, 1, 100, 2};
    for (uint32_t r = 1; r <= 4; r++)
        *va_ledger_at(&ledger, (va_task){0, r}) =
            (va_outcome){.done = r != 3, .seconds = seconds[r - 1]}; /* median of 4, 1, 2 */
    *va_ledger_at(&ledger, (va_task){1, 1}) = (va_outcome){.done = true, .seconds = 3};
    *va_ledger_at(&ledger, (va_task){1, 2}) = (va_outcome){.done = true, .seconds = 50, .exit_code = 1};
    *va_ledger_at(&ledger, (va_task){1, 4}) = (va_outcome){.done = true, .seconds = 4};
    assert_int_equal(va_ledger_sum(&sums, &ledger), VR_OK);
    assert_true(sums[0].done == 3 && sums[0].failed == 0 && sums[0].median == 2);
    assert_true(sums[0].least == 1 && sums[0].most == 4);
    assert_true(sums[1].done == 3 && sums[1].failed == 1 && sums[1].median == 3.5 && sums[1].most == 4);
    free(sums);
    va_ledger_close(&ledger);
    va_campaign_free(&campaign);
}

/* Every column from its own field; a run that is not done has no row. */
static void test_rows(void **state)
{
    (void)state;
    va_campaign campaign = make_campaign(3, "a:", NULL);
    va_ledger ledger;
    char *text;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    assert_int_equal(va_ledger_open(&ledger, &campaign), VR_OK);
    *va_ledger_at(&ledger, (va_task){0, 1}) = (va_outcome){.done = true,
                                                           .exit_code = 3,
                                                           .tries = 2,
                                                           .traces = 4,
                                                           .started = "2026-01-02T03:04:05Z",
                                                           .seconds = 5,
                                                           .user_seconds = 6,
                                                           .system_seconds = 7,
                                                           .peak_bytes = 8,
                                                           .error_line = "a,\"b\""};
    *va_ledger_at(&ledger, (va_task){0, 3}) =
        (va_outcome){.done = true, .exit_code = -1, .signal = 9, .timed_out = true};
    assert_int_equal(va_ledger_print(out, &ledger, "x.tar", VA_CSV), VR_OK);
    fclose(out);
    const char *rows = strchr(text, '\n') + 1;
    assert_string_equal(rows,
                        "a-0001,a,1,0,3,,0,2,2026-01-02T03:04:05Z,5.000000,6.000000,7.000000,8,4,\"a,\"\"b\"\"\"\n"
                        "a-0003,a,3,0,,9,1,0,,0.000000,0.000000,0.000000,0,0,\n");
    free(text);
    va_ledger_close(&ledger);
    va_campaign_free(&campaign);
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {
        {0, "about 1 s"},           {89.4, "about 89 s"},        {90, "about 2 min"},           {5399, "about 90 min"},
        {7800, "about 2 h 10 min"}, {3 * 86400, "about 3 days"}, {INFINITY, "about 11574 days"}};
    char text[VA_DURATION_TEXT];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(va_duration_text(text, cases[i].seconds), cases[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_purposes),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_conditions_with_variables),
        cmocka_unit_test(test_variables_of_conditions_in_runs),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_definition_there_and_back),
        cmocka_unit_test(test_malformed_definitions),
        cmocka_unit_test(test_what_differs_is_named),
        cmocka_unit_test(test_outcomes_there_and_back),
        cmocka_unit_test(test_how_runs_end),
        cmocka_unit_test(test_shares_of_cores),
        cmocka_unit_test(test_environment_of_a_run),
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_durations),
    };
    scratch_clear_environment();
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
