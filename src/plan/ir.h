/* ir.h: what the planner's passes work on: the graph's live nodes plus fused ones.
 *
 * A pass walks the old nodes in order and emits new ones; whatever a rule absorbed is left without a
 * user and disappears in the next pass. Shapes are set by the rules: everything was checked when the
 * graph was built.
 *
 * Fused operations (attr.index is a mask of EBB_HAS_* for those with optional inputs, which follow in
 * this order):
 *   conv_pack(w)                    weights in panels (simd.h), or transformed if attr.method is Winograd's;
 *                                   conv_pack_dx(w): for conv_dx
 *   conv_packed(x, wp, [bias], [residual])      conv + bias (Co) + residual (shape of y)
 *   conv_dx_packed(dy, wp, [residual])
 *   linear(a, b, [bias], [residual])            matmul + bias (N) + residual
 *   norm(x, gamma, beta, [shift])   y = act(group_norm(x + shift)), shift (N,C); part 1: stats (N,G,2)
 *   norm(x, gamma, beta, factor, offset)     instead, with EBB_HAS_SCALE_SHIFT: y = act(group_norm(x) * factor +
 *                                   offset), both (N,C)
 *   norm_vjp(x, gamma, beta, dy, stats, [shift])  dx; parts 1, 2, 3: dgamma, dbeta (C), dshift (N,C)
 *   norm_vjp(x, gamma, beta, dy, stats, factor, offset)  parts 3, 4: dfactor, doffset (N,C)
 *   attention_vjp_kept(q, k, v, dy, o, lse)     attention_vjp with what the forward kept
 *   pointwise(inputs...)            attr.index: number of its program
 */
#ifndef EBB_PLAN_IR_H
#define EBB_PLAN_IR_H

#include "backend/backend.h"
#include "graph/graph.h"
#include "plan/plan.h"

typedef struct ebb_ir {
    ebb_context *ctx;
    bool fast;                   /* convolutions may be computed by Winograd's method */
    ebb_status status;           /* first error */
    ebb_node *node;
    int32_t count, capacity;
    ebb_value *output;
    int noutputs;
    ebb_pointwise *program;      /* of pointwise nodes */
    int32_t nprograms, programs_capacity;
} ebb_ir;

ebb_status ebb_ir_from_graph(ebb_context *ctx, const ebb_graph *g, const ebb_value *outputs, int noutputs, bool fast,
                             ebb_ir *out);
void ebb_ir_free(ebb_ir *ir);
/* Latches out-of-memory on ir->status and returns EBB_NONE. */
ebb_value ebb_ir_add(ebb_ir *ir, const ebb_node *node);

/* One pass over ir. rule gives the new value of old node v; it may look at the old nodes, at how often
 * each is used (outputs count), and at the new value of each earlier node. */
typedef struct ebb_rewrite {
    const ebb_ir *from;
    ebb_ir *to;
    ebb_value *map;              /* old -> new, EBB_NONE: not yet */
    int32_t *uses;               /* of old values, by live nodes and outputs */
    void *state;                 /* of the pass */
} ebb_rewrite;
typedef ebb_value (*ebb_rule)(ebb_rewrite *rw, ebb_value v);
ebb_status ebb_rewrite_run(ebb_ir *ir, ebb_rule rule, void *state);
/* The old node with its inputs mapped. */
ebb_node ebb_rewrite_node(const ebb_rewrite *rw, ebb_value v);
ebb_value ebb_rewrite_copy(ebb_rewrite *rw, ebb_value v);
/* x with another shape; x itself when it has it. */
ebb_value ebb_ir_reshape(ebb_ir *ir, ebb_value x, ebb_shape shape);

/* Marks what the outputs need; uses counts users. Both arrays of ir->count, zeroed by the caller. */
void ebb_ir_liveness(const ebb_ir *ir, bool *live, int32_t *uses);

bool ebb_op_is_pointwise(ebb_op op);     /* UNARY, BINARY and silu_vjp */

/* What node n is, for a back end: operation, shapes and types of inputs and outputs. */
void ebb_ir_task(const ebb_ir *ir, const ebb_node *n, ebb_task *task);
int ebb_node_outputs(const ebb_node *n);                      /* 1 + parts */
ebb_shape ebb_node_part_shape(const ebb_node *n, int part);
ebb_dtype ebb_node_part_type(const ebb_node *n, int part);
size_t ebb_node_part_bytes(const ebb_node *n, int part);

/* The passes. */
ebb_status ebb_simplify(ebb_ir *ir);
ebb_status ebb_precision(ebb_ir *ir, int channels);   /* which values are bfloat16: pictures of so many */
void ebb_select(ebb_ir *ir);             /* attr.method of convolutions */
ebb_status ebb_fuse(ebb_ir *ir);         /* conv, linear, norm patterns */
ebb_status ebb_fuse_pointwise(ebb_ir *ir, bool chains);
void ebb_pack_in_runs(ebb_ir *ir);       /* which weights each run packs: attr.each_run */
ebb_status ebb_recompute(ebb_ir *ir, ebb_plan_memory memory);    /* what is computed a second time; the last pass */

#endif
