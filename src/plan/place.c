/* place.c: which memory each value takes.
 *
 * Values that live at different times share bytes: buffers are placed one after the other at the lowest
 * offset that is free throughout their lifetime (greedy by size; Pisarchyk & Lee 2020). A node whose kernel may
 * write over an input that ends with it takes over that input's memory.
 */
#include <stdlib.h>

#include "plan/internal.h"

enum { ALIGN = 64 };

int ebb_node_outputs(const ebb_node *n)
{
    switch (n->op) {
    case EBB_OP_norm:
    case EBB_OP_attention: return 2;
    case EBB_OP_attention_vjp:
    case EBB_OP_attention_vjp_kept:
    case EBB_OP_group_norm_vjp: return 3;
    case EBB_OP_norm_vjp: return n->attr.index & EBB_HAS_SCALE_SHIFT ? 5 : n->attr.index & EBB_HAS_SHIFT ? 4 : 3;
    default: return 1;
    }
}

ebb_shape ebb_node_part_shape(const ebb_node *n, int part)
{
    if (part == 0)
        return n->shape;
    if (n->op == EBB_OP_norm)
        return EBB_SHAPE(n->shape.dim[0], n->attr.groups, 2);
    if (n->op == EBB_OP_attention)
        return EBB_SHAPE(n->shape.dim[0], n->shape.dim[2], n->shape.dim[1]);
    if (n->op == EBB_OP_attention_vjp || n->op == EBB_OP_attention_vjp_kept)
        return EBB_SHAPE(n->shape.dim[0], n->attr.h, n->shape.dim[2], n->shape.dim[3]);
    int64_t c = n->shape.dim[n->shape.rank - 1];
    return part >= 3 ? EBB_SHAPE(n->shape.dim[0], c) : EBB_SHAPE(c);
}

/* Of the parts only cotangents of activations may be bfloat16; statistics and gradients of parameters are not. */
ebb_dtype ebb_node_part_type(const ebb_node *n, int part)
{
    bool activation = part == 0 || n->op == EBB_OP_attention_vjp || n->op == EBB_OP_attention_vjp_kept;
    return activation ? n->type : EBB_F32;
}

bool ebb_node_is_alias(const ebb_node *n) { return n->op == EBB_OP_reshape || n->op == EBB_OP_part; }

static bool is_leaf(const ebb_node *n)
{
    return n->op == EBB_OP_input || n->op == EBB_OP_param;
}

size_t ebb_node_part_bytes(const ebb_node *n, int part)
{
    return (size_t)ebb_shape_count(ebb_node_part_shape(n, part)) * ebb_dtype_bytes(ebb_node_part_type(n, part));
}

static size_t round_up(size_t x) { return (x + ALIGN - 1) / ALIGN * ALIGN; }

/* What a buffer takes up in an arena. */
static size_t slot_bytes(const ebb_buffer *b) { return round_up(b->bytes + ebb_guard_bytes()); }

/* The buffers of each node, in node order; aliases take those of their source. */
static ebb_status make_buffers(ebb_plan *p, const bool *runs)
{
    for (ebb_value v = 0; v < p->ir.count; v++) {
        const ebb_node *n = &p->ir.node[v];
        if (ebb_node_is_alias(n)) {
            p->buffer_of[v] = p->buffer_of[n->in[0]] + (n->op == EBB_OP_part ? n->attr.index : 0);
            continue;
        }
        int nout = ebb_node_outputs(n);
        EBB_TRY(ebb_grow(p->ctx, (void **)&p->buffer, &p->buffers_capacity, p->nbuffers + nout, sizeof *p->buffer));
        p->buffer_of[v] = p->nbuffers;
        for (int k = 0; k < nout; k++)
            p->buffer[p->nbuffers++] = (ebb_buffer){
                .home = n->op == EBB_OP_param ? EBB_HOME_PARAM : runs[v] ? EBB_HOME_ARENA : EBB_HOME_SHARED,
                .bytes = ebb_node_part_bytes(n, k), .index = n->attr.index,
                .first = INT32_MAX, .last = -1, .same_as = -1};
    }
    return EBB_OK;
}

static void fill_step(ebb_plan *p, ebb_value v)
{
    const ebb_node *n = &p->ir.node[v];
    ebb_plan_step *s = &p->step[p->nsteps++];
    s->node = v;
    for (int i = 0; i < n->nin; i++)
        s->in[i] = p->buffer_of[n->in[i]];
    for (int k = 0; k < ebb_node_outputs(n); k++)
        s->out[k] = p->buffer_of[v] + k;
}

/* Steps of prepare (what needs no input), by waves of dependence; then the others in node order. */
static void make_steps(ebb_plan *p, const bool *runs, int32_t *depth)
{
    int32_t deepest = 0;
    for (ebb_value v = 0; v < p->ir.count; v++) {
        const ebb_node *n = &p->ir.node[v];
        depth[v] = !is_leaf(n) && !ebb_node_is_alias(n);
        for (int i = 0; i < n->nin; i++)
            if (depth[n->in[i]] + !ebb_node_is_alias(n) > depth[v])
                depth[v] = depth[n->in[i]] + !ebb_node_is_alias(n);
        if (!runs[v] && depth[v] > deepest)
            deepest = depth[v];
    }
    for (int32_t d = 1; d <= deepest; d++)
        for (ebb_value v = 0; v < p->ir.count; v++) {
            const ebb_node *n = &p->ir.node[v];
            if (runs[v] || depth[v] != d || is_leaf(n) || ebb_node_is_alias(n))
                continue;
            p->wave[p->nsteps] = d;
            fill_step(p, v);
        }
    p->nprepare = p->nsteps;
    for (ebb_value v = 0; v < p->ir.count; v++)
        if (runs[v] && !is_leaf(&p->ir.node[v]) && !ebb_node_is_alias(&p->ir.node[v]))
            fill_step(p, v);
}

static void set_lifetimes(ebb_plan *p)
{
    for (ebb_value v = 0; v < p->ir.count; v++)
        if (p->ir.node[v].op == EBB_OP_input)
            p->buffer[p->buffer_of[v]].first = p->nprepare, p->buffer[p->buffer_of[v]].last = p->nprepare;
    for (int32_t t = p->nprepare; t < p->nsteps; t++) {
        const ebb_node *n = &p->ir.node[p->step[t].node];
        for (int k = 0; k < ebb_node_outputs(n); k++) {
            ebb_buffer *b = &p->buffer[p->step[t].out[k]];
            b->first = b->last = t;
        }
        for (int i = 0; i < n->nin; i++)
            p->buffer[p->step[t].in[i]].last = t;
    }
}

/* An output whose buffer is its own writes straight to the caller's memory. Others are copied to one:
 * plan.c has put a copying node before every output that is a leaf, an alias of one, or a repetition. */
static void mark_outputs(ebb_plan *p)
{
    for (int i = 0; i < p->noutputs; i++) {
        ebb_buffer *b = &p->buffer[p->output_buffer[i] = p->buffer_of[p->ir.output[i]]];
        b->home = EBB_HOME_OUTPUT;
        b->index = i;
        b->last = p->nsteps;
    }
}

static bool reads_whole(const ebb_plan *p, const ebb_node *n, int input)
{
    return ebb_shape_count(p->ir.node[n->in[input]].shape) == ebb_shape_count(n->shape);
}

/* The inputs that the kernel of n may overwrite with its output: a mask. */
static unsigned overwritable(const ebb_plan *p, const ebb_node *n)
{
    unsigned mask = 0;
    switch (n->op) {
    case EBB_OP_pointwise:
        for (int i = 0; i < n->nin; i++)
            mask |= (unsigned)reads_whole(p, n, i) << i;
        return mask;
    case EBB_OP_conv_packed:
    case EBB_OP_conv_dx_packed:
    case EBB_OP_linear: return n->attr.index & EBB_HAS_RESIDUAL ? 1u << (n->nin - 1) : 0;
    case EBB_OP_norm:
    case EBB_OP_softmax: return 1;
    case EBB_OP_norm_vjp: return 1u << 3;
    case EBB_OP_softmax_vjp: return 1u << 1;
    default: return 0;
    }
}

static bool read_twice(const ebb_plan_step *s, int nin, int input)
{
    int times = 0;
    for (int i = 0; i < nin; i++)
        times += s->in[i] == s->in[input];
    return times > 1;
}

static void share_in_place(ebb_plan *p)
{
    for (int32_t t = p->nprepare; t < p->nsteps; t++) {
        const ebb_plan_step *s = &p->step[t];
        const ebb_node *n = &p->ir.node[s->node];
        ebb_buffer *out = &p->buffer[s->out[0]];
        unsigned mask = out->home == EBB_HOME_ARENA ? overwritable(p, n) : 0;
        for (int i = 0; mask && i < n->nin; i++) {
            ebb_buffer *in = &p->buffer[s->in[i]];
            if (!(mask >> i & 1) || in->home != EBB_HOME_ARENA || in->last != t || in->bytes != out->bytes ||
                (read_twice(s, n->nin, i) && n->op != EBB_OP_pointwise))
                continue;
            out->same_as = s->in[i];
            break;
        }
    }
    /* A chain of takeovers is one buffer: the first, alive until the last ends. */
    for (int32_t b = 0; b < p->nbuffers; b++) {
        int32_t root = b;
        while (p->buffer[root].same_as >= 0)
            root = p->buffer[root].same_as;
        if (root != b) {
            p->buffer[b].same_as = root;
            if (p->buffer[b].last > p->buffer[root].last)
                p->buffer[root].last = p->buffer[b].last;
        }
    }
}

/* A buffer that needs room in the arena; placed: largest key first. */
typedef struct room { size_t key, offset; int32_t buffer; } room;

static int by_key(const void *a, const void *b)
{
    const room *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? 1 : -1;
    return x->buffer - y->buffer;
}

/* Lowest offset at which b overlaps none of the rooms given away so far that lives when it does. */
static size_t first_fit(const ebb_plan *p, const room *placed, int count, const ebb_buffer *b, bool keep_all)
{
    size_t offset = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < count; i++) {
            const ebb_buffer *q = &p->buffer[placed[i].buffer];
            bool together = keep_all || (q->first <= b->last && b->first <= q->last);
            size_t end = placed[i].offset + slot_bytes(q);
            if (together && offset < end && placed[i].offset < offset + slot_bytes(b)) {
                offset = end;
                moved = true;
            }
        }
    }
    return offset;
}

/* Bytes that all rooms take together; *top: the first that reaches as high. */
static size_t place_in_order(const ebb_plan *p, room *rooms, int count, bool keep_all, int *top)
{
    size_t arena = 0;
    qsort(rooms, (size_t)count, sizeof *rooms, by_key);
    for (int i = 0; i < count; i++) {
        const ebb_buffer *b = &p->buffer[rooms[i].buffer];
        rooms[i].offset = first_fit(p, rooms, i, b, keep_all);
        if (rooms[i].offset + slot_bytes(b) > arena) {
            arena = rooms[i].offset + slot_bytes(b);
            *top = i;
        }
    }
    return arena;
}

/* Largest first, or longest-lived first; each time, while all take more than is ever alive, again with what reached
 * highest before all others (squeaky wheel: Joslin & Clements 1999). The least of all tries stays. */
static void place_rooms(ebb_plan *p, room *rooms, int count, bool keep_all)
{
    enum { TRIES = 16 };
    size_t least = SIZE_MAX;
    int top = 0, tries = keep_all ? 1 : 2 * TRIES;
    for (int k = 0; k < tries && least > p->alive_bytes; k++) {
        for (int i = 0; k % TRIES == 0 && i < count; i++) {
            const ebb_buffer *b = &p->buffer[rooms[i].buffer];
            rooms[i].key = k == 0 ? b->bytes : (size_t)(b->last - b->first);
        }
        size_t bytes = place_in_order(p, rooms, count, keep_all, &top);
        for (int i = 0; bytes < least && i < count; i++)
            p->buffer[rooms[i].buffer].offset = rooms[i].offset;
        least = bytes < least ? bytes : least;
        if (count > 0)
            rooms[top].key = SIZE_MAX - 2 * TRIES + (size_t)k;
    }
    p->arena_bytes = count > 0 ? least : 0;
}

static bool needs_room(const ebb_buffer *b, const ebb_plan_options *options)
{
    bool bound = b->home == EBB_HOME_OUTPUT && options->bound_from > 0 && b->index >= options->bound_from &&
                 (options->bound_count == 0 || b->index < options->bound_from + options->bound_count);
    return b->home != EBB_HOME_PARAM && b->same_as < 0 && !bound;
}

static void find_peak(ebb_plan *p, const room *rooms, int count)
{
    for (int32_t t = p->nprepare; t < p->nsteps; t++) {
        size_t alive = 0;
        for (int i = 0; i < count; i++) {
            const ebb_buffer *b = &p->buffer[rooms[i].buffer];
            alive += b->first <= t && t <= b->last ? slot_bytes(b) : 0;
        }
        if (alive > p->alive_bytes) {
            p->alive_bytes = alive;
            p->peak = t;
        }
    }
}

static ebb_status set_offsets(ebb_plan *p, const ebb_plan_options *options)
{
    room *rooms = NULL;
    int count = 0;

    EBB_TRY(ebb_alloc(p->ctx, (void **)&rooms, (size_t)p->nbuffers, sizeof *rooms, "plan placement"));
    for (int32_t i = 0; i < p->nbuffers; i++) {
        ebb_buffer *b = &p->buffer[i];
        if (b->home == EBB_HOME_SHARED) {
            b->offset = p->shared_bytes;
            p->shared_bytes += round_up(b->bytes);
        } else if (needs_room(b, options)) {
            rooms[count++].buffer = i;
        }
    }
    find_peak(p, rooms, count);
    place_rooms(p, rooms, count, options->keep_all);
    for (int32_t i = 0; i < p->nbuffers; i++)
        if (p->buffer[i].same_as >= 0)
            p->buffer[i].offset = p->buffer[p->buffer[i].same_as].offset;
    ebb_free(rooms);
    return EBB_OK;
}

/* Outputs are per worker, even those of parameters alone: so is the buffer behind an alias. */
static void mark_running(const ebb_plan *p, ebb_value v, bool *runs)
{
    runs[v] = true;
    while (ebb_node_is_alias(&p->ir.node[v]))
        runs[v = p->ir.node[v].in[0]] = true;
}

ebb_status ebb_place(ebb_plan *p, const ebb_plan_options *options)
{
    size_t n = (size_t)p->ir.count;
    bool *runs = NULL;
    int32_t *depth = NULL;

    ebb_status st = ebb_alloc(p->ctx, (void **)&runs, n, sizeof *runs, "plan placement");
    if (st == EBB_OK)
        st = ebb_alloc(p->ctx, (void **)&depth, n, sizeof *depth, "plan placement");
    for (int i = 0; st == EBB_OK && i < p->noutputs; i++)
        mark_running(p, p->ir.output[i], runs);
    for (ebb_value v = 0; st == EBB_OK && v < p->ir.count; v++) {
        const ebb_node *node = &p->ir.node[v];
        runs[v] |= node->op == EBB_OP_input || node->attr.each_run;
        for (int i = 0; i < node->nin; i++)
            runs[v] |= runs[node->in[i]];
    }
    if (st == EBB_OK)
        st = make_buffers(p, runs);
    if (st == EBB_OK) {
        make_steps(p, runs, depth);
        set_lifetimes(p);
        mark_outputs(p);
        if (!options->keep_all)
            share_in_place(p);
        st = set_offsets(p, options);
    }
    ebb_free(runs);
    ebb_free(depth);
    return st;
}
