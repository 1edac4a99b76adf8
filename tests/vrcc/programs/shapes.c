/* Functions of shapes that a second body of a function does not come by easily. */
#include <math.h>
#include <stdio.h>

__attribute__((noinline)) static double third(double x)
{
    return x / 3;
}

/* A call that has to be the last thing, of an operation, and of a function that has bodies. */
__attribute__((noinline)) static double root(double x)
{
    __attribute__((musttail)) return sqrt(x);
}

__attribute__((noinline)) static double ninth(double x)
{
    __attribute__((musttail)) return third(x / 3);
}

/* The address of a block goes elsewhere, and nobody jumps to it. */
__attribute__((noinline)) static void note(void *address)
{
    __asm__ volatile("" : : "r"(address));
}

__attribute__((noinline)) static double noted(double x)
{
here:
    note(&&here);
    return x / 7 + x;
}

/* Which function it is, is known when the program starts. */
static double chosen(double x)
{
    return 1 / x;
}

static void *choose(void)
{
    return (void *)chosen;
}

double inverse(double x) __attribute__((ifunc("choose")));
double own(double x);
double own(double x)
{
    return x / 11;
}
double other(double x) __attribute__((alias("own")));

struct large {
    double x[9];
};

__attribute__((noinline)) static struct large scaled(struct large a, double by)
{
    for (int i = 0; i < 9; i++)
        a.x[i] /= by;
    return a;
}

int main(void)
{
    double (*const all[])(double) = {root, ninth, noted, inverse, other};
    struct large a = {{0}};
    for (int i = 0; i < 45; i++)
        a.x[i % 9] += all[i % 5](i + 1.3);
    a = scaled(a, 1.9);
    for (int i = 0; i < 9; i++)
        printf("%.17g\n", a.x[i]);
    return 0;
}
