#include "diff.h"

#include <fnmatch.h>
#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES (1 << 20)

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

typedef struct walker {
    va_diff *diff;
    const va_diff_options *options;
    state *states;      /* [entity] */
    uint32_t *layer_of; /* [entity]: index in diff->layers, UINT32_MAX before the first */
    site_inputs *sites; /* [site of trace 0] */
    uint64_t order;
    const va_batch *batch;
} walker;

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

/* `array` with room for one more; NULL without memory. */
static void *one_more(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    const size_t more = *room ? *room * 2 : 16;
    void *grown = realloc(array, more * size);
    if (grown)
        *room = more;
    return grown;
}

/* ---- inputs ---- */

static void add_candidate(const walker *w, input *in, vr_phase phase, const char *layer, size_t length,
                          const char *name)
{
    const uint32_t entity = va_pairing_find(w->diff->pairing, phase, layer, length, name);
    if (entity != VA_NO_ENTITY)
        in->entities[in->count++] = entity;
}

/* Reads "seed:PURPOSE", "phase:layer/name" or "layer/name". */
static input resolve(const walker *w, const char *text)
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

static const site_inputs *inputs_of(walker *w, uint32_t site)
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
static const state *find_state(const walker *w, const input *in)
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

static bool same_inputs(const va_diff *diff, const vr_site *const site[2])
{
    if (site[0]->input_count != site[1]->input_count)
        return false;
    for (uint32_t i = 0; i < site[0]->input_count; i++)
        if (strcmp(vr_trace_name(diff->trace[0], site[0]->inputs[i]),
                   vr_trace_name(diff->trace[1], site[1]->inputs[i])))
            return false;
    return true;
}

/* Whether a record without inputs is where something comes in from outside. */
static bool is_source(const walker *w, const vr_site *site)
{
    return site->phase == VR_INPUT ||
           (w->batch->step == 0 && (site->phase == VR_WEIGHT || site->phase == VR_OPTIMIZER));
}

/* Classes a differing pair; fills in of the finding why. */
static vr_status classify(walker *w, uint32_t site_index, va_finding *why)
{
    const va_diff *diff = w->diff;
    if (!same_inputs(diff, why->site)) {
        why->class = VA_UNEXPLAINED;
        why->other_inputs = true;
        return VR_OK;
    }
    const site_inputs *all = inputs_of(w, site_index);
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
    why->class = why->missing && !why->seed ? VA_UNEXPLAINED : VA_ORIGIN;
    return VR_OK;
}

/* ---- distance ---- */

vr_status va_compare_records(vr_comparison *out, vr_trace *const trace[2], const vr_trace_record *const record[2],
                             const vr_tolerance *tolerance)
{
    const vr_site *site = &vr_trace_sites(trace[0])[record[0]->site];
    const int64_t per_piece = PIECE_BYTES / (int64_t)vr_dtype_size(site->dtype);
    void *values[2] = {malloc(PIECE_BYTES), malloc(PIECE_BYTES)};
    vr_status status = values[0] && values[1] ? VR_OK : no_memory();
    for (int64_t first = 0; status == VR_OK && (first == 0 || first < site->count); first += per_piece) {
        const int64_t n = site->count - first < per_piece ? site->count - first : per_piece;
        vr_comparison part;
        for (int run = 0; status == VR_OK && run < 2; run++)
            status = vr_trace_read_values(trace[run], record[run], first, n, values[run]);
        const vr_tensor a = VR_TENSOR(site->dtype, values[0], n), b = VR_TENSOR(site->dtype, values[1], n);
        if (status == VR_OK)
            status = vr_compare(&part, &a, &b, tolerance);
        if (status == VR_OK)
            *out = first == 0 ? part : vr_comparison_merge(out, &part);
    }
    free(values[0]);
    free(values[1]);
    return status;
}

/* Unknown where squares overflow. */
static va_distance ratio(double difference, double larger, bool exact)
{
    const double relative = larger > 0 ? difference / larger : 0;
    return isfinite(relative) ? (va_distance){relative, exact} : (va_distance){-1, false};
}

static va_distance distance_of_stats(const vr_stats *a, const vr_stats *b)
{
    const double larger = fmax(a->l2, b->l2), mean = a->mean - b->mean, spread = sqrt(a->m2) - sqrt(b->m2);
    const double finite = (double)(a->count - a->nan - a->pos_inf - a->neg_inf);
    if (a->nan != b->nan || a->pos_inf != b->pos_inf || a->neg_inf != b->neg_inf)
        return (va_distance){INFINITY, true};
    return ratio(sqrt(finite * mean * mean + spread * spread), larger, false);
}

static va_distance distance_of_values(const vr_comparison *c)
{
    const double larger = fmax(c->a_l2, c->b_l2);
    if (c->nan_mismatch || c->inf_mismatch)
        return (va_distance){INFINITY, true};
    return ratio(c->diff_l2, larger, true);
}

static bool same_kind(const vr_site *a, const vr_site *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape) == 0;
}

/* How far apart a differing pair is, and whether that is within the tolerance. */
static vr_status judge(walker *w, const vr_trace_record *const pair[2], const vr_site *const site[2],
                       va_distance *distance, bool *within)
{
    *distance = (va_distance){-1, false};
    *within = false;
    if (!same_kind(site[0], site[1]))
        return VR_OK;
    if (pair[0]->level == VR_LEVEL_FULL && pair[1]->level == VR_LEVEL_FULL) {
        vr_comparison c;
        const vr_status status = va_compare_records(&c, w->diff->trace, pair, &w->options->tolerance);
        if (status != VR_OK)
            return status;
        *distance = distance_of_values(&c);
        *within = w->options->has_tolerance && c.within == c.count;
        return VR_OK;
    }
    w->diff->without_values |= w->options->has_tolerance;
    if (pair[0]->level >= VR_LEVEL_STATS && pair[1]->level >= VR_LEVEL_STATS)
        *distance = distance_of_stats(&pair[0]->stats, &pair[1]->stats);
    return VR_OK;
}

/* ---- bookkeeping ---- */

static bool is_selected(const walker *w, const va_entity *e)
{
    const va_diff_options *o = w->options;
    return (!o->layer || fnmatch(o->layer, e->layer, 0) == 0) && (!o->phase || o->phase == e->phase) &&
           w->batch->step >= o->first_step && w->batch->step <= o->last_step;
}

static va_layer_summary *summary_of(walker *w, uint32_t entity)
{
    va_diff *diff = w->diff;
    const va_entity *e = &diff->entities[entity];
    for (size_t i = 0; w->layer_of[entity] == UINT32_MAX && i < diff->layer_count; i++)
        if (diff->layers[i].phase == e->phase && strcmp(diff->layers[i].layer, e->layer) == 0)
            w->layer_of[entity] = (uint32_t)i;
    if (w->layer_of[entity] == UINT32_MAX) {
        va_layer_summary *layers = one_more(diff->layers, diff->layer_count, &diff->layer_room, sizeof *layers);
        if (!layers)
            return NULL;
        diff->layers = layers;
        w->layer_of[entity] = (uint32_t)diff->layer_count;
        const va_distance none = {-1, false};
        layers[diff->layer_count++] =
            (va_layer_summary){.layer = e->layer, .phase = e->phase, .first = none, .largest = none, .last = none};
    }
    return &diff->layers[w->layer_of[entity]];
}

static void keep_larger(va_distance *kept, va_distance other)
{
    if (other.relative > kept->relative)
        *kept = other;
}

static void sum_up(va_layer_summary *layer, uint64_t step, va_distance distance)
{
    if (layer->different++ == 0)
        layer->first_step = step;
    if (step == layer->first_step)
        keep_larger(&layer->first, distance);
    if (step != layer->last_step)
        layer->last = (va_distance){-1, false};
    layer->last_step = step;
    keep_larger(&layer->last, distance);
    keep_larger(&layer->largest, distance);
}

static vr_status keep_difference(walker *w, uint32_t entity, va_class class, const bool in[2], va_distance distance)
{
    va_diff *diff = w->diff;
    if (!w->options->all)
        return VR_OK;
    va_difference *all = one_more(diff->differences, diff->difference_count, &diff->difference_room, sizeof *all);
    if (!all)
        return no_memory();
    diff->differences = all;
    all[diff->difference_count++] =
        (va_difference){class, entity, w->batch->step, w->batch->epoch, {in[0], in[1]}, distance};
    return VR_OK;
}

/* Two findings are one when the same operation differs for the same reason. */
static bool same_finding(const va_finding *a, const va_finding *b)
{
    return a->class == b->class && a->entity == b->entity && a->missing == b->missing && a->seed == b->seed;
}

static vr_status keep_finding(walker *w, const va_finding *why)
{
    va_diff *diff = w->diff;
    for (size_t i = 0; i < diff->finding_count; i++)
        if (same_finding(&diff->findings[i], why)) {
            diff->findings[i].count++;
            diff->findings[i].last_step = why->step;
            return VR_OK;
        }
    va_finding *all = one_more(diff->findings, diff->finding_count, &diff->finding_room, sizeof *all);
    if (!all)
        return no_memory();
    diff->findings = all;
    all[diff->finding_count++] = *why;
    return VR_OK;
}

/* Samples may come in another order: their rows are added up over the epoch in which they first differ. */
static void add_rows(walker *w, uint32_t entity, const vr_trace_record *const pair[2])
{
    va_diff *diff = w->diff;
    for (size_t i = 0; i < diff->finding_count; i++)
        if (diff->findings[i].entity == entity)
            for (int run = 0; run < 2; run++)
                if (pair[run] && pair[run]->epoch == diff->findings[i].rows_epoch)
                    diff->findings[i].rows[run] = vr_digest_add(diff->findings[i].rows[run], pair[run]->rows);
}

static void note_first(walker *w, uint32_t entity, va_class class)
{
    va_diff *diff = w->diff;
    if (diff->any)
        return;
    diff->any = true;
    diff->first_step = w->batch->step;
    diff->first_epoch = w->batch->epoch;
    diff->first_entity = entity;
    diff->first_class = class;
}

/* ---- rows ---- */

static vr_status take_one_sided(walker *w, uint32_t entity, const vr_trace_record *const pair[2])
{
    const bool in[2] = {pair[0] != NULL, pair[1] != NULL};
    va_layer_summary *layer = summary_of(w, entity);
    if (!layer)
        return no_memory();
    w->diff->one_sided[in[1]]++;
    layer->one_sided[in[1]]++;
    return keep_difference(w, entity, VA_ONE_SIDED, in, (va_distance){-1, false});
}

static vr_status take_different(walker *w, va_finding *why, const vr_trace_record *const pair[2], va_distance distance,
                                bool selected)
{
    va_diff *diff = w->diff;
    const vr_status status = classify(w, pair[0]->site, why);
    if (status != VR_OK || !selected)
        return status;
    diff->different++;
    diff->origins += why->class == VA_ORIGIN;
    diff->propagated += why->class == VA_PROPAGATED;
    diff->unexplained += why->class == VA_UNEXPLAINED;
    const bool is_finding = why->class == VA_ORIGIN || (why->class == VA_UNEXPLAINED && !diff->any);
    note_first(w, why->entity, why->class);
    va_layer_summary *layer = summary_of(w, why->entity);
    if (!layer)
        return no_memory();
    sum_up(layer, w->batch->step, distance);
    const vr_status kept = is_finding ? keep_finding(w, why) : VR_OK;
    return kept == VR_OK ? keep_difference(w, why->entity, why->class, (bool[2]){true, true}, distance) : kept;
}

static va_finding finding_of(const walker *w, uint32_t entity, const vr_trace_record *const pair[2],
                             const vr_site *const site[2])
{
    return (va_finding){
        .entity = entity,
        .step = w->batch->step,
        .last_step = w->batch->step,
        .epoch = w->batch->epoch,
        .count = 1,
        .site = {site[0], site[1]},
        .record = {*pair[0], *pair[1]},
        .rows_epoch = pair[0]->epoch,
        .rows_same_step = site[0]->phase == VR_INPUT && vr_digest_equal(pair[0]->rows, pair[1]->rows),
    };
}

static vr_status take_pair(walker *w, uint32_t entity, const vr_trace_record *const pair[2], va_class *class,
                           bool selected)
{
    va_diff *diff = w->diff;
    const vr_site *const site[2] = {&vr_trace_sites(diff->trace[0])[pair[0]->site],
                                    &vr_trace_sites(diff->trace[1])[pair[1]->site]};
    *class = VA_EQUAL;
    if (selected) {
        va_layer_summary *layer = summary_of(w, entity);
        if (!layer)
            return no_memory();
        diff->compared++;
        layer->compared++;
    }
    if (vr_digest_equal(pair[0]->digest, pair[1]->digest) && same_kind(site[0], site[1]))
        return VR_OK;
    va_distance distance;
    bool within;
    vr_status status = judge(w, pair, site, &distance, &within);
    if (status == VR_OK && within)
        diff->within += selected;
    else if (status == VR_OK) {
        va_finding why = finding_of(w, entity, pair, site);
        status = take_different(w, &why, pair, distance, selected);
        *class = why.class;
    }
    return status;
}

static vr_status take_row(walker *w, size_t row)
{
    const uint32_t entity = w->batch->entity[row];
    const vr_trace_record *const *pair = &w->batch->records[row * 2];
    const bool selected = is_selected(w, &w->diff->entities[entity]);
    va_class class = VA_ONE_SIDED;
    vr_status status = VR_OK;
    if (pair[0] && pair[1])
        status = take_pair(w, entity, pair, &class, selected);
    else if (selected && w->batch->steps[0] && w->batch->steps[1])
        status = take_one_sided(w, entity, pair);
    if (w->diff->entities[entity].phase == VR_INPUT)
        add_rows(w, entity, pair);
    w->states[entity] = (state){w->batch->step, ++w->order, (pair[0] ? pair[0] : pair[1])->epoch, class, true};
    return status;
}

static void take_step(walker *w)
{
    va_diff *diff = w->diff;
    if (w->batch->step < w->options->first_step || w->batch->step > w->options->last_step)
        return;
    for (int run = 0; run < 2; run++)
        diff->steps[run] += w->batch->steps[run] != NULL;
    if (w->batch->steps[0] && w->batch->steps[1]) {
        diff->has_common = true;
        diff->last_common = w->batch->step;
    }
}

static vr_status walk(walker *w)
{
    vr_status status;
    while ((status = va_pairing_next(w->diff->pairing, &w->batch)) == VR_OK && w->batch) {
        if (w->batch->first)
            take_step(w);
        for (size_t row = 0; status == VR_OK && row < w->batch->rows; row++)
            status = take_row(w, row);
        if (status != VR_OK || (w->options->stop_at_first && w->diff->any))
            break;
    }
    return status;
}

static vr_status walk_all(va_diff *diff, const va_diff_options *options)
{
    const size_t entities = va_pairing_entity_count(diff->pairing),
                 sites = vr_trace_get_info(diff->trace[0])->site_count;
    walker w = {.diff = diff, .options = options};
    w.states = calloc(entities + 1, sizeof *w.states);
    w.layer_of = malloc((entities + 1) * sizeof *w.layer_of);
    w.sites = calloc(sites + 1, sizeof *w.sites);
    vr_status status = w.states && w.layer_of && w.sites ? VR_OK : no_memory();
    if (status == VR_OK) {
        memset(w.layer_of, 0xff, (entities + 1) * sizeof *w.layer_of);
        status = walk(&w);
    }
    for (size_t i = 0; w.sites && i < sites; i++)
        free(w.sites[i].inputs);
    free(w.sites);
    free(w.layer_of);
    free(w.states);
    return status;
}

static vr_status check_ranks(const va_diff *diff)
{
    json_int_t rank[2];
    for (int run = 0; run < 2; run++) {
        const json_t *mpi = json_object_get(diff->run[run], "mpi");
        rank[run] = json_integer_value(json_object_get(mpi, "rank"));
    }
    if (rank[0] == rank[1])
        return VR_OK;
    return vr_fail(VR_ERROR_ARGUMENT, "%s is of MPI rank %lld, %s of rank %lld: compare traces of the same rank",
                   vr_trace_get_info(diff->trace[0])->path, (long long)rank[0], vr_trace_get_info(diff->trace[1])->path,
                   (long long)rank[1]);
}

vr_status va_diff_run(va_diff **out, vr_trace *a, vr_trace *b, const va_diff_options *options)
{
    va_diff *diff = calloc(1, sizeof *diff);
    if (!diff)
        return no_memory();
    diff->trace[0] = a;
    diff->trace[1] = b;
    for (int run = 0; run < 2; run++)
        diff->run[run] = json_loads(vr_trace_get_info(diff->trace[run])->run, 0, NULL);
    diff->conditions = va_conditions(diff->run[0], diff->run[1]);
    vr_status status = diff->run[0] && diff->run[1] && diff->conditions ? check_ranks(diff) : no_memory();
    if (status == VR_OK)
        status = va_pairing_open(&diff->pairing, diff->trace, 2);
    if (status == VR_OK) {
        diff->entities = va_pairing_entities(diff->pairing);
        status = walk_all(diff, options);
    }
    if (status == VR_OK)
        status = va_diff_explain(diff);
    if (status != VR_OK) {
        va_diff_free(diff);
        return status;
    }
    *out = diff;
    return VR_OK;
}

void va_diff_free(va_diff *diff)
{
    if (!diff)
        return;
    for (size_t i = 0; i < diff->finding_count; i++) {
        free(diff->findings[i].cause);
        free(diff->findings[i].evidence);
    }
    free(diff->findings);
    free(diff->differences);
    free(diff->layers);
    json_decref(diff->conditions);
    json_decref(diff->run[0]);
    json_decref(diff->run[1]);
    va_pairing_close(diff->pairing);
    free(diff);
}
