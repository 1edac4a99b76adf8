/* sites.h - the sites and names of a run: each is told to the trace once, and known by a number from then on. */
#ifndef VR_SITES_H
#define VR_SITES_H

#include <varanalyze/tensor.h>
#include <varanalyze/trace.h>

#define VR_SITE_UNTOLD UINT32_MAX

/* What a record call says of its tensor. */
typedef struct vr_site_key {
    vr_phase phase;
    const char *layer, *name;
    const vr_tensor *tensor;
    const char *const *inputs;
    size_t input_count;
} vr_site_key;

typedef struct vr_site_entry {
    vr_phase phase;
    char *layer, *name;
    char **inputs;
    size_t input_count;
    vr_dtype dtype;
    int rank;
    int64_t shape[VR_MAX_RANK];
    vr_level level; /* set by the caller when the site is new */
    uint32_t every;
    bool projection;
    const struct vr_perturb_rule *perturb; /* set with the level; NULL: none */
    uint64_t uses;                         /* record calls so far */
    uint32_t id;                           /* VR_SITE_UNTOLD until the trace knows the site */
} vr_site_entry;

typedef struct vr_name_entry {
    char *text;
    uint32_t id;
} vr_name_entry;

/* An open-addressed table of entries that stay where they are. */
typedef struct vr_table {
    struct vr_slot {
        uint64_t hash;
        void *entry;
    } * slots;
    size_t count, size; /* size: a power of two, or 0 */
} vr_table;

/* Zero-initialize. */
typedef struct vr_sites {
    vr_table sites, names;
} vr_sites;

/* The site of that key; a new one has level 0. NULL when there is no memory. */
vr_site_entry *vr_sites_find(vr_sites *all, const vr_site_key *key);

/* The name's entry; a new one has the next number, and `*fresh` is set. NULL when there is no memory. */
vr_name_entry *vr_sites_name(vr_sites *all, const char *text, bool *fresh);

void vr_sites_free(vr_sites *all);

#endif
