#include "scene.h"

#include <pairing.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A run is told by a text: a letter is a record of the layer of that letter, '|' begins a step. The k-th record of a
 * layer in a step holds k. */
static const char *scripts[4];

static void tell(vr_run *run, int side)
{
    int seen[256] = {0};
    for (const char *c = scripts[side]; *c; c++) {
        if (*c == '|') {
            assert_int_equal(vr_run_step(run, 0), VR_OK);
            memset(seen, 0, sizeof seen);
            continue;
        }
        const int32_t value = ++seen[(unsigned char)*c];
        const char layer[2] = {*c, 0};
        assert_int_equal(vr_record(run, VR_FORWARD, layer, "x", VR_SCALAR(VR_I32, &value), NULL), VR_OK);
    }
}

static int number_of(const vr_trace_record *record)
{
    return record ? (int)record->stats.min : 0;
}

/* All rows as text, "a12" for the layer a, the first record of the first run and the second of the second; 0 where
 * there is none. */
static char *walk(vr_trace *const *traces, int runs, size_t *largest)
{
    char *out;
    size_t size;
    FILE *stream = open_memstream(&out, &size);
    va_pairing *pairing;
    const va_batch *batch;
    uint64_t step = 0;
    assert_int_equal(va_pairing_open(&pairing, traces, runs), VR_OK);
    const va_entity *entities = va_pairing_entities(pairing);
    *largest = 0;
    while (va_pairing_next(pairing, &batch) == VR_OK && batch) {
        assert_true(batch->first ? batch->step == 0 || batch->step == step + 1 : batch->step == step);
        step = batch->step;
        if (batch->first && step)
            putc('|', stream);
        *largest = batch->rows > *largest ? batch->rows : *largest;
        for (size_t row = 0; row < batch->rows; row++) {
            assert_true(batch->entity[row] < va_pairing_entity_count(pairing));
            fputs(entities[batch->entity[row]].layer, stream);
            for (int run = 0; run < runs; run++) {
                const vr_trace_record *record = batch->records[row * (size_t)runs + (size_t)run];
                assert_true(!record || record->step == step);
                assert_true(!record || batch->steps[run]);
                fprintf(stream, "%d", number_of(record));
            }
        }
    }
    va_pairing_close(pairing);
    fclose(stream);
    return out;
}

static void assert_pairs(int runs, const char *expected)
{
    vr_trace *traces[4];
    size_t largest;
    for (int run = 0; run < runs; run++)
        traces[run] = scene_tell("stats", tell, run);
    char *rows = walk(traces, runs, &largest);
    assert_string_equal(rows, expected);
    free(rows);
    for (int run = 0; run < runs; run++)
        vr_trace_close(traces[run]);
}

static void assert_two(const char *a, const char *b, const char *expected)
{
    scripts[0] = a;
    scripts[1] = b;
    assert_pairs(2, expected);
}

static void test_in_step(void **state)
{
    (void)state;
    assert_two("ab|abc|c", "ab|abc|c", "a11b11|a11b11c11|c11");
    assert_two("", "", "");
    assert_two("a", "", "a10");
    assert_two("||a", "||a", "||a11");
}

static void test_out_of_step(void **state)
{
    (void)state;
    assert_two("abc", "acb", "a11b11c11");
    assert_two("abc", "cba", "a11b11c11");
    assert_two("abc|a", "bc|a", "a10b11c11|a11");
    assert_two("bc|a", "abc|a", "b11c11a01|a11");
    assert_two("ab|a", "cd|a", "a10b10c01d01|a11");
}

static void test_repeated(void **state)
{
    (void)state;
    assert_two("aaa", "aaa", "a11a22a33");
    assert_two("aaa", "a", "a11a20a30");
    assert_two("a", "aaa", "a11a02a03");
    assert_two("abab", "aabb", "a11b11a22b22");
    assert_two("abab|ab", "baba|ba", "a11b11a22b22|a11b11");
}

static void test_other_steps(void **state)
{
    (void)state;
    assert_two("a|b|c", "a|b", "a11|b11|c10");
    assert_two("a|b", "a|b|c", "a11|b11|c01");
}

static void test_three(void **state)
{
    (void)state;
    scripts[0] = "ab|a";
    scripts[1] = "ba|a|c";
    scripts[2] = "aab|a";
    assert_pairs(3, "a111b111a002|a111|c010");
}

/* A step of `n` records, the letters in turn; the one at `without` left out. */
static char *long_step(size_t n, size_t without)
{
    char *out = malloc(n + 2), *to = out;
    *to++ = '|';
    for (size_t i = 0; i < n; i++)
        if (i != without)
            *to++ = (char)('a' + i % 26);
    *to = 0;
    return out;
}

/* Reads the numbers of rows of a walk: how many rows have both, and that those two are the same. */
static size_t count_pairs(const char *rows, size_t *alone)
{
    size_t both = 0;
    *alone = 0;
    for (const char *at = rows + strcspn(rows, "|"); *at; at++) {
        if (*at < 'a' || *at > 'z')
            continue;
        const size_t digits = strcspn(at + 1, "abcdefghijklmnopqrstuvwxyz");
        const bool same = digits % 2 == 0 && strncmp(at + 1, at + 1 + digits / 2, digits / 2) == 0;
        both += same;
        *alone += !same;
    }
    return both;
}

static void test_large_step(void **state)
{
    (void)state;
    enum { RECORDS = 10000 };
    for (size_t without = 0; without <= RECORDS; without += 5000) {
        char *a = long_step(RECORDS, RECORDS), *b = long_step(RECORDS, without);
        size_t largest, alone;
        scripts[0] = a;
        scripts[1] = b;
        vr_trace *traces[2] = {scene_tell("stats", tell, 0), scene_tell("stats", tell, 1)};
        char *rows = walk(traces, 2, &largest);
        const size_t both = count_pairs(rows, &alone);
        if (without == RECORDS) {
            assert_int_equal(both, RECORDS);
            assert_true(largest <= 4096); /* memory does not grow with the step */
        } else {
            /* The letter that was left out has one record less, so its last one is alone. */
            assert_int_equal(both, RECORDS - 1);
            assert_int_equal(alone, 1);
        }
        free(rows);
        free(a);
        free(b);
        vr_trace_close(traces[0]);
        vr_trace_close(traces[1]);
    }
}

static void test_find(void **state)
{
    (void)state;
    va_pairing *pairing;
    vr_trace *trace;
    scripts[0] = "ab";
    trace = scene_tell("hash", tell, 0);
    assert_int_equal(va_pairing_open(&pairing, &trace, 1), VR_OK);
    assert_int_equal(va_pairing_entity_count(pairing), 2);
    const uint32_t b = va_pairing_find(pairing, VR_FORWARD, "b and more", 1, "x");
    assert_string_equal(va_pairing_entities(pairing)[b].layer, "b");
    assert_int_equal(va_pairing_find(pairing, VR_BACKWARD, "b", 1, "x"), VA_NO_ENTITY);
    assert_int_equal(va_pairing_find(pairing, VR_FORWARD, "b", 1, "y"), VA_NO_ENTITY);
    assert_int_equal(va_pairing_find(pairing, VR_FORWARD, "b", 0, "x"), VA_NO_ENTITY);
    va_pairing_close(pairing);
    vr_trace_close(trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_step),     cmocka_unit_test(test_out_of_step), cmocka_unit_test(test_repeated),
        cmocka_unit_test(test_other_steps), cmocka_unit_test(test_three),       cmocka_unit_test(test_large_step),
        cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
