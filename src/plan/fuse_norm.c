/* fuse_norm.c: the patterns of group norms.
 *
 *   silu(group_norm(x + shift))                 -> norm
 *   silu(group_norm(x) * factor + offset)       -> norm           factor, offset (N,C): Dhariwal & Nichol 2021
 *   group_norm_vjp(x, .., silu_vjp(..))         -> norm_vjp       statistics saved by the forward norm
 *   group_norm_vjp(x, .., silu_vjp(..) * factor)   and the sums that are the gradients of shift, factor, offset
 *
 * The one idea: (gamma x^ + beta) factor + offset is a norm with gamma factor and beta factor + offset, a
 * picture at a time; from the gradients of these two follow those of all four. Each rule is right by itself,
 * whatever else reads the values it looks at.
 */
#include "plan/fuse.h"

#include <string.h>

/* A group norm with a factor and an offset for each picture and channel: the old values. */
typedef struct modulation { ebb_value norm, product, factor, offset; } modulation;

static const ebb_node *old(const ebb_rewrite *rw, ebb_value v) { return &rw->from->node[v]; }

/* v broadcasts (N,1,..,1,C) in f32 over the inner axes of (N,..,C): that value. */
static ebb_value inner_vector(const ebb_ir *ir, ebb_value v)
{
    const ebb_node *n = &ir->node[v];
    if (n->op != EBB_OP_broadcast || n->shape.rank < 3)
        return EBB_NONE;
    ebb_shape s = ir->node[n->in[0]].shape, o = n->shape;
    bool fits = s.rank == o.rank && s.dim[0] == o.dim[0] && s.dim[s.rank - 1] == o.dim[o.rank - 1] &&
                ebb_shape_count(s) == s.dim[0] * s.dim[s.rank - 1];
    return fits && ir->node[n->in[0]].type == EBB_F32 ? n->in[0] : EBB_NONE;
}

/* v is a times b broadcast over the inner axes, in either order. */
static bool is_scaled(const ebb_ir *ir, ebb_value v, ebb_value *a, ebb_value *b)
{
    const ebb_node *n = &ir->node[v];
    for (int side = 0; n->op == EBB_OP_mul && side < 2; side++) {
        *a = n->in[side];
        *b = inner_vector(ir, n->in[!side]);
        if (*b != EBB_NONE)
            return true;
    }
    return false;
}

static bool is_modulated(const ebb_ir *ir, ebb_value v, modulation *m)
{
    const ebb_node *n = &ir->node[v];
    for (int side = 0; n->op == EBB_OP_add && side < 2; side++) {
        m->product = n->in[side];
        m->offset = inner_vector(ir, n->in[!side]);
        if (m->offset != EBB_NONE && is_scaled(ir, m->product, &m->norm, &m->factor) &&
            ir->node[m->norm].op == EBB_OP_group_norm)
            return true;
    }
    return false;
}

/* v sums over all axes but the first and the last. */
static bool sums_inner(const ebb_ir *ir, ebb_value v)
{
    const ebb_node *n = &ir->node[v];
    uint32_t inner = 0;
    for (int i = 1; i < n->shape.rank - 1; i++)
        inner |= 1u << i;
    return n->op == EBB_OP_sum && n->shape.rank >= 3 && n->attr.axes == inner;
}

static bool same_norm(const ebb_node *a, const ebb_node *b)
{
    return !memcmp(a->in, b->in, 3 * sizeof a->in[0]) && a->attr.groups == b->attr.groups &&
           a->attr.alpha == b->attr.alpha;
}

/* ---- what is known beforehand ------------------------------------------------------------------ */
/* v is the adjoint of a modulated norm when its cotangent carries that norm's factor. */
static void note_adjoint(const ebb_ir *ir, ebb_norm_fusion *f, ebb_value v)
{
    const ebb_node *n = &ir->node[v];
    ebb_value dh, factor;
    modulation m;
    for (ebb_value g = 0; g < v; g++)
        if (f->modulated[g] != EBB_NONE && ir->node[g].op == EBB_OP_group_norm && same_norm(&ir->node[g], n) &&
            is_modulated(ir, f->modulated[g], &m) && is_scaled(ir, n->in[3], &dh, &factor) && factor == m.factor) {
            f->modulated[v] = f->modulated[g];
            f->adjoint[dh] = v;
            return;
        }
}

ebb_status ebb_norm_fusion_create(const ebb_ir *ir, ebb_norm_fusion *out)
{
    size_t n = (size_t)ir->count;
    modulation m;
    *out = (ebb_norm_fusion){0};
    EBB_TRY(ebb_alloc(ir->ctx, (void **)&out->norm_of, n, sizeof *out->norm_of, "plan fusion"));
    EBB_TRY(ebb_alloc(ir->ctx, (void **)&out->uses, n, sizeof *out->uses, "plan fusion"));
    EBB_TRY(ebb_alloc(ir->ctx, (void **)&out->modulated, n, sizeof *out->modulated, "plan fusion"));
    EBB_TRY(ebb_alloc(ir->ctx, (void **)&out->adjoint, n, sizeof *out->adjoint, "plan fusion"));
    for (ebb_value v = 0; v < ir->count; v++)
        out->norm_of[v] = out->modulated[v] = out->adjoint[v] = EBB_NONE;
    for (ebb_value v = 0; v < ir->count; v++) {
        if (is_modulated(ir, v, &m))
            out->modulated[m.norm] = v;
        if (ir->node[v].op == EBB_OP_group_norm || ir->node[v].op == EBB_OP_group_norm_vjp)
            out->uses[ir->node[v].in[0]]++;
        if (ir->node[v].op == EBB_OP_group_norm_vjp)
            note_adjoint(ir, out, v);
    }
    return EBB_OK;
}

void ebb_norm_fusion_free(ebb_norm_fusion *f)
{
    ebb_free(f->norm_of);
    ebb_free(f->uses);
    ebb_free(f->modulated);
    ebb_free(f->adjoint);
    *f = (ebb_norm_fusion){0};
}

/* ---- forward ----------------------------------------------------------------------------------- */
/* (N,1,..,1,C) of the old ir as (N,C) of the new one. */
static ebb_value rows(ebb_rewrite *rw, ebb_value v)
{
    ebb_shape s = old(rw, v)->shape;
    return ebb_ir_reshape(rw->to, rw->map[v], EBB_SHAPE(s.dim[0], s.dim[s.rank - 1]));
}

/* x of a group norm, taken apart into x and shift where only norms read their sum. */
static void take_shift(ebb_rewrite *rw, const ebb_norm_fusion *f, ebb_value x, ebb_node *n, int slot)
{
    const ebb_node *sum = old(rw, x);
    n->in[0] = rw->map[x];
    if (sum->op != EBB_OP_add || f->uses[x] != rw->uses[x])
        return;
    for (int side = 0; side < 2; side++) {
        ebb_value shift = inner_vector(rw->from, sum->in[!side]);
        const ebb_node *rest = old(rw, sum->in[side]);
        if (shift == EBB_NONE || rest->type != sum->type || ebb_shape_equal(rest->shape, old(rw, shift)->shape))
            continue;
        n->in[0] = rw->map[sum->in[side]];
        n->in[slot] = rows(rw, shift);
        n->nin = slot + 1;
        n->attr.index |= EBB_HAS_SHIFT;
        return;
    }
}

static void take_modulation(ebb_rewrite *rw, const modulation *m, ebb_node *n, int slot)
{
    n->in[slot] = rows(rw, m->factor);
    n->in[slot + 1] = rows(rw, m->offset);
    n->nin = slot + 2;
    n->attr.index |= EBB_HAS_SCALE_SHIFT;
}

static ebb_value emit_norm(ebb_rewrite *rw, ebb_norm_fusion *f, ebb_value g, const modulation *m, bool silu)
{
    ebb_node n = ebb_rewrite_node(rw, g);
    n.op = EBB_OP_norm;
    n.attr.silu = silu;
    n.attr.index = 0;
    if (m)
        take_modulation(rw, m, &n, 3);
    else
        take_shift(rw, f, old(rw, g)->in[0], &n, 3);
    ebb_value v = ebb_ir_add(rw->to, &n);
    if (silu || m || f->norm_of[g] == EBB_NONE)
        f->norm_of[g] = v;
    return v;
}

/* A norm with what follows it: silu, modulation, both, or neither. */
static ebb_value fuse_forward(ebb_rewrite *rw, ebb_norm_fusion *f, ebb_value v)
{
    bool silu = old(rw, v)->op == EBB_OP_silu;
    ebb_value h = silu ? old(rw, v)->in[0] : v;
    modulation m;
    if (is_modulated(rw->from, h, &m))
        return emit_norm(rw, f, m.norm, &m, silu);
    return old(rw, h)->op == EBB_OP_group_norm ? emit_norm(rw, f, h, NULL, silu) : EBB_NONE;
}

/* ---- adjoint ----------------------------------------------------------------------------------- */
/* The old group_norm whose adjoint v is; EBB_NONE when the forward value was never needed. */
static ebb_value forward_of(const ebb_rewrite *rw, const ebb_norm_fusion *f, ebb_value v)
{
    for (ebb_value g = v - 1; g >= 0; g--)
        if (old(rw, g)->op == EBB_OP_group_norm && f->norm_of[g] != EBB_NONE && same_norm(old(rw, g), old(rw, v)))
            return g;
    return EBB_NONE;
}

static bool only_summed(const ebb_rewrite *rw, ebb_value v)
{
    for (ebb_value u = v + 1; u < rw->from->count; u++)
        if (old(rw, u)->in[0] == v && sums_inner(rw->from, u))
            return rw->uses[v] == 1;
    return false;
}

/* How many readers of dh, the cotangent of a modulated norm, its adjoint v makes superfluous: the product with
 * the factor, and the sums for the gradients of factor and offset. */
static int absorbed_uses(const ebb_rewrite *rw, ebb_value v, ebb_value dh, ebb_value norm)
{
    int count = 0;
    for (ebb_value u = dh + 1; u < rw->from->count; u++) {
        const ebb_node *n = old(rw, u);
        bool both = (n->in[0] == dh && n->in[1] == norm) || (n->in[1] == dh && n->in[0] == norm);
        count += u == old(rw, v)->in[3] && rw->uses[u] == 1;
        count += n->in[0] == dh && sums_inner(rw->from, u);
        count += n->op == EBB_OP_mul && both && only_summed(rw, u);
    }
    return count;
}

static ebb_value part(ebb_rewrite *rw, ebb_value of, int index, ebb_shape shape)
{
    return ebb_ir_add(rw->to, &(ebb_node){.op = EBB_OP_part, .type = EBB_F32, .nin = 1, .in = {of}, .attr.index = index,
                                          .shape = shape});
}

static ebb_value emit_norm_vjp(ebb_rewrite *rw, ebb_norm_fusion *f, ebb_value v)
{
    const ebb_node *o = old(rw, v);
    ebb_value h = f->modulated[v], dh = o->in[3], g;
    ebb_node n = ebb_rewrite_node(rw, v);
    int superfluous = 1;
    modulation m;

    bool modulated = h != EBB_NONE && is_modulated(rw->from, h, &m) && is_scaled(rw->from, o->in[3], &dh, &m.factor);
    if (modulated) {
        g = m.norm;
        superfluous = absorbed_uses(rw, v, dh, g);
    } else {
        h = g = forward_of(rw, f, v);
    }
    if (g == EBB_NONE || f->norm_of[g] == EBB_NONE || old(rw, dh)->type != o->type)
        return EBB_NONE;
    n.op = EBB_OP_norm_vjp;
    n.attr.index = 0;
    n.in[3] = rw->map[dh];
    const ebb_node *slope = old(rw, dh);
    if (slope->op == EBB_OP_silu_vjp && slope->in[0] == h && rw->uses[dh] == superfluous &&
        old(rw, slope->in[1])->type == o->type) {
        n.in[3] = rw->map[slope->in[1]];
        n.attr.silu = 1;
    }
    n.in[4] = part(rw, f->norm_of[g], 1, EBB_SHAPE(n.shape.dim[0], n.attr.groups, 2));
    n.nin = 5;
    if (modulated)
        take_modulation(rw, &m, &n, 5);
    else
        take_shift(rw, f, o->in[0], &n, 5);
    return ebb_ir_add(rw->to, &n);
}

/* The new adjoint behind old v, made now unless something that it reads is still to come. */
static ebb_value adjoint_now(ebb_rewrite *rw, ebb_norm_fusion *f, ebb_value v)
{
    modulation m;
    is_modulated(rw->from, f->modulated[v], &m);
    bool ready = f->norm_of[m.norm] != EBB_NONE && rw->map[m.factor] != EBB_NONE && rw->map[m.offset] != EBB_NONE;
    if (rw->map[v] == EBB_NONE && ready)
        rw->map[v] = emit_norm_vjp(rw, f, v);
    return rw->map[v];
}

/* Sums over positions that an adjoint has already: of dx, when its norm has a shift; of the cotangent and of
 * its product with the norm, when that is modulated. */
static ebb_value fuse_sum(ebb_rewrite *rw, ebb_norm_fusion *f, ebb_value v)
{
    const ebb_node *n = old(rw, v), *summed = old(rw, n->in[0]);
    ebb_value of = rw->map[n->in[0]], adjoint = f->adjoint[n->in[0]];
    int index = 0;
    modulation m;

    if (!sums_inner(rw->from, v))
        return EBB_NONE;
    if (rw->to->node[of].op == EBB_OP_norm_vjp && rw->to->node[of].attr.index & EBB_HAS_SHIFT) {
        index = 3;
    } else if (adjoint != EBB_NONE) {
        index = 4;
    } else if (summed->op == EBB_OP_mul) {
        for (int side = 0; side < 2 && !index; side++) {
            adjoint = f->adjoint[summed->in[side]];
            if (adjoint != EBB_NONE && is_modulated(rw->from, f->modulated[adjoint], &m) && summed->in[!side] == m.norm)
                index = 3;
        }
    }
    if (index && adjoint != EBB_NONE)
        of = adjoint_now(rw, f, adjoint);
    if (!index || of == EBB_NONE)
        return EBB_NONE;
    ebb_shape channels = EBB_SHAPE(n->shape.dim[0], n->shape.dim[n->shape.rank - 1]);
    return ebb_ir_reshape(rw->to, part(rw, of, index, channels), n->shape);
}

ebb_value ebb_fuse_norm(ebb_rewrite *rw, ebb_norm_fusion *f, ebb_value v)
{
    switch (old(rw, v)->op) {
    case EBB_OP_group_norm:
    case EBB_OP_add:
    case EBB_OP_silu: return fuse_forward(rw, f, v);
    case EBB_OP_group_norm_vjp: return emit_norm_vjp(rw, f, v);
    case EBB_OP_sum: return fuse_sum(rw, f, v);
    default: return EBB_NONE;
    }
}
