/* plot.h - draws with gnuplot: a script and its data are written, gnuplot makes a picture of them.
 *
 *     va_plot plot;
 *     vr_status status = va_plot_open(&plot, "bits.svg", 960, 600);
 *     if (status == VR_OK) {
 *         fputs("plot '-' with lines title ", plot.script);
 *         va_plot_text(plot.script, layer);
 *         ...
 *         status = va_plot_close(&plot, true);
 *     }
 */
#ifndef VA_PLOT_H
#define VA_PLOT_H

#include "command.h"

typedef struct va_plot {
    FILE *script; /* gnuplot's input; terminal and size are set */
    va_output picture;
    const char *path;
} va_plot;

/* Begins a picture, `width` times `height` pixels (a pdf: of 1/96 inch), the format by the suffix of `path`: svg, png
 * or pdf. The file appears when it is complete. Fails with VR_ERROR_ARGUMENT (another suffix), VR_ERROR_IO. */
vr_status va_plot_open(va_plot *out, const char *path, int width, int height);

/* Runs gnuplot, unless the picture is not to be kept. Fails with VR_ERROR_UNSUPPORTED (there is no gnuplot),
 * VR_ERROR_IO (it failed; the message has its last words), and leaves no file then. */
vr_status va_plot_close(va_plot *plot, bool keep);

/* Whether a path has one of the suffixes; fails with VR_ERROR_ARGUMENT. */
vr_status va_plot_check(const char *path);

/* Text, which a file may have chosen, as a string of gnuplot's in which nothing has a meaning. */
void va_plot_text(FILE *script, const char *text);

#endif
