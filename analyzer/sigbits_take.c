/* One tensor at one step: which runs have it, what is known of it, and its figures. */
#include "sigbits_walk.h"

#include "diff.h"

#include <errno.h>
#include <float.h>
#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_KINDS 8 /* types and shapes of one tensor that are told apart */

static const vr_site *site_of(const va_bits_walk *w, int run, const vr_trace_record *record)
{
    return &vr_trace_sites(w->traces[run])[record->site];
}

/* ---- which runs ---- */

/* Marks the runs whose records are of the type and shape that most have; of a tie, those met first. */
static void use_majority(va_bits_walk *w, const vr_trace_record *const *records)
{
    const vr_site *kinds[MOST_KINDS];
    int counts[MOST_KINDS] = {0}, known = 0, most = 0;
    for (int run = 0; run < w->all->runs; run++) {
        w->use[run] = false;
        const vr_site *site = records[run] ? site_of(w, run, records[run]) : NULL;
        int kind = 0;
        while (site && kind < known && !va_same_kind(kinds[kind], site))
            kind++;
        if (!site || kind == MOST_KINDS)
            continue;
        kinds[kind] = site;
        known = kind == known ? known + 1 : known;
        most = ++counts[kind] > counts[most] ? kind : most;
    }
    for (int run = 0; known && run < w->all->runs; run++)
        w->use[run] = records[run] && va_same_kind(kinds[most], site_of(w, run, records[run]));
}

/* Of pairs and halves, a run without its other one is of no use. */
static void use_couples(va_bits_walk *w)
{
    const bool pairs = w->all->options.bits.reference == VA_BITS_PAIRS;
    const int half = w->all->runs / 2;
    if (!va_bits_halves_samples(w->all->options.bits.reference))
        return;
    for (int i = 0; i < half; i++) {
        const int a = pairs ? 2 * i : i, b = pairs ? 2 * i + 1 : i + half;
        w->use[a] = w->use[b] = w->use[a] && w->use[b];
    }
    if (w->all->runs % 2)
        w->use[w->all->runs - 1] = false;
}

static void choose(va_bits_walk *w, const vr_trace_record *const *records)
{
    use_couples(w);
    w->chosen = 0;
    for (int run = 0; run < w->all->runs; run++)
        if (w->use[run]) {
            w->chosen_traces[w->chosen] = w->traces[run];
            w->chosen_records[w->chosen++] = records[run];
        }
}

/* ---- what is known ---- */

static bool has_statistics(const vr_trace_record *record)
{
    return record->level >= VR_LEVEL_STATS;
}

/* Leaves only runs that hold values (of level sample: as many of them); false where they are too few. */
static bool choose_values(va_bits_walk *w, const vr_trace_record *const *records, va_samples *out)
{
    const vr_trace_record *reference = out->reference_record;
    int sample = reference && reference->level == VR_LEVEL_SAMPLE ? reference->sample : 0;
    for (int run = 0; run < w->all->runs && !sample; run++)
        sample = w->use[run] && records[run]->level == VR_LEVEL_SAMPLE ? records[run]->sample : 0;
    for (int run = 0; run < w->all->runs; run++)
        w->use[run] = w->use[run] && (records[run]->level == VR_LEVEL_FULL ||
                                      (records[run]->level == VR_LEVEL_SAMPLE && records[run]->sample == sample));
    choose(w, records);
    out->kind = sample ? VA_SAMPLES_SOME : VA_SAMPLES_ALL;
    out->values = sample ? sample : out->site->count;
    return w->chosen >= va_bits_least_samples(w->all->options.bits.reference) &&
           (!reference || reference->level >= VR_LEVEL_SAMPLE);
}

/* Leaves only runs that hold statistics; false where they are too few. */
static bool choose_statistics(va_bits_walk *w, const vr_trace_record *const *records)
{
    use_majority(w, records);
    for (int run = 0; run < w->all->runs; run++)
        w->use[run] = w->use[run] && has_statistics(records[run]);
    choose(w, records);
    return w->chosen >= va_bits_least_samples(w->all->options.bits.reference);
}

static bool choose_scalar(const va_bits_walk *w, va_samples *out)
{
    bool known = out->site->count == 1 && (!out->reference_record || has_statistics(out->reference_record));
    for (int i = 0; i < w->chosen; i++)
        known = known && has_statistics(w->chosen_records[i]);
    out->kind = VA_SAMPLES_SCALAR;
    out->values = 1;
    return known;
}

static bool same_digests(const va_bits_walk *w)
{
    for (int i = 1; i < w->chosen; i++)
        if (!vr_digest_equal(w->chosen_records[i]->digest, w->chosen_records[0]->digest))
            return false;
    return true;
}

/* Whether digests say that all errors are 0. */
static bool all_equal(const va_bits_walk *w, const vr_trace_record *reference)
{
    return same_digests(w) && w->all->options.bits.reference != VA_BITS_EXACT &&
           (!reference || vr_digest_equal(reference->digest, w->chosen_records[0]->digest));
}

/* ---- figures ---- */

static vr_status make_rule(va_bits_walk *w, const vr_site *site)
{
    const int digits = va_bits_digits(site->dtype);
    if (w->rule.samples == w->chosen && w->rule.digits == digits)
        return VR_OK;
    return va_bits_rule_make(&w->rule, &w->all->options.bits, w->chosen, digits);
}

/* All elements are the same in all runs, as digests say: no value is read. */
static vr_status take_equal(va_bits_walk *w, va_bits_part *part, const vr_site *site)
{
    va_bits bits;
    const vr_trace_record *record = w->chosen_records[0];
    for (int i = 0; i < w->chosen && !has_statistics(record); i++)
        record = w->chosen_records[i];
    const vr_stats *s = &record->stats;
    const uint64_t odd = has_statistics(record) ? s->nan + s->pos_inf + s->neg_inf : 0;
    const double wanted = w->all->options.at_least;
    part->equal++;
    va_bits_of_nothing(&bits, &w->rule);
    vr_status status = va_tally_add_same(&part->tally, &bits, (uint64_t)site->count - odd, wanted);
    if (status == VR_OK && odd)
        status = va_tally_add_same(&part->tally, &(va_bits){.bias = NAN, .flags = VA_BITS_NONFINITE}, odd, wanted);
    return status;
}

static bool wants_map(const va_bits_walk *w, const va_entity *e)
{
    return w->map_layer && strcmp(w->map_layer, e->layer) == 0 && strcmp(w->map_name, e->name) == 0 &&
           (!w->map_phase || w->map_phase == e->phase) && (w->map_step == UINT64_MAX || w->map_step == w->step);
}

static vr_status open_map(va_bits_walk *w, const vr_site *site)
{
    va_bits_map *map = &w->all->map;
    free(map->bits);
    *map = (va_bits_map){.site = site, .step = w->step, .epoch = w->epoch};
    map->bits = malloc(((size_t)site->count + 1) * sizeof *map->bits);
    return map->bits ? VR_OK
                     : vr_fail(VR_ERROR_MEMORY, "out of memory for a map of %lld elements", (long long)site->count);
}

/* Whether more elements than allowed have fewer bits than asked for. */
static bool is_too_few(const va_sigbits *all, const va_tally *t, const va_tally *before)
{
    const uint64_t below = all->options.general ? t->below_general - before->below_general : t->below - before->below;
    return (double)below > all->options.quantile * (double)(t->elements - before->elements) * (1 + 4 * DBL_EPSILON);
}

static vr_status measure(va_bits_walk *w, va_bits_part *part, va_samples *samples, bool map)
{
    va_sigbits *all = w->all;
    samples->count = w->chosen;
    samples->traces = w->chosen_traces;
    samples->records = w->chosen_records;
    vr_status status = make_rule(w, samples->site);
    if (status == VR_OK && map)
        status = open_map(w, samples->site);
    const va_sink sink = {
        .tally = &part->tally,
        .worst = all->worst.room ? &all->worst : NULL,
        .map = map ? all->map.bits : NULL,
        .general = all->options.general,
        .wanted = all->options.at_least,
        .step = w->step,
        .order = w->order,
        .epoch = w->epoch,
    };
    return status == VR_OK ? va_samples_measure(samples, &w->rule, &sink) : status;
}

/* No values: a bound, or nothing. By their digests `had` runs count, whatever else they hold. */
static vr_status take_bound(va_bits_walk *w, va_bits_part *part, const vr_trace_record *const *records,
                            const va_samples *samples, int had, bool *few)
{
    double bound = NAN;
    if (choose_statistics(w, records)) {
        const vr_status status = make_rule(w, samples->site);
        if (status != VR_OK)
            return status;
        bound = va_bits_bound(&w->rule, w->chosen_records, samples->reference_record, samples->exact);
    }
    w->chosen = isnan(bound) ? had : w->chosen;
    part->bounded += !isnan(bound);
    part->unknown += isnan(bound);
    part->bound = fmin(part->bound, bound);
    *few = bound < w->all->options.at_least;
    return VR_OK;
}

static void judge(va_bits_walk *w, va_bits_part *part, uint32_t entity, bool few, bool unjudged)
{
    va_sigbits *all = w->all;
    if (all->options.at_least < 0)
        return;
    if (few && all->too_few++ == 0) {
        all->first_too_few = entity;
        all->first_too_few_step = w->step;
    }
    part->too_few += few;
    all->unjudged += unjudged;
}

/* A tensor of floats which enough runs have, w->chosen. */
static vr_status take_floats(va_bits_walk *w, va_bits_part *part, uint32_t entity,
                             const vr_trace_record *const *records, va_samples *samples)
{
    const int had = w->chosen;
    const va_tally before = part->tally;
    const bool map = wants_map(w, &w->all->entities[entity]), equal = all_equal(w, samples->reference_record);
    bool few = false, unjudged = false;
    vr_status status = make_rule(w, samples->site);
    if (status != VR_OK)
        return status;
    if (equal && !map)
        status = take_equal(w, part, samples->site);
    else if (choose_scalar(w, samples))
        status = measure(w, part, samples, map);
    else if (choose_values(w, records, samples))
        status = measure(w, part, samples, map && samples->kind == VA_SAMPLES_ALL);
    else if (equal) {
        use_majority(w, records);
        choose(w, records);
        status = take_equal(w, part, samples->site);
    } else {
        status = take_bound(w, part, records, samples, had, &few);
        unjudged = !few;
    }
    part->fewest_runs = !part->fewest_runs || w->chosen < part->fewest_runs ? w->chosen : part->fewest_runs;
    part->most_runs = w->chosen > part->most_runs ? w->chosen : part->most_runs;
    part->incomplete += w->chosen < had || had < w->all->runs - w->all->unpaired;
    part->digits = w->rule.digits > part->digits ? w->rule.digits : part->digits;
    judge(w, part, entity, few || is_too_few(w->all, &part->tally, &before), unjudged);
    return status;
}

/* Of integers and truth values: whether they are the same. */
static void take_integers(va_bits_walk *w)
{
    w->all->integers++;
    w->all->integers_differ += !same_digests(w);
}

vr_status va_bits_take(va_bits_walk *w, uint32_t entity, const vr_trace_record *const *records)
{
    va_sigbits *all = w->all;
    use_majority(w, records);
    choose(w, records);
    if (w->chosen < va_bits_least_samples(all->options.bits.reference)) {
        all->lonely++;
        return VR_OK;
    }
    va_samples samples = {
        .site = &vr_trace_sites(w->chosen_traces[0])[w->chosen_records[0]->site],
        .exact = all->options.exact,
    };
    if (!vr_dtype_is_float(samples.site->dtype)) {
        take_integers(w);
        return VR_OK;
    }
    if (all->options.reference) {
        samples.reference = all->options.reference;
        samples.reference_record = records[all->runs];
        if (!samples.reference_record || !va_same_kind(samples.site, site_of(w, all->runs, records[all->runs]))) {
            all->unreferenced++;
            return VR_OK;
        }
    }
    va_bits_group *group = va_bits_group_of(w, entity);
    if (!group)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    all->tensors++;
    w->order++;
    group->step.tensors++;
    return take_floats(w, &group->step, entity, records, &samples);
}

/* ---- the map ---- */

vr_status va_bits_map_find(va_bits_walk *w, const char *what)
{
    char *text = w->map_layer = strdup(what);
    if (!text)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    w->map_step = UINT64_MAX;
    char *at = strrchr(text, '@'), *end = NULL;
    if (at && at[1] >= '0' && at[1] <= '9') {
        errno = 0;
        w->map_step = strtoull(at + 1, &end, 10);
        if (*end || errno)
            return vr_fail(VR_ERROR_ARGUMENT, "'%s': '%s' is no step", what, at + 1);
        *at = 0;
    }
    for (int phase = 1; phase <= VR_PHASE_LAST; phase++) {
        const char *name = vr_phase_name((vr_phase)phase);
        const size_t length = strlen(name);
        if (strncmp(text, name, length) == 0 && text[length] == ':') {
            w->map_phase = (vr_phase)phase;
            memmove(text, text + length + 1, strlen(text + length + 1) + 1);
            break;
        }
    }
    char *slash = strrchr(text, '/');
    if (!slash || slash == text || !slash[1])
        return vr_fail(VR_ERROR_ARGUMENT, "'%s' is not [PHASE:]LAYER/NAME[@STEP]", what);
    *slash = 0;
    w->map_name = slash + 1;
    return VR_OK;
}
