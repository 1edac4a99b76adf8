#include "sites.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static uint64_t hash_text(const char *text, uint64_t seed)
{
    return XXH3_64bits_withSeed(text, strlen(text), seed);
}

static uint64_t hash_key(const vr_site_key *key)
{
    const vr_tensor *tensor = key->tensor;
    uint64_t hash = hash_text(key->layer, (uint64_t)key->phase << 16 | (uint64_t)tensor->dtype << 8);
    hash = hash_text(key->name, hash);
    for (size_t i = 0; i < key->input_count; i++)
        hash = hash_text(key->inputs[i], hash);
    return XXH3_64bits_withSeed(tensor->shape, (size_t)tensor->rank * sizeof *tensor->shape, hash);
}

static bool same_site(const vr_site_entry *site, const vr_site_key *key)
{
    const vr_tensor *tensor = key->tensor;
    if (site->phase != key->phase || site->dtype != tensor->dtype || site->rank != tensor->rank ||
        site->input_count != key->input_count || strcmp(site->layer, key->layer) != 0 ||
        strcmp(site->name, key->name) != 0)
        return false;
    for (int i = 0; i < site->rank; i++)
        if (site->shape[i] != tensor->shape[i])
            return false;
    for (size_t i = 0; i < site->input_count; i++)
        if (strcmp(site->inputs[i], key->inputs[i]) != 0)
            return false;
    return true;
}

static void free_site(vr_site_entry *site)
{
    if (!site)
        return;
    for (size_t i = 0; i < site->input_count; i++)
        free(site->inputs[i]);
    free(site->inputs);
    free(site->layer);
    free(site->name);
    free(site);
}

static vr_site_entry *new_site(const vr_site_key *key)
{
    vr_site_entry *site = calloc(1, sizeof *site);
    if (!site)
        return NULL;
    *site = (vr_site_entry){.phase = key->phase,
                            .layer = strdup(key->layer),
                            .name = strdup(key->name),
                            .inputs = calloc(key->input_count + 1, sizeof *site->inputs),
                            .dtype = key->tensor->dtype,
                            .rank = key->tensor->rank,
                            .id = VR_SITE_UNTOLD};
    memcpy(site->shape, key->tensor->shape, (size_t)site->rank * sizeof *site->shape);
    bool fine = site->layer && site->name && site->inputs;
    for (; fine && site->input_count < key->input_count; site->input_count++)
        fine = (site->inputs[site->input_count] = strdup(key->inputs[site->input_count])) != NULL;
    if (fine)
        return site;
    free_site(site);
    return NULL;
}

/* Doubles a table that is three quarters full. */
static bool make_room(vr_table *table)
{
    if (table->count * 4 < table->size * 3)
        return true;
    const size_t size = table->size ? table->size * 2 : 256;
    struct vr_slot *slots = calloc(size, sizeof *slots);
    if (!slots)
        return false;
    for (size_t i = 0; i < table->size; i++)
        if (table->slots[i].entry) {
            size_t at = table->slots[i].hash & (size - 1);
            while (slots[at].entry)
                at = (at + 1) & (size - 1);
            slots[at] = table->slots[i];
        }
    free(table->slots);
    table->slots = slots;
    table->size = size;
    return true;
}

vr_site_entry *vr_sites_find(vr_sites *all, const vr_site_key *key)
{
    vr_table *table = &all->sites;
    if (!make_room(table))
        return NULL;
    const uint64_t hash = hash_key(key);
    size_t at = hash & (table->size - 1);
    for (; table->slots[at].entry; at = (at + 1) & (table->size - 1))
        if (table->slots[at].hash == hash && same_site(table->slots[at].entry, key))
            return table->slots[at].entry;
    vr_site_entry *site = new_site(key);
    if (site) {
        table->slots[at] = (struct vr_slot){hash, site};
        table->count++;
    }
    return site;
}

static vr_name_entry *new_name(const char *text, size_t number)
{
    vr_name_entry *name = malloc(sizeof *name);
    char *copy = strdup(text);
    if (name && copy) {
        *name = (vr_name_entry){copy, (uint32_t)number};
        return name;
    }
    free(name);
    free(copy);
    return NULL;
}

vr_name_entry *vr_sites_name(vr_sites *all, const char *text, bool *fresh)
{
    vr_table *table = &all->names;
    *fresh = false;
    if (!make_room(table))
        return NULL;
    const uint64_t hash = hash_text(text, 0);
    size_t at = hash & (table->size - 1);
    for (; table->slots[at].entry; at = (at + 1) & (table->size - 1)) {
        vr_name_entry *name = table->slots[at].entry;
        if (table->slots[at].hash == hash && strcmp(name->text, text) == 0)
            return name;
    }
    vr_name_entry *name = new_name(text, table->count);
    if (name) {
        table->slots[at] = (struct vr_slot){hash, name};
        table->count++;
        *fresh = true;
    }
    return name;
}

void vr_sites_free(vr_sites *all)
{
    for (size_t i = 0; i < all->sites.size; i++)
        free_site(all->sites.slots[i].entry);
    for (size_t i = 0; i < all->names.size; i++) {
        vr_name_entry *name = all->names.slots[i].entry;
        free(name ? name->text : NULL);
        free(name);
    }
    free(all->sites.slots);
    free(all->names.slots);
    *all = (vr_sites){0};
}
