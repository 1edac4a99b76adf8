#include "pairing.h"

#include <formats/fail.h>
#include <stdlib.h>
#include <string.h>

/* Records read at a time while the runs go in step: of all runs together, and of each at least and at most. */
#define BLOCKS      16384
#define BLOCK_LEAST 16
#define BLOCK_MOST  4096

typedef struct reader {
    vr_trace *trace;
    const vr_step *steps;
    uint64_t step_count, at; /* at: the next step */
    const vr_step *step;     /* the current one, NULL when this run has none */
    uint64_t done;           /* of the current step's records, paired */
    uint32_t *entity;        /* [site] */
    vr_trace_record *records;
    size_t count, room;
} reader;

/* While rows are joined: where an entity's rows of this batch stand. */
typedef struct chain {
    uint32_t first, last; /* rows */
    uint32_t cursor;      /* next row to fill, of the run being joined */
    uint64_t batch;       /* for which this holds */
} chain;

struct va_pairing {
    int runs;
    reader *readers;
    va_entity *entities;
    size_t entity_count, entity_room;
    uint32_t *slots; /* hash table of entities, VA_NO_ENTITY when empty */
    size_t slot_count;
    chain *chains; /* [entity] */
    uint32_t *row_entity, *row_next;
    const vr_trace_record **row_records;
    size_t row_room;
    const vr_step **steps;
    va_batch batch;
    uint64_t batches;
};

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

static size_t hash(vr_phase phase, const char *layer, size_t layer_length, const char *name)
{
    uint64_t h = 0xcbf29ce484222325u ^ (uint64_t)phase; /* FNV-1a */
    for (size_t i = 0; i < layer_length; i++)
        h = (h ^ (unsigned char)layer[i]) * 0x100000001b3u;
    for (h *= 0x100000001b3u; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return (size_t)(h ^ h >> 32);
}

/* The slot that holds the entity, or the empty one where it would go. */
static size_t find_slot(const va_pairing *p, vr_phase phase, const char *layer, size_t length, const char *name)
{
    size_t at = hash(phase, layer, length, name) & (p->slot_count - 1);
    for (; p->slots[at] != VA_NO_ENTITY; at = (at + 1) & (p->slot_count - 1)) {
        const va_entity *e = &p->entities[p->slots[at]];
        if (e->phase == phase && strncmp(e->layer, layer, length) == 0 && e->layer[length] == 0 &&
            strcmp(e->name, name) == 0)
            break;
    }
    return at;
}

uint32_t va_pairing_find(const va_pairing *p, vr_phase phase, const char *layer, size_t layer_length, const char *name)
{
    return p->slots[find_slot(p, phase, layer, layer_length, name)];
}

static uint32_t intern(va_pairing *p, const vr_site *site)
{
    const size_t at = find_slot(p, site->phase, site->layer, strlen(site->layer), site->name);
    if (p->slots[at] == VA_NO_ENTITY) {
        p->slots[at] = (uint32_t)p->entity_count;
        p->entities[p->entity_count++] = (va_entity){site->phase, site->layer, site->name};
    }
    return p->slots[at];
}

static vr_status open_reader(va_pairing *p, reader *in, vr_trace *trace)
{
    const vr_trace_info *info = vr_trace_get_info(trace);
    in->trace = trace;
    in->steps = vr_trace_steps(trace);
    in->step_count = info->step_count;
    in->entity = malloc((info->site_count + 1) * sizeof *in->entity);
    if (!in->entity)
        return no_memory();
    for (uint64_t i = 0; i < info->site_count; i++)
        in->entity[i] = intern(p, &vr_trace_sites(trace)[i]);
    return VR_OK;
}

vr_status va_pairing_open(va_pairing **out, vr_trace *const *traces, int runs)
{
    size_t sites = 1;
    for (int i = 0; i < runs; i++)
        sites += vr_trace_get_info(traces[i])->site_count;
    va_pairing *p = calloc(1, sizeof *p);
    if (!p)
        return no_memory();
    p->runs = runs;
    for (p->slot_count = 64; p->slot_count < sites * 2;)
        p->slot_count *= 2;
    p->readers = calloc((size_t)runs, sizeof *p->readers);
    p->steps = calloc((size_t)runs, sizeof *p->steps);
    p->entities = malloc(sites * sizeof *p->entities);
    p->chains = calloc(sites, sizeof *p->chains);
    p->slots = malloc(p->slot_count * sizeof *p->slots);
    vr_status status = p->readers && p->steps && p->entities && p->chains && p->slots ? VR_OK : no_memory();
    if (status == VR_OK)
        memset(p->slots, 0xff, p->slot_count * sizeof *p->slots);
    for (int i = 0; status == VR_OK && i < runs; i++)
        status = open_reader(p, &p->readers[i], traces[i]);
    if (status != VR_OK) {
        va_pairing_close(p);
        return status;
    }
    *out = p;
    return VR_OK;
}

void va_pairing_close(va_pairing *p)
{
    if (!p)
        return;
    for (int i = 0; p->readers && i < p->runs; i++) {
        free(p->readers[i].entity);
        free(p->readers[i].records);
    }
    free(p->readers);
    free(p->steps);
    free(p->entities);
    free(p->chains);
    free(p->slots);
    free(p->row_entity);
    free(p->row_next);
    free(p->row_records);
    free(p);
}

size_t va_pairing_entity_count(const va_pairing *p)
{
    return p->entity_count;
}

const va_entity *va_pairing_entities(const va_pairing *p)
{
    return p->entities;
}

/* Makes room for `rows` rows; what they hold is lost. */
static vr_status make_rows(va_pairing *p, size_t rows)
{
    if (rows <= p->row_room)
        return VR_OK;
    free(p->row_entity);
    free(p->row_next);
    free(p->row_records);
    p->row_room = 0;
    p->row_entity = malloc(rows * sizeof *p->row_entity);
    p->row_next = malloc(rows * sizeof *p->row_next);
    p->row_records = malloc(rows * (size_t)p->runs * sizeof *p->row_records);
    if (!p->row_entity || !p->row_next || !p->row_records)
        return no_memory();
    p->row_room = rows;
    return VR_OK;
}

/* So that memory does not grow with the number of runs. */
static uint64_t block_of(const va_pairing *p)
{
    const uint64_t block = BLOCKS / (uint64_t)p->runs;
    return block > BLOCK_MOST ? BLOCK_MOST : block < BLOCK_LEAST ? BLOCK_LEAST : block;
}

/* Reads up to `most` of the current step's records that are not paired yet. */
static vr_status read_some(reader *in, uint64_t most)
{
    const uint64_t left = in->step ? in->step->count - in->done : 0;
    in->count = left < most ? left : most;
    if (in->count > in->room) {
        free(in->records);
        in->room = 0;
        in->records = malloc(in->count * sizeof *in->records);
        if (!in->records)
            return no_memory();
        in->room = in->count;
    }
    return in->count ? vr_trace_read_records(in->trace, in->step->first + in->done, in->count, in->records) : VR_OK;
}

static uint32_t entity_at(const reader *in, size_t i)
{
    return in->entity[in->records[i].site];
}

/* How many rows from the start are of the same entity in every run. */
static size_t common_start(const va_pairing *p)
{
    size_t n = p->readers[0].count;
    for (int run = 1; run < p->runs; run++)
        if (p->readers[run].count < n)
            n = p->readers[run].count;
    for (size_t i = 0; i < n; i++)
        for (int run = 1; run < p->runs; run++)
            if (entity_at(&p->readers[run], i) != entity_at(&p->readers[0], i))
                return i;
    return n;
}

/* Rows of runs that go in step. */
static vr_status pair_aligned(va_pairing *p, size_t rows)
{
    const vr_status status = make_rows(p, rows);
    for (size_t i = 0; status == VR_OK && i < rows; i++) {
        p->row_entity[i] = entity_at(&p->readers[0], i);
        for (int run = 0; run < p->runs; run++)
            p->row_records[i * (size_t)p->runs + (size_t)run] = &p->readers[run].records[i];
    }
    for (int run = 0; run < p->runs; run++)
        p->readers[run].done += rows;
    p->batch.rows = status == VR_OK ? rows : 0;
    return status;
}

static uint32_t add_row(va_pairing *p, uint32_t entity)
{
    const uint32_t row = (uint32_t)p->batch.rows++;
    chain *c = &p->chains[entity];
    p->row_entity[row] = entity;
    p->row_next[row] = UINT32_MAX;
    memset(&p->row_records[row * (size_t)p->runs], 0, (size_t)p->runs * sizeof *p->row_records);
    if (c->batch != p->batches)
        *c = (chain){row, row, row, p->batches};
    else {
        p->row_next[c->last] = row;
        c->last = row;
    }
    return row;
}

/* Fits one run's records into the rows: the k-th of an entity to the entity's k-th row. */
static void join(va_pairing *p, int run)
{
    reader *in = &p->readers[run];
    for (size_t i = 0; i < p->entity_count; i++)
        p->chains[i].cursor = p->chains[i].batch == p->batches ? p->chains[i].first : UINT32_MAX;
    for (size_t i = 0; i < in->count; i++) {
        const uint32_t entity = entity_at(in, i);
        chain *c = &p->chains[entity];
        const bool has_row = c->batch == p->batches && c->cursor != UINT32_MAX;
        const uint32_t row = has_row ? c->cursor : add_row(p, entity);
        c->cursor = p->row_next[row];
        p->row_records[row * (size_t)p->runs + (size_t)run] = &in->records[i];
    }
    in->done += in->count;
}

/* The rest of a step in which the runs do not go in step. */
static vr_status pair_rest(va_pairing *p)
{
    size_t rows = 0;
    vr_status status = VR_OK;
    for (int run = 0; status == VR_OK && run < p->runs; run++) {
        status = read_some(&p->readers[run], UINT64_MAX);
        rows += p->readers[run].count;
    }
    if (status == VR_OK && rows >= UINT32_MAX)
        status =
            vr_fail(VR_ERROR_UNSUPPORTED, "step %llu: too many records to pair", (unsigned long long)p->batch.step);
    if (status == VR_OK)
        status = make_rows(p, rows + 1);
    for (int run = 0; status == VR_OK && run < p->runs; run++)
        join(p, run);
    return status;
}

/* Sets the readers on the lowest step that any of them has next. False at the end. */
static bool next_step(va_pairing *p)
{
    const vr_step *lowest = NULL;
    for (int run = 0; run < p->runs; run++) {
        const reader *in = &p->readers[run];
        if (in->at < in->step_count && (!lowest || in->steps[in->at].step < lowest->step))
            lowest = &in->steps[in->at];
    }
    if (!lowest)
        return false;
    p->batch.step = lowest->step;
    p->batch.epoch = lowest->epoch;
    for (int run = 0; run < p->runs; run++) {
        reader *in = &p->readers[run];
        const bool here = in->at < in->step_count && in->steps[in->at].step == lowest->step;
        p->steps[run] = in->step = here ? &in->steps[in->at++] : NULL;
        in->done = 0;
    }
    p->batch.first = true;
    return true;
}

/* Also before the first. */
static bool step_is_done(const va_pairing *p)
{
    for (int run = 0; run < p->runs; run++)
        if (p->readers[run].step && p->readers[run].done < p->readers[run].step->count)
            return false;
    return true;
}

vr_status va_pairing_next(va_pairing *p, const va_batch **out)
{
    *out = NULL;
    p->batch.first = false;
    if (step_is_done(p) && !next_step(p))
        return VR_OK;
    p->batches++;
    p->batch.rows = 0;
    vr_status status = VR_OK;
    for (int run = 0; status == VR_OK && run < p->runs; run++)
        status = read_some(&p->readers[run], block_of(p));
    const size_t aligned = status == VR_OK ? common_start(p) : 0;
    if (status == VR_OK)
        status = aligned ? pair_aligned(p, aligned) : pair_rest(p);
    if (status != VR_OK)
        return status;
    p->batch.entity = p->row_entity;
    p->batch.records = p->row_records;
    p->batch.steps = p->steps;
    *out = &p->batch;
    return VR_OK;
}
