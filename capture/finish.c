/* The end of a run: its journal becomes an HDF5 file, and that, where asked, a member of an archive. */
#include "run_impl.h"

#include <formats/fail.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <varanalyze/archive.h>

/* The failure that is at hand, with where the trace is now. */
static vr_status kept(vr_status status, const char *where)
{
    char *why = strdup(vr_error());
    vr_fail(status, "%s; what was recorded stays in %s", why ? why : "the trace could not be completed", where);
    free(why);
    return status;
}

/* Folds the journal into the HDF5 file. */
static vr_status fold(const vr_run *run)
{
    vr_trace *trace;
    vr_status status = vr_trace_open(&trace, run->journal);
    if (status == VR_OK) {
        status = vr_trace_write(trace, run->trace);
        vr_trace_close(trace);
    }
    if (status != VR_OK)
        return kept(status, run->journal);
    unlink(run->journal);
    return VR_OK;
}

static vr_status move_to_archive(vr_run *run)
{
    const vr_addition file = {run->trace, run->member};
    char *added = NULL, *name = NULL;
    const vr_status status = vr_archive_append(run->archive, &file, 1, VR_TAKEN_NUMBER, false, &added, NULL);
    if (status != VR_OK)
        return kept(status, run->trace);
    unlink(run->trace);
    if (asprintf(&name, "%s:%s", run->archive, added) >= 0) {
        free(run->name);
        run->name = name;
    }
    free(added);
    return VR_OK;
}

vr_status vr_trace_finish(vr_run *run)
{
    const uint64_t end = vr_clock() - run->start;
    if (vr_run_is_forked(run))
        return vr_run_incomplete(run);
    vr_host_tell_memory(run);
    vr_run_put(run, VR_FRAME_END, &end, sizeof end, NULL, 0);
    vr_queue_drain(run->queue);
    const vr_signal_hold hold = vr_signal_hold_begin();
    vr_status status = fold(run); /* with what the writer could not move to the log and is still in the ring */
    if (status == VR_OK && run->archive)
        status = move_to_archive(run);
    vr_signal_hold_end(hold);
    if (status != VR_OK && run->archive) { /* there the trace is, or its journal */
        free(run->name);
        run->name = strdup(run->trace);
    }
    return status == VR_OK && run->dropped ? vr_run_incomplete(run) : status;
}
