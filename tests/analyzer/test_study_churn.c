/* Churn of many replicas against counting pair by pair, with codes of every width, for every instruction set and any
 * number of threads. */
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <study_churn.h>
#include <study_kernels.h>
#include <varanalyze/random.h>

#include <cmocka.h>

static const char *const isas[] = {"baseline", "avx2", "avx512"};

/* ---- kernels ---- */

#define CODES 70001

static void fill(void *out, size_t bytes, uint64_t index)
{
    vr_random random = vr_random_stream(11, index);
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)out)[i] = (uint8_t)(vr_random_u32(&random) % 3 ? 1 : 2);
}

static uint64_t count_differing(const char *a, const char *b, size_t width, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += memcmp(a + i * width, b + i * width, width) != 0;
    return sum;
}

/* Long enough that a lane of 8 bits would overflow, all different among them. */
static void test_kernels(void **state)
{
    (void)state;
    static char a[4 * CODES], b[4 * CODES], opposite[4 * CODES];
    fill(a, sizeof a, 0);
    fill(b, sizeof b, 1);
    for (size_t i = 0; i < sizeof a; i++)
        opposite[i] = (char)(a[i] ^ 4);
    static const size_t lengths[] = {0, 1, 15, 16, 17, 63, 64, 65, 8191, CODES};
    for (size_t k = 0; k < 3; k++) {
        const va_study_kernels *kernels = va_study_kernels_named(isas[k]);
        if (!kernels)
            continue;
        for (size_t width = 1; width <= 4; width *= 2)
            for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
                const size_t n = lengths[l];
                assert_int_equal(kernels->differ(a, b, width, n), count_differing(a, b, width, n));
                assert_int_equal(kernels->differ(a, opposite, width, n), n);
                assert_int_equal(kernels->differ(a, a, width, n), 0);
            }
    }
}

/* ---- conditions ---- */

/* So many replicas do not fill their last tile, and samples cross blocks. */
#define REPLICAS 37
#define SAMPLES  20011

static uint64_t ids[SAMPLES];
static int32_t labels[SAMPLES], predictions[REPLICAS][SAMPLES];

/* Mostly right; `strange`: some predict what is no class. */
static va_table *make_table(int classes, bool strange)
{
    va_table *table;
    assert_int_equal(va_table_new(&table, classes, 0), VR_OK);
    vr_random random = vr_random_stream(5, (uint64_t)classes);
    for (size_t i = 0; i < SAMPLES; i++) {
        ids[i] = (uint64_t)i * 3;
        labels[i] = (int32_t)vr_random_below(&random, (uint64_t)classes);
    }
    for (int r = 0; r < REPLICAS; r++) {
        for (size_t i = 0; i < SAMPLES; i++) {
            const uint32_t u = vr_random_u32(&random);
            predictions[r][i] = u % 8 ? labels[i] : (int32_t)vr_random_below(&random, (uint64_t)classes);
            if (strange && u % 1000 == 0)
                predictions[r][i] = u % 3000 == 0 ? -7 : INT32_MAX - (int32_t)(u % 5);
        }
        const va_replica replica = {"r", SAMPLES, ids, labels, predictions[r], NULL, NULL, NAN};
        assert_int_equal(va_table_add(table, &replica), VR_OK);
    }
    return table;
}

/* The pair's three figures, by their definition. */
static void check_pair(const va_churn *churn, size_t a, size_t b)
{
    size_t differ = 0, one = 0, any = 0;
    for (size_t i = 0; i < SAMPLES; i++) {
        const bool x = predictions[a][i] == labels[i], y = predictions[b][i] == labels[i];
        differ += predictions[a][i] != predictions[b][i];
        one += x != y;
        any += x || y;
    }
    const size_t pair = va_pair(a, b, REPLICAS);
    assert_true(churn->pairs[pair] == (double)differ / SAMPLES);
    assert_true(churn->one_correct[pair] == (double)one / SAMPLES);
    assert_true(churn->among_correct[pair] == (double)one / (double)any);
}

static void check_others(const va_churn *churn, size_t a)
{
    double sum = 0;
    size_t of_class = 0;
    const int class = churn->classes / 2;
    for (size_t b = 0; b < REPLICAS; b++) {
        sum += a == b ? 0 : churn->pairs[a < b ? va_pair(a, b, REPLICAS) : va_pair(b, a, REPLICAS)];
        for (size_t i = 0; i < SAMPLES; i++)
            of_class += labels[i] == class && predictions[a][i] != predictions[b][i];
    }
    assert_true(fabs(churn->with_others[a] - sum / (REPLICAS - 1)) < 1e-14);
    const double expected =
        churn->class_samples[class] ? (double)of_class / ((double)churn->class_samples[class] * (REPLICAS - 1)) : NAN;
    const double value = churn->class_with_others[(size_t) class * REPLICAS + a];
    assert_true(isnan(expected) ? isnan(value) : value == expected);
}

static void check_condition(int classes, bool strange)
{
    va_table *table = make_table(classes, strange);
    va_churn *churn;
    assert_int_equal(va_churn_of(&churn, table), VR_OK);
    for (size_t a = 0; a < REPLICAS; a++) {
        for (size_t b = a + 1; b < REPLICAS; b++)
            check_pair(churn, a, b);
        check_others(churn, a);
    }
    assert_true(fabs(churn->mean - churn->over_pairs.mean) < 1e-14);
    va_churn_free(churn);
    va_table_free(table);
}

static void test_conditions(void **state)
{
    (void)state;
    check_condition(2, false);
    check_condition(256, true); /* the strange ones make codes of two bytes */
    check_condition(1000, false);
    check_condition(70000, true);
}

static bool same(const va_churn *a, const va_churn *b)
{
    const size_t pairs = a->pair_count * sizeof *a->pairs, others = REPLICAS * sizeof *a->with_others;
    return memcmp(a->pairs, b->pairs, pairs) == 0 && memcmp(a->one_correct, b->one_correct, pairs) == 0 &&
           memcmp(a->with_others, b->with_others, others) == 0 &&
           memcmp(a->class_with_others, b->class_with_others, (size_t)a->classes * others) == 0;
}

static void test_threads(void **state)
{
    (void)state;
    va_table *table = make_table(10, true);
    const int threads = omp_get_max_threads();
    va_churn *one, *many;
    omp_set_num_threads(1);
    assert_int_equal(va_churn_of(&one, table), VR_OK);
    omp_set_num_threads(5);
    assert_int_equal(va_churn_of(&many, table), VR_OK);
    omp_set_num_threads(threads);
    assert_true(same(one, many));
    va_churn_free(one);
    va_churn_free(many);
    va_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
