/* record.h - the network's tensors in the trace of a run.
 *
 * Each record names every tensor that it was computed from, so that of two runs' traces the first operation to differ
 * can be told from those that only carried the difference on. To be called right after what is recorded was computed.
 *
 *     input      batch/x [n][h][w], batch/y [n]
 *     forward    LAYER/out            each layer of net.h
 *     backward   LAYER/out            its gradient, down from dense2
 *     gradient   LAYER/weight, bias
 *     optimizer  LAYER/weight.m, weight.v, bias.m, bias.v
 *     weight     LAYER/weight, bias   after the update; at the setup, as initialized; at the end, as VR_FINAL says
 *     metric     loss, learning_rate (each step), test_accuracy (each epoch)
 *     evaluation test/...             each epoch: ids, labels, predictions, probabilities, losses, loss, groups
 */
#ifndef DIGITS_RECORD_H
#define DIGITS_RECORD_H

#include "groups.h"
#include "net.h"
#include "optimizer.h"

#include <varanalyze/capture.h>

/* All parameters, from "seed:init", and the optimizer's state. */
void record_setup(vr_run *run, const network *net, const net_optimizer *optimizer);

/* The batch of net_input, from "order/permutation", and "seed:shift" if its images were shifted. */
void record_batch(vr_run *run, const network *net, bool shifted);

void record_forward(vr_run *run, const network *net, net_layer layer);
void record_backward(vr_run *run, const network *net, net_layer layer);
void record_gradient(vr_run *run, const network *net, int parameter);

/* The parameter's optimizer state and value after an update. */
void record_update(vr_run *run, const network *net, const net_optimizer *optimizer, int parameter);

void record_loss(vr_run *run, double loss);

/* The learning rate of the updates that follow; they name it among their inputs. */
void record_rate(vr_run *run, const net_optimizer *optimizer);

/* What the network said of the test samples. */
typedef struct test_result {
    int32_t *predictions; /* [count] */
    float *probabilities; /* [count][classes] */
    double *losses;       /* [count] */
    double loss, accuracy;
} test_result;

/* The result of the network with its current parameters. */
void record_test(vr_run *run, const network *net, const sample_set *set, const sample_groups *groups,
                 const test_result *result);

/* All parameters as training leaves them. */
void record_final(vr_run *run, const network *net);

#endif
