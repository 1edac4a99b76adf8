/* The search for what makes a result unstable: which sets it finds, and in how many runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "localize_plan.h"
#include "localize_search.h"
#include "scratch.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS_MOST  512
#define CAUSES_MOST 4

/* A cause: items that spoil the result together, in some of the runs. */
typedef struct cause {
    uint32_t items[5];
    size_t count;
    uint32_t every; /* run n where n % every == at; 1: in all */
    uint32_t at;
} cause;

typedef struct world {
    cause causes[CAUSES_MOST];
    size_t count;
    uint64_t runs;
    uint64_t stop_at; /* unknown from that run on; 0: never */
    unsigned char seen[1 << 16];
    bool repeated; /* a run was asked for twice */
} world;

static bool has(const uint32_t *items, size_t count, uint32_t item)
{
    for (size_t i = 0; i < count; i++)
        if (items[i] == item)
            return true;
    return false;
}

static bool applies(const cause *c, const uint32_t *items, size_t count, uint32_t sample)
{
    bool all = sample % c->every == c->at;
    for (size_t i = 0; all && i < c->count; i++)
        all = has(items, count, c->items[i]);
    return all;
}

/* A place of the table of seen runs: a 64-bit hash would do; of 16 bits, two runs out of 300 rarely share one, and the
 * tests say so by `repeated` only where that cannot be by chance. */
static uint16_t hash_of(const uint32_t *items, size_t count, uint32_t sample)
{
    uint64_t hash = 0xcbf29ce484222325u ^ sample;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ items[i]) * 0x100000001b3u;
    return (uint16_t)(hash ^ hash >> 16 ^ hash >> 32 ^ hash >> 48);
}

static va_verdict ask(void *context, const uint32_t *items, size_t count, uint32_t sample, double chance)
{
    world *w = context;
    assert_true(count > 0);
    assert_true(chance >= 0 && chance <= 1);
    for (size_t i = 1; i < count; i++)
        assert_true(items[i - 1] < items[i]);
    if (w->stop_at && w->runs + 1 >= w->stop_at)
        return VA_UNKNOWN;
    w->runs++;
    unsigned char *seen = &w->seen[hash_of(items, count, sample)];
    w->repeated = w->repeated || *seen;
    *seen = 1;
    for (size_t i = 0; i < w->count; i++)
        if (applies(&w->causes[i], items, count, sample))
            return VA_UNSTABLE;
    return VA_STABLE;
}

static va_verdict search(va_minimals *found, world *w, size_t count, uint32_t samples)
{
    const va_oracle oracle = {ask, w, samples};
    w->runs = 0;
    memset(w->seen, 0, sizeof w->seen);
    return va_search(found, &oracle, count, 0);
}

/* Every cause is found, and nothing else. */
static void assert_found(const world *w, const va_minimals *found)
{
    assert_int_equal(found->count, w->count);
    for (size_t i = 0; i < w->count; i++) {
        bool there = false;
        for (size_t j = 0; j < found->count; j++) {
            bool same = found->sets[j].count == w->causes[i].count;
            for (size_t k = 0; same && k < w->causes[i].count; k++)
                same = has(found->sets[j].items, found->sets[j].count, w->causes[i].items[k]);
            there = there || same;
        }
        assert_true(there);
    }
}

/* One cause among 200 that shows in every run: a level of the bisection costs one run or two, there are
 * ceil(log2(200)) = 8 levels, and 1 run before them and 5 after (the rest). */
static void test_one(void **state)
{
    (void)state;
    for (uint32_t item = 0; item < 200; item++) {
        world w = {.causes = {{{item}, 1, 1, 0}}, .count = 1};
        va_minimals found;
        assert_int_equal(search(&found, &w, 200, 5), VA_UNSTABLE);
        assert_found(&w, &found);
        assert_true(w.runs <= 1 + 2 * 8 + 5);
        va_minimals_free(&found);
    }
}

/* A cause that shows in one run of three: what was unstable is asked for again with the same seed, so that only the
 * first set costs more. */
static void test_seldom(void **state)
{
    (void)state;
    for (uint32_t item = 0; item < 200; item += 7) {
        world w = {.causes = {{{item}, 1, 3, item % 3}}, .count = 1};
        va_minimals found;
        assert_int_equal(search(&found, &w, 200, 5), VA_UNSTABLE);
        assert_found(&w, &found);
        assert_int_equal(found.sets[0].sample % 3, item % 3);
        assert_true(w.runs <= 3 + 2 * 8 + 5);
        va_minimals_free(&found);
    }
}

static void test_none_and_all(void **state)
{
    (void)state;
    world w = {0};
    va_minimals found;
    assert_int_equal(search(&found, &w, 200, 5), VA_STABLE);
    assert_int_equal(w.runs, 5);
    assert_int_equal(found.count, 0);
    va_minimals_free(&found);
    assert_int_equal(search(&found, &w, 0, 5), VA_STABLE);
    assert_int_equal(w.runs, 0);
    va_minimals_free(&found);
    w = (world){.causes = {{{0}, 1, 1, 0}, {{1}, 1, 1, 0}, {{2}, 1, 1, 0}, {{3}, 1, 1, 0}}, .count = 4};
    assert_int_equal(search(&found, &w, 4, 3), VA_UNSTABLE);
    assert_found(&w, &found);
    assert_false(w.repeated);
    va_minimals_free(&found);
    w = (world){.causes = {{{0}, 1, 1, 0}}, .count = 1};
    assert_int_equal(search(&found, &w, 1, 3), VA_UNSTABLE);
    assert_int_equal(w.runs, 1);
    assert_found(&w, &found);
    va_minimals_free(&found);
}

/* Two that only together do it. Of n items, ddmin has less than 4 log2(n) sets to reduce; each asks for at most as many
 * others as there are parts of it, which while there are two causes are 3 or 4, once, and when none is unstable again
 * for each further sample: (samples - 1) times the parts. Measured: 133 runs at most of 200 items and 5 samples. */
static void test_together(void **state)
{
    (void)state;
    uint64_t most = 0;
    for (uint32_t a = 0; a < 200; a += 13)
        for (uint32_t b = a + 1; b < 200; b += 17) {
            world w = {.causes = {{{a, b}, 2, 1, 0}}, .count = 1};
            va_minimals found;
            assert_int_equal(search(&found, &w, 200, 5), VA_UNSTABLE);
            assert_found(&w, &found);
            most = w.runs > most ? w.runs : most;
            va_minimals_free(&found);
        }
    if (most > 150)
        fail_msg("%llu runs", (unsigned long long)most);
}

static void test_several(void **state)
{
    (void)state;
    world w = {.causes = {{{20}, 1, 1, 0}, {{3, 150}, 2, 1, 0}, {{149}, 1, 2, 0}, {{7, 8, 9}, 3, 1, 0}}, .count = 4};
    va_minimals found;
    assert_int_equal(search(&found, &w, 200, 5), VA_UNSTABLE);
    assert_found(&w, &found);
    va_minimals_free(&found);
}

/* Of 8 items: {3, 5, 7} do it unless 2, 4 or 6 are there, whose errors cancel theirs; and {0, 1, 2, 4, 6} do it. */
static va_verdict ask_cancelling(void *context, const uint32_t *items, size_t count, uint32_t sample, double chance)
{
    const world *w = context;
    const bool cancelled = has(items, count, 2) || has(items, count, 4) || has(items, count, 6);
    (void)chance;
    return applies(&w->causes[0], items, count, sample) || (!cancelled && applies(&w->causes[1], items, count, sample))
               ? VA_UNSTABLE
               : VA_STABLE;
}

/* {2, ..., 7} is seen to be stable, and its part that is left when the five are found is not. */
static void test_rest_of_stable(void **state)
{
    (void)state;
    world w = {.causes = {{{0, 1, 2, 4, 6}, 5, 1, 0}, {{3, 5, 7}, 3, 1, 0}}, .count = 2};
    const va_oracle oracle = {ask_cancelling, &w, 3};
    va_minimals found;
    assert_int_equal(va_search(&found, &oracle, 8, 0), VA_UNSTABLE);
    assert_found(&w, &found);
    va_minimals_free(&found);
}

/* Asked again and again, with one more answer each time, it goes the same way: no answer is needed that was not asked
 * for before. */
static void test_again(void **state)
{
    (void)state;
    world w = {.causes = {{{20}, 1, 1, 0}, {{3, 150}, 2, 1, 0}}, .count = 2};
    va_minimals found;
    assert_int_equal(search(&found, &w, 200, 4), VA_UNSTABLE);
    const uint64_t runs = w.runs;
    va_minimals_free(&found);
    for (uint64_t i = 1; i <= runs; i++) {
        w.stop_at = i;
        assert_int_equal(search(&found, &w, 200, 4), VA_UNKNOWN);
        assert_int_equal(w.runs, i - 1);
        va_minimals_free(&found);
    }
    w.stop_at = runs + 1;
    assert_int_equal(search(&found, &w, 200, 4), VA_UNSTABLE);
    va_minimals_free(&found);
}

/* ---- the plan ---- */

typedef struct bench {
    va_counted counted;
    va_journal journal;
    va_plan plan;
    world *world;
} bench;

static void open_bench(bench *b, world *w, size_t functions)
{
    const char *path = scratch_path("counts"), *journal = scratch_path("journal");
    FILE *table = fopen(path, "w");
    assert_non_null(table);
    *b = (bench){.world = w};
    fputs("file\tline\tfunction\tadd\tsub\tmul\tdiv\tsqrt\tfma\n", table);
    for (size_t i = 0; i < functions; i++) /* in this order: those with the most sums first */
        fprintf(table, "a.c\t%zu\tf%03zu\t%zu\t0\t1\t0\t0\t0\na.c\t%zu\tf%03zu\t0\t0\t1\t0\t0\t0\n", 10 * i + 1, i,
                1000 - i, 10 * i + 2, i);
    fclose(table);
    assert_int_equal(va_counted_add(&b->counted, path), VR_OK);
    assert_int_equal(va_counted_finish(&b->counted), VR_OK);
    assert_int_equal(b->counted.function_count, functions);
    remove(path);
    assert_int_equal(va_journal_open(&b->journal, journal), VR_OK);
    remove(journal);
    b->plan = (va_plan){&b->counted, &b->journal, 5, -1, true};
}

static void close_bench(bench *b)
{
    va_counted_free(&b->counted);
    va_journal_close(&b->journal);
}

/* Makes a run: a function is rounded when its first line is. */
static void answer(bench *b, va_question *question)
{
    uint32_t items[ITEMS_MOST];
    size_t count = 0;
    va_trial trial = {question->set, question->sample, {52, 52, 1, ""}, 0.1};
    for (uint32_t i = 0; i < b->counted.function_count; i++)
        if (va_sites_have(question->sites, b->counted.functions[i].first))
            items[count++] = i;
    for (size_t i = 0; i < b->world->count; i++)
        if (applies(&b->world->causes[i], items, count, question->sample))
            trial.kept = (va_kept){5, 52, 5.0 / 52, "wrong"};
    assert_null(va_journal_find(&b->journal, question->set, question->sample));
    assert_int_equal(va_journal_add(&b->journal, &trial, question->items), VR_OK);
    free(question->sites);
}

/* With `jobs` runs under way at any time, of which the oldest ends first. */
static va_verdict conduct(va_localized *out, bench *b, size_t jobs)
{
    va_question busy[64], wanted[64];
    size_t running = 0, count;
    for (;;) {
        const va_verdict verdict = va_plan_next(wanted, &count, jobs - running, out, &b->plan, busy, running);
        assert_true(count <= jobs - running);
        memcpy(busy + running, wanted, count * sizeof *wanted);
        running += count;
        if (verdict != VA_UNKNOWN) {
            for (size_t i = 0; i < running; i++)
                free(busy[i].sites);
            return verdict;
        }
        assert_true(running > 0);
        va_localized_free(out);
        answer(b, &busy[0]);
        memmove(busy, busy + 1, --running * sizeof *busy);
    }
}

/* One cause among 200, its line and all figures, in less than 60 runs, two of which are the reference, however many
 * runs there are at once; and the same is found. */
static void test_plan_one(void **state)
{
    (void)state;
    static const size_t jobs[] = {1, 2, 3, 8, 64};
    for (uint32_t item = 0; item < 200; item += 23)
        for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
            for (uint32_t every = 1; every < 4; every += 2) {
                world w = {.causes = {{{item}, 1, every, 0}}, .count = 1};
                va_localized out;
                bench b;
                open_bench(&b, &w, 200);
                assert_int_equal(conduct(&out, &b, jobs[i]), VA_UNSTABLE);
                assert_int_equal(out.count, 1);
                assert_int_equal(out.found[0].count, 1);
                assert_int_equal(out.found[0].functions[0].function, item);
                assert_int_equal(out.found[0].together.runs, 5);
                assert_int_equal(out.found[0].together.unstable, every == 1 ? 5 : 2);
                assert_int_equal(out.found[0].functions[0].without.unstable, 0);
                assert_int_equal(out.found[0].line_count, 1);
                assert_int_equal(b.counted.sites[out.found[0].lines[0].sites[0]].line, 10 * item + 1);
                assert_int_equal(out.rest.unstable, 0);
                if (b.journal.runs + 2 >= 60)
                    fail_msg("%llu runs, %zu at once", (unsigned long long)b.journal.runs + 2, jobs[i]);
                va_localized_free(&out);
                close_bench(&b);
            }
}

static void test_plan_several(void **state)
{
    (void)state;
    for (size_t jobs = 1; jobs < 10; jobs += 4) {
        world w = {.causes = {{{20}, 1, 1, 0}, {{3, 150}, 2, 1, 0}}, .count = 2};
        va_localized out;
        bench b;
        open_bench(&b, &w, 200);
        assert_int_equal(conduct(&out, &b, jobs), VA_UNSTABLE);
        assert_int_equal(out.count, 2);
        const size_t pair = out.found[0].count == 2 ? 0 : 1;
        assert_int_equal(out.found[1 - pair].functions[0].function, 20);
        assert_int_equal(out.found[1 - pair].functions[0].without.unstable, 1); /* the pair is still there */
        assert_int_equal(out.found[pair].count, 2);
        assert_int_equal(out.found[pair].functions[0].alone.unstable, 0);
        assert_int_equal(out.found[pair].functions[1].alone.runs, 5);
        assert_int_equal(out.found[pair].line_count, 1);
        assert_int_equal(out.found[pair].lines[0].count, 2);
        assert_int_equal(out.rest.runs, 5);
        va_localized_free(&out);
        close_bench(&b);
    }
}

static void test_plan_stable(void **state)
{
    (void)state;
    world w = {0};
    va_localized out;
    bench b;
    open_bench(&b, &w, 200);
    assert_int_equal(conduct(&out, &b, 4), VA_STABLE);
    assert_int_equal(out.all.runs, 5);
    assert_int_equal(b.journal.runs, 6);
    va_localized_free(&out);
    close_bench(&b);
}

/* What is unstable with nothing rounded is refused. */
static void test_plan_deaf(void **state)
{
    (void)state;
    world w = {.causes = {{{0}, 0, 1, 0}}, .count = 1};
    va_localized out;
    bench b;
    open_bench(&b, &w, 20);
    assert_int_equal(conduct(&out, &b, 1), VA_STUCK);
    assert_non_null(strstr(vr_error(), "no function is rounded"));
    va_localized_free(&out);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),       cmocka_unit_test(test_seldom),         cmocka_unit_test(test_none_and_all),
        cmocka_unit_test(test_together),  cmocka_unit_test(test_several),        cmocka_unit_test(test_again),
        cmocka_unit_test(test_plan_one),  cmocka_unit_test(test_plan_several),   cmocka_unit_test(test_plan_stable),
        cmocka_unit_test(test_plan_deaf), cmocka_unit_test(test_rest_of_stable),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
