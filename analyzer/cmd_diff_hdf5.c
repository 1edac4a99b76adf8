/* `varanalyze diff` on files that are no traces. */
#include "cmd_diff.h"
#include "guard.h"
#include "sources.h"

#include <formats/fail.h>
#include <formats/hdf5_file.h>
#include <libtrace/hdf5_types.h>
#include <libtrace/journal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether a name is that of a run that was killed: what is left is the journal. */
static bool is_left_over(const char *name)
{
    char *journal;
    if (access(name, F_OK) == 0 || asprintf(&journal, "%s" VR_JOURNAL_SUFFIX, name) < 0)
        return false;
    const bool there = access(journal, F_OK) == 0;
    free(journal);
    return there;
}

static bool is_journal(const vr_source *source)
{
    char magic[sizeof VR_JOURNAL_MAGIC - 1];
    return pread(source->fd, magic, sizeof magic, (off_t)source->offset) == (ssize_t)sizeof magic &&
           source->size >= sizeof magic && memcmp(magic, VR_JOURNAL_MAGIC, sizeof magic) == 0;
}

/* Whether a string attribute of fixed size says that the file is a trace. */
static bool says_trace(hid_t attribute)
{
    char text[256] = "";
    const hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    const bool is_text = type >= 0 && H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 &&
                         H5Tget_size(type) < sizeof text;
    const bool fine = is_text && space >= 0 && H5Sget_simple_extent_npoints(space) == 1 &&
                      H5Aread(attribute, type, text) >= 0 && strcmp(text, VR_TRACE_FORMAT) == 0;
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    return fine;
}

static bool is_trace(hid_t file, const char *name)
{
    const vr_h5_quiet quiet = vr_h5_quiet_begin();
    va_guard_reading(name, "/@format");
    const hid_t attribute = H5Aexists(file, "format") > 0 ? H5Aopen(file, "format", H5P_DEFAULT) : -1;
    const bool fine = attribute >= 0 && says_trace(attribute);
    if (attribute >= 0)
        H5Aclose(attribute);
    va_guard_reading(NULL, NULL);
    vr_h5_quiet_end(quiet);
    return fine;
}

static void close_file(va_diff_input *input)
{
    if (input->file >= 0)
        H5Fclose(input->file);
    input->file = -1;
}

vr_status va_diff_input_open(va_diff_input *out, const char *name, bool hdf5)
{
    *out = (va_diff_input){.source.fd = -1, .file = -1, .is_trace = is_left_over(name)};
    if (out->is_trace)
        return VR_OK;
    const vr_archive_options options = va_archive_options();
    vr_status status = vr_source_open(&out->source, name, &options);
    if (status != VR_OK)
        return status;
    if (is_journal(&out->source)) {
        out->is_trace = true;
        return VR_OK;
    }
    va_guard_reading(name, NULL);
    status = vr_h5_open(&out->file, out->source.fd, out->source.offset, out->source.size, name);
    va_guard_reading(NULL, NULL);
    if (status != VR_OK) {
        out->file = -1;
        va_diff_input_close(out);
        return status;
    }
    out->is_trace = is_trace(out->file, name);
    if (out->is_trace && !hdf5)
        close_file(out);
    return VR_OK;
}

void va_diff_input_close(va_diff_input *input)
{
    close_file(input);
    vr_source_close(&input->source);
}

/* ---- comparing ---- */

static void render(va_output *out, const va_h5_diff *diff, const va_diff_settings *s, bool many, json_t *list)
{
    if (s->format == VA_JSON)
        json_array_append_new(list, va_h5_diff_json(diff));
    else if (s->format == VA_CSV)
        va_h5_diff_csv(out->stream, diff);
    else {
        if (many)
            fprintf(out->stream, "%s against %s\n", diff->names[0], diff->names[1]);
        va_h5_diff_text(out->stream, diff, &s->objects, out->color);
    }
}

static vr_status diff_one(const va_diff_input *a, const va_diff_input *b, const va_diff_settings *s, va_h5_diff **diff)
{
    const hid_t files[2] = {a->file, b->file};
    const vr_source *const sources[2] = {&a->source, &b->source};
    return va_h5_diff_run(diff, files, sources, &s->objects);
}

/* JSON of two files is one object, of more an object with a list of these. */
static void print_list(va_output *out, json_t *list, bool many)
{
    va_print_json(out->stream, many ? json_pack("{s:O}", "comparisons", list) : json_incref(json_array_get(list, 0)));
}

static vr_status diff_each(va_output *out, const va_diff_input *inputs, int count, const va_diff_settings *s,
                           json_t *list, bool *same)
{
    vr_status status = VR_OK;
    for (int i = 1; status == VR_OK && i < count && (*same || !s->quiet); i++) {
        va_h5_diff *diff;
        status = diff_one(&inputs[0], &inputs[i], s, &diff);
        if (status != VR_OK)
            return status;
        *same &= va_h5_diff_is_same(diff);
        if (i > 1 && out && s->format == VA_TEXT)
            fputc('\n', out->stream);
        if (out)
            render(out, diff, s, count > 2, list);
        va_h5_diff_free(diff);
    }
    if (out && s->format == VA_JSON)
        print_list(out, list, count > 2);
    return status;
}

vr_status va_diff_objects(const va_diff_input *inputs, int count, const va_diff_settings *s, bool *same)
{
    va_output out;
    *same = true;
    if (s->quiet)
        return diff_each(NULL, inputs, count, s, NULL, same);
    vr_status status = va_output_open(&out, s->output);
    if (status != VR_OK)
        return status;
    json_t *list = json_array();
    if (s->format == VA_CSV)
        va_h5_diff_csv_header(out.stream);
    status = list ? diff_each(&out, inputs, count, s, list, same) : vr_fail(VR_ERROR_MEMORY, "out of memory");
    json_decref(list);
    const vr_status closed = va_output_close(&out, status == VR_OK);
    return status == VR_OK ? closed : status;
}
