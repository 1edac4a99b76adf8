#include "study_table.h"

#include "grow.h"

#include <formats/fail.h>
#include <inttypes.h>
#include <string.h>

/* A replica's samples in the order of their ids. */
typedef struct ordering {
    uint64_t *ids;
    uint32_t *rows; /* ids[i] is that of row rows[i] of the replica */
} ordering;

typedef struct keyed {
    uint64_t id;
    uint32_t row;
} keyed;

static vr_status out_of_memory(const va_replica *replica)
{
    return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", replica->name);
}

static void free_row(va_row *row)
{
    free(row->predictions);
    free(row->confidences);
}

void va_table_free(va_table *table)
{
    if (!table)
        return;
    for (int r = 0; r < table->replicas; r++)
        free_row(&table->rows[r]);
    for (int c = 0; table->groups && c < table->columns; c++)
        free(table->groups[c]);
    free(table->groups);
    free(table->rows);
    free(table->ids);
    free(table->labels);
    free(table);
}

vr_status va_table_new(va_table **out, int classes, int columns)
{
    if (classes < 0 || classes > VA_MOST_CLASSES || columns < 0)
        return vr_fail(VR_ERROR_ARGUMENT, "%d classes and %d columns: at most %d classes", classes, columns,
                       VA_MOST_CLASSES);
    va_table *table = calloc(1, sizeof *table);
    if (table)
        table->groups = calloc((size_t)columns + 1, sizeof *table->groups);
    if (!table || !table->groups) {
        va_table_free(table);
        return vr_fail(VR_ERROR_MEMORY, "out of memory");
    }
    table->classes = classes;
    table->grows = classes == 0;
    table->columns = columns;
    *out = table;
    return VR_OK;
}

/* ---- the replica in the order of its ids ---- */

/* By id, a byte at a time from the lowest; bytes that are the same in all are passed over. Leaves the order in `keys`.
 */
static void sort_keys(keyed *keys, keyed *other, size_t n)
{
    keyed *from = keys, *to = other;
    for (int shift = 0; shift < 64; shift += 8) {
        size_t starts[257] = {0};
        for (size_t i = 0; i < n; i++)
            starts[(from[i].id >> shift & 255) + 1]++;
        if (n == 0 || starts[(from[0].id >> shift & 255) + 1] == n)
            continue;
        for (int byte = 0; byte < 256; byte++)
            starts[byte + 1] += starts[byte];
        for (size_t i = 0; i < n; i++)
            to[starts[from[i].id >> shift & 255]++] = from[i];
        keyed *const sorted = to;
        to = from;
        from = sorted;
    }
    if (from != keys)
        memcpy(keys, from, n * sizeof *keys);
}

static vr_status sort_ids(ordering *out, const va_replica *replica)
{
    const size_t n = replica->count;
    keyed *keys = calloc(2 * n + 1, sizeof *keys);
    if (!keys)
        return out_of_memory(replica);
    for (size_t i = 0; i < n; i++)
        keys[i] = (keyed){replica->ids[i], (uint32_t)i};
    sort_keys(keys, keys + n, n);
    vr_status status = VR_OK;
    for (size_t i = 0; i < n; i++) {
        out->ids[i] = keys[i].id;
        out->rows[i] = keys[i].row;
        if (i > 0 && keys[i].id == keys[i - 1].id)
            status = vr_fail(VR_ERROR_ARGUMENT, "%s: two samples have the id %" PRIu64, replica->name, keys[i].id);
    }
    free(keys);
    return status;
}

static void free_order(ordering *order)
{
    free(order->ids);
    free(order->rows);
}

static vr_status make_order(ordering *out, const va_replica *replica)
{
    out->ids = calloc(replica->count + 1, sizeof *out->ids);
    out->rows = calloc(replica->count + 1, sizeof *out->rows);
    const vr_status status = out->ids && out->rows ? sort_ids(out, replica) : out_of_memory(replica);
    if (status != VR_OK)
        free_order(out);
    return status;
}

/* ---- what the table takes of it ---- */

/* Sample i of the joined table is sample from[i] of the table before, and row rows[i] of the replica. */
typedef struct joined {
    uint32_t *from, *rows;
    size_t samples;
} joined;

static void free_join(joined *join)
{
    free(join->from);
    free(join->rows);
}

static vr_status refuse_label(const va_replica *replica, size_t row, int classes)
{
    return vr_fail(VR_ERROR_ARGUMENT, "%s: sample %" PRIu64 ": label %d is not in 0 to %d", replica->name,
                   replica->ids[row], replica->labels[row], classes - 1);
}

/* How many classes there are with the replica. */
static vr_status count_classes(int *classes, const va_table *table, const va_replica *replica)
{
    const int most = table->grows ? VA_MOST_CLASSES : table->classes;
    *classes = table->classes;
    for (size_t i = 0; i < replica->count; i++) {
        const int32_t label = replica->labels[i], prediction = replica->predictions[i];
        if (label < 0 || label >= most)
            return refuse_label(replica, i, most);
        if (table->grows && label >= *classes)
            *classes = label + 1;
        if (table->grows && prediction >= *classes && prediction < most)
            *classes = prediction + 1;
    }
    return VR_OK;
}

static void match(joined *out, const va_table *table, const ordering *order, size_t count)
{
    size_t i = 0, k = 0;
    out->samples = 0;
    while (k < count && (table->replicas == 0 || i < table->samples)) {
        const bool first = table->replicas == 0;
        if (!first && table->ids[i] < order->ids[k]) {
            i++;
        } else if (!first && table->ids[i] > order->ids[k]) {
            k++;
        } else {
            out->from[out->samples] = (uint32_t)i++;
            out->rows[out->samples++] = order->rows[k++];
        }
    }
}

/* Replicas that saw other data under the same id cannot be compared. */
static vr_status check_same_data(const va_table *table, const va_replica *replica, const joined *join)
{
    for (size_t i = 0; table->replicas > 0 && i < join->samples; i++) {
        const size_t at = join->from[i], row = join->rows[i];
        if (table->labels[at] != replica->labels[row])
            return vr_fail(VR_ERROR_ARGUMENT,
                           "%s: sample %" PRIu64 ": label %d, but %d in the replicas before: other data", replica->name,
                           table->ids[at], replica->labels[row], table->labels[at]);
        for (int c = 0; c < table->columns; c++)
            if (table->groups[c][at] != replica->groups[c][row])
                return vr_fail(VR_ERROR_ARGUMENT,
                               "%s: sample %" PRIu64
                               ": group %d of column %d, but %d in the replicas before: other data",
                               replica->name, table->ids[at], replica->groups[c][row], c, table->groups[c][at]);
    }
    return VR_OK;
}

/* ---- taking it in ---- */

static vr_status make_row(va_row *out, const va_replica *replica, const joined *join)
{
    *out = (va_row){.given = replica->count, .loss = replica->loss};
    out->predictions = calloc(join->samples + 1, sizeof *out->predictions);
    if (replica->confidences)
        out->confidences = calloc(join->samples + 1, sizeof *out->confidences);
    if (!out->predictions || (replica->confidences && !out->confidences)) {
        free_row(out);
        return out_of_memory(replica);
    }
    for (size_t i = 0; i < join->samples; i++) {
        out->predictions[i] = replica->predictions[join->rows[i]];
        if (replica->confidences)
            out->confidences[i] = replica->confidences[join->rows[i]];
    }
    return VR_OK;
}

/* The samples of the first replica; va_table_free frees what there is of them on failure. */
static vr_status take_samples(va_table *table, const va_replica *replica, const ordering *order)
{
    const size_t n = replica->count;
    table->ids = calloc(n + 1, sizeof *table->ids);
    table->labels = calloc(n + 1, sizeof *table->labels);
    bool fine = table->ids && table->labels;
    for (int c = 0; c < table->columns; c++) {
        table->groups[c] = calloc(n + 1, sizeof **table->groups);
        fine = fine && table->groups[c];
    }
    for (size_t i = 0; fine && i < n; i++) {
        table->ids[i] = order->ids[i];
        table->labels[i] = replica->labels[order->rows[i]];
        for (int c = 0; c < table->columns; c++)
            table->groups[c][i] = replica->groups[c][order->rows[i]];
    }
    return fine ? VR_OK : out_of_memory(replica);
}

static void drop_samples(va_table *table)
{
    free(table->ids);
    free(table->labels);
    table->ids = NULL;
    table->labels = NULL;
    for (int c = 0; c < table->columns; c++) {
        free(table->groups[c]);
        table->groups[c] = NULL;
    }
}

/* Leaves out the samples that the new replica does not have. */
static void keep_common(va_table *table, const joined *join)
{
    for (size_t i = 0; i < join->samples; i++) {
        const size_t from = join->from[i];
        table->ids[i] = table->ids[from];
        table->labels[i] = table->labels[from];
        for (int c = 0; c < table->columns; c++)
            table->groups[c][i] = table->groups[c][from];
        for (int r = 0; r < table->replicas; r++) {
            va_row *row = &table->rows[r];
            row->predictions[i] = row->predictions[from];
            if (row->confidences)
                row->confidences[i] = row->confidences[from];
        }
    }
}

static vr_status add_joined(va_table *table, const va_replica *replica, const ordering *order, const joined *join)
{
    va_row row;
    vr_status status = make_row(&row, replica, join);
    if (status != VR_OK)
        return status;
    if (table->replicas == 0)
        status = take_samples(table, replica, order);
    if (status != VR_OK) {
        drop_samples(table);
        free_row(&row);
        return status;
    }
    if (table->replicas > 0 && join->samples < table->samples)
        keep_common(table, join);
    table->samples = join->samples;
    table->rows[table->replicas++] = row;
    return VR_OK;
}

static vr_status add_ordered(va_table *table, const va_replica *replica, const ordering *order)
{
    joined join = {.from = calloc(replica->count + 1, sizeof *join.from),
                   .rows = calloc(replica->count + 1, sizeof *join.rows)};
    int classes;
    vr_status status = join.from && join.rows ? VR_OK : out_of_memory(replica);
    if (status == VR_OK)
        status = count_classes(&classes, table, replica);
    if (status == VR_OK) {
        match(&join, table, order, replica->count);
        status = check_same_data(table, replica, &join);
    }
    if (status == VR_OK)
        status = add_joined(table, replica, order, &join);
    if (status == VR_OK)
        table->classes = classes;
    free_join(&join);
    return status;
}

vr_status va_table_add(va_table *table, const va_replica *replica)
{
    if (replica->count > UINT32_MAX || table->replicas >= VA_MOST_REPLICAS)
        return vr_fail(VR_ERROR_ARGUMENT, "%s: too many: at most %d replicas of %u samples", replica->name,
                       VA_MOST_REPLICAS, UINT32_MAX);
    va_row *rows = va_one_more(table->rows, (size_t)table->replicas, &table->room, sizeof *rows);
    if (!rows)
        return out_of_memory(replica);
    table->rows = rows;
    ordering order;
    vr_status status = make_order(&order, replica);
    if (status != VR_OK)
        return status;
    status = add_ordered(table, replica, &order);
    free_order(&order);
    return status;
}
