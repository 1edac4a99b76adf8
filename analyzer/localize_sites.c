#include "localize_sites.h"

#include "grow.h"

#include <errno.h>
#include <formats/fail.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MOST 64

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory");
}

/* ---- tables ---- */

typedef struct table {
    const char *path;
    FILE *file;
    uint64_t line;
    int columns;
    bool sums[COLUMNS_MOST];
} table;

static vr_status malformed(const table *t, const char *why)
{
    return vr_fail(VR_ERROR_FORMAT, "%s: line %" PRIu64 ": %s; was it written by a program compiled by vrcc?", t->path,
                   t->line, why);
}

/* Cuts a line into fields; how many, COLUMNS_MOST at most. */
static int cut(char *fields[COLUMNS_MOST], char *line)
{
    int count = 0;
    line[strcspn(line, "\n")] = 0;
    while (line && count < COLUMNS_MOST)
        fields[count++] = strsep(&line, "\t");
    return count;
}

static vr_status take_header(table *t, char *line)
{
    static const char *const wanted[] = {"file", "line", "function"}, *const sums[] = {"add", "sub", "fma"};
    char *fields[COLUMNS_MOST];
    t->columns = cut(fields, line);
    for (int i = 0; i < 3; i++)
        if (t->columns < 4 || strcmp(fields[i], wanted[i]) != 0)
            return malformed(t, "not a table of counts (file, line, function...)");
    for (int i = 3; i < t->columns; i++)
        for (int k = 0; k < 3; k++)
            t->sums[i] = t->sums[i] || strcmp(fields[i], sums[k]) == 0;
    return VR_OK;
}

static bool read_count(uint64_t *out, const char *text)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && !errno;
}

static uint64_t sum_of(uint64_t a, uint64_t b)
{
    return a + b >= a ? a + b : UINT64_MAX;
}

static vr_status take_row(va_counted *counted, table *t, char *line)
{
    char *fields[COLUMNS_MOST];
    va_counted_site site = {0};
    if (cut(fields, line) != t->columns)
        return malformed(t, "another number of fields than the first line");
    if (!read_count(&site.line, fields[1]))
        return malformed(t, "no line number");
    for (int i = 3; i < t->columns; i++) {
        uint64_t count;
        if (!read_count(&count, fields[i]))
            return malformed(t, "not a count");
        site.operations = sum_of(site.operations, count);
        site.sums = t->sums[i] ? sum_of(site.sums, count) : site.sums;
    }
    if (site.operations == 0)
        return VR_OK;
    va_counted_site *grown = va_one_more(counted->sites, counted->site_count, &counted->site_room, sizeof *grown);
    if (!grown)
        return no_memory();
    counted->sites = grown;
    site.file = strdup(fields[0]);
    site.function = strdup(fields[2]);
    counted->sites[counted->site_count++] = site;
    return site.file && site.function ? VR_OK : no_memory();
}

vr_status va_counted_add(va_counted *counted, const char *path)
{
    table t = {.path = path, .file = fopen(path, "re")};
    char *line = NULL;
    size_t room = 0;
    vr_status status = VR_OK;
    if (!t.file)
        return vr_fail_errno(errno, "%s: cannot read", path);
    for (ssize_t length; status == VR_OK && (length = getline(&line, &room, t.file)) >= 0;) {
        t.line++;
        if (strlen(line) != (size_t)length || line[length - 1] != '\n')
            status = malformed(&t, "no whole line of text");
        else
            status = t.line == 1 ? take_header(&t, line) : take_row(counted, &t, line);
    }
    if (status == VR_OK && ferror(t.file))
        status = vr_fail_errno(errno, "%s: cannot read", path);
    if (status == VR_OK && t.line == 0)
        status = malformed(&t, "empty");
    free(line);
    fclose(t.file);
    return status;
}

void va_counted_write(FILE *out, const va_counted *counted)
{
    fputs("file\tline\tfunction\tadd\tother\n", out);
    for (size_t i = 0; i < counted->site_count; i++) {
        const va_counted_site *s = &counted->sites[i];
        fprintf(out, "%s\t%" PRIu64 "\t%s\t%" PRIu64 "\t%" PRIu64 "\n", s->file, s->line, s->function, s->sums,
                s->operations - s->sums);
    }
}

/* ---- sites and functions ---- */

static int by_function(const void *a, const void *b)
{
    const va_counted_site *x = a, *y = b;
    const int file = strcmp(x->file, y->file), function = file ? file : strcmp(x->function, y->function);
    return function ? function : (x->line > y->line) - (x->line < y->line);
}

/* Those that can cancel most first; else as they stand in the source. */
static int by_likelihood(const void *a, const void *b)
{
    const va_counted_function *x = a, *y = b;
    if (x->sums != y->sums)
        return x->sums < y->sums ? 1 : -1;
    if (x->operations != y->operations)
        return x->operations < y->operations ? 1 : -1;
    return x->first < y->first ? -1 : 1;
}

static void merge_sites(va_counted *counted)
{
    size_t kept = 0;
    for (size_t i = 0; i < counted->site_count; i++) {
        va_counted_site *site = &counted->sites[i], *last = kept ? &counted->sites[kept - 1] : NULL;
        if (!last || by_function(last, site) != 0) {
            counted->sites[kept++] = *site;
            continue;
        }
        last->operations = sum_of(last->operations, site->operations);
        last->sums = sum_of(last->sums, site->sums);
        free(site->file);
        free(site->function);
    }
    counted->site_count = kept;
}

static bool same_function(const va_counted_function *function, const va_counted_site *site)
{
    return strcmp(function->file, site->file) == 0 && strcmp(function->name, site->function) == 0;
}

static bool has_namesake(const va_counted *counted, const char *file)
{
    bool has = false;
    for (size_t i = 0; !has && !strchr(file, '/') && i < counted->site_count; i++) {
        const char *slash = strrchr(counted->sites[i].file, '/');
        has = slash && strcmp(slash + 1, file) == 0;
    }
    return has;
}

vr_status va_counted_finish(va_counted *counted)
{
    if (counted->site_count)
        qsort(counted->sites, counted->site_count, sizeof *counted->sites, by_function);
    merge_sites(counted);
    counted->functions = calloc(counted->site_count + 1, sizeof *counted->functions);
    if (!counted->functions)
        return no_memory();
    for (size_t i = 0; i < counted->site_count; i++) {
        const va_counted_site *site = &counted->sites[i];
        va_counted_function *last = &counted->functions[counted->function_count - (counted->function_count > 0)];
        if (counted->function_count == 0 || !same_function(last, site)) {
            const bool again = counted->function_count > 0 && strcmp(last->file, site->file) == 0;
            const bool namesake = again ? last->has_namesake : has_namesake(counted, site->file);
            last = &counted->functions[counted->function_count++];
            *last = (va_counted_function){site->file, site->function, i, .has_namesake = namesake};
        }
        last->count++;
        last->operations = sum_of(last->operations, site->operations);
        last->sums = sum_of(last->sums, site->sums);
    }
    if (counted->function_count)
        qsort(counted->functions, counted->function_count, sizeof *counted->functions, by_likelihood);
    return VR_OK;
}

vr_status va_counted_join(va_counted *counted, va_counted *other)
{
    const size_t before = counted->site_count;
    vr_status status = VR_OK;
    for (size_t i = 0; status == VR_OK && i < other->site_count; i++) {
        va_counted_site *site = &other->sites[i];
        if (before && bsearch(site, counted->sites, before, sizeof *site, by_function))
            continue;
        va_counted_site *grown = va_one_more(counted->sites, counted->site_count, &counted->site_room, sizeof *grown);
        if (!grown) {
            status = no_memory();
            break;
        }
        counted->sites = grown;
        counted->sites[counted->site_count++] = *site;
        site->file = site->function = NULL;
    }
    va_counted_free(other);
    free(counted->functions);
    counted->functions = NULL;
    counted->function_count = 0;
    return status == VR_OK ? va_counted_finish(counted) : status;
}

void va_counted_free(va_counted *counted)
{
    for (size_t i = 0; i < counted->site_count; i++) {
        free(counted->sites[i].file);
        free(counted->sites[i].function);
    }
    free(counted->sites);
    free(counted->functions);
    *counted = (va_counted){0};
}

/* ---- sets ---- */

size_t va_sites_words(const va_counted *counted)
{
    return counted->site_count / 64 + 1;
}

void va_sites_add(uint64_t *sites, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        sites[i / 64] |= (uint64_t)1 << i % 64;
}

bool va_sites_have(const uint64_t *sites, size_t site)
{
    return sites[site / 64] >> site % 64 & 1;
}

vr_digest va_sites_digest(const va_counted *counted, const uint64_t *sites)
{
    const int64_t words = (int64_t)va_sites_words(counted);
    const vr_tensor tensor = vr_tensor_of(VR_U64, sites, 1, &words);
    vr_digest digest = {0};
    vr_digest_tensor(&digest, &tensor); /* fails of no tensor that is so plain */
    return digest;
}

/* A name as a glob that matches it, and hardly any other: ':' would end a file's name and ',' an item, and only '?' can
 * stand for them. */
static void write_pattern(FILE *out, const char *text, bool is_file)
{
    for (const char *at = text; *at; at++) {
        if (*at == ',' || (is_file && *at == ':'))
            fputc('?', out);
        else
            fprintf(out, strchr("*?[\\", *at) || (at == text && strchr("#@ \t", *at)) ? "\\%c" : "%c", *at);
    }
}

void va_site_item(FILE *out, const va_counted_function *function, uint64_t line)
{
    if (function->has_namesake)
        fputs("./", out); /* else the last component of the other path would match */
    write_pattern(out, function->file, true);
    fputc(':', out);
    if (line)
        fprintf(out, "%" PRIu64, line);
    else
        write_pattern(out, function->name, false);
}

static size_t count_of(const uint64_t *sites, const va_counted_function *function)
{
    size_t count = 0;
    for (size_t i = 0; i < function->count; i++)
        count += va_sites_have(sites, function->first + i);
    return count;
}

static void write_lines(FILE *out, const va_counted *counted, const uint64_t *sites, const va_counted_function *f)
{
    for (size_t i = f->first; i < f->first + f->count; i++)
        if (va_sites_have(sites, i)) {
            va_site_item(out, f, counted->sites[i].line);
            fputc('\n', out);
        }
}

void va_sites_write(FILE *out, const va_counted *counted, const uint64_t *sites)
{
    bool any = false;
    for (size_t i = 0; i < counted->function_count; i++) {
        const va_counted_function *f = &counted->functions[i];
        const size_t count = count_of(sites, f);
        any = any || count > 0;
        if (count == f->count) {
            va_site_item(out, f, 0);
            fputc('\n', out);
        } else if (count > 0) {
            write_lines(out, counted, sites, f);
        }
    }
    if (!any)
        fputs("/:none\n", out);
}
