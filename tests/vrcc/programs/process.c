/* process WHAT LIBRARY: arithmetic before main, in a forked process, in a signal's handler, in a library that is opened
 * and closed again. LIBRARY is compiled from library.c. */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile double early, handled;
static volatile sig_atomic_t handler_calls;

__attribute__((noinline)) static double thirds(int n)
{
    double sum = 0;
    for (int i = 1; i <= n; i++)
        sum += 1.0 / (3.0 * i);
    return sum;
}

__attribute__((constructor)) static void begin(void)
{
    early = thirds(10);
}

__attribute__((noinline)) static double in_handler(double x)
{
    return x * 1.7 + 0.1;
}

static void handle(int number)
{
    (void)number;
    handled = in_handler(handled);
    handler_calls++;
}

static void fork_and_print(void)
{
    printf("before %a\n", thirds(20));
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        printf("child %a\n", thirds(30));
        exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    printf("parent %a, %d\n", thirds(30), status);
}

static void be_interrupted(void)
{
    signal(SIGALRM, handle);
    ualarm(200, 200);
    double sum = 0;
    while (handler_calls < 100)
        sum += thirds(1000) * 1e-3;
    ualarm(0, 0);
    printf("%s\n", sum > 0 && handled > 0 ? "interrupted" : "not interrupted");
}

static void use_library(const char *path)
{
    for (int i = 0; i < 2; i++) {
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        double (*scaled)(double) = NULL;
        void *symbol = library ? dlsym(library, "scaled") : NULL;
        memcpy(&scaled, &symbol, sizeof scaled);
        if (!scaled) {
            printf("%s\n", dlerror());
            exit(1);
        }
        for (int k = 1; k <= 5; k++)
            printf("%a %a\n", scaled(0.1 * k), thirds(k));
        dlclose(library);
    }
}

int main(int argc, char **argv)
{
    printf("early %a\n", early);
    if (argc > 1 && strcmp(argv[1], "fork") == 0)
        fork_and_print();
    else if (argc > 1 && strcmp(argv[1], "signal") == 0)
        be_interrupted();
    else if (argc > 2)
        use_library(argv[2]);
    return 0;
}
