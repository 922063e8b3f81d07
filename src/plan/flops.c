/* flops.c: arithmetic of each node, for reports: a product and its addition count as two. Convolutions count
 * as if computed directly, by whatever method they are. */
#include "plan/internal.h"

static size_t matmul_flops(const ebb_ir *ir, const ebb_node *n)
{
    ebb_shape a = ir->node[n->in[0]].shape;
    int64_t k = a.dim[a.rank - (n->attr.ta ? 2 : 1)];
    return 2 * (size_t)(ebb_shape_count(n->shape) * k);
}

size_t ebb_node_flops(const ebb_ir *ir, const ebb_node *n)
{
    size_t out = (size_t)ebb_shape_count(n->shape);
    const ebb_shape *w = n->nin > 1 ? &ir->node[n->in[1]].shape : NULL;
    switch (n->op) {
    case EBB_OP_conv: return 2 * out * (size_t)(w->dim[0] * w->dim[1] * w->dim[2]);
    case EBB_OP_conv_packed: return 2 * out * (size_t)(n->attr.kh * n->attr.kw * ir->node[n->in[0]].shape.dim[3]);
    case EBB_OP_conv_dx:   /* as many products as the convolution whose adjoint it is */
    case EBB_OP_conv_dx_packed: {
        bool packed = n->op == EBB_OP_conv_dx_packed;
        int64_t taps = packed ? n->attr.kh * n->attr.kw : w->dim[0] * w->dim[1];
        return 2 * (size_t)(ebb_shape_count(ir->node[n->in[0]].shape) * taps * n->shape.dim[3]);
    }
    case EBB_OP_conv_dw: return 2 * out * (size_t)(w->dim[0] * w->dim[1] * w->dim[2]);
    case EBB_OP_matmul:
    case EBB_OP_linear: return matmul_flops(ir, n);
    case EBB_OP_attention: return 4 * out * (size_t)n->attr.h;       /* two products, and five */
    case EBB_OP_attention_vjp:
    case EBB_OP_attention_vjp_kept: return 10 * out * (size_t)n->attr.h;
    case EBB_OP_pointwise: return out * (size_t)ir->program[n->attr.index].ninstr;
    case EBB_OP_norm: return 15 * out;      /* counted by hand: statistics 5, affine 2, sigmoid 8 */
    case EBB_OP_norm_vjp: return 25 * out;
    default: return 0;
    }
}
