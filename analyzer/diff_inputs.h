/* diff_inputs.h - what became of the inputs of an operation, and so whether it is an origin; see diff.h for the
 * classes. */
#ifndef VA_DIFF_INPUTS_H
#define VA_DIFF_INPUTS_H

#include "diff.h"

typedef struct va_inputs va_inputs;

/* For a diff whose traces, entities and pairing are set. Fails with VR_ERROR_MEMORY. */
vr_status va_inputs_open(va_inputs **out, const va_diff *diff);
void va_inputs_close(va_inputs *inputs);

/* Notes what became of a row: from now on, this is what its name means. */
void va_inputs_note(va_inputs *inputs, const va_batch *batch, uint32_t entity, uint32_t epoch, va_class class);

/* Classes a differing pair, whose `site` is set: sets class, missing, seed and other_inputs. `site`: of trace 0. */
vr_status va_inputs_classify(va_inputs *inputs, const va_batch *batch, uint32_t site, va_finding *why);

#endif
