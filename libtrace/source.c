#include <varanalyze/source.h>

#include "archive_list.h"
#include "decompress.h"
#include "fail.h"
#include "tar.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef enum kind { PLAIN, COMPRESSED, ARCHIVE } kind;

static vr_status find_kind(kind *out, int fd, const char *name)
{
    char start[VR_TAR_START];
    *out = PLAIN;
    const ssize_t n = pread(fd, start, sizeof start, 0);
    size_t bytes = n > 0 ? (size_t)n : 0;
    if (n < 0)
        return vr_fail_errno(errno, "%s: cannot read", name);
    if (vr_compression(start, bytes)) {
        *out = COMPRESSED;
        bytes = sizeof start;
        const vr_status status = vr_decompress_start(start, &bytes, fd, name);
        if (status != VR_OK)
            return status;
    }
    if (vr_tar_begins(start, bytes))
        *out = ARCHIVE;
    return VR_OK;
}

static vr_status open_regular(int *out, uint64_t *size, const char *name)
{
    struct stat file;
    const int fd = *out = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* does not wait at a FIFO */
    if (fd < 0 || fstat(fd, &file) != 0)
        return vr_fail_errno(errno, "%s", name);
    *size = (uint64_t)file.st_size;
    if (S_ISDIR(file.st_mode))
        return vr_fail(VR_ERROR_FORMAT, "%s: is a directory, not a trace; name a file in it", name);
    if (!S_ISREG(file.st_mode))
        return vr_fail(VR_ERROR_FORMAT, "%s: not a regular file", name);
    if (file.st_size == 0)
        return vr_fail(VR_ERROR_FORMAT, "%s: the file is empty", name);
    return VR_OK;
}

static vr_status decompress(vr_source *source, const vr_archive_options *options)
{
    int plain;
    const vr_status status = vr_decompress(&plain, &source->size, source->fd, source->name, options->memory_limit,
                                           options->progress, options->context);
    if (status != VR_OK)
        return status;
    close(source->fd);
    source->fd = plain;
    return VR_OK;
}

static vr_status open_file(vr_source *source, const vr_archive_options *options)
{
    kind found = PLAIN;
    vr_status status = open_regular(&source->fd, &source->size, source->name);
    if (status == VR_OK)
        status = find_kind(&found, source->fd, source->name);
    if (status == VR_OK && found == ARCHIVE)
        return vr_fail(VR_ERROR_FORMAT, "%s: an archive: name a member of it, as in '%s:run1.h5'", source->name,
                       source->name);
    return status == VR_OK && found == COMPRESSED ? decompress(source, options) : status;
}

/* What is packed twice is not unpacked here. (A tar archive of HDF5 files passes for the first of them.) */
static vr_status refuse_packed(const vr_source *source, const vr_member *member)
{
    char start[VR_TAR_START];
    const size_t wanted = member->size < sizeof start ? (size_t)member->size : sizeof start;
    const ssize_t n = pread(vr_archive_fd(source->archive), start, wanted, (off_t)member->offset);
    if (n < 0)
        return vr_fail_errno(errno, "%s: cannot read", source->name);
    const char *compression = vr_compression(start, (size_t)n);
    if (compression)
        return vr_fail(VR_ERROR_FORMAT, "%s: compressed with %s within the archive: extract it, and read it there",
                       source->name, compression);
    if (n > 0 && start[0] && vr_tar_begins(start, (size_t)n))
        return vr_fail(VR_ERROR_FORMAT, "%s: an archive within the archive: extract it, and read it there",
                       source->name);
    return VR_OK;
}

static vr_status open_member(vr_source *source, const char *path, const char *name, const vr_archive_options *options)
{
    vr_member member;
    vr_status status = vr_archive_open(&source->archive, path, options);
    if (status == VR_OK)
        status = vr_archive_find(source->archive, name, &member);
    if (status != VR_OK)
        return status;
    if (member.type != '0')
        return vr_fail(VR_ERROR_FORMAT, "%s: a directory, link or device of the archive, not a file", source->name);
    if (member.sparse)
        return vr_fail(VR_ERROR_FORMAT, "%s: stored as a sparse file: extract it with tar, and read it there",
                       source->name);
    if (member.size == 0)
        return vr_fail(VR_ERROR_FORMAT, "%s: the file is empty", source->name);
    source->fd = vr_archive_fd(source->archive);
    source->offset = member.offset;
    source->size = member.size;
    return refuse_packed(source, &member);
}

/* "runs.tar" of "runs.tar:run1.h5", the caller's to free, and where the member's name begins; NULL when no prefix
 * before a colon is a file. */
static char *archive_part(const char *name, const char **member)
{
    struct stat file;
    for (const char *colon = strchr(name, ':'); colon; colon = strchr(colon + 1, ':')) {
        char *path = strndup(name, (size_t)(colon - name));
        if (path && stat(path, &file) == 0 && S_ISREG(file.st_mode)) {
            *member = colon + 1;
            return path;
        }
        free(path);
    }
    return NULL;
}

static const vr_archive_options *or_default(const vr_archive_options *options)
{
    static const vr_archive_options defaults = VR_ARCHIVE_OPTIONS_INIT;
    return options ? options : &defaults;
}

vr_status vr_source_open(vr_source *out, const char *name, const vr_archive_options *options)
{
    const char *member;
    *out = (vr_source){.name = strdup(name), .fd = -1};
    if (!out->name)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", name);
    char *path = access(name, F_OK) != 0 ? archive_part(name, &member) : NULL;
    const vr_status status =
        path ? open_member(out, path, member, or_default(options)) : open_file(out, or_default(options));
    free(path);
    if (status != VR_OK)
        vr_source_close(out);
    return status;
}

void vr_source_close(vr_source *source)
{
    if (source->archive)
        vr_archive_close(source->archive);
    else if (source->name && source->fd >= 0)
        close(source->fd);
    free(source->name);
    *source = (vr_source){.fd = -1};
}

typedef struct list {
    char **names;
    uint64_t count;
} list;

static vr_status add(list *all, const char *format, ...) __attribute__((format(printf, 2, 3)));

static vr_status add(list *all, const char *format, ...)
{
    va_list args;
    char *name = NULL, **names = realloc(all->names, (all->count + 1) * sizeof *names);
    if (!names)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    all->names = names;
    va_start(args, format);
    const int length = vasprintf(&name, format, args);
    va_end(args);
    if (length < 0)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    names[all->count++] = name;
    return VR_OK;
}

static bool is_pattern(const char *text)
{
    return strpbrk(text, "*?[") != NULL;
}

static bool ends_in(const char *name, const char *suffix)
{
    const size_t length = strlen(name), end = strlen(suffix);
    return length > end && strcmp(name + length - end, suffix) == 0;
}

static bool is_hdf5_name(const char *name)
{
    return ends_in(name, ".h5") || ends_in(name, ".hdf5");
}

static bool is_chosen(const vr_member *member, const char *pattern)
{
    return member->type == '0' && (!pattern || fnmatch(pattern, vr_name_key(member->name), 0) == 0);
}

/* The files among an archive's members that match a pattern, if there is one; where any of them are HDF5 files by their
 * name, these alone: beside the traces of a campaign lie its outputs and records. */
static vr_status add_members(list *all, vr_archive *archive, const char *path, const char *pattern)
{
    const vr_member *members;
    uint64_t count;
    bool only_hdf5 = !pattern;
    vr_status status = vr_archive_members(archive, &members, &count);
    for (uint64_t i = 0; status == VR_OK && i < count && !only_hdf5; i++)
        only_hdf5 = is_chosen(&members[i], pattern) && is_hdf5_name(members[i].name);
    for (uint64_t i = 0; status == VR_OK && i < count; i++)
        if (is_chosen(&members[i], pattern) && (!only_hdf5 || is_hdf5_name(members[i].name)))
            status = add(all, "%s:%s", path, vr_name_key(members[i].name));
    if (status != VR_OK || all->count)
        return status;
    if (count == 0)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: an archive without members", path);
    return pattern ? vr_fail(VR_ERROR_ARGUMENT, "%s: no member matches '%s'", path, pattern)
                   : vr_fail(VR_ERROR_ARGUMENT, "%s: no member's name ends in .h5 or .hdf5; name one, as in '%s:run1'",
                             path, path);
}

/* A member that is there under this very name is meant, whatever pattern it may look like; so is one that is not
 * there: opening it says so. */
static vr_status add_member(list *all, vr_archive *archive, const char *path, const char *name)
{
    vr_member member;
    if (!is_pattern(name) || vr_archive_find(archive, name, &member) == VR_OK)
        return add(all, "%s:%s", path, name);
    return add_members(all, archive, path, vr_name_key(name));
}

/* What of an archive is named; `name` NULL: the archive alone. */
static vr_status add_archive(list *all, vr_archive **keep, const char *path, const char *name,
                             const vr_archive_options *options)
{
    vr_archive *archive;
    vr_status status = vr_archive_open(&archive, path, options);
    if (status != VR_OK)
        return status;
    status = name ? add_member(all, archive, path, name) : add_members(all, archive, path, NULL);
    if (keep && status == VR_OK)
        *keep = archive;
    else
        vr_archive_close(archive);
    return status;
}

static vr_status add_matches(list *all, const char *pattern)
{
    glob_t found;
    const int result = glob(pattern, 0, NULL, &found);
    vr_status status = VR_OK;
    if (result == GLOB_NOMATCH)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: no file matches", pattern);
    if (result != 0)
        return vr_fail(VR_ERROR_IO, "%s: cannot be looked up", pattern);
    for (size_t i = 0; status == VR_OK && i < found.gl_pathc; i++)
        status = add(all, "%s", found.gl_pathv[i]);
    globfree(&found);
    return status;
}

/* Whether a file that is there is an archive; fails where it cannot be read. */
static vr_status is_archive(bool *out, const char *path)
{
    int fd;
    uint64_t size;
    kind found = PLAIN;
    vr_status status = open_regular(&fd, &size, path);
    if (status == VR_OK)
        status = find_kind(&found, fd, path);
    if (fd >= 0)
        close(fd);
    *out = found == ARCHIVE;
    return status;
}

/* What a file that is there gives. */
static vr_status add_file(list *all, vr_archive **keep, const char *path, const vr_archive_options *options)
{
    bool archive;
    const vr_status status = is_archive(&archive, path);
    if (status != VR_OK)
        return status;
    return archive ? add_archive(all, keep, path, NULL, options) : add(all, "%s", path);
}

vr_status vr_source_names(char ***out, uint64_t *count, vr_archive **keep, const char *argument,
                          const vr_archive_options *options)
{
    list all = {0};
    vr_status status;
    const char *member;
    const bool there = access(argument, F_OK) == 0;
    char *path = there ? NULL : archive_part(argument, &member);
    if (keep)
        *keep = NULL;
    if (path)
        status = add_archive(&all, keep, path, member, options);
    else if (there)
        status = add_file(&all, keep, argument, options);
    else if (is_pattern(argument))
        status = add_matches(&all, argument);
    else
        status = add(&all, "%s", argument);
    free(path);
    if (status != VR_OK) {
        vr_source_names_free(all.names, all.count);
        all = (list){0};
    }
    *out = all.names;
    *count = all.count;
    return status;
}

void vr_source_names_free(char **names, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}
