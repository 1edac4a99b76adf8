#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <varanalyze/tensor.h>

static int32_t numbers[120];

static void contiguous_views(void **state)
{
    (void)state;
    const vr_tensor t = VR_TENSOR(VR_I32, numbers, 2, 3, 4);
    assert_int_equal(vr_tensor_check(&t), VR_OK);
    assert_int_equal(t.rank, 3);
    assert_int_equal(t.strides[0], 12);
    assert_int_equal(t.strides[1], 4);
    assert_int_equal(t.strides[2], 1);
    assert_int_equal(vr_tensor_count(&t), 24);
    assert_true(vr_tensor_is_contiguous(&t));

    const vr_tensor scalar = VR_SCALAR(VR_I32, numbers);
    assert_int_equal(vr_tensor_check(&scalar), VR_OK);
    assert_int_equal(vr_tensor_count(&scalar), 1);
    assert_true(vr_tensor_is_contiguous(&scalar));
}

static void contiguity(void **state)
{
    (void)state;
    const vr_tensor t = VR_TENSOR(VR_I32, numbers, 2, 3, 4);
    const vr_tensor turned = vr_tensor_transpose(t, 0, 2);
    assert_int_equal(turned.shape[0], 4);
    assert_int_equal(turned.strides[0], 1);
    assert_int_equal(turned.strides[2], 12);
    assert_false(vr_tensor_is_contiguous(&turned));
    const vr_tensor back = vr_tensor_transpose(turned, 0, 2);
    assert_memory_equal(&back, &t, sizeof t);

    vr_tensor slice = t;
    slice.shape[1] = 2;
    assert_false(vr_tensor_is_contiguous(&slice));
    slice.shape[0] = 1; /* the strides of a dimension of one element do not matter */
    assert_true(vr_tensor_is_contiguous(&slice));
    slice.strides[0] = -77;
    assert_true(vr_tensor_is_contiguous(&slice));
    slice.shape[2] = 0;
    assert_true(vr_tensor_is_contiguous(&slice));
}

static void expect(vr_status wanted, vr_tensor t)
{
    assert_int_equal(vr_tensor_check(&t), wanted);
}

static void checks(void **state)
{
    (void)state;
    const int64_t big = INT64_C(1) << 40;
    expect(VR_ERROR_ARGUMENT, VR_TENSOR((vr_dtype)0, numbers, 2));
    expect(VR_ERROR_ARGUMENT, VR_TENSOR((vr_dtype)(VR_DTYPE_LAST + 1), numbers, 2));
    expect(VR_ERROR_ARGUMENT, VR_TENSOR(VR_F32, NULL, 2));
    expect(VR_ERROR_ARGUMENT, VR_SCALAR(VR_F32, NULL));
    expect(VR_OK, VR_TENSOR(VR_F32, NULL, 2, 0));
    expect(VR_ERROR_SHAPE, VR_TENSOR(VR_F32, numbers, 2, -1));
    expect(VR_ERROR_SHAPE, VR_TENSOR(VR_F32, numbers, 0, -1));
    expect(VR_ERROR_SHAPE, VR_TENSOR(VR_F32, numbers, 1, 1, 1, 1, 1, 1, 1, 1, 1));
    expect(VR_ERROR_SHAPE, vr_tensor_of(VR_F32, numbers, -1, NULL));
    expect(VR_OK, VR_TENSOR(VR_F32, numbers, 1, 1, 1, 1, 1, 1, 1, 1));
    expect(VR_ERROR_SHAPE, vr_tensor_transpose(VR_TENSOR(VR_F32, numbers, 1, 1), 0, 2));
    expect(VR_ERROR_SHAPE, vr_tensor_transpose(VR_TENSOR(VR_F32, numbers, 1, 1), -1, 0));

    expect(VR_ERROR_SHAPE, VR_TENSOR(VR_U8, numbers, big, big));
    expect(VR_ERROR_SHAPE, VR_TENSOR(VR_F64, numbers, INT64_C(1) << 60));
    expect(VR_OK, VR_TENSOR(VR_F32, numbers, INT64_C(1) << 60));
    expect(VR_OK, VR_TENSOR(VR_F32, numbers, big, big, 0));
    expect(VR_OK, VR_TENSOR(VR_F32, numbers, 0, big, big));
}

static void strides_that_overflow(void **state)
{
    (void)state;
    vr_tensor t = VR_TENSOR(VR_F32, numbers, 3, 4);
    const int64_t fits[] = {0, -4, INT64_C(1) << 59, -(INT64_C(1) << 59)};
    const int64_t too_far[] = {INT64_C(1) << 61,    INT64_MAX,        INT64_MIN,
                               -(INT64_C(1) << 61), INT64_C(1) << 60, -(INT64_C(1) << 60)};
    for (size_t i = 0; i < sizeof fits / sizeof *fits; i++) {
        t.strides[0] = fits[i];
        expect(VR_OK, t);
    }
    for (size_t i = 0; i < sizeof too_far / sizeof *too_far; i++) {
        t.strides[0] = too_far[i];
        expect(VR_ERROR_SHAPE, t);
    }
    t.strides[0] = t.strides[1] = INT64_C(1) << 59; /* the sum is too far */
    expect(VR_ERROR_SHAPE, t);
}

/* Packs every range of `t` and compares it with the elements found one by one. */
static void check_pack(vr_tensor t)
{
    const size_t size = vr_dtype_size(t.dtype);
    const int64_t count = vr_tensor_count(&t);
    char *wanted = malloc((size_t)count * size + 1), *packed = malloc((size_t)count * size + 1);
    for (int64_t i = 0; i < count; i++) {
        int64_t offset = 0, rest = i;
        for (int d = t.rank - 1; d >= 0; d--) {
            offset += rest % t.shape[d] * t.strides[d];
            rest /= t.shape[d];
        }
        memcpy(wanted + (size_t)i * size, (const char *)t.data + offset * (int64_t)size, size);
    }
    for (int64_t first = 0; first <= count; first++)
        for (int64_t n = 0; n <= count - first; n++) {
            memset(packed, 0x5a, (size_t)count * size + 1);
            vr_tensor_pack(packed, &t, first, n);
            assert_memory_equal(packed, wanted + (size_t)first * size, (size_t)n * size);
            assert_int_equal(packed[(size_t)n * size], 0x5a);
        }
    free(wanted);
    free(packed);
}

static void packing(void **state)
{
    (void)state;
    const vr_dtype dtypes[] = {VR_U8, VR_F16, VR_F32, VR_F64};
    for (size_t i = 0; i < 120; i++)
        numbers[i] = (int32_t)(i * 2654435761u);
    for (size_t k = 0; k < 4; k++) {
        const int64_t half = (int64_t)(sizeof numbers / vr_dtype_size(dtypes[k]) / 2);
        const void *middle = (const char *)numbers + sizeof numbers / 2;
        vr_tensor t = VR_TENSOR(dtypes[k], middle, 3, 1, 4, 2);
        assert_true(half >= 24);
        check_pack(t);
        check_pack(vr_tensor_transpose(t, 0, 3));
        check_pack(vr_tensor_transpose(t, 1, 2));
        t.strides[0] = 0;
        check_pack(t);
        t.strides[2] = -2;
        t.strides[3] = -1;
        check_pack(t);
        check_pack(VR_SCALAR(dtypes[k], middle));
        vr_tensor column = VR_TENSOR(dtypes[k], middle, 5, 1);
        column.strides[0] = 4;
        check_pack(column);
        column.strides[0] = -3;
        check_pack(column);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contiguous_views),      cmocka_unit_test(contiguity), cmocka_unit_test(checks),
        cmocka_unit_test(strides_that_overflow), cmocka_unit_test(packing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
