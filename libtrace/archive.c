#include "archive_impl.h"

#include "archive_hash.h"
#include "decompress.h"
#include "fail.h"
#include "tar.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define END_MARKER ((uint64_t)2 * VR_TAR_BLOCK)
#define TRIES      10
#define MANY       50000 /* members that are worth an index beside the archive */

static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static vr_archive *open_archives;

static vr_status no_memory(const char *path)
{
    return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", path);
}

static const vr_archive_options *or_default(const vr_archive_options *options)
{
    static const vr_archive_options defaults = VR_ARCHIVE_OPTIONS_INIT;
    return options ? options : &defaults;
}

/* The live manifests behind `newest`; false where one of them is damaged: then those before it. */
static bool open_tables(vr_archive *archive, const vr_footer *newest)
{
    vr_footer footer = *newest;
    archive->table_count = 0;
    while (archive->table_count < VR_TABLES_MOST) {
        if (!vr_manifest_table(&archive->tables[archive->table_count], archive->fd, &footer, archive->path))
            return false;
        archive->table_count++;
        const uint64_t before = footer.commit, previous = footer.previous;
        if (previous == 0)
            return true;
        if (!vr_footer_read(&footer, archive->fd, previous) || footer.number == 0 || footer.end > before)
            return false;
    }
    return false;
}

/* Takes the archive to end at `footer`, which counts. */
static bool take_footer(vr_archive *archive, const vr_footer *footer)
{
    if (!open_tables(archive, footer)) {
        archive->table_count = 0;
        return false;
    }
    archive->end = footer->end;
    archive->number = footer->number;
    return true;
}

/* Finds the newest manifest at the end of the file, or, before what a writer has not finished, where that began. */
static bool find_manifest(vr_archive *archive)
{
    vr_footer footer;
    if (archive->size < END_MARKER || !vr_footer_read(&footer, archive->fd, archive->size - END_MARKER))
        return false;
    if (!vr_footer_counts(&footer, archive->fd) &&
        (!vr_footer_read(&footer, archive->fd, footer.commit) || !vr_footer_counts(&footer, archive->fd)))
        return false;
    return take_footer(archive, &footer);
}

/* Puts what the manifests say beside what was read from the headers. */
static vr_status join_tables(vr_archive *archive)
{
    vr_list known = {0};
    vr_entry **in_order = NULL;
    vr_status status = VR_OK;
    for (int i = 0; i < archive->table_count && status != VR_ERROR_MEMORY; i++)
        status = vr_table_load(&archive->tables[i], NULL, NULL) == VR_OK
                     ? vr_table_load(&archive->tables[i], &known, NULL)
                     : VR_OK;
    if (status == VR_OK)
        status = vr_list_in_order(&known, &in_order);
    for (uint64_t i = 0, j = 0; status == VR_OK && i < archive->list.count; i++) {
        vr_entry *entry = &archive->list.entries[i];
        while (j < known.count && in_order[j]->start < entry->start)
            j++;
        const vr_entry *line = j < known.count && in_order[j]->start == entry->start ? in_order[j] : NULL;
        if (line && line->member.offset == entry->member.offset && line->member.size == entry->member.size &&
            strcmp(line->member.name, entry->member.name) == 0) {
            entry->member.has_digest = line->member.has_digest;
            entry->member.digest = line->member.digest;
            entry->frame = line->frame;
        }
    }
    free(in_order);
    vr_list_free(&known);
    return status;
}

/* Adds a member that was found in the archive; if it is a manifest that counts, it is the newest so far. */
static vr_status add_member(vr_archive *archive, const vr_tar_member *found, vr_footer *newest)
{
    const vr_entry entry = {
        .member = {.name = found->name,
                   .type = found->type,
                   .sparse = found->sparse,
                   .offset = found->data,
                   .size = found->size,
                   .mtime = found->mtime,
                   .mode = found->mode},
        .start = found->start,
    };
    vr_footer footer;
    if (vr_name_is_manifest(found->name) && vr_footer_read(&footer, archive->fd, found->data + found->size) &&
        footer.start == found->start && footer.data == found->data && footer.number > 0)
        *newest = footer;
    return vr_list_add(&archive->list, &entry);
}

static vr_status scan_headers(vr_archive *archive, vr_footer *newest)
{
    vr_tar *tar;
    vr_tar_member member;
    bool found = true;
    vr_status status = vr_tar_open(&tar, archive->fd, archive->size, archive->path);
    if (status != VR_OK)
        return status;
    while (status == VR_OK && found) {
        status = vr_tar_next(tar, &member, &found);
        if (status == VR_OK && found)
            status = add_member(archive, &member, newest);
    }
    archive->end = vr_tar_end(tar);
    vr_tar_close(tar);
    return status;
}

vr_status vr_archive_scan(vr_archive *archive)
{
    vr_footer newest = {0};
    vr_list_free(&archive->list);
    archive->table_count = 0;
    if (archive->index_fd >= 0)
        close(archive->index_fd);
    archive->index_fd = -1;
    vr_status status = scan_headers(archive, &newest);
    if (status == VR_OK && newest.number > 0) {
        archive->number = newest.number;
        open_tables(archive, &newest);
        status = join_tables(archive);
        archive->table_count = 0;
    }
    if (status == VR_OK)
        status = vr_list_sort(&archive->list);
    archive->listed = status == VR_OK;
    return status;
}

static vr_status load_tables(vr_archive *archive)
{
    vr_status status = VR_OK;
    for (int i = archive->table_count - 1; i >= 0 && status == VR_OK; i--) {
        char name[64];
        status = vr_table_load(&archive->tables[i], &archive->list, NULL);
        if (status != VR_OK || archive->index_fd >= 0)
            break;
        const vr_entry manifest = vr_manifest_entry(&archive->tables[i].footer, name);
        status = vr_list_add(&archive->list, &manifest);
    }
    return status == VR_OK ? vr_list_sort(&archive->list) : status;
}

vr_status vr_archive_load(vr_archive *archive)
{
    if (archive->listed)
        return VR_OK;
    const vr_status status = load_tables(archive);
    if (status == VR_ERROR_MEMORY)
        return status;
    if (status != VR_OK)
        return vr_archive_scan(archive);
    archive->listed = true;
    return VR_OK;
}

/* Where no manifest is found at the file's end: behind the last member of a scan, or not at all. */
static vr_status read_headers(vr_archive *archive, bool own)
{
    vr_footer footer;
    if (!own && vr_index_open(archive))
        return VR_OK;
    const vr_status status = vr_archive_scan(archive);
    if (status != VR_OK)
        return status;
    if (vr_footer_read(&footer, archive->fd, archive->end) && vr_footer_counts(&footer, archive->fd) &&
        take_footer(archive, &footer)) {
        vr_list_free(&archive->list);
        archive->listed = false;
    } else if (!own && archive->list.count > MANY && !archive->decompressed) {
        vr_index_write(archive);
    }
    return VR_OK;
}

/* Exchanges a compressed file's descriptor for one of its contents. */
static vr_status decompress(vr_archive *archive, const vr_archive_options *options)
{
    char start[VR_COMPRESSION_BYTES];
    const ssize_t n = pread(archive->fd, start, sizeof start, 0);
    if (n < 0)
        return vr_fail_errno(errno, "%s: cannot read", archive->path);
    if (!vr_compression(start, (size_t)n))
        return VR_OK;
    int fd;
    const vr_status status = vr_decompress(&fd, &archive->size, archive->fd, archive->path, options->memory_limit,
                                           options->progress, options->context);
    if (status != VR_OK)
        return status;
    close(archive->fd);
    archive->fd = fd;
    archive->decompressed = true;
    return VR_OK;
}

static void destroy(vr_archive *archive)
{
    if (archive->fd >= 0)
        close(archive->fd);
    if (archive->index_fd >= 0)
        close(archive->index_fd);
    while (archive->kept) {
        vr_kept_name *next = archive->kept->next;
        free(archive->kept);
        archive->kept = next;
    }
    pthread_mutex_destroy(&archive->lock);
    vr_list_free(&archive->list);
    free(archive->members);
    free(archive->path);
    free(archive);
}

/* Finds the members. Without a manifest at its end the file is gone through up to the size it had: who added to it
 * meanwhile may have ended the archive behind that, and then it is done again, from nothing. */
static vr_status find_members(vr_archive *archive, bool own)
{
    for (int tries = 1;; tries++) {
        struct stat now;
        if (find_manifest(archive))
            return VR_OK;
        const vr_status status = read_headers(archive, own);
        if (archive->decompressed || archive->index_fd >= 0 || fstat(archive->fd, &now) != 0 ||
            vr_is_unchanged(&archive->file, &now) || tries == TRIES)
            return status;
        vr_list_free(&archive->list);
        archive->listed = false;
        archive->file = now;
        archive->size = (uint64_t)now.st_size;
    }
}

vr_status vr_archive_read(vr_archive **out, int fd, const char *path, bool own, const vr_archive_options *options)
{
    vr_archive *archive = calloc(1, sizeof *archive);
    if (!archive) {
        close(fd);
        return no_memory(path);
    }
    archive->fd = fd;
    archive->index_fd = -1;
    archive->references = 1;
    pthread_mutex_init(&archive->lock, NULL);
    archive->path = strdup(path);
    vr_status status = archive->path ? VR_OK : no_memory(path);
    if (status == VR_OK && fstat(fd, &archive->file) != 0)
        status = vr_fail_errno(errno, "%s", path);
    archive->size = (uint64_t)archive->file.st_size;
    if (status == VR_OK)
        status = decompress(archive, or_default(options));
    if (status == VR_OK)
        status = find_members(archive, own);
    if (status != VR_OK) {
        destroy(archive);
        return status;
    }
    *out = archive;
    return VR_OK;
}

/* The archive in `fd`, which is taken over: the one that is open already, or a new one. */
static vr_status open_shared(vr_archive **out, int fd, const struct stat *file, const char *path,
                             const vr_archive_options *options)
{
    for (vr_archive *archive = open_archives; archive; archive = archive->next)
        if (vr_is_unchanged(&archive->file, file)) {
            close(fd);
            archive->references++;
            *out = archive;
            return VR_OK;
        }
    const vr_status status = vr_archive_read(out, fd, path, false, options);
    if (status == VR_OK) {
        (*out)->next = open_archives;
        open_archives = *out;
    }
    return status;
}

static vr_status open_path(vr_archive **out, const char *path, const vr_archive_options *options, struct stat *file)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO without a writer would wait */
    if (fd < 0)
        return vr_fail_errno(errno, "%s", path);
    if (fstat(fd, file) != 0 || !S_ISREG(file->st_mode)) {
        close(fd);
        return vr_fail(VR_ERROR_IO, "%s: not a regular file", path);
    }
    pthread_mutex_lock(&open_lock);
    const vr_status status = open_shared(out, fd, file, path, options);
    pthread_mutex_unlock(&open_lock);
    return status;
}

/* Somebody may have added to the archive after its size was taken, so that its last members seem to be cut off. */
vr_status vr_archive_open(vr_archive **out, const char *path, const vr_archive_options *options)
{
    struct stat before, now;
    for (int i = 0;; i++) {
        const vr_status status = open_path(out, path, options, &before);
        if (status != VR_ERROR_FORMAT || i == TRIES || stat(path, &now) != 0 || vr_is_unchanged(&before, &now))
            return status;
    }
}

void vr_archive_close(vr_archive *archive)
{
    if (!archive)
        return;
    pthread_mutex_lock(&open_lock);
    const bool last = --archive->references == 0;
    for (vr_archive **at = &open_archives; last && *at; at = &(*at)->next)
        if (*at == archive) {
            *at = archive->next;
            break;
        }
    pthread_mutex_unlock(&open_lock);
    if (last)
        destroy(archive);
}

int vr_archive_fd(const vr_archive *archive)
{
    return archive->fd;
}
