#include "localize_folder.h"

#include "campaign_json.h"
#include "command.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <formats/fail.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT     "varanalyze localize"
#define VERSION    1
#define DEFINITION "localize.json"
#define COUNTS     "counts.tsv"
#define JOURNAL    "runs.jsonl"
#define REFERENCE  "reference"
#define SCRATCH    "runs" /* .scratch */

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

void va_localize_task_free(va_localize_task *task)
{
    va_campaign_free(&task->program);
    for (char **at = task->outputs; at && *at; at++)
        free(*at);
    free(task->outputs);
    free(task->check);
    free(task->type);
    *task = (va_localize_task){0};
}

char *va_localize_path(const va_localize_folder *folder, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", folder->path, name) < 0 ? NULL : path;
}

/* ---- the programs that the command names ---- */

static bool digest_file(char hex[33], const char *path)
{
    struct stat file;
    vr_digest digest;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool fine = fd >= 0 && fstat(fd, &file) == 0 && S_ISREG(file.st_mode);
    const int64_t size = fine ? (int64_t)file.st_size : 0;
    void *bytes = size > 0 ? mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    if (fine && bytes != MAP_FAILED) {
        const vr_tensor tensor = vr_tensor_of(VR_U8, bytes, 1, &size);
        fine = vr_digest_tensor(&digest, &tensor) == VR_OK;
        if (fine)
            vr_digest_hex(hex, digest);
    }
    if (bytes && bytes != MAP_FAILED)
        munmap(bytes, (size_t)size);
    if (fd >= 0)
        close(fd);
    return fine && bytes != MAP_FAILED;
}

/* A word of the command as a path: from the directory it is run in, or, of the program, where PATH has it. */
static char *path_of(const va_campaign *program, const char *word, bool is_program)
{
    char *path = NULL, *list, *folder, *rest;
    if (*word == '/')
        return strdup(word);
    if (!is_program || strchr(word, '/'))
        return asprintf(&path, "%s/%s", program->directory, word) < 0 ? NULL : path;
    rest = list = strdup(getenv("PATH") ? getenv("PATH") : "/bin:/usr/bin");
    while (list && !path && (folder = strsep(&rest, ":"))) {
        if (asprintf(&path, "%s/%s", *folder ? folder : program->directory, word) < 0)
            path = NULL;
        if (path && access(path, X_OK) != 0) {
            free(path);
            path = NULL;
        }
    }
    free(list);
    return path;
}

/* Their digests, by word: a program that was built anew has other runs. What cannot be executed may be a file that the
 * program writes. */
static json_t *files_to_json(const va_campaign *program)
{
    json_t *files = json_object();
    for (char **at = program->command; *at; at++) {
        char *path = path_of(program, *at, at == program->command), hex[33];
        json_t *utf8 = json_string(*at);
        if (path && utf8 && access(path, X_OK) == 0 && digest_file(hex, path))
            json_object_set_new(files, *at, json_string(hex));
        json_decref(utf8);
        free(path);
    }
    return files;
}

/* ---- the definition ---- */

static json_t *task_to_json(const va_localize_task *task)
{
    json_t *outputs = json_array();
    for (char **at = task->outputs; at && *at; at++)
        json_array_append_new(outputs, va_bytes_to_json(*at));
    return json_pack("{s:s, s:i, s:o, s:o, s:o, s:s, s:f, s:o}", "format", FORMAT, "version", VERSION, "program",
                     va_campaign_to_json(&task->program), "outputs", outputs, "check", va_bytes_to_json(task->check),
                     "type", task->type, "floor", task->floor, "files", files_to_json(&task->program));
}

static bool read_outputs(va_localize_task *task, const json_t *outputs)
{
    size_t i;
    const json_t *entry;
    task->outputs = calloc(json_array_size(outputs) + 1, sizeof *task->outputs);
    json_array_foreach (outputs, i, entry) {
        if (!task->outputs || !(task->outputs[i] = va_bytes_from_json(entry)))
            return false;
    }
    return task->outputs && json_is_array(outputs);
}

/* Of a definition of this version. */
static vr_status task_from_json(va_localize_task *out, const json_t *json, const char *path)
{
    *out = (va_localize_task){0};
    const vr_status status = va_campaign_from_json(&out->program, json_object_get(json, "program"), path);
    if (status != VR_OK)
        return status;
    out->check = va_bytes_from_json(json_object_get(json, "check"));
    out->type = va_bytes_from_json(json_object_get(json, "type"));
    out->floor = json_number_value(json_object_get(json, "floor"));
    if (out->check && out->type && read_outputs(out, json_object_get(json, "outputs")))
        return VR_OK;
    va_localize_task_free(out);
    return vr_fail(VR_ERROR_FORMAT, "%s: malformed", path);
}

static vr_status read_definition(json_t **out, const char *path)
{
    json_error_t error;
    json_t *json = json_load_file(path, 0, &error);
    const char *format = json_string_value(json_object_get(json, "format"));
    const json_int_t version = json_integer_value(json_object_get(json, "version"));
    vr_status status = VR_OK;
    if (!format || strcmp(format, FORMAT) != 0)
        status = vr_fail(VR_ERROR_FORMAT, "%s: does not define a search: %s", path, json ? "no format" : error.text);
    else if (version != VERSION)
        status = vr_fail(VR_ERROR_VERSION, "%s: of version %lld, this program knows version %d; use another folder",
                         path, (long long)version, VERSION);
    if (status == VR_OK)
        *out = json;
    else
        json_decref(json);
    return status;
}

static vr_status differs(const char *folder, const char *key, const json_t *there, const json_t *here)
{
    char *a = json_dumps(there, JSON_COMPACT | JSON_ENCODE_ANY), *b = json_dumps(here, JSON_COMPACT | JSON_ENCODE_ANY);
    vr_fail(VR_ERROR_ARGUMENT, "%s: holds another search: its %s is %.300s, here it is %.300s; name another folder",
            folder, key, a ? a : "nothing", b ? b : "nothing");
    free(a);
    free(b);
    return VR_ERROR_ARGUMENT;
}

static vr_status compare_keys(const char *folder, const json_t *there, const json_t *here, const char *const *keys)
{
    for (; *keys; keys++)
        if (!json_equal(json_object_get(there, *keys), json_object_get(here, *keys)))
            return differs(folder, *keys, json_object_get(there, *keys), json_object_get(here, *keys));
    return VR_OK;
}

static vr_status compare_files(const char *folder, const json_t *there, const json_t *here)
{
    const char *name;
    json_t *value, *files = json_object_get(here, "files");
    json_object_foreach (files, name, value)
        if (!json_equal(json_object_get(json_object_get(there, "files"), name), value))
            return vr_fail(VR_ERROR_ARGUMENT,
                           "%s: '%s' has changed since this search began; remove the folder, or name another", folder,
                           name);
    return VR_OK;
}

/* Whether the folder is of the task; takes over what the search began with. */
static vr_status agree(va_localize_task *task, const json_t *there, const char *folder)
{
    static const char *const ours[] = {"outputs", "check", "type", "floor", NULL};
    static const char *const programs[] = {"command", "directory", "seed", "rounding", "environment", "timeout", NULL};
    json_t *here = task_to_json(task), *before = json_object_get(there, "program");
    if (!here)
        return no_memory();
    vr_status status = compare_keys(folder, before, json_object_get(here, "program"), programs);
    if (status == VR_OK)
        status = compare_keys(folder, there, here, ours);
    if (status == VR_OK)
        status = compare_files(folder, there, here);
    task->program.threads = (uint32_t)json_integer_value(json_object_get(before, "threads"));
    json_decref(here);
    return status;
}

/* Aside, then renamed. */
static vr_status write_definition(const va_localize_task *task, const char *path)
{
    va_output out;
    json_t *json = task_to_json(task);
    vr_status status = json ? va_output_open(&out, path) : no_memory();
    if (status != VR_OK) {
        json_decref(json);
        return status;
    }
    va_print_json(out.stream, json);
    return va_output_close(&out, true);
}

static vr_status define(va_localize_task *task, const char *folder, const char *path)
{
    json_t *there = NULL;
    const bool is_given = task->program.command != NULL;
    if (access(path, F_OK) != 0)
        return is_given ? write_definition(task, path)
                        : vr_fail(VR_ERROR_IO, "%s: no search was begun there (no " DEFINITION ")", folder);
    vr_status status = read_definition(&there, path);
    if (status == VR_OK && !is_given)
        status = task_from_json(task, there, path);
    if (status == VR_OK)
        status = agree(task, there, folder);
    json_decref(there);
    return status;
}

/* ---- the folder ---- */

/* A folder of something else stays as it is. */
static vr_status check_ours(const char *path)
{
    DIR *folder = opendir(path);
    bool is_ours = false, has_others = false;
    if (!folder)
        return vr_fail_errno(errno, "%s: cannot be opened", path);
    for (struct dirent *entry; (entry = readdir(folder));) {
        is_ours = is_ours || strcmp(entry->d_name, DEFINITION) == 0;
        has_others = has_others || (*entry->d_name != '.' && strcmp(entry->d_name, SCRATCH ".scratch") != 0 &&
                                    !strstr(entry->d_name, ".part"));
    }
    closedir(folder);
    if (is_ours || !has_others)
        return VR_OK;
    return vr_fail(VR_ERROR_ARGUMENT, "%s: holds other things than a search (no " DEFINITION "); name another folder",
                   path);
}

static vr_status make(va_localize_folder *folder, const char *path, bool may_make)
{
    if (may_make && mkdir(path, 0777) != 0 && errno != EEXIST)
        return vr_fail_errno(errno, "%s: cannot be made", path);
    folder->path = realpath(path, NULL);
    if (!folder->path)
        return vr_fail_errno(errno, "%s", path);
    if (strstr(folder->path, "%p") || strstr(folder->path, "%r"))
        return vr_fail(VR_ERROR_ARGUMENT, "%s: programs cannot write below a path with '%%p' or '%%r'", folder->path);
    return check_ours(folder->path);
}

static vr_status read_counts(va_localize_folder *folder)
{
    char *counts = va_localize_path(folder, COUNTS);
    vr_status status = counts ? va_counted_add(&folder->counted, counts) : no_memory();
    free(counts);
    return status == VR_OK ? va_counted_finish(&folder->counted) : status;
}

vr_status va_localize_folder_open(va_localize_folder *out, const char *path, va_localize_task *task)
{
    *out = (va_localize_folder){.scratch = {NULL, -1}, .journal = {.fd = -1}};
    vr_status status = make(out, path, task->program.command != NULL);
    char *scratch = status == VR_OK ? va_localize_path(out, SCRATCH) : NULL;
    char *definition = status == VR_OK ? va_localize_path(out, DEFINITION) : NULL;
    char *journal = status == VR_OK ? va_localize_path(out, JOURNAL) : NULL;
    if (status == VR_OK && (!scratch || !definition || !journal))
        status = no_memory();
    if (status == VR_OK)
        status = va_scratch_open(&out->scratch, scratch);
    if (status == VR_OK)
        status = define(task, path, definition);
    if (status == VR_OK)
        status = va_journal_open(&out->journal, journal);
    if (status == VR_OK && out->journal.reference.done)
        status = read_counts(out);
    free(scratch);
    free(definition);
    free(journal);
    if (status != VR_OK)
        va_localize_folder_close(out);
    return status;
}

void va_localize_folder_close(va_localize_folder *folder)
{
    va_scratch_close(&folder->scratch);
    va_journal_close(&folder->journal);
    va_counted_free(&folder->counted);
    free(folder->path);
    *folder = (va_localize_folder){0};
}

static vr_status write_counts(const va_localize_folder *folder)
{
    va_output out;
    char *counts = va_localize_path(folder, COUNTS);
    vr_status status = counts ? va_output_open(&out, counts) : no_memory();
    if (status == VR_OK) {
        va_counted_write(out.stream, &folder->counted);
        status = va_output_close(&out, true);
    }
    free(counts);
    return status;
}

vr_status va_localize_folder_settle(va_localize_folder *folder, const char *reference_folder,
                                    const va_reference *reference)
{
    char *kept = va_localize_path(folder, REFERENCE);
    vr_status status = kept ? write_counts(folder) : no_memory();
    if (status == VR_OK) {
        va_scratch_remove(kept); /* of a search that was interrupted before its end was noted */
        if (rename(reference_folder, kept) != 0)
            status = vr_fail_errno(errno, "%s: cannot be made", kept);
    }
    free(kept);
    return status == VR_OK ? va_journal_set_reference(&folder->journal, reference) : status;
}
