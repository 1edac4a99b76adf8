/* archive_scene.h - what the tests of archives share: files to add, archives to add them to. Goes after cmocka.h. */
#ifndef VR_TESTS_ARCHIVE_SCENE_H
#define VR_TESTS_ARCHIVE_SCENE_H

#include <scratch.h>
#include <varanalyze/archive.h>

/* Runs a command in the test's folder; it has to succeed without a word on stderr. */
static inline void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline void shell(const char *format, ...)
{
    char command[4096], line[6144];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    snprintf(line, sizeof line, "cd '%s' && { %s; } 2>words && ! [ -s words ] || { cat words; false; }", scratch_folder,
             command);
    if (system(line) != 0)
        fail_msg("failed: %s", command);
}

/* The path of a file in the folder; valid until the program ends. */
static inline const char *lasting_path(const char *name)
{
    static char paths[64][512];
    static unsigned next;
    assert_true(next < 64);
    snprintf(paths[next], sizeof paths[0], "%s/%s", scratch_folder, name);
    return paths[next++];
}

/* A name with a number in it; valid for the next eight calls. */
static inline const char *numbered(const char *name, int number)
{
    static char names[8][64];
    static unsigned next;
    char *out = names[next++ % 8];
    snprintf(out, sizeof names[0], "%s%d", name, number);
    return out;
}

/* Bytes that only depend on the seed. */
static inline void fill_bytes(uint8_t *out, size_t size, uint32_t seed)
{
    uint32_t word = seed * 2654435761u + 1;
    for (size_t i = 0; i < size; i++) {
        word = word * 1664525 + 1013904223;
        out[i] = (uint8_t)(word >> 24);
    }
}

static inline void make_file(const char *path, size_t size, uint32_t seed)
{
    uint8_t *bytes = malloc(size + 1);
    assert_non_null(bytes);
    fill_bytes(bytes, size, seed);
    save_file(path, bytes, size);
    free(bytes);
}

static inline void append_one(const char *archive, const char *path, const char *name)
{
    const vr_addition file = {path, name};
    if (vr_archive_append(archive, &file, 1, VR_TAKEN_REFUSE, false, NULL, NULL) != VR_OK)
        fail_msg("%s", vr_error());
}

static inline vr_archive *open_archive(const char *path)
{
    vr_archive *archive;
    if (vr_archive_open(&archive, path, NULL) != VR_OK)
        fail_msg("%s", vr_error());
    return archive;
}

/* What vr_archive_verify reported. */
typedef struct findings {
    uint64_t bad, unknown;
    int reports;
    char member[256], what[256]; /* the last one's */
    bool several;                /* about more than one member */
} findings;

static inline void note_finding(void *context, const char *member, const char *what)
{
    findings *to = context;
    to->several = to->several || (to->reports > 0 && strcmp(to->member, member) != 0);
    to->reports++;
    snprintf(to->member, sizeof to->member, "%s", member);
    snprintf(to->what, sizeof to->what, "%s", what);
}

static inline findings verify(const char *path)
{
    findings found = {0};
    vr_archive *archive = open_archive(path);
    if (vr_archive_verify(archive, note_finding, &found, &found.bad, &found.unknown, NULL) != VR_OK)
        fail_msg("%s", vr_error());
    vr_archive_close(archive);
    return found;
}

static inline void assert_clean(const char *path)
{
    const findings found = verify(path);
    if (found.bad || found.unknown || found.reports)
        fail_msg("%s: %d bad, %d unknown; %s: %s", path, (int)found.bad, (int)found.unknown, found.member, found.what);
}

static inline uint64_t count_members(const char *path)
{
    const vr_member *members;
    uint64_t count;
    vr_archive *archive = open_archive(path);
    assert_int_equal(vr_archive_members(archive, &members, &count), VR_OK);
    vr_archive_close(archive);
    return count;
}

/* The member's bytes are those that fill_bytes gives. */
static inline void assert_contents(const vr_archive *archive, const vr_member *member, size_t size, uint32_t seed)
{
    uint8_t *expected = malloc(size + 1), *bytes = malloc(size + 1);
    assert_non_null(expected);
    assert_non_null(bytes);
    fill_bytes(expected, size, seed);
    assert_int_equal(member->size, size);
    assert_int_equal(pread(vr_archive_fd(archive), bytes, size, (off_t)member->offset), size);
    assert_memory_equal(bytes, expected, size);
    free(expected);
    free(bytes);
}

#define SIZES 7
static const size_t sizes[SIZES] = {0, 1, 512, 4095, 4096, 70000, 2500000};

/* Makes the folder, and "f0" to "f6" in it, files of these sizes. */
static inline int make_files(void **state)
{
    if (scratch_setup(state) != 0)
        return -1;
    for (uint32_t i = 0; i < SIZES; i++)
        make_file(scratch_path("f%u", i), sizes[i], i);
    return 0;
}

static inline vr_status add(const char *archive, const char *name, vr_taken taken, char **added)
{
    const vr_addition file = {scratch_path("f2"), name};
    return vr_archive_append(archive, &file, 1, taken, false, added, NULL);
}

#endif
