#include "hdf5_types.h"

#include "fail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_BYTES 1048576

typedef struct writer {
    vr_trace *trace;
    const char *path; /* for messages: the final one */
    hid_t file;
} writer;

static vr_status failed(const writer *w, const char *object)
{
    return vr_fail(VR_ERROR_IO, "%s: cannot write /%s: %s", w->path, object, vr_h5_reason());
}

/* Creates a contiguous dataset of `count` rows; negative on failure. */
static hid_t create_rows(const writer *w, const char *name, hid_t type, uint64_t count)
{
    const hid_t space = H5Screate_simple(1, &(hsize_t){count}, NULL);
    const hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_fill_time(plist, H5D_FILL_TIME_NEVER);
    H5Pset_alloc_time(plist, H5D_ALLOC_TIME_EARLY);
    const hid_t set = H5Dcreate2(w->file, name, type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    H5Pclose(plist);
    H5Sclose(space);
    return set;
}

/* Writes rows [first, first + count) of a dataset. */
static herr_t write_rows(hid_t set, hid_t type, uint64_t first, uint64_t count, const void *rows)
{
    const hid_t space = H5Dget_space(set), memory = H5Screate_simple(1, &(hsize_t){count}, NULL);
    herr_t status = H5Sselect_hyperslab(space, H5S_SELECT_SET, &(hsize_t){first}, NULL, &(hsize_t){count}, NULL);
    if (status >= 0)
        status = H5Dwrite(set, type, memory, space, H5P_DEFAULT, rows);
    H5Sclose(memory);
    H5Sclose(space);
    return status;
}

/* A whole table that is in memory. */
static vr_status write_table(const writer *w, const char *name, hid_t type, uint64_t count, const void *rows)
{
    const hid_t set = create_rows(w, name, type, count);
    const bool fine = set >= 0 && (count == 0 || H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows) >= 0);
    const vr_status status = fine ? VR_OK : failed(w, name);
    if (set >= 0)
        H5Dclose(set);
    return status;
}

static hid_t string_type(size_t size)
{
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, size ? size : 1);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

static vr_status write_attribute(const writer *w, const char *name, hid_t type, const void *value)
{
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t attribute = H5Acreate2(w->file, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    const bool fine = attribute >= 0 && H5Awrite(attribute, type, value) >= 0;
    if (attribute >= 0)
        H5Aclose(attribute);
    H5Sclose(space);
    return fine ? VR_OK : failed(w, name);
}

static vr_status write_text_attribute(const writer *w, const char *name, const char *text)
{
    const hid_t type = string_type(strlen(text));
    const vr_status status = write_attribute(w, name, type, text);
    H5Tclose(type);
    return status;
}

static vr_status write_header(const writer *w)
{
    const vr_trace_info *info = &w->trace->info;
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"version", VR_TRACE_VERSION},          {"closed", info->closed},
        {"incomplete", info->incomplete},       {"incomplete_step", info->incomplete_step},
        {"damaged_bytes", info->damaged_bytes},
    };
    vr_status status = write_text_attribute(w, "format", VR_TRACE_FORMAT);
    for (size_t i = 0; status == VR_OK && i < sizeof numbers / sizeof *numbers; i++)
        status = write_attribute(w, numbers[i].name, H5T_NATIVE_UINT64, &numbers[i].value);
    if (status == VR_OK)
        status = write_text_attribute(w, "incomplete_reason", info->incomplete_reason);
    return status;
}

static vr_status write_run(const writer *w)
{
    const hid_t type = string_type(strlen(w->trace->info.run));
    const vr_status status = write_table(w, "run", type, 1, w->trace->info.run);
    H5Tclose(type);
    return status;
}

static size_t longest_name(const vr_trace *trace)
{
    size_t longest = 1;
    for (uint64_t i = 0; i < trace->info.name_count; i++)
        if (strlen(trace->names[i]) > longest)
            longest = strlen(trace->names[i]);
    return longest;
}

static vr_status write_names(const writer *w)
{
    const vr_trace_info *info = &w->trace->info;
    const size_t longest = longest_name(w->trace);
    char *text = calloc(info->name_count + 1, longest);
    if (!text)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", w->path);
    for (uint64_t i = 0; i < info->name_count; i++)
        memcpy(text + i * longest, w->trace->names[i], strlen(w->trace->names[i]));
    const hid_t type = string_type(longest);
    const vr_status status = write_table(w, "names", type, info->name_count, text);
    H5Tclose(type);
    free(text);
    return status;
}

static vr_site_row site_row(const vr_site *site, uint32_t input_first)
{
    vr_site_row row = {
        .phase = (uint8_t)site->phase,
        .dtype = (uint8_t)site->dtype,
        .rank = (uint8_t)site->rank,
        .layer = site->layer_id,
        .name = site->name_id,
        .input_first = input_first,
        .input_count = site->input_count,
    };
    memcpy(row.shape, site->shape, sizeof row.shape);
    return row;
}

static vr_status write_sites(const writer *w)
{
    const uint64_t n = w->trace->info.site_count;
    uint64_t input_count = 0;
    for (uint64_t i = 0; i < n; i++)
        input_count += w->trace->sites[i].input_count;
    if (input_count > UINT32_MAX)
        return vr_fail(VR_ERROR_UNSUPPORTED, "%s: more than 2^32 inputs are named", w->path);
    vr_site_row *rows = malloc((n + 1) * sizeof *rows);
    uint32_t *inputs = malloc((input_count + 1) * sizeof *inputs);
    vr_status status = rows && inputs ? VR_OK : vr_fail(VR_ERROR_MEMORY, "%s: out of memory", w->path);
    uint32_t first = 0;
    for (uint64_t i = 0; status == VR_OK && i < n; i++) {
        const vr_site *site = &w->trace->sites[i];
        rows[i] = site_row(site, first);
        memcpy(inputs + first, site->inputs, site->input_count * sizeof *inputs);
        first += site->input_count;
    }
    const hid_t type = vr_h5_site_type();
    if (status == VR_OK)
        status = write_table(w, "sites", type, n, rows);
    if (status == VR_OK)
        status = write_table(w, "inputs", H5T_NATIVE_UINT32, input_count, inputs);
    H5Tclose(type);
    free(rows);
    free(inputs);
    return status;
}

static vr_status write_steps(const writer *w)
{
    const hid_t type = vr_h5_step_type();
    const vr_status status = write_table(w, "steps", type, w->trace->info.step_count, w->trace->steps);
    H5Tclose(type);
    return status;
}

static vr_status read_record_rows(vr_trace *trace, uint64_t first, uint64_t count, void *out)
{
    return vr_trace_read_records(trace, first, count, out);
}

static vr_status read_payload_rows(vr_trace *trace, uint64_t first, uint64_t count, void *out)
{
    return trace->source->payload(trace, first, count, out);
}

/* Copies a table of `count` rows of `size` bytes block by block. */
static vr_status copy_rows(const writer *w, const char *name, hid_t type, uint64_t count, size_t size,
                           vr_status (*read)(vr_trace *, uint64_t, uint64_t, void *))
{
    const uint64_t per_block = BLOCK_BYTES / size;
    const hid_t set = create_rows(w, name, type, count);
    void *block = malloc(BLOCK_BYTES);
    vr_status status = set < 0  ? failed(w, name)
                       : !block ? vr_fail(VR_ERROR_MEMORY, "%s: out of memory", w->path)
                                : VR_OK;
    for (uint64_t first = 0; status == VR_OK && first < count; first += per_block) {
        const uint64_t n = count - first < per_block ? count - first : per_block;
        status = read(w->trace, first, n, block);
        if (status == VR_OK && write_rows(set, type, first, n, block) < 0)
            status = failed(w, name);
    }
    free(block);
    if (set >= 0)
        H5Dclose(set);
    return status;
}

static vr_status write_records(const writer *w)
{
    const hid_t type = vr_h5_record_type();
    const vr_status status =
        copy_rows(w, "records", type, w->trace->info.record_count, sizeof(vr_trace_record), read_record_rows);
    H5Tclose(type);
    return status;
}

static vr_status write_evaluated(const writer *w)
{
    if (w->trace->evaluated_count == 0)
        return VR_OK;
    return write_table(w, "evaluations", H5T_NATIVE_UINT64, w->trace->evaluated_count, w->trace->evaluated);
}

static vr_status write_all(const writer *w)
{
    vr_status (*const parts[])(const writer *) = {write_header, write_run,       write_names,  write_sites,
                                                  write_steps,  write_evaluated, write_records};
    vr_status status = VR_OK;
    for (size_t i = 0; status == VR_OK && i < sizeof parts / sizeof *parts; i++)
        status = parts[i](w);
    if (status == VR_OK)
        status = copy_rows(w, "payload", H5T_NATIVE_UINT8, w->trace->info.payload_bytes, 1, read_payload_rows);
    return status;
}

/* Reserves the room the file will take: once HDF5 has failed to write, it cannot even close the file in order. */
static vr_status reserve(const vr_trace *trace, const char *aside, const char *path)
{
    const vr_trace_info *info = &trace->info;
    uint64_t bytes = info->record_count * sizeof(vr_trace_record) + info->payload_bytes +
                     info->step_count * sizeof(vr_step) + info->site_count * sizeof(vr_site_row) +
                     info->name_count * longest_name(trace) + strlen(info->run) +
                     trace->evaluated_count * sizeof *trace->evaluated + 65536;
    for (uint64_t i = 0; i < info->site_count; i++)
        bytes += trace->sites[i].input_count * sizeof(uint32_t);
    const int fd = open(aside, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return vr_fail_errno(errno, "%s: cannot create", path);
    const int error = posix_fallocate(fd, 0, (off_t)bytes);
    close(fd);
    if (error == ENOSPC || error == EFBIG)
        return vr_fail_errno(error, "%s: no room for the trace (%llu bytes)", path, (unsigned long long)bytes);
    return VR_OK;
}

static vr_status sync_file(const char *aside, const char *path)
{
    const int fd = open(aside, O_RDONLY | O_CLOEXEC);
    const bool fine = fd >= 0 && fsync(fd) == 0;
    const int error = errno;
    if (fd >= 0)
        close(fd);
    return fine ? VR_OK : vr_fail_errno(error, "%s: cannot write", path);
}

static vr_status write_file(vr_trace *trace, const char *aside, const char *path)
{
    const vr_h5_quiet quiet = vr_h5_quiet_begin();
    writer w = {trace, path, H5Fcreate(aside, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT)};
    vr_status status = w.file < 0 ? vr_fail(VR_ERROR_IO, "%s: cannot create: %s", path, vr_h5_reason()) : write_all(&w);
    if (w.file >= 0 && H5Fclose(w.file) < 0 && status == VR_OK)
        status = vr_fail(VR_ERROR_IO, "%s: cannot write: %s", path, vr_h5_reason());
    vr_h5_quiet_end(quiet);
    return status;
}

vr_status vr_trace_write(vr_trace *trace, const char *path)
{
    char *aside = NULL;
    if (asprintf(&aside, "%s.%ld.part", path, (long)getpid()) < 0)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", path);
    vr_status status = vr_trace_find_evaluated(trace);
    if (status == VR_OK)
        status = reserve(trace, aside, path);
    if (status == VR_OK)
        status = write_file(trace, aside, path);
    if (status == VR_OK)
        status = sync_file(aside, path);
    if (status == VR_OK && rename(aside, path) != 0)
        status = vr_fail_errno(errno, "%s: cannot put the finished trace in place", path);
    if (status != VR_OK)
        unlink(aside);
    free(aside);
    return status;
}
