/* The layers against definitions in double precision, written for one output or one loss, and their gradients against
 * central differences of those; the optimizers against their formulas; and the bits for 1, 2 and 3 threads.
 *
 * Bounds (Higham, Accuracy and Stability, 2nd ed., 3.1): a sum of n products in f32 is off by at most gamma(n) times
 * the sum of their magnitudes, gamma(n) = n u / (1 - n u), u = 2^-24. A central difference of step h is off by the
 * truncation h^2 max|f'''| / 6 and the rounding of the two values, each at most EVAL |f|'s magnitudes / h. For what is
 * linear in the varied element the truncation is 0.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <varanalyze/random.h>

#include "layers.h"
#include "net.h"
#include "optimizer.h"

#define U32  0x1p-24
#define EVAL 0x1p-40 /* relative error of a loss summed in double: below 2^12 operations of 2^-53 each */

static double gamma_of(int64_t n)
{
    return (double)n * U32 / (1 - (double)n * U32);
}

static void fill(float *out, int64_t count, uint64_t stream)
{
    vr_random random = vr_random_stream(vr_derive_seed(1, "test_layers"), stream);
    for (int64_t i = 0; i < count; i++)
        out[i] = (float)(2 * vr_random_uniform(&random) - 1);
}

static void assert_near(double got, double expected, double bound)
{
    if (!(fabs(got - expected) <= bound))
        fail_msg("got %.17g, expected %.17g, off by %.3g, bound %.3g", got, expected, fabs(got - expected), bound);
}

/* A loss: the sum of weights times a layer's outputs, in double, and of the terms' magnitudes. */
typedef struct loss {
    double value, magnitude;
} loss;

typedef loss (*loss_function)(const void *problem);

/* d loss / d *x by a central difference, and the bound of its error; `third` is max |f'''|. */
static double difference(loss_function f, const void *problem, float *x, double third, double *bound)
{
    const float kept = *x, h = third > 0 ? 0x1p-12F : 0x1p-6F;
    *x = kept + h;
    const double above = *x;
    const loss up = f(problem);
    *x = kept - h;
    const double below = *x;
    const loss down = f(problem);
    *x = kept;
    const double width = above - below; /* 2h where x + h and x - h are exact, as they must be unless f is linear */
    *bound = third * width * width / 24 + EVAL * (up.magnitude + down.magnitude) / width;
    return (up.value - down.value) / width;
}

/* Every factor is at most 1, so a gradient of n terms is off by at most gamma(n + 1) n. */
static void check_gradient(loss_function f, const void *problem, float *x, const float *gradient, int64_t count,
                           int64_t terms, double third)
{
    for (int64_t i = 0; i < count; i++) {
        double bound;
        const double expected = difference(f, problem, &x[i], third, &bound);
        assert_near((double)gradient[i], expected, bound + gamma_of(terms + 1) * (double)terms);
    }
}

/* ReLU and pooling: exact, and linear as long as no element is within a step of a kink or a tie. */

enum { POOL_N = 2, POOL_H = 5, POOL_W = 7, POOL_C = 3 };
#define POOL_IN  (POOL_N * POOL_H * POOL_W * POOL_C)
#define POOL_OUT (POOL_N * (POOL_H / 2) * (POOL_W / 2) * POOL_C)

typedef struct pool_problem {
    float in[POOL_IN], dout[POOL_IN];
} pool_problem;

/* All multiples of 1/4 from -POOL_IN/8, but 0, in random order: further apart than two steps. */
static void fill_apart(float *out)
{
    uint32_t order[POOL_IN];
    vr_random random = vr_random_stream(vr_derive_seed(1, "test_layers"), 9);
    vr_random_permutation(&random, order, POOL_IN);
    for (int i = 0; i < POOL_IN; i++)
        out[i] = 0.25F * ((float)order[i] - POOL_IN / 2 + 0.5F);
}

static loss relu_loss(const void *problem)
{
    const pool_problem *p = problem;
    loss sum = {0, 0};
    for (int i = 0; i < POOL_IN; i++) {
        const double term = (double)p->dout[i] * fmax((double)p->in[i], 0);
        sum.value += term;
        sum.magnitude += fabs(term);
    }
    return sum;
}

static loss pool_loss(const void *problem)
{
    const pool_problem *p = problem;
    loss sum = {0, 0};
    for (int i = 0; i < POOL_OUT; i++) {
        const int c = i % POOL_C, x = i / POOL_C % (POOL_W / 2), y = i / POOL_C / (POOL_W / 2) % (POOL_H / 2);
        const int n = i / POOL_C / (POOL_W / 2) / (POOL_H / 2);
        double maximum = -INFINITY;
        for (int j = 0; j < 4; j++)
            maximum =
                fmax(maximum, (double)p->in[((n * POOL_H + 2 * y + j / 2) * POOL_W + 2 * x + j % 2) * POOL_C + c]);
        sum.value += (double)p->dout[i] * maximum;
        sum.magnitude += fabs((double)p->dout[i] * maximum);
    }
    return sum;
}

static void relu_gradient_is_that_of_the_loss(void **state)
{
    (void)state;
    pool_problem p;
    float out[POOL_IN], din[POOL_IN];
    fill_apart(p.in);
    fill(p.dout, POOL_IN, 10);
    relu_forward(out, p.in, POOL_IN);
    for (int i = 0; i < POOL_IN; i++)
        assert_true(out[i] == fmaxf(p.in[i], 0));
    relu_backward(din, p.dout, out, POOL_IN);
    check_gradient(relu_loss, &p, p.in, din, POOL_IN, 0, 0);
}

static void relu_passes_nan(void **state)
{
    (void)state;
    const float in[4] = {NAN, -1, 0, 2}, dout[4] = {1, 1, 1, 1};
    float out[4], din[4];
    relu_forward(out, in, 4);
    relu_backward(din, dout, out, 4);
    assert_true(isnan(out[0]) && out[1] == 0 && out[2] == 0 && out[3] == 2);
    assert_true(din[0] == 1 && din[1] == 0 && din[2] == 0 && din[3] == 1);
}

static void maxpool_gradient_is_that_of_the_loss(void **state)
{
    (void)state;
    pool_problem p;
    float out[POOL_OUT], din[POOL_IN];
    fill_apart(p.in);
    fill(p.dout, POOL_IN, 11);
    maxpool_forward(out, p.in, POOL_N, POOL_H, POOL_W, POOL_C);
    double sum = 0;
    for (int i = 0; i < POOL_OUT; i++)
        sum += (double)p.dout[i] * (double)out[i];
    const loss expected = pool_loss(&p);
    assert_near(sum, expected.value, EVAL * expected.magnitude);
    maxpool_backward(din, p.dout, p.in, POOL_N, POOL_H, POOL_W, POOL_C);
    check_gradient(pool_loss, &p, p.in, din, POOL_IN, 0, 0);
}

/* Windows: all equal; the last two equal; a NaN; -0 before +0. Columns beyond the windows get no gradient. */
static void maxpool_ties_go_to_the_first(void **state)
{
    (void)state;
    const float in[2 * 9] = {5, 5, 1, 2, 0, 9, -0.0F, 0, 7, 5, 5, 3, 3, NAN, 1, -1, -1, 7};
    const float dout[4] = {1, 2, 3, 4};
    const float expected[2 * 9] = {1, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 0};
    float out[4], din[2 * 9];
    maxpool_forward(out, in, 1, 2, 9, 1);
    assert_true(out[0] == 5 && out[1] == 3 && isnan(out[2]) && out[3] == 0 && signbit(out[3]));
    maxpool_backward(din, dout, in, 1, 2, 9, 1);
    assert_memory_equal(din, expected, sizeof din);
}

/* Softmax and cross-entropy. */

enum { SOFTMAX_N = 4, SOFTMAX_K = 6 };

typedef struct softmax_problem {
    float in[SOFTMAX_N * SOFTMAX_K];
    int32_t labels[SOFTMAX_N];
} softmax_problem;

static double log_sum_exp(const softmax_problem *p, int n)
{
    double sum = 0;
    for (int k = 0; k < SOFTMAX_K; k++)
        sum += exp((double)p->in[n * SOFTMAX_K + k]);
    return log(sum);
}

static loss cross_entropy_loss(const void *problem)
{
    const softmax_problem *p = problem;
    loss sum = {0, 0};
    for (int n = 0; n < SOFTMAX_N; n++) {
        const double label = (double)p->in[n * SOFTMAX_K + p->labels[n]];
        sum.value += (log_sum_exp(p, n) - label) / SOFTMAX_N;
        sum.magnitude += (fabs(log_sum_exp(p, n)) + fabs(label)) / SOFTMAX_N;
    }
    return sum;
}

/* Inputs are at most 4 in magnitude. x - m is off by U32 |x - m| <= 8 U32, its exponential by that and at most 2 U32 of
 * libm's, relative; the sum by gamma(K) more; the quotient by U32: together below (2 * 10 + K + 2) U32, all terms being
 * positive. The third derivative of log(sum exp) by one input is p (1 - p) (1 - 2p), at most 1/10. */
static void softmax_and_cross_entropy_match(void **state)
{
    (void)state;
    softmax_problem p = {.labels = {0, 5, 2, 2}};
    float out[SOFTMAX_N * SOFTMAX_K], loss_of[SOFTMAX_N], din[SOFTMAX_N * SOFTMAX_K];
    const double relative = gamma_of(2 * 10 + SOFTMAX_K + 2);
    fill(p.in, SOFTMAX_N * SOFTMAX_K, 12);
    for (int i = 0; i < SOFTMAX_N * SOFTMAX_K; i++)
        p.in[i] = rintf(0x1p12F * p.in[i]) * 0x1p-10F;
    vr_softmax_f32(NULL, out, p.in, SOFTMAX_N, SOFTMAX_K);
    cross_entropy_forward(loss_of, p.in, p.labels, SOFTMAX_N, SOFTMAX_K);
    cross_entropy_backward(din, out, p.labels, SOFTMAX_N, SOFTMAX_K);
    for (int n = 0; n < SOFTMAX_N; n++) {
        const double total = log_sum_exp(&p, n);
        for (int k = 0; k < SOFTMAX_K; k++) {
            const double expected = exp((double)p.in[n * SOFTMAX_K + k] - total);
            assert_near((double)out[n * SOFTMAX_K + k], expected, relative * expected);
        }
        /* The logarithm (at most log K < 2) keeps a relative error as an absolute one; x - m and the difference round.
         */
        assert_near((double)loss_of[n], total - (double)p.in[n * SOFTMAX_K + p.labels[n]],
                    relative + (2 * 2 + 8 + 10) * U32);
    }
    for (int i = 0; i < SOFTMAX_N * SOFTMAX_K; i++) {
        double bound;
        const double expected = difference(cross_entropy_loss, &p, &p.in[i], 0.1 / SOFTMAX_N, &bound);
        assert_near((double)din[i], expected, bound + (relative + 2 * U32) / SOFTMAX_N);
    }
}

static void softmax_does_not_overflow(void **state)
{
    (void)state;
    const float in[3] = {1000, 0, -1000};
    const int32_t label = 1;
    float out[3], loss_of;
    vr_softmax_f32(NULL, out, in, 1, 3);
    cross_entropy_forward(&loss_of, in, &label, 1, 3);
    assert_true(out[0] == 1 && out[1] == 0 && out[2] == 0 && loss_of == 1000);
}

/* Optimizers: a few steps on a network's parameters against the formulas of optimizer.h in double. Gradients are below
 * 1, so in STEPS steps m and v stay below 5 and w below 8. A step of m or v has at most 8 roundings (of constants too),
 * each below 8 U32. An update is at most 10 rates (rmsprop's first: g / sqrt(0.01 g^2)), and off by at most 32 U32 of
 * that: v is a sum of positive terms, and adam's m is off by 15 U32 times the largest g, sqrt(v / (1 - 0.999^t)) at
 * least 0.44 of it, which divided by 1 - 0.9^t >= 0.4 (t = 5) is below 90 U32 rates. The subtraction rounds once more.
 */

enum { STEPS = 5 };

typedef struct reference {
    double w, m, v;
} reference;

static void reference_step(reference *r, optimizer_kind kind, double rate, double g, int t)
{
    switch (kind) {
    case OPTIMIZER_SGD:
        r->w -= rate * g;
        break;
    case OPTIMIZER_MOMENTUM:
        r->m = 0.9 * r->m + g;
        r->w -= rate * r->m;
        break;
    case OPTIMIZER_ADAM:
        r->m = 0.9 * r->m + 0.1 * g;
        r->v = 0.999 * r->v + 0.001 * g * g;
        r->w -= rate * (r->m / (1 - pow(0.9, t))) / (sqrt(r->v / (1 - pow(0.999, t))) + 1e-8);
        break;
    case OPTIMIZER_RMSPROP:
        r->v = 0.99 * r->v + 0.01 * g * g;
        r->w -= rate * g / (sqrt(r->v) + 1e-8);
        break;
    default:
        r->v += g * g;
        r->w -= rate * g / (sqrt(r->v) + 1e-10);
        break;
    }
}

static void check_optimizer(optimizer_kind kind, vr_math math)
{
    const float rate = 0.125F;
    /* Directed and stochastic rounding err by an ulp, twice as much as to nearest, up-down rounding by 1.5. */
    const double u = (math.rounding.mode == VR_ROUND_NEAREST ? 1 : 3) * U32;
    const double bound = STEPS * (32 * 10 * (double)rate + 8) * u;
    network net;
    net_optimizer optimizer;
    assert_true(net_new(&net, 1, 4, 4, 3) && optimizer_new(&optimizer, kind, rate, &net));
    net.math = &math;
    net_init(&net, 7);
    net_parameter *parameter = &net.parameters[6];
    reference *r = calloc((size_t)parameter->count, sizeof *r);
    assert_non_null(r);
    for (int64_t i = 0; i < parameter->count; i++)
        r[i].w = (double)parameter->value[i];
    for (int t = 1; t <= STEPS; t++) {
        fill(parameter->grad, parameter->count, 20 + (uint64_t)t);
        optimizer_step(&optimizer);
        optimizer_update(&optimizer, &net, 6);
        for (int64_t i = 0; i < parameter->count; i++) {
            reference_step(&r[i], kind, (double)rate, (double)parameter->grad[i], t);
            assert_near((double)parameter->value[i], r[i].w, bound);
            if (optimizer.m[6])
                assert_near((double)optimizer.m[6][i], r[i].m, 8 * t * 8 * u);
            if (optimizer.v[6])
                assert_near((double)optimizer.v[6][i], r[i].v, 8 * t * 8 * u);
        }
    }
    free(r);
    optimizer_free(&optimizer);
    net_free(&net);
}

static void optimizers_follow_their_formulas(void **state)
{
    (void)state;
    for (int kind = 0; kind < OPTIMIZER_KINDS; kind++)
        for (int mode = VR_ROUND_NEAREST; mode <= VR_ROUND_ZERO; mode++)
            check_optimizer(kind, (vr_math){.rounding = {.mode = (vr_rounding_mode)mode, .key = 3}});
}

/* The whole network. */

enum { NET_N = 7, NET_SIDE = 9, NET_CLASSES = 4 };

static const int32_t net_labels[NET_N] = {0, 1, 2, 3, 3, 1, 0};

static void forward_all(network *net)
{
    for (int layer = 0; layer < NET_LAYERS; layer++)
        assert_int_equal(net_forward(net, layer), VR_OK);
}

static void backward_all(network *net)
{
    for (int layer = NET_DENSE2; layer >= 0; layer--)
        assert_int_equal(net_backward(net, layer), VR_OK);
    for (int p = 0; p < NET_PARAMETERS; p++)
        assert_int_equal(net_gradient(net, p), VR_OK);
}

/* Each parameter tensor moved along its own gradient g by +-h changes the loss by 2h |g|^2 but for kinks and rounding,
 * which at this h are within 2 %: a layer wired wrongly is off by far more. */
static void net_gradients_descend_the_loss(void **state)
{
    (void)state;
    float x[NET_N * NET_SIDE * NET_SIDE];
    network net;
    assert_true(net_new(&net, NET_N, NET_SIDE, NET_SIDE, NET_CLASSES));
    net_init(&net, 3);
    fill(x, NET_N * NET_SIDE * NET_SIDE, 30);
    net_input(&net, x, net_labels, NET_N);
    forward_all(&net);
    backward_all(&net);
    for (int p = 0; p < NET_PARAMETERS; p++) {
        net_parameter *parameter = &net.parameters[p];
        const size_t bytes = (size_t)parameter->count * sizeof(float);
        float *kept = malloc(bytes);
        assert_non_null(kept);
        memcpy(kept, parameter->value, bytes);
        double square = 0, loss_at[2];
        for (int64_t i = 0; i < parameter->count; i++)
            square += (double)parameter->grad[i] * (double)parameter->grad[i];
        const double h = 0x1p-9 / sqrt(square);
        for (int side = 0; side < 2; side++) {
            for (int64_t i = 0; i < parameter->count; i++)
                parameter->value[i] = (float)((double)kept[i] + (side ? -h : h) * (double)parameter->grad[i]);
            forward_all(&net);
            loss_at[side] = net_loss(&net);
        }
        memcpy(parameter->value, kept, bytes);
        free(kept);
        assert_near((loss_at[0] - loss_at[1]) / (2 * h), square, 0.02 * square);
    }
    net_free(&net);
}

/* Trains for a few steps; returns all parameters, to be freed. */
static float *trained(optimizer_kind kind, vr_math math, int steps, int threads, int64_t *count)
{
    float x[NET_N * NET_SIDE * NET_SIDE];
    network net;
    net_optimizer optimizer;
    assert_true(net_new(&net, NET_N, NET_SIDE, NET_SIDE, NET_CLASSES));
    assert_true(optimizer_new(&optimizer, kind, optimizer_default_rate(kind), &net));
    net.math = &math;
    omp_set_num_threads(threads);
    net_init(&net, 3);
    for (int step = 0; step < steps; step++) {
        fill(x, NET_N * NET_SIDE * NET_SIDE, 40 + (uint64_t)step);
        net_input(&net, x, net_labels, step % 2 ? NET_N : NET_N - 2);
        forward_all(&net);
        backward_all(&net);
        optimizer_step(&optimizer);
        for (int p = 0; p < NET_PARAMETERS; p++)
            optimizer_update(&optimizer, &net, p);
    }
    *count = 0;
    for (int p = 0; p < NET_PARAMETERS; p++)
        *count += net.parameters[p].count;
    float *all = malloc((size_t)*count * sizeof *all), *end = all;
    assert_non_null(all);
    for (int p = 0; p < NET_PARAMETERS; p++) {
        memcpy(end, net.parameters[p].value, (size_t)net.parameters[p].count * sizeof *end);
        end += net.parameters[p].count;
    }
    optimizer_free(&optimizer);
    net_free(&net);
    return all;
}

static void check_threads(optimizer_kind kind, vr_math math, int steps)
{
    int64_t count;
    float *one = trained(kind, math, steps, 1, &count);
    for (int threads = 2; threads <= 3; threads++) {
        float *more = trained(kind, math, steps, threads, &count);
        assert_memory_equal(one, more, (size_t)count * sizeof *one);
        free(more);
    }
    free(one);
}

static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    for (int kind = 0; kind < OPTIMIZER_KINDS; kind++)
        check_threads(kind, (vr_math){0}, STEPS);
    check_threads(OPTIMIZER_ADAM, (vr_math){.order = VR_ORDER_SHUFFLED, .order_key = 5}, 2);
    check_threads(OPTIMIZER_ADAM, (vr_math){.order = VR_ORDER_EXACT}, 1);
    check_threads(OPTIMIZER_ADAM, (vr_math){.rounding = {.mode = VR_ROUND_SR, .key = 5}}, 1);
    check_threads(OPTIMIZER_ADAM, (vr_math){.rounding = {.mode = VR_ROUND_SR, .operands = true, .key = 5}}, 1);
}

static void assert_other_bits(vr_math a, vr_math b)
{
    int64_t count;
    float *first = trained(OPTIMIZER_ADAM, a, 1, 1, &count), *second = trained(OPTIMIZER_ADAM, b, 1, 1, &count);
    assert_memory_not_equal(first, second, (size_t)count * sizeof *first);
    free(first);
    free(second);
}

static void orders_and_rounding_reach_the_network(void **state)
{
    (void)state;
    const vr_math fixed = {0};
    assert_other_bits(fixed, (vr_math){.order = VR_ORDER_SHUFFLED, .order_key = 5});
    assert_other_bits((vr_math){.order = VR_ORDER_SHUFFLED, .order_key = 6},
                      (vr_math){.order = VR_ORDER_SHUFFLED, .order_key = 5});
    for (int mode = VR_ROUND_SR; mode <= VR_ROUND_UP; mode++)
        assert_other_bits(fixed, (vr_math){.rounding = {.mode = (vr_rounding_mode)mode, .key = 1}});
    assert_other_bits((vr_math){.rounding = {.mode = VR_ROUND_SR, .key = 1}},
                      (vr_math){.rounding = {.mode = VR_ROUND_SR, .key = 2}});
    assert_other_bits(fixed, (vr_math){.rounding = {.precision = 12}});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(relu_gradient_is_that_of_the_loss),    cmocka_unit_test(relu_passes_nan),
        cmocka_unit_test(maxpool_gradient_is_that_of_the_loss), cmocka_unit_test(maxpool_ties_go_to_the_first),
        cmocka_unit_test(softmax_and_cross_entropy_match),      cmocka_unit_test(softmax_does_not_overflow),
        cmocka_unit_test(optimizers_follow_their_formulas),     cmocka_unit_test(net_gradients_descend_the_loss),
        cmocka_unit_test(bits_do_not_depend_on_threads),        cmocka_unit_test(orders_and_rounding_reach_the_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
