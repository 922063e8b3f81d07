/* kcheck_attention_bf16.c: cases of attention on bfloat16, and how far two right results of one case may lie apart.
 *
 * With u = 2^-24, f = scale log2 e and A = max_j sum |f q k_j|: a score, in powers of 2, errs by its chain (twice as
 * many roundings where pairs are rounded to odd) and the roundings about it, (2 d + 16) u A in all. That is a
 * relative error of a probability, exponentials add 2^-22 each. Where probabilities p and slopes ds are rounded to
 * bfloat16 first, each term errs by 2^-8 of itself more. Sums err by twice their terms (Higham 2002, 4.2). All of
 * this may happen to either result; rounded, two numbers that near each other may fall on neighbours.
 * Instructions on bfloat16 flush denormals: each term may lose 2^-126 of its factor.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "check/kcheck.h"

static const double u = 0x1p-24, narrow = 0x1p-8;

typedef struct bf16_case {
    const ebb_attention_shape *s;
    const ebb_bf16 *q, *k, *v, *o, *g;
    const float *lse;
    kcheck *check;
    const char *name;
} bf16_case;

static double widened(ebb_bf16 x)
{
    uint32_t bits = (uint32_t)x << 16;
    float y;
    memcpy(&y, &bits, sizeof y);
    return (double)y;
}

/* n roundings */
static double chain(double n) { return n * u / (1 - n * u); }

static double inner(int d, const ebb_bf16 *x, const ebb_bf16 *y, double *size)
{
    double sum = 0;
    *size = 0;
    for (int i = 0; i < d; i++) {
        sum += widened(x[i]) * widened(y[i]);
        *size += fabs(widened(x[i]) * widened(y[i]));
    }
    return sum;
}

/* Distance of two neighbouring bfloat16 at x. */
static double spacing(double x)
{
    int exponent;
    frexp(x, &exponent);
    return ldexp(1.0, exponent - 8 > -133 ? exponent - 8 : -133);
}

/* The score of query i and key j in powers of 2; *power: its error. */
static double score(const bf16_case *c, int i, int j, double *power)
{
    const ebb_attention_shape *s = c->s;
    double size, sum = inner(s->d, c->q + i * s->q_stride, c->k + j * s->k_stride, &size), f = s->scale / log(2.0);
    *power = (2.0 * s->d + 16) * u * fabs(f) * size;
    return f * sum;
}

/* log2 of the sum of query i; *power: the largest error of a score. */
static double exact_lse(const bf16_case *c, int i, double *power)
{
    double top = -INFINITY, sum = 0, p;
    *power = 0;
    for (int j = 0; j < c->s->nk; j++) {
        top = fmax(top, score(c, i, j, &p));
        *power = fmax(*power, p);
    }
    for (int j = 0; j < c->s->nk; j++)
        sum += exp2(score(c, i, j, &p) - top);
    return top + log2(sum);
}

static float *floats(kcheck *k, const ebb_bf16 *x, size_t n)
{
    float *y = ebb_kcheck_out(k, n);
    for (size_t i = 0; i < n; i++)
        y[i] = (float)widened(x[i]);
    return y;
}

/* error: (n), doubles, of numbers before they are rounded. */
static void compare(const bf16_case *c, const char *text, const ebb_bf16 *want, const ebb_bf16 *got,
                    const double *error, size_t n)
{
    float *bound = ebb_kcheck_out(c->check, n);
    for (size_t i = 0; i < n; i++)
        bound[i] = nextafterf((float)(error[i] + spacing(fabs(widened(want[i])) + error[i])), INFINITY);
    ebb_kcheck_close(c->check, c->name, text, floats(c->check, want, n), floats(c->check, got, n), bound, n);
}

static double *zeros(kcheck *k, size_t n)
{
    double *x = (double *)(void *)ebb_kcheck_out(k, 2 * n);
    for (size_t i = 0; i < n; i++)
        x[i] = 0;
    return x;
}

static size_t extent(int rows, size_t stride, int d) { return (size_t)(rows - 1) * stride + (size_t)d; }

static const char *text(const ebb_attention_shape *s, const char *what)
{
    return ebb_kcheck_text("%d queries, %d keys, d %d, scale %g, strides %zu %zu %zu %zu: %s", s->nq, s->nk, s->d,
                           (double)s->scale, s->q_stride, s->k_stride, s->v_stride, s->o_stride, what);
}

/* ---- forward -------------------------------------------------------------------------------------- */

/* Bounds of query i: o (d), before rounding, and its logarithm. */
static void bound_query(const bf16_case *c, int i, double *o, float *lse)
{
    const ebb_attention_shape *s = c->s;
    double power, blocks = 2 + s->nk / 64, exact = exact_lse(c, i, &power), p;
    double weight = log(2.0) * power + (blocks + 1) * 0x1p-22 + chain(s->nk + 8.0), off = expm1(2 * weight);
    double logarithm = 4 * weight / log(2.0) + 8 * u * (fabs(exact) + power / u + log2(s->nk) + 1);
    *lse = nextafterf((float)logarithm, INFINITY);
    for (int j = 0; j < s->nk; j++) {
        double share = exp2(score(c, i, j, &p) - exact);
        for (int d = 0; d < s->d; d++)
            o[d] += fabs(widened(c->v[j * s->v_stride + d])) *
                    (share * (2 * off + narrow * (1 + off) + 2 * chain(2 * (s->nk + blocks + 2))) + 0x1p-124);
    }
}

static void forward(bf16_case *c)
{
    const ebb_attention_shape *s = c->s;
    kcheck *k = c->check;
    size_t n = extent(s->nq, s->o_stride, s->d), rows = (size_t)s->nq;
    ebb_bf16 *want = ebb_kcheck_out_bf16(k, n), *got = ebb_kcheck_out_bf16(k, n);
    float *want_lse = ebb_kcheck_out(k, rows), *got_lse = ebb_kcheck_out(k, rows), *bound = ebb_kcheck_out(k, rows);
    void *room = ebb_kcheck_scratch(k, ebb_attention_scratch_bf16(s));
    double *error = zeros(k, n);
    k->spec->attention_bf16(s, want, want_lse, c->q, c->k, c->v, room);
    k->fast->attention_bf16(s, got, got_lse, c->q, c->k, c->v, room);
    for (int i = 0; i < s->nq; i++)
        bound_query(c, i, error + i * s->o_stride, bound + i);
    ebb_kcheck_close(k, c->name, text(s, "lse"), want_lse, got_lse, bound, rows);
    compare(c, text(s, "o"), want, got, error, n);
}

/* ---- adjoint -------------------------------------------------------------------------------------- */

typedef struct errors {
    double *dq, *dk, *dv;
} errors;

/* What query i and key j add to the errors. along: <do, o>, beside it its error. */
static void bound_pair(const bf16_case *c, int i, int j, double along, double along_error, const errors *e)
{
    const ebb_attention_shape *s = c->s;
    const ebb_bf16 *q = c->q + i * s->q_stride, *k = c->k + j * s->k_stride, *g = c->g + i * s->o_stride;
    double power, size, lse = (double)c->lse[i], exponent = score(c, i, j, &power) - lse;
    double p = exp2(exponent), off = expm1(log(2.0) * (power + 4 * u * fabs(lse)) + 0x1p-22);
    double slope = inner(s->d, g, c->v + j * s->v_stride, &size), ds = p * fabs(slope - along);
    double wrong = p * (1 + off) * (chain(2.0 * s->d + 4) * size + along_error + 2 * u * (fabs(slope) + fabs(along))) +
                   off * ds + 2 * u * ds;
    double of_p = p * (2 * off + (1 + off) * (narrow + 2 * chain(2.0 * s->nq + 4))) + 0x1p-124;
    double of_keys = 2 * wrong + (ds + wrong) * (narrow + 2 * chain(2.0 * s->nk + 6)) + 0x1p-124;
    double of_queries = 2 * wrong + (ds + wrong) * (narrow + 2 * chain(2.0 * s->nq + 6)) + 0x1p-124;
    for (int d = 0; d < s->d; d++) {
        e->dv[j * s->v_stride + d] += fabs(widened(g[d])) * of_p;
        e->dq[i * s->q_stride + d] += fabs((double)s->scale * widened(k[d])) * of_keys;
        e->dk[j * s->k_stride + d] += fabs((double)s->scale * widened(q[d])) * of_queries;
    }
}

static void bound_all(const bf16_case *c, const errors *e)
{
    const ebb_attention_shape *s = c->s;
    for (int i = 0; i < s->nq; i++) {
        double size, along = inner(s->d, c->g + i * s->o_stride, c->o + i * s->o_stride, &size);
        for (int j = 0; j < s->nk; j++)
            bound_pair(c, i, j, along, chain(s->d + 8.0) * size, e);
    }
}

typedef struct gradients {
    ebb_bf16 *dq, *dk, *dv;
} gradients;

static gradients results(kcheck *k, size_t nq, size_t nk, size_t nv)
{
    return (gradients){ebb_kcheck_out_bf16(k, nq), ebb_kcheck_out_bf16(k, nk), ebb_kcheck_out_bf16(k, nv)};
}

static void backward(bf16_case *c)
{
    const ebb_attention_shape *s = c->s;
    kcheck *k = c->check;
    size_t nq = extent(s->nq, s->q_stride, s->d), nk = extent(s->nk, s->k_stride, s->d);
    size_t nv = extent(s->nk, s->v_stride, s->d), no = extent(s->nq, s->o_stride, s->d);
    float *lse = ebb_kcheck_out(k, (size_t)s->nq);
    gradients want = results(k, nq, nk, nv), got = results(k, nq, nk, nv);
    errors e = {zeros(k, nq), zeros(k, nk), zeros(k, nv)};
    void *room = ebb_kcheck_scratch(k, ebb_attention_scratch_bf16(s));
    k->spec->attention_bf16(s, ebb_kcheck_out_bf16(k, no), lse, c->q, c->k, c->v, room);
    c->lse = lse;
    k->spec->attention_vjp_bf16(s, want.dq, want.dk, want.dv, c->q, c->k, c->v, c->o, lse, c->g, room);
    k->fast->attention_vjp_bf16(s, got.dq, got.dk, got.dv, c->q, c->k, c->v, c->o, lse, c->g, room);
    bound_all(c, &e);
    compare(c, text(s, "dq"), want.dq, got.dq, e.dq, nq);
    compare(c, text(s, "dk"), want.dk, got.dk, e.dk, nk);
    compare(c, text(s, "dv"), want.dv, got.dv, e.dv, nv);
}

/* ---- cases ---------------------------------------------------------------------------------------- */

/* Ordinary numbers; `broken`: and one that is none, by which a query or everything ends as NaN. */
static ebb_bf16 *rows(kcheck *k, int n, size_t stride, int d, bool broken)
{
    ebb_bf16 *x = ebb_kcheck_in_bf16(k, extent(n, stride, d));
    if (broken)
        x[ebb_kcheck_below(k, (size_t)n) * stride + ebb_kcheck_below(k, (size_t)d)] = 0x7FC0;
    return x;
}

static int tokens(kcheck *k, int i)
{
    return 1 + (int)ebb_kcheck_below(k, i % 4 == 0 ? 140 : i % 4 == 1 ? 70 : 20);
}

static void each_case(kcheck *k, const char *name, void (*one)(bf16_case *c))
{
    for (int i = 0; i < 200; i++) {
        if (!ebb_kcheck_next(k))
            continue;
        int d = i < 130 ? i + 1 : 1 + (int)ebb_kcheck_below(k, 40);
        ebb_attention_shape s = {.nq = tokens(k, i), .nk = tokens(k, i / 4), .d = d,
                                 .scale = i % 7 ? 1.0f / sqrtf((float)d) : -0.1f};
        size_t *stride[] = {&s.q_stride, &s.k_stride, &s.v_stride, &s.o_stride};
        for (int j = 0; j < 4; j++)
            *stride[j] = (size_t)d + (i % 3 ? ebb_kcheck_below(k, 20) : 0);
        bf16_case c = {.s = &s, .check = k, .name = name};
        c.q = rows(k, s.nq, s.q_stride, d, i % 16 == 3);
        c.k = rows(k, s.nk, s.k_stride, d, i % 16 == 7);
        c.v = rows(k, s.nk, s.v_stride, d, i % 16 == 11);
        c.o = rows(k, s.nq, s.o_stride, d, false);
        c.g = rows(k, s.nq, s.o_stride, d, i % 16 == 15);
        one(&c);
        ebb_kcheck_done(k);
    }
}

void ebb_kcheck_ATTENTION_BF16(kcheck *k, const char *name, size_t offset)
{
    (void)offset;
    each_case(k, name, forward);
}

void ebb_kcheck_ATTENTION_VJP_BF16(kcheck *k, const char *name, size_t offset)
{
    (void)offset;
    each_case(k, name, backward);
}
