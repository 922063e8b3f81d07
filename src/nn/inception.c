/* inception.c: Inception-v3 (Szegedy et al. 2016) as distances of pictures use it: features after the last mean over places, and
 * 1008 logits of them.
 *
 * Names, layouts and order of branches are torchvision's, so that its files load as they are. Where the network of the original
 * distance (Heusel et al. 2017) differs from torchvision's, it is that one: means over 3x3 count only what lies in the picture, and
 * the last block takes a maximum in their place. Each convolution is followed by the means and variances that training left
 * (Ioffe & Szegedy 2015), eps 1e-3, and relu:
 *
 *   y = relu(conv(x) s + b - m s),  s = w/sqrt(v + eps)
 *
 * What reaches a maximum is not negative, so that zeros around a picture change none.
 */
#include "nn/nn.h"

enum { CLASSES = 1008 };

typedef struct kernel { int h, w, stride, pad_h, pad_w; } kernel;
static const kernel k1 = {1, 1, 1, 0, 0}, k3 = {3, 3, 1, 1, 1}, k5 = {5, 5, 1, 2, 2}, k3_valid = {3, 3, 1, 0, 0}, k3_half = {3, 3, 2, 0, 0},
                    k1x7 = {1, 7, 1, 0, 3}, k7x1 = {7, 1, 1, 3, 0}, k1x3 = {1, 3, 1, 0, 1}, k3x1 = {3, 1, 1, 1, 0};

/* ---- convolutions -------------------------------------------------------------------------------------------------------------- */

static ebb_value plain(ebb_graph *g, const char *name, int64_t channels, ebb_init init)
{
    return ebb_param(g, name, EBB_SHAPE(channels), init, 1.0f, EBB_LAYOUT_PLAIN);
}

/* Under its scope, "NAME.". */
static ebb_value block(ebb_graph *g, ebb_value x, int64_t out, kernel k)
{
    ebb_shape s = ebb_graph_shape(g, x);
    int64_t h = (s.dim[1] + 2 * k.pad_h - k.h) / k.stride + 1, w = (s.dim[2] + 2 * k.pad_w - k.w) / k.stride + 1;
    ebb_value weight = ebb_param(g, "conv.weight", EBB_SHAPE(k.h, k.w, s.dim[3], out), EBB_INIT_NORMAL, 0.1f, EBB_LAYOUT_CONV);
    ebb_value scale = plain(g, "bn.weight", out, EBB_INIT_ONE), shift = plain(g, "bn.bias", out, EBB_INIT_ZERO);
    ebb_value mean = plain(g, "bn.running_mean", out, EBB_INIT_ZERO), variance = plain(g, "bn.running_var", out, EBB_INIT_ONE);
    ebb_value y = ebb_conv(g, x, weight, k.stride, k.pad_h, k.pad_w, h, w);
    scale = ebb_mul(g, scale, ebb_recip(g, ebb_sqrt(g, ebb_affine(g, variance, 1.0f, 1e-3f))));
    return ebb_relu(g, ebb_add(g, ebb_mul(g, y, scale), ebb_sub(g, shift, ebb_mul(g, mean, scale))));
}

static ebb_value conv(ebb_graph *g, const char *name, ebb_value x, int64_t out, kernel k)
{
    if (x == EBB_NONE || ebb_graph_status(g) != EBB_OK)
        return EBB_NONE;
    size_t scope = ebb_scope_push(g, "%s.", name);
    x = block(g, x, out, k);
    ebb_scope_pop(g, scope);
    return x;
}

static ebb_value concat(ebb_graph *g, const ebb_value *parts, int count)
{
    ebb_value all = parts[0];
    for (int i = 1; i < count; i++)
        all = ebb_concat(g, all, parts[i], 3);
    return all;
}

/* ---- pools ------------------------------------------------------------------------------------------------------------------------ */

typedef ebb_value (*both)(ebb_graph *g, ebb_value a, ebb_value b);

/* Of three neighbours along an axis, zeros beyond the ends. */
static ebb_value of_three(ebb_graph *g, ebb_value x, int axis, both f)
{
    if (x == EBB_NONE)
        return EBB_NONE;
    int64_t size = ebb_graph_shape(g, x).dim[axis];
    ebb_value wide = ebb_pad(g, x, axis, 1, 1);
    return f(g, f(g, ebb_slice(g, wide, axis, 0, size), x), ebb_slice(g, wide, axis, 2, size + 2));
}

static ebb_value mean_along(ebb_graph *g, ebb_value x, int axis)
{
    ebb_shape ones = EBB_SHAPE(1, 1, 1, 1);
    if (x == EBB_NONE)
        return EBB_NONE;
    ones.dim[axis] = ebb_graph_shape(g, x).dim[axis];
    ebb_value count = of_three(g, ebb_constant(g, ones, 1.0f), axis, ebb_add);
    return ebb_mul(g, of_three(g, x, axis, ebb_add), ebb_recip(g, count));
}

/* 3x3, stride 1, of what lies within the picture. */
static ebb_value mean_pool(ebb_graph *g, ebb_value x)
{
    return mean_along(g, mean_along(g, x, 1), 2);
}

static ebb_value max_pool(ebb_graph *g, ebb_value x)
{
    return of_three(g, of_three(g, x, 1, ebb_max), 2, ebb_max);
}

/* Of x[2i], x[2i+1], x[2i+2] along axis 1 of (A,S,B,C): pairs lie side by side. */
static ebb_value half_along(ebb_graph *g, ebb_value x)
{
    if (x == EBB_NONE)
        return EBB_NONE;
    ebb_shape s = ebb_graph_shape(g, x);
    int64_t size = (s.dim[1] - 3) / 2 + 1, pairs = (s.dim[1] + 1) / 2, row = s.dim[2] * s.dim[3];
    x = ebb_reshape(g, ebb_pad(g, x, 1, 0, s.dim[1] % 2), EBB_SHAPE(s.dim[0], pairs, 2, row));
    ebb_value even = ebb_slice(g, x, 2, 0, 1), odd = ebb_slice(g, x, 2, 1, 2);
    ebb_value most = ebb_max(g, ebb_slice(g, even, 1, 0, size), ebb_slice(g, odd, 1, 0, size));
    return ebb_reshape(g, ebb_max(g, most, ebb_slice(g, even, 1, 1, size + 1)), EBB_SHAPE(s.dim[0], size, s.dim[2], s.dim[3]));
}

/* 3x3, stride 2, within the picture: down, then along the rows, (N,H,W,C) as (N H,W,1,C). */
static ebb_value max_pool_half(ebb_graph *g, ebb_value x)
{
    x = half_along(g, x);
    if (x == EBB_NONE)
        return EBB_NONE;
    ebb_shape s = ebb_graph_shape(g, x);
    x = half_along(g, ebb_reshape(g, x, EBB_SHAPE(s.dim[0] * s.dim[1], s.dim[2], 1, s.dim[3])));
    return x == EBB_NONE ? x : ebb_reshape(g, x, EBB_SHAPE(s.dim[0], s.dim[1], (s.dim[2] - 3) / 2 + 1, s.dim[3]));
}

/* ---- blocks, by torchvision's letters ---------------------------------------------------------------------------------------------- */

static ebb_value block_a(ebb_graph *g, ebb_value x, int64_t pool)
{
    ebb_value one = conv(g, "branch1x1", x, 64, k1), five = conv(g, "branch5x5_2", conv(g, "branch5x5_1", x, 48, k1), 64, k5);
    ebb_value three = conv(g, "branch3x3dbl_2", conv(g, "branch3x3dbl_1", x, 64, k1), 96, k3);
    three = conv(g, "branch3x3dbl_3", three, 96, k3);
    return concat(g, (ebb_value[]){one, five, three, conv(g, "branch_pool", mean_pool(g, x), pool, k1)}, 4);
}

static ebb_value block_b(ebb_graph *g, ebb_value x)
{
    ebb_value one = conv(g, "branch3x3", x, 384, k3_half), two = conv(g, "branch3x3dbl_2", conv(g, "branch3x3dbl_1", x, 64, k1), 96, k3);
    return concat(g, (ebb_value[]){one, conv(g, "branch3x3dbl_3", two, 96, k3_half), max_pool_half(g, x)}, 3);
}

static ebb_value block_c(ebb_graph *g, ebb_value x, int64_t width)
{
    ebb_value one = conv(g, "branch1x1", x, 192, k1), two = conv(g, "branch7x7_1", x, width, k1);
    two = conv(g, "branch7x7_3", conv(g, "branch7x7_2", two, width, k1x7), 192, k7x1);
    ebb_value four = conv(g, "branch7x7dbl_2", conv(g, "branch7x7dbl_1", x, width, k1), width, k7x1);
    four = conv(g, "branch7x7dbl_4", conv(g, "branch7x7dbl_3", four, width, k1x7), width, k7x1);
    four = conv(g, "branch7x7dbl_5", four, 192, k1x7);
    return concat(g, (ebb_value[]){one, two, four, conv(g, "branch_pool", mean_pool(g, x), 192, k1)}, 4);
}

static ebb_value block_d(ebb_graph *g, ebb_value x)
{
    ebb_value one = conv(g, "branch3x3_2", conv(g, "branch3x3_1", x, 192, k1), 320, k3_half);
    ebb_value two = conv(g, "branch7x7x3_2", conv(g, "branch7x7x3_1", x, 192, k1), 192, k1x7);
    two = conv(g, "branch7x7x3_4", conv(g, "branch7x7x3_3", two, 192, k7x1), 192, k3_half);
    return concat(g, (ebb_value[]){one, two, max_pool_half(g, x)}, 3);
}

static ebb_value block_e(ebb_graph *g, ebb_value x, bool last)
{
    ebb_value one = conv(g, "branch1x1", x, 320, k1), two = conv(g, "branch3x3_1", x, 384, k1);
    ebb_value three = conv(g, "branch3x3dbl_2", conv(g, "branch3x3dbl_1", x, 448, k1), 384, k3), pool = last ? max_pool(g, x) : mean_pool(g, x);
    ebb_value parts[6] = {one, conv(g, "branch3x3_2a", two, 384, k1x3), conv(g, "branch3x3_2b", two, 384, k3x1),
                          conv(g, "branch3x3dbl_3a", three, 384, k1x3), conv(g, "branch3x3dbl_3b", three, 384, k3x1),
                          conv(g, "branch_pool", pool, 192, k1)};
    return concat(g, parts, 6);
}

/* ---- the network ---------------------------------------------------------------------------------------------------------------------- */

static ebb_value stem(ebb_graph *g, ebb_value x)
{
    x = conv(g, "Conv2d_1a_3x3", x, 32, k3_half);
    x = conv(g, "Conv2d_2b_3x3", conv(g, "Conv2d_2a_3x3", x, 32, k3_valid), 64, k3);
    x = conv(g, "Conv2d_3b_1x1", max_pool_half(g, x), 80, k1);
    return max_pool_half(g, conv(g, "Conv2d_4a_3x3", x, 192, k3_valid));
}

static const struct { const char *name; char kind; int64_t width; } mixed[] = {
    {"Mixed_5b.", 'a', 32}, {"Mixed_5c.", 'a', 64}, {"Mixed_5d.", 'a', 64}, {"Mixed_6a.", 'b', 0}, {"Mixed_6b.", 'c', 128},
    {"Mixed_6c.", 'c', 160}, {"Mixed_6d.", 'c', 160}, {"Mixed_6e.", 'c', 192}, {"Mixed_7a.", 'd', 0}, {"Mixed_7b.", 'e', 0},
    {"Mixed_7c.", 'e', 1}};

ebb_value ebb_nn_inception(ebb_graph *g, ebb_value x, ebb_value *features)
{
    ebb_shape s = ebb_graph_shape(g, x);
    if (s.rank != 4 || s.dim[3] != 3 || s.dim[1] < EBB_INCEPTION_LEAST || s.dim[2] < EBB_INCEPTION_LEAST)
        return ebb_graph_fail(g, EBB_E_SHAPE, "Inception-v3: pictures (N,H,W,3) of at least %d x %d", EBB_INCEPTION_LEAST, EBB_INCEPTION_LEAST);
    x = stem(g, x);
    for (size_t i = 0; i < sizeof mixed / sizeof *mixed; i++) {
        size_t scope = ebb_scope_push(g, "%s", mixed[i].name);
        switch (mixed[i].kind) {
        case 'a': x = block_a(g, x, mixed[i].width); break;
        case 'b': x = block_b(g, x); break;
        case 'c': x = block_c(g, x, mixed[i].width); break;
        case 'd': x = block_d(g, x); break;
        default: x = block_e(g, x, mixed[i].width == 1); break;
        }
        ebb_scope_pop(g, scope);
    }
    if (x == EBB_NONE)
        return EBB_NONE;
    s = ebb_graph_shape(g, x);
    x = ebb_scale(g, ebb_sum(g, x, 1u << 1 | 1u << 2), (float)(1.0 / (double)(s.dim[1] * s.dim[2])));
    *features = ebb_reshape(g, x, EBB_SHAPE(s.dim[0], s.dim[3]));
    return ebb_nn_linear(g, "fc", *features, CLASSES, 1.0f);
}
