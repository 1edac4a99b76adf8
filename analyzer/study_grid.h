/* study_grid.h - tables of figures as text: columns as wide as they need to be, doubts as footnotes. */
#ifndef VA_STUDY_GRID_H
#define VA_STUDY_GRID_H

#include "command.h"
#include "study_report.h"

typedef struct va_grid {
    char **cells; /* [rows][columns]; NULL: empty */
    size_t columns, rows, room;
    bool *right; /* [columns]: aligned to the right */
    char **footnotes;
    size_t footnote_count, footnote_room;
    bool failed; /* out of memory: what is printed lacks something */
} va_grid;

/* The first row is the head. */
va_grid va_grid_new(size_t columns);
void va_grid_free(va_grid *grid);

/* Adds an empty row; its number. */
size_t va_grid_row(va_grid *grid);

void va_grid_put(va_grid *grid, size_t row, size_t column, const char *text);

/* The same behind what stands there, unless that says it. */
void va_grid_append(va_grid *grid, size_t row, size_t column, const char *text);

/* The figure with its interval, and a letter where there is doubt. NULL: "-". */
void va_grid_figure(va_grid *grid, size_t row, size_t column, const va_figure *figure);

/* Prints rows and footnotes. */
void va_grid_print(FILE *out, const va_grid *grid, const char *indent);

/* "97.21 [97.02, 97.40]", "0.31"; "-" of what is not defined. */
#define VA_FIGURE_TEXT 96
const char *va_figure_text(char out[VA_FIGURE_TEXT], const va_figure *figure);

#endif
