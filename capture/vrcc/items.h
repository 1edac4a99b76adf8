/* items.h - lists of what is chosen in a program, as users write them (VR_ROUNDING_ONLY, --vr-only): for vrcc, and for
 * the programs that it compiles.
 *
 *     FUNCTION  FILE  FILE:FUNCTION  FILE:LINE  FILE:FIRST-LAST
 *
 * separated by commas; or @PATH, a file that has one a line ('#' begins a comment's line). FUNCTION and FILE are globs
 * as fnmatch(3) has them; a backslash takes a character, and a comma or a colon, for itself. An item without a colon is
 * tried as both. The first colon that is no part of "::" separates. FUNCTION is held against the symbol and the
 * qualified name of C++, with and without its template's arguments; FILE against the path as it was compiled and its
 * last component, or, with "./" before it, against that path alone. A name that is written as it is matches even where
 * it would not as a glob (operator[]).
 */
#ifndef VRCC_ITEMS_H
#define VRCC_ITEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A function of the source, and the file that it stands in. */
typedef struct vrcc_source {
    const char *symbol, *name, *file; /* name: qualified, in C++; NULL where it is the symbol */
} vrcc_source;

typedef struct vrcc_item {
    char *text;           /* as written */
    char *file;           /* NULL: `function` may be either */
    char *function;       /* NULL: lines are meant */
    uint32_t first, last; /* lines */
    bool is_matched;      /* something was */
} vrcc_item;

typedef struct vrcc_items {
    vrcc_item *list;
    size_t count;
} vrcc_items;

/* Reads a list. NULL, or what is wrong with it, in static storage; then `out` is empty. */
const char *vrcc_items_read(vrcc_items *out, const char *text);

/* Whether one of the items means this line of this function; notes in all that do that they are matched. May be called
 * by several threads at a time. */
bool vrcc_items_match(vrcc_items *items, const vrcc_source *source, uint32_t line);

void vrcc_items_free(vrcc_items *items);

#endif
