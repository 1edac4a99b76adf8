/* Elements compared along a plan. */
#include "hdf5_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN   256  /* elements whose bytes are compared at once */
#define BLOCK 4096 /* numbers of two types converted at once */

typedef struct comparing {
    const va_plan *plan;
    const hid_t *files;
    va_h5_result *result;
    bool unequal; /* anything of the element has other bits */
} comparing;

static bool same(comparing *c, const va_node *node, const char *a, const char *b);

/* ---- leaves ---- */

va_string va_string_at(const va_node *node, int side, const void *element)
{
    va_string out = {element, node->size[side]};
    if (node->variable[side]) {
        memcpy(&out.bytes, element, sizeof out.bytes);
        out.length = out.bytes ? strlen(out.bytes) : 0;
    } else if (node->pad[side] == H5T_STR_NULLTERM) {
        out.length = strnlen(element, node->size[side]);
    } else {
        const char pad = node->pad[side] == H5T_STR_SPACEPAD ? ' ' : 0;
        while (out.length && out.bytes[out.length - 1] == pad)
            out.length--;
    }
    return out;
}

static bool same_string(const va_node *node, const char *a, const char *b)
{
    const va_string x = va_string_at(node, 0, a), y = va_string_at(node, 1, b);
    return x.length == y.length && (x.length == 0 || memcmp(x.bytes, y.bytes, x.length) == 0);
}

static bool is_null(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i])
            return false;
    return true;
}

/* Whether both references lead to what `path` leads to in the second file: an object may have several paths, and the
 * library names one of them. */
static bool leads_to(const comparing *c, const va_node *node, const char *path, const char *b)
{
    const H5R_type_t kind = node->kind == VA_NODE_OBJECT ? H5R_OBJECT : H5R_DATASET_REGION;
    H5O_info_t there, referenced;
    const hid_t object = H5Rdereference2(c->files[1], H5P_DEFAULT, kind, b);
    if (object < 0)
        return false;
    const bool same = H5Oget_info2(object, &referenced, H5O_INFO_BASIC) >= 0 &&
                      H5Oget_info_by_name2(c->files[1], path, &there, H5O_INFO_BASIC, H5P_DEFAULT) >= 0 &&
                      there.addr == referenced.addr;
    H5Oclose(object);
    return same;
}

/* References that lead nowhere are as their bytes are. */
static bool same_reference(const comparing *c, const va_node *node, const char *a, const char *b)
{
    const bool nothing[2] = {is_null(a, node->size[0]), is_null(b, node->size[1])};
    if (nothing[0] || nothing[1])
        return nothing[0] == nothing[1];
    va_reference x = va_reference_open(node, c->files[0], a), y = va_reference_open(node, c->files[1], b);
    bool same;
    if (x.path && y.path)
        same = strcmp(x.region, y.region) == 0 && (strcmp(x.path, y.path) == 0 || leads_to(c, node, x.path, b));
    else
        same = node->size[0] == node->size[1] && memcmp(a, b, node->size[0]) == 0;
    va_reference_close(&x);
    va_reference_close(&y);
    return same;
}

/* ---- parts ---- */

static bool same_elements(comparing *c, const va_node *element, const char *a, const char *b, size_t n)
{
    bool fine = true;
    for (size_t i = 0; i < n; i++)
        fine &= same(c, element, a + i * element->size[0], b + i * element->size[1]);
    return fine;
}

static bool same_sequence(comparing *c, const va_node *node, const char *a, const char *b)
{
    hvl_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    if (x.len != y.len) {
        c->unequal = true;
        return false;
    }
    return same_elements(c, node->children, x.p, y.p, x.len);
}

static bool same_members(comparing *c, const va_node *node, const char *a, const char *b)
{
    bool fine = true;
    for (size_t i = 0; i < node->child_count; i++) {
        const va_node *child = &node->children[i];
        fine &= same(c, child, a + child->offset[0], b + child->offset[1]);
    }
    return fine;
}

static bool note_bytes(comparing *c, bool equal)
{
    c->unequal |= !equal;
    return equal;
}

/* Whether two elements are the same, within the tolerance. */
static bool same(comparing *c, const va_node *node, const char *a, const char *b)
{
    if (node->bitwise && memcmp(a, b, node->size[0]) == 0)
        return true;
    const vr_tolerance *tolerance = &c->plan->options.tolerance;
    switch (node->kind) {
    case VA_NODE_NUMBER:
        return va_same_number(c->result, tolerance, node->dtype[0], a, b, &c->unequal);
    case VA_NODE_MIXED:
        return va_same_mixed(c->result, tolerance, node->dtype, a, b, &c->unequal);
    case VA_NODE_COMPOUND:
        return same_members(c, node, a, b);
    case VA_NODE_ARRAY:
        return same_elements(c, node->children, a, b, node->length);
    case VA_NODE_SEQUENCE:
        return same_sequence(c, node, a, b);
    case VA_NODE_STRING:
        return note_bytes(c, same_string(node, a, b));
    case VA_NODE_ENUM:
        return note_bytes(c, va_enum_same(node, a, b));
    case VA_NODE_OBJECT:
    case VA_NODE_REGION:
        return note_bytes(c, same_reference(c, node, a, b));
    default:
        return note_bytes(c, false);
    }
}

/* ---- the first difference ---- */

typedef struct place {
    const va_node *node;
    const char *at[2];
} place;

/* Adds to the member's path; what is too long is cut with "...". */
static void add_path(char path[VA_H5_VALUE], const char *text)
{
    const size_t used = strlen(path), left = VA_H5_VALUE - used;
    if (strlen(text) < left)
        memcpy(path + used, text, strlen(text) + 1);
    else if (left > 1)
        memcpy(path + (used < VA_H5_VALUE - 4 ? used : VA_H5_VALUE - 4), "...", 4);
}

/* "[3]", or an array's coordinates "[1,2]". */
static void add_index(char path[VA_H5_VALUE], const va_node *node, uint64_t index)
{
    char text[32];
    uint64_t below = node->kind == VA_NODE_ARRAY ? node->length : 0;
    if (below == 0) {
        snprintf(text, sizeof text, "[%llu]", (unsigned long long)index);
        add_path(path, text);
        return;
    }
    for (int d = 0; d < node->rank; d++) {
        below /= node->dims[d];
        snprintf(text, sizeof text, "%s%llu", d ? "," : "[", (unsigned long long)(index / below));
        add_path(path, text);
        index %= below;
    }
    add_path(path, "]");
}

static bool differ(const comparing *c, const va_node *node, const char *a, const char *b)
{
    va_h5_result unused = VA_H5_RESULT_INIT;
    return !same(&(comparing){c->plan, c->files, &unused, false}, node, a, b);
}

/* Moves to the first differing element of an array or sequence of n elements at `a` and `b`. */
static bool enter_element(const comparing *c, place *p, const char *a, const char *b, uint64_t n)
{
    const va_node *element = p->node->children;
    for (uint64_t i = 0; i < n; i++, a += element->size[0], b += element->size[1])
        if (differ(c, element, a, b)) {
            add_index(c->result->member, p->node, i);
            *p = (place){element, {a, b}};
            return true;
        }
    return false;
}

static bool enter_member(const comparing *c, place *p)
{
    for (size_t i = 0; i < p->node->child_count; i++) {
        const va_node *child = &p->node->children[i];
        const char *a = p->at[0] + child->offset[0], *b = p->at[1] + child->offset[1];
        if (differ(c, child, a, b)) {
            add_path(c->result->member, ".");
            add_path(c->result->member, child->name);
            *p = (place){child, {a, b}};
            return true;
        }
    }
    return false;
}

/* Moves one level down to what differs; false where that is all of it. */
static bool enter(const comparing *c, place *p)
{
    if (p->node->kind == VA_NODE_COMPOUND)
        return enter_member(c, p);
    if (p->node->kind == VA_NODE_ARRAY)
        return enter_element(c, p, p->at[0], p->at[1], p->node->length);
    if (p->node->kind != VA_NODE_SEQUENCE)
        return false;
    hvl_t x, y;
    memcpy(&x, p->at[0], sizeof x);
    memcpy(&y, p->at[1], sizeof y);
    return x.len == y.len && enter_element(c, p, x.p, y.p, x.len);
}

/* How much of two strings, or of two runs of bytes, is the same at their start. */
static size_t common_start(const place *p)
{
    va_string x = {p->at[0], p->node->size[0]}, y = {p->at[1], p->node->size[1]};
    if (p->node->kind == VA_NODE_STRING) {
        x = va_string_at(p->node, 0, p->at[0]);
        y = va_string_at(p->node, 1, p->at[1]);
    } else if (p->node->kind != VA_NODE_BYTES) {
        return 0;
    }
    size_t n = 0;
    while (n < x.length && n < y.length && x.bytes[n] == y.bytes[n])
        n++;
    return n;
}

static void note_first(const comparing *c, const char *a, const char *b, int64_t index)
{
    place p = {&c->plan->root, {a, b}};
    c->result->first = index;
    c->result->member[0] = 0;
    while (enter(c, &p))
        ;
    const size_t common = common_start(&p), skip = common > VA_H5_VALUE / 2 ? common - VA_H5_VALUE / 4 : 0;
    for (int s = 0; s < 2; s++)
        va_node_text(p.node, s, c->files[s], p.at[s], skip, c->result->value[s]);
}

/* ---- all elements ---- */

/* Adds the statistics of n elements, numbers of two types as doubles. */
static void add_statistics(const va_plan *plan, va_h5_result *result, const void *a, const void *b, uint64_t n)
{
    const va_node *node = &plan->root;
    double values[2][BLOCK];
    const bool mixed = node->kind == VA_NODE_MIXED;
    for (uint64_t at = 0; at < n;) {
        const uint64_t length = mixed && n - at > BLOCK ? BLOCK : n - at;
        const char *from[2] = {(const char *)a + at * node->size[0], (const char *)b + at * node->size[1]};
        for (int s = 0; mixed && s < 2; s++) {
            for (uint64_t i = 0; i < length; i++)
                values[s][i] = va_number_f64(node->dtype[s], from[s] + i * node->size[s]);
            from[s] = (const char *)values[s];
        }
        const vr_dtype dtype = mixed ? VR_F64 : node->dtype[0];
        const int64_t shape = (int64_t)length;
        const vr_tensor x = vr_tensor_of(dtype, from[0], 1, &shape), y = vr_tensor_of(dtype, from[1], 1, &shape);
        vr_comparison part;
        if (vr_compare(&part, &x, &y, &plan->options.tolerance) == VR_OK) {
            result->statistics = result->has_statistics ? vr_comparison_merge(&result->statistics, &part) : part;
            result->has_statistics = true;
        }
        at += length;
    }
}

/* How many of n elements, up to RUN, have equal bytes from the first on. */
static uint64_t equal_run(const va_node *node, const char *a, const char *b, uint64_t n)
{
    const uint64_t run = n < RUN ? n : RUN;
    return node->bitwise && memcmp(a, b, run * node->size[0]) == 0 ? run : 0;
}

void va_plan_compare(const va_plan *plan, va_h5_result *result, const hid_t files[2], const void *a, const void *b,
                     uint64_t n, int64_t index)
{
    const va_node *node = &plan->root;
    const char *x = a, *y = b;
    comparing c = {plan, files, result, false};
    const uint64_t stop = plan->options.stop ? plan->options.stop : UINT64_MAX;
    uint64_t i = 0, skip;
    result->numeric |= plan->has_numbers;
    for (; i < n && result->different < stop; i++) {
        if (i % RUN == 0 && (skip = equal_run(node, x + i * node->size[0], y + i * node->size[1], n - i))) {
            i += skip - 1;
            continue;
        }
        const char *p = x + i * node->size[0], *q = y + i * node->size[1];
        c.unequal = false;
        const bool fine = same(&c, node, p, q);
        result->unequal += c.unequal;
        result->different += !fine;
        if (!fine && result->first < 0)
            note_first(&c, p, q, index + (int64_t)i);
    }
    result->count += i;
    if (plan->options.statistics && (node->kind == VA_NODE_NUMBER || node->kind == VA_NODE_MIXED))
        add_statistics(plan, result, a, b, i);
    if (node->kind == VA_NODE_MIXED)
        result->statistics.max_ulp = result->max_ulp; /* not of the doubles they were made */
}
