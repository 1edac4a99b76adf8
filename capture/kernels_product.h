/* kernels_product.h - the matrix product that all kernels with two indices are: out[i][j] = sum over k of a(i, k) b(j,
 * k).
 */
#ifndef VR_KERNELS_PRODUCT_H
#define VR_KERNELS_PRODUCT_H

#include "kernels_impl.h"

/* The patches of images[n][h][w][c] that a window of [kh][kw] sees from each of pixels[n][out_h][out_w]. Tap (ky, kx)
 * of pixel (y, x) is at row (y step_h + first_h + ky dilation_h) / holes_h, zero outside the image and where that is
 * not a whole number; columns alike. */
typedef struct patches {
    int64_t h, w, c, kh, kw, out_h, out_w;
    int64_t step_h, step_w, first_h, first_w, dilation_h, dilation_w, holes_h, holes_w;
} patches;

/* A factor. Dense: element (index, term) is data[index row + term step]. Of patches: index is a pixel, term a tap's
 * channel (ky, kx, c), or the other way round. */
typedef struct factor {
    const real *data;
    int64_t row, step;
    const patches *seen; /* NULL: dense */
    bool pixels_are_terms;
} factor;

/* Element (i, j) is at out[i out_row + j out_column], its first term bias[i bias_row + j bias_column]. */
typedef struct product {
    real *out;
    const real *bias; /* or NULL */
    factor a, b;
    int64_t m, n, k;
    int64_t out_row, out_column, bias_row, bias_column;
} product;

vr_status NAME(vr_product)(const way *w, const product *of);

/* Terms [first, first + n) of an index, or those that `order` names there, to `out`; of `count` indices from `index`
 * on: out[i][STRIDE], or, as columns, out[term][columns], zeros to the end of a row of columns. */
void NAME(vr_pack_rows)(real *out, const factor *from, const uint32_t *order, int64_t index, int64_t count,
                        int64_t first, int64_t n);
void NAME(vr_pack_columns)(real *out, int64_t columns, const factor *from, const uint32_t *order, int64_t index,
                           int64_t count, int64_t first, int64_t n);

/* One element. */
real NAME(vr_element)(const factor *from, int64_t index, int64_t term);

#endif
