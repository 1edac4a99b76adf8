/* A plan made from two HDF5 types. */
#include "hdf5_plan.h"

#include <formats/fail.h>
#include <formats/hdf5_file.h>
#include <stdlib.h>
#include <string.h>

#define MOST_DEPTH   64
#define MOST_ELEMENT ((size_t)1 << 30) /* bytes in memory; also keeps sums of two from overflowing */

typedef struct builder {
    va_plan *plan;
    int depth;
} builder;

static vr_status build(builder *b, va_node *node, const hid_t files[2]);

static vr_status mismatch(const hid_t files[2])
{
    char text[2][256];
    va_h5_type_text(text[0], sizeof text[0], files[0]);
    va_h5_type_text(text[1], sizeof text[1], files[1]);
    return vr_fail(VR_ERROR_SHAPE, "%s against %s", text[0], text[1]);
}

static vr_status no_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "comparing types: out of memory");
}

static vr_status damaged(void)
{
    return vr_fail(VR_ERROR_FORMAT, "damaged type: %s", vr_h5_reason());
}

/* Checks what has been put in node->type and takes its sizes. */
static vr_status finish_type(va_node *node)
{
    for (int s = 0; s < 2; s++) {
        if (node->type[s] < 0 || (node->size[s] = H5Tget_size(node->type[s])) == 0)
            return damaged();
        if (node->size[s] > MOST_ELEMENT)
            return vr_fail(VR_ERROR_UNSUPPORTED, "elements of %zu bytes: more than can be compared", node->size[s]);
    }
    return VR_OK;
}

/* ---- leaves ---- */

/* The bytes as they are, in one byte order where the library knows of it. */
static vr_status build_bytes(va_node *node, const hid_t files[2])
{
    node->kind = VA_NODE_BYTES;
    node->bitwise = true;
    for (int s = 0; s < 2; s++) {
        node->type[s] = H5Tcopy(files[s]);
        const H5T_class_t class = H5Tget_class(files[s]);
        if (node->type[s] >= 0 && (class == H5T_BITFIELD || class == H5T_INTEGER || class == H5T_FLOAT))
            H5Tset_order(node->type[s], H5T_ORDER_LE);
    }
    const vr_status status = finish_type(node);
    return status == VR_OK && node->size[0] != node->size[1] ? mismatch(files) : status;
}

static vr_status build_number(builder *b, va_node *node, const hid_t files[2])
{
    const bool same = va_same_number_type(files[0], files[1]);
    if (!same && !b->plan->options.convert)
        return mismatch(files);
    for (int s = 0; s < 2; s++)
        node->type[s] = va_number_type(files[s], &node->dtype[s]);
    if (node->type[0] < 0 || node->type[1] < 0) {
        for (int s = 0; s < 2; s++) {
            if (node->type[s] >= 0)
                H5Tclose(node->type[s]);
            node->type[s] = -1;
        }
        return same ? build_bytes(node, files) : mismatch(files);
    }
    node->kind = node->dtype[0] == node->dtype[1] && node->dtype[0] ? VA_NODE_NUMBER : VA_NODE_MIXED;
    node->bitwise = node->kind == VA_NODE_NUMBER;
    b->plan->has_numbers = true;
    return finish_type(node);
}

static vr_status build_string(builder *b, va_node *node, const hid_t files[2])
{
    node->kind = VA_NODE_STRING;
    for (int s = 0; s < 2; s++) {
        const htri_t variable = H5Tis_variable_str(files[s]);
        if (variable < 0)
            return damaged();
        node->variable[s] = variable > 0;
        node->pad[s] = H5Tget_strpad(files[s]);
        node->type[s] = H5Tcopy(files[s]);
        b->plan->has_variable |= node->variable[s];
    }
    const vr_status status = finish_type(node);
    node->bitwise =
        !node->variable[0] && !node->variable[1] && node->size[0] == node->size[1] && node->pad[0] == node->pad[1];
    return status;
}

static vr_status build_reference(builder *b, va_node *node, const hid_t files[2])
{
    for (int s = 0; s < 2; s++) {
        const bool object = H5Tequal(files[s], H5T_STD_REF_OBJ) > 0;
        if (!object && H5Tequal(files[s], H5T_STD_REF_DSETREG) <= 0)
            return vr_fail(VR_ERROR_UNSUPPORTED, "references of a kind that varanalyze does not know");
        const va_node_kind kind = object ? VA_NODE_OBJECT : VA_NODE_REGION;
        if (s == 1 && kind != node->kind)
            return mismatch(files);
        node->kind = kind;
        node->type[s] = H5Tcopy(files[s]);
    }
    b->plan->has_references = true;
    return finish_type(node);
}

static vr_status build_enum(va_node *node, const hid_t files[2])
{
    node->kind = VA_NODE_ENUM;
    for (int s = 0; s < 2; s++)
        node->type[s] = H5Tcopy(files[s]);
    const vr_status status = finish_type(node);
    return status == VR_OK ? va_enum_read(node, files) : status;
}

/* ---- types of other types ---- */

/* A member of a compound type: its name, the library's, and number. */
typedef struct member {
    char *name;
    unsigned index;
} member;

static int by_member_name(const void *a, const void *b)
{
    return strcmp(((const member *)a)->name, ((const member *)b)->name);
}

static void free_members(member *members, int count)
{
    for (int i = 0; members && i < count; i++)
        H5free_memory(members[i].name);
    free(members);
}

static vr_status read_members(member **out, hid_t file, int count)
{
    member *members = calloc((size_t)count + 1, sizeof *members);
    if (!members)
        return no_memory();
    for (int i = 0; i < count; i++) {
        members[i] = (member){H5Tget_member_name(file, (unsigned)i), (unsigned)i};
        if (!members[i].name) {
            free_members(members, count);
            return damaged();
        }
    }
    qsort(members, (size_t)count, sizeof *members, by_member_name);
    *out = members;
    return VR_OK;
}

/* Whether a member lies in its compound, as the library takes on trust. */
static bool lies_within(hid_t file, const member *of, hid_t type)
{
    const size_t size = H5Tget_size(file), own = H5Tget_size(type), offset = H5Tget_member_offset(file, of->index);
    return own > 0 && own <= size && offset <= size - own;
}

static vr_status build_member(builder *b, va_node *child, const hid_t files[2], const member *of[2])
{
    const hid_t types[2] = {H5Tget_member_type(files[0], of[0]->index), H5Tget_member_type(files[1], of[1]->index)};
    child->name = strdup(of[0]->name);
    vr_status status = child->name ? VR_OK : no_memory();
    for (int s = 0; status == VR_OK && s < 2; s++)
        if (types[s] < 0 || !lies_within(files[s], of[s], types[s]))
            status = vr_fail(VR_ERROR_FORMAT, "damaged type: its member %s is not within it", child->name);
    if (status == VR_OK)
        status = build(b, child, types);
    if (status == VR_ERROR_SHAPE)
        status = vr_fail(status, ".%s%s%s", child->name, *vr_error() == '.' ? "" : ": ", vr_error());
    for (int s = 0; s < 2; s++)
        if (types[s] >= 0)
            H5Tclose(types[s]);
    return status;
}

/* Lays the children of a compound out without gaps, in the order of the first side's members, and makes its types. */
static vr_status lay_out(va_node *node)
{
    size_t size[2] = {0};
    node->bitwise = true;
    for (size_t i = 0; i < node->child_count; i++) {
        va_node *child = &node->children[i];
        for (int s = 0; s < 2; s++) {
            child->offset[s] = size[s];
            size[s] += child->size[s];
        }
        node->bitwise &= child->bitwise;
        if (size[0] > MOST_ELEMENT || size[1] > MOST_ELEMENT)
            return vr_fail(VR_ERROR_UNSUPPORTED, "elements of %zu bytes: more than can be compared", size[0]);
    }
    for (int s = 0; s < 2; s++) {
        node->type[s] = H5Tcreate(H5T_COMPOUND, size[s]);
        for (size_t i = 0; node->type[s] >= 0 && i < node->child_count; i++) {
            const va_node *child = &node->children[i];
            if (H5Tinsert(node->type[s], child->name, child->offset[s], child->type[s]) < 0)
                return damaged();
        }
    }
    return finish_type(node);
}

static int by_offset(const void *a, const void *b)
{
    const va_node *x = a, *y = b;
    return (x->offset[0] > y->offset[0]) - (x->offset[0] < y->offset[0]);
}

/* The first name that only one side has; the lists are sorted. */
static vr_status check_members(member *const members[2], const int counts[2])
{
    for (int i = 0; i < counts[0] || i < counts[1]; i++) {
        const int order = i == counts[0] ? 1 : i == counts[1] ? -1 : strcmp(members[0][i].name, members[1][i].name);
        if (order)
            return vr_fail(VR_ERROR_SHAPE, ".%s: only in the %s", members[order > 0][i].name,
                           order < 0 ? "first" : "second");
    }
    return VR_OK;
}

static vr_status pair_members(builder *b, va_node *node, const hid_t files[2], member *const members[2], int count)
{
    node->children = calloc((size_t)count, sizeof *node->children);
    if (!node->children)
        return no_memory();
    vr_status status = VR_OK;
    for (int i = 0; status == VR_OK && i < count; i++) {
        va_node *child = &node->children[i];
        *child = (va_node){.type = {-1, -1}};
        node->child_count++;
        status = build_member(b, child, files, (const member *[2]){&members[0][i], &members[1][i]});
        child->offset[0] = members[0][i].index; /* for the order, until they are laid out */
    }
    return status;
}

static vr_status build_compound(builder *b, va_node *node, const hid_t files[2])
{
    const int counts[2] = {H5Tget_nmembers(files[0]), H5Tget_nmembers(files[1])};
    member *members[2] = {NULL, NULL};
    node->kind = VA_NODE_COMPOUND;
    vr_status status = counts[0] <= 0 || counts[1] <= 0 ? damaged() : VR_OK;
    for (int s = 0; status == VR_OK && s < 2; s++)
        status = read_members(&members[s], files[s], counts[s]);
    if (status == VR_OK)
        status = check_members(members, counts);
    if (status == VR_OK)
        status = pair_members(b, node, files, members, counts[0]);
    free_members(members[0], counts[0]);
    free_members(members[1], counts[1]);
    if (status != VR_OK)
        return status;
    qsort(node->children, node->child_count, sizeof *node->children, by_offset);
    return lay_out(node);
}

/* The one child of an array or a sequence. */
static vr_status build_element(builder *b, va_node *node, const hid_t files[2])
{
    const hid_t types[2] = {H5Tget_super(files[0]), H5Tget_super(files[1])};
    node->children = calloc(1, sizeof *node->children);
    vr_status status = node->children ? VR_OK : no_memory();
    if (status == VR_OK) {
        node->child_count = 1;
        *node->children = (va_node){.type = {-1, -1}};
        status = types[0] < 0 || types[1] < 0 ? damaged() : build(b, node->children, types);
    }
    for (int s = 0; s < 2; s++)
        if (types[s] >= 0)
            H5Tclose(types[s]);
    return status;
}

static vr_status build_array(builder *b, va_node *node, const hid_t files[2])
{
    hsize_t dims[2][H5S_MAX_RANK] = {0};
    node->kind = VA_NODE_ARRAY;
    node->rank = H5Tget_array_ndims(files[0]);
    if (node->rank < 1 || node->rank > H5S_MAX_RANK || H5Tget_array_ndims(files[1]) != node->rank)
        return node->rank < 1 ? damaged() : mismatch(files);
    if (H5Tget_array_dims2(files[0], dims[0]) < 0 || H5Tget_array_dims2(files[1], dims[1]) < 0)
        return damaged();
    if (memcmp(dims[0], dims[1], sizeof dims[0]) != 0)
        return mismatch(files);
    const vr_status status = build_element(b, node, files);
    if (status != VR_OK)
        return status;
    const va_node *element = node->children;
    memcpy(node->dims, dims[0], sizeof dims[0]);
    node->length = 1;
    for (int d = 0; d < node->rank; d++)
        if (__builtin_mul_overflow(node->length, node->dims[d], &node->length) || node->length > MOST_ELEMENT)
            return vr_fail(VR_ERROR_UNSUPPORTED, "an array type of more elements than can be compared");
    for (int s = 0; s < 2; s++) {
        if (element->size[s] * node->length > MOST_ELEMENT)
            return vr_fail(VR_ERROR_UNSUPPORTED, "an array type of more bytes than can be compared");
        node->type[s] = H5Tarray_create2(element->type[s], (unsigned)node->rank, node->dims);
    }
    node->bitwise = element->bitwise;
    return finish_type(node);
}

static vr_status build_sequence(builder *b, va_node *node, const hid_t files[2])
{
    node->kind = VA_NODE_SEQUENCE;
    b->plan->has_variable = true;
    const vr_status status = build_element(b, node, files);
    if (status != VR_OK)
        return status;
    for (int s = 0; s < 2; s++)
        node->type[s] = H5Tvlen_create(node->children->type[s]);
    return finish_type(node);
}

static bool is_number(H5T_class_t class)
{
    return class == H5T_INTEGER || class == H5T_FLOAT;
}

static vr_status build_bitfield(va_node *node, const hid_t files[2])
{
    const bool same =
        H5Tget_precision(files[0]) == H5Tget_precision(files[1]) && H5Tget_offset(files[0]) == H5Tget_offset(files[1]);
    return same ? build_bytes(node, files) : mismatch(files);
}

static vr_status build_class(builder *b, va_node *node, const hid_t files[2])
{
    const H5T_class_t class = H5Tget_class(files[0]), other = H5Tget_class(files[1]);
    if (class == H5T_NO_CLASS || other == H5T_NO_CLASS)
        return damaged();
    if (class != other && !(is_number(class) && is_number(other)))
        return mismatch(files);
    switch (class) {
    case H5T_INTEGER:
    case H5T_FLOAT:
        return build_number(b, node, files);
    case H5T_STRING:
        return build_string(b, node, files);
    case H5T_BITFIELD:
        return build_bitfield(node, files);
    case H5T_OPAQUE:
    case H5T_TIME:
        return build_bytes(node, files);
    case H5T_COMPOUND:
        return build_compound(b, node, files);
    case H5T_REFERENCE:
        return build_reference(b, node, files);
    case H5T_ENUM:
        return build_enum(node, files);
    case H5T_VLEN:
        return build_sequence(b, node, files);
    case H5T_ARRAY:
        return build_array(b, node, files);
    default:
        return vr_fail(VR_ERROR_UNSUPPORTED, "a class of types that varanalyze does not know");
    }
}

static vr_status build(builder *b, va_node *node, const hid_t files[2])
{
    if (b->depth == MOST_DEPTH)
        return vr_fail(VR_ERROR_UNSUPPORTED, "a type nested deeper than %d", MOST_DEPTH);
    b->depth++;
    const vr_status status = build_class(b, node, files);
    b->depth--;
    return status;
}

/* ---- the plan ---- */

static void free_node(va_node *node)
{
    for (size_t i = 0; i < node->child_count; i++)
        free_node(&node->children[i]);
    for (int s = 0; s < 2; s++) {
        if (node->type[s] >= 0)
            H5Tclose(node->type[s]);
        for (uint32_t i = 0; i < node->enumeration[s].count; i++)
            H5free_memory(node->enumeration[s].values[i].name);
        free(node->enumeration[s].values);
    }
    free(node->children);
    free(node->name);
}

vr_status va_plan_open(va_plan **out, hid_t a, hid_t b, const va_h5_options *options)
{
    va_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return no_memory();
    plan->options = *options;
    plan->root.type[0] = plan->root.type[1] = -1;
    const vr_status status = build(&(builder){plan, 0}, &plan->root, (const hid_t[2]){a, b});
    if (status != VR_OK) {
        va_plan_close(plan);
        return status;
    }
    *out = plan;
    return VR_OK;
}

void va_plan_close(va_plan *plan)
{
    if (!plan)
        return;
    free_node(&plan->root);
    free(plan);
}

hid_t va_plan_type(const va_plan *plan, int side)
{
    return plan->root.type[side];
}

vr_dtype va_plan_dtype(const va_plan *plan)
{
    return plan->root.kind == VA_NODE_NUMBER ? plan->root.dtype[0] : 0;
}

bool va_plan_has_variable(const va_plan *plan)
{
    return plan->has_variable;
}

bool va_plan_has_references(const va_plan *plan)
{
    return plan->has_references;
}
