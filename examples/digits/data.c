#include "data.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <varanalyze/idx.h>
#include <varanalyze/random.h>

/* An images file and its labels. */
typedef struct idx_pair {
    vr_idx images, labels;
} idx_pair;

__attribute__((format(printf, 2, 3))) static bool fail(char message[DATA_MESSAGE], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, DATA_MESSAGE, format, arguments);
    va_end(arguments);
    return false;
}

static void pair_free(idx_pair *pair)
{
    vr_idx_free(&pair->images);
    vr_idx_free(&pair->labels);
}

static bool pair_check(const idx_pair *pair, const char *images, const char *labels, char message[DATA_MESSAGE])
{
    const int64_t *shape = pair->images.shape;
    if (pair->images.dtype != VR_U8 || pair->images.rank != 3)
        return fail(message, "%s: %s of rank %d; images are u8 of rank 3", images, vr_dtype_name(pair->images.dtype),
                    pair->images.rank);
    if (pair->labels.dtype != VR_U8 || pair->labels.rank != 1)
        return fail(message, "%s: %s of rank %d; labels are u8 of rank 1", labels, vr_dtype_name(pair->labels.dtype),
                    pair->labels.rank);
    if (shape[0] != pair->labels.count)
        return fail(message, "%s: %lld images, but %lld labels in %s", images, (long long)shape[0],
                    (long long)pair->labels.count, labels);
    if (shape[0] < 1 || shape[0] > INT32_MAX)
        return fail(message, "%s: %lld images; need 1 to %d", images, (long long)shape[0], INT32_MAX);
    if (shape[1] < 2 || shape[2] < 2 || shape[1] > DATA_MAX_SIDE || shape[2] > DATA_MAX_SIDE)
        return fail(message, "%s: images of %lld x %lld; each side must be 2 to %d", images, (long long)shape[1],
                    (long long)shape[2], DATA_MAX_SIDE);
    return true;
}

static bool pair_read(idx_pair *out, const char *images, const char *labels, char message[DATA_MESSAGE])
{
    *out = (idx_pair){0};
    bool ok = vr_idx_read(&out->images, images) == VR_OK && vr_idx_read(&out->labels, labels) == VR_OK;
    if (!ok)
        fail(message, "%s", vr_error());
    else
        ok = pair_check(out, images, labels, message);
    if (!ok)
        pair_free(out);
    return ok;
}

static int largest(const vr_idx *array)
{
    const uint8_t *values = array->data;
    int maximum = 0;
    for (int64_t i = 0; i < array->count; i++)
        maximum = values[i] > maximum ? values[i] : maximum;
    return maximum;
}

/* Samples [first, first + count) of a pair, pixels divided by `scale`. */
static bool set_new(sample_set *out, const idx_pair *pair, int64_t first, int64_t count, float scale)
{
    const int64_t pixels = pair->images.shape[1] * pair->images.shape[2];
    const uint8_t *images = (const uint8_t *)pair->images.data + first * pixels;
    const uint8_t *labels = (const uint8_t *)pair->labels.data + first;
    out->count = count;
    out->images = malloc((size_t)(count * pixels) * sizeof *out->images);
    out->labels = malloc((size_t)count * sizeof *out->labels);
    out->ids = malloc((size_t)count * sizeof *out->ids);
    if (!out->images || !out->labels || !out->ids)
        return false;
    for (int64_t i = 0; i < count * pixels; i++)
        out->images[i] = (float)images[i] / scale;
    for (int64_t i = 0; i < count; i++) {
        out->labels[i] = labels[i];
        out->ids[i] = (uint64_t)(first + i);
    }
    return true;
}

/* `test` is NULL where the test set is to be split off. */
static bool build(dataset *out, const idx_pair *train, const idx_pair *test, const data_files *files,
                  char message[DATA_MESSAGE])
{
    const int64_t count = train->images.shape[0], split = test ? count : count * 4 / 5;
    const float scale = (float)(largest(&train->images) > 0 ? largest(&train->images) : 1);
    out->height = train->images.shape[1];
    out->width = train->images.shape[2];
    out->classes = largest(&train->labels) + 1;
    if (out->classes < 2)
        return fail(message, "%s: all labels are 0; need two classes or more", files->labels);
    if (split < 1)
        return fail(message, "%s: one image; need two or more to split off a test set", files->images);
    if (test && (test->images.shape[1] != out->height || test->images.shape[2] != out->width))
        return fail(message, "%s: images of another size than those of %s", files->test_images, files->images);
    if (test && largest(&test->labels) >= out->classes)
        return fail(message, "%s: label %d, but %s has only 0 to %d", files->test_labels, largest(&test->labels),
                    files->labels, (int)out->classes - 1);
    if (!set_new(&out->train, train, 0, split, scale) || !set_new(&out->test, test ? test : train, test ? 0 : split,
                                                                  test ? test->images.shape[0] : count - split, scale))
        return fail(message, "%s: out of memory", files->images);
    return true;
}

bool data_load(dataset *out, const data_files *files, char message[DATA_MESSAGE])
{
    idx_pair train = {0}, test = {0};
    *out = (dataset){0};
    bool ok = pair_read(&train, files->images, files->labels, message);
    if (ok && files->test_images)
        ok = pair_read(&test, files->test_images, files->test_labels, message);
    if (ok)
        ok = build(out, &train, files->test_images ? &test : NULL, files, message);
    pair_free(&train);
    pair_free(&test);
    if (!ok)
        data_free(out);
    return ok;
}

void data_free(dataset *data)
{
    free(data->train.images);
    free(data->train.labels);
    free(data->train.ids);
    free(data->test.images);
    free(data->test.labels);
    free(data->test.ids);
    memset(data, 0, sizeof *data);
}

void data_gather(float *images, int32_t *labels, const dataset *data, const sample_set *set, const uint32_t *order,
                 int64_t n)
{
    const int64_t pixels = data->height * data->width;
    for (int64_t i = 0; i < n; i++) {
        memcpy(images + i * pixels, set->images + order[i] * pixels, (size_t)pixels * sizeof *images);
        labels[i] = set->labels[order[i]];
    }
}

/* In place: rows and columns are gone through from the side that the image moves toward. */
static void shift_image(float *image, int64_t h, int64_t w, int64_t dy, int64_t dx)
{
    for (int64_t i = 0; i < h; i++)
        for (int64_t j = 0; j < w; j++) {
            const int64_t y = dy > 0 ? h - 1 - i : i, x = dx > 0 ? w - 1 - j : j;
            const bool inside = y - dy >= 0 && y - dy < h && x - dx >= 0 && x - dx < w;
            image[y * w + x] = inside ? image[(y - dy) * w + x - dx] : 0;
        }
}

void data_shift(float *images, const dataset *data, int64_t n, int64_t reach, uint64_t key, uint64_t index)
{
    const uint64_t choices = 2 * (uint64_t)reach + 1;
    vr_random random = vr_random_stream(key, index);
    for (int64_t i = 0; i < n; i++) {
        const int64_t dy = (int64_t)vr_random_below(&random, choices) - reach;
        const int64_t dx = (int64_t)vr_random_below(&random, choices) - reach;
        shift_image(images + i * data->height * data->width, data->height, data->width, dy, dx);
    }
}
