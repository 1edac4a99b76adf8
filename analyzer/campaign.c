#include "campaign.h"

#include <errno.h>
#include <formats/fail.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <varanalyze/random.h>

/* Purposes for which programs ask for seeds; a program may have others. */
static const char *const known[] = {"init",         "order",   "shift",    "dropout",
                                    "augmentation", "kernels", "rounding", "perturb"};
#define KNOWN (sizeof known / sizeof *known)

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

void va_strings_free(char **strings)
{
    for (char **at = strings; at && *at; at++)
        free(*at);
    free(strings);
}

void va_campaign_free(va_campaign *campaign)
{
    va_strings_free(campaign->command);
    va_strings_free(campaign->variables);
    for (size_t i = 0; i < campaign->condition_count; i++) {
        free(campaign->conditions[i].name);
        free(campaign->conditions[i].vary);
        va_strings_free(campaign->conditions[i].variables);
    }
    free(campaign->conditions);
    free(campaign->directory);
    free(campaign->hold);
    free(campaign->kernels);
    free(campaign->rounding);
    free(campaign->level);
    free(campaign->filter);
    *campaign = (va_campaign){0};
}

/* ---- purposes ---- */

static bool has_word(const char *list, const char *word, size_t length)
{
    for (const char *at = list + strspn(list, ","); *at; at += strspn(at, ",")) {
        const size_t here = strcspn(at, ",");
        if (here == length && memcmp(at, word, length) == 0)
            return true;
        at += here;
    }
    return false;
}

bool va_list_has(const char *list, const char *word)
{
    return has_word(list, word, strlen(word));
}

const char *va_purposes_unknown(const char *list)
{
    for (const char *at = list; *at; at += strspn(at, ",")) {
        const size_t length = strcspn(at, ",");
        bool is_known = false;
        for (size_t i = 0; i < KNOWN; i++)
            is_known = is_known || (strlen(known[i]) == length && memcmp(known[i], at, length) == 0);
        if (!is_known)
            return at;
        at += length;
    }
    return NULL;
}

/* Adds a word to a list that has room for it, unless it is there. */
static void put_word(char *list, const char *word, size_t length)
{
    if (has_word(list, word, length))
        return;
    const size_t used = strlen(list);
    sprintf(list + used, "%s%.*s", used ? "," : "", (int)length, word);
}

static vr_status add_purpose(char *out, const char *word, size_t length, const char *hold)
{
    if (strspn(word, VA_WORD_BYTES) < length)
        return vr_fail(VR_ERROR_ARGUMENT, "'%.*s' is no purpose: letters, digits, '_', '.' and '-'", (int)length, word);
    if (length == 3 && memcmp(word, "all", 3) == 0) {
        for (size_t i = 0; i < KNOWN; i++)
            if (!va_list_has(hold, known[i]))
                put_word(out, known[i], strlen(known[i]));
        return VR_OK;
    }
    if (has_word(hold, word, length))
        return vr_fail(VR_ERROR_ARGUMENT, "'%.*s' is both to vary and to be held", (int)length, word);
    put_word(out, word, length);
    return VR_OK;
}

vr_status va_purposes_parse(char **out, const char *list, const char *hold)
{
    size_t room = strlen(list) + 1;
    for (size_t i = 0; i < KNOWN; i++)
        room += strlen(known[i]) + 1;
    char *words = calloc(1, room);
    if (!words)
        return no_memory();
    vr_status status = VR_OK;
    for (const char *at = list + strspn(list, " ,"); *at && status == VR_OK; at += strspn(at, " ,")) {
        const size_t length = strcspn(at, " ,");
        status = add_purpose(words, at, length, hold);
        at += length;
    }
    if (status != VR_OK) {
        free(words);
        return status;
    }
    *out = words;
    return VR_OK;
}

/* ---- conditions ---- */

vr_status va_campaign_add(va_campaign *campaign, const char *name, size_t name_bytes, const char *vary, uint32_t count)
{
    const size_t n = campaign->condition_count;
    va_condition *conditions = realloc(campaign->conditions, (n + 1) * sizeof *conditions);
    if (!conditions)
        return no_memory();
    campaign->conditions = conditions;
    va_condition condition = {strndup(name, name_bytes), NULL, count, count != 0, NULL};
    vr_status status =
        condition.name ? va_purposes_parse(&condition.vary, vary, campaign->hold ? campaign->hold : "") : no_memory();
    for (size_t i = 0; status == VR_OK && i < n; i++)
        if (strcmp(conditions[i].name, condition.name) == 0)
            status = vr_fail(VR_ERROR_ARGUMENT, "two conditions are called '%s'", condition.name);
    if (status != VR_OK) {
        free(condition.name);
        free(condition.vary);
        return status;
    }
    conditions[campaign->condition_count++] = condition;
    return VR_OK;
}

/* Where the next variable begins: behind the ',' after which a NAME= stands; NULL: there is none. */
static const char *next_variable(const char *at)
{
    for (at = strchr(at, ','); at; at = strchr(at + 1, ','))
        if (at[1 + strcspn(at + 1, ",=")] == '=')
            return at + 1;
    return NULL;
}

static vr_status check_variable(const char *variable)
{
    static const char *const own[] = {"VR_SEED", "VR_VARY", "VR_REPLICA", "VR_TRACE", "VR_ARCHIVE"};
    const size_t name = strcspn(variable, "=");
    json_t *text = json_string(variable);
    json_decref(text);
    if (name == 0 || !variable[name] || strcspn(variable, " ,") < name || !text)
        return vr_fail(VR_ERROR_ARGUMENT, "condition: '%s' is not NAME=VALUE, such as VR_KERNELS=fixed", variable);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strlen(own[i]) == name && memcmp(own[i], variable, name) == 0)
            return vr_fail(VR_ERROR_ARGUMENT, "condition: %s: the campaign sets it", own[i]);
    return VR_OK;
}

vr_status va_condition_set(va_condition *condition, const char *list)
{
    size_t count = 1, used = 0;
    for (const char *at = list; (at = next_variable(at));)
        count++;
    condition->variables = calloc(count + 1, sizeof *condition->variables);
    vr_status status = condition->variables ? VR_OK : no_memory();
    for (const char *at = list, *next; at && status == VR_OK; at = next) {
        next = next_variable(at);
        char *variable = next ? strndup(at, (size_t)(next - at) - 1) : strdup(at);
        status = variable ? check_variable(variable) : no_memory();
        condition->variables[used++] = variable;
    }
    return status;
}

/* "NAME:VARIABLE=VALUE,...", `name` bytes of name. */
static vr_status add_with_variables(va_campaign *campaign, const char *text, size_t name)
{
    vr_status status = va_campaign_add(campaign, text, name, "", 0);
    if (status == VR_OK)
        status = va_condition_set(&campaign->conditions[campaign->condition_count - 1], text + name + 1);
    return status;
}

vr_status va_campaign_add_condition(va_campaign *campaign, const char *text)
{
    const size_t name = strcspn(text, ":"), list = text[name] ? strcspn(text + name + 1, ":") : 0;
    if (!text[name] || name == 0 || name > VA_CONDITION_MOST || strspn(text, VA_WORD_BYTES) < name || *text == '.' ||
        *text == '-')
        return vr_fail(VR_ERROR_ARGUMENT,
                       "condition '%s': not NAME:LIST or NAME:LIST:N with a name of letters, digits, '_', '.' and '-', "
                       "such as algo:init,order",
                       text);
    if (strchr(text + name, '='))
        return add_with_variables(campaign, text, name);
    const char *number = text + name + 1 + list;
    unsigned long long count = 0;
    if (*number) {
        char *end;
        errno = 0;
        count = strtoull(number + 1, &end, 10);
        if (errno || number[1] < '0' || number[1] > '9' || *end || count == 0 || count > VA_RUNS_MOST)
            return vr_fail(VR_ERROR_ARGUMENT, "condition '%s': '%s' is not a number of runs from 1 to %d", text,
                           number + 1, VA_RUNS_MOST);
    }
    char *vary = strndup(text + name + 1, list);
    const vr_status status = vary ? va_campaign_add(campaign, text, name, vary, (uint32_t)count) : no_memory();
    free(vary);
    return status;
}

vr_status va_campaign_set_runs(va_campaign *campaign, uint32_t runs)
{
    campaign->runs = runs;
    for (size_t i = 0; i < campaign->condition_count; i++)
        if (!campaign->conditions[i].own_count)
            campaign->conditions[i].count = runs;
    if (va_campaign_total(campaign) > VA_RUNS_MOST)
        return vr_fail(VR_ERROR_ARGUMENT, "%llu runs in all: at most %d",
                       (unsigned long long)va_campaign_total(campaign), VA_RUNS_MOST);
    return VR_OK;
}

uint64_t va_campaign_total(const va_campaign *campaign)
{
    uint64_t total = 0;
    for (size_t i = 0; i < campaign->condition_count; i++)
        total += campaign->conditions[i].count;
    return total;
}

/* ---- runs ---- */

/* Replica `replica` of every condition that has it; how many. */
static uint64_t order_round(va_task *out, const va_campaign *campaign, uint32_t replica, uint32_t *order)
{
    vr_random random = vr_random_stream(vr_derive_seed(campaign->seed, "campaign"), replica);
    uint64_t count = 0;
    vr_random_permutation(&random, order, campaign->condition_count);
    for (size_t i = 0; i < campaign->condition_count; i++)
        if (replica <= campaign->conditions[order[i]].count)
            out[count++] = (va_task){order[i], replica};
    return count;
}

vr_status va_campaign_order(va_task **out, const va_campaign *campaign)
{
    const uint64_t total = va_campaign_total(campaign);
    va_task *tasks = malloc((total + 1) * sizeof *tasks);
    uint32_t *order = malloc((campaign->condition_count + 1) * sizeof *order);
    uint64_t count = 0;
    for (uint32_t replica = 1; tasks && order && count < total; replica++)
        count += order_round(tasks + count, campaign, replica, order);
    free(order);
    if (!order || !tasks) {
        free(tasks);
        return no_memory();
    }
    *out = tasks;
    return VR_OK;
}

const char *va_run_name(char out[VA_RUN_NAME], const va_campaign *campaign, va_task task)
{
    snprintf(out, VA_RUN_NAME, "%s-%04u", campaign->conditions[task.condition].name, task.replica);
    return out;
}

bool va_outcome_is_ok(const va_outcome *outcome)
{
    return outcome->done && !outcome->timed_out && outcome->signal == 0 && outcome->exit_code == 0;
}

void va_outcome_note(va_outcome *outcome, const char *format, ...)
{
    const size_t room = sizeof outcome->note;
    size_t used = strlen(outcome->note);
    va_list args;
    va_start(args, format);
    if (used > 0)
        used += (size_t)snprintf(outcome->note + used, room - used, "; ");
    if (used < room)
        vsnprintf(outcome->note + used, room - used, format, args);
    va_end(args);
}

const char *va_outcome_text(char out[VA_OUTCOME_TEXT], const va_outcome *outcome)
{
    if (outcome->timed_out)
        snprintf(out, VA_OUTCOME_TEXT, "timed out");
    else if (outcome->signal)
        snprintf(out, VA_OUTCOME_TEXT, "killed by signal %d (%.40s)", outcome->signal, strsignal(outcome->signal));
    else if (outcome->exit_code)
        snprintf(out, VA_OUTCOME_TEXT, "exit status %d", outcome->exit_code);
    else
        snprintf(out, VA_OUTCOME_TEXT, "ok");
    return out;
}

vr_status va_ledger_open(va_ledger *out, const va_campaign *campaign)
{
    const uint64_t count = va_campaign_total(campaign);
    *out = (va_ledger){campaign, calloc(count + 1, sizeof(va_outcome)), count};
    return out->outcomes ? VR_OK : no_memory();
}

void va_ledger_close(va_ledger *ledger)
{
    free(ledger->outcomes);
    *ledger = (va_ledger){0};
}

va_outcome *va_ledger_at(const va_ledger *ledger, va_task task)
{
    uint64_t first = 0;
    for (uint32_t i = 0; i < task.condition; i++)
        first += ledger->campaign->conditions[i].count;
    return &ledger->outcomes[first + task.replica - 1];
}
