#include "hdf5_walk.h"

#include "guard.h"

#include <formats/fail.h>
#include <formats/hdf5_file.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_DEPTH  1000
#define MOST_TARGET ((size_t)1 << 20) /* bytes of a link's value */

/* Two objects, by their addresses. */
typedef struct met {
    haddr_t address[2];
    bool selected;
} met;

typedef struct walk {
    const hid_t *files;
    const char *const *names;
    const va_h5_filter *filter;
    va_h5_visit visit;
    void *context;
    char *path[2];
    size_t room[2];
    met *met; /* a hash table, half empty */
    size_t met_count, met_room;
    met above[MOST_DEPTH];
    int depth;
} walk;

const char *va_h5_kind_name(va_h5_kind kind)
{
    static const char *const names[] = {"nothing",   "group",     "dataset",
                                        "datatype",  "soft link", "external link",
                                        "user link", "attribute", "object of an unknown kind"};
    return names[kind];
}

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "comparing two files: out of memory");
}

static vr_status damaged(const walk *w, int side, const char *what)
{
    return vr_fail(VR_ERROR_FORMAT, "%s: %s: %s: %s", w->names[side], w->path[side], what, vr_h5_reason());
}

/* ---- filters ---- */

/* Whether a path is one side of a mapping. */
static bool is_mapped(const walk *w, int side)
{
    const char *path = w->path[side];
    const size_t length = strlen(path);
    for (size_t i = 0; i < w->filter->map_count; i++) {
        const char *map = w->filter->map[i], *middle = strchr(map, '=');
        const char *word = side ? middle + 1 : map;
        const size_t size = side ? strlen(word) : (size_t)(middle - map);
        if (size == length && memcmp(word, path, length) == 0)
            return true;
    }
    return false;
}

/* ---- paths ---- */

static vr_status set_path(walk *w, int side, size_t length, const char *name)
{
    const size_t size = length + strlen(name) + 2;
    if (size > w->room[side]) {
        char *grown = realloc(w->path[side], 2 * size);
        if (!grown)
            return no_memory();
        w->path[side] = grown;
        w->room[side] = 2 * size;
    }
    if (length > 1 || (length == 1 && w->path[side][0] != '/'))
        w->path[side][length++] = '/';
    strcpy(w->path[side] + length, name);
    return VR_OK;
}

/* ---- what was met ---- */

static size_t slot_of(const met *table, size_t room, const met *pair)
{
    uint64_t hash = (pair->address[0] * 0x9e3779b97f4a7c15u ^ pair->address[1]) * 0xff51afd7ed558ccdu;
    size_t i = (size_t)(hash ^ hash >> 32) & (room - 1);
    while (table[i].address[0] != HADDR_UNDEF &&
           (table[i].address[0] != pair->address[0] || table[i].address[1] != pair->address[1] ||
            table[i].selected != pair->selected))
        i = (i + 1) & (room - 1);
    return i;
}

static vr_status make_room(walk *w)
{
    if (2 * (w->met_count + 1) <= w->met_room)
        return VR_OK;
    const size_t room = w->met_room ? 2 * w->met_room : 64;
    met *table = malloc(room * sizeof *table);
    if (!table)
        return no_memory();
    for (size_t i = 0; i < room; i++)
        table[i].address[0] = HADDR_UNDEF;
    for (size_t i = 0; i < w->met_room; i++)
        if (w->met[i].address[0] != HADDR_UNDEF)
            table[slot_of(table, room, &w->met[i])] = w->met[i];
    free(w->met);
    w->met = table;
    w->met_room = room;
    return VR_OK;
}

/* Whether the pair is among those on the way down: a cycle. */
static bool is_above(const walk *w, const met *pair)
{
    for (int i = 0; i < w->depth; i++)
        if (w->above[i].address[0] == pair->address[0] && w->above[i].address[1] == pair->address[1])
            return true;
    return false;
}

/* Whether a pair was met before; it is from now on. With a filter an object may be met in part by one path and in full
 * by another, so only cycles are cut. */
static vr_status meet(walk *w, const met *pair, bool *before)
{
    const va_h5_filter *f = w->filter;
    *before = is_above(w, pair);
    if (*before || f->include_count || f->exclude_count || f->map_count)
        return VR_OK;
    const vr_status status = make_room(w);
    if (status != VR_OK)
        return status;
    met *slot = &w->met[slot_of(w->met, w->met_room, pair)];
    *before = slot->address[0] != HADDR_UNDEF;
    w->met_count += !*before;
    *slot = *pair;
    return VR_OK;
}

/* ---- links ---- */

static herr_t gather_link(hid_t group, const char *name, const H5L_info_t *info, void *names)
{
    (void)group, (void)info;
    return va_h5_add_name(names, name) == VR_OK ? 0 : -1;
}

static vr_status read_links(walk *w, int side, hid_t group, va_h5_names *out)
{
    if (group < 0)
        return VR_OK;
    va_guard_reading(w->names[side], w->path[side]);
    if (H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, gather_link, out) < 0)
        return damaged(w, side, "the group's links cannot be read");
    va_h5_sort_names(out);
    for (size_t i = 0; i < out->count; i++)
        if (!out->names[i][0] || strchr(out->names[i], '/') || strcmp(out->names[i], ".") == 0)
            return vr_fail(VR_ERROR_FORMAT, "%s: %s: damaged: a link called '%s'", w->names[side], w->path[side],
                           out->names[i]);
    return VR_OK;
}

/* An external link's value as "file:path", a user-defined one's as its class and bytes; the caller's to free. */
static char *target_text(const H5L_info_t *info, const char *value)
{
    char *out = NULL;
    if (info->type == H5L_TYPE_SOFT)
        return strndup(value, info->u.val_size);
    if (info->type == H5L_TYPE_EXTERNAL) {
        const char *file, *path;
        unsigned flags;
        if (H5Lunpack_elink_val(value, info->u.val_size, &flags, &file, &path) < 0 ||
            asprintf(&out, "%s:%s", file, path) < 0)
            out = NULL;
        return out;
    }
    size_t size;
    FILE *text = open_memstream(&out, &size);
    if (!text)
        return NULL;
    fprintf(text, "class %d:", (int)info->type);
    for (size_t i = 0; i < info->u.val_size; i++)
        fprintf(text, " %02x", (unsigned char)value[i]);
    fclose(text);
    return out;
}

static vr_status read_target(walk *w, int side, hid_t group, const char *name, const H5L_info_t *info, char **out)
{
    if (info->u.val_size > MOST_TARGET)
        return vr_fail(VR_ERROR_FORMAT, "%s: %s: damaged: a link of %zu bytes", w->names[side], w->path[side],
                       info->u.val_size);
    char *value = calloc(1, info->u.val_size + 1);
    if (!value)
        return no_memory();
    const bool fine =
        H5Lget_val(group, name, value, info->u.val_size, H5P_DEFAULT) >= 0 && (*out = target_text(info, value));
    free(value);
    return fine ? VR_OK : damaged(w, side, "the link cannot be read");
}

/* One side of a pair on its way through the walk. */
typedef struct end {
    va_h5_kind kind;
    hid_t id;
    char *target;
    haddr_t address;
    unsigned references;
} end;

static void close_end(end *e)
{
    if (e->id >= 0)
        H5Oclose(e->id);
    free(e->target);
}

static vr_status read_object(walk *w, int side, end *out)
{
    H5O_info_t info;
    if (H5Oget_info2(out->id, &info, H5O_INFO_BASIC) < 0)
        return damaged(w, side, "the object cannot be read");
    out->kind = info.type == H5O_TYPE_GROUP            ? VA_H5_GROUP
                : info.type == H5O_TYPE_DATASET        ? VA_H5_DATASET
                : info.type == H5O_TYPE_NAMED_DATATYPE ? VA_H5_DATATYPE
                                                       : VA_H5_UNKNOWN;
    out->address = info.addr;
    out->references = info.rc;
    return VR_OK;
}

/* Opens what the link `name` of a group leads to; `out` is to be closed whatever comes of it. */
static vr_status open_end(walk *w, int side, hid_t group, const char *name, end *out)
{
    H5L_info_t info;
    va_guard_reading(w->names[side], w->path[side]);
    if (H5Lget_info(group, name, &info, H5P_DEFAULT) < 0)
        return damaged(w, side, "the link cannot be read");
    if (info.type == H5L_TYPE_HARD) {
        out->id = H5Oopen(group, name, H5P_DEFAULT);
        return out->id < 0 ? damaged(w, side, "the object cannot be opened") : read_object(w, side, out);
    }
    out->kind = info.type == H5L_TYPE_SOFT       ? VA_H5_SOFT_LINK
                : info.type == H5L_TYPE_EXTERNAL ? VA_H5_EXTERNAL_LINK
                                                 : VA_H5_USER_LINK;
    return read_target(w, side, group, name, &info, &out->target);
}

/* ---- going down ---- */

static vr_status walk_groups(walk *w, const end ends[2], bool selected);

/* Whether what one side lacks may hold something that is selected below. */
static bool is_group_to_search(const walk *w, const end ends[2], bool selected)
{
    return !selected && w->filter->include_count > 0 && (ends[0].kind == VA_H5_GROUP || ends[1].kind == VA_H5_GROUP);
}

static vr_status walk_pair(walk *w, const end ends[2], bool selected)
{
    bool before = false;
    const bool both = ends[0].id >= 0 && ends[1].id >= 0;
    const bool groups = both && ends[0].kind == VA_H5_GROUP && ends[1].kind == VA_H5_GROUP;
    const bool deeper = groups || is_group_to_search(w, ends, selected);
    if (deeper || (both && ends[0].references > 1 && ends[1].references > 1)) {
        const vr_status status = meet(w, &(met){{ends[0].address, ends[1].address}, selected}, &before);
        if (status != VR_OK || before)
            return status;
    }
    va_h5_object pair[2];
    for (int s = 0; s < 2; s++)
        pair[s] = (va_h5_object){ends[s].kind, ends[s].kind ? w->path[s] : "", ends[s].id, ends[s].target};
    const vr_status status = w->visit(w->context, pair, selected);
    return status == VR_OK && deeper ? walk_groups(w, ends, selected) : status;
}

/* The pair of links called `name`, in groups whose paths have these lengths; a side that has none is -1. */
static vr_status walk_links(walk *w, const hid_t groups[2], const size_t lengths[2], const char *name, bool selected)
{
    end ends[2] = {{.id = -1}, {.id = -1}};
    bool there[2] = {groups[0] >= 0, groups[1] >= 0}, excluded = false;
    vr_status status = VR_OK;
    for (int s = 0; status == VR_OK && s < 2; s++)
        if (there[s] && (status = set_path(w, s, lengths[s], name)) == VR_OK) {
            there[s] = !is_mapped(w, s);
            excluded |= va_h5_excluded(w->filter, w->path[s]);
            selected = va_h5_selected(w->filter, w->path[s], selected);
        }
    if (status != VR_OK || excluded || (!there[0] && !there[1]))
        return status;
    for (int s = 0; status == VR_OK && s < 2; s++)
        if (there[s])
            status = open_end(w, s, groups[s], name, &ends[s]);
    if (status == VR_OK)
        status = walk_pair(w, ends, selected);
    close_end(&ends[0]);
    close_end(&ends[1]);
    return status;
}

static vr_status merge(walk *w, const hid_t groups[2], const va_h5_names lists[2], bool selected)
{
    const size_t lengths[2] = {strlen(w->path[0]), strlen(w->path[1])};
    const va_h5_names *a = &lists[0], *b = &lists[1];
    vr_status status = VR_OK;
    for (size_t i = 0, k = 0; status == VR_OK && (i < a->count || k < b->count);) {
        const int order = i == a->count ? 1 : k == b->count ? -1 : strcmp(a->names[i], b->names[k]);
        const hid_t has[2] = {order <= 0 ? groups[0] : -1, order >= 0 ? groups[1] : -1};
        status = walk_links(w, has, lengths, order <= 0 ? a->names[i] : b->names[k], selected);
        for (int s = 0; s < 2; s++)
            w->path[s][lengths[s]] = 0;
        i += order <= 0;
        k += order >= 0;
    }
    return status;
}

static vr_status walk_groups(walk *w, const end ends[2], bool selected)
{
    const int side = ends[0].kind == VA_H5_GROUP ? 0 : 1;
    if (w->depth == MOST_DEPTH)
        return vr_fail(VR_ERROR_FORMAT, "%s: groups nested deeper than %d; leave them out with --exclude",
                       w->names[side], MOST_DEPTH);
    w->above[w->depth++] = (met){{ends[0].address, ends[1].address}, selected};
    const hid_t groups[2] = {ends[0].kind == VA_H5_GROUP ? ends[0].id : -1,
                             ends[1].kind == VA_H5_GROUP ? ends[1].id : -1};
    va_h5_names lists[2] = {{0}, {0}};
    vr_status status = read_links(w, 0, groups[0], &lists[0]);
    if (status == VR_OK)
        status = read_links(w, 1, groups[1], &lists[1]);
    if (status == VR_OK)
        status = merge(w, groups, lists, selected);
    va_h5_free_names(&lists[0]);
    va_h5_free_names(&lists[1]);
    w->depth--;
    return status;
}

/* ---- where it begins ---- */

static vr_status no_such(const walk *w, int side, const char *path)
{
    return vr_fail(VR_ERROR_ARGUMENT, "%s: no object %s, which --map names", w->names[side], path);
}

/* Opens the object at a path, by hard links only: others may lead out of the file. */
static vr_status open_path(walk *w, int side, const char *path, end *out)
{
    char *words = strdup(path), *rest = words;
    hid_t at = words ? H5Gopen2(w->files[side], "/", H5P_DEFAULT) : -1;
    vr_status status = !words ? no_memory() : at < 0 ? damaged(w, side, "the root group cannot be opened") : VR_OK;
    for (char *word; status == VR_OK && (word = strsep(&rest, "/"));) {
        H5L_info_t info;
        if (!*word)
            continue;
        const bool fine = H5Iget_type(at) == H5I_GROUP && H5Lexists(at, word, H5P_DEFAULT) > 0 &&
                          H5Lget_info(at, word, &info, H5P_DEFAULT) >= 0 && info.type == H5L_TYPE_HARD;
        const hid_t next = fine ? H5Oopen(at, word, H5P_DEFAULT) : -1;
        if (next < 0)
            status = no_such(w, side, path);
        H5Oclose(at);
        at = next;
    }
    free(words);
    out->id = at;
    return status == VR_OK ? read_object(w, side, out) : status;
}

static vr_status walk_from(walk *w, const char *const paths[2])
{
    end ends[2] = {{.id = -1}, {.id = -1}};
    bool selected = w->filter->include_count == 0;
    vr_status status = VR_OK;
    if (va_h5_excluded(w->filter, paths[0]) || va_h5_excluded(w->filter, paths[1]))
        return VR_OK;
    for (int s = 0; status == VR_OK && s < 2; s++) {
        w->path[s][0] = 0;
        status = set_path(w, s, 0, paths[s]);
        va_guard_reading(w->names[s], w->path[s]);
        if (status == VR_OK)
            status = open_path(w, s, paths[s], &ends[s]);
        selected = va_h5_selected(w->filter, paths[s], selected);
    }
    if (status == VR_OK)
        status = walk_pair(w, ends, selected);
    close_end(&ends[0]);
    close_end(&ends[1]);
    return status;
}

static vr_status check_map(const char *map)
{
    const char *middle = strchr(map, '=');
    const bool fine = map[0] == '/' && map[1] && middle && middle[1] == '/' && middle[2] && middle > map + 1 &&
                      middle[-1] != '/' && middle[strlen(middle) - 1] != '/' && !strchr(middle + 1, '=');
    return fine ? VR_OK : vr_fail(VR_ERROR_ARGUMENT, "'%s' is not OLD=NEW, two paths like /dense_1=/dense_2", map);
}

static vr_status walk_map(walk *w, const char *map)
{
    const char *middle = strchr(map, '=');
    char *old = strndup(map, (size_t)(middle - map));
    if (!old)
        return no_memory();
    const vr_status status = walk_from(w, (const char *const[2]){old, middle + 1});
    free(old);
    return status;
}

vr_status va_h5_walk(const hid_t files[2], const char *const names[2], const va_h5_filter *filter, va_h5_visit visit,
                     void *context)
{
    walk *w = calloc(1, sizeof *w);
    if (!w)
        return no_memory();
    w->files = files;
    w->names = names;
    w->filter = filter;
    w->visit = visit;
    w->context = context;
    vr_status status = VR_OK;
    for (int s = 0; s < 2; s++)
        if (!(w->path[s] = calloc(1, w->room[s] = 256)))
            status = no_memory();
    for (size_t i = 0; status == VR_OK && i < filter->map_count; i++)
        status = check_map(filter->map[i]);
    if (status == VR_OK)
        status = walk_from(w, (const char *const[2]){"/", "/"});
    for (size_t i = 0; status == VR_OK && i < filter->map_count; i++)
        status = walk_map(w, filter->map[i]);
    va_guard_reading(NULL, NULL);
    free(w->path[0]);
    free(w->path[1]);
    free(w->met);
    free(w);
    return status;
}
