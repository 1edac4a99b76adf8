#include "decompress.h"

#include "fail.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define BLOCK (256 << 10)

static const struct compression {
    const char *name, *start;
    size_t length;
    int filter;
} compressions[] = {
    {"gzip", "\x1f\x8b\x08", 3, ARCHIVE_FILTER_GZIP}, {"zstd", "\x28\xb5\x2f\xfd", 4, ARCHIVE_FILTER_ZSTD},
    {"xz", "\xfd\x37zXZ\0", 6, ARCHIVE_FILTER_XZ},    {"lz4", "\x04\x22\x4d\x18", 4, ARCHIVE_FILTER_LZ4},
    {"bzip2", "BZh", 3, ARCHIVE_FILTER_BZIP2},
};

/* "BZh" may begin a name, and so a tar archive: a digit and the mark of a block, or of the end, have to follow. */
static bool is_bzip2(const unsigned char *start, size_t bytes)
{
    return bytes >= 10 && start[3] >= '1' && start[3] <= '9' &&
           (memcmp(start + 4, "1AY&SY", 6) == 0 || memcmp(start + 4, "\x17rE8P\x90", 6) == 0);
}

static const struct compression *recognize(const void *start, size_t bytes)
{
    for (size_t i = 0; i < sizeof compressions / sizeof *compressions; i++)
        if (bytes >= compressions[i].length && memcmp(start, compressions[i].start, compressions[i].length) == 0)
            return compressions[i].filter != ARCHIVE_FILTER_BZIP2 || is_bzip2(start, bytes) ? &compressions[i] : NULL;
    return NULL;
}

const char *vr_compression(const void *start, size_t bytes)
{
    const struct compression *found = recognize(start, bytes);
    return found ? found->name : NULL;
}

/* A compressed file while it is read. */
typedef struct reader {
    int fd;
    const char *name;
    const struct compression *kind;
    uint64_t done, total;
    vr_progress progress;
    void *context;
    struct archive *archive; /* NULL for gzip, whose checksums libarchive does not look at: */
    z_stream stream;
    bool inflates, between; /* the stream is begun; one member has ended, and none follows so far */
    unsigned char block[BLOCK], plain[BLOCK];
} reader;

static vr_status damaged(const reader *in, const char *why)
{
    return vr_fail(VR_ERROR_FORMAT, "%s: damaged or cut-off %s data: %s", in->name, in->kind->name,
                   why ? why : "no reason given");
}

static vr_status nothing(const reader *in)
{
    return vr_fail(VR_ERROR_FORMAT, "%s: damaged, cut-off or empty %s data: nothing comes out of it", in->name,
                   in->kind->name);
}

static bool is_zero(const unsigned char *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* The next bytes of the file, into the block; 0 at its end, -1 on failure. */
static ssize_t read_block(reader *in)
{
    ssize_t n;
    do
        n = pread(in->fd, in->block, sizeof in->block, (off_t)in->done);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -1;
    in->done += (uint64_t)n;
    if (in->progress)
        in->progress(in->context, in->name, in->done, in->total);
    return n;
}

static la_ssize_t give_block(struct archive *archive, void *data, const void **block)
{
    reader *in = data;
    const ssize_t n = read_block(in);
    if (n < 0)
        archive_set_error(archive, errno, "%s", strerrordesc_np(errno));
    *block = in->block;
    return n;
}

static vr_status find_kind(reader *in)
{
    char start[VR_COMPRESSION_BYTES];
    struct stat file;
    const ssize_t n = pread(in->fd, start, sizeof start, 0);
    if (n < 0 || fstat(in->fd, &file) != 0)
        return vr_fail_errno(errno, "%s: cannot read", in->name);
    in->total = (uint64_t)file.st_size;
    in->kind = recognize(start, (size_t)n);
    return in->kind ? VR_OK : vr_fail(VR_ERROR_FORMAT, "%s: not a compressed file", in->name);
}

/* Only the compression that the file begins with is undone: what comes out is left as it is. */
static vr_status begin_archive(reader *in)
{
    struct archive_entry *entry;
    in->archive = archive_read_new();
    if (!in->archive)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", in->name);
    if (archive_read_append_filter(in->archive, in->kind->filter) != ARCHIVE_OK)
        return vr_fail(VR_ERROR_UNSUPPORTED, "%s: libarchive was built without %s; decompress it by hand", in->name,
                       in->kind->name);
    archive_read_support_format_raw(in->archive);
    /* Whatever is wrong at the start passes for an empty file, or for none. */
    if (archive_read_open(in->archive, in, NULL, give_block, NULL) != ARCHIVE_OK ||
        archive_read_next_header(in->archive, &entry) != ARCHIVE_OK)
        return nothing(in);
    return VR_OK;
}

static vr_status begin(reader *in)
{
    const vr_status status = find_kind(in);
    if (status != VR_OK || in->kind->filter != ARCHIVE_FILTER_GZIP)
        return status == VR_OK ? begin_archive(in) : status;
    in->inflates = inflateInit2(&in->stream, 15 + 16) == Z_OK; /* with a gzip header */
    return in->inflates ? VR_OK : vr_fail(VR_ERROR_MEMORY, "%s: out of memory", in->name);
}

/* Some filters take whatever follows their data for the end of the file. Zeros are fine: tapes have whole blocks. */
static vr_status check_end(reader *in)
{
    const la_int64_t used = archive_filter_bytes(in->archive, -1);
    if (used < 0 || (uint64_t)used >= in->total)
        return VR_OK;
    ssize_t n = 1;
    for (in->done = (uint64_t)used; n > 0;) {
        n = read_block(in);
        if (n < 0)
            return vr_fail_errno(errno, "%s: cannot read", in->name);
        if (n > 0 && !is_zero(in->block, (size_t)n))
            return vr_fail(VR_ERROR_FORMAT, "%s: damaged %s data: %llu bytes at the end are none", in->name,
                           in->kind->name, (unsigned long long)(in->total - (uint64_t)used));
    }
    return VR_OK;
}

static vr_status next_of_archive(reader *in, const void **bytes, size_t *size)
{
    la_int64_t at;
    const int result = archive_read_data_block(in->archive, bytes, size, &at);
    if (result == ARCHIVE_OK)
        return VR_OK;
    *size = 0;
    if (result == ARCHIVE_EOF)
        return check_end(in);
    if (archive_errno(in->archive) == ENOMEM)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", in->name);
    return damaged(in, archive_error_string(in->archive));
}

/* Makes `*more` false at the end of the file, which has to be that of a member. */
static vr_status fill_stream(reader *in, bool *more)
{
    const ssize_t n = read_block(in);
    if (n < 0)
        return vr_fail_errno(errno, "%s: cannot read", in->name);
    *more = n > 0;
    in->stream.next_in = in->block;
    in->stream.avail_in = (unsigned)n;
    return n > 0 || in->between ? VR_OK : damaged(in, "it ends too early");
}

/* Zeros behind a member are no data: tapes have whole blocks. */
static void skip_zeros(z_stream *stream)
{
    for (; stream->avail_in > 0 && *stream->next_in == 0; stream->avail_in--)
        stream->next_in++;
}

/* A gzip file is one member or several, one after the other. */
static vr_status next_of_stream(reader *in, const void **bytes, size_t *size)
{
    z_stream *stream = &in->stream;
    bool more = true;
    stream->next_out = in->plain;
    stream->avail_out = sizeof in->plain;
    while (stream->avail_out == sizeof in->plain) {
        const vr_status status = stream->avail_in ? VR_OK : fill_stream(in, &more);
        if (status != VR_OK)
            return status;
        if (!more)
            break;
        if (in->between) {
            skip_zeros(stream);
            if (stream->avail_in == 0)
                continue;
            inflateReset(stream);
        }
        const int result = inflate(stream, Z_NO_FLUSH);
        in->between = result == Z_STREAM_END;
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
            return damaged(in, stream->msg);
    }
    *bytes = in->plain;
    *size = sizeof in->plain - stream->avail_out;
    return VR_OK;
}

/* The next bytes that come out; none at the end. */
static vr_status next(reader *in, const void **bytes, size_t *size)
{
    return in->archive ? next_of_archive(in, bytes, size) : next_of_stream(in, bytes, size);
}

/* Where decompressed bytes go. */
typedef struct sink {
    int fd;
    bool on_disk;
    uint64_t size, limit;
} sink;

static const char *temporary_folder(void)
{
    const char *folder = getenv("TMPDIR");
    return folder && *folder ? folder : "/tmp";
}

static vr_status no_room(const reader *in, int error)
{
    return vr_fail_errno(error, "%s: cannot decompress it to %s (TMPDIR says where)", in->name, temporary_folder());
}

/* A file without a name, which is gone when it is closed. */
static int nameless_file(void)
{
    char *path = NULL;
    int fd = open(temporary_folder(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    if (asprintf(&path, "%s/varanalyze-XXXXXX", temporary_folder()) < 0)
        return -1;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    free(path);
    return fd;
}

/* 0, or an errno. */
static int write_all(int fd, const char *bytes, size_t size, uint64_t at)
{
    while (size > 0) {
        const ssize_t n = pwrite(fd, bytes, size, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        bytes += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

/* What was in memory so far goes on in a file. */
static vr_status move_to_disk(sink *to, const reader *in)
{
    const int fd = nameless_file();
    if (fd < 0)
        return no_room(in, errno);
    int error = 0;
    void *memory = to->size ? mmap(NULL, to->size, PROT_READ, MAP_SHARED, to->fd, 0) : NULL;
    if (memory == MAP_FAILED)
        error = errno;
    else if (memory) {
        error = write_all(fd, memory, to->size, 0);
        munmap(memory, to->size);
    }
    close(to->fd);
    to->fd = fd;
    to->on_disk = true;
    return error ? no_room(in, error) : VR_OK;
}

static vr_status put(sink *to, const reader *in, const void *bytes, size_t size)
{
    vr_status status = VR_OK;
    if (!to->on_disk && size > to->limit - to->size)
        status = move_to_disk(to, in);
    const int error = status == VR_OK ? write_all(to->fd, bytes, size, to->size) : 0;
    if (error)
        status = no_room(in, error);
    to->size += size;
    return status;
}

static vr_status copy_all(sink *to, reader *in)
{
    const void *bytes;
    size_t size;
    vr_status status = next(in, &bytes, &size);
    while (status == VR_OK && size > 0) {
        status = put(to, in, bytes, size);
        if (status == VR_OK)
            status = next(in, &bytes, &size);
    }
    return status == VR_OK && to->size == 0 ? nothing(in) : status;
}

static reader *new_reader(int fd, const char *name, vr_progress progress, void *context)
{
    reader *in = calloc(1, sizeof *in);
    if (!in) {
        vr_fail(VR_ERROR_MEMORY, "%s: out of memory", name);
        return NULL;
    }
    in->fd = fd;
    in->name = name;
    in->progress = progress;
    in->context = context;
    return in;
}

static void free_reader(reader *in)
{
    archive_read_free(in->archive);
    if (in->inflates)
        inflateEnd(&in->stream);
    free(in);
}

vr_status vr_decompress(int *out, uint64_t *size, int fd, const char *name, uint64_t limit, vr_progress progress,
                        void *context)
{
    reader *in = new_reader(fd, name, progress, context);
    if (!in)
        return VR_ERROR_MEMORY;
    sink to = {.fd = memfd_create("varanalyze", MFD_CLOEXEC), .limit = limit};
    vr_status status = to.fd < 0 ? vr_fail_errno(errno, "%s: cannot decompress it", name) : begin(in);
    if (status == VR_OK)
        status = copy_all(&to, in);
    free_reader(in);
    if (status != VR_OK) {
        if (to.fd >= 0)
            close(to.fd);
        return status;
    }
    *out = to.fd;
    *size = to.size;
    return VR_OK;
}

vr_status vr_decompress_start(void *out, size_t *bytes, int fd, const char *name)
{
    reader *in = new_reader(fd, name, NULL, NULL);
    if (!in)
        return VR_ERROR_MEMORY;
    const size_t wanted = *bytes;
    const void *more;
    size_t size = 1;
    vr_status status = begin(in);
    for (*bytes = 0; status == VR_OK && size > 0 && *bytes < wanted; *bytes += size) {
        status = next(in, &more, &size);
        size = status != VR_OK ? 0 : size < wanted - *bytes ? size : wanted - *bytes;
        if (size > 0)
            memcpy((char *)out + *bytes, more, size);
    }
    free_reader(in);
    return status;
}
