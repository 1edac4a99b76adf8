/* study_report_parting.h - at which step the runs of a condition first differ, in whatever they recorded. */
#ifndef VA_STUDY_REPORT_PARTING_H
#define VA_STUDY_REPORT_PARTING_H

#include "study_report.h"

/* Adds the step to the curves, or a note that they never part. Fails as reading the traces does. */
vr_status va_report_parting(va_report *report, int condition);

#endif
