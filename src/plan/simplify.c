/* simplify.c: algebra that costs nothing at run time: constants, identities, common subexpressions.
 *
 * Differentiation by emission leaves additions of zeros, broadcasts of constants, reshapes of reshapes
 * and repeated subexpressions; the rules here take them away. Every rule looks at the new nodes only.
 */
#include "plan/ir.h"

#include <string.h>

/* Hash table of emitted nodes: value + 1, 0 is empty. */
typedef struct cse_table {
    int32_t *slot;
    uint32_t mask;
} cse_table;

static bool is_constant(const ebb_ir *ir, ebb_value v, float *value)
{
    if (ir->node[v].op != EBB_OP_constant)
        return false;
    *value = ir->node[v].attr.alpha;
    return true;
}

static ebb_value constant(ebb_ir *ir, ebb_shape shape, float value)
{
    return ebb_ir_add(ir, &(ebb_node){.op = EBB_OP_constant, .type = EBB_F32, .shape = shape, .attr.alpha = value});
}

static ebb_value affine(ebb_ir *ir, ebb_value x, float alpha, float beta)
{
    float c;
    if (alpha == 1 && beta == 0)
        return x;
    if (is_constant(ir, x, &c))
        return constant(ir, ir->node[x].shape, alpha * c + beta);
    return ebb_ir_add(ir, &(ebb_node){.op = EBB_OP_affine, .type = EBB_F32, .shape = ir->node[x].shape, .nin = 1,
                                      .in = {x}, .attr = {.alpha = alpha, .beta = beta}});
}

/* add, sub, mul with a constant operand; EBB_NONE when there is none. */
static ebb_value with_constant(ebb_ir *ir, const ebb_node *n)
{
    ebb_value a = n->in[0], b = n->in[1];
    float c;
    bool right = is_constant(ir, b, &c);

    if (!right && !is_constant(ir, a, &c))
        return EBB_NONE;
    switch (n->op) {
    case EBB_OP_add: return affine(ir, right ? a : b, 1, c);
    case EBB_OP_sub: return right ? affine(ir, a, 1, -c) : affine(ir, b, -1, c);
    case EBB_OP_mul: return c == 0 ? constant(ir, n->shape, 0) : affine(ir, right ? a : b, c, 0);
    default: return EBB_NONE;
    }
}

static ebb_value simplify_sum(ebb_ir *ir, const ebb_node *n)
{
    const ebb_node *x = &ir->node[n->in[0]];
    float c;
    if (ebb_shape_count(x->shape) == ebb_shape_count(n->shape))
        return ebb_ir_reshape(ir, n->in[0], n->shape);
    if (is_constant(ir, n->in[0], &c) && c == 0)
        return constant(ir, n->shape, 0);
    return EBB_NONE;
}

static ebb_value simplify_slice(ebb_ir *ir, const ebb_node *n)
{
    const ebb_node *x = &ir->node[n->in[0]];
    int axis = n->attr.axis;

    if (ebb_shape_equal(x->shape, n->shape))
        return n->in[0];
    if (x->op == EBB_OP_pad && x->attr.axis == axis && n->attr.begin == x->attr.begin &&
        ebb_shape_equal(n->shape, ir->node[x->in[0]].shape))
        return x->in[0];
    if (x->op == EBB_OP_concat && x->attr.axis == axis) {
        int64_t first = ir->node[x->in[0]].shape.dim[axis];
        if (n->attr.begin == 0 && n->attr.end == first)
            return x->in[0];
        if (n->attr.begin == first && n->attr.end == x->shape.dim[axis])
            return x->in[1];
    }
    return EBB_NONE;
}

static ebb_value simplify_transpose(ebb_ir *ir, const ebb_node *n)
{
    const ebb_node *x = &ir->node[n->in[0]];
    int rank = n->shape.rank;
    bool identity = true;
    ebb_node m = *n;

    if (x->op == EBB_OP_transpose) {
        for (int i = 0; i < rank; i++)
            m.attr.perm[i] = x->attr.perm[n->attr.perm[i]];
        m.in[0] = x->in[0];
    }
    for (int i = 0; i < rank; i++)
        identity &= m.attr.perm[i] == i;
    if (identity)
        return m.in[0];
    return x->op == EBB_OP_transpose ? ebb_ir_add(ir, &m) : EBB_NONE;
}

/* The node without its inputs' history: an equal value that is there already, or EBB_NONE. */
static ebb_value simplify_node(ebb_ir *ir, const ebb_node *n)
{
    const ebb_node *x = n->nin > 0 ? &ir->node[n->in[0]] : NULL;
    float c;

    switch (n->op) {
    case EBB_OP_stop_gradient:
        return n->in[0];
    case EBB_OP_affine:
        if (x->op == EBB_OP_affine && x->attr.beta == 0)
            return affine(ir, x->in[0], n->attr.alpha * x->attr.alpha, n->attr.beta);
        return (n->attr.alpha == 1 && n->attr.beta == 0) || x->op == EBB_OP_constant
                   ? affine(ir, n->in[0], n->attr.alpha, n->attr.beta)
                   : EBB_NONE;
    case EBB_OP_add:
    case EBB_OP_sub:
    case EBB_OP_mul:
        return with_constant(ir, n);
    case EBB_OP_sum:
        return simplify_sum(ir, n);
    case EBB_OP_reshape:
        if (x->op == EBB_OP_reshape)
            return ebb_ir_reshape(ir, x->in[0], n->shape);
        /* fall through */
    case EBB_OP_broadcast:
        if (ebb_shape_equal(x->shape, n->shape))
            return n->in[0];
        return is_constant(ir, n->in[0], &c) ? constant(ir, n->shape, c) : EBB_NONE;
    case EBB_OP_slice:
        if (is_constant(ir, n->in[0], &c))
            return constant(ir, n->shape, c);
        return simplify_slice(ir, n);
    case EBB_OP_pad:
        if (ebb_shape_equal(x->shape, n->shape))
            return n->in[0];
        return is_constant(ir, n->in[0], &c) && c == 0 ? constant(ir, n->shape, 0) : EBB_NONE;
    case EBB_OP_transpose:
        return simplify_transpose(ir, n);
    default:
        return EBB_NONE;
    }
}

static uint32_t mix(uint32_t h, const void *data, size_t size)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < size; i++)
        h = (h ^ p[i]) * 16777619u;   /* FNV-1a */
    return h;
}

static bool same_node(const ebb_node *a, const ebb_node *b)
{
    return a->op == b->op && a->nin == b->nin && a->type == b->type && ebb_shape_equal(a->shape, b->shape) &&
           !memcmp(a->in, b->in, sizeof a->in[0] * (size_t)a->nin) && !memcmp(&a->attr, &b->attr, sizeof a->attr);
}

static ebb_value find_or_add(ebb_ir *ir, cse_table *t, const ebb_node *n)
{
    if (n->op == EBB_OP_input || n->op == EBB_OP_param)
        return ebb_ir_add(ir, n);
    uint32_t h = mix(2166136261u, &n->op, sizeof n->op);
    h = mix(h, n->in, sizeof n->in[0] * (size_t)n->nin);
    h = mix(h, n->shape.dim, sizeof n->shape.dim[0] * (size_t)n->shape.rank);
    for (uint32_t i = h & t->mask;; i = (i + 1) & t->mask) {
        if (!t->slot[i]) {
            ebb_value v = ebb_ir_add(ir, n);
            t->slot[i] = v + 1;
            return v;
        }
        if (same_node(&ir->node[t->slot[i] - 1], n))
            return t->slot[i] - 1;
    }
}

static ebb_value rule(ebb_rewrite *rw, ebb_value v)
{
    ebb_node n = ebb_rewrite_node(rw, v);
    ebb_value same = simplify_node(rw->to, &n);
    return same != EBB_NONE || rw->to->status != EBB_OK ? same : find_or_add(rw->to, rw->state, &n);
}

ebb_status ebb_simplify(ebb_ir *ir)
{
    ebb_status st = EBB_OK;
    for (int32_t before = ir->count + 1; st == EBB_OK && ir->count < before;) {
        cse_table t = {.mask = 63};
        before = ir->count;
        while (t.mask < 2u * (uint32_t)ir->count + 64)
            t.mask = 2 * t.mask + 1;
        st = ebb_alloc(ir->ctx, (void **)&t.slot, (size_t)t.mask + 1, sizeof *t.slot, "plan simplification");
        if (st == EBB_OK)
            st = ebb_rewrite_run(ir, rule, &t);
        ebb_free(t.slot);
    }
    return st;
}
