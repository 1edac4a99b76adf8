/* Projections of tensors, and the weights that training leaves. */
#include "run_impl.h"

#include <formats/fail.h>
#include <stdio.h>
#include <stdlib.h>
#include <varanalyze/projection.h>

static vr_status record_numbers(vr_run *run, const vr_site_key *of, const double *numbers, int64_t count)
{
    const vr_tensor tensor = VR_TENSOR(VR_F64, numbers, count);
    char *name = NULL, *input = NULL;
    vr_status status = VR_ERROR_MEMORY;
    if (asprintf(&name, VR_PROJECTION_PREFIX "%s", of->name) < 0)
        name = NULL;
    if (asprintf(&input, "%s:%s/%s", vr_phase_name(of->phase), of->layer, of->name) < 0)
        input = NULL;
    if (name && input) {
        const vr_site_key key = {of->phase, of->layer, name, &tensor, (const char *const *)&input, 1};
        vr_thread_set_mark(run, vr_clock()); /* it is no operation of the program's */
        status = vr_record_tensor(run, &key, &(vr_manner){.least = VR_LEVEL_FULL, .unfiltered = true});
    } else
        vr_fail(status, "record: out of memory");
    free(name);
    free(input);
    return status;
}

vr_status vr_record_projection(vr_run *run, const vr_site_key *key)
{
    const int64_t count = vr_projection_count(vr_tensor_count(key->tensor), run->projection);
    double *numbers = malloc((size_t)(count + 1) * sizeof *numbers);
    if (!numbers)
        return vr_fail(VR_ERROR_MEMORY, "record: out of memory");
    vr_status status = vr_project(numbers, key->tensor, run->projection, vr_projection_key(key->layer, key->name));
    if (status == VR_OK)
        status = record_numbers(run, key, numbers, count);
    free(numbers);
    return status;
}

/* Its input is what was last recorded of it, so that a weight that differs differs because it did before. */
vr_status vr_record_final(vr_run *run, const char *layer, const char *name, vr_tensor tensor)
{
    if (!run || !run->queue || !layer || !name)
        return run && run->queue ? vr_fail(VR_ERROR_ARGUMENT, "record: a weight needs a layer and a name") : VR_OK;
    const vr_filter_rule rule = vr_filter_choose(&run->final, VR_WEIGHT, layer);
    const vr_filter_rule usual = vr_filter_choose(&run->filter, VR_WEIGHT, layer);
    if (rule.level == VR_LEVEL_OFF)
        return VR_OK;
    char *input;
    if (asprintf(&input, "weight:%s/%s", layer, name) < 0)
        return vr_fail(VR_ERROR_MEMORY, "record: out of memory");
    const vr_site_key key = {VR_WEIGHT, layer, name, &tensor, (const char *const *)&input, 1};
    const vr_manner manner = {.least = rule.level > usual.level ? rule.level : usual.level,
                              .unfiltered = true,
                              .projection = rule.projection};
    const vr_status status = vr_record_tensor(run, &key, &manner);
    free(input);
    return status;
}
