/* infer.c: what each operation demands of its inputs, and the shape of its result.
 *
 * The one idea: nodes are checked when they are made, so that everything after (derivatives, plan, back
 * ends) may trust them. Shapes and formulas stand beside the builders in graph.h.
 */
#include "graph/rules.h"

static const ebb_shape *in(const ebb_graph *g, const ebb_node *n, int i)
{
    return &g->node[n->in[i]].shape;
}

/* `return REJECT(...)`: latches the error; the rule is false. */
#define REJECT(...) (ebb_graph_reject(g, n, __VA_ARGS__) != EBB_NONE)

static bool needs_rank(ebb_graph *g, const ebb_node *n, int i, int rank)
{
    if (in(g, n, i)->rank == rank)
        return true;
    return REJECT("input %d must have %d axes", i, rank);
}

static bool axis_exists(ebb_graph *g, const ebb_node *n, int i)
{
    if (n->attr.axis >= 0 && n->attr.axis < in(g, n, i)->rank)
        return true;
    return REJECT("there is no axis %d", n->attr.axis);
}

/* ---- leaves, whose shape is given -------------------------------------------------------- */

static bool infer_input(ebb_graph *g, ebb_node *n)
{
    if (n->type == EBB_F32 || n->type == EBB_I32)
        return true;
    return REJECT("an input is f32 or i32");
}

static bool infer_param(ebb_graph *g, ebb_node *n)
{
    if (n->attr.layout == EBB_LAYOUT_LINEAR && n->shape.rank != 2)
        return REJECT("a parameter with the linear layout has 2 axes (in, out), not %d", n->shape.rank);
    if (n->attr.layout == EBB_LAYOUT_CONV && n->shape.rank != 4)
        return REJECT("a parameter with the conv layout has 4 axes (kh, kw, in, out), not %d", n->shape.rank);
    return true;
}

static bool infer_constant(ebb_graph *g, ebb_node *n)
{
    (void)g;
    return n->type == EBB_F32;
}

/* ---- pointwise --------------------------------------------------------------------------- */

static bool infer_same(ebb_graph *g, ebb_node *n)
{
    n->shape = *in(g, n, 0);
    return true;
}
#define infer_affine infer_same
#define infer_recip infer_same
#define infer_exp infer_same
#define infer_log infer_same
#define infer_sqrt infer_same
#define infer_sin infer_same
#define infer_cos infer_same
#define infer_tanh infer_same
#define infer_sigmoid infer_same
#define infer_silu infer_same
#define infer_step infer_same
#define infer_stop_gradient infer_same

static bool infer_pair(ebb_graph *g, ebb_node *n)
{
    n->shape = *in(g, n, 0);
    if (ebb_shape_equal(n->shape, *in(g, n, 1)))
        return true;
    return REJECT("the shapes differ and neither stretches to the other");
}
#define infer_add infer_pair
#define infer_sub infer_pair
#define infer_mul infer_pair
#define infer_div infer_pair
#define infer_max infer_pair
#define infer_min infer_pair
#define infer_silu_vjp infer_pair

/* ---- sums and shapes --------------------------------------------------------------------- */

static bool infer_sum(ebb_graph *g, ebb_node *n)
{
    n->shape = *in(g, n, 0);
    if (n->attr.axes >> n->shape.rank)
        return REJECT("the mask of axes 0x%x names one that is not there", (unsigned)n->attr.axes);
    for (int i = 0; i < n->shape.rank; i++)
        if (n->attr.axes >> i & 1)
            n->shape.dim[i] = 1;
    return true;
}

static bool infer_broadcast(ebb_graph *g, ebb_node *n)
{
    ebb_shape s;
    if (n->shape.rank >= 0 && n->shape.rank <= EBB_RANK_MAX &&
        ebb_shape_broadcast(*in(g, n, 0), n->shape, &s) && ebb_shape_equal(s, n->shape))
        return true;
    char text[128];
    ebb_shape_text(n->shape, text, sizeof text);
    return REJECT("does not stretch to %s: aligned at the last axis, only axes of size 1 do", text);
}

static bool infer_reshape(ebb_graph *g, ebb_node *n)
{
    if (n->shape.rank >= 0 && n->shape.rank <= EBB_RANK_MAX &&
        ebb_shape_count(n->shape) == ebb_shape_count(*in(g, n, 0)))
        return true;
    char text[128];
    ebb_shape_text(n->shape, text, sizeof text);
    return REJECT("holds another count of numbers than %s", text);
}

static bool infer_transpose(ebb_graph *g, ebb_node *n)
{
    const ebb_shape *x = in(g, n, 0);
    unsigned seen = 0;
    n->shape.rank = x->rank;
    for (int i = 0; i < x->rank; i++) {
        int from = n->attr.perm[i];
        if (from < 0 || from >= x->rank || seen >> from & 1)
            return REJECT("axis %d of the result is said to be axis %d, which is no permutation", i, from);
        seen |= 1u << from;
        n->shape.dim[i] = x->dim[from];
    }
    return true;
}

static bool infer_slice(ebb_graph *g, ebb_node *n)
{
    if (!axis_exists(g, n, 0))
        return false;
    n->shape = *in(g, n, 0);
    if (n->attr.begin < 0 || n->attr.end <= n->attr.begin || n->attr.end > n->shape.dim[n->attr.axis])
        return REJECT("[%lld, %lld) is no range of axis %d", (long long)n->attr.begin, (long long)n->attr.end,
                      n->attr.axis);
    n->shape.dim[n->attr.axis] = n->attr.end - n->attr.begin;
    return true;
}

static bool infer_pad(ebb_graph *g, ebb_node *n)
{
    if (!axis_exists(g, n, 0))
        return false;
    n->shape = *in(g, n, 0);
    int64_t *dim = &n->shape.dim[n->attr.axis];
    if (n->attr.begin < 0 || n->attr.end < 0 || __builtin_add_overflow(*dim, n->attr.begin, dim) ||
        __builtin_add_overflow(*dim, n->attr.end, dim))
        return REJECT("cannot pad by %lld before and %lld after", (long long)n->attr.begin,
                      (long long)n->attr.end);
    return true;
}

static bool infer_concat(ebb_graph *g, ebb_node *n)
{
    if (!axis_exists(g, n, 0))
        return false;
    n->shape = *in(g, n, 0);
    ebb_shape b = *in(g, n, 1);
    int64_t sum = 0;
    if (b.rank != n->shape.rank ||
        __builtin_add_overflow(n->shape.dim[n->attr.axis], b.dim[n->attr.axis], &sum))
        return REJECT("the two cannot be joined");
    n->shape.dim[n->attr.axis] = b.dim[n->attr.axis] = sum;
    if (!ebb_shape_equal(n->shape, b))
        return REJECT("the two differ in an axis other than %d", n->attr.axis);
    return true;
}

/* ---- products and pictures --------------------------------------------------------------- */

static bool infer_matmul(ebb_graph *g, ebb_node *n)
{
    const ebb_shape *a = in(g, n, 0), *b = in(g, n, 1);
    int r = a->rank;
    if (r < 2 || b->rank != r)
        return REJECT("both must have the same count of axes, at least 2");
    n->shape = *a;
    for (int i = 0; i < r - 2; i++)
        if (a->dim[i] != b->dim[i])
            return REJECT("the leading axes differ");
    if (a->dim[n->attr.ta ? r - 2 : r - 1] != b->dim[n->attr.tb ? r - 1 : r - 2])
        return REJECT("the inner axes differ (first %s, second %s)", n->attr.ta ? "transposed" : "as it is",
                      n->attr.tb ? "transposed" : "as it is");
    n->shape.dim[r - 2] = a->dim[n->attr.ta ? r - 1 : r - 2];
    n->shape.dim[r - 1] = b->dim[n->attr.tb ? r - 2 : r - 1];
    return true;
}

static bool trio_valid(ebb_graph *g, ebb_node *n)
{
    if (!needs_rank(g, n, 0, 4) || !needs_rank(g, n, 1, 4))
        return false;
    if (n->attr.stride < 1 || n->attr.pad_top < 0 || n->attr.pad_left < 0)
        return REJECT("stride %d with padding %d, %d: the stride is at least 1 and padding not negative",
                      n->attr.stride, n->attr.pad_top, n->attr.pad_left);
    return true;
}

/* Of conv and conv_dx: the weights are at hand, so the kernel's size is read off them. */
static void take_kernel_size(const ebb_graph *g, ebb_node *n)
{
    n->attr.kh = (int32_t)in(g, n, 1)->dim[0];
    n->attr.kw = (int32_t)in(g, n, 1)->dim[1];
}

static bool infer_conv(ebb_graph *g, ebb_node *n)
{
    if (!trio_valid(g, n))
        return false;
    const ebb_shape *x = in(g, n, 0), *w = in(g, n, 1);
    if (x->dim[3] != w->dim[2])
        return REJECT("the picture has %lld channels, the weights (kh, kw, in, out) take %lld",
                      (long long)x->dim[3], (long long)w->dim[2]);
    take_kernel_size(g, n);
    n->shape = EBB_SHAPE(x->dim[0], n->attr.h, n->attr.w, w->dim[3]);
    return true;
}

static bool infer_conv_dx(ebb_graph *g, ebb_node *n)
{
    if (!trio_valid(g, n))
        return false;
    const ebb_shape *dy = in(g, n, 0), *w = in(g, n, 1);
    if (dy->dim[3] != w->dim[3])
        return REJECT("the cotangent has %lld channels, the weights (kh, kw, in, out) give %lld",
                      (long long)dy->dim[3], (long long)w->dim[3]);
    take_kernel_size(g, n);
    n->shape = EBB_SHAPE(dy->dim[0], n->attr.h, n->attr.w, w->dim[2]);
    return true;
}

static bool infer_conv_dw(ebb_graph *g, ebb_node *n)
{
    if (!trio_valid(g, n))
        return false;
    const ebb_shape *x = in(g, n, 0), *dy = in(g, n, 1);
    if (x->dim[0] != dy->dim[0])
        return REJECT("%lld pictures but %lld cotangents", (long long)x->dim[0], (long long)dy->dim[0]);
    n->shape = EBB_SHAPE(n->attr.kh, n->attr.kw, x->dim[3], dy->dim[3]);
    return true;
}

static bool infer_up2(ebb_graph *g, ebb_node *n)
{
    if (!needs_rank(g, n, 0, 4))
        return false;
    n->shape = *in(g, n, 0);
    for (int i = 1; i <= 2; i++)
        if (__builtin_mul_overflow(n->shape.dim[i], 2, &n->shape.dim[i]))
            return REJECT("too large to double");
    return true;
}

static bool infer_down2(ebb_graph *g, ebb_node *n)
{
    if (!needs_rank(g, n, 0, 4))
        return false;
    n->shape = *in(g, n, 0);
    if (n->shape.dim[1] % 2 || n->shape.dim[2] % 2)
        return REJECT("height and width must be even");
    n->shape.dim[1] /= 2;
    n->shape.dim[2] /= 2;
    return true;
}

/* ---- the rest ---------------------------------------------------------------------------- */

static bool infer_group_norm(ebb_graph *g, ebb_node *n)
{
    const ebb_shape *x = in(g, n, 0);
    if (x->rank < 2)
        return REJECT("the input must have at least 2 axes (N, ..., C)");
    int64_t channels = x->dim[x->rank - 1];
    if (n->attr.groups < 1 || channels % n->attr.groups)
        return REJECT("%d groups do not divide %lld channels", n->attr.groups, (long long)channels);
    if (!(n->attr.alpha > 0))
        return REJECT("eps is %g, must be positive", (double)n->attr.alpha);
    for (int i = 1; i <= 2; i++)
        if (!ebb_shape_equal(*in(g, n, i), EBB_SHAPE(channels)))
            return REJECT("%s must be a vector of %lld", i == 1 ? "gamma" : "beta", (long long)channels);
    n->shape = *x;
    return true;
}

static bool infer_group_norm_vjp(ebb_graph *g, ebb_node *n)
{
    if (!infer_group_norm(g, n))
        return false;
    if (!ebb_shape_equal(*in(g, n, 3), n->shape))
        return REJECT("the cotangent must have the shape of the input");
    return true;
}

static bool infer_softmax(ebb_graph *g, ebb_node *n)
{
    n->shape = *in(g, n, 0);
    if (n->shape.rank < 1)
        return REJECT("there is no last axis");
    return true;
}

static bool infer_softmax_vjp(ebb_graph *g, ebb_node *n)
{
    return infer_softmax(g, n) && infer_pair(g, n);
}

static bool infer_attention(ebb_graph *g, ebb_node *n)
{
    if (!needs_rank(g, n, 0, 4) || !needs_rank(g, n, 1, 4))
        return false;
    const ebb_shape *q = in(g, n, 0), *k = in(g, n, 1);
    if (q->dim[0] != k->dim[0] || q->dim[2] != k->dim[2] || q->dim[3] != k->dim[3])
        return REJECT("queries and keys (N, tokens, heads, width) may differ in tokens only");
    if (!ebb_shape_equal(*k, *in(g, n, 2)))
        return REJECT("there must be one value for each key, of the same shape");
    n->attr.h = k->dim[1];
    n->shape = *q;
    return true;
}

static bool infer_attention_vjp(ebb_graph *g, ebb_node *n)
{
    if (!infer_attention(g, n))
        return false;
    if (!ebb_shape_equal(*in(g, n, 3), n->shape))
        return REJECT("the cotangent must have the shape of the queries");
    return true;
}

static bool infer_dropout_mask(ebb_graph *g, ebb_node *n)
{
    if (!needs_rank(g, n, 0, 2))
        return false;
    if (n->shape.rank < 1 || in(g, n, 0)->dim[0] != n->shape.dim[0] || in(g, n, 0)->dim[1] != 4)
        return REJECT("there must be four numbers of key for each row");
    if (!(n->attr.alpha > 0 && n->attr.alpha < 1) || n->attr.index < 0 || n->attr.index >= 1 << 24)
        return REJECT("a rate between 0 and 1 is needed, and a layer from 0 to 2^24 - 1");
    return true;
}

static bool infer_gather(ebb_graph *g, ebb_node *n)
{
    if (!needs_rank(g, n, 0, 2) || !needs_rank(g, n, 1, 1))
        return false;
    n->shape = EBB_SHAPE(in(g, n, 1)->dim[0], in(g, n, 0)->dim[1]);
    return true;
}

static bool infer_scatter_add(ebb_graph *g, ebb_node *n)
{
    if (!needs_rank(g, n, 0, 1) || !needs_rank(g, n, 1, 2))
        return false;
    if (in(g, n, 0)->dim[0] != in(g, n, 1)->dim[0])
        return REJECT("there must be one index for each row of the source");
    n->shape = EBB_SHAPE(n->attr.rows, in(g, n, 1)->dim[1]);
    return true;
}

static bool infer_part(ebb_graph *g, ebb_node *n)
{
    ebb_node whole = g->node[n->in[0]];
    bool has_parts = whole.op == EBB_OP_group_norm_vjp || whole.op == EBB_OP_attention_vjp;
    if (!has_parts || n->attr.index < 1 || n->attr.index > 2)
        return REJECT("%s has no part %d", ebb_op_name(whole.op), n->attr.index);
    n->shape = *in(g, &whole, n->attr.index);
    return true;
}

/* ---- the table --------------------------------------------------------------------------- */

#define INFER_LEAF(name) infer_##name
#define INFER_UNARY(name) infer_##name
#define INFER_BINARY(name) infer_##name
#define INFER_SHAPE(name) infer_##name
#define INFER_LINEAR(name) infer_##name
#define INFER_NONLIN(name) infer_##name
#define INFER_ADJOINT(name) infer_##name
#define INFER_STOP(name) infer_##name
#define INFER_FUSED(name) NULL
static bool (*const infer_rule[EBB_OP_COUNT])(ebb_graph *, ebb_node *) = {
#define OP(name, inputs, class) [EBB_OP_##name] = INFER_##class(name),
#include "graph/ops.def"
#undef OP
};

static bool is_index(ebb_op op, int i)
{
    return (op == EBB_OP_gather && i == 1) || (op == EBB_OP_scatter_add && i == 0) || op == EBB_OP_dropout_mask;
}

bool ebb_infer(ebb_graph *g, ebb_node *n)
{
    /* Fused nodes, and their parts, carry the type and shape that src/plan gave them. */
    if (!infer_rule[n->op] ||
        (n->op == EBB_OP_part && ebb_op_class_of(g->node[n->in[0]].op) == EBB_CLASS_FUSED))
        return true;
    for (int i = 0; i < n->nin; i++)
        if (g->node[n->in[i]].type != (is_index(n->op, i) ? EBB_I32 : EBB_F32))
            return REJECT("input %d must be %s", i, is_index(n->op, i) ? "an index (i32)" : "f32");
    if (n->nin > 0)
        n->type = EBB_F32;
    return infer_rule[n->op](g, n);
}
