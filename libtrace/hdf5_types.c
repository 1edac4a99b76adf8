#include "hdf5_types.h"

#include <stddef.h>

static hid_t compound(size_t size)
{
    return H5Tcreate(H5T_COMPOUND, size);
}

static hid_t enumeration(int last, const char *(*name)(int))
{
    const hid_t type = H5Tenum_create(H5T_NATIVE_UINT8);
    for (int i = 1; i <= last; i++) {
        const uint8_t value = (uint8_t)i;
        H5Tenum_insert(type, name(i), &value);
    }
    return type;
}

static const char *phase_name(int i)
{
    return vr_phase_name((vr_phase)i);
}

static const char *dtype_name(int i)
{
    return vr_dtype_name((vr_dtype)i);
}

static const char *level_name(int i)
{
    return vr_level_name((vr_level)i);
}

/* Inserts a member of a type made for it. */
static herr_t insert_own(hid_t type, const char *name, size_t offset, hid_t member)
{
    const herr_t status = member < 0 ? -1 : H5Tinsert(type, name, offset, member);
    if (member >= 0)
        H5Tclose(member);
    return status;
}

static hid_t digest_type(void)
{
    const hid_t type = compound(sizeof(vr_digest));
    H5Tinsert(type, "hi", offsetof(vr_digest, hi), H5T_NATIVE_UINT64);
    H5Tinsert(type, "lo", offsetof(vr_digest, lo), H5T_NATIVE_UINT64);
    return type;
}

static hid_t stats_type(void)
{
    static const char *const counts[] = {"count", "nan", "pos_inf", "neg_inf", "zero", "subnormal"};
    static const char *const values[] = {"min", "max", "absmax", "mean", "m2", "l2"};
    const hid_t type = compound(sizeof(vr_stats));
    for (size_t i = 0; i < 6; i++) {
        H5Tinsert(type, counts[i], i * sizeof(uint64_t), H5T_NATIVE_UINT64);
        H5Tinsert(type, values[i], offsetof(vr_stats, min) + i * sizeof(double), H5T_NATIVE_DOUBLE);
    }
    return type;
}

hid_t vr_h5_record_type(void)
{
    const hid_t type = compound(sizeof(vr_trace_record));
    H5Tinsert(type, "step", offsetof(vr_trace_record, step), H5T_NATIVE_UINT64);
    H5Tinsert(type, "epoch", offsetof(vr_trace_record, epoch), H5T_NATIVE_UINT32);
    H5Tinsert(type, "site", offsetof(vr_trace_record, site), H5T_NATIVE_UINT32);
    insert_own(type, "digest", offsetof(vr_trace_record, digest), digest_type());
    insert_own(type, "rows", offsetof(vr_trace_record, rows), digest_type());
    insert_own(type, "stats", offsetof(vr_trace_record, stats), stats_type());
    H5Tinsert(type, "start_ns", offsetof(vr_trace_record, start_ns), H5T_NATIVE_UINT64);
    H5Tinsert(type, "duration_ns", offsetof(vr_trace_record, duration_ns), H5T_NATIVE_UINT64);
    H5Tinsert(type, "payload", offsetof(vr_trace_record, payload), H5T_NATIVE_UINT64);
    H5Tinsert(type, "thread", offsetof(vr_trace_record, thread), H5T_NATIVE_UINT32);
    H5Tinsert(type, "sample", offsetof(vr_trace_record, sample), H5T_NATIVE_UINT16);
    insert_own(type, "level", offsetof(vr_trace_record, level), enumeration(VR_LEVEL_FULL, level_name));
    return type;
}

hid_t vr_h5_step_type(void)
{
    const hid_t type = compound(sizeof(vr_step));
    H5Tinsert(type, "step", offsetof(vr_step, step), H5T_NATIVE_UINT64);
    H5Tinsert(type, "first", offsetof(vr_step, first), H5T_NATIVE_UINT64);
    H5Tinsert(type, "count", offsetof(vr_step, count), H5T_NATIVE_UINT64);
    H5Tinsert(type, "start_ns", offsetof(vr_step, start_ns), H5T_NATIVE_UINT64);
    H5Tinsert(type, "end_ns", offsetof(vr_step, end_ns), H5T_NATIVE_UINT64);
    H5Tinsert(type, "epoch", offsetof(vr_step, epoch), H5T_NATIVE_UINT32);
    H5Tinsert(type, "finished", offsetof(vr_step, finished), H5T_NATIVE_UINT32);
    return type;
}

hid_t vr_h5_site_type(void)
{
    const hid_t type = compound(sizeof(vr_site_row));
    insert_own(type, "phase", offsetof(vr_site_row, phase), enumeration(VR_PHASE_LAST, phase_name));
    insert_own(type, "dtype", offsetof(vr_site_row, dtype), enumeration(VR_DTYPE_LAST, dtype_name));
    H5Tinsert(type, "rank", offsetof(vr_site_row, rank), H5T_NATIVE_UINT8);
    H5Tinsert(type, "layer", offsetof(vr_site_row, layer), H5T_NATIVE_UINT32);
    H5Tinsert(type, "name", offsetof(vr_site_row, name), H5T_NATIVE_UINT32);
    H5Tinsert(type, "input_first", offsetof(vr_site_row, input_first), H5T_NATIVE_UINT32);
    H5Tinsert(type, "input_count", offsetof(vr_site_row, input_count), H5T_NATIVE_UINT32);
    insert_own(type, "shape", offsetof(vr_site_row, shape),
               H5Tarray_create2(H5T_NATIVE_INT64, 1, &(hsize_t){VR_MAX_RANK}));
    return type;
}
