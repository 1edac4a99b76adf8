#include "scene.h"

#include <agree.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FLIP(n) .poke = {.what = "forward:relu/out", .step = n, .index = 5, .flip = 1u << 20}

typedef struct runs {
    vr_trace *traces[5];
    int count;
    va_agreement *all;
} runs;

static runs agree(const scene *scenes, int count, const va_diff_options *options)
{
    static const va_diff_options defaults = VA_DIFF_OPTIONS_INIT;
    runs out = {.count = count};
    for (int i = 0; i < count; i++)
        out.traces[i] = scene_open(&scenes[i]);
    assert_int_equal(va_agree_run(&out.all, out.traces, count, options ? options : &defaults), VR_OK);
    return out;
}

static void done(runs *r)
{
    va_agree_free(r->all);
    for (int i = 0; i < r->count; i++)
        vr_trace_close(r->traces[i]);
}

/* Groups as digits, "010". */
static void assert_groups(const runs *r, const char *expected, int odd)
{
    char text[8] = "";
    int groups = 0;
    for (int i = 0; i < r->count; i++) {
        text[i] = (char)('0' + r->all->group[i]);
        groups = r->all->group[i] >= groups ? r->all->group[i] + 1 : groups;
    }
    assert_string_equal(text, expected);
    assert_int_equal(r->all->groups, groups);
    assert_int_equal(r->all->odd, odd);
}

static void assert_parting(const runs *r, int run, const char *layer, uint64_t step)
{
    const va_parting *p = &r->all->partings[run];
    assert_true(p->parted);
    assert_string_equal(r->all->entities[p->entity].layer, layer);
    assert_int_equal(p->step, step);
}

static void test_alike(void **state)
{
    (void)state;
    runs r = agree((scene[]){{0}, {0}, {.options = {.level = "full"}}, {.swapped = true}}, 4, NULL);
    assert_groups(&r, "0000", -1);
    assert_int_equal(r.all->compared, 44);
    assert_int_equal(r.all->agreed, 44);
    done(&r);
}

static void test_odd(void **state)
{
    (void)state;
    static const char *const groups[] = {"011", "010", "001"};
    for (int odd = 0; odd < 3; odd++) {
        scene scenes[3] = {{0}};
        scenes[odd] = (scene){FLIP(3)};
        runs r = agree(scenes, 3, NULL);
        assert_groups(&r, groups[odd], odd);
        assert_int_equal(r.all->compared, 44);
        assert_int_equal(r.all->agreed, 29);
        for (int i = 0; i < 3; i++)
            if (i == odd)
                assert_parting(&r, i, "relu", 3);
            else
                assert_false(r.all->partings[i].parted);
        done(&r);
    }
}

static void test_groups(void **state)
{
    (void)state;
    runs r = agree((scene[]){{0}, {FLIP(3)}, {0}, {FLIP(3)}}, 4, NULL);
    assert_groups(&r, "0101", -1);
    assert_false(r.all->partings[0].parted); /* of a tie, the first run's group is the rest */
    assert_parting(&r, 1, "relu", 3);
    assert_parting(&r, 3, "relu", 3);
    done(&r);
    r = agree((scene[]){{0}, {FLIP(2)}, {FLIP(4)}, {.seed = 2}, {0}}, 5, NULL);
    assert_groups(&r, "01230", -1);
    assert_parting(&r, 1, "relu", 2);
    assert_parting(&r, 2, "relu", 4);
    assert_parting(&r, 3, "fc1", 0);
    done(&r);
}

/* Runs that part and have the same again later are still not the same. */
static void test_parted_for_good(void **state)
{
    (void)state;
    scene hidden = {FLIP(2)};
    hidden.poke.hidden = true;
    runs r = agree((scene[]){{0}, hidden, {0}}, 3, NULL);
    assert_groups(&r, "010", 1);
    assert_int_equal(r.all->agreed, 43);
    done(&r);
}

static void test_missing(void **state)
{
    (void)state;
    runs r = agree((scene[]){{0}, {0}, {.steps = 3}, {.without = "relu"}}, 4, NULL);
    assert_groups(&r, "0012", -1);
    assert_int_equal(r.all->missing[0], 0);
    assert_int_equal(r.all->missing[2], 10); /* the records of a step */
    assert_int_equal(r.all->missing[3], 4);
    assert_int_equal(r.all->compared, 44 - 10 - 3);
    assert_int_equal(r.all->agreed, r.all->compared);
    assert_parting(&r, 2, "batch", 4);
    assert_parting(&r, 3, "relu", 1);
    done(&r);
    r = agree((scene[]){{0}, {.wide = true}, {0}}, 3, NULL);
    assert_groups(&r, "010", 1);
    assert_parting(&r, 1, "fc2", 1);
    done(&r);
}

static void test_selected(void **state)
{
    (void)state;
    const scene scenes[] = {{0}, {FLIP(3)}, {0}};
    runs r = agree(scenes, 3, &(va_diff_options){.layer = "batch", .last_step = UINT64_MAX});
    assert_groups(&r, "000", -1);
    assert_int_equal(r.all->compared, 8);
    done(&r);
    r = agree(scenes, 3, &(va_diff_options){.last_step = 2});
    assert_groups(&r, "000", -1);
    assert_int_equal(r.all->compared, 24);
    done(&r);
    r = agree(scenes, 3, &(va_diff_options){.phase = VR_METRIC, .last_step = UINT64_MAX});
    assert_groups(&r, "010", 1);
    assert_parting(&r, 1, "metric", 3);
    done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alike),   cmocka_unit_test(test_odd),      cmocka_unit_test(test_groups),
        cmocka_unit_test(test_missing), cmocka_unit_test(test_selected), cmocka_unit_test(test_parted_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
