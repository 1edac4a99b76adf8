#include "archive_hash.h"
#include "archive_impl.h"
#include "fail.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#define FIRST_MOST 256

static vr_status reserve(vr_text *text, size_t more)
{
    if (text->room - text->size >= more)
        return VR_OK;
    const size_t room = text->room * 2 > text->size + more ? text->room * 2 : text->size + more;
    char *grown = realloc(text->bytes, room);
    if (!grown)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    text->bytes = grown;
    text->room = room;
    return VR_OK;
}

vr_status vr_text_lines(vr_text *text, const vr_list *list, vr_footer *footer)
{
    for (uint64_t i = 0; i < list->count; i++) {
        const vr_entry *entry = list->by_name[i];
        const vr_status status = reserve(text, VR_LINE_MOST(strlen(entry->member.name)));
        if (status != VR_OK)
            return status;
        text->size += vr_line_write(text->bytes + text->size, entry);
    }
    const size_t whole = (text->size + 2 * VR_FOOTER_BYTES - 1) / VR_FOOTER_BYTES * VR_FOOTER_BYTES;
    const vr_status status = reserve(text, whole - text->size);
    if (status != VR_OK)
        return status;
    memset(text->bytes + text->size, '\n', whole - text->size);
    footer->lines = list->count;
    footer->text = text->size;
    text->size = whole;
    return VR_OK;
}

/* The first line of the index: which file it is about, as it was. */
static size_t first_line(char out[FIRST_MOST], const vr_archive *archive)
{
    const struct stat *file = &archive->file;
    return (size_t)snprintf(out, FIRST_MOST,
                            "varanalyze index 1 size %" PRIu64 " mtime %" PRId64 ".%09ld inode %" PRIu64
                            " end %020" PRIu64 "\n",
                            (uint64_t)file->st_size, (int64_t)file->st_mtim.tv_sec, file->st_mtim.tv_nsec,
                            (uint64_t)file->st_ino, archive->end);
}

static char *index_path(const vr_archive *archive, const char *suffix)
{
    char *path;
    return asprintf(&path, "%s.index%s", archive->path, suffix) < 0 ? NULL : path;
}

/* In a folder where all may write, somebody else's index is not believed. */
static bool is_trusted(const struct stat *index, const struct stat *archive)
{
    return index->st_uid == geteuid() || index->st_uid == archive->st_uid || index->st_uid == 0;
}

static bool read_index(vr_archive *archive, int fd)
{
    struct stat file;
    vr_footer footer;
    char given[FIRST_MOST], expected[FIRST_MOST];
    const size_t length = first_line(expected, archive), fixed = length - 21; /* then 20 digits and a newline */
    if (fstat(fd, &file) != 0 || !S_ISREG(file.st_mode) || !is_trusted(&file, &archive->file) ||
        !vr_footer_read(&footer, fd, (uint64_t)file.st_size) || footer.number == 0 || footer.data != 0 ||
        footer.text < length || vr_read_at(fd, given, length, 0, "") != VR_OK || memcmp(given, expected, fixed) != 0)
        return false;
    given[length] = 0;
    archive->end = strtoull(given + fixed, NULL, 10);
    if (archive->end > archive->size)
        return false;
    archive->tables[0] = (vr_table){fd, archive->path, length, footer.text, archive->end, footer};
    archive->table_count = 1;
    return true;
}

bool vr_index_open(vr_archive *archive)
{
    char *path = index_path(archive, "");
    const int fd = path && !archive->decompressed ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
    free(path);
    if (fd < 0)
        return false;
    archive->end = 0; /* first_line is compared without it */
    if (!read_index(archive, fd)) {
        close(fd);
        archive->end = 0;
        return false;
    }
    archive->index_fd = fd;
    return true;
}

static vr_status make_index(vr_text *text, const vr_archive *archive)
{
    vr_footer footer = {.number = 1};
    text->bytes = malloc(FIRST_MOST);
    if (!text->bytes)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    text->room = FIRST_MOST;
    text->size = first_line(text->bytes, archive);
    const vr_status status = vr_text_lines(text, &archive->list, &footer);
    if (status != VR_OK)
        return status;
    const XXH128_hash_t digest = XXH3_128bits(text->bytes, text->size - VR_FOOTER_BYTES);
    footer.end = text->size;
    footer.digest = (vr_digest){digest.high64, digest.low64};
    vr_footer_write(text->bytes + text->size - VR_FOOTER_BYTES, &footer);
    return VR_OK;
}

/* Writes aside, then renames: a reader sees the whole index or none. `mode` is the archive's: who may not read it is
 * not told its names. */
static void save(const vr_text *text, const char *aside, const char *path, mode_t mode)
{
    char *unique = strdup(aside);
    const int fd = unique ? mkostemp(unique, O_CLOEXEC) : -1;
    if (fd >= 0) {
        const bool written =
            vr_write_at(fd, text->bytes, text->size, 0, unique) == VR_OK && fchmod(fd, mode & 0666) == 0;
        if (close(fd) != 0 || !written || rename(unique, path) != 0)
            unlink(unique);
    }
    free(unique);
}

void vr_index_write(const vr_archive *archive)
{
    struct stat now;
    vr_text text = {0};
    char *path = index_path(archive, ""), *aside = index_path(archive, "-XXXXXX");
    const bool unchanged = fstat(archive->fd, &now) == 0 && now.st_size == archive->file.st_size &&
                           now.st_mtim.tv_sec == archive->file.st_mtim.tv_sec &&
                           now.st_mtim.tv_nsec == archive->file.st_mtim.tv_nsec;
    if (path && aside && unchanged && make_index(&text, archive) == VR_OK)
        save(&text, aside, path, now.st_mode);
    free(text.bytes);
    free(aside);
    free(path);
}
