/* What runs produce, held against a reference: text, arrays, traces; tables of counts; the journal of runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "localize_journal.h"
#include "localize_product.h"
#include "localize_sites.h"
#include "localize_text.h"
#include "scene.h"
#include "scratch.h"
#include "sigbits_element.h"

#include <math.h>

/* ---- text ---- */

static va_text read_text(const char *text)
{
    va_text out;
    assert_int_equal(va_text_read(&out, text, strlen(text)), VR_OK);
    return out;
}

static void assert_numbers(const char *text, size_t count, const double *values)
{
    va_text read = read_text(text);
    if (read.count != count)
        fail_msg("'%s': %zu numbers", text, read.count);
    for (size_t i = 0; i < count; i++)
        if (read.numbers[i].value != values[i] && !(isnan(values[i]) && isnan(read.numbers[i].value)))
            fail_msg("'%s': %g in place of %g", text, read.numbers[i].value, values[i]);
    va_text_free(&read);
}

static void test_numbers(void **state)
{
    (void)state;
    assert_numbers("", 0, NULL);
    assert_numbers("x = -1.5e-3, y=+2.", 2, (double[]){-1.5e-3, 2});
    assert_numbers("1 2.5\n.5\t3E4 1e", 5, (double[]){1, 2.5, .5, 3e4, 1});
    assert_numbers("float32 x86_64 a1 _2 v1.2.3 1.2.3", 1, (double[]){1.2});
    assert_numbers("nan -NaN inf -Infinity infinite nano", 4, (double[]){NAN, NAN, INFINITY, -INFINITY});
    assert_numbers("0x1.8p+1 0x 12ms (3)-[4]", 5, (double[]){3, 0, 12, 3, 4});
    assert_numbers("- -5 1-2", 3, (double[]){-5, 1, 2});
    va_text read = read_text("a 1.25e3\nb 7 0.00120");
    assert_true(fabs(read.numbers[0].unit - 10) < 1e-12);
    assert_int_equal(read.numbers[0].line, 1);
    assert_true(read.numbers[1].unit == 0);
    assert_int_equal(read.numbers[2].line, 2);
    assert_int_equal(va_text_digits(read.decimals), (int)(3 * log2(10)));
    va_text_free(&read);
    read = read_text("1.0000000000000000001");
    assert_int_equal(va_text_digits(read.decimals), 52);
    va_text_free(&read);
    read = read_text("12 of 3");
    assert_int_equal(va_text_digits(read.decimals), 52);
    va_text_free(&read);
}

static va_kept compare_texts(const char *a, const char *b, double floor)
{
    va_text reference = read_text(a), text = read_text(b);
    va_kept kept = {.bits = 52, .digits = 52, .share = 1};
    va_text_compare(&kept, &reference, &text, floor, "out");
    va_text_free(&reference);
    va_text_free(&text);
    return kept;
}

static void test_texts(void **state)
{
    (void)state;
    assert_true(compare_texts("a 1.5 b", "a  1.5\n b ", 0).share == 1);
    assert_true(compare_texts("nan inf", "NaN inf", 0).share == 1);
    /* one unit of the last place says nothing; two do */
    assert_true(compare_texts("0.123", "0.124", 0).share == 1);
    va_kept kept = compare_texts("0.123", "0.125", 0);
    assert_true(fabs(kept.bits - -log2(0.002 / 0.123)) < 1e-9);
    assert_int_equal(kept.digits, 9);
    assert_non_null(strstr(kept.why, "line 1: 0.125 in place of 0.123"));
    /* zeros that %g leaves out do not hide a difference */
    assert_true(compare_texts("0.5", "0.55", 0).share < 1);
    assert_true(compare_texts("12", "13", 0).share < 0.5); /* integers are exact */
    assert_true(compare_texts("1.0 nan", "1.0 2.0", 0).share == 0);
    assert_true(compare_texts("1.0 -inf", "1.0 inf", 0).share == 0);
    assert_true(compare_texts("1.00 0", "1.00 1e-9", 0).share == 0); /* nothing is relative to 0 */
    kept = compare_texts("1.000000 0", "1.000000 1e-6", 1);
    assert_true(fabs(kept.bits - -log2(1e-6)) < 1e-6);
    /* the least of several */
    kept = compare_texts("1.0000000 2.0000000", "1.0010000 2.0000100", 0);
    assert_true(fabs(kept.bits - -log2(0.001)) < 1e-6);
    /* other words, and '#' that is no number */
    kept = compare_texts("converged: 1.5", "diverged: 1.5", 0);
    assert_true(kept.share == 0 && strstr(kept.why, "'diverged: #' in place of 'converged: #'"));
    assert_true(compare_texts("#", "5", 0).share == 0);
    assert_true(compare_texts("5", "#", 0).share == 0);
    assert_true(compare_texts("1.5 2.5", "1.5", 0).share == 0);
}

/* ---- files ---- */

/* A new folder; the path is the caller's. */
static char *folder_of(const char *name)
{
    const char *path = scratch_path("%s", name);
    assert_int_equal(mkdir(path, 0777), 0);
    return strdup(path);
}

static void test_arrays(void **state)
{
    (void)state;
    char *const patterns[] = {"*.raw", NULL};
    const va_product_rule rule = {.patterns = patterns, .raw = true, .dtype = VR_F32};
    va_products *products;
    va_kept kept;
    float values[5000];
    for (int i = 0; i < 5000; i++)
        values[i] = (float)(i + 1);
    char *a = folder_of("reference [1]"), *b = folder_of("run");
    assert_int_equal(va_products_open(&products, a, &rule), VR_ERROR_FORMAT);
    assert_message("no file in the folder");
    save_file(scratch_path("reference [1]/x.raw"), values, sizeof values);
    assert_int_equal(va_products_open(&products, a, &rule), VR_OK);
    assert_int_equal(va_products_compare(&kept, products, b), VR_OK);
    assert_true(kept.share == 0 && strstr(kept.why, "left 0 files"));
    values[4999] *= 1.0625f;
    save_file(scratch_path("run/x.raw"), values, sizeof values);
    assert_int_equal(va_products_compare(&kept, products, b), VR_OK);
    assert_true(fabs(kept.bits - 4) < 1e-9 && kept.digits == 23 && strstr(kept.why, "element 4999"));
    save_file(scratch_path("run/x.raw"), values, 8);
    assert_int_equal(va_products_compare(&kept, products, b), VR_OK);
    assert_true(kept.share == 0 && strstr(kept.why, "2 elements in place of 5000"));
    save_file(scratch_path("run/x.raw"), values, 7);
    assert_int_equal(va_products_compare(&kept, products, b), VR_OK);
    assert_true(kept.share == 0 && strstr(kept.why, "no whole number of elements"));
    va_products_close(products);
    free(a);
    free(b);
}

static void tell(vr_run *run, int side)
{
    float values[4] = {1, 2, 3, 4};
    const int64_t shape[] = {4};
    values[3] *= side == 1 ? 1.0078125f : 1;
    vr_run_step(run, 1);
    const vr_tensor tensor = vr_tensor_of(VR_F32, values, 1, shape);
    vr_record(run, VR_FORWARD, "fc", "out", tensor, NULL);
    if (side == 2)
        vr_record(run, VR_FORWARD, "fc", "more", tensor, NULL);
}

static void write_trace(const char *path, const char *level, int side)
{
    vr_trace *trace = scene_tell(level, tell, side);
    assert_int_equal(vr_trace_write(trace, path), VR_OK);
    vr_trace_close(trace);
}

static void test_traces(void **state)
{
    (void)state;
    char *const patterns[] = {"*.h5", NULL};
    const va_product_rule rule = {.patterns = patterns};
    va_products *products;
    va_kept kept;
    char *a = folder_of("traces"), *b = folder_of("others");
    for (int i = 0; i < 2; i++) {
        const char *level = i ? "stats" : "full";
        write_trace(scratch_path("traces/t.h5"), level, 0);
        assert_int_equal(va_products_open(&products, a, &rule), VR_OK);
        write_trace(scratch_path("others/t.h5"), level, 0);
        assert_int_equal(va_products_compare(&kept, products, b), VR_OK);
        assert_true(kept.share == 1 && kept.digits == 23);
        write_trace(scratch_path("others/t.h5"), level, 1);
        assert_int_equal(va_products_compare(&kept, products, b), VR_OK);
        if (i == 0) /* the element's own bits */
            assert_true(fabs(kept.bits - 7) < 0.02 && strstr(kept.why, "fc out"));
        else /* no more than those of the tensor as a whole, -log2(2^-5 / sqrt(30)) = 7.45, by much */
            assert_true(kept.bits >= 7.45 && kept.bits < 8 && strstr(kept.why, "statistics"));
        write_trace(scratch_path("others/t.h5"), level, 2);
        assert_int_equal(va_products_compare(&kept, products, b), VR_OK);
        assert_true(kept.share == 0 && strstr(kept.why, "other records"));
        save_file(scratch_path("others/t.h5"), "no trace", 8);
        assert_int_equal(va_products_compare(&kept, products, b), VR_OK);
        assert_true(kept.share == 0 && *kept.why);
        va_products_close(products);
    }
    free(a);
    free(b);
}

/* ---- the error of one sample ---- */

/* It is what the general method rounds down. */
static void test_error(void **state)
{
    (void)state;
    va_bits_rule rule;
    const va_bits_options options = {VA_BITS_EXACT, false, 0.95, 0.51, 0.95};
    assert_int_equal(va_bits_rule_make(&rule, &options, 2, 52), VR_OK);
    double x = 1.5, y = 1;
    for (int i = 0; i < 60; i++, x = 1 + (x - 1) * 0.7) {
        double scratch[4];
        va_bits bits;
        va_bits_of(&bits, &rule, (const double[]){x, x}, 1, y, scratch);
        assert_int_equal((int)floor(va_bits_of_error(x, y, 52)), bits.general);
    }
    assert_true(va_bits_of_error(3, 3, 23) == 23);
    assert_true(va_bits_of_error(30, 3, 23) == 0);
    assert_true(va_bits_of_error(1, 0, 23) == 0);
    assert_true(va_bits_of_error(0, 0, 23) == 23);
    assert_true(va_bits_of_error(NAN, NAN, 23) == 23);
    assert_true(va_bits_of_error(NAN, 1, 23) == 0);
}

/* ---- counts ---- */

static char *only_text(const va_counted *counted, const uint64_t *sites)
{
    char *text;
    size_t bytes;
    FILE *stream = open_memstream(&text, &bytes);
    va_sites_write(stream, counted, sites);
    fclose(stream);
    return text;
}

static void test_counts(void **state)
{
    (void)state;
    static const char one[] = "file\tline\tfunction\tadd\tsub\tmul\tdiv\tsqrt\tfma\n"
                              "b.c\t12\tbusy\t5\t5\t1\t0\t0\t0\nb.c\t13\tbusy\t0\t0\t1\t0\t0\t0\n"
                              "a:1.c\t3\t#ns::f[int]\t0\t0\t100\t0\t0\t1\nb.c\t40\tidle\t0\t0\t0\t0\t0\t0\n",
                      two[] = "file\tline\tfunction\tadd\tconvert\nb.c\t12\tbusy\t1\t7\n";
    va_counted counted = {0};
    uint64_t sites[1] = {0};
    save_file(scratch_path("one"), one, sizeof one - 1);
    save_file(scratch_path("two"), two, sizeof two - 1);
    assert_int_equal(va_counted_add(&counted, scratch_path("one")), VR_OK);
    assert_int_equal(va_counted_add(&counted, scratch_path("two")), VR_OK);
    assert_int_equal(va_counted_finish(&counted), VR_OK);
    assert_int_equal(counted.site_count, 3);
    assert_int_equal(counted.function_count, 2); /* what executes nothing is none */
    assert_string_equal(counted.functions[0].name, "busy");
    assert_int_equal(counted.functions[0].sums, 11);
    assert_int_equal(counted.functions[0].operations, 20);
    char *text = only_text(&counted, sites);
    assert_string_equal(text, "/:none\n");
    free(text);
    const vr_digest nothing = va_sites_digest(&counted, sites);
    va_sites_add(sites, 0, 2);
    assert_false(vr_digest_equal(nothing, va_sites_digest(&counted, sites)));
    text = only_text(&counted, sites); /* names as globs that match them alone */
    assert_string_equal(text, "b.c:12\na?1.c:\\#ns::f\\[int]\n");
    free(text);
    FILE *again = fopen(scratch_path("again"), "w");
    va_counted_write(again, &counted);
    fclose(again);
    va_counted_free(&counted);
    assert_int_equal(va_counted_add(&counted, scratch_path("again")), VR_OK);
    assert_int_equal(va_counted_finish(&counted), VR_OK);
    assert_int_equal(counted.functions[0].sums, 11);
    assert_int_equal(counted.functions[0].operations, 20);
    va_counted other = {0}; /* of what both executed, the first one's counts stay */
    assert_int_equal(va_counted_add(&other, scratch_path("two")), VR_OK);
    save_file(scratch_path("two"), "file\tline\tfunction\tadd\nb.c\t14\tbusy\t5\n", 37);
    assert_int_equal(va_counted_add(&other, scratch_path("two")), VR_OK);
    assert_int_equal(va_counted_finish(&other), VR_OK);
    assert_int_equal(va_counted_join(&counted, &other), VR_OK);
    assert_int_equal(counted.site_count, 4);
    assert_int_equal(counted.functions[0].count, 3);
    assert_int_equal(counted.functions[0].operations, 25);
    va_counted_free(&counted);
}

static void test_bad_counts(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "nonsense\n",
                                      "file\tline\tfunction\n",
                                      "file\tline\tfunction\tadd\na.c\t1\tf\n",
                                      "file\tline\tfunction\tadd\na.c\tx\tf\t1\n",
                                      "file\tline\tfunction\tadd\na.c\t1\tf\t-1\n",
                                      "file\tline\tfunction\tadd\na.c\t1\tf\t99999999999999999999\n",
                                      "file\tline\tfunction\tadd\na.c\t1\tf\t1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        va_counted counted = {0};
        save_file(scratch_path("bad"), bad[i], strlen(bad[i]));
        if (va_counted_add(&counted, scratch_path("bad")) != VR_ERROR_FORMAT)
            fail_msg("'%s' is taken", bad[i]);
        va_counted_free(&counted);
    }
}

/* ---- the journal ---- */

static va_trial trial_of(uint32_t i)
{
    va_trial trial = {{i, (uint64_t)i * 77}, i % 3, {i / 7.0, 52, 1 / (i + 1.0), ""}, i * 0.5};
    snprintf(trial.kept.why, sizeof trial.kept.why, "%u\xff", i);
    return trial;
}

static void test_journal(void **state)
{
    (void)state;
    va_journal journal;
    const char *path = scratch_path("journal");
    assert_int_equal(va_journal_open(&journal, path), VR_OK);
    const va_reference reference = {true, 3, 1.25, true};
    assert_int_equal(va_journal_set_reference(&journal, &reference), VR_OK);
    for (uint32_t i = 0; i < 200; i++) {
        const va_trial trial = trial_of(i);
        assert_int_equal(va_journal_add(&journal, &trial, i), VR_OK);
    }
    va_journal_close(&journal);
    size_t size;
    uint8_t *bytes = load_file(path, &size);
    for (size_t cut = size; cut > size - 200; cut--) { /* at any byte */
        save_file(path, bytes, cut);
        assert_int_equal(va_journal_open(&journal, path), VR_OK);
        assert_int_equal(journal.reference.exit_code, 3);
        assert_true(journal.runs == 2 + journal.count && journal.count >= 197);
        for (uint32_t i = 0; i < journal.count; i++) {
            const va_trial wanted = trial_of(i), *there = va_journal_find(&journal, wanted.set, wanted.sample);
            assert_non_null(there);
            assert_true(there->kept.bits == wanted.kept.bits && there->kept.share == wanted.kept.share);
            assert_null(va_journal_find(&journal, wanted.set, wanted.sample + 1));
        }
        const va_trial more = trial_of(1000);
        assert_int_equal(va_journal_add(&journal, &more, 1), VR_OK);
        va_journal_close(&journal);
        assert_int_equal(va_journal_open(&journal, path), VR_OK);
        assert_non_null(va_journal_find(&journal, more.set, more.sample));
        va_journal_close(&journal);
    }
    save_file(path, "{}\n", 3);
    assert_int_equal(va_journal_open(&journal, path), VR_ERROR_FORMAT);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),    cmocka_unit_test(test_texts),   cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_traces),     cmocka_unit_test(test_error),   cmocka_unit_test(test_counts),
        cmocka_unit_test(test_bad_counts), cmocka_unit_test(test_journal),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
