#include "filter.h"

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

/* Reads one rule, which it cuts up. */
static vr_status parse_rule(vr_filter_rule *out, char *text)
{
    char *equals = strrchr(text, '=');
    char *colon = strchr(text, ':');
    if (!equals || equals == text)
        return bad_rule(text);
    *equals = 0;
    char *slash = strchr(equals + 1, '/');
    vr_filter_rule rule = {.every = 1};
    if (slash) {
        char *end;
        errno = 0;
        const unsigned long every = strtoul(slash + 1, &end, 10);
        if (errno || *end || !isdigit((unsigned char)slash[1]) || every == 0 || every > UINT32_MAX)
            return vr_fail(VR_ERROR_ARGUMENT, "filter: '%s' is no number of steps", slash + 1);
        rule.every = (uint32_t)every;
        *slash = 0;
    }
    if (vr_level_parse(&rule.level, equals + 1) != VR_OK)
        return VR_ERROR_ARGUMENT;
    if (colon && colon < equals) {
        *colon = 0;
        if (strcmp(text, "*") != 0 && vr_phase_parse(&rule.phase, text) != VR_OK)
            return VR_ERROR_ARGUMENT;
        text = colon + 1;
        if (!*text)
            return vr_fail(VR_ERROR_ARGUMENT, "filter: a rule names no layer; '*' stands for all");
    }
    rule.layer = strdup(text);
    *out = rule;
    return rule.layer ? VR_OK : vr_fail(VR_ERROR_MEMORY, "filter: out of memory");
}

vr_status vr_filter_parse(vr_filter *out, vr_level level, const char *text)
{
    *out = (vr_filter){.level = level};
    if (!text || !*text)
        return VR_OK;
    size_t most = 1;
    for (const char *c = text; *c; c++)
        most += *c == ',';
    char *copy = strdup(text), *at = copy, *rule;
    out->rules = calloc(most, sizeof *out->rules);
    vr_status status = copy && out->rules ? VR_OK : vr_fail(VR_ERROR_MEMORY, "filter: out of memory");
    while (status == VR_OK && (rule = strsep(&at, ",")))
        if ((status = parse_rule(&out->rules[out->count], rule)) == VR_OK)
            out->count++;
    free(copy);
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

void vr_filter_choose(const vr_filter *filter, vr_phase phase, const char *layer, vr_level *level, uint32_t *every)
{
    *level = filter->level;
    *every = 1;
    for (size_t i = 0; i < filter->count; i++) {
        const vr_filter_rule *rule = &filter->rules[i];
        if ((!rule->phase || rule->phase == phase) && fnmatch(rule->layer, layer, 0) == 0) {
            *level = rule->level;
            *every = rule->every;
            return;
        }
    }
}
