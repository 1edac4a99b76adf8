#include "hdf5_diff.h"

#include "guard.h"
#include "hdf5_data.h"

#include <formats/fail.h>
#include <formats/hdf5_file.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TYPE_TEXT 512

typedef struct diffing {
    va_h5_diff *diff;
    const va_h5_diff_options *options;
    const hid_t *files;
    const vr_source *const *sources;
    uint64_t found; /* differing elements and objects, held against `stop` */
} diffing;

/* A dataset or an attribute of one side. */
typedef struct holder {
    const char *path;
    hid_t id, type, space;
    H5S_class_t extent;
    int rank;
    hsize_t dims[H5S_MAX_RANK];
    uint64_t count; /* elements */
} holder;

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "comparing two files: out of memory");
}

static vr_status damaged(const diffing *d, int side, const char *path, const char *what)
{
    return vr_fail(VR_ERROR_FORMAT, "%s: %s: %s: %s", d->diff->names[side], path, what, vr_h5_reason());
}

/* A failure of va_plan_open, which knows of no files. */
static vr_status name_failure(const diffing *d, vr_status status, const char *path)
{
    if (status == VR_ERROR_MEMORY)
        return status;
    return vr_fail(status, "%s, %s: %s: %s; --exclude leaves it out", d->diff->names[0], d->diff->names[1], path,
                   vr_error());
}

/* ---- findings ---- */

static void free_finding(va_h5_finding *f)
{
    for (int s = 0; s < 2; s++) {
        free(f->path[s]);
        free(f->type[s]);
        free(f->shape[s]);
        free(f->target[s]);
    }
    free(f->note);
    free(f->values);
    free(f->first);
}

static vr_status copy_text(char **out, const char *text)
{
    *out = text ? strdup(text) : NULL;
    return !text || *out ? VR_OK : no_memory();
}

static vr_status begin_finding(va_h5_finding *f, const va_h5_kind kind[2], const char *const path[2])
{
    *f = (va_h5_finding){.kind = {kind[0], kind[1]}};
    vr_status status = VR_OK;
    for (int s = 0; status == VR_OK && s < 2; s++)
        status = copy_text(&f->path[s], kind[s] ? path[s] : NULL);
    return status;
}

static vr_status keep_finding(va_h5_diff *diff, const va_h5_finding *f)
{
    if (diff->count == diff->room) {
        const size_t room = diff->room ? 2 * diff->room : 16;
        va_h5_finding *grown = realloc(diff->findings, room * sizeof *grown);
        if (!grown)
            return no_memory();
        diff->findings = grown;
        diff->room = room;
    }
    diff->findings[diff->count++] = *f;
    return VR_OK;
}

static void count_finding(diffing *d, const va_h5_finding *f)
{
    const bool is_attribute = f->kind[0] == VA_H5_ATTRIBUTE || f->kind[1] == VA_H5_ATTRIBUTE;
    va_h5_tally *tally = is_attribute ? &d->diff->attributes : &d->diff->objects;
    if (f->reasons & VA_H5_ONE_SIDED)
        tally->only[f->kind[0] ? 0 : 1]++;
    else
        tally->compared++;
    tally->different += f->reasons && !(f->reasons & VA_H5_ONE_SIDED);
    if (f->values) {
        d->diff->elements += f->values->count;
        d->diff->different += f->values->different;
        d->diff->unequal += f->values->unequal;
    }
    if (f->reasons)
        d->found += f->reasons == VA_H5_OTHER_VALUES ? f->values->different : 1;
}

/* Whether there is something to say. */
static bool is_telling(const va_h5_finding *f)
{
    return f->reasons || f->note || (f->values && f->values->has_statistics);
}

/* Whether as many as are wanted have been kept; a table of statistics is of all. */
static bool is_too_much(diffing *d, const va_h5_finding *f)
{
    const bool in_table = f->values && f->values->has_statistics;
    if (!f->reasons || in_table || !d->options->most || d->diff->kept < d->options->most) {
        d->diff->kept += f->reasons != 0;
        return false;
    }
    d->diff->left_out++;
    return true;
}

/* Counts a finding and keeps it if there is something to say; frees it otherwise. Ends the walk with
 * VR_ERROR_INCOMPLETE where enough was found. */
static vr_status end_finding(diffing *d, va_h5_finding *f)
{
    const uint64_t stop = d->options->values.stop;
    count_finding(d, f);
    vr_status status = VR_OK;
    if (is_telling(f) && !is_too_much(d, f))
        status = keep_finding(d->diff, f);
    else
        free_finding(f);
    if (status != VR_OK) {
        free_finding(f);
        return status;
    }
    d->diff->stopped = stop && d->found >= stop;
    return d->diff->stopped ? VR_ERROR_INCOMPLETE : VR_OK;
}

/* ---- datasets and attributes ---- */

static vr_status read_extent(const diffing *d, int side, holder *h)
{
    h->extent = H5Sget_simple_extent_type(h->space);
    h->rank = H5Sget_simple_extent_ndims(h->space);
    if (h->extent == H5S_NO_CLASS || h->rank < 0 || H5Sget_simple_extent_dims(h->space, h->dims, NULL) < 0)
        return damaged(d, side, h->path, "the extent cannot be read");
    bool empty = h->extent == H5S_NULL, fits = true;
    h->count = 1;
    for (int i = 0; i < h->rank; i++) {
        empty |= h->dims[i] == 0;
        fits &= !__builtin_mul_overflow(h->count, h->dims[i], &h->count) && h->count <= INT64_MAX;
    }
    if (empty)
        h->count = 0;
    return empty || fits ? VR_OK
                         : vr_fail(VR_ERROR_FORMAT, "%s: %s: damaged: an extent of more than 2^63 elements",
                                   d->diff->names[side], h->path);
}

static vr_status open_holder(const diffing *d, int side, holder *h, bool is_attribute)
{
    h->type = is_attribute ? H5Aget_type(h->id) : H5Dget_type(h->id);
    if (h->type < 0)
        return damaged(d, side, h->path, "the type cannot be read");
    h->space = is_attribute ? H5Aget_space(h->id) : H5Dget_space(h->id);
    if (h->space < 0)
        return damaged(d, side, h->path, "the extent cannot be read");
    return read_extent(d, side, h);
}

static void close_holder(holder *h)
{
    if (h->type >= 0)
        H5Tclose(h->type);
    if (h->space >= 0)
        H5Sclose(h->space);
}

static vr_status note_shape(char **out, const holder *h)
{
    char text[H5S_MAX_RANK * 22 + 3];
    int used = 0;
    if (h->extent != H5S_SIMPLE)
        return copy_text(out, h->extent == H5S_NULL ? "null" : "scalar");
    for (int i = 0; i < h->rank; i++)
        used += sprintf(text + used, "%c%" PRIu64, i ? ',' : '[', (uint64_t)h->dims[i]);
    strcpy(text + used, "]");
    return copy_text(out, text);
}

static vr_status note_types(va_h5_finding *f, const holder h[2])
{
    vr_status status = VR_OK;
    char text[TYPE_TEXT];
    for (int s = 0; status == VR_OK && s < 2; s++) {
        va_h5_type_text(text, sizeof text, h[s].type);
        status = copy_text(&f->type[s], text);
        if (status == VR_OK)
            status = note_shape(&f->shape[s], &h[s]);
    }
    return status;
}

/* In what types differ that cannot be compared, as va_plan_open has said it, if it is a part of them. */
static vr_status note_difference(va_h5_finding *f)
{
    f->reasons |= VA_H5_OTHER_TYPE;
    return *vr_error() == '.' ? copy_text(&f->note, vr_error()) : VR_OK;
}

/* In what types differ that can. */
static vr_status note_likeness(va_h5_finding *f)
{
    if (strcmp(f->type[0], f->type[1]) == 0)
        return VR_OK;
    if (asprintf(&f->note, "%s against %s", f->type[0], f->type[1]) < 0) {
        f->note = NULL;
        return no_memory();
    }
    return VR_OK;
}

static bool same_shape(const holder *a, const holder *b)
{
    return a->extent == b->extent && a->rank == b->rank &&
           memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

static vr_status note_first(va_h5_finding *f, const holder *h)
{
    if (f->values->first < 0)
        return VR_OK;
    f->first = calloc((size_t)h->rank + 1, sizeof *f->first);
    if (!f->first)
        return no_memory();
    f->rank = h->rank;
    uint64_t index = (uint64_t)f->values->first;
    for (int i = h->rank; i-- > 0; index /= h->dims[i])
        f->first[i] = index % h->dims[i];
    return VR_OK;
}

/* Options for one pair: what is left of `stop`. */
static va_h5_options options_left(const diffing *d)
{
    va_h5_options options = d->options->values;
    if (options.stop)
        options.stop -= d->found; /* there is some left: the walk would have ended */
    return options;
}

/* Reads an attribute whole, as `type`; `*out` is the caller's to free. What it claims is held against the file. */
static vr_status read_attribute(const diffing *d, int side, const holder *h, hid_t type, void **out)
{
    hsize_t file_size = 0, bytes;
    const size_t size = H5Tget_size(type), stored = H5Tget_size(h->type);
    *out = NULL;
    H5Fget_filesize(d->files[side], &file_size);
    if (__builtin_mul_overflow(h->count, stored, &bytes) || bytes > file_size ||
        __builtin_mul_overflow(h->count, size, &bytes) || bytes > SIZE_MAX / 2)
        return vr_fail(VR_ERROR_FORMAT, "%s: %s: damaged: an attribute larger than the file", d->diff->names[side],
                       h->path);
    *out = calloc(1, bytes + 1);
    if (!*out)
        return no_memory();
    va_guard_reading(d->diff->names[side], h->path);
    return H5Aread(h->id, type, *out) >= 0 ? VR_OK : damaged(d, side, h->path, "the attribute cannot be read");
}

static vr_status compare_attribute_values(const diffing *d, const va_plan *plan, const holder h[2],
                                          va_h5_result *result)
{
    void *values[2] = {NULL, NULL};
    bool read[2] = {false, false};
    vr_status status = VR_OK;
    for (int s = 0; status == VR_OK && s < 2; s++) {
        status = read_attribute(d, s, &h[s], va_plan_type(plan, s), &values[s]);
        read[s] = status == VR_OK;
    }
    if (status == VR_OK)
        va_plan_compare(plan, result, d->files, values[0], values[1], h[0].count, 0);
    for (int s = 0; s < 2; s++) {
        if (read[s] && va_plan_has_variable(plan))
            H5Dvlen_reclaim(va_plan_type(plan, s), h[s].space, H5P_DEFAULT, values[s]);
        free(values[s]);
    }
    return status;
}

static vr_status compare_values(const diffing *d, va_h5_finding *f, const va_plan *plan, const holder h[2])
{
    const va_h5_options options = options_left(d);
    f->values = malloc(sizeof *f->values);
    if (!f->values)
        return no_memory();
    *f->values = (va_h5_result)VA_H5_RESULT_INIT;
    vr_status status;
    if (f->kind[0] == VA_H5_ATTRIBUTE)
        status = compare_attribute_values(d, plan, h, f->values);
    else {
        const va_h5_side a = {h[0].id, d->sources[0], h[0].path}, b = {h[1].id, d->sources[1], h[1].path};
        status = va_h5_compare_data(f->values, &a, &b, &options);
    }
    if (status == VR_OK && f->values->different)
        f->reasons |= VA_H5_OTHER_VALUES;
    return status == VR_OK ? note_first(f, &h[0]) : status;
}

/* Compares two datasets or two attributes: types, shapes, then values. */
static vr_status compare_holders(const diffing *d, va_h5_finding *f, const holder h[2])
{
    va_plan *plan = NULL;
    const va_h5_options options = options_left(d);
    vr_status status = va_plan_open(&plan, h[0].type, h[1].type, &options);
    if (status != VR_OK && status != VR_ERROR_SHAPE)
        return name_failure(d, status, h[0].path);
    if (status == VR_ERROR_SHAPE)
        status = note_difference(f);
    if (!same_shape(&h[0], &h[1]))
        f->reasons |= VA_H5_OTHER_SHAPE;
    if (status == VR_OK && !f->reasons && h[0].count)
        status = compare_values(d, f, plan, h);
    const bool alike = H5Tequal(h[0].type, h[1].type) > 0;
    if (status == VR_OK && (!alike || is_telling(f)))
        status = note_types(f, h);
    if (status == VR_OK && !alike && !(f->reasons & VA_H5_OTHER_TYPE))
        status = note_likeness(f);
    va_plan_close(plan);
    return status;
}

/* Compares and counts an open pair. */
static vr_status diff_holders(diffing *d, va_h5_kind kind, holder h[2])
{
    va_h5_finding f;
    vr_status status =
        begin_finding(&f, (const va_h5_kind[2]){kind, kind}, (const char *const[2]){h[0].path, h[1].path});
    for (int s = 0; s < 2; s++)
        h[s].type = h[s].space = -1;
    for (int s = 0; status == VR_OK && s < 2; s++) {
        va_guard_reading(d->diff->names[s], h[s].path);
        status = open_holder(d, s, &h[s], kind == VA_H5_ATTRIBUTE);
    }
    if (status == VR_OK)
        status = compare_holders(d, &f, h);
    close_holder(&h[0]);
    close_holder(&h[1]);
    if (status == VR_OK)
        return end_finding(d, &f);
    free_finding(&f);
    return status;
}

/* ---- attributes ---- */

static herr_t gather_attribute(hid_t object, const char *name, const H5A_info_t *info, void *names)
{
    (void)object, (void)info;
    return va_h5_add_name(names, name) == VR_OK ? 0 : -1;
}

static vr_status read_attribute_names(const diffing *d, int side, const va_h5_object *object, va_h5_names *out)
{
    hsize_t at = 0;
    va_guard_reading(d->diff->names[side], object->path);
    if (H5Aiterate2(object->id, H5_INDEX_NAME, H5_ITER_INC, &at, gather_attribute, out) < 0)
        return damaged(d, side, object->path, "the attributes cannot be read");
    va_h5_sort_names(out);
    return VR_OK;
}

static vr_status one_sided(diffing *d, const va_h5_kind kind[2], const char *const path[2])
{
    va_h5_finding f;
    const vr_status status = begin_finding(&f, kind, path);
    f.reasons = VA_H5_ONE_SIDED;
    if (status == VR_OK)
        return end_finding(d, &f);
    free_finding(&f);
    return status;
}

static vr_status diff_attribute(diffing *d, const va_h5_object pair[2], const char *name, const char *const path[2])
{
    holder h[2] = {{.path = path[0], .id = -1}, {.path = path[1], .id = -1}};
    vr_status status = VR_OK;
    for (int s = 0; status == VR_OK && s < 2; s++) {
        va_guard_reading(d->diff->names[s], path[s]);
        h[s].id = H5Aopen(pair[s].id, name, H5P_DEFAULT);
        if (h[s].id < 0)
            status = damaged(d, s, path[s], "the attribute cannot be opened");
    }
    if (status == VR_OK)
        status = diff_holders(d, VA_H5_ATTRIBUTE, h);
    for (int s = 0; s < 2; s++)
        if (h[s].id >= 0)
            H5Aclose(h[s].id);
    return status;
}

/* The attribute `name` of a pair, of which both sides may have one (`has`). */
static vr_status visit_attribute(diffing *d, const va_h5_object pair[2], const char *name, const bool has[2],
                                 bool selected)
{
    const va_h5_filter *filter = &d->options->filter;
    char *path[2] = {NULL, NULL};
    bool excluded = false;
    vr_status status = VR_OK;
    for (int s = 0; status == VR_OK && s < 2; s++) {
        if (asprintf(&path[s], "%s@%s", pair[s].path, name) < 0) {
            path[s] = NULL;
            status = no_memory();
            continue;
        }
        excluded |= has[s] && va_h5_excluded(filter, path[s]);
        selected = has[s] ? va_h5_selected(filter, path[s], selected) : selected;
    }
    const char *const paths[2] = {path[0], path[1]};
    const va_h5_kind kind[2] = {has[0] ? VA_H5_ATTRIBUTE : VA_H5_NOTHING, has[1] ? VA_H5_ATTRIBUTE : VA_H5_NOTHING};
    if (status == VR_OK && selected && !excluded)
        status = has[0] && has[1] ? diff_attribute(d, pair, name, paths) : one_sided(d, kind, paths);
    free(path[0]);
    free(path[1]);
    return status;
}

static vr_status diff_attributes(diffing *d, const va_h5_object pair[2], bool selected)
{
    va_h5_names lists[2] = {{0}, {0}};
    const va_h5_names *a = &lists[0], *b = &lists[1];
    vr_status status = VR_OK;
    for (int s = 0; status == VR_OK && s < 2; s++)
        status = read_attribute_names(d, s, &pair[s], &lists[s]);
    for (size_t i = 0, k = 0; status == VR_OK && (i < a->count || k < b->count);) {
        const int order = i == a->count ? 1 : k == b->count ? -1 : strcmp(a->names[i], b->names[k]);
        const bool has[2] = {order <= 0, order >= 0};
        status = visit_attribute(d, pair, has[0] ? a->names[i] : b->names[k], has, selected);
        i += has[0];
        k += has[1];
    }
    va_h5_free_names(&lists[0]);
    va_h5_free_names(&lists[1]);
    return status;
}

/* ---- objects ---- */

static vr_status diff_datatypes(const va_h5_object pair[2], va_h5_finding *f)
{
    char text[TYPE_TEXT];
    vr_status status = VR_OK;
    if (H5Tequal(pair[0].id, pair[1].id) <= 0)
        f->reasons |= VA_H5_OTHER_TYPE;
    for (int s = 0; status == VR_OK && s < 2; s++) {
        va_h5_type_text(text, sizeof text, pair[s].id);
        status = copy_text(&f->type[s], text);
    }
    return status;
}

static vr_status diff_links(const va_h5_object pair[2], va_h5_finding *f)
{
    if (strcmp(pair[0].target, pair[1].target) != 0)
        f->reasons |= VA_H5_OTHER_TARGET;
    const vr_status status = copy_text(&f->target[0], pair[0].target);
    return status == VR_OK ? copy_text(&f->target[1], pair[1].target) : status;
}

static vr_status diff_pair(diffing *d, const va_h5_object pair[2])
{
    const va_h5_kind kind[2] = {pair[0].kind, pair[1].kind};
    const char *const path[2] = {pair[0].path, pair[1].path};
    if (!kind[0] || !kind[1])
        return one_sided(d, kind, path);
    if (kind[0] == VA_H5_DATASET && kind[1] == VA_H5_DATASET)
        return diff_holders(d, VA_H5_DATASET,
                            (holder[2]){{.path = path[0], .id = pair[0].id}, {.path = path[1], .id = pair[1].id}});
    va_h5_finding f;
    vr_status status = begin_finding(&f, kind, path);
    if (kind[0] != kind[1])
        f.reasons = VA_H5_OTHER_KIND;
    else if (status == VR_OK && kind[0] == VA_H5_DATATYPE)
        status = diff_datatypes(pair, &f);
    else if (status == VR_OK && pair[0].target)
        status = diff_links(pair, &f);
    if (status == VR_OK)
        return end_finding(d, &f);
    free_finding(&f);
    return status;
}

static vr_status visit(void *context, const va_h5_object pair[2], bool selected)
{
    diffing *d = context;
    const va_h5_diff_options *o = d->options;
    const vr_status status = selected ? diff_pair(d, pair) : VR_OK;
    if (status != VR_OK || o->no_attributes || pair[0].id < 0 || pair[1].id < 0 || pair[0].kind != pair[1].kind)
        return status;
    return selected || o->filter.include_count ? diff_attributes(d, pair, selected) : VR_OK;
}

/* A selection of nothing is a slip of the pen: it must not pass for equality. */
static vr_status check_selection(const va_h5_diff *diff, const va_h5_filter *filter)
{
    const va_h5_tally *o = &diff->objects, *a = &diff->attributes;
    const bool empty = !o->compared && !o->only[0] && !o->only[1] && !a->compared && !a->only[0] && !a->only[1];
    if (!empty || !(filter->include_count || filter->exclude_count))
        return VR_OK;
    return vr_fail(VR_ERROR_ARGUMENT, "%s, %s: no object is selected by --include and --exclude", diff->names[0],
                   diff->names[1]);
}

vr_status va_h5_diff_run(va_h5_diff **out, const hid_t files[2], const vr_source *const sources[2],
                         const va_h5_diff_options *options)
{
    va_h5_diff *diff = calloc(1, sizeof *diff);
    if (!diff)
        return no_memory();
    diffing d = {diff, options, files, sources, 0};
    for (int s = 0; s < 2; s++)
        diff->names[s] = sources[s]->name;
    const vr_h5_quiet quiet = vr_h5_quiet_begin();
    vr_h5_follow(options->values.follow);
    vr_status status = va_h5_walk(files, diff->names, &options->filter, visit, &d);
    vr_h5_follow(false);
    vr_h5_quiet_end(quiet);
    if (status == VR_ERROR_INCOMPLETE && diff->stopped)
        status = VR_OK;
    if (status == VR_OK)
        status = check_selection(diff, &options->filter);
    if (status != VR_OK) {
        va_h5_diff_free(diff);
        return status;
    }
    *out = diff;
    return VR_OK;
}

void va_h5_diff_free(va_h5_diff *diff)
{
    if (!diff)
        return;
    for (size_t i = 0; i < diff->count; i++)
        free_finding(&diff->findings[i]);
    free(diff->findings);
    free(diff);
}

bool va_h5_diff_is_same(const va_h5_diff *diff)
{
    const va_h5_tally *o = &diff->objects, *a = &diff->attributes;
    return !o->different && !a->different && !o->only[0] && !o->only[1] && !a->only[0] && !a->only[1];
}
