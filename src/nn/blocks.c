/* blocks.c: the layers that networks are made of, each a few graph nodes with its parameters.
 *
 * The one idea: a layer is a function from values to a value; its parameters get the graph's scope
 * plus the layer's name, which marks its result, too, and start as PyTorch's do: weights and biases of linear layers and
 * convolutions are drawn from U(-gain/sqrt(fan_in), gain/sqrt(fan_in)).
 */
#include "nn/nn.h"

#include <math.h>
#include <stdio.h>

static ebb_value layer_param(ebb_graph *g, const char *layer, const char *part, ebb_shape shape,
                             ebb_init init, double scale, ebb_layout layout)
{
    char name[128];
    if (snprintf(name, sizeof name, "%s.%s", layer, part) >= (int)sizeof name)
        return ebb_graph_fail(g, EBB_E_ARGUMENT, "layer name \"%.40s...\" is longer than %zu characters",
                              layer, sizeof name);
    return ebb_param(g, name, shape, init, (float)scale, layout);
}

static ebb_value marked(ebb_graph *g, const char *name, ebb_value v)
{
    ebb_mark_value(g, name, v);
    return v;
}

static ebb_value drawn_param(ebb_graph *g, const char *layer, const char *part, ebb_shape shape,
                             int64_t fan_in, float gain, ebb_layout layout)
{
    if (gain == 0.0f)
        return layer_param(g, layer, part, shape, EBB_INIT_ZERO, 0.0, layout);
    return layer_param(g, layer, part, shape, EBB_INIT_UNIFORM, gain / sqrt((double)fan_in), layout);
}

ebb_value ebb_nn_linear(ebb_graph *g, const char *name, ebb_value x, int64_t out, float gain)
{
    if (x == EBB_NONE)
        return EBB_NONE;
    ebb_shape s = ebb_graph_shape(g, x);
    if (s.rank != 2)
        return ebb_graph_fail(g, EBB_E_SHAPE, "linear layer %s: input has rank %d, not 2 (N,K)",
                              name, s.rank);
    int64_t in = s.dim[1];
    ebb_value w = drawn_param(g, name, "weight", EBB_SHAPE(in, out), in, gain, EBB_LAYOUT_LINEAR);
    ebb_value b = drawn_param(g, name, "bias", EBB_SHAPE(out), in, gain, EBB_LAYOUT_PLAIN);
    return marked(g, name, ebb_add(g, ebb_matmul(g, x, w, false, false), b));
}

ebb_value ebb_nn_conv(ebb_graph *g, const char *name, ebb_value x, int64_t out, int kernel, int stride,
                      float gain)
{
    if (x == EBB_NONE)
        return EBB_NONE;
    ebb_shape s = ebb_graph_shape(g, x);
    if (s.rank != 4)
        return ebb_graph_fail(g, EBB_E_SHAPE, "convolution %s: input has rank %d, not 4 (N,H,W,C)",
                              name, s.rank);
    int pad = (kernel - 1) / 2;
    return ebb_nn_conv_to(g, name, x, out, kernel, stride, pad, (s.dim[1] + 2 * pad - kernel) / stride + 1,
                          (s.dim[2] + 2 * pad - kernel) / stride + 1, gain);
}

ebb_value ebb_nn_conv_to(ebb_graph *g, const char *name, ebb_value x, int64_t out, int kernel, int stride, int pad, int64_t oh,
                         int64_t ow, float gain)
{
    if (x == EBB_NONE)
        return EBB_NONE;
    int64_t in = ebb_graph_shape(g, x).dim[3], fan_in = in * kernel * kernel;
    ebb_value w = drawn_param(g, name, "weight", EBB_SHAPE(kernel, kernel, in, out), fan_in, gain,
                              EBB_LAYOUT_CONV);
    ebb_value b = drawn_param(g, name, "bias", EBB_SHAPE(out), fan_in, gain, EBB_LAYOUT_PLAIN);
    return marked(g, name, ebb_add(g, ebb_conv(g, x, w, stride, pad, pad, oh, ow), b));
}

ebb_value ebb_nn_group_norm(ebb_graph *g, const char *name, ebb_value x, int groups, float eps)
{
    if (x == EBB_NONE)
        return EBB_NONE;
    ebb_shape s = ebb_graph_shape(g, x);
    int64_t channels = s.rank > 0 ? s.dim[s.rank - 1] : 0;
    if (groups < 1 || channels < 1 || channels % groups != 0)
        return ebb_graph_fail(g, EBB_E_SHAPE, "group norm %s: %lld channels do not split into %d groups; "
                              "choose fewer groups or widths that are multiples of them",
                              name, (long long)channels, groups);
    ebb_value gamma =
        layer_param(g, name, "weight", EBB_SHAPE(channels), EBB_INIT_ONE, 0.0, EBB_LAYOUT_PLAIN);
    ebb_value beta = layer_param(g, name, "bias", EBB_SHAPE(channels), EBB_INIT_ZERO, 0.0, EBB_LAYOUT_PLAIN);
    return marked(g, name, ebb_group_norm(g, x, gamma, beta, groups, eps));
}

ebb_value ebb_nn_scale_shift_norm(ebb_graph *g, const char *name, ebb_value x, ebb_value modulation, int groups,
                                  float eps)
{
    ebb_value y = ebb_nn_group_norm(g, name, x, groups, eps);
    if (y == EBB_NONE || modulation == EBB_NONE)
        return EBB_NONE;
    ebb_shape s = ebb_graph_shape(g, x), one = s;
    int64_t channels = s.dim[s.rank - 1];
    if (!ebb_shape_equal(ebb_graph_shape(g, modulation), EBB_SHAPE(s.dim[0], 2 * channels)))
        return ebb_graph_fail(g, EBB_E_SHAPE, "norm %s: its scales and shifts must be %lld x %lld numbers", name,
                              (long long)s.dim[0], (long long)(2 * channels));
    for (int i = 1; i < s.rank - 1; i++)
        one.dim[i] = 1;
    ebb_value scale = ebb_reshape(g, ebb_slice(g, modulation, 1, 0, channels), one);
    ebb_value shift = ebb_reshape(g, ebb_slice(g, modulation, 1, channels, 2 * channels), one);
    return ebb_add(g, ebb_mul(g, y, ebb_affine(g, scale, 1, 1)), shift);
}

ebb_value ebb_nn_embedding(ebb_graph *g, const char *name, ebb_value index, int64_t rows, int64_t width)
{
    ebb_value table = layer_param(g, name, "weight", EBB_SHAPE(rows, width), EBB_INIT_NORMAL, 1.0,
                                  EBB_LAYOUT_PLAIN);
    return marked(g, name, ebb_gather(g, table, index));
}

/* Exact in f32. By doubling, since the graph knows no other constants than equal ones: [0..k) and [0..k)+k side by side are
 * [0..2k). */
ebb_value ebb_nn_count(ebb_graph *g, int64_t n)
{
    ebb_value v = ebb_constant(g, EBB_SHAPE(1), 0.0f);
    int64_t have = 1;
    for (; have < n; have *= 2)
        v = ebb_concat(g, v, ebb_affine(g, v, 1.0f, (float)have), 0);
    return have > n ? ebb_slice(g, v, 0, 0, n) : v;
}

ebb_value ebb_nn_time_embedding(ebb_graph *g, ebb_value t, int64_t dim, bool flip_sin_to_cos, float shift)
{
    if (t == EBB_NONE)
        return EBB_NONE;
    int64_t half = dim / 2;
    if (dim < 2 || dim % 2 != 0 || (double)half - shift <= 0.0)
        return ebb_graph_fail(g, EBB_E_ARGUMENT, "time embedding: %lld numbers do not make pairs of sine and "
                              "cosine over a range of frequencies; take an even number of at least 4",
                              (long long)dim);
    ebb_shape s = ebb_graph_shape(g, t);
    if (s.rank != 1)
        return ebb_graph_fail(g, EBB_E_SHAPE, "time embedding: t has rank %d, not 1 (N)", s.rank);
    double rate = -log(10000.0) / ((double)half - shift);
    ebb_value frequency = ebb_exp(g, ebb_scale(g, ebb_nn_count(g, half), (float)rate));
    ebb_value angle = ebb_mul(g, ebb_reshape(g, t, EBB_SHAPE(s.dim[0], 1)), frequency);
    ebb_value sine = ebb_sin(g, angle), cosine = ebb_cos(g, angle);
    return flip_sin_to_cos ? ebb_concat(g, cosine, sine, 1) : ebb_concat(g, sine, cosine, 1);
}

ebb_value ebb_nn_fourier_embedding(ebb_graph *g, ebb_value t, ebb_value frequency)
{
    if (t == EBB_NONE || frequency == EBB_NONE)
        return EBB_NONE;
    ebb_shape s = ebb_graph_shape(g, t), f = ebb_graph_shape(g, frequency);
    if (s.rank != 1 || f.rank != 1)
        return ebb_graph_fail(g, EBB_E_SHAPE, "Fourier embedding: t has rank %d and frequency %d, not 1 and 1", s.rank, f.rank);
    ebb_value turns = ebb_mul(g, ebb_reshape(g, t, EBB_SHAPE(s.dim[0], 1)), frequency);
    ebb_value angle = ebb_scale(g, turns, 6.28318530717958647692f);
    return ebb_concat(g, ebb_sin(g, angle), ebb_cos(g, angle), 1);
}

/* Whether a label is given exactly where there are classes. */
static bool label_fits(ebb_graph *g, ebb_value label, int classes)
{
    if (ebb_graph_status(g) != EBB_OK)
        return false;
    if (classes > 0 && label == EBB_NONE)
        ebb_graph_fail(g, EBB_E_ARGUMENT,
                       "network with %d classes: no label given; give one in [0, %d], where "
                       "%d means \"no class\"",
                       classes, classes, classes);
    else if (classes == 0 && label != EBB_NONE)
        ebb_graph_fail(g, EBB_E_ARGUMENT, "network without classes: label given; set the number of classes");
    return ebb_graph_status(g) == EBB_OK;
}

ebb_value ebb_nn_condition_of(ebb_graph *g, ebb_value features, ebb_value label, int classes, int rows, int64_t width)
{
    if (!label_fits(g, label, classes))
        return EBB_NONE;
    ebb_value e = ebb_silu(g, ebb_nn_linear(g, "time_embedding.linear_1", features, width, 1.0f));
    e = ebb_nn_linear(g, "time_embedding.linear_2", e, width, 1.0f);
    if (classes > 0)
        e = ebb_add(g, e, ebb_nn_embedding(g, "class_embedding", label, rows, width));
    return ebb_silu(g, e);
}

ebb_value ebb_nn_condition(ebb_graph *g, ebb_value t, ebb_value label, int classes, int64_t dim,
                           int64_t width)
{
    return ebb_nn_condition_of(g, ebb_nn_time_embedding(g, t, dim, false, 1.0f), label, classes, classes + 1, width);
}

ebb_value ebb_nn_fourier_condition(ebb_graph *g, ebb_value t, ebb_value label, int classes, int rows, int64_t dim, float scale,
                                   int64_t width)
{
    if (!label_fits(g, label, classes))
        return EBB_NONE;
    ebb_value frequency = ebb_param_fixed(g, "time_proj.weight", EBB_SHAPE(dim), EBB_INIT_NORMAL, scale, EBB_LAYOUT_PLAIN);
    return ebb_nn_condition_of(g, ebb_nn_fourier_embedding(g, t, frequency), label, classes, rows, width);
}
