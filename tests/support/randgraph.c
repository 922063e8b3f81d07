/* randgraph.c: one make_<op> for each operation of ops.def: it takes a random value `a` of the pool, and
 * returns EBB_NONE when that does not fit. */
#include "support/randgraph.h"

#include <math.h>
#include <stdio.h>

#define POOL 256

/* A value with a guess at the root mean square of its numbers. */
typedef struct item { ebb_value v; double size; } item;

typedef struct maker {
    ebb_graph *g;
    ebb_rng_at at;
    uint32_t drawn;
    item pool[POOL];
    int count;
    double size;        /* of what make_<op> just made */
} maker;

/* ---- choices ----------------------------------------------------------------------------- */

static int below(maker *r, int n)
{
    return (int)ebb_rng_below(&r->at, r->drawn++, (uint32_t)n);
}

static int between(maker *r, int low, int high)
{
    return low + below(r, high - low + 1);
}

static ebb_shape shape(const maker *r, item a)
{
    return ebb_graph_shape(r->g, a.v);
}

static int64_t count(const maker *r, item a)
{
    return ebb_shape_count(shape(r, a));
}

/* Of the pool, rather a late one. */
static item pick(maker *r)
{
    int i = below(r, r->count), j = below(r, r->count);
    return r->pool[i > j ? i : j];
}

static item new_leaf(maker *r, ebb_shape s)
{
    char name[32];
    snprintf(name, sizeof name, "leaf%d", r->g->ninputs + r->g->nparams);
    ebb_value v = below(r, 2) ? ebb_input(r->g, name, EBB_F32, s)
                              : ebb_param(r->g, name, s, EBB_INIT_UNIFORM, 1, EBB_LAYOUT_PLAIN);
    return (item){ v, 0.6 };
}

/* A second operand of the given shape: often one of the pool, now and then a constant. */
static item other(maker *r, ebb_shape s)
{
    for (int i = 0; i < 8; i++) {
        item a = pick(r);
        if (ebb_shape_equal(shape(r, a), s))
            return a;
    }
    if (below(r, 8) == 0)
        return (item){ ebb_constant(r->g, s, 0.25f * (float)between(r, -4, 4)), 0.6 };
    return new_leaf(r, s);
}

static ebb_value index_leaf(maker *r, int64_t n)
{
    char name[32];
    snprintf(name, sizeof name, "index%d", r->g->ninputs);
    return ebb_input(r->g, name, EBB_I32, EBB_SHAPE(n));
}

static ebb_value sized(maker *r, double size, ebb_value v)
{
    r->size = size;
    return v;
}

/* 1 + a^2: away from the poles of 1/x, log x and the like. */
static ebb_value safe(maker *r, item a)
{
    return ebb_affine(r->g, ebb_square(r->g, a.v), 1, 1);
}

/* ---- pointwise --------------------------------------------------------------------------- */

static ebb_value make_affine(maker *r, item a)
{
    float alpha = 0.25f * (float)between(r, -5, 5), beta = 0.25f * (float)between(r, -2, 2);
    return sized(r, a.size + 0.5, ebb_affine(r->g, a.v, alpha, beta));
}

#define UNARY(name, result, argument)                                       \
    static ebb_value make_##name(maker *r, item a)                          \
    {                                                                       \
        return sized(r, result, ebb_##name(r->g, argument));                \
    }
UNARY(recip, 0.7, safe(r, a))
UNARY(exp, 1.5, ebb_sin(r->g, a.v))
UNARY(log, a.size, safe(r, a))
UNARY(sqrt, 1 + a.size, safe(r, a))
UNARY(sin, 0.6, a.v)
UNARY(cos, 0.8, a.v)
UNARY(tanh, 0.6, a.v)
UNARY(sigmoid, 0.6, a.v)
UNARY(silu, a.size, a.v)
UNARY(step, 0.7, ebb_affine(r->g, a.v, 1, 0.137f))
UNARY(stop_gradient, a.size, a.v)

/* b of a's shape, or one that stretches to it. */
static item partner(maker *r, item a)
{
    ebb_shape s = shape(r, a);
    if (below(r, 3))
        return other(r, s);
    int drop = below(r, s.rank + 1);
    ebb_shape t = ebb_shape_from(s.rank - drop, s.dim + drop);
    for (int i = 0; i < t.rank; i++)
        if (below(r, 3) == 0)
            t.dim[i] = 1;
    return other(r, t);
}

#define BINARY(name, result, second)                                        \
    static ebb_value make_##name(maker *r, item a)                          \
    {                                                                       \
        item b = partner(r, a);                                             \
        return sized(r, result, ebb_##name(r->g, a.v, second));             \
    }
BINARY(add, a.size + b.size, b.v)
BINARY(sub, a.size + b.size, b.v)
BINARY(mul, 1.5 * a.size * b.size, b.v)
BINARY(div, a.size, safe(r, b))
/* Shifted, so that equal zeros are no tie on whose rounding the derivative depends. */
BINARY(max, a.size + b.size, ebb_affine(r->g, b.v, 1, 0.137f))
BINARY(min, a.size + b.size, ebb_affine(r->g, b.v, 1, -0.137f))

static ebb_value make_silu_vjp(maker *r, item a)
{
    item b = other(r, shape(r, a));
    return sized(r, b.size, ebb_silu_vjp(r->g, a.v, b.v));
}

/* ---- sums and shapes --------------------------------------------------------------------- */

static ebb_value make_sum(maker *r, item a)
{
    uint32_t axes = (uint32_t)below(r, 1 << shape(r, a).rank);
    ebb_value v = ebb_sum(r->g, a.v, axes);
    double terms = (double)(count(r, a) / ebb_shape_count(ebb_graph_shape(r->g, v)));
    return sized(r, a.size * terms, v);
}

static ebb_value make_broadcast(maker *r, item a)
{
    ebb_shape s = shape(r, a);
    int grow = s.rank < EBB_RANK_MAX ? below(r, 2) : 0;
    ebb_shape t = { .rank = s.rank + grow };
    for (int i = 0; i < t.rank; i++) {
        int64_t have = i < grow ? 1 : s.dim[i - grow];
        t.dim[i] = have == 1 ? between(r, 1, 4) : have;
    }
    return ebb_shape_count(t) > RANDGRAPH_COUNT ? EBB_NONE : sized(r, a.size, ebb_broadcast(r->g, a.v, t));
}

/* Merges two neighbouring axes, or splits one. */
static ebb_value make_reshape(maker *r, item a)
{
    ebb_shape s = shape(r, a), t = { 0 };
    if (s.rank == 0)
        return EBB_NONE;
    int at = below(r, s.rank);
    bool split = s.rank < EBB_RANK_MAX && (at == s.rank - 1 || below(r, 2));
    for (int i = 0; i < s.rank; i++) {
        if (i == at && split) {
            int64_t first = s.dim[i] % 2 ? 1 : 2;
            t.dim[t.rank++] = first;
            t.dim[t.rank++] = s.dim[i] / first;
        } else if (i == at && i + 1 < s.rank) {
            t.dim[t.rank++] = s.dim[i] * s.dim[i + 1];
            i++;
        } else {
            t.dim[t.rank++] = s.dim[i];
        }
    }
    return sized(r, a.size, ebb_reshape(r->g, a.v, t));
}

static ebb_value make_transpose(maker *r, item a)
{
    int rank = shape(r, a).rank, perm[EBB_RANK_MAX];
    for (int i = 0; i < rank; i++) {
        int j = below(r, i + 1);
        perm[i] = i;
        perm[i] = perm[j];
        perm[j] = i;
    }
    return sized(r, a.size, ebb_transpose(r->g, a.v, perm));
}

static ebb_value make_slice(maker *r, item a)
{
    ebb_shape s = shape(r, a);
    if (s.rank == 0)
        return EBB_NONE;
    int axis = below(r, s.rank);
    int64_t begin = below(r, (int)s.dim[axis]), end = begin + 1 + below(r, (int)(s.dim[axis] - begin));
    return sized(r, a.size, ebb_slice(r->g, a.v, axis, begin, end));
}

static ebb_value make_pad(maker *r, item a)
{
    ebb_shape s = shape(r, a);
    if (s.rank == 0 || 4 * count(r, a) > RANDGRAPH_COUNT)
        return EBB_NONE;
    int axis = below(r, s.rank), before = below(r, 3), after = below(r, 2);
    return sized(r, a.size, ebb_pad(r->g, a.v, axis, before, after));
}

static ebb_value make_concat(maker *r, item a)
{
    ebb_shape s = shape(r, a);
    if (s.rank == 0 || 4 * count(r, a) > RANDGRAPH_COUNT)
        return EBB_NONE;
    int axis = below(r, s.rank);
    s.dim[axis] = between(r, 1, (int)s.dim[axis] + 1);
    item b = other(r, s);
    bool swap = below(r, 2);
    return sized(r, fmax(a.size, b.size), ebb_concat(r->g, swap ? b.v : a.v, swap ? a.v : b.v, axis));
}

/* ---- products and pictures --------------------------------------------------------------- */

static ebb_value make_matmul(maker *r, item a)
{
    ebb_shape s = shape(r, a), t = s;
    bool ta = below(r, 2), tb = below(r, 2);
    if (s.rank < 2)
        return EBB_NONE;
    int64_t inner = s.dim[ta ? s.rank - 2 : s.rank - 1], rows = count(r, a) / inner, cols = between(r, 1, 7);
    if (rows * cols > RANDGRAPH_COUNT || count(r, a) / s.dim[s.rank - 1] * cols > 4 * RANDGRAPH_COUNT)
        return EBB_NONE;
    t.dim[s.rank - 2] = tb ? cols : inner;
    t.dim[s.rank - 1] = tb ? inner : cols;
    item b = other(r, t);
    return sized(r, a.size * b.size * sqrt((double)inner), ebb_matmul(r->g, a.v, b.v, ta, tb));
}

/* Geometry of a convolution of an h x w picture; false: nothing fits. */
static bool geometry(maker *r, int64_t h, int64_t w, ebb_attr *c)
{
    *c = (ebb_attr){ .kh = between(r, 1, 3) };
    c->kw = between(r, 1, 3);
    c->stride = between(r, 1, 2);
    c->pad_top = below(r, c->kh);
    c->pad_left = below(r, c->kw);
    c->h = (h + c->pad_top + below(r, c->kh) - c->kh) / c->stride + 1;
    c->w = (w + c->pad_left + below(r, c->kw) - c->kw) / c->stride + 1;
    return h + c->pad_top >= c->kh && w + c->pad_left >= c->kw && c->h > 0 && c->w > 0;
}

static ebb_value make_conv(maker *r, item a)
{
    ebb_shape s = shape(r, a);
    ebb_attr c;
    if (s.rank != 4 || !geometry(r, s.dim[1], s.dim[2], &c))
        return EBB_NONE;
    int64_t out = between(r, 1, 9);
    if (s.dim[0] * c.h * c.w * out > RANDGRAPH_COUNT)
        return EBB_NONE;
    item w = other(r, EBB_SHAPE(c.kh, c.kw, s.dim[3], out));
    return sized(r, a.size * w.size * sqrt((double)(c.kh * c.kw * s.dim[3])),
                 ebb_conv(r->g, a.v, w.v, c.stride, c.pad_top, c.pad_left, c.h, c.w));
}

/* From a to a picture that a could be the convolution of. */
static ebb_value make_conv_dx(maker *r, item a)
{
    ebb_shape s = shape(r, a);
    if (s.rank != 4)
        return EBB_NONE;
    int64_t h = s.dim[1] * between(r, 1, 2), w = s.dim[2] * between(r, 1, 2), in = between(r, 1, 9);
    int kh = between(r, 1, 3), kw = between(r, 1, 3), stride = between(r, 1, 2);
    int top = below(r, kh), left = below(r, kw);
    if (s.dim[0] * h * w * in > RANDGRAPH_COUNT)
        return EBB_NONE;
    item k = other(r, EBB_SHAPE(kh, kw, in, s.dim[3]));
    return sized(r, a.size * k.size * sqrt((double)(kh * kw * s.dim[3])),
                 ebb_conv_dx(r->g, a.v, k.v, stride, top, left, h, w));
}

static ebb_value make_conv_dw(maker *r, item a)
{
    ebb_shape s = shape(r, a);
    ebb_attr c;
    if (s.rank != 4 || !geometry(r, s.dim[1], s.dim[2], &c))
        return EBB_NONE;
    int64_t out = between(r, 1, 9);
    if (s.dim[0] * c.h * c.w * out > RANDGRAPH_COUNT)
        return EBB_NONE;
    item dy = other(r, EBB_SHAPE(s.dim[0], c.h, c.w, out));
    return sized(r, a.size * dy.size * sqrt((double)(s.dim[0] * c.h * c.w)),
                 ebb_conv_dw(r->g, a.v, dy.v, c.stride, c.pad_top, c.pad_left, c.kh, c.kw));
}

static ebb_value make_up2(maker *r, item a)
{
    bool fits = shape(r, a).rank == 4 && 4 * count(r, a) <= RANDGRAPH_COUNT;
    return fits ? sized(r, a.size, ebb_up2(r->g, a.v)) : EBB_NONE;
}

static ebb_value make_down2(maker *r, item a)
{
    ebb_shape s = shape(r, a);
    bool fits = s.rank == 4 && s.dim[1] % 2 == 0 && s.dim[2] % 2 == 0;
    return fits ? sized(r, 3 * a.size, ebb_down2(r->g, a.v)) : EBB_NONE;
}

/* ---- the rest ---------------------------------------------------------------------------- */

/* A divisor of the channels of a, or 0 when a cannot be normalised. */
static int groups_of(maker *r, item a)
{
    ebb_shape s = shape(r, a);
    if (s.rank < 2)
        return 0;
    int channels = (int)s.dim[s.rank - 1], groups = between(r, 1, channels);
    while (channels % groups)
        groups--;
    return groups;
}

/* Large, lest flat groups make everything after them ill-conditioned. */
#define NORM_EPS 0.05f

static ebb_value make_group_norm(maker *r, item a)
{
    int groups = groups_of(r, a);
    if (groups == 0)
        return EBB_NONE;
    ebb_shape c = EBB_SHAPE(shape(r, a).dim[shape(r, a).rank - 1]);
    item gamma = other(r, c), beta = other(r, c);
    return sized(r, gamma.size + beta.size, ebb_group_norm(r->g, a.v, gamma.v, beta.v, groups, NORM_EPS));
}

static ebb_value make_group_norm_vjp(maker *r, item a)
{
    int groups = groups_of(r, a);
    if (groups == 0)
        return EBB_NONE;
    ebb_shape c = EBB_SHAPE(shape(r, a).dim[shape(r, a).rank - 1]);
    item gamma = other(r, c), beta = other(r, c), dy = other(r, shape(r, a));
    return sized(r, 3 * gamma.size * dy.size,
                 ebb_group_norm_vjp(r->g, a.v, gamma.v, beta.v, dy.v, groups, NORM_EPS));
}

/* Keys and values for the queries a; false: a is none, or there would be too many products. */
static bool keys_of(maker *r, item a, item *k, item *v)
{
    ebb_shape s = shape(r, a);
    if (s.rank != 4)
        return false;
    s.dim[1] = between(r, 1, 6);
    if (ebb_shape_count(s) > RANDGRAPH_COUNT || count(r, a) * s.dim[1] > 4 * RANDGRAPH_COUNT)
        return false;
    *k = other(r, s);
    *v = other(r, s);
    return true;
}

static ebb_value make_attention(maker *r, item a)
{
    item k, v;
    if (!keys_of(r, a, &k, &v))
        return EBB_NONE;
    return sized(r, v.size, ebb_attention(r->g, a.v, k.v, v.v, 0.25f * (float)between(r, 1, 3)));
}

static ebb_value make_attention_vjp(maker *r, item a)
{
    item k, v;
    if (!keys_of(r, a, &k, &v))
        return EBB_NONE;
    item dy = other(r, shape(r, a));
    return sized(r, 3 * k.size * v.size * dy.size,
                 ebb_attention_vjp(r->g, a.v, k.v, v.v, dy.v, 0.25f * (float)between(r, 1, 3)));
}

static ebb_value make_part(maker *r, item a)
{
    ebb_value whole = below(r, 2) ? make_group_norm_vjp(r, a) : make_attention_vjp(r, a);
    return whole == EBB_NONE ? EBB_NONE : sized(r, 10, ebb_part(r->g, whole, between(r, 1, 2)));
}

static ebb_value make_softmax(maker *r, item a)
{
    if (shape(r, a).rank == 0)
        return EBB_NONE;
    return sized(r, 0.4, ebb_softmax(r->g, a.v, 0.5f * (float)between(r, 1, 3)));
}

static ebb_value make_softmax_vjp(maker *r, item a)
{
    if (shape(r, a).rank == 0)
        return EBB_NONE;
    item y = other(r, shape(r, a));
    float scale = 0.5f * (float)between(r, 1, 3);
    return sized(r, 2 * a.size, ebb_softmax_vjp(r->g, ebb_softmax(r->g, y.v, 1), a.v, scale));
}

static ebb_value make_dropout_mask(maker *r, item a)
{
    ebb_shape s = shape(r, a);
    if (s.rank == 0)
        return EBB_NONE;
    char name[32];
    snprintf(name, sizeof name, "key%d", r->g->ninputs);
    ebb_value key = ebb_input(r->g, name, EBB_I32, EBB_SHAPE(s.dim[0], 4));
    ebb_value mask = ebb_dropout_mask(r->g, key, s, 0.1f * (float)between(r, 1, 5), (int)between(r, 0, 9));
    return sized(r, 2 * a.size, ebb_mul(r->g, a.v, mask));
}

static ebb_value make_gather(maker *r, item a)
{
    if (shape(r, a).rank != 2)
        return EBB_NONE;
    return sized(r, a.size, ebb_gather(r->g, a.v, index_leaf(r, between(r, 1, 5))));
}

static ebb_value make_scatter_add(maker *r, item a)
{
    if (shape(r, a).rank != 2)
        return EBB_NONE;
    ebb_value index = index_leaf(r, shape(r, a).dim[0]);
    return sized(r, 2 * a.size, ebb_scatter_add(r->g, index, a.v, between(r, 1, 5)));
}

/* ---- the graph --------------------------------------------------------------------------- */

#define MAKE_LEAF(name) NULL
#define MAKE_UNARY(name) make_##name
#define MAKE_BINARY(name) make_##name
#define MAKE_SHAPE(name) make_##name
#define MAKE_LINEAR(name) make_##name
#define MAKE_NONLIN(name) make_##name
#define MAKE_ADJOINT(name) make_##name
#define MAKE_STOP(name) make_##name
#define MAKE_FUSED(name) NULL
static ebb_value (*const make_rule[EBB_OP_COUNT])(maker *, item) = {
#define OP(name, inputs, class) [EBB_OP_##name] = MAKE_##class(name),
#include "graph/ops.def"
#undef OP
};

static void into_pool(maker *r, item a)
{
    if (r->count < POOL)
        r->pool[r->count++] = a;
    else
        r->pool[below(r, POOL)] = a;
}

/* One operation; what may have grown is brought back to about one. */
static bool make_one(maker *r, ebb_op without)
{
    ebb_op op = (ebb_op)below(r, EBB_OP_COUNT);
    ebb_value v = make_rule[op] && op != without ? make_rule[op](r, pick(r)) : EBB_NONE;
    if (v == EBB_NONE)
        return false;
    if (r->size > 2)
        v = below(r, 2) ? ebb_tanh(r->g, v) : ebb_scale(r->g, v, (float)(1 / r->size));
    into_pool(r, (item){ v, fmin(r->size, 1) });
    return true;
}

static bool is_used(const ebb_graph *g, ebb_value v)
{
    for (ebb_value u = v + 1; u < g->count; u++)
        for (int i = 0; i < g->node[u].nin; i++)
            if (g->node[u].in[i] == v)
                return true;
    return false;
}

int randgraph_make(ebb_graph *g, uint64_t seed, int operations, ebb_op without, ebb_value *y, int max)
{
    maker r = { .g = g, .at = { .seed = seed, .stream = EBB_STREAM_TEST } };
    ebb_value first = g->count;
    /* Drawn one by one: the order within a list of arguments is the compiler's. */
    int n = between(&r, 1, 3), h = between(&r, 1, 6), w = between(&r, 1, 6), c = between(&r, 1, 9);
    into_pool(&r, new_leaf(&r, EBB_SHAPE(n, h, w, c)));
    int even = 2 * between(&r, 1, 3), wide = between(&r, 1, 17);
    into_pool(&r, new_leaf(&r, EBB_SHAPE(n, even, 4, wide)));
    into_pool(&r, new_leaf(&r, EBB_SHAPE(h, wide)));
    for (int made = 0; made < operations && g->status == EBB_OK;)
        made += make_one(&r, without);
    int found = 0;
    for (ebb_value v = g->count - 1; v >= first && found < max; v--)
        if (g->node[v].type == EBB_F32 && g->node[v].nin > 0 && !is_used(g, v))
            y[found++] = v;
    return found;
}

void randgraph_fill(const ebb_graph *g, ebb_value leaf, uint64_t seed, double *data)
{
    const ebb_node *n = &g->node[leaf];
    ebb_rng_at at = { .seed = seed, .stream = EBB_STREAM_TEST, .step = 1, .sample = (uint32_t)leaf };
    int64_t rows = INT32_MAX;
    for (ebb_value v = leaf + 1; v < g->count; v++) {
        const ebb_node *user = &g->node[v];
        if (user->op == EBB_OP_gather && user->in[1] == leaf && g->node[user->in[0]].shape.dim[0] < rows)
            rows = g->node[user->in[0]].shape.dim[0];
        if (user->op == EBB_OP_scatter_add && user->in[0] == leaf && user->attr.rows < rows)
            rows = user->attr.rows;
    }
    for (int64_t i = 0; i < ebb_shape_count(n->shape); i++)
        data[i] = n->type == EBB_I32 ? (double)ebb_rng_below(&at, (uint32_t)i, (uint32_t)rows)
                                     : (double)(float)(2 * ebb_rng_uniform(&at, (uint32_t)i) - 1);
}
