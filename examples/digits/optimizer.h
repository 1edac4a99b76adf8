/* optimizer.h - five ways to go from gradients to weights, in f32.
 *
 * Rounded as the network's `math` says, each operation by itself. With g the gradient, w the parameter, e the learning
 * rate, element by element:
 *
 *     sgd       w -= e g
 *     momentum  m = 0.9 m + g;  w -= e m                                        (Polyak 1964)
 *     adam      m = 0.9 m + 0.1 g;  v = 0.999 v + 0.001 g^2;                    (Kingma and Ba, ICLR 2015)
 *               w -= e (m / (1 - 0.9^t)) / (sqrt(v / (1 - 0.999^t)) + 1e-8)     t = 1, 2, ... steps
 *     rmsprop   v = 0.99 v + 0.01 g^2;  w -= e g / (sqrt(v) + 1e-8)             (Tieleman and Hinton 2012)
 *     adagrad   v = v + g^2;  w -= e g / (sqrt(v) + 1e-10)                      (Duchi, Hazan and Singer, JMLR 2011)
 */
#ifndef DIGITS_OPTIMIZER_H
#define DIGITS_OPTIMIZER_H

#include "net.h"

typedef enum optimizer_kind {
    OPTIMIZER_SGD,
    OPTIMIZER_MOMENTUM,
    OPTIMIZER_ADAM,
    OPTIMIZER_RMSPROP,
    OPTIMIZER_ADAGRAD,
    OPTIMIZER_KINDS
} optimizer_kind;

typedef struct net_optimizer {
    optimizer_kind kind;
    float rate;                                   /* may be changed between steps */
    uint64_t updates;                             /* so far, where rounding is random: each has its own words */
    double beta1_power, beta2_power;              /* adam: 0.9^t, 0.999^t, by repeated products */
    float *m[NET_PARAMETERS], *v[NET_PARAMETERS]; /* NULL where the kind has none */
} net_optimizer;

/* Of "sgd", "momentum", ...; false: no such one. */
bool optimizer_parse(optimizer_kind *out, const char *name);

/* The learning rate that goes well with the kind. */
float optimizer_default_rate(optimizer_kind kind);

/* State for the parameters of `net`, all zeros. False, and nothing to free: out of memory. */
bool optimizer_new(net_optimizer *out, optimizer_kind kind, float rate, const network *net);

void optimizer_free(net_optimizer *optimizer);

/* Begins a step; then each parameter is updated once, from its `grad`. */
void optimizer_step(net_optimizer *optimizer);
void optimizer_update(net_optimizer *optimizer, network *net, int parameter);

#endif
