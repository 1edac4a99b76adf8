#include "archive_hash.h"
#include "archive_impl.h"
#include "archive_names.h"
#include "fail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define TRIES 100

/* A member on its way to a file. */
typedef struct target {
    const vr_archive *archive;
    const vr_member *member;
    int folder;       /* the one it goes to */
    const char *base; /* its name there */
    char aside[64];   /* its name there until it is complete; "": none yet */
} target;

/* What an archive says, without what the process's mask takes away when the file is made. */
static mode_t file_mode(const target *to)
{
    return to->member->mode & 0777;
}

static vr_status check_member(const vr_archive *archive, const vr_member *member)
{
    if (!vr_name_is_inside(member->name))
        return vr_fail(VR_ERROR_FORMAT, "%s: \"%s\" would lie outside of the folder; not extracted", archive->path,
                       member->name);
    if (member->type != '0' || member->sparse)
        return vr_fail(VR_ERROR_UNSUPPORTED, "%s: \"%s\" is %s; only regular files are extracted", archive->path,
                       member->name, member->sparse ? "sparse" : "no regular file");
    return VR_OK;
}

/* Goes one folder down, making it if need be, but through no link; `*folder` is exchanged for it. */
static vr_status enter(int *folder, const char *part, const char *name)
{
    if (mkdirat(*folder, part, 0777) != 0 && errno != EEXIST)
        return vr_fail_errno(errno, "%s: cannot make the folder \"%s\"", name, part);
    const int next = openat(*folder, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0 && (errno == ELOOP || errno == ENOTDIR))
        return vr_fail(VR_ERROR_FORMAT, "%s: \"%s\" is in the way, and is no folder; not extracted", name, part);
    if (next < 0)
        return vr_fail_errno(errno, "%s: cannot open the folder \"%s\"", name, part);
    close(*folder);
    *folder = next;
    return VR_OK;
}

/* Opens the folder the member goes to. */
static vr_status open_folder(target *to, const char *directory)
{
    to->folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (to->folder < 0)
        return vr_fail_errno(errno, "%s", directory);
    const char *at = vr_name_key(to->member->name);
    vr_status status = VR_OK;
    for (const char *slash; status == VR_OK && (slash = strchr(at, '/')); at = slash + 1) {
        char *part = strndup(at, (size_t)(slash - at));
        if (!part)
            return vr_fail(VR_ERROR_MEMORY, "out of memory");
        status = enter(&to->folder, part, to->member->name);
        free(part);
    }
    to->base = at;
    return status;
}

/* What is at the file's place already. */
static vr_status check_place(const target *to, bool overwrite)
{
    struct stat there;
    if (fstatat(to->folder, to->base, &there, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? VR_OK : vr_fail_errno(errno, "%s", to->member->name);
    if (!S_ISREG(there.st_mode))
        return vr_fail(VR_ERROR_FORMAT, "%s: a %s is in the way; not extracted", to->member->name,
                       S_ISLNK(there.st_mode)   ? "link"
                       : S_ISDIR(there.st_mode) ? "folder"
                                                : "special file");
    if (!overwrite)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: is there already; not extracted", to->member->name);
    return VR_OK;
}

/* Gives the file in `*fd` a name aside; makes one of that name if there is none. */
static vr_status name_aside(target *to, int *fd)
{
    static unsigned serial;
    char path[64];
    const bool nameless = *fd >= 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", *fd);
    for (int i = 0; i < TRIES; i++) {
        snprintf(to->aside, sizeof to->aside, ".varanalyze-%ld-%u", (long)getpid(),
                 __atomic_fetch_add(&serial, 1, __ATOMIC_RELAXED));
        if (nameless && linkat(AT_FDCWD, path, to->folder, to->aside, AT_SYMLINK_FOLLOW) == 0)
            return VR_OK;
        if (!nameless)
            *fd = openat(to->folder, to->aside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, file_mode(to));
        if (!nameless && *fd >= 0)
            return VR_OK;
        if (errno != EEXIST)
            break;
    }
    to->aside[0] = 0;
    return vr_fail_errno(errno, "%s: cannot make a file", to->member->name);
}

/* Without a name, if the file system can: nothing is left if this is killed. */
static vr_status make_aside(target *to, int *fd)
{
    *fd = access("/proc/self/fd", F_OK) == 0 ? openat(to->folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, file_mode(to))
                                             : -1;
    return *fd >= 0 ? VR_OK : name_aside(to, fd);
}

static vr_status copy_by_buffer(const target *to, int fd, uint64_t done)
{
    vr_status status = VR_OK;
    void *piece = malloc(VR_PIECE);
    if (!piece)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    while (status == VR_OK && done < to->member->size) {
        const uint64_t left = to->member->size - done;
        const size_t now = left < VR_PIECE ? (size_t)left : VR_PIECE;
        status = vr_read_at(to->archive->fd, piece, now, to->member->offset + done, to->archive->path);
        if (status == VR_OK)
            status = vr_write_at(fd, piece, now, done, to->member->name);
        done += now;
    }
    free(piece);
    return status;
}

/* Lets the system copy, which may share the blocks; what it does not want to is read and written. */
static vr_status copy_contents(const target *to, int fd)
{
    uint64_t done = 0;
    while (done < to->member->size) {
        off_t from = (off_t)(to->member->offset + done), at = (off_t)done;
        const uint64_t left = to->member->size - done, most = (uint64_t)1 << 30;
        const ssize_t n = copy_file_range(to->archive->fd, &from, fd, &at, (size_t)(left < most ? left : most), 0);
        if (n <= 0)
            return copy_by_buffer(to, fd, done);
        done += (uint64_t)n;
    }
    return VR_OK;
}

static vr_status fill(const target *to, int fd)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = to->member->mtime}};
    const vr_status status = copy_contents(to, fd);
    if (status != VR_OK)
        return status;
    if (futimens(fd, times) != 0)
        return vr_fail_errno(errno, "%s: cannot set the time", to->member->name);
    return VR_OK;
}

/* Gives the complete file its name. */
static vr_status name_file(const target *to, bool overwrite)
{
    int result = renameat2(to->folder, to->aside, to->folder, to->base, overwrite ? 0 : RENAME_NOREPLACE);
    if (result != 0 && errno == EINVAL && !overwrite) { /* a file system that cannot tell */
        result = linkat(to->folder, to->aside, to->folder, to->base, 0);
        if (result == 0)
            unlinkat(to->folder, to->aside, 0);
    }
    if (result != 0 && errno == EEXIST)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: is there already; not extracted", to->member->name);
    return result != 0 ? vr_fail_errno(errno, "%s: cannot name the file", to->member->name) : VR_OK;
}

static vr_status write_file(target *to, bool overwrite)
{
    int fd = -1;
    vr_status status = make_aside(to, &fd);
    if (status != VR_OK)
        return status;
    status = fill(to, fd);
    if (status == VR_OK && !to->aside[0])
        status = name_aside(to, &fd);
    if (close(fd) != 0 && status == VR_OK)
        status = vr_fail_errno(errno, "%s: cannot write", to->member->name);
    if (status == VR_OK)
        status = name_file(to, overwrite);
    if (status != VR_OK && to->aside[0])
        unlinkat(to->folder, to->aside, 0);
    return status;
}

vr_status vr_archive_extract(vr_archive *archive, const vr_member *member, const char *directory, bool overwrite)
{
    target to = {.archive = archive, .member = member, .folder = -1};
    vr_status status = check_member(archive, member);
    if (status == VR_OK)
        status = open_folder(&to, directory);
    if (status == VR_OK)
        status = check_place(&to, overwrite);
    if (status == VR_OK)
        status = write_file(&to, overwrite);
    if (to.folder >= 0)
        close(to.folder);
    return status;
}
