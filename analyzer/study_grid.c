#include "study_grid.h"

#include "grow.h"

#include <math.h>
#include <string.h>

va_grid va_grid_new(size_t columns)
{
    va_grid grid = {.columns = columns, .right = calloc(columns, sizeof(bool))};
    grid.failed = !grid.right;
    va_grid_row(&grid);
    return grid;
}

void va_grid_free(va_grid *grid)
{
    for (size_t i = 0; i < grid->rows * grid->columns; i++)
        free(grid->cells[i]);
    for (size_t i = 0; i < grid->footnote_count; i++)
        free(grid->footnotes[i]);
    free(grid->cells);
    free(grid->right);
    free(grid->footnotes);
}

size_t va_grid_row(va_grid *grid)
{
    char **cells = va_one_more(grid->cells, grid->rows, &grid->room, grid->columns * sizeof *cells);
    if (!cells) {
        grid->failed = true;
        return 0;
    }
    grid->cells = cells;
    memset(&cells[grid->rows * grid->columns], 0, grid->columns * sizeof *cells);
    return grid->rows++;
}

void va_grid_put(va_grid *grid, size_t row, size_t column, const char *text)
{
    if (grid->failed)
        return;
    char **cell = &grid->cells[row * grid->columns + column];
    free(*cell);
    *cell = strdup(text);
    grid->failed |= !*cell;
}

/* ---- figures ---- */

/* Decimals that show two digits of the shorter side of an interval, unless that is less than a tenth of the longer. */
static int decimals_of(const va_interval *x, double scale)
{
    const double below = scale * (x->estimate - x->low), above = scale * (x->high - x->estimate);
    const double side = fmax(fmin(below, above), 0.1 * fmax(below, above));
    if (!(side > 0))
        return 2;
    const double decimals = 1 - floor(log10(side));
    return decimals < 0 ? 0 : decimals > 8 ? 8 : (int)decimals;
}

static void plain_text(char out[VA_FIGURE_TEXT], va_kind kind, double value)
{
    switch (kind) {
    case VA_SHARE:
    case VA_POINTS:
        snprintf(out, VA_FIGURE_TEXT, value == 0 ? "0" : "%.2f", 100 * value);
        break;
    case VA_WHOLE:
        snprintf(out, VA_FIGURE_TEXT, "%.0f", value);
        break;
    case VA_PROBABILITY:
        snprintf(out, VA_FIGURE_TEXT, value < 0.0001 ? "<0.0001" : "%.2g", value);
        break;
    case VA_NUMBER:
        snprintf(out, VA_FIGURE_TEXT, "%.4g", value);
        break;
    }
}

/* What rounds to 0 has no sign. */
static double unsigned_zero(double value, int decimals)
{
    return fabs(value) * pow(10, decimals) < 0.5 ? 0 : value;
}

const char *va_figure_text(char out[VA_FIGURE_TEXT], const va_figure *figure)
{
    const va_kind kind = va_metric_kind(figure->metric);
    const va_interval *x = &figure->interval;
    const double scale = kind == VA_SHARE || kind == VA_POINTS ? 100 : 1;
    if (isnan(x->estimate)) {
        snprintf(out, VA_FIGURE_TEXT, "-");
        return out;
    }
    if (isnan(x->low) || isnan(x->high) || x->high <= x->low) {
        plain_text(out, kind, x->estimate);
        return out;
    }
    const int d = decimals_of(x, scale);
    const double estimate = unsigned_zero(scale * x->estimate, d), low = unsigned_zero(scale * x->low, d),
                 high = unsigned_zero(scale * x->high, d);
    const bool vanishes = estimate == 0 && x->estimate != 0;
    if (kind == VA_NUMBER && (fabs(x->high) < 1e-3 || fabs(x->high) >= 1e6 || vanishes))
        snprintf(out, VA_FIGURE_TEXT, "%.3g [%.3g, %.3g]", x->estimate, x->low, x->high);
    else
        snprintf(out, VA_FIGURE_TEXT, "%.*f [%.*f, %.*f]", d, estimate, d, low, d, high);
    return out;
}

/* The letter of a footnote, which is added when it is new. */
static int letter_of(va_grid *grid, const char *text)
{
    for (size_t i = 0; i < grid->footnote_count; i++)
        if (strcmp(grid->footnotes[i], text) == 0)
            return (int)i;
    char **notes = va_one_more(grid->footnotes, grid->footnote_count, &grid->footnote_room, sizeof *notes);
    char *copy = notes ? strdup(text) : NULL;
    grid->footnotes = notes ? notes : grid->footnotes;
    if (!copy) {
        grid->failed = true;
        return 0;
    }
    notes[grid->footnote_count] = copy;
    return (int)grid->footnote_count++;
}

void va_grid_append(va_grid *grid, size_t row, size_t column, const char *text)
{
    const char *there = grid->failed ? NULL : grid->cells[row * grid->columns + column];
    char *both;
    if (!there) {
        va_grid_put(grid, row, column, text);
    } else if (!strstr(there, text)) {
        if (asprintf(&both, "%s; %s", there, text) < 0)
            return;
        va_grid_put(grid, row, column, both);
        free(both);
    }
}

void va_grid_figure(va_grid *grid, size_t row, size_t column, const va_figure *figure)
{
    char text[VA_FIGURE_TEXT], doubt[VA_DOUBT_TEXT], marked[VA_FIGURE_TEXT + 8];
    if (!figure) {
        va_grid_put(grid, row, column, "-");
        return;
    }
    va_figure_text(text, figure);
    va_doubt_text(doubt, &figure->interval);
    if (doubt[0])
        snprintf(marked, sizeof marked, "%s (%c)", text, 'a' + letter_of(grid, doubt) % 26);
    va_grid_put(grid, row, column, doubt[0] ? marked : text);
    if (!grid->failed)
        grid->right[column] = true;
}

/* ---- printing ---- */

static size_t width_of(const va_grid *grid, size_t column)
{
    size_t width = 0;
    for (size_t r = 0; r < grid->rows; r++) {
        const char *cell = grid->cells[r * grid->columns + column];
        const size_t length = cell ? strlen(cell) : 0;
        width = length > width && length <= 80 ? length : width;
    }
    return width;
}

static void print_cell(FILE *out, const char *cell, size_t width, bool right, bool last)
{
    const size_t length = strlen(cell), pad = length < width ? width - length : 0;
    if (right)
        fprintf(out, "%*s", (int)pad, "");
    va_print_text(out, cell, SIZE_MAX);
    if (!right && !last)
        fprintf(out, "%*s", (int)pad, "");
}

void va_grid_print(FILE *out, const va_grid *grid, const char *indent)
{
    if (grid->failed) {
        fprintf(out, "%s(out of memory)\n", indent);
        return;
    }
    for (size_t r = 0; r < grid->rows; r++) {
        size_t last = grid->columns;
        while (last > 0 && !grid->cells[r * grid->columns + last - 1])
            last--;
        fputs(indent, out);
        for (size_t c = 0; c < last; c++) {
            const char *cell = grid->cells[r * grid->columns + c];
            fputs(c ? "  " : "", out);
            print_cell(out, cell ? cell : "", width_of(grid, c), grid->right[c], c + 1 == last);
        }
        fputc('\n', out);
    }
    for (size_t i = 0; i < grid->footnote_count; i++)
        fprintf(out, "%s(%c) %s\n", indent, 'a' + (int)(i % 26), grid->footnotes[i]);
}
