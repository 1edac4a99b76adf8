#include "optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <varanalyze/random.h>

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

/* One element's update, each operation rounded by `r`: the formulas of optimizer.h. With a constant `r` all that
 * rounding asks for folds away. */
#define INLINE static inline __attribute__((always_inline))

typedef struct element {
    float w, m, v;
} element;

typedef struct constants {
    float rate, correct1, correct2; /* 1 / (1 - 0.9^t), 1 / (1 - 0.999^t) */
} constants;

INLINE float add(const vr_rounding *r, vr_stream *bits, float a, float b)
{
    return vr_round_add_f32(r, bits, a, b);
}

INLINE float mul(const vr_rounding *r, vr_stream *bits, float a, float b)
{
    return vr_round_mul_f32(r, bits, a, b);
}

/* rate x / (sqrt(v) + least); up-down rounding takes a v of 0 below it now and then. */
INLINE float scaled(const vr_rounding *r, vr_stream *bits, float rate, float x, float v, float least)
{
    const float step = mul(r, bits, rate, x), root = vr_round_sqrt_f32(r, bits, v > 0 ? v : 0);
    return vr_round_div_f32(r, bits, step, add(r, bits, root, least));
}

/* old x + new y */
INLINE float mixed(const vr_rounding *r, vr_stream *bits, float old, float x, float new, float y)
{
    const float kept = mul(r, bits, old, x), added = mul(r, bits, new, y);
    return add(r, bits, kept, added);
}

INLINE element updated(const vr_rounding *r, vr_stream *bits, optimizer_kind kind, element x, float g, constants c)
{
    float step = 0, m, v;
    switch (kind) {
    case OPTIMIZER_SGD:
        step = mul(r, bits, c.rate, g);
        break;
    case OPTIMIZER_MOMENTUM:
        x.m = add(r, bits, mul(r, bits, 0.9F, x.m), g);
        step = mul(r, bits, c.rate, x.m);
        break;
    case OPTIMIZER_ADAM:
        x.m = mixed(r, bits, 0.9F, x.m, 0.1F, g);
        x.v = mixed(r, bits, 0.999F, x.v, 0.001F, mul(r, bits, g, g));
        m = mul(r, bits, x.m, c.correct1);
        v = mul(r, bits, x.v, c.correct2);
        step = scaled(r, bits, c.rate, m, v, 1e-8F);
        break;
    case OPTIMIZER_RMSPROP:
        x.v = mixed(r, bits, 0.99F, x.v, 0.01F, mul(r, bits, g, g));
        step = scaled(r, bits, c.rate, g, x.v, 1e-8F);
        break;
    case OPTIMIZER_ADAGRAD:
        x.v = add(r, bits, x.v, mul(r, bits, g, g));
        step = scaled(r, bits, c.rate, g, x.v, 1e-10F);
        break;
    case OPTIMIZER_KINDS:
        break;
    }
    x.w = vr_round_sub_f32(r, bits, x.w, step);
    return x;
}

/* The tensors of a parameter, m and v NULL where the kind has none. */
typedef struct tensors {
    float *restrict w, *restrict m, *restrict v;
    const float *restrict g;
    int64_t count;
} tensors;

/* Each element has random words of its own, whichever thread comes to it. */
INLINE void update_all(const vr_rounding *r, uint64_t key, optimizer_kind kind, tensors t, constants c)
{
    enum { WORDS = 16 }; /* of an element, at most */
#pragma omp parallel for if (t.count >= FEW_ELEMENTS)
    for (int64_t i = 0; i < t.count; i++) {
        vr_stream bits = {key, (uint64_t)i * WORDS};
        const element x = updated(r, &bits, kind, (element){t.w[i], t.m ? t.m[i] : 0, t.v ? t.v[i] : 0}, t.g[i], c);
        t.w[i] = x.w;
        if (t.m)
            t.m[i] = x.m;
        if (t.v)
            t.v[i] = x.v;
    }
}

void optimizer_step(net_optimizer *optimizer)
{
    optimizer->beta1_power *= 0.9;
    optimizer->beta2_power *= 0.999;
}

#define UPDATE(kind) update_all(&nearest, 0, kind, t, c)

/* To nearest, a loop for each kind, which the compiler makes vector code of. */
static void update_nearest(optimizer_kind kind, tensors t, constants c)
{
    const vr_rounding nearest = {0};
    if (kind == OPTIMIZER_SGD)
        UPDATE(OPTIMIZER_SGD);
    else if (kind == OPTIMIZER_MOMENTUM)
        UPDATE(OPTIMIZER_MOMENTUM);
    else if (kind == OPTIMIZER_ADAM)
        UPDATE(OPTIMIZER_ADAM);
    else if (kind == OPTIMIZER_RMSPROP)
        UPDATE(OPTIMIZER_RMSPROP);
    else
        UPDATE(OPTIMIZER_ADAGRAD);
}

void optimizer_update(net_optimizer *optimizer, network *net, int p)
{
    net_parameter *parameter = &net->parameters[p];
    const vr_rounding *r = net->math ? &net->math->rounding : &(vr_rounding){0};
    const tensors t = {parameter->value, optimizer->m[p], optimizer->v[p], parameter->grad, parameter->count};
    const constants c = {optimizer->rate, (float)(1 / (1 - optimizer->beta1_power)),
                         (float)(1 / (1 - optimizer->beta2_power))};
    if (r->mode == VR_ROUND_NEAREST && r->precision == 0)
        update_nearest(optimizer->kind, t, c);
    else
        update_all(r, vr_stream_at(vr_derive_seed(r->key, "optimizer"), optimizer->updates++).key, optimizer->kind, t,
                   c);
}
