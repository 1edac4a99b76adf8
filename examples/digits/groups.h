/* groups.h - what can be told of an image apart from its label, for want of anything better: the data say nothing of
 * who wrote what. Both are derived from the pixels. */
#ifndef DIGITS_GROUPS_H
#define DIGITS_GROUPS_H

#include "data.h"

#define GROUP_COLUMNS 2

/* Columns [set.count], and their names and those of their values as vr_evaluation takes them. */
typedef struct sample_groups {
    int32_t *columns[GROUP_COLUMNS];
} sample_groups;

extern const char *const group_names[GROUP_COLUMNS];
extern const char *const *const group_values[GROUP_COLUMNS];

/* "derived-ink": the quarter of the set that the sum of an image's pixels is in, the earlier of equals lower.
 * "derived-slant": 1 where what is higher in the image also is further to the right: where the ink's covariance of row
 * and column, from the top left, is below 0; else 0. False: out of memory. */
bool groups_new(sample_groups *out, const sample_set *set, int64_t height, int64_t width);

void groups_free(sample_groups *groups);

#endif
