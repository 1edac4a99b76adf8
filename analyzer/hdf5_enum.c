/* Enumerations: which number each side calls what. */
#include "hdf5_plan.h"

#include <formats/fail.h>
#include <formats/hdf5_file.h>
#include <stdlib.h>
#include <string.h>

uint64_t va_enum_value(const va_node *node, int side, const void *element)
{
    const uint8_t *bytes = element;
    const size_t size = node->size[side];
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | bytes[node->enumeration[side].big_endian ? i : size - 1 - i];
    const unsigned unused = 64 - 8 * (unsigned)size;
    return node->enumeration[side].is_signed ? (uint64_t)((int64_t)(value << unused) >> unused) : value;
}

const va_enumerator *va_enum_find(const va_enumeration *table, uint64_t value)
{
    uint32_t low = 0, high = table->count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (table->values[middle].value < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low < table->count && table->values[low].value == value ? &table->values[low] : NULL;
}

bool va_enum_same(const va_node *node, const void *a, const void *b)
{
    const uint64_t x = va_enum_value(node, 0, a), y = va_enum_value(node, 1, b);
    const va_enumerator *p = va_enum_find(&node->enumeration[0], x), *q = va_enum_find(&node->enumeration[1], y);
    return p && q ? p->id == q->id : !p && !q && x == y;
}

static int by_value(const void *a, const void *b)
{
    const va_enumerator *x = a, *y = b;
    return (x->value > y->value) - (x->value < y->value);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const va_enumerator *)a)->name, ((const va_enumerator *)b)->name);
}

/* How the numbers are stored. */
static bool read_base(va_enumeration *table, hid_t file)
{
    const hid_t base = H5Tget_super(file);
    const bool fine = base >= 0 && H5Tget_class(base) == H5T_INTEGER && H5Tget_size(base) <= 8;
    if (fine) {
        table->big_endian = H5Tget_order(base) == H5T_ORDER_BE;
        table->is_signed = H5Tget_sign(base) != H5T_SGN_NONE;
    }
    if (base >= 0)
        H5Tclose(base);
    return fine;
}

/* Reads the names and values of one side, sorted by name. */
static vr_status read_values(va_node *node, int side, hid_t file)
{
    va_enumeration *table = &node->enumeration[side];
    const int count = H5Tget_nmembers(file);
    if (count < 0 || !read_base(table, file))
        return vr_fail(VR_ERROR_UNSUPPORTED, "an enumeration of numbers other than integers of up to 64 bits");
    table->values = calloc((size_t)count + 1, sizeof *table->values);
    if (!table->values)
        return vr_fail(VR_ERROR_MEMORY, "comparing types: out of memory");
    for (int i = 0; i < count; i++) {
        uint64_t raw = 0;
        char *name = H5Tget_member_name(file, (unsigned)i);
        if (!name || H5Tget_member_value(file, (unsigned)i, &raw) < 0) {
            H5free_memory(name);
            return vr_fail(VR_ERROR_FORMAT, "damaged type: %s", vr_h5_reason());
        }
        table->values[table->count++] = (va_enumerator){.value = va_enum_value(node, side, &raw), .name = name};
    }
    qsort(table->values, table->count, sizeof *table->values, by_name);
    return VR_OK;
}

/* Gives names that both sides have one id; both tables are sorted by name. */
static void number_names(va_enumeration *a, va_enumeration *b)
{
    uint32_t next = 0;
    for (uint32_t i = 0, k = 0; i < a->count || k < b->count; next++) {
        const int order = i == a->count ? 1 : k == b->count ? -1 : strcmp(a->values[i].name, b->values[k].name);
        if (order <= 0)
            a->values[i++].id = next;
        if (order >= 0)
            b->values[k++].id = next;
    }
}

static bool same_tables(const va_enumeration *a, const va_enumeration *b)
{
    bool same = a->count == b->count && a->big_endian == b->big_endian && a->is_signed == b->is_signed;
    for (uint32_t i = 0; same && i < a->count; i++)
        same = a->values[i].value == b->values[i].value && a->values[i].id == b->values[i].id;
    return same;
}

vr_status va_enum_read(va_node *node, const hid_t files[2])
{
    va_enumeration *a = &node->enumeration[0], *b = &node->enumeration[1];
    vr_status status = read_values(node, 0, files[0]);
    if (status == VR_OK)
        status = read_values(node, 1, files[1]);
    if (status != VR_OK)
        return status;
    number_names(a, b);
    qsort(a->values, a->count, sizeof *a->values, by_value);
    qsort(b->values, b->count, sizeof *b->values, by_value);
    node->bitwise = node->size[0] == node->size[1] && same_tables(a, b);
    return VR_OK;
}
