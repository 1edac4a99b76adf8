/* study_scene.h - small evaluations for the tests of a study, written as text: a character a sample. */
#ifndef STUDY_SCENE_H
#define STUDY_SCENE_H

#include <study_table.h>

#define STUDY_MOST 8 /* replicas of a scene */

/* Replica r: ids[r] "abc" are 97, 98, 99; labels and predictions "012" are classes, '9' is a prediction of class 9, '-'
 * of class -1; groups "xyz" are columns of one value each 120, 121, 122. Where a text is NULL, that of replica 0
 * counts; where predictions are NULL, the replicas end. */
typedef struct study_scene {
    int classes;
    const char *ids[STUDY_MOST], *labels[STUDY_MOST], *predictions[STUDY_MOST], *groups[STUDY_MOST];
    const double *losses; /* NULL: not known */
} study_scene;

/* A scene from TEXTS of ids, labels and predictions, then what else there is. */
#define TEXTS(...)                                                                                                     \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define SCENE(c, i, l, ...)                                                                                            \
    {                                                                                                                  \
        .classes = c, .ids = i, .labels = l, .predictions = __VA_ARGS__                                                \
    }

/* The table of a scene; ends the test where it fails. */
va_table *study_table(const study_scene *scene);

/* Adds replica r of the scene. */
vr_status study_add(va_table *table, const study_scene *scene, int r);

/* Fails unless both are NaN, or differ by at most `within` of the expected. */
void study_assert_near(const char *what, double value, double expected, double within);

#endif
