/* data.h - labelled images from IDX files, scaled and split into a training and a test set.
 *
 * Images are u8 of rank 3, labels u8 of rank 1, as MNIST's. Pixels become f32 in [0, 1]: divided by the largest value
 * among the training file's images. The split is fixed: without a test file of its own, the last fifth of the samples,
 * rounded up, is the test set (of 1,797: the first 1,437 train, the last 360 test).
 */
#ifndef DIGITS_DATA_H
#define DIGITS_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DATA_MESSAGE  512 /* bytes of a message */
#define DATA_MAX_SIDE 512 /* rows or columns of an image */

typedef struct sample_set {
    int64_t count;
    uint64_t *ids;   /* [count], each sample's place in its file */
    float *images;   /* [count][height][width] */
    int32_t *labels; /* [count], in 0..classes-1 */
} sample_set;

typedef struct dataset {
    int64_t height, width;
    int64_t classes; /* the largest label of the training file, plus 1 */
    sample_set train, test;
} dataset;

/* Where the data lie; the test paths both NULL: the test set is split off. */
typedef struct data_files {
    const char *images, *labels;
    const char *test_images, *test_labels;
} data_files;

/* Fails, with a message and nothing to free, when a file cannot be read, is of another type or rank, does not fit its
 * pair or the training file, has sides beyond 2..DATA_MAX_SIDE, fewer than two classes, or too few samples. */
bool data_load(dataset *out, const data_files *files, char message[DATA_MESSAGE]);

void data_free(dataset *data);

/* Copies the samples order[0..n-1] of a set to `images` [n][height][width] and `labels` [n]. */
void data_gather(float *images, int32_t *labels, const dataset *data, const sample_set *set, const uint32_t *order,
                 int64_t n);

/* Moves each of n images by dy rows and dx columns, zeros coming in: both uniform in -reach..reach, drawn in the
 * images' order from stream `index` of `key`. */
void data_shift(float *images, const dataset *data, int64_t n, int64_t reach, uint64_t key, uint64_t index);

#endif
