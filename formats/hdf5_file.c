/* The driver follows the library's own for POSIX files (sec2) in all that reading asks for. */
#include "hdf5_file.h"

#include "fail.h"
#include "hdf5_chunk.h"
#include "io.h"

#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Which bytes are the file; what a property list carries. */
typedef struct region {
    int fd;
    uint64_t offset, size;
} region;

typedef struct region_file {
    H5FD_t common; /* the library's, first */
    region bytes;  /* with a descriptor of its own: the library may keep the file open for a second user */
    dev_t device;
    ino_t inode;
    haddr_t end; /* of the addresses in use */
} region_file;

static hid_t driver = H5I_INVALID_HID;
static bool following;

/* While it is open, reads of raw data are noted and not done. The library looks a chunk up in the dataset's index by
 * its coordinates in H5Dread_chunk only; what it would read then is where the chunk lies. (H5Dget_chunk_info_by_coord
 * tells as much, but goes through all chunks for it.) */
static _Thread_local struct {
    bool open;
    unsigned reads;
    haddr_t from;
    size_t size;
} tap;

static herr_t forget_driver(void)
{
    driver = H5I_INVALID_HID;
    return 0;
}

/* A descriptor for the bytes that a property list carries. Files that others name are opened with this driver too, and
 * without such bytes: whole, if at all. */
static int open_descriptor(const char *name, const region *given)
{
    if (given)
        return fcntl(given->fd, F_DUPFD_CLOEXEC, 0);
    return following ? open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
}

static H5FD_t *region_open(const char *name, unsigned flags, hid_t plist, haddr_t most)
{
    (void)most;
    const region *given = H5Pget_driver_info(plist);
    struct stat info;
    if (flags & (H5F_ACC_RDWR | H5F_ACC_TRUNC | H5F_ACC_CREAT))
        return NULL;
    region_file *file = calloc(1, sizeof *file);
    if (!file)
        return NULL;
    const int fd = open_descriptor(name, given);
    if (fd >= 0 && fstat(fd, &info) == 0 && (given || S_ISREG(info.st_mode))) {
        file->bytes = given ? *given : (region){.size = (uint64_t)info.st_size};
        file->bytes.fd = fd;
        file->device = info.st_dev;
        file->inode = info.st_ino;
        return &file->common;
    }
    if (fd >= 0)
        close(fd);
    free(file);
    return NULL;
}

static herr_t region_close(H5FD_t *common)
{
    region_file *file = (region_file *)common;
    const int result = close(file->bytes.fd);
    free(file);
    return result;
}

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int region_compare(const H5FD_t *common_a, const H5FD_t *common_b)
{
    const region_file *a = (const region_file *)common_a, *b = (const region_file *)common_b;
    int result = order(a->device, b->device);
    if (result == 0)
        result = order(a->inode, b->inode);
    if (result == 0)
        result = order(a->bytes.offset, b->bytes.offset);
    return result ? result : order(a->bytes.size, b->bytes.size);
}

static herr_t region_query(const H5FD_t *common, unsigned long *flags)
{
    (void)common;
    *flags = H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE;
#ifdef H5FD_FEAT_DEFAULT_VFD_COMPATIBLE
    *flags |= H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
#endif
    return 0;
}

static haddr_t region_get_eoa(const H5FD_t *common, H5FD_mem_t type)
{
    (void)type;
    return ((const region_file *)common)->end;
}

static herr_t region_set_eoa(H5FD_t *common, H5FD_mem_t type, haddr_t end)
{
    (void)type;
    ((region_file *)common)->end = end;
    return 0;
}

static haddr_t region_get_eof(const H5FD_t *common, H5FD_mem_t type)
{
    (void)type;
    return ((const region_file *)common)->bytes.size;
}

/* Bytes past the end are zeros, as in a file with a hole there. */
static herr_t region_read(H5FD_t *common, H5FD_mem_t type, hid_t plist, haddr_t from, size_t size, void *buffer)
{
    (void)plist;
    if (tap.open && type == H5FD_MEM_DRAW) {
        tap.from = from;
        tap.size = size;
        tap.reads++;
        return 0;
    }
    const region *bytes = &((const region_file *)common)->bytes;
    const uint64_t there = from < bytes->size ? bytes->size - from : 0;
    const size_t wanted = size < there ? size : (size_t)there;
    const ssize_t done = vr_read_whole(bytes->fd, buffer, wanted, bytes->offset + from);
    if (done < 0)
        return -1;
    memset((char *)buffer + done, 0, size - (size_t)done);
    return 0;
}

static herr_t region_write(H5FD_t *common, H5FD_mem_t type, hid_t plist, haddr_t to, size_t size, const void *buffer)
{
    (void)common, (void)type, (void)plist, (void)to, (void)size, (void)buffer;
    return -1;
}

static hid_t region_driver(void)
{
    static const H5FD_class_t class = {
#ifdef H5FD_CLASS_VERSION
        .version = H5FD_CLASS_VERSION,
#endif
#if H5_VERSION_GE(1, 13, 0)
        .value = (H5FD_class_value_t)600, /* of those left to everybody */
#endif
        .name = "varanalyze region",
        .maxaddr = ((haddr_t)1 << 63) - 1,
        .fc_degree = H5F_CLOSE_WEAK,
        .terminate = forget_driver,
        .fapl_size = sizeof(region),
        .open = region_open,
        .close = region_close,
        .cmp = region_compare,
        .query = region_query,
        .get_eoa = region_get_eoa,
        .set_eoa = region_set_eoa,
        .get_eof = region_get_eof,
        .read = region_read,
        .write = region_write,
        .fl_map = H5FD_FLMAP_DICHOTOMY,
    };
    if (driver < 0)
        driver = H5FDregister(&class);
    return driver;
}

static ssize_t read_start(const region *bytes, uint64_t at, void *out, size_t size)
{
    const uint64_t there = at < bytes->size ? bytes->size - at : 0;
    return pread(bytes->fd, out, size < there ? size : (size_t)there, (off_t)(bytes->offset + at));
}

/* The superblock begins with its signature at 0, or behind a user block of 512, 1024, 2048, ... bytes. */
static bool has_signature(const region *bytes)
{
    static const char signature[8] = "\x89HDF\r\n\x1a\n";
    char start[8];
    for (uint64_t at = 0; at < bytes->size; at = at ? at * 2 : 512)
        if (read_start(bytes, at, start, 8) == 8 && memcmp(start, signature, 8) == 0)
            return true;
    return false;
}

/* What bytes that are not HDF5 seem to be: "it is a JPEG image", or what they start with. */
static void describe(char out[64], const region *bytes)
{
    static const struct {
        const char *start, *what;
        size_t length;
    } known[] = {
        {"\xff\xd8\xff", "a JPEG image", 3},
        {"\x89PNG", "a PNG image", 4},
        {"PK", "a zip archive", 2},
        {"\x1f\x8b", "gzip data", 2},
        {"%PDF", "a PDF document", 4},
        {"\x28\xb5\x2f\xfd", "zstd data", 4},
        {"\xfd"
         "7zXZ",
         "xz data", 5},
        {"\x7f"
         "ELF",
         "a program", 4},
    };
    unsigned char start[8] = {0};
    const ssize_t n = read_start(bytes, 0, start, sizeof start);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (n >= (ssize_t)known[i].length && memcmp(start, known[i].start, known[i].length) == 0) {
            snprintf(out, 64, "it is %s", known[i].what);
            return;
        }
    int used = snprintf(out, 64, "it starts with \"");
    for (ssize_t i = 0; i < n; i++)
        used += snprintf(out + used, 64 - (size_t)used, isprint(start[i]) ? "%c" : "\\x%02x", start[i]);
    snprintf(out + used, 64 - (size_t)used, "\"");
}

static vr_status open_region(hid_t *out, const region *bytes, const char *name)
{
    const hid_t plist = H5Pcreate(H5P_FILE_ACCESS);
    if (plist >= 0 && region_driver() >= 0 && H5Pset_driver(plist, driver, bytes) >= 0)
        *out = H5Fopen(name, H5F_ACC_RDONLY, plist);
    vr_status status = VR_OK;
    if (*out < 0) /* the reason first: the next call of the library forgets it */
        status = vr_fail(VR_ERROR_FORMAT, "%s: damaged or cut-off HDF5 file: %s", name, vr_h5_reason());
    H5Pclose(plist);
    return status;
}

void vr_h5_follow(bool follow)
{
    following = follow;
}

vr_status vr_h5_open(hid_t *out, int fd, uint64_t offset, uint64_t size, const char *name)
{
    const region bytes = {fd, offset, size};
    char what[64];
    *out = H5I_INVALID_HID;
    if (!has_signature(&bytes)) {
        describe(what, &bytes);
        return vr_fail(VR_ERROR_FORMAT, "%s: not an HDF5 file: %s", name, what);
    }
    const vr_h5_quiet quiet = vr_h5_quiet_begin();
    const vr_status status = open_region(out, &bytes, name);
    vr_h5_quiet_end(quiet);
    return status;
}

bool vr_h5_has_places(hid_t object)
{
    const hid_t file = H5Iget_file_id(object), plist = file < 0 ? -1 : H5Fget_access_plist(file);
    const bool own = plist >= 0 && driver >= 0 && H5Pget_driver(plist) == driver;
    if (plist >= 0)
        H5Pclose(plist);
    if (file >= 0)
        H5Fclose(file);
    return own;
}

vr_status vr_h5_chunk_find(vr_h5_chunk *out, hid_t dataset, const hsize_t *start)
{
    char unused[1];
    hsize_t stored = 1;
    *out = (vr_h5_chunk){0};
    const vr_h5_quiet quiet = vr_h5_quiet_begin();
    tap.open = true;
    tap.reads = 0;
    const bool found = H5Dread_chunk(dataset, H5P_DEFAULT, start, &out->skipped, unused) >= 0;
    tap.open = false;
    if (!found) /* that a chunk is absent may count as a failure, but then too it has no bytes */
        H5Dget_chunk_storage_size(dataset, start, &stored);
    vr_status status = VR_OK;
    if (found && tap.reads == 1)
        *out = (vr_h5_chunk){.offset = tap.from, .bytes = tap.size, .skipped = out->skipped};
    else if (found || stored)
        status = vr_fail(VR_ERROR_FORMAT, "cannot find a chunk: %s", vr_h5_reason());
    vr_h5_quiet_end(quiet);
    return status;
}

vr_h5_quiet vr_h5_quiet_begin(void)
{
    vr_h5_quiet quiet = {0};
    H5Eget_auto2(H5E_DEFAULT, &quiet.report, &quiet.data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return quiet;
}

void vr_h5_quiet_end(vr_h5_quiet quiet)
{
    H5Eset_auto2(H5E_DEFAULT, quiet.report, quiet.data);
}

static herr_t keep_first(unsigned n, const H5E_error2_t *error, void *out)
{
    if (n == 0 && error->desc)
        snprintf(out, 256, "%s", error->desc);
    return 0;
}

const char *vr_h5_reason(void)
{
    static _Thread_local char reason[256];
    snprintf(reason, sizeof reason, "no reason given");
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, reason);
    return reason;
}
