/* fuse.c: patterns that one kernel does better than several.
 *
 *   conv + bias + residual              -> conv_packed     (weights packed once a step)
 *   conv_dx + residual                  -> conv_dx_packed  (gradients of skip connections are sums)
 *   matmul + bias + residual            -> linear          (in bfloat16: weights packed once a step)
 *   group norms and their adjoints      -> norm, norm_vjp  (fuse_norm.c)
 *   attention_vjp                       -> attention_vjp_kept  (output and logarithms of the forward)
 *
 * Only after differentiation. The rules look at old nodes for the pattern and emit new ones; what they
 * absorbed dies in the next pass.
 */
#include "plan/fuse.h"

#include <string.h>

static const ebb_node *old(const ebb_rewrite *rw, ebb_value v) { return &rw->from->node[v]; }

static bool own_runs(const ebb_rewrite *rw, const ebb_node *n)
{
    ebb_task task;
    ebb_ir_task(rw->from, n, &task);
    return ebb_backend_choose(rw->from->ctx, &task).backend == &ebb_backend_own;
}

/* Weights w (kh,kw,ci,co) packed by op into one row of numbers of that type. */
static ebb_value pack_weights(ebb_ir *ir, ebb_op op, ebb_value w, ebb_dtype type, uint8_t method)
{
    const int64_t *d = ir->node[w].shape.dim;
    ebb_conv_shape s = {.kh = (int)d[0], .kw = (int)d[1], .ci = (int)d[2], .co = (int)d[3]};
    bool dx = op == EBB_OP_conv_pack_dx;
    size_t size = dx ? ebb_conv_pack_dx_size(&s) : ebb_conv_pack_size(&s);
    if (type == EBB_BF16)
        size = dx ? ebb_conv_pack_dx_bf16_size(&s) : ebb_conv_pack_bf16_size(&s);
    else if (method == EBB_METHOD_WINOGRAD)
        size = dx ? ebb_wino_pack_dx_size(&s) : ebb_wino_pack_size(&s);
    return ebb_ir_add(ir, &(ebb_node){.op = op, .type = type, .shape = EBB_SHAPE((int64_t)size), .nin = 1, .in = {w},
                                      .attr = {.kh = s.kh, .kw = s.kw, .method = method}});
}

/* conv and conv_dx whose weights are parameters and which our own kernels run: packed weights. */
static ebb_value fuse_conv(ebb_rewrite *rw, ebb_value v)
{
    const ebb_node *n = old(rw, v);
    if (old(rw, n->in[1])->op != EBB_OP_param || !own_runs(rw, n))
        return ebb_rewrite_copy(rw, v);
    ebb_node conv = ebb_rewrite_node(rw, v);
    const int64_t *d = old(rw, n->in[1])->shape.dim;
    bool bf16 = n->type == EBB_BF16 && old(rw, n->in[0])->type == EBB_BF16 && n->attr.method == EBB_METHOD_DIRECT;
    conv.op = n->op == EBB_OP_conv ? EBB_OP_conv_packed : EBB_OP_conv_dx_packed;
    conv.attr.kh = (int32_t)d[0], conv.attr.kw = (int32_t)d[1], conv.attr.index = 0;
    conv.in[1] = pack_weights(rw->to, n->op == EBB_OP_conv ? EBB_OP_conv_pack : EBB_OP_conv_pack_dx, conv.in[1],
                              bf16 ? EBB_BF16 : EBB_F32, n->attr.method);
    return ebb_ir_add(rw->to, &conv);
}

/* A layer on rows of bfloat16: its weights are those of a convolution of one tap. */
static ebb_value fuse_matmul(ebb_rewrite *rw, ebb_value v)
{
    ebb_node n = ebb_rewrite_node(rw, v);
    if (n.type != EBB_BF16)
        return ebb_ir_add(rw->to, &n);
    const int64_t *d = old(rw, old(rw, v)->in[1])->shape.dim;
    n.op = EBB_OP_linear;
    n.attr.index = 0;
    n.in[1] = pack_weights(rw->to, n.attr.tb ? EBB_OP_conv_pack_dx : EBB_OP_conv_pack,
                           ebb_ir_reshape(rw->to, n.in[1], EBB_SHAPE(1, 1, d[0], d[1])), EBB_BF16, EBB_METHOD_DIRECT);
    return ebb_ir_add(rw->to, &n);
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

/* An epilogue adds before the only rounding: what carries one reads activations of the type that it writes. */
static bool keeps_type(const ebb_rewrite *rw, const ebb_node *n) { return rw->to->node[n->in[0]].type == n->type; }

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
    case EBB_OP_conv_packed: return n->attr.index < flag && (flag == EBB_HAS_BIAS || keeps_type(rw, n)) ? u : EBB_NONE;
    case EBB_OP_linear: return n->attr.index < flag ? u : EBB_NONE;
    case EBB_OP_conv_dx_packed:
        return flag == EBB_HAS_RESIDUAL && n->attr.index == 0 && keeps_type(rw, n) ? u : EBB_NONE;
    case EBB_OP_matmul: return keeps_type(rw, n) ? u : EBB_NONE;
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
        if (bias != EBB_NONE && u != EBB_NONE && old(rw, bias)->type == EBB_F32 && rw->to->node[u].type == n->type)
            return with_epilogue(rw, u, rw->map[bias], EBB_HAS_BIAS, n->shape);
    }
    for (int side = 1; side >= 0; side--) {
        ebb_value u = epilogue_of(rw, n->in[side], EBB_HAS_RESIDUAL);
        bool same = u != EBB_NONE && rw->to->node[u].type == n->type && old(rw, n->in[!side])->type == n->type;
        if (same && old(rw, n->in[!side])->op != EBB_OP_broadcast && n->in[0] != n->in[1])
            return with_epilogue(rw, u, rw->map[n->in[!side]], EBB_HAS_RESIDUAL, n->shape);
    }
    return ebb_rewrite_copy(rw, v);
}

/* With o and lse of the forward, where its value was needed. */
static ebb_value fuse_attention_vjp(ebb_rewrite *rw, ebb_value v)
{
    ebb_node n = ebb_rewrite_node(rw, v);
    for (ebb_value f = v - 1; f >= 0; f--) {
        const ebb_node *o = old(rw, f);
        if (o->op != EBB_OP_attention || rw->map[f] == EBB_NONE || o->attr.alpha != n.attr.alpha ||
            memcmp(o->in, old(rw, v)->in, 3 * sizeof o->in[0]))
            continue;
        n.op = EBB_OP_attention_vjp_kept;
        n.in[4] = rw->map[f];
        n.in[5] = ebb_ir_add(rw->to, &(ebb_node){.op = EBB_OP_part, .type = EBB_F32, .nin = 1, .in = {n.in[4]},
                                                 .attr.index = 1, .shape = EBB_SHAPE(n.shape.dim[0], n.shape.dim[2],
                                                                                     n.shape.dim[1])});
        n.nin = 6;
        break;
    }
    return ebb_ir_add(rw->to, &n);
}

static ebb_value rule(ebb_rewrite *rw, ebb_value v)
{
    ebb_value norm = ebb_fuse_norm(rw, rw->state, v);
    if (norm != EBB_NONE)
        return norm;
    switch (old(rw, v)->op) {
    case EBB_OP_conv:
    case EBB_OP_conv_dx: return fuse_conv(rw, v);
    case EBB_OP_matmul: return fuse_matmul(rw, v);
    case EBB_OP_add: return fuse_add(rw, v);
    case EBB_OP_attention_vjp: return fuse_attention_vjp(rw, v);
    default: return ebb_rewrite_copy(rw, v);
    }
}

/* Uses must be those of live nodes alone, or absorbed ones would count; hence a cleaning pass first. */
ebb_status ebb_fuse(ebb_ir *ir)
{
    ebb_norm_fusion norms;
    EBB_TRY(ebb_rewrite_run(ir, ebb_rewrite_copy, NULL));
    ebb_status st = ebb_norm_fusion_create(ir, &norms);
    if (st == EBB_OK)
        st = ebb_rewrite_run(ir, rule, &norms);
    ebb_norm_fusion_free(&norms);
    return st;
}
