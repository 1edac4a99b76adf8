/* Archives by others: read, indexed, added to, and never believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "archive_scene.h"

#include <libtrace/archive_impl.h>
#include <tar_by_hand.h>

/* An archive by GNU tar gets a manifest; what GNU tar adds to it afterwards is unknown until the next time. */
static void test_foreign(void **state)
{
    (void)state;
    static const char *const formats[] = {"v7", "ustar", "gnu", "oldgnu", "posix"};
    shell("ln -sf f1 soft; ln -f f1 hard");
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s", scratch_path("foreign-%s.tar", formats[i]));
        shell("tar --format=%s -b %zu -cf %s ./f0 ./f1 f2 f5 soft hard", formats[i], i * 3 + 1, path);
        assert_int_equal(verify(path).unknown, 6);
        if (i % 2) {
            assert_int_equal(vr_archive_append(path, NULL, 0, VR_TAKEN_REFUSE, false, NULL, NULL), VR_OK);
            assert_int_equal(count_members(path), 6);
            assert_clean(path);
        }
        assert_int_equal(add(path, "f1", VR_TAKEN_REFUSE, NULL), VR_ERROR_ARGUMENT);
        append_one(path, scratch_path("f4"), "f4");
        assert_clean(path);
        shell("tar tf %s | grep -v '^.varanalyze' | tr '\\n' ' ' >list && "
              "printf './f0 ./f1 f2 f5 soft hard f4 ' | cmp - list",
              path);
        shell("tar --format=gnu -rf %s f3", path);
        const findings found = verify(path);
        assert_int_equal(found.bad, 0);
        assert_int_equal(found.unknown, 1);
        assert_int_equal(count_members(path), 8);
        vr_archive *archive = open_archive(path);
        vr_member member;
        assert_int_equal(vr_archive_find(archive, "f5", &member), VR_OK);
        assert_true(member.has_digest);
        vr_archive_close(archive);
        append_one(path, scratch_path("f6"), "f6");
        assert_int_equal(count_members(path), 9);
        assert_clean(path);
    }
}

static vr_tar_block *sealed(by_hand *to, char type, const char *name, const char *link)
{
    vr_tar_block *block = hand_header(to, POSIX_MAGIC, type, name, 0);
    memset(block->link, 0, sizeof block->link);
    memcpy(block->link, link, strlen(link));
    hand_sum(block);
    return block;
}

/* Archives that end anywhere, also where the end marker lies across two pages. */
static void test_foreign_ends(void **state)
{
    (void)state;
    static by_hand hand;
    const char *path = lasting_path("ends.tar");
    for (size_t members = 0; members < 17; members++)
        for (size_t zeros = 0; zeros < 4; zeros++) {
            hand.size = 0;
            for (size_t i = 0; i < members; i++)
                sealed(&hand, '0', numbered("x", (int)i), "");
            for (size_t i = 0; i < zeros; i++)
                hand_data(&hand, "", 1);
            save_file(path, hand.bytes, hand.size);
            append_one(path, scratch_path("f4"), "new");
            assert_int_equal(count_members(path), members + 1);
            assert_clean(path);
            shell("tar tf ends.tar >list && grep -qx new list");
        }
}

/* An archive of many members by others; their names "n0", "n1", ... */
static void make_large(const char *path, int members)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (int i = 0; i < members + 2; i++) {
        static by_hand hand;
        char name[16];
        hand.size = 0;
        snprintf(name, sizeof name, "n%d", i);
        if (i < members)
            sealed(&hand, '0', name, "");
        else
            hand_data(&hand, "", 1);
        assert_int_equal(fwrite(hand.bytes, 1, 512, file), 512);
    }
    assert_int_equal(fclose(file), 0);
}

static void find_some(const char *path, bool by_index)
{
    vr_archive *archive = open_archive(path);
    assert_int_equal(archive->index_fd >= 0, by_index);
    for (int i = 0; i < 60000; i += 8571) {
        char name[16];
        vr_member member;
        snprintf(name, sizeof name, "n%d", i);
        assert_int_equal(vr_archive_find(archive, name, &member), VR_OK);
        assert_int_equal(member.offset, (uint64_t)i * 512 + 512);
    }
    vr_archive_close(archive);
}

static void test_index(void **state)
{
    (void)state;
    const char *path = lasting_path("large.tar"), *index = lasting_path("large.tar.index");
    struct stat file;
    make_large(path, 60000);
    find_some(path, false);
    assert_exists(index, 1);
    find_some(path, true);
    assert_int_equal(count_members(path), 60000);
    assert_int_equal(stat(index, &file), 0);
    const int fd = open(index, O_RDWR);
    for (off_t at = 0; at < file.st_size; at += file.st_size / 97) {
        uint8_t byte, changed;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        changed = byte ^ 1;
        assert_int_equal(pwrite(fd, &changed, 1, at), 1);
        vr_archive *archive = open_archive(path);
        vr_member member;
        assert_int_equal(vr_archive_find(archive, "n59999", &member), VR_OK);
        assert_int_equal(member.offset, 60000 * 512);
        assert_int_equal(vr_archive_find(archive, "n60000", &member), VR_ERROR_ARGUMENT);
        vr_archive_close(archive);
        assert_int_equal(count_members(path), 60000);
        if (access(index, F_OK) == 0)
            pwrite(fd, &byte, 1, at);
    }
    close(fd);
    make_large(path, 55000); /* the index is stale now */
    assert_int_equal(count_members(path), 55000);
    append_one(path, scratch_path("large.tar.index"), "x");
    assert_int_equal(count_members(path), 55001);
    assert_clean(path);
}

/* Members that want to get out of the folder. */
static void test_extract(void **state)
{
    (void)state;
    static by_hand hand;
    static const struct {
        const char *name;
        vr_status status;
    } expected[] = {
        {"good/file", VR_OK},
        {"./also/good", VR_OK},
        {"/tmp/vr-absolute", VR_ERROR_FORMAT},
        {"../outside", VR_ERROR_FORMAT},
        {"good/../../outside", VR_ERROR_FORMAT},
        {"link/file", VR_ERROR_FORMAT},
        {"way/in/file", VR_ERROR_FORMAT},
        {"final", VR_ERROR_FORMAT},
        {"hard", VR_ERROR_UNSUPPORTED},
        {"soft", VR_ERROR_UNSUPPORTED},
        {"device", VR_ERROR_UNSUPPORTED},
        {"good", VR_ERROR_FORMAT},
        {"good/file/below", VR_ERROR_FORMAT},
    };
    const char *out = lasting_path("extract");
    shell("mkdir extract elsewhere && ln -s ../elsewhere extract/link && mkdir extract/way && "
          "ln -s ../../elsewhere extract/way/in && ln -s ../elsewhere/made extract/final");
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const char *name = expected[i].name;
        if (strcmp(name, "hard") == 0)
            sealed(&hand, '1', name, "/etc/passwd");
        else if (strcmp(name, "soft") == 0)
            sealed(&hand, '2', name, "/etc/passwd");
        else if (strcmp(name, "device") == 0)
            sealed(&hand, '3', name, "");
        else
            hand_member(&hand, POSIX_MAGIC, '0', name, "contents", 8);
    }
    hand_end(&hand);
    save_file(scratch_path("attack.tar"), hand.bytes, hand.size);
    vr_archive *archive = open_archive(scratch_path("attack.tar"));
    for (int overwrite = 0; overwrite < 2; overwrite++)
        for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
            vr_member member;
            assert_int_equal(vr_archive_find(archive, expected[i].name, &member), VR_OK);
            const vr_status status = vr_archive_extract(archive, &member, out, overwrite != 0);
            if (status != expected[i].status)
                fail_msg("%s: %d, %s", expected[i].name, (int)status, vr_error());
        }
    vr_member member;
    assert_int_equal(vr_archive_find(archive, "good/file", &member), VR_OK);
    assert_int_equal(vr_archive_extract(archive, &member, out, false), VR_ERROR_ARGUMENT);
    assert_message("is there already");
    vr_archive_close(archive);
    shell("[ -z \"$(ls -A elsewhere)\" ] && ! [ -e outside ] && ! [ -e /tmp/vr-absolute ]");
    shell("printf contents | cmp - extract/good/file && printf contents | cmp - extract/also/good");
    shell("[ \"$(stat -c '%%a %%Y' extract/good/file)\" = '644 1' ] && [ $(find extract -type f | wc -l) = 2 ]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_foreign_ends),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_extract),
    };
    return cmocka_run_group_tests(tests, make_files, scratch_teardown);
}
