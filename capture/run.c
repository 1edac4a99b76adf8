#include "run_impl.h"

#include <errno.h>
#include <formats/fail.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEFAULT_QUEUE (8 << 20)
#define MAX_NOTE      4096

static _Thread_local struct {
    uint64_t run; /* whose numbers these are */
    uint32_t number;
    uint64_t mark;
} self;

uint64_t vr_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint32_t vr_thread_number(vr_run *run)
{
    if (self.run != run->number) {
        self.run = run->number;
        self.number = run->thread_count++;
        self.mark = 0;
    }
    return self.number;
}

/* An operation begins where this thread's last call ended, but not before the step does. */
uint64_t vr_thread_mark(const vr_run *run)
{
    const uint64_t mark = self.run == run->number ? self.mark : 0;
    return mark > run->step_start ? mark : run->step_start;
}

void vr_thread_set_mark(const vr_run *run, uint64_t clock)
{
    if (self.run == run->number)
        self.mark = clock;
}

vr_status vr_run_incomplete(const vr_run *run)
{
    if (vr_run_is_forked(run))
        return vr_fail(VR_ERROR_INCOMPLETE, "%s: nothing is recorded in a forked child", run->name);
    return vr_fail(VR_ERROR_INCOMPLETE, "%s: incomplete from step %llu on: %s", run->name,
                   (unsigned long long)run->dropped_step, strerrordesc_np(vr_queue_error(run->queue)));
}

bool vr_run_is_forked(const vr_run *run)
{
    return run->queue && vr_queue_is_forked(run->queue);
}

bool vr_run_takes_tensors(const vr_run *run)
{
    return run && (run->queue || run->perturb.count);
}

bool vr_run_put(vr_run *run, uint32_t type, const void *head, size_t head_size, const void *body, size_t body_size)
{
    if (run->dropped)
        return false;
    if (vr_queue_put(run->queue, type, head, head_size, body, body_size))
        return true;
    run->dropped = true;
    run->dropped_step = run->step;
    vr_queue_set_incomplete(run->queue, run->step);
    return false;
}

void vr_run_tell(vr_run *run, const char *key, json_t *value)
{
    json_t *patch = json_pack("{s:o}", key, value);
    char *text = patch ? json_dumps(patch, JSON_COMPACT) : NULL;
    if (text && run->queue && strlen(text) <= vr_queue_limit(run->queue))
        vr_run_put(run, VR_FRAME_RUN, text, strlen(text), NULL, 0);
    free(text);
    json_decref(patch);
}

static vr_status choose_queue(size_t *out, const vr_run_options *options)
{
    const char *text = getenv("VR_QUEUE");
    *out = options->queue_bytes ? options->queue_bytes : DEFAULT_QUEUE;
    if (options->queue_bytes || !text || !*text)
        return VR_OK;
    char *end;
    errno = 0;
    unsigned long long bytes = strtoull(text, &end, 10);
    const unsigned shift = *end == 'k' ? 10 : *end == 'M' ? 20 : 0;
    if (errno || end == text || end[shift != 0] || strchr(text, '-') || bytes > VR_JOURNAL_MAX_RING >> shift)
        return vr_fail(VR_ERROR_ARGUMENT, "VR_QUEUE=%s: not a size such as 65536, 512k or 8M", text);
    *out = (size_t)(bytes << shift);
    return VR_OK;
}

static json_t *list_value(const char *list)
{
    json_t *words = json_array();
    char *copy = strdup(list), *at = copy, *word;
    while (copy && (word = strsep(&at, " ,")))
        if (*word)
            json_array_append_new(words, json_string(word));
    free(copy);
    return words;
}

static void tell_controls(vr_run *run)
{
    vr_run_tell(run, "seed", json_sprintf("%llu", (unsigned long long)run->seed));
    vr_run_tell(run, "vary", list_value(run->vary));
    if (*run->vary)
        vr_run_tell(run, "replica", json_sprintf("%llu", (unsigned long long)run->replica));
    vr_run_tell(run, "kernels", json_string(run->kernels));
    vr_run_tell(run, "rounding", json_string(run->rounding));
    vr_control_tell_vrcc(run);
    if (run->perturb.count)
        vr_run_tell(run, "perturb", json_string(run->perturb_rules));
    vr_run_tell(run, "level", json_string(vr_level_name(run->filter.level)));
}

static vr_status start_trace(vr_run *run, const vr_run_options *options)
{
    size_t bytes;
    vr_status status = choose_queue(&bytes, options);
    if (status == VR_OK)
        status = vr_queue_open(&run->queue, run->journal, bytes);
    if (status != VR_OK)
        return status;
    tell_controls(run);
    vr_host_tell(run, options->environment ? options->environment : getenv("VR_ENV"));
    return VR_OK;
}

vr_status vr_run_open(vr_run **out, const vr_run_options *options)
{
    static _Atomic uint64_t runs;
    const vr_run_options defaults = VR_RUN_OPTIONS_INIT;
    vr_run *run = calloc(1, sizeof *run);
    *out = run;
    if (!run || !(run->seeds = json_object()) || !(run->groups = json_object())) {
        if (run)
            json_decref(run->seeds);
        free(run);
        *out = NULL;
        return vr_fail(VR_ERROR_MEMORY, "run: out of memory");
    }
    run->number = ++runs;
    run->seed = 1;
    run->start = run->step_start = vr_clock();
    pthread_mutex_init(&run->lock, NULL);
    pthread_mutex_init(&run->evaluating, NULL);
    vr_status status = vr_control_read(run, options ? options : &defaults);
    if (status == VR_OK && run->trace)
        status = start_trace(run, options ? options : &defaults);
    if (run->perturb.count)
        run->perturb_key = vr_run_seed(run, "perturb");
    vr_thread_number(run);
    vr_thread_set_mark(run, vr_clock());
    return status;
}

static void free_run(vr_run *run)
{
    vr_queue_close(run->queue);
    vr_sites_free(&run->sites);
    vr_filter_free(&run->filter);
    vr_filter_free(&run->final);
    json_decref(run->seeds);
    json_decref(run->groups);
    pthread_mutex_destroy(&run->lock);
    pthread_mutex_destroy(&run->evaluating);
    free(run->vary);
    free(run->kernels);
    free(run->rounding);
    free(run->perturb_rules);
    vr_perturb_free(&run->perturb);
    free(run->journal);
    free(run->trace);
    free(run->archive);
    free(run->member);
    free(run->name);
    free(run);
}

vr_status vr_run_finish(vr_run *run, char **trace)
{
    if (trace)
        *trace = NULL;
    if (!run)
        return VR_OK;
    const vr_status status = run->queue ? vr_trace_finish(run) : VR_OK;
    if (trace && run->queue && !vr_run_is_forked(run))
        *trace = strdup(run->name);
    free_run(run);
    return status;
}

vr_status vr_run_close(vr_run *run)
{
    return vr_run_finish(run, NULL);
}

bool vr_run_is_recording(const vr_run *run)
{
    return run && run->queue && !run->dropped && !vr_run_is_forked(run);
}

const char *vr_run_trace(const vr_run *run)
{
    return run && run->queue ? run->name : NULL;
}

vr_status vr_run_step(vr_run *run, uint32_t epoch)
{
    if (!run)
        return VR_OK;
    if (vr_run_is_forked(run))
        return vr_run_incomplete(run);
    pthread_mutex_lock(&run->lock);
    const uint64_t now = vr_clock();
    run->step++;
    run->epoch = epoch;
    run->step_start = now;
    vr_status status = VR_OK;
    if (run->queue) {
        const vr_frame_step frame = {run->step, now - run->start, epoch, 0};
        vr_run_put(run, VR_FRAME_STEP, &frame, sizeof frame, NULL, 0);
        if (run->dropped)
            status = vr_run_incomplete(run);
    }
    vr_thread_number(run);
    pthread_mutex_unlock(&run->lock);
    vr_thread_set_mark(run, vr_clock());
    return status;
}

void vr_mark(vr_run *run)
{
    if (!run || vr_run_is_forked(run))
        return;
    if (self.run != run->number) {
        pthread_mutex_lock(&run->lock);
        vr_thread_number(run);
        pthread_mutex_unlock(&run->lock);
    }
    vr_thread_set_mark(run, vr_clock());
}

vr_status vr_run_note(vr_run *run, const char *key, const char *value)
{
    if (!run || !run->queue)
        return VR_OK;
    if (vr_run_is_forked(run))
        return vr_run_incomplete(run);
    const bool fits = key && *key && strlen(key) <= MAX_NOTE && value && strlen(value) <= MAX_NOTE;
    json_t *note = fits ? json_pack("{s:s}", key, value) : NULL;
    if (!note)
        return vr_fail(VR_ERROR_ARGUMENT, "note: key and value must be text in UTF-8, of at most %d bytes", MAX_NOTE);
    pthread_mutex_lock(&run->lock);
    vr_run_tell(run, "notes", note);
    const vr_status status = run->dropped ? vr_run_incomplete(run) : VR_OK;
    pthread_mutex_unlock(&run->lock);
    return status;
}
