/* own_conv_bf16.c: the convolution trio on bfloat16 activations: weights packed in bfloat16, sums in f32. */
#include "backend/own.h"

static bool adjoint(const ebb_task *t)
{
    return t->op == EBB_OP_conv_dx || t->op == EBB_OP_conv_dx_packed || t->op == EBB_OP_conv_pack_dx;
}

/* Of the weights that conv and conv_dx pack for themselves. */
static size_t pack_bytes(const ebb_task *t, const ebb_conv_shape *s)
{
    size_t numbers = 0;
    if (t->op == EBB_OP_conv)
        numbers = ebb_conv_pack_bf16_size(s);
    else if (t->op == EBB_OP_conv_dx)
        numbers = ebb_conv_pack_dx_bf16_size(s);
    return (numbers * sizeof(ebb_bf16) + 63) / 64 * 64;
}

size_t ebb_own_conv_bf16_scratch(const ebb_task *t)
{
    ebb_conv_shape s = ebb_own_conv_shape(t);
    return pack_bytes(t, &s) + ebb_conv_scratch_bf16(&s);
}

void ebb_own_conv_pack_bf16(const ebb_executor *e, const ebb_step_args *a)
{
    const int64_t *w = e->task.in_shape[0].dim;
    ebb_conv_shape s = {.kh = (int)w[0], .kw = (int)w[1], .ci = (int)w[2], .co = (int)w[3]};
    (adjoint(&e->task) ? ebb_conv_pack_dx_bf16 : ebb_conv_pack_bf16)(&s, a->out[0], a->in[0]);
}

static void run(const ebb_executor *e, const ebb_conv_shape *s, const ebb_step_args *a, const ebb_bf16 *packed,
                const float *bias, const ebb_bf16 *residual, void *scratch)
{
    if (adjoint(&e->task))
        e->kernels->conv_dx_bf16(s, a->out[0], a->in[0], packed, residual, scratch);
    else
        e->kernels->conv_bf16(s, a->out[0], a->in[0], packed, bias, residual, scratch);
}

void ebb_own_conv_bf16(const ebb_executor *e, const ebb_step_args *a)
{
    ebb_conv_shape s = ebb_own_conv_shape(&e->task);
    (adjoint(&e->task) ? ebb_conv_pack_dx_bf16 : ebb_conv_pack_bf16)(&s, a->scratch, a->in[1]);
    run(e, &s, a, a->scratch, NULL, NULL, (char *)a->scratch + pack_bytes(&e->task, &s));
}

void ebb_own_conv_packed_bf16(const ebb_executor *e, const ebb_step_args *a)
{
    ebb_conv_shape s = ebb_own_conv_shape(&e->task);
    int next = 2, has = e->task.attr.index;
    const float *bias = has & EBB_HAS_BIAS ? a->in[next++] : NULL;
    const ebb_bf16 *residual = has & EBB_HAS_RESIDUAL ? a->in[next] : NULL;
    run(e, &s, a, a->in[1], bias, residual, a->scratch);
}

void ebb_own_conv_dw_bf16(const ebb_executor *e, const ebb_step_args *a)
{
    ebb_conv_shape s = ebb_own_conv_shape(&e->task);
    e->kernels->conv_dw_bf16(&s, a->out[0], a->in[0], a->in[1], false, a->scratch);
}
