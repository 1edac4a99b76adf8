#include "items.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

#define MAX_NAME 4096 /* without its arguments; the functions of longer ones have to be named with them */

static const char no_memory[] = "out of memory";

/* Where the first of a character stands that no backslash takes for itself; the end where none does. */
static size_t find_bare(const char *text, size_t length, char wanted)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\\')
            i++;
        else if (text[i] == wanted)
            return i;
    }
    return length;
}

/* The colon between file and function: not one of "::". */
static size_t find_separator(const char *text, size_t length)
{
    for (size_t at = 0; at < length;) {
        at += find_bare(text + at, length - at, ':');
        if (at + 1 >= length || text[at + 1] != ':')
            return at;
        at += 2;
    }
    return length;
}

/* LINE or FIRST-LAST. */
static bool read_lines(vrcc_item *item, const char *text)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    const unsigned long first = strtoul(text, &end, 10);
    unsigned long last = first;
    if (*end == '-' && end[1] >= '0' && end[1] <= '9')
        last = strtoul(end + 1, &end, 10);
    if (*end || first > UINT32_MAX || last > UINT32_MAX)
        return false;
    item->first = (uint32_t)first;
    item->last = (uint32_t)last;
    return true;
}

static const char *read_item(vrcc_item *out, const char *text, size_t length)
{
    *out = (vrcc_item){.text = strndup(text, length)};
    if (!out->text)
        return no_memory;
    const size_t colon = find_separator(text, length);
    if (colon == length)
        return (out->function = strndup(text, length)) ? NULL : no_memory;
    out->file = strndup(text, colon);
    out->function = strndup(text + colon + 1, length - colon - 1);
    if (!out->file || !out->function)
        return no_memory;
    if (!*out->file || !*out->function)
        return "nothing before or behind a colon";
    if (!read_lines(out, out->function))
        return NULL;
    free(out->function);
    out->function = NULL;
    return out->first > out->last ? "the last line comes before the first" : NULL;
}

static const char *add_item(vrcc_items *items, const char *text, size_t length)
{
    if (length == 0)
        return NULL;
    if ((items->count & (items->count - 1)) == 0) { /* a power of two, or none yet: full */
        vrcc_item *list = realloc(items->list, (items->count ? 2 * items->count : 1) * sizeof *list);
        if (!list)
            return no_memory;
        items->list = list;
    }
    return read_item(&items->list[items->count++], text, length);
}

static const char *read_list(vrcc_items *out, const char *text)
{
    const char *wrong = NULL;
    while (*text && !wrong) {
        const size_t length = find_bare(text, strlen(text), ',');
        wrong = add_item(out, text, length);
        text += length + (text[length] == ',');
    }
    return wrong;
}

static const char *read_file(vrcc_items *out, const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return strerror(errno);
    char *line = NULL;
    size_t room = 0;
    const char *wrong = NULL;
    for (ssize_t length; !wrong && (length = getline(&line, &room, file)) >= 0;) {
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
            length--;
        if (line[0] != '#')
            wrong = add_item(out, line, (size_t)length);
    }
    if (!wrong && ferror(file))
        wrong = "cannot be read";
    free(line);
    fclose(file);
    return wrong;
}

const char *vrcc_items_read(vrcc_items *out, const char *text)
{
    *out = (vrcc_items){0};
    const char *wrong = *text == '@' ? read_file(out, text + 1) : read_list(out, text);
    if (wrong)
        vrcc_items_free(out);
    return wrong;
}

void vrcc_items_free(vrcc_items *items)
{
    for (size_t i = 0; i < items->count; i++) {
        free(items->list[i].text);
        free(items->list[i].file);
        free(items->list[i].function);
    }
    free(items->list);
    *items = (vrcc_items){0};
}

/* ---- matching ---- */

static bool is_same(const char *glob, const char *name)
{
    return strcmp(glob, name) == 0 || fnmatch(glob, name, 0) == 0;
}

/* "ns::sum<double>" without what stands in angle brackets at its end. */
static bool is_template(const char *glob, const char *name)
{
    const size_t length = strlen(name);
    if (length == 0 || name[length - 1] != '>')
        return false;
    int depth = 0;
    size_t at = length;
    do {
        at--;
        depth += (name[at] == '>') - (name[at] == '<');
    } while (at > 0 && depth > 0);
    char plain[MAX_NAME]; /* on the stack: a signal handler may be what is decided on */
    if (depth > 0 || at >= sizeof plain)
        return false;
    memcpy(plain, name, at);
    plain[at] = '\0';
    return is_same(glob, plain);
}

static bool is_function(const char *glob, const vrcc_source *source)
{
    return is_same(glob, source->symbol) ||
           (source->name && (is_same(glob, source->name) || is_template(glob, source->name)));
}

static bool is_file(const char *glob, const char *file)
{
    const char *slash = strrchr(file, '/');
    if (strncmp(glob, "./", 2) == 0)
        return is_same(glob, file) || is_same(glob + 2, file);
    return is_same(glob, file) || (slash && is_same(glob, slash + 1));
}

static bool is_meant(const vrcc_item *item, const vrcc_source *source, uint32_t line)
{
    if (!item->file)
        return is_function(item->function, source) || is_file(item->function, source->file);
    if (!is_file(item->file, source->file))
        return false;
    return item->function ? is_function(item->function, source) : line >= item->first && line <= item->last;
}

bool vrcc_items_match(vrcc_items *items, const vrcc_source *source, uint32_t line)
{
    bool match = false;
    for (size_t i = 0; i < items->count; i++) {
        if (!is_meant(&items->list[i], source, line))
            continue;
        __atomic_store_n(&items->list[i].is_matched, true, __ATOMIC_RELAXED);
        match = true;
    }
    return match;
}
