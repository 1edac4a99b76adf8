/* Archives: what is added is there, byte for byte, for us and for GNU tar; nothing else ever is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "archive_scene.h"

#include <formats/tar.h>
#include <libtrace/archive_impl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void test_append(void **state)
{
    (void)state;
    char paths[SIZES][512], names[SIZES][300], *added[SIZES];
    vr_addition files[SIZES];
    const vr_member *members;
    uint64_t count;
    for (int i = 0; i < SIZES; i++) {
        snprintf(paths[i], sizeof paths[i], "%s", scratch_path("f%d", i));
        snprintf(names[i], sizeof names[i], "%0*d/gr\xc3\xbcn/%d", i * 35 + 1, i, i);
        files[i] = (vr_addition){paths[i], names[i]};
    }
    assert_int_equal(chmod(paths[3], 0640), 0);
    const char *path = lasting_path("new.tar");
    assert_int_equal(vr_archive_append(path, files, SIZES, VR_TAKEN_REFUSE, true, added, NULL), VR_OK);
    for (int i = 0; i < SIZES; i++) {
        assert_string_equal(added[i], names[i]);
        free(added[i]);
    }
    vr_archive *archive = open_archive(path);
    assert_int_equal(vr_archive_members(archive, &members, &count), VR_OK);
    assert_int_equal(count, SIZES);
    for (uint32_t i = 0; i < SIZES; i++) {
        struct stat file;
        vr_member found;
        vr_digest digest;
        size_t size;
        uint8_t *bytes = load_file(paths[i], &size);
        const vr_tensor tensor = VR_TENSOR(VR_U8, bytes, (int64_t)size);
        assert_int_equal(stat(paths[i], &file), 0);
        assert_int_equal(vr_digest_tensor(&digest, &tensor), VR_OK);
        assert_string_equal(members[i].name, names[i]);
        assert_contents(archive, &members[i], sizes[i], i);
        assert_int_equal(members[i].type, '0');
        assert_int_equal(members[i].mode, file.st_mode & 0777);
        assert_int_equal(members[i].mtime, file.st_mtime);
        assert_int_equal(members[i].offset % (sizes[i] < 4096 ? 512 : 4096), 0);
        assert_true(members[i].has_digest && vr_digest_equal(members[i].digest, digest));
        assert_int_equal(vr_archive_find(archive, names[i], &found), VR_OK);
        assert_memory_equal(&found.offset, &members[i].offset, sizeof found - offsetof(vr_member, offset));
        free(bytes);
    }
    vr_archive_close(archive);
    assert_clean(path);
    assert_int_equal(vr_archive_append(path, files, 1, VR_TAKEN_REFUSE, true, NULL, NULL), VR_ERROR_ARGUMENT);
    assert_message("is there already");
    shell("mkdir out && tar xf new.tar -C out && find out -path '*gr*n/*' -type f | wc -l | grep -qx 7");
    shell("for i in 0 1 2 3 4 5 6; do cmp f$i out/*/gr*n/$i; done");
}

static void test_names(void **state)
{
    (void)state;
    static const char *const refused[] = {"",
                                          "/a",
                                          "..",
                                          "a/../b",
                                          "../a",
                                          "a//b",
                                          "a/",
                                          "./",
                                          "a/./b",
                                          "a\nb",
                                          "a\x7f",
                                          "\xff",
                                          ".varanalyze/manifest-000009"};
    const char *path = lasting_path("names.tar");
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_int_equal(add(path, refused[i], VR_TAKEN_NUMBER, NULL), VR_ERROR_ARGUMENT);
    assert_exists(path, 0);
    assert_int_equal(add(path, "./a..b/.c", VR_TAKEN_REFUSE, NULL), VR_OK);
    vr_archive *archive = open_archive(path);
    vr_member member;
    assert_int_equal(vr_archive_find(archive, "a..b/.c", &member), VR_OK);
    assert_int_equal(vr_archive_find(archive, "././/a..b/.c", &member), VR_OK);
    assert_int_equal(vr_archive_find(archive, ".varanalyze/manifest-000001", &member), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_archive_find(archive, "a.b/.c", &member), VR_ERROR_ARGUMENT);
    assert_message("no member \"a.b/.c\"; is it \"a..b/.c\"?");
    vr_archive_close(archive);
}

static void test_taken(void **state)
{
    (void)state;
    static const char *const numbered[] = {"d.x/run.h5",   "d.x/run-2.h5", "d.x/run-3.h5", "d.x/.h",
                                           "d.x/.h-2",     "d.x/r",        "d.x/r-2",      "d.x/run-4.h5",
                                           "d.x/run-5.h5", "d.x/run-6.h5"};
    static const char *const asked[] = {"d.x/run.h5", "d.x/run.h5", "d.x/run.h5", "d.x/.h", "d.x/.h", "d.x/r", "d.x/r"};
    const char *path = lasting_path("taken.tar");
    char *added[3];
    vr_member member;
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        assert_int_equal(add(path, asked[i], VR_TAKEN_NUMBER, added), VR_OK);
        assert_string_equal(added[0], numbered[i]);
        free(added[0]);
    }
    const vr_addition twice[3] = {
        {scratch_path("f1"), asked[0]}, {scratch_path("f1"), asked[0]}, {scratch_path("f1"), asked[0]}};
    assert_int_equal(vr_archive_append(path, twice, 3, VR_TAKEN_NUMBER, false, added, NULL), VR_OK);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(added[i], numbered[7 + i]);
        free(added[i]);
    }
    assert_int_equal(add(path, asked[0], VR_TAKEN_REFUSE, NULL), VR_ERROR_ARGUMENT);
    assert_message("\"d.x/run.h5\" is there already");
    assert_int_equal(vr_archive_append(path, twice, 2, VR_TAKEN_REPLACE, false, NULL, NULL), VR_ERROR_ARGUMENT);
    assert_int_equal(count_members(path), 10);
    assert_int_equal(vr_archive_append(path, twice, 1, VR_TAKEN_REPLACE, false, NULL, NULL), VR_OK);
    assert_int_equal(count_members(path), 10);
    vr_archive *archive = open_archive(path);
    assert_int_equal(vr_archive_find(archive, asked[0], &member), VR_OK);
    assert_contents(archive, &member, 1, 1);
    vr_archive_close(archive);
    assert_clean(path);
}

/* Where each member, manifests too, begins. */
typedef struct place {
    char name[256];
    uint64_t start;
} place;

static int find_places(const char *path, place *out, int room, uint64_t *end)
{
    vr_tar *tar;
    vr_tar_member member;
    bool found = true;
    struct stat file;
    int count = 0;
    const int fd = open(path, O_RDONLY);
    assert_int_equal(fstat(fd, &file), 0);
    assert_int_equal(vr_tar_open(&tar, fd, (uint64_t)file.st_size, path), VR_OK);
    for (;; count++) {
        assert_int_equal(vr_tar_next(tar, &member, &found), VR_OK);
        if (!found)
            break;
        assert_true(count < room);
        snprintf(out[count].name, sizeof out[count].name, "%s", member.name);
        out[count].start = member.start;
    }
    *end = vr_tar_end(tar);
    vr_tar_close(tar);
    close(fd);
    return count;
}

/* Each byte in turn is changed: that is noticed, and said of the member that has it. */
static void test_every_byte(void **state)
{
    (void)state;
    place places[32];
    uint64_t end;
    const char *path = lasting_path("flip.tar");
    append_one(path, scratch_path("f1"), "one");
    append_one(path, scratch_path("f0"), "a\\b");
    const vr_addition more[3] = {
        {scratch_path("f3"), "more/1"}, {scratch_path("f2"), "more/2"}, {scratch_path("f1"), "more/3"}};
    assert_int_equal(vr_archive_append(path, more, 3, VR_TAKEN_REFUSE, false, NULL, NULL), VR_OK);
    append_one(path, scratch_path("f2"), "last");
    assert_clean(path);
    const int count = find_places(path, places, 32, &end);
    assert_int_equal(count, 6 + 4);
    const int fd = open(path, O_RDWR);
    assert_int_equal(lseek(fd, 0, SEEK_END), end + 1024);
    for (uint64_t at = 0; at < end + 1024; at++) {
        uint8_t byte, changed;
        assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
        changed = byte ^ (uint8_t)(1 << at % 8);
        assert_int_equal(pwrite(fd, &changed, 1, (off_t)at), 1);
        const char *expected = "";
        for (int i = 0; i < count && at < end; i++)
            if (places[i].start <= at)
                expected = places[i].name;
        const findings found = verify(path);
        if (found.bad != 1 || found.several || strcmp(found.member, expected) != 0)
            fail_msg("byte %d of \"%s\": %d bad, %s: %s", (int)at, expected, (int)found.bad, found.member, found.what);
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    }
    close(fd);
    assert_clean(path);
}

/* Many small changes: O(log n) live manifests, and O(n log n) bytes of them. */
static void test_many_appends(void **state)
{
    (void)state;
    const char *path = lasting_path("many.tar");
    struct stat file;
    for (int i = 0; i < 300; i++) {
        append_one(path, scratch_path("f1"), numbered("x", i * 7919 % 1000));
        vr_archive *archive = open_archive(path);
        assert_in_range(archive->table_count, 1, 9);
        vr_archive_close(archive);
    }
    assert_int_equal(count_members(path), 300);
    assert_clean(path);
    assert_int_equal(stat(path, &file), 0);
    assert_in_range(file.st_size, 300 * 2560, 300 * 2560 + 300 * 9 * 160);
    shell("tar tf many.tar | grep -vc manifest | grep -qx 300");
}

/* Names that sort in any order, some several times; each is found, the last one of its name. */
static void test_find(void **state)
{
    (void)state;
    enum { NAMES = 3000 };
    static char names[NAMES][24];
    static vr_addition files[NAMES];
    vr_member member;
    const char *path = lasting_path("find.tar");
    char one[512], two[512];
    snprintf(one, sizeof one, "%s", scratch_path("f1"));
    snprintf(two, sizeof two, "%s", scratch_path("f2"));
    for (int i = 0; i < NAMES; i++) {
        snprintf(names[i], sizeof names[i], "%x\\%d", (unsigned)i * 2654435761u, i);
        files[i] = (vr_addition){one, names[i]};
    }
    assert_int_equal(vr_archive_append(path, files, NAMES, VR_TAKEN_REFUSE, false, NULL, NULL), VR_OK);
    for (int i = 0; i < NAMES; i += 100)
        files[i / 100] = (vr_addition){two, names[i]};
    assert_int_equal(vr_archive_append(path, files, NAMES / 100, VR_TAKEN_REPLACE, false, NULL, NULL), VR_OK);
    assert_int_equal(count_members(path), NAMES);
    vr_archive *archive = open_archive(path);
    assert_int_equal(archive->table_count, 2);
    for (int i = 0; i < NAMES; i++) {
        assert_int_equal(vr_archive_find(archive, names[i], &member), VR_OK);
        assert_string_equal(member.name, names[i]);
        assert_contents(archive, &member, i % 100 ? 1 : 512, i % 100 ? 1 : 2);
    }
    assert_false(archive->listed);
    for (int i = 0; i < 20; i++)
        assert_int_equal(vr_archive_find(archive, names[i] + 1, &member), VR_ERROR_ARGUMENT);
    vr_archive_close(archive);
    assert_clean(path);
}

/* A manifest that is damaged anywhere does not hide a member, nor invent one. */
static void test_damaged_manifest(void **state)
{
    (void)state;
    const char *path = lasting_path("damaged.tar");
    static place places[64];
    uint64_t end;
    char name[16];
    vr_addition files[20];
    static char names[20][16];
    for (int i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "m%d", i);
        files[i] = (vr_addition){strdup(scratch_path("f1")), names[i]};
    }
    assert_int_equal(vr_archive_append(path, files, 20, VR_TAKEN_REFUSE, false, NULL, NULL), VR_OK);
    const int count = find_places(path, places, 64, &end);
    const uint64_t manifest = places[count - 1].start;
    const int fd = open(path, O_RDWR);
    for (uint64_t at = manifest; at < end; at += 7) {
        uint8_t byte, changed;
        assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
        changed = byte ^ 4;
        if (at < manifest + 512)
            continue;
        assert_int_equal(pwrite(fd, &changed, 1, (off_t)at), 1);
        vr_archive *archive = open_archive(path);
        for (int i = 0; i < 20; i++) {
            vr_member member;
            snprintf(name, sizeof name, "m%d", i);
            assert_int_equal(vr_archive_find(archive, name, &member), VR_OK);
            assert_string_equal(member.name, name);
            assert_contents(archive, &member, 1, 1);
        }
        vr_archive_close(archive);
        assert_int_equal(count_members(path), 20);
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    }
    const uint8_t zero = 'z';
    assert_int_equal(pwrite(fd, &zero, 1, (off_t)manifest + 700), 1);
    assert_int_equal(add(path, "new", VR_TAKEN_REFUSE, NULL), VR_ERROR_FORMAT);
    assert_message("a manifest is damaged");
    close(fd);
    for (int i = 0; i < 20; i++)
        free((char *)files[i].path);
}

/* Before its first block is written, a change is not there, whatever else is; the next change takes its place. */
static void test_uncommitted(void **state)
{
    (void)state;
    static const uint8_t zeros[1024];
    const char *path = lasting_path("uncommitted.tar");
    uint64_t ends[3];
    struct stat file;
    for (int round = 0; round < 3; round++) {
        const char *name = round == 0 ? "first" : round == 1 ? "second" : "third";
        assert_int_equal(stat(path, &file) == 0 ? 0 : -1, round == 0 ? -1 : 0);
        ends[round] = round == 0 ? 0 : (uint64_t)file.st_size - 1024;
        append_one(path, scratch_path("f5"), name);
        const int fd = open(path, O_RDWR);
        assert_int_equal(pwrite(fd, zeros, sizeof zeros, (off_t)ends[round]), sizeof zeros);
        assert_int_equal(count_members(path), round);
        assert_clean(path);
        shell("tar tf uncommitted.tar | grep -v manifest | wc -l | grep -qx %d", round);
        if (round > 0) /* a part of it; the first part of nothing would be any file that begins with zeros */
            assert_int_equal(ftruncate(fd, (off_t)ends[round] + 40960), 0);
        assert_int_equal(count_members(path), round);
        assert_clean(path);
        close(fd);
        append_one(path, scratch_path("f4"), name);
        assert_int_equal(count_members(path), round + 1);
        assert_clean(path);
    }
    assert_int_equal(verify(path).bad, 0);
}

static void append_as_child(const char *path, int child, int turns)
{
    for (int i = 0; i < turns; i++) {
        char name[32];
        snprintf(name, sizeof name, "c%d-%d", child, i);
        const vr_addition file = {scratch_path("f%d", i % 5), name};
        if (vr_archive_append(path, &file, 1, VR_TAKEN_REFUSE, false, NULL, NULL) != VR_OK)
            _exit(1);
    }
    _exit(0);
}

/* Whenever it is read meanwhile, the archive is whole, and has no fewer members than before. */
static void read_until_done(const char *path, int children)
{
    uint64_t before = 0;
    while (children > 0) {
        int status;
        if (access(path, F_OK) == 0) {
            const uint64_t now = count_members(path);
            assert_true(now >= before);
            before = now;
            assert_clean(path);
        }
        while (waitpid(-1, &status, WNOHANG) > 0) {
            assert_int_equal(status, 0);
            children--;
        }
    }
}

static void test_concurrent(void **state)
{
    (void)state;
    enum { CHILDREN = 8, TURNS = 20 };
    char path[512];
    snprintf(path, sizeof path, "%s", scratch_path("concurrent.tar"));
    for (int i = 0; i < CHILDREN; i++)
        if (fork() == 0)
            append_as_child(path, i, TURNS);
    read_until_done(path, CHILDREN);
    assert_int_equal(count_members(path), CHILDREN * TURNS);
    vr_archive *archive = open_archive(path);
    for (int i = 0; i < CHILDREN; i++)
        for (int j = 0; j < TURNS; j++) {
            char name[32];
            vr_member member;
            snprintf(name, sizeof name, "c%d-%d", i, j);
            assert_int_equal(vr_archive_find(archive, name, &member), VR_OK);
            assert_contents(archive, &member, sizes[j % 5], (uint32_t)j % 5);
        }
    vr_archive_close(archive);
    assert_clean(path);
}

/* What happens between the making of a file and its lock; once. */
static void (*before_lock)(void);

int __real_fcntl(int fd, int command, intptr_t argument);
int __wrap_fcntl(int fd, int command, intptr_t argument);

int __wrap_fcntl(int fd, int command, intptr_t argument)
{
    void (*const happens)(void) = before_lock;
    if (command == F_OFD_SETLKW && happens) {
        before_lock = NULL;
        happens();
    }
    return __real_fcntl(fd, command, argument);
}

static void overtake(void)
{
    append_one(scratch_path("overtaken.tar"), scratch_path("f1"), "x");
}

/* Who makes the file and fails removes it, but not what somebody else, who had the lock first, put into it. */
static void test_overtaken(void **state)
{
    (void)state;
    const char *path = lasting_path("overtaken.tar");
    before_lock = overtake;
    assert_int_equal(add(path, "x", VR_TAKEN_REFUSE, NULL), VR_ERROR_ARGUMENT);
    assert_message("is there already");
    assert_null(before_lock);
    assert_int_equal(count_members(path), 1);
    assert_clean(path);
}

static void same_file(const char *path, const uint8_t *before, size_t size)
{
    size_t now;
    uint8_t *bytes = load_file(path, &now);
    assert_int_equal(now, size);
    assert_memory_equal(bytes, before, size);
    free(bytes);
}

/* A file that may not grow: nothing is added, and no byte is different. */
static void test_no_room(void **state)
{
    (void)state;
    struct rlimit before, limit;
    size_t size;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    shell("tar -cf full-foreign.tar f1 f5");
    append_one(scratch_path("full.tar"), scratch_path("f5"), "f5");
    static const char *const names[] = {"full.tar", "full-foreign.tar"};
    for (size_t i = 0; i < 2; i++) {
        const char *path = lasting_path(names[i]);
        uint8_t *bytes = load_file(path, &size);
        for (rlim_t room = 0; room < 2400000; room += 299999) {
            const vr_addition files[2] = {{scratch_path("f1"), "x"}, {scratch_path("f6"), "y"}};
            limit = (struct rlimit){size + room, before.rlim_max};
            assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
            const vr_status status = vr_archive_append(path, files, 2, VR_TAKEN_REFUSE, false, NULL, NULL);
            setrlimit(RLIMIT_FSIZE, &before);
            assert_int_equal(status, VR_ERROR_IO);
            assert_message("File too large");
            same_file(path, bytes, size);
        }
        free(bytes);
    }
    limit = (struct rlimit){5000, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const vr_status status = add(scratch_path("none.tar"), "x", VR_TAKEN_REFUSE, NULL);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, VR_ERROR_IO);
    assert_exists(scratch_path("none.tar"), 0);
}

static void lengthen(void *context, const char *name, uint64_t done, uint64_t total)
{
    (void)name, (void)done, (void)total;
    truncate(context, 3000000);
}

static void test_bad_input(void **state)
{
    (void)state;
    const char *path = lasting_path("input.tar");
    char file[512];
    size_t size;
    append_one(path, scratch_path("f1"), "x");
    uint8_t *bytes = load_file(path, &size);
    snprintf(file, sizeof file, "%s", scratch_path("changing"));
    make_file(file, 2500000, 7);
    const vr_addition changing[2] = {{scratch_path("f1"), "y"}, {file, "z"}};
    vr_archive_options options = VR_ARCHIVE_OPTIONS_INIT;
    options.progress = lengthen;
    options.context = file;
    assert_int_equal(vr_archive_append(path, changing, 2, VR_TAKEN_REFUSE, false, NULL, &options), VR_ERROR_IO);
    assert_message("changed while it was read");
    same_file(path, bytes, size);
    const vr_addition missing[2] = {{scratch_path("f1"), "y"}, {scratch_path("missing"), "z"}};
    assert_int_equal(vr_archive_append(path, missing, 2, VR_TAKEN_REFUSE, false, NULL, NULL), VR_ERROR_IO);
    const vr_addition self = {path, "y"}, folder = {scratch_folder, "y"};
    assert_int_equal(vr_archive_append(path, &self, 1, VR_TAKEN_REFUSE, false, NULL, NULL), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_archive_append(path, &folder, 1, VR_TAKEN_REFUSE, false, NULL, NULL), VR_ERROR_ARGUMENT);
    same_file(path, bytes, size);
    free(bytes);
    shell("gzip -k input.tar");
    assert_int_equal(add(scratch_path("input.tar.gz"), "y", VR_TAKEN_REFUSE, NULL), VR_ERROR_UNSUPPORTED);
    assert_int_equal(count_members(scratch_path("input.tar.gz")), 1);
    assert_clean(scratch_path("input.tar.gz"));
    shell("echo this is no tar archive >no.tar");
    assert_int_equal(add(scratch_path("no.tar"), "y", VR_TAKEN_REFUSE, NULL), VR_ERROR_FORMAT);
    shell("grep -qx 'this is no tar archive' no.tar");
    shell("{ head -c 5000 /dev/zero; echo something else; } >zeros && cp zeros zeros.before");
    assert_int_equal(add(scratch_path("zeros"), "y", VR_TAKEN_REFUSE, NULL), VR_ERROR_FORMAT);
    assert_message("zeros: not a tar archive");
    shell("cmp zeros zeros.before");
    shell("tar -cf 1.tar no.tar && tar -cf 2.tar zeros && cat 1.tar 2.tar >both.tar && cp both.tar both.before");
    assert_int_equal(add(scratch_path("both.tar"), "y", VR_TAKEN_REFUSE, NULL), VR_ERROR_FORMAT);
    assert_message("both.tar: another archive begins behind its end, at 10240");
    shell("cmp both.tar both.before");
}

static void test_shared(void **state)
{
    (void)state;
    const char *path = lasting_path("shared.tar");
    append_one(path, scratch_path("f1"), "x");
    vr_archive *a = open_archive(path), *b = open_archive(path);
    assert_ptr_equal(a, b);
    append_one(path, scratch_path("f1"), "y");
    vr_archive *c = open_archive(path);
    assert_ptr_not_equal(a, c);
    vr_archive_close(a);
    vr_member member;
    assert_int_equal(vr_archive_find(b, "x", &member), VR_OK);
    assert_int_equal(vr_archive_find(b, "y", &member), VR_ERROR_ARGUMENT);
    assert_int_equal(vr_archive_find(c, "y", &member), VR_OK);
    vr_archive_close(b);
    vr_archive_close(c);
    vr_archive_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),           cmocka_unit_test(test_names),        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_every_byte),       cmocka_unit_test(test_many_appends), cmocka_unit_test(test_find),
        cmocka_unit_test(test_damaged_manifest), cmocka_unit_test(test_uncommitted),  cmocka_unit_test(test_concurrent),
        cmocka_unit_test(test_overtaken),        cmocka_unit_test(test_no_room),      cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_shared),
    };
    return cmocka_run_group_tests(tests, make_files, scratch_teardown);
}
