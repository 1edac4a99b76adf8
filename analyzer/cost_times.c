#include "cost_times.h"

#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 4096 /* records read at a time */

#define NORMAL_MAD  0.6745             /* MAD of a standard normal distribution: its third quartile */
#define NORMAL_MEAN 1.2533141373155003 /* 1 / mean |x| of one: sqrt(pi / 2) */
#define OUTLIER     3.5

/* ---- reading ---- */

void va_cost_series_free(va_cost_series *series)
{
    for (size_t i = 0; i < series->operation_count; i++) {
        free(series->operations[i].layer);
        free(series->operations[i].ns);
    }
    free(series->operations);
    free(series->steps);
    free(series->ns);
    *series = (va_cost_series){0};
}

static vr_status no_memory(vr_trace *trace)
{
    return vr_fail(VR_ERROR_MEMORY, "%s: out of memory", vr_trace_get_info(trace)->path);
}

static vr_status read_steps(va_cost_series *out, vr_trace *trace)
{
    const uint64_t count = vr_trace_get_info(trace)->step_count;
    const vr_step *steps = vr_trace_steps(trace);
    out->steps = calloc(count + 1, sizeof *out->steps);
    out->ns = calloc(count + 1, sizeof *out->ns);
    if (!out->steps || !out->ns)
        return no_memory(trace);
    for (uint64_t i = 0; i < count; i++) {
        const vr_step *s = &steps[i];
        if (s->step == 0)
            continue;
        if (!s->finished) {
            out->unfinished++;
            continue;
        }
        const bool backwards = s->end_ns < s->start_ns;
        out->backwards += backwards;
        out->steps[out->count] = s->step;
        out->ns[out->count++] = backwards ? NAN : (double)(s->end_ns - s->start_ns);
    }
    return VR_OK;
}

/* Which operation a site is of. */
static vr_status find_operation(uint32_t *out, va_cost_series *series, const vr_site *site, vr_trace *trace)
{
    for (size_t i = 0; i < series->operation_count; i++)
        if (series->operations[i].phase == site->phase && strcmp(series->operations[i].layer, site->layer) == 0) {
            *out = (uint32_t)i;
            return VR_OK;
        }
    va_cost_operation *all = realloc(series->operations, (series->operation_count + 1) * sizeof *all);
    if (!all)
        return no_memory(trace);
    series->operations = all;
    va_cost_operation *added = &all[series->operation_count];
    *added = (va_cost_operation){site->phase, strdup(site->layer), malloc((series->count + 1) * sizeof(double))};
    *out = (uint32_t)series->operation_count++;
    if (!added->layer || !added->ns)
        return no_memory(trace);
    for (size_t i = 0; i < series->count; i++)
        added->ns[i] = -1;
    return VR_OK;
}

/* Operations are made as records need them. */
typedef struct reading {
    va_cost_series *series;
    vr_trace *trace;
    uint32_t *of_site; /* operations + 1; 0: not yet known */
    size_t step;       /* of the series: where the last record belongs */
} reading;

static vr_status add_record(reading *r, const vr_trace_record *record)
{
    va_cost_series *series = r->series;
    while (r->step < series->count && series->steps[r->step] < record->step)
        r->step++;
    if (r->step == series->count || series->steps[r->step] != record->step)
        return VR_OK; /* the setup, or a step that is not finished */
    if (r->of_site[record->site] == 0) {
        uint32_t operation = 0;
        const vr_status status = find_operation(&operation, series, &vr_trace_sites(r->trace)[record->site], r->trace);
        if (status != VR_OK)
            return status;
        r->of_site[record->site] = operation + 1;
    }
    double *ns = &series->operations[r->of_site[record->site] - 1].ns[r->step];
    const bool backwards = record->duration_ns > INT64_MAX;
    series->backwards += backwards;
    *ns = backwards ? NAN : (*ns < 0 ? 0 : *ns) + (double)record->duration_ns;
    return VR_OK;
}

static vr_status read_records(reading *r, vr_trace_record *block)
{
    const uint64_t count = vr_trace_get_info(r->trace)->record_count;
    for (uint64_t first = 0; first < count; first += BLOCK) {
        const uint64_t n = count - first < BLOCK ? count - first : BLOCK;
        vr_status status = vr_trace_read_records(r->trace, first, n, block);
        for (uint64_t i = 0; i < n && status == VR_OK; i++)
            status = add_record(r, &block[i]);
        if (status != VR_OK)
            return status;
    }
    return VR_OK;
}

vr_status va_cost_series_read(va_cost_series *out, vr_trace *trace)
{
    *out = (va_cost_series){0};
    reading r = {out, trace, calloc(vr_trace_get_info(trace)->site_count + 1, sizeof(uint32_t)), 0};
    vr_trace_record *block = malloc(BLOCK * sizeof *block);
    vr_status status = r.of_site && block ? read_steps(out, trace) : no_memory(trace);
    if (status == VR_OK)
        status = read_records(&r, block);
    free(r.of_site);
    free(block);
    if (status != VR_OK)
        va_cost_series_free(out);
    return status;
}

/* ---- what stands for many times ---- */

size_t va_cost_warmup(size_t count)
{
    const size_t tenth = count / 10;
    return count < 2 ? 0 : tenth < 1 ? 1 : tenth > 10 ? 10 : tenth;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double va_median(double *values, size_t count)
{
    if (count == 0)
        return NAN;
    qsort(values, count, sizeof *values, by_value);
    const double above = values[count / 2];
    return count % 2 ? above : values[count / 2 - 1] + (above - values[count / 2 - 1]) / 2;
}

static size_t keep_numbers(double *out, const double *values, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (!isnan(values[i]))
            out[n++] = values[i];
    return n;
}

/* The distance from the median beyond which a value is an outlier. */
static double find_limit(double median, const double *values, size_t count, double *scratch)
{
    double sum = 0;
    const size_t n = keep_numbers(scratch, values, count);
    for (size_t i = 0; i < n; i++) {
        scratch[i] = fabs(scratch[i] - median);
        sum += scratch[i];
    }
    const double mad = va_median(scratch, n);
    return mad > 0 ? OUTLIER * mad / NORMAL_MAD : OUTLIER * NORMAL_MEAN * (sum / (double)n);
}

size_t va_outliers_find(bool *is_outlier, const double *values, size_t count, double *scratch)
{
    size_t found = 0;
    const size_t n = keep_numbers(scratch, values, count);
    const double median = va_median(scratch, n), limit = n ? find_limit(median, values, count, scratch) : 0;
    for (size_t i = 0; i < count; i++) {
        const bool is = fabs(values[i] - median) > limit; /* NaN is not */
        found += is;
        if (is_outlier)
            is_outlier[i] = is;
    }
    return found;
}

va_cost_summary va_cost_summarize(double *values, size_t count, double *scratch)
{
    const size_t n = keep_numbers(values, values, count);
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    const double median = va_median(values, n);
    return (va_cost_summary){n, median, n ? sum / (double)n : NAN, va_outliers_find(NULL, values, n, scratch)};
}
