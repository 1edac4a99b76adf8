#include "timed.h"

#include <hdf5.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BESIDE 1000 /* ns of a step that no record has */

static void need(bool fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "timed: %s: %s\n", what, vr_error());
        exit(2);
    }
}

/* ---- the run, with whatever times it takes ---- */

static void record(const char *path, const timed *what)
{
    vr_run *run;
    float value = 1;
    vr_run_options options = VR_RUN_OPTIONS_INIT;
    options.trace = path;
    options.kernels = what->kernels;
    options.rounding = what->rounding;
    options.level = what->level;
    options.queue_bytes = 65536;
    need(vr_run_open(&run, &options) == VR_OK, path);
    for (int step = 1; step <= what->steps; step++) {
        const vr_tensor tensor = VR_TENSOR(VR_F32, &value, 1);
        need(vr_run_step(run, 0) == VR_OK && vr_record(run, VR_FORWARD, "conv1", "out", tensor, NULL) == VR_OK, path);
        if (!what->is_first_only)
            need(vr_record(run, VR_GRADIENT, "conv1", "weight", tensor, NULL) == VR_OK &&
                     vr_record(run, VR_FORWARD, "fc1", "out", tensor, NULL) == VR_OK,
                 path);
    }
    need(vr_run_close(run) == VR_OK, path);
}

/* ---- the times, in place of those it took ---- */

typedef struct span {
    uint64_t start, length; /* of a step: its end */
} span;

/* Writes two fields of each row of a table, and leaves the others as they are. */
static void write_spans(hid_t file, const char *table, const char *second, const span *spans)
{
    const hid_t type = H5Tcreate(H5T_COMPOUND, sizeof *spans), set = H5Dopen2(file, table, H5P_DEFAULT);
    H5Tinsert(type, "start_ns", HOFFSET(span, start), H5T_NATIVE_UINT64);
    H5Tinsert(type, second, HOFFSET(span, length), H5T_NATIVE_UINT64);
    need(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, spans) >= 0, table);
    H5Dclose(set);
    H5Tclose(type);
}

static void set_times(hid_t file, const timed *what)
{
    const int each = what->is_first_only ? 1 : TIMED_LAYERS;
    span *steps = calloc((size_t)what->steps + 1, sizeof *steps);
    span *records = calloc((size_t)(what->steps * each) + 1, sizeof *records);
    need(steps && records, "memory");
    uint64_t now = steps[0].length = 5000000; /* the setup */
    for (int step = 1; step <= what->steps; step++) {
        steps[step].start = now;
        for (int i = 0; i < each; i++) {
            span *r = &records[(step - 1) * each + i];
            *r = (span){now, what->takes(what->context, step, i)};
            now += r->length;
        }
        now += BESIDE;
        const int64_t lasts = what->lasts ? what->lasts(what->context, step) : (int64_t)(now - steps[step].start);
        now = steps[step].length = steps[step].start + (uint64_t)lasts;
    }
    write_spans(file, "steps", "end_ns", steps);
    if (what->steps)
        write_spans(file, "records", "duration_ns", records);
    free(steps);
    free(records);
}

/* What the run was, without what differs from machine to machine. */
static json_t *tell(json_t *run, const timed *what)
{
    json_object_set_new(run, "program", json_pack("{s:s, s:s}", "digest", "00", "started", what->started));
    json_object_set_new(
        run, "host",
        json_pack("{s:s, s:s, s:i}", "name", "here", "cpu", what->cpu ? what->cpu : "a processor", "cpus", 2));
    json_object_set_new(run, "clock",
                        json_pack("{s:s, s:I}", "source", "CLOCK_MONOTONIC", "resolution_ns",
                                  (json_int_t)(what->resolution ? what->resolution : 1)));
    json_object_set_new(run, "threads", json_integer(what->threads ? what->threads : 2));
    json_object_set_new(run, "load", json_real(what->load));
    json_object_set_new(run, "libraries", json_object());
    json_object_set_new(run, "environment", json_object());
    json_object_del(run, "memory");
    if (what->peak_bytes)
        json_object_set_new(run, "memory", json_pack("{s:I}", "peak_bytes", (json_int_t)what->peak_bytes));
    return run;
}

static json_t *read_run(const char *path)
{
    vr_trace *trace;
    need(vr_trace_open(&trace, path) == VR_OK, path);
    json_t *run = json_loads(vr_trace_get_info(trace)->run, 0, NULL);
    vr_trace_close(trace);
    need(run, path);
    return run;
}

static void set_run(hid_t file, const json_t *run)
{
    char *text = json_dumps(run, JSON_COMPACT);
    const hsize_t one = 1;
    const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(1, &one, NULL);
    H5Tset_size(type, strlen(text));
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    need(H5Ldelete(file, "run", H5P_DEFAULT) >= 0, "run");
    const hid_t set = H5Dcreate2(file, "run", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    need(H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) >= 0, "run");
    H5Dclose(set);
    H5Sclose(space);
    H5Tclose(type);
    free(text);
}

void timed_write(const char *path, const timed *what)
{
    record(path, what);
    json_t *run = tell(read_run(path), what);
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    need(file >= 0, path);
    set_times(file, what);
    set_run(file, run);
    H5Fclose(file);
    json_decref(run);
}
