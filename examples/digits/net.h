/* net.h - a small convolutional network for images of one channel.
 *
 *     conv1 (1 to 32) conv2 (32 to 64) pool dense1 (to 96) dense2 (to classes) softmax, and the loss
 *
 * conv1, conv2 and dense1 are rectified: their `out` is max(..., 0), and their `grad` is by what was there before.
 *
 * Every activation, parameter and gradient has a buffer of its own, so that it can be looked at, recorded or damaged
 * between two layers. A training step:
 *
 *     net.math = &math; // how sums are made and rounded; NULL: in a fixed order, to nearest
 *     net_input(&net, x, labels, n);
 *     for (int layer = 0; layer < NET_LAYERS; layer++)
 *         net_forward(&net, layer);
 *     for (int layer = NET_DENSE2; layer >= 0; layer--) {
 *         net_backward(&net, layer);
 *         for (int p = 0; p < NET_PARAMETERS; p++)
 *             if (net.parameters[p].layer == layer)
 *                 net_gradient(&net, p);
 *     }
 */
#ifndef DIGITS_NET_H
#define DIGITS_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <varanalyze/kernels.h>

/* In the order of the forward pass. */
typedef enum net_layer {
    NET_CONV1,
    NET_CONV2,
    NET_POOL,
    NET_DENSE1,
    NET_DENSE2,  /* the logits */
    NET_SOFTMAX, /* the probabilities */
    NET_LOSS,    /* each sample's cross-entropy, from the logits */
    NET_LAYERS
} net_layer;

#define NET_PARAMETERS 8 /* weight and bias of conv1, conv2, dense1, dense2, in this order */

typedef struct net_activation {
    const char *layer;
    int rank;         /* 2 or 4; of the loss 1 */
    int64_t shape[4]; /* [capacity][h][w][c], [capacity][c] or [capacity] */
    int64_t size;     /* elements of one sample */
    float *out;       /* what the layer computed of the current batch */
    float *grad;      /* the gradient of the mean loss by it; NULL of softmax and loss */
} net_activation;

typedef struct net_parameter {
    net_layer layer;
    const char *name; /* "weight" or "bias" */
    int rank;
    int64_t shape[4]; /* [3][3][in][out], [in][out] or [out] */
    int64_t count;    /* elements */
    int64_t fan_in;
    float *value, *grad;
} net_parameter;

typedef struct network {
    int64_t capacity, height, width, classes;
    int64_t n;             /* samples of the current batch */
    const float *x;        /* [n][height][width], the caller's */
    const int32_t *labels; /* [n], the caller's */
    net_activation activations[NET_LAYERS];
    net_parameter parameters[NET_PARAMETERS];
    vr_math *math; /* the caller's, or NULL */
} network;

/* A network for batches of up to `capacity` images, all zeros. False, and nothing to free: out of memory. */
bool net_new(network *out, int64_t capacity, int64_t height, int64_t width, int64_t classes);

void net_free(network *net);

/* Weights uniform in +-sqrt(6 / fan_in) (He, Zhang, Ren and Sun, ICCV 2015), biases in +-1/sqrt(fan_in); parameter p
 * from stream p of `key`. */
void net_init(network *net, uint64_t key);

/* Sets the batch: n <= capacity samples, read where they are until the next. Labels may be NULL when there is no loss
 * to be computed. */
void net_input(network *net, const float *x, const int32_t *labels, int64_t n);

/* The layer's `out` from the one before. This and the next two fail with VR_ERROR_MEMORY. */
vr_status net_forward(network *net, net_layer layer);

/* The layer's `grad` from that of the layer after; from dense2 down. */
vr_status net_backward(network *net, net_layer layer);

/* The parameter's `grad` from that of its layer. */
vr_status net_gradient(network *net, int parameter);

/* The batch's mean loss. */
double net_loss(const network *net);

/* Each sample's cross-entropy against `labels`, from the logits, in double precision rounded to nearest whatever `math`
 * says: what the network's results are worth, not a part of the training. */
void net_sample_losses(const network *net, const int32_t *labels, double *losses);

/* Each sample's most probable class, the first of equals. */
void net_predict(const network *net, int32_t *predictions);

#endif
