/* digits - trains the network of net.h and records the run. */
#include "data.h"
#include "net.h"
#include "optimizer.h"
#include "record.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <omp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <varanalyze/capture.h>

static const char usage[] =
    "usage: digits [options]\n"
    "\n"
    "Train a small convolutional network on handwritten digits, and record the run where VR_TRACE says.\n"
    "The result has the same bits for every number of threads, unless VR_KERNELS says threads or atomic. Where other "
    "programs keep the cores busy, set\n"
    "OMP_WAIT_POLICY=passive: else threads that wait for one another take the time they wait for.\n"
    "\n"
    "training:\n"
    "  --epochs N           passes over the training set (default 30)\n"
    "  --batch N            samples a step (default 64)\n"
    "  --optimizer NAME     sgd, momentum, adam (default), rmsprop, adagrad\n"
    "  --lr X               first learning rate, falling to 0 in equal steps (default 0.2, 0.04, 0.004, 0.003, 0.03\n"
    "                       for the above)\n"
    "  --shift N            move each training image at random by up to N pixels each way (default 1)\n"
    "  --threads N          number of threads (default: OMP_NUM_THREADS, or all cores)\n"
    "\n"
    "data, IDX files, gzip or not:\n"
    "  --images FILE, --labels FILE            training samples (default: 1,797 digits of 8 x 8)\n"
    "  --test-images FILE, --test-labels FILE  test samples (default: the last fifth of the above)\n"
    "\n"
    "  --flip LAYER:STEP:INDEX:BIT   flip one bit (0 to 31, 31 is the sign) of element INDEX of a layer's output\n"
    "                       right after it was computed in training step STEP (from 1); LAYER is conv1, conv2,\n"
    "                       pool, dense1, dense2, softmax or loss\n"
    "  -q, --quiet          print nothing but errors\n"
    "  -h, --help           print this\n"
    "\n"
    "examples:\n"
    "  digits\n"
    "  VR_TRACE=run1.h5 VR_SEED=2 digits --epochs 3 --optimizer momentum\n"
    "  VR_TRACE=racy.h5 VR_KERNELS=atomic digits --epochs 3     (fixed, threads, atomic, shuffled, exact)\n"
    "  VR_TRACE=noisy.h5 VR_ROUNDING=sr VR_SEED=3 digits        (nearest, sr, ud, up, down, zero, rr, pb, mca)\n"
    "  VR_TRACE=flip.h5 digits --epochs 3 --flip conv2:10:1234:22\n"
    "  digits --images train-images-idx3-ubyte.gz --labels train-labels-idx1-ubyte.gz \\\n"
    "         --test-images t10k-images-idx3-ubyte.gz --test-labels t10k-labels-idx1-ubyte.gz --epochs 2\n";

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* One bit of one element of one activation at one training step. */
typedef struct bit_flip {
    const char *text; /* NULL: none */
    net_layer layer;
    int64_t step, index;
    int bit;
} bit_flip;

typedef struct settings {
    int64_t epochs, batch, shift, threads;
    optimizer_kind optimizer;
    float rate; /* first learning rate; 0: the optimizer's default */
    data_files files;
    const char *flip;
    bool quiet;
} settings;

/* Everything a run works on. */
typedef struct trainer {
    dataset data;
    network net;
    net_optimizer optimizer;
    vr_math math;
    bit_flip flip;
    int64_t batch, step, steps; /* of `steps` in all */
    int64_t shift;              /* pixels; 0: none */
    uint64_t shift_key;
    float rate;                    /* the first step's */
    uint32_t *order;               /* [train.count] */
    float *images;                 /* [batch][height][width] */
    int32_t *labels, *predictions; /* [batch] */
    sample_groups groups;          /* of the test set */
    test_result result;
} trainer;

typedef struct epoch_result {
    double loss, train_accuracy, test_accuracy;
} epoch_result;

__attribute__((format(printf, 1, 2))) static bool complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("digits: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return false;
}

/* The integer at the start of `text`, which must end with `terminator`; the rest goes to `*rest`. */
static bool parse_integer(int64_t *out, const char *text, char terminator, const char **rest)
{
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    if (end == text || *end != terminator || errno != 0)
        return false;
    if (rest)
        *rest = end + 1;
    return true;
}

static bool parse_count(int64_t *out, const char *option, const char *text, int64_t minimum, int64_t maximum)
{
    if (parse_integer(out, text, 0, NULL) && *out >= minimum && *out <= maximum)
        return true;
    return complain("--%s: \"%s\" is not a number from %lld to %lld", option, text, (long long)minimum,
                    (long long)maximum);
}

static bool parse_rate(float *out, const char *text)
{
    char *end;
    *out = strtof(text, &end);
    if (end != text && *end == 0 && isfinite(*out) && *out > 0)
        return true;
    return complain("--lr: \"%s\" is not a number above 0", text);
}

/* False: bad usage, or (with *help) nothing to be done but print the usage. */
static bool parse_options(settings *out, int argc, char **argv, bool *help)
{
    enum { EPOCHS = 256, BATCH, OPTIMIZER, RATE, SHIFT, THREADS, IMAGES, LABELS, TEST_IMAGES, TEST_LABELS, FLIP };
    static const struct option names[] = {
        {"epochs", required_argument, NULL, EPOCHS},
        {"batch", required_argument, NULL, BATCH},
        {"optimizer", required_argument, NULL, OPTIMIZER},
        {"lr", required_argument, NULL, RATE},
        {"threads", required_argument, NULL, THREADS},
        {"shift", required_argument, NULL, SHIFT},
        {"images", required_argument, NULL, IMAGES},
        {"labels", required_argument, NULL, LABELS},
        {"test-images", required_argument, NULL, TEST_IMAGES},
        {"test-labels", required_argument, NULL, TEST_LABELS},
        {"flip", required_argument, NULL, FLIP},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    *out = (settings){.epochs = 30, .batch = 64, .shift = 1, .optimizer = OPTIMIZER_ADAM};
    for (int option; (option = getopt_long(argc, argv, "qh", names, NULL)) != -1;) {
        bool ok = true;
        switch (option) {
        case EPOCHS:
            ok = parse_count(&out->epochs, "epochs", optarg, 1, 1000000);
            break;
        case BATCH:
            ok = parse_count(&out->batch, "batch", optarg, 1, 65536);
            break;
        case OPTIMIZER:
            ok = optimizer_parse(&out->optimizer, optarg) ||
                 complain("--optimizer: \"%s\" is none of sgd, momentum, adam, rmsprop, adagrad", optarg);
            break;
        case RATE:
            ok = parse_rate(&out->rate, optarg);
            break;
        case SHIFT:
            ok = parse_count(&out->shift, "shift", optarg, 0, DATA_MAX_SIDE);
            break;
        case THREADS:
            ok = parse_count(&out->threads, "threads", optarg, 1, 1024);
            break;
        case IMAGES:
            out->files.images = optarg;
            break;
        case LABELS:
            out->files.labels = optarg;
            break;
        case TEST_IMAGES:
            out->files.test_images = optarg;
            break;
        case TEST_LABELS:
            out->files.test_labels = optarg;
            break;
        case FLIP:
            out->flip = optarg;
            break;
        case 'q':
            out->quiet = true;
            break;
        case 'h':
            *help = true;
            return false;
        default: /* getopt_long has said what is wrong */
            return false;
        }
        if (!ok)
            return false;
    }
    if (optind < argc)
        return complain("\"%s\" is not an option", argv[optind]);
    if (!out->files.images != !out->files.labels || !out->files.test_images != !out->files.test_labels)
        return complain("images and labels go together: give both");
    if (!out->files.images && out->files.test_images)
        return complain("--test-images needs --images and --labels");
    if (!out->files.images)
        out->files = (data_files){DIGITS_DATA "/images-idx3-ubyte", DIGITS_DATA "/labels-idx1-ubyte", NULL, NULL};
    return true;
}

/* LAYER:STEP:INDEX:BIT, checked against the training it is for. */
static bool parse_flip(bit_flip *out, const char *text, const trainer *t)
{
    const int64_t count = t->data.train.count, steps = (count + t->batch - 1) / t->batch;
    const char *rest = strchr(text, ':');
    int64_t bit;
    *out = (bit_flip){.text = text, .layer = NET_LAYERS};
    for (int layer = 0; rest && layer < NET_LAYERS; layer++) {
        const char *name = t->net.activations[layer].layer;
        if (strlen(name) == (size_t)(rest - text) && strncmp(name, text, strlen(name)) == 0)
            out->layer = layer;
    }
    if (out->layer == NET_LAYERS)
        return complain("--flip: \"%s\" does not begin with a layer; see digits --help", text);
    if (!parse_integer(&out->step, rest + 1, ':', &rest) || !parse_integer(&out->index, rest, ':', &rest) ||
        !parse_integer(&bit, rest, 0, NULL))
        return complain("--flip: \"%s\" is not LAYER:STEP:INDEX:BIT", text);
    if (out->step < 1 || out->step > t->steps)
        return complain("--flip: step %lld; this training has steps 1 to %lld", (long long)out->step,
                        (long long)t->steps);
    const int64_t first = (out->step - 1) % steps * t->batch, n = count - first < t->batch ? count - first : t->batch;
    const int64_t size = n * t->net.activations[out->layer].size;
    if (out->index < 0 || out->index >= size)
        return complain("--flip: element %lld; that output has elements 0 to %lld", (long long)out->index,
                        (long long)(size - 1));
    if (bit < 0 || bit > 31)
        return complain("--flip: bit %lld; an f32 has bits 0 to 31", (long long)bit);
    out->bit = (int)bit;
    return true;
}

static void flip_bit(float *value, int bit)
{
    uint32_t bits;
    memcpy(&bits, value, sizeof bits);
    bits ^= UINT32_C(1) << bit;
    memcpy(value, &bits, sizeof bits);
}

static bool training_new(trainer *t, int64_t batch, const settings *options)
{
    const dataset *data = &t->data;
    const size_t tested = (size_t)data->test.count;
    const float rate = options->rate > 0 ? options->rate : optimizer_default_rate(options->optimizer);
    t->batch = batch;
    t->steps = options->epochs * ((data->train.count + batch - 1) / batch);
    t->shift = options->shift;
    t->rate = rate;
    t->order = calloc((size_t)data->train.count, sizeof *t->order);
    t->images = calloc((size_t)(batch * data->height * data->width), sizeof *t->images);
    t->labels = calloc((size_t)batch, sizeof *t->labels);
    t->predictions = calloc((size_t)batch, sizeof *t->predictions);
    t->result.predictions = calloc(tested, sizeof *t->result.predictions);
    t->result.probabilities = calloc(tested * (size_t)data->classes, sizeof *t->result.probabilities);
    t->result.losses = calloc(tested, sizeof *t->result.losses);
    return t->order && t->images && t->labels && t->predictions && t->result.predictions && t->result.probabilities &&
           t->result.losses && groups_new(&t->groups, &data->test, data->height, data->width) &&
           net_new(&t->net, batch, data->height, data->width, data->classes) &&
           optimizer_new(&t->optimizer, options->optimizer, rate, &t->net);
}

static void training_free(trainer *t)
{
    optimizer_free(&t->optimizer);
    net_free(&t->net);
    data_free(&t->data);
    free(t->order);
    free(t->images);
    free(t->labels);
    free(t->predictions);
    free(t->result.predictions);
    free(t->result.probabilities);
    free(t->result.losses);
    groups_free(&t->groups);
}

static bool forward(trainer *t, vr_run *run)
{
    for (int layer = 0; layer < NET_LAYERS; layer++) {
        if (net_forward(&t->net, layer) != VR_OK)
            return complain("%s", vr_error());
        if (t->flip.text && t->flip.layer == (net_layer)layer && t->flip.step == t->step)
            flip_bit(&t->net.activations[layer].out[t->flip.index], t->flip.bit);
        record_forward(run, &t->net, layer);
    }
    return true;
}

static bool backward(trainer *t, vr_run *run)
{
    for (int layer = NET_DENSE2; layer >= 0; layer--) {
        if (net_backward(&t->net, layer) != VR_OK)
            return complain("%s", vr_error());
        record_backward(run, &t->net, layer);
        for (int p = 0; p < NET_PARAMETERS; p++)
            if (t->net.parameters[p].layer == (net_layer)layer) {
                if (net_gradient(&t->net, p) != VR_OK)
                    return complain("%s", vr_error());
                record_gradient(run, &t->net, p);
            }
    }
    return true;
}

static void update(trainer *t, vr_run *run)
{
    t->optimizer.rate = t->rate * (float)(t->steps - t->step + 1) / (float)t->steps;
    record_rate(run, &t->optimizer);
    optimizer_step(&t->optimizer);
    for (int p = 0; p < NET_PARAMETERS; p++) {
        optimizer_update(&t->optimizer, &t->net, p);
        record_update(run, &t->net, &t->optimizer, p);
    }
}

static int64_t count_equal(const int32_t *a, const int32_t *b, int64_t n)
{
    int64_t equal = 0;
    for (int64_t i = 0; i < n; i++)
        equal += a[i] == b[i];
    return equal;
}

/* One step on samples order[first .. first + n - 1]. The batch's summed loss and hits are added to the two sums. */
static bool train_step(trainer *t, vr_run *run, int64_t first, int64_t n, double *loss_sum, int64_t *hits)
{
    vr_mark(run);
    data_gather(t->images, t->labels, &t->data, &t->data.train, t->order + first, n);
    if (t->shift > 0)
        data_shift(t->images, &t->data, n, t->shift, t->shift_key, (uint64_t)t->step);
    net_input(&t->net, t->images, t->labels, n);
    record_batch(run, &t->net, t->shift > 0);

    if (!forward(t, run))
        return false;
    const double loss = net_loss(&t->net);
    record_loss(run, loss);
    net_predict(&t->net, t->predictions);
    *loss_sum += loss * (double)n;
    *hits += count_equal(t->predictions, t->labels, n);

    vr_mark(run);
    if (!backward(t, run))
        return false;
    update(t, run);
    return true;
}

static double mean(const double *values, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += values[i];
    return sum / (double)n;
}

/* The network's results on the test set, whose forward pass is recorded by them alone. */
static bool test(trainer *t, vr_run *run)
{
    const sample_set *set = &t->data.test;
    test_result *result = &t->result;
    const int64_t pixels = t->data.height * t->data.width, classes = t->data.classes;
    vr_mark(run);
    for (int64_t first = 0; first < set->count; first += t->batch) {
        const int64_t n = set->count - first < t->batch ? set->count - first : t->batch;
        net_input(&t->net, set->images + first * pixels, NULL, n);
        for (int layer = 0; layer <= NET_SOFTMAX; layer++)
            if (net_forward(&t->net, layer) != VR_OK)
                return complain("%s", vr_error());
        net_predict(&t->net, result->predictions + first);
        net_sample_losses(&t->net, set->labels + first, result->losses + first);
        memcpy(result->probabilities + first * classes, t->net.activations[NET_SOFTMAX].out,
               (size_t)(n * classes) * sizeof *result->probabilities);
    }
    result->loss = mean(result->losses, set->count);
    result->accuracy = (double)count_equal(result->predictions, set->labels, set->count) / (double)set->count;
    record_test(run, &t->net, set, &t->groups, result);
    return true;
}

static bool train_epoch(trainer *t, vr_run *run, uint32_t epoch, epoch_result *result)
{
    const int64_t count = t->data.train.count;
    double loss_sum = 0;
    int64_t hits = 0;
    vr_run_order(run, epoch, (size_t)count, t->order);
    for (int64_t first = 0; first < count; first += t->batch) {
        t->step++;
        vr_run_step(run, epoch);
        if (!train_step(t, run, first, count - first < t->batch ? count - first : t->batch, &loss_sum, &hits))
            return false;
    }
    result->loss = loss_sum / (double)count;
    result->train_accuracy = (double)hits / (double)count;
    if (!test(t, run))
        return false;
    result->test_accuracy = t->result.accuracy;
    return true;
}

static bool train(trainer *t, vr_run *run, const settings *options)
{
#ifndef DIGITS_PLAIN /* there the compiler decides how sums are rounded */
    t->net.math = &t->math;
#endif
    if (t->flip.text)
        vr_run_note(run, "flip", t->flip.text);
    if (t->shift > 0)
        t->shift_key = vr_run_seed(run, "shift");
    net_init(&t->net, vr_run_seed(run, "init"));
    record_setup(run, &t->net, &t->optimizer);
    for (uint32_t epoch = 0; epoch < options->epochs; epoch++) {
        const double start = omp_get_wtime();
        epoch_result result = {0};
        if (!train_epoch(t, run, epoch, &result))
            return false;
        if (!options->quiet) {
            printf("epoch %2u  loss %.4f  train %6.2f %%  test %6.2f %%  %.2f s\n", epoch + 1, result.loss,
                   100 * result.train_accuracy, 100 * result.test_accuracy, omp_get_wtime() - start);
            fflush(stdout);
        }
    }
    record_final(run, &t->net);
    return true;
}

/* Trains under a run. A trace that fails is said and does not stop the training; a malformed VR_ variable does. */
static int run_training(trainer *t, const settings *options)
{
    vr_run *run;
    vr_status opened = vr_run_open(&run, NULL);
    if (opened != VR_OK)
        complain("%s", vr_error());
    if (opened != VR_ERROR_ARGUMENT && vr_math_read(&t->math, run) != VR_OK) {
        complain("%s", vr_error());
        opened = VR_ERROR_ARGUMENT;
    }
    if (opened == VR_ERROR_ARGUMENT || !run) {
        vr_run_close(run);
        return run ? EXIT_USAGE : EXIT_FAILED;
    }
    const bool trained = train(t, run, options);
    if (vr_run_close(run) != VR_OK)
        complain("%s", vr_error());
    return trained ? EXIT_SUCCESS : EXIT_FAILED;
}

static int prepare_and_run(trainer *t, const settings *options)
{
    char message[DATA_MESSAGE];
    if (!data_load(&t->data, &options->files, message)) {
        complain("%s", message);
        return EXIT_USAGE;
    }
    const int64_t count = t->data.train.count;
    if (!training_new(t, options->batch < count ? options->batch : count, options)) {
        complain("out of memory; a smaller --batch needs less");
        return EXIT_FAILED;
    }
    if (options->flip && !parse_flip(&t->flip, options->flip, t))
        return EXIT_USAGE;
    return run_training(t, options);
}

int main(int argc, char **argv)
{
    settings options;
    bool help = false;
    if (!parse_options(&options, argc, argv, &help)) {
        fputs(help ? usage : "see digits --help\n", help ? stdout : stderr);
        return help ? EXIT_SUCCESS : EXIT_USAGE;
    }
    if (options.threads > 0)
        omp_set_num_threads((int)options.threads);

    trainer training = {0};
    const int status = prepare_and_run(&training, &options);
    training_free(&training);
    return status;
}
