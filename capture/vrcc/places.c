#include "places.h"

#include "names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NONE UINT32_MAX

/* Numbers by pairs of words, with open addressing; a power of two of them. */
typedef struct pair_table {
    struct pair_entry {
        uint64_t a, b;
        uint32_t number;
    } * list;
    size_t room, count;
} pair_table;

/* vrcc_source that owns its text. */
typedef struct owned_source {
    char *symbol, *name, *file;
} owned_source;

struct vrcc_places {
    LLVMContextRef context;
    char *file, *folder; /* what was compiled; the current folder, "" where there is none */
    owned_source *sources;
    vrcc_located *places;
    size_t source_count, place_count;
    pair_table by_scope, by_line; /* (function, file) of debug information: source; (source, line): place */
};

static void *grown(void *list, size_t count, size_t size)
{
    if ((count & (count - 1)) != 0)
        return list;
    list = realloc(list, (count ? 2 * count : 1) * size);
    if (!list)
        abort();
    return list;
}

/* ---- pairs ---- */

static struct pair_entry *find_entry(const pair_table *table, uint64_t a, uint64_t b)
{
    const uint64_t mixed = (a * UINT64_C(0x9e3779b97f4a7c15) + b) * UINT64_C(0xd1342543de82ef95);
    size_t at = (size_t)(mixed >> 32) & (table->room - 1);
    while (table->list[at].number != NONE && (table->list[at].a != a || table->list[at].b != b))
        at = (at + 1) & (table->room - 1);
    return &table->list[at];
}

static void make_room(pair_table *table)
{
    if (2 * table->count < table->room)
        return;
    const pair_table old = *table;
    table->room = old.room ? 2 * old.room : 64;
    table->list = malloc(table->room * sizeof *table->list);
    if (!table->list)
        abort();
    for (size_t i = 0; i < table->room; i++)
        table->list[i].number = NONE;
    for (size_t i = 0; i < old.room; i++)
        if (old.list[i].number != NONE)
            *find_entry(table, old.list[i].a, old.list[i].b) = old.list[i];
    free(old.list);
}

/* The number of a pair; `next`, which it then has from now on, where it has none. */
static uint32_t number_of(pair_table *table, uint64_t a, uint64_t b, size_t next)
{
    make_room(table);
    struct pair_entry *entry = find_entry(table, a, b);
    if (entry->number == NONE) {
        *entry = (struct pair_entry){a, b, (uint32_t)next};
        table->count++;
    }
    return entry->number;
}

/* ---- functions of the source ---- */

static char *copy_text(const char *text, size_t length)
{
    char *copy = strndup(text, length);
    if (!copy)
        abort();
    return copy;
}

static LLVMValueRef function_of(LLVMValueRef instruction)
{
    return LLVMGetBasicBlockParent(LLVMGetInstructionParent(instruction));
}

static LLVMMetadataRef scope_of(LLVMValueRef instruction)
{
    const LLVMMetadataRef location = LLVMInstructionGetDebugLoc(instruction);
    return location ? LLVMDILocationGetScope(location) : NULL;
}

/* The instruction that names a function, perhaps by way of a constant expression: the call that hands it over. */
static LLVMValueRef user_of(LLVMValueRef function)
{
    for (LLVMUseRef use = LLVMGetFirstUse(function); use; use = LLVMGetNextUse(use)) {
        const LLVMValueRef user = LLVMGetUser(use);
        if (LLVMIsAInstruction(user))
            return user;
        const LLVMValueRef further = LLVMIsAConstantExpr(user) ? user_of(user) : NULL;
        if (further)
            return further;
    }
    return NULL;
}

#define MOST_NESTED 16 /* parallel regions in one another */

/* The function of the source that hands what the compiler has made of a part of it to OpenMP's runtime; NULL where
 * that is not to be found. `within`: where a part of that is, inlined or not. */
static LLVMMetadataRef outer_function(const vrcc_places *p, LLVMValueRef within)
{
    LLVMMetadataRef function = LLVMGetSubprogram(within);
    for (int i = 0; i < MOST_NESTED; i++) {
        char *symbol = function ? vrcc_symbol_of(p->context, function) : NULL;
        const bool is_part = !symbol || strncmp(symbol, ".omp_", 5) == 0;
        free(symbol);
        const LLVMValueRef user = is_part ? user_of(within) : NULL;
        if (!user)
            return is_part ? NULL : function;
        const LLVMMetadataRef scope = scope_of(user);
        within = function_of(user);
        function = scope ? vrcc_function_of_scope(p->context, scope) : LLVMGetSubprogram(within);
    }
    return NULL;
}

/* The compiler makes functions of parallel regions and tasks, which are parts of the one that hands them to OpenMP's
 * runtime. LLVM 14 calls them ".omp_outlined.", later ones put the outer function's name before that. */
static char *outer_symbol(const vrcc_places *p, LLVMMetadataRef function, LLVMValueRef within)
{
    char *symbol = vrcc_symbol_of(p->context, function), *const omp = strstr(symbol, ".omp_");
    const LLVMMetadataRef outer = omp && omp == symbol ? outer_function(p, within) : NULL;
    if (omp && omp > symbol)
        *omp = '\0';
    if (!outer)
        return symbol;
    free(symbol);
    return vrcc_symbol_of(p->context, outer);
}

static void add_source(vrcc_places *p, char *symbol, char *file)
{
    p->sources = grown(p->sources, p->source_count, sizeof *p->sources);
    p->sources[p->source_count++] = (owned_source){.symbol = symbol, .name = vrcc_qualified_name(symbol), .file = file};
}

/* The path as it was compiled. Of an absolute one clang makes two parts, the first of which is the folder that it has
 * in common with the current one. */
static char *path_of(const vrcc_places *p, LLVMMetadataRef file)
{
    unsigned length = 0, folder_length = 0;
    const char *name = file ? LLVMDIFileGetFilename(file, &length) : NULL;
    const char *folder = file ? LLVMDIFileGetDirectory(file, &folder_length) : NULL;
    char *own = name && length ? copy_text(name, length) : copy_text(p->file, strlen(p->file));
    char *in = copy_text(folder ? folder : "", folder_length), *path = NULL;
    const bool is_joined = name && length && *own != '/' && *in == '/' && strcmp(in, p->folder) != 0;
    if (is_joined && asprintf(&path, "%s%s%s", in, in[1] ? "/" : "", own) < 0)
        abort();
    free(in);
    if (!path)
        return own;
    free(own);
    return path;
}

static uint32_t described_source(vrcc_places *p, LLVMMetadataRef function, LLVMMetadataRef file, LLVMValueRef within)
{
    const uint32_t source =
        number_of(&p->by_scope, (uint64_t)(uintptr_t)function, (uint64_t)(uintptr_t)file, p->source_count);
    if (source == p->source_count)
        add_source(p, outer_symbol(p, function, within), path_of(p, file));
    return source;
}

/* Of a function without debug information, by its symbol. */
static uint32_t bare_source(vrcc_places *p, LLVMValueRef function)
{
    const uint32_t source = number_of(&p->by_scope, (uint64_t)(uintptr_t)function, 0, p->source_count);
    if (source == p->source_count) {
        size_t length;
        const char *symbol = LLVMGetValueName2(function, &length);
        add_source(p, copy_text(symbol, length), copy_text(p->file, strlen(p->file)));
    }
    return source;
}

/* ---- places ---- */

/* An instruction among those next to this one, in the sense of what is computed, that has a line; NULL without. */
static LLVMValueRef relative_of(LLVMValueRef instruction)
{
    const unsigned count = (unsigned)LLVMGetNumOperands(instruction);
    for (unsigned i = 0; i < count; i++) {
        const LLVMValueRef operand = LLVMGetOperand(instruction, i);
        if (LLVMIsAInstruction(operand) && scope_of(operand) && LLVMGetDebugLocLine(operand) > 0)
            return operand;
    }
    for (LLVMUseRef use = LLVMGetFirstUse(instruction); use; use = LLVMGetNextUse(use)) {
        const LLVMValueRef user = LLVMGetUser(use);
        if (LLVMIsAInstruction(user) && scope_of(user) && LLVMGetDebugLocLine(user) > 0)
            return user;
    }
    return NULL;
}

/* The instruction whose place this one's is: itself, unless it has none and another can help. One that was merged of
 * several has a function and line 0: then the line is asked of others in that function. */
static LLVMValueRef placed_as(const vrcc_places *p, LLVMValueRef instruction)
{
    const LLVMMetadataRef scope = scope_of(instruction);
    if (scope && LLVMGetDebugLocLine(instruction) > 0)
        return instruction;
    const LLVMValueRef relative = relative_of(instruction);
    if (!relative)
        return instruction;
    const bool same =
        !scope || vrcc_function_of_scope(p->context, scope) == vrcc_function_of_scope(p->context, scope_of(relative));
    return same ? relative : instruction;
}

unsigned vrcc_places_find(vrcc_places *p, LLVMValueRef instruction)
{
    const LLVMValueRef as = placed_as(p, instruction), within = function_of(instruction);
    const LLVMMetadataRef scope = scope_of(as), own = LLVMGetSubprogram(within);
    const LLVMMetadataRef function = scope ? vrcc_function_of_scope(p->context, scope) : own;
    const uint32_t line = scope ? LLVMGetDebugLocLine(as) : 0;
    const uint32_t source = function
                                ? described_source(p, function, LLVMDIScopeGetFile(scope ? scope : function), within)
                                : bare_source(p, within);
    const uint32_t found = number_of(&p->by_line, source, line, p->place_count);
    if (found == p->place_count) {
        p->places = grown(p->places, p->place_count, sizeof *p->places);
        p->places[p->place_count++] = (vrcc_located){source, line};
    }
    return found;
}

vrcc_located vrcc_places_at(const vrcc_places *p, unsigned number)
{
    return p->places[number];
}

vrcc_source vrcc_places_source(const vrcc_places *p, size_t number)
{
    const owned_source *s = &p->sources[number];
    return (vrcc_source){s->symbol, s->name, s->file};
}

size_t vrcc_places_source_count(const vrcc_places *p)
{
    return p->source_count;
}

size_t vrcc_places_count(const vrcc_places *p)
{
    return p->place_count;
}

vrcc_places *vrcc_places_new(LLVMModuleRef module, const char *file)
{
    vrcc_places *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    p->context = LLVMGetModuleContext(module);
    p->file = copy_text(file, strlen(file));
    p->folder = getcwd(NULL, 0);
    if (!p->folder)
        p->folder = copy_text("", 0);
    return p;
}

void vrcc_places_free(vrcc_places *p)
{
    for (size_t i = 0; p && i < p->source_count; i++) {
        free(p->sources[i].symbol);
        free(p->sources[i].name);
        free(p->sources[i].file);
    }
    if (p) {
        free(p->sources);
        free(p->places);
        free(p->by_scope.list);
        free(p->by_line.list);
        free(p->file);
        free(p->folder);
    }
    free(p);
}
