#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <capture/vrcc/items.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const vrcc_source total = {"_ZN2ns5totalIdEEv", "ns::total<double>", "src/sums.cc"};
static const vrcc_source arrow = {"_ZN2ns1pptEv", "ns::p::operator->", "src/sums.cc"};
static const vrcc_source plain = {"dot", NULL, "/home/u/a,b:c/dot.c"};

static bool matches(const char *text, const vrcc_source *source, uint32_t line)
{
    vrcc_items items;
    assert_null(vrcc_items_read(&items, text));
    const bool match = vrcc_items_match(&items, source, line);
    vrcc_items_free(&items);
    return match;
}

static void test_functions(void **state)
{
    (void)state;
    assert_true(matches("dot", &plain, 3));
    assert_true(matches("other,do?", &plain, 3));
    assert_false(matches("do", &plain, 3));
    assert_true(matches("_ZN2ns5total*", &total, 3));
    assert_true(matches("ns::total<double>", &total, 3));
    assert_true(matches("ns::total", &total, 3));
    assert_true(matches("*::total", &total, 3));
    assert_false(matches("total", &total, 3));
    assert_false(matches("ns::total<float>", &total, 3));
    assert_true(matches("ns::p::operator->", &arrow, 3));
    assert_false(matches("ns::p::operator-", &arrow, 3));
    assert_false(matches("ns", &arrow, 3));
}

static void test_files(void **state)
{
    (void)state;
    assert_true(matches("dot.c", &plain, 3));
    assert_true(matches("*/dot.c", &plain, 3));
    assert_true(matches("src/sums.cc", &total, 3));
    assert_true(matches("sums.cc:ns::total", &total, 3));
    assert_true(matches("s*.cc:*", &total, 3));
    assert_false(matches("dot.c:ns::total", &total, 3));
    assert_false(matches("src", &total, 3));
    assert_true(matches("./src/sums.cc:*", &total, 3));
    assert_false(matches("./sums.cc:*", &total, 3)); /* of another folder */
    assert_true(matches("/home/u/a\\,b\\:c/dot.c:dot", &plain, 3));
    assert_false(matches("/home/u/a\\,b\\:c/dot.c:sum", &plain, 3));
}

static void test_lines(void **state)
{
    (void)state;
    assert_true(matches("dot.c:12", &plain, 12));
    assert_false(matches("dot.c:12", &plain, 13));
    assert_true(matches("dot.c:12-14", &plain, 14));
    assert_false(matches("dot.c:12-14", &plain, 15));
    assert_false(matches("sums.cc:12", &plain, 12));
    assert_true(matches("dot.c:4294967295", &plain, UINT32_MAX));
}

static void test_wrong(void **state)
{
    (void)state;
    static const char *const wrong[] = {"dot.c:", ":dot", "dot.c:7-3", "@/not/there", "a,b:,c"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        vrcc_items items;
        assert_non_null(vrcc_items_read(&items, wrong[i]));
        assert_int_equal(items.count, 0);
    }
}

static void test_list(void **state)
{
    (void)state;
    char path[] = "test_items-XXXXXX", argument[64];
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    static const char text[] = "# sums\n\nns::pair<int, 3>::sum\r\ndot.c:7\nlast";
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    snprintf(argument, sizeof argument, "@%s", path);
    vrcc_items items;
    assert_null(vrcc_items_read(&items, argument));
    unlink(path);
    assert_int_equal(items.count, 3);
    assert_string_equal(items.list[0].text, "ns::pair<int, 3>::sum");
    assert_string_equal(items.list[2].text, "last");
    assert_true(vrcc_items_match(&items, &plain, 7));
    assert_true(items.list[1].is_matched);
    assert_false(items.list[0].is_matched || items.list[2].is_matched);
    vrcc_items_free(&items);
    assert_null(vrcc_items_read(&items, ""));
    assert_false(vrcc_items_match(&items, &plain, 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions), cmocka_unit_test(test_files), cmocka_unit_test(test_lines),
        cmocka_unit_test(test_wrong),     cmocka_unit_test(test_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
