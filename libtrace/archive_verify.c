#include "archive_hash.h"
#include "archive_impl.h"
#include "archive_write.h"
#include "fail.h"
#include "tar.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

/* An archive on its way to be held against its manifests. */
typedef struct check {
    vr_archive *archive; /* our own view of it, that no index has a say in */
    vr_tar *tar;
    void *piece;
    vr_archive_report report;
    void *context;
    const vr_archive_options *options;
    uint64_t bad, unknown;
} check;

static void tell(const check *of, const char *member, const char *what)
{
    if (of->report)
        of->report(of->context, member, what);
}

static void tell_archive(check *of, const char *what)
{
    tell(of, "", what);
    of->bad++;
}

/* Whether the header says of the member what the manifest says. */
static bool header_agrees(check *of, const vr_entry *entry)
{
    vr_tar_member member;
    bool found;
    vr_tar_seek(of->tar, entry->start);
    return vr_tar_next(of->tar, &member, &found) == VR_OK && found && member.start == entry->start &&
           member.data == entry->member.offset && member.size == entry->member.size &&
           member.type == entry->member.type && member.sparse == entry->member.sparse &&
           strcmp(member.name, entry->member.name) == 0;
}

static vr_status check_member(check *of, const vr_entry *entry)
{
    const vr_archive *archive = of->archive;
    vr_digest digest;
    uint64_t frame;
    const vr_status status = vr_hash_entry(&digest, &frame, archive->fd, entry, archive->end, of->piece, archive->path);
    if (status != VR_OK)
        return status;
    const bool same = vr_digest_equal(digest, entry->member.digest), framed = frame == entry->frame;
    const bool agrees = !framed || header_agrees(of, entry);
    if (!same)
        tell(of, entry->member.name, "its contents are not what was stored");
    if (!framed)
        tell(of, entry->member.name, "its header or padding is not what was stored");
    if (!agrees)
        tell(of, entry->member.name, "its header says otherwise than the manifest");
    of->bad += !same || !framed || !agrees;
    return VR_OK;
}

/* A manifest that no other one has a line for is held against its own footer. */
static vr_status check_manifest(check *of, const vr_entry *entry)
{
    const vr_archive *archive = of->archive;
    const uint64_t end = entry->member.offset + entry->member.size;
    vr_footer footer;
    vr_table table;
    vr_digest digest;
    uint64_t frame;
    char name[64];
    bool fine = vr_footer_read(&footer, archive->fd, end) && footer.start == entry->start &&
                footer.data == entry->member.offset &&
                strcmp(vr_manifest_entry(&footer, name).member.name, entry->member.name) == 0 &&
                vr_manifest_table(&table, archive->fd, &footer, archive->path);
    if (fine) {
        vr_status status = vr_table_load(&table, NULL, NULL);
        fine = status == VR_OK;
        if (status == VR_OK || status == VR_ERROR_FORMAT)
            status = vr_hash_entry(&digest, &frame, archive->fd, entry, end, of->piece, archive->path);
        if (status != VR_OK)
            return status;
        fine = fine && frame == footer.header && header_agrees(of, entry);
    }
    if (!fine)
        tell(of, entry->member.name, "this manifest is damaged, or another archive's");
    of->bad += !fine;
    return VR_OK;
}

static vr_status check_entry(check *of, const vr_entry *entry)
{
    if (entry->member.has_digest)
        return check_member(of, entry);
    if (vr_name_is_manifest(entry->member.name))
        return check_manifest(of, entry);
    of->unknown++;
    return VR_OK;
}

/* Where manifests cover the archive, one member begins where the one before it ends. */
static void check_place(check *of, const vr_entry *entry, uint64_t expected)
{
    char what[128];
    if (!vr_archive_is_covered(of->archive) || entry->start == expected)
        return;
    snprintf(what, sizeof what, "begins at %" PRIu64 ", not at %" PRIu64 " where the member before it ends",
             entry->start, expected);
    tell(of, entry->member.name, what);
    of->bad++;
}

/* Whether somebody has added to the archive since it was opened: other members stand where its end marker was then. A
 * change that is under way may have made the file as long as it was, and have no footer that counts: its time tells. */
static bool was_added_to(const vr_archive *archive)
{
    struct stat now;
    vr_footer footer;
    if (fstat(archive->fd, &now) != 0)
        return false;
    return !vr_is_unchanged(&now, &archive->file) ||
           (vr_footer_read(&footer, archive->fd, (uint64_t)now.st_size - VR_END_MARKER) &&
            vr_footer_counts(&footer, archive->fd) && footer.end > archive->end);
}

static vr_status check_end(check *of, uint64_t expected)
{
    static const char zeros[VR_END_MARKER];
    char marker[VR_END_MARKER];
    const vr_archive *archive = of->archive;
    if (!vr_archive_is_covered(archive))
        return VR_OK;
    if (expected != archive->end)
        tell_archive(of, "the last member does not end where the archive does");
    if (archive->size < archive->end + VR_END_MARKER) {
        if (!was_added_to(archive))
            tell_archive(of, "the end marker is cut off");
        return VR_OK;
    }
    const vr_status status = vr_read_at(archive->fd, marker, sizeof marker, archive->end, archive->path);
    if (status == VR_OK && memcmp(marker, zeros, sizeof zeros) != 0 && !was_added_to(archive))
        tell_archive(of, "the end marker is damaged");
    return status;
}

static vr_status check_all(check *of, vr_entry *const *in_order)
{
    const vr_archive *archive = of->archive;
    uint64_t expected = 0;
    for (uint64_t i = 0; i < archive->list.count; i++) {
        const vr_entry *entry = in_order[i];
        check_place(of, entry, expected);
        const vr_status status = check_entry(of, entry);
        if (status != VR_OK)
            return status;
        expected = vr_tar_round(entry->member.offset + entry->member.size);
        if (of->options && of->options->progress)
            of->options->progress(of->options->context, entry->member.name, expected, archive->end);
    }
    return check_end(of, expected);
}

static vr_status open_view(check *of, const vr_archive *archive)
{
    const int fd = fcntl(archive->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return vr_fail_errno(errno, "%s", archive->path);
    vr_status status = vr_archive_read(&of->archive, fd, archive->path, true, NULL);
    if (status == VR_OK)
        status = vr_archive_load(of->archive);
    if (status == VR_OK)
        status = vr_tar_open(&of->tar, fd, of->archive->size, archive->path);
    of->piece = malloc(VR_PIECE);
    if (status == VR_OK && !of->piece)
        status = vr_fail(VR_ERROR_MEMORY, "%s: out of memory", archive->path);
    return status;
}

vr_status vr_archive_verify(vr_archive *archive, vr_archive_report report, void *context, uint64_t *bad,
                            uint64_t *unknown, const vr_archive_options *options)
{
    check of = {.report = report, .context = context, .options = options};
    vr_entry **in_order = NULL;
    vr_status status = open_view(&of, archive);
    if (status == VR_OK)
        status = vr_list_in_order(&of.archive->list, &in_order);
    if (status == VR_OK)
        status = check_all(&of, in_order);
    *bad = of.bad;
    *unknown = of.unknown;
    free(in_order);
    free(of.piece);
    vr_tar_close(of.tar);
    vr_archive_close(of.archive);
    return status;
}
