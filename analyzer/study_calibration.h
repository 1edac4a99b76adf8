/* study_calibration.h - whether the probabilities of one replica are what they say.
 *
 * Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017: the confidence of a sample is
 * the probability of its prediction, bin m of M holds those in ((m-1)/M, m/M] (the first also 0), and
 * ECE = sum_m |B_m| / n |acc(B_m) - conf(B_m)|. MCE is the largest term without the weight. The adaptive ECE is the
 * same with bins of as nearly equal numbers as can be, by ascending confidence (Nguyen and O'Connor, EMNLP 2015); equal
 * confidences stay in one bin, that of the first of them, so that the result does not depend on the order of samples.
 */
#ifndef VA_STUDY_CALIBRATION_H
#define VA_STUDY_CALIBRATION_H

#include "study_metrics.h"

#define VA_BINS      15 /* Guo et al. */
#define VA_MOST_BINS 1000

typedef struct va_bin {
    size_t samples;
    double confidence, accuracy; /* means; NaN: no samples */
} va_bin;

typedef struct va_calibration {
    size_t samples; /* used */
    size_t
        unusable; /* left out: a confidence that is not in [0, 1] (NaN among them), a prediction that names no class */
    double ece, adaptive_ece, mce;              /* NaN: no samples */
    double confidence, confidence_sd, accuracy; /* over the samples used */
    int bin_count;
    va_bin bins[VA_MOST_BINS]; /* of equal width */
} va_calibration;

/* out[i] = probabilities[i * classes + predictions[i]]; NaN where the prediction names no class. */
void va_confidences_of(float *out, const float *probabilities, const int32_t *predictions, size_t count, int classes);

/* `confidences` is as va_confidences_of makes it. Fails with VR_ERROR_ARGUMENT (bins) or VR_ERROR_MEMORY. */
vr_status va_calibration_of(va_calibration *out, const float *confidences, const int32_t *labels,
                            const int32_t *predictions, size_t count, int bins);

#endif
