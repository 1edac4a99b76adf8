/* varanalyze-kernels - calls every kernel of the library under the modes of the environment, each in a record of its
 * own, whose duration is that of the call:
 *
 *     varanalyze-kernels SIZE STEPS
 *
 * The layers are those of a small network on SIZE times 16 images. 'varanalyze cost --kernels' runs this.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <varanalyze/kernels.h>
#include <varanalyze/random.h>

#define MOST_SIZE  4096
#define MOST_STEPS 100000

#define IMAGES   16 /* times SIZE */
#define SIDE     16 /* of an image, in pixels */
#define CHANNELS 8
#define FILTERS  16
#define FEATURES 256
#define CLASSES  64

/* What kernels read and write; all of it is there before the first is timed. */
typedef struct work {
    int64_t images, pixels; /* pixels: of all images */
    vr_conv2d conv;
    vr_batchnorm norm;
    float *image, *weight, *bias, *out, *grad_weight, *grad_image; /* of the convolution */
    float *mean, *inverse, *gamma, *beta, *grad_gamma, *grad_beta, *normed;
    float *features, *matrix, *logits, *shares; /* [images][FEATURES], [FEATURES][CLASSES], [images][CLASSES] twice */
    float *table;                               /* [CLASSES][FEATURES], that is scattered to */
    int64_t *index;                             /* [images]: rows of it */
} work;

static void give_up(const char *what)
{
    fprintf(stderr, "varanalyze-kernels: %s\n", what);
    exit(2);
}

static void check(vr_status status)
{
    if (status != VR_OK)
        give_up(vr_error());
}

/* Uniform in [-1, 1), of a stream of its own. */
static float *draw(int64_t count, uint64_t stream)
{
    float *out = malloc((size_t)count * sizeof *out);
    vr_random random = vr_random_stream(1, stream);
    if (!out)
        give_up("out of memory: give a smaller size");
    for (int64_t i = 0; i < count; i++)
        out[i] = (float)(2 * vr_random_uniform(&random) - 1);
    return out;
}

static int64_t *draw_rows(int64_t count)
{
    int64_t *out = malloc((size_t)count * sizeof *out);
    vr_random random = vr_random_stream(1, 100);
    if (!out)
        give_up("out of memory: give a smaller size");
    for (int64_t i = 0; i < count; i++)
        out[i] = (int64_t)vr_random_below(&random, CLASSES);
    return out;
}

static work make_work(int64_t size)
{
    const int64_t images = size * IMAGES, pixels = images * SIDE * SIDE, weights = 9 * CHANNELS * FILTERS;
    return (work){
        .images = images,
        .pixels = pixels,
        .conv = {.n = images,
                 .h = SIDE,
                 .w = SIDE,
                 .c = CHANNELS,
                 .k = FILTERS,
                 .kh = 3,
                 .kw = 3,
                 .stride_h = 1,
                 .stride_w = 1,
                 .pad_h = 1,
                 .pad_w = 1,
                 .dilation_h = 1,
                 .dilation_w = 1},
        .norm = {.rows = pixels, .channels = FILTERS, .epsilon = 1e-5, .momentum = 0.1},
        .image = draw(pixels * CHANNELS, 1),
        .weight = draw(weights, 2),
        .bias = draw(FEATURES, 3),
        .out = draw(pixels * FILTERS, 4),
        .grad_weight = draw(weights, 5),
        .grad_image = draw(pixels * CHANNELS, 6),
        .mean = draw(FILTERS, 7),
        .inverse = draw(FILTERS, 8),
        .gamma = draw(FILTERS, 9),
        .beta = draw(FILTERS, 10),
        .grad_gamma = draw(FILTERS, 11),
        .grad_beta = draw(FILTERS, 12),
        .normed = draw(pixels * FILTERS, 13),
        .features = draw(images * FEATURES, 14),
        .matrix = draw(FEATURES * CLASSES, 15),
        .logits = draw(images * CLASSES, 16),
        .shares = draw(images * CLASSES, 17),
        .table = draw(CLASSES * FEATURES, 18),
        .index = draw_rows(images),
    };
}

static void free_work(work *w)
{
    float *all[] = {w->image,  w->weight,   w->bias,   w->out,    w->grad_weight, w->grad_image,
                    w->mean,   w->inverse,  w->gamma,  w->beta,   w->grad_gamma,  w->grad_beta,
                    w->normed, w->features, w->matrix, w->logits, w->shares,      w->table};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free(w->index);
}

/* The record of the call just made; what the record itself takes is not counted. */
static void tell(vr_run *run, vr_phase phase, const char *kernel, float *values, int64_t count)
{
    check(vr_record(run, phase, kernel, "out", VR_TENSOR(VR_F32, values, count), NULL));
    vr_mark(run);
}

static void call_sums(vr_run *run, vr_math *math, work *w)
{
    float sum;
    vr_mark(run);
    check(vr_sum_f32(math, &sum, w->image, w->pixels * CHANNELS));
    tell(run, VR_FORWARD, "sum", &sum, 1);
    check(vr_dot_f32(math, &sum, w->image, w->grad_image, w->pixels * CHANNELS));
    tell(run, VR_FORWARD, "dot", &sum, 1);
    check(vr_sum_rows_f32(math, w->grad_beta, w->out, w->pixels, FILTERS));
    tell(run, VR_GRADIENT, "sum_rows", w->grad_beta, FILTERS);
    check(vr_scatter_add_f32(math, w->table, CLASSES, w->features, w->index, w->images, FEATURES));
    tell(run, VR_FORWARD, "scatter_add", w->table, CLASSES * FEATURES);
}

static void call_conv(vr_run *run, vr_math *math, work *w)
{
    vr_mark(run);
    check(vr_conv2d_forward_f32(math, w->out, w->image, w->weight, w->bias, &w->conv));
    tell(run, VR_FORWARD, "conv2d", w->out, w->pixels * FILTERS);
    check(vr_conv2d_backward_input_f32(math, w->grad_image, w->out, w->weight, &w->conv));
    tell(run, VR_BACKWARD, "conv2d gradient by input", w->grad_image, w->pixels * CHANNELS);
    check(vr_conv2d_backward_weight_f32(math, w->grad_weight, w->image, w->out, &w->conv));
    tell(run, VR_GRADIENT, "conv2d gradient by weight", w->grad_weight, 9 * CHANNELS * FILTERS);
}

static void call_norm(vr_run *run, vr_math *math, work *w)
{
    vr_mark(run);
    check(vr_batchnorm_forward_f32(math, w->normed, w->mean, w->inverse, NULL, NULL, w->out, w->gamma, w->beta,
                                   &w->norm));
    tell(run, VR_FORWARD, "batchnorm", w->normed, w->pixels * FILTERS);
    check(vr_batchnorm_backward_f32(math, w->normed, w->grad_gamma, w->grad_beta, w->out, w->out, w->gamma, w->mean,
                                    w->inverse, &w->norm));
    tell(run, VR_BACKWARD, "batchnorm gradient", w->normed, w->pixels * FILTERS);
}

static void call_dense(vr_run *run, vr_math *math, work *w)
{
    vr_mark(run);
    check(vr_matmul_f32(math, w->logits, w->features, w->matrix, w->bias,
                        (vr_matmul){.m = w->images, .n = CLASSES, .k = FEATURES}));
    tell(run, VR_FORWARD, "matmul", w->logits, w->images * CLASSES);
    check(vr_softmax_f32(math, w->shares, w->logits, w->images, CLASSES));
    tell(run, VR_FORWARD, "softmax", w->shares, w->images * CLASSES);
    check(vr_softmax_backward_f32(math, w->logits, w->shares, w->shares, w->images, CLASSES));
    tell(run, VR_BACKWARD, "softmax gradient", w->logits, w->images * CLASSES);
}

static int64_t parse(const char *text, int64_t most)
{
    char *end;
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    if (errno || end == text || *end || number < 1 || number > most)
        give_up("usage: varanalyze-kernels SIZE STEPS; 'varanalyze cost --kernels' runs it");
    return number;
}

int main(int argc, char **argv)
{
    const int64_t size = parse(argc == 3 ? argv[1] : "", MOST_SIZE),
                  steps = parse(argc == 3 ? argv[2] : "", MOST_STEPS);
    vr_run *run;
    vr_math math;
    check(vr_run_open(&run, NULL));
    check(vr_math_read(&math, run));
    work w = make_work(size);
    for (int64_t step = 0; step < steps; step++) {
        check(vr_run_step(run, 0));
        call_sums(run, &math, &w);
        call_conv(run, &math, &w);
        call_norm(run, &math, &w);
        call_dense(run, &math, &w);
    }
    free_work(&w);
    const vr_status status = vr_run_close(run);
    if (status != VR_OK)
        give_up(vr_error());
    return 0;
}
