/* rules.h - lists of rules, as VR_FILTER and VR_PERTURB have them: "[PHASE:]LAYER=WHAT,...". */
#ifndef VR_RULES_H
#define VR_RULES_H

#include <stddef.h>
#include <varanalyze/trace.h>

/* Calls `add` with each rule of a list, which it may cut up, until one fails. NULL and "" are no rules. Fails as `add`,
 * or with VR_ERROR_MEMORY. */
vr_status vr_rules_read(const char *list, vr_status (*add)(void *context, char *rule), void *context);

/* What is left of the '=': takes a phase off its front, 0 where there is none or "*", and gives a copy of the rest, the
 * caller's to free. `list` names the list in messages. Fails with VR_ERROR_ARGUMENT (no such phase, no layer) or
 * VR_ERROR_MEMORY. */
vr_status vr_rules_layer(char **layer, vr_phase *phase, const char *text, const char *list);

/* `rules`, moved, with room for one more behind `count` of `size` bytes; NULL, with a failure set: no memory. */
void *vr_rules_grow(void *rules, size_t count, size_t size);

#endif
