/* archive_render.h - what 'varanalyze archive' prints: lists of members, and what verifying an archive found. */
#ifndef VA_ARCHIVE_RENDER_H
#define VA_ARCHIVE_RENDER_H

#include "command.h"

#include <stdbool.h>
#include <varanalyze/archive.h>

/* Members of the archive at `path`; `full`: with size, digest and place, in text too. */
typedef struct va_members {
    const char *path;
    const vr_member **members;
    uint64_t count;
    bool full;
} va_members;

void va_members_print(FILE *out, const va_members *list, va_format format);

typedef struct va_problem {
    char *member, *what; /* member "": the archive itself */
} va_problem;

/* What was found wrong with the archive at `path`. */
typedef struct va_verdict {
    const char *path;
    bool unreadable; /* it is no archive, or a damaged one: the only problem says which */
    uint64_t members, bad, unknown;
    va_problem *problems;
    uint64_t problem_count;
} va_verdict;

/* `first`: nothing was printed before it. */
void va_verdict_print(FILE *out, const va_verdict *verdict, va_format format, bool first);

#endif
