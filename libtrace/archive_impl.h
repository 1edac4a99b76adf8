/* archive_impl.h - an open archive, for the files that make up archive.h. */
#ifndef VR_ARCHIVE_IMPL_H
#define VR_ARCHIVE_IMPL_H

#include <pthread.h>
#include <sys/stat.h>

#include "archive_manifest.h"

#define VR_TABLES_MOST 64 /* live manifests: each has at least twice the lines of the next newer one */

typedef struct vr_kept_name {
    struct vr_kept_name *next;
    char name[];
} vr_kept_name;

struct vr_archive {
    struct vr_archive *next; /* among those that are open */
    unsigned references;
    struct stat file; /* as it was when it was opened */
    char *path;
    int fd; /* the tar archive's bytes */
    bool decompressed;
    uint64_t size, end;              /* of all bytes behind `fd`; where the end marker stands */
    uint64_t number;                 /* of the newest manifest, 0: there is none */
    int index_fd;                    /* of the index beside it, or -1 */
    pthread_mutex_t lock;            /* for what follows */
    vr_table tables[VR_TABLES_MOST]; /* newest first; none: all is in `list` */
    int table_count;
    bool tables_sound; /* they have been held against their digests */
    vr_list list;      /* everything, sorted, if `listed` */
    bool listed;
    vr_member *members; /* without what is hidden, if not NULL */
    uint64_t member_count;
    vr_kept_name *kept; /* names that were given out */
};

/* Whether it is the same file, and as far as size and time tell, nobody has written to it in between. */
static inline bool vr_is_unchanged(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Reads the plain archive in `fd`, which the archive then owns, even on failure; `own`: neither shared nor indexed. */
vr_status vr_archive_read(vr_archive **out, int fd, const char *path, bool own, const vr_archive_options *options);

/* Makes `list` hold everything, live manifests too, with digests as far as manifests have them. The caller holds the
 * lock. Fails with VR_ERROR_FORMAT, VR_ERROR_IO, VR_ERROR_MEMORY. */
vr_status vr_archive_load(vr_archive *archive);

/* The same from the headers, whatever manifests and indexes say. */
vr_status vr_archive_scan(vr_archive *archive);

/* Like vr_archive_find, but not finding it is no failure, and manifests are found too. The caller holds the lock. */
vr_status vr_archive_look(vr_archive *archive, const char *name, vr_member *out, bool *found);

/* Whether the archive ends with a manifest, and every member stands in one of those in `tables`. */
static inline bool vr_archive_is_covered(const vr_archive *archive)
{
    return archive->table_count > 0 && archive->index_fd < 0;
}

/* The index beside the archive as its only table, if it is there and fits. */
bool vr_index_open(vr_archive *archive);

/* Writes it, if that is possible. */
void vr_index_write(const vr_archive *archive);

/* A file of lines in memory. */
typedef struct vr_text {
    char *bytes;
    size_t size, room;
} vr_text;

/* Appends the lines of `list`, sorted, and fills the text up with newlines so that it ends, its footer included, at a
 * whole block: the footer's place is left free. Fails with VR_ERROR_MEMORY. */
vr_status vr_text_lines(vr_text *text, const vr_list *list, vr_footer *footer);

#endif
