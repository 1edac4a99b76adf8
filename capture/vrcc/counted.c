/* What was executed, told when the program ends. */
#include "settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const count_names[VRCC_COUNTS] = {"add",  "sub", "mul",        "div",
                                                     "sqrt", "fma", "conversion", "comparison"};

/* Operations of one line, or of all lines of a function. */
typedef struct counted {
    const char *file, *function;
    uint32_t line;
    uint64_t counts[VRCC_COUNTS];
} counted;

typedef struct table {
    counted *list;
    size_t count;
    bool is_short; /* memory was */
} table;

static bool is_executed(const vrcc_place *place)
{
    uint64_t any = 0;
    for (int i = 0; i < VRCC_COUNTS; i++)
        any |= __atomic_load_n(&place->counts[i], __ATOMIC_RELAXED);
    return any != 0;
}

static void add_state(void *context, vrcc_state *state)
{
    table *t = context;
    for (vrcc_place *p = __atomic_load_n(&state->placed, __ATOMIC_ACQUIRE); p; p = p->next) {
        if (!is_executed(p))
            continue;
        if ((t->count & (t->count - 1)) == 0) {
            counted *list = realloc(t->list, (t->count ? 2 * t->count : 1) * sizeof *list);
            if (!list) {
                t->is_short = true;
                return;
            }
            t->list = list;
        }
        counted *row = &t->list[t->count++];
        *row = (counted){p->source->file, p->source->name ? p->source->name : p->source->symbol, p->line, {0}};
        for (int i = 0; i < VRCC_COUNTS; i++)
            row->counts[i] = __atomic_load_n(&p->counts[i], __ATOMIC_RELAXED);
    }
}

static int by_line(const void *a, const void *b)
{
    const counted *x = a, *y = b;
    const int file = strcmp(x->file, y->file);
    if (file != 0)
        return file;
    return x->line != y->line ? (x->line > y->line) - (x->line < y->line) : strcmp(x->function, y->function);
}

static int by_function(const void *a, const void *b)
{
    const counted *x = a, *y = b;
    const int file = strcmp(x->file, y->file);
    return file != 0 ? file : strcmp(x->function, y->function);
}

/* Sorts, and makes one of what is the same. */
static void merge(table *t, int (*compare)(const void *, const void *))
{
    size_t count = 0;
    if (t->count > 0)
        qsort(t->list, t->count, sizeof *t->list, compare);
    for (size_t i = 0; i < t->count; i++) {
        if (count == 0 || compare(&t->list[count - 1], &t->list[i]) != 0) {
            t->list[count++] = t->list[i];
            continue;
        }
        for (int k = 0; k < VRCC_COUNTS; k++)
            t->list[count - 1].counts[k] += t->list[i].counts[k];
    }
    t->count = count;
}

static void print_functions(const table *t)
{
    fprintf(stderr, "vrcc: operations executed, by function\n");
    for (size_t i = 0; i < t->count; i++) {
        const counted *row = &t->list[i];
        fprintf(stderr, "vrcc: %s (%s):", row->function, row->file);
        for (int op = 0; op < VRCC_COUNTS; op++)
            if (row->counts[op])
                fprintf(stderr, " %s %llu", count_names[op], (unsigned long long)row->counts[op]);
        fputc('\n', stderr);
    }
}

/* The path with the process's number in the place of %p; the caller's, NULL without memory. */
static char *expanded(const char *path)
{
    const char *at = strstr(path, "%p");
    char *out = NULL;
    const int length =
        at ? asprintf(&out, "%.*s%ld%s", (int)(at - path), path, (long)getpid(), at + 2) : asprintf(&out, "%s", path);
    return length < 0 ? NULL : out;
}

/* Conversions and comparisons have columns where there were any. */
static bool has_column(const table *t, int column)
{
    bool any = column < VRCC_OPERATIONS;
    for (size_t i = 0; i < t->count && !any; i++)
        any = t->list[i].counts[column] > 0;
    return any;
}

static bool write_rows(FILE *file, const table *t)
{
    bool columns[VRCC_COUNTS];
    fputs("file\tline\tfunction", file);
    for (int i = 0; i < VRCC_COUNTS; i++)
        if ((columns[i] = has_column(t, i)))
            fprintf(file, "\t%s", count_names[i]);
    fputc('\n', file);
    for (size_t row = 0; row < t->count; row++) {
        fprintf(file, "%s\t%lu\t%s", t->list[row].file, (unsigned long)t->list[row].line, t->list[row].function);
        for (int i = 0; i < VRCC_COUNTS; i++)
            if (columns[i])
                fprintf(file, "\t%llu", (unsigned long long)t->list[row].counts[i]);
        fputc('\n', file);
    }
    return fflush(file) == 0 && !ferror(file);
}

/* Written aside, then given its name. */
static void write_table(const table *t, const char *path)
{
    char *name = expanded(path), *aside = NULL;
    if (!name || asprintf(&aside, "%s.%ld.part", name, (long)getpid()) < 0) {
        fprintf(stderr, "vrcc: VR_ROUNDING_COUNT=%s: out of memory\n", path);
        free(name);
        return;
    }
    FILE *file = fopen(aside, "we");
    bool written = file && write_rows(file, t);
    const int error = errno;
    if (file && fclose(file) != 0)
        written = false;
    if (!written || rename(aside, name) != 0) {
        fprintf(stderr, "vrcc: VR_ROUNDING_COUNT=%s: cannot be written: %s\n", name, strerror(written ? errno : error));
        if (file)
            unlink(aside);
    }
    free(aside);
    free(name);
}

void vrcc_forget_counts(void)
{
    for (vrcc_place *p = __atomic_load_n(&vrcc_self.placed, __ATOMIC_ACQUIRE); p; p = p->next)
        for (int i = 0; i < VRCC_COUNTS; i++)
            __atomic_store_n(&p->counts[i], 0, __ATOMIC_RELAXED);
}

static void report_counts(void)
{
    table t = {0};
    vrcc_each_state(add_state, &t);
    merge(&t, vrcc_self.count_path ? by_line : by_function);
    if (t.is_short)
        fprintf(stderr, "vrcc: VR_ROUNDING_COUNT: out of memory: not all is counted\n");
    if (vrcc_self.count_path)
        write_table(&t, vrcc_self.count_path);
    else
        print_functions(&t);
    free(t.list);
}

/* ---- items of VR_ROUNDING_ONLY ---- */

/* The lists of all runtimes are read from one environment. */
static void gather_matches(void *context, vrcc_state *state)
{
    vrcc_items *only = context;
    for (size_t i = 0; i < only->count && i < state->only.count; i++)
        if (strcmp(only->list[i].text, state->only.list[i].text) == 0)
            only->list[i].is_matched |= state->only.list[i].is_matched;
}

static void report_items(void)
{
    vrcc_each_state(gather_matches, &vrcc_self.only);
    for (size_t i = 0; i < vrcc_self.only.count; i++)
        if (!vrcc_self.only.list[i].is_matched)
            fprintf(stderr, "vrcc: VR_ROUNDING_ONLY: %s: nothing of that name was executed\n",
                    vrcc_self.only.list[i].text);
}

/* ---- */

static void count_running(void *context, vrcc_state *state)
{
    *(size_t *)context += !state->is_ended;
}

void vrcc_end(void)
{
    size_t running = 0;
    if (!vrcc_self.counting && !vrcc_self.has_only)
        return;
    vrcc_each_state(count_running, &running);
    if (running > 0)
        return;
    if (vrcc_self.counting)
        report_counts();
    if (vrcc_self.has_only)
        report_items();
}
