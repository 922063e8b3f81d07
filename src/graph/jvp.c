/* jvp.c: forward mode: from tangents of the x to those of the y.
 *
 * The one idea: one pass upwards over the nodes that lie between the x and the y; each node's rule turns
 * the tangents of its inputs into its own. Adjoint nodes are expanded on the spot and the pass goes
 * through their text. Griewank & Walther, Evaluating Derivatives (2008), ch. 3.
 */
#include "graph/rules.h"

/* What a rule sees: the node and the tangent of each input, EBB_NONE for zero (not all are). */
typedef struct push {
    ebb_graph *g;
    ebb_value v;
    ebb_node n;         /* a copy: the array moves while nodes are added */
    ebb_value t[EBB_INPUTS_MAX];
} push;

/* Sum in which EBB_NONE is zero. */
static ebb_value plus(ebb_graph *g, ebb_value a, ebb_value b)
{
    if (a == EBB_NONE || b == EBB_NONE)
        return a == EBB_NONE ? b : a;
    return ebb_add(g, a, b);
}

/* ---- rules ------------------------------------------------------------------------------- */

static ebb_value jvp_diagonal(const push *p)
{
    ebb_value sum = EBB_NONE;
    for (int i = 0; i < p->n.nin; i++)
        if (p->t[i] != EBB_NONE)
            sum = plus(p->g, sum, ebb_diagonal(p->g, p->v, i, p->t[i]));
    return sum;
}

/* Linear in each input with the others held: the node again, with one input replaced. */
static ebb_value jvp_multilinear(const push *p)
{
    ebb_value sum = EBB_NONE;
    for (int i = 0; i < p->n.nin; i++) {
        ebb_node n = p->n;
        n.in[i] = p->t[i];
        if (n.in[i] != EBB_NONE)
            sum = plus(p->g, sum, ebb_graph_add(p->g, n));
    }
    return sum;
}
#define jvp_sum jvp_multilinear
#define jvp_broadcast jvp_multilinear
#define jvp_reshape jvp_multilinear
#define jvp_transpose jvp_multilinear
#define jvp_slice jvp_multilinear
#define jvp_pad jvp_multilinear
#define jvp_matmul jvp_multilinear
#define jvp_conv jvp_multilinear
#define jvp_conv_dx jvp_multilinear
#define jvp_conv_dw jvp_multilinear
#define jvp_up2 jvp_multilinear
#define jvp_down2 jvp_multilinear
#define jvp_gather jvp_multilinear
#define jvp_scatter_add jvp_multilinear

static ebb_value jvp_concat(const push *p)
{
    ebb_value t[2];
    for (int i = 0; i < 2; i++)
        t[i] = p->t[i] != EBB_NONE ? p->t[i] : ebb_constant(p->g, ebb_graph_shape(p->g, p->n.in[i]), 0);
    return ebb_concat(p->g, t[0], t[1], p->n.attr.axis);
}

static ebb_value jvp_part(const push *p)
{
    return p->t[0];
}

/* The Jacobian of x -> xhat is symmetric, so it is its own adjoint, which has a kernel. */
static ebb_value jvp_group_norm(const push *p)
{
    ebb_graph *g = p->g;
    ebb_value x = p->n.in[0], gamma = p->n.in[1], sum = p->t[2];
    ebb_value ones = ebb_constant(g, ebb_graph_shape(g, gamma), 1);
    ebb_value zeros = ebb_constant(g, ebb_graph_shape(g, gamma), 0);
    if (p->t[0] != EBB_NONE)
        sum = plus(g, sum, ebb_mul(g, gamma, ebb_group_norm_vjp(g, x, ones, zeros, p->t[0], p->n.attr.groups,
                                                                 p->n.attr.alpha)));
    if (p->t[1] != EBB_NONE)
        sum = plus(g, sum, ebb_mul(g, p->t[1], ebb_group_norm(g, x, ones, zeros, p->n.attr.groups,
                                                              p->n.attr.alpha)));
    return ebb_broadcast(g, sum, p->n.shape);
}

/* Symmetric as well. */
static ebb_value jvp_softmax(const push *p)
{
    return ebb_softmax_vjp(p->g, p->v, p->t[0], p->n.attr.alpha);
}

static ebb_value jvp_attention(const push *p)
{
    return ebb_attention_tangent(p->g, &p->n, p->t);
}

#define JVP_LEAF(name) NULL
#define JVP_UNARY(name) jvp_diagonal
#define JVP_BINARY(name) jvp_diagonal
#define JVP_SHAPE(name) jvp_##name
#define JVP_LINEAR(name) jvp_##name
#define JVP_NONLIN(name) jvp_##name
#define JVP_ADJOINT(name) NULL
#define JVP_STOP(name) NULL
#define JVP_FUSED(name) NULL
static ebb_value (*const jvp_rule[EBB_OP_COUNT])(const push *) = {
#define OP(name, inputs, class) [EBB_OP_##name] = JVP_##class(name),
#include "graph/ops.def"
#undef OP
};

/* ---- the pass ---------------------------------------------------------------------------- */

typedef ebb_derivatives pass;            /* d: tangents; mark: bit k, some y depends on part k */

/* Spreads need downwards over the nodes [first, end). */
static void spread(pass *s, ebb_value first, ebb_value end)
{
    for (ebb_value v = end - 1; v >= first; v--) {
        const ebb_node *n = &s->g->node[v];
        for (int i = 0; i < n->nin && s->mark[v]; i++)
            s->mark[n->in[i]] |= (uint8_t)(1u << ebb_part_of(n));
    }
}

static void pass_nodes(pass *s, ebb_value first, ebb_value end);

static void pass_expansion(pass *s, ebb_value v)
{
    ebb_graph *g = s->g;
    ebb_value first = g->count, parts[EBB_PARTS_MAX];
    ebb_value value = ebb_expand(g, v, parts);
    ebb_value end = g->count;
    parts[0] = value;
    ebb_derivatives_cover(s);
    if (g->status != EBB_OK)
        return;
    for (int k = 0; k < EBB_PARTS_MAX; k++)
        if (s->mark[v] >> k & 1)
            s->mark[parts[k]] |= 1;
    spread(s, first, end);
    pass_nodes(s, first, end);
    for (int k = 0; k < EBB_PARTS_MAX && g->status == EBB_OK; k++)
        if (s->mark[v] >> k & 1)
            s->d[v][k] = plus(g, s->d[v][k], s->d[parts[k]][0]);
}

static void pass_rule(pass *s, ebb_value v)
{
    push p = { .g = s->g, .v = v, .n = s->g->node[v] };
    if (!jvp_rule[p.n.op])
        return;
    for (int i = 0; i < p.n.nin; i++)
        p.t[i] = s->d[p.n.in[i]][ebb_part_of(&p.n)];
    s->d[v][0] = plus(s->g, s->d[v][0], jvp_rule[p.n.op](&p));
}

static void pass_nodes(pass *s, ebb_value first, ebb_value end)
{
    ebb_graph *g = s->g;
    for (ebb_value v = first; v < end && g->status == EBB_OK; v++) {
        const ebb_node *n = &g->node[v];
        bool moves = false;
        for (int i = 0; i < n->nin; i++)
            moves |= s->d[n->in[i]][ebb_part_of(n)] != EBB_NONE;
        if (!moves || !s->mark[v])
            continue;
        if (ebb_op_class_of(n->op) == EBB_CLASS_FUSED)
            ebb_graph_fail(g, EBB_E_INTERNAL, "jvp: %s is fused; differentiate before planning",
                           ebb_op_name(n->op));
        else if (ebb_op_class_of(n->op) == EBB_CLASS_ADJOINT)
            pass_expansion(s, v);
        else
            pass_rule(s, v);
    }
}

/* ---- the call ---------------------------------------------------------------------------- */

static bool arguments_valid(ebb_graph *g, const ebb_value *y, int ny, const ebb_value *x, const ebb_value *v,
                            int nx)
{
    for (int i = 0; i < ny; i++)
        if (!ebb_graph_node(g, y[i]) || g->node[y[i]].type != EBB_F32)
            ebb_graph_fail(g, EBB_E_ARGUMENT, "jvp: y[%d] is no f32 value of this graph", i);
    for (int i = 0; i < nx; i++) {
        if (!ebb_graph_node(g, x[i]) || g->node[x[i]].type != EBB_F32)
            ebb_graph_fail(g, EBB_E_ARGUMENT, "jvp: x[%d] is no f32 value of this graph", i);
        else if (!ebb_graph_node(g, v[i]) || !ebb_shape_equal(g->node[v[i]].shape, g->node[x[i]].shape))
            ebb_graph_fail(g, EBB_E_SHAPE, "jvp: v[%d] must have the shape of x[%d]", i, i);
    }
    return g->status == EBB_OK;
}

static void differentiate(pass *s, const ebb_value *y, int ny, const ebb_value *x, const ebb_value *v, int nx)
{
    ebb_value end = s->g->count;
    ebb_derivatives_cover(s);
    if (s->g->status != EBB_OK)
        return;
    for (int i = 0; i < ny; i++)
        s->mark[y[i]] |= 1;
    spread(s, 0, end);
    for (int i = 0; i < nx; i++)
        s->d[x[i]][0] = plus(s->g, s->d[x[i]][0], v[i]);
    pass_nodes(s, 0, end);
}

ebb_status ebb_jvp(ebb_graph *g, const ebb_value *y, int ny, const ebb_value *x, const ebb_value *v, int nx,
                   ebb_value *ty)
{
    pass s = { .g = g };
    for (int i = 0; i < ny; i++)
        ty[i] = EBB_NONE;
    if (g->status == EBB_OK && arguments_valid(g, y, ny, x, v, nx))
        differentiate(&s, y, ny, x, v, nx);
    for (int i = 0; i < ny && g->status == EBB_OK; i++)
        ty[i] = s.d[y[i]][0] != EBB_NONE ? s.d[y[i]][0] : ebb_constant(g, ebb_graph_shape(g, y[i]), 0);
    ebb_derivatives_free(&s);
    return g->status;
}
