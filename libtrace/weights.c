/* The last that a trace says of each weight, found from the end of its records. */
#include "trace_impl.h"

#include "fail.h"

#include <stdlib.h>
#include <string.h>
#include <varanalyze/projection.h>

#define BLOCK 4096

/* A site of a weight, or of its projection; sites of one weight may differ in shape and inputs. */
typedef struct candidate {
    uint32_t site, layer;
    const char *name; /* of the weight */
    bool projection;
} candidate;

/* What a record of a site is of: a weight's number plus 1, 0 for none; its projection. */
typedef struct role {
    uint32_t weight;
    bool projection;
} role;

typedef struct search {
    vr_trace *trace;
    candidate *candidates;
    role *roles; /* of each site */
    vr_weight_info *weights;
    uint64_t candidate_count, weight_count, missing;
} search;

static int by_weight(const void *x, const void *y)
{
    const candidate *a = x, *b = y;
    if (a->layer != b->layer)
        return a->layer < b->layer ? -1 : 1;
    const int order = strcmp(a->name, b->name);
    return order ? order : (a->site > b->site) - (a->site < b->site);
}

/* By the first site. */
static int by_site(const void *x, const void *y)
{
    const vr_weight_info *a = x, *b = y;
    return (a->site > b->site) - (a->site < b->site);
}

static bool is_projection(const vr_site *site)
{
    return site->dtype == VR_F64 && site->rank == 1 &&
           strncmp(site->name, VR_PROJECTION_PREFIX, strlen(VR_PROJECTION_PREFIX)) == 0;
}

static void collect(search *in)
{
    for (uint64_t i = 0; i < in->trace->info.site_count; i++) {
        const vr_site *site = &in->trace->sites[i];
        const bool projection = is_projection(site);
        const char *name = site->name + (projection ? strlen(VR_PROJECTION_PREFIX) : 0);
        if (site->phase == VR_WEIGHT)
            in->candidates[in->candidate_count++] = (candidate){(uint32_t)i, site->layer_id, name, projection};
    }
    qsort(in->candidates, in->candidate_count, sizeof *in->candidates, by_weight);
}

/* The candidates from `first` on that are of one weight; `*site` is the first of these that is not a projection, NULL
 * where there is none. */
static uint64_t group_end(const search *in, uint64_t first, const vr_site **site)
{
    const candidate *all = in->candidates;
    uint64_t end = first;
    *site = NULL;
    for (;
         end < in->candidate_count && all[end].layer == all[first].layer && strcmp(all[end].name, all[first].name) == 0;
         end++)
        if (!*site && !all[end].projection)
            *site = &in->trace->sites[all[end].site];
    return end;
}

/* Weights in the order of their first sites. */
static void list_weights(search *in)
{
    const vr_site *site;
    for (uint64_t first = 0, end; first < in->candidate_count; first = end) {
        end = group_end(in, first, &site);
        if (site)
            in->weights[in->weight_count++].site = site;
    }
    qsort(in->weights, in->weight_count, sizeof *in->weights, by_site);
    in->missing = in->weight_count;
}

/* What each site is of. */
static void assign_roles(search *in)
{
    const vr_site *site;
    for (uint64_t first = 0, end; first < in->candidate_count; first = end) {
        end = group_end(in, first, &site);
        const vr_weight_info key = {.site = site};
        const vr_weight_info *weight = site ? bsearch(&key, in->weights, in->weight_count, sizeof key, by_site) : NULL;
        for (uint64_t i = first; weight && i < end; i++)
            in->roles[in->candidates[i].site] =
                (role){(uint32_t)(weight - in->weights) + 1, in->candidates[i].projection};
    }
}

/* Takes a record, later ones first. A projection belongs to the record that stands before it in its step. */
static void take(search *in, const vr_trace_record *record)
{
    const role what = in->roles[record->site];
    vr_weight_info *weight = what.weight ? &in->weights[what.weight - 1] : NULL;
    if (!weight || weight->record.level)
        return;
    const vr_site *site = &in->trace->sites[record->site];
    if (what.projection) {
        if (!weight->projection.level && record->level == VR_LEVEL_FULL)
            weight->projection = *record;
        return;
    }
    in->missing--;
    weight->site = site;
    weight->step = record->step;
    weight->epoch = record->epoch;
    weight->record = *record;
    const int64_t held = weight->projection.level ? in->trace->sites[weight->projection.site].count : 0;
    const bool fits = weight->projection.step == record->step && held <= site->count &&
                      (held == site->count || vr_projection_is_size((uint64_t)held));
    weight->projected = fits ? held : 0;
    if (!fits || held == 0)
        memset(&weight->projection, 0, sizeof weight->projection);
}

static vr_status scan(search *in)
{
    vr_trace_record *block = malloc(BLOCK * sizeof *block);
    vr_status status = block ? VR_OK : vr_fail(VR_ERROR_MEMORY, "%s: out of memory", in->trace->path);
    for (uint64_t end = in->trace->info.record_count; status == VR_OK && in->missing && end > 0;) {
        const uint64_t n = end < BLOCK ? end : BLOCK;
        end -= n;
        status = vr_trace_read_records(in->trace, end, n, block);
        for (uint64_t i = n; status == VR_OK && i-- > 0;)
            take(in, &block[i]);
    }
    free(block);
    return status;
}

/* A site without a record (a journal that broke off behind it) is no weight. */
static void keep_found(vr_trace *trace, search *in)
{
    trace->weight_count = 0;
    for (uint64_t i = 0; i < in->weight_count; i++)
        if (in->weights[i].record.level)
            in->weights[trace->weight_count++] = in->weights[i];
    trace->weights = in->weights;
    in->weights = NULL;
}

vr_status vr_trace_weights(vr_trace *trace, const vr_weight_info **out, uint64_t *count)
{
    vr_status status = VR_OK;
    if (!trace->weights) {
        const uint64_t sites = trace->info.site_count + 1;
        search in = {trace, calloc(sites, sizeof *in.candidates), calloc(sites, sizeof *in.roles),
                     .weights = calloc(sites, sizeof *in.weights)};
        status = in.candidates && in.roles && in.weights ? VR_OK
                                                         : vr_fail(VR_ERROR_MEMORY, "%s: out of memory", trace->path);
        if (status == VR_OK) {
            collect(&in);
            list_weights(&in);
            assign_roles(&in);
            status = scan(&in);
        }
        if (status == VR_OK)
            keep_found(trace, &in);
        free(in.candidates);
        free(in.roles);
        free(in.weights);
    }
    *out = trace->weights;
    *count = status == VR_OK ? trace->weight_count : 0;
    return status;
}

vr_status vr_weight_projection(vr_trace *trace, const vr_weight_info *weight, double *out)
{
    if (!weight->projected)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: no projection of weight %s/%s was recorded", trace->path,
                       weight->site->layer, weight->site->name);
    return vr_trace_read_values(trace, &weight->projection, 0, weight->projected, out);
}
