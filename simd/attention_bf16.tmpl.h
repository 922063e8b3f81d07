/* attention_bf16.tmpl.h: attention and its adjoint on bfloat16, in f32: the specification, and what machines do that
 * have no instruction for it. Numbers are widened, f32 attention takes the head, and results are rounded. */
#include "attention.h"
#include "instances.h"

static void attention_widen(int rows, int d, float *y, const ebb_bf16 *x, size_t stride)
{
    for (int i = 0; i < rows; i++)
        EBB_INSTANCE(widen_bf16)((size_t)d, y + (size_t)i * d, x + i * stride);
}

static void attention_round(int rows, int d, ebb_bf16 *y, size_t stride, const float *x)
{
    for (int i = 0; i < rows; i++)
        EBB_INSTANCE(narrow_bf16)((size_t)d, y + i * stride, x + (size_t)i * d);
}

static ebb_attention_shape attention_dense(const ebb_attention_shape *s)
{
    ebb_attention_shape t = *s;
    t.q_stride = t.k_stride = t.v_stride = t.o_stride = (size_t)s->d;
    return t;
}

void EBB_INSTANCE(attention_bf16)(const ebb_attention_shape *s, ebb_bf16 *o, float *lse, const ebb_bf16 *q,
                                  const ebb_bf16 *k, const ebb_bf16 *v, void *scratch)
{
    const ebb_attention_shape t = attention_dense(s);
    const size_t nq = (size_t)s->nq * s->d, nk = (size_t)s->nk * s->d;
    float *wide_q = attention_wide(s, scratch), *wide_k = wide_q + nq, *wide_v = wide_k + nk, *wide_o = wide_v + nk;
    attention_widen(s->nq, s->d, wide_q, q, s->q_stride);
    attention_widen(s->nk, s->d, wide_k, k, s->k_stride);
    attention_widen(s->nk, s->d, wide_v, v, s->v_stride);
    EBB_INSTANCE(attention_f32)(&t, wide_o, lse, wide_q, wide_k, wide_v, scratch);
    attention_round(s->nq, s->d, o, s->o_stride, wide_o);
}

void EBB_INSTANCE(attention_vjp_bf16)(const ebb_attention_shape *s, ebb_bf16 *dq, ebb_bf16 *dk, ebb_bf16 *dv,
                                      const ebb_bf16 *q, const ebb_bf16 *k, const ebb_bf16 *v, const ebb_bf16 *o,
                                      const float *lse, const ebb_bf16 *do_, void *scratch)
{
    const ebb_attention_shape t = attention_dense(s);
    const size_t nq = (size_t)s->nq * s->d, nk = (size_t)s->nk * s->d;
    float *wide_q = attention_wide(s, scratch), *wide_o = wide_q + nq, *wide_g = wide_o + nq, *wide_dq = wide_g + nq;
    float *wide_k = wide_dq + nq, *wide_v = wide_k + nk, *wide_dk = wide_v + nk, *wide_dv = wide_dk + nk;
    attention_widen(s->nq, s->d, wide_q, q, s->q_stride);
    attention_widen(s->nq, s->d, wide_o, o, s->o_stride);
    attention_widen(s->nq, s->d, wide_g, do_, s->o_stride);
    attention_widen(s->nk, s->d, wide_k, k, s->k_stride);
    attention_widen(s->nk, s->d, wide_v, v, s->v_stride);
    EBB_INSTANCE(attention_vjp_f32)(&t, wide_dq, wide_dk, wide_dv, wide_q, wide_k, wide_v, wide_o, lse, wide_g,
                                    scratch);
    attention_round(s->nq, s->d, dq, s->q_stride, wide_dq);
    attention_round(s->nk, s->d, dk, s->k_stride, wide_dk);
    attention_round(s->nk, s->d, dv, s->v_stride, wide_dv);
}
