#include "net.h"
#include "layers.h"
#include "plain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <varanalyze/random.h>

enum { CONV1_CHANNELS = 32, CONV2_CHANNELS = 64, DENSE1_UNITS = 96 };

static void describe_activation(network *net, net_layer layer, const char *name, int rank, int64_t h, int64_t w,
                                int64_t c)
{
    net_activation *a = &net->activations[layer];
    a->layer = name;
    a->rank = rank;
    if (rank == 4)
        memcpy(a->shape, (int64_t[]){net->capacity, h, w, c}, sizeof a->shape);
    else
        memcpy(a->shape, (int64_t[]){net->capacity, c, 0, 0}, sizeof a->shape);
    a->size = h * w * c;
}

static void describe_parameters(network *net, int p, net_layer layer, int rank, int64_t in, int64_t out)
{
    net_parameter *weight = &net->parameters[p], *bias = &net->parameters[p + 1];
    const int64_t taps = rank == 4 ? 9 : 1;
    *weight = (net_parameter){layer, "weight", rank, {in, out}, taps * in * out, taps * in, NULL, NULL};
    if (rank == 4)
        memcpy(weight->shape, (int64_t[]){3, 3, in, out}, sizeof weight->shape);
    *bias = (net_parameter){layer, "bias", 1, {out}, out, taps * in, NULL, NULL};
}

static void describe(network *net)
{
    const int64_t h = net->height, w = net->width;
    const int64_t c1 = CONV1_CHANNELS, c2 = CONV2_CHANNELS, d1 = DENSE1_UNITS, k = net->classes;
    describe_activation(net, NET_CONV1, "conv1", 4, h, w, c1);
    describe_activation(net, NET_CONV2, "conv2", 4, h, w, c2);
    describe_activation(net, NET_POOL, "pool", 4, h / 2, w / 2, c2);
    describe_activation(net, NET_DENSE1, "dense1", 2, 1, 1, d1);
    describe_activation(net, NET_DENSE2, "dense2", 2, 1, 1, k);
    describe_activation(net, NET_SOFTMAX, "softmax", 2, 1, 1, k);
    describe_activation(net, NET_LOSS, "loss", 1, 1, 1, 1);
    describe_parameters(net, 0, NET_CONV1, 4, 1, c1);
    describe_parameters(net, 2, NET_CONV2, 4, c1, c2);
    describe_parameters(net, 4, NET_DENSE1, 2, net->activations[NET_POOL].size, d1);
    describe_parameters(net, 6, NET_DENSE2, 2, d1, k);
}

static bool reserve(float **buffer, int64_t count)
{
    *buffer = calloc((size_t)count, sizeof **buffer);
    return *buffer != NULL;
}

bool net_new(network *out, int64_t capacity, int64_t height, int64_t width, int64_t classes)
{
    *out = (network){.capacity = capacity, .height = height, .width = width, .classes = classes};
    describe(out);

    bool ok = true;
    for (int layer = 0; layer < NET_LAYERS; layer++) {
        net_activation *a = &out->activations[layer];
        ok = ok && reserve(&a->out, capacity * a->size);
        if (layer <= NET_DENSE2)
            ok = ok && reserve(&a->grad, capacity * a->size);
    }
    for (int p = 0; p < NET_PARAMETERS; p++) {
        net_parameter *parameter = &out->parameters[p];
        ok = ok && reserve(&parameter->value, parameter->count) && reserve(&parameter->grad, parameter->count);
    }
    if (!ok)
        net_free(out);
    return ok;
}

void net_free(network *net)
{
    for (int layer = 0; layer < NET_LAYERS; layer++) {
        free(net->activations[layer].out);
        free(net->activations[layer].grad);
    }
    for (int p = 0; p < NET_PARAMETERS; p++) {
        free(net->parameters[p].value);
        free(net->parameters[p].grad);
    }
    memset(net, 0, sizeof *net);
}

void net_init(network *net, uint64_t key)
{
    for (int p = 0; p < NET_PARAMETERS; p++) {
        net_parameter *parameter = &net->parameters[p];
        const double bound = sqrt((parameter->rank > 1 ? 6.0 : 1.0) / (double)parameter->fan_in);
        vr_random random = vr_random_stream(key, (uint64_t)p);
        for (int64_t i = 0; i < parameter->count; i++)
            parameter->value[i] = (float)((2 * vr_random_uniform(&random) - 1) * bound);
    }
}

void net_input(network *net, const float *x, const int32_t *labels, int64_t n)
{
    net->x = x;
    net->labels = labels;
    net->n = n;
}

/* 3 x 3, stride 1, padded with one zero all around; c the channels of the layer's input, k of its output. */
static vr_conv2d shape_of_conv(const network *net, net_layer layer)
{
    const int64_t c = layer == NET_CONV1 ? 1 : net->activations[layer - 1].shape[3];
    return (vr_conv2d){.n = net->n,
                       .h = net->height,
                       .w = net->width,
                       .c = c,
                       .k = net->activations[layer].shape[3],
                       .kh = 3,
                       .kw = 3,
                       .stride_h = 1,
                       .stride_w = 1,
                       .pad_h = 1,
                       .pad_w = 1,
                       .dilation_h = 1,
                       .dilation_w = 1};
}

/* The first of the layer's two parameters; the bias is the next. */
static const net_parameter *weight_of(const network *net, net_layer layer)
{
    const net_parameter *parameter = net->parameters;
    while (parameter->layer != layer)
        parameter += 2;
    return parameter;
}

static bool is_rectified(net_layer layer)
{
    return layer == NET_CONV1 || layer == NET_CONV2 || layer == NET_DENSE1;
}

static const float *input_of(const network *net, net_layer layer)
{
    return layer == NET_CONV1 ? net->x : net->activations[layer - 1].out;
}

static vr_status weigh_forward(network *net, net_layer layer)
{
    const net_parameter *weight = weight_of(net, layer);
    const float *in = input_of(net, layer), *w = weight->value, *bias = weight[1].value;
    float *out = net->activations[layer].out;
    if (weight->rank == 4) {
        const vr_conv2d shape = shape_of_conv(net, layer);
        return vr_conv2d_forward_f32(net->math, out, in, w, bias, &shape);
    }
    return vr_matmul_f32(net->math, out, in, w, bias,
                         (vr_matmul){.m = net->n, .n = weight->shape[1], .k = weight->shape[0]});
}

vr_status net_forward(network *net, net_layer layer)
{
    const int64_t n = net->n, *shape = net->activations[layer].shape;
    const float *in = input_of(net, layer);
    float *out = net->activations[layer].out;
    vr_status status = VR_OK;
    switch (layer) {
    case NET_CONV1:
    case NET_CONV2:
    case NET_DENSE1:
    case NET_DENSE2:
        status = weigh_forward(net, layer);
        break;
    case NET_POOL:
        maxpool_forward(out, in, n, net->height, net->width, shape[3]);
        break;
    case NET_SOFTMAX:
        status = vr_softmax_f32(net->math, out, in, n, net->classes);
        break;
    case NET_LOSS:
        cross_entropy_forward(out, net->activations[NET_DENSE2].out, net->labels, n, net->classes);
        break;
    case NET_LAYERS:
        break;
    }
    if (is_rectified(layer))
        relu_forward(out, out, n * net->activations[layer].size);
    return status;
}

/* The gradient by the input of a layer with weights. */
static vr_status weigh_backward(network *net, net_layer layer, float *din)
{
    const net_parameter *weight = weight_of(net, layer);
    const float *dout = net->activations[layer].grad;
    if (weight->rank == 4) {
        const vr_conv2d shape = shape_of_conv(net, layer);
        return vr_conv2d_backward_input_f32(net->math, din, dout, weight->value, &shape);
    }
    return vr_matmul_f32(net->math, din, dout, weight->value, NULL,
                         (vr_matmul){.m = net->n, .n = weight->shape[0], .k = weight->shape[1], .transpose_b = true});
}

/* What stands between `layer` and the loss is the layer after it: that one is gone through backward. */
vr_status net_backward(network *net, net_layer layer)
{
    const net_layer after = layer + 1;
    const int64_t n = net->n;
    const float *dout = net->activations[after].grad;
    float *din = net->activations[layer].grad;
    vr_status status = VR_OK;
    switch (after) {
    case NET_CONV2:
    case NET_DENSE1:
    case NET_DENSE2:
        status = weigh_backward(net, after, din);
        break;
    case NET_POOL:
        maxpool_backward(din, dout, net->activations[layer].out, n, net->height, net->width,
                         net->activations[layer].shape[3]);
        break;
    case NET_SOFTMAX:
        cross_entropy_backward(din, net->activations[after].out, net->labels, n, net->classes);
        break;
    case NET_CONV1:
    case NET_LOSS:
    case NET_LAYERS:
        break;
    }
    if (is_rectified(layer))
        relu_backward(din, din, net->activations[layer].out, n * net->activations[layer].size);
    return status;
}

vr_status net_gradient(network *net, int p)
{
    const net_parameter *parameter = &net->parameters[p];
    const net_activation *activation = &net->activations[parameter->layer];
    const float *in = input_of(net, parameter->layer), *dout = activation->grad;
    if (parameter->rank == 4) {
        const vr_conv2d shape = shape_of_conv(net, parameter->layer);
        return vr_conv2d_backward_weight_f32(net->math, parameter->grad, in, dout, &shape);
    }
    if (parameter->rank == 2)
        return vr_matmul_f32(
            net->math, parameter->grad, in, dout, NULL,
            (vr_matmul){.m = parameter->shape[0], .n = parameter->shape[1], .k = net->n, .transpose_a = true});
    return vr_sum_rows_f32(net->math, parameter->grad, dout, net->n * activation->size / parameter->count,
                           parameter->count);
}

double net_loss(const network *net)
{
    double sum = 0;
    for (int64_t i = 0; i < net->n; i++)
        sum += (double)net->activations[NET_LOSS].out[i];
    return sum / (double)net->n;
}

/* log(sum_c exp(z_c - z_max)) + z_max - z_label */
void net_sample_losses(const network *net, const int32_t *labels, double *losses)
{
    const int64_t classes = net->classes;
    for (int64_t i = 0; i < net->n; i++) {
        const float *logits = net->activations[NET_DENSE2].out + i * classes;
        double most = logits[0], sum = 0;
        for (int64_t c = 1; c < classes; c++)
            most = logits[c] > most ? logits[c] : most;
        for (int64_t c = 0; c < classes; c++)
            sum += exp((double)logits[c] - most);
        losses[i] = log(sum) + most - (double)logits[labels[i]];
    }
}

void net_predict(const network *net, int32_t *predictions)
{
    for (int64_t i = 0; i < net->n; i++) {
        const float *p = net->activations[NET_SOFTMAX].out + i * net->classes;
        int32_t best = 0;
        for (int32_t k = 1; k < net->classes; k++)
            best = p[k] > p[best] ? k : best;
        predictions[i] = best;
    }
}
