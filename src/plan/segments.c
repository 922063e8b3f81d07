/* segments.c: what activation checkpointing keeps (Griewank & Walther 2000; Chen et al. 2016, arXiv:1604.06174).
 *
 * The forward part is cut into segments. Kept is what the forward part itself carries over a cut, which for a
 * network of residual blocks is least between two blocks, and all of the last segment; the insides of the others are
 * computed again, each when the backward walk comes to it. With segments whose insides take at most S bytes, the
 * cuts that carry least are a shortest path over the nodes; of a row of S that with the smallest sum of S and the
 * bytes carried wins.
 */
#include <string.h>

#include "plan/recompute.h"

/* A cut behind node t. carried: least sum of bytes over it and the cuts before it; before: the last of these. */
typedef struct cut { size_t carried; int32_t before; } cut;

typedef struct cutting {
    size_t *over;                /* by node t: bytes that the forward part carries over a cut behind it */
    ebb_value *first, *next;     /* values by their last reader in the forward part: lists */
    cut *cuts, *best;
} cutting;

static bool carried_over(const ebb_again *a, ebb_value v, int32_t t) { return a->made[v] <= t && a->last[v] > t; }

/* The cheapest way to each node, with segments of at most `segment` bytes that cross; the last node is the end, which
 * carries nothing. What two cuts both carry counts once, and a value is carried over a row of cuts or none. */
static void find_cuts(const ebb_again *a, const cutting *c, size_t segment)
{
    for (int32_t t = 0; t <= a->turn; t++)
        c->cuts[t] = (cut){SIZE_MAX, EBB_NONE};
    for (int32_t s = EBB_NONE; s < a->turn; s++) {
        size_t base = s < 0 ? 0 : c->cuts[s].carried, both = s < 0 ? 0 : c->over[s], held = 0;
        for (int32_t t = s + 1; base < SIZE_MAX && t <= a->turn; t++) {
            held += ebb_again_crosses(a, t) ? a->bytes[t] : 0;
            if (held > segment)
                break;
            for (ebb_value v = c->first[t]; v >= 0; v = c->next[v])
                both -= a->made[v] <= s ? a->bytes[v] : 0;
            size_t carried = base + (t == a->turn ? 0 : c->over[t] - both);
            if (carried < c->cuts[t].carried)
                c->cuts[t] = (cut){carried, s};
        }
    }
}

static void prepare_cutting(const ebb_again *a, cutting *c)
{
    for (ebb_value v = 0; v <= a->turn; v++)
        c->first[v] = EBB_NONE;
    for (ebb_value v = 0; v <= a->turn; v++) {
        if (a->last[v] > a->made[v]) {
            c->next[v] = c->first[a->last[v]];
            c->first[a->last[v]] = v;
        }
        for (int32_t t = a->made[v]; t < a->last[v]; t++)
            c->over[t] += a->bytes[v];
    }
}

/* Tries sizes of segments, from all that crosses downwards in steps of an eighth. */
static void best_cuts(const ebb_again *a, cutting *c)
{
    enum { SIZES = 48 };
    size_t segment = 0, best = SIZE_MAX;
    for (ebb_value v = 0; v <= a->turn; v++)
        segment += ebb_again_crosses(a, v) ? a->bytes[v] : 0;
    for (int i = 0; i < SIZES; i++, segment -= segment / 8) {
        find_cuts(a, c, segment);
        size_t carried = c->cuts[a->turn].carried;
        if (carried == SIZE_MAX || carried + segment >= best)
            continue;
        best = carried + segment;
        memcpy(c->best, c->cuts, (size_t)(a->turn + 1) * sizeof *c->best);
    }
}

/* Kept is what the cuts carry, the last segment, and what is small. */
static void keep_carried(ebb_again *a, const cut *cuts)
{
    size_t small = ebb_recompute_small(a);
    int32_t end = cuts[a->turn].before;
    for (ebb_value v = 0; v <= a->turn; v++)
        a->kept[v] |= (a->made[v] > end && !a->ir->node[v].attr.each_run) ||
                      (ebb_again_crosses(a, v) && a->bytes[v] <= small);
    for (int32_t t = end; t >= 0; t = cuts[t].before)
        for (ebb_value v = 0; v <= t; v++)
            a->kept[v] |= carried_over(a, v, t);
}

ebb_status ebb_recompute_segments(ebb_again *a)
{
    ebb_context *ctx = a->ir->ctx;
    size_t n = (size_t)a->turn + 1;
    cutting c = {0};
    ebb_status st = ebb_alloc(ctx, (void **)&c.over, n, sizeof *c.over, "plan pass");
    if (st == EBB_OK)
        st = ebb_alloc(ctx, (void **)&c.first, n, 2 * sizeof *c.first, "plan pass");
    if (st == EBB_OK)
        st = ebb_alloc(ctx, (void **)&c.cuts, n, 2 * sizeof *c.cuts, "plan pass");
    if (st == EBB_OK) {
        c.next = c.first + n;
        c.best = c.cuts + n;
        prepare_cutting(a, &c);
        best_cuts(a, &c);
        keep_carried(a, c.best);
    }
    ebb_free(c.over);
    ebb_free(c.first);
    ebb_free(c.cuts);
    return st;
}
