/* attention.c: the specification of attention and of its adjoint, without a matrix of queries x keys.
 *
 * Forward: powers are those of 2, q' = scale log2(e) q. Each query takes the keys in blocks of ATTENTION_KEYS,
 * with a running maximum m, sum l and output o (Milakov & Gimelshein 2018; Dao et al. 2022, alg. 1):
 *   s_j = <k_j, q'>,  m' = max(m, s),  p_j = 2^(s_j - m'),  c = 2^(m - m'),
 *   l = c l + sum p_j,  o = c o + sum p_j v_j,  m = m';  in the end o / l and lse = m + log2 l.
 * Adjoint (Dao et al. 2022, alg. 4), with D = <do, o>:
 *   p_j = 2^(s_j - lse),  ds_j = p_j (<v_j, do> - D),
 *   dv_j = sum p_j do,  dk_j = scale sum ds_j q,  dq = scale sum ds_j k_j.
 * All sums over d, keys (of a block) and queries are fma chains, ascending; l takes the keys of a block in four
 * chains. A NaN or +inf among the scores of a query, or nothing but -inf, makes its o NaN.
 */
#include "attention.h"

#include "instances.h"
#include "scalar.h"

/* <k, factor q>; factor q is rounded first. */
static float score(int d, const float *k, const float *q, float factor)
{
    float sum = 0.0f;
    for (int i = 0; i < d; i++)
        sum = fmaf(k[i], factor * q[i], sum);
    return sum;
}

typedef struct softmax_state {
    float top, sum;
} softmax_state;

/* p = 2^(p - top) of n keys; returns the factor that the results of earlier keys take. */
static float next_block(softmax_state *t, int n, float *p)
{
    float top = t->top, part[4] = {0};
    for (int j = 0; j < n; j++)
        top = at_least(top, p[j]);
    float keep = exp2_scalar(t->top - top);
    for (int j = 0; j < n; j++) {
        p[j] = exp2_scalar(p[j] - top);
        part[j % 4] += p[j];
    }
    t->top = top;
    t->sum = fmaf(t->sum, keep, (part[0] + part[1]) + (part[2] + part[3]));
    return keep;
}

static void one_query(const ebb_attention_shape *s, float *o, float *lse, const float *q, const float *k,
                      const float *v)
{
    /* Finite, so that keys of score -inf count nothing even if they come first. */
    softmax_state t = {.top = -FLT_MAX};
    float p[ATTENTION_KEYS];
    for (int i = 0; i < s->d; i++)
        o[i] = 0.0f;
    for (int first = 0; first < s->nk; first += ATTENTION_KEYS) {
        int n = s->nk - first < ATTENTION_KEYS ? s->nk - first : ATTENTION_KEYS;
        for (int j = 0; j < n; j++)
            p[j] = score(s->d, k + (first + j) * s->k_stride, q, s->scale * LOG2_E);
        float keep = next_block(&t, n, p);
        for (int i = 0; i < s->d; i++) {
            o[i] *= keep;
            for (int j = 0; j < n; j++)
                o[i] = fmaf(v[(first + j) * s->v_stride + i], p[j], o[i]);
        }
    }
    float inverse = 1.0f / t.sum;
    for (int i = 0; i < s->d; i++)
        o[i] *= inverse;
    *lse = fmaf(log_scalar(t.sum), LOG2_E, t.top);
}

void ebb_attention_f32_c(const ebb_attention_shape *s, float *o, float *lse, const float *q, const float *k,
                         const float *v, void *scratch)
{
    (void)scratch;
    for (int i = 0; i < s->nq; i++)
        one_query(s, o + i * s->o_stride, lse + i, q + i * s->q_stride, k, v);
}

static void set_rows(int rows, int d, float *x, size_t stride)
{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < d; j++)
            x[i * stride + j] = 0.0f;
}

static void scale_rows(int rows, int d, float *x, size_t stride, float scale)
{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < d; j++)
            x[i * stride + j] *= scale;
}

/* y += a x */
static void add_row(int d, float *y, float a, const float *x)
{
    for (int i = 0; i < d; i++)
        y[i] = fmaf(a, x[i], y[i]);
}

void ebb_attention_vjp_f32_c(const ebb_attention_shape *s, float *dq, float *dk, float *dv, const float *q,
                             const float *k, const float *v, const float *o, const float *lse, const float *do_,
                             void *scratch)
{
    (void)scratch;
    set_rows(s->nq, s->d, dq, s->q_stride);
    set_rows(s->nk, s->d, dk, s->k_stride);
    set_rows(s->nk, s->d, dv, s->v_stride);
    for (int i = 0; i < s->nq; i++, q += s->q_stride, dq += s->q_stride, o += s->o_stride, do_ += s->o_stride) {
        float along = ebb_dot_f32_c((size_t)s->d, do_, o);
        for (int j = 0; j < s->nk; j++) {
            const float *kj = k + j * s->k_stride, *vj = v + j * s->v_stride;
            float p = exp2_scalar(score(s->d, kj, q, s->scale * LOG2_E) - lse[i]);
            float ds = p * (score(s->d, vj, do_, 1.0f) - along);
            add_row(s->d, dv + j * s->v_stride, p, do_);
            add_row(s->d, dk + j * s->k_stride, ds, q);
            add_row(s->d, dq, ds, kj);
        }
    }
    scale_rows(s->nq, s->d, dq - s->nq * s->q_stride, s->q_stride, s->scale);
    scale_rows(s->nk, s->d, dk, s->k_stride, s->scale);
}
