/* The elements with the fewest bits. */
#include "sigbits_tensor.h"

#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>

vr_status va_worst_open(va_worst_list *out, size_t room, bool general)
{
    *out = (va_worst_list){.general = general, .room = room};
    out->items = calloc(room ? room : 1, sizeof *out->items);
    return out->items ? VR_OK : vr_fail(VR_ERROR_MEMORY, "out of memory");
}

void va_worst_close(va_worst_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].values);
    free(list->items);
    *list = (va_worst_list){0};
}

static double key_of(const va_worst_list *list, const va_bits *bits)
{
    return list->general ? bits->general : bits->significant;
}

/* Whether a comes before b; a total order, so that threads change nothing. */
static bool is_before(const va_worst_list *list, const va_worst *a, const va_worst *b)
{
    const double x = key_of(list, &a->bits), y = key_of(list, &b->bits);
    if (x != y)
        return x < y;
    return a->order != b->order ? a->order < b->order : a->index < b->index;
}

static bool belongs(const va_worst_list *list, const va_worst *item)
{
    return list->room > 0 && (list->count < list->room || is_before(list, item, &list->items[list->count - 1]));
}

/* Puts an item that belongs there in its place; its values are taken over. */
static void insert(va_worst_list *list, const va_worst *item)
{
    if (list->count == list->room)
        free(list->items[--list->count].values);
    size_t at = list->count++;
    for (; at > 0 && is_before(list, item, &list->items[at - 1]); at--)
        list->items[at] = list->items[at - 1];
    list->items[at] = *item;
}

static double reference_of(const va_worst *item, const va_bits_rule *rule, const double *y)
{
    const va_bits_reference reference = rule->options.reference;
    double sum = 0;
    if (reference == VA_BITS_EXACT || reference == VA_BITS_RUN)
        return *y;
    for (int i = 0; i < item->count; i++)
        sum += item->values[i] / item->count;
    return reference == VA_BITS_MEAN ? sum : NAN;
}

/* Copies the samples, and counts how many of them are as near as the figure says. */
static vr_status take_values(va_worst *item, const va_bits_rule *rule, const double *x, size_t stride, const double *y)
{
    item->count = rule->samples;
    item->values = malloc((size_t)rule->samples * sizeof *item->values);
    double *scratch = malloc(2 * (size_t)rule->samples * sizeof *scratch);
    if (!item->values || !scratch) {
        free(item->values);
        free(scratch);
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    }
    for (int i = 0; i < rule->samples; i++)
        item->values[i] = x[(size_t)i * stride];
    item->reference = reference_of(item, rule, y);
    item->bits_within = (int)floor(item->bits.significant);
    item->within = va_bits_within(rule, item->values, 1, y ? *y : 0, item->bits_within, scratch);
    free(scratch);
    return VR_OK;
}

vr_status va_worst_offer(va_worst_list *list, const va_worst *like, const va_bits *bits, const va_bits_rule *rule,
                         const double *x, size_t stride, const double *y, size_t count, const int64_t *positions)
{
    const bool own = rule->options.reference == VA_BITS_RUN;
    for (size_t j = 0; j < count; j++) {
        va_worst item = *like;
        item.bits = bits[j];
        item.index = positions ? positions[like->index + (int64_t)j] : like->index + (int64_t)j;
        if (bits[j].flags & (VA_BITS_NO_FIGURE | VA_BITS_CONSTANT) || !belongs(list, &item))
            continue;
        const vr_status status = take_values(&item, rule, x + j, stride, own ? y + j : y);
        if (status != VR_OK)
            return status;
        insert(list, &item);
    }
    return VR_OK;
}

void va_worst_merge(va_worst_list *list, va_worst_list *other)
{
    for (size_t i = 0; i < other->count; i++)
        if (belongs(list, &other->items[i])) {
            insert(list, &other->items[i]);
            other->items[i].values = NULL;
        }
}
