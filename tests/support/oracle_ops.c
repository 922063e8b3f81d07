/* oracle_ops.c: the meaning of each operation, as plain loops in double.
 *
 * Written to be read beside graph.h, not to be fast. An operation of ops.def without a formula does
 * not compile.
 */
#include <math.h>
#include <stdlib.h>

#include "support/oracle.h"

/* Flat index -> coordinates, last axis fastest; and back. */
static void unravel(int64_t flat, ebb_shape s, int64_t *at)
{
    for (int i = s.rank - 1; i >= 0; i--) {
        at[i] = flat % s.dim[i];
        flat /= s.dim[i];
    }
}

static int64_t ravel(const int64_t *at, ebb_shape s)
{
    int64_t flat = 0;
    for (int i = 0; i < s.rank; i++)
        flat = flat * s.dim[i] + at[i];
    return flat;
}

/* ---- pointwise --------------------------------------------------------------------------- */

static double sigmoid(double a)
{
    return 1 / (1 + exp(-a));
}

#define UNARY(name, formula)                            \
    static void eval_##name(const oracle_cell *c)       \
    {                                                   \
        for (int64_t i = 0; i < c->count; i++) {        \
            double a = c->x[0][i];                      \
            c->y[0][i] = (formula);                     \
        }                                               \
    }
UNARY(affine, (double)c->n->attr.alpha * a + (double)c->n->attr.beta)
UNARY(recip, 1 / a)
UNARY(exp, exp(a))
UNARY(log, log(a))
UNARY(sqrt, sqrt(a))
UNARY(sin, sin(a))
UNARY(cos, cos(a))
UNARY(tanh, tanh(a))
UNARY(sigmoid, sigmoid(a))
UNARY(silu, a * sigmoid(a))
UNARY(step, a > 0 ? 1 : 0)
UNARY(stop_gradient, a)
UNARY(reshape, a)
UNARY(part, a)

#define BINARY(name, formula)                           \
    static void eval_##name(const oracle_cell *c)       \
    {                                                   \
        for (int64_t i = 0; i < c->count; i++) {        \
            double a = c->x[0][i], b = c->x[1][i];      \
            c->y[0][i] = (formula);                     \
        }                                               \
    }
BINARY(add, a + b)
BINARY(sub, a - b)
BINARY(mul, a * b)
BINARY(div, a / b)
BINARY(max, a > b ? a : b)
BINARY(min, a < b ? a : b)
/* (a/(1+exp(-a)))' by the quotient rule. */
BINARY(silu_vjp, b * (1 + exp(-a) + a * exp(-a)) / ((1 + exp(-a)) * (1 + exp(-a))))

static void eval_constant(const oracle_cell *c)
{
    for (int64_t i = 0; i < c->count; i++)
        c->y[0][i] = (double)c->n->attr.alpha;
}

/* ---- sums and shapes --------------------------------------------------------------------- */

static void eval_sum(const oracle_cell *c)
{
    int64_t at[EBB_RANK_MAX];
    for (int64_t i = 0; i < c->count; i++)
        c->y[0][i] = 0;
    for (int64_t i = 0; i < ebb_shape_count(c->s[0]); i++) {
        unravel(i, c->s[0], at);
        for (int k = 0; k < c->s[0].rank; k++)
            if (c->n->attr.axes >> k & 1)
                at[k] = 0;
        c->y[0][ravel(at, c->n->shape)] += c->x[0][i];
    }
}

static void eval_broadcast(const oracle_cell *c)
{
    int64_t at[EBB_RANK_MAX];
    int missing = c->n->shape.rank - c->s[0].rank;
    for (int64_t i = 0; i < c->count; i++) {
        unravel(i, c->n->shape, at);
        for (int k = 0; k < c->s[0].rank; k++)
            if (c->s[0].dim[k] == 1)
                at[missing + k] = 0;
        c->y[0][i] = c->x[0][ravel(at + missing, c->s[0])];
    }
}

static void eval_transpose(const oracle_cell *c)
{
    int64_t at[EBB_RANK_MAX], from[EBB_RANK_MAX];
    for (int64_t i = 0; i < c->count; i++) {
        unravel(i, c->n->shape, at);
        for (int k = 0; k < c->n->shape.rank; k++)
            from[c->n->attr.perm[k]] = at[k];
        c->y[0][i] = c->x[0][ravel(from, c->s[0])];
    }
}

/* y[i] = x[i + shift] along the axis, zero outside x. */
static void shifted(const oracle_cell *c, int axis, int64_t shift)
{
    int64_t at[EBB_RANK_MAX];
    for (int64_t i = 0; i < c->count; i++) {
        unravel(i, c->n->shape, at);
        at[axis] += shift;
        bool inside = at[axis] >= 0 && at[axis] < c->s[0].dim[axis];
        c->y[0][i] = inside ? c->x[0][ravel(at, c->s[0])] : 0;
    }
}

static void eval_slice(const oracle_cell *c)
{
    shifted(c, c->n->attr.axis, c->n->attr.begin);
}

static void eval_pad(const oracle_cell *c)
{
    shifted(c, c->n->attr.axis, -c->n->attr.begin);
}

static void eval_concat(const oracle_cell *c)
{
    int64_t at[EBB_RANK_MAX];
    int axis = c->n->attr.axis;
    for (int64_t i = 0; i < c->count; i++) {
        unravel(i, c->n->shape, at);
        int second = at[axis] >= c->s[0].dim[axis];
        if (second)
            at[axis] -= c->s[0].dim[axis];
        c->y[0][i] = c->x[second][ravel(at, c->s[second])];
    }
}

/* ---- products and pictures --------------------------------------------------------------- */

static void eval_matmul(const oracle_cell *c)
{
    int r = c->n->shape.rank;
    bool ta = c->n->attr.ta, tb = c->n->attr.tb;
    int64_t rows = c->n->shape.dim[r - 2], cols = c->n->shape.dim[r - 1];
    int64_t inner = c->s[0].dim[ta ? r - 2 : r - 1];
    for (int64_t i = 0; i < c->count; i++) {
        int64_t batch = i / (rows * cols), m = i / cols % rows, n = i % cols;
        const double *a = c->x[0] + batch * rows * inner, *b = c->x[1] + batch * inner * cols;
        c->y[0][i] = 0;
        for (int64_t k = 0; k < inner; k++)
            c->y[0][i] += a[ta ? k * rows + m : m * inner + k] * b[tb ? n * inner + k : k * cols + n];
    }
}

/* All three convolutions add up the same products x[n,i',j',c] w[kh,kw,c,o] dy[n,i,j,o], each leaving out
 * one factor; this walks them and hands out the three flat indices. */
typedef void (*trio_term)(const oracle_cell *c, int64_t x, int64_t w, int64_t y);

static void walk_trio(const oracle_cell *c, ebb_shape x, ebb_shape w, ebb_shape y, trio_term term)
{
    const ebb_attr *a = &c->n->attr;
    for (int64_t i = 0; i < c->count; i++)
        c->y[0][i] = 0;
    int64_t yat[EBB_RANK_MAX], wat[EBB_RANK_MAX];
    int64_t weights = ebb_shape_count(w), places = ebb_shape_count(y);
    for (int64_t iy = 0; iy < places; iy++) {
        unravel(iy, y, yat);
        for (int64_t iw = yat[3]; iw < weights; iw += w.dim[3]) {     /* those of the same o */
            unravel(iw, w, wat);
            int64_t xat[] = { yat[0], yat[1] * a->stride + wat[0] - a->pad_top,
                              yat[2] * a->stride + wat[1] - a->pad_left, wat[2] };
            if (xat[1] >= 0 && xat[1] < x.dim[1] && xat[2] >= 0 && xat[2] < x.dim[2])
                term(c, ravel(xat, x), iw, iy);
        }
    }
}

static void conv_term(const oracle_cell *c, int64_t x, int64_t w, int64_t y)
{
    c->y[0][y] += c->x[0][x] * c->x[1][w];
}

static void conv_dx_term(const oracle_cell *c, int64_t x, int64_t w, int64_t y)
{
    c->y[0][x] += c->x[0][y] * c->x[1][w];
}

static void conv_dw_term(const oracle_cell *c, int64_t x, int64_t w, int64_t y)
{
    c->y[0][w] += c->x[0][x] * c->x[1][y];
}

static void eval_conv(const oracle_cell *c)
{
    walk_trio(c, c->s[0], c->s[1], c->n->shape, conv_term);
}

static void eval_conv_dx(const oracle_cell *c)
{
    walk_trio(c, c->n->shape, c->s[1], c->s[0], conv_dx_term);
}

static void eval_conv_dw(const oracle_cell *c)
{
    walk_trio(c, c->s[0], c->n->shape, c->s[1], conv_dw_term);
}

static void eval_up2(const oracle_cell *c)
{
    int64_t at[EBB_RANK_MAX];
    for (int64_t i = 0; i < c->count; i++) {
        unravel(i, c->n->shape, at);
        at[1] /= 2;
        at[2] /= 2;
        c->y[0][i] = c->x[0][ravel(at, c->s[0])];
    }
}

static void eval_down2(const oracle_cell *c)
{
    int64_t at[EBB_RANK_MAX];
    for (int64_t i = 0; i < c->count; i++) {
        unravel(i, c->n->shape, at);
        int64_t top = 2 * at[1], left = 2 * at[2];
        c->y[0][i] = 0;
        for (int k = 0; k < 4; k++) {
            at[1] = top + k / 2;
            at[2] = left + k % 2;
            c->y[0][i] += c->x[0][ravel(at, c->s[0])];
        }
    }
}

/* ---- rows, groups, tables ---------------------------------------------------------------- */

static void eval_softmax(const oracle_cell *c)
{
    int64_t n = c->n->shape.dim[c->n->shape.rank - 1];
    double scale = (double)c->n->attr.alpha;
    for (int64_t row = 0; row < c->count; row += n) {
        double top = -INFINITY, sum = 0;
        for (int64_t i = row; i < row + n; i++)
            top = fmax(top, scale * c->x[0][i]);
        for (int64_t i = row; i < row + n; i++)
            sum += exp(scale * c->x[0][i] - top);
        for (int64_t i = row; i < row + n; i++)
            c->y[0][i] = exp(scale * c->x[0][i] - top) / sum;
    }
}

static void eval_softmax_vjp(const oracle_cell *c)
{
    int64_t n = c->n->shape.dim[c->n->shape.rank - 1];
    for (int64_t i = 0; i < c->count; i++) {
        int64_t row = i / n * n;
        double inner = 0;
        for (int64_t k = row; k < row + n; k++)
            inner += c->x[0][k] * c->x[1][k];
        c->y[0][i] = (double)c->n->attr.alpha * c->x[0][i] * (c->x[1][i] - inner);
    }
}

/* One query of one head; strides of tokens. p: a row of numbers for S keys. */
typedef struct attention_query {
    const double *q, *k, *v;
    int64_t stride, keys, width;
    double scale, *p;
} attention_query;

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void attention_probabilities(const attention_query *a)
{
    double top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < a->keys; j++)
        top = fmax(top, a->p[j] = a->scale * dot(a->q, a->k + j * a->stride, a->width));
    for (int64_t j = 0; j < a->keys; j++)
        sum += a->p[j] = exp(a->p[j] - top);
    for (int64_t j = 0; j < a->keys; j++)
        a->p[j] /= sum;
}

/* Calls `one` for each query; at: where it lies in q, first: where the first key of its head lies in k. */
static void each_query(const oracle_cell *c,
                       void (*one)(const oracle_cell *c, const attention_query *a, int64_t at, int64_t first))
{
    ebb_shape q = c->s[0], k = c->s[1];
    double *p = calloc((size_t)k.dim[1], sizeof *p);
    if (!p)
        abort();
    for (int64_t n = 0; n < q.dim[0]; n++)
        for (int64_t t = 0; t < q.dim[1]; t++)
            for (int64_t h = 0; h < q.dim[2]; h++) {
                int64_t at = ((n * q.dim[1] + t) * q.dim[2] + h) * q.dim[3];
                int64_t first = (n * k.dim[1] * k.dim[2] + h) * k.dim[3];
                attention_query a = { .q = c->x[0] + at, .k = c->x[1] + first, .v = c->x[2] + first,
                                      .stride = k.dim[2] * k.dim[3], .keys = k.dim[1], .width = k.dim[3],
                                      .scale = (double)c->n->attr.alpha, .p = p };
                attention_probabilities(&a);
                one(c, &a, at, first);
            }
    free(p);
}

static void attention_one(const oracle_cell *c, const attention_query *a, int64_t at, int64_t first)
{
    (void)first;
    for (int64_t i = 0; i < a->width; i++) {
        c->y[0][at + i] = 0;
        for (int64_t j = 0; j < a->keys; j++)
            c->y[0][at + i] += a->p[j] * a->v[j * a->stride + i];
    }
}

static void eval_attention(const oracle_cell *c)
{
    each_query(c, attention_one);
}

/* dp_j = <dy, v_j>; the softmax turns it into ds_j = p_j (dp_j - sum_m p_m dp_m). */
static void attention_vjp_one(const oracle_cell *c, const attention_query *a, int64_t at, int64_t first)
{
    const double *dy = c->x[3] + at;
    double mean = 0;
    for (int64_t j = 0; j < a->keys; j++)
        mean += a->p[j] * dot(dy, a->v + j * a->stride, a->width);
    for (int64_t i = 0; i < a->width; i++)
        c->y[0][at + i] = 0;
    for (int64_t j = 0; j < a->keys; j++) {
        double ds = a->scale * a->p[j] * (dot(dy, a->v + j * a->stride, a->width) - mean);
        for (int64_t i = 0; i < a->width; i++) {
            c->y[0][at + i] += ds * a->k[j * a->stride + i];
            c->y[1][first + j * a->stride + i] += ds * a->q[i];
            c->y[2][first + j * a->stride + i] += a->p[j] * dy[i];
        }
    }
}

static void eval_attention_vjp(const oracle_cell *c)
{
    for (int64_t i = 0; i < ebb_shape_count(c->s[1]); i++)
        c->y[1][i] = c->y[2][i] = 0;
    each_query(c, attention_vjp_one);
}

/* One group of one picture: its members, in memory order, are numbered q. */
typedef struct group {
    int64_t first, stride, size, count, channel;
    double mean, deviation;
} group;

static int64_t member(const group *m, int64_t q)
{
    return m->first + q / m->size * m->stride + q % m->size;
}

static int64_t channel(const group *m, int64_t q)
{
    return m->channel + q % m->size;
}

static group group_at(const oracle_cell *c, int64_t picture, int64_t which)
{
    ebb_shape s = c->s[0];
    int64_t channels = s.dim[s.rank - 1], each = ebb_shape_count(s) / s.dim[0];
    int64_t size = channels / c->n->attr.groups;
    group m = { .first = picture * each + which * size, .stride = channels, .size = size,
                .count = each / channels * size, .channel = which * size };
    double var = 0;
    for (int64_t q = 0; q < m.count; q++)
        m.mean += c->x[0][member(&m, q)] / (double)m.count;
    for (int64_t q = 0; q < m.count; q++)
        var += pow(c->x[0][member(&m, q)] - m.mean, 2) / (double)m.count;
    m.deviation = sqrt(var + (double)c->n->attr.alpha);
    return m;
}

static void eval_group_norm(const oracle_cell *c)
{
    for (int64_t n = 0; n < c->s[0].dim[0]; n++)
        for (int64_t k = 0; k < c->n->attr.groups; k++) {
            group m = group_at(c, n, k);
            for (int64_t q = 0; q < m.count; q++) {
                double xhat = (c->x[0][member(&m, q)] - m.mean) / m.deviation;
                c->y[0][member(&m, q)] = c->x[1][channel(&m, q)] * xhat + c->x[2][channel(&m, q)];
            }
        }
}

/* dx_i = sum over q of the group of dy_q gamma_q dxhat_q/dx_i, where
 * dxhat_q/dx_i = ([q = i] - 1/count - xhat_q xhat_i/count) / deviation. */
static void group_norm_vjp_one(const oracle_cell *c, const group *m)
{
    double plain = 0, along = 0;
    for (int64_t q = 0; q < m->count; q++) {
        int64_t i = member(m, q), ch = channel(m, q);
        double xhat = (c->x[0][i] - m->mean) / m->deviation, dy = c->x[3][i];
        plain += dy * c->x[1][ch] / (double)m->count;
        along += dy * c->x[1][ch] * xhat / (double)m->count;
        c->y[1][ch] += dy * xhat;
        c->y[2][ch] += dy;
    }
    for (int64_t q = 0; q < m->count; q++) {
        int64_t i = member(m, q);
        double xhat = (c->x[0][i] - m->mean) / m->deviation;
        c->y[0][i] = (c->x[3][i] * c->x[1][channel(m, q)] - plain - xhat * along) / m->deviation;
    }
}

static void eval_group_norm_vjp(const oracle_cell *c)
{
    for (int64_t i = 0; i < c->s[1].dim[0]; i++)
        c->y[1][i] = c->y[2][i] = 0;
    for (int64_t n = 0; n < c->s[0].dim[0]; n++)
        for (int64_t k = 0; k < c->n->attr.groups; k++) {
            group m = group_at(c, n, k);
            group_norm_vjp_one(c, &m);
        }
}

/* The normal numbers are those of the specification's kernel; what is made of them is said again here. */
static void eval_dropout_mask(const oracle_cell *c)
{
    int64_t rows = c->n->shape.dim[0], count = c->count / rows;
    double rate = (double)c->n->attr.alpha;
    float *normal = malloc((size_t)count * sizeof *normal);
    for (int64_t i = 0; i < rows; i++) {
        const double *key = c->x[0] + 4 * i;
        ebb_rng_at at = {.seed = (uint32_t)(int64_t)key[0] | (uint64_t)(uint32_t)(int64_t)key[1] << 32,
                         .step = (uint32_t)(int64_t)key[2], .sample = (uint32_t)(int64_t)key[3],
                         .stream = EBB_STREAM_DROPOUT | (uint32_t)c->n->attr.index << 8};
        ebb_kernels_get(EBB_ISA_C)->normal_f32((size_t)count, normal, &at);
        for (int64_t k = 0; k < count; k++)
            c->y[0][i * count + k] = normal[k] > c->n->attr.beta ? 1 / (1 - rate) : 0;
    }
    free(normal);
}

static void eval_gather(const oracle_cell *c)
{
    int64_t width = c->s[0].dim[1];
    for (int64_t i = 0; i < c->count; i++)
        c->y[0][i] = c->x[0][(int64_t)c->x[1][i / width] * width + i % width];
}

static void eval_scatter_add(const oracle_cell *c)
{
    int64_t width = c->s[1].dim[1];
    for (int64_t i = 0; i < c->count; i++)
        c->y[0][i] = 0;
    for (int64_t i = 0; i < ebb_shape_count(c->s[1]); i++)
        c->y[0][(int64_t)c->x[0][i / width] * width + i % width] += c->x[1][i];
}

/* ---- the table --------------------------------------------------------------------------- */

#define eval_input NULL
#define eval_param NULL
#define EVAL_LEAF(name) eval_##name
#define EVAL_UNARY(name) eval_##name
#define EVAL_BINARY(name) eval_##name
#define EVAL_SHAPE(name) eval_##name
#define EVAL_LINEAR(name) eval_##name
#define EVAL_NONLIN(name) eval_##name
#define EVAL_ADJOINT(name) eval_##name
#define EVAL_STOP(name) eval_##name
#define EVAL_FUSED(name) NULL

oracle_formula oracle_formula_of(ebb_op op)
{
    static const oracle_formula table[EBB_OP_COUNT] = {
#define OP(name, inputs, class) [EBB_OP_##name] = EVAL_##class(name),
#include "graph/ops.def"
#undef OP
    };
    return table[op];
}
