/* archive_list.h - the members of an archive in memory, manifests among them. */
#ifndef VR_ARCHIVE_LIST_H
#define VR_ARCHIVE_LIST_H

#include <string.h>
#include <varanalyze/archive.h>

#define VR_MANIFEST_PREFIX ".varanalyze/manifest-"

/* A member, or a manifest; every byte of its extent is in the contents or in the frame. */
typedef struct vr_entry {
    vr_member member; /* its name is the list's */
    uint64_t start;   /* of its first header block */
    uint64_t frame;   /* XXH3-64 of the header blocks and of the padding behind the contents, if has_digest */
    bool hidden;      /* a later member of the same name replaces it */
} vr_entry;

typedef struct vr_names vr_names;

/* Empty when zeroed. */
typedef struct vr_list {
    vr_entry *entries;
    uint64_t count, room;
    vr_entry **by_name; /* by vr_entry_compare, once vr_list_sort was called */
    vr_names *names;
} vr_list;

/* What two names are compared by: without leading "./". */
VR_API const char *vr_name_key(const char *name);

static inline bool vr_name_is_manifest(const char *name)
{
    return strncmp(vr_name_key(name), VR_MANIFEST_PREFIX, sizeof VR_MANIFEST_PREFIX - 1) == 0;
}

/* By the bytes of their keys, then by their place in the archive. */
int vr_entry_compare(const vr_entry *a, const vr_entry *b);

/* Adds a copy. Fails with VR_ERROR_MEMORY. */
vr_status vr_list_add(vr_list *list, const vr_entry *entry);

/* Makes `by_name`, and marks those that are replaced as hidden; nothing may be added afterwards. Fast where long
 * stretches are in order. Fails with VR_ERROR_MEMORY. */
vr_status vr_list_sort(vr_list *list);

/* All entries in the archive's order: `*out`, `count` of them, is the caller's to free. Fails with VR_ERROR_MEMORY. */
vr_status vr_list_in_order(const vr_list *list, vr_entry ***out);

/* The last member of that name in a sorted list, or NULL. */
const vr_entry *vr_list_find(const vr_list *list, const char *name);

/* Empties the list. */
void vr_list_free(vr_list *list);

#endif
