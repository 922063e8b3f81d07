/* own_conv_bf16.c: the convolution trio on bfloat16 activations, sums in f32: direct, on weights packed in bfloat16, or
 * by Winograd's method, on weights transformed in f32. */
#include "backend/own_conv.h"

static bool adjoint(const ebb_task *t)
{
    return t->op == EBB_OP_conv_dx || t->op == EBB_OP_conv_dx_packed || t->op == EBB_OP_conv_pack_dx;
}

static bool winograd(const ebb_task *t) { return t->attr.method == EBB_METHOD_WINOGRAD; }

/* Of the weights that conv and conv_dx pack for themselves. */
static size_t pack_bytes(const ebb_task *t, const ebb_conv_shape *s)
{
    size_t bytes = 0;
    if (t->op == EBB_OP_conv)
        bytes = winograd(t) ? ebb_wino_pack_size(s) * sizeof(float) : ebb_conv_pack_bf16_size(s) * sizeof(ebb_bf16);
    else if (t->op == EBB_OP_conv_dx)
        bytes = winograd(t) ? ebb_wino_pack_dx_size(s) * sizeof(float) : ebb_conv_pack_dx_bf16_size(s) * sizeof(ebb_bf16);
    return (bytes + 63) / 64 * 64;
}

size_t ebb_own_conv_bf16_scratch(const ebb_task *t)
{
    ebb_conv_shape s = ebb_own_conv_shape(t);
    ebb_conv_shape forward = adjoint(t) ? ebb_wino_adjoint(&s) : s;
    if (!winograd(t))
        return pack_bytes(t, &s) + ebb_conv_scratch_bf16(&s);
    return pack_bytes(t, &s) + (t->op == EBB_OP_conv_dw ? ebb_wino_scratch(&s) : ebb_wino_forward_scratch(&forward));
}

static void pack(const ebb_executor *e, const ebb_conv_shape *s, void *packed, const float *w)
{
    if (winograd(&e->task))
        (adjoint(&e->task) ? e->kernels->wino_pack_dx_f32 : e->kernels->wino_pack_f32)(s, packed, w);
    else
        (adjoint(&e->task) ? ebb_conv_pack_dx_bf16 : ebb_conv_pack_bf16)(s, packed, w);
}

void ebb_own_conv_pack_bf16(const ebb_executor *e, const ebb_step_args *a)
{
    const int64_t *w = e->task.in_shape[0].dim;
    ebb_conv_shape s = {.kh = (int)w[0], .kw = (int)w[1], .ci = (int)w[2], .co = (int)w[3]};
    pack(e, &s, a->out[0], a->in[0]);
}

void ebb_own_conv_bf16(const ebb_executor *e, const ebb_step_args *a)
{
    ebb_conv_shape s = ebb_own_conv_shape(&e->task);
    void *scratch = (char *)a->scratch + pack_bytes(&e->task, &s);
    pack(e, &s, a->scratch, a->in[1]);
    if (winograd(&e->task)) {
        ebb_conv_shape forward = adjoint(&e->task) ? ebb_wino_adjoint(&s) : s;
        e->kernels->wino_bf16(&forward, a->out[0], a->in[0], a->scratch, NULL, NULL, scratch);
    } else if (adjoint(&e->task)) {
        e->kernels->conv_dx_bf16(&s, a->out[0], a->in[0], a->scratch, NULL, scratch);
    } else {
        e->kernels->conv_bf16(&s, a->out[0], a->in[0], a->scratch, NULL, NULL, scratch);
    }
}

static void kernel(const ebb_executor *e, const ebb_own_convolution *c)
{
    if (c->winograd)
        e->kernels->wino_bf16(&c->s, c->y, c->x, c->w, c->bias, c->residual, c->scratch);
    else
        e->kernels->conv_bf16(&c->s, c->y, c->x, c->w, c->bias, c->residual, c->scratch);
}

/* Of what runs forward, the adjoint by Winograd among it. */
static ebb_own_convolution convolution(const ebb_task *t)
{
    ebb_conv_shape s = ebb_own_conv_shape(t);
    ebb_own_convolution c = {.s = adjoint(t) ? ebb_wino_adjoint(&s) : s, .x_bytes = sizeof(ebb_bf16),
                             .y_bytes = sizeof(ebb_bf16), .winograd = winograd(t), .kernel = kernel,
                             .kernel_scratch = winograd(t) ? ebb_wino_forward_scratch : ebb_conv_scratch_bf16};
    ebb_conv_shape panel = c.s;
    panel.co = EBB_PANEL;
    c.panel_bytes = winograd(t) ? sizeof(float) * ebb_wino_pack_size(&panel)
                                : sizeof(ebb_bf16) * ebb_conv_pack_bf16_size(&panel);
    return c;
}

static bool runs_forward(const ebb_task *t) { return winograd(t) || !adjoint(t); }

void ebb_own_conv_bf16_cut(ebb_executor *e)
{
    ebb_own_convolution c = convolution(&e->task);
    if (runs_forward(&e->task))
        ebb_own_convolution_cut(e, &c);
}

void ebb_own_conv_packed_bf16(const ebb_executor *e, const ebb_step_args *a)
{
    ebb_own_convolution c = convolution(&e->task);
    ebb_own_convolution_bind(&c, &e->task, a);
    if (runs_forward(&e->task)) {
        ebb_own_convolution_run(e, &c, a->part);
        return;
    }
    ebb_conv_shape s = ebb_own_conv_shape(&e->task);
    e->kernels->conv_dx_bf16(&s, c.y, c.x, c.w, c.residual, c.scratch);
}

void ebb_own_conv_dw_bf16(const ebb_executor *e, const ebb_step_args *a)
{
    ebb_conv_shape s = ebb_own_conv_shape(&e->task);
    const ebb_kernels *k = e->kernels;
    (winograd(&e->task) ? k->wino_dw_bf16 : k->conv_dw_bf16)(&s, a->out[0], a->in[0], a->in[1], false, a->scratch);
}
