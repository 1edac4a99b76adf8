/* Changes to trees: see random_hdf5.h. */
#include "random_hdf5.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRIES 60

/* Where a change may be made: a node, and one of its attributes, or -1. */
typedef struct spot {
    int node, attribute;
    bool hidden; /* nobody can see the change, as it turned out */
} spot;

static rh_values *values_at(rh_tree *tree, spot s)
{
    rh_node *node = &tree->node[s.node];
    return s.attribute >= 0 ? &node->attribute[s.attribute].values : &node->values;
}

/* A dataset or an attribute; node -1: there is none where we looked. */
static spot random_values_spot(rh_tree *tree)
{
    const spot none = {-1, -1, false};
    spot s = {rh_below(&tree->random, tree->nodes), -1, false};
    const rh_node *node = &tree->node[s.node];
    if (node->kind > RH_TYPE)
        return none;
    if (node->attributes > 0 && (node->kind != RH_DATASET || rh_one_in(&tree->random, 3)))
        s.attribute = rh_below(&tree->random, node->attributes);
    return s.attribute >= 0 || node->kind == RH_DATASET ? s : none;
}

static bool is_target(const rh_tree *tree, int node)
{
    for (int i = 1; i < tree->nodes; i++)
        if ((tree->node[i].kind == RH_HARD && tree->node[i].target == node) ||
            (tree->node[i].kind != RH_REMOVED && tree->node[i].parent == node))
            return true;
    return false;
}

/* Removing what was added would be no change. */
static bool is_added(const char *name)
{
    return strncmp(name, "added", 5) == 0;
}

static bool add_attribute(rh_tree *tree, spot *s)
{
    s->node = rh_below(&tree->random, tree->nodes);
    rh_node *node = &tree->node[s->node];
    if (node->kind > RH_TYPE || node->attributes == RH_ATTRIBUTES)
        return false;
    s->attribute = node->attributes++;
    rh_random_values(tree, &node->attribute[s->attribute].values, false);
    snprintf(node->attribute[s->attribute].name, RH_NAME, "added");
    return true;
}

static bool remove_attribute(rh_tree *tree, spot *s)
{
    *s = random_values_spot(tree);
    if (s->attribute < 0 || is_added(tree->node[s->node].attribute[s->attribute].name))
        return false;
    rh_node *node = &tree->node[s->node];
    node->attribute[s->attribute] = node->attribute[--node->attributes];
    s->attribute = -1;
    return true;
}

static bool rename_attribute(rh_tree *tree, spot *s)
{
    *s = random_values_spot(tree);
    if (s->attribute < 0)
        return false;
    strcat(tree->node[s->node].attribute[s->attribute].name, "-renamed");
    return true;
}

static bool add_object(rh_tree *tree, spot *s)
{
    if (tree->nodes == RH_NODES)
        return false;
    s->node = tree->nodes;
    rh_node *node = &tree->node[tree->nodes];
    *node = (rh_node){.kind = rh_one_in(&tree->random, 2) ? RH_GROUP : RH_DATASET};
    if (node->kind == RH_DATASET)
        rh_random_values(tree, &node->values, true);
    snprintf(node->name, RH_NAME, "added");
    tree->nodes++; /* references beyond the last node lead to it now: what is added is seen in any case */
    return true;
}

static bool remove_object(rh_tree *tree, spot *s)
{
    s->node = rh_below(&tree->random, tree->nodes);
    if (s->node == 0 || is_target(tree, s->node) || is_added(tree->node[s->node].name))
        return false;
    tree->node[s->node].kind = RH_REMOVED;
    return true;
}

static bool rename_object(rh_tree *tree, spot *s)
{
    s->node = rh_below(&tree->random, tree->nodes);
    if (s->node == 0 || tree->node[s->node].kind == RH_REMOVED)
        return false;
    strcat(tree->node[s->node].name, "-renamed");
    return true;
}

/* A dataset becomes a group. */
static bool change_object(rh_tree *tree, spot *s)
{
    *s = random_values_spot(tree);
    if (s->node < 0 || s->attribute >= 0 || tree->node[s->node].kind != RH_DATASET)
        return false;
    tree->node[s->node].kind = RH_GROUP;
    return true;
}

static bool change_link_path(rh_tree *tree, spot *s)
{
    s->node = rh_below(&tree->random, tree->nodes);
    rh_node *node = &tree->node[s->node];
    if (node->kind != RH_SOFT && node->kind != RH_EXTERNAL)
        return false;
    snprintf(node->path, RH_PATH, "%s", strcmp(node->path, "/") == 0 ? "/elsewhere" : "/");
    return true;
}

static bool change_link_file(rh_tree *tree, spot *s)
{
    s->node = rh_below(&tree->random, tree->nodes);
    rh_node *node = &tree->node[s->node];
    if (node->kind != RH_EXTERNAL)
        return false;
    strcat(node->file, ".other");
    return true;
}

static bool change_link_kind(rh_tree *tree, spot *s)
{
    s->node = rh_below(&tree->random, tree->nodes);
    rh_node *node = &tree->node[s->node];
    if (node->kind != RH_SOFT && node->kind != RH_EXTERNAL)
        return false;
    node->kind = node->kind == RH_SOFT ? RH_EXTERNAL : RH_SOFT;
    return true;
}

static bool change_named_type(rh_tree *tree, spot *s)
{
    s->node = rh_below(&tree->random, tree->nodes);
    rh_node *node = &tree->node[s->node];
    if (node->kind != RH_TYPE)
        return false;
    hid_t type = rh_random_type(tree, 0);
    if (H5Tget_class(type) == H5Tget_class(node->values.type))
        return false;
    node->values.type = type;
    return true;
}

/* One row more. */
static bool grow(rh_tree *tree, spot *s)
{
    *s = random_values_spot(tree);
    if (s->node < 0)
        return false;
    rh_values *values = values_at(tree, *s);
    if (values->rank == 0 || rh_count(values) == 0)
        return false;
    const size_t size = H5Tget_size(values->type), old = (size_t)rh_count(values) * size;
    const size_t row = old / (size_t)values->shape[0];
    uint8_t *data = rh_room(tree, old + row);
    memcpy(data, values->data, old);
    for (size_t at = old; at < old + row; at += size)
        rh_random_element(tree, values->type, data + at);
    values->data = data;
    values->written = ++values->shape[0];
    return true;
}

/* The same elements with one dimension more: [n] and [n, 1], or a scalar and [1]. */
static bool add_rank(rh_tree *tree, spot *s)
{
    *s = random_values_spot(tree);
    if (s->node < 0)
        return false;
    rh_values *values = values_at(tree, *s);
    if (values->space == H5S_NULL || values->rank == RH_RANK)
        return false;
    values->space = H5S_SIMPLE;
    values->shape[values->rank++] = 1;
    values->written = values->shape[0];
    return true;
}

static bool change_null(rh_tree *tree, spot *s)
{
    *s = random_values_spot(tree);
    if (s->node < 0)
        return false;
    rh_values *values = values_at(tree, *s);
    if (values->space != H5S_SCALAR)
        return false;
    values->space = H5S_NULL;
    return true;
}

/* What was never written reads as something else. */
static bool change_fill(rh_tree *tree, spot *s)
{
    *s = random_values_spot(tree);
    if (s->node < 0 || s->attribute >= 0)
        return false;
    rh_values *values = values_at(tree, *s);
    if (!values->fill || values->rank == 0 || values->written == values->shape[0] || rh_count(values) == 0 ||
        H5Tget_class(values->type) != H5T_INTEGER)
        return false;
    const size_t size = H5Tget_size(values->type), row = (size_t)(rh_count(values) / values->shape[0]) * size;
    rh_turn(values->type, values->fill);
    const size_t low = (size_t)H5Tget_offset(values->type);
    rh_set_bits(values->fill, low, 1, !rh_bits(values->fill, low, 1));
    rh_turn(values->type, values->fill);
    for (size_t at = (size_t)values->written * row; at < (size_t)values->shape[0] * row; at += size)
        memcpy(values->data + at, values->fill, size);
    return true;
}

/* A fill value that no element has got. */
static bool change_hidden_fill(rh_tree *tree, spot *s)
{
    *s = random_values_spot(tree);
    if (s->node < 0 || s->attribute >= 0)
        return false;
    rh_values *values = values_at(tree, *s);
    if (!values->fill || values->rank == 0 || H5Tget_class(values->type) != H5T_INTEGER)
        return false;
    values->written = values->shape[0];
    rh_random_element(tree, values->type, values->fill);
    return true;
}

/* The same numbers, the bytes the other way round. */
static bool change_order(rh_tree *tree, spot *s)
{
    *s = random_values_spot(tree);
    if (s->node < 0)
        return false;
    rh_values *values = values_at(tree, *s);
    const H5T_class_t class = H5Tget_class(values->type);
    const size_t size = H5Tget_size(values->type);
    if ((class != H5T_INTEGER && class != H5T_FLOAT) || size == 1)
        return false;
    hid_t big = rh_good(H5Tcopy(values->type)), type = rh_good(H5Tcopy(values->type));
    rh_good(H5Tset_order(big, H5T_ORDER_BE));
    rh_good(H5Tset_order(type, H5Tget_order(type) == H5T_ORDER_BE ? H5T_ORDER_LE : H5T_ORDER_BE));
    for (hsize_t i = 0; i < rh_count(values); i++)
        rh_turn(big, values->data + i * size);
    if (values->fill)
        rh_turn(big, values->fill);
    values->type = type;
    return true;
}

/* The same integers in more bytes, or as floating point numbers. */
static bool widen(rh_tree *tree, spot *s, hid_t to)
{
    *s = random_values_spot(tree);
    if (s->node < 0)
        return false;
    rh_values *values = values_at(tree, *s);
    if (H5Tget_class(values->type) != H5T_INTEGER || H5Tget_size(values->type) >= 6)
        return false;
    const hsize_t count = rh_count(values);
    uint8_t *data = rh_room(tree, (size_t)count * 8 + 8);
    memcpy(data, values->data, (size_t)count * H5Tget_size(values->type));
    rh_good(H5Tconvert(values->type, to, (size_t)count, data, NULL, H5P_DEFAULT));
    values->data = data;
    values->type = to;
    values->fill = NULL;
    values->written = values->rank > 0 ? values->shape[0] : 1;
    return true;
}

static bool change_size(rh_tree *tree, spot *s)
{
    return widen(tree, s, H5T_STD_I64LE);
}

static bool change_class(rh_tree *tree, spot *s)
{
    return widen(tree, s, H5T_IEEE_F64LE);
}

static bool change_tag(rh_tree *tree, spot *s)
{
    *s = random_values_spot(tree);
    if (s->node < 0 || H5Tget_class(values_at(tree, *s)->type) != H5T_OPAQUE)
        return false;
    rh_values *values = values_at(tree, *s);
    values->type = rh_good(H5Tcreate(H5T_OPAQUE, H5Tget_size(values->type)));
    rh_good(H5Tset_tag(values->type, "other"));
    return true;
}

/* The first member of an enumeration or of a compound gets another name. */
static bool rename_member(rh_tree *tree, spot *s, H5T_class_t class)
{
    *s = random_values_spot(tree);
    if (s->node < 0 || H5Tget_class(values_at(tree, *s)->type) != class)
        return false;
    uint8_t value[8];
    rh_values *values = values_at(tree, *s);
    hid_t old = values->type;
    hid_t type = rh_good(class == H5T_ENUM ? H5Tenum_create(H5Tget_super(old)) : H5Tcreate(class, H5Tget_size(old)));
    for (unsigned i = 0; i < (unsigned)H5Tget_nmembers(old); i++) {
        char *name = H5Tget_member_name(old, i);
        const char *now = i == 0 ? "renamed" : name;
        if (class == H5T_ENUM)
            rh_good(H5Tget_member_value(old, i, value));
        rh_good(class == H5T_ENUM ? H5Tenum_insert(type, now, value)
                                  : H5Tinsert(type, now, H5Tget_member_offset(old, i), H5Tget_member_type(old, i)));
        H5free_memory(name);
    }
    values->type = type;
    return true;
}

/* Shows only where an element is of that name. */
static bool rename_enum(rh_tree *tree, spot *s)
{
    uint8_t renamed[8];
    if (!rename_member(tree, s, H5T_ENUM))
        return false;
    const rh_values *values = values_at(tree, *s);
    const size_t size = H5Tget_size(values->type);
    rh_good(H5Tget_member_value(values->type, 0, renamed));
    s->hidden = true;
    for (hsize_t i = 0; i < rh_count(values); i++)
        s->hidden = s->hidden && memcmp(values->data + i * size, renamed, size) != 0;
    return true;
}

static bool rename_compound(rh_tree *tree, spot *s)
{
    return rename_member(tree, s, H5T_COMPOUND);
}

static bool change_charset(rh_tree *tree, spot *s)
{
    *s = random_values_spot(tree);
    if (s->node < 0 || H5Tget_class(values_at(tree, *s)->type) != H5T_STRING)
        return false;
    rh_values *values = values_at(tree, *s);
    values->type = rh_good(H5Tcopy(values->type));
    rh_good(H5Tset_cset(values->type, H5Tget_cset(values->type) == H5T_CSET_UTF8 ? H5T_CSET_ASCII : H5T_CSET_UTF8));
    return true;
}

/* The same texts with more room for them. */
static bool change_string_size(rh_tree *tree, spot *s)
{
    *s = random_values_spot(tree);
    if (s->node < 0)
        return false;
    rh_values *values = values_at(tree, *s);
    if (H5Tget_class(values->type) != H5T_STRING || H5Tis_variable_str(values->type) > 0)
        return false;
    const size_t size = H5Tget_size(values->type), next = size + 3;
    const int padding = H5Tget_strpad(values->type) == H5T_STR_SPACEPAD ? ' ' : 0;
    uint8_t *data = rh_room(tree, (size_t)rh_count(values) * next + 1);
    for (hsize_t i = 0; i < rh_count(values); i++) {
        memset(data + i * next, padding, next);
        memcpy(data + i * next, values->data + i * size, size);
    }
    values->data = data;
    values->type = rh_good(H5Tcopy(values->type));
    rh_good(H5Tset_size(values->type, next));
    values->fill = NULL;
    values->written = values->rank > 0 ? values->shape[0] : 1;
    return true;
}

/* Those without a function change elements: see random_values.c. */
static const struct {
    const char *name;
    bool visible;
    bool (*apply)(rh_tree *tree, spot *s);
} changes[] = {
    {"float", true, NULL},
    {"ulp", true, NULL},
    {"zero-sign", true, NULL},
    {"nan-payload", true, NULL},
    {"nan", true, NULL},
    {"integer", true, NULL},
    {"integer-padding", false, NULL},
    {"string", true, NULL},
    {"string-tail", false, NULL},
    {"enum", true, NULL},
    {"opaque", true, NULL},
    {"bit", true, NULL},
    {"reference", true, NULL},
    {"length", true, NULL},
    {"gap", false, NULL},
    {"attribute-added", true, add_attribute},
    {"attribute-removed", true, remove_attribute},
    {"attribute-renamed", true, rename_attribute},
    {"object-added", true, add_object},
    {"object-removed", true, remove_object},
    {"object-renamed", true, rename_object},
    {"object-kind", true, change_object},
    {"link-path", true, change_link_path},
    {"link-file", true, change_link_file},
    {"link-kind", true, change_link_kind},
    {"named-type", true, change_named_type},
    {"shape-grown", true, grow},
    {"shape-rank", true, add_rank},
    {"shape-null", true, change_null},
    {"fill", true, change_fill},
    {"fill-hidden", false, change_hidden_fill},
    {"type-order", false, change_order},
    {"type-size", true, change_size},
    {"type-class", true, change_class},
    {"type-tag", false, change_tag},
    {"type-enum", true, rename_enum},
    {"type-member", true, rename_compound},
    {"type-charset", false, change_charset},
    {"type-string-size", false, change_string_size},
};

static bool apply(rh_tree *tree, int change, spot *s, const char **leaf)
{
    *s = (spot){-1, -1, false};
    *leaf = "";
    if (changes[change].apply)
        return changes[change].apply(tree, s);
    *s = random_values_spot(tree);
    return s->node >= 0 && rh_change_values(tree, changes[change].name, values_at(tree, *s), leaf);
}

static void describe(rh_tree *tree, rh_change *out, spot s, const char *leaf)
{
    static const char *const kinds[] = {"group", "dataset", "type", "hard", "soft", "external", "removed"};
    char path[RH_PATH];
    rh_node *node = &tree->node[s.node];
    const rh_values *values = values_at(tree, s);
    rh_path(tree, s.node, path);
    snprintf(out->where, sizeof out->where, "%s/%s/%s:%s%s%s", s.attribute >= 0 ? "attribute" : kinds[node->kind],
             s.attribute >= 0 || node->kind == RH_DATASET ? rh_class_name(values->type) : "", leaf, path,
             s.attribute >= 0 ? "@" : "", s.attribute >= 0 ? node->attribute[s.attribute].name : "");
}

static bool is_among(const char *name, const rh_change *earlier, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(earlier[i].name, name) == 0)
            return true;
    return false;
}

rh_change rh_tree_change(rh_tree *tree, const rh_change *earlier, int count)
{
    rh_change out = {0};
    spot s;
    const char *leaf;
    while (!out.name) {
        const int change = rh_below(&tree->random, (int)(sizeof changes / sizeof *changes));
        if (is_among(changes[change].name, earlier, count))
            continue;
        for (int i = 0; i < TRIES && !out.name; i++)
            if (apply(tree, change, &s, &leaf))
                out.name = changes[change].name;
        out.visible = changes[change].visible && !s.hidden;
    }
    describe(tree, &out, s, leaf);
    return out;
}
