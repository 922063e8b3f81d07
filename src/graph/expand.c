/* expand.c: adjoint operations written out in ordinary ones.
 *
 * The one idea: a hot adjoint has a fast kernel for the first derivative; for the next it is replaced
 * by this text, which is differentiated like anything else.
 */
#include "graph/rules.h"

/* silu'(x) = s (1 + x (1 - s)), s = sigmoid(x). */
static ebb_value expand_silu_vjp(ebb_graph *g, const ebb_node *n, ebb_value *parts)
{
    (void)parts;
    ebb_value x = n->in[0], s = ebb_sigmoid(g, x);
    ebb_value inner = ebb_affine(g, ebb_mul(g, x, ebb_affine(g, s, -1, 1)), 1, 1);
    return ebb_mul(g, n->in[1], ebb_mul(g, s, inner));
}

/* scale * y * (dy - <y, dy>) along the last axis. */
static ebb_value expand_softmax_vjp(ebb_graph *g, const ebb_node *n, ebb_value *parts)
{
    (void)parts;
    ebb_value y = n->in[0], dy = n->in[1];
    ebb_value inner = ebb_sum(g, ebb_mul(g, y, dy), 1u << (n->shape.rank - 1));
    return ebb_scale(g, ebb_mul(g, y, ebb_sub(g, dy, inner)), n->attr.alpha);
}

/* Mean over the positions and the channels of a group: (N,P,G,K) -> (N,1,G,1). */
static ebb_value group_mean(ebb_graph *g, ebb_value x)
{
    ebb_shape s = ebb_graph_shape(g, x);
    /* Divided, not scaled: 1/count is rounded to f32, and the text should mean exactly the same. */
    return ebb_div(g, ebb_sum(g, x, 1u << 1 | 1u << 3),
                   ebb_constant(g, EBB_SCALAR, (float)(s.dim[1] * s.dim[3])));
}

/* With xhat = (x - mean)/sqrt(var + eps) and d = gamma*dy:
 * dx = (d - mean(d) - xhat*mean(xhat*d)) / sqrt(var + eps), dgamma = sum(dy*xhat), dbeta = sum(dy). */
static ebb_value expand_group_norm_vjp(ebb_graph *g, const ebb_node *n, ebb_value *parts)
{
    int64_t pictures = n->shape.dim[0], channels = n->shape.dim[n->shape.rank - 1], groups = n->attr.groups;
    int64_t positions = ebb_shape_count(n->shape) / (pictures * channels), k = channels / groups;
    ebb_shape s = EBB_SHAPE(pictures, positions, groups, k);
    ebb_value x = ebb_reshape(g, n->in[0], s), dy = ebb_reshape(g, n->in[3], s);
    ebb_value centred = ebb_sub(g, x, group_mean(g, x));
    ebb_value var = group_mean(g, ebb_square(g, centred));
    ebb_value rstd = ebb_recip(g, ebb_sqrt(g, ebb_affine(g, var, 1, n->attr.alpha)));
    ebb_value xhat = ebb_mul(g, centred, rstd);
    ebb_value d = ebb_mul(g, dy, ebb_reshape(g, n->in[1], EBB_SHAPE(groups, k)));
    ebb_value along = ebb_mul(g, xhat, group_mean(g, ebb_mul(g, xhat, d)));
    ebb_value dx = ebb_mul(g, rstd, ebb_sub(g, ebb_sub(g, d, group_mean(g, d)), along));
    parts[1] = ebb_reshape(g, ebb_sum(g, ebb_mul(g, dy, xhat), 1u << 0 | 1u << 1), EBB_SHAPE(channels));
    parts[2] = ebb_reshape(g, ebb_sum(g, dy, 1u << 0 | 1u << 1), EBB_SHAPE(channels));
    return ebb_reshape(g, dx, n->shape);
}

static ebb_value expand_attention_vjp(ebb_graph *g, const ebb_node *n, ebb_value *parts)
{
    return ebb_attention_cotangents(g, n, parts);
}

#define EXPAND_LEAF(name) NULL
#define EXPAND_UNARY(name) NULL
#define EXPAND_BINARY(name) NULL
#define EXPAND_SHAPE(name) NULL
#define EXPAND_LINEAR(name) NULL
#define EXPAND_NONLIN(name) NULL
#define EXPAND_ADJOINT(name) expand_##name
#define EXPAND_STOP(name) NULL
#define EXPAND_FUSED(name) NULL
static ebb_value (*const expand_rule[EBB_OP_COUNT])(ebb_graph *, const ebb_node *, ebb_value *) = {
#define OP(name, inputs, class) [EBB_OP_##name] = EXPAND_##class(name),
#include "graph/ops.def"
#undef OP
};

ebb_value ebb_expand(ebb_graph *g, ebb_value v, ebb_value parts[EBB_PARTS_MAX])
{
    for (int i = 0; i < EBB_PARTS_MAX; i++)
        parts[i] = EBB_NONE;
    if (!ebb_graph_node(g, v) || !expand_rule[g->node[v].op])
        return EBB_NONE;
    ebb_node n = g->node[v]; /* a copy: the array moves while nodes are added */
    return expand_rule[n.op](g, &n, parts);
}
