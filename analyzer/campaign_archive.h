/* campaign_archive.h - a campaign in its archive: the definition, and what is done of it.
 *
 * A run is done when its record stands in the archive; record, outputs and traces come there in one change, all or
 * none.
 */
#ifndef VA_CAMPAIGN_ARCHIVE_H
#define VA_CAMPAIGN_ARCHIVE_H

#include "campaign.h"
#include "run_scratch.h"

/* Reads the definition; nothing is changed. Fails with VR_ERROR_UNSUPPORTED when the archive is compressed, with
 * VR_ERROR_ARGUMENT when it holds no campaign, with VR_ERROR_FORMAT when that is malformed. */
vr_status va_campaign_read(va_campaign *out, const char *archive);

/* Fills in the runs that are done. */
vr_status va_ledger_read(va_ledger *ledger, const char *archive);

/* Writes the definition: makes the archive, which must not be there; or, not `create`, in place of the one in it. */
vr_status va_campaign_write(const va_campaign *campaign, const char *archive, const va_scratch *scratch, bool create);

/* Puts a run into the archive. `set`: its variables; `cores`: those it ran on, an array, taken over; `replace`: it
 * stands there already. The number of traces goes to the outcome. */
vr_status va_run_store(const va_campaign *campaign, const char *archive, va_task task, va_outcome *outcome,
                       const char *folder, char *const *set, json_t *cores, bool replace);

#endif
