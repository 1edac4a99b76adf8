/* localize_journal.h - the runs of a search that are done: a line of JSON each, appended when a run has been judged.
 *
 * A line that is cut off, as by a crash, is dropped when the journal is opened again: its run was not done.
 */
#ifndef VA_LOCALIZE_JOURNAL_H
#define VA_LOCALIZE_JOURNAL_H

#include "localize_product.h"

#include <varanalyze/digest.h>

/* One run of a set of sites. */
typedef struct va_trial {
    vr_digest set; /* va_sites_digest */
    uint32_t sample;
    va_kept kept;
    double seconds;
} va_trial;

/* The run without noise. */
typedef struct va_reference {
    bool done;
    int exit_code;
    double seconds; /* of the slower of two runs without noise */
    bool traces;    /* it left one: it knows VR_REPLICA */
} va_reference;

/* Start with va_journal_open. */
typedef struct va_journal {
    char *path;
    int fd;
    va_reference reference;
    uint64_t runs;    /* that the search has made */
    va_trial *trials; /* in no order, with gaps: seconds < 0 */
    size_t count, room;
} va_journal;

/* Opens or makes a journal. Fails with VR_ERROR_IO, VR_ERROR_FORMAT, VR_ERROR_MEMORY. */
vr_status va_journal_open(va_journal *out, const char *path);
void va_journal_close(va_journal *journal);

/* NULL: that run is not done. */
const va_trial *va_journal_find(const va_journal *journal, vr_digest set, uint32_t sample);

/* Appends a run, of `items` functions or lines; the reference and the run that counts. Fails with VR_ERROR_IO,
 * VR_ERROR_MEMORY. */
vr_status va_journal_add(va_journal *journal, const va_trial *trial, size_t items);
vr_status va_journal_set_reference(va_journal *journal, const va_reference *reference);

#endif
