#include "diff_inputs.h"

#include <formats/fail.h>
#include <stdlib.h>
#include <string.h>

/* What became of an entity when it was last seen. */
typedef struct state {
    uint64_t step, order; /* order: of all rows, to find the latest */
    uint32_t epoch;
    va_class class;
    bool seen;
} state;

/* An input of a site, resolved. */
typedef struct input {
    uint32_t entities[VR_PHASE_LAST]; /* those it may mean */
    int count;
    const char *seed; /* purpose, or NULL */
    const char *text;
    bool keeps_epoch; /* the order of the samples: valid for its epoch */
} input;

typedef struct site_inputs {
    input *inputs;
    uint32_t count;
    bool ready;
} site_inputs;

struct va_inputs {
    const va_diff *diff;
    const va_batch *batch;
    state *states;      /* [entity] */
    site_inputs *sites; /* [site of trace 0] */
    uint64_t order;
};

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

vr_status va_inputs_open(va_inputs **out, const va_diff *diff)
{
    va_inputs *w = calloc(1, sizeof *w);
    if (!w)
        return no_memory();
    w->diff = diff;
    w->states = calloc(va_pairing_entity_count(diff->pairing) + 1, sizeof *w->states);
    w->sites = calloc(vr_trace_get_info(diff->trace[0])->site_count + 1, sizeof *w->sites);
    if (!w->states || !w->sites) {
        va_inputs_close(w);
        return no_memory();
    }
    *out = w;
    return VR_OK;
}

void va_inputs_close(va_inputs *w)
{
    if (!w)
        return;
    for (uint64_t i = 0; w->sites && i < vr_trace_get_info(w->diff->trace[0])->site_count; i++)
        free(w->sites[i].inputs);
    free(w->sites);
    free(w->states);
    free(w);
}

void va_inputs_note(va_inputs *w, const va_batch *batch, uint32_t entity, uint32_t epoch, va_class class)
{
    w->states[entity] = (state){batch->step, ++w->order, epoch, class, true};
}

static void add_candidate(const va_inputs *w, input *in, vr_phase phase, const char *layer, size_t length,
                          const char *name)
{
    const uint32_t entity = va_pairing_find(w->diff->pairing, phase, layer, length, name);
    if (entity != VA_NO_ENTITY)
        in->entities[in->count++] = entity;
}

/* Reads "seed:PURPOSE", "phase:layer/name" or "layer/name". */
static input resolve(const va_inputs *w, const char *text)
{
    input in = {.text = text};
    if (strncmp(text, "seed:", 5) == 0) {
        in.seed = text + 5;
        return in;
    }
    const char *slash = strrchr(text, '/'), *colon = strchr(text, ':');
    if (!slash)
        return in;
    char word[16];
    vr_phase phase = 0;
    if (colon && colon < slash && (size_t)(colon - text) < sizeof word) {
        memcpy(word, text, (size_t)(colon - text));
        word[colon - text] = 0;
        for (int p = 1; p <= VR_PHASE_LAST; p++)
            if (strcmp(word, vr_phase_name((vr_phase)p)) == 0)
                phase = (vr_phase)p;
    }
    const char *layer = phase ? colon + 1 : text;
    for (int p = 1; p <= VR_PHASE_LAST; p++)
        if (!phase || p == (int)phase)
            add_candidate(w, &in, (vr_phase)p, layer, (size_t)(slash - layer), slash + 1);
    in.keeps_epoch = slash - layer == 5 && strcmp(slash - 5, "order/permutation") == 0;
    return in;
}

static const site_inputs *inputs_of(va_inputs *w, uint32_t site)
{
    site_inputs *all = &w->sites[site];
    if (all->ready)
        return all;
    const vr_site *s = &vr_trace_sites(w->diff->trace[0])[site];
    all->inputs = calloc(s->input_count + 1, sizeof *all->inputs);
    if (!all->inputs)
        return NULL;
    all->count = s->input_count;
    for (uint32_t i = 0; i < s->input_count; i++)
        all->inputs[i] = resolve(w, vr_trace_name(w->diff->trace[0], s->inputs[i]));
    all->ready = true;
    return all;
}

/* The latest state the input can mean, by capture.h's rules of naming; NULL when it was not recorded. */
static const state *find_state(const va_inputs *w, const input *in)
{
    const state *latest = NULL;
    for (int i = 0; i < in->count; i++) {
        const state *s = &w->states[in->entities[i]];
        const vr_phase phase = w->diff->entities[in->entities[i]].phase;
        const bool carries = phase == VR_WEIGHT || phase == VR_OPTIMIZER;
        const bool valid =
            s->seen && (s->step == w->batch->step || (carries && w->batch->step > 0 && s->step == w->batch->step - 1) ||
                        (in->keeps_epoch && s->epoch == w->batch->epoch));
        if (valid && (!latest || s->order > latest->order))
            latest = s;
    }
    return latest;
}

static const char *seed_of(const va_diff *diff, int run, const char *purpose)
{
    return json_string_value(json_object_get(json_object_get(diff->run[run], "seeds"), purpose));
}

static bool names(const vr_trace *trace, const vr_site *site, const char *text)
{
    for (uint32_t i = 0; i < site->input_count; i++)
        if (strcmp(vr_trace_name(trace, site->inputs[i]), text) == 0)
            return true;
    return false;
}

/* In any order. */
static bool same_inputs(const va_diff *diff, const vr_site *const site[2])
{
    if (site[0]->input_count != site[1]->input_count)
        return false;
    for (uint32_t i = 0; i < site[0]->input_count; i++)
        if (!names(diff->trace[1], site[1], vr_trace_name(diff->trace[0], site[0]->inputs[i])) ||
            !names(diff->trace[0], site[0], vr_trace_name(diff->trace[1], site[1]->inputs[i])))
            return false;
    return true;
}

/* Whether a record without inputs is where something comes in from outside. */
static bool is_source(const va_inputs *w, const vr_site *site)
{
    return site->phase == VR_INPUT ||
           (w->batch->step == 0 && (site->phase == VR_WEIGHT || site->phase == VR_OPTIMIZER));
}

vr_status va_inputs_classify(va_inputs *w, const va_batch *batch, uint32_t site, va_finding *why)
{
    const va_diff *diff = w->diff;
    w->batch = batch;
    if (!same_inputs(diff, why->site)) {
        why->class = VA_UNEXPLAINED;
        why->other_inputs = true;
        return VR_OK;
    }
    const site_inputs *all = inputs_of(w, site);
    if (!all)
        return no_memory();
    if (all->count == 0) {
        why->class = is_source(w, why->site[0]) ? VA_ORIGIN : VA_UNEXPLAINED;
        return VR_OK;
    }
    for (uint32_t i = 0; i < all->count; i++) {
        const input *in = &all->inputs[i];
        if (in->seed) {
            const char *a = seed_of(diff, 0, in->seed), *b = seed_of(diff, 1, in->seed);
            if (!a || !b)
                why->missing = in->text;
            else if (strcmp(a, b) != 0)
                why->seed = in->seed;
            continue;
        }
        const state *s = find_state(w, in);
        if (s && (s->class == VA_ORIGIN || s->class == VA_PROPAGATED || s->class == VA_UNEXPLAINED)) {
            why->class = VA_PROPAGATED;
            return VR_OK;
        }
        if (!s || s->class == VA_ONE_SIDED)
            why->missing = in->text;
    }
    why->class = why->missing ? VA_UNEXPLAINED : VA_ORIGIN;
    return VR_OK;
}
