/* own_attention.c: attention and its adjoint, head by head, read where they lie in (N, tokens, heads, width). The
 * fused adjoint has the forward's output and logarithms; the other computes them again. */
#include "backend/own.h"

static ebb_attention_shape geometry(const ebb_task *t)
{
    const int64_t *q = t->in_shape[0].dim, *k = t->in_shape[1].dim;
    size_t stride = (size_t)(q[2] * q[3]);
    return (ebb_attention_shape){.nq = (int)q[1], .nk = (int)k[1], .d = (int)q[3], .scale = t->attr.alpha,
                                 .q_stride = stride, .k_stride = stride, .v_stride = stride, .o_stride = stride};
}

static size_t kernel_bytes(const ebb_attention_shape *s) { return (ebb_attention_scratch(s) + 63) / 64 * 64; }

size_t ebb_own_attention_scratch(const ebb_task *t)
{
    ebb_attention_shape s = geometry(t);
    return kernel_bytes(&s);
}

/* Where head i of all pictures begins: numbers before it among queries and keys. */
static void locate(const ebb_task *t, int64_t i, int64_t *q, int64_t *k)
{
    int64_t heads = t->in_shape[0].dim[2], width = t->in_shape[0].dim[3];
    int64_t picture = i / heads, head = i % heads;
    *q = (picture * t->in_shape[0].dim[1] * heads + head) * width;
    *k = (picture * t->in_shape[1].dim[1] * heads + head) * width;
}

void ebb_own_attention(const ebb_executor *e, const ebb_step_args *a)
{
    ebb_attention_shape s = geometry(&e->task);
    int64_t heads = e->task.in_shape[0].dim[0] * e->task.in_shape[0].dim[2], q, k;
    for (int64_t i = 0; i < heads; i++) {
        locate(&e->task, i, &q, &k);
        e->kernels->attention_f32(&s, (float *)a->out[0] + q, (float *)a->out[1] + i * s.nq,
                                  (const float *)a->in[0] + q, (const float *)a->in[1] + k,
                                  (const float *)a->in[2] + k, a->scratch);
    }
}

/* scratch: the kernels', then output and logarithms of one head, the former with the stride of the others. */
size_t ebb_own_attention_vjp_scratch(const ebb_task *t)
{
    ebb_attention_shape s = geometry(t);
    return kernel_bytes(&s) + ((size_t)s.nq * (s.o_stride + 1) * sizeof(float) + 63) / 64 * 64;
}

void ebb_own_attention_vjp(const ebb_executor *e, const ebb_step_args *a)
{
    ebb_attention_shape s = geometry(&e->task);
    bool kept = e->task.op == EBB_OP_attention_vjp_kept;
    int64_t heads = e->task.in_shape[0].dim[0] * e->task.in_shape[0].dim[2], q, k;
    float *o = (float *)((char *)a->scratch + kernel_bytes(&s)), *lse = o + (size_t)s.nq * s.o_stride;
    for (int64_t i = 0; i < heads; i++) {
        locate(&e->task, i, &q, &k);
        const float *in[4] = {(const float *)a->in[0] + q, (const float *)a->in[1] + k, (const float *)a->in[2] + k,
                              (const float *)a->in[3] + q};
        if (!kept)
            e->kernels->attention_f32(&s, o, lse, in[0], in[1], in[2], a->scratch);
        e->kernels->attention_vjp_f32(&s, (float *)a->out[0] + q, (float *)a->out[1] + k, (float *)a->out[2] + k, in[0],
                                      in[1], in[2], kept ? (const float *)a->in[4] + q : o,
                                      kept ? (const float *)a->in[5] + i * s.nq : lse, in[3], a->scratch);
    }
}
