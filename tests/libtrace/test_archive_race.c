/* An archive that somebody writes to between two reads of somebody else: what else takes luck is made to happen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "archive_scene.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* What happens at the first read of so many bytes or more at an offset; once. */
typedef struct event {
    void (*happens)(void);
    off_t offset;
    size_t least;
    bool before; /* it is read; else right afterwards */
} event;

static event moment;

static const char *path;
static uint8_t *sound; /* its bytes, before it is damaged */
static size_t sound_size;

ssize_t __real_pread(int fd, void *out, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *out, size_t size, off_t offset);

ssize_t __wrap_pread(int fd, void *out, size_t size, off_t offset)
{
    void (*const happens)(void) = moment.happens;
    if (!happens || offset != moment.offset || size < moment.least)
        return __real_pread(fd, out, size, offset);
    moment.happens = NULL;
    if (moment.before)
        happens();
    const ssize_t n = __real_pread(fd, out, size, offset);
    if (!moment.before)
        happens();
    return n;
}

static void assert_sound(vr_archive *archive)
{
    findings found = {0};
    if (vr_archive_verify(archive, note_finding, &found, &found.bad, &found.unknown, NULL) != VR_OK)
        fail_msg("%s", vr_error());
    if (found.bad || found.unknown || found.reports)
        fail_msg("%d bad, %d unknown; %s: %s", (int)found.bad, (int)found.unknown, found.member, found.what);
    assert_null(moment.happens);
}

/* Writes bytes into the archive, a second after it was last written to. */
static void write_later(const void *bytes, size_t size, off_t offset)
{
    struct stat file;
    const int fd = open(path, O_RDWR);
    assert_int_equal(fstat(fd, &file), 0);
    assert_int_equal(pwrite(fd, bytes, size, offset), size);
    file.st_mtim.tv_sec++;
    assert_int_equal(futimens(fd, (struct timespec[]){file.st_atim, file.st_mtim}), 0);
    close(fd);
}

static void add_two(void)
{
    append_one(path, scratch_path("f0"), "a");
    append_one(path, scratch_path("f5"), "b");
}

/* Of an archive without a manifest, as far as it was long, the first member was seen and the second seemed cut off.
 * What was seen must not stand in the list a second time. */
static void test_added_before_the_members_are_read(void **state)
{
    (void)state;
    static const uint8_t zeros[10240];
    path = lasting_path("empty.tar");
    save_file(path, zeros, sizeof zeros);
    vr_archive *archive = open_archive(path);
    moment = (event){add_two, sizeof zeros - 1024 - 512, 512, false};
    assert_sound(archive);
    vr_archive_close(archive);
    assert_int_equal(count_members(path), 2);
}

/* An archive of one file, open, and its bytes. */
static vr_archive *make_sound(const char *name)
{
    path = lasting_path(name);
    append_one(path, scratch_path("f5"), "a");
    sound = load_file(path, &sound_size);
    return open_archive(path);
}

static void restore(void)
{
    write_later(sound, sound_size, 0);
}

/* What a writer made of the file may be as long as what was there before: its time tells. */
static void test_written_at_the_same_size(void **state)
{
    (void)state;
    static const uint8_t zeros[512];
    vr_archive *archive = make_sound("same.tar");
    write_later(zeros, sizeof zeros, (off_t)sound_size - 1024 - 512); /* no footer */
    write_later("?", 1, 0);                                           /* and a header that is wrong */
    moment = (event){restore, 0, 512, false};
    assert_sound(archive);
    vr_archive_close(archive);
    free(sound);
}

static void commit(void)
{
    write_later("b", 1, (off_t)sound_size - 1024);
}

/* Nor is the end marker damaged where another member begins now. */
static void test_committed_at_the_same_size(void **state)
{
    (void)state;
    vr_archive *archive = make_sound("committed.tar");
    moment = (event){commit, (off_t)sound_size - 1024, 1024, true};
    assert_sound(archive);
    vr_archive_close(archive);
    const findings found = verify(path); /* which it is when nobody writes */
    assert_int_equal(found.bad, 1);
    assert_string_equal(found.what, "the end marker is damaged");
    free(sound);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_added_before_the_members_are_read),
        cmocka_unit_test(test_written_at_the_same_size),
        cmocka_unit_test(test_committed_at_the_same_size),
    };
    return cmocka_run_group_tests(tests, make_files, scratch_teardown);
}
