/* classifier.c: networks that tell the class of a noisy picture: the U-Net's way down and its middle, then group norm, silu,
 * the mean over the places, and a linear layer (Dhariwal & Nichol 2021, sec. 4.2, "the downsampling trunk of the U-Net"); and
 * what is asked of any classifier: log p(class | x_t).
 *
 *   log p(y) = z_y - log sum_c exp(z_c) = z_y - m - log sum_c exp(z_c - m),  m = max z, so that nothing overflows, and the
 *   gradient in z is that of the class - softmax(z), exactly.
 *
 * The linear layer does not start at zero, unlike theirs, so that the trunk learns from the first step on.
 */
#include "nn/unet.h"

/* (N,C): means over the places. */
static ebb_value trunk(ebb_graph *g, const ebb_unet_config *c, ebb_value x, ebb_value t)
{
    if (ebb_graph_status(g) != EBB_OK)
        return EBB_NONE;
    ebb_unet u = {.g = g, .c = c, .picture = x, .sum = EBB_NONE};
    ebb_value h = ebb_unet_encode(&u, x, t, EBB_NONE);
    h = ebb_silu(g, ebb_unet_norm(&u, "conv_norm_out", h));
    ebb_free(u.skip);
    if (h == EBB_NONE)
        return EBB_NONE;
    ebb_shape s = ebb_graph_shape(g, h);
    h = ebb_scale(g, ebb_sum(g, h, 1u << 1 | 1u << 2), (float)(1.0 / (double)(s.dim[1] * s.dim[2])));
    return ebb_reshape(g, h, EBB_SHAPE(s.dim[0], s.dim[3]));
}

ebb_value ebb_nn_classifier(ebb_graph *g, const ebb_unet_config *c, int classes, ebb_value x, ebb_value t, ebb_value *features)
{
    if (ebb_graph_status(g) == EBB_OK && classes < 2)
        return ebb_graph_fail(g, EBB_E_ARGUMENT, "classifier of %d classes: there must be two at least", classes);
    ebb_value h = trunk(g, c, x, t);
    if (features != NULL)
        *features = h;
    return ebb_nn_linear(g, "classifier", h, classes, 1.0f);
}

/* (N,C) -> (N,1), by halves that may overlap. */
static ebb_value largest(ebb_graph *g, ebb_value z)
{
    for (int64_t count = ebb_graph_shape(g, z).dim[1], half; count > 1; count = half) {
        half = (count + 1) / 2;
        z = ebb_max(g, ebb_slice(g, z, 1, 0, half), ebb_slice(g, z, 1, count - half, count));
    }
    return z;
}

/* (N,C): 1 at the label, else 0: the step of 1/2 - (c - label)^2. */
static ebb_value one_hot(ebb_graph *g, ebb_value label, int64_t classes)
{
    ebb_value count = ebb_nn_count(g, classes);
    ebb_value number = ebb_gather(g, ebb_reshape(g, count, EBB_SHAPE(classes, 1)), label);
    return ebb_step(g, ebb_affine(g, ebb_square(g, ebb_sub(g, count, number)), -1.0f, 0.5f));
}

static bool fits(ebb_graph *g, ebb_value logits, ebb_value label)
{
    if (ebb_graph_status(g) != EBB_OK || logits == EBB_NONE || label == EBB_NONE)
        return false;
    ebb_shape z = ebb_graph_shape(g, logits), l = ebb_graph_shape(g, label);
    if (z.rank == 2 && l.rank == 1 && z.dim[0] == l.dim[0])
        return true;
    ebb_graph_fail(g, EBB_E_SHAPE, "probability of a class: logits have rank %d and labels %d, not 2 (N,C) and 1 (N)", z.rank, l.rank);
    return false;
}

ebb_value ebb_nn_class_log_probability(ebb_graph *g, ebb_value logits, ebb_value label)
{
    if (!fits(g, logits, label))
        return EBB_NONE;
    ebb_shape s = ebb_graph_shape(g, logits);
    ebb_value top = ebb_stop_gradient(g, largest(g, logits)), z = ebb_sub(g, logits, top);
    ebb_value sum = ebb_sum(g, ebb_exp(g, z), 1u << 1), own = ebb_sum(g, ebb_mul(g, z, one_hot(g, label, s.dim[1])), 1u << 1);
    return ebb_reshape(g, ebb_sub(g, own, ebb_log(g, sum)), EBB_SHAPE(s.dim[0]));
}

ebb_value ebb_nn_class_found(ebb_graph *g, ebb_value logits, ebb_value label)
{
    if (!fits(g, logits, label))
        return EBB_NONE;
    ebb_shape s = ebb_graph_shape(g, logits);
    ebb_value hot = one_hot(g, label, s.dim[1]), own = ebb_sum(g, ebb_mul(g, logits, hot), 1u << 1);
    ebb_value others = largest(g, ebb_sub(g, logits, ebb_scale(g, hot, 1e30f)));
    return ebb_reshape(g, ebb_step(g, ebb_sub(g, own, others)), EBB_SHAPE(s.dim[0]));
}
