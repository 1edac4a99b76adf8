/* Random trees: see random_hdf5.h. */
#include "random_hdf5.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_ELEMENTS 60
#define MOST_BYTES    4096 /* of the elements of one dataset or attribute */

struct rh_room {
    struct rh_room *next;
    max_align_t bytes[];
};

static void *must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

void *rh_room(rh_tree *tree, size_t size)
{
    struct rh_room *room = must(calloc(1, sizeof *room + size));
    room->next = tree->rooms;
    tree->rooms = room;
    return room->bytes;
}

void rh_tree_free(rh_tree *tree)
{
    while (tree->rooms) {
        struct rh_room *next = tree->rooms->next;
        free(tree->rooms);
        tree->rooms = next;
    }
    free(tree);
}

void rh_path(const rh_tree *tree, int node, char out[RH_PATH])
{
    char parent[RH_PATH] = "";
    if (node > 0 && tree->node[node].parent > 0)
        rh_path(tree, tree->node[node].parent, parent);
    if (snprintf(out, RH_PATH, "%s/%s", parent, tree->node[node].name) >= RH_PATH)
        abort();
}

hsize_t rh_count(const rh_values *values)
{
    hsize_t count = values->space != H5S_NULL;
    for (int i = 0; i < values->rank; i++)
        count *= values->shape[i];
    return count;
}

static void random_shape(rh_tree *tree, rh_values *out)
{
    rh_random *random = &tree->random;
    const hsize_t most = MOST_BYTES / H5Tget_size(out->type), limit = most < MOST_ELEMENTS ? most : MOST_ELEMENTS;
    hsize_t count = 1;
    const int kind = rh_below(random, 16);
    out->space = kind == 0 ? H5S_NULL : kind <= 3 ? H5S_SCALAR : H5S_SIMPLE;
    out->rank = out->space == H5S_SIMPLE ? 1 + rh_below(random, rh_one_in(random, 2) ? 2 : RH_RANK) : 0;
    for (int i = 0; i < out->rank; i++) {
        const hsize_t size = 1 + (hsize_t)rh_below(random, out->rank > 2 ? 4 : 12);
        out->shape[i] = count * size <= limit ? size : 1;
        count *= out->shape[i];
    }
    if (out->rank > 0 && rh_one_in(random, 16))
        out->shape[rh_below(random, out->rank)] = 0;
}

/* Leaves the last rows of a dataset to its fill value. */
static void leave_rows(rh_tree *tree, rh_values *out)
{
    const hsize_t count = rh_count(out);
    out->written = out->rank > 0 ? out->shape[0] : 1;
    if (count == 0 || out->rank == 0 || rh_is_variable(out->type) || rh_type_has(out->type, H5T_REFERENCE))
        return;
    const size_t size = H5Tget_size(out->type), row = (size_t)(count / out->shape[0]) * size;
    uint8_t *fill = rh_room(tree, size);
    if (rh_one_in(&tree->random, 3)) {
        rh_random_element(tree, out->type, fill);
        out->fill = fill;
    }
    if (rh_one_in(&tree->random, 3))
        out->written = (hsize_t)rh_below(&tree->random, (int)out->shape[0] + 1);
    for (size_t at = (size_t)out->written * row; at < (size_t)out->shape[0] * row; at += size)
        memcpy(out->data + at, fill, size);
}

void rh_random_values(rh_tree *tree, rh_values *out, bool is_dataset)
{
    *out = (rh_values){.type = rh_random_type(tree, 0)};
    random_shape(tree, out);
    const size_t size = H5Tget_size(out->type);
    const hsize_t count = rh_count(out);
    out->data = rh_room(tree, (size_t)count * size + 1);
    for (hsize_t i = 0; i < count; i++)
        rh_random_element(tree, out->type, out->data + i * size);
    if (is_dataset)
        leave_rows(tree, out);
}

static int random_group(rh_tree *tree)
{
    int group = rh_below(&tree->random, tree->nodes);
    while (tree->node[group].kind != RH_GROUP)
        group = rh_below(&tree->random, tree->nodes);
    return group;
}

/* Links lead up and down the tree, and round in circles. */
static void random_link(rh_tree *tree, rh_node *node)
{
    static const char *const targets[] = {".", "/nowhere", "..", "d1", "/"};
    rh_random *random = &tree->random;
    node->kind = RH_HARD + rh_below(random, 3);
    if (node->kind == RH_HARD) {
        node->target = rh_below(random, tree->nodes);
        while (tree->node[node->target].kind > RH_TYPE)
            node->target = rh_below(random, tree->nodes);
        return;
    }
    snprintf(node->file, sizeof node->file, "%s", rh_one_in(random, 2) ? "missing.h5" : "other.h5");
    if (rh_one_in(random, 2))
        snprintf(node->path, sizeof node->path, "%s", targets[rh_below(random, 5)]);
    else
        rh_path(tree, rh_below(random, tree->nodes), node->path);
}

static void random_node(rh_tree *tree)
{
    static const rh_kind kinds[] = {RH_GROUP,   RH_GROUP,   RH_DATASET, RH_DATASET, RH_DATASET,
                                    RH_DATASET, RH_DATASET, RH_TYPE,    RH_HARD};
    static const char *const letters[] = {"g", "d", "t", "hard", "soft", "external"};
    rh_node *node = &tree->node[tree->nodes];
    node->kind = kinds[rh_below(&tree->random, 9)];
    node->parent = random_group(tree);
    if (node->kind == RH_HARD)
        random_link(tree, node);
    if (node->kind == RH_DATASET)
        rh_random_values(tree, &node->values, true);
    if (node->kind == RH_TYPE)
        node->values.type = rh_random_type(tree, 0);
    snprintf(node->name, sizeof node->name, "%s%d%s", letters[node->kind], tree->nodes,
             rh_one_in(&tree->random, 12) ? "-\xc3\xa9" : "");
    tree->nodes++;
}

static void random_attributes(rh_tree *tree, rh_node *node)
{
    if (node->kind > RH_TYPE || rh_one_in(&tree->random, 2))
        return;
    node->attributes = rh_below(&tree->random, RH_ATTRIBUTES);
    for (int i = 0; i < node->attributes; i++) {
        rh_random_values(tree, &node->attribute[i].values, false);
        snprintf(node->attribute[i].name, RH_NAME, "a%d", i);
    }
}

rh_tree *rh_tree_new(uint64_t seed)
{
    rh_tree *tree = must(calloc(1, sizeof *tree));
    tree->random.state = seed;
    tree->nodes = 1; /* the root is a group, of kind 0 */
    const int nodes = 2 + rh_below(&tree->random, RH_NODES / 2);
    while (tree->nodes < nodes)
        random_node(tree);
    for (int i = 0; i < nodes; i++)
        random_attributes(tree, &tree->node[i]);
    return tree;
}
