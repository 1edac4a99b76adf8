/* filter.h - which records are made, and at which level. */
#ifndef VR_FILTER_H
#define VR_FILTER_H

#include <varanalyze/trace.h>

typedef struct vr_filter_rule {
    vr_phase phase; /* 0: any */
    char *layer;    /* a glob */
    vr_level level;
    uint32_t every;  /* steps; 1: each */
    bool projection; /* a projection of the tensor as well (varanalyze/projection.h) */
} vr_filter_rule;

typedef struct vr_filter {
    vr_level level; /* where no rule matches */
    bool projection;
    vr_filter_rule *rules;
    size_t count;
} vr_filter;

/* Reads "[phase:]LAYER=level[/every],...". NULL and "" are no rules. Fails with VR_ERROR_ARGUMENT or VR_ERROR_MEMORY.
 */
vr_status vr_filter_parse(vr_filter *out, vr_level level, const char *text);

/* Reads what vr_run_options.final is: a level, or rules without steps. NULL and "" are level projection for all. Fails
 * in the same way. */
vr_status vr_filter_parse_final(vr_filter *out, const char *text);
void vr_filter_free(vr_filter *filter);

/* What is done with a layer in a phase: level, step interval and projection of the rule that matches, or of the filter.
 * Only rules that name it match phase evaluation. */
vr_filter_rule vr_filter_choose(const vr_filter *filter, vr_phase phase, const char *layer);

#endif
