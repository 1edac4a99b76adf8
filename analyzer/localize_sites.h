/* localize_sites.h - what a program executes, as it counts itself: sites (a line of a source function), and functions.
 *
 * A program compiled by vrcc that is run with VR_ROUNDING_COUNT=PATH leaves a table there, fields between tabs: file,
 * line, function, then how often operations of each kind were executed (docs/vrcc.md).
 */
#ifndef VA_LOCALIZE_SITES_H
#define VA_LOCALIZE_SITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <varanalyze/digest.h>

typedef struct va_counted_site {
    char *file, *function;
    uint64_t line;
    uint64_t operations;
    uint64_t sums; /* of these: additions, subtractions, fused multiply-adds, which can cancel */
} va_counted_site;

typedef struct va_counted_function {
    const char *file, *name;
    size_t first, count; /* sites */
    uint64_t operations, sums;
    bool has_namesake; /* `file` is a bare name, which another file has in its folder */
} va_counted_function;

/* Start with zeros. */
typedef struct va_counted {
    va_counted_site *sites; /* by file, function, line */
    size_t site_count, site_room;
    va_counted_function *functions; /* those with the most sums first */
    size_t function_count;
} va_counted;

/* Adds the rows of a table. Fails with VR_ERROR_FORMAT, VR_ERROR_IO, VR_ERROR_MEMORY. */
vr_status va_counted_add(va_counted *counted, const char *path);

/* After the last table: adds up rows of the same site, as of several processes, and finds the functions. */
vr_status va_counted_finish(va_counted *counted);

/* Adds the sites of another run that this one has not executed; both are finished, and the other one is empty then. */
vr_status va_counted_join(va_counted *counted, va_counted *other);
void va_counted_free(va_counted *counted);

/* Writes a table that va_counted_add reads. */
void va_counted_write(FILE *out, const va_counted *counted);

/* A set of sites: bit i of word i / 64. */
size_t va_sites_words(const va_counted *counted);
void va_sites_add(uint64_t *sites, size_t first, size_t count);
bool va_sites_have(const uint64_t *sites, size_t site);

/* What tells a set from any other. */
vr_digest va_sites_digest(const va_counted *counted, const uint64_t *sites);

/* Writes a set as items of VR_ROUNDING_ONLY=@FILE, one a line: a function all of whose sites are in it as
 * FILE:FUNCTION, else each line as FILE:LINE. An empty set becomes an item that nothing matches. */
void va_sites_write(FILE *out, const va_counted *counted, const uint64_t *sites);

/* Writes the item of a function, or of one of its lines, unless that is 0. */
void va_site_item(FILE *out, const va_counted_function *function, uint64_t line);

#endif
