/* build.c: the builders: one function an operation, so that networks read like mathematics.
 *
 * They insert broadcasts (NumPy's rule) and leave out what does nothing: a scale by one, a reshape to the
 * same shape. Constants pass through scaling and stretching, which keeps derivatives free of clutter.
 * Checks live in infer.c.
 */
#include <math.h>

#include "graph/rules.h"

static bool is_constant(const ebb_graph *g, ebb_value x)
{
    const ebb_node *n = ebb_graph_node(g, x);
    return n && n->op == EBB_OP_constant;
}

static bool same_shape(const ebb_graph *g, ebb_value x, ebb_shape s)
{
    return ebb_graph_node(g, x) && ebb_shape_equal(ebb_graph_shape(g, x), s);
}

static ebb_value add1(ebb_graph *g, ebb_op op, ebb_value x)
{
    return ebb_graph_add(g, (ebb_node){ .op = op, .nin = 1, .in = { x } });
}

static ebb_value add2(ebb_graph *g, ebb_op op, ebb_value a, ebb_value b)
{
    return ebb_graph_add(g, (ebb_node){ .op = op, .nin = 2, .in = { a, b } });
}

ebb_value ebb_constant(ebb_graph *g, ebb_shape shape, float value)
{
    return ebb_graph_add(g, (ebb_node){ .op = EBB_OP_constant, .type = EBB_F32, .shape = shape,
                                        .attr.alpha = value });
}

/* ---- pointwise --------------------------------------------------------------------------- */

ebb_value ebb_affine(ebb_graph *g, ebb_value x, float alpha, float beta)
{
    if (alpha == 1 && beta == 0)
        return x;
    if (is_constant(g, x))
        return ebb_constant(g, ebb_graph_shape(g, x), fmaf(alpha, g->node[x].attr.alpha, beta));
    return ebb_graph_add(g, (ebb_node){ .op = EBB_OP_affine, .nin = 1, .in = { x },
                                        .attr = { .alpha = alpha, .beta = beta } });
}

ebb_value ebb_scale(ebb_graph *g, ebb_value x, float alpha)
{
    return ebb_affine(g, x, alpha, 0);
}

ebb_value ebb_neg(ebb_graph *g, ebb_value x)
{
    return ebb_affine(g, x, -1, 0);
}

ebb_value ebb_square(ebb_graph *g, ebb_value x)
{
    return add2(g, EBB_OP_mul, x, x);
}

#define UNARY(name)                                     \
    ebb_value ebb_##name(ebb_graph *g, ebb_value x)     \
    {                                                   \
        return add1(g, EBB_OP_##name, x);               \
    }
UNARY(recip)
UNARY(exp)
UNARY(log)
UNARY(sqrt)
UNARY(sin)
UNARY(cos)
UNARY(tanh)
UNARY(sigmoid)
UNARY(silu)
UNARY(step)

static ebb_value binary(ebb_graph *g, ebb_op op, ebb_value a, ebb_value b)
{
    ebb_shape s;
    if (ebb_graph_node(g, a) && ebb_graph_node(g, b) &&
        ebb_shape_broadcast(ebb_graph_shape(g, a), ebb_graph_shape(g, b), &s)) {
        a = ebb_broadcast(g, a, s);
        b = ebb_broadcast(g, b, s);
    }
    return add2(g, op, a, b);
}

#define BINARY(name)                                              \
    ebb_value ebb_##name(ebb_graph *g, ebb_value a, ebb_value b)  \
    {                                                             \
        return binary(g, EBB_OP_##name, a, b);                    \
    }
BINARY(add)
BINARY(sub)
BINARY(div)
BINARY(max)
BINARY(min)

ebb_value ebb_mul(ebb_graph *g, ebb_value a, ebb_value b)
{
    ebb_shape s;
    bool fits = ebb_shape_broadcast(ebb_graph_shape(g, a), ebb_graph_shape(g, b), &s);
    if (fits && is_constant(g, b) && same_shape(g, a, s))
        return ebb_scale(g, a, g->node[b].attr.alpha);
    if (fits && is_constant(g, a) && same_shape(g, b, s))
        return ebb_scale(g, b, g->node[a].attr.alpha);
    return binary(g, EBB_OP_mul, a, b);
}

ebb_value ebb_relu(ebb_graph *g, ebb_value x)
{
    return ebb_max(g, x, ebb_constant(g, EBB_SCALAR, 0));
}

/* ---- sums and shapes --------------------------------------------------------------------- */

ebb_value ebb_sum(ebb_graph *g, ebb_value x, uint32_t axes)
{
    ebb_shape s = ebb_graph_shape(g, x);
    for (int i = 0; i < s.rank; i++)
        if (s.dim[i] == 1)
            axes &= ~(1u << i);
    if (axes == 0)
        return x;
    return ebb_graph_add(g, (ebb_node){ .op = EBB_OP_sum, .nin = 1, .in = { x }, .attr.axes = axes });
}

ebb_value ebb_sum_all(ebb_graph *g, ebb_value x)
{
    uint32_t all = (1u << ebb_graph_shape(g, x).rank) - 1;
    return ebb_reshape(g, ebb_sum(g, x, all), EBB_SCALAR);
}

ebb_value ebb_mean_all(ebb_graph *g, ebb_value x)
{
    double count = (double)ebb_shape_count(ebb_graph_shape(g, x));
    return ebb_scale(g, ebb_sum_all(g, x), (float)(1 / count));
}

ebb_value ebb_broadcast(ebb_graph *g, ebb_value x, ebb_shape shape)
{
    if (same_shape(g, x, shape))
        return x;
    ebb_shape s;
    if (is_constant(g, x) && ebb_shape_broadcast(ebb_graph_shape(g, x), shape, &s) &&
        ebb_shape_equal(s, shape))
        return ebb_constant(g, shape, g->node[x].attr.alpha);
    return ebb_graph_add(g, (ebb_node){ .op = EBB_OP_broadcast, .shape = shape, .nin = 1, .in = { x } });
}

ebb_value ebb_reshape(ebb_graph *g, ebb_value x, ebb_shape shape)
{
    if (same_shape(g, x, shape))
        return x;
    return ebb_graph_add(g, (ebb_node){ .op = EBB_OP_reshape, .shape = shape, .nin = 1, .in = { x } });
}

ebb_value ebb_transpose(ebb_graph *g, ebb_value x, const int *perm)
{
    ebb_node n = { .op = EBB_OP_transpose, .nin = 1, .in = { x } };
    int rank = ebb_graph_shape(g, x).rank;
    bool moves = !ebb_graph_node(g, x);
    for (int i = 0; i < rank; i++) {
        n.attr.perm[i] = perm[i];
        moves |= perm[i] != i;
    }
    return moves ? ebb_graph_add(g, n) : x;
}

ebb_value ebb_slice(ebb_graph *g, ebb_value x, int axis, int64_t begin, int64_t end)
{
    ebb_shape s = ebb_graph_shape(g, x);
    if (axis >= 0 && axis < s.rank && begin == 0 && end == s.dim[axis])
        return x;
    return ebb_graph_add(g, (ebb_node){ .op = EBB_OP_slice, .nin = 1, .in = { x },
                                        .attr = { .axis = axis, .begin = begin, .end = end } });
}

ebb_value ebb_pad(ebb_graph *g, ebb_value x, int axis, int64_t before, int64_t after)
{
    if (axis >= 0 && axis < ebb_graph_shape(g, x).rank && before == 0 && after == 0)
        return x;
    return ebb_graph_add(g, (ebb_node){ .op = EBB_OP_pad, .nin = 1, .in = { x },
                                        .attr = { .axis = axis, .begin = before, .end = after } });
}

ebb_value ebb_concat(ebb_graph *g, ebb_value a, ebb_value b, int axis)
{
    return ebb_graph_add(g, (ebb_node){ .op = EBB_OP_concat, .nin = 2, .in = { a, b }, .attr.axis = axis });
}

/* ---- products and pictures --------------------------------------------------------------- */

ebb_value ebb_matmul(ebb_graph *g, ebb_value a, ebb_value b, bool ta, bool tb)
{
    return ebb_graph_add(g, (ebb_node){ .op = EBB_OP_matmul, .nin = 2, .in = { a, b },
                                        .attr = { .ta = ta, .tb = tb } });
}

static ebb_value trio(ebb_graph *g, ebb_op op, ebb_value a, ebb_value b, ebb_attr attr)
{
    return ebb_graph_add(g, (ebb_node){ .op = op, .nin = 2, .in = { a, b }, .attr = attr });
}

ebb_value ebb_conv(ebb_graph *g, ebb_value x, ebb_value w, int stride, int pad_top, int pad_left, int64_t oh,
                   int64_t ow)
{
    return trio(g, EBB_OP_conv, x, w,
                (ebb_attr){ .stride = stride, .pad_top = pad_top, .pad_left = pad_left, .h = oh, .w = ow });
}

ebb_value ebb_conv_dx(ebb_graph *g, ebb_value dy, ebb_value w, int stride, int pad_top, int pad_left,
                      int64_t h, int64_t w_)
{
    return trio(g, EBB_OP_conv_dx, dy, w,
                (ebb_attr){ .stride = stride, .pad_top = pad_top, .pad_left = pad_left, .h = h, .w = w_ });
}

ebb_value ebb_conv_dw(ebb_graph *g, ebb_value x, ebb_value dy, int stride, int pad_top, int pad_left, int kh,
                      int kw)
{
    return trio(g, EBB_OP_conv_dw, x, dy,
                (ebb_attr){ .stride = stride, .pad_top = pad_top, .pad_left = pad_left, .kh = kh, .kw = kw });
}

UNARY(up2)
UNARY(down2)

/* ---- the rest ---------------------------------------------------------------------------- */

ebb_value ebb_group_norm(ebb_graph *g, ebb_value x, ebb_value gamma, ebb_value beta, int groups, float eps)
{
    return ebb_graph_add(g, (ebb_node){ .op = EBB_OP_group_norm, .nin = 3, .in = { x, gamma, beta },
                                        .attr = { .groups = groups, .alpha = eps } });
}

ebb_value ebb_group_norm_vjp(ebb_graph *g, ebb_value x, ebb_value gamma, ebb_value beta, ebb_value dy,
                             int groups, float eps)
{
    return ebb_graph_add(g, (ebb_node){ .op = EBB_OP_group_norm_vjp, .nin = 4, .in = { x, gamma, beta, dy },
                                        .attr = { .groups = groups, .alpha = eps } });
}

ebb_value ebb_softmax(ebb_graph *g, ebb_value x, float scale)
{
    return ebb_graph_add(g, (ebb_node){ .op = EBB_OP_softmax, .nin = 1, .in = { x }, .attr.alpha = scale });
}

ebb_value ebb_softmax_vjp(ebb_graph *g, ebb_value y, ebb_value dy, float scale)
{
    return ebb_graph_add(g, (ebb_node){ .op = EBB_OP_softmax_vjp, .nin = 2, .in = { y, dy },
                                        .attr.alpha = scale });
}

ebb_value ebb_silu_vjp(ebb_graph *g, ebb_value x, ebb_value dy)
{
    return add2(g, EBB_OP_silu_vjp, x, dy);
}

ebb_value ebb_attention(ebb_graph *g, ebb_value q, ebb_value k, ebb_value v, float scale)
{
    return ebb_graph_add(g, (ebb_node){ .op = EBB_OP_attention, .nin = 3, .in = { q, k, v },
                                        .attr.alpha = scale });
}

ebb_value ebb_attention_vjp(ebb_graph *g, ebb_value q, ebb_value k, ebb_value v, ebb_value dy, float scale)
{
    return ebb_graph_add(g, (ebb_node){ .op = EBB_OP_attention_vjp, .nin = 4, .in = { q, k, v, dy },
                                        .attr.alpha = scale });
}

ebb_value ebb_gather(ebb_graph *g, ebb_value table, ebb_value index)
{
    return add2(g, EBB_OP_gather, table, index);
}

ebb_value ebb_scatter_add(ebb_graph *g, ebb_value index, ebb_value src, int rows)
{
    return ebb_graph_add(g, (ebb_node){ .op = EBB_OP_scatter_add, .nin = 2, .in = { index, src },
                                        .attr.rows = rows });
}

UNARY(stop_gradient)

/* Where the normal law has that much below it, by halving: exact to a float. */
static double normal_quantile(double share)
{
    double low = -40, high = 40;
    for (int i = 0; i < 200; i++) {
        double middle = 0.5 * (low + high);
        *(0.5 * erfc(-middle * 0.70710678118654752440) < share ? &low : &high) = middle;
    }
    return low;
}

ebb_value ebb_dropout_mask(ebb_graph *g, ebb_value key, ebb_shape shape, float rate, int layer)
{
    return ebb_graph_add(g, (ebb_node){ .op = EBB_OP_dropout_mask, .shape = shape, .nin = 1, .in = { key },
                                        .attr = { .alpha = rate, .beta = (float)normal_quantile(rate), .index = layer } });
}

ebb_value ebb_part(ebb_graph *g, ebb_value x, int index)
{
    return ebb_graph_add(g, (ebb_node){ .op = EBB_OP_part, .nin = 1, .in = { x }, .attr.index = index });
}
