#include "run_cores.h"

void va_cores_read(va_cores *out)
{
    cpu_set_t set;
    out->count = 0;
    if (sched_getaffinity(0, sizeof set, &set) != 0) /* more than CPU_SETSIZE */
        return;
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &set))
            out->numbers[out->count++] = i;
}

uint32_t va_cores_share(const va_cores *cores, uint32_t jobs)
{
    return jobs < cores->count ? cores->count / jobs : 1;
}

/* The first of the slot's cores among those allowed. */
static uint32_t first_of(const va_cores *cores, uint32_t jobs, uint32_t slot)
{
    return slot * va_cores_share(cores, jobs) % cores->count;
}

bool va_cores_of(cpu_set_t *out, const va_cores *cores, uint32_t jobs, uint32_t slot)
{
    CPU_ZERO(out);
    for (uint32_t i = 0; cores->count && i < va_cores_share(cores, jobs); i++)
        CPU_SET(cores->numbers[first_of(cores, jobs, slot) + i], out);
    return cores->count > 0;
}

json_t *va_cores_to_json(const va_cores *cores, uint32_t jobs, uint32_t slot)
{
    if (!cores->count)
        return json_null();
    json_t *list = json_array();
    for (uint32_t i = 0; i < va_cores_share(cores, jobs); i++)
        json_array_append_new(list, json_integer(cores->numbers[first_of(cores, jobs, slot) + i]));
    return list;
}
