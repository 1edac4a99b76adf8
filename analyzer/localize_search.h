/* localize_search.h - which of many items, taken together, make a result unstable: delta debugging.
 *
 * Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE TSE 28(2), 2002: ddmin finds a set
 * that is unstable and of which no item can be left out. rddmin (Verrou) finds such a set, takes it away and begins
 * anew with the rest, until that is stable: so independent causes are all found.
 *
 * A set is unstable once one run of it is; it is taken for stable after `samples` runs. Three things save runs:
 *  - sets that are alternatives of each other are run in turns, and the first that is unstable is gone on with: where
 *    one half of an unstable set shows nothing in its first run, the other half is tried before the second one;
 *  - a run begins with the seed under which the larger set was unstable;
 *  - what is part of a stable set counts as stable.
 *
 * The search knows no programs. It asks for one run after the other, and gives up as soon as the answer is not known
 * yet: whoever called it makes the run and searches again from the start. So a search that was interrupted, and one
 * that guesses what will be asked next, need nothing of their own; and which sets are found does not depend on how many
 * runs are made at once.
 */
#ifndef VA_LOCALIZE_SEARCH_H
#define VA_LOCALIZE_SEARCH_H

#include <stddef.h>
#include <stdint.h>

typedef enum va_verdict {
    VA_STABLE,
    VA_UNSTABLE,
    VA_UNKNOWN, /* a run is missing */
    VA_STUCK,   /* vr_error() has why */
} va_verdict;

typedef struct va_oracle {
    /* Run number `sample` (from 0) of the set, whose items ascend. `chance`: that it is unstable, as far as the search
     * can tell: for guesses what will be asked next. */
    va_verdict (*ask)(void *context, const uint32_t *items, size_t count, uint32_t sample, double chance);
    void *context;
    uint32_t samples; /* runs of a set that is taken for stable; at least 1 */
} va_oracle;

/* An unstable set of which, as far as the runs show, no item can be left out. */
typedef struct va_minimal {
    uint32_t *items; /* ascending */
    size_t count;
    uint32_t sample; /* a run in which it was unstable */
} va_minimal;

/* Start with zeros. */
typedef struct va_minimals {
    va_minimal *sets; /* as they were found */
    size_t count, room;
    size_t left; /* items that were still to be searched, of VA_UNKNOWN: for a display */
} va_minimals;

/* Searches items 0 to count - 1, those that are likely first, beginning with run `first`: VA_STABLE, all together are;
 * VA_UNSTABLE, `out` has all minimal sets and what is left is stable; else what stopped it, and `out` is what was found
 * so far. */
va_verdict va_search(va_minimals *out, const va_oracle *oracle, size_t count, uint32_t first);
void va_minimals_free(va_minimals *found);

/* The n-th of the runs, from 0, where run `first` is begun with: that, then the others in their order. */
static inline uint32_t va_nth_sample(uint32_t n, uint32_t first)
{
    return n == 0 ? first : n <= first ? n - 1 : n;
}

#endif
