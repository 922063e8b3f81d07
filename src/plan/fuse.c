/* fuse.c: patterns that one kernel does better than several.
 *
 *   conv + bias + residual              -> conv_packed     (weights packed once a step)
 *   matmul + bias + residual            -> linear
 *   silu(group_norm(x + shift))         -> norm
 *   group_norm_vjp(x, .., silu_vjp(..)) -> norm_vjp        (statistics saved by the forward norm)
 *
 * Only after differentiation. The rules look at old nodes for the pattern and emit new ones; what they
 * absorbed dies in the next pass.
 */
#include "plan/ir.h"

#include <string.h>

typedef struct fuse_state {
    ebb_value *norm_of;          /* old group_norm -> new norm with the activation its adjoint sees */
    int32_t *norm_uses;          /* old value -> how many group_norm and group_norm_vjp read it as x */
} fuse_state;

static const ebb_node *old(const ebb_rewrite *rw, ebb_value v) { return &rw->from->node[v]; }

static bool own_runs(const ebb_rewrite *rw, const ebb_node *n)
{
    ebb_task task = {.op = n->op, .attr = n->attr, .nin = n->nin, .nout = 1, .out_shape[0] = n->shape};
    for (int i = 0; i < n->nin; i++) {
        task.in_type[i] = old(rw, n->in[i])->type;
        task.in_shape[i] = old(rw, n->in[i])->shape;
    }
    return ebb_backend_choose(rw->from->ctx, &task) == &ebb_backend_own;
}

/* conv and conv_dx whose weights are parameters and which our own kernels run: packed weights. */
static ebb_value fuse_conv(ebb_rewrite *rw, ebb_value v)
{
    const ebb_node *n = old(rw, v);
    if (old(rw, n->in[1])->op != EBB_OP_param || !own_runs(rw, n))
        return ebb_rewrite_copy(rw, v);
    ebb_node pack = ebb_rewrite_node(rw, v), conv = pack;
    pack.op = n->op == EBB_OP_conv ? EBB_OP_conv_pack : EBB_OP_conv_pack_dx;
    pack.nin = 1;
    pack.in[0] = conv.in[1];
    const int64_t *d = old(rw, n->in[1])->shape.dim;
    int64_t panels = ((pack.op == EBB_OP_conv_pack ? d[3] : d[2]) + EBB_PANEL - 1) / EBB_PANEL;
    pack.shape = EBB_SHAPE(panels * EBB_PANEL, d[0] * d[1], pack.op == EBB_OP_conv_pack ? d[2] : d[3]);
    pack.attr = (ebb_attr){.kh = (int32_t)d[0], .kw = (int32_t)d[1]};
    conv.op = n->op == EBB_OP_conv ? EBB_OP_conv_packed : EBB_OP_conv_dx_packed;
    conv.attr.kh = (int32_t)d[0], conv.attr.kw = (int32_t)d[1], conv.attr.index = 0;
    conv.in[1] = ebb_ir_add(rw->to, &pack);
    return ebb_ir_add(rw->to, &conv);
}

/* v broadcasts a vector along the last axis: that vector. */
static ebb_value row_vector(const ebb_rewrite *rw, ebb_value v)
{
    const ebb_node *n = old(rw, v);
    if (n->op != EBB_OP_broadcast || n->shape.rank == 0)
        return EBB_NONE;
    int64_t last = n->shape.dim[n->shape.rank - 1];
    ebb_shape s = old(rw, n->in[0])->shape;
    return s.rank > 0 && s.dim[s.rank - 1] == last && ebb_shape_count(s) == last ? n->in[0] : EBB_NONE;
}

/* v broadcasts (N,1,..,1,C) over the inner axes of (N,..,C): that value. */
static ebb_value shift_vector(const ebb_rewrite *rw, ebb_value v)
{
    const ebb_node *n = old(rw, v);
    if (n->op != EBB_OP_broadcast || n->shape.rank < 3)
        return EBB_NONE;
    ebb_shape s = old(rw, n->in[0])->shape, o = n->shape;
    bool fits = s.rank == o.rank && s.dim[0] == o.dim[0] && s.dim[s.rank - 1] == o.dim[o.rank - 1] &&
                ebb_shape_count(s) == s.dim[0] * s.dim[s.rank - 1];
    return fits ? n->in[0] : EBB_NONE;
}

/* The new node behind old value v that can still take an epilogue `flag`: v itself or, through one
 * reshape, the node whose last use it is. EBB_NONE when there is none. */
static ebb_value epilogue_of(const ebb_rewrite *rw, ebb_value v, int flag)
{
    while (rw->uses[v] == 1 && old(rw, v)->op == EBB_OP_reshape && flag == EBB_HAS_RESIDUAL)
        v = old(rw, v)->in[0];
    if (rw->uses[v] != 1)
        return EBB_NONE;
    ebb_value u = rw->map[v];
    const ebb_node *n = &rw->to->node[u];
    switch (n->op) {
    case EBB_OP_conv_packed:
    case EBB_OP_linear: return n->attr.index < flag ? u : EBB_NONE;
    case EBB_OP_matmul: return u;
    default: return EBB_NONE;
    }
}

static ebb_value with_epilogue(ebb_rewrite *rw, ebb_value u, ebb_value operand, int flag, ebb_shape shape)
{
    ebb_node n = rw->to->node[u];
    if (n.op == EBB_OP_matmul) {
        n.op = EBB_OP_linear;
        n.attr.index = 0;
    }
    n.in[n.nin++] = flag == EBB_HAS_RESIDUAL ? ebb_ir_reshape(rw->to, operand, n.shape) : operand;
    n.attr.index |= flag;
    return ebb_ir_reshape(rw->to, ebb_ir_add(rw->to, &n), shape);
}

static ebb_value fuse_add(ebb_rewrite *rw, ebb_value v)
{
    const ebb_node *n = old(rw, v);
    for (int side = 0; side < 2; side++) {
        ebb_value bias = row_vector(rw, n->in[!side]), u = epilogue_of(rw, n->in[side], EBB_HAS_BIAS);
        if (bias != EBB_NONE && u != EBB_NONE)
            return with_epilogue(rw, u, rw->map[bias], EBB_HAS_BIAS, n->shape);
    }
    for (int side = 1; side >= 0; side--) {
        ebb_value u = epilogue_of(rw, n->in[side], EBB_HAS_RESIDUAL);
        if (u != EBB_NONE && old(rw, n->in[!side])->op != EBB_OP_broadcast && n->in[0] != n->in[1])
            return with_epilogue(rw, u, rw->map[n->in[!side]], EBB_HAS_RESIDUAL, n->shape);
    }
    return ebb_rewrite_copy(rw, v);
}

/* x of a group norm, taken apart into x and shift where only norms read their sum. */
static void take_shift(ebb_rewrite *rw, ebb_value x, ebb_node *n, int slot)
{
    const fuse_state *s = rw->state;
    const ebb_node *sum = old(rw, x);
    n->in[0] = rw->map[x];
    if (sum->op != EBB_OP_add || s->norm_uses[x] != rw->uses[x])
        return;
    for (int side = 0; side < 2; side++) {
        ebb_value shift = shift_vector(rw, sum->in[!side]);
        if (shift == EBB_NONE || ebb_shape_equal(old(rw, sum->in[side])->shape, old(rw, shift)->shape))
            continue;
        ebb_shape sh = old(rw, shift)->shape;
        n->in[0] = rw->map[sum->in[side]];
        n->in[slot] = ebb_ir_reshape(rw->to, rw->map[shift], EBB_SHAPE(sh.dim[0], sh.dim[sh.rank - 1]));
        n->nin = slot + 1;
        n->attr.index |= EBB_HAS_SHIFT;
        return;
    }
}

static ebb_value emit_norm(ebb_rewrite *rw, ebb_value g, bool silu)
{
    fuse_state *s = rw->state;
    ebb_node n = ebb_rewrite_node(rw, g);
    n.op = EBB_OP_norm;
    n.attr.silu = silu;
    n.attr.index = 0;
    take_shift(rw, old(rw, g)->in[0], &n, 3);
    ebb_value v = ebb_ir_add(rw->to, &n);
    if (silu || s->norm_of[g] == EBB_NONE)
        s->norm_of[g] = v;
    return v;
}

static bool same_norm(const ebb_node *a, const ebb_node *b)
{
    return !memcmp(a->in, b->in, 3 * sizeof a->in[0]) && a->attr.groups == b->attr.groups && a->attr.alpha == b->attr.alpha;
}

/* The old group_norm whose adjoint v is; EBB_NONE when the forward value was never needed. */
static ebb_value forward_of(const ebb_rewrite *rw, ebb_value v)
{
    const fuse_state *s = rw->state;
    for (ebb_value g = v - 1; g >= 0; g--)
        if (old(rw, g)->op == EBB_OP_group_norm && s->norm_of[g] != EBB_NONE && same_norm(old(rw, g), old(rw, v)))
            return g;
    return EBB_NONE;
}

static ebb_value emit_norm_vjp(ebb_rewrite *rw, ebb_value v)
{
    fuse_state *s = rw->state;
    const ebb_node *o = old(rw, v), *dy = old(rw, o->in[3]);
    ebb_value g = forward_of(rw, v);
    ebb_node n = ebb_rewrite_node(rw, v);

    if (g == EBB_NONE)
        return ebb_rewrite_copy(rw, v);
    n.op = EBB_OP_norm_vjp;
    n.attr.index = 0;
    if (dy->op == EBB_OP_silu_vjp && dy->in[0] == g && rw->uses[o->in[3]] == 1) {
        n.in[3] = rw->map[dy->in[1]];
        n.attr.silu = 1;
    }
    n.in[4] = ebb_ir_add(rw->to, &(ebb_node){.op = EBB_OP_part, .type = EBB_F32, .nin = 1, .in = {s->norm_of[g]}, .attr.index = 1,
                                             .shape = EBB_SHAPE(n.shape.dim[0], n.attr.groups, 2)});
    n.nin = 5;
    take_shift(rw, o->in[0], &n, 5);
    return ebb_ir_add(rw->to, &n);
}

/* sum over positions of dx of a norm with shift: the adjoint has it already. */
static ebb_value fuse_sum(ebb_rewrite *rw, ebb_value v)
{
    const ebb_node *n = old(rw, v);
    int rank = n->shape.rank;
    const ebb_node *u = &rw->to->node[rw->map[n->in[0]]];
    uint32_t inner = 0;

    for (int i = 1; i < rank - 1; i++)
        inner |= 1u << i;
    if (u->op != EBB_OP_norm_vjp || !(u->attr.index & EBB_HAS_SHIFT) || rank < 3 || n->attr.axes != inner)
        return ebb_rewrite_copy(rw, v);
    ebb_value part = ebb_ir_add(rw->to, &(ebb_node){.op = EBB_OP_part, .type = EBB_F32, .nin = 1, .in = {rw->map[n->in[0]]},
                                                    .attr.index = 3, .shape = EBB_SHAPE(n->shape.dim[0], n->shape.dim[rank - 1])});
    return ebb_ir_reshape(rw->to, part, n->shape);
}

static ebb_value rule(ebb_rewrite *rw, ebb_value v)
{
    const ebb_node *n = old(rw, v);
    switch (n->op) {
    case EBB_OP_conv:
    case EBB_OP_conv_dx: return fuse_conv(rw, v);
    case EBB_OP_add: return fuse_add(rw, v);
    case EBB_OP_group_norm: return emit_norm(rw, v, false);
    case EBB_OP_silu:
        return old(rw, n->in[0])->op == EBB_OP_group_norm ? emit_norm(rw, n->in[0], true) : ebb_rewrite_copy(rw, v);
    case EBB_OP_group_norm_vjp: return emit_norm_vjp(rw, v);
    case EBB_OP_sum: return fuse_sum(rw, v);
    default: return ebb_rewrite_copy(rw, v);
    }
}

/* Uses must be those of live nodes alone, or absorbed ones would count; hence a cleaning pass first. */
ebb_status ebb_fuse(ebb_ir *ir)
{
    fuse_state s = {0};
    size_t n = (size_t)ir->count;

    EBB_TRY(ebb_rewrite_run(ir, ebb_rewrite_copy, NULL));
    ebb_status st = ebb_alloc(ir->ctx, (void **)&s.norm_of, n, sizeof *s.norm_of, "plan fusion");
    if (st == EBB_OK)
        st = ebb_alloc(ir->ctx, (void **)&s.norm_uses, n, sizeof *s.norm_uses, "plan fusion");
    for (int32_t v = 0; st == EBB_OK && v < ir->count; v++) {
        s.norm_of[v] = EBB_NONE;
        if (ir->node[v].op == EBB_OP_group_norm || ir->node[v].op == EBB_OP_group_norm_vjp)
            s.norm_uses[ir->node[v].in[0]]++;
    }
    if (st == EBB_OK)
        st = ebb_rewrite_run(ir, rule, &s);
    ebb_free(s.norm_of);
    ebb_free(s.norm_uses);
    return st;
}
