/* The random words, of streams and of operands: nothing that rounding could notice tells them from random ones. Bounds
 * are five standard deviations of what random words would do; the words are fixed, so that a test that passes stays so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "rounding_cases.h"

#define COUNT (1 << 19)
#define APART (1 << 17)

static const uint64_t keys[] = {0, 1, 2, 3, UINT64_MAX, 0x123456789abcdef0};
#define KEYS (sizeof keys / sizeof *keys)

static void assert_fair(const char *what, double excess, double deviation)
{
    if (!(fabs(excess) <= 5 * deviation))
        fail_msg("%s: %.2f standard deviations from what is random", what, excess / deviation);
}

/* Ones in each bit: binomial, standard deviation sqrt(n)/2. Bytes: chi-squared with 255 degrees of freedom, standard
 * deviation sqrt(510). */
static void check_words(const uint32_t *words, const char *what)
{
    for (int bit = 0; bit < 32; bit++) {
        int ones = 0;
        for (int i = 0; i < COUNT; i++)
            ones += (int)(words[i] >> bit & 1);
        assert_fair(what, ones - COUNT / 2.0, sqrt(COUNT) / 2);
    }
    for (int byte = 0; byte < 4; byte++) {
        int counts[256] = {0};
        for (int i = 0; i < COUNT; i++)
            counts[words[i] >> 8 * byte & 255]++;
        double sum = 0;
        for (int k = 0; k < 256; k++)
            sum += pow(counts[k] - COUNT / 256.0, 2) / (COUNT / 256.0);
        assert_fair(what, sum - 255, sqrt(510));
    }
}

/* Of n uniform words: the sum of products has variance n / 144; and the exclusive or has fair bits. */
static void check_uncorrelated(const uint32_t *x, const uint32_t *y, int n, const char *what)
{
    double sum = 0;
    int ones[32] = {0};
    for (int i = 0; i < n; i++) {
        sum += (x[i] * 0x1p-32 - 0.5) * (y[i] * 0x1p-32 - 0.5);
        for (int bit = 0; bit < 32; bit++)
            ones[bit] += (int)((x[i] ^ y[i]) >> bit & 1);
    }
    assert_fair(what, sum, sqrt(n / 144.0));
    for (int bit = 0; bit < 32; bit++)
        assert_fair(what, ones[bit] - n / 2.0, sqrt(n) / 2);
}

static void test_streams(void **state)
{
    (void)state;
    static uint32_t words[COUNT];
    static const int lags[] = {1, 2, 3, 4, 5, 8, 16, 32, 64, 128, 1024, 4096, 65536};
    for (size_t k = 0; k < KEYS; k++) {
        for (uint64_t i = 0; i < COUNT; i++)
            words[i] = vr_stream_word(keys[k], i);
        check_words(words, "stream");
        for (size_t l = 0; l < sizeof lags / sizeof *lags; l++)
            check_uncorrelated(words, words + lags[l], COUNT - lags[l], "lag");
        for (uint64_t i = 0; i < COUNT; i++) { /* every 256th: low bits of the counter stand still */
            const uint64_t wide = vr_stream_word64(keys[k], i << 8);
            words[i] = (uint32_t)(i % 2 ? wide >> 32 : wide);
        }
        check_words(words, "stream of f64");
    }
}

/* Neighbouring keys, substreams, the f64 sequence, and what lies 2^32 words further on, or half of all positions. */
static void test_streams_apart(void **state)
{
    (void)state;
    static uint32_t x[APART], y[APART];
    for (uint64_t i = 0; i < APART; i++)
        x[i] = vr_stream_word(1, i);
    for (int other = 0; other < 40; other++) {
        const vr_stream sub = vr_stream_at(1, (uint64_t)other);
        for (uint64_t i = 0; i < APART; i++) {
            if (other < 16)
                y[i] = vr_stream_word(sub.key, i);
            else if (other < 26)
                y[i] = vr_stream_word((uint64_t)(other - 14), i);
            else if (other < 30)
                y[i] = vr_stream_word(1 + (1ull << (other * 2)), i);
            else if (other < 38)
                y[i] = vr_stream_word(1, i + ((uint64_t)(other - 29) << 32));
            else
                y[i] = (uint32_t)(vr_stream_word64(1, i) >> (other == 38 ? 0 : 32));
        }
        check_uncorrelated(x, y, APART, "streams");
    }
    for (uint64_t i = 0; i < APART; i++) {
        x[i] = (uint32_t)vr_stream_word64(1, i);
        y[i] = (uint32_t)vr_stream_word64(1, i + (1ull << 63));
    }
    check_uncorrelated(x, y, APART, "f64, far apart");
}

/* One word from each of very many streams. */
static void test_across_streams(void **state)
{
    (void)state;
    static uint32_t x[COUNT];
    for (uint64_t i = 0; i < COUNT; i++)
        x[i] = vr_stream_word(vr_stream_at(5, i).key, 0);
    check_words(x, "first words");
    check_uncorrelated(x, x + 1, COUNT - 1, "first words");
    for (uint64_t i = 0; i < COUNT; i++)
        x[i] = vr_stream_word(i, 17);
    check_words(x, "keys in order");
    check_uncorrelated(x, x + 1, COUNT - 1, "keys in order");
}

static void test_commuting(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        const float a = (float)any_number(true), b = (float)any_number(true), c = (float)any_number(true);
        const double x = any_number(false), y = any_number(false), z = any_number(false);
        const uint64_t key = next_random();
        assert_int_equal(vr_operand_word_f32(VR_ADD, a, b, 0, key), vr_operand_word_f32(VR_ADD, b, a, 0, key));
        assert_int_equal(vr_operand_word_f32(VR_MUL, a, b, 0, key), vr_operand_word_f32(VR_MUL, b, a, 0, key));
        assert_int_equal(vr_operand_word_f32(VR_FMA, a, b, c, key), vr_operand_word_f32(VR_FMA, b, a, c, key));
        assert_int_equal(vr_operand_word_f32(VR_SUB, a, b, 0, key), vr_operand_word_f32(VR_ADD, a, -b, 0, key));
        assert_true(vr_operand_word_f64(VR_ADD, x, y, 0, key) == vr_operand_word_f64(VR_ADD, y, x, 0, key));
        assert_true(vr_operand_word_f64(VR_MUL, x, y, 0, key) == vr_operand_word_f64(VR_MUL, y, x, 0, key));
        assert_true(vr_operand_word_f64(VR_FMA, x, y, z, key) == vr_operand_word_f64(VR_FMA, y, x, z, key));
        assert_true(vr_operand_word_f64(VR_SUB, x, y, 0, key) == vr_operand_word_f64(VR_ADD, x, -y, 0, key));
        assert_true(vr_operand_word_f64(VR_DIV, x, 2 * y, 0, key) != vr_operand_word_f64(VR_DIV, 2 * y, x, 0, key));
    }
}

/* Operands as programs have them, different ones for i < 4096. */
static double structured(int kind, int i)
{
    switch (kind) {
    case 0:
        return i + 1;
    case 1:
        return 1 + i * 0x1p-12;
    case 2:
        return ldexp(1 + i / 60 * 0x1p-7, i % 60 - 30);
    case 3:
        return 0.1f * (float)i;
    default:
        return ldexp(1 + (double)(next_random() >> 11) * 0x1p-53, (int)(next_random() % 100) - 50);
    }
}

#define TRIALS 1024

static uint64_t word_of(bool is_f32, vr_operation op, const double operands[3], uint64_t key)
{
    const double a = operands[0], b = operands[1], c = operands[2];
    if (is_f32)
        return (uint64_t)vr_operand_word_f32(op, (float)a, (float)b, (float)c, key) << 32;
    return vr_operand_word_f64(op, a, b, c, key);
}

static double flipped(bool is_f32, double x, int bit)
{
    float narrow = (float)x;
    uint32_t bits32;
    uint64_t bits64;
    memcpy(&bits32, &narrow, sizeof bits32);
    memcpy(&bits64, &x, sizeof bits64);
    bits32 ^= UINT32_C(1) << (bit % 32);
    bits64 ^= UINT64_C(1) << bit;
    memcpy(&narrow, &bits32, sizeof narrow);
    memcpy(&x, &bits64, sizeof x);
    return is_f32 ? (double)narrow : x;
}

/* Each bit of an operand flips each of the upper 31 (52) bits of the word half of the time: six standard deviations,
 * since there are about 200,000 such pairs. What becomes Inf or NaN is left out. */
static void test_avalanche(void **state)
{
    (void)state;
    for (int is_f32 = 0; is_f32 < 2; is_f32++)
        for (int op = 0; op < VR_OPERATIONS; op++)
            for (int kind = 0; kind < 5; kind++)
                for (int which = 0; which < (op == VR_SQRT ? 1 : op == VR_FMA ? 3 : 2); which++)
                    for (int bit = 0; bit < (is_f32 ? 30 : 62); bit++) {
                        int flips[64] = {0}, trials = 0;
                        for (int i = 0; i < TRIALS; i++) {
                            double x[3] = {structured(kind, i), structured(kind, i * 7 % TRIALS),
                                           structured(kind, i * 5 % TRIALS)};
                            const uint64_t before = word_of(is_f32, (vr_operation)op, x, 9);
                            x[which] = flipped(is_f32, x[which], bit);
                            if (!isfinite(x[which]))
                                continue;
                            const uint64_t change = before ^ word_of(is_f32, (vr_operation)op, x, 9);
                            trials++;
                            for (int k = is_f32 ? 33 : 12; k < 64; k++)
                                flips[k] += (int)(change >> k & 1);
                        }
                        for (int k = is_f32 ? 33 : 12; k < 64; k++)
                            if (fabs(flips[k] - trials / 2.0) > 6 * sqrt(trials) / 2)
                                fail_msg("f32 %d op %d kind %d operand %d bit %d: word bit %d flips %d of %d", is_f32,
                                         op, kind, which, bit, k, flips[k], trials);
                    }
}

static int by_value(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* n random words of 32 bits have n^2 / 2^33 pairs of equal ones. Up to three times as many do no harm. */
static void check_distinct(uint32_t *words, int n, bool is_f32, int op, int kind)
{
    qsort(words, (size_t)n, sizeof *words, by_value);
    int equal = 0;
    for (int i = 1; i < n; i++)
        equal += words[i] == words[i - 1];
    const double expected = (double)n * n * 0x1p-33;
    if (equal > 3 * expected + 20)
        fail_msg("f32 %d op %d kind %d: %d words occur twice, not %.1f", is_f32, op, kind, equal, expected);
}

static void test_pairs(void **state)
{
    (void)state;
    enum { SIDE = 1000 };
    static uint32_t words[SIDE * SIDE];
    for (int op = 0; op < VR_OPERATIONS; op++)
        for (int kind = 0; kind < 4; kind++)
            for (int is_f32 = 0; is_f32 < 2; is_f32++) {
                int n = 0;
                const bool commutes = op == VR_ADD || op == VR_MUL || op == VR_FMA;
                for (int i = 0; i < SIDE; i++)
                    for (int j = commutes ? i : 0; j < (op == VR_SQRT ? 1 : SIDE); j++) {
                        const double x[3] = {structured(kind, i), structured(kind, j), 1.5};
                        words[n++] = (uint32_t)(word_of(is_f32, (vr_operation)op, x, 3) >> 32);
                    }
                check_distinct(words, n, is_f32, op, kind);
            }
    for (int i = 0; i < SIDE * SIDE; i++) {
        const double x[3] = {i + 1, i + 1, 0};
        words[i] = (uint32_t)(word_of(true, VR_ADD, x, 3) >> 32);
    }
    check_distinct(words, SIDE * SIDE, true, VR_ADD, 0);
}

/* Over many structured pairs, as many results move as their error terms ask for: the sum of (moved - p) has variance
 * sum of p (1 - p). */
static void test_moves(void **state)
{
    (void)state;
    enum { SIDE = 500 };
    for (int kind = 0; kind < 4; kind++)
        for (int op = 0; op < VR_OPERATIONS; op++)
            for (uint64_t key = 0; key < 2; key++) {
                double excess = 0, variance = 0;
                for (int i = 0; i < SIDE * SIDE; i += op == VR_SQRT ? SIDE : 1) {
                    const float a = (float)structured(kind, i / SIDE);
                    const float b = (float)structured((kind + 1) % 4, i % SIDE) * 0x1.8p-13f, c = 0.3f;
                    const uint32_t word = vr_operand_word_f32((vr_operation)op, a, b, c, key);
                    const float nearest = vr_core_f32(VR_ROUND_NEAREST, (vr_operation)op, 0, a, b, c, 0);
                    const float got = vr_core_f32(VR_ROUND_SR, (vr_operation)op, 0, a, b, c, word);
                    const float up = vr_core_f32(VR_ROUND_UP, (vr_operation)op, 0, a, b, c, 0);
                    const float down = vr_core_f32(VR_ROUND_DOWN, (vr_operation)op, 0, a, b, c, 0);
                    if (up == down)
                        continue;
                    const double x = vr_core_f64(VR_ROUND_NEAREST, (vr_operation)op, 0, a, b, c, 0);
                    const double p = fabs(x - nearest) / ((double)up - down);
                    excess += (got != nearest) - p;
                    variance += p * (1 - p);
                }
                char what[64];
                snprintf(what, sizeof what, "moves, operation %d, kind %d", op, kind);
                assert_fair(what, excess, sqrt(variance) + 1e-9);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),   cmocka_unit_test(test_streams_apart), cmocka_unit_test(test_across_streams),
        cmocka_unit_test(test_commuting), cmocka_unit_test(test_avalanche),     cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
