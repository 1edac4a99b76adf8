/* Types and values of HDF5 files in words. */
#include "hdf5_plan.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BLOCKS 1024 /* of a region's selection, told one by one */

/* Text in a place of fixed size, cut with "...". */
typedef struct text {
    char *start;
    size_t used, size;
    bool full;
} text;

__attribute__((format(printf, 2, 3))) static void add(text *out, const char *format, ...)
{
    if (out->full)
        return;
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(out->start + out->used, out->size - out->used, format, args);
    va_end(args);
    out->used += n > 0 ? (size_t)n : 0;
    if (out->used >= out->size) {
        out->full = true;
        size_t cut = out->size - 4;
        while (cut > 0 && (out->start[cut] & 0xc0) == 0x80)
            cut--; /* not within a character */
        memcpy(out->start + cut, "...", 4);
    }
}

/* ---- types ---- */

static void add_type(text *out, hid_t type, int depth);

static void add_order(text *out, hid_t type)
{
    const H5T_order_t order = H5Tget_order(type);
    if (H5Tget_size(type) > 1 && order == H5T_ORDER_BE)
        add(out, ", big-endian");
    else if (order == H5T_ORDER_VAX)
        add(out, ", VAX order");
}

static void add_number_type(text *out, hid_t type)
{
    vr_dtype dtype = 0;
    const size_t bits = H5Tget_precision(type);
    const hid_t native = H5Tget_class(type) == H5T_FLOAT ? va_number_type(type, &dtype) : -1;
    if (native >= 0)
        H5Tclose(native);
    if (H5Tget_class(type) == H5T_INTEGER)
        add(out, "%c%zu", H5Tget_sign(type) == H5T_SGN_NONE ? 'u' : 'i', bits);
    else if (dtype && vr_dtype_size(dtype) == H5Tget_size(type) && 8 * vr_dtype_size(dtype) == bits)
        add(out, "%s", vr_dtype_name(dtype));
    else {
        size_t sign, exponent, exponent_bits = 0, mantissa, mantissa_bits = 0;
        H5Tget_fields(type, &sign, &exponent, &exponent_bits, &mantissa, &mantissa_bits);
        add(out, "f%zu (%zu bits exponent, %zu mantissa)", bits, exponent_bits, mantissa_bits);
    }
    add_order(out, type);
}

static void add_string_type(text *out, hid_t type)
{
    static const char *const pads[] = {"", ", padded with NUL", ", padded with spaces"};
    if (H5Tis_variable_str(type) > 0)
        add(out, "string");
    else {
        const H5T_str_t pad = H5Tget_strpad(type);
        add(out, "string of %zu%s", H5Tget_size(type), pad >= 0 && pad < 3 ? pads[pad] : "");
    }
    if (H5Tget_cset(type) == H5T_CSET_UTF8)
        add(out, ", UTF-8");
}

static void add_members(text *out, hid_t type, int depth)
{
    const int count = H5Tget_nmembers(type);
    add(out, "compound {");
    for (int i = 0; i < count && !out->full; i++) {
        char *name = H5Tget_member_name(type, (unsigned)i);
        const hid_t member = H5Tget_member_type(type, (unsigned)i);
        add(out, "%s%s: ", i ? ", " : "", name ? name : "?");
        add_type(out, member, depth);
        H5free_memory(name);
        if (member >= 0)
            H5Tclose(member);
    }
    add(out, "}");
}

static void add_enumeration(text *out, hid_t type, int depth)
{
    va_node node = {.type = {-1, -1}, .size = {H5Tget_size(type)}};
    const hid_t base = H5Tget_super(type);
    const int count = H5Tget_nmembers(type);
    add(out, "enum of ");
    add_type(out, base, depth);
    if (base >= 0) {
        node.enumeration[0].big_endian = H5Tget_order(base) == H5T_ORDER_BE;
        node.enumeration[0].is_signed = H5Tget_sign(base) != H5T_SGN_NONE;
        H5Tclose(base);
    }
    for (int i = 0; i < count && node.size[0] <= 8 && !out->full; i++) {
        uint64_t raw = 0;
        char *name = H5Tget_member_name(type, (unsigned)i);
        H5Tget_member_value(type, (unsigned)i, &raw);
        add(out, "%s%s = %" PRId64, i ? ", " : " {", name ? name : "?", (int64_t)va_enum_value(&node, 0, &raw));
        H5free_memory(name);
    }
    add(out, count > 0 ? "}" : " {}");
}

/* "array [2,3] of f32", "sequence of f32" */
static void add_elements(text *out, hid_t type, int depth)
{
    hsize_t dims[H5S_MAX_RANK] = {0};
    const int rank = H5Tget_class(type) == H5T_ARRAY ? H5Tget_array_dims2(type, dims) : 0;
    const hid_t base = H5Tget_super(type);
    add(out, rank > 0 ? "array" : "sequence");
    for (int d = 0; d < rank; d++)
        add(out, "%s%llu", d ? "," : " [", (unsigned long long)dims[d]);
    add(out, rank > 0 ? "] of " : " of ");
    add_type(out, base, depth);
    if (base >= 0)
        H5Tclose(base);
}

static void add_opaque(text *out, hid_t type)
{
    char *tag = H5Tget_tag(type);
    add(out, "opaque of %zu", H5Tget_size(type));
    if (tag && *tag)
        add(out, " \"%s\"", tag);
    H5free_memory(tag);
}

static void add_type(text *out, hid_t type, int depth)
{
    if (out->full || depth > 64)
        return;
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
    case H5T_FLOAT:
        add_number_type(out, type);
        break;
    case H5T_STRING:
        add_string_type(out, type);
        break;
    case H5T_BITFIELD:
        add(out, "bitfield of %zu", H5Tget_precision(type));
        add_order(out, type);
        break;
    case H5T_TIME:
        add(out, "time of %zu", H5Tget_precision(type));
        add_order(out, type);
        break;
    case H5T_OPAQUE:
        add_opaque(out, type);
        break;
    case H5T_COMPOUND:
        add_members(out, type, depth + 1);
        break;
    case H5T_REFERENCE:
        add(out, H5Tequal(type, H5T_STD_REF_OBJ) > 0 ? "object reference" : "region reference");
        break;
    case H5T_ENUM:
        add_enumeration(out, type, depth + 1);
        break;
    case H5T_VLEN:
    case H5T_ARRAY:
        add_elements(out, type, depth + 1);
        break;
    default:
        add(out, "a type of no known class");
    }
}

void va_h5_type_text(char *out, size_t size, hid_t type)
{
    text to = {out, 0, size, false};
    *out = 0;
    add_type(&to, type, 0);
}

/* ---- references ---- */

/* The path of what a reference leads to, the caller's to free; NULL when it leads nowhere. */
static char *referenced_path(H5R_type_t kind, hid_t file, const void *reference)
{
    const ssize_t length = H5Rget_name(file, kind, reference, NULL, 0);
    char *path = length < 0 ? NULL : calloc(1, (size_t)length + 1);
    if (path && H5Rget_name(file, kind, reference, path, (size_t)length + 1) >= 0)
        return path;
    free(path);
    return NULL;
}

/* " [0:2,5]": of each dimension one index, or the first and the last. */
static void add_corner(FILE *out, const hsize_t *from, const hsize_t *to, int rank)
{
    for (int d = 0; d < rank; d++) {
        fprintf(out, "%s%llu", d ? "," : " [", (unsigned long long)from[d]);
        if (to[d] != from[d])
            fprintf(out, ":%llu", (unsigned long long)to[d]);
    }
    fputc(']', out);
}

/* Up to MOST_BLOCKS points or blocks of a selection, one by one; of more, also what they all lie in. */
static void add_selection(FILE *out, hid_t space, int rank)
{
    const bool points = H5Sget_select_type(space) == H5S_SEL_POINTS;
    const hssize_t all = points ? H5Sget_select_elem_npoints(space) : H5Sget_select_hyper_nblocks(space);
    if (all <= 0)
        return;
    const hsize_t n = all < MOST_BLOCKS ? (hsize_t)all : MOST_BLOCKS;
    hsize_t from[H5S_MAX_RANK], to[H5S_MAX_RANK];
    hsize_t *corners = calloc((size_t)n * 2 * (size_t)rank, sizeof *corners);
    const herr_t got = !corners ? -1
                       : points ? H5Sget_select_elem_pointlist(space, 0, n, corners)
                                : H5Sget_select_hyper_blocklist(space, 0, n, corners);
    for (hsize_t i = 0; got >= 0 && i < n; i++) {
        const hsize_t *at = corners + i * (hsize_t)rank * (points ? 1 : 2);
        add_corner(out, at, at + (points ? 0 : rank), rank);
    }
    if ((hsize_t)all > n && H5Sget_select_bounds(space, from, to) >= 0) {
        fprintf(out, "... %lld points in", (long long)H5Sget_select_npoints(space));
        add_corner(out, from, to, rank);
    }
    free(corners);
}

static void add_region(FILE *out, hid_t file, const void *reference)
{
    const hid_t space = H5Rget_region(file, H5R_DATASET_REGION, reference);
    const int rank = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
    const H5S_sel_type kind = space < 0 ? H5S_SEL_ERROR : H5Sget_select_type(space);
    if (kind == H5S_SEL_ALL || kind == H5S_SEL_NONE)
        fputs(kind == H5S_SEL_ALL ? " (all)" : " (nothing)", out);
    else if (rank > 0)
        add_selection(out, space, rank);
    if (space >= 0)
        H5Sclose(space);
}

va_reference va_reference_open(const va_node *node, hid_t file, const void *element)
{
    const H5R_type_t kind = node->kind == VA_NODE_OBJECT ? H5R_OBJECT : H5R_DATASET_REGION;
    va_reference out = {.path = referenced_path(kind, file, element)};
    size_t size;
    FILE *region = open_memstream(&out.region, &size);
    if (region) {
        if (out.path && kind == H5R_DATASET_REGION)
            add_region(region, file, element);
        fclose(region);
    }
    if (region && out.region)
        return out;
    free(out.path);
    return (va_reference){0};
}

void va_reference_close(va_reference *reference)
{
    free(reference->path);
    free(reference->region);
}

/* ---- values ---- */

static void add_value(text *out, const va_node *node, int side, hid_t file, const char *at, size_t skip);

/* Quoted; what would spoil a line escaped, bytes of UTF-8 as they are. */
static void add_string(text *out, va_string string, size_t skip)
{
    skip = skip < string.length ? skip : string.length;
    while (skip > 0 && skip < string.length && ((unsigned char)string.bytes[skip] & 0xc0) == 0x80)
        skip--; /* not within a character */
    add(out, skip ? "...\"" : "\"");
    for (size_t i = skip; i < string.length && !out->full; i++) {
        const unsigned char c = (unsigned char)string.bytes[i];
        if (c == '\n')
            add(out, "\\n");
        else if (c < 0x20 || c == 0x7f)
            add(out, "\\x%02x", c);
        else
            add(out, c == '"' || c == '\\' ? "\\%c" : "%c", c);
    }
    add(out, "\"");
}

static void add_bytes(text *out, const unsigned char *bytes, size_t size, size_t skip)
{
    add(out, skip ? "0x..." : "0x");
    for (size_t i = skip; i < size && !out->full; i++)
        add(out, "%02x", bytes[i]);
}

static void add_list(text *out, const va_node *element, int side, hid_t file, const char *at, uint64_t n)
{
    add(out, "[");
    for (uint64_t i = 0; i < n && !out->full; i++) {
        add(out, "%s", i ? ", " : "");
        add_value(out, element, side, file, at + i * element->size[side], 0);
    }
    add(out, "]");
}

static void add_sequence(text *out, const va_node *node, int side, hid_t file, const char *at)
{
    hvl_t sequence;
    memcpy(&sequence, at, sizeof sequence);
    add(out, "%zu element%s ", sequence.len, sequence.len == 1 ? "" : "s");
    add_list(out, node->children, side, file, sequence.p, sequence.len);
}

static void add_compound(text *out, const va_node *node, int side, hid_t file, const char *at)
{
    add(out, "{");
    for (size_t i = 0; i < node->child_count && !out->full; i++) {
        const va_node *child = &node->children[i];
        add(out, "%s%s: ", i ? ", " : "", child->name);
        add_value(out, child, side, file, at + child->offset[side], 0);
    }
    add(out, "}");
}

static void add_enum(text *out, const va_node *node, int side, const char *at)
{
    const uint64_t value = va_enum_value(node, side, at);
    const va_enumerator *found = va_enum_find(&node->enumeration[side], value);
    if (found)
        add(out, "%s", found->name);
    else
        add(out, "%" PRId64, (int64_t)value);
}

static void add_reference(text *out, const va_node *node, int side, hid_t file, const char *at)
{
    static const char nothing[64];
    const bool null = node->size[side] <= sizeof nothing && memcmp(at, nothing, node->size[side]) == 0;
    if (null) {
        add(out, "null");
        return;
    }
    va_reference reference = va_reference_open(node, file, at);
    if (reference.path)
        add(out, "%s%s", *reference.path ? reference.path : "(an object without a path)", reference.region);
    else
        add(out, "(nothing)");
    va_reference_close(&reference);
}

static void add_value(text *out, const va_node *node, int side, hid_t file, const char *at, size_t skip)
{
    char number[VA_NUMBER_TEXT];
    switch (node->kind) {
    case VA_NODE_NUMBER:
    case VA_NODE_MIXED:
        va_number_text(number, node->dtype[side], at);
        add(out, "%s", number);
        break;
    case VA_NODE_BYTES:
        add_bytes(out, (const unsigned char *)at, node->size[side], skip);
        break;
    case VA_NODE_ENUM:
        add_enum(out, node, side, at);
        break;
    case VA_NODE_STRING:
        add_string(out, va_string_at(node, side, at), skip);
        break;
    case VA_NODE_COMPOUND:
        add_compound(out, node, side, file, at);
        break;
    case VA_NODE_ARRAY:
        add_list(out, node->children, side, file, at, node->length);
        break;
    case VA_NODE_SEQUENCE:
        add_sequence(out, node, side, file, at);
        break;
    default:
        add_reference(out, node, side, file, at);
    }
}

void va_node_text(const va_node *node, int side, hid_t file, const void *element, size_t skip, char out[VA_H5_VALUE])
{
    text to = {out, 0, VA_H5_VALUE, false};
    *out = 0;
    add_value(&to, node, side, file, element, skip);
}

void va_plan_text(const va_plan *plan, int side, hid_t file, const void *element, char out[VA_H5_VALUE])
{
    va_node_text(&plan->root, side, file, element, 0, out);
}
