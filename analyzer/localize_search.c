#include "localize_search.h"

#include "grow.h"

#include <formats/fail.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define UNLIKELY 0.1 /* that a run is unstable where nothing says so */

/* A set of items, ascending. */
typedef struct set {
    uint32_t *items;
    size_t count;
} set;

typedef struct search {
    const va_oracle *oracle;
    uint32_t sample; /* that is begun with */
    set *stable;     /* what is known to be, of the sets that were asked for */
    size_t stable_count, stable_room;
} search;

static va_verdict no_memory(void)
{
    vr_fail(VR_ERROR_MEMORY, "out of memory");
    return VA_STUCK;
}

static bool copy_set(set *out, const uint32_t *items, size_t count)
{
    *out = (set){malloc((count + 1) * sizeof *items), count};
    if (out->items && count)
        memcpy(out->items, items, count * sizeof *items);
    return out->items != NULL;
}

/* ---- what is known ---- */

static bool is_part(const set *part, const set *whole)
{
    size_t at = 0;
    for (size_t i = 0; i < part->count; i++, at++) {
        while (at < whole->count && whole->items[at] < part->items[i])
            at++;
        if (at == whole->count || whole->items[at] != part->items[i])
            return false;
    }
    return true;
}

/* `itself`: not as a part of a stable set, in which errors may cancel each other. */
static bool is_known_stable(const search *s, set asked, bool itself)
{
    bool known = asked.count == 0;
    for (size_t i = 0; !known && i < s->stable_count; i++) {
        const set *stable = &s->stable[i];
        known = (itself ? asked.count == stable->count : asked.count <= stable->count) && is_part(&asked, stable);
    }
    return known;
}

static va_verdict keep_stable(search *s, set stable)
{
    set *grown = va_one_more(s->stable, s->stable_count, &s->stable_room, sizeof *grown);
    if (!grown)
        return no_memory();
    s->stable = grown;
    if (!copy_set(&s->stable[s->stable_count], stable.items, stable.count))
        return no_memory();
    s->stable_count++;
    return VA_STABLE;
}

/* ---- alternatives ---- */

/* Sets to choose from: the parts of a set, or of each part what is left without it. */
typedef struct choice {
    const set *whole;
    size_t parts;
    bool others;
    uint32_t *memory; /* [whole->count], of the set that was taken last */
} choice;

static set take(const choice *from, size_t i)
{
    const set *whole = from->whole;
    const size_t first = i * whole->count / from->parts, end = (i + 1) * whole->count / from->parts;
    if (!from->others)
        return (set){whole->items + first, end - first};
    memcpy(from->memory, whole->items, first * sizeof *from->memory);
    memcpy(from->memory + first, whole->items + end, (whole->count - end) * sizeof *from->memory);
    return (set){from->memory, whole->count - (end - first)};
}

/* One run of each set that may be unstable, until one is, `*chosen`. `first`: with the seed under which all of them
 * together were, if they were. */
static va_verdict take_turn(search *s, set *chosen, const choice *from, const bool *may, bool first)
{
    va_verdict verdict = VA_STABLE;
    size_t left = 0;
    for (size_t i = 0; i < from->parts; i++)
        left += may[i];
    for (size_t i = 0; i < from->parts && verdict == VA_STABLE; i++) {
        if (!may[i])
            continue;
        const double chance = from->parts > 1 && first ? 0.95 / (double)left-- : UNLIKELY;
        *chosen = take(from, i);
        verdict = s->oracle->ask(s->oracle->context, chosen->items, chosen->count, s->sample, chance);
    }
    return verdict;
}

/* Runs the sets in turns; VA_STABLE: all are. */
static va_verdict choose(search *s, set *chosen, const choice *from)
{
    const uint32_t first = s->sample;
    va_verdict verdict = VA_STABLE;
    bool *may = malloc((from->parts + 1) * sizeof *may);
    if (!may)
        return no_memory();
    for (size_t i = 0; i < from->parts; i++)
        may[i] = !is_known_stable(s, take(from, i), from->parts == 1);
    for (uint32_t n = 0; n < s->oracle->samples && verdict == VA_STABLE; n++) {
        s->sample = va_nth_sample(n, first);
        verdict = take_turn(s, chosen, from, may, n == 0);
    }
    for (size_t i = 0; i < from->parts && verdict == VA_STABLE; i++)
        if (may[i])
            verdict = keep_stable(s, take(from, i));
    if (verdict == VA_STABLE)
        s->sample = first;
    free(may);
    return verdict;
}

/* ---- ddmin ---- */

/* Reduces an unstable set to one of its `parts` parts, or else to all but one of them. VA_STABLE: neither can be. */
static va_verdict reduce(search *s, set *whole, size_t parts, bool others)
{
    set chosen = {0};
    const choice from = {whole, parts, others, malloc((whole->count + 1) * sizeof *whole->items)};
    const va_verdict verdict = from.memory ? choose(s, &chosen, &from) : no_memory();
    if (verdict == VA_UNSTABLE) {
        memmove(whole->items, chosen.items, chosen.count * sizeof *whole->items);
        whole->count = chosen.count;
    }
    free(from.memory);
    return verdict;
}

/* VA_UNSTABLE when `whole`, which is unstable, cannot be reduced further. */
static va_verdict minimize(search *s, set *whole)
{
    size_t parts = 2;
    while (whole->count > 1) {
        va_verdict verdict = reduce(s, whole, parts, false);
        if (verdict == VA_UNSTABLE) {
            parts = 2;
            continue;
        }
        if (verdict == VA_STABLE && parts > 2) { /* of two, the one is all but the other */
            verdict = reduce(s, whole, parts, true);
            if (verdict == VA_UNSTABLE) {
                parts--;
                continue;
            }
        }
        if (verdict != VA_STABLE)
            return verdict;
        if (parts == whole->count)
            break;
        parts = 2 * parts < whole->count ? 2 * parts : whole->count;
    }
    return VA_UNSTABLE;
}

/* ---- rddmin ---- */

static void remove_from(set *whole, const set *part)
{
    size_t kept = 0, at = 0;
    for (size_t i = 0; i < whole->count; i++) {
        while (at < part->count && part->items[at] < whole->items[i])
            at++;
        if (at == part->count || part->items[at] != whole->items[i])
            whole->items[kept++] = whole->items[i];
    }
    whole->count = kept;
}

static va_verdict keep_minimal(va_minimals *out, const set *found, uint32_t sample)
{
    va_minimal *grown = va_one_more(out->sets, out->count, &out->room, sizeof *grown);
    set copy;
    if (!grown)
        return no_memory();
    out->sets = grown;
    if (!copy_set(&copy, found->items, found->count))
        return no_memory();
    out->sets[out->count++] = (va_minimal){copy.items, copy.count, sample};
    return VA_UNSTABLE;
}

static va_verdict find_next(va_minimals *out, search *s, set *rest)
{
    set found;
    if (!copy_set(&found, rest->items, rest->count))
        return no_memory();
    va_verdict verdict = minimize(s, &found);
    out->left = found.count;
    if (verdict == VA_UNSTABLE)
        verdict = keep_minimal(out, &found, s->sample);
    if (verdict == VA_UNSTABLE)
        remove_from(rest, &found);
    free(found.items);
    return verdict;
}

static va_verdict find_all(va_minimals *out, search *s, set *rest)
{
    for (;;) {
        set chosen;
        va_verdict verdict = choose(s, &chosen, &(choice){.whole = rest, .parts = 1});
        out->left = rest->count;
        if (verdict == VA_STABLE)
            return out->count ? VA_UNSTABLE : VA_STABLE;
        if (verdict == VA_UNSTABLE)
            verdict = find_next(out, s, rest);
        if (verdict != VA_UNSTABLE)
            return verdict;
    }
}

va_verdict va_search(va_minimals *out, const va_oracle *oracle, size_t count, uint32_t first)
{
    search s = {.oracle = oracle, .sample = first};
    set rest = {malloc((count + 1) * sizeof *rest.items), count};
    *out = (va_minimals){0};
    for (size_t i = 0; rest.items && i < count; i++)
        rest.items[i] = (uint32_t)i;
    const va_verdict verdict = rest.items ? find_all(out, &s, &rest) : no_memory();
    for (size_t i = 0; i < s.stable_count; i++)
        free(s.stable[i].items);
    free(s.stable);
    free(rest.items);
    return verdict;
}

void va_minimals_free(va_minimals *found)
{
    for (size_t i = 0; i < found->count; i++)
        free(found->sets[i].items);
    free(found->sets);
    *found = (va_minimals){0};
}
