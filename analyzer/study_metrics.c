#include "study_metrics.h"

#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>

static vr_status out_of_memory(void)
{
    return vr_fail(VR_ERROR_MEMORY, "out of memory for the metrics of a condition");
}

/* The mean of equal values is exactly theirs (Welford, Technometrics 4, 1962). */
va_spread va_spread_of(const double *values, size_t n)
{
    va_spread out = {.mean = NAN, .min = NAN, .max = NAN, .sd = NAN};
    double mean = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            out.excluded++;
            continue;
        }
        const double from_mean = values[i] - mean;
        mean += from_mean / ++out.n;
        squares += from_mean * (values[i] - mean);
        out.min = fmin(out.min, values[i]);
        out.max = fmax(out.max, values[i]);
    }
    if (out.n > 0)
        out.mean = mean;
    if (out.n > 1)
        out.sd = sqrt(squares / (out.n - 1));
    return out;
}

const char *va_spread_lacks(const va_spread *spread)
{
    if (spread->n == 0)
        return spread->excluded ? "no value is finite" : "there are no values";
    return spread->n == 1 ? "one value has no standard deviation" : NULL;
}

/* Of a class or a group against the whole. */
static double ratio_of(const va_spread *part, const va_spread *whole)
{
    return whole->sd > 0 ? part->sd / whole->sd : NAN; /* NaN too where one of them is */
}

/* ---- overall and by class ---- */

void va_metrics_free(va_metrics *metrics)
{
    if (!metrics)
        return;
    free(metrics->accuracy);
    free(metrics->class_samples);
    free(metrics->class_accuracy);
    free(metrics->class_spread);
    free(metrics->class_ratio);
    free(metrics);
}

static va_metrics *new_metrics(const va_table *table)
{
    const size_t classes = (size_t)table->classes, replicas = (size_t)table->replicas;
    va_metrics *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->replicas = table->replicas;
    m->classes = table->classes;
    m->samples = table->samples;
    m->accuracy = calloc(replicas + 1, sizeof *m->accuracy);
    m->class_samples = calloc(classes + 1, sizeof *m->class_samples);
    m->class_accuracy = calloc(classes * replicas + 1, sizeof *m->class_accuracy);
    m->class_spread = calloc(classes + 1, sizeof *m->class_spread);
    m->class_ratio = calloc(classes + 1, sizeof *m->class_ratio);
    if (m->accuracy && m->class_samples && m->class_accuracy && m->class_spread && m->class_ratio)
        return m;
    va_metrics_free(m);
    return NULL;
}

/* What replica r gets right, by class: counts, in class_accuracy, exact in a double. */
static void count_correct(va_metrics *m, const va_table *table, size_t r)
{
    const size_t replicas = (size_t)table->replicas;
    const int32_t *predictions = table->rows[r].predictions;
    for (size_t i = 0; i < table->samples; i++) {
        m->outside += predictions[i] < 0 || predictions[i] >= table->classes;
        if (predictions[i] == table->labels[i])
            m->class_accuracy[(size_t)table->labels[i] * replicas + r]++;
    }
    for (size_t c = 0; c < (size_t)table->classes; c++)
        m->accuracy[r] += m->class_accuracy[c * replicas + r];
    m->accuracy[r] = table->samples ? m->accuracy[r] / (double)table->samples : NAN;
}

static void finish_classes(va_metrics *m)
{
    const size_t replicas = (size_t)m->replicas;
    for (size_t c = 0; c < (size_t)m->classes; c++) {
        double *accuracy = &m->class_accuracy[c * replicas];
        for (size_t r = 0; r < replicas; r++)
            accuracy[r] = m->class_samples[c] ? accuracy[r] / (double)m->class_samples[c] : NAN;
        m->class_spread[c] = va_spread_of(accuracy, replicas);
        m->class_ratio[c] = ratio_of(&m->class_spread[c], &m->accuracy_spread);
    }
}

vr_status va_metrics_of(va_metrics **out, const va_table *table)
{
    const size_t replicas = (size_t)table->replicas;
    va_metrics *m = new_metrics(table);
    double *losses = calloc(replicas + 1, sizeof *losses);
    if (!m || !losses) {
        free(losses);
        va_metrics_free(m);
        return out_of_memory();
    }
    for (size_t i = 0; i < table->samples; i++)
        m->class_samples[table->labels[i]]++;
    for (size_t r = 0; r < replicas; r++) {
        count_correct(m, table, r);
        losses[r] = table->rows[r].loss;
    }
    m->accuracy_spread = va_spread_of(m->accuracy, replicas);
    m->loss_spread = va_spread_of(losses, replicas);
    finish_classes(m);
    free(losses);
    *out = m;
    return VR_OK;
}
