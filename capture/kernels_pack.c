/* kernels_pack.c - factors of products, dense or seen through a window, copied to where the inner loops want them. */
#include "kernels_product.h"

#include <string.h>

/* Runs of at most n elements from pixel and tap channel on: c of a tap, contiguous; NULL where they are zeros. */
static const real *run_at(const factor *from, int64_t pixel, int64_t tap, int64_t channel)
{
    const patches *p = from->seen;
    const int64_t image = pixel / (p->out_h * p->out_w), place = pixel % (p->out_h * p->out_w);
    const int64_t y = place / p->out_w * p->step_h + p->first_h + tap / p->kw * p->dilation_h;
    const int64_t x = place % p->out_w * p->step_w + p->first_w + tap % p->kw * p->dilation_w;
    if (y < 0 || x < 0 || y % p->holes_h || x % p->holes_w || y / p->holes_h >= p->h || x / p->holes_w >= p->w)
        return NULL;
    return from->data + ((image * p->h + y / p->holes_h) * p->w + x / p->holes_w) * p->c + channel;
}

real NAME(vr_element)(const factor *from, int64_t index, int64_t term)
{
    if (!from->seen)
        return from->data[index * from->row + term * from->step];
    const int64_t pixel = from->pixels_are_terms ? term : index, at = from->pixels_are_terms ? index : term;
    const real *run = run_at(from, pixel, at / from->seen->c, at % from->seen->c);
    return run ? *run : 0;
}

static void copy(real *out, const real *run, int64_t n)
{
    if (!run)
        for (int64_t i = 0; i < n; i++)
            out[i] = 0;
    else
        for (int64_t i = 0; i < n; i++)
            out[i] = run[i];
}

/* Tap channels [first, first + n) of a pixel. */
static void copy_taps(real *out, const factor *from, int64_t pixel, int64_t first, int64_t n)
{
    const int64_t c = from->seen->c;
    int64_t tap = first / c, channel = first % c;
    for (int64_t done = 0, length; done < n; done += length, tap++, channel = 0) {
        length = c - channel < n - done ? c - channel : n - done;
        copy(out + done, run_at(from, pixel, tap, channel), length);
    }
}

static void pack_each_row(real *out, const factor *from, const uint32_t *order, int64_t index, int64_t count,
                          int64_t first, int64_t n)
{
    for (int64_t i = 0; i < count; i++)
        for (int64_t k = 0; k < n; k++)
            out[i * STRIDE + k] = NAME(vr_element)(from, index + i, order ? order[first + k] : first + k);
}

void NAME(vr_pack_rows)(real *out, const factor *from, const uint32_t *order, int64_t index, int64_t count,
                        int64_t first, int64_t n)
{
    if (order || (from->seen && from->pixels_are_terms)) {
        pack_each_row(out, from, order, index, count, first, n);
    } else if (from->seen) {
        for (int64_t i = 0; i < count; i++)
            copy_taps(out + i * STRIDE, from, index + i, first, n);
    } else if (from->step == 1) {
        for (int64_t i = 0; i < count; i++)
            copy(out + i * STRIDE, from->data + (index + i) * from->row + first, n);
    } else {
        for (int64_t k = 0; k < n; k++)
            for (int64_t i = 0; i < count; i++)
                out[i * STRIDE + k] = from->data[(index + i) * from->row + (first + k) * from->step];
    }
}

void NAME(vr_pack_columns)(real *out, int64_t columns, const factor *from, const uint32_t *order, int64_t index,
                           int64_t count, int64_t first, int64_t n)
{
    for (int64_t k = 0; k < n; k++) {
        const int64_t term = order ? order[first + k] : first + k;
        real *row = out + k * columns;
        if (from->seen && from->pixels_are_terms)
            copy_taps(row, from, term, index, count);
        else if (!from->seen && from->row == 1)
            copy(row, from->data + index + term * from->step, count);
        else
            for (int64_t j = 0; j < count; j++)
                row[j] = NAME(vr_element)(from, index + j, term);
        for (int64_t j = count; j < columns; j++)
            row[j] = 0;
    }
}
