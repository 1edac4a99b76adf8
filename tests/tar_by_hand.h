/* tar_by_hand.h - headers that no program would write. Goes after cmocka.h. */
#ifndef VR_TESTS_TAR_BY_HAND_H
#define VR_TESTS_TAR_BY_HAND_H

#include <formats/tar_block.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define POSIX_MAGIC "ustar\00000"
#define GNU_MAGIC   "ustar  "
#define OLD_MAGIC   "\0\0\0\0\0\0\0"

/* An archive being put together. */
typedef struct by_hand {
    uint8_t bytes[65536];
    size_t size;
} by_hand;

static inline vr_tar_block *hand_header(by_hand *to, const char *magic, char type, const char *name, uint64_t size)
{
    char digits[32];
    vr_tar_block *block = (vr_tar_block *)(void *)(to->bytes + to->size);
    assert_true(to->size + sizeof *block <= sizeof to->bytes);
    memset(block, 0, sizeof *block);
    memcpy(block->name, name, strnlen(name, sizeof block->name));
    memcpy(block->mode, "0000644", 8);
    memcpy(block->uid, "0000000", 8);
    memcpy(block->gid, "0000000", 8);
    snprintf(digits, sizeof digits, "%011" PRIo64, size);
    memcpy(block->size, digits, sizeof block->size);
    memcpy(block->mtime, "00000000001", 12);
    memcpy(block->magic, magic, 8);
    block->type = type;
    if (type == '1' || type == '2')
        memcpy(block->link, "target", 6);
    to->size += sizeof *block;
    return block;
}

/* Makes the checksum of a header right. */
static inline void hand_sum(vr_tar_block *block)
{
    int with_signed;
    char text[16];
    snprintf(text, sizeof text, "%06o", vr_tar_sum(block, &with_signed) & 0777777);
    memcpy(block->check, text, 7);
    block->check[7] = ' ';
}

static inline void hand_data(by_hand *to, const void *bytes, size_t size)
{
    const size_t whole = (size_t)vr_tar_round(size);
    assert_true(to->size + whole <= sizeof to->bytes);
    memset(to->bytes + to->size, 0, whole);
    memcpy(to->bytes + to->size, bytes, size);
    to->size += whole;
}

/* A header with a right checksum, and its data. */
static inline void hand_member(by_hand *to, const char *magic, char type, const char *name, const void *bytes,
                               size_t size)
{
    hand_sum(hand_header(to, magic, type, name, size));
    hand_data(to, bytes, size);
}

static inline void hand_end(by_hand *to)
{
    static const uint8_t zeros[1024];
    hand_data(to, zeros, sizeof zeros);
}

#endif
