#include "campaign_archive.h"

#include "archive_files.h"
#include "campaign_json.h"
#include "run_keeper.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <formats/fail.h>
#include <formats/io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <varanalyze/archive.h>

#define JSON_MOST   ((uint64_t)16 << 20) /* bytes of one that is read */
#define TRACES_MOST 65536                /* of a run: one for each rank */

/* ---- reading ---- */

static vr_status read_json(json_t **out, vr_archive *archive, const vr_member *member, const char *path)
{
    char *text = member->size <= JSON_MOST && member->type == '0' && !member->sparse ? malloc(member->size + 1) : NULL;
    json_error_t error;
    *out = NULL;
    if (!text)
        return vr_fail(VR_ERROR_FORMAT, "%s:%s: is no JSON text", path, member->name);
    const ssize_t size = vr_read_whole(vr_archive_fd(archive), text, member->size, member->offset);
    if (size < 0 || (uint64_t)size < member->size) {
        free(text);
        return vr_fail(VR_ERROR_IO, "%s:%s: cannot be read", path, member->name);
    }
    *out = json_loadb(text, member->size, 0, &error);
    free(text);
    return *out ? VR_OK : vr_fail(VR_ERROR_FORMAT, "%s:%s: malformed: %s", path, member->name, error.text);
}

/* A compressed one can be read, but nothing can be added. */
static vr_status refuse_compressed(const vr_archive *archive, const char *path)
{
    struct stat named, read;
    if (stat(path, &named) != 0 || fstat(vr_archive_fd(archive), &read) != 0)
        return vr_fail_errno(errno, "%s", path);
    if (named.st_dev == read.st_dev && named.st_ino == read.st_ino)
        return VR_OK;
    return vr_fail(VR_ERROR_UNSUPPORTED, "%s: is compressed, and nothing can be added to it; decompress it first",
                   path);
}

static vr_status read_campaign(va_campaign *out, vr_archive *archive, const char *path)
{
    vr_member member;
    json_t *json;
    if (vr_archive_find(archive, VA_CAMPAIGN_MEMBER, &member) != VR_OK)
        return vr_fail(
            VR_ERROR_ARGUMENT,
            "%s: is there already, and no campaign's (it has no " VA_CAMPAIGN_MEMBER "); name another archive", path);
    vr_status status = read_json(&json, archive, &member, path);
    if (status == VR_OK)
        status = va_campaign_from_json(out, json, path);
    json_decref(json);
    return status;
}

vr_status va_campaign_read(va_campaign *out, const char *archive)
{
    vr_archive *opened;
    *out = (va_campaign){0};
    vr_status status = vr_archive_open(&opened, archive, NULL);
    if (status != VR_OK)
        return status;
    status = refuse_compressed(opened, archive);
    if (status == VR_OK)
        status = read_campaign(out, opened, archive);
    vr_archive_close(opened);
    return status;
}

/* The run whose record has that name. */
static bool parse_name(va_task *out, const va_campaign *campaign, const char *member)
{
    const char *dash = strrchr(member, '-');
    char name[VA_RUN_NAME];
    const unsigned long replica = dash ? strtoul(dash + 1, NULL, 10) : 0;
    for (uint32_t i = 0; dash && i < campaign->condition_count; i++) {
        const va_condition *condition = &campaign->conditions[i];
        const size_t length = strlen(condition->name);
        if (length != (size_t)(dash - member) || memcmp(condition->name, member, length) != 0)
            continue;
        *out = (va_task){i, (uint32_t)replica};
        va_run_name(name, campaign, *out);
        return replica >= 1 && replica <= condition->count && strncmp(member, name, strlen(name)) == 0 &&
               strcmp(member + strlen(name), ".json") == 0;
    }
    return false;
}

static vr_status read_outcomes(va_ledger *ledger, vr_archive *archive, const char *path)
{
    const vr_member *members;
    uint64_t count;
    va_task task;
    vr_status status = vr_archive_members(archive, &members, &count);
    for (uint64_t i = 0; status == VR_OK && i < count; i++) {
        json_t *json;
        if (!parse_name(&task, ledger->campaign, members[i].name))
            continue;
        status = read_json(&json, archive, &members[i], path);
        if (status == VR_OK && !va_outcome_from_json(va_ledger_at(ledger, task), json))
            status = vr_fail(VR_ERROR_FORMAT, "%s:%s: malformed", path, members[i].name);
        json_decref(json);
    }
    return status;
}

vr_status va_ledger_read(va_ledger *ledger, const char *archive)
{
    vr_archive *opened;
    vr_status status = vr_archive_open(&opened, archive, NULL);
    if (status != VR_OK)
        return status;
    status = read_outcomes(ledger, opened, archive);
    vr_archive_close(opened);
    return status;
}

/* ---- writing ---- */

static vr_status write_json(const json_t *json, const char *path)
{
    FILE *file = json ? fopen(path, "we") : NULL;
    if (!json)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", path);
    if (!file)
        return vr_fail_errno(errno, "%s: cannot create", path);
    bool fine = json_dumpf(json, file, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0 && fputc('\n', file) != EOF;
    fine = fclose(file) == 0 && fine;
    return fine ? VR_OK : vr_fail_errno(errno, "%s: cannot write", path);
}

vr_status va_campaign_write(const va_campaign *campaign, const char *archive, const va_scratch *scratch, bool create)
{
    char *path = va_scratch_path(scratch, VA_CAMPAIGN_MEMBER);
    json_t *json = va_campaign_to_json(campaign);
    const vr_addition file = {path, VA_CAMPAIGN_MEMBER};
    vr_status status = path ? write_json(json, path) : vr_fail(VR_ERROR_MEMORY, "%s: out of memory", archive);
    if (status == VR_OK)
        status = vr_archive_append(archive, &file, 1, VR_TAKEN_REPLACE, create, NULL, NULL);
    json_decref(json);
    free(path);
    return status;
}

/* The file "folder/file" as member "name" + "end". */
static vr_status add(va_files *all, const char *folder, const char *file, const char *name, const char *end)
{
    char *path = NULL, *member = NULL;
    vr_addition *files = realloc(all->files, (all->count + 1) * sizeof *files);
    if (files)
        all->files = files;
    if (files && asprintf(&path, "%s/%s", folder, file) >= 0 && asprintf(&member, "%s%s", name, end) >= 0) {
        files[all->count++] = (vr_addition){path, member};
        return VR_OK;
    }
    free(path);
    return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", folder);
}

static int is_trace(const struct dirent *entry)
{
    const char *name = entry->d_name;
    return fnmatch("?*.h5", name, 0) == 0 && name[strspn(name, VA_WORD_BYTES)] == 0 &&
           (entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN);
}

static int by_version(const struct dirent **a, const struct dirent **b)
{
    return strverscmp((*a)->d_name, (*b)->d_name);
}

/* One trace is called as the run is; of several, each keeps the name the program gave it behind that. */
static vr_status add_each(va_files *all, const char *folder, const char *name, struct dirent *const *entries, int count,
                          json_t *names)
{
    vr_status status = VR_OK;
    for (int i = 0; i < count && i < TRACES_MOST && status == VR_OK; i++) {
        char end[300];
        snprintf(end, sizeof end, "%s%s", count == 1 ? "" : ".", count == 1 ? ".h5" : entries[i]->d_name);
        status = add(all, folder, entries[i]->d_name, name, end);
        if (status == VR_OK)
            json_array_append_new(names, json_string(all->files[all->count - 1].name));
    }
    return status;
}

static vr_status add_traces(va_files *all, const char *run, const char *name, json_t *names, va_outcome *outcome)
{
    struct dirent **entries;
    char *folder;
    if (asprintf(&folder, "%s/" VA_TRACE_FOLDER, run) < 0)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", run);
    const int count = scandir(folder, &entries, is_trace, by_version), error = errno;
    vr_status status = VR_OK;
    if (count >= 0)
        status = add_each(all, folder, name, entries, count, names);
    else if (error != ENOENT && error != ENOTDIR) /* a run may tidy up */
        status = vr_fail_errno(error, "%s: cannot list", folder);
    if (count > TRACES_MOST)
        va_outcome_note(outcome, "%d of its %d traces were left out", count - TRACES_MOST, count);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    if (count >= 0)
        free(entries);
    free(folder);
    return status;
}

/* What only the driver knows; `cores` and `traces` are taken over. */
static json_t *record_of(const va_campaign *campaign, va_task task, const va_outcome *outcome, char *const *set,
                         json_t *cores, json_t *traces)
{
    char host[65] = "";
    json_t *record = va_outcome_to_json(campaign, task, outcome);
    gethostname(host, sizeof host - 1);
    json_object_set_new(record, "traces", traces);
    json_object_set_new(record, "host", va_bytes_to_json(host));
    json_object_set_new(record, "cores", cores);
    json_object_set_new(record, "environment", va_variables_to_json(set));
    return record;
}

static vr_status write_record(json_t *record, const char *folder)
{
    char *path;
    if (asprintf(&path, "%s/record", folder) < 0)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", folder);
    unlink(path); /* whatever the run has put there */
    const vr_status status = write_json(record, path);
    free(path);
    return status;
}

vr_status va_run_store(const va_campaign *campaign, const char *archive, va_task task, va_outcome *outcome,
                       const char *folder, char *const *set, json_t *cores, bool replace)
{
    char name[VA_RUN_NAME];
    va_files all = {0};
    json_t *traces = json_array();
    va_run_name(name, campaign, task);
    vr_status status = add(&all, folder, "record", name, ".json");
    if (status == VR_OK)
        status = add(&all, folder, "out", name, ".out");
    if (status == VR_OK)
        status = add(&all, folder, "err", name, ".err");
    if (status == VR_OK)
        status = add_traces(&all, folder, name, traces, outcome);
    outcome->traces = (uint32_t)json_array_size(traces);
    json_t *record = record_of(campaign, task, outcome, set, cores, traces);
    if (status == VR_OK)
        status = write_record(record, folder);
    if (status == VR_OK && access(archive, F_OK) != 0) /* a new one would have no definition */
        status = vr_fail_errno(errno, "%s: has gone from its place while the campaign runs; put it back", archive);
    if (status == VR_OK)
        status = vr_archive_append(archive, all.files, all.count, replace ? VR_TAKEN_REPLACE : VR_TAKEN_REFUSE, false,
                                   NULL, NULL);
    json_decref(record);
    va_files_free(&all);
    return status;
}
