#include "perturb.h"
#include "rules.h"

#include <errno.h>
#include <fnmatch.h>
#include <formats/fail.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <varanalyze/random.h>

/* ---- rules ---- */

#define MAX_TERMS 65536
#define PIECE     512 /* elements */

static const struct {
    const char *name;
    uint32_t least, most;
} kinds[] = {
    [VR_PERTURB_BIT] = {"bit", 0, 52}, [VR_PERTURB_NOISE] = {"noise", 1, 53}, [VR_PERTURB_SUM] = {"sum", 2, MAX_TERMS}};

static vr_status bad_rule(const char *rule)
{
    return vr_fail(VR_ERROR_ARGUMENT,
                   "VR_PERTURB: '%s' is not [PHASE:]LAYER[/NAME]=bit:B|noise:T|sum:N[:SHARE][@STEP[-STEP]], as in "
                   "forward:conv1/out=bit:20:0.5@100-200",
                   rule);
}

/* Reads a whole number at *at and moves behind it. */
static bool read_number(uint64_t *out, const char **at)
{
    char *end;
    errno = 0;
    *out = strtoull(*at, &end, 10);
    const bool fine = **at >= '0' && **at <= '9' && errno == 0;
    *at = end;
    return fine;
}

/* "bit:20:0.5@100-200" */
static bool parse_change(vr_perturb_rule *rule, const char *at)
{
    const size_t word = strcspn(at, ":");
    for (int k = VR_PERTURB_BIT; k <= VR_PERTURB_SUM; k++)
        if (strlen(kinds[k].name) == word && memcmp(at, kinds[k].name, word) == 0)
            rule->kind = (vr_perturb_kind)k;
    uint64_t amount;
    at += word;
    if (!rule->kind || *at++ != ':' || !read_number(&amount, &at) || amount < kinds[rule->kind].least ||
        amount > kinds[rule->kind].most)
        return false;
    rule->amount = (uint32_t)amount;
    if (*at == ':') {
        char *end;
        rule->share = strtod(at + 1, &end);
        if (end == at + 1 || !(rule->share >= 0 && rule->share <= 1))
            return false;
        at = end;
    }
    if (*at == '@') {
        at++;
        if (!read_number(&rule->first_step, &at))
            return false;
        rule->last_step = rule->first_step;
        if (*at == '-' && (at++, !read_number(&rule->last_step, &at)))
            return false;
    }
    return *at == 0 && rule->first_step <= rule->last_step;
}

/* Adds one rule to the list. */
static vr_status add_rule(void *context, char *text)
{
    vr_perturb *perturb = context;
    vr_perturb_rule rule = {.share = 1, .last_step = UINT64_MAX};
    char *equals = strrchr(text, '=');
    if (!equals || !parse_change(&rule, equals + 1))
        return bad_rule(text);
    *equals = 0;
    vr_perturb_rule *rules = vr_rules_grow(perturb->rules, perturb->count, sizeof rule);
    if (!rules)
        return VR_ERROR_MEMORY;
    perturb->rules = rules;
    const vr_status status = vr_rules_layer(&rule.pattern, &rule.phase, text, "VR_PERTURB");
    if (status == VR_OK)
        perturb->rules[perturb->count++] = rule;
    return status;
}

vr_status vr_perturb_parse(vr_perturb *out, const char *text)
{
    *out = (vr_perturb){0};
    const vr_status status = vr_rules_read(text, add_rule, out);
    if (status != VR_OK)
        vr_perturb_free(out);
    return status;
}

void vr_perturb_free(vr_perturb *perturb)
{
    for (size_t i = 0; i < perturb->count; i++)
        free(perturb->rules[i].pattern);
    free(perturb->rules);
    *perturb = (vr_perturb){0};
}

/* Metrics are copies that the program does not read again. */
const vr_perturb_rule *vr_perturb_choose(const vr_perturb *perturb, vr_phase phase, const char *layer, const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", layer, name);
    for (size_t i = 0; phase != VR_METRIC && phase != VR_EVALUATION && i < perturb->count; i++) {
        const vr_perturb_rule *rule = &perturb->rules[i];
        if ((!rule->phase || rule->phase == phase) &&
            (fnmatch(rule->pattern, layer, 0) == 0 || fnmatch(rule->pattern, path, 0) == 0))
            return rule;
    }
    return NULL;
}

bool vr_perturb_is_due(const vr_perturb_rule *rule, uint64_t step)
{
    return step >= rule->first_step && step <= rule->last_step;
}

/* ---- elements ---- */

/* The sum that gives x: n - 1 terms x/n + g |x| / sqrt(n) with g uniform in +-sqrt(3), as those of a layer with
 * zero-mean inputs, and what is then missing; taken one after another in f32, or in f64 for f64, with the missing term
 * at a random place. Terms are alike, so that every order of them is as good as another. */
static double sum_of_terms(double x, uint32_t n, bool wide, double *terms, vr_random *random)
{
    const double center = x / n, reach = sqrt(3.0 / n) * fabs(x) * 0x1p-31;
    double missing = x, sum = 0;
    for (uint32_t i = 1; i < n; i++) {
        const double term = center + reach * (int32_t)vr_random_u32(random);
        terms[i] = wide ? term : (double)(float)term;
        missing -= terms[i];
    }
    const uint64_t place = vr_random_below(random, n);
    if (place > 0)
        terms[0] = terms[place];
    terms[place] = missing;
    for (uint32_t i = 0; i < n; i++)
        sum = wide ? sum + terms[i] : (double)((float)sum + (float)terms[i]);
    return sum;
}

static double changed(const vr_perturb_rule *rule, double x, bool wide, double *terms, vr_random *random)
{
    if (x == 0 || !isfinite(x))
        return x;
    const int exponent = ilogb(x), amount = (int)rule->amount;
    switch (rule->kind) {
    case VR_PERTURB_BIT:
        return x + ldexp(vr_random_u32(random) & 1 ? 1 : -1, exponent - amount);
    case VR_PERTURB_NOISE:
        return x + ldexp(vr_random_uniform(random) - 0.5, exponent - amount + 1);
    case VR_PERTURB_SUM:
        return sum_of_terms(x, rule->amount, wide, terms, random);
    }
    return x;
}

/* ---- memory ---- */

/* The bytes from the first to the last element in memory. */
static void find_extent(uintptr_t *begin, uintptr_t *end, const vr_tensor *tensor)
{
    const int64_t size = (int64_t)vr_dtype_size(tensor->dtype);
    *begin = (uintptr_t)tensor->data;
    *end = *begin + (uintptr_t)size;
    for (int d = 0; d < tensor->rank; d++) {
        const int64_t reach = (tensor->shape[d] - 1) * tensor->strides[d] * size;
        if (reach < 0)
            *begin -= (uintptr_t)-reach;
        else
            *end += (uintptr_t)reach;
    }
}

/* Whether all of it may be written, from the process's own map; constants of a program may not. */
static bool is_writable(uintptr_t begin, uintptr_t end)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[4352];
    while (maps && begin < end && fgets(line, sizeof line, maps)) {
        uintptr_t low, high;
        char mode[5];
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &low, &high, mode) == 3 && begin >= low && begin < high) {
            if (mode[1] != 'w')
                break;
            begin = high;
        }
    }
    if (maps)
        fclose(maps);
    return begin >= end;
}

/* Puts the element that has `index` in logical order where the tensor has it. */
static void put_back(const vr_tensor *tensor, const char *element, int64_t index)
{
    const int64_t size = (int64_t)vr_dtype_size(tensor->dtype);
    int64_t offset = 0;
    for (int d = tensor->rank - 1; d >= 0; d--) {
        offset += index % tensor->shape[d] * tensor->strides[d];
        index /= tensor->shape[d];
    }
    memcpy((char *)(uintptr_t)tensor->data + offset * size, element, (size_t)size);
}

/* One piece. Only elements that are drawn are written: converting a NaN there and back may make it quiet. */
static void change_piece(const vr_perturb_rule *rule, const vr_tensor *tensor, int64_t first, int64_t count,
                         double *terms, vr_random *random)
{
    char element[8], piece[PIECE * sizeof element];
    double values[PIECE];
    vr_tensor_pack(piece, tensor, first, count);
    vr_to_f64(values, piece, tensor->dtype, (size_t)count);
    for (int64_t i = 0; i < count; i++) {
        if (rule->share < 1 && vr_random_uniform(random) >= rule->share)
            continue;
        const double value = changed(rule, values[i], tensor->dtype == VR_F64, terms, random);
        if (value == values[i] || isnan(value))
            continue;
        double back;
        vr_from_f64(element, tensor->dtype, &value, 1);
        vr_to_f64(&back, element, tensor->dtype, 1);
        if (isfinite(back))
            put_back(tensor, element, first + i);
    }
}

vr_status vr_perturb_tensor(const vr_perturb_rule *rule, const vr_tensor *tensor, uint64_t key, uint64_t index)
{
    const int64_t count = vr_tensor_count(tensor);
    uintptr_t begin, end;
    if (count == 0 || !vr_dtype_is_float(tensor->dtype))
        return VR_OK;
    find_extent(&begin, &end, tensor);
    if (!is_writable(begin, end))
        return vr_fail(VR_ERROR_UNSUPPORTED, "VR_PERTURB: '%s' matches a tensor in memory that cannot be written",
                       rule->pattern);
    double *terms = rule->kind == VR_PERTURB_SUM ? malloc(rule->amount * sizeof *terms) : NULL;
    if (rule->kind == VR_PERTURB_SUM && !terms)
        return vr_fail(VR_ERROR_MEMORY, "VR_PERTURB: out of memory");
    vr_random random = vr_random_stream(key, index);
    for (int64_t first = 0; first < count; first += PIECE)
        change_piece(rule, tensor, first, count - first < PIECE ? count - first : PIECE, terms, &random);
    free(terms);
    return VR_OK;
}
