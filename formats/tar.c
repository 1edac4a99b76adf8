#include "tar.h"

#include "fail.h"
#include "tar_block.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_EXTRA 1048576                /* bytes of a long name or a pax header */
#define WINDOW     (MOST_EXTRA + 2 * 512) /* room for bytes of the file that were read at once */
#define MANY       262144                 /* read so many when headers lie close together, */
#define FEW        8192                   /* so many when the next one is */
#define FAR        32768                  /* further away than this */

/* Text that is kept from one header to the next. */
typedef struct word {
    char *text;
    size_t room;
    bool set;
} word;

/* What pax and GNU headers say about the members behind them. */
typedef struct extras {
    word path, link, sparse_name;
    bool has_size, has_mtime, sparse;
    uint64_t size;
    int64_t mtime;
} extras;

struct vr_tar {
    int fd;
    uint64_t size;
    char *label;
    uint64_t at, end; /* of the next header; of the archive */
    unsigned char *window;
    uint64_t window_at, window_bytes;
    uint64_t last; /* where the window was last looked into */
    vr_tar_block block;
    extras global, local;
    bool pax; /* a pax header was seen */
    char name[sizeof(((vr_tar_block *)0)->prefix) + 102], link[101];
};

static vr_status damaged(const vr_tar *tar, uint64_t at, const char *what)
{
    if (at == 0)
        return vr_fail(VR_ERROR_FORMAT, "%s: not a tar archive (%s)", tar->label, what);
    return vr_fail(VR_ERROR_FORMAT, "%s: damaged tar archive: offset %" PRIu64 ": %s", tar->label, at, what);
}

/* Makes the window begin at `at`; at least `bytes` are in it then. */
static vr_status fill_window(vr_tar *tar, uint64_t at, uint64_t bytes)
{
    const uint64_t ahead = at >= tar->last && at - tar->last < FAR ? MANY : FEW;
    const uint64_t left = tar->size - at, wanted = bytes > ahead ? bytes : ahead;
    const uint64_t limit = wanted < left ? wanted : left;
    tar->window_at = at;
    tar->window_bytes = 0;
    while (tar->window_bytes < limit) {
        const ssize_t n =
            pread(tar->fd, tar->window + tar->window_bytes, limit - tar->window_bytes, (off_t)(at + tar->window_bytes));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return vr_fail_errno(errno, "%s: cannot read", tar->label);
        if (n == 0)
            break;
        tar->window_bytes += (uint64_t)n;
    }
    return tar->window_bytes < bytes ? damaged(tar, at, "the file is cut off here") : VR_OK;
}

/* Bytes [at, at + bytes), at most MOST_EXTRA, valid until the next call. */
static vr_status look(vr_tar *tar, uint64_t at, uint64_t bytes, const unsigned char **out)
{
    if (at > tar->size || bytes > tar->size - at)
        return damaged(tar, at, "the file is cut off here");
    if (at < tar->window_at || at - tar->window_at > tar->window_bytes ||
        bytes > tar->window_bytes - (at - tar->window_at)) {
        const vr_status status = fill_window(tar, at, bytes);
        if (status != VR_OK)
            return status;
    }
    tar->last = at;
    *out = tar->window + (at - tar->window_at);
    return VR_OK;
}

/* A field in octal, padded with spaces or zeros, or, by GNU, a big-endian number behind a byte of 0x80 or 0xff. */
static bool parse_number(const char *field, size_t length, int64_t *out)
{
    const unsigned char *bytes = (const unsigned char *)field;
    if (bytes[0] & 0x80) {
        int64_t value = bytes[0] & 0x40 ? -1 : bytes[0] & 0x3f;
        for (size_t i = 1; i < length; i++) {
            if (value > INT64_MAX >> 8 || value < INT64_MIN >> 8)
                return false;
            value = value * 256 + bytes[i];
        }
        *out = value;
        return bytes[0] == 0x80 || bytes[0] == 0xff;
    }
    uint64_t value = 0;
    size_t i = 0;
    while (i < length && bytes[i] == ' ')
        i++;
    for (; i < length && bytes[i] >= '0' && bytes[i] <= '7'; i++) /* 12 digits at most: 36 bits */
        value = value * 8 + (bytes[i] - '0');
    *out = (int64_t)value;
    return i == length || bytes[i] == ' ' || bytes[i] == 0;
}

static bool is_zero(const unsigned char *block)
{
    return block[0] == 0 && memcmp(block, block + 1, VR_TAR_BLOCK - 1) == 0;
}

static bool is_header(const vr_tar_block *block)
{
    int64_t check;
    int with_signed;
    const unsigned sum = vr_tar_sum(block, &with_signed);
    return parse_number(block->check, sizeof block->check, &check) && (check == sum || check == with_signed);
}

static bool is_posix(const vr_tar_block *block)
{
    return memcmp(block->magic, "ustar", 6) == 0;
}

static bool is_gnu(const vr_tar_block *block)
{
    return memcmp(block->magic, "ustar  ", 8) == 0;
}

static vr_status set_word(word *to, const void *bytes, size_t length)
{
    if (to->room <= length) {
        char *text = realloc(to->text, length + 1);
        if (!text)
            return vr_fail(VR_ERROR_MEMORY, "out of memory");
        to->text = text;
        to->room = length + 1;
    }
    memcpy(to->text, bytes, length);
    to->text[length] = 0;
    to->set = true;
    return VR_OK;
}

/* Decimal digits; false where there is anything else or the number is above `most`. */
static bool parse_digits(const char *text, size_t length, uint64_t most, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < length; i++) {
        const uint64_t digit = (uint64_t)(text[i] - '0');
        if (text[i] < '0' || text[i] > '9' || value > (most - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return length > 0;
}

/* Seconds with an optional sign and fraction, rounded down. */
static bool parse_time(const char *text, size_t length, int64_t *out)
{
    uint64_t seconds;
    const bool negative = length > 0 && text[0] == '-';
    text += negative;
    length -= negative;
    const char *point = memchr(text, '.', length);
    const size_t whole = point ? (size_t)(point - text) : length;
    if (!parse_digits(text, whole, INT64_MAX - 1, &seconds))
        return false;
    bool fraction = false;
    for (size_t i = whole + 1; i < length; i++)
        fraction |= text[i] != '0';
    *out = negative ? -(int64_t)seconds - fraction : (int64_t)seconds;
    return true;
}

/* An empty value takes the key back. */
static vr_status set_text(vr_tar *tar, uint64_t at, word *to, const char *value, size_t length)
{
    if (memchr(value, 0, length))
        return damaged(tar, at, "a name with a zero byte in it");
    const vr_status status = set_word(to, value, length);
    to->set = length > 0;
    return status;
}

static bool is_key(const char *key, size_t length, const char *text)
{
    return length == strlen(text) && memcmp(key, text, length) == 0;
}

static vr_status take_record(vr_tar *tar, uint64_t at, extras *to, const char *key, size_t key_length,
                             const char *value, size_t length)
{
    if (is_key(key, key_length, "path"))
        return set_text(tar, at, &to->path, value, length);
    if (is_key(key, key_length, "linkpath"))
        return set_text(tar, at, &to->link, value, length);
    if (is_key(key, key_length, "GNU.sparse.name")) {
        to->sparse = true;
        return set_text(tar, at, &to->sparse_name, value, length);
    }
    if (is_key(key, key_length, "size")) {
        to->has_size = length > 0;
        if (length > 0 && !parse_digits(value, length, INT64_MAX, &to->size))
            return damaged(tar, at, "a pax header with a size that is no number");
    } else if (is_key(key, key_length, "mtime")) {
        to->has_mtime = length > 0 && parse_time(value, length, &to->mtime);
    } else if (key_length > 11 && memcmp(key, "GNU.sparse.", 11) == 0) {
        to->sparse = true;
    }
    return VR_OK;
}

/* Records of "LENGTH KEY=VALUE\n", LENGTH counting all of it. */
static vr_status take_pax(vr_tar *tar, uint64_t at, extras *to, const char *text, size_t size)
{
    tar->pax = true;
    while (size > 0 && text[0] != 0) {
        uint64_t length;
        const char *space = memchr(text, ' ', size < 20 ? size : 20);
        if (!space || !parse_digits(text, (size_t)(space - text), size, &length) ||
            length < (size_t)(space - text) + 3 || text[length - 1] != '\n')
            return damaged(tar, at, "a pax header that is no list of records");
        const char *key = space + 1, *stop = text + length - 1;
        const char *equals = memchr(key, '=', (size_t)(stop - key));
        if (!equals)
            return damaged(tar, at, "a pax record without a value");
        const vr_status status =
            take_record(tar, at, to, key, (size_t)(equals - key), equals + 1, (size_t)(stop - equals - 1));
        if (status != VR_OK)
            return status;
        text += length;
        size -= length;
    }
    return VR_OK;
}

/* A header that only says something about the one behind it, at `at`, with `size` bytes of data. */
static vr_status take_extra(vr_tar *tar, uint64_t at, char type, uint64_t size)
{
    const unsigned char *bytes;
    if (size > MOST_EXTRA)
        return damaged(tar, at, "an extended header of more than 1 MiB");
    vr_status status = look(tar, at + VR_TAR_BLOCK, size, &bytes);
    if (status != VR_OK)
        return status;
    if (type == 'L' || type == 'K')
        return set_word(type == 'L' ? &tar->local.path : &tar->local.link, bytes, strnlen((const char *)bytes, size));
    return take_pax(tar, at, type == 'g' ? &tar->global : &tar->local, (const char *)bytes, size);
}

static bool is_extra(char type)
{
    return type == 'L' || type == 'K' || type == 'x' || type == 'X' || type == 'g';
}

/* The header at `at` into tar->block and its size field into `size`; a zero block or the end of the file: not found. */
static vr_status read_header(vr_tar *tar, uint64_t at, uint64_t *size, bool *found)
{
    const unsigned char *bytes;
    int64_t number;
    *found = false;
    if (at >= tar->size)
        return VR_OK;
    if (tar->size - at < VR_TAR_BLOCK)
        return damaged(tar, at, "cut off within a header");
    const vr_status status = look(tar, at, VR_TAR_BLOCK, &bytes);
    if (status != VR_OK)
        return status;
    if (is_zero(bytes))
        return VR_OK;
    memcpy(&tar->block, bytes, sizeof tar->block);
    if (!is_header(&tar->block))
        return damaged(tar, at, "no header here: its checksum is wrong");
    if (!parse_number(tar->block.size, sizeof tar->block.size, &number) || number < 0)
        return damaged(tar, at, "a size that is no number");
    *size = (uint64_t)number;
    *found = true;
    return VR_OK;
}

static void forget(extras *local)
{
    local->path.set = local->link.set = local->sparse_name.set = false;
    local->has_size = local->has_mtime = local->sparse = false;
}

/* The name by the header alone. */
static const char *plain_name(vr_tar *tar)
{
    const vr_tar_block *block = &tar->block;
    size_t length = 0;
    if (is_posix(block) && block->prefix[0]) {
        length = strnlen(block->prefix, sizeof block->prefix);
        memcpy(tar->name, block->prefix, length);
        tar->name[length++] = '/';
    }
    const size_t rest = strnlen(block->name, sizeof block->name);
    memcpy(tar->name + length, block->name, rest);
    tar->name[length + rest] = 0;
    return tar->name;
}

static const char *plain_link(vr_tar *tar)
{
    const size_t length = strnlen(tar->block.link, sizeof tar->block.link);
    memcpy(tar->link, tar->block.link, length);
    tar->link[length] = 0;
    return tar->link;
}

/* Blocks of sparse entries follow a header of GNU's old sparse format; they come before the data. */
static vr_status skip_sparse_blocks(vr_tar *tar, vr_tar_member *member)
{
    bool more = tar->block.gnu.extended != 0;
    while (more) {
        const unsigned char *bytes;
        const vr_status status = look(tar, member->data, VR_TAR_BLOCK, &bytes);
        if (status != VR_OK)
            return status;
        more = bytes[VR_TAR_MORE_SPARSE] != 0;
        member->data += VR_TAR_BLOCK;
    }
    return VR_OK;
}

/* A hard link has contents in pax archives only, but some old writers give its size all the same. As libarchive: where
 * the format does not decide, a header right behind it does. */
static bool link_is_empty(vr_tar *tar, uint64_t data)
{
    const unsigned char *bytes;
    if (tar->pax)
        return false;
    if (!is_posix(&tar->block))
        return true;
    if (look(tar, data, VR_TAR_BLOCK, &bytes) != VR_OK)
        return true;
    return is_zero(bytes) || is_header((const vr_tar_block *)(const void *)bytes);
}

static char type_of(const vr_tar *tar, const char *name)
{
    const char type = tar->block.type;
    const size_t length = strlen(name);
    if (isalnum((unsigned char)type) && type != '0' && type != '7')
        return type;
    return length > 0 && name[length - 1] == '/' ? '5' : '0'; /* how the old tar marks a directory */
}

/* The member whose header is tar->block, at `at`. */
static vr_status describe(vr_tar *tar, vr_tar_member *out, uint64_t at, uint64_t size)
{
    const extras *local = &tar->local, *global = &tar->global;
    int64_t number;
    out->name = local->sparse_name.set ? local->sparse_name.text
                : local->path.set      ? local->path.text
                : global->path.set     ? global->path.text
                                       : plain_name(tar);
    out->link = local->link.set ? local->link.text : global->link.set ? global->link.text : plain_link(tar);
    out->type = type_of(tar, out->name);
    out->sparse = local->sparse || global->sparse;
    out->mode = parse_number(tar->block.mode, sizeof tar->block.mode, &number) ? (uint32_t)number & 07777 : 0;
    out->mtime = parse_number(tar->block.mtime, sizeof tar->block.mtime, &number) ? number : 0;
    if (local->has_mtime || global->has_mtime)
        out->mtime = local->has_mtime ? local->mtime : global->mtime;
    out->size = local->has_size ? local->size : global->has_size ? global->size : size;
    out->data = at + VR_TAR_BLOCK;
    if (out->type >= '2' && out->type <= '6')
        out->size = 0;
    if (out->type == '1' && out->size > 0 && link_is_empty(tar, out->data))
        out->size = 0;
    if (out->type != 'S')
        return VR_OK;
    out->type = '0';
    out->sparse = true;
    return is_gnu(&tar->block) || !is_posix(&tar->block) ? skip_sparse_blocks(tar, out) : VR_OK;
}

bool vr_tar_begins(const void *start, size_t bytes)
{
    if (bytes < VR_TAR_BLOCK)
        return false;
    const bool is_empty = bytes >= (size_t)2 * VR_TAR_BLOCK && bytes < VR_TAR_START && *(const char *)start == 0 &&
                          memcmp(start, (const char *)start + 1, bytes - 1) == 0;
    return is_empty || is_header(start);
}

vr_status vr_tar_open(vr_tar **out, int fd, uint64_t size, const char *name)
{
    vr_tar *tar = calloc(1, sizeof *tar);
    if (!tar)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", name);
    tar->fd = fd;
    tar->size = size < INT64_MAX ? size : INT64_MAX;
    tar->window = malloc(WINDOW);
    tar->label = strdup(name);
    if (!tar->window || !tar->label) {
        vr_tar_close(tar);
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", name);
    }
    *out = tar;
    return VR_OK;
}

static void free_extras(extras *of)
{
    free(of->path.text);
    free(of->link.text);
    free(of->sparse_name.text);
}

void vr_tar_close(vr_tar *tar)
{
    if (!tar)
        return;
    free_extras(&tar->global);
    free_extras(&tar->local);
    free(tar->window);
    free(tar->label);
    free(tar);
}

/* Extended headers up to the header of a member, whose offset and size field are given. */
static vr_status read_headers(vr_tar *tar, uint64_t *at, uint64_t *size, bool *found)
{
    bool dangling = false;
    for (;;) {
        vr_status status = read_header(tar, *at, size, found);
        if (status != VR_OK || (*found && !is_extra(tar->block.type)))
            return status;
        if (!*found)
            return dangling ? damaged(tar, *at, "the archive ends after a member's extended header") : VR_OK;
        const char type = tar->block.type == 'X' ? 'x' : tar->block.type;
        status = take_extra(tar, *at, type, *size);
        if (status != VR_OK)
            return status;
        dangling = dangling || type != 'g';
        *at += VR_TAR_BLOCK + vr_tar_round(*size);
    }
}

vr_status vr_tar_next(vr_tar *tar, vr_tar_member *out, bool *found)
{
    uint64_t at = tar->at, size = 0;
    forget(&tar->local);
    vr_status status = read_headers(tar, &at, &size, found);
    if (status != VR_OK)
        return status;
    if (!*found) {
        tar->end = tar->at = at;
        return VR_OK;
    }
    out->start = tar->at;
    status = describe(tar, out, at, size);
    if (status != VR_OK)
        return status;
    if (out->data > tar->size || out->size > tar->size - out->data)
        return damaged(tar, at, "the member reaches past the end of the file");
    tar->at = vr_tar_round(out->data + out->size);
    return VR_OK;
}

uint64_t vr_tar_end(const vr_tar *tar)
{
    return tar->end;
}

void vr_tar_seek(vr_tar *tar, uint64_t offset)
{
    tar->at = offset;
}
