#include "groups.h"

#include <stdlib.h>

static const char *const ink_values[] = {"lightest", "light", "heavy", "heaviest", NULL};
static const char *const slant_values[] = {"upright or left", "right", NULL};

const char *const group_names[GROUP_COLUMNS] = {"derived-ink", "derived-slant"};
const char *const *const group_values[GROUP_COLUMNS] = {ink_values, slant_values};

typedef struct inked {
    double ink;
    int64_t sample;
} inked;

static int by_ink(const void *x, const void *y)
{
    const inked *a = x, *b = y;
    return a->ink != b->ink ? (a->ink > b->ink) - (a->ink < b->ink) : (a->sample > b->sample) - (a->sample < b->sample);
}

static double sum_pixels(const float *image, int64_t pixels)
{
    double sum = 0;
    for (int64_t i = 0; i < pixels; i++)
        sum += image[i];
    return sum;
}

static bool rank_ink(int32_t *quarters, const sample_set *set, int64_t pixels)
{
    inked *all = malloc((size_t)set->count * sizeof *all);
    if (!all)
        return false;
    for (int64_t i = 0; i < set->count; i++)
        all[i] = (inked){sum_pixels(set->images + i * pixels, pixels), i};
    qsort(all, (size_t)set->count, sizeof *all, by_ink);
    for (int64_t rank = 0; rank < set->count; rank++)
        quarters[all[rank].sample] = (int32_t)(4 * rank / set->count);
    free(all);
    return true;
}

/* sum(p) sum(p y x) - sum(p y) sum(p x), of pixels p at row y and column x: the covariance but for a factor above 0. */
static bool leans_right(const float *image, int64_t height, int64_t width)
{
    double ink = 0, rows = 0, columns = 0, both = 0;
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++) {
            const double p = image[y * width + x];
            ink += p;
            rows += p * (double)y;
            columns += p * (double)x;
            both += p * (double)(y * x);
        }
    return ink * both - rows * columns < 0;
}

bool groups_new(sample_groups *out, const sample_set *set, int64_t height, int64_t width)
{
    for (int i = 0; i < GROUP_COLUMNS; i++)
        out->columns[i] = malloc((size_t)set->count * sizeof *out->columns[i]);
    if (!out->columns[0] || !out->columns[1] || !rank_ink(out->columns[0], set, height * width)) {
        groups_free(out);
        return false;
    }
    for (int64_t i = 0; i < set->count; i++)
        out->columns[1][i] = leans_right(set->images + i * height * width, height, width);
    return true;
}

void groups_free(sample_groups *groups)
{
    for (int i = 0; i < GROUP_COLUMNS; i++) {
        free(groups->columns[i]);
        groups->columns[i] = NULL;
    }
}
