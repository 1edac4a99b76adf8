#include "study_scene.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LONGEST 64

static const char *text_of(const char *const *texts, int r)
{
    return texts[r] ? texts[r] : texts[0];
}

static void read_classes(int32_t *out, const char *text)
{
    for (size_t i = 0; text[i]; i++)
        out[i] = text[i] == '-' ? -1 : text[i] - '0';
}

vr_status study_add(va_table *table, const study_scene *scene, int r)
{
    uint64_t ids[LONGEST];
    int32_t labels[LONGEST], predictions[LONGEST], groups[LONGEST];
    const int32_t *columns[] = {groups};
    const char *text = text_of(scene->ids, r), *group = text_of(scene->groups, r);
    const size_t n = strlen(text);
    assert_true(n < LONGEST && strlen(text_of(scene->labels, r)) == n && strlen(scene->predictions[r]) == n);
    read_classes(labels, text_of(scene->labels, r));
    read_classes(predictions, scene->predictions[r]);
    for (size_t i = 0; i < n; i++) {
        ids[i] = (uint64_t)text[i];
        groups[i] = group ? group[i] : 0;
    }
    const va_replica replica = {.name = "replica",
                                .count = n,
                                .ids = ids,
                                .labels = labels,
                                .predictions = predictions,
                                .groups = columns,
                                .loss = scene->losses ? scene->losses[r] : NAN};
    return va_table_add(table, &replica);
}

va_table *study_table(const study_scene *scene)
{
    va_table *table;
    assert_int_equal(va_table_new(&table, scene->classes, scene->groups[0] ? 1 : 0), VR_OK);
    for (int r = 0; r < STUDY_MOST && scene->predictions[r]; r++)
        if (study_add(table, scene, r) != VR_OK)
            fail_msg("%s", vr_error());
    return table;
}

void study_assert_near(const char *what, double value, double expected, double within)
{
    const bool fine = isnan(expected)   ? isnan(value)
                      : isinf(expected) ? value == expected
                                        : fabs(value - expected) <= within * fmax(fabs(expected), within);
    if (!fine)
        fail_msg("%s is %.17g, not %.17g", what, value, expected);
}
