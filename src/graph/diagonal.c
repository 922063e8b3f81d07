/* diagonal.c: derivatives of the pointwise operations.
 *
 * The one idea: the Jacobian of a pointwise operation in each input is diagonal, thus its own adjoint:
 * one rule, t -> t * dy/dx_i, serves reverse and forward mode. Rules reuse the node's own value y.
 */
#include "graph/rules.h"

typedef struct point {
    ebb_graph *g;
    ebb_value y;        /* the node */
    ebb_value a, b;     /* its inputs */
    int i;              /* in which of them */
    ebb_value t;        /* what is multiplied by the derivative */
} point;

static ebb_value times(const point *p, ebb_value slope)
{
    return ebb_mul(p->g, p->t, slope);
}

static ebb_value diagonal_affine(const point *p)
{
    return ebb_scale(p->g, p->t, p->g->node[p->y].attr.alpha);
}

static ebb_value diagonal_recip(const point *p)
{
    return ebb_neg(p->g, times(p, ebb_square(p->g, p->y)));
}

static ebb_value diagonal_exp(const point *p)
{
    return times(p, p->y);
}

static ebb_value diagonal_log(const point *p)
{
    return ebb_div(p->g, p->t, p->a);
}

static ebb_value diagonal_sqrt(const point *p)
{
    return ebb_scale(p->g, ebb_div(p->g, p->t, p->y), 0.5f);
}

static ebb_value diagonal_sin(const point *p)
{
    return times(p, ebb_cos(p->g, p->a));
}

static ebb_value diagonal_cos(const point *p)
{
    return ebb_neg(p->g, times(p, ebb_sin(p->g, p->a)));
}

static ebb_value diagonal_tanh(const point *p)
{
    return times(p, ebb_affine(p->g, ebb_square(p->g, p->y), -1, 1));
}

static ebb_value diagonal_sigmoid(const point *p)
{
    return times(p, ebb_mul(p->g, p->y, ebb_affine(p->g, p->y, -1, 1)));
}

static ebb_value diagonal_silu(const point *p)
{
    return ebb_silu_vjp(p->g, p->a, p->t);
}

static ebb_value diagonal_step(const point *p)
{
    (void)p;
    return EBB_NONE;
}

static ebb_value diagonal_add(const point *p)
{
    return p->t;
}

static ebb_value diagonal_sub(const point *p)
{
    return p->i == 0 ? p->t : ebb_neg(p->g, p->t);
}

static ebb_value diagonal_mul(const point *p)
{
    if (p->a != p->b)
        return times(p, p->i == 0 ? p->b : p->a);
    /* A square, in which both inputs move together: all of it is told for the first. */
    return p->i == 0 ? ebb_scale(p->g, times(p, p->a), 2) : EBB_NONE;
}

static ebb_value diagonal_div(const point *p)
{
    ebb_value in_a = ebb_div(p->g, p->t, p->b);
    return p->i == 0 ? in_a : ebb_neg(p->g, ebb_mul(p->g, in_a, p->y));
}

/* t where the mask says that input i was taken; ties go to b. */
static ebb_value taken(const point *p, ebb_value mask)
{
    return times(p, p->i == 0 ? mask : ebb_affine(p->g, mask, -1, 1));
}

static ebb_value diagonal_max(const point *p)
{
    return taken(p, ebb_step(p->g, ebb_sub(p->g, p->a, p->b)));
}

static ebb_value diagonal_min(const point *p)
{
    return taken(p, ebb_step(p->g, ebb_sub(p->g, p->b, p->a)));
}

#define DIAGONAL_LEAF(name) NULL
#define DIAGONAL_UNARY(name) diagonal_##name
#define DIAGONAL_BINARY(name) diagonal_##name
#define DIAGONAL_SHAPE(name) NULL
#define DIAGONAL_LINEAR(name) NULL
#define DIAGONAL_NONLIN(name) NULL
#define DIAGONAL_ADJOINT(name) NULL
#define DIAGONAL_STOP(name) NULL
#define DIAGONAL_FUSED(name) NULL
static ebb_value (*const diagonal_rule[EBB_OP_COUNT])(const point *) = {
#define OP(name, inputs, class) [EBB_OP_##name] = DIAGONAL_##class(name),
#include "graph/ops.def"
#undef OP
};

ebb_value ebb_diagonal(ebb_graph *g, ebb_value v, int i, ebb_value t)
{
    const ebb_node *n = &g->node[v];
    point p = { .g = g, .y = v, .a = n->in[0], .b = n->nin > 1 ? n->in[1] : EBB_NONE, .i = i, .t = t };
    return diagonal_rule[n->op](&p);
}
