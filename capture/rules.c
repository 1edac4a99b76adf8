#include "rules.h"

#include <formats/fail.h>
#include <stdlib.h>
#include <string.h>

vr_status vr_rules_read(const char *list, vr_status (*add)(void *context, char *rule), void *context)
{
    if (!list || !*list)
        return VR_OK;
    char *copy = strdup(list), *at = copy, *rule;
    vr_status status = copy ? VR_OK : vr_fail(VR_ERROR_MEMORY, "out of memory");
    while (status == VR_OK && (rule = strsep(&at, ",")))
        status = add(context, rule);
    free(copy);
    return status;
}

vr_status vr_rules_layer(char **layer, vr_phase *phase, const char *text, const char *list)
{
    const char *colon = strchr(text, ':');
    *phase = 0;
    if (colon) {
        char *word = strndup(text, (size_t)(colon - text));
        if (!word)
            return vr_fail(VR_ERROR_MEMORY, "out of memory");
        const vr_status status = strcmp(word, "*") == 0 ? VR_OK : vr_phase_parse(phase, word);
        free(word);
        if (status != VR_OK)
            return status;
        text = colon + 1;
    }
    if (!*text)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: a rule names no layer; '*' stands for all", list);
    *layer = strdup(text);
    return *layer ? VR_OK : vr_fail(VR_ERROR_MEMORY, "out of memory");
}

void *vr_rules_grow(void *rules, size_t count, size_t size)
{
    void *grown = reallocarray(rules, count + 1, size);
    if (!grown)
        vr_fail(VR_ERROR_MEMORY, "out of memory");
    return grown;
}
