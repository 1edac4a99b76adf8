/* Tar archives: whatever the bytes, the members lie within the file, one behind the other, and what the archive says of
 * itself never gets it further. If the input ends with a footer, its digests are made right, so that it is believed. */
#include <fuzz/fuzz_trace.h>

#include <formats/tar.h>
#include <libtrace/archive_manifest.h>
#include <xxhash.h>

#define MOST_FOUND 64 /* members that are looked for by name */

static void walk(int fd, size_t size)
{
    vr_tar *tar;
    vr_tar_member member;
    bool found = true;
    uint64_t expected = 0;
    require(vr_tar_open(&tar, fd, size, "input") == VR_OK);
    while (found) {
        const vr_status status = vr_tar_next(tar, &member, &found);
        if (status != VR_OK) {
            require(status == VR_ERROR_FORMAT && strncmp(vr_error(), "input: ", 7) == 0);
            break;
        }
        if (!found) {
            require(vr_tar_end(tar) >= expected && vr_tar_end(tar) <= vr_tar_round(size));
            break;
        }
        require(member.start == expected && member.start < member.data);
        require(member.data <= size && member.size <= size - member.data && member.data % VR_TAR_BLOCK == 0);
        require(strlen(member.name) <= size && strlen(member.link) <= size);
        expected = vr_tar_round(member.data + member.size);
    }
    vr_tar_close(tar);
}

static void count_report(void *context, const char *member, const char *what)
{
    uint64_t *reports = context;
    require(member != NULL && what[0] != 0);
    ++*reports;
}

static void check_members(vr_archive *archive, size_t size)
{
    const vr_member *members;
    uint64_t count;
    vr_member found;
    if (vr_archive_members(archive, &members, &count) != VR_OK)
        return;
    for (uint64_t i = 0; i < count; i++) {
        require(members[i].offset <= size && members[i].size <= size - members[i].offset);
        if (i < MOST_FOUND && vr_archive_find(archive, members[i].name, &found) == VR_OK)
            require(found.offset <= size && found.size <= size - found.offset);
    }
}

static vr_archive *open_archive(const char *path)
{
    vr_archive *archive = NULL;
    if (vr_archive_open(&archive, path, NULL) == VR_OK)
        return archive;
    require(!archive && strncmp(vr_error(), path, strlen(path)) == 0);
    return NULL;
}

/* Finding comes before listing here, so that it goes by the manifests. */
static void find_first(const char *path, size_t size)
{
    static const char *const names[] = {"a", "f1", "runs/1.h5", ".varanalyze/manifest-000001"};
    vr_archive *archive = open_archive(path);
    for (size_t i = 0; archive && i < sizeof names / sizeof *names; i++) {
        vr_member member;
        if (vr_archive_find(archive, names[i], &member) == VR_OK)
            require(i < 3 && member.offset <= size && member.size <= size - member.offset);
    }
    vr_archive_close(archive);
}

/* The input with a last footer that agrees with it, as far as it has the numbers for it. */
static int make_file(char path[64], const uint8_t *data, size_t size)
{
    static const size_t number =
        21; /* digits and a newline; the words before them are those of docs/archive-format.md */
    const size_t marker = 1024;
    const int fd = fuzz_file(path, data, size);
    vr_footer footer = {0};
    if (size < marker + VR_FOOTER_BYTES ||
        memcmp(data + size - marker - VR_FOOTER_BYTES, "varanalyze footer 1\n", 20) != 0)
        return fd;
    const size_t end = size - marker, at = end - VR_FOOTER_BYTES;
    char block[VR_FOOTER_BYTES + 1] = {0};
    memcpy(block, data + at, VR_FOOTER_BYTES);
    uint64_t *const numbers[] = {&footer.number, &footer.start, &footer.data,   &footer.text,
                                 &footer.end,    &footer.lines, &footer.commit, &footer.previous};
    static const size_t words[] = {7, 6, 5, 5, 4, 6, 7, 9};
    for (size_t i = 0, from = 20; i < 8; from += words[i++] + number)
        *numbers[i] = strtoull(block + from + words[i], NULL, 10);
    if (footer.data <= at && footer.start <= footer.data) {
        const XXH128_hash_t digest = XXH3_128bits(data + footer.data, at - footer.data);
        footer.digest = (vr_digest){digest.high64, digest.low64};
        footer.header = XXH3_64bits(data + footer.start, footer.data - footer.start);
    }
    vr_footer_write(block, &footer);
    require(pwrite(fd, block, VR_FOOTER_BYTES, (off_t)at) == VR_FOOTER_BYTES);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    const int fd = make_file(path, data, size);
    walk(fd, size);
    if (!(size > 1 && (data[0] == 0x1f || data[0] == 0x28 || data[0] == 0xfd || data[0] == 0x04 || data[0] == 'B'))) {
        find_first(path, size); /* what is compressed is the business of another target */
        vr_archive *archive = open_archive(path);
        if (archive) {
            uint64_t bad, unknown, reports = 0;
            check_members(archive, size);
            const vr_status status = vr_archive_verify(archive, count_report, &reports, &bad, &unknown, NULL);
            require(status != VR_OK || (reports >= bad && (bad > 0) == (reports > 0)));
        }
        vr_archive_close(archive);
    }
    close(fd);
    return 0;
}
