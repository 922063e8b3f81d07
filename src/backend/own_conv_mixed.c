/* own_conv_mixed.c: convolutions between few channels in f32 and many in bfloat16, as the first and the last of a
 * network: the kernels on floats, picture by picture, with what is bfloat16 widened before and rounded after. */
#include "backend/own_conv.h"

static bool adjoint(const ebb_task *t) { return t->op == EBB_OP_conv_dx || t->op == EBB_OP_conv_dx_packed; }

static size_t aligned_floats(size_t count) { return (count * sizeof(float) + 63) / 64 * 64; }

static size_t x_count(const ebb_conv_shape *s) { return (size_t)s->h * (size_t)s->w * (size_t)s->ci; }

static size_t y_count(const ebb_conv_shape *s) { return (size_t)s->oh * (size_t)s->ow * (size_t)s->co; }

static size_t pack_bytes(const ebb_task *t, const ebb_conv_shape *s)
{
    size_t floats = 0;
    if (t->op == EBB_OP_conv)
        floats = ebb_conv_pack_size(s);
    else if (t->op == EBB_OP_conv_dx)
        floats = ebb_conv_pack_dx_size(s);
    return aligned_floats(floats);
}

/* scratch: weights that conv and conv_dx pack themselves, a picture of each side, the kernel's. */
size_t ebb_own_conv_mixed_scratch(const ebb_task *t)
{
    ebb_conv_shape s = ebb_own_conv_shape(t);
    s.n = 1;
    return pack_bytes(t, &s) + aligned_floats(x_count(&s)) + aligned_floats(y_count(&s)) + ebb_conv_scratch(&s);
}

/* Picture i of data, count numbers, as floats: in place, or widened into room. */
static const float *floats_of(const ebb_executor *e, const void *data, ebb_dtype type, int64_t i, size_t count,
                              float *room)
{
    if (type == EBB_F32)
        return (const float *)data + (size_t)i * count;
    e->kernels->widen_bf16(count, room, (const ebb_bf16 *)data + (size_t)i * count);
    return room;
}

/* The adjoint. */
static void run_back(const ebb_executor *e, const ebb_step_args *a, const float *packed, char *scratch)
{
    ebb_conv_shape s = ebb_own_conv_shape(&e->task);
    bool rounds = e->task.out_type[0] == EBB_BF16;
    size_t from = y_count(&s), to = x_count(&s);
    float *room = (float *)scratch, *result = (float *)(scratch + aligned_floats(from));
    int64_t pictures = s.n;

    scratch += aligned_floats(from) + aligned_floats(to);
    s.n = 1;
    for (int64_t i = 0; i < pictures; i++) {
        const float *dy = floats_of(e, a->in[0], e->task.in_type[0], i, from, room);
        float *dx = rounds ? result : (float *)a->out[0] + (size_t)i * to;
        e->kernels->conv_dx_f32(&s, dx, dy, packed, NULL, scratch);
        if (rounds)
            e->kernels->narrow_bf16(to, (ebb_bf16 *)a->out[0] + (size_t)i * to, dx);
    }
}

static size_t kernel_scratch(const ebb_conv_shape *s)
{
    ebb_conv_shape one = *s;
    one.n = 1;
    return aligned_floats(x_count(s)) + aligned_floats(y_count(s)) + ebb_conv_scratch(&one);
}

static void kernel(const ebb_executor *e, const ebb_own_convolution *c)
{
    ebb_conv_shape s = c->s;
    bool rounds = c->y_bytes == sizeof(ebb_bf16);
    size_t from = x_count(&s), to = y_count(&s);
    float *room = c->scratch, *result = (float *)((char *)c->scratch + aligned_floats(from));
    void *scratch = (char *)result + aligned_floats(to);

    s.n = 1;
    for (int i = 0; i < c->s.n; i++) {
        const float *x = floats_of(e, c->x, e->task.in_type[0], i, from, room);
        float *y = rounds ? result : (float *)c->y + (size_t)i * to;
        e->kernels->conv_f32(&s, y, x, c->w, c->bias, NULL, scratch);
        if (rounds)
            e->kernels->narrow_bf16(to, (ebb_bf16 *)c->y + (size_t)i * to, y);
    }
}

static ebb_own_convolution convolution(const ebb_task *t)
{
    ebb_own_convolution c = {.s = ebb_own_conv_shape(t), .x_bytes = ebb_dtype_bytes(t->in_type[0]),
                             .y_bytes = ebb_dtype_bytes(t->out_type[0]), .kernel = kernel,
                             .kernel_scratch = kernel_scratch};
    ebb_conv_shape panel = c.s;
    panel.co = EBB_PANEL;
    c.panel_bytes = sizeof(float) * ebb_conv_pack_size(&panel);
    return c;
}

void ebb_own_conv_mixed(const ebb_executor *e, const ebb_step_args *a)
{
    ebb_own_convolution c = convolution(&e->task);
    char *scratch = (char *)a->scratch + pack_bytes(&e->task, &c.s);
    (adjoint(&e->task) ? ebb_conv_pack_dx : ebb_conv_pack)(&c.s, a->scratch, a->in[1]);
    if (adjoint(&e->task)) {
        run_back(e, a, a->scratch, scratch);
        return;
    }
    c.x = a->in[0], c.w = a->scratch, c.y = a->out[0], c.scratch = scratch;
    kernel(e, &c);
}

void ebb_own_conv_mixed_cut(ebb_executor *e)
{
    ebb_own_convolution c = convolution(&e->task);
    ebb_own_convolution_cut(e, &c);
}

void ebb_own_conv_packed_mixed(const ebb_executor *e, const ebb_step_args *a)
{
    ebb_own_convolution c = convolution(&e->task);
    if (adjoint(&e->task)) {
        run_back(e, a, a->in[1], a->scratch);
        return;
    }
    ebb_own_convolution_bind(&c, &e->task, a);
    ebb_own_convolution_run(e, &c, a->part);
}

/* Adding picture after picture into dw is the chain over all of them. */
void ebb_own_conv_dw_mixed(const ebb_executor *e, const ebb_step_args *a)
{
    ebb_conv_shape s = ebb_own_conv_shape(&e->task);
    char *x_room = a->scratch, *dy_room = x_room + aligned_floats(x_count(&s));
    char *scratch = dy_room + aligned_floats(y_count(&s));
    int64_t pictures = s.n;

    s.n = 1;
    for (int64_t i = 0; i < pictures; i++) {
        const float *x = floats_of(e, a->in[0], e->task.in_type[0], i, x_count(&s), (float *)x_room);
        const float *dy = floats_of(e, a->in[1], e->task.in_type[1], i, y_count(&s), (float *)dy_room);
        e->kernels->conv_dw_f32(&s, a->out[0], x, dy, i > 0, scratch);
    }
}
