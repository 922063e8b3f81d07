/* own_attention.c: attention and its adjoint, head by head, read where they lie in (N, tokens, heads, width), all in
 * f32 or all in bfloat16, the logarithms always in f32. The fused adjoint has the forward's output and logarithms; the
 * other computes them again. */
#include "backend/own.h"

static ebb_attention_shape geometry(const ebb_task *t)
{
    const int64_t *q = t->in_shape[0].dim, *k = t->in_shape[1].dim;
    size_t stride = (size_t)(q[2] * q[3]);
    return (ebb_attention_shape){.nq = (int)q[1], .nk = (int)k[1], .d = (int)q[3], .scale = t->attr.alpha,
                                 .q_stride = stride, .k_stride = stride, .v_stride = stride, .o_stride = stride};
}

static bool is_bf16(const ebb_task *t) { return t->out_type[0] == EBB_BF16; }

static size_t kernel_bytes(const ebb_task *t, const ebb_attention_shape *s)
{
    return ((is_bf16(t) ? ebb_attention_scratch_bf16(s) : ebb_attention_scratch(s)) + 63) / 64 * 64;
}

size_t ebb_own_attention_scratch(const ebb_task *t)
{
    ebb_attention_shape s = geometry(t);
    return kernel_bytes(t, &s);
}

/* Where head i of all pictures begins: numbers before it among queries and keys. */
static void locate(const ebb_task *t, int64_t i, int64_t *q, int64_t *k)
{
    int64_t heads = t->in_shape[0].dim[2], width = t->in_shape[0].dim[3];
    int64_t picture = i / heads, head = i % heads;
    *q = (picture * t->in_shape[0].dim[1] * heads + head) * width;
    *k = (picture * t->in_shape[1].dim[1] * heads + head) * width;
}

/* Number i of data. */
static void *at(const ebb_task *t, const void *data, int64_t i)
{
    return (char *)(uintptr_t)data + (size_t)i * ebb_dtype_bytes(t->out_type[0]);
}

static void forward(const ebb_executor *e, const ebb_attention_shape *s, void *o, float *lse, const void *const in[3],
                    void *scratch)
{
    if (is_bf16(&e->task))
        e->kernels->attention_bf16(s, o, lse, in[0], in[1], in[2], scratch);
    else
        e->kernels->attention_f32(s, o, lse, in[0], in[1], in[2], scratch);
}

enum { QUERIES = 16 };           /* a vector of them */

static int64_t heads_of(const ebb_task *t) { return t->in_shape[0].dim[0] * t->in_shape[0].dim[2]; }

/* Heads, and runs of queries within them; in cycles about as many as a core of AVX-512 takes. */
void ebb_own_attention_cut(ebb_executor *e)
{
    ebb_attention_shape s = geometry(&e->task);
    double pairs = (double)s.nk * s.d;
    ebb_own_cut_grid(e, &(ebb_own_grid){.rows = heads_of(&e->task), .columns = (s.nq + QUERIES - 1) / QUERIES,
                                        .each = pairs * QUERIES / 12, .row = pairs / 8});
}

void ebb_own_attention(const ebb_executor *e, const ebb_step_args *a)
{
    const ebb_task *t = &e->task;
    ebb_attention_shape s = geometry(t);
    ebb_span heads = ebb_own_span(heads_of(t), 1, a->part / e->across, e->parts / e->across);
    ebb_span queries = ebb_own_span(s.nq, QUERIES, a->part % e->across, e->across);
    int64_t nq = s.nq, q, k;
    s.nq = (int)(queries.end - queries.begin);
    for (int64_t i = heads.begin; i < heads.end && s.nq > 0; i++) {
        locate(t, i, &q, &k);
        q += queries.begin * (int64_t)s.q_stride;
        const void *in[3] = {at(t, a->in[0], q), at(t, a->in[1], k), at(t, a->in[2], k)};
        forward(e, &s, at(t, a->out[0], q), (float *)a->out[1] + i * nq + queries.begin, in, a->scratch);
    }
}

/* scratch: the kernels', then logarithms and output of one head, the latter with the stride of the others. */
size_t ebb_own_attention_vjp_scratch(const ebb_task *t)
{
    ebb_attention_shape s = geometry(t);
    return kernel_bytes(t, &s) + ((size_t)s.nq * (s.o_stride + 1) * sizeof(float) + 63) / 64 * 64;
}

void ebb_own_attention_vjp(const ebb_executor *e, const ebb_step_args *a)
{
    const ebb_task *t = &e->task;
    ebb_attention_shape s = geometry(t);
    bool kept = t->op == EBB_OP_attention_vjp_kept;
    int64_t heads = t->in_shape[0].dim[0] * t->in_shape[0].dim[2], q, k;
    float *room = (float *)((char *)a->scratch + kernel_bytes(t, &s));
    for (int64_t i = 0; i < heads; i++) {
        locate(t, i, &q, &k);
        const void *in[3] = {at(t, a->in[0], q), at(t, a->in[1], k), at(t, a->in[2], k)};
        void *out[3] = {at(t, a->out[0], q), at(t, a->out[1], k), at(t, a->out[2], k)};
        const void *o = kept ? at(t, a->in[4], q) : room + s.nq, *dy = at(t, a->in[3], q);
        const float *lse = kept ? (const float *)a->in[5] + i * s.nq : room;
        if (!kept)
            forward(e, &s, room + s.nq, room, in, a->scratch);
        if (is_bf16(t))
            e->kernels->attention_vjp_bf16(&s, out[0], out[1], out[2], in[0], in[1], in[2], o, lse, dy, a->scratch);
        else
            e->kernels->attention_vjp_f32(&s, out[0], out[1], out[2], in[0], in[1], in[2], o, lse, dy, a->scratch);
    }
}
