#include "record.h"

#include <stdio.h>
#include <string.h>

#define MAX_INPUTS 3
#define NAME_SIZE  64

/* What each layer's output is computed from, and the gradient of the loss by it. */
static const struct {
    const char *forward[MAX_INPUTS], *backward[MAX_INPUTS];
} inputs_of[NET_LAYERS] = {
    [NET_CONV1] = {{"batch/x", "weight:conv1/weight", "weight:conv1/bias"},
                   {"backward:conv2/out", "weight:conv2/weight", "forward:conv1/out"}},
    [NET_CONV2] = {{"forward:conv1/out", "weight:conv2/weight", "weight:conv2/bias"},
                   {"backward:pool/out", "forward:conv2/out"}},
    [NET_POOL] = {{"forward:conv2/out"}, {"backward:dense1/out", "weight:dense1/weight"}},
    [NET_DENSE1] = {{"forward:pool/out", "weight:dense1/weight", "weight:dense1/bias"},
                    {"backward:dense2/out", "weight:dense2/weight", "forward:dense1/out"}},
    [NET_DENSE2] = {{"forward:dense1/out", "weight:dense2/weight", "weight:dense2/bias"},
                    {"forward:softmax/out", "batch/y"}},
    [NET_SOFTMAX] = {{"forward:dense2/out"}, {NULL}},
    [NET_LOSS] = {{"forward:dense2/out", "batch/y"}, {NULL}},
};

static size_t count_inputs(const char *const inputs[MAX_INPUTS])
{
    size_t count = 0;
    while (count < MAX_INPUTS && inputs[count])
        count++;
    return count;
}

static void record_activation(vr_run *run, const network *net, net_layer layer, vr_phase phase, const float *data,
                              const char *const inputs[MAX_INPUTS])
{
    const net_activation *activation = &net->activations[layer];
    int64_t shape[4];
    memcpy(shape, activation->shape, sizeof shape);
    shape[0] = net->n;
    vr_record_inputs(run, phase, activation->layer, "out", vr_tensor_of(VR_F32, data, activation->rank, shape), inputs,
                     count_inputs(inputs));
}

static const char *layer_of(const network *net, int p)
{
    return net->activations[net->parameters[p].layer].layer;
}

/* A tensor shaped as the parameter: the parameter itself, its gradient, the optimizer's state. */
static vr_tensor like_parameter(const network *net, int p, const float *data)
{
    return vr_tensor_of(VR_F32, data, net->parameters[p].rank, net->parameters[p].shape);
}

/* "PHASE:LAYER/weight.m": a parameter's tensor. */
static const char *name_of(char out[NAME_SIZE], const char *phase, const network *net, int p, const char *suffix)
{
    snprintf(out, NAME_SIZE, "%s:%s/%s%s", phase, layer_of(net, p), net->parameters[p].name, suffix);
    return out;
}

void record_setup(vr_run *run, const network *net, const net_optimizer *optimizer)
{
    for (int p = 0; p < NET_PARAMETERS; p++) {
        const net_parameter *parameter = &net->parameters[p];
        char name[NAME_SIZE];
        vr_record(run, VR_WEIGHT, layer_of(net, p), parameter->name, like_parameter(net, p, parameter->value),
                  "seed:init", NULL);
        snprintf(name, sizeof name, "%s.m", parameter->name);
        if (optimizer->m[p])
            vr_record(run, VR_OPTIMIZER, layer_of(net, p), name, like_parameter(net, p, optimizer->m[p]), NULL);
        snprintf(name, sizeof name, "%s.v", parameter->name);
        if (optimizer->v[p])
            vr_record(run, VR_OPTIMIZER, layer_of(net, p), name, like_parameter(net, p, optimizer->v[p]), NULL);
    }
}

void record_batch(vr_run *run, const network *net, bool shifted)
{
    const char *inputs[] = {"order/permutation", "seed:shift"};
    vr_record_inputs(run, VR_INPUT, "batch", "x", VR_TENSOR(VR_F32, net->x, net->n, net->height, net->width), inputs,
                     shifted ? 2 : 1);
    vr_record(run, VR_INPUT, "batch", "y", VR_TENSOR(VR_I32, net->labels, net->n), "order/permutation", NULL);
}

void record_forward(vr_run *run, const network *net, net_layer layer)
{
    record_activation(run, net, layer, VR_FORWARD, net->activations[layer].out, inputs_of[layer].forward);
}

void record_backward(vr_run *run, const network *net, net_layer layer)
{
    record_activation(run, net, layer, VR_BACKWARD, net->activations[layer].grad, inputs_of[layer].backward);
}

/* Of a weight: from what went into the layer, and the gradient by what came out; of a bias: from the latter alone. */
void record_gradient(vr_run *run, const network *net, int p)
{
    const net_parameter *parameter = &net->parameters[p];
    char out[NAME_SIZE];
    snprintf(out, sizeof out, "backward:%s/out", layer_of(net, p));
    const char *inputs[] = {out, inputs_of[parameter->layer].forward[0]};
    vr_record_inputs(run, VR_GRADIENT, layer_of(net, p), parameter->name, like_parameter(net, p, parameter->grad),
                     inputs, parameter->rank > 1 ? 2 : 1);
}

/* The state from the gradient and its own previous value; the parameter from both, its previous value and the rate. */
void record_update(vr_run *run, const network *net, const net_optimizer *optimizer, int p)
{
    const struct {
        const char *suffix;
        const float *data;
    } states[] = {{".m", optimizer->m[p]}, {".v", optimizer->v[p]}};
    char gradient[NAME_SIZE], weight[NAME_SIZE], state[2][NAME_SIZE], name[NAME_SIZE];
    const char *inputs[5] = {name_of(gradient, "gradient", net, p, ""), name_of(weight, "weight", net, p, ""),
                             "metric:metric/learning_rate"};
    size_t count = 3;
    for (int i = 0; i < 2; i++) {
        if (!states[i].data)
            continue;
        inputs[count++] = name_of(state[i], "optimizer", net, p, states[i].suffix);
        snprintf(name, sizeof name, "%s%s", net->parameters[p].name, states[i].suffix);
        vr_record(run, VR_OPTIMIZER, layer_of(net, p), name, like_parameter(net, p, states[i].data), gradient, state[i],
                  NULL);
    }
    vr_record_inputs(run, VR_WEIGHT, layer_of(net, p), net->parameters[p].name,
                     like_parameter(net, p, net->parameters[p].value), inputs, count);
}

void record_loss(vr_run *run, double loss)
{
    vr_metric(run, "loss", loss, "forward:loss/out", NULL);
}

void record_rate(vr_run *run, const net_optimizer *optimizer)
{
    vr_metric(run, "learning_rate", (double)optimizer->rate, NULL);
}

void record_test(vr_run *run, const network *net, const sample_set *set, const sample_groups *groups,
                 const test_result *result)
{
    char names[NET_PARAMETERS][NAME_SIZE];
    const char *inputs[NET_PARAMETERS];
    for (int p = 0; p < NET_PARAMETERS; p++)
        inputs[p] = name_of(names[p], "weight", net, p, "");
    vr_record_evaluation(run, &(vr_evaluation){.version = VR_EVALUATION_VERSION,
                                               .name = "test",
                                               .count = (size_t)set->count,
                                               .classes = (size_t)net->classes,
                                               .ids = set->ids,
                                               .labels = set->labels,
                                               .predictions = result->predictions,
                                               .probabilities = result->probabilities,
                                               .losses = result->losses,
                                               .losses_type = VR_F64,
                                               .loss = &result->loss,
                                               .group_count = GROUP_COLUMNS,
                                               .group_names = group_names,
                                               .groups = (const int32_t *const *)groups->columns,
                                               .group_values = group_values,
                                               .inputs = inputs,
                                               .input_count = NET_PARAMETERS});
    vr_metric(run, "test_accuracy", result->accuracy, "evaluation:test/predictions", "evaluation:test/labels", NULL);
}

void record_final(vr_run *run, const network *net)
{
    for (int p = 0; p < NET_PARAMETERS; p++)
        vr_record_final(run, layer_of(net, p), net->parameters[p].name,
                        like_parameter(net, p, net->parameters[p].value));
}
