/* archive_manifest.h - lists of members as they stand in files: an archive's manifests, and the index beside one.
 *
 * Both are sorted lines of text, then padding, then a footer of one block. docs/archive-format.md has them byte for
 * byte.
 */
#ifndef VR_ARCHIVE_MANIFEST_H
#define VR_ARCHIVE_MANIFEST_H

#include <stdio.h>

#include "archive_list.h"

#define VR_MANIFEST_FIRST "varanalyze manifest 1\n"
#define VR_FOOTER_BYTES   512
#define VR_LINE_MOST(name_bytes)                                                                                       \
    (160 + 4 * (name_bytes)) /* bytes of a line, for a name of so many; a member's numbers need fewer than 160 */

/* The last block of a manifest, right before the archive's end marker. */
typedef struct vr_footer {
    uint64_t number;            /* of the manifest; 0: somebody is writing behind `commit`, and there is none yet */
    uint64_t start, data, text; /* where its header begins; where its text begins; bytes of text, without padding */
    uint64_t end;               /* where this block ends, and the archive */
    uint64_t lines;
    uint64_t commit;   /* where the archive ended before; as long as there are zeros, this footer does not count */
    uint64_t previous; /* end of the live manifest before this one; 0: none */
    uint64_t header;   /* XXH3-64 of [start, data) */
    vr_digest digest;  /* XXH3-128 of [data, end - VR_FOOTER_BYTES) */
} vr_footer;

/* Sorted lines in [first, last) of a file. */
typedef struct vr_table {
    int fd;
    const char *name;            /* of the file, for messages */
    uint64_t first, last, limit; /* `limit`: where the archive ends that the lines are about */
    vr_footer footer;
} vr_table;

void vr_footer_write(char block[VR_FOOTER_BYTES], const vr_footer *footer);

/* The footer that ends at `end`; false where there is none. */
bool vr_footer_read(vr_footer *out, int fd, uint64_t end);

/* Whether the archive was committed that this is the footer of. */
bool vr_footer_counts(const vr_footer *footer, int fd);

/* The table of a manifest; false where its text does not begin as it should. */
bool vr_manifest_table(vr_table *out, int fd, const vr_footer *footer, const char *name);

/* The line of a member, at most VR_LINE_MOST(strlen(name)) bytes; how many. */
size_t vr_line_write(char *out, const vr_entry *entry);

/* The last line of that name; `entry->member.name` is then the caller's to free. Fails with VR_ERROR_FORMAT (damaged),
 * VR_ERROR_IO, VR_ERROR_MEMORY. */
vr_status vr_table_find(const vr_table *table, const char *name, vr_entry *entry, bool *found);

/* Adds all lines to `list`, unless it is NULL, having held them against the footer; `contents`, unless NULL, is the
 * digest of the manifest as a member. Fails as vr_table_find does. */
vr_status vr_table_load(const vr_table *table, vr_list *list, vr_digest *contents);

/* The manifest itself as a member, without digests; its name is written to `name`. */
vr_entry vr_manifest_entry(const vr_footer *footer, char name[64]);

#endif
