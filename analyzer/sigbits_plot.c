/* Pictures of bits: by layer over steps, or the elements of one tensor. */
#include "plot.h"
#include "sigbits.h"

#include <formats/fail.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define MOST_PIXELS  1000000 /* of a map; a larger one shows the least of several elements */
#define MOST_LINES   8       /* that can be told apart; more series become rows of colours */
#define MOST_COLUMNS 2000    /* of steps; where there are more, the least of several medians is shown */

/* ---- over steps ---- */

static bool has_points(const va_sigbits *all)
{
    for (size_t i = 0; i < all->series_count; i++)
        for (size_t j = 0; j < all->series[i].count; j++)
            if (!isnan(all->series[i].points[j].bits))
                return true;
    return false;
}

static void write_number(FILE *out, double value)
{
    if (isnan(value))
        fputs(" NaN", out);
    else
        fprintf(out, " %.6g", value);
}

/* Step, median, bound. */
static void write_series(FILE *out, const va_bits_series *series, size_t number)
{
    fprintf(out, "$series%zu << END\n", number);
    for (size_t i = 0; i < series->count; i++) {
        const va_bits_point *p = &series->points[i];
        fprintf(out, "%" PRIu64, p->step);
        write_number(out, p->is_bound ? NAN : p->bits);
        write_number(out, p->is_bound ? p->bits : NAN);
        fputc('\n', out);
    }
    fputs("END\n", out);
}

/* A series may have no median, or no bound, at any step. */
static bool has_kind(const va_bits_series *series, bool bound)
{
    for (size_t i = 0; i < series->count; i++)
        if (series->points[i].is_bound == bound && !isnan(series->points[i].bits))
            return true;
    return false;
}

static void write_name(FILE *out, const va_bits_series *series, bool bound)
{
    char *title;
    if (asprintf(&title, "%s %s%s%s%s", vr_phase_name(series->phase), series->layer, series->name ? "/" : "",
                 series->name ? series->name : "", bound ? " (at most)" : "") < 0)
        return;
    va_plot_text(out, title);
    free(title);
}

typedef struct step_range {
    uint64_t first, last;
} step_range;

static step_range find_range(const va_sigbits *all)
{
    uint64_t first = UINT64_MAX, last = 0;
    for (size_t i = 0; i < all->series_count; i++)
        for (size_t j = 0; j < all->series[i].count; j++) {
            const uint64_t step = all->series[i].points[j].step;
            first = step < first ? step : first;
            last = step > last ? step : last;
        }
    return (step_range){first, last};
}

static void write_lines(FILE *out, const va_sigbits *all)
{
    fprintf(out,
            "set datafile missing 'NaN'\nset key outside right top\nset grid\nset xlabel 'step'\n"
            "set ylabel 'significant bits (%s), median of the elements'\nset yrange [*:*]\nset offsets 0, 0, 1, 1\n",
            all->options.general ? "general method" : "CNH");
    for (size_t i = 0; i < all->series_count; i++)
        write_series(out, &all->series[i], i);
    const step_range steps = find_range(all);
    if (steps.last - steps.first <= 12)
        fputs("set xtics 1\n", out);
    const char *before = "plot";
    for (size_t i = 0; i < all->series_count; i++)
        for (int bound = 0; bound < 2; bound++) {
            if (!has_kind(&all->series[i], bound))
                continue;
            fprintf(out, "%s $series%zu using 1:%d with linespoints linecolor %zu pointtype %d", before, i,
                    bound ? 3 : 2, i + 1, bound ? 10 : 7);
            fputs(bound ? " dashtype 2 title " : " pointsize 0.5 title ", out);
            write_name(out, &all->series[i], bound);
            before = ", \\\n    ";
        }
    fputc('\n', out);
}

/* A row of colours for each series, a column for each step, or for several. Beyond what f32 has, a colour says no more.
 */
static void write_row(FILE *out, const va_bits_series *series, step_range steps, uint64_t per_column, uint64_t columns)
{
    size_t at = 0;
    for (uint64_t c = 0; c < columns; c++) {
        double least = NAN;
        for (; at < series->count && (series->points[at].step - steps.first) / per_column == c; at++)
            least = fmin(least, series->points[at].bits);
        write_number(out, least);
    }
    fputs(columns == 1 ? " NaN\n" : "\n", out); /* two columns at least, see write_pixels */
}

#define PALETTE "set palette defined (0 '#440154', 1 '#3b528b', 2 '#21918c', 3 '#5ec962', 4 '#fde725')\n"

static void write_rows(FILE *out, const va_sigbits *all)
{
    const step_range steps = find_range(all);
    const uint64_t per_column = (steps.last - steps.first) / MOST_COLUMNS + 1;
    const uint64_t columns = (steps.last - steps.first) / per_column + 1;
    fprintf(out,
            "%sset datafile missing 'NaN'\nunset key\nset xlabel 'step'\nset cbrange [-4<*:*<24]\n" PALETTE
            "set cblabel 'significant bits (%s), median of the elements' offset 1.5\nset yrange [%zu.5:-0.5]\n"
            "set xrange [%g:%g]\nset tics out nomirror\nset ytics (",
            steps.last - steps.first <= 12 ? "set xtics 1\n" : "", all->options.general ? "general method" : "CNH",
            all->series_count - 1, (double)steps.first - 0.5,
            (double)steps.first + (double)(columns * per_column) - 0.5);
    for (size_t i = 0; i < all->series_count; i++) {
        fputs(i ? ", " : "", out);
        write_name(out, &all->series[i], !has_kind(&all->series[i], false));
        fprintf(out, " %zu", i);
    }
    fputs(")\n$rows << END\n", out);
    for (size_t i = 0; i < all->series_count; i++)
        write_row(out, &all->series[i], steps, per_column, columns);
    fprintf(out, "END\nplot $rows matrix using (%g + %" PRIu64 " * $1):2:3 with image\n",
            (double)steps.first + (double)(per_column - 1) / 2, per_column);
}

/* ---- the map ---- */

/* Where elements stand: tiles of the last two dimensions, side by side in rows, a line between them. */
typedef struct layout {
    int64_t height, width; /* of a tile */
    int64_t tiles, across; /* in a row */
    int64_t rows, columns; /* of it all */
    int64_t shrink;        /* a pixel stands for so many rows and columns */
} layout;

static int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static layout lay_out(const vr_site *site)
{
    layout l = {1, 1, 1, 1, 1, 1, 1};
    if (site->rank == 1) {
        l.width = site->count <= 64 ? site->count : (int64_t)ceil(sqrt((double)site->count));
        l.height = divide_up(site->count, l.width);
    } else if (site->rank > 1) {
        l.height = site->shape[site->rank - 2];
        l.width = site->shape[site->rank - 1];
        l.tiles = site->count / (l.height * l.width);
    }
    const double square = sqrt((double)l.tiles * (double)l.height / (double)l.width);
    l.across = (int64_t)fmin(fmax(round(square), 1), (double)l.tiles);
    const int64_t gap = l.tiles > 1 ? 1 : 0, down = divide_up(l.tiles, l.across);
    l.rows = down * (l.height + gap) - gap;
    l.columns = l.across * (l.width + gap) - gap;
    while (divide_up(l.rows, l.shrink) * divide_up(l.columns, l.shrink) > MOST_PIXELS)
        l.shrink++;
    return l;
}

/* Rows of pixels, the least of the elements each stands for. */
static float *make_pixels(const va_bits_map *map, const layout *l)
{
    const int64_t rows = divide_up(l->rows, l->shrink), columns = divide_up(l->columns, l->shrink);
    const int64_t gap = l->tiles > 1 ? 1 : 0, area = l->height * l->width;
    float *pixels = malloc((size_t)(rows * columns) * sizeof *pixels);
    for (int64_t i = 0; pixels && i < rows * columns; i++)
        pixels[i] = NAN;
    for (int64_t i = 0; pixels && i < map->site->count; i++) {
        const int64_t tile = i / area, row = tile / l->across * (l->height + gap) + i % area / l->width,
                      column = tile % l->across * (l->width + gap) + i % l->width;
        float *pixel = &pixels[row / l->shrink * columns + column / l->shrink];
        *pixel = fminf(*pixel, map->bits[i]); /* of a number and a NaN, the number */
    }
    return pixels;
}

static void write_map_title(FILE *out, const va_bits_map *map)
{
    char shape[VA_SHAPE_TEXT], *title;
    if (asprintf(&title, "%s %s/%s %s, step %" PRIu64, vr_phase_name(map->site->phase), map->site->layer,
                 map->site->name, va_shape_text(shape, map->site), map->step) < 0)
        return;
    fputs("set title ", out);
    va_plot_text(out, title);
    fputc('\n', out);
    free(title);
}

/* An image of gnuplot's has at least two rows and columns; what is added to them lies outside of the ranges. */
static void write_pixels(FILE *out, const float *pixels, int64_t rows, int64_t columns)
{
    for (int64_t i = 0; i < rows || i < 2; i++) {
        for (int64_t j = 0; j < columns || j < 2; j++)
            write_number(out, i < rows && j < columns ? (double)pixels[i * columns + j] : (double)NAN);
        fputc('\n', out);
    }
}

static vr_status write_map(FILE *out, const va_sigbits *all, const layout *l)
{
    const int64_t rows = divide_up(l->rows, l->shrink), columns = divide_up(l->columns, l->shrink);
    float *pixels = make_pixels(&all->map, l);
    if (!pixels)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    write_map_title(out, &all->map);
    fputs("set datafile missing 'NaN'\nunset key\nunset xtics\nunset ytics\n" PALETTE, out);
    fprintf(out, "set cblabel 'significant bits (%s)' offset 1.5\nset xrange [-0.5:%g]\nset yrange [%g:-0.5]\n",
            all->options.general ? "general method" : "CNH", (double)columns - 0.5, (double)rows - 0.5);
    fprintf(out, "set cbrange [*:*]\n%s$map << END\n",
            columns <= 8 * rows && rows <= 8 * columns ? "set size ratio -1\n" : "");
    write_pixels(out, pixels, rows, columns);
    fputs("END\nplot $map matrix with image\n", out);
    free(pixels);
    return VR_OK;
}

static bool has_bits(const va_bits_map *map)
{
    for (int64_t i = 0; i < map->site->count; i++)
        if (!isnan(map->bits[i]))
            return true;
    return false;
}

vr_status va_sigbits_plot(const va_sigbits *all, const char *path)
{
    va_plot plot;
    const bool map = all->options.map != NULL;
    if (map ? !has_bits(&all->map) : !has_points(all))
        return vr_fail(VR_ERROR_ARGUMENT, "%s: there is nothing to draw: no bits are known", path);
    const bool lines = all->series_count <= MOST_LINES;
    const size_t rows = all->series_count < 200 ? all->series_count : 200;
    const int height = map ? 700 : lines ? 600 : 120 + 18 * (int)rows;
    vr_status status = va_plot_open(&plot, path, map ? 800 : 1100, height);
    if (status != VR_OK)
        return status;
    if (map) {
        const layout l = lay_out(all->map.site);
        status = write_map(plot.script, all, &l);
    } else if (lines)
        write_lines(plot.script, all);
    else
        write_rows(plot.script, all);
    const vr_status closed = va_plot_close(&plot, status == VR_OK);
    return status == VR_OK ? closed : status;
}
