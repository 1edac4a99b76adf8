/* make_pairs - pairs of random HDF5 files of which it is known whether they hold the same, and damaged files. */
#include "random_hdf5.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: make_pairs DIR FIRST COUNT\n"
    "       make_pairs --damage DIR COUNT FILE...\n"
    "\n"
    "Write DIR/SEED-a.h5 and DIR/SEED-b.h5 for COUNT seeds from FIRST on, and for each pair a line\n"
    "\n"
    "  SEED SAME HOLDS CHANGE...\n"
    "\n"
    "SAME is 0 if the files hold the same and 1 if not; HOLDS lists the classes of types in the first file; CHANGE is\n"
    "NAME=KIND/CLASS/LEAF:PATH@ATTRIBUTE.\n"
    "\n"
    "--damage writes COUNT damaged copies of the files, in turn, to DIR/NUMBER.h5: cut off, or with other bytes.\n";

#define MOST_CHANGES  3
#define STYLES_OF_A   UINT64_C(0x1000000)
#define STYLES_OF_B   UINT64_C(0x2000000)
#define MOST_CLASSES  14
#define METADATA_HEAD 2048 /* most of the metadata of a small file lies here */

static void add_name(const char *names[MOST_CLASSES], const char *name)
{
    int i = 0;
    while (names[i] && strcmp(names[i], name) != 0)
        i++;
    names[i] = name;
}

static void add_class(const char *classes[MOST_CLASSES], hid_t type)
{
    const H5T_class_t class = H5Tget_class(type);
    add_name(classes, rh_class_name(type));
    if (class == H5T_ARRAY && rh_type_has(type, H5T_VLEN))
        add_name(classes, "array-of-vlen");
    for (unsigned k = 0; class == H5T_COMPOUND && k < (unsigned)H5Tget_nmembers(type); k++)
        add_class(classes, H5Tget_member_type(type, k));
    if (class == H5T_ARRAY || class == H5T_VLEN)
        add_class(classes, H5Tget_super(type));
}

static void print_classes(const rh_tree *tree)
{
    const char *classes[MOST_CLASSES] = {NULL};
    for (int i = 0; i < tree->nodes; i++) {
        const rh_node *node = &tree->node[i];
        if (node->kind == RH_DATASET || node->kind == RH_TYPE)
            add_class(classes, node->values.type);
        for (int k = 0; k < node->attributes; k++)
            add_class(classes, node->attribute[k].values.type);
    }
    printf(classes[0] ? "%s" : "nothing", classes[0]);
    for (int i = 1; i < MOST_CLASSES && classes[i]; i++)
        printf(",%s", classes[i]);
}

/* A third of the pairs is left as it is. */
static int change_tree(rh_tree *tree, rh_change changes[MOST_CHANGES])
{
    const int kind = rh_below(&tree->random, 9), count = kind < 3 ? 0 : kind < 7 ? 1 : kind - 5;
    for (int i = 0; i < count; i++)
        changes[i] = rh_tree_change(tree, changes, i);
    return count;
}

static void make_pair(const char *directory, uint64_t seed)
{
    char path[4096];
    rh_change changes[MOST_CHANGES];
    rh_tree *a = rh_tree_new(seed), *b = rh_tree_new(seed);
    snprintf(path, sizeof path, "%s/%llu-a.h5", directory, (unsigned long long)seed);
    rh_tree_write(a, path, seed + STYLES_OF_A);
    const int count = change_tree(b, changes);
    snprintf(path, sizeof path, "%s/%llu-b.h5", directory, (unsigned long long)seed);
    rh_tree_write(b, path, seed + STYLES_OF_B);

    bool same = true;
    for (int i = 0; i < count; i++)
        same = same && !changes[i].visible;
    printf("%llu %d ", (unsigned long long)seed, !same);
    print_classes(a);
    for (int i = 0; i < count; i++)
        printf(" %s=%s", changes[i].name, changes[i].where);
    printf("\n");
    fflush(stdout);
    rh_tree_free(a);
    rh_tree_free(b);
    H5close();
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    if (file && fseek(file, 0, SEEK_END) == 0) {
        *size = (size_t)ftell(file);
        bytes = malloc(*size + 1);
        rewind(file);
        if (bytes && fread(bytes, 1, *size, file) != *size)
            *size = 0;
    }
    if (file)
        fclose(file);
    if (!bytes) {
        fprintf(stderr, "make_pairs: %s: cannot read: %s\n", path, strerror(errno));
        exit(1);
    }
    return bytes;
}

/* A third is cut off; in the others a few bytes, most near the beginning, are changed. */
static size_t damage(rh_random *random, uint8_t *bytes, size_t size)
{
    if (size == 0)
        return 0;
    if (rh_one_in(random, 3))
        return (size_t)rh_below(random, (int)size);
    const size_t head = size < METADATA_HEAD ? size : METADATA_HEAD;
    const int count = 1 + rh_below(random, 6);
    for (int i = 0; i < count; i++) {
        const size_t at = (size_t)rh_below(random, rh_one_in(random, 4) ? (int)size : (int)head);
        static const uint8_t edges[] = {0, 1, 0x7f, 0x80, 0xff};
        const int kind = rh_below(random, 3);
        bytes[at] = kind == 0   ? edges[rh_below(random, 5)]
                    : kind == 1 ? (uint8_t)rh_draw(random)
                                : bytes[at] ^ (uint8_t)(1 << rh_below(random, 8));
    }
    return size;
}

static void make_damaged(const char *directory, int number, const char *from)
{
    char path[4096];
    size_t size;
    rh_random random = {(uint64_t)number};
    uint8_t *bytes = read_file(from, &size);
    const size_t left = damage(&random, bytes, size);
    snprintf(path, sizeof path, "%s/%d.h5", directory, number);
    FILE *file = fopen(path, "wb");
    const bool written = file && fwrite(bytes, 1, left, file) == left;
    if ((file && fclose(file) != 0) || !written) {
        fprintf(stderr, "make_pairs: %s: cannot write: %s\n", path, strerror(errno));
        exit(1);
    }
    free(bytes);
}

int main(int argc, char **argv)
{
    if (argc > 4 && strcmp(argv[1], "--damage") == 0) {
        for (int i = 0; i < atoi(argv[3]); i++)
            make_damaged(argv[2], i, argv[4 + i % (argc - 4)]);
        return 0;
    }
    if (argc != 4)
        return fputs(usage, stderr), 2;
    const uint64_t first = strtoull(argv[2], NULL, 10);
    for (uint64_t seed = first; seed < first + strtoull(argv[3], NULL, 10); seed++)
        make_pair(argv[1], seed);
    return 0;
}
