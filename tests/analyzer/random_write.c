/* Random trees as files: see random_hdf5.h. */
#include "random_hdf5.h"

#include <stdlib.h>
#include <string.h>

#define COMPACT_BYTES 4096 /* bytes that a compact dataset may hold */

typedef struct writer {
    const rh_tree *tree;
    rh_random random;
    hid_t file;
    bool narrow; /* sizes of four bytes, in which the library does not know again what has no bound */
} writer;

static hid_t space_of(const rh_values *values, const hsize_t *most)
{
    return rh_good(values->space == H5S_SIMPLE ? H5Screate_simple(values->rank, values->shape, most)
                                               : H5Screate(values->space));
}

static bool is_plain_number(hid_t type)
{
    return H5Tget_class(type) == H5T_INTEGER || H5Tget_class(type) == H5T_FLOAT;
}

static bool has_size_of_number(hid_t type)
{
    const size_t size = H5Tget_size(type);
    return size == 1 || size == 2 || size == 4 || size == 8;
}

/* Filters that keep every bit of a value: those that know numbers are put on numbers only. */
static void choose_filters(writer *w, hid_t properties, const rh_values *values, hsize_t chunk_elements)
{
    rh_random *random = &w->random;
    const hid_t type = values->type;
    const bool whole =
        is_plain_number(type) && has_size_of_number(type) && H5Tget_precision(type) == 8 * H5Tget_size(type);
    const int kind = rh_below(random, 8);
    if (rh_is_variable(type)) /* the library has no filters for these */
        return;
    if (kind == 0 && whole && H5Tget_class(type) == H5T_INTEGER && !values->fill)
        rh_good(H5Pset_scaleoffset(properties, H5Z_SO_INT, H5Z_SO_INT_MINBITS_DEFAULT));
    if (kind == 1 && is_plain_number(type))
        rh_good(H5Pset_nbit(properties));
    if (kind == 2 && whole && chunk_elements >= 8 && H5Zfilter_avail(H5Z_FILTER_SZIP) > 0)
        rh_good(H5Pset_szip(properties, H5_SZIP_NN_OPTION_MASK, 8));
    if (kind > 2 && rh_one_in(random, 2))
        rh_good(H5Pset_shuffle(properties));
    if (kind > 2 && rh_one_in(random, 2))
        rh_good(H5Pset_deflate(properties, (unsigned)rh_below(random, 10)));
    if (rh_one_in(random, 4))
        rh_good(H5Pset_fletcher32(properties));
}

/* The shape may grow without bound in some dimensions; where it is empty, it has to. */
static void choose_chunks(writer *w, hid_t properties, const rh_values *values, hsize_t most[RH_RANK])
{
    static const H5D_alloc_time_t times[] = {H5D_ALLOC_TIME_EARLY, H5D_ALLOC_TIME_LATE, H5D_ALLOC_TIME_INCR};
    hsize_t chunk[RH_RANK], elements = 1;
    for (int i = 0; i < values->rank; i++) {
        const hsize_t size = values->shape[i];
        most[i] = size == 0 || (!w->narrow && rh_one_in(&w->random, 3)) ? H5S_UNLIMITED : size;
        chunk[i] = 1 + (hsize_t)rh_below(&w->random, size > 0 ? (int)size : 3);
        elements *= chunk[i];
    }
    rh_good(H5Pset_chunk(properties, values->rank, chunk));
    rh_good(H5Pset_alloc_time(properties, times[rh_below(&w->random, 3)]));
    choose_filters(w, properties, values, elements);
    if (rh_one_in(&w->random, 4))
        rh_good(H5Pset_chunk_opts(properties, H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS));
}

static void choose_layout(writer *w, hid_t properties, const rh_values *values, hsize_t most[RH_RANK])
{
    const int kind = rh_below(&w->random, 4);
    memcpy(most, values->shape, sizeof values->shape);
    if (kind == 0 && rh_count(values) * H5Tget_size(values->type) <= COMPACT_BYTES)
        rh_good(H5Pset_layout(properties, H5D_COMPACT));
    else if (kind >= 2 && values->space == H5S_SIMPLE && !(w->narrow && rh_count(values) == 0))
        choose_chunks(w, properties, values, most);
    else if (rh_one_in(&w->random, 2))
        rh_good(H5Pset_alloc_time(properties, H5D_ALLOC_TIME_EARLY));
}

static hid_t object_properties(writer *w, hid_t class)
{
    hid_t properties = rh_good(H5Pcreate(class));
    rh_good(H5Pset_obj_track_times(properties, false));
    if (rh_one_in(&w->random, 3))
        rh_good(H5Pset_attr_creation_order(properties, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED));
    if (rh_one_in(&w->random, 3)) /* attributes in a heap from the first on */
        rh_good(H5Pset_attr_phase_change(properties, 0, 0));
    return properties;
}

/* Where the type is that of a named type too, it may be that one. */
static hid_t stored_type(writer *w, hid_t type)
{
    char path[RH_PATH];
    if (rh_type_has(type, H5T_STRING)) /* H5Tequal overlooks the character set of some */
        return type;
    for (int i = 0; i < w->tree->nodes; i++)
        if (w->tree->node[i].kind == RH_TYPE && H5Tequal(w->tree->node[i].values.type, type) > 0 &&
            rh_one_in(&w->random, 2)) {
            rh_path(w->tree, i, path);
            return rh_good(H5Topen2(w->file, path, H5P_DEFAULT));
        }
    return type;
}

static void create_dataset(writer *w, const rh_values *values, const char *path)
{
    hsize_t most[RH_RANK];
    hid_t properties = object_properties(w, H5P_DATASET_CREATE);
    choose_layout(w, properties, values, most);
    if (values->fill)
        rh_good(H5Pset_fill_value(properties, values->type, values->fill));
    rh_good(H5Dcreate2(w->file, path, stored_type(w, values->type), space_of(values, most), H5P_DEFAULT, properties,
                       H5P_DEFAULT));
}

static void create_group(writer *w, const char *path)
{
    hid_t properties = object_properties(w, H5P_GROUP_CREATE);
    if (rh_one_in(&w->random, 3))
        rh_good(H5Pset_link_creation_order(properties, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED));
    if (rh_one_in(&w->random, 3)) /* links in a heap from the first on */
        rh_good(H5Pset_link_phase_change(properties, 0, 0));
    rh_good(H5Gcreate2(w->file, path, H5P_DEFAULT, properties, H5P_DEFAULT));
}

static void create_object(writer *w, int i, rh_kind kind)
{
    char path[RH_PATH];
    const rh_node *node = &w->tree->node[i];
    if (node->kind != kind)
        return;
    rh_path(w->tree, i, path);
    if (kind == RH_GROUP && i > 0)
        create_group(w, path);
    else if (kind == RH_TYPE)
        rh_good(H5Tcommit2(w->file, path, rh_good(H5Tcopy(node->values.type)), H5P_DEFAULT,
                           object_properties(w, H5P_DATATYPE_CREATE), H5P_DEFAULT));
    else if (kind == RH_DATASET)
        create_dataset(w, &node->values, path);
}

static void create_link(writer *w, int i)
{
    char path[RH_PATH], target[RH_PATH];
    const rh_node *node = &w->tree->node[i];
    rh_path(w->tree, i, path);
    if (node->kind == RH_HARD) {
        rh_path(w->tree, node->target, target);
        rh_good(H5Lcreate_hard(w->file, target, w->file, path, H5P_DEFAULT, H5P_DEFAULT));
    } else if (node->kind == RH_SOFT) {
        rh_good(H5Lcreate_soft(node->path, w->file, path, H5P_DEFAULT, H5P_DEFAULT));
    } else if (node->kind == RH_EXTERNAL) {
        rh_good(H5Lcreate_external(node->file, node->path, w->file, path, H5P_DEFAULT, H5P_DEFAULT));
    }
}

/* The region of number `which` of a dataset: a block, or points. */
static hid_t region_of(const rh_values *values, uint8_t which)
{
    hsize_t start[RH_RANK], count[RH_RANK];
    hid_t space = space_of(values, NULL);
    for (int i = 0; i < values->rank; i++) {
        start[i] = which % values->shape[i];
        count[i] = 1 + which % (values->shape[i] - start[i]);
    }
    if (which % 2)
        rh_good(H5Sselect_elements(space, H5S_SELECT_SET, 1, start));
    else
        rh_good(H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL));
    return space;
}

static void refer(writer *w, hid_t type, uint8_t *element)
{
    int64_t to;
    char path[RH_PATH];
    const bool is_region = H5Tequal(type, H5T_STD_REF_DSETREG) > 0;
    memcpy(&to, element, sizeof to);
    const uint8_t which = is_region ? element[sizeof to] : 0;
    memset(element, 0, H5Tget_size(type));
    if (to < 0 || to >= w->tree->nodes || w->tree->node[to].kind > RH_TYPE)
        return;
    const rh_node *node = &w->tree->node[to];
    rh_path(w->tree, (int)to, path);
    if (!is_region)
        rh_good(H5Rcreate(element, w->file, path, H5R_OBJECT, -1));
    else if (node->kind == RH_DATASET && node->values.rank > 0 && rh_count(&node->values) > 0)
        rh_good(H5Rcreate(element, w->file, path, H5R_DATASET_REGION, region_of(&node->values, which)));
}

/* Makes references of what stands for them in an element. */
static void refer_all(writer *w, hid_t type, uint8_t *element)
{
    const H5T_class_t class = H5Tget_class(type);
    if (class == H5T_REFERENCE) {
        refer(w, type, element);
    } else if (class == H5T_COMPOUND) {
        for (unsigned i = 0; i < (unsigned)H5Tget_nmembers(type); i++)
            refer_all(w, H5Tget_member_type(type, i), element + H5Tget_member_offset(type, i));
    } else if (class == H5T_ARRAY) {
        hid_t base = H5Tget_super(type);
        for (size_t at = 0; at < H5Tget_size(type); at += H5Tget_size(base))
            refer_all(w, base, element + at);
    }
}

/* The elements as the library takes them; the caller's to free. */
static uint8_t *elements_of(writer *w, const rh_values *values)
{
    const size_t size = H5Tget_size(values->type);
    const hsize_t count = rh_count(values);
    uint8_t *elements = malloc((size_t)count * size + 1);
    if (!elements)
        abort();
    memcpy(elements, values->data, (size_t)count * size);
    for (hsize_t i = 0; rh_type_has(values->type, H5T_REFERENCE) && i < count; i++)
        refer_all(w, values->type, elements + i * size);
    return elements;
}

/* The rows that are not fill, or all of them: both read the same. */
static void write_dataset(writer *w, int i)
{
    char path[RH_PATH];
    const rh_values *values = &w->tree->node[i].values;
    rh_path(w->tree, i, path);
    hsize_t start[RH_RANK] = {0}, count[RH_RANK];
    hid_t dataset = rh_good(H5Dopen2(w->file, path, H5P_DEFAULT)), space = rh_good(H5Dget_space(dataset));
    memcpy(count, values->shape, sizeof count);
    if (values->rank > 0 && rh_one_in(&w->random, 2))
        count[0] = values->written;
    if (rh_count(values) == 0 || (values->rank > 0 && count[0] == 0))
        return;
    uint8_t *elements = elements_of(w, values);
    if (values->rank > 0)
        rh_good(H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL));
    rh_good(H5Dwrite(dataset, values->type, space, space, H5P_DEFAULT, elements));
    free(elements);
}

static void write_attribute(writer *w, hid_t object, const rh_attribute *attribute)
{
    const rh_values *values = &attribute->values;
    hid_t id = rh_good(H5Acreate2(object, attribute->name, stored_type(w, values->type), space_of(values, NULL),
                                  H5P_DEFAULT, H5P_DEFAULT));
    uint8_t *elements = elements_of(w, values);
    if (rh_count(values) > 0)
        rh_good(H5Awrite(id, values->type, elements));
    free(elements);
}

static void write_attributes(writer *w, int i)
{
    char path[RH_PATH];
    const rh_node *node = &w->tree->node[i];
    if (node->kind > RH_TYPE || node->attributes == 0)
        return;
    rh_path(w->tree, i, path);
    hid_t object = rh_good(H5Oopen(w->file, path, H5P_DEFAULT));
    const int first = rh_below(&w->random, node->attributes);
    for (int k = 0; k < node->attributes; k++)
        write_attribute(w, object, &node->attribute[(first + k) % node->attributes]);
}

static hid_t create_file(writer *w, const char *path)
{
    hid_t creation = object_properties(w, H5P_FILE_CREATE), access = rh_good(H5Pcreate(H5P_FILE_ACCESS));
    const size_t width = w->narrow ? 4 : 8;
    rh_good(H5Pset_sizes(creation, width, width));
    if (rh_one_in(&w->random, 8))
        rh_good(H5Pset_userblock(creation, 512));
    if (rh_one_in(&w->random, 8)) { /* messages of several objects kept once */
        rh_good(H5Pset_shared_mesg_nindexes(creation, 1));
        rh_good(H5Pset_shared_mesg_index(creation, 0, H5O_SHMESG_ALL_FLAG, 16));
    }
    rh_good(H5Pset_fclose_degree(access, H5F_CLOSE_STRONG));
    rh_good(H5Pset_libver_bounds(access, rh_one_in(&w->random, 2) ? H5F_LIBVER_LATEST : H5F_LIBVER_EARLIEST,
                                 H5F_LIBVER_LATEST));
    return rh_good(H5Fcreate(path, H5F_ACC_TRUNC, creation, access));
}

void rh_tree_write(const rh_tree *tree, const char *path, uint64_t style)
{
    writer w = {tree, {style}, -1, false};
    w.narrow = rh_one_in(&w.random, 4);
    w.file = create_file(&w, path);
    for (int i = 1; i < tree->nodes; i++)
        create_object(&w, i, RH_GROUP);
    for (int i = 1; i < tree->nodes; i++)
        create_object(&w, i, RH_TYPE);
    const bool backwards = rh_one_in(&w.random, 2);
    for (int i = 1; i < tree->nodes; i++)
        create_object(&w, backwards ? tree->nodes - i : i, RH_DATASET);
    for (int i = 1; i < tree->nodes; i++)
        create_link(&w, i);
    for (int i = 0; i < tree->nodes; i++)
        if (tree->node[i].kind == RH_DATASET)
            write_dataset(&w, i);
    for (int i = 0; i < tree->nodes; i++)
        write_attributes(&w, i);
    rh_good(H5Fclose(w.file));
}
