#include "archive_files.h"

#include <dirent.h>
#include <errno.h>
#include <formats/fail.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

static bool has_parent(const char *name)
{
    for (const char *part = name; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == 0))
            return true;
    }
    return false;
}

static vr_status check_name(const char *operand)
{
    const char *name = strrchr(operand, '/');
    const int folder = name ? (int)(name - operand) : 0;
    if (*operand == '/')
        return vr_fail(VR_ERROR_ARGUMENT, "%s: names in an archive are not absolute: use -C, as in '-C %.*s %s'",
                       operand, folder ? folder : 1, operand, name[1] ? name + 1 : ".");
    if (has_parent(operand))
        return vr_fail(VR_ERROR_ARGUMENT, "%s: names in an archive have no '..': use -C to say where it lies", operand);
    return VR_OK;
}

/* The operand's name in the archive: without "./" and without slashes at the end; "" for the directory itself. */
static char *member_name(const char *operand)
{
    while (strncmp(operand, "./", 2) == 0)
        for (operand += 2; *operand == '/';)
            operand++;
    char *name = strdup(strcmp(operand, ".") == 0 ? "" : operand);
    for (size_t n = name ? strlen(name) : 0; n > 0 && name[n - 1] == '/';)
        name[--n] = 0;
    return name;
}

/* Takes both strings. */
static vr_status add_file(va_files *all, char *path, char *name)
{
    vr_addition *files = path && name ? realloc(all->files, (all->count + 1) * sizeof *files) : NULL;
    if (!files) {
        free(path);
        free(name);
        return no_memory();
    }
    all->files = files;
    files[all->count++] = (vr_addition){path, name};
    return VR_OK;
}

static char *join(const char *folder, const char *name)
{
    char *out = NULL;
    if (!folder || !*folder)
        return strdup(name);
    return asprintf(&out, "%s/%s", folder, name) < 0 ? NULL : out;
}

static vr_status add_folder(va_files *all, const char *path, const char *name, const char *archive);

static bool is_same_file(const struct stat *file, const char *path)
{
    struct stat other;
    return stat(path, &other) == 0 && other.st_dev == file->st_dev && other.st_ino == file->st_ino;
}

/* What lies in a folder. Takes both strings. */
static vr_status add_entry(va_files *all, char *path, char *name, const char *archive)
{
    struct stat file;
    vr_status status = VR_OK;
    if (!path || !name)
        status = no_memory();
    else if (lstat(path, &file) != 0)
        status = vr_fail_errno(errno, "%s", path);
    else if (S_ISREG(file.st_mode) && !is_same_file(&file, archive))
        return add_file(all, path, name);
    else if (S_ISDIR(file.st_mode))
        status = add_folder(all, path, name, archive);
    else
        fprintf(stderr, "varanalyze: %s: left out: %s\n", path,
                S_ISREG(file.st_mode)   ? "it is the archive"
                : S_ISLNK(file.st_mode) ? "a symbolic link"
                                        : "not a file");
    free(path);
    free(name);
    return status;
}

static int no_dots(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static vr_status add_folder(va_files *all, const char *path, const char *name, const char *archive)
{
    struct dirent **entries;
    const int count = scandir(path, &entries, no_dots, by_name);
    if (count < 0)
        return vr_fail_errno(errno, "%s: cannot list", path);
    vr_status status = VR_OK;
    for (int i = 0; i < count; i++) {
        if (status == VR_OK)
            status = add_entry(all, join(path, entries[i]->d_name), join(name, entries[i]->d_name), archive);
        free(entries[i]);
    }
    free(entries);
    return status;
}

vr_status va_files_add(va_files *all, const char *directory, const char *operand, const char *archive)
{
    struct stat file;
    vr_status status = check_name(operand);
    if (status != VR_OK)
        return status;
    char *path = join(directory, operand), *name = member_name(operand);
    if (!path || !name)
        status = no_memory();
    else if (stat(path, &file) != 0)
        status = vr_fail_errno(errno, "%s", path);
    else if (S_ISREG(file.st_mode))
        return add_file(all, path, name);
    else
        status = S_ISDIR(file.st_mode) ? add_folder(all, path, name, archive)
                                       : vr_fail(VR_ERROR_ARGUMENT, "%s: not a regular file", path);
    free(path);
    free(name);
    return status;
}

void va_files_free(va_files *all)
{
    for (uint64_t i = 0; i < all->count; i++) {
        free((char *)all->files[i].path);
        free((char *)all->files[i].name);
    }
    free(all->files);
    *all = (va_files){0};
}

vr_status va_refuse_compressed(const char *archive)
{
    static const char *const endings[] = {".gz", ".tgz", ".zst", ".tzst", ".xz", ".txz", ".lz4", ".bz2", ".tbz2"};
    const size_t length = strlen(archive);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t end = strlen(endings[i]);
        if (length > end && strcmp(archive + length - end, endings[i]) == 0)
            return vr_fail(VR_ERROR_UNSUPPORTED,
                           "%s: archives are written uncompressed: name it .tar, and compress it when nothing will be "
                           "added any more (zstd does; a compressed archive can be read)",
                           archive);
    }
    return VR_OK;
}
