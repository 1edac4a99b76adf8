#include <hdf5_diff.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../scratch.h"

static hid_t create(const char *name)
{
    const hid_t file = H5Fcreate(scratch_path("%s", name), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(file >= 0);
    return file;
}

static void group(hid_t at, const char *name)
{
    assert_true(H5Gclose(H5Gcreate2(at, name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)) >= 0);
}

static void number(hid_t at, const char *name, int value)
{
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t set = H5Dcreate2(at, name, H5T_NATIVE_INT, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Dwrite(set, H5T_NATIVE_INT, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value) >= 0);
    H5Dclose(set);
    H5Sclose(space);
}

static void link_hard(hid_t file, const char *old, const char *new)
{
    assert_true(H5Lcreate_hard(file, old, file, new, H5P_DEFAULT, H5P_DEFAULT) >= 0);
}

/* A variable-length string, so that there is memory to be freed. */
static void text(hid_t file, const char *object, const char *name, const char *value)
{
    const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, H5T_VARIABLE);
    const hid_t made = H5Acreate_by_name(file, object, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    assert_true(H5Awrite(made, type, &value) >= 0);
    H5Aclose(made);
    H5Sclose(space);
    H5Tclose(type);
}

/* ---- what a walk meets, in words ---- */

typedef struct record {
    char text[4096];
    size_t used;
} record;

static vr_status note(void *context, const va_h5_object pair[2], bool selected)
{
    record *r = context;
    for (int s = 0; s < 2; s++)
        assert_int_equal(pair[s].id >= 0, pair[s].kind != VA_H5_NOTHING && !pair[s].target);
    r->used += (size_t)snprintf(r->text + r->used, sizeof r->text - r->used, "%s%s:%s%s|%s:%s%s\n", selected ? "" : "(",
                                va_h5_kind_name(pair[0].kind), pair[0].path, pair[0].target ? pair[0].target : "",
                                va_h5_kind_name(pair[1].kind), pair[1].path, pair[1].target ? pair[1].target : "");
    assert_true(r->used < sizeof r->text);
    return VR_OK;
}

static vr_status walk(record *out, hid_t a, hid_t b, const va_h5_filter *filter)
{
    static const va_h5_filter everything;
    *out = (record){.used = 0};
    return va_h5_walk((const hid_t[2]){a, b}, (const char *const[2]){"a.h5", "b.h5"}, filter ? filter : &everything,
                      note, out);
}

/* Only the files themselves are left open; closes them. */
static void done(hid_t a, hid_t b)
{
    assert_int_equal(H5Fget_obj_count(a, H5F_OBJ_ALL), 1);
    H5Fclose(a);
    if (b == a)
        return;
    assert_int_equal(H5Fget_obj_count(b, H5F_OBJ_ALL), 1);
    H5Fclose(b);
}

static void assert_walk(hid_t a, hid_t b, const va_h5_filter *filter, const char *expected)
{
    record met;
    assert_int_equal(walk(&met, a, b, filter), VR_OK);
    assert_string_equal(met.text, expected);
}

static void test_pairs_by_path(void **state)
{
    (void)state;
    const hid_t a = create("a.h5"), b = create("b.h5");
    group(a, "g");
    group(b, "g");
    number(a, "g/x", 1);
    number(b, "g/x", 1);
    number(a, "g/only a", 1);
    number(b, "only b", 1);
    group(a, "kind");
    group(a, "kind/below");
    number(b, "kind", 1);
    assert_walk(a, b, NULL,
                "group:/|group:/\n"
                "group:/g|group:/g\n"
                "dataset:/g/only a|nothing:\n"
                "dataset:/g/x|dataset:/g/x\n"
                "group:/kind|dataset:/kind\n"
                "nothing:|dataset:/only b\n");
    done(a, b);
}

static void test_links_are_not_followed(void **state)
{
    (void)state;
    const hid_t a = create("a.h5"), b = create("b.h5");
    H5Lcreate_soft("/nowhere", a, "soft", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/", b, "soft", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_external("/dev/zero", "/x", a, "external", H5P_DEFAULT, H5P_DEFAULT);
    number(b, "external", 1);
    assert_walk(a, b, NULL,
                "group:/|group:/\n"
                "external link:/external/dev/zero:/x|dataset:/external\n"
                "soft link:/soft/nowhere|soft link:/soft/\n");
    done(a, b);
}

static void test_a_pair_is_met_once(void **state)
{
    (void)state;
    const hid_t a = create("a.h5"), b = create("b.h5");
    for (int s = 0; s < 2; s++) {
        const hid_t file = s ? b : a;
        group(file, "g");
        number(file, "g/x", 1);
        link_hard(file, "/", "g/up");
        link_hard(file, "/g", "h");
    }
    link_hard(a, "/g/x", "x");
    number(b, "x", 1); /* there another object */
    assert_walk(a, b, NULL,
                "group:/|group:/\n"
                "group:/g|group:/g\n"
                "dataset:/g/x|dataset:/g/x\n"
                "dataset:/x|dataset:/x\n");
    done(a, b);
}

/* A cycle in one file against a real tree in the other ends where that does. */
static void test_a_cycle_on_one_side(void **state)
{
    (void)state;
    const hid_t a = create("a.h5"), b = create("b.h5");
    group(a, "g");
    link_hard(a, "/g", "g/g");
    group(b, "g");
    group(b, "g/g");
    group(b, "g/g/g");
    assert_walk(a, b, NULL,
                "group:/|group:/\n"
                "group:/g|group:/g\n"
                "group:/g/g|group:/g/g\n"
                "group:/g/g/g|group:/g/g/g\n"
                "group:/g/g/g/g|nothing:\n");
    done(a, b);
}

static void test_map(void **state)
{
    (void)state;
    const hid_t a = create("a.h5"), b = create("b.h5");
    group(a, "dense_1");
    number(a, "dense_1/kernel", 1);
    number(a, "dense_1/bias", 1);
    group(b, "dense_2");
    number(b, "dense_2/kernel", 1);
    number(b, "dense_2/b", 1);
    number(b, "dense_1", 1);
    char *map[] = {"/dense_1=/dense_2", "/dense_1/bias=/dense_2/b"};
    assert_walk(a, b, &(va_h5_filter){.map = map, .map_count = 2},
                "group:/|group:/\n"
                "nothing:|dataset:/dense_1\n"
                "group:/dense_1|group:/dense_2\n"
                "dataset:/dense_1/kernel|dataset:/dense_2/kernel\n"
                "dataset:/dense_1/bias|dataset:/dense_2/b\n");
    record met;
    char *wrong[] = {"/dense_1", "dense_1=/x", "/dense_1=/x/", "/=/x", "/dense_1=/nothing", "/dense_1=/soft"};
    H5Lcreate_soft("/dense_2", b, "soft", H5P_DEFAULT, H5P_DEFAULT);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(walk(&met, a, b, &(va_h5_filter){.map = &wrong[i], .map_count = 1}), VR_ERROR_ARGUMENT);
    assert_message("b.h5: no object /soft, which --map names");
    done(a, b);
}

static void test_filters(void **state)
{
    (void)state;
    const hid_t a = create("a.h5");
    group(a, "g");
    number(a, "g/x", 1);
    number(a, "g/y", 1);
    number(a, "x", 1);
    char *inner[] = {"/g/x"}, *whole[] = {"/g"}, *ends[] = {"*x"};
    assert_walk(a, a, &(va_h5_filter){.include = inner, .include_count = 1},
                "(group:/|group:/\n"
                "(group:/g|group:/g\n"
                "dataset:/g/x|dataset:/g/x\n"
                "(dataset:/g/y|dataset:/g/y\n"
                "(dataset:/x|dataset:/x\n");
    assert_walk(a, a, &(va_h5_filter){.include = whole, .include_count = 1, .exclude = inner, .exclude_count = 1},
                "(group:/|group:/\n"
                "group:/g|group:/g\n"
                "dataset:/g/y|dataset:/g/y\n"
                "(dataset:/x|dataset:/x\n");
    assert_walk(a, a, &(va_h5_filter){.exclude = whole, .exclude_count = 1},
                "group:/|group:/\n"
                "dataset:/x|dataset:/x\n");
    assert_walk(a, a, &(va_h5_filter){.exclude = ends, .exclude_count = 1},
                "group:/|group:/\n"
                "group:/g|group:/g\n"
                "dataset:/g/y|dataset:/g/y\n");
    done(a, a);
}

/* What is asked for may lie in a group that only one file has. */
static void test_include_below_what_one_side_lacks(void **state)
{
    (void)state;
    const hid_t a = create("a.h5"), b = create("b.h5");
    group(a, "g");
    number(a, "g/x", 1);
    number(a, "g/y", 1);
    link_hard(a, "/g", "g/up");
    char *inner[] = {"*/x"};
    assert_walk(a, b, &(va_h5_filter){.include = inner, .include_count = 1},
                "(group:/|group:/\n"
                "(group:/g|nothing:\n"
                "dataset:/g/x|nothing:\n"
                "(dataset:/g/y|nothing:\n");
    done(a, b);
}

static vr_status accept(void *context, const va_h5_object pair[2], bool selected)
{
    (void)context, (void)pair, (void)selected;
    return VR_OK;
}

/* A chain of so many groups. */
static hid_t chain(int depth)
{
    const hid_t file = create("deep.h5");
    hid_t at = H5Gopen2(file, "/", H5P_DEFAULT);
    for (int i = 0; i < depth; i++) {
        const hid_t next = H5Gcreate2(at, "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        H5Gclose(at);
        at = next;
    }
    H5Gclose(at);
    return file;
}

static void test_groups_too_deep(void **state)
{
    (void)state;
    const va_h5_filter everything = {0};
    for (int more = 0; more < 2; more++) {
        const hid_t file = chain(999 + more);
        assert_int_equal(
            va_h5_walk((const hid_t[2]){file, file}, (const char *const[2]){"a.h5", "b.h5"}, &everything, accept, NULL),
            more ? VR_ERROR_FORMAT : VR_OK);
        done(file, file);
    }
    assert_message("groups nested deeper than 1000");
}

/* ---- the analysis closes what it opens ---- */

static va_h5_diff *diff_of(hid_t a, hid_t b, const va_h5_diff_options *options)
{
    const vr_source sources[2] = {{.name = "a.h5", .fd = -1}, {.name = "b.h5", .fd = -1}};
    va_h5_diff *diff;
    if (va_h5_diff_run(&diff, (const hid_t[2]){a, b}, (const vr_source *const[2]){&sources[0], &sources[1]}, options) !=
        VR_OK)
        fail_msg("%s", vr_error());
    return diff;
}

static void test_nothing_is_left_open(void **state)
{
    (void)state;
    const hid_t a = create("a.h5"), b = create("b.h5");
    va_h5_diff_options options = VA_H5_DIFF_OPTIONS_INIT;
    for (int s = 0; s < 2; s++) {
        const hid_t file = s ? b : a, type = H5Tcopy(H5T_NATIVE_INT);
        group(file, "g");
        text(file, "g", "same", "x");
        text(file, "g", "other", s ? "x" : "y");
        text(file, "g", s ? "b" : "a", "x");
        H5Tcommit2(file, "type", type, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        H5Tclose(type);
        H5Lcreate_soft("/g", file, "soft", H5P_DEFAULT, H5P_DEFAULT);
    }
    va_h5_diff *diff = diff_of(a, b, &options);
    assert_int_equal(diff->objects.compared, 4);
    assert_int_equal(diff->objects.different, 0);
    assert_int_equal(diff->attributes.compared, 2);
    assert_int_equal(diff->attributes.different, 1);
    assert_int_equal(diff->attributes.only[0] + diff->attributes.only[1], 2);
    assert_int_equal(diff->count, 3);
    assert_string_equal(diff->findings[0].path[0], "/g@a");
    assert_null(diff->findings[0].path[1]);
    assert_false(va_h5_diff_is_same(diff));
    va_h5_diff_free(diff);
    options.values.stop = 1;
    diff = diff_of(a, b, &options);
    assert_true(diff->stopped);
    assert_int_equal(diff->count, 1);
    va_h5_diff_free(diff);
    done(a, b);
}

static void test_an_attribute_by_itself(void **state)
{
    (void)state;
    const hid_t a = create("a.h5"), b = create("b.h5");
    text(a, ".", "x", "1");
    text(b, ".", "x", "2");
    text(a, ".", "y", "1");
    char *pattern[] = {"/@x"};
    va_h5_diff_options options = VA_H5_DIFF_OPTIONS_INIT;
    options.filter = (va_h5_filter){.include = pattern, .include_count = 1};
    va_h5_diff *diff = diff_of(a, b, &options);
    assert_int_equal(diff->objects.compared, 0);
    assert_int_equal(diff->count, 1);
    assert_string_equal(diff->findings[0].values->value[1], "\"2\"");
    va_h5_diff_free(diff);
    options.filter = (va_h5_filter){.exclude = pattern, .exclude_count = 1};
    diff = diff_of(a, b, &options);
    assert_int_equal(diff->count, 1);
    assert_int_equal(diff->attributes.only[0], 1);
    va_h5_diff_free(diff);
    done(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs_by_path),
        cmocka_unit_test(test_links_are_not_followed),
        cmocka_unit_test(test_a_pair_is_met_once),
        cmocka_unit_test(test_a_cycle_on_one_side),
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_include_below_what_one_side_lacks),
        cmocka_unit_test(test_groups_too_deep),
        cmocka_unit_test(test_nothing_is_left_open),
        cmocka_unit_test(test_an_attribute_by_itself),
    };
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
