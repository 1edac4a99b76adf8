/* The files of a process in which there is a runtime: each has an ELF note. */
#include "settings.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* The note's name and type, and how far from its last 8 bytes the state is. */
#define OWNER "vrcc"
#define TYPE  1
__asm__("\t.pushsection .note.vrcc,\"a\",@note\n\t.balign 4\n\t.long 5, 8, 1\n\t.asciz \"" OWNER
        "\"\n\t.balign 4\n\t.quad vrcc_self - .\n\t.popsection\n");

/* Weak, and dlopen only by its name: the linker warns of it in every static program. */
extern void *dlsym(void *handle, const char *name) __attribute__((weak));

typedef struct walk {
    void (*each)(void *context, vrcc_state *state);
    void *context;
    const char *own_name; /* out */
} walk;

static size_t padded(size_t size, size_t alignment)
{
    return (size + alignment - 1) & ~(alignment - 1);
}

/* The state that a note leads to, NULL when the note is another's. */
static vrcc_state *state_of(const ElfW(Nhdr) * note, const char *name, const char *text)
{
    if (note->n_type != TYPE || note->n_namesz != sizeof OWNER || note->n_descsz != sizeof(int64_t) ||
        memcmp(name, OWNER, sizeof OWNER) != 0)
        return NULL;
    int64_t distance;
    memcpy(&distance, text, sizeof distance);
    return (vrcc_state *)((uintptr_t)text + (uintptr_t)distance);
}

static void look_at_notes(walk *w, const struct dl_phdr_info *file, const ElfW(Phdr) * segment)
{
    const size_t alignment = segment->p_align == 8 ? 8 : 4;
    const char *at = (const char *)(file->dlpi_addr + segment->p_vaddr), *const end = at + segment->p_memsz;
    while ((size_t)(end - at) >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, at, sizeof note);
        const char *name = at + sizeof note;
        const size_t rest = (size_t)(end - name), before = padded(note.n_namesz, alignment);
        const size_t size = before + padded(note.n_descsz, alignment);
        if (note.n_namesz > rest || note.n_descsz > rest || before + note.n_descsz > rest)
            return;
        vrcc_state *state = state_of(&note, name, name + before);
        if (state == &vrcc_self)
            w->own_name = file->dlpi_name;
        if (state && state->version == VRCC_STATE_VERSION && w->each)
            w->each(w->context, state);
        if (size >= rest)
            return;
        at = name + size;
    }
}

static int look_at_file(struct dl_phdr_info *file, size_t size, void *context)
{
    (void)size;
    for (size_t i = 0; i < file->dlpi_phnum; i++)
        if (file->dlpi_phdr[i].p_type == PT_NOTE)
            look_at_notes(context, file, &file->dlpi_phdr[i]);
    return 0;
}

void vrcc_each_state(void (*each)(void *context, vrcc_state *state), void *context)
{
    walk w = {.each = each, .context = context};
    dl_iterate_phdr(look_at_file, &w);
}

static const char *own_name(void)
{
    walk w = {.own_name = ""};
    dl_iterate_phdr(look_at_file, &w);
    return w.own_name;
}

uint64_t vrcc_own_number(void)
{
    const char *name = own_name(), *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    return *base ? XXH3_64bits(base, strlen(base)) : 0;
}

void vrcc_keep_loaded(void)
{
    const char *name = own_name();
    void *(*open)(const char *, int) = NULL;
    if (dlsym && *name)
        *(void **)&open = dlsym(RTLD_DEFAULT, "dlopen");
    if (open)
        open(name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}
