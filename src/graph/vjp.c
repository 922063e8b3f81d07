/* vjp.c: reverse mode: from the cotangent of y to those of the x.
 *
 * The one idea: one sweep from y down to the x, over the nodes that depend on some x; each node's rule
 * turns its cotangent into a contribution to each input that depends on an x. Adjoint nodes are
 * expanded on the spot and the sweep goes through their text.
 * Griewank & Walther, Evaluating Derivatives (2008), ch. 3.
 */
#include "graph/rules.h"

/* What a rule sees: the node, its cotangent, and the input i whose share is asked for. */
typedef struct pull {
    ebb_graph *g;
    ebb_value v;
    ebb_node n;         /* a copy: the array moves while nodes are added */
    ebb_value dy;
    int i;
    ebb_value shared;   /* made for one input, wanted again for the next; EBB_NONE at first */
} pull;

static ebb_shape in_shape(const pull *p, int i)
{
    return ebb_graph_shape(p->g, p->n.in[i]);
}

/* ---- rules ------------------------------------------------------------------------------- */

static ebb_value vjp_diagonal(pull *p)
{
    return ebb_diagonal(p->g, p->v, p->i, p->dy);
}

static ebb_value vjp_sum(pull *p)
{
    return ebb_broadcast(p->g, p->dy, in_shape(p, 0));
}

static ebb_value vjp_broadcast(pull *p)
{
    ebb_shape x = in_shape(p, 0), y = p->n.shape;
    uint32_t stretched = 0;
    for (int i = 0; i < y.rank; i++) {
        int from = i - (y.rank - x.rank);
        if (from < 0 || x.dim[from] != y.dim[i])
            stretched |= 1u << i;
    }
    return ebb_reshape(p->g, ebb_sum(p->g, p->dy, stretched), x);
}

static ebb_value vjp_reshape(pull *p)
{
    return ebb_reshape(p->g, p->dy, in_shape(p, 0));
}

static ebb_value vjp_transpose(pull *p)
{
    int inverse[EBB_RANK_MAX];
    for (int i = 0; i < p->n.shape.rank; i++)
        inverse[p->n.attr.perm[i]] = i;
    return ebb_transpose(p->g, p->dy, inverse);
}

static ebb_value vjp_slice(pull *p)
{
    const ebb_attr *a = &p->n.attr;
    return ebb_pad(p->g, p->dy, a->axis, a->begin, in_shape(p, 0).dim[a->axis] - a->end);
}

static ebb_value vjp_pad(pull *p)
{
    const ebb_attr *a = &p->n.attr;
    return ebb_slice(p->g, p->dy, a->axis, a->begin, a->begin + in_shape(p, 0).dim[a->axis]);
}

static ebb_value vjp_concat(pull *p)
{
    int axis = p->n.attr.axis;
    int64_t seam = in_shape(p, 0).dim[axis];
    return p->i == 0 ? ebb_slice(p->g, p->dy, axis, 0, seam)
                     : ebb_slice(p->g, p->dy, axis, seam, p->n.shape.dim[axis]);
}

static ebb_value vjp_part(pull *p)
{
    return p->dy;
}

/* y = A B with A = a or a', B = b or b': dA = dy B', dB = A' dy, written so that nothing is moved. */
static ebb_value vjp_matmul(pull *p)
{
    ebb_value a = p->n.in[0], b = p->n.in[1], dy = p->dy;
    bool ta = p->n.attr.ta, tb = p->n.attr.tb;
    if (p->i == 0)
        return ta ? ebb_matmul(p->g, b, dy, tb, true) : ebb_matmul(p->g, dy, b, false, !tb);
    return tb ? ebb_matmul(p->g, dy, a, true, ta) : ebb_matmul(p->g, a, dy, !ta, false);
}

/* The trio is closed: all three are the partial derivatives of <conv(x, w), dy>. */
static ebb_value vjp_conv(pull *p)
{
    const ebb_attr *a = &p->n.attr;
    ebb_value x = p->n.in[0], w = p->n.in[1];
    ebb_shape s = in_shape(p, 0);
    return p->i == 0 ? ebb_conv_dx(p->g, p->dy, w, a->stride, a->pad_top, a->pad_left, s.dim[1], s.dim[2])
                     : ebb_conv_dw(p->g, x, p->dy, a->stride, a->pad_top, a->pad_left, a->kh, a->kw);
}

static ebb_value vjp_conv_dx(pull *p)
{
    const ebb_attr *a = &p->n.attr;
    ebb_value dy = p->n.in[0], w = p->n.in[1], x = p->dy;
    ebb_shape s = in_shape(p, 0);
    return p->i == 0 ? ebb_conv(p->g, x, w, a->stride, a->pad_top, a->pad_left, s.dim[1], s.dim[2])
                     : ebb_conv_dw(p->g, x, dy, a->stride, a->pad_top, a->pad_left, a->kh, a->kw);
}

static ebb_value vjp_conv_dw(pull *p)
{
    const ebb_attr *a = &p->n.attr;
    ebb_value x = p->n.in[0], dy = p->n.in[1], w = p->dy;
    ebb_shape s = in_shape(p, p->i);
    return p->i == 0 ? ebb_conv_dx(p->g, dy, w, a->stride, a->pad_top, a->pad_left, s.dim[1], s.dim[2])
                     : ebb_conv(p->g, x, w, a->stride, a->pad_top, a->pad_left, s.dim[1], s.dim[2]);
}

static ebb_value vjp_up2(pull *p)
{
    return ebb_down2(p->g, p->dy);
}

static ebb_value vjp_down2(pull *p)
{
    return ebb_up2(p->g, p->dy);
}

static ebb_value vjp_group_norm(pull *p)
{
    const ebb_node *n = &p->n;
    if (p->shared == EBB_NONE)
        p->shared = ebb_group_norm_vjp(p->g, n->in[0], n->in[1], n->in[2], p->dy, n->attr.groups,
                                       n->attr.alpha);
    return p->i == 0 ? p->shared : ebb_part(p->g, p->shared, p->i);
}

static ebb_value vjp_softmax(pull *p)
{
    return ebb_softmax_vjp(p->g, p->v, p->dy, p->n.attr.alpha);
}

static ebb_value vjp_attention(pull *p)
{
    const ebb_node *n = &p->n;
    if (p->shared == EBB_NONE)
        p->shared = ebb_attention_vjp(p->g, n->in[0], n->in[1], n->in[2], p->dy, n->attr.alpha);
    return p->i == 0 ? p->shared : ebb_part(p->g, p->shared, p->i);
}

/* The index is an integer: asked for the table or the source only. */
static ebb_value vjp_gather(pull *p)
{
    return ebb_scatter_add(p->g, p->n.in[1], p->dy, (int)in_shape(p, 0).dim[0]);
}

static ebb_value vjp_scatter_add(pull *p)
{
    return ebb_gather(p->g, p->dy, p->n.in[0]);
}

#define VJP_LEAF(name) NULL
#define VJP_UNARY(name) vjp_diagonal
#define VJP_BINARY(name) vjp_diagonal
#define VJP_SHAPE(name) vjp_##name
#define VJP_LINEAR(name) vjp_##name
#define VJP_NONLIN(name) vjp_##name
#define VJP_ADJOINT(name) NULL
#define VJP_STOP(name) NULL
#define VJP_FUSED(name) NULL
static ebb_value (*const vjp_rule[EBB_OP_COUNT])(pull *) = {
#define OP(name, inputs, class) [EBB_OP_##name] = VJP_##class(name),
#include "graph/ops.def"
#undef OP
};

/* ---- the sweep --------------------------------------------------------------------------- */

typedef ebb_derivatives sweep;           /* d: cotangents so far; mark: depends on some x */

/* Spreads dependence upwards from the nodes that are marked, beginning at node `first`. */
static void spread(sweep *s, ebb_value first)
{
    for (ebb_value v = first; v < s->known; v++) {
        const ebb_node *n = &s->g->node[v];
        for (int i = 0; i < n->nin && ebb_op_class_of(n->op) != EBB_CLASS_STOP; i++)
            s->mark[v] |= s->mark[n->in[i]];
    }
}

static void contribute(sweep *s, ebb_value v, int part, ebb_value dy)
{
    if (dy == EBB_NONE)
        return;
    ebb_value before = s->d[v][part];
    s->d[v][part] = before == EBB_NONE ? dy : ebb_add(s->g, before, dy);
}

static void sweep_rule(sweep *s, ebb_value v)
{
    pull p = { .g = s->g, .v = v, .n = s->g->node[v], .dy = s->d[v][0], .shared = EBB_NONE };
    int part = ebb_part_of(&p.n);
    if (!vjp_rule[p.n.op])
        return;
    for (p.i = 0; p.i < p.n.nin; p.i++)
        if (s->mark[p.n.in[p.i]])
            contribute(s, p.n.in[p.i], part, vjp_rule[p.n.op](&p));
}

static void sweep_nodes(sweep *s, ebb_value first, ebb_value end);

static void sweep_expansion(sweep *s, ebb_value v)
{
    ebb_graph *g = s->g;
    ebb_value first = g->count, parts[EBB_PARTS_MAX];
    ebb_value value = ebb_expand(g, v, parts);
    ebb_value end = g->count;
    parts[0] = value;
    ebb_derivatives_cover(s);
    if (g->status != EBB_OK)
        return;
    spread(s, first);
    for (int k = 0; k < EBB_PARTS_MAX; k++)
        if (parts[k] != EBB_NONE && s->mark[parts[k]])
            contribute(s, parts[k], 0, s->d[v][k]);
    sweep_nodes(s, first, end);
}

static void sweep_nodes(sweep *s, ebb_value first, ebb_value end)
{
    ebb_graph *g = s->g;
    for (ebb_value v = end - 1; v >= first && g->status == EBB_OK; v--) {
        bool reached = false;
        for (int k = 0; k < EBB_PARTS_MAX; k++)
            reached |= s->d[v][k] != EBB_NONE;
        if (!reached)
            continue;
        ebb_op op = g->node[v].op;
        if (ebb_op_class_of(op) == EBB_CLASS_FUSED)
            ebb_graph_fail(g, EBB_E_INTERNAL, "vjp: %s is fused; differentiate before planning",
                           ebb_op_name(op));
        else if (ebb_op_class_of(op) == EBB_CLASS_ADJOINT)
            sweep_expansion(s, v);
        else
            sweep_rule(s, v);
    }
}

/* ---- the call ---------------------------------------------------------------------------- */

static bool arguments_valid(ebb_graph *g, ebb_value y, ebb_value seed, const ebb_value *x, int nx)
{
    if (!ebb_graph_node(g, y) || g->node[y].type != EBB_F32)
        ebb_graph_fail(g, EBB_E_ARGUMENT, "vjp: y is no f32 value of this graph");
    else if (seed != EBB_NONE &&
             (!ebb_graph_node(g, seed) || !ebb_shape_equal(g->node[seed].shape, g->node[y].shape)))
        ebb_graph_fail(g, EBB_E_SHAPE, "vjp: the seed must have the shape of y");
    for (int i = 0; i < nx; i++)
        if (!ebb_graph_node(g, x[i]) || g->node[x[i]].type != EBB_F32)
            ebb_graph_fail(g, EBB_E_ARGUMENT, "vjp: x[%d] is no f32 value of this graph", i);
    return g->status == EBB_OK;
}

static void differentiate(sweep *s, ebb_value y, ebb_value seed, const ebb_value *x, int nx)
{
    ebb_graph *g = s->g;
    ebb_derivatives_cover(s);
    if (g->status != EBB_OK)
        return;
    for (int i = 0; i < nx; i++)
        s->mark[x[i]] = 1;
    spread(s, 0);
    if (!s->mark[y])
        return;
    s->d[y][0] = seed != EBB_NONE ? seed : ebb_constant(g, g->node[y].shape, 1);
    sweep_nodes(s, 0, y + 1);
}

ebb_status ebb_vjp(ebb_graph *g, ebb_value y, ebb_value seed, const ebb_value *x, int nx, ebb_value *dx)
{
    sweep s = { .g = g };
    for (int i = 0; i < nx; i++)
        dx[i] = EBB_NONE;
    if (g->status == EBB_OK && arguments_valid(g, y, seed, x, nx))
        differentiate(&s, y, seed, x, nx);
    for (int i = 0; i < nx && g->status == EBB_OK; i++)
        dx[i] = s.d[x[i]][0] != EBB_NONE ? s.d[x[i]][0] : ebb_constant(g, ebb_graph_shape(g, x[i]), 0);
    ebb_derivatives_free(&s);
    return g->status;
}
