/* ir.c: the node list of the planner and the driver of its passes. */
#include "plan/ir.h"

#include <string.h>

ebb_value ebb_ir_add(ebb_ir *ir, const ebb_node *node)
{
    if (ir->status == EBB_OK)
        ir->status = ebb_grow(ir->ctx, (void **)&ir->node, &ir->capacity, ir->count + 1, sizeof *ir->node);
    if (ir->status != EBB_OK)
        return EBB_NONE;
    ir->node[ir->count] = *node;
    return ir->count++;
}

void ebb_ir_free(ebb_ir *ir)
{
    ebb_free(ir->node);
    ebb_free(ir->output);
    ebb_free(ir->program);
    *ir = (ebb_ir){0};
}

ebb_status ebb_ir_from_graph(ebb_context *ctx, const ebb_graph *g, const ebb_value *outputs, int noutputs, bool fast,
                             ebb_ir *out)
{
    *out = (ebb_ir){.ctx = ctx, .fast = fast};
    EBB_TRY(ebb_graph_status(g));
    ebb_status st = ebb_alloc(ctx, (void **)&out->output, (size_t)noutputs, sizeof *outputs, "plan outputs");
    for (int i = 0; st == EBB_OK && i < noutputs; i++) {
        if (outputs[i] < 0 || outputs[i] >= g->count)
            st = ebb_fail(ctx, EBB_E_INTERNAL, "plan: output %d is not a value of the graph", i);
        out->output[i] = outputs[i];
    }
    out->noutputs = noutputs;
    for (int32_t v = 0; st == EBB_OK && v < g->count; v++) {
        ebb_ir_add(out, &g->node[v]);
        st = out->status;
    }
    if (st != EBB_OK)
        ebb_ir_free(out);
    return st;
}

void ebb_ir_liveness(const ebb_ir *ir, bool *live, int32_t *uses)
{
    for (int i = 0; i < ir->noutputs; i++) {
        live[ir->output[i]] = true;
        uses[ir->output[i]]++;
    }
    for (int32_t v = ir->count - 1; v >= 0; v--) {
        const ebb_node *n = &ir->node[v];
        for (int i = 0; live[v] && i < n->nin; i++) {
            live[n->in[i]] = true;
            uses[n->in[i]]++;
        }
    }
}

ebb_node ebb_rewrite_node(const ebb_rewrite *rw, ebb_value v)
{
    ebb_node n = rw->from->node[v];
    for (int i = 0; i < n.nin; i++)
        n.in[i] = rw->map[n.in[i]];
    return n;
}

ebb_value ebb_rewrite_copy(ebb_rewrite *rw, ebb_value v)
{
    ebb_node n = ebb_rewrite_node(rw, v);
    return ebb_ir_add(rw->to, &n);
}

ebb_value ebb_ir_reshape(ebb_ir *ir, ebb_value x, ebb_shape shape)
{
    if (x == EBB_NONE || ebb_shape_equal(ir->node[x].shape, shape))
        return x;
    return ebb_ir_add(ir, &(ebb_node){.op = EBB_OP_reshape, .type = ir->node[x].type, .shape = shape, .nin = 1, .in = {x}});
}

static ebb_status rewrite_into(ebb_ir *ir, ebb_ir *to, ebb_rule rule, void *state, bool *live, int32_t *uses, ebb_value *map)
{
    ebb_rewrite rw = {.from = ir, .to = to, .map = map, .uses = uses, .state = state};
    ebb_ir_liveness(ir, live, uses);
    for (int32_t v = 0; v < ir->count; v++)
        map[v] = EBB_NONE;
    for (int32_t v = 0; v < ir->count; v++) {
        if (live[v] && map[v] == EBB_NONE)
            map[v] = rule(&rw, v);
        if (to->status != EBB_OK)
            return to->status;
    }
    for (int i = 0; i < ir->noutputs; i++)
        ir->output[i] = map[ir->output[i]];
    return EBB_OK;
}

ebb_status ebb_rewrite_run(ebb_ir *ir, ebb_rule rule, void *state)
{
    ebb_context *ctx = ir->ctx;
    bool *live = NULL;
    int32_t *uses = NULL;
    ebb_value *map = NULL;
    size_t n = (size_t)ir->count;
    ebb_ir to = {.ctx = ctx, .fast = ir->fast};

    ebb_status st = ebb_alloc(ctx, (void **)&live, n, sizeof *live, "plan pass");
    if (st == EBB_OK)
        st = ebb_alloc(ctx, (void **)&uses, n, sizeof *uses, "plan pass");
    if (st == EBB_OK)
        st = ebb_alloc(ctx, (void **)&map, n, sizeof *map, "plan pass");
    /* Programs are only added to: the new list inherits them. */
    to.program = ir->program, to.nprograms = ir->nprograms, to.programs_capacity = ir->programs_capacity;
    ir->program = NULL, ir->nprograms = ir->programs_capacity = 0;
    if (st == EBB_OK)
        st = rewrite_into(ir, &to, rule, state, live, uses, map);
    to.output = ir->output, to.noutputs = ir->noutputs;
    ir->output = NULL;
    ebb_ir_free(ir);
    *ir = to;
    ebb_free(live);
    ebb_free(uses);
    ebb_free(map);
    return st;
}

void ebb_ir_task(const ebb_ir *ir, const ebb_node *n, ebb_task *task)
{
    *task = (ebb_task){.op = n->op, .attr = n->attr, .nin = n->nin, .nout = ebb_node_outputs(n), .fast = ir->fast};
    for (int i = 0; i < n->nin; i++) {
        task->in_type[i] = ir->node[n->in[i]].type;
        task->in_shape[i] = ir->node[n->in[i]].shape;
    }
    for (int k = 0; k < task->nout; k++) {
        task->out_type[k] = ebb_node_part_type(n, k);
        task->out_shape[k] = ebb_node_part_shape(n, k);
    }
    if (n->op == EBB_OP_pointwise)
        task->program = &ir->program[n->attr.index];
}

bool ebb_op_is_pointwise(ebb_op op)
{
    ebb_op_class class = ebb_op_class_of(op);
    return class == EBB_CLASS_UNARY || class == EBB_CLASS_BINARY || op == EBB_OP_silu_vjp;
}
