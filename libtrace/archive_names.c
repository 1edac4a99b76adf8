#include "archive_names.h"

#include "fail.h"
#include "journal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <xxhash.h>

#define MANY      1000 /* names to look up that are worth reading all of the archive's */
#define NAME_MOST 4096

/* The names so far, and where to find them: slots[hash] is a name's number + 1, 0: free. */
typedef struct chosen {
    vr_archive *archive;
    char **names;
    uint64_t count, mask;
    uint64_t *slots;
    const char *asked; /* the last name that was taken, and the number that was free then */
    uint64_t number;
} chosen;

bool vr_name_is_inside(const char *name)
{
    const char *at = vr_name_key(name);
    if (*at == 0)
        return false;
    for (;;) {
        const size_t length = strcspn(at, "/");
        if (length == 0 || (length == 1 && at[0] == '.') || (length == 2 && at[0] == '.' && at[1] == '.'))
            return false;
        if (at[length] == 0)
            return true;
        at += length + 1;
    }
}

static vr_status check_name(const char *name)
{
    const size_t length = strlen(name);
    if (!vr_name_is_text(name, length))
        return vr_fail(VR_ERROR_ARGUMENT,
                       "\"%.200s\" cannot be a name in an archive: it has to be UTF-8 without control characters",
                       name);
    if (length >= NAME_MOST)
        return vr_fail(VR_ERROR_ARGUMENT, "\"%.200s...\" cannot be a name in an archive: it has more than %d bytes",
                       name, NAME_MOST - 1);
    if (!vr_name_is_inside(name))
        return vr_fail(
            VR_ERROR_ARGUMENT,
            "\"%.200s\" cannot be a name in an archive: it has to be relative, without \"..\" or empty parts", name);
    if (strncmp(vr_name_key(name), ".varanalyze/", 12) == 0)
        return vr_fail(VR_ERROR_ARGUMENT, "\"%.200s\": names in .varanalyze/ are the archive's own", name);
    return VR_OK;
}

/* The slot of a name, or the free one where it belongs. */
static uint64_t *slot_of(const chosen *of, const char *name)
{
    uint64_t at = XXH3_64bits(name, strlen(name)) & of->mask;
    while (of->slots[at] && strcmp(of->names[of->slots[at] - 1], name) != 0)
        at = (at + 1) & of->mask;
    return &of->slots[at];
}

static vr_status is_taken(const chosen *of, const char *name, bool *out)
{
    vr_member member;
    *out = *slot_of(of, name) != 0;
    return *out ? VR_OK : vr_archive_look(of->archive, name, &member, out);
}

/* The name with a number before its extension. */
static char *numbered(const char *name, uint64_t number)
{
    char *out;
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name, *dot = strrchr(base, '.');
    const int stem = (int)(dot && dot != base ? (size_t)(dot - name) : strlen(name));
    return asprintf(&out, "%.*s-%" PRIu64 "%s", stem, name, number, name + stem) < 0 ? NULL : out;
}

/* The first number that makes the name a free one. */
static vr_status number(char **out, chosen *of, const char *name)
{
    bool taken = true;
    uint64_t n = of->asked && strcmp(of->asked, name) == 0 ? of->number : 1;
    char *free_name = NULL;
    while (taken) {
        free(free_name);
        free_name = numbered(name, ++n);
        if (!free_name)
            return vr_fail(VR_ERROR_MEMORY, "out of memory");
        const vr_status status = is_taken(of, free_name, &taken);
        if (status != VR_OK) {
            free(free_name);
            return status;
        }
    }
    of->asked = name;
    of->number = n;
    *out = free_name;
    return VR_OK;
}

static vr_status choose(char **out, chosen *of, const char *asked, vr_taken rule)
{
    const char *name = vr_name_key(asked);
    bool taken = false;
    vr_status status = check_name(asked);
    if (status == VR_OK && rule == VR_TAKEN_REPLACE)
        taken = *slot_of(of, name) != 0;
    else if (status == VR_OK)
        status = is_taken(of, name, &taken);
    if (status != VR_OK)
        return status;
    if (taken && rule == VR_TAKEN_NUMBER)
        return number(out, of, name);
    if (taken && rule == VR_TAKEN_REFUSE)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: \"%s\" is there already", of->archive->path, name);
    if (taken)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: \"%s\" is to be added twice", of->archive->path, name);
    *out = strdup(name);
    return *out ? VR_OK : vr_fail(VR_ERROR_MEMORY, "out of memory");
}

static vr_status choose_all(chosen *of, const vr_addition *files, uint64_t count, vr_taken rule)
{
    vr_status status = count > MANY ? vr_archive_load(of->archive) : VR_OK;
    while (status == VR_OK && of->count < count) {
        char *name;
        status = choose(&name, of, files[of->count].name, rule);
        if (status == VR_OK) {
            of->names[of->count++] = name;
            *slot_of(of, name) = of->count; /* the name is in its place: the slot is a free one */
        }
    }
    return status;
}

vr_status vr_names_choose(char ***out, vr_archive *archive, const vr_addition *files, uint64_t count, vr_taken taken)
{
    chosen of = {.archive = archive, .mask = 15};
    while (of.mask / 2 < count)
        of.mask = of.mask * 2 + 1;
    of.slots = calloc(of.mask + 1, sizeof *of.slots);
    of.names = calloc(count + 1, sizeof *of.names);
    vr_status status = of.slots && of.names ? choose_all(&of, files, count, taken)
                                            : vr_fail(VR_ERROR_MEMORY, "%s: out of memory", archive->path);
    free(of.slots);
    if (status != VR_OK) {
        vr_names_free(of.names, of.count);
        return status;
    }
    *out = of.names;
    return VR_OK;
}

void vr_names_free(char **names, uint64_t count)
{
    for (uint64_t i = 0; names && i < count; i++)
        free(names[i]);
    free(names);
}
