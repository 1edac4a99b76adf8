/* perturb.h - noise put into tensors on their way through a record call, for programs whose kernels are not ours. */
#ifndef VR_PERTURB_H
#define VR_PERTURB_H

#include <varanalyze/tensor.h>
#include <varanalyze/trace.h>

typedef enum vr_perturb_kind {
    VR_PERTURB_BIT = 1, /* x +- 2^(e - bit), e = floor(log2|x|) */
    VR_PERTURB_NOISE,   /* x + 2^(e - bits + 1) xi, xi uniform in (-1/2, 1/2) */
    VR_PERTURB_SUM,     /* x as a sum of so many terms, in a random order */
} vr_perturb_kind;

typedef struct vr_perturb_rule {
    vr_phase phase; /* 0: any */
    char *pattern;  /* a glob for the layer, or for "layer/name" */
    vr_perturb_kind kind;
    uint32_t amount;                /* the bit, the bits, or the terms */
    double share;                   /* of the elements, drawn one by one */
    uint64_t first_step, last_step; /* when */
} vr_perturb_rule;

typedef struct vr_perturb {
    vr_perturb_rule *rules;
    size_t count;
} vr_perturb;

/* Reads the rules as capture.h describes them. NULL and "" are none. Fails with VR_ERROR_ARGUMENT or VR_ERROR_MEMORY.
 */
vr_status vr_perturb_parse(vr_perturb *out, const char *text);
void vr_perturb_free(vr_perturb *perturb);

/* The first rule for that tensor, whatever the step; NULL: none. */
const vr_perturb_rule *vr_perturb_choose(const vr_perturb *perturb, vr_phase phase, const char *layer,
                                         const char *name);

/* Whether the rule says so for this step. */
bool vr_perturb_is_due(const vr_perturb_rule *rule, uint64_t step);

/* Changes the tensor's elements where they lie, by random numbers of stream (key, index); `tensor` has been checked.
 * NaN, infinities and zeros stay, and so do integers. Fails with VR_ERROR_UNSUPPORTED where the memory cannot be
 * written, and with VR_ERROR_MEMORY, before anything is. */
vr_status vr_perturb_tensor(const vr_perturb_rule *rule, const vr_tensor *tensor, uint64_t key, uint64_t index);

#endif
