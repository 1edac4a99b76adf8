#include "run_scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <formats/fail.h>
#include <ftw.h>
#include <libgen.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK      "lock"
#define TRIES     100
#define WAIT_MS   20
#define MOST_MS   15000 /* for the runs of a killed campaign to end: they get less to do so */
#define HOST_SIZE 65

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

/* The place of a file that is not there yet. */
static vr_status place_of_new(char **out, const char *archive)
{
    char *for_folder = strdup(archive), *for_name = strdup(archive);
    char *folder = for_folder ? realpath(dirname(for_folder), NULL) : NULL;
    const int error = errno;
    const char *name = for_name ? basename(for_name) : "";
    vr_status status = VR_OK;
    if (!folder)
        status = vr_fail_errno(error, "%s: there is no folder for it", archive);
    else if (!*name || strcmp(name, "/") == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        status = vr_fail(VR_ERROR_ARGUMENT, "'%s': name a file for the archive", archive);
    else if (asprintf(out, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, name) < 0)
        status = no_memory();
    free(folder);
    free(for_folder);
    free(for_name);
    return status;
}

vr_status va_archive_place(char **out, const char *archive)
{
    struct stat file;
    if (stat(archive, &file) != 0)
        return place_of_new(out, archive);
    if (!S_ISREG(file.st_mode))
        return vr_fail(VR_ERROR_ARGUMENT, "%s: is no regular file; name one for the archive", archive);
    *out = realpath(archive, NULL);
    return *out ? VR_OK : vr_fail_errno(errno, "%s", archive);
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *position)
{
    (void)info, (void)kind, (void)position;
    remove(path);
    return 0;
}

void va_scratch_remove(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

char *va_scratch_path(const va_scratch *scratch, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", scratch->path, name) < 0 ? NULL : path;
}

vr_status va_scratch_folder(char **out, const va_scratch *scratch, const char *name)
{
    char *path = va_scratch_path(scratch, name);
    if (!path)
        return no_memory();
    va_scratch_remove(path);
    if (mkdir(path, 0700) != 0) {
        const vr_status status = vr_fail_errno(errno, "%s: cannot make a folder for a run", path);
        free(path);
        return status;
    }
    *out = path;
    return VR_OK;
}

/* Empties the folder but for its lock. False: there are other things in a folder without one, so it is not ours. */
static bool empty(const char *path, bool look_only)
{
    DIR *folder = opendir(path);
    bool has_lock = false, has_others = false;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char *inner;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (strcmp(entry->d_name, LOCK) == 0) {
            has_lock = true;
            continue;
        }
        has_others = true;
        if (!look_only && asprintf(&inner, "%s/%s", path, entry->d_name) >= 0) {
            va_scratch_remove(inner);
            free(inner);
        }
    }
    if (folder)
        closedir(folder);
    return has_lock || !has_others;
}

static vr_status make_folder(const char *path)
{
    struct stat there;
    if (mkdir(path, 0700) == 0)
        return VR_OK;
    if (errno != EEXIST)
        return vr_fail_errno(errno,
                             "%s: cannot make the folder for runs that are under way; choose an archive (-o) where "
                             "files can be written",
                             path);
    if (lstat(path, &there) != 0) /* it has just gone */
        return VR_OK;
    if (!S_ISDIR(there.st_mode) || there.st_uid != geteuid() || !empty(path, true))
        return vr_fail(VR_ERROR_IO, "%s: is in the way of the folder for runs that are under way; move it", path);
    return VR_OK;
}

/* Who holds the lock, as written there; false: nobody that still lives on this machine, as far as one can see. */
static bool has_living_holder(int lock, long *pid, char host[HOST_SIZE])
{
    char text[128] = "", here[HOST_SIZE] = "";
    *pid = 0;
    *host = 0;
    if (pread(lock, text, sizeof text - 1, 0) <= 0 || sscanf(text, "%ld %64s", pid, host) != 2 || *pid <= 0)
        return false;
    gethostname(here, sizeof here - 1);
    return strcmp(here, host) != 0 || kill((pid_t)*pid, 0) == 0 || errno == EPERM;
}

/* Waits while only the runs of a killed campaign hold it. */
static vr_status take_lock(int lock, const char *path)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    long pid = 0;
    char host[HOST_SIZE] = "";
    for (int waited = 0; fcntl(lock, F_OFD_SETLK, &whole) != 0; waited += WAIT_MS) {
        if (errno != EAGAIN && errno != EACCES)
            return vr_fail_errno(errno, "%s: cannot lock", path);
        if (has_living_holder(lock, &pid, host) || waited > MOST_MS)
            return vr_fail(VR_ERROR_IO,
                           "%s: another varanalyze (process %ld on %s) is running this campaign; wait for it", path,
                           pid, host);
        nanosleep(&(struct timespec){0, WAIT_MS * 1000000}, NULL);
    }
    return VR_OK;
}

/* Says in the lock, which is ours, who we are. */
static vr_status sign_lock(int lock, const char *path)
{
    char text[128], here[HOST_SIZE] = "";
    gethostname(here, sizeof here - 1);
    const int length = snprintf(text, sizeof text, "%ld %s\n", (long)getpid(), here);
    if (ftruncate(lock, 0) == 0 && pwrite(lock, text, (size_t)length, 0) == length)
        return VR_OK;
    return vr_fail_errno(errno, "%s: cannot write", path);
}

/* One try; `*again`: the folder went meanwhile, as another campaign's end. */
static vr_status try_open(va_scratch *scratch, const char *lock_path, bool *again)
{
    struct stat file, named;
    vr_status status = make_folder(scratch->path);
    *again = false;
    if (status != VR_OK)
        return status;
    scratch->lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (scratch->lock < 0) {
        *again = errno == ENOENT;
        return vr_fail_errno(errno, "%s", lock_path);
    }
    status = take_lock(scratch->lock, scratch->path);
    *again = fstat(scratch->lock, &file) != 0 || stat(lock_path, &named) != 0 || file.st_ino != named.st_ino ||
             file.st_dev != named.st_dev;
    if (status == VR_OK && !*again)
        return VR_OK;
    close(scratch->lock);
    scratch->lock = -1;
    return status != VR_OK ? status : vr_fail(VR_ERROR_IO, "%s: does not stay in its place", scratch->path);
}

void va_scratch_close(va_scratch *scratch)
{
    if (!scratch->path)
        return;
    char *lock = va_scratch_path(scratch, LOCK);
    empty(scratch->path, false);
    if (lock)
        unlink(lock);
    rmdir(scratch->path);
    close(scratch->lock);
    free(lock);
    free(scratch->path);
    *scratch = (va_scratch){0};
}

vr_status va_scratch_open(va_scratch *out, const char *archive)
{
    char *place = NULL, *lock = NULL;
    va_scratch scratch = {NULL, -1};
    vr_status status = va_archive_place(&place, archive);
    if (status == VR_OK && asprintf(&scratch.path, "%s.scratch", place) < 0) {
        scratch.path = NULL;
        status = no_memory();
    }
    if (status == VR_OK && !(lock = va_scratch_path(&scratch, LOCK)))
        status = no_memory();
    bool again = status == VR_OK;
    for (int i = 0; again && i < TRIES; i++)
        status = try_open(&scratch, lock, &again);
    free(place);
    free(lock);
    if (status != VR_OK) {
        free(scratch.path);
        return status;
    }
    status = sign_lock(scratch.lock, scratch.path);
    empty(scratch.path, false);
    if (status != VR_OK) /* what was left there may have filled the disk */
        status = sign_lock(scratch.lock, scratch.path);
    *out = scratch;
    if (status != VR_OK)
        va_scratch_close(out);
    return status;
}
