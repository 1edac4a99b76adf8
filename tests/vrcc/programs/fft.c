/* The discrete Fourier transform by its definition's recursion (radix 2), f32 and f64, forth and back. */
#include <math.h>
#include <stdio.h>

#define N 1024

#define TRANSFORM(name, type)                                                                                          \
    static void name(type *re, type *im, int n, int step, int sign)                                                    \
    {                                                                                                                  \
        if (n == 1)                                                                                                    \
            return;                                                                                                    \
        name(re, im, n / 2, 2 * step, sign);                                                                           \
        name(re + step, im + step, n / 2, 2 * step, sign);                                                             \
        type out_re[N], out_im[N];                                                                                     \
        for (int k = 0; k < n / 2; k++) {                                                                              \
            const type c = (type)cos(6.283185307179586 * k / n), s = (type)(sign * sin(6.283185307179586 * k / n));    \
            const type x = re[2 * k * step + step], y = im[2 * k * step + step];                                       \
            const type u = c * x - s * y, v = c * y + s * x;                                                           \
            out_re[k] = re[2 * k * step] + u;                                                                          \
            out_im[k] = im[2 * k * step] + v;                                                                          \
            out_re[k + n / 2] = re[2 * k * step] - u;                                                                  \
            out_im[k + n / 2] = im[2 * k * step] - v;                                                                  \
        }                                                                                                              \
        for (int k = 0; k < n; k++) {                                                                                  \
            re[k * step] = out_re[k];                                                                                  \
            im[k * step] = out_im[k];                                                                                  \
        }                                                                                                              \
    }

TRANSFORM(transform_f32, float)
TRANSFORM(transform_f64, double)

int main(void)
{
    static float a[N], b[N];
    static double x[N], y[N];
    for (int i = 0; i < N; i++) {
        x[i] = a[i] = (float)((i * 7919 % 1024) / 512.0 - 1);
        y[i] = b[i] = (float)((i * 104729 % 1024) / 512.0 - 1);
    }
    transform_f32(a, b, N, 1, -1);
    transform_f64(x, y, N, 1, -1);
    printf("%.9g %.9g %.17g %.17g\n", (double)a[5], (double)b[77], x[5], y[77]);
    transform_f32(a, b, N, 1, 1);
    transform_f64(x, y, N, 1, 1);
    double worst = 0;
    for (int i = 0; i < N; i++)
        worst = fmax(worst, fabs(x[i] / N - ((float)((i * 7919 % 1024) / 512.0 - 1))));
    printf("%.9g %.17g %.17g\n", (double)(a[9] / N), x[9] / N, worst);
    return 0;
}
