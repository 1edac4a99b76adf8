#include "optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Elements below which a loop is not worth handing to other threads. */
enum { FEW_ELEMENTS = 1 << 14 };

static const struct {
    const char *name;
    float rate;
    bool has_m, has_v;
} kinds[OPTIMIZER_KINDS] = {
    [OPTIMIZER_SGD] = {"sgd", 0.2F, false, false},         [OPTIMIZER_MOMENTUM] = {"momentum", 0.04F, true, false},
    [OPTIMIZER_ADAM] = {"adam", 0.004F, true, true},       [OPTIMIZER_RMSPROP] = {"rmsprop", 0.003F, false, true},
    [OPTIMIZER_ADAGRAD] = {"adagrad", 0.03F, false, true},
};

const char *optimizer_name(optimizer_kind kind)
{
    return kinds[kind].name;
}

bool optimizer_parse(optimizer_kind *out, const char *name)
{
    for (int kind = 0; kind < OPTIMIZER_KINDS; kind++)
        if (strcmp(kinds[kind].name, name) == 0) {
            *out = kind;
            return true;
        }
    return false;
}

float optimizer_default_rate(optimizer_kind kind)
{
    return kinds[kind].rate;
}

bool optimizer_new(net_optimizer *out, optimizer_kind kind, float rate, const network *net)
{
    *out = (net_optimizer){.kind = kind, .rate = rate, .beta1_power = 1, .beta2_power = 1};
    bool ok = true;
    for (int p = 0; p < NET_PARAMETERS; p++) {
        const size_t count = (size_t)net->parameters[p].count;
        if (kinds[kind].has_m)
            ok = (out->m[p] = calloc(count, sizeof *out->m[p])) != NULL && ok;
        if (kinds[kind].has_v)
            ok = (out->v[p] = calloc(count, sizeof *out->v[p])) != NULL && ok;
    }
    if (!ok)
        optimizer_free(out);
    return ok;
}

void optimizer_free(net_optimizer *optimizer)
{
    for (int p = 0; p < NET_PARAMETERS; p++) {
        free(optimizer->m[p]);
        free(optimizer->v[p]);
    }
    memset(optimizer, 0, sizeof *optimizer);
}

static void sgd(float *restrict w, const float *restrict g, int64_t count, float rate)
{
#pragma omp parallel for simd if (parallel : count >= FEW_ELEMENTS)
    for (int64_t i = 0; i < count; i++)
        w[i] -= rate * g[i];
}

static void momentum(float *restrict w, float *restrict m, const float *restrict g, int64_t count, float rate)
{
#pragma omp parallel for simd if (parallel : count >= FEW_ELEMENTS)
    for (int64_t i = 0; i < count; i++) {
        m[i] = 0.9F * m[i] + g[i];
        w[i] -= rate * m[i];
    }
}

/* correct1 = 1 / (1 - 0.9^t), correct2 = 1 / (1 - 0.999^t) */
static void adam(float *restrict w, float *restrict m, float *restrict v, const float *restrict g, int64_t count,
                 float rate, float correct1, float correct2)
{
#pragma omp parallel for simd if (parallel : count >= FEW_ELEMENTS)
    for (int64_t i = 0; i < count; i++) {
        m[i] = 0.9F * m[i] + 0.1F * g[i];
        v[i] = 0.999F * v[i] + 0.001F * (g[i] * g[i]);
        w[i] -= rate * (m[i] * correct1) / (sqrtf(v[i] * correct2) + 1e-8F);
    }
}

static void rmsprop(float *restrict w, float *restrict v, const float *restrict g, int64_t count, float rate)
{
#pragma omp parallel for simd if (parallel : count >= FEW_ELEMENTS)
    for (int64_t i = 0; i < count; i++) {
        v[i] = 0.99F * v[i] + 0.01F * (g[i] * g[i]);
        w[i] -= rate * g[i] / (sqrtf(v[i]) + 1e-8F);
    }
}

static void adagrad(float *restrict w, float *restrict v, const float *restrict g, int64_t count, float rate)
{
#pragma omp parallel for simd if (parallel : count >= FEW_ELEMENTS)
    for (int64_t i = 0; i < count; i++) {
        v[i] += g[i] * g[i];
        w[i] -= rate * g[i] / (sqrtf(v[i]) + 1e-10F);
    }
}

void optimizer_step(net_optimizer *optimizer)
{
    optimizer->beta1_power *= 0.9;
    optimizer->beta2_power *= 0.999;
}

void optimizer_update(net_optimizer *optimizer, network *net, int p)
{
    net_parameter *parameter = &net->parameters[p];
    float *w = parameter->value, *m = optimizer->m[p], *v = optimizer->v[p];
    const float *g = parameter->grad, rate = optimizer->rate;
    switch (optimizer->kind) {
    case OPTIMIZER_SGD:
        sgd(w, g, parameter->count, rate);
        break;
    case OPTIMIZER_MOMENTUM:
        momentum(w, m, g, parameter->count, rate);
        break;
    case OPTIMIZER_ADAM:
        adam(w, m, v, g, parameter->count, rate, (float)(1 / (1 - optimizer->beta1_power)),
             (float)(1 / (1 - optimizer->beta2_power)));
        break;
    case OPTIMIZER_RMSPROP:
        rmsprop(w, v, g, parameter->count, rate);
        break;
    case OPTIMIZER_ADAGRAD:
        adagrad(w, v, g, parameter->count, rate);
        break;
    case OPTIMIZER_KINDS:
        break;
    }
}
