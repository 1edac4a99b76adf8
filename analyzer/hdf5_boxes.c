#include "hdf5_boxes.h"

#include <string.h>

static hsize_t least(hsize_t a, hsize_t b)
{
    return a < b ? a : b;
}

/* Elements of the chunk from one to the next in dimension d. */
static uint64_t stride(const va_boxes *boxes, int d)
{
    uint64_t elements = 1;
    for (int i = d + 1; i < boxes->rank; i++)
        elements *= boxes->chunk[i];
    return elements;
}

static hsize_t chunk_end(const va_boxes *boxes, int d)
{
    return boxes->next.chunk[d] + least(boxes->chunk[d], boxes->dims[d] - boxes->next.chunk[d]);
}

void va_boxes_begin(va_boxes *boxes, int rank, const hsize_t *dims, const hsize_t *chunk, uint64_t most)
{
    *boxes = (va_boxes){.rank = rank};
    bool whole = true; /* all dimensions behind d */
    for (int d = rank - 1; d >= 0; d--) {
        boxes->dims[d] = dims[d];
        boxes->chunk[d] = chunk ? chunk[d] : dims[d];
        boxes->most[d] = whole ? least(boxes->chunk[d], most ? most : 1) : 1;
        most /= boxes->most[d];
        whole = whole && boxes->most[d] == boxes->chunk[d];
    }
}

static void measure(const va_boxes *boxes, va_box *box)
{
    uint64_t step = 1;
    box->elements = box->span = 1;
    box->offset = 0;
    for (int d = boxes->rank - 1; d >= 0; d--) {
        box->count[d] = least(boxes->most[d], chunk_end(boxes, d) - box->start[d]);
        box->elements *= box->count[d];
        box->offset += (box->start[d] - box->chunk[d]) * step;
        box->span += (box->count[d] - 1) * step;
        step *= boxes->chunk[d];
    }
}

static void advance(va_boxes *boxes)
{
    va_box *next = &boxes->next;
    for (int d = boxes->rank - 1; d >= 0; d--) {
        if (next->count[d] < chunk_end(boxes, d) - next->start[d]) {
            next->start[d] += next->count[d];
            return;
        }
        next->start[d] = next->chunk[d];
    }
    for (int d = boxes->rank - 1; d >= 0; d--) {
        if (boxes->chunk[d] < boxes->dims[d] - next->chunk[d]) {
            next->start[d] = next->chunk[d] += boxes->chunk[d];
            return;
        }
        next->start[d] = next->chunk[d] = 0;
    }
    boxes->done = true;
}

bool va_boxes_next(va_boxes *boxes, va_box *out)
{
    if (boxes->done)
        return false;
    measure(boxes, &boxes->next);
    *out = boxes->next;
    advance(boxes);
    return true;
}

void va_boxes_seek(va_boxes *boxes, const hsize_t *chunk)
{
    for (int d = 0; d < boxes->rank; d++)
        boxes->next.chunk[d] = boxes->next.start[d] = chunk[d];
    boxes->done = false;
}

/* The first dimension of those at the end that a run goes over. */
static int run_from(const va_boxes *boxes, const va_box *box)
{
    int d = boxes->rank - 1;
    while (d > 0 && box->count[d] == boxes->chunk[d])
        d--;
    return d;
}

uint64_t va_box_run_length(const va_boxes *boxes, const va_box *box)
{
    uint64_t length = 1;
    for (int d = boxes->rank - 1; d >= 0 && d >= run_from(boxes, box); d--)
        length *= box->count[d];
    return length;
}

uint64_t va_box_run(const va_boxes *boxes, const va_box *box, uint64_t number)
{
    uint64_t offset = 0;
    for (int d = run_from(boxes, box) - 1; d >= 0; d--) {
        offset += number % box->count[d] * stride(boxes, d);
        number /= box->count[d];
    }
    return offset;
}

int64_t va_box_index(const va_boxes *boxes, const va_box *box, uint64_t offset)
{
    uint64_t index = 0, step = 1;
    offset += box->offset;
    for (int d = boxes->rank - 1; d >= 0; d--) {
        index += (box->chunk[d] + offset % boxes->chunk[d]) * step;
        offset /= boxes->chunk[d];
        step *= boxes->dims[d];
    }
    return (int64_t)index;
}
