/* A picture of what was found: bits left when only a function is rounded, and when all but it are. */
#include "localize.h"

#include "plot.h"

#include <formats/fail.h>

#define ROW_PIXELS  46
#define MOST_PIXELS 8000

/* A pair of bars for each function, from the top; a run that fails leaves no bits. */
static void write_rows(FILE *out, const va_localize_report *r)
{
    size_t row = 0;
    fputs("$bits << END\n", out);
    for (size_t i = 0; i < r->localized->count; i++)
        for (size_t j = 0; j < r->localized->found[i].count; j++) {
            const va_found_function *f = &r->localized->found[i].functions[j];
            fprintf(out, "%zu %.6g", row++, f->alone.least.bits);
            if (f->without.runs)
                fprintf(out, " %.6g\n", f->without.least.bits);
            else
                fputs(" NaN\n", out);
        }
    fputs("END\n", out);
}

static void write_names(FILE *out, const va_localize_report *r)
{
    size_t row = 0;
    fputs("set ytics (", out);
    for (size_t i = 0; i < r->localized->count; i++)
        for (size_t j = 0; j < r->localized->found[i].count; j++) {
            fputs(row ? ", " : "", out);
            va_plot_text(out, r->folder->counted.functions[r->localized->found[i].functions[j].function].name);
            fprintf(out, " %zu", row++);
        }
    fputs(")\n", out);
}

vr_status va_localize_plot(const va_localize_report *r, const char *path)
{
    va_plot plot;
    size_t rows = 0;
    for (size_t i = 0; i < r->localized->count; i++)
        rows += r->localized->found[i].count;
    if (rows == 0)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: there is nothing to draw: no function was found", path);
    const size_t pixels = 140 + rows * ROW_PIXELS;
    const vr_status status = va_plot_open(&plot, path, 960, (int)(pixels < MOST_PIXELS ? pixels : MOST_PIXELS));
    if (status != VR_OK)
        return status;
    write_rows(plot.script, r);
    write_names(plot.script, r);
    fprintf(plot.script,
            "set datafile missing 'NaN'\nset xlabel 'bits left in the worst run'\nset xrange [0:*]\n"
            "set yrange [%zu.5:-0.5]\nset grid xtics\nset key outside top center horizontal\nset boxwidth 0.35\n"
            "set style fill solid 0.8\n"
            "plot $bits using (0):1:(0):2:($1-0.36):($1-0.02) with boxxyerror title 'only it is rounded', \\\n"
            "    $bits using (0):1:(0):3:($1+0.02):($1+0.36) with boxxyerror title 'all but it are rounded'\n",
            rows - 1);
    return va_plot_close(&plot, true);
}
