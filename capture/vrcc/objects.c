#include "objects.h"

#include <ar.h>
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct bytes {
    const char *at;
    size_t size;
} bytes;

/* `size` bytes at an offset, NULL when they are not all there. */
static const char *part(bytes file, uint64_t offset, uint64_t size)
{
    return offset <= file.size && size <= file.size - offset ? file.at + offset : NULL;
}

/* The copy is aligned, which a member of an archive need not be. */
static bool read_section(bytes file, const Elf64_Ehdr *header, size_t index, Elf64_Shdr *out)
{
    const uint64_t offset = header->e_shoff + (uint64_t)index * header->e_shentsize;
    const char *at =
        header->e_shentsize >= sizeof *out && offset >= header->e_shoff ? part(file, offset, sizeof *out) : NULL;
    if (at)
        memcpy(out, at, sizeof *out);
    return at != NULL;
}

static bool has_name(bytes file, const Elf64_Shdr *names, uint32_t name, const char *wanted)
{
    const size_t size = strlen(wanted) + 1;
    const char *all = part(file, names->sh_offset, names->sh_size);
    return all && name < names->sh_size && names->sh_size - name >= size && memcmp(all + name, wanted, size) == 0;
}

/* Whether the bytes are an object with code and without the mark, which stands in objects of 64 bits only. */
static bool lacks_mark(bytes file)
{
    Elf64_Ehdr header;
    Elf64_Shdr first, names, section;
    if (file.size >= 4 && memcmp(file.at, "BC\xc0\xde", 4) == 0)
        return true; /* bitcode, compiled when it is linked */
    if (file.size < sizeof header || memcmp(file.at, ELFMAG, SELFMAG) != 0)
        return false;
    memcpy(&header, file.at, sizeof header);
    if (file.at[EI_CLASS] != ELFCLASS64 || file.at[EI_DATA] != ELFDATA2LSB || header.e_shoff == 0)
        return true;
    if (!read_section(file, &header, 0, &first))
        return false;
    /* Numbers that do not fit the header are in the first section's. */
    const uint64_t count = header.e_shnum ? header.e_shnum : first.sh_size;
    const uint32_t index = header.e_shstrndx == SHN_XINDEX ? first.sh_link : header.e_shstrndx;
    if (!read_section(file, &header, index, &names))
        return false;
    bool has_code = false;
    for (uint64_t i = 1; i < count && read_section(file, &header, i, &section); i++) {
        if (has_name(file, &names, section.sh_name, ".vrcc"))
            return false;
        has_code |= (section.sh_flags & SHF_EXECINSTR) != 0 && section.sh_size > 0;
    }
    return has_code;
}

/* What looks at an object: an object file, a shared library, a member of an archive. */
typedef struct visit {
    void (*object)(void *context, const char *name, bytes file);
    void *context;
    const char *path; /* of the file as it is named */
    int depth;        /* archives within archives */
} visit;

static void visit_file(const char *path, visit how);

/* A member's name: as it stands, or "/OFFSET" into the table of long names, which end in "/" and a newline. */
static void member_name(char *out, size_t room, const struct ar_hdr *header, bytes table)
{
    const char *name = header->ar_name;
    size_t length = strcspn(name, "/ ");
    if (name[0] == '/' && name[1] >= '0' && name[1] <= '9') {
        const uint64_t offset = strtoull(name + 1, NULL, 10);
        name = table.at + (offset < table.size ? offset : 0);
        for (length = 0; length < table.size - (size_t)(name - table.at) && name[length] != '\n'; length++)
            ;
        length -= length > 0 && name[length - 1] == '/';
    }
    snprintf(out, room, "%.*s", (int)(length < room ? length : room), name);
}

/* A thin archive has names of files in its members' place, relative to where it is. */
static void visit_thin(const char *member, visit how)
{
    char path[PATH_MAX];
    const char *slash = strrchr(how.path, '/');
    const int folder = slash && *member != '/' ? (int)(slash - how.path) + 1 : 0;
    if (how.depth < 4 && snprintf(path, sizeof path, "%.*s%s", folder, how.path, member) < (int)sizeof path)
        visit_file(path, (visit){how.object, how.context, path, how.depth + 1});
}

/* Stops where the archive is damaged. */
static void visit_archive(bytes file, bool is_thin, visit how)
{
    struct ar_hdr header;
    bytes table = {"", 0};
    for (uint64_t offset = SARMAG; part(file, offset, sizeof header);) {
        memcpy(&header, file.at + offset, sizeof header);
        offset += sizeof header;
        char number[sizeof header.ar_size + 1] = {0}, name[PATH_MAX], full[2 * PATH_MAX];
        memcpy(number, header.ar_size, sizeof header.ar_size);
        const bool is_table = memcmp(header.ar_name, "// ", 3) == 0;
        const bool is_index = memcmp(header.ar_name, "/ ", 2) == 0 || memcmp(header.ar_name, "/SYM64/", 7) == 0;
        const bool is_outside = is_thin && !is_table && !is_index;
        const uint64_t size = is_outside ? 0 : strtoull(number, NULL, 10);
        if (memcmp(header.ar_fmag, ARFMAG, sizeof header.ar_fmag) != 0 || !part(file, offset, size))
            return;
        const bytes member = {file.at + offset, size};
        member_name(name, sizeof name, &header, table);
        snprintf(full, sizeof full, "%s(%s)", how.path, name);
        if (is_table)
            table = member;
        else if (is_outside)
            visit_thin(name, how);
        else if (!is_index)
            how.object(how.context, full, member);
        offset += size + size % 2;
    }
}

static void visit_file(const char *path, visit how)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0)
        return;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) {
        const size_t size = (size_t)info.st_size;
        void *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        const bytes file = {map, size};
        if (map != MAP_FAILED && size >= SARMAG && memcmp(map, ARMAG, SARMAG) == 0)
            visit_archive(file, false, how);
        else if (map != MAP_FAILED && size >= SARMAG && memcmp(map, "!<thin>\n", SARMAG) == 0)
            visit_archive(file, true, how);
        else if (map != MAP_FAILED)
            how.object(how.context, path, file);
        if (map != MAP_FAILED)
            munmap(map, size);
    }
    close(fd);
}

typedef struct check {
    vrcc_object_seen *seen;
    void *context;
} check;

static void check_object(void *context, const char *name, bytes file)
{
    const check *to = context;
    if (lacks_mark(file))
        to->seen(to->context, name);
}

void vrcc_objects_check(const char *path, vrcc_object_seen *seen, void *context)
{
    check to = {seen, context};
    visit_file(path, (visit){check_object, &to, path, 0});
}

static void note_machine(void *context, const char *name, bytes file)
{
    (void)name;
    unsigned *machine = context;
    uint16_t number;
    if (*machine || file.size < sizeof(Elf32_Ehdr) || memcmp(file.at, ELFMAG, SELFMAG) != 0)
        return;
    memcpy(&number, file.at + offsetof(Elf64_Ehdr, e_machine), sizeof number);
    *machine = (unsigned)number << 8 | (unsigned char)file.at[EI_CLASS];
}

unsigned vrcc_objects_machine(const char *path)
{
    unsigned machine = 0;
    visit_file(path, (visit){note_machine, &machine, path, 0});
    return machine;
}
