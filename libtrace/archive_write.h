/* archive_write.h - one change of an archive in place: all of it, or nothing.
 *
 * New bytes go behind the archive's end, but for the first 1 KiB of them: that stays zero, the end marker of the old
 * archive, until everything else is on disk. Then it is written, and the archive is the new one.
 */
#ifndef VR_ARCHIVE_WRITE_H
#define VR_ARCHIVE_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <varanalyze/status.h>

#define VR_END_MARKER 1024

typedef struct vr_writer {
    int fd;
    const char *name;  /* of the file, for messages */
    uint64_t begin;    /* where the archive ended before */
    bool changed;      /* the file may differ from what it was */
    uint64_t old_size; /* what it is cut or padded to when the change is undone */
    uint64_t at;       /* where the next byte goes */
    char *buffer;      /* bytes before `at` that are not in the file yet */
    size_t used;
    char first[VR_END_MARKER]; /* what will be at `begin` */
} vr_writer;

/* Begins a change of the archive in `fd` that ends at `end`. `room`, about as many bytes as will be added, makes the
 * file so long at once that readers find the old end without searching. Fails with VR_ERROR_IO, VR_ERROR_MEMORY. */
vr_status vr_writer_begin(vr_writer *writer, int fd, const char *name, uint64_t end, uint64_t room);

vr_status vr_writer_put(vr_writer *writer, const void *bytes, size_t size);

/* Makes what was put, at least 1 KiB, the archive's, with an end marker behind it. */
vr_status vr_writer_commit(vr_writer *writer);

/* Makes the file what it was. */
void vr_writer_undo(vr_writer *writer);

/* Frees what the writer holds; the file stays as it is. */
void vr_writer_end(vr_writer *writer);

#endif
