/* cancellation: a sum, a quadratic equation and a variance, each computed in a way that loses digits and in one that
 * does not. Under VR_ROUNDING=sr the digits that change from one VR_SEED to the next are those that rounding has made
 * up:
 *
 *     vrcc -O2 -o cancellation main.c -lm
 *     for seed in 1 2 3; do VR_ROUNDING=sr VR_SEED=$seed ./cancellation; done
 */
#include <math.h>
#include <stdio.h>

#define SAMPLES 1000

/* The smaller root of x^2 - 2 p x + 1 = 0, p large: p - sqrt(p^2 - 1) takes two numbers that are nearly the same. */
static double root_cancelling(double p)
{
    return p - sqrt(p * p - 1);
}

static double root_stable(double p)
{
    return 1 / (p + sqrt(p * p - 1));
}

/* The variance of numbers around 1e6 with a spread of 1: a difference of numbers around 1e12, or a sum of squares. */
static double variance_cancelling(const double *x, int n)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++) {
        sum += x[i];
        squares += x[i] * x[i];
    }
    return (squares - sum * sum / n) / (n - 1);
}

static double variance_stable(const double *x, int n)
{
    double mean = 0, squares = 0;
    for (int i = 0; i < n; i++)
        mean += (x[i] - mean) / (i + 1);
    for (int i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    return squares / (n - 1);
}

/* exp(-20) by its series: terms of up to 4e7 make 2e-9. */
static double exp_cancelling(double x)
{
    double sum = 1, term = 1;
    for (int k = 1; k < 150; k++) {
        term *= x / k;
        sum += term;
    }
    return sum;
}

int main(void)
{
    double x[SAMPLES];
    const volatile double p = 2.5e6, z = 20; /* else the compiler would compute with them, to nearest */
    for (int i = 0; i < SAMPLES; i++)
        x[i] = 1e6 + fmod(0.618033988749895 * i, 1) * 3.4641016151377544;
    printf("root      %.15e  stable %.15e\n", root_cancelling(p), root_stable(p));
    printf("variance  %.15e  stable %.15e\n", variance_cancelling(x, SAMPLES), variance_stable(x, SAMPLES));
    printf("exp(-20)  %.15e  stable %.15e\n", exp_cancelling(-z), 1 / exp_cancelling(z));
    return 0;
}
