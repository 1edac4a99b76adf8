#include "study_calibration.h"

#include <formats/fail.h>
#include <math.h>
#include <stdlib.h>

/* A sample that can be used. */
typedef struct sample {
    double confidence;
    bool correct;
} sample;

/* Sums of a bin. */
typedef struct sums {
    double confidence;
    size_t correct, samples;
} sums;

void va_confidences_of(float *out, const float *probabilities, const int32_t *predictions, size_t count, int classes)
{
    for (size_t i = 0; i < count; i++)
        out[i] = predictions[i] >= 0 && predictions[i] < classes
                     ? probabilities[i * (size_t)classes + (size_t)predictions[i]]
                     : NAN;
}

/* By confidence; of equal ones it does not matter which comes first. */
static int by_confidence(const void *a, const void *b)
{
    const sample *x = a, *y = b;
    if (x->confidence != y->confidence)
        return x->confidence < y->confidence ? -1 : 1;
    return (int)x->correct - (int)y->correct;
}

static void add(sums *bin, const sample *s)
{
    bin->confidence += s->confidence;
    bin->correct += s->correct;
    bin->samples++;
}

/* |acc - conf| of a bin. */
static double gap(const sums *bin)
{
    return fabs((double)bin->correct - bin->confidence) / (double)bin->samples;
}

/* The bin of ((m-1)/M, m/M], from 0. The product may round to m from above: then m/M itself decides. */
static size_t bin_of(double confidence, int bins)
{
    double m = ceil(confidence * bins);
    if (m >= 1 && confidence > m / bins)
        m++;
    else if (m >= 1 && confidence <= (m - 1) / bins)
        m--;
    return m < 1 ? 0 : m > bins ? (size_t)bins - 1 : (size_t)m - 1;
}

static void bin_by_width(va_calibration *out, const sample *samples)
{
    sums bins[VA_MOST_BINS] = {0};
    for (size_t i = 0; i < out->samples; i++)
        add(&bins[bin_of(samples[i].confidence, out->bin_count)], &samples[i]);
    out->ece = out->mce = 0;
    for (int m = 0; m < out->bin_count; m++) {
        const sums *bin = &bins[m];
        const double n = (double)bin->samples;
        out->bins[m] = (va_bin){bin->samples, bin->samples ? bin->confidence / n : NAN,
                                bin->samples ? (double)bin->correct / n : NAN};
        if (bin->samples == 0)
            continue;
        out->ece += n / (double)out->samples * gap(bin);
        out->mce = fmax(out->mce, gap(bin));
    }
}

/* Sample i of n, in ascending order, is in bin i M / n; equal ones stay with the first of them. */
static void bin_by_number(va_calibration *out, const sample *samples)
{
    const size_t n = out->samples, bins = (size_t)out->bin_count;
    out->adaptive_ece = 0;
    sums bin = {0};
    for (size_t i = 0, current = 0; i < n; i++) {
        const size_t wanted = (size_t)((unsigned __int128)i * bins / n);
        if (wanted != current && samples[i].confidence != samples[i - 1].confidence) {
            out->adaptive_ece += (double)bin.samples / (double)n * gap(&bin);
            bin = (sums){0};
            current = wanted;
        }
        add(&bin, &samples[i]);
    }
    out->adaptive_ece += (double)bin.samples / (double)n * gap(&bin);
}

static void summarize(va_calibration *out, const sample *samples)
{
    double mean = 0, squares = 0;
    size_t correct = 0;
    for (size_t i = 0; i < out->samples; i++) {
        const double from_mean = samples[i].confidence - mean;
        mean += from_mean / (double)(i + 1);
        squares += from_mean * (samples[i].confidence - mean);
        correct += samples[i].correct;
    }
    out->confidence = mean;
    out->accuracy = (double)correct / (double)out->samples;
    if (out->samples > 1)
        out->confidence_sd = sqrt(squares / (double)(out->samples - 1));
}

vr_status va_calibration_of(va_calibration *out, const float *confidences, const int32_t *labels,
                            const int32_t *predictions, size_t count, int bins)
{
    if (bins < 1 || bins > VA_MOST_BINS)
        return vr_fail(VR_ERROR_ARGUMENT, "%d bins: 1 to %d", bins, VA_MOST_BINS);
    sample *samples = calloc(count + 1, sizeof *samples);
    if (!samples)
        return vr_fail(VR_ERROR_MEMORY, "out of memory for the calibration of %zu samples", count);
    *out = (va_calibration){.bin_count = bins,
                            .ece = NAN,
                            .adaptive_ece = NAN,
                            .mce = NAN,
                            .confidence = NAN,
                            .confidence_sd = NAN,
                            .accuracy = NAN};
    for (size_t i = 0; i < count; i++)
        if (confidences[i] >= 0 && confidences[i] <= 1)
            samples[out->samples++] = (sample){(double)confidences[i], predictions[i] == labels[i]};
        else
            out->unusable++;
    qsort(samples, out->samples, sizeof *samples, by_confidence); /* sums that the samples' order does not change */
    if (out->samples > 0) {
        bin_by_width(out, samples);
        bin_by_number(out, samples);
        summarize(out, samples);
    }
    free(samples);
    return VR_OK;
}
