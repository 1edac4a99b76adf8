/* Every element of a dataset is in one box, and boxes are what they claim: checked by counting them all. */
#include "hdf5_boxes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <varanalyze/random.h>

#define MOST_ELEMENTS 5000

/* The place in its chunk of the element at `at`, both in elements. */
static uint64_t place_in_chunk(const va_boxes *boxes, const va_box *box, const hsize_t *at)
{
    uint64_t place = 0;
    for (int d = 0; d < boxes->rank; d++)
        place = place * boxes->chunk[d] + (at[d] - box->chunk[d]);
    return place;
}

static uint64_t index_in_dataset(const va_boxes *boxes, const hsize_t *at)
{
    uint64_t index = 0;
    for (int d = 0; d < boxes->rank; d++)
        index = index * boxes->dims[d] + at[d];
    return index;
}

static void mark(const va_boxes *boxes, const va_box *box, unsigned char *seen)
{
    const uint64_t length = va_box_run_length(boxes, box), runs = box->elements / length;
    uint64_t number = 0;
    hsize_t at[H5S_MAX_RANK];
    memcpy(at, box->start, sizeof at);
    assert_int_equal(box->elements % length, 0);
    assert_true(box->span >= box->elements);
    for (; number < box->elements; number++) {
        const uint64_t run = number / length, offset = va_box_run(boxes, box, run) + number % length;
        assert_true(run < runs && offset < box->span);
        assert_int_equal(box->offset + offset, place_in_chunk(boxes, box, at));
        assert_int_equal(va_box_index(boxes, box, offset), index_in_dataset(boxes, at));
        seen[index_in_dataset(boxes, at)]++;
        for (int d = boxes->rank - 1; d >= 0; d--) {
            if (++at[d] < box->start[d] + box->count[d])
                break;
            at[d] = box->start[d];
        }
    }
}

static void check(int rank, const hsize_t *dims, const hsize_t *chunk, uint64_t most)
{
    unsigned char seen[MOST_ELEMENTS] = {0};
    uint64_t elements = 1;
    va_boxes boxes;
    va_box box;
    for (int d = 0; d < rank; d++)
        elements *= dims[d];
    assert_true(elements <= MOST_ELEMENTS);
    va_boxes_begin(&boxes, rank, dims, chunk, most);
    while (va_boxes_next(&boxes, &box)) {
        assert_true(box.elements >= 1 && box.elements <= (most ? most : 1));
        mark(&boxes, &box, seen);
    }
    for (uint64_t i = 0; i < elements; i++)
        assert_int_equal(seen[i], 1);
}

static void test_every_element_once(void **state)
{
    (void)state;
    vr_random random = vr_random_stream(1, 0);
    for (int round = 0; round < 2000; round++) {
        hsize_t dims[4], chunk[4];
        const int rank = (int)vr_random_below(&random, 5);
        for (int d = 0; d < rank; d++) {
            dims[d] = 1 + vr_random_below(&random, rank < 3 ? 60 : 8);
            chunk[d] = 1 + vr_random_below(&random, dims[d] + 3);
        }
        const uint64_t most = vr_random_below(&random, 100);
        check(rank, dims, NULL, most);
        check(rank, dims, rank ? chunk : NULL, most);
    }
}

static void test_seek(void **state)
{
    (void)state;
    va_boxes boxes;
    va_box box;
    va_boxes_begin(&boxes, 2, (hsize_t[]){10, 10}, (hsize_t[]){4, 4}, 16);
    va_boxes_seek(&boxes, (hsize_t[]){8, 4});
    assert_true(va_boxes_next(&boxes, &box));
    assert_int_equal(box.start[0], 8);
    assert_int_equal(box.start[1], 4);
    assert_int_equal(box.elements, 8);
    assert_true(va_boxes_next(&boxes, &box));
    assert_int_equal(box.elements, 4);
    assert_false(va_boxes_next(&boxes, &box));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_element_once),
        cmocka_unit_test(test_seek),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
