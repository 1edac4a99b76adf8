/* A conjugate gradient for the five-point Laplacian on a square, until the residual is 1e-10 of the first. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SIDE 40
#define N    (SIDE * SIDE)

static void apply(const double *x, double *out)
{
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < SIDE; j++) {
            const int at = i * SIDE + j;
            double sum = 4.05 * x[at];
            if (i > 0)
                sum -= x[at - SIDE];
            if (i + 1 < SIDE)
                sum -= x[at + SIDE];
            if (j > 0)
                sum -= x[at - 1];
            if (j + 1 < SIDE)
                sum -= x[at + 1];
            out[at] = sum;
        }
    }
}

static double dot(const double *a, const double *b)
{
    double sum = 0;
    for (int i = 0; i < N; i++)
        sum += a[i] * b[i];
    return sum;
}

int main(void)
{
    static double x[N], r[N], p[N], q[N];
    for (int i = 0; i < N; i++)
        p[i] = r[i] = 1 + 0.25 * (i % 7);
    double rr = dot(r, r);
    const double first = rr;
    int iterations = 0;
    for (; rr > 1e-20 * first && iterations < 500; iterations++) {
        apply(p, q);
        const double alpha = rr / dot(p, q);
        for (int i = 0; i < N; i++) {
            x[i] += alpha * p[i];
            r[i] -= alpha * q[i];
        }
        const double next = dot(r, r), beta = next / rr;
        for (int i = 0; i < N; i++)
            p[i] = r[i] + beta * p[i];
        rr = next;
    }
    printf("%d iterations, residual %.17g, x[0] %.17g, |x| %.17g\n", iterations, sqrt(rr), x[0], sqrt(dot(x, x)));
    return 0;
}
