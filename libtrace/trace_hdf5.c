/* A trace read from the HDF5 file that a closed run leaves. The tables of names, sites and steps are loaded; records
 * and payload are read as asked. */
#include "hdf5_types.h"

#include "fail.h"
#include "io.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct tables {
    hid_t file, records, payload, record_type;
    /* Where both datasets lie in the file, each in one piece: then they are read without the library, and all handles
     * are closed, which gives back the library's half megabyte for an open file. */
    uint64_t records_place, payload_place;
} tables;

/* The library is used by one thread at a time, though several may read values. */
static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;

static vr_status damaged(const vr_trace *trace, const char *object)
{
    return vr_fail(VR_ERROR_FORMAT, "%s: damaged trace: /%s is missing or not what it should be", trace->path, object);
}

static bool read_number(hid_t file, const char *name, uint64_t *out)
{
    const hid_t attribute = H5Aopen(file, name, H5P_DEFAULT);
    const hid_t space = attribute < 0 ? -1 : H5Aget_space(attribute);
    const hid_t type = attribute < 0 ? -1 : H5Aget_type(attribute);
    const bool fine = space >= 0 && H5Sget_simple_extent_npoints(space) == 1 && H5Tget_class(type) == H5T_INTEGER &&
                      H5Aread(attribute, H5T_NATIVE_UINT64, out) >= 0;
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    if (attribute >= 0)
        H5Aclose(attribute);
    return fine;
}

/* The text of a fixed-length string attribute, cut to `size`. */
static bool read_text(hid_t file, const char *name, char *out, size_t size)
{
    const hid_t attribute = H5Aopen(file, name, H5P_DEFAULT);
    const hid_t type = attribute < 0 ? -1 : H5Aget_type(attribute);
    const hid_t space = attribute < 0 ? -1 : H5Aget_space(attribute);
    bool fine = type >= 0 && H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 &&
                H5Tget_size(type) < 4096 && H5Sget_simple_extent_npoints(space) == 1;
    char *text = fine ? calloc(1, H5Tget_size(type) + 1) : NULL;
    fine = text && H5Aread(attribute, type, text) >= 0;
    if (fine)
        snprintf(out, size, "%s", text);
    free(text);
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    if (attribute >= 0)
        H5Aclose(attribute);
    return fine;
}

static vr_status read_header(vr_trace *trace, const tables *in)
{
    char format[64];
    uint64_t version = 0, closed = 0, incomplete = 0;
    if (H5Aexists(in->file, "format") <= 0 || !read_text(in->file, "format", format, sizeof format) ||
        strcmp(format, VR_TRACE_FORMAT) != 0 || !read_number(in->file, "version", &version))
        return vr_fail(VR_ERROR_FORMAT, "%s: an HDF5 file, but not a trace: no attribute 'format' saying so",
                       trace->path);
    if (version != VR_TRACE_VERSION)
        return vr_fail(VR_ERROR_VERSION,
                       "%s: a trace of version %llu, this program reads version %d; use a newer varanalyze",
                       trace->path, (unsigned long long)version, VR_TRACE_VERSION);
    if (!read_number(in->file, "closed", &closed) || !read_number(in->file, "incomplete", &incomplete) ||
        !read_number(in->file, "incomplete_step", &trace->info.incomplete_step) ||
        !read_number(in->file, "damaged_bytes", &trace->info.damaged_bytes))
        return damaged(trace, "closed");
    trace->info.closed = closed != 0;
    trace->info.incomplete = incomplete != 0;
    if (incomplete && (!read_text(in->file, "incomplete_reason", trace->reason, sizeof trace->reason)))
        return damaged(trace, "incomplete_reason");
    trace->info.incomplete_reason = trace->reason;
    return VR_OK;
}

/* Opens a one-dimensional dataset whose rows are of `type` (any string for a negative one); its claims are held against
 * the size of the file, so that no allocation is made for rows that cannot be there. Negative on failure. */
static hid_t open_rows(const vr_trace *trace, const tables *in, const char *name, hid_t type, uint64_t *count)
{
    const hid_t set = H5Lexists(in->file, name, H5P_DEFAULT) > 0 ? H5Dopen2(in->file, name, H5P_DEFAULT) : -1;
    if (set < 0)
        return -1;
    const hid_t own = H5Dget_type(set), space = H5Dget_space(set), plist = H5Dget_create_plist(set);
    const bool contiguous = H5Pget_layout(plist) == H5D_CONTIGUOUS;
    const size_t size = H5Tget_size(own);
    const uint64_t most = trace->info.file_bytes * (contiguous ? 1 : 1024) / (size ? size : 1);
    hsize_t rows = 0;
    bool fine = H5Sget_simple_extent_ndims(space) == 1 && H5Sget_simple_extent_dims(space, &rows, NULL) == 1 &&
                rows <= most && H5Pget_layout(plist) != H5D_VIRTUAL && H5Pget_external_count(plist) == 0;
    fine = fine && (type >= 0 ? H5Tequal(own, type) > 0 : H5Tget_class(own) == H5T_STRING && !H5Tis_variable_str(own));
    H5Pclose(plist);
    H5Sclose(space);
    H5Tclose(own);
    *count = rows;
    if (fine)
        return set;
    H5Dclose(set);
    return -1;
}

/* Loads a whole dataset; its rows take `*size` bytes and are the caller's to free. */
static vr_status load_rows(vr_trace *trace, const tables *in, const char *name, hid_t type, void **out, uint64_t *count,
                           size_t *size)
{
    *out = NULL;
    *count = *size = 0;
    const hid_t set = open_rows(trace, in, name, type, count);
    if (set < 0)
        return damaged(trace, name);
    const hid_t own = H5Dget_type(set);
    *size = H5Tget_size(own);
    *out = calloc(*count + 1, *size);
    vr_status status = VR_OK;
    if (!*out)
        status = vr_fail(VR_ERROR_MEMORY, "%s: out of memory", trace->path);
    else if (*count && H5Dread(set, own, H5S_ALL, H5S_ALL, H5P_DEFAULT, *out) < 0)
        status = damaged(trace, name);
    if (status != VR_OK) {
        free(*out);
        *out = NULL;
    }
    H5Tclose(own);
    H5Dclose(set);
    return status;
}

static vr_status load_run(vr_trace *trace, const tables *in)
{
    void *text;
    uint64_t count;
    size_t size;
    vr_status status = load_rows(trace, in, "run", -1, &text, &count, &size);
    if (status != VR_OK)
        return status;
    json_t *run = json_object();
    status = !run         ? vr_fail(VR_ERROR_MEMORY, "%s: out of memory", trace->path)
             : count == 1 ? vr_trace_merge_run(trace, run, text, strnlen(text, size))
                          : damaged(trace, "run");
    if (status == VR_OK)
        status = vr_trace_set_run(trace, run);
    json_decref(run);
    free(text);
    return status;
}

static vr_status load_names(vr_trace *trace, const tables *in)
{
    void *rows;
    uint64_t count;
    size_t size;
    vr_status status = load_rows(trace, in, "names", -1, &rows, &count, &size);
    if (status != VR_OK)
        return status;
    for (uint64_t i = 0; status == VR_OK && i < count; i++) {
        const char *name = (const char *)rows + i * size;
        status = vr_trace_add_name(trace, name, strnlen(name, size));
    }
    free(rows);
    return status;
}

static vr_status load_sites(vr_trace *trace, const tables *in)
{
    void *rows = NULL, *inputs = NULL;
    uint64_t count, input_count;
    size_t size;
    const hid_t type = vr_h5_site_type();
    vr_status status = load_rows(trace, in, "sites", type, &rows, &count, &size);
    if (status == VR_OK)
        status = load_rows(trace, in, "inputs", H5T_NATIVE_UINT32, &inputs, &input_count, &size);
    for (uint64_t i = 0; status == VR_OK && i < count; i++) {
        const vr_site_row *row = (const vr_site_row *)rows + i;
        if (row->input_first > input_count || row->input_count > input_count - row->input_first)
            status = damaged(trace, "sites");
        else
            status = vr_trace_add_site(trace, row, (const uint32_t *)inputs + row->input_first);
    }
    H5Tclose(type);
    free(rows);
    free(inputs);
    return status;
}

static vr_status load_steps(vr_trace *trace, const tables *in)
{
    void *rows = NULL;
    uint64_t count;
    size_t size;
    const hid_t type = vr_h5_step_type();
    vr_status status = load_rows(trace, in, "steps", type, &rows, &count, &size);
    for (uint64_t i = 0; status == VR_OK && i < count; i++)
        status = vr_trace_add_step(trace, (const vr_step *)rows + i);
    H5Tclose(type);
    free(rows);
    return status;
}

/* A list that speeds up finding them: files of older writers have none, and are searched. */
static vr_status load_evaluated(vr_trace *trace, const tables *in)
{
    void *rows = NULL;
    size_t size;
    if (H5Lexists(in->file, "evaluations", H5P_DEFAULT) <= 0)
        return VR_OK;
    const vr_status status =
        load_rows(trace, in, "evaluations", H5T_NATIVE_UINT64, &rows, &trace->evaluated_count, &size);
    trace->evaluated = rows;
    return status;
}

/* Whether and where a dataset of so many bytes, none of them in another file, lies in the file in one piece: only a
 * contiguous one has an offset. Behind a user block that is so even for one that is not stored. */
static bool find_place(const vr_trace *trace, hid_t set, uint64_t bytes, uint64_t *place)
{
    const uint64_t size = trace->file.size;
    const haddr_t offset = H5Dget_offset(set);
    *place = offset;
    return bytes == 0 ||
           (H5Dget_storage_size(set) == bytes && offset != HADDR_UNDEF && offset <= size && bytes <= size - offset);
}

static void close_handles(tables *in)
{
    if (in->records >= 0)
        H5Dclose(in->records);
    if (in->payload >= 0)
        H5Dclose(in->payload);
    if (in->record_type >= 0)
        H5Tclose(in->record_type);
    if (in->file >= 0)
        H5Fclose(in->file);
    in->file = in->records = in->payload = in->record_type = -1;
}

static vr_status open_tables(vr_trace *trace, tables *in)
{
    in->record_type = vr_h5_record_type();
    in->records = open_rows(trace, in, "records", in->record_type, &trace->info.record_count);
    if (in->records < 0)
        return damaged(trace, "records");
    in->payload = open_rows(trace, in, "payload", H5T_NATIVE_UINT8, &trace->info.payload_bytes);
    if (in->payload < 0)
        return damaged(trace, "payload");
    const uint64_t n = trace->info.step_count;
    if (trace->info.record_count != (n ? trace->steps[n - 1].first + trace->steps[n - 1].count : 0))
        return damaged(trace, "steps");
    const uint64_t bytes = trace->info.record_count * sizeof(vr_trace_record);
    if (find_place(trace, in->records, bytes, &in->records_place) &&
        find_place(trace, in->payload, trace->info.payload_bytes, &in->payload_place))
        close_handles(in);
    return VR_OK;
}

/* Bytes of the file itself. */
static vr_status read_bytes(const vr_trace *trace, uint64_t place, uint64_t bytes, void *out)
{
    const ssize_t done = vr_read_whole(trace->file.fd, out, bytes, trace->file.offset + place);
    if (done < 0)
        return vr_fail_errno(errno, "%s: cannot read", trace->path);
    return (uint64_t)done == bytes ? VR_OK
                                   : vr_fail(VR_ERROR_IO, "%s: cannot read: the file has become shorter", trace->path);
}

static vr_status read_rows(vr_trace *trace, hid_t set, hid_t type, uint64_t first, uint64_t count, void *out)
{
    pthread_mutex_lock(&library);
    const vr_h5_quiet quiet = vr_h5_quiet_begin();
    const hid_t space = H5Dget_space(set), memory = H5Screate_simple(1, &(hsize_t){count}, NULL);
    const bool fine =
        H5Sselect_hyperslab(space, H5S_SELECT_SET, &(hsize_t){first}, NULL, &(hsize_t){count}, NULL) >= 0 &&
        H5Dread(set, type, memory, space, H5P_DEFAULT, out) >= 0;
    const vr_status status = fine ? VR_OK : vr_fail(VR_ERROR_IO, "%s: cannot read: %s", trace->path, vr_h5_reason());
    H5Sclose(memory);
    H5Sclose(space);
    vr_h5_quiet_end(quiet);
    pthread_mutex_unlock(&library);
    return status;
}

static vr_status read_records(vr_trace *trace, uint64_t first, uint64_t count, vr_trace_record *out)
{
    const tables *in = trace->state;
    if (in->file < 0)
        return read_bytes(trace, in->records_place + first * sizeof *out, count * sizeof *out, out);
    return read_rows(trace, in->records, in->record_type, first, count, out);
}

static vr_status read_payload(vr_trace *trace, uint64_t offset, uint64_t bytes, void *out)
{
    const tables *in = trace->state;
    if (in->file < 0)
        return read_bytes(trace, in->payload_place + offset, bytes, out);
    return read_rows(trace, in->payload, H5T_NATIVE_UINT8, offset, bytes, out);
}

static void close_tables(vr_trace *trace)
{
    close_handles(trace->state);
    free(trace->state);
}

vr_status vr_trace_load_hdf5(vr_trace *trace)
{
    static const vr_trace_source source = {read_records, read_payload, close_tables};
    vr_status (*const parts[])(vr_trace *, const tables *) = {read_header, load_run,   load_names,
                                                              load_sites,  load_steps, load_evaluated};
    tables *in = malloc(sizeof *in);
    if (!in)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", trace->path);
    *in = (tables){.file = -1, .records = -1, .payload = -1, .record_type = -1};
    trace->state = in;
    trace->source = &source;
    const vr_h5_quiet quiet = vr_h5_quiet_begin();
    const vr_source *file = &trace->file;
    vr_status status = vr_h5_open(&in->file, file->fd, file->offset, file->size, file->name);
    for (size_t i = 0; status == VR_OK && i < sizeof parts / sizeof *parts; i++)
        status = parts[i](trace, in);
    if (status == VR_OK)
        status = open_tables(trace, in);
    vr_h5_quiet_end(quiet);
    return status;
}
