#include "run_impl.h"

#include <formats/fail.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <varanalyze/random.h>

#define MAX_NAME   255
#define MAX_INPUT  (2 * MAX_NAME + 16) /* "phase:layer/name" */
#define MAX_INPUTS 256                 /* in a call with its inputs listed */

/* What is measured of a tensor, outside the run's lock. */
typedef struct measured {
    vr_trace_record record;
    vr_digest *chunks; /* NULL below level chunks */
    int64_t chunk_count;
    void *sample; /* NULL but at level sample */
    size_t sample_bytes;
} measured;

static vr_status check_name(const char *what, const char *name, bool with_slash)
{
    if (!name || !*name || strlen(name) > MAX_NAME)
        return vr_fail(VR_ERROR_ARGUMENT, "record: the %s must have 1 to %d bytes", what, MAX_NAME);
    if (!with_slash && strchr(name, '/'))
        return vr_fail(VR_ERROR_ARGUMENT, "record: the name '%s' may not contain '/'", name);
    return VR_OK;
}

static vr_status check_key(const vr_site_key *key)
{
    if (key->phase < 1 || key->phase > VR_PHASE_LAST)
        return vr_fail(VR_ERROR_ARGUMENT, "record: %d is no phase", (int)key->phase);
    vr_status status = check_name("layer", key->layer, true);
    if (status == VR_OK)
        status = check_name("name", key->name, false);
    for (size_t i = 0; status == VR_OK && i < key->input_count; i++)
        if (!key->inputs[i] || !*key->inputs[i] || strlen(key->inputs[i]) > MAX_INPUT)
            status = vr_fail(VR_ERROR_ARGUMENT, "record: input %zu of %s/%s is not \"layer/name\"", i, key->layer,
                             key->name);
    return status == VR_OK ? vr_tensor_check(key->tensor) : status;
}

/* What a new site's names must be beyond their length. */
static vr_status check_text(const vr_site_key *key)
{
    bool fine = vr_name_is_text(key->layer, strlen(key->layer)) && vr_name_is_text(key->name, strlen(key->name));
    for (size_t i = 0; fine && i < key->input_count; i++)
        fine = vr_name_is_text(key->inputs[i], strlen(key->inputs[i]));
    return fine ? VR_OK : vr_fail(VR_ERROR_ARGUMENT, "record: a name is not UTF-8 without control characters");
}

vr_status vr_record_check(const vr_site_key *key)
{
    const vr_status status = check_key(key);
    return status == VR_OK ? check_text(key) : status;
}

/* What the run's rules say of a new site. */
static void choose(const vr_run *run, vr_site_entry *site)
{
    const vr_filter_rule rule = vr_filter_choose(&run->filter, site->phase, site->layer);
    site->level = rule.level;
    site->every = rule.every;
    site->projection = rule.projection;
    site->perturb = vr_perturb_choose(&run->perturb, site->phase, site->layer, site->name);
}

/* The site's level in this step, VR_LEVEL_OFF to skip it. */
static vr_level level_now(const vr_run *run, const vr_site_entry *site, const vr_manner *manner)
{
    if (manner->unfiltered)
        return manner->least;
    if (site->level == VR_LEVEL_OFF || run->step % site->every != 0)
        return VR_LEVEL_OFF;
    return site->level > manner->least ? site->level : manner->least;
}

static vr_status take_sample(measured *m, const vr_tensor *tensor, uint32_t values)
{
    const int64_t count = vr_tensor_count(tensor);
    const size_t size = vr_dtype_size(tensor->dtype);
    const int64_t k = count < values ? count : values;
    int64_t *positions = malloc((size_t)(k + 1) * sizeof *positions);
    m->record.sample = (uint16_t)k;
    m->sample_bytes = (size_t)k * size;
    m->sample = malloc(m->sample_bytes + 1);
    if (positions && m->sample) {
        vr_sample_positions(positions, k, count);
        for (int64_t i = 0; i < k; i++)
            vr_tensor_pack((char *)m->sample + (size_t)i * size, tensor, positions[i], 1);
    }
    free(positions);
    return positions && m->sample ? VR_OK : vr_fail(VR_ERROR_MEMORY, "record: out of memory");
}

static vr_status measure(measured *m, const vr_run *run, const vr_site_key *key, vr_level level)
{
    m->record.level = (uint8_t)level;
    if (level >= VR_LEVEL_CHUNKS) {
        m->chunk_count = vr_chunk_count(key->tensor);
        m->chunks = malloc((size_t)m->chunk_count * sizeof *m->chunks);
        if (!m->chunks)
            return vr_fail(VR_ERROR_MEMORY, "record: out of memory");
    }
    vr_stats *stats = level >= VR_LEVEL_STATS ? &m->record.stats : NULL;
    vr_status status = vr_measure(&m->record.digest, stats, m->chunks, key->tensor);
    if (status == VR_OK && key->phase == VR_INPUT)
        status = vr_digest_rows(&m->record.rows, key->tensor);
    if (status == VR_OK && level == VR_LEVEL_SAMPLE)
        status = take_sample(m, key->tensor, run->sample_values);
    return status;
}

/* The number of a name, told to the trace when it is new. */
static bool tell_name(vr_run *run, const char *text, uint32_t *id)
{
    bool fresh;
    const vr_name_entry *name = vr_sites_name(&run->sites, text, &fresh);
    if (!name || (fresh && !vr_run_put(run, VR_FRAME_NAME, text, strlen(text), NULL, 0)))
        return false;
    *id = name->id;
    return true;
}

/* Tells the trace of a site before its first record. */
static bool tell_site(vr_run *run, vr_site_entry *site)
{
    if (site->id != VR_SITE_UNTOLD)
        return true;
    vr_site_row row = {.phase = (uint8_t)site->phase,
                       .dtype = (uint8_t)site->dtype,
                       .rank = (uint8_t)site->rank,
                       .input_count = (uint32_t)site->input_count};
    memcpy(row.shape, site->shape, sizeof row.shape);
    uint32_t *inputs = malloc((site->input_count + 1) * sizeof *inputs);
    bool fine = inputs && tell_name(run, site->layer, &row.layer) && tell_name(run, site->name, &row.name);
    for (size_t i = 0; fine && i < site->input_count; i++)
        fine = tell_name(run, site->inputs[i], &inputs[i]);
    if (fine && vr_run_put(run, VR_FRAME_SITE, &row, sizeof row, inputs, site->input_count * sizeof *inputs))
        site->id = run->site_count++;
    free(inputs);
    return site->id != VR_SITE_UNTOLD;
}

/* Puts bytes of the payload, in pieces a frame can hold. */
static bool put_payload(vr_run *run, const void *bytes, uint64_t size)
{
    const uint64_t most = vr_queue_limit(run->queue) - sizeof(uint64_t);
    const uint8_t *from = bytes;
    while (size > 0) {
        const uint64_t n = size < most ? size : most;
        if (!vr_run_put(run, VR_FRAME_PAYLOAD, &run->payload, sizeof run->payload, from, n))
            return false;
        run->payload += n;
        from += n;
        size -= n;
    }
    return true;
}

/* Puts all values of a tensor. */
static bool put_values(vr_run *run, const vr_tensor *tensor)
{
    const size_t size = vr_dtype_size(tensor->dtype);
    const int64_t count = vr_tensor_count(tensor);
    if (vr_tensor_is_contiguous(tensor))
        return put_payload(run, tensor->data, (uint64_t)count * size);
    const int64_t per_piece = VR_CHUNK_BYTES / (int64_t)size;
    uint8_t piece[VR_CHUNK_BYTES];
    bool fine = true;
    for (int64_t first = 0; fine && first < count; first += per_piece) {
        const int64_t n = count - first < per_piece ? count - first : per_piece;
        vr_tensor_pack(piece, tensor, first, n);
        fine = put_payload(run, piece, (uint64_t)n * size);
    }
    return fine;
}

static bool put_record(vr_run *run, const vr_site_key *key, vr_site_entry *site, measured *m, uint32_t epoch)
{
    if (!tell_site(run, site))
        return false;
    m->record.step = run->step;
    m->record.epoch = epoch;
    m->record.site = site->id;
    m->record.payload = run->payload;
    if (m->chunks && !put_payload(run, m->chunks, (uint64_t)m->chunk_count * sizeof *m->chunks))
        return false;
    if (m->sample && !put_payload(run, m->sample, m->sample_bytes))
        return false;
    if (m->record.level == VR_LEVEL_FULL && !put_values(run, key->tensor))
        return false;
    return vr_run_put(run, VR_FRAME_RECORD, &m->record, sizeof m->record, NULL, 0);
}

/* What is to be done with a tensor. */
typedef struct plan {
    vr_site_entry *site;
    vr_level level;
    bool projection;
    const vr_perturb_rule *perturb; /* NULL: leave it as it is */
    uint64_t use;                   /* which of the site's record calls this is */
} plan;

/* Finds the site, its level and its perturbation, and times the operation, under the lock. What is perturbed does not
 * depend on whether the trace is whole. */
static vr_status begin(vr_run *run, const vr_site_key *key, const vr_manner *manner, plan *out, vr_trace_record *record)
{
    const uint64_t now = vr_clock();
    vr_status status = VR_OK;
    *out = (plan){.level = VR_LEVEL_OFF};
    pthread_mutex_lock(&run->lock);
    record->thread = vr_thread_number(run);
    const uint64_t mark = vr_thread_mark(run);
    record->start_ns = mark - run->start;
    record->duration_ns = now - mark;
    vr_site_entry *site = out->site = vr_sites_find(&run->sites, key);
    if (!site)
        status = vr_fail(VR_ERROR_MEMORY, "record: out of memory");
    else if (site->level || (status = check_text(key)) == VR_OK) {
        if (!site->level)
            choose(run, site);
        out->level = level_now(run, site, manner);
        out->projection = manner->unfiltered ? manner->projection : site->projection;
        out->use = site->uses++;
        out->perturb =
            site->perturb && !manner->unfiltered && vr_perturb_is_due(site->perturb, run->step) ? site->perturb : NULL;
    }
    if (status == VR_OK && (!run->queue || run->dropped)) {
        out->level = VR_LEVEL_OFF;
        status = run->queue ? vr_run_incomplete(run) : VR_OK;
    }
    pthread_mutex_unlock(&run->lock);
    return status;
}

/* The noise of a site's use: of its name, not of its place among the sites, so that other records change nothing. */
static vr_status perturb(const vr_run *run, const vr_site_key *key, const plan *p)
{
    char path[2 * MAX_NAME + 64];
    snprintf(path, sizeof path, "%s:%s/%s", vr_phase_name(key->phase), key->layer, key->name);
    return vr_perturb_tensor(p->perturb, key->tensor, vr_derive_seed(run->perturb_key, path), p->use);
}

static vr_status measure_and_put(vr_run *run, const vr_site_key *key, const plan *p, measured *m, const uint32_t *epoch)
{
    vr_status status = measure(m, run, key, p->level);
    if (status == VR_OK) {
        pthread_mutex_lock(&run->lock);
        if (!put_record(run, key, p->site, m, epoch ? *epoch : run->epoch))
            status = run->dropped ? vr_run_incomplete(run) : vr_fail(VR_ERROR_MEMORY, "record: out of memory");
        pthread_mutex_unlock(&run->lock);
    }
    free(m->chunks);
    free(m->sample);
    return status;
}

vr_status vr_record_tensor(vr_run *run, const vr_site_key *key, const vr_manner *manner)
{
    if (!vr_run_takes_tensors(run))
        return VR_OK;
    if (vr_run_is_forked(run))
        return vr_run_incomplete(run);
    measured m = {0};
    plan p = {.level = VR_LEVEL_OFF};
    vr_status status = check_key(key);
    if (status == VR_OK)
        status = begin(run, key, manner, &p, &m.record);
    if (p.perturb) {
        const vr_status perturbed = perturb(run, key, &p);
        status = status == VR_OK ? perturbed : status;
    }
    if (p.level != VR_LEVEL_OFF) {
        const vr_status recorded = measure_and_put(run, key, &p, &m, manner->epoch);
        status = status == VR_OK ? recorded : status;
    }
    if (status == VR_OK && p.level != VR_LEVEL_OFF && p.projection)
        status = vr_record_projection(run, key);
    vr_thread_set_mark(run, vr_clock());
    return status;
}

vr_status vr_record_inputs(vr_run *run, vr_phase phase, const char *layer, const char *name, vr_tensor tensor,
                           const char *const *inputs, size_t input_count)
{
    const vr_site_key key = {phase, layer, name, &tensor, inputs, input_count};
    return vr_record_tensor(run, &key, &(vr_manner){.least = VR_LEVEL_HASH});
}

/* Collects names up to NULL; -1 when there are more than MAX_INPUTS. */
static int collect(const char *names[MAX_INPUTS], va_list list)
{
    int count = 0;
    for (const char *name; (name = va_arg(list, const char *));) {
        if (count == MAX_INPUTS)
            return -1;
        names[count++] = name;
    }
    return count;
}

static vr_status record_list(vr_run *run, vr_site_key key, vr_level least, va_list list)
{
    const char *names[MAX_INPUTS];
    const int count = collect(names, list);
    if (count < 0)
        return vr_fail(VR_ERROR_ARGUMENT,
                       "record: %s/%s lists more than %d inputs; is the final NULL there? see vr_record_inputs",
                       key.layer, key.name, MAX_INPUTS);
    key.inputs = names;
    key.input_count = (size_t)count;
    return vr_record_tensor(run, &key, &(vr_manner){.least = least});
}

vr_status vr_record(vr_run *run, vr_phase phase, const char *layer, const char *name, vr_tensor tensor, ...)
{
    if (!vr_run_takes_tensors(run))
        return VR_OK;
    va_list list;
    va_start(list, tensor);
    const vr_status status = record_list(run, (vr_site_key){phase, layer, name, &tensor, NULL, 0}, VR_LEVEL_HASH, list);
    va_end(list);
    return status;
}

vr_status vr_metric(vr_run *run, const char *name, double value, ...)
{
    if (!vr_run_takes_tensors(run))
        return VR_OK;
    const vr_tensor tensor = VR_SCALAR(VR_F64, &value);
    va_list list;
    va_start(list, value);
    const vr_status status =
        record_list(run, (vr_site_key){VR_METRIC, "metric", name, &tensor, NULL, 0}, VR_LEVEL_STATS, list);
    va_end(list);
    return status;
}
