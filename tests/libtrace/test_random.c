#include <varanalyze/random.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <xxhash.h>

static uint64_t pair(uint32_t low, uint32_t high)
{
    return low | (uint64_t)high << 32;
}

/* The vectors of philox4x32-10 in Random123's kat_vectors. */
static void test_known_answers(void **state)
{
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], words[4];
    } vectors[] = {
        {{0}, {0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t v = 0; v < sizeof vectors / sizeof *vectors; v++) {
        const uint32_t *counter = vectors[v].counter;
        vr_random random = vr_random_stream(pair(vectors[v].key[0], vectors[v].key[1]), pair(counter[2], counter[3]));
        random.block = pair(counter[0], counter[1]);
        for (int i = 0; i < 4; i++)
            assert_int_equal(vr_random_u32(&random), vectors[v].words[i]);
    }
}

static void test_blocks_follow_each_other(void **state)
{
    (void)state;
    vr_random whole = vr_random_stream(7, 3);
    for (uint64_t block = 0; block < 5; block++) {
        vr_random part = vr_random_stream(7, 3);
        part.block = block;
        for (int i = 0; i < 4; i++)
            assert_int_equal(vr_random_u32(&whole), vr_random_u32(&part));
    }
}

static void test_a_copy_keeps_the_position(void **state)
{
    (void)state;
    vr_random random = vr_random_stream(7, 3);
    vr_random_u32(&random);
    vr_random kept = random;
    const uint64_t drawn = vr_random_u64(&random);
    const uint32_t low = vr_random_u32(&kept), high = vr_random_u32(&kept);
    assert_int_equal(drawn, pair(low, high));
}

static void test_derived_seeds(void **state)
{
    (void)state;
    assert_int_equal(vr_derive_seed(5, "shuffle"), XXH3_64bits_withSeed("shuffle", 7, 5));
    assert_int_not_equal(vr_derive_seed(5, "shuffle"), vr_derive_seed(5, "init"));
    assert_int_not_equal(vr_derive_seed(5, "shuffle"), vr_derive_seed(6, "shuffle"));
    assert_int_equal(vr_derive_seed(0, ""), XXH3_64bits("", 0));
}

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* 2^16 draws of 64 bits from 256 streams: by chance two agree with probability below 2^31 / 2^64. */
static void test_streams_differ(void **state)
{
    (void)state;
    enum { STREAMS = 256, DRAWS = 256 };
    static uint64_t drawn[STREAMS * DRAWS];
    static const char *const purposes[] = {"shuffle", "init", "dropout", "noise"};
    for (uint64_t s = 0; s < STREAMS; s++) {
        vr_random random = vr_random_stream(vr_derive_seed(1, purposes[s % 4]), s / 4);
        for (int i = 0; i < DRAWS; i++)
            drawn[s * DRAWS + (uint64_t)i] = vr_random_u64(&random);
    }
    qsort(drawn, STREAMS * DRAWS, sizeof *drawn, by_value);
    for (size_t i = 1; i < STREAMS * DRAWS; i++)
        assert_int_not_equal(drawn[i - 1], drawn[i]);
}

/* The mean of n draws has the standard deviation sqrt(1 / (12 n)): 5 of them for n = 2^20 are 0.0014. */
static void test_uniform(void **state)
{
    (void)state;
    vr_random random = vr_random_stream(11, 0);
    double sum = 0, min = 1, max = 0;
    const int n = 1 << 20;
    for (int i = 0; i < n; i++) {
        vr_random next = random;
        const uint64_t bits = vr_random_u64(&next);
        const double x = vr_random_uniform(&random);
        assert_true(x == (double)(bits >> 11) / 9007199254740992.0);
        sum += x;
        min = fmin(min, x);
        max = fmax(max, x);
    }
    assert_true(min >= 0 && min < 1e-4 && max < 1 && max > 1 - 1e-4);
    assert_true(fabs(sum / n - 0.5) < 0.0014);
}

/* Chi-squared of k cells has the mean k - 1 and the variance 2 (k - 1); 5 standard deviations are exceeded by chance
 * about once in 10^5 for these k, and the seed is fixed. */
static void assert_uniform_cells(const uint32_t *cells, size_t k, double draws)
{
    double chi = 0;
    for (size_t i = 0; i < k; i++)
        chi += (cells[i] - draws / (double)k) * (cells[i] - draws / (double)k) / (draws / (double)k);
    const double freedom = (double)k - 1;
    assert_true(fabs(chi - freedom) < 5 * sqrt(2 * freedom) || chi < freedom);
}

static void test_below(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {2, 3, 7, 10, 64, 100, 1000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint32_t cells[1000] = {0};
        const int draws = 1 << 18;
        vr_random random = vr_random_stream(17, s);
        for (int i = 0; i < draws; i++) {
            const uint64_t x = vr_random_below(&random, sizes[s]);
            assert_true(x < sizes[s]);
            cells[x]++;
        }
        assert_uniform_cells(cells, sizes[s], draws);
    }
}

/* Of n = 3 2^62 the product without rejection gives the numbers that are 0 modulo 3 twice as often as the others. */
static void test_below_rejects(void **state)
{
    (void)state;
    const uint64_t n = UINT64_C(3) << 62;
    uint32_t cells[3] = {0};
    const int draws = 1 << 18;
    vr_random random = vr_random_stream(19, 0);
    for (int i = 0; i < draws; i++)
        cells[vr_random_below(&random, n) % 3]++;
    assert_uniform_cells(cells, 3, draws);
}

static void test_below_one_and_extremes(void **state)
{
    (void)state;
    vr_random random = vr_random_stream(23, 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(vr_random_below(&random, 1), 0);
        assert_true(vr_random_below(&random, UINT64_MAX) < UINT64_MAX);
    }
}

static void test_permutation(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 2, 3, 1000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        uint32_t order[1000];
        bool seen[1000] = {false};
        vr_random random = vr_random_stream(29, s);
        vr_random_permutation(&random, order, sizes[s]);
        for (size_t i = 0; i < sizes[s]; i++) {
            assert_true(order[i] < sizes[s] && !seen[order[i]]);
            seen[order[i]] = true;
        }
    }
}

static void test_permutations_are_uniform(void **state)
{
    (void)state;
    uint32_t cells[27] = {0}, found[6];
    const int draws = 60000;
    for (int i = 0; i < draws; i++) {
        uint32_t order[3];
        vr_random random = vr_random_stream(31, (uint64_t)i);
        vr_random_permutation(&random, order, 3);
        cells[9 * order[0] + 3 * order[1] + order[2]]++;
    }
    size_t n = 0;
    for (size_t i = 0; i < 27; i++)
        if (cells[i] > 0) {
            assert_true(n < 6);
            found[n++] = cells[i];
        }
    assert_int_equal(n, 6);
    assert_uniform_cells(found, 6, draws);
}

/* Fisher-Yates from the end, drawn as the header says. */
static void test_permutation_is_as_documented(void **state)
{
    (void)state;
    uint32_t order[20], expected[20];
    vr_random random = vr_random_stream(37, 0), draws = random;
    vr_random_permutation(&random, order, 20);
    for (uint32_t i = 0; i < 20; i++)
        expected[i] = i;
    for (size_t i = 19; i >= 1; i--) {
        const size_t j = vr_random_below(&draws, i + 1);
        const uint32_t x = expected[i];
        expected[i] = expected[j];
        expected[j] = x;
    }
    assert_memory_equal(order, expected, sizeof order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_blocks_follow_each_other),
        cmocka_unit_test(test_a_copy_keeps_the_position),
        cmocka_unit_test(test_derived_seeds),
        cmocka_unit_test(test_streams_differ),
        cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_below_rejects),
        cmocka_unit_test(test_below_one_and_extremes),
        cmocka_unit_test(test_permutation),
        cmocka_unit_test(test_permutations_are_uniform),
        cmocka_unit_test(test_permutation_is_as_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
