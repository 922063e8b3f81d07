/* own_conv.c: the convolution trio, direct or by Winograd's method (attr.method), on pictures of floats or of bfloat16.
 *
 * Sums are f32. Direct products of bfloat16 read weights packed in bfloat16; Winograd's are products of floats, so its
 * transformed weights are the same for both. */
#include "backend/own_conv.h"

/* Geometry from whichever of x, w, y the operation holds. Where weights are packed, kernel sizes are in attr. */
ebb_conv_shape ebb_own_conv_shape(const ebb_task *t)
{
    const ebb_attr *a = &t->attr;
    const int64_t *in = t->in_shape[0].dim, *out = t->out_shape[0].dim, *second = t->in_shape[1].dim;
    const int64_t *x = in, *y = out;
    ebb_conv_shape s = {.stride = a->stride, .pad_top = a->pad_top, .pad_left = a->pad_left, .kh = a->kh, .kw = a->kw};

    if (t->op == EBB_OP_conv_dx || t->op == EBB_OP_conv_dx_packed)
        x = out, y = in;
    else if (t->op == EBB_OP_conv_dw)
        y = second;
    if (t->op == EBB_OP_conv || t->op == EBB_OP_conv_dx)
        s.kh = (int)second[0], s.kw = (int)second[1];
    s.n = (int)x[0], s.h = (int)x[1], s.w = (int)x[2], s.ci = (int)x[3];
    s.oh = (int)y[1], s.ow = (int)y[2], s.co = (int)y[3];
    return s;
}

static bool winograd(const ebb_task *t) { return t->attr.method == EBB_METHOD_WINOGRAD; }

static bool adjoint(const ebb_task *t)
{
    return t->op == EBB_OP_conv_dx || t->op == EBB_OP_conv_dx_packed || t->op == EBB_OP_conv_pack_dx;
}

/* The type of the pictures; where weights are packed, of the packed ones. */
static bool bf16(const ebb_task *t) { return t->in_type[0] == EBB_BF16 || t->out_type[0] == EBB_BF16; }

/* ---- weights ----------------------------------------------------------------------------------- */

static size_t packed_bytes(const ebb_task *t, const ebb_conv_shape *s, bool dx)
{
    if (winograd(t))
        return sizeof(float) * (dx ? ebb_wino_pack_dx_size(s) : ebb_wino_pack_size(s));
    if (bf16(t))
        return sizeof(ebb_bf16) * (dx ? ebb_conv_pack_dx_bf16_size(s) : ebb_conv_pack_bf16_size(s));
    return sizeof(float) * (dx ? ebb_conv_pack_dx_size(s) : ebb_conv_pack_size(s));
}

/* Of the weights that conv and conv_dx pack for themselves. */
static size_t own_pack_bytes(const ebb_task *t, const ebb_conv_shape *s)
{
    bool packs = t->op == EBB_OP_conv || t->op == EBB_OP_conv_dx;
    return packs ? (packed_bytes(t, s, adjoint(t)) + 63) / 64 * 64 : 0;
}

static void pack(const ebb_executor *e, const ebb_conv_shape *s, void *packed, const float *w)
{
    if (winograd(&e->task))
        (adjoint(&e->task) ? e->kernels->wino_pack_dx_f32 : e->kernels->wino_pack_f32)(s, packed, w);
    else if (bf16(&e->task))
        (adjoint(&e->task) ? ebb_conv_pack_dx_bf16 : ebb_conv_pack_bf16)(s, packed, w);
    else
        (adjoint(&e->task) ? ebb_conv_pack_dx : ebb_conv_pack)(s, packed, w);
}

void ebb_own_conv_pack(const ebb_executor *e, const ebb_step_args *a)
{
    const int64_t *w = e->task.in_shape[0].dim;
    ebb_conv_shape s = {.kh = (int)w[0], .kw = (int)w[1], .ci = (int)w[2], .co = (int)w[3]};
    pack(e, &s, a->out[0], a->in[0]);
}

/* ---- kernels ----------------------------------------------------------------------------------- */

size_t ebb_own_conv_scratch(const ebb_task *t)
{
    ebb_conv_shape s = ebb_own_conv_shape(t);
    ebb_conv_shape forward = adjoint(t) ? ebb_wino_adjoint(&s) : s;
    if (!winograd(t))
        return own_pack_bytes(t, &s) + (bf16(t) ? ebb_conv_scratch_bf16 : ebb_conv_scratch)(&s);
    return own_pack_bytes(t, &s) +
           (t->op == EBB_OP_conv_dw ? ebb_wino_scratch(&s) : ebb_wino_forward_scratch(&forward));
}

static void kernel(const ebb_executor *e, const ebb_own_convolution *c)
{
    const ebb_kernels *k = e->kernels;
    if (!bf16(&e->task))
        (c->winograd ? k->wino_f32 : k->conv_f32)(&c->s, c->y, c->x, c->w, c->bias, c->residual, c->scratch);
    else if (c->winograd)
        k->wino_bf16(&c->s, c->y, c->x, c->w, c->bias, c->residual, c->scratch);
    else
        k->conv_bf16(&c->s, c->y, c->x, c->w, c->bias, c->residual, c->scratch);
}

static void kernel_dx(const ebb_executor *e, const ebb_own_convolution *c)
{
    ebb_conv_shape s = ebb_own_conv_shape(&e->task);
    if (bf16(&e->task))
        e->kernels->conv_dx_bf16(&s, c->y, c->x, c->w, c->residual, c->scratch);
    else
        e->kernels->conv_dx_f32(&s, c->y, c->x, c->w, c->residual, c->scratch);
}

/* Of what runs forward, the adjoint by Winograd among it. */
static ebb_own_convolution convolution(const ebb_task *t)
{
    ebb_conv_shape s = ebb_own_conv_shape(t);
    size_t number = bf16(t) ? sizeof(ebb_bf16) : sizeof(float);
    ebb_own_convolution c = {.s = adjoint(t) ? ebb_wino_adjoint(&s) : s, .x_bytes = number, .y_bytes = number,
                             .winograd = winograd(t), .kernel = kernel};
    c.kernel_scratch = winograd(t) ? ebb_wino_forward_scratch : bf16(t) ? ebb_conv_scratch_bf16 : ebb_conv_scratch;
    ebb_conv_shape panel = c.s;
    panel.co = EBB_PANEL;
    c.panel_bytes = packed_bytes(t, &panel, false);
    return c;
}

static bool runs_forward(const ebb_task *t) { return winograd(t) || !adjoint(t); }

void ebb_own_conv(const ebb_executor *e, const ebb_step_args *a)
{
    ebb_conv_shape s = ebb_own_conv_shape(&e->task);
    ebb_own_convolution c = convolution(&e->task);
    c.x = a->in[0], c.w = a->scratch, c.y = a->out[0];
    c.scratch = (char *)a->scratch + own_pack_bytes(&e->task, &s);
    pack(e, &s, a->scratch, a->in[1]);
    (runs_forward(&e->task) ? kernel : kernel_dx)(e, &c);
}

void ebb_own_conv_cut(ebb_executor *e)
{
    ebb_own_convolution c = convolution(&e->task);
    if (runs_forward(&e->task))
        ebb_own_convolution_cut(e, &c);
}

void ebb_own_conv_packed(const ebb_executor *e, const ebb_step_args *a)
{
    ebb_own_convolution c = convolution(&e->task);
    ebb_own_convolution_bind(&c, &e->task, a);
    if (runs_forward(&e->task))
        ebb_own_convolution_run(e, &c, a->part);
    else
        kernel_dx(e, &c);
}

void ebb_own_conv_dw(const ebb_executor *e, const ebb_step_args *a)
{
    ebb_conv_shape s = ebb_own_conv_shape(&e->task);
    const ebb_kernels *k = e->kernels;
    if (bf16(&e->task))
        (winograd(&e->task) ? k->wino_dw_bf16 : k->conv_dw_bf16)(&s, a->out[0], a->in[0], a->in[1], false, a->scratch);
    else
        (winograd(&e->task) ? k->wino_dw_f32 : k->conv_dw_f32)(&s, a->out[0], a->in[0], a->in[1], false, a->scratch);
}
