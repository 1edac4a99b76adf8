/* study_flips.c - on which samples the replicas do not agree (study_metrics.h). */
#include "study_metrics.h"

#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* `sorted`: the predictions for the sample, ascending. */
static void count_predictions(va_flip *flip, const int32_t *sorted, int replicas)
{
    int most = 0;
    double pairs = 0; /* ordered, that agree */
    for (int from = 0, to; from < replicas; from = to) {
        for (to = from; to < replicas && sorted[to] == sorted[from];)
            to++;
        const int count = to - from;
        flip->distinct++;
        pairs += (double)count * (count - 1);
        flip->entropy -= count == replicas ? 0 : (double)count / replicas * log2((double)count / replicas);
        flip->correct += sorted[from] == flip->label ? count : 0;
        flip->tied = count == most ? true : count > most ? false : flip->tied;
        if (count > most) {
            most = count;
            flip->majority = sorted[from];
        }
    }
    flip->dissent = replicas - most;
    const double all = (double)replicas * (replicas - 1);
    flip->disagree = replicas > 1 ? (all - pairs) / all : NAN;
}

static bool all_agree(const va_table *table, size_t i)
{
    for (int r = 1; r < table->replicas; r++)
        if (table->rows[r].predictions[i] != table->rows[0].predictions[i])
            return false;
    return true;
}

/* `predictions` and `confidences` have room for one of each replica. */
static void make_flip(va_flip *out, const va_table *table, size_t i, int32_t *predictions, double *confidences)
{
    *out = (va_flip){.id = table->ids[i], .label = table->labels[i]};
    size_t known = 0;
    for (int r = 0; r < table->replicas; r++) {
        predictions[r] = table->rows[r].predictions[i];
        if (table->rows[r].confidences)
            confidences[known++] = (double)table->rows[r].confidences[i];
    }
    qsort(predictions, (size_t)table->replicas, sizeof *predictions, by_value);
    count_predictions(out, predictions, table->replicas);
    out->confidence = va_spread_of(confidences, known);
}

static int by_rank(const void *a, const void *b)
{
    const va_flip *x = a, *y = b;
    if (x->dissent != y->dissent)
        return x->dissent > y->dissent ? -1 : 1;
    if (x->entropy != y->entropy)
        return x->entropy > y->entropy ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static vr_status out_of_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory for the samples that flip");
}

vr_status va_flips_of(va_flip **out, size_t *count, size_t *total, const va_table *table, size_t most)
{
    const size_t replicas = (size_t)table->replicas;
    size_t found = 0, at = 0;
    for (size_t i = 0; i < table->samples; i++)
        found += !all_agree(table, i);
    va_flip *flips = calloc(found + 1, sizeof *flips);
    int32_t *predictions = calloc(replicas + 1, sizeof *predictions);
    double *confidences = calloc(replicas + 1, sizeof *confidences);
    const bool fine = flips && predictions && confidences;
    for (size_t i = 0; fine && i < table->samples; i++)
        if (!all_agree(table, i))
            make_flip(&flips[at++], table, i, predictions, confidences);
    free(predictions);
    free(confidences);
    if (!fine) {
        free(flips);
        return out_of_memory();
    }
    qsort(flips, found, sizeof *flips, by_rank);
    *out = flips;
    *total = found;
    *count = found < most ? found : most;
    return VR_OK;
}
