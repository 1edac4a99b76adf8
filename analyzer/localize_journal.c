#include "localize_journal.h"

#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <formats/fail.h>
#include <formats/io.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define REFERENCE_RUNS 2 /* without noise, and the one that counts */

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

/* ---- the table ---- */

/* Where a run is, or would be. */
static size_t place_of(const va_journal *journal, vr_digest set, uint32_t sample)
{
    size_t at = (size_t)(set.lo + sample * 0x9e3779b97f4a7c15u) & (journal->room - 1);
    for (;; at = (at + 1) & (journal->room - 1)) {
        const va_trial *there = &journal->trials[at];
        if (there->seconds < 0 || (vr_digest_equal(there->set, set) && there->sample == sample))
            return at;
    }
}

/* Doubles the room, a power of two. */
static vr_status grow(va_journal *journal)
{
    const size_t before = journal->room;
    va_trial *trials = journal->trials;
    va_trial *grown = calloc(before ? 2 * before : 64, sizeof *grown);
    if (!grown)
        return no_memory();
    journal->trials = grown;
    journal->room = before ? 2 * before : 64;
    for (size_t i = 0; i < journal->room; i++)
        grown[i].seconds = -1;
    for (size_t i = 0; i < before; i++)
        if (trials[i].seconds >= 0)
            grown[place_of(journal, trials[i].set, trials[i].sample)] = trials[i];
    free(trials);
    return VR_OK;
}

const va_trial *va_journal_find(const va_journal *journal, vr_digest set, uint32_t sample)
{
    const va_trial *there = journal->room ? &journal->trials[place_of(journal, set, sample)] : NULL;
    return there && there->seconds >= 0 ? there : NULL;
}

static vr_status keep(va_journal *journal, const va_trial *trial)
{
    const vr_status status = 2 * (journal->count + 1) > journal->room ? grow(journal) : VR_OK;
    if (status != VR_OK)
        return status;
    va_trial *place = &journal->trials[place_of(journal, trial->set, trial->sample)];
    journal->count += place->seconds < 0;
    *place = *trial;
    return VR_OK;
}

/* ---- lines ---- */

static bool read_digest(vr_digest *out, const char *hex)
{
    return strlen(hex) == 32 && strspn(hex, "0123456789abcdef") == 32 &&
           sscanf(hex, "%16lx%16lx", &out->hi, &out->lo) == 2;
}

static bool read_trial(va_journal *journal, json_t *line)
{
    va_trial trial = {0};
    const char *set, *why;
    json_int_t sample, digits;
    if (json_unpack(line, "{s:s, s:I, s:F, s:I, s:F, s:s, s:F}", "set", &set, "sample", &sample, "bits",
                    &trial.kept.bits, "digits", &digits, "share", &trial.kept.share, "why", &why, "seconds",
                    &trial.seconds) != 0 ||
        !read_digest(&trial.set, set) || trial.seconds < 0 || sample < 0 || sample > UINT32_MAX)
        return false;
    trial.sample = (uint32_t)sample;
    trial.kept.digits = (int)digits;
    snprintf(trial.kept.why, sizeof trial.kept.why, "%s", why);
    journal->runs++;
    return keep(journal, &trial) == VR_OK;
}

static bool read_reference(va_journal *journal, json_t *line)
{
    va_reference *reference = &journal->reference;
    int traces;
    if (json_unpack(line, "{s:i, s:F, s:b}", "exit_status", &reference->exit_code, "seconds", &reference->seconds,
                    "traces", &traces) != 0)
        return false;
    reference->done = true;
    reference->traces = traces;
    journal->runs += REFERENCE_RUNS;
    return true;
}

static vr_status read_lines(va_journal *journal, char *text)
{
    for (char *line; (line = strsep(&text, "\n")) && text;) {
        json_t *json = json_loads(line, 0, NULL);
        const bool fine =
            json && (json_object_get(json, "set") ? read_trial(journal, json) : read_reference(journal, json));
        json_decref(json);
        if (!fine)
            return vr_fail(VR_ERROR_FORMAT, "%s: malformed: '%.60s'; remove the folder to begin anew", journal->path,
                           line);
    }
    return VR_OK;
}

/* Without a last line that is cut off. */
static vr_status read_journal(va_journal *journal)
{
    struct stat file;
    if (fstat(journal->fd, &file) != 0)
        return vr_fail_errno(errno, "%s", journal->path);
    char *text = malloc((size_t)file.st_size + 1);
    if (!text)
        return no_memory();
    ssize_t size = vr_read_whole(journal->fd, text, (size_t)file.st_size, 0);
    vr_status status = size < 0 ? vr_fail_errno(errno, "%s: cannot read", journal->path) : VR_OK;
    while (size > 0 && text[size - 1] != '\n')
        size--;
    text[size > 0 ? size : 0] = 0;
    if (status == VR_OK && ftruncate(journal->fd, size) != 0)
        status = vr_fail_errno(errno, "%s: cannot write", journal->path);
    if (status == VR_OK)
        status = read_lines(journal, text);
    free(text);
    return status;
}

vr_status va_journal_open(va_journal *out, const char *path)
{
    *out = (va_journal){.path = strdup(path), .fd = -1};
    vr_status status = out->path ? grow(out) : no_memory();
    if (status == VR_OK && (out->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) < 0)
        status = vr_fail_errno(errno, "%s: cannot open", path);
    if (status == VR_OK)
        status = read_journal(out);
    if (status != VR_OK)
        va_journal_close(out);
    return status;
}

void va_journal_close(va_journal *journal)
{
    if (journal->path && journal->fd >= 0)
        close(journal->fd);
    free(journal->trials);
    free(journal->path);
    *journal = (va_journal){.fd = -1};
}

/* A line at once, so that none is mixed with another; takes the JSON over. */
static vr_status append(va_journal *journal, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(17)) : NULL, *line = NULL;
    const int length = text ? asprintf(&line, "%s\n", text) : -1;
    json_decref(json);
    free(text);
    if (length < 0)
        return no_memory();
    const ssize_t written = write(journal->fd, line, (size_t)length);
    free(line);
    if (written == length)
        return VR_OK;
    return vr_fail_errno(written < 0 ? errno : ENOSPC, "%s: cannot write", journal->path);
}

vr_status va_journal_add(va_journal *journal, const va_trial *trial, size_t items)
{
    char hex[33];
    va_trial kept_trial = *trial; /* with the reason as it is written: a search that goes on says the same */
    va_kept *kept = &kept_trial.kept;
    json_t *why = va_json_path(kept->why);
    vr_digest_hex(hex, trial->set);
    snprintf(kept->why, sizeof kept->why, "%s", why ? json_string_value(why) : "");
    const vr_status status = append(journal, json_pack("{s:s, s:I, s:I, s:f, s:I, s:f, s:o, s:f}", "set", hex, "items",
                                                       (json_int_t)items, "sample", (json_int_t)trial->sample, "bits",
                                                       kept->bits, "digits", (json_int_t)kept->digits, "share",
                                                       kept->share, "why", why, "seconds", trial->seconds));
    journal->runs += status == VR_OK;
    return status == VR_OK ? keep(journal, &kept_trial) : status;
}

vr_status va_journal_set_reference(va_journal *journal, const va_reference *reference)
{
    const vr_status status = append(journal, json_pack("{s:i, s:f, s:b}", "exit_status", reference->exit_code,
                                                       "seconds", reference->seconds, "traces", reference->traces));
    if (status != VR_OK)
        return status;
    journal->reference = *reference;
    journal->reference.done = true;
    journal->runs += REFERENCE_RUNS;
    return VR_OK;
}
