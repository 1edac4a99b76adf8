#include <hdf5_values.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const va_h5_options exact = {.tolerance = VR_TOLERANCE_INIT};
static const va_h5_options converting = {.tolerance = VR_TOLERANCE_INIT, .convert = true};

static va_plan *plan_of(hid_t a, hid_t b, const va_h5_options *options)
{
    va_plan *plan;
    if (va_plan_open(&plan, a, b, options ? options : &exact) != VR_OK)
        fail_msg("%s", vr_error());
    return plan;
}

static void assert_no_plan(hid_t a, hid_t b, vr_status status, const char *words)
{
    va_plan *plan;
    assert_int_equal(va_plan_open(&plan, a, b, &exact), status);
    if (!strstr(vr_error(), words))
        fail_msg("\"%s\" does not say \"%s\"", vr_error(), words);
}

/* Elements as a file of `file` holds them, as the plan wants them in memory; the caller frees them. */
static void *in_memory(hid_t file, hid_t memory, const void *values, size_t n)
{
    const size_t size = H5Tget_size(file), wanted = H5Tget_size(memory), larger = size > wanted ? size : wanted;
    char *out = calloc(n, larger);
    assert_non_null(out);
    memcpy(out, values, n * size);
    if (H5Tequal(file, memory) > 0)
        return out;
    char *background = calloc(n, larger);
    assert_true(H5Tconvert(file, memory, n, out, background, H5P_DEFAULT) >= 0);
    free(background);
    return out;
}

/* Compares n elements given as the files hold them. */
static va_h5_result compare(hid_t a, hid_t b, const va_h5_options *options, const void *x, const void *y, size_t n)
{
    va_plan *plan = plan_of(a, b, options);
    va_h5_result result = VA_H5_RESULT_INIT;
    void *p = in_memory(a, va_plan_type(plan, 0), x, n), *q = in_memory(b, va_plan_type(plan, 1), y, n);
    va_plan_compare(plan, &result, (const hid_t[2]){-1, -1}, p, q, n, 0);
    free(p);
    free(q);
    va_plan_close(plan);
    return result;
}

static void assert_first(const va_h5_result *r, uint64_t different, int64_t first, const char *member, const char *a,
                         const char *b)
{
    assert_int_equal(r->different, different);
    assert_int_equal(r->first, first);
    assert_string_equal(r->member, member);
    assert_string_equal(r->value[0], a);
    assert_string_equal(r->value[1], b);
}

static hid_t float_of(size_t size, size_t exponent_bits, size_t mantissa_bits, size_t bias)
{
    const hid_t type = H5Tcopy(H5T_NATIVE_DOUBLE);
    if (size > 8) {
        H5Tset_size(type, size);
        H5Tset_precision(type, 8 * size);
    }
    H5Tset_fields(type, 8 * size - 1, mantissa_bits, exponent_bits, 0, mantissa_bits);
    H5Tset_precision(type, 8 * size);
    H5Tset_size(type, size);
    H5Tset_ebias(type, bias);
    return type;
}

static hid_t type_of(vr_dtype dtype)
{
    switch (dtype) {
    case VR_F16:
        return float_of(2, 5, 10, 15);
    case VR_BF16:
        return float_of(2, 8, 7, 127);
    case VR_F8E4M3:
        return float_of(1, 4, 3, 7);
    case VR_F8E5M2:
        return float_of(1, 5, 2, 15);
    default: {
        const hid_t natives[] = {H5T_NATIVE_DOUBLE,
                                 H5T_NATIVE_FLOAT,
                                 -1,
                                 -1,
                                 -1,
                                 -1,
                                 H5T_NATIVE_INT8,
                                 H5T_NATIVE_INT16,
                                 H5T_NATIVE_INT32,
                                 H5T_NATIVE_INT64,
                                 H5T_NATIVE_UINT8,
                                 H5T_NATIVE_UINT16,
                                 H5T_NATIVE_UINT32,
                                 H5T_NATIVE_UINT64};
        return H5Tcopy(natives[dtype - VR_F64]);
    }
    }
}

/* ---- numbers: what vr_compare says is right ---- */

static size_t special_values(char *out, vr_dtype dtype)
{
    static const double values[] = {0,   -0.0, 1,    -1,      1.0009765625, 2,      -2,      NAN,    -NAN,  INFINITY,
                                    127, -128, 1e-8, 0x1p-24, 0x1p-1074,    -1e300, 65504.0, 3.4e38, 1e308, -INFINITY};
    const size_t size = vr_dtype_size(dtype), n = sizeof values / sizeof *values;
    vr_from_f64(out, dtype, values, n);
    for (size_t i = 0; i < size; i++) { /* all bits set, all but the sign */
        out[n * size + i] = (char)0xff;
        out[(n + 1) * size + i] = (char)(i + 1 < size ? 0xff : 0x7f);
    }
    return n + 2;
}

static void check_against_oracle(vr_dtype dtype, const vr_tolerance *tolerance)
{
    char values[32 * 8], a[32 * 32 * 8], b[32 * 32 * 8];
    const size_t size = vr_dtype_size(dtype), n = special_values(values, dtype);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            memcpy(a + (i * n + k) * size, values + i * size, size);
            memcpy(b + (i * n + k) * size, values + k * size, size);
        }
    const int64_t count = (int64_t)(n * n);
    const vr_tensor x = vr_tensor_of(dtype, a, 1, &count), y = vr_tensor_of(dtype, b, 1, &count);
    const va_h5_options options = {.tolerance = *tolerance, .statistics = true};
    const hid_t type = type_of(dtype);
    vr_comparison wanted;
    assert_int_equal(vr_compare(&wanted, &x, &y, tolerance), VR_OK);
    const va_h5_result got = compare(type, type, &options, a, b, (size_t)count);
    assert_int_equal(got.count, count);
    assert_int_equal(got.different, wanted.count - wanted.within);
    assert_int_equal(got.unequal, wanted.count - wanted.equal);
    assert_int_equal(got.first, wanted.first);
    assert_int_equal(got.nan_mismatch, wanted.nan_mismatch);
    assert_true(got.max_abs == wanted.max_abs);
    assert_true(got.max_rel == wanted.max_rel);
    assert_int_equal(got.max_ulp, wanted.max_ulp);
    assert_true(got.has_statistics);
    assert_int_equal(got.statistics.within, wanted.within);
    H5Tclose(type);
}

static void test_numbers_are_as_vr_compare_has_them(void **state)
{
    static const vr_tolerance tolerances[] = {VR_TOLERANCE_INIT,    {0, -1, -1, false},   {1, -1, -1, false},
                                              {-1, 0, -1, false},   {-1, 0.5, -1, false}, {-1, -1, 0, false},
                                              {-1, -1, 1000, true}, {-1, -1, -1, true},   {1e-3, 1e-3, 2, true}};
    (void)state;
    for (int dtype = VR_F64; dtype <= VR_U64; dtype++)
        for (size_t i = 0; i < sizeof tolerances / sizeof *tolerances; i++)
            check_against_oracle((vr_dtype)dtype, &tolerances[i]);
}

static void test_dtype_of_the_plan(void **state)
{
    (void)state;
    for (int dtype = VR_F64; dtype <= VR_U64; dtype++) {
        const hid_t type = type_of((vr_dtype)dtype);
        va_plan *plan = plan_of(type, type, NULL);
        assert_int_equal(va_plan_dtype(plan), dtype);
        assert_int_equal(H5Tget_size(va_plan_type(plan, 0)), vr_dtype_size((vr_dtype)dtype));
        assert_false(va_plan_has_variable(plan) || va_plan_has_references(plan));
        va_plan_close(plan);
        H5Tclose(type);
    }
}

static void test_byte_order_is_no_difference(void **state)
{
    (void)state;
    const uint8_t little[4] = {0x00, 0x00, 0x80, 0x3f}, big[4] = {0x3f, 0x80, 0x00, 0x00};
    const va_h5_result r = compare(H5T_IEEE_F32LE, H5T_IEEE_F32BE, NULL, little, big, 1);
    assert_int_equal(r.count, 1);
    assert_int_equal(r.unequal, 0);
    const uint8_t nan[4] = {0x7f, 0xc0, 0x12, 0x34}, same[4] = {0x34, 0x12, 0xc0, 0x7f};
    assert_int_equal(compare(H5T_IEEE_F32BE, H5T_IEEE_F32LE, NULL, nan, same, 1).unequal, 0);
}

static void test_integers_with_offset_and_padding(void **state)
{
    (void)state;
    const hid_t odd = H5Tcopy(H5T_STD_I16LE), small = H5Tcopy(H5T_STD_I32LE);
    H5Tset_precision(odd, 12);
    H5Tset_offset(odd, 2);
    H5Tset_precision(small, 24);
    H5Tset_size(small, 3);
    /* the two lowest bits and the two highest are padding */
    const uint16_t a[2] = {0xc003, (uint16_t)(0xfff << 2)}, b[2] = {0x0000, (uint16_t)(0xffe << 2)};
    const va_h5_result r = compare(odd, odd, NULL, a, b, 2);
    assert_first(&r, 1, 1, "", "-1", "-2");
    const uint8_t x[3] = {0xff, 0xff, 0x7f}, y[3] = {0, 0, 0x80};
    const va_h5_result wide = compare(small, small, NULL, x, y, 1);
    assert_first(&wide, 1, 0, "", "8388607", "-8388608");
    assert_int_equal(wide.max_ulp, 16777215);
    assert_no_plan(odd, H5T_NATIVE_INT16, VR_ERROR_SHAPE, "i12 against i16");
    H5Tclose(odd);
    H5Tclose(small);
}

static void test_floats_of_any_layout(void **state)
{
    (void)state;
    const hid_t f24 = float_of(3, 7, 16, 63), f128 = float_of(16, 15, 112, 16383);
    const uint8_t one[3] = {0, 0, 0x3f}, more[3] = {1, 0, 0x3f}; /* 1, 1 + 2^-16 */
    const va_h5_result r = compare(f24, f24, NULL, one, more, 1);
    assert_first(&r, 1, 0, "", "1", "1.0000153");
    assert_true(r.max_abs == 0x1p-16);
    const long double x = 1, y = 1 + 0x1p-63L, zero = 0, minus = -0.0L;
    const va_h5_result wide = compare(H5T_NATIVE_LDOUBLE, H5T_NATIVE_LDOUBLE, NULL, &x, &y, 1);
    assert_int_equal(wide.different, 1);
    assert_true(wide.max_abs == 0x1p-63);
    assert_int_equal(wide.max_ulp, 1);
    assert_int_equal(compare(H5T_NATIVE_LDOUBLE, H5T_NATIVE_LDOUBLE, NULL, &zero, &minus, 1).different, 1);
    const uint8_t quad[2][16] = {{1, [15] = 0x3f}, {2, [15] = 0x3f}};
    const va_h5_result bytes = compare(f128, f128, NULL, quad[0], quad[1], 1);
    assert_int_equal(bytes.different, 1); /* of their bytes, where no type of the machine holds them */
    H5Tclose(f24);
    H5Tclose(f128);
}

/* ---- numbers of two types ---- */

static void test_other_types_need_convert(void **state)
{
    (void)state;
    assert_no_plan(H5T_NATIVE_FLOAT, H5T_NATIVE_DOUBLE, VR_ERROR_SHAPE, "f32 against f64");
    assert_no_plan(H5T_NATIVE_INT32, H5T_NATIVE_UINT32, VR_ERROR_SHAPE, "i32 against u32");
    assert_no_plan(H5T_NATIVE_INT32, H5T_NATIVE_FLOAT, VR_ERROR_SHAPE, "i32 against f32");
}

static void test_conversion_is_exact(void **state)
{
    (void)state;
    const int64_t whole[3] = {9007199254740993, INT64_MAX, -1};
    const double real[3] = {9007199254740992.0, 9223372036854775808.0, -1};
    va_h5_result r = compare(H5T_NATIVE_INT64, H5T_NATIVE_DOUBLE, &converting, whole, real, 3);
    assert_int_equal(r.different, 2);
    assert_true(r.max_abs == 1);
    const uint64_t natural[3] = {9007199254740993, INT64_MAX, UINT64_MAX};
    r = compare(H5T_NATIVE_INT64, H5T_NATIVE_UINT64, &converting, whole, natural, 3);
    assert_first(&r, 1, 2, "", "-1", "18446744073709551615");
    assert_int_equal(r.max_ulp, UINT64_MAX); /* 2^64, cut */
    const float single[2] = {0.1f, -0.0f};
    const double twice[2] = {0.1, 0.0};
    r = compare(H5T_NATIVE_FLOAT, H5T_NATIVE_DOUBLE, &converting, single, twice, 2);
    assert_int_equal(r.different, 2);
    assert_int_equal(
        compare(H5T_NATIVE_DOUBLE, H5T_NATIVE_INT8, &converting, &(double){-0.0}, &(int8_t){0}, 1).different, 0);
}

static void test_tolerance_of_two_types(void **state)
{
    (void)state;
    const va_h5_options options = {.tolerance = {-1, 1e-6, -1, false}, .convert = true, .statistics = true};
    const float single[2] = {0.1f, NAN};
    const double twice[2] = {0.1, 1};
    const va_h5_result r = compare(H5T_NATIVE_FLOAT, H5T_NATIVE_DOUBLE, &options, single, twice, 2);
    assert_first(&r, 1, 1, "", "NaN", "1");
    assert_int_equal(r.unequal, 2);
    assert_int_equal(r.nan_mismatch, 1);
    assert_int_equal(r.statistics.within, 1);
}

/* ---- other classes ---- */

static hid_t string_of(size_t size, H5T_str_t pad)
{
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, size);
    H5Tset_strpad(type, pad);
    return type;
}

static void test_strings_are_texts(void **state)
{
    (void)state;
    const hid_t c = string_of(6, H5T_STR_NULLTERM), nul = string_of(4, H5T_STR_NULLPAD),
                space = string_of(5, H5T_STR_SPACEPAD), variable = string_of(H5T_VARIABLE, H5T_STR_NULLTERM);
    const char *const pointers[2] = {"abc", NULL};
    assert_int_equal(compare(c, nul, NULL, "abc\0zz", "abc", 1).unequal, 0);
    assert_int_equal(compare(nul, space, NULL, "abc", "abc  ", 1).unequal, 0);
    assert_int_equal(compare(nul, space, NULL, "a\0b", "a    ", 1).different, 1);
    assert_int_equal(compare(variable, c, NULL, pointers, "abc\0\0\0\0\0\0\0\0", 2).unequal, 0);
    const va_h5_result r = compare(c, c, NULL, "a\"\n\0\0", "b\1\0\0\0", 1);
    assert_first(&r, 1, 0, "", "\"a\\\"\\n\"", "\"b\\x01\"");
    va_plan *plan = plan_of(variable, variable, NULL);
    assert_true(va_plan_has_variable(plan));
    va_plan_close(plan);
    H5Tclose(c);
    H5Tclose(nul);
    H5Tclose(space);
    H5Tclose(variable);
}

static void test_long_strings_are_shown_where_they_differ(void **state)
{
    (void)state;
    const hid_t type = string_of(301, H5T_STR_NULLTERM);
    char a[301], b[301];
    memset(a, 'x', 300);
    a[300] = 0;
    memcpy(b, a, sizeof b);
    b[200] = 'y';
    const va_h5_result r = compare(type, type, NULL, a, b, 1);
    assert_memory_equal(r.value[0], "...\"xxx", 7);
    assert_non_null(strchr(r.value[1], 'y'));
    assert_int_equal(strlen(r.value[1]), VA_H5_VALUE - 1);
    H5Tclose(type);
}

static hid_t colours(hid_t base, const char *const names[], const int8_t *values, int n)
{
    const hid_t type = H5Tenum_create(base);
    for (int i = 0; i < n; i++) {
        int64_t value = values[i];
        if (H5Tget_order(base) == H5T_ORDER_BE)
            value = (int64_t)((uint64_t)value << 8); /* of two bytes, see below */
        H5Tenum_insert(type, names[i], &value);
    }
    return type;
}

static void test_enumerations_are_names(void **state)
{
    (void)state;
    const hid_t a = colours(H5T_STD_I8LE, (const char *const[]){"RED", "BLUE"}, (const int8_t[]){0, -1}, 2),
                b = colours(H5T_STD_I16BE, (const char *const[]){"BLUE", "RED", "PINK"}, (const int8_t[]){0, 1, 2}, 3);
    const int8_t x[5] = {0, -1, 0, 7, 7};
    const uint8_t y[5][2] = {{0, 1}, {0, 0}, {0, 2}, {0, 7}, {0, 8}};
    const va_h5_result r = compare(a, b, NULL, x, y, 5);
    assert_first(&r, 2, 2, "", "RED", "PINK");
    assert_no_plan(a, H5T_STD_I8LE, VR_ERROR_SHAPE, "enum of i8 {RED = 0, BLUE = -1} against i8");
    H5Tclose(a);
    H5Tclose(b);
}

typedef struct point {
    double x;
    int32_t grid[2][2];
} point;

typedef struct turned {
    int32_t grid[2][2];
    char gap[4];
    double x;
} turned;

static hid_t point_type(size_t size, size_t x, size_t grid)
{
    const hid_t array = H5Tarray_create2(H5T_NATIVE_INT32, 2, (const hsize_t[]){2, 2});
    const hid_t type = H5Tcreate(H5T_COMPOUND, size);
    if (x < grid)
        H5Tinsert(type, "x", x, H5T_NATIVE_DOUBLE);
    H5Tinsert(type, "grid", grid, array);
    if (x > grid)
        H5Tinsert(type, "x", x, H5T_NATIVE_DOUBLE);
    H5Tclose(array);
    return type;
}

static void test_members_are_paired_by_name(void **state)
{
    (void)state;
    const hid_t a = point_type(sizeof(point), 0, offsetof(point, grid)),
                b = point_type(sizeof(turned), offsetof(turned, x), 0);
    const point p[2] = {{1, {{1, 2}, {3, 4}}}, {2, {{1, 2}, {3, 4}}}};
    const turned q[2] = {{{{1, 2}, {3, 4}}, "gap", 1}, {{{1, 2}, {0, 0}}, "", 2}};
    const va_h5_result r = compare(a, b, NULL, p, q, 2);
    assert_first(&r, 1, 1, ".grid[1,0]", "3", "0");
    assert_true(r.numeric);
    assert_int_equal(r.max_ulp, 4);
    va_plan *plan = plan_of(a, a, NULL);
    char text[VA_H5_VALUE];
    assert_int_equal(va_plan_dtype(plan), 0);
    assert_int_equal(H5Tget_size(va_plan_type(plan, 0)), 24);
    va_plan_text(plan, 0, -1, p, text);
    assert_string_equal(text, "{x: 1, grid: [1, 2, 3, 4]}");
    va_plan_close(plan);
    H5Tclose(a);
    H5Tclose(b);
}

static void test_members_that_do_not_fit(void **state)
{
    (void)state;
    const hid_t a = H5Tcreate(H5T_COMPOUND, 8), b = H5Tcreate(H5T_COMPOUND, 8), c = H5Tcreate(H5T_COMPOUND, 16),
                d = H5Tcreate(H5T_COMPOUND, 16);
    H5Tinsert(a, "x", 0, H5T_NATIVE_INT32);
    H5Tinsert(b, "x", 0, H5T_NATIVE_FLOAT);
    H5Tinsert(b, "y", 4, H5T_NATIVE_FLOAT);
    assert_no_plan(a, b, VR_ERROR_SHAPE, ".y: only in the second");
    H5Tinsert(a, "y", 4, H5T_NATIVE_FLOAT);
    assert_no_plan(a, b, VR_ERROR_SHAPE, ".x: i32 against f32");
    H5Tinsert(c, "in", 8, a);
    H5Tinsert(d, "in", 0, b);
    assert_no_plan(c, d, VR_ERROR_SHAPE, ".in.x: i32 against f32");
    H5Tclose(a);
    H5Tclose(b);
    H5Tclose(c);
    H5Tclose(d);
}

static void test_arrays_of_other_shapes(void **state)
{
    (void)state;
    const hid_t a = H5Tarray_create2(H5T_NATIVE_INT8, 2, (const hsize_t[]){2, 3}),
                b = H5Tarray_create2(H5T_NATIVE_INT8, 2, (const hsize_t[]){3, 2});
    assert_no_plan(a, b, VR_ERROR_SHAPE, "array [2,3] of i8 against array [3,2] of i8");
    H5Tclose(a);
    H5Tclose(b);
}

static void test_sequences(void **state)
{
    (void)state;
    const hid_t type = H5Tvlen_create(H5T_NATIVE_INT16);
    int16_t one[] = {1, 2, 3}, other[] = {1, 2, 4};
    const hvl_t a[3] = {{3, one}, {0, NULL}, {2, one}}, b[3] = {{3, other}, {0, NULL}, {3, one}};
    va_plan *plan = plan_of(type, type, NULL);
    va_h5_result r = VA_H5_RESULT_INIT;
    assert_true(va_plan_has_variable(plan));
    va_plan_compare(plan, &r, (const hid_t[2]){-1, -1}, a, b, 3, 10);
    assert_first(&r, 2, 10, "[2]", "3", "4");
    r = (va_h5_result)VA_H5_RESULT_INIT;
    va_plan_compare(plan, &r, (const hid_t[2]){-1, -1}, a + 1, b + 1, 2, 0);
    assert_first(&r, 1, 1, "", "2 elements [1, 2]", "3 elements [1, 2, 3]");
    va_plan_close(plan);
    H5Tclose(type);
}

static void test_bytes(void **state)
{
    (void)state;
    const hid_t four = H5Tcreate(H5T_OPAQUE, 4), five = H5Tcreate(H5T_OPAQUE, 5);
    H5Tset_tag(four, "");
    H5Tset_tag(five, "");
    va_h5_result r = compare(four, four, NULL, "\1\2\3\4", "\1\2\3\xff", 1);
    assert_first(&r, 1, 0, "", "0x01020304", "0x010203ff");
    assert_false(r.numeric);
    assert_no_plan(four, five, VR_ERROR_SHAPE, "opaque of 4 against opaque of 5");
    r = compare(H5T_STD_B16LE, H5T_STD_B16BE, NULL, "\1\2", "\2\1", 1);
    assert_int_equal(r.different, 0);
    r = compare(H5T_UNIX_D32LE, H5T_UNIX_D32LE, NULL, "\1\0\0\0", "\1\0\0\1", 1);
    assert_int_equal(r.different, 1);
    H5Tclose(four);
    H5Tclose(five);
}

static void test_null_references_are_equal(void **state)
{
    (void)state;
    static const hobj_ref_t none = 0;
    va_plan *plan = plan_of(H5T_STD_REF_OBJ, H5T_STD_REF_OBJ, NULL);
    va_h5_result r = VA_H5_RESULT_INIT;
    assert_true(va_plan_has_references(plan));
    va_plan_compare(plan, &r, (const hid_t[2]){-1, -1}, &none, &none, 1, 0);
    assert_int_equal(r.unequal, 0);
    va_plan_close(plan);
    assert_no_plan(H5T_STD_REF_OBJ, H5T_STD_REF_DSETREG, VR_ERROR_SHAPE, "object reference against region reference");
}

/* ---- limits ---- */

static void test_types_too_deep_or_large(void **state)
{
    (void)state;
    hid_t type = H5Tcopy(H5T_NATIVE_INT8);
    for (int i = 0; i < 64; i++) {
        const hid_t next = H5Tarray_create2(type, 1, (const hsize_t[]){1});
        H5Tclose(type);
        type = next;
    }
    assert_no_plan(type, type, VR_ERROR_UNSUPPORTED, "nested deeper than 64");
    H5Tclose(type);
    type = string_of((size_t)3 << 30, H5T_STR_NULLPAD);
    assert_no_plan(type, type, VR_ERROR_UNSUPPORTED, "elements of 3221225472 bytes");
    H5Tclose(type);
}

static void test_stop_ends_within_a_block(void **state)
{
    (void)state;
    const va_h5_options options = {.tolerance = VR_TOLERANCE_INIT, .stop = 2};
    int32_t a[1000] = {0}, b[1000] = {[300] = 1, [400] = 1, [500] = 1};
    const va_h5_result r = compare(H5T_NATIVE_INT32, H5T_NATIVE_INT32, &options, a, b, 1000);
    assert_first(&r, 2, 300, "", "0", "1");
    assert_int_equal(r.count, 401);
}

static void assert_number(hid_t type, const void *value, const char *expected)
{
    va_plan *plan = plan_of(type, type, NULL);
    char text[VA_H5_VALUE];
    va_plan_text(plan, 1, -1, value, text);
    assert_string_equal(text, expected);
    va_plan_close(plan);
}

static void test_numbers_as_text(void **state)
{
    (void)state;
    const uint32_t odd_nan = 0x7fc00001;
    assert_number(H5T_NATIVE_FLOAT, &(float){0.1f}, "0.1");
    assert_number(H5T_NATIVE_FLOAT, &(float){-0.0f}, "-0");
    assert_number(H5T_NATIVE_FLOAT, &(float){1200}, "1200");
    assert_number(H5T_NATIVE_FLOAT, &(float){INFINITY}, "inf");
    assert_number(H5T_NATIVE_FLOAT, &odd_nan, "NaN (0x7fc00001)");
    assert_number(H5T_NATIVE_DOUBLE, &(double){0.1 + 0.2}, "0.30000000000000004");
    assert_number(H5T_NATIVE_DOUBLE, &(double){1e300}, "1e+300");
    assert_number(H5T_NATIVE_LDOUBLE, &(long double){0.5L}, "0.5");
    assert_number(H5T_NATIVE_UINT64, &(uint64_t){UINT64_MAX}, "18446744073709551615");
}

static void test_types_in_words(void **state)
{
    (void)state;
    char text[32];
    const hid_t f16 = type_of(VR_F16), type = point_type(sizeof(point), 0, offsetof(point, grid));
    va_h5_type_text(text, sizeof text, f16);
    assert_string_equal(text, "f16");
    va_h5_type_text(text, sizeof text, H5T_STD_I16BE);
    assert_string_equal(text, "i16, big-endian");
    va_h5_type_text(text, sizeof text, type);
    assert_string_equal(text, "compound {x: f64, grid: arra...");
    H5Tclose(f16);
    H5Tclose(type);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_as_vr_compare_has_them),
        cmocka_unit_test(test_dtype_of_the_plan),
        cmocka_unit_test(test_byte_order_is_no_difference),
        cmocka_unit_test(test_integers_with_offset_and_padding),
        cmocka_unit_test(test_floats_of_any_layout),
        cmocka_unit_test(test_other_types_need_convert),
        cmocka_unit_test(test_conversion_is_exact),
        cmocka_unit_test(test_tolerance_of_two_types),
        cmocka_unit_test(test_strings_are_texts),
        cmocka_unit_test(test_long_strings_are_shown_where_they_differ),
        cmocka_unit_test(test_enumerations_are_names),
        cmocka_unit_test(test_members_are_paired_by_name),
        cmocka_unit_test(test_members_that_do_not_fit),
        cmocka_unit_test(test_arrays_of_other_shapes),
        cmocka_unit_test(test_sequences),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_null_references_are_equal),
        cmocka_unit_test(test_types_too_deep_or_large),
        cmocka_unit_test(test_stop_ends_within_a_block),
        cmocka_unit_test(test_numbers_as_text),
        cmocka_unit_test(test_types_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
