/* run_cores.h - which cores a run of a campaign is pinned to. */
#ifndef VA_RUN_CORES_H
#define VA_RUN_CORES_H

#include <jansson.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

/* The cores that this process may use. `count` 0: unknown, and nothing is pinned. */
typedef struct va_cores {
    int numbers[CPU_SETSIZE];
    uint32_t count;
} va_cores;

void va_cores_read(va_cores *out);

/* How many cores each of `jobs` runs at once has: the same for all, at least 1. */
uint32_t va_cores_share(const va_cores *cores, uint32_t jobs);

/* The cores of slot `slot` of `jobs`: neighbours; with more slots than cores, one that it shares with others. False:
 * nothing is to be pinned. */
bool va_cores_of(cpu_set_t *out, const va_cores *cores, uint32_t jobs, uint32_t slot);

/* Their numbers; null where nothing is pinned. */
json_t *va_cores_to_json(const va_cores *cores, uint32_t jobs, uint32_t slot);

#endif
