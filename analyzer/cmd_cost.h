/* cmd_cost.h - the command line of 'varanalyze cost'. */
#ifndef VA_CMD_COST_H
#define VA_CMD_COST_H

#include "cmd_run.h"
#include "cost.h"

/* Zeros and NULL: not given. */
typedef struct va_cost_settings {
    va_cost_options cost;
    va_format format;
    const char *output, *plot;
    bool run, kernels, verbose;
    va_words conditions; /* from here on of --run and --kernels alone */
    const char *keep;
    double precision, timeout;
    uint64_t seed, most, size, steps;
    const char *for_run; /* the last option that is only for these */
    bool skip_given;
    char **operands; /* traces; or the command, NULL at the end */
    int operand_count;
} va_cost_settings;

/* Prints, or draws, what was found. Told of --run: how far it got. */
typedef struct va_cost_told {
    double reach; /* of the widest interval; see va_cost_reach */
    uint64_t pairs;
    double precision; /* 0: none was asked for */
} va_cost_told;

vr_status va_cost_render(const va_cost *cost, const va_cost_runs *runs, const va_cost_settings *settings,
                         const va_cost_told *told);

/* Runs the command, or the kernels, until the intervals are as narrow as asked; its exit code. */
int va_cost_measure(va_cost_settings *settings);

#endif
