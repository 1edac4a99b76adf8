#include "archive_list.h"

#include "fail.h"

#include <stdlib.h>

#define NAMES_BYTES 262144

/* Memory for names, which stay where they are. */
struct vr_names {
    vr_names *next;
    size_t used, room;
    char bytes[];
};

typedef int order(const vr_entry *a, const vr_entry *b);

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

const char *vr_name_key(const char *name)
{
    while (name[0] == '.' && name[1] == '/') {
        name += 2;
        while (*name == '/')
            name++;
    }
    return name;
}

int vr_entry_compare(const vr_entry *a, const vr_entry *b)
{
    const int names = strcmp(vr_name_key(a->member.name), vr_name_key(b->member.name));
    return names ? names : (a->start > b->start) - (a->start < b->start);
}

static int compare_starts(const vr_entry *a, const vr_entry *b)
{
    return (a->start > b->start) - (a->start < b->start);
}

static const char *keep_name(vr_list *list, const char *name)
{
    const size_t bytes = strlen(name) + 1;
    vr_names *names = list->names;
    if (!names || names->room - names->used < bytes) {
        const size_t room = bytes > NAMES_BYTES ? bytes : NAMES_BYTES;
        names = malloc(sizeof *names + room);
        if (!names)
            return NULL;
        names->next = list->names;
        names->used = 0;
        names->room = room;
        list->names = names;
    }
    char *kept = names->bytes + names->used;
    memcpy(kept, name, bytes);
    names->used += bytes;
    return kept;
}

vr_status vr_list_add(vr_list *list, const vr_entry *entry)
{
    if (list->count == list->room) {
        const uint64_t room = list->room ? list->room * 2 : 64;
        vr_entry *grown = realloc(list->entries, room * sizeof *grown);
        if (!grown)
            return no_memory();
        list->entries = grown;
        list->room = room;
    }
    const char *name = keep_name(list, entry->member.name);
    if (!name)
        return no_memory();
    vr_entry *added = &list->entries[list->count++];
    *added = *entry;
    added->member.name = name;
    added->hidden = false;
    return VR_OK;
}

/* Where the stretch that begins at `from` stops being in order. */
static uint64_t run_end(vr_entry *const *items, uint64_t from, uint64_t count, order *compare)
{
    uint64_t end = from + 1;
    while (end < count && compare(items[end - 1], items[end]) <= 0)
        end++;
    return end < count ? end : count;
}

static void merge(vr_entry **out, vr_entry *const *a, vr_entry *const *a_end, vr_entry *const *b,
                  vr_entry *const *b_end, order *compare)
{
    while (a < a_end && b < b_end)
        *out++ = compare(*a, *b) <= 0 ? *a++ : *b++;
    while (a < a_end)
        *out++ = *a++;
    while (b < b_end)
        *out++ = *b++;
}

/* Natural merge sort: neighbouring runs are merged until one is left. */
static vr_status sort(vr_entry **items, uint64_t count, order *compare)
{
    if (count == 0 || run_end(items, 0, count, compare) == count)
        return VR_OK;
    vr_entry **scratch = malloc(count * sizeof(vr_entry *)), **from = items, **to = scratch;
    if (!scratch)
        return no_memory();
    for (uint64_t runs = 2; runs > 1;) {
        runs = 0;
        for (uint64_t a = 0; a < count; runs++) {
            const uint64_t b = run_end(from, a, count, compare);
            const uint64_t end = b < count ? run_end(from, b, count, compare) : count;
            merge(to + a, from + a, from + b, from + b, from + end, compare);
            a = end;
        }
        vr_entry **swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, count * sizeof(vr_entry *));
    free(scratch);
    return VR_OK;
}

static vr_status sorted(vr_entry ***out, const vr_list *list, order *compare)
{
    vr_entry **items = malloc((list->count + 1) * sizeof(vr_entry *));
    if (!items)
        return no_memory();
    for (uint64_t i = 0; i < list->count; i++)
        items[i] = &list->entries[i];
    const vr_status status = sort(items, list->count, compare);
    if (status != VR_OK) {
        free(items);
        return status;
    }
    *out = items;
    return VR_OK;
}

vr_status vr_list_sort(vr_list *list)
{
    const vr_status status = sorted(&list->by_name, list, vr_entry_compare);
    if (status != VR_OK)
        return status;
    for (uint64_t i = 0; i + 1 < list->count; i++) {
        const vr_entry *next = list->by_name[i + 1];
        list->by_name[i]->hidden =
            strcmp(vr_name_key(list->by_name[i]->member.name), vr_name_key(next->member.name)) == 0;
    }
    return VR_OK;
}

vr_status vr_list_in_order(const vr_list *list, vr_entry ***out)
{
    return sorted(out, list, compare_starts);
}

const vr_entry *vr_list_find(const vr_list *list, const char *name)
{
    const char *key = vr_name_key(name);
    uint64_t low = 0, high = list->count;
    while (low < high) { /* those before `low` are not behind the name, those from `high` on are */
        const uint64_t middle = low + (high - low) / 2;
        if (strcmp(vr_name_key(list->by_name[middle]->member.name), key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || strcmp(vr_name_key(list->by_name[low - 1]->member.name), key) != 0)
        return NULL;
    return list->by_name[low - 1];
}

void vr_list_free(vr_list *list)
{
    while (list->names) {
        vr_names *next = list->names->next;
        free(list->names);
        list->names = next;
    }
    free(list->by_name);
    free(list->entries);
    *list = (vr_list){0};
}
