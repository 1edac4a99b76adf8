#include "filter.h"
#include "rules.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>
#include <formats/fail.h>
#include <stdlib.h>
#include <string.h>

static vr_status bad_rule(const char *rule)
{
    return vr_fail(VR_ERROR_ARGUMENT,
                   "filter rule '%s' is not [PHASE:]LAYER=LEVEL[/EVERY], as in gradient:conv*=full/100", rule);
}

static vr_status read_steps(uint32_t *out, const char *text)
{
    char *end;
    errno = 0;
    const unsigned long every = strtoul(text, &end, 10);
    if (errno || *end || !isdigit((unsigned char)*text) || every == 0 || every > UINT32_MAX)
        return vr_fail(VR_ERROR_ARGUMENT, "filter: '%s' is no number of steps", text);
    *out = (uint32_t)every;
    return VR_OK;
}

/* Level projection is level stats and a projection. */
static vr_status read_level(vr_level *level, bool *projection, const char *word)
{
    *projection = strcmp(word, "projection") == 0;
    *level = VR_LEVEL_STATS;
    if (*projection || vr_level_parse(level, word) == VR_OK)
        return VR_OK;
    return vr_fail(VR_ERROR_ARGUMENT,
                   "filter: no level is called '%s': off, hash, stats, chunks, sample, full or projection", word);
}

/* Adds one rule to the filter. */
static vr_status add_rule(void *context, char *text)
{
    vr_filter *filter = context;
    vr_filter_rule rule = {.every = 1};
    char *equals = strrchr(text, '='), *slash = equals ? strchr(equals, '/') : NULL;
    if (!equals || equals == text)
        return bad_rule(text);
    vr_status status = slash ? read_steps(&rule.every, slash + 1) : VR_OK;
    if (slash)
        *slash = 0;
    *equals = 0;
    if (status == VR_OK)
        status = read_level(&rule.level, &rule.projection, equals + 1);
    if (status != VR_OK)
        return status;
    vr_filter_rule *rules = vr_rules_grow(filter->rules, filter->count, sizeof rule);
    if (!rules)
        return VR_ERROR_MEMORY;
    filter->rules = rules;
    status = vr_rules_layer(&rule.layer, &rule.phase, text, "filter");
    if (status == VR_OK)
        filter->rules[filter->count++] = rule;
    return status;
}

vr_status vr_filter_parse(vr_filter *out, vr_level level, const char *text)
{
    *out = (vr_filter){.level = level};
    const vr_status status = vr_rules_read(text, add_rule, out);
    if (status != VR_OK)
        vr_filter_free(out);
    return status;
}

vr_status vr_filter_parse_final(vr_filter *out, const char *text)
{
    const bool rules = text && strchr(text, '=');
    vr_status status = vr_filter_parse(out, VR_LEVEL_STATS, rules ? text : NULL);
    if (status != VR_OK)
        return status;
    out->projection = true;
    if (text && *text && !rules)
        status = read_level(&out->level, &out->projection, text);
    for (size_t i = 0; status == VR_OK && i < out->count; i++)
        if (out->rules[i].every != 1)
            status = vr_fail(VR_ERROR_ARGUMENT, "final: a rule has no steps: '%s'", text);
    if (status != VR_OK)
        vr_filter_free(out);
    return status;
}

void vr_filter_free(vr_filter *filter)
{
    for (size_t i = 0; i < filter->count; i++)
        free(filter->rules[i].layer);
    free(filter->rules);
    filter->rules = NULL;
    filter->count = 0;
}

static bool matches(const vr_filter_rule *rule, vr_phase phase, const char *layer)
{
    return (rule->phase ? rule->phase == phase : phase != VR_EVALUATION) && fnmatch(rule->layer, layer, 0) == 0;
}

vr_filter_rule vr_filter_choose(const vr_filter *filter, vr_phase phase, const char *layer)
{
    for (size_t i = 0; i < filter->count; i++)
        if (matches(&filter->rules[i], phase, layer))
            return filter->rules[i];
    return (vr_filter_rule){.level = filter->level, .every = 1, .projection = filter->projection};
}
