/* recompute.c: what a run computes a second time, so as not to keep it: less memory for more arithmetic.
 *
 * The turning point is the step at which most bytes are alive: in a training graph the end of the forward
 * part. A value made before it and read after it takes up memory at the worst time. Such a value may be
 * dropped: the first reader behind the turning point then gets a second copy of the nodes that made it, from
 * what is kept. The same kernels see the same inputs, so no bit changes.
 *
 *   low     dropped is what is cheap to make (norms, pointwise chains, copies) where the inputs that have to stay
 *           for it take less. All products are computed once.
 *   least   of most of the forward part only what its segments begin with stays (segments.c).
 *   auto    low where more than AUTO_BYTES would be alive at once, else nothing.
 *
 * Large weights are packed again in every run, right before their reader, where prepare would have to pack them for
 * every few runs anyway: a packed form is written and read in the caches, where all of them together would go through
 * memory. Where products are few, packing costs more than they do, and prepare does it once for all shards.
 */
#include "plan/recompute.h"

static ebb_value root_of(const ebb_ir *ir, ebb_value v)
{
    while (ir->node[v].op == EBB_OP_reshape)
        v = ir->node[v].in[0];
    return v;
}

bool ebb_again_crosses(const ebb_again *a, ebb_value v) { return a->made[v] <= a->turn && a->end[v] > a->turn; }

/* ---- packed weights ---------------------------------------------------------------------------- */

/* What prepare packs for n to read, or EBB_NONE. */
static ebb_value packed_for(const ebb_ir *ir, const ebb_node *n)
{
    ebb_op op = n->nin > 1 ? ir->node[n->in[1]].op : EBB_OP_COUNT;
    return op == EBB_OP_conv_pack || op == EBB_OP_conv_pack_dx ? n->in[1] : EBB_NONE;
}

void ebb_pack_in_runs(ebb_ir *ir)
{
    enum { LARGE = 2 << 20, ROWS = 128 };        /* bytes that leave a core's own caches; pixels of a run */
    for (ebb_value v = 0; v < ir->count; v++) {
        const ebb_node *n = &ir->node[v];
        ebb_value pack = packed_for(ir, n);
        int64_t rows = ebb_shape_count(n->shape) / (n->shape.rank > 0 ? n->shape.dim[n->shape.rank - 1] : 1);
        if (pack != EBB_NONE && rows >= ROWS && ebb_node_part_bytes(&ir->node[pack], 0) >= LARGE)
            ir->node[pack].attr.each_run = true;
    }
}

/* ---- lifetimes --------------------------------------------------------------------------------- */

static size_t bytes_of(const ebb_ir *ir, ebb_value v)
{
    const ebb_node *n = &ir->node[v];
    if (n->op == EBB_OP_part)
        return ebb_node_part_bytes(&ir->node[root_of(ir, n->in[0])], n->attr.index);
    return ebb_node_is_alias(n) || n->op == EBB_OP_input || n->op == EBB_OP_param ? 0 : ebb_node_part_bytes(n, 0);
}

/* The readers of v up to node `upto`: the last of them. */
static void note_readers(const ebb_ir *ir, int32_t upto, int32_t *last)
{
    for (ebb_value v = 0; v <= upto; v++)
        for (int i = 0; i < ir->node[v].nin; i++)
            last[root_of(ir, ir->node[v].in[i])] = v;
}

static void set_lifetimes(ebb_again *a)
{
    const ebb_ir *ir = a->ir;
    for (ebb_value v = 0; v < ir->count; v++) {
        const ebb_node *n = &ir->node[v];
        a->runs[v] = n->op == EBB_OP_input || n->attr.each_run;
        for (int i = 0; i < n->nin; i++)
            a->runs[v] |= a->runs[n->in[i]];
        a->bytes[v] = a->runs[v] ? bytes_of(ir, v) : 0;
        a->made[v] = n->op == EBB_OP_part ? root_of(ir, n->in[0]) : v;
        a->end[v] = a->last[v] = v;
        a->copy[v] = EBB_NONE;
        a->kept[v] = !a->runs[v] || n->op == EBB_OP_input;
    }
    note_readers(ir, ir->count - 1, a->end);
    /* The caller has memory for outputs. */
    for (int i = 0; i < ir->noutputs; i++) {
        ebb_value v = root_of(ir, ir->output[i]);
        a->bytes[v] = 0;
        a->kept[v] = true;
    }
}

/* The node while which most bytes are alive. change: ir->count + 1 zeros. */
static int32_t turning_point(const ebb_again *a, int64_t *change, int64_t *most)
{
    int64_t alive = 0;
    int32_t turn = 0;
    *most = 0;
    for (ebb_value v = 0; v < a->ir->count; v++) {
        change[a->made[v]] += (int64_t)a->bytes[v];
        change[a->end[v] + 1] -= (int64_t)a->bytes[v];
    }
    for (ebb_value v = 0; v < a->ir->count; v++) {
        alive += change[v];
        if (alive > *most) {
            *most = alive;
            turn = v;
        }
    }
    return turn;
}

/* ---- low --------------------------------------------------------------------------------------- */

static bool is_cheap(const ebb_again *a, ebb_value v)
{
    switch (a->ir->node[v].op) {
    case EBB_OP_pointwise:
    case EBB_OP_constant:
    case EBB_OP_dropout_mask:
    case EBB_OP_norm:
    case EBB_OP_group_norm:
    case EBB_OP_transpose:
    case EBB_OP_slice:
    case EBB_OP_pad:
    case EBB_OP_concat:
    case EBB_OP_up2:
    case EBB_OP_down2: return true;
    default: return false;
    }
}

/* Bytes that have to stay beyond the turning point for v to be made again behind it; `claim` makes them stay.
 * A long way back is not cheap. */
static size_t bytes_to_stay(ebb_again *a, ebb_value v, int depth, bool claim)
{
    enum { FAR = 4 };
    const ebb_node *n = &a->ir->node[v];
    size_t sum = depth > FAR ? SIZE_MAX / 2 : 0;
    for (int i = 0; i < n->nin && sum < SIZE_MAX / 2; i++) {
        ebb_value u = root_of(a->ir, n->in[i]);
        if (!a->kept[u])
            sum += bytes_to_stay(a, u, depth + 1, claim);
        else if (!ebb_again_crosses(a, u))
            sum += a->bytes[u];
        if (a->kept[u] && claim && a->end[u] < a->end[v])
            a->end[u] = a->end[v];
    }
    return sum;
}

/* Too small to be worth a step of its own. */
size_t ebb_recompute_small(const ebb_again *a)
{
    enum { WORTH = 256 };
    size_t largest = 0;
    for (ebb_value v = 0; v <= a->turn; v++)
        if (ebb_again_crosses(a, v) && a->bytes[v] > largest)
            largest = a->bytes[v];
    return largest / WORTH;
}

/* Kept is what is not cheap, and each cheap value that crosses and saves nothing. */
static void keep_products(ebb_again *a)
{
    size_t small = ebb_recompute_small(a);
    for (ebb_value v = 0; v <= a->turn; v++) {
        if (!is_cheap(a, v))
            a->kept[v] |= !a->ir->node[v].attr.each_run;
        else if (ebb_again_crosses(a, v) && !a->kept[v]) {
            a->kept[v] = a->bytes[v] <= small || bytes_to_stay(a, v, 0, false) >= a->bytes[v];
            if (!a->kept[v])
                bytes_to_stay(a, v, 0, true);
        }
    }
}

/* ---- the pass ---------------------------------------------------------------------------------- */

/* Old value v for a reader behind the turning point. */
static ebb_value value_again(ebb_rewrite *rw, ebb_again *a, ebb_value v)
{
    if (v > a->turn || a->kept[root_of(a->ir, v)])
        return rw->map[v];
    if (a->copy[v] == EBB_NONE) {
        ebb_node n = a->ir->node[v];
        for (int i = 0; i < n.nin; i++)
            n.in[i] = value_again(rw, a, n.in[i]);
        a->copy[v] = ebb_ir_add(rw->to, &n);
    }
    return a->copy[v];
}

static ebb_value rule(ebb_rewrite *rw, ebb_value v)
{
    ebb_again *a = rw->state;
    ebb_node n = a->ir->node[v];
    for (int i = 0; i < n.nin; i++)
        n.in[i] = v > a->turn ? value_again(rw, a, n.in[i]) : rw->map[n.in[i]];
    return ebb_ir_add(rw->to, &n);
}

static ebb_status run_pass(ebb_ir *ir, ebb_again *a, ebb_plan_memory memory, int64_t *change)
{
    const int64_t AUTO_BYTES = 256 << 20;
    int64_t most;
    set_lifetimes(a);
    a->turn = turning_point(a, change, &most);
    if (memory == EBB_MEMORY_AUTO && most <= AUTO_BYTES)
        return EBB_OK;
    for (ebb_value v = 0; v < ir->count; v++)
        a->last[v] = v;
    note_readers(ir, a->turn, a->last);
    if (memory == EBB_MEMORY_LEAST)
        EBB_TRY(ebb_recompute_segments(a));
    else
        keep_products(a);
    return ebb_rewrite_run(ir, rule, a);
}

ebb_status ebb_recompute(ebb_ir *ir, ebb_plan_memory memory)
{
    size_t n = (size_t)ir->count + 1;
    ebb_again a = {.ir = ir};
    int64_t *change = NULL;
    struct { void **at; size_t size; } arrays[] = {
        {(void **)&a.runs, sizeof *a.runs}, {(void **)&a.kept, sizeof *a.kept}, {(void **)&a.bytes, sizeof *a.bytes},
        {(void **)&a.made, sizeof *a.made}, {(void **)&a.last, sizeof *a.last}, {(void **)&a.end, sizeof *a.end},
        {(void **)&a.copy, sizeof *a.copy}, {(void **)&change, sizeof *change},
    };
    enum { ARRAYS = sizeof arrays / sizeof *arrays };
    ebb_status st = EBB_OK;
    if (memory == EBB_MEMORY_PREPARED || memory == EBB_MEMORY_NORMAL || ir->count == 0)
        return EBB_OK;
    for (int i = 0; st == EBB_OK && i < ARRAYS; i++)
        st = ebb_alloc(ir->ctx, arrays[i].at, n, arrays[i].size, "plan pass");
    if (st == EBB_OK)
        st = run_pass(ir, &a, memory, change);
    for (int i = 0; i < ARRAYS; i++)
        ebb_free(*arrays[i].at);
    return st;
}
