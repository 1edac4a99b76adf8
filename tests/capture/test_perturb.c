/* Noise that VR_PERTURB puts into tensors as they are recorded: its size, its law, where it goes and where not. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <scratch.h>
#include <varanalyze/capture.h>

enum { N = 1 << 16 };

static float values[N], original[N];

static int clear(void **state)
{
    (void)state;
    scratch_clear_environment();
    for (int i = 0; i < N; i++)
        original[i] = values[i] = 1 + (float)i / N;
    return 0;
}

static vr_run *open_with(const char *rules, uint64_t seed, const char *trace)
{
    vr_run *run;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.perturb = rules;
    options.seed = &seed;
    options.trace = trace ? trace : "";
    if (vr_run_open(&run, &options) != VR_OK)
        fail_msg("%s", vr_error());
    return run;
}

static void record(vr_run *run)
{
    assert_int_equal(vr_record(run, VR_FORWARD, "conv1", "out", VR_TENSOR(VR_F32, values, N), NULL), VR_OK);
}

/* `values` after one record call under the rules. */
static void perturb(const char *rules, uint64_t seed)
{
    memcpy(values, original, sizeof values);
    vr_run *run = open_with(rules, seed, NULL);
    record(run);
    assert_int_equal(vr_run_close(run), VR_OK);
}

static int64_t count_changed(void)
{
    int64_t changed = 0;
    for (int i = 0; i < N; i++)
        changed += memcmp(&values[i], &original[i], sizeof *values) != 0;
    return changed;
}

/* A share of p of n differs from p n by more than 5 sqrt(n p (1 - p)) once in 1.7 million. */
static void assert_share(int64_t count, int64_t n, double p)
{
    const double sigma = sqrt((double)n * p * (1 - p));
    if (fabs((double)count - (double)n * p) > 5 * sigma)
        fail_msg("%lld of %lld, not %g of them", (long long)count, (long long)n, p);
}

static void test_bit_moves_by_that_bit(void **state)
{
    (void)state;
    for (int bit = 1; bit <= 23; bit++) { /* bit 0 could leave the binade */
        char rules[64];
        int64_t up = 0;
        snprintf(rules, sizeof rules, "conv1/out=bit:%d", bit);
        perturb(rules, 7);
        for (int i = 0; i < N; i++) {
            const double moved = (double)values[i] - (double)original[i];
            assert_true(fabs(moved) == ldexp(1, -bit));
            up += moved > 0;
        }
        assert_share(up, N, 0.5);
    }
}

static void test_share_of_elements(void **state)
{
    (void)state;
    perturb("conv1=bit:10:0.125", 3);
    assert_share(count_changed(), N, 0.125);
    perturb("conv1=bit:10:0", 3);
    assert_int_equal(count_changed(), 0);
}

/* Uniform in +-2^-T around the element, T = 10, of elements in [1, 2): mean 0, variance 2^(-2T) / 3, up to f32's own
 * rounding of 2^-24. */
static void test_noise_follows_its_law(void **state)
{
    (void)state;
    double sum = 0, squares = 0;
    const double bound = ldexp(1, -10);
    perturb("*=noise:10", 11);
    for (int i = 0; i < N; i++) {
        const double moved = (double)values[i] - (double)original[i];
        assert_true(fabs(moved) <= bound + ldexp(1, -24));
        sum += moved;
        squares += moved * moved;
    }
    const double variance = bound * bound / 3; /* of the squares: bound^4 4/45 */
    assert_true(fabs(sum / N) < 5 * sqrt(variance / N));
    assert_true(fabs(squares / N - variance) < 5 * bound * bound * sqrt(4.0 / 45 / N) + ldexp(bound, -22));
}

/* A sum of n terms of sizes |x| / sqrt(n): partial sums stay below about sqrt(3 n) |x|, each addition errs by at most
 * 2^-24 of them. */
static void test_sum_errs_like_a_sum(void **state)
{
    (void)state;
    double largest = 0;
    enum { TERMS = 256 };
    perturb("conv1/out=sum:256", 5);
    for (int i = 0; i < N; i++) {
        const double relative = fabs((double)values[i] / (double)original[i] - 1);
        largest = relative > largest ? relative : largest;
        assert_true(relative < TERMS * sqrt(3.0 * TERMS) * ldexp(1, -24));
    }
    assert_true(largest > ldexp(1, -22));
    assert_true(count_changed() > N / 2);
}

static void test_repeats_for_a_seed(void **state)
{
    (void)state;
    static float first[N];
    perturb("*=noise:20", 1);
    memcpy(first, values, sizeof first);
    perturb("*=noise:20", 1);
    assert_memory_equal(first, values, sizeof first);
    perturb("*=noise:20", 2);
    assert_memory_not_equal(first, values, sizeof first);
}

/* Another record before it, or a trace, changes nothing of a tensor's noise. */
static void test_noise_belongs_to_the_name(void **state)
{
    (void)state;
    static float first[N];
    float other[4] = {1, 2, 3, 4};
    perturb("*=bit:12", 1);
    memcpy(first, values, sizeof first);
    memcpy(values, original, sizeof values);
    vr_run *run = open_with("*=bit:12", 1, scratch_path("named.h5"));
    assert_int_equal(vr_record(run, VR_FORWARD, "conv0", "out", VR_TENSOR(VR_F32, other, 4), NULL), VR_OK);
    record(run);
    assert_memory_equal(first, values, sizeof first);
    memcpy(values, original, sizeof values);
    record(run); /* the second time: other noise */
    assert_memory_not_equal(first, values, sizeof first);
    assert_int_equal(vr_run_close(run), VR_OK);
}

static void test_trace_holds_what_it_became(void **state)
{
    (void)state;
    const char *path = scratch_path("became.h5");
    vr_trace *trace;
    vr_trace_record row;
    vr_digest digest;
    vr_run *run = open_with("conv1/out=bit:3", 1, path);
    memcpy(values, original, sizeof values);
    record(run);
    assert_int_equal(vr_run_close(run), VR_OK);
    assert_int_equal(count_changed(), N);
    assert_int_equal(vr_trace_open(&trace, path), VR_OK);
    assert_int_equal(vr_trace_read_records(trace, 0, 1, &row), VR_OK);
    const vr_tensor tensor = VR_TENSOR(VR_F32, values, N);
    assert_int_equal(vr_digest_tensor(&digest, &tensor), VR_OK);
    assert_true(vr_digest_equal(digest, row.digest));
    assert_non_null(strstr(vr_trace_get_info(trace)->run, "\"conv1/out=bit:3\""));
    vr_trace_close(trace);
}

static void test_only_in_its_steps(void **state)
{
    (void)state;
    vr_run *run = open_with("conv1=bit:3@2-3", 1, NULL);
    for (int step = 0; step <= 5; step++) {
        memcpy(values, original, sizeof values);
        record(run);
        assert_int_equal(count_changed(), step == 2 || step == 3 ? N : 0);
        assert_int_equal(vr_run_step(run, 0), VR_OK);
    }
    vr_run_close(run);
}

static void test_first_matching_rule_decides(void **state)
{
    (void)state;
    perturb("gradient:conv1=bit:2,forward:conv2=bit:2,forward:conv1=bit:20,*=bit:1", 1);
    for (int i = 0; i < N; i++)
        assert_true(fabs((double)values[i] - (double)original[i]) == ldexp(1, -20));
    perturb("conv1/in=bit:2", 1);
    assert_int_equal(count_changed(), 0);
}

static void test_specials_stay(void **state)
{
    (void)state;
    const uint32_t signaling = 0x7f800001;
    float kept[] = {0.0F, -0.0F, INFINITY, -INFINITY, 0, FLT_MAX, -FLT_MAX};
    memcpy(&kept[4], &signaling, sizeof signaling);
    float now[7];
    memcpy(now, kept, sizeof now);
    int32_t labels[4] = {1, 2, 3, 4};
    vr_run *run = open_with("*=noise:1", 1, NULL);
    for (int i = 0; i < 100; i++) {
        now[5] = FLT_MAX;
        now[6] = -FLT_MAX;
        assert_int_equal(vr_record(run, VR_FORWARD, "a", "x", VR_TENSOR(VR_F32, now, 7), NULL), VR_OK);
        assert_memory_equal(now, kept, 5 * sizeof *now);
        assert_true(isfinite(now[5]) && isfinite(now[6]));
    }
    assert_int_equal(vr_record(run, VR_INPUT, "a", "y", VR_TENSOR(VR_I32, labels, 4), NULL), VR_OK);
    assert_memory_equal(labels, ((int32_t[]){1, 2, 3, 4}), sizeof labels);
    vr_run_close(run);
}

/* A view of every other column, from the last row up. */
static void test_only_the_elements_of_a_view(void **state)
{
    (void)state;
    double matrix[6][8];
    for (int i = 0; i < 48; i++)
        matrix[i / 8][i % 8] = 1 + i;
    vr_tensor view = VR_TENSOR(VR_F64, &matrix[5][0], 6, 4);
    view.strides[0] = -8;
    view.strides[1] = 2;
    vr_run *run = open_with("*=bit:30", 1, NULL);
    assert_int_equal(vr_record(run, VR_FORWARD, "a", "x", view, NULL), VR_OK);
    vr_run_close(run);
    for (int i = 0; i < 48; i++)
        assert_int_equal(matrix[i / 8][i % 8] != 1 + i, i % 2 == 0);
}

static void test_narrow_types(void **state)
{
    (void)state;
    static const vr_dtype types[] = {VR_F16, VR_BF16, VR_F8E4M3, VR_F8E5M2};
    static const int last[] = {10, 7, 3, 2}; /* the bit of an ulp */
    for (int t = 0; t < 4; t++) {
        uint16_t codes[64] = {0};
        double before[64], after[64];
        char rules[32];
        for (int i = 0; i < 64; i++)
            before[i] = 1.5;
        vr_from_f64(codes, types[t], before, 64);
        snprintf(rules, sizeof rules, "*=bit:%d", last[t]);
        vr_run *run = open_with(rules, 1, NULL);
        assert_int_equal(vr_record(run, VR_WEIGHT, "a", "w", vr_tensor_of(types[t], codes, 1, (int64_t[]){64}), NULL),
                         VR_OK);
        vr_run_close(run);
        vr_to_f64(after, codes, types[t], 64);
        for (int i = 0; i < 64; i++)
            assert_true(fabs(after[i] - 1.5) == ldexp(1, -last[t]));
    }
}

static const float constants[8] = {1, 2, 3, 4, 5, 6, 7, 8};

static void test_constants_are_left_alone(void **state)
{
    (void)state;
    vr_run *run = open_with("*=bit:1", 1, NULL);
    assert_int_equal(vr_record(run, VR_INPUT, "a", "x", VR_TENSOR(VR_F32, constants, 8), NULL), VR_ERROR_UNSUPPORTED);
    assert_message("cannot be written");
    vr_run_close(run);
}

static void test_empty_and_scalar(void **state)
{
    (void)state;
    float one = 1;
    vr_run *run = open_with("*=bit:1", 1, NULL);
    assert_int_equal(vr_record(run, VR_INPUT, "a", "x", VR_TENSOR(VR_F32, NULL, 3, 0), NULL), VR_OK);
    assert_int_equal(vr_record(run, VR_INPUT, "a", "y", VR_SCALAR(VR_F32, &one), NULL), VR_OK);
    assert_true(one == 0.5F || one == 1.5F);
    assert_int_equal(vr_metric(run, "loss", 1, NULL), VR_OK);
    vr_run_close(run);
}

static void test_bad_rules(void **state)
{
    (void)state;
    static const char *const rules[] = {
        "conv1",           "=bit:1",       "conv1=",          "conv1=bit",     "conv1=bit:",     "conv1=bit:53",
        "conv1=noise:0",   "conv1=sum:1",  "conv1=sum:65537", "conv1=bits:1",  "conv1=bit:1:2",  "conv1=bit:1:",
        "conv1=bit:1:nan", "conv1=bit:1@", "conv1=bit:1@3-2", "conv1=bit:1@x", "conv1=bit:1@1-", "sideways:a=bit:1",
        "forward:=bit:1",  "a=bit:1,",     "a=bit:1 ",        "a=bit:-1",      "a=bit:1@-1"};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        vr_run *run;
        vr_run_options options = VR_RUN_OPTIONS_INIT;
        options.trace = "";
        options.perturb = rules[i];
        if (vr_run_open(&run, &options) != VR_ERROR_ARGUMENT)
            fail_msg("not refused: %s", rules[i]);
        record(run);
        vr_run_close(run);
    }
}

static void test_from_the_environment(void **state)
{
    (void)state;
    vr_run *run;
    setenv("VR_PERTURB", "conv1=bit:4", 1);
    memcpy(values, original, sizeof values);
    assert_int_equal(vr_run_open(&run, NULL), VR_OK);
    record(run);
    vr_run_close(run);
    assert_int_equal(count_changed(), N);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_bit_moves_by_that_bit, clear),
        cmocka_unit_test_setup(test_share_of_elements, clear),
        cmocka_unit_test_setup(test_noise_follows_its_law, clear),
        cmocka_unit_test_setup(test_sum_errs_like_a_sum, clear),
        cmocka_unit_test_setup(test_repeats_for_a_seed, clear),
        cmocka_unit_test_setup(test_noise_belongs_to_the_name, clear),
        cmocka_unit_test_setup(test_trace_holds_what_it_became, clear),
        cmocka_unit_test_setup(test_only_in_its_steps, clear),
        cmocka_unit_test_setup(test_first_matching_rule_decides, clear),
        cmocka_unit_test_setup(test_specials_stay, clear),
        cmocka_unit_test_setup(test_only_the_elements_of_a_view, clear),
        cmocka_unit_test_setup(test_narrow_types, clear),
        cmocka_unit_test_setup(test_constants_are_left_alone, clear),
        cmocka_unit_test_setup(test_empty_and_scalar, clear),
        cmocka_unit_test_setup(test_bad_rules, clear),
        cmocka_unit_test_setup(test_from_the_environment, clear),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
