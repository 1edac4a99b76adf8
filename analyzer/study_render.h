/* study_render.h - a study's report as text, JSON and CSV. */
#ifndef VA_STUDY_RENDER_H
#define VA_STUDY_RENDER_H

#include "command.h"
#include "study_report.h"

/* A table of the conditions and what is noteworthy; then the sections whose bits are set. */
void va_study_text(FILE *out, const va_report *report, unsigned sections, bool color);

/* All of it. */
json_t *va_study_json(const va_report *report);

/* A row for each figure: section,condition,against,item,metric,estimate,low,high,n,note. Shares are fractions. */
void va_study_csv(FILE *out, const va_report *report);

#endif
