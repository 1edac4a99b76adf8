#include "archive_impl.h"
#include "fail.h"
#include "tar.h"

#include <stdlib.h>

#define SIMILAR      3
#define SIMILAR_MOST 100000 /* members that are searched for a similar name */
#define NAME_MOST    128    /* bytes of names that are compared */

/* Whether the archive's own header agrees with a line of a table. */
static bool agrees(const vr_archive *archive, const vr_entry *entry)
{
    vr_tar *tar;
    vr_tar_member member;
    bool found = false;
    if (vr_tar_open(&tar, archive->fd, archive->size, archive->path) != VR_OK)
        return false;
    vr_tar_seek(tar, entry->start);
    const bool same = vr_tar_next(tar, &member, &found) == VR_OK && found && member.data == entry->member.offset &&
                      member.size == entry->member.size && member.type == entry->member.type &&
                      member.sparse == entry->member.sparse && strcmp(member.name, entry->member.name) == 0;
    vr_tar_close(tar);
    return same;
}

/* Looks into the tables, the newest first; `*sure` is false where they are damaged, or say what is not so. */
static vr_status find_in_tables(vr_archive *archive, const char *name, vr_entry *out, bool *found, bool *sure)
{
    *found = false;
    *sure = true;
    for (int i = 0; i < archive->table_count && !*found; i++) {
        const vr_status status = vr_table_find(&archive->tables[i], name, out, found);
        if (status == VR_ERROR_MEMORY)
            return status;
        *sure = *sure && status == VR_OK;
    }
    if (*found) {
        *sure = agrees(archive, out);
        return VR_OK;
    }
    for (int i = 0; i < archive->table_count && *sure && !archive->tables_sound; i++)
        *sure = vr_table_load(&archive->tables[i], NULL, NULL) == VR_OK;
    archive->tables_sound = *sure;
    return VR_OK;
}

/* Makes a found name the archive's own. */
static vr_status keep(vr_archive *archive, vr_member *member)
{
    const size_t bytes = strlen(member->name) + 1;
    vr_kept_name *kept = malloc(sizeof *kept + bytes);
    if (!kept)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", archive->path);
    memcpy(kept->name, member->name, bytes);
    kept->next = archive->kept;
    archive->kept = kept;
    member->name = kept->name;
    return VR_OK;
}

/* The edit distance of two names, by rows (Wagner & Fischer 1974), at most NAME_MOST bytes of each. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_MOST + 1];
    const size_t n = strnlen(a, NAME_MOST), m = strnlen(b, NAME_MOST);
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            const size_t above = row[j], change = corner + (a[i - 1] != b[j - 1]);
            const size_t step = (above < row[j - 1] ? above : row[j - 1]) + 1;
            row[j] = change < step ? change : step;
            corner = above;
        }
    }
    return row[m];
}

static const char *basename_of(const char *name)
{
    const char *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

/* The names that are most like `name`, best first; how many. */
static int find_similar(const vr_archive *archive, const char *name, const char *out[SIMILAR])
{
    const size_t limit = strlen(name) / 3 + 1;
    size_t distances[SIMILAR];
    int count = 0;
    for (uint64_t i = 0; i < archive->list.count; i++) {
        const vr_entry *entry = archive->list.by_name[i];
        if (entry->hidden || vr_name_is_manifest(entry->member.name))
            continue;
        const bool same_base = strcmp(basename_of(entry->member.name), basename_of(name)) == 0;
        const size_t d = same_base ? 0 : distance(vr_name_key(name), vr_name_key(entry->member.name));
        int at = count;
        while (at > 0 && d < distances[at - 1])
            at--;
        if (d > limit || at == SIMILAR)
            continue;
        count += count < SIMILAR;
        for (int j = count - 1; j > at; j--) {
            out[j] = out[j - 1];
            distances[j] = distances[j - 1];
        }
        out[at] = entry->member.name;
        distances[at] = d;
    }
    return count;
}

static vr_status not_there(vr_archive *archive, const char *name)
{
    const char *names[SIMILAR];
    char hint[320] = "";
    uint64_t lines = archive->list.count;
    for (int i = 0; i < archive->table_count; i++)
        lines += archive->tables[i].footer.lines;
    if (lines <= SIMILAR_MOST && vr_archive_load(archive) == VR_OK) {
        const int count = find_similar(archive, name, names);
        for (int i = 0; i < count; i++)
            snprintf(hint + strlen(hint), sizeof hint - strlen(hint), "%s\"%.90s\"",
                     i == 0          ? "; is it "
                     : i + 1 < count ? ", "
                                     : " or ",
                     names[i]);
    }
    return vr_fail(VR_ERROR_ARGUMENT, "%s: no member \"%s\"%s%s", archive->path, name, hint, hint[0] ? "?" : "");
}

vr_status vr_archive_look(vr_archive *archive, const char *name, vr_member *out, bool *found)
{
    bool sure = true;
    vr_entry entry;
    *found = false;
    vr_status status = archive->listed ? VR_OK : find_in_tables(archive, name, &entry, found, &sure);
    if (status == VR_OK && *found) {
        *out = entry.member;
        status = keep(archive, out);
        free((char *)entry.member.name);
    }
    if (status == VR_OK && !sure)
        status = vr_archive_scan(archive);
    const vr_entry *listed = status == VR_OK && archive->listed ? vr_list_find(&archive->list, name) : NULL;
    if (archive->listed)
        *found = listed != NULL;
    if (listed)
        *out = listed->member;
    return status;
}

vr_status vr_archive_find(vr_archive *archive, const char *name, vr_member *out)
{
    bool found = false;
    pthread_mutex_lock(&archive->lock);
    vr_status status = vr_name_is_manifest(name) ? VR_OK : vr_archive_look(archive, name, out, &found);
    if (status == VR_OK && !found)
        status = not_there(archive, name);
    pthread_mutex_unlock(&archive->lock);
    return status;
}

static vr_status make_members(vr_archive *archive)
{
    vr_entry **in_order;
    vr_status status = vr_archive_load(archive);
    if (status == VR_OK)
        status = vr_list_in_order(&archive->list, &in_order);
    if (status != VR_OK)
        return status;
    vr_member *members = malloc((archive->list.count + 1) * sizeof *members);
    if (!members) {
        free(in_order);
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", archive->path);
    }
    for (uint64_t i = 0; i < archive->list.count; i++)
        if (!in_order[i]->hidden && !vr_name_is_manifest(in_order[i]->member.name))
            members[archive->member_count++] = in_order[i]->member;
    archive->members = members;
    free(in_order);
    return VR_OK;
}

vr_status vr_archive_members(vr_archive *archive, const vr_member **out, uint64_t *count)
{
    pthread_mutex_lock(&archive->lock);
    const vr_status status = archive->members ? VR_OK : make_members(archive);
    if (status == VR_OK) {
        *out = archive->members;
        *count = archive->member_count;
    }
    pthread_mutex_unlock(&archive->lock);
    return status;
}
