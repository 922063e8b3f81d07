/* pointwise.c: chains of pointwise operations become one node with a small program.
 *
 * A pointwise value that only one other pointwise value of the same shape reads becomes an instruction
 * of that one's program; broadcasts become strides of 0. Every pointwise node, also a single one, ends
 * as a program, so that the back end has one way to run them all.
 */
#include "plan/ir.h"

#include <string.h>

typedef struct builder {
    ebb_rewrite *rw;
    bool chains;
    ebb_value root;
    ebb_pointwise program;
    ebb_value input[EBB_INPUTS_MAX], old_input[EBB_INPUTS_MAX];
    int ninputs, open;           /* open: instructions whose operands are being made */
    uint32_t free_registers;
} builder;

static ebb_value emit(ebb_rewrite *rw, ebb_value v);

static const ebb_node *old(const builder *b, ebb_value v) { return &b->rw->from->node[v]; }

static bool runs_pointwise(const ebb_node *n) { return ebb_op_is_pointwise(n->op) || n->op == EBB_OP_broadcast; }

/* The strides with which x (old value, maybe under broadcasts) is read in the root's axes. */
static void set_strides(builder *b, int slot, ebb_shape x, ebb_shape out)
{
    int64_t step = 1;
    for (int i = 0; i < out.rank; i++)
        b->program.stride[slot][i] = 0;
    for (int i = x.rank - 1; i >= 0; i--) {
        int axis = out.rank - x.rank + i;
        b->program.stride[slot][axis] = x.dim[i] == 1 ? 0 : step;
        step *= x.dim[i];
    }
}

static ebb_value scalar_constant(ebb_ir *ir, float value)
{
    return ebb_ir_add(ir, &(ebb_node){.op = EBB_OP_constant, .type = EBB_F32, .attr.alpha = value});
}

/* Operand code of an input: -1 - slot. Of a constant only one number is stored. */
static int input_operand(builder *b, ebb_value v)
{
    while (old(b, v)->op == EBB_OP_broadcast)
        v = old(b, v)->in[0];
    for (int i = 0; i < b->ninputs; i++)
        if (b->old_input[i] == v)
            return -1 - i;
    int slot = b->ninputs++;
    b->old_input[slot] = v;
    bool constant = old(b, v)->op == EBB_OP_constant;
    b->input[slot] = constant ? scalar_constant(b->rw->to, old(b, v)->attr.alpha) : emit(b->rw, v);
    set_strides(b, slot, constant ? EBB_SCALAR : old(b, v)->shape, old(b, b->root)->shape);
    return -1 - slot;
}

/* Whether v becomes an instruction; pending: operands of enclosing instructions that still need room. */
static bool absorbs(const builder *b, ebb_value v, int pending)
{
    const ebb_node *n = old(b, v);
    return b->chains && ebb_op_is_pointwise(n->op) && b->rw->uses[v] == 1 && b->rw->map[v] == EBB_NONE &&
           ebb_shape_equal(n->shape, old(b, b->root)->shape) && b->program.ninstr + b->open < EBB_POINTWISE_MAX &&
           b->ninputs + pending + 2 <= EBB_INPUTS_MAX;
}

static int take_register(builder *b)
{
    int r = 0;
    while (!(b->free_registers >> r & 1))
        r++;
    b->free_registers &= ~(1u << r);
    if (r + 1 > b->program.nregisters)
        b->program.nregisters = r + 1;
    return r;
}

/* Emits v as an instruction; its register. pending: operands of enclosing instructions still to come. */
static int instruction(builder *b, ebb_value v, int pending)
{
    const ebb_node *n = old(b, v);
    int operand[2] = {0, 0};

    b->open++;
    if (n->op == EBB_OP_broadcast) {
        operand[0] = input_operand(b, v);
    } else {
        for (int i = 0; i < n->nin; i++) {
            int later = pending + (n->nin - 1 - i);
            operand[i] = absorbs(b, n->in[i], later) ? instruction(b, n->in[i], later) : input_operand(b, n->in[i]);
        }
    }
    for (int i = 0; i < (n->op == EBB_OP_broadcast ? 1 : n->nin); i++)
        if (operand[i] >= 0)
            b->free_registers |= 1u << operand[i];
    b->open--;
    int r = take_register(b);
    bool copies = n->op == EBB_OP_broadcast;
    b->program.instr[b->program.ninstr++] = (struct ebb_pointwise_instr){
        .op = copies ? EBB_OP_affine : n->op, .dst = r, .a = operand[0], .b = operand[1],
        .alpha = copies ? 1 : n->attr.alpha, .beta = copies ? 0 : n->attr.beta};
    return r;
}

/* Merges neighbouring axes that every input walks as one, and drops axes of size 1. */
static void collapse(ebb_pointwise *p, int ninputs, ebb_shape out)
{
    int rank = 0;
    for (int i = 0; i < out.rank; i++) {
        if (out.dim[i] == 1)
            continue;
        bool merges = rank > 0;
        for (int k = 0; merges && k < ninputs; k++)
            merges = p->stride[k][rank - 1] == p->stride[k][i] * out.dim[i];
        rank += !merges;
        p->dim[rank - 1] = merges ? p->dim[rank - 1] * out.dim[i] : out.dim[i];
        for (int k = 0; k < ninputs; k++)
            p->stride[k][rank - 1] = p->stride[k][i];
    }
    if (rank == 0) {
        p->dim[0] = 1;
        for (int k = 0; k < ninputs; k++)
            p->stride[k][0] = 0;
        rank = 1;
    }
    p->rank = rank;
}

static ebb_value emit_program(ebb_rewrite *rw, ebb_value v)
{
    const bool *chains = rw->state;
    ebb_ir *to = rw->to;
    builder b = {.rw = rw, .chains = *chains, .root = v, .free_registers = (1u << EBB_POINTWISE_MAX) - 1};
    instruction(&b, v, 0);
    if (to->status != EBB_OK)
        return EBB_NONE;
    collapse(&b.program, b.ninputs, old(&b, v)->shape);
    to->status = ebb_grow(to->ctx, (void **)&to->program, &to->programs_capacity, to->nprograms + 1, sizeof *to->program);
    if (to->status != EBB_OK)
        return EBB_NONE;
    to->program[to->nprograms] = b.program;
    ebb_node n = {.op = EBB_OP_pointwise, .type = old(&b, v)->type, .shape = old(&b, v)->shape, .nin = b.ninputs,
                  .attr.index = to->nprograms++};
    memcpy(n.in, b.input, sizeof n.in);
    return ebb_ir_add(to, &n);
}

static ebb_value emit(ebb_rewrite *rw, ebb_value v)
{
    if (rw->map[v] == EBB_NONE)
        rw->map[v] = runs_pointwise(&rw->from->node[v]) ? emit_program(rw, v) : ebb_rewrite_copy(rw, v);
    return rw->map[v];
}

/* Chains are emitted by the value that reads them: a pointwise value waits here. */
static ebb_value rule(ebb_rewrite *rw, ebb_value v)
{
    const ebb_node *n = &rw->from->node[v];
    if (runs_pointwise(n))
        return EBB_NONE;
    for (int i = 0; i < n->nin; i++)
        emit(rw, n->in[i]);
    return ebb_rewrite_copy(rw, v);
}

ebb_status ebb_fuse_pointwise(ebb_ir *ir, bool chains)
{
    for (int i = 0; i < ir->noutputs; i++) {
        ebb_value v = ir->output[i];
        if (!runs_pointwise(&ir->node[v]))
            continue;
        /* An output has to be emitted by somebody: a reshape to its own shape reads it. */
        ir->output[i] = ebb_ir_add(ir, &(ebb_node){.op = EBB_OP_reshape, .type = ir->node[v].type,
                                                   .shape = ir->node[v].shape, .nin = 1, .in = {v}});
        if (ir->status != EBB_OK)
            return ir->status;
    }
    EBB_TRY(ebb_rewrite_run(ir, ebb_rewrite_copy, NULL));
    return ebb_rewrite_run(ir, rule, &chains);
}
