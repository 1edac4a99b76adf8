/* Reading tar archives: held against libarchive on what GNU tar writes; by hand where no program writes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <formats/tar.h>
#include <locale.h>
#include <scratch.h>
#include <sys/wait.h>
#include <tar_by_hand.h>

#define GIB ((uint64_t)1 << 30)

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Runs a command in the test's folder; it has to succeed without a word on stderr. */
static void shell(const char *format, ...)
{
    char command[4096], line[6144];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    snprintf(line, sizeof line, "cd '%s' && { %s; } 2>words && ! [ -s words ]", scratch_folder, command);
    if (system(line) != 0)
        fail_msg("failed: %s", command);
}

static uint64_t size_of(int fd)
{
    struct stat file;
    assert_int_equal(fstat(fd, &file), 0);
    return (uint64_t)file.st_size;
}

static vr_tar *open_tar(int *fd, const char *path)
{
    vr_tar *tar;
    *fd = open(path, O_RDONLY);
    assert_true(*fd >= 0);
    assert_int_equal(vr_tar_open(&tar, *fd, size_of(*fd), "test.tar"), VR_OK);
    return tar;
}

static void close_tar(vr_tar *tar, int fd)
{
    vr_tar_close(tar);
    close(fd);
}

static bool next(vr_tar *tar, vr_tar_member *member)
{
    bool found;
    if (vr_tar_next(tar, member, &found) != VR_OK)
        fail_msg("%s", vr_error());
    return found;
}

static char type_of(struct archive_entry *entry)
{
    if (archive_entry_hardlink(entry))
        return '1';
    switch (archive_entry_filetype(entry)) {
    case AE_IFLNK:
        return '2';
    case AE_IFCHR:
        return '3';
    case AE_IFBLK:
        return '4';
    case AE_IFDIR:
        return '5';
    case AE_IFIFO:
        return '6';
    default:
        return '0';
    }
}

static void same_contents(struct archive *theirs, int fd, const vr_tar_member *member)
{
    const void *block;
    size_t size;
    la_int64_t at;
    uint64_t seen = 0;
    while (archive_read_data_block(theirs, &block, &size, &at) == ARCHIVE_OK) {
        uint8_t *bytes = malloc(size + 1);
        assert_non_null(bytes);
        assert_int_equal(at, seen);
        assert_int_equal(pread(fd, bytes, size, (off_t)(member->data + seen)), size);
        assert_memory_equal(bytes, block, size);
        free(bytes);
        seen += size;
    }
    assert_int_equal(seen, member->size);
}

static void same_member(struct archive_entry *entry, const vr_tar_member *member)
{
    const char *link = archive_entry_hardlink(entry) ? archive_entry_hardlink(entry) : archive_entry_symlink(entry);
    assert_string_equal(member->name, archive_entry_pathname(entry));
    assert_string_equal(member->link, link ? link : "");
    assert_int_equal(member->type, type_of(entry));
    assert_int_equal(member->mode, archive_entry_perm(entry));
    assert_int_equal(member->mtime, archive_entry_mtime(entry));
    assert_int_equal(member->sparse, archive_entry_sparse_count(entry) > 0);
    if (!member->sparse)
        assert_int_equal(member->size, archive_entry_size(entry));
}

static struct archive *open_theirs(const char *path)
{
    struct archive *theirs = archive_read_new();
    archive_read_support_format_tar(theirs);
    assert_int_equal(archive_read_open_filename(theirs, path, 65536), ARCHIVE_OK);
    return theirs;
}

/* Every member as libarchive has it, one behind the other; how many, and how many of them sparse. */
static int same_archive(const char *path, bool contents, int *sparse)
{
    int fd, count = 0;
    uint64_t expected = 0;
    vr_tar_member member;
    struct archive_entry *entry;
    struct archive *theirs = open_theirs(path);
    vr_tar *tar = open_tar(&fd, path);
    *sparse = 0;
    int status;
    for (; (status = archive_read_next_header(theirs, &entry)) == ARCHIVE_OK; count++) {
        assert_true(next(tar, &member));
        assert_int_equal(member.start, expected);
        same_member(entry, &member);
        if (contents && member.type == '0' && !member.sparse)
            same_contents(theirs, fd, &member);
        *sparse += member.sparse;
        expected = vr_tar_round(member.data + member.size);
    }
    assert_int_equal(status, ARCHIVE_EOF);
    assert_false(next(tar, &member));
    assert_int_equal(vr_tar_end(tar), expected);
    archive_read_free(theirs);
    close_tar(tar, fd);
    return count;
}

/* Names of 1 to 240 bytes, files of 0 to 100000, links, a FIFO, old and odd times. */
static void make_tree(void)
{
    shell("mkdir -p tree/sub && touch tree/empty tree/sub/old && touch -d @1.5 tree/sub/old && mkfifo tree/fifo");
    for (int i = 1; i < 18; i++)
        shell("head -c %d /dev/urandom >tree/sub/$(printf '%%0%dd' %d)", i * i * 347, i * 14, i);
    shell("ln tree/sub/00000000000001 tree/hard 2>/dev/null || true; ln -s sub/old tree/soft; chmod 751 tree/empty");
    shell("ln tree/sub/old tree/zhard; printf x >tree/$(printf 'gr\\303\\274n'); mkdir tree/z; printf y >tree/z/y");
    shell("d=tree/$(printf '%%0120d' 0)/$(printf '%%0120d' 1); mkdir -p $d; echo deep >$d/f; ln -s $d/f tree/zlink");
}

static void test_formats(void **state)
{
    (void)state;
    static const char *const formats[] = {"gnu", "oldgnu", "posix"};
    int sparse;
    make_tree();
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        shell("tar --format=%s -cf %s.tar tree", formats[i], formats[i]);
        assert_true(same_archive(scratch_path("%s.tar", formats[i]), true, &sparse) > 25);
        assert_int_equal(sparse, 0);
    }
    shell("tar --format=ustar -cf ustar.tar tree/empty tree/sub/*0[1-7] tree/z tree/hard tree/zhard tree/soft "
          "tree/[0]*/ --exclude='zlink' --exclude='tree/0*/*/f' 2>/dev/null || true");
    assert_true(same_archive(scratch_path("ustar.tar"), true, &sparse) > 8);
    shell("tar --format=v7 -cf v7.tar tree/empty tree/sub/*0[1-6] tree/z tree/soft tree/sub/old tree/zhard");
    assert_true(same_archive(scratch_path("v7.tar"), true, &sparse) > 9);
}

/* Sparse members are told, and the ones behind them are found. 100 holes: blocks of entries follow the header. */
static void test_sparse(void **state)
{
    (void)state;
    static const char *const formats[] = {"gnu", "oldgnu", "posix --sparse-version=0.0", "posix --sparse-version=0.1",
                                          "posix --sparse-version=1.0"};
    int sparse;
    shell("for i in $(seq 100); do printf x | dd of=holes bs=1 seek=${i}0000 conv=notrunc status=none; done");
    shell("truncate -s 1M few; printf x >>few; echo behind >behind");
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        shell("tar --format=%s -S --hard-dereference -cf sparse.tar behind few holes behind few behind", formats[i]);
        assert_int_equal(same_archive(scratch_path("sparse.tar"), true, &sparse), 6);
        assert_int_equal(sparse, 3);
    }
}

/* Sizes that octal digits cannot say; the members' bytes are holes. */
static void make_large(const char *path, const void *header, size_t bytes, uint64_t size)
{
    static by_hand behind;
    behind.size = 0;
    hand_member(&behind, POSIX_MAGIC, '0', "behind", "x", 1);
    hand_end(&behind);
    save_file(path, header, bytes);
    const int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, behind.bytes, behind.size, (off_t)(bytes + vr_tar_round(size))), behind.size);
    close(fd);
}

static void test_large(void **state)
{
    (void)state;
    static by_hand hand;
    void *header;
    size_t bytes;
    int sparse;
    const uint64_t size = 9 * GIB + 1;
    vr_tar_block *block = hand_header(&hand, GNU_MAGIC, '0', "large", 0);
    memset(block->size, 0, sizeof block->size);
    block->size[0] = (char)0x80;
    for (int i = 0; i < 8; i++)
        block->size[11 - i] = (char)(size >> 8 * i);
    hand_sum(block);
    make_large(scratch_path("large.tar"), hand.bytes, hand.size, size);
    assert_int_equal(same_archive(scratch_path("large.tar"), false, &sparse), 2);

    const vr_tar_member member = {.name = "large", .mode = 0600, .mtime = -5, .size = size};
    assert_int_equal(vr_tar_header(&header, &bytes, &member, 0, 4096), VR_OK);
    assert_int_equal(bytes % 4096, 0);
    make_large(scratch_path("large.tar"), header, bytes, size);
    free(header);
    assert_int_equal(same_archive(scratch_path("large.tar"), false, &sparse), 2);
    shell("tar tf large.tar >list && printf 'large\\nbehind\\n' | cmp - list");
}

/* Headers for names of any length, anywhere: read again, they say what they were made for. */
static void test_headers(void **state)
{
    (void)state;
    char name[600];
    for (size_t length = 1; length < sizeof name; length += length < 130 ? 1 : 37)
        for (uint64_t at = 0; at < 8192; at += 512) {
            void *header;
            size_t bytes;
            int fd;
            vr_tar_member member;
            const uint64_t align = at % 1024 ? 4096 : 512;
            memset(name, 'n', length);
            name[length] = 0;
            const vr_tar_member made = {.name = name, .mode = 0640, .mtime = 1234567890, .size = at};
            assert_int_equal(vr_tar_header(&header, &bytes, &made, at, align), VR_OK);
            assert_int_equal((at + bytes) % align, 0);
            assert_true(bytes <= align + 2048);
            save_file(scratch_path("one.tar"), header, bytes);
            free(header);
            assert_int_equal(truncate(scratch_path("one.tar"), (off_t)(bytes + at)), 0);
            vr_tar *tar = open_tar(&fd, scratch_path("one.tar"));
            assert_true(next(tar, &member));
            assert_string_equal(member.name, name);
            assert_int_equal(member.size, at);
            assert_int_equal(member.mode, 0640);
            assert_int_equal(member.mtime, 1234567890);
            assert_int_equal(member.data, bytes);
            assert_int_equal(member.type, '0');
            assert_false(next(tar, &member));
            close_tar(tar, fd);
        }
    void *header;
    size_t bytes;
    assert_int_equal(vr_tar_header(&header, &bytes, &(vr_tar_member){.name = ""}, 0, 512), VR_ERROR_ARGUMENT);
}

/* Lays the archive out as a file and reads it through; the status of the call that ended it. */
static vr_status read_through(const by_hand *hand, int *count)
{
    int fd;
    bool found = true;
    vr_tar_member member;
    vr_status status = VR_OK;
    save_file(scratch_path("hand.tar"), hand->bytes, hand->size);
    vr_tar *tar = open_tar(&fd, scratch_path("hand.tar"));
    for (*count = 0; status == VR_OK && found; *count += status == VR_OK && found)
        status = vr_tar_next(tar, &member, &found);
    close_tar(tar, fd);
    return status;
}

static void refuse(const by_hand *hand, const char *words)
{
    int count;
    assert_int_equal(read_through(hand, &count), VR_ERROR_FORMAT);
    assert_message(words);
    assert_message("test.tar: ");
}

static void test_damage(void **state)
{
    (void)state;
    static by_hand hand;
    vr_tar_block *block;
#define AFRESH (hand.size = 0, hand_member(&hand, POSIX_MAGIC, '0', "first", "x", 1))
    AFRESH;
    hand_member(&hand, POSIX_MAGIC, '0', "second", "y", 1);
    hand.bytes[1024 + 3] ^= 1;
    refuse(&hand, "offset 1024: no header here");

    hand.size = 0;
    hand_data(&hand, "no tar", 6);
    refuse(&hand, "not a tar archive");

    AFRESH;
    hand_sum(hand_header(&hand, POSIX_MAGIC, '0', "long", 1000));
    refuse(&hand, "past the end");

    AFRESH;
    block = hand_header(&hand, GNU_MAGIC, '0', "negative", 0);
    memset(block->size, 0xff, sizeof block->size);
    hand_sum(block);
    refuse(&hand, "size that is no number");

    AFRESH;
    block = hand_header(&hand, GNU_MAGIC, '0', "overflow", 0);
    memset(block->size, 0x80, 2);
    hand_sum(block);
    refuse(&hand, "size that is no number");

    AFRESH;
    hand_sum(hand_header(&hand, GNU_MAGIC, 'L', "././@LongLink", 2 << 20));
    refuse(&hand, "more than 1 MiB");

    AFRESH;
    hand_member(&hand, POSIX_MAGIC, 'x', "pax", "11 path=ab\n", 11);
    hand_end(&hand);
    refuse(&hand, "ends after a member's extended header");

    static const char *const records[] = {"11 path=a\n", "9999 path=a\n", "path=a\n",
                                          "-1 path=a\n", "9 patha\n ",    "18446744073709551617 path=a\n",
                                          "3 \n",        "12 size=-17\n", "29 size=99999999999999999999\n"};
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        AFRESH;
        hand_member(&hand, POSIX_MAGIC, 'x', "pax", records[i], strlen(records[i]));
        hand_member(&hand, POSIX_MAGIC, '0', "second", "y", 1);
        refuse(&hand, "offset 1024: a pax");
    }
    AFRESH;
    hand_member(&hand, POSIX_MAGIC, 'x', "pax", "12 path=a\0b\n", 12);
    hand_member(&hand, POSIX_MAGIC, '0', "second", "y", 1);
    refuse(&hand, "zero byte");

    AFRESH;
    hand.size += 100;
    refuse(&hand, "cut off within a header");
#undef AFRESH
}

static void test_ends(void **state)
{
    (void)state;
    static by_hand hand;
    int count;
    assert_int_equal(read_through(&hand, &count), VR_OK);
    assert_int_equal(count, 0);
    hand_member(&hand, POSIX_MAGIC, '0', "first", "x", 1);
    assert_int_equal(read_through(&hand, &count), VR_OK);
    assert_int_equal(count, 1);
    hand_data(&hand, "", 1);
    assert_int_equal(read_through(&hand, &count), VR_OK);
    assert_int_equal(count, 1);
    hand_member(&hand, POSIX_MAGIC, '0', "behind the end", "x", 1);
    assert_int_equal(read_through(&hand, &count), VR_OK);
    assert_int_equal(count, 1);
    hand.size = 513; /* the last member's padding may be missing */
    assert_int_equal(read_through(&hand, &count), VR_OK);
    assert_int_equal(count, 1);
}

/* A hard link's size: contents in pax archives, nothing where a header follows right away. */
static void test_hard_links(void **state)
{
    (void)state;
    static by_hand hand;
    int sparse;
    hand_sum(hand_header(&hand, POSIX_MAGIC, '1', "link", 700));
    hand_member(&hand, POSIX_MAGIC, '0', "behind", "x", 1);
    hand_end(&hand);
    save_file(scratch_path("links.tar"), hand.bytes, hand.size);
    assert_int_equal(same_archive(scratch_path("links.tar"), true, &sparse), 2);

    hand.size = 0;
    hand_sum(hand_header(&hand, GNU_MAGIC, '1', "link", 700));
    hand_member(&hand, GNU_MAGIC, '0', "behind", "x", 1);
    hand_end(&hand);
    save_file(scratch_path("links.tar"), hand.bytes, hand.size);
    assert_int_equal(same_archive(scratch_path("links.tar"), true, &sparse), 2);

    hand.size = 0;
    hand_member(&hand, POSIX_MAGIC, 'x', "pax", "12 mtime=42\n", 12);
    hand_member(&hand, POSIX_MAGIC, '1', "link", "contents", 8);
    hand_member(&hand, POSIX_MAGIC, '0', "behind", "x", 1);
    hand_end(&hand);
    save_file(scratch_path("links.tar"), hand.bytes, hand.size);
    assert_int_equal(same_archive(scratch_path("links.tar"), true, &sparse), 2);
}

/* Some old programs summed the header's bytes as signed numbers. */
static void test_signed_sum(void **state)
{
    (void)state;
    static by_hand hand;
    int count, with_signed;
    char text[16];
    vr_tar_block *block = hand_header(&hand, OLD_MAGIC, '0', "gr\xc3\xbcn", 0);
    const unsigned sum = vr_tar_sum(block, &with_signed);
    assert_int_equal(with_signed, (int)sum - 512);
    snprintf(text, sizeof text, "%06o", (unsigned)with_signed);
    memcpy(block->check, text, 7);
    hand_end(&hand);
    assert_int_equal(read_through(&hand, &count), VR_OK);
    assert_int_equal(count, 1);
}

/* What a global header says holds until a member's own header says otherwise, or takes it back. */
static void test_global(void **state)
{
    (void)state;
    static by_hand hand;
    int fd;
    vr_tar_member member;
    hand_member(&hand, POSIX_MAGIC, 'g', "pax", "14 mtime=-1.5\n", 14);
    hand_member(&hand, POSIX_MAGIC, '0', "a", "x", 1);
    hand_member(&hand, POSIX_MAGIC, 'x', "pax", "11 mtime=7\n10 path=b\n", 21);
    hand_member(&hand, POSIX_MAGIC, '0', "a", "x", 1);
    hand_member(&hand, POSIX_MAGIC, 'x', "pax", "8 path=\n", 8);
    hand_member(&hand, POSIX_MAGIC, '7', "c", "x", 1);
    hand_end(&hand);
    save_file(scratch_path("global.tar"), hand.bytes, hand.size);
    vr_tar *tar = open_tar(&fd, scratch_path("global.tar"));
    assert_true(next(tar, &member));
    assert_int_equal(member.mtime, -2);
    assert_int_equal(member.start, 0);
    assert_true(next(tar, &member));
    assert_int_equal(member.mtime, 7);
    assert_string_equal(member.name, "b");
    assert_true(next(tar, &member));
    assert_string_equal(member.name, "c");
    assert_int_equal(member.mtime, -2);
    assert_int_equal(member.type, '0');
    assert_false(next(tar, &member));
    close_tar(tar, fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),    cmocka_unit_test(test_sparse),     cmocka_unit_test(test_large),
        cmocka_unit_test(test_headers),    cmocka_unit_test(test_damage),     cmocka_unit_test(test_ends),
        cmocka_unit_test(test_hard_links), cmocka_unit_test(test_signed_sum), cmocka_unit_test(test_global),
    };
    setlocale(LC_ALL, "C.UTF-8"); /* libarchive converts names */
    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
