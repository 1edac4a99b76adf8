/* sources.h - the files a command was asked to read: paths, members of archives, globs of either. */
#ifndef VA_SOURCES_H
#define VA_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <varanalyze/source.h>
#include <varanalyze/trace.h>

/* Names for vr_source_open, vr_trace_open. What they need stays open, so that a compressed archive is decompressed once
 * for all of them. Start with zeros. */
typedef struct va_sources {
    char **names;
    uint64_t count;
    vr_archive **archives;
    uint64_t archive_count;
} va_sources;

/* Adds what one operand names; see vr_source_names, which says how it fails. Nothing is added then. */
vr_status va_sources_add(va_sources *sources, const char *operand);

/* All that `count` operands name, in their order; fails with the first that does, and leaves nothing to be closed. */
vr_status va_sources_open(va_sources *sources, char *const *operands, int count);
void va_sources_close(va_sources *sources);

/* Each run in a file of its own takes a descriptor: allows as many as the system lets a process have. */
void va_allow_files(void);

/* Whether `open` open runs may be all that the limit allows. */
bool va_files_are_short(size_t open);

/* vr_trace_open, beside `open` other runs: when that may be why it fails, the message says what to do. */
vr_status va_trace_open(vr_trace **out, const char *name, size_t open);

/* A bar on standard error for what takes long, if that is a terminal: drawn after half a second, gone when done ==
 * total. For vr_archive_options.progress; `context` is not used. */
void va_progress(void *context, const char *name, uint64_t done, uint64_t total);

/* Takes away a bar that stands there unfinished. */
void va_progress_clear(void);

/* Options with that progress. */
vr_archive_options va_archive_options(void);

#endif
