#include "localize_pool.h"

#include "run_driver.h"
#include "run_environment.h"

#include <errno.h>
#include <formats/fail.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define WAIT_MS 250

vr_status va_pool_open(va_pool *out, const va_cores *cores, uint32_t jobs)
{
    out->jobs = jobs;
    out->seats = calloc(jobs, sizeof *out->seats);
    out->reports = mmap(NULL, jobs * sizeof *out->reports, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    va_drive_signals(&out->signals);
    if (!out->seats || out->reports == MAP_FAILED)
        return vr_fail(VR_ERROR_MEMORY, "out of memory for %u runs at once", jobs);
    for (uint32_t i = 0; i < jobs; i++) {
        out->seats[i].report = &out->reports[i];
        out->seats[i].pinned = va_cores_of(&out->seats[i].cores, cores, jobs, i);
    }
    return VR_OK;
}

static void clear(va_seat *seat)
{
    va_strings_free(seat->words);
    va_strings_free(seat->variables);
    free(seat->environment);
    seat->words = seat->variables = seat->environment = NULL;
}

vr_status va_pool_start(va_pool *pool, va_seat *seat, const char *folder, char **words, char **variables,
                        double timeout)
{
    seat->words = words;
    seat->variables = variables;
    seat->environment = words && variables ? va_run_environment(variables) : NULL;
    const va_keeper_task task = {.command = words,
                                 .environment = seat->environment,
                                 .directory = pool->directory,
                                 .folder = folder,
                                 .cores = seat->pinned ? &seat->cores : NULL,
                                 .timeout = timeout,
                                 .mask = pool->before};
    vr_status status = seat->environment ? VR_OK : vr_fail(VR_ERROR_MEMORY, "out of memory");
    if (status == VR_OK && (seat->keeper = va_keeper_start(seat->report, &task)) < 0) {
        status = vr_fail_errno(errno, "no process could be made for a run");
        seat->keeper = 0;
    }
    if (status != VR_OK)
        clear(seat);
    pool->running += status == VR_OK;
    return status;
}

void va_pool_stop(va_pool *pool, int signal)
{
    for (uint32_t i = 0; i < pool->jobs; i++)
        if (pool->seats[i].keeper > 0)
            kill(pool->seats[i].keeper, signal);
    pool->stopping = true;
}

static va_seat *reap(va_pool *pool)
{
    for (uint32_t i = 0; i < pool->jobs; i++) {
        va_seat *seat = &pool->seats[i];
        if (seat->keeper <= 0 || waitpid(seat->keeper, NULL, WNOHANG) != seat->keeper)
            continue;
        seat->keeper = 0;
        pool->running--;
        clear(seat);
        return seat;
    }
    return NULL;
}

va_seat *va_pool_wait(va_pool *pool)
{
    va_seat *seat = reap(pool);
    if (seat)
        return seat;
    const int signal = sigtimedwait(&pool->signals, NULL, &(struct timespec){0, WAIT_MS * 1000000});
    if (signal > 0 && signal != SIGCHLD) {
        pool->signal = signal;
        va_pool_stop(pool, pool->stopping ? SIGINT : SIGTERM);
    }
    return reap(pool);
}

void va_pool_close(va_pool *pool)
{
    if (pool->seats && pool->running > 0)
        va_pool_stop(pool, SIGINT);
    while (pool->seats && pool->running > 0)
        va_pool_wait(pool);
    if (pool->reports && pool->reports != MAP_FAILED)
        munmap(pool->reports, pool->jobs * sizeof *pool->reports);
    free(pool->seats);
    pool->seats = NULL;
    pool->reports = NULL;
}
