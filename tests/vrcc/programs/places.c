/* Functions that are inlined into others; runtime_test.sh knows their lines. */
#include <stdio.h>

#define N 100

static void matmul_forward(double *out, const double *in)
{
    for (int i = 0; i < N; i++)
        out[i] = in[i] * 1.1 + 0.3;
}

static double sum(const double *x)
{
    double s = 0;
    for (int i = 0; i < N; i++)
        s += x[i];
    return s;
}

static double sum_backward(const double *x)
{
    double s = 0;
    for (int i = N - 1; i >= 0; i--)
        s += x[i];
    return s;
}

int main(int count, char **arguments)
{
    double in[N], out[N];
    (void)arguments;
    for (int i = 0; i < N; i++)
        in[i] = 0.1 * (i * count);
    matmul_forward(out, in);
    for (int i = 0; i < N; i++)
        printf("%a ", out[i]);
    printf("\n%a\n%a\n", sum(out), sum_backward(out));
    return 0;
}
