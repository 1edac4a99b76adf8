#include "archive_manifest.h"

#include "archive_hash.h"
#include "fail.h"
#include "tar.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#define NUMBER         "%020" PRIu64 "\n"
#define FOOTER_NUMBERS 8
#define CHECK_AT       (VR_FOOTER_BYTES - 33) /* of the footer's own digest, with a newline behind it */

static vr_status damaged(const vr_table *table)
{
    return vr_fail(VR_ERROR_FORMAT, "%s: the list of members that ends at %" PRIu64 " is damaged", table->name,
                   table->footer.end);
}

static vr_digest digest_of(const void *bytes, size_t size)
{
    const XXH128_hash_t hash = XXH3_128bits(bytes, size);
    return (vr_digest){hash.high64, hash.low64};
}

void vr_footer_write(char block[VR_FOOTER_BYTES], const vr_footer *footer)
{
    char digest[33], check[33];
    vr_digest_hex(digest, footer->digest);
    memset(block, ' ', VR_FOOTER_BYTES);
    const int used =
        snprintf(block, VR_FOOTER_BYTES,
                 "varanalyze footer 1\nnumber " NUMBER "start " NUMBER "data " NUMBER "text " NUMBER "end " NUMBER
                 "lines " NUMBER "commit " NUMBER "previous " NUMBER "header %016" PRIx64 "\ndigest %s\ncheck",
                 footer->number, footer->start, footer->data, footer->text, footer->end, footer->lines, footer->commit,
                 footer->previous, footer->header, digest);
    block[used] = ' ';
    vr_digest_hex(check, digest_of(block, CHECK_AT));
    memcpy(block + CHECK_AT, check, 32);
    block[VR_FOOTER_BYTES - 1] = '\n';
}

/* Reads a footer leniently; the caller writes it again and compares. */
static void scan_footer(vr_footer *out, const char *text)
{
    uint64_t *const numbers[] = {&out->number, &out->start, &out->data,   &out->text,
                                 &out->end,    &out->lines, &out->commit, &out->previous};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && text; i++) {
        text = strchr(text, '\n');
        text = text ? strchr(text, ' ') : NULL;
        *numbers[i] = text ? strtoull(text, NULL, 10) : 0;
    }
    const char *header = text ? strstr(text, "\nheader ") : NULL;
    const char *digest = header ? strstr(header, "\ndigest ") : NULL;
    if (digest) {
        char high[17] = "";
        strncpy(high, digest + 8, 16);
        out->header = strtoull(header + 8, NULL, 16);
        out->digest.hi = strtoull(high, NULL, 16);
        out->digest.lo = strlen(digest + 8) > 16 ? strtoull(digest + 24, NULL, 16) : 0;
    }
}

static bool is_sound(const vr_footer *footer)
{
    if (footer->number == 0)
        return footer->commit < footer->end;
    return footer->number < INT64_MAX && footer->start <= footer->data && footer->data <= footer->end &&
           footer->text <= footer->end - VR_FOOTER_BYTES - footer->data && footer->commit <= footer->start &&
           footer->previous <= footer->commit && footer->end % VR_TAR_BLOCK == 0 && footer->data % VR_TAR_BLOCK == 0 &&
           footer->start % VR_TAR_BLOCK == 0 && footer->lines <= footer->text;
}

bool vr_footer_read(vr_footer *out, int fd, uint64_t end)
{
    char block[VR_FOOTER_BYTES + 1], again[VR_FOOTER_BYTES];
    if (end < VR_FOOTER_BYTES || end > INT64_MAX ||
        vr_read_at(fd, block, VR_FOOTER_BYTES, end - VR_FOOTER_BYTES, "") != VR_OK)
        return false;
    block[VR_FOOTER_BYTES] = 0;
    if (strncmp(block, "varanalyze footer 1\n", 20) != 0)
        return false;
    *out = (vr_footer){0};
    scan_footer(out, block);
    vr_footer_write(again, out);
    return memcmp(block, again, VR_FOOTER_BYTES) == 0 && out->end == end && out->data <= end - VR_FOOTER_BYTES &&
           is_sound(out);
}

bool vr_footer_counts(const vr_footer *footer, int fd)
{
    static const char zeros[VR_TAR_BLOCK];
    char block[VR_TAR_BLOCK];
    return footer->number > 0 && vr_read_at(fd, block, sizeof block, footer->commit, "") == VR_OK &&
           memcmp(block, zeros, sizeof block) != 0;
}

bool vr_manifest_table(vr_table *out, int fd, const vr_footer *footer, const char *name)
{
    char first[sizeof VR_MANIFEST_FIRST - 1];
    *out = (vr_table){fd, name, footer->data + sizeof first, footer->data + footer->text, footer->start, *footer};
    return footer->text >= sizeof first && vr_read_at(fd, first, sizeof first, footer->data, name) == VR_OK &&
           memcmp(first, VR_MANIFEST_FIRST, sizeof first) == 0;
}

vr_entry vr_manifest_entry(const vr_footer *footer, char name[64])
{
    snprintf(name, 64, VR_MANIFEST_PREFIX "%06" PRIu64, footer->number);
    return (vr_entry){
        .member = {.name = name, .type = '0', .offset = footer->data, .size = footer->end - footer->data, .mode = 0644},
        .start = footer->start,
    };
}

static char *put_name(char *out, const char *name)
{
    for (; *name; name++) {
        const unsigned char byte = (unsigned char)*name;
        if (byte == '\\')
            out = stpcpy(out, "\\\\");
        else if (byte == '\n')
            out = stpcpy(out, "\\n");
        else if (byte < 0x20 || byte == 0x7f)
            out += sprintf(out, "\\x%02x", byte);
        else
            *out++ = *name;
    }
    return out;
}

size_t vr_line_write(char *out, const vr_entry *entry)
{
    static const char none[] = "--------------------------------";
    const vr_member *member = &entry->member;
    char digest[33];
    if (member->has_digest)
        vr_digest_hex(digest, member->digest);
    char *at = out + sprintf(out, "%s %016" PRIx64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64 " %04o %c%s ",
                             member->has_digest ? digest : none, member->has_digest ? entry->frame : 0, member->offset,
                             member->size, entry->start, member->mtime, (unsigned)member->mode, member->type,
                             member->sparse ? "s" : "");
    at = put_name(at, member->name);
    *at++ = '\n';
    return (size_t)(at - out);
}

/* What is left of a line that is being read; `at` is NULL after a mistake. */
typedef struct cursor {
    const char *at, *end;
} cursor;

static void expect(cursor *line, char byte)
{
    if (line->at && line->at < line->end && *line->at == byte)
        line->at++;
    else
        line->at = NULL;
}

/* A field of digits and the space behind it. */
static uint64_t take_number(cursor *line, uint64_t base, uint64_t most)
{
    uint64_t value = 0;
    const char *from = line->at;
    while (line->at && line->at < line->end && *line->at >= '0' && *line->at < (char)('0' + base)) {
        const uint64_t digit = (uint64_t)(*line->at++ - '0');
        if (value > (most - digit) / base)
            line->at = NULL;
        value = value * base + digit;
    }
    if (line->at == from)
        line->at = NULL;
    expect(line, ' ');
    return value;
}

static uint64_t take_hex(cursor *line)
{
    uint64_t value = 0;
    if (!line->at || line->end - line->at < 16) {
        line->at = NULL;
        return 0;
    }
    for (int i = 0; i < 16 && line->at; i++) {
        const char c = *line->at++;
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) {
            line->at = NULL;
            return 0;
        }
        value = value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return value;
}

static void take_digest(cursor *line, vr_member *member)
{
    if (line->at < line->end && *line->at == '-') {
        for (int i = 0; i < 32; i++)
            expect(line, '-');
    } else {
        member->has_digest = true;
        member->digest.hi = take_hex(line);
        member->digest.lo = take_hex(line);
    }
    expect(line, ' ');
}

static void take_type(cursor *line, vr_member *member)
{
    if (!line->at || line->at == line->end || !isalnum((unsigned char)*line->at)) {
        line->at = NULL;
        return;
    }
    member->type = *line->at++;
    if (line->at < line->end && *line->at == 's') {
        member->sparse = true;
        line->at++;
    }
    expect(line, ' ');
}

/* The rest of the line is the name; `out` has room for as many bytes and a NUL. */
static bool take_name(const cursor *line, char *out)
{
    for (const char *at = line->at; at < line->end; at++) {
        unsigned byte = (unsigned char)*at;
        if (byte == '\\' && line->end - at >= 2 && at[1] == '\\') {
            at++;
        } else if (byte == '\\' && line->end - at >= 2 && at[1] == 'n') {
            at++;
            byte = '\n';
        } else if (byte == '\\') {
            const char digits[3] = {line->end - at >= 4 ? at[2] : 'z', line->end - at >= 4 ? at[3] : 'z', 0};
            if (line->end - at < 4 || at[1] != 'x' || !isxdigit((unsigned char)digits[0]) ||
                !isxdigit((unsigned char)digits[1]))
                return false;
            byte = (unsigned)strtoul(digits, NULL, 16);
            at += 3;
        }
        if (byte == 0)
            return false;
        *out++ = (char)byte;
    }
    *out = 0;
    return true;
}

/* A line without its newline; the name goes to `name`, room for as many bytes as the line has. */
static bool parse_line(vr_entry *out, char *name, const char *text, size_t length, uint64_t limit)
{
    cursor line = {text, text + length};
    vr_member *member = &out->member;
    *out = (vr_entry){.member = {.name = name}};
    take_digest(&line, member);
    out->frame = take_hex(&line);
    expect(&line, ' ');
    member->offset = take_number(&line, 10, INT64_MAX);
    member->size = take_number(&line, 10, INT64_MAX);
    out->start = take_number(&line, 10, INT64_MAX);
    const bool negative = line.at && line.at < line.end && *line.at == '-';
    if (negative)
        line.at++;
    const uint64_t seconds = take_number(&line, 10, (uint64_t)INT64_MAX + negative);
    member->mtime = (int64_t)(negative ? -seconds : seconds);
    member->mode = (uint32_t)take_number(&line, 8, 07777);
    take_type(&line, member);
    return line.at && take_name(&line, name) && out->start < member->offset && out->start % VR_TAR_BLOCK == 0 &&
           member->offset % VR_TAR_BLOCK == 0 && member->offset <= limit && member->size <= limit - member->offset;
}

/* A line that was read by itself. */
typedef struct found_line {
    char *bytes;         /* what was read, and a name */
    uint64_t start, end; /* of the line; at `end` stands its newline */
    const char *text;
} found_line;

/* The line that has the byte at `at`, within [low, high), which are bounds of lines. */
static vr_status read_line(const vr_table *table, uint64_t at, uint64_t low, uint64_t high, found_line *out)
{
    for (uint64_t reach = 256;; reach *= 4) {
        const uint64_t from = at - low > reach ? at - reach : low, to = high - at > reach ? at + reach : high;
        char *bytes = malloc(to - from);
        if (!bytes)
            return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", table->name);
        const vr_status status = vr_read_at(table->fd, bytes, to - from, from, table->name);
        const char *before = status == VR_OK ? memrchr(bytes, '\n', at - from) : NULL;
        const char *after = status == VR_OK ? memchr(bytes + (at - from), '\n', to - at) : NULL;
        if (after && (before || from == low)) {
            const char *text = before ? before + 1 : bytes;
            *out = (found_line){bytes, from + (uint64_t)(text - bytes), from + (uint64_t)(after - bytes), text};
            return VR_OK;
        }
        free(bytes);
        if (status != VR_OK)
            return status;
        if (from == low && to == high)
            return damaged(table);
    }
}

/* Reads the line at `at` as `entry`, whose name is then to be freed; its bounds come back too. */
static vr_status entry_at(const vr_table *table, uint64_t at, uint64_t low, uint64_t high, vr_entry *entry,
                          found_line *line)
{
    const vr_status status = read_line(table, at, low, high, line);
    if (status != VR_OK)
        return status;
    char *name = malloc(line->end - line->start + 1);
    const bool fine = name && parse_line(entry, name, line->text, (size_t)(line->end - line->start), table->limit);
    free(line->bytes);
    if (fine)
        return VR_OK;
    free(name);
    return name ? damaged(table) : vr_fail(VR_ERROR_MEMORY, "%s: out of memory", table->name);
}

vr_status vr_table_find(const vr_table *table, const char *name, vr_entry *entry, bool *found)
{
    const char *key = vr_name_key(name);
    uint64_t low = table->first, high = table->last;
    *found = false;
    while (low < high) { /* lines before `low` are not behind the name, those from `high` on are */
        vr_entry middle;
        found_line line = {0};
        const vr_status status = entry_at(table, low + (high - low) / 2, low, high, &middle, &line);
        if (status != VR_OK) {
            if (*found)
                free((char *)entry->member.name);
            *found = false;
            return status;
        }
        const int order = strcmp(vr_name_key(middle.member.name), key);
        if (order == 0) { /* perhaps not the last */
            if (*found)
                free((char *)entry->member.name);
            *entry = middle;
            *found = true;
        } else {
            free((char *)middle.member.name);
        }
        if (order <= 0)
            low = line.end + 1;
        else
            high = line.start;
    }
    return VR_OK;
}

static vr_status add_lines(const vr_table *table, const char *text, size_t size, vr_list *list)
{
    size_t room = 4096;
    uint64_t lines = 0;
    char *name = malloc(room);
    vr_status status = name ? VR_OK : vr_fail(VR_ERROR_MEMORY, "%s: out of memory", table->name);
    for (const char *at = text, *stop = text + size; status == VR_OK && at < stop; lines++) {
        const char *end = memchr(at, '\n', (size_t)(stop - at));
        const size_t length = end ? (size_t)(end - at) : 0;
        if (length >= room) {
            char *grown = realloc(name, length + 1);
            if (!grown) {
                status = vr_fail(VR_ERROR_MEMORY, "%s: out of memory", table->name);
                break;
            }
            name = grown;
            room = length + 1;
        }
        vr_entry entry;
        status = end && parse_line(&entry, name, at, length, table->limit) ? vr_list_add(list, &entry) : damaged(table);
        at = end ? end + 1 : stop;
    }
    free(name);
    return status == VR_OK && lines != table->footer.lines ? damaged(table) : status;
}

vr_status vr_table_load(const vr_table *table, vr_list *list, vr_digest *contents)
{
    const vr_footer *footer = &table->footer;
    const size_t size = (size_t)(footer->end - footer->data), lines = (size_t)(table->first - footer->data);
    char *bytes = malloc(size);
    if (!bytes)
        return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", table->name);
    vr_status status = vr_read_at(table->fd, bytes, size, footer->data, table->name);
    if (status == VR_OK && !vr_digest_equal(digest_of(bytes, size - VR_FOOTER_BYTES), footer->digest))
        status = damaged(table);
    if (status == VR_OK && list)
        status = add_lines(table, bytes + lines, (size_t)(table->last - table->first), list);
    if (status == VR_OK && contents) {
        vr_content content;
        vr_content_begin(&content);
        vr_content_add(&content, bytes, size);
        *contents = vr_content_end(&content);
    }
    free(bytes);
    return status;
}
