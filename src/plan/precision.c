/* precision.c: which values are kept in bfloat16 (Micikevicius et al. 2018, with bfloat16 no loss needs scaling).
 *
 * Activations and their cotangents are: pictures of enough channels, rows and tokens cut from them. Everything
 * else stays f32: what comes in and goes out, parameters and their gradients, statistics, the time embedding, what is
 * added to or multiplied with whole channels, and pictures of few channels: x_t and the predicted noise are never
 * rounded. A convolution between few channels and many reads the one and writes the other.
 *
 * Kernels compute in f32 and round once, when they store. Where a node needs the other type of an input it gets a
 * conversion: a pointwise node like any other, so that chains absorb it. Pointwise nodes and sums read both types.
 */
#include "plan/ir.h"

/* converted: by old value, the new value in the type that the new value itself does not have. */
typedef struct precision {
    int channels;
    ebb_value *converted;
} precision;

static const ebb_node *now(const ebb_rewrite *rw, ebb_value v) { return &rw->to->node[rw->map[v]]; }

static ebb_value convert(ebb_ir *ir, ebb_value x, ebb_dtype type)
{
    return ebb_ir_add(ir, &(ebb_node){.op = EBB_OP_affine, .type = type, .shape = ir->node[x].shape, .nin = 1,
                                      .in = {x}, .attr.alpha = 1});
}

/* Old value v as numbers of that type; an index stays one. */
static ebb_value as_type(ebb_rewrite *rw, ebb_value v, ebb_dtype type)
{
    precision *p = rw->state;
    ebb_dtype have = now(rw, v)->type;
    if (have == type || have == EBB_I32)
        return rw->map[v];
    if (p->converted[v] == EBB_NONE)
        p->converted[v] = convert(rw->to, rw->map[v], type);
    return p->converted[v];
}

static bool is_bf16(const ebb_rewrite *rw, ebb_value v) { return now(rw, v)->type == EBB_BF16; }

static bool any_bf16(const ebb_rewrite *rw, const ebb_node *n)
{
    for (int i = 0; i < n->nin; i++)
        if (is_bf16(rw, n->in[i]))
            return true;
    return false;
}

/* A picture of enough channels. */
static bool is_wide(const ebb_rewrite *rw, ebb_shape s)
{
    return s.rank == 4 && s.dim[3] >= ((const precision *)rw->state)->channels;
}

/* ---- rules: `n` is the old node, `out` the new one with inputs mapped ---------------------------- */
static void convert_inputs(ebb_rewrite *rw, const ebb_node *n, ebb_node *out, int first, int end, ebb_dtype type)
{
    for (int i = first; i < end; i++)
        out->in[i] = as_type(rw, n->in[i], type);
}

/* Both pictures wide: products of bfloat16. Otherwise each picture as it is. Weights are f32. */
static void type_conv(ebb_rewrite *rw, const ebb_node *n, ebb_node *out)
{
    bool gradient = n->op == EBB_OP_conv_dw;
    ebb_shape a = now(rw, n->in[0])->shape, b = gradient ? now(rw, n->in[1])->shape : n->shape;
    if (is_wide(rw, a) && is_wide(rw, b))
        convert_inputs(rw, n, out, 0, gradient ? 2 : 1, EBB_BF16);
    if (!gradient)
        out->in[1] = as_type(rw, n->in[1], EBB_F32);
    out->type = !gradient && is_wide(rw, n->shape) ? EBB_BF16 : EBB_F32;
}

/* Rows of bfloat16 times a parameter, and the gradient of that parameter; other products are f32. */
static void type_matmul(ebb_rewrite *rw, const ebb_node *n, ebb_node *out)
{
    bool flat = n->shape.rank == 2, rows = is_bf16(rw, n->in[0]);
    bool layer = rows && !n->attr.ta && now(rw, n->in[1])->op == EBB_OP_param;
    bool gradient = rows && n->attr.ta && !n->attr.tb && is_bf16(rw, n->in[1]);
    out->type = flat && layer ? EBB_BF16 : EBB_F32;
    if (!flat || !(layer || gradient))
        convert_inputs(rw, n, out, 0, 2, EBB_F32);
}

/* x and dy of a norm; gamma and beta between them are f32. */
static void type_norm(ebb_rewrite *rw, const ebb_node *n, ebb_node *out)
{
    out->type = is_wide(rw, n->shape) ? EBB_BF16 : EBB_F32;
    convert_inputs(rw, n, out, 0, 1, out->type);
    convert_inputs(rw, n, out, 1, 3, EBB_F32);
    convert_inputs(rw, n, out, 3, n->nin, out->type);
}

/* The type of what flows through it, which a broadcast factor or offset does not settle. */
static void type_pointwise(const ebb_rewrite *rw, const ebb_node *n, ebb_node *out)
{
    out->type = EBB_F32;
    for (int i = 0; i < n->nin; i++)
        if (is_bf16(rw, n->in[i]) && now(rw, n->in[i])->op != EBB_OP_broadcast)
            out->type = EBB_BF16;
}

static ebb_value rule(ebb_rewrite *rw, ebb_value v)
{
    const ebb_node *n = &rw->from->node[v];
    ebb_node out = ebb_rewrite_node(rw, v);

    switch (n->op) {
    case EBB_OP_input:
    case EBB_OP_param:
    case EBB_OP_constant:
    case EBB_OP_sum: break;
    case EBB_OP_conv:
    case EBB_OP_conv_dx:
    case EBB_OP_conv_dw: type_conv(rw, n, &out); break;
    case EBB_OP_matmul: type_matmul(rw, n, &out); break;
    case EBB_OP_group_norm:
    case EBB_OP_group_norm_vjp: type_norm(rw, n, &out); break;
    case EBB_OP_part: out.type = ebb_node_part_type(now(rw, n->in[0]), n->attr.index); break;
    case EBB_OP_attention:
    case EBB_OP_attention_vjp:
    case EBB_OP_broadcast:
    case EBB_OP_reshape:
    case EBB_OP_transpose:
    case EBB_OP_slice:
    case EBB_OP_pad:
    case EBB_OP_concat:
    case EBB_OP_up2:
    case EBB_OP_down2:
        out.type = any_bf16(rw, n) ? EBB_BF16 : n->type;
        convert_inputs(rw, n, &out, 0, n->nin, out.type);
        break;
    default:
        if (ebb_op_is_pointwise(n->op))
            type_pointwise(rw, n, &out);
        else
            convert_inputs(rw, n, &out, 0, n->nin, EBB_F32);
    }
    return ebb_ir_add(rw->to, &out);
}

ebb_status ebb_precision(ebb_ir *ir, int channels)
{
    precision p = {.channels = channels};
    EBB_TRY(ebb_alloc(ir->ctx, (void **)&p.converted, (size_t)ir->count, sizeof *p.converted, "plan precision"));
    for (ebb_value v = 0; v < ir->count; v++)
        p.converted[v] = EBB_NONE;
    ebb_status st = ebb_rewrite_run(ir, rule, &p);
    for (int i = 0; st == EBB_OK && i < ir->noutputs; i++)
        if (ir->node[ir->output[i]].type == EBB_BF16) {
            ir->output[i] = convert(ir, ir->output[i], EBB_F32);
            st = ir->status;
        }
    ebb_free(p.converted);
    return st;
}
