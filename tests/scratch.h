/* scratch.h - a folder of its own for a test program, and the files in it. Goes after cmocka.h. */
#ifndef VR_TESTS_SCRATCH_H
#define VR_TESTS_SCRATCH_H

#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <varanalyze/status.h>

static char scratch_folder[256];

extern char **environ;

/* No variable of the shell's that controls a run has a say in a test. */
static inline void scratch_clear_environment(void)
{
    for (char **variable = environ; *variable;) {
        char name[64] = "";
        const size_t length = strcspn(*variable, "=");
        if (strncmp(*variable, "VR_", 3) == 0 && length < sizeof name) {
            memcpy(name, *variable, length);
            unsetenv(name);
        } else {
            variable++;
        }
    }
}

static inline int scratch_setup(void **state)
{
    (void)state;
    const char *parent = getenv("TMPDIR");
    scratch_clear_environment();
    snprintf(scratch_folder, sizeof scratch_folder, "%s/varanalyze-test-XXXXXX", parent && *parent ? parent : "/tmp");
    return mkdtemp(scratch_folder) ? 0 : -1;
}

static inline int scratch_remove(const char *path, const struct stat *info, int kind, struct FTW *position)
{
    (void)info, (void)kind, (void)position;
    return remove(path);
}

static inline int scratch_teardown(void **state)
{
    (void)state;
    return nftw(scratch_folder, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
}

/* The path of a file in the folder; valid for the next eight calls. */
static inline const char *scratch_path(const char *format, ...)
{
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];
    const int used = snprintf(path, sizeof paths[0], "%s/", scratch_folder);
    va_list args;
    va_start(args, format);
    vsnprintf(path + used, sizeof paths[0] - (size_t)used, format, args);
    va_end(args);
    return path;
}

static inline void save_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* The whole file; the caller frees it. */
static inline uint8_t *load_file(const char *path, size_t *size)
{
    struct stat info;
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &info), 0);
    *size = (size_t)info.st_size;
    uint8_t *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static inline void copy_file(const char *to, const char *from)
{
    size_t size;
    uint8_t *bytes = load_file(from, &size);
    save_file(to, bytes, size);
    free(bytes);
}

static inline void assert_exists(const char *path, int exists)
{
    if ((access(path, F_OK) == 0) != exists)
        fail_msg("%s is %s", path, exists ? "missing" : "there");
}

/* The last failure's message has these words in it. */
static inline void assert_message(const char *words)
{
    if (!strstr(vr_error(), words))
        fail_msg("\"%s\" does not say \"%s\"", vr_error(), words);
}

#endif
