/* attention.c: derivatives of attention written out in matrix products and softmax.
 *
 * The one idea: attention and its first derivative never hold a value of tokens x tokens numbers; the tangent and
 * what is differentiated once more do, as heads in front: (N,T,H,D) -> (N,H,T,D).
 */
#include "graph/rules.h"

/* Tokens and heads change places; its own inverse. */
static ebb_value swap(ebb_graph *g, ebb_value x)
{
    return ebb_transpose(g, x, (const int[]){ 0, 2, 1, 3 });
}

/* Sum in which EBB_NONE is zero. */
static ebb_value plus(ebb_graph *g, ebb_value a, ebb_value b)
{
    if (a == EBB_NONE || b == EBB_NONE)
        return a == EBB_NONE ? b : a;
    return ebb_add(g, a, b);
}

/* p = softmax(scale q k'): to = tp v + p tv, with tp from tq k' + q tk' by the softmax, which is symmetric. */
ebb_value ebb_attention_tangent(ebb_graph *g, const ebb_node *n, const ebb_value t[3])
{
    float scale = n->attr.alpha;
    ebb_value q = swap(g, n->in[0]), k = swap(g, n->in[1]), v = swap(g, n->in[2]), score = EBB_NONE, sum = EBB_NONE;
    ebb_value p = ebb_softmax(g, ebb_matmul(g, q, k, false, true), scale);
    if (t[0] != EBB_NONE)
        score = ebb_matmul(g, swap(g, t[0]), k, false, true);
    if (t[1] != EBB_NONE)
        score = plus(g, score, ebb_matmul(g, q, swap(g, t[1]), false, true));
    if (score != EBB_NONE)
        sum = ebb_matmul(g, ebb_softmax_vjp(g, p, score, scale), v, false, false);
    if (t[2] != EBB_NONE)
        sum = plus(g, sum, ebb_matmul(g, p, swap(g, t[2]), false, false));
    return swap(g, sum);
}

ebb_value ebb_attention_cotangents(ebb_graph *g, const ebb_node *n, ebb_value *parts)
{
    float scale = n->attr.alpha;
    ebb_value q = swap(g, n->in[0]), k = swap(g, n->in[1]), v = swap(g, n->in[2]), dy = swap(g, n->in[3]);
    ebb_value p = ebb_softmax(g, ebb_matmul(g, q, k, false, true), scale);
    ebb_value ds = ebb_softmax_vjp(g, p, ebb_matmul(g, dy, v, false, true), scale);
    parts[1] = swap(g, ebb_matmul(g, ds, q, true, false));
    parts[2] = swap(g, ebb_matmul(g, p, dy, true, false));
    return swap(g, ebb_matmul(g, ds, k, false, false));
}
