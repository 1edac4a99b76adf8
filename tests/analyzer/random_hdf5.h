/* random_hdf5.h - random HDF5 files, and changes to them of which it is known what a comparison has to say.
 *
 * A tree is what a file holds as its reader sees it: objects, links, attributes, values. It follows from its seed, so
 * the same seed twice gives two equal trees, and one of them can be changed. How a tree is stored (layout, filters,
 * version of the format, order of creation) follows from another seed and must not matter to a comparison.
 *
 * Elements are held in the type of the file, references apart: those hold the index of the node they lead to. All
 * identifiers are closed by H5close, all memory of a tree by rh_tree_free. What goes wrong ends the program.
 */
#ifndef RANDOM_HDF5_H
#define RANDOM_HDF5_H

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RH_RANK       5
#define RH_NODES      24
#define RH_ATTRIBUTES 4
#define RH_NAME       48
#define RH_PATH       512

typedef struct rh_random {
    uint64_t state;
} rh_random;

uint64_t rh_draw(rh_random *random);
int rh_below(rh_random *random, int n); /* 0 to n - 1 */
bool rh_one_in(rh_random *random, int n);

/* Elements with their type and shape: what a dataset or an attribute holds. */
typedef struct rh_values {
    hid_t type;
    H5S_class_t space;
    int rank;
    hsize_t shape[RH_RANK];
    uint8_t *data;
    uint8_t *fill;   /* of a dataset; NULL: none of its own */
    hsize_t written; /* rows along the first dimension; what follows is fill, and need not be stored */
} rh_values;

typedef struct rh_attribute {
    char name[RH_NAME];
    rh_values values;
} rh_attribute;

typedef enum rh_kind { RH_GROUP, RH_DATASET, RH_TYPE, RH_HARD, RH_SOFT, RH_EXTERNAL, RH_REMOVED } rh_kind;

/* Node 0 is the root. Parents come before their children. */
typedef struct rh_node {
    rh_kind kind;
    int parent;
    char name[RH_NAME];
    rh_values values; /* a dataset's; a named type has only the type */
    int attributes;
    rh_attribute attribute[RH_ATTRIBUTES];
    int target;         /* of a hard link */
    char file[RH_NAME]; /* of an external link */
    char path[RH_PATH]; /* of a soft or an external link */
} rh_node;

typedef struct rh_tree {
    rh_random random;
    int nodes;
    rh_node node[RH_NODES];
    struct rh_room *rooms; /* memory of values */
} rh_tree;

rh_tree *rh_tree_new(uint64_t seed);
void rh_tree_free(rh_tree *tree);

/* Zeroed memory that lasts as long as the tree. */
void *rh_room(rh_tree *tree, size_t size);
void rh_path(const rh_tree *tree, int node, char out[RH_PATH]);

/* Random types and shapes, and values to go with them. */
hid_t rh_random_type(rh_tree *tree, int depth);
void rh_random_element(rh_tree *tree, hid_t type, void *out);
void rh_random_values(rh_tree *tree, rh_values *out, bool is_dataset);
hsize_t rh_count(const rh_values *values);
bool rh_type_has(hid_t type, H5T_class_t class);
bool rh_is_variable(hid_t type);
const char *rh_class_name(hid_t type);

/* One element's bytes, least significant first, where its type has another order, and back. */
void rh_turn(hid_t type, uint8_t *element);
uint64_t rh_bits(const uint8_t *bytes, size_t at, size_t n);
void rh_set_bits(uint8_t *bytes, size_t at, size_t n, uint64_t value);

/* A change, where it was made, and whether a comparison has to see it. */
typedef struct rh_change {
    const char *name; /* NULL: no place for it was found */
    bool visible;
    char where[3 * RH_PATH]; /* "KIND/CLASS/LEAF:PATH@ATTRIBUTE" as far as it applies */
} rh_change;

/* None of the `count` earlier ones again, which could undo it. */
rh_change rh_tree_change(rh_tree *tree, const rh_change *earlier, int count);

/* The same change to elements only: see random_values.c. */
bool rh_change_values(rh_tree *tree, const char *name, rh_values *values, const char **leaf);

/* Stores a tree as `style` has it: in the same bytes each time, but for the time at which the library says a root group
 * of the newest format was made. */
void rh_tree_write(const rh_tree *tree, const char *path, uint64_t style);

/* Ends the program when a call of the library failed. */
hid_t rh_good(hid_t id);

#endif
