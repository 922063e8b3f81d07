/* own_norm.c: group norm and its adjoint, picture by picture; fused forms carry the activation, a shift
 * a picture (time embedding), or a factor and an offset a picture, and the saved statistics. The unfused
 * adjoint recomputes them. Pictures are f32 or bfloat16, everything else is f32.
 *
 * A factor f and an offset o make a norm with gamma' = gamma f, beta' = beta f + o; of its adjoint's dgamma'
 * and dbeta' follow df = gamma dgamma' + beta dbeta', do = dbeta', dgamma += f dgamma', dbeta += f dbeta'.
 */
#include <string.h>

#include "backend/own.h"

/* What the kernel multiplies and adds for a picture: the parameters, or those with factor and offset. */
typedef struct gains {
    const float *gamma, *beta;
} gains;

static size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

static ebb_norm_shape geometry(const ebb_task *t)
{
    const ebb_shape *x = &t->in_shape[0];
    int64_t c = x->dim[x->rank - 1];
    return (ebb_norm_shape){.pixels = (int)(ebb_shape_count(*x) / (x->dim[0] * c)), .channels = (int)c,
                            .groups = t->attr.groups, .eps = t->attr.alpha,
                            .silu = (t->op == EBB_OP_norm || t->op == EBB_OP_norm_vjp) && t->attr.silu};
}

static bool has(const ebb_task *t, int flag)
{
    return (t->op == EBB_OP_norm || t->op == EBB_OP_norm_vjp) && t->attr.index & flag;
}

static size_t stats_bytes(const ebb_task *t) { return aligned((size_t)t->attr.groups * 8); }

static bool is_bf16(const ebb_task *t) { return t->out_type[0] == EBB_BF16; }

static size_t picture_bytes(const ebb_task *t, const ebb_norm_shape *s)
{
    return (size_t)s->pixels * (size_t)s->channels * ebb_dtype_bytes(t->out_type[0]);
}

static size_t kernel_bytes(const ebb_task *t, const ebb_norm_shape *s)
{
    return aligned(is_bf16(t) ? ebb_norm_scratch_bf16(s) : ebb_norm_scratch(s));
}

static size_t channels_bytes(const ebb_norm_shape *s) { return aligned((size_t)s->channels * 4); }

/* Those of picture i, made in room (2 x channels_bytes) when there is a factor; in[slot]: factor, offset. */
static gains find_gains(const ebb_executor *e, const ebb_step_args *a, const ebb_norm_shape *s, int slot, int64_t i,
                        char *room)
{
    size_t c = (size_t)s->channels;
    if (!has(&e->task, EBB_HAS_SCALE_SHIFT))
        return (gains){a->in[1], a->in[2]};
    const float *factor = (const float *)a->in[slot] + i * s->channels;
    float *gamma = (float *)room, *beta = (float *)(room + channels_bytes(s));
    e->kernels->mul_f32(c, gamma, a->in[1], factor);
    e->kernels->mul_f32(c, beta, a->in[2], factor);
    e->kernels->add_f32(c, beta, beta, (const float *)a->in[slot + 1] + i * s->channels);
    return (gains){gamma, beta};
}

/* Picture i of data. */
static void *picture(const ebb_task *t, const ebb_norm_shape *s, const void *data, int64_t i)
{
    return (char *)(uintptr_t)data + (size_t)i * picture_bytes(t, s);
}

static void forward(const ebb_executor *e, const ebb_norm_shape *s, void *y, float *stats, const void *x,
                    const float *shift, gains k)
{
    if (is_bf16(&e->task))
        e->kernels->norm_bf16(s, y, stats, x, shift, k.gamma, k.beta);
    else
        e->kernels->norm_f32(s, y, stats, x, shift, k.gamma, k.beta);
}

/* scratch: statistics that nobody asked for, then gains. */
size_t ebb_own_norm_scratch(const ebb_task *t)
{
    ebb_norm_shape s = geometry(t);
    return stats_bytes(t) + 2 * channels_bytes(&s);
}

/* Groups that fill whole cache lines of every pixel: the least that a thread takes. */
static int64_t groups_of_lines(const ebb_task *t, const ebb_norm_shape *s)
{
    int64_t groups = 1, bytes = s->channels / s->groups * (int64_t)ebb_dtype_bytes(t->out_type[0]);
    while (groups * bytes % 64 != 0)
        groups++;
    return groups;
}

/* Pictures and, within each, groups. */
void ebb_own_norm_cut(ebb_executor *e)
{
    enum { FEWEST = 1024 };
    ebb_norm_shape s = geometry(&e->task);
    int64_t n = e->task.in_shape[0].dim[0], unit = groups_of_lines(&e->task, &s), units = (s.groups + unit - 1) / unit;
    int parts = ebb_own_parts(e, n * units, n * s.pixels * s.channels, FEWEST);
    int most = (int)(units < parts ? units : parts);
    e->across = 1;
    while (e->across < most && (parts % e->across != 0 || parts / e->across > n))
        e->across++;
    e->parts = parts / e->across * e->across;
}

void ebb_own_norm(const ebb_executor *e, const ebb_step_args *a)
{
    const ebb_task *t = &e->task;
    ebb_norm_shape whole = geometry(t), s = whole;
    bool fused = t->op == EBB_OP_norm;
    const float *shift = has(t, EBB_HAS_SHIFT) ? a->in[3] : NULL;
    ebb_span pictures = ebb_own_span(t->in_shape[0].dim[0], 1, a->part / e->across, e->parts / e->across);
    ebb_span groups = ebb_own_span(s.groups, groups_of_lines(t, &s), a->part % e->across, e->across);
    int64_t width = s.channels / s.groups, c = width * groups.begin;
    size_t from = (size_t)c * ebb_dtype_bytes(t->out_type[0]);

    s.groups = (int)(groups.end - groups.begin);
    s.channels = (int)(width * s.groups);
    s.stride = whole.channels;
    for (int64_t i = pictures.begin; i < pictures.end && s.groups > 0; i++) {
        gains k = find_gains(e, a, &whole, 3, i, (char *)a->scratch + stats_bytes(t));
        float *stats = fused ? (float *)a->out[1] + i * 2 * whole.groups : a->scratch;
        forward(e, &s, (char *)picture(t, &whole, a->out[0], i) + from, stats + 2 * groups.begin,
                (const char *)picture(t, &whole, a->in[0], i) + from, shift ? shift + i * whole.channels + c : NULL,
                (gains){k.gamma + c, k.beta + c});
    }
}

/* scratch: the kernel's, gains and their gradient; unfused: statistics and a picture to recompute them with. */
size_t ebb_own_norm_vjp_scratch(const ebb_task *t)
{
    ebb_norm_shape s = geometry(t);
    size_t rest = t->op == EBB_OP_norm_vjp ? 0 : stats_bytes(t) + aligned(picture_bytes(t, &s));
    return kernel_bytes(t, &s) + 4 * channels_bytes(&s) + rest;
}

/* Shares the gradients of picture i's gains, dgamma and part 4, among what these were made of. room: a vector. */
static void share_gradient(const ebb_executor *e, const ebb_step_args *a, int64_t i, const float *dgamma, float *room)
{
    const ebb_kernels *k = e->kernels;
    size_t c = (size_t)e->task.out_shape[1].dim[0];
    const float *factor = (const float *)a->in[5] + (size_t)i * c;
    float *dfactor = (float *)a->out[3] + (size_t)i * c, *dbeta = (float *)a->out[4] + (size_t)i * c;

    k->mul_f32(c, dfactor, a->in[1], dgamma);
    k->mul_f32(c, room, a->in[2], dbeta);
    k->add_f32(c, dfactor, dfactor, room);
    k->mul_f32(c, room, factor, dgamma);
    k->add_f32(c, a->out[1], a->out[1], room);
    k->mul_f32(c, room, factor, dbeta);
    k->add_f32(c, a->out[2], a->out[2], room);
}

typedef struct vjp_scratch {
    char *gains;
    float *dgamma, *vector, *stats;
    void *picture;
} vjp_scratch;

static vjp_scratch cut_scratch(const ebb_task *t, const ebb_norm_shape *s, void *scratch)
{
    char *at = (char *)scratch + kernel_bytes(t, s);
    size_t vector = channels_bytes(s);
    return (vjp_scratch){.gains = at, .dgamma = (float *)(at + 2 * vector), .vector = (float *)(at + 3 * vector),
                         .stats = (float *)(at + 4 * vector), .picture = at + 4 * vector + stats_bytes(t)};
}

static void vjp_picture(const ebb_executor *e, const ebb_step_args *a, const ebb_norm_shape *s, int64_t i)
{
    const ebb_task *t = &e->task;
    vjp_scratch w = cut_scratch(t, s, a->scratch);
    bool fused = t->op == EBB_OP_norm_vjp, modulated = has(t, EBB_HAS_SCALE_SHIFT), shifted = has(t, EBB_HAS_SHIFT);
    int64_t row = i * s->channels;
    gains k = find_gains(e, a, s, 5, i, w.gains);
    const void *x = picture(t, s, a->in[0], i), *dy = picture(t, s, a->in[3], i);
    void *dx = picture(t, s, a->out[0], i);
    const float *stats = fused ? (const float *)a->in[4] + i * 2 * s->groups : w.stats;
    float *dgamma = modulated ? w.dgamma : a->out[1], *dbeta = modulated ? (float *)a->out[4] + row : a->out[2];

    if (!fused)
        forward(e, s, w.picture, w.stats, x, NULL, k);
    if (modulated) {
        memset(dgamma, 0, (size_t)s->channels * sizeof(float));
        memset(dbeta, 0, (size_t)s->channels * sizeof(float));
    }
    const float *shift = shifted ? (const float *)a->in[5] + row : NULL;
    float *dshift = shifted ? (float *)a->out[3] + row : NULL;
    if (is_bf16(t))
        e->kernels->norm_vjp_bf16(s, dx, dshift, dgamma, dbeta, x, shift, dy, stats, k.gamma, k.beta, a->scratch);
    else
        e->kernels->norm_vjp_f32(s, dx, dshift, dgamma, dbeta, x, shift, dy, stats, k.gamma, k.beta, a->scratch);
    if (modulated)
        share_gradient(e, a, i, dgamma, w.vector);
}

void ebb_own_norm_vjp(const ebb_executor *e, const ebb_step_args *a)
{
    ebb_norm_shape s = geometry(&e->task);
    memset(a->out[1], 0, (size_t)s.channels * sizeof(float));
    memset(a->out[2], 0, (size_t)s.channels * sizeof(float));
    for (int64_t i = 0; i < e->task.in_shape[0].dim[0]; i++)
        vjp_picture(e, a, &s, i);
}
