#include "hdf5_data_impl.h"

#include "guard.h"

#include <formats/fail.h>
#include <formats/hdf5_file.h>
#include <stdlib.h>
#include <string.h>

/* Datasets that claim more elements than these bytes, and so many times more than the files have, would take forever.
 */
#define MOST_BYTES ((uint64_t)1 << 40)
#define MOST_RATIO 2048

/* The chunks of a dataset are listed, in place of being looked for one by one, when there would be so many and few are
 * there. Listing n chunks takes about n * n / 2 steps of the library. */
#define SPARSE_CHUNKS ((uint64_t)1 << 20)
#define MOST_LISTED   20000

/* What the elements of a box may point to, on the average. */
#define VARIABLE_BYTES ((uint64_t)32 << 20)

void va_h5_pair_reading(const va_h5_pair *pair, int side)
{
    va_guard_reading(pair->sides[side].in->source->name, pair->sides[side].in->path);
}

vr_status va_h5_pair_damaged(const va_h5_pair *pair, int side, const char *what)
{
    const va_h5_side *in = pair->sides[side].in;
    return vr_fail(VR_ERROR_FORMAT, "%s: %s: %s", in->source->name, in->path, what);
}

vr_status va_h5_pair_no_memory(const va_h5_pair *pair)
{
    const va_h5_side *in = pair->sides[0].in;
    return vr_fail(VR_ERROR_MEMORY, "%s: %s: out of memory", in->source->name, in->path);
}

/* A file that names others, and FIFOs or devices among them, should not decide what is opened. */
static vr_status not_followed(const va_h5_set *set)
{
    return vr_fail(VR_ERROR_UNSUPPORTED,
                   "%s: %s: its data lies in other files; --follow reads them, --exclude leaves it out",
                   set->in->source->name, set->in->path);
}

static vr_status open_side(va_h5_pair *pair, int i, const va_h5_side *in)
{
    va_h5_set *set = &pair->sides[i];
    va_h5_pair_reading(pair, i);
    set->type = H5Dget_type(in->dataset);
    set->space = H5Dget_space(in->dataset);
    set->plist = H5Dget_create_plist(in->dataset);
    if (set->type < 0 || set->space < 0 || set->plist < 0)
        return va_h5_pair_damaged(pair, i, vr_h5_reason());
    set->layout = H5Pget_layout(set->plist);
    set->elsewhere = set->layout == H5D_VIRTUAL || H5Pget_external_count(set->plist) != 0;
    set->stored = H5Dget_storage_size(in->dataset);
    return set->elsewhere && !pair->options->follow ? not_followed(set) : VR_OK;
}

static void close_side(va_h5_set *set)
{
    if (set->type >= 0)
        H5Tclose(set->type);
    if (set->space >= 0)
        H5Sclose(set->space);
    if (set->plist >= 0)
        H5Pclose(set->plist);
}

/* Bytes of the largest element, in a file or in memory. */
static size_t element_room(const va_h5_pair *pair)
{
    size_t size = 1;
    for (int i = 0; i < 2; i++) {
        const size_t file = H5Tget_size(pair->sides[i].type), memory = H5Tget_size(va_plan_type(pair->plan, i));
        size = file > size ? file : size;
        size = memory > size ? memory : size;
    }
    return size;
}

/* The extents, and how many elements they hold: none for a null space. */
static vr_status read_extent(va_h5_pair *pair)
{
    const hid_t a = pair->sides[0].space, b = pair->sides[1].space;
    const bool is_null = H5Sget_simple_extent_type(a) == H5S_NULL;
    pair->rank = H5Sget_simple_extent_ndims(a);
    hsize_t other[H5S_MAX_RANK];
    bool same = pair->rank >= 0 && pair->rank == H5Sget_simple_extent_ndims(b) &&
                is_null == (H5Sget_simple_extent_type(b) == H5S_NULL);
    if (same && pair->rank > 0)
        same = H5Sget_simple_extent_dims(a, pair->dims, NULL) >= 0 && H5Sget_simple_extent_dims(b, other, NULL) >= 0 &&
               memcmp(pair->dims, other, (size_t)pair->rank * sizeof *other) == 0;
    if (!same)
        return vr_fail(VR_ERROR_SHAPE, "%s: the extents differ", pair->sides[0].in->path);
    pair->count = !is_null;
    for (int d = 0; d < pair->rank; d++)
        if (pair->dims[d] == 0)
            pair->count = 0;
    const uint64_t most = INT64_MAX / element_room(pair);
    for (int d = 0; d < pair->rank && pair->count; d++) {
        if (pair->dims[d] > most / pair->count)
            return va_h5_pair_damaged(pair, 0, "damaged: it claims more than 2^63 bytes");
        pair->count *= pair->dims[d];
    }
    return VR_OK;
}

static bool has_pointers(hid_t type);

static bool member_has_pointers(hid_t type, int i)
{
    const hid_t member = H5Tget_member_type(type, (unsigned)i);
    const bool has = member < 0 || has_pointers(member);
    if (member >= 0)
        H5Tclose(member);
    return has;
}

/* Whether elements hold places in the file, which mean the same only in one file. H5Tdetect_class finds no strings of
 * variable length. */
static bool has_pointers(hid_t type)
{
    bool has = false;
    hid_t base;
    switch (H5Tget_class(type)) {
    case H5T_STRING:
        return H5Tis_variable_str(type) != 0;
    case H5T_ARRAY:
        base = H5Tget_super(type);
        has = base < 0 || has_pointers(base);
        if (base >= 0)
            H5Tclose(base);
        return has;
    case H5T_COMPOUND:
        for (int i = 0; i < H5Tget_nmembers(type) && !has; i++)
            has = member_has_pointers(type, i);
        return has;
    case H5T_VLEN:
    case H5T_REFERENCE:
        return true;
    default:
        return false;
    }
}

/* Whether the file's type is the one in memory with its bytes the other way round. */
static bool is_swapped(hid_t file, hid_t memory)
{
    const hid_t other = H5Tcopy(memory);
    const H5T_order_t order = H5Tget_order(memory);
    const bool swapped = (order == H5T_ORDER_LE || order == H5T_ORDER_BE) &&
                         H5Tset_order(other, order == H5T_ORDER_LE ? H5T_ORDER_BE : H5T_ORDER_LE) >= 0 &&
                         H5Tequal(file, other) > 0;
    H5Tclose(other);
    return swapped;
}

/* Whether a side's bytes are numbers of the plan's type, in either byte order. */
static bool read_order(va_h5_pair *pair, int i)
{
    const hid_t file = pair->sides[i].type, memory = va_plan_type(pair->plan, i);
    const bool equal = H5Tequal(file, memory) > 0, swapped = !equal && is_swapped(file, memory);
    pair->raw.sides[i].swapped = swapped && H5Tget_size(file) > 1;
    return equal || swapped;
}

static bool read_chunk(const va_h5_pair *pair, int i, hsize_t *chunk)
{
    const va_h5_set *set = &pair->sides[i];
    return pair->rank > 0 && set->layout == H5D_CHUNKED && H5Pget_chunk(set->plist, pair->rank, chunk) == pair->rank;
}

/* Elements of a box of unfiltered data. What strings and sequences of variable length point to lies elsewhere in the
 * file; a box is as small as its share of the file has to be. */
static uint64_t box_elements(const va_h5_pair *pair)
{
    const uint64_t most = VA_RAW_BOX / element_room(pair);
    const uint64_t a = pair->sides[0].in->source->size, b = pair->sides[1].in->source->size;
    const uint64_t share = (a > b ? a : b) / pair->count + 1, fit = VARIABLE_BYTES / share;
    return va_plan_has_variable(pair->plan) && fit < most ? fit : most;
}

/* Boxes go along the chunks; of datasets with other chunks, along those of one. A filtered chunk is a box, so that it
 * is decoded once. */
static vr_status lay_out(va_h5_pair *pair)
{
    hsize_t other[H5S_MAX_RANK];
    const bool a = read_chunk(pair, 0, pair->chunk), b = read_chunk(pair, 1, other), any = a || b;
    pair->chunked = a && b && memcmp(pair->chunk, other, (size_t)pair->rank * sizeof *other) == 0;
    if (!a && b)
        memcpy(pair->chunk, other, sizeof other);
    uint64_t elements = any ? 1 : pair->count;
    va_raw *raw = &pair->raw;
    raw->element = H5Tget_size(pair->sides[0].type);
    bool fits = true;
    for (int d = 0; d < pair->rank && any; d++)
        fits &= !__builtin_mul_overflow(elements, pair->chunk[d], &elements) && elements <= UINT32_MAX;
    if (!fits) /* the library multiplies in 64 bits, and looks no closer */
        return va_h5_pair_damaged(pair, a ? 0 : 1, "damaged: it claims chunks of 4 GiB or more");
    raw->chunk_bytes = elements * raw->element;
    raw->filtered = any && (H5Pget_nfilters(pair->sides[0].plist) > 0 || H5Pget_nfilters(pair->sides[1].plist) > 0);
    const bool whole = raw->filtered && !va_plan_has_variable(pair->plan);
    va_boxes_begin(&pair->boxes, pair->rank, pair->dims, any ? pair->chunk : NULL,
                   whole ? elements : box_elements(pair));
    return VR_OK;
}

/* Chunks that reach past the dataset's end may be left unfiltered, and the library does not note that with the chunk.
 */
static bool filters_whole_only(const va_h5_set *set)
{
    unsigned options = 0;
    return set->layout == H5D_CHUNKED && H5Pget_chunk_opts(set->plist, &options) >= 0 &&
           options & H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS;
}

/* Whether a contiguous dataset lies in the file in one piece. Behind a user block H5Dget_offset has a place even for
 * one that is not stored. */
static bool place_contiguous(va_h5_pair *pair, int i)
{
    const va_h5_set *set = &pair->sides[i];
    const haddr_t offset = H5Dget_offset(set->in->dataset);
    const uint64_t bytes = pair->raw.chunk_bytes, size = set->in->source->size;
    pair->places[i] = (vr_h5_chunk){.offset = offset, .bytes = bytes};
    return set->layout == H5D_CONTIGUOUS && !set->elsewhere && set->stored && offset != HADDR_UNDEF && offset <= size &&
           bytes <= size - offset;
}

static vr_status choose_way(va_h5_pair *pair)
{
    va_raw *raw = &pair->raw;
    raw->boxes = &pair->boxes;
    raw->tolerance = pair->options->tolerance;
    raw->dtype = va_plan_dtype(pair->plan);
    raw->statistics = pair->options->statistics && raw->dtype;
    raw->same_types = H5Tequal(pair->sides[0].type, pair->sides[1].type) > 0 && !has_pointers(pair->sides[0].type);
    const vr_status status = lay_out(pair);
    if (status != VR_OK)
        return status;
    bool fine = H5Tget_size(pair->sides[0].type) == H5Tget_size(pair->sides[1].type), ordered = true;
    for (int i = 0; i < 2; i++) {
        raw->sides[i].source = pair->sides[i].in->source;
        const bool known = vr_h5_pipeline_read(&raw->sides[i].pipeline, pair->sides[i].plist);
        pair->sides[i].whole_only = filters_whole_only(&pair->sides[i]);
        const bool placed =
            pair->chunked ? known && vr_h5_has_places(pair->sides[i].in->dataset) : place_contiguous(pair, i);
        fine = fine && placed;
        ordered = raw->dtype && read_order(pair, i) && ordered;
    }
    pair->by_bytes = fine && (raw->dtype ? ordered : raw->same_types);
    return VR_OK;
}

/* Sparse datasets. */

static vr_status count_chunks(const va_h5_pair *pair, uint64_t counts[2])
{
    for (int i = 0; i < 2; i++) {
        hsize_t n;
        va_h5_pair_reading(pair, i);
        if (H5Dget_num_chunks(pair->sides[i].in->dataset, pair->sides[i].space, &n) < 0)
            return va_h5_pair_damaged(pair, i, vr_h5_reason());
        counts[i] = n;
    }
    return VR_OK;
}

static uint64_t grid_of(const va_h5_pair *pair)
{
    uint64_t chunks = 1;
    for (int d = 0; d < pair->rank; d++)
        chunks *= (pair->dims[d] - 1) / pair->chunk[d] + 1;
    return chunks;
}

static int by_coordinates(const void *a, const void *b, void *rank)
{
    const hsize_t *x = a, *y = b;
    for (int d = 0; d < *(const int *)rank; d++)
        if (x[d] != y[d])
            return x[d] < y[d] ? -1 : 1;
    return 0;
}

/* Sorts the list and drops what is twice in it. */
static void tidy(va_h5_pair *pair)
{
    va_chunk_list *list = &pair->list;
    const uint64_t rank = (uint64_t)pair->rank;
    qsort_r(list->starts, list->count, rank * sizeof(hsize_t), by_coordinates, &pair->rank);
    uint64_t kept = 0;
    for (uint64_t i = 0; i < list->count; i++) {
        const hsize_t *at = list->starts + i * rank;
        if (kept == 0 || by_coordinates(at, list->starts + (kept - 1) * rank, &pair->rank) != 0)
            memmove(list->starts + kept++ * rank, at, rank * sizeof *at);
    }
    list->count = kept;
}

static vr_status too_large(const va_h5_pair *pair)
{
    return vr_fail(VR_ERROR_UNSUPPORTED, "%s: %s: claims %llu elements, far more than the file holds; not compared",
                   pair->sides[0].in->source->name, pair->sides[0].in->path, (unsigned long long)pair->count);
}

/* The coordinates of chunk k of a side. HDF5 1.10.8 has wrong ones for some extensible arrays, so they are looked up.
 */
static vr_status list_chunk(const va_h5_pair *pair, int i, uint64_t k, hsize_t *start)
{
    const va_h5_set *set = &pair->sides[i];
    unsigned mask;
    haddr_t place;
    hsize_t bytes;
    vr_h5_chunk found;
    va_h5_pair_reading(pair, i);
    if (H5Dget_chunk_info(set->in->dataset, set->space, k, start, &mask, &place, &bytes) < 0)
        return va_h5_pair_damaged(pair, i, vr_h5_reason());
    for (int d = 0; d < pair->rank; d++)
        if (start[d] >= pair->dims[d] || start[d] % pair->chunk[d])
            return too_large(pair);
    const bool same = vr_h5_chunk_find(&found, set->in->dataset, start) == VR_OK && found.bytes == bytes &&
                      found.offset >= place && (found.offset - place) % 512 == 0; /* a user block may lie before */
    return same ? VR_OK : too_large(pair);
}

static vr_status list_chunks(va_h5_pair *pair, const uint64_t counts[2])
{
    const uint64_t rank = (uint64_t)pair->rank;
    pair->list.starts = malloc(((counts[0] + counts[1]) * rank + 1) * sizeof(hsize_t));
    if (!pair->list.starts)
        return va_h5_pair_no_memory(pair);
    for (int i = 0; i < 2; i++)
        for (uint64_t k = 0; k < counts[i]; k++, pair->list.count++) {
            const vr_status status = list_chunk(pair, i, k, pair->list.starts + pair->list.count * rank);
            if (status != VR_OK)
                return status;
        }
    tidy(pair);
    if (pair->list.count)
        va_boxes_seek(&pair->boxes, pair->list.starts);
    return VR_OK;
}

static bool is_unstored(const va_h5_set *set)
{
    return set->stored == 0 && !set->elsewhere;
}

/* Lists the chunks where few of many are there. */
static vr_status list_if_sparse(va_h5_pair *pair)
{
    uint64_t counts[2];
    if (!pair->chunked || !pair->by_bytes || grid_of(pair) <= SPARSE_CHUNKS)
        return VR_OK;
    const vr_status status = count_chunks(pair, counts);
    if (status != VR_OK || counts[0] + counts[1] >= grid_of(pair) / 16)
        return status;
    pair->listed = true;
    return counts[0] + counts[1] <= MOST_LISTED ? list_chunks(pair, counts) : too_large(pair);
}

/* What is far larger than its file is not walked element by element. */
static vr_status bound(va_h5_pair *pair)
{
    pair->listed = is_unstored(&pair->sides[0]) && is_unstored(&pair->sides[1]);
    if (pair->listed)
        return VR_OK;
    const vr_status status = list_if_sparse(pair);
    if (status != VR_OK || pair->listed)
        return status;
    const uint64_t bytes = pair->count * element_room(pair);
    const uint64_t files = pair->sides[0].in->source->size + pair->sides[1].in->source->size;
    const bool stored = pair->sides[0].stored || pair->sides[1].stored;
    return bytes <= MOST_BYTES || (stored && bytes / MOST_RATIO <= files) ? VR_OK : too_large(pair);
}

vr_status va_h5_pair_open(va_h5_pair *pair, const va_h5_side *a, const va_h5_side *b, const va_h5_options *options)
{
    *pair = (va_h5_pair){.options = options};
    for (int i = 0; i < 2; i++)
        pair->sides[i] = (va_h5_set){.in = i ? b : a, .type = -1, .space = -1, .plist = -1};
    vr_status status = open_side(pair, 0, a);
    if (status == VR_OK)
        status = open_side(pair, 1, b);
    if (status == VR_OK)
        status = va_plan_open(&pair->plan, pair->sides[0].type, pair->sides[1].type, options);
    if (status == VR_OK)
        status = read_extent(pair);
    if (status != VR_OK || pair->count == 0)
        return status;
    status = choose_way(pair);
    if (status == VR_OK)
        status = bound(pair);
    if (pair->listed)
        pair->raw.statistics = false; /* they would lack what is in no chunk */
    return status;
}

void va_h5_pair_close(va_h5_pair *pair)
{
    va_plan_close(pair->plan);
    close_side(&pair->sides[0]);
    close_side(&pair->sides[1]);
    free(pair->list.starts);
}
