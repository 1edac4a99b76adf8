#include "fail.h"
#include "tar.h"
#include "tar_block.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_OCTAL (((int64_t)1 << 33) - 1) /* eleven digits */

/* A number with leading zeros and a final NUL fills the field. */
static void set_octal(char *field, size_t size, uint64_t value)
{
    field[--size] = 0;
    while (size > 0) {
        field[--size] = (char)('0' + (value & 7));
        value >>= 3;
    }
}

static void finish_block(vr_tar_block *block)
{
    int with_signed;
    memcpy(block->magic, "ustar\00000", sizeof block->magic);
    set_octal(block->uid, sizeof block->uid, 0);
    set_octal(block->gid, sizeof block->gid, 0);
    set_octal(block->major, sizeof block->major, 0);
    set_octal(block->minor, sizeof block->minor, 0);
    set_octal(block->check, 7, vr_tar_sum(block, &with_signed));
    block->check[7] = ' ';
}

static size_t digits_of(size_t number)
{
    size_t digits = 1;
    for (; number >= 10; number /= 10)
        digits++;
    return digits;
}

/* Length of the record "LENGTH KEY=VALUE\n", which counts its own digits. */
static size_t record_length(size_t key, size_t value)
{
    const size_t rest = key + value + 3;
    size_t length = rest + 1;
    while (rest + digits_of(length) != length)
        length = rest + digits_of(length);
    return length;
}

static size_t add_record(char *out, const char *key, const char *value)
{
    const size_t length = record_length(strlen(key), strlen(value));
    if (out)
        snprintf(out, length + 1, "%zu %s=%s\n", length, key, value);
    return length;
}

/* The records a member needs, into `out` unless it is NULL; their length. */
static size_t add_records(char *out, const vr_tar_member *member)
{
    char number[32];
    size_t length = 0;
    if (strlen(member->name) > sizeof(((vr_tar_block *)0)->name))
        length += add_record(out, "path", member->name);
    if (member->size > MOST_OCTAL) {
        snprintf(number, sizeof number, "%" PRIu64, member->size);
        length += add_record(out ? out + length : NULL, "size", number);
    }
    if (member->mtime < 0 || member->mtime > MOST_OCTAL) {
        snprintf(number, sizeof number, "%" PRId64, member->mtime);
        length += add_record(out ? out + length : NULL, "mtime", number);
    }
    return length;
}

/* A record of exactly `length` bytes, at least 512, that says nothing. */
static void add_filler(char *out, size_t length)
{
    const int head = snprintf(out, length, "%zu comment=", length);
    memset(out + head, ' ', length - (size_t)head);
    out[length - 1] = '\n';
}

/* Bytes of pax records, in whole blocks, that put the contents where they should be; 0: no pax header. */
static size_t pax_bytes(const vr_tar_member *member, uint64_t at, uint64_t align)
{
    const size_t needed = (size_t)vr_tar_round(add_records(NULL, member));
    if (needed == 0 && (at + VR_TAR_BLOCK) % align == 0)
        return 0;
    size_t bytes = needed > 0 ? needed : VR_TAR_BLOCK;
    while ((at + 2 * VR_TAR_BLOCK + bytes) % align != 0)
        bytes += VR_TAR_BLOCK;
    return bytes;
}

static void make_pax(char *out, const vr_tar_member *member, size_t bytes)
{
    vr_tar_block *block = (vr_tar_block *)out;
    size_t length = add_records(NULL, member);
    const bool fill = bytes - length >= VR_TAR_BLOCK;
    const char *slash = strrchr(member->name, '/');
    snprintf(block->name, sizeof block->name, "PaxHeaders/%.80s", slash ? slash + 1 : member->name);
    set_octal(block->mode, sizeof block->mode, 0644);
    set_octal(block->size, sizeof block->size, fill ? bytes : length);
    set_octal(block->mtime, sizeof block->mtime, 0);
    block->type = 'x';
    finish_block(block);
    add_records(out + VR_TAR_BLOCK, member);
    if (fill)
        add_filler(out + VR_TAR_BLOCK + length, bytes - length);
}

static void make_header(vr_tar_block *block, const vr_tar_member *member)
{
    const size_t length = strlen(member->name);
    memcpy(block->name, member->name, length < sizeof block->name ? length : sizeof block->name);
    set_octal(block->mode, sizeof block->mode, member->mode & 07777);
    set_octal(block->size, sizeof block->size, member->size <= MOST_OCTAL ? member->size : 0);
    set_octal(block->mtime, sizeof block->mtime,
              member->mtime >= 0 && member->mtime <= MOST_OCTAL ? (uint64_t)member->mtime : 0);
    block->type = '0';
    finish_block(block);
}

vr_status vr_tar_header(void **out, size_t *bytes, const vr_tar_member *member, uint64_t at, uint64_t align)
{
    if (!member->name[0])
        return vr_fail(VR_ERROR_ARGUMENT, "a member of an archive needs a name");
    const size_t pax = pax_bytes(member, at, align), before = pax > 0 ? VR_TAR_BLOCK + pax : 0;
    char *blocks = calloc(1, before + VR_TAR_BLOCK + 1); /* one more: snprintf ends records with a NUL */
    if (!blocks)
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    if (pax > 0)
        make_pax(blocks, member, pax);
    make_header((vr_tar_block *)(blocks + before), member);
    *out = blocks;
    *bytes = before + VR_TAR_BLOCK;
    return VR_OK;
}
