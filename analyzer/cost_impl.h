/* cost_impl.h - the parts of va_cost_compute, in the order in which they are called. */
#ifndef VA_COST_IMPL_H
#define VA_COST_IMPL_H

#include "cost.h"

/* Sorts the runs into conditions and names these. */
vr_status va_cost_conditions_find(va_cost *cost, const va_cost_runs *runs);

/* Chooses the base and what is held against it: the comparisons, without pairs. Fails with VR_ERROR_ARGUMENT. */
vr_status va_cost_conditions_choose(va_cost *cost, const va_cost_runs *runs, const va_cost_options *options);

/* Pairs the runs of a comparison: replica with replica where both are of one campaign, else in the order in which they
 * began. */
vr_status va_cost_pairs_find(va_cost_comparison *out, const va_cost *cost, const va_cost_runs *runs, uint32_t skip);

/* Warns of what else than the condition makes the sides of a comparison differ, or the times doubtful. */
void va_cost_pairs_check(va_cost *cost, const va_cost_comparison *comparison, const va_cost_runs *runs);

/* Warns of what makes the runs as a whole doubtful. */
void va_cost_runs_check(va_cost *cost, const va_cost_runs *runs);

/* The rows of a comparison. */
vr_status va_cost_rows_find(va_cost_comparison *out, const va_cost *cost, const va_cost_runs *runs,
                            const va_cost_options *options);

/* Adds the warning unless it is there; one for which there is no memory is left out. */
void va_cost_warn(va_cost *cost, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
