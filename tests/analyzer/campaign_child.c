/* A program that a campaign runs: campaign_child LOG MS. Appends "VR_VARY VR_REPLICA" to LOG, then trains for MS ms. Of
 * each 40 replicas, the 20th kills itself half way and the 40th exits with 3. As long as it lives, it holds a lock on
 * LOG. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <varanalyze/capture.h>

#define STEPS 4

static FILE *log_start(const char *path)
{
    const char *vary = getenv("VR_VARY"), *replica = getenv("VR_REPLICA");
    FILE *log = fopen(path, "a");
    if (!log || flock(fileno(log), LOCK_SH) != 0)
        exit(4);
    fprintf(log, "%s %s\n", vary ? vary : "", replica ? replica : "");
    fflush(log);
    return log;
}

static void step(vr_run *run, uint64_t number, long ms)
{
    float values[64];
    for (int i = 0; i < 64; i++)
        values[i] = (float)(vr_run_seed(run, "init") >> 40) + (float)number + (float)i;
    vr_run_step(run, 0);
    vr_record(run, VR_FORWARD, "layer", "out", VR_TENSOR(VR_F32, values, 64), "seed:init", NULL);
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

int main(int argc, char **argv)
{
    vr_run *run;
    if (argc < 3)
        return 4;
    const unsigned long replica = strtoul(getenv("VR_REPLICA") ? getenv("VR_REPLICA") : "1", NULL, 10);
    const long ms = strtol(argv[2], NULL, 10);
    FILE *log = log_start(argv[1]);
    if (vr_run_open(&run, NULL) != VR_OK)
        return 4;
    for (uint64_t i = 1; i <= STEPS; i++) {
        step(run, i, ms / STEPS);
        if (replica % 40 == 20 && i == STEPS / 2)
            raise(SIGKILL);
    }
    printf("replica %lu\n", replica);
    if (vr_run_close(run) != VR_OK)
        return 4;
    fclose(log);
    if (replica % 40)
        return 0;
    fputs("out of luck\n", stderr);
    return 3;
}
