#include <varanalyze/idx.h>

#include "fail.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define BUFFER_SIZE   (64 * 1024)
#define FIRST_STEP    ((size_t)64 * 1024) /* of the array; doubled for as long as data arrives */
#define INFLATE_LIMIT (1 << 30)           /* zlib counts in unsigned int */

/* Bytes in order, from a file or from memory, decompressed when they are gzip. */
struct source {
    const char *name;
    int fd; /* -1: everything is at `next` already */
    unsigned char *buffer;
    const unsigned char *next;
    size_t left;
    bool gzip, finished;
    z_stream stream;
};

/* Has at least `wanted` bytes at `next`, fewer only at the end of the file. */
static vr_status fill(struct source *source, size_t wanted)
{
    if (source->fd < 0 || source->left >= wanted)
        return VR_OK;
    memmove(source->buffer, source->next, source->left);
    source->next = source->buffer;
    while (source->left < wanted) {
        const ssize_t got = read(source->fd, source->buffer + source->left, BUFFER_SIZE - source->left);
        if (got < 0 && errno != EINTR)
            return vr_fail_errno(errno, "%s: cannot read", source->name);
        if (got == 0)
            break;
        if (got > 0)
            source->left += (size_t)got;
    }
    return VR_OK;
}

static bool at_gzip_header(const struct source *source)
{
    return source->left >= 2 && source->next[0] == 0x1f && source->next[1] == 0x8b;
}

static vr_status detect_gzip(struct source *source)
{
    const vr_status status = fill(source, 2);
    if (status != VR_OK || !at_gzip_header(source))
        return status;
    if (inflateInit2(&source->stream, 16 + MAX_WBITS) != Z_OK)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", source->name);
    source->gzip = true;
    return VR_OK;
}

/* A gzip member has ended: goes on to the next one, or finishes. */
static vr_status next_member(struct source *source)
{
    const vr_status status = fill(source, 2);
    if (status != VR_OK)
        return status;
    source->finished = source->left == 0;
    if (source->finished)
        return VR_OK;
    if (!at_gzip_header(source))
        return vr_fail(VR_ERROR_FORMAT, "%s: the gzip stream is followed by other bytes; cut them off or copy it again",
                       source->name);
    inflateReset(&source->stream);
    return VR_OK;
}

static vr_status take_plain(struct source *source, unsigned char *out, size_t wanted, size_t *taken)
{
    const vr_status status = fill(source, 1);
    if (status != VR_OK)
        return status;
    *taken = source->left < wanted ? source->left : wanted;
    if (*taken == 0) {
        source->finished = true;
        return VR_OK;
    }
    memcpy(out, source->next, *taken);
    source->next += *taken;
    source->left -= *taken;
    return VR_OK;
}

static vr_status take_inflated(struct source *source, unsigned char *out, size_t wanted, size_t *taken)
{
    const vr_status status = fill(source, 1);
    if (status != VR_OK)
        return status;
    z_stream *stream = &source->stream;
    const uInt input = source->left < INFLATE_LIMIT ? (uInt)source->left : INFLATE_LIMIT;
    const uInt room = wanted < INFLATE_LIMIT ? (uInt)wanted : INFLATE_LIMIT;
    stream->next_in = (Bytef *)source->next; /* zlib only reads there */
    stream->avail_in = input;
    stream->next_out = out;
    stream->avail_out = room;

    const int code = inflate(stream, Z_NO_FLUSH);
    source->next += input - stream->avail_in;
    source->left -= input - stream->avail_in;
    *taken = room - stream->avail_out;
    switch (code) {
    case Z_OK:
        return VR_OK;
    case Z_STREAM_END:
        return next_member(source);
    case Z_BUF_ERROR: /* there is room, so it is input that lacks */
        return vr_fail(VR_ERROR_FORMAT, "%s: the gzip stream is cut short; copy it again", source->name);
    case Z_MEM_ERROR:
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", source->name);
    default:
        return vr_fail(VR_ERROR_FORMAT, "%s: the gzip stream is damaged (%s); copy it again", source->name,
                       stream->msg ? stream->msg : "invalid data");
    }
}

/* The next `wanted` bytes; fewer only at the end. */
static vr_status take(struct source *source, void *out, size_t wanted, size_t *got)
{
    *got = 0;
    while (*got < wanted && !source->finished) {
        unsigned char *rest = (unsigned char *)out + *got;
        size_t taken = 0;
        const vr_status status = source->gzip ? take_inflated(source, rest, wanted - *got, &taken)
                                              : take_plain(source, rest, wanted - *got, &taken);
        if (status != VR_OK)
            return status;
        *got += taken;
    }
    return VR_OK;
}

/* What to do about a file that is something else, by its first bytes. */
static const char *remedy(const unsigned char *start, size_t size)
{
    static const struct {
        const char *start, *remedy;
    } kinds[] = {
        {"PK", "was a zip meant? unzip it first"},
        {"BZh", "was bzip2 meant? bunzip2 it first"},
        {"\xfd\x37zX", "was xz meant? unxz it first"},
        {"\x28\xb5\x2f\xfd", "was zstd meant? unzstd it first"},
        {"\x1f\x8b", "it was compressed twice; gunzip it first"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const size_t length = strlen(kinds[i].start);
        if (size >= length && memcmp(start, kinds[i].start, length) == 0)
            return kinds[i].remedy;
    }
    return "give a file that starts with two zero bytes, a type and a rank";
}

static vr_status fail_not_idx(const struct source *source, const unsigned char *start, size_t size)
{
    char text[4 * 4 + 1];
    char *end = text;
    for (size_t i = 0; i < size && i < 4; i++) {
        const bool printable = start[i] >= ' ' && start[i] <= '~' && start[i] != '"' && start[i] != '\\';
        end += sprintf(end, printable ? "%c" : "\\x%02x", start[i]);
    }
    return vr_fail(VR_ERROR_FORMAT, "%s: not an IDX file (%s with \"%s\"); %s", source->name,
                   source->gzip ? "unpacked, it starts" : "starts", text, remedy(start, size));
}

static vr_status dtype_of(vr_dtype *out, unsigned char code, const char *name)
{
    switch (code) {
    case 0x08:
        *out = VR_U8;
        return VR_OK;
    case 0x09:
        *out = VR_I8;
        return VR_OK;
    case 0x0b:
        *out = VR_I16;
        return VR_OK;
    case 0x0c:
        *out = VR_I32;
        return VR_OK;
    case 0x0d:
        *out = VR_F32;
        return VR_OK;
    case 0x0e:
        *out = VR_F64;
        return VR_OK;
    default:
        return vr_fail(VR_ERROR_FORMAT,
                       "%s: unknown IDX type 0x%02x; known are 0x08 (u8), 0x09 (i8), 0x0b (i16), 0x0c (i32), 0x0d "
                       "(f32) and 0x0e (f64)",
                       name, code);
    }
}

/* Sets the count from the shape. It is 0 when any size is, whatever the others are. */
static vr_status count_elements(vr_idx *array, const char *name)
{
    const int64_t most = PTRDIFF_MAX / (int64_t)vr_dtype_size(array->dtype);
    bool overflow = false;
    array->count = 1;
    for (int i = 0; i < array->rank; i++) {
        if (array->shape[i] == 0) {
            array->count = 0;
            return VR_OK;
        }
        overflow = overflow || array->shape[i] > most / array->count;
        if (!overflow)
            array->count *= array->shape[i];
    }
    if (overflow)
        return vr_fail(VR_ERROR_SHAPE,
                       "%s: the sizes in its header multiply to more than memory can hold; is it damaged?", name);
    return VR_OK;
}

static vr_status read_header(vr_idx *array, struct source *source)
{
    unsigned char magic[4], sizes[VR_IDX_MAX_RANK * 4];
    size_t got;
    vr_status status = take(source, magic, sizeof magic, &got);
    if (status != VR_OK)
        return status;
    if (got == 0)
        return vr_fail(VR_ERROR_FORMAT, "%s: empty, not an IDX file; copy it again", source->name);
    if (magic[0] != 0 || (got > 1 && magic[1] != 0))
        return fail_not_idx(source, magic, got);
    if (got < sizeof magic)
        return vr_fail(VR_ERROR_FORMAT, "%s: ends inside its IDX header, after %zu bytes; copy it again", source->name,
                       got);

    status = dtype_of(&array->dtype, magic[2], source->name);
    if (status != VR_OK)
        return status;
    array->rank = magic[3];
    if (array->rank < 1 || array->rank > VR_IDX_MAX_RANK)
        return vr_fail(VR_ERROR_FORMAT, "%s: IDX rank %d; only ranks 1 to %d can be read", source->name, array->rank,
                       VR_IDX_MAX_RANK);

    const size_t wanted = (size_t)array->rank * 4;
    status = take(source, sizes, wanted, &got);
    if (status != VR_OK)
        return status;
    if (got < wanted)
        return vr_fail(VR_ERROR_FORMAT, "%s: ends inside its IDX header, after %zu of %zu bytes; copy it again",
                       source->name, sizeof magic + got, sizeof magic + wanted);
    for (int i = 0; i < array->rank; i++) {
        const unsigned char *size = sizes + 4 * i;
        array->shape[i] = (int64_t)size[0] << 24 | (int64_t)size[1] << 16 | (int64_t)size[2] << 8 | size[3];
    }
    return count_elements(array, source->name);
}

/* The elements as they stand in the file. The memory grows with what arrives: the header's word is not enough. */
static vr_status read_elements(vr_idx *array, struct source *source)
{
    const size_t wanted = (size_t)array->count * vr_dtype_size(array->dtype);
    size_t capacity = 0, held = 0;
    do {
        const size_t step = capacity == 0 ? FIRST_STEP : 2 * capacity;
        capacity = step < wanted ? step : wanted;
        void *data = realloc(array->data, capacity > 0 ? capacity : 1);
        if (!data)
            return vr_fail(VR_ERROR_MEMORY, "%s: out of memory (%zu bytes needed)", source->name, wanted);
        array->data = data;

        size_t got;
        const vr_status status = take(source, (char *)data + held, capacity - held, &got);
        if (status != VR_OK)
            return status;
        held += got;
        if (held < capacity)
            return vr_fail(VR_ERROR_FORMAT, "%s: ends after %zu of %zu bytes of elements; copy it again", source->name,
                           held, wanted);
    } while (held < wanted);

    unsigned char extra;
    size_t got;
    const vr_status status = take(source, &extra, 1, &got); /* at the end of a gzip stream: checks its sum */
    if (status == VR_OK && got > 0)
        return vr_fail(VR_ERROR_FORMAT,
                       "%s: goes on after the %zu bytes of elements that its header tells of; is it damaged?",
                       source->name, wanted);
    return status;
}

static void from_big_endian(vr_idx *array)
{
    const size_t size = vr_dtype_size(array->dtype);
    unsigned char *element = array->data;
    for (int64_t i = 0; i < array->count; i++, element += size) {
        uint64_t value = 0;
        for (size_t k = 0; k < size; k++)
            value = value << 8 | element[k];
        const uint16_t value16 = (uint16_t)value;
        const uint32_t value32 = (uint32_t)value;
        if (size == 2)
            memcpy(element, &value16, size);
        else if (size == 4)
            memcpy(element, &value32, size);
        else if (size == 8)
            memcpy(element, &value, size);
    }
}

static vr_status read_array(vr_idx *out, struct source *source)
{
    vr_idx array = {0};
    vr_status status = detect_gzip(source);
    if (status == VR_OK)
        status = read_header(&array, source);
    if (status == VR_OK)
        status = read_elements(&array, source);
    if (source->gzip)
        inflateEnd(&source->stream);
    if (status != VR_OK) {
        vr_idx_free(&array);
        return status;
    }
    from_big_endian(&array);
    *out = array;
    return VR_OK;
}

vr_status vr_idx_read(vr_idx *out, const char *path)
{
    *out = (vr_idx){0};
    struct source source = {.name = path};
    source.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (source.fd < 0)
        return vr_fail_errno(errno, "%s: cannot open", path);
    source.buffer = malloc(BUFFER_SIZE);
    source.next = source.buffer;
    const vr_status status =
        source.buffer ? read_array(out, &source) : vr_fail(VR_ERROR_MEMORY, "%s: out of memory", path);
    free(source.buffer);
    close(source.fd);
    return status;
}

vr_status vr_idx_parse(vr_idx *out, const void *bytes, size_t size, const char *name)
{
    *out = (vr_idx){0};
    struct source source = {.name = name, .fd = -1, .next = bytes, .left = size};
    return read_array(out, &source);
}

void vr_idx_free(vr_idx *array)
{
    if (!array)
        return;
    free(array->data);
    *array = (vr_idx){0};
}
