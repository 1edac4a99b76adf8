/* Threads that start when they like, each of which computes; what each has computed is printed in the order in which
 * they were created. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS 8

typedef struct work {
    int number;
    double out, inner;
} work;

static double harmonic(int n)
{
    double sum = 0;
    for (int i = 1; i <= n; i++)
        sum += 1.0 / i;
    return sum;
}

static void *run_inner(void *context)
{
    work *w = context;
    w->inner = harmonic(150);
    return NULL;
}

static void *run(void *context)
{
    work *w = context;
    pthread_t inner;
    usleep((useconds_t)(getpid() * (w->number + 3) % 7) * 500); /* another order in every process */
    if (pthread_create(&inner, NULL, run_inner, w) != 0)
        exit(1);
    w->out = harmonic(100);
    pthread_join(inner, NULL);
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    work all[THREADS];
    for (int i = 0; i < THREADS; i++) {
        all[i] = (work){.number = i};
        if (pthread_create(&threads[i], NULL, run, &all[i]) != 0)
            return 1;
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        printf("%a %a\n", all[i].out, all[i].inner);
    }
    double team[4] = {0};
#pragma omp parallel for num_threads(4) schedule(static, 1)
    for (int i = 0; i < 4; i++) {
        usleep((useconds_t)(getpid() * (i + 3) % 7) * 500);
        team[i] = harmonic(120);
    }
    printf("%a %a %a %a\n", team[0], team[1], team[2], team[3]);
    return 0;
}
