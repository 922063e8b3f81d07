/* derivatives.c: the table that both modes of differentiation keep: per node, a derivative of each part
 * and a mark. Rules append nodes while a mode walks the graph, so the table grows with it.
 */
#include "graph/rules.h"

void ebb_derivatives_cover(ebb_derivatives *s)
{
    ebb_graph *g = s->g;
    if (g->status != EBB_OK)
        return;
    void *d = s->d, *mark = s->mark;
    g->status = ebb_grow(g->ctx, &d, &s->d_capacity, g->count, sizeof *s->d);
    s->d = d;
    if (g->status == EBB_OK)
        g->status = ebb_grow(g->ctx, &mark, &s->mark_capacity, g->count, sizeof *s->mark);
    s->mark = mark;
    if (g->status != EBB_OK)
        return;
    for (; s->known < g->count; s->known++) {
        s->mark[s->known] = 0;
        for (int k = 0; k < EBB_PARTS_MAX; k++)
            s->d[s->known][k] = EBB_NONE;
    }
}

void ebb_derivatives_free(ebb_derivatives *s)
{
    ebb_free(s->d);
    ebb_free(s->mark);
}

int ebb_part_of(const ebb_node *n) { return n->op == EBB_OP_part ? n->attr.index : 0; }
