#include "archive_hash.h"
#include "archive_impl.h"
#include "archive_names.h"
#include "archive_write.h"
#include "decompress.h"
#include "fail.h"
#include "tar.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdlib.h>
#include <unistd.h>

#define PAGE  4096 /* contents of at least so many bytes begin at a multiple of it */
#define LINE  256  /* bytes of a manifest's line, about */
#define TRIES 100

/* Files on their way into an archive. */
typedef struct job {
    const char *path;
    int fd;
    bool made;     /* the file was not there, and nobody else has written to it */
    bool nameless; /* the file gets its name when it is complete */
    vr_archive *archive;
    const vr_addition *files;
    uint64_t count;
    char **names;
    vr_writer writer;
    vr_list lines; /* of the new manifest */
    void *piece;
    const vr_archive_options *options;
    uint64_t done, total;
} job;

static vr_status no_memory(const job *of)
{
    return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", of->path);
}

static void tell(job *of, const char *name, uint64_t bytes)
{
    of->done += bytes;
    if (of->options && of->options->progress)
        of->options->progress(of->options->context, name, of->done, of->total);
}

/* Locks the file, waiting for others that write; the lock goes when the file is closed. */
static vr_status lock(const job *of)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int result;
    do
        result = fcntl(of->fd, F_OFD_SETLKW, &whole);
    while (result != 0 && errno == EINTR);
    return result != 0 ? vr_fail_errno(errno, "%s: cannot lock", of->path) : VR_OK;
}

/* Whether the locked file is still what the path names: somebody who failed may have removed it. Somebody who had the
 * lock before may have written to it: then it is no longer ours to remove. */
static bool is_there(job *of)
{
    struct stat file, named;
    const bool there = fstat(of->fd, &file) == 0 && stat(of->path, &named) == 0 && file.st_dev == named.st_dev &&
                       file.st_ino == named.st_ino;
    of->made = of->made && there && file.st_size <= VR_END_MARKER;
    return there;
}

/* A new archive is best made without a name, so that nothing is left if this is killed; not all file systems can. */
static bool open_nameless(job *of)
{
    struct stat there;
    char *copy = strdup(of->path);
    if (copy && lstat(of->path, &there) != 0 && access("/proc/self/fd", F_OK) == 0)
        of->fd = open(dirname(copy), O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    free(copy);
    of->nameless = of->fd >= 0;
    return of->nameless;
}

static vr_status give_name(const job *of)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", of->fd);
    if (linkat(AT_FDCWD, path, AT_FDCWD, of->path, AT_SYMLINK_FOLLOW) == 0)
        return VR_OK;
    return errno == EEXIST ? vr_fail(VR_ERROR_ARGUMENT, "%s: is there already", of->path)
                           : vr_fail_errno(errno, "%s: cannot name the file", of->path);
}

/* A file that others add to as well has its name at once, but never without an end marker: tar takes an empty file for
 * none of its own. */
static bool make_empty(job *of)
{
    static const char nothing[VR_END_MARKER];
    if (!open_nameless(of))
        return false;
    of->nameless = false;
    of->made = vr_write_at(of->fd, nothing, sizeof nothing, 0, of->path) == VR_OK && give_name(of) == VR_OK;
    if (!of->made)
        close(of->fd);
    return of->made;
}

static vr_status open_file(job *of)
{
    if (make_empty(of))
        return lock(of);
    of->fd = open(of->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    of->made = of->fd >= 0;
    if (of->fd < 0 && errno == EEXIST)
        of->fd = open(of->path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (of->fd < 0)
        return vr_fail_errno(errno, "%s", of->path);
    return lock(of);
}

static vr_status open_locked(job *of)
{
    for (int i = 0;; i++) {
        const vr_status status = open_file(of);
        if (status == VR_OK && is_there(of))
            return VR_OK;
        if ((status != VR_OK && (of->fd >= 0 || errno != ENOENT)) || i == TRIES)
            return status != VR_OK ? status : vr_fail(VR_ERROR_IO, "%s: does not stay in its place", of->path);
        if (of->fd >= 0)
            close(of->fd);
        of->fd = -1;
    }
}

static vr_status check_file(const job *of, bool create)
{
    char start[VR_COMPRESSION_BYTES];
    struct stat file;
    if (fstat(of->fd, &file) != 0)
        return vr_fail_errno(errno, "%s", of->path);
    if (!S_ISREG(file.st_mode))
        return vr_fail(VR_ERROR_FORMAT, "%s: not a regular file", of->path);
    if (create && file.st_size > 0)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: is there already", of->path);
    const ssize_t n = pread(of->fd, start, sizeof start, 0);
    const char *compression = n > 0 ? vr_compression(start, (size_t)n) : NULL;
    if (compression)
        return vr_fail(VR_ERROR_UNSUPPORTED,
                       "%s: compressed with %s, and nothing can be added to it; decompress it first", of->path,
                       compression);
    return VR_OK;
}

static vr_status read_archive(job *of)
{
    const int fd = fcntl(of->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return vr_fail_errno(errno, "%s", of->path);
    return vr_archive_read(&of->archive, fd, of->path, true, NULL);
}

/* How many bytes will be written, about; and of how many files' contents. */
static vr_status measure(job *of, uint64_t *room)
{
    struct stat file, archive;
    *room = PAGE + LINE * (of->count + of->archive->list.count);
    for (int i = 0; i < of->archive->table_count; i++)
        *room += of->archive->tables[i].footer.text + LINE;
    if (fstat(of->fd, &archive) != 0)
        return vr_fail_errno(errno, "%s", of->path);
    for (uint64_t i = 0; i < of->count; i++) {
        if (stat(of->files[i].path, &file) != 0)
            return vr_fail_errno(errno, "%s", of->files[i].path);
        if (!S_ISREG(file.st_mode))
            return vr_fail(VR_ERROR_ARGUMENT, "%s: not a regular file", of->files[i].path);
        if (file.st_dev == archive.st_dev && file.st_ino == archive.st_ino)
            return vr_fail(VR_ERROR_ARGUMENT, "%s: the archive cannot be added to itself", of->files[i].path);
        of->total += (uint64_t)file.st_size;
        *room += vr_tar_round((uint64_t)file.st_size) + 2 * PAGE;
    }
    return VR_OK;
}

static vr_status pad(job *of, size_t bytes)
{
    static const char zeros[VR_TAR_BLOCK];
    return vr_writer_put(&of->writer, zeros, bytes);
}

/* Copies the contents; a file that changes meanwhile is not taken. */
static vr_status copy_contents(job *of, int fd, const struct stat *before, const char *path, vr_member *member)
{
    struct stat after;
    char more;
    vr_content content;
    vr_content_begin(&content);
    for (uint64_t at = 0; at < member->size;) {
        const uint64_t left = member->size - at;
        const size_t now = left < VR_PIECE ? (size_t)left : VR_PIECE;
        vr_status status = vr_read_at(fd, of->piece, now, at, path);
        if (status == VR_OK)
            status = vr_writer_put(&of->writer, of->piece, now);
        if (status != VR_OK)
            return status;
        vr_content_add(&content, of->piece, now);
        tell(of, member->name, now);
        at += now;
    }
    if (fstat(fd, &after) != 0 || pread(fd, &more, 1, (off_t)member->size) != 0 || after.st_size != before->st_size ||
        after.st_mtim.tv_sec != before->st_mtim.tv_sec || after.st_mtim.tv_nsec != before->st_mtim.tv_nsec)
        return vr_fail(VR_ERROR_IO, "%s: changed while it was read", path);
    member->digest = vr_content_end(&content);
    member->has_digest = true;
    return VR_OK;
}

static vr_status copy_file(job *of, int fd, const char *path, const char *name)
{
    static const char zeros[VR_TAR_BLOCK];
    struct stat file;
    void *header;
    size_t header_bytes;
    if (fstat(fd, &file) != 0)
        return vr_fail_errno(errno, "%s", path);
    if (!S_ISREG(file.st_mode))
        return vr_fail(VR_ERROR_ARGUMENT, "%s: not a regular file", path);
    const vr_tar_member member = {.name = name,
                                  .mode = (uint32_t)file.st_mode & 0777,
                                  .mtime = file.st_mtim.tv_sec,
                                  .size = (uint64_t)file.st_size};
    vr_status status =
        vr_tar_header(&header, &header_bytes, &member, of->writer.at, member.size < PAGE ? VR_TAR_BLOCK : PAGE);
    if (status != VR_OK)
        return status;
    const size_t padding = (size_t)(vr_tar_round(member.size) - member.size);
    vr_entry entry = {.member = {.name = name,
                                 .type = '0',
                                 .offset = of->writer.at + header_bytes,
                                 .size = member.size,
                                 .mtime = member.mtime,
                                 .mode = member.mode},
                      .start = of->writer.at,
                      .frame = vr_frame_digest(header, header_bytes, zeros, padding)};
    status = vr_writer_put(&of->writer, header, header_bytes);
    free(header);
    if (status == VR_OK)
        status = copy_contents(of, fd, &file, path, &entry.member);
    if (status == VR_OK)
        status = pad(of, padding);
    return status == VR_OK ? vr_list_add(&of->lines, &entry) : status;
}

static vr_status add_files(job *of)
{
    vr_status status = VR_OK;
    for (uint64_t i = 0; i < of->count && status == VR_OK; i++) {
        const char *path = of->files[i].path;
        const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
            return vr_fail_errno(errno, "%s", path);
        status = copy_file(of, fd, path, of->names[i]);
        close(fd);
    }
    return status;
}

/* Members that stand in no manifest: their digests are taken from what they are now. */
static vr_status adopt(job *of)
{
    const vr_archive *archive = of->archive;
    vr_status status = VR_OK;
    for (uint64_t i = 0; i < archive->list.count && status == VR_OK; i++) {
        vr_entry entry = archive->list.entries[i];
        if (!entry.member.has_digest)
            status =
                vr_hash_entry(&entry.member.digest, &entry.frame, of->fd, &entry, archive->end, of->piece, of->path);
        entry.member.has_digest = true;
        if (status == VR_OK)
            status = vr_list_add(&of->lines, &entry);
    }
    return status;
}

/* The new manifest takes over the lines of older ones that have fewer than twice as many as it has already: so each
 * line is written O(log n) times, and O(log n) manifests are live. The rest begin with the one at `*previous`. */
static vr_status absorb(job *of, uint64_t *previous)
{
    const vr_archive *archive = of->archive;
    *previous = 0;
    for (int i = 0; i < archive->table_count; i++) {
        const vr_table *table = &archive->tables[i];
        char name[64];
        vr_entry manifest = vr_manifest_entry(&table->footer, name);
        *previous = table->footer.end;
        if (table->footer.lines >= 2 * of->lines.count)
            return VR_OK;
        vr_status status = vr_table_load(table, &of->lines, &manifest.member.digest);
        manifest.member.has_digest = true;
        manifest.frame = table->footer.header;
        if (status == VR_OK)
            status = vr_list_add(&of->lines, &manifest);
        if (status != VR_OK)
            return status;
    }
    *previous = 0;
    return VR_OK;
}

/* Puts the manifest's text and header together so that the archive's end marker lies within a page. */
static vr_status place_manifest(job *of, vr_text *text, vr_footer *footer, void **header)
{
    char name[64];
    size_t header_bytes;
    footer->start = of->writer.at;
    for (;;) {
        const vr_entry entry = vr_manifest_entry(footer, name);
        const vr_tar_member member = {.name = name, .size = text->size, .mode = entry.member.mode};
        const vr_status status = vr_tar_header(header, &header_bytes, &member, footer->start, VR_TAR_BLOCK);
        if (status != VR_OK)
            return status;
        footer->data = footer->start + header_bytes;
        footer->end = footer->data + text->size;
        footer->header = vr_frame_digest(*header, header_bytes, NULL, 0);
        if (footer->end % PAGE <= PAGE - VR_END_MARKER)
            return VR_OK;
        free(*header);
        char *grown = realloc(text->bytes, text->size + VR_TAR_BLOCK);
        if (!grown)
            return no_memory(of);
        memset(grown + text->size - VR_FOOTER_BYTES, '\n', VR_TAR_BLOCK);
        text->bytes = grown;
        text->size += VR_TAR_BLOCK;
    }
}

static vr_status put_manifest(job *of, vr_text *text, vr_footer *footer)
{
    void *header;
    vr_status status = place_manifest(of, text, footer, &header);
    if (status != VR_OK)
        return status;
    const XXH128_hash_t digest = XXH3_128bits(text->bytes, text->size - VR_FOOTER_BYTES);
    footer->digest = (vr_digest){digest.high64, digest.low64};
    vr_footer_write(text->bytes + text->size - VR_FOOTER_BYTES, footer);
    status = vr_writer_put(&of->writer, header, (size_t)(footer->data - footer->start));
    free(header);
    return status == VR_OK ? vr_writer_put(&of->writer, text->bytes, text->size) : status;
}

static vr_status add_manifest(job *of)
{
    vr_footer footer = {.number = of->archive->number + 1, .commit = of->archive->end};
    vr_text text = {.bytes = strdup(VR_MANIFEST_FIRST), .size = strlen(VR_MANIFEST_FIRST)};
    text.room = text.size;
    vr_status status = text.bytes ? VR_OK : no_memory(of);
    if (status == VR_OK)
        status = vr_archive_is_covered(of->archive) ? absorb(of, &footer.previous) : adopt(of);
    if (status == VR_OK)
        status = vr_list_sort(&of->lines);
    if (status == VR_OK)
        status = vr_text_lines(&text, &of->lines, &footer);
    if (status == VR_OK)
        status = put_manifest(of, &text, &footer);
    free(text.bytes);
    return status;
}

/* Writes all of the change, or undoes it. */
static vr_status change(job *of)
{
    uint64_t room;
    vr_status status = measure(of, &room);
    if (status != VR_OK)
        return status;
    status = vr_writer_begin(&of->writer, of->fd, of->path, of->archive->end, room);
    if (status == VR_OK)
        status = add_files(of);
    if (status == VR_OK)
        status = add_manifest(of);
    if (status == VR_OK)
        status = vr_writer_commit(&of->writer);
    if (status != VR_OK)
        vr_writer_undo(&of->writer);
    vr_writer_end(&of->writer);
    return status;
}

/* A file that was made is not safe until its folder is. */
static void keep_name(const job *of)
{
    char *copy = strdup(of->path);
    const int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(copy);
}

/* Nothing is overwritten that somebody put behind the end marker: another archive, or all of a file that is none and
 * begins with zeros. What a killed program left may go: a footer ends it. */
static vr_status check_behind(const job *of)
{
    const char *piece = of->piece;
    const uint64_t from = of->archive->end, size = of->archive->size, behind = size > from ? size - from : 0;
    vr_footer footer;
    if (behind == 0 || (size >= VR_END_MARKER && vr_footer_read(&footer, of->fd, size - VR_END_MARKER)))
        return VR_OK;
    const size_t bytes = behind < VR_PIECE ? (size_t)behind : VR_PIECE;
    const vr_status status = vr_read_at(of->fd, of->piece, bytes, from, of->path);
    if (status != VR_OK)
        return status;
    size_t at = 0;
    while (at < bytes && piece[at] == 0)
        at++;
    if (at < bytes && from == 0)
        return vr_fail(VR_ERROR_FORMAT, "%s: not a tar archive: it begins with zeros, and something else follows",
                       of->path);
    at -= at % VR_TAR_BLOCK;
    if (vr_tar_begins(piece + at, bytes - at) && piece[at])
        return vr_fail(VR_ERROR_FORMAT,
                       "%s: another archive begins behind its end, at %" PRIu64
                       ", and would be lost: 'tar --concatenate' joins archives, 'cat' does not",
                       of->path, from + at);
    return VR_OK;
}

static vr_status append(job *of, vr_taken taken, bool create)
{
    vr_status status = check_file(of, create);
    if (status == VR_OK)
        status = read_archive(of);
    const bool covered = status == VR_OK && vr_archive_is_covered(of->archive);
    if (status == VR_OK)
        status = vr_names_choose(&of->names, of->archive, of->files, of->count, taken);
    if (status != VR_OK || (of->count == 0 && covered))
        return status;
    if (covered && !vr_archive_is_covered(of->archive)) /* new digests would hide what is wrong with the members */
        return vr_fail(VR_ERROR_FORMAT, "%s: a manifest is damaged, so nothing is added; verify the archive", of->path);
    of->piece = malloc(VR_PIECE);
    status = of->piece ? check_behind(of) : no_memory(of);
    return status == VR_OK ? change(of) : status;
}

vr_status vr_archive_append(const char *path, const vr_addition *files, uint64_t count, vr_taken taken, bool create,
                            char **added, const vr_archive_options *options)
{
    job of = {.path = path, .fd = -1, .files = files, .count = count, .options = options};
    vr_status status = create && open_nameless(&of) ? VR_OK : open_locked(&of);
    if (status == VR_OK)
        status = append(&of, taken, create);
    if (status == VR_OK && of.nameless)
        status = give_name(&of);
    if (status == VR_OK && (of.made || of.nameless))
        keep_name(&of);
    if (status != VR_OK && of.made)
        unlink(path);
    for (uint64_t i = 0; i < count && status == VR_OK && added; i++) {
        added[i] = of.names[i];
        of.names[i] = NULL;
    }
    vr_names_free(of.names, count);
    vr_list_free(&of.lines);
    vr_archive_close(of.archive);
    free(of.piece);
    if (of.fd >= 0)
        close(of.fd);
    return status;
}
