/* study_plots.h - pictures of a study: spread of accuracy, churn, weights, classes, groups, curves. */
#ifndef VA_STUDY_PLOTS_H
#define VA_STUDY_PLOTS_H

#include "study_report.h"

/* Draws what there is to draw, one file each (accuracy, churn, weights, classes, groups, curves), into a folder, which
 * is made. `suffix` is svg, png or pdf. Fails as va_plot_close, or with VR_ERROR_IO (the folder). */
vr_status va_study_plots(const va_report *report, const char *folder, const char *suffix);

#endif
